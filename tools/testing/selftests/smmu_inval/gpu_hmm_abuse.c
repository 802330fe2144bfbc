// SPDX-License-Identifier: GPL-2.0
/*
 * gpu_hmm_abuse: what a program must not do to the software GPU gets the errno
 * that gpu_hmm_uapi.h promises; and files that are closed, processes that exit,
 * fork or are killed while engines work for them harm nobody.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define MAX_TABLES	"/sys/module/smmu_inval_gpu_hmm/parameters/max_tables"
#define BIG		(32UL << 20)

/* The ioctl has to fail, and with this errno; 0 is for success. */
static void expect(const char *what, int fd, unsigned long nr, void *arg,
		   int error)
{
	int is = ioctl(fd, nr, arg) ? errno : 0;

	if (is != error)
		wrong("%s: %s, and not %s", what, strerror(is),
		      strerror(error));
}

static struct gpu_hmm_command command(unsigned int op, void *addr, size_t size)
{
	return (struct gpu_hmm_command) {
		.op = op, .addr = (uintptr_t)addr, .size = size,
	};
}

static void bad_commands(void)
{
	struct gpu_hmm_stats stats = { };
	struct gpu_hmm_command good, cmd;
	char *mem = map(4 * page_size), *buffer = map(page_size);
	int fd = open_gpu();

	memset(mem, 0, 4 * page_size);
	gpu_stats(fd, &stats);
	good = command(GPU_HMM_READ, mem, page_size);
	good.buffer = (uintptr_t)buffer;

#define BAD(error, ...) do {						\
	cmd = good;							\
	__VA_ARGS__;							\
	expect(#__VA_ARGS__, fd, GPU_HMM_IOC_SUBMIT, &cmd, error);	\
} while (0)
	BAD(0, cmd = good);
	BAD(EINVAL, cmd.op = 0);
	BAD(EINVAL, cmd.op = GPU_HMM_EXCLUSIVE_ADD + 1, cmd.buffer = 0);
	BAD(EINVAL, cmd.op = ~0U);
	BAD(ENXIO, cmd.engine = stats.engines);
	BAD(ENXIO, cmd.engine = ~0U);
	BAD(EINVAL, cmd.flags = GPU_HMM_ASYNC << 1);
	BAD(EINVAL, cmd.flags = ~0U);
	BAD(EINVAL, cmd.reserved = 1);
	BAD(EINVAL, cmd.operand = 1);
	BAD(EINVAL, cmd.op = GPU_HMM_FILL);
	BAD(EINVAL, cmd.op = GPU_HMM_CHECKSUM);
	BAD(EINVAL, cmd.op = GPU_HMM_ATOMIC_ADD);
	BAD(EINVAL, cmd.op = GPU_HMM_EXCLUSIVE_ADD);
	BAD(EINVAL, cmd.size = 0);
	BAD(EINVAL, cmd.size = 4);
	BAD(EINVAL, cmd.addr += 4);
	BAD(E2BIG, cmd.size = GPU_HMM_MAX_COPY + 8);
	BAD(E2BIG, cmd.size = ~7ULL);
	BAD(E2BIG, cmd.op = GPU_HMM_CHECKSUM, cmd.buffer = 0,
	    cmd.size = GPU_HMM_MAX_SIZE + 8);
	BAD(EFAULT, cmd.addr = ~7ULL);
	BAD(EFAULT, cmd.addr = 0ULL - page_size);
	BAD(EFAULT, cmd.addr = 1ULL << 63);
	BAD(EFAULT, cmd.addr = (1ULL << 48) - 8, cmd.size = 16);
	BAD(EFAULT, cmd.addr = 1ULL << 48);
	BAD(EFAULT, cmd.buffer = ~0ULL);
	BAD(EFAULT, cmd.buffer = 0);
	BAD(EFAULT, cmd.op = GPU_HMM_WRITE, cmd.buffer = 0);
	BAD(EFAULT, cmd.op = GPU_HMM_WRITE, cmd.buffer = 1ULL << 63);
	/* Refused before it starts, so that there is nothing to wait for. */
	BAD(EFAULT, cmd.flags = GPU_HMM_ASYNC, cmd.buffer = 1ULL << 63);
#undef BAD
	expect("command at 0", fd, GPU_HMM_IOC_SUBMIT, NULL, EFAULT);
	expect("unknown", fd, _IO('G', 0xe0), NULL, ENOTTY);
	expect("wrong size", fd, _IOWR('G', 0xe0, char[8]), &cmd, ENOTTY);
	expect("not ours", fd, 0x5401, &cmd, ENOTTY);
	close(fd);
	munmap(mem, 4 * page_size);
	munmap(buffer, page_size);
}

