/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Secondary-MMU invalidation: what a driver that mirrors the page tables of a
 * process needs to follow every change that core mm makes to them.
 *
 * Ranges are [start, last], inclusive, u64, in the driver's own address space
 * (user addresses, IOVAs, GFNs) unless a name says otherwise.
 */
#ifndef _LINUX_SMMU_INVAL_H
#define _LINUX_SMMU_INVAL_H

#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/hashtable.h>
#include <linux/interval_tree.h>
#include <linux/llist.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct dentry;
struct smmu_inval;
struct smmu_inval_batch;
struct smmu_inval_look;
struct smmu_inval_peers;
struct smmu_inval_second_pass;
struct smmu_inval_stats;
struct smmu_inval_token;

/**
 * enum smmu_inval_event - why translations have to change
 * @SMMU_INVAL_UNMAP: munmap(), the source of mremap(); OOM reaping before 7.x
 * @SMMU_INVAL_CLEAR: copy-on-write, migration, reclaim, THP, KSM, madvise()
 * @SMMU_INVAL_PROTECTION_VMA: mprotect(), NUMA hinting, userfaultfd write
 *	protection, PAGEMAP_SCAN
 * @SMMU_INVAL_PROTECTION_PAGE: fork(), writeback's page_mkclean()
 * @SMMU_INVAL_SOFT_DIRTY: clear_refs
 * @SMMU_INVAL_RELEASE: the address space goes away; no end follows
 * @SMMU_INVAL_MIGRATE: migrate_vma_setup(), with an owner
 * @SMMU_INVAL_EXCLUSIVE: device-exclusive access, with an owner
 * @SMMU_INVAL_DRIVER: the driver's own: a memslot goes, attributes change
 * @SMMU_INVAL_TLB: a secondary TLB follows a flush of the CPU's
 * @SMMU_INVAL_NR_EVENTS: how many there are
 *
 * The first eight are enum mmu_notifier_event, in its order.
 */
enum smmu_inval_event {
	SMMU_INVAL_UNMAP,
	SMMU_INVAL_CLEAR,
	SMMU_INVAL_PROTECTION_VMA,
	SMMU_INVAL_PROTECTION_PAGE,
	SMMU_INVAL_SOFT_DIRTY,
	SMMU_INVAL_RELEASE,
	SMMU_INVAL_MIGRATE,
	SMMU_INVAL_EXCLUSIVE,
	SMMU_INVAL_DRIVER,
	SMMU_INVAL_TLB,
	SMMU_INVAL_NR_EVENTS,
};

/**
 * enum smmu_inval_action - what an event demands of a translation
 * @SMMU_INVAL_KEEP: nothing
 * @SMMU_INVAL_WRPROTECT: nothing may write through it from now on
 * @SMMU_INVAL_DECIDE: nothing yet; the end callback looks at the primary page
 *	tables and decides for each translation
 * @SMMU_INVAL_ZAP: it goes
 *
 * In the order of strictness: doing more than asked is always allowed.
 */
enum smmu_inval_action {
	SMMU_INVAL_KEEP,
	SMMU_INVAL_WRPROTECT,
	SMMU_INVAL_DECIDE,
	SMMU_INVAL_ZAP,
};

/**
 * struct smmu_inval_span - a part of the driver's address space
 * @start: first unit
 * @last: last unit, inclusive
 * @events: BIT(enum smmu_inval_event) for each event that changed it
 */
struct smmu_inval_span {
	u64 start;
	u64 last;
	u16 events;
};

/**
 * struct smmu_inval_flush - what one TLB flush has to cover
 * @spans: sorted, disjoint; valid only during the call
 * @nr: how many; 0 if @all
 * @all: drop every cached translation of the instance
 */
struct smmu_inval_flush {
	const struct smmu_inval_span *spans;
	unsigned int nr;
	bool all;
};

/**
 * struct smmu_inval_ops - what the library asks of a driver
 *
 * All but @flush are optional for a driver that uses the core only; a binding
 * asks for those that it calls and refuses an instance without them. None may
 * fail (I6).
 */
