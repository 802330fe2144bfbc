// SPDX-License-Identifier: GPL-2.0
/*
 * The device file: a channel for each open file. See iommu_sva_uapi.h.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommu_sva.h"

static struct sva_hw *sva_hw;

static int sva_open(struct inode *inode, struct file *file)
{
	struct sva_channel *channel = kzalloc(sizeof(*channel), GFP_KERNEL);

	if (!channel)
		return -ENOMEM;
	mutex_init(&channel->mutex);
	raw_spin_lock_init(&channel->busy);
	init_completion(&channel->answered);
	file->private_data = channel;
	return 0;
}

/* In the order in which hardware is taken away: its user, then the IOMMU. */
static void channel_unbind(struct sva_channel *channel)
{
	sva_run_stop(channel);
	sva_channel_detach(channel);
	iommu_sva_unbind_device(channel->handle);
	mmdrop(channel->mm);
	WRITE_ONCE(channel->mm, NULL);
}

/* Is it bound, and by this process? */
static int channel_check(const struct sva_channel *channel)
{
	if (!channel->engine)
		return -ENOTCONN;
	return channel->mm == current->mm ? 0 : -EPERM;
}

static int sva_release(struct inode *inode, struct file *file)
{
	struct sva_channel *channel = file->private_data;

	if (channel->engine)
		channel_unbind(channel);
	kfree(channel);
	return 0;
}

static int channel_bind(struct sva_channel *channel, struct sva_engine *engine,
			u32 flags)
{
	struct iommu_sva *handle;
	int ret;

	handle = iommu_sva_bind_device(engine->dev, current->mm);
	if (IS_ERR(handle))
		return PTR_ERR(handle);
	channel->pasid = iommu_sva_get_pasid(handle);
	channel->handle = handle;
	ret = sva_channel_attach(channel, engine);
	if (ret) {
		iommu_sva_unbind_device(handle);
		return ret;
	}
	smmu_inval_set_coarse(sva_handle_inval(handle), flags & SVA_COARSE);
	sva_handle_set_plan(handle, flags & SVA_ONE_BLOCK ? sva_plan_one_block : sva_plan);
	mmgrab(current->mm);
	WRITE_ONCE(channel->mm, current->mm);
	return 0;
}

static long ioctl_bind(struct sva_channel *channel, void __user *argp)
{
	struct sva_bind arg;
	long ret;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	if (arg.flags & ~(SVA_COARSE | SVA_ONE_BLOCK))
		return -EINVAL;
	arg.nr_engines = SVA_NR_ENGINES;
	if (arg.engine >= SVA_NR_ENGINES)
		return copy_to_user(argp, &arg, sizeof(arg)) ? -EFAULT : -ENXIO;

	mutex_lock(&channel->mutex);
	ret = channel->engine ? -EBUSY :
	      channel_bind(channel, &sva_hw->engines[arg.engine],
			   arg.flags);
	arg.pasid = channel->pasid;
	mutex_unlock(&channel->mutex);
	if (!ret && copy_to_user(argp, &arg, sizeof(arg)))
		ret = -EFAULT;
	return ret;
}

static long ioctl_unbind(struct sva_channel *channel)
{
	long ret;

	mutex_lock(&channel->mutex);
	ret = channel_check(channel);
	if (!ret)
		channel_unbind(channel);
	mutex_unlock(&channel->mutex);
	return ret;
}

static long run_start(struct sva_channel *channel, struct sva_run *run)
{
	long ret;

	mutex_lock(&channel->mutex);
	ret = channel_check(channel);
	if (!ret)
		ret = sva_run_start(channel, run);
	mutex_unlock(&channel->mutex);
	return ret;
}

static long run_wait(struct sva_run *run)
{
	if (!wait_for_completion_interruptible(&run->done))
		return 0;
	/* The hardware knows nothing of signals: it goes on. */
	if (!fatal_signal_pending(current)) {
		WRITE_ONCE(run->stop, true);
		wait_for_completion(&run->done);
	}
	return -EINTR;
}

