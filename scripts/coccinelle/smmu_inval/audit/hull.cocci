// SPDX-License-Identifier: GPL-2.0-only
/// Find pending changes that are kept as one range from the lowest to the highest.
// Confidence: Low
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: Two small changes at both ends of an address space then make one that covers
//   all of it, and every fault in between is sent back until both are over.
// Instead: Keep each range: smmu_inval_begin() and smmu_inval_add() do, and grow a hull
//   only when memory for ranges runs out.

virtual patch
virtual context
virtual org
virtual report

@found@
expression x, a, b;
identifier lo, hi;
position p;
@@
(
x->lo =@p \( min(x->lo, a) \| min_t(..., x->lo, a) \);
... when any
x->hi = \( max(x->hi, b) \| max_t(..., x->hi, b) \);
|
x.lo =@p \( min(x.lo, a) \| min_t(..., x.lo, a) \);
... when any
x.hi = \( max(x.hi, b) \| max_t(..., x.hi, b) \);
)

@notifier@
identifier ops;
@@
(
struct mmu_notifier_ops ops = { ... };
|
struct mmu_interval_notifier_ops ops = { ... };
)

@script:python depends on !notifier@
p << found.p;
@@
cocci.include_match(False)

@depends on context@
position found.p;
expression x, y;
@@
* x =@p y;

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "one range from the lowest to the highest start covers what nobody changes: keep the ranges apart")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "one range from the lowest to the highest start covers what nobody changes: keep the ranges apart")
