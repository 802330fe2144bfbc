// SPDX-License-Identifier: GPL-2.0-only
/// Find faults that do not check for an invalidation, or not under the lock.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: What mmu_interval_read_retry() and, in KVM, mmu_invalidate_retry() say is true as long as the lock is held that
//   the callback takes for mmu_interval_set_seq(). Checked without it, or not at
//   all, an invalidation between the check and the installation is lost.
// Instead: Lock, check, install, unlock, in this order and in one section; or
//   smmu_inval_interval_read_retry(), which asserts the lock.

virtual patch
virtual context
virtual org
virtual report

// A wrapper is as good as its callers, and is not looked at: its name says retry.
@locked exists@
identifier f;
identifier lock =~ "(^|_)(try)?lock(_irq|_irqsave|_interruptible|_killable|_nested|_rmap)?$|^down_(read|write)|held";
identifier unlock =~ "unlock|^up_(read|write)";
position p;
@@
f(...)
{
	... when any
	lock(...)
	... when any
	    when != unlock(...)
(
	mmu_interval_read_retry@p(...)
|
	mmu_invalidate_retry@p(...)
|
	mmu_invalidate_retry_gfn@p(...)
|
	mmu_invalidate_retry_hva@p(...)
)
	... when any
}

@found@
position p != locked.p;
@@
(
mmu_interval_read_retry@p(...)
|
mmu_invalidate_retry@p(...)
|
mmu_invalidate_retry_gfn@p(...)
|
mmu_invalidate_retry_hva@p(...)
)

@unheeded@
position p;
@@
mmu_interval_read_retry@p(...);

@depends on context@
position unheeded.p;
@@
* mmu_interval_read_retry@p(...);

@script:python depends on org@
p << unheeded.p;
@@
for at in p:
    coccilib.org.print_todo(at, "nobody looks at whether to retry: go back and read the pages again if so")

@script:python depends on report@
p << unheeded.p;
@@
for at in p:
    coccilib.report.print_report(at, "nobody looks at whether to retry: go back and read the pages again if so")

@checks@
@@
mmu_interval_read_retry(...)

@ignored@
position p;
@@
mmu_interval_read_begin@p(...);

@begun depends on !checks@
position p != ignored.p;
@@
mmu_interval_read_begin@p(...)

@script:python depends on org@
p << begun.p;
@@
for at in p:
    coccilib.org.print_todo(at, "begins to read, and this file never checks for a retry")

@script:python depends on report@
p << begun.p;
@@
for at in p:
    coccilib.report.print_report(at, "begins to read, and this file never checks for a retry")

@script:python depends on org@
p << ignored.p;
@@
for at in p:
    coccilib.org.print_todo(at, "the sequence that this returns is thrown away, so nothing can be checked against it")

@script:python depends on report@
p << ignored.p;
@@
for at in p:
    coccilib.report.print_report(at, "the sequence that this returns is thrown away, so nothing can be checked against it")

@depends on context@
position found.p;
identifier fn;
@@
* fn@p(...)

@depends on context@
position begun.p;
@@
* mmu_interval_read_begin@p(...)

@depends on context@
position ignored.p;
@@
* mmu_interval_read_begin@p(...);

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "checked without a lock that this function holds: lock, check, install, unlock")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "checked without a lock that this function holds: lock, check, install, unlock")
