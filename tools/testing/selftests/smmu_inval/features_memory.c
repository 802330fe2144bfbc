// SPDX-License-Identifier: GPL-2.0
/*
 * The GPU's own memory: what is moved there and back is the same as before, for
 * whoever looks, and whatever else happens to it meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "features.h"

#define PAGES		64

/* Open a GPU, and skip the test if it has no memory; then return -1. */
static int open_memory(void)
{
	struct gpu_hmm_migrate arg;
	int fd = open_gpu(), err;
	char *mem;

	if (fd < 0)
		return fd;
	mem = map(page_size);
	*mem = 1;
	err = gpu_migrate(fd, mem, page_size, 0, &arg) ? errno : 0;
	munmap(mem, page_size);
	if (!err && arg.pages == 1)
		return fd;
	close(fd);
	if (err == EOPNOTSUPP)
		skip = "no device memory in this kernel";
	else
		wrong("cannot migrate a page: %s", strerror(err));
	return -1;
}

/* All of it, or fail: nobody else uses it. */
static void to_device(int fd, char *mem, unsigned int nr)
{
	struct gpu_hmm_migrate arg;

	if (gpu_migrate(fd, mem, nr * page_size, 0, &arg))
		wrong("migrate: %s", strerror(errno));
	is("pages that moved", arg.pages, nr);
}

static void to_system(int fd, char *mem, unsigned int nr)
{
	struct gpu_hmm_migrate arg;

	is("migrate back", gpu_migrate(fd, mem, nr * page_size,
				       GPU_HMM_MIGRATE_BACK, &arg), 0);
	is("pages that moved back", arg.pages, nr);
}

static uint64_t came_back(int fd)
{
	struct gpu_hmm_stats stats = { };

	gpu_stats(fd, &stats);
	return stats.to_system;
}

static void gpu_fill_pages(int fd, char *mem, unsigned int nr, unsigned int gen)
{
	char *copy = map(nr * page_size);

	fill_pages(copy, nr, gen);
	is("GPU writes", gpu_write(fd, 0, mem, copy, nr * page_size), 0);
	munmap(copy, nr * page_size);
}

/* What has moved is mapped, unless something like a NUMA scan came between. */
void memory_is_mapped(void)
{
	int fd = open_memory(), try;
	struct gpu_hmm_stats stats;
	uint64_t faults;
	char *mem;

	if (fd < 0)
		return;
	mem = map(PAGES * page_size);
	fill_pages(mem, PAGES, 1);
	for (try = 0; try < 10; try++) {
		gpu_stats(fd, &stats);
		faults = stats.faults;
		to_device(fd, mem, PAGES);
		gpu_check_pages("GPU, in device memory", fd, mem, PAGES, 1);
		gpu_stats(fd, &stats);
		if (stats.faults == faults)
			break;
		to_system(fd, mem, PAGES);
	}
	is("the GPU faulted what had moved, ten times", try == 10, 0);
	close(fd);
	munmap(mem, PAGES * page_size);
}

void memory_there_and_back(void)
{
	int fd = open_memory();
	uint64_t before;
	char *mem;

	if (fd < 0)
		return;
	mem = map(PAGES * page_size);
	fill_pages(mem, PAGES, 1);
	before = came_back(fd);
	to_device(fd, mem, PAGES);
	gpu_check_pages("GPU, in device memory", fd, mem, PAGES, 1);
	is("pages that came back for it", came_back(fd) - before, 0);
	gpu_fill_pages(fd, mem, PAGES, 2);
	gpu_check_pages("GPU, what it wrote", fd, mem, PAGES, 2);
	to_system(fd, mem, PAGES);
	gpu_check_pages("GPU, in system memory", fd, mem, PAGES, 2);
	check_pages("CPU", mem, PAGES, 2);
	/* And once more without a look between. */
	to_device(fd, mem, PAGES);
	to_system(fd, mem, PAGES);
	check_pages("CPU, again", mem, PAGES, 2);
	close(fd);
	munmap(mem, PAGES * page_size);
}

