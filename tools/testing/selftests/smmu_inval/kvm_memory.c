// SPDX-License-Identifier: GPL-2.0
/*
 * Workloads that take pages away, or put others in their place.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "kvm_demo.h"
#include "swap.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define KSM		"/sys/kernel/mm/ksm/"
/* Of more than that, ksmd makes several pages; a few may be left over. */
#define KSM_PAGES	256

static int advise(const struct area *area, int advice)
{
	return madvise(area->hva, area->pages * GUEST_PAGE, advice);
}

/* Pages that are alike become one, and are copied again when the guest writes. */
void ksm(void)
{
	static const char *const files[] = {
		KSM "run", KSM "pages_to_scan", KSM "sleep_millisecs",
	};
	static const long values[] = { 1, 4000, 5 };
	const struct timespec a_moment = { .tv_nsec = 10000000 };
	struct area alike = part(&slot_a, 0, KSM_PAGES);
	struct area others = part(&slot_a, KSM_PAGES, KSM_PAGES);
	unsigned int i, nr = rounds(3);
	double deadline;
	long saved[3], merged;

	if (access(KSM "run", W_OK)) {
		skip = "no KSM";
		return;
	}
	vcpu_do(1, GUEST_WRITE, &others, 1, false);
	vcpu_do(1, GUEST_WRITE, &alike, 0, true);
	must(advise(&alike, MADV_MERGEABLE), "MADV_MERGEABLE");
	must(advise(&others, MADV_MERGEABLE), "MADV_MERGEABLE");
	for (i = 0; i < 3; i++) {
		saved[i] = get(files[i], "");
		put_number(files[i], values[i]);
	}
	measure_begin();
	for (i = 1; i <= nr && ok; i++) {
		/* All of it is written by the guest, and alike. */
		vcpu_do(1, GUEST_WRITE, &alike, i, true);
		vcpu_start(0, GUEST_READ, &alike, i, true, 0);
		/* What is different must not be lost while ksmd looks at it. */
		vcpu_start(1, GUEST_COUNT, &others, i == 1 ? 1 : 0, false, 0);
		deadline = now_ms() + 20e3;
		do {
			nanosleep(&a_moment, NULL);
			merged = get(KSM "pages_sharing", "");
		} while (merged < KSM_PAGES - 10 && now_ms() < deadline);
		/* A busy machine may not be done with all of them. */
		if (merged < KSM_PAGES - 10)
			printf("# ksmd merged %ld pages of %lu\n", merged,
			       alike.pages);
		if (merged <= 0)
			wrong("ksmd merged nothing");
		vcpu_pass(0);
		vcpu_stop(1);
		area_verify_count(&others, i == 1 ? 1 : 0, vcpu_progress(1));
		/* The CPU writes first, and the guest has to see that in its copy. */
		vcpu_stop(0);
		area_fill(&alike, i + 100, false);
		vcpu_do(0, GUEST_READ, &alike, i + 100, false);
		vcpu_do(1, GUEST_WRITE, &others, 0, false);
	}
	measure_end();
	area_verify(&alike, i - 1 + 100, false);
	for (i = 0; i < 3; i++)
		put_number(files[i], saved[i]);
	advise(&slot_a, MADV_UNMERGEABLE);
}