struct smmu_inval_ops {
	/**
	 * @zap: remove the translations of @span, and report what was removed
	 * with smmu_inval_changed(). Lock held; the bindings flush @batch
	 * before they drop it. A driver may yield the lock in the middle if
	 * smmu_inval_may_yield() says so, and calls smmu_inval_batch_flush()
	 * before. Must not sleep for memory.
	 */
	void (*zap)(struct smmu_inval *si, struct smmu_inval_batch *batch,
		    const struct smmu_inval_span *span);
	/**
	 * @wrprotect: as @zap, but the translations stay, readable. Nothing may
	 * make them writable again except a fault that goes through
	 * smmu_inval_read_retry(). Exclusive and atomic access ends too.
	 * Without it the library zaps.
	 */
	void (*wrprotect)(struct smmu_inval *si, struct smmu_inval_batch *batch,
			  const struct smmu_inval_span *span);
	/**
	 * @decide: for each translation of the user addresses that @look
	 * covers, ask smmu_inval_verdict() and do what it says. Lock held, as
	 * in @zap. Without it PROTECTION_VMA zaps.
	 */
	void (*decide)(struct smmu_inval *si, struct smmu_inval_batch *batch,
		       const struct smmu_inval_look *look);
	/**
	 * @add_ranges: translate the user addresses @span to the driver's
	 * address space: call smmu_inval_add() for each part that the driver
	 * may map, and @zap or @wrprotect get the same @span. Lock held.
	 * What was not reported must not become mappable before the end of
	 * the invalidation: a driver whose translation of user addresses
	 * changes waits for the open ones first, as KVM does when memslots
	 * change. Without it the driver's addresses are user addresses.
	 */
	void (*add_ranges)(struct smmu_inval *si, struct smmu_inval_token *token,
			   const struct smmu_inval_span *span);
	/**
	 * @flush: make the device forget what @flush names, and return when it
	 * has. Lock held; must not sleep if the lock does not. For a secondary
	 * TLB without a lock, on several CPUs at once and from any context.
	 */
	void (*flush)(struct smmu_inval *si, const struct smmu_inval_flush *flush);
	/**
	 * @flush_issue: start the same and return a ticket at once. Tickets are
	 * never 0 and never decrease; a ticket is done when all tickets up to
	 * it are. Lock held exclusively. Goes with @flush_wait.
	 */
	u64 (*flush_issue)(struct smmu_inval *si,
			   const struct smmu_inval_flush *flush);
	/**
	 * @flush_wait: return when @ticket is done. Called without the lock,
	 * by several callers at once. With start and end callbacks it must not
	 * sleep, since those of the OOM reaper may not. It must not wait for
	 * anybody who waits for mmu_notifiers: who unregisters one, removes an
	 * interval, or drops the last reference on the users of an mm.
	 */
	void (*flush_wait)(struct smmu_inval *si, u64 ticket);
	/**
	 * @free_tables: free the page-table pages handed to
	 * smmu_inval_batch_free_later(); the flush that covers them is over.
	 * With the lock held or not.
	 */
	void (*free_tables)(struct smmu_inval *si, struct llist_node *tables);
	/**
	 * @release: the process is gone: stop the device from using its
	 * address space, before the return. May be called again. Called
	 * without the driver's lock; smmu_inval_mn_get() and _put() of the
	 * same class wait for it.
	 */
	void (*release)(struct smmu_inval *si);
	/**
	 * @free: the last callback of a binding taken with get and put is over.
	 * Process context; may sleep.
	 */
	void (*free)(struct smmu_inval *si);
	/** @clear_flush_young: test and clear accessed; user addresses. */
	bool (*clear_flush_young)(struct smmu_inval *si, u64 start, u64 last);
	/** @clear_young: the same, without any flush. */
	bool (*clear_young)(struct smmu_inval *si, u64 start, u64 last);
	/** @test_young: test accessed. */
	bool (*test_young)(struct smmu_inval *si, u64 addr);
};

/*
 * The kinds of lock that a driver may protect its secondary MMU with. A
 * spinlock that protects a secondary TLB is taken with interrupts off, and a
 * secondary TLB may do without: nothing is ever pending there. Other drivers whose
 * interrupt handlers take their spinlock say so: .kind = SMMU_INVAL_SPINLOCK_IRQ.
 */
enum smmu_inval_lock_kind {
	SMMU_INVAL_NO_LOCK,
	SMMU_INVAL_LOCKLESS,
	SMMU_INVAL_SPINLOCK,
	SMMU_INVAL_SPINLOCK_IRQ,
	SMMU_INVAL_RAW_SPINLOCK,
	SMMU_INVAL_RWLOCK,
	SMMU_INVAL_MUTEX,
	SMMU_INVAL_RWSEM,
};

/**
 * struct smmu_inval_lock - the driver's lock, as the bindings see it
 * @kind: which kind of lock it is
 * @lock: the lock
 * @dep_map: its lockdep map, NULL without lockdep
 *
 * Made by SMMU_INVAL_LOCK(). Bindings take it exclusively; of the raw spinlock
 * they save and disable interrupts too, since secondary-TLB callbacks come from
 * any context. A secondary TLB whose ops->flush locks for itself has .kind =
 * SMMU_INVAL_LOCKLESS and no @lock.
 */
struct smmu_inval_lock {
	enum smmu_inval_lock_kind kind;
	void *lock;
	struct lockdep_map *dep_map;
};

