// SPDX-License-Identifier: GPL-2.0-only
/// Find notifiers that are inserted after the pages were read.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: What changes between the page table walk (get_user_pages, hmm_range_fault)
//   and the insertion is told to nobody, and the driver goes on with pages that
//   are not the process's any more.
// Instead: Insert first, then mmu_interval_read_begin(), then read the pages, then
//   check for a retry.

virtual patch
virtual context
virtual org
virtual report

@found exists@
position p;
@@
(
pin_user_pages(...)
|
pin_user_pages_fast(...)
|
pin_user_pages_remote(...)
|
get_user_pages(...)
|
get_user_pages_fast(...)
|
get_user_pages_remote(...)
|
hmm_range_fault(...)
)
... when any
    when != mmu_interval_read_begin(...)
(
mmu_interval_notifier_insert@p
|
mmu_interval_notifier_insert_locked@p
|
mmu_notifier_register@p
|
mmu_notifier_get@p
)
 (...)

@depends on context@
position found.p;
identifier fn;
@@
* fn@p(...)

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "inserted after the pages were read: insert first, then read")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "inserted after the pages were read: insert first, then read")
