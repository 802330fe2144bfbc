#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# bench-report.py DIRECTORY JSON STREAM...: what the benchmarks printed (MACHINE.txt and
# sizes in DIRECTORY) as tables on standard output, as KTAP of what has to hold, among it
# that each STREAM was replayed, and as JSON.
# A figure is the median of the rounds, in which all schemes took turns; the spread
# goes from the lower to the upper quartile.
import collections
import json
import pathlib
import statistics
import sys

OPS = (
    ("begin_end", "begin + end, each in its section of the lock"),
    ("begin_end_held", "begin + end alone, the lock is held"),
    ("read_begin", "read_begin"),
    ("retry_held", "check alone, the lock is held"),
    ("fault", "fault: read_begin, lock shared, check"),
)
DEFAULT_HISTORY = "64"
results = []


def fields(line):
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def check(what, passed, note=""):
    results.append(passed)
    print(f"{'ok' if passed else 'not ok'} {len(results)} {what}{note and ' # ' + note}")


def read(path):
    """What a machine printed: costs and counts."""
    machine = {"cost": collections.defaultdict(list), "history": collections.defaultdict(list),
               "devices": collections.defaultdict(list), "precision": {}, "batches": {},
               "sizes": {}}
    stream = "none"
    refused = collections.Counter()
    for line in path.read_text(errors="replace").splitlines():
        what, _, rest = line.strip().partition(" ")
        row = fields(rest)
        if what == "cost":
            key = row["scheme"], row["op"], int(row["pending"])
            machine["cost"][key].append(int(row["ns"]) / int(row["loops"]))
            if not row["op"].endswith("contended"):
                refused[key] += int(row["loops"]) - int(row["passed"])
        elif what == "history":
            machine["history"][int(row["since"])].append(int(row["ns"]) / int(row["loops"]))
        elif what == "devices":
            key = row["scheme"], int(row["nr"])
            machine["devices"][key].append(int(row["ns"]) / int(row["loops"]) / 1000)
            machine["flush_us"] = int(row["flush_us"])
        elif what == "stream":
            stream = rest
        elif what == "precision":
            machine["precision"].setdefault(stream, []).append(
                {key: int(value) for key, value in row.items()})
        elif what == "batch":
            name = stream if row["stream"] == "recorded" else f"{row['stream']}-{row['nr']}"
            machine["batches"].setdefault(name, {})[int(row["spans"])] = {
                key: int(value) for key, value in row.items() if key != "stream"}
        elif what == "size":
            machine["sizes"][row["struct"]] = int(row["bytes"])
        elif what == "bench":
            machine["cpus"] = int(row["cpus"])
            machine["kernel"] = row["kernel"]
    machine["refused"] = refused
    return machine


def summary(samples):
    low, median, high = (statistics.quantiles(samples, n=4) if len(samples) > 1
                         else samples * 3)
    return {"median": round(median, 2), "low": round(low, 2), "high": round(high, 2)}


def cell(cost, unit):
    if not cost:
        return "-"
    text = f"{cost['median']:.0f}" if unit == "instructions" else f"{cost['median']:.1f}"
    spread = (cost["high"] - cost["low"]) / cost["median"] if cost["median"] else 0
    return text + (f" ±{50 * spread:.0f}%" if spread >= 0.02 else "")


