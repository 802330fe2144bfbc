// SPDX-License-Identifier: GPL-2.0
/* What changes before the insertion is lost. */
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
	int nr = pin_user_pages_fast(toy->start, 1, FOLL_WRITE, pages);

	if (nr < 0)
		return nr;
	return mmu_interval_notifier_insert(&toy->notifier, current->mm,	/* audit: insert_late */
					    toy->start, PAGE_SIZE, &toy_ops);
}

static int toy_bind(struct toy *toy, struct hmm_range *range)
{
	int ret = hmm_range_fault(range);

	if (!ret)
		ret = mmu_notifier_register(&toy->mn, current->mm);	/* audit: insert_late */
	return ret;
}
