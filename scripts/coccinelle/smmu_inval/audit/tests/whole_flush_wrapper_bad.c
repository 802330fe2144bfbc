// SPDX-License-Identifier: GPL-2.0
/* The call of the driver's flush is reported, not the flush itself. */
#include <linux/mmu_notifier.h>

static void toy_flush_tlbs(struct toy *toy)
{
	if (toy_hw_flush_tlb_all(toy))
		toy->flushes++;
}

static int toy_start(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
	struct toy *toy = to_toy(mn);

	spin_lock(&toy->lock);
	toy_unmap(toy, range->start, range->end);
	toy_flush_tlbs(toy);	/* audit: whole_flush */
	spin_unlock(&toy->lock);
	return 0;
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_start,
};