def cost_table(name, machine):
    unit = "instructions" if name.startswith("x86") else "ns"
    cost = {key: summary(samples) for key, samples in machine["cost"].items()}
    sizes = sorted({key[2] for key in cost})
    print(f"\n# {name}: {machine['cpus']} CPU(s), Linux {machine['kernel']}, {unit} per operation")
    lock = cost[("library", "lock", 0)]["median"]
    print(f"# two empty sections of the lock: {lock:.1f}; with a batch that stays empty: "
          f"{cost[('library', 'empty_batch', 0)]['median']:.1f}")
    for op, title in OPS:
        print(f"# {title}")
        print(f"#   {'pending':>8}{'library':>16}{'KVM':>14}{'ratio':>8}{'per range':>16}{'ratio':>8}"
              f"{'notifier':>16}{'binding':>16}{'ratio':>8}")
        for size in sizes:
            rows = [cost.get((scheme, op, size))
                    for scheme in ("library", "kvm", "notifier", "interval", "notifiers")]
            ratios = [rows[i]["median"] / rows[j]["median"] if rows[i] and rows[j] else None
                      for i, j in ((0, 1), (3, 2), (0, 4))]
            shown = [f"{r:.2f}" if r else "-" for r in ratios]
            # A check that was refused for a page that nothing covers costs something else.
            if machine["refused"][("interval", op, size)]:
                shown[1] = "hull"
            print(f"#   {size:>8}{cell(rows[0], unit):>16}{cell(rows[1], unit):>14}{shown[0]:>8}"
                  f"{cell(rows[4], unit):>16}{shown[2]:>8}"
                  f"{cell(rows[2], unit):>16}{cell(rows[3], unit):>16}{shown[1]:>8}")
    if ("library", "fault_contended", 0) in cost:
        print("# with an invalidation on the other CPU all the time")
        for op in ("fault_contended", "begin_end_contended"):
            print(f"#   {op[:-10]:<12} library {cell(cost[('library', op, 0)], unit)}, "
                  f"KVM {cell(cost[('kvm', op, 0)], unit)}")
    return {f"{scheme}/{op}/{size}": value for (scheme, op, size), value in cost.items()}


def precision_table(precision):
    print("\n# Faults sent back for nothing, and held up for nothing, of a million")
    print(f"#   {'stream':<12}{'history':>8}{'window':>7}{'due':>9}{'library':>9}{'KVM':>9}"
          f"{'notifier':>9}{'  waits:':<8}{'library':>9}{'notifier':>9}")
    for stream, rows in precision.items():
        for row in rows:
            if str(row["history"]) != DEFAULT_HISTORY and row["window"] == 8:
                continue
            per_check = 1e6 / row["checks"]
            per_begun = 1e6 / row["begun"]
            print(f"#   {stream:<12}{row['history']:>8}{row['window']:>7}"
                  f"{row['due'] * per_check:>9.0f}{row['false_lib'] * per_check:>9.0f}"
                  f"{row['false_kvm'] * per_check:>9.0f}{row['false_notifier'] * per_check:>9.0f}"
                  f"{'':<8}{row['waits_false_lib'] * per_begun:>9.0f}"
                  f"{row['waits_false_notifier'] * per_begun:>9.0f}")


def batch_table(batches):
    print("\n# Pages flushed for each page changed / commands for each section of the lock")
    spans = sorted({n for rows in batches.values() for n in rows})
    print(f"#   {'stream':<12}" + "".join(f"{str(n) + ' spans':>14}" for n in spans) +
          f"{'each change':>14}")
    for stream, rows in batches.items():
        cells = "".join(
            f"{row['flushed'] / row['changed']:>8.2f}/{row['commands'] / row['sections']:<5.1f}"
            if (row := rows.get(n)) and row["changed"] else f"{'-':>14}" for n in spans)
        one = rows[spans[0]]
        print(f"#   {stream:<12}{cells}{'1.00/':>9}{one['changes'] / max(one['sections'], 1):<5.1f}")


def history_table(history, unit):
    print(f"\n# {unit.capitalize()} of a check, by what completed since the fault began")
    print("#   " + "".join(f"{since:>10}" for since in sorted(history)))
    print("#   " + "".join(f"{statistics.median(history[since]):>10.0f}"
                           for since in sorted(history)))


def device_table(devices, flush_us):
    print(f"\n# Microseconds of an invalidation that hits so many devices of {flush_us} us a flush")
    counts = sorted({nr for _, nr in devices})
    for scheme in ("notifier", "one_phase", "two_phase"):
        print(f"#   {scheme:<12}" + "".join(
            f"{statistics.median(devices[(scheme, nr)]):>10.0f}" for nr in counts))
    print(f"#   {'devices':<12}" + "".join(f"{nr:>10}" for nr in counts))


