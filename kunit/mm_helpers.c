// SPDX-License-Identifier: GPL-2.0
/*
 * Real address spaces, and a driver that follows them: see mm_helpers.h.
 */
#include <kunit/resource.h>
#include <linux/file.h>
#include <linux/hmm.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../compat.h"
#include "mm_helpers.h"

/* Deferred calls; kunit_add_action() is younger than 6.1. */

struct mm_deferred {
	void (*fn)(void *ctx);
	void *ctx;
};

static int mm_defer_init(struct kunit_resource *res, void *ctx)
{
	res->data = kmemdup(ctx, sizeof(struct mm_deferred), GFP_KERNEL);
	return res->data ? 0 : -ENOMEM;
}

static void mm_defer_free(struct kunit_resource *res)
{
	struct mm_deferred *deferred = res->data;

	deferred->fn(deferred->ctx);
	kfree(deferred);
}

/* Call @fn when the test is over, in the opposite order. */
void mm_defer(struct kunit *test, void (*fn)(void *ctx), void *ctx)
{
	struct mm_deferred deferred = { .fn = fn, .ctx = ctx };

	if (!kunit_alloc_resource(test, mm_defer_init, mm_defer_free,
				  GFP_KERNEL, &deferred)) {
		fn(ctx);
		KUNIT_FAIL(test, "no memory");
		kunit_skip(test, "no memory");
	}
}

/*
 * The thread that owns the address space may be gone, and have left it, or be
 * this one.
 */
static void mm_detach(void *ctx)
{
	struct mm_struct *mm = ctx;

	if (current->mm == mm) {
		kthread_unuse_mm(mm);
		mmput(mm);
	}
	/* The last user, unless something still runs. */
	mmput(mm);
}

#if !SMMU_INVAL_KUNIT_ATTACH_MM
static int kunit_attach_mm(void)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return -ENOMEM;
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	kthread_use_mm(mm);
	return 0;
}
#endif

/* Give the test an address space. */
struct mm_struct *mm_attach(struct kunit *test)
{
	KUNIT_ASSERT_NULL(test, current->mm);
	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	mmget(current->mm);
	mm_defer(test, mm_detach, current->mm);
	return current->mm;
}

/* @flags as of mmap(); aligned to the size, if that is a power of two. */
unsigned long mm_map(struct kunit *test, struct file *file, size_t len,
		     unsigned long prot, unsigned long flags)
{
	unsigned long area, addr;

	/* Twice as much, so that its neighbours are its own holes. */
	area = vm_mmap(NULL, 0, 2 * len, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(area), "error %ld", area);
	addr = ALIGN(area, is_power_of_2(len) ? len : PAGE_SIZE);
	if (addr == area)
		addr += is_power_of_2(len) ? 0 : PAGE_SIZE;
	vm_munmap(area, 2 * len);
	addr = vm_mmap(file, addr, len, prot, flags | MAP_FIXED, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "error %ld", addr);
	return addr;
}

/* Write to each page, and to each with something else. */
void mm_touch(struct kunit *test, unsigned long addr, size_t len)
{
	unsigned long end = addr + len;
	u64 n = 1;

	for (; addr < end; addr += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, put_user(addr + n++, (u64 __user *)addr), 0);
}

/* A copy of @data in user space, for system calls. */
void __user *mm_scratch(struct kunit *test, const void *data, size_t len)
{
	unsigned long addr;

	addr = vm_mmap(NULL, 0, PAGE_ALIGN(len), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, copy_to_user((void __user *)addr, data, len), 0);
	return (void __user *)addr;
}

/*
 * The oracle of all that follows. Not the library's walk: with the page-table
 * lock, and where the architecture cannot tell an inaccessible page from an
 * accessible one, by the rights of the mapping.
 */
struct mm_primary mm_primary(struct mm_struct *mm, unsigned long addr)
{
	struct mm_primary primary = {};
	struct vm_area_struct *vma;
	spinlock_t *ptl;	/* of the page table */
	pgd_t *pgd;
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;
	pte_t *pte;

	mmap_read_lock(mm);
	vma = find_vma(mm, addr);
	if (!vma || vma->vm_start > addr || !(vma->vm_flags & VM_READ))
		goto out;
	pgd = pgd_offset(mm, addr);
	if (pgd_none(*pgd) || pgd_bad(*pgd))
		goto out;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		goto out;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud) || pud_bad(*pud))
		goto out;
	pmd = pmd_offset(pud, addr);
	if (pmd_none(*pmd))
		goto out;
#if SMMU_INVAL_HUGE
	ptl = pmd_lock(mm, pmd);
	if (pmd_leaf(*pmd)) {
		primary.present = pmd_present(*pmd) && !pmd_protnone(*pmd);
		primary.pfn = pmd_pfn(*pmd) +
			      ((addr & ~PMD_MASK) >> PAGE_SHIFT);
		primary.write = primary.present && pmd_write(*pmd);
		primary.young = pmd_young(*pmd);
		primary.dirty = pmd_dirty(*pmd);
		spin_unlock(ptl);
		goto out;
	}
	spin_unlock(ptl);
