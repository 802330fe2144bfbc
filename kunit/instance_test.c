// SPDX-License-Identifier: GPL-2.0
/*
 * Instances: what smmu_inval_init() refuses, the life of what it accepts, and
 * the coarse switch.
 */
#include "smmu_inval_test.h"

/* Each one a mistake in a configuration that is otherwise in order. */
static void no_name(struct smmu_inval_config *cfg)
{
	cfg->name = NULL;
}

static void name_empty(struct smmu_inval_config *cfg)
{
	cfg->name = "";
}

static void no_lock(struct smmu_inval_config *cfg)
{
	cfg->lock.lock = NULL;
}

static void no_spinlock(struct smmu_inval_config *cfg)
{
	cfg->lock.kind = SMMU_INVAL_SPINLOCK;
	cfg->lock.lock = NULL;
}

static void no_lock_kind(struct smmu_inval_config *cfg)
{
	cfg->lock.kind = SMMU_INVAL_NO_LOCK;
}

static void lock_left_out(struct smmu_inval_config *cfg)
{
	memset(&cfg->lock, 0, sizeof(cfg->lock));
}

static void inverted_space(struct smmu_inval_config *cfg)
{
	cfg->start = 10;
	cfg->last = 9;
}

/* A length added to a start, past the end of the world */
static void wrapped_space(struct smmu_inval_config *cfg)
{
	cfg->start = U64_MAX - 10;
	cfg->last = cfg->start + 100;
}

static void huge_page_shift(struct smmu_inval_config *cfg)
{
	cfg->page_shift = 64;
}

static void too_many_ranges(struct smmu_inval_config *cfg)
{
	cfg->nr_ranges = SMMU_INVAL_MAX_RANGES + 1;
}

static void negative_ranges(struct smmu_inval_config *cfg)
{
	cfg->nr_ranges = -1;
}

static void no_history(struct smmu_inval_config *cfg)
{
	cfg->nr_history = 0;
}

static void odd_history(struct smmu_inval_config *cfg)
{
	cfg->nr_history = 48;
}

static void huge_history(struct smmu_inval_config *cfg)
{
	cfg->nr_history = 1U << 31;
}

static void too_many_spans(struct smmu_inval_config *cfg)
{
	cfg->flush_spans = SMMU_INVAL_BATCH_SPANS + 1;
}

static void unknown_event(struct smmu_inval_config *cfg)
{
	cfg->zap_events = BIT(SMMU_INVAL_NR_EVENTS);
}

/* The largest that is none of the mistakes below. */
static void instance_largest(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	cfg.lock = test_lock_init(dev, TEST_MUTEX);
	cfg.nr_ranges = SMMU_INVAL_MAX_RANGES;
	KUNIT_EXPECT_EQ(test, smmu_inval_init(&dev->si, &test_ops, &cfg), 0);
	smmu_inval_destroy(&dev->si);
	cfg = test_config();
	cfg.lock = test_lock_init(dev, TEST_MUTEX);
	cfg.nr_history = SMMU_INVAL_MAX_RANGES;
	cfg.page_shift = PAGE_SHIFT;
	cfg.flush_spans = SMMU_INVAL_BATCH_SPANS;
	KUNIT_EXPECT_EQ(test, smmu_inval_init(&dev->si, &test_ops, &cfg), 0);
	smmu_inval_destroy(&dev->si);
}

static void instance_bad_config(struct kunit *test)
{
	static const struct {
		const char *name;
		void (*spoil)(struct smmu_inval_config *cfg);
	} mistakes[] = {
#define MISTAKE(how) { #how, how }
		MISTAKE(no_name), MISTAKE(name_empty), MISTAKE(no_lock),
		MISTAKE(no_spinlock), MISTAKE(no_lock_kind), MISTAKE(lock_left_out),
		MISTAKE(inverted_space), MISTAKE(wrapped_space),
		MISTAKE(huge_page_shift), MISTAKE(too_many_ranges),
		MISTAKE(negative_ranges), MISTAKE(no_history),
		MISTAKE(odd_history), MISTAKE(huge_history),
		MISTAKE(too_many_spans), MISTAKE(unknown_event),
#undef MISTAKE
	};
	struct smmu_inval_config cfg;
	struct test_dev *dev;
	unsigned int i;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		cfg = test_config();
		cfg.lock = test_lock_init(dev, TEST_MUTEX);
		mistakes[i].spoil(&cfg);
		KUNIT_EXPECT_EQ_MSG(test,
				    smmu_inval_init(&dev->si, &test_ops, &cfg),
				    -EINVAL, "%s", mistakes[i].name);
		/* As an error path may do */
		smmu_inval_destroy(&dev->si);
	}
}

