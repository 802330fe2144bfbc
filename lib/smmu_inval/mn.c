// SPDX-License-Identifier: GPL-2.0
/*
 * Binding to mmu_notifier start and end callbacks: for drivers with page
 * tables of their own that map any address of a process, as KVM does.
 *
 * The start callback records what the event covers, and changes at once what
 * has to change before core mm goes on. The end callback decides about
 * PROTECTION_VMA, and retires the ranges. Both find each other by the triple
 * (mm, addresses, event).
 *
 * A start that can fail may not have an end: nobody would tell it that another
 * notifier's failure means that no end will follow. So the start must get the
 * driver's lock without sleeping, and a lock that sleeps is refused.
 *
 * Registered users call smmu_inval_mn_register() and _unregister(); those that
 * want one instance for each process, shared by all that ask for it, have a
 * struct smmu_inval_mn_class, and use _get() and _put(). With a class, _put() also
 * ends what _register() began, for those who cannot wait for the callbacks.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <trace/events/smmu_inval.h>

#include "compat.h"
#include "internal.h"

struct workqueue_struct *smmu_inval_wq;

static struct smmu_inval_mn *to_smn(struct mmu_notifier *mn)
{
	return container_of(mn, struct smmu_inval_mn, mn);
}

/*
 * hugetlb cannot wait for the end: huge_pmd_unshare() removes entries under
 * PROTECTION_VMA, and what later happens to the pages sends nothing to this
 * mm. All senders hold mmap_lock; should one not, everything is hugetlb.
 */
static bool range_maps_hugetlb(struct mm_struct *mm,
			       const struct smmu_inval_span *span)
{
	struct vm_area_struct *vma;

	if (!rwsem_is_locked(&mm->mmap_lock))
		return true;
	for (vma = find_vma(mm, span->start); vma && vma->vm_start <= span->last;
	     vma = find_vma(mm, vma->vm_end))
		if (is_vm_hugetlb_page(vma))
			return true;
	return false;
}

/* What of the range can concern the driver at all. */
static void mn_span(struct smmu_inval *si,
		    const struct mmu_notifier_range *range,
		    struct smmu_inval_span *span)
{
	smmu_inval_range_hva(si, range->start, range->end, span);
	if (smmu_inval_has_hvas(si)) {
		span->start = max(span->start, si->cfg.start);
		span->last = min(span->last, si->cfg.last);
	}
}

static void token_add(struct smmu_inval *si, struct smmu_inval_token *token,
		      const struct smmu_inval_span *span)
{
	if (si->ops->add_ranges)
		si->ops->add_ranges(si, token, span);
	else if (span->start <= span->last)
		smmu_inval_add(si, token, span->start, span->last);
}

static bool token_covers(const struct smmu_inval *si,
			 const struct smmu_inval_token *token)
{
	struct smmu_inval_walk walk = smmu_inval_walk(si, token);

	return token == &si->overflow.token || token->overflowed ||
	       smmu_inval_walk_next(si, &walk);
}

/*
 * Wait for the flights that overlap what the token covers, or for all of them:
 *
 * - If it covers nothing now, the driver may have mapped it a moment ago, and the
 *   flush of what it removed then may still be in flight. With ops->add_ranges that
 *   goes for each part of what it covers.
 * - While invalidations without a name are pending, the end of one of them may have
 *   closed this token, see token_close(), during a yield, and it may be another's by
 *   now. This one is pending without a name then.
 */
static void token_drain(struct smmu_inval_token *token,
			struct smmu_inval_drain *drain)
{
	struct smmu_inval *si = drain->si;
	struct smmu_inval_walk walk = smmu_inval_walk(si, token);

	if (si->ops->add_ranges || si->overflow.anon || token->overflowed ||
	    !token_covers(si, token)) {
		smmu_inval_drain_range(drain, 0, U64_MAX);
		return;
	}
	while (smmu_inval_walk_next(si, &walk))
		smmu_inval_drain_range(drain, walk.start, walk.last);
}

