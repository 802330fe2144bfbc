// SPDX-License-Identifier: GPL-2.0
/*
 * Exclusive access: an addition by a load and a store is right only if nobody
 * else has access to the page in between. What is lost is missing in the sum.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "features.h"

#define WORDS		32
#define ROUNDS		200

struct adder {
	int fd;
	int engine;
	uint64_t *words;
	unsigned long added;
};

static bool possible(int fd)
{
	char *mem = map(page_size);
	int err = gpu_exclusive_add(fd, 0, mem, 8, 1);

	munmap(mem, page_size);
	if (err == -EOPNOTSUPP)
		skip = "no exclusive access in this kernel";
	else
		is("exclusive add", err, 0);
	return !err;
}

static void *gpu_adds(void *arg)
{
	struct adder *a = arg;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		int err = gpu_exclusive_add(a->fd, a->engine, a->words,
					    WORDS * sizeof(uint64_t), 1);

		if (err) {
			wrong("engine %d: %s", a->engine, strerror(-err));
			break;
		}
		a->added++;
	}
	return NULL;
}

/* Adds now and then, so that the GPU has its page for a while. */
static void *cpu_adds(void *arg)
{
	struct adder *a = arg;
	unsigned int i;

	while (!atomic_load(&stop)) {
		for (i = 0; i < WORDS; i++)
			__atomic_fetch_add(&a->words[i], 1, __ATOMIC_SEQ_CST);
		a->added++;
		usleep(a->added % 200);
	}
	return NULL;
}

static void add(struct adder *adders, unsigned int nr)
{
	uint64_t *words = (uint64_t *)map(page_size), sum;
	struct adder cpu = { .words = words };
	struct gpu_hmm_stats stats = { };
	pthread_t threads[4], cpu_thread;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		adders[i].words = words;
		threads[i] = go(gpu_adds, &adders[i]);
	}
	cpu_thread = go(cpu_adds, &cpu);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	stop_all(&cpu_thread, 1);
	sum = cpu.added;
	for (i = 0; i < nr; i++)
		sum += adders[i].added;
	for (i = 0; i < WORDS; i++)
		if (words[i] != sum) {
			wrong("word %u: %llu after %llu additions", i,
			      (unsigned long long)words[i],
			      (unsigned long long)sum);
			break;
		}
	gpu_stats(adders[0].fd, &stats);
	printf("# %lu additions by the CPU, %llu by GPUs, pages made exclusive: %llu\n",
	       cpu.added, (unsigned long long)sum - cpu.added,
	       (unsigned long long)stats.exclusive);
	if (!stats.exclusive)
		wrong("no page was exclusive");
	munmap(words, page_size);
}

void exclusive_one_engine(void)
{
	struct adder adder = { .fd = open_gpu() };

	if (possible(adder.fd))
		add(&adder, 1);
	close(adder.fd);
}

void exclusive_two_engines(void)
{
	int fd = open_gpu();
	struct adder adders[2] = {
		{ .fd = fd }, { .fd = fd, .engine = 1 },
	};

	if (possible(fd))
		add(adders, 2);
	close(fd);
}

void exclusive_two_gpus(void)
{
	struct adder adders[3] = {
		{ .fd = open_gpu() },
		{ .fd = open_other_gpu(), },
		{ .engine = 1 },
	};

	adders[2].fd = adders[1].fd;
	if (gpu_count() < 2)
		skip = "one GPU";
	else if (possible(adders[0].fd))
		add(adders, 3);
	close(adders[0].fd);
	close(adders[1].fd);
}

/* The child has what there was, and what the GPU adds later is the parent's. */
void exclusive_fork(void)
{
	uint64_t *word = (uint64_t *)map(page_size);
	struct gpu_hmm_stats stats = { };
	int fd = open_gpu(), status = -1;
	unsigned int i;
	pid_t pid;

	if (!possible(fd)) {
		close(fd);
		return;
	}
	for (i = 0; ok && i < 20; i++) {
		*word = 10;
		is("add", gpu_exclusive_add(fd, 0, word, 8, 1), 0);
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			usleep(1000);
			*word += 100;
			_exit(word_at(word) != 111);
		}
		is("add after fork", gpu_exclusive_add(fd, 1, word, 8, 1), 0);
		is("the parent's", word_at(word), 12);
		if (waitpid(pid, &status, 0) != pid || status)
			wrong("the child does not have what its parent had: %#x",
			      status);
		/* Again: the page is one of the parent alone, or a copy. */
		is("add after the child", gpu_exclusive_add(fd, 1, word, 8, 1),
		   0);
		is("and the parent's", word_at(word), 13);
	}
	gpu_stats(fd, &stats);
	if (!stats.exclusive)
		wrong("no page was exclusive");
	close(fd);
	munmap(word, page_size);
}
