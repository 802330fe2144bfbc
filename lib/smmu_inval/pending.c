// SPDX-License-Identifier: GPL-2.0
/*
 * Pending ranges: what is between begin and end.
 *
 * A token stands for one invalidation, and owns as many ranges as that covers.
 * Nothing between begin and end may sleep for memory or fail for want of it (I8).
 * So the first few tokens are slots inside of the instance, each with room for one
 * range, searched one by one. More of them, and nodes for more ranges, come from
 * arrays that smmu_inval_init() filled; these ranges are in an interval tree. A
 * token with several ranges borrows slots that are free. What finds no node goes into
 * one hull, which covers too much but never too little (I5).
 *
 * Mostly an invalidation is one range, in its own slot, and nobody waits for it. What
 * is rarer is in functions of its own that the others end with, so that the common
 * way saves no registers, and finds a token that needs no preparation: one that is
 * free is all zero, but for what it is.
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
		si->tokens[i].more = true;
		si->tokens[i].next_free = si->free_tokens;
		si->free_tokens = &si->tokens[i];
	}
	for (i = 0; i < SMMU_INVAL_SLOTS; i++)
		si->slots[i].slot = BIT(i);
	for (i = 0; i < si->cfg.nr_ranges; i++) {
		si->nodes[i].next = si->free_nodes;
		si->free_nodes = &si->nodes[i];
	}
	return 0;
}

void smmu_inval_pending_free(struct smmu_inval *si)
{
	kvfree(si->buckets);
	kvfree(si->tokens);
	kvfree(si->nodes);
}

/* The hull is what a check looks at first, and what those without the lock see. */
static void hull_grow(struct smmu_inval *si, u64 start, u64 last)
{
	if (start < si->hull_start)
		WRITE_ONCE(si->hull_start, start);
	if (last > si->hull_last)
		WRITE_ONCE(si->hull_last, last);
}

/* Something is pending no more. */
static void hull_shrink(struct smmu_inval *si)
{
	/*
	 * One by one: as one word, which the compiler would make of them, they could
	 * not be read before what was just written to one of them is in the cache.
	 */
	if (READ_ONCE(si->slots_used) || READ_ONCE(si->nr_elsewhere))
		return;
	WRITE_ONCE(si->hull_start, U64_MAX);
	WRITE_ONCE(si->hull_last, 0);
}

static void elsewhere_more(struct smmu_inval *si)
{
	WRITE_ONCE(si->nr_elsewhere, si->nr_elsewhere + 1);
}

static void elsewhere_less(struct smmu_inval *si)
{
	WRITE_ONCE(si->nr_elsewhere, si->nr_elsewhere - 1);
}

/* The overflow hull has users: the invalidations that put something there. */
static void overflow_get(struct smmu_inval *si)
{
	smmu_inval_count(si, overflow_pending, 1);
	si->overflow.users++;
	elsewhere_more(si);
	hull_grow(si, si->overflow.start, si->overflow.last);
}

static noinline void overflow_grow(struct smmu_inval *si, u64 start, u64 last)
{
	si->overflow.start = min(si->overflow.start, start);
	si->overflow.last = max(si->overflow.last, last);
	hull_grow(si, start, last);
	trace_smmu_inval_overflow(si, SMMU_INVAL_COVER_PENDING, start, last);
}

static void overflow_put(struct smmu_inval *si)
{
	elsewhere_less(si);
	if (--si->overflow.users)
		return;
	if (si->overflow.start <= si->overflow.last)
		smmu_inval_history_add(si, si->overflow.start,
				       si->overflow.last);
	si->overflow.start = U64_MAX;
	si->overflow.last = 0;
}

static void slot_add(struct smmu_inval *si, struct smmu_inval_token *slot,
		     u64 start, u64 last)
{
	WRITE_ONCE(slot->start, start);
	WRITE_ONCE(slot->last, last);
	WRITE_ONCE(si->slots_used, si->slots_used | slot->slot);
	hull_grow(si, start, last);
}

/* One that is free, or NULL. */
static struct smmu_inval_token *slot_find(struct smmu_inval *si)
{
	struct smmu_inval_token *slot;