#define BAD(type, request, error, ...) do {				\
	struct type arg = { __VA_ARGS__ };				\
	expect(#type ": " #__VA_ARGS__, fd, request, &arg, error);	\
} while (0)
#define WAIT(error, ...) \
	BAD(gpu_hmm_wait, GPU_HMM_IOC_WAIT, error, __VA_ARGS__)
#define PREFETCH(error, ...) \
	BAD(gpu_hmm_prefetch, GPU_HMM_IOC_PREFETCH, error, __VA_ARGS__)
#define SETUP(error, ...) \
	BAD(gpu_hmm_setup, GPU_HMM_IOC_SETUP, error, __VA_ARGS__)
#define EVICT(error, ...) \
	BAD(gpu_hmm_evict, GPU_HMM_IOC_EVICT, error, __VA_ARGS__)
#define MIGRATE(error, ...) \
	BAD(gpu_hmm_migrate, GPU_HMM_IOC_MIGRATE, error, __VA_ARGS__)

static void bad_others(void)
{
	char *mem = map(page_size);
	int fd = open_gpu();

	WAIT(ENOENT, .id = 0);
	WAIT(ENOENT, .id = 1);
	WAIT(ENOENT, .id = ~0ULL, .timeout_ms = GPU_HMM_FOREVER);
	WAIT(EINVAL, .id = 1, .reserved = 1);
	PREFETCH(0, .addr = (uintptr_t)mem, .size = page_size);
	PREFETCH(EINVAL, .addr = (uintptr_t)mem, .size = page_size, .flags = 2);
	PREFETCH(EINVAL, .addr = (uintptr_t)mem, .size = page_size,
		 .reserved = 1);
	PREFETCH(EINVAL, .addr = (uintptr_t)mem + 8, .size = page_size);
	PREFETCH(EINVAL, .addr = (uintptr_t)mem, .size = page_size / 2);
	PREFETCH(EINVAL, .addr = (uintptr_t)mem, .size = 0);
	PREFETCH(E2BIG, .addr = (uintptr_t)mem,
		 .size = GPU_HMM_MAX_SIZE + page_size);
	PREFETCH(EFAULT, .addr = 0ULL - page_size, .size = page_size);
	PREFETCH(EFAULT, .addr = 0, .size = page_size);
	EVICT(0, .addr = (uintptr_t)mem, .size = page_size);
	EVICT(0, .addr = 0, .size = page_size);
	EVICT(EINVAL, .addr = (uintptr_t)mem, .size = page_size, .reserved = 1);
	EVICT(EINVAL, .addr = (uintptr_t)mem + 8, .size = page_size);
	EVICT(EINVAL, .addr = (uintptr_t)mem, .size = 8);
	EVICT(EINVAL, .addr = (uintptr_t)mem, .size = 0);
	EVICT(E2BIG, .addr = (uintptr_t)mem,
	      .size = GPU_HMM_MAX_SIZE + page_size);
	EVICT(EFAULT, .addr = 0ULL - page_size, .size = page_size);
	EVICT(EFAULT, .addr = 1ULL << 48, .size = page_size);
	expect("wait at 0", fd, GPU_HMM_IOC_WAIT, NULL, EFAULT);
	expect("prefetch at 0", fd, GPU_HMM_IOC_PREFETCH, NULL, EFAULT);
	expect("evict at 0", fd, GPU_HMM_IOC_EVICT, NULL, EFAULT);
	expect("stats at 0", fd, GPU_HMM_IOC_STATS, NULL, EFAULT);
	close(fd);
	munmap(mem, page_size);
}

