// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for the ranges in the way of a fault, and for no others.
 *
 * A fault registers under the driver's lock, in the section in which it found
 * the ranges; the end that removes the last of them holds the same lock
 * exclusively, so it runs either before the check or after the registration,
 * and no wake-up is lost:
 *
 *	fault					end
 *	-----					---
 *	lock
 *	a pending range overlaps
 *	registers
 *	unlock
 *	sleeps					lock
 *						removes the range
 *						finds the waiter, wakes it
 *
 * The list has a lock of its own, because several faults may hold the driver's
 * lock shared, and because one that gives up does not hold it at all. An end
 * takes it only if somebody waits.
 */
#include <linux/sched/signal.h>

#include "internal.h"

void smmu_inval_wait_init(struct smmu_inval *si)
{
	raw_spin_lock_init(&si->wait_lock);
	INIT_LIST_HEAD(&si->waiters);
}

/* Wake those that nothing blocks any more. The lock is held exclusively. */
void __smmu_inval_wake(struct smmu_inval *si)
{
	struct smmu_inval_waiter *waiter, *next;
	unsigned long flags;

	raw_spin_lock_irqsave(&si->wait_lock, flags);
	list_for_each_entry_safe(waiter, next, &si->waiters, list) {
		if (!si->dead &&
		    smmu_inval_is_pending(si, waiter->start, waiter->last))
			continue;
		/* Its stack is not ours any more after complete(). */
		list_del_init(&waiter->list);
		complete(&waiter->done);
	}
	raw_spin_unlock_irqrestore(&si->wait_lock, flags);
}

/**
 * smmu_inval_wait_prepare() - register to wait for pending ranges
 * @si: the instance
 * @waiter: on the caller's stack; only valid if this returns true
 * @start: first unit that the fault wants to install
 * @last: its last unit, inclusive
 *
 * Context: the driver's lock held, at least shared, since the check that found
 * the fault blocked. Does not sleep.
 * Return: true if a pending range overlaps: drop the lock and call
 * smmu_inval_wait() or smmu_inval_wait_timeout(), which must not be left out.
 * False if there is nothing to wait for.
 */
bool smmu_inval_wait_prepare(struct smmu_inval *si,
			     struct smmu_inval_waiter *waiter,
			     u64 start, u64 last)
{
	unsigned long flags;

	smmu_inval_assert_held(si);
	if (si->dead || !smmu_inval_is_pending(si, start, last))
		return false;
	waiter->si = si;
	waiter->start = start;
	waiter->last = last;
	init_completion(&waiter->done);
	raw_spin_lock_irqsave(&si->wait_lock, flags);
	list_add_tail(&waiter->list, &si->waiters);
	raw_spin_unlock_irqrestore(&si->wait_lock, flags);
	return true;
}
EXPORT_SYMBOL_GPL(smmu_inval_wait_prepare);

/* Give up waiting. The wake-up may have come meanwhile: then it counts. */
static bool wait_cancel(struct smmu_inval_waiter *waiter)
{
	struct smmu_inval *si = waiter->si;
	unsigned long flags;
	bool waiting;

	raw_spin_lock_irqsave(&si->wait_lock, flags);
	waiting = !list_empty(&waiter->list);
	list_del_init(&waiter->list);
	raw_spin_unlock_irqrestore(&si->wait_lock, flags);
	return waiting;
}

/**
 * smmu_inval_wait_timeout() - wait until nothing is in a fault's way
 * @waiter: from smmu_inval_wait_prepare(), which returned true
 * @timeout: in jiffies, MAX_SCHEDULE_TIMEOUT for none
 *
 * Another invalidation may begin at any time, so the fault has to start again,
 * with a new cookie, and to check again.
 *
 * Context: process context, no lock held that an invalidation takes; sleeps.
 * Return: 0 if no pending range overlapped any more, -ETIMEDOUT, -EINTR after
 * a fatal signal, or -ESRCH if the instance is dead and nothing can be
 * installed any more.
 */
int smmu_inval_wait_timeout(struct smmu_inval_waiter *waiter,
			    unsigned long timeout)
{
	long left;

	left = wait_for_completion_killable_timeout(&waiter->done, timeout);
	if (left <= 0 && wait_cancel(waiter))
		return left ? -EINTR : -ETIMEDOUT;
	return smmu_inval_is_dead(waiter->si) ? -ESRCH : 0;
}
EXPORT_SYMBOL_GPL(smmu_inval_wait_timeout);

/**
 * smmu_inval_wait() - wait until nothing is in a fault's way
 * @waiter: from smmu_inval_wait_prepare(), which returned true
 *
 * smmu_inval_wait_timeout() without a timeout.
 *
 * Context: process context, no lock held that an invalidation takes; sleeps.
 * Return: 0, -EINTR or -ESRCH, as smmu_inval_wait_timeout().
 */
int smmu_inval_wait(struct smmu_inval_waiter *waiter)
{
	return smmu_inval_wait_timeout(waiter, MAX_SCHEDULE_TIMEOUT);
}
EXPORT_SYMBOL_GPL(smmu_inval_wait);
