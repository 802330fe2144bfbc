// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics: per CPU, since faults count with the driver's lock held shared, and
 * secondary TLBs without one, and summed up when somebody asks, in debugfs or through
 * the getter. What begins an invalidation holds the lock exclusively, and counts in
 * one place.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "internal.h"

static struct dentry *root;
static atomic_t next_dir;
/* Of all instances with shared_stats. */
static DEFINE_PER_CPU(struct smmu_inval_stats, shared_stats);

/* Of an instance, or without one of those that share them. */
static void stats_sum(const struct smmu_inval *si, struct smmu_inval_stats *sum)
{
	u64 *to = (u64 *)sum;
	unsigned int i;
	int cpu;

	BUILD_BUG_ON(sizeof(*sum) % sizeof(u64));
	memset(sum, 0, sizeof(*sum));
	for (i = 0; si && si->begun && i < SMMU_INVAL_NR_EVENTS; i++) {
		sum->event[i].callbacks = READ_ONCE(si->begun[i].callbacks);
		sum->event[i].asked = READ_ONCE(si->begun[i].asked);
	}
	for_each_possible_cpu(cpu) {
		const u64 *from = (u64 *)per_cpu_ptr(si ? si->stats : &shared_stats,
						     cpu);

		for (i = 0; i < sizeof(*sum) / sizeof(u64); i++)
			to[i] += READ_ONCE(from[i]);
	}
}

/**
 * smmu_inval_get_stats() - the counters of an instance
 * @si: the instance; with shared_stats the sums are those of all that share
 * @sum: filled in; sums over all CPUs, not a snapshot of one moment
 *
 * Context: any.
 */
void smmu_inval_get_stats(const struct smmu_inval *si,
			  struct smmu_inval_stats *sum)
{
	stats_sum(si, sum);
}
EXPORT_SYMBOL_GPL(smmu_inval_get_stats);

static int stats_show(struct seq_file *m, void *unused)
{
	const struct smmu_inval *si = m->private;
	struct smmu_inval_stats *s;
	unsigned int i;

	s = kmalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	stats_sum(si, s);
	seq_printf(m, "%-16s %12s %12s %12s %12s %12s %12s\n", "event",
		   "callbacks", "asked", "changed", "kept", "deferred",
		   "flushed");
	for (i = 0; i < SMMU_INVAL_NR_EVENTS; i++) {
		const struct smmu_inval_event_stats *e = &s->event[i];

		seq_printf(m,
			   "%-16s %12llu %12llu %12llu %12llu %12llu %12llu\n",
			   smmu_inval_event_name(i), e->callbacks, e->asked,
			   e->changed, e->kept, e->deferred, e->flushed);
	}
	seq_printf(m, "checks %llu\n", s->checks);
	seq_printf(m, "retries_pending %llu\n", s->retries_pending);
	seq_printf(m, "retries_done %llu\n", s->retries_done);
	seq_printf(m, "retries_false %llu\n", s->retries_false);
	seq_printf(m, "flushes %llu\n", s->flushes);
	seq_printf(m, "flushes_all %llu\n", s->flushes_all);
	seq_printf(m, "waits %llu\n", s->waits);
	seq_printf(m, "overflow_pending %llu\n", s->overflow_pending);
	seq_printf(m, "overflow_batch %llu\n", s->overflow_batch);
	seq_printf(m, "overflow_history %llu\n", s->overflow_history);
	seq_printf(m, "overflow_flights %llu\n", s->overflow_flights);
	seq_printf(m, "odd_ranges %llu\n", s->odd_ranges);
	seq_printf(m, "eagain %llu\n", s->eagain);
	seq_printf(m, "single_pass %llu\n", s->single_pass);
	seq_printf(m, "combined %llu\n", s->combined);
	kfree(s);
	if (!si)
		return 0;
	seq_printf(m, "pending %u\n", __smmu_inval_nr_pending(si));
	seq_printf(m, "dead %u\n", READ_ONCE(si->dead));
	seq_printf(m, "misused %u\n", READ_ONCE(si->safe_side));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int coarse_get(void *data, u64 *value)
{
	struct smmu_inval *si = data;

	*value = READ_ONCE(si->coarse);
	return 0;
}

static int coarse_set(void *data, u64 value)
{
	if (value > 1)
		return -EINVAL;
	smmu_inval_set_coarse(data, value);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(coarse_fops, coarse_get, coarse_set, "%llu\n");

int smmu_inval_stats_init(struct smmu_inval *si)
{
	if (si->cfg.shared_stats) {
		si->stats = &shared_stats;
		return 0;
	}
	si->begun = smmu_inval_alloc(SMMU_INVAL_NR_EVENTS, sizeof(*si->begun));
	if (si->begun && !smmu_inval_should_fail(alloc))
		si->stats = alloc_percpu(struct smmu_inval_stats);
	if (!si->stats) {
		kvfree(si->begun);
		return -ENOMEM;
	}
	if (!si->cfg.late_debugfs)
		smmu_inval_debugfs_add(si);
	return 0;
}

/* Not with mmap_lock held: reading a directory faults with its lock held. */
void smmu_inval_debugfs_add(struct smmu_inval *si)
{
	char name[64];

	if (si->cfg.shared_stats)
		return;
	snprintf(name, sizeof(name), "%s-%u", si->cfg.name,
		 (unsigned int)atomic_inc_return(&next_dir));
	si->dir = debugfs_create_dir(name, root);
	debugfs_create_file("stats", 0444, si->dir, si, &stats_fops);
	debugfs_create_file_unsafe("coarse", 0644, si->dir, si, &coarse_fops);
}

void smmu_inval_stats_free(struct smmu_inval *si)
{
	debugfs_remove_recursive(si->dir);
	if (!si->cfg.shared_stats)
		free_percpu(si->stats);
	kvfree(si->begun);
}

void smmu_inval_debugfs_init(void)
{
	root = debugfs_create_dir("smmu_inval", NULL);
	debugfs_create_file("stats", 0444, debugfs_create_dir("shared", root),
			    NULL, &stats_fops);
	smmu_inval_inject_init(root);
}

void smmu_inval_debugfs_exit(void)
{
	debugfs_remove_recursive(root);
}
