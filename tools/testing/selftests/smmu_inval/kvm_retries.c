// SPDX-License-Identifier: GPL-2.0
/*
 * Workloads in which the host invalidates memory that the guest does not touch: none
 * of the guest's faults has a reason to be repeated.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm_demo.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

struct invalidator {
	pthread_t thread;
	struct area area;
	bool small;
	unsigned long rounds;
	/* The errno of what failed. */
	int error;
};

static atomic_bool quit;

static bool invalidate_page(char *page)
{
	if (madvise(page, GUEST_PAGE, MADV_DONTNEED))
		return false;
	*(volatile char *)page = 1;
	return !mprotect(page, GUEST_PAGE, PROT_READ) &&
	       !mprotect(page, GUEST_PAGE, PROT_READ | PROT_WRITE);
}

static bool invalidate_all(const struct area *area)
{
	const size_t size = area->pages * GUEST_PAGE;

	return !madvise(area->hva, size, MADV_POPULATE_WRITE) &&
	       !madvise(area->hva, size, MADV_DONTNEED);
}

static void *invalidate(void *arg)
{
	struct invalidator *v = arg;

	be_nice();
	while (!atomic_load(&quit)) {
		if (!(v->small ? invalidate_page(v->area.hva) :
				 invalidate_all(&v->area))) {
			v->error = errno;
			break;
		}
		v->rounds++;
	}
	return NULL;
}

/*
 * The guest writes to pages that are not mapped, round after round. It must not read
 * them first, which would map the page of zeros, and the write then replace it.
 */
static void fault(const struct area *area, struct invalidator *v, unsigned int n,
		  unsigned int nr)
{
	unsigned int i, round;

	atomic_store(&quit, false);
	/* Its pages are known to the guest. */
	for (i = 0; i < n; i++)
		vcpu_do(1, GUEST_WRITE, &v[i].area, 0, false);
	measure_begin();
	for (i = 0; i < n; i++)
		if (pthread_create(&v[i].thread, NULL, invalidate, &v[i]))
			wrong("no thread");
	for (round = 1; round <= nr && ok; round++) {
		must(madvise(area->hva, area->pages * GUEST_PAGE, MADV_DONTNEED),
		     "MADV_DONTNEED");
		vcpu_do(0, GUEST_WRITE, area, round, false);
		vcpu_do(1, GUEST_READ, area, round, false);
		is("pages that the guest did not write",
		   area_bad(area, round, false), 0);
	}
	atomic_store(&quit, true);
	for (i = 0; i < n; i++)
		pthread_join(v[i].thread, NULL);
	measure_end();
	area_verify(area, round - 1, false);
	for (i = 0; i < n; i++) {
		printf("# %lu rounds of invalidations at %#llx\n", v[i].rounds,
		       (unsigned long long)v[i].area.gpa);
		is("an invalidation failed with", v[i].error, 0);
	}
	/* What the guest touches was invalidated only while it did not run. */
	at_most("retries", figures.retries, 0);
}

void false_retries(void)
{
	struct area touched = part(&slot_a, 0, 512);
	struct invalidator v = {
		.area = part(&slot_a, slot_a.pages - 1, 1), .small = true,
	};

	fault(&touched, &v, 1, rounds(12));
}

void two_slots(void)
{
	struct area touched = part(&slot_c, 0, 256);
	struct invalidator v[2] = {
		{ .area = part(&slot_a, 0, 512) },
		{ .area = part(&slot_b, 0, 512) },
	};

	fault(&touched, v, 2, rounds(10));
}
