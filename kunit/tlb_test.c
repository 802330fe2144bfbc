// SPDX-License-Identifier: GPL-2.0
/*
 * The binding for secondary TLBs: a device that walks the page tables of the
 * process itself, and caches what it finds. On UML only 6.1 calls it, with each
 * end; on x86_64 and others, the flushes of the CPU's own TLB do.
 */
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>

#include "../compat.h"
#include "mm_helpers.h"

#define PAGES	16
#define HALF	(PAGES / 2)

KUNIT_ARRAY_PARAM(mm_sender, mm_senders, mm_sender_desc);

/* What core mm calls, on behalf of the architecture. */
#define PASTE(a, b)		a ## b
#define INVALIDATE(op)		PASTE(mmu_notifier_, op)
#define tlb_invalidate		INVALIDATE(SMMU_INVAL_TLB_OP)

static void tlb_fill_page(struct mm_dev *dev, unsigned int i)
{
	struct mm_primary primary = mm_primary(dev->mm, mm_page(dev, i));

	guard(raw_spinlock_irqsave)(&dev->hw_lock);
	dev->tlb[i] = (struct mm_pte) {
		.pfn = primary.pfn,
		.valid = primary.present,
		.write = primary.write,
	};
}

/* The hardware walks the page tables of the process, wherever it is used. */
static void tlb_fill(struct mm_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr; i++)
		tlb_fill_page(dev, i);
}

static unsigned int tlb_valid(struct mm_dev *dev)
{
	unsigned int i, n = 0;

	for (i = 0; i < dev->nr; i++)
		n += dev->tlb[i].valid;
	return n;
}

static void tlb_expect_coherent(struct mm_dev *dev, const char *where)
{
	struct kunit *test = dev->test;
	unsigned int i;

	for (i = 0; i < dev->nr; i++) {
		struct mm_primary primary = mm_primary(dev->mm, mm_page(dev, i));
		struct mm_pte tlb = dev->tlb[i];

		if (!tlb.valid)
			continue;
		KUNIT_EXPECT_TRUE_MSG(test, primary.present &&
				      primary.pfn == tlb.pfn &&
				      primary.write >= tlb.write,
				      "%s: page %u: stale", where, i);
	}
}

static void tlb_context(struct mm_dev *dev, const struct smmu_inval_flush *flush)
{
	unsigned int *wrong = dev->ctx;

	*wrong += !irqs_disabled();
	*wrong += !flush->all && !flush->nr;
}

struct tlb_rig {
	struct mm_struct *mm;
	struct mm_dev *dev;
	unsigned long base;
	unsigned int *wrong;
};

static struct tlb_rig tlb_rig(struct kunit *test, const struct smmu_inval_ops *ops)
{
	struct tlb_rig rig = { .mm = mm_attach(test) };

	rig.wrong = kunit_kzalloc(test, sizeof(*rig.wrong), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rig.wrong);
	rig.base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, rig.base, PAGES * PAGE_SIZE);
	rig.dev = mm_dev_new(test, TEST_RAW_SPINLOCK, ops, NULL, rig.base, PAGES);
	rig.dev->ctx = rig.wrong;
	rig.dev->flush_hook = tlb_context;
	mm_dev_bind(rig.dev, MM_TLB, rig.mm);
	tlb_fill(rig.dev);
	mm_dev_forget(rig.dev);
	return rig;
}

/* I1: after each operation nothing stale is cached. */
static void tlb_follows(struct kunit *test)
{
	const struct mm_sender *sender = test->param_value;
	struct mm_dev *dev;
	struct mm_ctx *ctx;
	u64 calls;

	if (!mm_calls_secondary_tlbs())
		kunit_skip(test, "the architecture has no secondary TLBs");
	ctx = mm_sender_prepare(test, sender);
	dev = mm_dev_new(test, TEST_RAW_SPINLOCK, &mm_dev_ops, NULL, ctx->base,
			 ctx->nr);
	mm_dev_bind(dev, MM_TLB, ctx->mm);
	tlb_fill(dev);
	KUNIT_ASSERT_EQ(test, tlb_valid(dev), ctx->nr);
	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	tlb_expect_coherent(dev, sender->name);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(dev, odd_ranges), 0);
	calls = mm_dev_event(dev, TLB, callbacks);
	kunit_info(test, "%s: %llu calls, %u flushes, %u of all\n", sender->name,
		   calls, dev->flushes, dev->flushes_all);
	KUNIT_EXPECT_EQ(test, calls, (u64)dev->flushes);
}

