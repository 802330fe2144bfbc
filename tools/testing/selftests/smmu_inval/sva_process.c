// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that go, come, and share engines.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sva_test.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define PAGES		8
#define MARK		0x3a2cull
#define WRITTEN		0x11d3ull

/* Memory that outlives who shares it. */
struct shared {
	char *mem;
	int fd;
	unsigned int engine;
	/* What the child says of itself. */
	volatile uint32_t *pasid;
};

static void share(struct shared *s)
{
	s->mem = map_shared((PAGES + 1) * page_size);
	s->pasid = (void *)(s->mem + PAGES * page_size);
	memset(s->mem, 0, (PAGES + 1) * page_size);
}

static void unshare_all(struct shared *s)
{
	munmap(s->mem, (PAGES + 1) * page_size);
}

static void set_all(const struct shared *s, uint64_t value)
{
	size_t i;

	for (i = 0; i < PAGES * page_size; i += 8)
		*(volatile uint64_t *)(s->mem + i) = value;
}

static unsigned int others(const struct shared *s, uint64_t value)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < PAGES * page_size; i += 8)
		n += word_at(s->mem + i) != value;
	return n;
}

static void wait_until_written(const struct shared *s)
{
	double deadline = now_ms() + 5000;

	while (others(s, WRITTEN) && now_ms() < deadline)
		usleep(100);
	if (now_ms() >= deadline)
		wrong("DMA does not write");
}

static struct sva_job endless(const struct shared *s)
{
	return (struct sva_job){
		.op = SVA_FILL, .dst = (uintptr_t)s->mem,
		.size = PAGES * page_size, .value = WRITTEN,
	};
}

struct run {
	int fd;
	struct sva_job job;
	int status;
	int error;
};

static void *run_thread(void *arg)
{
	struct run *r = arg;

	r->status = sva_run(r->fd, &r->job);
	r->error = errno;
	return NULL;
}

/* Two threads, a job each that never ends; it ends with the process. */
static void never_ends(void *arg)
{
	struct shared *s = arg;
	struct run r[2];

	r[0].fd = s->fd >= 0 ? s->fd : sva_open();
	r[1].fd = sva_open();
	must(sva_bind(r[0].fd, s->engine, 0, NULL), "BIND");
	must(sva_bind(r[1].fd, !s->engine, 0, NULL), "BIND");
	/* Half of it each, so that who finds it all written knows of both. */
	r[0].job = endless(s);
	r[0].job.size /= 2;
	r[1].job = r[0].job;
	r[1].job.dst += r[0].job.size;
	go(run_thread, &r[0]);
	run_thread(&r[1]);
	wrong("a job that never ends has ended: %d, %s", r[1].status,
	      strerror(r[1].error));
}

static void kill_children(bool keep_open)
{
	struct sva_stats before, after;
	struct shared s = { .fd = -1 };
	unsigned int round;
	int fd = open_engine(0), status;
	pid_t pid;

	share(&s);
	for (round = 0; round < 12 && ok; round++) {
		s.engine = round & 1;
		s.fd = keep_open ? sva_open() : -1;
		slow(round & 2 ? 200 : 0, round & 4 ? 300 : 0, 0);
		set_all(&s, 0);
		before = stats_of(fd);
		pid = in_child(never_ends, &s);
		wait_until_written(&s);
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
			wrong("the child was not killed: %#x", status);
		/* Its address space is gone, and so are its translations. */
		set_all(&s, MARK + round);
		usleep(2000);
		is("words that DMA wrote for a process that is gone",
		   others(&s, MARK + round), 0);
		after = stats_of(fd);
		/* Where a file keeps the job going, the PASID ends it. */
		if (keep_open) {
			struct sva_job job = endless(&s);

			if (after.no_pasid <= before.no_pasid)
				wrong("no access found its PASID gone");
			is("RUN of another's channel", sva_run(s.fd, &job),
			   SVA_IOCTL_FAILED);
			is("its errno", errno, EPERM);
			close(s.fd);
		}
	}
	unshare_all(&s);
	close_engine(fd);
}

void process_killed(void)
{
	kill_children(false);
}

void process_kept_open(void)
{
	kill_children(true);
}

