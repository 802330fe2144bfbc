// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on smmu_inval: write protection of arm64's stage 2. All else that an
 * invalidation may ask for, kvm_unmap_gfn_range() answers by unmapping, and
 * flushes as it goes.
 */
#include <linux/kvm_host.h>
#include <asm/kvm_pgtable.h>
#include <asm/virt.h>

/**
 * kvm_inval_wrprotect_stage2() - write-protect instead of unmapping
 * @kvm: the VM
 * @range: the GFNs, and in @range->inval what is to be done
 *
 * Stage 2 does not say which entries it changed, so all of the range is flushed:
 * by range, where the CPU can do that.
 *
 * Context: mmu_lock held for write; yields if @range->may_block.
 * Return: false if something else is to be done, or if it cannot be: nested
 * guests have translations of their own, and pKVM's are not ours.
 */
bool kvm_inval_wrprotect_stage2(struct kvm *kvm,
				const struct kvm_gfn_range *range)
{
	const struct kvm_inval_walk *walk = range->inval;
	struct kvm_s2_mmu *mmu = &kvm->arch.mmu;
	gfn_t gfn, next;

	if (!walk || walk->action != SMMU_INVAL_WRPROTECT ||
	    kvm->arch.nested_mmus_size || is_protected_kvm_enabled())
		return false;
	for (gfn = range->start; gfn < range->end; gfn = next) {
		next = min(range->end, (gfn | (PTRS_PER_PTE - 1)) + 1);
		if (kvm_pgtable_stage2_wrprotect(mmu->pgt, gfn << PAGE_SHIFT,
						 (next - gfn) << PAGE_SHIFT))
			return false;
		smmu_inval_changed(walk->batch, gfn, next - 1, walk->event);
		if (range->may_block && next < range->end &&
		    (need_resched() || rwlock_needbreak(&kvm->mmu_lock))) {
			smmu_inval_batch_flush(walk->batch);
			cond_resched_rwlock_write(&kvm->mmu_lock);
			/* The VM may have lost its page tables meanwhile. */
			if (!mmu->pgt)
				break;
		}
	}
	return true;
}
