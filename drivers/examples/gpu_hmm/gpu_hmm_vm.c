// SPDX-License-Identifier: GPL-2.0
/*
 * An address space of the GPU: mirrors a process, fault by fault.
 *
 * One interval notifier covers it all. What one sequence number for the whole
 * notifier would cost, a retry of every fault for any change anywhere, the
 * library's records avoid.
 */
#include <linux/bitops.h>
#include <linux/delay.h>
#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/page-flags.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "gpu_hmm.h"

/* A fault whose pages change all the time gives up after this. */
#define GPU_FAULT_TIMEOUT	(10 * HZ)

/* How many invalidations a fault can tell apart, see smmu_inval_interval. */
#define GPU_VM_RECORDS		256

#define GPU_MIN_TABLES		64

static unsigned int max_tables = 16384;

static int gpu_max_tables_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, GPU_MIN_TABLES, UINT_MAX / 2);
}

static const struct kernel_param_ops gpu_max_tables_ops = {
	.set = gpu_max_tables_set,
	.get = param_get_uint,
};
module_param_cb(max_tables, &gpu_max_tables_ops, &max_tables, 0644);
MODULE_PARM_DESC(max_tables, "Page-table pages of an address space (at least 64)");

static atomic64_t gpu_next_asid = ATOMIC64_INIT(0);

static struct gpu_vm *gpu_vm_of(struct smmu_inval *si)
{
	return container_of(si, struct gpu_vm, si);
}

static void gpu_vm_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		       const struct smmu_inval_span *span)
{
	gpu_pt_zap(gpu_vm_of(si), batch, span->start, span->last,
		   __ffs(span->events));
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
	struct gpu_vm *vm = gpu_vm_of(si);

	vm->tlb_flushed += gpu_engines_flush(vm->asid, flush);
}

static const struct smmu_inval_ops gpu_vm_ops = {
	.zap = gpu_vm_zap,
	.wrprotect = gpu_vm_wrprotect,
	.flush = gpu_vm_flush,
	.free_tables = gpu_pt_free_tables,
};

/**
 * gpu_vm_create() - give a process an address space on the GPU
 * @mm: the process; alive
 *
 * Return: the address space, or an ERR_PTR().
 */
struct gpu_vm *gpu_vm_create(struct mm_struct *mm)
{
	struct smmu_inval_config config = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "gpu_hmm",
	};
	struct gpu_vm *vm;
	int err;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	spin_lock_init(&vm->cmd_lock);
	INIT_LIST_HEAD(&vm->commands);
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
	err = smmu_inval_interval_insert(&vm->ival, &vm->si, mm, 0,
					 GPU_VA_LAST, GPU_VM_RECORDS);
	if (err)
		goto destroy;
	return vm;

destroy:
	mmdrop(mm);
	smmu_inval_destroy(&vm->si);
free_pt:
	gpu_pt_fini(vm);
free_vm:
	kfree(vm);
	return ERR_PTR(err);
}

