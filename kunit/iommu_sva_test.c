// SPDX-License-Identifier: GPL-2.0
/*
 * The software IOMMU (drivers/examples/iommu_sva/) without the IOMMU core: its planner,
 * its caches, its command queue and its walk; and all of them bound by the library to the
 * address space of the test, while everything happens to that which can.
 *
 * This is what there is of it in kernels without SVA, and on UML.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/slab.h>

#include "iommu_sva.h"
#include "mm_helpers.h"

#define PASID		5
#define PLAN_COST	4

/* The planner. */

static struct smmu_inval_span pages(u64 first, u64 nr)
{
	return (struct smmu_inval_span) {
		.start = first << PAGE_SHIFT,
		.last = ((first + nr) << PAGE_SHIFT) - 1,
		.events = BIT(SMMU_INVAL_TLB),
	};
}

/* As many blocks as it takes to cover the spans and nothing else. */
static unsigned int exact_blocks(const struct smmu_inval_span *spans, unsigned int nr)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++) {
		u64 page = spans[i].start >> PAGE_SHIFT;
		u64 left = (spans[i].last >> PAGE_SHIFT) - page + 1;

		for (; left; n++) {
			u64 size = 1;

			while (!(page & size) && 2 * size <= left && size < BIT_ULL(40))
				size *= 2;
			page += size;
			left -= size;
		}
	}
	return n;
}

static u64 span_pages(const struct smmu_inval_span *spans, unsigned int nr)
{
	u64 n = 0;

	while (nr--)
		n += (spans[nr].last >> PAGE_SHIFT) - (spans[nr].start >> PAGE_SHIFT) + 1;
	return n;
}

static bool covered(const struct sva_block *blocks, unsigned int nr, u64 page)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (page >= blocks[i].addr >> PAGE_SHIFT &&
		    page - (blocks[i].addr >> PAGE_SHIFT) < BIT_ULL(blocks[i].order))
			return true;
	return false;
}

/*
 * I5: never less than was asked, in blocks as the hardware has them; and never dearer
 * than what a driver does without a planner.
 */
static void plan_expect(struct kunit *test, const struct smmu_inval_span *spans,
			unsigned int nr)
{
	struct sva_block blocks[SVA_PLAN_MAX];
	unsigned int i, exact = exact_blocks(spans, nr), n = sva_plan(spans, nr, blocks);
	u64 page, size, end = 0, asked = span_pages(spans, nr), sum = 0;

	KUNIT_ASSERT_LE(test, n, SVA_PLAN_MAX);
	if (!n) {
		/* All of it. */
		KUNIT_EXPECT_TRUE(test, asked > SVA_TLB_ENTRIES / 4 || exact > SVA_PLAN_MAX);
		return;
	}
	for (i = 0; i < n; i++) {
		size = PAGE_SIZE << blocks[i].order;
		KUNIT_EXPECT_EQ(test, blocks[i].addr & (size - 1), 0);
		KUNIT_EXPECT_TRUE(test, !i || blocks[i].addr >= end);
		end = blocks[i].addr + size;
		sum += BIT_ULL(blocks[i].order);
	}
	for (i = 0; i < nr; i++)
		for (page = spans[i].start >> PAGE_SHIFT; page <= spans[i].last >> PAGE_SHIFT;
		     page++)
			KUNIT_ASSERT_TRUE_MSG(test, covered(blocks, n, page),
					      "page %#llx", page);
	if (exact <= SVA_PLAN_MAX)
		KUNIT_EXPECT_LE(test, n * PLAN_COST + sum - asked,
				(u64)exact * PLAN_COST);
}

