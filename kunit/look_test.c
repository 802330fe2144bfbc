// SPDX-License-Identifier: GPL-2.0
/*
 * The look at the primary page tables, over real mappings, against a walk that
 * is not the library's; and what smmu_inval_verdict() makes of it.
 */
#include <linux/mman.h>
#include <linux/sched/mm.h>

#include "mm_helpers.h"

#define PAGES	64

struct look_rig {
	struct kunit *test;
	struct mm_struct *mm;
	unsigned long base;
	unsigned int nr;
};

static struct look_rig look_rig(struct kunit *test, unsigned int nr)
{
	struct look_rig rig = { .test = test, .mm = mm_attach(test), .nr = nr };

	rig.base = mm_map(test, NULL, nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS);
	return rig;
}

static unsigned long rig_page(const struct look_rig *rig, unsigned int page)
{
	return rig->base + page * PAGE_SIZE;
}

static void rig_touch(const struct look_rig *rig, unsigned int page,
		      unsigned int nr)
{
	mm_touch(rig->test, rig_page(rig, page), nr * PAGE_SIZE);
}

static void rig_protect(const struct look_rig *rig, unsigned int page,
			unsigned int nr, unsigned long prot)
{
	KUNIT_ASSERT_EQ(rig->test, mm_sys_mprotect(rig_page(rig, page),
						   nr * PAGE_SIZE, prot, 0, 0, 0),
			0);
}

static struct smmu_inval_look look_at(struct mm_struct *mm, unsigned long start,
				      unsigned long last)
{
	struct smmu_inval_look look = {
		.event = SMMU_INVAL_PROTECTION_VMA,
	};

	mmap_read_lock(mm);
	smmu_inval_look(&look, mm, start, last);
	mmap_read_unlock(mm);
	return look;
}

/* What a look says of one page. */
static struct mm_primary look_says(const struct smmu_inval_look *look,
				   unsigned long addr)
{
	struct mm_primary says = {};
	unsigned int i;

	for (i = 0; i < look->nr; i++) {
		const struct smmu_inval_seen *seen = &look->seen[i];

		if (addr < seen->start || addr > seen->last)
			continue;
		says.present = true;
		says.pfn = seen->pfn + ((addr - seen->start) >> PAGE_SHIFT);
		says.write = seen->write;
	}
	return says;
}

static void expect_wellformed(struct kunit *test,
			      const struct smmu_inval_look *look)
{
	u64 next = look->start;
	unsigned int i;

	KUNIT_ASSERT_LE(test, look->nr, SMMU_INVAL_SEEN);
	for (i = 0; i < look->nr; i++) {
		const struct smmu_inval_seen *seen = &look->seen[i];

		KUNIT_EXPECT_GE(test, seen->start, next);
		KUNIT_EXPECT_GT(test, seen->last, seen->start);
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(seen->start));
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(seen->last + 1));
		/* Pages that follow each other in memory, too, are one. */
		if (i && seen->start == next && seen->write == seen[-1].write)
			KUNIT_EXPECT_NE(test, seen->pfn, seen[-1].pfn +
					((next - seen[-1].start) >> PAGE_SHIFT));
		next = seen->last + 1;
	}
	if (look->nr)
		KUNIT_EXPECT_LE(test, next - 1, look->last);
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(look->last + 1));
}

/*
 * All of the memory, in as many looks as it takes, each page of it. Returns how
 * many looks that were.
 */
