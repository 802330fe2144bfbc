// SPDX-License-Identifier: GPL-2.0-only
/// Find notifier callbacks that drop the lock of the page tables before they flush, or
/// never flush.
// Confidence: Low
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: Between the unlock and the flush a fault that takes the lock sees the entry
//   gone, installs a new one, and the flush then comes for both; others see an
//   entry gone that devices still use, and believe that their page is free.
//   The second kind is told by names: a callback that clears entries, and calls
//   nothing named after a flush, a wait or an unmap, in this file.
// Instead: Flush before the unlock: a batch of the library does when its scope ends.
//   With flush_issue the wait may come later, recorded with its spans.

virtual patch
virtual context
virtual org
virtual report

@initialize:python@
@@
import re

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

def reached(path):
    "What the callbacks of a file call, directly or not."
    todo = [f for at, f in callbacks if at == path]
    seen = set(todo)
    while todo:
        for f in calls.get((path, todo.pop()), ()):
            if f not in seen:
                seen.add(f)
                todo.append(f)
    return seen

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
identifier fn =~ "flush.*tlb|tlb.*(flush|inval)";
identifier lock =~ "(^|_)(try)?lock(_irq|_irqsave|_nested)?$|^down_(read|write)";
expression L;
position p;
@@
(
mutex_unlock(L)
|
spin_unlock(L)
|
spin_unlock_irq(L)
|
spin_unlock_irqrestore(L, ...)
|
write_unlock(L)
|
up_write(L)
|
up_read(L)
);
... when != lock(...)
    when != return ...;
fn@p(...)

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
    coccilib.org.print_todo(at, "flushed after the lock of the page tables was dropped: flush before the unlock")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "flushed after the lock of the page tables was dropped: flush before the unlock")

// Entries are cleared, and whatever is called has no name that speaks of the device.
@indirect@
identifier m;
expression E;
position p;
@@
E->m@p(...)

@script:python@
m << indirect.m;
p << indirect.p;
@@
calls.setdefault((p[0].file, p[0].current_element), set()).add("flush by " + m)

@cleared@
expression E;
position p;
@@
(
xa_erase@p(...)
|
radix_tree_delete@p(...)
|
memset@p(E, 0, ...)
|
WRITE_ONCE@p(E, 0)
)

@script:python@
p << cleared.p;
@@
device = re.compile("flush|tlb|inval|wait|fence|sync|kick|unmap|evict|zap|update|queue")
own = set(f for path, f in callbacks if path == p[0].file)
if not in_callback(p[0]) or any(device.search(f) for f in reached(p[0].file) - own):
    cocci.include_match(False)

@depends on context@
position cleared.p;
identifier fn;
@@
* fn@p(...)

@script:python depends on org@
p << cleared.p;
@@
for at in p:
    coccilib.org.print_todo(at, "cleared and never flushed: the device still uses what it has cached")

@script:python depends on report@
p << cleared.p;
@@
for at in p:
    coccilib.report.print_report(at, "cleared and never flushed: the device still uses what it has cached")