#endif
	pte = pte_offset_map_lock(mm, pmd, addr, &ptl);
	if (!pte)
		goto out;
	if (pte_present(*pte) && !pte_protnone(*pte)) {
		primary.present = true;
		primary.pfn = pte_pfn(*pte);
		primary.write = pte_write(*pte) && (vma->vm_flags & VM_WRITE);
		primary.young = pte_young(*pte);
		primary.dirty = pte_dirty(*pte);
	}
	pte_unmap_unlock(pte, ptl);
out:
	mmap_read_unlock(mm);
	return primary;
}

/* Does anybody call secondary TLBs here? */
bool mm_calls_secondary_tlbs(void)
{
	return !IS_ENABLED(CONFIG_UML) ||
	       !strcmp(__stringify(SMMU_INVAL_TLB_OP), "invalidate_range");
}

/* Tasks that are no kernel threads. */

static void mm_child_gone(struct callback_head *work)
{
	complete(&container_of(work, struct mm_child, work)->gone);
}

static int mm_child_main(void *arg)
{
	struct mm_child *child = arg;

	if (child->fn)
		child->ret = child->fn(child->arg);
	complete(&child->done);
	wait_for_completion(&child->go);
	/* Runs late in exit, when the address space has been dropped. */
	init_task_work(&child->work, mm_child_gone);
	if (task_work_add(current, &child->work, TWA_NONE))
		complete(&child->gone);
	do_exit(0);
}

/*
 * Start a task: with CLONE_VM in the caller's address space, without it in a
 * copy, which is made before this returns.
 */
int mm_child_start(struct mm_child *child, u64 clone_flags,
		   int (*fn)(void *arg), void *arg)
{
	struct kernel_clone_args args = {
		.flags = clone_flags,
		.exit_signal = SIGCHLD,
		.fn = mm_child_main,
		.fn_arg = child,
	};
	pid_t pid;

	child->fn = fn;
	child->arg = arg;
	child->ret = 0;
	init_completion(&child->go);
	init_completion(&child->done);
	init_completion(&child->gone);
	pid = kernel_clone(&args);
	if (pid < 0)
		return pid;
	wait_for_completion(&child->done);
	return 0;
}

void mm_child_stop(struct mm_child *child)
{
	complete(&child->go);
	wait_for_completion(&child->gone);
}

/* In the caller's address space. */
int mm_call_in_user_task(int (*fn)(void *arg), void *arg)
{
	struct mm_child child;
	int ret;

	ret = mm_child_start(&child, CLONE_VM, fn, arg);
	if (ret)
		return ret;
	mm_child_stop(&child);
	return child.ret;
}

/* Threads. */

static int mm_thread_main(void *arg)
{
	struct mm_thread *thread = arg;
	int ret;

	kthread_use_mm(thread->mm);
	ret = thread->fn(thread->arg);
	kthread_unuse_mm(thread->mm);
	mmput(thread->mm);
	return ret;
}

void mm_thread_start(struct kunit *test, struct mm_thread *thread,
		     struct mm_struct *mm, unsigned int cpu,
		     int (*fn)(void *arg), void *arg)
{
	mmget(mm);
	thread->mm = mm;
	thread->fn = fn;
	thread->arg = arg;
	test_thread_start(test, &thread->thread, cpu, mm_thread_main, thread);
}

int mm_thread_join(struct kunit *test, struct mm_thread *thread)
{
	return test_thread_join(test, &thread->thread);
}

int mm_advise(void *arg)
{
	const struct mm_advice *advice = arg;

	return mm_sys_madvise(advice->addr, advice->len, advice->advice, 0, 0, 0);
}

/* The probe. */

static struct mm_probe *to_mm_probe(struct mmu_notifier *mn)
{
	return container_of(mn, struct mm_probe, mn);
}

static int mm_probe_start(struct mmu_notifier *mn,
			  const struct mmu_notifier_range *range)
{
	struct mm_probe *probe = to_mm_probe(mn);

	scoped_guard(spinlock, &probe->lock) {
		if (probe->nr < MM_PROBE_LOG)
			probe->log[probe->nr] = (struct mm_event) {
				.event = (enum smmu_inval_event)range->event,
				.start = range->start,
				.end = range->end,
				.owner = range->owner,
			};
		probe->nr++;
		probe->starts[range->event]++;
	}
	if (probe->start_hook)
		probe->start_hook(probe, range);
	return 0;
}

static void mm_probe_end(struct mmu_notifier *mn,
			 const struct mmu_notifier_range *range)
{
	struct mm_probe *probe = to_mm_probe(mn);

	scoped_guard(spinlock, &probe->lock)
		probe->ends[range->event]++;
	if (probe->end_hook)
		probe->end_hook(probe, range);
}

