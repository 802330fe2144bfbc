// SPDX-License-Identifier: GPL-2.0
/*
 * Batches: what changed is flushed, all of it (I1), before the lock is dropped
 * on every path (I2), and nothing else is (I9). That the lock is held while the
 * device flushes is checked by the device, see test_exit().
 */
#include "smmu_inval_test.h"

static struct test_dev *batch_dev(struct kunit *test, unsigned int flush_spans)
{
	struct smmu_inval_config cfg = test_config();

	cfg.flush_spans = flush_spans;
	return test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
}

#define MAX_SPANS	12

struct part {
	u64 start, last;
};

/* One lock section that changes some parts, in this order. */
static void change_parts(struct test_dev *dev, const struct part *part,
			 unsigned int nr)
{
	unsigned int i;

	guard(test_dev)(dev);
	CLASS(smmu_inval_batch, batch)(&dev->si);

	for (i = 0; i < nr; i++)
		smmu_inval_changed(&batch, part[i].start, part[i].last,
				   SMMU_INVAL_CLEAR);
}

/* What one flush is to cover for what changed. */
struct merge {
	const char *name;
	unsigned int flush_spans;
	unsigned int nr;
	struct part in[MAX_SPANS];
	unsigned int nr_out;
	struct part out[SMMU_INVAL_BATCH_SPANS];
	u64 overflows;
};

