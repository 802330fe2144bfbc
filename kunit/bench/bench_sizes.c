// SPDX-License-Identifier: GPL-2.0
/*
 * What the library's objects take. Inside of the driver's: the instance, and an
 * interval. On the stack: a batch, a drain, a look, a waiter. Allocated with an
 * instance: tokens and ranges (nr_ranges), completions (nr_history), and the
 * statistics of each CPU; with an interval, its records.
 */
#include "bench.h"

#define SHOW_SIZE(m, name) \
	seq_printf(m, "size struct=%s bytes=%zu\n", #name, sizeof(struct name))

int bench_sizes_show(struct seq_file *m, void *unused)
{
	SHOW_SIZE(m, smmu_inval);
	SHOW_SIZE(m, smmu_inval_interval);
	SHOW_SIZE(m, smmu_inval_batch);
	SHOW_SIZE(m, smmu_inval_drain);
	SHOW_SIZE(m, smmu_inval_look);
	SHOW_SIZE(m, smmu_inval_waiter);
	SHOW_SIZE(m, smmu_inval_token);
	SHOW_SIZE(m, smmu_inval_range);
	SHOW_SIZE(m, smmu_inval_done);
	SHOW_SIZE(m, smmu_inval_record);
	SHOW_SIZE(m, smmu_inval_stats);
	SHOW_SIZE(m, mmu_interval_notifier);
	return 0;
}
