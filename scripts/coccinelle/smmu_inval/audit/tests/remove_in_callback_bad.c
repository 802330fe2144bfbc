// SPDX-License-Identifier: GPL-2.0
/* Waits for itself; and frees twice. */
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

static void toy_gone(struct toy *toy)
{
	mmu_interval_notifier_remove(&toy->notifier);	/* audit: remove_in_callback */
}

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	if (range->event == MMU_NOTIFY_UNMAP)
		toy_gone(toy);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};

static void toy_close(struct toy *toy)
{
	mmu_notifier_unregister(&toy->mn, toy->mm);
	toy_free_tables(toy);
	mmu_notifier_unregister(&toy->mn, toy->mm);	/* audit: remove_in_callback */
}
