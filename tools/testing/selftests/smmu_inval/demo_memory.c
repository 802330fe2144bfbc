// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of the demo, what has to be in it, and the threads that have the
 * GPU work on it meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"

#define MAX_FAILURES	8

struct demo demo;
size_t page_size, page_words;

enum { MAIN, READER, ADDER, STEADY, NR_THREADS };

static pthread_barrier_t barrier;
static uint64_t *buffers[NR_THREADS];

void fail(const char *fmt, ...)
{
	char line[256];
	va_list args;

	if (atomic_fetch_add(&demo.failures, 1) >= MAX_FAILURES)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	printf("# %s, %s: %s\n", demo.phase, demo.coarse ? "coarse" : "precise",
	       line);
}

/* What word @i of page @page of chunk @id is in generation @gen. */
static uint64_t pattern(unsigned int id, unsigned int page, unsigned int gen)
{
	uint64_t x = gen;

	if (!demo.same)
		x |= (uint64_t)(id * CHUNK_PAGES + page + 1) << 32;
	x ^= 0x5a5a5a5a00000000ull;
	x *= 0x9e3779b97f4a7c15ull;
	return (x ^ x >> 29) | 1ull << 63;
}

static void make_page(uint64_t *words, unsigned int id, unsigned int page,
		      unsigned int gen)
{
	uint64_t base = pattern(id, page, gen);
	size_t i;

	for (i = 0; i < page_words; i++)
		words[i] = base + i;
}

struct step current(struct chunk *c)
{
	return c->steps[atomic_load(&c->hi) % NR_STEPS];
}

void step_begin(struct chunk *c, unsigned int may, unsigned int gen)
{
	unsigned long next = atomic_load(&c->hi) + 1;

	c->steps[next % NR_STEPS] = (struct step){ .may = may, .gen = gen };
	atomic_store(&c->hi, next);
}

void step_done(struct chunk *c)
{
	atomic_store(&c->lo, atomic_load(&c->hi));
}

/* So far behind that the steps were overwritten: nothing can be said. */
static bool too_old(struct chunk *c, unsigned long lo)
{
	return atomic_load(&c->hi) - lo >= NR_STEPS - 1;
}

/* Of all steps between, does one allow any of this? */
static bool allowed(struct chunk *c, unsigned long lo, unsigned long hi,
		    unsigned int may)
{
	for (; lo <= hi; lo++)
		if (c->steps[lo % NR_STEPS].may & may)
			return true;
	return false;
}

static bool writable(struct chunk *c, unsigned long lo, unsigned long hi)
{
	const unsigned int deny = MAY_BE_ALL_GONE | MAY_BE_RDONLY;

	for (; lo <= hi; lo++)
		if (!(c->steps[lo % NR_STEPS].may & deny))
			return true;
	return false;
}

static bool word_allowed(struct chunk *c, unsigned long lo, unsigned long hi,
			 unsigned int page, size_t i, uint64_t word)
{
	for (; lo <= hi; lo++) {
		struct step s = c->steps[lo % NR_STEPS];

		if (s.may & MAY_BE_ZERO && !word)
			return true;
		if (s.may & MAY_BE_DATA &&
		    word == pattern(c->id, page, s.gen) + i)
			return true;
	}
	return false;
}

static void describe(struct chunk *c, unsigned int page, size_t i,
		     uint64_t word, const char *who)
{
	struct step s = current(c);
	unsigned int gen;

	if (!word) {
		fail("%s finds zeros in page %u of chunk %u, not generation %u",
		     who, page, c->id, s.gen);
		return;
	}
	for (gen = s.gen; gen; gen--) {
		if (word == pattern(c->id, page, gen) + i) {
			fail("%s finds old generation %u in page %u of chunk %u, now %s %u",
			     who, gen, page, c->id,
			     s.may & MAY_BE_DATA ? "generation" : "nothing after",
			     s.gen);
			return;
		}
	}
	fail("%s finds %#llx in word %zu of page %u of chunk %u, which is at generation %u",
	     who, (unsigned long long)word, i, page, c->id, s.gen);
}

static bool check_words(struct chunk *c, unsigned long lo, unsigned long hi,
			unsigned int page, const uint64_t *words,
			const char *who)
{
	struct step s = c->steps[lo % NR_STEPS];
	uint64_t base = pattern(c->id, page, s.gen);
	size_t i;

	for (i = 0; i < page_words; i++) {
		uint64_t word = words[i];

		if (s.may & MAY_BE_DATA && word == base + i)
			continue;
		if (word_allowed(c, lo, hi, page, i, word))
			continue;
		if (too_old(c, lo))
			return true;
		describe(c, page, i, word, who);
		return false;
	}
	return true;
}

