// SPDX-License-Identifier: GPL-2.0
/*
 * The binding to interval notifiers. A probe on the same mm is called after all
 * interval notifiers, and holds an invalidation open for as long as a test
 * needs: the device's callback is then over, and core mm has changed nothing.
 */
#include <linux/hmm.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "../compat.h"
#include "mm_helpers.h"

#define PAGES	16
#define HALF	(PAGES / 2)

KUNIT_ARRAY_PARAM(mm_sender, mm_senders, mm_sender_desc);
KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

struct ival_rig {
	struct kunit *test;
	struct mm_struct *mm;
	struct mm_probe *probe;
	struct mm_dev *dev;
	unsigned long base;
};

static void rig_memory(struct kunit *test, struct ival_rig *rig)
{
	rig->test = test;
	rig->mm = mm_attach(test);
	rig->base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, rig->base, PAGES * PAGE_SIZE);
	rig->probe = mm_probe_new(test, rig->mm);
}

static struct ival_rig ival_rig(struct kunit *test, enum test_lock_kind kind,
				const struct smmu_inval_ops *ops,
				const struct smmu_inval_config *cfg)
{
	struct ival_rig rig = {};

	rig_memory(test, &rig);
	rig.dev = mm_dev_new(test, kind, ops, cfg, rig.base, PAGES);
	mm_dev_bind(rig.dev, MM_INTERVAL, rig.mm);
	mm_dev_populate(rig.dev, true);
	mm_probe_forget(rig.probe);
	rig.dev->retries = 0;
	return rig;
}

static struct mm_advice rig_dontneed(const struct ival_rig *rig,
				     unsigned int page, unsigned int nr)
{
	return (struct mm_advice) {
		.addr = rig->base + page * PAGE_SIZE,
		.len = nr * PAGE_SIZE,
		.advice = MADV_DONTNEED,
	};
}

static int rig_zap(const struct ival_rig *rig, unsigned int page, unsigned int nr)
{
	struct mm_advice advice = rig_dontneed(rig, page, nr);

	return mm_advise(&advice);
}

struct faulter {
	struct mm_dev *dev;
	unsigned int page;
};

static int fault_page(void *arg)
{
	struct faulter *faulter = arg;

	return mm_dev_fault(faulter->dev, faulter->page, true);
}

/* Each sender in turn. */

static void follow(struct kunit *test, enum test_lock_kind kind,
		   const struct smmu_inval_ops *ops)
{
	const struct mm_sender *sender = test->param_value;
	struct mm_ctx *ctx = mm_sender_prepare(test, sender);
	struct mm_probe *probe = mm_probe_new(test, ctx->mm);
	struct mm_dev *dev;

	dev = mm_dev_new(test, kind, ops, NULL, ctx->base, ctx->nr);
	mm_dev_bind(dev, MM_INTERVAL, ctx->mm);
	mm_dev_populate(dev, true);
	KUNIT_ASSERT_EQ(test, mm_dev_count(dev, false), ctx->nr);
	mm_dev_snapshot(dev);
	mm_probe_forget(probe);

	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	mm_dev_expect(dev, probe, sender->hugetlb, sender->name);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(dev, flushes_all), 0);
	/* What is mapped now can be mapped again. */
	mm_dev_populate(dev, true);
	mm_dev_expect_coherent(dev, "afterwards");
}

/* I1, I9, I11: what each event demands, without an end to decide at. */
static void ival_follows(struct kunit *test)
{
	follow(test, TEST_MUTEX, &mm_dev_ops);
}

/* I1: a driver that can only zap is told to zap. */
static void ival_follows_zap_only(struct kunit *test)
{
	follow(test, TEST_SPINLOCK, &mm_dev_ops_zap_only);
}

/* I2: flushes in two phases are over when core mm goes on. */
static void ival_follows_two_phase(struct kunit *test)
{
	follow(test, TEST_RWSEM, &mm_dev_ops_two_phase);
}

/* Section 6: any kind of lock will do. */
static void ival_lock_kinds(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, test_lock_param(test), &mm_dev_ops,
				       NULL);

	KUNIT_ASSERT_EQ(test, rig_zap(&rig, 0, HALF), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), HALF);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* Section 4: the coarse switch does more, never less. */
static void ival_coarse(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie;
	struct mm_child child;

	smmu_inval_set_coarse(&rig.dev->si, true);
	cookie = mm_dev_read_begin(rig.dev);
	KUNIT_ASSERT_EQ(test, rig_zap(&rig, 0, 1), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, HALF));
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, rig.dev->flushes_all);
	/* Fork zaps. */
	KUNIT_ASSERT_EQ(test, mm_child_start(&child, 0, NULL, NULL), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), 0);
	mm_child_stop(&child);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* An invalidation that is held open. */

struct held {
	struct mm_thread thread;
	struct mm_advice advice;
	struct mm_gate gate;
};

