// SPDX-License-Identifier: GPL-2.0
/*
 * The GPU's page table: a radix tree of pages, as hardware would walk it.
 *
 * Tables are allocated before the lock is taken, and leave the tree as soon as
 * their last entry does. A table that has left goes to the batch that removed
 * the entry, which frees it when the flush is over: hardware may cache tables,
 * not only translations.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "gpu_hmm.h"

/* A walk that removes or write-protects what it finds in a range. */
struct gpu_pt_walk {
	struct gpu_vm *vm;
	struct smmu_inval_batch *batch;
	enum smmu_inval_event event;
	bool zap;
	/* What changed and is not reported yet: [run_start, run_end). */
	u64 run_start;
	u64 run_end;
};

static struct gpu_table *gpu_table_alloc(void)
{
	struct gpu_table *table = kzalloc(sizeof(*table), GFP_KERNEL);
	struct page *page;

	if (!table)
		return NULL;
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!page) {
		kfree(table);
		return NULL;
	}
	set_page_private(page, (unsigned long)table);
	table->entries = page_address(page);
	return table;
}

static void gpu_table_free(struct gpu_table *table)
{
	struct page *page = virt_to_page(table->entries);

	set_page_private(page, 0);
	__free_page(page);
	kfree(table);
}

static struct gpu_table *gpu_table_child(u64 pte)
{
	struct page *page = pfn_to_page(gpu_pte_pfn(pte));

	return (struct gpu_table *)page_private(page);
}

static unsigned int gpu_pt_shift(int level)
{
	return PAGE_SHIFT + level * GPU_PT_BITS;
}

static unsigned int gpu_pt_index(u64 addr, int level)
{
	return (addr >> gpu_pt_shift(level)) & (GPU_PT_ENTRIES - 1);
}

/**
 * gpu_pt_init() - make an empty page table
 * @vm: the address space; nobody else knows it yet
 *
 * Return: 0 or -ENOMEM.
 */
int gpu_pt_init(struct gpu_vm *vm)
{
	vm->root = gpu_table_alloc();
	return vm->root ? 0 : -ENOMEM;
}

/**
 * gpu_pt_fini() - free the page table
 * @vm: the address space; everything in it was zapped
 */
void gpu_pt_fini(struct gpu_vm *vm)
{
	WARN_ON_ONCE(vm->root->used || vm->nr_tables);
	gpu_table_free(vm->root);
}

/**
 * gpu_fault_prepare() - allocate what a fault may need
 * @fault: keeps what is left from one fault to the next
 *
 * Context: no lock held; may sleep.
 * Return: 0 or -ENOMEM.
 */
int gpu_fault_prepare(struct gpu_fault *fault)
{
	while (fault->nr_spare < ARRAY_SIZE(fault->spare)) {
		struct gpu_table *table = gpu_table_alloc();

		if (!table)
			return -ENOMEM;
		fault->spare[fault->nr_spare++] = table;
	}
	return 0;
}

/**
 * gpu_fault_finish() - free what faults have left
 * @fault: can be used again
 */
void gpu_fault_finish(struct gpu_fault *fault)
{
	while (fault->nr_spare)
		gpu_table_free(fault->spare[--fault->nr_spare]);
}

/**
 * gpu_pt_lookup() - walk the page table
 * @vm: the address space
 * @addr: a GPU address
 *
 * Context: @vm->lock held.
 * Return: the entry, 0 if there is none.
 */
u64 gpu_pt_lookup(struct gpu_vm *vm, u64 addr)
{
	struct gpu_table *table = vm->root;
	int level;

	for (level = GPU_PT_LEVELS - 1; level > 0; level--) {
		u64 pte = table->entries[gpu_pt_index(addr, level)];

		if (!(pte & GPU_PTE_VALID))
			return 0;
		table = gpu_table_child(pte);
	}
	return table->entries[gpu_pt_index(addr, 0)];
}

/**
 * gpu_pt_install() - map a page
 * @vm: the address space
 * @fault: has the tables that may be missing
 * @addr: the GPU address, aligned
 * @pfn: the page
 * @flags: GPU_PTE_WRITE, GPU_PTE_EXCLUSIVE: what the GPU may do
 *
 * What is mapped already can gain permissions, and does not lose any: that is
 * for invalidations to decide.
 *
 * Context: @vm->lock held since smmu_inval_interval_read_retry().
 */
void gpu_pt_install(struct gpu_vm *vm, struct gpu_fault *fault, u64 addr,
		    unsigned long pfn, u64 flags)
{
	struct gpu_table *table = vm->root;
	unsigned int index;
	u64 old;
	int level;

	lockdep_assert_held(&vm->lock);

	for (level = GPU_PT_LEVELS - 1; level > 0; level--) {
		struct gpu_table *child;

		index = gpu_pt_index(addr, level);
		if (table->entries[index] & GPU_PTE_VALID) {
			table = gpu_table_child(table->entries[index]);
			continue;
		}
		/* gpu_fault_prepare() got enough for one leaf. */
		child = fault->spare[--fault->nr_spare];
		table->entries[index] =
			gpu_pte(page_to_pfn(virt_to_page(child->entries)), 0);
		table->used++;
		vm->nr_tables++;
		table = child;
	}

	index = gpu_pt_index(addr, 0);
	old = table->entries[index];
	if (!(old & GPU_PTE_VALID)) {
		table->used++;
	} else if (WARN_ON_ONCE(gpu_pte_pfn(old) != pfn)) {
		/* A page replaced another, and nobody told us: stale (I1). */
		old = 0;
	}
	flags |= old & (GPU_PTE_WRITE | GPU_PTE_EXCLUSIVE);
	table->entries[index] = gpu_pte(pfn, flags);
}

