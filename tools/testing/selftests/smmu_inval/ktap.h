/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Results in KTAP. The kernel's kselftest.h does the same, but these programs
 * are also built where there is no kernel tree.
 */
#ifndef KTAP_H
#define KTAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int ktap_nr, ktap_failed;

static inline void ktap_plan(int nr)
{
	/* A line at a time, and no buffer that has to be allocated later. */
	static char buffer[BUFSIZ];

	setvbuf(stdout, buffer, _IOLBF, sizeof(buffer));
	printf("KTAP version 1\n1..%d\n", nr);
}

static inline __attribute__((format(printf, 2, 3)))
void ktap_result(bool ok, const char *fmt, ...)
{
	va_list args;

	if (!ok)
		ktap_failed++;
	printf("%s %d ", ok ? "ok" : "not ok", ++ktap_nr);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

static inline int ktap_exit(void)
{
	return ktap_failed ? 1 : 0;
}

#endif /* KTAP_H */
