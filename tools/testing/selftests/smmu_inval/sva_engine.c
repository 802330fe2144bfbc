// SPDX-License-Identifier: GPL-2.0
/*
 * What sva_test and sva_stress do to the engines, and how they fail.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sva_test.h"

int open_engine(unsigned int engine)
{
	int fd = sva_open();

	if (fd < 0) {
		wrong("%s: %s", SVA_PATH, strerror(errno));
		return fd;
	}
	must(sva_bind(fd, engine, 0, NULL), "BIND");
	return fd;
}

struct sva_stats stats_of(int fd)
{
	struct sva_stats stats = { };

	must(sva_stats(fd, &stats), "STATS");
	return stats;
}

void close_engine(int fd)
{
	is("odd ranges", stats_of(fd).odd_ranges, 0);
	close(fd);
}

void slow(unsigned int command_us, unsigned int access_us, unsigned int request_us)
{
	int fd = sva_open();

	must(sva_setup(fd, command_us, access_us, request_us), "SETUP");
	close(fd);
}

void drain_lru(void)
{
	put("/proc/sys/vm/drop_caches", "1");
}

void ends(const char *what, int status, int expected)
{
	if (status == SVA_IOCTL_FAILED)
		wrong("%s: %s", what, strerror(errno));
	else
		is(what, status, expected);
}

pid_t in_child(void (*work)(void *), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		ok = true;
		alarm(HANGS);
		work(arg);
		fflush(stdout);
		_exit(!ok);
	}
	must(pid < 0, "fork");
	return pid;
}

void wait_for(pid_t pid, const char *what)
{
	int status = -1;

	if (pid > 0 && waitpid(pid, &status, 0) != pid)
		must(-1, "waitpid");
	if (status)
		wrong("%s: the child ends with %#x", what, status);
}
