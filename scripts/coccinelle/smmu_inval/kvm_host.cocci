// SPDX-License-Identifier: GPL-2.0-only
///
/// KVM on smmu_inval, first part: what a VM has of it, and what asks whether a
/// fault has to start again. The functions that ask keep their names, so that
/// their callers stay as they are; what they ask is now exact for a GFN.
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: smmu_inval, kvm, mmu_notifier
// Changes: include/linux/kvm_host.h
// Leaves-no: mmu_invalidate_in_progress|mmu_invalidate_range_(start|end)|gpc_invalidate_seq
// Leaves-no: struct mmu_notifier mmu_notifier
//

virtual patch

@depends on patch@
typedef bool;
symbol kvm, start, end, range, gfn, mmu_seq;
@@

 #include <linux/mmu_notifier.h>
+#include <linux/kvm_inval.h>

@depends on patch@
@@

 struct kvm_gfn_range {
 	...
 	bool may_block;
+	/* In the callbacks of the MMU notifier: what to do, else NULL. */
+	const struct kvm_inval_walk *inval;
 	...
 };

@depends on patch@
typedef gfn_t;
@@

 struct kvm {
 	...
-	struct mmu_notifier mmu_notifier;
-	unsigned long mmu_invalidate_seq;
-	long mmu_invalidate_in_progress;
-	gfn_t mmu_invalidate_range_start;
-	gfn_t mmu_invalidate_range_end;
 	...
 };

@depends on patch@
@@

 struct kvm {
 	...
-	unsigned long gpc_invalidate_seq;
 	...
 };

@depends on patch@
@@

 struct kvm {
 	...
 	struct list_head devices;
+	struct kvm_inval inval;
 	...
 };

@depends on patch@
@@

(
-void kvm_mmu_invalidate_start(struct kvm *kvm);
|
-void kvm_mmu_invalidate_begin(struct kvm *kvm);
)

@depends on patch@
@@

-void kvm_mmu_invalidate_range_add(struct kvm *kvm, gfn_t start, gfn_t end);

@depends on patch@
@@

-void kvm_mmu_invalidate_end(struct kvm *kvm);

@depends on patch@
@@

-bool kvm_mmu_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);

// What asks

@depends on patch@
@@

-static inline int mmu_invalidate_retry(...)
-{
-	...
-}

@depends on patch@
@@

-static inline int mmu_invalidate_retry_gfn(...)
-{
-	...
-}

@depends on patch@
@@

-static inline bool mmu_invalidate_retry_gfn_unsafe(...)
-{
-	...
-}

@depends on patch@
typedef u64;
@@

 extern const struct kvm_stats_header kvm_vm_stats_header;
+
+static inline u64 mmu_invalidate_read_begin(struct kvm *kvm)
+{
+	return smmu_inval_read_begin(&kvm->inval.si);
+}
+
+/* Is an invalidation of one of the GFNs [start, end) under way? */
+static inline bool mmu_invalidate_is_pending(struct kvm *kvm, gfn_t start,
+					     gfn_t end)
+{
+	return smmu_inval_is_pending(&kvm->inval.si, start, end - 1);
+}
+
+/* For those that do not say what they install. */
+static inline int mmu_invalidate_retry(struct kvm *kvm, u64 mmu_seq)
+{
+	return smmu_inval_read_retry(&kvm->inval.si, mmu_seq, 0, U64_MAX);
+}
+
+/* GFNs [start, end): all that the fault installs. */
+static inline int mmu_invalidate_retry_range(struct kvm *kvm, u64 mmu_seq,
+					     gfn_t start, gfn_t end)
+{
+	return smmu_inval_read_retry(&kvm->inval.si, mmu_seq, start, end - 1);
+}
+
+static inline int mmu_invalidate_retry_gfn(struct kvm *kvm, u64 mmu_seq,
+					   gfn_t gfn)
+{
+	return mmu_invalidate_retry_range(kvm, mmu_seq, gfn, gfn + 1);
+}
+
+static inline bool mmu_invalidate_retry_gfn_unsafe(struct kvm *kvm,
+						   u64 mmu_seq, gfn_t gfn)
+{
+	return smmu_inval_retry_hint(&kvm->inval.si, mmu_seq, gfn, gfn);
+}
