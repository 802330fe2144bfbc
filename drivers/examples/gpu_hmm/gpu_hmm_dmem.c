// SPDX-License-Identifier: GPL-2.0
/*
 * The GPU's own memory: pages of a process live there while the GPU works on
 * them, as device-private pages, and come back when the CPU touches them.
 *
 * The memory is simulated: each device-private page, which the CPU cannot
 * access, has an ordinary page behind it, and that is what engines access.
 *
 * migrate_vma_setup() sends MIGRATE with our owner. The library makes faults
 * that have read something start again, and keeps our translations: only we know
 * when they have to change, and a page that is not moved in the end need not be
 * faulted again. So what the event does not do, we do ourselves:
 *
 *	read_begin
 *	migrate_vma_setup()	the CPU's entries are gone, and whoever faults
 *				waits; others were told
 *	write-protect, flush	the content does not change any more
 *	copy
 *	migrate_vma_pages()	these pages have moved
 *	lock
 *	  zap, flush		what has moved
 *	  read_retry?		was there an invalidation that is not our own?
 *	  install		if not, where it is now
 *	unlock
 *	migrate_vma_finalize()	the old pages are freed
 *
 * The address spaces that other files have on this GPU have the same owner, and
 * keep theirs as well: they lose them where ours are write-protected. One move
 * at a time is under way on a GPU, gpu_device.vms_lock, and no address space goes
 * meanwhile; nor is anything evicted, since what is gone from the page table and
 * still in a TLB would not be zapped and flushed before the install.
 */
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/moduleparam.h>
#include <linux/page-flags.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "gpu_hmm.h"
#include "gpu_hmm_compat.h"

/* What request_free_mem_region() gives at least on x86_64. */
#define GPU_DMEM_SIZE		SZ_128M
#define GPU_DMEM_PAGES		(GPU_DMEM_SIZE / PAGE_SIZE)

/* What is moved at once: a leaf of the page table, and a huge page. */
#define GPU_MOVE_PAGES		GPU_PT_ENTRIES

static unsigned int dmem_mib = GPU_DMEM_SIZE / SZ_1M;

static int gpu_dmem_mib_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 1, GPU_DMEM_SIZE / SZ_1M);
}

static const struct kernel_param_ops gpu_dmem_mib_ops = {
	.set = gpu_dmem_mib_set,
	.get = param_get_uint,
};
module_param_cb(dmem_mib, &gpu_dmem_mib_ops, &dmem_mib, 0444);
MODULE_PARM_DESC(dmem_mib, "Memory of a GPU in MiB, 1 to 128");

/**
 * struct gpu_dmem - the memory of a GPU
 * @dev: the GPU
 * @pagemap: its device-private pages
 * @nr_pages: how many of them are used
 * @lock: protects @used
 * @used: a bit for each page
 * @ram: what is behind each used page
 */
struct gpu_dmem {
	struct gpu_device *dev;
	struct dev_pagemap pagemap;
	unsigned long nr_pages;
	spinlock_t lock; /* used */
	DECLARE_BITMAP(used, GPU_DMEM_PAGES);
	struct page *ram[GPU_DMEM_PAGES];
};

/**
 * struct gpu_move - a move of a part of an address space
 * @args: for migrate_vma_setup()
 * @try: of the address space that asks for it
 * @fault: has tables for what it installs
 * @src: where pages are
 * @dst: where they go to
 */
struct gpu_move {
	struct migrate_vma args;
	struct gpu_try try;
	struct gpu_fault fault;
	unsigned long src[GPU_MOVE_PAGES];
	unsigned long dst[GPU_MOVE_PAGES];
};

static struct gpu_dmem *gpu_dmem_of(struct page *page)
{
	return container_of(gpu_page_pgmap(page), struct gpu_dmem, pagemap);
}

static unsigned long gpu_dmem_index(struct gpu_dmem *dmem, struct page *page)
{
	return page_to_pfn(page) - PHYS_PFN(dmem->pagemap.range.start);
}

