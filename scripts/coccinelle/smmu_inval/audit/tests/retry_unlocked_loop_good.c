// SPDX-License-Identifier: GPL-2.0
/* Another lock is dropped before; a loop unlocks before it starts again. */
#include <linux/mmu_notifier.h>

static int toy_fault(struct toy *toy)
{
	unsigned long seq;
	int ret;

again:
	seq = mmu_interval_read_begin(&toy->notifier);
	mmap_read_lock(toy->mm);
	ret = toy_get_pages(toy);
	mmap_read_unlock(toy->mm);
	if (ret)
		return ret;
	mutex_lock(&toy->lock);
	if (mmu_interval_read_retry(&toy->notifier, seq)) {
		mutex_unlock(&toy->lock);
		goto again;
	}
	toy_map(toy);
	mutex_unlock(&toy->lock);
	return 0;
}

static int toy_bind_two(struct toy *toy, struct toy *other)
{
	int ret = 0;

	mutex_lock(&toy->lock);
	if (toy->dead) {
		mutex_unlock(&toy->lock);
		return -ENODEV;
	}
	while (toy->next) {
		if (mmu_interval_read_retry(&toy->notifier, toy->seq)) {
			ret = -EAGAIN;
			break;
		}
		toy = toy->next;
	}
	mutex_unlock(&toy->lock);
	return ret;
}
