// SPDX-License-Identifier: GPL-2.0
/* Sleeps in the callback, and in what it calls. */
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

static void toy_wait(struct toy *toy)
{
	dma_resv_wait_timeout(toy->resv, DMA_RESV_USAGE_BOOKKEEP, false,	/* audit: nonblock */
			      MAX_SCHEDULE_TIMEOUT);
}

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	mutex_lock(&toy->lock);	/* audit: nonblock */
	mmu_interval_set_seq(mni, cur_seq);
	mutex_unlock(&toy->lock);
	toy_wait(toy);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};
