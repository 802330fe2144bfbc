// SPDX-License-Identifier: GPL-2.0
/*
 * Workloads that protect memory: most of it need not be unmapped for that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kvm_demo.h"

/*
 * Faults of each vCPU that runs when all memory was protected: the mailbox is written,
 * and to the hardware, so are the two pages of page tables.
 */
#define OWN_FAULTS	3
/* So many pages are changed by the CPU, and then read by the guest. */
#define PROBE_PAGES	4

#define NUMA		"/proc/sys/kernel/numa_balancing"
#define SCAN		"/sys/kernel/debug/sched/numa_balancing/"
#define GUP_TEST	"/sys/kernel/debug/gup_test"
#define SOFT_DIRTY	(1ull << 55)

/* Of mm/gup_test.h, which is not among the headers that are installed. */
struct pin {
	uint64_t addr, size;
	uint32_t write;
};

#define PIN_START	_IOW('g', 7, struct pin)

static void pause_ms(unsigned int ms)
{
	const struct timespec t = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l,
	};

	nanosleep(&t, NULL);
}

/* Map all of it in the guest, writable. */
static void warm_up(const struct area *area, uint64_t gen)
{
	area_fill(area, gen, false);
	vcpu_do(1, GUEST_WRITE, area, gen, false);
	vcpu_do(0, GUEST_READ, area, gen, false);
}

/*
 * NUMA scanning. What is pinned is not protected, but the notifiers are called all
 * the same.
 */

static const struct {
	const char *path;
	long value;
} scan_settings[] = {
	{ NUMA, 0 },
	{ SCAN "scan_delay_ms", 100 },
	{ SCAN "scan_period_min_ms", 100 },
	{ SCAN "scan_period_max_ms", 200 },
	{ SCAN "scan_size_mb", 256 },
};

#define NR_SETTINGS	(sizeof(scan_settings) / sizeof(scan_settings[0]))

static long scan_saved[NR_SETTINGS];
static bool can_scan;

/*
 * No scanning but in its workloads, where it is fast. A thread takes its period when
 * it is created, and keeps it as long as nothing is protected in fact.
 */
void numa_init(void)
{
	unsigned int i;

	can_scan = !access("/sys/devices/system/node/node1", F_OK);
	for (i = 0; i < NR_SETTINGS; i++) {
		scan_saved[i] = get(scan_settings[i].path, "");
		if (scan_saved[i] < 0)
			can_scan = false;
		else
			put_number(scan_settings[i].path, scan_settings[i].value);
	}
}

void numa_exit(void)
{
	unsigned int i;

	for (i = 0; i < NR_SETTINGS; i++)
		if (scan_saved[i] >= 0)
			put_number(scan_settings[i].path, scan_saved[i]);
}

/* The CPU reads some of it, too, so that it may be the one for which pages migrate. */
static void read_for(unsigned int ms, const struct area *read,
		     const struct area *written)
{
	struct area same = part(read, 0, read->pages / 8);
	struct area changing = part(written, 0, written->pages / 8);
	double deadline = now_ms() + ms;
	unsigned long bad = 0;

	while (now_ms() < deadline) {
		pause_ms(20);
		bad += area_bad(&same, 1, false);
		area_sum(&changing);
	}
	is("pages that the CPU finds changed", bad, 0);
}

