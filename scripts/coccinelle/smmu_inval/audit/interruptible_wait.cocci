// SPDX-License-Identifier: GPL-2.0-only
/// Find waits in notifier callbacks that a signal or a timeout can end early.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: When the callback returns, core mm frees or reuses the page. A wait that was
//   interrupted has not seen the device let go of it, and the caller cannot be
//   told: only non-blockable callbacks may fail.
// Instead: Wait uninterruptibly and without a limit, or take the translation away
//   first.

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

// What a callback calls through a table of functions in another file, it tells what it
// was told: the range, or the sequence that is to be set.
@ranged@
identifier f, range;
position p;
@@
f@p(..., const struct mmu_notifier_range *range, ...) { ... }

@sequenced@
identifier f, cur_seq =~ "^(cur|mmu)_seq$";
position p;
@@
f@p(..., unsigned long cur_seq) { ... }

@script:python@
f << ranged.f;
p << ranged.p;
@@
callbacks.add((p[0].file, f))

@script:python@
f << sequenced.f;
p << sequenced.p;
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

@found@
symbol true;
expression E1, E2;
position p;
@@
(
mutex_lock_interruptible@p(...)
|
mutex_lock_killable@p(...)
|
down_interruptible@p(...)
|
down_killable@p(...)
|
down_timeout@p(...)
|
down_read_interruptible@p(...)
|
down_read_killable@p(...)
|
down_write_killable@p(...)
|
ww_mutex_lock_interruptible@p(...)
|
dma_resv_lock_interruptible@p(...)
|
wait_event_interruptible@p(...)
|
wait_event_interruptible_timeout@p(...)
|
wait_event_killable@p(...)
|
wait_event_timeout@p(...)
|
wait_for_completion_interruptible@p(...)
|
wait_for_completion_interruptible_timeout@p(...)
|
wait_for_completion_killable@p(...)
|
wait_for_completion_timeout@p(...)
|
dma_fence_wait@p(E1, true)
|
dma_fence_wait_timeout@p(E1, true, ...)
|
dma_resv_wait_timeout@p(E1, E2, true, ...)
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
    coccilib.org.print_todo(at, "a signal or a timeout ends this wait before the device has let go: wait uninterruptibly")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "a signal or a timeout ends this wait before the device has let go: wait uninterruptibly")
