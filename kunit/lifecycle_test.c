// SPDX-License-Identifier: GPL-2.0
/*
 * Bindings that come and go, and devices that work, while the process changes
 * its memory on another CPU.
 *
 * Each page holds the number of its generation. The owner of the page throws it
 * away and writes the next number into a new one; when that is done he says so.
 * What the device reads through its TLB after that must not be older.
 */
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/prandom.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mm_helpers.h"

#define PAGES	32
#define OWNERS	2
#define ENGINES	2

struct load {
	struct kunit *test;
	struct mm_struct *mm;
	struct mm_dev *dev;
	unsigned long base;
	unsigned long until;
	u64 started[PAGES];
	u64 published[PAGES];
	atomic_t ops;
	atomic_t faults;
	atomic_t reads;
	atomic_t stale;
	atomic_t errors;
};

struct worker {
	struct load *load;
	unsigned int nth;
	struct rnd_state random;
	struct mm_thread thread;
};

static u32 below(struct worker *worker, u32 n)
{
	return prandom_u32_state(&worker->random) % n;
}

static void owner_op(struct worker *worker, unsigned int page)
{
	struct load *load = worker->load;
	unsigned long addr = load->base + page * PAGE_SIZE;
	u64 gen = load->published[page] + 1;
	int ret = 0;

	WRITE_ONCE(load->started[page], gen);
	/* Pairs with the second barrier in engine_read(). */
	smp_mb();
	switch (below(worker, 4)) {
	case 0:
		ret = mm_sys_mprotect(addr, PAGE_SIZE, PROT_READ, 0, 0, 0);
		break;
	case 1:
		ret = mm_sys_mprotect(addr, PAGE_SIZE, PROT_NONE, 0, 0, 0);
		break;
	default:
		ret = mm_sys_madvise(addr, PAGE_SIZE, MADV_DONTNEED, 0, 0, 0);
		break;
	}
	ret |= mm_sys_mprotect(addr, PAGE_SIZE, PROT_READ | PROT_WRITE, 0, 0, 0);
	ret |= put_user(gen, (u64 __user *)addr);
	/* Pairs with the first barrier in engine_read(). */
	smp_mb();
	WRITE_ONCE(load->published[page], gen);
	atomic_add(!!ret, &load->errors);
	atomic_inc(&load->ops);
}

static int owner(void *arg)
{
	struct worker *worker = arg;

	while (time_before(jiffies, worker->load->until)) {
		owner_op(worker, below(worker, PAGES / OWNERS) * OWNERS +
				 worker->nth);
		cond_resched();
	}
	return 0;
}

/* An access of the device, which a flush waits for. */
static void engine_read(struct load *load, unsigned int page)
{
	struct mm_dev *dev = load->dev;
	u64 published, started, value;
	void *data;

	published = READ_ONCE(load->published[page]);
	/* Pairs with the second barrier in owner_op(). */
	smp_mb();
	scoped_guard(raw_spinlock_irqsave, &dev->hw_lock) {
		if (!dev->tlb[page].valid)
			return;
		data = kmap_local_page(pfn_to_page(dev->tlb[page].pfn));
		value = READ_ONCE(*(u64 *)data);
		kunmap_local(data);
	}
	/* Pairs with the first barrier in owner_op(). */
	smp_mb();
	started = READ_ONCE(load->started[page]);
	atomic_inc(&load->reads);
	/* A new page is empty until its owner has written to it. */
	if (value < published && !(value == 0 && started > published))
		atomic_inc(&load->stale);
}

static int engine(void *arg)
{
	struct worker *worker = arg;
	struct load *load = worker->load;
	unsigned int page;
	int ret;

	while (time_before(jiffies, load->until)) {
		page = below(worker, PAGES);
		ret = mm_dev_fault(load->dev, page, below(worker, 2));
		if (!ret)
			atomic_inc(&load->faults);
		/* Just now there may be nothing to be mapped. */
		else if (ret != -EFAULT && ret != -ESRCH)
			atomic_inc(&load->errors);
		engine_read(load, page);
		engine_read(load, below(worker, PAGES));
		cond_resched();
	}
	return 0;
}

static struct load *load_new(struct kunit *test)
{
	struct load *load = kunit_kzalloc(test, sizeof(*load), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, load);
	load->test = test;
	load->mm = mm_attach(test);
	load->base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS);
	for (i = 0; i < PAGES; i++)
		KUNIT_ASSERT_EQ(test, put_user(1ull, (u64 __user *)(load->base +
							i * PAGE_SIZE)), 0);
	memset64(load->started, 1, PAGES);
	memset64(load->published, 1, PAGES);
	load->until = jiffies + msecs_to_jiffies(test_race_ms);
	return load;
}

static void start(struct load *load, struct worker *worker, unsigned int nth,
		  int (*fn)(void *arg))
{
	worker->load = load;
	worker->nth = nth;
	prandom_seed_state(&worker->random, test_random(U32_MAX));
	mm_thread_start(load->test, &worker->thread, load->mm, nth, fn, worker);
}

