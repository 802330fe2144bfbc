// SPDX-License-Identifier: GPL-2.0
/*
 * The process changes its memory: when the TLBs hold all of it (warm), and while two
 * threads have DMA read and write it all the time (meanwhile).
 *
 * The area is two halves. In the first one DMA counts: each job fills it with the
 * number of the job, and what a job has written may not be lost. In the second one are
 * generations, written by the CPU and by DMA in turn; a generation that has been
 * written completely hides all before it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sva_test.h"
#include "swap.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define KSM		"/sys/kernel/mm/ksm/"
#define NUMA		"/proc/sys/kernel/numa_balancing"
#define SCAN		"/sys/kernel/debug/sched/numa_balancing/"
#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"
#define HUGE_SIZE	(2ul << 20)

#define COUNT_PAGES	12
#define DATA_PAGES	12
#define AREA_PAGES	(COUNT_PAGES + DATA_PAGES)

struct change {
	const char *name;
	unsigned int rounds;
	/* Why not here, or NULL. */
	const char *(*prepare)(void);
	void (*change)(unsigned int round);
	/* When the round has been checked, or NULL. */
	void (*after)(unsigned int round);
	/* Why what was done does not count, or NULL. */
	const char *(*finish)(void);
	/* Of which the area is a part; NULL is for ordinary memory. */
	char *(*map)(void);
	/* The data are zeros then. */
	bool drops;
	/* DMA may find nothing that it may use meanwhile. */
	bool faults;
	/* All pages of data are alike. */
	bool same;
};

/* Who uses the engines: each has a channel on both. */
enum { MAIN, READER, WRITER, NR_USERS };

static int fds[NR_USERS][NR_ENGINES];
static uint64_t *buffers[NR_USERS];

static const struct change *now;
/* The whole mapping, which is at least as large as the area. */
static char *region;
static size_t region_size;
/* Where the area is. */
static atomic_uintptr_t area_at;
/* Generations: begun, and written completely. */
static atomic_uint begun, done;
/* The writer's jobs. */
static atomic_ulong jobs_begun, jobs_done;

static char *area(void)
{
	return (char *)area_at;
}

static char *data(void)
{
	return area() + COUNT_PAGES * page_size;
}

static size_t data_size(void)
{
	return DATA_PAGES * page_size;
}

static size_t area_size(void)
{
	return AREA_PAGES * page_size;
}

static void make_data(void *to, unsigned int gen)
{
	unsigned int i;

	if (!now->same) {
		fill_pages(to, DATA_PAGES, gen);
		return;
	}
	for (i = 0; i < DATA_PAGES; i++)
		fill_pages((char *)to + i * page_size, 1, gen);
}

static void data_is(const char *who, const void *mem, unsigned int gen)
{
	unsigned int i;

	for (i = 0; i < DATA_PAGES; i++)
		if (!page_is(who, (const char *)mem + i * page_size,
			     now->same ? 0 : i, gen))
			return;
}

static void zeros(const char *who, const void *mem)
{
	const uint64_t *word = mem;
	size_t i;

	for (i = 0; i < data_size() / sizeof(*word); i++) {
		if (!word[i])
			continue;
		wrong("%s: %#llx in page %zu of what was dropped", who,
		      (unsigned long long)word[i], i * 8 / page_size);
		return;
	}
}

static void cpu_writes(void)
{
	unsigned int gen = begun + 1;

	begun = gen;
	make_data(data(), gen);
	done = gen;
}

static void dma_writes(unsigned int engine)
{
	unsigned int gen = begun + 1;

	begun = gen;
	make_data(buffers[MAIN], gen);
	ends("DMA writes", sva_copy(fds[MAIN][engine], data(), buffers[MAIN],
				    data_size()), SVA_DONE);
	done = gen;
}

static void cpu_reads(bool dropped)
{
	if (dropped)
		zeros("the CPU", data());
	else
		data_is("the CPU", data(), begun);
}

