// SPDX-License-Identifier: GPL-2.0
/*
 * The binding for secondary TLBs and the driver's lock: which kinds of it there may be,
 * and that who waits for it is served by who has it.
 */
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>

#include "../compat.h"
#include "../internal.h"
#include "mm_helpers.h"

#define PAGES	32

/* A secondary TLB with a bit for each of its pages, that is cached or not. */
struct tlb_dev {
	struct smmu_inval si;
	struct smmu_inval_mn smn;
	struct kunit *test;
	enum smmu_inval_lock_kind kind;
	raw_spinlock_t raw;	/* the driver's lock, for one of the tests */
	spinlock_t spin;	/* or this */
	rwlock_t rw;		/* and some that do not do */
	struct mutex mutex;	/* this neither */
	struct rw_semaphore sem;
	unsigned long base;
	raw_spinlock_t hw_lock;	/* of what is cached */
	u32 cached;
	unsigned int us;
	atomic_t flushes;
	atomic_t flushes_all;
	atomic_t inside;
	unsigned int most_inside;
	unsigned int irqs_on;
	unsigned int freed;
	const struct smmu_inval_tlb_request *others;
	unsigned int nr_others;
	unsigned int early;
	bool go;
};

static struct tlb_dev *to_tlb_dev(struct smmu_inval *si)
{
	return container_of(si, struct tlb_dev, si);
}

static u32 page_bits(const struct tlb_dev *dev,
		     const struct smmu_inval_flush *flush)
{
	u32 bits = flush->all ? ~0U : 0;
	unsigned int i, page;

	for (page = 0; page < PAGES; page++)
		for (i = 0; i < flush->nr; i++)
			if (mm_page(dev, page) >= flush->spans[i].start &&
			    mm_page(dev, page) <= flush->spans[i].last)
				bits |= BIT(page);
	return bits;
}

static void tlb_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	struct tlb_dev *dev = to_tlb_dev(si);
	u32 bits = page_bits(dev, flush);
	unsigned int i, inside;
	unsigned long flags;

	inside = atomic_inc_return(&dev->inside);
	atomic_inc(&dev->flushes);
	atomic_add(flush->all, &dev->flushes_all);
	if (dev->us)
		udelay(dev->us);
	raw_spin_lock_irqsave(&dev->hw_lock, flags);
	dev->most_inside = max(dev->most_inside, inside);
	dev->cached &= ~bits;
	for (i = 0; i < dev->nr_others; i++)
		dev->early += dev->others[i].done;
	raw_spin_unlock_irqrestore(&dev->hw_lock, flags);
	dev->irqs_on += !irqs_disabled();
	atomic_dec(&dev->inside);
}

static void tlb_free(struct smmu_inval *si)
{
	to_tlb_dev(si)->freed++;
}

/* Not called: so that it is the lock for which other bindings refuse it. */
static void tlb_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		    const struct smmu_inval_span *span)
{
	KUNIT_FAIL(to_tlb_dev(si)->test, "a secondary TLB has nothing to zap");
}

static const struct smmu_inval_ops tlb_ops = {
	.zap = tlb_zap,
	.flush = tlb_flush,
	.free = tlb_free,
};

static struct smmu_inval_lock tlb_dev_lock(struct tlb_dev *dev)
{
	switch (dev->kind) {
	case SMMU_INVAL_RAW_SPINLOCK:
		return SMMU_INVAL_LOCK(&dev->raw);
	case SMMU_INVAL_SPINLOCK:
		return SMMU_INVAL_LOCK(&dev->spin);
	case SMMU_INVAL_RWLOCK:
		return SMMU_INVAL_LOCK(&dev->rw);
	case SMMU_INVAL_MUTEX:
		return SMMU_INVAL_LOCK(&dev->mutex);
	case SMMU_INVAL_RWSEM:
		return SMMU_INVAL_LOCK(&dev->sem);
	default:
		return (struct smmu_inval_lock){ .kind = dev->kind };
	}
}

