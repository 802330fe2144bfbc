// SPDX-License-Identifier: GPL-2.0
/* One fault with HMM, one without. */
static int toy_fault(struct toy *toy, struct hmm_range *range)
{
	int ret;

	range->notifier = &toy->notifier;
	do {
		range->notifier_seq = mmu_interval_read_begin(&toy->notifier);
		mmap_read_lock(toy->mm);
		ret = hmm_range_fault(range);
		mmap_read_unlock(toy->mm);
		if (ret)
			return ret;
		mutex_lock(&toy->lock);
		if (!mmu_interval_read_retry(&toy->notifier,
					     range->notifier_seq))
			break;
		mutex_unlock(&toy->lock);
	} while (true);
	toy_map(toy, range);
	mutex_unlock(&toy->lock);
	return 0;
}

static int toy_pin(struct toy *toy)
{
	unsigned long seq;
	int ret;

	seq = mmu_interval_read_begin(&toy->notifier);
	ret = toy_get_pages(toy);
	if (ret)
		return ret;
	mutex_lock(&toy->lock);
	if (mmu_interval_read_retry(&toy->notifier, seq)) {
		mutex_unlock(&toy->lock);
		return -EAGAIN;
	}
	toy_map_pages(toy);
	mutex_unlock(&toy->lock);
	return 0;
}
