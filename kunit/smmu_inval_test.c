// SPDX-License-Identifier: GPL-2.0
/*
 * The device, the threads and the random numbers of the tests.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "smmu_inval_test.h"

static unsigned long long seed = 1;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "Seed of the random tests; 0 takes a new one each time");

unsigned int test_race_ms = 300;
module_param_named(race_ms, test_race_ms, uint, 0444);
MODULE_PARM_DESC(race_ms, "Duration of each concurrency test");

unsigned int test_scale = 1;
module_param_named(scale, test_scale, uint, 0444);
MODULE_PARM_DESC(scale, "Factor for the number of random operations");

/* The driver's lock. */

struct smmu_inval_lock test_lock_init(struct test_dev *dev,
				      enum test_lock_kind kind)
{
	dev->kind = kind;
	switch (kind) {
	case TEST_SPINLOCK:
		spin_lock_init(&dev->lock.spin);
		return SMMU_INVAL_LOCK(&dev->lock.spin);
	case TEST_RAW_SPINLOCK:
		raw_spin_lock_init(&dev->lock.raw);
		return SMMU_INVAL_LOCK(&dev->lock.raw);
	case TEST_RWLOCK:
		rwlock_init(&dev->lock.rw);
		return SMMU_INVAL_LOCK(&dev->lock.rw);
	case TEST_MUTEX:
		mutex_init(&dev->lock.mutex);
		return SMMU_INVAL_LOCK(&dev->lock.mutex);
	case TEST_RWSEM:
	default:
		init_rwsem(&dev->lock.sem);
		return SMMU_INVAL_LOCK(&dev->lock.sem);
	}
}

/* For sparse, which does not follow sleeping locks, they are annotated. */
void test_lock(struct test_dev *dev)
	__acquires(&dev->lock)
{
	unsigned long flags = 0;

	switch (dev->kind) {
	case TEST_SPINLOCK:
		spin_lock(&dev->lock.spin);
		break;
	case TEST_RAW_SPINLOCK:
		raw_spin_lock_irqsave(&dev->lock.raw, flags);
		break;
	case TEST_RWLOCK:
		write_lock(&dev->lock.rw);
		break;
	case TEST_MUTEX:
		mutex_lock(&dev->lock.mutex);
		__acquire(&dev->lock);
		break;
	default:
		down_write(&dev->lock.sem);
		__acquire(&dev->lock);
		break;
	}
	dev->flags = flags;
	WRITE_ONCE(dev->holder, current);
}

void test_unlock(struct test_dev *dev)
	__releases(&dev->lock)
{
	WRITE_ONCE(dev->holder, NULL);
	switch (dev->kind) {
	case TEST_SPINLOCK:
		spin_unlock(&dev->lock.spin);
		break;
	case TEST_RAW_SPINLOCK:
		raw_spin_unlock_irqrestore(&dev->lock.raw, dev->flags);
		break;
	case TEST_RWLOCK:
		write_unlock(&dev->lock.rw);
		break;
	case TEST_MUTEX:
		mutex_unlock(&dev->lock.mutex);
		__release(&dev->lock);
		break;
	default:
		up_write(&dev->lock.sem);
		__release(&dev->lock);
		break;
	}
}

/* As the faults of drivers whose lock can be shared do, KVM's for one. */
void test_lock_shared(struct test_dev *dev, unsigned long *flags)
	__acquires(&dev->lock)
{
	*flags = 0;
	switch (dev->kind) {
	case TEST_SPINLOCK:
		spin_lock(&dev->lock.spin);
		break;
	case TEST_RAW_SPINLOCK:
		raw_spin_lock_irqsave(&dev->lock.raw, *flags);
		break;
	case TEST_RWLOCK:
		read_lock(&dev->lock.rw);
		break;
	case TEST_MUTEX:
		mutex_lock(&dev->lock.mutex);
		__acquire(&dev->lock);
		break;
	default:
		down_read(&dev->lock.sem);
		__acquire(&dev->lock);
		break;
	}
}

void test_unlock_shared(struct test_dev *dev, unsigned long flags)
	__releases(&dev->lock)
{
	switch (dev->kind) {
	case TEST_SPINLOCK:
		spin_unlock(&dev->lock.spin);
		break;
	case TEST_RAW_SPINLOCK:
		raw_spin_unlock_irqrestore(&dev->lock.raw, flags);
		break;
	case TEST_RWLOCK:
		read_unlock(&dev->lock.rw);
		break;
	case TEST_MUTEX:
		mutex_unlock(&dev->lock.mutex);
		__release(&dev->lock);
		break;
	default:
		up_read(&dev->lock.sem);
		__release(&dev->lock);
		break;
	}
}