static void hold(struct ival_rig *rig, struct held *held, unsigned int page,
		 unsigned int nr)
{
	held->advice = rig_dontneed(rig, page, nr);
	mm_gate_init(&held->gate, rig->probe, held->advice.addr);
	mm_thread_start(rig->test, &held->thread, rig->mm, 1, mm_advise,
			&held->advice);
	KUNIT_EXPECT_TRUE(rig->test, mm_gate_wait(&held->gate));
}

static void let_go(struct ival_rig *rig, struct held *held)
{
	mm_gate_open(&held->gate);
	KUNIT_EXPECT_EQ(rig->test, mm_thread_join(rig->test, &held->thread), 0);
}

/* I3, section 6: a fault next to what is pending goes on at once. */
static void ival_fault_elsewhere(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct held held;
	u64 retries;

	hold(&rig, &held, 0, HALF);
	retries = mm_dev_counter(rig.dev, retries_pending);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, HALF - 1));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, HALF));
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, retries_pending),
			retries + 2);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, retries_done), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, HALF, true), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_hmm_fault(rig.dev, HALF, HALF, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 0);
	let_go(&rig, &held);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* I3: a fault that overlaps waits until the mm is quiet, and then succeeds. */
static void ival_fault_waits(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct faulter faulter = { .dev = rig.dev, .page = 1 };
	struct mm_thread fault;
	struct held held;

	hold(&rig, &held, 0, HALF);
	mm_thread_start(test, &fault, rig.mm, 0, fault_page, &faulter);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig.dev, 1, false));
	let_go(&rig, &held);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &fault), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, 1, true));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 1));
	mm_dev_expect_coherent(rig.dev, "after");
}

/* I4: what was pending when a fault began misleads it, also once it is over. */
static void ival_cookie_of_pending(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie;
	struct held held;

	hold(&rig, &held, 0, HALF);
	/* The page that is about to go is still there to be found. */
	cookie = mm_dev_read_begin(rig.dev);
	KUNIT_EXPECT_TRUE(test, mm_primary(rig.mm, rig.base).present);
	let_go(&rig, &held);
	/* Another fault waits, so that everybody knows that it is over. */
	KUNIT_EXPECT_EQ(test, smmu_inval_interval_wait(&rig.dev->ival, rig.base,
						       rig.base + PAGE_SIZE - 1),
			0);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, HALF));
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, retries_done), 1);
}

/* I4: the same, by way of the overflow of the ring. */
static void ival_cookie_of_lost(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie;
	struct held held;
	unsigned int i;

	hold(&rig, &held, 0, 1);
	cookie = mm_dev_read_begin(rig.dev);
	/* As many as the ring has room for, and one more. */
	for (i = 0; i <= 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, 1), 0);
	let_go(&rig, &held);
	KUNIT_EXPECT_EQ(test, smmu_inval_interval_wait(&rig.dev->ival, rig.base,
						       rig.base + PAGE_SIZE - 1),
			0);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	/* Behind it the ring is reused. */
	for (i = 0; i <= 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, 1), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
}

/*
 * I4: what is lost stays lost when the ring overflows again, and then with what is
 * pending.
 */
static void ival_lost_and_pending(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie = mm_dev_read_begin(rig.dev);
	struct held held;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, 1), 0);
	for (i = 0; i <= 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, 1), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, overflow_pending), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	hold(&rig, &held, HALF + 1, 1);
	for (i = 0; i <= 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, 1), 0);
	KUNIT_EXPECT_GT(test, mm_dev_counter(rig.dev, overflow_pending), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	let_go(&rig, &held);
}

/*
 * I4: what is lost stays lost when a hull that is over, and older, is begun anew.
 */
static void ival_lost_behind_hull(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie;
	struct held held;
	unsigned int i;

	hold(&rig, &held, HALF + 1, 1);
	for (i = 0; i <= 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, 1), 0);
	KUNIT_EXPECT_GT(test, mm_dev_counter(rig.dev, overflow_pending), 0);
	let_go(&rig, &held);
	KUNIT_EXPECT_EQ(test, smmu_inval_interval_wait(&rig.dev->ival,
						       mm_page(rig.dev, HALF),
						       mm_page(rig.dev, HALF + 1) - 1),
			0);
	cookie = mm_dev_read_begin(rig.dev);
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, 1), 0);
	/* It leaves the ring when it is over, not by way of the hull. */
	for (i = 0; i <= 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, 1), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	/* And now the hull is wanted again. */
	hold(&rig, &held, HALF + 1, 1);
	for (i = 0; i <= 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, 1), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	let_go(&rig, &held);
}

