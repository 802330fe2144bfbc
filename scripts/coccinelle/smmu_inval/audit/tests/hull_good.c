// SPDX-License-Identifier: GPL-2.0
/* Clamped, not joined; and a hull where no notifier is meant. */
#include <linux/mmu_notifier.h>

static int toy_start(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
	struct toy *toy = to_toy(mn);
	unsigned long start = max(toy->start, range->start);
	unsigned long end = min(toy->end, range->end);

	toy_add(toy, start, end);
	return 0;
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.invalidate_range_start = toy_start,
};
