// SPDX-License-Identifier: GPL-2.0
/*
 * How long an invalidation takes that hits several devices of one process, each
 * with a flush of FLUSH_US: one after the other, or all issued and then waited
 * for. The devices flush by themselves: one is done when its time has come.
 */
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "bench.h"

#define MAX_DEVICES	16
#define FLUSH_US	50
#define ROUNDS		8

struct device {
	struct smmu_inval si;
	struct smmu_inval_interval ival;
	struct mmu_interval_notifier mni;
	spinlock_t lock;	/* as a driver would have it */
	u64 done;
	u64 ticket;
};

static void zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		const struct smmu_inval_span *span)
{
	smmu_inval_changed(batch, span->start, span->last, __ffs(span->events));
}

/* The device begins, after what it was told before. */
static void device_issue(struct device *dev)
{
	u64 now = ktime_get_ns();

	dev->done = max(dev->done, now) + FLUSH_US * NSEC_PER_USEC;
}

static void device_wait(struct device *dev)
{
	while (ktime_get_ns() < READ_ONCE(dev->done))
		cpu_relax();
}

static u64 flush_issue(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	struct device *dev = container_of(si, struct device, si);

	device_issue(dev);
	return ++dev->ticket;
}

static void flush_wait(struct smmu_inval *si, u64 ticket)
{
	device_wait(container_of(si, struct device, si));
}

static void flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	struct device *dev = container_of(si, struct device, si);

	device_issue(dev);
	device_wait(dev);
}

static bool invalidate(struct mmu_interval_notifier *mni,
		       const struct mmu_notifier_range *range,
		       unsigned long cur_seq)
{
	struct device *dev = container_of(mni, struct device, mni);

	spin_lock(&dev->lock);
	mmu_interval_set_seq(mni, cur_seq);
	device_issue(dev);
	device_wait(dev);
	spin_unlock(&dev->lock);
	return true;
}

static const struct mmu_interval_notifier_ops notifier_ops = {
	.invalidate = invalidate,
};

static const struct smmu_inval_ops one_phase = { .zap = zap, .flush = flush };

static const struct smmu_inval_ops two_phase = {
	.zap = zap,
	.flush = flush,
	.flush_issue = flush_issue,
	.flush_wait = flush_wait,
};

/* With ops, or as a plain notifier without. */
static int device_bind(struct device *dev, const struct smmu_inval_ops *ops)
{
	struct smmu_inval_config cfg = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "bench",
		.lock = SMMU_INVAL_LOCK(&dev->lock),
	};
	int ret;

	spin_lock_init(&dev->lock);
	dev->done = 0;
	dev->ticket = 0;
	if (!ops)
		return mmu_interval_notifier_insert(&dev->mni, current->mm,
						    BENCH_BASE, BENCH_LAST -
						    BENCH_BASE + 1,
						    &notifier_ops);
	ret = smmu_inval_init(&dev->si, ops, &cfg);
	if (ret)
		return ret;
	ret = smmu_inval_interval_insert(&dev->ival, &dev->si, current->mm,
					 BENCH_BASE, BENCH_LAST, 64);
	if (ret)
		smmu_inval_destroy(&dev->si);
	return ret;
}

static void device_unbind(struct device *dev, const struct smmu_inval_ops *ops)
{
	if (!ops) {
		mmu_interval_notifier_remove(&dev->mni);
		return;
	}
	smmu_inval_interval_remove(&dev->ival);
	smmu_inval_destroy(&dev->si);
}

static int show(struct seq_file *m, struct device *devices, unsigned int nr,
		const char *scheme, const struct smmu_inval_ops *ops)
{
	unsigned int i, bound;
	int ret = 0;
	u64 ns;

	for (bound = 0; bound < nr && !ret; bound++)
		ret = device_bind(&devices[bound], ops);
	if (ret) {
		bound--;
		goto out;
	}
	bench_mm_begin_end(1);
	ns = ktime_get_ns();
	for (i = 0; i < ROUNDS; i++)
		bench_mm_begin_end(1);
	ns = ktime_get_ns() - ns;
	seq_printf(m, "devices scheme=%s nr=%u flush_us=%u loops=%u ns=%llu\n",
		   scheme, nr, FLUSH_US, ROUNDS, ns);
out:
	while (bound)
		device_unbind(&devices[--bound], ops);
	return ret;
}

int bench_devices_show(struct seq_file *m, void *unused)
{
	struct device *devices;
	unsigned int nr;
	int ret = 0;

	devices = kvcalloc(MAX_DEVICES, sizeof(*devices), GFP_KERNEL);
	if (!devices)
		return -ENOMEM;
	for (nr = 1; nr <= MAX_DEVICES && !ret; nr *= 2) {
		ret = show(m, devices, nr, "notifier", NULL);
		if (!ret)
			ret = show(m, devices, nr, "one_phase", &one_phase);
		if (!ret)
			ret = show(m, devices, nr, "two_phase", &two_phase);
	}
	kvfree(devices);
	return ret;
}