/* I5: a pending record that leaves the ring stays covered. */
static void ival_overflow(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct faulter faulter = { .dev = rig.dev, .page = 0 };
	struct mm_thread fault;
	struct held held;
	unsigned int i;

	hold(&rig, &held, 0, 1);
	for (i = 0; i < 3 * 8; i++) {
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, 2 + i % 4, 1), 0);
		KUNIT_EXPECT_TRUE_MSG(test, mm_dev_pending(rig.dev, 0), "%u", i);
	}
	KUNIT_EXPECT_GT(test, mm_dev_counter(rig.dev, overflow_pending), 0);
	mm_thread_start(test, &fault, rig.mm, 0, fault_page, &faulter);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	/* What the hull does not reach is not held up. */
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, HALF, true), 0);
	let_go(&rig, &held);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &fault), 0);
	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, i, true), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

/*
 * A later sequence of the mm says that what is recorded is over. So changes on
 * both sides of a page never grow into a hull around it, though no fault ever
 * waits for the mm to be quiet.
 */
static void ival_settles(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	unsigned int i;

	for (i = 0; i < 3 * 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, i % 2 ? PAGES - 1 : 0, 1),
				0);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, overflow_pending), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, HALF));
}

/* I4: more completions than the ring remembers are an extra retry. */
static void ival_history_overflow(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie = mm_dev_read_begin(rig.dev);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, 1), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_GT(test, mm_dev_counter(rig.dev, overflow_history), 0);
}

/* I4: completions are found by their ranges. */
static void ival_history(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie = mm_dev_read_begin(rig.dev);

	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 1, 2), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 1));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 2));
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, 3));
}

/* Section 6: the first fault learns what is over, and no other has to. */
static void ival_first_fault(struct kunit *test)
{
	struct ival_rig rig = {};

	rig_memory(test, &rig);
	rig.dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, rig.base, PAGES);
	mm_dev_bind(rig.dev, MM_INTERVAL, rig.mm);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 1);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 1, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 1);
}

/* I3: inserted in the middle of an invalidation, nothing is known before it. */
static void ival_insert_busy(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct mm_thread fault;
	struct faulter faulter;
	struct mm_dev *late;
	struct held held;

	late = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, rig.base, PAGES);
	faulter = (struct faulter) { .dev = late, .page = 0 };
	hold(&rig, &held, 0, HALF);
	KUNIT_EXPECT_EQ(test, mm_dev_try_bind(late, MM_INTERVAL, rig.mm), 0);
	mm_thread_start(test, &fault, rig.mm, 0, fault_page, &faulter);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(late, 0, false));
	let_go(&rig, &held);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &fault), 0);
	mm_dev_expect_coherent(late, "after");
}

/* Non-blockable. */

struct holder {
	struct mm_dev *dev;
	struct completion held;
	struct completion drop;
};

static int hold_lock(void *arg)
{
	struct holder *holder = arg;
	unsigned long flags = 0;

	mm_dev_lock(holder->dev, &flags);
	complete(&holder->held);
	wait_for_completion_timeout(&holder->drop, TEST_SOON);
	mm_dev_unlock(holder->dev, flags);
	return 0;
}

static const struct sleeping_lock {
	const char *name;
	enum test_lock_kind kind;
} sleeping_locks[] = {
	{ "mutex", TEST_MUTEX },
	{ "rw_semaphore", TEST_RWSEM },
};

static void sleeping_lock_desc(const struct sleeping_lock *lock, char *desc)
{
	strscpy(desc, lock->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(sleeping_lock, sleeping_locks, sleeping_lock_desc);

/* I6: -EAGAIN only for a contended lock that sleeps, and it leaves nothing. */
static void ival_nonblock(struct kunit *test)
{
	const struct sleeping_lock *lock = test->param_value;
	struct ival_rig rig = ival_rig(test, lock->kind, &mm_dev_ops, NULL);
	struct holder holder = { .dev = rig.dev };
	struct mmu_notifier_range range;
	struct test_thread thread;

	init_completion(&holder.held);
	init_completion(&holder.drop);
	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base,
			 rig.base + PAGE_SIZE);
	test_thread_start(test, &thread, 1, hold_lock, &holder);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&holder.held,
							    TEST_SOON));
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			-EAGAIN);
	complete(&holder.drop);
	test_thread_join(test, &thread);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, eagain), 1);
	KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, 0, true));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));

	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
}

/* What sleeps in its zap is not called by who may not sleep, lock or no lock. */
static void ival_nonblock_zap_sleeps(struct kunit *test)
{
	const struct sleeping_lock *lock = test->param_value;
	struct smmu_inval_config cfg = mm_dev_config();
	struct ival_rig rig;
	struct mmu_notifier_range range;
	int ret;

	cfg.zap_sleeps = true;
	rig = ival_rig(test, lock->kind, &mm_dev_ops, &cfg);
	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base,
			 rig.base + PAGE_SIZE);
	ret = mmu_notifier_invalidate_range_start_nonblock(&range);
	KUNIT_EXPECT_EQ(test, ret, -EAGAIN);
	if (!ret)
		mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, eagain), 1);
	KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, 0, true));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));

	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 1);
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
}

