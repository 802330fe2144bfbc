// SPDX-License-Identifier: GPL-2.0
/*
 * GPU_HMM_RANGES: a notifier for each 2 MiB that a fault ever touched, as long as
 * something is mapped there. A notifier that is never freed is seen here in the
 * numbers, and when the module is unloaded; one that is freed too early lets the
 * GPU miss what happens to the memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "features.h"

#ifndef SYS_process_mrelease
#define SYS_process_mrelease	448
#endif

#define SIZE		GPU_HMM_RANGE_SIZE
#define TIMEOUT_MS	5000

static int open_with_ranges(void)
{
	int fd = open_gpu();

	is("SETUP", gpu_setup(fd, GPU_HMM_RANGES, 0, 0), 0);
	return fd;
}

/* The collector takes its time. */
static void expect_ranges(const char *what, int fd, uint64_t ranges,
			  uint64_t freed)
{
	double end = now_ms() + TIMEOUT_MS;
	struct gpu_hmm_stats stats = { };

	do {
		gpu_stats(fd, &stats);
		if (stats.ranges == ranges && stats.ranges_freed == freed)
			return;
		usleep(1000);
	} while (now_ms() < end);
	wrong("%s: %llu ranges, %llu freed, and not %llu and %llu", what,
	      (unsigned long long)stats.ranges,
	      (unsigned long long)stats.ranges_freed,
	      (unsigned long long)ranges, (unsigned long long)freed);
}

/* What must not happen has had its time, too. */
static void ranges_stay(const char *what, int fd, uint64_t ranges,
			uint64_t freed)
{
	usleep(200000);
	expect_ranges(what, fd, ranges, freed);
}

static char *map_at(char *at, size_t size)
{
	char *mem = mmap(at, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			 MAP_FIXED_NOREPLACE, -1, 0);

	if (mem != at)
		wrong("mmap: %s", strerror(errno));
	return mem;
}

/* What the CPU writes the GPU finds, and the other way round. */
static void both_ways(const char *what, int fd, char *at, uint64_t value)
{
	uint64_t word = 0;

	*(uint64_t *)at = value;
	is(what, gpu_read(fd, 0, at, &word, 8), 0);
	is(what, word, value);
	is(what, gpu_fill(fd, 1, at, 8, value + 1), 0);
	is(what, word_at(at), value + 1);
}

void ranges_come_and_go(void)
{
	char *mem = map_aligned(4 * SIZE);
	int fd = open_with_ranges();
	unsigned int i;

	expect_ranges("before a fault", fd, 0, 0);
	for (i = 0; i < 4; i++)
		both_ways("first use", fd, mem + i * SIZE, 10 * i);
	expect_ranges("after faults", fd, 4, 0);
	is("DONTNEED", madvise(mem, SIZE, MADV_DONTNEED), 0);
	ranges_stay("after DONTNEED", fd, 4, 0);

	munmap(mem, SIZE);
	expect_ranges("one unmapped", fd, 3, 1);
	is("GPU in the hole", gpu_fill(fd, 0, mem, 8, 1), -EFAULT);
	/* A fault makes a notifier before it knows; that one goes again. */
	expect_ranges("after a fault in a hole", fd, 3, 2);

	munmap(mem + SIZE, SIZE / 2);
	ranges_stay("half of one unmapped", fd, 3, 2);
	both_ways("the other half", fd, mem + SIZE + SIZE / 2, 20);
	is("GPU in the first half", gpu_fill(fd, 0, mem + SIZE, 8, 1), -EFAULT);
	munmap(mem + SIZE + SIZE / 2, SIZE / 2 - page_size);
	ranges_stay("all but a page unmapped", fd, 3, 2);
	both_ways("the last page", fd, mem + 2 * SIZE - page_size, 30);
	munmap(mem + 2 * SIZE - page_size, page_size);
	expect_ranges("both halves unmapped", fd, 2, 3);

	map_at(mem, 2 * SIZE);
	both_ways("mapped again", fd, mem, 40);
	both_ways("mapped again", fd, mem + SIZE, 50);
	expect_ranges("mapped again", fd, 4, 3);
	munmap(mem, 4 * SIZE);
	expect_ranges("all unmapped", fd, 0, 7);
	close(fd);
}

struct race {
	int fd;
	char *mem;
	unsigned long commands;
};

/* Whatever is there. */
static void *use_anything(void *arg)
{
	struct race *race = arg;
	unsigned int seed = 1;

	while (!atomic_load(&stop)) {
		size_t page = rand_r(&seed) % (SIZE / page_size - 8);
		char *at = race->mem + page * page_size;
		uint64_t sum;
		int err;

		if (rand_r(&seed) & 1)
			err = gpu_checksum(race->fd, 1, at, 8 * page_size,
					   &sum);
		else
			err = gpu_add(race->fd, 1, at + 8, 8, 1, NULL);
		if (err && err != -EFAULT)
			wrong("GPU: %s", strerror(-err));
		race->commands++;
	}
	return NULL;
}