static u64 token_pages(const struct smmu_inval *si,
		       const struct smmu_inval_token *token)
{
	struct smmu_inval_walk walk = smmu_inval_walk(si, token);
	u64 pages = 0;

	while (smmu_inval_walk_next(si, &walk))
		pages += smmu_inval_pages(si, walk.start, walk.last);
	return pages;
}

/* Never fails: the lock does not sleep, and what finds no node has the hull. */
static int mn_start(struct mmu_notifier *mn,
		    const struct mmu_notifier_range *range)
{
	struct smmu_inval *si = to_smn(mn)->si;
	enum smmu_inval_event event = smmu_inval_range_event(range);
	struct smmu_inval_span span = { .events = BIT(event) };
	enum smmu_inval_action action;
	struct smmu_inval_token *token;
	unsigned long flags;

	CLASS(smmu_inval_drain, drain)(si);

	action = smmu_inval_classify(si, event, range->owner);
	if (smmu_inval_ignores(event, action))
		return 0;
	mn_span(si, range, &span);
	if (action == SMMU_INVAL_DECIDE && range_maps_hugetlb(range->mm, &span))
		action = SMMU_INVAL_ZAP;

	smmu_inval_lock(si, &flags);
	token = smmu_inval_begin_keyed(si, event, range->mm, range->start,
				       range->end);
	token_add(si, token, &span);
	/* Without a name it covers too much, and yet this may be outside. */
	if (span.start <= span.last && token_covers(si, token)) {
		CLASS(smmu_inval_batch, batch)(si);

		batch.may_yield = mmu_notifier_range_blockable(range);
		if (batch.may_yield)
			smmu_inval_batch_defer(&batch, &drain);
		if (action == SMMU_INVAL_DECIDE) {
			/* Unnamed ones are always decided about at end. */
			if (token != &si->overflow.token)
				token->deferred = true;
			smmu_inval_count(si, event[event].deferred,
					 token_pages(si, token));
		} else {
			smmu_inval_apply(si, &batch, &span, action);
		}
		smmu_inval_batch_flush(&batch);
	}
	token_drain(token, &drain);
	smmu_inval_unlock(si, flags);
	return 0;
}

/* Is there anything to decide? Zapped at start, or not mapped: no. */
static bool mn_undecided(struct smmu_inval *si, enum smmu_inval_event event,
			 const struct mmu_notifier_range *range)
{
	struct smmu_inval_token *token;
	unsigned long flags;
	bool undecided;

	smmu_inval_lock(si, &flags);
	token = smmu_inval_find_keyed(si, event, range->mm, range->start,
				      range->end);
	undecided = token && token_covers(si, token) &&
		    (token == &si->overflow.token || token->deferred);
	smmu_inval_unlock(si, flags);
	return undecided;
}

/*
 * PROTECTION_VMA is over: see what became of each page, and do that to its
 * translation. The look comes before the lock, since aging takes page-table
 * locks first and the driver's lock inside of them. What changes between the
 * look and the lock sends an event of its own; nothing is installed meanwhile,
 * because the range is still pending.
 */
static void mn_decide(struct smmu_inval *si, enum smmu_inval_event event,
		      const struct mmu_notifier_range *range)
{
	struct smmu_inval_span span = { .events = BIT(event) };
	struct smmu_inval_look look;
	unsigned long flags;
	u64 addr;

	if (!mn_undecided(si, event, range))
		return;
	mn_span(si, range, &span);
	if (span.start > span.last)
		return;
	look.si = si;
	look.event = event;
	for (addr = span.start; ; addr = look.last + 1) {
		CLASS(smmu_inval_drain, drain)(si);
		CLASS(smmu_inval_batch, batch)(si);

		smmu_inval_look(&look, range->mm, addr, span.last);
		batch.may_yield = mmu_notifier_range_blockable(range);
		smmu_inval_lock(si, &flags);
		smmu_inval_batch_defer(&batch, &drain);
		si->ops->decide(si, &batch, &look);
		smmu_inval_batch_flush(&batch);
		smmu_inval_unlock(si, flags);
		if (look.last >= span.last)
			break;
		if (mmu_notifier_range_blockable(range))
			cond_resched();
	}
}

