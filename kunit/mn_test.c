// SPDX-License-Identifier: GPL-2.0
/*
 * The binding to start and end callbacks, with real changes to real address
 * spaces. Probes registered before the device are called after it, and hold an
 * invalidation open for as long as a test needs; probes registered after it
 * see it between start and end.
 */
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mm_helpers.h"

#define PAGES	16
#define HALF	(PAGES / 2)

KUNIT_ARRAY_PARAM(mm_sender, mm_senders, mm_sender_desc);
KUNIT_ARRAY_PARAM(test_lock, test_locks, test_lock_desc);

/* A device on 16 pages of memory, all mapped, and the probe that follows it. */
struct mn_rig {
	struct kunit *test;
	struct mm_struct *mm;
	struct mm_probe *probe;
	struct mm_dev *dev;
	unsigned long base;
};

static struct mn_rig mn_rig(struct kunit *test, const struct smmu_inval_ops *ops,
			    const struct smmu_inval_config *cfg)
{
	struct mn_rig rig = { .test = test };

	rig.mm = mm_attach(test);
	rig.base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, rig.base, PAGES * PAGE_SIZE);
	rig.probe = mm_probe_new(test, rig.mm);
	rig.dev = mm_dev_new(test, TEST_SPINLOCK, ops, cfg, rig.base, PAGES);
	mm_dev_bind(rig.dev, MM_MN, rig.mm);
	mm_dev_populate(rig.dev, true);
	mm_probe_forget(rig.probe);
	return rig;
}

static int rig_advise(struct mn_rig *rig, unsigned int page, unsigned int nr,
		      int advice)
{
	struct mm_advice args = {
		.addr = rig->base + page * PAGE_SIZE,
		.len = nr * PAGE_SIZE,
		.advice = advice,
	};

	return mm_advise(&args);
}

static int rig_mprotect(struct mn_rig *rig, unsigned int page, unsigned int nr,
			unsigned long prot)
{
	return mm_sys_mprotect(rig->base + page * PAGE_SIZE, nr * PAGE_SIZE, prot,
			       0, 0, 0);
}

/* Each sender in turn, with drivers that can do more or less. */

static u64 event_callbacks(struct mm_dev *dev, unsigned int event)
{
	return mm_dev_stat(dev, offsetof(struct smmu_inval_stats,
					 event[event].callbacks));
}

static void follow(struct kunit *test, const struct smmu_inval_ops *ops)
{
	const struct mm_sender *sender = test->param_value;
	struct mm_ctx *ctx = mm_sender_prepare(test, sender);
	struct mm_probe *probe = mm_probe_new(test, ctx->mm);
	u64 before[SMMU_INVAL_NR_EVENTS];
	unsigned int event, i;
	struct mm_dev *dev;

	dev = mm_dev_new(test, TEST_SPINLOCK, ops, NULL, ctx->base, ctx->nr);
	mm_dev_bind(dev, MM_MN, ctx->mm);
	mm_dev_populate(dev, true);
	KUNIT_ASSERT_EQ(test, mm_dev_count(dev, false), ctx->nr);
	mm_dev_snapshot(dev);
	mm_probe_forget(probe);
	for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++)
		before[event] = event_callbacks(dev, event);

	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	mm_dev_expect(dev, probe, sender->hugetlb, sender->name);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(dev, flushes_all), 0);
	if (ops->decide && ops->wrprotect)
		KUNIT_EXPECT_GE(test, mm_dev_count(dev, false), sender->spares);
	for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++)
		KUNIT_EXPECT_EQ_MSG(test, event_callbacks(dev, event) -
				    before[event], probe->starts[event], "%s",
				    smmu_inval_event_name(event));

	/* Nothing is left pending. */
	for (i = 0; i < dev->nr; i++)
		KUNIT_EXPECT_FALSE_MSG(test, mm_dev_pending(dev, i), "page %u", i);
	/* And what is mapped now can be mapped again. */
	mm_dev_populate(dev, true);
	KUNIT_EXPECT_EQ(test, dev->retries, 0);
	mm_dev_expect_coherent(dev, "afterwards");
}

/* I1, I9, I11, section 4: what each event demands happens, and no more. */
static void mn_follows(struct kunit *test)
{
	follow(test, &mm_dev_ops);
}

/* I1: a driver that can only zap is told to zap. */
static void mn_follows_zap_only(struct kunit *test)
{
	follow(test, &mm_dev_ops_zap_only);
}

/* I2: flushes in two phases are over when the callback returns. */
static void mn_follows_two_phase(struct kunit *test)
{
	follow(test, &mm_dev_ops_two_phase);
}

/* Section 4: the coarse switch does more, never less, and flushes everything. */
static void mn_follows_coarse(struct kunit *test)
{
	const struct mm_sender *sender = test->param_value;
	struct mm_ctx *ctx = mm_sender_prepare(test, sender);
	struct mm_dev *dev;

	dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, NULL, ctx->base,
			 ctx->nr);
	mm_dev_bind(dev, MM_MN, ctx->mm);
	smmu_inval_set_coarse(&dev->si, true);
	mm_dev_populate(dev, true);
	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	mm_dev_expect_coherent(dev, sender->name);
	KUNIT_EXPECT_NE(test, dev->flushes, 0);
	KUNIT_EXPECT_EQ(test, dev->flushes, dev->flushes_all);
	KUNIT_EXPECT_EQ(test, dev->decides, 0);
	mm_dev_populate(dev, true);
	mm_dev_expect_coherent(dev, "afterwards");
}

/* Section 6: a lock that sleeps is refused, since a start cannot fail. */
static void mn_lock_kinds(struct kunit *test)
{
	enum test_lock_kind kind = test_lock_param(test);
	struct mm_struct *mm = mm_attach(test);
	unsigned long base = mm_map(test, NULL, PAGES * PAGE_SIZE,
				    PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS);
	struct mm_dev *dev = mm_dev_new(test, kind, &mm_dev_ops, NULL, base,
					PAGES);

	if (test_lock_sleeps(kind)) {
		KUNIT_EXPECT_EQ(test, mm_dev_try_bind(dev, MM_MN, mm), -EINVAL);
		return;
	}
	mm_dev_bind(dev, MM_MN, mm);
	mm_touch(test, base, PAGES * PAGE_SIZE);
	mm_dev_populate(dev, true);
	KUNIT_ASSERT_EQ(test, vm_munmap(base, HALF * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), HALF);
	KUNIT_EXPECT_EQ(test, mm_sys_mprotect(base + HALF * PAGE_SIZE,
					      HALF * PAGE_SIZE, PROT_READ, 0, 0,
					      0), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), HALF);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, true), 0);
	mm_dev_expect_coherent(dev, "after");
}

/* Between start and end. */

struct between {
	struct mm_dev *dev;
	struct smmu_inval_cookie cookie;
	unsigned int calls;
	bool pending;
	bool pending_elsewhere;
	bool maps;
	bool writes;
	bool reaches;
	bool deferred;
};

static void between_hook(struct mm_probe *probe,
			 const struct mmu_notifier_range *range)
{
	struct between *between = probe->ctx;
	struct mm_dev *dev = between->dev;

	if (between->calls++)
		return;
	between->pending = mm_dev_pending(dev, 0);
	between->pending_elsewhere = mm_dev_pending(dev, HALF);
	between->maps = mm_dev_maps(dev, 0, false);
	between->writes = mm_dev_maps(dev, 0, true);
	between->reaches = mm_dev_reaches(dev, 0, false);
	between->cookie = mm_dev_read_begin(dev);
}

static void between_watch(struct mn_rig *rig, struct between *between)
{
	/* Registered last, so its end comes first. */
	struct mm_probe *late = mm_probe_new(rig->test, rig->mm);

	between->dev = rig->dev;
	late->ctx = between;
	late->end_hook = between_hook;
}

/* I3: nothing may be installed between start and end, and elsewhere it may. */
static void mn_pending(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct between between = {};

	between_watch(&rig, &between);
	KUNIT_ASSERT_EQ(test, rig_advise(&rig, 0, HALF, MADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, between.calls, 1);
	KUNIT_EXPECT_TRUE(test, between.pending);
	KUNIT_EXPECT_FALSE(test, between.pending_elsewhere);
	KUNIT_EXPECT_FALSE(test, between.maps);
	KUNIT_EXPECT_FALSE(test, between.reaches);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
}

/* I4: end retires the range, where faults that began before find it. */
static void mn_retires(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct between between = {};

	between_watch(&rig, &between);
	KUNIT_ASSERT_EQ(test, rig_advise(&rig, 0, HALF, MADV_DONTNEED), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, between.cookie, 0));
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, between.cookie, HALF));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
}