static void tlb_dev_destroy(void *arg)
{
	struct tlb_dev *dev = arg;

	smmu_inval_destroy(&dev->si);
}

static struct tlb_dev *tlb_dev_new(struct kunit *test,
				   enum smmu_inval_lock_kind kind)
{
	struct smmu_inval_config cfg = {
		SMMU_INVAL_TLB_CONFIG_DEFAULTS,
		.name = "tlb_lock_test",
		.late_debugfs = true,
	};
	struct tlb_dev *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->test = test;
	dev->kind = kind;
	dev->base = 0x10000000;
	raw_spin_lock_init(&dev->raw);
	spin_lock_init(&dev->spin);
	rwlock_init(&dev->rw);
	mutex_init(&dev->mutex);
	init_rwsem(&dev->sem);
	raw_spin_lock_init(&dev->hw_lock);
	cfg.lock = tlb_dev_lock(dev);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&dev->si, &tlb_ops, &cfg), 0);
	mm_defer(test, tlb_dev_destroy, dev);
	return dev;
}

static struct tlb_dev *tlb_dev_bound(struct kunit *test,
				     enum smmu_inval_lock_kind kind)
{
	struct tlb_dev *dev = tlb_dev_new(test, kind);

	KUNIT_ASSERT_EQ(test, smmu_inval_mn_init(&dev->smn, &dev->si,
						 &smmu_inval_tlb_ops), 0);
	return dev;
}

/* As core mm does, for pages [first, first + nr). */
static void tlb_call(struct tlb_dev *dev, unsigned int first, unsigned int nr)
{
	struct mmu_notifier *mn = &dev->smn.mn;

	mn->ops->SMMU_INVAL_TLB_OP(mn, NULL, mm_page(dev, first),
				   mm_page(dev, first + nr));
}

static u64 tlb_counter(struct tlb_dev *dev, size_t offset)
{
	struct smmu_inval_stats *stats;

	stats = kunit_kzalloc(dev->test, sizeof(*stats), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(dev->test, stats);
	smmu_inval_get_stats(&dev->si, stats);
	return *(u64 *)((void *)stats + offset);
}

#define tlb_combined(dev) \
	tlb_counter(dev, offsetof(struct smmu_inval_stats, combined))

static const enum smmu_inval_lock_kind tlb_locks[] = {
	SMMU_INVAL_RAW_SPINLOCK, SMMU_INVAL_SPINLOCK,
};

static void tlb_lock_desc(const enum smmu_inval_lock_kind *kind, char *desc)
{
	strscpy(desc, *kind == SMMU_INVAL_SPINLOCK ? "spinlock" :
		      *kind == SMMU_INVAL_LOCKLESS ? "none" : "raw_spinlock",
		KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(tlb_lock, tlb_locks, tlb_lock_desc);

static const enum smmu_inval_lock_kind tlb_all_locks[] = {
	SMMU_INVAL_RAW_SPINLOCK, SMMU_INVAL_SPINLOCK, SMMU_INVAL_LOCKLESS,
};

KUNIT_ARRAY_PARAM(tlb_any_lock, tlb_all_locks, tlb_lock_desc);

/* Somebody who waits for the lock. */
static void tlb_queue(struct tlb_dev *dev, struct smmu_inval_tlb_request *req,
		      unsigned int page)
{
	*req = (struct smmu_inval_tlb_request) {
		.span = {
			.start = mm_page(dev, page),
			.last = mm_page(dev, page + 1) - 1,
			.events = BIT(SMMU_INVAL_TLB),
		},
	};
	llist_add(&req->node, &dev->si.tlb_requests);
}

/* I1: who gets the lock flushes for all, once, and tells them after that. */
static void tlb_serves_who_waits(struct kunit *test)
{
	const enum smmu_inval_lock_kind *kind = test->param_value;
	struct tlb_dev *dev = tlb_dev_bound(test, *kind);
	struct smmu_inval_tlb_request others[2];

	dev->cached = ~0U;
	tlb_queue(dev, &others[0], 5);
	tlb_queue(dev, &others[1], 9);
	dev->others = others;
	dev->nr_others = 2;
	tlb_call(dev, 0, 2);
	KUNIT_EXPECT_EQ(test, dev->cached, ~(u32)(BIT(0) | BIT(1) | BIT(5) | BIT(9)));
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes), 1);
	KUNIT_EXPECT_TRUE(test, others[0].done && others[1].done);
	KUNIT_EXPECT_EQ(test, dev->early, 0);
	KUNIT_EXPECT_TRUE(test, llist_empty(&dev->si.tlb_requests));
	KUNIT_EXPECT_EQ(test, tlb_combined(dev), 0);
	/* And nothing of it is left for the next. */
	dev->nr_others = 0;
	tlb_call(dev, 20, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes_all), 0);
}

