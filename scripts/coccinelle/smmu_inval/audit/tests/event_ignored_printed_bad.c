// SPDX-License-Identifier: GPL-2.0
/* The event is printed, and nothing else. */
#include <linux/mmu_notifier.h>

static bool toy_invalidate(struct mmu_interval_notifier *mni,	/* audit: event_ignored */
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);
	int ret;

	trace_toy_invalidate(toy, range);
	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	ret = toy_unmap(toy, range->start, range->end);
	mutex_unlock(&toy->lock);
	WARN_ONCE(ret, "%#lx-%#lx, event %u: %d\n", range->start, range->end,
		  range->event, ret);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};
