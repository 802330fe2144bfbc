// SPDX-License-Identifier: GPL-2.0
/*
 * Pending ranges: what is between begin and end.
 *
 * A token stands for one invalidation, and owns as many ranges as that covers.
 * Tokens and ranges come from arrays that smmu_inval_init() filled, because
 * nothing between begin and end may sleep for memory or fail for want of it
 * (I8). The first few ranges live in slots inside the instance, searched one
 * by one; the others are in an interval tree. What finds no node goes into one
 * hull, which covers too much but never too little (I5).
 *
 * The tokens of notifier callbacks are found again by what the callback says:
 * the mm, the addresses and the event. The same triple may be pending many
 * times, because core mm nests invalidations in one thread and runs them in
 * parallel. Nothing tells which of them an end belongs to, and their ranges
 * may differ, since the driver's translation of the addresses may have changed
 * in between. So they share a token, which goes when the last of them ends.
 */
#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <trace/events/smmu_inval.h>

#include "internal.h"

int smmu_inval_pending_init(struct smmu_inval *si)
{
	unsigned int nr_tokens = si->cfg.nr_ranges + SMMU_INVAL_SLOTS;
	unsigned int i;

	si->tree = RB_ROOT_CACHED;
	si->slots_used = 0;
	si->hull_start = U64_MAX;
	si->hull_last = 0;
	si->overflow.start = U64_MAX;

	si->bucket_bits = max(ilog2(nr_tokens), 1);
	si->buckets = smmu_inval_alloc(1UL << si->bucket_bits,
				       sizeof(*si->buckets));
	si->tokens = smmu_inval_alloc(nr_tokens, sizeof(*si->tokens));
	si->nodes = smmu_inval_alloc(max(si->cfg.nr_ranges, 1U),
				     sizeof(*si->nodes));
	if (!si->buckets || !si->tokens || !si->nodes) {
		smmu_inval_pending_free(si);
		return -ENOMEM;
	}

	for (i = 0; i < nr_tokens; i++) {
		si->tokens[i].next_free = si->free_tokens;
		si->free_tokens = &si->tokens[i];
	}
	for (i = 0; i < si->cfg.nr_ranges; i++) {
		si->nodes[i].next = si->free_nodes;
		si->free_nodes = &si->nodes[i];
	}
	for (i = 0; i < SMMU_INVAL_SLOTS; i++)
		RB_CLEAR_NODE(&si->slots[i].it.rb);
	return 0;
}

void smmu_inval_pending_free(struct smmu_inval *si)
{
	kvfree(si->buckets);
	kvfree(si->tokens);
	kvfree(si->nodes);
}

/* The hull is what a check looks at first, and what those without the lock see. */
static void pending_more(struct smmu_inval *si, u64 start, u64 last)
{
	if (start < si->hull_start)
		WRITE_ONCE(si->hull_start, start);
	if (last > si->hull_last)
		WRITE_ONCE(si->hull_last, last);
	WRITE_ONCE(si->nr_pending, si->nr_pending + 1);
}

static void pending_less(struct smmu_inval *si)
{
	WRITE_ONCE(si->nr_pending, si->nr_pending - 1);
	if (si->nr_pending)
		return;
	WRITE_ONCE(si->hull_start, U64_MAX);
	WRITE_ONCE(si->hull_last, 0);
}

/* The overflow hull has users: the invalidations that put something there. */
static void overflow_get(struct smmu_inval *si)
{
	smmu_inval_count(si, overflow_pending, 1);
	si->overflow.users++;
	pending_more(si, si->overflow.start, si->overflow.last);
}

static noinline void overflow_grow(struct smmu_inval *si, u64 start, u64 last)
{
	si->overflow.start = min(si->overflow.start, start);
	si->overflow.last = max(si->overflow.last, last);
	if (start < si->hull_start)
		WRITE_ONCE(si->hull_start, start);
	if (last > si->hull_last)
		WRITE_ONCE(si->hull_last, last);
	trace_smmu_inval_overflow(si, SMMU_INVAL_COVER_PENDING, start, last);
}

