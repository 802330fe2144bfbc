/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the software GPU share.
 *
 * Locks, outer first:
 *
 *	mmap_lock of the mirrored process	a fault reads the primary tables
 *	lock of a folio				device memory, exclusive access
 *	gpu_device.vms_lock			who mirrors on this GPU
 *	gpu_vm.lock				page table, smmu_inval, counters
 *	gpu_flusher.lock			the queue of TLB flushes
 *	gpu_tlb.lock				one engine's TLB, and one access
 *	gpu_device.atomic_lock			one read-modify-write
 *
 * gpu_vm.lock is taken in mmu notifier callbacks: nothing under it may allocate
 * memory, or wait for anything but a flush or a gpu_tlb.lock.
 */
#ifndef _GPU_HMM_H
#define _GPU_HMM_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/interval_tree.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/smmu_inval.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "gpu_hmm_uapi.h"

struct gpu_dmem;
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

/*
 * What a fault or a move may touch at once: one leaf, and no more than the notifier
 * covers that it asks. With pages of more than 4 KiB a leaf is larger than a range.
 */
#define GPU_STEP_SIZE		min_t(u64, GPU_LEAF_SIZE, GPU_HMM_RANGE_SIZE)

/* An entry: the page frame above PAGE_SHIFT, flags below. */
#define GPU_PTE_VALID		BIT_ULL(0)
#define GPU_PTE_WRITE		BIT_ULL(1)
/* The CPU has no access: what is not atomic is, between engines. */
#define GPU_PTE_EXCLUSIVE	BIT_ULL(2)

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
 * struct gpu_range - a part of an address space with a notifier of its own
 * @ref: of the tree, and of each fault
 * @it: in gpu_vm.ranges: [start, last], GPU_HMM_RANGE_SIZE long and aligned
 * @ival: the library's part
 * @gc_node: of what the collector removes
 * @unmapped: something in it was unmapped: the collector has to look
 * @gone: it is not in the tree any more: nothing is installed in it
 */
struct gpu_range {
	struct kref ref;
	struct interval_tree_node it;
	struct smmu_inval_interval ival;
	struct list_head gc_node;
	bool unmapped;
	bool gone;
};

/**
 * struct gpu_vm - a GPU address space, which mirrors a process
 * @ref: of the file, and of each command
 * @dev: whose
 * @dev_node: on gpu_device.vms
 * @mm: the process; held, but not kept alive
 * @asid: tags what TLBs cache of it; never used again
 * @lock: protects the page table, @si, @ival, @ranges, and what is counted below
 * @si: the library's part
 * @ival: which covers the whole address space, without GPU_HMM_RANGES
 * @ranges: struct gpu_range, with GPU_HMM_RANGES
 * @gc_work: removes ranges where nothing is mapped any more
 * @flags: see struct gpu_hmm_setup
 * @setup_lock: protects the next two
 * @used: there was a fault, and @whole is decided
 * @whole: @ival is in use, and not @ranges
 * @root: the page table
 * @nr_tables: tables below the root
 * @fault_delay_us: see struct gpu_hmm_setup
 * @flush_delay_us: the same
 * @faults: see struct gpu_hmm_stats, as the following
 * @fault_pages: pages that faults installed
 * @fault_retries: faults that had to start again
 * @evictions: times that the page table was thrown away
 * @exclusive: pages made exclusive
 * @to_device: pages migrated
 * @nr_ranges: notifiers
 * @ranges_freed: notifiers removed
 * @tlb_hits: counted by those who hold no lock of ours
 * @tlb_misses: the same
 * @tlb_flushed: the same: entries that flushes removed
 * @cmd_lock: protects the following
 * @commands: asynchronous commands, until they are waited for
 * @nr_commands: how many
 * @next_id: of the next one
 */
struct gpu_vm {
	struct kref ref;
	struct gpu_device *dev;
	struct list_head dev_node;
	struct mm_struct *mm;
	u64 asid;

