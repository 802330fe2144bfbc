// SPDX-License-Identifier: GPL-2.0
/*
 * The software GPU's character devices. An open file is an address space.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "gpu_hmm.h"

#define GPU_MAX_DEVICES		16

static unsigned int devices = 1;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "Number of GPUs, 1 to 16");

static struct gpu_device *gpu_devices;

static int gpu_open(struct inode *inode, struct file *file)
{
	struct miscdevice *misc = file->private_data;
	struct gpu_device *dev = container_of(misc, struct gpu_device, misc);
	struct gpu_vm *vm;

	if (!current->mm)
		return -EINVAL;
	vm = gpu_vm_create(dev, current->mm);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	file->private_data = vm;
	return nonseekable_open(inode, file);
}

static int gpu_release(struct inode *inode, struct file *file)
{
	struct gpu_vm *vm = file->private_data;
	struct gpu_command *cmd, *next;
	LIST_HEAD(commands);

	/* No ioctl runs any more, so all that is left was never waited for. */
	list_splice_init(&vm->commands, &commands);
	list_for_each_entry(cmd, &commands, vm_node)
		WRITE_ONCE(cmd->cancelled, true);
	gpu_vm_stop(vm);
	list_for_each_entry_safe(cmd, next, &commands, vm_node)
		gpu_command_put(cmd);
	gpu_vm_put(vm);
	return 0;
}

/* The GPU can only be given what the process could use itself. */
static int gpu_check_range(u64 addr, u64 size, u64 align, u64 limit)
{
	if (!size || !IS_ALIGNED(addr | size, align))
		return -EINVAL;
	if (size > limit)
		return -E2BIG;
	if (addr > GPU_VA_LAST || size > GPU_VA_LAST + 1 - addr)
		return -EFAULT;
	if (!access_ok(u64_to_user_ptr(addr), size))
		return -EFAULT;
	return 0;
}

