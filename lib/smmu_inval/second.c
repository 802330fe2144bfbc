// SPDX-License-Identifier: GPL-2.0
/*
 * The second pass of interval notifiers, where core mm has only one.
 *
 * A callback that waits for its device before it returns makes the devices of a
 * process wait in turn, and an invalidation takes as long as all flushes
 * together. From 7.3 core mm calls interval notifiers twice. Before, it calls
 * all interval notifiers and then the start callbacks of all mmu_notifiers. So
 * the library registers one of those for each mm, and in it waits for what the
 * interval callbacks have issued:
 *
 *	core mm			device 1		device 2
 *	-------			--------		--------
 *	invalidate(ival 1)
 *	  lock, zap, issue,
 *	  unlock		flushes
 *	invalidate(ival 2)	  .
 *	  lock, zap, issue,	  .
 *	  unlock		  .			flushes
 *	second_start()		  .			  .
 *	  wait for 1		over			  .
 *	  wait for 2					over
 *	changes page tables
 *
 * No state passes from one pass to the other: what a callback has to wait for
 * are the flights in its range, its own and those of others (I2), and these are
 * recorded in the instance. Who waits a little later may find one more.
 *
 * An interval is on the list of its mm before the first callback can come, and
 * until the last one is over. core mm walks mmu_notifiers inside of its SRCU,
 * and so is the list: mmu_notifier_synchronize() waits for all who walk it.
 *
 * A callback that may not block has flushed in the first pass, or failed there.
 */
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "internal.h"

struct smmu_inval_peers {
	struct mmu_notifier mn;
	struct list_head list;
	spinlock_t lock;	/* of changes to the list */
	bool released;
};

/* Objects whose notifiers are not freed yet. */
static atomic_t live;

static struct smmu_inval_peers *to_peers(struct mmu_notifier *mn)
{
	return container_of(mn, struct smmu_inval_peers, mn);
}

/*
 * Wait for what is in flight in the range, and free the page-table pages that
 * the interval keeps: whoever comes first takes all of them along, and waits
 * for their flushes. So they do not pile up while callbacks overlap for ever.
 */
static void second_wait(struct smmu_inval_interval *ival, u64 start, u64 last)
{
	struct smmu_inval *si = ival->si;
	unsigned long flags;

	CLASS(smmu_inval_drain, drain)(si);

	smmu_inval_lock(si, &flags);
	drain.tables = ival->later.tables;
	drain.ticket = max(ival->later.ticket,
			   smmu_inval_flight_newest(si, start, last));
	WRITE_ONCE(ival->later.tables, NULL);
	ival->later.ticket = 0;
	smmu_inval_unlock(si, flags);
}

/*
 * Lockless: all that this callback has to wait for was written under the lock
 * before its first pass dropped it, and that was this thread, so it sees it. What
 * came later may be missed.
 */
static bool second_is_idle(const struct smmu_inval_interval *ival)
{
	const struct smmu_inval *si = ival->si;

	/* Pairs with the cmpxchg in smmu_inval_flight_landed(). */
	return !READ_ONCE(ival->later.tables) &&
	       READ_ONCE(si->last_ticket) <=
	       (u64)atomic64_read_acquire(&si->landed);
}

/* Which events the first pass ignored does not depend on any switch. */
static bool second_ignores(const struct smmu_inval_interval *ival,
			   const struct mmu_notifier_range *range)
{
	enum smmu_inval_event event = smmu_inval_range_event(range);

	return smmu_inval_ignores(event, smmu_inval_classify(ival->si, event,
							     range->owner));
}

/* Never fails, since a callback that may not block has nothing to do. */
static int second_start(struct mmu_notifier *mn,
			const struct mmu_notifier_range *range)
{
	struct smmu_inval_interval *ival;

	if (!mmu_notifier_range_blockable(range))
		return 0;
	list_for_each_entry_srcu(ival, &to_peers(mn)->list, peer, true) {
		u64 start = ival->mni.interval_tree.start;
		u64 last = ival->mni.interval_tree.last;

		/* Those that core mm called in the first pass. */
		if (!smmu_inval_overlaps(start, last, range->start,
					 range->end - 1) ||
		    second_is_idle(ival) || second_ignores(ival, range))
			continue;
		/* As there: whole pages, and an odd range is everything. */
		if (range->start < range->end) {
			start = max_t(u64, start, range->start & PAGE_MASK);
			last = min_t(u64, last, (range->end - 1) | ~PAGE_MASK);
		}
		second_wait(ival, start, last);
	}
	return 0;
}

