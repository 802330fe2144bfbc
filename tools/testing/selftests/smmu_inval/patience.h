/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs that run while the kernel's allocations fail on purpose: what failed for
 * want of memory is asked for again, and counted.
 */
#ifndef PATIENCE_H
#define PATIENCE_H

#include <stdatomic.h>
#include <stdbool.h>

/* Off: every failure counts. */
extern bool patience;
/* In memory that forked processes share, or NULL. */
extern atomic_ulong *patience_failures;

/*
 * After @tries times, whether to ask again: a lack of memory shows as ENOMEM, and
 * where a page fault met it, as EFAULT. What is EFAULT for good stays that.
 */
bool try_again(int error, unsigned int *tries);

#endif /* PATIENCE_H */