void memory_cpu_fault(void)
{
	int fd = open_memory();
	uint64_t before, word = 0;
	unsigned int i;
	char *mem;

	if (fd < 0)
		return;
	mem = map(PAGES * page_size);
	fill_pages(mem, PAGES, 1);
	to_device(fd, mem, PAGES);
	gpu_fill_pages(fd, mem, PAGES, 2);
	before = came_back(fd);
	for (i = 0; i < PAGES / 2; i++)
		check_pages("CPU", mem, i + 1, 2);
	is("pages that came back", came_back(fd) - before >= PAGES / 2, 1);
	/* By a write; and the GPU must not go on with its own copy. */
	for (i = PAGES / 2; i < PAGES; i++)
		*(uint64_t *)(mem + i * page_size) = i;
	for (i = PAGES / 2; i < PAGES; i++) {
		is("GPU reads", gpu_read(fd, i & 1, mem + i * page_size, &word,
					 8), 0);
		is("what the CPU wrote", word, i);
	}
	close(fd);
	munmap(mem, PAGES * page_size);
}

void memory_partial_unmap(void)
{
	int fd = open_memory();
	char *mem;

	if (fd < 0)
		return;
	mem = map(PAGES * page_size);
	fill_pages(mem, PAGES, 1);
	to_device(fd, mem, PAGES);
	munmap(mem + PAGES / 2 * page_size, PAGES / 4 * page_size);
	is("GPU in the hole", gpu_fill(fd, 0, mem + PAGES / 2 * page_size, 8,
				       1), -EFAULT);
	gpu_check_pages("GPU, below the hole", fd, mem, PAGES / 2, 1);
	check_pages("CPU, below the hole", mem, PAGES / 2, 1);
	munmap(mem, PAGES / 2 * page_size);
	is("the last page", word_at(mem + PAGES * page_size - 8) >> 32 & 1, 1);
	close(fd);
	munmap(mem, PAGES * page_size);
}

void memory_fork(void)
{
	int fd = open_memory(), status = -1, round;
	char *mem;
	pid_t pid;

	if (fd < 0)
		return;
	mem = map(PAGES * page_size);
	for (round = 0; ok && round < 8; round++) {
		fill_pages(mem, PAGES, 1);
		to_device(fd, mem, PAGES);
		gpu_fill_pages(fd, mem, PAGES, 2);
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			usleep(1000 * round);
			check_pages("child", mem, PAGES, 2);
			fill_pages(mem, PAGES, 3);
			check_pages("child, what it wrote", mem, PAGES, 3);
			_exit(!ok);
		}
		/* What the GPU writes now is not the child's. */
		if (round & 1)
			gpu_fill_pages(fd, mem, PAGES, 4);
		else
			fill_pages(mem, PAGES, 4);
		if (waitpid(pid, &status, 0) != pid || status)
			wrong("the child failed: %#x", status);
		gpu_check_pages("GPU after fork", fd, mem, PAGES, 4);
		check_pages("CPU after fork", mem, PAGES, 4);
	}
	close(fd);
	munmap(mem, PAGES * page_size);
}

struct mover {
	int fd;
	char *mem;
	unsigned int pages;
	/* Whether somebody may have unmapped it. */
	bool holes;
	unsigned long there, back;
};

/* There and back, all the time. */
static void *move(void *arg)
{
	struct mover *m = arg;
	struct gpu_hmm_migrate there, back;
	unsigned int seed = 1;

	while (!atomic_load(&stop)) {
		unsigned int page = rand_r(&seed) % m->pages;
		unsigned int nr = 1 + rand_r(&seed) % (m->pages - page);
		char *at = m->mem + page * page_size;
		int err;

		err = gpu_migrate(m->fd, at, nr * page_size, 0, &there) ?
		      errno : 0;
		if (!err)
			err = gpu_migrate(m->fd, at, nr * page_size,
					  GPU_HMM_MIGRATE_BACK, &back) ?
			      errno : 0;
		if (err && !(m->holes && err == EFAULT)) {
			wrong("migrate: %s", strerror(err));
			break;
		}
		if (err)
			continue;
		m->there += there.pages;
		m->back += back.pages;
	}
	return NULL;
}

static void say(const struct mover *m)
{
	printf("# %lu pages moved there, and %lu back\n", m->there, m->back);
	if (!m->there)
		wrong("nothing was migrated");
}

