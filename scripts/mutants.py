#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Mutants of the library: one small fault each, made from its source by rule.

mutants.py list [K [PART]]: one line a mutant, FILE:LINE:OPERATOR:N, a tab, and its
function, what the line was and has become; of about every K-th of them, all operators
and files among them, or of another PART of the K that there are. Which ones depends on
what they are and not on where, so that a change of the library changes the sample no
more than it has to.
mutants.py write MUTANT TO: the mutated file. A line keeps its number.

It reads C as the kernel writes it, without the preprocessor: comments, strings
and preprocessor lines are blanked, then function bodies are split into
conditions and statements. What is left out, because no result depends on it:
statistics (stats.c, what counts, what only feeds it), tracepoints, assertions,
annotations for sparse, and pauses; because nothing else is there: trace.c and
inject.c; compat.h, which is a different one on each architecture. No operator
weakens memory ordering, which one host does not show: that is for the litmus tests.
"""

import hashlib
import os
import re
import sys

SRC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LIBRARY = "lib/smmu_inval"
LEFT_OUT = {"stats.c", "trace.c", "inject.c", "compat.h"}
HEADER = "include/linux/smmu_inval.h"

NOT_TESTED = re.compile(
    r"(trace_\w+|smmu_inval_count(_begun)?|batch_count|BUILD_BUG_ON|WARN\w*|"
    r"smmu_inval_assert_held\w*|cond_resched|__acquire|__release)\s*\(|si->begun\["
)
# Functions that only count
STATISTICS = {"batch_count", "smmu_inval_count_begun", "token_pages"}
CONTROL = re.compile(r"(?:if|while|switch|for|\w*for_each\w*)\b")
DECLARATION = re.compile(
    r"(?:(?:const|static|unsigned|struct|enum|union|long|int|bool|char|void|typedef|"
    r"[us](?:8|16|32|64)|size_t|p[gu4m]d_t|pte_t|CLASS|BUILD_BUG_ON)\b)"
)
COMPARE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
VALUES = {"true": "false", "false": "true", "U64_MAX": "0", "ULONG_MAX": "0"}


def blank(text):
    """The same length, without what is not code."""

    def spaces(match):
        return re.sub(r"[^\n]", " ", match.group())

    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', spaces, text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", spaces, text, flags=re.M)


def matching(code, at):
    """The index of the bracket that closes the one at @at."""
    depth = 0
    for i in range(at, len(code)):
        if code[i] in "([{":
            depth += 1
        elif code[i] in ")]}":
            depth -= 1
            if not depth:
                return i
    raise ValueError("unbalanced")


def bodies(code):
    """(name, start, end) of each function's body, and of each initializer none."""
    for match in re.finditer(r"^\{", code, flags=re.M):
        before = code[: match.start()].rstrip()
        names = re.findall(r"(\w+)\([^;{}]*$", before[before.rfind("}") + 1 :])
        if before.endswith(")") and names:
            name = re.search(r"(\w+)\(", before[before.rfind("\n\n") + 1 :])
            yield name.group(1), match.start() + 1, matching(code, match.start())


def parse(code, at, end):
    """The conditions and the statements of a body, in order: (kind, start, end)."""
    while at < end:
        if code[at] in " \t\n{};":
            if code[at] in "{}":
                yield "brace", at, at + 1
            at += 1
            continue
        label = re.compile(r"(?:case\b[^:?]*|default|\w+)\s*:(?!:)").match(code, at)
        word = re.compile(r"(?:else|do)\b").match(code, at)
        control = CONTROL.match(code, at)
        if label or word:
            at = (label or word).end()
            yield "brace", at, at
        elif control:
            first = code.index("(", at)
            last = matching(code, first)
            yield control.group(), first + 1, last
            at = last + 1
        else:
            last = at
            while code[last] != ";":
                last = matching(code, last) + 1 if code[last] in "([{" else last + 1
            yield "statement", at, last + 1
            at = last + 1


def operands(code, start, end):
    """(operator, left, right) of each && and ||, the operands as (start, end)."""
    for match in re.finditer(r"&&|\|\|", code[start:end]):
        at = start + match.start()
        depth, left = 0, at
        while left > start:
            char = code[left - 1]
            if char in ")]}":
                depth += 1
            elif char in "([{":
                if not depth:
                    break
                depth -= 1
            elif not depth and (char in "?:,;" or code[left - 2 : left] in ("&&", "||")):
                break
            elif not depth and char == "=" and code[left - 2] not in "!<>=" \
                    and code[left] != "=":
                break
            left -= 1
        returned = re.compile(r"\s*return\b").match(code, left)
        if returned:
            left = returned.end()
        depth, right = 0, at + 2
        while right < end:
            char = code[right]
            if char in "([{":
                depth += 1
            elif char in ")]}":
                if not depth:
                    break
                depth -= 1
            elif not depth and (char in "?:,;" or code[right : right + 2] in ("&&", "||")):
                break
            right += 1
        yield match.group(), (left, at), (at + 2, right)


