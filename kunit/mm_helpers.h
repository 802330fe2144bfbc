/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Real address spaces, real changes to them, and a driver that follows them,
 * for the tests of the bindings.
 *
 * The driver (struct mm_dev) mirrors a few pages of the test's own address
 * space in a table of its own. Its "hardware" has a TLB that really caches: it
 * is filled when the driver installs a translation, and only a flush takes
 * anything out. Whether a page can still be reached is asked of the TLB.
 *
 * mm_dev_expect() knows nothing of the library. It replays the events that a
 * plain mmu_notifier (struct mm_probe) saw on the rules of the design, looks at
 * the primary page tables, and demands that exactly the right translations are
 * left: neither a stale one (I1, I11) nor one too few (I9).
 */
#ifndef _SMMU_INVAL_MM_HELPERS_H
#define _SMMU_INVAL_MM_HELPERS_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/smmu_inval.h>
#include <linux/syscalls.h>
#include <linux/task_work.h>

#include "smmu_inval_test.h"

/* System calls, as a process makes them; all arguments are given. */
#if defined(CONFIG_ARCH_HAS_SYSCALL_WRAPPER) && defined(CONFIG_X86_64)
#define MM_SYSCALL(name)						\
asmlinkage long __x64_sys_##name(const struct pt_regs *regs);		\
static inline long mm_sys_##name(unsigned long a, unsigned long b,	\
				 unsigned long c, unsigned long d,	\
				 unsigned long e, unsigned long f)	\
{									\
	const struct pt_regs regs = {					\
		.di = a, .si = b, .dx = c, .r10 = d, .r8 = e, .r9 = f,	\
	};								\
	return __x64_sys_##name(&regs);					\
}
#elif defined(CONFIG_ARCH_HAS_SYSCALL_WRAPPER) && defined(CONFIG_ARM64)
#define MM_SYSCALL(name)						\
asmlinkage long __arm64_sys_##name(const struct pt_regs *regs);	\
static inline long mm_sys_##name(unsigned long a, unsigned long b,	\
				 unsigned long c, unsigned long d,	\
				 unsigned long e, unsigned long f)	\
{									\
	const struct pt_regs regs = {					\
		.regs = { a, b, c, d, e, f },				\
	};								\
	return __arm64_sys_##name(&regs);				\
}
#else
#define MM_SYSCALL(name)						\
asmlinkage long __mm_sys_##name(unsigned long a, unsigned long b,	\
				unsigned long c, unsigned long d,	\
				unsigned long e, unsigned long f)	\
	__asm__("sys_" #name);						\
static inline long mm_sys_##name(unsigned long a, unsigned long b,	\
				 unsigned long c, unsigned long d,	\
				 unsigned long e, unsigned long f)	\
{									\
	return __mm_sys_##name(a, b, c, d, e, f);			\
}
#endif

MM_SYSCALL(mprotect)
MM_SYSCALL(mremap)
MM_SYSCALL(madvise)
MM_SYSCALL(ioctl)
MM_SYSCALL(ftruncate)
MM_SYSCALL(memfd_create)
#ifdef CONFIG_USERFAULTFD
MM_SYSCALL(userfaultfd)
#endif
#ifdef CONFIG_NUMA
MM_SYSCALL(mbind)
#endif

/* In fs/proc/internal.h. */
extern const struct file_operations proc_pagemap_operations;

void mm_defer(struct kunit *test, void (*fn)(void *ctx), void *ctx);

/* The address space of the test, and the memory in it. */

struct mm_struct *mm_attach(struct kunit *test);
unsigned long mm_map(struct kunit *test, struct file *file, size_t len,
		     unsigned long prot, unsigned long flags);
void mm_touch(struct kunit *test, unsigned long addr, size_t len);
void __user *mm_scratch(struct kunit *test, const void *data, size_t len);

/**
 * struct mm_primary - what the primary page table says about an address
 * @pfn: the page, if @present
 * @present: accessible to user space
 * @write: for writing, too
 * @young: accessed, if @present
 * @dirty: written to, if @present
 */
struct mm_primary {
	unsigned long pfn;
	bool present;
	bool write;
	bool young;
	bool dirty;
};

struct mm_primary mm_primary(struct mm_struct *mm, unsigned long addr);

