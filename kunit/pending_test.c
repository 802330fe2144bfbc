// SPDX-License-Identifier: GPL-2.0
/*
 * Pending ranges: nothing may be installed between begin and end (I3), as
 * precisely as there is room for, and never less than that (I5).
 */
#include "smmu_inval_test.h"

static struct test_dev *pending_dev(struct kunit *test, unsigned int nr_ranges)
{
	struct smmu_inval_config cfg = test_config();

	cfg.nr_ranges = nr_ranges;
	return test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
}

/*
 * Where a range lives decides how it is searched. Ranges in a corner that no
 * test looks at make the next one go to a slot, to the tree or to the hull.
 */
static const struct {
	const char *name;
	unsigned int nr_ranges;
	unsigned int before;
} places[] = {
	{ "slot", 16, 0 },
	{ "last slot", 16, SMMU_INVAL_SLOTS - 1 },
	{ "tree", 16, SMMU_INVAL_SLOTS },
	{ "full tree", 3, SMMU_INVAL_SLOTS + 2 },
	{ "hull", 3, SMMU_INVAL_SLOTS + 3 },
	{ "hull without a tree", 0, SMMU_INVAL_SLOTS },
};

#define CORNER	240

static struct test_dev *placed_dev(struct kunit *test, unsigned int place,
				   struct smmu_inval_token **corner)
{
	struct test_dev *dev = pending_dev(test, places[place].nr_ranges);
	unsigned int i;

	for (i = 0; i < places[place].before; i++) {
		u64 at = CORNER + i;

		if (i)
			test_add(dev, *corner, at, at);
		else
			*corner = test_begin(dev, at, at);
	}
	return dev;
}

/* At each boundary, wherever it lives. */
static void pending_boundaries(struct kunit *test)
{
	static const struct {
		u64 start, last;
		bool pending;
	} asks[] = {
		{ 0, 0, false }, { 0, 15, false }, { 15, 15, false },
		{ 0, 16, true }, { 16, 16, true }, { 15, 17, true },
		{ 20, 20, true }, { 16, 31, true }, { 0, 100, true },
		{ 30, 31, true }, { 31, 31, true }, { 31, 100, true },
		{ 32, 32, false }, { 32, 100, false }, { 100, 100, false },
	};
	unsigned int place, i;

	for (place = 0; place < ARRAY_SIZE(places); place++) {
		struct smmu_inval_token *corner, *token;
		struct test_dev *dev = placed_dev(test, place, &corner);

		token = test_begin(dev, 16, 31);
		for (i = 0; i < ARRAY_SIZE(asks); i++)
			KUNIT_EXPECT_EQ_MSG(test,
					    test_pending(dev, asks[i].start,
							 asks[i].last),
					    asks[i].pending, "%s: [%llu, %llu]",
					    places[place].name, asks[i].start,
					    asks[i].last);
		test_end(dev, token);
		KUNIT_EXPECT_FALSE_MSG(test, test_pending(dev, 0, 100), "%s",
				       places[place].name);
	}
}

/* One unit wide, at both ends of what a u64 can say. */
static void pending_extremes(struct kunit *test)
{
	static const u64 units[] = {
		0, 1, 77, (u64)U32_MAX, U64_MAX / 2, U64_MAX - 1, U64_MAX,
	};
	struct smmu_inval_config cfg = test_config();
	unsigned int i, j, before;

	cfg.last = U64_MAX;
	cfg.nr_ranges = 1;
	/* A slot; the tree; the hull */
	for (before = 0; before < SMMU_INVAL_SLOTS + 2; before++) {
		struct smmu_inval_token *other = NULL, *token;
		struct test_dev *dev;

		dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
		for (i = 0; i < before; i++) {
			if (i)
				test_add(dev, other, 50, 50);
			else
				other = test_begin(dev, 50, 50);
		}
		for (i = 0; i < ARRAY_SIZE(units); i++) {
			token = test_begin(dev, units[i], units[i]);
			for (j = 0; j < ARRAY_SIZE(units); j++)
				KUNIT_EXPECT_EQ(test,
						test_pending(dev, units[j],
							     units[j]), i == j);
			KUNIT_EXPECT_TRUE(test, test_pending(dev, 0, U64_MAX));
			test_end(dev, token);
		}
		token = test_begin(dev, 0, U64_MAX);
		for (j = 0; j < ARRAY_SIZE(units); j++)
			KUNIT_EXPECT_TRUE(test, test_pending(dev, units[j],
							     units[j]));
		test_end(dev, token);
		for (j = 0; j < ARRAY_SIZE(units); j++)
			KUNIT_EXPECT_FALSE(test, test_pending(dev, units[j],
							      units[j]));
	}
}

