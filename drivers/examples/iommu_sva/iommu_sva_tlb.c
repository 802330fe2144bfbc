// SPDX-License-Identifier: GPL-2.0
/*
 * A set-associative cache of translations, tagged with the PASID. It really caches:
 * what is in it is used without a look at the page table, until it is dropped.
 *
 * Who owns it locks it.
 */
#include "iommu_sva.h"

static unsigned int tlb_set(u32 pasid, u64 page)
{
	/* Different processes use the same addresses. */
	return (page ^ (pasid * 7)) % SVA_TLB_SETS;
}

/*
 * The entry for a page, or NULL. One that does not say dirty does not serve a write:
 * the walk has to say so in the page table first.
 */
const struct sva_tlb_entry *sva_tlb_find(const struct sva_tlb *tlb, u32 pasid,
					 u64 page, bool write)
{
	const struct sva_tlb_entry *entry = tlb->entries[tlb_set(pasid, page)];
	unsigned int way;

	for (way = 0; way < SVA_TLB_WAYS; way++, entry++)
		if (entry->valid && entry->pasid == pasid &&
		    entry->page == page)
			return write && !entry->write ? NULL : entry;
	return NULL;
}

/* Over an entry for the same page, or an invalid one, or else the next in turn. */
void sva_tlb_insert(struct sva_tlb *tlb, const struct sva_tlb_entry *new)
{
	unsigned int set = tlb_set(new->pasid, new->page);
	struct sva_tlb_entry *entry, *place = NULL;
	unsigned int way;

	for (way = 0; way < SVA_TLB_WAYS; way++) {
		entry = &tlb->entries[set][way];
		if (entry->valid && entry->pasid == new->pasid &&
		    entry->page == new->page) {
			place = entry;
			break;
		}
		if (!entry->valid)
			place = entry;
	}
	if (!place) {
		place = &tlb->entries[set][tlb->next[set]];
		tlb->next[set] = (tlb->next[set] + 1) % SVA_TLB_WAYS;
	}
	*place = *new;
	place->valid = true;
}

/*
 * Both inclusive; up to U64_MAX. What comes from a huge entry of the page table goes
 * with any page of that, wherever its own page is: as a CPU's TLB does, and core mm relies
 * on it, for it flushes one page only when hugetlb copies a huge one.
 */
void sva_tlb_drop(struct sva_tlb *tlb, u32 pasid, u64 first_page, u64 last_page)
{
	struct sva_tlb_entry *entry = tlb->entries[0];
	u64 rest;

	for (; entry < tlb->entries[SVA_TLB_SETS]; entry++) {
		rest = BIT_ULL(entry->order) - 1;
		if (entry->pasid == pasid && (entry->page | rest) >= first_page &&
		    (entry->page & ~rest) <= last_page)
			entry->valid = false;
	}
}
