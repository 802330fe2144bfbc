// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting: a fault sleeps until nothing is in its way, and no longer, and wakes
 * up for whatever else ends its wait.
 */
#include <linux/sched/signal.h>

#include "smmu_inval_test.h"

#define NOT_BLOCKED	1

struct fault {
	struct test_dev *dev;
	u64 start, last;
	unsigned long timeout;
	struct completion registered;
	struct test_thread thread;
};

static int run_fault(void *arg)
{
	struct fault *fault = arg;
	struct smmu_inval_waiter waiter;
	unsigned long flags;
	bool blocked;

	test_lock_shared(fault->dev, &flags);
	blocked = smmu_inval_wait_prepare(&fault->dev->si, &waiter,
					  fault->start, fault->last);
	test_unlock_shared(fault->dev, flags);
	complete(&fault->registered);
	if (!blocked)
		return NOT_BLOCKED;
	if (fault->timeout)
		return smmu_inval_wait_timeout(&waiter, fault->timeout);
	return smmu_inval_wait(&waiter);
}

/* Returns when it waits, or knows that it need not. */
static void start_fault(struct kunit *test, struct fault *fault,
			struct test_dev *dev, u64 start, u64 last)
{
	fault->dev = dev;
	fault->start = start;
	fault->last = last;
	fault->timeout = 0;
	init_completion(&fault->registered);
	test_thread_start(test, &fault->thread, 1, run_fault, fault);
	wait_for_completion(&fault->registered);
}

static struct test_dev *wait_dev(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();

	return test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
}

static bool must_wait(struct test_dev *dev, u64 start, u64 last)
{
	struct smmu_inval_waiter waiter;
	unsigned long flags;
	bool blocked;

	test_lock_shared(dev, &flags);
	blocked = smmu_inval_wait_prepare(&dev->si, &waiter, start, last);
	test_unlock_shared(dev, flags);
	if (blocked)
		smmu_inval_wait_timeout(&waiter, 1);
	return blocked;
}

/* Nothing in the way: nothing to wait for. */
static void wait_for_nothing(struct kunit *test)
{
	struct test_dev *dev = wait_dev(test);
	struct smmu_inval_token *token;

	KUNIT_EXPECT_FALSE(test, must_wait(dev, 0, TEST_UNITS - 1));
	token = test_begin(dev, 10, 19);
	KUNIT_EXPECT_FALSE(test, must_wait(dev, 0, 9));
	KUNIT_EXPECT_FALSE(test, must_wait(dev, 20, TEST_UNITS - 1));
	KUNIT_EXPECT_TRUE(test, must_wait(dev, 10, 10));
	KUNIT_EXPECT_TRUE(test, must_wait(dev, 19, 19));
	KUNIT_EXPECT_TRUE(test, must_wait(dev, 0, TEST_UNITS - 1));
	test_end(dev, token);
	/* What completed is no reason to wait, only to start again. */
	KUNIT_EXPECT_FALSE(test, must_wait(dev, 10, 19));
}

/* Until the last of those that overlap ends, whatever else ends. */
static void wait_for_overlapping(struct kunit *test)
{
	struct smmu_inval_token *a, *b, *other;
	struct test_dev *dev = wait_dev(test);
	struct fault fault;

	a = test_begin(dev, 10, 19);
	b = test_begin(dev, 15, 29);
	other = test_begin(dev, 40, 49);
	start_fault(test, &fault, dev, 18, 25);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	test_end(dev, other);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	test_end(dev, a);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	/* One that begins meanwhile is in the way, too. */
	a = test_begin(dev, 25, 25);
	test_end(dev, b);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	/* One that goes on is not. */
	other = test_begin(dev, 40, 49);
	test_end(dev, a);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &fault.thread), 0);
	test_end(dev, other);
}

/* Several wait, each for its own. */
static void wait_each_for_its_own(struct kunit *test)
{
	struct smmu_inval_token *token[4];
	struct test_dev *dev = wait_dev(test);
	struct fault faults[4];
	int i;

	for (i = 0; i < 4; i++)
		token[i] = test_begin(dev, i * 20, i * 20 + 9);
	for (i = 0; i < 4; i++)
		start_fault(test, &faults[i], dev, i * 20, i * 20);
	for (i = 3; i >= 0; i--) {
		test_end(dev, token[i]);
		KUNIT_EXPECT_EQ(test, test_thread_join(test, &faults[i].thread),
				0);
		if (i)
			KUNIT_EXPECT_TRUE(test, test_thread_blocked(&faults[0].thread));
	}
}

