// SPDX-License-Identifier: GPL-2.0
/*
 * An address space of the GPU: mirrors a process, fault by fault.
 *
 * One interval notifier covers it all, or one each range that was ever faulted.
 * What one sequence number for a large notifier would cost, a retry of every
 * fault for any change anywhere, the library's records avoid.
 */
#include <linux/bitops.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "gpu_hmm.h"

/* How many invalidations a fault can tell apart, see smmu_inval_interval. */
#define GPU_VM_RECORDS		256

static atomic64_t gpu_next_asid = ATOMIC64_INIT(0);

static struct gpu_vm *gpu_vm_of(struct smmu_inval *si)
{
	return container_of(si, struct gpu_vm, si);
}

static void gpu_vm_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		       const struct smmu_inval_span *span)
{
	struct gpu_vm *vm = gpu_vm_of(si);

	gpu_pt_zap(vm, batch, span->start, span->last, __ffs(span->events));
	if (span->events & (BIT(SMMU_INVAL_UNMAP) | BIT(SMMU_INVAL_RELEASE)))
		gpu_ranges_unmapped(vm, span->start, span->last);
}

static void gpu_vm_wrprotect(struct smmu_inval *si,
			     struct smmu_inval_batch *batch,
			     const struct smmu_inval_span *span)
{
	gpu_pt_wrprotect(gpu_vm_of(si), batch, span->start, span->last,
			 __ffs(span->events));
}

static void gpu_vm_flush(struct smmu_inval *si,
			 const struct smmu_inval_flush *flush)
{
	gpu_flush_now(gpu_vm_of(si), flush);
}

static u64 gpu_vm_flush_issue(struct smmu_inval *si,
			      const struct smmu_inval_flush *flush)
{
	return gpu_flush_issue(gpu_vm_of(si), flush);
}

static void gpu_vm_flush_wait(struct smmu_inval *si, u64 ticket)
{
	gpu_flush_wait(gpu_vm_of(si)->dev, ticket);
}

static const struct smmu_inval_ops gpu_vm_ops = {
	.zap = gpu_vm_zap,
	.wrprotect = gpu_vm_wrprotect,
	.flush = gpu_vm_flush,
	.flush_issue = gpu_vm_flush_issue,
	.flush_wait = gpu_vm_flush_wait,
	.free_tables = gpu_pt_free_tables,
};

/**
 * gpu_vm_create() - give a process an address space on a GPU
 * @dev: the GPU
 * @mm: the process; alive
 *
 * Return: the address space, or an ERR_PTR().
 */
struct gpu_vm *gpu_vm_create(struct gpu_device *dev, struct mm_struct *mm)
{
	struct smmu_inval_config config = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "gpu_hmm",
		.owner = dev,
	};
	struct gpu_vm *vm;
	int err;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	mutex_init(&vm->setup_lock);
	spin_lock_init(&vm->cmd_lock);
	INIT_LIST_HEAD(&vm->commands);
	gpu_ranges_init(vm);
	vm->dev = dev;
	vm->asid = atomic64_inc_return(&gpu_next_asid);

	err = gpu_pt_init(vm);
	if (err)
		goto free_vm;
	config.lock = SMMU_INVAL_LOCK(&vm->lock);
	config.last = GPU_VA_LAST;
	err = smmu_inval_init(&vm->si, &gpu_vm_ops, &config);
	if (err)
		goto free_pt;
	mmgrab(mm);
	vm->mm = mm;
	scoped_guard(mutex, &dev->vms_lock)
		list_add_tail(&vm->dev_node, &dev->vms);
	return vm;

free_pt:
	gpu_pt_fini(vm);
free_vm:
	kfree(vm);
	return ERR_PTR(err);
}

/**
 * gpu_vm_use() - before the first fault: begin to follow the process
 * @vm: the address space
 *
 * Context: no lock held; may sleep.
 * Return: 0, -ENOMEM, or -ESRCH if the process is gone.
 */
int gpu_vm_use(struct gpu_vm *vm)
{
	int err = 0;

	/* Pairs with the release below: who sees it sees the notifier, too. */
	if (likely(smp_load_acquire(&vm->used)))
		return 0;
	guard(mutex)(&vm->setup_lock);
	if (vm->used)
		return 0;
	if (!mmget_not_zero(vm->mm))
		return -ESRCH;
	if (!(vm->flags & GPU_HMM_RANGES)) {
		err = smmu_inval_interval_insert(&vm->ival, &vm->si, vm->mm, 0,
						 GPU_VA_LAST, GPU_VM_RECORDS);
		vm->whole = !err;
	}
	mmput(vm->mm);
	if (!err) {
		/* Pairs with the acquire above. */
		smp_store_release(&vm->used, true);
	}
	return err;
}

/**
 * gpu_vm_zap_all() - throw the page table away
 * @vm: the address space
 *
 * Context: @vm->lock held.
 */
void gpu_vm_zap_all(struct gpu_vm *vm)
{
	CLASS(smmu_inval_batch, batch)(&vm->si);

	gpu_pt_zap(vm, &batch, 0, GPU_VA_LAST, SMMU_INVAL_DRIVER);
}

/**
 * gpu_vm_evict() - throw a part of the page table away
 * @vm: the address space
 * @start: first address
 * @last: last address, inclusive
 *
 * What it maps is still what the process has there, so that no fault needs to
 * know: nothing is begun or ended, only flushed.
 *
 * Context: no lock held; may sleep.
 */