static void dma_reads(unsigned int engine, bool dropped)
{
	const char *who = engine ? "DMA by engine 1" : "DMA by engine 0";

	memset(buffers[MAIN], 0xff, data_size());
	ends("DMA reads", sva_copy(fds[MAIN][engine], buffers[MAIN], data(),
				   data_size()), SVA_DONE);
	if (dropped)
		zeros(who, buffers[MAIN]);
	else
		data_is(who, buffers[MAIN], begun);
}

/* Nothing that a job has written is lost, and nothing comes from elsewhere. */
static void count_is_right(void)
{
	unsigned long least = jobs_done, most, i;
	const char *mem = area();
	uint64_t word;

	for (i = 0; i < COUNT_PAGES * page_size; i += 8) {
		word = word_at(mem + i);
		most = jobs_begun;
		if (word >= least && word <= most)
			continue;
		wrong("DMA's count is %#llx in page %lu after %lu jobs, of %lu that began",
		      (unsigned long long)word, i / page_size, least, most);
		return;
	}
}

static void count(int fd)
{
	unsigned long job = jobs_begun + 1;
	int status;

	jobs_begun = job;
	status = sva_fill(fd, area(), COUNT_PAGES * page_size, job);
	if (status == SVA_DONE)
		jobs_done = job;
	else if (status != SVA_FAULT || !now->faults)
		ends("DMA counts", status, SVA_DONE);
}

static void *writer(void *unused)
{
	unsigned int i;

	(void)unused;
	for (i = 0; !stop; i++)
		count(fds[WRITER][i % NR_ENGINES]);
	return NULL;
}

static bool word_is_right(uint64_t word, size_t i, unsigned int least,
			  unsigned int most)
{
	uint64_t page = now->same ? 0 : i * 8 / page_size;
	unsigned int gen = word >> 32;

	if (!word)
		return now->drops;
	return gen >= least && gen <= most &&
	       (word & 0xffffffff) == page + (i * 8 % page_size << 16);
}

static void *reader(void *unused)
{
	unsigned int i, least, most;
	int status;
	size_t w;

	(void)unused;
	for (i = 0; !stop; i++) {
		least = done;
		status = sva_copy(fds[READER][i % NR_ENGINES], buffers[READER],
				  data(), data_size());
		most = begun;
		if (status == SVA_FAULT && now->faults)
			continue;
		ends("DMA reads meanwhile", status, SVA_DONE);
		for (w = 0; ok && w < data_size() / 8; w++)
			if (!word_is_right(buffers[READER][w], w, least, most))
				wrong("DMA reads %#llx in page %zu meanwhile, generations %u to %u",
				      (unsigned long long)buffers[READER][w],
				      w * 8 / page_size, least, most);
	}
	return NULL;
}

static bool open_all(void)
{
	unsigned int i, j;

	for (i = 0; i < NR_USERS; i++) {
		for (j = 0; j < NR_ENGINES; j++)
			fds[i][j] = open_engine(j);
		buffers[i] = (uint64_t *)map(data_size());
	}
	return ok;
}

static void close_all(void)
{
	unsigned int i, j;

	for (i = 0; i < NR_USERS; i++) {
		for (j = 0; j < NR_ENGINES; j++)
			close_engine(fds[i][j]);
		munmap(buffers[i], data_size());
	}
}

static char *map_small(void)
{
	region_size = area_size();
	return map(region_size);
}

/* Both engines have all of it in their TLBs, to read and to write. */
static void warm_up(void)
{
	unsigned int engine;

	for (engine = 0; engine < NR_ENGINES; engine++) {
		dma_writes(engine);
		dma_reads(engine, false);
	}
}