/* Section 4: PROTECTION_VMA changes nothing before its end. */
static void mn_defers(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct between between = {};

	between_watch(&rig, &between);
	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, 0, HALF, PROT_NONE), 0);
	KUNIT_EXPECT_TRUE(test, between.pending);
	KUNIT_EXPECT_FALSE(test, between.pending_elsewhere);
	KUNIT_EXPECT_TRUE(test, between.writes);
	KUNIT_EXPECT_TRUE(test, between.reaches);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), HALF);
	KUNIT_EXPECT_EQ(test, mm_dev_event(rig.dev, PROTECTION_VMA, deferred), HALF);
	KUNIT_EXPECT_EQ(test, rig.dev->zapped[SMMU_INVAL_PROTECTION_VMA], HALF);
	mm_dev_expect_coherent(rig.dev, "after");
}

static void coarse_hook(struct mm_probe *probe,
			const struct mmu_notifier_range *range)
{
	struct mm_dev *dev = probe->ctx;

	smmu_inval_set_coarse(&dev->si, !READ_ONCE(dev->si.coarse));
}

/* Section 4: what was deferred is decided, whatever the switch says by then. */
static void mn_switch_between(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);

	/* Registered first, so its start comes last. */
	rig.probe->ctx = rig.dev;
	rig.probe->start_hook = coarse_hook;
	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, 0, HALF, PROT_NONE), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), HALF);
	mm_dev_expect_coherent(rig.dev, "switched on");
	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, HALF, HALF, PROT_NONE), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), 0);
	mm_dev_expect_coherent(rig.dev, "switched off");
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
}

/* Section 4: a driver without ops->decide zaps at the start. */
static void mn_zaps_undecided(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops_zap_only, NULL);
	struct between between = {};

	between_watch(&rig, &between);
	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, 0, HALF, PROT_READ), 0);
	KUNIT_EXPECT_TRUE(test, between.pending);
	KUNIT_EXPECT_FALSE(test, between.maps);
	KUNIT_EXPECT_FALSE(test, between.reaches);
}

/* Section 4: fork copies between start and end, so writes stop at the start. */
static void mn_fork_wrprotects_at_start(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct between between = {};
	struct mm_child child;

	between_watch(&rig, &between);
	KUNIT_ASSERT_EQ(test, mm_child_start(&child, 0, NULL, NULL), 0);
	KUNIT_EXPECT_EQ(test, between.calls, 1);
	KUNIT_EXPECT_TRUE(test, between.maps);
	KUNIT_EXPECT_FALSE(test, between.writes);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, true));
	mm_child_stop(&child);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* Section 4: hugetlb is zapped at the start, not decided about at the end. */
static void mn_hugetlb_zaps_at_start(struct kunit *test)
{
	const struct mm_sender *sender = mm_sender_named("mprotect, hugetlb");
	struct mm_ctx *ctx = mm_sender_prepare(test, sender);
	struct mn_rig rig = { .test = test, .mm = ctx->mm };
	struct between between = {};

	rig.dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, NULL, ctx->base,
			     ctx->nr);
	mm_dev_bind(rig.dev, MM_MN, ctx->mm);
	mm_dev_populate(rig.dev, true);
	between_watch(&rig, &between);
	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	KUNIT_EXPECT_EQ(test, between.calls, 1);
	KUNIT_EXPECT_TRUE(test, between.pending);
	KUNIT_EXPECT_FALSE(test, between.maps);
	KUNIT_EXPECT_FALSE(test, between.reaches);
	KUNIT_EXPECT_EQ(test, rig.dev->decides, 0);
	KUNIT_EXPECT_EQ(test, mm_dev_event(rig.dev, PROTECTION_VMA, deferred), 0);
}

/* I11: a translation of another page goes, though the entry is accessible. */
static void mn_decides_by_page(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mm_pte *table = rig.dev->table;

	/* Nothing that follows the rules gets here: the last line of defence. */
	swap(table[0].pfn, table[1].pfn);
	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, 0, HALF, PROT_READ), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig.dev, 0, false));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig.dev, 1, false));
	KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, 2, false));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig.dev, 2, true));
	KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, HALF, true));
}

#define MANY_PAGES	(6 * SMMU_INVAL_SEEN)

/* I11: what needs more than one look is decided all the same. */
static void mn_decides_in_parts(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	struct mm_probe *probe = mm_probe_new(test, mm);
	unsigned long base, addr;
	struct mm_dev *dev;
	unsigned int i;

	base = mm_map(test, NULL, MANY_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS);
	/* With holes, so that no two pages are one span. */
	for (i = 0; i < MANY_PAGES; i += 2) {
		addr = base + i * PAGE_SIZE;
		KUNIT_ASSERT_EQ(test, put_user(1ull, (u64 __user *)addr), 0);
	}
	dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, NULL, base,
			 MANY_PAGES);
	mm_dev_bind(dev, MM_MN, mm);
	mm_dev_populate(dev, true);
	mm_dev_snapshot(dev);
	mm_probe_forget(probe);
	KUNIT_ASSERT_EQ(test, mm_sys_mprotect(base, MANY_PAGES * PAGE_SIZE,
					      PROT_READ, 0, 0, 0), 0);
	KUNIT_EXPECT_GE(test, dev->decides, 3);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), MANY_PAGES / 2);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, true), 0);
	mm_dev_expect(dev, probe, false, "mprotect");
}

/* I9: no flush where nothing was lost, and exactly what was lost elsewhere. */
static void mn_flushes_what_changed(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mm_dev *dev = rig.dev;

	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, 2, 2, PROT_READ), 0);
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, dev->flushed, 2);
	mm_dev_forget(dev);
	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, 2, 2, PROT_READ | PROT_WRITE), 0);
	KUNIT_EXPECT_EQ(test, dev->flushes, 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), PAGES);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, PROTECTION_VMA, kept), 2);
	KUNIT_ASSERT_EQ(test, rig_advise(&rig, 0, HALF, MADV_DONTNEED), 0);
	mm_dev_forget(dev);
	/* There is nothing left to zap. */
	KUNIT_ASSERT_EQ(test, rig_advise(&rig, 0, HALF, MADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, dev->flushes, 0);
}

/* Section 4: NUMA hinting costs a driver nothing where it protects nothing. */
static void mn_numa_spares_pinned(struct kunit *test)
{
#ifdef CONFIG_NUMA_BALANCING
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct page *pages[HALF];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, pin_user_pages_unlocked(rig.base, HALF, pages,
						      FOLL_WRITE), (long)HALF);
	mm_dev_forget(rig.dev);
	mm_dev_snapshot(rig.dev);
	mm_probe_forget(rig.probe);
	mmap_read_lock(rig.mm);
	change_prot_numa(find_vma(rig.mm, rig.base), rig.base,
			 rig.base + PAGES * PAGE_SIZE);
	mmap_read_unlock(rig.mm);
	mm_dev_expect(rig.dev, rig.probe, false, "NUMA hinting");
	KUNIT_EXPECT_NE(test, rig.probe->starts[SMMU_INVAL_PROTECTION_VMA], 0);
	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, mm_dev_maps(rig.dev, i, true), i < HALF,
				    "page %u", i);
	/* Again, and now there is nothing left to protect. */
	mm_dev_forget(rig.dev);
	mmap_read_lock(rig.mm);
	change_prot_numa(find_vma(rig.mm, rig.base), rig.base,
			 rig.base + PAGES * PAGE_SIZE);
	mmap_read_unlock(rig.mm);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, 0);
	for (i = 0; i < HALF; i++)
		unpin_user_page(pages[i]);
#else
	kunit_skip(test, "no NUMA balancing");
#endif
}

/* Many at once. */

/* I3: the same triple in two threads stays pending until the last one ends. */
static void mn_parallel(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mm_advice advice = {
		.addr = rig.base,
		.len = HALF * PAGE_SIZE,
		.advice = MADV_DONTNEED,
	};
	struct mm_thread thread;
	struct mm_gate gate;

	mm_gate_init(&gate, rig.probe, rig.base);
	mm_thread_start(test, &thread, rig.mm, 1, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, mm_gate_wait(&gate));
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	/* The same again, from start to end. */
	KUNIT_EXPECT_EQ(test, mm_advise(&advice), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, HALF - 1));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, HALF));
	mm_gate_open(&gate);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &thread), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	mm_dev_expect_coherent(rig.dev, "after");
}

/* I3: the same triple nested in one thread. */
static void mn_nested(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mmu_notifier_range outer, inner;

	outer = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base,
			 rig.base + HALF * PAGE_SIZE);
	inner = outer;
	mmap_read_lock(rig.mm);
	mmu_notifier_invalidate_range_start(&outer);
	mmu_notifier_invalidate_range_start(&inner);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	mmu_notifier_invalidate_range_end(&inner);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	mmu_notifier_invalidate_range_end(&outer);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	mmap_read_unlock(rig.mm);
}

