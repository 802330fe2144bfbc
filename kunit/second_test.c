// SPDX-License-Identifier: GPL-2.0
/*
 * Several devices of a process flush at the same time: by core mm's second pass
 * where there is one, and by the library's own (second.c), which can be had on
 * any kernel. What holds for both is tested with both.
 *
 * A probe registered after the devices is called before the library's second
 * pass: it sees the moment between the passes.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mman.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "../compat.h"
#include "../internal.h"
#include "mm_helpers.h"

#define DEVICES	4
#define PAGES	16
#define HALF	(PAGES / 2)
#define RECORDS	8

/* The slowest device; each of the others is as slow. */
#define LATENCY_MS	100

/**
 * struct table - a page-table page that a device has let go
 * @node: for smmu_inval_batch_free_later()
 * @ticket: of the flush that covers it
 */
struct table {
	struct llist_node node;
	u64 ticket;
};

struct rig;

/**
 * struct unit - what the tests know of a device, as its dev->ctx
 * @rig: whose
 * @lock: protects @over
 * @over: the newest ticket that is over
 * @ready: when the flush that was issued last is over, with a latency
 * @tables: a table goes with each zap that finds something
 * @made: tables handed over
 * @freed: tables that came back
 * @early: those that came back before their flush was over
 * @beyond: page that is changed by each zap as well, or negative
 */
struct unit {
	struct rig *rig;
	raw_spinlock_t lock;	/* of over */
	u64 over;
	ktime_t ready;
	bool tables;
	atomic_t made;
	atomic_t freed;
	atomic_t early;
	int beyond;
};

struct rig {
	struct kunit *test;
	struct mm_struct *mm;
	unsigned long base;
	struct mm_dev *dev[DEVICES];
	struct unit unit[DEVICES];
	unsigned int nr;
	/* In which order things happened */
	atomic_t issues;
	atomic_t waits;
	atomic_t early;
	/* Between the passes */
	unsigned int issues_between;
	unsigned int waits_between;
	/* Which tasks the devices keep waiting, and until when */
	struct task_struct *quick;
	bool park;
	struct completion start;
	struct completion arrived;
	struct completion go;
	unsigned int latency_ms;
};

static struct unit *to_unit(struct mm_dev *dev)
{
	return dev->ctx;
}

/* Which of the two is tested. */

static const struct way {
	const char *name;
	bool native;
} ways[] = {
	{ "library", false },
#if SMMU_INVAL_TWO_PASS
	{ "core mm", true },
#endif
};

static void way_desc(const struct way *way, char *desc)
{
	strscpy(desc, way->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(way, ways, way_desc);

/* For the bindings that are made from now on. */
static void choose(bool native)
{
	WRITE_ONCE(smmu_inval_two_pass, native);
}

static bool way_native(struct kunit *test)
{
	return ((const struct way *)test->param_value)->native;
}

static void second_exit(struct kunit *test)
{
	WRITE_ONCE(smmu_inval_two_pass, SMMU_INVAL_TWO_PASS);
}

/* The devices. */

static void unit_flush(struct mm_dev *dev, const struct smmu_inval_flush *flush)
{
	struct unit *unit = to_unit(dev);
	struct rig *rig = unit->rig;

	atomic_inc(&rig->issues);
	unit->ready = ktime_add_ms(ktime_get(), rig->latency_ms);
}

static void unit_wait(struct mm_dev *dev, u64 ticket)
{
	struct unit *unit = to_unit(dev);
	struct rig *rig = unit->rig;

	atomic_inc(&rig->waits);
	if (atomic_read(&rig->issues) != rig->nr)
		atomic_inc(&rig->early);
	while (rig->latency_ms && ktime_before(ktime_get(), unit->ready))
		usleep_range(500, 1000);
	if (rig->park && current != rig->quick) {
		complete(&rig->arrived);
		wait_for_completion_timeout(&rig->go, TEST_SOON);
	}
	guard(raw_spinlock_irqsave)(&unit->lock);
	unit->over = max(unit->over, ticket);
}

/* More than the usual device does: a table, and a page too many. */
static void unit_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		     const struct smmu_inval_span *span)
{
	struct mm_dev *dev = to_mm_dev(si);
	struct unit *unit = to_unit(dev);
	unsigned int before = batch->nr;
	struct table *table;

	mm_dev_ops_two_phase.zap(si, batch, span);
	if (unit->beyond >= 0)
		smmu_inval_changed(batch, mm_page(dev, unit->beyond),
				   mm_page(dev, unit->beyond + 1) - 1,
				   SMMU_INVAL_CLEAR);
	if (!unit->tables || batch->nr == before)
		return;
	table = kmalloc(sizeof(*table), GFP_ATOMIC);
	if (!table)
		return;
	/* It goes with the batch, so with the next flush. */
	table->ticket = dev->ticket + 1;
	atomic_inc(&unit->made);
	smmu_inval_batch_free_later(batch, &table->node);
}

static void unit_free_tables(struct smmu_inval *si, struct llist_node *tables)
{
	struct unit *unit = to_unit(to_mm_dev(si));
	struct table *table, *next;

	llist_for_each_entry_safe(table, next, tables, node) {
		atomic_inc(&unit->freed);
		scoped_guard(raw_spinlock_irqsave, &unit->lock)
			if (table->ticket > unit->over)
				atomic_inc(&unit->early);
		kfree(table);
	}
}

static struct smmu_inval_ops unit_ops;

static int second_init(struct kunit *test)
{
	unit_ops = mm_dev_ops_two_phase;
	unit_ops.zap = unit_zap;
	unit_ops.free_tables = unit_free_tables;
	return 0;
}

static void add_dev(struct rig *rig, enum test_lock_kind kind,
		    const struct smmu_inval_config *cfg)
{
	struct unit *unit = &rig->unit[rig->nr];
	struct mm_dev *dev;

	unit->rig = rig;
	raw_spin_lock_init(&unit->lock);
	unit->beyond = -1;
	dev = mm_dev_new(rig->test, kind, &unit_ops, cfg, rig->base, PAGES);
	dev->ctx = unit;
	dev->flush_hook = unit_flush;
	dev->wait_hook = unit_wait;
	rig->dev[rig->nr++] = dev;
}

static void rig_free(void *rig)
{
	kfree(rig);
}

/* Memory, and devices that are not bound. */
static struct rig *rig_new(struct kunit *test, unsigned int nr,
			   enum test_lock_kind kind,
			   const struct smmu_inval_config *cfg)
{
	struct rig *rig = kzalloc(sizeof(*rig), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, rig);
	/* After the devices, which use it until they are unbound. */
	mm_defer(test, rig_free, rig);
	rig->test = test;
	rig->quick = current;
	init_completion(&rig->start);
	init_completion(&rig->arrived);
	init_completion(&rig->go);
	rig->mm = mm_attach(test);
	rig->base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, rig->base, PAGES * PAGE_SIZE);
	while (nr--)
		add_dev(rig, kind, cfg);
	return rig;
}

