# SPDX-License-Identifier: Apache-2.0
"""Goal: a server that is asked for twice what it can do goes on doing nearly all that it can, within its memory, and
both sides agree on what became of each call.

Method: `weft bench rpc` with handlers that burn 20 microseconds of CPU, client and server in processes of their own:
the peak by a closed loop, then an open loop at twice that rate.  Rates of a machine that others use as well say little,
so goodput is compared by the server's CPU time: what it spends on a call that is answered in time, at the peak and
beyond.  The server never rests in either.  More rounds run while the median is out of bounds.

Environment: WEFT, the program.
"""

import json
import os
import statistics
import subprocess
import sys
import unittest

WEFT = os.environ.get("WEFT", "weft")
LOAD = ("--local", "--handler-us", "20", "--congestion", "cubic", "--json")
ROUNDS_MAX = 8
GOODPUT_LEAST = 0.9


def measure(*arguments):
    done = subprocess.run([WEFT, "bench", "rpc", *LOAD, *arguments], capture_output=True, text=True, timeout=60,
                          check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def is_sanitized():
    with open(WEFT, "rb") as file:
        text = file.read()
    return b"__asan_init" in text or b"__tsan_init" in text


class Overload(unittest.TestCase):
    def agree(self, result):
        sums, served = result["sums"], result["served"]
        self.assertEqual(sums["offered"], sums["not_accepted"] + sums["sent"])
        self.assertEqual(sums["sent"], sum(sums[end] for end in ("answered", "busy", "expired", "expired_at_peer",
                                                                 "failed")), sums)
        self.assertEqual(served["received"], sums["sent"] - sums["never_left"], (sums, served))
        self.assertEqual(served["received"], sum(served[end] for end in ("answered", "busy", "expired", "failed",
                                                                         "aborted")), served)
        # An answer that comes after its caller's deadline is the only thing that the two sides count differently.
        for server_end, client_end in (("answered", "answered"), ("busy", "busy"), ("expired", "expired_at_peer")):
            self.assertGreaterEqual(served[server_end], sums[client_end])
        self.assertEqual((sums["failed"], served["failed"], served["aborted"], result["errors"]), (0, 0, 0, 0))

    def within_memory(self, result):
        for side in ("client", "server"):
            self.assertLess(result["memory"][side]["most"], result["memory"]["budget"])

    def overload(self, *arguments):
        ratios = []
        while len(ratios) < ROUNDS_MAX and (not ratios or statistics.median(ratios) < GOODPUT_LEAST):
            peak = measure("--seconds", "0.5", *arguments)
            rate = str(int(2 * peak["rate_per_s"]))
            result = measure("--seconds", "1", "--rate", rate, "--timeout-ms", "200", *arguments)
            self.agree(result)
            self.within_memory(result)
            self.assertGreater(result["sums"]["offered"], 1.5 * peak["rate_per_s"])
            in_time = result["sums"]["answered"] / result["served"]["answered"]
            ratios.append(in_time * peak["cpu_ns_per_call"]["server"] / result["cpu_ns_per_call"]["server"])
        return statistics.median(ratios), ratios

    @unittest.skipIf(is_sanitized(), "a sanitizer changes what things cost")
    def test_twice_the_capacity__goodput_memory_and_sums(self):
        for arguments in ((), ("--connections", "16"), ("--backend", "epoll")):
            with self.subTest(arguments=arguments):
                ratio, ratios = self.overload(*arguments)
                self.assertGreaterEqual(ratio, GOODPUT_LEAST, f"{ratios}")

    def test_far_beyond__impatient_callers__sums_agree(self):
        for extra in ((), ("--connections", "16"), ("--security", "tls")):
            with self.subTest(extra=extra):
                result = measure("--seconds", "0.5", "--rate", "300000", "--timeout-ms", "30", *extra)
                self.agree(result)
                self.within_memory(result)
                self.assertGreater(result["sums"]["offered"], result["sums"]["answered"])


if __name__ == "__main__":
    sys.argv.append("-v")
    unittest.main()
