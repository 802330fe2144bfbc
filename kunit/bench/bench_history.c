// SPDX-License-Identifier: GPL-2.0
/*
 * What a check costs, by how many invalidations of other pages completed since
 * the fault began: what a longer history buys its precision with.
 */
#include <linux/ktime.h>

#include "bench.h"

#define LOOPS	2000

static void no_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
}

static const struct smmu_inval_ops ops = { .flush = no_flush };

int bench_history_show(struct seq_file *m, void *unused)
{
	static struct smmu_inval si;
	struct smmu_inval_config cfg = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "bench",
		.lock = SMMU_INVAL_LOCK(&bench_lock),
	};
	u64 start = BENCH_BASE, ns, cookie;
	unsigned int since, i;
	bool retry = false;
	int ret;

	cfg.nr_history = 1024;
	ret = smmu_inval_init(&si, &ops, &cfg);
	if (ret)
		return ret;
	for (since = 0; since <= 1024; since = since ? since * 2 : 1) {
		cookie = smmu_inval_read_begin(&si);
		write_lock(&bench_lock);
		for (i = 0; i < since; i++)
			smmu_inval_completed(&si, start + PAGE_SIZE,
					     start + 2 * PAGE_SIZE - 1);
		write_unlock(&bench_lock);
		read_lock(&bench_lock);
		ns = ktime_get_ns();
		for (i = 0; i < LOOPS; i++) {
			retry |= smmu_inval_read_retry(&si, cookie, start,
						       start | ~PAGE_MASK);
			barrier();
		}
		ns = ktime_get_ns() - ns;
		read_unlock(&bench_lock);
		seq_printf(m, "history since=%u loops=%u ns=%llu\n", since,
			   LOOPS, ns);
	}
	smmu_inval_destroy(&si);
	return retry ? -EINVAL : 0;
}
