// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics: each counter moves by what its documentation says, and the others
 * stay. Those of overflows and of waits are also checked where they happen.
 */
#include "smmu_inval_test.h"

static struct test_dev *stats_dev(struct kunit *test, unsigned int page_shift)
{
	struct smmu_inval_config cfg = test_config();

	cfg.page_shift = page_shift;
	cfg.nr_ranges = 1;
	cfg.nr_history = 4;
	cfg.flush_spans = 2;
	return test_dev_new(test, TEST_RWLOCK, &test_ops, &cfg);
}

/* What has to have been counted, since all began with 0; says what differs. */
static void expect_stats(struct kunit *test, struct test_dev *dev,
			 const struct smmu_inval_stats *want)
{
	struct smmu_inval_stats stats;
	const u64 *is = (u64 *)&stats, *should = (const u64 *)want;
	unsigned int i;

	smmu_inval_get_stats(&dev->si, &stats);
	for (i = 0; i < sizeof(stats) / sizeof(u64); i++)
		KUNIT_EXPECT_EQ_MSG(test, is[i], should[i],
				    "counter %u of event %u, or counter %d behind the events",
				    i % 6, i / 6,
				    (int)i - 6 * SMMU_INVAL_NR_EVENTS);
}

static void stats_of_nothing(struct kunit *test)
{
	struct test_dev *dev = stats_dev(test, 0);
	struct smmu_inval_stats want = {};

	expect_stats(test, dev, &want);
	test_pending(dev, 0, TEST_UNITS - 1);
	test_drain(dev, 0, TEST_UNITS - 1);
	expect_stats(test, dev, &want);
}

/* Invalidations, by event, in pages of the driver's address space. */
static void stats_asked(struct kunit *test)
{
	struct test_dev *dev = stats_dev(test, 0);
	struct smmu_inval_stats want = {};
	enum smmu_inval_event event;

	for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++) {
		struct smmu_inval_token *token;

		guard(test_dev)(dev);
		token = smmu_inval_begin(&dev->si, event);
		smmu_inval_add(&dev->si, token, 0, event);
		smmu_inval_add(&dev->si, token, 100, 109);
		smmu_inval_end(&dev->si, token);
		want.event[event].callbacks = 1;
		want.event[event].asked = event + 1 + 10;
	}
	expect_stats(test, dev, &want);
}

/* Without a token of its own it is still counted for its event. */
static void stats_asked_in_overflow(struct kunit *test)
{
	struct test_dev *dev = stats_dev(test, 0);
	struct smmu_inval_token *tokens[SMMU_INVAL_SLOTS + 1], *token;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tokens); i++)
		tokens[i] = test_begin(dev, i, i);
	scoped_guard(test_dev, dev) {
		token = smmu_inval_begin(&dev->si, SMMU_INVAL_SOFT_DIRTY);
		smmu_inval_add(&dev->si, token, 100, 109);
		smmu_inval_end(&dev->si, token);
	}
	for (i = 0; i < ARRAY_SIZE(tokens); i++)
		test_end(dev, tokens[i]);
	KUNIT_EXPECT_EQ(test, test_count(dev, event[SMMU_INVAL_UNMAP].asked),
			ARRAY_SIZE(tokens));
	KUNIT_EXPECT_EQ(test, test_count(dev, event[SMMU_INVAL_UNMAP].callbacks),
			ARRAY_SIZE(tokens));
	KUNIT_EXPECT_EQ(test,
			test_count(dev, event[SMMU_INVAL_SOFT_DIRTY].callbacks),
			1);
	KUNIT_EXPECT_EQ(test, test_count(dev, event[SMMU_INVAL_SOFT_DIRTY].asked),
			10);
}

/* Units of a byte, pages of 16: a page that is touched counts. */
static void stats_pages(struct kunit *test)
{
	struct test_dev *dev = stats_dev(test, 4);
	struct smmu_inval_stats want = {};

	test_end(dev, test_begin(dev, 15, 16));
	test_change(dev, 5, 5);
	test_change(dev, 0, 15);
	test_change(dev, 31, 48);
	want.event[SMMU_INVAL_UNMAP].callbacks = 1;
	want.event[SMMU_INVAL_UNMAP].asked = 2;
	want.event[SMMU_INVAL_UNMAP].changed = 1 + 1 + 3;
	want.event[SMMU_INVAL_UNMAP].flushed = 1 + 1 + 3;
	want.flushes = 3;
	expect_stats(test, dev, &want);
}