static void rig_forget(struct rig *rig)
{
	atomic_set(&rig->issues, 0);
	atomic_set(&rig->waits, 0);
	atomic_set(&rig->early, 0);
}

static void rig_bind(struct rig *rig)
{
	unsigned int i;

	for (i = 0; i < rig->nr; i++) {
		mm_dev_bind(rig->dev[i], MM_INTERVAL, rig->mm);
		mm_dev_populate(rig->dev[i], true);
	}
	rig_forget(rig);
}

static struct rig *rig_bound(struct kunit *test, unsigned int nr,
			     enum test_lock_kind kind)
{
	struct rig *rig = rig_new(test, nr, kind, NULL);

	rig_bind(rig);
	return rig;
}

static struct mm_advice dontneed(const struct rig *rig, unsigned int page,
				 unsigned int nr)
{
	return (struct mm_advice) {
		.addr = rig->base + page * PAGE_SIZE,
		.len = nr * PAGE_SIZE,
		.advice = MADV_DONTNEED,
	};
}

static int zap(const struct rig *rig, unsigned int page, unsigned int nr)
{
	struct mm_advice advice = dontneed(rig, page, nr);

	return mm_advise(&advice);
}

static struct mmu_notifier_range clear(const struct rig *rig, unsigned int page,
				       unsigned int nr)
{
	unsigned long start = rig->base + page * PAGE_SIZE;

	return mm_range(rig->mm, MMU_NOTIFY_CLEAR, start,
			start + nr * PAGE_SIZE);
}

/* Is anything in flight, or kept until something has landed? */
static bool in_flight(struct mm_dev *dev)
{
	unsigned long flags = 0;
	bool ret;

	mm_dev_lock(dev, &flags);
	ret = smmu_inval_flight_newest(&dev->si, 0, U64_MAX) ||
	      dev->ival.later.tables;
	mm_dev_unlock(dev, flags);
	return ret;
}

static void expect_quiet(struct rig *rig, const char *where)
{
	struct kunit *test = rig->test;
	unsigned int i;

	for (i = 0; i < rig->nr; i++) {
		struct unit *unit = &rig->unit[i];

		KUNIT_EXPECT_FALSE_MSG(test, in_flight(rig->dev[i]),
				       "%s: device %u", where, i);
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&unit->freed),
				    atomic_read(&unit->made), "%s: device %u",
				    where, i);
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&unit->early), 0,
				    "%s: device %u", where, i);
	}
}

static void between_hook(struct mm_probe *probe,
			 const struct mmu_notifier_range *range)
{
	struct rig *rig = probe->ctx;

	rig->issues_between = atomic_read(&rig->issues);
	rig->waits_between = atomic_read(&rig->waits);
}

/* Section 6: all are issued before any is waited for, and each is, once. */
static void second_order(struct kunit *test)
{
	struct mm_probe *probe;
	struct rig *rig;
	unsigned int i;

	choose(way_native(test));
	rig = rig_bound(test, DEVICES, TEST_MUTEX);
	probe = mm_probe_new(test, rig->mm);
	probe->ctx = rig;
	probe->start_hook = between_hook;
	KUNIT_EXPECT_EQ(test, zap(rig, 0, HALF), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->issues), DEVICES);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), DEVICES);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->early), 0);
	KUNIT_EXPECT_EQ(test, rig->issues_between, DEVICES);
	KUNIT_EXPECT_EQ(test, rig->waits_between,
			way_native(test) ? DEVICES : 0);
	for (i = 0; i < DEVICES; i++) {
		KUNIT_EXPECT_EQ(test, rig->dev[i]->issued, 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&rig->dev[i]->waited), 1);
		/* One's own flush is not that of another. */
		KUNIT_EXPECT_EQ(test, mm_dev_counter(rig->dev[i], waits), 0);
		mm_dev_expect_coherent(rig->dev[i], "after");
	}
	/* Nothing to do, nothing in flight: no wait (I9). */
	rig_forget(rig);
	KUNIT_EXPECT_EQ(test, zap(rig, 0, HALF), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->issues), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 0);
	expect_quiet(rig, "after");
}