	for (slot = si->slots; slot < &si->slots[SMMU_INVAL_SLOTS]; slot++)
		if (!slot->refs)
			return slot;
	return NULL;
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

static void token_take(struct smmu_inval *si, struct smmu_inval_token *token,
		       enum smmu_inval_event event)
{
	if (unlikely(!token->slot))
		si->free_tokens = token->next_free;
	token->refs = 1;
	token->event = event;
}

/*
 * Somebody watches, or the counters are shared, or there is no token: then it has no
 * name, and all that is known of it is that it is there.
 */
static noinline struct smmu_inval_token *
open_rarely(struct smmu_inval *si, enum smmu_inval_event event,
	    struct smmu_inval_token *token, bool fail)
{
	if (token && !fail) {
		token_take(si, token, event);
	} else {
		token = &si->overflow.token;
		token->event = event;
		overflow_get(si);
		si->overflow.anon++;
	}
	smmu_inval_count_begun(si, event, 1, 0);
	trace_smmu_inval_begin(si, event);
	return token;
}

static __always_inline struct smmu_inval_token *
token_open(struct smmu_inval *si, enum smmu_inval_event event)
{
	struct smmu_inval_token *token = slot_find(si) ?: si->free_tokens;
	bool fail = smmu_inval_should_fail(node);

	if (unlikely(!token || fail || !si->begun) ||
	    trace_smmu_inval_begin_enabled())
		return open_rarely(si, event, token, fail);
	si->begun[event].callbacks++;
	token_take(si, token, event);
	return token;
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

	token = smmu_inval_find_keyed(si, event, mm, hva_start, hva_end);
	if (token && token != &si->overflow.token) {
		smmu_inval_count_begun(si, event, 1, 0);
		trace_smmu_inval_begin(si, event);
		token->refs++;
		return token;
	}
	token = token_open(si, event);
	if (token == &si->overflow.token)
		return token;
	token->mm = mm;
	token->hva_start = hva_start;
	token->hva_end = hva_end;
	hlist_add_head(&token->hash, token_bucket(si, mm, hva_start, hva_end));
	return token;
}

/* A second invalidation of the same triple mostly has the same ranges. */
static bool token_has(const struct smmu_inval *si,
		      const struct smmu_inval_token *token, u64 start, u64 last)
{
	struct smmu_inval_walk walk = smmu_inval_walk(si, token);

	while (smmu_inval_walk_next(si, &walk))
		if (walk.start == start && walk.last == last)
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
	token->more = true;
	overflow_grow(si, start, last);
}

/* Its own slot is full, or it is none. */
static noinline void add_elsewhere(struct smmu_inval *si,
				   struct smmu_inval_token *token,
				   u64 start, u64 last)
{
	struct smmu_inval_range *range = si->free_nodes;
	struct smmu_inval_token *slot = NULL;

	/* Who is no slot was opened when none was free: mostly none is now. */
	if (token->slot || !range)
		slot = slot_find(si);
	if (!slot && !range) {
		token_overflow(si, token, start, last);
		return;
	}
	token->more = true;
	if (slot) {
		slot->refs = 1;
		token->borrowed |= slot->slot;
		slot_add(si, slot, start, last);
		return;
	}
	si->free_nodes = range->next;
	range->it.start = start;
	range->it.last = last;
	range->next = token->ranges;
	token->ranges = range;
	elsewhere_more(si);
	hull_grow(si, start, last);
	interval_tree_insert(&range->it, &si->tree);
}

static __always_inline void range_add(struct smmu_inval *si,
				      struct smmu_inval_token *token,
				      u64 start, u64 last)
{
	if (smmu_inval_should_fail(node))
		token_overflow(si, token, start, last);
	else if (likely(token->slot & ~si->slots_used))
		slot_add(si, token, start, last);
	else
		add_elsewhere(si, token, start, last);
}

/*
 * The token is shared, has no name, or is not open; or somebody watches, or the
 * counters are shared.
 */
static noinline void add_rarely(struct smmu_inval *si,
				struct smmu_inval_token *token, u64 start,
				u64 last)
{
	smmu_inval_count_begun(si, token->event, 0,
			       smmu_inval_pages(si, start, last));
	trace_smmu_inval_add(si, token->event, start, last);
	if (token == &si->overflow.token)
		overflow_grow(si, start, last);
	else if (!token->refs)
		smmu_inval_misuse(si, "range added after end", start, last,
				  token->event);
	else if (token->refs == 1 || !token_has(si, token, start, last))
		range_add(si, token, start, last);
}

static noinline void add_inverted(struct smmu_inval *si,
				  struct smmu_inval_token *token, u64 start,
				  u64 last)
{
	smmu_inval_misuse(si, "inverted range added", start, last, token->event);
	smmu_inval_add(si, token, 0, U64_MAX);
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
	smmu_inval_assert_held_excl(si);
	if (!smmu_inval_debug_alive(si, "add"))
		return;
	if (unlikely(start > last)) {
		add_inverted(si, token, start, last);
		return;
	}
	start = max(start, si->cfg.start);
	last = min(last, si->cfg.last);
	if (start > last)
		return;

	if (unlikely(token->refs != 1 || !si->begun) ||
	    trace_smmu_inval_add_enabled()) {
		add_rarely(si, token, start, last);
		return;
	}
	si->begun[token->event].asked += smmu_inval_pages(si, start, last);
	range_add(si, token, start, last);
}
EXPORT_SYMBOL_GPL(smmu_inval_add);

static void token_free(struct smmu_inval *si, struct smmu_inval_token *token)
{
	if (token->mm) {
		hlist_del(&token->hash);
		token->mm = NULL;
		token->deferred = false;
	}
	token->refs = 0;
}

static void retire(struct smmu_inval *si, bool unsure, u64 start, u64 last)
{
	if (unlikely(unsure))
		overflow_grow(si, start, last);
	else
		smmu_inval_history_add(si, start, last);
}

static void slots_retire(struct smmu_inval *si, struct smmu_inval_token *token,
			 bool unsure)
{
	unsigned int slots = token->borrowed | (token->slot & si->slots_used);
	struct smmu_inval_token *slot;

	WRITE_ONCE(si->slots_used, si->slots_used & ~slots);
	token->borrowed = 0;
	for (; slots; slots &= slots - 1) {
		slot = &si->slots[__ffs(slots)];
		retire(si, unsure, slot->start, slot->last);
		slot->refs = 0;
	}
}

static void nodes_retire(struct smmu_inval *si, struct smmu_inval_token *token,
			 bool unsure)
{
	struct smmu_inval_range *range, *next;

	for (range = token->ranges; range; range = next) {
		next = range->next;
		retire(si, unsure, range->it.start, range->it.last);
		interval_tree_remove(&range->it, &si->tree);
		range->next = si->free_nodes;
		si->free_nodes = range;
		elsewhere_less(si);
	}
	token->ranges = NULL;
}

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

