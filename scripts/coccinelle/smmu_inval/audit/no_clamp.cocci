// SPDX-License-Identifier: GPL-2.0-only
/// Find interval callbacks that compute with a range that reaches beyond their own.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: range->start and range->end are what core mm changes, and need only overlap
//   the notifier's interval: clear_refs says [0, ~0). An offset computed from
//   them without clamping is negative or too large.
// Instead: start = max(range->start, own start), end = min(range->end, own end); the
//   span that the library's zap gets is clamped.

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

@clamps@
identifier callback.f, range;
@@
f(..., const struct mmu_notifier_range *range, ...)
{
	<+...
(
	max(..., range->start, ...)
|
	max_t(..., range->start, ...)
|
	min(..., range->end, ...)
|
	min_t(..., range->end, ...)
|
	clamp(range->start, ...)
)
	...+>
}

@found depends on !clamps@
identifier callback.f, range;
expression E;
position p;
@@
f(..., const struct mmu_notifier_range *range, ...)
{
	<+...
(
	range->start@p - E
|
	range->end@p - E
|
	range->start@p >> E
|
	range->end@p >> E
)
	...+>
}

@depends on context@
position found.p;
expression E;
identifier m;
@@
* E->m@p

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "computed from a range that may reach beyond the interval: clamp it first")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "computed from a range that may reach beyond the interval: clamp it first")
