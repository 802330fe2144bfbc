// SPDX-License-Identifier: GPL-2.0
/*
 * gpu_hmm_demo: a process changes its memory in every way there is, while the
 * software GPU works on it. Every word that the GPU reads, and every word that
 * it writes, is checked; what is stale or lost fails. Each phase runs twice: with
 * the driver's invalidation coarse, as drivers are today, and precise.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "ktap.h"
#include "natural.h"

static unsigned int scale = 100;
static unsigned int fault_delay_us = 100;
static const char *only_phase;

static unsigned int now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What happened between two readings. All of it are counters of 64 bits. */
static void subtract(struct gpu_hmm_stats *after,
		     const struct gpu_hmm_stats *before)
{
	const size_t head = offsetof(struct gpu_hmm_stats, event);
	const uint64_t *from = (const void *)((const char *)before + head);
	uint64_t *to = (void *)((char *)after + head);
	size_t i;

	for (i = 0; i < (sizeof(*after) - head) / sizeof(*to); i++)
		to[i] -= from[i];
}

static void run_rounds(const struct phase *phase, struct result *result)
{
	unsigned int rounds = phase->rounds * scale / 100, i, start;
	struct gpu_hmm_stats before;

	/* Each chunk at least twice; without chunks at least twice, too. */
	if (rounds < 2)
		rounds = 2;
	if (memory_warm_up() || gpu_stats(demo.fd, &before)) {
		fail("cannot warm up: %s", strerror(errno));
		return;
	}
	start = now_ms();
	threads_start();
	for (i = 0; i < rounds && !atomic_load(&demo.failures); i++)
		phase->round(i);
	threads_stop();
	result->ms = now_ms() - start;
	if (gpu_stats(demo.fd, &result->stats))
		fail("STATS: %s", strerror(errno));
	subtract(&result->stats, &before);
	result->refaults = result->stats.fault_pages -
			   atomic_load(&demo.streamed);
	verify_all();
	verify_counters();
}

/* Return why it was skipped, or NULL. */
static const char *run_phase(const struct phase *phase, bool coarse,
			     struct result *result)
{
	const char *why = NULL;

	demo.phase = phase->name;
	demo.coarse = coarse;
	demo.same = phase->same;
	atomic_store(&demo.failures, 0);
	demo.fd = gpu_open();
	if (demo.fd < 0) {
		fail("%s: %s", GPU_HMM_PATH, strerror(errno));
		return NULL;
	}
	if (gpu_setup(demo.fd, coarse ? GPU_HMM_COARSE : 0, fault_delay_us, 0) ||
	    memory_map(phase->shared))
		fail("%s", strerror(errno));
	else if (phase->prepare)
		why = phase->prepare();
	if (!why && !atomic_load(&demo.failures)) {
		run_rounds(phase, result);
		if (phase->finish)
			why = phase->finish();
		printf("# %-10s %-7s %4u ms: GPU commands: %lu on changing memory, %lu counted, %lu on the rest; %llu faults started again\n",
		       phase->name, coarse ? "coarse" : "precise", result->ms,
		       atomic_load(&demo.reads), atomic_load(&demo.adds),
		       atomic_load(&demo.steady) + atomic_load(&demo.streamed),
		       (unsigned long long)result->stats.fault_retries);
	}
	memory_unmap();
	close(demo.fd);
	return why;
}

static void usage(void)
{
	unsigned int i;

	printf("usage: gpu_hmm_demo [-s SCALE] [-d DELAY] [-p PHASE]\n"
	       "  -s SCALE  how much to do, in percent (100)\n"
	       "  -d DELAY  how long a fault of the GPU takes, in us (100)\n"
	       "  -p PHASE  only this one of:");
	for (i = 0; i < nr_phases; i++)
		printf(" %s", phases[i].name);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct result (*results)[2];
	unsigned int i, nr = 0, start = now_ms();
	int opt, mode;

	while ((opt = getopt(argc, argv, "s:d:p:h")) != -1) {
		switch (opt) {
		case 's':
			scale = natural(opt, optarg, 1, 10000);
			break;
		case 'd':
			fault_delay_us = natural(opt, optarg, 0, GPU_HMM_MAX_DELAY_US);
			break;
		case 'p':
			only_phase = optarg;
			break;
		default:
			usage();
			return opt == 'h' ? 0 : 2;
		}
	}
	for (i = 0; i < nr_phases; i++)
		if (!only_phase || !strcmp(only_phase, phases[i].name))
			nr++;
	results = calloc(nr_phases, sizeof(*results));
	if (!nr || optind < argc || !results) {
		usage();
		return 2;
	}
	if (memory_init()) {
		perror("mmap");
		return 2;
	}

	ktap_plan(2 * nr);
	for (i = 0; i < nr_phases; i++) {
		if (only_phase && strcmp(only_phase, phases[i].name))
			continue;
		for (mode = 0; mode < 2; mode++) {
			struct result *result = &results[i][mode];
			const char *why = run_phase(&phases[i], !mode, result);
			const char *name = mode ? "precise" : "coarse";

			if (atomic_load(&demo.failures))
				ktap_result(false, "%s %s", phases[i].name,
					    name);
			else if (why)
				ktap_result(true, "%s %s # SKIP %s",
					    phases[i].name, name, why);
			else
				ktap_result(true, "%s %s", phases[i].name,
					    name);
			result->valid = !atomic_load(&demo.failures) && !why;
		}
	}
	phases_cleanup();
	table_print(results);
	printf("# %u ms in all, %d failed\n", now_ms() - start, ktap_failed);
	return ktap_exit();
}