/* I5: one that wants everything flushed gets that. */
static void tlb_serves_all(struct kunit *test)
{
	const enum smmu_inval_lock_kind *kind = test->param_value;
	struct tlb_dev *dev = tlb_dev_bound(test, *kind);
	struct smmu_inval_tlb_request other;

	dev->cached = ~0U;
	tlb_queue(dev, &other, 5);
	other.all = true;
	tlb_call(dev, 0, 1);
	KUNIT_EXPECT_EQ(test, dev->cached, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes_all), 1);
	KUNIT_EXPECT_TRUE(test, other.done);
}

/* I5: more than a batch keeps apart; coverage only grows. */
static void tlb_serves_many(struct kunit *test)
{
	const enum smmu_inval_lock_kind *kind = test->param_value;
	struct tlb_dev *dev = tlb_dev_bound(test, *kind);
	struct smmu_inval_tlb_request others[2 * SMMU_INVAL_BATCH_SPANS - 1];
	u32 left = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		tlb_queue(dev, &others[i], 2 * i);
		left |= BIT(2 * i);
	}
	dev->cached = left | BIT(PAGES - 1);
	tlb_call(dev, 2 * i, 1);
	KUNIT_EXPECT_EQ(test, dev->cached & left, 0);
	KUNIT_EXPECT_TRUE(test, dev->cached & BIT(PAGES - 1));
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes), 1);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		KUNIT_EXPECT_TRUE(test, others[i].done);
}

/* Once the lock is taken. */
static int call_page_0(void *arg)
{
	struct tlb_dev *dev = arg;

	while (!READ_ONCE(dev->go) && !kthread_should_stop())
		cpu_relax();
	tlb_call(dev, 0, 1);
	return 0;
}

/*
 * What becomes of a callback that waits for the lock on the other CPU, while the test has
 * it and serves it, or does not.
 */
static void tlb_one_waits(struct tlb_dev *dev, bool serve)
{
	struct kunit *test = dev->test;
	struct llist_node *requests;
	struct test_thread thread;
	unsigned long flags;
	unsigned int i;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	migrate_disable();
	test_thread_start(test, &thread, !raw_smp_processor_id(), call_page_0, dev);
	smmu_inval_lock(&dev->si, &flags);
	WRITE_ONCE(dev->go, true);
	for (i = 0; i < 1000000 && llist_empty(&dev->si.tlb_requests); i++)
		udelay(1);
	if (serve) {
		requests = llist_del_all(&dev->si.tlb_requests);
		if (requests)
			llist_entry(requests, struct smmu_inval_tlb_request,
				    node)->done = true;
	}
	smmu_inval_unlock(&dev->si, flags);
	migrate_enable();
	KUNIT_EXPECT_EQ(test, test_thread_join(test, &thread), 0);
	KUNIT_EXPECT_LT(test, i, 1000000);
}