/* Section 6: munmap reaches the device, which flushes with interrupts off. */
static void tlb_munmap(struct kunit *test)
{
	struct tlb_rig rig;

	if (!mm_calls_secondary_tlbs())
		kunit_skip(test, "the architecture has no secondary TLBs");
	rig = tlb_rig(test, &mm_dev_ops);
	KUNIT_ASSERT_EQ(test, vm_munmap(rig.base, HALF * PAGE_SIZE), 0);
	KUNIT_EXPECT_GT(test, rig.dev->flushes, 0);
	KUNIT_EXPECT_EQ(test, *rig.wrong, 0);
	tlb_expect_coherent(rig.dev, "munmap");
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), HALF);
}

static int be_there(void *arg)
{
	struct completion *done = arg;

	complete(&done[0]);
	wait_for_completion_timeout(&done[1], TEST_SOON);
	return 0;
}

/* Section 6: reclaim flushes a batch of unmaps at once, and says (0, ~0). */
static void tlb_batched_reclaim(struct kunit *test)
{
	const struct mm_sender *sender = mm_sender_named("reclaim");
	struct completion done[2];
	struct mm_thread thread;
	struct mm_dev *dev;
	struct mm_ctx *ctx;

	if (!IS_ENABLED(CONFIG_ARCH_WANT_BATCHED_UNMAP_TLB_FLUSH) ||
	    num_online_cpus() < 2)
		kunit_skip(test, "unmaps are not batched here");
	ctx = mm_sender_prepare(test, sender);
	dev = mm_dev_new(test, TEST_RAW_SPINLOCK, &mm_dev_ops, NULL, ctx->base,
			 ctx->nr);
	mm_dev_bind(dev, MM_TLB, ctx->mm);
	tlb_fill(dev);
	/* It batches where another CPU has to be told. */
	init_completion(&done[0]);
	init_completion(&done[1]);
	mm_thread_start(test, &thread, ctx->mm, !raw_smp_processor_id(), be_there,
			done);
	wait_for_completion_timeout(&done[0], TEST_SOON);
	KUNIT_EXPECT_EQ(test, sender->op(ctx), 0);
	complete(&done[1]);
	KUNIT_EXPECT_EQ(test, mm_thread_join(test, &thread), 0);
	tlb_expect_coherent(dev, "reclaim");
	KUNIT_EXPECT_GT(test, dev->flushes_all, 0);
}

/* I1: the flush covers what was asked, and no more (I9). */
static void tlb_range(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops);

	tlb_invalidate(rig.mm, rig.base, rig.base + 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, rig.dev->flushed, 3);
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), PAGES - 3);
	KUNIT_EXPECT_EQ(test, mm_dev_event(rig.dev, TLB, asked), 3);
	KUNIT_EXPECT_EQ(test, *rig.wrong, 0);
}

/* Section 6: (0, ~0) is what batched reclaim says: everything. */
static void tlb_whole(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops);

	tlb_invalidate(rig.mm, 0, ~0UL);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes_all, 1);
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, odd_ranges), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_event(rig.dev, TLB, callbacks), 1);
	KUNIT_EXPECT_EQ(test, mm_dev_event(rig.dev, TLB, asked), 0);
}

/* Section 6: what is empty or inverted is counted, and taken for everything. */
static void tlb_odd(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops);

	tlb_invalidate(rig.mm, rig.base, rig.base);
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, odd_ranges), 1);
	tlb_fill(rig.dev);
	tlb_invalidate(rig.mm, rig.base + PAGE_SIZE, rig.base);
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), 0);
	KUNIT_EXPECT_EQ(test, mm_dev_counter(rig.dev, odd_ranges), 2);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes_all, 2);
}

/* Section 6: a part of a page is that page. */
static void tlb_unaligned(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops);

	tlb_invalidate(rig.mm, rig.base + PAGE_SIZE + 1, rig.base + PAGE_SIZE + 2);
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), PAGES - 1);
	KUNIT_EXPECT_FALSE(test, rig.dev->tlb[1].valid);
	KUNIT_EXPECT_EQ(test, rig.dev->odd, 0);
}

struct seen {
	u64 start;
	u64 last;
};

static void seen_hook(struct mm_dev *dev, const struct smmu_inval_flush *flush)
{
	struct seen *seen = dev->ctx;

	if (!flush->nr)
		return;
	seen->start = flush->spans[0].start;
	seen->last = flush->spans[flush->nr - 1].last;
}

/* Section 6: addresses of the kernel are never filtered. */
static void tlb_kernel_addresses(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops);
	unsigned long addr = (unsigned long)&tlb_kernel_addresses & PAGE_MASK;
	struct seen seen = {};

	rig.dev->ctx = &seen;
	rig.dev->flush_hook = seen_hook;
	tlb_invalidate(rig.mm, addr, addr + 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, seen.start, (u64)addr);
	KUNIT_EXPECT_EQ(test, seen.last, (u64)addr + 2 * PAGE_SIZE - 1);
	/* Up to the last one. */
	tlb_invalidate(rig.mm, -PAGE_SIZE, ~0UL);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, 2);
	KUNIT_EXPECT_EQ(test, seen.start, (u64)-PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, seen.last, U64_MAX);
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), PAGES);
}