/* Any kind of lock, also one that spins. */
static void second_lock_kinds(struct kunit *test)
{
	const enum test_lock_kind *kind = test->param_value;
	struct rig *rig;
	unsigned int i;

	choose(false);
	rig = rig_bound(test, 2, *kind);
	KUNIT_EXPECT_EQ(test, zap(rig, 1, HALF), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->early), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, mm_dev_count(rig->dev[i], true), HALF);
		mm_dev_expect_coherent(rig->dev[i], "after");
	}
	expect_quiet(rig, "after");
}

/* Issue 3: as slow as the slowest device, not as all of them together. */
static void second_latency(struct kunit *test)
{
	s64 ms, best = S64_MAX;
	struct rig *rig;
	unsigned int i;

	choose(way_native(test));
	rig = rig_bound(test, DEVICES, TEST_MUTEX);
	rig->latency_ms = LATENCY_MS;
	/* The machine may be busy: the best of a few. */
	for (i = 0; i < 5 && best >= 2 * LATENCY_MS; i++) {
		ktime_t start = ktime_get();

		KUNIT_EXPECT_EQ(test, zap(rig, i, 1), 0);
		ms = ktime_ms_delta(ktime_get(), start);
		KUNIT_EXPECT_GE(test, ms, LATENCY_MS);
		best = min(best, ms);
	}
	kunit_info(test, "%lld ms with %d devices of %d ms\n", best, DEVICES,
		   LATENCY_MS);
	KUNIT_EXPECT_LT(test, best, 2 * LATENCY_MS);
	rig->latency_ms = 0;
}

/* A thread whose device does not answer; it is the first that waits. */
static void park(struct rig *rig, struct mm_thread *thread,
		 struct mm_advice *advice)
{
	rig->park = true;
	mm_thread_start(rig->test, thread, rig->mm, 1, mm_advise, advice);
	KUNIT_EXPECT_TRUE(rig->test, wait_for_completion_timeout(&rig->arrived,
								 TEST_SOON));
}

static void unpark(struct rig *rig)
{
	rig->park = false;
	complete_all(&rig->go);
}

/*
 * I2: who finds nothing left to change waits for the flush in flight all the
 * same, and who invalidates something else does not.
 */
static void second_nothing_to_change(struct kunit *test)
{
	struct mm_advice advice, elsewhere;
	struct mm_thread first, same, far;
	struct rig *rig;
	unsigned int i;

	choose(way_native(test));
	rig = rig_bound(test, 2, TEST_MUTEX);
	KUNIT_EXPECT_EQ(test, zap(rig, HALF + 1, 1), 0);
	advice = dontneed(rig, 0, HALF);
	elsewhere = dontneed(rig, HALF + 1, 1);
	park(rig, &first, &advice);
	mm_thread_start(test, &far, rig->mm, 0, mm_advise, &elsewhere);
	KUNIT_EXPECT_FALSE(test, test_thread_blocked(&far.thread));
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &far), 0);
	mm_thread_start(test, &same, rig->mm, 0, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&same.thread));
	KUNIT_EXPECT_TRUE(test, mm_dev_reaches(rig->dev[1], 0, false));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig->dev[1], 0, false));
	/* This thread's devices answer. */
	KUNIT_EXPECT_EQ(test, zap(rig, HALF, 1), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[0], HALF, false));
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[1], HALF, false));
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&first.thread));
	unpark(rig);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &same), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, rig->dev[i]->issued, 3);
		mm_dev_expect_coherent(rig->dev[i], "after");
	}
	expect_quiet(rig, "after");
}

/* The same for what lies before it, of the same interval. */
static void second_elsewhere(struct kunit *test)
{
	struct mm_advice advice, elsewhere;
	struct mm_thread first, far;
	struct rig *rig;

	choose(way_native(test));
	rig = rig_bound(test, 2, TEST_MUTEX);
	KUNIT_EXPECT_EQ(test, zap(rig, 1, 1), 0);
	advice = dontneed(rig, HALF, HALF);
	elsewhere = dontneed(rig, 1, 1);
	park(rig, &first, &advice);
	mm_thread_start(test, &far, rig->mm, 0, mm_advise, &elsewhere);
	KUNIT_EXPECT_FALSE(test, test_thread_blocked(&far.thread));
	unpark(rig);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &far), 0);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	expect_quiet(rig, "after");
}

/* I6: who may not block has flushed when it returns, and leaves nothing. */
static void second_nonblock(struct kunit *test)
{
	struct mmu_notifier_range range;
	struct mm_advice advice;
	struct mm_thread first;
	struct rig *rig;
	unsigned int i;

	choose(false);
	rig = rig_bound(test, DEVICES, TEST_MUTEX);
	for (i = 0; i < DEVICES; i++)
		rig->unit[i].tables = true;
	range = clear(rig, 0, 1);
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			0);
	for (i = 0; i < DEVICES; i++) {
		KUNIT_EXPECT_EQ(test, rig->dev[i]->flushes, 1);
		KUNIT_EXPECT_EQ(test, rig->dev[i]->issued, 0);
		KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[i], 0, false));
		KUNIT_EXPECT_FALSE(test, in_flight(rig->dev[i]));
		KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[i].freed), 1);
		/* A flush that is over at once has no ticket. */
		atomic_set(&rig->unit[i].early, 0);
	}
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 0);
	for (i = 0; i < DEVICES; i++)
		rig->unit[i].tables = false;

	/* Flushes that are in flight elsewhere are none of its business ... */
	advice = dontneed(rig, HALF, 1);
	park(rig, &first, &advice);
	range = clear(rig, 1, 1);
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[3], 1, false));
	mmu_notifier_invalidate_range_end(&range);
	/* ... and here it would have to wait for them. */
	range = clear(rig, HALF, 1);
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			-EAGAIN);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 1);
	unpark(rig);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	for (i = 0; i < DEVICES; i++)
		mm_dev_expect_coherent(rig->dev[i], "after");
	expect_quiet(rig, "after");
}

