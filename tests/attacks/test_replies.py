# SPDX-License-Identifier: Apache-2.0
"""Goal: no acceptor, whatever it answers, does more to the node that dials it than end or idle its own connection.

Method: one node with a rogue as each of its peers, all at once, and probes (ECHO) to every one of them.  Some rogues
must lose their connection, for the reason in the table, and are dialed again with growing pauses; the others keep it,
and their right answers still arrive.  The play lasts until every rogue had its turns, however busy the machine is.
Then all turn good, and every peer must be probed with success.
"""

import dataclasses
import math
import os
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from target import CLUSTER, OWN_ID, AttackCase, config_text
from rogue import Rogues, Script

import harness
import seastar_rpc as rpc

import uuid

# The shortest play, so that what must not happen has its time; and how long the rogues may need for their turns.
PLAY_S = 3.0
TURNS_S = 60.0
# A lane's pauses between dials double from this on.
PAUSE_S = 0.05
LATE_REPLIES = 100


class Answers(Script):
    """Answers the negotiation with these bytes."""

    def __init__(self, raw):
        self.raw = raw

    def answer(self, features):
        return self.raw


class Replies(Script):
    """Replies to each request with fn(request, handler_us)."""

    def __init__(self, fn):
        self.fn = fn

    def reply(self, request, handler_us):
        return self.fn(request, handler_us)


def right(request, handler_us):
    return rpc.response(request.msg_id, request.payload, handler_us)


def failing(payload):
    return lambda request, handler_us: rpc.response(-request.msg_id, payload, handler_us)


def lying(length, more=b""):
    return lambda request, _: struct.pack("<qII", request.msg_id, length, 0) + more


class LateByOne(Script):
    """Replies to each request only when the next but twenty comes, by which time nobody waits any more."""

    def __init__(self):
        self.late = []

    def reply(self, request, handler_us):
        self.late.append(right(request, handler_us))
        return self.late.pop(0) if len(self.late) > 20 else b""


def hello_answer(**changes):
    hello = rpc.hello(rpc.Hello(**{"cluster": CLUSTER, "node_id": uuid.uuid4().bytes, **changes}))
    return rpc.negotiation([(rpc.HELLO, hello)])


@dataclasses.dataclass
class Case:
    script: Script
    reason: str = None  # None: the connection stays
    answered: bool = False  # right answers still arrive


CASES = {
    "magic_is_wrong": Case(Answers(b"X" + rpc.negotiation()[1:]), "bad_magic"),
    "http_400": Case(Answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "bad_magic"),
    "tls_alert": Case(Answers(bytes.fromhex("15030300020228")), "plaintext_on_tls_port"),
    "negotiation_over_the_cap": Case(Answers(rpc.MAGIC + b"\xff" * 4), "bad_negotiation"),
    "record_over_its_frame": Case(Answers(rpc.MAGIC + struct.pack("<III", 8, 1, 9)), "bad_negotiation"),
    "ten_thousand_records": Case(Answers(rpc.negotiation([(i, b"") for i in range(10_000)])), "bad_negotiation"),
    "hello_cut_short": Case(Answers(rpc.negotiation([(rpc.HELLO, bytes(12))])), "bad_negotiation"),
    "hello_of_another_cluster": Case(Answers(hello_answer(cluster="another\nE fake")), "wrong_cluster"),
    "hello_with_our_own_id": Case(Answers(hello_answer(node_id=uuid.UUID(OWN_ID).bytes)), "self_connection"),
    "refusal_of_an_unknown_code": Case(Answers(rpc.negotiation([(rpc.REFUSAL, b"\xff\xff")])), "refused"),
    "refusal_of_code_0": Case(Answers(rpc.negotiation([(rpc.REFUSAL, b"\x00\x00")])), "refused"),
    "refusal_of_one_byte": Case(Answers(rpc.negotiation([(rpc.REFUSAL, b"\x01")])), "bad_negotiation"),
    "closes_without_an_answer": Case(Answers(None), "closed_by_peer"),
    "closes_at_the_first_request": Case(Replies(lambda request, _: None), "closed_by_peer"),
    "reply_one_byte_too_large": Case(Replies(lying((16 << 20) + 1)), "frame_too_large"),
    "reply_length_all_ones": Case(Replies(lying(0xFFFFFFFF)), "frame_too_large"),
    "reply_length_sign_bit": Case(Replies(lying(0x80000000, bytes(5000))), "frame_too_large"),
    "reply_length_that_wraps": Case(Replies(lying(0xFFFFFFF0)), "frame_too_large"),
    "exception_without_a_type": Case(Replies(failing(b"")), "bad_frame"),
    "exception_of_7_bytes": Case(Replies(failing(bytes(7))), "bad_frame"),
    "exception_cut_short": Case(Replies(failing(struct.pack("<II", 0, 5) + b"boom")), "bad_frame"),
    "exception_length_all_ones": Case(Replies(failing(struct.pack("<II", 0, 0xFFFFFFFF))), "bad_frame"),
    "unknown_verb_without_the_verb": Case(Replies(failing(struct.pack("<II", 1, 0))), "bad_frame"),
    "exception_of_unknown_type": Case(Replies(failing(struct.pack("<II", 0x7FFFFFFF, 3) + b"abc"))),
    "exception_with_formats_and_escapes": Case(Replies(failing(struct.pack("<II", 0, 13) + b"%s%n\x1b[31m\nE x"))),
    "reply_to_an_id_never_sent": Case(
        Replies(lambda request, us: rpc.response(request.msg_id + (1 << 40), b"stray", us) + right(request, us)),
        answered=True),
    "reply_to_id_0": Case(Replies(lambda request, us: rpc.response(0, b"zero", us) + right(request, us)),
                          answered=True),
    "reply_to_the_last_id": Case(
        Replies(lambda request, us: rpc.response((1 << 63) - 1, b"x", us) + right(request, us)), answered=True),
    "exception_for_the_most_negative_id": Case(
        Replies(lambda request, us: rpc.response(-(1 << 63), b"x", us) + right(request, us)), answered=True),
    "every_reply_twice": Case(Replies(lambda request, us: right(request, us) * 2), answered=True),
    "reply_then_exception": Case(
        Replies(lambda request, us: right(request, us) + failing(struct.pack("<II", 0, 0))(request, us)),
        answered=True),
    "reply_after_the_deadline": Case(LateByOne()),
    "never_replies": Case(Replies(lambda request, _: b"")),
    "compression_nobody_asked_for": Case(Answers(rpc.negotiation([(rpc.COMPRESS, b"LZ4")] + rpc.seastar_offer())),
                                         "bad_negotiation"),
    "connection_id_for_streams": Case(
        Answers(rpc.negotiation(sorted(rpc.seastar_offer() + [(rpc.CONNECTION_ID, bytes(8))]))), answered=True),
}