static const struct merge merges[] = {
	{ "one", 8, 1, { { 5, 9 } }, 1, { { 5, 9 } } },
	{ "one unit", 8, 1, { { 0, 0 } }, 1, { { 0, 0 } } },
	{ "adjacent", 8, 2, { { 0, 3 }, { 4, 7 } }, 1, { { 0, 7 } } },
	{ "adjacent, downwards", 8, 2, { { 4, 7 }, { 0, 3 } }, 1, { { 0, 7 } } },
	{ "overlapping", 8, 2, { { 0, 5 }, { 3, 7 } }, 1, { { 0, 7 } } },
	{ "overlapping, downwards", 8, 2, { { 3, 7 }, { 0, 5 } }, 1, { { 0, 7 } } },
	{ "identical", 8, 3, { { 3, 7 }, { 3, 7 }, { 3, 7 } }, 1, { { 3, 7 } } },
	{ "contained", 8, 2, { { 0, 9 }, { 4, 5 } }, 1, { { 0, 9 } } },
	{ "contained at the start", 8, 2, { { 0, 9 }, { 0, 5 } }, 1, { { 0, 9 } } },
	{ "contained at the end", 8, 2, { { 0, 9 }, { 5, 9 } }, 1, { { 0, 9 } } },
	{ "containing", 8, 2, { { 4, 5 }, { 0, 9 } }, 1, { { 0, 9 } } },
	{ "a gap of one unit", 8, 2, { { 0, 3 }, { 5, 7 } }, 2,
	  { { 0, 3 }, { 5, 7 } } },
	{ "sorted", 8, 3, { { 20, 21 }, { 0, 1 }, { 10, 11 } }, 3,
	  { { 0, 1 }, { 10, 11 }, { 20, 21 } } },
	{ "a bridge", 8, 3, { { 0, 3 }, { 8, 11 }, { 4, 7 } }, 1, { { 0, 11 } } },
	{ "a bridge and more", 8, 4,
	  { { 0, 3 }, { 8, 11 }, { 20, 20 }, { 2, 9 } }, 2,
	  { { 0, 11 }, { 20, 20 } } },
	{ "swallowing all", 8, 4,
	  { { 2, 3 }, { 6, 7 }, { 10, 11 }, { 0, 20 } }, 1, { { 0, 20 } } },
	{ "swallowing some", 8, 5,
	  { { 2, 3 }, { 6, 7 }, { 10, 11 }, { 30, 31 }, { 5, 12 } }, 3,
	  { { 2, 3 }, { 5, 12 }, { 30, 31 } } },
	{ "swallowing up to the next", 8, 4,
	  { { 2, 3 }, { 6, 7 }, { 10, 11 }, { 1, 9 } }, 1, { { 1, 11 } } },
	{ "both ends of the world", 8, 2,
	  { { U64_MAX, U64_MAX }, { 0, 0 } }, 2,
	  { { 0, 0 }, { U64_MAX, U64_MAX } } },
	{ "adjacent at the end of the world", 8, 2,
	  { { U64_MAX, U64_MAX }, { U64_MAX - 1, U64_MAX - 1 } }, 1,
	  { { U64_MAX - 1, U64_MAX } } },
	{ "up to the end of the world, twice", 8, 3,
	  { { U64_MAX - 9, U64_MAX }, { U64_MAX - 5, U64_MAX }, { 7, 8 } }, 2,
	  { { 7, 8 }, { U64_MAX - 9, U64_MAX } } },
	{ "the world but one", 8, 2, { { 5, 9 }, { 0, U64_MAX - 1 } }, 1,
	  { { 0, U64_MAX - 1 } } },
	{ "the world but the first", 8, 2, { { 5, 9 }, { 1, U64_MAX } }, 1,
	  { { 1, U64_MAX } } },
	{ "just full", 8, 8,
	  { { 0, 0 }, { 2, 2 }, { 4, 4 }, { 6, 6 }, { 8, 8 }, { 10, 10 },
	    { 12, 12 }, { 14, 14 } }, 8,
	  { { 0, 0 }, { 2, 2 }, { 4, 4 }, { 6, 6 }, { 8, 8 }, { 10, 10 },
	    { 12, 12 }, { 14, 14 } } },
	{ "full, joins two old ones", 8, 9,
	  { { 0, 0 }, { 20, 20 }, { 40, 40 }, { 60, 60 }, { 63, 63 },
	    { 100, 100 }, { 120, 120 }, { 140, 140 }, { 160, 160 } }, 8,
	  { { 0, 0 }, { 20, 20 }, { 40, 40 }, { 60, 63 }, { 100, 100 },
	    { 120, 120 }, { 140, 140 }, { 160, 160 } }, 1 },
	{ "full, joins the new one", 8, 9,
	  { { 0, 0 }, { 20, 20 }, { 40, 40 }, { 60, 60 }, { 80, 80 },
	    { 100, 100 }, { 120, 120 }, { 140, 140 }, { 44, 44 } }, 8,
	  { { 0, 0 }, { 20, 20 }, { 40, 44 }, { 60, 60 }, { 80, 80 },
	    { 100, 100 }, { 120, 120 }, { 140, 140 } }, 1 },
	{ "full, merges without joining", 8, 9,
	  { { 0, 0 }, { 20, 20 }, { 40, 40 }, { 60, 60 }, { 80, 80 },
	    { 100, 100 }, { 120, 120 }, { 140, 140 }, { 41, 41 } }, 8,
	  { { 0, 0 }, { 20, 20 }, { 40, 41 }, { 60, 60 }, { 80, 80 },
	    { 100, 100 }, { 120, 120 }, { 140, 140 } } },
	{ "two: the nearest are below", 2, 3,
	  { { 0, 0 }, { 3, 3 }, { 20, 20 } }, 2, { { 0, 3 }, { 20, 20 } }, 1 },
	{ "two: the nearest are above", 2, 3,
	  { { 0, 0 }, { 20, 20 }, { 23, 23 } }, 2, { { 0, 0 }, { 20, 23 } }, 1 },
	{ "two: the new one is below", 2, 3,
	  { { 20, 20 }, { 30, 30 }, { 15, 15 } }, 2, { { 15, 20 }, { 30, 30 } }, 1 },
	{ "two: nearness is the gap, not the length", 2, 3,
	  { { 0, 99 }, { 103, 199 }, { 210, 210 } }, 2,
	  { { 0, 199 }, { 210, 210 } }, 1 },
	{ "two: again and again", 2, 5,
	  { { 0, 0 }, { 100, 100 }, { 40, 40 }, { 75, 75 }, { 120, 120 } }, 2,
	  { { 0, 40 }, { 75, 120 } }, 3 },
	{ "one span is a hull", 1, 3,
	  { { 50, 59 }, { 10, 19 }, { 30, 39 } }, 1, { { 10, 59 } }, 1 },
};

static void batch_merges(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	unsigned int i, j;

	cfg.last = U64_MAX;
	for (i = 0; i < ARRAY_SIZE(merges); i++) {
		const struct merge *m = &merges[i];
		struct test_dev *dev;

		cfg.flush_spans = m->flush_spans;
		dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
		change_parts(dev, m->in, m->nr);
		KUNIT_EXPECT_EQ_MSG(test, dev->flushes, 1, "%s", m->name);
		KUNIT_EXPECT_EQ_MSG(test, dev->flushes_all, 0, "%s", m->name);
		KUNIT_EXPECT_EQ_MSG(test, dev->nr_spans, m->nr_out, "%s",
				    m->name);
		for (j = 0; j < min(dev->nr_spans, m->nr_out); j++) {
			KUNIT_EXPECT_EQ_MSG(test, dev->spans[j].start,
					    m->out[j].start, "%s", m->name);
			KUNIT_EXPECT_EQ_MSG(test, dev->spans[j].last,
					    m->out[j].last, "%s", m->name);
		}
		KUNIT_EXPECT_EQ_MSG(test, test_count(dev, overflow_batch),
				    m->overflows, "%s", m->name);
	}
}

