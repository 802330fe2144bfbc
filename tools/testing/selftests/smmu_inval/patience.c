// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stddef.h>

#include "patience.h"

/* Below any probability of failing that leaves a chance at all */
#define MAX_ENOMEM	5000
/* Some callers expect it, and all of these are in vain then. */
#define MAX_EFAULT	60

bool patience;
atomic_ulong *patience_failures;

bool try_again(int error, unsigned int *tries)
{
	if (!patience || (error != ENOMEM && error != EFAULT))
		return false;
	if (++*tries > (error == ENOMEM ? MAX_ENOMEM : MAX_EFAULT))
		return false;
	if (error == ENOMEM && patience_failures)
		atomic_fetch_add(patience_failures, 1);
	return true;
}