static void bad_setup(void)
{
	char *mem = map(page_size);
	int fd = open_gpu();

	SETUP(EINVAL, .flags = GPU_HMM_RANGES << 1);
	SETUP(EINVAL, .flags = ~0U);
	SETUP(EINVAL, .reserved = 1);
	SETUP(EINVAL, .fault_delay_us = GPU_HMM_MAX_DELAY_US + 1);
	SETUP(EINVAL, .flush_delay_us = GPU_HMM_MAX_DELAY_US + 1);
	SETUP(EINVAL, .flush_delay_us = ~0U);
	SETUP(0, .fault_delay_us = GPU_HMM_MAX_DELAY_US,
	      .flush_delay_us = GPU_HMM_MAX_DELAY_US);
	SETUP(0, .flags = GPU_HMM_COARSE | GPU_HMM_STOCK |
			  GPU_HMM_SINGLE_PASS | GPU_HMM_RANGES);
	expect("setup at 0", fd, GPU_HMM_IOC_SETUP, NULL, EFAULT);

	/* All but the notifiers can change at any time. */
	SETUP(0, .flags = 0);
	PREFETCH(0, .addr = (uintptr_t)mem, .size = page_size);
	SETUP(EBUSY, .flags = GPU_HMM_RANGES);
	SETUP(0, .flags = GPU_HMM_COARSE | GPU_HMM_STOCK | GPU_HMM_SINGLE_PASS);
	close(fd);

	fd = open_gpu();
	SETUP(0, .flags = GPU_HMM_RANGES);
	PREFETCH(0, .addr = (uintptr_t)mem, .size = page_size);
	SETUP(EBUSY, .flags = 0);
	SETUP(EBUSY, .flags = GPU_HMM_COARSE);
	SETUP(0, .flags = GPU_HMM_RANGES | GPU_HMM_COARSE);
	close(fd);
	munmap(mem, page_size);
}

/* How commands end that run into something. */
static void bad_memory(void)
{
	char *mem = map(4 * page_size), *copy = map(4 * page_size);
	struct gpu_hmm_command cmd;
	int fd = open_gpu();

	memset(mem, 1, 4 * page_size);
	munmap(mem + 2 * page_size, page_size);
	is("write into a hole", gpu_fill(fd, 0, mem + 2 * page_size, 8, 1),
	   -EFAULT);
	is("read in a hole", gpu_read(fd, 1, mem + 2 * page_size, copy, 8),
	   -EFAULT);
	is("prefetch a hole",
	   gpu_prefetch(fd, mem + page_size, 2 * page_size, 0) ? errno : 0,
	   EFAULT);

	/* What comes before the hole is done, and said to be. */
	cmd = command(GPU_HMM_READ, mem + 8, 3 * page_size);
	cmd.buffer = (uintptr_t)copy;
	is("read into a hole", ioctl(fd, GPU_HMM_IOC_SUBMIT, &cmd), 0);
	is("its error", cmd.error, -EFAULT);
	is("how far it got", cmd.done, 2 * page_size - 8);
	is("its last byte", copy[2 * page_size - 9], 1);
	is("and the one behind", copy[2 * page_size - 8], 0);

	mprotect(mem, page_size, PROT_READ);
	is("write to read-only", gpu_fill(fd, 0, mem, 8, 1), -EPERM);
	is("add to read-only", gpu_add(fd, 0, mem, 8, 1, NULL), -EPERM);
	is("prefetch read-only to write",
	   gpu_prefetch(fd, mem, page_size, 1) ? errno : 0, EPERM);
	is("read from read-only", gpu_read(fd, 0, mem, copy, 8), 0);
	mprotect(mem, page_size, PROT_NONE);
	is("read from PROT_NONE", gpu_read(fd, 0, mem, copy, 8), -EFAULT);
	is("address 0", gpu_read(fd, 0, NULL, copy, 8), -EFAULT);
	close(fd);
	munmap(mem, 4 * page_size);
	munmap(copy, 4 * page_size);
}

