/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of gpu_hmm_demo share, and gpu_hmm_stress uses.
 *
 * The oracle: memory is changed chunk by chunk, by the main thread only. A chunk
 * goes from step to step; each step says what the GPU may find. The main thread
 * says which step comes before it does what leads there, and that it has come
 * after that has returned. A GPU command sees something between the newest step
 * that had come before the command was submitted and the newest that was
 * announced before it ended; whatever else it sees is stale or lost.
 */
#ifndef DEMO_H
#define DEMO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu.h"

/* Of a chunk, all but the last page hold data; that one holds counters. */
#define CHUNK_PAGES	8
#define DATA_PAGES	(CHUNK_PAGES - 1)
#define NR_CHUNKS	8
#define NR_COUNTERS	4

/* Memory that has nothing to do with what goes on: pages, used all the time. */
#define HOT_PAGES	48
#define STREAM_PAGES	2048

/* The engine that works on chunks, and the one that works on the rest. */
#define ENGINE_CHUNKS	0
#define ENGINE_REST	1

/* What the GPU may find in a step. */
#define MAY_BE_DATA	(1 << 0)	/* that of the step's generation */
#define MAY_BE_ZERO	(1 << 1)
#define MAY_BE_GONE	(1 << 2)	/* the data, and */
#define MAY_BE_ALL_GONE	(1 << 3)	/* the counters: not accessible */
#define MAY_BE_RDONLY	(1 << 4)	/* both: not writable */

#define NR_STEPS	256

struct step {
	unsigned int may;
	unsigned int gen;
};

struct chunk {
	char *addr;
	unsigned int id;
	atomic_ulong lo;
	atomic_ulong hi;
	struct step steps[NR_STEPS];
};

struct demo {
	int fd;
	bool coarse;
	const char *phase;
	/* mremap() moves chunk i between i and i + NR_CHUNKS. */
	struct chunk chunks[2 * NR_CHUNKS];
	int memfd;
	/* KSM wants pages that are the same. */
	bool same;
	/* Each counter, and how much was added to it. */
	atomic_ulong added[NR_CHUNKS][NR_COUNTERS];
	uint64_t *hot;
	unsigned int hot_gen[HOT_PAGES];
	uint64_t *stream;
	atomic_bool stop;
	atomic_uint failures;
	/* What the threads did. */
	atomic_ulong reads, adds, steady, streamed;
};

extern struct demo demo;
extern size_t page_size, page_words;

/* demo_memory.c */

void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int memory_init(void);
int memory_map(bool shared);
void memory_unmap(void);
int memory_warm_up(void);
void threads_start(void);
void threads_stop(void);
uint64_t *counter(struct chunk *c, unsigned int i);
struct step current(struct chunk *c);
void step_begin(struct chunk *c, unsigned int may, unsigned int gen);
void step_done(struct chunk *c);
void rewrite(struct chunk *c, bool by_gpu);
void rewrite_as(struct chunk *c, unsigned int gen, bool by_gpu);
bool verify_cpu(struct chunk *c);
bool verify_gpu(struct chunk *c);
/* The same by another file, of whichever GPU. */
bool verify_gpu_by(int fd, struct chunk *c);
void verify(struct chunk *c, bool gpu_first);
void verify_all(void);
void verify_counters(void);
void expect_error(struct chunk *c, bool write, int error);
int in_child_data_bad(void);

/* demo_phases.c */

struct phase {
	const char *name;
	/* How often round() is called, at scale 100. */
	unsigned int rounds;
	bool shared;
	bool same;
	/* Why it cannot run here, or NULL. */
	const char *(*prepare)(void);
	void (*round)(unsigned int i);
	/* Why what it did does not count, or NULL. */
	const char *(*finish)(void);
};

/* A number in a file, behind @name if that is not NULL; -1 if there is none. */
long get(const char *path, const char *name);
int put(const char *path, const char *value);
void must(int ret, const char *what);

extern const struct phase phases[];
extern const unsigned int nr_phases;
void phases_cleanup(void);

/* demo_table.c */

struct result {
	bool valid;
	struct gpu_hmm_stats stats;
	uint64_t refaults;
	unsigned int ms;
};

void table_print(struct result (*results)[2]);

#endif /* DEMO_H */