uint64_t *counter(struct chunk *c, unsigned int i)
{
	char *page = c->addr + DATA_PAGES * page_size;

	return (uint64_t *)page + i * (page_words / NR_COUNTERS);
}

/* Generation @gen in all data pages. */
void rewrite_as(struct chunk *c, unsigned int gen, bool by_gpu)
{
	unsigned int page;
	uint64_t *words = by_gpu ? buffers[MAIN] : (uint64_t *)c->addr;
	int err;

	step_begin(c, MAY_BE_DATA, gen);
	for (page = 0; page < DATA_PAGES; page++)
		make_page(words + page * page_words, c->id, page, gen);
	if (by_gpu) {
		err = gpu_write(demo.fd, ENGINE_CHUNKS, c->addr, words,
				DATA_PAGES * page_size);
		if (err)
			fail("the GPU cannot write to chunk %u: %s", c->id,
			     strerror(-err));
	}
	step_done(c);
}

void rewrite(struct chunk *c, bool by_gpu)
{
	rewrite_as(c, current(c).gen + 1, by_gpu);
}

/* For the main thread, between steps: exactly what the step says. */
bool verify_cpu(struct chunk *c)
{
	unsigned long at = atomic_load(&c->hi);
	unsigned int page;

	for (page = 0; page < DATA_PAGES; page++)
		if (!check_words(c, at, at, page,
				 (uint64_t *)c->addr + page * page_words,
				 "the CPU"))
			return false;
	return true;
}

bool verify_gpu_by(int fd, struct chunk *c)
{
	unsigned long at = atomic_load(&c->hi);
	unsigned int page;
	int err;

	err = gpu_read(fd, ENGINE_CHUNKS, c->addr, buffers[MAIN],
		       DATA_PAGES * page_size);
	if (err) {
		fail("the GPU cannot read chunk %u: %s", c->id, strerror(-err));
		return false;
	}
	for (page = 0; page < DATA_PAGES; page++)
		if (!check_words(c, at, at, page,
				 buffers[MAIN] + page * page_words, "the GPU"))
			return false;
	return true;
}

bool verify_gpu(struct chunk *c)
{
	return verify_gpu_by(demo.fd, c);
}

/* Who comes first has to find it, without help from the other's fault. */
void verify(struct chunk *c, bool gpu_first)
{
	if (gpu_first) {
		verify_gpu(c);
		verify_cpu(c);
	} else {
		verify_cpu(c);
		verify_gpu(c);
	}
}

void verify_all(void)
{
	unsigned int i;

	for (i = 0; i < 2 * NR_CHUNKS; i++) {
		struct chunk *c = &demo.chunks[i];

		if (c->addr && !(current(c).may & MAY_BE_GONE))
			verify(c, i & 1);
	}
}

/* What was added, by whomever, is there: no more, and no less. */
void verify_counters(void)
{
	unsigned int i, j;

	for (i = 0; i < 2 * NR_CHUNKS; i++) {
		struct chunk *c = &demo.chunks[i];

		if (!c->addr || current(c).may & MAY_BE_ALL_GONE)
			continue;
		for (j = 0; j < NR_COUNTERS; j++) {
			uint64_t sum = atomic_load(&demo.added[c->id][j]);
			uint64_t is = *(volatile uint64_t *)counter(c, j);

			if (is != sum)
				fail("counter %u of chunk %u is %llu, after %llu additions",
				     j, c->id, (unsigned long long)is,
				     (unsigned long long)sum);
		}
	}
}

/* Between steps, the GPU must be refused, and with this error. */
void expect_error(struct chunk *c, bool write, int error)
{
	int err;

	if (write)
		err = gpu_write(demo.fd, ENGINE_CHUNKS, c->addr, buffers[MAIN],
				page_size);
	else
		err = gpu_read(demo.fd, ENGINE_CHUNKS, c->addr, buffers[MAIN],
			       page_size);
	if (err != error)
		fail("the GPU's %s of chunk %u ends with %d, not %d",
		     write ? "write" : "read", c->id, err, error);
}

/* For the child of a fork: how many pages are not as they were. */
int in_child_data_bad(void)
{
	unsigned int i, page, bad = 0;

	for (i = 0; i < NR_CHUNKS; i++) {
		struct chunk *c = &demo.chunks[i];
		unsigned long at = atomic_load(&c->hi);
		const uint64_t *words = (uint64_t *)c->addr;

		for (page = 0; page < DATA_PAGES; page++, words += page_words) {
			size_t w;

			for (w = 0; w < page_words; w++) {
				if (word_allowed(c, at, at, page, w, words[w]))
					continue;
				bad++;
				break;
			}
		}
	}
	return bad;
}