/*
 * I4: what nests and is not quite the same ends on its own, also if both are in
 * one bucket of the hash table: of so many addresses some are.
 */
static void mn_nested_others(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mmu_notifier_range outer, inner;
	unsigned int i, joined = 0;
	u64 cookie;

	outer = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base,
			 rig.base + HALF * PAGE_SIZE);
	mmap_read_lock(rig.mm);
	mmu_notifier_invalidate_range_start(&outer);
	for (i = 0; i <= 512; i++) {
		inner = outer;
		if (i == 0)
			inner.event = MMU_NOTIFY_PROTECTION_PAGE;
		else if (i % 2)
			inner.start += i;
		else
			inner.end -= i;
		mmu_notifier_invalidate_range_start(&inner);
		cookie = smmu_inval_read_begin(&rig.dev->si);
		mmu_notifier_invalidate_range_end(&inner);
		joined += smmu_inval_read_begin(&rig.dev->si) == cookie;
	}
	KUNIT_EXPECT_EQ(test, joined, 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	mmu_notifier_invalidate_range_end(&outer);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	mmap_read_unlock(rig.mm);
}

#define MANY	24

/*
 * I1, I5: more invalidations than there are slots, and than there are nodes: what they
 * cover is zapped as ever, and coverage never shrinks.
 */
static void mn_overflow(struct kunit *test)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct mmu_notifier_range range[MANY];
	struct mn_rig rig;
	unsigned int i, j;

	cfg.nr_ranges = 2;
	rig = mn_rig(test, &mm_dev_ops, &cfg);
	mmap_read_lock(rig.mm);
	for (i = 0; i < MANY; i++) {
		unsigned int page = i % HALF;

		/* Deferred ones, too. */
		range[i] = mm_range(rig.mm, i & 1 ? MMU_NOTIFY_CLEAR :
				    MMU_NOTIFY_PROTECTION_VMA,
				    mm_page(rig.dev, page),
				    mm_page(rig.dev, page + 1 + i / HALF));
		mmu_notifier_invalidate_range_start(&range[i]);
		for (j = page; i & 1 && j <= page + i / HALF; j++)
			KUNIT_EXPECT_FALSE_MSG(test, mm_dev_reaches(rig.dev, j, false),
					       "range %u, page %u", i, j);
		for (j = 0; j <= min_t(unsigned int, i, HALF - 1); j++)
			KUNIT_EXPECT_TRUE_MSG(test, mm_dev_pending(rig.dev, j),
					      "range %u, page %u", i, j);
	}
	KUNIT_EXPECT_GT(test, mm_dev_counter(rig.dev, overflow_pending), 0);
	for (i = 0; i < MANY; i++) {
		for (j = i % HALF; j < HALF && i < MANY - HALF; j++)
			KUNIT_EXPECT_TRUE_MSG(test, mm_dev_pending(rig.dev, j),
					      "end %u, page %u", i, j);
		mmu_notifier_invalidate_range_end(&range[i]);
	}
	mmap_read_unlock(rig.mm);
	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_FALSE_MSG(test, mm_dev_pending(rig.dev, i),
				       "page %u", i);
	mm_dev_expect_coherent(rig.dev, "after");
}

/*
 * Section 4: hugetlb is known by its VMA, which nobody may look at without mmap_lock.
 * All senders hold it; from another, whatever it is about goes at start.
 */
static void mn_unlocked(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mmu_notifier_range range = mm_range(rig.mm, MMU_NOTIFY_PROTECTION_VMA,
						   rig.base, rig.base + PAGE_SIZE);

	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	mmu_notifier_invalidate_range_end(&range);
	KUNIT_EXPECT_EQ(test, rig.dev->decides, 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	mm_dev_expect_coherent(rig.dev, "after");
}

/* Section 4: hugetlb behind the range is none of its business. */
static void mn_below_hugetlb(struct kunit *test)
{
	struct mm_ctx *ctx = mm_sender_prepare(test,
					       mm_sender_named("mprotect, hugetlb"));
	unsigned long base = ctx->base - PAGES * PAGE_SIZE;
	struct mm_dev *dev;

	KUNIT_ASSERT_EQ(test, base, vm_mmap(NULL, base, PAGES * PAGE_SIZE,
					    PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS |
					    MAP_FIXED_NOREPLACE, 0));
	mm_touch(test, base, PAGES * PAGE_SIZE);
	dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, NULL, base, PAGES);
	mm_dev_bind(dev, MM_MN, ctx->mm);
	mm_dev_populate(dev, true);
	KUNIT_ASSERT_EQ(test, mm_sys_mprotect(mm_page(dev, PAGES - 1), PAGE_SIZE,
					      PROT_READ, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, dev->decides, 1);
	KUNIT_EXPECT_EQ(test, dev->zaps[SMMU_INVAL_PROTECTION_VMA], 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_maps(dev, PAGES - 1, false));
	mm_dev_expect_coherent(dev, "after");
}

/* I6: a non-blockable start succeeds, and another's failure leaves nothing. */
struct mm_refuser {
	struct mmu_notifier mn;
	struct mm_struct *mm;
	unsigned int refused;
};

static int refuser_start(struct mmu_notifier *mn,
			 const struct mmu_notifier_range *range)
{
	if (mmu_notifier_range_blockable(range))
		return 0;
	container_of(mn, struct mm_refuser, mn)->refused++;
	return -EAGAIN;
}

static const struct mmu_notifier_ops refuser_ops = {
	.invalidate_range_start = refuser_start,
};

static void mn_nonblock(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mm_refuser refuser = { .mn.ops = &refuser_ops };
	struct mmu_notifier_range range;

	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base,
			 rig.base + PAGE_SIZE);
	mmap_read_lock(rig.mm);
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			0);
	KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 1);
	KUNIT_EXPECT_EQ(test, rig.dev->yields, 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	mmu_notifier_invalidate_range_end(&range);
	mmap_read_unlock(rig.mm);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));

	KUNIT_ASSERT_EQ(test, mmu_notifier_register(&refuser.mn, rig.mm), 0);
	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, rig.base + PAGE_SIZE,
			 rig.base + 2 * PAGE_SIZE);
	mmap_read_lock(rig.mm);
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&range),
			-EAGAIN);
	mmap_read_unlock(rig.mm);
	KUNIT_EXPECT_EQ(test, refuser.refused, 1);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 1));
	mmu_notifier_unregister(&refuser.mn, rig.mm);
}

/* Whoever may block may yield: at start, at end, and when all is over. */
static void mn_may_yield(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);

	KUNIT_ASSERT_EQ(test, vm_munmap(rig.base, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->yields, 1);
	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, 1, 1, PROT_READ), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->decides, 1);
	KUNIT_EXPECT_EQ(test, rig.dev->yields, 2);
	mm_dev_unbind(rig.dev);
	KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_RELEASE], 1);
	KUNIT_EXPECT_EQ(test, rig.dev->yields, 3);
}

/* Addresses. */

/* Section 4: clear_refs says [0, ~0): whole pages, of this address space. */
static void mn_clamps_soft_dirty(struct kunit *test)
{
	const struct mm_sender *sender = mm_sender_named("clear_refs");
	struct mm_ctx *ctx = mm_sender_prepare(test, sender);
	struct smmu_inval_config cfg = mm_dev_config();
	struct mm_probe *probe = mm_probe_new(test, ctx->mm);
	struct mm_dev *dev;

	cfg.start = ctx->base;
	cfg.last = mm_page(ctx, ctx->nr) - 1;
	dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, &cfg, ctx->base,
			 ctx->nr);
	mm_dev_bind(dev, MM_MN, ctx->mm);
	mm_dev_populate(dev, true);
	mm_dev_snapshot(dev);
	mm_probe_forget(probe);
	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	mm_dev_expect(dev, probe, false, sender->name);
	KUNIT_EXPECT_EQ(test, probe->log[0].start, 0UL);
	KUNIT_EXPECT_EQ(test, probe->log[0].end, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, SOFT_DIRTY, asked), ctx->nr);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, SOFT_DIRTY, changed), ctx->nr);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, true), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), ctx->nr);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(dev, odd_ranges), 0);
}

