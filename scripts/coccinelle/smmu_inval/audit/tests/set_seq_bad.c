// SPDX-License-Identifier: GPL-2.0
/* One never sets it on a path, one sets it too early. */
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

	if (!toy->bound)
		return true;	/* audit: set_seq */
	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};

static bool toy_early(struct mmu_interval_notifier *mni,
		      const struct mmu_notifier_range *range,
		      unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	mmu_interval_set_seq(mni, cur_seq);	/* audit: set_seq */
	mutex_lock(&toy->lock);
	toy_unmap(toy, range->start, range->end);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_early_ops = {
	.invalidate = toy_early,
};
