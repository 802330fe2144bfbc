// SPDX-License-Identifier: GPL-2.0
/* The DMA engines behind the software IOMMU, for the fuzzer. */
#include "iommu_sva_uapi.h"
#include "ioctl_fuzz.h"

enum { BIND, UNBIND, RUN, STOP, SETUP, STATS };

static const struct fuzz_call calls[] = {
	[BIND] = { "BIND", SVA_IOC_BIND, sizeof(struct sva_bind), "4e4f4-4-", false },
	[UNBIND] = { "UNBIND", SVA_IOC_UNBIND, 0, "", false },
	[RUN] = { "RUN", SVA_IOC_RUN, sizeof(struct sva_job),
	  "4o4f8b8b8s8v4n4n4-4-8-8-8-", false },
	[STOP] = { "STOP", SVA_IOC_STOP, 0, "", false },
	[SETUP] = { "SETUP", SVA_IOC_SETUP, sizeof(struct sva_setup), "4f4d4d4d", false },
	[STATS] = { "STATS", SVA_IOC_STATS, sizeof(struct sva_stats), "", false },
	{ }
};

static const struct fuzz_step start[] = {
	{ .call = SETUP },
	{ .call = BIND },
	{ RUN, { SVA_FILL, 0, 0, FUZZ_ARENA, 0x2000, 1, 1, 1 } },
	{ .call = STATS },
	{ .call = STOP },
	{ .call = UNBIND },
	{ .call = -1 }
};

const struct fuzz_device fuzz_sva = { "sva", SVA_PATH, calls, start };