/* A span says why: one that merged says it for all that it was made of. */
static void batch_events(struct kunit *test)
{
	struct test_dev *dev = batch_dev(test, SMMU_INVAL_BATCH_SPANS);

	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_changed(&batch, 0, 3, SMMU_INVAL_CLEAR);
		smmu_inval_changed(&batch, 20, 29, SMMU_INVAL_TLB);
		smmu_inval_changed(&batch, 4, 4, SMMU_INVAL_UNMAP);
	}
	KUNIT_ASSERT_EQ(test, dev->nr_spans, 2);
	KUNIT_EXPECT_EQ(test, dev->spans[0].events,
			BIT(SMMU_INVAL_CLEAR) | BIT(SMMU_INVAL_UNMAP));
	KUNIT_EXPECT_EQ(test, dev->spans[1].events, BIT(SMMU_INVAL_TLB));
}

/* No change, no flush (I9), whether the batch is flushed by hand or not. */
static void batch_nothing(struct kunit *test)
{
	struct test_dev *dev = batch_dev(test, SMMU_INVAL_BATCH_SPANS);

	change_parts(dev, NULL, 0);
	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_batch_flush(&batch);
		smmu_inval_batch_flush(&batch);
	}
	smmu_inval_set_coarse(&dev->si, true);
	change_parts(dev, NULL, 0);
	KUNIT_EXPECT_EQ(test, dev->flushes, 0);
	KUNIT_EXPECT_EQ(test, test_count(dev, flushes), 0);
}

/* Before a driver yields its lock in the middle of a walk. */
static void batch_yield(struct kunit *test)
{
	struct test_dev *dev = batch_dev(test, SMMU_INVAL_BATCH_SPANS);
	bool first, second;

	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_changed(&batch, 0, 9, SMMU_INVAL_UNMAP);
		smmu_inval_batch_flush(&batch);
		first = dev->flushes == 1 && test_flushed_exactly(dev, 0, 9);

		test_unlock(dev);
		test_lock(dev);
		test_forget(dev);

		/* Nothing of what was flushed is flushed again. */
		smmu_inval_changed(&batch, 100, 109, SMMU_INVAL_UNMAP);
		smmu_inval_batch_flush(&batch);
		second = dev->flushes == 1 && test_flushed_exactly(dev, 100, 109);
		test_forget(dev);
	}
	KUNIT_EXPECT_TRUE(test, first);
	KUNIT_EXPECT_TRUE(test, second);
	KUNIT_EXPECT_EQ(test, dev->flushes, 0);

	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_batch_all(&batch);
		smmu_inval_batch_flush(&batch);
		test_forget(dev);
		smmu_inval_changed(&batch, 7, 7, SMMU_INVAL_UNMAP);
	}
	/* "All" is over, too. */
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 7, 7));
}

static int fails_in_the_middle(struct test_dev *dev, int how)
{
	guard(test_dev)(dev);
	CLASS(smmu_inval_batch, batch)(&dev->si);

	smmu_inval_changed(&batch, 0, 9, SMMU_INVAL_UNMAP);
	if (how == 0)
		return -EIO;
	smmu_inval_changed(&batch, 20, 29, SMMU_INVAL_UNMAP);
	if (how == 1)
		goto out;
	smmu_inval_changed(&batch, 40, 49, SMMU_INVAL_UNMAP);
	return 0;
out:
	return -EINVAL;
}

/* However a lock section is left. */
static void batch_error_paths(struct kunit *test)
{
	static const int rets[] = { -EIO, -EINVAL, 0 };
	struct test_dev *dev = batch_dev(test, SMMU_INVAL_BATCH_SPANS);
	int how, i;

	for (how = 0; how < ARRAY_SIZE(rets); how++) {
		KUNIT_EXPECT_EQ(test, fails_in_the_middle(dev, how), rets[how]);
		KUNIT_EXPECT_EQ(test, dev->flushes, 1);
		KUNIT_EXPECT_EQ(test, dev->nr_spans, how + 1);
		test_forget(dev);
	}

	for (i = 0; i < 5; i++) {
		guard(test_dev)(dev);
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_changed(&batch, i * 10, i * 10, SMMU_INVAL_UNMAP);
		if (i == 1)
			continue;
		if (i == 3)
			break;
	}
	KUNIT_EXPECT_EQ(test, dev->flushes, 4);
}