static unsigned int expect_right(const struct look_rig *rig)
{
	unsigned long last = rig_page(rig, rig->nr) - 1;
	unsigned long addr = rig->base;
	struct kunit *test = rig->test;
	unsigned int looks = 0;

	while (addr <= last) {
		struct smmu_inval_look look = look_at(rig->mm, addr, last);

		looks++;
		KUNIT_ASSERT_EQ(test, look.start, (u64)addr);
		KUNIT_ASSERT_GT(test, look.last, (u64)addr);
		KUNIT_ASSERT_LE(test, look.last, (u64)last);
		expect_wellformed(test, &look);
		for (; addr <= look.last; addr += PAGE_SIZE) {
			struct mm_primary want = mm_primary(rig->mm, addr);
			struct mm_primary says = look_says(&look, addr);

			KUNIT_EXPECT_EQ_MSG(test, says.present, want.present,
					    "%lx", addr);
			if (!says.present || !want.present)
				continue;
			KUNIT_EXPECT_EQ_MSG(test, says.pfn, want.pfn, "%lx", addr);
			KUNIT_EXPECT_EQ_MSG(test, says.write, want.write, "%lx",
					    addr);
		}
	}
	return looks;
}

/* Section 4: nothing is mapped, nothing is seen. */
static void look_unmapped(struct kunit *test)
{
	struct look_rig rig = look_rig(test, PAGES);
	struct smmu_inval_look look;

	look = look_at(rig.mm, rig.base, rig_page(&rig, PAGES) - 1);
	KUNIT_EXPECT_EQ(test, look.nr, 0);
	KUNIT_EXPECT_EQ(test, look.last, (u64)rig_page(&rig, PAGES) - 1);
	vm_munmap(rig.base, PAGES * PAGE_SIZE);
	expect_right(&rig);
}

/* Section 4: what was never touched, or was given back, is not accessible. */
static void look_holes(struct kunit *test)
{
	struct look_rig rig = look_rig(test, PAGES);

	rig_touch(&rig, 3, 4);
	rig_touch(&rig, PAGES - 1, 1);
	expect_right(&rig);
	rig_touch(&rig, 0, 3);
	mm_sys_madvise(rig_page(&rig, 2), 2 * PAGE_SIZE, MADV_DONTNEED, 0, 0, 0);
	expect_right(&rig);
	vm_munmap(rig_page(&rig, 5), PAGE_SIZE);
	expect_right(&rig);
}

/* Section 4: read-only is accessible, and not writable. */
static void look_read_only(struct kunit *test)
{
	struct look_rig rig = look_rig(test, PAGES);
	struct smmu_inval_look look;
	u8 __maybe_unused byte;

	rig_touch(&rig, 0, 8);
	rig_protect(&rig, 2, 3, PROT_READ);
	/* The shared zero page. */
	KUNIT_ASSERT_EQ(test, get_user(byte, (u8 __user *)rig_page(&rig, 20)), 0);
	expect_right(&rig);
	look = look_at(rig.mm, rig.base, rig_page(&rig, PAGES) - 1);
	KUNIT_EXPECT_TRUE(test, look_says(&look, rig_page(&rig, 1)).write);
	KUNIT_EXPECT_TRUE(test, look_says(&look, rig_page(&rig, 2)).present);
	KUNIT_EXPECT_FALSE(test, look_says(&look, rig_page(&rig, 2)).write);
	KUNIT_EXPECT_TRUE(test, look_says(&look, rig_page(&rig, 20)).present);
	KUNIT_EXPECT_FALSE(test, look_says(&look, rig_page(&rig, 20)).write);
}

/*
 * Section 8: PROT_NONE is present, and pte_protnone() is constant 0 in a kernel
 * without NUMA balancing; it is not accessible all the same.
 */
static void look_none(struct kunit *test)
{
	struct look_rig rig = look_rig(test, PAGES);
	struct smmu_inval_look look;

	rig_touch(&rig, 0, 8);
	rig_protect(&rig, 2, 3, PROT_NONE);
	expect_right(&rig);
	look = look_at(rig.mm, rig.base, rig_page(&rig, PAGES) - 1);
	KUNIT_EXPECT_TRUE(test, look_says(&look, rig_page(&rig, 1)).present);
	KUNIT_EXPECT_FALSE(test, look_says(&look, rig_page(&rig, 2)).present);
	KUNIT_EXPECT_FALSE(test, look_says(&look, rig_page(&rig, 4)).present);
	KUNIT_EXPECT_TRUE(test, look_says(&look, rig_page(&rig, 5)).present);
	rig_protect(&rig, 2, 3, PROT_READ | PROT_WRITE);
	expect_right(&rig);
}

