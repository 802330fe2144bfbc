/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The differences between kernels and architectures that the software IOMMU meets.
 * No other file of it tests a kernel version or an architecture.
 */
#ifndef _IOMMU_SVA_COMPAT_H
#define _IOMMU_SVA_COMPAT_H

#include <linux/iommu.h>
#include <linux/pgtable.h>
#include <linux/version.h>

/*
 * The bits of an entry that hardware looks at and sets, in leaves of any level and,
 * but for writing, in entries that lead to another table.
 */
#define SVA_PTE_USER		(_PAGE_PRESENT | _PAGE_USER)
#define SVA_PTE_WRITE		_PAGE_RW
#define SVA_PTE_ACCESSED	_PAGE_ACCESSED
#define SVA_PTE_DIRTY		_PAGE_DIRTY
/*
 * UML, which is for tests without an IOMMU core, has none in tables; and those that it
 * folds look present when they are not.
 */
#define SVA_TABLE_ACCESSED	(IS_ENABLED(CONFIG_UML) ? 0 : _PAGE_ACCESSED)

/* Huge pages of the middle levels; not everything is defined without. */
static inline bool sva_pud_leaf(pud_t pud)
{
#if defined(CONFIG_TRANSPARENT_HUGEPAGE) || defined(CONFIG_HUGETLB_PAGE)
	return pud_leaf(pud);
#else
	return false;
#endif
}

static inline bool sva_pmd_leaf(pmd_t pmd)
{
#if defined(CONFIG_TRANSPARENT_HUGEPAGE) || defined(CONFIG_HUGETLB_PAGE)
	return pmd_leaf(pmd);
#else
	return false;
#endif
}

#ifdef CONFIG_IOMMU_IOPF
/* attach_dev is told the old domain in 7.x. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define SVA_ATTACH_DEV(name)						\
	int name(struct iommu_domain *domain, struct device *dev,	\
		 struct iommu_domain *old)
/* A PASID is detached by the blocked domain. */
#define SVA_BLOCKED_PASID	1
#else
#define SVA_ATTACH_DEV(name)						\
	int name(struct iommu_domain *domain, struct device *dev)
#define SVA_BLOCKED_PASID	0
#endif
#endif

#endif /* _IOMMU_SVA_COMPAT_H */
