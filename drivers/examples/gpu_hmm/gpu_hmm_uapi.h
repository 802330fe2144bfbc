/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The software GPU of the smmu_inval library: /dev/smmu_inval_gpu, and if there
 * are more of them /dev/smmu_inval_gpu1 and so on.
 *
 * Who opens the device gives the GPU its own address space: a GPU address is a
 * user address. Only processes that share this address space may use the file;
 * a child that inherited it gets EPERM.
 *
 * The GPU works on whole, aligned 64-bit words, and reads and writes each of
 * them at once. Fields and flags that are not described are reserved: 0.
 *
 * Every ioctl fails with
 *	EPERM	the caller lives in another address space
 *	EFAULT	the argument is not accessible
 *	ENOTTY	there is no such ioctl
 */
#ifndef _GPU_HMM_UAPI_H
#define _GPU_HMM_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define GPU_HMM_PATH		"/dev/smmu_inval_gpu"

/* What an engine can do with [addr, addr + size). */
#define GPU_HMM_READ		1	/* copy it to buffer */
#define GPU_HMM_WRITE		2	/* copy it from buffer */
#define GPU_HMM_ATOMIC_ADD	3	/* add operand to each word */
#define GPU_HMM_FILL		4	/* set each word to operand */
#define GPU_HMM_CHECKSUM	5	/* see gpu_hmm_checksum() */
/*
 * As ATOMIC_ADD, by a load and a store with time between them: right only if
 * nobody else touches the page meanwhile. So the GPU asks for the page as
 * device-exclusive, and who touches it on the CPU takes it back. Private
 * anonymous memory only.
 */
#define GPU_HMM_EXCLUSIVE_ADD	6

/* How much one command or prefetch may cover. */
#define GPU_HMM_MAX_COPY	(1ULL << 20)	/* READ and WRITE */
#define GPU_HMM_MAX_SIZE	(1ULL << 30)

/* How many asynchronous commands of a file may be waiting to be waited for. */
#define GPU_HMM_MAX_ASYNC	64

/* struct gpu_hmm_command.flags: return at once, with an id for WAIT. */
#define GPU_HMM_ASYNC		(1U << 0)

/**
 * struct gpu_hmm_command - something for an engine to do
 * @op: GPU_HMM_READ, ...
 * @engine: which engine, below gpu_hmm_stats.engines
 * @flags: GPU_HMM_ASYNC
 * @error: out: how the command ended, see below
 * @addr: where it starts, a multiple of 8
 * @size: how many bytes, a multiple of 8, not 0
 * @operand: for ATOMIC_ADD, EXCLUSIVE_ADD and FILL
 * @buffer: for READ and WRITE: memory of the caller, which the GPU does not see
 * @result: out: of CHECKSUM; of the ADDs the first word as it was before
 * @done: out: how many bytes were worked on
 * @id: out: of an asynchronous command, for WAIT; never 0
 * @reserved: 0
 *
 * The ioctl says whether the command could be run:
 *	EINVAL	unknown op or flag, reserved field set, not aligned, size 0
 *	ENXIO	no such engine
 *	E2BIG	size above the limit
 *	EFAULT	wraps around, leaves the address space; buffer is not accessible
 *	EAGAIN	GPU_HMM_MAX_ASYNC commands are waiting to be waited for
 *	ENOMEM	no memory for it
 *	EINTR	the caller was killed
 *
 * and @error says how it ended: 0, or
 *	-EFAULT	nothing is mapped at addr + done, or nothing readable
 *	-EPERM	it cannot be written
 *	-ESRCH	the process is gone
 *	-EBUSY	its pages changed all the time, for ten seconds
 *	-ENOMEM	no memory for its page, or for the GPU's page table
 *	-EOPNOTSUPP the kernel or the memory does not allow exclusive access
 */
struct gpu_hmm_command {
	__u32 op;
	__u32 engine;
	__u32 flags;
	__s32 error;
	__u64 addr;
	__u64 size;
	__u64 operand;
	__u64 buffer;
	__u64 result;
	__u64 done;
	__u64 id;
	__u64 reserved;
};

/* struct gpu_hmm_wait.timeout_ms: 0 looks and does not wait. */
#define GPU_HMM_FOREVER		(~0U)