/* I1: a driver may change more than it was asked to. */
static void second_beyond(struct kunit *test)
{
	struct mmu_notifier_range range;
	struct mm_dev *dev;
	struct rig *rig;

	choose(way_native(test));
	rig = rig_bound(test, 1, TEST_MUTEX);
	dev = rig->dev[0];
	/* What is asked for is not mapped, so only the rest is flushed. */
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	rig_forget(rig);
	rig->unit[0].beyond = PAGES - 1;
	range = clear(rig, 0, 1);
	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->issues), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 1);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(dev, PAGES - 1, false));
	mmu_notifier_invalidate_range_end(&range);
	expect_quiet(rig, "after");
}

/* I2: page-table pages are freed once, when their flush has landed. */
static void second_tables(struct kunit *test)
{
	struct mm_thread first, other;
	struct mm_advice advice, elsewhere;
	struct rig *rig;
	unsigned int i;

	choose(way_native(test));
	rig = rig_bound(test, DEVICES, TEST_MUTEX);
	for (i = 0; i < DEVICES; i++)
		rig->unit[i].tables = true;
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	for (i = 0; i < DEVICES; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[i].freed), 1);
	expect_quiet(rig, "one");

	/* None while the device is busy, with two callbacks that overlap. */
	advice = dontneed(rig, 1, 1);
	elsewhere = dontneed(rig, HALF, 1);
	park(rig, &first, &advice);
	mm_thread_start(test, &other, rig->mm, 0, mm_advise, &elsewhere);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&other.thread));
	for (i = 0; i < DEVICES; i++) {
		/* core mm's way, the second waits for the first device first. */
		if (!i || !way_native(test))
			KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[i].made), 3);
		KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[i].freed), 1);
	}
	unpark(rig);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &other), 0);
	expect_quiet(rig, "two");
}

/* A second callback comes between the passes of the first, and stays there. */
static void both_hook(struct mm_probe *probe,
		      const struct mmu_notifier_range *range)
{
	struct rig *rig = probe->ctx;

	if (current != rig->quick) {
		complete(&rig->arrived);
		wait_for_completion_timeout(&rig->go, TEST_SOON);
		return;
	}
	complete(&rig->start);
	wait_for_completion_timeout(&rig->arrived, TEST_SOON);
}

static int zap_when_told(void *arg)
{
	struct rig *rig = arg;

	wait_for_completion_timeout(&rig->start, TEST_SOON);
	return zap(rig, HALF, 1);
}

/* The first one frees the tables of both, and waits for the flushes of both. */
static void second_tables_of_others(struct kunit *test)
{
	struct mm_thread other;
	struct mm_probe *probe;
	struct rig *rig;

	choose(false);
	rig = rig_bound(test, 1, TEST_MUTEX);
	rig->unit[0].tables = true;
	probe = mm_probe_new(test, rig->mm);
	probe->ctx = rig;
	probe->start_hook = both_hook;
	mm_thread_start(test, &other, rig->mm, 1, zap_when_told, rig);
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[0].made), 2);
	expect_quiet(rig, "first");
	complete_all(&rig->go);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &other), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[0], HALF, false));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[0].made), 2);
	expect_quiet(rig, "second");
}

/* The driver itself waits for what is in flight. */
static void drain_hook(struct mm_probe *probe,
		       const struct mmu_notifier_range *range)
{
	struct rig *rig = probe->ctx;
	struct mm_dev *dev = rig->dev[0];
	unsigned long flags = 0;

	CLASS(smmu_inval_drain, drain)(&dev->si);

	mm_dev_lock(dev, &flags);
	smmu_inval_drain_range(&drain, 0, U64_MAX);
	mm_dev_unlock(dev, flags);
}

/* Tables are freed by the second pass also if there is nothing to wait for. */
static void second_tables_landed(struct kunit *test)
{
	struct mm_probe *probe;
	struct rig *rig;

	choose(false);
	rig = rig_bound(test, 1, TEST_MUTEX);
	rig->unit[0].tables = true;
	probe = mm_probe_new(test, rig->mm);
	probe->ctx = rig;
	probe->start_hook = drain_hook;
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[0].made), 1);
	expect_quiet(rig, "after");
}

/* An odd range is everything, in both passes. */
static void second_odd(struct kunit *test)
{
	struct mmu_notifier_range range;
	struct rig *rig;

	choose(way_native(test));
	rig = rig_bound(test, 1, TEST_MUTEX);
	/* All but the last page, which is not in the range. */
	KUNIT_EXPECT_EQ(test, zap(rig, 0, PAGES - 1), 0);
	range = clear(rig, 5, 1);
	range.end = range.start - PAGE_SIZE;
	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig->dev[0], PAGES - 1, false));
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[0], PAGES - 1, false));
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig->dev[0], odd_ranges), 1);
	expect_quiet(rig, "after");
}

/* What happens between the passes, in a thread of its own. */
struct meddler {
	struct rig *rig;
	struct test_thread thread;
	struct completion go;
	int (*fn)(void *arg);
	bool blocked;
};

static int meddle(void *arg)
{
	struct meddler *meddler = arg;

	wait_for_completion_timeout(&meddler->go, TEST_SOON);
	return meddler->fn(meddler->rig);
}