static struct page *gpu_dmem_ram(struct page *page)
{
	struct gpu_dmem *dmem = gpu_dmem_of(page);

	return dmem->ram[gpu_dmem_index(dmem, page)];
}

/**
 * gpu_dmem_pfn() - what the GPU accesses for a page
 * @page: an ordinary page, or one of this GPU's memory
 *
 * Return: the page frame for the GPU's page table.
 */
unsigned long gpu_dmem_pfn(struct page *page)
{
	return page_to_pfn(is_device_private_page(page) ? gpu_dmem_ram(page) :
							  page);
}

/* Context: any; the pages are not in use any more. */
static void gpu_dmem_free_pages(struct gpu_dmem *dmem, unsigned long index,
				unsigned long nr)
{
	unsigned long i;

	for (i = index; i < index + nr; i++) {
		if (dmem->ram[i])
			__free_page(dmem->ram[i]);
		dmem->ram[i] = NULL;
	}
	guard(spinlock)(&dmem->lock);
	bitmap_clear(dmem->used, index, nr);
}

/* Return the first of 1 << @order pages, one folio, locked; or NULL. */
static struct page *gpu_dmem_alloc(struct gpu_dmem *dmem, unsigned int order)
{
	unsigned long index, i, nr = 1UL << order;
	struct page *page;

	scoped_guard(spinlock, &dmem->lock) {
		index = bitmap_find_next_zero_area(dmem->used, dmem->nr_pages,
						   0, nr, nr - 1);
		if (index >= dmem->nr_pages)
			return NULL;
		bitmap_set(dmem->used, index, nr);
	}
	for (i = index; i < index + nr; i++) {
		dmem->ram[i] = alloc_page(GFP_HIGHUSER);
		if (!dmem->ram[i]) {
			gpu_dmem_free_pages(dmem, index, nr);
			return NULL;
		}
	}
	page = pfn_to_page(PHYS_PFN(dmem->pagemap.range.start) + index);
	gpu_zone_device_init(page, &dmem->pagemap, order);
	return page;
}

/* Context: as of put_page(). */
static void gpu_dmem_freed(gpu_freed_t *freed)
{
	struct page *page = gpu_freed_page(freed);
	struct gpu_dmem *dmem = gpu_dmem_of(page);

	gpu_dmem_free_pages(dmem, gpu_dmem_index(dmem, page),
			    gpu_freed_nr(freed));
}

static void gpu_move_stop_one(struct gpu_vm *vm, u64 start, u64 last, bool keep)
{
	CLASS(smmu_inval_drain, drain)(&vm->si);
	guard(mutex)(&vm->lock);
	CLASS(smmu_inval_batch, batch)(&vm->si);

	smmu_inval_batch_defer(&batch, &drain);
	if (keep)
		gpu_pt_wrprotect(vm, &batch, start, last, SMMU_INVAL_MIGRATE);
	else
		gpu_pt_zap(vm, &batch, start, last, SMMU_INVAL_MIGRATE);
	smmu_inval_drain_range(&drain, start, last);
}

/*
 * From here on the content does not change. @keep, or NULL, may go on reading:
 * until it has moved, the page stays where it is.
 */
static void gpu_move_stop(struct gpu_device *dev, struct gpu_move *move,
			  struct gpu_vm *keep)
{
	struct gpu_vm *vm;

	lockdep_assert_held(&dev->vms_lock);
	list_for_each_entry(vm, &dev->vms, dev_node)
		if (vm->mm == move->args.vma->vm_mm)
			gpu_move_stop_one(vm, move->args.start,
					  move->args.end - 1, vm == keep);
}

/* After migrate_vma_pages(): did this one move? */
static bool gpu_move_done(const struct gpu_move *move, unsigned long i)
{
	return move->dst[i] && move->src[i] & MIGRATE_PFN_MIGRATE;
}

/* How many pages an entry of the arrays stands for. */
static unsigned long gpu_move_step(unsigned long pfn)
{
	return pfn & GPU_PFN_COMPOUND ? GPU_MOVE_PAGES : 1;
}