/* I9: what is outside of the driver's address space is nothing to it. */
static void mn_outside(struct kunit *test)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct mm_struct *mm = mm_attach(test);
	unsigned long base = mm_map(test, NULL, PAGES * PAGE_SIZE,
				    PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS);
	struct smmu_inval_cookie cookie;
	struct mm_dev *dev;

	mm_touch(test, base, PAGES * PAGE_SIZE);
	cfg.start = base + HALF * PAGE_SIZE;
	cfg.last = base + PAGES * PAGE_SIZE - 1;
	dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, &cfg, cfg.start, HALF);
	mm_dev_bind(dev, MM_MN, mm);
	mm_dev_populate(dev, true);
	cookie = mm_dev_read_begin(dev);
	KUNIT_ASSERT_EQ(test, mm_sys_madvise(base, HALF * PAGE_SIZE,
					     MADV_DONTNEED, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, dev->zaps[SMMU_INVAL_CLEAR], 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(dev, cookie, 0));
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, CLEAR, asked),
			0);
	/* One that straddles the border counts what is inside. */
	KUNIT_ASSERT_EQ(test, mm_sys_madvise(base, (HALF + 1) * PAGE_SIZE,
					     MADV_DONTNEED, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_event(dev, CLEAR, asked),
			1);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), HALF - 1);
	KUNIT_EXPECT_EQ(test, dev->odd, 0);
}

/* I9: nor if it has no name, and shares a hull with what is inside. */
static void mn_outside_unnamed(struct kunit *test)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct mm_struct *mm = mm_attach(test);
	unsigned long base = mm_map(test, NULL, PAGES * PAGE_SIZE,
				    PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS);
	struct mmu_notifier_range range[MANY];
	unsigned int i, zaps, decides;
	struct mm_dev *dev;

	mm_touch(test, base, PAGES * PAGE_SIZE);
	cfg.nr_ranges = 2;
	cfg.start = base;
	cfg.last = base + HALF * PAGE_SIZE - 1;
	dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, &cfg, base, HALF);
	mm_dev_bind(dev, MM_MN, mm);
	for (i = 0; i < MANY; i++) {
		range[i] = mm_range(mm, MMU_NOTIFY_CLEAR, base, base + i + 1);
		mmu_notifier_invalidate_range_start(&range[i]);
	}
	KUNIT_EXPECT_GT(test, dev->si.overflow.anon, 0);
	zaps = dev->zaps[SMMU_INVAL_CLEAR];
	decides = dev->decides;
	KUNIT_EXPECT_EQ(test, mm_sys_madvise(base + HALF * PAGE_SIZE, PAGE_SIZE,
					     MADV_DONTNEED, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, dev->zaps[SMMU_INVAL_CLEAR], zaps);
	KUNIT_EXPECT_EQ(test, mm_sys_mprotect(base + HALF * PAGE_SIZE, PAGE_SIZE,
					      PROT_READ, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, dev->decides, decides);
	KUNIT_EXPECT_EQ(test, dev->zaps[SMMU_INVAL_PROTECTION_VMA], 0);
	KUNIT_EXPECT_EQ(test, dev->odd, 0);
	while (i--)
		mmu_notifier_invalidate_range_end(&range[i]);
	mm_dev_expect_coherent(dev, "after");
}

/* Two memory slots that map the same user addresses, as KVM's may. */

#define GFN_A	0x100
#define GFN_B	0x9000

struct gfn_dev {
	struct smmu_inval si;
	struct smmu_inval_mn smn;
	spinlock_t lock;	/* the driver's lock */
	unsigned long base;
	/* How much further the first slot reaches, of what is not mapped. */
	unsigned int before, behind;
	/* There is no first slot any more. */
	bool second_only;
	u64 issued, waited;
	bool mapped[2][PAGES];
	struct smmu_inval_span flushed[4];
	unsigned int nr_flushed;
	unsigned int flushes;
	bool all;
};

static struct gfn_dev *to_gfn_dev(struct smmu_inval *si)
{
	return container_of(si, struct gfn_dev, si);
}

static bool gfn_clip(struct gfn_dev *dev, const struct smmu_inval_span *span,
		     unsigned int *first, unsigned int *last)
{
	u64 top = dev->base + PAGES * PAGE_SIZE - 1;

	if (span->start > top || span->last < dev->base)
		return false;
	*first = (max_t(u64, span->start, dev->base) - dev->base) >> PAGE_SHIFT;
	*last = (min(span->last, top) - dev->base) >> PAGE_SHIFT;
	return true;
}

static void gfn_add_ranges(struct smmu_inval *si, struct smmu_inval_token *token,
			   const struct smmu_inval_span *span)
{
	struct gfn_dev *dev = to_gfn_dev(si);
	unsigned int first, last;

	if (!gfn_clip(dev, span, &first, &last))
		return;
	if (!dev->second_only)
		smmu_inval_add(si, token, GFN_A + first - dev->before,
			       GFN_A + last + dev->behind);
	smmu_inval_add(si, token, GFN_B + first, GFN_B + last);
}

static void gfn_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		    const struct smmu_inval_span *span)
{
	struct gfn_dev *dev = to_gfn_dev(si);
	unsigned int slot, first, last, i;

	if (!gfn_clip(dev, span, &first, &last))
		return;
	for (slot = 0; slot < 2; slot++)
		for (i = first; i <= last; i++) {
			u64 gfn = (slot ? GFN_B : GFN_A) + i;

			if (dev->mapped[slot][i])
				smmu_inval_changed(batch, gfn, gfn,
						   __ffs(span->events));
			dev->mapped[slot][i] = false;
		}
}

static void gfn_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	struct gfn_dev *dev = to_gfn_dev(si);

	dev->flushes++;
	dev->all |= flush->all;
	dev->nr_flushed = min_t(unsigned int, flush->nr, ARRAY_SIZE(dev->flushed));
	memcpy(dev->flushed, flush->spans,
	       dev->nr_flushed * sizeof(*dev->flushed));
}

static const struct smmu_inval_ops gfn_ops = {
	.add_ranges = gfn_add_ranges,
	.zap = gfn_zap,
	.flush = gfn_flush,
};

static u64 gfn_flush_issue(struct smmu_inval *si,
			   const struct smmu_inval_flush *flush)
{
	gfn_flush(si, flush);
	return ++to_gfn_dev(si)->issued;
}

static void gfn_flush_wait(struct smmu_inval *si, u64 ticket)
{
	to_gfn_dev(si)->waited = ticket;
}

static const struct smmu_inval_ops gfn_ops_two_phase = {
	.add_ranges = gfn_add_ranges,
	.zap = gfn_zap,
	.flush = gfn_flush,
	.flush_issue = gfn_flush_issue,
	.flush_wait = gfn_flush_wait,
};

struct gfn_between {
	struct gfn_dev *dev;
	bool pending[4];
};

static bool gfn_pending(struct gfn_dev *dev, u64 gfn)
{
	u64 cookie = smmu_inval_read_begin(&dev->si);

	guard(spinlock)(&dev->lock);
	return smmu_inval_read_retry(&dev->si, cookie, gfn, gfn);
}

static void gfn_hook(struct mm_probe *probe,
		     const struct mmu_notifier_range *range)
{
	struct gfn_between *between = probe->ctx;

	between->pending[0] = gfn_pending(between->dev, GFN_A);
	between->pending[1] = gfn_pending(between->dev, GFN_B + 1);
	between->pending[2] = gfn_pending(between->dev, GFN_A + 2);
	between->pending[3] = gfn_pending(between->dev, GFN_A + PAGES);
}

static struct gfn_dev *gfn_dev_new(struct kunit *test, struct mm_struct *mm,
				   const struct smmu_inval_ops *ops)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct gfn_dev *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, dev->base, PAGES * PAGE_SIZE);
	memset(dev->mapped, true, sizeof(dev->mapped));
	spin_lock_init(&dev->lock);
	cfg.lock = SMMU_INVAL_LOCK(&dev->lock);
	cfg.page_shift = 0;
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&dev->si, ops, &cfg), 0);
	KUNIT_ASSERT_EQ(test, smmu_inval_mn_init(&dev->smn, &dev->si,
						 &smmu_inval_mn_ops), 0);
	KUNIT_ASSERT_EQ(test, smmu_inval_mn_register(&dev->smn, mm), 0);
	return dev;
}

static void gfn_dev_free(struct gfn_dev *dev)
{
	smmu_inval_mn_unregister(&dev->smn);
	smmu_inval_destroy(&dev->si);
}

