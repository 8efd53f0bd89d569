# SPDX-License-Identifier: Apache-2.0
"""The built program against the twins: WEFT=/path/to/weft python3 -m unittest test_weft

Goal: weft speaks the protocol of docs/protocol as acceptor and as dialer, and no input stops it.
Method: real nodes on loopback, driven byte by byte by a client that shares no code with them; the server twin as
a configured peer.  Absence of an answer is shown by a fence: a later request whose answer arrives first.  After
each case the node must still run and serve a new client.

Who calls from where: 127.0.0.1 is the node itself, 127.0.0.2 a node of its topology (dc1, r1), 127.0.0.4 another
(dc2, r1), 127.0.0.3 a stranger.
"""

import json
import os
import random
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import client as twin_client
import harness
import seastar_rpc as rpc
import server as twin_server

WEFT = os.environ.get("WEFT")

CLUSTER = "interop cluster"
OWN_ID = uuid.UUID("0e000000-0000-4000-8000-000000000001")
NEAR_ID = uuid.UUID("0e000000-0000-4000-8000-000000000002")
FAR_ID = uuid.UUID("0e000000-0000-4000-8000-000000000004")
SELF, NEAR, STRANGER, FAR = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"

MIB = 1 << 20
FRAME_BYTES_MAX = 16 * MIB

NODES = f"""\
    nodes:
        - {{ address: {NEAR}, dc: dc1, rack: r1, id: {NEAR_ID} }}
        - {{ address: {FAR}, dc: dc2, rack: r1, id: {FAR_ID} }}
"""


