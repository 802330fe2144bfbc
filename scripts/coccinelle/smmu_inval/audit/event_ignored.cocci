// SPDX-License-Identifier: GPL-2.0-only
/// Find notifier callbacks that never look at what kind of change it was.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: range->event says why the entries change (enum mmu_notifier_event). A change
//   of protection, dirty tracking or the driver's own migration does not need
//   what munmap() does; who does not look zaps for all of them.
// Instead: Ask smmu_inval_classify(), or have a binding of the library do it: keep,
//   write-protect or zap by event.

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
|
struct mmu_notifier_ops ops = { .invalidate_range_start = f, };
)

// To print it is not to look.
@printed@
identifier callback.f, range;
identifier out =~ "print|debug|warn|trace|^(pr|dev|drm|netdev)_|_(dbg|err|info)$|WARN|DBG|ERR|INFO";
position p;
@@
f(..., const struct mmu_notifier_range *range, ...)
{
	<+...
	out(..., <+... range@p ...+>, ...)
	...+>
}

// It looks itself, or hands the range on to something that may.
@looks@
identifier callback.f, range, m;
identifier g != { mmu_notifier_range_blockable };
position p != printed.p;
expression E;
@@
f(..., const struct mmu_notifier_range *range, ...)
{
	<+...
(
	range@p->event
|
	g(..., range@p, ...)
|
	g(..., *range@p, ...)
|
	E->m(..., range@p, ...)
)
	...+>
}

@found depends on !looks@
identifier callback.f;
position p;
@@
f@p(...) { ... }

@depends on context@
position found.p;
identifier callback.f;
@@
* f@p(...)
  { ... }

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "event never looked at: each change of the range is taken for munmap(); decide by range->event")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "event never looked at: each change of the range is taken for munmap(); decide by range->event")