def size_table(directory, sizes):
    print("\n# Bytes")
    for name, size in sizes.items():
        print(f"#   struct {name:<24}{size:>6}")
    objects = {}
    if (directory / "sizes").exists():
        for line in (directory / "sizes").read_text().splitlines():
            row = fields(line)
            objects[row["name"]] = {"text": int(row["text"]), "data": int(row["data"])}
            print(f"#   objects, {row['name']:<22}{row['text']:>6} of text, {row['data']} of data")
    return objects


def variant_tables(variants, machines):
    slots = {int(name[5:]): machine for name, machine in variants.items()
             if name.startswith("slots")}
    if slots and "x86-instructions" in machines:
        slots[4] = machines["x86-instructions"]
        print("\n# Instructions, by the slots that are looked at before the tree")
        sizes = (0, 1, 2, 4, 8, 16, 64)
        for op in ("begin_end", "fault"):
            print(f"#   {op:<12}" + "".join(f"{str(n) + ' pending':>12}" for n in sizes))
            for number, machine in sorted(slots.items()):
                print(f"#   {str(number) + ' slots':<12}" + "".join(
                    f"{statistics.median(machine['cost'][('library', op, n)]):>12.0f}"
                    for n in sizes))
    for name, machine in variants.items():
        if name.startswith("spans"):
            batch_table(machine["batches"])


def goals(name, machine):
    """What we wanted of times; none of them fails a run, since they are times."""
    cost = {key: statistics.median(samples) for key, samples in machine["cost"].items()}
    sizes = sorted({key[2] for key in cost})

    def ratio(scheme, peer, op, size):
        return cost[(scheme, op, size)] / cost[(peer, op, size)]

    print(f"\n# {name}: goals")
    growth = cost[("library", "begin_end", 4096)] / cost[("library", "begin_end", 1)]
    print(f"#   begin_end, with 4096 pending at most 6 times that with 1: "
          f"{'met' if growth <= 6 else 'NOT MET'}: {growth:.2f}")
    for op in ("begin_end", "retry_held", "fault", "read_begin"):
        few = [ratio("library", "kvm", op, size) for size in (0, 1, 2)]
        print(f"#   {op}, 0, 1 and 2 pending, at most 1.15 times KVM's: "
              f"{'met' if max(few) <= 1.15 else 'NOT MET'}: " + ", ".join(f"{r:.2f}" for r in few))
    for op in ("begin_end", "fault"):
        for scheme, peer in (("library", "notifiers"), ("library", "notifier"),
                             ("interval", "notifier")):
            slower = [str(size) for size in sizes if ratio(scheme, peer, op, size) >= 1]
            print(f"#   {op}, {'binding' if scheme == 'interval' else 'by hand'}, faster than a "
                  f"mmu_interval_notifier {'for each range' if peer == 'notifiers' else 'for all'} "
                  f"at each size: "
                  + (f"NOT MET: slower with {' '.join(slower)} pending" if slower else "met"))


