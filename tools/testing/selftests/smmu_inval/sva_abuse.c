// SPDX-License-Identifier: GPL-2.0
/*
 * sva_abuse: what a program must not do to the DMA engines gets the errno that
 * iommu_sva_uapi.h promises, and harms nobody: a good job works after each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sva.h"

/* The ioctl has to fail, and with this errno; 0 is for success. */
static void expect(const char *what, int fd, unsigned long nr, void *arg,
		   int error)
{
	int is = ioctl(fd, nr, arg) ? errno : 0;

	if (is != error)
		wrong("%s: %s, and not %s", what, strerror(is),
		      strerror(error));
}

static int open_sva(void)
{
	int fd = sva_open();

	if (fd < 0)
		wrong("%s: %s", SVA_PATH, strerror(errno));
	return fd;
}

static void good_job(int fd)
{
	char *mem = map(page_size);

	is("a good job", sva_fill(fd, mem, page_size, 5), SVA_DONE);
	is("what it wrote", word_at(mem + page_size - 8), 5);
	munmap(mem, page_size);
}

static void good_channel(void)
{
	unsigned int engine;
	int fd;

	for (engine = 0; engine < NR_ENGINES; engine++) {
		fd = open_sva();
		must(sva_bind(fd, engine, 0, NULL), "BIND");
		good_job(fd);
		close(fd);
	}
}

static void bad_bind(void)
{
	struct sva_bind bind = { .engine = NR_ENGINES };
	int fd = open_sva();

	expect("BIND, engine out of range", fd, SVA_IOC_BIND, &bind, ENXIO);
	is("nr_engines", bind.nr_engines, NR_ENGINES);
	bind.engine = ~0U;
	expect("BIND, engine far out of range", fd, SVA_IOC_BIND, &bind, ENXIO);
	bind = (struct sva_bind){ .flags = SVA_ONE_BLOCK << 1 };
	expect("BIND, reserved flag", fd, SVA_IOC_BIND, &bind, EINVAL);
	bind.flags = ~0U;
	expect("BIND, all flags", fd, SVA_IOC_BIND, &bind, EINVAL);
	expect("BIND at 0", fd, SVA_IOC_BIND, NULL, EFAULT);
	expect("BIND in the kernel", fd, SVA_IOC_BIND, (void *)(1ul << 63), EFAULT);
	expect("UNBIND, not bound", fd, SVA_IOC_UNBIND, NULL, ENOTCONN);
	expect("STOP, not bound", fd, SVA_IOC_STOP, NULL, ENOTCONN);
	bind = (struct sva_bind){ };
	expect("BIND", fd, SVA_IOC_BIND, &bind, 0);
	expect("BIND again", fd, SVA_IOC_BIND, &bind, EBUSY);
	bind.engine = 1;
	expect("BIND to another", fd, SVA_IOC_BIND, &bind, EBUSY);
	expect("STOP without a job", fd, SVA_IOC_STOP, NULL, 0);
	good_job(fd);
	expect("UNBIND", fd, SVA_IOC_UNBIND, NULL, 0);
	expect("UNBIND again", fd, SVA_IOC_UNBIND, NULL, ENOTCONN);
	close(fd);
	good_channel();
}

static void bad_jobs(void)
{
	char *mem = map(4 * page_size);
	struct sva_job good, job;
	int fd = open_sva();

	good = (struct sva_job){
		.op = SVA_COPY, .src = (uintptr_t)mem,
		.dst = (uintptr_t)mem + page_size, .size = page_size, .passes = 1,
	};
	job = good;
	expect("RUN, not bound", fd, SVA_IOC_RUN, &job, ENOTCONN);
	must(sva_bind(fd, 0, 0, NULL), "BIND");
#define BAD(error, ...) do {						\
	job = good;							\
	__VA_ARGS__;							\
	expect(#__VA_ARGS__, fd, SVA_IOC_RUN, &job, error);		\
} while (0)
	BAD(0, job.value = 0);
	BAD(EINVAL, job.op = 0);
	BAD(EINVAL, job.op = SVA_SUM + 1);
	BAD(EINVAL, job.op = ~0U);
	BAD(EINVAL, job.flags = SVA_NO_REQUESTS << 1);
	BAD(EINVAL, job.flags = ~0U);
	BAD(EINVAL, job.reserved = 1);
	BAD(EINVAL, job.size = 0);
	BAD(EINVAL, job.size = 4);
	BAD(EINVAL, job.size = ~0ull);
	BAD(EINVAL, job.src += 4);
	BAD(EINVAL, job.dst += 1);
	BAD(EINVAL, job.op = SVA_FILL);
	BAD(EINVAL, job.op = SVA_SUM);
	BAD(E2BIG, job.size = SVA_MAX_SIZE + 8);
	BAD(E2BIG, job.size = ~7ull);
	BAD(E2BIG, job.group = SVA_MAX_GROUP + 1);
	BAD(E2BIG, job.group = ~0U);
	/* Over the end of all addresses. */
	BAD(EINVAL, job.src = ~7ull, job.size = 16);
	BAD(EINVAL, job.dst = 0ull - page_size, job.size = 2 * page_size);
	BAD(0, job.group = SVA_MAX_GROUP);
	BAD(0, job.status = ~0U, job.fault = 1, job.done = 1, job.result = 1);
	is("status", job.status, SVA_DONE);
	is("fault", job.fault, 0);
	is("done", job.done, page_size);
	is("result", job.result, 0);
#undef BAD
	expect("RUN at 0", fd, SVA_IOC_RUN, NULL, EFAULT);
	expect("RUN in the kernel", fd, SVA_IOC_RUN, (void *)(1ul << 63), EFAULT);
	/* What cannot be written back to is too late to be refused, and harmless. */
	job = good;
	memcpy(mem + 3 * page_size, &job, sizeof(job));
	must(mprotect(mem + 3 * page_size, page_size, PROT_READ), "mprotect");
	expect("RUN in read-only memory", fd, SVA_IOC_RUN, mem + 3 * page_size,
	       EFAULT);
	expect("unknown", fd, _IO('S', 0xe2), NULL, ENOTTY);
	expect("wrong size", fd, _IOWR('S', 0xe2, char[8]), &job, ENOTTY);
	expect("next", fd, _IO('S', 0xe6), NULL, ENOTTY);
	expect("not ours", fd, 0x5401, &job, ENOTTY);
	good_job(fd);
	close(fd);
	munmap(mem, 4 * page_size);
}

