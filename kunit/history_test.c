// SPDX-License-Identifier: GPL-2.0
/*
 * Completion history: a fault that read its pages before an invalidation that
 * overlaps completed does not install them (I4), and others do.
 */
#include "smmu_inval_test.h"

#define K	8

static struct test_dev *history_dev(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();

	cfg.nr_history = K;
	return test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
}

/* An invalidation from its begin to its end. */
static void invalidate(struct test_dev *dev, u64 start, u64 last)
{
	test_end(dev, test_begin(dev, start, last));
}

/* At each boundary, for both ways to complete. */
static void history_boundaries(struct kunit *test)
{
	static const struct {
		u64 start, last;
		bool retry;
	} asks[] = {
		{ 0, 0, false }, { 0, 15, false }, { 15, 15, false },
		{ 0, 16, true }, { 16, 16, true }, { 15, 17, true },
		{ 20, 20, true }, { 16, 31, true }, { 0, 255, true },
		{ 30, 31, true }, { 31, 31, true }, { 31, 255, true },
		{ 32, 32, false }, { 32, 255, false }, { 255, 255, false },
	};
	void (*const complete[])(struct test_dev *dev, u64 start, u64 last) = {
		invalidate, test_complete,
	};
	struct test_dev *dev = history_dev(test);
	unsigned int how, i, retries = 0;
	u64 cookie;

	for (how = 0; how < ARRAY_SIZE(complete); how++) {
		cookie = smmu_inval_read_begin(&dev->si);
		complete[how](dev, 16, 31);
		for (i = 0; i < ARRAY_SIZE(asks); i++) {
			KUNIT_EXPECT_EQ_MSG(test,
					    test_retry(dev, cookie,
						       asks[i].start,
						       asks[i].last),
					    asks[i].retry, "[%llu, %llu]",
					    asks[i].start, asks[i].last);
			retries += asks[i].retry;
		}
	}
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_done), retries);
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_pending), 0);
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), 0);
}

static void history_extremes(struct kunit *test)
{
	static const u64 units[] = { 0, 1, U64_MAX / 2, U64_MAX - 1, U64_MAX };
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int i, j;
	u64 cookie;

	cfg.last = U64_MAX;
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		cookie = smmu_inval_read_begin(&dev->si);
		invalidate(dev, units[i], units[i]);
		for (j = 0; j < ARRAY_SIZE(units); j++)
			KUNIT_EXPECT_EQ(test, test_retry(dev, cookie, units[j],
							 units[j]), i == j);
	}
	/* The whole space, as for a guest that flushes all it has */
	cookie = smmu_inval_read_begin(&dev->si);
	test_complete(dev, 0, U64_MAX);
	for (j = 0; j < ARRAY_SIZE(units); j++)
		KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, units[j],
						   units[j]));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, U64_MAX));
}

/* When the cookie is taken decides, not when the invalidation began. */
static void history_cookie(struct kunit *test)
{
	struct test_dev *dev = history_dev(test);
	u64 before, between, after, last;
	struct smmu_inval_token *token;

	before = smmu_inval_read_begin(&dev->si);
	token = test_begin(dev, 10, 19);
	between = smmu_inval_read_begin(&dev->si);
	KUNIT_EXPECT_TRUE(test, test_retry(dev, before, 10, 10));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, between, 10, 10));
	test_end(dev, token);
	after = smmu_inval_read_begin(&dev->si);

	KUNIT_EXPECT_TRUE(test, test_retry(dev, before, 10, 10));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, between, 10, 10));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, after, 10, 10));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, before, 20, 20));

	/* Another one behind it changes nothing for those that do not overlap. */
	invalidate(dev, 30, 39);
	last = smmu_inval_read_begin(&dev->si);
	KUNIT_EXPECT_TRUE(test, test_retry(dev, before, 10, 10));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, after, 10, 10));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, after, 30, 30));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, last, 0, TEST_UNITS - 1));
	/* A fault that installs its neighbours has to ask for them, too. */
	KUNIT_EXPECT_TRUE(test, test_retry(dev, after, 0, 30));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, after, 0, 29));
}

/* Faults of any age, each against each completion. */
static void history_ages(struct kunit *test)
{
	struct test_dev *dev = history_dev(test);
	unsigned int round, i, j;
	u64 cookies[K + 1];

	/* Several rounds, so that the ring wraps at different places. */
	for (round = 0; round < 5; round++) {
		for (i = 0; i < K; i++) {
			cookies[i] = smmu_inval_read_begin(&dev->si);
			invalidate(dev, i * 4, i * 4 + 3);
		}
		cookies[K] = smmu_inval_read_begin(&dev->si);
		for (i = 0; i <= K; i++)
			for (j = 0; j < K; j++)
				KUNIT_EXPECT_EQ_MSG(test,
						    test_retry(dev, cookies[i],
							       j * 4, j * 4 + 3),
						    j >= i, "%u, %u", i, j);
		/* Turn it */
		for (i = 0; i < round + 1; i++)
			invalidate(dev, 200, 200);
	}
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_history), 0);
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), 0);
}