static struct worker *workers(struct kunit *test, unsigned int nr)
{
	struct worker *worker = kunit_kcalloc(test, nr, sizeof(*worker),
					      GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, worker);
	return worker;
}

struct variant {
	const char *name;
	enum mm_binding binding;
	enum test_lock_kind kind;
	const struct smmu_inval_ops *ops;
	bool coarse;
};

static const struct variant variants[] = {
	{ "start and end", MM_MN, TEST_SPINLOCK, &mm_dev_ops },
	{ "start and end, zap only", MM_MN, TEST_RWLOCK, &mm_dev_ops_zap_only },
	{ "start and end, two phases", MM_MN, TEST_SPINLOCK,
	  &mm_dev_ops_two_phase },
	{ "start and end, coarse", MM_MN, TEST_RAW_SPINLOCK, &mm_dev_ops, true },
	{ "interval", MM_INTERVAL, TEST_MUTEX, &mm_dev_ops },
	{ "interval, zap only", MM_INTERVAL, TEST_RWSEM, &mm_dev_ops_zap_only },
	{ "interval, two phases", MM_INTERVAL, TEST_SPINLOCK,
	  &mm_dev_ops_two_phase },
	{ "interval, coarse", MM_INTERVAL, TEST_MUTEX, &mm_dev_ops, true },
};

static void variant_desc(const struct variant *variant, char *desc)
{
	strscpy(desc, variant->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(variant, variants, variant_desc);

static struct mm_dev *variant_dev(struct load *load)
{
	const struct variant *variant = load->test->param_value;
	struct mm_dev *dev;

	dev = mm_dev_new(load->test, variant->kind, variant->ops, NULL, load->base,
			 PAGES);
	smmu_inval_set_coarse(&dev->si, variant->coarse);
	return dev;
}

/* I1, I3, I4: the device never reads what the process has replaced. */
static void life_never_stale(struct kunit *test)
{
	const struct variant *variant = test->param_value;
	struct worker *worker = workers(test, OWNERS + ENGINES);
	struct load *load;
	unsigned int i;

	test_seed(test);
	load = load_new(test);
	load->dev = variant_dev(load);
	mm_dev_bind(load->dev, variant->binding, load->mm);
	for (i = 0; i < OWNERS + ENGINES; i++)
		start(load, &worker[i], i, i < OWNERS ? owner : engine);
	for (i = 0; i < OWNERS + ENGINES; i++)
		KUNIT_EXPECT_EQ(test, mm_thread_join(test, &worker[i].thread), 0);
	kunit_info(test, "%s: %d operations, %d faults, %u retries, %d reads\n",
		   variant->name, atomic_read(&load->ops),
		   atomic_read(&load->faults), load->dev->retries,
		   atomic_read(&load->reads));
	KUNIT_EXPECT_EQ(test, atomic_read(&load->stale), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&load->errors), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&load->ops), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&load->faults), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&load->reads), 0);
	mm_dev_expect_coherent(load->dev, variant->name);
	/* Nothing is left behind. */
	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ(test, mm_dev_fault(load->dev, i, true), 0);
	mm_dev_expect_coherent(load->dev, "afterwards");
}

/* I10: bindings come and go while callbacks run. */
static void life_bind_unbind(struct kunit *test)
{
	const struct variant *variant = test->param_value;
	struct worker *worker = workers(test, OWNERS);
	unsigned int i, rounds = 0, pages = 0;
	struct mm_dev *dev;
	struct load *load;

	test_seed(test);
	load = load_new(test);
	dev = variant_dev(load);
	for (i = 0; i < OWNERS; i++)
		start(load, &worker[i], i, owner);
	/* Once at least, also if the CPU comes too late. */
	do {
		/* Not an assertion: the threads go on. */
		if (mm_dev_try_bind(dev, variant->binding, load->mm)) {
			KUNIT_FAIL(test, "cannot be bound");
			break;
		}
		for (i = 0; i < PAGES; i++)
			pages += !mm_dev_fault(dev, i, true);
		mm_dev_unbind(dev);
		if (variant->binding == MM_MN)
			KUNIT_EXPECT_EQ(test, mm_dev_count(dev, false), 0);
		mm_dev_destroy(dev);
		rounds++;
		if (mm_dev_again(dev, variant->ops)) {
			KUNIT_FAIL(test, "cannot be initialized again");
			break;
		}
		smmu_inval_set_coarse(&dev->si, variant->coarse);
		cond_resched();
	} while (time_before(jiffies, load->until));
	for (i = 0; i < OWNERS; i++)
		KUNIT_EXPECT_EQ(test, mm_thread_join(test, &worker[i].thread), 0);
	kunit_info(test, "%s: %u rounds, %u pages\n", variant->name, rounds, pages);
	KUNIT_EXPECT_GT(test, rounds, 0);
	KUNIT_EXPECT_GT(test, pages, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&load->errors), 0);
}

static int fault_first(void *arg)
{
	return mm_dev_fault(arg, 0, true);
}

