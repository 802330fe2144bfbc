// SPDX-License-Identifier: GPL-2.0
/*
 * Completion history: the last ranges that were invalidated, in a ring.
 *
 * Each completion has a number, the instance's sequence when it completed. A
 * fault remembers the sequence from before it read the primary page tables;
 * what has that number or a higher one completed since, and if it overlaps,
 * what the fault read may be out of date (I4). If more completed since than
 * the ring holds, nobody knows, and the fault has to retry (I5).
 *
 * The ring is written with the driver's lock held exclusively and read with it
 * held at least shared. Only the sequence is read without the lock.
 */
#include <linux/log2.h>
#include <linux/slab.h>

#include "internal.h"

int smmu_inval_history_init(struct smmu_inval *si)
{
	si->history = smmu_inval_alloc(si->cfg.nr_history,
				       sizeof(*si->history));
	return si->history ? 0 : -ENOMEM;
}

void smmu_inval_history_free(struct smmu_inval *si)
{
	kvfree(si->history);
}

/**
 * smmu_inval_completed() - record a completion that never was pending
 * @si: the instance
 * @start: first unit
 * @last: last unit, inclusive; 0 and U64_MAX for everything
 *
 * For invalidations that are over in the lock section in which they arrive,
 * such as a guest's own TLB invalidation of a nested address space.
 *
 * Context: the driver's lock held exclusively. Does not sleep.
 */
void smmu_inval_completed(struct smmu_inval *si, u64 start, u64 last)
{
	smmu_inval_assert_held_excl(si);
	if (!smmu_inval_debug_alive(si, "completed"))
		return;
	if (start > last) {
		smmu_inval_misuse(si, "inverted range completed", start, last,
				  SMMU_INVAL_NR_EVENTS);
		start = 0;
		last = U64_MAX;
	}
	smmu_inval_history_add(si, start, last);
}
EXPORT_SYMBOL_GPL(smmu_inval_completed);

/* Did a range that overlaps complete since the cookie was taken? */
enum smmu_inval_hit smmu_inval_history_hit(struct smmu_inval *si, u64 cookie,
					   u64 start, u64 last)
{
	u64 since = si->seq - cookie, i;

	if (since > si->cfg.nr_history) {
		smmu_inval_count(si, overflow_history, 1);
		return SMMU_INVAL_MAYBE;
	}
	for (i = 0; i < since; i++) {
		const struct smmu_inval_done *done;

		done = &si->history[(cookie + i) & (si->cfg.nr_history - 1)];
		if (smmu_inval_overlaps(start, last, done->start, done->last))
			return SMMU_INVAL_HIT;
	}
	return SMMU_INVAL_MISS;
}
