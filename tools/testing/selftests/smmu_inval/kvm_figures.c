// SPDX-License-Identifier: GPL-2.0
/*
 * The figures of a workload: from KVM's binary statistics, from a tracepoint of its
 * TDP MMU, and, if KVM uses the library, from the library's debugfs.
 *
 * The tracepoint is counted by histograms in an instance of its own, so that no
 * event is stored, and none lost.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm_demo.h"

#define INSTANCE	"/sys/kernel/tracing/instances/kvm_demo"
#define EVENT		INSTANCE "/events/kvmmmu/kvm_tdp_mmu_spte_changed"
#define KPROBES		"/sys/kernel/tracing/kprobe_events"
#define SCANS		INSTANCE "/events/kprobes/kvm_demo_scan"
#define LIBRARY		"/sys/kernel/debug/smmu_inval"

/*
 * Of an entry of KVM's: bit 11 is "present" for KVM, bit 7 makes a leaf of one that
 * is not at the lowest level, and bit 1 is writable.
 */
#define WAS_LEAF	"(old_spte & 0x800) && (level == 1 || old_spte & 0x80)"
#define ZAPPED		WAS_LEAF " && !(new_spte & 0x800)"
#define WRPROTECTED	WAS_LEAF " && (old_spte & 0x2) && (new_spte & 0x800) && !(new_spte & 0x2)"

struct figures figures;

static struct figures before;
static bool traced;

static void add_trigger(const char *filter)
{
	char text[256];

	snprintf(text, sizeof(text), "hist:keys=level if %s", filter);
	if (put(EVENT "/trigger", text))
		traced = false;
}

void figures_init(void)
{
	if (access("/sys/kernel/tracing/instances", W_OK))
		return;
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0700) || access(EVENT, F_OK))
		return;
	traced = true;
	add_trigger(ZAPPED);
	add_trigger(WRPROTECTED);
}

void figures_exit(void)
{
	rmdir(INSTANCE);
}

bool figures_traced(void)
{
	return traced;
}

/* Pages of 4K, of both histograms. */
static void read_histograms(struct figures *f)
{
	FILE *file = traced ? fopen(EVENT "/hist", "re") : NULL;
	unsigned long long level, hits;
	uint64_t *sum = NULL;
	char line[512];

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "# trigger info:", 15))
			sum = strstr(line, "!(new_spte & 0x800)") ?
				&f->zapped : &f->wrprotected;
		if (sum && sscanf(line, "{ level: %llu } hitcount: %llu",
				  &level, &hits) == 2 && level && level < 5)
			*sum += hits << 9 * (level - 1);
	}
	fclose(file);
}

/*
 * How often NUMA balancing went over memory, whatever came of it: where nothing is
 * protected in fact, nothing else tells.
 */
static char scans_trigger[128];

bool scans_begin(const struct area *area)
{
	unsigned long start = (uintptr_t)area->hva;

	snprintf(scans_trigger, sizeof(scans_trigger),
		 "!hist:keys=start if start >= %#lx && start < %#lx", start,
		 start + (unsigned long)(area->pages * GUEST_PAGE));
	return !put(KPROBES, "p:kvm_demo_scan change_prot_numa start=$arg2:u64") &&
	       !put(SCANS "/trigger", scans_trigger + 1);
}

/* -1 if it could not be counted. */
long scans_end(void)
{
	long n = get(SCANS "/hist", "    Hits: ");

	put(SCANS "/trigger", scans_trigger);
	put(KPROBES, "-:kvm_demo_scan");
	return n;
}

