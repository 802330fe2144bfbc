// SPDX-License-Identifier: GPL-2.0
/*
 * gpu_hmm_stress: several processes that change their memory at random while
 * GPUs work on it, each with the demo's oracle: what the GPU reads and writes is
 * checked word by word, and what is stale or lost fails. They are born and die
 * all the time.
 *
 * All that a process does follows from its seed. When its threads, the GPU's
 * and the other processes get their turn does not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"
#include "natural.h"
#include "patience.h"
#include "stress.h"

/* A life ends after as many operations, unless the time is over. */
#define MAX_LIFE	100
#define MAX_EPOCH	25
#define MAX_SECONDS	(7 * 24 * 3600)
/* What may take longer than the time that is given. */
#define GRACE		60

struct shared *shared;
unsigned int gpus;

static unsigned int seconds = 10, nr_processes = 3, first_seed;

struct slot {
	pid_t pid;
	unsigned long life;
	unsigned int seed;
	/* Of the monotonic clock, if it is going to be killed. */
	double kill_at;
	bool victim;
	/* Failed lives. */
	unsigned int failed;
};

static struct slot slots[MAX_PROCESSES];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void add_stats(struct counters *c)
{
	struct gpu_hmm_stats stats = { };
	unsigned int i;

	if (gpu_stats(demo.fd, &stats)) {
		fail("STATS: %s", strerror(errno));
		return;
	}
	for (i = 0; i < GPU_HMM_NR_EVENTS; i++)
		atomic_fetch_add(&c->callbacks[i], stats.event[i].callbacks);
	atomic_fetch_add(&c->faults, stats.faults);
	atomic_fetch_add(&c->retries, stats.fault_retries);
	atomic_fetch_add(&c->flushes, stats.flushes);
	atomic_fetch_add(&c->ranges, stats.ranges);
	atomic_fetch_add(&c->ranges_freed, stats.ranges_freed);
	atomic_fetch_add(&c->exclusive, stats.exclusive);
	atomic_fetch_add(&c->to_device, stats.to_device);
	atomic_fetch_add(&c->commands,
			 atomic_load(&demo.reads) + atomic_load(&demo.adds) +
			 atomic_load(&demo.steady) +
			 atomic_load(&demo.streamed));
}

/* Each GPU counts that for all who use it, since it was made. */
static unsigned long pages_to_system(void)
{
	struct gpu_hmm_stats stats;
	unsigned long sum = 0;
	unsigned int i;
	int fd;

	for (i = 0; i < gpus; i++) {
		fd = gpu_open_nr(i);
		if (fd < 0 || gpu_stats(fd, &stats))
			printf("# STATS of GPU %u: %s\n", i, strerror(errno));
		else
			sum += stats.to_system;
		if (fd >= 0)
			close(fd);
	}
	return sum;
}

/* One GPU, one way to use it, and operations. Return how many. */
static unsigned long epoch(struct counters *c, unsigned int *seed,
			   unsigned long nr)
{
	unsigned int left = 1 + rand_r(seed) % MAX_EPOCH;
	bool shared_memory = rand_r(seed) % 4 == 0;
	unsigned long first = nr;

	demo.same = rand_r(seed) % 4 == 0;
	demo.fd = random_gpu(seed);
	if (demo.fd < 0 || random_setup(demo.fd, seed) ||
	    memory_map(shared_memory)) {
		fail("cannot begin: %s", strerror(errno));
		return 0;
	}
	ops_prepare(shared_memory);
	if (rand_r(seed) % 2 && memory_warm_up())
		fail("cannot warm up: %s", strerror(errno));
	threads_start();
	for (; left && !atomic_load(&shared->stop) &&
	     !atomic_load(&demo.failures); left--)
		atomic_fetch_add(&c->ops[ops_run(rand_r(seed), ++nr)], 1);
	threads_stop();
	if (!atomic_load(&demo.failures)) {
		verify_all();
		verify_counters();
	}
	add_stats(c);
	ops_finish();
	memory_unmap();
	close(demo.fd);
	return nr - first;
}

/* The end: with commands on their way, one way or another. */
static void die(unsigned int *seed)
{
	int fd = random_gpu(seed);

	fflush(stdout);
	memory_map(false);
	gpu_start(fd, 0, GPU_HMM_FILL, demo.stream, STREAM_PAGES * page_size,
		  1);
	gpu_start(fd, 1, GPU_HMM_CHECKSUM, demo.stream,
		  STREAM_PAGES * page_size, 0);
	if (rand_r(seed) % 2)
		execl("/proc/self/exe", "gpu_hmm_stress", "--true", NULL);
	_exit(0);
}