/* I6: another notifier's -EAGAIN after ours: no end, and nobody is stuck. */
static void ival_nonblock_other(struct kunit *test)
{
	struct ival_rig rig = {};
	struct mm_dev *other;
	struct holder holder;
	struct mmu_notifier_range range;
	struct test_thread thread;

	rig_memory(test, &rig);
	/* The tree is walked by address: ours comes first. */
	rig.dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, rig.base, HALF);
	other = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL,
			   rig.base + HALF * PAGE_SIZE, HALF);
	mm_dev_bind(rig.dev, MM_INTERVAL, rig.mm);
	mm_dev_bind(other, MM_INTERVAL, rig.mm);
	mm_dev_populate(rig.dev, true);
	mm_dev_populate(other, true);
	holder.dev = other;
	init_completion(&holder.held);
	init_completion(&holder.drop);
	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base,
			 rig.base + PAGES * PAGE_SIZE);
	test_thread_start(test, &thread, 1, hold_lock, &holder);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&holder.held,
							    TEST_SOON));
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			-EAGAIN);
	complete(&holder.drop);
	test_thread_join(test, &thread);
	KUNIT_EXPECT_EQ(test, rig.dev->zapped[SMMU_INVAL_CLEAR], HALF);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(other, 0, true), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* I6: a lock that does not sleep is simply taken. */
static void ival_nonblock_spinlock(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_SPINLOCK, &mm_dev_ops, NULL);
	struct mmu_notifier_range range;

	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base,
			 rig.base + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, eagain), 0);
}

/* Owners. */

/* Section 4: MIGRATE and EXCLUSIVE spare the owner's device, and no other. */
static void ival_owner(struct kunit *test)
{
	static const enum mmu_notifier_event events[] = {
		MMU_NOTIFY_MIGRATE, MMU_NOTIFY_EXCLUSIVE,
	};
	struct smmu_inval_config cfg = mm_dev_config();
	int mine, other;
	struct ival_rig rig;
	unsigned int i, j;

	cfg.owner = &mine;
	rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, &cfg);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		void *owners[] = { &mine, &other, NULL };

		for (j = 0; j < ARRAY_SIZE(owners); j++) {
			struct mmu_notifier_range range;
			struct smmu_inval_cookie cookie;

			KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
			range = mm_range(rig.mm, events[i], rig.base,
					 rig.base + PAGE_SIZE);
			range.owner = owners[j];
			cookie = mm_dev_read_begin(rig.dev);
			mmu_notifier_invalidate_range_start(&range);
			KUNIT_EXPECT_EQ(test, mm_dev_reaches(rig.dev, 0, true),
					!j);
			mmu_notifier_invalidate_range_end(&range);
			/* Its own exclusive access is part of the fault. */
			KUNIT_EXPECT_EQ(test, mm_dev_read_retry(rig.dev, cookie, 0),
					j || events[i] == MMU_NOTIFY_MIGRATE);
			KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, 1, true));
		}
	}
}

/* Section 6: a driver maps what it has migrated, unless others came between. */
static void ival_own_cookie(struct kunit *test)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct smmu_inval_cookie cookie, plain;
	struct mmu_notifier_range range;
	struct ival_rig rig;
	int mine, other;

	cfg.owner = &mine;
	rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, &cfg);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	plain = mm_dev_read_begin(rig.dev);
	cookie = plain;
	cookie.own = true;
	range = mm_range(rig.mm, MMU_NOTIFY_MIGRATE, rig.base,
			 rig.base + PAGE_SIZE);
	range.owner = &mine;
	mmu_notifier_invalidate_range_start(&range);
	/* Before the end, and after it; for the driver, and for a fault. */
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, plain, 0));
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, plain, 0));

	/* Somebody else migrates it, or changes it. */
	range.owner = &other;
	mmu_notifier_invalidate_range_start(&range);
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	cookie = mm_dev_read_begin(rig.dev);
	cookie.own = true;
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, 1), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
}

/* Section 4: the real sender, with the driver's device memory as its owner. */
static void ival_migrate_owner(struct kunit *test)
{
	const struct mm_sender *sender = mm_sender_named("migrate_vma");
	struct mm_ctx *ctx = mm_sender_prepare(test, sender);
	struct smmu_inval_config cfg = mm_dev_config();
	struct mm_dev *dev;

	cfg.owner = ctx;
	dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, &cfg, ctx->base, ctx->nr);
	mm_dev_bind(dev, MM_INTERVAL, ctx->mm);
	mm_dev_populate(dev, true);
	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	/* The driver said that it would look after these itself. */
	KUNIT_EXPECT_EQ(test, dev->zaps[SMMU_INVAL_MIGRATE], 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), ctx->nr);
}

