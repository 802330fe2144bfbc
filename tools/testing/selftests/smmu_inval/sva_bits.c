// SPDX-License-Identifier: GPL-2.0
/*
 * Accessed and dirty: what a walk of the IOMMU says in the page table, core mm goes by.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "sva_test.h"
#include "swap.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define PAGES		16
#define ROUNDS		8
#define SOFT_DIRTY	(1ull << 55)

/* Kilobytes of the mapping that starts at @mem, as smaps says. */
static long smaps_of(const char *mem, const char *key)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[256], start[32];
	bool inside = false;
	long n = -1;

	if (!smaps)
		return -1;
	snprintf(start, sizeof(start), "%lx-", (unsigned long)mem);
	while (n < 0 && fgets(line, sizeof(line), smaps)) {
		if (!strncmp(line, start, strlen(start)))
			inside = true;
		else if (inside && !strncmp(line, key, strlen(key)))
			n = strtol(line + strlen(key), NULL, 10);
	}
	fclose(smaps);
	return n;
}

/* Forget all translations of it, as far as the hardware is concerned. */
static void flush(char *mem)
{
	must(mprotect(mem, PAGES * page_size, PROT_READ), "mprotect");
	must(mprotect(mem, PAGES * page_size, PROT_READ | PROT_WRITE), "mprotect");
}

/* A mapping of its own for smaps. */
static char *map_alone(void)
{
	char *mem = map((PAGES + 2) * page_size);

	must(mprotect(mem, page_size, PROT_NONE), "mprotect");
	must(mprotect(mem + (PAGES + 1) * page_size, page_size, PROT_NONE),
	     "mprotect");
	return mem + page_size;
}

static void unmap_alone(char *mem)
{
	munmap(mem - page_size, (PAGES + 2) * page_size);
}

void bits_accessed(void)
{
	unsigned int round, clean = 0;
	char *mem = map_alone();
	uint64_t sum;
	int fd[NR_ENGINES] = { open_engine(0), open_engine(1) };

	for (round = 0; round < ROUNDS && ok; round++) {
		int engine = fd[round % NR_ENGINES];

		fill_pages(mem, PAGES, round + 1);
		ends("DMA writes", sva_fill(engine, mem, PAGES * page_size, 1),
		     SVA_DONE);
		if (put("/proc/self/clear_refs", "1")) {
			skip = "no /proc/self/clear_refs";
			break;
		}
		flush(mem);
		if (smaps_of(mem, "Referenced:") != 0)
			continue;
		clean++;
		if (round & 2)
			ends("DMA reads", sva_sum(engine, mem, PAGES * page_size, &sum),
			     SVA_DONE);
		else
			ends("DMA writes", sva_fill(engine, mem, PAGES * page_size, 2),
			     SVA_DONE);
		is("kilobytes that were accessed", smaps_of(mem, "Referenced:"),
		   PAGES * page_size / 1024);
	}
	if (!clean && !skip)
		wrong("clear_refs left accessed bits");
	close_engine(fd[0]);
	close_engine(fd[1]);
	unmap_alone(mem);
}

static bool swap_here(void)
{
	if (get("/proc/meminfo", "SwapTotal:") > 0 || !swap_on_ram_disk())
		return true;
	skip = "no swap, and none on " SWAP_DEVICE;
	return false;
}

static void check_fill(const char *mem, uint64_t value)
{
	size_t i;

	for (i = 0; i < PAGES * page_size; i += 8) {
		if (word_at(mem + i) == value)
			continue;
		wrong("word %zu of page %zu is %#llx, and DMA wrote %#llx",
		      i % page_size / 8, i / page_size,
		      (unsigned long long)word_at(mem + i),
		      (unsigned long long)value);
		return;
	}
}

/*
 * Read again, it may be clean, with a copy in swap that is good until DMA writes. (From a
 * RAM disk swap does not keep one: there the next test is the one for dirty bits.)
 */
void bits_dirty_swap(void)
{
	int fd[NR_ENGINES] = { open_engine(0), open_engine(1) };
	size_t size = PAGES * page_size;
	unsigned int round;
	uint64_t sum;
	char *mem;

	if (!swap_here())
		return;
	mem = map(size);
	for (round = 0; round < 2 * ROUNDS && ok; round++) {
		int engine = fd[round % NR_ENGINES];

		fill_pages(mem, PAGES, round + 1);
		drain_lru();
		must(madvise(mem, size, MADV_PAGEOUT), "MADV_PAGEOUT");
		check_pages("from swap", mem, PAGES, round + 1);
		/* In the TLBs, but not to write. */
		if (round & 2)
			ends("DMA reads", sva_sum(engine, mem, size, &sum), SVA_DONE);
		ends("DMA writes", sva_fill(engine, mem, size, round), SVA_DONE);
		drain_lru();
		must(madvise(mem, size, MADV_PAGEOUT), "MADV_PAGEOUT");
		check_fill(mem, round);
	}
	munmap(mem, size);
	close_engine(fd[0]);
	close_engine(fd[1]);
}

/* MADV_FREE: may be dropped, unless it is written to. */
void bits_dirty_free(void)
{
	int fd[NR_ENGINES] = { open_engine(0), open_engine(1) };
	size_t size = PAGES * page_size;
	unsigned int round;
	char *mem;

	if (!swap_here())
		return;
	mem = map(size);
	for (round = 1; round < 2 * ROUNDS && ok; round++) {
		int engine = fd[round % NR_ENGINES];

		fill_pages(mem, PAGES, round);
		/* In the TLBs to write, so that only a flush makes the walk happen. */
		ends("DMA writes", sva_fill(engine, mem, size, round), SVA_DONE);
		must(madvise(mem, size, MADV_FREE), "MADV_FREE");
		ends("DMA writes", sva_fill(engine, mem, size, round + 1000), SVA_DONE);
		drain_lru();
		must(madvise(mem, size, MADV_PAGEOUT), "MADV_PAGEOUT");
		check_fill(mem, round + 1000);
	}
	munmap(mem, size);
	close_engine(fd[0]);
	close_engine(fd[1]);
}

/* Which of the pages, bit by bit, or -1. */
static long soft_dirty(const char *mem)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entries[PAGES];
	long pages = 0;
	unsigned int i;

	if (fd < 0)
		return -1;
	if (pread(fd, entries, sizeof(entries),
		  (uintptr_t)mem / page_size * sizeof(entries[0])) != sizeof(entries))
		pages = -1;
	for (i = 0; pages >= 0 && i < PAGES; i++)
		pages |= entries[i] & SOFT_DIRTY ? 1l << i : 0;
	close(fd);
	return pages;
}

void bits_soft_dirty(void)
{
	int fd[NR_ENGINES] = { open_engine(0), open_engine(1) };
	char *mem = map(PAGES * page_size);
	unsigned int round, page;

	for (round = 0; round < 2 * PAGES && ok; round++) {
		int engine = fd[round % NR_ENGINES];

		page = round * 5 % PAGES;
		ends("DMA writes", sva_fill(engine, mem, PAGES * page_size, round),
		     SVA_DONE);
		if (put("/proc/self/clear_refs", "4")) {
			skip = "no soft-dirty bits in this kernel";
			break;
		}
		is("pages that are soft-dirty, cleared", soft_dirty(mem), 0);
		ends("DMA writes", sva_fill(engine, mem + page * page_size, 8, 1),
		     SVA_DONE);
		is("pages that are soft-dirty", soft_dirty(mem), 1l << page);
	}
	munmap(mem, PAGES * page_size);
	close_engine(fd[0]);
	close_engine(fd[1]);
}