static void mn_end(struct mmu_notifier *mn,
		   const struct mmu_notifier_range *range)
{
	struct smmu_inval *si = to_smn(mn)->si;
	enum smmu_inval_event event = smmu_inval_range_event(range);
	struct smmu_inval_token *token;
	unsigned long flags;

	CLASS(smmu_inval_drain, drain)(si);

	if (smmu_inval_ignores(event, smmu_inval_classify(si, event,
							  range->owner)))
		return;
	/* As at start, but for the switches, which may have changed since. */
	if (event == SMMU_INVAL_PROTECTION_VMA && si->ops->decide)
		mn_decide(si, event, range);

	smmu_inval_lock(si, &flags);
	token = smmu_inval_find_keyed(si, event, range->mm, range->start,
				      range->end);
	if (token)
		token_drain(token, &drain);
	smmu_inval_end(si, token);
	smmu_inval_unlock(si, flags);
}

/* Nothing is translated from now on, and nothing ever will be. */
static void zap_all(struct smmu_inval *si)
{
	bool hvas = smmu_inval_has_hvas(si);
	struct smmu_inval_span span = {
		.start = hvas ? si->cfg.start : 0,
		.last = hvas ? si->cfg.last : ULONG_MAX,
		.events = BIT(SMMU_INVAL_RELEASE),
	};
	unsigned long flags;

	CLASS(smmu_inval_drain, drain)(si);

	smmu_inval_lock(si, &flags);
	if (!si->dead)
		smmu_inval_count_begun(si, SMMU_INVAL_RELEASE, 1, 0);
	smmu_inval_pending_close(si);
	if (si->ops->zap) {
		CLASS(smmu_inval_batch, batch)(si);

		batch.may_yield = true;
		smmu_inval_batch_defer(&batch, &drain);
		si->ops->zap(si, &batch, &span);
		smmu_inval_batch_flush(&batch);
	}
	smmu_inval_drain_range(&drain, 0, U64_MAX);
	smmu_inval_wake(si);
	smmu_inval_unlock(si, flags);
}

/*
 * Called at exit, and when the notifier is unregistered; perhaps both, perhaps
 * at once, so that it does all of its work each time. Ends may never come for
 * what is pending: it is forgotten with the instance.
 */
static void mn_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct smmu_inval *si = to_smn(mn)->si;

	if (si->ops->release)
		si->ops->release(si);
	zap_all(si);
}

static smmu_inval_young_t mn_clear_flush_young(struct mmu_notifier *mn,
					       struct mm_struct *mm,
					       unsigned long start,
					       unsigned long end)
{
	struct smmu_inval *si = to_smn(mn)->si;

	return si->ops->clear_flush_young && start < end &&
	       si->ops->clear_flush_young(si, start, end - 1);
}

static smmu_inval_young_t mn_clear_young(struct mmu_notifier *mn,
					 struct mm_struct *mm,
					 unsigned long start,
					 unsigned long end)
{
	struct smmu_inval *si = to_smn(mn)->si;

	return si->ops->clear_young && start < end &&
	       si->ops->clear_young(si, start, end - 1);
}

static smmu_inval_young_t mn_test_young(struct mmu_notifier *mn,
					struct mm_struct *mm,
					unsigned long address)
{
	struct smmu_inval *si = to_smn(mn)->si;

	return si->ops->test_young && si->ops->test_young(si, address);
}

static struct smmu_inval_mn_class *to_class(struct smmu_inval_mn *smn)
{
	return container_of(smn->mn.ops, struct smmu_inval_mn_class, ops);
}

static void mn_class_gone(struct smmu_inval_mn_class *class)
{
	if (atomic_dec_and_test(&class->live))
		wake_up_all(&class->gone);
}

static void mn_free_work(struct work_struct *work)
{
	struct smmu_inval_mn *smn = container_of(work, struct smmu_inval_mn,
						 free_work);
	struct smmu_inval_mn_class *class = to_class(smn);

	smn->si->ops->free(smn->si);
	mn_class_gone(class);
}

