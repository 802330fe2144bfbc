// SPDX-License-Identifier: GPL-2.0
/*
 * Binding to interval notifiers: for drivers that mirror ranges of a process,
 * as users of HMM do, with sleeping locks if they like.
 *
 * There is no end callback, and after another notifier's -EAGAIN nobody is told
 * anything at all. So each callback leaves a record: its range, and the mm's
 * sequence that it came with. The record is pending range and completion in
 * one. mmu_interval_read_begin() returns a sequence after everything up to it
 * is over: quiet. A record with a later sequence may be pending.
 *
 *	fault					invalidate()
 *	-----					------------
 *	cookie = quiet
 *	reads the primary page table
 *						lock, set_seq, record, zap,
 *						unlock
 *	lock
 *	a record later than the cookie
 *	overlaps: retry; unlock
 *	mmu_interval_read_begin() waits
 *						(core mm) invalidation is over
 *	quiet is the record's sequence
 *	starts again
 *
 * It is the cookie's quiet that counts, not the current one. A record that was
 * pending when a fault read the primary page table may be over when the fault
 * checks, because another fault waited for it, and what was read is still from
 * before:
 *
 *	fault 1			fault 2			invalidate()
 *	-------			-------			------------
 *							record
 *	cookie
 *	reads what is still there
 *							entry changes; is over
 *				waits, moves quiet
 *	must retry
 *
 * And since everything that comes after a cookie has a later sequence than the
 * cookie's quiet, this one comparison finds both what was pending and what came
 * since.
 *
 * A fault that overlaps no such record goes on at once, whatever else happens
 * in the notifier or in the mm, and that is why one large notifier can be
 * precise.
 *
 * Sequences of records do not decrease: the mm's moves only when none of its
 * callbacks is left running. So a search can stop at the first record that was
 * over.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <trace/events/smmu_inval.h>

#include "compat.h"
#include "internal.h"

/*
 * Does core mm have the second pass? The tests also run second.c where it does.
 */
bool smmu_inval_two_pass = SMMU_INVAL_TWO_PASS;

struct smmu_inval_second_pass {
	smmu_inval_finish_t finish;
	struct smmu_inval_drain drain;
	unsigned long busy;
};

static struct smmu_inval_interval *to_ival(struct mmu_interval_notifier *mni)
{
	return container_of(mni, struct smmu_inval_interval, mni);
}

/* The mm's sequences wrap around. */
static bool seq_after(unsigned long a, unsigned long b)
{
	return (long)(a - b) > 0;
}

static bool may_be_pending(const struct smmu_inval_interval *ival,
			   unsigned long mm_seq)
{
	return !ival->settled || seq_after(mm_seq, ival->quiet);
}

static bool record_overlaps(const struct smmu_inval_record *record,
			    u64 start, u64 last)
{
	return smmu_inval_overlaps(start, last, record->start, record->last);
}

/* There is one. */
static const struct smmu_inval_record *
newest_record(const struct smmu_inval_interval *ival)
{
	return &ival->records[(ival->seq - 1) & (ival->nr_records - 1)];
}

/*
 * The oldest record makes room for a new one. If it may be pending it stays
 * covered, by a hull (I5). If it is over, no new fault minds it; one with a
 * cookie from before it was over retries, wherever it is. A hull that is over
 * is begun anew, and so is as lost.
 */
static void record_evict(struct smmu_inval_interval *ival,
			 const struct smmu_inval_record *record)
{
	struct smmu_inval_record *hull = &ival->hull;

	if (!may_be_pending(ival, record->mm_seq)) {
		ival->lost = record->mm_seq;
		return;
	}
	if (ival->hull_used && may_be_pending(ival, hull->mm_seq)) {
		hull->start = min(hull->start, record->start);
		hull->last = max(hull->last, record->last);
		hull->mm_seq = record->mm_seq;
	} else {
		/* It may be older than records that are lost already. */
		if (ival->hull_used && seq_after(hull->mm_seq, ival->lost))
			ival->lost = hull->mm_seq;
		*hull = *record;
		ival->hull_used = true;
	}
	smmu_inval_count(ival->si, overflow_pending, 1);
	trace_smmu_inval_overflow(ival->si, SMMU_INVAL_COVER_RECORD,
				  record->start, record->last);
}

