// SPDX-License-Identifier: GPL-2.0
/*
 * What the process does to its memory while the GPU works on it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"
#include "swap.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define KSM		"/sys/kernel/mm/ksm/"

static size_t data_size, chunk_size;
static char reason[160];

static struct chunk *chunk(unsigned int i)
{
	data_size = DATA_PAGES * page_size;
	chunk_size = CHUNK_PAGES * page_size;
	return &demo.chunks[i % NR_CHUNKS];
}

/* After the call, errno is worth a look only if it failed. */
void must(int ret, const char *what)
{
	if (ret)
		fail("%s: %s", what, strerror(errno));
}

int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, value, strlen(value)) < 0 ? -1 : 0;
	close(fd);
	return ret;
}

long get(const char *path, const char *name)
{
	static char text[16384];
	int fd = open(path, O_RDONLY);
	ssize_t len;
	char *at = text;

	if (fd < 0)
		return -1;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -1;
	text[len] = '\0';
	if (name) {
		at = strstr(text, name);
		if (!at)
			return -1;
		at += strlen(name);
	}
	return atol(at);
}

/* munmap: nothing, then zeros, then something new. */

static void munmap_round(unsigned int i)
{
	struct chunk *c = chunk(i);
	unsigned int gen = current(c).gen;
	void *addr;

	step_begin(c, MAY_BE_GONE, gen);
	must(munmap(c->addr, data_size), "munmap");
	step_done(c);
	expect_error(c, false, -EFAULT);

	step_begin(c, MAY_BE_ZERO, gen);
	addr = mmap(c->addr, data_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	must(addr != c->addr, "mmap");
	step_done(c);
	if (i & 2)
		verify_gpu(c);

	rewrite(c, i & 1);
	verify(c, i & 2);
}

/* mremap: the same, elsewhere. */

static const char *mremap_prepare(void)
{
	unsigned int i;
	char *addr;

	addr = mmap(NULL, NR_CHUNKS * CHUNK_PAGES * page_size,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		return "no memory";
	for (i = NR_CHUNKS; i < 2 * NR_CHUNKS; i++) {
		struct chunk *c = &demo.chunks[i];

		c->addr = addr;
		addr += CHUNK_PAGES * page_size;
		step_begin(c, MAY_BE_GONE | MAY_BE_ALL_GONE, 0);
		munmap(c->addr, CHUNK_PAGES * page_size);
		step_done(c);
	}
	return NULL;
}

static void mremap_round(unsigned int i)
{
	struct chunk *from = chunk(i), *to = from + NR_CHUNKS;
	void *addr;

	if (current(from).may & MAY_BE_GONE) {
		to = from;
		from = to + NR_CHUNKS;
	}
	step_begin(to, MAY_BE_DATA, current(from).gen);
	step_begin(from, MAY_BE_GONE | MAY_BE_ALL_GONE, current(from).gen);
	addr = mremap(from->addr, chunk_size, chunk_size,
		      MREMAP_MAYMOVE | MREMAP_FIXED, to->addr);
	must(addr != to->addr, "mremap");
	step_done(from);
	step_done(to);

	expect_error(from, i & 1, -EFAULT);
	verify(to, i & 2);
	rewrite(to, i & 1);
	verify(to, i & 2);
}

/* mprotect: not to be written, and then not to be read, either. */

static void mprotect_round(unsigned int i)
{
	struct chunk *c = chunk(i);
	unsigned int gen = current(c).gen;

	step_begin(c, MAY_BE_DATA | MAY_BE_RDONLY, gen);
	must(mprotect(c->addr, chunk_size, PROT_READ), "mprotect");
	step_done(c);
	expect_error(c, true, -EPERM);
	verify(c, i & 1);

	step_begin(c, MAY_BE_DATA | MAY_BE_GONE | MAY_BE_ALL_GONE, gen);
	must(mprotect(c->addr, chunk_size, PROT_NONE), "mprotect");
	step_done(c);
	expect_error(c, i & 1, -EFAULT);

	step_begin(c, MAY_BE_DATA, gen);
	must(mprotect(c->addr, chunk_size, PROT_READ | PROT_WRITE), "mprotect");
	step_done(c);
	rewrite(c, true);
	verify(c, i & 1);
}

/* MADV_DONTNEED: zeros. */

static void dontneed_round(unsigned int i)
{
	struct chunk *c = chunk(i);

	step_begin(c, MAY_BE_ZERO, current(c).gen);
	must(madvise(c->addr, data_size, MADV_DONTNEED), "MADV_DONTNEED");
	step_done(c);
	verify(c, i & 1);
	rewrite(c, i & 2);
	verify(c, i & 1);
}

/* The same in a file that is shared. */

static void punch_round(unsigned int i)
{
	struct chunk *c = chunk(i);

	step_begin(c, MAY_BE_ZERO, current(c).gen);
	must(fallocate(demo.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       c->id * chunk_size, data_size), "fallocate");
	step_done(c);
	verify(c, i & 1);
	rewrite(c, i & 2);
	verify(c, i & 1);
}

/*
 * MADV_FREE: the data or zeros, until somebody writes: what the GPU writes has
 * to survive reclaim.
 */
static void madvfree_round(unsigned int i)
{
	struct chunk *c = chunk(i);

	step_begin(c, MAY_BE_DATA | MAY_BE_ZERO, current(c).gen);
	must(madvise(c->addr, data_size, MADV_FREE), "MADV_FREE");
	step_done(c);
	if (i & 1)
		must(madvise(c->addr, data_size, MADV_PAGEOUT), "MADV_PAGEOUT");
	if (i & 2)
		verify(c, true);
	rewrite(c, true);
	must(madvise(c->addr, data_size, MADV_PAGEOUT), "MADV_PAGEOUT");
	verify(c, i & 2);
}

/* fork: the child has what there was, while the GPU writes in the parent. */

static struct fork_shared {
	uint64_t counters[NR_CHUNKS][NR_COUNTERS];
} *fork_shared;

static const char *fork_prepare(void)
{
	fork_shared = mmap(NULL, sizeof(*fork_shared), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return fork_shared == MAP_FAILED ? "no memory" : NULL;
}

static void read_counters(uint64_t to[NR_CHUNKS][NR_COUNTERS])
{
	unsigned int i, j;

	for (i = 0; i < NR_CHUNKS; i++)
		for (j = 0; j < NR_COUNTERS; j++)
			to[i][j] = *(volatile uint64_t *)
				counter(&demo.chunks[i], j);
}

/* Looks twice, before and after the parent has written everything anew. */
static int fork_child(int in, int out)
{
	static uint64_t again[NR_CHUNKS][NR_COUNTERS];
	int bad;
	char c;

	read_counters(fork_shared->counters);
	bad = in_child_data_bad();
	/* What the child writes must not reach the parent, either. */
	demo.chunks[0].addr[page_size - 1] ^= 1;
	if (write(out, "", 1) != 1 || read(in, &c, 1) != 1)
		return 1;
	demo.chunks[0].addr[page_size - 1] ^= 1;
	bad += in_child_data_bad();
	read_counters(again);
	bad += !!memcmp(again, fork_shared->counters, sizeof(again));
	return bad ? 2 : 0;
}

static void fork_check_counters(uint64_t before[NR_CHUNKS][NR_COUNTERS],
				uint64_t after[NR_CHUNKS][NR_COUNTERS])
{
	unsigned int i, j;

	for (i = 0; i < NR_CHUNKS; i++) {
		for (j = 0; j < NR_COUNTERS; j++) {
			uint64_t is = fork_shared->counters[i][j];

			if (is < before[i][j] || is > after[i][j])
				fail("the child has a counter of %llu, the parent had %llu to %llu",
				     (unsigned long long)is,
				     (unsigned long long)before[i][j],
				     (unsigned long long)after[i][j]);
		}
	}
}

static void fork_round(unsigned int i)
{
	static uint64_t before[NR_CHUNKS][NR_COUNTERS];
	static uint64_t after[NR_CHUNKS][NR_COUNTERS];
	int to_child[2], from_child[2], status = -1;
	struct chunk *c = chunk(0);
	unsigned int j;
	pid_t pid;
	char byte;

	if (pipe(to_child) || pipe(from_child)) {
		must(-1, "pipe");
		return;
	}
	read_counters(before);
	pid = fork();
	if (pid == 0) {
		close(to_child[1]);
		close(from_child[0]);
		_exit(fork_child(to_child[0], from_child[1]));
	}
	read_counters(after);
	must(pid < 0, "fork");
	/* So that a child that dies is an end of file, and not a wait. */
	close(to_child[0]);
	close(from_child[1]);

	/* The first half before the child has looked at anything. */
	for (j = 0; j < NR_CHUNKS / 2; j++)
		rewrite(&c[j], (i + j) & 1);
	if (pid > 0 && read(from_child[0], &byte, 1) != 1)
		fail("the child died");
	for (; j < NR_CHUNKS; j++)
		rewrite(&c[j], (i + j) & 1);
	if (pid > 0 && write(to_child[1], "", 1) != 1)
		fail("the child is gone");
	verify_all();
	if (pid > 0 && waitpid(pid, &status, 0) != pid)
		must(-1, "waitpid");
	if (status)
		fail("the child does not have what its parent had at the fork (status %#x)",
		     status);
	else
		fork_check_counters(before, after);
	close(to_child[1]);
	close(from_child[0]);
}

static const char *fork_finish(void)
{
	munmap(fork_shared, sizeof(*fork_shared));
	return NULL;
}

/* KSM: pages that are the same become one, until somebody writes to one. */

static long merged;

static const char *ksm_prepare(void)
{
	merged = 0;
	if (get(KSM "run", NULL) < 0)
		return "no KSM in this kernel";
	if (put(KSM "run", "1"))
		return "not allowed to start ksmd";
	put(KSM "pages_to_scan", "2000");
	return NULL;
}

static void ksm_round(unsigned int i)
{
	struct chunk *c = chunk(0);
	unsigned int gen = 0, j;
	long now = 0;

	put(KSM "sleep_millisecs", "1");
	/* The same everywhere, and never seen before. */
	for (j = 0; j < NR_CHUNKS; j++)
		if (current(&c[j]).gen > gen)
			gen = current(&c[j]).gen;
	for (j = 0; j < NR_CHUNKS; j++) {
		rewrite_as(&c[j], gen + 1, j & 1);
		must(madvise(c[j].addr, data_size, MADV_MERGEABLE),
		     "MADV_MERGEABLE");
	}
	/* One page that is shared, and all others that share it. */
	for (j = 0; j < 200 && now < NR_CHUNKS * DATA_PAGES / 2; j++) {
		usleep(5000);
		now = get(KSM "pages_sharing", NULL);
	}
	if (now > merged)
		merged = now;
	/* Else it merges again what the GPU is about to write to, for ever. */
	put(KSM "sleep_millisecs", "100");
	verify_all();

	/* Who writes to one of them must not write to all. */
	rewrite(&c[i % NR_CHUNKS], true);
	verify_all();
	rewrite(&c[(i + 1) % NR_CHUNKS], false);
	verify_all();
	for (j = 0; j < NR_CHUNKS; j++)
		must(madvise(c[j].addr, data_size, MADV_UNMERGEABLE),
		     "MADV_UNMERGEABLE");
	verify_all();
}

static const char *ksm_finish(void)
{
	put(KSM "run", "0");
	return merged > 0 ? NULL : "ksmd merged nothing";
}

/* Reclaim: what was swapped out comes back as the GPU left it. */

static long swapped_out;
static bool own_swap;

static const char *reclaim_prepare(void)
{
	if (!own_swap && get("/proc/meminfo", "SwapTotal:") <= 0) {
		if (swap_on_ram_disk()) {
			snprintf(reason, sizeof(reason),
				 "no swap, and none on " SWAP_DEVICE ": %s",
				 strerror(errno));
			return reason;
		}
		own_swap = true;
	}
	swapped_out = get("/proc/vmstat", "pswpout ");
	return swapped_out < 0 ? "no pswpout in /proc/vmstat" : NULL;
}

static void reclaim_round(unsigned int i)
{
	struct chunk *c = chunk(i);

	rewrite(c, i & 1);
	must(madvise(c->addr, chunk_size, MADV_PAGEOUT), "MADV_PAGEOUT");
	verify(c, i & 2);
	/* Clean, and with a copy in swap that is still good, until now. */
	rewrite(c, true);
	must(madvise(c->addr, chunk_size, MADV_PAGEOUT), "MADV_PAGEOUT");
	verify(c, i & 1);
}

static const char *reclaim_finish(void)
{
	if (get("/proc/vmstat", "pswpout ") <= swapped_out)
		return "nothing was swapped out";
	return NULL;
}

/*
 * Migration: to another node, or, if there is none, by compaction, which needs
 * holes in memory that it can close.
 */

#define SCRATCH_PAGES	256

static long migrated;
static bool two_nodes;
static char *scratch;

static void make_holes(void)
{
	unsigned int i;

	for (i = 0; i < SCRATCH_PAGES; i++)
		scratch[i * page_size] = 1;
	for (i = 0; i < SCRATCH_PAGES; i += 2)
		madvise(scratch + i * page_size, page_size, MADV_DONTNEED);
}

static const char *migrate_prepare(void)
{
	two_nodes = !access("/sys/devices/system/node/node1/meminfo", R_OK);
	if (!two_nodes && access("/proc/sys/vm/compact_memory", W_OK))
		return "one node, and no compaction";
	scratch = mmap(NULL, SCRATCH_PAGES * page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (scratch == MAP_FAILED)
		return "no memory";
	migrated = get("/proc/vmstat", "pgmigrate_success ");
	return migrated < 0 ? "no pgmigrate_success in /proc/vmstat" : NULL;
}

static void move_to_node(struct chunk *c, int node)
{
	static void *pages[CHUNK_PAGES];
	static int nodes[CHUNK_PAGES], status[CHUNK_PAGES];
	unsigned int i;

	for (i = 0; i < CHUNK_PAGES; i++) {
		pages[i] = c->addr + i * page_size;
		nodes[i] = node;
	}
	must(syscall(__NR_move_pages, 0, CHUNK_PAGES, pages, nodes, status,
		     2 /* MPOL_MF_MOVE */) < 0, "move_pages");
}

static void migrate_round(unsigned int i)
{
	struct chunk *c = chunk(i);

	/* New pages, from the holes. */
	if (!two_nodes && !(i % 4))
		make_holes();
	step_begin(c, MAY_BE_ZERO, current(c).gen);
	must(madvise(c->addr, data_size, MADV_DONTNEED), "MADV_DONTNEED");
	step_done(c);
	rewrite(c, i & 1);
	if (two_nodes) {
		/* One of the two is where it is not. */
		move_to_node(c, 0);
		verify(c, i & 2);
		move_to_node(c, 1);
	} else {
		must(put("/proc/sys/vm/compact_memory", "1"), "compact_memory");
	}
	verify(c, i & 2);
	rewrite(c, true);
	verify(c, i & 2);
}

static const char *migrate_finish(void)
{
	munmap(scratch, SCRATCH_PAGES * page_size);
	if (get("/proc/vmstat", "pgmigrate_success ") <= migrated)
		return "nothing was migrated";
	return NULL;
}

/* clear_refs: nothing changes, but every write has to be noticed. */

static const char *clear_refs_prepare(void)
{
	if (put("/proc/self/clear_refs", "4")) {
		snprintf(reason, sizeof(reason), "clear_refs: %s",
			 strerror(errno));
		return reason;
	}
	return NULL;
}

static void clear_refs_round(unsigned int i)
{
	struct chunk *c = chunk(i);

	must(put("/proc/self/clear_refs", "4"), "clear_refs");
	verify(c, i & 1);
	rewrite(c, i & 2);
	verify(c, i & 1);
}

void phases_cleanup(void)
{
	if (own_swap)
		swapoff(SWAP_DEVICE);
}

const struct phase phases[] = {
	{ .name = "munmap", .rounds = 64, .round = munmap_round },
	{ .name = "mremap", .rounds = 64, .prepare = mremap_prepare,
	  .round = mremap_round },
	{ .name = "mprotect", .rounds = 64, .round = mprotect_round },
	{ .name = "dontneed", .rounds = 64, .round = dontneed_round },
	{ .name = "punch-hole", .rounds = 64, .shared = true,
	  .round = punch_round },
	{ .name = "madv-free", .rounds = 64, .round = madvfree_round },
	{ .name = "fork", .rounds = 8, .prepare = fork_prepare,
	  .round = fork_round, .finish = fork_finish },
	{ .name = "ksm", .rounds = 3, .same = true, .prepare = ksm_prepare,
	  .round = ksm_round, .finish = ksm_finish },
	{ .name = "reclaim", .rounds = 48, .prepare = reclaim_prepare,
	  .round = reclaim_round, .finish = reclaim_finish },
	{ .name = "migrate", .rounds = 16, .prepare = migrate_prepare,
	  .round = migrate_round, .finish = migrate_finish },
	{ .name = "clear-refs", .rounds = 48, .prepare = clear_refs_prepare,
	  .round = clear_refs_round },
};

const unsigned int nr_phases = ARRAY_SIZE(phases);
