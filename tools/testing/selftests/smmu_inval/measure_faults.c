// SPDX-License-Identifier: GPL-2.0
/*
 * What a fault of the GPU costs while the process changes other memory without
 * a pause, in the same notifier: with the library, and with the sequence number
 * of the notifier alone, as drivers do without it.
 *
 *	| changed | faulted | changed |		2 MiB
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gpu.h"
#include "measure.h"

#define FAULT_US	100
#define SLICE_US	250000
/* A fault that takes longer is let through, and counted. */
#define LIMIT_US	1000000
/*
 * The library's worst fault. It has to be clear of LIMIT_US, and of what a
 * scheduler tick more, or a host that does something else for a while, costs.
 */
#define WORST_US	500000

#define QUIET_PAGES	32
#define CHURN_PAGES	64	/* on each side */

static struct mode {
	const char *notifiers;
	const char *check;
	unsigned int flags;
	int fd;
	struct samples samples;
	uint64_t us;
	uint64_t retries;
	uint64_t callbacks;
	uint64_t overflows;
	unsigned int given_up;
	unsigned int failed;
} modes[] = {
	{ .notifiers = "one", .check = "library" },
	{ .notifiers = "one", .check = "stock", .flags = GPU_HMM_STOCK },
	{ .notifiers = "per 2 MiB", .check = "library",
	  .flags = GPU_HMM_RANGES },
	{ .notifiers = "per 2 MiB", .check = "stock",
	  .flags = GPU_HMM_RANGES | GPU_HMM_STOCK },
};

static char *area, *quiet;
static atomic_bool stop, run;
/* When the fault began that is in progress; 0 if there is none. */
static atomic_ulong fault_start;
static atomic_bool let_through;

/* A place to change, of one or two pages, before or behind what is faulted. */
static char *churn_place(unsigned int *seed, size_t *size)
{
	unsigned int page = rand_r(seed) % (CHURN_PAGES - 1);
	char *base = rand_r(seed) & 1 ? area : quiet + QUIET_PAGES * page_size;

	*size = (1 + rand_r(seed) % 2) * page_size;
	return base + page * page_size;
}