static void live(unsigned int process, unsigned long life, unsigned int seed)
{
	struct counters *c = &shared->processes[process];
	unsigned int left = 1 + rand_r(&seed) % MAX_LIFE, failures;
	unsigned long nr = 0;

	if (memory_init()) {
		printf("# process %u: no memory\n", process);
		_exit(1);
	}
	while (nr < left && !atomic_load(&shared->stop)) {
		nr += epoch(c, &seed, nr);
		failures = atomic_load(&demo.failures);
		if (failures) {
			atomic_fetch_add(&c->failures, failures);
			printf("# process %u, life %lu: stopped after %lu operations\n",
			       process, life, nr);
			fflush(stdout);
			_exit(1);
		}
	}
	die(&seed);
}

static void slot_start(unsigned int i)
{
	struct slot *s = &slots[i];
	unsigned int seed;

	s->life++;
	s->seed = first_seed * 2654435761u + i * 40503 + s->life * 7919;
	seed = s->seed;
	s->victim = rand_r(&seed) % 4 == 0;
	s->kill_at = now() + rand_r(&seed) % 2000 / 1000.0;
	fflush(stdout);
	s->pid = fork();
	if (s->pid == 0) {
		ops_name(i, s->life, s->seed);
		live(i, s->life, s->seed);
	}
	if (s->pid < 0)
		perror("fork");
	atomic_fetch_add(&shared->processes[i].lives, 1);
}

/* Return whether it is gone. */
static bool slot_look(unsigned int i)
{
	struct slot *s = &slots[i];
	int status;

	if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
		s->pid = 0;
		/* Only who was told to go may go like that. */
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
		    s->victim && !s->kill_at) {
			atomic_fetch_add(&shared->processes[i].killed, 1);
		} else if (status) {
			printf("# process %u, life %lu, seed %u: ended with %#x\n",
			       i, s->life, s->seed, status);
			s->failed++;
		}
		return true;
	}
	if (s->victim && s->kill_at && now() > s->kill_at) {
		kill(s->pid, SIGKILL);
		s->kill_at = 0;
	}
	return false;
}

static unsigned long sum_ops(unsigned int process)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		sum += atomic_load(&shared->processes[process].ops[i]);
	return sum;
}

static bool any_failed(void)
{
	unsigned int i;

	for (i = 0; i < nr_processes; i++)
		if (slots[i].failed)
			return true;
	return false;
}

static void progress(double since)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < nr_processes; i++)
		sum += sum_ops(i);
	printf("# %3.0f s: %lu operations\n", now() - since, sum);
}

static void run(void)
{
	double start = now(), next = start + 5;
	unsigned int i, living = nr_processes;

	for (i = 0; i < nr_processes; i++)
		slot_start(i);
	while (living) {
		if (now() > start + seconds || any_failed())
			atomic_store(&shared->stop, true);
		for (i = 0; i < nr_processes; i++) {
			if (!slots[i].pid || !slot_look(i))
				continue;
			if (atomic_load(&shared->stop))
				living--;
			else
				slot_start(i);
		}
		if (now() > start + seconds + GRACE) {
			for (i = 0; i < nr_processes; i++) {
				if (!slots[i].pid)
					continue;
				printf("# process %u, life %lu, seed %u: hangs\n",
				       i, slots[i].life, slots[i].seed);
				slots[i].failed++;
				kill(slots[i].pid, SIGKILL);
			}
			break;
		}
		if (now() > next) {
			progress(start);
			next += 5;
		}
		usleep(10000);
	}
	printf("# %.1f s in all\n", now() - start);
}

/* What every process counted at @offset of its counters. */
static unsigned long sum_at(size_t offset)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < nr_processes; i++)
		sum += atomic_load((atomic_ulong *)
				   ((char *)&shared->processes[i] + offset));
	return sum;
}

#define SUM(member)	sum_at(offsetof(struct counters, member))