static void overflow_put(struct smmu_inval *si)
{
	pending_less(si);
	if (--si->overflow.users)
		return;
	if (si->overflow.start <= si->overflow.last)
		smmu_inval_history_add(si, si->overflow.start,
				       si->overflow.last);
	si->overflow.start = U64_MAX;
	si->overflow.last = 0;
}

static struct smmu_inval_range *range_alloc(struct smmu_inval *si)
{
	unsigned int free = ~si->slots_used & GENMASK(SMMU_INVAL_SLOTS - 1, 0);
	struct smmu_inval_range *range;

	if (smmu_inval_should_fail(node))
		return NULL;
	if (free) {
		range = &si->slots[__ffs(free)];
		/* Its lowest bit */
		WRITE_ONCE(si->slots_used, si->slots_used | (free & -free));
		return range;
	}
	range = si->free_nodes;
	if (range)
		si->free_nodes = range->next;
	return range;
}

/* A slot is in no tree, and a node is, or was, or has never been. */
static bool range_is_slot(const struct smmu_inval_range *range)
{
	return RB_EMPTY_NODE(&range->it.rb);
}

static void range_free(struct smmu_inval *si, struct smmu_inval_range *range)
{
	if (range_is_slot(range)) {
		WRITE_ONCE(si->slots_used,
			   si->slots_used & ~BIT(range - si->slots));
	} else {
		interval_tree_remove(&range->it, &si->tree);
		range->next = si->free_nodes;
		si->free_nodes = range;
	}
	pending_less(si);
}

static struct hlist_head *token_bucket(struct smmu_inval *si, const void *mm,
				       unsigned long hva_start,
				       unsigned long hva_end)
{
	u64 key = (unsigned long)mm ^ hva_start ^ hash_64(hva_end, 64);

	return &si->buckets[hash_64(key, si->bucket_bits)];
}

struct smmu_inval_token *
smmu_inval_find_keyed(struct smmu_inval *si, enum smmu_inval_event event,
		      const void *mm, unsigned long hva_start,
		      unsigned long hva_end)
{
	struct smmu_inval_token *token;

	hlist_for_each_entry(token,
			     token_bucket(si, mm, hva_start, hva_end), hash)
		if (token->mm == mm && token->hva_start == hva_start &&
		    token->hva_end == hva_end && token->event == event)
			return token;
	return si->overflow.anon ? &si->overflow.token : NULL;
}

static struct smmu_inval_token *token_open(struct smmu_inval *si,
					   enum smmu_inval_event event)
{
	struct smmu_inval_token *token = si->free_tokens;

	if (token && !smmu_inval_should_fail(node)) {
		si->free_tokens = token->next_free;
		token->ranges = NULL;
		token->mm = NULL;
		token->event = event;
		token->refs = 1;
		token->overflowed = false;
		token->deferred = false;
		return token;
	}

	/* It has no name: all that is known of it is that it is there. */
	si->overflow.token.event = event;
	overflow_get(si);
	si->overflow.anon++;
	return &si->overflow.token;
}

static void begin_stats(struct smmu_inval *si, enum smmu_inval_event event)
{
	smmu_inval_count(si, event[event].callbacks, 1);
	trace_smmu_inval_begin(si, event);
}

/**
 * smmu_inval_begin() - open an invalidation
 * @si: the instance
 * @event: why
 *
 * From now until smmu_inval_end(), nothing may be installed into the ranges
 * that smmu_inval_add() gives to the token. There is no limit to how many
 * invalidations are open at once, in one thread or in several. Never fails:
 * past the configured number, ranges share a hull (I5).
 *
 * Context: the driver's lock held exclusively. Does not sleep.
 * Return: the token for smmu_inval_add() and smmu_inval_end(), which may be
 * called in another lock section and by another thread.
 */
struct smmu_inval_token *smmu_inval_begin(struct smmu_inval *si,
					  enum smmu_inval_event event)
{
	smmu_inval_assert_held_excl(si);
	if (WARN_ON_ONCE(event >= SMMU_INVAL_NR_EVENTS))
		event = SMMU_INVAL_DRIVER;
	if (!smmu_inval_debug_alive(si, "begin"))
		return &si->overflow.token;
	smmu_inval_debug_section(si);
	begin_stats(si, event);
	return token_open(si, event);
}
EXPORT_SYMBOL_GPL(smmu_inval_begin);