/* Section 4: the same for what NUMA balancing protects. */
static void look_protnone(struct kunit *test)
{
#ifdef CONFIG_NUMA_BALANCING
	struct look_rig rig = look_rig(test, PAGES);
	struct smmu_inval_look look;

	rig_touch(&rig, 0, 8);
	mmap_read_lock(rig.mm);
	KUNIT_EXPECT_NE(test, change_prot_numa(find_vma(rig.mm, rig.base),
					       rig_page(&rig, 2),
					       rig_page(&rig, 5)), 0UL);
	mmap_read_unlock(rig.mm);
	expect_right(&rig);
	look = look_at(rig.mm, rig.base, rig_page(&rig, PAGES) - 1);
	KUNIT_EXPECT_FALSE(test, look_says(&look, rig_page(&rig, 2)).present);
	KUNIT_EXPECT_TRUE(test, look_says(&look, rig_page(&rig, 5)).present);
#else
	kunit_skip(test, "no NUMA balancing");
#endif
}

/* Section 4: more than one look has room for, and none of it is left out. */
static void look_chunks(struct kunit *test)
{
	struct look_rig rig = look_rig(test, 4 * SMMU_INVAL_SEEN);
	unsigned int i;

	for (i = 0; i < rig.nr; i += 2)
		rig_touch(&rig, i, 1);
	KUNIT_EXPECT_GE(test, expect_right(&rig), 2);
	/* Exactly as many as there is room for. */
	vm_munmap(rig_page(&rig, 2 * SMMU_INVAL_SEEN), 2 * SMMU_INVAL_SEEN *
		  PAGE_SIZE);
	expect_right(&rig);
	/* Each writable or not, so that no two pages are one span. */
	rig_touch(&rig, 0, SMMU_INVAL_SEEN);
	for (i = 0; i < SMMU_INVAL_SEEN; i += 2)
		rig_protect(&rig, i, 1, PROT_READ);
	expect_right(&rig);
}

/* Section 4: parts of pages tables, and more than one of them. */
static void look_tables(struct kunit *test)
{
	struct look_rig rig = look_rig(test, 4 * PTRS_PER_PTE);
	unsigned int i;

	for (i = 1; i < 4; i++)
		rig_touch(&rig, i * PTRS_PER_PTE - 2, 4);
	expect_right(&rig);
}

/* Section 4: huge pages, whole and in parts. */
static void look_huge(struct kunit *test)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	struct look_rig rig = look_rig(test, 2 * HPAGE_PMD_NR);
	struct smmu_inval_look look;
	unsigned long addr;

	if (!has_transparent_hugepage())
		kunit_skip(test, "no huge pages");
	KUNIT_ASSERT_EQ(test, mm_sys_madvise(rig.base, rig.nr * PAGE_SIZE,
					     MADV_HUGEPAGE, 0, 0, 0), 0);
	rig_touch(&rig, 0, rig.nr);
	KUNIT_EXPECT_EQ(test, expect_right(&rig), 1);
	look = look_at(rig.mm, rig.base, rig_page(&rig, rig.nr) - 1);
	/* Two pages, which may happen to follow each other. */
	KUNIT_EXPECT_GE(test, look.nr, 1);
	KUNIT_EXPECT_LE(test, look.nr, 2);
	/* From the middle of one. */
	addr = rig_page(&rig, 5);
	look = look_at(rig.mm, addr, addr + 2 * PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, look.nr, 1);
	KUNIT_EXPECT_EQ(test, look.seen[0].pfn, mm_primary(rig.mm, addr).pfn);
	KUNIT_EXPECT_EQ(test, look.seen[0].start, (u64)addr);
	KUNIT_EXPECT_EQ(test, look.seen[0].last, (u64)addr + 2 * PAGE_SIZE - 1);
	/* Whole ones that lose their permissions. */
	rig_protect(&rig, 0, HPAGE_PMD_NR, PROT_READ);
	rig_protect(&rig, HPAGE_PMD_NR, HPAGE_PMD_NR, PROT_NONE);
	expect_right(&rig);
	/* Split. */
	rig_protect(&rig, 7, 1, PROT_NONE);
	expect_right(&rig);
