// SPDX-License-Identifier: GPL-2.0
/*
 * The fault side: may what a fault found be installed?
 *
 *	fault					invalidation
 *	-----					------------
 *	cookie = read_begin()
 *						lock, begin, add, zap, unlock
 *	reads the primary page table
 *						primary page table changes
 *						lock, end, unlock
 *	lock
 *	read_retry(cookie) is true
 *
 * Until the end, the pending range says so; from then on, the history does,
 * since the cookie is older than the completion. A fault that takes its cookie
 * after the end also reads the primary page table after it changed.
 */
#include <trace/events/smmu_inval.h>

#include "internal.h"

/* Coarse, as most drivers do it: one hull of all that is pending. */
static bool hull_hit(const struct smmu_inval *si, u64 start, u64 last)
{
	return (READ_ONCE(si->slots_used) || READ_ONCE(si->nr_elsewhere)) &&
	       smmu_inval_overlaps(start, last, READ_ONCE(si->hull_start),
				   READ_ONCE(si->hull_last));
}

/**
 * smmu_inval_is_pending() - is an invalidation open that overlaps?
 * @si: the instance
 * @start: first unit
 * @last: its last unit, inclusive
 *
 * For code that installs, without a fault, what it derives under the driver's
 * lock from translations that are there: huge pages made of small ones,
 * neighbours that are mapped along. A fault asks smmu_inval_read_retry(), which
 * knows what completed, too; this one counts nothing. What the interval binding
 * records is not known here.
 *
 * Context: the driver's lock held, at least shared.
 * Return: true if nothing may be installed there now (I3).
 */
bool smmu_inval_is_pending(const struct smmu_inval *si, u64 start, u64 last)
{
	smmu_inval_assert_held(si);
	if (!__smmu_inval_in_hull(si, start, last))
		return false;
	if (si->dead)
		return true;
	if (smmu_inval_is_coarse(si))
		return hull_hit(si, start, last);
	return smmu_inval_pending_hit(si, start, last) != SMMU_INVAL_MISS;
}
EXPORT_SYMBOL_GPL(smmu_inval_is_pending);

/* Count a retry by its cause; says whether there is one. */
bool smmu_inval_count_retry(struct smmu_inval *si, enum smmu_inval_hit pending,
			    enum smmu_inval_hit done, u64 start, u64 last)
{
	if (pending == SMMU_INVAL_MISS && done == SMMU_INVAL_MISS)
		return false;
	if (pending != SMMU_INVAL_MISS)
		smmu_inval_count(si, retries_pending, 1);
	else
		smmu_inval_count(si, retries_done, 1);
	if (pending != SMMU_INVAL_HIT && done != SMMU_INVAL_HIT)
		smmu_inval_count(si, retries_false, 1);
	trace_smmu_inval_retry(si, start, last, pending, done);
	return true;
}

/* More than a few ranges are pending, something completed, or nothing is right. */
static noinline bool look_closer(struct smmu_inval *si, u64 cookie,
				 u64 start, u64 last)
{
	enum smmu_inval_hit pending, done;

	if (start > last || (s64)(si->seq - cookie) < 0) {
		smmu_inval_misuse(si, start > last ? "inverted range checked" :
				  "cookie of another instance", start, last,
				  SMMU_INVAL_NR_EVENTS);
		return true;
	}
	if (si->dead)
		return true;

	smmu_inval_count(si, checks, 1);
	pending = smmu_inval_pending_hit(si, start, last);
	done = si->seq == cookie ? SMMU_INVAL_MISS :
	       smmu_inval_history_hit(si, cookie, start, last);
	if (smmu_inval_is_coarse(si)) {
		if (hull_hit(si, start, last))
			pending = max(pending, SMMU_INVAL_MAYBE);
		if (si->seq != cookie)
			done = max(done, SMMU_INVAL_MAYBE);
	}
	return smmu_inval_count_retry(si, pending, done, start, last);
}

/* Not for drivers: what smmu_inval_read_retry() does not see at a glance. */
bool __smmu_inval_read_retry(struct smmu_inval *si, u64 cookie,
			     u64 start, u64 last)
{
	smmu_inval_assert_held(si);
	if (!smmu_inval_debug_alive(si, "read_retry"))
		return true;
	smmu_inval_debug_section(si);
	if (IS_ENABLED(CONFIG_SMMU_INVAL_DEBUG) &&
	    __smmu_inval_at_a_glance(si, cookie, start, last))
		return false;

	/* Between ranges that are all in slots: there is no more to look at. */
	if (si->seq == cookie && start <= last && !si->nr_elsewhere &&
	    !smmu_inval_slots_hit(si, start, last) &&
	    !smmu_inval_is_coarse(si)) {
		smmu_inval_count(si, checks, 1);
		return false;
	}
	return look_closer(si, cookie, start, last);
}
EXPORT_SYMBOL_GPL(__smmu_inval_read_retry);

/**
 * smmu_inval_retry_hint() - is a fault likely to have to retry?
 * @si: the instance
 * @cookie: from smmu_inval_read_begin()
 * @start: first unit that will be installed
 * @last: its last unit, inclusive
 *
 * For a fault that wants to know, before it does something expensive, whether
 * that is for nothing. It reads a counter, and the few ranges that are inside
 * of the instance or else their hull, never a tree. Both answers may be wrong:
 * only smmu_inval_read_retry() decides.
 *
 * Context: any; takes no lock.
 * Return: true if a retry is likely.
 */
bool smmu_inval_retry_hint(const struct smmu_inval *si, u64 cookie,
			   u64 start, u64 last)
{
	if (READ_ONCE(si->seq) - cookie > si->cfg.nr_history)
		return true;
	/* If there is more than the slots hold, the hull is all to be looked at. */
	return hull_hit(si, start, last) &&
	       (smmu_inval_is_coarse(si) || READ_ONCE(si->nr_elsewhere) ||
		smmu_inval_slots_hit(si, start, last));
}
EXPORT_SYMBOL_GPL(smmu_inval_retry_hint);
