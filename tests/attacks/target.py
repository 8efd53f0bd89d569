# SPDX-License-Identifier: Apache-2.0
"""What the attacks share: a node to be attacked, and the measures of what an attack did to it.

A Target is a node with a good client beside the attacker (pulse.c), which calls all the time and measures how long the
node's one shard took to answer, less what the machine took; so a stall shows wherever it comes from.  What the node
holds (its status' `in_use`, descriptors, threads) is noted while nothing happens, and must be the same when an attack
is over.

Environment: WEFT, the program; WEFT_ATTACKS, the folder of the C programs beside this file.
"""

import collections
import contextlib
import dataclasses
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import client as twin_client
import harness
import seastar_rpc as rpc

WEFT = os.environ.get("WEFT", "weft")
PROGRAMS = os.environ.get("WEFT_ATTACKS", "")

CLUSTER = "attacked cluster"
OWN_ID = "0e260000-0000-4000-8000-000000000001"
SELF = "127.0.0.1"

MIB = 1 << 20
STALL_MAX_US = 100_000
# What an attack of a few connections may add to the node's memory.
GROWTH_BYTES_MAX = 48 * MIB


@functools.cache
def is_sanitized():
    """A sanitizer keeps freed memory, and has threads and descriptors of its own."""
    with open(WEFT, "rb") as file:
        text = file.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def config_text(plain_port, tls_port, encryption="    internode_encryption: none\n", more="", nodes="    nodes: []\n",
                handshake="2s"):
    return f"""\
cluster_name: {CLUSTER}
listen_address: {SELF}
storage_port: {plain_port}
ssl_storage_port: {tls_port}
server_encryption_options:
{encryption}weft:
    dc: dc1
    rack: r1
    node_id: {OWN_ID}
    shards: 1
    handshake_timeout: {handshake}
    drain_timeout: 5s
{more}{nodes}"""


@dataclasses.dataclass
class Beat:
    """The good client's calls of one interval, in microseconds; all but the longest without the machine's part."""
    count: int
    longest: int
    middle: int
    high: int  # 99 %
    stall: int  # the longest