static u64 gpu_move_count(const struct gpu_move *move, u64 *large)
{
	unsigned long i;
	u64 nr = 0;

	for (i = 0; i < move->args.npages; i += gpu_move_step(move->dst[i])) {
		if (!gpu_move_done(move, i))
			continue;
		nr += gpu_move_step(move->dst[i]);
		if (move->dst[i] & GPU_PFN_COMPOUND)
			*large += GPU_MOVE_PAGES;
	}
	return nr;
}

/* Context: the lock is held. */
static void gpu_move_zap(struct gpu_vm *vm, struct gpu_move *move)
{
	u64 addr = move->args.start, size;
	unsigned long i;

	/*
	 * Flushed before anything is installed: a new translation must not meet
	 * an old one in a TLB.
	 */
	CLASS(smmu_inval_batch, batch)(&vm->si);

	for (i = 0; i < move->args.npages; i += size / PAGE_SIZE, addr += size) {
		size = gpu_move_step(move->dst[i]) * PAGE_SIZE;
		if (gpu_move_done(move, i))
			gpu_pt_zap(vm, &batch, addr, addr + size - 1,
				   SMMU_INVAL_MIGRATE);
	}
}

static void gpu_move_install_page(struct gpu_vm *vm, struct gpu_move *move,
				  unsigned long i, struct page *page)
{
	bool write = move->dst[i] & MIGRATE_PFN_WRITE;
	unsigned long j, nr = gpu_move_step(move->dst[i]);
	u64 addr = move->args.start + i * PAGE_SIZE;

	/* See gpu_fault_install(). */
	if (write && !PageDirty(page))
		SetPageDirty(page);
	for (j = 0; j < nr; j++, addr += PAGE_SIZE)
		gpu_pt_install(vm, &move->fault, addr,
			       gpu_dmem_pfn(page + j),
			       write ? GPU_PTE_WRITE : 0);
}

/* Replace the translations of what has moved. */
static void gpu_move_install(struct gpu_vm *vm, struct gpu_move *move, u64 nr)
{
	u64 start = move->args.start, last = move->args.end - 1;
	unsigned long i;

	CLASS(smmu_inval_drain, drain)(&vm->si);
	guard(mutex)(&vm->lock);

	vm->to_device += nr;
	gpu_move_zap(vm, move);
	smmu_inval_drain_range(&drain, start, last);
	if (gpu_try_retry(&move->try, start, last))
		return;
	gpu_fault_make_room(vm, &move->fault);
	for (i = 0; i < move->args.npages; i += gpu_move_step(move->dst[i])) {
		struct page *page = migrate_pfn_to_page(move->dst[i]);

		if (gpu_move_done(move, i))
			gpu_move_install_page(vm, move, i, page);
	}
}

/* @nr pages; a NULL @from is memory that was never touched. */
static void gpu_move_copy(struct page *to, struct page *from, unsigned long nr,
			  bool to_device)
{
	unsigned long i;

	for (i = 0; i < nr; i++) {
		struct page *dst = to + i;
		struct page *src = from ? from + i : NULL;

		if (to_device)
			dst = gpu_dmem_ram(dst);
		else
			src = gpu_dmem_ram(src);
		if (src)
			copy_highpage(dst, src);
		else
			clear_highpage(dst);
	}
}

static void gpu_move_alloc_device(struct gpu_dmem *dmem, struct gpu_move *move)
{
	unsigned long i, j, nr, flags;
	struct page *from, *to;

	for (i = 0; i < move->args.npages; i += nr) {
		unsigned long src = move->src[i];

		nr = gpu_move_step(src);
		if (!(src & MIGRATE_PFN_MIGRATE))
			continue;
		flags = src & MIGRATE_PFN_WRITE;
		from = migrate_pfn_to_page(src);
		to = nr > 1 ? gpu_dmem_alloc(dmem, ilog2(nr)) : NULL;
		if (to) {
			gpu_move_copy(to, from, nr, true);
			move->dst[i] = migrate_pfn(page_to_pfn(to)) | flags |
				       GPU_PFN_COMPOUND;
			continue;
		}
		/* Page by page: core mm splits the huge page for it. */
		for (j = 0; j < nr; j++) {
			to = gpu_dmem_alloc(dmem, 0);
			if (!to)
				break;
			gpu_move_copy(to, from ? from + j : NULL, 1,
				      true);
			move->dst[i + j] = migrate_pfn(page_to_pfn(to)) | flags;
		}
	}
}