/* Section 3: the driver's address space is not that of the process. */
static void mn_add_ranges(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	struct gfn_dev *dev = gfn_dev_new(test, mm, &gfn_ops);
	struct gfn_between between = { .dev = dev };
	struct mm_probe *probe = mm_probe_new(test, mm);

	probe->ctx = &between;
	probe->end_hook = gfn_hook;

	KUNIT_EXPECT_EQ(test, mm_sys_madvise(dev->base, 2 * PAGE_SIZE,
					     MADV_DONTNEED, 0, 0, 0), 0);
	KUNIT_EXPECT_TRUE(test, between.pending[0]);
	KUNIT_EXPECT_TRUE(test, between.pending[1]);
	KUNIT_EXPECT_FALSE(test, between.pending[2]);
	KUNIT_EXPECT_FALSE(test, between.pending[3]);
	KUNIT_EXPECT_FALSE(test, gfn_pending(dev, GFN_A));
	KUNIT_EXPECT_FALSE(test, dev->mapped[0][1] || dev->mapped[1][1]);
	KUNIT_EXPECT_TRUE(test, dev->mapped[0][2] && dev->mapped[1][2]);
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	KUNIT_EXPECT_FALSE(test, dev->all);
	KUNIT_EXPECT_EQ(test, dev->nr_flushed, 2);
	KUNIT_EXPECT_EQ(test, dev->flushed[0].start, (u64)GFN_A);
	KUNIT_EXPECT_EQ(test, dev->flushed[0].last, (u64)GFN_A + 1);
	KUNIT_EXPECT_EQ(test, dev->flushed[1].start, (u64)GFN_B);
	KUNIT_EXPECT_EQ(test, dev->flushed[1].last, (u64)GFN_B + 1);

	/* Memory that no slot maps: no range, no zap, no flush (I9). */
	KUNIT_EXPECT_EQ(test, mm_sys_mprotect((unsigned long)
					      mm_scratch(test, "x", 1), PAGE_SIZE,
					      PROT_READ, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	gfn_dev_free(dev);
	KUNIT_EXPECT_FALSE(test, dev->mapped[0][PAGES - 1]);
}

/*
 * I3, I7: two that cannot be told apart at their end share a token, and the
 * slots that the second one meets may reach further.
 */
static void mn_add_ranges_of_two(struct kunit *test)
{
	static const struct {
		unsigned int before, behind;
	} second[] = { { 0, 0 }, { 1, 0 }, { 0, 1 } };
	struct mm_struct *mm = mm_attach(test);
	struct gfn_dev *dev = gfn_dev_new(test, mm, &gfn_ops);
	struct mmu_notifier_range range =
		mm_range(mm, MMU_NOTIFY_CLEAR, dev->base, dev->base + PAGE_SIZE);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(second); i++) {
		dev->before = 0;
		dev->behind = 0;
		mmu_notifier_invalidate_range_start(&range);
		dev->before = second[i].before;
		dev->behind = second[i].behind;
		mmu_notifier_invalidate_range_start(&range);
		KUNIT_EXPECT_TRUE(test, gfn_pending(dev, GFN_A));
		KUNIT_EXPECT_EQ(test, gfn_pending(dev, GFN_A - 1), !!dev->before);
		KUNIT_EXPECT_EQ(test, gfn_pending(dev, GFN_A + 1), !!dev->behind);
		mmu_notifier_invalidate_range_end(&range);
		KUNIT_EXPECT_TRUE(test, gfn_pending(dev, GFN_A));
		mmu_notifier_invalidate_range_end(&range);
		KUNIT_EXPECT_FALSE(test, gfn_pending(dev, GFN_A - 1));
		KUNIT_EXPECT_FALSE(test, gfn_pending(dev, GFN_A));
		KUNIT_EXPECT_FALSE(test, gfn_pending(dev, GFN_A + 1));
	}
	gfn_dev_free(dev);
}

/*
 * I2: a slot has gone, and its flush is on its way, when what it mapped is unmapped.
 * What is left of the addresses, in the other slot, does not say so.
 */
static void mn_add_ranges_in_flight(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	struct gfn_dev *dev = gfn_dev_new(test, mm, &gfn_ops_two_phase);
	struct mmu_notifier_range range =
		mm_range(mm, MMU_NOTIFY_CLEAR, dev->base, dev->base + PAGE_SIZE);

	dev->mapped[1][0] = false;
	{
		CLASS(smmu_inval_drain, drain)(&dev->si);

		scoped_guard(spinlock, &dev->lock) {
			CLASS(smmu_inval_batch, batch)(&dev->si);

			smmu_inval_batch_defer(&batch, &drain);
			smmu_inval_changed(&batch, GFN_A, GFN_A, SMMU_INVAL_DRIVER);
			dev->mapped[0][0] = false;
			dev->second_only = true;
		}
		KUNIT_EXPECT_EQ(test, dev->issued, 1);
		KUNIT_EXPECT_EQ(test, dev->waited, 0);
		mmu_notifier_invalidate_range_start(&range);
		KUNIT_EXPECT_EQ(test, dev->issued, 1);
		KUNIT_EXPECT_EQ(test, dev->waited, 1);
		mmu_notifier_invalidate_range_end(&range);
	}
	gfn_dev_free(dev);
}

/* Faults. */

struct race {
	unsigned long addr;
	unsigned int times;
	int ret;
};

/* The page goes while a fault is between its look at it and the lock. */
static void race_hook(struct mm_dev *dev)
{
	struct race *race = dev->ctx;

	if (!race->times)
		return;
	race->times--;
	race->ret |= mm_sys_madvise(race->addr, PAGE_SIZE, MADV_DONTNEED, 0, 0, 0);
}

/* I4: a fault whose page went meanwhile retries; one next to it does not. */
static void mn_fault_races(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct race race = { .addr = rig.base, .times = 3 };

	rig.dev->ctx = &race;
	rig.dev->fault_hook = race_hook;
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 3);
	race.times = 1;
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 1, true), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->retries, 3);
	KUNIT_EXPECT_EQ(test, race.ret, 0);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

struct faulter {
	struct mm_dev *dev;
	unsigned int page;
};

static int fault_page(void *arg)
{
	struct faulter *faulter = arg;

	return mm_dev_fault(faulter->dev, faulter->page, true);
}

/* I3: faults wait for what overlaps, and for nothing else. */
static void mn_fault_waits(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mm_advice advice = {
		.addr = rig.base,
		.len = HALF * PAGE_SIZE,
		.advice = MADV_DONTNEED,
	};
	struct faulter faulter = { .dev = rig.dev, .page = 0 };
	struct mm_thread thread, fault;
	struct mm_gate gate;

	mm_gate_init(&gate, rig.probe, rig.base);
	mm_thread_start(test, &thread, rig.mm, 1, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, mm_gate_wait(&gate));
	mm_thread_start(test, &fault, rig.mm, 0, fault_page, &faulter);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig.dev, 0, false));
	/* Meanwhile. */
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, HALF, true), 0);
	mm_gate_open(&gate);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &thread), 0);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &fault), 0);
	KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, 0, true));
	mm_dev_expect_coherent(rig.dev, "after");
}

/* Flushes in two phases. */

struct slow {
	struct task_struct *who;
	struct completion arrived;
	struct completion go;
	atomic_t landed;
};

/* The device is slow to answer whoever is not the test itself. */
static void slow_hook(struct mm_dev *dev, u64 ticket)
{
	struct slow *slow = dev->ctx;

	if (current != slow->who) {
		complete(&slow->arrived);
		wait_for_completion_timeout(&slow->go, TEST_SOON);
	}
	atomic_inc(&slow->landed);
}

/* I2: who finds nothing left to flush waits for the flush in flight. */
static void mn_waits_for_others_flush(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops_two_phase, NULL);
	struct mm_advice advice = {
		.addr = rig.base,
		.len = HALF * PAGE_SIZE,
		.advice = MADV_DONTNEED,
	};
	struct mm_thread first, second;
	struct slow slow = { .who = current };

	init_completion(&slow.arrived);
	init_completion(&slow.go);
	rig.dev->ctx = &slow;
	rig.dev->wait_hook = slow_hook;
	mm_thread_start(test, &first, rig.mm, 1, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&slow.arrived,
							    TEST_SOON));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(rig.dev, 0, false));
	KUNIT_EXPECT_TRUE(test, mm_dev_reaches(rig.dev, 0, false));
	mm_thread_start(test, &second, rig.mm, 0, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&second.thread));
	KUNIT_EXPECT_TRUE(test, mm_dev_reaches(rig.dev, 0, false));
	/* Where nothing is mapped and nothing is on its way, nobody waits. */
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, flushes), 1);
	complete_all(&slow.go);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &second), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	KUNIT_EXPECT_EQ(test, rig.dev->issued, 1);
	KUNIT_EXPECT_GE(test, mm_dev_counter(rig.dev, waits), 1);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* How often does @change, of the lower half, wait for its flush, that is in flight? */
static u64 waits_for(struct mn_rig *rig, void (*change)(struct mn_rig *rig))
{
	struct mm_advice advice = {
		.addr = rig->base,
		.len = HALF * PAGE_SIZE,
		.advice = MADV_DONTNEED,
	};
	struct slow slow = { .who = current };
	struct kunit *test = rig->test;
	struct mm_thread first;
	u64 waits;

	mm_touch(test, rig->base, HALF * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig->dev, 0, true), 0);
	init_completion(&slow.arrived);
	init_completion(&slow.go);
	rig->dev->ctx = &slow;
	rig->dev->wait_hook = slow_hook;
	mm_thread_start(test, &first, rig->mm, 1, mm_advise, &advice);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&slow.arrived,
							    TEST_SOON));
	waits = mm_dev_counter(rig->dev, waits);
	change(rig);
	waits = mm_dev_counter(rig->dev, waits) - waits;
	complete_all(&slow.go);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &first), 0);
	rig->dev->wait_hook = NULL;
	return waits;
}

