/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User-mode Linux takes mfence, lfence and sfence between CPUs, where x86, which it
 * runs on, needs no instruction for most: what is measured there would be fences.
 * scripts/build-kernel puts this in front of each file of the benchmarks' kernel.
 */
#define __smp_mb()	({ asm volatile("lock addl $0,-4(%%rsp)" : : : "memory", "cc"); })
#define __smp_rmb()	barrier()
#define __smp_wmb()	barrier()

#define __smp_store_release(p, v)				\
do {								\
	barrier();						\
	WRITE_ONCE(*(p), v);					\
} while (0)

#define __smp_load_acquire(p)					\
({								\
	typeof(p) ___p = (p);					\
	typeof(*___p) ___value = READ_ONCE(*___p);		\
								\
	barrier();						\
	___value;						\
})

#define __smp_mb__before_atomic()	do { } while (0)
#define __smp_mb__after_atomic()	do { } while (0)
