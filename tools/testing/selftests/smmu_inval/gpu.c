// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gpu.h"
#include "patience.h"

static int gpu_ioctl(int fd, unsigned long request, void *arg)
{
	unsigned int tries = 0;
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret && try_again(errno, &tries));
	return ret;
}

int gpu_open_nr(unsigned int nr)
{
	char path[64] = GPU_HMM_PATH;
	unsigned int tries = 0;
	int fd;

	if (nr)
		snprintf(path, sizeof(path), GPU_HMM_PATH "%u", nr);
	do
		fd = open(path, O_RDWR | O_CLOEXEC);
	while (fd < 0 && try_again(errno, &tries));
	return fd;
}

int gpu_open(void)
{
	return gpu_open_nr(0);
}

unsigned int gpu_count(void)
{
	unsigned int nr;

	for (nr = 0; nr < MAX_GPUS; nr++) {
		int fd = gpu_open_nr(nr);

		if (fd < 0)
			break;
		close(fd);
	}
	return nr;
}

int gpu_setup(int fd, unsigned int flags, unsigned int fault_delay_us,
	      unsigned int flush_delay_us)
{
	struct gpu_hmm_setup setup = {
		.flags = flags,
		.fault_delay_us = fault_delay_us,
		.flush_delay_us = flush_delay_us,
	};

	return gpu_ioctl(fd, GPU_HMM_IOC_SETUP, &setup);
}

int gpu_stats(int fd, struct gpu_hmm_stats *stats)
{
	return gpu_ioctl(fd, GPU_HMM_IOC_STATS, stats);
}

int gpu_prefetch(int fd, void *addr, size_t size, int write)
{
	struct gpu_hmm_prefetch prefetch = {
		.addr = (uintptr_t)addr,
		.size = size,
		.flags = write ? GPU_HMM_PREFETCH_WRITE : 0,
	};

	return gpu_ioctl(fd, GPU_HMM_IOC_PREFETCH, &prefetch);
}

int gpu_evict(int fd, void *addr, size_t size)
{
	struct gpu_hmm_evict evict = {
		.addr = (uintptr_t)addr,
		.size = size,
	};

	return gpu_ioctl(fd, GPU_HMM_IOC_EVICT, &evict);
}

int gpu_migrate(int fd, void *addr, size_t size, unsigned int flags,
		struct gpu_hmm_migrate *migrate)
{
	*migrate = (struct gpu_hmm_migrate) {
		.addr = (uintptr_t)addr,
		.size = size,
		.flags = flags,
	};
	return gpu_ioctl(fd, GPU_HMM_IOC_MIGRATE, migrate);
}

static int gpu_run(int fd, struct gpu_hmm_command *cmd)
{
	unsigned int tries = 0;

	do {
		if (gpu_ioctl(fd, GPU_HMM_IOC_SUBMIT, cmd)) {
			printf("# SUBMIT: %s\n", strerror(errno));
			return GPU_IOCTL_FAILED;
		}
		/* Of a word, all or nothing; of more, from the start again. */
	} while (cmd->error && try_again(-cmd->error, &tries));
	return cmd->error;
}

int gpu_read(int fd, int engine, const void *addr, void *buffer, size_t size)
{
	struct gpu_hmm_command cmd = {
		.op = GPU_HMM_READ,
		.engine = engine,
		.addr = (uintptr_t)addr,
		.size = size,
		.buffer = (uintptr_t)buffer,
	};

	return gpu_run(fd, &cmd);
}

int gpu_write(int fd, int engine, void *addr, const void *buffer, size_t size)
{
	struct gpu_hmm_command cmd = {
		.op = GPU_HMM_WRITE,
		.engine = engine,
		.addr = (uintptr_t)addr,
		.size = size,
		.buffer = (uintptr_t)buffer,
	};

	return gpu_run(fd, &cmd);
}

int gpu_fill(int fd, int engine, void *addr, size_t size, uint64_t value)
{
	struct gpu_hmm_command cmd = {
		.op = GPU_HMM_FILL,
		.engine = engine,
		.addr = (uintptr_t)addr,
		.size = size,
		.operand = value,
	};

	return gpu_run(fd, &cmd);
}

int gpu_add(int fd, int engine, void *addr, size_t size, uint64_t value,
	    uint64_t *old)
{
	struct gpu_hmm_command cmd = {
		.op = GPU_HMM_ATOMIC_ADD,
		.engine = engine,
		.addr = (uintptr_t)addr,
		.size = size,
		.operand = value,
	};
	int err = gpu_run(fd, &cmd);

	if (old)
		*old = cmd.result;
	return err;
}

int gpu_exclusive_add(int fd, int engine, void *addr, size_t size,
		      uint64_t value)
{
	struct gpu_hmm_command cmd = {
		.op = GPU_HMM_EXCLUSIVE_ADD,
		.engine = engine,
		.addr = (uintptr_t)addr,
		.size = size,
		.operand = value,
	};

	return gpu_run(fd, &cmd);
}

int gpu_checksum(int fd, int engine, const void *addr, size_t size,
		 uint64_t *sum)
{
	struct gpu_hmm_command cmd = {
		.op = GPU_HMM_CHECKSUM,
		.engine = engine,
		.addr = (uintptr_t)addr,
		.size = size,
	};
	int err = gpu_run(fd, &cmd);

	*sum = cmd.result;
	return err;
}

uint64_t gpu_start(int fd, int engine, unsigned int op, const void *addr,
		   size_t size, uint64_t arg)
{
	struct gpu_hmm_command cmd = {
		.op = op,
		.engine = engine,
		.flags = GPU_HMM_ASYNC,
		.addr = (uintptr_t)addr,
		.size = size,
	};

	if (op == GPU_HMM_READ || op == GPU_HMM_WRITE)
		cmd.buffer = arg;
	else
		cmd.operand = arg;
	return gpu_ioctl(fd, GPU_HMM_IOC_SUBMIT, &cmd) ? 0 : cmd.id;
}

int gpu_finish(int fd, uint64_t id, uint64_t *result)
{
	struct gpu_hmm_wait wait = {
		.id = id,
		.timeout_ms = GPU_HMM_FOREVER,
	};

	if (gpu_ioctl(fd, GPU_HMM_IOC_WAIT, &wait)) {
		printf("# WAIT: %s\n", strerror(errno));
		return GPU_IOCTL_FAILED;
	}
	if (result)
		*result = wait.result;
	return wait.error;
}