static void bad_setup(void)
{
	struct sva_setup good = { }, setup;
	int fd = open_sva(), status = -1;
	pid_t pid;

#define BAD(error, ...) do {						\
	setup = good;							\
	__VA_ARGS__;							\
	expect(#__VA_ARGS__, fd, SVA_IOC_SETUP, &setup, error);		\
} while (0)
	BAD(EINVAL, setup.flags = 1);
	BAD(EINVAL, setup.command_us = SVA_MAX_DELAY_US + 1);
	BAD(EINVAL, setup.access_us = SVA_MAX_DELAY_US + 1);
	BAD(EINVAL, setup.request_us = ~0U);
	BAD(0, setup.command_us = SVA_MAX_DELAY_US);
	BAD(0, setup.flags = 0);
	expect("SETUP at 0", fd, SVA_IOC_SETUP, NULL, EFAULT);
	expect("STATS at 0", fd, SVA_IOC_STATS, NULL, EFAULT);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		ok = true;
		fd = open_sva();
		must(setuid(65534), "setuid");
		BAD(EPERM, setup.flags = 0);
		BAD(EPERM, setup.flags = 1);
		expect("SETUP at 0, without privilege", fd, SVA_IOC_SETUP, NULL,
		       EPERM);
		/* All else it may do, with a file that it could open. */
		must(sva_bind(fd, 0, 0, NULL), "BIND");
		good_job(fd);
		_exit(!ok);
	}
#undef BAD
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		wrong("without privilege: %#x", status);
	close(fd);
	good_channel();
}

/* The file of a parent is of no use to its child. */
static void foreign(void)
{
	struct sva_bind bind = { };
	struct sva_stats stats;
	struct sva_setup setup = { };
	char *mem = map(page_size);
	struct sva_job job = {
		.op = SVA_FILL, .dst = (uintptr_t)mem, .size = page_size,
		.value = 7, .passes = 1,
	};
	int fd = open_sva(), status = -1;
	pid_t pid;

	must(sva_bind(fd, 0, 0, NULL), "BIND");
	*mem = 1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		ok = true;
		expect("RUN", fd, SVA_IOC_RUN, &job, EPERM);
		expect("STOP", fd, SVA_IOC_STOP, NULL, EPERM);
		expect("UNBIND", fd, SVA_IOC_UNBIND, NULL, EPERM);
		expect("BIND", fd, SVA_IOC_BIND, &bind, EPERM);
		expect("STATS", fd, SVA_IOC_STATS, &stats, EPERM);
		expect("SETUP", fd, SVA_IOC_SETUP, &setup, EPERM);
		close(fd);
		_exit(!ok);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		wrong("the child: %#x", status);
	is("what the child wrote", word_at(mem), 1);
	good_job(fd);
	close(fd);
	munmap(mem, page_size);
}

/* A child that has bound what its parent has opened, and is gone. */
static void left_behind(void)
{
	struct sva_bind bind = { };
	int fd = open_sva(), status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		ok = true;
		must(sva_bind(fd, 1, 0, NULL), "BIND");
		good_job(fd);
		_exit(!ok);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		wrong("the child: %#x", status);
	expect("BIND, bound by who is gone", fd, SVA_IOC_BIND, &bind, EPERM);
	close(fd);
	good_channel();
}

