// SPDX-License-Identifier: GPL-2.0
/*
 * The library as KVM's adapter calls it: begin and end by hand, under a rwlock.
 * And what everybody pays: the lock itself, with and without an empty batch.
 */
#include <linux/slab.h>

#include "bench.h"

static struct smmu_inval si;
static struct smmu_inval_token **tokens;

static void no_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
}

static const struct smmu_inval_ops ops = { .flush = no_flush };

static int open(unsigned int pending)
{
	struct smmu_inval_config cfg = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "bench",
		.lock = SMMU_INVAL_LOCK(&bench_lock),
	};
	unsigned int i;
	int ret;

	cfg.nr_ranges = max(cfg.nr_ranges, pending + 1);
	tokens = kvcalloc(pending + 1, sizeof(*tokens), GFP_KERNEL);
	if (!tokens)
		return -ENOMEM;
	ret = smmu_inval_init(&si, &ops, &cfg);
	if (ret) {
		kvfree(tokens);
		return ret;
	}
	write_lock(&bench_lock);
	for (i = 0; i < pending; i++) {
		tokens[i] = smmu_inval_begin(&si, SMMU_INVAL_CLEAR);
		smmu_inval_add(&si, tokens[i], bench_pending_start(i),
			       bench_pending_last(i));
	}
	write_unlock(&bench_lock);
	return 0;
}

static void close(unsigned int pending)
{
	write_lock(&bench_lock);
	while (pending--)
		smmu_inval_end(&si, tokens[pending]);
	write_unlock(&bench_lock);
	smmu_inval_destroy(&si);
	kvfree(tokens);
}

static unsigned long lock_only(unsigned int loops)
{
	unsigned int i;

	for (i = 0; i < loops; i++) {
		write_lock(&bench_lock);
		barrier();
		write_unlock(&bench_lock);
		write_lock(&bench_lock);
		barrier();
		write_unlock(&bench_lock);
	}
	return loops;
}

static void section_with_batch(void)
{
	write_lock(&bench_lock);
	{
		CLASS(smmu_inval_batch, batch)(&si);

		/* Somebody might have written to it. */
		asm volatile("" : : "r" (&batch) : "memory");
	}
	write_unlock(&bench_lock);
}

static unsigned long empty_batch(unsigned int loops)
{
	unsigned int i;

	for (i = 0; i < loops; i++) {
		section_with_batch();
		section_with_batch();
	}
	return loops;
}

static unsigned long begin_end(unsigned int loops)
{
	struct smmu_inval_token *token;
	unsigned int i;
	u64 start;

	for (i = 0; i < loops; i++) {
		start = bench_free_page(i);
		write_lock(&bench_lock);
		token = smmu_inval_begin(&si, SMMU_INVAL_CLEAR);
		smmu_inval_add(&si, token, start, start | ~PAGE_MASK);
		write_unlock(&bench_lock);
		write_lock(&bench_lock);
		smmu_inval_end(&si, token);
		write_unlock(&bench_lock);
	}
	return loops;
}

static unsigned long begin_end_held(unsigned int loops)
{
	struct smmu_inval_token *token;
	unsigned int i;
	u64 start;

	write_lock(&bench_lock);
	for (i = 0; i < loops; i++) {
		start = bench_free_page(i);
		token = smmu_inval_begin(&si, SMMU_INVAL_CLEAR);
		smmu_inval_add(&si, token, start, start | ~PAGE_MASK);
		smmu_inval_end(&si, token);
	}
	write_unlock(&bench_lock);
	return loops;
}

static unsigned long read_begin(unsigned int loops)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < loops; i++)
		sum += smmu_inval_read_begin(&si);
	OPTIMIZER_HIDE_VAR(sum);
	return loops;
}

static unsigned long retry_held(unsigned int loops)
{
	u64 cookie = smmu_inval_read_begin(&si), start;
	unsigned long passed = 0;
	unsigned int i;

	read_lock(&bench_lock);
	for (i = 0; i < loops; i++) {
		start = bench_free_page(i);
		passed += !smmu_inval_read_retry(&si, cookie, start,
						 start | ~PAGE_MASK);
		barrier();
	}
	read_unlock(&bench_lock);
	return passed;
}

static unsigned long fault(unsigned int loops)
{
	unsigned long passed = 0;
	unsigned int i;
	u64 cookie, start;

	for (i = 0; i < loops; i++) {
		cookie = smmu_inval_read_begin(&si);
		start = bench_free_page(i);
		read_lock(&bench_lock);
		passed += !smmu_inval_read_retry(&si, cookie, start,
						 start | ~PAGE_MASK);
		read_unlock(&bench_lock);
	}
	return passed;
}

const struct bench_scheme bench_lib = {
	.name = "library",
	.open = open,
	.close = close,
	.run = {
		[BENCH_LOCK] = lock_only,
		[BENCH_EMPTY_BATCH] = empty_batch,
		[BENCH_BEGIN_END] = begin_end,
		[BENCH_BEGIN_END_HELD] = begin_end_held,
		[BENCH_READ_BEGIN] = read_begin,
		[BENCH_RETRY_HELD] = retry_held,
		[BENCH_FAULT] = fault,
	},
};