/* The thread waits: none can be made in a callback. */
static void meddler_start(struct meddler *meddler, struct rig *rig,
			  int (*fn)(void *arg))
{
	meddler->rig = rig;
	meddler->fn = fn;
	init_completion(&meddler->go);
	test_thread_start(rig->test, &meddler->thread, 1, meddle, meddler);
}

static void meddler_go(struct meddler *meddler)
{
	struct rig *rig = meddler->rig;

	rig->issues_between = atomic_read(&rig->issues);
	rig->waits_between = atomic_read(&rig->waits);
	complete(&meddler->go);
	meddler->blocked = test_thread_blocked(&meddler->thread);
}

static void meddle_hook(struct mm_probe *probe,
			const struct mmu_notifier_range *range)
{
	probe->start_hook = NULL;
	meddler_go(probe->ctx);
}

static void meddle_between(struct rig *rig, struct meddler *meddler,
			   int (*fn)(void *arg))
{
	struct mm_probe *probe = mm_probe_new(rig->test, rig->mm);

	meddler_start(meddler, rig, fn);
	probe->ctx = meddler;
	probe->start_hook = meddle_hook;
}

static int bind_last(void *arg)
{
	struct rig *rig = arg;

	return mm_dev_try_bind(rig->dev[1], MM_INTERVAL, rig->mm);
}

/* An interval that had no first pass does not mind the second. */
static void second_insert_between(struct kunit *test)
{
	struct mmu_notifier_range range;
	struct meddler meddler;
	struct rig *rig;

	choose(false);
	rig = rig_new(test, 2, TEST_MUTEX, NULL);
	mm_dev_bind(rig->dev[0], MM_INTERVAL, rig->mm);
	mm_dev_populate(rig->dev[0], true);
	meddle_between(rig, &meddler, bind_last);
	range = clear(rig, 0, 1);
	/* Without mmap_lock, which the insertion takes. */
	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_FALSE(test, meddler.blocked);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &meddler.thread), 0);
	KUNIT_EXPECT_EQ(test, rig->issues_between, 1);
	KUNIT_EXPECT_EQ(test, rig->waits_between, 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[0], 0, false));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->dev[0]->waited), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->dev[1]->waited), 0);
	mmu_notifier_invalidate_range_end(&range);
	/* From now on it is like any other. */
	mm_dev_populate(rig->dev[1], true);
	KUNIT_EXPECT_EQ(test, zap(rig, 1, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->dev[1]->waited), 1);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[1], 1, false));
	expect_quiet(rig, "after");
}

/* Where nothing is mapped. */
static int clear_nonblock(void *arg)
{
	struct rig *rig = arg;
	struct mmu_notifier_range range = clear(rig, HALF, 1);
	int ret;

	ret = mmu_notifier_invalidate_range_start_nonblock(&range);
	if (!ret)
		mmu_notifier_invalidate_range_end(&range);
	return ret ?: atomic_read(&rig->waits);
}

/* I6: who may not block takes no tables along, whose flush is in flight. */
static void second_nonblock_between(struct kunit *test)
{
	struct meddler meddler;
	struct rig *rig;

	choose(false);
	rig = rig_bound(test, 1, TEST_MUTEX);
	KUNIT_EXPECT_EQ(test, zap(rig, HALF, 1), 0);
	rig_forget(rig);
	rig->unit[0].tables = true;
	meddle_between(rig, &meddler, clear_nonblock);
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	KUNIT_EXPECT_FALSE(test, meddler.blocked);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &meddler.thread), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[0].made), 1);
	expect_quiet(rig, "after");
}

static int unbind_first(void *arg)
{
	struct rig *rig = arg;

	mm_dev_unbind(rig->dev[0]);
	return 0;
}

/* I10: removal waits for the second pass of what had a first one. */
static void second_remove_between(struct kunit *test)
{
	struct mmu_notifier_range range;
	struct meddler meddler;
	struct rig *rig;

	choose(false);
	rig = rig_bound(test, 2, TEST_MUTEX);
	rig->unit[0].tables = true;
	meddle_between(rig, &meddler, unbind_first);
	range = clear(rig, 0, 1);
	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_TRUE(test, meddler.blocked);
	KUNIT_EXPECT_EQ(test, rig->issues_between, 2);
	KUNIT_EXPECT_EQ(test, rig->waits_between, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 2);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[0], 0, false));
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&meddler.thread));
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &meddler.thread), 0);
	/* The other one goes on. */
	KUNIT_EXPECT_EQ(test, zap(rig, 1, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->dev[0]->waited), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->dev[1]->waited), 2);
	expect_quiet(rig, "after");
}

/*
 * I10: removal also waits for who walks the list without having been called in
 * a first pass: who walks may look at an interval until it has gone on.
 */
static void second_remove_walked(struct kunit *test)
{
	struct mmu_notifier_range range;
	struct meddler meddler;
	struct rig *rig;

	choose(false);
	rig = rig_bound(test, 2, TEST_MUTEX);
	meddle_between(rig, &meddler, unbind_first);
	/* Next to all intervals. */
	range = clear(rig, PAGES, 1);
	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_TRUE(test, meddler.blocked);
	/* Who walked is gone, which is all that it waited for. */
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &meddler.thread), 0);
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 0);
}

struct holder {
	struct mm_dev *dev;
	struct completion held;
	struct completion drop;
};

static int hold_lock(void *arg)
{
	struct holder *holder = arg;
	unsigned long flags = 0;

	mm_dev_lock(holder->dev, &flags);
	complete(&holder->held);
	wait_for_completion_timeout(&holder->drop, TEST_SOON);
	mm_dev_unlock(holder->dev, flags);
	return 0;
}

