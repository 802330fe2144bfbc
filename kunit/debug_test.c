// SPDX-License-Identifier: GPL-2.0
/*
 * Misuse: found, reported once, and survived, on the safe side. And what looks
 * like misuse but is legal is not reported: nothing else in these suites may
 * cause a WARN, since those who read the log reject it.
 */
#include <linux/console.h>
#include <linux/lockdep.h>
#include <linux/mman.h>

#include "mm_helpers.h"

/* Counts what the kernel complains about, as it goes to the log. */
static unsigned int warnings;
/* A report that names every range there is */
static bool named_everything;

static void count_warnings(struct console *console, const char *text,
			   unsigned int length)
{
	if (strnstr(text, "WARNING: ", length))
		warnings++;
	if (strnstr(text, "range [0x0, 0xffffffffffffffff]", length))
		named_everything = true;
}

static struct console counter = {
	.name = "smmu_inval",
	.write = count_warnings,
	.index = -1,
};

static void watch_begin(void)
{
	test_expect_warn_begin();
	/* Printed before the counter is there, so that it does not count. */
	console_lock();
	console_unlock();
	warnings = 0;
	named_everything = false;
	counter.flags = CON_ENABLED;
	register_console(&counter);
}

/* How many there were. */
static unsigned int watch_end(void)
{
	/* Whoever has the console prints all that there is before it returns. */
	console_lock();
	console_unlock();
	unregister_console(&counter);
	test_expect_warn_end();
	return warnings;
}

static struct test_dev *debug_dev(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();

	return test_dev_new(test, TEST_MUTEX, &test_ops, &cfg);
}

/*
 * The instance does not trust its driver any more: each flush is of everything,
 * each event zaps, each completion makes each fault retry.
 */
static void expect_safe_side(struct kunit *test, struct test_dev *dev)
{
	u64 cookie;

	test_forget(dev);
	test_change(dev, 5, 5);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 1);
	KUNIT_EXPECT_EQ(test, smmu_inval_classify(&dev->si, SMMU_INVAL_SOFT_DIRTY,
						  NULL), SMMU_INVAL_ZAP);
	cookie = smmu_inval_read_begin(&dev->si);
	test_complete(dev, 5, 5);
	KUNIT_EXPECT_TRUE(test, test_retry(dev, cookie, 100, 100));
}

/* Each kind of misuse, done three times; the later ones are not reported. */

static bool add_inverted(struct test_dev *dev)
{
	struct smmu_inval_token *token = test_begin(dev, 20, 10);
	bool safe;

	/* It could be anything, so it is everything. */
	safe = test_pending(dev, 0, 0) &&
	       test_pending(dev, TEST_UNITS - 1, TEST_UNITS - 1);
	test_end(dev, token);
	return safe;
}

static bool complete_inverted(struct test_dev *dev)
{
	u64 cookie = smmu_inval_read_begin(&dev->si);

	test_complete(dev, 20, 10);
	return test_retry(dev, cookie, 0, 0) &&
	       test_retry(dev, cookie, TEST_UNITS - 1, TEST_UNITS - 1);
}

static bool change_inverted(struct test_dev *dev)
{
	test_forget(dev);
	test_change(dev, 20, 10);
	return dev->flushes == 1 && dev->flushes_all == 1;
}

static bool change_unknown_event(struct test_dev *dev)
{
	test_forget(dev);
	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_changed(&batch, 10, 20, SMMU_INVAL_NR_EVENTS);
	}
	return dev->flushes == 1 && dev->flushes_all == 1;
}

static bool retry_inverted(struct test_dev *dev)
{
	return test_pending(dev, 20, 10);
}

static bool retry_with_strange_cookie(struct test_dev *dev)
{
	return test_retry(dev, smmu_inval_read_begin(&dev->si) + 1, 10, 20);
}

static bool end_twice(struct test_dev *dev)
{
	struct smmu_inval_token *token = test_begin(dev, 10, 20);
	u64 cookie;

	test_end(dev, token);
	cookie = smmu_inval_read_begin(&dev->si);
	test_end(dev, token);
	/* Of what, nobody knows. */
	return test_retry(dev, cookie, 0, 0) &&
	       test_retry(dev, cookie, TEST_UNITS - 1, TEST_UNITS - 1) &&
	       !test_pending(dev, 0, TEST_UNITS - 1);
}

