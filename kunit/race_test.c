// SPDX-License-Identifier: GPL-2.0
/*
 * Invalidations and faults on two CPUs at once.
 *
 * The primary page table is an array of generations, each of which a page has
 * once only. Invalidators zap, flush, and then change it, without the driver's
 * lock, as mm does; faults copy what they read into the secondary page table,
 * and engines copy that into a TLB which only a flush empties. Whoever looks
 * under the driver's lock sees whether the rules held:
 *
 *  - between begin and end, nothing is in the secondary page table or in the
 *    TLB of what is being invalidated (I1, I2, I3);
 *  - what a fault is about to install is what the primary page table has, since
 *    that only changes while a range is pending (I4).
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/prandom.h>

#include "smmu_inval_test.h"

#define NR_THREADS	4

/* A page table small enough for threads to meet. */
#define NR_PAGES	24

struct race {
	struct test_dev dev;
	spinlock_t primary_lock;	/* mm's: who changes the primary */
	u32 primary[NR_PAGES];
	u32 secondary[NR_PAGES];
	/* The hardware's: held for as long as it takes to walk or to flush. */
	raw_spinlock_t tlb_lock;
	u32 tlb[NR_PAGES];
	bool two_phase;
	unsigned long until;

	/* Broken rules */
	atomic_t stale_install;
	atomic_t stale_secondary;
	atomic_t stale_tlb;
	atomic_t wait_failed;
	/* What happened at all */
	atomic_t invalidations;
	atomic_t installs;
	atomic_t retries;
	atomic_t waits;
};

struct racer {
	struct race *race;
	struct rnd_state random;
	struct test_thread thread;
};

static struct race *to_race(struct smmu_inval *si)
{
	return container_of(to_test_dev(si), struct race, dev);
}

static u32 racer_random(struct racer *racer, u32 below)
{
	return prandom_u32_state(&racer->random) % below;
}

/* Give the others time to do something unexpected, also on one CPU. */
static void dawdle(struct racer *racer)
{
	u32 how = racer_random(racer, 64);

	if (!how)
		schedule_timeout_uninterruptible(1);
	else if (how < 16)
		udelay(how);
	else
		cond_resched();
}

static bool race_is_on(struct race *race)
{
	return time_before(jiffies, READ_ONCE(race->until));
}

/* The hardware. */

static void hw_flush(struct race *race, const struct smmu_inval_flush *flush)
{
	unsigned long flags;
	unsigned int i;
	u64 page;

	raw_spin_lock_irqsave(&race->tlb_lock, flags);
	if (flush->all)
		memset(race->tlb, 0, sizeof(race->tlb));
	for (i = 0; i < flush->nr; i++)
		for (page = flush->spans[i].start; page <= flush->spans[i].last;
		     page++)
			race->tlb[page] = 0;
	raw_spin_unlock_irqrestore(&race->tlb_lock, flags);
}

static void hw_access(struct race *race, unsigned int page)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&race->tlb_lock, flags);
	if (!race->tlb[page])
		race->tlb[page] = READ_ONCE(race->secondary[page]);
	raw_spin_unlock_irqrestore(&race->tlb_lock, flags);
}

static void race_flush(struct smmu_inval *si,
		       const struct smmu_inval_flush *flush)
{
	hw_flush(to_race(si), flush);
}

/* In two phases: what is issued is done by who waits for it first. */
static u64 race_flush_issue(struct smmu_inval *si,
			    const struct smmu_inval_flush *flush)
{
	return ++to_test_dev(si)->issued;
}

static void race_flush_wait(struct smmu_inval *si, u64 ticket)
{
	static const struct smmu_inval_flush everything = { .all = true };

	hw_flush(to_race(si), &everything);
}

static const struct smmu_inval_ops race_ops = {
	.flush = race_flush,
};

static const struct smmu_inval_ops race_ops_two_phase = {
	.flush = race_flush,
	.flush_issue = race_flush_issue,
	.flush_wait = race_flush_wait,
};

/* The driver. */

/* The callback that mm calls before it changes its page table. */
static struct smmu_inval_token *invalidate_start(struct racer *racer, u64 start,
						 u64 last)
{
	struct race *race = racer->race;
	struct smmu_inval *si = &race->dev.si;
	struct smmu_inval_token *token;
	u64 page;

	CLASS(smmu_inval_drain, drain)(si);
	guard(test_dev)(&race->dev);
	CLASS(smmu_inval_batch, batch)(si);

	smmu_inval_batch_defer(&batch, &drain);
	token = smmu_inval_begin(si, SMMU_INVAL_UNMAP);
	smmu_inval_add(si, token, start, last);
	smmu_inval_drain_range(&drain, start, last);
	for (page = start; page <= last; page++) {
		if (!race->secondary[page])
			continue;
		WRITE_ONCE(race->secondary[page], 0);
		smmu_inval_changed(&batch, page, page, SMMU_INVAL_UNMAP);
	}
	return token;
}

/* Nothing of the range is in use between start and end. */
static void look_for_stale(struct race *race, u64 start, u64 last)
{
	unsigned long flags;
	u64 page;

	raw_spin_lock_irqsave(&race->tlb_lock, flags);
	for (page = start; page <= last; page++) {
		if (READ_ONCE(race->secondary[page]))
			atomic_inc(&race->stale_secondary);
		if (race->tlb[page])
			atomic_inc(&race->stale_tlb);
	}
	raw_spin_unlock_irqrestore(&race->tlb_lock, flags);
}

static void change_primary(struct race *race, u64 start, u64 last)
{
	u64 page;

	spin_lock(&race->primary_lock);
	for (page = start; page <= last; page++)
		WRITE_ONCE(race->primary[page], race->primary[page] + 1);
	spin_unlock(&race->primary_lock);
}