/* Other memory at the same place. */
static int replace(const struct area *area)
{
	void *addr = mmap(area->hva, area->pages * GUEST_PAGE,
			  PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return addr == MAP_FAILED ? -1 : 0;
}

/* What was dropped reads as zeros, and the rest as it was. */
void discard(void)
{
	struct area before = part(&slot_a, 0, 512);
	struct area middle = part(&slot_a, 512, 128);
	unsigned int i, nr = rounds(40), seed = 1;

	area_fill(&before, 1, false);
	vcpu_do(0, GUEST_READ, &before, 1, false);
	vcpu_do(1, GUEST_WRITE, &middle, 0, false);
	measure_begin();
	vcpu_start(0, GUEST_READ, &before, 1, false, 0);
	for (i = 1; i <= nr && ok; i++) {
		unsigned long at = rand_r(&seed) % 64, pages = 1 + rand_r(&seed) % 63;
		struct area dropped = part(&middle, at, pages);
		struct area left = part(&middle, 0, at);
		struct area right = part(&middle, at + pages,
					 middle.pages - at - pages);

		vcpu_do(1, GUEST_WRITE, &middle, i, false);
		if (i & 4)
			must(advise(&dropped, MADV_DONTNEED), "MADV_DONTNEED");
		else
			must(replace(&dropped), "mmap");
		/* Who reads it first must find the same. */
		if (i & 1)
			vcpu_do(1, GUEST_READ, &dropped, 0, true);
		is("pages that are not zeros", area_bad(&dropped, 0, true), 0);
		if (i & 2)
			vcpu_do(1, GUEST_READ, &dropped, 0, true);
		if (at)
			vcpu_do(1, GUEST_READ, &left, i, false);
		vcpu_do(1, GUEST_READ, &right, i, false);
	}
	vcpu_do(1, GUEST_WRITE, &middle, i, false);
	vcpu_stop(0);
	measure_end();
	area_verify(&before, 1, false);
	area_verify(&middle, i, false);
}

/* What is swapped out comes back as the guest left it, while it goes on writing. */
void reclaim(void)
{
	struct area written = part(&slot_a, 0, 256);
	struct area read = part(&slot_a, 256, 768);
	struct area both = part(&slot_a, 0, 1024);
	unsigned int i, nr = rounds(4);
	bool own_swap = false;
	long out;

	if (get("/proc/meminfo", "SwapTotal:") <= 0) {
		own_swap = !swap_on_ram_disk();
		if (!own_swap) {
			skip = "no swap, and none on " SWAP_DEVICE;
			return;
		}
	}
	out = get("/proc/vmstat", "pswpout ");
	vcpu_do(1, GUEST_WRITE, &both, 0, false);
	vcpu_do(0, GUEST_READ, &both, 0, false);
	both_start(&read, &written);
	for (i = 0; i < nr && ok; i++) {
		must(advise(&both, MADV_PAGEOUT), "MADV_PAGEOUT");
		vcpu_pass(0);
		vcpu_pass(1);
	}
	both_stop(&read, &written);
	out = get("/proc/vmstat", "pswpout ") - out;
	printf("# %ld pages were swapped out\n", out);
	if (!out)
		wrong("nothing was swapped out");
	if (own_swap)
		must(swapoff(SWAP_DEVICE), "swapoff");
}

/* Huge pages come together and fall apart under a guest that reads and writes. */
void thp(void)
{
	struct area huge = part(&slot_a, 0, 2 * HUGE_PAGE / GUEST_PAGE);
	struct area read = part(&huge, 0, huge.pages / 2);
	struct area written = part(&huge, read.pages, huge.pages / 2);
	unsigned int i, j, nr = rounds(6), collapsed = 0;
	const size_t size = huge.pages * GUEST_PAGE;

	if (access("/sys/kernel/mm/transparent_hugepage", F_OK)) {
		skip = "no THP";
		return;
	}
	must(madvise(huge.hva, size, MADV_HUGEPAGE), "MADV_HUGEPAGE");
	vcpu_do(1, GUEST_WRITE, &huge, 0, false);
	vcpu_do(0, GUEST_READ, &huge, 0, false);
	both_start(&read, &written);
	for (i = 0; i < nr && ok; i++) {
		for (j = 0; j < 2; j++)
			collapsed += !madvise(huge.hva + j * HUGE_PAGE, HUGE_PAGE,
					      MADV_COLLAPSE);
		vcpu_pass(0);
		vcpu_pass(1);
		/* A VMA of its own for one page, with no less permissions. */
		for (j = 0; j < 2; j++) {
			char *page = huge.hva + j * HUGE_PAGE + 100 * GUEST_PAGE;

			must(mprotect(page, GUEST_PAGE,
				      PROT_READ | PROT_WRITE | PROT_EXEC),
			     "mprotect");
			must(mprotect(page, GUEST_PAGE, PROT_READ | PROT_WRITE),
			     "mprotect");
		}
		vcpu_pass(0);
		vcpu_pass(1);
	}
	both_stop(&read, &written);
	printf("# %u huge pages were made, of %u tries\n", collapsed, 2 * nr);
	if (!collapsed)
		wrong("no huge page was made");
}