/* I9: what was flushed by somebody else is not flushed again. */
static void tlb_is_served(struct kunit *test)
{
	const enum smmu_inval_lock_kind *kind = test->param_value;
	struct tlb_dev *dev = tlb_dev_bound(test, *kind);

	tlb_one_waits(dev, true);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes), 0);
	KUNIT_EXPECT_EQ(test, tlb_combined(dev), 1);
}

/* I1: and what was not, is. */
static void tlb_is_not_served(struct kunit *test)
{
	const enum smmu_inval_lock_kind *kind = test->param_value;
	struct tlb_dev *dev = tlb_dev_bound(test, *kind);

	tlb_one_waits(dev, false);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes), 1);
	KUNIT_EXPECT_EQ(test, tlb_combined(dev), 0);
}

struct tlb_racer {
	struct tlb_dev *dev;
	unsigned int page;
	unsigned int rounds;
	unsigned int stale;
	ktime_t until;
};

/* The device caches a page, it changes, the callback comes, and the page is not cached. */
static int tlb_race_one(void *arg)
{
	struct tlb_racer *racer = arg;
	struct tlb_dev *dev = racer->dev;
	unsigned long flags;

	/* Once at least, also if the CPU comes too late. */
	do {
		raw_spin_lock_irqsave(&dev->hw_lock, flags);
		dev->cached |= BIT(racer->page);
		raw_spin_unlock_irqrestore(&dev->hw_lock, flags);
		tlb_call(dev, racer->page, 1);
		raw_spin_lock_irqsave(&dev->hw_lock, flags);
		racer->stale += !!(dev->cached & BIT(racer->page));
		raw_spin_unlock_irqrestore(&dev->hw_lock, flags);
		racer->rounds++;
		cond_resched();
	} while (ktime_before(ktime_get(), racer->until));
	return 0;
}

/* I1, with as many CPUs as there are, and one more thread. */
static void tlb_race(struct kunit *test)
{
	const enum smmu_inval_lock_kind *kind = test->param_value;
	struct tlb_dev *dev = tlb_dev_bound(test, *kind);
	struct test_thread threads[3];
	struct tlb_racer racers[3];
	unsigned int i, rounds = 0;

	dev->us = 2;
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		racers[i] = (struct tlb_racer) {
			.dev = dev,
			.page = 3 * i,
			.until = ktime_add_ms(ktime_get(), test_race_ms),
		};
		test_thread_start(test, &threads[i], i, tlb_race_one, &racers[i]);
	}
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		KUNIT_EXPECT_EQ(test, test_thread_join(test, &threads[i]), 0);
		KUNIT_EXPECT_EQ(test, racers[i].stale, 0);
		KUNIT_EXPECT_GT(test, racers[i].rounds, 0);
		rounds += racers[i].rounds;
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes) + tlb_combined(dev),
			(u64)rounds);
	if (*kind == SMMU_INVAL_LOCKLESS)
		KUNIT_EXPECT_EQ(test, tlb_combined(dev), 0);
	else
		KUNIT_EXPECT_EQ(test, dev->most_inside, 1);
	kunit_info(test, "%u rounds, %llu combined, up to %u at once\n", rounds,
		   tlb_combined(dev), dev->most_inside);
}

