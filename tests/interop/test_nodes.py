# SPDX-License-Identifier: Apache-2.0
"""Goal: two weft nodes on real sockets tell each other that one stops, and notice in time that one stands still.

Method: two `weft node` processes that have each other as peers, on addresses of their own.  One is stopped by SIGSTOP,
or ended by SIGTERM, and the other's log says what it made of that, and when.

Environment: WEFT, the program.
"""

import json
import os
import re
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

WEFT = os.environ.get("WEFT")
ADDRESSES = ("127.0.24.1", "127.0.24.2")
HEARTBEAT_S = 0.8
# Silence is noticed before three heartbeats are over.  What a busy machine may take until the line is in the log comes
# on top.
SILENT_S = 3 * HEARTBEAT_S
LATE_S = 1.0


def config_text(index, ports):
    nodes = "".join(f"        - {{ address: {address}, dc: dc1, rack: r1, storage_port: {plain}, "
                    f"ssl_storage_port: {tls} }}\n" for address, (plain, tls) in zip(ADDRESSES, ports))
    return f"""\
cluster_name: two nodes
listen_address: {ADDRESSES[index]}
storage_port: {ports[index][0]}
ssl_storage_port: {ports[index][1]}
weft:
    dc: dc1
    rack: r1
    shards: 2
    heartbeat: {int(HEARTBEAT_S * 1000)}ms
    drain_timeout: 5s
    nodes:
{nodes}"""


def setUpModule():
    if not WEFT or not os.access(WEFT, os.X_OK):
        raise AssertionError(f"WEFT must name the built program, not {WEFT!r}")


class Pair(unittest.TestCase):
    def setUp(self):
        ports = [harness.free_ports(2, (address,)) for address in ADDRESSES]
        self.nodes = [harness.WeftNode(WEFT, lambda *_, index=index: config_text(index, ports),
                                       address=ADDRESSES[index], ports=ports[index], arguments=["--probe", "100ms"])
                      for index in range(2)]
        for node in self.nodes:
            self.addCleanup(node.close)
            node.arguments += ["--status", os.path.join(node.folder, "status.json")]
            node.start()
        for index, node in enumerate(self.nodes):
            node.wait_log(rf"I peer up {ADDRESSES[1 - index]}\b", 20)

    def test_process__stands_still__down_within_three_heartbeats_and_up_again(self):
        watcher, frozen = self.nodes
        begin = time.monotonic()
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            watcher.wait_log(rf"W peer down {ADDRESSES[1]}: heartbeat_missed", 10)
            took = time.monotonic() - begin
            self.assertGreater(took, SILENT_S - 2 * HEARTBEAT_S)
            self.assertLess(took, SILENT_S + LATE_S)
            # The other direction too: nobody goes on serving a peer that is down.
            harness.wait_until(lambda: re.search(rf"{ADDRESSES[1]}.*heartbeat_missed", watcher.log()), watcher.log)
        finally:
            frozen.process.send_signal(signal.SIGCONT)
        harness.wait_until(lambda: watcher.log().count(f"peer up {ADDRESSES[1]}") == 2, watcher.log, 20)
        frozen.wait_log(rf"peer down {ADDRESSES[0]}", 20)
        harness.wait_until(lambda: frozen.log().count(f"peer up {ADDRESSES[0]}") == 2, frozen.log, 20)
        for node in self.nodes:
            self.assertTrue(node.running(), node.log())

    def test_status__each_peer__has_an_account_that_adds_up(self):
        path = os.path.join(self.nodes[0].folder, "status.json")

        def account():
            try:
                with open(path, encoding="utf-8") as file:
                    peers = {peer["address"]: peer["accounts"] for peer in json.load(file)["peers"]}
            except FileNotFoundError:
                return None
            normal = peers[ADDRESSES[1]].get("normal", {})
            return normal.get("calls_answered", 0) >= 2 and normal.get("requests_answered", 0) >= 2 and normal

        normal = harness.wait_until(account, "two probes in each direction")
        begun = normal["calls_started"]
        ended = sum(normal[f"calls_{how}"] for how in ("answered", "one_way", "failed", "expired", "cancelled"))
        self.assertLessEqual(begun - ended, 1)  # the probe that is on its way

    def test_node__ends__both_say_so_and_it_exits_in_time(self):
        stayer, leaver = self.nodes
        begin = time.monotonic()
        leaver.stop()
        self.assertLess(time.monotonic() - begin, 4)  # nothing was cut off, and nobody was waited for in vain
        stayer.wait_log(rf"peer down {ADDRESSES[1]}: draining", 10)
        self.assertRegex(leaver.log(), rf"I peer left {ADDRESSES[0]}: draining")
        self.assertNotRegex(leaver.log(), "peer down")
        self.assertNotRegex(stayer.log(), rf"{ADDRESSES[1]}.*(closed_by_peer|connection_reset|truncated)")
        leaver.start()
        harness.wait_until(lambda: stayer.log().count(f"peer up {ADDRESSES[1]}") == 2, stayer.log, 20)

    def test_both__end_at_once__neither_waits_for_the_other(self):
        begin = time.monotonic()
        for node in self.nodes:
            node.terminate()
        self.assertEqual([node.wait() for node in self.nodes], [0, 0])
        self.assertLess(time.monotonic() - begin, 4)


if __name__ == "__main__":
    unittest.main()
