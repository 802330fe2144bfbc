// SPDX-License-Identifier: GPL-2.0
/*
 * The virtual machine of kvm_demo. Its guest needs no stack, takes no interrupts,
 * and has all that is not under test (code, page tables, mailboxes) in a memory slot
 * of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kvm_demo.h"

/* The guest's physical memory. */
#define GPA_CODE	0x1000
#define GPA_MAILBOX	0x2000
#define GPA_PML4	0x8000
#define GPA_PDPT	0x9000
#define OWN_SIZE	0xa000
#define GPA_A		(16ull << 20)
#define GPA_C		(2ull << 30)
#define GPA_B		((4ull << 30) + (16ull << 20))
#define GPA_ALIAS	(6ull << 30)
#define SIZE_A		(16ul << 20)
#define SIZE_B		(8ul << 20)
#define SIZE_C		(8ul << 20)

#define MAX_CPUID	256
#define MAX_REFUSED	20000
#define TIMEOUT		60

#define MPOL_BIND	2

/* kvm_guest.S knows these by their offsets. */
struct mailbox {
	uint64_t start;		/* 0 */
	uint64_t pages;		/* 8 */
	uint64_t base;		/* 16: added to the address of the page */
	uint64_t factor;	/* 24: of that address, 0 or 1 */
	uint64_t limit;		/* 32: of rounds */
	uint32_t command;	/* 40 */
	atomic_uint stop;	/* 44 */
	atomic_ulong rounds;	/* 48 */
	atomic_ulong progress;	/* 56: pages written */
	atomic_ulong bad_gpa;	/* 64 */
	uint64_t bad_is;	/* 72 */
	uint64_t bad_expected;	/* 80 */
	atomic_ulong turn;	/* 88 */
	atomic_ulong answered;	/* 96: the last turn that is done */
	atomic_ulong seen;	/* 104: what was read, or written */
};

struct vcpu {
	int fd;
	struct kvm_run *run;
	struct mailbox *mailbox;
	pthread_t thread;
	sem_t command, done;
	bool busy;
	atomic_ulong refused;
	/* The errno of what ended the guest, or the exit that nobody asked for. */
	atomic_int error, unexpected;
};

struct area slot_a, slot_b, slot_c, tested;

static int kvm = -1, vm = -1;
static char *own;
static struct vcpu vcpus[NR_VCPUS];
static atomic_bool quit;

int vm_fd(void)
{
	return vm;
}

int vcpu_fd(unsigned int vcpu)
{
	return vcpus[vcpu].fd;
}

uint64_t vm_refused(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < NR_VCPUS; i++)
		sum += atomic_load(&vcpus[i].refused);
	return sum;
}

/* Until the guest has come to its "out". */
static void enter(struct vcpu *v)
{
	const struct timespec a_moment = { .tv_nsec = 500000 };
	unsigned int refused = 0;

	for (;;) {
		if (!ioctl(v->fd, KVM_RUN, 0)) {
			if (v->run->exit_reason == KVM_EXIT_IO)
				return;
			atomic_store(&v->unexpected, v->run->exit_reason);
			return;
		}
		if (errno == EINTR)
			continue;
		if (errno != EFAULT || ++refused > MAX_REFUSED) {
			atomic_store(&v->error, errno);
			return;
		}
		/* Memory may be protected now, and later not any more. */
		atomic_fetch_add(&v->refused, 1);
		nanosleep(&a_moment, NULL);
	}
}

/* Who disturbs the guest is to get a CPU at once, since there may be two only. */
void be_nice(void)
{
	setpriority(PRIO_PROCESS, gettid(), 10);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;

	be_nice();
	for (;;) {
		while (sem_wait(&v->command))
			;
		if (atomic_load(&quit))
			return NULL;
		enter(v);
		sem_post(&v->done);
	}
}

struct area part(const struct area *area, unsigned long first,
		 unsigned long pages)
{
	return (struct area) {
		.gpa = area->gpa + first * GUEST_PAGE,
		.hva = area->hva + first * GUEST_PAGE,
		.pages = pages,
	};
}

void vcpu_start(unsigned int vcpu, int command, const struct area *area,
		uint64_t gen, bool alike, uint64_t rounds)
{
	struct vcpu *v = &vcpus[vcpu];
	struct mailbox *m = v->mailbox;

	m->start = area->gpa;
	m->pages = area->pages;
	m->base = gen * GEN;
	m->factor = !alike;
	m->limit = rounds ? rounds : UINT64_MAX;
	m->command = command;
	atomic_store(&m->bad_gpa, 0);
	atomic_store(&m->stop, 0);
	atomic_store(&m->rounds, 0);
	atomic_store(&m->progress, 0);
	atomic_store(&m->turn, 0);
	atomic_store(&m->answered, 0);
	v->busy = true;
	sem_post(&v->command);
}

