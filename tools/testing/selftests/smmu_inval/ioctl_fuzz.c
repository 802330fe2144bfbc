// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls of an example driver, while the memory that they are about changes.
 *
 * A sequence of calls runs in a process of its own: ioctls on up to three open files,
 * with arguments that mean something, are at the edge of it, or are random; and in
 * between mmap, munmap, mprotect, madvise, mremap and fork on the same memory, also by
 * a second thread. With KCOV, a sequence that reached code that none reached before is
 * kept, and most sequences are made of one that was kept.
 *
 * The seed, and with KCOV the code that is reached, decide all but what the second
 * thread and the device do meanwhile: -s SEED -r NUMBER runs up to a sequence again.
 *
 * What is wrong is for the kernel to say (KASAN, UBSAN, lockdep), in its log: the sequence
 * behind which that was seen is the last. Or the process of a sequence cannot be killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gpu.h"
#include "ioctl_fuzz.h"
#include "ktap.h"
#include "natural.h"

#define ARENA_PAGES	64
#define PAGE		4096UL
#define ARENA		((char *)FUZZ_ARENA)
#define MAX_CALLS	16
#define MAX_ARG		256
#define MAX_KEPT	4096
#define MAP_BITS	(1 << 16)
#define COVER_WORDS	(64 * 1024)
#define FILES		3
#define MAX_IOCTLS	16
/* An engine that copies all it may takes a while under KASAN. */
#define HANG_SECONDS	30

#define KCOV_INIT_TRACE	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)

static const struct fuzz_device *const devices[] = { &fuzz_gpu, &fuzz_sva };

struct step {
	int what;		/* index of an ioctl, or below 0 a change of memory */
	unsigned int file;
	unsigned int page, pages, advice;
	unsigned char arg[MAX_ARG];
};

struct sequence {
	unsigned int nr;
	struct step steps[MAX_CALLS];
};

/* Shared with the process that runs a sequence */
static struct shared {
	unsigned char map[MAP_BITS];
	/* By ioctl */
	atomic_ulong calls[MAX_IOCTLS], passed[MAX_IOCTLS];
	atomic_uint fresh;
} *shared;

static const struct fuzz_device *dev;
static unsigned int nr_calls;
static struct sequence *kept[MAX_KEPT];
static unsigned int nr_kept;
static uint64_t state;