/**
 * struct gpu_hmm_wait - wait for an asynchronous command
 * @id: from gpu_hmm_command
 * @timeout_ms: how long, or GPU_HMM_FOREVER
 * @error: out: as in gpu_hmm_command
 * @result: out: as in gpu_hmm_command
 * @done: out: as in gpu_hmm_command
 * @reserved: 0
 *
 * A command can be waited for once; READ fills its buffer now.
 *
 *	EINVAL	reserved field set
 *	ENOENT	no such command, or somebody else waited for it
 *	ETIMEDOUT it is not finished; it can be waited for again
 *	EFAULT	the buffer is not accessible; the command is gone
 *	EINTR	the caller was killed
 */
struct gpu_hmm_wait {
	__u64 id;
	__u32 timeout_ms;
	__s32 error;
	__u64 result;
	__u64 done;
	__u64 reserved;
};

/* struct gpu_hmm_prefetch.flags: for writing. */
#define GPU_HMM_PREFETCH_WRITE	(1U << 0)

/**
 * struct gpu_hmm_prefetch - have the GPU's page table filled
 * @addr: where, a multiple of the page size
 * @size: how many bytes, a multiple of the page size, not 0
 * @flags: GPU_HMM_PREFETCH_WRITE
 * @reserved: 0
 *
 *	EINVAL, E2BIG, EFAULT, EINTR: as of gpu_hmm_command
 *	EFAULT, EPERM, ESRCH, EBUSY, ENOMEM: as gpu_hmm_command.error
 *
 * After an error a part of the range may be mapped.
 */
struct gpu_hmm_prefetch {
	__u64 addr;
	__u64 size;
	__u32 flags;
	__u32 reserved;
};

/* struct gpu_hmm_setup.flags: smmu_inval_set_coarse(). */
#define GPU_HMM_COARSE		(1U << 0)
/*
 * Faults check mmu_interval_read_retry() and nothing else, as drivers without
 * the library do: any change that the notifier is told of sends all faults back.
 */
#define GPU_HMM_STOCK		(1U << 1)
/* A TLB flush is waited for where it is issued, before the next GPU's starts. */
#define GPU_HMM_SINGLE_PASS	(1U << 2)
/* A notifier for each range of GPU_HMM_RANGE_SIZE, and not one for all. */
#define GPU_HMM_RANGES		(1U << 3)

#define GPU_HMM_RANGE_SIZE	(2ULL << 20)

#define GPU_HMM_MAX_DELAY_US	100000U

/**
 * struct gpu_hmm_setup - how this file's address space behaves
 * @flags: GPU_HMM_COARSE, ...
 * @fault_delay_us: how long a fault takes, after the page is found and before
 *	it can be installed: what mapping it for a real device would take
 * @flush_delay_us: how long the GPU takes for a TLB flush
 * @reserved: 0
 *
 *	EINVAL	unknown flag, reserved field set, delay above
 *		GPU_HMM_MAX_DELAY_US
 *	EBUSY	GPU_HMM_RANGES cannot change once there was a fault
 */
struct gpu_hmm_setup {
	__u32 flags;
	__u32 fault_delay_us;
	__u32 flush_delay_us;
	__u32 reserved;
};

/**
 * struct gpu_hmm_evict - have the GPU forget translations
 * @addr: where, a multiple of the page size
 * @size: how many bytes, a multiple of the page size, not 0
 * @reserved: 0
 *
 * The memory stays where it is, and is faulted again when it is needed.
 *
 *	EINVAL, E2BIG, EFAULT: as of gpu_hmm_command
 */
struct gpu_hmm_evict {
	__u64 addr;
	__u64 size;
	__u64 reserved;
};

/* struct gpu_hmm_migrate.flags: back to system memory. */
#define GPU_HMM_MIGRATE_BACK	(1U << 0)

/**
 * struct gpu_hmm_migrate - move memory into the GPU's, or back
 * @addr: where, a multiple of the page size
 * @size: how many bytes, a multiple of the page size, not 0
 * @flags: GPU_HMM_MIGRATE_BACK
 * @reserved: 0
 * @pages: out: how many pages are where they should be, and were not before
 * @large: out: how many of @pages moved as part of a huge page
 *
 * A page that cannot be moved stays where it is: it is in use, not private
 * anonymous memory, or there is no room. When the CPU touches what is in the
 * GPU's memory, it comes back.
 *
 *	EINVAL, E2BIG, EFAULT, EINTR: as of gpu_hmm_command
 *	EFAULT	nothing is mapped there
 *	EOPNOTSUPP the kernel has no device-private memory
 *	ENOMEM	no memory
 *	ESRCH	the process is gone
 */
