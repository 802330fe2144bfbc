// SPDX-License-Identifier: GPL-2.0
/* From the lowest to the highest. */
#include <linux/mmu_notifier.h>

static int toy_start(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
	struct toy *toy = to_toy(mn);

	spin_lock(&toy->lock);
	toy->pending++;
	toy->lowest = min(toy->lowest, range->start);	/* audit: hull */
	toy->highest = max(toy->highest, range->end);
	spin_unlock(&toy->lock);
	return 0;
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_start,
};
