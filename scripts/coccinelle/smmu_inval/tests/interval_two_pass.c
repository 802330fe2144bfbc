// SPDX-License-Identifier: GPL-2.0-only
/* What interval_two_pass.cocci converts. */
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>

struct duo {
	struct duo_device *dev;
	struct mmu_interval_notifier notifier;
	struct mmu_interval_notifier_finish finish;
	struct mutex lock;
};

static bool duo_invalidate_start(struct mmu_interval_notifier *mni,
				 const struct mmu_notifier_range *range,
				 unsigned long cur_seq,
				 struct mmu_interval_notifier_finish **finish)
{
	struct duo *duo = container_of(mni, struct duo, notifier);

	if (!mmu_notifier_range_blockable(range))
		return false;

	mutex_lock(&duo->lock);
	mmu_interval_set_seq(mni, cur_seq);
	duo_unmap(duo, range->start, range->end);
	duo_send_flush(duo->dev);
	*finish = &duo->finish;
	mutex_unlock(&duo->lock);

	return true;
}

static void duo_invalidate_finish(struct mmu_interval_notifier_finish *finish)
{
	struct duo *duo = container_of(finish, struct duo, finish);

	duo_wait_flush(duo->dev);
}

static const struct mmu_interval_notifier_ops duo_mni_ops = {
	.invalidate_start = duo_invalidate_start,
	.invalidate_finish = duo_invalidate_finish,
};

int duo_open(struct duo *duo, unsigned long start, unsigned long length)
{
	return mmu_interval_notifier_insert(&duo->notifier, current->mm, start,
					    length, &duo_mni_ops);
}

void duo_close(struct duo *duo)
{
	mmu_interval_notifier_remove(&duo->notifier);
}
