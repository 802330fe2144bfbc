// SPDX-License-Identifier: GPL-2.0-only
///
/// OpenCAPI links on smmu_inval: a process bound to a link whose TLB the kernel
/// invalidates itself is a secondary TLB of the library, under the link's lock. One
/// command now invalidates all of a process, where a loop sent one for each page of
/// the address space; and a process that cannot be followed gets no context.
///
// Confidence: Moderate
// Options: --no-includes
// Keywords: smmu_inval, ocxl, secondary TLB
// Flavours: powerpc-7.3-drivers
// Converts: drivers/misc/ocxl/link.c 7.3
// Changes: drivers/misc/ocxl/link.c
// Leaves-no: struct mmu_notifier|mmu_notifier_(un)?register|\.arch_invalidate
// Leaves-no: xsl_fault\.pe_data = 
//

virtual patch

@depends on patch@
@@

 #include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>

@depends on patch@
symbol mmu_notifier;
@@

 struct pe_data {
 	...
-	struct mmu_notifier mmu_notifier;
+	struct smmu_inval si;
+	struct smmu_inval_mn smn;
 };

// The bottom half of a fault needs three members, and no copy of an instance.

@depends on patch@
symbol spa, xsl_fault, pe_data, mm, xsl_err_cb, xsl_err_data;
@@

-	spa->xsl_fault.pe_data = *pe_data;
+	spa->xsl_fault.pe_data.mm = pe_data->mm;
+	spa->xsl_fault.pe_data.xsl_err_cb = pe_data->xsl_err_cb;
+	spa->xsl_fault.pe_data.xsl_err_data = pe_data->xsl_err_data;

@depends on patch@
@@

-static void arch_invalidate_secondary_tlbs(...)
-{
-	...
-}

@depends on patch@
@@

-static const struct mmu_notifier_ops ocxl_mmu_notifier_ops = { ... };

@depends on patch@
symbol link, arva, ocxl_mmu_notifier_ops;
@@

+static void ocxl_flush(struct smmu_inval *si,
+		       const struct smmu_inval_flush *flush)
+{
+	struct pe_data *pe_data = container_of(si, struct pe_data, si);
+	struct ocxl_link *link = pe_data->link;
+	unsigned long pid = pe_data->mm->context.id;
+	unsigned int i;
+	u64 addr;
+
+	if (flush->all) {
+		trace_ocxl_mmu_notifier_range(0, ULONG_MAX, pid);
+		pnv_ocxl_tlb_invalidate(link->arva, pid, 0ull, PAGE_SIZE);
+		return;
+	}
+	for (i = 0; i < flush->nr; i++) {
+		const struct smmu_inval_span *span = &flush->spans[i];
+
+		trace_ocxl_mmu_notifier_range(span->start, span->last + 1, pid);
+		for (addr = span->start; addr < span->last; addr += PAGE_SIZE)
+			pnv_ocxl_tlb_invalidate(link->arva, pid, addr,
+						PAGE_SIZE);
+	}
+}
+
+static const struct smmu_inval_ops ocxl_ops = {
+	.flush = ocxl_flush,
+};
+
+static int ocxl_follow_mm(struct pe_data *pe_data)
+{
+	const struct smmu_inval_config cfg = {
+		SMMU_INVAL_TLB_CONFIG_DEFAULTS,
+		.name = "ocxl",
+		.lock = SMMU_INVAL_LOCK(&pe_data->link->atsd_lock),
+	};
+	int rc;
+
+	rc = smmu_inval_init(&pe_data->si, &ocxl_ops, &cfg);
+	if (rc)
+		return rc;
+	rc = smmu_inval_mn_init(&pe_data->smn, &pe_data->si,
+				&smmu_inval_tlb_ops);
+	if (!rc)
+		rc = smmu_inval_mn_register(&pe_data->smn, pe_data->mm);
+	if (rc)
+		smmu_inval_destroy(&pe_data->si);
+	return rc;
+}
+
 calculate_cfg_state(...)
 {
 	...
 }

@depends on patch@
symbol ops;
@@

-	pe_data->mmu_notifier.ops = &ocxl_mmu_notifier_ops;

@depends on patch@
symbol pe, rc;
@@

-	mmu_notifier_register(&pe_data->mmu_notifier, mm);
+	rc = ocxl_follow_mm(pe_data);
+	if (rc) {
+		mm_context_remove_copro(mm);
+		memset(pe, 0, sizeof(*pe));
+		kfree(pe_data);
+		goto unlock;
+	}

// What is in the cache may have got there since the process was gone: the
// invalidation after it stays.

@depends on patch@
@@

-	mmu_notifier_unregister(&pe_data->mmu_notifier, pe_data->mm);
+	smmu_inval_mn_unregister(&pe_data->smn);
+	smmu_inval_destroy(&pe_data->si);