/**
 * struct mm_child - a task that is no kernel thread, so that it may do what
 *	user space does
 * @fn: what it runs, or NULL
 * @arg: the argument
 * @ret: what @fn returned
 * @go: it may exit
 * @done: it has called @fn
 * @gone: its address space, if it was a copy, is gone
 * @work: completes @gone
 */
struct mm_child {
	int (*fn)(void *arg);
	void *arg;
	int ret;
	struct completion go;
	struct completion done;
	struct completion gone;
	struct callback_head work;
};

int mm_child_start(struct mm_child *child, u64 clone_flags,
		   int (*fn)(void *arg), void *arg);
void mm_child_stop(struct mm_child *child);
int mm_call_in_user_task(int (*fn)(void *arg), void *arg);

/**
 * struct mm_thread - a second thread in the address space of the test
 */
struct mm_thread {
	struct test_thread thread;
	struct mm_struct *mm;
	int (*fn)(void *arg);
	void *arg;
};

void mm_thread_start(struct kunit *test, struct mm_thread *thread,
		     struct mm_struct *mm, unsigned int cpu,
		     int (*fn)(void *arg), void *arg);
int mm_thread_join(struct kunit *test, struct mm_thread *thread);

/**
 * struct mm_advice - madvise() as an argument of a thread
 * @addr: of the range
 * @len: its length
 * @advice: MADV_*
 */
struct mm_advice {
	unsigned long addr;
	unsigned long len;
	int advice;
};

int mm_advise(void *advice);

/**
 * struct mm_event - one invalidation, as a plain mmu_notifier saw it
 */
struct mm_event {
	enum smmu_inval_event event;
	unsigned long start;
	unsigned long end;
	const void *owner;
};

#define MM_PROBE_LOG	64

/**
 * struct mm_probe - a plain mmu_notifier that writes down what it sees
 * @mn: the notifier
 * @mm: whose
 * @lock: protects the log
 * @log: the first events
 * @nr: how many events there were
 * @starts: by event
 * @ends: by event
 * @released: by exit
 * @start_hook: called in each start
 * @end_hook: called in each end
 * @ctx: for the hooks
 *
 * A probe registered before a device is called after it, in start and in end;
 * one registered after it is called before it: its end hook sees the device
 * between start and end.
 */
struct mm_probe {
	struct mmu_notifier mn;
	struct mm_struct *mm;
	spinlock_t lock;	/* of the log and the counters */
	struct mm_event log[MM_PROBE_LOG];
	unsigned int nr;
	unsigned int starts[SMMU_INVAL_NR_EVENTS];
	unsigned int ends[SMMU_INVAL_NR_EVENTS];
	unsigned int released;
	void (*start_hook)(struct mm_probe *probe,
			   const struct mmu_notifier_range *range);
	void (*end_hook)(struct mm_probe *probe,
			 const struct mmu_notifier_range *range);
	void *ctx;
};

/**
 * struct mm_gate - a start hook that holds an invalidation open
 * @start: of the range that has to wait; others pass
 * @left: how many more have to wait
 * @arrived: one is waiting
 * @open: it may go on
 *
 * Never for longer than TEST_SOON, so that a failed test ends.
 */
struct mm_gate {
	unsigned long start;
	atomic_t left;
	struct completion arrived;
	struct completion open;
};

void mm_gate_init(struct mm_gate *gate, struct mm_probe *probe,
		  unsigned long start);
bool mm_gate_wait(struct mm_gate *gate);
void mm_gate_open(struct mm_gate *gate);

/* Core mm's own calls, for what no system call sends here. */
struct mmu_notifier_range mm_range(struct mm_struct *mm,
				   enum mmu_notifier_event event,
				   unsigned long start, unsigned long end);

struct mm_probe *mm_probe_new(struct kunit *test, struct mm_struct *mm);
void mm_probe_forget(struct mm_probe *probe);

bool mm_calls_secondary_tlbs(void);

/* What a device is bound with. */
enum mm_binding {
	MM_UNBOUND,
	MM_MN,
	MM_INTERVAL,
	MM_TLB,
};

/* A translation of the driver's. */
struct mm_pte {
	unsigned long pfn;
	bool valid;
	bool write;
};

#define MM_DEV_QUEUE	64