void gpu_vm_evict(struct gpu_vm *vm, u64 start, u64 last)
{
	/* Not during a move: see gpu_hmm_dmem.c. Held until the flush has landed. */
	guard(mutex)(&vm->dev->vms_lock);
	CLASS(smmu_inval_drain, drain)(&vm->si);
	guard(mutex)(&vm->lock);
	CLASS(smmu_inval_batch, batch)(&vm->si);

	smmu_inval_batch_defer(&batch, &drain);
	gpu_pt_zap(vm, &batch, start, last, SMMU_INVAL_DRIVER);
}

/**
 * gpu_vm_stop() - the file is closed
 * @vm: the address space
 *
 * When it returns, engines neither read nor write memory of the process, and
 * will not do it again; commands that are not over end with -ESRCH.
 */
void gpu_vm_stop(struct gpu_vm *vm)
{
	/* Nothing is installed any more, and then nothing is left. */
	smmu_inval_shutdown(&vm->si);
	guard(mutex)(&vm->lock);
	gpu_vm_zap_all(vm);
}

static void gpu_vm_free(struct kref *ref)
{
	struct gpu_vm *vm = container_of(ref, struct gpu_vm, ref);

	scoped_guard(mutex, &vm->dev->vms_lock)
		list_del(&vm->dev_node);
	gpu_ranges_fini(vm);
	if (vm->whole)
		smmu_inval_interval_remove(&vm->ival);
	smmu_inval_destroy(&vm->si);
	gpu_pt_fini(vm);
	mmdrop(vm->mm);
	kfree(vm);
}

/**
 * gpu_vm_put() - drop a reference
 * @vm: the address space; after gpu_vm_stop(), if this may be the last one
 *
 * Context: no lock held; may sleep.
 */
void gpu_vm_put(struct gpu_vm *vm)
{
	kref_put(&vm->ref, gpu_vm_free);
}

/**
 * gpu_vm_setup() - see struct gpu_hmm_setup
 * @vm: the address space
 * @setup: how it is to behave; checked
 *
 * Return: 0, or -EBUSY.
 */
int gpu_vm_setup(struct gpu_vm *vm, const struct gpu_hmm_setup *setup)
{
	guard(mutex)(&vm->setup_lock);
	if (vm->used && (vm->flags ^ setup->flags) & GPU_HMM_RANGES)
		return -EBUSY;
	guard(mutex)(&vm->lock);
	smmu_inval_set_coarse(&vm->si, setup->flags & GPU_HMM_COARSE);
	WRITE_ONCE(vm->flags, setup->flags);
	WRITE_ONCE(vm->fault_delay_us, setup->fault_delay_us);
	vm->flush_delay_us = setup->flush_delay_us;
	return 0;
}

#define GPU_SAME_EVENT(name)	\
	static_assert(GPU_HMM_EVENT_##name == (int)SMMU_INVAL_##name)

GPU_SAME_EVENT(UNMAP);
GPU_SAME_EVENT(CLEAR);
GPU_SAME_EVENT(PROTECTION_VMA);
GPU_SAME_EVENT(PROTECTION_PAGE);
GPU_SAME_EVENT(SOFT_DIRTY);
GPU_SAME_EVENT(RELEASE);
GPU_SAME_EVENT(MIGRATE);
GPU_SAME_EVENT(EXCLUSIVE);
GPU_SAME_EVENT(DRIVER);
GPU_SAME_EVENT(TLB);
static_assert(GPU_HMM_NR_EVENTS == (int)SMMU_INVAL_NR_EVENTS);

/**
 * gpu_vm_stats() - see struct gpu_hmm_stats
 * @vm: the address space
 * @stats: filled, but for what describes the GPU as a whole
 *
 * Return: 0 or -ENOMEM.
 */
int gpu_vm_stats(struct gpu_vm *vm, struct gpu_hmm_stats *stats)
{
	struct smmu_inval_stats *lib = kzalloc(sizeof(*lib), GFP_KERNEL);
	unsigned int i;

	if (!lib)
		return -ENOMEM;
	smmu_inval_get_stats(&vm->si, lib);
	for (i = 0; i < GPU_HMM_NR_EVENTS; i++) {
		stats->event[i].callbacks = lib->event[i].callbacks;
		stats->event[i].asked = lib->event[i].asked;
		stats->event[i].changed = lib->event[i].changed;
		stats->event[i].kept = lib->event[i].kept;
		stats->event[i].deferred = lib->event[i].deferred;
		stats->event[i].flushed = lib->event[i].flushed;
	}
	stats->checks = lib->checks;
	stats->retries_pending = lib->retries_pending;
	stats->retries_done = lib->retries_done;
	stats->retries_false = lib->retries_false;
	stats->flushes = lib->flushes;
	stats->flushes_all = lib->flushes_all;
	stats->overflows = lib->overflow_pending + lib->overflow_batch +
			   lib->overflow_history + lib->overflow_flights;
	stats->flush_waits = lib->waits;
	stats->single_pass = lib->single_pass;
	kfree(lib);

	scoped_guard(mutex, &vm->lock) {
		stats->faults = vm->faults;
		stats->fault_pages = vm->fault_pages;
		stats->fault_retries = vm->fault_retries;
		stats->tables = vm->nr_tables;
		stats->evictions = vm->evictions;
		stats->exclusive = vm->exclusive;
		stats->to_device = vm->to_device;
		stats->ranges = vm->whole ? 1 : vm->nr_ranges;
		stats->ranges_freed = vm->ranges_freed;
	}
	stats->to_system = atomic64_read(&vm->dev->to_system);
	stats->tlb_hits = atomic64_read(&vm->tlb_hits);
	stats->tlb_misses = atomic64_read(&vm->tlb_misses);
	stats->tlb_flushed = atomic64_read(&vm->tlb_flushed);
	return 0;
}