/* For callbacks: joins the token of the same triple, if one is pending. */
struct smmu_inval_token *
smmu_inval_begin_keyed(struct smmu_inval *si, enum smmu_inval_event event,
		       const void *mm, unsigned long hva_start,
		       unsigned long hva_end)
{
	struct smmu_inval_token *token;

	smmu_inval_assert_held_excl(si);
	smmu_inval_debug_section(si);
	begin_stats(si, event);

	token = smmu_inval_find_keyed(si, event, mm, hva_start, hva_end);
	if (token && token != &si->overflow.token) {
		token->refs++;
		return token;
	}
	token = token_open(si, event);
	if (token != &si->overflow.token) {
		token->mm = mm;
		token->hva_start = hva_start;
		token->hva_end = hva_end;
		hlist_add_head(&token->hash,
			       token_bucket(si, mm, hva_start, hva_end));
	}
	return token;
}

/* A second invalidation of the same triple mostly has the same ranges. */
static bool token_has(const struct smmu_inval_token *token, u64 start, u64 last)
{
	const struct smmu_inval_range *range;

	for (range = token->ranges; range; range = range->next)
		if (range->it.start == start && range->it.last == last)
			return true;
	return false;
}

static noinline void token_overflow(struct smmu_inval *si,
				    struct smmu_inval_token *token,
				    u64 start, u64 last)
{
	if (!token->overflowed)
		overflow_get(si);
	else
		smmu_inval_count(si, overflow_pending, 1);
	token->overflowed = true;
	overflow_grow(si, start, last);
}

/**
 * smmu_inval_add() - add a range to an open invalidation
 * @si: the instance
 * @token: from smmu_inval_begin()
 * @start: first unit, in the driver's address space
 * @last: last unit, inclusive; not below @start
 *
 * To be called before the secondary page tables of the range are changed, in
 * the same lock section. What lies outside the instance's address space is
 * clipped. Never fails (I5, I6).
 *
 * Context: the driver's lock held exclusively. Does not sleep.
 */
void smmu_inval_add(struct smmu_inval *si, struct smmu_inval_token *token,
		    u64 start, u64 last)
{
	enum smmu_inval_event event = token->event;
	struct smmu_inval_range *range;

	smmu_inval_assert_held_excl(si);
	if (!smmu_inval_debug_alive(si, "add"))
		return;
	if (start > last) {
		smmu_inval_misuse(si, "inverted range added", start, last,
				  event);
		start = 0;
		last = U64_MAX;
	}
	start = max(start, si->cfg.start);
	last = min(last, si->cfg.last);
	if (start > last)
		return;

	trace_smmu_inval_add(si, event, start, last);
	smmu_inval_count(si, event[event].asked,
			 smmu_inval_pages(si, start, last));
	if (token == &si->overflow.token) {
		overflow_grow(si, start, last);
		return;
	}
	if (unlikely(token->refs != 1)) {
		if (!token->refs) {
			smmu_inval_misuse(si, "range added after end", start,
					  last, event);
			return;
		}
		if (token_has(token, start, last))
			return;
	}

	range = range_alloc(si);
	if (!range) {
		token_overflow(si, token, start, last);
		return;
	}
	WRITE_ONCE(range->it.start, start);
	WRITE_ONCE(range->it.last, last);
	range->next = token->ranges;
	token->ranges = range;
	if (!range_is_slot(range))
		interval_tree_insert(&range->it, &si->tree);
	pending_more(si, start, last);
}
EXPORT_SYMBOL_GPL(smmu_inval_add);

/*
 * The last invalidation of a token is over. Usually its ranges retire into the
 * history. But while invalidations without a name are pending, it may be that
 * one of those has just ended, and the owner of this token goes on:
 *
 *	A: start(x), no node: unnamed
 *	B: start(x), a node is free again: token with B's ranges
 *	A: end(x), finds B's token
 *	B: still changes its ranges
 *
 * B's ranges then stay covered by the hull until all unnamed ones have ended.
 */