/*
 * The mm's sequence has moved on since the newest record: then all that was
 * recorded is over, and nobody has to wait to find out. A hull would grow over
 * what lies between, if no fault ever had to.
 */
static void records_settle(struct smmu_inval_interval *ival,
			   unsigned long mm_seq)
{
	unsigned long newest;

	if (!ival->settled || !ival->seq)
		return;
	newest = newest_record(ival)->mm_seq;
	if (seq_after(mm_seq, newest) && seq_after(newest, ival->quiet)) {
		/* Pairs with the acquire in smmu_inval_interval_read_begin(). */
		smp_store_release(&ival->quiet, newest);
	}
}

static void record_add(struct smmu_inval_interval *ival, u64 start, u64 last,
		       unsigned long mm_seq, bool kept)
{
	struct smmu_inval_record *record;

	record = &ival->records[ival->seq & (ival->nr_records - 1)];
	if (ival->seq >= ival->nr_records)
		record_evict(ival, record);
	record->start = start;
	record->last = last;
	record->mm_seq = mm_seq;
	record->kept = kept;
	ival->seq++;
}

/*
 * Does something overlap that was not over when the cookie was taken, or came
 * since? The lock is held, at least shared.
 */
static enum smmu_inval_hit records_hit(const struct smmu_inval_interval *ival,
				       struct smmu_inval_cookie cookie,
				       u64 start, u64 last)
{
	unsigned long quiet = cookie.quiet;
	bool settled = cookie.settled;
	const struct smmu_inval_record *records = ival->records;
	unsigned int mask = ival->nr_records - 1;
	u64 seq = ival->seq, oldest = seq - min_t(u64, seq, ival->nr_records);
	bool coarse = smmu_inval_is_coarse(ival->si);
	enum smmu_inval_hit hit = SMMU_INVAL_MISS;

	/* Inserted while the mm was busy: nobody knows with what. */
	if (!settled)
		hit = SMMU_INVAL_MAYBE;
	while (seq != oldest) {
		const struct smmu_inval_record *record = &records[--seq & mask];

		if (settled && !seq_after(record->mm_seq, quiet))
			return hit;
		if (record->kept && cookie.own)
			continue;
		if (record_overlaps(record, start, last))
			return SMMU_INVAL_HIT;
		if (coarse)
			hit = SMMU_INVAL_MAYBE;
	}
	/* All of the ring came later: what is not in it any more may have too. */
	if (ival->hull_used && settled && seq_after(ival->hull.mm_seq, quiet) &&
	    record_overlaps(&ival->hull, start, last))
		hit = SMMU_INVAL_MAYBE;
	if (settled && seq_after(ival->lost, quiet)) {
		smmu_inval_count(ival->si, overflow_history, 1);
		hit = SMMU_INVAL_MAYBE;
	}
	return hit;
}

/* What a fault that begins now would have to wait for. */
static enum smmu_inval_hit pending_hit(const struct smmu_inval_interval *ival,
				       u64 start, u64 last, bool own)
{
	struct smmu_inval_cookie now = {
		.quiet = ival->quiet,
		.settled = ival->settled,
		.own = own,
	};

	return records_hit(ival, now, start, last);
}

/* False if the caller may not sleep and the lock, or what follows, would have to. */
static bool interval_lock(struct smmu_inval *si, bool blockable,
			  unsigned long *flags)
{
	if (!blockable && (si->cfg.zap_sleeps || smmu_inval_should_fail(nonblock)))
		return false;
	if (!blockable && smmu_inval_lock_sleeps(si))
		return smmu_inval_trylock(si, flags);
	smmu_inval_lock(si, flags);
	return true;
}