static void mm_probe_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	to_mm_probe(mn)->released++;
}

static const struct mmu_notifier_ops mm_probe_ops = {
	.invalidate_range_start = mm_probe_start,
	.invalidate_range_end = mm_probe_end,
	.release = mm_probe_release,
};

static void mm_probe_free(void *ctx)
{
	struct mm_probe *probe = ctx;

	probe->start_hook = NULL;
	probe->end_hook = NULL;
	mmu_notifier_unregister(&probe->mn, probe->mm);
	kfree(probe);
}

struct mm_probe *mm_probe_new(struct kunit *test, struct mm_struct *mm)
{
	struct mm_probe *probe = kzalloc(sizeof(*probe), GFP_KERNEL);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, probe);
	spin_lock_init(&probe->lock);
	probe->mn.ops = &mm_probe_ops;
	probe->mm = mm;
	ret = mmu_notifier_register(&probe->mn, mm);
	if (ret)
		kfree(probe);
	KUNIT_ASSERT_EQ(test, ret, 0);
	mm_defer(test, mm_probe_free, probe);
	return probe;
}

void mm_probe_forget(struct mm_probe *probe)
{
	guard(spinlock)(&probe->lock);
	probe->nr = 0;
	memset(probe->starts, 0, sizeof(probe->starts));
	memset(probe->ends, 0, sizeof(probe->ends));
}

static void mm_gate_hook(struct mm_probe *probe,
			 const struct mmu_notifier_range *range)
{
	struct mm_gate *gate = probe->ctx;

	if (range->start != gate->start || atomic_dec_if_positive(&gate->left) < 0)
		return;
	complete(&gate->arrived);
	wait_for_completion_timeout(&gate->open, TEST_SOON);
}

/* The first invalidation that starts at @start waits in @probe. */
void mm_gate_init(struct mm_gate *gate, struct mm_probe *probe,
		  unsigned long start)
{
	gate->start = start;
	atomic_set(&gate->left, 1);
	init_completion(&gate->arrived);
	init_completion(&gate->open);
	probe->ctx = gate;
	probe->start_hook = mm_gate_hook;
}

/* Until it is there. */
bool mm_gate_wait(struct mm_gate *gate)
{
	return wait_for_completion_timeout(&gate->arrived, TEST_SOON);
}

void mm_gate_open(struct mm_gate *gate)
{
	complete_all(&gate->open);
}

struct mmu_notifier_range mm_range(struct mm_struct *mm,
				   enum mmu_notifier_event event,
				   unsigned long start, unsigned long end)
{
	return (struct mmu_notifier_range) {
		.mm = mm, .event = event, .start = start, .end = end,
	};
}

/* The driver: its lock. */

void mm_dev_lock(struct mm_dev *dev, unsigned long *flags)
	__acquires(&dev->lock)
{
	switch (dev->kind) {
	case TEST_SPINLOCK:
		spin_lock(&dev->lock.spin);
		break;
	case TEST_RAW_SPINLOCK:
		raw_spin_lock_irqsave(&dev->lock.raw, *flags);
		break;
	case TEST_RWLOCK:
		write_lock(&dev->lock.rw);
		break;
	case TEST_MUTEX:
		mutex_lock(&dev->lock.mutex);
		__acquire(&dev->lock);
		break;
	default:
		down_write(&dev->lock.sem);
		__acquire(&dev->lock);
		break;
	}
}

void mm_dev_unlock(struct mm_dev *dev, unsigned long flags)
	__releases(&dev->lock)
{
	switch (dev->kind) {
	case TEST_SPINLOCK:
		spin_unlock(&dev->lock.spin);
		break;
	case TEST_RAW_SPINLOCK:
		raw_spin_unlock_irqrestore(&dev->lock.raw, flags);
		break;
	case TEST_RWLOCK:
		write_unlock(&dev->lock.rw);
		break;
	case TEST_MUTEX:
		mutex_unlock(&dev->lock.mutex);
		__release(&dev->lock);
		break;
	default:
		up_write(&dev->lock.sem);
		__release(&dev->lock);
		break;
	}
}

/* A lock of each kind needs a lockdep class of its own. */
static struct smmu_inval_lock mm_dev_lock_init(struct mm_dev *dev)
{
	switch (dev->kind) {
	case TEST_SPINLOCK:
		spin_lock_init(&dev->lock.spin);
		return SMMU_INVAL_LOCK(&dev->lock.spin);
	case TEST_RAW_SPINLOCK:
		raw_spin_lock_init(&dev->lock.raw);
		return SMMU_INVAL_LOCK(&dev->lock.raw);
	case TEST_RWLOCK:
		rwlock_init(&dev->lock.rw);
		return SMMU_INVAL_LOCK(&dev->lock.rw);
	case TEST_MUTEX:
		mutex_init(&dev->lock.mutex);
		return SMMU_INVAL_LOCK(&dev->lock.mutex);
	default:
		init_rwsem(&dev->lock.sem);
		return SMMU_INVAL_LOCK(&dev->lock.sem);
	}
}