static int send(void *arg)
{
	struct mmu_notifier_range *range = arg;

	mmu_notifier_invalidate_range_start(range);
	mmu_notifier_invalidate_range_end(range);
	return 0;
}

/*
 * Section 4: exclusive access of the driver's own is ignored, also if something
 * is in flight: the driver may hold its lock. And so it may where the interval
 * does not reach.
 */
static void second_owner(struct kunit *test)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct test_thread holding, sending, sending_far;
	struct mmu_notifier_range range, far;
	struct mm_advice advice;
	struct holder holder;
	struct mm_thread first;
	struct rig *rig;

	choose(way_native(test));
	cfg.owner = &cfg;
	rig = rig_new(test, 1, TEST_MUTEX, &cfg);
	rig_bind(rig);
	advice = dontneed(rig, 0, HALF);
	park(rig, &first, &advice);
	holder.dev = rig->dev[0];
	init_completion(&holder.held);
	init_completion(&holder.drop);
	test_thread_start(test, &holding, 0, hold_lock, &holder);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&holder.held,
							    TEST_SOON));
	range = clear(rig, 0, 1);
	range.event = MMU_NOTIFY_EXCLUSIVE;
	range.owner = &cfg;
	far = clear(rig, PAGES, 1);
	test_thread_start(test, &sending, 1, send, &range);
	test_thread_start(test, &sending_far, 1, send, &far);
	KUNIT_EXPECT_FALSE(test, test_thread_blocked(&sending));
	KUNIT_EXPECT_FALSE(test, test_thread_blocked(&sending_far));
	complete(&holder.drop);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &sending), 0);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &sending_far), 0);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &holding), 0);
	unpark(rig);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	expect_quiet(rig, "after");
}

/* Exit. */

static int bind_and_map(void *arg)
{
	struct rig *rig = arg;
	unsigned int i, page;
	int ret = 0;

	rig->mm = current->mm;
	for (i = 0; i < rig->nr && !ret; i++) {
		ret = mm_dev_try_bind(rig->dev[i], MM_INTERVAL, rig->mm);
		for (page = 0; page < PAGES && !ret; page++)
			ret = mm_dev_fault(rig->dev[i], page, true);
	}
	rig_forget(rig);
	return ret;
}

static int stop_child(void *child)
{
	mm_child_stop(child);
	return 0;
}

/* I1, I10: RELEASE too is issued on all, and over before a page is freed. */
static void second_exit_mm(struct kunit *test)
{
	struct mmu_notifier_range range;
	struct test_thread stop;
	struct mm_child child;
	struct rig *rig;
	unsigned int i;

	choose(way_native(test));
	rig = rig_new(test, DEVICES, TEST_MUTEX, NULL);
	for (i = 0; i < DEVICES; i++)
		rig->unit[i].tables = true;
	KUNIT_ASSERT_EQ(test, mm_child_start(&child, 0, bind_and_map, rig), 0);
	KUNIT_EXPECT_EQ(test, child.ret, 0);
	rig->park = true;
	test_thread_start(test, &stop, 1, stop_child, &child);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&rig->arrived,
							    TEST_SOON));
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&stop));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->issues), DEVICES);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 1);
	KUNIT_EXPECT_TRUE(test, mm_dev_reaches(rig->dev[0], 0, false));
	unpark(rig);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &stop), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), DEVICES);
	for (i = 0; i < DEVICES; i++) {
		KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[i], 0, false));
		KUNIT_EXPECT_TRUE(test, smmu_inval_interval_is_dead(&rig->dev[i]->ival));
	}
	expect_quiet(rig, "exit");

	/*
	 * The file is open yet, and others may still invalidate what they had
	 * begun to. core mm has forgotten about the second pass.
	 */
	rig_forget(rig);
	rig->unit[0].beyond = 0;
	range = clear(rig, 0, 1);
	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->issues), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 1);
	mmu_notifier_invalidate_range_end(&range);
	expect_quiet(rig, "late");
	for (i = 0; i < DEVICES; i++)
		mm_dev_unbind(rig->dev[i]);
}

/* A notifier that is released before the library's. */
struct releaser {
	struct mmu_notifier mn;
	struct meddler meddler;
};

/* The first device goes between the passes of RELEASE. */
static void releaser_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	meddler_go(&container_of(mn, struct releaser, mn)->meddler);
}

static const struct mmu_notifier_ops releaser_ops = {
	.release = releaser_release,
};

static int bind_and_watch(void *arg)
{
	struct releaser *releaser = arg;
	int ret = bind_and_map(releaser->meddler.rig);

	return ret ?: mmu_notifier_register(&releaser->mn, current->mm);
}

/*
 * I1, I10: core mm lets an interval go when RELEASE has had its first pass. Who
 * removes it then waits for its flush, and exit_mmap() does so, too.
 */
static void second_remove_in_exit(struct kunit *test)
{
	struct releaser releaser = { .mn.ops = &releaser_ops };
	struct test_thread stop;
	struct mm_child child;
	struct rig *rig;

	choose(false);
	rig = rig_new(test, 1, TEST_MUTEX, NULL);
	rig->unit[0].tables = true;
	meddler_start(&releaser.meddler, rig, unbind_first);
	KUNIT_EXPECT_EQ(test, mm_child_start(&child, 0, bind_and_watch, &releaser),
			0);
	KUNIT_EXPECT_EQ(test, child.ret, 0);
	rig->park = true;
	test_thread_start(test, &stop, 1, stop_child, &child);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&rig->arrived,
							    TEST_SOON));
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&stop));
	/* Another moment, for the hook to return. */
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&stop));
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&stop));
	KUNIT_EXPECT_EQ(test, rig->issues_between, 1);
	KUNIT_EXPECT_EQ(test, rig->waits_between, 0);
	KUNIT_EXPECT_TRUE(test, releaser.meddler.blocked);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[0].freed), 0);
	unpark(rig);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &stop), 0);
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &releaser.meddler.thread), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[0], 0, false));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->unit[0].freed), 1);
	expect_quiet(rig, "after");
	mmu_notifier_unregister(&releaser.mn, releaser.mn.mm);
}

