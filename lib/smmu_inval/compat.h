/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The differences between Linux 6.1, 6.12 and 7.3, and between architectures.
 * No other file tests a kernel version.
 */
#ifndef _SMMU_INVAL_COMPAT_H
#define _SMMU_INVAL_COMPAT_H

#include <linux/mmu_notifier.h>
#include <linux/pgtable.h>
#include <linux/version.h>

/* Secondary TLBs: invalidate_range() until 6.5. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define SMMU_INVAL_TLB_OP	invalidate_range
#else
#define SMMU_INVAL_TLB_OP	arch_invalidate_secondary_tlbs
#endif

/* Interval notifiers in two passes, so that several devices flush at once. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#define SMMU_INVAL_TWO_PASS	1
typedef struct mmu_interval_notifier_finish smmu_inval_finish_t;
#else
#define SMMU_INVAL_TWO_PASS	0
typedef struct {} smmu_inval_finish_t;
#endif

/* Aging callbacks return int in 6.1 and 6.12, bool in 7.x. */
typedef typeof(((struct mmu_notifier_ops *)NULL)->test_young(NULL, NULL, 0))
	smmu_inval_young_t;

/* How many pages vmalloc() holds. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#define smmu_inval_vmalloc_pages()	global_node_page_state(NR_VMALLOC)
#else
#define smmu_inval_vmalloc_pages()	vmalloc_nr_pages()
#endif

/* KUnit gives a test an address space, where it can be asked to. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#define SMMU_INVAL_KUNIT_ATTACH_MM	1
#else
#define SMMU_INVAL_KUNIT_ATTACH_MM	0
#endif

/*
 * May user space read through a primary entry? pte_present() alone also says
 * yes to PROT_NONE, and pte_protnone(), which would tell, is constant 0 in
 * kernels without NUMA balancing: so ask for the bit that the hardware asks
 * for. Huge entries that are being split lack it too, and count as gone.
 */
#if defined(CONFIG_UML)
static inline bool smmu_inval_pte_accessible(pte_t pte)
{
	return pte_get_bits(pte, _PAGE_PRESENT);
}
#elif defined(CONFIG_X86)
/* A protection key may be what makes memory execute-only: not on the list. */
static inline bool smmu_inval_x86_accessible(unsigned long flags)
{
	return (flags & (_PAGE_PRESENT | _PAGE_USER)) ==
	       (_PAGE_PRESENT | _PAGE_USER) && !pte_flags_pkey(flags);
}

static inline bool smmu_inval_pte_accessible(pte_t pte)
{
	return smmu_inval_x86_accessible(pte_flags(pte));
}

static inline bool smmu_inval_pmd_accessible(pmd_t pmd)
{
	return smmu_inval_x86_accessible(pmd_flags(pmd));
}

static inline bool smmu_inval_pud_accessible(pud_t pud)
{
	return smmu_inval_x86_accessible(pud_flags(pud));
}
#elif defined(CONFIG_ARM64)
static inline bool smmu_inval_pte_accessible(pte_t pte)
{
	/* Execute-only is valid, and not for the user to read. */
	return (pte_val(pte) & (PTE_VALID | PTE_USER)) ==
	       (PTE_VALID | PTE_USER);
}

static inline bool smmu_inval_pmd_accessible(pmd_t pmd)
{
	return smmu_inval_pte_accessible(pmd_pte(pmd));
}

static inline bool smmu_inval_pud_accessible(pud_t pud)
{
	return smmu_inval_pte_accessible(pud_pte(pud));
}
#else
/* Nobody has said yet what an accessible entry is here, so there is none. */
static inline bool smmu_inval_pte_accessible(pte_t pte)
{
	return false;
}

static inline bool smmu_inval_pmd_accessible(pmd_t pmd)
{
	return false;
}

static inline bool smmu_inval_pud_accessible(pud_t pud)
{
	return false;
}
#endif

/* Architectures without huge pages do not define what reads a huge entry. */
#if defined(CONFIG_TRANSPARENT_HUGEPAGE) || defined(CONFIG_HUGETLB_PAGE)
#define SMMU_INVAL_HUGE		1
#else
#define SMMU_INVAL_HUGE		0
#endif

#endif /* _SMMU_INVAL_COMPAT_H */