static bool invalidate(struct smmu_inval_interval *ival,
		       const struct mmu_notifier_range *range,
		       unsigned long cur_seq, struct smmu_inval_drain *drain)
{
	bool blockable = mmu_notifier_range_blockable(range), done = true;
	enum smmu_inval_event event = smmu_inval_range_event(range);
	struct smmu_inval *si = ival->si;
	struct smmu_inval_span span = { .events = BIT(event) };
	enum smmu_inval_action action;
	unsigned long flags;

	action = smmu_inval_classify(si, event, range->owner);
	if (smmu_inval_ignores(event, action))
		return true;
	/* Without an end there is no time to decide. */
	if (action == SMMU_INVAL_DECIDE)
		action = SMMU_INVAL_ZAP;
	smmu_inval_range_hva(si, range->start, range->end, &span);
	span.start = max_t(u64, span.start, ival->mni.interval_tree.start);
	span.last = min_t(u64, span.last, ival->mni.interval_tree.last);

	if (!interval_lock(si, blockable, &flags)) {
		smmu_inval_count(si, eagain, 1);
		return false;
	}
	mmu_interval_set_seq(&ival->mni, cur_seq);
	records_settle(ival, cur_seq);
	record_add(ival, span.start, span.last, cur_seq,
		   action == SMMU_INVAL_KEEP);
	smmu_inval_count_begun(si, event, 1,
			       smmu_inval_pages(si, span.start, span.last));
	trace_smmu_inval_begin(si, event);
	trace_smmu_inval_add(si, event, span.start, span.last);
	if (event == SMMU_INVAL_RELEASE)
		WRITE_ONCE(ival->dead, true);
	{
		CLASS(smmu_inval_batch, batch)(si);

		/* Who may not wait flushes at once. */
		if (blockable)
			smmu_inval_batch_defer(&batch, drain);
		smmu_inval_apply(si, &batch, &span, action);
	}
	if (blockable) {
		smmu_inval_drain_range(drain, span.start, span.last);
		if (ival->peers)
			smmu_inval_second_defer(ival, drain, span.start,
						span.last);
	} else if (smmu_inval_flight_newest(si, span.start, span.last)) {
		/* Nor for the flush of another: the caller has to go away. */
		smmu_inval_count(si, eagain, 1);
		done = false;
	}
	smmu_inval_unlock(si, flags);
	return done;
}

static bool interval_invalidate(struct mmu_interval_notifier *mni,
				const struct mmu_notifier_range *range,
				unsigned long cur_seq)
{
	struct smmu_inval_interval *ival = to_ival(mni);

	CLASS(smmu_inval_drain, drain)(ival->si);

	return invalidate(ival, range, cur_seq, &drain);
}

#if SMMU_INVAL_TWO_PASS
/*
 * All notifiers of the mm issue their flushes before any of them waits. There
 * is one second pass for each notifier: no memory has to be found for it. A
 * callback that runs while it is taken waits in its first pass, which takes
 * longer and is as right.
 */
static bool interval_invalidate_start(struct mmu_interval_notifier *mni,
				      const struct mmu_notifier_range *range,
				      unsigned long cur_seq,
				      struct mmu_interval_notifier_finish **finish)
{
	struct smmu_inval_interval *ival = to_ival(mni);
	struct smmu_inval_second_pass *second = ival->second;
	bool done;

	if (!second)
		return interval_invalidate(mni, range, cur_seq);
	if (test_and_set_bit_lock(0, &second->busy)) {
		smmu_inval_count(ival->si, single_pass, 1);
		return interval_invalidate(mni, range, cur_seq);
	}
	second->drain.si = ival->si;
	done = invalidate(ival, range, cur_seq, &second->drain);
	if (second->drain.ticket || second->drain.tables)
		*finish = &second->finish;
	else
		clear_bit_unlock(0, &second->busy);
	return done;
}

static void interval_invalidate_finish(struct mmu_interval_notifier_finish *finish)
{
	struct smmu_inval_second_pass *second =
		container_of(finish, struct smmu_inval_second_pass, finish);

	smmu_inval_drain_finish(&second->drain);
	clear_bit_unlock(0, &second->busy);
}
#endif

