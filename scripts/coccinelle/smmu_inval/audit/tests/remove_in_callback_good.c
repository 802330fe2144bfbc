// SPDX-License-Identifier: GPL-2.0
/* Removed once on each path, outside of callbacks. */
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

	if (range->event == MMU_NOTIFY_UNMAP)
		schedule_work(&toy->removal);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};

static void toy_removal(struct work_struct *work)
{
	struct toy *toy = container_of(work, struct toy, removal);

	mmu_interval_notifier_remove(&toy->notifier);
	kfree(toy);
}

static int toy_open(struct toy *toy, struct toy *other)
{
	if (toy_init(toy)) {
		mmu_interval_notifier_remove(&toy->notifier);
		return -ENOMEM;
	}
	mmu_interval_notifier_remove(&toy->notifier);
	mmu_interval_notifier_remove(&other->notifier);
	return 0;
}