static int run_invalidator(void *arg)
{
	struct racer *racer = arg;
	struct race *race = racer->race;
	struct smmu_inval_token *token;
	u64 start, last;

	while (race_is_on(race)) {
		start = racer_random(racer, NR_PAGES);
		last = min_t(u64, start + racer_random(racer, 4), NR_PAGES - 1);
		token = invalidate_start(racer, start, last);
		look_for_stale(race, start, last);
		dawdle(racer);
		change_primary(race, start, last);
		dawdle(racer);
		look_for_stale(race, start, last);
		test_end(&race->dev, token);
		atomic_inc(&race->invalidations);
		dawdle(racer);
	}
	return 0;
}

static void fault(struct racer *racer, u64 start, u64 last)
{
	struct race *race = racer->race;
	struct smmu_inval *si = &race->dev.si;
	struct smmu_inval_waiter waiter;
	unsigned long flags;
	u32 copy[NR_PAGES];
	u64 cookie, page;
	bool blocked;
	int ret;

again:
	cookie = smmu_inval_read_begin(si);
	for (page = start; page <= last; page++)
		copy[page] = READ_ONCE(race->primary[page]);
	dawdle(racer);

	test_lock_shared(&race->dev, &flags);
	if (smmu_inval_read_retry(si, cookie, start, last)) {
		blocked = smmu_inval_wait_prepare(si, &waiter, start, last);
		test_unlock_shared(&race->dev, flags);
		atomic_inc(&race->retries);
		if (blocked) {
			atomic_inc(&race->waits);
			/* Nothing blocks for long, so somebody forgot us. */
			ret = smmu_inval_wait_timeout(&waiter, TEST_SOON);
			if (ret) {
				atomic_inc(&race->wait_failed);
				return;
			}
		}
		if (!race_is_on(race))
			return;
		goto again;
	}
	smmu_inval_assert_may_install(si, start, last);
	for (page = start; page <= last; page++) {
		if (copy[page] != READ_ONCE(race->primary[page]))
			atomic_inc(&race->stale_install);
		WRITE_ONCE(race->secondary[page], copy[page]);
	}
	test_unlock_shared(&race->dev, flags);
	atomic_inc(&race->installs);
}

static int run_fault(void *arg)
{
	struct racer *racer = arg;
	struct race *race = racer->race;
	u64 start, last;

	while (race_is_on(race)) {
		start = racer_random(racer, NR_PAGES);
		last = min_t(u64, start + racer_random(racer, 4), NR_PAGES - 1);
		fault(racer, start, last);
		hw_access(race, start);
		hw_access(race, last);
		dawdle(racer);
	}
	return 0;
}

static struct race *race_new(struct kunit *test, enum test_lock_kind kind,
			     const struct smmu_inval_ops *ops, bool coarse)
{
	struct smmu_inval_config cfg = test_config();
	struct race *race;
	unsigned int i;

	race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race);
	spin_lock_init(&race->primary_lock);
	raw_spin_lock_init(&race->tlb_lock);
	init_waitqueue_head(&race->dev.landing);
	for (i = 0; i < NR_PAGES; i++)
		race->primary[i] = 1;
	/* Small enough for each overflow to happen. */
	cfg.last = NR_PAGES - 1;
	cfg.nr_ranges = 0;
	cfg.nr_history = 2;
	cfg.flush_spans = 2;
	cfg.coarse = coarse;
	cfg.lock = test_lock_init(&race->dev, kind);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&race->dev.si, ops, &cfg), 0);
	return race;
}

static void race_run(struct kunit *test, struct race *race)
{
	struct racer *racers;
	unsigned int i;

	racers = kunit_kcalloc(test, NR_THREADS, sizeof(*racers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, racers);
	race->until = jiffies + msecs_to_jiffies(test_race_ms);
	/* One of each on each CPU. */
	for (i = 0; i < NR_THREADS; i++) {
		racers[i].race = race;
		prandom_seed_state(&racers[i].random, i + 1);
		test_thread_start(test, &racers[i].thread, i / 2,
				  i % 2 ? run_fault : run_invalidator,
				  &racers[i]);
	}
	for (i = 0; i < NR_THREADS; i++)
		test_thread_join(test, &racers[i].thread);

	KUNIT_EXPECT_EQ(test, atomic_read(&race->stale_install), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&race->stale_secondary), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&race->stale_tlb), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&race->wait_failed), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->invalidations), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->installs), 0);
	KUNIT_EXPECT_FALSE(test, test_pending(&race->dev, 0, NR_PAGES - 1));
	kunit_info(test, "%d invalidations, %d installs, %d retries, %d waits\n",
		   atomic_read(&race->invalidations),
		   atomic_read(&race->installs), atomic_read(&race->retries),
		   atomic_read(&race->waits));
	smmu_inval_destroy(&race->dev.si);
}

static void race_one_phase(struct kunit *test)
{
	race_run(test, race_new(test, test_lock_param(test), &race_ops, false));
}

static void race_two_phases(struct kunit *test)
{
	race_run(test, race_new(test, test_lock_param(test),
				&race_ops_two_phase, false));
}

static void race_coarse(struct kunit *test)
{
	race_run(test, race_new(test, TEST_RWSEM, &race_ops, true));
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case race_cases[] = {
	KUNIT_CASE_PARAM(race_one_phase, test_lock_gen_params),
	KUNIT_CASE_PARAM(race_two_phases, test_lock_gen_params),
	KUNIT_CASE(race_coarse),
	{}
};

static struct kunit_suite race_suite = {
	.name = "smmu_inval_race",
	.test_cases = race_cases,
};

kunit_test_suite(race_suite);