static bool end_nothing(struct test_dev *dev)
{
	u64 cookie = smmu_inval_read_begin(&dev->si);

	test_end(dev, NULL);
	return test_retry(dev, cookie, 0, 0);
}

static bool add_after_end(struct test_dev *dev)
{
	struct smmu_inval_token *token = test_begin(dev, 10, 20);

	test_end(dev, token);
	test_add(dev, token, 10, 20);
	return true;
}

#ifdef CONFIG_SMMU_INVAL_DEBUG
static bool install_into_pending(struct test_dev *dev)
{
	struct smmu_inval_token *token = test_begin(dev, 10, 20);

	scoped_guard(test_dev, dev)
		smmu_inval_assert_may_install(&dev->si, 20, 30);
	test_end(dev, token);
	return true;
}

static bool install_inverted(struct test_dev *dev)
{
	scoped_guard(test_dev, dev)
		smmu_inval_assert_may_install(&dev->si, 30, 20);
	return true;
}

static bool install_into_dead(struct test_dev *dev)
{
	smmu_inval_shutdown(&dev->si);
	scoped_guard(test_dev, dev)
		smmu_inval_assert_may_install(&dev->si, 20, 30);
	return true;
}
#endif

#if defined(CONFIG_SMMU_INVAL_DEBUG) && defined(CONFIG_LOCKDEP)
static bool flush_outside_the_lock(struct test_dev *dev)
{
	CLASS(smmu_inval_batch, batch)(&dev->si);

	scoped_guard(test_dev, dev)
		smmu_inval_changed(&batch, 10, 20, SMMU_INVAL_UNMAP);
	test_forget(dev);
	smmu_inval_batch_flush(&batch);
	/* Late, but it is made, and the device's own complaint is no news. */
	dev->unlocked = 0;
	return test_flushed(dev, 10, 20);
}

/* Nothing may retire while its flush is due: the end lets faults through. */
static bool end_before_flush(struct test_dev *dev)
{
	struct smmu_inval_token *token;

	guard(test_dev)(dev);
	CLASS(smmu_inval_batch, batch)(&dev->si);

	token = smmu_inval_begin(&dev->si, SMMU_INVAL_UNMAP);
	smmu_inval_add(&dev->si, token, 10, 20);
	smmu_inval_changed(&batch, 10, 20, SMMU_INVAL_UNMAP);
	smmu_inval_end(&dev->si, token);
	return true;
}

/* Page tables wait for the flush like everything else. */
static bool end_before_tables(struct test_dev *dev)
{
	struct smmu_inval_token *token;
	struct test_table table = {};

	guard(test_dev)(dev);
	CLASS(smmu_inval_batch, batch)(&dev->si);

	token = smmu_inval_begin(&dev->si, SMMU_INVAL_UNMAP);
	smmu_inval_add(&dev->si, token, 10, 20);
	smmu_inval_batch_free_later(&batch, &table.node);
	smmu_inval_end(&dev->si, token);
	smmu_inval_batch_flush(&batch);
	return dev->freed;
}

static int other_fault(void *arg)
{
	struct test_dev *dev = arg;

	guard(test_dev)(dev);
	return smmu_inval_read_retry(&dev->si, smmu_inval_read_begin(&dev->si),
				     100, 100);
}

static int other_begin(void *arg)
{
	struct test_dev *dev = arg;

	guard(test_dev)(dev);
	smmu_inval_begin(&dev->si, SMMU_INVAL_UNMAP);
	return 0;
}

static int other_change(void *arg)
{
	test_change(arg, 100, 100);
	return 0;
}

static int other_all(void *arg)
{
	struct test_dev *dev = arg;

	guard(test_dev)(dev);
	CLASS(smmu_inval_batch, batch)(&dev->si);

	smmu_inval_batch_all(&batch);
	return 0;
}

/*
 * A batch above the guard of the lock is flushed after the unlock: whoever
 * takes the lock next would see the device use what is gone.
 */
