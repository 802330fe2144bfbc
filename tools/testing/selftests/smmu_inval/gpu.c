// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "gpu.h"

int gpu_open(void)
{
	return open(GPU_HMM_PATH, O_RDWR | O_CLOEXEC);
}

int gpu_setup(int fd, int coarse, unsigned int fault_delay_us)
{
	struct gpu_hmm_setup setup = {
		.flags = coarse ? GPU_HMM_COARSE : 0,
		.fault_delay_us = fault_delay_us,
	};

	return ioctl(fd, GPU_HMM_IOC_SETUP, &setup);
}

int gpu_stats(int fd, struct gpu_hmm_stats *stats)
{
	return ioctl(fd, GPU_HMM_IOC_STATS, stats);
}

int gpu_prefetch(int fd, void *addr, size_t size, int write)
{
	struct gpu_hmm_prefetch prefetch = {
		.addr = (uintptr_t)addr,
		.size = size,
		.flags = write ? GPU_HMM_PREFETCH_WRITE : 0,
	};

	return ioctl(fd, GPU_HMM_IOC_PREFETCH, &prefetch);
}

static int gpu_run(int fd, struct gpu_hmm_command *cmd)
{
	if (ioctl(fd, GPU_HMM_IOC_SUBMIT, cmd)) {
		printf("# SUBMIT: %s\n", strerror(errno));
		return GPU_IOCTL_FAILED;
	}
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