class Pulse:
    """The good client."""

    def __init__(self, port, pid, interval_us=1000, address=SELF):
        self.process = subprocess.Popen(
            [os.path.join(PROGRAMS, "pulse"), address, str(port), str(pid), str(interval_us)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def beat(self):
        """What happened since the last time; an error of the good client's fails the attack."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the good client gave up: {self.process.stderr.read()}")
        return Beat(*map(int, line.split()))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Target:
    """A running node, its good client, and what it holds when nothing happens."""

    def __init__(self, config=config_text, listeners=("plain",), arguments=(), pulse=True, settled=True,
                 node_class=harness.WeftNode):
        self.folder = tempfile.TemporaryDirectory()
        self.status_path = os.path.join(self.folder.name, "status.json")
        self.node = node_class(WEFT, config, listeners, arguments=["--status", self.status_path, *arguments])
        self.sources = itertools.count(1)
        self.pulse = self.base = None
        self.last = {"counters": {"refused_by_reason": {}, "ended_by_reason": {}}}  # status that was read last
        try:
            self._start(pulse, settled)
        except BaseException:
            self.close()
            raise

    def _start(self, pulse, settled):
        self.node.start()
        if pulse:
            self.pulse = Pulse(self.node.plain_port, self.pid)
            harness.wait_until(lambda: self.pulse.beat().count > 0, "the first call of the good client")
        if settled:
            self.base = self.settled()
        self.base_memory = self.memory()

    @property
    def pid(self):
        return self.node.process.pid

    def close(self):
        if self.pulse:
            self.pulse.close()
        self.node.close()
        self.folder.cleanup()

    # Looking.

    def status(self):
        """The status, as of now: two replacements from here on, as the first may have been on its way."""
        for _ in range(2):
            seen = self._status_identity()
            harness.wait_until(lambda: self._status_identity() != seen, "a fresh status")
        with open(self.status_path, encoding="utf-8") as file:
            self.last = json.load(file)
        return self.last

    def _status_identity(self):
        try:
            facts = os.stat(self.status_path)
            return facts.st_ino, facts.st_mtime_ns
        except FileNotFoundError:
            return None

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        """Of the program; workers that the kernel keeps for its ring come and go as it likes."""
        names = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(OSError):
                with open(f"/proc/{self.pid}/task/{task}/comm", encoding="ascii", errors="replace") as file:
                    names.append(file.read())
        return sum(not name.startswith("iou-") for name in names)

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def held(self):
        return {**self.status()["in_use"], "descriptors": self.descriptors(), "threads": self.threads()}

    def settled(self):
        """What is held once two looks agree."""
        last = [None]

        def agree():
            now = self.held()
            same, last[0] = now == last[0], now
            return now if same else None

        return harness.wait_until(agree, lambda: f"two equal looks: {last[0]}", 20)

    def counted(self):
        """Connections refused and ended so far, by reason."""
        self.status()
        return self.counted_last()

    def counted_last(self):
        """The same, by the status that was read last."""
        counters = self.last["counters"]
        return collections.Counter({**counters["refused_by_reason"], **counters["ended_by_reason"]})

    def lines_about(self, source):
        """Log lines about a source address."""
        return [line for line in self.node.log().splitlines() if f" {source}:" in line]

    # Judging.

    def assert_lively(self):
        """It runs, answers a newcomer, and did not stall since the last time."""
        if not self.node.running():
            raise AssertionError(f"the node ended: {self.node.process.returncode}\n{self.node.log()[-4000:]}")
        with twin_client.Client(self.node.plain, source=self.fresh_source()) as newcomer:
            newcomer.negotiate()
            assert newcomer.echo(b"still here") == b"still here"
        beat = self.pulse.beat()
        if beat.stall > STALL_MAX_US:
            raise AssertionError(f"a stall of {beat.stall} us: {beat}")

    def assert_at_base(self, seconds=20):
        """Everything that was held for the attack is given back."""
        last = [None]

        def back():
            last[0] = self.held()
            return last[0] == self.base

        harness.wait_until(back, lambda: f"held {last[0]}, at the start {self.base}", seconds)

    def assert_small(self, growth=GROWTH_BYTES_MAX):
        grown = self.memory() - self.base_memory
        if grown > growth and not is_sanitized():
            raise AssertionError(f"grew by {grown >> 20} MiB, allowed are {growth >> 20} MiB")

    # Attacking.

    def fresh_source(self):
        """A loopback address that no connection came from yet, so that log lines can be told apart."""
        number = next(self.sources)
        return f"127.26.{number >> 8 & 255}.{number & 255}"

    def to(self, port):
        return self.node.tls if port == "tls" else self.node.plain

    def dial(self, port="plain", source=None, **how):
        return twin_client.Client(self.to(port), source=source or self.fresh_source(), **how)


class AttackCase(unittest.TestCase):
    """Tests that attack one node after the other or all at once."""

    growth = GROWTH_BYTES_MAX

    def setUp(self):
        # Every test ends with a look, after which nothing happens.
        self.counted = self.target.counted_last()

    def assert_over(self, reasons=None):
        """The attack is over: the node is lively and small, everything is back, and so many connections were refused
        and ended for these reasons since the test began, those that just left aside; None: any."""
        self.target.assert_lively()
        self.target.assert_small(self.growth)
        self.target.assert_at_base()
        if reasons is None:
            return
        counted = self.target.counted_last() - self.counted
        for leaving in ("closed_by_peer", "connection_reset"):
            counted.pop(leaving, None)
        self.assertEqual(counted, collections.Counter(reasons))

    @classmethod
    def aim(cls, *arguments, **how):
        """A node that lives as long as the class."""
        cls.target = Target(*arguments, **how)
        cls.addClassCleanup(cls.target.close)

    def dial(self, *arguments, **how):
        client = self.target.dial(*arguments, **how)
        self.addCleanup(client.close)
        return client

    def wait_lines(self, source, count, what=""):
        """Exactly that many log lines are about the source."""
        if count:
            harness.wait_until(lambda: len(self.target.lines_about(source)) >= count,
                               lambda: f"{count} lines about {source}: {self.target.node.log()[-2000:]}")
        lines = self.target.lines_about(source)
        self.assertEqual(len(lines), count, lines)
        for line in lines:
            self.assertIn(what, line)


def features():
    """What a Seastar client offers, as one frame."""
    return rpc.negotiation(rpc.seastar_offer())