/* Several devices of a process flush at the same time: here, or in second.c. */
static int second_pass_init(struct smmu_inval_interval *ival,
			    struct mm_struct *mm, bool locked)
{
	if (!ival->si->ops->flush_issue)
		return 0;
	if (!smmu_inval_two_pass)
		return smmu_inval_second_join(ival, mm, locked);
	ival->second = smmu_inval_alloc(1, sizeof(*ival->second));
	return ival->second ? 0 : -ENOMEM;
}

static void second_pass_free(struct smmu_inval_interval *ival)
{
	smmu_inval_second_leave(ival);
	kvfree(ival->second);
	ival->second = NULL;
}

static const struct mmu_interval_notifier_ops interval_ops = {
	.invalidate = interval_invalidate,
#if SMMU_INVAL_TWO_PASS
	.invalidate_start = interval_invalidate_start,
	.invalidate_finish = interval_invalidate_finish,
#endif
};

static int interval_insert(struct smmu_inval_interval *ival,
			   struct smmu_inval *si, struct mm_struct *mm,
			   u64 start, u64 last, unsigned int nr_records,
			   bool locked)
{
	u64 length;
	int ret;

	if (!si->ops || !si->ops->zap || !smmu_inval_has_hvas(si) ||
	    !smmu_inval_has_lock(si) || !is_power_of_2(nr_records) ||
	    start > last || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(last + 1))
		return -EINVAL;
	/* The length has to fit; the last page is never the user's. */
	if (start == 0 && last == ULONG_MAX)
		last -= PAGE_SIZE;
	/* Who follows more than the driver has clips it, but whole pages. */
	start = max_t(u64, start, si->cfg.start & PAGE_MASK);
	last = min_t(u64, last, si->cfg.last | ~PAGE_MASK);
	if (start > last)
		return -EINVAL;

	memset(ival, 0, sizeof(*ival));
	ival->si = si;
	ival->nr_records = nr_records;
	ival->records = smmu_inval_alloc(nr_records, sizeof(*ival->records));
	if (!ival->records)
		return -ENOMEM;
	/* As it will be, for who finds the interval in second.c before. */
	ival->mni.interval_tree.start = start;
	ival->mni.interval_tree.last = last;
	ret = second_pass_init(ival, mm, locked);
	if (ret)
		goto free;
	ival->still.mm = mm;
	length = last - start + 1;
	if (locked)
		ret = mmu_interval_notifier_insert_locked(&ival->mni, mm, start,
							  length, &interval_ops);
	else
		ret = mmu_interval_notifier_insert(&ival->mni, mm, start, length,
						   &interval_ops);
	if (!ret)
		return 0;
	second_pass_free(ival);
free:
	kvfree(ival->records);
	ival->records = NULL;
	return ret;
}

/**
 * smmu_inval_interval_insert() - begin to follow a range of a process
 * @ival: embedded in the driver's object
 * @si: the instance; its addresses are user addresses, and it has ops->zap
 * @mm: whose; the caller holds a reference on its users, such as mmget()
 * @start: first user address, page aligned
 * @last: last user address, inclusive, at the end of a page; ULONG_MAX with
 *	a @start of 0 for all there are
 * @nr_records: how many invalidations are remembered; a power of two
 *
 * An instance may have many intervals, also ones that overlap. What is outside of
 * the instance's address space is not followed.
 *
 * Context: process context; neither mmap_lock nor the driver's lock held;
 * sleeps.
 * Return: 0, -EINVAL if an argument is out of its bounds or all of the range is
 * outside of the address space, -ENOMEM, or an error of
 * mmu_interval_notifier_insert() or mmu_notifier_get().
 */
int smmu_inval_interval_insert(struct smmu_inval_interval *ival,
			       struct smmu_inval *si, struct mm_struct *mm,
			       u64 start, u64 last, unsigned int nr_records)
{
	return interval_insert(ival, si, mm, start, last, nr_records, false);
}
EXPORT_SYMBOL_GPL(smmu_inval_interval_insert);