/* The SRCU callback may not sleep, and the driver's clean-up has to. */
static void mn_free(struct mmu_notifier *mn)
{
	queue_work(smmu_inval_wq, &to_smn(mn)->free_work);
}

/* For smmu_inval_mn_init() and _register(). */
const struct mmu_notifier_ops smmu_inval_mn_ops = {
	.release = mn_release,
	.clear_flush_young = mn_clear_flush_young,
	.clear_young = mn_clear_young,
	.test_young = mn_test_young,
	.invalidate_range_start = mn_start,
	.invalidate_range_end = mn_end,
};
EXPORT_SYMBOL_GPL(smmu_inval_mn_ops);

/**
 * smmu_inval_mn_class_init() - prepare for get and put
 * @class: the driver's own, static; tells its bindings from other drivers'
 * @base: &smmu_inval_mn_ops or &smmu_inval_tlb_ops
 * @alloc: makes an instance: calls smmu_inval_init(), with late_debugfs, then
 *	smmu_inval_mn_init() with &@class.ops, and returns &smn->mn, or an
 *	ERR_PTR(); called with mmap_lock held; NULL if the driver makes and
 *	registers its instances itself
 *
 * Context: any.
 */
void smmu_inval_mn_class_init(struct smmu_inval_mn_class *class,
			      const struct mmu_notifier_ops *base,
			      struct mmu_notifier *(*alloc)(struct mm_struct *mm))
{
	class->ops = *base;
	class->ops.alloc_notifier = alloc;
	class->ops.free_notifier = mn_free;
	mutex_init(&class->lock);
	atomic_set(&class->live, 0);
	init_waitqueue_head(&class->gone);
}
EXPORT_SYMBOL_GPL(smmu_inval_mn_class_init);

/**
 * smmu_inval_mn_init() - prepare an instance for a binding to a process
 * @smn: embedded in the driver's object
 * @si: the instance, initialized
 * @ops: &smmu_inval_mn_ops, &smmu_inval_tlb_ops, or those of a struct
 *	smmu_inval_mn_class, for get and put
 *
 * Context: any.
 * Return: 0, or -EINVAL if the instance does not fit: start and end need a
 * lock that does not sleep, ops->zap, and ops->add_ranges if addresses are not
 * those of the process; a secondary TLB needs a lock that can be taken with
 * interrupts off, or none if ops->flush locks for itself, and addresses of the
 * process; get and put need ops->free and late_debugfs.
 *
 * The callers of secondary-TLB callbacks may hold spinlocks. Should one hold a
 * raw spinlock, only a raw spinlock serves where a spinlock sleeps (PREEMPT_RT).
 */
int smmu_inval_mn_init(struct smmu_inval_mn *smn, struct smmu_inval *si,
		       const struct mmu_notifier_ops *ops)
{
	if (!si->ops || !ops)
		return -EINVAL;
	if (ops->invalidate_range_start &&
	    (smmu_inval_lock_sleeps(si) || !smmu_inval_has_lock(si) || !si->ops->zap ||
	     (!si->ops->add_ranges && !smmu_inval_has_hvas(si))))
		return -EINVAL;
	if (ops->SMMU_INVAL_TLB_OP && !smmu_inval_tlb_fits(si))
		return -EINVAL;
	if (ops->free_notifier && (!si->ops->free || !si->cfg.late_debugfs))
		return -EINVAL;
	if (ops->SMMU_INVAL_TLB_OP && si->cfg.lock.kind == SMMU_INVAL_SPINLOCK)
		si->cfg.lock.kind = SMMU_INVAL_SPINLOCK_IRQ;
	smn->si = si;
	smn->mn.ops = ops;
	smn->users = 0;
	INIT_WORK(&smn->free_work, mn_free_work);
	if (ops->free_notifier)
		atomic_inc(&to_class(smn)->live);
	return 0;
}
EXPORT_SYMBOL_GPL(smmu_inval_mn_init);