/* Section 6: interrupts are off below a lock, and afterwards as they were. */
static void tlb_interrupts(struct kunit *test)
{
	const enum smmu_inval_lock_kind *kind = test->param_value;
	struct tlb_dev *dev = tlb_dev_bound(test, *kind);
	unsigned long flags;

	/* A spinlock that sleeps has nothing to do with interrupts. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) && *kind == SMMU_INVAL_SPINLOCK)
		kunit_skip(test, "not on PREEMPT_RT");
	tlb_call(dev, 0, 1);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	local_irq_save(flags);
	tlb_call(dev, 0, 1);
	KUNIT_EXPECT_TRUE(test, irqs_disabled());
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, dev->irqs_on, 0);
}

/* Section 6: no lock that sleeps, and none that can be taken for reading below it. */
static void tlb_refuses(struct kunit *test)
{
	static const enum smmu_inval_lock_kind kinds[] = {
		SMMU_INVAL_RWLOCK, SMMU_INVAL_MUTEX, SMMU_INVAL_RWSEM,
	};
	struct smmu_inval_interval ival;
	struct tlb_dev *dev;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		dev = tlb_dev_new(test, kinds[i]);
		KUNIT_EXPECT_EQ(test, smmu_inval_mn_init(&dev->smn, &dev->si,
							 &smmu_inval_tlb_ops),
				-EINVAL);
	}
	/* And what has something pending needs a lock. */
	dev = tlb_dev_new(test, SMMU_INVAL_LOCKLESS);
	KUNIT_EXPECT_EQ(test, smmu_inval_mn_init(&dev->smn, &dev->si,
						 &smmu_inval_mn_ops), -EINVAL);
	KUNIT_EXPECT_EQ(test, smmu_inval_interval_insert(&ival, &dev->si,
							 mm_attach(test), 0,
							 PAGE_SIZE - 1, 4),
			-EINVAL);
}

/* I10: an instance that the driver registers, and gives back without waiting. */
static void tlb_class(struct kunit *test)
{
	struct tlb_dev *dev = tlb_dev_new(test, SMMU_INVAL_RAW_SPINLOCK);
	struct tlb_dev *dead = tlb_dev_new(test, SMMU_INVAL_RAW_SPINLOCK);
	struct smmu_inval_mn_class *class;
	struct mm_struct *mm = mm_attach(test);

	class = kunit_kzalloc(test, sizeof(*class), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, class);
	smmu_inval_mn_class_init(class, &smmu_inval_tlb_ops, NULL);
	KUNIT_ASSERT_EQ(test, smmu_inval_mn_init(&dev->smn, &dev->si,
						 &class->ops), 0);
	KUNIT_EXPECT_NULL(test, dev->si.dir);
	KUNIT_ASSERT_EQ(test, smmu_inval_mn_register(&dev->smn, mm), 0);
	/* Late, but not left out. */
	KUNIT_EXPECT_NOT_NULL(test, dev->si.dir);

	/* What cannot be registered is as if it had never been. */
	KUNIT_ASSERT_EQ(test, smmu_inval_mn_init(&dead->smn, &dead->si,
						 &class->ops), 0);
	smmu_inval_shutdown(&dead->si);
	KUNIT_EXPECT_EQ(test, smmu_inval_mn_register(&dead->smn, mm), -ESRCH);
	KUNIT_EXPECT_EQ(test, dead->freed, 0);

	dev->cached = ~0U;
	smmu_inval_mn_put(&dev->smn);
	KUNIT_EXPECT_EQ(test, dev->cached, 0);
	KUNIT_EXPECT_TRUE(test, smmu_inval_is_dead(&dev->si));
	smmu_inval_mn_synchronize(class);
	KUNIT_EXPECT_EQ(test, dev->freed, 1);
}

static struct kunit_case tlb_lock_cases[] = {
	KUNIT_CASE_PARAM(tlb_serves_who_waits, tlb_lock_gen_params),
	KUNIT_CASE_PARAM(tlb_serves_all, tlb_lock_gen_params),
	KUNIT_CASE_PARAM(tlb_serves_many, tlb_lock_gen_params),
	KUNIT_CASE_PARAM(tlb_is_served, tlb_lock_gen_params),
	KUNIT_CASE_PARAM(tlb_is_not_served, tlb_lock_gen_params),
	KUNIT_CASE_PARAM(tlb_race, tlb_any_lock_gen_params),
	KUNIT_CASE_PARAM(tlb_interrupts, tlb_lock_gen_params),
	KUNIT_CASE(tlb_refuses),
	KUNIT_CASE(tlb_class),
	{}
};

static struct kunit_suite tlb_lock_suite = {
	.name = "smmu_inval_tlb_lock",
	.test_cases = tlb_lock_cases,
};

kunit_test_suite(tlb_lock_suite);