class Replying(AttackCase):
    """The node, and its rogues."""

    @classmethod
    def setUpClass(cls):
        port = harness.free_ports(1, ("127.27.0.1",))[0]
        cls.rogues = Rogues(port, {name: case.script for name, case in CASES.items()})
        cls.rogues.__enter__()
        cls.addClassCleanup(cls.rogues.__exit__)
        nodes = "    nodes:\n" + "".join(f"        - {{ address: {rogue.address}, dc: dc1, rack: r1, "
                                         f"storage_port: {port} }}\n" for rogue in cls.rogues.rogues.values())
        cls.began = time.monotonic()
        cls.aim(lambda plain, tls: config_text(plain, tls, nodes=nodes), settled=False,
                arguments=["--probe", "60ms", "--verbose"])

    def probes(self):
        """Answered probes by address."""
        return {peer["address"]: peer["probes_answered"] for peer in self.target.status()["peers"]}

    def normal_ends(self, address):
        """How the normal lane's connections to a peer ended, by the log."""
        return [line for line in self.target.lines_about(address) if "lane normal: " in line]

    def dials_most(self):
        """How often a lane can have been dialed so far, from one failure to the next."""
        return 2 + int(math.log2(1 + (time.monotonic() - self.began) / PAUSE_S))

    def waiting(self):
        """The rogues that did not have their turns yet, and what else is missing."""
        answered = self.probes()
        names = []
        for name, case in CASES.items():
            rogue = self.rogues.rogues[name]
            ended = case.reason is None or len(self.normal_ends(rogue.address)) > 1
            if not ended or rogue.requests < 2 and case.reason is None or case.answered and not answered[rogue.address]:
                names.append(name)
        if self.target.last["counters"]["late_replies"] <= LATE_REPLIES:
            names.append("late replies")
        return names

    def assert_played(self, name, case, answered):
        rogue = self.rogues.rogues[name]
        ends = self.normal_ends(rogue.address)
        self.assertGreater(rogue.connections, 0)
        self.assertEqual(answered[rogue.address] > 0, case.answered, answered[rogue.address])
        if case.reason is None:
            self.assertEqual(ends, [])
            self.assertGreater(rogue.requests, 1)
        else:
            self.assertTrue(ends)
            self.assertLessEqual(len(ends), self.dials_most())
            for line in ends:
                self.assertIn(f"lane normal: {case.reason}", line)

    def test_rogues__all_at_once__each_hurts_itself_alone(self):
        time_to_play = time.monotonic() + PLAY_S
        harness.wait_until(lambda: time.monotonic() > time_to_play, "the play's end", PLAY_S + 1)
        harness.wait_until(lambda: not self.waiting(), lambda: f"no turn yet: {self.waiting()}", TURNS_S)
        answered = self.probes()
        for name, case in CASES.items():
            with self.subTest(name):
                self.assert_played(name, case, answered)
        self.target.assert_lively()
        self.target.assert_small()
        self.assertNotIn("\x1b", self.target.node.log())
        for rogue in self.rogues.rogues.values():
            rogue.good = True
        before = self.probes()
        harness.wait_until(lambda: all(count > before[address] for address, count in self.probes().items()),
                           lambda: f"no answer: {[a for a, n in self.probes().items() if n <= before[a]]}", TURNS_S)
        self.target.assert_lively()


if __name__ == "__main__":
    unittest.main()