static void scan(bool pinned)
{
	struct pin pin = {
		.addr = (uintptr_t)slot_a.hva,
		.size = slot_a.pages * GUEST_PAGE,
		.write = 1,
	};
	struct area read = part(&slot_a, 0, slot_a.pages / 2);
	struct area written = part(&slot_a, read.pages, read.pages);
	unsigned int ms = numa_seconds * 10 * scale;
	long updates, migrated, scans;
	int fd = -1;

	if (!can_scan) {
		skip = "no NUMA balancing, or one node only";
		return;
	}
	if (pinned) {
		fd = open(GUP_TEST, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			skip = "no " GUP_TEST;
			return;
		}
	}
	area_fill(&slot_a, 1, false);
	if (pinned)
		must(ioctl(fd, PIN_START, &pin), "PIN_LONGTERM_TEST_START");
	warm_up(&slot_a, 1);

	if (!scans_begin(&slot_a))
		wrong("cannot count what is scanned: %s", strerror(errno));
	updates = get("/proc/vmstat", "numa_pte_updates ");
	migrated = get("/proc/vmstat", "numa_pages_migrated ");
	measure_begin();
	put_number(NUMA, 1);
	vcpu_start(0, GUEST_READ, &read, 1, false, 0);
	vcpu_start(1, GUEST_COUNT, &written, 1, false, 0);
	read_for(ms, &read, &written);
	vcpu_stop(1);
	vcpu_stop(0);
	put_number(NUMA, 0);
	measure_end();
	scans = scans_end();
	updates = get("/proc/vmstat", "numa_pte_updates ") - updates;
	migrated = get("/proc/vmstat", "numa_pages_migrated ") - migrated;
	area_verify(&read, 1, false);
	area_verify_count(&written, 1, vcpu_progress(1));

	printf("# memory was scanned %ld times; %ld pages were protected in fact, and %ld migrated\n",
	       scans, updates, migrated);
	if (scans <= 0)
		wrong("memory was not scanned");
	if (pinned) {
		at_most("faults", figures.faults, 0);
	} else {
		at_most("pages unmapped", figures.zapped, updates);
		/*
		 * What was protected comes back read-only at times: where the
		 * guest reads and then writes, that is another fault.
		 */
		at_most("faults that were not repeated",
			figures.faults - figures.retries,
			updates + scans * written.pages);
	}
	if (fd >= 0)
		close(fd);
}

void numa_pinned(void)
{
	scan(true);
}

void numa(void)
{
	scan(false);
}

/* Fork: copy-on-write has to hold, whoever writes. */

static void reap(pid_t pid, const char *what)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		wrong("fork: %s", strerror(errno));
	else if (status)
		wrong("%s: the child says %#x", what, status);
}

void fork_read(void)
{
	const unsigned long pages = tested.pages - PROBE_PAGES;
	struct area all = part(&tested, 0, pages);
	struct area probe = part(&tested, pages, PROBE_PAGES);
	unsigned int i, nr = rounds(40);
	int gate[2];
	pid_t pid;

	warm_up(&tested, 0);
	measure_begin();
	vcpu_start(0, GUEST_READ, &all, 0, false, 0);
	for (i = 0; i < nr && ok; i++) {
		if (pipe2(gate, O_CLOEXEC)) {
			wrong("pipe: %s", strerror(errno));
			break;
		}
		pid = fork();
		if (!pid) {
			char c;

			close(gate[1]);
			/* Until the parent has written to its copy. */
			if (read(gate[0], &c, 1))
				_exit(2);
			_exit(i % 8 == 0 && (area_bad(&all, 0, false) ||
					     area_bad(&probe, i, false)));
		}
		close(gate[0]);
		/* The CPU's write goes to a copy, and the guest has to see that. */
		vcpu_do(1, GUEST_READ, &probe, i, false);
		area_fill(&probe, i + 1, false);
		vcpu_do(1, GUEST_READ, &probe, i + 1, false);
		close(gate[1]);
		reap(pid, "memory is not as it was at the fork");
		vcpu_pass(0);
	}
	vcpu_stop(0);
	measure_end();
	area_verify(&all, 0, false);
	/* Most of these are in the probe, whose pages are replaced in each round. */
	at_most("faults", figures.faults, nr * all.pages / 100);
}

/*
 * What the child sees is what the guest had written at one time between @from and
 * now, and that does not change any more.
 */
static int child_checks(const struct area *area, uint64_t from)
{
	uint64_t to = vcpu_progress(1) + 1, sum = area_sum(area);
	unsigned long i;

	for (i = 0; i < area->pages; i++) {
		uint64_t gpa = area->gpa + i * GUEST_PAGE;
		uint64_t low = writes_of(i, area->pages, from);
		uint64_t high = writes_of(i, area->pages, to);
		uint64_t first = *first_word(area, i);
		uint64_t last = *last_word(area, i);

		if (first % GEN != gpa || last % GEN != gpa)
			return 1;
		if (first / GEN < low || first / GEN > high)
			return 2;
		/* The guest writes the first one first. */
		if (last != first && last + GEN != first)
			return 3;
	}
	pause_ms(10);
	return sum == area_sum(area) ? 0 : 4;
}