struct gpu_hmm_migrate {
	__u64 addr;
	__u64 size;
	__u32 flags;
	__u32 reserved;
	__u64 pages;
	__u64 large;
};

/* Index of gpu_hmm_stats.event, as enum smmu_inval_event. */
#define GPU_HMM_EVENT_UNMAP		0
#define GPU_HMM_EVENT_CLEAR		1
#define GPU_HMM_EVENT_PROTECTION_VMA	2
#define GPU_HMM_EVENT_PROTECTION_PAGE	3
#define GPU_HMM_EVENT_SOFT_DIRTY	4
#define GPU_HMM_EVENT_RELEASE		5
#define GPU_HMM_EVENT_MIGRATE		6
#define GPU_HMM_EVENT_EXCLUSIVE		7
#define GPU_HMM_EVENT_DRIVER		8
#define GPU_HMM_EVENT_TLB		9
#define GPU_HMM_NR_EVENTS		10

/* As struct smmu_inval_event_stats; pages are of the size that the CPU uses. */
struct gpu_hmm_event_stats {
	__u64 callbacks;
	__u64 asked;
	__u64 changed;
	__u64 kept;
	__u64 deferred;
	__u64 flushed;
};

/**
 * struct gpu_hmm_stats - counters of this file's address space
 * @engines: how many engines the GPU has
 * @tlb_entries: of each engine
 * @event: the library's, by event
 * @checks: the library's: checks whether a fault may install
 * @retries_pending: those that said no: a range that overlaps is pending
 * @retries_done: those that said no: one was completed
 * @retries_false: those that said no although none overlaps
 * @flushes: TLB flushes
 * @flushes_all: those that flushed everything
 * @overflows: the library ran out of room, and did more than was asked
 * @faults: the GPU's: faults that installed something
 * @fault_pages: pages that they installed
 * @fault_retries: times that a fault had to start again
 * @tlb_hits: accesses that a TLB answered
 * @tlb_misses: and that it did not
 * @tlb_flushed: entries that a flush removed
 * @tables: page-table pages now
 * @evictions: times that the page table was thrown away for its size
 * @flush_waits: the library's: waits for a flush that another caller issued
 * @single_pass: the library's: callbacks that had to wait in the first pass
 * @exclusive: pages that were made exclusive
 * @to_device: pages that MIGRATE moved to the GPU's memory
 * @to_system: pages that came back from there, for the CPU or by MIGRATE, of all
 *	processes
 * @ranges: notifiers now
 * @ranges_freed: notifiers that went because nothing was mapped there any more
 */
struct gpu_hmm_stats {
	__u32 engines;
	__u32 tlb_entries;
	struct gpu_hmm_event_stats event[GPU_HMM_NR_EVENTS];
	__u64 checks;
	__u64 retries_pending;
	__u64 retries_done;
	__u64 retries_false;
	__u64 flushes;
	__u64 flushes_all;
	__u64 overflows;
	__u64 faults;
	__u64 fault_pages;
	__u64 fault_retries;
	__u64 tlb_hits;
	__u64 tlb_misses;
	__u64 tlb_flushed;
	__u64 tables;
	__u64 evictions;
	__u64 flush_waits;
	__u64 single_pass;
	__u64 exclusive;
	__u64 to_device;
	__u64 to_system;
	__u64 ranges;
	__u64 ranges_freed;
};

#define GPU_HMM_IOC_SUBMIT	_IOWR('G', 0xe0, struct gpu_hmm_command)
#define GPU_HMM_IOC_WAIT	_IOWR('G', 0xe1, struct gpu_hmm_wait)
#define GPU_HMM_IOC_PREFETCH	_IOW('G', 0xe2, struct gpu_hmm_prefetch)
#define GPU_HMM_IOC_SETUP	_IOW('G', 0xe3, struct gpu_hmm_setup)
#define GPU_HMM_IOC_STATS	_IOR('G', 0xe4, struct gpu_hmm_stats)
#define GPU_HMM_IOC_EVICT	_IOW('G', 0xe5, struct gpu_hmm_evict)
#define GPU_HMM_IOC_MIGRATE	_IOWR('G', 0xe6, struct gpu_hmm_migrate)

/* CHECKSUM, word by word: tells the order of words too. Starts with 0. */
static inline __u64 gpu_hmm_checksum(__u64 sum, __u64 word)
{
	return (sum ^ word) * 0x9e3779b97f4a7c15ULL + (sum >> 32);
}

#endif /* _GPU_HMM_UAPI_H */
