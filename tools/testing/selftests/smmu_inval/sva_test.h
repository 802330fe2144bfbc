/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of sva_test share.
 */
#ifndef SVA_TEST_H
#define SVA_TEST_H

#include <stdatomic.h>
#include <sys/types.h>

#include "check.h"
#include "sva.h"

/* In seconds; a test takes one or two. */
#define HANGS		60

/* A channel on an engine, for this process. */
int open_engine(unsigned int engine);
/* Also looks that no odd range has come. */
void close_engine(int fd);
struct sva_stats stats_of(int fd);
/* Until the next test. */
void slow(unsigned int command_us, unsigned int access_us, unsigned int request_us);
/* So that what was just mapped can be swapped out: it is on the lists of the LRU. */
void drain_lru(void);
/* The job has to end in this way. */
void ends(const char *what, int status, int expected);
/* In a child process, with what it did not print; then in wait_for(). */
pid_t in_child(void (*work)(void *), void *arg);
void wait_for(pid_t pid, const char *what);

/* sva_changes.c: what is changed while DMA is warm, and while it runs. */
unsigned int nr_changes(void);
const char *change_name(unsigned int i);
void change_test(unsigned int i, bool concurrent);
void change_cleanup(void);

/* sva_bits.c */
void bits_accessed(void);
void bits_dirty_swap(void);
void bits_dirty_free(void);
void bits_soft_dirty(void);

/* sva_stale.c: hardware that is slow, and a second view of each page. */
void stale_fast(void);
void stale_in_flight(void);
void stale_commands(void);
void stale_protect(void);

/* sva_process.c */
void process_killed(void);
void process_kept_open(void);
void process_next(void);
void process_fork_loop(void);
void process_two(void);
void process_two_engines(void);
void process_unbind(void);
void process_signal(void);

/* sva_requests.c */
void requests_none(void);
void requests_group(void);
void requests_overflow(void);
void requests_at_once(void);
void requests_bad_addresses(void);
void requests_ends(void);

#endif /* SVA_TEST_H */
