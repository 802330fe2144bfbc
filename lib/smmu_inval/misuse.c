// SPDX-License-Identifier: GPL-2.0
/*
 * Misuse: found, reported once, and survived.
 *
 * A driver that breaks the protocol gets one WARN per instance, with the range,
 * the event and who the instance belongs to. From then on the instance does
 * not trust what the driver says and goes to the safe side: each flush covers
 * everything, each event zaps, each completion makes each fault retry.
 *
 * CONFIG_SMMU_INVAL_DEBUG adds the checks that cost something.
 */
#include <linux/sched.h>

#include "internal.h"

void smmu_inval_misuse(struct smmu_inval *si, const char *what,
		       u64 start, u64 last, enum smmu_inval_event event)
{
	WRITE_ONCE(si->safe_side, true);
	if (test_and_set_bit(0, &si->misused))
		return;
	WARN(1, "smmu_inval: %s: %s, range [%#llx, %#llx], event %s\n",
	     si->cfg.name, what, start, last, smmu_inval_event_name(event));
}

#ifdef CONFIG_SMMU_INVAL_DEBUG
/*
 * Not after smmu_inval_destroy(), whose memory may already be something else. Never
 * inlined: each copy would warn once.
 */
noinline bool smmu_inval_debug_alive(struct smmu_inval *si, const char *who)
{
	if (likely(si->magic == SMMU_INVAL_MAGIC))
		return true;
	WARN_ONCE(1, "smmu_inval: %s of an instance that is not initialized or was destroyed\n",
		  who);
	return false;
}

/*
 * Unflushed spans, while the lock is held exclusively. If another task comes to
 * hold the lock, then the section that they are from ended without a flush:
 *
 *	A					B
 *	-					-
 *	lock, changed, unlock
 *						lock, begin: finds A's spans
 *	flush, too late
 *
 * Who changes things with the lock held shared is not tracked.
 */
static bool held_excl(const struct smmu_inval *si)
{
#ifdef CONFIG_DEBUG_LOCK_ALLOC
	return debug_locks && smmu_inval_has_lock(si) &&
	       lock_is_held_type(si->cfg.lock.dep_map, 0);
#else
	return false;
#endif
}

static void unflushed(struct smmu_inval *si)
{
	smmu_inval_misuse(si, "lock section ended with unflushed spans",
			  si->open_span.start, si->open_span.last,
			  si->open_span.events);
}

void smmu_inval_debug_section(struct smmu_inval *si)
{
	if (held_excl(si) && si->open_task && si->open_task != current)
		unflushed(si);
}

void smmu_inval_debug_open(struct smmu_inval *si, u64 start, u64 last,
			   enum smmu_inval_event event)
{
	if (!held_excl(si) || si->open_task)
		return;
	si->open_task = current;
	/* Its events are one event here, not a mask. */
	si->open_span = (struct smmu_inval_span){ start, last, event };
}

void smmu_inval_debug_closed(struct smmu_inval *si)
{
	if (si->open_task == current)
		si->open_task = NULL;
}

/* What retires lets faults through: nothing may be unflushed any more. */
void smmu_inval_debug_retire(struct smmu_inval *si)
{
	if (held_excl(si) && si->open_task)
		unflushed(si);
}

void smmu_inval_assert_may_install(struct smmu_inval *si, u64 start, u64 last)
{
	smmu_inval_assert_held(si);
	if (!smmu_inval_debug_alive(si, "install"))
		return;
	if (start > last || si->dead ||
	    smmu_inval_pending_hit(si, start, last) != SMMU_INVAL_MISS)
		smmu_inval_misuse(si, "installed into a pending range", start,
				  last, SMMU_INVAL_NR_EVENTS);
}
EXPORT_SYMBOL_GPL(smmu_inval_assert_may_install);
#endif