#ifdef CONFIG_DEBUG_LOCK_ALLOC
#define __SMMU_INVAL_DEP_MAP(l)	(&(l)->dep_map)
#else
#define __SMMU_INVAL_DEP_MAP(l)	NULL
#endif

/**
 * SMMU_INVAL_LOCK() - describe the driver's lock to smmu_inval_init()
 * @l: pointer to a spinlock_t, raw_spinlock_t, rwlock_t, struct mutex or struct
 *	rw_semaphore
 */
#define SMMU_INVAL_LOCK(l)						\
	((struct smmu_inval_lock) {					\
		.kind = _Generic((l),					\
				 spinlock_t *: SMMU_INVAL_SPINLOCK,	\
				 raw_spinlock_t *: SMMU_INVAL_RAW_SPINLOCK, \
				 rwlock_t *: SMMU_INVAL_RWLOCK,		\
				 struct mutex *: SMMU_INVAL_MUTEX,	\
				 struct rw_semaphore *: SMMU_INVAL_RWSEM), \
		.lock = (l),						\
		.dep_map = __SMMU_INVAL_DEP_MAP(l),			\
	})

/**
 * struct smmu_inval_config - what a driver declares about its secondary MMU
 * @name: names the instance in traces and in debugfs
 * @lock: SMMU_INVAL_LOCK(&drv->lock): protects the secondary page tables and
 *	the instance
 * @start: first unit of the driver's address space
 * @last: its last unit, inclusive; what lies outside is clipped
 * @page_shift: units to pages, for counting: PAGE_SHIFT for addresses in
 *	bytes, 0 for GFNs
 * @nr_ranges: how many pending ranges, and how many invalidations, get nodes
 *	of their own, beyond the few inline ones; more share a hull
 * @nr_history: how many completions are remembered; a power of two
 * @flush_spans: how many spans one flush takes, 1 to SMMU_INVAL_BATCH_SPANS; 0
 *	if the device can only flush everything
 * @flush_pages: above how many pages a full flush is cheaper; 0 for never
 * @zap_events: BIT(enum smmu_inval_event) for each event that is to zap,
 *	whatever less the event would allow
 * @owner: pgmap owner of the driver's device memory, or NULL: MIGRATE and
 *	EXCLUSIVE events with this owner keep everything. What the driver
 *	migrates it has to write-protect, before it is copied, and to zap,
 *	before the old pages are freed, itself
 * @late_debugfs: for instances that are made with mmap_lock held, as @alloc of
 *	smmu_inval_mn_class_init() is: smmu_inval_mn_get() adds the directory in
 *	debugfs, whose locks must not be taken inside of mmap_lock
 * @zap_sleeps: zap or flush sleep for more than the lock, which has to be one
 *	that sleeps: a callback that may not wait is sent away at once
 * @shared_stats: for drivers with an instance for each buffer, where counters
 *	for each CPU would take more memory than all else: it counts in what all
 *	such instances share, and has no directory of its own in debugfs
 * @coarse: start with the coarse switch on, see smmu_inval_set_coarse()
 */
struct smmu_inval_config {
	const char *name;
	struct smmu_inval_lock lock;
	u64 start;
	u64 last;
	unsigned int page_shift;
	unsigned int nr_ranges;
	unsigned int nr_history;
	unsigned int flush_spans;
	u64 flush_pages;
	unsigned long zap_events;
	void *owner;
	bool late_debugfs;
	bool zap_sleeps;
	bool shared_stats;
	bool coarse;
};

/* Spans that a batch keeps apart, ranges and invalidations kept inline. */
#define SMMU_INVAL_BATCH_SPANS	8
#define SMMU_INVAL_SLOTS	4
#define SMMU_INVAL_FLIGHTS	8
/* Nobody needs more, and a typing error should not eat the memory. */
#define SMMU_INVAL_MAX_RANGES	BIT(20)

/* What fits most drivers whose addresses are user addresses. */
#define SMMU_INVAL_CONFIG_DEFAULTS			\
	.start = 0,					\
	.last = ULONG_MAX,				\
	.page_shift = PAGE_SHIFT,			\
	.nr_ranges = 64,				\
	.nr_history = 64,				\
	.flush_spans = SMMU_INVAL_BATCH_SPANS

/*
 * And a driver with an instance for each buffer or region, bound to intervals: what
 * is pending is in the records of those.
 */
#define SMMU_INVAL_OBJECT_CONFIG_DEFAULTS		\
	.start = 0,					\
	.last = ULONG_MAX,				\
	.page_shift = PAGE_SHIFT,			\
	.nr_history = 1,				\
	.flush_spans = SMMU_INVAL_BATCH_SPANS,		\
	.shared_stats = true