void fork_write(void)
{
	struct area written = part(&tested, 0, tested.pages / 4);
	struct area read = part(&tested, written.pages,
				tested.pages - written.pages);
	unsigned int i, nr = rounds(40);
	uint64_t from, last = 0, expected = 0;

	warm_up(&tested, 0);
	both_start(&read, &written);
	for (i = 0; i < nr && ok; i++) {
		pid_t pid;

		from = vcpu_progress(1);
		/* Of those, as many as there are pages had to be made writable. */
		expected += from - last < written.pages ? from - last : written.pages;
		last = from;
		pid = fork();
		if (!pid)
			_exit(child_checks(&written, from));
		reap(pid, "copy-on-write");
		vcpu_pass(1);
		vcpu_pass(0);
	}
	both_stop(&read, &written);
	expected += written.pages + nr;
	printf("# %u forks, %llu page writes\n", nr,
	       (unsigned long long)vcpu_progress(1));
	/* Where a copy is made, the old page is unmapped while it is: once more. */
	at_most("faults that were not repeated", figures.faults - figures.retries,
		expected);
}

/* clear_refs: what the guest wrote since is soft-dirty, and nothing else is. */

static void clear_soft_dirty(void)
{
	if (put("/proc/self/clear_refs", "4"))
		wrong("clear_refs: %s", strerror(errno));
}

static unsigned long soft_dirty(const struct area *area)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long i, nr = 0;
	uint64_t entry[512];

	for (i = 0; fd >= 0 && i < area->pages; i++) {
		off_t at = (uintptr_t)area->hva / GUEST_PAGE + i;

		if (i % 512 == 0 &&
		    pread(fd, entry, sizeof(entry), at * sizeof(entry[0])) !=
		    sizeof(entry))
			break;
		nr += !!(entry[i % 512] & SOFT_DIRTY);
	}
	if (fd < 0 || i < area->pages)
		wrong("pagemap: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return nr;
}

void clear_refs_read(void)
{
	unsigned int i, nr = rounds(43);

	warm_up(&tested, 0);
	measure_begin();
	vcpu_start(0, GUEST_READ, &tested, 0, false, 0);
	for (i = 0; i < nr && ok; i++) {
		clear_soft_dirty();
		vcpu_pass(0);
	}
	vcpu_stop(0);
	measure_end();
	is("soft-dirty pages that were only read", soft_dirty(&tested), 0);
	area_verify(&tested, 0, false);
	/* While clear_refs runs, those of the guest's own memory are repeated. */
	at_most("faults that were not repeated", figures.faults - figures.retries,
		nr * OWN_FAULTS);
}

void clear_refs_write(void)
{
	struct area written = part(&tested, 0, tested.pages / 4);
	struct area read = part(&tested, written.pages,
				tested.pages - written.pages);
	unsigned int i, nr = rounds(43);

	warm_up(&tested, 0);
	both_start(&read, &written);
	for (i = 0; i < nr && ok; i++) {
		clear_soft_dirty();
		vcpu_pass(1);
		vcpu_pass(0);
		is("soft-dirty pages of those written",
		   soft_dirty(&written), written.pages);
		is("soft-dirty pages of those only read", soft_dirty(&read), 0);
	}
	both_stop(&read, &written);
	at_most("faults that were not repeated", figures.faults - figures.retries,
		nr * (written.pages + NR_VCPUS * OWN_FAULTS));
}

/* mprotect: what is read-only is so for the guest, too, and as long as it is. */

void protect(void)
{
	struct area written = part(&tested, 0, tested.pages / 4);
	struct area read = part(&tested, written.pages,
				tested.pages - written.pages);
	const size_t size = tested.pages * GUEST_PAGE;
	unsigned int i, nr = rounds(20);
	uint64_t sum, refused;

	warm_up(&tested, 0);
	both_start(&read, &written);
	for (i = 0; i < nr && ok; i++) {
		double deadline = now_ms() + 10e3;

		refused = vm_refused();
		must(mprotect(tested.hva, size, PROT_READ), "mprotect");
		sum = area_sum(&written);
		while (vm_refused() == refused && now_ms() < deadline)
			pause_ms(1);
		if (vm_refused() == refused)
			wrong("the guest may write to what is read-only");
		vcpu_pass(0);
		if (sum != area_sum(&written))
			wrong("the guest wrote to what is read-only");
		must(mprotect(tested.hva, size, PROT_READ | PROT_WRITE),
		     "mprotect");
		vcpu_pass(1);
	}
	both_stop(&read, &written);
	at_most("write faults", figures.faults - figures.retries - figures.refused,
		nr * written.pages);
}

