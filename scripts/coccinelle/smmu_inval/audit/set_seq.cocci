// SPDX-License-Identifier: GPL-2.0-only
/// Find interval callbacks that do not set the sequence, or set it before the lock is held.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: mmu_interval_read_retry() sees an invalidation only by the sequence that the
//   callback sets with mmu_interval_set_seq(), in the section of the lock in
//   which the fault side checks. A callback that returns true without it lets a
//   fault install what it read before.
// Instead: Take the lock, then mmu_interval_set_seq() on every path that returns true;
//   the interval binding of the library does.

virtual patch
virtual context
virtual org
virtual report

@callback@
identifier ops, f;
@@
(
struct mmu_interval_notifier_ops ops = { .invalidate = f, };
|
struct mmu_interval_notifier_ops ops = { .invalidate_start = f, };
)

// Handed on, to whoever sets it.
@hands_on@
identifier callback.f, seq;
identifier fn != { mmu_interval_set_seq };
@@
f(..., unsigned long seq)
{
	<+... fn(..., seq, ...) ...+>
}

@found depends on !hands_on exists@
symbol true;
identifier callback.f;
position p;
@@
f(...)
{
	... when != mmu_interval_set_seq(...)
	return@p true;
}

@unlocked exists@
identifier callback.f;
identifier lock =~ "(^|_)(try)?lock(_irq|_irqsave|_nested)?$|^down_(read|write)|held";
position p;
@@
f(...)
{
	... when != lock(...)
	mmu_interval_set_seq@p(...)
	... when any
}

@script:python depends on org@
p << unlocked.p;
@@
for at in p:
    coccilib.org.print_todo(at, "the sequence is set without the lock that the fault side checks it under")

@script:python depends on report@
p << unlocked.p;
@@
for at in p:
    coccilib.report.print_report(at, "the sequence is set without the lock that the fault side checks it under")

@depends on context@
position found.p;
expression E;
@@
* return@p E;

@depends on context@
position unlocked.p;
@@
* mmu_interval_set_seq@p(...)

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "returns true, and the sequence is not set: a fault in flight installs what it read before")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "returns true, and the sequence is not set: a fault in flight installs what it read before")