static uint64_t rnd(void)
{
	/* splitmix64 */
	uint64_t z = (state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint64_t odd_value(void)
{
	static const uint64_t odd[] = {
		0, 1, 7, 8, PAGE - 1, PAGE, PAGE + 1, 1ULL << 20, (1ULL << 20) + 1,
		1ULL << 30, (1ULL << 30) + 1, 0x7fffffff, 0x80000000, 0xffffffff,
		1ULL << 47, (1ULL << 47) - PAGE, 1ULL << 63, ~0ULL, ~0ULL - 7,
		~0ULL - PAGE + 1, 0xffffffff81000000ULL,
	};

	return rnd() % 8 ? odd[rnd() % ARRAY_SIZE(odd)] : rnd();
}

/* Mostly what makes sense: nonsense alone never gets anywhere. */
static uint64_t field_value(char kind)
{
	if (kind == '-')
		return rnd() % 32 ? 0 : odd_value();
	if (!(rnd() % 20))
		return odd_value();
	switch (kind) {
	case 'a':
	case 'b':
		if (kind == 'b' && rnd() % 2)
			return 0;
		return (uintptr_t)ARENA + rnd() % ARENA_PAGES * PAGE +
		       (rnd() % 4 ? 0 : rnd() % PAGE & ~7ULL);
	case 's':
		return rnd() % 2 ? (1 + rnd() % 8) * PAGE : rnd() % (4 * PAGE) & ~7ULL;
	case 'n':
		return rnd() % 8;
	case 'e':
		return rnd() % 3;
	case 'o':
		return 1 + rnd() % 3;
	case 'f':
		return rnd() % 3 ? rnd() % 2 : rnd() % 16;
	case 'd':
		return rnd() % 50;
	case 'i':
		return 1 + rnd() % 4;
	default:
		return rnd() % 2 ? 0 : rnd();
	}
}

/* All fields, or one of them; with what is given, or at random. */
static void fill(struct step *step, int only, const uint64_t *values)
{
	const char *fields = dev->calls[step->what].fields;
	unsigned int nr, width, offset = 0;
	uint64_t value;

	for (nr = 0; fields[2 * nr]; nr++, offset += width) {
		width = fields[2 * nr] - '0';
		if (only >= 0 && (unsigned int)only != nr)
			continue;
		value = values ? values[nr] : field_value(fields[2 * nr + 1]);
		memcpy(step->arg + offset, &value, width);
	}
}

static void random_step(struct step *step)
{
	memset(step, 0, sizeof(*step));
	step->what = rnd() % 3 ? (int)(rnd() % nr_calls) : -1 - (int)(rnd() % 8);
	step->file = rnd() % 4 ? 0 : rnd() % FILES;
	step->page = rnd() % ARENA_PAGES;
	step->pages = 1 + rnd() % (ARENA_PAGES - step->page);
	step->advice = rnd();
	if (step->what >= 0)
		fill(step, -1, NULL);
}

/* Chance alone may take longer than a run until it has submitted, and waited for it. */
static void first_sequence(struct sequence *seq)
{
	const struct fuzz_step *start;

	memset(seq, 0, sizeof(*seq));
	for (start = dev->start; start->call >= 0; start++) {
		struct step *step = &seq->steps[seq->nr++];

		step->what = start->call;
		step->advice = 65;
		fill(step, -1, start->values);
	}
}

static void keep(const struct sequence *seq)
{
	if (nr_kept == MAX_KEPT)
		return;
	kept[nr_kept] = malloc(sizeof(*seq));
	if (kept[nr_kept])
		*kept[nr_kept++] = *seq;
}

static void make_sequence(struct sequence *seq)
{
	unsigned int changes, at;

	if (!nr_kept || !(rnd() % (nr_kept == 1 ? 2 : 5))) {
		seq->nr = 1 + rnd() % MAX_CALLS;
		for (at = 0; at < seq->nr; at++)
			random_step(&seq->steps[at]);
		/* What others need: an engine that is bound, a command to wait for. */
		if (rnd() % 2) {
			memset(&seq->steps[0], 0, sizeof(seq->steps[0]));
			seq->steps[0].advice = 65;
			fill(&seq->steps[0], -1, NULL);
		}
		return;
	}
	*seq = *kept[rnd() % nr_kept];
	for (changes = 1 + rnd() % 3; changes; changes--) {
		at = rnd() % seq->nr;
		switch (rnd() % 4) {
		case 0:
			random_step(&seq->steps[at]);
			break;
		case 1:
			if (seq->nr < MAX_CALLS)
				random_step(&seq->steps[seq->nr++]);
			break;
		case 2:
			seq->steps[at] = seq->steps[rnd() % seq->nr];
			break;
		default:
			if (seq->steps[at].what >= 0)
				fill(&seq->steps[at], rnd() % 12, NULL);
		}
	}
}

/* The process of a sequence */

static void change_memory(const struct step *step)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED,
		MADV_HUGEPAGE, MADV_MERGEABLE, MADV_DONTFORK, MADV_DOFORK,
	};
	char *addr = ARENA + step->page * PAGE;
	size_t len = step->pages * PAGE;
	pid_t child;

	switch (-1 - step->what) {
	case 0:
		mmap(addr, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 1:
		munmap(addr, len);
		break;
	case 2:
		mprotect(addr, len, step->advice % 4);
		break;
	case 3:
		mremap(addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
		       ARENA + (ARENA_PAGES + step->page) * PAGE);
		break;
	case 4:
		child = fork();
		if (!child)
			_exit(0);
		if (child > 0)
			waitpid(child, NULL, 0);
		break;
	case 5:
		mmap(addr, len, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	default:
		madvise(addr, len, advice[step->advice % ARRAY_SIZE(advice)]);
	}
}

static void *change_meanwhile(void *arg)
{
	const struct sequence *seq = arg;
	unsigned int round, at;

	for (round = 0; round < 20; round++)
		for (at = 0; at < seq->nr; at++)
			if (seq->steps[at].what < 0)
				change_memory(&seq->steps[at]);
	return NULL;
}

/*
 * Which places were not reached before? Not which of them followed each other: in one
 * long run the number of those grew without end, and led nowhere.
 */
static void look_at_coverage(unsigned long *cover)
{
	unsigned long i, nr;
	unsigned int slot;

	nr = __atomic_load_n(&cover[0], __ATOMIC_RELAXED);
	for (i = 1; i <= nr && i < COVER_WORDS; i++) {
		slot = (cover[i] * 0x9e3779b97f4a7c15UL >> 48) % MAP_BITS;
		if (!shared->map[slot]) {
			shared->map[slot] = 1;
			atomic_fetch_add(&shared->fresh, 1);
		}
	}
	__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
}

static unsigned long *coverage(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR);
	unsigned long *cover;

	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, COVER_WORDS))
		return NULL;
	cover = mmap(NULL, COVER_WORDS * sizeof(*cover), PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd, 0);
	if (cover == MAP_FAILED || ioctl(fd, KCOV_ENABLE, 0))
		return NULL;
	return cover;
}