static struct page *gpu_move_alloc_ram(struct gpu_move *move, unsigned long nr,
				       u64 addr)
{
	struct page *page;

	if (nr > 1)
		page = gpu_alloc_huge(move->args.vma, addr);
	else
		page = alloc_page_vma(GFP_HIGHUSER_MOVABLE, move->args.vma,
				      addr);
	if (page)
		lock_page(page);
	return page;
}

static void gpu_move_alloc_system(struct gpu_move *move)
{
	unsigned long i, j, nr, flags;
	struct page *from, *to;

	for (i = 0; i < move->args.npages; i += nr) {
		u64 addr = move->args.start + i * PAGE_SIZE;
		unsigned long src = move->src[i];

		nr = gpu_move_step(src);
		from = migrate_pfn_to_page(src);
		if (!(src & MIGRATE_PFN_MIGRATE) || !from)
			continue;
		flags = src & MIGRATE_PFN_WRITE;
		to = nr > 1 ? gpu_move_alloc_ram(move, nr, addr) : NULL;
		if (to) {
			gpu_move_copy(to, from, nr, false);
			move->dst[i] = migrate_pfn(page_to_pfn(to)) | flags |
				       GPU_PFN_COMPOUND;
			continue;
		}
		for (j = 0; j < nr; j++, addr += PAGE_SIZE) {
			to = gpu_move_alloc_ram(move, 1, addr);
			if (!to)
				break;
			gpu_move_copy(to, from + j, 1, false);
			move->dst[i + j] = migrate_pfn(page_to_pfn(to)) | flags;
		}
	}
}

/* Context: mmap_lock and vms_lock held. Return how many, or an error. */
static s64 gpu_move_to_device(struct gpu_vm *vm, struct gpu_move *move,
			      u64 *large)
{
	s64 nr;

	move->try.cookie.own = true;
	move->args.flags = MIGRATE_VMA_SELECT_SYSTEM | GPU_SELECT_COMPOUND;
	nr = migrate_vma_setup(&move->args);
	if (nr)
		return nr;
	gpu_move_stop(vm->dev, move, vm);
	gpu_move_alloc_device(vm->dev->dmem, move);
	migrate_vma_pages(&move->args);
	nr = gpu_move_count(move, large);
	gpu_move_install(vm, move, nr);
	migrate_vma_finalize(&move->args);
	return nr;
}

/* The same in the other direction. */
static s64 gpu_move_to_system(struct gpu_device *dev, struct gpu_move *move,
			      u64 *large)
{
	s64 nr;

	move->args.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
			   GPU_SELECT_COMPOUND;
	nr = migrate_vma_setup(&move->args);
	if (nr)
		return nr;
	gpu_move_stop(dev, move, NULL);
	gpu_move_alloc_system(move);
	migrate_vma_pages(&move->args);
	nr = gpu_move_count(move, large);
	migrate_vma_finalize(&move->args);
	atomic64_add(nr, &dev->to_system);
	return nr;
}

static void gpu_move_init(struct gpu_move *move, struct gpu_device *dev,
			  struct vm_area_struct *vma, u64 start, u64 end)
{
	move->args = (struct migrate_vma) {
		.vma = vma,
		.src = move->src,
		.dst = move->dst,
		.start = start,
		.end = end,
		.pgmap_owner = dev,
	};
	memset(move->src, 0, sizeof(move->src));
	memset(move->dst, 0, sizeof(move->dst));
}