static bool section_without_flush(struct test_dev *dev,
				  int (*other)(void *arg))
{
	struct test_thread thread;

	CLASS(smmu_inval_batch, batch)(&dev->si);

	test_forget(dev);
	scoped_guard(test_dev, dev)
		smmu_inval_changed(&batch, 10, 20, SMMU_INVAL_UNMAP);
	test_thread_start(dev->test, &thread, 1, other, dev);
	test_thread_join(dev->test, &thread);
	scoped_guard(test_dev, dev)
		smmu_inval_batch_flush(&batch);
	return test_flushed(dev, 10, 20);
}

static bool all_unflushed_at_change(struct test_dev *dev)
{
	struct test_thread thread;

	CLASS(smmu_inval_batch, batch)(&dev->si);

	test_forget(dev);
	scoped_guard(test_dev, dev)
		smmu_inval_batch_all(&batch);
	test_thread_start(dev->test, &thread, 1, other_change, dev);
	test_thread_join(dev->test, &thread);
	scoped_guard(test_dev, dev)
		smmu_inval_batch_flush(&batch);
	return dev->flushes_all;
}

static bool unflushed_at_fault(struct test_dev *dev)
{
	return section_without_flush(dev, other_fault);
}

static bool unflushed_at_begin(struct test_dev *dev)
{
	return section_without_flush(dev, other_begin);
}

static bool unflushed_at_change(struct test_dev *dev)
{
	return section_without_flush(dev, other_change);
}

static bool unflushed_at_all(struct test_dev *dev)
{
	return section_without_flush(dev, other_all);
}
#endif

static const struct misuse {
	const char *name;
	bool (*commit)(struct test_dev *dev);
} misuses[] = {
#define MISUSE(how) { #how, how }
	MISUSE(add_inverted),
	MISUSE(complete_inverted),
	MISUSE(change_inverted),
	MISUSE(change_unknown_event),
	MISUSE(retry_inverted),
	MISUSE(retry_with_strange_cookie),
	MISUSE(end_twice),
	MISUSE(end_nothing),
	MISUSE(add_after_end),
#ifdef CONFIG_SMMU_INVAL_DEBUG
	MISUSE(install_into_pending),
	MISUSE(install_inverted),
	MISUSE(install_into_dead),
#endif
#if defined(CONFIG_SMMU_INVAL_DEBUG) && defined(CONFIG_LOCKDEP)
	MISUSE(flush_outside_the_lock),
	MISUSE(end_before_flush),
	MISUSE(end_before_tables),
	MISUSE(unflushed_at_fault),
	MISUSE(unflushed_at_begin),
	MISUSE(unflushed_at_change),
	MISUSE(unflushed_at_all),
	MISUSE(all_unflushed_at_change),
#endif
#undef MISUSE
};

static void misuse_desc(const struct misuse *misuse, char *desc)
{
	strscpy(desc, misuse->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(misuse, misuses, misuse_desc);

static void debug_misuse(struct kunit *test)
{
	const struct misuse *misuse = test->param_value;
	struct test_dev *dev = debug_dev(test);
	bool safe[3];
	unsigned int i, count;

#ifdef CONFIG_LOCKDEP
	if (!debug_locks)
		kunit_skip(test, "lockdep has given up");
#endif
	watch_begin();
	for (i = 0; i < ARRAY_SIZE(safe); i++)
		safe[i] = misuse->commit(dev);
	count = watch_end();
	for (i = 0; i < ARRAY_SIZE(safe); i++)
		KUNIT_EXPECT_TRUE_MSG(test, safe[i], "time %u", i);
	KUNIT_EXPECT_EQ(test, count, 1);
	if (!smmu_inval_is_dead(&dev->si))
		expect_safe_side(test, dev);

	/* One instance's driver is not another's. */
	dev = debug_dev(test);
	test_change(dev, 5, 5);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 5, 5));
}

static u64 issue_backwards(struct smmu_inval *si,
			   const struct smmu_inval_flush *flush)
{
	return 10 - ++to_test_dev(si)->issued;
}

static u64 issue_zero(struct smmu_inval *si,
		      const struct smmu_inval_flush *flush)
{
	return 0;
}

static void count_flush(struct smmu_inval *si,
			const struct smmu_inval_flush *flush)
{
	to_test_dev(si)->flushes++;
	if (flush->all)
		to_test_dev(si)->flushes_all++;
}

static void wait_for_ticket(struct smmu_inval *si, u64 ticket)
{
	atomic64_set(&to_test_dev(si)->waited, ticket);
}