/* fork() copies no notifier: what the child does concerns nobody here. */
static int zap_in_child(void *arg)
{
	return zap(arg, 0, PAGES);
}

static void second_fork(struct kunit *test)
{
	struct mm_child child;
	struct rig *rig;

	choose(false);
	rig = rig_bound(test, 2, TEST_MUTEX);
	KUNIT_ASSERT_EQ(test, mm_child_start(&child, 0, zap_in_child, rig), 0);
	KUNIT_EXPECT_EQ(test, child.ret, 0);
	/* Write-protected by the fork itself. */
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->issues), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->waits), 2);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig->dev[0], false), PAGES);
	mm_child_stop(&child);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig->issues), 2);
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig->dev[1], 0, false));
	expect_quiet(rig, "after");
}

/* Core mm refuses an interval at the last moment: nothing of it stays. */
static void second_interrupted(struct kunit *test)
{
	struct smmu_inval_interval other = {};
	struct mm_dev *dev;
	struct rig *rig;
	int ret;

	choose(way_native(test));
	rig = rig_new(test, 1, TEST_MUTEX, NULL);
	dev = rig->dev[0];
	/* The library's notifier is there, so that core mm's comes to fail. */
	other.si = &dev->si;
	if (!way_native(test))
		KUNIT_ASSERT_EQ(test, smmu_inval_second_join(&other, rig->mm,
							     false), 0);
	set_thread_flag(TIF_SIGPENDING);
	ret = mm_dev_try_bind(dev, MM_INTERVAL, rig->mm);
	clear_thread_flag(TIF_SIGPENDING);
	KUNIT_EXPECT_EQ(test, ret, -EINTR);
	KUNIT_EXPECT_NULL(test, dev->ival.records);
	KUNIT_EXPECT_NULL(test, dev->ival.second);
	KUNIT_EXPECT_NULL(test, dev->ival.peers);
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	mm_dev_bind(dev, MM_INTERVAL, rig->mm);
	mm_touch(test, rig->base, PAGE_SIZE);
	mm_dev_populate(dev, true);
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->waited), 1);
	expect_quiet(rig, "after");
	smmu_inval_second_leave(&other);
}

/* Inserted in a driver's mmap(). */
static void second_insert_locked(struct kunit *test)
{
	struct mm_dev *dev;
	struct rig *rig;
	int ret;

	choose(way_native(test));
	rig = rig_new(test, 1, TEST_MUTEX, NULL);
	dev = rig->dev[0];
	mmap_write_lock(rig->mm);
	ret = smmu_inval_interval_insert_locked(&dev->ival, &dev->si, rig->mm,
						rig->base,
						rig->base + PAGES * PAGE_SIZE - 1,
						8);
	mmap_write_unlock(rig->mm);
	KUNIT_ASSERT_EQ(test, ret, 0);
	dev->binding = MM_INTERVAL;
	dev->mm = rig->mm;
	mm_dev_populate(dev, true);
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->waited), 1);
	expect_quiet(rig, "after");
}

static int module_exit_waits(void *arg)
{
	struct completion *over = arg;

	smmu_inval_second_exit();
	complete(over);
	return 0;
}

/* The module stays until the last of the library's notifiers is freed. */
static void second_module_exit(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(over);
	struct smmu_inval_interval ival = {};
	struct mm_thread thread;
	struct rig *rig;

	rig = rig_new(test, 1, TEST_MUTEX, NULL);
	ival.si = &rig->dev[0]->si;
	KUNIT_ASSERT_EQ(test, smmu_inval_second_join(&ival, rig->mm, false), 0);
	mm_thread_start(test, &thread, rig->mm, 0, module_exit_waits, &over);
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&over, HZ / 10), 0);
	smmu_inval_second_leave(&ival);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&over, 10 * HZ), 0);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &thread), 0);
}

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
/* Each allocation of an insertion fails in turn, and leaves nothing. */
static void second_no_memory(struct kunit *test)
{
	unsigned int nth, left = 0;
	struct mm_dev *dev;
	struct rig *rig;
	int ret = 0;

	choose(way_native(test));
	rig = rig_new(test, 1, TEST_MUTEX, NULL);
	dev = rig->dev[0];
	smmu_inval_fail_alloc.verbose = 0;
	for (nth = 1; nth < 10 && !left; nth++) {
		current->fail_nth = nth;
		ret = mm_dev_try_bind(dev, MM_INTERVAL, rig->mm);
		left = current->fail_nth;
		current->fail_nth = 0;
		if (!left)
			KUNIT_EXPECT_EQ_MSG(test, ret, -ENOMEM, "allocation %u",
					    nth);
		KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	}
	/* The records, and the second pass */
	KUNIT_EXPECT_GT(test, nth, 2);
	KUNIT_ASSERT_EQ(test, ret, 0);
	mm_touch(test, rig->base, PAGE_SIZE);
	mm_dev_populate(dev, true);
	KUNIT_EXPECT_EQ(test, zap(rig, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->waited), 1);
	expect_quiet(rig, "after");
}
#endif

/* Races. */

