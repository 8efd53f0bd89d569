# SPDX-License-Identifier: Apache-2.0
"""Goal: bench/interleave.py tells a server that was slower from one that had less of its CPU.

Method: results made up here are compared: one server gets half of the CPU in one run, another needs twice as much of it
for a call.  No program runs.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
import interleave  # noqa: E402


def result(rate, server_cpu_ns):
    return {"rate_per_s": rate, "cpu_ns_per_call": {"client": 1000.0, "server": server_cpu_ns}}


def ratios(pairs):
    return {row["field"]: row["ratio_median"] for row in interleave.compare(pairs)}


class ServerRows(unittest.TestCase):
    def test_half_the_cpu__rate_halved__rate_per_cpu_the_same(self):
        found = ratios([(result(40000.0, 20000.0), result(20000.0, 20000.0))] * 6)
        self.assertAlmostEqual(found["rate"], 0.5)
        self.assertAlmostEqual(found["server got"], 0.5)
        self.assertAlmostEqual(found["per server CPU"], 1.0)

    def test_dearer_calls__same_share__rate_per_cpu_halved(self):
        found = ratios([(result(40000.0, 20000.0), result(20000.0, 40000.0))] * 6)
        self.assertAlmostEqual(found["server got"], 1.0)
        self.assertAlmostEqual(found["per server CPU"], 0.5)

    def test_share__rate_times_cost__as_part_of_a_cpu(self):
        rows = {row["field"]: row for row in interleave.compare([(result(40000.0, 20000.0), result(25000.0, 20000.0))])}
        self.assertAlmostEqual(rows["server got"]["a_median"], 0.8)
        self.assertAlmostEqual(rows["server got"]["b_median"], 0.5)
        self.assertAlmostEqual(rows["per server CPU"]["a_median"], 50000.0)

    def test_server_elsewhere__cost_not_known__no_such_rows(self):
        found = ratios([(result(40000.0, None), result(20000.0, None))])
        self.assertEqual([name for name in found if "server" in name], [])
        self.assertAlmostEqual(found["rate"], 0.5)


if __name__ == "__main__":
    sys.argv.append("-v")
    unittest.main()
