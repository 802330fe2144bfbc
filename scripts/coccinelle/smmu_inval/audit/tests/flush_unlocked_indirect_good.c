// SPDX-License-Identifier: GPL-2.0
/* The device is told through a table of functions; a fault path clears, too. */
#include <linux/mmu_notifier.h>

static int toy_start(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
	struct toy *toy = to_toy(mn);

	spin_lock(&toy->lock);
	xa_erase(&toy->entries, range->start >> PAGE_SHIFT);
	toy->ops->shoot_down(toy, range->start, range->end);
	spin_unlock(&toy->lock);
	return 0;
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_start,
};

static void toy_reset(struct toy *toy)
{
	memset(toy->entries, 0, sizeof(toy->entries));
}
