// SPDX-License-Identifier: GPL-2.0
/*
 * Batches: what a lock section changed and has not flushed yet.
 *
 * A few spans on the stack, sorted and disjoint. Spans that touch merge; when
 * there is no room, the two nearest join, which covers too much but never too
 * little (I5). The flush gets all spans at once, or "all" where that is cheaper
 * or where precision is switched off, and it comes before the driver's lock is
 * dropped (I2): the batch is declared below the guard of the lock, so its
 * clean-up runs first.
 *
 * A flush in two phases is issued there, and waited for after the unlock by
 * the drain that is declared above the guard. Until it has landed it is a
 * flight, see flight.c.
 */
#include <trace/events/smmu_inval.h>

#include "internal.h"

/**
 * class_smmu_inval_batch_constructor() - an empty batch
 * @si: the instance
 *
 * What CLASS(smmu_inval_batch, batch)(&si) calls. Not inlined, so that the compiler
 * builds the batch where it is wanted, and does not copy it there; nor are its spans
 * cleared, which are most of it, since the batch knows how many are valid.
 *
 * Context: any.
 * Return: the batch, which is flushed when it goes out of scope.
 */
struct smmu_inval_batch
class_smmu_inval_batch_constructor(struct smmu_inval *si)
{
	struct smmu_inval_batch batch __uninitialized;

	batch.si = si;
	batch.drain = NULL;
	batch.tables = NULL;
	batch.nr = 0;
	batch.all = false;
	batch.may_yield = false;
	return batch;
}
EXPORT_SYMBOL_GPL(class_smmu_inval_batch_constructor);

/* Does b, which does not start before a, leave no unit between them? */
static bool spans_touch(const struct smmu_inval_span *a,
			const struct smmu_inval_span *b)
{
	return a->last == U64_MAX || b->start <= a->last + 1;
}

/* The span at index @at takes in its successor. */
static void batch_join(struct smmu_inval_batch *batch, unsigned int at)
{
	struct smmu_inval_span *span = &batch->spans[at];

	span->last = max(span->last, span[1].last);
	span->events |= span[1].events;
	batch->nr--;
	memmove(span + 1, span + 2, (batch->nr - at - 1) * sizeof(*span));
}

static void batch_join_nearest(struct smmu_inval_batch *batch)
{
	u64 gap, best_gap = U64_MAX;
	unsigned int i, best = 0;

	for (i = 0; i + 1 < batch->nr; i++) {
		gap = batch->spans[i + 1].start - batch->spans[i].last;
		if (gap < best_gap) {
			best_gap = gap;
			best = i;
		}
	}
	smmu_inval_count(batch->si, overflow_batch, 1);
	trace_smmu_inval_overflow(batch->si, SMMU_INVAL_COVER_BATCH, batch->spans[best].start,
				  batch->spans[best + 1].last);
	batch_join(batch, best);
}

static void batch_insert(struct smmu_inval_batch *batch,
			 const struct smmu_inval_span *new)
{
	/* Without range flushes one span will do, to know that there is one. */
	unsigned int limit = max(batch->si->cfg.flush_spans, 1U);
	struct smmu_inval_span *span;
	unsigned int at = batch->nr;

	/* Page tables are walked upwards, so mostly it goes to the end. */
	while (at && batch->spans[at - 1].start > new->start)
		at--;
	span = &batch->spans[at];
	memmove(span + 1, span, (batch->nr - at) * sizeof(*span));
	*span = *new;
	batch->nr++;

	if (at && spans_touch(span - 1, span))
		batch_join(batch, --at);
	while (at + 1 < batch->nr &&
	       spans_touch(&batch->spans[at], &batch->spans[at + 1]))
		batch_join(batch, at);

	if (batch->nr > limit ||
	    (batch->nr > 1 && smmu_inval_should_fail(batch)))
		batch_join_nearest(batch);
}

/**
 * smmu_inval_changed() - report what was changed in the secondary page tables
 * @batch: of this lock section
 * @start: first unit whose translation was removed or write-protected
 * @last: last unit, inclusive
 * @event: why
 *
 * For exactly what changed, and for nothing else: a walk that found nothing to
 * do reports nothing, and nothing will be flushed (I9).
 *
 * Context: the driver's lock held, as for the change. Does not sleep.
 */
