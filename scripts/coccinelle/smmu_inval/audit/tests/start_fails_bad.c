// SPDX-License-Identifier: GPL-2.0
/* Counts what is pending, and may fail to. */
#include <linux/mmu_notifier.h>

static int toy_start(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
	struct toy *toy = to_toy(mn);

	if (!mmu_notifier_range_blockable(range) && toy->busy)
		return -EAGAIN;	/* audit: start_fails */
	atomic_inc(&toy->pending);
	return 0;
}

static void toy_end(struct mmu_notifier *mn,
		    const struct mmu_notifier_range *range)
{
	atomic_dec(&to_toy(mn)->pending);
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_start,
	.invalidate_range_end = toy_end,
};

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);
	bool done = true;

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&toy->lock);
	else if (!mutex_trylock(&toy->lock))
		return false;
	mmu_interval_set_seq(mni, cur_seq);
	if (toy_ask_firmware_to_unmap(toy)) {
		mutex_unlock(&toy->lock);
		return false;	/* audit: start_fails */
	}
	mutex_unlock(&toy->lock);
	return done;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};