static void some_flush(struct smmu_inval *si,
		       const struct smmu_inval_flush *flush)
{
}

static u64 some_issue(struct smmu_inval *si,
		      const struct smmu_inval_flush *flush)
{
	return 1;
}

static void some_wait(struct smmu_inval *si, u64 ticket)
{
}

static void instance_bad_ops(struct kunit *test)
{
	static const struct {
		struct smmu_inval_ops ops;
		int ret;
	} cases[] = {
		{ { }, -EINVAL },
		{ { .flush_issue = some_issue }, -EINVAL },
		{ { .flush_wait = some_wait }, -EINVAL },
		{ { .flush = some_flush, .flush_issue = some_issue }, -EINVAL },
		{ { .flush = some_flush, .flush_wait = some_wait }, -EINVAL },
		{ { .flush = some_flush }, 0 },
		{ { .flush_issue = some_issue, .flush_wait = some_wait }, -EINVAL },
		{ { .flush = some_flush, .flush_issue = some_issue,
		    .flush_wait = some_wait }, 0 },
	};
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int i;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	cfg.lock = test_lock_init(dev, TEST_MUTEX);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		KUNIT_EXPECT_EQ_MSG(test, smmu_inval_init(&dev->si,
							  &cases[i].ops, &cfg),
				    cases[i].ret, "%u", i);
		smmu_inval_destroy(&dev->si);
	}
	KUNIT_EXPECT_EQ(test, smmu_inval_init(&dev->si, NULL, &cfg), -EINVAL);
	smmu_inval_destroy(&dev->si);
	KUNIT_EXPECT_EQ(test, smmu_inval_init(&dev->si, &test_ops, NULL),
			-EINVAL);
	smmu_inval_destroy(&dev->si);
}

/* Who sleeps in a zap cannot have a lock that does not. */
static void instance_zap_sleeps(struct kunit *test)
{
	static const struct {
		enum test_lock_kind kind;
		int ret;
	} cases[] = {
		{ TEST_MUTEX, 0 },
		{ TEST_RWSEM, 0 },
		{ TEST_SPINLOCK, -EINVAL },
		{ TEST_RAW_SPINLOCK, -EINVAL },
		{ TEST_RWLOCK, -EINVAL },
	};
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int i;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	cfg.zap_sleeps = true;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		cfg.lock = test_lock_init(dev, cases[i].kind);
		KUNIT_EXPECT_EQ_MSG(test, smmu_inval_init(&dev->si, &test_ops,
							  &cfg),
				    cases[i].ret, "%u", i);
		smmu_inval_destroy(&dev->si);
	}
	cfg.lock = (struct smmu_inval_lock) { .kind = SMMU_INVAL_LOCKLESS };
	KUNIT_EXPECT_EQ(test, smmu_inval_init(&dev->si, &test_ops, &cfg),
			-EINVAL);
}

/* The smallest and the largest that are allowed work. */
static void instance_limits(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct smmu_inval_token *token;
	struct test_dev *dev;
	u64 cookie;

	cfg.start = 7;
	cfg.last = 7;
	cfg.nr_ranges = 0;
	cfg.nr_history = 1;
	cfg.flush_spans = 0;
	dev = test_dev_new(test, TEST_SPINLOCK, &test_ops, &cfg);
	cookie = smmu_inval_read_begin(&dev->si);
	token = test_begin(dev, 0, 100);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 7, 7));
	test_end(dev, token);
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 7, 7));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 7, 7));

	cfg.start = 0;
	cfg.last = U64_MAX;
	cfg.page_shift = PAGE_SHIFT;
	cfg.nr_ranges = 1U << 16;
	cfg.nr_history = 1U << 16;
	cfg.flush_spans = SMMU_INVAL_BATCH_SPANS;
	cfg.flush_pages = U64_MAX;
	cfg.zap_events = BIT(SMMU_INVAL_NR_EVENTS) - 1;
	dev = test_dev_new(test, TEST_SPINLOCK, &test_ops, &cfg);
	token = test_begin(dev, 0, U64_MAX);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, U64_MAX, U64_MAX));
	test_end(dev, token);
	test_change(dev, 0, U64_MAX);
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
}