/**
 * struct mm_dev - a device and its driver
 * @si: what is tested
 * @smn: its binding to start and end, or as a secondary TLB
 * @ival: or its binding to interval notifiers
 * @binding: which of them is in use
 * @test: whose it is
 * @mm: what it mirrors
 * @kind: of @lock
 * @lock: the driver's lock
 * @base: first user address that it mirrors
 * @nr: how many pages
 * @table: the driver's page table
 * @before: a copy, see mm_dev_snapshot()
 * @hw_lock: protects what the hardware knows
 * @tlb: what the hardware has cached
 * @ticket: newest ticket
 * @queue: flushes issued and not executed
 * @queued: how many
 * @issued: flushes issued
 * @waited: tickets waited for
 * @flushes: flushes
 * @flushes_all: those of everything
 * @flushed: pages flushed one by one
 * @zapped: pages zapped, by event
 * @wrprotected: pages write-protected, by event
 * @zaps: calls of the operations, by event
 * @yields: those that were allowed to yield
 * @wrprotects: calls
 * @decides: calls
 * @released: calls
 * @freed: calls
 * @retries: faults that had to start again
 * @odd: spans that were not whole pages of its address space
 * @zap_hook: called in each zap, with the lock held
 * @flush_hook: called in each flush, with the lock held
 * @wait_hook: called in each wait for a ticket, without the lock
 * @fault_hook: called in a fault between its look at memory and the lock
 * @ctx: for the hooks
 */
struct mm_dev {
	struct smmu_inval si;
	struct smmu_inval_mn smn;
	struct smmu_inval_interval ival;
	enum mm_binding binding;
	struct kunit *test;
	struct mm_struct *mm;

	enum test_lock_kind kind;
	union {
		spinlock_t spin;	/* for TEST_SPINLOCK, and so on */
		raw_spinlock_t raw;
		rwlock_t rw;
		struct mutex mutex;	/* for TEST_MUTEX */
		struct rw_semaphore sem;
	} lock;

	unsigned long base;
	unsigned int nr;
	struct mm_pte *table;
	struct mm_pte *before;

	raw_spinlock_t hw_lock;	/* of all down to queued */
	struct mm_pte *tlb;
	u64 ticket;
	struct {
		u64 ticket;
		bool all;
		unsigned int nr;
		struct smmu_inval_span spans[SMMU_INVAL_BATCH_SPANS];
	} queue[MM_DEV_QUEUE];
	unsigned int queued;
	unsigned int issued;
	atomic_t waited;

	unsigned int flushes;
	unsigned int flushes_all;
	unsigned int flushed;
	unsigned int zapped[SMMU_INVAL_NR_EVENTS];
	unsigned int wrprotected[SMMU_INVAL_NR_EVENTS];
	unsigned int zaps[SMMU_INVAL_NR_EVENTS];
	unsigned int wrprotects[SMMU_INVAL_NR_EVENTS];
	unsigned int decides;
	unsigned int yields;
	unsigned int released;
	unsigned int freed;
	unsigned int retries;
	unsigned int odd;

	void (*zap_hook)(struct mm_dev *dev, const struct smmu_inval_span *span);
	void (*flush_hook)(struct mm_dev *dev,
			   const struct smmu_inval_flush *flush);
	void (*wait_hook)(struct mm_dev *dev, u64 ticket);
	void (*fault_hook)(struct mm_dev *dev);
	void *ctx;
};

static inline struct mm_dev *to_mm_dev(struct smmu_inval *si)
{
	return container_of(si, struct mm_dev, si);
}

extern const struct smmu_inval_ops mm_dev_ops;
extern const struct smmu_inval_ops mm_dev_ops_zap_only;
extern const struct smmu_inval_ops mm_dev_ops_two_phase;

struct smmu_inval_config mm_dev_config(void);
struct mm_dev *mm_dev_new(struct kunit *test, enum test_lock_kind kind,
			  const struct smmu_inval_ops *ops,
			  const struct smmu_inval_config *cfg,
			  unsigned long base, unsigned int nr);
int mm_dev_again(struct mm_dev *dev, const struct smmu_inval_ops *ops);
int mm_dev_try_bind(struct mm_dev *dev, enum mm_binding binding,
		    struct mm_struct *mm);
void mm_dev_bind(struct mm_dev *dev, enum mm_binding binding,
		 struct mm_struct *mm);