static void change_range(struct mn_rig *rig, unsigned long start,
			 unsigned long end)
{
	struct mmu_notifier_range range = mm_range(rig->mm, MMU_NOTIFY_CLEAR,
						   start, end);

	mmu_notifier_invalidate_range_start(&range);
	mmu_notifier_invalidate_range_end(&range);
}

static void change_lower(struct mn_rig *rig)
{
	change_range(rig, rig->base, rig->base + PAGE_SIZE);
}

static void change_upper(struct mn_rig *rig)
{
	change_range(rig, rig->base + HALF * PAGE_SIZE,
		     rig->base + PAGES * PAGE_SIZE);
}

static void change_outside(struct mn_rig *rig)
{
	change_range(rig, rig->base + PAGES * PAGE_SIZE,
		     rig->base + (PAGES + 1) * PAGE_SIZE);
}

/* Behind so many others that the next one's range is in the tree. */
static void change_behind(struct mn_rig *rig, void (*change)(struct mn_rig *rig))
{
	struct mmu_notifier_range range[SMMU_INVAL_SLOTS];
	unsigned int i;

	for (i = 0; i < SMMU_INVAL_SLOTS; i++) {
		range[i] = mm_range(rig->mm, MMU_NOTIFY_CLEAR,
				    mm_page(rig->dev, HALF + i),
				    mm_page(rig->dev, HALF + 1 + i));
		mmu_notifier_invalidate_range_start(&range[i]);
	}
	change(rig);
	while (i--)
		mmu_notifier_invalidate_range_end(&range[i]);
}

static void change_lower_in_tree(struct mn_rig *rig)
{
	change_behind(rig, change_lower);
}

static void change_upper_in_tree(struct mn_rig *rig)
{
	change_behind(rig, change_upper);
}

static void change_last(struct mn_rig *rig)
{
	change_range(rig, rig->base + (PAGES - 1) * PAGE_SIZE,
		     rig->base + PAGES * PAGE_SIZE);
}

/* So many at once that some have no token of their own. */
static void change_many_upper(struct mn_rig *rig)
{
	struct mmu_notifier_range range[MANY];
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		range[i] = mm_range(rig->mm, MMU_NOTIFY_CLEAR,
				    mm_page(rig->dev, HALF + i % HALF),
				    mm_page(rig->dev, HALF + 1 + i % HALF));
		mmu_notifier_invalidate_range_start(&range[i]);
	}
	KUNIT_EXPECT_GT(rig->test, mm_dev_counter(rig->dev, overflow_pending), 0);
	while (i--)
		mmu_notifier_invalidate_range_end(&range[i]);
}

/*
 * I2: what has nothing to flush waits for a flight that overlaps, and for no
 * other; and for all where it is not known what it covers: it covers nothing
 * that is mapped now, or its range is in the overflow.
 */
static void mn_waits_for_what_overlaps(struct kunit *test)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct mn_rig rig = { .test = test };

	rig.mm = mm_attach(test);
	rig.base = mm_map(test, NULL, (PAGES + 1) * PAGE_SIZE,
			  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	cfg.nr_ranges = 2;
	cfg.start = rig.base;
	cfg.last = rig.base + PAGES * PAGE_SIZE - 1;
	rig.dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops_two_phase, &cfg,
			     rig.base, PAGES);
	mm_dev_bind(rig.dev, MM_MN, rig.mm);
	KUNIT_EXPECT_EQ(test, waits_for(&rig, change_lower), 1);
	KUNIT_EXPECT_EQ(test, waits_for(&rig, change_upper), 0);
	KUNIT_EXPECT_EQ(test, waits_for(&rig, change_lower_in_tree), 1);
	KUNIT_EXPECT_EQ(test, waits_for(&rig, change_upper_in_tree), 0);
	KUNIT_EXPECT_EQ(test, waits_for(&rig, change_outside), 1);
	KUNIT_EXPECT_EQ(test, waits_for(&rig, change_many_upper), 1);
	mm_dev_expect_coherent(rig.dev, "after");
}

/*
 * I2: while some have no name, the end of one may have closed another's token, and
 * what that covers, by the time that it is looked at, may be a third one's.
 */
static void mn_waits_beside_unnamed(struct kunit *test)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct mn_rig rig = { .test = test };
	struct mmu_notifier_range range[MANY];
	unsigned int i;

	rig.mm = mm_attach(test);
	rig.base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS);
	cfg.nr_ranges = 2;
	rig.dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops_two_phase, &cfg,
			     rig.base, PAGES);
	mm_dev_bind(rig.dev, MM_MN, rig.mm);
	for (i = 0; i < MANY; i++) {
		range[i] = mm_range(rig.mm, MMU_NOTIFY_CLEAR,
				    mm_page(rig.dev, PAGES - 1),
				    mm_page(rig.dev, PAGES - 1) + i + 1);
		mmu_notifier_invalidate_range_start(&range[i]);
	}
	/* The next two have a name again: whose flush is waited for, and who waits. */
	mmu_notifier_invalidate_range_end(&range[0]);
	mmu_notifier_invalidate_range_end(&range[1]);
	KUNIT_EXPECT_GT(test, rig.dev->si.overflow.anon, 0);
	KUNIT_EXPECT_EQ(test, waits_for(&rig, change_last), 1);
	while (--i > 1)
		mmu_notifier_invalidate_range_end(&range[i]);
	KUNIT_EXPECT_EQ(test, waits_for(&rig, change_last), 0);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* I4: a fault that began before hears of what was in the tree, and is over. */
static void mn_tree_retires(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie = mm_dev_read_begin(rig.dev);

	change_behind(&rig, change_lower);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, overflow_pending), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(rig.dev, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, 1));
}

/* I2: the flush is over before the callback returns, and before the end. */
static void mn_two_phase_between(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops_two_phase, NULL);
	struct between between = {};

	between_watch(&rig, &between);
	KUNIT_ASSERT_EQ(test, rig_advise(&rig, 0, HALF, MADV_DONTNEED), 0);
	KUNIT_EXPECT_FALSE(test, between.maps);
	KUNIT_EXPECT_FALSE(test, between.reaches);
	KUNIT_EXPECT_EQ(test, rig.dev->issued, 1);
	between.calls = 0;
	KUNIT_ASSERT_EQ(test, rig_mprotect(&rig, 0, PAGES, PROT_NONE), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), 0);
	/* What is decided at the end, too. */
	KUNIT_EXPECT_EQ(test, rig.dev->issued, 2);
	mm_dev_expect_coherent(rig.dev, "after");
}

/* The end of the process, and of the binding. */

static int bind_and_map(void *arg)
{
	struct mm_dev *dev = arg;
	unsigned int i;
	int ret;

	ret = mm_dev_try_bind(dev, MM_MN, current->mm);
	for (i = 0; i < dev->nr && !ret; i++)
		ret = mm_dev_fault(dev, i, true);
	return ret;
}

/* I1, I10: exit zaps everything, stops the device, and refuses faults. */
static void mn_exit(struct kunit *test)
{
	unsigned long base;
	struct mm_child child;
	struct mm_dev *dev;

	mm_attach(test);
	base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, base, PAGES * PAGE_SIZE);
	dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, NULL, base, PAGES);
	KUNIT_ASSERT_EQ(test, mm_child_start(&child, 0, bind_and_map, dev), 0);
	KUNIT_EXPECT_EQ(test, child.ret, 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, true), PAGES);
	mm_child_stop(&child);
	KUNIT_ASSERT_EQ(test, child.ret, 0);

	KUNIT_EXPECT_TRUE(test, smmu_inval_is_dead(&dev->si));
	KUNIT_EXPECT_GE(test, dev->released, 1);
	KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(dev, 0, false));
	KUNIT_EXPECT_EQ(test, mm_dev_fault(dev, 0, false), -ESRCH);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(dev, 0));
	KUNIT_EXPECT_GE(test, mm_dev_event(dev, RELEASE, callbacks), 1);
	/* As KVM does, long after the end of the process. */
	mm_dev_unbind(dev);
}

/* I10: unregister zaps everything, and refuses faults. */
static void mn_unregister(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct smmu_inval_cookie cookie = mm_dev_read_begin(rig.dev);

	mm_dev_unbind(rig.dev);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, false), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, PAGES - 1, false));
	KUNIT_EXPECT_TRUE(test, smmu_inval_is_dead(&rig.dev->si));
	KUNIT_EXPECT_EQ(test, rig.dev->released, 1);
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), -ESRCH);
	/* No callback comes any more. */
	mm_dev_forget(rig.dev);
	KUNIT_EXPECT_EQ(test, rig_advise(&rig, 0, PAGES, MADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 0);
}

