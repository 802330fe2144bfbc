// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: what can fail is made to fail, and coverage grows (I5).
 *
 * These tests set the library's fault attributes, which are not exported: they
 * are only built into a kernel together with the library.
 */
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include "../compat.h"
#include "../internal.h"
#include "mm_helpers.h"

/* Fail each time, quietly, until it is over. */
static void inject_begin(struct fault_attr *attr)
{
	attr->verbose = 0;
	attr->probability = 100;
	atomic_set(&attr->times, -1);
}

static void inject_end(struct fault_attr *attr)
{
	attr->probability = 0;
}

static struct test_dev *inject_dev(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();

	return test_dev_new(test, test_lock_param(test), &test_ops, &cfg);
}

/* No node for any range, though there are plenty. */
static void inject_no_node(struct kunit *test)
{
	struct test_dev *dev = inject_dev(test);
	struct smmu_inval_token *a, *b;
	u64 cookie = smmu_inval_read_begin(&dev->si);

	inject_begin(&smmu_inval_fail_node);
	a = test_begin(dev, 10, 19);
	b = test_begin(dev, 40, 49);
	inject_end(&smmu_inval_fail_node);
	KUNIT_EXPECT_GE(test, test_count(dev, overflow_pending), 2);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 10, 10));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 30, 30));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 49, 49));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, 9));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 50, TEST_UNITS - 1));
	test_end(dev, a);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 49, 49));
	test_end(dev, b);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 10, 10));
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 49, 49));
	KUNIT_EXPECT_FALSE(test, test_retry(dev, cookie, 50, 50));

	/* A token that got its node before, and ranges that do not */
	a = test_begin(dev, 10, 19);
	inject_begin(&smmu_inval_fail_node);
	test_add(dev, a, 40, 49);
	inject_end(&smmu_inval_fail_node);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 10, 10));
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 20, 39));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 40, 40));
	test_end(dev, a);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 0, TEST_UNITS - 1));
}

/* No room in a batch that is nearly empty. */
static void inject_full_batch(struct kunit *test)
{
	struct test_dev *dev = inject_dev(test);

	inject_begin(&smmu_inval_fail_batch);
	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_changed(&batch, 10, 19, SMMU_INVAL_UNMAP);
		smmu_inval_changed(&batch, 40, 49, SMMU_INVAL_UNMAP);
		smmu_inval_changed(&batch, 60, 69, SMMU_INVAL_UNMAP);
	}
	inject_end(&smmu_inval_fail_batch);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 10, 69));
	KUNIT_EXPECT_EQ(test, test_count(dev, overflow_batch), 2);
}

/*
 * From here on without the nth of the library's own allocations, whatever else may
 * fail in this kernel, as fail_nth would count.
 */
static void without_begin(unsigned int nth)
{
	inject_begin(&smmu_inval_fail_alloc);
	atomic_set(&smmu_inval_fail_alloc.space, nth);
	atomic_set(&smmu_inval_fail_alloc.times, 1);
}

/* True if it came to that one. */
static bool without_end(void)
{
	bool came = !atomic_read(&smmu_inval_fail_alloc.times);

	inject_end(&smmu_inval_fail_alloc);
	atomic_set(&smmu_inval_fail_alloc.space, 0);
	return came;
}

static bool init_without(struct test_dev *dev, unsigned int nth,
			 const struct smmu_inval_config *cfg, int *ret)
{
	without_begin(nth);
	*ret = smmu_inval_init(&dev->si, &test_ops, cfg);
	return without_end();
}

/* Each allocation of smmu_inval_init() fails, one after the other. */
static void inject_no_memory(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int nth;
	int ret;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	cfg.lock = test_lock_init(dev, TEST_MUTEX);
	for (nth = 1; init_without(dev, nth, &cfg, &ret) && nth < 100; nth++) {
		KUNIT_EXPECT_EQ_MSG(test, ret, -ENOMEM, "allocation %u", nth);
		smmu_inval_destroy(&dev->si);
	}
	/* Pending ranges, tokens, their hash table, history and statistics */
	KUNIT_EXPECT_GT(test, nth, 5);
	KUNIT_EXPECT_EQ(test, ret, 0);
	smmu_inval_destroy(&dev->si);
}

/* What arrays of that size are made of; free pages wait in lists of the CPUs. */
static unsigned long allocated_pages(void)
{
	return smmu_inval_vmalloc_pages() +
	       global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
}

