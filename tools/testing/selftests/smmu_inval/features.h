/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of gpu_hmm_features share.
 */
#ifndef FEATURES_H
#define FEATURES_H

#include "check.h"

/* The second GPU if there is one, or else the first again. */
int open_other_gpu(void);
/* Memory that starts at a multiple of 2 MiB; never unmapped by who asks. */
char *map_aligned(size_t size);
/* As check_pages(), of what the GPU reads. */
void gpu_check_pages(const char *who, int fd, const char *mem, unsigned int nr,
		     unsigned int gen);

/* features_ranges.c */
void ranges_come_and_go(void);
void ranges_race(void);
void ranges_file_outlives(void);
void ranges_reaped(void);

/* features_memory.c */
void memory_there_and_back(void);
void memory_is_mapped(void);
void memory_cpu_fault(void);
void memory_partial_unmap(void);
void memory_fork(void);
void memory_others(void);
void memory_counters(void);
void memory_changes(void);
void memory_huge(void);

/* features_exclusive.c */
void exclusive_one_engine(void);
void exclusive_two_engines(void);
void exclusive_two_gpus(void);
void exclusive_fork(void);

/* features_flush.c */
void flush_overlap_one(void);
void flush_overlap_all(void);
void flush_overlap_evict(void);
void flush_overlap_single(void);

#endif /* FEATURES_H */
