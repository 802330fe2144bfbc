// SPDX-License-Identifier: GPL-2.0
/*
 * Flushes in two phases: issued before the lock is dropped, over before the
 * callback returns, and until then in the way of each callback that overlaps,
 * whether that one changed anything or not (I2).
 *
 * A flight is up as long as the drain that collected it is in scope. The tests
 * with threads park the device instead.
 */
#include <linux/delay.h>

#include "smmu_inval_test.h"

static struct test_dev *flight_dev(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();

	return test_dev_new(test, test_lock_param(test), &test_ops_two_phase,
			    &cfg);
}

/* The device waited for nothing that it was not asked to. */
static unsigned int waits(struct test_dev *dev)
{
	return atomic_read(&dev->waits);
}

static u64 waited(struct test_dev *dev)
{
	return atomic64_read(&dev->waited);
}

/* Issued under the lock, waited for without it, before the scope ends. */
static void flight_issue_and_wait(struct kunit *test)
{
	struct test_dev *dev = flight_dev(test);
	unsigned int issued, early;

	{
		CLASS(smmu_inval_drain, drain)(&dev->si);

		test_change_deferred(dev, &drain, 10, 19);
		issued = dev->flushes;
		early = waits(dev);
	}
	KUNIT_EXPECT_EQ(test, issued, 1);
	KUNIT_EXPECT_EQ(test, early, 0);
	KUNIT_EXPECT_EQ(test, waits(dev), 1);
	KUNIT_EXPECT_EQ(test, waited(dev), dev->issued);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 10, 19));

	/* Several sections of one callback: the newest ticket stands for all. */
	{
		CLASS(smmu_inval_drain, drain)(&dev->si);

		test_change_deferred(dev, &drain, 10, 19);
		test_change_deferred(dev, &drain, 30, 39);
		test_change_deferred(dev, &drain, 50, 59);
	}
	KUNIT_EXPECT_EQ(test, waits(dev), 2);
	KUNIT_EXPECT_EQ(test, waited(dev), dev->issued);
	KUNIT_EXPECT_EQ(test, dev->issued, 4);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->waited_locked), 0);
	/* One's own flushes are not those of others. */
	KUNIT_EXPECT_EQ(test, test_count(dev, waits), 0);
}

/* Nothing changed, nothing in flight: no wait (I9). */
static void flight_nothing(struct kunit *test)
{
	struct test_dev *dev = flight_dev(test);

	{
		CLASS(smmu_inval_drain, drain)(&dev->si);
		guard(test_dev)(dev);
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_batch_defer(&batch, &drain);
		smmu_inval_drain_range(&drain, 0, TEST_UNITS - 1);
	}
	KUNIT_EXPECT_EQ(test, dev->flushes, 0);
	KUNIT_EXPECT_EQ(test, waits(dev), 0);
}

/* Who does not defer gets it in one phase: over before the unlock. */
static void flight_not_deferred(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev = flight_dev(test);

	test_change(dev, 10, 19);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 10, 19));
	KUNIT_EXPECT_EQ(test, dev->issued, 0);
	test_drain(dev, 10, 19);
	KUNIT_EXPECT_EQ(test, waits(dev), 0);
	{
		CLASS(smmu_inval_drain, drain)(&dev->si);

		test_change_deferred(dev, &drain, 20, 29);
	}
	KUNIT_EXPECT_EQ(test, dev->issued, 1);
	KUNIT_EXPECT_EQ(test, waits(dev), 1);

	/* Deferring without the pair changes nothing. */
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
	{
		CLASS(smmu_inval_drain, drain)(&dev->si);

		test_change_deferred(dev, &drain, 20, 29);
		KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 20, 29));
	}
}

/* A callback that changed nothing waits for the flights in its range. */
static void flight_of_others(struct kunit *test)
{
	static const struct {
		u64 start, last;
		bool wait;
	} asks[] = {
		{ 0, 9, false }, { 20, 255, false }, { 9, 9, false },
		{ 9, 10, true }, { 10, 10, true }, { 15, 15, true },
		{ 19, 19, true }, { 19, 255, true }, { 0, 255, true },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(asks); i++) {
		struct test_dev *dev = flight_dev(test);

		CLASS(smmu_inval_drain, slow)(&dev->si);

		test_change_deferred(dev, &slow, 10, 19);
		test_drain(dev, asks[i].start, asks[i].last);
		KUNIT_EXPECT_EQ_MSG(test, waits(dev), asks[i].wait,
				    "[%llu, %llu]", asks[i].start, asks[i].last);
		KUNIT_EXPECT_EQ(test, test_count(dev, waits), asks[i].wait);
		/* It has landed: nobody has to wait for it any more. */
		test_drain(dev, asks[i].start, asks[i].last);
		KUNIT_EXPECT_EQ(test, waits(dev), asks[i].wait);
	}
}

