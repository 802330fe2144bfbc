// SPDX-License-Identifier: GPL-2.0-only
/// Find notifiers that are removed inside of a callback, or twice.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: mmu_interval_notifier_remove() and mmu_notifier_unregister() wait for
//   running callbacks, so one that calls them waits for itself. A second removal
//   works on what is freed or in a list no more.
// Instead: Queue work that removes it; remember that it is removed.

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
position p;
@@
(
mmu_interval_notifier_remove@p(...)
|
mmu_notifier_unregister@p(...)
|
mmu_notifier_synchronize@p(...)
)

// Twice, with nothing in between that could have inserted it again or led elsewhere.
@twice@
expression E, E2;
identifier fn = { mmu_interval_notifier_remove, mmu_notifier_unregister };
position p;
@@
fn(E, ...);
... when != E = E2
    when != return ...;
    when != break;
    when != continue;
fn@p(E, ...);

@script:python depends on org@
p << twice.p;
@@
for at in p:
    coccilib.org.print_todo(at, "removed a second time")

@script:python depends on report@
p << twice.p;
@@
for at in p:
    coccilib.report.print_report(at, "removed a second time")

@depends on context@
position twice.p;
identifier fn;
@@
* fn@p(...)

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
    coccilib.org.print_todo(at, "removal waits for the callback that it is called from: queue work for it")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "removal waits for the callback that it is called from: queue work for it")
