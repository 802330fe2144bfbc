// SPDX-License-Identifier: GPL-2.0
/*
 * sva_demo: what it costs a device that shares a process's page tables when the process
 * changes a little of its memory. Each workload runs in a process of its own: once with
 * flushes of everything (SVA_COARSE), once with one block of 2^n pages for each range
 * (SVA_ONE_BLOCK), as drivers in the kernel have it, and once precise.
 *
 * Each round of a workload changes something, and then DMA sweeps over all of the memory
 * by both engines, copies it, and what it has copied is checked. So the same is done in
 * all modes, and each difference in the counters is of the flushes. They are printed as
 * "# sva-demo: WORKLOAD MODE KEY=N...", for scripts/demo-sva.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "ktap.h"
#include "natural.h"
#include "sva.h"
#include "swap.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define NUMA		"/proc/sys/kernel/numa_balancing"

/* What DMA sweeps over; with where it copies to, it fits into an IOTLB. */
#define PAGES		64
/* So many of them are changed in a round. */
#define SOME		4
#define HUGE_SIZE	(2ul << 20)

struct memory {
	int fd[NR_ENGINES];
	char *mem, *copy;
	/* For workloads that need another place. */
	char *place;
};

struct workload {
	const char *name;
	unsigned int rounds;
	/* Changes memory in a way that keeps, or rewrites, its contents. */
	void (*change)(struct memory *m, unsigned int round);
	/* How long a command of the queue takes. */
	unsigned int command_us;
	/* Two threads with half of the rounds each. */
	bool two;
	/* Precise has to forget less than half as much as coarse. */
	bool better;
};

/* In memory that both processes have. */
struct result {
	bool valid;
	bool failed;
	char skip[80];
	struct sva_stats stats;
};

static unsigned int scale = 100;
static const char *only;

static char *some(struct memory *m, unsigned int round)
{
	return m->mem + round * SOME % PAGES * page_size;
}

/* New pages, with what was there. */
static void rewrite_pages(struct memory *m, unsigned int first, unsigned int nr)
{
	/* What the copy has is right: it was checked. */
	memcpy(m->mem + first * page_size, m->copy + first * page_size, nr * page_size);
}

static void rewrite(struct memory *m, unsigned int round)
{
	rewrite_pages(m, round * SOME % PAGES, SOME);
}

static void sweep(struct memory *m)
{
	unsigned int engine;

	for (engine = 0; engine < NR_ENGINES && ok; engine++) {
		is("DMA", sva_copy(m->fd[engine], m->copy, m->mem, PAGES * page_size),
		   SVA_DONE);
		check_pages("what DMA copied", m->copy, PAGES, 1);
	}
}