	struct mutex lock; /* page table, si, ival, ranges */
	struct smmu_inval si;
	struct smmu_inval_interval ival;
	struct rb_root_cached ranges;
	struct work_struct gc_work;
	unsigned int flags;
	struct mutex setup_lock; /* used, whole */
	bool used;
	bool whole;
	struct gpu_table *root;
	unsigned int nr_tables;
	unsigned int fault_delay_us;
	unsigned int flush_delay_us;
	u64 faults;
	u64 fault_pages;
	u64 fault_retries;
	u64 evictions;
	u64 exclusive;
	u64 to_device;
	u64 nr_ranges;
	u64 ranges_freed;

	atomic64_t tlb_hits;
	atomic64_t tlb_misses;
	atomic64_t tlb_flushed;

	spinlock_t cmd_lock; /* commands */
	struct list_head commands;
	unsigned int nr_commands;
	u64 next_id;
};

/* A TLB flush that is on its way. */
struct gpu_flush {
	struct gpu_vm *vm;
	u64 due_ns;
	bool all;
	unsigned int nr;
	struct smmu_inval_span spans[SMMU_INVAL_BATCH_SPANS];
};

#define GPU_FLUSH_SLOTS		32

/**
 * struct gpu_flusher - what executes a GPU's TLB flushes, one after another
 * @lock: protects the rest
 * @slots: a ring of those that are queued
 * @issued: tickets given out: the newest
 * @done: the newest that is over
 * @task: the thread
 * @work: where it waits for work
 * @over: where others wait for it
 */
struct gpu_flusher {
	spinlock_t lock; /* slots, issued, done */
	struct gpu_flush slots[GPU_FLUSH_SLOTS];
	u64 issued;
	u64 done;
	struct task_struct *task;
	wait_queue_head_t work;
	wait_queue_head_t over;
};

/**
 * struct gpu_device - a GPU
 * @misc: its file
 * @name: of its file
 * @nr: which one
 * @engines: see gpu_hmm_engine.c
 * @flusher: see gpu_hmm_flush.c
 * @atomic_lock: makes atomics of all engines one after another
 * @vms_lock: protects @vms, and is held while memory moves, see gpu_hmm_dmem.c
 * @vms: the address spaces on it
 * @dmem_lock: protects the creation of @dmem
 * @dmem: its memory, once somebody wants it
 * @to_system: pages that came back from there
 */
struct gpu_device {
	struct miscdevice misc;
	char name[32];
	unsigned int nr;
	struct gpu_engine *engines;
	struct gpu_flusher flusher;
	spinlock_t atomic_lock; /* memory, for a read-modify-write */
	struct mutex vms_lock; /* vms */
	struct list_head vms;
	struct mutex dmem_lock; /* creation of dmem */
	struct gpu_dmem *dmem;
	atomic64_t to_system;
};

/* A cached translation. */
struct gpu_tlb_entry {
	u64 asid;
	u64 vpn;
	u64 pte;
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
		    unsigned long pfn, u64 flags);
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
					   u64 addr, u64 need);
void gpu_tlb_insert(struct gpu_tlb *tlb, u64 asid, u64 addr, u64 pte);
unsigned int gpu_tlb_flush(struct gpu_tlb *tlb, u64 asid,
			   const struct smmu_inval_flush *flush);

/* gpu_hmm_flush.c: TLB flushes, which take their time. */

int gpu_flusher_start(struct gpu_device *dev);
void gpu_flusher_stop(struct gpu_device *dev);
u64 gpu_flush_issue(struct gpu_vm *vm, const struct smmu_inval_flush *flush);
void gpu_flush_wait(struct gpu_device *dev, u64 ticket);
void gpu_flush_now(struct gpu_vm *vm, const struct smmu_inval_flush *flush);

/* gpu_hmm_vm.c: address spaces. */