/**
 * smmu_inval_mn_register() - begin to follow a process
 * @smn: from smmu_inval_mn_init()
 * @mm: whose; the caller holds a reference on its users, such as mmget()
 *
 * If it fails, the instance is destroyed as if it had never been bound.
 *
 * Context: process context, mmap_lock not held; sleeps.
 * Return: 0, -ESRCH if the instance is dead, or an error of
 * mmu_notifier_register().
 */
int smmu_inval_mn_register(struct smmu_inval_mn *smn, struct mm_struct *mm)
{
	bool has_class = smn->mn.ops->free_notifier;
	int ret = -ESRCH;

	if (!smmu_inval_is_dead(smn->si))
		ret = mmu_notifier_register(&smn->mn, mm);
	if (has_class && ret) {
		mn_class_gone(to_class(smn));
	} else if (has_class) {
		smn->users = 1;
		smmu_inval_debugfs_add(smn->si);
	}
	return ret;
}
EXPORT_SYMBOL_GPL(smmu_inval_mn_register);

/**
 * smmu_inval_mn_unregister() - follow the process no more
 * @smn: from smmu_inval_mn_register(), without a class
 *
 * Everything is zapped, and the instance is dead: see smmu_inval_is_dead().
 * Afterwards no callback runs or comes, not even the ends of what is pending.
 *
 * Context: process context, mmap_lock and the driver's lock not held; sleeps.
 */
void smmu_inval_mn_unregister(struct smmu_inval_mn *smn)
{
	mmu_notifier_unregister(&smn->mn, smn->mn.mm);
}
EXPORT_SYMBOL_GPL(smmu_inval_mn_unregister);

/**
 * smmu_inval_mn_get() - the instance that follows a process, made if need be
 * @class: the driver's
 * @mm: whose; the caller holds a reference on its users
 *
 * Context: process context, mmap_lock not held; sleeps.
 * Return: the binding, to be given back with smmu_inval_mn_put(), or an
 * ERR_PTR().
 */
struct smmu_inval_mn *smmu_inval_mn_get(struct smmu_inval_mn_class *class,
					struct mm_struct *mm)
{
	struct mmu_notifier *mn;

	mutex_lock(&class->lock);
	mn = mmu_notifier_get(&class->ops, mm);
	if (!IS_ERR(mn) && !to_smn(mn)->users++)
		smmu_inval_debugfs_add(to_smn(mn)->si);
	mutex_unlock(&class->lock);
	return IS_ERR(mn) ? ERR_CAST(mn) : to_smn(mn);
}
EXPORT_SYMBOL_GPL(smmu_inval_mn_get);

/**
 * smmu_inval_mn_put() - give back what smmu_inval_mn_get() returned
 * @smn: the binding, not to be used any more; or one of a class that was
 *	registered
 *
 * The last user's put zaps everything, since no callback follows, and later
 * calls ops->free from a work item.
 *
 * Context: process context, mmap_lock and the driver's lock not held; sleeps.
 */
void smmu_inval_mn_put(struct smmu_inval_mn *smn)
{
	struct smmu_inval_mn_class *class = to_class(smn);

	/* A get must find the instance alive, or not at all. */
	mutex_lock(&class->lock);
	if (!--smn->users)
		class->ops.release(&smn->mn, smn->mn.mm);
	mmu_notifier_put(&smn->mn);
	mutex_unlock(&class->lock);
}
EXPORT_SYMBOL_GPL(smmu_inval_mn_put);

/**
 * smmu_inval_mn_synchronize() - wait until all that was put is freed
 * @class: the driver's, without users
 *
 * To be called in the exit function of a module that uses get and put.
 *
 * Context: process context; sleeps.
 */
void smmu_inval_mn_synchronize(struct smmu_inval_mn_class *class)
{
	wait_event(class->gone, !atomic_read(&class->live));
	/* The last work item may still be on its way out of the wake-up. */
	flush_workqueue(smmu_inval_wq);
}
EXPORT_SYMBOL_GPL(smmu_inval_mn_synchronize);
