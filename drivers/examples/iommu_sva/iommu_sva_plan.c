// SPDX-License-Identifier: GPL-2.0
/*
 * From ranges to descriptors. A descriptor of the hardware covers 2^n pages at a
 * multiple of its size; a range of other pages needs several, or one that covers more.
 *
 * What is covered too much costs translations that have to be walked for again. What a
 * descriptor costs more than that, PLAN_PAGES says: up to so many pages too many are
 * cheaper than one descriptor more. When there is no room for all of them, those that
 * cover the least too much are joined, whatever they cost.
 */
#include "iommu_sva.h"

#define PLAN_PAGES	4

static u64 block_pages(const struct sva_block *block)
{
	return BIT_ULL(block->order);
}

/* The smallest block that covers both. */
static struct sva_block block_join(const struct sva_block *a,
				   const struct sva_block *b)
{
	u64 first = a->addr >> PAGE_SHIFT;
	u64 last = (b->addr >> PAGE_SHIFT) + block_pages(b) - 1;
	struct sva_block join = { .order = fls64(first ^ last) };

	join.order = max3(join.order, a->order, b->order);
	join.addr = (first >> join.order) << join.order << PAGE_SHIFT;
	return join;
}

/* How many pages too many two neighbours cost as one. */
static u64 join_excess(const struct sva_block *a, const struct sva_block *b)
{
	struct sva_block join = block_join(a, b);

	return block_pages(&join) - block_pages(a) - block_pages(b);
}

/*
 * Put the join in the place of blocks [at] and [at + 1]. It may reach over its other
 * neighbours, which it then replaces.
 */
static unsigned int plan_join(struct sva_block *blocks, unsigned int nr,
			      unsigned int at)
{
	struct sva_block join = block_join(&blocks[at], &blocks[at + 1]);
	u64 last = join.addr + ((block_pages(&join) - 1) << PAGE_SHIFT);
	unsigned int from = at, to = at + 2;

	while (from && blocks[from - 1].addr >= join.addr)
		from--;
	while (to < nr && blocks[to].addr <= last)
		to++;
	blocks[from] = join;
	memmove(&blocks[from + 1], &blocks[to], (nr - to) * sizeof(*blocks));
	return nr - (to - from) + 1;
}

/* The pair whose join costs least. */
static unsigned int plan_cheapest(const struct sva_block *blocks,
				  unsigned int nr)
{
	unsigned int i, best = 0;

	for (i = 1; i + 1 < nr; i++)
		if (join_excess(&blocks[i], &blocks[i + 1]) <
		    join_excess(&blocks[best], &blocks[best + 1]))
			best = i;
	return best;
}

/**
 * sva_plan() - the cheapest descriptors that cover all spans
 * @spans: sorted, disjoint, whole pages
 * @nr: how many, at most SMMU_INVAL_BATCH_SPANS
 * @blocks: the result, sorted and disjoint
 *
 * Context: any.
 * Return: how many descriptors, at most SVA_PLAN_MAX; 0 if it is cheaper to forget
 * everything.
 */
unsigned int sva_plan(const struct smmu_inval_span *spans, unsigned int nr,
		      struct sva_block blocks[SVA_PLAN_MAX])
{
	/* One more, so that the cheapest join may be the newest one's. */
	struct sva_block plan[SVA_PLAN_MAX + 1];
	unsigned int i, best, n = 0;
	u64 pages = 0;

	for (i = 0; i < nr; i++) {
		u64 page = spans[i].start >> PAGE_SHIFT;
		u64 last = spans[i].last >> PAGE_SHIFT;

		/* What was joined before may cover it already. */
		if (n)
			page = max(page, (plan[n - 1].addr >> PAGE_SHIFT) +
					 block_pages(&plan[n - 1]));
		while (page <= last) {
			struct sva_block *block = &plan[n];

			block->addr = page << PAGE_SHIFT;
			block->order = page ? __ffs64(page) : 63 - PAGE_SHIFT;
			while (block_pages(block) - 1 > last - page)
				block->order--;
			n++;
			if (n > SVA_PLAN_MAX)
				n = plan_join(plan, n, plan_cheapest(plan, n));
			page = (plan[n - 1].addr >> PAGE_SHIFT) +
			       block_pages(&plan[n - 1]);
		}
	}
	while (n > 1) {
		best = plan_cheapest(plan, n);
		if (join_excess(&plan[best], &plan[best + 1]) > PLAN_PAGES)
			break;
		n = plan_join(plan, n, best);
	}
	for (i = 0; i < n; i++)
		pages += block_pages(&plan[i]);
	/* No more than that can be cached at all. */
	if (pages > SVA_TLB_ENTRIES)
		return 0;
	memcpy(blocks, plan, n * sizeof(*blocks));
	return n;
}

/**
 * sva_plan_one_block() - one descriptor for each span, whatever else it covers
 * @spans: as in sva_plan()
 * @nr: how many
 * @blocks: the result; blocks may overlap
 *
 * What Intel's driver does (calculate_psi_aligned_address()), and AMD's
 * (build_inv_address()), for comparing.
 *
 * Context: any.
 * Return: as sva_plan()
 */
unsigned int sva_plan_one_block(const struct smmu_inval_span *spans, unsigned int nr,
				struct sva_block blocks[SVA_PLAN_MAX])
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct sva_block first = { .addr = spans[i].start & PAGE_MASK };
		struct sva_block last = { .addr = spans[i].last & PAGE_MASK };

		blocks[i] = block_join(&first, &last);
		if (block_pages(&blocks[i]) > SVA_TLB_ENTRIES)
			return 0;
	}
	return nr;
}