static void bad_migrate(void)
{
	char *mem = map(4 * page_size), *shared = map_shared(page_size);
	struct gpu_hmm_migrate arg;
	int fd = open_gpu(), none;

	memset(mem, 1, 4 * page_size);
	memset(shared, 1, page_size);
	/* Whatever the kernel can do. */
	MIGRATE(EINVAL, .addr = (uintptr_t)mem, .size = page_size, .flags = 2);
	MIGRATE(EINVAL, .addr = (uintptr_t)mem, .size = page_size,
		.flags = ~0U);
	MIGRATE(EINVAL, .addr = (uintptr_t)mem, .size = page_size,
		.reserved = 1);
	MIGRATE(EINVAL, .addr = (uintptr_t)mem + 8, .size = page_size);
	MIGRATE(EINVAL, .addr = (uintptr_t)mem, .size = page_size / 2);
	MIGRATE(EINVAL, .addr = (uintptr_t)mem, .size = 0);
	MIGRATE(E2BIG, .addr = (uintptr_t)mem,
		.size = GPU_HMM_MAX_SIZE + page_size);
	MIGRATE(EFAULT, .addr = 0ULL - page_size, .size = page_size);
	MIGRATE(EFAULT, .addr = 1ULL << 48, .size = page_size);
	expect("migrate at 0", fd, GPU_HMM_IOC_MIGRATE, NULL, EFAULT);

	none = gpu_migrate(fd, mem, page_size, 0, &arg) && errno == EOPNOTSUPP;
	if (none) {
		printf("# no device memory in this kernel\n");
		is("pages", arg.pages, 0);
		MIGRATE(EOPNOTSUPP, .addr = (uintptr_t)mem, .size = page_size,
			.flags = GPU_HMM_MIGRATE_BACK);
	} else {
		is("pages", arg.pages, 1);
		is("migrate what has been", gpu_migrate(fd, mem, page_size, 0,
							&arg), 0);
		is("its pages", arg.pages, 0);
		is("migrate shared memory",
		   gpu_migrate(fd, shared, page_size, 0, &arg), 0);
		is("its pages", arg.pages, 0);
		is("shared memory", *shared, 1);
		MIGRATE(EFAULT, .addr = 0, .size = page_size);
		munmap(mem + page_size, page_size);
		MIGRATE(EFAULT, .addr = (uintptr_t)mem + page_size,
			.size = page_size);
		MIGRATE(EFAULT, .addr = (uintptr_t)mem + page_size,
			.size = page_size, .flags = GPU_HMM_MIGRATE_BACK);
	}
	is("what is there", *mem, 1);
	close(fd);
	munmap(mem, 4 * page_size);
	munmap(shared, page_size);
}

static void bad_exclusive(void)
{
	char *mem = map(2 * page_size), *shared = map_shared(page_size);
	int fd = open_gpu(), err;
	uint64_t *word = (uint64_t *)mem;

	*word = 1;
	mem[page_size] = 1;
	err = gpu_exclusive_add(fd, 0, mem, 8, 1);
	if (err == -EOPNOTSUPP)
		printf("# no exclusive access in this kernel\n");
	else
		is("add", err, 0);
	is("the sum", *word, err ? 1 : 2);
	is("add to shared memory", gpu_exclusive_add(fd, 0, shared, 8, 1),
	   -EOPNOTSUPP);
	is("shared memory", *shared, 0);
	mprotect(mem, page_size, PROT_READ);
	is("add to read-only", gpu_exclusive_add(fd, 1, mem, 8, 1), -EPERM);
	is("read-only", *word, err ? 1 : 2);
	munmap(mem, page_size);
	is("add to a hole", gpu_exclusive_add(fd, 0, mem, 8, 1), -EFAULT);
	is("add at 0", gpu_exclusive_add(fd, 1, NULL, 8, 1), -EFAULT);
	close(fd);
	munmap(mem + page_size, page_size);
	munmap(shared, page_size);
}

static void wait_for(const char *what, int fd, uint64_t id, int error)
{
	struct gpu_hmm_wait wait = {
		.id = id, .timeout_ms = GPU_HMM_FOREVER,
	};

	expect(what, fd, GPU_HMM_IOC_WAIT, &wait, error);
	if (!error)
		is(what, wait.error, 0);
}

static uint64_t start(int fd, int engine, unsigned int op, void *addr,
		      size_t size, void *buffer)
{
	struct gpu_hmm_command cmd = command(op, addr, size);

	cmd.engine = engine;
	cmd.flags = GPU_HMM_ASYNC;
	cmd.buffer = (uintptr_t)buffer;
	if (op == GPU_HMM_FILL)
		cmd.operand = 0x0101010101010101ULL;
	expect("asynchronous command", fd, GPU_HMM_IOC_SUBMIT, &cmd, 0);
	return cmd.id;
}