/* The CPU touches a page that is in the GPU's memory. */
static vm_fault_t gpu_dmem_to_ram(struct vm_fault *vmf)
{
	struct gpu_device *dev = gpu_dmem_of(vmf->page)->dev;
	u64 size = gpu_fault_size(vmf), start, large = 0;
	struct gpu_move *move;
	s64 nr;

	move = kmalloc(sizeof(*move), GFP_KERNEL);
	if (!move)
		return VM_FAULT_OOM;
	start = ALIGN_DOWN(vmf->address, size);
	scoped_guard(mutex, &dev->vms_lock) {
		gpu_move_init(move, dev, vmf->vma, start, start + size);
		move->args.fault_page = vmf->page;
		nr = gpu_move_to_system(dev, move, &large);
	}
	/* It was collected, and there was no page for it. */
	if (!nr && move->args.cpages && !move->dst[0])
		nr = -ENOMEM;
	kfree(move);
	if (nr == -ENOMEM)
		return VM_FAULT_OOM;
	/* If it did not move, somebody else is at it: touch it again. */
	return nr < 0 ? VM_FAULT_SIGBUS : 0;
}

static const struct dev_pagemap_ops gpu_dmem_ops = {
	.GPU_PAGEMAP_FREE = gpu_dmem_freed,
	.migrate_to_ram = gpu_dmem_to_ram,
};

static struct gpu_dmem *gpu_dmem_create(struct gpu_device *dev)
{
	struct gpu_dmem *dmem;
	struct resource *res;
	void *ptr;

	dmem = kvzalloc(sizeof(*dmem), GFP_KERNEL);
	if (!dmem)
		return ERR_PTR(-ENOMEM);
	res = request_free_mem_region(&iomem_resource, GPU_DMEM_SIZE,
				      "smmu_inval_gpu");
	if (IS_ERR(res)) {
		kvfree(dmem);
		return ERR_CAST(res);
	}
	dmem->dev = dev;
	spin_lock_init(&dmem->lock);
	dmem->nr_pages = (unsigned long)dmem_mib * SZ_1M / PAGE_SIZE;
	dmem->pagemap.type = MEMORY_DEVICE_PRIVATE;
	dmem->pagemap.range.start = res->start;
	dmem->pagemap.range.end = res->end;
	dmem->pagemap.nr_range = 1;
	dmem->pagemap.ops = &gpu_dmem_ops;
	dmem->pagemap.owner = dev;
	ptr = memremap_pages(&dmem->pagemap, numa_node_id());
	if (IS_ERR(ptr)) {
		release_mem_region(res->start, resource_size(res));
		kvfree(dmem);
		return ERR_CAST(ptr);
	}
	return dmem;
}

static int gpu_dmem_init(struct gpu_device *dev)
{
	struct gpu_dmem *dmem;

	guard(mutex)(&dev->dmem_lock);
	if (dev->dmem)
		return 0;
	dmem = gpu_dmem_create(dev);
	if (IS_ERR(dmem))
		return PTR_ERR(dmem);
	dev->dmem = dmem;
	return 0;
}

/* Pages of processes that have no file open any more, as after a fork. */
static void gpu_dmem_evict(struct gpu_dmem *dmem, struct gpu_move *move)
{
	unsigned long pfn = PHYS_PFN(dmem->pagemap.range.start), i, j;

	for (i = 0; i < dmem->nr_pages; i += GPU_MOVE_PAGES) {
		unsigned long nr = min(GPU_MOVE_PAGES, dmem->nr_pages - i);

		memset(move->src, 0, sizeof(move->src));
		memset(move->dst, 0, sizeof(move->dst));
		migrate_device_range(move->src, pfn + i, nr);
		for (j = 0; j < nr; j++) {
			unsigned long src = move->src[j], step;
			struct page *from = migrate_pfn_to_page(src), *to;

			if (!from || !(src & MIGRATE_PFN_MIGRATE))
				continue;
			step = gpu_move_step(src);
			to = alloc_pages(GFP_HIGHUSER_MOVABLE |
					 (step > 1 ? __GFP_COMP : 0),
					 ilog2(step));
			if (!to)
				continue;
			lock_page(to);
			gpu_move_copy(to, from, step, false);
			move->dst[j] = migrate_pfn(page_to_pfn(to)) |
				       (src & (MIGRATE_PFN_WRITE |
					       GPU_PFN_COMPOUND));
		}
		migrate_device_pages(move->src, move->dst, nr);
		migrate_device_finalize(move->src, move->dst, nr);
	}
}