/* Reads chunks while they change. */
static void reader(void)
{
	unsigned int seed = 1, n, page;
	unsigned long lo, hi;
	struct chunk *c;
	int err;

	while (!atomic_load(&demo.stop)) {
		c = &demo.chunks[rand_r(&seed) % (2 * NR_CHUNKS)];
		if (!c->addr)
			continue;
		page = rand_r(&seed) % DATA_PAGES;
		n = 1 + rand_r(&seed) % (DATA_PAGES - page);

		lo = atomic_load(&c->lo);
		err = gpu_read(demo.fd, ENGINE_CHUNKS,
			       c->addr + page * page_size, buffers[READER],
			       n * page_size);
		hi = atomic_load(&c->hi);
		atomic_fetch_add(&demo.reads, 1);
		if (too_old(c, lo))
			continue;
		if (err) {
			if (err != -EFAULT || !allowed(c, lo, hi, MAY_BE_GONE))
				fail("the GPU cannot read chunk %u: %d", c->id,
				     err);
			continue;
		}
		while (n--)
			check_words(c, lo, hi, page + n,
				    buffers[READER] + n * page_words,
				    "the GPU");
	}
}

/* Adds to counters while their page is moved about. */
static void adder(void)
{
	unsigned int seed = 2, i;
	unsigned long lo, hi;
	struct chunk *c;
	int err;

	while (!atomic_load(&demo.stop)) {
		c = &demo.chunks[rand_r(&seed) % (2 * NR_CHUNKS)];
		if (!c->addr)
			continue;
		i = rand_r(&seed) % NR_COUNTERS;

		lo = atomic_load(&c->lo);
		err = gpu_add(demo.fd, ENGINE_CHUNKS, counter(c, i),
			      sizeof(uint64_t), 1, NULL);
		hi = atomic_load(&c->hi);
		if (!err) {
			atomic_fetch_add(&demo.added[c->id][i], 1);
			atomic_fetch_add(&demo.adds, 1);
		}
		if (too_old(c, lo))
			continue;
		if (!err && !writable(c, lo, hi))
			fail("the GPU added to a counter of chunk %u that was not writable",
			     c->id);
		else if (err == -EPERM && allowed(c, lo, hi, MAY_BE_RDONLY))
			continue;
		else if ((err == -EPERM || err == -EFAULT) &&
			 allowed(c, lo, hi, MAY_BE_ALL_GONE))
			continue;
		else if (err)
			fail("the GPU cannot add to a counter of chunk %u: %d",
			     c->id, err);
	}
}

static void use_hot_page(unsigned int page, bool write)
{
	uint64_t *words = demo.hot + page * page_words;
	uint64_t *buffer = buffers[STEADY];
	uint64_t sum, is = 0;
	size_t i;
	int err;

	if (write) {
		make_page(buffer, NR_CHUNKS, page, ++demo.hot_gen[page]);
		err = gpu_write(demo.fd, ENGINE_REST, words, buffer, page_size);
		if (err)
			fail("the GPU cannot write to a page that nobody touches: %d",
			     err);
		else if (memcmp(words, buffer, page_size))
			fail("the CPU misses what the GPU wrote to a page that nobody touches");
		return;
	}

	make_page(buffer, NR_CHUNKS, page, demo.hot_gen[page]);
	for (sum = 0, i = 0; i < page_words; i++)
		sum = gpu_hmm_checksum(sum, buffer[i]);
	err = gpu_checksum(demo.fd, ENGINE_REST, words, page_size, &is);
	if (err)
		fail("the GPU cannot read a page that nobody touches: %d", err);
	else if (is != sum)
		fail("the GPU reads something else from a page that nobody touches");
}

/* A page that the GPU never saw: this has to fault, whatever goes on. */
static void use_new_page(unsigned long nr)
{
	uint64_t *words = demo.stream + nr * page_words;
	uint64_t value = 0x100000000ull + nr;
	size_t i;
	int err;

	err = gpu_fill(demo.fd, ENGINE_REST, words, page_size, value);
	if (err) {
		fail("the GPU cannot fill a new page: %d", err);
		return;
	}
	for (i = 0; i < page_words; i++) {
		if (words[i] != value) {
			fail("the CPU does not find what the GPU filled a new page with");
			return;
		}
	}
}