/* At the same address, and perhaps with the same PASID. */
static void warm_and_go(void *arg)
{
	struct shared *s = arg;
	char *buffer = map(PAGES * page_size);
	unsigned int engine;
	int fd;

	for (engine = 0; engine < NR_ENGINES; engine++) {
		fd = sva_open();
		must(sva_bind(fd, engine, 0, (uint32_t *)s->pasid), "BIND");
		ends("DMA reads", sva_copy(fd, buffer, s->mem, PAGES * page_size),
		     SVA_DONE);
		check_pages("what a process reads", buffer, PAGES, s->fd);
		ends("DMA writes", sva_copy(fd, s->mem, buffer, PAGES * page_size),
		     SVA_DONE);
		check_pages("what it wrote", s->mem, PAGES, s->fd);
		/* Open, so that the end of the process is what unbinds it. */
	}
}

static void own_memory(void *arg)
{
	struct shared *s = arg;

	/* Private from here on: others have the same address, and other pages. */
	if (mmap(s->mem, PAGES * page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != s->mem)
		must(-1, "mmap");
	fill_pages(s->mem, PAGES, s->fd);
	warm_and_go(s);
}

void process_next(void)
{
	unsigned int round, same = 0;
	uint32_t last = ~0U;
	struct shared s;

	share(&s);
	for (round = 1; round <= 16 && ok; round++) {
		/* The generation. */
		s.fd = round;
		wait_for(in_child(own_memory, &s), "a process after another");
		same += *s.pasid == last;
		last = *s.pasid;
		/* The PASID is free when the last reference on the mm is. */
		usleep(20000);
	}
	printf("# the PASID was that of the process before %u times of %u\n", same,
	       round - 2);
	if (!same)
		skip = "no PASID was used again";
	unshare_all(&s);
}

/* A tree of processes that come and go, all with DMA. */
static void forks(void *arg)
{
	struct shared *s = arg;
	unsigned int depth = s->engine;
	char *mem = map(PAGES * page_size);
	int fd[NR_ENGINES] = { open_engine(0), open_engine(1) };
	pid_t pid = 0;

	fill_pages(mem, PAGES, depth + 1);
	s->engine = depth + 1;
	ends("DMA writes", sva_fill(fd[depth % 2], mem, page_size, depth), SVA_DONE);
	if (depth < 3)
		pid = in_child(forks, s);
	/* The parent goes on writing, or is gone before the child. */
	fill_pages(mem, PAGES, depth + 10);
	ends("DMA writes", sva_fill(fd[0], mem + page_size, page_size, depth), SVA_DONE);
	is("what it wrote", word_at(mem + page_size), depth);
	check_pages("a parent", mem, 1, depth + 10);
	if (pid)
		wait_for(pid, "a child");
	is("what it wrote, later", word_at(mem + 2 * page_size - 8), depth);
	if (depth & 1) {
		close(fd[0]);
		close(fd[1]);
	}
}

void process_fork_loop(void)
{
	struct shared s = { };
	unsigned int round;

	for (round = 0; round < 6 && ok; round++)
		wait_for(in_child(forks, &s), "processes that fork");
}

static void same_engine(void *arg)
{
	struct shared *s = arg;
	char *buffer = map(PAGES * page_size);
	int fd = open_engine(s->engine);
	unsigned int gen, base = s->fd;

	if (mmap(s->mem, PAGES * page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != s->mem)
		must(-1, "mmap");
	for (gen = base; gen < base + 40 && ok; gen++) {
		if (gen & 1)
			must(madvise(s->mem, PAGES * page_size, MADV_DONTNEED),
			     "MADV_DONTNEED");
		fill_pages(s->mem, PAGES, gen);
		ends("DMA reads", sva_copy(fd, buffer, s->mem, PAGES * page_size),
		     SVA_DONE);
		check_pages("one of two processes", buffer, PAGES, gen);
		fill_pages(buffer, PAGES, gen + 1);
		ends("DMA writes", sva_copy(fd, s->mem, buffer, PAGES * page_size),
		     SVA_DONE);
		check_pages("one of two processes, what it wrote", s->mem, PAGES,
			    gen + 1);
	}
	close_engine(fd);
}

/* At the same addresses. */
void process_two(void)
{
	struct shared s;
	pid_t pid[2];
	unsigned int i;

	share(&s);
	for (s.engine = 0; s.engine < NR_ENGINES; s.engine++) {
		for (i = 0; i < 2; i++) {
			s.fd = 1000 * (i + 1);
			pid[i] = in_child(same_engine, &s);
		}
		for (i = 0; i < 2; i++)
			wait_for(pid[i], "two processes");
	}
	unshare_all(&s);
}

struct half {
	int fd;
	char *mem;
	size_t size;
	unsigned long jobs;
};

static void *fills(void *arg)
{
	struct half *h = arg;

	while (!stop) {
		ends("DMA writes", sva_fill(h->fd, h->mem, h->size, ++h->jobs),
		     SVA_DONE);
		is("what it wrote last", word_at(h->mem + h->size - 8), h->jobs);
	}
	return NULL;
}

/* Both write to one page, and only ever to their own half of it. */
void process_two_engines(void)
{
	char *mem = map(page_size);
	struct half h[NR_ENGINES];
	pthread_t threads[NR_ENGINES];
	double deadline = now_ms() + 400;
	unsigned int i;

	for (i = 0; i < NR_ENGINES; i++) {
		h[i] = (struct half){
			.fd = open_engine(i), .mem = mem + i * page_size / 2,
			.size = page_size / 2,
		};
		threads[i] = go(fills, &h[i]);
	}
	/* Swapped out, or, without swap, at least unmapped on the way. */
	while (ok && now_ms() < deadline)
		must(madvise(mem, page_size, MADV_PAGEOUT), "MADV_PAGEOUT");
	stop_all(threads, NR_ENGINES);
	for (i = 0; i < NR_ENGINES; i++) {
		if (!h[i].jobs)
			wrong("engine %u did nothing", i);
		is("the first word", word_at(h[i].mem), h[i].jobs);
		close_engine(h[i].fd);
	}
	munmap(mem, page_size);
}

static void *unmaps(void *arg)
{
	char *mem = arg;

	while (!stop) {
		must(madvise(mem, PAGES * page_size, MADV_DONTNEED), "MADV_DONTNEED");
		usleep(300);
	}
	return NULL;
}

void process_unbind(void)
{
	struct shared s = { };
	unsigned int round;
	pthread_t threads[2];
	struct run r = { };

	share(&s);
	r.fd = sva_open();
	threads[1] = go(unmaps, s.mem);
	for (round = 0; round < 40 && ok; round++) {
		must(sva_bind(r.fd, round % NR_ENGINES, 0, NULL), "BIND");
		r.job = endless(&s);
		threads[0] = go(run_thread, &r);
		wait_until_written(&s);
		if (round & 2)
			must(ioctl(r.fd, SVA_IOC_UNBIND), "UNBIND");
		else
			must(ioctl(r.fd, SVA_IOC_STOP), "STOP");
		pthread_join(threads[0], NULL);
		ends("a job that is stopped", r.status, SVA_STOPPED);
		if (!(round & 2))
			must(ioctl(r.fd, SVA_IOC_UNBIND), "UNBIND");
		set_all(&s, MARK + round);
		usleep(500);
		is("words that DMA wrote when it was not bound",
		   others(&s, MARK + round), 0);
	}
	stop_all(&threads[1], 1);
	close(r.fd);
	unshare_all(&s);
}

static void comes(int signal)
{
	(void)signal;
}

void process_signal(void)
{
	struct itimerval soon = { .it_value.tv_usec = 5000 }, never = { };
	struct sigaction action = { .sa_handler = comes }, before;
	int fd = open_engine(0), status;
	struct shared s = { };
	unsigned int round;
	struct sva_job job;
	uint64_t sum;

	share(&s);
	sigaction(SIGALRM, &action, &before);
	for (round = 0; round < 10 && ok; round++) {
		job = endless(&s);
		/* Again, should it have come too early. */
		soon.it_interval.tv_usec = 5000;
		setitimer(ITIMER_REAL, &soon, NULL);
		status = sva_run(fd, &job);
		setitimer(ITIMER_REAL, &never, NULL);
		is("RUN with a signal", status, SVA_IOCTL_FAILED);
		is("its errno", errno, EINTR);
		is("its status", job.status, SVA_STOPPED);
		set_all(&s, MARK);
		usleep(500);
		is("words that DMA wrote when it was stopped", others(&s, MARK), 0);
		ends("the job after it", sva_sum(fd, s.mem, 16, &sum), SVA_DONE);
		is("its result", sum, 2 * MARK);
	}
	sigaction(SIGALRM, &before, NULL);
	alarm(60);
	close_engine(fd);
	unshare_all(&s);
}
