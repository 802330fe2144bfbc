// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations against a naive oracle: bitmaps of a small address space.
 *
 * The oracle knows two answers. "Must" is what the invariants demand: a range
 * that is pending, or that completed since a cookie was taken (I3, I4). "May"
 * is what overflow excuses: the hull, and what was in it when it completed
 * (I5). The library has to answer yes where it must, and no where it may not;
 * without overflow the two are the same.
 *
 * More than 1,000,000 operations in all with the default scale.
 */
#include "smmu_inval_test.h"

#define NR_TOKENS	24
#define NR_COOKIES	8

struct geometry {
	const char *name;
	unsigned int nr_ranges;
	unsigned int nr_history;
	unsigned int tokens;
	bool coarse;
	bool precise;
	unsigned int steps;
};

static const struct geometry geometries[] = {
	{ "slots only", 0, 64, 4, false, false, 100000 },
	{ "one node", 1, 16, 8, false, false, 100000 },
	{ "few nodes", 6, 8, NR_TOKENS, false, false, 100000 },
	{ "many nodes", 256, 64, NR_TOKENS, false, false, 150000 },
	{ "never full", 256, 1024, 12, false, true, 150000 },
	{ "short history", 64, 1, 6, false, false, 100000 },
	{ "coarse at times", 8, 16, 12, true, false, 100000 },
};

