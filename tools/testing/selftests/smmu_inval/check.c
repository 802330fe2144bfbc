// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
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
