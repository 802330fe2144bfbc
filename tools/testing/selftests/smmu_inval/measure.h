/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of gpu_hmm_measure share.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of microseconds. */
struct samples {
	uint64_t *us;
	size_t nr;
	size_t room;
};

extern size_t page_size;

uint64_t now_us(void);
void samples_add(struct samples *s, uint64_t us);
/* The sample that @percent of all are not above; 0 if there are none. */
uint64_t samples_percentile(struct samples *s, unsigned int percent);
/* Say what went wrong, and that the result cannot be right. */
void problem(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A line of KTAP. */
void result(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Both return whether they have a result at all. */
bool measure_flush(unsigned int rounds);
bool measure_faults(unsigned int rounds);

#endif /* MEASURE_H */