static int gpu_check_command(const struct gpu_hmm_command *arg)
{
	u64 limit = GPU_HMM_MAX_SIZE;

	switch (arg->op) {
	case GPU_HMM_READ:
	case GPU_HMM_WRITE:
		limit = GPU_HMM_MAX_COPY;
		if (arg->operand)
			return -EINVAL;
		break;
	case GPU_HMM_ATOMIC_ADD:
	case GPU_HMM_EXCLUSIVE_ADD:
	case GPU_HMM_FILL:
		if (arg->buffer)
			return -EINVAL;
		break;
	case GPU_HMM_CHECKSUM:
		if (arg->buffer || arg->operand)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	if (arg->flags & ~GPU_HMM_ASYNC || arg->reserved)
		return -EINVAL;
	if (arg->engine >= gpu_engines_count())
		return -ENXIO;
	return gpu_check_range(arg->addr, arg->size, sizeof(u64), limit);
}

static struct gpu_command *gpu_command_create(struct gpu_vm *vm,
					      const struct gpu_hmm_command *arg)
{
	struct gpu_command *cmd;
	int err = -ENOMEM;

	cmd = kzalloc(sizeof(*cmd), GFP_KERNEL_ACCOUNT);
	if (!cmd)
		return ERR_PTR(-ENOMEM);
	kref_init(&cmd->ref);
	init_completion(&cmd->completion);
	INIT_LIST_HEAD(&cmd->vm_node);
	cmd->op = arg->op;
	cmd->addr = arg->addr;
	cmd->size = arg->size;
	cmd->operand = arg->operand;
	cmd->buffer = u64_to_user_ptr(arg->buffer);

	if (cmd->op == GPU_HMM_READ || cmd->op == GPU_HMM_WRITE) {
		cmd->data = kvmalloc(cmd->size, GFP_KERNEL_ACCOUNT);
		if (!cmd->data)
			goto free_cmd;
		err = -EFAULT;
		if (cmd->op == GPU_HMM_WRITE ?
		    copy_from_user(cmd->data, cmd->buffer, cmd->size) :
		    !access_ok(cmd->buffer, cmd->size))
			goto free_cmd;
	}
	kref_get(&vm->ref);
	cmd->vm = vm;
	return cmd;

free_cmd:
	kvfree(cmd->data);
	kfree(cmd);
	return ERR_PTR(err);
}

/* Make it something to wait for; the list has a reference, too. */
static int gpu_command_publish(struct gpu_command *cmd)
{
	struct gpu_vm *vm = cmd->vm;

	guard(spinlock)(&vm->cmd_lock);
	if (vm->nr_commands >= GPU_HMM_MAX_ASYNC)
		return -EAGAIN;
	vm->nr_commands++;
	cmd->id = ++vm->next_id;
	kref_get(&cmd->ref);
	list_add_tail(&cmd->vm_node, &vm->commands);
	return 0;
}

/* Whoever takes it from the list has the list's reference. */
static bool gpu_command_unpublish(struct gpu_command *cmd)
{
	struct gpu_vm *vm = cmd->vm;

	guard(spinlock)(&vm->cmd_lock);
	if (list_empty(&cmd->vm_node))
		return false;
	list_del_init(&cmd->vm_node);
	vm->nr_commands--;
	return true;
}

static struct gpu_command *gpu_command_find(struct gpu_vm *vm, u64 id)
{
	struct gpu_command *cmd;

	guard(spinlock)(&vm->cmd_lock);
	list_for_each_entry(cmd, &vm->commands, vm_node) {
		if (cmd->id == id) {
			kref_get(&cmd->ref);
			return cmd;
		}
	}
	return NULL;
}

static int gpu_command_copy_back(const struct gpu_command *cmd)
{
	if (cmd->op == GPU_HMM_READ &&
	    copy_to_user(cmd->buffer, cmd->data, cmd->done))
		return -EFAULT;
	return 0;
}

static int gpu_submit_async(struct gpu_command *cmd,
			    struct gpu_hmm_command *arg,
			    struct gpu_hmm_command __user *uarg)
{
	int err = gpu_command_publish(cmd);

	if (err)
		return err;
	arg->id = cmd->id;
	arg->error = 0;
	arg->result = 0;
	arg->done = 0;
	/* Before it runs: nobody could wait for what has no id. */
	if (copy_to_user(uarg, arg, sizeof(*arg))) {
		if (gpu_command_unpublish(cmd))
			gpu_command_put(cmd);
		/* Who has guessed the id finds that there is no such command. */
		complete_all(&cmd->completion);
		return -EFAULT;
	}
	kref_get(&cmd->ref);
	gpu_engine_submit(cmd->vm->dev, arg->engine, cmd);
	return 0;
}

static int gpu_submit_sync(struct gpu_command *cmd,
			   struct gpu_hmm_command *arg,
			   struct gpu_hmm_command __user *uarg)
{
	int err;

	kref_get(&cmd->ref);
	gpu_engine_submit(cmd->vm->dev, arg->engine, cmd);
	err = wait_for_completion_killable(&cmd->completion);
	if (err) {
		WRITE_ONCE(cmd->cancelled, true);
		return -EINTR;
	}
	arg->id = 0;
	arg->error = cmd->error;
	arg->result = cmd->result;
	arg->done = cmd->done;
	err = gpu_command_copy_back(cmd);
	if (err)
		return err;
	return copy_to_user(uarg, arg, sizeof(*arg)) ? -EFAULT : 0;
}

static int gpu_ioctl_submit(struct gpu_vm *vm,
			    struct gpu_hmm_command __user *uarg)
{
	struct gpu_hmm_command arg;
	struct gpu_command *cmd;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	err = gpu_check_command(&arg);
	if (err)
		return err;
	cmd = gpu_command_create(vm, &arg);
	if (IS_ERR(cmd))
		return PTR_ERR(cmd);
	if (arg.flags & GPU_HMM_ASYNC)
		err = gpu_submit_async(cmd, &arg, uarg);
	else
		err = gpu_submit_sync(cmd, &arg, uarg);
	gpu_command_put(cmd);
	return err;
}

static int gpu_wait(struct gpu_command *cmd, u32 timeout_ms)
{
	long left;

	if (timeout_ms == GPU_HMM_FOREVER) {
		left = wait_for_completion_killable(&cmd->completion);
		return left ? -EINTR : 0;
	}
	left = wait_for_completion_killable_timeout(&cmd->completion,
						    msecs_to_jiffies(timeout_ms));
	if (left < 0)
		return -EINTR;
	return left || completion_done(&cmd->completion) ? 0 : -ETIMEDOUT;
}

static int gpu_ioctl_wait(struct gpu_vm *vm, struct gpu_hmm_wait __user *uarg)
{
	struct gpu_hmm_wait arg;
	struct gpu_command *cmd;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.reserved)
		return -EINVAL;
	cmd = gpu_command_find(vm, arg.id);
	if (!cmd)
		return -ENOENT;
	err = gpu_wait(cmd, arg.timeout_ms);
	if (err)
		goto put;
	err = -ENOENT;
	if (!gpu_command_unpublish(cmd))
		goto put;
	gpu_command_put(cmd);

	arg.error = cmd->error;
	arg.result = cmd->result;
	arg.done = cmd->done;
	err = gpu_command_copy_back(cmd);
	if (!err && copy_to_user(uarg, &arg, sizeof(arg)))
		err = -EFAULT;
put:
	gpu_command_put(cmd);
	return err;
}