static void unmap(struct memory *m, unsigned int round)
{
	char *mem = some(m, round);

	must(munmap(mem, SOME * page_size), "munmap");
	if (mmap(mem, SOME * page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != mem)
		must(-1, "mmap");
	rewrite(m, round);
}

static void protect(struct memory *m, unsigned int round)
{
	must(mprotect(some(m, round), SOME * page_size, PROT_READ), "mprotect");
	must(mprotect(some(m, round), SOME * page_size, PROT_READ | PROT_WRITE),
	     "mprotect");
}

/* There and back. */
static void move(struct memory *m, unsigned int round)
{
	char *mem = some(m, round), *to = m->place;
	size_t size = SOME * page_size;

	if (mremap(mem, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to ||
	    mremap(to, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, mem) != mem)
		must(-1, "mremap");
	to = mmap(to, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to != m->place)
		must(-1, "mmap");
}

static void drop(struct memory *m, unsigned int round)
{
	must(madvise(some(m, round), SOME * page_size, MADV_DONTNEED),
	     "MADV_DONTNEED");
	rewrite(m, round);
}

/* Where no block of 2^n pages begins, and across where a large one does. */
static void drop_odd(struct memory *m, unsigned int round)
{
	unsigned int first = (round * 8 + 5) % (PAGES - 8), nr = 6;

	must(madvise(m->mem + first * page_size, nr * page_size, MADV_DONTNEED),
	     "MADV_DONTNEED");
	rewrite_pages(m, first, nr);
}

static void reclaim(struct memory *m, unsigned int round)
{
	if (get("/proc/meminfo", "SwapTotal:") <= 0) {
		skip = "no swap, and none on " SWAP_DEVICE;
		return;
	}
	must(madvise(some(m, round), SOME * page_size, MADV_PAGEOUT), "MADV_PAGEOUT");
}

static void forks(struct memory *m, unsigned int round)
{
	pid_t pid;
	int status = -1;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		check_pages("the child", m->mem, PAGES, 1);
		_exit(!ok);
	}
	/* While the child has them, too. */
	some(m, round)[page_size - 1] ^= 1;
	some(m, round)[page_size - 1] ^= 1;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		wrong("the child: %#x", status);
}

/* To a huge page, and in parts again. */
static void collapse(struct memory *m, unsigned int round)
{
	char *start = (char *)((uintptr_t)m->mem & ~(HUGE_SIZE - 1));
	char *outside = start + HUGE_SIZE - page_size;

	(void)round;
	if (madvise(start, HUGE_SIZE, MADV_COLLAPSE) && errno == EINVAL) {
		skip = "no MADV_COLLAPSE in this kernel";
		return;
	}
	sweep(m);
	must(madvise(outside, page_size, MADV_DONTNEED), "MADV_DONTNEED");
}

/* Piece by piece, and every other piece, so that they are many ranges. */
static void drop_pieces(struct memory *m, unsigned int round)
{
	unsigned int i;

	for (i = round & 1; i < PAGES / SOME; i += 2)
		must(madvise(some(m, i), SOME * page_size, MADV_DONTNEED),
		     "MADV_DONTNEED");
	for (i = round & 1; i < PAGES / SOME; i += 2)
		rewrite(m, i);
}

static const struct workload workloads[] = {
	{ .name = "unmap", .rounds = 128, .change = unmap, .better = true },
	{ .name = "protect", .rounds = 128, .change = protect, .better = true },
	{ .name = "move", .rounds = 128, .change = move, .better = true },
	{ .name = "drop", .rounds = 128, .change = drop, .better = true },
	{ .name = "drop-odd", .rounds = 128, .change = drop_odd, .better = true },
	{ .name = "reclaim", .rounds = 64, .change = reclaim },
	{ .name = "fork", .rounds = 32, .change = forks },
	{ .name = "collapse", .rounds = 16, .change = collapse },
	{ .name = "two-threads", .rounds = 64, .change = drop_pieces,
	  .command_us = 50, .two = true },
};

#define NR_WORKLOADS	ARRAY_SIZE(workloads)

/* In the middle of a huge page's place. */
static void memory_init(struct memory *m, uint32_t flags)
{
	unsigned int engine;
	char *mem;

	for (engine = 0; engine < NR_ENGINES; engine++) {
		m->fd[engine] = sva_open();
		must(sva_bind(m->fd[engine], engine, flags, NULL),
		     "BIND");
	}
	mem = map(2 * HUGE_SIZE);
	mem = (char *)(((uintptr_t)mem + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	m->mem = mem + HUGE_SIZE / 4;
	m->copy = map(PAGES * page_size);
	m->place = mmap(NULL, SOME * page_size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->place == MAP_FAILED)
		must(-1, "mmap");
	memset(mem, 1, HUGE_SIZE);
	fill_pages(m->mem, PAGES, 1);
	/* So that all is in the TLBs, also to write. */
	sweep(m);
	sweep(m);
}

struct part {
	const struct workload *w;
	struct memory m;
	unsigned int rounds;
};

static void *run_part(void *arg)
{
	struct part *p = arg;
	unsigned int round;

	for (round = 0; round < p->rounds && ok && !skip; round++) {
		p->w->change(&p->m, round);
		sweep(&p->m);
	}
	return NULL;
}

static void run(const struct workload *w, uint32_t flags, struct result *r)
{
	unsigned int i, nr = w->two ? 2 : 1, rounds = w->rounds * scale / 100 / nr;
	struct sva_stats before = { };
	struct part parts[2];
	pthread_t threads[2];

	for (i = 0; i < nr; i++) {
		parts[i].w = w;
		parts[i].rounds = rounds ? rounds : 1;
		memory_init(&parts[i].m, flags);
	}
	must(sva_setup(parts[0].m.fd[0], w->command_us, 0, 0), "SETUP");
	must(sva_stats(parts[0].m.fd[0], &before), "STATS");
	for (i = 0; i < nr && w->two; i++)
		threads[i] = go(run_part, &parts[i]);
	for (i = 0; i < nr && w->two; i++)
		pthread_join(threads[i], NULL);
	if (!w->two)
		run_part(&parts[0]);
	must(sva_stats(parts[0].m.fd[0], &r->stats), "STATS");
	must(sva_setup(parts[0].m.fd[0], 0, 0, 0), "SETUP");
	sva_subtract(&r->stats, &before);
	is("odd ranges", r->stats.odd_ranges, 0);
	if (!r->stats.callbacks && !skip)
		wrong("nothing was invalidated");
	/* What is flushed as a whole has no pages. */
	if (!(flags & SVA_COARSE) && !r->stats.commands_pasid &&
	    r->stats.pages_covered < r->stats.pages_asked)
		wrong("%llu pages were asked for, and %llu covered",
		      (unsigned long long)r->stats.pages_asked,
		      (unsigned long long)r->stats.pages_covered);
	if (skip)
		snprintf(r->skip, sizeof(r->skip), "%s", skip);
	r->failed = !ok;
	r->valid = ok && !skip;
}

static const struct {
	const char *name;
	uint32_t flags;
} modes[] = {
	{ "coarse", SVA_COARSE },
	{ "block", SVA_ONE_BLOCK },
	{ "precise", 0 },
};

#define NR_MODES	(sizeof(modes) / sizeof(modes[0]))

/* A process each: what it binds is of one mode as a whole. */
static void run_in_child(const struct workload *w, uint32_t flags, struct result *r)
{
	int status = -1;
	pid_t pid;

	r->failed = true;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		ok = true;
		skip = NULL;
		run(w, flags, r);
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		printf("# the process ended with %#x\n", status);
		r->failed = true;
	}
}

static void print_result(const struct workload *w, const char *mode,
			 const struct result *r)
{
	const struct sva_stats *s = &r->stats;

	if (!r->valid)
		return;
#define N(x) ((unsigned long long)(x))
	printf("# sva-demo: %s %s callbacks=%llu flushes=%llu commands=%llu waits=%llu asked=%llu covered=%llu whole=%llu misses=%llu device=%llu requests=%llu combined=%llu\n",
	       w->name, mode, N(s->callbacks), N(s->invalidations), N(s->commands),
	       N(s->waits), N(s->pages_asked), N(s->pages_covered), N(s->whole),
	       N(s->misses), N(s->device_misses), N(s->requests), N(s->combined));
#undef N
}

static void report(const struct workload *w, const struct result r[NR_MODES])
{
	const struct result *coarse = &r[0], *precise = &r[NR_MODES - 1];
	unsigned int mode;
	bool good;

	for (mode = 0; mode < NR_MODES; mode++) {
		print_result(w, modes[mode].name, &r[mode]);
		good = !r[mode].failed;
		if (&r[mode] == precise && w->better && coarse->valid && precise->valid &&
		    precise->stats.misses * 2 > coarse->stats.misses) {
			printf("# precise has to walk for more than half of what coarse has\n");
			good = false;
		}
		if (good && r[mode].skip[0])
			ktap_result(true, "%s %s # SKIP %s", w->name,
				    modes[mode].name, r[mode].skip);
		else
			ktap_result(good, "%s %s", w->name, modes[mode].name);
	}
}

static void usage(void)
{
	unsigned int i;

	printf("usage: sva_demo [-s SCALE] [-w WORKLOAD]\n"
	       "  -s SCALE     how much to do, in percent (100)\n"
	       "  -w WORKLOAD  only this one of:");
	for (i = 0; i < NR_WORKLOADS; i++)
		printf(" %s", workloads[i].name);
	printf("\n");
}

static bool chosen(unsigned int i)
{
	return !only || !strcmp(only, workloads[i].name);
}

int main(int argc, char **argv)
{
	/* It would invalidate now and then, whatever the workload does. */
	long numa = get(NUMA, "");
	bool own_swap = false;
	struct result *r;
	unsigned int i, mode, nr = 0;
	int opt;

	while ((opt = getopt(argc, argv, "s:w:h")) != -1) {
		switch (opt) {
		case 's':
			scale = natural(opt, optarg, 1, 10000);
			break;
		case 'w':
			only = optarg;
			break;
		default:
			usage();
			return opt == 'h' ? 0 : 2;
		}
	}
	page_size = sysconf(_SC_PAGESIZE);
	for (i = 0; i < NR_WORKLOADS; i++)
		nr += chosen(i);
	if (!nr || optind < argc) {
		usage();
		return 2;
	}
	r = (struct result *)map_shared(NR_MODES * NR_WORKLOADS * sizeof(*r));
	if (get("/proc/meminfo", "SwapTotal:") <= 0)
		own_swap = !swap_on_ram_disk();
	if (numa > 0)
		put_number(NUMA, 0);

	ktap_plan(NR_MODES * nr);
	for (i = 0; i < NR_WORKLOADS; i++) {
		if (!chosen(i))
			continue;
		for (mode = 0; mode < NR_MODES; mode++)
			run_in_child(&workloads[i], modes[mode].flags,
				     &r[NR_MODES * i + mode]);
		report(&workloads[i], &r[NR_MODES * i]);
	}
	if (numa > 0)
		put_number(NUMA, numa);
	if (own_swap)
		swapoff(SWAP_DEVICE);
	return ktap_exit();
}
