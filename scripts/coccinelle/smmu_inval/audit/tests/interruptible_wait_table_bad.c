// SPDX-License-Identifier: GPL-2.0
/* What a callback in another file calls, through a table of functions. */
#include <linux/mmu_notifier.h>

void toy2_invalidate(struct toy *toy, unsigned long cur_seq)
{
	long left;

	left = dma_resv_wait_timeout(toy->resv, DMA_RESV_USAGE_BOOKKEEP,	/* audit: interruptible_wait */
				     true, MAX_SCHEDULE_TIMEOUT);
	if (left < 0)
		toy_debug(toy, "interrupted\n");
}

static void toy2_range(struct toy *toy, const struct mmu_notifier_range *range)
{
	wait_event_interruptible(toy->idle, !toy->busy);	/* audit: interruptible_wait */
}

static int toy2_submit(struct toy *toy, unsigned long timeout)
{
	return wait_event_interruptible(toy->idle, !toy->busy);
}
