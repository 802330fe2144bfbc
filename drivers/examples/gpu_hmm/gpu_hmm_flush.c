// SPDX-License-Identifier: GPL-2.0
/*
 * TLB flushes. A GPU takes its time for them: it is told to flush, goes on to
 * use what it has cached, and has forgotten it some time later. Whoever wants
 * the page has to wait for that.
 *
 * So each GPU has a queue, and a thread that executes what is in it, in order
 * and each entry not before its time. How long a flush takes is settable for
 * each address space. One that takes no time is executed at once, unless others
 * are ahead of it.
 */
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>

#include "gpu_hmm.h"

static void gpu_flush_execute(struct gpu_vm *vm,
			      const struct smmu_inval_flush *flush)
{
	atomic64_add(gpu_engines_flush(vm->dev, vm->asid, flush),
		     &vm->tlb_flushed);
}

/* The oldest entry of the queue, or NULL. */
static struct gpu_flush *gpu_flusher_next(struct gpu_flusher *flusher)
{
	guard(spinlock)(&flusher->lock);
	if (flusher->done == flusher->issued)
		return NULL;
	/* Nobody writes to it before it is done. */
	return &flusher->slots[(flusher->done + 1) % GPU_FLUSH_SLOTS];
}

static void gpu_flusher_sleep_until(u64 ns)
{
	ktime_t due = ns_to_ktime(ns);

	while (ktime_before(ktime_get(), due)) {
		set_current_state(TASK_IDLE);
		schedule_hrtimeout(&due, HRTIMER_MODE_ABS);
	}
}

static int gpu_flusher_thread(void *data)
{
	struct gpu_device *dev = data;
	struct gpu_flusher *flusher = &dev->flusher;
	struct gpu_flush *slot;

	while (!kthread_should_stop()) {
		struct smmu_inval_flush flush;

		wait_event_idle(flusher->work, kthread_should_stop() ||
				gpu_flusher_next(flusher));
		slot = gpu_flusher_next(flusher);
		if (!slot)
			continue;
		gpu_flusher_sleep_until(slot->due_ns);
		flush.spans = slot->spans;
		flush.nr = slot->nr;
		flush.all = slot->all;
		gpu_flush_execute(slot->vm, &flush);
		scoped_guard(spinlock, &flusher->lock)
			flusher->done++;
		wake_up_all(&flusher->over);
	}
	return 0;
}

static bool gpu_flush_is_over(struct gpu_flusher *flusher, u64 ticket)
{
	guard(spinlock)(&flusher->lock);
	return flusher->done >= ticket;
}

/* Return the ticket, or 0 if the queue is full. */
static u64 gpu_flush_queue(struct gpu_vm *vm,
			   const struct smmu_inval_flush *flush)
{
	struct gpu_flusher *flusher = &vm->dev->flusher;
	struct gpu_flush *slot;

	guard(spinlock)(&flusher->lock);
	if (!vm->flush_delay_us && flusher->done == flusher->issued) {
		gpu_flush_execute(vm, flush);
		flusher->done++;
		return ++flusher->issued;
	}
	if (flusher->issued - flusher->done == GPU_FLUSH_SLOTS)
		return 0;
	slot = &flusher->slots[++flusher->issued % GPU_FLUSH_SLOTS];
	slot->vm = vm;
	slot->due_ns = ktime_get_ns() + vm->flush_delay_us * NSEC_PER_USEC;
	slot->all = flush->all;
	slot->nr = flush->nr;
	memcpy(slot->spans, flush->spans, flush->nr * sizeof(*slot->spans));
	return flusher->issued;
}

/**
 * gpu_flush_issue() - have the GPU forget translations, soon
 * @vm: the address space
 * @flush: which of its translations
 *
 * Context: @vm->lock held; may sleep until there is room in the queue.
 * Return: a ticket for gpu_flush_wait().
 */
u64 gpu_flush_issue(struct gpu_vm *vm, const struct smmu_inval_flush *flush)
{
	struct gpu_flusher *flusher = &vm->dev->flusher;
	u64 ticket;

	wait_event(flusher->over, (ticket = gpu_flush_queue(vm, flush)) != 0);
	wake_up(&flusher->work);
	/* For comparison: what drivers do without a second pass. */
	if (vm->flags & GPU_HMM_SINGLE_PASS)
		gpu_flush_wait(vm->dev, ticket);
	return ticket;
}

/**
 * gpu_flush_wait() - wait until the GPU has forgotten them
 * @dev: the GPU
 * @ticket: from gpu_flush_issue()
 *
 * Context: may sleep.
 */
void gpu_flush_wait(struct gpu_device *dev, u64 ticket)
{
	wait_event(dev->flusher.over, gpu_flush_is_over(&dev->flusher, ticket));
}

/**
 * gpu_flush_now() - have the GPU forget translations, before the return
 * @vm: the address space
 * @flush: which of its translations
 *
 * Polls instead of sleeping: the OOM reaper cannot sleep. What is in the queue
 * need not be waited for, it concerns others.
 *
 * Context: @vm->lock held.
 */
void gpu_flush_now(struct gpu_vm *vm, const struct smmu_inval_flush *flush)
{
	u64 due = ktime_get_ns() + vm->flush_delay_us * NSEC_PER_USEC;

	if (vm->flush_delay_us)
		while (ktime_get_ns() < due)
			cpu_relax();
	gpu_flush_execute(vm, flush);
}

/**
 * gpu_flusher_start() - start to execute flushes
 * @dev: the GPU
 *
 * Return: 0 or -ENOMEM.
 */
int gpu_flusher_start(struct gpu_device *dev)
{
	struct gpu_flusher *flusher = &dev->flusher;

	spin_lock_init(&flusher->lock);
	init_waitqueue_head(&flusher->work);
	init_waitqueue_head(&flusher->over);
	flusher->task = kthread_run(gpu_flusher_thread, dev, "gpu_hmm%u/flush",
				    dev->nr);
	return PTR_ERR_OR_ZERO(flusher->task);
}

/**
 * gpu_flusher_stop() - stop it
 * @dev: the GPU; no address space is left on it, so that the queue is empty
 */
void gpu_flusher_stop(struct gpu_device *dev)
{
	WARN_ON_ONCE(gpu_flusher_next(&dev->flusher));
	kthread_stop(dev->flusher.task);
}
