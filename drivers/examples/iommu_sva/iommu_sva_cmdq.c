// SPDX-License-Identifier: GPL-2.0
/*
 * The command queue. Software puts descriptors into a ring, a wait descriptor behind
 * them, and spins until the IOMMU has executed that: this works in any context, with
 * interrupts off and under any lock.
 *
 * The IOMMU executes the ring in order. It has no CPU of its own, so it borrows that of
 * who waits for it; sva_setup.command_us makes it as slow as real ones are.
 */
#include <linux/delay.h>

#include "iommu_sva.h"

static void execute(struct sva_hw *hw)
{
	struct sva_cmdq *cmdq = &hw->cmdq;

	while (cmdq->head != cmdq->tail) {
		unsigned int us = READ_ONCE(hw->command_us);

		if (us)
			udelay(us);
		sva_forget(hw, &cmdq->ring[cmdq->head % SVA_CMDQ_SIZE]);
		cmdq->head++;
	}
}

void sva_cmdq_lock(struct sva_hw *hw, unsigned long *flags)
	__acquires(&hw->cmdq.lock)
{
	raw_spin_lock_irqsave(&hw->cmdq.lock, *flags);
}

/* Between sva_cmdq_lock() and sva_cmdq_sync(). */
void sva_cmdq_put(struct sva_hw *hw, const struct sva_command *command)
{
	struct sva_cmdq *cmdq = &hw->cmdq;

	lockdep_assert_held(&cmdq->lock);
	/* Full: there is room when the IOMMU has gone on. */
	if (cmdq->tail - cmdq->head == SVA_CMDQ_SIZE)
		execute(hw);
	cmdq->ring[cmdq->tail % SVA_CMDQ_SIZE] = *command;
	cmdq->tail++;
	if (command->op == SVA_CMD_WAIT) {
		sva_count(hw, SVA_WAITS, 1);
		return;
	}
	sva_count(hw, SVA_COMMANDS, 1);
	if (command->op == SVA_CMD_IOTLB_PASID ||
	    command->op == SVA_CMD_DEVICE_PASID)
		sva_count(hw, SVA_COMMANDS_PASID, 1);
}

/* Put a wait behind all, and return when it is done. */
void sva_cmdq_sync(struct sva_hw *hw, unsigned long flags)
	__releases(&hw->cmdq.lock)
{
	const struct sva_command wait = { .op = SVA_CMD_WAIT };

	sva_cmdq_put(hw, &wait);
	execute(hw);
	raw_spin_unlock_irqrestore(&hw->cmdq.lock, flags);
}
