// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmarks' files in debugfs, smmu_inval_bench/: each runs when it is read,
 * and prints lines of "what key=value ...", which scripts/bench makes tables of.
 */
#include <linux/debugfs.h>
#include <linux/module.h>

#include "bench.h"

/* They share the addresses, and each other's time would be in the result. */
static DEFINE_MUTEX(one_at_a_time);

/* Enough for what it prints, or seq_file would run it a second time. */
#define SHOW(name)							\
static int name##_show(struct seq_file *m, void *unused)		\
{									\
	guard(mutex)(&one_at_a_time);					\
	return bench_##name##_show(m, unused);				\
}									\
									\
static int name##_open(struct inode *inode, struct file *file)		\
{									\
	return single_open_size(file, name##_show, NULL, SZ_64K);	\
}									\
									\
static const struct file_operations name##_fops = {			\
	.owner = THIS_MODULE,						\
	.open = name##_open,						\
	.read = seq_read,						\
	.llseek = seq_lseek,						\
	.release = single_release,					\
}

SHOW(cost);
SHOW(history);
SHOW(devices);
SHOW(batches);
SHOW(precision);
SHOW(sizes);

static ssize_t stream_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	guard(mutex)(&one_at_a_time);
	return bench_stream_write(file, buf, count, pos);
}

static const struct file_operations stream_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = stream_write,
	.llseek = noop_llseek,
};

static int __init bench_init(void)
{
	struct dentry *dir = debugfs_create_dir("smmu_inval_bench", NULL);

	debugfs_create_file("cost", 0400, dir, NULL, &cost_fops);
	debugfs_create_file("history", 0400, dir, NULL, &history_fops);
	debugfs_create_file("devices", 0400, dir, NULL, &devices_fops);
	debugfs_create_file("batches", 0400, dir, NULL, &batches_fops);
	debugfs_create_file("precision", 0400, dir, NULL, &precision_fops);
	debugfs_create_file("sizes", 0400, dir, NULL, &sizes_fops);
	debugfs_create_file("stream", 0200, dir, NULL, &stream_fops);
	return 0;
}
late_initcall(bench_init);
