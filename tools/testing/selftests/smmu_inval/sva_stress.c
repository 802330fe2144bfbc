// SPDX-License-Identifier: GPL-2.0
/*
 * sva_stress: processes that change their memory in one random way after another,
 * each as in sva_test, while DMA engines use it: what is stale or lost fails. A life is
 * a few changes; some are killed in the middle, and their memory is reaped as the OOM
 * killer does it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "natural.h"
#include "patience.h"
#include "sva_test.h"
#include "swap.h"

#ifndef __NR_process_mrelease
#define __NR_process_mrelease	448
#endif

#define MAX_PROCESSES	8
#define MAX_LIFE	3
/* In seconds, of what may take longer than the time that is given */
#define GRACE		60

struct shared {
	atomic_ulong again, changes, reaped;
};

struct slot {
	pid_t pid;
	unsigned long lives, killed;
	double kill_at;
	bool failed;
};

static struct shared *shared;
static struct slot slots[MAX_PROCESSES];
static unsigned int seconds = 10, nr_processes = 2, first_seed;

/* The pool of huge pages and what ksmd does belong to no process. */
static bool for_several(const char *name)
{
	return !strstr(name, "hugetlb") && !strstr(name, "KSM");
}

/*
 * Stacks and heaps of threads come once, and then stay: one that comes later may lie
 * where a change has just made room for memory of its own.
 */
static pthread_barrier_t barrier;

static void *use_heap(void *unused)
{
	void *mem = malloc(1);

	(void)unused;
	pthread_barrier_wait(&barrier);
	return mem;
}

static void warm_threads(void)
{
	pthread_t threads[4];
	unsigned int i;
	void *mem;

	pthread_barrier_init(&barrier, NULL, ARRAY_SIZE(threads));
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		threads[i] = go(use_heap, NULL);
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &mem);
		free(mem);
	}
}

static void live(unsigned int process, unsigned long life, unsigned int seed)
{
	unsigned int left = 1 + rand_r(&seed) % MAX_LIFE, change, first = seed;
	bool meanwhile;

	alarm(HANGS);
	warm_threads();
	while (left) {
		change = rand_r(&seed) % nr_changes();
		meanwhile = rand_r(&seed) % 4;
		if (!for_several(change_name(change)))
			continue;
		left--;
		ok = true;
		change_test(change, meanwhile);
		atomic_fetch_add(&shared->changes, 1);
		if (ok)
			continue;
		printf("# process %u, life %lu, seed %u: %s%s\n", process, life,
		       first, change_name(change), meanwhile ? ", meanwhile" : "");
		fflush(stdout);
		_exit(1);
	}
	_exit(0);
}

static void slot_start(unsigned int i)
{
	struct slot *s = &slots[i];
	unsigned int seed;

	seed = first_seed * 2654435761u + i * 40503 + ++s->lives * 7919;
	s->kill_at = rand_r(&seed) % 3 ? 0 : now_ms() + rand_r(&seed) % 2000;
	fflush(stdout);
	s->pid = fork();
	if (!s->pid)
		live(i, s->lives, seed);
	if (s->pid < 0) {
		perror("fork");
		exit(2);
	}
}

static void slot_kill(struct slot *s)
{
	int fd = syscall(__NR_pidfd_open, s->pid, 0);

	kill(s->pid, SIGKILL);
	if (fd >= 0 && !syscall(__NR_process_mrelease, fd, 0))
		atomic_fetch_add(&shared->reaped, 1);
	close(fd);
	s->killed++;
}

/* Return whether it is gone. */
static bool slot_look(unsigned int i)
{
	struct slot *s = &slots[i];
	bool killed = s->kill_at && now_ms() > s->kill_at;
	int status;

	if (waitpid(s->pid, &status, killed ? 0 : WNOHANG) != s->pid)
		return false;
	if (status && !(killed && WIFSIGNALED(status))) {
		printf("# process %u, life %lu: ends with %#x\n", i, s->lives, status);
		s->failed = true;
	}
	return true;
}

static void run(void)
{
	double end = now_ms() + seconds * 1e3, next = now_ms() + 5e3;
	unsigned int i, living = nr_processes;

	for (i = 0; i < nr_processes; i++)
		slot_start(i);
	while (living) {
		for (i = 0; i < nr_processes; i++) {
			if (!slots[i].pid)
				continue;
			if (slots[i].kill_at && now_ms() > slots[i].kill_at)
				slot_kill(&slots[i]);
			if (!slot_look(i))
				continue;
			slots[i].pid = 0;
			if (now_ms() > end || slots[i].failed)
				living--;
			else
				slot_start(i);
		}
		if (now_ms() > end + GRACE * 1e3) {
			printf("# this hangs\n");
			exit(2);
		}
		if (now_ms() > next) {
			printf("# %.0f s left: %lu changes\n",
			       (end - now_ms()) / 1e3, atomic_load(&shared->changes));
			next += 5e3;
		}
		usleep(10000);
	}
}

/* With no memory at all, BIND says so, time after time. */
static int try_in_vain(void)
{
	unsigned int i;
	int fd = sva_open();

	patience = false;
	for (i = 0; i < 200; i++) {
		if (!sva_bind(fd, i % NR_ENGINES, 0, NULL) || errno != ENOMEM) {
			printf("# BIND: %s\n", strerror(errno));
			return 1;
		}
	}
	close(fd);
	return 0;
}

static void usage(void)
{
	printf("sva_stress [-f] [-n] [-t SECONDS] [-s SEED] [-p PROCESSES]\n"
	       "  -f            what fails for want of memory is tried again\n"
	       "  -n            only see BIND fail with ENOMEM\n"
	       "  -t SECONDS    how long (10)\n"
	       "  -s SEED       what is done (by the clock)\n"
	       "  -p PROCESSES  at once, up to %d (2)\n", MAX_PROCESSES);
}

int main(int argc, char **argv)
{
	unsigned int i;
	int opt;

	first_seed = getpid() ^ (unsigned int)now_ms();
	while ((opt = getopt(argc, argv, "fnt:s:p:")) != -1) {
		if (opt == 'f')
			patience = true;
		else if (opt == 'n')
			return try_in_vain();
		else if (opt == 't')
			seconds = natural(opt, optarg, 1, 7 * 24 * 3600);
		else if (opt == 's')
			first_seed = natural(opt, optarg, 0, UINT_MAX);
		else if (opt == 'p')
			nr_processes = natural(opt, optarg, 1, MAX_PROCESSES);
		else
			nr_processes = 0;
	}
	if (optind != argc || !nr_processes) {
		usage();
		return 2;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	patience_failures = &shared->again;
	page_size = sysconf(_SC_PAGESIZE);
	ktap_plan(nr_processes);
	printf("# seed %u, %u s, %u processes\n", first_seed, seconds, nr_processes);
	slow(0, 0, 0);
	/* Before any process would make its own. */
	if (swap_on_ram_disk())
		printf("# no swap\n");
	run();
	swapoff(SWAP_DEVICE);
	printf("# %lu changes, %lu reaped; %lu times without memory, and tried again\n",
	       atomic_load(&shared->changes), atomic_load(&shared->reaped),
	       atomic_load(&shared->again));
	for (i = 0; i < nr_processes; i++)
		ktap_result(!slots[i].failed, "process %u: %lu lives, %lu killed", i,
			    slots[i].lives, slots[i].killed);
	return ktap_exit();
}
