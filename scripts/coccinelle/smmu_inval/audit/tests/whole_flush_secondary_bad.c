// SPDX-License-Identifier: GPL-2.0
/* A secondary TLB: more than a page is taken for everything. */
#include <linux/mmu_notifier.h>

static void toy_invalidate_secondary_tlbs(struct mmu_notifier *mn,
					  struct mm_struct *mm,
					  unsigned long start, unsigned long end)
{
	struct toy *toy = to_toy(mn);

	if (end - start <= PAGE_SIZE)
		toy_flush_tlb(toy, start);
	else
		toy_flush_tlb(toy, 0);	/* audit: whole_flush */
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.arch_invalidate_secondary_tlbs = toy_invalidate_secondary_tlbs,
};
