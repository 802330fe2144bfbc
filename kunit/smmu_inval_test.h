/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A secondary MMU small enough to know all about it, for the tests of the core.
 *
 * Its address space is a few hundred units, so that bitmaps can be the oracle,
 * and its "hardware" writes down what it is told: which flushes, with which
 * lock held, and in which order. The suites run the same bodies over each kind
 * of driver lock with KUNIT_CASE_PARAM(body, test_lock_gen_params).
 *
 * Nothing below aborts a test (KUNIT_ASSERT_*) with the lock held, and no test
 * may: nobody would drop it.
 */
#ifndef _SMMU_INVAL_TEST_H
#define _SMMU_INVAL_TEST_H

#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/smmu_inval.h>

#define TEST_UNITS	256

/* How long anything that happens at once may take, and what never does. */
#define TEST_SOON	(10 * HZ)
#define TEST_MOMENT	max(HZ / 50, 2)

enum test_lock_kind {
	TEST_SPINLOCK,
	TEST_RAW_SPINLOCK,
	TEST_RWLOCK,
	TEST_MUTEX,
	TEST_RWSEM,
	TEST_NR_LOCKS,
};

/**
 * struct test_dev - the device and its driver
 * @si: what is tested
 * @test: whose it is
 * @next: the other devices of the same test
 * @kind: of @lock
 * @lock: the driver's lock
 * @flags: interrupt state below a raw spinlock
 * @holder: who holds @lock exclusively
 * @flushes: calls of flush or flush_issue
 * @flushes_all: those of everything
 * @unlocked: those without the lock, of which there must not be any
 * @odd: flushes that broke a rule of struct smmu_inval_flush
 * @spans: of the last flush
 * @nr_spans: how many they were; 0 if it was of everything
 * @events: union of the events of the spans of the last flush
 * @flushed: union of the spans of all flushes, see test_forget()
 * @issued: ticket of the newest flush, two-phase only
 * @landed: all flushes up to this ticket are over
 * @parked: flush_wait() blocks until test_land(), instead of landing at once
 * @landing: wakes who waits for @landed
 * @waits: calls of flush_wait()
 * @waited: the newest ticket that anybody waited for
 * @waited_locked: calls of flush_wait() by the holder of @lock
 * @freed: page tables freed
 * @freed_early: those whose flush was not over
 * @zaps: calls of ops->zap
 */
struct test_dev {
	struct smmu_inval si;
	struct kunit *test;
	struct test_dev *next;

	enum test_lock_kind kind;
	union {
		spinlock_t spin;	/* TEST_SPINLOCK */
		raw_spinlock_t raw;	/* TEST_RAW_SPINLOCK */
		rwlock_t rw;		/* TEST_RWLOCK */
		struct mutex mutex;	/* TEST_MUTEX */
		struct rw_semaphore sem;	/* TEST_RWSEM */
	} lock;
	unsigned long flags;
	struct task_struct *holder;

	unsigned int flushes;
	unsigned int flushes_all;
	unsigned int unlocked;
	unsigned int odd;
	struct smmu_inval_span spans[SMMU_INVAL_BATCH_SPANS];
	unsigned int nr_spans;
	u16 events;
	DECLARE_BITMAP(flushed, TEST_UNITS);

	u64 issued;
	atomic64_t landed;
	bool parked;
	wait_queue_head_t landing;
	atomic_t waits;
	atomic64_t waited;
	atomic_t waited_locked;

	unsigned int freed;
	unsigned int freed_early;
	unsigned int zaps;
};

/**
 * struct test_table - a page-table page
 * @node: for smmu_inval_batch_free_later()
 * @ticket: the flush that has to land before it is freed, two-phase only
 * @freed: how often it was freed
 */
struct test_table {
	struct llist_node node;
	u64 ticket;
	unsigned int freed;
};

static inline struct test_dev *to_test_dev(struct smmu_inval *si)
{
	return container_of(si, struct test_dev, si);
}

