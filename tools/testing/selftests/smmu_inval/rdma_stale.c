// SPDX-License-Identifier: GPL-2.0
/*
 * RDMA while another thread changes the memory at random.
 *
 * The first half of the region is read by RDMA. Each of its pages has a generation: what
 * RDMA reads is not older than what was complete when the request was posted, and not
 * newer than what had begun when it ended. The second half is written by RDMA, and the
 * CPU has to see that; its pages move, but what is in them does not change.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "rdma_odp.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define READ_PAGES	8
#define WRITE_PAGES	8
#define STALE_PAGES	(READ_PAGES + WRITE_PAGES)
#define DURATION_MS	15000

static char *area;
static atomic_ulong begun[READ_PAGES], complete[READ_PAGES];
static unsigned long changes;

static void put_page(char *page, unsigned long value)
{
	size_t i;

	for (i = 0; i < page_size; i += sizeof(value))
		*(volatile unsigned long *)(page + i) = value;
}

/* Another page at this place; the old one is freed, and used for something else. */
static void exchange(char *page, unsigned long value)
{
	char *fresh = map(page_size);

	put_page(fresh, value);
	if (mremap(fresh, page_size, page_size, MREMAP_MAYMOVE | MREMAP_FIXED, page) != page)
		wrong("mremap: %s", strerror(errno));
}

static void fork_and_write(char *page, unsigned long value)
{
	pid_t pid = fork();

	if (!pid) {
		put_page(page, ~0ul);
		_exit(0);
	}
	put_page(page, value);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void migrate(void *page, int node)
{
	int status;

	syscall(SYS_move_pages, 0, 1ul, &page, &node, &status, 0);
}

static void move_only(unsigned int *seed)
{
	char *page = area + (READ_PAGES + rand_r(seed) % WRITE_PAGES) * page_size;

	switch (rand_r(seed) % 3) {
	case 0:
		madvise(page, page_size, MADV_PAGEOUT);
		break;
	case 1:
		migrate(page, rand_r(seed) % 2);
		break;
	case 2:
		mprotect(page, page_size, PROT_READ | PROT_WRITE | PROT_EXEC);
		mprotect(page, page_size, PROT_READ | PROT_WRITE);
		break;
	}
}

static void *changer(void *arg)
{
	unsigned int seed = 1, i;
	unsigned long value = 0;
	char *page;

	(void)arg;
	while (!atomic_load(&stop)) {
		i = rand_r(&seed) % READ_PAGES;
		page = area + i * page_size;
		atomic_store(&begun[i], ++value);
		switch (rand_r(&seed) % 16) {
		case 0 ... 4:
			exchange(page, value);
			break;
		case 5 ... 8:
			madvise(page, page_size, MADV_DONTNEED);
			put_page(page, value);
			break;
		case 9 ... 10:
			madvise(page, page_size, MADV_PAGEOUT);
			put_page(page, value);
			break;
		case 11 ... 12:
			migrate(page, value % 2);
			put_page(page, value);
			break;
		case 13:
			fork_and_write(page, value);
			break;
		default:
			put_page(page, value);
		}
		atomic_store(&complete[i], value);
		move_only(&seed);
		changes++;
	}
	return NULL;
}

static void read_one(unsigned int i)
{
	volatile unsigned long *word = (void *)copy;
	unsigned long least = atomic_load(&complete[i]), most, last = page_size / 8 - 1;

	is("READ", transfer(IB_UVERBS_WR_RDMA_READ, area + i * page_size, copy, page_size),
	   RDMA_DONE);
	most = atomic_load(&begun[i]);
	/* While a page is being written anything from zero on may be in it. */
	if (least == most && (word[0] != least || word[last] != least))
		wrong("page %u: RDMA read %lu and %lu, when %lu was complete", i, word[0],
		      word[last], least);
	else if (word[0] > most || word[last] > most)
		wrong("page %u: RDMA read %lu and %lu, when %lu had begun", i, word[0],
		      word[last], most);
}

static void write_one(unsigned int i, unsigned long value)
{
	char *page = area + (READ_PAGES + i) * page_size;

	put_page(copy, value);
	is("WRITE", transfer(IB_UVERBS_WR_RDMA_WRITE, page, copy, page_size), RDMA_DONE);
	if (word_at(page) != value || word_at(page + page_size - 8) != value)
		wrong("page %u: the CPU read %lu and %lu, when RDMA had written %lu", i,
		      (unsigned long)word_at(page), (unsigned long)word_at(page + page_size - 8),
		      value);
}

void test_stale(void)
{
	double until = now_ms() + DURATION_MS;
	unsigned long i = 0;
	unsigned int seed = 2;
	pthread_t thread;

	area = map(STALE_PAGES * page_size);
	if (!begin(area, STALE_PAGES * page_size))
		return;
	for (i = 0; i < READ_PAGES; i++) {
		begun[i] = 0;
		complete[i] = 0;
	}
	thread = go(changer, NULL);
	for (i = 1; ok && now_ms() < until; i++) {
		if (i % 3)
			read_one(rand_r(&seed) % READ_PAGES);
		else
			write_one(rand_r(&seed) % WRITE_PAGES, i);
	}
	stop_all(&thread, 1);
	printf("# %lu transfers, %lu changes\n", i - 1, changes);
	if (!changes)
		wrong("nothing was changed");
	end();
}

static char *amid_mem, *amid_local;

static void *send_on(void *arg)
{
	(void)arg;
	while (transfer(IB_UVERBS_WR_RDMA_WRITE, amid_mem, amid_local, page_size) == RDMA_DONE)
		;
	return NULL;
}

void exit_group_amid(char *mem, char *local)
{
	amid_mem = mem;
	amid_local = local;
	go(send_on, NULL);
	usleep(20000);
	raise(SIGKILL);
}
