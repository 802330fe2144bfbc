// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs: an engine copies, fills or sums memory of a process by the addresses that the
 * process uses.
 *
 * It goes on in steps that stay within a page, each with its own translation. A step
 * that finds none asks for the page, and is tried again.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "iommu_sva.h"

/* A page that is given and then is not there has been taken away; but not that often. */
#define MAX_TRIES	10000

static struct workqueue_struct *dma_wq;

/* What is missing for a step. */
struct step {
	u64 addr;
	bool write;
};

static u64 *word_at(unsigned long pfn, u64 addr)
{
	return __va(PFN_PHYS(pfn)) + offset_in_page(addr);
}

/* -EFAULT says in @step what is missing. */
static int translate(struct sva_channel *channel, u64 addr, bool write,
		     struct step *step, u64 **word)
{
	unsigned long pfn;
	int ret;

	ret = sva_translate(channel->engine, channel->pasid, addr, write, &pfn);
	if (ret) {
		*step = (struct step){ .addr = addr, .write = write };
		return ret;
	}
	*word = word_at(pfn, addr);
	return 0;
}

static u64 left_in_page(u64 addr)
{
	return PAGE_SIZE - offset_in_page(addr);
}

/*
 * From @off on, as much as pages allow; how many bytes. The lock is what the hardware
 * has in flight.
 */
static int do_step(struct sva_channel *channel, u64 off, struct step *step)
{
	struct sva_job *job = &channel->run->job;
	u64 *src = NULL, *dst = NULL, n = job->size - off;
	unsigned int i, us = READ_ONCE(channel->engine->hw->access_us);
	unsigned long flags;
	int ret = 0;

	if (job->op != SVA_FILL)
		n = min(n, left_in_page(job->src + off));
	if (job->op != SVA_SUM)
		n = min(n, left_in_page(job->dst + off));

	raw_spin_lock_irqsave(&channel->busy, flags);
	if (job->op != SVA_FILL)
		ret = translate(channel, job->src + off, false, step, &src);
	if (!ret && job->op != SVA_SUM)
		ret = translate(channel, job->dst + off, true, step, &dst);
	if (!ret && us)
		udelay(us);
	for (i = 0; !ret && i < n / sizeof(u64); i++) {
		switch (job->op) {
		case SVA_COPY:
			WRITE_ONCE(dst[i], READ_ONCE(src[i]));
			break;
		case SVA_FILL:
			WRITE_ONCE(dst[i], job->value);
			break;
		case SVA_SUM:
			job->result += READ_ONCE(src[i]);
			break;
		}
	}
	raw_spin_unlock_irqrestore(&channel->busy, flags);
	return ret ? ret : n;
}

/* How many pages the pass still needs from there on. */
static unsigned int pages_left(const struct sva_job *job, u64 off, u64 addr)
{
	u64 last = addr + (job->size - off) - 1;

	return min_t(u64, (last >> PAGE_SHIFT) - (addr >> PAGE_SHIFT) + 1,
		     max(job->group, 1U));
}

/* A group fails as a whole, and perhaps for a page that is not needed yet. */
static int request(struct sva_channel *channel, const struct step *step,
		   unsigned int nr)
{
	int ret = sva_request_pages(channel, step->addr, step->write, nr);

	if (ret && nr > 1)
		ret = sva_request_pages(channel, step->addr, step->write, 1);
	return ret;
}

/* The status to end with, or -1 to go on. */
static int run_pass(struct sva_channel *channel)
{
	struct sva_job *job = &channel->run->job;
	unsigned int tries = 0;
	struct step step;
	u64 off = 0;
	int ret;

	job->result = 0;
	while (off < job->size) {
		if (READ_ONCE(channel->run->stop))
			return SVA_STOPPED;
		ret = do_step(channel, off, &step);
		if (ret > 0) {
			off += ret;
			job->done += ret;
			tries = 0;
			cond_resched();
			continue;
		}
		if (ret == -ESRCH)
			return SVA_DETACHED;
		job->fault = step.addr;
		if ((job->flags & SVA_NO_REQUESTS) || ++tries > MAX_TRIES)
			return SVA_FAULT;
		if (request(channel, &step, pages_left(job, off, step.addr)))
			return sva_pasid_is_set(channel->engine, channel->pasid) ?
			       SVA_FAULT : SVA_DETACHED;
	}
	return -1;
}

