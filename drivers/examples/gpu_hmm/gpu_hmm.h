/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the software GPU share.
 *
 * Locks, outer first:
 *
 *	mmap_lock of the mirrored process	a fault reads the primary tables
 *	gpu_vm.lock				page table, smmu_inval, counters
 *	gpu_tlb.lock				one engine's TLB, and one access
 *
 * gpu_vm.lock is taken in mmu notifier callbacks: nothing under it may allocate
 * memory, or wait for anything but a gpu_tlb.lock.
 */
#ifndef _GPU_HMM_H
#define _GPU_HMM_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/smmu_inval.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "gpu_hmm_uapi.h"

struct gpu_engine;

/*
 * The page table: a radix tree of pages of 64-bit entries, of the CPU's page
 * size; four levels with 4 KiB pages.
 */
#define GPU_VA_BITS		48
#define GPU_VA_LAST		((1ULL << GPU_VA_BITS) - 1)
#define GPU_PT_BITS		(PAGE_SHIFT - 3)
#define GPU_PT_ENTRIES		BIT(GPU_PT_BITS)
#define GPU_PT_LEVELS		DIV_ROUND_UP(GPU_VA_BITS - PAGE_SHIFT, GPU_PT_BITS)

/* What one table of level 0 spans. */
#define GPU_LEAF_SIZE		(1ULL << (PAGE_SHIFT + GPU_PT_BITS))

/* An entry: the page frame above PAGE_SHIFT, flags below. */
#define GPU_PTE_VALID		BIT_ULL(0)
#define GPU_PTE_WRITE		BIT_ULL(1)

/**
 * struct gpu_table - a page of the page table
 * @free: once it is unlinked: smmu_inval_batch_free_later()
 * @entries: the page, as the GPU sees it; its page_private() points back
 * @used: how many entries are valid
 */
struct gpu_table {
	struct llist_node free;
	u64 *entries;
	unsigned int used;
};

/* How many pages one fault installs at most. */
#define GPU_FAULT_PAGES		64

/**
 * struct gpu_fault - what a fault needs and must not allocate under the lock
 * @spare: tables, for a path from below the root to one leaf
 * @nr_spare: how many of them there are
 * @pfns: for hmm_range_fault()
 */
struct gpu_fault {
	struct gpu_table *spare[GPU_PT_LEVELS - 1];
	unsigned int nr_spare;
	unsigned long pfns[GPU_FAULT_PAGES];
};

/**
 * struct gpu_vm - a GPU address space, which mirrors a process
 * @ref: of the file, and of each command
 * @mm: the process; held, but not kept alive
 * @asid: tags what TLBs cache of it; never used again
 * @lock: protects the page table, @si and @ival, and what is counted below
 * @si: the library's part
 * @ival: which covers the whole address space
 * @root: the page table
 * @nr_tables: tables below the root
 * @fault_delay_us: see struct gpu_hmm_setup
 * @faults: see struct gpu_hmm_stats, as the following
 * @fault_pages: pages that faults installed
 * @fault_retries: faults that had to start again
 * @tlb_flushed: entries that flushes removed
 * @evictions: times that the page table was thrown away
 * @tlb_hits: counted by engines that hold no lock of ours
 * @tlb_misses: the same
 * @cmd_lock: protects the following
 * @commands: asynchronous commands, until they are waited for
 * @nr_commands: how many
 * @next_id: of the next one
 */
struct gpu_vm {
	struct kref ref;
	struct mm_struct *mm;
	u64 asid;

	struct mutex lock; /* page table, si, ival */
	struct smmu_inval si;
	struct smmu_inval_interval ival;
	struct gpu_table *root;
	unsigned int nr_tables;
	unsigned int fault_delay_us;
	u64 faults;
	u64 fault_pages;
	u64 fault_retries;
	u64 tlb_flushed;
	u64 evictions;

	atomic64_t tlb_hits;
	atomic64_t tlb_misses;

	spinlock_t cmd_lock; /* commands */
	struct list_head commands;
	unsigned int nr_commands;
	u64 next_id;
};

/* A cached translation. */
struct gpu_tlb_entry {
	u64 asid;
	u64 vpn;
	unsigned long pfn;
	bool valid;
	bool write;
};

#define GPU_TLB_WAYS		4

/**
 * struct gpu_tlb - an engine's TLB, set associative
 * @lock: held while an entry is used, see gpu_hmm_tlb.c
 * @entries: GPU_TLB_WAYS for each set
 * @nr_sets: a power of two
 * @victim: which way of a set makes room next
 */