/* Above the driver's limit a full flush is cheaper. */
static void batch_flush_pages(struct kunit *test)
{
	static const struct part four_pages[] = { { 0, 1 }, { 10, 11 } };
	static const struct part five_pages[] = { { 0, 1 }, { 10, 12 } };
	/* Three pages of 16 bytes are touched, by two spans of few bytes. */
	static const struct part bytes[] = { { 5, 5 }, { 47, 48 } };
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;

	cfg.flush_pages = 4;
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
	change_parts(dev, four_pages, ARRAY_SIZE(four_pages));
	KUNIT_EXPECT_EQ(test, dev->nr_spans, 2);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 0);
	change_parts(dev, five_pages, ARRAY_SIZE(five_pages));
	KUNIT_EXPECT_EQ(test, dev->flushes, 2);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 1);

	cfg.page_shift = 4;
	cfg.flush_pages = 3;
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
	change_parts(dev, bytes, ARRAY_SIZE(bytes));
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 0);
	cfg.flush_pages = 2;
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
	change_parts(dev, bytes, ARRAY_SIZE(bytes));
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 1);

	/* 0 is no limit. */
	cfg.page_shift = 0;
	cfg.flush_pages = 0;
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
	test_change(dev, 0, TEST_UNITS - 1);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 0);
}

/* The world has one unit more than a u64 can say: no span of it, with any limit. */
static void batch_the_world(struct kunit *test)
{
	static const struct part world[] = { { 5, 9 }, { 0, U64_MAX } };
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int i;

	cfg.last = U64_MAX;
	for (i = 0; i < 3; i++) {
		cfg.page_shift = i < 2 ? 0 : PAGE_SHIFT;
		cfg.flush_pages = i ? 4 : 0;
		dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
		change_parts(dev, world, ARRAY_SIZE(world));
		KUNIT_EXPECT_EQ(test, dev->flushes, 1);
		KUNIT_EXPECT_EQ(test, dev->flushes_all, 1);
	}
}

/* Whatever makes a flush one of everything. */
static void batch_all(struct kunit *test)
{
	struct test_dev *dev = batch_dev(test, 0);

	/* The device knows nothing else. */
	test_change(dev, 5, 5);
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 1);

	/* The driver asks for it. */
	dev = batch_dev(test, SMMU_INVAL_BATCH_SPANS);
	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_changed(&batch, 5, 5, SMMU_INVAL_UNMAP);
		smmu_inval_batch_all(&batch);
		smmu_inval_changed(&batch, 50, 50, SMMU_INVAL_UNMAP);
	}
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 1);
	KUNIT_EXPECT_EQ(test, test_count(dev, flushes), 1);
	KUNIT_EXPECT_EQ(test, test_count(dev, flushes_all), 1);

	/* Precision is switched off. */
	smmu_inval_set_coarse(&dev->si, true);
	test_change(dev, 5, 5);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 2);
	smmu_inval_set_coarse(&dev->si, false);
	test_forget(dev);
	test_change(dev, 5, 5);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 5, 5));
}

/* Page tables are freed after the flush, once. */
static void batch_free_tables(struct kunit *test)
{
	struct test_dev *dev = batch_dev(test, SMMU_INVAL_BATCH_SPANS);
	struct test_table tables[4] = {};
	unsigned int i, early;

	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_changed(&batch, 0, 9, SMMU_INVAL_UNMAP);
		smmu_inval_batch_free_later(&batch, &tables[0].node);
		smmu_inval_batch_free_later(&batch, &tables[1].node);
		early = dev->freed;
		smmu_inval_batch_flush(&batch);
		/* Another walk in the same section, after a yield */
		smmu_inval_changed(&batch, 20, 29, SMMU_INVAL_UNMAP);
		smmu_inval_batch_free_later(&batch, &tables[2].node);
	}
	KUNIT_EXPECT_EQ(test, early, 0);
	KUNIT_EXPECT_EQ(test, dev->flushes, 2);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 0);

	/*
	 * One that lost its last entry earlier: the device may still walk it,
	 * and nothing says where.
	 */
	test_forget(dev);
	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_batch_free_later(&batch, &tables[3].node);
	}
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 1);

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		KUNIT_EXPECT_EQ(test, tables[i].freed, 1);
	KUNIT_EXPECT_EQ(test, dev->freed, ARRAY_SIZE(tables));
}

/* Batches of two instances in one lock section do not mix. */
static void batch_two_instances(struct kunit *test)
{
	struct test_dev *a = batch_dev(test, SMMU_INVAL_BATCH_SPANS);
	struct test_dev *b = batch_dev(test, SMMU_INVAL_BATCH_SPANS);

	test_change(a, 0, 9);
	test_change(b, 20, 29);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(a, 0, 9));
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(b, 20, 29));
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case batch_cases[] = {
	KUNIT_CASE_PARAM(batch_merges, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_events, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_nothing, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_yield, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_error_paths, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_flush_pages, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_the_world, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_all, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_free_tables, test_lock_gen_params),
	KUNIT_CASE_PARAM(batch_two_instances, test_lock_gen_params),
	{}
};

static struct kunit_suite batch_suite = {
	.name = "smmu_inval_batch",
	.exit = test_exit,
	.test_cases = batch_cases,
};

kunit_test_suite(batch_suite);