void mm_dev_unbind(struct mm_dev *dev);
void mm_dev_destroy(struct mm_dev *dev);

void mm_dev_lock(struct mm_dev *dev, unsigned long *flags);
void mm_dev_unlock(struct mm_dev *dev, unsigned long flags);

struct smmu_inval_cookie mm_dev_read_begin(struct mm_dev *dev);
bool mm_dev_read_retry(struct mm_dev *dev, struct smmu_inval_cookie cookie,
		       unsigned int page);
bool mm_dev_pending(struct mm_dev *dev, unsigned int page);
int mm_dev_fault(struct mm_dev *dev, unsigned int page, bool write);
int mm_dev_hmm_fault(struct mm_dev *dev, unsigned int page, unsigned int nr,
		     bool write);
void mm_dev_populate(struct mm_dev *dev, bool write);
bool mm_dev_reaches(struct mm_dev *dev, unsigned int page, bool write);
bool mm_dev_maps(struct mm_dev *dev, unsigned int page, bool write);
unsigned int mm_dev_count(struct mm_dev *dev, bool write);
void mm_dev_forget(struct mm_dev *dev);

/* What is right, by the rules of the design and the primary page tables. */

void mm_dev_snapshot(struct mm_dev *dev);
void mm_dev_expect_coherent(struct mm_dev *dev, const char *where);
void mm_dev_expect(struct mm_dev *dev, const struct mm_probe *probe,
		   bool hugetlb, const char *where);

u64 mm_dev_stat(struct mm_dev *dev, size_t offset);

/* One counter of the instance, by its name in struct smmu_inval_stats. */
#define mm_dev_counter(dev, counter) \
	mm_dev_stat(dev, offsetof(struct smmu_inval_stats, counter))

/* And one of the counters by event. */
#define mm_dev_event(dev, event_, counter)				\
	mm_dev_stat(dev, offsetof(struct smmu_inval_stats,		\
				  event[SMMU_INVAL_##event_].counter))

#define mm_page(dev, i)		((dev)->base + (unsigned long)(i) * PAGE_SIZE)

/**
 * struct mm_ctx - what a sender works on
 * @test: the test
 * @mm: its address space
 * @base: the first page
 * @nr: how many pages there are
 * @file: what is mapped, or NULL
 * @fd: of the sender, or of what is mapped; negative if there is none
 * @mnt: a pseudo file system, or NULL
 * @arg: an argument in user space
 * @len: its length
 * @forked: @child has a copy of the address space
 * @child: of a fork
 */
struct mm_ctx {
	struct kunit *test;
	struct mm_struct *mm;
	unsigned long base;
	unsigned int nr;
	struct file *file;
	int fd;
	struct vfsmount *mnt;
	void __user *arg;
	size_t len;
	bool forked;
	struct mm_child child;
};

/**
 * struct mm_sender - a vm operation that sends events
 * @name: what the test is called
 * @unavailable: returns why it cannot be done here, or NULL
 * @prepare: map memory at ctx->base, ctx->nr pages, and populate it
 * @op: do it
 * @sends: BIT(event) for each event that has to come
 * @hugetlb: the memory is hugetlb
 * @spares: how many pages at least must survive, with the start/end binding
 */
struct mm_sender {
	const char *name;
	const char *(*unavailable)(void);
	void (*prepare)(struct mm_ctx *ctx);
	long (*op)(struct mm_ctx *ctx);
	unsigned int sends;
	bool hugetlb;
	unsigned int spares;
};

#define MM_NR_SENDERS	26

/* For KUNIT_ARRAY_PARAM(mm_sender, mm_senders, mm_sender_desc). */
extern const struct mm_sender mm_senders[MM_NR_SENDERS];

static inline void mm_sender_desc(const struct mm_sender *sender, char *desc)
{
	strscpy(desc, sender->name, KUNIT_PARAM_DESC_SIZE);
}

struct mm_ctx *mm_sender_prepare(struct kunit *test,
				 const struct mm_sender *sender);
const struct mm_sender *mm_sender_named(const char *name);

struct vfsmount *mm_mount(struct kunit *test, const char *type);
long mm_write_file(struct vfsmount *mnt, const char *path,
		   const void __user *text, size_t len);

#endif /* _SMMU_INVAL_MM_HELPERS_H */