/* Of several that overlap, the newest. */
static void flight_newest(struct kunit *test)
{
	static const struct {
		u64 at, ticket;
	} asks[] = {
		{ 12, 1 }, { 17, 3 }, { 32, 3 }, { 38, 2 }, { 25, 3 }, { 60, 0 },
		{ 100, 4 }, { 111, 4 }, { 105, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(asks); i++) {
		struct test_dev *dev = flight_dev(test);

		CLASS(smmu_inval_drain, slow)(&dev->si);

		test_change_deferred(dev, &slow, 10, 19);
		test_change_deferred(dev, &slow, 30, 39);
		test_change_deferred(dev, &slow, 15, 34);
		scoped_guard(test_dev, dev) {
			CLASS(smmu_inval_batch, batch)(&dev->si);

			/* All spans of a flush are in flight. */
			smmu_inval_batch_defer(&batch, &slow);
			smmu_inval_changed(&batch, 110, 119, SMMU_INVAL_UNMAP);
			smmu_inval_changed(&batch, 100, 100, SMMU_INVAL_UNMAP);
		}
		test_drain(dev, asks[i].at, asks[i].at);
		KUNIT_EXPECT_EQ_MSG(test, waited(dev), asks[i].ticket, "%llu",
				    asks[i].at);
	}
}

/* A device that puts what comes at once into one command: one ticket for all. */
static u64 issue_same(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	test_ops_two_phase.flush_issue(si, flush);
	return 1;
}

static void flight_same_ticket(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct smmu_inval_ops ops = test_ops_two_phase;
	struct test_dev *dev;

	ops.flush_issue = issue_same;
	dev = test_dev_new(test, test_lock_param(test), &ops, &cfg);
	{
		CLASS(smmu_inval_drain, slow)(&dev->si);

		test_change_deferred(dev, &slow, 10, 19);
		test_change_deferred(dev, &slow, 30, 39);
		test_drain(dev, 20, 29);
		KUNIT_EXPECT_EQ(test, waits(dev), 0);
		test_drain(dev, 39, 39);
		KUNIT_EXPECT_EQ(test, waited(dev), 1);
	}
	KUNIT_EXPECT_EQ(test, dev->flushes, 2);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 0);
	/* The test's own, and the drain's. */
	KUNIT_EXPECT_EQ(test, waits(dev), 2);
	smmu_inval_destroy(&dev->si);
}

/* A flush of everything is in the way of everything. */
static void flight_all(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;

	cfg.flush_spans = 0;
	dev = test_dev_new(test, test_lock_param(test), &test_ops_two_phase,
			   &cfg);
	{
		CLASS(smmu_inval_drain, slow)(&dev->si);

		test_change_deferred(dev, &slow, 10, 19);
		test_drain(dev, 200, 200);
		KUNIT_EXPECT_EQ(test, waited(dev), 1);
	}
}

/* More than there are slots for: some wait longer, nobody too short (I5). */
static void flight_overflow(struct kunit *test)
{
	const unsigned int nr = SMMU_INVAL_FLIGHTS + 4;
	unsigned int i, j;

	for (i = 0; i < nr; i++) {
		struct test_dev *dev = flight_dev(test);

		CLASS(smmu_inval_drain, slow)(&dev->si);

		for (j = 0; j < nr; j++)
			test_change_deferred(dev, &slow, j * 20, j * 20 + 3);
		KUNIT_EXPECT_EQ(test, test_count(dev, overflow_flights), 4);
		/* Those that have a slot do not suffer. */
		test_drain(dev, 4, 19);
		KUNIT_EXPECT_EQ(test, waits(dev), 0);
		test_drain(dev, i * 20 + 3, i * 20 + 3);
		KUNIT_EXPECT_GE_MSG(test, waited(dev), i + 1, "flight %u", i);
	}
}

/* The same from above: what shares a slot stays covered up to its end. */
static void flight_overflow_down(struct kunit *test)
{
	const unsigned int nr = SMMU_INVAL_FLIGHTS + 4;
	struct test_dev *dev = flight_dev(test);
	unsigned int i;

	CLASS(smmu_inval_drain, slow)(&dev->si);

	for (i = nr; i--; )
		test_change_deferred(dev, &slow, i * 20, i * 20 + 3);
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_flights), 4);
	test_drain(dev, 4 * 20, 4 * 20 + 3);
	KUNIT_EXPECT_EQ(test, waits(dev), 1);
}