static void job_work(struct work_struct *work)
{
	struct sva_channel *channel = container_of(work, struct sva_channel, work);
	struct sva_run *run = channel->run;
	struct sva_job *job = &run->job;
	int status = -1;
	u32 pass;

	for (pass = 0; status < 0 && (!job->passes || pass < job->passes); pass++)
		status = run_pass(channel);
	job->status = status < 0 ? SVA_DONE : status;
	if (job->status != SVA_FAULT)
		job->fault = 0;
	/* The next one may take its place at once. */
	complete_all(&run->done);
}

static bool words(u64 addr, u64 size)
{
	return addr % sizeof(u64) == 0 && addr + size > addr;
}

/* Is it one that can be run? 0, -EINVAL or -E2BIG. */
int sva_job_check(const struct sva_job *job)
{
	bool reads = job->op == SVA_COPY || job->op == SVA_SUM;
	bool writes = job->op == SVA_COPY || job->op == SVA_FILL;

	if ((!reads && !writes) || (job->flags & ~SVA_NO_REQUESTS) ||
	    job->reserved || !job->size || job->size % sizeof(u64))
		return -EINVAL;
	if (job->size > SVA_MAX_SIZE || job->group > SVA_MAX_GROUP)
		return -E2BIG;
	if (reads ? !words(job->src, job->size) : job->src)
		return -EINVAL;
	if (writes ? !words(job->dst, job->size) : job->dst)
		return -EINVAL;
	return 0;
}

struct sva_run *sva_run_new(const struct sva_job *job)
{
	struct sva_run *run = kzalloc(sizeof(*run), GFP_KERNEL);

	if (!run)
		return NULL;
	refcount_set(&run->refs, 1);
	init_completion(&run->done);
	run->job = *job;
	run->job.status = SVA_DONE;
	run->job.fault = 0;
	run->job.done = 0;
	return run;
}

void sva_run_put(struct sva_run *run)
{
	if (run && refcount_dec_and_test(&run->refs))
		kfree(run);
}

/* -EBUSY if another one runs. With the mutex held, like all below. */
int sva_run_start(struct sva_channel *channel, struct sva_run *run)
{
	if (channel->run && !completion_done(&channel->run->done))
		return -EBUSY;
	sva_run_put(channel->run);
	refcount_inc(&run->refs);
	channel->run = run;
	queue_work(dma_wq, &channel->work);
	return 0;
}

/* Nothing is in flight any more, and no request unanswered. */
void sva_run_stop(struct sva_channel *channel)
{
	if (channel->run)
		WRITE_ONCE(channel->run->stop, true);
	flush_work(&channel->work);
}

int sva_channel_attach(struct sva_channel *channel, struct sva_engine *engine)
{
	unsigned long flags;
	unsigned int nr;

	raw_spin_lock_irqsave(&engine->lock, flags);
	for (nr = 0; nr < SVA_NR_CHANNELS && engine->channels[nr]; nr++)
		;
	if (nr < SVA_NR_CHANNELS)
		engine->channels[nr] = channel;
	raw_spin_unlock_irqrestore(&engine->lock, flags);
	if (nr == SVA_NR_CHANNELS)
		return -ENOSPC;
	channel->nr = nr;
	channel->engine = engine;
	INIT_WORK(&channel->work, job_work);
	return 0;
}

void sva_channel_detach(struct sva_channel *channel)
{
	struct sva_engine *engine = channel->engine;
	unsigned long flags;

	raw_spin_lock_irqsave(&engine->lock, flags);
	engine->channels[channel->nr] = NULL;
	raw_spin_unlock_irqrestore(&engine->lock, flags);
	channel->engine = NULL;
	sva_run_put(channel->run);
	channel->run = NULL;
}

int sva_dma_init(void)
{
	/* An engine is not one of the machine's CPUs: it may take all the time. */
	dma_wq = alloc_workqueue("smmu_inval_dma", WQ_UNBOUND, 0);
	return dma_wq ? 0 : -ENOMEM;
}

void sva_dma_exit(void)
{
	destroy_workqueue(dma_wq);
}