static void plan_known(struct kunit *test)
{
	struct sva_block blocks[SVA_PLAN_MAX];
	struct smmu_inval_span spans[2];

	/* Of the size of a block, and where there is one. */
	spans[0] = pages(0x1000, 16);
	KUNIT_EXPECT_EQ(test, sva_plan(spans, 1, blocks), 1);
	KUNIT_EXPECT_EQ(test, blocks[0].addr, 0x1000ULL << PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, blocks[0].order, 4);
	/* Two pages that no block of two covers; four are not dearer than a second one. */
	spans[0] = pages(0x1001, 2);
	KUNIT_EXPECT_EQ(test, sva_plan(spans, 1, blocks), 1);
	KUNIT_EXPECT_EQ(test, blocks[0].order, 2);
	/* Far from each other. */
	spans[0] = pages(0x1000, 1);
	spans[1] = pages(0x2000, 2);
	KUNIT_EXPECT_EQ(test, sva_plan(spans, 2, blocks), 2);
	KUNIT_EXPECT_EQ(test, blocks[0].order, 0);
	KUNIT_EXPECT_EQ(test, blocks[1].order, 1);
	/* On both sides of what every block that covers them has to cover: 2^51 pages. */
	spans[0] = pages(BIT_ULL(51) - 1, 2);
	KUNIT_EXPECT_EQ(test, sva_plan(spans, 1, blocks), 2);
	/* The first and the last page there are. */
	spans[0] = pages(0, 1);
	spans[1] = pages(BIT_ULL(64 - PAGE_SHIFT) - 1, 1);
	KUNIT_EXPECT_EQ(test, spans[1].last, U64_MAX);
	plan_expect(test, spans, 2);
	KUNIT_EXPECT_EQ(test, sva_plan(spans, 2, blocks), 2);
	/* Everything, and half of it. */
	spans[0] = (struct smmu_inval_span){ 0, U64_MAX, BIT(SMMU_INVAL_TLB) };
	KUNIT_EXPECT_EQ(test, sva_plan(spans, 1, blocks), 0);
	spans[0].start = BIT_ULL(63);
	KUNIT_EXPECT_EQ(test, sva_plan(spans, 1, blocks), 0);
}

/* What it is compared with. */
static void plan_one_block(struct kunit *test)
{
	struct smmu_inval_span spans[2] = { pages(0x1001, 2), pages(0x2010, 16) };
	struct sva_block blocks[SVA_PLAN_MAX];

	KUNIT_ASSERT_EQ(test, sva_plan_one_block(spans, 2, blocks), 2);
	KUNIT_EXPECT_EQ(test, blocks[0].addr, 0x1000ULL << PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, blocks[0].order, 2);
	KUNIT_EXPECT_EQ(test, blocks[1].addr, 0x2010ULL << PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, blocks[1].order, 4);
	/* Two pages, and no block of less than 2^14 has both. */
	spans[0] = pages(0x1fff, 2);
	KUNIT_EXPECT_EQ(test, sva_plan_one_block(spans, 1, blocks), 0);
}

/* Near to each other, and far; small and not; anywhere. */
static void plan_random(struct kunit *test)
{
	struct smmu_inval_span spans[SMMU_INVAL_BATCH_SPANS];
	unsigned int i, nr, round;
	u64 page;

	test_seed(test);
	for (round = 0; round < 3000 * test_scale; round++) {
		nr = 1 + test_random(SMMU_INVAL_BATCH_SPANS);
		page = (u64)test_random(1 << 20) << test_random(31);
		for (i = 0; i < nr; i++) {
			page += 1 + test_random(1 << test_random(12));
			spans[i] = pages(page, 1 + test_random(1 << test_random(7)));
			page = (spans[i].last >> PAGE_SHIFT) + 1;
		}
		plan_expect(test, spans, nr);
		KUNIT_ASSERT_EQ(test, test->status, KUNIT_SUCCESS);
	}
}

/* The caches. */

static struct sva_tlb_entry entry_of(u32 pasid, u64 page, bool write)
{
	return (struct sva_tlb_entry) {
		.page = page, .pfn = page + 1000, .pasid = pasid, .write = write,
	};
}

static void tlb_insert(struct sva_tlb *tlb, u32 pasid, u64 page, bool write)
{
	struct sva_tlb_entry entry = entry_of(pasid, page, write);

	sva_tlb_insert(tlb, &entry);
}

static void cache_finds(struct kunit *test)
{
	struct sva_tlb *tlb = kunit_kzalloc(test, sizeof(*tlb), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tlb);
	KUNIT_EXPECT_NULL(test, sva_tlb_find(tlb, 0, 0, false));
	tlb_insert(tlb, 1, 7, false);
	KUNIT_ASSERT_NOT_NULL(test, sva_tlb_find(tlb, 1, 7, false));
	KUNIT_EXPECT_EQ(test, sva_tlb_find(tlb, 1, 7, false)->pfn, 1007);
	/* Not of somebody else, and not for writing before that is dirty. */
	KUNIT_EXPECT_NULL(test, sva_tlb_find(tlb, 2, 7, false));
	KUNIT_EXPECT_NULL(test, sva_tlb_find(tlb, 1, 7, true));
	tlb_insert(tlb, 1, 7, true);
	KUNIT_EXPECT_NOT_NULL(test, sva_tlb_find(tlb, 1, 7, true));
	/* One entry for a page, so that dropping it drops all there is. */
	sva_tlb_drop(tlb, 1, 7, 7);
	KUNIT_EXPECT_NULL(test, sva_tlb_find(tlb, 1, 7, false));
}