void ranges_race(void)
{
	struct race race = { .fd = open_with_ranges(), .mem = map_aligned(SIZE) };
	char *far = race.mem + SIZE - 64 * page_size;
	struct gpu_hmm_stats stats = { };
	double end = now_ms() + 2000;
	unsigned int rounds = 0;
	pthread_t thread;

	thread = go(use_anything, &race);
	for (; ok && now_ms() < end; rounds++) {
		both_ways("one end", race.fd, race.mem, rounds);
		both_ways("the other end", race.fd, far, rounds + 7);
		if (rounds % 3 == 0) {
			/* A part, and what is left stays what it is. */
			munmap(race.mem, SIZE / 2);
			is("the rest", word_at(far), rounds + 8);
			both_ways("the rest", race.fd, far, rounds + 9);
			map_at(race.mem, SIZE / 2);
		} else {
			munmap(race.mem, SIZE);
			if (rounds % 2)
				is("nothing", gpu_fill(race.fd, 0, race.mem, 8,
						       1), -EFAULT);
			map_at(race.mem, SIZE);
		}
	}
	stop_all(&thread, 1);
	munmap(race.mem, SIZE);
	gpu_stats(race.fd, &stats);
	printf("# %u rounds, %lu commands beside them, %llu ranges freed\n",
	       rounds, race.commands, (unsigned long long)stats.ranges_freed);
	if (!stats.ranges_freed)
		wrong("no range was freed");
	expect_ranges("all unmapped", race.fd, 0,
		      stats.ranges + stats.ranges_freed);
	close(race.fd);
}

static bool send_fd(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) == 1;
}

static int receive_fd(int socket)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { };
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Uses memory in several ranges, and leaves commands that run. */
static int use_ranges(char *mem, unsigned int nr)
{
	int fd = open_with_ranges();
	unsigned int i;

	for (i = 0; i < nr; i++)
		both_ways("use", fd, mem + i * SIZE, i);
	gpu_start(fd, 0, GPU_HMM_FILL, mem, nr * SIZE, 1);
	gpu_start(fd, 1, GPU_HMM_CHECKSUM, mem, nr * SIZE, 0);
	return fd;
}

void ranges_file_outlives(void)
{
	struct gpu_hmm_stats stats;
	int sockets[2], status, fd;
	unsigned int i;
	pid_t pid;

	for (i = 0; ok && i < 8; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) {
			/* A kernel without sockets: the child's child has it. */
			sockets[0] = -1;
			sockets[1] = -1;
		}
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			fd = use_ranges(map_aligned(8 * SIZE), 8);
			if (sockets[1] >= 0) {
				send_fd(sockets[1], fd);
			} else if (fork() == 0) {
				usleep(20000);
				close(fd);
				_exit(0);
			}
			_exit(!ok);
		}
		fd = sockets[0] < 0 ? -1 : receive_fd(sockets[0]);
		/* Before and after the process is gone. */
		if (i & 1)
			usleep(1000 * i);
		else if (waitpid(pid, &status, 0) != pid || status)
			wrong("the child failed: %#x", status);
		if (fd >= 0 && (!gpu_stats(fd, &stats) || errno != EPERM))
			wrong("STATS of somebody else's file did not fail");
		close(fd);
		if (i & 1 && (waitpid(pid, &status, 0) != pid || status))
			wrong("the child failed: %#x", status);
		close(sockets[0]);
		close(sockets[1]);
	}
}

void ranges_reaped(void)
{
	unsigned int i, j, reaped = 0;
	const unsigned int nr = 16;
	char c;

	for (i = 0; ok && i < 16; i++) {
		int ready[2], status, pidfd;
		pid_t pid;

		if (pipe(ready)) {
			wrong("pipe: %s", strerror(errno));
			return;
		}
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			char *mem = map_aligned(nr * SIZE);
			int fd;

			for (j = 0; j < nr; j++)
				memset(mem + j * SIZE, 1, SIZE / 4);
			fd = use_ranges(mem, nr);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			for (;;)
				gpu_fill(fd, 0, mem, nr * SIZE, 1);
		}
		close(ready[1]);
		if (read(ready[0], &c, 1) != 1)
			wrong("the child failed");
		pidfd = syscall(SYS_pidfd_open, pid, 0);
		kill(pid, SIGKILL);
		/* As the OOM reaper does, if it is not gone yet. */
		if (!syscall(SYS_process_mrelease, pidfd, 0))
			reaped++;
		waitpid(pid, &status, 0);
		close(pidfd);
		close(ready[0]);
	}
	printf("# %u of %u were reaped before they were gone\n", reaped, i);
}
