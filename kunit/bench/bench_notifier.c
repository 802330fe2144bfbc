// SPDX-License-Identifier: GPL-2.0
/*
 * The other peer: a plain mmu_interval_notifier, as its documentation has it. The
 * callback takes the driver's lock and sets the sequence.
 *
 * mmu_interval_read_begin() waits as long as anything is pending once the
 * notifier was hit, so the faults here are in a second notifier, which nothing
 * ever hits: they cost what they cost at best.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched.h>

#include "bench.h"

static struct mmu_interval_notifier hit, aside;

static bool invalidate(struct mmu_interval_notifier *mni,
		       const struct mmu_notifier_range *range,
		       unsigned long cur_seq)
{
	write_lock(&bench_lock);
	mmu_interval_set_seq(mni, cur_seq);
	write_unlock(&bench_lock);
	return true;
}

const struct mmu_interval_notifier_ops bench_notifier_ops = {
	.invalidate = invalidate,
};

static int open(unsigned int pending)
{
	int ret;

	ret = mmu_interval_notifier_insert(&hit, current->mm, BENCH_BASE,
					   BENCH_LAST - BENCH_BASE + 1,
					   &bench_notifier_ops);
	if (ret)
		return ret;
	ret = mmu_interval_notifier_insert(&aside, current->mm, BENCH_LAST + 1,
					   PAGE_SIZE, &bench_notifier_ops);
	if (ret)
		goto remove_hit;
	ret = bench_mm_open(pending);
	if (!ret)
		return 0;
	mmu_interval_notifier_remove(&aside);
remove_hit:
	mmu_interval_notifier_remove(&hit);
	return ret;
}

static void close(unsigned int pending)
{
	bench_mm_close(pending);
	mmu_interval_notifier_remove(&aside);
	mmu_interval_notifier_remove(&hit);
}

static unsigned long read_begin(unsigned int loops)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < loops; i++)
		sum += mmu_interval_read_begin(&aside);
	OPTIMIZER_HIDE_VAR(sum);
	return loops;
}

static unsigned long retry_held(unsigned int loops)
{
	unsigned long seq = mmu_interval_read_begin(&aside), passed = 0;
	unsigned int i;

	read_lock(&bench_lock);
	for (i = 0; i < loops; i++) {
		bench_free_page(i);
		passed += !mmu_interval_read_retry(&aside, seq);
		barrier();
	}
	read_unlock(&bench_lock);
	return passed;
}

static unsigned long fault(unsigned int loops)
{
	unsigned long seq, passed = 0;
	unsigned int i;

	for (i = 0; i < loops; i++) {
		seq = mmu_interval_read_begin(&aside);
		bench_free_page(i);
		read_lock(&bench_lock);
		passed += !mmu_interval_read_retry(&aside, seq);
		read_unlock(&bench_lock);
	}
	return passed;
}

const struct bench_scheme bench_notifier = {
	.name = "notifier",
	.open = open,
	.close = close,
	.run = {
		[BENCH_BEGIN_END] = bench_mm_begin_end,
		[BENCH_READ_BEGIN] = read_begin,
		[BENCH_RETRY_HELD] = retry_held,
		[BENCH_FAULT] = fault,
	},
};
