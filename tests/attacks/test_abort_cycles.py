# SPDX-License-Identifier: Apache-2.0
"""Goal: clients that give up, at whatever point of a connection, leave nothing behind.

Method: abort_cycles.c connects and resets, at all points in turn; after first rounds in which every pool sees its peak,
descriptors, threads, all that `in_use` shows, and memory must be the same after many rounds more.

    WEFT=… WEFT_ATTACKS=… test_abort_cycles.py --cycles 100000     the long run, with its figures
"""

import os
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from target import CLUSTER, PROGRAMS, SELF, STALL_MAX_US, WEFT, AttackCase, config_text, is_sanitized

import harness

CYCLES = 3000
WARM_CYCLES = 6000  # until every pool has seen its peak
# Of resident memory: one part in a hundred, and what an allocator may keep for itself.
GROWTH_PARTS = 100
GROWTH_BYTES = 512 * 1024


class AbortCycles(AttackCase):
    """One node with both ports open."""

    cycles = CYCLES

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)
        certificate, key = certificates.node("own", SELF)
        encryption = (f"    internode_encryption: none\n    certificate: {certificate}\n    keyfile: {key}\n"
                      f"    truststore: {certificates.ca}\n")
        cls.aim(lambda plain, tls: config_text(plain, tls, encryption), listeners=("plain", "tls"))

    def abort(self, cycles):
        done = subprocess.run([os.path.join(PROGRAMS, "abort_cycles"), SELF, str(self.target.node.plain_port),
                               str(self.target.node.tls_port), str(cycles)], capture_output=True, text=True,
                              timeout=60 + cycles / 100)
        self.assertEqual(done.returncode, 0, done.stderr + self.target.node.log()[-2000:])
        reached = {name: int(count) for name, count in map(str.split, done.stdout.splitlines())}
        self.assertGreaterEqual(sum(reached.values()), cycles)
        self.assertGreater(min(reached.values()), 0)

    def arrived(self):
        """Connections that were accepted, or gone before they were."""
        counters = self.target.status()["counters"]
        return counters["accepted"] + counters["accepts_gone"]

    def test_connections__reset_at_every_point__nothing_is_left(self):
        self.abort(WARM_CYCLES)
        self.target.assert_at_base()
        before = self.target.memory()
        accepted = self.arrived()
        self.target.pulse.beat()
        began = time.monotonic()
        self.abort(self.cycles)
        took = time.monotonic() - began
        beat = self.target.pulse.beat()
        self.assertLess(beat.stall, STALL_MAX_US, beat)
        self.target.assert_at_base()
        self.target.assert_lively()
        after = self.target.memory()
        # At one point of fifteen the connection may never have come about.
        self.assertGreaterEqual(self.arrived() - accepted, self.cycles * 14 // 15)
        print(f"{self.cycles} cycles in {took:.1f} s; resident {before >> 10} KiB, then {after >> 10} KiB; "
              f"held {self.target.held()}; good client {beat}", file=sys.stderr)
        if not is_sanitized():
            self.assertLessEqual(after - before, before // GROWTH_PARTS + GROWTH_BYTES)


if __name__ == "__main__":
    if "--cycles" in sys.argv:
        at = sys.argv.index("--cycles")
        AbortCycles.cycles = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