/**
 * gpu_dmem_fini() - free the memory of a GPU
 * @dev: the GPU; no address space is left on it
 *
 * Processes may still have pages there: they get them back, and as long as that
 * does not work for want of memory or because somebody is using one, it waits.
 */
void gpu_dmem_fini(struct gpu_device *dev)
{
	struct gpu_dmem *dmem = dev->dmem;
	struct gpu_move *move;

	if (!dmem)
		return;
	move = kmalloc(sizeof(*move), GFP_KERNEL | __GFP_NOFAIL);
	for (;;) {
		gpu_dmem_evict(dmem, move);
		if (bitmap_empty(dmem->used, GPU_DMEM_PAGES))
			break;
		msleep(20);
	}
	kfree(move);
	memunmap_pages(&dmem->pagemap);
	release_mem_region(dmem->pagemap.range.start,
			   range_len(&dmem->pagemap.range));
	kvfree(dmem);
	dev->dmem = NULL;
}

/* Move what is mapped at @start, and not beyond @end. Return where it ended. */
static s64 gpu_dmem_migrate_some(struct gpu_vm *vm, struct gpu_move *move,
				 u64 start, u64 end,
				 struct gpu_hmm_migrate *arg)
{
	struct vm_area_struct *vma = vma_lookup(vm->mm, start);
	s64 nr;

	if (!vma)
		return -EFAULT;
	end = min3(end, (start | (GPU_STEP_SIZE - 1)) + 1, (u64)vma->vm_end);
	gpu_move_init(move, vm->dev, vma, start, end);
	guard(mutex)(&vm->dev->vms_lock);
	if (arg->flags & GPU_HMM_MIGRATE_BACK)
		nr = gpu_move_to_system(vm->dev, move, &arg->large);
	else
		nr = gpu_move_to_device(vm, move, &arg->large);
	/* -EINVAL: a mapping that nothing can be moved of. */
	if (nr < 0 && nr != -EINVAL)
		return nr;
	arg->pages += max_t(s64, nr, 0);
	return end;
}

/**
 * gpu_dmem_migrate() - see struct gpu_hmm_migrate
 * @vm: the address space
 * @arg: from where, and what has become of it
 *
 * Context: of the caller of the ioctl; may sleep.
 * Return: 0 or an error.
 */
int gpu_dmem_migrate(struct gpu_vm *vm, struct gpu_hmm_migrate *arg)
{
	u64 at = arg->addr, end = arg->addr + arg->size;
	struct gpu_move *move;
	s64 ret;

	ret = gpu_dmem_init(vm->dev);
	if (ret)
		return ret;
	move = kzalloc(sizeof(*move), GFP_KERNEL);
	if (!move)
		return -ENOMEM;
	for (; at < end; at = ret) {
		ret = gpu_fault_prepare(&move->fault);
		if (ret)
			break;
		ret = gpu_try_begin(&move->try, vm, at);
		if (ret)
			break;
		/* What is pending now would only be in the way later. */
		ret = smmu_inval_interval_wait(move->try.ival, at,
					       at | (GPU_STEP_SIZE - 1));
		gpu_try_look(&move->try);
		if (!ret && !mmget_not_zero(vm->mm))
			ret = -ESRCH;
		if (!ret) {
			ret = mmap_read_lock_killable(vm->mm);
			if (!ret) {
				ret = gpu_dmem_migrate_some(vm, move, at, end,
							    arg);
				mmap_read_unlock(vm->mm);
			}
			mmput(vm->mm);
		}
		gpu_try_end(&move->try);
		if (ret >= 0 && fatal_signal_pending(current))
			ret = -EINTR;
		if (ret < 0)
			break;
		cond_resched();
	}
	gpu_fault_finish(&move->fault);
	kfree(move);
	return min_t(s64, ret, 0);
}
