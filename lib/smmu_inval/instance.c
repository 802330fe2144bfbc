// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Secondary-MMU invalidation
 *
 * An instance stands for one secondary MMU. The driver embeds it in its own
 * object and protects it with the lock that protects its page tables; the
 * library has no lock of its own on any path that matters.
 *
 * Invalidation side, with the driver's lock held::
 *
 *	guard(mutex)(&drv->lock);
 *	CLASS(smmu_inval_batch, batch)(&drv->si);
 *
 *	token = smmu_inval_begin(&drv->si, event);
 *	smmu_inval_add(&drv->si, token, start, last);
 *	... change the page tables; for exactly what changed:
 *	smmu_inval_changed(&batch, start, last, event);
 *	... the batch is flushed here, and then the mutex dropped
 *
 * and later, in another section of the lock, smmu_inval_end().
 *
 * Fault side::
 *
 *	while (!smmu_inval_is_dead(&drv->si)) {
 *		cookie = smmu_inval_read_begin(&drv->si);
 *		... fault the pages in ...
 *		mutex_lock(&drv->lock);
 *		if (!smmu_inval_read_retry(&drv->si, cookie, start, last)) {
 *			... install ...
 *			mutex_unlock(&drv->lock);
 *			return 0;
 *		}
 *		wait = smmu_inval_wait_prepare(&drv->si, &waiter, start, last);
 *		mutex_unlock(&drv->lock);
 *		if (wait && smmu_inval_wait(&waiter))
 *			break;
 *	}
 *	return -EFAULT;
 *
 * Most drivers do not call begin and end themselves, but bind the instance to
 * a process: see mn.c, interval.c and tlb.c.
 */
#include <linux/log2.h>
#include <linux/module.h>

#include "internal.h"

/* For all instances: everything as coarse as drivers without this library. */
bool smmu_inval_coarse;
module_param_named(coarse, smmu_inval_coarse, bool, 0644);
MODULE_PARM_DESC(coarse,
		 "one hull, always zap, always flush everything, in all instances");

static bool lock_is_valid(const struct smmu_inval_config *cfg)
{
	switch (cfg->lock.kind) {
	case SMMU_INVAL_NO_LOCK:
		return false;
	case SMMU_INVAL_LOCKLESS:
		return !cfg->lock.lock && !cfg->zap_sleeps;
	case SMMU_INVAL_MUTEX:
	case SMMU_INVAL_RWSEM:
		return cfg->lock.lock;
	default:
		return cfg->lock.lock && !cfg->zap_sleeps;
	}
}

static bool config_is_valid(const struct smmu_inval_ops *ops,
			    const struct smmu_inval_config *cfg)
{
	if (!ops || !cfg || !cfg->name || !*cfg->name)
		return false;
	if (!lock_is_valid(cfg))
		return false;
	if (!ops->flush || !ops->flush_issue != !ops->flush_wait)
		return false;
	if (cfg->start > cfg->last || cfg->page_shift > PAGE_SHIFT)
		return false;
	return is_power_of_2(cfg->nr_history) &&
	       cfg->nr_ranges <= SMMU_INVAL_MAX_RANGES &&
	       cfg->nr_history <= SMMU_INVAL_MAX_RANGES &&
	       cfg->flush_spans <= SMMU_INVAL_BATCH_SPANS &&
	       !(cfg->zap_events >> SMMU_INVAL_NR_EVENTS);
}

/**
 * smmu_inval_init() - initialize an instance
 * @si: embedded in the driver's object
 * @ops: what the driver can do; must outlive the instance
 * @cfg: what the driver declares; copied, but for the strings and the lock
 *
 * Context: process context; sleeps for memory.
 * Return: 0, -EINVAL if @ops or @cfg are incomplete or contradict themselves,
 * or -ENOMEM.
 */
int smmu_inval_init(struct smmu_inval *si, const struct smmu_inval_ops *ops,
		    const struct smmu_inval_config *cfg)
{
	int ret;

	memset(si, 0, sizeof(*si));
	if (!config_is_valid(ops, cfg))
		return -EINVAL;
	si->cfg = *cfg;
	si->coarse = cfg->coarse;
	smmu_inval_wait_init(si);

	ret = smmu_inval_pending_init(si);
	if (ret)
		return ret;
	ret = smmu_inval_history_init(si);
	if (ret)
		goto free_pending;
	ret = smmu_inval_stats_init(si);
	if (ret)
		goto free_history;
	si->magic = SMMU_INVAL_MAGIC;
	/* The bindings take an instance without operations for no instance. */
	si->ops = ops;
	return 0;

free_history:
	smmu_inval_history_free(si);
free_pending:
	smmu_inval_pending_free(si);
	return ret;
}
EXPORT_SYMBOL_GPL(smmu_inval_init);

/**
 * smmu_inval_shutdown() - let no fault succeed any more
 * @si: the instance
 *
 * From now on smmu_inval_read_retry() always says retry, and faults that wait
 * return with -ESRCH. Invalidations go on to work. May be called again.
 *
 * Context: takes the driver's lock.
 */
void smmu_inval_shutdown(struct smmu_inval *si)
{
	unsigned long flags;

	smmu_inval_lock(si, &flags);
	smmu_inval_pending_close(si);
	smmu_inval_wake(si);
	smmu_inval_unlock(si, flags);
}
EXPORT_SYMBOL_GPL(smmu_inval_shutdown);

/**
 * smmu_inval_destroy() - free what smmu_inval_init() allocated
 * @si: the instance; one that smmu_inval_init() refused will do too
 *
 * The driver has unbound it before and has no fault running, after
 * smmu_inval_shutdown() if need be. What is still pending is forgotten: after a
 * notifier is unregistered, ends may never come.
 *
 * Context: process context; sleeps.
 */
void smmu_inval_destroy(struct smmu_inval *si)
{
	if (!si->ops)
		return;
	WARN_ON_ONCE(!list_empty(&si->waiters));
	si->magic = 0;
	si->ops = NULL;
	smmu_inval_stats_free(si);
	smmu_inval_history_free(si);
	smmu_inval_pending_free(si);
}
EXPORT_SYMBOL_GPL(smmu_inval_destroy);

/**
 * smmu_inval_set_coarse() - switch precision off or on
 * @si: the instance
 * @coarse: true for what drivers do without this library: one hull for all
 *	pending ranges, one sequence for all completions, each event zaps, each
 *	flush covers everything
 *
 * For comparing, and for finding out in the field whether a bug is in the
 * precision. Also in debugfs, and as a module parameter for all instances.
 *
 * Context: any, at any time.
 */
void smmu_inval_set_coarse(struct smmu_inval *si, bool coarse)
{
	WRITE_ONCE(si->coarse, coarse);
}
EXPORT_SYMBOL_GPL(smmu_inval_set_coarse);

static int __init smmu_inval_module_init(void)
{
	smmu_inval_wq = alloc_workqueue("smmu_inval", WQ_UNBOUND, 0);
	if (!smmu_inval_wq)
		return -ENOMEM;
	smmu_inval_debugfs_init();
	return 0;
}
subsys_initcall(smmu_inval_module_init);

static void __exit smmu_inval_module_exit(void)
{
	smmu_inval_second_exit();
	smmu_inval_debugfs_exit();
	destroy_workqueue(smmu_inval_wq);
}
module_exit(smmu_inval_module_exit);

MODULE_DESCRIPTION("Secondary-MMU invalidation library");
MODULE_LICENSE("GPL");
