// SPDX-License-Identifier: GPL-2.0-only
///
/// KVM on smmu_inval, x86: kvm_unmap_gfn_range() does what the invalidation asks
/// for, and says what it changed; faults wait for what is in their way, and
/// install nothing else into what is pending: no huge page, no neighbours.
///
/// Shadow pages (rmaps) are zapped whatever the event is. SEV and the APIC page
/// keep what they have: both ask mmu_invalidate_retry_gfn().
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: smmu_inval, kvm, mmu_notifier
// Changes: arch/x86/kvm/mmu/mmu.c arch/x86/kvm/mmu/tdp_mmu.c
// Changes: arch/x86/kvm/vmx/vmx.c
// May-change: arch/x86/kvm/svm/sev.c
// Leaves-no: mmu_invalidate_in_progress|->mmu_invalidate_seq
// Leaves-no: kvm_mmu_invalidate_(start|begin|end|range_add)
//

virtual patch

// Readers of the sequence: with acquire, which is what smp_rmb() was for

@depends on patch@
expression seq, k;
typedef bool;
@@

-	seq = k->mmu_invalidate_seq;
-	smp_rmb();
+	seq = mmu_invalidate_read_begin(k);

// The fault

@depends on patch@
symbol vcpu, fault, gfn, mmu_seq, kvm;
expression seq, k;
@@

 \(kvm_mmu_faultin_pfn\|kvm_faultin_pfn\)(...)
 {
 	<...
+	kvm_inval_wait(vcpu->kvm, fault->gfn);
 	seq = mmu_invalidate_read_begin(k);
 	...>
 }

@depends on patch@
expression host_level, max_level;
@@

 \(kvm_mmu_max_mapping_level\|__kvm_mmu_max_mapping_level\)(...)
 {
 	<...
-	return min(host_level, max_level);
+	return kvm_inval_max_level(kvm, gfn, min(host_level, max_level));
 	...>
 }

// Neighbours, of shadow pages only: not while anything is pending. spatch does
// not parse paging_tmpl.h, which has the same: scripts/build-kvm edits it.

@depends on patch@
expression k;
@@

-	if (unlikely(k->mmu_invalidate_in_progress))
+	if (unlikely(mmu_invalidate_is_pending(k, 0, U64_MAX)))
 		return;

// Invalidations

@depends on patch@
symbol range, slots_lock, flush, start, end, may_block, slot;
@@

 kvm_unmap_gfn_range(...)
 {
 	<...
-	kvm->mmu_invalidate_in_progress
+	mmu_invalidate_is_pending(kvm, range->start, range->end)
 	...>
 }

@depends on patch@
statement S;
@@

 kvm_unmap_gfn_range(...)
 {
 	<...
+	/* That walk may yield, and knows nothing of the batch. */
+	if (range->inval && kvm_memslots_have_rmaps(kvm))
+		smmu_inval_batch_flush(range->inval->batch);
 	if (kvm_memslots_have_rmaps(kvm))
 		S
 	...>
 }

@zap_range depends on patch@
symbol gfn_start, gfn_end;
@@

 kvm_zap_gfn_range(...)
 {
+	struct smmu_inval_token *inval;
 	bool flush;
 	...
(
-	kvm_mmu_invalidate_start(kvm);
+	inval = kvm_mmu_invalidate_open(kvm);
|
-	kvm_mmu_invalidate_begin(kvm);
+	inval = kvm_mmu_invalidate_open(kvm);
)
-	kvm_mmu_invalidate_range_add(kvm, gfn_start, gfn_end);
+	kvm_mmu_invalidate_add(kvm, inval, gfn_start, gfn_end);
 	...
-	kvm_mmu_invalidate_end(kvm);
+	kvm_mmu_invalidate_close(kvm, inval);
 	...
 }

@depends on patch@
expression first, last;
@@

 kvm_arch_pre_set_memory_attributes(...)
 {
 	<...
-	kvm_mmu_invalidate_range_add(kvm, first, last);
+	kvm_mmu_invalidate_add(kvm, kvm->inval.attrs, first, last);
 	...>
 }

// The TDP MMU

@depends on patch@
symbol root, types, as_id;
@@

+#include "kvm_inval_tdp.h"
+
 bool kvm_tdp_mmu_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range,
 				 bool flush)
 {
 	...
 }

@depends on patch@
@@

 kvm_tdp_mmu_unmap_gfn_range(...)
 {
 	<...
-	flush = tdp_mmu_zap_leafs(kvm, root, range->start, range->end,
-				  range->may_block, flush);
+	if (range->inval)
+		tdp_mmu_inval_leafs(kvm, root, range);
+	else
+		flush = tdp_mmu_zap_leafs(kvm, root, range->start, range->end,
+					  range->may_block, flush);
 	...>
 }

// In debug kernels: what is installed, is it pending?

@depends on patch@
symbol iter, new_spte, old_spte, level;
statement S1, S2;
@@

 tdp_mmu_map_handle_target_level(...)
 {
 	<...
+	if (fault->slot)
+		smmu_inval_assert_may_install(&vcpu->kvm->inval.si, iter->gfn,
+			iter->gfn + KVM_PAGES_PER_HPAGE(iter->level) - 1);
 	if (new_spte == iter->old_spte) S1 else S2
 	...>
 }

@depends on patch@
symbol huge_spte;
statement S;
@@

 recover_huge_pages_range(...)
 {
 	<...
+	smmu_inval_assert_may_install(&kvm->inval.si, iter.gfn,
+			iter.gfn + KVM_PAGES_PER_HPAGE(iter.level) - 1);
 	if (tdp_mmu_set_spte_atomic(kvm, &iter, huge_spte))
 		S
 	...>
 }
