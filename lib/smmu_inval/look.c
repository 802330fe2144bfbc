// SPDX-License-Identifier: GPL-2.0
/*
 * A look at the primary page tables, to decide what PROTECTION_VMA requires.
 *
 * The decision is a whitelist: a translation stays only while the primary
 * entry is accessible, maps the same page, and is writable if the translation
 * is (I11). Whatever else the entry may be, the translation goes.
 *
 * The walk takes no page-table lock. It runs before the driver's lock is taken,
 * with interrupts off: page tables are then not freed under it, for the reasons
 * that get_user_pages_fast() relies on, and where those do not hold (UML),
 * because the sender of PROTECTION_VMA holds mmap_lock until after the end
 * callback. Each level is read once. What changes after the look sends an event
 * of its own, and what the look misses because it changes meanwhile is zapped.
 */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>

#include "compat.h"
#include "internal.h"

/* Returns false if there is no room: the look ends before @start. */
static bool look_add(struct smmu_inval_look *look, u64 start, u64 last,
		     unsigned long pfn, bool write)
{
	struct smmu_inval_seen *seen = &look->seen[look->nr];

	if (look->nr) {
		struct smmu_inval_seen *prev = seen - 1;
		u64 pages = (prev->last - prev->start + 1) >> PAGE_SHIFT;

		if (prev->last + 1 == start && prev->pfn + pages == pfn &&
		    prev->write == write) {
			prev->last = last;
			return true;
		}
	}
	if (look->nr == SMMU_INVAL_SEEN)
		return false;
	seen->start = start;
	seen->last = last;
	seen->pfn = pfn;
	seen->write = write;
	look->nr++;
	return true;
}

/* The entries of one page table. Returns where the next walk begins. */
static unsigned long look_ptes(struct smmu_inval_look *look, pmd_t pmd,
			       unsigned long addr, unsigned long end)
{
	pte_t *ptep = pte_offset_kernel(&pmd, addr);

	for (; addr != end; addr += PAGE_SIZE, ptep++) {
		pte_t pte = READ_ONCE(*ptep);

		if (!smmu_inval_pte_accessible(pte))
			continue;
		if (!look_add(look, addr, addr + PAGE_SIZE - 1, pte_pfn(pte),
			      pte_write(pte)))
			break;
	}
	return addr;
}

#if SMMU_INVAL_HUGE
static unsigned long look_huge(struct smmu_inval_look *look, bool accessible,
			       unsigned long pfn, bool write,
			       unsigned long addr, unsigned long end)
{
	if (accessible && !look_add(look, addr, end - 1, pfn, write))
		return addr;
	return end;
}
#endif

/*
 * From @addr to the end of the smallest table, or of the hole, that it is in.
 * Returns where the next walk begins, which is @addr if there was no room.
 * @end is exclusive, and may be 0 for the end of the address space, as the
 * pXd_addr_end() macros allow.
 */
static unsigned long look_step(struct smmu_inval_look *look,
			       struct mm_struct *mm, unsigned long addr,
			       unsigned long end)
{
	pgd_t *pgdp = pgd_offset(mm, addr);
	pgd_t pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;

	end = pgd_addr_end(addr, end);
	if (pgd_none(pgd))
		return end;
	p4dp = p4d_offset_lockless(pgdp, pgd, addr);
	p4d = READ_ONCE(*p4dp);
	end = p4d_addr_end(addr, end);
	if (p4d_none(p4d) || !p4d_present(p4d))
		return end;
	pudp = pud_offset_lockless(p4dp, p4d, addr);
	pud = READ_ONCE(*pudp);
	end = pud_addr_end(addr, end);
	if (pud_none(pud) || !pud_present(pud))
		return end;
#if SMMU_INVAL_HUGE
	if (pud_leaf(pud))
		return look_huge(look, smmu_inval_pud_accessible(pud),
				 pud_pfn(pud) + ((addr & ~PUD_MASK) >> PAGE_SHIFT),
				 pud_write(pud), addr, end);
#endif
	pmdp = pmd_offset_lockless(pudp, pud, addr);
	pmd = READ_ONCE(*pmdp);
	end = pmd_addr_end(addr, end);
	if (pmd_none(pmd) || !pmd_present(pmd))
		return end;
#if SMMU_INVAL_HUGE
	if (pmd_leaf(pmd))
		return look_huge(look, smmu_inval_pmd_accessible(pmd),
				 pmd_pfn(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT),
				 pmd_write(pmd), addr, end);
#endif
	return look_ptes(look, pmd, addr, end);
}

