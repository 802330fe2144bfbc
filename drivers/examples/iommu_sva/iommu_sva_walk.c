// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables of the CPU, as hardware walks them: without a reference on anything,
 * and without a lock of the kernel's. What keeps a table from being freed under the
 * walk is the protocol: before core mm frees one, it calls the callback that flushes,
 * and a flush waits for the walks that have begun (sva_hw.lock).
 *
 * Accessed and dirty are set as an x86 CPU sets them: by a compare and exchange of the
 * whole entry that fails if the entry has changed meanwhile, before the translation is
 * used; accessed also in the entries of the tables that lead there, but for the topmost
 * of five levels; dirty only for a write that is allowed. As in VT-d and in AMD's
 * IOMMU, protection keys are not looked at. Unlike there, no entry but a leaf is ever
 * cached.
 *
 * Addresses of the kernel are refused: no entry of the upper half is looked at.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "iommu_sva.h"
#include "iommu_sva_compat.h"

/* Set @bits in the entry, unless it is not @value any more. */
static bool entry_set(void *entry, unsigned long value, unsigned long bits)
{
	if ((value & bits) == bits)
		return true;
	return try_cmpxchg((unsigned long *)entry, &value, value | bits);
}

/* -EAGAIN if the entry changed under the walk. */
static int use_leaf(void *entry, unsigned long value, unsigned int shift,
		    u64 addr, bool write, struct sva_tlb_entry *result)
{
	unsigned long need = SVA_PTE_USER | (write ? SVA_PTE_WRITE : 0);
	unsigned long bits = SVA_PTE_ACCESSED | (write ? SVA_PTE_DIRTY : 0);
	u64 offset = (addr >> PAGE_SHIFT) & (BIT_ULL(shift - PAGE_SHIFT) - 1);

	if ((value & need) != need)
		return -EFAULT;
	if (!entry_set(entry, value, bits))
		return -EAGAIN;
	result->page = addr >> PAGE_SHIFT;
	/* The low bits of the frame of a huge page mean something else. */
	result->pfn = (pte_pfn(__pte(value)) &
		       ~(BIT(shift - PAGE_SHIFT) - 1)) | offset;
	result->order = shift - PAGE_SHIFT;
	/* A translation may write once the table says dirty. */
	result->write = write;
	return 0;
}

static int walk_once(pgd_t *pgd_base, u64 addr, bool write,
		     struct sva_tlb_entry *result)
{
	pgd_t *pgdp = pgd_offset_pgd(pgd_base, addr), pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t *ptep, pte;

	if (pgd_none(pgd) || pgd_bad(pgd))
		return -EFAULT;
	p4dp = p4d_offset(pgdp, addr);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d) || p4d_bad(p4d))
		return -EFAULT;
	if (!entry_set(p4dp, p4d_val(p4d), SVA_TABLE_ACCESSED))
		return -EAGAIN;

	pudp = pud_offset(p4dp, addr);
	pud = READ_ONCE(*pudp);
	if (pud_none(pud) || !pud_present(pud))
		return -EFAULT;
	if (sva_pud_leaf(pud))
		return use_leaf(pudp, pud_val(pud), PUD_SHIFT, addr, write,
				result);
	if (pud_bad(pud))
		return -EFAULT;
	if (!entry_set(pudp, pud_val(pud), SVA_TABLE_ACCESSED))
		return -EAGAIN;

	pmdp = pmd_offset(pudp, addr);
	pmd = READ_ONCE(*pmdp);
	if (pmd_none(pmd) || !pmd_present(pmd))
		return -EFAULT;
	if (sva_pmd_leaf(pmd))
		return use_leaf(pmdp, pmd_val(pmd), PMD_SHIFT, addr, write,
				result);
	if (pmd_bad(pmd))
		return -EFAULT;
	if (!entry_set(pmdp, pmd_val(pmd), SVA_TABLE_ACCESSED))
		return -EAGAIN;

	ptep = pte_offset_kernel(&pmd, addr);
	pte = READ_ONCE(*ptep);
	return use_leaf(ptep, pte_val(pte), PAGE_SHIFT, addr, write, result);
}

/**
 * sva_walk() - translate an address
 * @pgd: the page table
 * @addr: any address
 * @write: for writing
 * @entry: what to cache, but for the PASID
 *
 * Context: sva_hw.lock held.
 * Return: 0, or -EFAULT if nothing usable is there.
 */
int sva_walk(pgd_t *pgd, u64 addr, bool write, struct sva_tlb_entry *entry)
{
	int ret;

	if (addr >= TASK_SIZE_MAX)
		return -EFAULT;
	do {
		ret = walk_once(pgd, addr, write, entry);
	} while (ret == -EAGAIN);
	/* What is no memory, a device's registers say, is not for this IOMMU. */
	if (!ret && !pfn_valid(entry->pfn))
		return -EFAULT;
	return ret;
}
