// SPDX-License-Identifier: GPL-2.0
/*
 * The moment after an invalidation: what the CPU has cached of the nested page tables
 * must be gone when the system call returns. The guest waits, without any exit that
 * would flush its TLB, and reads or writes as soon as it is told.
 *
 * Where the CPU's own TLB flush interrupts the vCPU, and an exit flushes all that the
 * CPU has cached, as QEMU's does, a flush that is left out shows in this way only: KVM
 * counts its requests for them. The page is mapped each time, writable where that is what
 * is taken away, so that each change needs one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kvm_demo.h"

/* The guest changes it meanwhile. */
static uint64_t word(const struct area *page)
{
	return __atomic_load_n(first_word(page, 0), __ATOMIC_SEQ_CST);
}

static void protect_page(const struct area *page, int prot)
{
	must(mprotect(page->hva, GUEST_PAGE, prot), "mprotect");
}

/* @changed: since @before. */
static void asks_for_flush(const char *changed, uint64_t before)
{
	if (flush_requests() == before)
		wrong("no TLB flush was requested after %s", changed);
}

/* Dropped pages read as zeros, by all vCPUs, through whatever slot they come. */
static void peek(const struct area *page, unsigned int nr_vcpus, unsigned int nr)
{
	unsigned int i, round, old = 0;
	uint64_t requests;

	for (round = 1; round <= nr && ok; round++) {
		__atomic_store_n(first_word(page, 0), round, __ATOMIC_SEQ_CST);
		for (i = 0; i < nr_vcpus; i++)
			vcpu_turn(i);
		for (i = 0; i < nr_vcpus; i++)
			is("what the vCPU reads", vcpu_answer(i), round);
		requests = flush_requests();
		must(madvise(page->hva, GUEST_PAGE, MADV_DONTNEED), "MADV_DONTNEED");
		asks_for_flush("MADV_DONTNEED", requests);
		for (i = 0; i < nr_vcpus; i++)
			vcpu_turn(i);
		for (i = 0; i < nr_vcpus; i++)
			old += vcpu_answer(i) != 0;
	}
	is("times that a page was read after it was freed", old, 0);
}

/* What is protected does not change, until it is not protected any more. */
static void poke(const struct area *page, unsigned int nr)
{
	const struct timespec a_while = { .tv_nsec = 2000000 };
	unsigned int round, changed = 0;
	uint64_t before, turn, requests;

	for (round = 0; round < nr && ok; round++) {
		vcpu_turn(0);
		vcpu_answer(0);
		requests = flush_requests();
		protect_page(page, PROT_READ);
		asks_for_flush("mprotect", requests);
		before = word(page);
		turn = vcpu_turn(0);
		nanosleep(&a_while, NULL);
		changed += word(page) != before;
		protect_page(page, PROT_READ | PROT_WRITE);
		vcpu_answer(0);
		is("what the vCPU wrote", word(page), GEN + turn);
	}
	is("times that a page was written while it was read-only", changed, 0);
}

/* What the guest writes from now on is not the child's. */
static void poke_after_fork(const struct area *page, unsigned int nr)
{
	unsigned int round, changed = 0;
	uint64_t before, turn, requests;
	int status;
	pid_t pid;

	for (round = 0; round < nr && ok; round++) {
		turn = vcpu_turn(0);
		before = vcpu_answer(0);
		requests = flush_requests();
		pid = fork();
		if (!pid) {
			while (!vcpu_answered(0, turn + 1) && getppid() != 1)
				;
			_exit(word(page) != before);
		}
		asks_for_flush("fork", requests);
		vcpu_turn(0);
		vcpu_answer(0);
		if (pid < 0 || waitpid(pid, &status, 0) != pid) {
			wrong("cannot fork: %s", strerror(errno));
			return;
		}
		changed += status != 0;
	}
	is("children that saw what was written after the fork", changed, 0);
}

void stale(void)
{
	const unsigned int peeks = rounds(100), alias_peeks = rounds(10);
	const unsigned int pokes = rounds(40), forks = rounds(40);
	struct area page = part(&tested, 0, 1);
	struct area alias = vm_alias(&page);

	measure_begin();
	vcpu_start(0, GUEST_PEEK, &page, 0, false, 0);
	peek(&page, 1, peeks);
	/* The same page in two slots, one for each vCPU. */
	vcpu_start(1, GUEST_PEEK, &alias, 0, false, 0);
	peek(&page, 2, alias_peeks);
	vcpu_stop(1);
	vcpu_stop(0);
	vcpu_start(0, GUEST_POKE, &page, 1, false, 0);
	poke(&page, pokes);
	poke_after_fork(&page, forks);
	vcpu_stop(0);
	measure_end();
}
