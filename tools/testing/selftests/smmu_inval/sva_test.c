// SPDX-License-Identifier: GPL-2.0
/*
 * sva_test: a process changes its memory in every way there is, while DMA engines
 * use it by the process's own addresses. What they read has to be what was written
 * last, and what they write has to be in the process's memory, and nowhere else:
 * what is stale or lost fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "sva_test.h"

static const struct test tests[] = {
	{ "bits: what DMA reads was accessed", bits_accessed },
	{ "bits: what DMA wrote is swapped out", bits_dirty_swap },
	{ "bits: what DMA wrote is not free any more", bits_dirty_free },
	{ "bits: what DMA wrote is soft-dirty", bits_soft_dirty },
	{ "stale: another page at the same place", stale_fast },
	{ "stale: accesses that take long", stale_in_flight },
	{ "stale: commands that take long", stale_commands },
	{ "stale: a page that is protected", stale_protect },
	{ "process: killed while DMA runs", process_killed },
	{ "process: gone, and its file is open", process_kept_open },
	{ "process: another one at the same place", process_next },
	{ "process: fork and exit", process_fork_loop },
	{ "process: two on an engine", process_two },
	{ "process: two engines at once", process_two_engines },
	{ "process: unbound while DMA runs", process_unbind },
	{ "process: a signal ends a job", process_signal },
	{ "requests: groups", requests_group },
	{ "requests: none", requests_none },
	{ "requests: a queue that is full", requests_overflow },
	{ "requests: stopped and started while it is full", requests_at_once },
	{ "requests: addresses that are none", requests_bad_addresses },
	{ "requests: the end of memory", requests_ends },
};

static char current[96];

static void on_alarm(int signal)
{
	static const char text[] = "\n# this hangs: ";

	(void)signal;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0 ||
	    write(STDOUT_FILENO, current, strlen(current)) < 0 ||
	    write(STDOUT_FILENO, "\n", 1) < 0)
		_exit(3);
	_exit(2);
}

static void result(const char *name, void (*run)(void), unsigned int change,
		   bool concurrent)
{
	double start = now_ms();

	snprintf(current, sizeof(current), "%s", name);
	ok = true;
	skip = NULL;
	slow(0, 0, 0);
	alarm(HANGS);
	if (run)
		run();
	else
		change_test(change, concurrent);
	alarm(0);
	printf("# %.0f ms\n", now_ms() - start);
	if (skip && ok)
		ktap_result(true, "%s # SKIP %s", name, skip);
	else
		ktap_result(ok, "%s", name);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	/* For one who looks for something: what does not have this in its name is left out. */
	const char *only = argc > 1 ? argv[1] : "";
	char name[96];
	unsigned int i;
	int mode, nr = 0;

	page_size = sysconf(_SC_PAGESIZE);
	signal(SIGALRM, on_alarm);
	for (mode = 0; mode < 2; mode++) {
		for (i = 0; i < nr_changes(); i++) {
			snprintf(name, sizeof(name), "%s: %s",
				 mode ? "meanwhile" : "warm", change_name(i));
			nr += !!strstr(name, only);
		}
	}
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		nr += !!strstr(tests[i].name, only);

	ktap_plan(nr);
	for (mode = 0; mode < 2; mode++) {
		for (i = 0; i < nr_changes(); i++) {
			snprintf(name, sizeof(name), "%s: %s",
				 mode ? "meanwhile" : "warm", change_name(i));
			if (strstr(name, only))
				result(name, NULL, i, mode);
		}
	}
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		if (strstr(tests[i].name, only))
			result(tests[i].name, tests[i].run, 0, false);
	slow(0, 0, 0);
	change_cleanup();
	return ktap_exit();
}