struct endless {
	int fd;
	struct sva_job job;
	int status;
};

static void *endless(void *arg)
{
	struct endless *e = arg;

	e->status = sva_run(e->fd, &e->job);
	return NULL;
}

/* Wait until its job has written something. */
static void started(const char *mem)
{
	double deadline = now_ms() + 5000;

	while (!word_at(mem) && now_ms() < deadline)
		usleep(100);
	if (!word_at(mem))
		wrong("the job did not start");
}

static void one_job_at_a_time(void)
{
	char *mem = map(page_size);
	struct endless e = {
		.fd = open_sva(),
		.job = { .op = SVA_FILL, .dst = (uintptr_t)mem,
			 .size = page_size, .value = 7 },
	};
	struct sva_job job;
	unsigned int round;
	pthread_t thread;

	must(sva_bind(e.fd, 0, 0, NULL), "BIND");
	for (round = 0; round < 10 && ok; round++) {
		memset(mem, 0, page_size);
		job = e.job;
		thread = go(endless, &e);
		started(mem);
		expect("RUN while one runs", e.fd, SVA_IOC_RUN, &job, EBUSY);
		expect("STOP", e.fd, SVA_IOC_STOP, NULL, 0);
		pthread_join(thread, NULL);
		is("how it ended", e.status, SVA_STOPPED);
		good_job(e.fd);
	}
	close(e.fd);
	munmap(mem, page_size);
}

/* Closed by another thread: the job is over when nobody has the file any more. */
static void closed(void)
{
	char *mem = map(page_size);
	struct endless e = {
		.job = { .op = SVA_FILL, .dst = (uintptr_t)mem,
			 .size = page_size, .value = 7 },
	};
	pthread_t thread;
	int other;

	e.fd = open_sva();
	must(sva_bind(e.fd, 0, 0, NULL), "BIND");
	thread = go(endless, &e);
	started(mem);
	other = dup(e.fd);
	close(e.fd);
	expect("STOP by another name", other, SVA_IOC_STOP, NULL, 0);
	pthread_join(thread, NULL);
	is("how it ended", e.status, SVA_STOPPED);
	close(other);
	good_channel();
	munmap(mem, page_size);
}

/* More than there are, and all of them again. */
static void many_channels(void)
{
	static int fds[200];
	unsigned int i, nr = 0, round;

	for (round = 0; round < 3; round++) {
		for (nr = 0; nr < ARRAY_SIZE(fds); nr++) {
			fds[nr] = open_sva();
			if (sva_bind(fds[nr], 0, 0, NULL))
				break;
		}
		if (nr == ARRAY_SIZE(fds)) {
			wrong("%u channels on an engine, and no end", nr);
			nr--;
		} else {
			is("errno of one too many", errno, ENOSPC);
		}
		good_job(fds[nr - 1]);
		for (i = 0; i <= nr; i++)
			close(fds[i]);
	}
	printf("# %u channels on an engine\n", nr);
	good_channel();
}

/* Binds and jobs and ends of processes, in any order. */
static void in_disorder(void)
{
	unsigned int round, i;
	int fd, status;
	pid_t pid;

	for (round = 0; round < 20 && ok; round++) {
		fflush(stdout);
		pid = fork();
		if (!pid) {
			char *mem = map(4 * page_size);
			struct endless e[3];

			for (i = 0; i < 3; i++) {
				e[i] = (struct endless){
					.fd = sva_open(),
					.job = { .op = SVA_FILL, .dst = (uintptr_t)mem,
						 .size = 4 * page_size, .value = i + 1 },
				};
				sva_bind(e[i].fd, i & 1, i & 2 ? SVA_COARSE : 0, NULL);
				go(endless, &e[i]);
			}
			usleep(round * 300);
			munmap(mem + page_size, page_size);
			if (round & 1)
				ioctl(e[0].fd, SVA_IOC_UNBIND);
			if (round & 2)
				close(e[1].fd);
			if (round & 4)
				kill(getpid(), SIGKILL);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		fd = open_sva();
		must(sva_bind(fd, round & 1, 0, NULL), "BIND");
		good_job(fd);
		close(fd);
	}
}

static const struct test tests[] = {
	{ "BIND", bad_bind },
	{ "RUN", bad_jobs },
	{ "SETUP and STATS", bad_setup },
	{ "the file of another process", foreign },
	{ "the file of a process that is gone", left_behind },
	{ "one job at a time", one_job_at_a_time },
	{ "closed while a job runs", closed },
	{ "more channels than there are", many_channels },
	{ "processes that end in disorder", in_disorder },
};

int main(void)
{
	int fd = sva_open(), ret;

	sva_setup(fd, 0, 0, 0);
	close(fd);
	ret = run_tests(tests, ARRAY_SIZE(tests));
	fd = sva_open();
	sva_setup(fd, 0, 0, 0);
	close(fd);
	return ret;
}