def verdicts(machines, streams):
    for name, machine in machines.items():
        goals(name, machine)
    print()
    # What did not run would only make the list shorter.
    for stream in streams:
        check(f"{stream}: replayed, for precision and for batches",
              any(stream in m["precision"] and stream in m["batches"] for m in machines.values()))
    check("several devices were measured", any(m["devices"] for m in machines.values()))
    for name, machine in machines.items():
        refused = {key: n for key, n in machine["refused"].items() if n and key[0] == "library"}
        check(f"{name}: the library lets every fault pass that nothing covers", not refused,
              str(refused) if refused else "")
        cost = machine["cost"]
        # The best rounds: what others do on this machine only adds. But it adds more to what
        # uses more of the caches, so that times are judged beside those of a tree like it.
        at = {(scheme, size): min(cost[(scheme, "begin_end", size)])
              for scheme in ("library", "notifiers") for size in (1, 4096)}
        growth = at[("library", 4096)] / at[("library", 1)]
        if name.startswith("x86"):
            check(f"{name}: begin + end with 4096 pending within 6 times that with 1",
                  growth <= 6, f"{growth:.2f}")
        else:
            peer = at[("library", 4096)] / at[("notifiers", 4096)]
            check(f"{name}: begin + end with 4096 pending no slower than with a notifier for each",
                  peer <= 1, f"{peer:.2f}")
        lock, batch = (statistics.median(cost[("library", op, 0)]) for op in ("lock", "empty_batch"))
        if name.startswith("x86"):
            check(f"{name}: an empty batch takes at most 20 instructions a section",
                  batch - lock <= 40, f"{(batch - lock) / 2:.0f}")
        for stream, rows in machine["precision"].items():
            check(f"{name}: {stream}: no scheme misses an invalidation",
                  not any(row["missed_lib"] or row["missed_kvm"] or row["missed_notifier"]
                          for row in rows))
            usual = [row for row in rows
                     if str(row["history"]) == DEFAULT_HISTORY and row["window"] == 8]
            check(f"{name}: {stream}: nothing was sent back or held up for nothing",
                  usual and not any(row["false_lib"] or row["waits_false_lib"] for row in usual))
        for stream, rows in machine["batches"].items():
            if stream.startswith(("random", "runs")):
                continue
            row = rows[max(rows)]
            ratio = row["flushed"] / row["changed"] if row["changed"] else float("inf")
            # A flush of everything has no pages: it is too much, not too little.
            check(f"{name}: {stream}: at most 1.05 pages flushed for each changed",
                  1 <= ratio <= 1.05 and not row["all"], f"{ratio:.3f}")
        if machine["devices"]:
            one, two = (statistics.median(machine["devices"][(scheme, 16)])
                        for scheme in ("one_phase", "two_phase"))
            check(f"{name}: 16 devices flush at the same time", two < one / 4,
                  f"{one / two:.1f} times faster")


def main():
    if len(sys.argv) < 4:
        sys.exit("usage: bench-report.py DIRECTORY JSON STREAM...")
    directory = pathlib.Path(sys.argv[1])
    machines = {path.stem: read(path) for path in sorted(directory.glob("*.txt"))
                if path.stem.startswith(("uml", "x86"))}
    if not machines or not all(m["cost"] for m in machines.values()):
        sys.exit(f"{directory}: a machine printed nothing")
    print("KTAP version 1")
    out = {}
    for name, machine in machines.items():
        out[name] = {"cpus": machine["cpus"], "kernel": machine["kernel"],
                     "cost": cost_table(name, machine),
                     "history": {n: summary(s) for n, s in machine["history"].items()},
                     "devices": {f"{s}/{n}": summary(v)
                                 for (s, n), v in machine["devices"].items()},
                     "sizes": machine["sizes"], "precision": machine["precision"], "batches": machine["batches"]}
        if machine["precision"]:
            precision_table(machine["precision"])
        if machine["batches"]:
            batch_table(machine["batches"])
        if machine["devices"]:
            device_table(machine["devices"], machine["flush_us"])
        if machine["history"]:
            history_table(machine["history"],
                          "instructions" if name.startswith("x86") else "ns")
    variants = {path.stem[len("variant-"):]: read(path)
                for path in sorted(directory.glob("variant-*.txt"))}
    variant_tables(variants, machines)
    out["variants"] = {
        name: {"batches": machine["batches"],
               "cost": {"/".join(map(str, key)): summary(samples)
                        for key, samples in machine["cost"].items() if key[0] == "library"}}
        for name, machine in variants.items()}
    out["objects"] = size_table(directory, next(iter(machines.values()))["sizes"])
    verdicts(machines, sys.argv[3:])
    print(f"1..{len(results)}")
    pathlib.Path(sys.argv[2]).write_text(json.dumps(out, indent=1, sort_keys=True) + "\n")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
