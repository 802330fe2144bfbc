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
 */
#include <trace/events/smmu_inval.h>

#include "compat.h"
#include "internal.h"

/*
 * An empty or inverted range is counted as odd, and flushes everything: a
 * caller that got its range wrong still means that something changed.
 */
static void tlb_invalidate(struct mmu_notifier *mn, struct mm_struct *mm,
			   unsigned long start, unsigned long end)
{
	struct smmu_inval *si = container_of(mn, struct smmu_inval_mn, mn)->si;
	struct smmu_inval_span span = { .events = BIT(SMMU_INVAL_TLB) };
	unsigned long flags;
	bool known;

	known = smmu_inval_range_hva(si, start, end, &span) &&
		!(span.start == 0 && span.last == ULONG_MAX);

	smmu_inval_lock(si, &flags);
	smmu_inval_count(si, event[SMMU_INVAL_TLB].callbacks, 1);
	trace_smmu_inval_begin(si, SMMU_INVAL_TLB);
	{
		CLASS(smmu_inval_batch, batch)(si);

		if (known) {
			smmu_inval_count(si, event[SMMU_INVAL_TLB].asked,
					 smmu_inval_pages(si, span.start,
							  span.last));
			trace_smmu_inval_add(si, SMMU_INVAL_TLB, span.start,
					     span.last);
			smmu_inval_changed(&batch, span.start, span.last,
					   SMMU_INVAL_TLB);
		} else {
			smmu_inval_batch_all(&batch);
		}
	}
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

/* For smmu_inval_mn_init() and _register(). */
const struct mmu_notifier_ops smmu_inval_tlb_ops = {
	.release = tlb_release,
	.SMMU_INVAL_TLB_OP = tlb_invalidate,
};
EXPORT_SYMBOL_GPL(smmu_inval_tlb_ops);
