// SPDX-License-Identifier: GPL-2.0
/*
 * How long the invalidation of a few pages takes that several GPUs map, each of
 * which takes its time for a TLB flush.
 *
 * For each number of GPUs there is a process of its own, so that nothing but
 * these follow what it does, and they take turns.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu.h"
#include "measure.h"

#define FLUSH_US	2000
#define PAGES		4
#define MAX_COUNTS	5	/* 1, 2, 4, 8, 16 */

static const struct {
	const char *name;
	unsigned int flags;
} modes[] = {
	{ "two passes", 0 },
	{ "single pass", GPU_HMM_SINGLE_PASS },
	{ "and coarse", GPU_HMM_SINGLE_PASS | GPU_HMM_COARSE },
};

struct worker {
	unsigned int gpus;
	pid_t pid;
	int in;		/* mode numbers go in, */
	int out;	/* and times come out */
	struct samples samples[ARRAY_SIZE(modes)];
};

static int fds[MAX_GPUS];

/* Return 0, for a failure, or how long it took. */
static uint64_t one_round(char *mem, unsigned int gpus, unsigned int flags)
{
	unsigned int i;
	uint64_t start;

	memset(mem, 1, PAGES * page_size);
	for (i = 0; i < gpus; i++) {
		if (gpu_setup(fds[i], flags, 0, FLUSH_US) ||
		    gpu_prefetch(fds[i], mem, PAGES * page_size, 1)) {
			problem("GPU %u: %s", i, strerror(errno));
			return 0;
		}
	}
	start = now_us();
	if (madvise(mem, PAGES * page_size, MADV_DONTNEED)) {
		problem("MADV_DONTNEED: %s", strerror(errno));
		return 0;
	}
	return now_us() - start;
}

static void work(unsigned int gpus, int in, int out)
{
	char *mem = mmap(NULL, PAGES * page_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i, mode;

	for (i = 0; i < gpus; i++) {
		fds[i] = gpu_open_nr(i);
		if (fds[i] < 0 || mem == MAP_FAILED)
			_exit(1);
	}
	while (read(in, &mode, sizeof(mode)) == sizeof(mode)) {
		uint64_t us = one_round(mem, gpus, modes[mode].flags);

		if (!us || write(out, &us, sizeof(us)) != sizeof(us))
			_exit(1);
	}
	_exit(0);
}

static bool worker_start(struct worker *w, unsigned int gpus)
{
	int in[2], out[2];

	w->gpus = gpus;
	if (pipe(in) || pipe(out))
		return false;
	fflush(stdout);
	w->pid = fork();
	if (w->pid == 0) {
		close(in[1]);
		close(out[0]);
		work(gpus, in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	w->in = in[1];
	w->out = out[0];
	return w->pid > 0;
}

static bool worker_round(struct worker *w, unsigned int mode, bool count)
{
	uint64_t us;

	if (write(w->in, &mode, sizeof(mode)) != sizeof(mode) ||
	    read(w->out, &us, sizeof(us)) != sizeof(us)) {
		problem("the process with %u GPUs is gone", w->gpus);
		return false;
	}
	if (count)
		samples_add(&w->samples[mode], us);
	return true;
}

static void worker_stop(struct worker *w)
{
	close(w->in);
	close(w->out);
	waitpid(w->pid, NULL, 0);
}

static uint64_t median(struct worker *w, unsigned int mode)
{
	return samples_percentile(&w->samples[mode], 50);
}

static void print_table(struct worker *workers, unsigned int nr)
{
	unsigned int i, mode;

	printf("\nInvalidation of %u pages that each GPU maps and takes %u ms to flush:\n"
	       "the median of %zu, in ms, and as a multiple of a flush\n",
	       PAGES, FLUSH_US / 1000, workers[0].samples[0].nr);
	printf("-----+");
	for (mode = 0; mode < ARRAY_SIZE(modes); mode++)
		printf("----------------+");
	printf("\nGPUs |");
	for (mode = 0; mode < ARRAY_SIZE(modes); mode++)
		printf(" %14s |", modes[mode].name);
	printf("\n");
	for (i = 0; i < nr; i++) {
		printf("%4u |", workers[i].gpus);
		for (mode = 0; mode < ARRAY_SIZE(modes); mode++) {
			double us = median(&workers[i], mode);

			printf(" %6.1f  %5.1fx |", us / 1000, us / FLUSH_US);
		}
		printf("\n");
	}
	printf("\n");
}

static bool run_rounds(struct worker *workers, unsigned int nr,
		       unsigned int rounds)
{
	unsigned int round, i, mode;

	/* The first is for what happens once only. */
	for (round = 0; round <= rounds; round++)
		for (i = 0; i < nr; i++)
			for (mode = 0; mode < ARRAY_SIZE(modes); mode++)
				if (!worker_round(&workers[i], mode, round))
					return false;
	return true;
}

/* Whatever else the machine does makes it longer, never shorter. */
static uint64_t least(struct worker *w, unsigned int mode)
{
	return samples_percentile(&w->samples[mode], 0);
}

static void judge(struct worker *workers, unsigned int nr)
{
	struct worker *one = &workers[0], *all = &workers[nr - 1];
	unsigned int mode;

	for (mode = 0; mode < ARRAY_SIZE(modes); mode++)
		result(least(all, mode) >= FLUSH_US * (mode ? all->gpus : 1),
		       "%u GPUs, %s: an invalidation waits for the flushes",
		       all->gpus, modes[mode].name);
	if (nr < 2)
		result(true, "several GPUs flush at once # SKIP one GPU");
	else
		result(least(all, 0) < 2 * least(one, 0),
		       "%u GPUs flush at once: less than twice the time of one",
		       all->gpus);
}

bool measure_flush(unsigned int rounds)
{
	static struct worker workers[MAX_COUNTS];
	unsigned int gpus = gpu_count(), nr = 0, i;
	bool good = true;

	for (i = 1; good && i <= gpus && nr < MAX_COUNTS; i *= 2)
		good = worker_start(&workers[nr++], i);
	good = good && nr && run_rounds(workers, nr, rounds);
	/* A later one has the pipes of those before, too. */
	for (i = nr; i > 0; i--)
		worker_stop(&workers[i - 1]);
	if (!good)
		return false;
	print_table(workers, nr);
	judge(workers, nr);
	return true;
}