static void async(void)
{
	uint64_t id[GPU_HMM_MAX_ASYNC];
	size_t size = 256 * page_size;
	char *mem = map(size), *buffer = map(page_size);
	struct gpu_hmm_command cmd;
	struct gpu_hmm_wait wait = { };
	int fd = open_gpu();
	unsigned int i;

	/* A few slow faults, and the rest behind them. */
	is("slow faults", gpu_setup(fd, 0, GPU_HMM_MAX_DELAY_US, 0), 0);
	id[0] = start(fd, 0, GPU_HMM_FILL, mem, size, NULL);
	for (i = 1; i < GPU_HMM_MAX_ASYNC; i++)
		id[i] = start(fd, 0, GPU_HMM_READ, mem, page_size, buffer);
	cmd = command(GPU_HMM_CHECKSUM, mem, 8);
	cmd.flags = GPU_HMM_ASYNC;
	expect("one too many", fd, GPU_HMM_IOC_SUBMIT, &cmd, EAGAIN);
	wait.id = id[GPU_HMM_MAX_ASYNC - 1];
	expect("look, do not wait", fd, GPU_HMM_IOC_WAIT, &wait, ETIMEDOUT);
	wait.timeout_ms = 1;
	expect("wait a little", fd, GPU_HMM_IOC_WAIT, &wait, ETIMEDOUT);

	wait_for("the last", fd, id[i - 1], 0);
	wait_for("the last again", fd, id[i - 1], ENOENT);
	is("its data", buffer[page_size - 1], 1);
	/* All others are over, since an engine keeps the order. */
	wait.id = id[1];
	wait.timeout_ms = 0;
	expect("look, it is over", fd, GPU_HMM_IOC_WAIT, &wait, 0);
	munmap(buffer, page_size);
	wait_for("no buffer any more", fd, id[2], EFAULT);
	wait_for("nor the command", fd, id[2], ENOENT);
	wait_for("the first", fd, id[0], 0);
	id[0] = start(fd, 1, GPU_HMM_CHECKSUM, mem, page_size, NULL);
	wait_for("room again", fd, id[0], 0);
	close(fd);
	munmap(mem, size);
}

struct guess {
	int fd;
	atomic_ulong id;
	atomic_uint in_vain;
};

static void *guess_ids(void *arg)
{
	struct gpu_hmm_wait wait = { };
	struct guess *guess = arg;

	while (!atomic_load(&stop)) {
		wait.id = atomic_load(&guess->id);
		wait.timeout_ms = 500;
		if (ioctl(guess->fd, GPU_HMM_IOC_WAIT, &wait) == 0 || errno != ENOENT)
			atomic_fetch_add(&guess->in_vain, 1);
	}
	return NULL;
}

/* The id of a command cannot be written, so that it never runs: who waits hears of it. */
static void guessed_id(void)
{
	struct gpu_hmm_command *cmd = (void *)map(page_size);
	struct guess guess = { .fd = open_gpu(), .id = 1 };
	unsigned int i, other = 0;
	pthread_t thread;

	*cmd = command(GPU_HMM_FILL, map(page_size), 8);
	cmd->flags = GPU_HMM_ASYNC;
	must(mprotect(cmd, page_size, PROT_READ), "mprotect");
	thread = go(guess_ids, &guess);
	for (i = 0; i < 20000 && !atomic_load(&guess.in_vain); i++) {
		if (ioctl(guess.fd, GPU_HMM_IOC_SUBMIT, cmd) == 0 || errno != EFAULT)
			other++;
		atomic_store(&guess.id, i + 2);
	}
	stop_all(&thread, 1);
	is("submitted, or another error", other, 0);
	is("waits for what does not come", atomic_load(&guess.in_vain), 0);
	munmap((void *)cmd->addr, page_size);
	munmap(cmd, page_size);
	close(guess.fd);
}