/* Slots of flights that landed are free again. */
static void flight_reuse(struct kunit *test)
{
	struct test_dev *dev = flight_dev(test);
	unsigned int i;

	for (i = 0; i < 5 * SMMU_INVAL_FLIGHTS; i++) {
		CLASS(smmu_inval_drain, drain)(&dev->si);

		test_change_deferred(dev, &drain, i, i);
	}
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_flights), 0);
	KUNIT_EXPECT_EQ(test, waits(dev), i);
}

/* They land in any order; what has landed once stays so. */
static void flight_out_of_order(struct kunit *test)
{
	struct test_dev *dev = flight_dev(test);

	CLASS(smmu_inval_drain, old)(&dev->si);
	CLASS(smmu_inval_drain, new)(&dev->si);

	test_change_deferred(dev, &old, 10, 19);
	test_change_deferred(dev, &new, 30, 39);
	smmu_inval_drain_finish(&new);
	/* The device is done with both, and one does not know it. */
	smmu_inval_drain_finish(&old);
	KUNIT_EXPECT_EQ(test, waits(dev), 2);
	test_drain(dev, 0, TEST_UNITS - 1);
	KUNIT_EXPECT_EQ(test, waits(dev), 2);
}

/* Page tables are freed after the wait, once. */
static void flight_free_tables(struct kunit *test)
{
	struct test_dev *dev = flight_dev(test);
	struct test_table tables[4] = {};
	unsigned int i, early;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		tables[i].ticket = i / 2 + 1;
	{
		CLASS(smmu_inval_drain, drain)(&dev->si);

		for (i = 0; i < ARRAY_SIZE(tables); i += 2) {
			guard(test_dev)(dev);
			CLASS(smmu_inval_batch, batch)(&dev->si);

			smmu_inval_batch_defer(&batch, &drain);
			smmu_inval_changed(&batch, i, i, SMMU_INVAL_UNMAP);
			smmu_inval_batch_free_later(&batch, &tables[i].node);
			smmu_inval_batch_free_later(&batch, &tables[i + 1].node);
		}
		early = dev->freed;
		smmu_inval_drain_finish(&drain);
		KUNIT_EXPECT_EQ(test, dev->freed, ARRAY_SIZE(tables));
		KUNIT_EXPECT_EQ(test, waits(dev), 1);
	}
	KUNIT_EXPECT_EQ(test, early, 0);
	/* Finished by hand: nothing is left for the end of the scope. */
	KUNIT_EXPECT_EQ(test, waits(dev), 1);
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		KUNIT_EXPECT_EQ(test, tables[i].freed, 1);
}

/* A callback, as a binding runs it; changes nothing if there is nothing. */
struct callback {
	struct test_dev *dev;
	u64 start, last;
	bool change;
};

static int run_callback(void *arg)
{
	struct callback *cb = arg;
	struct test_dev *dev = cb->dev;

	CLASS(smmu_inval_drain, drain)(&dev->si);
	guard(test_dev)(dev);
	CLASS(smmu_inval_batch, batch)(&dev->si);

	smmu_inval_batch_defer(&batch, &drain);
	smmu_inval_drain_range(&drain, cb->start, cb->last);
	if (cb->change)
		smmu_inval_changed(&batch, cb->start, cb->last,
				   SMMU_INVAL_UNMAP);
	return 0;
}

/*
 * A slow device and callbacks on two CPUs. The second finds nothing to change,
 * but its caller frees the page that the device still uses.
 */
static void flight_threads(struct kunit *test)
{
	struct test_dev *dev = flight_dev(test);
	struct callback first = { dev, 10, 19, true };
	struct callback second = { dev, 15, 15, false };
	struct callback far = { dev, 50, 59, false };
	struct test_thread a, b, c;
	unsigned int i;

	dev->parked = true;
	test_thread_start(test, &a, 0, run_callback, &first);
	for (i = 0; i < 100 && !waits(dev); i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, waits(dev), 1);

	test_thread_start(test, &b, 1, run_callback, &second);
	test_thread_start(test, &c, 1, run_callback, &far);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &c), 0);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&b));
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&a));

	test_land(dev, 1);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &a), 0);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &b), 0);
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, waits(dev), 2);
	KUNIT_EXPECT_EQ(test, test_count(dev, waits), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->waited_locked), 0);
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case flight_cases[] = {
	KUNIT_CASE_PARAM(flight_issue_and_wait, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_nothing, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_not_deferred, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_of_others, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_newest, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_same_ticket, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_all, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_overflow, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_overflow_down, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_reuse, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_out_of_order, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_free_tables, test_lock_gen_params),
	KUNIT_CASE_PARAM(flight_threads, test_lock_gen_params),
	{}
};

static struct kunit_suite flight_suite = {
	.name = "smmu_inval_flight",
	.exit = test_exit,
	.test_cases = flight_cases,
};

kunit_test_suite(flight_suite);