/* HMM. */

/* Section 6: hmm_range_fault() with a notifier that never moves. */
static void ival_hmm(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, PAGES), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_hmm_fault(rig.dev, 0, PAGES, true), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, true), PAGES);
	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ(test, rig.dev->table[i].pfn,
				mm_primary(rig.mm, mm_page(rig.dev, i)).pfn);
	mm_dev_expect_coherent(rig.dev, "after");

	/* The same with pages that may not be written. */
	KUNIT_EXPECT_EQ(test, mm_sys_mprotect(rig.base, HALF * PAGE_SIZE,
					      PROT_READ, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_hmm_fault(rig.dev, 0, PAGES, false), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), PAGES);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, true), HALF);
	KUNIT_EXPECT_EQ(test, mm_dev_hmm_fault(rig.dev, 0, 1, true), -EPERM);
	mm_dev_expect_coherent(rig.dev, "after mprotect");
}

struct race {
	unsigned long addr;
	unsigned int times;
	int ret;
};

/* The page goes while a fault is between its look at it and the lock. */
static void race_hook(struct mm_dev *dev)
{
	struct race *race = dev->ctx;

	if (!race->times)
		return;
	race->times--;
	race->ret |= mm_sys_madvise(race->addr, PAGE_SIZE, MADV_DONTNEED, 0, 0, 0);
}

/* I4: hmm_range_fault() never gives up early, so the check must be ours. */
static void ival_hmm_races(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct race race = { .addr = rig.base + PAGE_SIZE, .times = 3 };

	rig.dev->ctx = &race;
	rig.dev->fault_hook = race_hook;
	KUNIT_EXPECT_EQ(test, mm_dev_hmm_fault(rig.dev, 0, HALF, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 3);
	mm_dev_expect_coherent(rig.dev, "overlapping");
	race.times = 1;
	race.addr = rig.base + HALF * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, mm_dev_hmm_fault(rig.dev, 0, HALF, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 3);
	KUNIT_EXPECT_EQ(test, race.ret, 0);
	mm_dev_expect_coherent(rig.dev, "elsewhere");
}

/* I4: a fault whose page went meanwhile retries; one next to it does not. */
static void ival_fault_races(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_SPINLOCK, &mm_dev_ops, NULL);
	struct race race = { .addr = rig.base, .times = 3 };

	rig.dev->ctx = &race;
	rig.dev->fault_hook = race_hook;
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 3);
	race.times = 1;
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 1, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 3);
	KUNIT_EXPECT_EQ(test, race.ret, 0);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* Flushes in two phases. */

#define DEVICES	3

struct order {
	unsigned int issues;
	unsigned int waits;
	unsigned int early;
};

static void order_flush(struct mm_dev *dev, const struct smmu_inval_flush *flush)
{
	((struct order *)dev->ctx)->issues++;
}

static void order_wait(struct mm_dev *dev, u64 ticket)
{
	struct order *order = dev->ctx;

	order->waits++;
	order->early += order->issues != DEVICES;
}

/* Section 6: several devices of a process flush at the same time. */
static void ival_two_pass(struct kunit *test)
{
	struct mm_dev *dev[DEVICES];
	struct ival_rig rig = {};
	struct order order = {};
	unsigned int i;

	rig_memory(test, &rig);
	for (i = 0; i < DEVICES; i++) {
		dev[i] = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops_two_phase, NULL,
				    rig.base, PAGES);
		mm_dev_bind(dev[i], MM_INTERVAL, rig.mm);
		mm_dev_populate(dev[i], true);
		dev[i]->ctx = &order;
		dev[i]->flush_hook = order_flush;
		dev[i]->wait_hook = order_wait;
	}
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, HALF), 0);
	KUNIT_EXPECT_EQ(test, order.issues, DEVICES);
	KUNIT_EXPECT_EQ(test, order.waits, DEVICES);
	for (i = 0; i < DEVICES; i++)
		mm_dev_expect_coherent(dev[i], "after");
	KUNIT_EXPECT_EQ(test, order.early, 0);
}

struct slow {
	struct task_struct *who;
	struct completion arrived;
	struct completion go;
};

/* The device is slow to answer whoever is not the test itself. */
static void slow_hook(struct mm_dev *dev, u64 ticket)
{
	struct slow *slow = dev->ctx;

	if (current == slow->who)
		return;
	complete(&slow->arrived);
	wait_for_completion_timeout(&slow->go, TEST_SOON);
}