void vcpu_wait(unsigned int vcpu)
{
	struct vcpu *v = &vcpus[vcpu];
	struct mailbox *m = v->mailbox;
	struct timespec until;

	if (!v->busy)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TIMEOUT;
	while (sem_timedwait(&v->done, &until)) {
		if (errno == EINTR)
			continue;
		/* Its thread cannot be stopped, and nothing works without it. */
		printf("Bail out! vCPU %u does not come back\n", vcpu);
		exit(1);
	}
	v->busy = false;
	if (atomic_load(&v->error))
		wrong("vCPU %u: KVM_RUN: %s", vcpu, strerror(atomic_load(&v->error)));
	if (atomic_load(&v->unexpected))
		wrong("vCPU %u: exit reason %d", vcpu, atomic_load(&v->unexpected));
	if (atomic_load(&m->bad_gpa))
		wrong("vCPU %u reads %#llx at %#lx, and not %#llx, after %lu rounds",
		      vcpu, (unsigned long long)m->bad_is,
		      atomic_load(&m->bad_gpa),
		      (unsigned long long)m->bad_expected,
		      atomic_load(&m->rounds));
}

void vcpu_stop(unsigned int vcpu)
{
	atomic_store(&vcpus[vcpu].mailbox->stop, 1);
	vcpu_wait(vcpu);
}

void vcpu_do(unsigned int vcpu, int command, const struct area *area,
	     uint64_t gen, bool alike)
{
	vcpu_start(vcpu, command, area, gen, alike, 1);
	vcpu_wait(vcpu);
}

uint64_t vcpu_rounds(unsigned int vcpu)
{
	return atomic_load(&vcpus[vcpu].mailbox->rounds);
}

uint64_t vcpu_progress(unsigned int vcpu)
{
	return atomic_load(&vcpus[vcpu].mailbox->progress);
}

void vcpu_pass(unsigned int vcpu)
{
	const struct timespec a_moment = { .tv_nsec = 200000 };
	uint64_t until = vcpu_rounds(vcpu) + 2;
	double deadline = now_ms() + TIMEOUT * 1e3;

	while (vcpu_rounds(vcpu) < until && now_ms() < deadline) {
		/* It found something wrong, and will say so. */
		if (atomic_load(&vcpus[vcpu].mailbox->bad_gpa) ||
		    atomic_load(&vcpus[vcpu].error) ||
		    atomic_load(&vcpus[vcpu].unexpected))
			return;
		nanosleep(&a_moment, NULL);
	}
	if (vcpu_rounds(vcpu) < until) {
		/* Whether it faults for ever, or is waiting for something. */
		measure_end();
		wrong("vCPU %u makes no progress after %llu rounds; %llu faults so far, %llu of them repeated",
		      vcpu, (unsigned long long)vcpu_rounds(vcpu),
		      (unsigned long long)figures.faults,
		      (unsigned long long)figures.retries);
	}
}

uint64_t vcpu_turn(unsigned int vcpu)
{
	return atomic_fetch_add(&vcpus[vcpu].mailbox->turn, 1) + 1;
}

bool vcpu_answered(unsigned int vcpu, uint64_t turn)
{
	return atomic_load(&vcpus[vcpu].mailbox->answered) >= turn;
}

uint64_t vcpu_answer(unsigned int vcpu)
{
	uint64_t turn = atomic_load(&vcpus[vcpu].mailbox->turn);
	double deadline = now_ms() + TIMEOUT * 1e3;

	while (!vcpu_answered(vcpu, turn)) {
		if (now_ms() > deadline) {
			wrong("vCPU %u does not answer", vcpu);
			return 0;
		}
		sched_yield();
	}
	return atomic_load(&vcpus[vcpu].mailbox->seen);
}

static bool set_slot(unsigned int slot, const struct area *area)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = area->gpa,
		.memory_size = area->pages * GUEST_PAGE,
		.userspace_addr = (uintptr_t)area->hva,
	};

	return !ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* Aligned as huge pages are, and with nothing beside it to be merged with. */
