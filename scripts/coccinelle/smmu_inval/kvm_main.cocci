// SPDX-License-Identifier: GPL-2.0-only
///
/// KVM on smmu_inval, second part: the callbacks of the MMU notifier are the
/// library's, with drivers/examples/kvm_tdp_mmu/kvm_inval.c around them; aging
/// stays KVM's. Memory attributes open an invalidation of their own.
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: smmu_inval, kvm, mmu_notifier
// Converts: virt/kvm/kvm_main.c 6.12 7.3
// Changes: virt/kvm/kvm_main.c
// Leaves-no: mmu_invalidate_(in_progress|seq|range_start|range_end)|kvm->mmu_notifier
// Leaves-no: kvm_mmu_notifier_invalidate_range|kvm_mmu_unmap_gfn_range
// Leaves-no: kvm_mmu_invalidate_(start|begin|end|range_add)
//

virtual patch

// The old counters, and who changed them

@depends on patch@
typedef bool;
symbol kvm, start, end, range, mn;
@@

(
-void kvm_mmu_invalidate_start(struct kvm *kvm)
-{
-	...
-}
|
-void kvm_mmu_invalidate_begin(struct kvm *kvm)
-{
-	...
-}
)

@depends on patch@
@@

-void kvm_mmu_invalidate_range_add(...)
-{
-	...
-}

@depends on patch@
@@

-void kvm_mmu_invalidate_end(...)
-{
-	...
-}

@depends on patch@
@@

-bool kvm_mmu_unmap_gfn_range(...)
-{
-	...
-}

@depends on patch@
@@

-static int kvm_mmu_notifier_invalidate_range_start(...)
-{
-	...
-}

@depends on patch@
@@

-static void kvm_mmu_notifier_invalidate_range_end(...)
-{
-	...
-}

@depends on patch@
@@

-static void kvm_mmu_notifier_release(...)
-{
-	...
-}

@depends on patch@
@@

-static void kvm_flush_shadow_all(struct kvm *kvm)
-{
-	...
-}

@depends on patch@
symbol mmu_notifier;
@@

 mmu_notifier_to_kvm(...)
 {
-	return container_of(mn, struct kvm, mmu_notifier);
+	return container_of(mn, struct kvm, inval.mn.mn);
 }

@depends on patch@
@@

-static const struct mmu_notifier_ops kvm_mmu_notifier_ops
+const struct mmu_notifier_ops kvm_mmu_notifier_ops
  = {
-	.invalidate_range_start	= kvm_mmu_notifier_invalidate_range_start,
+	.invalidate_range_start	= kvm_inval_range_start,
-	.invalidate_range_end	= kvm_mmu_notifier_invalidate_range_end,
+	.invalidate_range_end	= kvm_inval_range_end,
-	.release		= kvm_mmu_notifier_release,
+	.release		= kvm_inval_release,
 };

@depends on patch@
symbol ops, kvm_mmu_notifier_ops, current, mm;
@@

-	kvm->mmu_notifier.ops = &kvm_mmu_notifier_ops;
-	return mmu_notifier_register(&kvm->mmu_notifier, current->mm);
+	return kvm_inval_register(kvm);

// The life of a VM

@depends on patch@
identifier r;
symbol ENOMEM, srcu, out_err_no_srcu;
@@

-	r = -ENOMEM;
+	r = kvm_inval_init(kvm);
+	if (r)
+		goto out_err_no_srcu;
+	r = -ENOMEM;
 	if (init_srcu_struct(&kvm->srcu))
 		goto out_err_no_srcu;

@depends on patch@
@@

+	kvm_inval_destroy(kvm);
 	kvm_arch_free_vm(kvm);

@depends on patch@
@@

 kvm_create_vm(...)
 {
 	<...
-	if (kvm->mmu_notifier.ops)
-		mmu_notifier_unregister(&kvm->mmu_notifier, current->mm);
+	kvm_inval_unregister(kvm);
 	...>
 }

@depends on patch@
@@

-	mmu_notifier_unregister(&kvm->mmu_notifier, kvm->mm);
+	kvm_inval_unregister(kvm);

@depends on patch@
symbol mn_active_invalidate_count, mmu_invalidate_in_progress;
@@

-	if (kvm->mn_active_invalidate_count)
-		kvm->mn_active_invalidate_count = 0;
-	else
-		WARN_ON(kvm->mmu_invalidate_in_progress);
+	kvm->mn_active_invalidate_count = 0;

// Memory attributes

@depends on patch@
@@

-	kvm_mmu_invalidate_range_add(kvm, range->start, range->end);
+	kvm_mmu_invalidate_add(kvm, kvm->inval.attrs, range->start, range->end);

@depends on patch@
identifier pre_set;
@@

 struct kvm_mmu_notifier_range pre_set = {
-	.on_lock = \(kvm_mmu_invalidate_start\|kvm_mmu_invalidate_begin\),
+	.on_lock = kvm_inval_attrs_start,
 };

@depends on patch@
identifier post_set;
@@

 struct kvm_mmu_notifier_range post_set = {
-	.on_lock = kvm_mmu_invalidate_end,
+	.on_lock = kvm_inval_attrs_end,
 };

// kvm_gfn_range on the stack: no field may be left undefined

@depends on patch@
identifier gfn_range;
@@

-	struct kvm_gfn_range gfn_range;
+	struct kvm_gfn_range gfn_range = {};
