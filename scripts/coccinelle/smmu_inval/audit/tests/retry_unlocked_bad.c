// SPDX-License-Identifier: GPL-2.0
/* Checked, and locked too late. */
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

static int toy_fault(struct toy *toy)
{
	unsigned long seq = mmu_interval_read_begin(&toy->notifier);
	int ret = toy_get_pages(toy);

	if (ret)
		return ret;
	if (mmu_interval_read_retry(&toy->notifier, seq))	/* audit: retry_unlocked */
		return -EAGAIN;
	mutex_lock(&toy->lock);
	toy_map(toy);
	mutex_unlock(&toy->lock);
	return 0;
}

static void toy_insert(struct toy *toy)
{
	mmu_interval_read_begin(&toy->notifier);	/* audit: retry_unlocked */
	toy_get_pages(toy);
}
