# SPDX-License-Identifier: Apache-2.0
"""Goal: a node whose wall clock is set back says so and loses no connection by it; of one that goes on it says nothing.

Method: `weft node` with clock_shift.so preloaded, which moves its wall clock by what a file says; a client whose
connection stays open all the time.

Environment: WEFT, the program; WEFT_CLOCK_SHIFT, the shared object.
"""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
import client as twin_client  # noqa: E402  (beside the interop tests)
import harness  # noqa: E402

WEFT = os.environ.get("WEFT", "weft")
PRELOAD = os.environ.get("WEFT_CLOCK_SHIFT", "")
SAID = r"W the clock was set back by (\d+) s: certificates and revocation lists that had expired may count again\n"


def is_sanitized():
    """A sanitizer wants to be loaded first."""
    with open(WEFT, "rb") as file:
        text = file.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def config(plain, tls):
    return (f"cluster_name: clocks\nlisten_address: 127.0.0.1\nstorage_port: {plain}\nssl_storage_port: {tls}\n"
            "weft:\n    shards: 1\n")


class ShiftedNode(harness.WeftNode):
    """A node whose clock the file `shift` moves."""

    def __init__(self, shift, *arguments, **how):
        super().__init__(*arguments, **how)
        self.shift = shift

    def _environment(self):
        return {**super()._environment(), "LD_PRELOAD": PRELOAD, "CLOCK_SHIFT": self.shift}


@unittest.skipIf(not PRELOAD, "WEFT_CLOCK_SHIFT does not name the shared object that moves the clock")
@unittest.skipIf(is_sanitized(), "a sanitizer has to be loaded first")
class ClockBack(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.shift = os.path.join(folder.name, "shift")
        self.status = os.path.join(folder.name, "status.json")
        self.set_clock(0)
        self.node = ShiftedNode(self.shift, WEFT, config, arguments=["--status", self.status])
        self.addCleanup(self.node.close)
        self.node.start()

    def set_clock(self, seconds):
        with open(self.shift + ".new", "w", encoding="ascii") as file:
            file.write(str(seconds))
        os.rename(self.shift + ".new", self.shift)

    def wait_looks(self, count=3):
        """So many times the status was written: as often the clock was looked at."""
        for _ in range(count):
            before = os.stat(self.status).st_ino, os.stat(self.status).st_mtime_ns
            harness.wait_until(lambda: (os.stat(self.status).st_ino, os.stat(self.status).st_mtime_ns) != before,
                               "a fresh status")

    def test_clock__forward_and_back__only_back_is_said_and_no_connection_ends(self):
        with twin_client.Client(self.node.plain) as client:
            client.negotiate()
            self.wait_looks()
            self.set_clock(3600)
            self.wait_looks()
            self.assertNotRegex(self.node.log(), SAID)
            self.set_clock(-3600)
            self.node.wait_log(SAID)
            self.wait_looks()
            self.assertEqual(client.echo(b"as before"), b"as before")
            log = self.node.log()
            self.assertEqual(log.count("the clock was set back"), 1, log)
            self.assertIn("the clock was set back by 7200 s", log.replace("7199 s", "7200 s"))


if __name__ == "__main__":
    unittest.main()