/* I2: who finds nothing left to flush waits for the flush in flight. */
static void ival_waits_for_others_flush(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops_two_phase,
				       NULL);
	struct mm_advice advice = rig_dontneed(&rig, 0, HALF);
	struct slow slow = { .who = current };
	struct mm_thread first, second;

	init_completion(&slow.arrived);
	init_completion(&slow.go);
	rig.dev->ctx = &slow;
	rig.dev->wait_hook = slow_hook;
	mm_thread_start(test, &first, rig.mm, 1, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&slow.arrived,
							    TEST_SOON));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig.dev, 0, false));
	KUNIT_EXPECT_TRUE(test, mm_dev_reaches(rig.dev, 0, false));
	mm_thread_start(test, &second, rig.mm, 0, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&second.thread));
	KUNIT_EXPECT_TRUE(test, mm_dev_reaches(rig.dev, 0, false));
	complete_all(&slow.go);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &second), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	KUNIT_EXPECT_EQ(test, rig.dev->issued, 1);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* I2, I6: who may not wait for a flush in flight is sent back. */
static void ival_nonblock_flight(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops_two_phase,
				       NULL);
	struct mm_advice advice = rig_dontneed(&rig, 0, HALF);
	struct slow slow = { .who = current };
	struct mmu_notifier_range range;
	struct mm_thread first;

	init_completion(&slow.arrived);
	init_completion(&slow.go);
	rig.dev->ctx = &slow;
	rig.dev->wait_hook = slow_hook;
	mm_thread_start(test, &first, rig.mm, 1, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&slow.arrived,
							    TEST_SOON));
	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base,
			 rig.base + PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, mm_dev_reaches(rig.dev, 0, false));
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			-EAGAIN);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, eagain), 1);
	/* Elsewhere there is nothing to wait for: it flushes, and goes on. */
	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, mm_page(rig.dev, HALF),
			 mm_page(rig.dev, HALF + 1));
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, HALF, false));
	mmu_notifier_invalidate_range_end(&range);
	complete_all(&slow.go);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, HALF, true), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* I1: without a second pass to spare, the first one waits. */
static void ival_second_pass_busy(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops_two_phase,
				       NULL);
	struct mm_advice advice = rig_dontneed(&rig, 0, HALF);
	struct slow slow = { .who = current };
	struct mm_thread first;

	init_completion(&slow.arrived);
	init_completion(&slow.go);
	rig.dev->ctx = &slow;
	rig.dev->wait_hook = slow_hook;
	mm_thread_start(test, &first, rig.mm, 1, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&slow.arrived,
							    TEST_SOON));
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF, HALF), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, HALF, false));
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, single_pass),
			SMMU_INVAL_TWO_PASS ? 1 : 0);
	complete_all(&slow.go);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* Ranges. */

/* I9: an event counts for what it shares with the interval. */
static void ival_clips(struct kunit *test)
{
	struct ival_rig rig = {};
	struct mm_dev *dev;

	rig_memory(test, &rig);
	dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL,
			 rig.base + 4 * PAGE_SIZE, 4);
	mm_dev_bind(dev, MM_INTERVAL, rig.mm);
	mm_dev_populate(dev, true);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, 5), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), 3);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, CLEAR, asked),
			1);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, 4), 0);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 8, 4), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, CLEAR, callbacks), 1);
	mm_dev_expect_coherent(dev, "after");
}

/* I9: nor is there anything outside of the driver's address space. */
static void ival_clips_to_driver(struct kunit *test)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct smmu_inval_interval ival;
	struct ival_rig rig = {};
	struct mm_dev *dev;

	rig_memory(test, &rig);
	cfg.start = rig.base + 4 * PAGE_SIZE;
	/* A last unit inside of a page is one of the page's. */
	cfg.last = rig.base + 8 * PAGE_SIZE - 2;
	dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, &cfg, cfg.start, 4);
	KUNIT_ASSERT_EQ(test, smmu_inval_interval_insert(&ival, &dev->si, rig.mm,
							 0, ULONG_MAX, 8), 0);
	KUNIT_EXPECT_EQ(test, ival.mni.interval_tree.start,
			rig.base + 4 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, ival.mni.interval_tree.last,
			rig.base + 8 * PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, PAGES), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, CLEAR, callbacks), 1);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, CLEAR, asked), 4);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 8, 1), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, CLEAR, callbacks), 1);
	smmu_inval_interval_remove(&ival);
	KUNIT_EXPECT_EQ(test, smmu_inval_interval_insert(&ival, &dev->si, rig.mm,
							 rig.base,
							 rig.base + 4 * PAGE_SIZE - 1,
							 8), -EINVAL);
}