/* A token may cover any number of ranges, and its end retires all of them. */
static void pending_many_ranges(struct kunit *test)
{
	struct test_dev *dev = pending_dev(test, 16);
	struct smmu_inval_token *token;
	unsigned int i;

	token = test_begin(dev, 0, 4);
	for (i = 1; i < 12; i++)
		test_add(dev, token, i * 20, i * 20 + 4);
	for (i = 0; i < 12; i++) {
		KUNIT_EXPECT_TRUE(test, test_pending(dev, i * 20, i * 20));
		KUNIT_EXPECT_TRUE(test, test_pending(dev, i * 20 + 4,
						     i * 20 + 4));
		KUNIT_EXPECT_FALSE(test, test_pending(dev, i * 20 + 5,
						      i * 20 + 19));
	}
	test_end(dev, token);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 0);
}

/* Core mm nests invalidations, and runs the same one many times at once. */
static void pending_nested(struct kunit *test)
{
	struct test_dev *dev = pending_dev(test, 16);
	struct smmu_inval_token *outer, *inner, *same[6];
	unsigned int i;

	outer = test_begin(dev, 0, 99);
	inner = test_begin(dev, 40, 49);
	test_end(dev, outer);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, 39));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 40, 40));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 49, 49));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 50, 99));
	outer = test_begin(dev, 0, 99);
	test_end(dev, inner);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 45, 45));
	test_end(dev, outer);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));

	for (i = 0; i < ARRAY_SIZE(same); i++)
		same[i] = test_begin(dev, 7, 9);
	for (i = 0; i < ARRAY_SIZE(same); i++) {
		KUNIT_EXPECT_TRUE(test, test_pending(dev, 8, 8));
		/* Out of order */
		test_end(dev, same[(i + 2) % ARRAY_SIZE(same)]);
	}
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 8, 8));
}

/* What lies outside the instance's address space is no business of its. */
static void pending_clipped(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct smmu_inval_token *token;
	struct test_dev *dev;
	u64 cookie;

	cfg.start = 64;
	cfg.last = 127;
	dev = test_dev_new(test, test_lock_param(test), &test_ops, &cfg);

	cookie = smmu_inval_read_begin(&dev->si);
	token = test_begin(dev, 0, 63);
	test_add(dev, token, 128, U64_MAX);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, U64_MAX));
	test_end(dev, token);
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 0, U64_MAX));
	KUNIT_EXPECT_EQ(test, test_count(dev, event[SMMU_INVAL_UNMAP].asked), 0);

	token = test_begin(dev, 0, 64);
	test_add(dev, token, 127, 200);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 64, 64));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 65, 126));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 127, 127));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, 63));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 128, 200));
	test_end(dev, token);
	KUNIT_EXPECT_EQ(test, test_count(dev, event[SMMU_INVAL_UNMAP].asked), 2);

	token = test_begin(dev, 0, U64_MAX);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 64, 64));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 127, 127));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, 63));
	test_end(dev, token);
	KUNIT_EXPECT_EQ(test, test_count(dev, event[SMMU_INVAL_UNMAP].asked),
			2 + 64);
}

/* Past the last node ranges share a hull, which grows and never shrinks. */
static void pending_hull(struct kunit *test)
{
	struct smmu_inval_token *corner, *a, *b, *c;
	struct test_dev *dev = placed_dev(test, 4, &corner);
	u64 cookie = smmu_inval_read_begin(&dev->si);

	a = test_begin(dev, 60, 69);
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 1);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 20, 59));
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), 0);
	b = test_begin(dev, 20, 29);
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 2);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, 19));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 20, 20));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 45, 45));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 69, 69));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 70, CORNER - 1));
	/* Nobody can tell which of them were for nothing. */
	KUNIT_EXPECT_EQ(test, test_count(dev, retries_false), 3);

	/* All of it, until the last of them ends: b is still in there. */
	test_end(dev, a);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 20, 20));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 29, 29));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 69, 69));
	c = test_begin(dev, 80, 80);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 75, 75));
	test_end(dev, b);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 20, 20));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 80, 80));
	test_end(dev, c);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, CORNER - 1));
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 3);

	/* All of it completed, and nothing else. */
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 20, 20));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 69, 69));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 80, 80));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 0, 19));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 81, CORNER - 1));

	/* The next overflow begins with an empty hull. */
	a = test_begin(dev, 5, 5);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 5, 5));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 6, CORNER - 1));
	test_end(dev, a);

	/* And with nodes to spare it is precise again. */
	test_end(dev, corner);
	a = test_begin(dev, 20, 29);
	b = test_begin(dev, 60, 69);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 30, 59));
	test_end(dev, a);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 20, 29));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 60, 69));
	test_end(dev, b);
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 4);
}

