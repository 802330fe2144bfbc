// SPDX-License-Identifier: GPL-2.0
/* A signal ends the wait, and the page is freed. */
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

static void toy_idle(struct toy *toy)
{
	dma_resv_wait_timeout(toy->resv, DMA_RESV_USAGE_BOOKKEEP, true, HZ);	/* audit: interruptible_wait */
	dma_fence_wait(toy->fence, true);	/* audit: interruptible_wait */
	wait_event_timeout(toy->idle, !toy->busy, HZ);	/* audit: interruptible_wait */
}

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	if (mutex_lock_killable(&toy->lock))	/* audit: interruptible_wait */
		return true;
	mmu_interval_set_seq(mni, cur_seq);
	toy_idle(toy);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};
