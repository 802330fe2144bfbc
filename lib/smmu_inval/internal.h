/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the library share. None of it is for drivers.
 */
#ifndef _SMMU_INVAL_INTERNAL_H
#define _SMMU_INVAL_INTERNAL_H

#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/smmu_inval.h>

#define SMMU_INVAL_MAGIC	0x534d4d5549ul

extern bool smmu_inval_coarse;

/* lock.c: the driver's lock, exclusively. */

void smmu_inval_lock(struct smmu_inval *si, unsigned long *flags);
bool smmu_inval_trylock(struct smmu_inval *si, unsigned long *flags);
void smmu_inval_unlock(struct smmu_inval *si, unsigned long flags);

static inline bool smmu_inval_lock_sleeps(const struct smmu_inval *si)
{
	return si->cfg.lock.kind == SMMU_INVAL_MUTEX ||
	       si->cfg.lock.kind == SMMU_INVAL_RWSEM;
}

static inline bool smmu_inval_has_lock(const struct smmu_inval *si)
{
	return si->cfg.lock.kind != SMMU_INVAL_LOCKLESS;
}

#ifdef CONFIG_DEBUG_LOCK_ALLOC
/* What there is none of, nobody has to hold. */
static inline bool smmu_inval_lock_is_held(const struct smmu_inval *si)
{
	return !debug_locks || !smmu_inval_has_lock(si) ||
	       lock_is_held(si->cfg.lock.dep_map);
}

static inline void smmu_inval_assert_held(const struct smmu_inval *si)
{
	WARN_ON_ONCE(!smmu_inval_lock_is_held(si));
}

static inline void smmu_inval_assert_held_excl(const struct smmu_inval *si)
{
	WARN_ON_ONCE(debug_locks &&
		     (!smmu_inval_has_lock(si) ||
		      !lock_is_held_type(si->cfg.lock.dep_map, 0)));
}
#else
static inline bool smmu_inval_lock_is_held(const struct smmu_inval *si)
{
	return true;
}

static inline void smmu_inval_assert_held(const struct smmu_inval *si) { }
static inline void smmu_inval_assert_held_excl(const struct smmu_inval *si) { }
#endif

/* Ranges. */

static inline bool smmu_inval_overlaps(u64 start1, u64 last1,
				       u64 start2, u64 last2)
{
	return start1 <= last2 && start2 <= last1;
}

/* How many pages a range touches; only 2^64 bytes would not fit a u64. */
static inline u64 smmu_inval_pages(const struct smmu_inval *si,
				   u64 start, u64 last)
{
	return (last >> si->cfg.page_shift) - (start >> si->cfg.page_shift) + 1;
}

/* How sure a check is: did a range of its own say so, or a coarser cover? */
enum smmu_inval_hit {
	SMMU_INVAL_MISS,
	SMMU_INVAL_MAYBE,
	SMMU_INVAL_HIT,
};

/* The coarse switch, of the instance or of all of them, or after misuse. */
static inline bool smmu_inval_is_coarse(const struct smmu_inval *si)
{
	return READ_ONCE(si->coarse) || READ_ONCE(si->safe_side) ||
	       READ_ONCE(smmu_inval_coarse);
}

/* Put a list of page-table pages in front of another, which may be empty. */
static inline void smmu_inval_join_tables(struct llist_node **tables,
					  struct llist_node *more)
{
	while (*tables)
		tables = &(*tables)->next;
	*tables = more;
}

/* pending.c */

int smmu_inval_pending_init(struct smmu_inval *si);
void smmu_inval_pending_free(struct smmu_inval *si);
struct smmu_inval_token *
smmu_inval_begin_keyed(struct smmu_inval *si, enum smmu_inval_event event,
		       const void *mm, unsigned long hva_start,
		       unsigned long hva_end);
struct smmu_inval_token *
smmu_inval_find_keyed(struct smmu_inval *si, enum smmu_inval_event event,
		      const void *mm, unsigned long hva_start,
		      unsigned long hva_end);
enum smmu_inval_hit smmu_inval_elsewhere_hit(const struct smmu_inval *si,
					     u64 start, u64 last);
void smmu_inval_pending_close(struct smmu_inval *si);

/*
 * Is a pending range in the slots that overlaps? Also without the lock, where both
 * answers may be wrong.
 */
