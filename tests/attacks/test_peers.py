# SPDX-License-Identifier: Apache-2.0
"""Goal: a peer that dies, stops, is cut off or comes back is noticed in time, and costs the calls on it and no more.

Method: two nodes, each a peer of the other, with probes between them, in a network namespace of the test's own, where
packets can be dropped and sockets killed.  After each fault the peer is declared down for a named reason, the rest of
the node goes on (the good client), and when the fault is over probes are answered again.
"""

import ctypes
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from target import CLUSTER, AttackCase, Target

import harness

CLONE_NEWNET = 0x40000000
PORT, TLS_PORT = 26100, 26101
NEAR, FAR = "127.0.0.1", "127.29.0.2"
HEARTBEAT_MS = 300
# Three heartbeats without an answer, and one in which the first was on its way; then some time for a busy machine.
NOTICED_S = 4 * HEARTBEAT_MS / 1000 + 2
# Pauses double up to what the fault lasted, and a dial under way is given up after the handshake's time.
RECOVERED_S = 15


def config_of(address, other):
    return f"""\
cluster_name: {CLUSTER}
listen_address: {address}
storage_port: {PORT}
ssl_storage_port: {TLS_PORT}
weft:
    dc: dc1
    rack: r1
    shards: 1
    heartbeat: {HEARTBEAT_MS}ms
    handshake_timeout: 1s
    drain_timeout: 2s
    nodes:
        - {{ address: {other}, dc: dc1, rack: r1 }}
"""


class FixedPort(harness.WeftNode):
    """A node in this namespace, where every port is free."""

    def start(self):
        path = os.path.join(self.folder, "weft.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.config(PORT, TLS_PORT))
        self.plain_port, self.tls_port = PORT, TLS_PORT
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.weft, "node", path, *self.arguments], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        self.wait_log(rf"listening plain {self.address}:{PORT}", harness.START_S)
        return self


def network_of_our_own():
    """This thread, and what it starts, into a namespace with nothing but loopback.  Why not, where it cannot be had."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return f"no network namespace: {os.strerror(ctypes.get_errno())}"
    for command in (["ip", "link", "set", "lo", "up"], ["nft", "add", "table", "ip", "probe"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        except OSError as error:
            return str(error)
        if done.returncode != 0:
            return f"{' '.join(command)}: {done.stderr}"
    return None


def setUpModule():
    why_not = network_of_our_own()
    if why_not:
        raise unittest.SkipTest(why_not)


def nft(rules):
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, capture_output=True, timeout=20)


class Peers(AttackCase):
    """The near node is looked at; the far one suffers."""

    def setUp(self):
        # Not the base class': every test has nodes of its own.
        self.target = Target(lambda *_: config_of(NEAR, FAR), settled=False, node_class=FixedPort,
                             arguments=["--probe", "50ms"])
        self.addCleanup(self.target.close)
        self.far = FixedPort(self.target.node.weft, lambda *_: config_of(FAR, NEAR), address=FAR,
                             arguments=["--probe", "50ms"])
        self.addCleanup(self.far.close)
        self.far.start()
        self.target.node.wait_log(rf"I peer up {FAR}", RECOVERED_S)
        self.addCleanup(subprocess.run, ["nft", "delete", "table", "ip", "cut"], capture_output=True)

    def answered(self):
        return self.target.status()["peers"][0]["probes_answered"]

    def wait_probed(self, seconds=RECOVERED_S):
        before = self.answered()
        harness.wait_until(lambda: self.answered() > before + 3, self.target.node.log, seconds)

    def wait_down(self, reasons, seconds=NOTICED_S):
        self.target.node.wait_log(rf"W peer down {FAR}: ({'|'.join(reasons)})\n", seconds)

    def downs(self):
        return self.target.node.log().count(f"W peer down {FAR}")

    def assert_recovers(self):
        self.wait_probed()
        self.target.assert_lively()
        status = self.target.status()
        # The good client and the peer's two lanes in each direction; nothing half dead besides.
        self.assertLessEqual(status["in_use"]["connections"], 5, status["links"])
        self.assertEqual(self.downs(), 1, self.target.node.log())

    def test_peer__killed_and_started_again__down_at_once_and_up_again(self):
        self.far.kill()
        self.wait_down(["connection_reset", "closed_by_peer"], 2)
        self.target.assert_lively()
        self.far.start()
        self.assert_recovers()

    def test_peer__stopped_and_continued__down_by_its_silence(self):
        self.far.process.send_signal(signal.SIGSTOP)
        try:
            self.wait_down(["heartbeat_missed"])
            self.target.assert_lively()
        finally:
            self.far.process.send_signal(signal.SIGCONT)
        self.assert_recovers()

    def test_sockets__killed__down_at_once_and_dialed_again(self):
        killed = subprocess.run(["ss", "-K", "-t", "dst", FAR, "dport", "=", str(PORT)], capture_output=True, text=True)
        self.assertIn(FAR, killed.stdout, killed.stderr)
        self.wait_down(["connection_reset", "closed_by_peer"], 2)
        self.assert_recovers()

    def test_packets__dropped_both_ways__down_by_silence_and_up_after_healing(self):
        nft(f"table ip cut {{ chain out {{ type filter hook output priority 0; "
            f"tcp dport {PORT} ip daddr {FAR} drop; tcp sport {PORT} ip saddr {FAR} drop; }}; }};")
        self.wait_down(["heartbeat_missed"])
        self.target.assert_lively()
        nft("delete table ip cut")
        self.assert_recovers()

    def test_packets__dropped_one_way__down_by_silence_and_up_after_healing(self):
        nft(f"table ip cut {{ chain out {{ type filter hook output priority 0; "
            f"tcp sport {PORT} ip saddr {FAR} drop; }}; }};")
        self.wait_down(["heartbeat_missed"])
        self.target.assert_lively()
        nft("delete table ip cut")
        self.assert_recovers()

    def test_packets__answered_by_resets__down_at_once(self):
        nft(f"table ip cut {{ chain out {{ type filter hook output priority 0; "
            f"tcp dport {PORT} ip daddr {FAR} reject with tcp reset; }}; }};")
        self.wait_down(["connection_reset"], 2)
        self.target.assert_lively()
        nft("delete table ip cut")
        self.assert_recovers()


if __name__ == "__main__":
    unittest.main()
