// SPDX-License-Identifier: GPL-2.0
/* The flush is told where, whatever its name. */
#include <linux/mmu_notifier.h>

static void toy_invalidate_secondary_tlbs(struct mmu_notifier *mn,
					  struct mm_struct *mm,
					  unsigned long start, unsigned long end)
{
	struct toy *toy = to_toy(mn);
	unsigned long pages = (end - start) >> PAGE_SHIFT;

	toy_queue_flush_iotlb(toy, toy->pasid, start, pages, false);
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.arch_invalidate_secondary_tlbs = toy_invalidate_secondary_tlbs,
};
