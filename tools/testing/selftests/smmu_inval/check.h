/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of the software GPU need that are one function each.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu.h"

struct test {
	const char *name;
	void (*run)(void);
};

extern size_t page_size;
/* Whether the test that runs is all right so far. */
extern bool ok;
/* Set it to say why a test cannot run here. */
extern const char *skip;

/* The test has failed, and why. */
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void is(const char *what, long value, long expected);
/* Private anonymous memory, or memory that is shared, or the end. */
char *map(size_t size);
char *map_shared(size_t size);
int open_gpu(void);
double now_ms(void);
/* Run them all, give the results to KTAP; what main() returns. */
int run_tests(const struct test *tests, unsigned int nr);

#endif /* CHECK_H */