static void run_steps(struct sequence *seq, bool threads)
{
	unsigned long *cover = coverage();
	int fds[FILES] = { -1, -1, -1 };
	unsigned int at;
	pthread_t thread;

	mmap(ARENA, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(ARENA, 1, ARENA_PAGES / 2 * PAGE);
	threads = threads && !pthread_create(&thread, NULL, change_meanwhile, seq);
	for (at = 0; at < seq->nr; at++) {
		struct step *step = &seq->steps[at];
		unsigned char arg[4096] = { 0 };
		int *fd = &fds[step->file];

		if (step->what < 0) {
			change_memory(step);
			continue;
		}
		if (*fd < 0)
			*fd = open(dev->path, O_RDWR | O_CLOEXEC);
		memcpy(arg, step->arg, MAX_ARG);
		atomic_fetch_add(&shared->calls[step->what], 1);
		/* Sometimes the argument itself is where nothing is. */
		if (!ioctl(*fd, dev->calls[step->what].request,
			   step->advice % 64 ? (void *)arg : ARENA + 8 * step->advice))
			atomic_fetch_add(&shared->passed[step->what], 1);
		if (cover)
			look_at_coverage(cover);
		if (!(step->advice / 64 % 8)) {
			close(*fd);
			*fd = -1;
		}
	}
	if (threads)
		pthread_join(thread, NULL);
	_exit(0);
}

/* False if it could not be killed. */
static bool run_sequence(struct sequence *seq, bool threads)
{
	pid_t child = fork();
	int ms;

	if (!child)
		run_steps(seq, threads);
	if (child < 0)
		return true;
	for (ms = 0; ms < 2 * HANG_SECONDS * 1000; ms++) {
		if (waitpid(child, NULL, WNOHANG) == child)
			return true;
		/* WAIT and RUN may take for ever, until somebody kills the process. */
		if (ms == 3000)
			kill(child, SIGKILL);
		usleep(ms < 20 ? 100 : 1000);
	}
	return false;
}

/* Not what it is tainted by: UBSAN and lockdep do not do that, and others only once. */
static bool complained(int kmsg)
{
	static const char *const words[] = { "BUG: ", "WARNING: ", "UBSAN: ", "Oops: " };
	static bool ever;
	char record[8192];
	unsigned int i;
	ssize_t n;

	/* EPIPE: some of it is gone, for so much was said; what is left can be read. */
	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		record[n > 0 ? n : 0] = '\0';
		for (i = 0; i < ARRAY_SIZE(words); i++)
			if (strstr(record, words[i]))
				ever = true;
	}
	return ever;
}

static unsigned long sum(atomic_ulong *counters)
{
	unsigned long all = 0;
	unsigned int i;

	for (i = 0; i < nr_calls; i++)
		all += atomic_load(&counters[i]);
	return all;
}

