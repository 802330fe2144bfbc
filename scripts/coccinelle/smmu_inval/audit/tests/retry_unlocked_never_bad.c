// SPDX-License-Identifier: GPL-2.0
/* Begins, and never checks. */
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
	toy->seq = mmu_interval_read_begin(&toy->notifier);	/* audit: retry_unlocked */
	return toy_get_pages(toy);
}