/*
 * RELEASE goes to the interval notifiers first. Afterwards core mm takes this
 * notifier off its list, though others may still invalidate what is left of the
 * address space: from now on the first pass has to wait. One that does not see
 * @released had the driver's lock before it is taken here.
 */
static void second_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct smmu_inval_peers *peers = to_peers(mn);
	struct smmu_inval_interval *ival;

	WRITE_ONCE(peers->released, true);
	list_for_each_entry_srcu(ival, &peers->list, peer, true)
		second_wait(ival, ival->mni.interval_tree.start,
			    ival->mni.interval_tree.last);
}

/* With mmap_lock held. */
static struct mmu_notifier *second_alloc(struct mm_struct *mm)
{
	struct smmu_inval_peers *peers = smmu_inval_alloc(1, sizeof(*peers));

	if (!peers)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&peers->list);
	spin_lock_init(&peers->lock);
	atomic_inc(&live);
	return &peers->mn;
}

static void second_free(struct mmu_notifier *mn)
{
	kvfree(to_peers(mn));
	if (atomic_dec_and_test(&live))
		wake_up_var(&live);
}

static const struct mmu_notifier_ops second_ops = {
	.invalidate_range_start = second_start,
	.release = second_release,
	.alloc_notifier = second_alloc,
	.free_notifier = second_free,
};

/* Before the interval is inserted; its range is set. */
int smmu_inval_second_join(struct smmu_inval_interval *ival,
			   struct mm_struct *mm, bool locked)
{
	struct smmu_inval_peers *peers;
	struct mmu_notifier *mn;

	if (locked)
		mn = mmu_notifier_get_locked(&second_ops, mm);
	else
		mn = mmu_notifier_get(&second_ops, mm);
	if (IS_ERR(mn))
		return PTR_ERR(mn);
	peers = to_peers(mn);
	ival->peers = peers;
	spin_lock(&peers->lock);
	list_add_rcu(&ival->peer, &peers->list);
	spin_unlock(&peers->lock);
	return 0;
}

/*
 * After it is removed, which waits for the second pass of each callback but
 * RELEASE: exit_mmap() may be on its way to second_release(), and frees pages
 * if that finds nothing to wait for. So the interval leaves when nothing is in
 * flight.
 */
void smmu_inval_second_leave(struct smmu_inval_interval *ival)
{
	struct smmu_inval_peers *peers = ival->peers;

	if (!peers)
		return;
	second_wait(ival, ival->mni.interval_tree.start,
		    ival->mni.interval_tree.last);
	spin_lock(&peers->lock);
	list_del_rcu(&ival->peer);
	spin_unlock(&peers->lock);
	mmu_notifier_synchronize();
	mmu_notifier_put(&peers->mn);
	ival->peers = NULL;
}

/*
 * First pass, lock held: leave to the second what @drain has collected for the
 * range. The driver may have changed more than the range, so the range itself
 * is in flight until the last of it has landed.
 */
void smmu_inval_second_defer(struct smmu_inval_interval *ival,
			     struct smmu_inval_drain *drain, u64 start, u64 last)
{
	struct smmu_inval *si = ival->si;

	if (READ_ONCE(ival->peers->released))
		return;
	if (drain->ticket > smmu_inval_flight_newest(si, start, last))
		smmu_inval_flight_add(si, start, last, drain->ticket);
	if (drain->tables) {
		ival->later.ticket = max(ival->later.ticket, drain->ticket);
		smmu_inval_join_tables(&drain->tables, ival->later.tables);
		WRITE_ONCE(ival->later.tables, drain->tables);
	}
	drain->tables = NULL;
	drain->ticket = 0;
}

/*
 * All intervals are removed. mmu_notifier_synchronize() waits for readers, but
 * not for callbacks of other CPUs. What is left to run of second_free() runs
 * with preemption disabled, and a module is freed after a grace period of RCU.
 */
void smmu_inval_second_exit(void)
{
	wait_var_event(&live, !atomic_read(&live));
}