/* Some of its ranges found a node, others did not. */
static void pending_partly_in_hull(struct kunit *test)
{
	struct test_dev *dev = pending_dev(test, 1);
	struct smmu_inval_token *token, *other;
	u64 cookie = smmu_inval_read_begin(&dev->si);
	unsigned int i;

	token = test_begin(dev, 0, 0);
	for (i = 1; i < 10; i++)
		test_add(dev, token, i * 10, i * 10);
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 5);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_TRUE(test, test_pending(dev, i * 10, i * 10));
	/* The first five have nodes, so there is room between them. */
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_FALSE(test, test_pending(dev, i * 10 + 1,
						      i * 10 + 9));
	test_end(dev, token);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, i * 10, i * 10));

	/* All came back. */
	token = test_begin(dev, 0, 0);
	for (i = 1; i < 5; i++)
		test_add(dev, token, i * 10, i * 10);
	other = test_begin(dev, 200, 200);
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 6);
	test_end(dev, token);
	test_end(dev, other);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));
}

/* More invalidations than tokens: those without one cannot be told apart. */
static void pending_more_than_tokens(struct kunit *test)
{
	struct test_dev *dev = pending_dev(test, 2);
	struct smmu_inval_token *token[SMMU_INVAL_SLOTS + 2], *extra[20];
	u64 cookie = smmu_inval_read_begin(&dev->si);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(token); i++)
		token[i] = test_begin(dev, CORNER + i, CORNER + i);
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_pending), 0);
	for (i = 0; i < ARRAY_SIZE(extra); i++) {
		extra[i] = test_begin(dev, i * 10, i * 10 + 4);
		KUNIT_EXPECT_NOT_NULL(test, extra[i]);
	}
	KUNIT_EXPECT_GE(test, test_count(dev, overflow_pending),
			ARRAY_SIZE(extra));
	for (i = 0; i < ARRAY_SIZE(extra); i++) {
		KUNIT_EXPECT_TRUE(test, test_pending(dev, 0, 0));
		KUNIT_EXPECT_TRUE(test, test_pending(dev, 194, 194));
		KUNIT_EXPECT_FALSE(test, test_pending(dev, 195, CORNER - 1));
		test_end(dev, extra[i]);
	}
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, CORNER - 1));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 0, 0));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 194, 194));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 195, CORNER - 1));
	for (i = 0; i < ARRAY_SIZE(token); i++) {
		KUNIT_EXPECT_TRUE(test, test_pending(dev, CORNER + i,
						     CORNER + i));
		test_end(dev, token[i]);
	}
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));
}

/* One that has no range, such as of a part that the driver does not map (I9) */
static void pending_no_range(struct kunit *test)
{
	struct test_dev *dev = pending_dev(test, 2);
	struct smmu_inval_token *token[20];
	u64 cookie = smmu_inval_read_begin(&dev->si);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(token); i++) {
		guard(test_dev)(dev);
		token[i] = smmu_inval_begin(&dev->si, SMMU_INVAL_CLEAR);
	}
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));
	for (i = 0; i < ARRAY_SIZE(token); i++)
		test_end(dev, token[i]);
	/* Not in the widest range that there is, either. */
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 0, U64_MAX));
	KUNIT_EXPECT_EQ(test, dev->flushes, 0);
}