/* I10: a fault that waits is let go when the instance is shut down. */
static void life_shutdown_waiting(struct kunit *test)
{
	struct load *load = load_new(test);
	struct smmu_inval_token *token;
	struct mm_thread fault;
	struct mm_dev *dev;
	unsigned long flags = 0;

	dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, load->base, PAGES);
	mm_dev_bind(dev, MM_INTERVAL, load->mm);
	mm_dev_lock(dev, &flags);
	token = smmu_inval_begin(&dev->si, SMMU_INVAL_DRIVER);
	smmu_inval_add(&dev->si, token, load->base, load->base + PAGE_SIZE - 1);
	mm_dev_unlock(dev, flags);
	mm_thread_start(test, &fault, load->mm, 1, fault_first, dev);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	smmu_inval_shutdown(&dev->si);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &fault), -ESRCH);
	KUNIT_EXPECT_TRUE(test, smmu_inval_interval_is_dead(&dev->ival));
	KUNIT_EXPECT_FALSE(test, mm_dev_maps(dev, 0, false));
	mm_dev_unbind(dev);
}

/* I10: unregister against faults; they give up, and install nothing more. */
static void life_unbind_faults(struct kunit *test)
{
	struct worker *worker = workers(test, OWNERS + ENGINES);
	struct load *load;
	unsigned int i;

	test_seed(test);
	load = load_new(test);
	load->dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, NULL, load->base,
			       PAGES);
	mm_dev_bind(load->dev, MM_MN, load->mm);
	for (i = 0; i < OWNERS + ENGINES; i++)
		start(load, &worker[i], i, i < OWNERS ? owner : engine);
	schedule_timeout_uninterruptible(msecs_to_jiffies(test_race_ms) / 4);
	smmu_inval_mn_unregister(&load->dev->smn);
	KUNIT_EXPECT_EQ(test, mm_dev_count(load->dev, false), 0);
	for (i = 0; i < OWNERS + ENGINES; i++)
		KUNIT_EXPECT_EQ(test, mm_thread_join(test, &worker[i].thread), 0);
	load->dev->binding = MM_UNBOUND;
	KUNIT_EXPECT_EQ(test, mm_dev_count(load->dev, false), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&load->stale), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&load->errors), 0);
}

/* I10: what is pending at destroy is dropped without a word. */
static void life_destroy_pending(struct kunit *test)
{
	struct load *load = load_new(test);
	struct smmu_inval_token *token;
	struct mm_dev *dev;
	unsigned long flags = 0;

	dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, NULL, load->base,
			 PAGES);
	mm_dev_bind(dev, MM_MN, load->mm);
	mm_dev_populate(dev, true);
	mm_dev_lock(dev, &flags);
	token = smmu_inval_begin(&dev->si, SMMU_INVAL_DRIVER);
	smmu_inval_add(&dev->si, token, load->base, load->base + PAGE_SIZE - 1);
	mm_dev_unlock(dev, flags);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(dev, 0));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(dev, 1));
	mm_dev_unbind(dev);
	mm_dev_destroy(dev);
}

/* Section 6: the driver's own invalidations count for intervals, too. */
static void life_driver_event(struct kunit *test)
{
	struct load *load = load_new(test);
	struct smmu_inval_cookie cookie;
	struct smmu_inval_token *token;
	struct mm_thread fault;
	struct mm_dev *dev;
	unsigned long flags = 0;

	dev = mm_dev_new(test, TEST_MUTEX, &mm_dev_ops, NULL, load->base, PAGES);
	mm_dev_bind(dev, MM_INTERVAL, load->mm);
	mm_dev_populate(dev, true);
	cookie = mm_dev_read_begin(dev);
	mm_dev_lock(dev, &flags);
	token = smmu_inval_begin(&dev->si, SMMU_INVAL_DRIVER);
	smmu_inval_add(&dev->si, token, load->base, load->base + PAGE_SIZE - 1);
	mm_dev_unlock(dev, flags);
	KUNIT_EXPECT_TRUE(test, mm_dev_pending(dev, 0));
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(dev, 1));
	mm_thread_start(test, &fault, load->mm, 1, fault_first, dev);
	KUNIT_EXPECT_TRUE(test, test_thread_blocked(&fault.thread));
	mm_dev_lock(dev, &flags);
	smmu_inval_end(&dev->si, token);
	mm_dev_unlock(dev, flags);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &fault), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_pending(dev, 0));
	KUNIT_EXPECT_TRUE(test, mm_dev_read_retry(dev, cookie, 0));
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(dev, cookie, 1));
}

static struct kunit_case life_cases[] = {
	KUNIT_CASE_PARAM(life_never_stale, variant_gen_params),
	KUNIT_CASE_PARAM(life_bind_unbind, variant_gen_params),
	KUNIT_CASE(life_unbind_faults),
	KUNIT_CASE(life_shutdown_waiting),
	KUNIT_CASE(life_destroy_pending),
	KUNIT_CASE(life_driver_event),
	{}
};

static struct kunit_suite life_suite = {
	.name = "smmu_inval_lifecycle",
	.test_cases = life_cases,
};

kunit_test_suite(life_suite);
