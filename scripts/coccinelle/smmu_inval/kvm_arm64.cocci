// SPDX-License-Identifier: GPL-2.0-only
///
/// KVM on smmu_inval, arm64: fork and writeback write-protect stage 2 and leave
/// the rest mapped, with a range flush. Compiled only: there is no arm64 here to
/// run it on.
///
/// Faults of user memory go on to start again after any invalidation, as before:
/// what they will map, up to a block, is not known yet where they ask.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, kvm, mmu_notifier, stage 2
// Changes: arch/arm64/kvm/mmu.c
// May-change: arch/arm64/kvm/nested.c
// Leaves-no: mmu_invalidate_in_progress|->mmu_invalidate_seq
//

virtual patch

@depends on patch@
expression seq, k;
typedef bool;
iterator name scoped_guard;
@@

-	seq = k->mmu_invalidate_seq;
-	smp_rmb();
+	seq = mmu_invalidate_read_begin(k);

// Or with an unlock behind it, for the same

@depends on patch@
expression seq, k;
@@

-	seq = k->mmu_invalidate_seq;
+	seq = mmu_invalidate_read_begin(k);

// A guest's own invalidation of its stage 1, which may be translated right now

@depends on patch@
expression k;
@@

-	k->mmu_invalidate_seq++;
-	smp_wmb();
+	smmu_inval_completed(&k->inval.si, 0, U64_MAX);

@depends on patch@
symbol kvm, range, false;
@@

 bool kvm_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
 {
 	if (...)
 		return false;
+	if (kvm_inval_wrprotect_stage2(kvm, range))
+		return false;
 	...
 }
