// SPDX-License-Identifier: GPL-2.0-only
///
/// Intel's IOMMU on smmu_inval: a process bound to a device is a secondary TLB of
/// the library, under the lock of the cache tags. What several callbacks want
/// flushed at once goes into one batch of the invalidation queue, for each span
/// and each tag a descriptor, and is waited for once for each IOMMU.
///
/// cache_tag_flush_range() is cut in three for it, and does what it did for all
/// others.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, iommu, sva, vt-d
// Flavours: x86-7.3-iommu
// Converts: drivers/iommu/intel/svm.c 7.3
// Changes: drivers/iommu/intel/iommu.h drivers/iommu/intel/cache.c
// Changes: drivers/iommu/intel/svm.c
// Leaves-no: struct mmu_notifier|mmu_notifier_(register|put)|\.arch_invalidate
//

virtual patch

// iommu.h

@depends on patch@
@@

 #include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>

@depends on patch@
symbol notifier;
@@

 struct dmar_domain {
 	...
 	union {
 		...
 		struct {
-			struct mmu_notifier notifier;
+			struct smmu_inval si;
+			struct smmu_inval_mn smn;
 		};
 	};
 };

// cache.c: what is done for one tag, what is done for all, and the lock

@tag depends on patch@
symbol start, end, ih, iommu, tag, node, flags, cache_lock, cache_tags;
iterator name list_for_each_entry;
statement S;
@@

-void cache_tag_flush_range(struct dmar_domain *domain, unsigned long start,
-			   unsigned long end, int ih)
+void cache_tag_flush_spans(struct dmar_domain *domain,
+			   const struct smmu_inval_span *spans, unsigned int nr,
+			   int ih)
 {
 	struct intel_iommu *iommu = NULL;
 	...
 	struct cache_tag *tag;
-	unsigned long flags;
+	unsigned int i;
 	...
-	spin_lock_irqsave(&domain->cache_lock, flags);
+	lockdep_assert_held(&domain->cache_lock);
 	list_for_each_entry(tag, &domain->cache_tags, node) {
 		if (iommu && iommu != tag->iommu)
 			qi_batch_flush_descs(iommu, domain->qi_batch);
 		iommu = tag->iommu;
-		S
-		trace_cache_tag_flush_range(tag, start, end, addr, mask);
+		for (i = 0; i < nr; i++)
+			cache_tag_flush_one(domain, tag, spans[i].start,
+					    spans[i].last, ih);
 	}
 	qi_batch_flush_descs(iommu, domain->qi_batch);
-	spin_unlock_irqrestore(&domain->cache_lock, flags);
 }

// One by one, since they are declared in one line

@depends on tag@
symbol addr, mask;
@@

 cache_tag_flush_spans(...)
 {
 	...
-	unsigned long addr;
 	...
-	addr = calculate_psi_aligned_address(start, end, &mask);
 	...
 }

@depends on tag@
symbol mask;
@@

 cache_tag_flush_spans(...)
 {
 	...
-	unsigned long mask;
 	...
 }

@depends on tag@
statement tag.S;
@@

+static void cache_tag_flush_one(struct dmar_domain *domain,
+				struct cache_tag *tag, unsigned long start,
+				unsigned long end, int ih)
+{
+	unsigned long addr;
+	unsigned long mask;
+
+	addr = calculate_psi_aligned_address(start, end, &mask);
+	S
+	trace_cache_tag_flush_range(tag, start, end, addr, mask);
+}
+
 cache_tag_flush_spans(...)
 {
 	...
 }

@depends on tag@
@@

+void cache_tag_flush_range(struct dmar_domain *domain, unsigned long start,
+			   unsigned long end, int ih)
+{
+	const struct smmu_inval_span span = { .start = start, .last = end };
+
+	guard(spinlock_irqsave)(&domain->cache_lock);
+	cache_tag_flush_spans(domain, &span, 1, ih);
+}
+
 cache_tag_flush_all(...)
 {
 	...
 }

// A prototype follows its function when that is renamed, so this comes last.

@depends on patch@
symbol domain;
@@

-void cache_tag_flush_all(struct dmar_domain *domain);
+void cache_tag_flush_range(struct dmar_domain *domain, unsigned long start,
+			   unsigned long end, int ih);
+void cache_tag_flush_all(struct dmar_domain *domain);

// svm.c

@depends on patch@
@@

-static void intel_arch_invalidate_secondary_tlbs(...)
-{
-	...
-}

@depends on patch@
symbol mn, mm;
@@

-intel_mm_release(struct mmu_notifier *mn, struct mm_struct *mm)
+intel_mm_release(struct smmu_inval *si)
 {
-	struct dmar_domain *domain = container_of(mn, struct dmar_domain, notifier);
+	struct dmar_domain *domain = container_of(si, struct dmar_domain, si);
 	...
 }

@depends on patch@
symbol qi_batch;
@@

-intel_mm_free_notifier(struct mmu_notifier *mn)
+intel_mm_free(struct smmu_inval *si)
 {
-	struct dmar_domain *domain = container_of(mn, struct dmar_domain, notifier);
+	struct dmar_domain *domain = container_of(si, struct dmar_domain, si);
+	smmu_inval_destroy(si);
 	kfree(domain->qi_batch);
 	...
 }

@depends on patch@
symbol intel_mmuops;
@@

-static const struct mmu_notifier_ops intel_mmuops = { ... };

@depends on patch@
@@

+static void intel_svm_flush(struct smmu_inval *si,
+			    const struct smmu_inval_flush *flush)
+{
+	struct dmar_domain *domain = container_of(si, struct dmar_domain, si);
+	const struct smmu_inval_span all = { .last = ULONG_MAX };
+
+	if (flush->all)
+		cache_tag_flush_spans(domain, &all, 1, 0);
+	else
+		cache_tag_flush_spans(domain, flush->spans, flush->nr, 0);
+}
+
+static const struct smmu_inval_ops intel_svm_ops = {
+	.flush = intel_svm_flush,
+	.release = intel_mm_release,
+	.free = intel_mm_free,
+};
+
+static struct smmu_inval_mn_class intel_svm_class;
+
+static int __init intel_svm_init(void)
+{
+	smmu_inval_mn_class_init(&intel_svm_class, &smmu_inval_tlb_ops, NULL);
+	return 0;
+}
+core_initcall(intel_svm_init);
+
+static int intel_svm_register(struct dmar_domain *domain, struct mm_struct *mm)
+{
+	const struct smmu_inval_config cfg = {
+		SMMU_INVAL_TLB_CONFIG_DEFAULTS,
+		.name = "intel_svm",
+		.lock = SMMU_INVAL_LOCK(&domain->cache_lock),
+		.late_debugfs = true,
+	};
+	int ret;
+
+	ret = smmu_inval_init(&domain->si, &intel_svm_ops, &cfg);
+	if (!ret)
+		ret = smmu_inval_mn_init(&domain->smn, &domain->si,
+					 &intel_svm_class.ops);
+	if (!ret)
+		ret = smmu_inval_mn_register(&domain->smn, mm);
+	if (ret)
+		smmu_inval_destroy(&domain->si);
+	return ret;
+}
+
 intel_iommu_sva_supported(...)
 {
 	...
 }

@depends on patch@
symbol dmar_domain;
@@

-	mmu_notifier_put(&dmar_domain->notifier);
+	smmu_inval_mn_put(&dmar_domain->smn);

@depends on patch@
symbol ret, ops;
@@

-	domain->notifier.ops = &intel_mmuops;
-	ret = mmu_notifier_register(&domain->notifier, mm);
+	ret = intel_svm_register(domain, mm);