static void child_has_another_mm(void)
{
	struct gpu_hmm_command cmd;
	struct gpu_hmm_wait wait = { };
	struct gpu_hmm_prefetch prefetch = { };
	struct gpu_hmm_migrate migrate = { };
	struct gpu_hmm_setup setup = { };
	struct gpu_hmm_evict evict = { };
	struct gpu_hmm_stats stats;
	char *mem = map(page_size);
	int fd = open_gpu(), status = 0;

	memset(mem, 0, page_size);
	is("fill", gpu_fill(fd, 0, mem, 8, 1), 0);
	if (fork() == 0) {
		cmd = command(GPU_HMM_FILL, mem, 8);
		cmd.operand = 2;
		expect("SUBMIT", fd, GPU_HMM_IOC_SUBMIT, &cmd, EPERM);
		expect("WAIT", fd, GPU_HMM_IOC_WAIT, &wait, EPERM);
		expect("PREFETCH", fd, GPU_HMM_IOC_PREFETCH, &prefetch, EPERM);
		expect("SETUP", fd, GPU_HMM_IOC_SETUP, &setup, EPERM);
		expect("STATS", fd, GPU_HMM_IOC_STATS, &stats, EPERM);
		expect("EVICT", fd, GPU_HMM_IOC_EVICT, &evict, EPERM);
		expect("MIGRATE", fd, GPU_HMM_IOC_MIGRATE, &migrate, EPERM);
		is("what the child sees", *mem, 1);
		close(fd);
		/* Its own is another story. */
		fd = open_gpu();
		is("child's fill", gpu_fill(fd, 0, mem, 8, 3), 0);
		is("what the child wrote", *mem, 3);
		_exit(!ok);
	}
	wait_for("nothing", fd, 1, ENOENT);
	if (waitpid(-1, &status, 0) < 0 || status)
		wrong("the child failed: %#x", status);
	is("what the parent sees", *mem, 1);
	is("what its GPU does", gpu_fill(fd, 1, mem, 8, 4), 0);
	is("and it sees", *mem, 4);
	close(fd);
	munmap(mem, page_size);
}

/* Who is gone is not written to any more. */
static void close_while_running(void)
{
	char *mem = map(BIG), *copy = map(BIG);
	unsigned int i, j;

	for (i = 0; i < 8; i++) {
		int fd = open_gpu();

		memset(mem, 0, BIG);
		for (j = 0; j < 4; j++)
			start(fd, j & 1, GPU_HMM_FILL, mem, BIG, NULL);
		usleep(500 * i);
		close(fd);
		memcpy(copy, mem, BIG);
		usleep(1000);
		if (memcmp(copy, mem, BIG))
			wrong("the GPU wrote after the file was closed");
	}
	munmap(mem, BIG);
	munmap(copy, BIG);
}

static void exit_while_running(void)
{
	unsigned int i, j;

	for (i = 0; i < 16; i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			char *mem = map(BIG);
			int fd = open_gpu();

			for (j = 0; j < 4; j++)
				start(fd, j & 1, GPU_HMM_FILL, mem, BIG, NULL);
			usleep(200 * i);
			if (i & 1)
				_exit(!ok);
			/* The engines go on while the old image goes. */
			execl("/proc/self/exe", "gpu_hmm_abuse", "true", NULL);
			_exit(1);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			wrong("the child failed: %#x", status);
	}
}

/* A waiter that is killed leaves, and its command ends. */
static void kill_while_waiting(void)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			char *mem = map(BIG);
			int fd = open_gpu();

			for (;;) {
				if (i & 1)
					gpu_fill(fd, 0, mem, BIG, 1);
				else
					gpu_prefetch(fd, mem, BIG, 1);
				madvise(mem, BIG, MADV_DONTNEED);
			}
		}
		usleep(3000 * (i + 1));
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid ||
		    !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			wrong("the child did not die of it: %#x", status);
	}
}

/* The file outlives the process that it belongs to. */
static void file_outlives_process(void)
{
	struct gpu_hmm_stats stats;
	int pair[2], status = -1;
	pid_t pid;
	char c;

	if (pipe(pair)) {
		wrong("pipe: %s", strerror(errno));
		return;
	}
	pid = fork();
	if (pid == 0) {
		char *mem = map(BIG);
		int fd = open_gpu();

		start(fd, 0, GPU_HMM_FILL, mem, BIG, NULL);
		if (fork() == 0) {
			/* Until the parent is reaped. */
			close(pair[1]);
			if (read(pair[0], &c, 1))
				_exit(1);
			expect("STATS", fd, GPU_HMM_IOC_STATS, &stats, EPERM);
			close(fd);
			_exit(!ok);
		}
		_exit(!ok);
	}
	close(pair[0]);
	if (waitpid(pid, &status, 0) != pid || status)
		wrong("the child failed: %#x", status);
	close(pair[1]);
}