/* Works on memory that has nothing to do with the phase. */
static void steady(void)
{
	unsigned int seed = 3;
	unsigned long nr;

	while (!atomic_load(&demo.stop)) {
		/* One half of the pages is never written to. */
		unsigned int page = rand_r(&seed) % HOT_PAGES;

		use_hot_page(page, page & 1 && !(rand_r(&seed) % 4));
		atomic_fetch_add(&demo.steady, 1);
		nr = atomic_load(&demo.streamed);
		if (nr < STREAM_PAGES) {
			use_new_page(nr);
			atomic_store(&demo.streamed, nr + 1);
		}
	}
}

static void *thread(void *work)
{
	for (;;) {
		pthread_barrier_wait(&barrier);
		((void (*)(void))work)();
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/*
 * Threads live as long as the program: a stack that comes or goes is an
 * invalidation, too.
 */
static int threads_init(void)
{
	static void (*const work[])(void) = { reader, adder, steady };
	pthread_t id;
	int i;

	if (pthread_barrier_init(&barrier, NULL, NR_THREADS))
		return -1;
	for (i = 0; i < NR_THREADS - 1; i++)
		if (pthread_create(&id, NULL, thread, work[i]))
			return -1;
	return 0;
}

void threads_start(void)
{
	atomic_store(&demo.stop, false);
	pthread_barrier_wait(&barrier);
}

void threads_stop(void)
{
	atomic_store(&demo.stop, true);
	pthread_barrier_wait(&barrier);
}

static void *map(size_t pages, int fd)
{
	void *addr = mmap(NULL, pages * page_size, PROT_READ | PROT_WRITE,
			  fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED,
			  fd, 0);

	return addr == MAP_FAILED ? NULL : addr;
}

/* Once: threads must not map anything, in the holes that phases make. */
int memory_init(void)
{
	int i;

	page_size = sysconf(_SC_PAGESIZE);
	page_words = page_size / sizeof(uint64_t);
	for (i = 0; i < NR_THREADS; i++) {
		buffers[i] = map(CHUNK_PAGES, -1);
		if (!buffers[i])
			return -1;
		memset(buffers[i], 0, CHUNK_PAGES * page_size);
	}
	return threads_init();
}

/* Two places for each chunk, the second of which is empty. */
int memory_map(bool shared)
{
	size_t size = NR_CHUNKS * CHUNK_PAGES;
	unsigned int i;
	char *addr;

	demo.memfd = -1;
	if (shared) {
		demo.memfd = memfd_create("gpu_hmm_demo", MFD_CLOEXEC);
		if (demo.memfd < 0 || ftruncate(demo.memfd, size * page_size))
			return -1;
	}
	addr = map(size, demo.memfd);
	demo.hot = map(HOT_PAGES, -1);
	demo.stream = map(STREAM_PAGES, -1);
	if (!addr || !demo.hot || !demo.stream)
		return -1;

	memset(demo.added, 0, sizeof(demo.added));
	memset(demo.chunks, 0, sizeof(demo.chunks));
	for (i = 0; i < NR_CHUNKS; i++) {
		struct chunk *c = &demo.chunks[i];

		c->addr = addr + i * CHUNK_PAGES * page_size;
		c->id = i;
		c[NR_CHUNKS].id = i;
		memset(c->addr, 0, CHUNK_PAGES * page_size);
		rewrite(c, false);
	}
	for (i = 0; i < HOT_PAGES; i++) {
		demo.hot_gen[i] = 1;
		make_page(demo.hot + i * page_words, NR_CHUNKS, i, 1);
	}
	atomic_store(&demo.reads, 0);
	atomic_store(&demo.adds, 0);
	atomic_store(&demo.steady, 0);
	atomic_store(&demo.streamed, 0);
	return 0;
}

void memory_unmap(void)
{
	unsigned int i;

	for (i = 0; i < 2 * NR_CHUNKS; i++)
		if (demo.chunks[i].addr)
			munmap(demo.chunks[i].addr, CHUNK_PAGES * page_size);
	munmap(demo.hot, HOT_PAGES * page_size);
	munmap(demo.stream, STREAM_PAGES * page_size);
	if (demo.memfd >= 0)
		close(demo.memfd);
}

/* Have the GPU know all that it will use, so that what faults is a refault. */
int memory_warm_up(void)
{
	unsigned int i;

	for (i = 0; i < NR_CHUNKS; i++)
		if (gpu_prefetch(demo.fd, demo.chunks[i].addr,
				 CHUNK_PAGES * page_size, 1))
			return -1;
	return gpu_prefetch(demo.fd, demo.hot, HOT_PAGES * page_size, 1);
}
