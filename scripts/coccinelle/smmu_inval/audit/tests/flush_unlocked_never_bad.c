// SPDX-License-Identifier: GPL-2.0
/* Cleared in the driver's table, and the device is not told. */
#include <linux/mmu_notifier.h>

static void toy_clear(struct toy *toy, unsigned long start, unsigned long end)
{
	unsigned long i;

	for (i = start; i < end; i++)
		WRITE_ONCE(toy->entries[i], 0);	/* audit: flush_unlocked */
}

static int toy_start(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
	struct toy *toy = to_toy(mn);

	spin_lock(&toy->lock);
	toy_clear(toy, range->start >> PAGE_SHIFT, range->end >> PAGE_SHIFT);
	spin_unlock(&toy->lock);
	return 0;
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_start,
};