/* Section 6: an instance may have several intervals. */
static void ival_several(struct kunit *test)
{
	struct smmu_inval_interval *second;
	struct ival_rig rig = {};
	unsigned long middle;
	int ret;

	rig_memory(test, &rig);
	second = kunit_kzalloc(test, sizeof(*second), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, second);
	rig.dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, rig.base, PAGES);
	middle = rig.base + HALF * PAGE_SIZE;
	ret = smmu_inval_interval_insert(&rig.dev->ival, &rig.dev->si, rig.mm,
					 rig.base, middle - 1, 8);
	KUNIT_ASSERT_EQ(test, ret, 0);
	rig.dev->binding = MM_INTERVAL;
	rig.dev->mm = rig.mm;
	ret = smmu_inval_interval_insert(second, &rig.dev->si, rig.mm, middle,
					 rig.base + PAGES * PAGE_SIZE - 1, 8);
	KUNIT_ASSERT_EQ(test, ret, 0);
	mm_dev_populate(rig.dev, true);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, HALF - 1, 2), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), PAGES - 2);
	KUNIT_EXPECT_EQ(test, mm_dev_event(rig.dev, CLEAR, callbacks), 2);
	mm_dev_expect_coherent(rig.dev, "after");
	smmu_inval_interval_remove(second);
}

/* Section 6: inserted in a driver's mmap(). */
static void insert_locked(struct kunit *test, const struct smmu_inval_ops *ops)
{
	struct ival_rig rig = {};
	u64 last;
	int ret;

	rig_memory(test, &rig);
	rig.dev = mm_dev_new(test, TEST_MUTEX, ops, NULL, rig.base, PAGES);
	last = rig.base + PAGES * PAGE_SIZE - 1;
	mmap_write_lock(rig.mm);
	ret = smmu_inval_interval_insert_locked(&rig.dev->ival, &rig.dev->si,
						rig.mm, rig.base, last, 8);
	mmap_write_unlock(rig.mm);
	KUNIT_ASSERT_EQ(test, ret, 0);
	rig.dev->binding = MM_INTERVAL;
	rig.dev->mm = rig.mm;
	mm_dev_populate(rig.dev, true);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 1, 2), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), PAGES - 2);
	mm_dev_expect_coherent(rig.dev, "after");
}

static void ival_insert_locked(struct kunit *test)
{
	insert_locked(test, &mm_dev_ops);
}

/* With a second pass, which before 7.3 is a notifier more. */
static void ival_insert_locked_two_phase(struct kunit *test)
{
	insert_locked(test, &mm_dev_ops_two_phase);
}

/* Misuse that can be known at insertion gets -EINVAL. */
static void ival_insert_refuses(struct kunit *test)
{
	static const struct {
		u64 start, last;
		unsigned int nr_records;
	} bad[] = {
		{ 0x10000, 0x1ffff, 0 },
		{ 0x10000, 0x1ffff, 3 },
		{ 0x10001, 0x1ffff, 4 },
		{ 0x10000, 0x1fffe, 4 },
		{ 0x20000, 0x1ffff, 4 },
	};
	struct ival_rig rig = {};
	struct smmu_inval_interval ival;
	unsigned int i;
	int ret;

	rig_memory(test, &rig);
	rig.dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, rig.base, PAGES);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ret = smmu_inval_interval_insert(&ival, &rig.dev->si, rig.mm,
						 bad[i].start, bad[i].last,
						 bad[i].nr_records);
		KUNIT_EXPECT_EQ_MSG(test, ret, -EINVAL, "%u", i);
	}
	/* Everything there is. */
	KUNIT_ASSERT_EQ(test, smmu_inval_interval_insert(&ival, &rig.dev->si,
							 rig.mm, 0, ULONG_MAX, 8),
			0);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 1);
	smmu_inval_interval_remove(&ival);
	/* All but the first page: nothing is cut off. */
	KUNIT_ASSERT_EQ(test, smmu_inval_interval_insert(&ival, &rig.dev->si,
							 rig.mm, PAGE_SIZE,
							 ULONG_MAX, 8), 0);
	KUNIT_EXPECT_EQ(test, ival.mni.interval_tree.last, ULONG_MAX);
	smmu_inval_interval_remove(&ival);
	/* From the same start, with its last page. */
	KUNIT_ASSERT_EQ(test, smmu_inval_interval_insert(&ival, &rig.dev->si,
							 rig.mm, 0,
							 rig.base + PAGE_SIZE - 1,
							 8), 0);
	KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 2);
	smmu_inval_interval_remove(&ival);
}

/* The end of the process, and of the binding. */

static int bind_and_map(void *arg)
{
	struct mm_dev *dev = arg;
	unsigned int i;
	int ret;

	ret = mm_dev_try_bind(dev, MM_INTERVAL, current->mm);
	for (i = 0; i < dev->nr && !ret; i++)
		ret = mm_dev_fault(dev, i, true);
	return ret;
}