/* What was changed is not always what is flushed for it. */
static void stats_flushed(struct kunit *test)
{
	struct test_dev *dev = stats_dev(test, 0);
	struct smmu_inval_stats want = {};

	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_changed(&batch, 0, 9, SMMU_INVAL_CLEAR);
		smmu_inval_changed(&batch, 100, 104, SMMU_INVAL_TLB);
		/* Joins with the second: 100 to 109. */
		smmu_inval_changed(&batch, 108, 109, SMMU_INVAL_MIGRATE);
	}
	want.event[SMMU_INVAL_CLEAR].changed = 10;
	want.event[SMMU_INVAL_CLEAR].flushed = 10;
	want.event[SMMU_INVAL_TLB].changed = 5;
	want.event[SMMU_INVAL_TLB].flushed = 10;
	want.event[SMMU_INVAL_MIGRATE].changed = 2;
	want.event[SMMU_INVAL_MIGRATE].flushed = 10;
	want.overflow_batch = 1;
	want.flushes = 1;
	expect_stats(test, dev, &want);

	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_batch_all(&batch);
	}
	want.flushes = 2;
	want.flushes_all = 1;
	expect_stats(test, dev, &want);
}

/* Retries by their cause, and those that were for nothing. */
static void stats_retries(struct kunit *test)
{
	struct test_dev *dev = stats_dev(test, 0);
	struct smmu_inval_stats want = {};
	struct smmu_inval_token *token;
	unsigned int i;
	u64 cookie;

	cookie = smmu_inval_read_begin(&dev->si);
	test_retry(dev, cookie, 10, 10);
	expect_stats(test, dev, &want);

	token = test_begin(dev, 10, 19);
	want.event[SMMU_INVAL_UNMAP].callbacks = 1;
	want.event[SMMU_INVAL_UNMAP].asked = 10;
	test_retry(dev, cookie, 10, 10);
	want.checks = 1;
	want.retries_pending = 1;
	expect_stats(test, dev, &want);
	/* Beside all that is pending: that is seen without a look. */
	test_retry(dev, cookie, 20, 20);
	expect_stats(test, dev, &want);

	test_end(dev, token);
	test_retry(dev, cookie, 10, 10);
	want.checks = 2;
	want.retries_done = 1;
	expect_stats(test, dev, &want);

	smmu_inval_set_coarse(&dev->si, true);
	test_retry(dev, cookie, 20, 20);
	want.checks = 3;
	want.retries_done = 2;
	want.retries_false = 1;
	expect_stats(test, dev, &want);
	smmu_inval_set_coarse(&dev->si, false);

	for (i = 0; i < 4; i++)
		test_complete(dev, 200, 200);
	test_retry(dev, cookie, 20, 20);
	want.checks = 4;
	want.retries_done = 3;
	want.retries_false = 2;
	want.overflow_history = 1;
	expect_stats(test, dev, &want);
}

static void invalidate(struct test_dev *dev, u64 start, u64 last)
{
	struct smmu_inval_token *token;

	guard(test_dev)(dev);
	token = smmu_inval_begin(&dev->si, SMMU_INVAL_UNMAP);
	smmu_inval_add(&dev->si, token, start, last);
	smmu_inval_end(&dev->si, token);
}

/*
 * Two instances count in one set of counters, and a third does not; what they
 * counted stays when they go. Others may count there at the same time.
 */
static void stats_shared(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *one, *two, *other = stats_dev(test, 0);
	struct smmu_inval_stats before, after;

	cfg.shared_stats = true;
	one = test_dev_new(test, TEST_RWLOCK, &test_ops, &cfg);
	two = test_dev_new(test, TEST_MUTEX, &test_ops, &cfg);
	KUNIT_EXPECT_TRUE(test, one->si.stats == two->si.stats);
	KUNIT_EXPECT_NULL(test, one->si.dir);
	smmu_inval_get_stats(&one->si, &before);
	invalidate(one, 0, 9);
	invalidate(two, 0, 99);
	smmu_inval_get_stats(&two->si, &after);
	KUNIT_EXPECT_GE(test, after.event[SMMU_INVAL_UNMAP].asked,
			before.event[SMMU_INVAL_UNMAP].asked + 110);
	smmu_inval_get_stats(&other->si, &before);
	KUNIT_EXPECT_EQ(test, before.event[SMMU_INVAL_UNMAP].asked, 0);

	smmu_inval_destroy(&two->si);
	smmu_inval_get_stats(&one->si, &before);
	KUNIT_EXPECT_GE(test, before.event[SMMU_INVAL_UNMAP].asked,
			after.event[SMMU_INVAL_UNMAP].asked);
}

static struct kunit_case stats_cases[] = {
	KUNIT_CASE(stats_of_nothing),
	KUNIT_CASE(stats_asked),
	KUNIT_CASE(stats_asked_in_overflow),
	KUNIT_CASE(stats_pages),
	KUNIT_CASE(stats_flushed),
	KUNIT_CASE(stats_retries),
	KUNIT_CASE(stats_shared),
	{}
};

static struct kunit_suite stats_suite = {
	.name = "smmu_inval_stats",
	.exit = test_exit,
	.test_cases = stats_cases,
};

kunit_test_suite(stats_suite);
