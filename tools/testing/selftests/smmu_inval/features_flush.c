// SPDX-License-Identifier: GPL-2.0
/*
 * Two invalidations of the same page: the second finds nothing left to change,
 * and still must not return before the GPU has forgotten the page, because its
 * caller goes on to use the memory for something else:
 *
 *	first				second
 *	-----				------
 *	the entry goes, a flush is
 *	on its way
 *					nothing there
 *					returns?	<- the GPU still reads
 *	the flush is over				   the old page
 *	returns
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "features.h"

#define FLUSH_US	50000
#define ROUNDS		8
#define PAGES		4

static int fds[MAX_GPUS];
static unsigned int nr_fds;
static char *mem, *spare;
/* When the first began, in us; 0 before. */
static atomic_ulong began;
static bool evict_first;

static void *first(void *arg)
{
	unsigned int i;

	(void)arg;
	atomic_store(&began, now_ms() * 1000);
	if (!evict_first) {
		madvise(mem, PAGES * page_size, MADV_DONTNEED);
		return NULL;
	}
	for (i = 0; i < nr_fds; i++)
		gpu_evict(fds[i], mem, PAGES * page_size);
	return NULL;
}

/* Have both engines of all GPUs know the last page. */
static void make_hot(char *page)
{
	uint64_t word;
	unsigned int i;

	for (i = 0; i < 2 * nr_fds; i++)
		is("read before", gpu_read(fds[i / 2], i & 1, page, &word, 8),
		   0);
}

/*
 * What all engines find there. MADV_DONTNEED discards when all callbacks are
 * over, so the first may discard what was written after the second.
 */
static void read_new(char *page, uint64_t value, bool or_zero)
{
	unsigned int i;
	uint64_t word;

	for (i = 0; i < 2 * nr_fds; i++) {
		word = ~value;
		is("read after", gpu_read(fds[i / 2], i & 1, page, &word, 8),
		   0);
		if (word != value && !(or_zero && !word))
			wrong("GPU %u reads %#llx, and not %llu, after the second invalidation",
			      i / 2, (unsigned long long)word,
			      (unsigned long long)value);
	}
}

static void one_round(uint64_t gen)
{
	char *page = mem + (PAGES - 1) * page_size;
	double waited, least = FLUSH_US / 1000.0;
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		*(uint64_t *)(mem + i * page_size) = gen;
	make_hot(page);
	atomic_store(&began, 0);
	thread = go(first, NULL);
	while (!atomic_load(&began))
		usleep(500);
	usleep(5000);
	is("DONTNEED", madvise(page, page_size, MADV_DONTNEED), 0);
	waited = now_ms() - atomic_load(&began) / 1000.0;
	/* What was freed belongs to this now, as a rule, and not to the page. */
	memset(spare, 0x5a, PAGES * page_size);
	*(uint64_t *)page = gen + 1;
	read_new(page, gen + 1, !evict_first);
	/* Whichever of the two flushed. */
	if (waited < least - 1)
		wrong("the second returns %.1f ms after the first began; a flush takes %.1f ms",
		      waited, least);
	pthread_join(thread, NULL);
	*(uint64_t *)page = gen + 2;
	read_new(page, gen + 2, false);
	madvise(spare, PAGES * page_size, MADV_DONTNEED);
}

static void overlap(unsigned int nr, unsigned int flags, bool evict)
{
	unsigned int i;

	mem = map(PAGES * page_size);
	spare = map(PAGES * page_size);
	evict_first = evict;
	nr_fds = 0;
	for (i = 0; i < nr; i++) {
		fds[i] = gpu_open_nr(i);
		if (fds[i] < 0 || gpu_setup(fds[i], flags, 0, FLUSH_US)) {
			wrong("GPU %u: %s", i, strerror(errno));
			return;
		}
		nr_fds++;
	}
	for (i = 0; ok && i < ROUNDS; i++)
		one_round(10 * (i + 1));
	for (i = 0; i < nr_fds; i++) {
		gpu_setup(fds[i], flags, 0, 0);
		close(fds[i]);
	}
	munmap(mem, PAGES * page_size);
	munmap(spare, PAGES * page_size);
}

void flush_overlap_one(void)
{
	overlap(1, 0, false);
}

void flush_overlap_all(void)
{
	unsigned int gpus = gpu_count();

	if (gpus < 2)
		skip = "one GPU";
	else
		overlap(gpus, GPU_HMM_RANGES, false);
}

void flush_overlap_evict(void)
{
	overlap(1, 0, true);
}

void flush_overlap_single(void)
{
	overlap(1, GPU_HMM_SINGLE_PASS, false);
}
