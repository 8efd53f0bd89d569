# SPDX-License-Identifier: Apache-2.0
"""Goal: however many come, read nothing, write slowly or begin handshakes, those who behave are served as before.

Method: crowds of raw sockets around one node with small budgets; the good client beside them measures stalls and its
99 % before and during the crowd.  Memory stays within the budget, and when the crowd is gone everything is back.
"""

import contextlib
import os
import resource
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from target import CLUSTER, MIB, SELF, STALL_MAX_US, WEFT, AttackCase, config_text, features

import client as twin_client
import harness
import seastar_rpc as rpc

CROWD = 1000
IDLERS = CROWD // 10  # of the crowd: those who never read
MEMORY_PER_SHARD = 72 * MIB
# Beside its budget a node may take this much for each connection: its slot, its negotiation, a kernel's share excluded.
MEMORY_PER_CONNECTION = 8 * 1024
CONNECTIONS_MAX = 1500
HANDSHAKE_S = 2.0
SOURCE_BYTES = 64 * 1024
PATIENCE_S = 1
IDLE_READERS = 8  # the answers of as many find room
HOGS = 24  # twice as many as there is room for frames of 1 MiB


def descriptors_for(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def budget_for(connections):
    return MEMORY_PER_SHARD + connections * MEMORY_PER_CONNECTION + 8 * MIB


class Crowd:
    """Raw sockets, from several loopback addresses, that are closed together."""

    def __init__(self, to):
        self.to, self.sockets = to, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def come(self, count, first=b"", network="127.30", address=None):
        """Connect, each from the next address or all from this one, and say something."""
        came = []
        for i in range(count):
            sock = socket.socket()
            sock.bind((address or f"{network}.{i >> 8 & 255}.{i & 255 | 1}", 0))
            sock.settimeout(10)
            sock.connect(self.to)
            if first:
                sock.sendall(first)
            came.append(sock)
        self.sockets += came
        return came

    def close(self):
        """By reset, so that nothing of the crowd stays behind in the kernel."""
        for sock in self.sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        self.sockets = []


class Crowds(AttackCase):
    """One node, and a crowd for each test."""

    growth = budget_for(CONNECTIONS_MAX)

    @classmethod
    def setUpClass(cls):
        descriptors_for(4096)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)
        certificate, key = certificates.node("own", SELF)
        cls.certificates = certificates
        encryption = (f"    internode_encryption: none\n    certificate: {certificate}\n    keyfile: {key}\n"
                      f"    truststore: {certificates.ca}\n")
        more = f"    memory_per_shard: {MEMORY_PER_SHARD // MIB}MiB\n    connections_max: {CONNECTIONS_MAX}\n"
        cls.aim(lambda plain, tls: config_text(plain, tls, encryption, more), listeners=("plain", "tls"))
        cls.quiet = cls.watch(1.0)

    @classmethod
    def watch(cls, seconds):
        """What the good client sees in that time."""
        cls.target.pulse.beat()
        end = time.monotonic() + seconds
        harness.wait_until(lambda: time.monotonic() > end, "the time", seconds + 1)
        return cls.target.pulse.beat()

    def assert_unmoved(self, seconds=0.5):
        """The good client's 99 % is at most a fifth above the quiet one's; noise of the machine is tried again."""
        for attempt in range(4):
            beat = self.watch(seconds)
            self.assertLess(beat.stall, STALL_MAX_US, beat)
            if beat.high <= self.quiet.high * 1.2 + 1000:
                return
        self.fail(f"99 % of the good client's calls moved: {beat}, quiet {self.quiet}")

    def assert_within_budget(self, connections):
        self.target.assert_small(budget_for(connections))

    def wait_connections(self, count):
        harness.wait_until(lambda: self.target.status()["in_use"]["connections"] >= count,
                           lambda: f"{count} connections: {self.target.status()['in_use']}", 20)

    def test_crowd__a_tenth_never_reads__the_others_are_served(self):
        ask = rpc.request(rpc.VERB_SOURCE, 1, struct.pack("<I", SOURCE_BYTES), 0)
        with Crowd(self.target.node.plain) as crowd:
            readers = crowd.come(CROWD - IDLERS, features())
            idlers = crowd.come(IDLERS, features(), "127.31")
            for sock in idlers:
                sock.sendall(ask * 100)
            self.wait_connections(CROWD)
            self.assert_unmoved()
            # Every one of the others is answered, while the idle ones are full to the brim.
            for sock in readers:
                sock.sendall(rpc.request(rpc.VERB_ECHO, 9, b"me too", 0))
            for sock in readers:
                answer = b""
                while len(answer) < len(features()) + 16 + 6:
                    piece = sock.recv(4096)
                    self.assertTrue(piece, "closed instead of answered")
                    answer += piece
                self.assertEqual(answer[-6:], b"me too")
            self.assert_unmoved()
            self.assert_within_budget(CROWD)
        self.assert_over()

    def test_writers__of_large_frames_from_one_address__large_frames_of_others_pass_at_once(self):
        claim = features() + rpc.request(rpc.VERB_SINK, 1, b"x", 0, length=MIB)
        with Crowd(self.target.node.plain) as crowd:
            crowd.come(HOGS, claim, address="127.30.9.9")
            harness.wait_until(lambda: self.target.status()["counters"]["frames_over_share"] > 0,
                               "the writers have their share")
            began = time.monotonic()
            with self.target.dial() as client:
                client.negotiate()
                self.assertEqual(client.echo(bytes(MIB)), bytes(MIB))
            self.assertLess(time.monotonic() - began, 5.0)  # a frame's time is 30 s
        self.assert_over([])

    def test_crowd__writes_a_byte_at_a_time__the_others_are_served(self):
        frame = rpc.request(rpc.VERB_SINK, 1, bytes(1000), 0)
        with Crowd(self.target.node.plain) as crowd:
            writers = crowd.come(CROWD, features())
            for at in range(40):
                for sock in writers:
                    sock.sendall(frame[at:at + 1])
            self.wait_connections(CROWD)
            self.assert_unmoved()
            self.assert_within_budget(CROWD)
        self.assert_over()

    def test_crowd__more_than_there_is_room_for__refused_and_the_rest_goes_on(self):
        before = self.target.counted()["too_many_connections"]
        with Crowd(self.target.node.plain) as crowd:
            crowd.come(CONNECTIONS_MAX + 300)
            harness.wait_until(lambda: self.target.counted()["too_many_connections"] - before >= 300,
                               lambda: self.target.counted())
            beat = self.target.pulse.beat()
            self.assertLess(beat.stall, STALL_MAX_US, beat)
            self.assert_within_budget(CONNECTIONS_MAX)
            # Those who say nothing are gone after the handshake's time, and there is room again.
            harness.wait_until(self.newcomer_served, "a newcomer is served", HANDSHAKE_S + 3)
        self.assert_over()

    def newcomer_served(self):
        try:
            with self.target.dial() as client:
                client.negotiate()
                return client.echo(b"x") == b"x"
        except (twin_client.Closed, OSError):
            return False

    def flood(self, seconds, act):
        """Four threads that act again and again; give how often."""
        end = time.monotonic() + seconds
        counts = [0] * 4

        def run(number):
            while time.monotonic() < end:
                with contextlib.suppress(OSError, twin_client.Closed):
                    act(number)
                counts[number] += 1

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join()
        self.assertGreater(sum(counts), 100)

    def flooded(self, seconds, act):
        return contextlib.contextmanager(self.flood)(seconds, act)

    def hit(self, to, raw, number, linger=False):
        with socket.socket() as sock:
            sock.bind((f"127.32.0.{number + 1}", 0))
            sock.settimeout(5)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.connect(to)
            sock.sendall(raw)
            if linger:
                sock.recv(4096)

    def test_connects__as_fast_as_they_can__the_others_are_served(self):
        with self.flooded(1.5, lambda number: self.hit(self.target.node.plain, b"", number)):
            beat = self.watch(1.0)
        self.assertLess(beat.stall, STALL_MAX_US, beat)
        self.assert_over()

    def test_reconnects__as_fast_as_they_can__the_others_are_served(self):
        raw = features() + rpc.request(rpc.VERB_ECHO, 1, bytes(100), 0)
        with self.flooded(1.5, lambda number: self.hit(self.target.node.plain, raw, number, linger=True)):
            beat = self.watch(1.0)
        self.assertLess(beat.stall, STALL_MAX_US, beat)
        self.assert_over()

    def test_handshakes__as_fast_as_they_can__the_others_are_served(self):
        """Each costs the node a key exchange and a signature, and its client nothing."""
        from test_first_bytes import tls_hello
        hello = tls_hello()
        context = twin_client.tls_context(self.certificates.ca)
        with self.flooded(2.0, lambda number: self.hit(self.target.node.tls, hello, number, linger=True)):
            began = time.monotonic()
            with self.target.dial("tls", tls=context) as client:
                client.negotiate()
                self.assertEqual(client.echo(b"x"), b"x")
                self.assertLess(time.monotonic() - began, 1.0)
                beat = self.watch(1.0)
                self.assertEqual(client.echo(b"still"), b"still")
        self.assertLess(beat.stall, STALL_MAX_US, beat)
        self.assert_over()