static void print_table(unsigned long to_system)
{
	static const char *const events[GPU_HMM_NR_EVENTS] = {
		"UNMAP", "CLEAR", "PROTECTION_VMA", "PROTECTION_PAGE",
		"SOFT_DIRTY", "RELEASE", "MIGRATE", "EXCLUSIVE", "(driver)",
		"(TLB)",
	};
	const struct {
		const char *name;
		unsigned long nr;
	} others[] = {
		{ "lives", SUM(lives) }, { "killed", SUM(killed) },
		{ "commands", SUM(commands) }, { "faults", SUM(faults) },
		{ "retries", SUM(retries) }, { "flushes", SUM(flushes) },
		{ "ranges", SUM(ranges) + SUM(ranges_freed) },
		{ "made exclusive", SUM(exclusive) },
		{ "pages to device", SUM(to_device) },
		{ "and back", to_system },
		{ "reaped", SUM(reaped) }, { "not yet reaped", SUM(not_reaped) },
		{ "failures", SUM(failures) },
	};
	unsigned int i;

	printf("\n%-22s | %-26s | %s\n", "operations", "callbacks by event",
	       "the rest, of those that were not killed");
	printf("-----------------------+");
	printf("----------------------------+---------------------------\n");
	for (i = 0; i < nr_ops; i++) {
		printf("%-12s %9lu |", ops[i].name,
		       sum_at(offsetof(struct counters, ops) +
			      i * sizeof(atomic_ulong)));
		if (i < GPU_HMM_NR_EVENTS)
			printf(" %-16s %9lu |", events[i],
			       sum_at(offsetof(struct counters, callbacks) +
				      i * sizeof(atomic_ulong)));
		else
			printf(" %26s |", "");
		if (i < ARRAY_SIZE(others))
			printf(" %-16s %9lu", others[i].name, others[i].nr);
		printf("\n");
	}
	printf("\n");
}

/* With no memory at all, open() says so, time after time. */
static int try_in_vain(void)
{
	unsigned int i;

	patience = false;
	for (i = 0; i < 200; i++) {
		if (gpu_open() >= 0 || errno != ENOMEM) {
			printf("# open: %s\n", strerror(errno));
			return 1;
		}
	}
	return 0;
}

static void usage(void)
{
	printf("gpu_hmm_stress [-f] [-n] [-o NAME] [-t SECONDS] [-s SEED] [-p PROCESSES]\n"
	       "  -f            what fails for want of memory is tried again\n"
	       "  -n            only see open() fail with ENOMEM\n"
	       "  -o NAME       every other operation is this one\n"
	       "  -t SECONDS    how long (10)\n"
	       "  -s SEED       what is done (by the clock)\n"
	       "  -p PROCESSES  at once, up to %d (3)\n", MAX_PROCESSES);
}

static bool options(int argc, char **argv)
{
	int opt;

	first_seed = time(NULL) ^ (getpid() << 16);
	while ((opt = getopt(argc, argv, "fno:t:s:p:h")) != -1) {
		switch (opt) {
		case 'f':
			patience = true;
			break;
		case 'n':
			exit(try_in_vain());
		case 'o':
			if (!ops_prefer(optarg))
				return false;
			break;
		case 't':
			seconds = natural(opt, optarg, 1, MAX_SECONDS);
			break;
		case 's':
			first_seed = natural(opt, optarg, 0, UINT_MAX);
			break;
		case 'p':
			nr_processes = natural(opt, optarg, 1, MAX_PROCESSES);
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	unsigned long to_system;
	unsigned int i;

	/* What those execute that are somebody else afterwards. */
	if (argc == 2 && !strcmp(argv[1], "--true"))
		return 0;
	if (!options(argc, argv)) {
		usage();
		return 2;
	}
	gpus = gpu_count();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!gpus || shared == MAP_FAILED) {
		perror(gpus ? "mmap" : GPU_HMM_PATH);
		return 2;
	}
	patience_failures = &shared->again;
	page_size = sysconf(_SC_PAGESIZE);
	ktap_plan(nr_processes);
	printf("# seed %u, %u s, %u processes, %u GPUs\n", first_seed, seconds,
	       nr_processes, gpus);
	ops_init();
	to_system = pages_to_system();
	run();
	ops_cleanup();
	print_table(pages_to_system() - to_system);
	if (patience)
		printf("# %lu times without memory, and tried again\n",
		       atomic_load(&shared->again));
	for (i = 0; i < nr_processes; i++)
		ktap_result(!slots[i].failed && sum_ops(i),
			    "process %u: %lu operations in %lu lives", i,
			    sum_ops(i), slots[i].life);
	return ktap_exit();
}
