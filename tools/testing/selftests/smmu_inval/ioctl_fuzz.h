/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzzer knows of a device: its calls, and what their arguments mean.
 */
#ifndef IOCTL_FUZZ_H
#define IOCTL_FUZZ_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct fuzz_call - an ioctl
 * @name: for people
 * @request: its number
 * @size: of its argument
 * @fields: two characters each, in order: the width, 4 or 8, and what it is:
 *	'a' an address, 's' a size, 'b' a buffer or 0, 'v' any value or 0,
 *	'n' a small number, 'e' an engine, 'o' one of three operations, 'f' flags,
 *	'd' a delay, 'i' an id that a call returned, '-' has to be 0 or is filled in.
 *	What lies behind them is 0 at first.
 * @optional: there are kernels in which it never succeeds
 */
struct fuzz_call {
	const char *name;
	unsigned long request;
	unsigned int size;
	const char *fields;
	bool optional;
};

/* Where the memory is that sequences change */
#define FUZZ_ARENA		0x200000000UL
#define FUZZ_MAX_FIELDS		16

/**
 * struct fuzz_step - a call that succeeds, if those before it did
 * @call: index of the ioctl; below 0 there are no more
 * @values: of its fields
 */
struct fuzz_step {
	int call;
	uint64_t values[FUZZ_MAX_FIELDS];
};

/**
 * struct fuzz_device - a device
 * @name: what -d calls it
 * @path: of the device file
 * @calls: its ioctls; ends with one without a name
 * @start: the first sequence, of which others are made: each ioctl once
 */
struct fuzz_device {
	const char *name;
	const char *path;
	const struct fuzz_call *calls;
	const struct fuzz_step *start;
};

extern const struct fuzz_device fuzz_gpu;
extern const struct fuzz_device fuzz_sva;

#endif /* IOCTL_FUZZ_H */