/* I1, I10: exit zaps everything, and refuses faults. */
static void ival_exit(struct kunit *test)
{
	struct ival_rig rig = {};
	struct mm_child child;
	struct mm_dev *dev;

	rig_memory(test, &rig);
	dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, rig.base, PAGES);
	KUNIT_ASSERT_EQ(test, mm_child_start(&child, 0, bind_and_map, dev), 0);
	KUNIT_EXPECT_EQ(test, child.ret, 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, true), PAGES);
	mm_child_stop(&child);
	KUNIT_ASSERT_EQ(test, child.ret, 0);

	KUNIT_EXPECT_TRUE(test, smmu_inval_interval_is_dead(&dev->ival));
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(dev, 0, false));
	KUNIT_EXPECT_EQ(test, mm_dev_fault(dev, 0, false), -ESRCH);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(dev, 0));
	KUNIT_EXPECT_EQ(test, smmu_inval_interval_wait(&dev->ival, dev->base,
						       dev->base + PAGE_SIZE - 1),
			-ESRCH);
	mm_dev_unbind(dev);
}

/* The instance is shut down, the process lives: no fault waits for better times. */
static void ival_shutdown(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct mm_dev *dev = rig.dev;

	KUNIT_EXPECT_EQ(test, smmu_inval_interval_wait(&dev->ival, dev->base,
						       dev->base + PAGE_SIZE - 1),
			0);
	smmu_inval_shutdown(&dev->si);
	KUNIT_EXPECT_EQ(test, smmu_inval_interval_wait(&dev->ival, dev->base,
						       dev->base + PAGE_SIZE - 1),
			-ESRCH);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(dev, 0, false), -ESRCH);
}

/* I10: after remove no callback comes, and the interval can be used again. */
static void ival_reinsert(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		mm_dev_unbind(rig.dev);
		mm_dev_forget(rig.dev);
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, HALF), 0);
		KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 0);
		mm_dev_bind(rig.dev, MM_INTERVAL, rig.mm);
		KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
		KUNIT_EXPECT_EQ(test, rig_zap(&rig, 0, HALF), 0);
		KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 1);
		KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	}
}

static int remove_interval(void *arg)
{
	mm_dev_unbind(arg);
	return 0;
}

/* I10: remove waits for the callback that runs. */
static void ival_remove_waits(struct kunit *test)
{
	struct ival_rig rig = ival_rig(test, TEST_MUTEX, &mm_dev_ops, NULL);
	struct test_thread remove;
	struct held held;

	hold(&rig, &held, 0, HALF);
	test_thread_start(test, &remove, 0, remove_interval, rig.dev);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&remove));
	let_go(&rig, &held);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &remove), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), HALF);
}

static struct kunit_case ival_cases[] = {
	KUNIT_CASE_PARAM(ival_follows, mm_sender_gen_params),
	KUNIT_CASE_PARAM(ival_follows_zap_only, mm_sender_gen_params),
	KUNIT_CASE_PARAM(ival_follows_two_phase, mm_sender_gen_params),
	KUNIT_CASE_PARAM(ival_lock_kinds, test_lock_gen_params),
	KUNIT_CASE(ival_coarse),
	KUNIT_CASE(ival_fault_elsewhere),
	KUNIT_CASE(ival_fault_waits),
	KUNIT_CASE(ival_cookie_of_pending),
	KUNIT_CASE(ival_cookie_of_lost),
	KUNIT_CASE(ival_lost_and_pending),
	KUNIT_CASE(ival_lost_behind_hull),
	KUNIT_CASE(ival_overflow),
	KUNIT_CASE(ival_settles),
	KUNIT_CASE(ival_history_overflow),
	KUNIT_CASE(ival_history),
	KUNIT_CASE(ival_first_fault),
	KUNIT_CASE(ival_insert_busy),
	KUNIT_CASE_PARAM(ival_nonblock, sleeping_lock_gen_params),
	KUNIT_CASE_PARAM(ival_nonblock_zap_sleeps, sleeping_lock_gen_params),
	KUNIT_CASE(ival_nonblock_other),
	KUNIT_CASE(ival_nonblock_spinlock),
	KUNIT_CASE(ival_owner),
	KUNIT_CASE(ival_own_cookie),
	KUNIT_CASE(ival_migrate_owner),
	KUNIT_CASE(ival_hmm),
	KUNIT_CASE(ival_hmm_races),
	KUNIT_CASE(ival_fault_races),
	KUNIT_CASE(ival_two_pass),
	KUNIT_CASE(ival_waits_for_others_flush),
	KUNIT_CASE(ival_nonblock_flight),
	KUNIT_CASE(ival_second_pass_busy),
	KUNIT_CASE(ival_clips),
	KUNIT_CASE(ival_clips_to_driver),
	KUNIT_CASE(ival_several),
	KUNIT_CASE(ival_insert_locked),
	KUNIT_CASE(ival_insert_locked_two_phase),
	KUNIT_CASE(ival_insert_refuses),
	KUNIT_CASE(ival_exit),
	KUNIT_CASE(ival_shutdown),
	KUNIT_CASE(ival_reinsert),
	KUNIT_CASE(ival_remove_waits),
	{}
};

static struct kunit_suite ival_suite = {
	.name = "smmu_inval_interval",
	.test_cases = ival_cases,
};

kunit_test_suite(ival_suite);