static int gpu_ioctl_prefetch(struct gpu_vm *vm,
			      struct gpu_hmm_prefetch __user *uarg)
{
	struct gpu_hmm_prefetch arg;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags & ~GPU_HMM_PREFETCH_WRITE || arg.reserved)
		return -EINVAL;
	err = gpu_check_range(arg.addr, arg.size, PAGE_SIZE, GPU_HMM_MAX_SIZE);
	if (err)
		return err;
	return gpu_vm_prefetch(vm, arg.addr, arg.addr + arg.size - 1,
			       arg.flags & GPU_HMM_PREFETCH_WRITE);
}

#define GPU_SETUP_FLAGS	(GPU_HMM_COARSE | GPU_HMM_STOCK | \
			 GPU_HMM_SINGLE_PASS | GPU_HMM_RANGES)

static int gpu_ioctl_setup(struct gpu_vm *vm, struct gpu_hmm_setup __user *uarg)
{
	struct gpu_hmm_setup arg;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags & ~GPU_SETUP_FLAGS || arg.reserved ||
	    arg.fault_delay_us > GPU_HMM_MAX_DELAY_US ||
	    arg.flush_delay_us > GPU_HMM_MAX_DELAY_US)
		return -EINVAL;
	return gpu_vm_setup(vm, &arg);
}

static int gpu_ioctl_evict(struct gpu_vm *vm, struct gpu_hmm_evict __user *uarg)
{
	struct gpu_hmm_evict arg;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.reserved)
		return -EINVAL;
	err = gpu_check_range(arg.addr, arg.size, PAGE_SIZE, GPU_HMM_MAX_SIZE);
	if (!err)
		gpu_vm_evict(vm, arg.addr, arg.addr + arg.size - 1);
	return err;
}

static int gpu_ioctl_migrate(struct gpu_vm *vm,
			     struct gpu_hmm_migrate __user *uarg)
{
	struct gpu_hmm_migrate arg;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags & ~GPU_HMM_MIGRATE_BACK || arg.reserved)
		return -EINVAL;
	err = gpu_check_range(arg.addr, arg.size, PAGE_SIZE, GPU_HMM_MAX_SIZE);
	if (err)
		return err;
	arg.pages = 0;
	arg.large = 0;
	err = gpu_dmem_migrate(vm, &arg);
	/* After an error, too: some may have moved. */
	if (copy_to_user(uarg, &arg, sizeof(arg)))
		err = -EFAULT;
	return err;
}

static int gpu_ioctl_stats(struct gpu_vm *vm, struct gpu_hmm_stats __user *uarg)
{
	struct gpu_hmm_stats *stats = kzalloc(sizeof(*stats), GFP_KERNEL);
	int err;

	if (!stats)
		return -ENOMEM;
	stats->engines = gpu_engines_count();
	stats->tlb_entries = gpu_engines_tlb_entries();
	err = gpu_vm_stats(vm, stats);
	if (!err && copy_to_user(uarg, stats, sizeof(*stats)))
		err = -EFAULT;
	kfree(stats);
	return err;
}

