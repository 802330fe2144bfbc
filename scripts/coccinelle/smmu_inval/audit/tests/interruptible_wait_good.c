// SPDX-License-Identifier: GPL-2.0
/* Waits until it is over; what may be interrupted is elsewhere. */
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
	dma_resv_wait_timeout(toy->resv, DMA_RESV_USAGE_BOOKKEEP, false,
			      MAX_SCHEDULE_TIMEOUT);
	dma_fence_wait(toy->fence, false);
	wait_event(toy->idle, !toy->busy);
}

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	toy_idle(toy);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};

static int toy_ioctl(struct toy *toy)
{
	return mutex_lock_interruptible(&toy->lock);
}