static inline bool smmu_inval_slots_hit(const struct smmu_inval *si,
					u64 start, u64 last)
{
	unsigned int used, hit = 0;

	for (used = READ_ONCE(si->slots_used); used; used &= used - 1) {
		const struct smmu_inval_token *slot = &si->slots[__ffs(used)];

		/* Without a branch for each, which nobody could predict. */
		hit |= (start <= READ_ONCE(slot->last)) &
		       (last >= READ_ONCE(slot->start));
	}
	return hit;
}

/* Does a pending range overlap? The lock is held, at least shared. */
static inline enum smmu_inval_hit
smmu_inval_pending_hit(const struct smmu_inval *si, u64 start, u64 last)
{
	if (smmu_inval_slots_hit(si, start, last))
		return SMMU_INVAL_HIT;
	return si->nr_elsewhere ? smmu_inval_elsewhere_hit(si, start, last) :
				  SMMU_INVAL_MISS;
}

/* The ranges of a token, one by one: what is in slots, then what is in the tree. */
struct smmu_inval_walk {
	u64 start;
	u64 last;
	unsigned int slots;
	const struct smmu_inval_range *next;
};

static inline struct smmu_inval_walk
smmu_inval_walk(const struct smmu_inval *si,
		const struct smmu_inval_token *token)
{
	return (struct smmu_inval_walk){
		.slots = token->borrowed | (token->slot & si->slots_used),
		.next = token->ranges,
	};
}

static inline bool smmu_inval_walk_next(const struct smmu_inval *si,
					struct smmu_inval_walk *walk)
{
	if (walk->slots) {
		walk->start = si->slots[__ffs(walk->slots)].start;
		walk->last = si->slots[__ffs(walk->slots)].last;
		walk->slots &= walk->slots - 1;
		return true;
	}
	if (!walk->next)
		return false;
	walk->start = walk->next->it.start;
	walk->last = walk->next->it.last;
	walk->next = walk->next->next;
	return true;
}

/* history.c */

int smmu_inval_history_init(struct smmu_inval *si);
void smmu_inval_history_free(struct smmu_inval *si);
static inline void smmu_inval_history_add(struct smmu_inval *si,
					  u64 start, u64 last)
{
	struct smmu_inval_done *done;

	done = &si->history[si->seq & (si->cfg.nr_history - 1)];
	done->start = start;
	done->last = last;
	/*
	 * Pairs with the acquire in smmu_inval_read_begin(): the primary page
	 * tables changed before the sequence did.
	 */
	smp_store_release(&si->seq, si->seq + 1);
}

enum smmu_inval_hit smmu_inval_history_hit(struct smmu_inval *si, u64 cookie,
					   u64 start, u64 last);

/* retry.c */

bool smmu_inval_count_retry(struct smmu_inval *si, enum smmu_inval_hit pending,
			    enum smmu_inval_hit done, u64 start, u64 last);

/* wait.c */

void smmu_inval_wait_init(struct smmu_inval *si);
void __smmu_inval_wake(struct smmu_inval *si);

static inline void smmu_inval_wake(struct smmu_inval *si)
{
	if (!list_empty(&si->waiters))
		__smmu_inval_wake(si);
}

/* flight.c */

void smmu_inval_flight_add(struct smmu_inval *si, u64 start, u64 last,
			   u64 ticket);
void smmu_inval_flight_landed(struct smmu_inval *si, u64 ticket);
u64 smmu_inval_flight_newest(const struct smmu_inval *si, u64 start, u64 last);

/* interval.c */

extern bool smmu_inval_two_pass;

/* second.c: the second pass of interval notifiers, where core mm has one. */

int smmu_inval_second_join(struct smmu_inval_interval *ival,
			   struct mm_struct *mm, bool locked);
void smmu_inval_second_leave(struct smmu_inval_interval *ival);
void smmu_inval_second_defer(struct smmu_inval_interval *ival,
			     struct smmu_inval_drain *drain, u64 start, u64 last);
void smmu_inval_second_exit(void);

/* event.c */

enum smmu_inval_event
smmu_inval_range_event(const struct mmu_notifier_range *range);
bool smmu_inval_range_hva(struct smmu_inval *si, unsigned long start,
			  unsigned long end, struct smmu_inval_span *span);
bool smmu_inval_has_hvas(const struct smmu_inval *si);
bool smmu_inval_ignores(enum smmu_inval_event event,
			enum smmu_inval_action action);