static void gpu_pt_report(struct gpu_pt_walk *walk)
{
	if (walk->run_start == walk->run_end)
		return;
	smmu_inval_changed(walk->batch, walk->run_start, walk->run_end - 1,
			   walk->event);
	walk->run_start = 0;
	walk->run_end = 0;
}

static void gpu_pt_changed(struct gpu_pt_walk *walk, u64 addr)
{
	if (addr != walk->run_end) {
		gpu_pt_report(walk);
		walk->run_start = addr;
	}
	walk->run_end = addr + PAGE_SIZE;
}

static void gpu_pt_walk_leaf(struct gpu_pt_walk *walk, struct gpu_table *table,
			     u64 start, u64 last)
{
	unsigned int end = gpu_pt_index(last, 0);
	u64 addr = start & PAGE_MASK;
	unsigned int i;

	for (i = gpu_pt_index(start, 0); i <= end; i++, addr += PAGE_SIZE) {
		u64 *pte = &table->entries[i];

		if (walk->zap) {
			if (!(*pte & GPU_PTE_VALID))
				continue;
			*pte = 0;
			table->used--;
		} else {
			if (!(*pte & GPU_PTE_WRITE))
				continue;
			*pte &= ~(GPU_PTE_WRITE | GPU_PTE_EXCLUSIVE);
		}
		gpu_pt_changed(walk, addr);
	}
}

static void gpu_pt_walk_table(struct gpu_pt_walk *walk,
			      struct gpu_table *table, int level, u64 start,
			      u64 last)
{
	u64 size = 1ULL << gpu_pt_shift(level);
	u64 addr = start, next;

	if (!level) {
		gpu_pt_walk_leaf(walk, table, start, last);
		return;
	}

	for (; addr <= last && table->used; addr = next) {
		u64 *pte = &table->entries[gpu_pt_index(addr, level)];
		struct gpu_table *child;

		next = (addr & ~(size - 1)) + size;
		if (!(*pte & GPU_PTE_VALID))
			continue;
		child = gpu_table_child(*pte);
		gpu_pt_walk_table(walk, child, level - 1, addr,
				  min(next - 1, last));
		if (child->used)
			continue;
		*pte = 0;
		table->used--;
		walk->vm->nr_tables--;
		/* Its translations first, so that one flush covers both. */
		gpu_pt_report(walk);
		smmu_inval_batch_free_later(walk->batch, &child->free);
	}
}

static void gpu_pt_walk(struct gpu_pt_walk *walk, u64 start, u64 last)
{
	lockdep_assert_held(&walk->vm->lock);
	if (start > GPU_VA_LAST)
		return;
	gpu_pt_walk_table(walk, walk->vm->root, GPU_PT_LEVELS - 1, start,
			  min(last, GPU_VA_LAST));
	gpu_pt_report(walk);
}

/**
 * gpu_pt_zap() - unmap what is mapped in a range
 * @vm: the address space
 * @batch: gets what was mapped, and the tables that became empty
 * @start: first address
 * @last: last address, inclusive
 * @event: why
 *
 * Context: @vm->lock held.
 */
void gpu_pt_zap(struct gpu_vm *vm, struct smmu_inval_batch *batch,
		u64 start, u64 last, enum smmu_inval_event event)
{
	struct gpu_pt_walk walk = {
		.vm = vm, .batch = batch, .event = event, .zap = true,
	};

	gpu_pt_walk(&walk, start, last);
}

/**
 * gpu_pt_wrprotect() - take the permission to write, and with it exclusiveness
 * @vm: the address space
 * @batch: gets what could be written to
 * @start: first address
 * @last: last address, inclusive
 * @event: why
 *
 * Complete, since an entry has one bit that says so, and only
 * gpu_pt_install() sets it.
 *
 * Context: @vm->lock held.
 */
void gpu_pt_wrprotect(struct gpu_vm *vm, struct smmu_inval_batch *batch,
		      u64 start, u64 last, enum smmu_inval_event event)
{
	struct gpu_pt_walk walk = {
		.vm = vm, .batch = batch, .event = event, .zap = false,
	};

	gpu_pt_walk(&walk, start, last);
}

/**
 * gpu_pt_free_tables() - free tables that left the tree
 * @si: unused; this is a struct smmu_inval_ops callback
 * @tables: handed to smmu_inval_batch_free_later(), and flushed since
 */
void gpu_pt_free_tables(struct smmu_inval *si, struct llist_node *tables)
{
	struct gpu_table *table, *next;

	llist_for_each_entry_safe(table, next, tables, free)
		gpu_table_free(table);
}