/* What does not fit replaces what is there, of its own set only. */
static void cache_replaces(struct kunit *test)
{
	struct sva_tlb *tlb = kunit_kzalloc(test, sizeof(*tlb), GFP_KERNEL);
	unsigned int i, found = 0;

	KUNIT_ASSERT_NOT_NULL(test, tlb);
	tlb_insert(tlb, 1, 1, false);
	for (i = 0; i <= SVA_TLB_WAYS; i++)
		tlb_insert(tlb, 1, i * SVA_TLB_SETS, false);
	for (i = 0; i <= SVA_TLB_WAYS; i++)
		found += !!sva_tlb_find(tlb, 1, i * SVA_TLB_SETS, false);
	KUNIT_EXPECT_EQ(test, found, SVA_TLB_WAYS);
	KUNIT_EXPECT_NOT_NULL(test, sva_tlb_find(tlb, 1, SVA_TLB_WAYS * SVA_TLB_SETS,
						 false));
	KUNIT_EXPECT_NOT_NULL(test, sva_tlb_find(tlb, 1, 1, false));
}

static void cache_drops(struct kunit *test)
{
	struct sva_tlb *tlb = kunit_kzalloc(test, sizeof(*tlb), GFP_KERNEL);
	struct sva_tlb_entry huge = entry_of(1, 1024 + 100, true);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, tlb);
	for (i = 10; i < 20; i++) {
		tlb_insert(tlb, 1, i, false);
		tlb_insert(tlb, 2, i, false);
	}
	sva_tlb_drop(tlb, 1, 12, 14);
	for (i = 10; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, !sva_tlb_find(tlb, 1, i, false), i >= 12 && i <= 14);
		KUNIT_EXPECT_NOT_NULL(test, sva_tlb_find(tlb, 2, i, false));
	}
	sva_tlb_drop(tlb, 1, 0, U64_MAX);
	for (i = 10; i < 20; i++) {
		KUNIT_EXPECT_NULL(test, sva_tlb_find(tlb, 1, i, false));
		KUNIT_EXPECT_NOT_NULL(test, sva_tlb_find(tlb, 2, i, false));
	}
	/* A part of a huge entry goes with any page of that. */
	huge.order = 9;
	sva_tlb_insert(tlb, &huge);
	sva_tlb_drop(tlb, 1, 1023, 1023);
	sva_tlb_drop(tlb, 1, 1536, 1536);
	KUNIT_EXPECT_NOT_NULL(test, sva_tlb_find(tlb, 1, 1024 + 100, true));
	sva_tlb_drop(tlb, 1, 1024, 1024);
	KUNIT_EXPECT_NULL(test, sva_tlb_find(tlb, 1, 1024 + 100, true));
}

/* The command queue. */

static void hw_free(void *hw)
{
	kvfree(hw);
}

static struct sva_hw *hw_new(struct kunit *test)
{
	struct sva_hw *hw = sva_hw_new();

	KUNIT_ASSERT_NOT_NULL(test, hw);
	mm_defer(test, hw_free, hw);
	return hw;
}

static u64 hw_count(struct sva_hw *hw, enum sva_counter counter)
{
	return atomic64_read(&hw->counters[counter]);
}

