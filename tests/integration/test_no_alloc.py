# SPDX-License-Identifier: Apache-2.0
"""Goal: in the steady state neither side of a run allocates anything, over at least a million calls on each backend.

Method: `weft bench rpc --local` runs with alloc_count.so preloaded into both of its processes.  The log holds every
allocation with its time and process; the result says from when to when calls were measured, by the same clock.  Within
that interval there must be none.  The log must also show both processes allocating outside of it: an instrument that
sees nothing at all would always agree.

Environment: WEFT, the program; WEFT_ALLOC_COUNT, the shared object.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

WEFT = os.environ.get("WEFT", "weft")
PRELOAD = os.environ.get("WEFT_ALLOC_COUNT", "")
CALLS = 1_000_000
RUNS_MAX = 12
HEAD = struct.Struct("<QQ")
ENTRY = struct.Struct("<QQQII")
KINDS = {1: "malloc", 2: "calloc", 3: "realloc", 4: "aligned", 5: "mmap"}


def is_sanitized():
    """A sanitizer has an allocator of its own, which this one would replace."""
    with open(WEFT, "rb") as file:
        text = file.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def read_log(path):
    with open(path, "rb") as file:
        data = file.read()
    count, kept = HEAD.unpack_from(data)
    entries = [ENTRY.unpack_from(data, HEAD.size + ENTRY.size * i) for i in range(min(count, kept))]
    return count, kept, entries


def run(backend, folder, number, load=()):
    """One run; give its calls, what it allocated while it measured, and the processes that allocated at all."""
    path = os.path.join(folder, f"{backend}.{number}")
    environment = {**os.environ, "LD_PRELOAD": PRELOAD, "ALLOC_LOG": path}
    command = [WEFT, "bench", "rpc", "--local", "--seconds", "2", "--json", "--backend", backend, *load]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}")
    result = json.loads(done.stdout)
    count, kept, entries = read_log(path)
    begin, end = result["interval_ns"]["begin"], result["interval_ns"]["end"]
    if count > kept and min(entry[0] for entry in entries) > begin:
        raise AssertionError(f"{count} allocations, and the log keeps {kept}: far too many to be a steady state")
    wrong = [entry for entry in entries if begin <= entry[0] <= end]
    return result["calls"], wrong, {entry[3] for entry in entries}


@unittest.skipIf(not PRELOAD, "WEFT_ALLOC_COUNT does not name the shared object that counts")
@unittest.skipIf(is_sanitized(), "a sanitizer owns the allocator")
class NoAllocation(unittest.TestCase):
    def check(self, backend):
        calls = 0
        with tempfile.TemporaryDirectory(prefix="weft-alloc-") as folder:
            for number in range(RUNS_MAX):
                run_calls, wrong, processes = run(backend, folder, number)
                lines = [f"{KINDS.get(kind)} of {size} B by process {pid} from {caller:#x}"
                         for _, size, caller, pid, kind in wrong[:10]]
                self.assertEqual(len(wrong), 0, f"{len(wrong)} in {run_calls} calls: " + "; ".join(lines))
                self.assertGreaterEqual(len(processes), 2, "the log must have seen both processes start")
                calls += run_calls
                if calls >= CALLS:
                    return
        self.fail(f"only {calls} calls in {RUNS_MAX} runs")

    def test_large_payloads_by_reference__nothing_allocated(self):
        with tempfile.TemporaryDirectory(prefix="weft-alloc-") as folder:
            for number, backend in enumerate(("io_uring", "epoll")):
                for step, load in enumerate((("--zerocopy", "always"), ("--beside-bulk", "4x1M"))):
                    load = ("--size", "300000", "--in-flight", "8", *load)
                    calls, wrong, _ = run(backend, folder, 2 * number + step, load)
                    self.assertGreater(calls, 100)
                    self.assertEqual(wrong, [])

    def test_io_uring__a_million_calls__nothing_allocated(self):
        self.check("io_uring")

    def test_epoll__a_million_calls__nothing_allocated(self):
        self.check("epoll")


if __name__ == "__main__":
    sys.argv.append("-v")
    unittest.main()
