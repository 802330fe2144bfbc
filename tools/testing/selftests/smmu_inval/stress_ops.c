// SPDX-License-Identifier: GPL-2.0
/*
 * What the processes of gpu_hmm_stress do to their memory: rounds of the demo's
 * phases, and what the demo does not do.
 *
 * No operation may map memory at an address of the kernel's choice: it could be
 * where a chunk was a moment ago, and the GPU would find it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "patience.h"
#include "stress.h"

#ifndef __NR_process_mrelease
#define __NR_process_mrelease	448
#endif

#define KSM	"/sys/kernel/mm/ksm/"

static char where[160];
static unsigned int process_nr;
static bool can[MAX_OPS];
static const struct phase *phase_of[MAX_OPS];
/* Every other operation, where it is possible, or NULL. */
static const struct op *preferred;
static bool no_device_memory, no_exclusive;

int random_gpu(unsigned int *seed)
{
	return gpu_open_nr(rand_r(seed) % gpus);
}

int random_setup(int fd, unsigned int *seed)
{
	static const unsigned int fault_us[] = { 0, 0, 50, 200, 1000 };
	static const unsigned int flush_us[] = { 0, 0, 100, 500, 3000 };
	unsigned int flags = 0;

	if (rand_r(seed) % 4 == 0)
		flags |= GPU_HMM_COARSE;
	if (rand_r(seed) % 4 == 0)
		flags |= GPU_HMM_SINGLE_PASS;
	if (rand_r(seed) % 2)
		flags |= GPU_HMM_RANGES;
	return gpu_setup(fd, flags, fault_us[rand_r(seed) % 5],
			 flush_us[rand_r(seed) % 5]);
}

static struct chunk *random_chunk(unsigned int *seed)
{
	return &demo.chunks[rand_r(seed) % NR_CHUNKS];
}

static size_t data_size(void)
{
	return DATA_PAGES * page_size;
}

/* The GPU forgets some pages. */
static void evict(unsigned int r)
{
	struct chunk *c = random_chunk(&r);
	unsigned int page = rand_r(&r) % CHUNK_PAGES;
	unsigned int nr = 1 + rand_r(&r) % (CHUNK_PAGES - page);

	must(gpu_evict(demo.fd, c->addr + page * page_size, nr * page_size),
	     "EVICT");
	if (rand_r(&r) % 2)
		verify(c, true);
}

/* Another GPU, or the same by another file, sees the same. */
static void other_gpu(unsigned int r)
{
	struct chunk *c = random_chunk(&r);
	unsigned int nr = rand_r(&r) % NR_COUNTERS;
	int fd = random_gpu(&r), err;

	if (fd < 0) {
		must(fd, "open");
		return;
	}
	must(random_setup(fd, &r), "SETUP");
	verify_gpu_by(fd, c);
	rewrite(c, r & 1);
	verify_gpu_by(fd, c);
	err = gpu_add(fd, ENGINE_REST, counter(c, nr), sizeof(uint64_t), 1,
		      NULL);
	if (err)
		fail("another GPU cannot add to a counter of chunk %u: %d",
		     c->id, err);
	else
		atomic_fetch_add(&demo.added[c->id][nr], 1);
	close(fd);
}

/* To the GPU's memory, and perhaps back. */
static void device_memory(unsigned int r)
{
	struct chunk *c = random_chunk(&r);
	unsigned int page = rand_r(&r) % CHUNK_PAGES;
	unsigned int nr = 1 + rand_r(&r) % (CHUNK_PAGES - page), i;
	struct gpu_hmm_migrate arg;

	for (i = 0; i < 2; i++) {
		if (gpu_migrate(demo.fd, c->addr + page * page_size,
				nr * page_size, i ? GPU_HMM_MIGRATE_BACK : 0,
				&arg)) {
			if (errno == EOPNOTSUPP)
				no_device_memory = true;
			else if (errno != ENOMEM)
				must(-1, "MIGRATE");
			return;
		}
		if (rand_r(&r) % 2)
			rewrite(c, rand_r(&r) % 2);
		if (rand_r(&r) % 2)
			verify(c, rand_r(&r) % 2);
		if (rand_r(&r) % 2)
			return;
	}
}

/* What is not atomic is, as long as nobody else has access. */
static void exclusive(unsigned int r)
{
	struct chunk *c = random_chunk(&r);
	unsigned int nr = rand_r(&r) % NR_COUNTERS;
	unsigned int i, rounds = 1 + rand_r(&r) % 8;
	uint64_t *word = counter(c, nr), id;
	int err;

	for (i = 0; i < rounds; i++) {
		id = gpu_start(demo.fd, rand_r(&r) % 2, GPU_HMM_EXCLUSIVE_ADD,
			       word, sizeof(*word), 1);
		if (!id) {
			must(-1, "EXCLUSIVE_ADD");
			return;
		}
		__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
		atomic_fetch_add(&demo.added[c->id][nr], 1);
		err = gpu_finish(demo.fd, id, NULL);
		if (err == -EOPNOTSUPP) {
			no_exclusive = true;
			return;
		}
		/* It was started, so that nobody has tried again. */
		if (patience && (err == -ENOMEM || err == -EFAULT))
			continue;
		if (err)
			fail("the GPU cannot add exclusively to a counter of chunk %u: %d",
			     c->id, err);
		else
			atomic_fetch_add(&demo.added[c->id][nr], 1);
	}
}