/**
 * smmu_inval_interval_insert_locked() - the same, where mmap_lock is held
 * @ival: as for smmu_inval_interval_insert(), with all that follows
 * @si: the instance
 * @mm: whose
 * @start: first user address, page aligned
 * @last: last user address, inclusive
 * @nr_records: how many invalidations are remembered; a power of two
 *
 * For an mmap() of the driver's, which knows the range only there.
 *
 * Context: process context; mmap_lock of @mm held for writing, the driver's lock
 * not held; sleeps.
 * Return: as smmu_inval_interval_insert().
 */
int smmu_inval_interval_insert_locked(struct smmu_inval_interval *ival,
				      struct smmu_inval *si,
				      struct mm_struct *mm, u64 start, u64 last,
				      unsigned int nr_records)
{
	return interval_insert(ival, si, mm, start, last, nr_records, true);
}
EXPORT_SYMBOL_GPL(smmu_inval_interval_insert_locked);

/**
 * smmu_inval_interval_remove() - follow the range no more
 * @ival: from smmu_inval_interval_insert(); may be inserted again
 *
 * No callback runs or comes afterwards, so the driver zaps what it maps there,
 * and lets no fault install anything, before. Flushes that callbacks have issued
 * for the range are over, and page-table pages freed.
 *
 * Context: process context; no lock held that an invalidation takes, and not
 * inside a callback of any mmu_notifier; takes the driver's lock; sleeps.
 */
void smmu_inval_interval_remove(struct smmu_inval_interval *ival)
{
	mmu_interval_notifier_remove(&ival->mni);
	second_pass_free(ival);
	kvfree(ival->records);
	ival->records = NULL;
}
EXPORT_SYMBOL_GPL(smmu_inval_interval_remove);

/**
 * smmu_inval_interval_read_begin() - start a fault
 * @ival: the interval that covers it
 *
 * As smmu_inval_read_begin(). Neither waits: what is pending is found by
 * smmu_inval_interval_read_retry(), if it overlaps.
 *
 * Context: any; takes no lock.
 * Return: the cookie for smmu_inval_interval_read_retry().
 */
struct smmu_inval_cookie
smmu_inval_interval_read_begin(const struct smmu_inval_interval *ival)
{
	struct smmu_inval_cookie cookie;

	/* Pairs with interval_settle(): a quiet that is there is valid. */
	cookie.settled = smp_load_acquire(&ival->settled);
	/*
	 * Pairs with interval_settle(): who sees a sequence as over sees the
	 * primary page tables as its invalidation left them.
	 */
	cookie.quiet = smp_load_acquire(&ival->quiet);
	cookie.si = smmu_inval_read_begin(ival->si);
	cookie.own = false;
	return cookie;
}
EXPORT_SYMBOL_GPL(smmu_inval_interval_read_begin);

/**
 * smmu_inval_interval_read_retry() - may what a fault found be installed?
 * @ival: the interval that covers it
 * @cookie: from smmu_inval_interval_read_begin()
 * @start: first user address of *all* that will be installed
 * @last: its last user address, inclusive
 *
 * Context: the driver's lock held, at least shared, and not dropped before the
 * translation is installed (I3).
 * Return: true if an invalidation that overlaps may be pending or came since
 * @cookie: drop the lock, call smmu_inval_interval_wait(), and start again.
 */
bool smmu_inval_interval_read_retry(struct smmu_inval_interval *ival,
				    struct smmu_inval_cookie cookie,
				    u64 start, u64 last)
{
	enum smmu_inval_hit pending = SMMU_INVAL_MISS, hit;
	struct smmu_inval *si = ival->si;

	/* Also asserts the lock, and knows of the driver's own invalidations. */
	if (smmu_inval_read_retry(si, cookie.si, start, last) || ival->dead)
		return true;
	if (cookie.settled &&
	    (!ival->seq || !seq_after(newest_record(ival)->mm_seq, cookie.quiet)))
		return false;

	smmu_inval_count(si, checks, 1);
	hit = records_hit(ival, cookie, start, last);
	if (hit != SMMU_INVAL_MISS &&
	    pending_hit(ival, start, last, false) != SMMU_INVAL_MISS)
		pending = hit;
	return smmu_inval_count_retry(si, pending, hit, start, last);
}
EXPORT_SYMBOL_GPL(smmu_inval_interval_read_retry);

