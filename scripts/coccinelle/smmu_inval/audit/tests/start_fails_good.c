// SPDX-License-Identifier: GPL-2.0
/* One cannot fail; the other has no end. */
#include <linux/mmu_notifier.h>

static int toy_start(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
	spin_lock(&to_toy(mn)->lock);
	to_toy(mn)->pending++;
	spin_unlock(&to_toy(mn)->lock);
	return 0;
}

static void toy_end(struct mmu_notifier *mn,
		    const struct mmu_notifier_range *range)
{
	spin_lock(&to_toy(mn)->lock);
	to_toy(mn)->pending--;
	spin_unlock(&to_toy(mn)->lock);
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_start,
	.invalidate_range_end = toy_end,
};

static int toy_start_only(struct mmu_notifier *mn,
			  const struct mmu_notifier_range *range)
{
	if (!mmu_notifier_range_blockable(range))
		return -EAGAIN;
	return 0;
}

static const struct mmu_notifier_ops toy_start_only_ops = {
	.invalidate_range_start = toy_start_only,
};

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&toy->lock);
	else if (!mutex_trylock(&toy->lock))
		return false;
	mmu_interval_set_seq(mni, cur_seq);
	toy_unmap(toy, range->start, range->end);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};
