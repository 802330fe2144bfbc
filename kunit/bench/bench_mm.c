// SPDX-License-Identifier: GPL-2.0
/*
 * Core mm's side of mmu_notifiers, on the address space of whoever reads the
 * file: its start and end, around nothing.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "bench.h"

static struct mmu_notifier_range *open_ranges;

static void range_init(struct mmu_notifier_range *range, u64 start, u64 last)
{
	/* mmu_notifier_range_init() wants a VMA, too, before 6.2. */
	*range = (struct mmu_notifier_range) {
		.event = MMU_NOTIFY_CLEAR,
		.mm = current->mm,
		.start = start,
		.end = last + 1,
	};
}

void bench_mm_close(unsigned int pending)
{
	while (pending--)
		mmu_notifier_invalidate_range_end(&open_ranges[pending]);
	kvfree(open_ranges);
}

int bench_mm_open(unsigned int pending)
{
	unsigned int i;

	open_ranges = kvcalloc(pending + 1, sizeof(*open_ranges), GFP_KERNEL);
	if (!open_ranges)
		return -ENOMEM;
	for (i = 0; i < pending; i++) {
		range_init(&open_ranges[i], bench_pending_start(i),
			   bench_pending_last(i));
		mmu_notifier_invalidate_range_start(&open_ranges[i]);
	}
	return 0;
}

unsigned long bench_mm_begin_end(unsigned int loops)
{
	struct mmu_notifier_range range;
	unsigned int i;
	u64 start;

	for (i = 0; i < loops; i++) {
		start = bench_free_page(i);
		range_init(&range, start, start | ~PAGE_MASK);
		mmu_notifier_invalidate_range_start(&range);
		mmu_notifier_invalidate_range_end(&range);
	}
	return loops;
}