/* I1: the IOTLB before the device TLB, which is filled from it; one wait, at the end. */
static void queue_order(struct kunit *test)
{
	struct smmu_inval_span spans[2] = { pages(16, 16), pages(512, 1) };
	struct smmu_inval_flush flush = { .spans = spans, .nr = 2 };
	static const enum sva_command_op ops[] = {
		SVA_CMD_IOTLB_RANGE, SVA_CMD_IOTLB_RANGE,
		SVA_CMD_DEVICE_RANGE, SVA_CMD_DEVICE_RANGE, SVA_CMD_WAIT,
		SVA_CMD_IOTLB_PASID, SVA_CMD_DEVICE_PASID, SVA_CMD_WAIT,
		/* The second engine has no TLB. */
		SVA_CMD_IOTLB_PASID, SVA_CMD_WAIT,
	};
	struct sva_hw *hw = hw_new(test);
	unsigned int i;

	sva_flush(hw, BIT(0) | BIT(1), PASID, &flush, sva_plan);
	flush = (struct smmu_inval_flush){ .all = true };
	sva_flush(hw, BIT(0) | BIT(1), PASID, &flush, sva_plan);
	sva_flush(hw, BIT(1), PASID, &flush, sva_plan);
	/* I9: nobody uses it. */
	sva_flush(hw, 0, PASID, &flush, sva_plan);
	KUNIT_ASSERT_EQ(test, hw->cmdq.tail, ARRAY_SIZE(ops));
	KUNIT_EXPECT_EQ(test, hw->cmdq.head, ARRAY_SIZE(ops));
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		KUNIT_EXPECT_EQ(test, hw->cmdq.ring[i].op, ops[i]);
	KUNIT_EXPECT_EQ(test, hw_count(hw, SVA_WAITS), 3);
	KUNIT_EXPECT_EQ(test, hw_count(hw, SVA_INVALIDATIONS), 3);
	KUNIT_EXPECT_EQ(test, hw_count(hw, SVA_PAGES_ASKED), 17);
	KUNIT_EXPECT_EQ(test, hw_count(hw, SVA_PAGES_COVERED), 17);
}

/* More than the ring holds. */
static void queue_full(struct kunit *test)
{
	struct sva_command command = { .op = SVA_CMD_IOTLB_RANGE, .pasid = PASID };
	struct sva_hw *hw = hw_new(test);
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < SVA_CMDQ_SIZE + 10; i++)
		tlb_insert(&hw->iotlb, PASID, i, true);
	sva_cmdq_lock(hw, &flags);
	for (i = 0; i < SVA_CMDQ_SIZE + 10; i++) {
		command.addr = (u64)i << PAGE_SHIFT;
		sva_cmdq_put(hw, &command);
	}
	sva_cmdq_sync(hw, flags);
	for (i = 0; i < SVA_CMDQ_SIZE + 10; i++)
		KUNIT_EXPECT_NULL(test, sva_tlb_find(&hw->iotlb, PASID, i, false));
	KUNIT_EXPECT_EQ(test, hw_count(hw, SVA_WAITS), 1);
	KUNIT_EXPECT_EQ(test, hw_count(hw, SVA_COMMANDS), SVA_CMDQ_SIZE + 10);
}

/* The walk, and what follows. */

static int translate(struct sva_engine *engine, unsigned long addr, bool write,
		     unsigned long *pfn)
{
	unsigned long flags;
	int ret;

	local_irq_save(flags);
	ret = sva_translate(engine, PASID, addr, write, pfn);
	local_irq_restore(flags);
	return ret;
}

/* Take accessed and dirty from the entry of a page. */
static void make_old_and_clean(struct mm_struct *mm, unsigned long addr)
{
	spinlock_t *ptl;	/* of the page table */
	pmd_t *pmd;
	pte_t *pte;

	mmap_read_lock(mm);
	pmd = pmd_offset(pud_offset(p4d_offset(pgd_offset(mm, addr), addr), addr), addr);
	pte = pte_offset_map_lock(mm, pmd, addr, &ptl);
	if (pte) {
		set_pte_at(mm, addr, pte, pte_mkold(pte_mkclean(*pte)));
		pte_unmap_unlock(pte, ptl);
	}
	mmap_read_unlock(mm);
}