void smmu_inval_changed(struct smmu_inval_batch *batch, u64 start, u64 last,
			enum smmu_inval_event event)
{
	struct smmu_inval *si = batch->si;
	struct smmu_inval_span span = { start, last, BIT(event) };

	smmu_inval_assert_held(si);
	if (!smmu_inval_debug_alive(si, "changed"))
		return;
	if (start > last || event >= SMMU_INVAL_NR_EVENTS) {
		smmu_inval_misuse(si, "inverted range or unknown event changed",
				  start, last, event);
		batch->all = true;
		return;
	}
	smmu_inval_debug_section(si);
	smmu_inval_debug_open(si, start, last, event);
	smmu_inval_count(si, event[event].changed,
			 smmu_inval_pages(si, start, last));
	trace_smmu_inval_change(si, event, start, last);
	batch_insert(batch, &span);
}
EXPORT_SYMBOL_GPL(smmu_inval_changed);

/**
 * smmu_inval_batch_all() - report that everything may have changed
 * @batch: of this lock section
 *
 * For drivers that lost track, or that drop a whole address space: the flush
 * covers everything.
 *
 * Context: the driver's lock held, as for the change. Does not sleep.
 */
void smmu_inval_batch_all(struct smmu_inval_batch *batch)
{
	smmu_inval_assert_held(batch->si);
	smmu_inval_debug_section(batch->si);
	smmu_inval_debug_open(batch->si, 0, U64_MAX, SMMU_INVAL_NR_EVENTS);
	batch->all = true;
}
EXPORT_SYMBOL_GPL(smmu_inval_batch_all);

/**
 * smmu_inval_batch_free_later() - free a page-table page after the flush
 * @batch: of this lock section
 * @table: in the page-table page, which is not reachable any more
 *
 * The device may go on walking the page until the flush is over, also if its
 * last entry went earlier: so the flush of a batch that unlinked a page covers
 * everything if nothing was reported as changed (I2). The entries that led to
 * the page are expected in the batch's spans.
 *
 * Context: the driver's lock held, as for the change. Does not sleep.
 */
void smmu_inval_batch_free_later(struct smmu_inval_batch *batch,
				 struct llist_node *table)
{
	smmu_inval_assert_held(batch->si);
	if (!batch->si->ops->free_tables) {
		/* Leaked, which is the safe side. */
		smmu_inval_misuse(batch->si, "no free_tables for a table", 0,
				  U64_MAX, SMMU_INVAL_NR_EVENTS);
		batch->all = true;
		return;
	}
	smmu_inval_debug_open(batch->si, 0, U64_MAX, SMMU_INVAL_NR_EVENTS);
	table->next = batch->tables;
	batch->tables = table;
}
EXPORT_SYMBOL_GPL(smmu_inval_batch_free_later);

/**
 * smmu_inval_batch_defer() - wait for the batch's flushes after the unlock
 * @batch: of this lock section
 * @drain: declared above the guard of the lock, so that it waits behind it
 *
 * From now on the flushes of @batch are issued in the lock section and waited
 * for by @drain (I2's exception). Without ops->flush_issue nothing changes.
 * An invalidation also has to wait for the flushes of others that overlap, see
 * smmu_inval_drain_range().
 *
 * Context: the driver's lock held, exclusively for each flush of the batch: what
 * is in flight is recorded under it. Does not sleep.
 */
void smmu_inval_batch_defer(struct smmu_inval_batch *batch,
			    struct smmu_inval_drain *drain)
{
	if (batch->si->ops->flush_issue)
		batch->drain = drain;
}
EXPORT_SYMBOL_GPL(smmu_inval_batch_defer);

static u64 batch_pages(const struct smmu_inval_batch *batch)
{
	unsigned int i;
	u64 pages = 0;

	for (i = 0; i < batch->nr; i++)
		pages += smmu_inval_pages(batch->si, batch->spans[i].start,
					  batch->spans[i].last);
	return pages;
}

