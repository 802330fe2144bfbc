// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests: groups of them, none, and more than there is room for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sva_test.h"

#define PAGES		(2 * SVA_MAX_GROUP)
#define CHANNELS	60

static struct sva_job fill_job(char *mem, size_t size, unsigned int group)
{
	return (struct sva_job){
		.op = SVA_FILL, .dst = (uintptr_t)mem, .size = size,
		.value = 7, .passes = 1, .group = group,
	};
}

static void filled(const char *mem, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += 8) {
		if (word_at(mem + i) == 7)
			continue;
		wrong("word %zu is %#llx", i / 8,
		      (unsigned long long)word_at(mem + i));
		return;
	}
}

static void group_of(int fd, unsigned int group)
{
	size_t size = PAGES * page_size;
	struct sva_stats before, after;
	char *mem = map(size);
	struct sva_job job;
	unsigned int hole;

	/* All of it: each group is one fault's worth. */
	before = stats_of(fd);
	job = fill_job(mem, size, group);
	ends("a job in new memory", sva_run(fd, &job), SVA_DONE);
	is("bytes", job.done, size);
	filled(mem, size);
	after = stats_of(fd);
	sva_subtract(&after, &before);
	is("groups", after.groups, PAGES / group);
	is("page requests", after.requests, PAGES);
	is("groups that failed", after.failed, 0);

	/* With a hole: the group fails, and what is before the hole is done. */
	for (hole = 1; hole < SVA_MAX_GROUP && ok; hole += 5) {
		must(madvise(mem, size, MADV_DONTNEED), "MADV_DONTNEED");
		must(mprotect(mem + hole * page_size, page_size, PROT_READ),
		     "mprotect");
		job = fill_job(mem, size, group);
		ends("a job that comes to a hole", sva_run(fd, &job), SVA_FAULT);
		is("bytes before the hole", job.done, hole * page_size);
		is("where it faults", job.fault,
		   (uintptr_t)mem + hole * page_size);
		filled(mem, hole * page_size);
		is("the first word behind the hole", word_at(mem + (hole + 1) *
							     page_size), 0);
		must(mprotect(mem + hole * page_size, page_size,
			      PROT_READ | PROT_WRITE), "mprotect");
	}

	/* Some are there before. */
	must(madvise(mem, size, MADV_DONTNEED), "MADV_DONTNEED");
	for (hole = 1; hole < PAGES; hole += 3)
		mem[hole * page_size] = 1;
	job = fill_job(mem, size, group);
	ends("a job in memory that is there in part", sva_run(fd, &job), SVA_DONE);
	filled(mem, size);
	munmap(mem, size);
}

void requests_group(void)
{
	unsigned int engine, group;
	int fd;

	for (engine = 0; engine < NR_ENGINES; engine++) {
		fd = open_engine(engine);
		for (group = 1; group <= SVA_MAX_GROUP; group *= 4)
			group_of(fd, group);
		close_engine(fd);
	}
}

void requests_none(void)
{
	char *mem = map(PAGES * page_size);
	struct sva_stats before, after;
	int fd = open_engine(0);
	struct sva_job job = fill_job(mem, PAGES * page_size, 4);

	before = stats_of(fd);
	job.flags = SVA_NO_REQUESTS;
	ends("a job that may not ask", sva_run(fd, &job), SVA_FAULT);
	is("where it faults", job.fault, (uintptr_t)mem);
	is("bytes", job.done, 0);
	is("what is there", word_at(mem), 0);
	/* In a page that was read, and not written, it would have to ask, too. */
	job = fill_job(mem, PAGES * page_size, 4);
	job.flags = SVA_NO_REQUESTS;
	ends("a job that finds zeros", sva_run(fd, &job), SVA_FAULT);
	memset(mem, 1, PAGES * page_size);
	job = fill_job(mem, PAGES * page_size, 4);
	job.flags = SVA_NO_REQUESTS;
	ends("a job that need not ask", sva_run(fd, &job), SVA_DONE);
	filled(mem, PAGES * page_size);
	after = stats_of(fd);
	sva_subtract(&after, &before);
	is("page requests", after.requests, 0);
	close_engine(fd);
	munmap(mem, PAGES * page_size);
}

struct asks {
	int fd;
	char *mem;
	int status;
	uint64_t done;
};

