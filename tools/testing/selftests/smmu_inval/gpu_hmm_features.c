// SPDX-License-Identifier: GPL-2.0
/*
 * gpu_hmm_features: what the software GPU can do beyond the demo, and what has
 * to stay right meanwhile: a notifier for each range, memory of its own,
 * exclusive access, and flushes that take time.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "features.h"

int open_other_gpu(void)
{
	int fd = gpu_open_nr(1);

	return fd < 0 ? open_gpu() : fd;
}

char *map_aligned(size_t size)
{
	const size_t align = GPU_HMM_RANGE_SIZE;
	char *mem = map(size + align);
	size_t head = -(uintptr_t)mem & (align - 1);

	if (head)
		munmap(mem, head);
	munmap(mem + head + size, align - head);
	return mem + head;
}

void gpu_check_pages(const char *who, int fd, const char *mem, unsigned int nr,
		     unsigned int gen)
{
	static char buffer[65536];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		int err = gpu_read(fd, i & 1, mem + i * page_size, buffer,
				   page_size);

		if (err) {
			wrong("%s: page %u: %s", who, i, strerror(-err));
			return;
		}
		if (!page_is(who, buffer, i, gen))
			return;
	}
}

static const struct test tests[] = {
	{ "ranges come and go", ranges_come_and_go },
	{ "ranges come and go while engines work", ranges_race },
	{ "ranges of a process that is gone", ranges_file_outlives },
	{ "ranges of a process that is reaped", ranges_reaped },
	{ "device memory: there and back", memory_there_and_back },
	{ "device memory: mapped when it has moved", memory_is_mapped },
	{ "device memory: the CPU takes it back", memory_cpu_fault },
	{ "device memory: a part is unmapped", memory_partial_unmap },
	{ "device memory: fork", memory_fork },
	{ "device memory: other files and GPUs", memory_others },
	{ "device memory: no update is lost", memory_counters },
	{ "device memory: beside other changes", memory_changes },
	{ "device memory: huge pages", memory_huge },
	{ "exclusive access: an engine and the CPU", exclusive_one_engine },
	{ "exclusive access: two engines and the CPU", exclusive_two_engines },
	{ "exclusive access: two GPUs and the CPU", exclusive_two_gpus },
	{ "exclusive access: fork", exclusive_fork },
	{ "overlapping invalidations: one GPU", flush_overlap_one },
	{ "overlapping invalidations: all GPUs", flush_overlap_all },
	{ "overlapping invalidations: behind EVICT", flush_overlap_evict },
	{ "overlapping invalidations: single pass", flush_overlap_single },
};

int main(void)
{
	return run_tests(tests, ARRAY_SIZE(tests));
}