/* KSM merges what is the same, if it comes to it before somebody writes. */
static void merge(unsigned int r)
{
	unsigned int first = rand_r(&r), i, gen = 0;
	struct chunk *c;

	for (i = 0; i < NR_CHUNKS; i++)
		if (current(&demo.chunks[i]).gen > gen)
			gen = current(&demo.chunks[i]).gen;
	for (i = 0; i < 3; i++) {
		c = &demo.chunks[(first + i) % NR_CHUNKS];
		rewrite_as(c, gen + 1, (first + i) & 1);
		must(madvise(c->addr, data_size(), MADV_MERGEABLE),
		     "MADV_MERGEABLE");
	}
	usleep(20000);
	rewrite(&demo.chunks[first % NR_CHUNKS], rand_r(&r) % 2);
	for (i = 0; i < 3; i++) {
		c = &demo.chunks[(first + i) % NR_CHUNKS];
		verify(c, rand_r(&r) % 2);
		/* A chunk has to be one mapping again, for mremap(). */
		must(madvise(c->addr, data_size(), MADV_UNMERGEABLE),
		     "MADV_UNMERGEABLE");
	}
}

/* Compaction finds holes in what others have freed. */
static void compact(unsigned int r)
{
	put("/proc/sys/vm/compact_memory", "1");
	verify(random_chunk(&r), rand_r(&r) % 2);
}

enum child_end { EXITS, EXECS, IS_KILLED, UNMAPS, FORKS, NR_ENDS };

/* Has the GPU work on what it inherited, and goes while it does. */
static void child(enum child_end end, unsigned int r, pid_t parent)
{
	int fd = random_gpu(&r), i;
	struct gpu_hmm_migrate arg;
	struct chunk *c;

	if (fd < 0 || random_setup(fd, &r))
		_exit(1);
	for (i = 0; i < 8; i++) {
		c = random_chunk(&r);
		if (!gpu_start(fd, i & 1, GPU_HMM_FILL, c->addr, data_size(),
			       ~0ULL))
			_exit(2);
		/* It may run into the end of all memory. */
		if (!gpu_start(fd, i & 1, GPU_HMM_CHECKSUM, c->addr, 64 << 20,
			       0))
			_exit(3);
	}
	if (rand_r(&r) % 2)
		gpu_start(fd, 0, GPU_HMM_EXCLUSIVE_ADD, counter(c, 0),
			  sizeof(uint64_t), 1);
	if (rand_r(&r) % 2)
		gpu_migrate(fd, c->addr, data_size(), 0, &arg);
	usleep(rand_r(&r) % 2000);
	switch (end) {
	case EXECS:
		execl("/proc/self/exe", "gpu_hmm_stress", "--true", NULL);
		_exit(4);
	case IS_KILLED:
		/* By us, or as an orphan if we are killed first. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			pause();
		break;
	case UNMAPS:
		for (i = 0; i < NR_CHUNKS; i++)
			munmap(demo.chunks[i].addr, CHUNK_PAGES * page_size);
		break;
	case FORKS:
		/* The file may outlive all that it is good for. */
		if (fork() == 0) {
			usleep(rand_r(&r) % 2000);
			_exit(0);
		}
		break;
	default:
		break;
	}
	_exit(0);
}

/*
 * Killed and reaped as the OOM killer does it: no notifier may block, and what one
 * refuses stays until the child gets to its own end.
 */
static void kill_and_reap(pid_t pid)
{
	struct counters *c = &shared->processes[process_nr];
	int fd = syscall(__NR_pidfd_open, pid, 0);
	unsigned int i;

	kill(pid, SIGKILL);
	for (i = 0; fd >= 0 && i < 8; i++) {
		if (!syscall(__NR_process_mrelease, fd, 0)) {
			atomic_fetch_add(&c->reaped, 1);
			break;
		}
		if (errno != EAGAIN)
			break;
		atomic_fetch_add(&c->not_reaped, 1);
	}
	close(fd);
}

static void one_child(enum child_end end, unsigned int r)
{
	unsigned int child_seed = rand_r(&r);
	struct chunk *c = random_chunk(&r);
	pid_t parent = getpid(), pid;
	int status = -1;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child(end, child_seed, parent);
	if (pid < 0) {
		must(-1, "fork");
		return;
	}
	verify(c, rand_r(&r) % 2);
	rewrite(c, rand_r(&r) % 2);
	if (end == IS_KILLED) {
		usleep(rand_r(&r) % 4000);
		kill_and_reap(pid);
	}
	if (waitpid(pid, &status, 0) != pid)
		must(-1, "waitpid");
	else if (end == IS_KILLED ? !WIFSIGNALED(status) : status)
		fail("a child ended with %#x", status);
	verify(c, rand_r(&r) % 2);
}

