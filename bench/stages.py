#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where a small call spends its instructions, its copies, its system calls and its time, stage by stage.

    instructions  callgrind over `call_cost sim`: two runs that differ in nothing but the number of calls; the
                  difference is what one call executes in each function.  `both` is both sides together.
    copies        of the payload, by weft, as the code makes them
    time          perf (cpu-clock, so no hardware counters are needed) over `call_cost io_uring`: two nodes on one
                  thread over loopback, 128 calls in flight, never sleeping; each sample belongs to the stage of its
                  function, those of the kernel to its part of the kernel.  One thread does both sides: nobody waits.
    system calls  `weft bench rpc` counts its own: sleeping, at depth 1 and 128.

    bench/stages.py build/release

Prints a table, and writes everything into bench/results.  What is not installed (valgrind, perf) is left out, and said.
Exit codes: 0 measured, 1 something failed, 2 usage."""

import argparse
import collections
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import interleave

FEW, MANY = 2560, 12800
PERF_CALLS = 6000000
MEMORY = re.compile(r"^_*mem(?:cpy|move|set|cmp)")

# Stage, side, copies of the payload that weft makes there, functions.  The first line that fits counts; static
# functions may carry a suffix of the compiler's.  What is inlined counts where it ended up.
STAGES = (
    ("call: link, slot, deadline, encode", "client", 1,
     r"weft_call|call_at_once|call_in_general|share_call|call_send\w*|call_take|call_put\w*|peer_links_\w+|"
     r"links_\w+"),
    ("replies: frames, calls, their ends", "client", 0, r"call_repl\w+|call_answered|call_finish|call_leave\w*"),
    ("callback", "client", 0, r"cost_\w+"),
    ("requests: frames, checks, verb, slot", "server", 0, r"serve_request\w*|serve_run|serve_take_hand"),
    ("handler", "server", 0, r"verb_\w+|weft_request_\w+"),
    ("reply: encode, account", "server", 1, r"weft_reply|request_\w+|serve_\w+"),
    ("reading: share of the turn, parts of frames", "both", 0,
     r"channel_\w+|frame_reader_\w+|conn_recv\w*|conn_land\w*"),
    ("queue and flush", "both", 0, r"conn_\w+|outbox_\w+|turn_flush|buf_\w+|payload_\w+|shard_buf_\w+|list_\w+"),
    ("backend: SQE, CQE, buffers", "both", 0,
     r"io_(?:submit|deliver|settle|send_prepare|lend\w*)|ring_\w+|recv_ring_\w+"),
    ("turn: clock, timers, mail, counters", "both", 0,
     r"shard_\w+|turn_\w+|timer_\w+|wheel_\w+|mailbox_\w+|foreign_\w+|engine_\w+|metric_\w+|parcel_\w+|"
     r"io_monotonic_ns|socket_monotonic_ns|.*clock_gettime.*"),
)
KERNEL = (
    ("kernel: receive, copy out", r"tcp_recvmsg\w*|_copy_to_iter|__?skb_datagram\w*|skb_copy_datagram\w*|io_recv\w*|"
                                  r"sock_recvmsg|inet6?_recvmsg|tcp_rcv_space\w*|tcp_cleanup_rbuf|simple_copy\w*|"
                                  r"skb_attempt_defer_free|skb_release\w*|kfree_skb\w*|io_buffer\w*|io_provided\w*|"
                                  r"io_ring_buffer\w*"),
    ("kernel: send, copy in", r"tcp_sendmsg\w*|_copy_from_iter|io_send\w*|sock_sendmsg|inet6?_sendmsg|tcp_push|"
                              r"__alloc_skb|tcp_stream_alloc\w*|skb_page_frag\w*|sk_page_frag\w*|skb_do_copy\w*|"
                              r"tcp_skb_entail|sk_stream\w*|__check_object_size|tcp_send_mss|tcp_tx_timestamp"),
    ("kernel: io_uring", r"io_\w+|__io_\w+|__do_sys_io_uring\w*|__x64_sys_io_uring\w*|ctx_flush\w*|llist_\w+"),
    ("kernel: system call entry", r"do_syscall_64|entry_SYSCALL\w*|syscall_\w+|x64_sys_call"),
)
KERNEL_REST = "kernel: TCP, IP, loopback, memory"


def stage_of(function):
    """(stage, side), or None for what is no part of a call: the simulator, the start, the end."""
    name = re.sub(r"\.(?:isra|part|constprop|cold)\b.*", "", function)
    for stage, side, _, pattern in STAGES:
        if re.fullmatch(pattern, name):
            return stage, side
    return None


def count(program, calls):
    """Instructions by function; a memory function of libc counts for the function that called it."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=no",
                        "--compress-pos=no", program, "sim", str(calls)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, timeout=300)
        with open(out, encoding="utf-8") as file:
            return parse(file)


