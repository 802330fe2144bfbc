// SPDX-License-Identifier: GPL-2.0
/*
 * The engines of the GPU: kernel threads that run one command after another,
 * each behind a TLB of its own. Address spaces share all engines.
 */
#include <linux/atomic.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "gpu_hmm.h"

#define GPU_MAX_ENGINES		16
#define GPU_MAX_TLB_ENTRIES	65536

/**
 * struct gpu_engine - an engine
 * @task: its thread
 * @lock: protects @queue
 * @queue: commands that wait
 * @wake: where @task waits for them
 * @tlb: its TLB
 * @fault: for the faults of @task
 */
struct gpu_engine {
	struct task_struct *task;
	spinlock_t lock; /* queue */
	struct list_head queue;
	wait_queue_head_t wake;
	struct gpu_tlb tlb;
	struct gpu_fault fault;
};

static unsigned int engines = 2;
module_param(engines, uint, 0444);
MODULE_PARM_DESC(engines, "Number of engines, 1 to 16");

static unsigned int tlb_entries = 256;
module_param(tlb_entries, uint, 0444);
MODULE_PARM_DESC(tlb_entries,
		 "TLB entries of an engine, a power of two, 4 to 65536");

/* What is between the load and the store of an EXCLUSIVE_ADD. */
#define GPU_EXCLUSIVE_SPINS	100

/* The engines of a GPU take turns; the CPU does not. */
static u64 gpu_command_add(struct gpu_command *cmd, u64 *word)
{
	unsigned int i;
	u64 old;

	guard(spinlock)(&cmd->vm->dev->atomic_lock);
	if (cmd->op == GPU_HMM_ATOMIC_ADD)
		return atomic64_fetch_add(cmd->operand, (atomic64_t *)word);

	old = READ_ONCE(*word);
	for (i = 0; i < GPU_EXCLUSIVE_SPINS; i++)
		cpu_relax();
	WRITE_ONCE(*word, old + cmd->operand);
	return old;
}

/*
 * What a command does to a page, or a part of it. Word by word, so that who
 * looks on sees words that are old or new.
 */
static void gpu_command_work(struct gpu_command *cmd, u64 *words,
			     unsigned int nr)
{
	u64 *data = cmd->data ? cmd->data + cmd->done / sizeof(u64) : NULL;
	unsigned int i;

	switch (cmd->op) {
	case GPU_HMM_READ:
		for (i = 0; i < nr; i++)
			data[i] = READ_ONCE(words[i]);
		break;
	case GPU_HMM_WRITE:
		for (i = 0; i < nr; i++)
			WRITE_ONCE(words[i], data[i]);
		break;
	case GPU_HMM_ATOMIC_ADD:
	case GPU_HMM_EXCLUSIVE_ADD:
		for (i = 0; i < nr; i++) {
			u64 old = gpu_command_add(cmd, &words[i]);

			if (!cmd->done && !i)
				cmd->result = old;
		}
		break;
	case GPU_HMM_FILL:
		for (i = 0; i < nr; i++)
			WRITE_ONCE(words[i], cmd->operand);
		break;
	case GPU_HMM_CHECKSUM:
		for (i = 0; i < nr; i++)
			cmd->result = gpu_hmm_checksum(cmd->result,
						       READ_ONCE(words[i]));
		break;
	}
}

/* Work on a part of a page if the TLB has a translation for it. */
static bool gpu_engine_access(struct gpu_engine *engine,
			      struct gpu_command *cmd, u64 addr,
			      unsigned int len, u64 need)
{
	const struct gpu_tlb_entry *entry;
	void *page;

	/*
	 * Held until the access is over: who removes the translation waits for
	 * that, and the page is not freed before. No reference to the page is
	 * needed, or taken.
	 */
	guard(spinlock)(&engine->tlb.lock);
	entry = gpu_tlb_lookup(&engine->tlb, cmd->vm->asid, addr, need);
	if (!entry)
		return false;
	page = kmap_local_page(pfn_to_page(gpu_pte_pfn(entry->pte)));
	gpu_command_work(cmd, page + offset_in_page(addr), len / sizeof(u64));
	kunmap_local(page);
	return true;
}

