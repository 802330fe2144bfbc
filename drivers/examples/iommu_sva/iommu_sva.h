/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A software IOMMU that shares the page tables of processes, and the DMA engines
 * behind it.
 *
 *	channel        one per open file: runs jobs, word by word
 *	   |
 *	device TLB     of each even engine: what a device caches itself (ATS)
 *	   |
 *	IOTLB          of the IOMMU, for all engines; tagged with the PASID
 *	   |
 *	PASID table    of each engine: which page table a PASID means
 *	   |
 *	page table     the CPU's
 *
 * What the hardware does is in iommu_sva_hw.c, _tlb.c, _walk.c and _cmdq.c, which
 * know nothing of the kernel's IOMMU core. What a driver of it does is in _plan.c
 * and _flush.c, and in the files that bind it to the core: _core.c, _prq.c, _dma.c
 * and _file.c.
 *
 * The locks, outermost first. All but the mutex are raw: the callbacks that flush
 * come from any context.
 *
 *	sva_channel.mutex	what the channel is doing
 *	sva_domain.lock		the driver's: engines that use the domain
 *	sva_cmdq.lock		the command queue, and who executes it
 *	sva_engine.lock		the engine's channels
 *	sva_channel.busy	hardware: the access in flight
 *	sva_engine.tlb_lock	hardware: the device TLB
 *	sva_hw.lock		hardware: IOTLB, PASID tables and walks
 */
#ifndef _IOMMU_SVA_H
#define _IOMMU_SVA_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/smmu_inval.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "iommu_sva_uapi.h"

#define SVA_NR_ENGINES		2
#define SVA_PASID_BITS		10
#define SVA_NR_PASIDS		BIT(SVA_PASID_BITS)
/* How many channels of an engine can be told apart in page requests. */
#define SVA_NR_CHANNELS		64

/* What is counted; see struct sva_stats. */
enum sva_counter {
	SVA_INVALIDATIONS,
	SVA_COMMANDS,
	SVA_COMMANDS_PASID,
	SVA_WAITS,
	SVA_PAGES_ASKED,
	SVA_PAGES_COVERED,
	SVA_HITS,
	SVA_MISSES,
	SVA_DEVICE_HITS,
	SVA_DEVICE_MISSES,
	SVA_REQUESTS,
	SVA_GROUPS,
	SVA_FAILED,
	SVA_OVERFLOWS,
	SVA_NO_PASID,
	SVA_NR_COUNTERS,
};

/* iommu_sva_tlb.c: a set-associative cache of translations. */

#define SVA_TLB_SETS		64
#define SVA_TLB_WAYS		4
#define SVA_TLB_ENTRIES		(SVA_TLB_SETS * SVA_TLB_WAYS)

/**
 * struct sva_tlb_entry - the translation of one page
 * @page: address of the page, shifted
 * @pfn: where it is
 * @pasid: of whom
 * @order: the page table has it as a part of an entry for 2^order pages
 * @write: for writing, too, and the page-table entry says dirty
 * @valid: the rest means something
 */
struct sva_tlb_entry {
	u64 page;
	unsigned long pfn;
	u32 pasid;
	u8 order;
	bool write;
	bool valid;
};

struct sva_tlb {
	struct sva_tlb_entry entries[SVA_TLB_SETS][SVA_TLB_WAYS];
	/* Which way is replaced next. */
	u8 next[SVA_TLB_SETS];
};

const struct sva_tlb_entry *sva_tlb_find(const struct sva_tlb *tlb, u32 pasid,
					 u64 page, bool write);
void sva_tlb_insert(struct sva_tlb *tlb, const struct sva_tlb_entry *entry);
void sva_tlb_drop(struct sva_tlb *tlb, u32 pasid, u64 first_page, u64 last_page);

/* iommu_sva_walk.c: page tables of the CPU, as hardware walks them. */

int sva_walk(pgd_t *pgd, u64 addr, bool write, struct sva_tlb_entry *entry);

/* iommu_sva_cmdq.c: the command queue. */

#define SVA_CMDQ_SIZE		64

enum sva_command_op {
	SVA_CMD_IOTLB_PASID,
	SVA_CMD_IOTLB_RANGE,
	SVA_CMD_DEVICE_PASID,
	SVA_CMD_DEVICE_RANGE,
	SVA_CMD_WAIT,
};

/**
 * struct sva_command - a descriptor of the command queue
 * @op: what to do
 * @order: of _RANGE: it is of 2^order pages
 * @engine: of _DEVICE: whose TLB
 * @pasid: of all but WAIT
 * @addr: of _RANGE: where it starts, a multiple of its size
 */
struct sva_command {
	enum sva_command_op op;
	unsigned int order;
	unsigned int engine;
	u32 pasid;
	u64 addr;
};

struct sva_cmdq {
	raw_spinlock_t lock;
	struct sva_command ring[SVA_CMDQ_SIZE];
	unsigned int head;
	unsigned int tail;
};

struct sva_hw;

void sva_cmdq_put(struct sva_hw *hw, const struct sva_command *command);
void sva_cmdq_lock(struct sva_hw *hw, unsigned long *flags);
void sva_cmdq_sync(struct sva_hw *hw, unsigned long flags);

/* iommu_sva_hw.c: the IOMMU and the engines. */

/**
 * struct sva_engine - a DMA engine
 * @hw: the IOMMU that it is behind
 * @nr: which one
 * @has_tlb: it caches translations itself
 * @dev: what the IOMMU core knows it by; NULL if that has no part in it
 * @lock: protects @channels
 * @channels: on this engine; the index goes into page requests
 * @tlb_lock: protects @tlb
 * @tlb: the device TLB
 * @pgds: the PASID table; protected by sva_hw.lock
 */
