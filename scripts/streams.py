#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# streams.py TRACE STREAM [SHIFT]: make a stream for the benchmarks (see
# kunit/bench/bench_stream.c) of what the library's tracepoints said, as
# scripts/boot with BOOT_RECORD keeps it. Of several instances it takes the busiest.
# SHIFT makes bytes, which the benchmarks count in, of the driver's units: 12 for GFNs.
#
# An end names no invalidation: it is of the newest that its task has open. The
# binding to interval notifiers sees no end, and a trace may stop before one: there it
# comes with the last that was said of the invalidation, which is earlier than it can
# have been, but nothing says by how much.
import collections
import re
import sys

LINE = re.compile(r"-(\d+)\s+\[\d+\].*: smmu_inval_(\w+): si=(\w+) (.*)")
RANGE = re.compile(r"range=\[(0x[0-9a-f]+|0), (0x[0-9a-f]+|0)\]")

MASK = (1 << 64) - 1
PAGE = 4096


def read(path):
    """Per instance: (task, what, start, last)."""
    events = collections.defaultdict(list)
    with open(path, encoding="ascii", errors="replace") as trace:
        for line in trace:
            match = LINE.search(line)
            if not match:
                continue
            task, what, instance, rest = match.groups()
            span = RANGE.search(rest)
            start, last = (int(n, 16) for n in span.groups()) if span else (0, 0)
            if what in ("add", "change") and not span:
                continue
            events[instance].append((task, what, start, last))
    return events


def convert(events, shift):
    def in_bytes(start, last):
        start, end = start << shift, (last + 1) << shift
        if start % PAGE or end % PAGE:
            sys.exit(f"[{start:#x}, {end - 1:#x}] is not in pages: another SHIFT?")
        return f"{start & MASK:x} {end - 1 & MASK:x}"

    opened = collections.defaultdict(list)
    unflushed = collections.defaultdict(list)
    lines = []
    next_id = 0
    # Where the last line about each invalidation is, until it has ended.
    latest = {}
    for task, what, start, last in events:
        if what == "begin":
            opened[task].append(next_id)
            lines.append(f"b {next_id}")
            next_id += 1
        elif what == "add" and opened[task]:
            lines.append(f"a {opened[task][-1]} {in_bytes(start, last)}")
        elif what == "end" and opened[task]:
            latest.pop(opened[task][-1])
            lines.append(f"e {opened[task].pop()}")
        elif what == "change":
            unflushed[task].append(f"c {in_bytes(start, last)}")
        elif what == "flush":
            # Sections of several tasks may be interleaved, each under its own lock.
            changes = unflushed.pop(task, [])
            lines += changes + ["f"] * bool(changes)
        if opened[task]:
            latest[opened[task][-1]] = len(lines)
    for invalidation, at in sorted(latest.items(), key=lambda item: -item[1]):
        lines.insert(at, f"e {invalidation}")
    return lines


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: streams.py TRACE STREAM [SHIFT]")
    events = read(sys.argv[1])
    if not events:
        sys.exit(f"{sys.argv[1]}: nothing of smmu_inval in it")
    # Pages that cannot be told from others: the whole address space, at exit.
    lines = convert(max(events.values(), key=len),
                    int(sys.argv[3]) if len(sys.argv) == 4 else 0)
    if not any(line.startswith("a ") for line in lines):
        sys.exit(f"{sys.argv[1]}: no invalidation in it")
    with open(sys.argv[2], "w", encoding="ascii") as stream:
        stream.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