/* And a secondary TLB, of which nothing is ever pending. */
#define SMMU_INVAL_TLB_CONFIG_DEFAULTS			\
	.start = 0,					\
	.last = ULONG_MAX,				\
	.page_shift = PAGE_SHIFT,			\
	.nr_history = 1,				\
	.flush_spans = SMMU_INVAL_BATCH_SPANS

/**
 * struct smmu_inval_range - a pending range
 *
 * Private: one range between begin and end.
 */
struct smmu_inval_range {
	/* private: */
	struct interval_tree_node it;
	struct smmu_inval_range *next;
};

/**
 * struct smmu_inval_token - an invalidation between begin and end
 *
 * Opaque to drivers. Returned by smmu_inval_begin(), valid until the matching
 * smmu_inval_end().
 */
struct smmu_inval_token {
	/* private: */
	/* Of the slot that it is; valid if the instance says that the slot is used. */
	u64 start;
	u64 last;
	/* 0 for what is not open, or has no name */
	unsigned int refs;
	/* Its BIT() in slots_used, 0 if it is none; those that hold ranges of it. */
	u16 slot;
	u16 borrowed;
	u8 event;
	/* It is no slot, or has ranges beside that in its own. */
	bool more;
	bool overflowed;
	bool deferred;
	struct smmu_inval_range *ranges;
	/* NULL if it was not opened by a callback */
	const void *mm;
	unsigned long hva_start;
	unsigned long hva_end;
	union {
		struct hlist_node hash;
		struct smmu_inval_token *next_free;
	};
};

/* What began, by event: counted with the lock held exclusively, so in one place. */
struct smmu_inval_begun {
	u64 callbacks;
	u64 asked;
};

/* A completion; its place in the ring is its sequence. */
struct smmu_inval_done {
	u64 start;
	u64 last;
};

/* A flush issued and perhaps not over, with what it covers. */
struct smmu_inval_flight {
	u64 start;
	u64 last;
	u64 ticket;
};

/**
 * struct smmu_inval - one secondary MMU
 *
 * Embedded in the driver's object; the driver's lock protects it. All fields
 * are private to the library.
 */
struct smmu_inval {
	/* private: */
	/*
	 * What each invalidation writes and each check reads is first, on as few
	 * cache lines as it takes, since these go from CPU to CPU; behind it what
	 * they only read.
	 */
	u64 seq;
	/* Of all that is pending; grows, and is [U64_MAX, 0] when nothing is. */
	u64 hull_start;
	u64 hull_last;
	/* BIT(i) for the i-th slot; and how many ranges are pending elsewhere. */
	unsigned int slots_used;
	unsigned int nr_elsewhere;
	bool dead;
	bool coarse;
	bool safe_side;
	struct smmu_inval_token *free_tokens;
	struct list_head waiters;
	struct smmu_inval_token slots[SMMU_INVAL_SLOTS];
	struct rb_root_cached tree;
	struct smmu_inval_range *free_nodes;

	const struct smmu_inval_ops *ops;
	struct smmu_inval_config cfg;
	/* NULL with shared_stats: there is no lock that all of those hold */
	struct smmu_inval_begun *begun;
	/* history.c */
	struct smmu_inval_done *history;
	struct smmu_inval_stats __percpu *stats;

	/* pending.c */
	struct smmu_inval_range *nodes;
	struct smmu_inval_token *tokens;
	struct hlist_head *buckets;
	unsigned int bucket_bits;
	struct {
		u64 start;
		u64 last;
		unsigned int users;
		unsigned int anon;
		struct smmu_inval_token token;
	} overflow;

	/* tlb.c */
	struct llist_head tlb_requests;

	/* wait.c, of waiters */
	raw_spinlock_t wait_lock;

	/* flight.c */
	struct smmu_inval_flight flights[SMMU_INVAL_FLIGHTS];
	atomic64_t landed;
	u64 last_ticket;

	struct dentry *dir;
	unsigned long magic;
	unsigned long misused;
#ifdef CONFIG_SMMU_INVAL_DEBUG
	/* Who has unflushed spans, and the first of them. */
	struct task_struct *open_task;
	struct smmu_inval_span open_span;
#endif
};

int smmu_inval_init(struct smmu_inval *si, const struct smmu_inval_ops *ops,
		    const struct smmu_inval_config *cfg);
void smmu_inval_shutdown(struct smmu_inval *si);
void smmu_inval_destroy(struct smmu_inval *si);
void smmu_inval_set_coarse(struct smmu_inval *si, bool coarse);

/**
 * smmu_inval_is_dead() - may a fault ever succeed again?
 * @si: the instance
 *
 * Context: any.
 * Return: true after RELEASE or smmu_inval_shutdown(): every
 * smmu_inval_read_retry() says retry, so a fault loop has to give up.
 */