/**
 * smmu_inval_look() - look at the primary page tables
 * @look: the result
 * @mm: whose; the caller holds its mmap_lock, at least shared, or an equivalent
 *	that keeps its page tables from being freed
 * @start: first user address
 * @last: last user address, inclusive
 *
 * What is seen are whole pages, those of @start and @last included. Looks as
 * far as @look has room for, which is at least one page: go on at
 * @look.last + 1 until @look.last is @last.
 *
 * Context: any; takes no lock, and turns interrupts off for a page table's
 * worth of entries at a time. To be called before the driver's lock is taken.
 */
void smmu_inval_look(struct smmu_inval_look *look, struct mm_struct *mm,
		     u64 start, u64 last)
{
	/*
	 * Behind the end of user space, the tables are not the process's. And a walk
	 * to the middle of a page would miss the end of the table: a driver's address
	 * space may end there.
	 */
	u64 top = min_t(u64, last | ~PAGE_MASK, mm->task_size - 1);
	unsigned long addr = start & PAGE_MASK, next, flags;

	look->start = start;
	look->last = last;
	look->nr = 0;
	while (addr <= top) {
		local_irq_save(flags);
		next = look_step(look, mm, addr, top + 1);
		local_irq_restore(flags);
		if (look->nr == SMMU_INVAL_SEEN && next <= top) {
			/* No room, or just full: both end here. */
			look->last = next - 1;
			return;
		}
		addr = next;
	}
}
EXPORT_SYMBOL_GPL(smmu_inval_look);

/**
 * smmu_inval_verdict() - what a look requires of a translation
 * @look: the look
 * @start: first user address that the translation maps, page aligned
 * @last: last user address that it maps, inclusive
 * @pfn: the page that it maps at @start; the following ones are consecutive
 * @write: it allows writing
 *
 * Only what @look covers is judged; a huge translation that several looks
 * cover in parts has to stand all of them.
 *
 * Context: any.
 * Return: SMMU_INVAL_KEEP if it may stay as it is, SMMU_INVAL_WRPROTECT if it
 * may stay but must not allow writing any more, else SMMU_INVAL_ZAP.
 */
enum smmu_inval_action smmu_inval_verdict(const struct smmu_inval_look *look,
					  u64 start, u64 last,
					  unsigned long pfn, bool write)
{
	enum smmu_inval_action action = SMMU_INVAL_KEEP;
	u64 from = max(start, look->start);
	u64 to = min(last, look->last);
	u64 addr = from;
	unsigned int i;

	if (from > to)
		return SMMU_INVAL_KEEP;
	for (i = 0; i < look->nr; i++) {
		const struct smmu_inval_seen *seen = &look->seen[i];

		if (seen->last < addr)
			continue;
		if (seen->start > addr ||
		    seen->pfn + ((addr - seen->start) >> PAGE_SHIFT) !=
		    pfn + ((addr - start) >> PAGE_SHIFT))
			return SMMU_INVAL_ZAP;
		if (write && !seen->write)
			action = SMMU_INVAL_WRPROTECT;
		if (seen->last >= to)
			goto covered;
		addr = seen->last + 1;
	}
	return SMMU_INVAL_ZAP;

covered:
	if (look->si && action == SMMU_INVAL_KEEP)
		smmu_inval_count(look->si, event[look->event].kept,
				 ((to - from) >> PAGE_SHIFT) + 1);
	return action;
}
EXPORT_SYMBOL_GPL(smmu_inval_verdict);
