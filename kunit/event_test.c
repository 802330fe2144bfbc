// SPDX-License-Identifier: GPL-2.0
/*
 * Events: what each demands, what a driver's policy makes of it, and what the
 * primary page tables leave of a translation at the end of PROTECTION_VMA.
 */
#include "smmu_inval_test.h"

/* The table of the documentation, once more. */
static const struct {
	const char *name;
	enum smmu_inval_action action;
} table[SMMU_INVAL_NR_EVENTS] = {
	[SMMU_INVAL_UNMAP] = { "UNMAP", SMMU_INVAL_ZAP },
	[SMMU_INVAL_CLEAR] = { "CLEAR", SMMU_INVAL_ZAP },
	[SMMU_INVAL_PROTECTION_VMA] = { "PROTECTION_VMA", SMMU_INVAL_DECIDE },
	[SMMU_INVAL_PROTECTION_PAGE] = { "PROTECTION_PAGE",
					 SMMU_INVAL_WRPROTECT },
	[SMMU_INVAL_SOFT_DIRTY] = { "SOFT_DIRTY", SMMU_INVAL_WRPROTECT },
	[SMMU_INVAL_RELEASE] = { "RELEASE", SMMU_INVAL_ZAP },
	[SMMU_INVAL_MIGRATE] = { "MIGRATE", SMMU_INVAL_ZAP },
	[SMMU_INVAL_EXCLUSIVE] = { "EXCLUSIVE", SMMU_INVAL_ZAP },
	[SMMU_INVAL_DRIVER] = { "DRIVER", SMMU_INVAL_ZAP },
	[SMMU_INVAL_TLB] = { "TLB", SMMU_INVAL_ZAP },
};

static bool has_owner(enum smmu_inval_event event)
{
	return event == SMMU_INVAL_MIGRATE || event == SMMU_INVAL_EXCLUSIVE;
}

static int one_owner, another_owner;
static const void * const owners[] = { NULL, &one_owner, &another_owner };

/* Each event, from each owner, for instances that belong to each owner. */
static void event_owners(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	enum smmu_inval_event event;
	enum smmu_inval_action want;
	unsigned int own, from;
	struct test_dev *dev;

	for (own = 0; own < ARRAY_SIZE(owners); own++) {
		cfg.owner = (void *)owners[own];
		dev = test_dev_new(test, TEST_MUTEX, &test_ops, &cfg);
		for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++) {
			for (from = 0; from < ARRAY_SIZE(owners); from++) {
				want = table[event].action;
				/* NULL matches nobody. */
				if (has_owner(event) && from && from == own)
					want = SMMU_INVAL_KEEP;
				KUNIT_EXPECT_EQ_MSG(test,
						    smmu_inval_classify(&dev->si,
									event,
									owners[from]),
						    want, "%s from %u to %u",
						    table[event].name, from, own);
			}
		}
	}
}

/* A driver may ask for more, event by event. */
static void event_policy(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	enum smmu_inval_event event, zapped;
	struct test_dev *dev;

	cfg.owner = &one_owner;
	for (zapped = 0; zapped < SMMU_INVAL_NR_EVENTS; zapped++) {
		cfg.zap_events = BIT(zapped);
		dev = test_dev_new(test, TEST_MUTEX, &test_ops, &cfg);
		for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++) {
			KUNIT_EXPECT_EQ_MSG(test,
					    smmu_inval_classify(&dev->si, event,
								NULL),
					    event == zapped ? SMMU_INVAL_ZAP :
					    table[event].action,
					    "%s", table[event].name);
			if (!has_owner(event))
				continue;
			KUNIT_EXPECT_EQ_MSG(test,
					    smmu_inval_classify(&dev->si, event,
								&one_owner),
					    event == zapped ? SMMU_INVAL_ZAP :
					    SMMU_INVAL_KEEP,
					    "%s", table[event].name);
		}
	}
}

static void ignore_flush(struct smmu_inval *si,
			 const struct smmu_inval_flush *flush)
{
}

static void ignore_span(struct smmu_inval *si, struct smmu_inval_batch *batch,
			const struct smmu_inval_span *span)
{
}

static void ignore_look(struct smmu_inval *si, struct smmu_inval_batch *batch,
			const struct smmu_inval_look *look)
{
}

