// SPDX-License-Identifier: GPL-2.0-only
///
/// Arm's SMMUv3 on smmu_inval: a process bound to devices is a secondary TLB of the
/// library. Its invalidations take no lock of the domain, and the command queue
/// takes what several CPUs have at once, so that the library takes none, either:
/// the commands stay as they are, each callback's own. What the library gives is
/// the rest: the end of the binding, checks, statistics and traces.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, iommu, sva, smmu
// Flavours: arm64-6.12 arm64-7.3
// Converts: drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-sva.c 6.12 7.3
// Changes: drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h
// Changes: drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c
// Changes: drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-sva.c
// Leaves-no: struct mmu_notifier|mmu_notifier_(register|put|synchronize)|\.arch_invalidate
//

virtual patch

// arm-smmu-v3.h

@depends on patch@
@@

 #include <linux/mmzone.h>
+#include <linux/smmu_inval.h>

@depends on patch@
symbol mmu_notifier;
@@

 struct arm_smmu_domain {
 	...
-	struct mmu_notifier mmu_notifier;
+	struct smmu_inval si;
+	struct smmu_inval_mn smn;
 	...
 };

@depends on patch@
@@

-void arm_smmu_sva_notifier_synchronize(void);
+void arm_smmu_sva_init(void);
+void arm_smmu_sva_notifier_synchronize(void);

@depends on patch@
@@

+static inline void arm_smmu_sva_init(void) {}
 static inline void arm_smmu_sva_notifier_synchronize(void) {}

// arm-smmu-v3.c

@depends on patch@
symbol drv;
@@

+static int arm_smmu_driver_register(struct platform_driver *drv)
+{
+	arm_smmu_sva_init();
+	return platform_driver_register(drv);
+}
+
 static void arm_smmu_driver_unregister(struct platform_driver *drv)
 {
 	...
 }

@depends on patch@
declarer name module_driver;
symbol arm_smmu_driver, platform_driver_register, arm_smmu_driver_unregister;
@@

-module_driver(arm_smmu_driver, platform_driver_register, arm_smmu_driver_unregister);
+module_driver(arm_smmu_driver, arm_smmu_driver_register, arm_smmu_driver_unregister);

// arm-smmu-v3-sva.c

@depends on patch@
symbol mn, mm, start, end, smmu_domain;
@@

-arm_smmu_mm_arch_invalidate_secondary_tlbs(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start, unsigned long end)
+arm_smmu_sva_inv_range(struct arm_smmu_domain *smmu_domain, unsigned long start, unsigned long end)
 {
-	struct arm_smmu_domain *smmu_domain = container_of(mn, struct arm_smmu_domain, mmu_notifier);
 	...
 }

// The library has everything flushed after it

@depends on patch@
@@

-arm_smmu_mm_release(struct mmu_notifier *mn, struct mm_struct *mm)
+arm_smmu_mm_release(struct smmu_inval *si)
 {
-	struct arm_smmu_domain *smmu_domain = container_of(mn, struct arm_smmu_domain, mmu_notifier);
+	struct arm_smmu_domain *smmu_domain = container_of(si, struct arm_smmu_domain, si);
 	...
(
-	arm_smmu_domain_inv(smmu_domain);
|
-	arm_smmu_tlb_inv_asid(smmu_domain->smmu, smmu_domain->cd.asid);
-	arm_smmu_atc_inv_domain(smmu_domain, 0, 0);
)
 }

@depends on patch@
expression E;
@@

-arm_smmu_mmu_notifier_free(struct mmu_notifier *mn)
+arm_smmu_sva_free(struct smmu_inval *si)
 {
+	smmu_inval_destroy(si);
(
-	arm_smmu_domain_free(E);
+	arm_smmu_domain_free(container_of(si, struct arm_smmu_domain, si));
|
-	kfree(E);
+	kfree(container_of(si, struct arm_smmu_domain, si));
)
 }

@depends on patch@
symbol arm_smmu_mmu_notifier_ops;
@@

-static const struct mmu_notifier_ops arm_smmu_mmu_notifier_ops = { ... };

// In front of the function that is more than a stub

@depends on patch@
symbol oas;
@@

+static void arm_smmu_sva_flush(struct smmu_inval *si,
+			       const struct smmu_inval_flush *flush)
+{
+	struct arm_smmu_domain *smmu_domain =
+		container_of(si, struct arm_smmu_domain, si);
+	unsigned int i;
+
+	if (flush->all)
+		arm_smmu_sva_inv_range(smmu_domain, 0, ULONG_MAX);
+	for (i = 0; i < flush->nr; i++)
+		arm_smmu_sva_inv_range(smmu_domain, flush->spans[i].start,
+				       flush->spans[i].last + 1);
+}
+
+static const struct smmu_inval_ops arm_smmu_sva_ops = {
+	.flush = arm_smmu_sva_flush,
+	.release = arm_smmu_mm_release,
+	.free = arm_smmu_sva_free,
+};
+
+static struct smmu_inval_mn_class arm_smmu_sva_class;
+
+void arm_smmu_sva_init(void)
+{
+	smmu_inval_mn_class_init(&arm_smmu_sva_class, &smmu_inval_tlb_ops, NULL);
+}
+
+static int arm_smmu_sva_register(struct arm_smmu_domain *smmu_domain,
+				 struct mm_struct *mm)
+{
+	const struct smmu_inval_config cfg = {
+		SMMU_INVAL_TLB_CONFIG_DEFAULTS,
+		.name = "arm_smmu_sva",
+		.lock.kind = SMMU_INVAL_LOCKLESS,
+		.late_debugfs = true,
+	};
+	int ret;
+
+	ret = smmu_inval_init(&smmu_domain->si, &arm_smmu_sva_ops, &cfg);
+	if (!ret)
+		ret = smmu_inval_mn_init(&smmu_domain->smn, &smmu_domain->si,
+					 &arm_smmu_sva_class.ops);
+	if (!ret)
+		ret = smmu_inval_mn_register(&smmu_domain->smn, mm);
+	if (ret)
+		smmu_inval_destroy(&smmu_domain->si);
+	return ret;
+}
+
 arm_smmu_sva_supported(...)
 {
 	...
 	unsigned long oas;
 	...
 }

@depends on patch@
@@

-	mmu_notifier_synchronize();
+	smmu_inval_mn_synchronize(&arm_smmu_sva_class);

@depends on patch@
@@

-	mmu_notifier_put(&smmu_domain->mmu_notifier);
+	smmu_inval_mn_put(&smmu_domain->smn);

@depends on patch@
symbol ops, ret;
@@

-	smmu_domain->mmu_notifier.ops = &arm_smmu_mmu_notifier_ops;
-	ret = mmu_notifier_register(&smmu_domain->mmu_notifier, mm);
+	ret = arm_smmu_sva_register(smmu_domain, mm);