/* Its page table. */

/* The part of a span that the device mirrors; false if there is none. */
static bool mm_dev_clip(struct mm_dev *dev, u64 start, u64 last,
			unsigned int *first, unsigned int *end)
{
	u64 top = mm_page(dev, dev->nr) - 1;

	dev->odd += !PAGE_ALIGNED(start) || !PAGE_ALIGNED(last + 1) ||
		    start < dev->si.cfg.start || last > dev->si.cfg.last;
	if (start > top || last < dev->base)
		return false;
	*first = (max_t(u64, start, dev->base) - dev->base) >> PAGE_SHIFT;
	*end = ((min(last, top) - dev->base) >> PAGE_SHIFT) + 1;
	return true;
}

static enum smmu_inval_event mm_span_event(const struct smmu_inval_span *span)
{
	return span->events ? __ffs(span->events) : SMMU_INVAL_DRIVER;
}

static void mm_dev_changed(struct mm_dev *dev, struct smmu_inval_batch *batch,
			   unsigned int page, enum smmu_inval_event event)
{
	smmu_inval_changed(batch, mm_page(dev, page), mm_page(dev, page + 1) - 1,
			   event);
}

static void mm_dev_zap_page(struct mm_dev *dev, struct smmu_inval_batch *batch,
			    unsigned int page, enum smmu_inval_event event)
{
	if (!dev->table[page].valid)
		return;
	dev->table[page].valid = false;
	dev->zapped[event]++;
	mm_dev_changed(dev, batch, page, event);
}

static void mm_dev_wrprotect_page(struct mm_dev *dev,
				  struct smmu_inval_batch *batch,
				  unsigned int page, enum smmu_inval_event event)
{
	if (!dev->table[page].valid || !dev->table[page].write)
		return;
	dev->table[page].write = false;
	dev->wrprotected[event]++;
	mm_dev_changed(dev, batch, page, event);
}

static void mm_dev_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		       const struct smmu_inval_span *span)
{
	enum smmu_inval_event event = mm_span_event(span);
	struct mm_dev *dev = to_mm_dev(si);
	unsigned int i, end;

	dev->zaps[event]++;
	dev->yields += smmu_inval_may_yield(batch);
	if (dev->zap_hook)
		dev->zap_hook(dev, span);
	if (!mm_dev_clip(dev, span->start, span->last, &i, &end))
		return;
	for (; i < end; i++)
		mm_dev_zap_page(dev, batch, i, event);
}

static void mm_dev_wrprotect(struct smmu_inval *si,
			     struct smmu_inval_batch *batch,
			     const struct smmu_inval_span *span)
{
	enum smmu_inval_event event = mm_span_event(span);
	struct mm_dev *dev = to_mm_dev(si);
	unsigned int i, end;

	dev->wrprotects[event]++;
	dev->yields += smmu_inval_may_yield(batch);
	if (!mm_dev_clip(dev, span->start, span->last, &i, &end))
		return;
	for (; i < end; i++)
		mm_dev_wrprotect_page(dev, batch, i, event);
}

static void mm_dev_decide(struct smmu_inval *si, struct smmu_inval_batch *batch,
			  const struct smmu_inval_look *look)
{
	struct mm_dev *dev = to_mm_dev(si);
	unsigned int i, end;

	dev->decides++;
	dev->yields += smmu_inval_may_yield(batch);
	if (!mm_dev_clip(dev, look->start, look->last, &i, &end))
		return;
	for (; i < end; i++) {
		const struct mm_pte *pte = &dev->table[i];
		enum smmu_inval_action action;

		if (!pte->valid)
			continue;
		action = smmu_inval_verdict(look, mm_page(dev, i),
					    mm_page(dev, i + 1) - 1, pte->pfn,
					    pte->write);
		if (action == SMMU_INVAL_ZAP)
			mm_dev_zap_page(dev, batch, i, look->event);
		else if (action == SMMU_INVAL_WRPROTECT)
			mm_dev_wrprotect_page(dev, batch, i, look->event);
	}
}

/* Its hardware. */

static void mm_dev_hw_forget(struct mm_dev *dev, bool all,
			     const struct smmu_inval_span *spans,
			     unsigned int nr)
{
	unsigned int i, end;

	lockdep_assert_held(&dev->hw_lock);
	if (all) {
		for (i = 0; i < dev->nr; i++)
			dev->tlb[i].valid = false;
		return;
	}
	for (; nr; nr--, spans++) {
		if (!mm_dev_clip(dev, spans->start, spans->last, &i, &end))
			continue;
		for (; i < end; i++)
			dev->tlb[i].valid = false;
	}
}