/*
 * Tickets that decrease, or are none: nobody could wait for them, so all is
 * flushed at once.
 */
static void debug_ticket(struct kunit *test)
{
	static const struct {
		struct smmu_inval_ops ops;
		unsigned int good;
	} cases[] = {
		{ { .flush = count_flush, .flush_issue = issue_backwards,
		    .flush_wait = wait_for_ticket }, 1 },
		{ { .flush = count_flush, .flush_issue = issue_zero,
		    .flush_wait = wait_for_ticket }, 0 },
	};
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int i, j, count;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		dev = test_dev_new(test, TEST_MUTEX, &cases[i].ops, &cfg);
		watch_begin();
		for (j = 0; j < 3; j++) {
			CLASS(smmu_inval_drain, drain)(&dev->si);

			test_change_deferred(dev, &drain, 10, 20);
		}
		count = watch_end();
		KUNIT_EXPECT_EQ(test, count, 1);
		KUNIT_EXPECT_EQ(test, dev->flushes, 3 - cases[i].good);
		KUNIT_EXPECT_EQ(test, dev->flushes_all, 3 - cases[i].good);
		KUNIT_EXPECT_EQ(test, atomic64_read(&dev->waited),
				9 * cases[i].good);
		KUNIT_EXPECT_EQ(test, smmu_inval_classify(&dev->si,
							  SMMU_INVAL_SOFT_DIRTY,
							  NULL),
				SMMU_INVAL_ZAP);
	}
}

/* Page tables and nobody to free them: kept, as the device may use them. */
static void debug_no_free_tables(struct kunit *test)
{
	static const struct smmu_inval_ops ops = { .flush = count_flush };
	struct smmu_inval_config cfg = test_config();
	struct test_table table = {};
	struct test_dev *dev;
	unsigned int i, count;

	dev = test_dev_new(test, TEST_MUTEX, &ops, &cfg);
	watch_begin();
	for (i = 0; i < 3; i++) {
		guard(test_dev)(dev);
		CLASS(smmu_inval_batch, batch)(&dev->si);

		smmu_inval_batch_free_later(&batch, &table.node);
	}
	count = watch_end();
	KUNIT_EXPECT_EQ(test, count, 1);
	KUNIT_EXPECT_EQ(test, dev->flushes_all, 3);
}

/* An end without begin could be that of anything, and the report says so. */
static void debug_end_of_what(struct kunit *test)
{
	struct test_dev *dev = debug_dev(test);

	watch_begin();
	test_end(dev, NULL);
	KUNIT_EXPECT_EQ(test, watch_end(), 1);
	KUNIT_EXPECT_TRUE(test, named_everything);
}

/* Once per boot, since there is no instance left to remember it. */
static void debug_use_after_destroy(struct kunit *test)
{
	struct smmu_inval_config cfg = test_config();
	struct test_dev *dev;
	unsigned int count;
	bool retry;

	if (!IS_ENABLED(CONFIG_SMMU_INVAL_DEBUG))
		kunit_skip(test, "needs SMMU_INVAL_DEBUG");
	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	cfg.lock = test_lock_init(dev, TEST_MUTEX);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&dev->si, &test_ops, &cfg), 0);
	smmu_inval_destroy(&dev->si);

	watch_begin();
	retry = test_pending(dev, 10, 20);
	test_end(dev, test_begin(dev, 10, 20));
	test_complete(dev, 10, 20);
	test_change(dev, 10, 20);
	scoped_guard(test_dev, dev)
		smmu_inval_assert_may_install(&dev->si, 30, 20);
	count = watch_end();
	KUNIT_EXPECT_TRUE(test, retry);
	KUNIT_EXPECT_EQ(test, count, 1);
	KUNIT_EXPECT_EQ(test, dev->flushes, 0);
}

/* Once per boot: begun for what is no event, it is begun for the driver. */
static void debug_begin_unknown_event(struct kunit *test)
{
	struct test_dev *dev = debug_dev(test);
	struct smmu_inval_token *token;
	unsigned int i;

	watch_begin();
	for (i = 0; i < 3; i++) {
		scoped_guard(test_dev, dev)
			token = smmu_inval_begin(&dev->si, SMMU_INVAL_NR_EVENTS + i);
		test_add(dev, token, 10, 20);
		KUNIT_EXPECT_TRUE(test, test_pending(dev, 10, 20));
		test_end(dev, token);
	}
	KUNIT_EXPECT_EQ(test, watch_end(), 1);
	KUNIT_EXPECT_EQ(test, test_count(dev, event[SMMU_INVAL_DRIVER].callbacks), 3);
}