/* What a driver cannot do becomes a zap. */
static void event_abilities(struct kunit *test)
{
	static const struct smmu_inval_ops abilities[] = {
		{ .flush = ignore_flush },
		{ .flush = ignore_flush, .wrprotect = ignore_span },
		{ .flush = ignore_flush, .decide = ignore_look },
	};
	struct smmu_inval_config cfg = test_config();
	enum smmu_inval_event event;
	enum smmu_inval_action want;
	struct test_dev *dev;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(abilities); i++) {
		dev = test_dev_new(test, TEST_MUTEX, &abilities[i], &cfg);
		for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++) {
			want = table[event].action;
			if (want == SMMU_INVAL_WRPROTECT &&
			    !abilities[i].wrprotect)
				want = SMMU_INVAL_ZAP;
			if (want == SMMU_INVAL_DECIDE && !abilities[i].decide)
				want = SMMU_INVAL_ZAP;
			KUNIT_EXPECT_EQ_MSG(test,
					    smmu_inval_classify(&dev->si, event,
								NULL), want,
					    "%s, %u", table[event].name, i);
		}
	}
}

/* With precision off each event zaps, and on again it does not. */
static void event_coarse(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	enum smmu_inval_event event;
	struct test_dev *dev;

	cfg.coarse = true;
	dev = test_dev_new(test, TEST_MUTEX, &test_ops, &cfg);
	for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++) {
		KUNIT_EXPECT_EQ(test, smmu_inval_classify(&dev->si, event, NULL),
				SMMU_INVAL_ZAP);
		KUNIT_EXPECT_EQ(test, smmu_inval_classify(&dev->si, event,
							  &one_owner),
				SMMU_INVAL_ZAP);
	}
	smmu_inval_set_coarse(&dev->si, false);
	for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++)
		KUNIT_EXPECT_EQ(test, smmu_inval_classify(&dev->si, event, NULL),
				table[event].action);
}

/* What is not known is not known to spare anything. */
static void event_unknown(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int i;

	dev = test_dev_new(test, TEST_MUTEX, &test_ops, &cfg);
	for (i = SMMU_INVAL_NR_EVENTS; i < SMMU_INVAL_NR_EVENTS + 100; i++)
		KUNIT_EXPECT_EQ(test, smmu_inval_classify(&dev->si, i, NULL),
				SMMU_INVAL_ZAP);
}

static void event_names(struct kunit *test)
{
	enum smmu_inval_event event;

	for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++)
		KUNIT_EXPECT_STREQ(test, smmu_inval_event_name(event),
				   table[event].name);
	KUNIT_EXPECT_STREQ(test, smmu_inval_event_name(SMMU_INVAL_NR_EVENTS),
			   "unknown");
}

#define ADDR(page)	(0x100000 + (u64)(page) * PAGE_SIZE)
#define LAST(page)	(ADDR((page) + 1) - 1)

/*
 * The primary page tables: pages 2 and 3 map PFNs 102 and 103, writable; 4 and
 * 5 follow, read-only; 6 is a hole; 7 maps PFN 200; 8 maps PFN 108. The look
 * was from page 1 to 9, and found nothing on both ends.
 */
static void look_at_pages(struct smmu_inval_look *look, struct smmu_inval *si)
{
	*look = (struct smmu_inval_look){
		.si = si,
		.start = ADDR(1),
		.last = LAST(9),
		.nr = 4,
		.event = SMMU_INVAL_PROTECTION_VMA,
		.seen = {
			{ ADDR(2), LAST(3), 102, true },
			{ ADDR(4), LAST(5), 104, false },
			{ ADDR(7), LAST(7), 200, true },
			{ ADDR(8), LAST(8), 108, true },
		},
	};
}

