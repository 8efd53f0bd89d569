#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare two benchmarks on a machine that is never twice the same: run them in pairs, A B, B A, A B, and compare
within the pairs.

Both commands must print one JSON object with the fields of `weft bench rpc --json`.  Printed and kept are the medians
of each, and the median of the pairs' ratios B/A with its 95 % confidence interval (by order statistics, so that no
distribution is assumed).  The result file also says what ran where: commands, commit, date, machine, the load before,
and the share of time that the hypervisor took away.

Where the server shares its CPU with others, rates say how much of it they left: "server got" is that share, and
"per server CPU" is the rate for each second of it.

    bench/interleave.py --pairs 7 --name limit-64b \\
        "build/release/weft-limit --json" "build/release/weft bench rpc --local --json"

Exit codes: 0 compared, 1 a run failed, 2 usage.
"""

import argparse
import datetime
import json
import math
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RUN_TIMEOUT_S = 600
# name, path in the result, unit, divisor
FIELDS = (
    ("rate", ("rate_per_s",), "calls/s", 1),
    ("payload", ("bytes_per_s",), "MB/s", 1e6),
    ("p50", ("latency_ns", "p50"), "us", 1e3),
    ("p99", ("latency_ns", "p99"), "us", 1e3),
    ("client CPU", ("cpu_ns_per_call", "client"), "ns/call", 1),
    ("server CPU", ("cpu_ns_per_call", "server"), "ns/call", 1),
    ("client enters", ("enters_per_call", "client"), "/call", 1),
    ("server enters", ("enters_per_call", "server"), "/call", 1),
)
# name, from rate and nanoseconds of the server's CPU for a call, unit
SERVER_FIELDS = (
    ("server got", lambda rate, cpu_ns: rate * cpu_ns / 1e9, "of a CPU"),
    ("per server CPU", lambda rate, cpu_ns: 1e9 / cpu_ns, "calls/s"),
)


def first_line(path, otherwise="unknown"):
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return otherwise


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.machine()


def machine():
    return {
        "cpu": cpu_model(),
        "cpus_allowed": sorted(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "governor": first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not shown"),
        "smt": first_line("/sys/devices/system/cpu/smt/active", "not shown"),
        "congestion": first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        "loadavg_before": first_line("/proc/loadavg"),
    }


def commit():
    """Of this source tree, with + where it was changed since."""
    def git(*arguments):
        return subprocess.run(["git", "-C", HERE, *arguments], capture_output=True, text=True, check=False)

    head = git("rev-parse", "HEAD")
    if head.returncode != 0:
        return "none"
    return head.stdout.strip() + ("+" if git("status", "--porcelain").stdout else "")


def cpu_times():
    """(stolen, all) in ticks since the start."""
    fields = [int(word) for word in first_line("/proc/stat", "cpu 0").split()[1:9]]
    return (fields[7] if len(fields) > 7 else 0), sum(fields)


def run(command):
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {command}\n{done.stderr.strip()}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"no JSON object on stdout (is --json missing?): {command}") from None


def value_at(result, path):
    for key in path:
        result = result.get(key) if isinstance(result, dict) else None
    return result


def median_interval(values):
    """About 95 % confidence for the median: the order statistics that leave at most 2.5 % on each side.  With fewer
    than six values there are none, and the extremes are given."""
    ordered, count = sorted(values), len(values)
    outside, below = 0, 0.0
    while outside < count // 2:
        below += math.comb(count, outside) / 2**count
        if below > 0.025:
            break
        outside += 1
    outside = max(0, outside - 1)
    return ordered[outside], ordered[count - 1 - outside]


def server_value(result, derive):
    rate, cpu_ns = result.get("rate_per_s"), value_at(result, ("cpu_ns_per_call", "server"))
    return derive(rate, cpu_ns) if rate and cpu_ns else None


def values(pairs):
    """(name, unit, [(value of A, value of B) of each pair])"""
    for name, path, unit, divisor in FIELDS:
        both = [(value_at(a, path), value_at(b, path)) for a, b in pairs]
        yield name, unit, [(a / divisor, b / divisor) for a, b in both if a is not None and b is not None]
    for name, derive, unit in SERVER_FIELDS:
        both = [(server_value(a, derive), server_value(b, derive)) for a, b in pairs]
        yield name, unit, [(a, b) for a, b in both if a is not None and b is not None]


def compare(pairs):
    rows = []
    for name, unit, both in values(pairs):
        ratios = [b / a for a, b in both if a]
        if not ratios:
            continue
        low, high = median_interval(ratios)
        rows.append({"field": name, "unit": unit, "a_median": statistics.median(a for a, _ in both),
                     "b_median": statistics.median(b for _, b in both), "ratio_median": statistics.median(ratios),
                     "ratio_low": low, "ratio_high": high})
    return rows


def print_rows(rows, count):
    print(f"{'median of ' + str(count) + ' pairs':<18} {'A':>12} {'B':>12} {'':<8} {'B/A':>7}   95 % of B/A")
    for row in rows:
        print(f"{row['field']:<18} {row['a_median']:>12.4g} {row['b_median']:>12.4g} {row['unit']:<8} "
              f"{row['ratio_median']:>7.3f}   {row['ratio_low']:.3f} to {row['ratio_high']:.3f}")


def write(folder, name, report):
    os.makedirs(folder, exist_ok=True)
    stamp = report["date"].replace("-", "").replace(":", "").replace("+0000", "Z")[:16]
    path = os.path.join(folder, f"{stamp}-{name}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="A", help="a command, as one word for this shell")
    parser.add_argument("b", metavar="B")
    parser.add_argument("--pairs", type=int, default=7, help="how many pairs (default 7; six or more for an interval)")
    parser.add_argument("--name", default="compare", help="part of the result file's name")
    parser.add_argument("--results", default=os.path.join(HERE, "results"), help="folder of the result file")
    parser.add_argument("--no-file", action="store_true", help="only print")
    arguments = parser.parse_args()
    if arguments.pairs < 1 or not re.fullmatch(r"[A-Za-z0-9._-]+", arguments.name):
        parser.error("--pairs is at least 1, and --name is letters, digits and . _ -")
    where = machine()
    stolen_before, all_before = cpu_times()
    pairs = []
    try:
        for number in range(arguments.pairs):
            order = (arguments.a, arguments.b) if number % 2 == 0 else (arguments.b, arguments.a)
            results = [run(command) for command in order]
            pairs.append(tuple(results if number % 2 == 0 else reversed(results)))
            a, b = (result["rate_per_s"] for result in pairs[-1])
            print(f"pair {number + 1}: {a:.0f} and {b:.0f} calls/s, {b / a if a else 0:.3f}", file=sys.stderr)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        print(f"interleave: {error}", file=sys.stderr)
        return 1
    stolen_after, all_after = cpu_times()
    rows = compare(pairs)
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "a": arguments.a, "b": arguments.b, "commit": commit(), "machine": where,
        "stolen": round((stolen_after - stolen_before) / max(1, all_after - all_before), 4),
        "pairs": arguments.pairs, "medians": rows, "runs": [{"a": a, "b": b} for a, b in pairs],
    }
    print_rows(rows, arguments.pairs)
    print(f"stolen by the hypervisor: {100 * report['stolen']:.1f} %; load before: {where['loadavg_before']}")
    if not arguments.no_file:
        print(f"kept in {os.path.relpath(write(arguments.results, arguments.name, report))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