/* I10: an end that never comes is legal, and nobody waits for it. */
static void mn_unregister_pending(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mm_advice advice = {
		.addr = rig.base,
		.len = HALF * PAGE_SIZE,
		.advice = MADV_DONTNEED,
	};
	struct faulter faulter = { .dev = rig.dev, .page = 0 };
	struct mmu_notifier_range range;
	struct mm_thread fault;

	range = mm_range(rig.mm, MMU_NOTIFY_CLEAR, advice.addr,
			 advice.addr + advice.len);
	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(rig.dev, 0));
	mm_thread_start(test, &fault, rig.mm, 1, fault_page, &faulter);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	mm_dev_unbind(rig.dev);
	/* A fault that waited for the end gives up. */
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &fault), -ESRCH);
	mm_dev_destroy(rig.dev);
	mmu_notifier_invalidate_range_end(&range);
}

/* get and put. */

static struct smmu_inval_mn_class get_class;
static unsigned int get_allocs;
static atomic_t get_frees;

struct get_dev {
	struct smmu_inval si;
	struct smmu_inval_mn smn;
	spinlock_t lock;	/* the driver's lock */
	unsigned int zaps;
	unsigned int released;
};

static void get_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		    const struct smmu_inval_span *span)
{
	container_of(si, struct get_dev, si)->zaps++;
}

static void get_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
}

static void get_release(struct smmu_inval *si)
{
	container_of(si, struct get_dev, si)->released++;
}

static void get_free(struct smmu_inval *si)
{
	struct get_dev *dev = container_of(si, struct get_dev, si);

	might_sleep();
	if (dev->zaps && dev->released)
		atomic_inc(&get_frees);
	smmu_inval_destroy(si);
	kfree(dev);
}

static const struct smmu_inval_ops get_dev_ops = {
	.zap = get_zap,
	.flush = get_flush,
	.release = get_release,
	.free = get_free,
};

static struct mmu_notifier *get_alloc(struct mm_struct *mm)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct get_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int ret;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&dev->lock);
	cfg.lock = SMMU_INVAL_LOCK(&dev->lock);
	cfg.late_debugfs = true;
	ret = smmu_inval_init(&dev->si, &get_dev_ops, &cfg);
	if (!ret)
		ret = smmu_inval_mn_init(&dev->smn, &dev->si, &get_class.ops);
	if (ret) {
		kfree(dev);
		return ERR_PTR(ret);
	}
	get_allocs++;
	return &dev->smn.mn;
}

static struct smmu_inval_mn *get(struct kunit *test, struct mm_struct *mm)
{
	struct smmu_inval_mn *smn = smmu_inval_mn_get(&get_class, mm);

	KUNIT_ASSERT_FALSE(test, IS_ERR(smn));
	return smn;
}

static void get_init(void)
{
	smmu_inval_mn_class_init(&get_class, &smmu_inval_mn_ops, get_alloc);
	get_allocs = 0;
	atomic_set(&get_frees, 0);
}

/* I10: all who get share one; the last put zaps, and frees once. */
static void mn_get_put(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	struct smmu_inval_mn *a, *b;
	struct get_dev *dev;
	struct dentry *dir;

	get_init();
	a = get(test, mm);
	dev = container_of(a, struct get_dev, smn);
	/* One directory, made late. */
	dir = dev->si.dir;
	KUNIT_EXPECT_NOT_NULL(test, dir);
	b = get(test, mm);
	KUNIT_EXPECT_PTR_EQ(test, a, b);
	KUNIT_EXPECT_EQ(test, get_allocs, 1);
	KUNIT_EXPECT_PTR_EQ(test, dev->si.dir, dir);
	smmu_inval_mn_put(a);
	KUNIT_EXPECT_FALSE(test, smmu_inval_is_dead(&dev->si));
	KUNIT_EXPECT_EQ(test, dev->zaps, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&get_frees), 0);
	smmu_inval_mn_put(b);
	smmu_inval_mn_synchronize(&get_class);
	KUNIT_EXPECT_EQ(test, atomic_read(&get_frees), 1);

	/* And again. */
	a = get(test, mm);
	KUNIT_EXPECT_EQ(test, get_allocs, 2);
	smmu_inval_mn_put(a);
	smmu_inval_mn_synchronize(&get_class);
	KUNIT_EXPECT_EQ(test, atomic_read(&get_frees), 2);
}

static int get_in_child(void *arg)
{
	struct smmu_inval_mn **smn = arg;

	*smn = smmu_inval_mn_get(&get_class, current->mm);
	return PTR_ERR_OR_ZERO(*smn);
}

/* I10: put after the end of the process. */
static void mn_put_after_exit(struct kunit *test)
{
	struct smmu_inval_mn *smn;
	struct mm_child child;
	struct get_dev *dev;

	mm_attach(test);
	get_init();
	KUNIT_ASSERT_EQ(test, mm_child_start(&child, 0, get_in_child, &smn), 0);
	mm_child_stop(&child);
	KUNIT_ASSERT_EQ(test, child.ret, 0);
	dev = container_of(smn, struct get_dev, smn);
	KUNIT_EXPECT_TRUE(test, smmu_inval_is_dead(&dev->si));
	KUNIT_EXPECT_GE(test, dev->zaps, 1);
	smmu_inval_mn_put(smn);
	smmu_inval_mn_synchronize(&get_class);
	KUNIT_EXPECT_EQ(test, atomic_read(&get_frees), 1);
}

struct getter {
	struct mm_struct *mm;
	unsigned long until;
	unsigned int rounds;
	unsigned int dead;
};

static int get_and_put(void *arg)
{
	struct getter *getter = arg;

	/* Once at least, also if the CPU comes too late. */
	do {
		struct smmu_inval_mn *smn;

		smn = smmu_inval_mn_get(&get_class, getter->mm);
		if (IS_ERR(smn))
			return PTR_ERR(smn);
		/* Who gets it gets it alive. */
		getter->dead += smmu_inval_is_dead(smn->si);
		if (getter->rounds++ & 1)
			cond_resched();
		smmu_inval_mn_put(smn);
		cond_resched();
	} while (time_before(jiffies, getter->until));
	return 0;
}

/* I10: get and put race, and everything is freed once. */
static void mn_get_put_race(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	struct getter getter[2] = {};
	struct mm_thread thread[2];
	unsigned int i;

	get_init();
	for (i = 0; i < 2; i++) {
		getter[i].mm = mm;
		getter[i].until = jiffies + msecs_to_jiffies(test_race_ms);
		mm_thread_start(test, &thread[i], mm, i, get_and_put, &getter[i]);
	}
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, mm_thread_join(test, &thread[i]), 0);
		KUNIT_EXPECT_GT(test, getter[i].rounds, 0);
		KUNIT_EXPECT_EQ(test, getter[i].dead, 0);
	}
	smmu_inval_mn_synchronize(&get_class);
	KUNIT_EXPECT_EQ(test, atomic_read(&get_frees), get_allocs);
}

/* Misuse that can be known at init gets -EINVAL. */
static void mn_init_refuses(struct kunit *test)
{
	static const struct smmu_inval_ops no_zap = { .flush = get_flush };
	static const struct smmu_inval_ops no_free = {
		.zap = get_zap,
		.flush = get_flush,
	};
	static const struct smmu_inval_ops has_free = {
		.zap = get_zap,
		.flush = get_flush,
		.free = get_free,
	};
	struct smmu_inval_config cfg = mm_dev_config();
	struct smmu_inval_mn smn;
	struct smmu_inval si;
	spinlock_t lock;	/* the driver's lock */
	rwlock_t rwlock;	/* the same, of another kind */
	unsigned int i;

	get_init();
	spin_lock_init(&lock);
	rwlock_init(&rwlock);
	cfg.lock = SMMU_INVAL_LOCK(&lock);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&si, &no_zap, &cfg), 0);
	KUNIT_EXPECT_EQ(test, smmu_inval_mn_init(&smn, &si, &smmu_inval_mn_ops),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, smmu_inval_mn_init(&smn, &si, NULL), -EINVAL);
	smmu_inval_destroy(&si);
	for (i = 0; i < 2; i++) {
		cfg.late_debugfs = i;
		KUNIT_ASSERT_EQ(test, smmu_inval_init(&si, i ? &no_free : &has_free,
						      &cfg), 0);
		KUNIT_EXPECT_EQ(test, smmu_inval_mn_init(&smn, &si, &get_class.ops),
				-EINVAL);
		smmu_inval_destroy(&si);
	}
	cfg.late_debugfs = false;
	/* A secondary TLB is called with interrupts off. */
	cfg.lock = SMMU_INVAL_LOCK(&rwlock);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&si, &no_free, &cfg), 0);
	KUNIT_EXPECT_EQ(test, smmu_inval_mn_init(&smn, &si, &smmu_inval_tlb_ops),
			-EINVAL);
	smmu_inval_destroy(&si);
}

