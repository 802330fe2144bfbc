// SPDX-License-Identifier: GPL-2.0
/*
 * Faults: an engine needs a translation that the page table does not have.
 *
 *	cookie = read_begin			before the first look at the CPU's
 *	hmm_range_fault()			the CPU maps the pages
 *	lock
 *	  read_retry(cookie)?			nothing that overlaps came since
 *	  install
 *	unlock
 *
 * If something came, the fault waits until it is over, and starts again.
 */
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

/**
 * gpu_vm_translate() - what an engine does when its TLB has missed
 * @vm: the address space
 * @tlb: the engine's
 * @addr: the GPU address
 * @need: GPU_PTE_WRITE, ...: what the translation has to allow
 *
 * Return: whether the page table had it, and the TLB has it now.
 */
bool gpu_vm_translate(struct gpu_vm *vm, struct gpu_tlb *tlb, u64 addr,
		      u64 need)
{
	u64 pte;

	/* One section for both: gpu_hmm_tlb.c draws why. */
	guard(mutex)(&vm->lock);
	pte = gpu_pt_lookup(vm, addr);
	need |= GPU_PTE_VALID;
	if ((pte & need) != need)
		return false;
	gpu_tlb_insert(tlb, vm->asid, addr, pte);
	return true;
}

/**
 * gpu_fault_make_room() - make sure that there is room for a leaf's tables
 * @vm: the address space
 * @fault: has the tables
 *
 * The page table is a cache: if it gets too large, start over.
 *
 * Context: @vm->lock held.
 */
void gpu_fault_make_room(struct gpu_vm *vm, struct gpu_fault *fault)
{
	if (vm->nr_tables + fault->nr_spare <= READ_ONCE(max_tables))
		return;
	gpu_vm_zap_all(vm);
	vm->evictions++;
}

/**
 * gpu_try_look() - begin to look at the primary page tables, again
 * @try: a try that has begun; what was seen so far does not count
 *
 * Context: no lock held that an invalidation takes; may sleep.
 */
void gpu_try_look(struct gpu_try *try)
{
	if (try->stock)
		try->mm_seq = mmu_interval_read_begin(&try->ival->mni);
	try->cookie = smmu_inval_interval_read_begin(try->ival);
}

/**
 * gpu_try_begin() - before the first look at the primary page tables
 * @try: what remembers when that was
 * @vm: the address space
 * @addr: what is to be installed starts here, and ends in the same GPU_STEP_SIZE
 *
 * Context: no lock held, as of the process; may sleep.
 * Return: 0, -ENOMEM, or -ESRCH if the process is gone.
 */
int gpu_try_begin(struct gpu_try *try, struct gpu_vm *vm, u64 addr)
{
	int err = gpu_vm_use(vm);

	if (err)
		return err;
	try->vm = vm;
	try->stock = READ_ONCE(vm->flags) & GPU_HMM_STOCK;
	try->range = NULL;
	try->ival = &vm->ival;
	if (!vm->whole) {
		try->range = gpu_range_get(vm, addr);
		if (IS_ERR(try->range))
			return PTR_ERR(try->range);
		try->ival = &try->range->ival;
	}
	gpu_try_look(try);
	return 0;
}

/**
 * gpu_try_retry() - may what a try found be installed?
 * @try: the try
 * @start: first address of what is to be installed
 * @last: last address, inclusive
 *
 * Context: the lock of the address space is held, and not dropped before it is
 * installed.
 * Return: true if not.
 */
bool gpu_try_retry(struct gpu_try *try, u64 start, u64 last)
{
	bool retry;

	if (try->range && try->range->gone)
		retry = true;
	else if (try->stock)
		retry = mmu_interval_read_retry(&try->ival->mni, try->mm_seq) ||
			smmu_inval_read_retry(&try->vm->si, try->cookie.si,
					      start, last);
	else
		retry = smmu_inval_interval_read_retry(try->ival, try->cookie,
						       start, last);
	if (retry)
		try->vm->fault_retries++;
	else if (!try->stock)
		smmu_inval_interval_assert_may_install(try->ival, start, last);
	return retry;
}

/* After a try that failed: wait for what was in its way. */
static int gpu_try_wait(struct gpu_try *try, u64 start, u64 last)
{
	/* The next mmu_interval_read_begin() waits. */
	if (try->stock)
		return smmu_inval_interval_is_dead(try->ival) ? -ESRCH : 0;
	return smmu_inval_interval_wait(try->ival, start, last);
}

/**
 * gpu_try_end() - a try that had begun is over
 * @try: the try
 *
 * Context: no lock held; may sleep.
 */
void gpu_try_end(struct gpu_try *try)
{
	if (try->range)
		gpu_range_put(try->range);
}

/*
 * What is in our own memory hmm_range_fault() reports as it is mapped, and does
 * not fault, even if it is to be written to and may not: after fork().
 */
static bool gpu_fault_writable(struct gpu_fault *fault, u64 start, u64 last)
{
	unsigned int i, nr = (last - start) / PAGE_SIZE + 1;

	for (i = 0; i < nr; i++)
		if (!(fault->pfns[i] & HMM_PFN_WRITE))
			return false;
	return true;
}