/*
 * An allocation that fails leaves none of those before it behind, and what succeeds
 * nothing at its end. What @make makes without the nth, and frees again, has more than
 * @nr of them, and is so large that 32 of the smallest, half a MiB each, cannot be
 * missed.
 */
static void expect_no_leak(struct kunit *test, unsigned int nr, void *arg,
			   bool (*make)(void *arg, unsigned int nth))
{
	unsigned long before, after;
	unsigned int nth, i;
	bool came = true;

	for (nth = 1; came && nth < 100; nth++) {
		before = allocated_pages();
		for (i = 0; i < 32; i++)
			came = make(arg, nth);
		after = allocated_pages();
		KUNIT_EXPECT_LT_MSG(test, (long)(after - before),
				    (long)(SZ_8M >> PAGE_SHIFT),
				    "allocation %u", nth);
	}
	KUNIT_EXPECT_GT(test, nth, nr);
}

static bool make_instance(void *arg, unsigned int nth)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev = arg;
	bool came;
	int ret;

	cfg.lock = test_lock_init(dev, TEST_MUTEX);
	cfg.nr_ranges = 1U << 16;
	cfg.nr_history = 1U << 16;
	came = init_without(dev, nth, &cfg, &ret);
	smmu_inval_destroy(&dev->si);
	return came;
}

static void inject_no_leak(struct kunit *test)
{
	struct test_dev *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	expect_no_leak(test, 5, dev, make_instance);
}

static bool make_interval(void *arg, unsigned int nth)
{
	struct mm_dev *dev = arg;
	bool came;
	int ret;

	without_begin(nth);
	ret = smmu_inval_interval_insert(&dev->ival, &dev->si, current->mm,
					 PAGE_SIZE, 2 * PAGE_SIZE - 1, 1U << 16);
	came = without_end();
	KUNIT_EXPECT_EQ(dev->test, ret, came ? -ENOMEM : 0);
	if (!ret)
		smmu_inval_interval_remove(&dev->ival);
	return came;
}

/* The records, and what a second pass needs */
static void inject_no_leak_interval(struct kunit *test)
{
	mm_attach(test);
	expect_no_leak(test, 3,
		       mm_dev_new(test, TEST_MUTEX, &mm_dev_ops_two_phase, NULL,
				  PAGE_SIZE, 1), make_interval);
}

/* Coarse by the module parameter: all instances, at any time. */
static void inject_coarse(struct kunit *test)
{
	struct test_dev *dev = inject_dev(test);
	struct smmu_inval_token *a, *b;

	a = test_begin(dev, 10, 19);
	b = test_begin(dev, 100, 109);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 50, 50));
	WRITE_ONCE(smmu_inval_coarse, true);
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 50, 50));
	test_change(dev, 5, 5);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 1);
	KUNIT_EXPECT_EQ(test, smmu_inval_classify(&dev->si, SMMU_INVAL_SOFT_DIRTY,
						  NULL), SMMU_INVAL_ZAP);
	WRITE_ONCE(smmu_inval_coarse, false);
	KUNIT_EXPECT_FALSE(test, test_pending(dev, 50, 50));
	KUNIT_EXPECT_TRUE(test, test_pending(dev, 10, 10));
	test_forget(dev);
	test_change(dev, 5, 5);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 5, 5));
	test_end(dev, a);
	test_end(dev, b);
}

/* So that nothing of it is left for others, whatever failed. */
static void inject_exit(struct kunit *test)
{
	inject_end(&smmu_inval_fail_node);
	inject_end(&smmu_inval_fail_batch);
	WRITE_ONCE(smmu_inval_coarse, false);
	test_exit(test);
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case inject_cases[] = {
	KUNIT_CASE_PARAM(inject_no_node, test_lock_gen_params),
	KUNIT_CASE_PARAM(inject_full_batch, test_lock_gen_params),
	KUNIT_CASE(inject_no_memory),
	KUNIT_CASE(inject_no_leak),
	KUNIT_CASE(inject_no_leak_interval),
	KUNIT_CASE_PARAM(inject_coarse, test_lock_gen_params),
	{}
};

static struct kunit_suite inject_suite = {
	.name = "smmu_inval_inject",
	.exit = inject_exit,
	.test_cases = inject_cases,
};

kunit_test_suite(inject_suite);
