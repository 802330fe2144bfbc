// SPDX-License-Identifier: GPL-2.0
/* Checked under the lock; a helper asserts it. */
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

static bool toy_retry(struct toy *toy, unsigned long seq)
{
	lockdep_assert_held(&toy->lock);
	return mmu_interval_read_retry(&toy->notifier, seq);
}

static int toy_fault(struct toy *toy)
{
	unsigned long seq = mmu_interval_read_begin(&toy->notifier);
	int ret = toy_get_pages(toy);

	if (ret)
		return ret;
	toy_vm_lock(toy);
	if (mmu_interval_read_retry(&toy->notifier, seq)) {
		toy_vm_unlock(toy);
		return -EAGAIN;
	}
	toy_map(toy);
	toy_vm_unlock(toy);
	return 0;
}
