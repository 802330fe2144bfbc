// SPDX-License-Identifier: GPL-2.0-only
/* What secondary_tlb.cocci leaves alone. */
#include <linux/mmu_notifier.h>

/* The callback looks at the mm. */
struct lens {
	struct mmu_notifier mn;
};

static void lens_invalidate(struct mmu_notifier *mn, struct mm_struct *mm,
			    unsigned long start, unsigned long end)
{
	struct lens *lens = container_of(mn, struct lens, mn);

	lens_flush(lens, mm->context.id, start, end);
}

static const struct mmu_notifier_ops lens_mn_ops = {
	.arch_invalidate_secondary_tlbs = lens_invalidate,
};

int lens_open(struct lens *lens, struct mm_struct *mm)
{
	lens->mn.ops = &lens_mn_ops;
	return mmu_notifier_register(&lens->mn, mm);
}