const enum test_lock_kind test_locks[TEST_NR_LOCKS] = {
	TEST_SPINLOCK, TEST_RAW_SPINLOCK, TEST_RWLOCK, TEST_MUTEX, TEST_RWSEM,
};

void test_lock_desc(const enum test_lock_kind *kind, char *desc)
{
	static const char * const names[] = {
		"spinlock", "raw_spinlock", "rwlock", "mutex", "rw_semaphore",
	};

	strscpy(desc, names[*kind], KUNIT_PARAM_DESC_SIZE);
}

/* The hardware. */

/* What struct smmu_inval_flush promises: sorted, disjoint, within limits. */
static bool flush_is_odd(struct test_dev *dev,
			 const struct smmu_inval_flush *flush)
{
	unsigned int i;

	if (flush->all)
		return flush->nr;
	if (!flush->nr || flush->nr > dev->si.cfg.flush_spans)
		return true;
	for (i = 0; i < flush->nr; i++) {
		if (flush->spans[i].start > flush->spans[i].last ||
		    !flush->spans[i].events)
			return true;
		if (i && flush->spans[i].start <= flush->spans[i - 1].last)
			return true;
	}
	return false;
}

static void record_flush(struct test_dev *dev,
			 const struct smmu_inval_flush *flush)
{
	unsigned int i;
	u64 start, last;

	if (READ_ONCE(dev->holder) != current)
		dev->unlocked++;
	dev->flushes++;
	dev->nr_spans = 0;
	dev->events = 0;
	if (flush_is_odd(dev, flush)) {
		dev->odd++;
		return;
	}
	if (flush->all) {
		dev->flushes_all++;
		bitmap_fill(dev->flushed, TEST_UNITS);
		return;
	}
	for (i = 0; i < flush->nr; i++) {
		dev->spans[i] = flush->spans[i];
		dev->events |= flush->spans[i].events;
		start = flush->spans[i].start;
		last = min_t(u64, flush->spans[i].last, TEST_UNITS - 1);
		if (start < TEST_UNITS)
			bitmap_set(dev->flushed, start, last - start + 1);
	}
	dev->nr_spans = flush->nr;
}

static void op_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	record_flush(to_test_dev(si), flush);
}

static u64 op_flush_issue(struct smmu_inval *si,
			  const struct smmu_inval_flush *flush)
{
	struct test_dev *dev = to_test_dev(si);

	record_flush(dev, flush);
	return ++dev->issued;
}

static void raise_to(atomic64_t *max, u64 value)
{
	s64 old = atomic64_read(max);

	while (old < (s64)value && !atomic64_try_cmpxchg(max, &old, value))
		;
}

/* The device completes everything up to ticket. */
void test_land(struct test_dev *dev, u64 ticket)
{
	raise_to(&dev->landed, ticket);
	wake_up_all(&dev->landing);
}

static void op_flush_wait(struct smmu_inval *si, u64 ticket)
{
	struct test_dev *dev = to_test_dev(si);

	atomic_inc(&dev->waits);
	raise_to(&dev->waited, ticket);
	if (READ_ONCE(dev->holder) == current) {
		/* Would sleep with a spinlock held: record it, do not do it. */
		atomic_inc(&dev->waited_locked);
		test_land(dev, ticket);
		return;
	}
	if (!READ_ONCE(dev->parked))
		test_land(dev, ticket);
	wait_event_timeout(dev->landing,
			   atomic64_read(&dev->landed) >= (s64)ticket,
			   TEST_SOON);
}

static void op_free_tables(struct smmu_inval *si, struct llist_node *tables)
{
	struct test_dev *dev = to_test_dev(si);
	struct test_table *table, *next;

	llist_for_each_entry_safe(table, next, tables, node) {
		table->freed++;
		dev->freed++;
		if (!dev->flushes || atomic64_read(&dev->landed) < (s64)table->ticket)
			dev->freed_early++;
	}
}

static void op_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		   const struct smmu_inval_span *span)
{
	to_test_dev(si)->zaps++;
}

