// SPDX-License-Identifier: GPL-2.0-only
///
/// AMD's IOMMU on smmu_inval: a process bound to devices is a secondary TLB of the
/// library, under the domain's lock. The commands for all spans and for all devices
/// are queued first, and waited for once for each IOMMU, no longer one after
/// another for each device.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, iommu, sva, amd
// Flavours: x86-7.3-iommu
// Converts: drivers/iommu/amd/pasid.c 7.3
// Changes: drivers/iommu/amd/amd_iommu_types.h drivers/iommu/amd/amd_iommu.h
// Changes: drivers/iommu/amd/iommu.c drivers/iommu/amd/pasid.c
// Leaves-no: struct mmu_notifier|mmu_notifier_(un)?register|\.arch_invalidate
// Leaves-no: amd_iommu_dev_flush_pasid_pages
//

virtual patch

// amd_iommu_types.h

@depends on patch@
@@

 #include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>

@depends on patch@
symbol mn;
@@

 struct protection_domain {
 	...
-	struct mmu_notifier mn;
+	struct smmu_inval si;
+	struct smmu_inval_mn smn;
 	...
 };

// iommu.c: to queue and to wait are two functions

@queue depends on patch@
typedef ioasid_t, u64;
symbol dev_data, pasid, address, last, iommu;
@@

-amd_iommu_dev_flush_pasid_pages
+amd_iommu_dev_queue_pasid_pages
 (struct iommu_dev_data *dev_data, ioasid_t pasid, u64 address, u64 last)
 {
 	...
-	iommu_completion_wait(iommu);
 }

@depends on queue@
symbol U64_MAX;
@@

+/* For what amd_iommu_dev_queue_pasid_pages() has queued. */
+void amd_iommu_dev_flush_complete(struct iommu_dev_data *dev_data)
+{
+	iommu_completion_wait(get_amd_iommu_from_dev(dev_data->dev));
+}
+
 dev_flush_pasid_all(...)
 {
-	amd_iommu_dev_flush_pasid_pages(dev_data, pasid, 0, U64_MAX);
+	amd_iommu_dev_queue_pasid_pages(dev_data, pasid, 0, U64_MAX);
+	amd_iommu_dev_flush_complete(dev_data);
 }

// amd_iommu.h: the prototype of what is renamed follows by itself

@depends on patch@
symbol domain;
@@

-void amd_iommu_flush_all_caches(struct amd_iommu *iommu);
+void amd_iommu_flush_all_caches(struct amd_iommu *iommu);
+void amd_iommu_dev_flush_complete(struct iommu_dev_data *dev_data);

// pasid.c

@depends on patch@
@@

-static void sva_arch_invalidate_secondary_tlbs(...)
-{
-	...
-}

@depends on patch@
symbol mm, sva_pdom;
@@

-sva_mn_release(struct mmu_notifier *mn, struct mm_struct *mm)
+sva_mn_release(struct smmu_inval *si)
 {
 	...
-	sva_pdom = container_of(mn, struct protection_domain, mn);
+	sva_pdom = container_of(si, struct protection_domain, si);
 	...
 }

@depends on patch@
symbol sva_mn;
@@

-static const struct mmu_notifier_ops sva_mn = { ... };

@depends on patch@
iterator name for_each_pdom_dev_data;
@@

+static void sva_flush(struct smmu_inval *si,
+		      const struct smmu_inval_flush *flush)
+{
+	struct protection_domain *sva_pdom;
+	struct pdom_dev_data *pdom_dev_data;
+	unsigned int i;
+
+	sva_pdom = container_of(si, struct protection_domain, si);
+	for_each_pdom_dev_data(pdom_dev_data, sva_pdom) {
+		if (flush->all)
+			amd_iommu_dev_queue_pasid_pages(pdom_dev_data->dev_data,
+							pdom_dev_data->pasid,
+							0, U64_MAX);
+		for (i = 0; i < flush->nr; i++)
+			amd_iommu_dev_queue_pasid_pages(pdom_dev_data->dev_data,
+							pdom_dev_data->pasid,
+							flush->spans[i].start,
+							flush->spans[i].last);
+	}
+	/* The first wait for an IOMMU is for all that it was sent. */
+	for_each_pdom_dev_data(pdom_dev_data, sva_pdom)
+		amd_iommu_dev_flush_complete(pdom_dev_data->dev_data);
+}
+
+static const struct smmu_inval_ops sva_ops = {
+	.flush = sva_flush,
+	.release = sva_mn_release,
+};
+
+static int sva_register(struct protection_domain *pdom, struct mm_struct *mm)
+{
+	const struct smmu_inval_config cfg = {
+		SMMU_INVAL_TLB_CONFIG_DEFAULTS,
+		.name = "amd_sva",
+		.lock = SMMU_INVAL_LOCK(&pdom->lock),
+	};
+	int ret;
+
+	ret = smmu_inval_init(&pdom->si, &sva_ops, &cfg);
+	if (!ret)
+		ret = smmu_inval_mn_init(&pdom->smn, &pdom->si,
+					 &smmu_inval_tlb_ops);
+	if (!ret)
+		ret = smmu_inval_mn_register(&pdom->smn, mm);
+	if (ret)
+		smmu_inval_destroy(&pdom->si);
+	return ret;
+}
+
 iommu_sva_set_dev_pasid(...)
 {
 	...
 }

@depends on patch@
symbol ops;
@@

-	if (sva_pdom->mn.ops)
-		mmu_notifier_unregister(&sva_pdom->mn, domain->mm);
+	smmu_inval_mn_unregister(&sva_pdom->smn);
+	smmu_inval_destroy(&sva_pdom->si);

@depends on patch@
symbol pdom, ret;
@@

-	pdom->mn.ops = &sva_mn;
 	...
-	ret = mmu_notifier_register(&pdom->mn, mm);
+	ret = sva_register(pdom, mm);
