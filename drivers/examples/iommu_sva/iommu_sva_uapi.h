/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The DMA engines behind the software IOMMU of the smmu_inval library:
 * /dev/smmu_inval_sva.
 *
 * Who opens the device gets a channel. BIND puts it on one of the engines, and
 * lets it use the address space of the caller: from then on an address in a job
 * is an address of the process. A channel runs one job at a time. Only processes
 * that share the address space may use it further; a child that inherited the
 * file gets EPERM.
 *
 * Engines work on whole, aligned 64-bit words, and read and write each of them at
 * once. Fields and flags that are not described are reserved: 0.
 *
 * Every ioctl fails with
 *	EPERM	the caller lives in another address space than at BIND
 *	EFAULT	the argument is not accessible
 *	EINVAL	a reserved field or flag is set, or as said below
 *	ENOTTY	there is no such ioctl
 */
#ifndef _IOMMU_SVA_UAPI_H
#define _IOMMU_SVA_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define SVA_PATH		"/dev/smmu_inval_sva"

/*
 * struct sva_bind.flags, for comparing; the last BIND of a process counts.
 *	SVA_COARSE	all of the process is flushed, whatever changed
 *	SVA_ONE_BLOCK	each range is flushed as the one block of 2^n pages that
 *			covers it, as Intel's and AMD's drivers do
 */
#define SVA_COARSE		(1U << 0)
#define SVA_ONE_BLOCK		(1U << 1)

/**
 * struct sva_bind - put the channel on an engine
 * @engine: which one, below @nr_engines
 * @flags: SVA_COARSE, SVA_ONE_BLOCK
 * @pasid: out: under which the engine sees this address space
 * @nr_engines: out: how many there are, also if the ioctl fails with ENXIO
 *
 *	ENXIO	no such engine
 *	EBUSY	the channel is on an engine
 * and errors of iommu_sva_bind_device(): EOPNOTSUPP if this kernel does not do
 * it on this architecture, ENOSPC without a PASID, ENOMEM.
 */
struct sva_bind {
	__u32 engine;
	__u32 flags;
	__u32 pasid;
	__u32 nr_engines;
};

/* What an engine can do. */
#define SVA_COPY		1	/* from src to dst */
#define SVA_FILL		2	/* each word of dst becomes value */
#define SVA_SUM			3	/* of the words of src, to result */

/* How much a pass of a job may cover. */
#define SVA_MAX_SIZE		(1ULL << 30)
/* How many pages may be asked for at once. */
#define SVA_MAX_GROUP		16

/* struct sva_job.flags: fail where a page request would be needed. */
#define SVA_NO_REQUESTS		(1U << 0)

/* struct sva_job.status */
#define SVA_DONE		0	/* all passes are done */
#define SVA_FAULT		1	/* nothing usable is mapped at @fault */
#define SVA_STOPPED		2	/* by STOP, UNBIND or close */
#define SVA_DETACHED		3	/* the PASID is gone: the process exits */

/**
 * struct sva_job - something for the channel to do
 * @op: SVA_COPY, ...
 * @flags: SVA_NO_REQUESTS
 * @src: where it reads, a multiple of 8; 0 for FILL
 * @dst: where it writes, a multiple of 8; 0 for SUM
 * @size: how many bytes, a multiple of 8, not 0
 * @value: for FILL
 * @passes: how often; 0 until it is stopped
 * @group: how many pages it asks for at once, if the first is missing: 1 to
 *	SVA_MAX_GROUP, no more than the pass still needs; 0 for 1
 * @status: out: how it ended
 * @reserved: 0
 * @fault: out: with SVA_FAULT, the address
 * @done: out: bytes, of all passes
 * @result: out: of SUM, of the last pass
 *
 * Fails with
 *	EINVAL	unknown op, not aligned, size 0, src or dst given that is not used
 *	E2BIG	size or group above the limit
 *	ENOTCONN the channel is not on an engine
 *	EBUSY	it runs a job already
 *	EINTR	a signal came. If it kills the process the job goes on, until the
 *		address space or the file is gone; else it was stopped
 *
 * What is not an address of user space faults, as what is not mapped does.
 */
struct sva_job {
	__u32 op;
	__u32 flags;
	__u64 src;
	__u64 dst;
	__u64 size;
	__u64 value;
	__u32 passes;
	__u32 group;
	__u32 status;
	__u32 reserved;
	__u64 fault;
	__u64 done;
	__u64 result;
};

/**
 * struct sva_setup - how the hardware behaves, for all engines
 * @flags: 0
 * @command_us: how long each command of the queue takes, at most SVA_MAX_DELAY_US
 * @access_us: how long a channel takes between its translation and the access
 * @request_us: how long a page request waits before software sees it
 *
 * Slow hardware shows what fast hardware hides. Delays of commands and accesses
 * are spent spinning.
 */
struct sva_setup {
	__u32 flags;
	__u32 command_us;
	__u32 access_us;
	__u32 request_us;
};

#define SVA_MAX_DELAY_US	1000U

/**
 * struct sva_stats - counters of the IOMMU, since it was made
 * @invalidations: calls of the library's flush
 * @commands: descriptors of the command queue, without the waits
 * @commands_pasid: those that cover a whole PASID
 * @waits: wait descriptors
 * @pages_asked: pages that flushes by range named
 * @pages_covered: pages that the descriptors for them covered
 * @hits: IOTLB
 * @misses: IOTLB
 * @device_hits: device TLBs
 * @device_misses: device TLBs
 * @requests: page requests
 * @groups: groups of page requests
 * @failed: groups that were answered with an error
 * @overflows: groups that found the page request queue full
 * @no_pasid: accesses to a PASID that was not there any more
 * @callbacks: of the process that asks: invalidations that core mm sent
 * @combined: of the process that asks: those that another one's flush served
 * @odd_ranges: of the process that asks: empty or inverted
 * @whole: of the process that asks: flushes of everything
 *
 * The last four are 0 if the channel is not bound.
 */
struct sva_stats {
	__u64 invalidations;
	__u64 commands;
	__u64 commands_pasid;
	__u64 waits;
	__u64 pages_asked;
	__u64 pages_covered;
	__u64 hits;
	__u64 misses;
	__u64 device_hits;
	__u64 device_misses;
	__u64 requests;
	__u64 groups;
	__u64 failed;
	__u64 overflows;
	__u64 no_pasid;
	__u64 callbacks;
	__u64 combined;
	__u64 odd_ranges;
	__u64 whole;
};

#define SVA_IOC_BIND		_IOWR('S', 0xe0, struct sva_bind)
/* ENOTCONN if the channel is not bound; stops its job. */
#define SVA_IOC_UNBIND		_IO('S', 0xe1)
/* Returns when the job has ended. */
#define SVA_IOC_RUN		_IOWR('S', 0xe2, struct sva_job)
/* Ends the job of the channel, from another thread; 0 also if there is none. */
#define SVA_IOC_STOP		_IO('S', 0xe3)
/* Needs CAP_SYS_ADMIN; EINVAL above the limit. */
#define SVA_IOC_SETUP		_IOW('S', 0xe4, struct sva_setup)
#define SVA_IOC_STATS		_IOR('S', 0xe5, struct sva_stats)

#endif /* _IOMMU_SVA_UAPI_H */
