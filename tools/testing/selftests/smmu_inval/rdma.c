// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_netlink.h>
#include <rdma/rdma_user_rxe.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rdma.h"

#define UVERBS		"/dev/infiniband/uverbs0"
#define PORT		"/sys/class/infiniband/rxe0/ports/1/"
/* What 127.0.0.1 is in the table of GIDs */
#define GID		"0000:0000:0000:0000:0000:ffff:7f00:0001"
#define NR_GIDS		16

#define RING_SIZE	16
/* A request fails at last after seven timeouts of 4.096 us << 18, about a second. */
#define ACK_TIMEOUT	18
#define PATIENCE_S	60

#define RECEIVE		(1ull << 63)

/* enum ib_qp_attr_mask and enum ib_qp_state, which are in no uapi header either */
#define QP_STATE		(1u << 0)
#define QP_ACCESS_FLAGS		(1u << 3)
#define QP_PKEY_INDEX		(1u << 4)
#define QP_PORT			(1u << 5)
#define QP_AV			(1u << 7)
#define QP_PATH_MTU		(1u << 8)
#define QP_TIMEOUT		(1u << 9)
#define QP_RETRY_CNT		(1u << 10)
#define QP_RNR_RETRY		(1u << 11)
#define QP_RQ_PSN		(1u << 12)
#define QP_MAX_QP_RD_ATOMIC	(1u << 13)
#define QP_MIN_RNR_TIMER	(1u << 15)
#define QP_SQ_PSN		(1u << 16)
#define QP_MAX_DEST_RD_ATOMIC	(1u << 17)
#define QP_DEST_QPN		(1u << 20)

#define QPS_INIT	1
#define QPS_RTR		2
#define QPS_RTS		3

#define MTU_4096	5

unsigned long rdma_requests;

static size_t put_attr(char *msg, size_t at, uint16_t type, const char *text)
{
	struct nlattr *attr = (struct nlattr *)(msg + at);

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + strlen(text) + 1;
	strcpy(msg + at + NLA_HDRLEN, text);
	return at + NLA_ALIGN(attr->nla_len);
}

int rdma_add_device(void)
{
	char msg[256] __attribute__((aligned(8))) = "";
	struct nlmsghdr *header = (struct nlmsghdr *)msg;
	struct nlmsgerr *answer = NLMSG_DATA(header);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
	size_t size = NLMSG_HDRLEN;
	int ret = -1;

	if (fd < 0)
		return -1;
	size = put_attr(msg, size, RDMA_NLDEV_ATTR_DEV_NAME, "rxe0");
	size = put_attr(msg, size, RDMA_NLDEV_ATTR_NDEV_NAME, "lo");
	size = put_attr(msg, size, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe");
	header->nlmsg_len = size;
	header->nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK);
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	if (send(fd, msg, size, 0) == (ssize_t)size &&
	    recv(fd, msg, sizeof(msg), 0) >= NLMSG_LENGTH((int)sizeof(*answer))) {
		errno = -answer->error;
		ret = errno ? -1 : 0;
	}
	close(fd);
	return ret;
}

/* @cmd starts with where the answer goes to, if there is one. */
static int command(struct rdma *rdma, uint32_t nr, void *cmd, size_t size,
		   void *answer, size_t answer_size)
{
	char buffer[512] __attribute__((aligned(8)));
	struct ib_uverbs_cmd_hdr *header = (void *)buffer;
	uint64_t to = (uintptr_t)answer;

	if (answer)
		memcpy(cmd, &to, sizeof(to));
	header->command = nr;
	header->in_words = (sizeof(*header) + size) / 4;
	header->out_words = answer_size / 4;
	memcpy(buffer + sizeof(*header), cmd, size);
	size += sizeof(*header);
	return write(rdma->fd, buffer, size) == (ssize_t)size ? 0 : -1;
}

static int map_ring(struct rdma *rdma, struct rdma_ring *ring,
		    const struct mminfo *info)
{
	void *at = mmap(NULL, info->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			rdma->fd, info->offset);

	if (at == MAP_FAILED)
		return -1;
	ring->queue = at;
	ring->size = info->size;
	return 0;
}

static void unmap_ring(struct rdma_ring *ring)
{
	if (ring->queue)
		munmap(ring->queue, ring->size);
	ring->queue = NULL;
}

