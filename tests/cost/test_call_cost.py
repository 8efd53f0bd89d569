#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: a call of 64 bytes never costs more instructions than it did.

Method: call_cost runs two nodes of the simulator on one thread; valgrind's callgrind counts the instructions of two
runs that differ in nothing but the number of calls, and the difference is what one call costs, both sides together.
Only the library counts: engine and topology without the simulator, and the memory functions of libc that they call.

limit.txt beside this file holds the most that is allowed, for a release by gcc.  It only goes down: the test fails
above it, and also well below it, so that what was won stays won.  `test_call_cost.py PROGRAM --table` prints where the
instructions are.  Exit code 77: this build cannot be compared."""

import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
FEW, MANY = 2560, 12800
# How far below its limit a count may be before the limit has to follow, in instructions.
SLACK = 25
SKIP = 77
OURS = re.compile(r"(?:^|/)((?:engine/(?:base|io|reactor|net|rpc)|topology/cluster)/[a-z_]+\.[ch])$")
MEMORY = re.compile(r"^(?:__)?mem(?:cpy|move|set|cmp)")


def count(program, calls):
    """Instructions by source file of the library, and of libc's memory functions called from there."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=no",
                        "--compress-pos=no", program, "sim", str(calls)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, timeout=300)
        with open(out, encoding="utf-8") as file:
            return parse(file)


def parse(lines):
    """Each line of costs counts for the source file it is from, also where a function was inlined into another."""
    costs = collections.Counter()
    source = called = ""
    edge = False
    for line in lines:
        if line.startswith("fl="):
            source = within = line[3:].rstrip("\n")
        elif line.startswith(("fi=", "fe=")):
            within = line[3:].rstrip("\n")
        elif line.startswith("fn="):
            within = source
        elif line.startswith("cfn="):
            called = line[4:].rstrip("\n")
        elif line.startswith("calls="):
            edge = True
        elif line[:1].isdigit():
            ours = OURS.search(within)
            cost = int(line.split()[1])
            if ours and not edge:
                costs[ours.group(1)] += cost
            elif ours and MEMORY.match(called):
                costs["libc: memory"] += cost
            edge = False
    return costs


def per_call(program):
    few, many = count(program, FEW), count(program, MANY)
    return {name: (many[name] - few[name]) / (MANY - FEW) for name in many}


def main():
    program = sys.argv[1]
    if shutil.which("valgrind") is None:
        print("valgrind is not installed (script/setup installs it)")
        return SKIP
    costs = per_call(program)
    total = sum(costs.values())
    if "--table" in sys.argv:
        for name, cost in sorted(costs.items(), key=lambda item: -item[1]):
            if cost >= 0.5:
                print(f"{cost:8.1f}  {name}")
        print(f"{total:8.1f}  together")
        return 0
    with open(os.path.join(HERE, "limit.txt"), encoding="utf-8") as file:
        limit = int(file.read().split()[0])
    print(f"{total:.0f} instructions for a call, both sides; the limit is {limit}")
    if total > limit:
        print("that is too many: test_call_cost.py PROGRAM --table shows where they are")
        return 1
    if total < limit - SLACK:
        print(f"that is well below: write {int(total) + 1} into tests/cost/limit.txt")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
