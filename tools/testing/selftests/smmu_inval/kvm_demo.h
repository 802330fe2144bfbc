/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small VMM: one virtual machine with two CPUs, whose guest does nothing but
 * read and write pages as it is told, and checks what it reads.
 */
#ifndef KVM_DEMO_H
#define KVM_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check.h"

#define GUEST_PAGE	4096ull
#define HUGE_PAGE	(2ull << 20)
#define NR_VCPUS	2

/*
 * What is in the first and the last word of a page: a generation, and the address
 * of the page, unless all are to be alike.
 */
#define GEN		(1ull << 40)

/* Memory of the guest, and where it is for us. */
struct area {
	uint64_t gpa;
	char *hva;
	unsigned long pages;
};

/* What a vCPU is to do. */
enum { GUEST_READ, GUEST_WRITE, GUEST_COUNT, GUEST_PEEK, GUEST_POKE };

struct figures {
	uint64_t faults, retries, zapped, wrprotected, flushes, requests;
	/* Of the library; -1 is: there is none. */
	int64_t kept, asked;
	/* Accesses that user space was told of, since nobody could resolve them. */
	uint64_t refused;
	double seconds;
};

struct workload {
	const char *name;
	void (*run)(void);
};

/* A and B are far apart, and C is between them. What is tested is the start of A. */
extern struct area slot_a, slot_b, slot_c, tested;
/* In percent, how much to do. */
extern unsigned int scale;
/* In MiB, the memory that whole workloads work on: faults are slow in an emulator. */
extern unsigned int size_mb;
/* Of NUMA scanning, for each of its workloads. */
extern unsigned int numa_seconds;
/* The caller knows that KVM is converted, and not coarse. */
extern bool precise;
/* Spoil a word before each look at memory, to see that it is noticed. */
extern bool spoil;
/* Of the workload that runs. */
extern struct figures figures;

/* kvm_guest.S */
extern const char guest_code[], guest_end[];

/* kvm_vm.c: a virtual machine for each workload. */
bool vm_create(void);
void vm_destroy(void);
int vm_fd(void);
int vcpu_fd(unsigned int vcpu);
uint64_t vm_refused(void);
/* As all vCPUs are. */
void be_nice(void);

struct area vm_alias(const struct area *area);
struct area part(const struct area *area, unsigned long first,
		 unsigned long pages);
/* Start with generation @gen, and do it @rounds times, or until told to stop. */
void vcpu_start(unsigned int vcpu, int command, const struct area *area,
		uint64_t gen, bool alike, uint64_t rounds);
void vcpu_stop(unsigned int vcpu);
/* The vCPU has to come to an end by itself. */
void vcpu_wait(unsigned int vcpu);
void vcpu_do(unsigned int vcpu, int command, const struct area *area,
	     uint64_t gen, bool alike);
/* Rounds completed, and pages written since the start. */
uint64_t vcpu_rounds(unsigned int vcpu);
uint64_t vcpu_progress(unsigned int vcpu);
/*
 * GUEST_PEEK and GUEST_POKE, of the first word of the area: in each turn, at once. What
 * is written is the turn's number, on top of the generation.
 */
uint64_t vcpu_turn(unsigned int vcpu);
bool vcpu_answered(unsigned int vcpu, uint64_t turn);
uint64_t vcpu_answer(unsigned int vcpu);
/* What had begun when this was called is over, and so is a whole round. */
void vcpu_pass(unsigned int vcpu);

/* kvm_pages.c: the same, done and checked by the CPU. */
uint64_t value(uint64_t gpa, uint64_t gen, bool alike);
uint64_t *first_word(const struct area *area, unsigned long page);
uint64_t *last_word(const struct area *area, unsigned long page);
void area_fill(const struct area *area, uint64_t gen, bool alike);
unsigned long area_bad(const struct area *area, uint64_t gen, bool alike);
void area_verify(const struct area *area, uint64_t gen, bool alike);
/* After GUEST_COUNT from generation @gen, by a vCPU that has stopped. */
void area_verify_count(const struct area *area, uint64_t gen, uint64_t progress);
uint64_t area_sum(const struct area *area);
uint64_t writes_of(unsigned long page, unsigned long pages, uint64_t progress);
unsigned int rounds(unsigned int n);

/* kvm_figures.c: what KVM says of it. */
void figures_init(void);
void figures_exit(void);
bool figures_traced(void);
bool scans_begin(const struct area *area);
long scans_end(void);
void measure_begin(void);
void measure_end(void);
uint64_t flush_requests(void);
/*
 * From generation 0 on, and measured: vCPU 0 reads, vCPU 1 counts. Then what they did is
 * checked.
 */
void both_start(const struct area *read, const struct area *written);
void both_stop(const struct area *read, const struct area *written);
/* For a converted KVM only. */
void at_most(const char *what, uint64_t n, uint64_t limit);

/* kvm_protect.c, kvm_memory.c, kvm_retries.c, kvm_stale.c */
void numa_init(void);
void numa_exit(void);
void numa_pinned(void);
void numa(void);
void fork_read(void);
void fork_write(void);
void clear_refs_read(void);
void clear_refs_write(void);
void protect(void);
void uffd_wp(void);
void ksm(void);
void discard(void);
void reclaim(void);
void thp(void);
void false_retries(void);
void two_slots(void);
void stale(void);

#endif /* KVM_DEMO_H */