/* Nonsense alone is refused, and nothing behind that is tested. */
static bool show_calls(void)
{
	bool each = true;
	unsigned int i;

	printf("#\n# %-8s %12s %12s\n", "ioctl", "calls", "returned 0");
	for (i = 0; i < nr_calls; i++) {
		printf("# %-8s %12lu %12lu\n", dev->calls[i].name,
		       atomic_load(&shared->calls[i]), atomic_load(&shared->passed[i]));
		each &= atomic_load(&shared->passed[i]) || dev->calls[i].optional;
	}
	return each;
}

static int usage(void)
{
	fprintf(stderr, "usage: ioctl_fuzz [-d gpu|sva] [-t SECONDS] [-s SEED] [-r NUMBER] [-1]\n"
		"  -r NUMBER  stop behind that sequence, and say it when it runs\n"
		"  -1         no second thread\n");
	return 2;
}

int main(int argc, char **argv)
{
	unsigned long number = 0, until = 0, seconds = 60, said = 0, begun;
	static struct sequence seq;
	bool threads = true, alive = true, each, kcov;
	int opt;
	unsigned int i, places = 0;
	int kmsg;
	uint64_t seed;

	dev = devices[0];
	seed = time(NULL);
	while ((opt = getopt(argc, argv, "d:t:s:r:1")) != -1) {
		switch (opt) {
		case 'd':
			for (dev = NULL, i = 0; i < ARRAY_SIZE(devices); i++)
				if (!strcmp(optarg, devices[i]->name))
					dev = devices[i];
			if (!dev)
				return usage();
			break;
		case 't':
			seconds = natural(opt, optarg, 1, 7 * 24 * 3600);
			break;
		case 's':
			seed = natural(opt, optarg, 0, ULONG_MAX);
			break;
		case 'r':
			until = natural(opt, optarg, 1, ULONG_MAX);
			break;
		case '1':
			threads = false;
			break;
		default:
			return usage();
		}
	}
	if (optind != argc)
		return usage();
	while (nr_calls < MAX_IOCTLS && dev->calls[nr_calls].name)
		nr_calls++;
	state = seed;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0) {
		perror("/dev/kmsg");
		return 1;
	}
	kcov = !access("/sys/kernel/debug/kcov", R_OK);
	ktap_plan(4);
	printf("# %s, seed %llu, %s\n", dev->path, (unsigned long long)seed,
	       kcov ? "led by KCOV" : "no KCOV: random only");
	begun = time(NULL);
	while (alive && !complained(kmsg) &&
	       (until ? number < until : time(NULL) - begun < seconds)) {
		if (number++) {
			make_sequence(&seq);
		} else {
			first_sequence(&seq);
			keep(&seq);
		}
		if (number == until)
			printf("# now sequence %lu\n", number);
		atomic_store(&shared->fresh, 0);
		alive = run_sequence(&seq, threads && number > 1 && rnd() % 4 == 0);
		if (atomic_load(&shared->fresh)) {
			places += atomic_load(&shared->fresh);
			if (number > 1)
				keep(&seq);
		}
		if (time(NULL) - begun >= said + 10) {
			said = time(NULL) - begun;
			printf("# %lu s: %lu sequences, %lu calls, %lu of them 0, %u places, %u kept\n",
			       said, number, sum(shared->calls), sum(shared->passed),
			       places, nr_kept);
		}
	}
	each = show_calls();
	printf("#\n# %-8s %12s %12s %12s %10s %8s %8s\n", "device", "sequences",
	       "calls", "returned 0", "places", "kept", "seconds");
	printf("# %-8s %12lu %12lu %12lu %10u %8u %8lu\n#\n", dev->name, number,
	       sum(shared->calls), sum(shared->passed), places, nr_kept,
	       time(NULL) - begun);
	ktap_result(!complained(kmsg), "the kernel is content behind sequence %lu", number);
	ktap_result(alive, "every process could be killed");
	ktap_result(each, "each ioctl returned 0 at some time");
	ktap_result(!kcov || places > 0, "new code was reached%s", kcov ? "" : " # SKIP no KCOV");
	return ktap_exit();
}