/* The end comes between the check and the sleep. */
static void wait_too_late(struct kunit *test)
{
	struct test_dev *dev = wait_dev(test);
	struct smmu_inval_waiter waiter;
	struct smmu_inval_token *token;
	bool blocked;

	token = test_begin(dev, 10, 19);
	scoped_guard(test_dev, dev)
		blocked = smmu_inval_wait_prepare(&dev->si, &waiter, 10, 10);
	KUNIT_ASSERT_TRUE(test, blocked);
	test_end(dev, token);
	/* And another one begins: not the one that it waited for. */
	token = test_begin(dev, 10, 19);
	KUNIT_EXPECT_EQ(test, smmu_inval_wait_timeout(&waiter, TEST_SOON), 0);
	test_end(dev, token);
}

/* In the hull it waits for the hull. */
static void wait_for_hull(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct smmu_inval_token *corner, *a, *b;
	struct test_dev *dev;
	struct fault fault;
	unsigned int i;

	cfg.nr_ranges = 3;
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
	corner = test_begin(dev, 240, 240);
	for (i = 1; i < SMMU_INVAL_SLOTS + 3; i++)
		test_add(dev, corner, 240 + i, 240 + i);
	a = test_begin(dev, 10, 19);
	b = test_begin(dev, 50, 59);
	start_fault(test, &fault, dev, 30, 30);
	test_end(dev, a);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	test_end(dev, b);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &fault.thread), 0);
	test_end(dev, corner);
}

/* With precision off, all that is pending is one hull. */
static void wait_coarse(struct kunit *test)
{
	struct test_dev *dev = wait_dev(test);
	struct smmu_inval_token *a, *b;
	struct fault fault;

	a = test_begin(dev, 10, 19);
	b = test_begin(dev, 50, 59);
	KUNIT_EXPECT_FALSE(test, must_wait(dev, 30, 30));
	smmu_inval_set_coarse(&dev->si, true);
	KUNIT_EXPECT_TRUE(test, must_wait(dev, 30, 30));
	start_fault(test, &fault, dev, 30, 30);
	test_end(dev, a);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	test_end(dev, b);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &fault.thread), 0);
}

static void wait_timeout(struct kunit *test)
{
	struct test_dev *dev = wait_dev(test);
	struct smmu_inval_waiter waiter;
	struct smmu_inval_token *token;
	bool blocked;

	token = test_begin(dev, 10, 19);
	scoped_guard(test_dev, dev)
		blocked = smmu_inval_wait_prepare(&dev->si, &waiter, 10, 10);
	KUNIT_ASSERT_TRUE(test, blocked);
	KUNIT_EXPECT_EQ(test, smmu_inval_wait_timeout(&waiter, TEST_MOMENT),
			-ETIMEDOUT);
	/* Nobody wakes a waiter that has left. */
	memset(&waiter, 0x5a, sizeof(waiter));
	test_end(dev, token);
	KUNIT_EXPECT_FALSE(test, must_wait(dev, 10, 10));
}

/* A fatal signal; those of kernel threads are as good as any. */
static void wait_killed(struct kunit *test)
{
	struct test_dev *dev = wait_dev(test);
	struct smmu_inval_token *token;
	struct fault fault;

	token = test_begin(dev, 10, 19);
	start_fault(test, &fault, dev, 10, 10);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	send_sig(SIGKILL, fault.thread.task, 1);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &fault.thread), -EINTR);
	test_end(dev, token);
}

/* The process goes: no end may ever come. */
static void wait_shutdown(struct kunit *test)
{
	struct test_dev *dev = wait_dev(test);
	struct smmu_inval_token *token;
	struct fault fault, second;

	token = test_begin(dev, 10, 19);
	test_add(dev, token, 100, 100);
	start_fault(test, &fault, dev, 10, 10);
	start_fault(test, &second, dev, 0, TEST_UNITS - 1);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	smmu_inval_shutdown(&dev->si);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &fault.thread), -ESRCH);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &second.thread), -ESRCH);
	/* Waiting is over for good; the fault has to look at is_dead. */
	KUNIT_EXPECT_FALSE(test, must_wait(dev, 10, 10));
	test_end(dev, token);
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case wait_cases[] = {
	KUNIT_CASE_PARAM(wait_for_nothing, test_lock_gen_params),
	KUNIT_CASE_PARAM(wait_for_overlapping, test_lock_gen_params),
	KUNIT_CASE_PARAM(wait_each_for_its_own, test_lock_gen_params),
	KUNIT_CASE_PARAM(wait_too_late, test_lock_gen_params),
	KUNIT_CASE_PARAM(wait_for_hull, test_lock_gen_params),
	KUNIT_CASE_PARAM(wait_coarse, test_lock_gen_params),
	KUNIT_CASE_PARAM(wait_timeout, test_lock_gen_params),
	KUNIT_CASE_PARAM(wait_killed, test_lock_gen_params),
	KUNIT_CASE_PARAM(wait_shutdown, test_lock_gen_params),
	{}
};

static struct kunit_suite wait_suite = {
	.name = "smmu_inval_wait",
	.exit = test_exit,
	.test_cases = wait_cases,
};

kunit_test_suite(wait_suite);