struct gpu_tlb {
	spinlock_t lock; /* entries; held while one is used */
	struct gpu_tlb_entry *entries;
	unsigned int nr_sets;
	unsigned int victim;
};

/**
 * struct gpu_command - a command, from submission to the end of waiting
 * @ref: of the engine, of the submitter, and of the list @vm_node is on
 * @vm: whose addresses it works on
 * @queue_node: in the engine's queue
 * @vm_node: on gpu_vm.commands, if asynchronous
 * @completion: it has ended, and the following do not change any more
 * @cancelled: nobody wants the result: stop at the next page
 * @op: see struct gpu_hmm_command, as the following
 * @error: how it ended
 * @addr: where it starts
 * @size: how many bytes
 * @operand: for ATOMIC_ADD and FILL
 * @result: of ATOMIC_ADD and CHECKSUM
 * @done: bytes worked on
 * @id: of an asynchronous one, or 0
 * @buffer: where READ goes to
 * @data: the copy of what READ or WRITE transfer
 */
struct gpu_command {
	struct kref ref;
	struct gpu_vm *vm;
	struct list_head queue_node;
	struct list_head vm_node;
	struct completion completion;
	bool cancelled;
	u32 op;
	int error;
	u64 addr;
	u64 size;
	u64 operand;
	u64 result;
	u64 done;
	u64 id;
	void __user *buffer;
	u64 *data;
};

/* gpu_hmm_pt.c: the page table; vm->lock held unless it says otherwise. */

int gpu_pt_init(struct gpu_vm *vm);
void gpu_pt_fini(struct gpu_vm *vm);
int gpu_fault_prepare(struct gpu_fault *fault);
void gpu_fault_finish(struct gpu_fault *fault);
u64 gpu_pt_lookup(struct gpu_vm *vm, u64 addr);
void gpu_pt_install(struct gpu_vm *vm, struct gpu_fault *fault, u64 addr,
		    unsigned long pfn, bool write);
void gpu_pt_zap(struct gpu_vm *vm, struct smmu_inval_batch *batch,
		u64 start, u64 last, enum smmu_inval_event event);
void gpu_pt_wrprotect(struct gpu_vm *vm, struct smmu_inval_batch *batch,
		      u64 start, u64 last, enum smmu_inval_event event);
void gpu_pt_free_tables(struct smmu_inval *si, struct llist_node *tables);

static inline u64 gpu_pte(unsigned long pfn, u64 flags)
{
	return (u64)pfn << PAGE_SHIFT | GPU_PTE_VALID | flags;
}

static inline unsigned long gpu_pte_pfn(u64 pte)
{
	return pte >> PAGE_SHIFT;
}

/* gpu_hmm_tlb.c */

int gpu_tlb_init(struct gpu_tlb *tlb, unsigned int entries);
void gpu_tlb_fini(struct gpu_tlb *tlb);
const struct gpu_tlb_entry *gpu_tlb_lookup(struct gpu_tlb *tlb, u64 asid,
					   u64 addr, bool write);
void gpu_tlb_insert(struct gpu_tlb *tlb, u64 asid, u64 addr, u64 pte);
unsigned int gpu_tlb_flush(struct gpu_tlb *tlb, u64 asid,
			   const struct smmu_inval_flush *flush);

/* gpu_hmm_vm.c */

struct gpu_vm *gpu_vm_create(struct mm_struct *mm);
void gpu_vm_stop(struct gpu_vm *vm);
void gpu_vm_put(struct gpu_vm *vm);
bool gpu_vm_translate(struct gpu_vm *vm, struct gpu_tlb *tlb, u64 addr,
		      bool write);
int gpu_vm_fault(struct gpu_vm *vm, struct gpu_fault *fault, u64 start,
		 u64 last, bool write);
int gpu_vm_prefetch(struct gpu_vm *vm, u64 start, u64 last, bool write);
void gpu_vm_setup(struct gpu_vm *vm, bool coarse, unsigned int fault_delay_us);
int gpu_vm_stats(struct gpu_vm *vm, struct gpu_hmm_stats *stats);

/* gpu_hmm_engine.c */

int gpu_engines_start(void);
void gpu_engines_stop(void);
unsigned int gpu_engines_count(void);
unsigned int gpu_engines_tlb_entries(void);
unsigned int gpu_engines_flush(u64 asid, const struct smmu_inval_flush *flush);
void gpu_engine_submit(unsigned int nr, struct gpu_command *cmd);
void gpu_command_free(struct kref *ref);

static inline void gpu_command_put(struct gpu_command *cmd)
{
	kref_put(&cmd->ref, gpu_command_free);
}

#endif /* _GPU_HMM_H */