static inline bool smmu_inval_is_dead(const struct smmu_inval *si)
{
	return READ_ONCE(si->dead);
}

/* Invalidation side, with the driver's lock held. */

struct smmu_inval_token *smmu_inval_begin(struct smmu_inval *si,
					  enum smmu_inval_event event);
void smmu_inval_add(struct smmu_inval *si, struct smmu_inval_token *token,
		    u64 start, u64 last);
void smmu_inval_end(struct smmu_inval *si, struct smmu_inval_token *token);
void smmu_inval_completed(struct smmu_inval *si, u64 start, u64 last);

/**
 * struct smmu_inval_drain - waits for flushes, after the lock is dropped
 * @si: the instance
 * @ticket: the newest ticket to wait for, 0 for none
 * @tables: page-table pages to free after that
 *
 * For two-phase flushes, declared above the guard of the driver's lock::
 *
 *	CLASS(smmu_inval_drain, drain)(&drv->si);   waits after the unlock
 *	guard(spinlock)(&drv->lock);
 *	CLASS(smmu_inval_batch, batch)(&drv->si);   issues before the unlock
 *
 *	smmu_inval_batch_defer(&batch, &drain);
 *	smmu_inval_drain_range(&drain, start, last);
 */
struct smmu_inval_drain {
	struct smmu_inval *si;
	u64 ticket;
	struct llist_node *tables;
};

/**
 * struct smmu_inval_batch - what a lock section changed and has not flushed
 *
 * On the stack, through CLASS(smmu_inval_batch, name)(si), below the guard of
 * the driver's lock: it is flushed when it goes out of scope, before the guard
 * drops the lock. All fields are private to the library.
 */
struct smmu_inval_batch {
	/* private: */
	struct smmu_inval *si;
	struct smmu_inval_drain *drain;
	struct llist_node *tables;
	/* One word without a gap: written, and tested, at once. */
	u16 nr;
	bool all;
	bool may_yield;
	/* One more than it keeps: a new span goes in first, then two join. */
	struct smmu_inval_span spans[SMMU_INVAL_BATCH_SPANS + 1];
};

void smmu_inval_changed(struct smmu_inval_batch *batch, u64 start, u64 last,
			enum smmu_inval_event event);
void smmu_inval_batch_all(struct smmu_inval_batch *batch);
void smmu_inval_batch_free_later(struct smmu_inval_batch *batch,
				 struct llist_node *table);
void smmu_inval_batch_defer(struct smmu_inval_batch *batch,
			    struct smmu_inval_drain *drain);
void __smmu_inval_batch_flush(struct smmu_inval_batch *batch);
void smmu_inval_drain_range(struct smmu_inval_drain *drain, u64 start, u64 last);
void smmu_inval_drain_finish(struct smmu_inval_drain *drain);

/**
 * smmu_inval_batch_flush() - flush what the batch holds
 * @batch: the batch; empty afterwards, and can go on being used
 *
 * Called when the batch goes out of scope. A driver calls it itself before it
 * yields its lock in the middle of a walk (I2). Does nothing if nothing
 * changed (I9).
 *
 * Context: the driver's lock held, exclusively or as the driver's walkers hold
 * it. Does not sleep if @ops->flush does not.
 */
static inline void smmu_inval_batch_flush(struct smmu_inval_batch *batch)
{
	if (batch->nr || batch->all || batch->tables)
		__smmu_inval_batch_flush(batch);
}

/**
 * smmu_inval_may_yield() - may a walk drop the driver's lock, and sleep?
 * @batch: of this lock section
 *
 * For @ops->zap, @ops->wrprotect and @ops->decide of a long walk. What the
 * invalidation covers stays pending meanwhile, so that nothing is installed
 * behind the walk. The walk calls smmu_inval_batch_flush() before (I2), and
 * takes the lock again, exclusively.
 *
 * Context: any.
 * Return: true in a blockable callback of the start and end binding.
 */
static inline bool smmu_inval_may_yield(const struct smmu_inval_batch *batch)
{
	return batch->may_yield;
}

/* By hand, since DEFINE_CLASS() gives the destructor a copy of the object. */
typedef struct smmu_inval_batch class_smmu_inval_batch_t;

struct smmu_inval_batch
class_smmu_inval_batch_constructor(struct smmu_inval *si);

static inline void
class_smmu_inval_batch_destructor(struct smmu_inval_batch *batch)
{
	smmu_inval_batch_flush(batch);
}

typedef struct smmu_inval_drain class_smmu_inval_drain_t;

static inline struct smmu_inval_drain
class_smmu_inval_drain_constructor(struct smmu_inval *si)
{
	return (struct smmu_inval_drain){ .si = si };
}

