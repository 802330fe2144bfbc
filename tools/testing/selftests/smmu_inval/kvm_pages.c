// SPDX-License-Identifier: GPL-2.0
/*
 * What has to be in the guest's memory, and small things that all workloads need.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "kvm_demo.h"

uint64_t value(uint64_t gpa, uint64_t gen, bool alike)
{
	return gen * GEN + (alike ? 0 : gpa);
}

uint64_t *first_word(const struct area *area, unsigned long page)
{
	return (uint64_t *)(area->hva + page * GUEST_PAGE);
}

uint64_t *last_word(const struct area *area, unsigned long page)
{
	return first_word(area, page + 1) - 1;
}

void area_fill(const struct area *area, uint64_t gen, bool alike)
{
	unsigned long i;

	for (i = 0; i < area->pages; i++) {
		uint64_t v = value(area->gpa + i * GUEST_PAGE, gen, alike);

		*first_word(area, i) = v;
		*last_word(area, i) = v;
	}
}

/* How many pages are not as they should be. */
unsigned long area_bad(const struct area *area, uint64_t gen, bool alike)
{
	unsigned long i, bad = 0;

	for (i = 0; i < area->pages; i++) {
		uint64_t v = value(area->gpa + i * GUEST_PAGE, gen, alike);

		bad += *first_word(area, i) != v || *last_word(area, i) != v;
	}
	return bad;
}

static void maybe_spoil(const struct area *area)
{
	if (spoil)
		++*last_word(area, area->pages / 2);
}

void area_verify(const struct area *area, uint64_t gen, bool alike)
{
	unsigned long bad;

	maybe_spoil(area);
	bad = area_bad(area, gen, alike);
	if (bad)
		wrong("%lu of %lu pages from %#llx on are not at generation %llu",
		      bad, area->pages, (unsigned long long)area->gpa,
		      (unsigned long long)gen);
}

/* How often page @page of @pages was written, in this order, after @progress. */
uint64_t writes_of(unsigned long page, unsigned long pages, uint64_t progress)
{
	return progress / pages + (progress % pages > page);
}

void area_verify_count(const struct area *area, uint64_t gen, uint64_t progress)
{
	unsigned long i, bad = 0;

	maybe_spoil(area);
	for (i = 0; i < area->pages; i++) {
		uint64_t v = value(area->gpa + i * GUEST_PAGE,
				   gen + writes_of(i, area->pages, progress),
				   false);

		bad += *first_word(area, i) != v || *last_word(area, i) != v;
	}
	if (bad)
		wrong("%lu of %lu pages from %#llx on are not as the guest left them",
		      bad, area->pages, (unsigned long long)area->gpa);
}

/* Of all words, since nobody but the guest knows what it writes. */
uint64_t area_sum(const struct area *area)
{
	const uint64_t *word = first_word(area, 0);
	const uint64_t *end = first_word(area, area->pages);
	uint64_t sum = 0;

	for (; word < end; word++)
		sum = (sum << 7 | sum >> 57) + *word;
	return sum;
}

unsigned int rounds(unsigned int n)
{
	n = n * scale / 100;
	return n < 2 ? 2 : n;
}
