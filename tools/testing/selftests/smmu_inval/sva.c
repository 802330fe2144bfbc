// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "patience.h"
#include "sva.h"

static int patient_ioctl(int fd, unsigned long request, void *arg)
{
	unsigned int tries = 0;
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret && try_again(errno, &tries));
	return ret;
}

int sva_open(void)
{
	unsigned int tries = 0;
	int fd;

	do
		fd = open(SVA_PATH, O_RDWR | O_CLOEXEC);
	while (fd < 0 && try_again(errno, &tries));
	return fd;
}

int sva_bind(int fd, unsigned int engine, unsigned int flags, uint32_t *pasid)
{
	struct sva_bind bind = { .engine = engine, .flags = flags };
	int ret = patient_ioctl(fd, SVA_IOC_BIND, &bind);

	if (pasid)
		*pasid = bind.pasid;
	return ret;
}

int sva_setup(int fd, unsigned int command_us, unsigned int access_us,
	      unsigned int request_us)
{
	struct sva_setup setup = {
		.command_us = command_us,
		.access_us = access_us,
		.request_us = request_us,
	};

	return patient_ioctl(fd, SVA_IOC_SETUP, &setup);
}

int sva_stats(int fd, struct sva_stats *stats)
{
	return patient_ioctl(fd, SVA_IOC_STATS, stats);
}

/* All of it are counters of 64 bits. */
void sva_subtract(struct sva_stats *after, const struct sva_stats *before)
{
	const uint64_t *from = (const void *)before;
	uint64_t *to = (void *)after;
	size_t i;

	for (i = 0; i < sizeof(*after) / sizeof(*to); i++)
		to[i] -= from[i];
}

int sva_run(int fd, struct sva_job *job)
{
	unsigned int tries = 0;

	do {
		if (patient_ioctl(fd, SVA_IOC_RUN, job))
			return SVA_IOCTL_FAILED;
		/* A page request that found no memory is a fault as well. */
	} while (job->status == SVA_FAULT && try_again(EFAULT, &tries));
	return job->status;
}

int sva_copy(int fd, void *dst, const void *src, size_t size)
{
	struct sva_job job = {
		.op = SVA_COPY,
		.src = (uintptr_t)src,
		.dst = (uintptr_t)dst,
		.size = size,
		.passes = 1,
	};

	return sva_run(fd, &job);
}

int sva_fill(int fd, void *dst, size_t size, uint64_t value)
{
	struct sva_job job = {
		.op = SVA_FILL,
		.dst = (uintptr_t)dst,
		.size = size,
		.value = value,
		.passes = 1,
	};

	return sva_run(fd, &job);
}

int sva_sum(int fd, const void *src, size_t size, uint64_t *sum)
{
	struct sva_job job = {
		.op = SVA_SUM,
		.src = (uintptr_t)src,
		.size = size,
		.passes = 1,
	};
	int ret = sva_run(fd, &job);

	*sum = job.result;
	return ret;
}