static bool map_slot(unsigned int slot, struct area *area, uint64_t gpa,
		     size_t size)
{
	char *around = mmap(NULL, size + 2 * HUGE_PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t start;

	if (around == MAP_FAILED)
		return false;
	start = ((uintptr_t)around + HUGE_PAGE) & ~(HUGE_PAGE - 1);
	area->gpa = gpa;
	area->pages = size / GUEST_PAGE;
	area->hva = mmap((void *)start, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (area->hva == MAP_FAILED)
		return false;
	/* A kernel without THP has nothing to say about it. */
	madvise(area->hva, size, MADV_NOHUGEPAGE);
	return set_slot(slot, area);
}

/* The same memory again, at another address of the guest. */
struct area vm_alias(const struct area *area)
{
	struct area alias = *area;

	alias.gpa = GPA_ALIAS;
	if (!set_slot(4, &alias))
		wrong("cannot add a memory slot: %s", strerror(errno));
	return alias;
}

static void unmap_slot(struct area *area)
{
	if (area->hva)
		munmap(area->hva, area->pages * GUEST_PAGE);
	area->hva = NULL;
}

/*
 * The guest's own memory is shared, so that fork leaves it alone and children see
 * the mailboxes, and it is bound to a node, so that NUMA balancing does.
 */
static bool map_own(void)
{
	const unsigned long present = 0x63, large = 0x80;
	struct area area = { .gpa = 0, .pages = OWN_SIZE / GUEST_PAGE };
	unsigned long node = 1;
	unsigned int i;
	uint64_t *entry;

	own = mmap(NULL, OWN_SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (own == MAP_FAILED)
		return false;
	/* Without a second node there may be no mbind(), either. */
	if (!access("/sys/devices/system/node/node1", F_OK) &&
	    syscall(SYS_mbind, own, OWN_SIZE, MPOL_BIND, &node, 8 * sizeof(node), 0))
		return false;
	memcpy(own + GPA_CODE, guest_code, guest_end - guest_code);
	entry = (uint64_t *)(own + GPA_PML4);
	entry[0] = GPA_PDPT | present;
	entry = (uint64_t *)(own + GPA_PDPT);
	for (i = 0; i < 8; i++)
		entry[i] = ((uint64_t)i << 30) | present | large;
	area.hva = own;
	return set_slot(3, &area);
}

static bool set_cpuid(int fd)
{
	struct kvm_cpuid2 *cpuid;
	bool ret;

	cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return false;
	cpuid->nent = MAX_CPUID;
	ret = !ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) &&
	      !ioctl(fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return ret;
}

/* Long mode, flat, on the page tables above. */
static bool set_registers(int fd, unsigned int i)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1,
		.l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1,
		.db = 1, .g = 1,
	};
	struct kvm_regs regs = {
		.rip = GPA_CODE,
		.rsi = GPA_MAILBOX + i * GUEST_PAGE,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs))
		return false;
	sregs.cs = code;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.cr3 = GPA_PML4;
	sregs.cr4 = 1 << 5;				/* PAE */
	sregs.cr0 = 1u << 31 | 1 << 16 | 1 << 5 | 1;	/* PG, WP, NE, PE */
	sregs.efer = 1 << 10 | 1 << 8;			/* LMA, LME */
	return !ioctl(fd, KVM_SET_SREGS, &sregs) &&
	       !ioctl(fd, KVM_SET_REGS, &regs);
}

static bool vcpu_create(unsigned int i)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct vcpu *v = &vcpus[i];

	memset(v, 0, sizeof(*v));
	v->mailbox = (struct mailbox *)(own + GPA_MAILBOX + i * GUEST_PAGE);
	v->fd = ioctl(vm, KVM_CREATE_VCPU, i);
	if (v->fd < 0 || size <= 0)
		return false;
	v->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED || !set_cpuid(v->fd) || !set_registers(v->fd, i))
		return false;
	sem_init(&v->command, 0, 0);
	sem_init(&v->done, 0, 0);
	if (pthread_create(&v->thread, NULL, vcpu_thread, v))
		return false;
	/* To its first "out". */
	v->busy = true;
	sem_post(&v->command);
	vcpu_wait(i);
	return true;
}

bool vm_create(void)
{
	size_t size = (size_t)size_mb << 20;
	unsigned int i;

	atomic_store(&quit, false);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || !map_own() ||
	    !map_slot(0, &slot_a, GPA_A, size > SIZE_A ? size : SIZE_A) ||
	    !map_slot(1, &slot_b, GPA_B, SIZE_B) ||
	    !map_slot(2, &slot_c, GPA_C, SIZE_C)) {
		wrong("cannot make a virtual machine: %s", strerror(errno));
		return false;
	}
	tested = part(&slot_a, 0, size / GUEST_PAGE);
	for (i = 0; i < NR_VCPUS; i++) {
		if (!vcpu_create(i)) {
			wrong("cannot make vCPU %u: %s", i, strerror(errno));
			return false;
		}
	}
	/* They have all come to their first "out". */
	return ok;
}

void vm_destroy(void)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	unsigned int i;

	atomic_store(&quit, true);
	for (i = 0; i < NR_VCPUS; i++) {
		if (!vcpus[i].thread)
			continue;
		vcpu_stop(i);
		sem_post(&vcpus[i].command);
		pthread_join(vcpus[i].thread, NULL);
		munmap(vcpus[i].run, size);
		close(vcpus[i].fd);
		vcpus[i].thread = 0;
	}
	close(vm);
	close(kvm);
	unmap_slot(&slot_a);
	unmap_slot(&slot_b);
	unmap_slot(&slot_c);
	munmap(own, OWN_SIZE);
}