/* Legal, however odd: no complaint, no loss of precision. */
static void debug_legal(struct kunit *test)
{
	struct test_dev *dev = debug_dev(test);
	struct smmu_inval_token *token, *outer;
	unsigned int i;

	/* Cookies that nobody checks, or that are checked again and again */
	for (i = 0; i < 100; i++)
		smmu_inval_read_begin(&dev->si);
	/* Ends in any order, in other sections and by other threads */
	outer = test_begin(dev, 0, 9);
	scoped_guard(test_dev, dev) {
		CLASS(smmu_inval_batch, batch)(&dev->si);

		/* Begun with something unflushed in the same section */
		smmu_inval_changed(&batch, 0, 9, SMMU_INVAL_UNMAP);
		token = smmu_inval_begin(&dev->si, SMMU_INVAL_UNMAP);
		smmu_inval_add(&dev->si, token, 5, 20);
		smmu_inval_changed(&batch, 5, 20, SMMU_INVAL_UNMAP);
		smmu_inval_batch_flush(&batch);
		smmu_inval_end(&dev->si, outer);
	}
	test_end(dev, token);
	/* Installed beside a pending range */
	token = test_begin(dev, 10, 19);
	scoped_guard(test_dev, dev) {
		smmu_inval_assert_may_install(&dev->si, 0, 9);
		smmu_inval_assert_may_install(&dev->si, 20, 29);
	}
	test_forget(dev);
	test_change(dev, 5, 5);
	KUNIT_EXPECT_TRUE(test, test_flushed_exactly(dev, 5, 5));
	/* Pending when it is destroyed, see test_exit() */
}

#ifdef CONFIG_SMMU_INVAL_DEBUG
static void assert_may_install(struct mm_dev *dev)
{
	unsigned long flags;

	mm_dev_lock(dev, &flags);
	smmu_inval_interval_assert_may_install(&dev->ival, dev->base,
					       dev->base + PAGE_SIZE - 1);
	mm_dev_unlock(dev, flags);
}

/* The process is gone, which an interval knows longer than it has the record of it. */
static void debug_dead_interval(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	unsigned long base = mm_map(test, NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS);
	struct mm_dev *dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, base, 2);
	struct mmu_notifier_range range[] = {
		mm_range(mm, MMU_NOTIFY_RELEASE, 0, ULONG_MAX),
		mm_range(mm, MMU_NOTIFY_CLEAR, base + PAGE_SIZE, base + 2 * PAGE_SIZE),
	};
	unsigned int before, behind, i;

	mm_touch(test, base, 2 * PAGE_SIZE);
	mm_dev_bind(dev, MM_INTERVAL, mm);
	mm_dev_populate(dev, true);
	watch_begin();
	assert_may_install(dev);
	before = watch_end();
	for (i = 0; i < ARRAY_SIZE(range); i++) {
		mmu_notifier_invalidate_range_start(&range[i]);
		mmu_notifier_invalidate_range_end(&range[i]);
	}
	watch_begin();
	assert_may_install(dev);
	behind = watch_end();
	KUNIT_EXPECT_EQ(test, before, 0);
	KUNIT_EXPECT_EQ(test, behind, 1);
}
#endif

static struct kunit_case debug_cases[] = {
	KUNIT_CASE_PARAM(debug_misuse, misuse_gen_params),
	KUNIT_CASE(debug_ticket),
	KUNIT_CASE(debug_no_free_tables),
	KUNIT_CASE(debug_end_of_what),
	KUNIT_CASE(debug_use_after_destroy),
	KUNIT_CASE(debug_begin_unknown_event),
	KUNIT_CASE(debug_legal),
#ifdef CONFIG_SMMU_INVAL_DEBUG
	KUNIT_CASE(debug_dead_interval),
#endif
	{}
};

static struct kunit_suite debug_suite = {
	.name = "smmu_inval_debug",
	.exit = test_exit,
	.test_cases = debug_cases,
};

kunit_test_suite(debug_suite);