static void mm_dev_count_flush(struct mm_dev *dev,
			       const struct smmu_inval_flush *flush)
{
	unsigned int n;

	dev->flushes++;
	dev->flushes_all += flush->all;
	for (n = 0; n < flush->nr; n++)
		dev->flushed += (flush->spans[n].last -
				 flush->spans[n].start + 1) >> PAGE_SHIFT;
	if (dev->flush_hook)
		dev->flush_hook(dev, flush);
}

static void mm_dev_flush(struct smmu_inval *si,
			 const struct smmu_inval_flush *flush)
{
	struct mm_dev *dev = to_mm_dev(si);

	mm_dev_count_flush(dev, flush);
	scoped_guard(raw_spinlock_irqsave, &dev->hw_lock)
		mm_dev_hw_forget(dev, flush->all, flush->spans, flush->nr);
}

/* Into the command queue; nothing is forgotten before somebody waits. */
static u64 mm_dev_flush_issue(struct smmu_inval *si,
			      const struct smmu_inval_flush *flush)
{
	struct mm_dev *dev = to_mm_dev(si);

	mm_dev_count_flush(dev, flush);
	guard(raw_spinlock_irqsave)(&dev->hw_lock);
	dev->issued++;
	dev->ticket++;
	if (dev->queued == MM_DEV_QUEUE) {
		/* A real one would wait for room. */
		mm_dev_hw_forget(dev, true, NULL, 0);
		dev->queued = 0;
	}
	dev->queue[dev->queued].ticket = dev->ticket;
	dev->queue[dev->queued].all = flush->all;
	dev->queue[dev->queued].nr = flush->nr;
	memcpy(dev->queue[dev->queued].spans, flush->spans,
	       flush->nr * sizeof(*flush->spans));
	dev->queued++;
	return dev->ticket;
}

static void mm_dev_flush_wait(struct smmu_inval *si, u64 ticket)
{
	struct mm_dev *dev = to_mm_dev(si);
	unsigned int i, left = 0;

	atomic_inc(&dev->waited);
	if (dev->wait_hook)
		dev->wait_hook(dev, ticket);
	guard(raw_spinlock_irqsave)(&dev->hw_lock);
	for (i = 0; i < dev->queued; i++) {
		if (dev->queue[i].ticket <= ticket)
			mm_dev_hw_forget(dev, dev->queue[i].all,
					 dev->queue[i].spans, dev->queue[i].nr);
		else
			dev->queue[left++] = dev->queue[i];
	}
	dev->queued = left;
}

static void mm_dev_released(struct smmu_inval *si)
{
	to_mm_dev(si)->released++;
}

static void mm_dev_freed(struct smmu_inval *si)
{
	to_mm_dev(si)->freed++;
}

#define MM_DEV_OPS				\
	.zap = mm_dev_zap,			\
	.release = mm_dev_released,		\
	.free = mm_dev_freed

const struct smmu_inval_ops mm_dev_ops = {
	MM_DEV_OPS,
	.wrprotect = mm_dev_wrprotect,
	.decide = mm_dev_decide,
	.flush = mm_dev_flush,
};

/* As little as a driver may do. */
const struct smmu_inval_ops mm_dev_ops_zap_only = {
	MM_DEV_OPS,
	.flush = mm_dev_flush,
};

const struct smmu_inval_ops mm_dev_ops_two_phase = {
	MM_DEV_OPS,
	.wrprotect = mm_dev_wrprotect,
	.decide = mm_dev_decide,
	.flush = mm_dev_flush,
	.flush_issue = mm_dev_flush_issue,
	.flush_wait = mm_dev_flush_wait,
};

/* Life cycle. */

struct smmu_inval_config mm_dev_config(void)
{
	return (struct smmu_inval_config) {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "mm_dev",
	};
}

static void mm_dev_free(void *ctx)
{
	struct mm_dev *dev = ctx;

	/* Their context may have been on the stack of the test. */
	dev->zap_hook = NULL;
	dev->flush_hook = NULL;
	dev->wait_hook = NULL;
	dev->fault_hook = NULL;
	mm_dev_unbind(dev);
	mm_dev_destroy(dev);
	kvfree(dev->table);
	kvfree(dev->before);
	kvfree(dev->tlb);
	kvfree(dev);
}

/* A device that mirrors @nr pages from @base; NULL for the usual @cfg. */
struct mm_dev *mm_dev_new(struct kunit *test, enum test_lock_kind kind,
			  const struct smmu_inval_ops *ops,
			  const struct smmu_inval_config *cfg,
			  unsigned long base, unsigned int nr)
{
	struct smmu_inval_config config = cfg ? *cfg : mm_dev_config();
	struct mm_dev *dev = kvzalloc(sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->test = test;
	dev->kind = kind;
	dev->base = base;
	dev->nr = nr;
	dev->table = kvcalloc(nr, sizeof(*dev->table), GFP_KERNEL);
	dev->before = kvcalloc(nr, sizeof(*dev->before), GFP_KERNEL);
	dev->tlb = kvcalloc(nr, sizeof(*dev->tlb), GFP_KERNEL);
	raw_spin_lock_init(&dev->hw_lock);
	mm_defer(test, mm_dev_free, dev);
	KUNIT_ASSERT_TRUE(test, dev->table && dev->before && dev->tlb);
	config.lock = mm_dev_lock_init(dev);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&dev->si, ops, &config), 0);
	return dev;
}

