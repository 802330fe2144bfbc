// SPDX-License-Identifier: GPL-2.0-only
///
/// Memory regions of Hyper-V's root partition on smmu_inval: an instance for each
/// movable region, under its mutex. A fault of the guest is only sent back if what it
/// maps, 2 MB at most, was invalidated, where any change in the region did that before.
/// The mutex is initialized before the notifier that takes it is inserted.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, mmu_interval_notifier, hmm_range_fault, mshv
// Flavours: x86-7.3-drivers
// Converts: drivers/hv/mshv_regions.c 7.3
// Changes: drivers/hv/mshv_root.h drivers/hv/mshv_regions.c
// Without-comment: mshv_region_interval_invalidate - 
// Leaves-no: mmu_interval_|mmu_notifier_range|mreg_mni
//

virtual patch

@depends on patch@
typedef bool;
@@

-#include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>

@depends on patch@
@@

 struct mshv_mem_region {
 	...
-	struct mmu_interval_notifier mreg_mni;
+	struct smmu_inval mreg_inval;
+	struct smmu_inval_interval mreg_interval;
 	...
 };

// Faults of the guest

@depends on patch@
symbol region;
identifier of;
@@

 struct hmm_range of = {
-	.notifier = &region->mreg_mni,
+	.notifier = smmu_inval_interval_notifier(&region->mreg_interval),
 };

@depends on patch@
symbol range, again, out, ret, pfns;
@@

 mshv_region_range_fault(...)
 {
+	struct smmu_inval_interval *ival = &region->mreg_interval;
+	struct smmu_inval_cookie cookie;
 	...
 again:
+	ret = smmu_inval_interval_wait(ival, range.start, range.end - 1);
+	if (ret)
+		goto out;
+	cookie = smmu_inval_interval_read_begin(ival);
 	ret = hmm_range_fault_unlocked_timeout(&range, 0);
 	...
-	if (mmu_interval_read_retry(range.notifier, range.notifier_seq)) {
+	if (smmu_inval_interval_read_retry(ival, cookie, range.start,
+					   range.end - 1)) {
 		mutex_unlock(&region->mreg_mutex);
-		cond_resched();
 		goto again;
 	}
 	...
 }

// Invalidations

@depends on patch@
@@

-static bool mshv_region_interval_invalidate(...)
-{
-	...
-}

@depends on patch@
symbol mshv_region_mni_ops;
@@

-static const struct mmu_interval_notifier_ops mshv_region_mni_ops = { ... };
+/*
+ * If the hypervisor keeps a mapping, the guest can reach pages that are about to be
+ * freed, and nothing here can prevent that: the next access of their new owner is
+ * likely to crash the host.
+ */
+static void mshv_region_zap(struct smmu_inval *si,
+			    struct smmu_inval_batch *batch,
+			    const struct smmu_inval_span *span)
+{
+	struct mshv_mem_region *region =
+		container_of(si, struct mshv_mem_region, mreg_inval);
+	u64 page_offset = HVPFN_DOWN(span->start - region->start_uaddr);
+	u64 page_count = HVPFN_DOWN(span->last - span->start + 1);
+	int ret;
+
+	ret = mshv_region_remap_pages(region, HV_MAP_GPA_NO_ACCESS,
+				      page_offset, page_count);
+	if (ret) {
+		WARN_ONCE(1, "cannot invalidate %#llx-%#llx: %d\n",
+			  span->start, span->last, ret);
+		return;
+	}
+	mshv_region_invalidate_pages(region, page_offset, page_count);
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
+}
+
+/* The hypervisor has flushed its TLBs when it returns from the hypercall. */
+static void mshv_region_flush(struct smmu_inval *si,
+			      const struct smmu_inval_flush *flush)
+{
+}
+
+static const struct smmu_inval_ops mshv_region_inval_ops = {
+	.zap = mshv_region_zap,
+	.flush = mshv_region_flush,
+};

@depends on patch@
@@

 mshv_region_movable_fini(...)
 {
-	mmu_interval_notifier_remove(&region->mreg_mni);
+	smmu_inval_interval_remove(&region->mreg_interval);
+	smmu_inval_destroy(&region->mreg_inval);
 }

@depends on patch@
symbol current, false, true;
@@

 mshv_region_movable_init(...)
 {
+	struct smmu_inval_config config = {
+		SMMU_INVAL_OBJECT_CONFIG_DEFAULTS,
+		.name = "mshv_region",
+		/* A hypercall may have to find memory for the hypervisor. */
+		.zap_sleeps = true,
+	};
+	u64 last = region->start_uaddr - 1 +
+		   (region->nr_pages << HV_HYP_PAGE_SHIFT);
 	int ret;
-	ret = mmu_interval_notifier_insert(&region->mreg_mni, ...,
-					   &mshv_region_mni_ops);
+	mutex_init(&region->mreg_mutex);
+	config.lock = SMMU_INVAL_LOCK(&region->mreg_mutex);
+	ret = smmu_inval_init(&region->mreg_inval, &mshv_region_inval_ops,
+			      &config);
 	if (ret)
 		return false;
-	mutex_init(&region->mreg_mutex);
+
+	ret = smmu_inval_interval_insert(&region->mreg_interval,
+					 &region->mreg_inval, current->mm,
+					 region->start_uaddr, last,
+					 MSHV_REGION_RECORDS);
+	if (ret) {
+		smmu_inval_destroy(&region->mreg_inval);
+		return false;
+	}
 	return true;
 }

@depends on patch@
@@

 #define MSHV_MAP_FAULT_IN_PAGES PTRS_PER_PMD
+/* How many invalidations a fault of the guest can tell apart. */
+#define MSHV_REGION_RECORDS				64