/* Making one. */

extern const struct smmu_inval_ops test_ops;
extern const struct smmu_inval_ops test_ops_two_phase;
extern const enum test_lock_kind test_locks[TEST_NR_LOCKS];

struct smmu_inval_lock test_lock_init(struct test_dev *dev,
				      enum test_lock_kind kind);
void test_lock_desc(const enum test_lock_kind *kind, char *desc);
struct smmu_inval_config test_config(void);
struct test_dev *test_dev_new(struct kunit *test, enum test_lock_kind kind,
			      const struct smmu_inval_ops *ops,
			      const struct smmu_inval_config *cfg);
void test_exit(struct kunit *test);

/* The kind of lock that a parameterised case runs with now. */
static inline enum test_lock_kind test_lock_param(const struct kunit *test)
{
	return *(const enum test_lock_kind *)test->param_value;
}

static inline bool test_lock_sleeps(enum test_lock_kind kind)
{
	return kind == TEST_MUTEX || kind == TEST_RWSEM;
}

/* Its lock: exclusively, and shared if it can. */

void test_lock(struct test_dev *dev);
void test_unlock(struct test_dev *dev);
void test_lock_shared(struct test_dev *dev, unsigned long *flags);
void test_unlock_shared(struct test_dev *dev, unsigned long flags);

DEFINE_GUARD(test_dev, struct test_dev *, test_lock(_T), test_unlock(_T))

/* One call of the library in a lock section of its own. */

struct smmu_inval_token *test_begin(struct test_dev *dev, u64 start, u64 last);
void test_add(struct test_dev *dev, struct smmu_inval_token *token,
	      u64 start, u64 last);
void test_end(struct test_dev *dev, struct smmu_inval_token *token);
void test_complete(struct test_dev *dev, u64 start, u64 last);
bool test_retry(struct test_dev *dev, u64 cookie, u64 start, u64 last);
bool test_pending(struct test_dev *dev, u64 start, u64 last);
void test_change(struct test_dev *dev, u64 start, u64 last);
void test_change_deferred(struct test_dev *dev, struct smmu_inval_drain *drain,
			  u64 start, u64 last);
void test_drain(struct test_dev *dev, u64 start, u64 last);
u64 test_stat(struct test_dev *dev, size_t offset);

/* One counter of the instance, by its name in struct smmu_inval_stats. */
#define test_count(dev, counter) \
	test_stat(dev, offsetof(struct smmu_inval_stats, counter))

/* What the device was told. */

void test_forget(struct test_dev *dev);
void test_land(struct test_dev *dev, u64 ticket);
bool test_flushed_exactly(struct test_dev *dev, u64 start, u64 last);
bool test_flushed(struct test_dev *dev, u64 start, u64 last);

/* WARNs that a test provokes; the scripts that read the log reject others. */

void test_expect_warn_begin(void);
void test_expect_warn_end(void);

/**
 * struct test_thread - a thread of a test
 * @task: the thread
 * @fn: what it runs
 * @arg: its argument
 * @ret: what @fn returned
 * @over: @fn returned
 *
 * Runs on the CPU with the given number, modulo how many there are. Can be
 * killed; test_thread_join() does so if it gets stuck, and fails the test.
 */
struct test_thread {
	struct task_struct *task;
	int (*fn)(void *arg);
	void *arg;
	int ret;
	struct completion over;
};

void test_thread_start(struct kunit *test, struct test_thread *thread,
		       unsigned int cpu, int (*fn)(void *arg), void *arg);
bool test_thread_blocked(struct test_thread *thread);
int test_thread_join(struct kunit *test, struct test_thread *thread);

/* Random numbers: the seed is printed, and can be set to run the same again. */

void test_seed(struct kunit *test);
u32 test_random(u32 below);
void test_random_range(u64 *start, u64 *last);

extern unsigned int test_race_ms;
extern unsigned int test_scale;

#endif /* _SMMU_INVAL_TEST_H */
