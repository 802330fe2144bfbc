/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The DMA engines behind the software IOMMU, as functions.
 */
#ifndef SVA_H
#define SVA_H

#include <stddef.h>
#include <stdint.h>

#include "iommu_sva_uapi.h"

/* The first one caches translations itself, the second one does not. */
#define NR_ENGINES		2

/* What no job ends with: the ioctl itself failed; errno says why. */
#define SVA_IOCTL_FAILED	(-1)

int sva_open(void);
/* As ioctl(): 0, or -1 and errno. */
int sva_bind(int fd, unsigned int engine, unsigned int flags, uint32_t *pasid);
int sva_setup(int fd, unsigned int command_us, unsigned int access_us,
	      unsigned int request_us);
int sva_stats(int fd, struct sva_stats *stats);
/* What was counted between two readings. */
void sva_subtract(struct sva_stats *after, const struct sva_stats *before);

/* A job of one pass, waited for. How it ended, or SVA_IOCTL_FAILED. */
int sva_run(int fd, struct sva_job *job);
int sva_copy(int fd, void *dst, const void *src, size_t size);
int sva_fill(int fd, void *dst, size_t size, uint64_t value);
int sva_sum(int fd, const void *src, size_t size, uint64_t *sum);

#endif /* SVA_H */
