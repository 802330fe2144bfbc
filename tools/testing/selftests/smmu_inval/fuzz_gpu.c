// SPDX-License-Identifier: GPL-2.0
/* The software GPU, for the fuzzer. */
#include "gpu_hmm_uapi.h"
#include "ioctl_fuzz.h"

enum { SUBMIT, WAIT, PREFETCH, SETUP, STATS, EVICT, MIGRATE };

static const struct fuzz_call calls[] = {
	[SUBMIT] = { "SUBMIT", GPU_HMM_IOC_SUBMIT, sizeof(struct gpu_hmm_command),
	  "4n4e4f4-8a8s8v8b8-8-8-8-", false },
	[WAIT] = { "WAIT", GPU_HMM_IOC_WAIT, sizeof(struct gpu_hmm_wait),
	  "8i4d4-8-8-8-", false },
	[PREFETCH] = { "PREFETCH", GPU_HMM_IOC_PREFETCH, sizeof(struct gpu_hmm_prefetch),
	  "8a8s4f4-", false },
	[SETUP] = { "SETUP", GPU_HMM_IOC_SETUP, sizeof(struct gpu_hmm_setup),
	  "4f4d4d4-", false },
	[STATS] = { "STATS", GPU_HMM_IOC_STATS, sizeof(struct gpu_hmm_stats), "", false },
	[EVICT] = { "EVICT", GPU_HMM_IOC_EVICT, sizeof(struct gpu_hmm_evict), "8a8s8-", false },
	[MIGRATE] = { "MIGRATE", GPU_HMM_IOC_MIGRATE, sizeof(struct gpu_hmm_migrate),
	  "8a8s4f4-8-8-", true },
	{ }
};

static const struct fuzz_step start[] = {
	{ .call = SETUP },
	{ PREFETCH, { FUZZ_ARENA, 0x1000, GPU_HMM_PREFETCH_WRITE } },
	{ SUBMIT, { GPU_HMM_FILL, 0, GPU_HMM_ASYNC, 0, FUZZ_ARENA, 0x2000, 1 } },
	{ WAIT, { 1, 1000 } },
	{ EVICT, { FUZZ_ARENA, 0x1000 } },
	{ MIGRATE, { FUZZ_ARENA, 0x2000 } },
	{ .call = STATS },
	{ .call = -1 }
};

const struct fuzz_device fuzz_gpu = { "gpu", GPU_HMM_PATH, calls, start };