def expression(code, start, end):
    """(operator, start, end, replacement) for what an expression holds."""
    text = code[start:end]
    for match in re.finditer(r"(?<![-<>=!])(<=|>=|==|!=|<|>)(?![<>=])", text):
        at = start + match.start()
        # Kernel style has spaces around what compares; else it is "->" or "<<".
        if code[at - 1] in " \t" and code[at + len(match.group())] in " \t\n":
            yield "compare", at, at + len(match.group()), COMPARE[match.group()]
    for _, left, right in operands(code, start, end):
        yield "drop-operand", left[0], right[0], ""
        yield "drop-operand", left[1], right[1], ""
    for match in re.finditer(r"!(?=[\w(])", text):
        yield "drop-not", start + match.start(), start + match.end(), ""
    for match in re.finditer(r" ([-+]) 1\b(?!U?L?\s*<<)", text):
        at, last = start + match.start(), start + match.end()
        yield "off-by-one", at, last, ""
    for match in re.finditer(r"\b(min|max)(_t)?\(", text):
        at = start + match.start()
        last = matching(code, start + match.end() - 1)
        other = {"min": "max", "max": "min"}[match.group(1)]
        yield "min-max", at, at + 3, other
        commas, depth = [], 0
        for i in range(start + match.end(), last):
            depth += (code[i] in "([{") - (code[i] in ")]}")
            if code[i] == "," and not depth:
                commas.append(i)
        first = start + match.end()
        if match.group(2):
            first = commas.pop(0) + 1
        yield "drop-min-max", at, last + 1, code[first : commas[0]]
        yield "drop-min-max", at, last + 1, code[commas[0] + 1 : last]
    for match in re.finditer(r"\b(?:true|false|U64_MAX|ULONG_MAX)\b", text):
        yield "value", start + match.start(), start + match.end(), VALUES[match.group()]
    for match in re.finditer(r"\S ([&|]) \S|\S (<<|>>) \S", text):
        at = start + match.start() + 2
        sign = match.group(1) or match.group(2)
        yield "bits", at, at + len(sign), {"&": "|", "|": "&", "<<": ">>", ">>": "<<"}[sign]
    for match in re.finditer(r"~(?=[\w(])", text):
        yield "bits", start + match.start(), start + match.end(), ""


def is_call(text):
    if re.match(r"WRITE_ONCE|smp_store_release|atomic\w*_(inc|dec|set)", text):
        return None
    return re.match(r"[\w>.-]+\s*\(", text) and not re.match(r"(return|goto)\b", text)


def statement(code, start, end):
    text = code[start:end]
    if DECLARATION.match(text) and not re.match(r"\w+\s*\(", text):
        yield from expression(code, start, end)
        return
    if re.match(r"return\b", text):
        value = text[6:-1].strip()
        if value in ("0", "ret"):
            yield "return", start, end, "return -EAGAIN;"
        elif re.match(r"-E\w+$", value):
            yield "return", start, end, "return 0;"
        elif value == "NULL" or not value:
            pass
        elif re.match(r"(true|false)$", value):
            yield "return", start, end, "return %s;" % VALUES[value]
        else:
            yield "return", start, end, "return 0;"
        if value in ("true", "false"):
            return
    elif text in ("break;", "continue;"):
        yield "break-continue", start, end, {"b": "continue;", "c": "break;"}[text[0]]
    elif re.match(r"goto\b", text):
        yield "delete-goto", start, end, ";"
    elif re.match(r"(\*|\w|\(|-|\+).*", text, flags=re.S) and not DECLARATION.match(text):
        kind = "delete-call" if is_call(text) else "delete-assignment"
        if re.search(r"\+\+|--", text):
            kind = "delete-count"
        yield kind, start, end, ";"
    match = re.search(r" ([|&+-])= ", text)
    if match:
        yield "assign", start + match.start() + 1, start + match.start() + 2, \
            {"|": "", "&": "", "+": "", "-": ""}[match.group(1)]
    yield from expression(code, start, end)


def condition(code, kind, start, end):
    if kind == "for":
        first = code.index(";", start) + 1
        last = code.index(";", first)
        yield from expression(code, start, end)
        if code[first:last].strip():
            yield "condition", first, last, " false"
        return
    if kind not in ("if", "while"):
        yield from expression(code, start, end)
        return
    yield "negate", start, end, "!(" + code[start:end] + ")"
    yield "condition", start, end, "false"
    if kind == "if":
        yield "condition", start, end, "true"
    yield from expression(code, start, end)


