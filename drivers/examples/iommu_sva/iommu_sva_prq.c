// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests. An engine that finds no translation puts a group of requests into the
 * IOMMU's queue, and waits for the answer to the last one of the group. The driver takes
 * them out, as a threaded interrupt handler does, and gives them to the IOMMU core, whose
 * handler for SVA faults the pages in and answers.
 *
 * When the queue is full requests get lost. If one is the last of its group, nobody else
 * would answer it, so the IOMMU does: "try again". Those before it may have got through,
 * and would wait in the core for a last one for ever: the driver discards them, and
 * until it has, the queue takes no more. A last one that came in between would be the
 * last of a group that is none: with pages that an earlier job wanted, perhaps of another
 * process.
 */
#include <linux/delay.h>
#include <linux/iommu.h>

#include "iommu_sva.h"

#define PRQ_SIZE	32

struct request {
	struct sva_engine *engine;
	unsigned int channel;
	u32 pasid;
	u64 addr;
	bool write;
	bool last;
};

static struct {
	raw_spinlock_t lock;
	struct request ring[PRQ_SIZE];
	unsigned int head;
	unsigned int tail;
	bool overflowed;
	struct sva_hw *hw;
	struct workqueue_struct *wq;
	struct work_struct work;
	struct iopf_queue *iopf;
} prq;

static bool prq_put(const struct request *request)
{
	unsigned long flags;
	bool fits;

	raw_spin_lock_irqsave(&prq.lock, flags);
	if (prq.tail - prq.head == PRQ_SIZE)
		prq.overflowed = true;
	fits = !prq.overflowed;
	if (fits)
		prq.ring[prq.tail++ % PRQ_SIZE] = *request;
	raw_spin_unlock_irqrestore(&prq.lock, flags);
	return fits;
}

static bool prq_get(struct request *request)
{
	unsigned long flags;
	bool any;

	raw_spin_lock_irqsave(&prq.lock, flags);
	any = prq.tail != prq.head;
	if (any)
		*request = prq.ring[prq.head++ % PRQ_SIZE];
	raw_spin_unlock_irqrestore(&prq.lock, flags);
	return any;
}

static void report(const struct request *request)
{
	struct iopf_fault fault = {
		.fault.type = IOMMU_FAULT_PAGE_REQ,
		.fault.prm = {
			.flags = IOMMU_FAULT_PAGE_REQUEST_PASID_VALID |
				 (request->last ?
				  IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE : 0),
			.pasid = request->pasid,
			.grpid = request->channel,
			.perm = IOMMU_FAULT_PERM_READ |
				(request->write ? IOMMU_FAULT_PERM_WRITE : 0),
			.addr = request->addr,
		},
	};

	/* What fails is answered, or is not the last of its group. */
	iommu_report_device_fault(request->engine->dev, &fault);
}

static void report_all(void)
{
	struct request request;

	while (prq_get(&request))
		report(&request);
}

static bool prq_overflowed(void)
{
	unsigned long flags;
	bool overflowed;

	raw_spin_lock_irqsave(&prq.lock, flags);
	overflowed = prq.overflowed;
	raw_spin_unlock_irqrestore(&prq.lock, flags);
	return overflowed;
}

static void prq_goes_on(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&prq.lock, flags);
	prq.overflowed = false;
	raw_spin_unlock_irqrestore(&prq.lock, flags);
}

static void prq_work(struct work_struct *work)
{
	unsigned int us = READ_ONCE(prq.hw->request_us);

	if (us)
		usleep_range(us, us + us / 4 + 1);
	report_all();
	if (!prq_overflowed())
		return;
	/* It may have filled up since it was empty; now nothing is added. */
	report_all();
	iopf_queue_discard_partial(prq.iopf);
	prq_goes_on();
}

/* The requests that were made are with the core when this returns. */
void sva_prq_flush(void)
{
	flush_work(&prq.work);
}

/**
 * sva_request_pages() - ask for pages, and wait for the answer
 * @channel: that needs them
 * @addr: in the first one, which it cannot do without
 * @write: to write to them
 * @nr: how many
 *
 * Context: process context; sleeps.
 * Return: 0 to try again, or -EFAULT: they cannot be had.
 */
int sva_request_pages(struct sva_channel *channel, u64 addr, bool write,
		      unsigned int nr)
{
	struct sva_engine *engine = channel->engine;
	struct request request = {
		.engine = engine,
		.channel = channel->nr,
		.pasid = channel->pasid,
		.write = write,
	};

	reinit_completion(&channel->answered);
	sva_count(engine->hw, SVA_GROUPS, 1);
	/* From the end, so that the answer is about the page that is needed. */
	while (nr--) {
		request.addr = (addr & PAGE_MASK) + ((u64)nr << PAGE_SHIFT);
		request.last = !nr;
		sva_count(engine->hw, SVA_REQUESTS, 1);
		if (!prq_put(&request) && request.last) {
			sva_count(engine->hw, SVA_OVERFLOWS, 1);
			queue_work(prq.wq, &prq.work);
			usleep_range(50, 100);
			return 0;
		}
	}
	queue_work(prq.wq, &prq.work);
	wait_for_completion(&channel->answered);
	if (channel->answer == IOMMU_PAGE_RESP_SUCCESS)
		return 0;
	sva_count(engine->hw, SVA_FAILED, 1);
	return -EFAULT;
}

/* From the core: what became of the group of this channel. */
void sva_answer(struct sva_engine *engine, unsigned int nr, int code)
{
	struct sva_channel *channel;
	unsigned long flags;

	if (nr >= SVA_NR_CHANNELS)
		return;
	/* It stays on the engine until it was answered. */
	raw_spin_lock_irqsave(&engine->lock, flags);
	channel = engine->channels[nr];
	raw_spin_unlock_irqrestore(&engine->lock, flags);
	if (WARN_ON_ONCE(!channel))
		return;
	channel->answer = code;
	complete(&channel->answered);
}

int sva_prq_add(struct sva_engine *engine)
{
	return iopf_queue_add_device(prq.iopf, engine->dev);
}

void sva_prq_remove(struct sva_engine *engine)
{
	iopf_queue_remove_device(prq.iopf, engine->dev);
}

int sva_prq_init(struct sva_hw *hw)
{
	raw_spin_lock_init(&prq.lock);
	INIT_WORK(&prq.work, prq_work);
	prq.hw = hw;
	prq.wq = alloc_workqueue("smmu_inval_prq", WQ_UNBOUND, 0);
	prq.iopf = iopf_queue_alloc("smmu_inval");
	if (prq.wq && prq.iopf)
		return 0;
	sva_prq_exit();
	return -ENOMEM;
}

void sva_prq_exit(void)
{
	if (prq.wq)
		destroy_workqueue(prq.wq);
	iopf_queue_free(prq.iopf);
}