static void *asks(void *arg)
{
	struct asks *a = arg;
	struct sva_job job = fill_job(a->mem, PAGES * page_size, SVA_MAX_GROUP);

	a->status = sva_run(a->fd, &job);
	a->done = job.done;
	return NULL;
}

/*
 * Stopped when the end of a group was lost: what is left of the group must not become a
 * part of the next one, for there is nothing at its addresses any more.
 */
static void stop_and_go_on(struct asks *a, pthread_t *threads, char *mem)
{
	size_t size = PAGES * page_size;
	struct sva_stats before, after;
	unsigned int i;

	must(madvise(mem, CHANNELS * size, MADV_DONTNEED), "MADV_DONTNEED");
	for (i = 0; i < CHANNELS; i++)
		threads[i] = go(asks, &a[i]);
	for (i = 0; i < CHANNELS; i++)
		must(ioctl(a[i].fd, SVA_IOC_STOP), "STOP");
	for (i = 0; i < CHANNELS; i++)
		pthread_join(threads[i], NULL);
	slow(0, 0, 0);
	/* For what is still on its way. */
	usleep(20000);
	munmap(mem, CHANNELS * size);
	mem = map(size);
	before = stats_of(a[0].fd);
	for (i = 0; i < CHANNELS && ok; i++) {
		a[i].mem = mem;
		must(madvise(mem, size, MADV_DONTNEED), "MADV_DONTNEED");
		asks(&a[i]);
		ends("a job after one that was stopped", a[i].status, SVA_DONE);
		filled(mem, size);
	}
	after = stats_of(a[0].fd);
	is("groups that failed afterwards", after.failed - before.failed, 0);
	munmap(mem, size);
}

void requests_overflow(void)
{
	size_t size = PAGES * page_size;
	static struct asks a[CHANNELS];
	static pthread_t threads[CHANNELS];
	char *mem = map(CHANNELS * size);
	struct sva_stats before, after;
	int fd = open_engine(0);
	unsigned int i, round;

	before = stats_of(fd);
	for (i = 0; i < CHANNELS; i++) {
		a[i].fd = open_engine(i % NR_ENGINES);
		a[i].mem = mem + i * size;
	}
	for (round = 0; round < 2 && ok; round++) {
		slow(0, 0, round ? 1000 : 200);
		must(madvise(mem, CHANNELS * size, MADV_DONTNEED), "MADV_DONTNEED");
		for (i = 0; i < CHANNELS; i++)
			threads[i] = go(asks, &a[i]);
		for (i = 0; i < CHANNELS; i++)
			pthread_join(threads[i], NULL);
		for (i = 0; i < CHANNELS && ok; i++) {
			ends("a job that has to wait", a[i].status, SVA_DONE);
			is("bytes", a[i].done, size);
			filled(a[i].mem, size);
		}
	}
	after = stats_of(fd);
	sva_subtract(&after, &before);
	printf("# %llu groups found the queue full\n",
	       (unsigned long long)after.overflows);
	if (!after.overflows)
		wrong("the queue was never full");
	is("groups that failed", after.failed, 0);
	stop_and_go_on(a, threads, mem);
	for (i = 0; i < CHANNELS; i++)
		close_engine(a[i].fd);
	close_engine(fd);
}

struct restless {
	int fd;
	/* A group's worth that has a hole, and a page that has none. */
	char *hole, *page;
	unsigned int done, faults;
};

static void *restless(void *arg)
{
	struct restless *r = arg;
	struct sva_job job;
	int status;

	while (!atomic_load(&stop)) {
		job = fill_job(r->hole, SVA_MAX_GROUP * page_size, SVA_MAX_GROUP);
		sva_run(r->fd, &job);
		madvise(r->page, page_size, MADV_DONTNEED);
		job = fill_job(r->page, page_size, 1);
		status = sva_run(r->fd, &job);
		r->done += status == SVA_DONE;
		r->faults += status == SVA_FAULT;
	}
	return NULL;
}

/*
 * As stop_and_go_on(), but at once, while the queue is full: the next job's request is
 * the last of a group, but not of the one that was left behind.
 */