static void one_round(unsigned int round, bool concurrent)
{
	unsigned int engine = round / 4 % NR_ENGINES;
	bool dropped;

	cpu_writes();
	warm_up();
	if (!concurrent) {
		count(fds[WRITER][0]);
		count(fds[WRITER][1]);
	}
	now->change(round);
	dropped = now->drops;
	/* Who comes first has to find it without the other's fault. */
	switch (round % 4) {
	case 0:
		dma_reads(engine, dropped);
		cpu_reads(dropped);
		break;
	case 1:
		dma_writes(engine);
		cpu_reads(false);
		break;
	case 2:
		cpu_writes();
		dma_reads(engine, false);
		break;
	case 3:
		cpu_reads(dropped);
		dma_reads(engine, dropped);
		/* Copied now, if it is, while it is in the TLBs to read. */
		cpu_writes();
		dma_reads(engine, false);
		break;
	}
	/* The other one, whose writes this one has to see. */
	dma_writes(!engine);
	dma_reads(engine, false);
	dma_reads(!engine, false);
	cpu_reads(false);
	if (!concurrent)
		count(fds[WRITER][engine]);
	count_is_right();
	cpu_writes();
	dma_reads(engine, false);
	dma_reads(!engine, false);
	if (now->after)
		now->after(round);
}

/* What the changes are. */

/* Nothing there; then others have the pages, and then something new is there. */
static char *decoy;

static void decoy_is_right(void)
{
	check_pages("who has the pages now", decoy, DATA_PAGES, 0xdec0);
}

static void decoy_end(unsigned int round)
{
	(void)round;
	decoy_is_right();
	munmap(decoy, data_size());
}

static void dma_must_fault(bool write)
{
	unsigned int engine;
	int status;

	for (engine = 0; engine < NR_ENGINES; engine++) {
		status = write ?
			 sva_fill(fds[MAIN][engine], data(), data_size(), ~0ull) :
			 sva_copy(fds[MAIN][engine], buffers[MAIN], data(), data_size());
		ends(write ? "DMA writes where it must not" :
			     "DMA reads where it must not", status, SVA_FAULT);
	}
}