void memory_others(void)
{
	struct mover m = { .fd = open_memory(), .pages = PAGES };
	struct gpu_hmm_migrate arg;
	int same, other;
	double end;
	pthread_t thread;

	if (m.fd < 0)
		return;
	same = open_gpu();
	other = open_other_gpu();
	m.mem = map(PAGES * page_size);
	fill_pages(m.mem, PAGES, 1);
	to_device(m.fd, m.mem, PAGES);
	gpu_check_pages("another file", same, m.mem, PAGES, 1);
	gpu_check_pages("another GPU", other, m.mem, PAGES, 1);
	gpu_fill_pages(other, m.mem, PAGES, 2);
	gpu_check_pages("the GPU", m.fd, m.mem, PAGES, 2);

	thread = go(move, &m);
	for (end = now_ms() + 1500; ok && now_ms() < end; ) {
		gpu_check_pages("another file, meanwhile", same, m.mem, PAGES,
				2);
		gpu_check_pages("another GPU, meanwhile", other, m.mem, PAGES,
				2);
		check_pages("the CPU, meanwhile", m.mem, PAGES, 2);
	}
	stop_all(&thread, 1);
	say(&m);
	/* What is in one GPU's memory the other leaves there, and yet finds. */
	to_device(m.fd, m.mem, PAGES);
	is("migrate what is elsewhere",
	   gpu_migrate(other, m.mem, PAGES * page_size, 0, &arg), 0);
	gpu_check_pages("the other's access", other, m.mem, PAGES, 2);
	gpu_check_pages("the other's memory", m.fd, m.mem, PAGES, 2);
	close(other);
	close(same);
	close(m.fd);
	munmap(m.mem, PAGES * page_size);
}

/* One word in each page. */
struct counting {
	int fd;
	int engine;
	char *mem;
	unsigned long rounds;
};

static void *count_by_gpu(void *arg)
{
	struct counting *c = arg;
	unsigned int i;

	while (!atomic_load(&stop)) {
		for (i = 0; i < PAGES; i++) {
			int err = gpu_add(c->fd, c->engine,
					  c->mem + i * page_size, 8, 1, NULL);

			if (err)
				wrong("GPU adds: %s", strerror(-err));
		}
		c->rounds++;
	}
	return NULL;
}

static void *count_by_cpu(void *arg)
{
	struct counting *c = arg;
	unsigned int i;

	while (!atomic_load(&stop)) {
		for (i = 0; i < PAGES; i++)
			__atomic_fetch_add((uint64_t *)(c->mem + i * page_size),
					   1, __ATOMIC_SEQ_CST);
		c->rounds++;
		usleep(500);
	}
	return NULL;
}

void memory_counters(void)
{
	struct mover m = { .fd = open_memory(), .pages = PAGES };
	struct counting c[3] = { };
	uint64_t sum = 0;
	pthread_t threads[4];
	unsigned int i;

	if (m.fd < 0)
		return;
	m.mem = map(PAGES * page_size);
	memset(m.mem, 0, PAGES * page_size);
	c[0].fd = m.fd;
	c[1].fd = open_other_gpu();
	c[1].engine = 1;
	for (i = 0; i < 3; i++) {
		c[i].mem = m.mem;
		threads[i] = go(i < 2 ? count_by_gpu : count_by_cpu, &c[i]);
	}
	threads[3] = go(move, &m);
	usleep(2000000);
	stop_all(threads, 4);
	for (i = 0; i < 3; i++)
		sum += c[i].rounds;
	printf("# %lu additions by a GPU, %lu by the other, %lu by the CPU, in each page\n",
	       c[0].rounds, c[1].rounds, c[2].rounds);
	for (i = 0; i < PAGES; i++)
		if (word_at(m.mem + i * page_size) != sum) {
			wrong("page %u: %llu after %llu additions", i,
			      (unsigned long long)word_at(m.mem + i * page_size),
			      (unsigned long long)sum);
			break;
		}
	say(&m);
	close(c[1].fd);
	close(m.fd);
	munmap(m.mem, PAGES * page_size);
}

static void check_zeros(int fd, const char *mem)
{
	uint64_t word = 1;
	unsigned int i;

	for (i = 0; ok && i < PAGES; i++) {
		is("GPU reads", gpu_read(fd, i & 1, mem + i * page_size, &word,
					 8), 0);
		is("of what was discarded", word, 0);
	}
}