/* After mm_dev_destroy(), with a lock of the same kind. */
int mm_dev_again(struct mm_dev *dev, const struct smmu_inval_ops *ops)
{
	struct smmu_inval_config config = mm_dev_config();

	config.lock = mm_dev_lock_init(dev);
	memset(dev->table, 0, dev->nr * sizeof(*dev->table));
	memset(dev->tlb, 0, dev->nr * sizeof(*dev->tlb));
	return smmu_inval_init(&dev->si, ops, &config);
}

/* An interval covers what the device mirrors, and no more. */
int mm_dev_try_bind(struct mm_dev *dev, enum mm_binding binding,
		    struct mm_struct *mm)
{
	int ret = 0;

	dev->mm = mm;
	switch (binding) {
	case MM_UNBOUND:
		break;
	case MM_MN:
	case MM_TLB:
		ret = smmu_inval_mn_init(&dev->smn, &dev->si,
					 binding == MM_MN ? &smmu_inval_mn_ops :
							    &smmu_inval_tlb_ops);
		if (!ret)
			ret = smmu_inval_mn_register(&dev->smn, mm);
		break;
	case MM_INTERVAL:
		ret = smmu_inval_interval_insert(&dev->ival, &dev->si, mm,
						 dev->base,
						 mm_page(dev, dev->nr) - 1, 8);
		break;
	}
	if (!ret)
		dev->binding = binding;
	return ret;
}

void mm_dev_bind(struct mm_dev *dev, enum mm_binding binding,
		 struct mm_struct *mm)
{
	KUNIT_ASSERT_EQ(dev->test, mm_dev_try_bind(dev, binding, mm), 0);
}

void mm_dev_unbind(struct mm_dev *dev)
{
	enum mm_binding binding = dev->binding;

	dev->binding = MM_UNBOUND;
	if (binding == MM_INTERVAL)
		smmu_inval_interval_remove(&dev->ival);
	else if (binding != MM_UNBOUND)
		smmu_inval_mn_unregister(&dev->smn);
}

/* Safe after a failed init, and a second time. */
void mm_dev_destroy(struct mm_dev *dev)
{
	if (dev->si.ops)
		smmu_inval_destroy(&dev->si);
	dev->si.ops = NULL;
}

/* Faults. */

/* Under the lock. */
static void mm_dev_install(struct mm_dev *dev, unsigned int page,
			   unsigned long pfn, bool write)
{
	struct mm_pte pte = { .pfn = pfn, .valid = true, .write = write };

	dev->table[page] = pte;
	scoped_guard(raw_spinlock_irqsave, &dev->hw_lock)
		dev->tlb[page] = pte;
}

/* Wait until nothing that overlaps is pending; without the lock. */
static int mm_dev_wait(struct mm_dev *dev, u64 start, u64 last)
{
	struct smmu_inval_waiter waiter;
	unsigned long flags = 0;
	bool wait;

	if (dev->binding == MM_INTERVAL)
		return smmu_inval_interval_wait(&dev->ival, start, last);
	mm_dev_lock(dev, &flags);
	wait = smmu_inval_wait_prepare(&dev->si, &waiter, start, last);
	mm_dev_unlock(dev, flags);
	return wait ? smmu_inval_wait(&waiter) : 0;
}

static bool mm_dev_dead(struct mm_dev *dev)
{
	if (dev->binding == MM_INTERVAL)
		return smmu_inval_interval_is_dead(&dev->ival);
	return smmu_inval_is_dead(&dev->si);
}

struct smmu_inval_cookie mm_dev_read_begin(struct mm_dev *dev)
{
	if (dev->binding == MM_INTERVAL)
		return smmu_inval_interval_read_begin(&dev->ival);
	return (struct smmu_inval_cookie) {
		.si = smmu_inval_read_begin(&dev->si),
	};
}

/* Under the lock. */
static bool mm_dev_retry_locked(struct mm_dev *dev,
				struct smmu_inval_cookie cookie,
				u64 start, u64 last)
{
	if (dev->binding == MM_INTERVAL)
		return smmu_inval_interval_read_retry(&dev->ival, cookie, start,
						      last);
	return smmu_inval_read_retry(&dev->si, cookie.si, start, last);
}

