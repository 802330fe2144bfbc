// SPDX-License-Identifier: GPL-2.0
/* Asks first, tries, or does not sleep; and a lock outside of callbacks. */
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
	unsigned long start = max(range->start, toy->start);
	unsigned long end = min(range->end, toy->end);

	if (range->event == MMU_NOTIFY_MIGRATE && range->owner == toy->owner)
		return toy_seen(toy, mni, cur_seq);
	if (!mmu_notifier_range_blockable(range))
		return false;
	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	toy_unmap(toy, start, end - start);
	toy_flush_tlb_range(toy, start, end);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};

static bool toy_tries(struct mmu_interval_notifier *mni,
		      const struct mmu_notifier_range *range,
		      unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&toy->lock);
	else if (!mutex_trylock(&toy->lock))
		return false;
	mmu_interval_set_seq(mni, cur_seq);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_tries_ops = {
	.invalidate = toy_tries,
};

static int toy_spins(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
	spin_lock(&to_toy(mn)->spin);
	spin_unlock(&to_toy(mn)->spin);
	return 0;
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_spins,
};

static void toy_ioctl(struct toy *toy)
{
	mutex_lock(&toy->lock);
	mutex_unlock(&toy->lock);
}