static void change(int fd, char **mem, char **other, unsigned int i)
{
	char *was = *mem;

	switch (i % 4) {
	case 0:
		is("DONTNEED", madvise(*mem, PAGES * page_size, MADV_DONTNEED),
		   0);
		check_zeros(fd, *mem);
		break;
	case 1:
		/* Moved over the other's place, and back in the next round. */
		if (mremap(*mem, PAGES * page_size, PAGES * page_size,
			   MREMAP_MAYMOVE | MREMAP_FIXED, *other) != *other)
			wrong("mremap: %s", strerror(errno));
		*mem = *other;
		*other = was;
		check_pages("CPU, moved", *mem, PAGES, i);
		is("GPU where it was", gpu_fill(fd, 0, was, 8, 1), -EFAULT);
		break;
	case 2:
		if (mmap(*mem, PAGES * page_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		    *mem)
			wrong("mmap: %s", strerror(errno));
		check_zeros(fd, *mem);
		break;
	case 3:
		munmap(*mem, PAGES / 2 * page_size);
		is("GPU in the hole", gpu_fill(fd, 0, *mem, 8, 1), -EFAULT);
		mmap(*mem, PAGES / 2 * page_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	}
}

/* While a thread moves it there and back, wherever it is. */
void memory_changes(void)
{
	struct mover m[2] = {
		{ .fd = open_memory(), .pages = PAGES, .holes = true },
	};
	char *area, *mem, *other;
	pthread_t threads[2];
	unsigned int i;
	double end;

	if (m[0].fd < 0)
		return;
	area = map(2 * PAGES * page_size);
	mem = area;
	other = area + PAGES * page_size;
	munmap(other, PAGES * page_size);
	m[1] = m[0];
	m[0].mem = mem;
	m[1].mem = other;
	threads[0] = go(move, &m[0]);
	threads[1] = go(move, &m[1]);
	end = now_ms() + 2500;
	for (i = 1; ok && now_ms() < end; i++) {
		if (i & 1)
			fill_pages(mem, PAGES, i);
		else
			gpu_fill_pages(m[0].fd, mem, PAGES, i);
		gpu_check_pages("GPU", m[0].fd, mem, PAGES, i);
		check_pages("CPU", mem, PAGES, i);
		change(m[0].fd, &mem, &other, i);
	}
	stop_all(threads, 2);
	m[0].there += m[1].there;
	m[0].back += m[1].back;
	printf("# %u rounds\n", i);
	say(&m[0]);
	close(m[0].fd);
	munmap(mem, PAGES * page_size);
}

void memory_huge(void)
{
	const size_t huge = 2 << 20;
	unsigned int nr, half;
	struct gpu_hmm_migrate arg;
	int fd = open_memory();
	char *mem;

	if (fd < 0)
		return;
	nr = huge / page_size;
	half = nr / 2;
	mem = map_aligned(huge);
	if (madvise(mem, huge, MADV_HUGEPAGE)) {
		skip = "no huge pages";
		close(fd);
		return;
	}
	fill_pages(mem, nr, 1);
	is("migrate", gpu_migrate(fd, mem, huge, 0, &arg), 0);
	is("pages", arg.pages, nr);
	printf("# %llu of %llu pages moved as part of a huge page\n",
	       (unsigned long long)arg.large, (unsigned long long)arg.pages);
	gpu_check_pages("GPU", fd, mem, nr, 1);
	gpu_fill_pages(fd, mem, half / 2, 2);
	munmap(mem + half * page_size, huge - half * page_size);
	gpu_check_pages("GPU, the first quarter", fd, mem, half / 2, 2);
	check_pages("CPU, the first quarter", mem, half / 2, 2);
	is("GPU in the hole", gpu_fill(fd, 0, mem + half * page_size, 8, 1),
	   -EFAULT);
	is("migrate back", gpu_migrate(fd, mem, half * page_size,
				       GPU_HMM_MIGRATE_BACK, &arg), 0);
	fill_pages(mem, half, 3);
	gpu_check_pages("GPU, the half", fd, mem, half, 3);
	munmap(mem, half * page_size);

	/* Whole, there and back. */
	mem = map_aligned(huge);
	madvise(mem, huge, MADV_HUGEPAGE);
	fill_pages(mem, nr, 4);
	is("migrate", gpu_migrate(fd, mem, huge, 0, &arg), 0);
	gpu_fill_pages(fd, mem, half / 2, 5);
	is("migrate back", gpu_migrate(fd, mem, huge, GPU_HMM_MIGRATE_BACK,
				       &arg), 0);
	printf("# %llu of %llu pages came back as part of a huge page\n",
	       (unsigned long long)arg.large, (unsigned long long)arg.pages);
	check_pages("CPU", mem, half / 2, 5);
	munmap(mem, huge);
	close(fd);
}
