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

#define MAX_GPUS		16

/* The first GPU, the one with this number, and how many there are. */
int gpu_open(void);
int gpu_open_nr(unsigned int nr);
unsigned int gpu_count(void);

/* As ioctl(): 0, or -1 and errno. */
int gpu_setup(int fd, unsigned int flags, unsigned int fault_delay_us,
	      unsigned int flush_delay_us);
int gpu_stats(int fd, struct gpu_hmm_stats *stats);
int gpu_prefetch(int fd, void *addr, size_t size, int write);
int gpu_evict(int fd, void *addr, size_t size);
/* Fills @migrate; @flags is 0 or GPU_HMM_MIGRATE_BACK. */
int gpu_migrate(int fd, void *addr, size_t size, unsigned int flags,
		struct gpu_hmm_migrate *migrate);

/* One command, waited for. Return 0 or the command's error, below 0. */
int gpu_read(int fd, int engine, const void *addr, void *buffer, size_t size);
int gpu_write(int fd, int engine, void *addr, const void *buffer, size_t size);
int gpu_fill(int fd, int engine, void *addr, size_t size, uint64_t value);
int gpu_add(int fd, int engine, void *addr, size_t size, uint64_t value,
	    uint64_t *old);
int gpu_exclusive_add(int fd, int engine, void *addr, size_t size,
		      uint64_t value);
int gpu_checksum(int fd, int engine, const void *addr, size_t size,
		 uint64_t *sum);

/*
 * A command that is not waited for; @arg is its operand, or the buffer of READ
 * and WRITE. Return an id for gpu_finish(), or 0 with errno.
 */
uint64_t gpu_start(int fd, int engine, unsigned int op, const void *addr,
		   size_t size, uint64_t arg);
/* As one that was waited for. */
int gpu_finish(int fd, uint64_t id, uint64_t *result);

#endif /* GPU_H */
