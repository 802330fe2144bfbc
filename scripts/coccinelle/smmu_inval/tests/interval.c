// SPDX-License-Identifier: GPL-2.0
/* A toy that sends away who may not wait. */
#include <linux/mmu_notifier.h>
#include <linux/module.h>

struct toy {
	struct mutex lock;
	struct mmu_interval_notifier notifier;
	unsigned long start;
	unsigned long end;
	bool gone;
};

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);
	unsigned long start, end;

	if (!mmu_notifier_range_blockable(range))
		return false;

	start = max(range->start, toy->start);
	end = min(range->end, toy->end);
	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	toy_unmap(toy, start, end);
	if (range->event == MMU_NOTIFY_UNMAP)
		toy->gone = true;
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_mn_ops = {
	.invalidate = toy_invalidate,
};

int toy_open(struct toy *toy)
{
	int ret;

	mutex_init(&toy->lock);
	ret = mmu_interval_notifier_insert(&toy->notifier, current->mm,
					   toy->start, toy->end - toy->start,
					   &toy_mn_ops);
	if (ret)
		return ret;
	return toy_start(toy);
}

void toy_close(struct toy *toy)
{
	mmu_interval_notifier_remove(&toy->notifier);
	kfree(toy);
}
