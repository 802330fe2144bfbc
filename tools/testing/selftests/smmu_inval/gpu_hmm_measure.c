// SPDX-License-Identifier: GPL-2.0
/*
 * gpu_hmm_measure: two tables. What an invalidation costs when several GPUs
 * follow the process, and what a fault costs beside invalidations that have
 * nothing to do with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "gpu.h"
#include "ktap.h"
#include "measure.h"
#include "natural.h"

size_t page_size;

uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

void problem(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void result(bool ok, const char *fmt, ...)
{
	char text[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ktap_result(ok, "%s", text);
}

void samples_add(struct samples *s, uint64_t us)
{
	/* Once, as a rule: what the allocator maps is a change of memory, too. */
	if (s->nr == s->room) {
		s->room = s->room ? 2 * s->room : 65536;
		s->us = realloc(s->us, s->room * sizeof(*s->us));
		if (!s->us) {
			perror("realloc");
			exit(2);
		}
	}
	s->us[s->nr++] = us;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t samples_percentile(struct samples *s, unsigned int percent)
{
	if (!s->nr)
		return 0;
	qsort(s->us, s->nr, sizeof(*s->us), compare);
	return s->us[(s->nr - 1) * percent / 100];
}

static void usage(void)
{
	puts("gpu_hmm_measure [-i ROUNDS] [-f ROUNDS]\n"
	     "  -i ROUNDS  of invalidations (15)\n"
	     "  -f ROUNDS  of faults, one second each or more (6)");
}

int main(int argc, char **argv)
{
	unsigned int invalidations = 15, faults = 6;
	struct utsname uts;
	int opt;

	while ((opt = getopt(argc, argv, "i:f:h")) != -1) {
		switch (opt) {
		case 'i':
			invalidations = natural(opt, optarg, 1, 10000);
			break;
		case 'f':
			faults = natural(opt, optarg, 1, 10000);
			break;
		default:
			usage();
			return opt == 'h' ? 0 : 2;
		}
	}
	if (optind < argc || uname(&uts)) {
		usage();
		return 2;
	}
	page_size = sysconf(_SC_PAGESIZE);
	ktap_plan(8);
	printf("# Linux %s, %ld CPUs, %u GPUs\n", uts.release,
	       sysconf(_SC_NPROCESSORS_ONLN), gpu_count());
	if (!measure_flush(invalidations))
		result(false, "invalidations: not measured");
	if (!measure_faults(faults))
		result(false, "faults: not measured");
	return ktap_exit();
}