/* Section 6: what it accepts it leaves as it is, and memory need not be zero. */
static void mn_init_accepts(struct kunit *test)
{
	static const struct smmu_inval_ops ops = {
		.zap = get_zap,
		.flush = get_flush,
	};
	struct smmu_inval_config cfg = mm_dev_config();
	struct get_dev *dev;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	memset(dev, 0xff, sizeof(*dev));
	spin_lock_init(&dev->lock);
	cfg.lock = SMMU_INVAL_LOCK(&dev->lock);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&dev->si, &ops, &cfg), 0);
	KUNIT_EXPECT_EQ(test, smmu_inval_mn_init(&dev->smn, &dev->si,
						 &smmu_inval_mn_ops), 0);
	/* Interrupts stay on: only a secondary TLB is called with them off. */
	KUNIT_EXPECT_EQ(test, (int)dev->si.cfg.lock.kind,
			(int)SMMU_INVAL_SPINLOCK);
	KUNIT_EXPECT_EQ(test, dev->smn.users, 0);
	smmu_inval_destroy(&dev->si);
}

/* Aging. */

static bool young[3];

static bool aging_clear_flush(struct smmu_inval *si, u64 start, u64 last)
{
	return xchg(&young[0], false);
}

static bool aging_clear(struct smmu_inval *si, u64 start, u64 last)
{
	return xchg(&young[1], false);
}

static bool aging_test(struct smmu_inval *si, u64 addr)
{
	return young[2];
}

/* Section 6: aging passes through, and never flushes. */
static void mn_aging(struct kunit *test)
{
	struct smmu_inval_ops ops = mm_dev_ops;
	unsigned long end;
	struct mn_rig rig;

	ops.clear_flush_young = aging_clear_flush;
	ops.clear_young = aging_clear;
	ops.test_young = aging_test;
	rig = mn_rig(test, &ops, NULL);
	young[0] = true;
	young[1] = true;
	young[2] = true;
	end = rig.base + PAGE_SIZE;
	KUNIT_EXPECT_TRUE(test, mmu_notifier_clear_flush_young(rig.mm, rig.base,
							       end));
	KUNIT_EXPECT_FALSE(test, mmu_notifier_clear_flush_young(rig.mm, rig.base,
								end));
	KUNIT_EXPECT_TRUE(test, mmu_notifier_clear_young(rig.mm, rig.base, end));
	KUNIT_EXPECT_FALSE(test, mmu_notifier_clear_young(rig.mm, rig.base, end));
	/* No address at all: there is no last one to name. */
	young[0] = true;
	young[1] = true;
	KUNIT_EXPECT_FALSE(test, mmu_notifier_clear_flush_young(rig.mm, end, end));
	KUNIT_EXPECT_FALSE(test, mmu_notifier_clear_young(rig.mm, end, end));
	KUNIT_EXPECT_TRUE(test, mmu_notifier_test_young(rig.mm, rig.base));
	young[2] = false;
	KUNIT_EXPECT_FALSE(test, mmu_notifier_test_young(rig.mm, rig.base));
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, 0);
	KUNIT_EXPECT_EQ(test, mm_dev_count(rig.dev, true), PAGES);
	mm_dev_unbind(rig.dev);
	mm_dev_destroy(rig.dev);
}

/* Owners. */

/* Section 4: MIGRATE and EXCLUSIVE spare the owner's device, and no other. */
static void mn_owner(struct kunit *test)
{
	static const enum mmu_notifier_event events[] = {
		MMU_NOTIFY_MIGRATE, MMU_NOTIFY_EXCLUSIVE,
	};
	struct smmu_inval_config cfg = mm_dev_config();
	int mine, other;
	struct mn_rig rig;
	unsigned int i;

	cfg.owner = &mine;
	rig = mn_rig(test, &mm_dev_ops, &cfg);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		struct mmu_notifier_range range;
		struct smmu_inval_cookie cookie;

		mm_dev_populate(rig.dev, true);
		range = mm_range(rig.mm, events[i], rig.base,
				 rig.base + PAGE_SIZE);
		range.owner = &mine;
		cookie = mm_dev_read_begin(rig.dev);
		mmu_notifier_invalidate_range_start(&range);
		KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, 0, true));
		mmu_notifier_invalidate_range_end(&range);
		/* Its own migration moves pages; exclusive access does not. */
		KUNIT_EXPECT_EQ(test, mm_dev_read_retry(rig.dev, cookie, 0),
				events[i] == MMU_NOTIFY_MIGRATE);
		range.owner = &other;
		mmu_notifier_invalidate_range_start(&range);
		KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
		mmu_notifier_invalidate_range_end(&range);
		KUNIT_EXPECT_EQ(test, mm_dev_fault(rig.dev, 0, true), 0);
		range.owner = NULL;
		mmu_notifier_invalidate_range_start(&range);
		KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
		mmu_notifier_invalidate_range_end(&range);
		KUNIT_EXPECT_TRUE(test, mm_dev_maps(rig.dev, 1, true));
	}
}

/* Section 4: an owner of NULL matches nobody, not even a driver without one. */
static void mn_no_owner(struct kunit *test)
{
	struct mn_rig rig = mn_rig(test, &mm_dev_ops, NULL);
	struct mmu_notifier_range range;

	range = mm_range(rig.mm, MMU_NOTIFY_EXCLUSIVE, rig.base,
			 rig.base + PAGE_SIZE);
	mmu_notifier_invalidate_range_start(&range);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	mmu_notifier_invalidate_range_end(&range);
}

static struct kunit_case mn_cases[] = {
	KUNIT_CASE_PARAM(mn_follows, mm_sender_gen_params),
	KUNIT_CASE_PARAM(mn_follows_zap_only, mm_sender_gen_params),
	KUNIT_CASE_PARAM(mn_follows_two_phase, mm_sender_gen_params),
	KUNIT_CASE_PARAM(mn_follows_coarse, mm_sender_gen_params),
	KUNIT_CASE_PARAM(mn_lock_kinds, test_lock_gen_params),
	KUNIT_CASE(mn_pending),
	KUNIT_CASE(mn_retires),
	KUNIT_CASE(mn_defers),
	KUNIT_CASE(mn_switch_between),
	KUNIT_CASE(mn_zaps_undecided),
	KUNIT_CASE(mn_fork_wrprotects_at_start),
	KUNIT_CASE(mn_hugetlb_zaps_at_start),
	KUNIT_CASE(mn_decides_by_page),
	KUNIT_CASE(mn_decides_in_parts),
	KUNIT_CASE(mn_flushes_what_changed),
	KUNIT_CASE(mn_numa_spares_pinned),
	KUNIT_CASE(mn_parallel),
	KUNIT_CASE(mn_nested),
	KUNIT_CASE(mn_nested_others),
	KUNIT_CASE(mn_overflow),
	KUNIT_CASE(mn_unlocked),
	KUNIT_CASE(mn_below_hugetlb),
	KUNIT_CASE(mn_nonblock),
	KUNIT_CASE(mn_may_yield),
	KUNIT_CASE(mn_clamps_soft_dirty),
	KUNIT_CASE(mn_outside),
	KUNIT_CASE(mn_outside_unnamed),
	KUNIT_CASE(mn_add_ranges),
	KUNIT_CASE(mn_add_ranges_of_two),
	KUNIT_CASE(mn_add_ranges_in_flight),
	KUNIT_CASE(mn_fault_races),
	KUNIT_CASE(mn_fault_waits),
	KUNIT_CASE(mn_waits_for_others_flush),
	KUNIT_CASE(mn_waits_for_what_overlaps),
	KUNIT_CASE(mn_waits_beside_unnamed),
	KUNIT_CASE(mn_tree_retires),
	KUNIT_CASE(mn_two_phase_between),
	KUNIT_CASE(mn_exit),
	KUNIT_CASE(mn_unregister),
	KUNIT_CASE(mn_unregister_pending),
	KUNIT_CASE(mn_get_put),
	KUNIT_CASE(mn_put_after_exit),
	KUNIT_CASE(mn_get_put_race),
	KUNIT_CASE(mn_init_refuses),
	KUNIT_CASE(mn_init_accepts),
	KUNIT_CASE(mn_aging),
	KUNIT_CASE(mn_owner),
	KUNIT_CASE(mn_no_owner),
	{}
};

static struct kunit_suite mn_suite = {
	.name = "smmu_inval_mn",
	.test_cases = mn_cases,
};

kunit_test_suite(mn_suite);
