// SPDX-License-Identifier: GPL-2.0
/*
 * The TLB of an engine: caches translations, with an address space and a
 * permission each. An access that hits looks at nothing else.
 *
 * What makes a flush final: an engine holds the lock of its TLB from the lookup
 * to the end of the access that uses the entry, one page at most. A flush takes
 * the same lock, so that when it returns, no access through an entry that it
 * removed is in progress, and none can start.
 *
 * What makes a stale entry impossible: an engine looks into the page table, and
 * puts what it finds into its TLB, in one section of the address space's lock;
 * an invalidation changes the page table, and flushes, in one section of that
 * lock, too (I2).
 *
 *	engine that missed			invalidation
 *	------------------			------------
 *	lock(vm)
 *	  pte = walk
 *	  lock(tlb) insert(pte) unlock(tlb)
 *	unlock(vm)
 *						lock(vm)
 *						  pte = 0
 *						  lock(tlb) remove unlock(tlb)
 *						unlock(vm)
 *	lock(tlb)
 *	  lookup: hit before the removal, and
 *	  then the access is over before it,
 *	  or a miss after it
 *	unlock(tlb)
 *
 * The other order of the two sections finds no pte, and inserts nothing. Were
 * the insertion outside of the first section, the invalidation could fit
 * between the walk and the insertion, and the entry would stay for ever.
 */
#include <linux/slab.h>

#include "gpu_hmm.h"

/**
 * gpu_tlb_init() - make an empty TLB
 * @tlb: the TLB
 * @entries: how many, GPU_TLB_WAYS times a power of two
 *
 * Return: 0 or -ENOMEM.
 */
int gpu_tlb_init(struct gpu_tlb *tlb, unsigned int entries)
{
	spin_lock_init(&tlb->lock);
	tlb->nr_sets = entries / GPU_TLB_WAYS;
	tlb->entries = kcalloc(entries, sizeof(*tlb->entries), GFP_KERNEL);
	return tlb->entries ? 0 : -ENOMEM;
}

/**
 * gpu_tlb_fini() - free a TLB
 * @tlb: the TLB; nobody uses it any more
 */
void gpu_tlb_fini(struct gpu_tlb *tlb)
{
	kfree(tlb->entries);
}

static struct gpu_tlb_entry *gpu_tlb_set(struct gpu_tlb *tlb, u64 vpn)
{
	return &tlb->entries[(vpn & (tlb->nr_sets - 1)) * GPU_TLB_WAYS];
}

static struct gpu_tlb_entry *gpu_tlb_find(struct gpu_tlb *tlb, u64 asid,
					  u64 vpn)
{
	struct gpu_tlb_entry *set = gpu_tlb_set(tlb, vpn);
	unsigned int i;

	for (i = 0; i < GPU_TLB_WAYS; i++) {
		if (set[i].pte && set[i].asid == asid && set[i].vpn == vpn)
			return &set[i];
	}
	return NULL;
}

/**
 * gpu_tlb_lookup() - look for a translation
 * @tlb: the TLB
 * @asid: the address space
 * @addr: the GPU address
 * @need: the permissions that it has to have, GPU_PTE_WRITE, ...
 *
 * Context: @tlb->lock held, until the access through the entry is over.
 * Return: the entry, or NULL for a miss.
 */
const struct gpu_tlb_entry *gpu_tlb_lookup(struct gpu_tlb *tlb, u64 asid,
					   u64 addr, u64 need)
{
	struct gpu_tlb_entry *entry;

	lockdep_assert_held(&tlb->lock);
	entry = gpu_tlb_find(tlb, asid, addr >> PAGE_SHIFT);
	return entry && (entry->pte & need) == need ? entry : NULL;
}

/**
 * gpu_tlb_insert() - cache a translation
 * @tlb: the TLB
 * @asid: the address space
 * @addr: the GPU address
 * @pte: the page-table entry, valid
 *
 * Context: the address space's lock held since the page table was read.
 */
void gpu_tlb_insert(struct gpu_tlb *tlb, u64 asid, u64 addr, u64 pte)
{
	u64 vpn = addr >> PAGE_SHIFT;
	struct gpu_tlb_entry *entry, *set;
	unsigned int i;

	guard(spinlock)(&tlb->lock);
	/* There must never be two entries for a page. */
	entry = gpu_tlb_find(tlb, asid, vpn);
	if (!entry) {
		set = gpu_tlb_set(tlb, vpn);
		entry = &set[tlb->victim++ % GPU_TLB_WAYS];
		for (i = 0; i < GPU_TLB_WAYS; i++) {
			if (!set[i].pte) {
				entry = &set[i];
				break;
			}
		}
	}
	*entry = (struct gpu_tlb_entry) {
		.asid = asid,
		.vpn = vpn,
		.pte = pte,
	};
}

/* Whichever is less: the pages of the span, or the entries of the TLB. */
static unsigned int gpu_tlb_flush_span(struct gpu_tlb *tlb, u64 asid,
				       u64 first, u64 last)
{
	unsigned int i, nr = tlb->nr_sets * GPU_TLB_WAYS, dropped = 0;
	struct gpu_tlb_entry *entry;

	if (last - first < tlb->nr_sets) {
		for (; first <= last; first++) {
			entry = gpu_tlb_find(tlb, asid, first);
			if (entry) {
				entry->pte = 0;
				dropped++;
			}
		}
		return dropped;
	}

	for (i = 0; i < nr; i++) {
		entry = &tlb->entries[i];
		if (entry->pte && entry->asid == asid &&
		    entry->vpn >= first && entry->vpn <= last) {
			entry->pte = 0;
			dropped++;
		}
	}
	return dropped;
}

/**
 * gpu_tlb_flush() - forget translations
 * @tlb: the TLB
 * @asid: the address space
 * @flush: which of its translations
 *
 * When it returns, no access through any of them is in progress.
 *
 * Return: how many entries were removed.
 */
unsigned int gpu_tlb_flush(struct gpu_tlb *tlb, u64 asid,
			   const struct smmu_inval_flush *flush)
{
	unsigned int i, dropped = 0;

	guard(spinlock)(&tlb->lock);
	if (flush->all)
		return gpu_tlb_flush_span(tlb, asid, 0, U64_MAX);
	for (i = 0; i < flush->nr; i++)
		dropped += gpu_tlb_flush_span(tlb, asid,
					      flush->spans[i].start >> PAGE_SHIFT,
					      flush->spans[i].last >> PAGE_SHIFT);
	return dropped;
}
