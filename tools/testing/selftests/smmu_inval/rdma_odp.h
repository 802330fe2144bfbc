/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of rdma_odp share.
 */
#ifndef RDMA_ODP_H
#define RDMA_ODP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rdma.h"

#define ALL_ACCESS	(IB_UVERBS_ACCESS_LOCAL_WRITE | IB_UVERBS_ACCESS_REMOTE_WRITE | \
			 IB_UVERBS_ACCESS_REMOTE_READ | IB_UVERBS_ACCESS_REMOTE_ATOMIC)

extern struct rdma rdma;
/* The region with on-demand paging, and the one of @copy, which is pinned. */
extern struct rdma_mr odp, plain;
extern char *copy;

/* Open the device and register @where; its end, which unmaps that. */
bool begin(char *where, size_t size);
void end(void);
/* Between the two regions. */
int transfer(uint32_t opcode, void *remote, void *local, uint32_t length);

/* A thread sends on while the process is killed. */
void exit_group_amid(char *mem, char *local);
void test_stale(void);

#endif /* RDMA_ODP_H */
