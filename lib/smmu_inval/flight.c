// SPDX-License-Identifier: GPL-2.0
/*
 * Flushes in flight: issued under the driver's lock, and perhaps not over.
 *
 * Who issued a flush waits for it before his callback returns. That is not
 * enough: a second invalidation of the same range finds nothing left to change
 * and has nothing to flush, and yet its caller is about to free the page:
 *
 *	A					B
 *	-					-
 *	lock, zap, issue, unlock
 *						lock, nothing there, unlock
 *						returns, page is freed
 *	waits					device still uses the page
 *
 * So what is in flight stays recorded with its spans, and every callback that
 * overlaps waits for it (I2). Tickets do not decrease, so the newest ticket
 * stands for all that overlap. A flight is over once somebody has waited for
 * its ticket or for a later one; its slot is then free.
 */
#include <trace/events/smmu_inval.h>

#include "internal.h"

static bool flight_is_up(const struct smmu_inval *si,
			 const struct smmu_inval_flight *flight)
{
	/*
	 * Pairs with the cmpxchg in smmu_inval_flight_landed(): who skips the
	 * wait must also see what the device wrote before the flush was over.
	 */
	return flight->ticket > (u64)atomic64_read_acquire(&si->landed);
}

/* The newest ticket that overlaps, 0 for none. The lock is held. */
u64 smmu_inval_flight_newest(const struct smmu_inval *si, u64 start, u64 last)
{
	const struct smmu_inval_flight *flight;
	unsigned int i;
	u64 newest = 0;

	for (i = 0; i < SMMU_INVAL_FLIGHTS; i++) {
		flight = &si->flights[i];
		if (smmu_inval_overlaps(start, last, flight->start,
					flight->last) &&
		    flight_is_up(si, flight))
			newest = max(newest, flight->ticket);
	}
	return newest;
}

/* The lock is held. Past the last slot, flights share one (I5). */
void smmu_inval_flight_add(struct smmu_inval *si, u64 start, u64 last,
			   u64 ticket)
{
	struct smmu_inval_flight *flight;
	unsigned int i;

	for (i = 0; i < SMMU_INVAL_FLIGHTS; i++) {
		flight = &si->flights[i];
		if (flight_is_up(si, flight))
			continue;
		flight->start = start;
		flight->last = last;
		flight->ticket = ticket;
		return;
	}
	smmu_inval_count(si, overflow_flights, 1);
	trace_smmu_inval_overflow(si, SMMU_INVAL_COVER_FLIGHT, start, last);
	flight = &si->flights[SMMU_INVAL_FLIGHTS - 1];
	flight->start = min(flight->start, start);
	flight->last = max(flight->last, last);
	flight->ticket = max(flight->ticket, ticket);
}

/* All flushes up to the ticket are over. */
void smmu_inval_flight_landed(struct smmu_inval *si, u64 ticket)
{
	s64 landed = atomic64_read(&si->landed);

	while ((u64)landed < ticket &&
	       !atomic64_try_cmpxchg(&si->landed, &landed, ticket))
		;
}

/**
 * smmu_inval_drain_range() - wait for the flushes in flight that overlap
 * @drain: declared above the guard of the lock
 * @start: first unit of the range that is being invalidated
 * @last: its last unit, inclusive
 *
 * To be called by every invalidation of a driver whose flushes have two
 * phases, whether it changed something or not (I2). The wait itself comes when
 * @drain goes out of scope.
 * A driver whose addresses are not those of the process passes [0, U64_MAX]: what
 * mapped them a moment ago may be gone, and its flush on the way.
 *
 * Context: the driver's lock held. Does not sleep.
 */
void smmu_inval_drain_range(struct smmu_inval_drain *drain, u64 start, u64 last)
{
	struct smmu_inval *si = drain->si;
	const struct smmu_inval_flight *flight;
	unsigned int i;

	smmu_inval_assert_held(si);
	if (!si->last_ticket)
		return;
	for (i = 0; i < SMMU_INVAL_FLIGHTS; i++) {
		flight = &si->flights[i];
		if (flight->ticket <= drain->ticket ||
		    !smmu_inval_overlaps(start, last, flight->start,
					 flight->last) ||
		    !flight_is_up(si, flight))
			continue;
		smmu_inval_count(si, waits, 1);
		drain->ticket = flight->ticket;
	}
}
EXPORT_SYMBOL_GPL(smmu_inval_drain_range);

/**
 * smmu_inval_drain_finish() - wait for what the drain has collected
 * @drain: empty afterwards
 *
 * Called when the drain goes out of scope, after the unlock and before the
 * callback returns. Frees the page-table pages that waited for it.
 *
 * Context: the driver's lock not held. May sleep if ops->flush_wait does.
 */
void smmu_inval_drain_finish(struct smmu_inval_drain *drain)
{
	struct smmu_inval *si = drain->si;

	if (drain->ticket) {
		si->ops->flush_wait(si, drain->ticket);
		smmu_inval_flight_landed(si, drain->ticket);
		drain->ticket = 0;
	}
	if (drain->tables) {
		si->ops->free_tables(si, drain->tables);
		drain->tables = NULL;
	}
}
EXPORT_SYMBOL_GPL(smmu_inval_drain_finish);
