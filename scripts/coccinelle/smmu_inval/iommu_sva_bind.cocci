// SPDX-License-Identifier: GPL-2.0-only
///
/// Linux 6.12 binds no process to a device on x86: nobody told the IOMMU when
/// the kernel freed page-table pages of its own, which the CPU's page tables
/// that it walks lead to as well. Later kernels do. Without the check a
/// software IOMMU can be tried there that refuses addresses of the kernel
/// before it walks anything. Not for a kernel that drives a real IOMMU.
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: smmu_inval, iommu, sva
// Changes: drivers/iommu/iommu-sva.c
// Leaves-no: IS_ENABLED\(CONFIG_X86\)
//

virtual patch

@depends on patch@
symbol CONFIG_X86, EOPNOTSUPP;
@@

 iommu_sva_bind_device(...)
 {
 	...
-	if (IS_ENABLED(CONFIG_X86))
-		return ERR_PTR(-EOPNOTSUPP);
 	...
 }