bool mm_dev_read_retry(struct mm_dev *dev, struct smmu_inval_cookie cookie,
		       unsigned int page)
{
	unsigned long flags = 0;
	bool retry;

	mm_dev_lock(dev, &flags);
	retry = mm_dev_retry_locked(dev, cookie, mm_page(dev, page),
				    mm_page(dev, page + 1) - 1);
	mm_dev_unlock(dev, flags);
	return retry;
}

/* Would a fault that begins now have to wait? */
bool mm_dev_pending(struct mm_dev *dev, unsigned int page)
{
	return mm_dev_read_retry(dev, mm_dev_read_begin(dev), page);
}

/*
 * The fault of a driver that pins nothing: look the page up, take the lock, ask
 * whether it is still right. Returns -ESRCH after the end of the process.
 */
int mm_dev_fault(struct mm_dev *dev, unsigned int i, bool write)
{
	u64 start = mm_page(dev, i), last = mm_page(dev, i + 1) - 1;
	unsigned int tries;

	for (tries = 0; tries < 10000; tries++) {
		struct smmu_inval_cookie cookie;
		unsigned long flags = 0;
		struct page *page;
		bool retry;
		int ret;

		if (mm_dev_dead(dev))
			return -ESRCH;
		cookie = mm_dev_read_begin(dev);
		if (get_user_pages_unlocked(start, 1, &page,
					    write ? FOLL_WRITE : 0) != 1)
			return -EFAULT;
		if (dev->fault_hook)
			dev->fault_hook(dev);
		mm_dev_lock(dev, &flags);
		retry = mm_dev_retry_locked(dev, cookie, start, last);
		if (!retry) {
			smmu_inval_assert_may_install(&dev->si, start, last);
			mm_dev_install(dev, i, page_to_pfn(page), write);
		}
		mm_dev_unlock(dev, flags);
		put_page(page);
		if (!retry)
			return 0;
		dev->retries++;
		if (mm_dev_dead(dev))
			return -ESRCH;
		ret = mm_dev_wait(dev, start, last);
		if (ret)
			return ret;
	}
	return -ELOOP;
}

#define MM_HMM_PAGES	64

/* The fault of a driver that uses HMM: several pages at once. */
int mm_dev_hmm_fault(struct mm_dev *dev, unsigned int page, unsigned int nr,
		     bool write)
{
	u64 start = mm_page(dev, page), last = mm_page(dev, page + nr) - 1;
	unsigned long pfns[MM_HMM_PAGES];
	struct hmm_range range = {
		.notifier = smmu_inval_interval_notifier(&dev->ival),
		.start = start,
		.end = last + 1,
		.hmm_pfns = pfns,
		.default_flags = HMM_PFN_REQ_FAULT |
				 (write ? HMM_PFN_REQ_WRITE : 0),
	};
	unsigned int tries, i;

	if (nr > MM_HMM_PAGES)
		return -EINVAL;
	for (tries = 0; tries < 10000; tries++) {
		struct smmu_inval_cookie cookie;
		unsigned long flags = 0;
		bool retry;
		int ret;

		if (mm_dev_dead(dev))
			return -ESRCH;
		memset(pfns, 0, sizeof(pfns));
		cookie = smmu_inval_interval_read_begin(&dev->ival);
		mmap_read_lock(dev->mm);
		ret = hmm_range_fault(&range);
		mmap_read_unlock(dev->mm);
		if (ret)
			return ret;
		if (dev->fault_hook)
			dev->fault_hook(dev);
		mm_dev_lock(dev, &flags);
		retry = smmu_inval_interval_read_retry(&dev->ival, cookie,
						       start, last);
		for (i = 0; i < nr && !retry; i++)
			mm_dev_install(dev, page + i,
				       hmm_pfn_to_page(pfns[i]) ?
				       page_to_pfn(hmm_pfn_to_page(pfns[i])) : 0,
				       pfns[i] & HMM_PFN_WRITE);
		mm_dev_unlock(dev, flags);
		if (!retry)
			return 0;
		dev->retries++;
		if (mm_dev_dead(dev))
			return -ESRCH;
		ret = smmu_inval_interval_wait(&dev->ival, start, last);
		if (ret)
			return ret;
	}
	return -ELOOP;
}

/* All that the primary page tables map now, and no more. */
void mm_dev_populate(struct mm_dev *dev, bool write)
{
	unsigned int i;

	for (i = 0; i < dev->nr; i++) {
		struct mm_primary primary = mm_primary(dev->mm, mm_page(dev, i));

		if (!primary.present)
			continue;
		KUNIT_ASSERT_EQ(dev->test,
				mm_dev_fault(dev, i, write && primary.write), 0);
	}
	mm_dev_forget(dev);
}

/* Can the device still read, or write, the page? */
bool mm_dev_reaches(struct mm_dev *dev, unsigned int page, bool write)
{
	guard(raw_spinlock_irqsave)(&dev->hw_lock);
	return dev->tlb[page].valid && (!write || dev->tlb[page].write);
}