def config_text(plain_port, tls_port, encryption="    internode_encryption: none\n", nodes=NODES, more=""):
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
    handshake_timeout: 3s
    drain_timeout: 5s
{more}{nodes}"""


def hello_from(source, **changes):
    """The hello that an honest node at that address sends."""
    facts = {NEAR: dict(dc="dc1", rack="r1", node_id=NEAR_ID.bytes),
             FAR: dict(dc="dc2", rack="r1", node_id=FAR_ID.bytes)}
    return rpc.Hello(**{**dict(cluster=CLUSTER), **facts.get(source, {}), **changes})


def offer_of(hello, **how):
    return rpc.seastar_offer(extra=[(rpc.HELLO, rpc.hello(hello))], **how)


def microseconds(value):
    return struct.pack("<Q", value)


def setUpModule():
    if not WEFT or not os.access(WEFT, os.X_OK):
        raise AssertionError(f"WEFT must name the built program, not {WEFT!r}")


class WeftCase(unittest.TestCase):
    """What the cases below share."""

    node = None

    @classmethod
    def run_node(cls, config, **how):
        """Start a node that lives as long as the class."""
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.status_path = os.path.join(cls.folder.name, "status.json")
        cls.node = harness.WeftNode(WEFT, config, arguments=["--status", cls.status_path], **how)
        cls.addClassCleanup(cls.node.close)
        cls.node.start()

    def dial(self, source=SELF, records=None, negotiate=True, to=None, **how):
        client = twin_client.Client(to or self.node.plain, source=source, **how)
        self.addCleanup(client.close)
        if negotiate:
            client.negotiate(records)
        return client

    def assert_serves(self):
        """The node still runs and answers a newcomer."""
        self.assertTrue(self.node.running(), self.node.log()[-4000:])
        self.assertEqual(self.dial().echo(b"still here"), b"still here")

    def assert_closed_unanswered(self, raw, source=SELF, half_close=False, to=None):
        """The node ends the connection and sends nothing at all."""
        client = self.dial(source, negotiate=False, to=to)
        try:
            client.send(raw)
            if half_close:
                client.half_close()
        except (ConnectionError, OSError):
            pass  # it closed before it had read everything, which is an end too
        self.assertEqual(client.read_to_end(), b"")

    def refusal_of(self, source, records, to=None):
        """The name of the refusal that answers an offer; it must be the only record, and the end."""
        client = self.dial(source, negotiate=False, to=to)
        client.offer(records)
        answer = client.answer()
        self.assertEqual([number for number, _ in answer], [rpc.REFUSAL], answer)
        self.assertEqual(client.read_to_end(), b"")
        return rpc.refusal_parse(answer[0][1])

    def assert_refused(self, source, records, reason, to=None):
        self.assertEqual(self.refusal_of(source, records, to), reason)

    def assert_call_fails(self, client, verb, payload, kind):
        """The call ends with an exception of that type; give it and its response."""
        response = client.finish(client.start(verb, payload))
        self.assertTrue(response.failed, response)
        remote = rpc.exception_parse(response.payload)
        self.assertEqual(remote.type, kind, remote)
        return remote, response

    def status(self):
        try:
            with open(self.status_path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def ends(self, reason):
        """How many connections ended for that reason, which is no refusal."""
        return self.status().get("counters", {}).get("ended_by_reason", {}).get(reason, 0)

    def assert_refusals_counted(self, reason, at_least):
        harness.wait_until(lambda: harness.refusals(self.status(), reason) >= at_least,
                           lambda: f"{at_least} refusals {reason}: {self.status()}")


class Acceptor(WeftCase):
    """A node without encryption, asked by Seastar clients."""

    @classmethod
    def setUpClass(cls):
        cls.run_node(config_text)

    def tearDown(self):
        self.assert_serves()

    # Negotiation.

    def test_negotiation__every_set_of_features__answers_what_was_offered(self):
        timeout, cookie, duration = (rpc.TIMEOUT, b""), (rpc.ISOLATION, b"a lane"), (rpc.HANDLER_DURATION, b"")
        for mask in range(8):
            offer = [record for bit, record in enumerate((timeout, cookie, duration)) if mask >> bit & 1]
            with self.subTest(offer=offer):
                client = self.dial(negotiate=False)
                self.assertEqual(client.negotiate(offer), offer)
                response = client.finish(client.start(rpc.VERB_ECHO, b"abc"))
                self.assertEqual(response.payload, b"abc")
                self.assertEqual(response.handler_us is not None, duration in offer)

    def test_negotiation__unknown_features__ignored_and_not_echoed(self):
        unknown = [(6, b""), (99, b"data"), (0x12345678, bytes(500)), (0xFFFFFFFF, b"")]
        client = self.dial(negotiate=False)
        self.assertEqual(client.negotiate(sorted(rpc.seastar_offer() + unknown)), rpc.seastar_offer())
        self.assertEqual(client.echo(b"x"), b"x")

    def test_negotiation__connection_id_of_a_client__passed_over(self):
        client = self.dial(negotiate=False)
        offer = sorted(rpc.seastar_offer() + [(rpc.CONNECTION_ID, bytes(8))])
        self.assertEqual(client.negotiate(offer), rpc.seastar_offer())  # and none of ours: there are no streams
        self.assertEqual(client.echo(b"x"), b"x")

    def test_negotiation__duplicates__first_wins(self):
        client = self.dial(negotiate=False)
        answer = client.negotiate([(rpc.ISOLATION, b"one"), (rpc.TIMEOUT, b""), (rpc.ISOLATION, b"two"),
                                   (rpc.TIMEOUT, b"")])
        self.assertEqual(answer, [(rpc.TIMEOUT, b""), (rpc.ISOLATION, b"one")])
        self.assertEqual(client.echo(b"x"), b"x")

    def test_negotiation__reordered__answered_ascending(self):
        offer = rpc.seastar_offer(cookie=b"c")
        client = self.dial(negotiate=False)
        self.assertEqual(client.negotiate(offer[::-1]), offer)
        self.assertEqual(client.echo(b"x"), b"x")

    def test_negotiation__empty__empty_answer_and_short_headers(self):
        client = self.dial(negotiate=False)
        self.assertEqual(client.negotiate([]), [])
        client.send(rpc.request(rpc.VERB_ECHO, 1, b"abc"))
        self.assertEqual(client.finish(1), rpc.Response(1, b"abc", None))

    def test_negotiation__compression_offered__declined(self):
        client = self.dial(negotiate=False)
        offer = rpc.seastar_offer(extra=[(rpc.COMPRESS, b"NO_SUCH_ALGORITHM")])
        self.assertEqual(client.negotiate(offer), rpc.seastar_offer())
        self.assertEqual(client.echo(b"x"), b"x")

    def test_negotiation__cookie__echoed_byte_for_byte(self):
        for cookie in (b"", b"bulk", b"normal", b"control", b"\x00\xff\n\x1b[31m", bytes(range(256))):
            with self.subTest(cookie=cookie):
                client = self.dial(negotiate=False)
                answer = rpc.features_of(client.negotiate(rpc.seastar_offer(cookie=cookie)))
                self.assertEqual(answer[rpc.ISOLATION], cookie)
                self.assertEqual(client.echo(b"x"), b"x")

    def test_negotiation__wrong_magic__closed_at_the_wrong_byte(self):
        for at in range(8):
            with self.subTest(at=at):
                wrong = bytearray(rpc.MAGIC[:at + 1])
                wrong[at] ^= 0x20
                self.assert_closed_unanswered(bytes(wrong))

    def test_negotiation__other_protocols__closed(self):
        for raw in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
                    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"\r\n\r\n\x00\r\nQUIT\n", bytes(64),
                    random.Random(1).randbytes(MIB)):
            with self.subTest(raw=raw[:16]):
                self.assert_closed_unanswered(raw)

    def test_negotiation__truncated_or_overrun_records__closed(self):
        whole = struct.pack("<II", rpc.TIMEOUT, 0)
        bodies = [bytes(size) for size in range(1, 8)]
        bodies += [whole + bytes(4), struct.pack("<II", 1, 1), struct.pack("<II", 4, 5) + b"abcd",
                   struct.pack("<II", 4, 0xFFFFFFFF), struct.pack("<II", 4, 0x80000000) + bytes(16),
                   whole + struct.pack("<II", 4, 0xFFFFFFF8)]
        for body in bodies:
            with self.subTest(body=body):
                self.assert_closed_unanswered(rpc.MAGIC + struct.pack("<I", len(body)) + body)

    def test_negotiation__over_the_cap__closed_before_it_is_read(self):
        for size in (64 * 1024, MIB, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            with self.subTest(size=size):
                self.assert_closed_unanswered(rpc.MAGIC + struct.pack("<I", size))
                self.assert_closed_unanswered(rpc.MAGIC + struct.pack("<I", size) + bytes(1000))

    def test_negotiation__ends_early__closed(self):
        whole = rpc.negotiation(rpc.seastar_offer(cookie=b"echo"))
        for end in range(len(whole)):
            with self.subTest(end=end):
                self.assert_closed_unanswered(whole[:end], half_close=True)

    def test_negotiation__stalls__closed_at_the_deadline(self):
        clients = []
        for raw in (b"", rpc.MAGIC, rpc.negotiation(rpc.seastar_offer())[:-1]):
            clients.append(self.dial(negotiate=False))
            clients[-1].send(raw)
        for client in clients:
            self.assertEqual(client.read_to_end(), b"")

    def test_negotiation__stream_parent__closed_and_counted(self):
        before = self.ends("streams_unsupported")
        for parent in (bytes(8), microseconds(0x10000), b"\xff" * 8):
            self.assert_closed_unanswered(rpc.negotiation([(rpc.STREAM_PARENT, parent)]))
        harness.wait_until(lambda: self.ends("streams_unsupported") == before + 3, self.status)

    def test_status__running_calls__shown_as_held_until_they_end(self):
        client = self.dial()
        harness.wait_until(self.status, "a status")
        ids = [client.start(rpc.VERB_SLEEP, microseconds(700000)) for _ in range(3)]
        held = harness.wait_until(lambda: self.status()["in_use"]["requests"] == 3 and self.status(), self.status)
        self.assertGreater(held["in_use"]["connections"], 0)
        self.assertGreaterEqual(held["in_use"]["timers"], 3)
        for msg_id in ids:
            client.finish(msg_id)
        client.close()
        harness.wait_until(lambda: self.status()["in_use"]["requests"] == 0, self.status)

    # Calls.

    def test_echo__any_size__same_bytes(self):
        client = self.dial()
        pattern = random.Random(2).randbytes(MIB)
        for size in (0, 1, 7, 8, 4095, 16 * 1024 - 16, 16 * 1024, 16 * 1024 + 1, 65537, MIB):
            with self.subTest(size=size):
                self.assertEqual(client.echo(pattern[:size]), pattern[:size])

    def test_standard_verbs__each__as_described(self):
        client = self.dial()
        self.assertEqual(client.call(rpc.VERB_HELLO), b"")
        self.assertEqual(client.call(rpc.VERB_WRITE, bytes(12345)), microseconds(12345))
        for size in (0, 1, 70000):
            self.assertEqual(len(client.call(rpc.VERB_SOURCE, struct.pack("<I", size))), size)
        self.assertEqual(len(client.call(rpc.VERB_SOURCE, struct.pack("<I", 5) + b"trailing bytes")), 5)
        self.assertEqual(client.call(rpc.VERB_SLEEP, microseconds(0)), b"")

    def test_headers__with_and_without_features__28_16_and_20_12(self):
        client = self.dial(records=rpc.seastar_offer())
        client.send(microseconds(0) + struct.pack("<QqI", rpc.VERB_ECHO, 7, 3) + b"abc")
        head = client.take(lambda data: (bytes(data[:19]), 19) if len(data) >= 19 else None)
        self.assertEqual((head[:12], head[16:]), (struct.pack("<qI", 7, 3), b"abc"))
        client = self.dial(records=[])
        client.send(struct.pack("<QqI", rpc.VERB_ECHO, 7, 3) + b"abc")
        head = client.take(lambda data: (bytes(data[:15]), 15) if len(data) >= 15 else None)
        self.assertEqual(head, struct.pack("<qI", 7, 3) + b"abc")

    def test_handler_duration__sleep__measured(self):
        client = self.dial()
        response = client.finish(client.start(rpc.VERB_SLEEP, microseconds(50000)))
        self.assertGreaterEqual(response.handler_us, 45000)
        self.assertLess(response.handler_us, 5000000)

    def test_replies__slow_before_fast__out_of_order(self):
        client = self.dial()
        slow = client.start(rpc.VERB_SLEEP, microseconds(200000))
        fast = client.start(rpc.VERB_ECHO, b"x")
        self.assertEqual([client.receive().msg_id, client.receive().msg_id], [fast, slow])

    def test_fail__user_exception_with_the_text(self):
        client = self.dial()
        for text in (b"boom", b"", "ünïcode\n".encode()):
            remote, _ = self.assert_call_fails(client, rpc.VERB_FAIL, text, rpc.EXCEPTION_USER)
            self.assertEqual(remote.data, text)
        self.assertEqual(client.echo(b"x"), b"x")

    def test_unknown_verb__answered_with_the_verb_and_unmeasured(self):
        client = self.dial()
        for verb in (0, 9, 77, (1 << 63) - 1):
            remote, response = self.assert_call_fails(client, verb, b"whatever", rpc.EXCEPTION_UNKNOWN_VERB)
            self.assertEqual((remote.verb, response.handler_us), (verb, rpc.NOT_MEASURED))
        self.assertEqual(client.echo(b"x"), b"x")

    def test_verb__all_64_bits_count(self):
        client = self.dial()
        for verb in (rpc.VERB_ECHO + (1 << 32), rpc.VERB_ECHO + (1 << 62)):
            remote, _ = self.assert_call_fails(client, verb, b"x", rpc.EXCEPTION_UNKNOWN_VERB)
            self.assertEqual(remote.verb, verb)

    def test_own_verbs__without_a_hello__unknown(self):
        client = self.dial()
        for verb in (1 << 63, rpc.VERB_PING, rpc.VERB_CANCEL, rpc.VERB_GOODBYE, (1 << 64) - 1):
            remote, _ = self.assert_call_fails(client, verb, bytes(8), rpc.EXCEPTION_UNKNOWN_VERB)
            self.assertEqual(remote.verb, verb)

    def test_short_payload__answered_with_a_user_exception(self):
        client = self.dial()
        for verb, payload in ((rpc.VERB_SLEEP, b""), (rpc.VERB_SLEEP, bytes(7)), (rpc.VERB_SOURCE, bytes(3))):
            self.assert_call_fails(client, verb, payload, rpc.EXCEPTION_USER)
        self.assertEqual(client.echo(b"x"), b"x")

    def test_one_way__sink__counted_and_not_answered(self):
        client = self.dial()
        calls, size = client.count()
        for length in (0, 1, 1000, 100000):
            client.start(rpc.VERB_SINK, bytes(length))
        fence = client.start(rpc.VERB_COUNT)
        response = client.receive()
        self.assertEqual(response.msg_id, fence)
        self.assertEqual(struct.unpack("<QQ", response.payload), (calls + 4, size + 101001))

    def test_timeout__shorter_than_the_handler__no_reply(self):
        client = self.dial()
        client.start(rpc.VERB_SLEEP, microseconds(200000), timeout_ms=50)
        fence = client.start(rpc.VERB_SLEEP, microseconds(400000), timeout_ms=60000)
        self.assertEqual(client.receive().msg_id, fence)

    def test_timeout__none_or_huge__answered(self):
        client = self.dial()
        for timeout_ms in (0, 60000, 1 << 32, 1 << 63, (1 << 64) - 1):
            with self.subTest(timeout_ms=timeout_ms):
                self.assertEqual(client.call(rpc.VERB_ECHO, b"x", timeout_ms), b"x")

    def test_requests__behind_the_negotiation__answered(self):
        client = self.dial(negotiate=False)
        offer = rpc.seastar_offer()
        client.send(rpc.negotiation(offer) + rpc.request(rpc.VERB_ECHO, 1, b"early", 0)
                    + rpc.request(rpc.VERB_FAIL, 2, b"late", 0))
        self.assertEqual(client.answer(), offer)
        self.assertEqual(client.finish(1).payload, b"early")
        self.assertTrue(client.finish(2).failed)

    def test_delivery__any_fragments__same_calls(self):
        for how in (1, 2, 11, random.Random(3)):
            with self.subTest(how=how):
                client = self.dial(records=rpc.seastar_offer(cookie=b"cookie"), fragment=how)
                ids = [client.start(rpc.VERB_ECHO, bytes((i,)) * i) for i in range(12)]
                for i, msg_id in enumerate(ids):
                    self.assertEqual(client.finish(msg_id).payload, bytes((i,)) * i)

    def test_delivery__thousands_in_one_segment__each_answered_once(self):
        client = self.dial()
        frames, ids = zip(*(client.frame(rpc.VERB_ECHO) for _ in range(5000)))
        client.send(b"".join(frames))
        self.assertEqual(sorted(client.receive().msg_id for _ in ids), sorted(ids))

    def test_msg_id__large__copied(self):
        client = self.dial()
        for msg_id in ((1 << 31) + 1, (1 << 63) - 1, 2):
            client.send(client.frame(rpc.VERB_ECHO, b"x", msg_id=msg_id)[0])
            self.assertEqual(client.receive().msg_id, msg_id)

    # What ends a connection.

    def assert_frame_closes(self, **how):
        client = self.dial()
        self.assertEqual(client.echo(b"x"), b"x")
        client.send(client.frame(rpc.VERB_ECHO, **how)[0])
        self.assertEqual(client.read_to_end(), b"")

    def test_msg_id__zero_or_negative__closed(self):
        for msg_id in (0, -1, -(1 << 63)):
            with self.subTest(msg_id=msg_id):
                self.assert_frame_closes(msg_id=msg_id, payload=b"x")

    def test_frame__largest__accepted(self):
        client = self.dial()
        self.assertEqual(client.call(rpc.VERB_WRITE, bytes(FRAME_BYTES_MAX)), microseconds(FRAME_BYTES_MAX))

    def test_frame__one_byte_over__closed(self):
        for length in (FRAME_BYTES_MAX + 1, 0x80000000, 0xFFFFFFFF, 0xFFFFFFE4):
            with self.subTest(length=length):
                self.assert_frame_closes(length=length)

    def test_half_close__running_call__no_reply(self):
        client = self.dial()
        client.start(rpc.VERB_SLEEP, microseconds(200000))
        client.half_close()
        self.assertEqual(client.read_to_end(), b"")

    def test_frame__unfinished_then_closed__closed(self):
        for cut in (1, 27, 28, 60):
            with self.subTest(cut=cut):
                client = self.dial()
                client.send(client.frame(rpc.VERB_ECHO, bytes(100))[0][:cut])
                client.half_close()
                self.assertEqual(client.read_to_end(), b"")

    def test_reset__in_the_middle_of_calls__survived(self):
        for _ in range(20):
            client = self.dial()
            client.start(rpc.VERB_SLEEP, microseconds(100000))
            client.start(rpc.VERB_SOURCE, struct.pack("<I", MIB))
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    def test_source__no_memory_now__busy_by_name_and_served_later(self):
        ask = (rpc.VERB_SOURCE, struct.pack("<I", 8 * MIB))
        outcomes = []

        def is_busy(offer, source):
            with twin_client.Client(self.node.plain, source=source or SELF) as client:
                client.negotiate(offer)
                response = client.finish(client.start(*ask))
                outcomes.append(rpc.exception_parse(response.payload) if response.failed else None)
                return outcomes[-1] is not None

        takers = [self.dial() for _ in range(6)]
        for taker in takers:
            taker.start(*ask)  # and does not take it
        harness.wait_until(lambda: is_busy(offer_of(hello_from(NEAR)), NEAR), lambda: f"busy: {outcomes}")
        self.assertEqual(outcomes[-1].type, rpc.EXCEPTION_BUSY)
        harness.wait_until(lambda: is_busy(rpc.seastar_offer(), None), lambda: f"busy: {outcomes}")
        self.assertTrue(outcomes[-1].data.startswith(b"busy: no memory"), outcomes[-1])
        for taker in takers:
            taker.close()
        harness.wait_until(lambda: not is_busy(rpc.seastar_offer(), None), lambda: f"served: {outcomes}")

    # weft's hello.

    def test_hello__of_a_known_node__answered_with_a_hello(self):
        client = self.dial(NEAR, offer_of(hello_from(NEAR)))
        self.assertEqual([number for number, _ in client.features.items()],
                         [rpc.TIMEOUT, rpc.HANDLER_DURATION, rpc.HELLO])
        hello = rpc.hello_parse(client.features[rpc.HELLO])
        self.assertEqual((hello.cluster, hello.dc, hello.rack, hello.node_id, hello.shards, hello.shard),
                         (CLUSTER, "dc1", "r1", OWN_ID.bytes, 1, 0))
        self.assertGreater(hello.incarnation, 0)
        self.assertEqual(client.echo(b"x"), b"x")

    def test_half_open__more_than_a_peer_may_have__its_own_connections_are_admitted(self):
        # From the peer's own address, and none of them says a word: 256 are a peer's by default.
        for _ in range(300):
            self.dial(NEAR, negotiate=False)
        client = self.dial(NEAR, offer_of(hello_from(NEAR)))
        self.assertEqual(client.echo(b"mine"), b"mine")

    def test_hello__of_every_lane__admitted(self):
        for lane in ("control", "normal", "bulk"):
            with self.subTest(lane=lane):
                client = self.dial(NEAR, offer_of(hello_from(NEAR, lane=lane)))
                self.assertIn(rpc.HELLO, client.features)
                self.assertEqual(client.echo(b"x"), b"x")

    def test_hello__of_a_later_version__its_tail_ignored(self):
        for version in (1, 2, 0xFFFF):
            data = rpc.hello(hello_from(NEAR, version=version), tail=bytes(100))
            client = self.dial(NEAR, rpc.seastar_offer(extra=[(rpc.HELLO, data)]))
            self.assertIn(rpc.HELLO, client.features)

    def test_hello__ping__same_number(self):
        client = self.dial(NEAR, offer_of(hello_from(NEAR)))
        for value in (0, 1, (1 << 64) - 1):
            self.assertEqual(client.call(rpc.VERB_PING, microseconds(value)), microseconds(value))

    def test_hello__other_reserved_verbs__unknown(self):
        client = self.dial(NEAR, offer_of(hello_from(NEAR)))
        remote, _ = self.assert_call_fails(client, (1 << 63) + 999, b"", rpc.EXCEPTION_UNKNOWN_VERB)
        self.assertEqual(remote.verb, (1 << 63) + 999)

    def test_hello__wrong_cluster__refused_by_name_and_counted(self):
        self.assert_refused(NEAR, offer_of(hello_from(NEAR, cluster="another")), "wrong_cluster")
        self.assert_refusals_counted("wrong_cluster", 1)

    def test_hello__wrong_node_id__refused(self):
        self.assert_refused(NEAR, offer_of(hello_from(NEAR, node_id=FAR_ID.bytes)), "wrong_node")

    def test_hello__another_location_than_the_topology__refused(self):
        for claim in (dict(rack="r2"), dict(dc="dc2"), dict(dc="DC1"), dict(rack="r1 ")):
            with self.subTest(claim=claim):
                self.assert_refused(NEAR, offer_of(hello_from(NEAR, **claim)), "location_claim_mismatch")

    def test_hello__that_names_no_location__is_no_contradiction(self):
        for claim in (dict(dc="", rack=""), dict(rack="")):
            with self.subTest(claim=claim):
                client = self.dial(NEAR, offer_of(hello_from(NEAR, **claim)))
                self.assertIn(rpc.HELLO, client.features)

    def test_hello__own_node_id__refused(self):
        self.assertIn(self.refusal_of(NEAR, offer_of(hello_from(NEAR, node_id=OWN_ID.bytes))),
                      ("self_connection", "wrong_node"))

    def test_hello__malformed__closed(self):
        whole = rpc.hello(hello_from(NEAR))
        for data in (b"", whole[:10], whole[:34], whole[:-1], whole[:34] + b"\xff" + whole[35:]):
            with self.subTest(data=data):
                self.assert_closed_unanswered(rpc.negotiation([(rpc.HELLO, data)]), NEAR)

    def test_hello__missing_from_a_known_node__closed(self):
        self.assert_closed_unanswered(rpc.negotiation(rpc.seastar_offer()), NEAR)
        self.assert_refusals_counted("hello_missing", 1)

    def test_stranger__fault_in_its_hello__told_nothing_but_refused(self):
        for changes in (dict(cluster="another"), dict(node_id=OWN_ID.bytes)):
            with self.subTest(changes=changes):
                self.assert_refused(STRANGER, offer_of(hello_from(STRANGER, **changes)), "refused")

    def test_refusal_record__from_a_dialer__ignored(self):
        client = self.dial(records=rpc.seastar_offer(extra=[(rpc.REFUSAL, rpc.refusal("draining"))]))
        self.assertEqual(client.echo(b"x"), b"x")


class Stopping(WeftCase):
    """SIGTERM: what runs is finished, the rest is closed, exit code 0."""

    def setUp(self):
        self.node = harness.WeftNode(WEFT, config_text)
        self.addCleanup(self.node.close)
        self.node.start()

    def test_sigterm__idle_connections__closed_and_exit_0(self):
        clients = [self.dial() for _ in range(5)] + [self.dial(negotiate=False)]
        self.assertEqual([client.echo(b"x") for client in clients[:5]], [b"x"] * 5)
        self.node.terminate()
        for client in clients:
            self.assertEqual(client.read_to_end(), b"")
        self.assertEqual(self.node.wait(), 0)

    def test_sigterm__running_call__answered_then_closed(self):
        client = self.dial()
        slow = client.start(rpc.VERB_SLEEP, microseconds(500000))
        self.assertEqual(client.echo(b"the sleep before was started"), b"the sleep before was started")
        self.node.terminate()
        self.assertFalse(client.finish(slow).failed)
        self.assertEqual(client.read_to_end(), b"")
        self.assertEqual(self.node.wait(), 0)

    def test_sigterm__requests_that_come_all_the_same__busy_and_not_run(self):
        for source, records in ((SELF, None), (NEAR, offer_of(hello_from(NEAR)))):
            with self.subTest(source=source):
                node = harness.WeftNode(WEFT, config_text)
                self.addCleanup(node.close)
                node.start()
                client = self.dial(source, records, to=node.plain)
                slow = client.start(rpc.VERB_SLEEP, microseconds(1_000_000))
                client.echo(b"the sleep before was started")
                node.terminate()
                late = harness.wait_until(lambda: (answer := client.finish(client.start(rpc.VERB_ECHO, b"late"))).failed
                                          and answer, "a refused request")
                remote = rpc.exception_parse(late.payload)
                if records:
                    self.assertEqual(remote.type, rpc.EXCEPTION_BUSY)
                else:
                    self.assertEqual(remote.type, rpc.EXCEPTION_USER)
                    self.assertTrue(late.payload[8:].startswith(b"busy"), late.payload)
                self.assertFalse(client.finish(slow).failed)
                self.assertEqual(client.read_to_end(), b"")
                self.assertEqual(node.wait(), 0)

    def test_payload__more_than_a_shard_can_ever_hold__told_and_passed_over(self):
        node = harness.WeftNode(WEFT, lambda *ports: config_text(*ports, more="    memory_per_shard: 4MiB\n"))
        self.addCleanup(node.close)
        node.start()
        client = self.dial(SELF, None, to=node.plain)
        self.assertEqual(client.call(rpc.VERB_ECHO, bytes(200_000)), bytes(200_000))
        # Without a timeout: it would wait for ever.
        refused = client.finish(client.start(rpc.VERB_ECHO, bytes(3_000_000)))
        self.assertTrue(refused.failed)
        self.assertEqual(rpc.exception_parse(refused.payload).type, rpc.EXCEPTION_USER)
        self.assertTrue(refused.payload[8:].startswith(b"oversized: 3000000 bytes"), refused.payload)
        self.assertIn(b"memory_per_shard", refused.payload)
        self.assertEqual(client.echo(b"the stream is in step"), b"the stream is in step")
        self.assertEqual(client.held, {})
        friend = self.dial(NEAR, offer_of(hello_from(NEAR)), to=node.plain)
        refused = rpc.exception_parse(friend.finish(friend.start(rpc.VERB_ECHO, bytes(3_000_000))).payload)
        self.assertEqual((refused.type, len(refused.data)), (rpc.EXCEPTION_OVERSIZED, 4))
        most, = struct.unpack("<I", refused.data)
        self.assertTrue(200_000 < most < 3_000_000, most)
        self.assertEqual(friend.echo(b"in step, too"), b"in step, too")

    def test_cancel__of_a_running_request__it_is_never_answered(self):
        client = self.dial(NEAR, offer_of(hello_from(NEAR)))
        cancelled = client.start(rpc.VERB_SLEEP, microseconds(200_000))
        client.start(rpc.VERB_CANCEL, microseconds(cancelled))
        client.start(rpc.VERB_CANCEL, microseconds(cancelled + 1000))  # nobody's
        client.start(rpc.VERB_CANCEL, b"short")
        self.assertEqual(client.call(rpc.VERB_SLEEP, microseconds(400_000)), b"")
        self.assertEqual(client.held, {})
        self.node.stop()

    def test_sigint__like_sigterm(self):
        self.assert_serves()
        self.node.process.send_signal(signal.SIGINT)
        self.assertEqual(self.node.wait(), 0)


class Encrypted(WeftCase):
    """A node under scope dc with client certificates: each listener admits what the policy says."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)
        own = cls.certificates.node("own", SELF, node_id=str(OWN_ID))
        cls.far = cls.certificates.node("far", FAR, "dc2", "r1", str(FAR_ID))
        strangers = harness.WeftCertificates(WEFT, os.path.join(folder.name, "strangers"), CLUSTER)
        cls.stranger = strangers.node("stranger", STRANGER)
        cls.stranger_ca = strangers.ca
        encryption = (f"    internode_encryption: dc\n    certificate: {own[0]}\n    keyfile: {own[1]}\n"
                      f"    truststore: {cls.certificates.ca}\n    require_client_auth: true\n")
        cls.run_node(lambda plain, tls: config_text(plain, tls, encryption), listeners=("plain", "tls"))

    def tearDown(self):
        self.assertTrue(self.node.running(), self.node.log()[-4000:])
        self.assertEqual(self.dial_tls().echo(b"still here"), b"still here")

    def context(self, pair=None, ca=None):
        return twin_client.tls_context(ca or self.certificates.ca, *(pair or self.far))

    def dial_tls(self, source=STRANGER, records=None, context=None, **how):
        return self.dial(source, records, to=self.node.tls, tls=context or self.context(), **how)

    def assert_tls_refused(self, context):
        """No call is ever answered; in TLS 1.3 the dialer may learn that after its own handshake."""
        with self.assertRaises((ssl.SSLError, ConnectionError, twin_client.Closed)):
            self.dial_tls(context=context)

    def test_tls__seastar_client__served_in_any_fragments(self):
        for how in (None, 1, random.Random(5)):
            client = self.dial_tls(records=rpc.seastar_offer(cookie=b"c"), fragment=how)
            payload = random.Random(6).randbytes(300 if how else 3 * MIB)
            self.assertEqual(client.echo(payload), payload)

    def test_tls__versions__1_2_and_1_3_only_with_aead(self):
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            context = self.context()
            context.minimum_version = context.maximum_version = version
            client = self.dial_tls(context=context)
            self.assertEqual(client.sock.version(), name)
            self.assertIn("GCM", client.sock.cipher()[0])
            self.assertEqual(client.echo(b"x"), b"x")

    def test_tls__hello_of_a_node_of_the_other_datacenter__admitted(self):
        for lane in ("normal", "control", "bulk"):
            client = self.dial_tls(FAR, offer_of(hello_from(FAR, lane=lane)))
            self.assertIn(rpc.HELLO, client.features)
            self.assertEqual(client.echo(b"x"), b"x")

    def test_tls__without_a_client_certificate__refused_and_counted(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.certificates.ca)
        self.assert_tls_refused(context)
        self.assert_refusals_counted("cert_missing", 1)

    def test_tls__certificate_of_another_ca__refused_and_counted(self):
        self.assert_tls_refused(self.context(self.stranger))
        self.assert_refusals_counted("cert_untrusted", 1)

    def test_tls__client_that_trusts_another_ca__finds_out(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.dial_tls(context=self.context(ca=self.stranger_ca))

    def test_tls__cut_in_the_middle_of_a_frame__survived(self):
        client = self.dial_tls()
        client.send(client.frame(rpc.VERB_ECHO, bytes(1000))[0][:500])
        client.sock.shutdown(socket.SHUT_RDWR)
        client.close()

    def test_plain__same_datacenter__admitted(self):
        client = self.dial(NEAR, offer_of(hello_from(NEAR)))
        self.assertIn(rpc.HELLO, client.features)
        self.assertEqual(client.echo(b"x"), b"x")

    def test_plain__control_lane__refused(self):
        self.assert_refused(NEAR, offer_of(hello_from(NEAR, lane="control")), "plaintext_forbidden")

    def test_plain__other_datacenter__refused_and_counted(self):
        for lane in ("normal", "bulk"):
            self.assert_refused(FAR, offer_of(hello_from(FAR, lane=lane)), "plaintext_forbidden")
        self.assert_refusals_counted("plaintext_forbidden", 2)

    def test_plain__other_datacenter_that_claims_to_be_near__refused(self):
        claim = hello_from(FAR, dc="dc1", rack="r1")
        self.assertIn(self.refusal_of(FAR, offer_of(claim)), ("plaintext_forbidden", "location_claim_mismatch"))

    def test_plain__stranger__told_nothing_but_refused(self):
        self.assert_refused(STRANGER, offer_of(hello_from(STRANGER)), "refused")
        self.assert_closed_unanswered(rpc.negotiation(rpc.seastar_offer()), STRANGER)
        request = rpc.request(rpc.VERB_ECHO, 1, b"x", 0)
        self.assert_closed_unanswered(rpc.negotiation(rpc.seastar_offer()) + request, FAR)

    def test_plain_hello__on_the_tls_port__refused_in_plain(self):
        self.assert_refused(NEAR, offer_of(hello_from(NEAR)), "plaintext_on_tls_port", to=self.node.tls)

    def test_plain__on_the_tls_port_without_a_hello__never_served(self):
        for raw in (rpc.negotiation(rpc.seastar_offer()), b"GET / HTTP/1.1\r\n\r\n", bytes(100)):
            with self.subTest(raw=raw[:8]):
                client = self.dial(NEAR, negotiate=False, to=self.node.tls)
                client.send(raw)
                answer = client.read_to_end()
                self.assertTrue(answer == b"" or answer[0] == 21, answer)

    def test_tls__on_the_plain_port__answered_with_an_alert(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with self.assertRaises(ssl.SSLWantReadError):
            self.context().wrap_bio(incoming, outgoing).do_handshake()
        client = self.dial(NEAR, negotiate=False)
        client.send(outgoing.read())
        answer = client.read_to_end()
        self.assertEqual((answer[0], answer[1], len(answer)), (21, 3, 7), answer)
        self.assert_refusals_counted("tls_on_plaintext_port", 1)


class Dialer(WeftCase):
    """A node with the server twin as its configured peer."""

    def setUp(self):
        self.twin = twin_server.Server(NEAR)
        self.marker = random.randbytes(16)

    def start(self, mode="serve", twin=True):
        """The twin first, then a node that dials and probes it."""
        if twin:
            self.twin.mode = mode
            self.twin.start()
            self.addCleanup(self.twin_stop)
        nodes = (f"    nodes:\n        - {{ address: {NEAR}, dc: dc1, rack: r1, storage_port: {self.twin.port}, "
                 f"ssl_storage_port: {self.twin.port} }}\n")
        self.node = harness.WeftNode(WEFT, lambda plain, tls: config_text(plain, tls, nodes=nodes),
                                     arguments=["--probe", "100ms", "--probe-marker", self.marker.hex()])
        self.addCleanup(self.node.close)
        self.node.start()

    def twin_stop(self):
        if self.twin is not None:
            self.twin.stop()
            self.twin = None

    def echoes(self):
        return self.twin.calls[rpc.VERB_ECHO]

    def wait_echoes(self, more=3, seconds=20.0):
        have = self.echoes()
        harness.wait_until(lambda: self.echoes() >= have + more,
                           lambda: f"{more} more probes, of {have}; {self.twin.connections} connections, offers "
                                   f"{self.twin.offers[-2:]}\n{self.node.log()[-4000:]}", seconds)

    def test_peer__serves__negotiated_probed_and_up(self):
        self.start()
        self.wait_echoes()
        offers = [offer for offer in self.twin.offers if rpc.HELLO in offer
                  and rpc.hello_parse(offer[rpc.HELLO]).lane == "normal"]
        self.assertTrue(offers, self.twin.offers)
        self.assertLessEqual({rpc.TIMEOUT, rpc.HANDLER_DURATION, rpc.HELLO}, set(offers[0]))
        for absent in (rpc.COMPRESS, rpc.CONNECTION_ID, rpc.STREAM_PARENT, rpc.REFUSAL):
            self.assertNotIn(absent, offers[0])
        hello = rpc.hello_parse(offers[0][rpc.HELLO])
        self.assertEqual((hello.cluster, hello.dc, hello.rack, hello.node_id, hello.shards, hello.shard),
                         (CLUSTER, "dc1", "r1", OWN_ID.bytes, 1, 0))
        self.assertTrue(all(self.marker in payload for payload in self.twin.payloads), self.twin.payloads)
        self.node.wait_log(rf"I peer up {NEAR}\b")
        self.node.stop()

    def test_peer__without_hello__gets_none_of_wefts_verbs(self):
        self.start()
        self.wait_echoes(10)
        self.assertEqual([verb for verb in self.twin.calls if verb >= 1 << 63], [], self.twin.calls)

    def test_peer__restarted__dialed_again(self):
        self.start()
        self.wait_echoes()
        port = self.twin.port
        self.twin_stop()
        self.node.wait_log(rf"peer down {NEAR}\b", 20)
        self.twin = twin_server.Server(NEAR, port).start()
        self.wait_echoes()
        self.node.stop()

    def test_peer__absent_at_first__dialed_until_it_is_there(self):
        self.twin.port = harness.free_ports(1, (NEAR,))[0]
        self.start(twin=False)
        self.twin.start()
        self.addCleanup(self.twin_stop)
        self.wait_echoes()
        self.node.stop()

    def test_peer__answers_garbage_or_closes__backed_off_and_recovered(self):
        for mode in ("garbage", "close"):
            with self.subTest(mode=mode):
                self.twin = twin_server.Server(NEAR)
                self.start(mode)
                times = harness.wait_until(self.normal_attempts, lambda: f"five attempts, not {self.twin.attempts}\n"
                                           f"{self.node.log()[-4000:]}", 60)
                gaps = [later - earlier for earlier, later in zip(times, times[1:])]
                self.assertGreater(min(gaps), 0.005, f"a storm: {gaps}")
                self.assertGreater(gaps[-2] + gaps[-1], gaps[0], f"no back-off: {gaps}")
                self.assertTrue(self.node.running(), self.node.log()[-4000:])
                self.twin.mode = "serve"
                self.wait_echoes(seconds=60)
                self.node.stop()
                self.twin_stop()

    def normal_attempts(self):
        times = [at for at, lane in list(self.twin.attempts) if lane == "normal"]
        return times[:5] if len(times) >= 5 else None

    def test_peer__silent__given_up_at_the_deadline_and_recovered(self):
        self.start("silent")
        harness.wait_until(lambda: self.twin.connections >= 2, lambda: self.node.log()[-4000:])
        first = self.twin.connections
        harness.wait_until(lambda: self.twin.connections > first + 1, lambda: self.node.log()[-4000:], 30)
        self.twin.mode = "serve"
        self.wait_echoes(seconds=60)
        self.node.stop()

    def test_node__stopped_while_the_peer_is_silent__exit_0(self):
        self.start("silent")
        harness.wait_until(lambda: self.twin.connections >= 1, lambda: self.node.log()[-4000:])
        self.node.stop()


class Bystander(WeftCase):
    """The program's own manners."""

    def test_node__port_in_use__says_so_and_exits_1(self):
        node = harness.WeftNode(WEFT, config_text)
        self.addCleanup(node.close)
        node.start()
        path = os.path.join(node.folder, "second.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config_text(node.plain_port, node.tls_port))
        done = program_run([WEFT, "node", path])
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(str(node.plain_port), done.stderr)
        node.stop()

    def test_node__bad_configuration__one_line_and_exit_1(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "weft.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write("server_encryption_options:\n    internode_encryption: ALL\n")
            done = program_run([WEFT, "node", path])
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("weft.yaml:2:", done.stderr)
            self.assertIn("internode_encryption", done.stderr)


def program_run(arguments):
    return subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


if __name__ == "__main__":
    unittest.main()
