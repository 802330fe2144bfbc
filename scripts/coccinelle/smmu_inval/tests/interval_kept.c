// SPDX-License-Identifier: GPL-2.0
/* Not of the common shape: it drops its lock in two places, and takes another's. */
#include <linux/mmu_notifier.h>

static bool toy_two_ways(struct mmu_interval_notifier *mni,
			 const struct mmu_notifier_range *range,
			 unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	if (!mmu_notifier_range_blockable(range))
		return false;
	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	if (toy->idle) {
		mutex_unlock(&toy->lock);
		return true;
	}
	toy_unmap(toy, range->start, range->end);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_mn_ops = {
	.invalidate = toy_two_ways,
};

static bool toy_borrows(struct mmu_interval_notifier *mni,
			const struct mmu_notifier_range *range,
			unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);
	struct vm *vm = toy_vm(toy);

	if (!mmu_notifier_range_blockable(range))
		return false;
	mutex_lock(&vm->lock);
	mmu_interval_set_seq(mni, cur_seq);
	toy_unmap(toy, range->start, range->end);
	mutex_unlock(&vm->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_borrows_ops = {
	.invalidate = toy_borrows,
};
