// SPDX-License-Identifier: GPL-2.0
/*
 * Binding for secondary TLBs: for devices that walk the page tables of the CPU
 * and cache what they find, as an IOMMU with shared virtual addressing does.
 *
 * There is no start, no end and nothing pending: the page table changes where
 * the device sees it, and the flush must be over when the callback returns.
 * The callback comes from any context, also under the page-table lock with
 * interrupts off. It comes with (0, ~0) for each batch of unmaps by reclaim,
 * and in 7.x with addresses of the kernel, whose page-table pages the device
 * may have cached: so no address is ever filtered.
 *
 * Nothing has to be remembered, so there need not be a lock. Where there is one,
 * who waits for it is served by who holds it:
 *
 *	CPU 0                           CPU 1
 *	changes an entry                changes another entry
 *	adds its range to the list      adds its range to the list
 *	takes the lock
 *	takes the list, with both       waits for the lock
 *	flushes both, waits once
 *	drops the lock                  takes the lock, sees that it is served
 */
#include <trace/events/smmu_inval.h>

#include "compat.h"
#include "internal.h"

/* With the lock held, if there is one. */
static void tlb_serve(struct smmu_inval *si, struct llist_node *requests)
{
	struct smmu_inval_tlb_request *req;

	{
		CLASS(smmu_inval_batch, batch)(si);

		llist_for_each_entry(req, requests, node) {
			if (req->all)
				smmu_inval_batch_all(&batch);
			else
				smmu_inval_changed(&batch, req->span.start,
						   req->span.last,
						   SMMU_INVAL_TLB);
		}
	}
	/* Not before the flush; nobody looks before the unlock. */
	llist_for_each_entry(req, requests, node)
		req->done = true;
}

/*
 * An empty or inverted range is counted as odd, and flushes everything: a
 * caller that got its range wrong still means that something changed.
 */
static void tlb_invalidate(struct mmu_notifier *mn, struct mm_struct *mm,
			   unsigned long start, unsigned long end)
{
	struct smmu_inval *si = container_of(mn, struct smmu_inval_mn, mn)->si;
	struct smmu_inval_tlb_request req = { .span.events = BIT(SMMU_INVAL_TLB) };
	unsigned long flags;

	req.all = !smmu_inval_range_hva(si, start, end, &req.span) ||
		  (req.span.start == 0 && req.span.last == ULONG_MAX);
	smmu_inval_count(si, event[SMMU_INVAL_TLB].callbacks, 1);
	trace_smmu_inval_begin(si, SMMU_INVAL_TLB);
	if (!req.all) {
		smmu_inval_count(si, event[SMMU_INVAL_TLB].asked,
				 smmu_inval_pages(si, req.span.start,
						  req.span.last));
		trace_smmu_inval_add(si, SMMU_INVAL_TLB, req.span.start,
				     req.span.last);
	}

	if (!smmu_inval_has_lock(si)) {
		req.node.next = NULL;
		tlb_serve(si, &req.node);
		return;
	}
	/*
	 * A full barrier, as is llist_del_all(): who finds this request flushes
	 * after the caller's change of the page tables.
	 */
	llist_add(&req.node, &si->tlb_requests);
	smmu_inval_lock(si, &flags);
	if (req.done)
		smmu_inval_count(si, combined, 1);
	else
		tlb_serve(si, llist_del_all(&si->tlb_requests));
	smmu_inval_unlock(si, flags);
}

/* The device stops using the page tables first, then it forgets them. */
static void tlb_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct smmu_inval *si = container_of(mn, struct smmu_inval_mn, mn)->si;
	unsigned long flags;

	if (si->ops->release)
		si->ops->release(si);
	smmu_inval_lock(si, &flags);
	smmu_inval_count(si, event[SMMU_INVAL_RELEASE].callbacks, 1);
	smmu_inval_pending_close(si);
	{
		CLASS(smmu_inval_batch, batch)(si);

		smmu_inval_batch_all(&batch);
	}
	smmu_inval_wake(si);
	smmu_inval_unlock(si, flags);
}

/* From any context, and for all addresses. */
bool smmu_inval_tlb_fits(const struct smmu_inval *si)
{
	switch (si->cfg.lock.kind) {
	case SMMU_INVAL_LOCKLESS:
	case SMMU_INVAL_SPINLOCK:
	case SMMU_INVAL_SPINLOCK_IRQ:
	case SMMU_INVAL_RAW_SPINLOCK:
		return smmu_inval_has_hvas(si);
	default:
		return false;
	}
}

/* For smmu_inval_mn_init() and _register(). */
const struct mmu_notifier_ops smmu_inval_tlb_ops = {
	.release = tlb_release,
	.SMMU_INVAL_TLB_OP = tlb_invalidate,
};
EXPORT_SYMBOL_GPL(smmu_inval_tlb_ops);