/* userfaultfd: each page that is written is one event. */

struct handler {
	pthread_t thread;
	int fd, quit[2];
	atomic_ulong events, repeated;
	atomic_bool failed;
	/* By page, in this round. */
	bool *seen;
};

static void *handle(void *arg)
{
	struct handler *h = arg;
	struct pollfd fds[2] = {
		{ .fd = h->fd, .events = POLLIN },
		{ .fd = h->quit[0], .events = POLLIN },
	};

	for (;;) {
		struct uffdio_writeprotect wp = { .range.len = GUEST_PAGE };
		struct uffd_msg msg;
		unsigned long page;

		if (poll(fds, 2, -1) < 0 || fds[1].revents)
			return NULL;
		if (read(h->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		wp.range.start = msg.arg.pagefault.address & ~(GUEST_PAGE - 1);
		page = (wp.range.start - (uintptr_t)tested.hva) / GUEST_PAGE;
		if (!(msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) ||
		    page >= tested.pages) {
			atomic_store(&h->failed, true);
			continue;
		}
		atomic_fetch_add(&h->events, 1);
		atomic_fetch_add(&h->repeated, h->seen[page]);
		h->seen[page] = true;
		if (ioctl(h->fd, UFFDIO_WRITEPROTECT, &wp))
			atomic_store(&h->failed, true);
	}
}

static bool handler_open(struct handler *h)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register reg = {
		.range = {
			.start = (uintptr_t)tested.hva,
			.len = tested.pages * GUEST_PAGE,
		},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	h->seen = calloc(tested.pages, sizeof(*h->seen));
	h->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (h->fd < 0 || ioctl(h->fd, UFFDIO_API, &api) ||
	    ioctl(h->fd, UFFDIO_REGISTER, &reg)) {
		skip = "no userfaultfd that write-protects";
		return false;
	}
	if (!h->seen || pipe2(h->quit, O_CLOEXEC) ||
	    pthread_create(&h->thread, NULL, handle, h)) {
		wrong("no thread: %s", strerror(errno));
		return false;
	}
	return true;
}

static void handler_close(struct handler *h)
{
	/* What is still protected would wait for a handler for ever. */
	if (h->fd >= 0)
		close(h->fd);
	if (h->quit[0] >= 0) {
		close(h->quit[0]);
		close(h->quit[1]);
	}
	free(h->seen);
}

void uffd_wp(void)
{
	struct uffdio_writeprotect wp = {
		.range = {
			.start = (uintptr_t)tested.hva,
			.len = tested.pages * GUEST_PAGE,
		},
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct area before = part(&tested, 0, tested.pages / 2);
	struct area written = part(&tested, before.pages, tested.pages / 4);
	struct handler h = { .fd = -1, .quit = { -1, -1 } };
	unsigned int i, nr = rounds(8);

	warm_up(&tested, 0);
	if (!handler_open(&h)) {
		handler_close(&h);
		return;
	}
	measure_begin();
	for (i = 0; i < nr && ok; i++) {
		must(ioctl(h.fd, UFFDIO_WRITEPROTECT, &wp), "UFFDIO_WRITEPROTECT");
		memset(h.seen, 0, tested.pages * sizeof(*h.seen));
		atomic_store(&h.events, 0);
		atomic_store(&h.repeated, 0);
		/* One vCPU goes on reading while the other one writes. */
		vcpu_start(0, GUEST_READ, &before, 0, false, 0);
		vcpu_do(1, GUEST_READ, &written, i, false);
		is("events of pages that were read", atomic_load(&h.events), 0);
		vcpu_do(1, GUEST_WRITE, &written, i + 1, false);
		vcpu_pass(0);
		vcpu_stop(0);
		is("events", atomic_load(&h.events), written.pages);
		is("repeated events", atomic_load(&h.repeated), 0);
	}
	measure_end();
	must(write(h.quit[1], "", 1) != 1, "pipe");
	pthread_join(h.thread, NULL);
	if (atomic_load(&h.failed))
		wrong("the handler of userfaultfd failed");
	handler_close(&h);
	area_verify(&written, i, false);
	at_most("faults that were not repeated", figures.faults - figures.retries,
		nr * written.pages);
}
