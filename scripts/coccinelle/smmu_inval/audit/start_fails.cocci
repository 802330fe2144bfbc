// SPDX-License-Identifier: GPL-2.0-only
/// Find start callbacks that can fail although there is an end callback, and interval
/// callbacks that fail when they have the lock.
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: If a non-blockable start fails, the ends of those notifiers that were
//   started are called or not, by kernel version, and the failing one's own may
//   be called without its start having counted
//   (mmu_notifier_ops.invalidate_range_start). Who counts pending changes then
//   waits for ever, or counts below zero.
//   An interval callback has no other excuse than a lock it may not wait for: if
//   it fails in a blockable section, core mm warns, goes on and frees the page.
// Instead: Use a lock that does not sleep, so that start cannot fail, or have no end:
//   an interval notifier, as the interval binding of the library.

virtual patch
virtual context
virtual org
virtual report

@both@
identifier ops, start, end;
@@
struct mmu_notifier_ops ops = {
	.invalidate_range_start = start,
	.invalidate_range_end = end,
};

@found@
identifier both.start;
constant C != 0;
position p;
@@
start(...)
{
	<+...
	return@p \( -C \| C \);
	...+>
}

@callback@
identifier ops, f;
@@
(
struct mmu_interval_notifier_ops ops = { .invalidate = f, };
|
struct mmu_interval_notifier_ops ops = { .invalidate_start = f, };
)

// The sequence is set under the lock: so it was not the lock that failed.
@late exists@
symbol false;
identifier callback.f;
position p;
@@
f(...)
{
	...
	mmu_interval_set_seq(...)
	...
	return@p false;
}

@depends on context@
position late.p;
expression E;
@@
* return@p E;

@script:python depends on org@
p << late.p;
@@
for at in p:
    coccilib.org.print_todo(at, "fails after it got the lock, in a blockable section too: core mm goes on regardless; make what it calls not fail")

@script:python depends on report@
p << late.p;
@@
for at in p:
    coccilib.report.print_report(at, "fails after it got the lock, in a blockable section too: core mm goes on regardless; make what it calls not fail")

@depends on context@
position found.p;
expression E;
@@
* return@p E;

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "start fails although there is an end: ends and starts no longer match")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "start fails although there is an end: ends and starts no longer match")