static void change_unmap(unsigned int round)
{
	char *mem = data();

	must(munmap(mem, data_size()), "munmap");
	dma_must_fault(round & 1);
	decoy = map(data_size());
	if (decoy == mem) {
		/* It may not be where it would not be noticed. */
		decoy = map(data_size());
		munmap(mem, data_size());
	}
	fill_pages(decoy, DATA_PAGES, 0xdec0);
	if (mmap(mem, data_size(), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != mem)
		must(-1, "mmap");
}

/* Between two places. */
static char *other_place;

static const char *move_prepare(void)
{
	other_place = map(region_size);
	munmap(other_place, region_size);
	return NULL;
}

static void change_move(unsigned int round)
{
	char *from = area(), *to = other_place;
	int status;

	if (mremap(from, area_size(), area_size(), MREMAP_MAYMOVE | MREMAP_FIXED,
		   to) != to)
		must(-1, "mremap");
	status = round & 1 ? sva_fill(fds[MAIN][0], data(), data_size(), ~0ull) :
			     sva_copy(fds[MAIN][0], buffers[MAIN], data(),
				      data_size());
	ends("DMA where it was", status, SVA_FAULT);
	area_at = (uintptr_t)to;
	region = to;
	other_place = from;
}

static void change_drop(unsigned int round)
{
	(void)round;
	must(madvise(data(), data_size(), MADV_DONTNEED), "MADV_DONTNEED");
}

static void change_protect(unsigned int round)
{
	must(mprotect(region, region_size, PROT_READ), "mprotect");
	dma_must_fault(true);
	cpu_reads(false);
	dma_reads(round & 1, false);
	count_is_right();
	must(mprotect(region, region_size, PROT_NONE), "mprotect");
	dma_must_fault(round & 1);
	must(mprotect(region, region_size, PROT_READ | PROT_WRITE), "mprotect");
}

/* In the child there is what there was, while DMA writes in the parent. */
static int to_child[2], from_child[2];
static pid_t child;

static void child_looks(unsigned long least, const void *count)
{
	uint64_t word;
	size_t i;

	for (i = 0; ok && i < COUNT_PAGES * page_size; i += 8) {
		word = word_at(area() + i);
		if (word < least)
			wrong("the child: %#llx, after %lu jobs",
			      (unsigned long long)word, least);
	}
	if (memcmp(count, area(), COUNT_PAGES * page_size))
		wrong("the child: DMA writes to its memory");
}

static void in_forked(unsigned long least, unsigned int round)
{
	void *count = buffers[WRITER];
	char c;

	memcpy(count, area(), COUNT_PAGES * page_size);
	child_looks(least, count);
	data_is("the child", data(), done);
	/* What the child writes is not the parent's. */
	if (round & 1)
		make_data(data(), done + 100);
	if (write(from_child[1], "", 1) != 1 || read(to_child[0], &c, 1) != 1)
		wrong("the parent is gone");
	child_looks(least, count);
	data_is("the child", data(), round & 1 ? done + 100 : done);
	memset(area(), 0x5a, area_size());
}

static void change_fork(unsigned int round)
{
	unsigned long least = jobs_done;
	char c;

	if (pipe(to_child) || pipe(from_child)) {
		must(-1, "pipe");
		return;
	}
	fflush(stdout);
	child = fork();
	if (!child) {
		close(to_child[1]);
		close(from_child[0]);
		in_forked(least, round);
		_exit(!ok);
	}
	must(child < 0, "fork");
	close(to_child[0]);
	close(from_child[1]);
	/* In every other round it looks only when all has been written anew. */
	if (round & 2 && read(from_child[0], &c, 1) != 1)
		wrong("the child is gone");
}

static void fork_end(unsigned int round)
{
	char c;

	if (!(round & 2) && read(from_child[0], &c, 1) != 1)
		wrong("the child is gone");
	close(from_child[0]);
	if (write(to_child[1], "", 1) != 1)
		wrong("the child is gone");
	close(to_child[1]);
	wait_for(child, "memory is not as it was at the fork");
	cpu_reads(false);
	count_is_right();
}

/* Swap. */

static bool own_swap;
static long swapped_out;

static const char *swap_prepare(void)
{
	if (!own_swap && get("/proc/meminfo", "SwapTotal:") <= 0) {
		if (swap_on_ram_disk())
			return "no swap, and none on " SWAP_DEVICE;
		own_swap = true;
	}
	swapped_out = get("/proc/vmstat", "pswpout ");
	return swapped_out < 0 ? "no pswpout in /proc/vmstat" : NULL;
}

static void change_swap(unsigned int round)
{
	if (!(round & 3))
		drain_lru();
	must(madvise(area(), area_size(), MADV_PAGEOUT), "MADV_PAGEOUT");
}

static const char *swap_finish(void)
{
	if (get("/proc/vmstat", "pswpout ") <= swapped_out)
		return "nothing was swapped out";
	return NULL;
}

/* KSM. */

static long merged;

static const char *ksm_prepare(void)
{
	merged = 0;
	if (get(KSM "run", "") < 0)
		return "no KSM in this kernel";
	if (put(KSM "run", "1"))
		return "not allowed to start ksmd";
	put_number(KSM "pages_to_scan", 2000);
	return NULL;
}

static void change_ksm(unsigned int round)
{
	double deadline = now_ms() + 2000;
	long pages = 0;

	(void)round;
	put_number(KSM "sleep_millisecs", 1);
	must(madvise(data(), data_size(), MADV_MERGEABLE), "MADV_MERGEABLE");
	while (pages < DATA_PAGES - 1 && now_ms() < deadline) {
		usleep(2000);
		pages = get(KSM "pages_sharing", "");
	}
	if (pages > merged)
		merged = pages;
	put_number(KSM "sleep_millisecs", 200);
}

static void ksm_end(unsigned int round)
{
	(void)round;
	must(madvise(data(), data_size(), MADV_UNMERGEABLE), "MADV_UNMERGEABLE");
	cpu_reads(false);
	dma_reads(0, false);
}

static const char *ksm_finish(void)
{
	put(KSM "run", "0");
	return merged > 0 ? NULL : "ksmd merged nothing";
}

/* Huge pages come and go. */

static long collapsed;

static char *map_aligned(void)
{
	char *mem = map(2 * HUGE_SIZE), *start;

	start = (char *)(((uintptr_t)mem + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	if (start > mem)
		munmap(mem, start - mem);
	munmap(start + HUGE_SIZE, mem + HUGE_SIZE - start);
	region_size = HUGE_SIZE;
	return start;
}

static const char *huge_prepare(void)
{
	collapsed = 0;
	memset(region, 1, region_size);
	if (madvise(region, region_size, MADV_COLLAPSE) && errno == EINVAL)
		return "no MADV_COLLAPSE in this kernel";
	return NULL;
}

static void collapse(void)
{
	/* It gives up if somebody else has the page just now. */
	unsigned int try;

	for (try = 0; try < 50; try++) {
		if (!madvise(region, region_size, MADV_COLLAPSE)) {
			collapsed++;
			return;
		}
		usleep(200);
	}
}

static void change_huge(unsigned int round)
{
	char *outside = region + region_size - page_size;

	collapse();
	if (!(round & 1))
		return;
	/* It becomes small ones when a part of it changes. */
	warm_up();
	if (round & 2)
		must(madvise(outside, page_size, MADV_DONTNEED), "MADV_DONTNEED");
	else
		must(mprotect(outside, page_size, PROT_READ), "mprotect");
	dma_reads(1, false);
	must(mprotect(outside, page_size, PROT_READ | PROT_WRITE), "mprotect");
}

static const char *huge_finish(void)
{
	return collapsed ? NULL : "nothing was collapsed";
}

/* Huge pages of hugetlbfs. */

static long huge_pages_before = -1;

static char *map_hugetlb(void)
{
	char *mem;

	if (huge_pages_before < 0) {
		huge_pages_before = get(HUGE_PAGES, "");
		put(HUGE_PAGES, "6");
	}
	region_size = HUGE_SIZE;
	mem = mmap(NULL, region_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	return mem == MAP_FAILED ? NULL : mem;
}

/* Migration between nodes. */

static long migrated;

static const char *migrate_prepare(void)
{
	if (access("/sys/devices/system/node/node1/meminfo", R_OK))
		return "one NUMA node";
	migrated = get("/proc/vmstat", "pgmigrate_success ");
	return NULL;
}

static void change_migrate(unsigned int round)
{
	void *pages[AREA_PAGES];
	int nodes[AREA_PAGES], status[AREA_PAGES];
	unsigned int i, node;

	/* One of the two is where it is not. */
	for (node = 0; node < 2; node++) {
		for (i = 0; i < AREA_PAGES; i++) {
			pages[i] = area() + i * page_size;
			nodes[i] = (node + round) & 1;
		}
		must(syscall(__NR_move_pages, 0, AREA_PAGES, pages, nodes,
			     status, 2 /* MPOL_MF_MOVE */) < 0, "move_pages");
	}
}

static const char *migrate_finish(void)
{
	if (get("/proc/vmstat", "pgmigrate_success ") <= migrated)
		return "nothing was migrated";
	return NULL;
}

/* NUMA balancing. */

static const char *const scan_files[] = {
	NUMA, SCAN "scan_delay_ms", SCAN "scan_period_min_ms",
	SCAN "scan_period_max_ms",
};

static long scan_saved[ARRAY_SIZE(scan_files)];
static long hinted;

static const char *numa_prepare(void)
{
	static const long values[] = { 1, 10, 20, 40 };
	unsigned int i;

	if (access("/sys/devices/system/node/node1", F_OK))
		return "one NUMA node";
	for (i = 0; i < ARRAY_SIZE(scan_files); i++)
		scan_saved[i] = get(scan_files[i], "");
	if (scan_saved[0] < 0)
		return "no NUMA balancing in this kernel";
	/* Without a say in how often, it comes once a second. */
	for (i = 0; i < ARRAY_SIZE(scan_files); i++)
		if (scan_saved[i] >= 0)
			put_number(scan_files[i], values[i]);
	hinted = get("/proc/vmstat", "numa_pte_updates ");
	return NULL;
}

static void change_numa(unsigned int round)
{
	long before = get("/proc/vmstat", "numa_pte_updates ");
	/* Until the period is the new one, once. */
	double deadline = now_ms() + (round ? 120 : 2000);

	/* Who does nothing is not scanned. */
	while (now_ms() < deadline) {
		cpu_reads(false);
		if (get("/proc/vmstat", "numa_pte_updates ") > before)
			break;
	}
}

static const char *numa_finish(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(scan_files); i++)
		if (scan_saved[i] >= 0)
			put_number(scan_files[i], scan_saved[i]);
	if (get("/proc/vmstat", "numa_pte_updates ") <= hinted)
		return "nothing was scanned";
	return NULL;
}

/* A file that is cut, and grows again. */

static int file = -1;

static char *map_file(void)
{
	char *mem;

	region_size = area_size();
	file = memfd_create("sva_test", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, region_size))
		return NULL;
	mem = mmap(NULL, region_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	return mem == MAP_FAILED ? NULL : mem;
}

static void change_truncate(unsigned int round)
{
	must(ftruncate(file, COUNT_PAGES * page_size), "ftruncate");
	dma_must_fault(round & 1);
	must(ftruncate(file, region_size), "ftruncate");
}

static const char *file_finish(void)
{
	close(file);
	return NULL;
}

static const struct change changes[] = {
	{ "unmap", 24, .change = change_unmap, .after = decoy_end, .drops = true,
	  .faults = true },
	{ "move", 24, .prepare = move_prepare, .change = change_move, .faults = true },
	{ "drop", 24, .change = change_drop, .drops = true },
	{ "protect", 24, .change = change_protect, .faults = true },
	{ "fork", 12, .change = change_fork, .after = fork_end },
	{ "swap", 24, .prepare = swap_prepare, .change = change_swap,
	  .finish = swap_finish },
	{ "KSM", 4, .prepare = ksm_prepare, .change = change_ksm, .after = ksm_end,
	  .finish = ksm_finish, .same = true },
	{ "huge pages", 12, .map = map_aligned, .prepare = huge_prepare,
	  .change = change_huge, .finish = huge_finish },
	{ "hugetlb, protect", 8, .map = map_hugetlb, .change = change_protect,
	  .faults = true },
	{ "hugetlb, fork", 8, .map = map_hugetlb, .change = change_fork,
	  .after = fork_end },
	{ "migrate", 24, .prepare = migrate_prepare, .change = change_migrate,
	  .finish = migrate_finish },
	{ "NUMA balancing", 8, .prepare = numa_prepare, .change = change_numa,
	  .finish = numa_finish },
	{ "truncate", 24, .map = map_file, .change = change_truncate,
	  .finish = file_finish, .drops = true, .faults = true },
};

unsigned int nr_changes(void)
{
	return ARRAY_SIZE(changes);
}

const char *change_name(unsigned int i)
{
	return changes[i].name;
}

void change_cleanup(void)
{
	if (own_swap)
		swapoff(SWAP_DEVICE);
	if (huge_pages_before >= 0)
		put_number(HUGE_PAGES, huge_pages_before);
}

/* In a thread of its own: a new one takes the period of NUMA scanning as it is now. */
static void *run_rounds(void *arg)
{
	bool concurrent = arg;
	unsigned long jobs = jobs_done;
	unsigned int round;
	pthread_t threads[2];

	if (concurrent) {
		threads[0] = go(reader, NULL);
		threads[1] = go(writer, NULL);
	}
	for (round = 0; round < now->rounds && ok; round++)
		one_round(round, concurrent);
	if (concurrent) {
		stop_all(threads, ARRAY_SIZE(threads));
		if (jobs_done == jobs)
			wrong("DMA did nothing meanwhile");
		count_is_right();
	}
	printf("# %lu jobs counted, %u generations\n", jobs_done - jobs, begun);
	return NULL;
}

void change_test(unsigned int nr, bool concurrent)
{
	now = &changes[nr];
	if (!open_all())
		return;
	region = now->map ? now->map() : map_small();
	if (!region) {
		skip = "no such memory here";
		close_all();
		return;
	}
	area_at = (uintptr_t)region;
	begun = 0;
	jobs_begun = 0;
	jobs_done = 0;
	skip = now->prepare ? now->prepare() : NULL;
	if (!skip) {
		memset(area(), 0, area_size());
		cpu_writes();
		pthread_join(go(run_rounds, concurrent ? &stop : NULL), NULL);
		if (now->finish)
			skip = now->finish();
	}
	munmap(region, region_size);
	close_all();
}