/* Section 6: accessed with each walk, dirty with that for a write that is allowed. */
static void walk_accessed_dirty(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	struct sva_tlb_entry entry;
	unsigned long addr;

	addr = mm_map(test, NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, addr, 2 * PAGE_SIZE);
	make_old_and_clean(mm, addr);
	KUNIT_EXPECT_FALSE(test, mm_primary(mm, addr).young);
	KUNIT_ASSERT_EQ(test, sva_walk(mm->pgd, addr, false, &entry), 0);
	KUNIT_EXPECT_EQ(test, entry.pfn, mm_primary(mm, addr).pfn);
	KUNIT_EXPECT_FALSE(test, entry.write);
	KUNIT_EXPECT_TRUE(test, mm_primary(mm, addr).young);
	KUNIT_EXPECT_FALSE(test, mm_primary(mm, addr).dirty);
	KUNIT_ASSERT_EQ(test, sva_walk(mm->pgd, addr, true, &entry), 0);
	KUNIT_EXPECT_TRUE(test, entry.write);
	KUNIT_EXPECT_TRUE(test, mm_primary(mm, addr).dirty);

	/* A write that is not allowed leaves nothing behind. */
	KUNIT_ASSERT_EQ(test, mm_sys_mprotect(addr, PAGE_SIZE, PROT_READ, 0, 0, 0), 0);
	make_old_and_clean(mm, addr);
	KUNIT_EXPECT_EQ(test, sva_walk(mm->pgd, addr, true, &entry), -EFAULT);
	KUNIT_EXPECT_FALSE(test, mm_primary(mm, addr).young);
	KUNIT_EXPECT_FALSE(test, mm_primary(mm, addr).dirty);
	KUNIT_EXPECT_EQ(test, sva_walk(mm->pgd, addr, false, &entry), 0);
}

static void walk_refuses(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	unsigned long addr, kernel = (unsigned long)test;
	struct sva_tlb_entry entry;

	addr = mm_map(test, NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS);
	/* Nothing there yet. */
	KUNIT_EXPECT_EQ(test, sva_walk(mm->pgd, addr, false, &entry), -EFAULT);
	mm_touch(test, addr, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, sva_walk(mm->pgd, addr, false, &entry), 0);
	KUNIT_ASSERT_EQ(test, mm_sys_mprotect(addr, PAGE_SIZE, PROT_NONE, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, sva_walk(mm->pgd, addr, false, &entry), -EFAULT);
	/* Of the kernel, of nobody, and the last one there is. */
	if (kernel >= TASK_SIZE_MAX)
		KUNIT_EXPECT_EQ(test, sva_walk(mm->pgd, kernel, false, &entry), -EFAULT);
	KUNIT_EXPECT_EQ(test, sva_walk(mm->pgd, TASK_SIZE_MAX, false, &entry), -EFAULT);
	KUNIT_EXPECT_EQ(test, sva_walk(mm->pgd, U64_MAX & ~7, false, &entry), -EFAULT);
}

struct iommu_rig {
	struct smmu_inval si;
	struct smmu_inval_mn smn;
	raw_spinlock_t lock;	/* the driver's lock */
	struct sva_hw *hw;
	bool bound;
};

static void rig_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	struct iommu_rig *rig = container_of(si, struct iommu_rig, si);

	sva_flush(rig->hw, BIT(0) | BIT(1), PASID, flush, sva_plan);
}

static void rig_release(struct smmu_inval *si)
{
	struct iommu_rig *rig = container_of(si, struct iommu_rig, si);
	unsigned int i;

	for (i = 0; i < SVA_NR_ENGINES; i++)
		sva_pasid_set(&rig->hw->engines[i], PASID, NULL);
}

static const struct smmu_inval_ops rig_ops = {
	.flush = rig_flush,
	.release = rig_release,
};

static void rig_unbind(void *arg)
{
	struct iommu_rig *rig = arg;

	if (rig->bound)
		smmu_inval_mn_unregister(&rig->smn);
	rig->bound = false;
	smmu_inval_destroy(&rig->si);
}

static struct iommu_rig *rig_new(struct kunit *test, struct mm_struct *mm)
{
	struct smmu_inval_config cfg = {
		SMMU_INVAL_TLB_CONFIG_DEFAULTS,
		.name = "iommu_sva_test",
		.flush_pages = SVA_TLB_ENTRIES,
	};
	struct iommu_rig *rig = kunit_kzalloc(test, sizeof(*rig), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, rig);
	rig->hw = hw_new(test);
	raw_spin_lock_init(&rig->lock);
	cfg.lock = SMMU_INVAL_LOCK(&rig->lock);
	KUNIT_ASSERT_EQ(test, smmu_inval_init(&rig->si, &rig_ops, &cfg), 0);
	mm_defer(test, rig_unbind, rig);
	KUNIT_ASSERT_EQ(test, smmu_inval_mn_init(&rig->smn, &rig->si,
						 &smmu_inval_tlb_ops), 0);
	KUNIT_ASSERT_EQ(test, smmu_inval_mn_register(&rig->smn, mm), 0);
	rig->bound = true;
	for (i = 0; i < SVA_NR_ENGINES; i++)
		sva_pasid_set(&rig->hw->engines[i], PASID, mm->pgd);
	return rig;
}