static inline void
class_smmu_inval_drain_destructor(struct smmu_inval_drain *drain)
{
	smmu_inval_drain_finish(drain);
}

/* Fault side. */

bool __smmu_inval_read_retry(struct smmu_inval *si, u64 cookie,
			     u64 start, u64 last);
bool smmu_inval_retry_hint(const struct smmu_inval *si, u64 cookie,
			   u64 start, u64 last);
bool smmu_inval_is_pending(const struct smmu_inval *si, u64 start, u64 last);

/**
 * smmu_inval_read_begin() - start a fault
 * @si: the instance
 *
 * To be called before any primary page table is read, or any page looked up.
 *
 * Context: any; takes no lock.
 * Return: the cookie for smmu_inval_read_retry().
 */
static inline u64 smmu_inval_read_begin(const struct smmu_inval *si)
{
	/*
	 * Pairs with the release in smmu_inval_end(): who sees the sequence of
	 * an invalidation sees the primary page tables as it left them. The
	 * acquire also keeps the caller's reads of them behind this one.
	 */
	return smp_load_acquire(&si->seq);
}

/* Not for drivers. */
static inline unsigned int __smmu_inval_nr_pending(const struct smmu_inval *si)
{
	return hweight32(READ_ONCE(si->slots_used)) +
	       READ_ONCE(si->nr_elsewhere);
}

/* Not for drivers. Outside of the hull nothing is pending. */
static inline bool __smmu_inval_in_hull(const struct smmu_inval *si,
					u64 start, u64 last)
{
	return start <= si->hull_last && last >= si->hull_start;
}

/* Not for drivers. Nothing completed since the cookie, and nothing is pending near. */
static inline bool __smmu_inval_at_a_glance(const struct smmu_inval *si,
					    u64 cookie, u64 start, u64 last)
{
	return likely(si->seq == cookie && start <= last &&
		      !__smmu_inval_in_hull(si, start, last));
}

/**
 * smmu_inval_read_retry() - may what a fault found be installed?
 * @si: the instance
 * @cookie: from smmu_inval_read_begin()
 * @start: first unit of *all* that will be installed, prefetch included
 * @last: its last unit, inclusive
 *
 * Context: the driver's lock held, at least shared, and not dropped before the
 * translation is installed (I3).
 * Return: true if an invalidation that overlaps is pending (I3) or completed
 * since @cookie was taken (I4): drop the lock, wait with
 * smmu_inval_wait_prepare() if you like, and start again.
 */
static inline bool smmu_inval_read_retry(struct smmu_inval *si, u64 cookie,
					 u64 start, u64 last)
{
	if (!IS_ENABLED(CONFIG_SMMU_INVAL_DEBUG) &&
	    __smmu_inval_at_a_glance(si, cookie, start, last))
		return false;
	return __smmu_inval_read_retry(si, cookie, start, last);
}

/**
 * struct smmu_inval_waiter - a fault that waits for the ranges in its way
 *
 * On the stack of the fault. All fields are private to the library.
 */
struct smmu_inval_waiter {
	/* private: */
	struct smmu_inval *si;
	struct list_head list;
	struct completion done;
	u64 start;
	u64 last;
};

bool smmu_inval_wait_prepare(struct smmu_inval *si,
			     struct smmu_inval_waiter *waiter,
			     u64 start, u64 last);
int smmu_inval_wait(struct smmu_inval_waiter *waiter);
int smmu_inval_wait_timeout(struct smmu_inval_waiter *waiter,
			    unsigned long timeout);

#ifdef CONFIG_SMMU_INVAL_DEBUG
void smmu_inval_assert_may_install(struct smmu_inval *si, u64 start, u64 last);
#else
/**
 * smmu_inval_assert_may_install() - check an installation, in debug kernels
 * @si: the instance
 * @start: first unit that is installed
 * @last: its last unit, inclusive
 *
 * One WARN if a pending range overlaps: the caller did not ask
 * smmu_inval_read_retry(), or dropped the lock since.
 *
 * Context: the driver's lock held, at least shared.
 */
static inline void smmu_inval_assert_may_install(struct smmu_inval *si,
						 u64 start, u64 last)
{
}
#endif

/* What an event demands. */

const char *smmu_inval_event_name(enum smmu_inval_event event);
enum smmu_inval_action smmu_inval_classify(const struct smmu_inval *si,
					   enum smmu_inval_event event,
					   const void *owner);

/* What the primary page tables say, for PROTECTION_VMA. */

#define SMMU_INVAL_SEEN		16

/**
 * struct smmu_inval_seen - user addresses that map consecutive pages
 * @start: first user address, page aligned
 * @last: last user address, inclusive
 * @pfn: the page at @start
 * @write: the primary page table allows writing
 */
