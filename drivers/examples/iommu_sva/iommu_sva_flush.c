// SPDX-License-Identifier: GPL-2.0
/*
 * What the library asks to be flushed, as commands: first those for the IOTLB, then
 * those for the device TLBs, which are filled from it, and one wait behind all.
 */
#include <linux/mm.h>

#include "iommu_sva.h"

static void put_all(struct sva_hw *hw, struct sva_command command,
		    const struct sva_block *blocks, unsigned int nr,
		    enum sva_command_op pasid, enum sva_command_op range)
{
	unsigned int i;

	command.op = nr ? range : pasid;
	if (!nr)
		sva_cmdq_put(hw, &command);
	for (i = 0; i < nr; i++) {
		command.addr = blocks[i].addr;
		command.order = blocks[i].order;
		sva_cmdq_put(hw, &command);
	}
}

/**
 * sva_flush() - forget translations, and wait for the accesses that use them
 * @hw: the IOMMU
 * @engines: bit by bit, those that may have cached some
 * @pasid: whose
 * @flush: which
 * @plan: how ranges become descriptors
 *
 * Addresses of the kernel as well: hardware that caches tables may have walked the
 * kernel's.
 *
 * Context: any; spins.
 */
void sva_flush(struct sva_hw *hw, unsigned long engines, u32 pasid,
	       const struct smmu_inval_flush *flush, sva_plan_fn *plan)
{
	struct sva_block blocks[SVA_PLAN_MAX];
	struct sva_command command = { .pasid = pasid };
	unsigned int i, nr = 0;
	unsigned long flags;

	if (!engines)
		return;
	if (!flush->all)
		nr = plan(flush->spans, flush->nr, blocks);
	sva_count(hw, SVA_INVALIDATIONS, 1);
	for (i = 0; i < flush->nr; i++)
		sva_count(hw, SVA_PAGES_ASKED, (flush->spans[i].last >> PAGE_SHIFT) -
					       (flush->spans[i].start >> PAGE_SHIFT) + 1);
	for (i = 0; i < nr; i++)
		sva_count(hw, SVA_PAGES_COVERED, BIT_ULL(blocks[i].order));

	sva_cmdq_lock(hw, &flags);
	put_all(hw, command, blocks, nr, SVA_CMD_IOTLB_PASID, SVA_CMD_IOTLB_RANGE);
	for_each_set_bit(i, &engines, SVA_NR_ENGINES) {
		if (!hw->engines[i].has_tlb)
			continue;
		command.engine = i;
		put_all(hw, command, blocks, nr, SVA_CMD_DEVICE_PASID,
			SVA_CMD_DEVICE_RANGE);
	}
	sva_cmdq_sync(hw, flags);
}