static void op_decide(struct smmu_inval *si, struct smmu_inval_batch *batch,
		      const struct smmu_inval_look *look)
{
}

const struct smmu_inval_ops test_ops = {
	.zap = op_zap,
	.wrprotect = op_zap,
	.decide = op_decide,
	.flush = op_flush,
	.free_tables = op_free_tables,
};

const struct smmu_inval_ops test_ops_two_phase = {
	.zap = op_zap,
	.wrprotect = op_zap,
	.decide = op_decide,
	.flush = op_flush,
	.flush_issue = op_flush_issue,
	.flush_wait = op_flush_wait,
	.free_tables = op_free_tables,
};

/* Making one. */

/* A small space, with room for everything that a short test does. */
struct smmu_inval_config test_config(void)
{
	return (struct smmu_inval_config){
		.name = "kunit",
		.start = 0,
		.last = TEST_UNITS - 1,
		.page_shift = 0,
		.nr_ranges = 16,
		.nr_history = 64,
		.flush_spans = SMMU_INVAL_BATCH_SPANS,
	};
}

/* test_exit() destroys it. A lock in @cfg is replaced by one of @kind. */
struct test_dev *test_dev_new(struct kunit *test, enum test_lock_kind kind,
			      const struct smmu_inval_ops *ops,
			      const struct smmu_inval_config *cfg)
{
	struct smmu_inval_config config = *cfg;
	struct test_dev *dev;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->test = test;
	init_waitqueue_head(&dev->landing);
	config.lock = test_lock_init(dev, kind);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&dev->si, ops, &config), 0);
	dev->next = test->priv;
	test->priv = dev;
	return dev;
}

/* Each suite's exit: what no device may have seen, then the end of it. */
void test_exit(struct kunit *test)
{
	struct test_dev *dev;

	for (dev = test->priv; dev; dev = dev->next) {
		KUNIT_EXPECT_EQ_MSG(test, dev->unlocked, 0,
				    "flushed without the lock");
		KUNIT_EXPECT_EQ_MSG(test, dev->odd, 0,
				    "spans unsorted, empty or too many");
		KUNIT_EXPECT_EQ_MSG(test, dev->freed_early, 0,
				    "freed tables before their flush was over");
		smmu_inval_destroy(&dev->si);
	}
	test->priv = NULL;
}

/* One call of the library in a lock section of its own. */

struct smmu_inval_token *test_begin(struct test_dev *dev, u64 start, u64 last)
{
	struct smmu_inval_token *token;

	guard(test_dev)(dev);
	token = smmu_inval_begin(&dev->si, SMMU_INVAL_UNMAP);
	smmu_inval_add(&dev->si, token, start, last);
	return token;
}

void test_add(struct test_dev *dev, struct smmu_inval_token *token,
	      u64 start, u64 last)
{
	guard(test_dev)(dev);
	smmu_inval_add(&dev->si, token, start, last);
}

void test_end(struct test_dev *dev, struct smmu_inval_token *token)
{
	guard(test_dev)(dev);
	smmu_inval_end(&dev->si, token);
}

void test_complete(struct test_dev *dev, u64 start, u64 last)
{
	guard(test_dev)(dev);
	smmu_inval_completed(&dev->si, start, last);
}

/* As a fault asks, with the lock shared if it can be. */
bool test_retry(struct test_dev *dev, u64 cookie, u64 start, u64 last)
{
	unsigned long flags;
	bool retry;

	test_lock_shared(dev, &flags);
	retry = smmu_inval_read_retry(&dev->si, cookie, start, last);
	test_unlock_shared(dev, flags);
	return retry;
}

/* Is it pending now? A cookie that is new leaves no other reason to retry. */
bool test_pending(struct test_dev *dev, u64 start, u64 last)
{
	return test_retry(dev, smmu_inval_read_begin(&dev->si), start, last);
}

/* A lock section that changes one range. */
void test_change(struct test_dev *dev, u64 start, u64 last)
{
	guard(test_dev)(dev);
	CLASS(smmu_inval_batch, batch)(&dev->si);

	smmu_inval_changed(&batch, start, last, SMMU_INVAL_UNMAP);
}

/* The same in two phases: issued when this returns, waited for by the drain. */
void test_change_deferred(struct test_dev *dev, struct smmu_inval_drain *drain,
			  u64 start, u64 last)
{
	guard(test_dev)(dev);
	CLASS(smmu_inval_batch, batch)(&dev->si);

	smmu_inval_batch_defer(&batch, drain);
	smmu_inval_changed(&batch, start, last, SMMU_INVAL_UNMAP);
}