void smmu_inval_apply(struct smmu_inval *si, struct smmu_inval_batch *batch,
		      const struct smmu_inval_span *span,
		      enum smmu_inval_action action);

/* mn.c */

extern struct workqueue_struct *smmu_inval_wq;

/* tlb.c */

/*
 * What a callback wants flushed; on its stack, where it stays until the flush is
 * over.
 */
struct smmu_inval_tlb_request {
	struct llist_node node;
	struct smmu_inval_span span;
	bool all;
	bool done;
};

bool smmu_inval_tlb_fits(const struct smmu_inval *si);

/* stats.c */

/*
 * Not this_cpu_add() where the architecture has no instruction for it, and turns
 * interrupts off: nothing counts in an interrupt. Callbacks of mmu_notifiers and
 * of TLB flushes never come in one, and a driver that takes faults in one holds a
 * lock that keeps it away. (The symbol is what mm/vmstat.c asks, too.)
 */
#ifdef CONFIG_HAVE_CMPXCHG_LOCAL
#define smmu_inval_count(si, counter, n)				\
	this_cpu_add((si)->stats->counter, n)
#else
#define smmu_inval_count(si, counter, n)				\
	do {								\
		preempt_disable();					\
		__this_cpu_add((si)->stats->counter, n);		\
		preempt_enable();					\
	} while (0)
#endif

/* An invalidation began, of so many pages. The lock is held exclusively. */
static inline void smmu_inval_count_begun(struct smmu_inval *si,
					  enum smmu_inval_event event,
					  unsigned int callbacks, u64 pages)
{
	if (likely(si->begun)) {
		si->begun[event].callbacks += callbacks;
		si->begun[event].asked += pages;
	} else {
		smmu_inval_count(si, event[event].callbacks, callbacks);
		smmu_inval_count(si, event[event].asked, pages);
	}
}

int smmu_inval_stats_init(struct smmu_inval *si);
void smmu_inval_stats_free(struct smmu_inval *si);
void smmu_inval_debugfs_add(struct smmu_inval *si);
void smmu_inval_debugfs_init(void);
void smmu_inval_debugfs_exit(void);

/* misuse.c: one WARN per instance, which then goes to the safe side. */

void smmu_inval_misuse(struct smmu_inval *si, const char *what,
		       u64 start, u64 last, enum smmu_inval_event event);

#ifdef CONFIG_SMMU_INVAL_DEBUG
bool smmu_inval_debug_alive(struct smmu_inval *si, const char *who);
void smmu_inval_debug_section(struct smmu_inval *si);
void smmu_inval_debug_open(struct smmu_inval *si, u64 start, u64 last,
			   enum smmu_inval_event event);
void smmu_inval_debug_closed(struct smmu_inval *si);
void smmu_inval_debug_retire(struct smmu_inval *si);
#else
static inline bool smmu_inval_debug_alive(struct smmu_inval *si,
					  const char *who)
{
	return true;
}

static inline void smmu_inval_debug_section(struct smmu_inval *si) { }
static inline void smmu_inval_debug_open(struct smmu_inval *si, u64 start,
					 u64 last,
					 enum smmu_inval_event event) { }
static inline void smmu_inval_debug_closed(struct smmu_inval *si) { }
static inline void smmu_inval_debug_retire(struct smmu_inval *si) { }
#endif

/* inject.c: what can fail on demand. */

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
#include <linux/fault-inject.h>

extern struct fault_attr smmu_inval_fail_alloc;
extern struct fault_attr smmu_inval_fail_node;
extern struct fault_attr smmu_inval_fail_nonblock;
extern struct fault_attr smmu_inval_fail_batch;

void smmu_inval_inject_init(struct dentry *dir);
#define smmu_inval_should_fail(what) should_fail(&smmu_inval_fail_##what, 1)
#else
static inline void smmu_inval_inject_init(struct dentry *dir) { }
#define smmu_inval_should_fail(what) false
#endif

/* Zeroed memory for an array, to be freed by kvfree(). Sleeps. */
static inline void *smmu_inval_alloc(size_t nr, size_t size)
{
	return smmu_inval_should_fail(alloc) ? NULL :
	       kvcalloc(nr, size, GFP_KERNEL);
}

#endif /* _SMMU_INVAL_INTERNAL_H */
