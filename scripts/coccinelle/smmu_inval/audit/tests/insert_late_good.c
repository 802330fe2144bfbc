// SPDX-License-Identifier: GPL-2.0
/* Inserted, begun, then read. */
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

static int toy_register(struct toy *toy, struct page **pages)
{
	int ret = mmu_interval_notifier_insert(&toy->notifier, current->mm,
					       toy->start, PAGE_SIZE, &toy_ops);

	if (ret)
		return ret;
	toy->seq = mmu_interval_read_begin(&toy->notifier);
	return pin_user_pages_fast(toy->start, 1, FOLL_WRITE, pages);
}
