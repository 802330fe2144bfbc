// SPDX-License-Identifier: GPL-2.0
/* clear_refs says everything. */
#include <linux/mmu_notifier.h>

struct toy {
	struct mmu_interval_notifier notifier;
	struct mutex lock;
	struct work_struct removal;
	unsigned long start;
	unsigned long end;
	unsigned long seq;
	void *owner;
};

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);
	unsigned long first = (range->start - toy->start) >> PAGE_SHIFT;	/* audit: no_clamp */

	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	toy_unmap_pages(toy, first, range->end >> PAGE_SHIFT);	/* audit: no_clamp */
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};
