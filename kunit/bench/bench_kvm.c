// SPDX-License-Identifier: GPL-2.0
/*
 * The peer: what KVM does today, from its description. One counter of open
 * invalidations, one hull of them all, which only grows while any is open, and
 * one sequence of what completed, wherever it was. KVM's names for the same are
 * mmu_invalidate_in_progress, _range_start, _range_end and _seq.
 *
 * Not inlined where KVM's are not.
 */
#include "bench.h"

static struct {
	unsigned long seq;
	long open;
	u64 start;
	u64 last;
} kvm;

static noinline void kvm_begin(void)
{
	lockdep_assert_held_write(&bench_lock);
	kvm.open++;
	if (kvm.open == 1) {
		kvm.start = U64_MAX;
		kvm.last = 0;
	}
}

static noinline void kvm_add(u64 start, u64 last)
{
	lockdep_assert_held_write(&bench_lock);
	WARN_ON_ONCE(!kvm.open);
	if (kvm.start > kvm.last) {
		kvm.start = start;
		kvm.last = last;
	} else {
		kvm.start = min(kvm.start, start);
		kvm.last = max(kvm.last, last);
	}
}

static noinline void kvm_end(void)
{
	lockdep_assert_held_write(&bench_lock);
	kvm.seq++;
	/* Who checks without the lock sees the sequence first. */
	smp_wmb();
	kvm.open--;
	WARN_ON_ONCE(kvm.open < 0);
}

static inline unsigned long kvm_read_begin(void)
{
	unsigned long seq = READ_ONCE(kvm.seq);

	/* The page tables are read behind it. */
	smp_rmb();
	return seq;
}

static inline bool kvm_retry(unsigned long seq, u64 addr)
{
	lockdep_assert_held(&bench_lock);
	if (unlikely(kvm.open) && addr >= kvm.start && addr <= kvm.last)
		return true;
	return kvm.seq != seq;
}

static int open(unsigned int pending)
{
	unsigned int i;

	write_lock(&bench_lock);
	for (i = 0; i < pending; i++) {
		kvm_begin();
		kvm_add(bench_pending_start(i), bench_pending_last(i));
	}
	write_unlock(&bench_lock);
	return 0;
}

static void close(unsigned int pending)
{
	write_lock(&bench_lock);
	while (pending--)
		kvm_end();
	write_unlock(&bench_lock);
}

static unsigned long begin_end(unsigned int loops)
{
	unsigned int i;
	u64 start;

	for (i = 0; i < loops; i++) {
		start = bench_free_page(i);
		write_lock(&bench_lock);
		kvm_begin();
		kvm_add(start, start | ~PAGE_MASK);
		write_unlock(&bench_lock);
		write_lock(&bench_lock);
		kvm_end();
		write_unlock(&bench_lock);
	}
	return loops;
}

static unsigned long begin_end_held(unsigned int loops)
{
	unsigned int i;
	u64 start;

	write_lock(&bench_lock);
	for (i = 0; i < loops; i++) {
		start = bench_free_page(i);
		kvm_begin();
		kvm_add(start, start | ~PAGE_MASK);
		kvm_end();
	}
	write_unlock(&bench_lock);
	return loops;
}

static unsigned long read_begin(unsigned int loops)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < loops; i++)
		sum += kvm_read_begin();
	OPTIMIZER_HIDE_VAR(sum);
	return loops;
}

static unsigned long retry_held(unsigned int loops)
{
	unsigned long seq = kvm_read_begin(), passed = 0;
	unsigned int i;

	read_lock(&bench_lock);
	for (i = 0; i < loops; i++) {
		passed += !kvm_retry(seq, bench_free_page(i));
		barrier();
	}
	read_unlock(&bench_lock);
	return passed;
}

static unsigned long fault(unsigned int loops)
{
	unsigned long seq, passed = 0;
	unsigned int i;
	u64 start;

	for (i = 0; i < loops; i++) {
		seq = kvm_read_begin();
		start = bench_free_page(i);
		read_lock(&bench_lock);
		passed += !kvm_retry(seq, start);
		read_unlock(&bench_lock);
	}
	return passed;
}

const struct bench_scheme bench_kvm = {
	.name = "kvm",
	.open = open,
	.close = close,
	.run = {
		[BENCH_BEGIN_END] = begin_end,
		[BENCH_BEGIN_END_HELD] = begin_end_held,
		[BENCH_READ_BEGIN] = read_begin,
		[BENCH_RETRY_HELD] = retry_held,
		[BENCH_FAULT] = fault,
	},
};
