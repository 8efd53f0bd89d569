# SPDX-License-Identifier: Apache-2.0
"""Goal: the good client that judges the attacks sees a node that does not answer, and is content with one that does.

Method: a node is stopped for three times as long as a stall may be.
"""

import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from target import STALL_MAX_US, AttackCase

import harness


class GoodClient(AttackCase):
    @classmethod
    def setUpClass(cls):
        cls.aim()

    def test_node__stopped_for_a_while__stall_is_seen(self):
        self.target.pulse.beat()
        end = time.monotonic() + 3 * STALL_MAX_US / 1e6
        os.kill(self.target.pid, signal.SIGSTOP)
        try:
            harness.wait_until(lambda: time.monotonic() > end, "the time")
        finally:
            os.kill(self.target.pid, signal.SIGCONT)
        beats = []
        harness.wait_until(lambda: beats.append(self.target.pulse.beat()) or beats[-1].count > 0, "a call")
        self.assertGreater(max(beat.stall for beat in beats), STALL_MAX_US)

    def test_node__left_alone__no_stall(self):
        self.target.pulse.beat()
        beats = []
        harness.wait_until(lambda: beats.append(self.target.pulse.beat()) or sum(beat.count for beat in beats) > 200,
                           "200 calls", 60)
        self.assertLess(max(beat.stall for beat in beats), STALL_MAX_US)


if __name__ == "__main__":
    unittest.main()
