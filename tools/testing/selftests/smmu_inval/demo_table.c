// SPDX-License-Identifier: GPL-2.0
/*
 * The table at the end: what each phase cost, coarse and precise.
 */
#include <stdio.h>

#include "demo.h"

static const char *const event_names[GPU_HMM_NR_EVENTS] = {
	[GPU_HMM_EVENT_UNMAP] = "UNMAP",
	[GPU_HMM_EVENT_CLEAR] = "CLEAR",
	[GPU_HMM_EVENT_PROTECTION_VMA] = "PROTECTION_VMA",
	[GPU_HMM_EVENT_PROTECTION_PAGE] = "PROTECTION_PAGE",
	[GPU_HMM_EVENT_SOFT_DIRTY] = "SOFT_DIRTY",
	[GPU_HMM_EVENT_RELEASE] = "RELEASE",
	[GPU_HMM_EVENT_MIGRATE] = "MIGRATE",
	[GPU_HMM_EVENT_EXCLUSIVE] = "EXCLUSIVE",
	[GPU_HMM_EVENT_DRIVER] = "(driver)",
	[GPU_HMM_EVENT_TLB] = "(TLB)",
};

/* Five characters, whatever it is. */
static void print_number(uint64_t n)
{
	static const char unit[] = " kMGTP";
	double x = n;
	int i;

	if (n < 100000) {
		printf(" %5llu", (unsigned long long)n);
		return;
	}
	for (i = 0; x >= 1000 && unit[i + 1]; i++)
		x /= 1000;
	printf(x < 99.95 ? " %4.1f%c" : " %4.0f%c", x, unit[i]);
}

static void print_cell(const struct result *r, uint64_t n)
{
	if (r->valid)
		print_number(n);
	else
		printf("     -");
}

static void print_pair(const struct result r[2], uint64_t coarse,
		       uint64_t precise)
{
	print_cell(&r[0], coarse);
	print_cell(&r[1], precise);
	printf(" |");
}

/* Pages flushed, unless they were all that there are, each time. */
static void print_flushed(const struct result *r,
			  const struct gpu_hmm_event_stats *e)
{
	if (r->valid && e->changed && r->stats.flushes == r->stats.flushes_all)
		printf("   all");
	else
		print_cell(r, e->flushed);
}

static void print_event(const struct result r[2], unsigned int i)
{
	const struct gpu_hmm_event_stats *c = &r[0].stats.event[i];
	const struct gpu_hmm_event_stats *p = &r[1].stats.event[i];

	print_pair(r, c->callbacks, p->callbacks);
	print_pair(r, c->asked, p->asked);
	print_pair(r, c->changed, p->changed);
	print_flushed(&r[0], c);
	print_flushed(&r[1], p);
	printf(" |");
}

static void print_phase(const char *name, const struct result r[2])
{
	bool first = true;
	unsigned int i;

	for (i = 0; i < GPU_HMM_NR_EVENTS; i++) {
		if (!r[0].stats.event[i].callbacks &&
		    !r[1].stats.event[i].callbacks)
			continue;
		printf("%-10s %-15s |", first ? name : "", event_names[i]);
		print_event(r, i);
		if (first) {
			print_pair(r, r[0].stats.flushes, r[1].stats.flushes);
			print_pair(r, r[0].refaults, r[1].refaults);
			print_pair(r, r[0].stats.retries_false,
				   r[1].stats.retries_false);
			print_pair(r, r[0].ms, r[1].ms);
		}
		printf("\n");
		first = false;
	}
}

static void print_line(void)
{
	unsigned int i;

	printf("---------------------------+");
	for (i = 0; i < 8; i++)
		printf("-------------+");
	printf("\n");
}

static void add(struct result *sum, const struct result *r)
{
	unsigned int i;

	if (!r->valid)
		return;
	sum->valid = true;
	for (i = 0; i < GPU_HMM_NR_EVENTS; i++) {
		const struct gpu_hmm_event_stats *e = &r->stats.event[i];

		sum->stats.event[0].callbacks += e->callbacks;
		sum->stats.event[0].asked += e->asked;
		sum->stats.event[0].changed += e->changed;
		sum->stats.event[0].flushed += e->flushed;
	}
	sum->stats.flushes += r->stats.flushes;
	sum->stats.flushes_all += r->stats.flushes_all;
	sum->stats.retries_false += r->stats.retries_false;
	sum->refaults += r->refaults;
	sum->ms += r->ms;
}

/* Of each phase, the coarse result and then the precise one. */
void table_print(struct result (*results)[2])
{
	static const char *const columns[] = {
		"callbacks", "pages asked", "changed", "flushed",
		"flushes", "GPU refaults", "false retry", "time in ms",
	};
	struct result sum[2] = { };
	unsigned int i;

	putchar('\n');
	printf("In each column: the driver coarse, as drivers are today, and precise\n");
	print_line();
	printf("%-10s %-15s |", "phase", "event");
	for (i = 0; i < 8; i++)
		printf(" %11s |", columns[i]);
	printf("\n%26s |", "");
	for (i = 0; i < 8; i++)
		printf(" coars  prec |");
	printf("\n");
	print_line();
	for (i = 0; i < nr_phases; i++) {
		if (!results[i][0].valid && !results[i][1].valid)
			continue;
		print_phase(phases[i].name, results[i]);
		add(&sum[0], &results[i][0]);
		add(&sum[1], &results[i][1]);
	}
	print_line();
	printf("%-26s |", "sum");
	print_event(sum, 0);
	print_pair(sum, sum[0].stats.flushes, sum[1].stats.flushes);
	print_pair(sum, sum[0].refaults, sum[1].refaults);
	print_pair(sum, sum[0].stats.retries_false, sum[1].stats.retries_false);
	print_pair(sum, sum[0].ms, sum[1].ms);
	printf("\n");
	print_line();
}