/* By each engine, with what it has cached; how many pages it can reach. */
static unsigned int expect_coherent(struct kunit *test, struct iommu_rig *rig,
				    struct mm_struct *mm, unsigned long base,
				    unsigned int nr, const char *where)
{
	unsigned int i, reached = 0;
	struct sva_engine *engine;
	unsigned long addr, pfn;

	for (engine = rig->hw->engines; engine < rig->hw->engines + SVA_NR_ENGINES;
	     engine++) {
		for (i = 0; i < nr; i++) {
			struct mm_primary primary;

			addr = base + i * PAGE_SIZE;
			primary = mm_primary(mm, addr);
			if (!translate(engine, addr, true, &pfn))
				KUNIT_EXPECT_TRUE_MSG(test, primary.present &&
						      primary.write && primary.pfn == pfn,
						      "%s: page %u: stale write", where, i);
			if (translate(engine, addr, false, &pfn))
				continue;
			reached++;
			KUNIT_EXPECT_TRUE_MSG(test, primary.present && primary.pfn == pfn,
					      "%s: page %u: stale", where, i);
		}
	}
	return reached;
}

KUNIT_ARRAY_PARAM(mm_sender, mm_senders, mm_sender_desc);

/* I1, I11: whatever happens to the memory, the IOMMU does not use what is gone. */
static void iommu_follows(struct kunit *test)
{
	const struct mm_sender *sender = test->param_value;
	struct iommu_rig *rig;
	struct mm_ctx *ctx;

	if (!mm_calls_secondary_tlbs())
		kunit_skip(test, "the architecture has no secondary TLBs");
	ctx = mm_sender_prepare(test, sender);
	rig = rig_new(test, ctx->mm);
	KUNIT_ASSERT_EQ(test, expect_coherent(test, rig, ctx->mm, ctx->base, ctx->nr,
					      "before"), 2 * ctx->nr);
	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	expect_coherent(test, rig, ctx->mm, ctx->base, ctx->nr, sender->name);
}

/* I10: after release there is no translation, cached or not. */
static void iommu_release(struct kunit *test)
{
	struct mm_struct *mm = mm_attach(test);
	struct iommu_rig *rig = rig_new(test, mm);
	unsigned long addr, pfn;
	unsigned int i;

	addr = mm_map(test, NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, addr, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, expect_coherent(test, rig, mm, addr, 1, "before"), 2);
	smmu_inval_mn_unregister(&rig->smn);
	rig->bound = false;
	for (i = 0; i < SVA_NR_ENGINES; i++) {
		KUNIT_EXPECT_EQ(test, translate(&rig->hw->engines[i], addr, false, &pfn),
				-ESRCH);
		KUNIT_EXPECT_NULL(test, sva_tlb_find(&rig->hw->engines[i].tlb, PASID,
						     addr >> PAGE_SHIFT, false));
	}
	KUNIT_EXPECT_NULL(test, sva_tlb_find(&rig->hw->iotlb, PASID, addr >> PAGE_SHIFT,
					     false));
}

static struct kunit_case iommu_sva_cases[] = {
	KUNIT_CASE(plan_known),
	KUNIT_CASE(plan_one_block),
	KUNIT_CASE(plan_random),
	KUNIT_CASE(cache_finds),
	KUNIT_CASE(cache_replaces),
	KUNIT_CASE(cache_drops),
	KUNIT_CASE(queue_order),
	KUNIT_CASE(queue_full),
	KUNIT_CASE(walk_accessed_dirty),
	KUNIT_CASE(walk_refuses),
	KUNIT_CASE_PARAM(iommu_follows, mm_sender_gen_params),
	KUNIT_CASE(iommu_release),
	{}
};

static struct kunit_suite iommu_sva_suite = {
	.name = "smmu_inval_iommu_sva",
	.test_cases = iommu_sva_cases,
};

kunit_test_suite(iommu_sva_suite);