/* Section 6: from any context. */
static void tlb_atomic(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops);
	unsigned long flags;

	local_irq_save(flags);
	tlb_invalidate(rig.mm, rig.base, rig.base + PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, irqs_disabled());
	local_irq_restore(flags);
	preempt_disable();
	tlb_invalidate(rig.mm, rig.base + PAGE_SIZE, rig.base + 2 * PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	preempt_enable();
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), PAGES - 2);
	KUNIT_EXPECT_EQ(test, *rig.wrong, 0);
}

/* Section 6: no second phase: the flush is over when the callback returns. */
static void tlb_complete(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops_two_phase);

	tlb_invalidate(rig.mm, rig.base, rig.base + PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, mm_dev_reaches(rig.dev, 0, false));
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), PAGES - 1);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, 1);
}

/* I9: neither starts nor ends; nothing is ever pending. */
static void tlb_pending(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops);
	struct smmu_inval_cookie cookie = mm_dev_read_begin(rig.dev);

	KUNIT_ASSERT_EQ(test, mm_sys_madvise(rig.base, HALF * PAGE_SIZE,
					     MADV_DONTNEED, 0, 0, 0), 0);
	KUNIT_EXPECT_FALSE(test, mm_dev_read_retry(rig.dev, cookie, 0));
	KUNIT_EXPECT_EQ(test, rig.dev->zaps[SMMU_INVAL_CLEAR], 0);
}

static int bind_and_fill(void *arg)
{
	struct mm_dev *dev = arg;
	int ret = mm_dev_try_bind(dev, MM_TLB, current->mm);

	if (!ret)
		tlb_fill(dev);
	return ret;
}

static void order_flush(struct mm_dev *dev, const struct smmu_inval_flush *flush)
{
	unsigned int *early = dev->ctx;

	/* Before the exit there may be others, if fork flushes. */
	*early += flush->all && !dev->released;
}

/* Section 6: release stops the device first, and then it forgets everything. */
static void tlb_release(struct kunit *test)
{
	unsigned int early = 0;
	struct mm_child child;
	struct mm_dev *dev;
	unsigned long base;

	mm_attach(test);
	base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, base, PAGES * PAGE_SIZE);
	dev = mm_dev_new(test, TEST_RAW_SPINLOCK, &mm_dev_ops, NULL, base, PAGES);
	dev->ctx = &early;
	dev->flush_hook = order_flush;
	KUNIT_ASSERT_EQ(test, mm_child_start(&child, 0, bind_and_fill, dev), 0);
	KUNIT_EXPECT_EQ(test, child.ret, 0);
	KUNIT_EXPECT_EQ(test, tlb_valid(dev), PAGES);
	mm_child_stop(&child);
	KUNIT_ASSERT_EQ(test, child.ret, 0);
	KUNIT_EXPECT_EQ(test, dev->released, 1);
	KUNIT_EXPECT_GE(test, dev->flushes_all, 1);
	KUNIT_EXPECT_EQ(test, early, 0);
	KUNIT_EXPECT_EQ(test, tlb_valid(dev), 0);
	KUNIT_EXPECT_TRUE(test, smmu_inval_is_dead(&dev->si));
	mm_dev_unbind(dev);
}

/* I10: and so does unregister. */
static void tlb_unregister(struct kunit *test)
{
	struct tlb_rig rig = tlb_rig(test, &mm_dev_ops);

	mm_dev_unbind(rig.dev);
	KUNIT_EXPECT_EQ(test, rig.dev->released, 1);
	KUNIT_EXPECT_EQ(test, tlb_valid(rig.dev), 0);
	KUNIT_EXPECT_TRUE(test, smmu_inval_is_dead(&rig.dev->si));
	mm_dev_forget(rig.dev);
	tlb_invalidate(rig.mm, rig.base, rig.base + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, rig.dev->flushes, 0);
}

static struct kunit_case tlb_cases[] = {
	KUNIT_CASE_PARAM(tlb_follows, mm_sender_gen_params),
	KUNIT_CASE(tlb_munmap),
	KUNIT_CASE(tlb_batched_reclaim),
	KUNIT_CASE(tlb_range),
	KUNIT_CASE(tlb_whole),
	KUNIT_CASE(tlb_odd),
	KUNIT_CASE(tlb_unaligned),
	KUNIT_CASE(tlb_kernel_addresses),
	KUNIT_CASE(tlb_atomic),
	KUNIT_CASE(tlb_complete),
	KUNIT_CASE(tlb_pending),
	KUNIT_CASE(tlb_release),
	KUNIT_CASE(tlb_unregister),
	{}
};

static struct kunit_suite tlb_suite = {
	.name = "smmu_inval_tlb",
	.test_cases = tlb_cases,
};

kunit_test_suite(tlb_suite);