#else
	kunit_skip(test, "no huge pages");
#endif
}

/* Section 4: hugetlb, which is zapped at start, but may be looked at. */
static void look_hugetlb(struct kunit *test)
{
	struct mm_ctx *ctx = mm_sender_prepare(test,
					       mm_sender_named("mprotect, hugetlb"));
	struct look_rig rig = {
		.test = test, .mm = ctx->mm, .base = ctx->base, .nr = ctx->nr,
	};

	expect_right(&rig);
	rig_protect(&rig, 0, rig.nr / 2, PROT_NONE);
	expect_right(&rig);
}

/* Section 4: the ends of the address space. */
static void look_ends(struct kunit *test)
{
	struct look_rig rig = look_rig(test, PAGES);
	struct smmu_inval_look look;
	unsigned long top = rig.mm->task_size;
	u64 addr;

	rig_touch(&rig, 0, 1);
	look = look_at(rig.mm, top - PAGE_SIZE, top - 1);
	KUNIT_EXPECT_EQ(test, look.nr, 0);
	KUNIT_EXPECT_EQ(test, look.last, (u64)top - 1);
	look = look_at(rig.mm, top - PAGE_SIZE, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, look.nr, 0);
	KUNIT_EXPECT_EQ(test, look.last, (u64)ULONG_MAX);
	/* The kernel's own tables are not looked at. */
	look = look_at(rig.mm, top, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, look.nr, 0);
	KUNIT_EXPECT_EQ(test, look.last, (u64)ULONG_MAX);
	/* All there is. */
	for (addr = 0; ; addr = look.last + 1) {
		look = look_at(rig.mm, addr, ULONG_MAX);
		if (look.last == ULONG_MAX || look_says(&look, rig.base).present)
			break;
	}
	KUNIT_EXPECT_TRUE(test, look_says(&look, rig.base).present);
}

/* Section 4: what begins or ends in the middle of a page is about all of it. */
static void look_parts(struct kunit *test)
{
	static const struct {
		unsigned int start, last, pages;
	} asks[] = {
		{ 0, 0, 1 },
		{ 1, PAGE_SIZE - 2, 1 },
		{ PAGE_SIZE - 1, PAGE_SIZE - 1, 1 },
		{ PAGE_SIZE - 1, PAGE_SIZE, 2 },
		{ 1, 2 * PAGE_SIZE, 3 },
	};
	struct look_rig rig = look_rig(test, PAGES);
	struct smmu_inval_look look;
	unsigned int i, j;
	u64 seen;

	rig_touch(&rig, 0, PAGES);
	for (i = 0; i < ARRAY_SIZE(asks); i++) {
		look = look_at(rig.mm, rig.base + asks[i].start,
			       rig.base + asks[i].last);
		KUNIT_EXPECT_EQ(test, look.start, rig.base + asks[i].start);
		KUNIT_EXPECT_EQ(test, look.last, rig.base + asks[i].last);
		KUNIT_ASSERT_GT(test, look.nr, 0);
		KUNIT_EXPECT_EQ(test, look.seen[0].start,
				rig.base + (asks[i].start & PAGE_MASK));
		seen = 0;
		for (j = 0; j < look.nr; j++)
			seen += look.seen[j].last - look.seen[j].start + 1;
		KUNIT_EXPECT_EQ_MSG(test, seen, asks[i].pages * PAGE_SIZE,
				    "[%u, %u]", asks[i].start, asks[i].last);
	}
}

