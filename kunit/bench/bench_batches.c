// SPDX-License-Identifier: GPL-2.0
/*
 * What is flushed for what was changed, by how many spans a batch may keep: the
 * recorded stream, and streams of single pages at random. One span is one hull,
 * as struct iommu_iotlb_gather has it; the other end is a flush for each change.
 */
#include <linux/prandom.h>
#include <linux/slab.h>

#include "bench.h"

struct batches {
	struct smmu_inval si;
	u64 changes, changed, sections;
	u64 flushes, all, commands, flushed;
};

static void count_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	struct batches *b = container_of(si, struct batches, si);
	unsigned int i;

	b->flushes++;
	b->all += flush->all;
	b->commands += flush->all ? 1 : flush->nr;
	for (i = 0; i < flush->nr; i++)
		b->flushed += (flush->spans[i].last >> PAGE_SHIFT) -
			      (flush->spans[i].start >> PAGE_SHIFT) + 1;
}

static const struct smmu_inval_ops ops = { .flush = count_flush };

static void change(struct batches *b, struct smmu_inval_batch *batch, u64 start,
		   u64 last)
{
	b->changes++;
	b->changed += (last >> PAGE_SHIFT) - (start >> PAGE_SHIFT) + 1;
	smmu_inval_changed(batch, start, last, SMMU_INVAL_CLEAR);
}

static void run_recorded(struct batches *b, unsigned int unused)
{
	unsigned int i = 0;

	while (i < bench_stream_len) {
		write_lock(&bench_lock);
		{
			CLASS(smmu_inval_batch, batch)(&b->si);

			for (; i < bench_stream_len; i++) {
				const struct bench_event *event = &bench_stream[i];

				if (event->what == BENCH_CHANGE)
					change(b, &batch, event->start, event->last);
				else if (event->what == BENCH_FLUSH)
					break;
			}
			b->sections += !!batch.nr;
		}
		write_unlock(&bench_lock);
		i++;
		cond_resched();
	}
}

/* So many pages in a section, anywhere in 1 GiB. */
static void run_random(struct batches *b, unsigned int nr)
{
	struct rnd_state rnd;
	unsigned int i, j;
	u64 start;

	prandom_seed_state(&rnd, nr);
	for (i = 0; i < 1000; i++) {
		write_lock(&bench_lock);
		{
			CLASS(smmu_inval_batch, batch)(&b->si);

			for (j = 0; j < nr; j++) {
				start = BENCH_BASE +
					((u64)(prandom_u32_state(&rnd) & 0x3ffff)
					 << PAGE_SHIFT);
				change(b, &batch, start, start | ~PAGE_MASK);
			}
			b->sections++;
		}
		write_unlock(&bench_lock);
		cond_resched();
	}
}

/* In runs of eight pages, sixteen pages apart, as page tables are walked. */
static void run_runs(struct batches *b, unsigned int nr)
{
	unsigned int i, j;
	u64 start;

	for (i = 0; i < 1000; i++) {
		write_lock(&bench_lock);
		{
			CLASS(smmu_inval_batch, batch)(&b->si);

			for (j = 0; j < nr; j++) {
				start = BENCH_BASE +
					((u64)(j / 8 * 24 + j % 8) << PAGE_SHIFT);
				change(b, &batch, start, start | ~PAGE_MASK);
			}
			b->sections++;
		}
		write_unlock(&bench_lock);
		cond_resched();
	}
}

static int show(struct seq_file *m, struct batches *b, const char *stream,
		void (*run)(struct batches *b, unsigned int nr), unsigned int nr)
{
	struct smmu_inval_config cfg = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "bench",
		.lock = SMMU_INVAL_LOCK(&bench_lock),
	};
	unsigned int spans;
	int ret;

	for (spans = 1; spans <= SMMU_INVAL_BATCH_SPANS; spans *= 2) {
		memset(b, 0, sizeof(*b));
		cfg.flush_spans = spans;
		ret = smmu_inval_init(&b->si, &ops, &cfg);
		if (ret)
			return ret;
		run(b, nr);
		smmu_inval_destroy(&b->si);
		seq_printf(m, "batch stream=%s nr=%u spans=%u sections=%llu changes=%llu changed=%llu flushes=%llu all=%llu commands=%llu flushed=%llu\n",
			   stream, nr, spans, b->sections, b->changes,
			   b->changed, b->flushes, b->all, b->commands,
			   b->flushed);
	}
	return 0;
}

int bench_batches_show(struct seq_file *m, void *unused)
{
	static const unsigned int sizes[] = { 2, 8, 32, 128 };
	struct batches *b = kmalloc(sizeof(*b), GFP_KERNEL);
	unsigned int i;
	int ret;

	if (!b)
		return -ENOMEM;
	ret = bench_stream_len ? show(m, b, "recorded", run_recorded, 0) : 0;
	for (i = 0; i < ARRAY_SIZE(sizes) && !ret; i++) {
		ret = show(m, b, "random", run_random, sizes[i]);
		if (!ret)
			ret = show(m, b, "runs", run_runs, sizes[i]);
	}
	kfree(b);
	return ret;
}