static void churn_once(unsigned int *seed)
{
	size_t size;
	char *at = churn_place(seed, &size);

	/* There has to be something, or nobody is told. */
	memset(at, 1, size);
	if (rand_r(seed) % 4) {
		madvise(at, size, MADV_DONTNEED);
		return;
	}
	munmap(at, size);
	if (mmap(at, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		problem("mmap: %s", strerror(errno));
}

static void *churn(void *arg)
{
	unsigned int seed = 1;

	(void)arg;
	while (!atomic_load(&stop)) {
		uint64_t start = atomic_load(&fault_start);

		if (start && now_us() - start > LIMIT_US)
			atomic_store(&let_through, true);
		if (!atomic_load(&run) || atomic_load(&let_through)) {
			usleep(1000);
			continue;
		}
		churn_once(&seed);
	}
	return NULL;
}

static void one_fault(struct mode *m, char *at)
{
	uint64_t start = now_us();
	int err;

	atomic_store(&fault_start, start);
	err = gpu_prefetch(m->fd, at, page_size, 1);
	atomic_store(&fault_start, 0);
	if (err)
		m->failed++;
	samples_add(&m->samples, now_us() - start);
	if (atomic_exchange(&let_through, false))
		m->given_up++;
}

static uint64_t callbacks(const struct gpu_hmm_stats *stats)
{
	return stats->event[GPU_HMM_EVENT_UNMAP].callbacks +
	       stats->event[GPU_HMM_EVENT_CLEAR].callbacks;
}

/* Nothing but faults, for a while. */
static void one_slice(struct mode *m)
{
	struct gpu_hmm_stats before = { }, after = { };
	uint64_t start = now_us(), end = start + SLICE_US;
	unsigned int page = 0;

	gpu_stats(m->fd, &before);
	atomic_store(&run, true);
	while (now_us() < end) {
		if (!page && gpu_evict(m->fd, quiet, QUIET_PAGES * page_size))
			problem("EVICT: %s", strerror(errno));
		one_fault(m, quiet + page * page_size);
		page = (page + 1) % QUIET_PAGES;
	}
	atomic_store(&run, false);
	gpu_stats(m->fd, &after);
	m->us += now_us() - start;
	m->retries += after.fault_retries - before.fault_retries;
	m->callbacks += callbacks(&after) - callbacks(&before);
	m->overflows += after.overflows - before.overflows;
}

static bool prepare(void)
{
	size_t size = (2 * CHURN_PAGES + QUIET_PAGES) * page_size;
	unsigned int i;
	uintptr_t at;

	area = mmap(NULL, 2 * GPU_HMM_RANGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return false;
	at = ((uintptr_t)area + GPU_HMM_RANGE_SIZE - 1) &
	     ~(GPU_HMM_RANGE_SIZE - 1);
	area = (char *)at;
	quiet = area + CHURN_PAGES * page_size;
	madvise(area, GPU_HMM_RANGE_SIZE, MADV_NOHUGEPAGE);
	memset(area, 1, size);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		struct mode *m = &modes[i];

		m->fd = gpu_open();
		/* A notifier's first fault has to look what is going on. */
		if (m->fd < 0 || gpu_setup(m->fd, m->flags, FAULT_US, 0) ||
		    gpu_prefetch(m->fd, quiet, QUIET_PAGES * page_size, 1)) {
			problem("GPU: %s", strerror(errno));
			return false;
		}
	}
	return true;
}

static uint64_t worst(struct mode *m)
{
	return samples_percentile(&m->samples, 100);
}

static void print_line(void)
{
	unsigned int i;

	printf("----------+---------+");
	for (i = 0; i < 8; i++)
		printf("---------+");
	printf("\n");
}

static void print_table(void)
{
	static const char *const columns[] = {
		"changes", "faults", "per s", "retries", "median", "99 %",
		"worst", "over 1s",
	};
	unsigned int i;

	printf("\nFaults of a GPU, %u us each without disturbance, beside memory that changes\n"
	       "without a pause; times in ms:\n", FAULT_US);
	print_line();
	printf("notifiers | checks  |");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		printf(" %7s |", columns[i]);
	printf("\n");
	print_line();
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		struct mode *m = &modes[i];

		printf("%-9s | %-7s | %7llu | %7zu | %7.0f | %7llu |",
		       m->notifiers, m->check, (unsigned long long)m->callbacks,
		       m->samples.nr, m->samples.nr * 1e6 / m->us,
		       (unsigned long long)m->retries);
		printf(" %7.2f | %7.1f | %7.0f | %7u |\n",
		       samples_percentile(&m->samples, 50) / 1000.0,
		       samples_percentile(&m->samples, 99) / 1000.0,
		       worst(m) / 1000.0, m->given_up);
		if (m->failed)
			problem("%u of these failed", m->failed);
	}
	printf("\n");
}

/*
 * A notifier of 2 MiB remembers 64 changes, and not 256. A fault that had no CPU
 * for longer than these has to start again, and the library says so.
 */
static bool few_retries(const struct mode *m)
{
	if (!(m->flags & GPU_HMM_RANGES))
		return !m->retries;
	return m->retries <= m->overflows && m->retries * 100 <= m->samples.nr;
}

static void judge(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		struct mode *m = &modes[i];

		if (m->flags & GPU_HMM_STOCK)
			continue;
		result(few_retries(m) && m->callbacks && !m->failed,
		       "%s, notifiers %s: no retry for what does not overlap",
		       m->check, m->notifiers);
		result(worst(m) < WORST_US,
		       "%s, notifiers %s: no fault takes %u ms", m->check,
		       m->notifiers, WORST_US / 1000);
	}
}

bool measure_faults(unsigned int rounds)
{
	unsigned int round, i;
	pthread_t thread;

	if (!prepare() || pthread_create(&thread, NULL, churn, NULL))
		return false;
	for (round = 0; round < rounds; round++)
		for (i = 0; i < ARRAY_SIZE(modes); i++)
			one_slice(&modes[i]);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	print_table();
	judge();
	return true;
}
