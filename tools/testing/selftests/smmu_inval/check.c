// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "ktap.h"

size_t page_size;
bool ok;
const char *skip;

void wrong(const char *fmt, ...)
{
	va_list args;

	ok = false;
	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void is(const char *what, long value, long expected)
{
	if (value != expected)
		wrong("%s: %ld, and not %ld", what, value, expected);
}

atomic_bool stop;

pthread_t go(void *(*work)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, arg)) {
		perror("pthread_create");
		exit(2);
	}
	return thread;
}

void stop_all(pthread_t *threads, unsigned int nr)
{
	unsigned int i;

	atomic_store(&stop, true);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop, false);
}

static char *map_how(size_t size, int flags)
{
	char *addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (addr == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return addr;
}

char *map(size_t size)
{
	return map_how(size, MAP_PRIVATE);
}

char *map_shared(size_t size)
{
	return map_how(size, MAP_SHARED);
}

uint64_t word_at(const void *addr)
{
	return *(const volatile uint64_t *)addr;
}

static uint64_t pattern(unsigned int page, unsigned int gen)
{
	return (uint64_t)gen << 32 | page;
}

void fill_pages(char *mem, unsigned int nr, unsigned int gen)
{
	unsigned int i;
	size_t j;

	for (i = 0; i < nr; i++, mem += page_size)
		for (j = 0; j < page_size; j += sizeof(uint64_t))
			*(uint64_t *)(mem + j) = pattern(i, gen) + (j << 16);
}

bool page_is(const char *who, const char *mem, unsigned int nr, unsigned int gen)
{
	size_t j;

	for (j = 0; j < page_size; j += sizeof(uint64_t)) {
		if (word_at(mem + j) == pattern(nr, gen) + (j << 16))
			continue;
		wrong("%s: %#llx at %zu of page %u, and not generation %u",
		      who, (unsigned long long)word_at(mem + j), j, nr, gen);
		return false;
	}
	return true;
}

void check_pages(const char *who, const char *mem, unsigned int nr,
		 unsigned int gen)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!page_is(who, mem + i * page_size, i, gen))
			return;
}

/* After the call, errno is worth a look only if it failed. */
void must(int ret, const char *what)
{
	if (ret)
		wrong("%s: %s", what, strerror(errno));
}

int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return ret;
}

void put_number(const char *path, long n)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", n);
	if (put(path, text))
		wrong("%s: %s", path, strerror(errno));
}

long get(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	size_t length = strlen(key);
	char line[256];
	long n = -1;

	if (!file)
		return -1;
	while (n < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, length))
			n = strtol(line + length, NULL, 10);
	fclose(file);
	return n;
}

int open_gpu(void)
{
	int fd = gpu_open();

	if (fd < 0)
		wrong("%s: %s", GPU_HMM_PATH, strerror(errno));
	return fd;
}

double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

int run_tests(const struct test *tests, unsigned int nr)
{
	unsigned int i;

	page_size = sysconf(_SC_PAGESIZE);
	ktap_plan(nr);
	for (i = 0; i < nr; i++) {
		ok = true;
		skip = NULL;
		/* Children must not print what is buffered again. */
		fflush(stdout);
		tests[i].run();
		if (skip && ok)
			ktap_result(true, "%s # SKIP %s", tests[i].name, skip);
		else
			ktap_result(ok, "%s", tests[i].name);
	}
	return ktap_exit();
}