def only_counts(code, parts):
    """Is what a control has the choice of not tested, in both of its branches?"""
    if not parts or parts[0][0] != "statement":
        return False
    if not NOT_TESTED.match(code[parts[0][1] : parts[0][2]]):
        return False
    otherwise = re.compile(r"\s*else\b\s*").match(code, parts[0][2])
    return not otherwise or bool(NOT_TESTED.match(code, otherwise.end()))


def faults(code, source):
    """All faults of a file, as (operator, start, end, replacement)."""
    for name, first, last in bodies(code):
        if name in STATISTICS:
            continue
        before = None
        parts = list(parse(code, first, last))
        for i, (kind, start, end) in enumerate(parts):
            text = code[start:end]
            if kind == "brace":
                before = None
                continue
            if kind != "statement":
                before = None
                if not NOT_TESTED.search(text) and not only_counts(code, parts[i + 1 :]):
                    yield from condition(code, kind, start, end)
                continue
            if NOT_TESTED.match(text):
                continue
            yield from statement(code, start, end)
            if DECLARATION.match(text) or re.match(r"return|goto|break|continue", text):
                before = None
                continue
            if before and (is_call(text) or is_call(code[before[0] : before[1]])):
                between = code[before[1] : start]
                # With what is not tested between them, only the rest moves.
                if not between.strip():
                    # Not of the code, in which strings are blank.
                    yield "swap", before[0], end, \
                        source[start:end] + between + source[before[0] : before[1]]
            before = (start, end)
        # A control's single statement is not followed by the next in its block,
        # but swapped with it, it moves out: a fault like any other.


def squeezed(text):
    return "".join(text.split())


def sources():
    names = sorted(os.listdir(os.path.join(SRC, LIBRARY)))
    for name in names:
        if re.search(r"\.[ch]$", name) and name not in LEFT_OUT:
            yield LIBRARY + "/" + name
    yield HEADER


def mutants():
    for path in sources():
        with open(os.path.join(SRC, path), encoding="utf-8") as file:
            text = file.read()
        number, known = {}, {text, squeezed(text)}
        code = blank(text)
        functions = list(bodies(code))
        for operator, start, end, new in faults(code, text):
            # Comments inside of what is replaced go with it; lines stay.
            old = text[start:end]
            new += "\n" * (old.count("\n") - new.count("\n"))
            mutant = text[:start] + new + text[end:]
            if mutant in known:
                continue
            known.add(mutant)
            line = text.count("\n", 0, start) + 1
            key = (line, operator)
            number[key] = number.get(key, 0) + 1
            # An operand is the right one of one operator and the left of the next.
            if squeezed(mutant) in known:
                continue
            known.add(squeezed(mutant))
            name = "%s:%d:%s:%d" % (os.path.basename(path), line, operator, number[key])
            function = [f for f, first, last in functions if first <= start < last][0]
            yield name, path, function, text, start, end, new


def shown(function, text, start, end, new):
    """The function, what its lines were, and what they have become."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    old = text[first:last].split()
    new = (text[first:start] + new + text[end:last]).split()
    return "%s: %s => %s" % (function, " ".join(old), " ".join(new))


def sample(lines, every, part):
    """Those whose hash says so; in the first part the first of each operator and file, too."""

    def number(name):
        words = name.split(":")
        key = "\t".join((words[0], words[2], lines[name]))
        return int(hashlib.md5(key.encode()).hexdigest(), 16)

    # In the order of their hashes: mixed, so that a part of them is a sample as well.
    names = sorted(lines, key=number)
    chosen = [name for name in names if number(name) % every == part]
    have = {i: {name.split(":")[i] for name in chosen} for i in (0, 2)}
    for name in names if part == 0 else ():
        words = name.split(":")
        if not all(words[i] in have[i] for i in have):
            chosen.append(name)
        for i in have:
            have[i].add(words[i])
    return chosen


def main():
    if len(sys.argv) in (2, 3, 4) and sys.argv[1] == "list":
        lines = {m[0]: shown(*m[2:]) for m in mutants()}
        every, part = [int(n) for n in sys.argv[2:]] + [1, 0][len(sys.argv) - 2:]
        for name in sample(lines, every, part):
            print(name + "\t" + lines[name])
        return
    if len(sys.argv) == 4 and sys.argv[1] == "write":
        for name, path, _, text, start, end, new in mutants():
            if name == sys.argv[2]:
                to = os.path.join(sys.argv[3], path)
                with open(to, "w", encoding="utf-8") as file:
                    file.write(text[:start] + new + text[end:])
                print(path)
                return
        sys.exit("mutants.py: no mutant " + sys.argv[2])
    sys.exit("usage: mutants.py list [K [PART]] | write MUTANT TO")


main()
