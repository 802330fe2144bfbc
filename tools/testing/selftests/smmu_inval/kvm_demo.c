// SPDX-License-Identifier: GPL-2.0
/*
 * kvm_demo: a guest reads and writes its memory while the host changes it in every
 * way there is. The guest checks what it reads, and the host what the guest wrote;
 * what is stale or lost fails. For each workload it prints what that cost, by KVM's
 * own statistics, so it runs on any KVM for x86, converted to the library or not.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "kvm_demo.h"
#include "natural.h"

/* As kselftest has it. */
#define EXIT_SKIP	4

unsigned int scale = 100, size_mb = 2, numa_seconds = 5;
bool precise, spoil;

static const struct workload workloads[] = {
	{ "numa-pinned", numa_pinned },
	{ "numa", numa },
	{ "fork-read", fork_read },
	{ "fork-write", fork_write },
	{ "clear-refs-read", clear_refs_read },
	{ "clear-refs-write", clear_refs_write },
	{ "mprotect", protect },
	{ "ksm", ksm },
	{ "madvise", discard },
	{ "swap", reclaim },
	{ "thp", thp },
	{ "false-retries", false_retries },
	{ "two-slots", two_slots },
	{ "uffd-wp", uffd_wp },
	{ "stale", stale },
};

#define NR_WORKLOADS	(sizeof(workloads) / sizeof(workloads[0]))

static struct figures results[NR_WORKLOADS];
static bool selected[NR_WORKLOADS], failed[NR_WORKLOADS];

static const char *number(char *text, size_t size, bool there, long long n)
{
	if (there)
		snprintf(text, size, "%lld", n);
	else
		snprintf(text, size, "-");
	return text;
}

/* It came to the end of what is measured. */
static bool measured(const struct figures *f)
{
	return f->seconds > 0;
}

static void print_figures(const char *name, const struct figures *f)
{
	bool traced = figures_traced();
	char zapped[24], wrprotected[24], kept[24], asked[24];

	printf("# kvm-demo: %s faults=%llu retries=%llu zapped=%s wrprotected=%s flushes=%llu kept=%s asked=%s seconds=%.1f requests=%llu refused=%llu\n",
	       name, (unsigned long long)f->faults,
	       (unsigned long long)f->retries,
	       number(zapped, sizeof(zapped), traced, f->zapped),
	       number(wrprotected, sizeof(wrprotected), traced, f->wrprotected),
	       (unsigned long long)f->flushes,
	       number(kept, sizeof(kept), f->kept >= 0, f->kept),
	       number(asked, sizeof(asked), f->asked >= 0, f->asked),
	       f->seconds, (unsigned long long)f->requests,
	       (unsigned long long)f->refused);
}

static void run(unsigned int i)
{
	const char *name = workloads[i].name;

	ok = true;
	skip = NULL;
	memset(&figures, 0, sizeof(figures));
	/* Children must not print what is buffered again. */
	fflush(stdout);
	if (vm_create())
		workloads[i].run();
	vm_destroy();
	results[i] = figures;
	failed[i] = !ok;
	if (measured(&figures))
		print_figures(name, &figures);
	if (ok && skip)
		ktap_result(true, "%s # SKIP %s", name, skip);
	else
		ktap_result(ok, "%s", name);
}

static void print_table(void)
{
	bool traced = figures_traced();
	char zapped[24], wrprotected[24], kept[24];
	unsigned int i;

	printf("#\n# %-17s %8s %8s %8s %8s %8s %8s %8s\n", "workload", "faults",
	       "retries", "zapped", "wrprot", "kept", "flushes", "seconds");
	for (i = 0; i < NR_WORKLOADS; i++) {
		const struct figures *f = &results[i];

		if (!selected[i])
			continue;
		if (!measured(f)) {
			printf("# %-17s %8s\n", workloads[i].name,
			       failed[i] ? "FAILED" : "skipped");
			continue;
		}
		printf("# %-17s %8llu %8llu %8s %8s %8s %8llu %8.1f%s\n",
		       workloads[i].name, (unsigned long long)f->faults,
		       (unsigned long long)f->retries,
		       number(zapped, sizeof(zapped), traced, f->zapped),
		       number(wrprotected, sizeof(wrprotected), traced,
			      f->wrprotected),
		       number(kept, sizeof(kept), f->kept >= 0, f->kept),
		       (unsigned long long)f->flushes, f->seconds,
		       failed[i] ? "  FAILED" : "");
	}
}

static void usage(FILE *to)
{
	unsigned int i;

	fprintf(to, "usage: kvm_demo [-p] [-s SCALE] [-m MIB] [-t SECONDS] [-x] [-w WORKLOAD]...\n"
		"  -p           KVM is converted, and precise: fail if it costs more than that\n"
		"  -s SCALE     how much to do, in percent (100)\n"
		"  -m MIB       memory that is forked, protected and so on (2)\n"
		"  -t SECONDS   of each workload with NUMA scanning (5)\n"
		"  -x           spoil the memory before it is checked: all have to fail\n"
		"  -w WORKLOAD  only this one; may be repeated:");
	for (i = 0; i < NR_WORKLOADS; i++)
		fprintf(to, "%s%s", i % 6 ? " " : "\n                 ",
			workloads[i].name);
	fprintf(to, "\n");
}

static void choose(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_WORKLOADS; i++) {
		if (!strcmp(workloads[i].name, name)) {
			selected[i] = true;
			return;
		}
	}
	fprintf(stderr, "kvm_demo: no workload '%s' (see -h)\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	double start = now_ms();
	unsigned int i, nr = 0;
	int opt;

	while ((opt = getopt(argc, argv, "ps:m:t:xw:h")) != -1) {
		switch (opt) {
		case 'p':
			precise = true;
			break;
		case 's':
			scale = natural(opt, optarg, 1, 10000);
			break;
		case 'm':
			size_mb = natural(opt, optarg, 1, 1024);
			break;
		case 't':
			numa_seconds = natural(opt, optarg, 1, 3600);
			break;
		case 'x':
			spoil = true;
			break;
		case 'w':
			choose(optarg);
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kvm_demo: what is '%s'? (see -h)\n", argv[optind]);
		return 2;
	}
	for (i = 0; i < NR_WORKLOADS; i++)
		nr += selected[i];
	if (!nr) {
		memset(selected, true, sizeof(selected));
		nr = NR_WORKLOADS;
	}

	if (access("/dev/kvm", R_OK | W_OK)) {
		printf("KTAP version 1\n1..0 # SKIP no /dev/kvm\n");
		return EXIT_SKIP;
	}
	page_size = sysconf(_SC_PAGESIZE);
	ktap_plan(nr);
	numa_init();
	figures_init();
	for (i = 0; i < NR_WORKLOADS; i++)
		if (selected[i])
			run(i);
	print_table();
	figures_exit();
	numa_exit();
	printf("# %.1f seconds in all, %d failed\n", (now_ms() - start) / 1e3,
	       ktap_failed);
	return ktap_exit();
}
