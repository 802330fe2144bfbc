/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RDMA through soft RoCE (rxe), as functions: the ABI of uverbs and rxe's rings, with
 * no library. Two queue pairs of one process are connected to each other; what is
 * "remote" is memory of the same process, by its key.
 */
#ifndef RDMA_H
#define RDMA_H

#include <stddef.h>
#include <stdint.h>

/* How a work request ends; the kernel's enum ib_wc_status is in no uapi header. */
#define RDMA_DONE		0
#define RDMA_REMOTE_ACCESS	10
/* What no request ends with: nothing has come for long. */
#define RDMA_NO_ANSWER		(-1)

/* The largest message that is one packet */
#define RDMA_PACKET		4096

struct rdma_ring {
	struct rxe_queue_buf *queue;
	size_t size;
};

struct rdma_qp {
	uint32_t handle, number, messages;
	struct rdma_ring send, receive;
};

struct rdma {
	int fd;
	uint32_t pd, cq;
	struct rdma_ring done;
	/* The first one sends, the second one receives. */
	struct rdma_qp qp[2];
	uint64_t requests;
	/* How the last receive ended; RDMA_NO_ANSWER if it has not. */
	int received;
};

struct rdma_mr {
	uint32_t handle, lkey, rkey;
};

struct rdma_request {
	/* IB_UVERBS_WR_... */
	uint32_t opcode;
	uint32_t length;
	void *local;
	uint32_t lkey, rkey;
	void *remote;
	/* For atomics */
	uint64_t compare_add, swap;
};

/* Requests of this process so far. */
extern unsigned long rdma_requests;

/* Make the device "rxe0" of the loopback device, which has to be up. */
int rdma_add_device(void);

/* As ioctl(): 0, or -1 and errno. */
int rdma_open(struct rdma *rdma);
void rdma_close(struct rdma *rdma);
int rdma_register(struct rdma *rdma, void *mem, size_t size, unsigned int access,
		  struct rdma_mr *mr);
int rdma_deregister(struct rdma *rdma, const struct rdma_mr *mr);
/* New queue pairs, after an error. */
int rdma_reconnect(struct rdma *rdma);

/* Post one and wait for its end. */
int rdma_do(struct rdma *rdma, const struct rdma_request *request);
void rdma_receive(struct rdma *rdma, void *mem, uint32_t length, uint32_t lkey);
/* How the receive ended. */
int rdma_received(struct rdma *rdma);

#endif /* RDMA_H */
