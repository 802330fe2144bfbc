// SPDX-License-Identifier: GPL-2.0-only
/// Find notifier callbacks that flush the whole TLB, although they know the range.
// Confidence: Low
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: The callback is told which addresses change. A flush of everything costs all
//   others their translations, on each change of a page.
// Instead: Flush the span that changed, and nothing if nothing changed: ops->flush of
//   the library gets exactly those spans.

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
|
struct mmu_notifier_ops ops@p = { .arch_invalidate_secondary_tlbs = f, };
|
struct mmu_notifier_ops ops@p = { .invalidate_range = f, };
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

// Told where, it is no flush of everything.
@spanned@
identifier fn =~ "flush|tlb|inval";
identifier where =~ "^(start|first|addr|address|iova|pages|npages|nr_pages|size|end|last)$";
expression E;
position p;
@@
(
fn@p(..., where, ...)
|
fn@p(..., E->where, ...)
|
fn@p(..., E.where, ...)
)

@found@
identifier fn =~ "flush.*(tlb|_all$)|tlb.*(flush|inval.*all)|inval.*_all$";
position p != spanned.p;
@@
fn@p(...)

@script:python@
p << found.p;
fn << found.fn;
@@
if any(word in fn for word in ("range", "page", "addr", "wait", "supported", "need", "work", "hugetlb")):
    cocci.include_match(False)

@script:python@
p << found.p;
@@
# Who is the flush is not to blame, but who calls it.
if not in_callback(p[0]) or re.search("flush.*tlb", p[0].current_element):
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
    coccilib.org.print_todo(at, "flushes the whole TLB: flush the spans that changed")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "flushes the whole TLB: flush the spans that changed")