static long gpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct gpu_vm *vm = file->private_data;
	void __user *uarg = (void __user *)arg;

	/* A child that inherited the file means addresses of its own. */
	if (current->mm != vm->mm)
		return -EPERM;

	switch (cmd) {
	case GPU_HMM_IOC_SUBMIT:
		return gpu_ioctl_submit(vm, uarg);
	case GPU_HMM_IOC_WAIT:
		return gpu_ioctl_wait(vm, uarg);
	case GPU_HMM_IOC_PREFETCH:
		return gpu_ioctl_prefetch(vm, uarg);
	case GPU_HMM_IOC_SETUP:
		return gpu_ioctl_setup(vm, uarg);
	case GPU_HMM_IOC_STATS:
		return gpu_ioctl_stats(vm, uarg);
	case GPU_HMM_IOC_EVICT:
		return gpu_ioctl_evict(vm, uarg);
	case GPU_HMM_IOC_MIGRATE:
		return gpu_ioctl_migrate(vm, uarg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations gpu_fops = {
	.owner = THIS_MODULE,
	.open = gpu_open,
	.release = gpu_release,
	.unlocked_ioctl = gpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static int gpu_device_start(struct gpu_device *dev, unsigned int nr)
{
	int err;

	dev->nr = nr;
	spin_lock_init(&dev->atomic_lock);
	mutex_init(&dev->vms_lock);
	mutex_init(&dev->dmem_lock);
	INIT_LIST_HEAD(&dev->vms);
	err = gpu_engines_start(dev);
	if (err)
		return err;
	err = gpu_flusher_start(dev);
	if (err)
		goto stop_engines;

	/* The first has the name that it has when it is alone. */
	if (nr)
		snprintf(dev->name, sizeof(dev->name), "smmu_inval_gpu%u", nr);
	else
		snprintf(dev->name, sizeof(dev->name), "smmu_inval_gpu");
	dev->misc.minor = MISC_DYNAMIC_MINOR;
	dev->misc.name = dev->name;
	dev->misc.fops = &gpu_fops;
	/* It can do nothing to a process that this could not do itself. */
	dev->misc.mode = 0666;
	err = misc_register(&dev->misc);
	if (err)
		goto stop_flusher;
	return 0;

stop_flusher:
	gpu_flusher_stop(dev);
stop_engines:
	gpu_engines_stop(dev);
	gpu_engines_free(dev);
	return err;
}

static void gpu_device_stop(struct gpu_device *dev)
{
	misc_deregister(&dev->misc);
	gpu_engines_stop(dev);
	gpu_dmem_fini(dev);
	gpu_flusher_stop(dev);
	gpu_engines_free(dev);
}

static int __init gpu_init(void)
{
	unsigned int i = 0;
	int err;

	if (!devices || devices > GPU_MAX_DEVICES)
		return -EINVAL;
	err = gpu_ranges_module_init();
	if (err)
		return err;
	gpu_devices = kcalloc(devices, sizeof(*gpu_devices), GFP_KERNEL);
	err = gpu_devices ? 0 : -ENOMEM;
	for (; !err && i < devices; i++)
		err = gpu_device_start(&gpu_devices[i], i);
	if (!err)
		return 0;
	/* The last one that was tried cleaned up after itself. */
	while (i-- > 1)
		gpu_device_stop(&gpu_devices[i - 1]);
	kfree(gpu_devices);
	gpu_ranges_module_exit();
	return err;
}
module_init(gpu_init);

static void __exit gpu_exit(void)
{
	unsigned int i;

	for (i = 0; i < devices; i++)
		gpu_device_stop(&gpu_devices[i]);
	kfree(gpu_devices);
	gpu_ranges_module_exit();
}
module_exit(gpu_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Software GPU that mirrors a process, an example for smmu_inval");
