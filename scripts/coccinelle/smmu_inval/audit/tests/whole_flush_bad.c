// SPDX-License-Identifier: GPL-2.0
/* A page changes, and all translations go. */
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

static void toy_zap(struct toy *toy, unsigned long start, unsigned long end)
{
	toy_unmap(toy, start, end);
	toy_flush_tlb_all(toy);	/* audit: whole_flush */
}

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	toy_zap(toy, range->start, range->end);
	toy_tlb_flush(toy);	/* audit: whole_flush */
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};