static void event_verdict(struct kunit *test)
{
	static const struct {
		const char *name;
		unsigned int first, last;
		unsigned long pfn;
		bool write;
		enum smmu_inval_action verdict;
	} asks[] = {
		{ "same page", 2, 2, 102, true, SMMU_INVAL_KEEP },
		{ "same page, read-only", 2, 2, 102, false, SMMU_INVAL_KEEP },
		{ "two pages", 2, 3, 102, true, SMMU_INVAL_KEEP },
		{ "second page of a run", 3, 3, 103, true, SMMU_INVAL_KEEP },
		{ "another page", 2, 2, 103, true, SMMU_INVAL_ZAP },
		{ "another page, read-only", 2, 2, 101, false, SMMU_INVAL_ZAP },
		{ "not that of the run's start", 3, 3, 102, true,
		  SMMU_INVAL_ZAP },
		{ "write was lost", 4, 4, 104, true, SMMU_INVAL_WRPROTECT },
		{ "write was never had", 4, 4, 104, false, SMMU_INVAL_KEEP },
		{ "write was lost in the second half", 2, 5, 102, true,
		  SMMU_INVAL_WRPROTECT },
		{ "read-only over both", 2, 5, 102, false, SMMU_INVAL_KEEP },
		{ "write was lost in both", 4, 5, 104, true,
		  SMMU_INVAL_WRPROTECT },
		{ "hole", 6, 6, 106, true, SMMU_INVAL_ZAP },
		{ "hole, read-only", 6, 6, 106, false, SMMU_INVAL_ZAP },
		{ "runs into a hole", 5, 6, 105, false, SMMU_INVAL_ZAP },
		{ "comes out of a hole", 6, 8, 106, true, SMMU_INVAL_ZAP },
		{ "over a hole", 2, 8, 102, false, SMMU_INVAL_ZAP },
		{ "page in between moved", 7, 8, 107, true, SMMU_INVAL_ZAP },
		{ "second page moved", 7, 8, 200, true, SMMU_INVAL_ZAP },
		{ "behind one that moved", 8, 8, 108, true, SMMU_INVAL_KEEP },
		{ "hole at the start", 1, 1, 101, false, SMMU_INVAL_ZAP },
		{ "runs out of the hole at the start", 1, 2, 101, true,
		  SMMU_INVAL_ZAP },
		{ "hole at the end", 9, 9, 109, false, SMMU_INVAL_ZAP },
		{ "runs into the hole at the end", 8, 9, 108, false,
		  SMMU_INVAL_ZAP },
		{ "not looked at: below", 0, 0, 999, true, SMMU_INVAL_KEEP },
		{ "not looked at: above", 10, 20, 999, true, SMMU_INVAL_KEEP },
		{ "huge, around all", 0, 20, 100, false, SMMU_INVAL_ZAP },
	};
	struct smmu_inval_look look;
	unsigned int i;

	look_at_pages(&look, NULL);
	for (i = 0; i < ARRAY_SIZE(asks); i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    smmu_inval_verdict(&look, ADDR(asks[i].first),
						       LAST(asks[i].last),
						       asks[i].pfn,
						       asks[i].write),
				    asks[i].verdict, "%s", asks[i].name);
}

/* A look that ends inside a huge translation judges its own part only. */
static void event_verdict_part(struct kunit *test)
{
	struct smmu_inval_look look = {
		.start = ADDR(4),
		.last = LAST(7),
		.nr = 1,
		.seen = { { ADDR(4), LAST(7), 104, true } },
	};

	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, ADDR(0), LAST(15), 100,
						 true), SMMU_INVAL_KEEP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, ADDR(0), LAST(15), 101,
						 true), SMMU_INVAL_ZAP);
	look.seen[0].write = false;
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, ADDR(0), LAST(15), 100,
						 true), SMMU_INVAL_WRPROTECT);
	look.nr = 0;
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, ADDR(0), LAST(15), 100,
						 false), SMMU_INVAL_ZAP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, ADDR(8), LAST(15), 108,
						 false), SMMU_INVAL_KEEP);
}

/* Kept is what was looked at and stays as it is, in pages. */
static void event_verdict_stats(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct smmu_inval_look look;
	struct test_dev *dev;

	dev = test_dev_new(test, TEST_MUTEX, &test_ops, &cfg);
	look_at_pages(&look, &dev->si);
#define KEPT()	test_count(dev, event[SMMU_INVAL_PROTECTION_VMA].kept)
	smmu_inval_verdict(&look, ADDR(2), LAST(3), 102, true);
	KUNIT_EXPECT_EQ(test, KEPT(), 2);
	smmu_inval_verdict(&look, ADDR(4), LAST(5), 104, true);
	smmu_inval_verdict(&look, ADDR(6), LAST(6), 106, true);
	smmu_inval_verdict(&look, ADDR(20), LAST(29), 120, true);
	KUNIT_EXPECT_EQ(test, KEPT(), 2);
	smmu_inval_verdict(&look, ADDR(2), LAST(5), 102, false);
	KUNIT_EXPECT_EQ(test, KEPT(), 6);
#undef KEPT
}

static struct kunit_case event_cases[] = {
	KUNIT_CASE(event_owners),
	KUNIT_CASE(event_policy),
	KUNIT_CASE(event_abilities),
	KUNIT_CASE(event_coarse),
	KUNIT_CASE(event_unknown),
	KUNIT_CASE(event_names),
	KUNIT_CASE(event_verdict),
	KUNIT_CASE(event_verdict_part),
	KUNIT_CASE(event_verdict_stats),
	{}
};

static struct kunit_suite event_suite = {
	.name = "smmu_inval_event",
	.exit = test_exit,
	.test_cases = event_cases,
};

kunit_test_suite(event_suite);