static void token_close(struct smmu_inval *si, struct smmu_inval_token *token)
{
	bool unsure = token->mm && si->overflow.anon;
	struct smmu_inval_range *range, *next;

	for (range = token->ranges; range; range = next) {
		next = range->next;
		if (unsure)
			overflow_grow(si, range->it.start, range->it.last);
		else
			smmu_inval_history_add(si, range->it.start,
					       range->it.last);
		range_free(si, range);
	}
	if (token->overflowed)
		overflow_put(si);
	if (token->mm)
		hlist_del(&token->hash);
	token->next_free = si->free_tokens;
	si->free_tokens = token;
}

/**
 * smmu_inval_end() - close an invalidation
 * @si: the instance
 * @token: from smmu_inval_begin()
 *
 * All ranges of the token retire into the history, where faults that began
 * before find them (I4), and faults that wait for them wake up. What the lock
 * section changed must be flushed before this call, not only before the
 * unlock: a fault that the end lets through must not see the device use what
 * was there before.
 *
 * Context: the driver's lock held exclusively. Does not sleep.
 */
void smmu_inval_end(struct smmu_inval *si, struct smmu_inval_token *token)
{
	smmu_inval_assert_held_excl(si);
	if (!smmu_inval_debug_alive(si, "end"))
		return;
	smmu_inval_debug_retire(si);

	if (token == &si->overflow.token) {
		if (!si->overflow.anon)
			goto misuse;
		si->overflow.anon--;
		trace_smmu_inval_end(si, SMMU_INVAL_NR_EVENTS);
		overflow_put(si);
	} else {
		if (!token || !token->refs)
			goto misuse;
		trace_smmu_inval_end(si, token->event);
		if (--token->refs)
			return;
		token_close(si, token);
	}
	smmu_inval_wake(si);
	return;

misuse:
	smmu_inval_misuse(si, "end without begin", 0, U64_MAX,
			  SMMU_INVAL_NR_EVENTS);
	smmu_inval_completed(si, 0, U64_MAX);
}
EXPORT_SYMBOL_GPL(smmu_inval_end);

/* Does a pending range overlap? The lock is held, at least shared. */
enum smmu_inval_hit smmu_inval_pending_hit(const struct smmu_inval *si,
					   u64 start, u64 last)
{
	const struct smmu_inval_range *range;
	unsigned int used;

	for (used = si->slots_used; used; used &= used - 1) {
		range = &si->slots[__ffs(used)];
		if (smmu_inval_overlaps(start, last, range->it.start,
					range->it.last))
			return SMMU_INVAL_HIT;
	}
	/* The tree is only read, but its API knows no const. */
	if (!RB_EMPTY_ROOT(&si->tree.rb_root) &&
	    interval_tree_iter_first((struct rb_root_cached *)&si->tree, start,
				     last))
		return SMMU_INVAL_HIT;
	if (si->overflow.users &&
	    smmu_inval_overlaps(start, last, si->overflow.start,
				si->overflow.last))
		return SMMU_INVAL_MAYBE;
	return SMMU_INVAL_MISS;
}

/*
 * The same without the lock: both answers may be wrong. Only if more is pending
 * than the slots hold, the hull is all that can be looked at.
 */
bool smmu_inval_pending_hint(const struct smmu_inval *si, u64 start, u64 last)
{
	unsigned int used = READ_ONCE(si->slots_used);
	const struct smmu_inval_range *range;

	if (READ_ONCE(si->nr_pending) > hweight32(used))
		return true;
	for (; used; used &= used - 1) {
		range = &si->slots[__ffs(used)];
		if (smmu_inval_overlaps(start, last, READ_ONCE(range->it.start),
					READ_ONCE(range->it.last)))
			return true;
	}
	return false;
}

/* Nothing may be installed any more, anywhere, for ever. */
void smmu_inval_pending_close(struct smmu_inval *si)
{
	if (si->dead)
		return;
	pending_more(si, 0, U64_MAX);
	WRITE_ONCE(si->dead, true);
}