static void *element(const struct rdma_ring *ring, uint32_t index)
{
	return ring->queue->data + ((size_t)index << ring->queue->log2_elem_size);
}

static void *produce(const struct rdma_ring *ring)
{
	return element(ring, ring->queue->producer_index);
}

/* The element is complete before the kernel sees it. */
static void produced(const struct rdma_ring *ring)
{
	struct rxe_queue_buf *queue = ring->queue;

	__atomic_store_n(&queue->producer_index,
			 (queue->producer_index + 1) & queue->index_mask,
			 __ATOMIC_RELEASE);
}

/* The index of the loopback address, which may come a little later than the device. */
static int find_gid(void)
{
	char path[96], text[64];
	unsigned int i, tries;
	FILE *file;

	for (tries = 0; tries < 100; tries++, usleep(50000)) {
		for (i = 0; i < NR_GIDS; i++) {
			snprintf(path, sizeof(path), PORT "gids/%u", i);
			file = fopen(path, "re");
			if (!file)
				break;
			if (!fgets(text, sizeof(text), file))
				text[0] = '\0';
			fclose(file);
			if (!strncmp(text, GID, strlen(GID)))
				return i;
		}
	}
	errno = EADDRNOTAVAIL;
	return -1;
}

static int create_qp(struct rdma *rdma, struct rdma_qp *qp)
{
	struct ib_uverbs_create_qp cmd = {
		.pd_handle = rdma->pd,
		.send_cq_handle = rdma->cq,
		.recv_cq_handle = rdma->cq,
		.max_send_wr = RING_SIZE,
		.max_recv_wr = RING_SIZE,
		.max_send_sge = 1,
		.max_recv_sge = 1,
		.sq_sig_all = 1,
		.qp_type = IB_UVERBS_QPT_RC,
	};
	struct {
		struct ib_uverbs_create_qp_resp verbs;
		struct rxe_create_qp_resp rxe;
	} answer;

	if (command(rdma, IB_USER_VERBS_CMD_CREATE_QP, &cmd, sizeof(cmd), &answer,
		    sizeof(answer)))
		return -1;
	qp->handle = answer.verbs.qp_handle;
	qp->number = answer.verbs.qpn;
	qp->messages = 0;
	if (map_ring(rdma, &qp->send, &answer.rxe.sq_mi) ||
	    map_ring(rdma, &qp->receive, &answer.rxe.rq_mi))
		return -1;
	return 0;
}

static void destroy_qp(struct rdma *rdma, struct rdma_qp *qp)
{
	struct ib_uverbs_destroy_qp cmd = { .qp_handle = qp->handle };
	struct ib_uverbs_destroy_qp_resp answer;

	unmap_ring(&qp->send);
	unmap_ring(&qp->receive);
	command(rdma, IB_USER_VERBS_CMD_DESTROY_QP, &cmd, sizeof(cmd), &answer,
		sizeof(answer));
}

static int modify_qp(struct rdma *rdma, struct ib_uverbs_modify_qp *cmd,
		     unsigned int state, uint32_t mask)
{
	cmd->qp_state = state;
	cmd->attr_mask = mask | QP_STATE;
	return command(rdma, IB_USER_VERBS_CMD_MODIFY_QP, cmd, sizeof(*cmd), NULL, 0);
}

static int connect_qp(struct rdma *rdma, const struct rdma_qp *qp, uint32_t to, int gid)
{
	struct ib_uverbs_modify_qp cmd = {
		.qp_handle = qp->handle,
		.dest_qp_num = to,
		.port_num = 1,
		.path_mtu = MTU_4096,
		.qp_access_flags = IB_UVERBS_ACCESS_LOCAL_WRITE |
				   IB_UVERBS_ACCESS_REMOTE_WRITE |
				   IB_UVERBS_ACCESS_REMOTE_READ |
				   IB_UVERBS_ACCESS_REMOTE_ATOMIC,
		.max_rd_atomic = 1,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 1,
		.timeout = ACK_TIMEOUT,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.dest = {
			.dgid = { [10] = 0xff, 0xff, 127, 0, 0, 1 },
			.sgid_index = gid,
			.hop_limit = 64,
			.is_global = 1,
			.port_num = 1,
		},
	};

	if (modify_qp(rdma, &cmd, QPS_INIT, QP_PKEY_INDEX | QP_PORT | QP_ACCESS_FLAGS) ||
	    modify_qp(rdma, &cmd, QPS_RTR, QP_AV | QP_PATH_MTU | QP_DEST_QPN | QP_RQ_PSN |
					   QP_MAX_DEST_RD_ATOMIC | QP_MIN_RNR_TIMER))
		return -1;
	return modify_qp(rdma, &cmd, QPS_RTS, QP_TIMEOUT | QP_RETRY_CNT | QP_RNR_RETRY |
					      QP_SQ_PSN | QP_MAX_QP_RD_ATOMIC);
}