void requests_at_once(void)
{
	static struct restless r[CHANNELS];
	static pthread_t threads[CHANNELS];
	unsigned int i, done = 0, faults = 0;
	struct sva_stats before, after;
	int fd = open_engine(0);
	double end;

	before = stats_of(fd);
	slow(0, 0, 200);
	for (i = 0; i < CHANNELS; i++) {
		r[i] = (struct restless){
			.fd = open_engine(i % NR_ENGINES),
			.hole = map(SVA_MAX_GROUP * page_size),
			.page = map(page_size),
		};
		must(mprotect(r[i].hole + (SVA_MAX_GROUP - 2) * page_size, page_size,
			      PROT_NONE), "mprotect");
		threads[i] = go(restless, &r[i]);
	}
	for (end = now_ms() + 3000; now_ms() < end; usleep(2000))
		for (i = 0; i < CHANNELS; i++)
			must(ioctl(r[i].fd, SVA_IOC_STOP), "STOP");
	stop_all(threads, CHANNELS);
	slow(0, 0, 0);
	for (i = 0; i < CHANNELS; i++) {
		done += r[i].done;
		faults += r[i].faults;
		close_engine(r[i].fd);
		munmap(r[i].hole, SVA_MAX_GROUP * page_size);
		munmap(r[i].page, page_size);
	}
	after = stats_of(fd);
	sva_subtract(&after, &before);
	printf("# %u jobs, %llu groups found the queue full\n", done,
	       (unsigned long long)after.overflows);
	is("jobs that faulted in memory that is there", faults, 0);
	if (!done || !after.overflows)
		wrong("no job, or the queue was never full");
	close_engine(fd);
}

void requests_bad_addresses(void)
{
	char *mem = map(page_size);
	/* What would be ours if some bits of an address did not matter. */
	char *there = map(page_size);
	const uint64_t addresses[] = {
		0, (uintptr_t)there | 1ull << 47, (uintptr_t)there | 1ull << 57,
		(uintptr_t)there | 1ull << 62, (uintptr_t)there | 0xffffull << 48,
		/* The gap, from its first page to its last. */
		0x0000800000000000, 0x0000900000000000, 0x4000000000000000,
		0x8000000000000000, 0xffff7ffffffff000,
		/* The kernel: its map of all memory, its text, vsyscall, the end. */
		0xffff800000000000, 0xffff888000000000, 0xffff888001000000,
		0xffffffff81000000, 0xffffffffff600000, 0xffffffffffffe000,
	};
	unsigned int i, engine, op;

	memset(there, 1, page_size);
	for (engine = 0; engine < NR_ENGINES; engine++) {
		int fd = open_engine(engine);

		for (i = 0; i < ARRAY_SIZE(addresses); i++) {
			for (op = SVA_COPY; op <= SVA_SUM; op++) {
				struct sva_job job = {
					.op = op, .size = 64, .passes = 1,
					.group = 1 + i % SVA_MAX_GROUP,
				};

				/* Nothing of it may be written: there is our kernel. */
				if (op == SVA_FILL)
					continue;
				job.src = addresses[i];
				if (op == SVA_COPY)
					job.dst = (uintptr_t)mem;
				ends("DMA where nothing is ours", sva_run(fd, &job), SVA_FAULT);
				is("where it faults", job.fault, addresses[i]);
				is("bytes", job.done, 0);
				is("what it read", job.result, 0);
				is("what it copied", word_at(mem), 0);
			}
		}
		close_engine(fd);
	}
	munmap(there, page_size);
	munmap(mem, page_size);
}

/* From the last page of a mapping into what is not mapped. */
void requests_ends(void)
{
	char *mem = map(4 * page_size);
	int fd = open_engine(0);
	struct sva_job job;

	munmap(mem + 2 * page_size, 2 * page_size);
	job = fill_job(mem + page_size, 2 * page_size, 2);
	ends("DMA over the end", sva_run(fd, &job), SVA_FAULT);
	is("where it faults", job.fault, (uintptr_t)mem + 2 * page_size);
	is("bytes", job.done, page_size);
	filled(mem + page_size, page_size);

	/* The last one of the lower half, if there is nothing. */
	job = fill_job((char *)0x00007ffffffff000, 2 * page_size, 2);
	ends("DMA over the end of all", sva_run(fd, &job), SVA_FAULT);
	is("bytes", job.done, 0);
	close_engine(fd);
	munmap(mem, 2 * page_size);
}
