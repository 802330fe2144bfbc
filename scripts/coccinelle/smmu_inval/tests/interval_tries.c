// SPDX-License-Identifier: GPL-2.0
/* A toy that tries its lock for who may not wait. */
#include <linux/mmu_notifier.h>

struct toy {
	struct rw_semaphore sem;
	struct mmu_interval_notifier mn;
};

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, mn);

	if (mmu_notifier_range_blockable(range))
		down_write(&toy->sem);
	else if (!down_write_trylock(&toy->sem))
		return false;
	mmu_interval_set_seq(mni, cur_seq);
	toy_unmap(toy, range->start, range->end - 1);
	up_write(&toy->sem);
	return true;
}

static const struct mmu_interval_notifier_ops toy_mn_ops = {
	.invalidate = toy_invalidate,
};

void toy_close(struct toy *toy)
{
	mmu_interval_notifier_remove(&toy->mn);
}