static void gpu_vm_zap_all(struct gpu_vm *vm)
{
	CLASS(smmu_inval_batch, batch)(&vm->si);

	gpu_pt_zap(vm, &batch, 0, GPU_VA_LAST, SMMU_INVAL_DRIVER);
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
 * gpu_vm_translate() - what an engine does when its TLB has missed
 * @vm: the address space
 * @tlb: the engine's
 * @addr: the GPU address
 * @write: whether it is to be written to
 *
 * Return: whether the page table had it, and the TLB has it now.
 */
bool gpu_vm_translate(struct gpu_vm *vm, struct gpu_tlb *tlb, u64 addr,
		      bool write)
{
	u64 pte;

	/* One section for both: gpu_hmm_tlb.c draws why. */
	guard(mutex)(&vm->lock);
	pte = gpu_pt_lookup(vm, addr);
	if (!(pte & GPU_PTE_VALID) || (write && !(pte & GPU_PTE_WRITE)))
		return false;
	gpu_tlb_insert(tlb, vm->asid, addr, pte);
	return true;
}

/* Have the CPU map the pages, and see which they are. */
static int gpu_fault_pages(struct gpu_vm *vm, struct gpu_fault *fault,
			   u64 start, u64 last, bool write)
{
	struct hmm_range range = {
		.notifier = smmu_inval_interval_notifier(&vm->ival),
		.start = start,
		.end = last + 1,
		.hmm_pfns = fault->pfns,
		.default_flags = HMM_PFN_REQ_FAULT |
				 (write ? HMM_PFN_REQ_WRITE : 0),
	};
	int err;

	/* From the last user on the pages are going away. */
	if (!mmget_not_zero(vm->mm))
		return -ESRCH;
	memset(fault->pfns, 0, sizeof(fault->pfns));
	err = mmap_read_lock_killable(vm->mm);
	if (!err) {
		err = hmm_range_fault(&range);
		mmap_read_unlock(vm->mm);
	}
	mmput(vm->mm);
	/* -EINVAL is a mapping that has no pages: nothing to work on, either. */
	return err == -EINVAL ? -EFAULT : err;
}

static void gpu_fault_install(struct gpu_vm *vm, struct gpu_fault *fault,
			      u64 start, u64 last, bool write)
{
	unsigned int i;
	u64 addr;

	smmu_inval_interval_assert_may_install(&vm->ival, start, last);

	/* The table is a cache: if it gets too large, start over. */
	if (vm->nr_tables + fault->nr_spare > READ_ONCE(max_tables)) {
		gpu_vm_zap_all(vm);
		vm->evictions++;
	}

	for (i = 0, addr = start; addr <= last; i++, addr += PAGE_SIZE) {
		struct page *page = hmm_pfn_to_page(fault->pfns[i]);

		/*
		 * The primary entry may be writable and clean, and nothing will
		 * make it dirty when the GPU writes: reclaim would drop the
		 * page, or use an old copy in swap. So say it now. Whoever
		 * cleans the page later tells us first, and then the next write
		 * faults again. The flag is enough: a page of a file that
		 * counts its dirty pages is writable only if it is dirty.
		 */
		if (write && !PageDirty(page))
			SetPageDirty(page);
		gpu_pt_install(vm, fault, addr, page_to_pfn(page), write);
	}
	vm->faults++;
	vm->fault_pages += i;
}

/* As much as one fault can do: one leaf, and no more than pfns has room for. */
static u64 gpu_fault_last(u64 start, u64 last)
{
	u64 leaf = start | (GPU_LEAF_SIZE - 1);

	return min3(last | ~PAGE_MASK, leaf,
		    start + GPU_FAULT_PAGES * PAGE_SIZE - 1);
}

static int gpu_vm_fault_range(struct gpu_vm *vm, struct gpu_fault *fault,
			      u64 start, u64 last, bool write)
{
	unsigned long deadline = jiffies + GPU_FAULT_TIMEOUT;
	unsigned int delay = READ_ONCE(vm->fault_delay_us);
	struct smmu_inval_cookie cookie;
	int err;

	do {
		err = gpu_fault_prepare(fault);
		if (err)
			return err;

		cookie = smmu_inval_interval_read_begin(&vm->ival);
		err = gpu_fault_pages(vm, fault, start, last, write);
		if (err)
			return err;
		if (delay)
			usleep_range(delay, delay + delay / 8);

		scoped_guard(mutex, &vm->lock) {
			if (!smmu_inval_interval_read_retry(&vm->ival, cookie,
							    start, last)) {
				gpu_fault_install(vm, fault, start, last,
						  write);
				return 0;
			}
			vm->fault_retries++;
		}
		err = smmu_inval_interval_wait(&vm->ival, start, last);
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
	} while (time_before(jiffies, deadline));
	return -EBUSY;
}

/**
 * gpu_vm_fault() - map at least one page
 * @vm: the address space
 * @fault: for what may not be allocated under the lock
 * @start: first address, page aligned
 * @last: last address that will be needed next, inclusive
 * @write: whether they are to be written to
 *
 * Maps more than the first page if that is possible; what it maps may be gone
 * again when it returns.
 *
 * Context: no lock held; may sleep.
 * Return: 0, or an error as described for struct gpu_hmm_command.
 */
int gpu_vm_fault(struct gpu_vm *vm, struct gpu_fault *fault, u64 start,
		 u64 last, bool write)
{
	int err;

	last = gpu_fault_last(start, last);
	err = gpu_vm_fault_range(vm, fault, start, last, write);
	/* The problem may be one of the pages behind the first. */
	if (err && last - start >= PAGE_SIZE)
		err = gpu_vm_fault_range(vm, fault, start,
					 start + PAGE_SIZE - 1, write);
	return err;
}

/**
 * gpu_vm_prefetch() - map a range before an engine needs it
 * @vm: the address space
 * @start: first address, page aligned
 * @last: last address, inclusive
 * @write: whether it is to be written to
 *
 * Context: of the caller of the ioctl; may sleep.
 * Return: 0, or an error as described for struct gpu_hmm_prefetch.
 */
int gpu_vm_prefetch(struct gpu_vm *vm, u64 start, u64 last, bool write)
{
	struct gpu_fault *fault = kzalloc(sizeof(*fault), GFP_KERNEL);
	int err = 0;
	u64 end;

	if (!fault)
		return -ENOMEM;
	for (; !err && start <= last; start = end + 1) {
		end = gpu_fault_last(start, last);
		err = gpu_vm_fault_range(vm, fault, start, end, write);
		cond_resched();
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
	}
	gpu_fault_finish(fault);
	kfree(fault);
	return err;
}

/**
 * gpu_vm_setup() - see struct gpu_hmm_setup
 * @vm: the address space
 * @coarse: as the library's coarse switch
 * @fault_delay_us: of each fault
 */
void gpu_vm_setup(struct gpu_vm *vm, bool coarse, unsigned int fault_delay_us)
{
	guard(mutex)(&vm->lock);
	smmu_inval_set_coarse(&vm->si, coarse);
	WRITE_ONCE(vm->fault_delay_us, fault_delay_us);
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
	kfree(lib);

	scoped_guard(mutex, &vm->lock) {
		stats->faults = vm->faults;
		stats->fault_pages = vm->fault_pages;
		stats->fault_retries = vm->fault_retries;
		stats->tlb_flushed = vm->tlb_flushed;
		stats->tables = vm->nr_tables;
		stats->evictions = vm->evictions;
	}
	stats->tlb_hits = atomic64_read(&vm->tlb_hits);
	stats->tlb_misses = atomic64_read(&vm->tlb_misses);
	return 0;
}
