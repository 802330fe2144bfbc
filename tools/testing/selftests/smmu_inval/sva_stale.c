// SPDX-License-Identifier: GPL-2.0
/*
 * What a flush must have done when it returns. DMA uses one page all the time, through a
 * window whose page is changed. The pages belong to a file, and there is a second view
 * of all of them: who looks there sees an access to a page that is not in the window any
 * more, however short it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sva_test.h"

/* What the engines write to the window, and what marks a page that is not in it. */
#define WRITTEN		0x11d3ull
#define MARK		0x3a2cull

struct window {
	int file;
	/* Where DMA goes, one page, and both pages. */
	char *window, *view;
	/* What one thread reads the window to. */
	char *sink;
	unsigned int now;
	/* It may fault meanwhile. */
	bool faults;
};

struct user {
	struct window *w;
	struct sva_job job;
	int fd;
};

static bool window_open(struct window *w)
{
	w->file = memfd_create("sva_test", MFD_CLOEXEC);
	if (w->file < 0 || ftruncate(w->file, 2 * page_size)) {
		must(-1, "memfd");
		return false;
	}
	w->view = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       w->file, 0);
	w->window = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 w->file, 0);
	w->sink = map(page_size);
	w->now = 0;
	return w->view != MAP_FAILED && w->window != MAP_FAILED;
}

static void window_close(struct window *w)
{
	munmap(w->view, 2 * page_size);
	munmap(w->window, page_size);
	munmap(w->sink, page_size);
	close(w->file);
}

static void *use(void *arg)
{
	struct user *u = arg;

	while (!stop) {
		struct sva_job job = u->job;
		int status = sva_run(u->fd, &job);

		if (status == SVA_FAULT && u->w->faults)
			continue;
		if (status == SVA_STOPPED && stop)
			continue;
		ends("DMA all the time", status, SVA_DONE);
	}
	return NULL;
}

static void set_page(char *page, uint64_t value)
{
	size_t i;

	for (i = 0; i < page_size; i += 8)
		*(volatile uint64_t *)(page + i) = value;
}

/* How many words are not @value. */
static unsigned int others(const char *page, uint64_t value)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < page_size; i += 8)
		n += word_at(page + i) != value;
	return n;
}

static unsigned int are(const char *page, uint64_t value)
{
	return page_size / 8 - others(page, value);
}

/* DMA has come to the page that is there now. */
static void wait_until_written(const char *page)
{
	double deadline = now_ms() + 5000;

	while (others(page, WRITTEN) && now_ms() < deadline)
		;
	if (now_ms() >= deadline)
		wrong("DMA does not write to the page that is there now");
}

static void replace(struct window *w)
{
	if (mmap(w->window, page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 w->file, !w->now * page_size) != w->window)
		must(-1, "mmap");
	w->now = !w->now;
}

/* Neither to be written nor to be read; then as before. */
static void protect(struct window *w)
{
	must(mprotect(w->window, page_size, PROT_NONE), "mprotect");
}

static void unprotect(struct window *w)
{
	must(mprotect(w->window, page_size, PROT_READ | PROT_WRITE), "mprotect");
}

static void rounds(struct window *w, unsigned int nr, unsigned int pause_us)
{
	unsigned int round;
	char *old;

	for (round = 1; round <= nr && ok; round++) {
		wait_until_written(w->view + w->now * page_size);
		old = w->view + w->now * page_size;
		if (w->faults) {
			protect(w);
		} else {
			set_page(w->view + !w->now * page_size, 0);
			replace(w);
		}
		/* From here on nobody but this thread has to do with it. */
		set_page(old, MARK + round);
		usleep(pause_us);
		is("words that DMA wrote to a page that was taken from it",
		   others(old, MARK + round), 0);
		is("words that DMA read of a page that was taken from it",
		   are(w->sink, MARK + round), 0);
		if (w->faults) {
			set_page(old, 0);
			unprotect(w);
		}
	}
}

/* With the engine that writes, and the one that reads. */
static void stale(unsigned int writes, unsigned int nr, unsigned int pause_us, bool faults)
{
	struct window w = { .faults = faults };
	pthread_t threads[2];
	struct user u[2];
	unsigned int i;

	if (!window_open(&w))
		return;
	for (i = 0; i < 2; i++)
		u[i] = (struct user){ .w = &w, .fd = open_engine(i ^ writes) };
	u[0].job = (struct sva_job){
		.op = SVA_FILL, .dst = (uintptr_t)w.window,
		.size = page_size, .value = WRITTEN, .passes = 1,
	};
	u[1].job = (struct sva_job){
		.op = SVA_COPY, .src = (uintptr_t)w.window,
		.dst = (uintptr_t)w.sink, .size = page_size, .passes = 1,
	};
	for (i = 0; i < 2; i++) {
		/* Without end, if nothing else ends it. */
		if (!faults)
			u[i].job.passes = 0;
		threads[i] = go(use, &u[i]);
	}
	rounds(&w, nr, pause_us);
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++) {
		ioctl(u[i].fd, SVA_IOC_STOP);
		pthread_join(threads[i], NULL);
		close_engine(u[i].fd);
	}
	atomic_store(&stop, false);
	window_close(&w);
}

void stale_fast(void)
{
	stale(0, 50, 200, false);
	stale(1, 50, 200, false);
}

void stale_in_flight(void)
{
	slow(0, 800, 0);
	stale(0, 40, 2500, false);
	stale(1, 40, 2500, false);
}

void stale_commands(void)
{
	slow(400, 0, 0);
	stale(0, 40, 200, false);
	stale(1, 20, 200, false);
}

void stale_protect(void)
{
	stale(0, 30, 200, true);
	slow(400, 0, 0);
	stale(1, 15, 200, true);
	slow(0, 800, 0);
	stale(0, 15, 2500, true);
}
