// SPDX-License-Identifier: GPL-2.0-only
/* What interval_two_pass.cocci leaves alone. */
#include <linux/mmu_notifier.h>
#include <linux/rwsem.h>

/* The second pass takes the lock, and unmaps only there. */
struct late {
	struct mmu_interval_notifier notifier;
	struct mmu_interval_notifier_finish finish;
	struct rw_semaphore lock;
};

static bool late_invalidate_start(struct mmu_interval_notifier *mni,
				  const struct mmu_notifier_range *range,
				  unsigned long cur_seq,
				  struct mmu_interval_notifier_finish **finish)
{
	struct late *late = container_of(mni, struct late, notifier);

	if (!mmu_notifier_range_blockable(range))
		return false;

	down_write(&late->lock);
	mmu_interval_set_seq(mni, cur_seq);
	late_stop(late);
	*finish = &late->finish;
	up_write(&late->lock);

	return true;
}

static void late_invalidate_finish(struct mmu_interval_notifier_finish *finish)
{
	struct late *late = container_of(finish, struct late, finish);

	down_write(&late->lock);
	late_unmap(late);
	up_write(&late->lock);
}

static const struct mmu_interval_notifier_ops late_mni_ops = {
	.invalidate_start = late_invalidate_start,
	.invalidate_finish = late_invalidate_finish,
};
