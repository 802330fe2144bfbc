// SPDX-License-Identifier: GPL-2.0-only
///
/// KVM on smmu_inval, third part: guest_memfd. What a file invalidates in a VM
/// is an invalidation of its own. Several errors in memory may be handled at
/// once, and then share it.
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: smmu_inval, kvm, guest_memfd
// Changes: virt/kvm/guest_memfd.c
// Leaves-no: kvm_mmu_invalidate_(start|begin|end)|kvm_mmu_unmap_gfn_range
//

virtual patch

@gm depends on patch@
identifier gmem_file =~ "^(gmem_file|kvm_gmem)$";
@@

 struct gmem_file {
 	struct kvm *kvm;
+	/* The invalidation that is under way, under mmu_lock. */
+	struct smmu_inval_token *inval;
+	unsigned int nr_invals;
 	...
 };

@depends on patch@
identifier f, fn;
identifier gm.gmem_file;
symbol kvm;
@@

 fn(struct gmem_file *f, ...)
 {
 	<...
(
-	kvm_mmu_invalidate_start(kvm);
+	if (!f->nr_invals++)
+		f->inval = kvm_mmu_invalidate_open(kvm);
|
-	kvm_mmu_invalidate_begin(kvm);
+	if (!f->nr_invals++)
+		f->inval = kvm_mmu_invalidate_open(kvm);
|
-	kvm_mmu_invalidate_end(kvm);
+	if (!--f->nr_invals)
+		kvm_mmu_invalidate_close(kvm, f->inval);
)
 	...>
 }

@depends on patch@
identifier f, fn;
identifier gm.gmem_file;
identifier flush, gfn_range;
@@

 fn(struct gmem_file *f, ...)
 {
 	<...
-	flush |= kvm_mmu_unmap_gfn_range(kvm, &gfn_range);
+	kvm_mmu_invalidate_add(kvm, f->inval, gfn_range.start, gfn_range.end);
+	flush |= kvm_unmap_gfn_range(kvm, &gfn_range);
 	...>
 }
