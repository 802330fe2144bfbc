// SPDX-License-Identifier: GPL-2.0
/*
 * The library's binding to interval notifiers, in the place of the plain one in
 * bench_notifier.c. Here the faults are in the notifier that is hit.
 */
#include <linux/sched.h>

#include "bench.h"

static struct smmu_inval si;
static struct smmu_inval_interval ival;

static void no_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		   const struct smmu_inval_span *span)
{
}

static void no_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
}

static const struct smmu_inval_ops ops = { .zap = no_zap, .flush = no_flush };

static int open(unsigned int pending)
{
	struct smmu_inval_config cfg = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "bench",
		.lock = SMMU_INVAL_LOCK(&bench_lock),
	};
	int ret;

	ret = smmu_inval_init(&si, &ops, &cfg);
	if (ret)
		return ret;
	ret = smmu_inval_interval_insert(&ival, &si, current->mm, BENCH_BASE,
					 BENCH_LAST, 64);
	if (ret)
		goto destroy;
	/* A new interval is settled by the first wait. */
	ret = smmu_inval_interval_wait(&ival, BENCH_BASE, BENCH_LAST);
	if (!ret)
		ret = bench_mm_open(pending);
	if (!ret)
		return 0;
	smmu_inval_interval_remove(&ival);
destroy:
	smmu_inval_destroy(&si);
	return ret;
}

static void close(unsigned int pending)
{
	bench_mm_close(pending);
	smmu_inval_interval_remove(&ival);
	smmu_inval_destroy(&si);
}

static unsigned long read_begin(unsigned int loops)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < loops; i++)
		sum += smmu_inval_interval_read_begin(&ival).si;
	OPTIMIZER_HIDE_VAR(sum);
	return loops;
}

static unsigned long retry_held(unsigned int loops)
{
	struct smmu_inval_cookie cookie = smmu_inval_interval_read_begin(&ival);
	unsigned long passed = 0;
	unsigned int i;
	u64 start;

	read_lock(&bench_lock);
	for (i = 0; i < loops; i++) {
		start = bench_free_page(i);
		passed += !smmu_inval_interval_read_retry(&ival, cookie, start,
							  start | ~PAGE_MASK);
		barrier();
	}
	read_unlock(&bench_lock);
	return passed;
}

static unsigned long fault(unsigned int loops)
{
	struct smmu_inval_cookie cookie;
	unsigned long passed = 0;
	unsigned int i;
	u64 start;

	for (i = 0; i < loops; i++) {
		cookie = smmu_inval_interval_read_begin(&ival);
		start = bench_free_page(i);
		read_lock(&bench_lock);
		passed += !smmu_inval_interval_read_retry(&ival, cookie, start,
							  start | ~PAGE_MASK);
		read_unlock(&bench_lock);
	}
	return passed;
}

const struct bench_scheme bench_interval = {
	.name = "interval",
	.open = open,
	.close = close,
	.run = {
		[BENCH_BEGIN_END] = bench_mm_begin_end,
		[BENCH_READ_BEGIN] = read_begin,
		[BENCH_RETRY_HELD] = retry_held,
		[BENCH_FAULT] = fault,
	},
};