struct smmu_inval_seen {
	u64 start;
	u64 last;
	unsigned long pfn;
	bool write;
};

/**
 * struct smmu_inval_look - a view of a part of the primary page tables
 * @si: whose statistics count what smmu_inval_verdict() keeps, or NULL
 * @start: first user address looked at
 * @last: last user address looked at, inclusive
 * @nr: how many of @seen are valid
 * @event: why
 * @seen: what is accessible, sorted; all else between @start and @last is not
 */
struct smmu_inval_look {
	struct smmu_inval *si;
	u64 start;
	u64 last;
	unsigned int nr;
	enum smmu_inval_event event;
	struct smmu_inval_seen seen[SMMU_INVAL_SEEN];
};

void smmu_inval_look(struct smmu_inval_look *look, struct mm_struct *mm,
		     u64 start, u64 last);
enum smmu_inval_action smmu_inval_verdict(const struct smmu_inval_look *look,
					  u64 start, u64 last,
					  unsigned long pfn, bool write);

/* Statistics. */

/**
 * struct smmu_inval_event_stats - counters of one event
 * @callbacks: invalidations
 * @asked: pages that they covered, in the driver's address space
 * @changed: pages whose translation was removed or write-protected
 * @kept: pages whose translation smmu_inval_verdict() kept
 * @deferred: pages left alone at start, to be decided at end
 * @flushed: pages flushed for it, range by range; see flushes_all for the rest
 */
struct smmu_inval_event_stats {
	u64 callbacks;
	u64 asked;
	u64 changed;
	u64 kept;
	u64 deferred;
	u64 flushed;
};

/**
 * struct smmu_inval_stats - counters of an instance
 * @event: by event
 * @checks: calls of smmu_inval_read_retry() that were not trivially false
 * @retries_pending: retries because of a pending range
 * @retries_done: retries because of a completed range
 * @retries_false: those of the two above that no overlapping range caused:
 *	overflow, or the coarse switch
 * @flushes: calls of flush or flush_issue
 * @flushes_all: those that flushed everything
 * @waits: waits for a flush in flight that another caller issued
 * @overflow_pending: ranges or invalidations that found no node
 * @overflow_batch: spans joined because the batch was full
 * @overflow_history: checks that the history was too short for
 * @overflow_flights: flushes in flight that found no slot of their own
 * @odd_ranges: empty or inverted ranges, taken for everything
 * @eagain: non-blockable callbacks sent back
 * @single_pass: two-pass callbacks that had to finish in the first pass
 * @combined: secondary-TLB callbacks that another one's flush served
 */
struct smmu_inval_stats {
	struct smmu_inval_event_stats event[SMMU_INVAL_NR_EVENTS];
	u64 checks;
	u64 retries_pending;
	u64 retries_done;
	u64 retries_false;
	u64 flushes;
	u64 flushes_all;
	u64 waits;
	u64 overflow_pending;
	u64 overflow_batch;
	u64 overflow_history;
	u64 overflow_flights;
	u64 odd_ranges;
	u64 eagain;
	u64 single_pass;
	u64 combined;
};

void smmu_inval_get_stats(const struct smmu_inval *si,
			  struct smmu_inval_stats *sum);

/*
 * Binding to a mmu_notifier: start and end callbacks for drivers with page
 * tables of their own, secondary-TLB callbacks for those that share the CPU's.
 */

/**
 * struct smmu_inval_mn - an instance bound to a process
 *
 * Embedded in the driver's object. All fields are private to the library.
 */
struct smmu_inval_mn {
	/* private: */
	struct mmu_notifier mn;
	struct smmu_inval *si;
	unsigned int users;
	struct work_struct free_work;
};

extern const struct mmu_notifier_ops smmu_inval_mn_ops;
extern const struct mmu_notifier_ops smmu_inval_tlb_ops;

int smmu_inval_mn_init(struct smmu_inval_mn *smn, struct smmu_inval *si,
		       const struct mmu_notifier_ops *ops);
int smmu_inval_mn_register(struct smmu_inval_mn *smn, struct mm_struct *mm);
void smmu_inval_mn_unregister(struct smmu_inval_mn *smn);

/**
 * struct smmu_inval_mn_class - a driver's bindings, one for each process
 * @ops: what they are bound with
 *
 * For drivers that want one instance for each process, shared by all that ask
 * for it with smmu_inval_mn_get(). The other fields are private to the library.
 */
struct smmu_inval_mn_class {
	struct mmu_notifier_ops ops;
	/* private: */
	struct mutex lock;
	atomic_t live;
	wait_queue_head_t gone;
};