def parse(lines):
    costs = collections.Counter()
    function = called = ""
    edge = False
    for line in lines:
        if line.startswith("fn="):
            function = line[3:].rstrip("\n")
        elif line.startswith("cfn="):
            called = line[4:].rstrip("\n")
        elif line.startswith("calls="):
            edge = True
        elif line[:1].isdigit():
            if not edge or MEMORY.match(called):
                costs[function] += int(line.split()[1])
            edge = False
    return costs


def instructions(program):
    few, many = count(program, FEW), count(program, MANY)
    stages = collections.Counter()
    for function, cost in many.items():
        found = stage_of(function)
        if found is not None:
            stages[found] += (cost - few[function]) / (MANY - FEW)
    return stages


def kernel_stage(symbol):
    for stage, pattern in KERNEL:
        if re.fullmatch(pattern, re.sub(r"\.(?:isra|part|constprop|cold)\b.*", "", symbol)):
            return stage
    return KERNEL_REST


def shares(program):
    """Share of the samples by stage."""
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "perf")
        subprocess.run(["perf", "record", "-q", "-F", "10000", "-e", "cpu-clock", "-o", data, program, "io_uring",
                        str(PERF_CALLS)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        script = subprocess.run(["perf", "script", "-i", data, "-F", "ip,sym,dso"], check=True, capture_output=True,
                                text=True, timeout=120).stdout
    samples = collections.Counter()
    for line in script.splitlines():
        found = re.match(r"\s*[0-9a-f]+\s+(\S+).*\((.*)\)$", line)
        if found is None:
            continue
        symbol, where = found.groups()
        stage = stage_of(symbol)
        if where.startswith("[kernel"):
            samples[(kernel_stage(symbol), "kernel")] += 1
        elif "uring" in where:
            samples[("backend: SQE, CQE, buffers", "both")] += 1
        else:
            samples[stage if stage is not None else ("libc and the rest", "both")] += 1
    total = sum(samples.values())
    return {key: number / total for key, number in samples.items()}


def enters(weft, in_flight):
    run = subprocess.run([weft, "bench", "rpc", "--local", "--in-flight", str(in_flight), "--seconds", "1", "--json"],
                         check=True, capture_output=True, text=True, timeout=60)
    return json.loads(run.stdout)["enters_per_call"]


def rows_of(costs, times):
    own = {(stage, side): copies for stage, side, copies, _ in STAGES}
    keys = list(own) + sorted(set(times) - set(own))
    rows = []
    for stage, side in keys:
        cost, copies = costs.get((stage, side), 0.0), own.get((stage, side), 0)
        if cost > 0 or (stage, side) in times:
            rows.append({"stage": stage, "side": side, "instructions": cost, "copies": copies,
                         "time_share": times.get((stage, side))})
    return rows


def print_rows(rows, depths):
    print(f"{'stage':<46}{'side':<9}{'instructions':>13}{'copies':>8}{'time':>8}")
    for row in rows:
        cost = f"{row['instructions']:.0f}" if row["side"] != "kernel" else "-"
        share = f"{row['time_share'] * 100:.1f} %" if row["time_share"] is not None else "-"
        print(f"{row['stage']:<46}{row['side']:<9}{cost:>13}{row['copies']:>8}{share:>8}")
    cost, copies = (sum(row[what] for row in rows) for what in ("instructions", "copies"))
    print(f"{'together':<55}{cost:>13.0f}{copies:>8}")
    for depth, sides in depths.items():
        print(f"system calls of a call, {depth} in flight: client {sides['client']:.4f}, server {sides['server']:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="a release build's folder")
    parser.add_argument("--name", default="stages-64b", help="of the result file (default stages-64b)")
    arguments = parser.parse_args()
    program = os.path.join(arguments.build, "tests", "call_cost")
    weft = os.path.join(arguments.build, "weft")
    tools = {tool: shutil.which(tool) is not None for tool in ("valgrind", "perf")}
    for tool, there in tools.items():
        if not there:
            print(f"{tool} is not installed: its column is left out", file=sys.stderr)
    try:
        costs = instructions(program) if tools["valgrind"] else {}
        times = shares(program) if tools["perf"] else {}
        depths = {depth: enters(weft, depth) for depth in (1, 128)}
    except (OSError, subprocess.SubprocessError) as error:
        print(f"stages: {error}", file=sys.stderr)
        return 1
    rows = rows_of(costs, times)
    print_rows(rows, depths)
    now = datetime.datetime.now(datetime.timezone.utc)
    path = os.path.join(interleave.HERE, "results", f"{now:%Y%m%dT%H%M%SZ}-{arguments.name}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"date": f"{now:%Y-%m-%dT%H:%M:%SZ}", "command": f"bench/stages.py {arguments.build}",
                   "commit": interleave.commit(), "machine": interleave.machine(), "stages": rows,
                   "enters_per_call": depths}, file, indent=1)
        file.write("\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
