// SPDX-License-Identifier: GPL-2.0-only
/// Find notifier callbacks that sleep without asking whether they may.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: The OOM reaper calls with mmu_notifier_range_blockable() false, and must not
//   wait for who waits for memory. Such a callback may try a lock, and says
//   -EAGAIN or false if it does not get it.
// Instead: Ask mmu_notifier_range_blockable() before the first lock or wait that
//   sleeps.

virtual patch
virtual context
virtual org
virtual report

@initialize:python@
@@
callbacks = set()
calls = {}

def in_callback(p):
    "Is it in the callback of a notifier, or what one calls in the same file?"
    todo = [f for path, f in callbacks if path == p.file]
    seen = set()
    while todo:
        f = todo.pop()
        if f == p.current_element:
            return True
        if f not in seen:
            seen.add(f)
            todo.extend(calls.get((p.file, f), ()))
    return False

@callback@
identifier ops, f;
position p;
@@
(
struct mmu_interval_notifier_ops ops@p = { .invalidate = f, };
|
struct mmu_interval_notifier_ops ops@p = { .invalidate_start = f, };
|
struct mmu_notifier_ops ops@p = { .invalidate_range_start = f, };
)

@script:python@
f << callback.f;
p << callback.p;
@@
callbacks.add((p[0].file, f))

@call@
identifier f;
position p;
@@
f@p(...)

@script:python@
f << call.f;
p << call.p;
@@
calls.setdefault((p[0].file, p[0].current_element), set()).add(f)

// A callback that asks has what it calls in its own hands.
@asks@
identifier callback.f;
position q;
@@
f(...) { <+... mmu_notifier_range_blockable@q(...) ...+> }

@script:python@
p << asks.q;
@@
callbacks.discard((p[0].file, p[0].current_element))

@found@
position p;
@@
(
mutex_lock@p(...)
|
mutex_lock_nested@p(...)
|
down_read@p(...)
|
down_write@p(...)
|
ww_mutex_lock@p(...)
|
dma_resv_lock@p(...)
|
dma_resv_wait_timeout@p(...)
|
dma_fence_wait@p(...)
|
wait_for_completion@p(...)
|
wait_event@p(...)
|
flush_work@p(...)
|
flush_workqueue@p(...)
|
synchronize_rcu@p(...)
|
synchronize_srcu@p(...)
|
msleep@p(...)
|
usleep_range@p(...)
)
@script:python@
p << found.p;
@@
if not in_callback(p[0]):
    cocci.include_match(False)

@depends on context@
position found.p;
identifier fn;
@@
* fn@p(...)

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "sleeps, and nobody asked mmu_notifier_range_blockable(): turn away who may not wait first")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "sleeps, and nobody asked mmu_notifier_range_blockable(): turn away who may not wait first")
