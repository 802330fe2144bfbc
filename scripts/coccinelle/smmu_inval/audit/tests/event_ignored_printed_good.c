// SPDX-License-Identifier: GPL-2.0
/* The event is printed, and looked at, too. */
#include <linux/mmu_notifier.h>

static bool toy_invalidate(struct mmu_interval_notifier *mni,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq)
{
	struct toy *toy = container_of(mni, struct toy, notifier);

	pr_debug("event %u\n", range->event);
	mutex_lock(&toy->lock);
	mmu_interval_set_seq(mni, cur_seq);
	if (range->event == MMU_NOTIFY_PROTECTION_VMA)
		toy_protect(toy, range->start, range->end);
	else
		toy_unmap(toy, range->start, range->end);
	mutex_unlock(&toy->lock);
	return true;
}

static const struct mmu_interval_notifier_ops toy_ops = {
	.invalidate = toy_invalidate,
};