static bool batch_wants_all(const struct smmu_inval_batch *batch)
{
	const struct smmu_inval_config *cfg = &batch->si->cfg;

	/* All there is has more units than a u64 can count. */
	return batch->all || !batch->nr || !cfg->flush_spans ||
	       (batch->spans[0].start == 0 && batch->spans[0].last == U64_MAX) ||
	       (cfg->flush_pages && batch_pages(batch) > cfg->flush_pages) ||
	       smmu_inval_is_coarse(batch->si);
}

static void batch_count(const struct smmu_inval_batch *batch, bool all)
{
	struct smmu_inval *si = batch->si;
	unsigned long events;
	unsigned int i, event;

	smmu_inval_count(si, flushes, 1);
	if (all) {
		smmu_inval_count(si, flushes_all, 1);
		return;
	}
	for (i = 0; i < batch->nr; i++) {
		events = batch->spans[i].events;
		for_each_set_bit(event, &events, SMMU_INVAL_NR_EVENTS)
			smmu_inval_count(si, event[event].flushed,
					 smmu_inval_pages(si,
							  batch->spans[i].start,
							  batch->spans[i].last));
	}
}

/* Issue, and remember what is on its way and by when it has landed. */
static void batch_issue(struct smmu_inval_batch *batch,
			const struct smmu_inval_flush *flush)
{
	struct smmu_inval *si = batch->si;
	u64 ticket = si->ops->flush_issue(si, flush);
	unsigned int i;

	smmu_inval_assert_held_excl(si);
	if (!ticket || ticket < si->last_ticket) {
		struct smmu_inval_flush all = { .all = true };

		/* Nobody could wait for it: so it is over before the unlock. */
		smmu_inval_misuse(si, "flush ticket went backwards", 0,
				  U64_MAX, SMMU_INVAL_NR_EVENTS);
		si->ops->flush(si, &all);
		return;
	}
	/* Read without the lock in second.c. */
	WRITE_ONCE(si->last_ticket, ticket);
	if (flush->all)
		smmu_inval_flight_add(si, 0, U64_MAX, ticket);
	for (i = 0; i < flush->nr; i++)
		smmu_inval_flight_add(si, flush->spans[i].start,
				      flush->spans[i].last, ticket);
	/* What the drain had before is no newer. */
	batch->drain->ticket = ticket;
}

static void batch_release_tables(struct smmu_inval_batch *batch)
{
	struct smmu_inval *si = batch->si;

	if (!batch->tables)
		return;
	if (!batch->drain) {
		si->ops->free_tables(si, batch->tables);
	} else {
		smmu_inval_join_tables(&batch->tables, batch->drain->tables);
		batch->drain->tables = batch->tables;
	}
	batch->tables = NULL;
}

/* Not for drivers: smmu_inval_batch_flush() of a batch that is not empty. */
void __smmu_inval_batch_flush(struct smmu_inval_batch *batch)
{
	struct smmu_inval *si = batch->si;
	struct smmu_inval_flush flush = { .spans = batch->spans,
					  .nr = batch->nr };

	if (!smmu_inval_debug_alive(si, "flush"))
		return;
	if (!smmu_inval_lock_is_held(si))
		smmu_inval_misuse(si, "flush outside the lock",
				  batch->nr ? batch->spans[0].start : 0,
				  batch->nr ? batch->spans[batch->nr - 1].last :
					      U64_MAX,
				  batch->nr ? __ffs(batch->spans[0].events) :
					      SMMU_INVAL_NR_EVENTS);
	smmu_inval_debug_closed(si);

	if (batch_wants_all(batch)) {
		flush.all = true;
		flush.nr = 0;
	}
	batch_count(batch, flush.all);
	trace_smmu_inval_flush(si, &flush);
	if (batch->drain)
		batch_issue(batch, &flush);
	else
		si->ops->flush(si, &flush);
	batch_release_tables(batch);
	batch->nr = 0;
	batch->all = false;
}
EXPORT_SYMBOL_GPL(__smmu_inval_batch_flush);