#ifdef CONFIG_SMMU_INVAL_DEBUG
void smmu_inval_interval_assert_may_install(struct smmu_inval_interval *ival,
					    u64 start, u64 last)
{
	smmu_inval_assert_may_install(ival->si, start, last);
	/* Who installs may be who migrates: cookie.own. */
	if (ival->dead || pending_hit(ival, start, last, true) == SMMU_INVAL_HIT)
		smmu_inval_misuse(ival->si, "installed into a pending range",
				  start, last, SMMU_INVAL_NR_EVENTS);
}
EXPORT_SYMBOL_GPL(smmu_inval_interval_assert_may_install);
#endif

/* Nothing up to this sequence of the mm is pending any more. */
static void interval_settle(struct smmu_inval_interval *ival,
			    unsigned long mm_seq)
{
	unsigned long flags;

	smmu_inval_lock(ival->si, &flags);
	/* Nothing is lost yet: before, whatever left the ring was pending. */
	if (!ival->settled)
		ival->lost = mm_seq;
	if (!ival->settled || seq_after(mm_seq, ival->quiet)) {
		/* Pairs with the acquire in smmu_inval_interval_read_begin(). */
		smp_store_release(&ival->quiet, mm_seq);
	}
	/* As well: quiet is valid for whoever sees this. */
	smp_store_release(&ival->settled, true);
	smmu_inval_unlock(ival->si, flags);
}

/**
 * smmu_inval_interval_wait() - wait until nothing is in a fault's way
 * @ival: the interval that covers it
 * @start: first user address that the fault wants to install
 * @last: its last user address, inclusive
 *
 * Returns at once if nothing that overlaps can be pending. If something can,
 * core mm offers one way to know when it is over: to wait until no
 * invalidation runs in the mm that this notifier was told of. That wait cannot
 * be interrupted; the driver's own invalidations are waited for killably.
 *
 * Context: process context; no lock held that an invalidation takes, such as
 * mmap_lock or the driver's; sleeps.
 * Return: 0, -EINTR if a fatal signal is there, or -ESRCH if the process or the
 * instance is gone and nothing can be installed any more.
 */
int smmu_inval_interval_wait(struct smmu_inval_interval *ival,
			     u64 start, u64 last)
{
	struct smmu_inval *si = ival->si;
	struct smmu_inval_waiter waiter;
	bool dead, own, pending;
	unsigned long flags;
	int ret;

	smmu_inval_lock(si, &flags);
	dead = ival->dead || si->dead;
	own = smmu_inval_wait_prepare(si, &waiter, start, last);
	pending = pending_hit(ival, start, last, false) != SMMU_INVAL_MISS;
	smmu_inval_unlock(si, flags);

	if (own) {
		ret = smmu_inval_wait(&waiter);
		if (ret)
			return ret;
	}
	if (dead)
		return -ESRCH;
	if (pending)
		interval_settle(ival, mmu_interval_read_begin(&ival->mni));
	return fatal_signal_pending(current) ? -EINTR : 0;
}
EXPORT_SYMBOL_GPL(smmu_inval_interval_wait);

/**
 * smmu_inval_interval_is_dead() - may a fault ever succeed again?
 * @ival: the interval
 *
 * Context: any.
 * Return: true after the process or the instance is gone.
 */
bool smmu_inval_interval_is_dead(const struct smmu_inval_interval *ival)
{
	return READ_ONCE(ival->dead) || smmu_inval_is_dead(ival->si);
}
EXPORT_SYMBOL_GPL(smmu_inval_interval_is_dead);