/* SMMU_INVAL_LOCK() tells the kinds apart. */
static void instance_lock_kinds(struct kunit *test)
{
	static const enum smmu_inval_lock_kind kinds[TEST_NR_LOCKS] = {
		[TEST_SPINLOCK] = SMMU_INVAL_SPINLOCK,
		[TEST_RAW_SPINLOCK] = SMMU_INVAL_RAW_SPINLOCK,
		[TEST_RWLOCK] = SMMU_INVAL_RWLOCK,
		[TEST_MUTEX] = SMMU_INVAL_MUTEX,
		[TEST_RWSEM] = SMMU_INVAL_RWSEM,
	};
	struct smmu_inval_lock lock;
	struct test_dev *dev;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	lock = test_lock_init(dev, test_lock_param(test));
	KUNIT_EXPECT_EQ(test, (int)lock.kind, (int)kinds[test_lock_param(test)]);
	KUNIT_EXPECT_PTR_EQ(test, lock.lock, (void *)&dev->lock);
}

/* What is pending when an instance goes is forgotten, silently (I10). */
static void instance_destroy_pending(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int i, round;
	u64 seq;

	cfg.nr_ranges = 2;
	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	cfg.lock = test_lock_init(dev, test_lock_param(test));
	for (round = 0; round < 3; round++) {
		KUNIT_ASSERT_EQ(test, smmu_inval_init(&dev->si, &test_ops, &cfg),
				0);
		/* Nothing is left of the life before. */
		KUNIT_EXPECT_FALSE(test, smmu_inval_is_dead(&dev->si));
		KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));
		KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 0);
		/* A cookie that is never checked is legal, too. */
		seq = smmu_inval_read_begin(&dev->si);
		for (i = 0; i < 10; i++)
			test_begin(dev, i * 10, i * 10 + 4);
		KUNIT_EXPECT_TRUE(test, test_retry(dev, seq, 44, 44));
		if (round)
			smmu_inval_shutdown(&dev->si);
		smmu_inval_destroy(&dev->si);
		/* Frees once. */
		smmu_inval_destroy(&dev->si);
	}
}

/* Precision off and on at run time, with ranges pending and completed. */
static void instance_coarse(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct smmu_inval_token *a, *b;
	u64 cookie, retries;
	struct test_dev *dev;

	cfg.coarse = true;
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
	b = test_begin(dev, 100, 109);
	a = test_begin(dev, 10, 19);
	/* One hull. */
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 50, 50));
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), 1);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, 9));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 110, 120));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 10, 10));
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), 1);

	smmu_inval_set_coarse(&dev->si, false);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 50, 50));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 10, 10));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 109, 109));
	smmu_inval_set_coarse(&dev->si, true);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 50, 50));
	/* The hull stays as long as anything is pending. */
	test_end(dev, a);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 10, 10));
	test_end(dev, b);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));

	/* One sequence: what completed anywhere makes every fault retry. */
	cookie = smmu_inval_read_begin(&dev->si);
	test_complete(dev, 200, 200);
	retries = test_count(dev, retries_false);
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 50, 50));
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), retries + 1);
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 200, 200));
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), retries + 1);
	smmu_inval_set_coarse(&dev->si, false);
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 50, 50));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 200, 200));
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case instance_cases[] = {
	KUNIT_CASE(instance_bad_config),
	KUNIT_CASE(instance_largest),
	KUNIT_CASE(instance_bad_ops),
	KUNIT_CASE(instance_zap_sleeps),
	KUNIT_CASE(instance_limits),
	KUNIT_CASE_PARAM(instance_lock_kinds, test_lock_gen_params),
	KUNIT_CASE_PARAM(instance_destroy_pending, test_lock_gen_params),
	KUNIT_CASE_PARAM(instance_coarse, test_lock_gen_params),
	{}
};

static struct kunit_suite instance_suite = {
	.name = "smmu_inval_instance",
	.exit = test_exit,
	.test_cases = instance_cases,
};

kunit_test_suite(instance_suite);