struct sva_engine {
	struct sva_hw *hw;
	unsigned int nr;
	bool has_tlb;
	struct device *dev;
	raw_spinlock_t lock;
	struct sva_channel *channels[SVA_NR_CHANNELS];
	raw_spinlock_t tlb_lock;
	struct sva_tlb tlb;
	pgd_t *pgds[SVA_NR_PASIDS];
};

/**
 * struct sva_hw - the IOMMU
 * @lock: what it does one at a time: it looks up, walks and forgets
 * @iotlb: the IOTLB
 * @cmdq: the command queue
 * @engines: behind it
 * @command_us: see struct sva_setup, as the other two
 * @access_us: see there
 * @request_us: see there
 * @counters: by enum sva_counter
 */
struct sva_hw {
	raw_spinlock_t lock;
	struct sva_tlb iotlb;
	struct sva_cmdq cmdq;
	struct sva_engine engines[SVA_NR_ENGINES];
	unsigned int command_us;
	unsigned int access_us;
	unsigned int request_us;
	atomic64_t counters[SVA_NR_COUNTERS];
};

static inline void sva_count(struct sva_hw *hw, enum sva_counter counter, u64 n)
{
	atomic64_add(n, &hw->counters[counter]);
}

/**
 * struct sva_run - a job that runs, or ran
 * @refs: of the channel, until the next one, and of who waits for it
 * @job: what to do, and how it ended
 * @stop: it has to stop
 * @done: it has ended
 */
struct sva_run {
	refcount_t refs;
	struct sva_job job;
	bool stop;
	struct completion done;
};

/**
 * struct sva_channel - what runs jobs, one at a time
 * @mutex: protects what is not protected otherwise
 * @engine: NULL if it is not bound
 * @nr: its index in sva_engine.channels
 * @pasid: under which it uses the address space
 * @busy: held by the hardware from the translation to the end of an access
 * @handle: of iommu_sva_bind_device()
 * @mm: whose address space
 * @run: the last one that was started
 * @work: runs it
 * @answered: the page requests of it were answered
 * @answer: enum iommu_page_response_code
 */
struct sva_channel {
	struct mutex mutex;	/* of the channel */
	struct sva_engine *engine;
	unsigned int nr;
	u32 pasid;
	raw_spinlock_t busy;
	struct iommu_sva *handle;
	struct mm_struct *mm;
	struct sva_run *run;
	struct work_struct work;
	struct completion answered;
	int answer;
};

struct sva_hw *sva_hw_new(void);
void sva_pasid_set(struct sva_engine *engine, u32 pasid, pgd_t *pgd);
bool sva_pasid_is_set(struct sva_engine *engine, u32 pasid);
int sva_translate(struct sva_engine *engine, u32 pasid, u64 addr, bool write,
		  unsigned long *pfn);
void sva_forget(struct sva_hw *hw, const struct sva_command *command);

/* iommu_sva_plan.c: from ranges to descriptors. */

/* More descriptors than that are never cheaper than to flush it all. */
#define SVA_PLAN_MAX		16

/**
 * struct sva_block - what one descriptor covers
 * @addr: where it starts, a multiple of its size
 * @order: it is of 2^order pages
 */
struct sva_block {
	u64 addr;
	unsigned int order;
};

unsigned int sva_plan(const struct smmu_inval_span *spans, unsigned int nr,
		      struct sva_block blocks[SVA_PLAN_MAX]);
unsigned int sva_plan_one_block(const struct smmu_inval_span *spans, unsigned int nr,
				struct sva_block blocks[SVA_PLAN_MAX]);

/* iommu_sva_flush.c: what the library asks to be flushed. */

/* sva_plan() or sva_plan_one_block(). */
typedef unsigned int sva_plan_fn(const struct smmu_inval_span *spans, unsigned int nr,
				 struct sva_block blocks[SVA_PLAN_MAX]);

void sva_flush(struct sva_hw *hw, unsigned long engines, u32 pasid,
	       const struct smmu_inval_flush *flush, sva_plan_fn *plan);

/* iommu_sva_prq.c: page requests. */

int sva_prq_init(struct sva_hw *hw);
void sva_prq_exit(void);
int sva_prq_add(struct sva_engine *engine);
void sva_prq_remove(struct sva_engine *engine);
int sva_request_pages(struct sva_channel *channel, u64 addr, bool write,
		      unsigned int nr);
void sva_prq_flush(void);
void sva_answer(struct sva_engine *engine, unsigned int channel, int code);

/* iommu_sva_dma.c: jobs. */

int sva_channel_attach(struct sva_channel *channel, struct sva_engine *engine);
void sva_channel_detach(struct sva_channel *channel);
int sva_job_check(const struct sva_job *job);
struct sva_run *sva_run_new(const struct sva_job *job);
void sva_run_put(struct sva_run *run);
int sva_run_start(struct sva_channel *channel, struct sva_run *run);
void sva_run_stop(struct sva_channel *channel);
int sva_dma_init(void);
void sva_dma_exit(void);

/* iommu_sva_core.c: the driver of the IOMMU. */

struct iommu_sva;

int sva_core_init(struct sva_hw *hw);
void sva_core_exit(void);
struct smmu_inval *sva_handle_inval(struct iommu_sva *handle);
void sva_handle_set_plan(struct iommu_sva *handle, sva_plan_fn *plan);

/* iommu_sva_file.c: the device file. */

int sva_file_init(struct sva_hw *hw);

#endif /* _IOMMU_SVA_H */
