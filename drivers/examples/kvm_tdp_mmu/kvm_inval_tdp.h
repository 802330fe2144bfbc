/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM on smmu_inval: the TDP MMU's walk. Included by the converted
 * arch/x86/kvm/mmu/tdp_mmu.c, whose static functions it needs, in front of
 * kvm_tdp_mmu_unmap_gfn_range().
 */
#include "kvm_inval_compat.h"

/*
 * What becomes of a leaf SPTE.
 *
 * Write protection has to be complete: nobody may make the SPTE writable again
 * without going through the primary MMU, so MMU-writable goes as well. Dirty
 * logging, which clears W only, may have left a writable TLB entry behind.
 * Host-writable tells KVM where the page came from, and stays.
 */
static u64 kvm_inval_new_spte(const struct kvm_gfn_range *range,
			      const struct tdp_iter *iter)
{
	const u64 writable = PT_WRITABLE_MASK | shadow_mmu_writable_mask;
	const struct kvm_inval_walk *walk = range->inval;
	enum smmu_inval_action action = walk->action;
	u64 spte = iter->old_spte;
	u64 hva, size;

	if (action == SMMU_INVAL_DECIDE) {
		hva = __gfn_to_hva_memslot(range->slot, iter->gfn);
		size = (u64)KVM_PAGES_PER_HPAGE(iter->level) << PAGE_SHIFT;
		action = smmu_inval_verdict(walk->look, hva, hva + size - 1,
					    spte_to_pfn(spte), spte & writable);
	}
	switch (action) {
	case SMMU_INVAL_KEEP:
		return spte;
	case SMMU_INVAL_WRPROTECT:
		if (!(spte & writable))
			return spte;
		return spte & ~(writable | KVM_INVAL_DIRTY_MASK);
	default:
		return SHADOW_NONPRESENT_VALUE;
	}
}

/* mmu_lock is held for write, so that nobody but a vCPU changes the SPTE. */
static void tdp_mmu_inval_leafs(struct kvm *kvm, struct kvm_mmu_page *root,
				const struct kvm_gfn_range *range)
{
	const struct kvm_inval_walk *walk = range->inval;
	gfn_t end = min(range->end, tdp_mmu_max_gfn_exclusive());
	struct tdp_iter iter;
	u64 new_spte;

	lockdep_assert_held_write(&kvm->mmu_lock);
	rcu_read_lock();
	kvm_inval_for_each_pte(iter, kvm, root, range->start, end) {
		if (range->may_block && tdp_mmu_iter_need_resched(kvm, &iter)) {
			smmu_inval_batch_flush(walk->batch);
			if (tdp_mmu_iter_cond_resched(kvm, &iter, false, false))
				continue;
		}
		if (!is_shadow_present_pte(iter.old_spte) ||
		    !is_last_spte(iter.old_spte, iter.level))
			continue;
		new_spte = kvm_inval_new_spte(range, &iter);
		if (new_spte == iter.old_spte)
			continue;
		tdp_mmu_iter_set_spte(kvm, &iter, new_spte);
		/* vCPUs flush when they leave an invalid root. */
		if (!root->role.invalid)
			smmu_inval_changed(walk->batch, iter.gfn, iter.gfn +
					   KVM_PAGES_PER_HPAGE(iter.level) - 1,
					   walk->event);
	}
	rcu_read_unlock();
}