/* The statistic @name of a VM or a vCPU; all that are asked for have one value. */
static uint64_t read_statistic(int fd, const char *name)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	uint64_t n = 0;
	unsigned int i;
	size_t size;
	int stats = ioctl(fd, KVM_GET_STATS_FD, NULL);

	if (stats < 0 || pread(stats, &header, sizeof(header), 0) != sizeof(header)) {
		wrong("KVM_GET_STATS_FD: %s", strerror(errno));
		goto out;
	}
	size = sizeof(*desc) + header.name_size;
	desc = malloc(size);
	for (i = 0; desc && i < header.num_desc; i++) {
		if (pread(stats, desc, size, header.desc_offset + i * size) !=
		    (ssize_t)size)
			break;
		if (strcmp(desc->name, name))
			continue;
		if (pread(stats, &n, sizeof(n), header.data_offset + desc->offset) !=
		    sizeof(n))
			break;
		free(desc);
		close(stats);
		return n;
	}
	free(desc);
	wrong("KVM has no statistic %s", name);
out:
	if (stats >= 0)
		close(stats);
	return 0;
}

static uint64_t vcpu_statistic(const char *name)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < NR_VCPUS; i++)
		sum += read_statistic(vcpu_fd(i), name);
	return sum;
}

/* The directory of our VM is named as KVM names it, "-" and a number. */
static void read_library(struct figures *f)
{
	char path[sizeof(LIBRARY) + sizeof(((struct dirent *)0)->d_name) + 8];
	long long asked, kept;
	struct dirent *entry;
	char name[32];
	char line[256];
	FILE *file;
	DIR *dir;

	f->asked = -1;
	f->kept = -1;
	dir = opendir(LIBRARY);
	if (!dir)
		return;
	snprintf(name, sizeof(name), "kvm-%d-", getpid());
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, name, strlen(name)))
			continue;
		snprintf(path, sizeof(path), LIBRARY "/%s/stats", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		f->asked = 0;
		f->kept = 0;
		while (fgets(line, sizeof(line), file)) {
			/* event, callbacks, asked, changed, kept, ... */
			if (sscanf(line, "%*s %*u %lld %*u %lld %*u %*u", &asked,
				   &kept) != 2)
				continue;
			f->asked += asked;
			f->kept += kept;
		}
		fclose(file);
	}
	closedir(dir);
}

/* How often KVM asked for a flush, whether a vCPU had to be told or not. */
uint64_t flush_requests(void)
{
	return read_statistic(vm_fd(), "remote_tlb_flush_requests");
}

static void take(struct figures *f)
{
	memset(f, 0, sizeof(*f));
	f->refused = vm_refused();
	f->faults = vcpu_statistic("pf_taken");
	/* Of those that are fixed or spurious, pf_fast were so without a lock. */
	f->retries = f->faults - f->refused - vcpu_statistic("pf_fixed") -
		     vcpu_statistic("pf_spurious") - vcpu_statistic("pf_emulate");
	f->flushes = read_statistic(vm_fd(), "remote_tlb_flush");
	f->requests = flush_requests();
	read_histograms(f);
	read_library(f);
	f->seconds = now_ms() / 1e3;
}

void measure_begin(void)
{
	take(&before);
}

void measure_end(void)
{
	struct figures *f = &figures;

	take(f);
	f->faults -= before.faults;
	f->retries -= before.retries;
	f->zapped -= before.zapped;
	f->wrprotected -= before.wrprotected;
	f->flushes -= before.flushes;
	f->requests -= before.requests;
	f->refused -= before.refused;
	f->seconds -= before.seconds;
	if (f->asked >= 0) {
		f->asked -= before.asked;
		f->kept -= before.kept;
	}
}

void both_start(const struct area *read, const struct area *written)
{
	measure_begin();
	vcpu_start(1, GUEST_COUNT, written, 0, false, 0);
	vcpu_start(0, GUEST_READ, read, 0, false, 0);
}

void both_stop(const struct area *read, const struct area *written)
{
	vcpu_stop(1);
	vcpu_stop(0);
	measure_end();
	area_verify_count(written, 0, vcpu_progress(1));
	area_verify(read, 0, false);
}

void at_most(const char *what, uint64_t n, uint64_t limit)
{
	if (precise && n > limit)
		wrong("%s: %llu, and at most %llu were expected", what,
		      (unsigned long long)n, (unsigned long long)limit);
}
