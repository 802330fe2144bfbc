/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The software GPU, as functions.
 */
#ifndef GPU_H
#define GPU_H

#include <stddef.h>
#include <stdint.h>

#include "gpu_hmm_uapi.h"

#define ARRAY_SIZE(x)		(sizeof(x) / sizeof((x)[0]))

/* What no command ends with: the ioctl itself failed. */
#define GPU_IOCTL_FAILED	(-9999)

int gpu_open(void);
int gpu_setup(int fd, int coarse, unsigned int fault_delay_us);
int gpu_stats(int fd, struct gpu_hmm_stats *stats);
int gpu_prefetch(int fd, void *addr, size_t size, int write);

/* One command, waited for. Return 0 or the command's error, below 0. */
int gpu_read(int fd, int engine, const void *addr, void *buffer, size_t size);
int gpu_write(int fd, int engine, void *addr, const void *buffer, size_t size);
int gpu_fill(int fd, int engine, void *addr, size_t size, uint64_t value);
int gpu_add(int fd, int engine, void *addr, size_t size, uint64_t value,
	    uint64_t *old);
int gpu_checksum(int fd, int engine, const void *addr, size_t size,
		 uint64_t *sum);

#endif /* GPU_H */
