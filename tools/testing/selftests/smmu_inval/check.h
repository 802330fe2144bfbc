/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests need that are one function each.
 */
#ifndef CHECK_H
#define CHECK_H

#include <pthread.h>
#include <stdatomic.h>
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
/* After a call that fails with errno. */
void must(int ret, const char *what);

/* For threads of a test. */
extern atomic_bool stop;
pthread_t go(void *(*work)(void *), void *arg);
void stop_all(pthread_t *threads, unsigned int nr);

/* Private anonymous memory, or memory that is shared, or the end. */
char *map(size_t size);
char *map_shared(size_t size);
uint64_t word_at(const void *addr);
/* In every page of some memory: its number, and a generation. */
void fill_pages(char *mem, unsigned int nr, unsigned int gen);
bool page_is(const char *who, const char *mem, unsigned int nr, unsigned int gen);
void check_pages(const char *who, const char *mem, unsigned int nr,
		 unsigned int gen);

int put(const char *path, const char *text);
void put_number(const char *path, long n);
/* The number after @key, or -1. */
long get(const char *path, const char *key);

int open_gpu(void);
double now_ms(void);
/* Run them all, give the results to KTAP; what main() returns. */
int run_tests(const struct test *tests, unsigned int nr);

#endif /* CHECK_H */