/* What a translation has to allow. */
static u64 gpu_command_needs(const struct gpu_command *cmd)
{
	switch (cmd->op) {
	case GPU_HMM_WRITE:
	case GPU_HMM_ATOMIC_ADD:
	case GPU_HMM_FILL:
		return GPU_PTE_WRITE;
	case GPU_HMM_EXCLUSIVE_ADD:
		return GPU_PTE_WRITE | GPU_PTE_EXCLUSIVE;
	default:
		return 0;
	}
}

static int gpu_engine_page(struct gpu_engine *engine, struct gpu_command *cmd,
			   u64 addr, unsigned int len)
{
	u64 need = gpu_command_needs(cmd);
	struct gpu_vm *vm = cmd->vm;
	u64 page = addr & PAGE_MASK;
	int err;

	if (gpu_engine_access(engine, cmd, addr, len, need)) {
		atomic64_inc(&vm->tlb_hits);
		return 0;
	}
	atomic64_inc(&vm->tlb_misses);

	/*
	 * What was mapped or cached a moment ago may be gone already, as often
	 * as the process likes to change it. Each fault is bounded in time; and
	 * cancelling, as closing the file does, ends this loop.
	 */
	while (!READ_ONCE(cmd->cancelled)) {
		if (!gpu_vm_translate(vm, &engine->tlb, addr, need)) {
			err = gpu_vm_fault(vm, &engine->fault, page,
					   cmd->addr + cmd->size - 1, need);
			if (err)
				return err;
			continue;
		}
		if (gpu_engine_access(engine, cmd, addr, len, need))
			return 0;
	}
	return -ECANCELED;
}

static int gpu_engine_run(struct gpu_engine *engine, struct gpu_command *cmd)
{
	while (cmd->done < cmd->size) {
		u64 addr = cmd->addr + cmd->done;
		unsigned int len = min_t(u64, cmd->size - cmd->done,
					 PAGE_SIZE - offset_in_page(addr));
		int err;

		if (READ_ONCE(cmd->cancelled))
			return -ECANCELED;
		err = gpu_engine_page(engine, cmd, addr, len);
		if (err)
			return err;
		cmd->done += len;
		cond_resched();
	}
	return 0;
}

/**
 * gpu_command_free() - the last reference to a command is gone
 * @ref: its kref
 *
 * Context: no lock held; may sleep.
 */
void gpu_command_free(struct kref *ref)
{
	struct gpu_command *cmd = container_of(ref, struct gpu_command, ref);

	kvfree(cmd->data);
	gpu_vm_put(cmd->vm);
	kfree(cmd);
}

static struct gpu_command *gpu_engine_next(struct gpu_engine *engine)
{
	struct gpu_command *cmd;

	guard(spinlock)(&engine->lock);
	cmd = list_first_entry_or_null(&engine->queue, struct gpu_command,
				       queue_node);
	if (cmd)
		list_del(&cmd->queue_node);
	return cmd;
}

static bool gpu_engine_has_work(struct gpu_engine *engine)
{
	guard(spinlock)(&engine->lock);
	return !list_empty(&engine->queue);
}

static int gpu_engine_thread(void *data)
{
	struct gpu_engine *engine = data;
	struct gpu_command *cmd;

	do {
		wait_event_idle(engine->wake, kthread_should_stop() ||
				gpu_engine_has_work(engine));
		/* Who stops it has cancelled what is left: empty the queue. */
		while ((cmd = gpu_engine_next(engine))) {
			cmd->error = gpu_engine_run(engine, cmd);
			complete_all(&cmd->completion);
			gpu_command_put(cmd);
		}
	} while (!kthread_should_stop());
	return 0;
}

/**
 * gpu_engine_submit() - queue a command
 * @dev: the GPU
 * @nr: which engine, below gpu_engines_count()
 * @cmd: the command; the engine takes over a reference
 */