/* The lockless look: may be wrong, but not where nothing happens. */
static void pending_hint(struct kunit *test)
{
	struct test_dev *dev = pending_dev(test, 2);
	struct smmu_inval_token *token;
	u64 cookie = smmu_inval_read_begin(&dev->si);

	KUNIT_EXPECT_FALSE(test, smmu_inval_retry_hint(&dev->si, cookie, 0,
						       U64_MAX));
	smmu_inval_set_coarse(&dev->si, true);
	KUNIT_EXPECT_FALSE(test, smmu_inval_retry_hint(&dev->si, cookie, 0,
						       U64_MAX));
	smmu_inval_set_coarse(&dev->si, false);
	token = test_begin(dev, 10, 19);
	test_add(dev, token, 40, 49);
	KUNIT_EXPECT_TRUE(test, smmu_inval_retry_hint(&dev->si, cookie, 0, 10));
	KUNIT_EXPECT_TRUE(test, smmu_inval_retry_hint(&dev->si, cookie, 49, 60));
	KUNIT_EXPECT_FALSE(test, smmu_inval_retry_hint(&dev->si, cookie, 0, 9));
	KUNIT_EXPECT_FALSE(test, smmu_inval_retry_hint(&dev->si, cookie, 50, 60));
	/* Exact as long as the ranges are inside of the instance, */
	KUNIT_EXPECT_FALSE(test, smmu_inval_retry_hint(&dev->si, cookie, 20, 39));
	smmu_inval_set_coarse(&dev->si, true);
	KUNIT_EXPECT_TRUE(test, smmu_inval_retry_hint(&dev->si, cookie, 20, 39));
	smmu_inval_set_coarse(&dev->si, false);
	/* and a hull when they are not. */
	test_add(dev, token, 60, 60);
	test_add(dev, token, 62, 62);
	KUNIT_EXPECT_FALSE(test, smmu_inval_retry_hint(&dev->si, cookie, 61, 61));
	test_add(dev, token, 64, 64);
	KUNIT_EXPECT_TRUE(test, smmu_inval_retry_hint(&dev->si, cookie, 61, 61));
	KUNIT_EXPECT_FALSE(test, smmu_inval_retry_hint(&dev->si, cookie, 65, 65));
	test_end(dev, token);
	cookie = smmu_inval_read_begin(&dev->si);
	KUNIT_EXPECT_FALSE(test, smmu_inval_retry_hint(&dev->si, cookie, 0,
						       TEST_UNITS - 1));
}

static bool is_pending(struct test_dev *dev, u64 start, u64 last)
{
	guard(test_dev)(dev);
	return smmu_inval_is_pending(&dev->si, start, last);
}

/* I3, for what is installed without a fault: exact, and nothing is counted. */
static void pending_asked(struct kunit *test)
{
	struct test_dev *dev = pending_dev(test, 2);
	struct smmu_inval_token *token;
	struct smmu_inval_stats stats;

	KUNIT_EXPECT_FALSE(test, is_pending(dev, 0, U64_MAX));
	token = test_begin(dev, 10, 19);
	test_add(dev, token, 40, 49);
	KUNIT_EXPECT_FALSE(test, is_pending(dev, 0, 9));
	KUNIT_EXPECT_TRUE(test, is_pending(dev, 0, 10));
	KUNIT_EXPECT_TRUE(test, is_pending(dev, 19, 19));
	KUNIT_EXPECT_FALSE(test, is_pending(dev, 20, 39));
	KUNIT_EXPECT_TRUE(test, is_pending(dev, 0, U64_MAX));
	smmu_inval_set_coarse(&dev->si, true);
	KUNIT_EXPECT_TRUE(test, is_pending(dev, 20, 39));
	smmu_inval_set_coarse(&dev->si, false);
	test_end(dev, token);
	KUNIT_EXPECT_FALSE(test, is_pending(dev, 0, U64_MAX));
	smmu_inval_get_stats(&dev->si, &stats);
	KUNIT_EXPECT_EQ(test, stats.checks, 0);
	KUNIT_EXPECT_EQ(test, stats.retries_pending, 0);
	smmu_inval_shutdown(&dev->si);
	KUNIT_EXPECT_TRUE(test, is_pending(dev, 20, 20));
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case pending_cases[] = {
	KUNIT_CASE_PARAM(pending_boundaries, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_extremes, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_many_ranges, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_nested, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_clipped, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_hull, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_partly_in_hull, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_more_than_tokens, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_no_range, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_hint, test_lock_gen_params),
	KUNIT_CASE_PARAM(pending_asked, test_lock_gen_params),
	{}
};

static struct kunit_suite pending_suite = {
	.name = "smmu_inval_pending",
	.exit = test_exit,
	.test_cases = pending_cases,
};

kunit_test_suite(pending_suite);