static long ioctl_run(struct sva_channel *channel, void __user *argp)
{
	struct sva_run *run;
	struct sva_job job;
	long ret;

	if (copy_from_user(&job, argp, sizeof(job)))
		return -EFAULT;
	ret = sva_job_check(&job);
	if (ret)
		return ret;
	run = sva_run_new(&job);
	if (!run)
		return -ENOMEM;
	ret = run_start(channel, run);
	if (ret)
		goto put;
	ret = run_wait(run);
	if (copy_to_user(argp, &run->job, sizeof(job)))
		ret = -EFAULT;
put:
	sva_run_put(run);
	return ret;
}

static long ioctl_stop(struct sva_channel *channel)
{
	long ret;

	mutex_lock(&channel->mutex);
	ret = channel_check(channel);
	if (!ret)
		sva_run_stop(channel);
	mutex_unlock(&channel->mutex);
	return ret;
}

static long ioctl_setup(void __user *argp)
{
	struct sva_setup arg;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	if (arg.flags || arg.command_us > SVA_MAX_DELAY_US ||
	    arg.access_us > SVA_MAX_DELAY_US ||
	    arg.request_us > SVA_MAX_DELAY_US)
		return -EINVAL;
	WRITE_ONCE(sva_hw->command_us, arg.command_us);
	WRITE_ONCE(sva_hw->access_us, arg.access_us);
	WRITE_ONCE(sva_hw->request_us, arg.request_us);
	return 0;
}

static void stats_of_process(struct sva_channel *channel, struct sva_stats *stats)
{
	struct smmu_inval_stats si;

	smmu_inval_get_stats(sva_handle_inval(channel->handle), &si);
	stats->callbacks = si.event[SMMU_INVAL_TLB].callbacks;
	stats->combined = si.combined;
	stats->odd_ranges = si.odd_ranges;
	stats->whole = si.flushes_all;
}

static long ioctl_stats(struct sva_channel *channel, void __user *argp)
{
	struct sva_stats stats = {};
	unsigned int i;

	/* Both begin with the same counters, in the same order. */
	static_assert(offsetof(struct sva_stats, callbacks) ==
		      SVA_NR_COUNTERS * sizeof(u64));
	for (i = 0; i < SVA_NR_COUNTERS; i++)
		((u64 *)&stats)[i] = atomic64_read(&sva_hw->counters[i]);
	mutex_lock(&channel->mutex);
	if (!channel_check(channel))
		stats_of_process(channel, &stats);
	mutex_unlock(&channel->mutex);
	return copy_to_user(argp, &stats, sizeof(stats)) ? -EFAULT : 0;
}

static long sva_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct sva_channel *channel = file->private_data;
	void __user *argp = (void __user *)arg;
	struct mm_struct *mm = READ_ONCE(channel->mm);

	if (mm && mm != current->mm)
		return -EPERM;
	switch (cmd) {
	case SVA_IOC_BIND:
		return ioctl_bind(channel, argp);
	case SVA_IOC_UNBIND:
		return ioctl_unbind(channel);
	case SVA_IOC_RUN:
		return ioctl_run(channel, argp);
	case SVA_IOC_STOP:
		return ioctl_stop(channel);
	case SVA_IOC_SETUP:
		return ioctl_setup(argp);
	case SVA_IOC_STATS:
		return ioctl_stats(channel, argp);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations sva_fops = {
	.owner = THIS_MODULE,
	.open = sva_open,
	.release = sva_release,
	.unlocked_ioctl = sva_ioctl,
};

static struct miscdevice sva_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "smmu_inval_sva",
	.fops = &sva_fops,
	/* It can do nothing to a process that this could not do itself. */
	.mode = 0666,
};

int sva_file_init(struct sva_hw *hw)
{
	sva_hw = hw;
	return misc_register(&sva_misc);
}
