/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks share: what they compare, and where the ranges are.
 */
#ifndef _SMMU_INVAL_BENCH_H
#define _SMMU_INVAL_BENCH_H

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/seq_file.h>
#include <linux/smmu_inval.h>

/* The most ranges that a benchmark has pending. */
#define BENCH_MAX_PENDING	4096
/* Every so many pages one range is pending, half as long. */
#define BENCH_STRIDE		32

/**
 * enum bench_op - what is timed, in this order: what was invalidated before
 *	makes a difference to some
 * @BENCH_LOCK: two sections of the lock with nothing in them, exclusive
 * @BENCH_EMPTY_BATCH: the same, each with a batch that stays empty
 * @BENCH_READ_BEGIN: the begin of a fault
 * @BENCH_RETRY_HELD: the check of a page that no invalidation covers; the lock is
 *	held, shared, all the time
 * @BENCH_FAULT: read_begin, a section of the lock, shared, and the check in it
 * @BENCH_BEGIN_END: an invalidation of one range, in two sections of the lock
 * @BENCH_BEGIN_END_HELD: the same without the lock, which is held all the time
 * @BENCH_NR_OPS: how many there are
 */
enum bench_op {
	BENCH_LOCK,
	BENCH_EMPTY_BATCH,
	BENCH_READ_BEGIN,
	BENCH_RETRY_HELD,
	BENCH_FAULT,
	BENCH_BEGIN_END,
	BENCH_BEGIN_END_HELD,
	BENCH_NR_OPS,
};

/**
 * struct bench_scheme - a way to keep the protocol
 * @name: in the output
 * @open: set it up, with so many ranges pending; 0 or an error
 * @close: undo that
 * @run: do an operation so many times; returns how often the answer was that
 *	the fault may install, or how many were done. NULL for what it has not.
 */
struct bench_scheme {
	const char *name;
	int (*open)(unsigned int pending);
	void (*close)(unsigned int pending);
	unsigned long (*run[BENCH_NR_OPS])(unsigned int loops);
};

extern const struct bench_scheme bench_lib;
extern const struct bench_scheme bench_kvm;
extern const struct bench_scheme bench_notifier;
extern const struct bench_scheme bench_notifiers;
extern const struct bench_scheme bench_interval;

/* What a plain notifier does when it is hit, also one of many. */
extern const struct mmu_interval_notifier_ops bench_notifier_ops;

/* One lock for all, of KVM's kind. */
extern rwlock_t bench_lock;

/* What core mm does around a change, with nothing changed: see bench_mm.c. */
int bench_mm_open(unsigned int pending);
void bench_mm_close(unsigned int pending);
unsigned long bench_mm_begin_end(unsigned int loops);

/* The addresses: nothing need be mapped there. */

#define BENCH_BASE	(16UL << 20)
#define BENCH_LAST	(BENCH_BASE + ((u64)(BENCH_MAX_PENDING + 1) *	\
				       BENCH_STRIDE << PAGE_SHIFT) - 1)

/* The i-th range that is pending. */
static inline u64 bench_pending_start(unsigned int i)
{
	return BENCH_BASE + ((u64)i * BENCH_STRIDE << PAGE_SHIFT);
}

static inline u64 bench_pending_last(unsigned int i)
{
	return bench_pending_start(i) +
	       ((BENCH_STRIDE / 2) << PAGE_SHIFT) - 1;
}

/* How many are pending now, at least 1, for who looks between them. */
extern unsigned int bench_gaps;

/* A page between two of them, another one each time. */
static inline u64 bench_free_page(unsigned int i)
{
	unsigned int gap = ((u64)(i * 0x9e3779b1u) * bench_gaps) >> 32;
	u64 page = bench_pending_last(gap) + 1 + ((u64)(i & 7) << PAGE_SHIFT);

	/* Who faults has it: not to be left out where a scheme does not look at it. */
	asm volatile("" : "+r" (page));
	return page;
}

/* What the files in debugfs show. */

int bench_cost_show(struct seq_file *m, void *unused);
int bench_sizes_show(struct seq_file *m, void *unused);
int bench_history_show(struct seq_file *m, void *unused);
int bench_devices_show(struct seq_file *m, void *unused);
int bench_batches_show(struct seq_file *m, void *unused);
int bench_precision_show(struct seq_file *m, void *unused);

/* A recorded stream, see bench_stream.c. */

enum bench_what {
	BENCH_BEGIN,
	BENCH_ADD,
	BENCH_END,
	BENCH_CHANGE,
	BENCH_FLUSH,
};

/**
 * struct bench_event - a line of a stream
 * @what: which of them
 * @id: of the invalidation, for begin, add and end
 * @start: first address
 * @last: last address, inclusive
 */
struct bench_event {
	enum bench_what what;
	unsigned int id;
	u64 start;
	u64 last;
};

extern struct bench_event *bench_stream;
extern unsigned int bench_stream_len;

ssize_t bench_stream_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *pos);

#endif /* _SMMU_INVAL_BENCH_H */