/* A callback that finds nothing to change: its caller frees the page anyway. */
void test_drain(struct test_dev *dev, u64 start, u64 last)
{
	CLASS(smmu_inval_drain, drain)(&dev->si);
	guard(test_dev)(dev);

	smmu_inval_drain_range(&drain, start, last);
}

u64 test_stat(struct test_dev *dev, size_t offset)
{
	struct smmu_inval_stats stats;

	smmu_inval_get_stats(&dev->si, &stats);
	return *(u64 *)((void *)&stats + offset);
}

/* What the device was told. */

void test_forget(struct test_dev *dev)
{
	dev->flushes = 0;
	dev->flushes_all = 0;
	dev->nr_spans = 0;
	dev->events = 0;
	bitmap_zero(dev->flushed, TEST_UNITS);
}

/* Since test_forget(): all of it? */
bool test_flushed(struct test_dev *dev, u64 start, u64 last)
{
	return find_next_zero_bit(dev->flushed, TEST_UNITS, start) > last;
}

/* And nothing else? */
bool test_flushed_exactly(struct test_dev *dev, u64 start, u64 last)
{
	return test_flushed(dev, start, last) && !dev->flushes_all &&
	       bitmap_weight(dev->flushed, TEST_UNITS) == last - start + 1;
}

void test_expect_warn_begin(void)
{
	pr_info("smmu_inval-expect-warn: begin\n");
	/*
	 * From 7.x a thread prints. A WARN takes the console away from it, in
	 * the middle of a line, which is then printed again: let it finish the
	 * results, which are parsed.
	 */
	msleep(100);
}

void test_expect_warn_end(void)
{
	pr_info("smmu_inval-expect-warn: end\n");
}

/* Threads. */

static int thread_run(void *arg)
{
	struct test_thread *thread = arg;

	allow_signal(SIGKILL);
	thread->ret = thread->fn(thread->arg);
	complete_all(&thread->over);
	return 0;
}

static unsigned int nth_cpu(unsigned int nth)
{
	unsigned int cpu;

	nth %= num_online_cpus();
	for_each_online_cpu(cpu)
		if (!nth--)
			return cpu;
	return cpumask_first(cpu_online_mask);
}

void test_thread_start(struct kunit *test, struct test_thread *thread,
		       unsigned int cpu, int (*fn)(void *arg), void *arg)
{
	struct task_struct *task;

	thread->fn = fn;
	thread->arg = arg;
	thread->ret = 0;
	init_completion(&thread->over);
	task = kthread_create(thread_run, thread, "smmu_inval_test/%u", cpu);
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	kthread_bind(task, nth_cpu(cpu));
	thread->task = task;
	wake_up_process(task);
}

/* Is it still running after a moment, and does it do nothing but wait? */
bool test_thread_blocked(struct test_thread *thread)
{
	return !wait_for_completion_timeout(&thread->over, TEST_MOMENT);
}

/*
 * What its function returned. All that the library waits for can be killed, and
 * what the test's device waits for ends by itself.
 */
int test_thread_join(struct kunit *test, struct test_thread *thread)
{
	if (!wait_for_completion_timeout(&thread->over, TEST_SOON)) {
		KUNIT_FAIL(test, "%s is stuck", thread->task->comm);
		send_sig(SIGKILL, thread->task, 1);
		wait_for_completion(&thread->over);
	}
	kthread_stop(thread->task);
	put_task_struct(thread->task);
	return thread->ret;
}

/* Random numbers. */

static struct rnd_state random_state;

void test_seed(struct kunit *test)
{
	u64 s = seed ?: get_random_u64();

	prandom_seed_state(&random_state, s);
	kunit_info(test, "seed %llu\n", s);
}

u32 test_random(u32 below)
{
	return prandom_u32_state(&random_state) % below;
}

/* A range of the small space: short as often as long. */
void test_random_range(u64 *start, u64 *last)
{
	u32 length = 1 + test_random(test_random(8) ? 16 : TEST_UNITS);

	*start = test_random(TEST_UNITS);
	*last = min_t(u64, *start + length - 1, TEST_UNITS - 1);
}

MODULE_DESCRIPTION("KUnit tests of the secondary-MMU invalidation library");
MODULE_LICENSE("GPL");