class Slow(AttackCase):
    """One node with little patience."""

    growth = budget_for(CONNECTIONS_MAX)

    @classmethod
    def setUpClass(cls):
        descriptors_for(4096)
        more = (f"    memory_per_shard: {MEMORY_PER_SHARD // MIB}MiB\n    frame_timeout: {PATIENCE_S}s\n"
                f"    send_timeout: {PATIENCE_S}s\n")
        cls.aim(lambda plain, tls: config_text(plain, tls, more=more))

    def test_writers__of_frames_that_never_end__cut_at_the_deadline_and_large_frames_pass_again(self):
        claim = features() + rpc.request(rpc.VERB_SINK, 1, b"x", 0, length=MIB)
        with Crowd(self.target.node.plain) as crowd:
            writers = crowd.come(HOGS, claim)
            with self.target.dial() as client:
                client.negotiate()
                self.assertEqual(client.echo(bytes(100_000)), bytes(100_000))
                harness.wait_until(lambda: self.dribble(writers), "all are cut off", 15)
                self.assertEqual(client.echo(bytes(MIB)), bytes(MIB))
        self.assert_over(["frame_timeout"] * HOGS)

    def test_client__silent_after_a_large_frame__is_not_cut(self):
        with self.target.dial() as client:
            client.negotiate()
            self.assertEqual(client.echo(bytes(MIB)), bytes(MIB))
            end = time.monotonic() + 2 * PATIENCE_S
            harness.wait_until(lambda: time.monotonic() > end, "the time")
            self.assertEqual(client.echo(b"still here"), b"still here")
        self.assert_over([])

    def dribble(self, writers):
        """A byte more from each; whether all of them were cut off."""
        gone = 0
        for sock in writers:
            try:
                sock.sendall(b"y")
            except OSError:
                gone += 1
        end = time.monotonic() + 0.1
        harness.wait_until(lambda: time.monotonic() > end, "the time")
        return gone == len(writers)

    def test_readers__that_never_read__cut_at_the_deadline(self):
        ask = rpc.request(rpc.VERB_SOURCE, 1, struct.pack("<I", SOURCE_BYTES), 0)
        with Crowd(self.target.node.plain) as crowd:
            for sock in crowd.come(IDLE_READERS, features()):
                sock.sendall(ask * 100)
            harness.wait_until(
                lambda: self.target.counted()["send_timeout"] - self.counted["send_timeout"] == IDLE_READERS,
                lambda: self.target.last, 15)
        self.assert_over(["send_timeout"] * IDLE_READERS)


if __name__ == "__main__":
    unittest.main()