struct racer {
	struct rig *rig;
	unsigned int first;
	unsigned int nr;
	unsigned int nr_devs;
	unsigned long until;
	unsigned int rounds;
	unsigned int stale;
	struct mm_thread thread;
};

/* Of a racer's pages, nothing is left in a device when it is zapped. */
static int race_zap(void *arg)
{
	struct racer *racer = arg;
	struct rig *rig = racer->rig;
	struct rnd_state random;
	unsigned int i, page, nr;
	int ret = 0;

	prandom_seed_state(&random, racer->first + 1);
	/* Once at least, also if the CPU comes too late. */
	do {
		page = prandom_u32_state(&random) % racer->nr;
		nr = 1 + prandom_u32_state(&random) % (racer->nr - page);
		page += racer->first;
		for (i = 0; i < racer->nr_devs && !ret; i++)
			ret = mm_dev_fault(rig->dev[i], page, true);
		ret = ret ?: zap(rig, page, nr);
		for (i = 0; i < racer->nr_devs; i++)
			racer->stale += mm_dev_reaches(rig->dev[i], page, false);
		racer->rounds++;
		cond_resched();
	} while (time_before(jiffies, racer->until) && !ret);
	return ret;
}

/*
 * I1, I10: invalidations that overlap, on all CPUs, while the last device comes
 * and goes. Each racer faults pages of its own, and the last device those of
 * this thread.
 */
static void second_races(struct kunit *test)
{
	struct racer racer[2] = {};
	unsigned int i, rounds = 0, stale = 0;
	const unsigned int last = DEVICES - 1;
	unsigned long until;
	struct mm_dev *dev;
	struct rig *rig;

	choose(way_native(test));
	rig = rig_bound(test, DEVICES, TEST_MUTEX);
	dev = rig->dev[last];
	for (i = 0; i < DEVICES; i++)
		rig->unit[i].tables = true;
	until = jiffies + msecs_to_jiffies(test_race_ms);
	for (i = 0; i < ARRAY_SIZE(racer); i++) {
		racer[i].rig = rig;
		racer[i].first = i * 4;
		racer[i].nr = 4;
		racer[i].nr_devs = last;
		racer[i].until = until;
		mm_thread_start(test, &racer[i].thread, rig->mm, i, race_zap,
				&racer[i]);
	}
	do {
		for (i = HALF; i < PAGES; i++)
			KUNIT_EXPECT_EQ(test, mm_dev_fault(dev, i, true), 0);
		KUNIT_EXPECT_EQ(test, zap(rig, HALF, PAGES - HALF), 0);
		for (i = HALF; i < PAGES; i++)
			stale += mm_dev_reaches(dev, i, false);
		mm_dev_unbind(dev);
		KUNIT_EXPECT_FALSE(test, in_flight(dev));
		rounds++;
		if (mm_dev_try_bind(dev, MM_INTERVAL, rig->mm)) {
			KUNIT_FAIL(test, "cannot be bound again");
			break;
		}
		cond_resched();
	} while (time_before(jiffies, until));
	for (i = 0; i < ARRAY_SIZE(racer); i++) {
		KUNIT_EXPECT_EQ(test, mm_thread_join(test, &racer[i].thread), 0);
		KUNIT_EXPECT_EQ(test, racer[i].stale, 0);
		KUNIT_EXPECT_GT(test, racer[i].rounds, 0);
	}
	kunit_info(test, "%u and %u invalidations, %u insertions\n",
		   racer[0].rounds, racer[1].rounds, rounds);
	KUNIT_EXPECT_EQ(test, stale, 0);
	KUNIT_EXPECT_GT(test, rounds, 0);
	for (i = 0; i < DEVICES; i++) {
		KUNIT_EXPECT_GT(test, atomic_read(&rig->unit[i].made), 0);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(rig->dev[i]->si.safe_side));
	}
	expect_quiet(rig, "after");
}

KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

static struct kunit_case second_cases[] = {
	KUNIT_CASE_PARAM(second_order, way_gen_params),
	KUNIT_CASE_PARAM(second_lock_kinds, test_lock_gen_params),
	KUNIT_CASE_PARAM(second_latency, way_gen_params),
	KUNIT_CASE_PARAM(second_nothing_to_change, way_gen_params),
	KUNIT_CASE_PARAM(second_elsewhere, way_gen_params),
	KUNIT_CASE(second_nonblock),
	KUNIT_CASE_PARAM(second_beyond, way_gen_params),
	KUNIT_CASE_PARAM(second_tables, way_gen_params),
	KUNIT_CASE(second_tables_of_others),
	KUNIT_CASE(second_tables_landed),
	KUNIT_CASE_PARAM(second_odd, way_gen_params),
	KUNIT_CASE(second_insert_between),
	KUNIT_CASE(second_nonblock_between),
	KUNIT_CASE(second_remove_between),
	KUNIT_CASE(second_remove_walked),
	KUNIT_CASE_PARAM(second_owner, way_gen_params),
	KUNIT_CASE_PARAM(second_exit_mm, way_gen_params),
	KUNIT_CASE(second_remove_in_exit),
	KUNIT_CASE(second_fork),
	KUNIT_CASE_PARAM(second_interrupted, way_gen_params),
	KUNIT_CASE_PARAM(second_insert_locked, way_gen_params),
	KUNIT_CASE(second_module_exit),
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
	KUNIT_CASE_PARAM(second_no_memory, way_gen_params),
#endif
	KUNIT_CASE_PARAM(second_races, way_gen_params),
	{}
};

static struct kunit_suite second_suite = {
	.name = "smmu_inval_second",
	.init = second_init,
	.exit = second_exit,
	.test_cases = second_cases,
};

kunit_test_suite(second_suite);
