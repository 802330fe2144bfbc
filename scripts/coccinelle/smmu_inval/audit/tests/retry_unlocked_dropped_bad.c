// SPDX-License-Identifier: GPL-2.0
/* The lock was held, but not until the check; the answer is thrown away. */
#include <linux/mmu_notifier.h>

static int toy_fault(struct toy *toy)
{
	unsigned long seq = mmu_interval_read_begin(&toy->notifier);

	mutex_lock(&toy->lock);
	toy_get_pages(toy);
	mutex_unlock(&toy->lock);
	if (mmu_interval_read_retry(&toy->notifier, seq))	/* audit: retry_unlocked */
		return -EAGAIN;
	toy_map(toy);
	return 0;
}

static void toy_prefetch(struct toy *toy)
{
	unsigned long seq = mmu_interval_read_begin(&toy->notifier);

	toy_get_pages(toy);
	mutex_lock(&toy->lock);
	mmu_interval_read_retry(&toy->notifier, seq);	/* audit: retry_unlocked */
	toy_map(toy);
	mutex_unlock(&toy->lock);
}