void gpu_engine_submit(struct gpu_device *dev, unsigned int nr,
		       struct gpu_command *cmd)
{
	struct gpu_engine *engine = &dev->engines[nr];

	scoped_guard(spinlock, &engine->lock)
		list_add_tail(&cmd->queue_node, &engine->queue);
	wake_up(&engine->wake);
}

/**
 * gpu_engines_flush() - have all engines forget translations
 * @dev: the GPU
 * @asid: the address space
 * @flush: which of its translations
 *
 * When it returns, no engine uses any of them.
 *
 * Context: any that may take a spinlock.
 * Return: how many TLB entries were removed.
 */
unsigned int gpu_engines_flush(struct gpu_device *dev, u64 asid,
			       const struct smmu_inval_flush *flush)
{
	unsigned int i, dropped = 0;

	for (i = 0; i < engines; i++)
		dropped += gpu_tlb_flush(&dev->engines[i].tlb, asid, flush);
	return dropped;
}

/**
 * gpu_engines_count() - how many engines there are
 *
 * Return: as it says.
 */
unsigned int gpu_engines_count(void)
{
	return engines;
}

/**
 * gpu_engines_tlb_entries() - how large the TLB of an engine is
 *
 * Return: as it says.
 */
unsigned int gpu_engines_tlb_entries(void)
{
	return tlb_entries;
}

static int gpu_engine_start(struct gpu_device *dev, unsigned int nr)
{
	struct gpu_engine *engine = &dev->engines[nr];
	struct task_struct *task;
	int err;

	spin_lock_init(&engine->lock);
	INIT_LIST_HEAD(&engine->queue);
	init_waitqueue_head(&engine->wake);
	err = gpu_tlb_init(&engine->tlb, tlb_entries);
	if (err)
		return err;
	task = kthread_run(gpu_engine_thread, engine, "gpu_hmm%u/%u", dev->nr,
			   nr);
	if (IS_ERR(task))
		return PTR_ERR(task);
	engine->task = task;
	return 0;
}

/**
 * gpu_engines_start() - start the engines of a GPU
 * @dev: the GPU
 *
 * Return: 0, -ENOMEM, or -EINVAL for a bad module parameter.
 */
int gpu_engines_start(struct gpu_device *dev)
{
	unsigned int i;
	int err;

	if (!engines || engines > GPU_MAX_ENGINES)
		return -EINVAL;
	if (!is_power_of_2(tlb_entries) || tlb_entries < GPU_TLB_WAYS ||
	    tlb_entries > GPU_MAX_TLB_ENTRIES)
		return -EINVAL;
	dev->engines = kcalloc(engines, sizeof(*dev->engines), GFP_KERNEL);
	if (!dev->engines)
		return -ENOMEM;
	for (i = 0; i < engines; i++) {
		err = gpu_engine_start(dev, i);
		if (err) {
			gpu_engines_stop(dev);
			gpu_engines_free(dev);
			return err;
		}
	}
	return 0;
}

/**
 * gpu_engines_stop() - stop the engines
 * @dev: the GPU
 *
 * No file is open any more. Commands of those that were closed are cancelled,
 * and engines may still be busy with noticing.
 */
void gpu_engines_stop(struct gpu_device *dev)
{
	unsigned int i;

	for (i = 0; i < engines; i++) {
		if (dev->engines[i].task)
			kthread_stop(dev->engines[i].task);
	}
}

/**
 * gpu_engines_free() - free the engines
 * @dev: the GPU; all its engines have stopped, and nothing flushes their TLBs
 *	any more, as the last command of an address space does
 */
void gpu_engines_free(struct gpu_device *dev)
{
	unsigned int i;

	for (i = 0; i < engines; i++) {
		gpu_fault_finish(&dev->engines[i].fault);
		gpu_tlb_fini(&dev->engines[i].tlb);
	}
	kfree(dev->engines);
}