/* I11: stay, lose the right to write, or go. */
static void look_verdict(struct kunit *test)
{
	struct look_rig rig = look_rig(test, PAGES);
	unsigned long addr, pfn;
	struct smmu_inval_look look;

	rig_touch(&rig, 0, 4);
	rig_protect(&rig, 1, 1, PROT_READ);
	look = look_at(rig.mm, rig.base, rig_page(&rig, PAGES) - 1);
	addr = rig.base;
	pfn = mm_primary(rig.mm, addr).pfn;
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr + PAGE_SIZE - 1,
						 pfn, true), SMMU_INVAL_KEEP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr + PAGE_SIZE - 1,
						 pfn, false), SMMU_INVAL_KEEP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr + PAGE_SIZE - 1,
						 pfn + 1, true), SMMU_INVAL_ZAP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr + PAGE_SIZE - 1,
						 pfn - 1, false), SMMU_INVAL_ZAP);
	/* One byte is a range, too. */
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr, pfn + 1, false),
			SMMU_INVAL_ZAP);
	addr = rig_page(&rig, 1);
	pfn = mm_primary(rig.mm, addr).pfn;
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr + PAGE_SIZE - 1,
						 pfn, true), SMMU_INVAL_WRPROTECT);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr + PAGE_SIZE - 1,
						 pfn, false), SMMU_INVAL_KEEP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr + PAGE_SIZE - 1,
						 pfn + 1, true), SMMU_INVAL_ZAP);
	addr = rig_page(&rig, 9);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, addr, addr + PAGE_SIZE - 1,
						 0, false), SMMU_INVAL_ZAP);
}

/* I11: a huge translation stays if all that the look covers of it does. */
static void look_verdict_huge(struct kunit *test)
{
	struct smmu_inval_look look = {
		.start = 0x10000, .last = 0x1ffff, .nr = 3,
		.event = SMMU_INVAL_PROTECTION_VMA,
		.seen = {
			{ 0x10000, 0x13fff, 0x100, true },
			{ 0x14000, 0x17fff, 0x104, false },
			{ 0x19000, 0x1ffff, 0x109, true },
		},
	};

	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x10000, 0x13fff, 0x100,
						 true), SMMU_INVAL_KEEP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x11000, 0x12fff, 0x101,
						 true), SMMU_INVAL_KEEP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x10000, 0x17fff, 0x100,
						 true), SMMU_INVAL_WRPROTECT);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x10000, 0x17fff, 0x100,
						 false), SMMU_INVAL_KEEP);
	/* A hole in it. */
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x10000, 0x1ffff, 0x100,
						 false), SMMU_INVAL_ZAP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x17000, 0x18fff, 0x107,
						 false), SMMU_INVAL_ZAP);
	/* Another page at its end only. */
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x13000, 0x14fff, 0x103,
						 false), SMMU_INVAL_KEEP);
	look.seen[1].pfn = 0x204;
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x13000, 0x14fff, 0x103,
						 false), SMMU_INVAL_ZAP);
	/* What lies outside of the look is judged by another one. */
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x0f000, 0x13fff, 0x0ff,
						 true), SMMU_INVAL_KEEP);
	KUNIT_EXPECT_EQ(test, smmu_inval_verdict(&look, 0x1f000, 0x2ffff, 0x10f,
						 true), SMMU_INVAL_KEEP);
}

static struct kunit_case look_cases[] = {
	KUNIT_CASE(look_unmapped),
	KUNIT_CASE(look_holes),
	KUNIT_CASE(look_read_only),
	KUNIT_CASE(look_none),
	KUNIT_CASE(look_protnone),
	KUNIT_CASE(look_chunks),
	KUNIT_CASE(look_tables),
	KUNIT_CASE(look_huge),
	KUNIT_CASE(look_hugetlb),
	KUNIT_CASE(look_ends),
	KUNIT_CASE(look_parts),
	KUNIT_CASE(look_verdict),
	KUNIT_CASE(look_verdict_huge),
	{}
};

static struct kunit_suite look_suite = {
	.name = "smmu_inval_look",
	.test_cases = look_cases,
};

kunit_test_suite(look_suite);
