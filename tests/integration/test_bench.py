# SPDX-License-Identifier: Apache-2.0
"""Goal: `weft bench rpc` measures what it says: its local server is the one of `weft node`, a loaded shard calls the
kernel by io_uring_enter alone, epoll is not left behind, the result has its fields, and failures are told.

Method: the program is run for short times.  Where two of its forms are compared they run in pairs, A B A B, and the
median of the ratios of the pairs decides; while that is out of bounds, more pairs run, up to a limit, so that a busy
machine needs longer instead of failing.  System calls are counted by strace on one thread.

Environment: WEFT, the program.
"""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
import harness  # noqa: E402  (beside the interop tests)

WEFT = os.environ.get("WEFT", "weft")
PAIRS = 5
ROUNDS_MAX = 4
RUNS_MAX = 5
SHORT = ("--seconds", "0.3")


def bench(*arguments, timeout=60):
    return subprocess.run([WEFT, "bench", "rpc", *arguments], capture_output=True, text=True, timeout=timeout)


def measure(*arguments):
    done = bench(*arguments, "--json")
    if done.returncode != 0:
        raise AssertionError(f"weft bench rpc {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def measure_calls(*arguments):
    """As measure, of a run that got calls: on a busy machine a short one may get none, and says nothing then."""
    for _ in range(RUNS_MAX):
        result = measure(*arguments)
        if result["calls"] > 0:
            return result
    raise AssertionError(f"no call in {RUNS_MAX} runs of weft bench rpc {' '.join(arguments)}")


def median_ratio(first, second, enough):
    """The median of second's rate over first's, in interleaved pairs."""
    ratios = []
    for _ in range(ROUNDS_MAX):
        for _ in range(PAIRS):
            one = measure_calls(*first)["rate_per_s"]
            ratios.append(measure_calls(*second)["rate_per_s"] / one)
        if enough(statistics.median(ratios)):
            break
    return statistics.median(ratios), ratios


def is_sanitized():
    with open(WEFT, "rb") as file:
        text = file.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def cpus():
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[min(1, len(allowed) - 1)]


def node_config(plain_port, tls_port):
    server, _ = cpus()
    return (f"cluster_name: bench test\nlisten_address: 127.0.0.1\nstorage_port: {plain_port}\n"
            f"ssl_storage_port: {tls_port}\nserver_encryption_options:\n  internode_encryption: none\n"
            f"weft:\n  shards: {server}-{server}\n")


def shard_threads(pid):
    """Threads of a process that are shards, by their names."""
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as file:
            if re.fullmatch(r"weft/\d+\n", file.read()):
                found.append(int(tid))
    return found


def count_calls(tid, folder):
    """System calls of one thread within about a second: {name: count}."""
    path = os.path.join(folder, f"strace.{tid}")
    tracer = subprocess.Popen(["strace", "-c", "-o", path, "-p", str(tid)], stderr=subprocess.PIPE, text=True)
    try:
        tracer.wait(timeout=0.7)
    except subprocess.TimeoutExpired:
        tracer.send_signal(signal.SIGINT)
    complaint = tracer.communicate(timeout=20)[1]
    with open(path, encoding="ascii") as file:
        rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", file.read(), re.MULTILINE)
    return {name: int(count) for count, name in rows if name != "total"}, complaint


class Result(unittest.TestCase):
    def test_echo__json__one_object_with_its_fields(self):
        result = measure("--local", *SHORT)
        self.assertEqual(result["errors"], 0)
        self.assertGreater(result["calls"], 100)
        self.assertEqual(list(result["latency_ns"]), ["p50", "p90", "p99", "p999", "max", "mean"])
        ordered = [result["latency_ns"][name] for name in ("p50", "p90", "p99", "p999", "max")]
        self.assertEqual(ordered, sorted(ordered))
        self.assertGreater(ordered[0], 0)
        seconds = (result["interval_ns"]["end"] - result["interval_ns"]["begin"]) / 1e9
        self.assertAlmostEqual(result["rate_per_s"] * seconds / result["calls"], 1, places=6)
        self.assertAlmostEqual(result["bytes_per_s"], 64 * result["rate_per_s"], delta=64)
        for cost in ("enters_per_call", "cpu_ns_per_call"):
            for side in ("client", "server"):
                self.assertGreater(result[cost][side], 0)
        # A closed loop: the window divided by the latency is the rate (Little's law).
        self.assertAlmostEqual(result["latency_ns"]["mean"] * result["rate_per_s"] / 1e9 / 128, 1, delta=0.3)

    def test_settings__nothing_said__are_the_defaults_of_the_help(self):
        told = dict(re.findall(r"--([a-z-]+)=\S+\s+(?:(?!--)[^(])*?\(default ([0-9]+)\)", bench("--help").stdout))
        settings = measure("--local", *SHORT)["settings"]
        self.assertGreaterEqual(set(told), {"timeout-ms", "handler-us", "size", "connections"})
        for name, default in told.items():
            if name != "seconds":
                with self.subTest(name):
                    self.assertEqual(settings[name.replace("-", "_")], int(default))

    def test_one_way__counted_by_the_receiver__no_latency(self):
        result = measure("--local", "--oneway", "--size", "1M", "--in-flight", "8", *SHORT)
        self.assertIsNone(result["latency_ns"])
        self.assertGreater(result["calls"], 0)

    def test_beside_bulk__echoes_measured__writes_counted(self):
        for extra in ((), ("--backend", "epoll"), ("--security", "tls")):
            with self.subTest(extra=extra):
                result = measure("--local", "--in-flight", "1", "--beside-bulk", "4x1M", *extra, *SHORT)
                beside = result["beside_bulk"]
                self.assertEqual((result["errors"], beside["in_flight"], beside["size"]), (0, 4, 1 << 20))
                self.assertGreater(result["calls"], 0)
                self.assertGreater(beside["calls"], 0)

    def test_zerocopy__loopback_copies__auto_stops_asking(self):
        auto, always = (measure("--local", "--oneway", "--size", "1000000", "--in-flight", "4",
                                "--zerocopy", word, *SHORT)["zero_copy"] for word in ("auto", "always"))
        self.assertEqual(auto, {"sends": 0, "copied": 0, "registered": 0}, "it was told during the warm-up")
        if "zero-copy send" in subprocess.run([WEFT, "info"], capture_output=True, text=True, check=False).stdout:
            self.assertGreater(always["sends"], 0)
            self.assertGreater(always["copied"], 0)
            if os.geteuid() == 0:  # others may lock less than an arena
                self.assertGreater(always["registered"], 0)

    def test_large_echoes__by_reference_both_ways__no_errors(self):
        for extra in ((), ("--backend", "epoll"), ("--security", "tls")):
            with self.subTest(extra=extra):
                result = measure("--local", "--size", "1000000", "--in-flight", "3", *extra, *SHORT)
                self.assertEqual((result["errors"], result["beside_bulk"]), (0, None))
                self.assertGreater(result["calls"], 0)

    def test_many_connections__window_spread__no_errors(self):
        result = measure("--local", "--connections", "16", "--size", "20000", *SHORT)
        self.assertEqual((result["errors"], result["settings"]["connections"]), (0, 16))

    def test_rate__open_loop__schedule_kept_and_sums_of_both_sides_agree(self):
        for extra in ((), ("--connections", "16"), ("--security", "tls"), ("--backend", "epoll")):
            with self.subTest(extra=extra):
                result = measure("--local", "--rate", "2000", *extra, "--seconds", "0.5")
                sums, served = result["sums"], result["served"]
                self.assertEqual((result["loop"], result["errors"]), ("open", 0))
                self.assertAlmostEqual(sums["offered"] / 2000, result["settings"]["warmup_seconds"] + 0.5, delta=0.2)
                self.assertEqual(sums["offered"], sums["sent"] + sums["not_accepted"])
                self.assertEqual(sums["sent"], sum(sums[end] for end in ("answered", "busy", "expired",
                                                                         "expired_at_peer", "failed")))
                self.assertEqual(served["received"], sums["sent"] - sums["never_left"])
                self.assertGreater(result["memory"]["client"]["most"], result["memory"]["client"]["before"] // 2)

    def test_rate__one_place_and_a_slow_handler__calls_left_out_are_counted(self):
        # 20 calls are due while one runs: without a place they are not made, now or later.
        result = measure("--local", "--rate", "200", "--handler-us", "100000", "--in-flight", "1", "--seconds", "0.5")
        self.assertGreater(result["sums"]["not_accepted"], 10)
        self.assertGreater(result["latency_ns"]["p50"], 99_000_000)
        self.assertIsNone(measure("--local", *SHORT)["sums"])

    def test_tls__suite_in_the_result__certificates_gone(self):
        with tempfile.TemporaryDirectory(prefix="weft-bench-test-") as folder:
            done = subprocess.run([WEFT, "bench", "rpc", "--security", "tls", "--json", *SHORT], capture_output=True,
                                  text=True, timeout=60, env={**os.environ, "TMPDIR": folder})
            self.assertEqual(done.returncode, 0, done.stderr)
            settings = json.loads(done.stdout)["settings"]
            self.assertRegex(settings["tls_version"], r"^TLSv1\.[23]$")
            self.assertIn("AES", settings["tls_cipher"])
            self.assertEqual(os.listdir(folder), [])

    def test_interrupted__exit_1__nothing_left(self):
        with tempfile.TemporaryDirectory(prefix="weft-bench-test-") as folder:
            process = subprocess.Popen([WEFT, "bench", "rpc", "--security", "tls", "--seconds", "30"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       env={**os.environ, "TMPDIR": folder})
            server = int(re.search(r"server process (\d+)", process.stderr.readline()).group(1))
            process.send_signal(signal.SIGINT)
            _, text = process.communicate(timeout=20)
            self.assertEqual(process.returncode, 1, text)
            self.assertIn("signal", text)
            self.assertEqual(os.listdir(folder), [])
            self.assertFalse(os.path.exists(f"/proc/{server}"), "the server's process is gone too")

    def test_nobody_listens__exit_1__says_so(self):
        port = harness.free_ports(1)[0]
        done = bench("--to", f"127.0.0.1:{port}", *SHORT)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertRegex(done.stderr, r"(?i)refused")

    def test_wrong_words__exit_2__one_line_says_what_is_right(self):
        for arguments, words in (
                (("--size", "16777217"), "from 0 to 16777216"),
                (("--size", "-1"), "from 0 to"),
                (("--size", "17M"), "from 0 to"),
                (("--size", "4194304K"), "from 0 to"),
                (("--size", "1Mi"), "such as 1500, 64K or 1M"),
                (("--in-flight", "0"), "from 1 to"),
                (("--in-flight", "3", "--connections", "4"), "in total"),
                (("--seconds", "nan"), "number of seconds"),
                (("--cpus", "0"), "such as 0,1"),
                (("--cpus", "0,4000"), "may not run on CPU 4000"),
                (("--security", "ssl"), "plain, tls"),
                (("--backend", "kqueue"), "io_uring"),
                (("--zerocopy", "often"), "off, auto, always"),
                (("--beside-bulk", "4"), "such as 4x1M"),
                (("--beside-bulk", "4x17M"), "such as 4x1M"),
                (("--rate", "0"), "from 1 to"),
                (("--rate", "5", "--oneway"), "without --oneway"),
                (("--handler-us", "5", "--to", "127.0.0.1:7000"), "--local"),
                (("--timeout-ms", "0"), "from 1 to"),
                (("--to", "localhost:7000"), "numeric"),
                (("--to", "127.0.0.1"), "numeric"),
                (("--to", "127.0.0.1:7000", "--security", "tls"), "--local"),
                (("--to", "127.0.0.1:7000", "--local"), "choose one"),
                (("faster",), "too much")):
            done = bench(*arguments)
            self.assertEqual(done.returncode, 2, f"{arguments}: {done.stderr}")
            self.assertIn(words, done.stderr)
            self.assertEqual(done.stdout, "")


@unittest.skipIf(is_sanitized(), "a sanitizer changes what things cost")
class Comparison(unittest.TestCase):
    def test_to_a_weft_node__pinned_alike__within_10_percent_of_local(self):
        node = harness.WeftNode(WEFT, node_config)
        node.start()
        try:
            to = ("--to", f"127.0.0.1:{node.plain_port}", "--cluster", "bench test", *SHORT)
            ratio, ratios = median_ratio(("--local", *SHORT), to, lambda median: 0.9 <= median <= 1.1)
            self.assertTrue(0.9 <= ratio <= 1.1, f"{ratio:.3f} of {ratios}")
            result = measure(*to)
            self.assertIsNone(result["cpu_ns_per_call"]["server"])
            self.assertIsNone(result["enters_per_call"]["server"])
        finally:
            node.close()

    def test_thousand_connections__two_calls_each__cpu_per_call_at_most_1_5_times_that_of_64(self):
        few = ("--local", "--connections", "64", "--in-flight", "128", *SHORT)
        many = ("--local", "--connections", "1000", "--in-flight", "2000", *SHORT)
        ratios = []
        for _ in range(ROUNDS_MAX):
            for _ in range(PAIRS):
                one, other = (measure_calls(*load)["cpu_ns_per_call"] for load in (few, many))
                ratios.append(max(other[side] / one[side] for side in ("client", "server")))
            if statistics.median(ratios) <= 1.5:
                break
        self.assertLessEqual(statistics.median(ratios), 1.5, f"{ratios}")

    def test_epoll__same_load__at_least_0_3_of_io_uring(self):
        ratio, ratios = median_ratio(("--local", "--backend", "io_uring", *SHORT),
                                     ("--local", "--backend", "epoll", *SHORT), lambda median: median >= 0.3)
        self.assertGreaterEqual(ratio, 0.3, f"{ratios}")

    @unittest.skipIf(shutil.which("strace") is None, "strace is not installed")
    def test_loaded_shard__strace__io_uring_enter_only(self):
        process = subprocess.Popen([WEFT, "bench", "rpc", "--local", "--seconds", "4", "--backend", "io_uring"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            server = int(re.search(r"server process (\d+)", process.stderr.readline()).group(1))
            self.assertIn("measuring", process.stderr.readline())
            with tempfile.TemporaryDirectory(prefix="weft-strace-") as folder:
                for pid in (server, process.pid):
                    threads = shard_threads(pid)
                    self.assertEqual(len(threads), 1, "one shard on each side")
                    calls, complaint = count_calls(threads[0], folder)
                    if "not permitted" in complaint:
                        self.skipTest("strace may not attach here")
                    self.assertEqual(list(calls), ["io_uring_enter"], f"{calls} {complaint}")
                    self.assertGreater(calls["io_uring_enter"], 100)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


if __name__ == "__main__":
    sys.argv.append("-v")
    unittest.main()