static void children(unsigned int r)
{
	enum child_end end = rand_r(&r) % NR_ENDS;

	one_child(end, rand_r(&r));
}

static void reap(unsigned int r)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		one_child(IS_KILLED, rand_r(&r));
}

const struct op ops[] = {
	{ .name = "munmap", .weight = 4, .private = true, .phase = "munmap" },
	{ .name = "mremap", .weight = 4, .private = true, .phase = "mremap" },
	{ .name = "mprotect", .weight = 4, .private = true, .shared = true,
	  .phase = "mprotect" },
	{ .name = "dontneed", .weight = 4, .private = true,
	  .phase = "dontneed" },
	{ .name = "punch-hole", .weight = 4, .shared = true,
	  .phase = "punch-hole" },
	{ .name = "madv-free", .weight = 2, .private = true,
	  .phase = "madv-free" },
	{ .name = "fork", .weight = 2, .private = true, .phase = "fork" },
	{ .name = "reclaim", .weight = 2, .private = true, .shared = true,
	  .phase = "reclaim" },
	{ .name = "migrate", .weight = 1, .private = true, .phase = "migrate" },
	{ .name = "clear-refs", .weight = 2, .private = true, .shared = true,
	  .phase = "clear-refs" },
	{ .name = "merge", .weight = 1, .private = true, .run = merge },
	{ .name = "compact", .weight = 1, .private = true, .shared = true,
	  .run = compact },
	{ .name = "evict", .weight = 2, .private = true, .shared = true,
	  .run = evict },
	{ .name = "other GPU", .weight = 2, .private = true, .shared = true,
	  .run = other_gpu },
	{ .name = "to device", .weight = 6, .private = true,
	  .run = device_memory },
	{ .name = "exclusive", .weight = 4, .private = true,
	  .run = exclusive },
	{ .name = "children", .weight = 2, .private = true, .run = children },
	{ .name = "reap", .weight = 2, .private = true, .run = reap },
};

const unsigned int nr_ops = ARRAY_SIZE(ops);

static const struct phase *find_phase(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_phases; i++)
		if (!strcmp(phases[i].name, name))
			return &phases[i];
	return NULL;
}

bool ops_prefer(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		if (!strcmp(ops[i].name, name))
			preferred = &ops[i];
	return preferred;
}

void ops_init(void)
{
	const struct phase *reclaim = find_phase("reclaim");
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		if (ops[i].phase)
			phase_of[i] = find_phase(ops[i].phase);
	/* For all processes at once: somewhere to swap to, and KSM. */
	if (reclaim->prepare())
		printf("# no swap\n");
	if (!put(KSM "run", "1")) {
		put(KSM "pages_to_scan", "500");
		put(KSM "sleep_millisecs", "10");
	}
}

void ops_cleanup(void)
{
	put(KSM "run", "0");
	phases_cleanup();
}

void ops_name(unsigned int process, unsigned long life, unsigned int seed)
{
	snprintf(where, sizeof(where), "process %u, life %lu, seed %u, #0",
		 process, life, seed);
	demo.phase = where;
	process_nr = process;
}

void ops_prepare(bool shared_memory)
{
	unsigned int i, mremap_nr = 0;

	for (i = 0; i < nr_ops; i++) {
		can[i] = shared_memory ? ops[i].shared : ops[i].private;
		if (!can[i] || !ops[i].phase)
			continue;
		if (!strcmp(ops[i].name, "mremap"))
			mremap_nr = i;
		else if (phase_of[i]->prepare && phase_of[i]->prepare())
			can[i] = false;
	}
	/* It makes holes: after all others have mapped what they need. */
	if (can[mremap_nr] && phase_of[mremap_nr]->prepare &&
	    phase_of[mremap_nr]->prepare())
		can[mremap_nr] = false;
}

void ops_finish(void)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		if (can[i] && phase_of[i] && phase_of[i]->finish)
			phase_of[i]->finish();
}

static bool possible(unsigned int i)
{
	if (ops[i].run == device_memory && no_device_memory)
		return false;
	if (ops[i].run == exclusive && no_exclusive)
		return false;
	return can[i];
}

static unsigned int choose(unsigned int r)
{
	unsigned int i, sum = 0;

	if (preferred && r & 0x100 && possible(preferred - ops))
		return preferred - ops;
	for (i = 0; i < nr_ops; i++)
		sum += possible(i) ? ops[i].weight : 0;
	r %= sum;
	for (i = 0; i < nr_ops; i++) {
		if (!possible(i))
			continue;
		if (r < ops[i].weight)
			return i;
		r -= ops[i].weight;
	}
	return 0;
}

unsigned int ops_run(unsigned int r, unsigned long nr)
{
	unsigned int i = choose(rand_r(&r));

	snprintf(strchr(where, '#'), 64, "#%lu %s", nr, ops[i].name);
	r = rand_r(&r);
	if (ops[i].run) {
		ops[i].run(r);
		return i;
	}
	phase_of[i]->round(r);
	/* There, and back again. */
	if (!strcmp(ops[i].name, "mremap"))
		phase_of[i]->round(r);
	return i;
}
