// SPDX-License-Identifier: GPL-2.0
/*
 * What is as precise as the library without it: a mmu_interval_notifier for each range,
 * as drivers have them for each buffer. Here there is one for each range that is
 * pending, and one for what lies between it and the next.
 *
 * A fault is told its notifier for nothing: a driver would have to look for it.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "bench.h"

static struct mmu_interval_notifier *notifiers;
static unsigned int nr_notifiers;

/* Of a page that bench_free_page() returned */
static struct mmu_interval_notifier *notifier_at(u64 page)
{
	return &notifiers[2 * ((page - BENCH_BASE) /
			       (BENCH_STRIDE << PAGE_SHIFT)) + 1];
}

static void remove_all(void)
{
	while (nr_notifiers)
		mmu_interval_notifier_remove(&notifiers[--nr_notifiers]);
	kvfree(notifiers);
}

static int open(unsigned int pending)
{
	unsigned int i, wanted = 2 * max(pending, 1U);
	u64 start, last;
	int ret = 0;

	nr_notifiers = 0;
	notifiers = kvcalloc(wanted, sizeof(*notifiers), GFP_KERNEL);
	if (!notifiers)
		return -ENOMEM;
	for (i = 0; !ret && i < wanted; i++) {
		start = bench_pending_start(i / 2);
		last = bench_pending_last(i / 2);
		if (i & 1) {
			start = last + 1;
			last = bench_pending_start(i / 2 + 1) - 1;
		}
		ret = mmu_interval_notifier_insert(&notifiers[i], current->mm,
						   start, last - start + 1,
						   &bench_notifier_ops);
		if (!ret)
			nr_notifiers++;
	}
	if (!ret)
		ret = bench_mm_open(pending);
	if (ret)
		remove_all();
	return ret;
}

static void close(unsigned int pending)
{
	bench_mm_close(pending);
	remove_all();
}

static unsigned long retry_held(unsigned int loops)
{
	unsigned long seq = mmu_interval_read_begin(&notifiers[1]), passed = 0;
	unsigned int i;

	/* They were never hit, and inserted at the same time. */
	read_lock(&bench_lock);
	for (i = 0; i < loops; i++) {
		passed += !mmu_interval_read_retry(notifier_at(bench_free_page(i)),
						   seq);
		barrier();
	}
	read_unlock(&bench_lock);
	return passed;
}

static unsigned long fault(unsigned int loops)
{
	struct mmu_interval_notifier *mni;
	unsigned long seq, passed = 0;
	unsigned int i;

	for (i = 0; i < loops; i++) {
		mni = notifier_at(bench_free_page(i));
		seq = mmu_interval_read_begin(mni);
		read_lock(&bench_lock);
		passed += !mmu_interval_read_retry(mni, seq);
		read_unlock(&bench_lock);
	}
	return passed;
}

const struct bench_scheme bench_notifiers = {
	.name = "notifiers",
	.open = open,
	.close = close,
	.run = {
		[BENCH_BEGIN_END] = bench_mm_begin_end,
		[BENCH_RETRY_HELD] = retry_held,
		[BENCH_FAULT] = fault,
	},
};
