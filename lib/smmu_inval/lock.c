// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's lock, taken by the bindings on the driver's behalf.
 *
 * The library owns no lock; it only has to take the driver's where core mm
 * calls the library first. Each kind that SMMU_INVAL_LOCK() accepts has a case
 * in smmu_inval_lock() and smmu_inval_unlock(). For sparse, which counts contexts
 * and does not follow sleeping locks, those are annotated by hand.
 */
#include "internal.h"

void smmu_inval_lock(struct smmu_inval *si, unsigned long *flags)
	__acquires(si->cfg.lock.lock)
{
	void *lock = si->cfg.lock.lock;

	*flags = 0;
	switch (si->cfg.lock.kind) {
	case SMMU_INVAL_SPINLOCK:
		spin_lock((spinlock_t *)lock);
		return;
	case SMMU_INVAL_SPINLOCK_IRQ:
		spin_lock_irqsave((spinlock_t *)lock, *flags);
		return;
	case SMMU_INVAL_RAW_SPINLOCK:
		raw_spin_lock_irqsave((raw_spinlock_t *)lock, *flags);
		return;
	case SMMU_INVAL_RWLOCK:
		write_lock((rwlock_t *)lock);
		return;
	case SMMU_INVAL_MUTEX:
		mutex_lock(lock);
		break;
	case SMMU_INVAL_RWSEM:
		down_write(lock);
		break;
	case SMMU_INVAL_LOCKLESS:
	case SMMU_INVAL_NO_LOCK:
		break;
	}
	__acquire(lock);
}

/*
 * A lock that sleeps, for callers that may not; contention is all that it fails
 * for. Others they take as everybody does.
 */
bool smmu_inval_trylock(struct smmu_inval *si, unsigned long *flags)
{
	void *lock = si->cfg.lock.lock;

	*flags = 0;
	return si->cfg.lock.kind == SMMU_INVAL_MUTEX ? mutex_trylock(lock) :
						       down_write_trylock(lock);
}

void smmu_inval_unlock(struct smmu_inval *si, unsigned long flags)
	__releases(si->cfg.lock.lock)
{
	void *lock = si->cfg.lock.lock;

	switch (si->cfg.lock.kind) {
	case SMMU_INVAL_SPINLOCK:
		spin_unlock((spinlock_t *)lock);
		return;
	case SMMU_INVAL_SPINLOCK_IRQ:
		spin_unlock_irqrestore((spinlock_t *)lock, flags);
		return;
	case SMMU_INVAL_RAW_SPINLOCK:
		raw_spin_unlock_irqrestore((raw_spinlock_t *)lock, flags);
		return;
	case SMMU_INVAL_RWLOCK:
		write_unlock((rwlock_t *)lock);
		return;
	case SMMU_INVAL_MUTEX:
		mutex_unlock(lock);
		break;
	case SMMU_INVAL_RWSEM:
		up_write(lock);
		break;
	case SMMU_INVAL_LOCKLESS:
	case SMMU_INVAL_NO_LOCK:
		break;
	}
	__release(lock);
}