struct gpu_vm *gpu_vm_create(struct gpu_device *dev, struct mm_struct *mm);
void gpu_vm_stop(struct gpu_vm *vm);
void gpu_vm_put(struct gpu_vm *vm);
void gpu_vm_zap_all(struct gpu_vm *vm);
void gpu_vm_evict(struct gpu_vm *vm, u64 start, u64 last);
int gpu_vm_use(struct gpu_vm *vm);
int gpu_vm_setup(struct gpu_vm *vm, const struct gpu_hmm_setup *setup);
int gpu_vm_stats(struct gpu_vm *vm, struct gpu_hmm_stats *stats);

/* gpu_hmm_range.c: a notifier for each range. */

struct gpu_range *gpu_range_get(struct gpu_vm *vm, u64 addr);
void gpu_range_put(struct gpu_range *range);
void gpu_ranges_unmapped(struct gpu_vm *vm, u64 start, u64 last);
void gpu_ranges_init(struct gpu_vm *vm);
void gpu_ranges_fini(struct gpu_vm *vm);
int gpu_ranges_module_init(void);
void gpu_ranges_module_exit(void);

/* gpu_hmm_fault.c: faults. */

/**
 * struct gpu_try - one try of a fault: what it is going to look at, and when
 * @vm: the address space
 * @range: the range, with a reference, or NULL without GPU_HMM_RANGES
 * @ival: the notifier
 * @cookie: when it began
 * @mm_seq: the same, for GPU_HMM_STOCK
 * @stock: GPU_HMM_STOCK
 */
struct gpu_try {
	struct gpu_vm *vm;
	struct gpu_range *range;
	struct smmu_inval_interval *ival;
	struct smmu_inval_cookie cookie;
	unsigned long mm_seq;
	bool stock;
};

int gpu_try_begin(struct gpu_try *try, struct gpu_vm *vm, u64 addr);
void gpu_try_look(struct gpu_try *try);
bool gpu_try_retry(struct gpu_try *try, u64 start, u64 last);
void gpu_try_end(struct gpu_try *try);
bool gpu_vm_translate(struct gpu_vm *vm, struct gpu_tlb *tlb, u64 addr,
		      u64 need);
int gpu_vm_fault(struct gpu_vm *vm, struct gpu_fault *fault, u64 start,
		 u64 last, u64 need);
int gpu_vm_prefetch(struct gpu_vm *vm, u64 start, u64 last, bool write);
void gpu_fault_make_room(struct gpu_vm *vm, struct gpu_fault *fault);

/* gpu_hmm_exclusive.c: pages that only the GPU can touch. */

int gpu_exclusive_try(struct gpu_try *try, struct gpu_fault *fault, u64 addr);

/* gpu_hmm_dmem.c: the GPU's own memory. */

#ifdef CONFIG_DEVICE_PRIVATE
unsigned long gpu_dmem_pfn(struct page *page);
int gpu_dmem_migrate(struct gpu_vm *vm, struct gpu_hmm_migrate *arg);
void gpu_dmem_fini(struct gpu_device *dev);
#else
static inline unsigned long gpu_dmem_pfn(struct page *page)
{
	return page_to_pfn(page);
}

static inline int gpu_dmem_migrate(struct gpu_vm *vm,
				   struct gpu_hmm_migrate *arg)
{
	return -EOPNOTSUPP;
}

static inline void gpu_dmem_fini(struct gpu_device *dev) { }
#endif

/* gpu_hmm_engine.c */

int gpu_engines_start(struct gpu_device *dev);
void gpu_engines_stop(struct gpu_device *dev);
void gpu_engines_free(struct gpu_device *dev);
unsigned int gpu_engines_count(void);
unsigned int gpu_engines_tlb_entries(void);
unsigned int gpu_engines_flush(struct gpu_device *dev, u64 asid,
			       const struct smmu_inval_flush *flush);
void gpu_engine_submit(struct gpu_device *dev, unsigned int nr,
		       struct gpu_command *cmd);
void gpu_command_free(struct kref *ref);

static inline void gpu_command_put(struct gpu_command *cmd)
{
	kref_put(&cmd->ref, gpu_command_free);
}

#endif /* _GPU_HMM_H */
