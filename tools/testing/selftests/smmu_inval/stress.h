/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of gpu_hmm_stress share.
 *
 * Each process has memory, threads and an oracle as the demo has them. A life
 * of a process is a row of epochs: a GPU, a way to use it, and operations on the
 * memory, all at random; and then it exits, executes something else, or is
 * killed. Somebody else takes its place.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "demo.h"

#define MAX_PROCESSES	16
#define MAX_OPS		24

/* Of all lives of a process; written by the living, read by all. */
struct counters {
	atomic_ulong ops[MAX_OPS];
	atomic_ulong lives, killed;
	atomic_ulong commands, faults, retries, flushes;
	atomic_ulong callbacks[GPU_HMM_NR_EVENTS];
	atomic_ulong ranges, ranges_freed, exclusive, to_device;
	/* By process_mrelease(), which is not blockable. */
	atomic_ulong reaped, not_reaped;
	atomic_ulong failures;
};

struct shared {
	atomic_bool stop;
	/* See patience.h. */
	atomic_ulong again;
	struct counters processes[MAX_PROCESSES];
};

/* What can be done to memory. */
struct op {
	const char *name;
	/* How often, compared with others. */
	unsigned int weight;
	/* With memory of its own, and with shared memory. */
	bool private, shared;
	/* The phase of the demo that it is a round of, or */
	const char *phase;
	/* what it does, with a random number. */
	void (*run)(unsigned int r);
};

extern const struct op ops[];
extern const unsigned int nr_ops;
extern struct shared *shared;
extern unsigned int gpus;

/* Do this one more often than others; return whether there is such a one. */
bool ops_prefer(const char *name);
/* Before the first process, and after the last. */
void ops_init(void);
void ops_cleanup(void);
/* Who it is, for what fails. */
void ops_name(unsigned int process, unsigned long life, unsigned int seed);
/* With the memory of an epoch mapped, and before it is unmapped. */
void ops_prepare(bool shared_memory);
void ops_finish(void);
/* Run one, chosen by @r; return its index. */
unsigned int ops_run(unsigned int r, unsigned long nr);

int random_gpu(unsigned int *seed);
int random_setup(int fd, unsigned int *seed);

#endif /* STRESS_H */