/* Does the driver's table still map it? */
bool mm_dev_maps(struct mm_dev *dev, unsigned int page, bool write)
{
	return dev->table[page].valid && (!write || dev->table[page].write);
}

/* How many pages it maps. */
unsigned int mm_dev_count(struct mm_dev *dev, bool write)
{
	unsigned int i, n = 0;

	for (i = 0; i < dev->nr; i++)
		n += mm_dev_maps(dev, i, write);
	return n;
}

void mm_dev_forget(struct mm_dev *dev)
{
	dev->flushes = 0;
	dev->flushes_all = 0;
	dev->flushed = 0;
	memset(dev->zapped, 0, sizeof(dev->zapped));
	memset(dev->wrprotected, 0, sizeof(dev->wrprotected));
	memset(dev->zaps, 0, sizeof(dev->zaps));
	memset(dev->wrprotects, 0, sizeof(dev->wrprotects));
	dev->decides = 0;
	dev->issued = 0;
	atomic_set(&dev->waited, 0);
}

/* What is right. */

void mm_dev_snapshot(struct mm_dev *dev)
{
	memcpy(dev->before, dev->table, dev->nr * sizeof(*dev->table));
}

/*
 * Nothing that the driver maps, or the hardware has cached, is more than the
 * primary page tables allow. For a quiet moment.
 */
void mm_dev_expect_coherent(struct mm_dev *dev, const char *where)
{
	struct kunit *test = dev->test;
	unsigned int i;

	KUNIT_EXPECT_EQ_MSG(test, dev->odd, 0, "%s: spans of no whole pages, or outside",
			    where);
	for (i = 0; i < dev->nr; i++) {
		struct mm_primary primary = mm_primary(dev->mm, mm_page(dev, i));
		struct mm_pte pte = dev->table[i], tlb = dev->tlb[i];

		if (tlb.valid)
			KUNIT_EXPECT_TRUE_MSG(test, pte.valid && pte.pfn == tlb.pfn &&
					      pte.write >= tlb.write,
					      "%s: page %u: stale in the TLB",
					      where, i);
		if (!pte.valid)
			continue;
		KUNIT_EXPECT_TRUE_MSG(test, primary.present,
				      "%s: page %u: not mapped any more", where, i);
		if (primary.present)
			KUNIT_EXPECT_EQ_MSG(test, pte.pfn, primary.pfn,
					    "%s: page %u: another page", where, i);
		if (pte.write)
			KUNIT_EXPECT_TRUE_MSG(test, primary.write,
					      "%s: page %u: not writable any more",
					      where, i);
	}
}

/* One event on one page, by section 4 of the design. */
static void mm_expect_event(const struct mm_dev *dev, struct mm_pte *pte,
			    const struct mm_event *event,
			    const struct mm_primary *primary, bool hugetlb)
{
	switch (event->event) {
	case SMMU_INVAL_PROTECTION_VMA:
		if (dev->binding != MM_MN || hugetlb || !dev->si.ops->decide ||
		    !primary->present || primary->pfn != pte->pfn)
			pte->valid = false;
		pte->write &= primary->write;
		break;
	case SMMU_INVAL_PROTECTION_PAGE:
	case SMMU_INVAL_SOFT_DIRTY:
		if (!dev->si.ops->wrprotect)
			pte->valid = false;
		pte->write = false;
		break;
	default:
		pte->valid = false;
		break;
	}
}

/*
 * Since mm_dev_snapshot() and mm_probe_forget(), exactly what the events demand
 * has gone. No faults may have come in between.
 */
void mm_dev_expect(struct mm_dev *dev, const struct mm_probe *probe,
		   bool hugetlb, const char *where)
{
	struct kunit *test = dev->test;
	unsigned int i, n;

	KUNIT_ASSERT_LE_MSG(test, probe->nr, MM_PROBE_LOG, "%s", where);
	for (i = 0; i < dev->nr; i++) {
		struct mm_primary primary = mm_primary(dev->mm, mm_page(dev, i));
		struct mm_pte want = dev->before[i], got = dev->table[i];

		for (n = 0; n < probe->nr && want.valid; n++)
			if (mm_page(dev, i) < probe->log[n].end &&
			    mm_page(dev, i + 1) > probe->log[n].start)
				mm_expect_event(dev, &want, &probe->log[n],
						&primary, hugetlb);
		KUNIT_EXPECT_EQ_MSG(test, got.valid, want.valid,
				    "%s: page %u", where, i);
		if (got.valid && want.valid)
			KUNIT_EXPECT_EQ_MSG(test, got.write, want.write,
					    "%s: page %u", where, i);
	}
	mm_dev_expect_coherent(dev, where);
}

u64 mm_dev_stat(struct mm_dev *dev, size_t offset)
{
	struct smmu_inval_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	u64 value = 0;

	if (stats) {
		smmu_inval_get_stats(&dev->si, stats);
		value = *(u64 *)((char *)stats + offset);
	}
	kfree(stats);
	return value;
}
