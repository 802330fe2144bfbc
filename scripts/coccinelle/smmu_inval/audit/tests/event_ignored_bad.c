// SPDX-License-Identifier: GPL-2.0
/* Each change zaps. */
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

static bool toy_invalidate(struct mmu_interval_notifier *mni,	/* audit: event_ignored */
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	if (!mmu_notifier_range_blockable(range))
		return false;
	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	toy_unmap(toy, range->start, range->end);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};

static int toy_start(struct mmu_notifier *mn,	/* audit: event_ignored */
		     const struct mmu_notifier_range *range)
{
	toy_unmap(to_toy(mn), range->start, range->end);
	return 0;
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_start,
};