static int connect_both(struct rdma *rdma)
{
	int gid = find_gid();

	if (gid < 0)
		return -1;
	if (create_qp(rdma, &rdma->qp[0]) || create_qp(rdma, &rdma->qp[1]))
		return -1;
	if (connect_qp(rdma, &rdma->qp[0], rdma->qp[1].number, gid))
		return -1;
	return connect_qp(rdma, &rdma->qp[1], rdma->qp[0].number, gid);
}

int rdma_reconnect(struct rdma *rdma)
{
	destroy_qp(rdma, &rdma->qp[0]);
	destroy_qp(rdma, &rdma->qp[1]);
	return connect_both(rdma);
}

static int create_all(struct rdma *rdma)
{
	struct ib_uverbs_get_context context = { 0 };
	struct ib_uverbs_get_context_resp context_answer;
	struct ib_uverbs_alloc_pd pd = { 0 };
	struct ib_uverbs_alloc_pd_resp pd_answer;
	struct ib_uverbs_create_cq cq = {
		.cqe = 4 * RING_SIZE,
		.comp_channel = -1,
	};
	struct {
		struct ib_uverbs_create_cq_resp verbs;
		struct rxe_create_cq_resp rxe;
	} cq_answer;

	if (command(rdma, IB_USER_VERBS_CMD_GET_CONTEXT, &context, sizeof(context),
		    &context_answer, sizeof(context_answer)))
		return -1;
	/* Nobody here waits for events. */
	close(context_answer.async_fd);
	if (command(rdma, IB_USER_VERBS_CMD_ALLOC_PD, &pd, sizeof(pd), &pd_answer,
		    sizeof(pd_answer)))
		return -1;
	rdma->pd = pd_answer.pd_handle;
	if (command(rdma, IB_USER_VERBS_CMD_CREATE_CQ, &cq, sizeof(cq), &cq_answer,
		    sizeof(cq_answer)))
		return -1;
	rdma->cq = cq_answer.verbs.cq_handle;
	if (map_ring(rdma, &rdma->done, &cq_answer.rxe.mi))
		return -1;
	return connect_both(rdma);
}

int rdma_open(struct rdma *rdma)
{
	int error;

	memset(rdma, 0, sizeof(*rdma));
	rdma->received = RDMA_NO_ANSWER;
	rdma->fd = open(UVERBS, O_RDWR | O_CLOEXEC);
	if (rdma->fd < 0)
		return -1;
	if (!create_all(rdma))
		return 0;
	error = errno;
	rdma_close(rdma);
	errno = error;
	return -1;
}

/* What was created goes with the file, once the rings are not mapped any more. */
void rdma_close(struct rdma *rdma)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		unmap_ring(&rdma->qp[i].send);
		unmap_ring(&rdma->qp[i].receive);
	}
	unmap_ring(&rdma->done);
	close(rdma->fd);
	rdma->fd = -1;
}

int rdma_register(struct rdma *rdma, void *mem, size_t size, unsigned int access,
		  struct rdma_mr *mr)
{
	struct ib_uverbs_reg_mr cmd = {
		.start = (uintptr_t)mem,
		.length = size,
		.hca_va = (uintptr_t)mem,
		.pd_handle = rdma->pd,
		.access_flags = access,
	};
	struct ib_uverbs_reg_mr_resp answer;

	if (command(rdma, IB_USER_VERBS_CMD_REG_MR, &cmd, sizeof(cmd), &answer,
		    sizeof(answer)))
		return -1;
	mr->handle = answer.mr_handle;
	mr->lkey = answer.lkey;
	mr->rkey = answer.rkey;
	return 0;
}

