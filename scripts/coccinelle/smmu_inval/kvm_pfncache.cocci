// SPDX-License-Identifier: GPL-2.0-only
///
/// KVM on smmu_inval, fourth part: gfn_to_pfn_caches. They are found by user
/// address, and have an instance of their own under mn_invalidate_lock; a
/// refresh starts again only if its own page was invalidated. That lock is
/// taken outside of the cache's, as the callback does.
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: smmu_inval, kvm, gfn_to_pfn_cache
// Changes: virt/kvm/pfncache.c
// Leaves-no: mn_active_invalidate_count|(gpc|mmu)_invalidate_seq|mmu_notifier_retry_cache
//

virtual patch

@depends on patch@
typedef bool;
@@

-static inline bool mmu_notifier_retry_cache(...)
-{
-	...
-}

@retry depends on patch@
identifier seq;
typedef u64;
symbol gpc, lock, valid, kvm, uhva, new_pfn, hva_to_pfn, kfp;
@@

 hva_to_pfn_retry(...)
 {
 	...
-	unsigned long seq;
+	struct kvm *kvm = gpc->kvm;
+	u64 seq;
+	bool retry;
 	...
 }

@depends on retry@
identifier retry.seq;
@@

 hva_to_pfn_retry(...)
 {
 	<...
(
-	seq = gpc->kvm->gpc_invalidate_seq;
-	smp_rmb();
+	seq = smmu_inval_read_begin(&kvm->inval.gpc);
|
-	seq = gpc->kvm->mmu_invalidate_seq;
-	smp_rmb();
+	seq = smmu_inval_read_begin(&kvm->inval.gpc);
)
 	...>
 }

@depends on retry@
@@

 hva_to_pfn_retry(...)
 {
 	<...
+	/* The VMM is gone: it would start again for ever. */
+	if (smmu_inval_is_dead(&kvm->inval.gpc))
+		goto out_error;
+
 	new_pfn = hva_to_pfn(...);
 	...>
 }

@depends on retry@
identifier retry.seq;
@@

 hva_to_pfn_retry(...)
 {
 	<...
+	spin_lock(&kvm->mn_invalidate_lock);
 	write_lock_irq(&gpc->lock);
+	retry = smmu_inval_read_retry(&kvm->inval.gpc, seq, gpc->uhva,
+				      gpc->uhva);
+	spin_unlock(&kvm->mn_invalidate_lock);
 	WARN_ON_ONCE(gpc->valid);
 	...>
 }

@depends on retry@
identifier retry.seq;
@@

-	mmu_notifier_retry_cache(gpc->kvm, seq)
+	retry
