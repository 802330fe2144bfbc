/* SPDX-License-Identifier: GPL-2.0 */
/* The number that an option takes: what is none is not a zero. */
#ifndef SELFTEST_SMMU_INVAL_NATURAL_H
#define SELFTEST_SMMU_INVAL_NATURAL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* In decimal, from @low to @high, or the program ends. */
static inline unsigned long natural(int opt, const char *text, unsigned long low,
				    unsigned long high)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || n < low || n > high) {
		fprintf(stderr, "%s: -%c takes a number from %lu to %lu, not '%s'\n",
			program_invocation_short_name, opt, low, high, text);
		exit(2);
	}
	return n;
}

#endif