int rdma_deregister(struct rdma *rdma, const struct rdma_mr *mr)
{
	struct ib_uverbs_dereg_mr cmd = { .mr_handle = mr->handle };

	return command(rdma, IB_USER_VERBS_CMD_DEREG_MR, &cmd, sizeof(cmd), NULL, 0);
}

static void describe(struct rxe_dma_info *dma, void *mem, uint32_t length, uint32_t lkey)
{
	memset(dma, 0, sizeof(*dma));
	dma->length = length;
	dma->resid = length;
	dma->num_sge = 1;
	dma->sge[0].addr = (uintptr_t)mem;
	dma->sge[0].length = length;
	dma->sge[0].lkey = lkey;
}

/* Take one completion, if there is one. */
static bool take(struct rdma *rdma, struct ib_uverbs_wc *wc)
{
	struct rxe_queue_buf *queue = rdma->done.queue;
	uint32_t at = queue->consumer_index;

	if (__atomic_load_n(&queue->producer_index, __ATOMIC_ACQUIRE) == at)
		return false;
	memcpy(wc, element(&rdma->done, at), sizeof(*wc));
	__atomic_store_n(&queue->consumer_index, (at + 1) & queue->index_mask,
			 __ATOMIC_RELEASE);
	if (wc->wr_id & RECEIVE)
		rdma->received = wc->status;
	return true;
}

/* The end of the request @id; for a receive, of the one that was posted last. */
static int wait_for(struct rdma *rdma, uint64_t id)
{
	time_t end = time(NULL) + PATIENCE_S;
	struct ib_uverbs_wc wc;

	while (time(NULL) < end) {
		if (!take(rdma, &wc))
			sched_yield();
		else if (wc.wr_id == id)
			return wc.status;
	}
	return RDMA_NO_ANSWER;
}

static int ring_bell(struct rdma *rdma)
{
	/* What is sent is in the ring. */
	struct ib_uverbs_post_send cmd = {
		.qp_handle = rdma->qp[0].handle,
		.wqe_size = sizeof(struct ib_uverbs_send_wr),
	};
	struct ib_uverbs_post_send_resp answer;

	return command(rdma, IB_USER_VERBS_CMD_POST_SEND, &cmd, sizeof(cmd), &answer,
		       sizeof(answer));
}

int rdma_do(struct rdma *rdma, const struct rdma_request *request)
{
	struct rdma_qp *qp = &rdma->qp[0];
	struct rxe_send_wqe *wqe = produce(&qp->send);

	memset(wqe, 0, sizeof(*wqe));
	wqe->wr.wr_id = ++rdma->requests;
	wqe->wr.opcode = request->opcode;
	switch (request->opcode) {
	case IB_UVERBS_WR_ATOMIC_CMP_AND_SWP:
	case IB_UVERBS_WR_ATOMIC_FETCH_AND_ADD:
		wqe->wr.wr.atomic.remote_addr = (uintptr_t)request->remote;
		wqe->wr.wr.atomic.compare_add = request->compare_add;
		wqe->wr.wr.atomic.swap = request->swap;
		wqe->wr.wr.atomic.rkey = request->rkey;
		break;
	default:
		wqe->wr.wr.rdma.remote_addr = (uintptr_t)request->remote;
		wqe->wr.wr.rdma.rkey = request->rkey;
	}
	wqe->iova = (uintptr_t)request->remote;
	wqe->ssn = qp->messages++;
	describe(&wqe->dma, request->local, request->length, request->lkey);
	produced(&qp->send);
	rdma_requests++;
	if (ring_bell(rdma))
		return RDMA_NO_ANSWER;
	return wait_for(rdma, rdma->requests);
}

void rdma_receive(struct rdma *rdma, void *mem, uint32_t length, uint32_t lkey)
{
	struct rxe_recv_wqe *wqe = produce(&rdma->qp[1].receive);

	memset(wqe, 0, sizeof(*wqe));
	wqe->wr_id = RECEIVE;
	describe(&wqe->dma, mem, length, lkey);
	rdma->received = RDMA_NO_ANSWER;
	produced(&rdma->qp[1].receive);
}

int rdma_received(struct rdma *rdma)
{
	if (rdma->received == RDMA_NO_ANSWER)
		wait_for(rdma, RECEIVE);
	return rdma->received;
}