/* Have the CPU map the pages, and see which they are. */
static int gpu_fault_pages(struct gpu_try *try, struct gpu_fault *fault,
			   u64 start, u64 last, bool write)
{
	struct mm_struct *mm = try->vm->mm;
	struct hmm_range range = {
		.notifier = smmu_inval_interval_notifier(try->ival),
		.start = start,
		.end = last + 1,
		.hmm_pfns = fault->pfns,
		.default_flags = HMM_PFN_REQ_FAULT |
				 (write ? HMM_PFN_REQ_WRITE : 0),
		.dev_private_owner = try->vm->dev,
	};
	int err;

	if (try->stock) {
		range.notifier = &try->ival->mni;
		range.notifier_seq = try->mm_seq;
	}
	/* From the last user on the pages are going away. */
	if (!mmget_not_zero(mm))
		return -ESRCH;
	memset(fault->pfns, 0, sizeof(fault->pfns));
	err = mmap_read_lock_killable(mm);
	if (!err) {
		err = hmm_range_fault(&range);
		if (!err && write && !gpu_fault_writable(fault, start, last)) {
			/* As if it were not ours: the CPU takes it back. */
			range.dev_private_owner = NULL;
			memset(fault->pfns, 0, sizeof(fault->pfns));
			err = hmm_range_fault(&range);
		}
		mmap_read_unlock(mm);
	}
	mmput(mm);
	/* -EINVAL is a mapping that has no pages: nothing to work on, either. */
	return err == -EINVAL ? -EFAULT : err;
}

/*
 * The page that is mapped at an address. Of a huge page that is in our memory,
 * Linux 7.3 reports the first, wherever in it the range starts.
 */
static struct page *gpu_fault_page(unsigned long pfn, u64 addr)
{
	struct page *page = hmm_pfn_to_page(pfn);
	u64 size = PAGE_SIZE << hmm_pfn_to_map_order(pfn);

	if (size == PAGE_SIZE || !is_device_private_page(page))
		return page;
	return compound_head(page) + (addr & (size - 1)) / PAGE_SIZE;
}

static void gpu_fault_install(struct gpu_vm *vm, struct gpu_fault *fault,
			      u64 start, u64 last, bool write)
{
	unsigned int i;
	u64 addr;

	gpu_fault_make_room(vm, fault);
	for (i = 0, addr = start; addr <= last; i++, addr += PAGE_SIZE) {
		struct page *page = gpu_fault_page(fault->pfns[i], addr);

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
		gpu_pt_install(vm, fault, addr, gpu_dmem_pfn(page),
			       write ? GPU_PTE_WRITE : 0);
	}
	vm->faults++;
	vm->fault_pages += i;
}

/* As much as one fault can do: no more than pfns has room for. */
static u64 gpu_fault_last(u64 start, u64 last)
{
	u64 step = start | (GPU_STEP_SIZE - 1);

	return min3(last | ~PAGE_MASK, step,
		    start + GPU_FAULT_PAGES * PAGE_SIZE - 1);
}

/* Return 0, an error, or -EAGAIN for another try. */
static int gpu_fault_try(struct gpu_try *try, struct gpu_fault *fault,
			 u64 start, u64 last, bool write)
{
	struct gpu_vm *vm = try->vm;
	unsigned int delay = READ_ONCE(vm->fault_delay_us);
	int err;

	err = gpu_fault_pages(try, fault, start, last, write);
	if (err == -EBUSY) {
		/* Only of the notifier that counts with GPU_HMM_STOCK. */
		guard(mutex)(&vm->lock);
		vm->fault_retries++;
		return -EAGAIN;
	}
	if (err)
		return err;
	if (delay)
		usleep_range(delay, delay + delay / 8);

	guard(mutex)(&vm->lock);
	if (gpu_try_retry(try, start, last))
		return -EAGAIN;
	gpu_fault_install(vm, fault, start, last, write);
	return 0;
}

static int gpu_vm_fault_range(struct gpu_vm *vm, struct gpu_fault *fault,
			      u64 start, u64 last, u64 need)
{
	unsigned long deadline = jiffies + GPU_FAULT_TIMEOUT;
	struct gpu_try try;
	int err;

	do {
		err = gpu_fault_prepare(fault);
		if (err)
			return err;
		err = gpu_try_begin(&try, vm, start);
		if (err)
			return err;
		if (need & GPU_PTE_EXCLUSIVE)
			err = gpu_exclusive_try(&try, fault, start);
		else
			err = gpu_fault_try(&try, fault, start, last,
					    need & GPU_PTE_WRITE);
		if (err != -EAGAIN) {
			gpu_try_end(&try);
			return err;
		}
		err = gpu_try_wait(&try, start, last);
		gpu_try_end(&try);
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
 * @need: GPU_PTE_WRITE, ...: what is going to be done
 *
 * Maps more than the first page if that is possible; what it maps may be gone
 * again when it returns.
 *
 * Context: no lock held; may sleep.
 * Return: 0, or an error as described for struct gpu_hmm_command.
 */
int gpu_vm_fault(struct gpu_vm *vm, struct gpu_fault *fault, u64 start,
		 u64 last, u64 need)
{
	int err;

	/* Exclusive pages are taken from others: not more than are needed. */
	if (need & GPU_PTE_EXCLUSIVE)
		last = start;
	last = gpu_fault_last(start, last);
	err = gpu_vm_fault_range(vm, fault, start, last, need);
	/* The problem may be one of the pages behind the first. */
	if (err && last - start >= PAGE_SIZE)
		err = gpu_vm_fault_range(vm, fault, start,
					 start + PAGE_SIZE - 1, need);
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
		err = gpu_vm_fault_range(vm, fault, start, end,
					 write ? GPU_PTE_WRITE : 0);
		cond_resched();
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
	}
	gpu_fault_finish(fault);
	kfree(fault);
	return err;
}