void smmu_inval_mn_class_init(struct smmu_inval_mn_class *class,
			      const struct mmu_notifier_ops *base,
			      struct mmu_notifier *(*alloc)(struct mm_struct *mm));
void smmu_inval_mn_synchronize(struct smmu_inval_mn_class *class);
struct smmu_inval_mn *smmu_inval_mn_get(struct smmu_inval_mn_class *class,
					struct mm_struct *mm);
void smmu_inval_mn_put(struct smmu_inval_mn *smn);

/* Binding to interval notifiers. */

/* A record of the interval binding: pending range and completion in one. */
struct smmu_inval_record {
	u64 start;
	u64 last;
	unsigned long mm_seq;
	/* It asked for nothing, since the owner is the driver's. */
	bool kept;
};

/**
 * struct smmu_inval_interval - a range of a process bound to an instance
 *
 * Embedded in the driver's object. All fields are private to the library.
 */
struct smmu_inval_interval {
	/* private: */
	struct mmu_interval_notifier mni;
	struct smmu_inval *si;
	struct smmu_inval_record *records;
	unsigned int nr_records;
	u64 seq;
	/* Every record up to this sequence of the mm is over, once settled. */
	unsigned long quiet;
	bool settled;
	/* Records pushed out of the ring while they may be pending. */
	struct smmu_inval_record hull;
	bool hull_used;
	/* Up to this one, not all records are in the ring or in the hull. */
	unsigned long lost;
	bool dead;
	/* Never inserted: hmm_range_fault() checks it, and finds no change. */
	struct mmu_interval_notifier still;
	/* The second pass of one callback at a time; others do without. */
	struct smmu_inval_second_pass *second;
	/* second.c: tables that wait for their flush, and that flush. */
	struct smmu_inval_peers *peers;
	struct list_head peer;
	struct smmu_inval_drain later;
};

/**
 * struct smmu_inval_cookie - when a fault through the interval binding began
 * @si: the instance's cookie
 * @quiet: up to which sequence of the mm everything was over by then
 * @settled: whether @quiet is known
 * @own: set by the driver, between smmu_inval_interval_read_begin() and
 *	migrate_vma_setup(), to map what it migrates itself before
 *	migrate_vma_finalize(): the MIGRATE events that carry its owner do not
 *	count. They are of this migration, or of one that cannot get at these
 *	pages, since they are locked.
 */
struct smmu_inval_cookie {
	u64 si;
	unsigned long quiet;
	bool settled;
	bool own;
};

int smmu_inval_interval_insert(struct smmu_inval_interval *ival,
			       struct smmu_inval *si, struct mm_struct *mm,
			       u64 start, u64 last, unsigned int nr_records);
int smmu_inval_interval_insert_locked(struct smmu_inval_interval *ival,
				      struct smmu_inval *si,
				      struct mm_struct *mm, u64 start, u64 last,
				      unsigned int nr_records);
void smmu_inval_interval_remove(struct smmu_inval_interval *ival);
struct smmu_inval_cookie
smmu_inval_interval_read_begin(const struct smmu_inval_interval *ival);
bool smmu_inval_interval_read_retry(struct smmu_inval_interval *ival,
				    struct smmu_inval_cookie cookie,
				    u64 start, u64 last);
int smmu_inval_interval_wait(struct smmu_inval_interval *ival,
			     u64 start, u64 last);
bool smmu_inval_interval_is_dead(const struct smmu_inval_interval *ival);

#ifdef CONFIG_SMMU_INVAL_DEBUG
void smmu_inval_interval_assert_may_install(struct smmu_inval_interval *ival,
					    u64 start, u64 last);
#else
/**
 * smmu_inval_interval_assert_may_install() - check an installation
 * @ival: the interval that covers it
 * @start: first user address that is installed
 * @last: its last user address, inclusive
 *
 * smmu_inval_assert_may_install(), for what the interval knows too.
 *
 * Context: the driver's lock held, at least shared.
 */
static inline void
smmu_inval_interval_assert_may_install(struct smmu_inval_interval *ival,
				       u64 start, u64 last)
{
}
#endif

/**
 * smmu_inval_interval_notifier() - the notifier for struct hmm_range
 * @ival: the interval
 *
 * hmm_range_fault() only gives up early when the notifier in struct hmm_range
 * has moved on from hmm_range.notifier_seq. This one never does (its sequence
 * is 0 for ever), so that smmu_inval_interval_read_retry() decides alone, under
 * the lock.
 *
 * Return: what to put in hmm_range.notifier, with hmm_range.notifier_seq = 0.
 */
static inline struct mmu_interval_notifier *
smmu_inval_interval_notifier(struct smmu_inval_interval *ival)
{
	return &ival->still;
}

#endif /* _LINUX_SMMU_INVAL_H */
