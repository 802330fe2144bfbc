// SPDX-License-Identifier: GPL-2.0
/*
 * What an operation costs, by how much is pending. Reading the file is one
 * round, in which each scheme has its turn at each size: who wants medians of
 * interleaved runs reads it again.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>

#include "bench.h"

DEFINE_RWLOCK(bench_lock);
unsigned int bench_gaps = 1;

static const char * const op_names[] = {
	[BENCH_LOCK] = "lock",
	[BENCH_EMPTY_BATCH] = "empty_batch",
	[BENCH_BEGIN_END] = "begin_end",
	[BENCH_BEGIN_END_HELD] = "begin_end_held",
	[BENCH_READ_BEGIN] = "read_begin",
	[BENCH_RETRY_HELD] = "retry_held",
	[BENCH_FAULT] = "fault",
};

static const unsigned int sizes[] = { 0, 1, 2, 4, 8, 16, 64, 256, 1024, 4096 };

static const struct bench_scheme * const schemes[] = {
	&bench_lib, &bench_kvm, &bench_notifier, &bench_notifiers,
	&bench_interval,
};

static unsigned int bench_loops = 2000;
module_param_named(loops, bench_loops, uint, 0644);
MODULE_PARM_DESC(loops, "how often each operation is done in a round");

/* Long enough for two CPUs to get in each other's way */
#define CONTENDED	50

/*
 * The clock of user-mode Linux ticks every 256 ns. Two thousand times a third of a
 * nanosecond are between two and three ticks: what is that short is done many times more.
 */
#define SHORT		16

static void show_op(struct seq_file *m, const struct bench_scheme *scheme,
		    enum bench_op op, unsigned int pending, const char *suffix,
		    unsigned int times)
{
	unsigned int loops = times * clamp(READ_ONCE(bench_loops), 1U, 1000000U);
	unsigned long passed;
	u64 ns;

	/* Caches and branch predictors have seen it once. */
	scheme->run[op](min(loops, 64U));
	ns = ktime_get_ns();
	passed = scheme->run[op](loops);
	ns = ktime_get_ns() - ns;
	seq_printf(m, "cost scheme=%s op=%s%s pending=%u loops=%u ns=%llu passed=%lu\n",
		   scheme->name, op_names[op], suffix, pending, loops, ns,
		   passed);
}

static unsigned int op_times(enum bench_op op)
{
	return op == BENCH_READ_BEGIN || op == BENCH_RETRY_HELD ? SHORT : 1;
}

static DECLARE_COMPLETION(invalidating);

/* On another CPU, something is invalidated all the time. */
static int invalidator(void *data)
{
	const struct bench_scheme *scheme = data;

	complete(&invalidating);
	while (!kthread_should_stop()) {
		scheme->run[BENCH_BEGIN_END](64);
		cond_resched();
	}
	return 0;
}

static int show_contended(struct seq_file *m, const struct bench_scheme *scheme)
{
	struct task_struct *task;

	/* A kernel thread has no address space to send events for. */
	if (scheme->run[BENCH_BEGIN_END] == bench_mm_begin_end)
		return 0;
	task = kthread_create(invalidator, (void *)scheme, "bench/%s",
			      scheme->name);
	if (IS_ERR(task))
		return PTR_ERR(task);
	migrate_disable();
	kthread_bind(task, cpumask_any_but(cpu_online_mask, smp_processor_id()));
	wake_up_process(task);
	wait_for_completion(&invalidating);
	show_op(m, scheme, BENCH_FAULT, 0, "_contended", CONTENDED);
	show_op(m, scheme, BENCH_BEGIN_END, 0, "_contended", CONTENDED);
	migrate_enable();
	kthread_stop(task);
	return 0;
}

int bench_cost_show(struct seq_file *m, void *unused)
{
	const struct bench_scheme *scheme;
	unsigned int i, j;
	enum bench_op op;
	int ret;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		bench_gaps = max(sizes[i], 1U);
		for (j = 0; j < ARRAY_SIZE(schemes); j++) {
			if (fatal_signal_pending(current))
				return -EINTR;
			scheme = schemes[j];
			ret = scheme->open(sizes[i]);
			if (ret)
				return ret;
			for (op = 0; op < BENCH_NR_OPS; op++)
				if (scheme->run[op])
					show_op(m, scheme, op, sizes[i], "",
						op_times(op));
			if (!sizes[i] && num_online_cpus() > 1)
				ret = show_contended(m, scheme);
			scheme->close(sizes[i]);
			if (ret)
				return ret;
			cond_resched();
		}
	}
	return 0;
}