/* Exactly K are remembered; after one more nobody knows (I5). */
static void history_overflow(struct kunit *test)
{
	static const unsigned int sizes[] = { 1, 2, K, 64 };
	struct smmu_inval_config cfg = test_config();
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct test_dev *dev;
		u64 cookie;

		cfg.nr_history = sizes[i];
		dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
		cookie = smmu_inval_read_begin(&dev->si);

		invalidate(dev, 10, 10);
		for (j = 1; j < sizes[i]; j++)
			invalidate(dev, 20, 20);
		KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 10, 10));
		KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 11, 19));
		/* A hint is content with a number, which is not too large yet. */
		KUNIT_EXPECT_FALSE(test,
				   smmu_inval_retry_hint(&dev->si, cookie, 11, 19));
		KUNIT_EXPECT_EQ(test, test_count(dev, overflow_history), 0);
		KUNIT_EXPECT_EQ(test, test_count(dev, retries_done), 1);
		KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), 0);

		invalidate(dev, 20, 20);
		KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 10, 10));
		KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 11, 19));
		KUNIT_EXPECT_EQ(test, test_count(dev, overflow_history), 2);
		KUNIT_EXPECT_EQ(test, test_count(dev, retries_done), 3);
		KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), 2);
		KUNIT_EXPECT_TRUE(test,
				  smmu_inval_retry_hint(&dev->si, cookie, 11, 19));

		/* Who began later is not concerned. */
		cookie = smmu_inval_read_begin(&dev->si);
		KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 10, 20));
		invalidate(dev, 20, 20);
		KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 11, 19));
		KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 20, 20));
		KUNIT_EXPECT_EQ(test, test_count(dev, overflow_history), 2);
	}
}

/* Each range of a token completes, and what is between them does not. */
static void history_many_ranges(struct kunit *test)
{
	struct test_dev *dev = history_dev(test);
	struct smmu_inval_token *token;
	unsigned int i;
	u64 cookie;

	token = test_begin(dev, 0, 4);
	for (i = 1; i < K; i++)
		test_add(dev, token, i * 20, i * 20 + 4);
	cookie = smmu_inval_read_begin(&dev->si);
	test_end(dev, token);
	for (i = 0; i < K; i++) {
		KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, i * 20,
						   i * 20 + 4));
		KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, i * 20 + 5,
						    i * 20 + 19));
	}
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_history), 0);

	/* More of them than fit: the cookie from before is too old. */
	token = test_begin(dev, 0, 0);
	for (i = 1; i <= K; i++)
		test_add(dev, token, i, i);
	cookie = smmu_inval_read_begin(&dev->si);
	test_end(dev, token);
	for (i = 0; i <= K; i++)
		KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, i, i));
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_history), K + 1);
	cookie = smmu_inval_read_begin(&dev->si);
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 0, TEST_UNITS - 1));
}

/* A process that is gone: no fault succeeds ever again. */
static void history_dead(struct kunit *test)
{
	struct test_dev *dev = history_dev(test);
	u64 cookie = smmu_inval_read_begin(&dev->si);

	KUNIT_EXPECT_FALSE(test, smmu_inval_is_dead(&dev->si));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 0, TEST_UNITS - 1));
	smmu_inval_shutdown(&dev->si);
	KUNIT_EXPECT_TRUE(test, smmu_inval_is_dead(&dev->si));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 0, TEST_UNITS - 1));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 0, 0));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, TEST_UNITS - 1,
					     TEST_UNITS - 1));
	KUNIT_EXPECT_TRUE(test, smmu_inval_retry_hint(&dev->si, cookie, 0, 0));

	/* Callbacks that still run find it usable. */
	invalidate(dev, 10, 19);
	test_change(dev, 10, 19);
	KUNIT_EXPECT_TRUE(test, test_flushed(dev, 10, 19));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 30, 30));
	smmu_inval_shutdown(&dev->si);
	KUNIT_EXPECT_TRUE(test, smmu_inval_is_dead(&dev->si));
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case history_cases[] = {
	KUNIT_CASE_PARAM(history_boundaries, test_lock_gen_params),
	KUNIT_CASE_PARAM(history_extremes, test_lock_gen_params),
	KUNIT_CASE_PARAM(history_cookie, test_lock_gen_params),
	KUNIT_CASE_PARAM(history_ages, test_lock_gen_params),
	KUNIT_CASE_PARAM(history_overflow, test_lock_gen_params),
	KUNIT_CASE_PARAM(history_many_ranges, test_lock_gen_params),
	KUNIT_CASE_PARAM(history_dead, test_lock_gen_params),
	{}
};

static struct kunit_suite history_suite = {
	.name = "smmu_inval_history",
	.exit = test_exit,
	.test_cases = history_cases,
};

kunit_test_suite(history_suite);
