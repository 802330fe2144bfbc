// SPDX-License-Identifier: GPL-2.0
/*
 * The IOMMU and the engines behind it: how an address of a process becomes one of
 * memory, and how that is forgotten.
 *
 * An IOTLB entry is made while sva_hw.lock is held, from the look at the PASID table on,
 * so that an invalidation finds it or comes before its walk. A device TLB is filled from
 * the IOTLB, and a fill may be on its way when the IOTLB is invalidated. So the IOTLB
 * comes first:
 *
 *	right                           wrong
 *	IOTLB forgets                   device TLB forgets
 *	(device TLB filled: by a walk)  (device TLB filled: from the IOTLB, stale)
 *	device TLB forgets              IOTLB forgets
 *
 * An invalidation is over when the accesses that used the old translation are over, too.
 * Each channel holds its lock (busy) from the translation to the end of the access.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "iommu_sva.h"

/* The IOMMU with its engines; it is never freed, like hardware. */
struct sva_hw *sva_hw_new(void)
{
	struct sva_hw *hw = kvzalloc(sizeof(*hw), GFP_KERNEL);
	unsigned int i;

	if (!hw)
		return NULL;
	raw_spin_lock_init(&hw->lock);
	raw_spin_lock_init(&hw->cmdq.lock);
	for (i = 0; i < SVA_NR_ENGINES; i++) {
		struct sva_engine *engine = &hw->engines[i];

		engine->hw = hw;
		engine->nr = i;
		engine->has_tlb = i % 2 == 0;
		raw_spin_lock_init(&engine->lock);
		raw_spin_lock_init(&engine->tlb_lock);
	}
	return hw;
}

/* From now on, but for what is cached; NULL clears the entry. */
void sva_pasid_set(struct sva_engine *engine, u32 pasid, pgd_t *pgd)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&engine->hw->lock, flags);
	engine->pgds[pasid] = pgd;
	raw_spin_unlock_irqrestore(&engine->hw->lock, flags);
}

bool sva_pasid_is_set(struct sva_engine *engine, u32 pasid)
{
	unsigned long flags;
	bool set;

	raw_spin_lock_irqsave(&engine->hw->lock, flags);
	set = engine->pgds[pasid];
	raw_spin_unlock_irqrestore(&engine->hw->lock, flags);
	return set;
}

/* By the IOTLB, or a walk. */
static int iommu_translate(struct sva_engine *engine, u32 pasid, u64 addr,
			   bool write, struct sva_tlb_entry *result)
{
	struct sva_hw *hw = engine->hw;
	const struct sva_tlb_entry *found;
	pgd_t *pgd;
	int ret;

	lockdep_assert_held(&hw->lock);
	pgd = engine->pgds[pasid];
	if (!pgd)
		return -ESRCH;
	found = sva_tlb_find(&hw->iotlb, pasid, addr >> PAGE_SHIFT, write);
	if (found) {
		sva_count(hw, SVA_HITS, 1);
		*result = *found;
		return 0;
	}
	sva_count(hw, SVA_MISSES, 1);
	ret = sva_walk(pgd, addr, write, result);
	if (ret)
		return ret;
	result->pasid = pasid;
	sva_tlb_insert(&hw->iotlb, result);
	return 0;
}

static int ask_iommu(struct sva_engine *engine, u32 pasid, u64 addr, bool write,
		     struct sva_tlb_entry *result)
{
	int ret;

	raw_spin_lock(&engine->hw->lock);
	ret = iommu_translate(engine, pasid, addr, write, result);
	raw_spin_unlock(&engine->hw->lock);
	return ret;
}

/*
 * By the device TLB, or the IOMMU's answer. The IOTLB may be invalidated while that is on
 * its way: the device TLB takes the answer first, and then the invalidation that follows.
 */
static int device_translate(struct sva_engine *engine, u32 pasid, u64 addr,
			    bool write, struct sva_tlb_entry *result)
{
	const struct sva_tlb_entry *found;
	int ret = 0;

	raw_spin_lock(&engine->tlb_lock);
	found = sva_tlb_find(&engine->tlb, pasid, addr >> PAGE_SHIFT, write);
	sva_count(engine->hw, found ? SVA_DEVICE_HITS : SVA_DEVICE_MISSES, 1);
	if (found) {
		*result = *found;
	} else {
		ret = ask_iommu(engine, pasid, addr, write, result);
		if (!ret)
			sva_tlb_insert(&engine->tlb, result);
	}
	raw_spin_unlock(&engine->tlb_lock);
	return ret;
}

/**
 * sva_translate() - as the engine does it
 * @engine: that wants to access @addr
 * @pasid: whose address it is
 * @addr: any address
 * @write: for writing
 * @pfn: the page
 *
 * Context: sva_channel.busy held, with interrupts off, until the access is over.
 * Return: 0, -EFAULT if it is not mapped, or -ESRCH without such a PASID.
 */
int sva_translate(struct sva_engine *engine, u32 pasid, u64 addr, bool write,
		  unsigned long *pfn)
{
	struct sva_tlb_entry entry;
	int ret;

	ret = engine->has_tlb ?
	      device_translate(engine, pasid, addr, write, &entry) :
	      ask_iommu(engine, pasid, addr, write, &entry);
	if (ret == -ESRCH)
		sva_count(engine->hw, SVA_NO_PASID, 1);
	if (!ret)
		*pfn = entry.pfn;
	return ret;
}

/* Wait for the accesses that began before. */
static void drain(struct sva_engine *engine)
{
	unsigned int i;

	raw_spin_lock(&engine->lock);
	for (i = 0; i < SVA_NR_CHANNELS; i++) {
		struct sva_channel *channel = engine->channels[i];

		if (!channel)
			continue;
		raw_spin_lock(&channel->busy);
		raw_spin_unlock(&channel->busy);
	}
	raw_spin_unlock(&engine->lock);
}

static void forget_pages(struct sva_tlb *tlb, const struct sva_command *command)
{
	u64 first = 0, last = U64_MAX;

	if (command->op == SVA_CMD_IOTLB_RANGE ||
	    command->op == SVA_CMD_DEVICE_RANGE) {
		first = command->addr >> PAGE_SHIFT;
		last = first + BIT_ULL(command->order) - 1;
	}
	sva_tlb_drop(tlb, command->pasid, first, last);
}

/* Execute an invalidation command. Interrupts are off. */
void sva_forget(struct sva_hw *hw, const struct sva_command *command)
{
	struct sva_engine *engine;

	switch (command->op) {
	case SVA_CMD_IOTLB_PASID:
	case SVA_CMD_IOTLB_RANGE:
		raw_spin_lock(&hw->lock);
		forget_pages(&hw->iotlb, command);
		raw_spin_unlock(&hw->lock);
		for (engine = hw->engines;
		     engine < hw->engines + SVA_NR_ENGINES; engine++)
			if (!engine->has_tlb)
				drain(engine);
		break;
	case SVA_CMD_DEVICE_PASID:
	case SVA_CMD_DEVICE_RANGE:
		engine = &hw->engines[command->engine];
		raw_spin_lock(&engine->tlb_lock);
		forget_pages(&engine->tlb, command);
		raw_spin_unlock(&engine->tlb_lock);
		drain(engine);
		break;
	case SVA_CMD_WAIT:
		break;
	}
}