static void *churn(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	size_t size = 64 * page_size;
	char *mem = map(size);

	while (!atomic_load(&stop)) {
		int fd = gpu_open();

		/* Whatever this gives: the kernel's log has to stay clean. */
		start(fd, rand_r(&seed) & 1, GPU_HMM_FILL, mem, size, NULL);
		gpu_prefetch(fd, mem, size, rand_r(&seed) & 1);
		if (rand_r(&seed) & 1)
			madvise(mem, size, MADV_DONTNEED);
		close(fd);
	}
	munmap(mem, size);
	return NULL;
}

static void open_close_fork(void)
{
	pthread_t threads[3];
	unsigned int i;

	atomic_store(&stop, false);
	for (i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i);
	for (i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
		usleep(5000);
	}
	atomic_store(&stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

/* One page in each leaf of the page table, and in each table above. */
static void tables_go(void)
{
	struct gpu_hmm_stats stats = { };
	size_t step = page_size * page_size / 8;
	unsigned int i, nr = 100;
	char *mem = map(nr * step);
	int fd = open_gpu();

	for (i = 0; i < nr; i++)
		is("prefetch", gpu_prefetch(fd, mem + i * step, page_size, 0),
		   0);
	gpu_stats(fd, &stats);
	if (stats.tables < nr)
		wrong("%u leaves need more than %llu tables", nr,
		      (unsigned long long)stats.tables);
	munmap(mem, nr * step);
	gpu_stats(fd, &stats);
	is("tables of nothing", stats.tables, 0);
	close(fd);
}

static int set_max_tables(const char *value)
{
	int fd = open(MAX_TABLES, O_WRONLY), ret = 0;

	if (fd < 0)
		return -1;
	if (write(fd, value, strlen(value)) < 0)
		ret = errno;
	close(fd);
	return ret;
}

static void tables_are_bounded(void)
{
	struct gpu_hmm_stats stats = { };
	size_t step = page_size * page_size / 8;
	unsigned int i, nr = 200;
	uint64_t word = 0;
	char *mem;
	int fd;

	switch (set_max_tables("64")) {
	case 0:
		break;
	case -1:
		skip = "cannot write to " MAX_TABLES;
		return;
	default:
		wrong("max_tables=64: %s", strerror(errno));
	}
	is("max_tables=63", set_max_tables("63"), EINVAL);
	is("max_tables=-1", set_max_tables("-1"), EINVAL);
	mem = map(nr * step);
	fd = open_gpu();
	for (i = 0; i < nr; i++) {
		is("fill", gpu_fill(fd, i & 1, mem + i * step, 8, i), 0);
		gpu_stats(fd, &stats);
		if (stats.tables > 64)
			wrong("%llu tables", (unsigned long long)stats.tables);
	}
	if (!stats.evictions)
		wrong("nothing was evicted");
	for (i = 0; i < nr; i++) {
		is("read", gpu_read(fd, i & 1, mem + i * step, &word, 8), 0);
		is("word", word, i);
	}
	close(fd);
	munmap(mem, nr * step);
	is("max_tables=16384", set_max_tables("16384"), 0);
}

static const struct test tests[] = {
	{ "bad commands", bad_commands },
	{ "bad arguments of the other ioctls", bad_others },
	{ "bad arguments of SETUP", bad_setup },
	{ "bad arguments of MIGRATE", bad_migrate },
	{ "memory that cannot be accessed", bad_memory },
	{ "memory that cannot be exclusive", bad_exclusive },
	{ "asynchronous commands", async },
	{ "an id that nobody was told", guessed_id },
	{ "a child has another mm", child_has_another_mm },
	{ "close while commands run", close_while_running },
	{ "exit and exec while commands run", exit_while_running },
	{ "kill while a command is waited for", kill_while_waiting },
	{ "a file outlives its process", file_outlives_process },
	{ "open, close and fork", open_close_fork },
	{ "empty tables go", tables_go },
	{ "tables are bounded", tables_are_bounded },
};

int main(int argc, char **argv)
{
	/* What exit_while_running() executes. */
	if (argc == 2 && !strcmp(argv[1], "true"))
		return 0;
	return run_tests(tests, ARRAY_SIZE(tests));
}