static void geometry_desc(const struct geometry *geometry, char *desc)
{
	strscpy(desc, geometry->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(geometry, geometries, geometry_desc);

/* What the oracle knows of an open invalidation. */
struct model_token {
	struct smmu_inval_token *token;
	DECLARE_BITMAP(units, TEST_UNITS);
	bool overflowed;
};

struct model {
	struct test_dev *dev;
	const struct geometry *geometry;
	struct model_token tokens[NR_TOKENS];
	/* When each unit last completed, and when it perhaps did. */
	u64 done[TEST_UNITS];
	u64 maybe_done[TEST_UNITS];
	u64 now;
	/* Of all that found no node since somebody was last in there. */
	u64 hull_start, hull_last;
	unsigned int hull_users;
	bool coarse;
	/* Coarse: of all that was pending since nothing was. */
	u64 coarse_start, coarse_last;
	struct {
		u64 cookie;
		u64 when;
	} cookies[NR_COOKIES];
	u64 missed, unexplained;
	u64 first_start, first_last;
};

static bool overlaps(u64 start, u64 last, u64 with_start, u64 with_last)
{
	return start <= with_last && with_start <= last;
}

static bool any_since(const u64 *done, u64 when, u64 start, u64 last)
{
	for (; start <= last; start++)
		if (done[start] > when)
			return true;
	return false;
}

static void model_hull_grow(struct model *m, struct model_token *mt,
			    u64 start, u64 last)
{
	if (!mt->overflowed) {
		mt->overflowed = true;
		if (!m->hull_users++) {
			m->hull_start = start;
			m->hull_last = last;
		}
	}
	m->hull_start = min(m->hull_start, start);
	m->hull_last = max(m->hull_last, last);
}

static void model_add(struct model *m, struct model_token *mt)
{
	u64 start, last, before, after;

	test_random_range(&start, &last);
	before = test_count(m->dev, overflow_pending);
	test_add(m->dev, mt->token, start, last);
	after = test_count(m->dev, overflow_pending);
	bitmap_set(mt->units, start, last - start + 1);
	if (after != before || mt->overflowed)
		model_hull_grow(m, mt, start, last);
	m->coarse_start = min(m->coarse_start, start);
	m->coarse_last = max(m->coarse_last, last);
}

static void model_begin(struct model *m, struct model_token *mt)
{
	u64 before = test_count(m->dev, overflow_pending);

	scoped_guard(test_dev, m->dev)
		mt->token = smmu_inval_begin(&m->dev->si, SMMU_INVAL_CLEAR);
	bitmap_zero(mt->units, TEST_UNITS);
	mt->overflowed = false;
	if (test_count(m->dev, overflow_pending) != before) {
		/* No token: nothing of it will have a node. */
		mt->overflowed = true;
		if (!m->hull_users++) {
			m->hull_start = U64_MAX;
			m->hull_last = 0;
		}
	}
	do {
		model_add(m, mt);
	} while (!test_random(3));
}

static bool nothing_open(const struct model *m)
{
	unsigned int i;

	for (i = 0; i < m->geometry->tokens; i++)
		if (m->tokens[i].token)
			return false;
	return true;
}

static void model_end(struct model *m, struct model_token *mt)
{
	unsigned int unit;
	u64 u;

	test_end(m->dev, mt->token);
	mt->token = NULL;
	m->now++;
	for_each_set_bit(unit, mt->units, TEST_UNITS) {
		m->done[unit] = m->now;
		m->maybe_done[unit] = m->now;
	}
	if (mt->overflowed) {
		m->hull_users--;
		for (u = m->hull_start; u <= m->hull_last && u < TEST_UNITS; u++)
			m->maybe_done[u] = m->now;
	}
	if (nothing_open(m)) {
		m->coarse_start = U64_MAX;
		m->coarse_last = 0;
	}
}

static void model_complete(struct model *m)
{
	u64 start, last;

	test_random_range(&start, &last);
	test_complete(m->dev, start, last);
	m->now++;
	for (; start <= last; start++) {
		m->done[start] = m->now;
		m->maybe_done[start] = m->now;
	}
}

static void model_check(struct model *m)
{
	unsigned int which = test_random(NR_COOKIES), i;
	u64 when = m->cookies[which].when;
	u64 start, last, overflows;
	bool must, may, is;

	test_random_range(&start, &last);
	must = any_since(m->done, when, start, last);
	for (i = 0; i < m->geometry->tokens && !must; i++)
		must = m->tokens[i].token &&
		       find_next_bit(m->tokens[i].units, TEST_UNITS,
				     start) <= last;
	/* Coarse is not vague: one hull, and one sequence of what completed. */
	if (m->coarse)
		must |= overlaps(start, last, m->coarse_start, m->coarse_last);
	may = must || any_since(m->maybe_done, when, start, last) ||
	      (m->coarse && m->now > when);
	if (m->hull_users)
		may |= overlaps(start, last, m->hull_start, m->hull_last);

	overflows = test_count(m->dev, overflow_history);
	is = test_retry(m->dev, m->cookies[which].cookie, start, last);
	if (!m->geometry->precise)
		may |= test_count(m->dev, overflow_history) != overflows;

	if ((must && !is) || (is && !may)) {
		if (!m->missed && !m->unexplained) {
			m->first_start = start;
			m->first_last = last;
		}
		if (is)
			m->unexplained++;
		else
			m->missed++;
	}
}

static void model_step(struct model *m)
{
	struct model_token *mt = &m->tokens[test_random(m->geometry->tokens)];
	unsigned int which;

	switch (test_random(16)) {
	case 0 ... 2:
		if (!mt->token) {
			model_begin(m, mt);
			break;
		}
		fallthrough;
	case 3 ... 5:
		if (mt->token)
			model_end(m, mt);
		break;
	case 6:
		if (mt->token)
			model_add(m, mt);
		break;
	case 7:
		model_complete(m);
		break;
	case 8 ... 9:
		which = test_random(NR_COOKIES);
		m->cookies[which].cookie = smmu_inval_read_begin(&m->dev->si);
		m->cookies[which].when = m->now;
		break;
	case 10:
		if (m->geometry->coarse && !test_random(100)) {
			m->coarse = !m->coarse;
			smmu_inval_set_coarse(&m->dev->si, m->coarse);
		}
		fallthrough;
	default:
		model_check(m);
	}
}

static void random_pending(struct kunit *test)
{
	const struct geometry *geometry = test->param_value;
	struct smmu_inval_config cfg = test_config();
	struct model *m;
	unsigned int i, steps;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	test_seed(test);
	cfg.nr_ranges = geometry->nr_ranges;
	cfg.nr_history = geometry->nr_history;
	m->dev = test_dev_new(test, TEST_RAW_SPINLOCK, &test_ops, &cfg);
	m->geometry = geometry;
	m->coarse_start = U64_MAX;

	steps = geometry->steps * test_scale;
	for (i = 0; i < steps && !m->missed && !m->unexplained; i++) {
		model_step(m);
		/* A cookie too old for the history would be no test of it. */
		if (geometry->precise && !(i % 64)) {
			unsigned int which = i / 64 % NR_COOKIES;

			m->cookies[which].cookie =
				smmu_inval_read_begin(&m->dev->si);
			m->cookies[which].when = m->now;
		}
		if (!(i % 1024))
			cond_resched();
	}
	KUNIT_EXPECT_EQ_MSG(test, m->missed, 0,
			    "step %u: [%llu, %llu] went on", i, m->first_start,
			    m->first_last);
	KUNIT_EXPECT_EQ_MSG(test, m->unexplained, 0,
			    "step %u: [%llu, %llu] retries for nothing", i,
			    m->first_start, m->first_last);
	/* Each test of precision is worth what it was asked. */
	if (geometry->precise) {
		KUNIT_EXPECT_EQ(test, test_count(m->dev, overflow_pending), 0);
		KUNIT_EXPECT_EQ(test, test_count(m->dev, overflow_history), 0);
		KUNIT_EXPECT_EQ(test, test_count(m->dev, retries_false), 0);
	}
	KUNIT_EXPECT_GT(test, test_count(m->dev, retries_pending), 1000);
	KUNIT_EXPECT_GT(test, test_count(m->dev, retries_done), 10);

	/* All comes to an end, and then nothing is pending. */
	for (i = 0; i < NR_TOKENS; i++)
		if (m->tokens[i].token)
			model_end(m, &m->tokens[i]);
	KUNIT_EXPECT_FALSE(test, test_pending(m->dev, 0, TEST_UNITS - 1));
	kunit_info(test, "%u steps, %llu overflows, %llu of %llu retries for nothing\n",
		   steps, test_count(m->dev, overflow_pending) +
		   test_count(m->dev, overflow_history),
		   test_count(m->dev, retries_false),
		   test_count(m->dev, retries_pending) +
		   test_count(m->dev, retries_done));
}

/*
 * Batches: the flush of each prefix of a sequence of changes, in a batch of its
 * own, tells what the batch did with its last change. It may cover what the
 * one before did and the change, and if that is in more parts than a flush
 * takes, the smallest gap between two of them, and nothing else.
 */
static unsigned int smallest_gap(const unsigned long *units, unsigned int *runs)
{
	unsigned int start, end = 0, best = UINT_MAX;

	for (*runs = 0;; (*runs)++) {
		start = find_next_bit(units, TEST_UNITS, end);
		if (start >= TEST_UNITS)
			return best;
		if (*runs)
			best = min(best, start - end);
		end = find_next_zero_bit(units, TEST_UNITS, start);
	}
}

#define SEQUENCE	20

static void random_batch(struct kunit *test)
{
	const unsigned int rounds = 1000 * test_scale;
	DECLARE_BITMAP(before, TEST_UNITS);
	DECLARE_BITMAP(want, TEST_UNITS);
	DECLARE_BITMAP(more, TEST_UNITS);
	u64 start[SEQUENCE], last[SEQUENCE];
	unsigned int round, nr, i, runs, gap, added, bad = 0;
	struct test_dev *dev[SMMU_INVAL_BATCH_SPANS];

	test_seed(test);
	for (i = 0; i < SMMU_INVAL_BATCH_SPANS; i++) {
		struct smmu_inval_config cfg = test_config();

		cfg.flush_spans = i + 1;
		dev[i] = test_dev_new(test, TEST_MUTEX, &test_ops, &cfg);
	}

	for (round = 0; round < rounds && !bad; round++) {
		struct test_dev *d = dev[test_random(SMMU_INVAL_BATCH_SPANS)];

		for (i = 0; i < SEQUENCE; i++) {
			test_random_range(&start[i], &last[i]);
			last[i] = min(last[i], start[i] + 7);
		}
		bitmap_zero(before, TEST_UNITS);
		for (nr = 1; nr <= SEQUENCE && !bad; nr++) {
			u64 overflows = test_count(d, overflow_batch);

			test_forget(d);
			scoped_guard(test_dev, d) {
				CLASS(smmu_inval_batch, batch)(&d->si);

				for (i = 0; i < nr; i++)
					smmu_inval_changed(&batch, start[i],
							   last[i],
							   SMMU_INVAL_CLEAR);
			}
			bitmap_copy(want, before, TEST_UNITS);
			bitmap_set(want, start[nr - 1],
				   last[nr - 1] - start[nr - 1] + 1);
			gap = smallest_gap(want, &runs);
			if (d->flushes != 1 || d->flushes_all ||
			    !bitmap_subset(want, d->flushed, TEST_UNITS))
				bad = nr;
			bitmap_andnot(more, d->flushed, want, TEST_UNITS);
			added = bitmap_weight(more, TEST_UNITS);
			if (added != (runs > d->si.cfg.flush_spans ? gap : 0))
				bad = nr;
			if (!added && !bitmap_weight(before, TEST_UNITS) &&
			    test_count(d, overflow_batch) != overflows)
				bad = nr;
			bitmap_copy(before, d->flushed, TEST_UNITS);
		}
		if (!(round % 16))
			cond_resched();
	}
	KUNIT_EXPECT_EQ_MSG(test, bad, 0,
			    "round %u, change %u: a flush covers too little or too much",
			    round, bad);
	kunit_info(test, "%u changes\n", rounds * SEQUENCE * (SEQUENCE + 1) / 2);
}

static struct kunit_case random_cases[] = {
	KUNIT_CASE_PARAM(random_pending, geometry_gen_params),
	KUNIT_CASE(random_batch),
	{}
};

static struct kunit_suite random_suite = {
	.name = "smmu_inval_random",
	.exit = test_exit,
	.test_cases = random_cases,
};

kunit_test_suite(random_suite);