	if (token->slot || token->borrowed)
		slots_retire(si, token, unsure);
	nodes_retire(si, token, unsure);
	if (token->overflowed)
		overflow_put(si);
	token->overflowed = false;
	token_free(si, token);
	token->more = !token->slot;
	if (!token->slot) {
		token->next_free = si->free_tokens;
		si->free_tokens = token;
	}
}

/* Who wants to know that something has ended, of which the most have nobody. */
static bool end_is_told(const struct smmu_inval *si)
{
	return trace_smmu_inval_end_enabled() || !list_empty(&si->waiters);
}

static noinline void end_tell(struct smmu_inval *si, enum smmu_inval_event event)
{
	trace_smmu_inval_end(si, event);
	smmu_inval_wake(si);
}

/* Not just the last of a slot with its range. */
static noinline void end_rarely(struct smmu_inval *si,
				struct smmu_inval_token *token)
{
	enum smmu_inval_event event = SMMU_INVAL_NR_EVENTS;

	if (token == &si->overflow.token && si->overflow.anon) {
		si->overflow.anon--;
		overflow_put(si);
	} else if (token && token->refs) {
		event = token->event;
		if (!--token->refs)
			token_close(si, token);
	} else {
		smmu_inval_misuse(si, "end without begin", 0, U64_MAX, event);
		smmu_inval_completed(si, 0, U64_MAX);
		return;
	}
	hull_shrink(si);
	end_tell(si, event);
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

	if (unlikely(!token || token->refs != 1 || token->more ||
		     si->overflow.anon)) {
		end_rarely(si, token);
		return;
	}
	if (likely(si->slots_used & token->slot)) {
		smmu_inval_history_add(si, token->start, token->last);
		WRITE_ONCE(si->slots_used, si->slots_used & ~token->slot);
	}
	token_free(si, token);
	hull_shrink(si);
	if (unlikely(end_is_told(si)))
		end_tell(si, token->event);
}
EXPORT_SYMBOL_GPL(smmu_inval_end);

/*
 * Does something overlap that is pending, but in no slot? The lock is held, at
 * least shared.
 */
enum smmu_inval_hit smmu_inval_elsewhere_hit(const struct smmu_inval *si,
					     u64 start, u64 last)
{
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

/* Nothing may be installed any more, anywhere, for ever. */
void smmu_inval_pending_close(struct smmu_inval *si)
{
	if (si->dead)
		return;
	/* Without a lock nothing is pending, and two may be here at once. */
	if (smmu_inval_has_lock(si)) {
		elsewhere_more(si);
		hull_grow(si, 0, U64_MAX);
	}
	WRITE_ONCE(si->dead, true);
}
