// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges: with GPU_HMM_RANGES, an address space has a notifier for each part of
 * it that was ever faulted, and not one for all.
 *
 * A range that was unmapped is not freed by the callback that says so: it runs
 * in the middle of munmap(), which still holds locks, and an UNMAP need not be
 * the end: a part of the range may be mapped still, or again, and in 6.1 and
 * 6.12 the OOM reaper says UNMAP as well, of memory whose mapping stays. So the
 * callback makes a note, and a worker looks whether there is a mapping.
 *
 *	munmap()				collector
 *	--------				---------
 *	range->unmapped = true
 *	...					unmapped = false
 *						mmap_lock
 *						  is anything mapped?
 *						  no: take it from the tree
 *						unlock
 *						remove the notifier, free it
 *
 * While mmap_lock is held nothing is mapped anew. A fault that has the range
 * already finds it gone, under the lock of the address space, and takes
 * another. When the process is gone nothing is mapped, either.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "gpu_hmm.h"

/* How many invalidations a fault can tell apart, see smmu_inval_interval. */
#define GPU_RANGE_RECORDS	64

static struct kmem_cache *gpu_range_cache;
static struct workqueue_struct *gpu_range_wq;

static struct gpu_range *to_range(struct interval_tree_node *node)
{
	return node ? container_of(node, struct gpu_range, it) : NULL;
}

/* Context: the lock is held. Takes a reference. */
static struct gpu_range *gpu_range_find(struct gpu_vm *vm, u64 addr)
{
	struct gpu_range *range;

	range = to_range(interval_tree_iter_first(&vm->ranges, addr, addr));
	if (range)
		kref_get(&range->ref);
	return range;
}

static void gpu_range_free(struct kref *ref)
{
	struct gpu_range *range = container_of(ref, struct gpu_range, ref);

	smmu_inval_interval_remove(&range->ival);
	kmem_cache_free(gpu_range_cache, range);
}

/**
 * gpu_range_put() - drop a reference
 * @range: the range
 *
 * Context: no lock held; may sleep.
 */
void gpu_range_put(struct gpu_range *range)
{
	kref_put(&range->ref, gpu_range_free);
}

static struct gpu_range *gpu_range_create(struct gpu_vm *vm, u64 addr)
{
	struct gpu_range *range;
	int err = -ESRCH;

	range = kmem_cache_zalloc(gpu_range_cache, GFP_KERNEL_ACCOUNT);
	if (!range)
		return ERR_PTR(-ENOMEM);
	kref_init(&range->ref);
	INIT_LIST_HEAD(&range->gc_node);
	range->it.start = addr & ~(GPU_HMM_RANGE_SIZE - 1);
	range->it.last = range->it.start + GPU_HMM_RANGE_SIZE - 1;
	if (mmget_not_zero(vm->mm)) {
		err = smmu_inval_interval_insert(&range->ival, &vm->si, vm->mm,
						 range->it.start,
						 range->it.last,
						 GPU_RANGE_RECORDS);
		mmput(vm->mm);
	}
	if (err) {
		kmem_cache_free(gpu_range_cache, range);
		return ERR_PTR(err);
	}
	return range;
}

/**
 * gpu_range_get() - the range that an address is in
 * @vm: the address space
 * @addr: the address
 *
 * Context: no lock held; may sleep.
 * Return: the range, with a reference, new if need be, or an ERR_PTR(): -ENOMEM,
 * or -ESRCH if the process is gone.
 */
struct gpu_range *gpu_range_get(struct gpu_vm *vm, u64 addr)
{
	struct gpu_range *range, *new;

	scoped_guard(mutex, &vm->lock) {
		range = gpu_range_find(vm, addr);
		if (range)
			return range;
	}
	new = gpu_range_create(vm, addr);
	if (IS_ERR(new))
		return new;
	scoped_guard(mutex, &vm->lock) {
		/* Another fault may have been faster. */
		range = gpu_range_find(vm, addr);
		if (range)
			break;
		interval_tree_insert(&new->it, &vm->ranges);
		vm->nr_ranges++;
		/* One for the tree, and one for the caller. */
		kref_get(&new->ref);
		/* It may have been told before it could be found. */
		new->unmapped = true;
		queue_work(gpu_range_wq, &vm->gc_work);
		return new;
	}
	gpu_range_put(new);
	return range;
}

/**
 * gpu_ranges_unmapped() - something was unmapped
 * @vm: the address space
 * @start: first address
 * @last: last address, inclusive
 *
 * Context: in a callback, @vm->lock held.
 */
void gpu_ranges_unmapped(struct gpu_vm *vm, u64 start, u64 last)
{
	struct interval_tree_node *node;

	node = interval_tree_iter_first(&vm->ranges, start, last);
	if (!node)
		return;
	for (; node; node = interval_tree_iter_next(node, start, last))
		to_range(node)->unmapped = true;
	queue_work(gpu_range_wq, &vm->gc_work);
}

/* The next range that has to be looked at, with a reference, or NULL. */
static struct gpu_range *gpu_range_next_unmapped(struct gpu_vm *vm)
{
	struct interval_tree_node *node;

	guard(mutex)(&vm->lock);
	node = interval_tree_iter_first(&vm->ranges, 0, GPU_VA_LAST);
	for (; node; node = interval_tree_iter_next(node, 0, GPU_VA_LAST)) {
		struct gpu_range *range = to_range(node);

		if (!range->unmapped)
			continue;
		/* Before the look: what is unmapped later says so again. */
		range->unmapped = false;
		kref_get(&range->ref);
		return range;
	}
	return NULL;
}

/* Context: the lock is held. The tree's reference goes to the caller. */
static void gpu_range_take_out(struct gpu_vm *vm, struct gpu_range *range)
{
	CLASS(smmu_inval_batch, batch)(&vm->si);

	gpu_pt_zap(vm, &batch, range->it.start, range->it.last,
		   SMMU_INVAL_DRIVER);
	interval_tree_remove(&range->it, &vm->ranges);
	range->gone = true;
	vm->nr_ranges--;
	vm->ranges_freed++;
}

/* Return whether it was taken from the tree. */
static bool gpu_range_collect(struct gpu_vm *vm, struct gpu_range *range)
{
	bool alive = mmget_not_zero(vm->mm), taken = false;

	if (alive)
		mmap_read_lock(vm->mm);
	if (!alive || !find_vma_intersection(vm->mm, range->it.start,
					     range->it.last + 1)) {
		guard(mutex)(&vm->lock);
		if (!range->gone) {
			gpu_range_take_out(vm, range);
			taken = true;
		}
	}
	if (alive) {
		mmap_read_unlock(vm->mm);
		mmput(vm->mm);
	}
	return taken;
}

static void gpu_ranges_gc(struct work_struct *work)
{
	struct gpu_vm *vm = container_of(work, struct gpu_vm, gc_work);
	struct gpu_range *range;

	while ((range = gpu_range_next_unmapped(vm))) {
		if (gpu_range_collect(vm, range))
			gpu_range_put(range);
		gpu_range_put(range);
		cond_resched();
	}
}

/**
 * gpu_ranges_init() - no ranges yet
 * @vm: the address space
 */
void gpu_ranges_init(struct gpu_vm *vm)
{
	vm->ranges = RB_ROOT_CACHED;
	INIT_WORK(&vm->gc_work, gpu_ranges_gc);
}

/**
 * gpu_ranges_fini() - remove all ranges
 * @vm: the address space; nobody faults in it any more
 *
 * Context: no lock held; sleeps.
 */
void gpu_ranges_fini(struct gpu_vm *vm)
{
	struct interval_tree_node *node;

	for (;;) {
		scoped_guard(mutex, &vm->lock) {
			node = interval_tree_iter_first(&vm->ranges, 0,
							GPU_VA_LAST);
			if (node)
				gpu_range_take_out(vm, to_range(node));
		}
		if (!node)
			break;
		gpu_range_put(to_range(node));
	}
	/* Callbacks queue it as long as there are ranges. */
	cancel_work_sync(&vm->gc_work);
}

/**
 * gpu_ranges_module_init() - before the first range
 *
 * Return: 0 or -ENOMEM.
 */
int gpu_ranges_module_init(void)
{
	gpu_range_cache = KMEM_CACHE(gpu_range, 0);
	if (!gpu_range_cache)
		return -ENOMEM;
	gpu_range_wq = alloc_workqueue("gpu_hmm", WQ_UNBOUND, 0);
	if (!gpu_range_wq) {
		kmem_cache_destroy(gpu_range_cache);
		return -ENOMEM;
	}
	return 0;
}

/**
 * gpu_ranges_module_exit() - no address space is left
 *
 * A range that is left makes kmem_cache_destroy() complain.
 */
void gpu_ranges_module_exit(void)
{
	destroy_workqueue(gpu_range_wq);
	kmem_cache_destroy(gpu_range_cache);
}
