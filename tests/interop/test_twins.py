# SPDX-License-Identifier: Apache-2.0
"""The twins against each other and against bytes recorded from a Seastar server.

Goal: whatever client.py or server.py finds in weft must be weft's doing, so the twins are right first.
Method: the recorded bytes as golden vectors in both directions, then every feature of the client against the
server over TCP and TLS, in every fragmentation.
"""

import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import client as twin_client
import harness
import seastar_rpc as rpc
import server as twin_server

HERE = os.path.dirname(os.path.abspath(__file__))


def packed(text):
    return bytes.fromhex(text)


# Recorded between a Seastar server's rpc_tester and its clients.
OFFER = packed("53535441525250431c000000" "0100000000000000" "04000000040000006563686f" "0500000000000000")
ANSWER = packed("53535441525250432c000000" "0100000000000000" "02000000080000000000010000000000"
                "04000000040000006563686f" "0500000000000000")
ECHO_REQUEST = packed("0000000000000000" "0200000000000000" "0100000000000000" "08000000" "8877665544332211")
ECHO_RESPONSE = packed("0100000000000000" "08000000" "00000000" "8877665544332211")
UNKNOWN_REQUEST = packed("0000000000000000" "4d00000000000000" "0300000000000000" "00000000")
UNKNOWN_RESPONSE = packed("fdffffffffffffff" "10000000" "ffffffff" "01000000" "08000000" "4d00000000000000")
SEASTAR_OFFER = packed("535354415252504310000000" "0100000000000000" "0500000000000000")
SEASTAR_ANSWER = packed("535354415252504320000000" "0100000000000000" "02000000080000000000020000000000"
                        "0500000000000000")
VOID_REQUEST = packed("0000000000000000" "0000000000000000" "0100000000000000" "00000000")
VOID_RESPONSE = packed("0100000000000000" "00000000" "00000000")


class Golden(unittest.TestCase):
    """The recorded bytes, built and parsed."""

    def test_negotiation__recorded__built_and_parsed(self):
        offer = rpc.seastar_offer(cookie=b"echo")
        answer = sorted(offer + [(rpc.CONNECTION_ID, struct.pack("<Q", 0x10000))])
        for raw, records in ((OFFER, offer), (ANSWER, answer), (SEASTAR_OFFER, rpc.seastar_offer()),
                             (SEASTAR_ANSWER, sorted(rpc.seastar_offer()
                                                     + [(rpc.CONNECTION_ID, struct.pack("<Q", 0x20000))]))):
            self.assertEqual(rpc.negotiation(records), raw)
            self.assertEqual(rpc.negotiation_parse(raw + b"next"), (records, len(raw)))

    def test_calls__recorded__built_and_parsed(self):
        value = struct.pack("<Q", 0x1122334455667788)
        self.assertEqual(rpc.request(2, 1, value, 0), ECHO_REQUEST)
        self.assertEqual(rpc.request_parse(ECHO_REQUEST, True), (rpc.Request(2, 1, value, 0), 36))
        self.assertEqual(rpc.response(1, value, 0), ECHO_RESPONSE)
        self.assertEqual(rpc.response_parse(ECHO_RESPONSE, True), (rpc.Response(1, value, 0), 24))
        self.assertEqual(rpc.request(0, 1, b"", 0), VOID_REQUEST)
        self.assertEqual(rpc.response(1, b"", 0), VOID_RESPONSE)
        self.assertEqual(rpc.response_parse(VOID_RESPONSE, True), (rpc.Response(1, b"", 0), 16))

    def test_unknown_verb__recorded__built_and_parsed(self):
        self.assertEqual(rpc.request(77, 3, b"", 0), UNKNOWN_REQUEST)
        payload = rpc.exception(rpc.EXCEPTION_UNKNOWN_VERB, struct.pack("<Q", 77))
        self.assertEqual(rpc.response(-3, payload, rpc.NOT_MEASURED), UNKNOWN_RESPONSE)
        response, used = rpc.response_parse(UNKNOWN_RESPONSE, True)
        self.assertEqual((used, response.failed, response.handler_us), (32, True, rpc.NOT_MEASURED))
        self.assertEqual(rpc.exception_parse(response.payload).verb, 77)

    def test_request__timeout_of_the_recording__little_endian(self):
        self.assertTrue(rpc.request(2, 1, b"", 1999).startswith(packed("cf07000000000000")))


class Parsers(unittest.TestCase):
    """Prefixes are never enough, and nonsense is never taken."""

    def test_frames__every_prefix__incomplete(self):
        for raw, parse in ((ANSWER, rpc.negotiation_parse), (ECHO_REQUEST, lambda d: rpc.request_parse(d, True)),
                           (ECHO_REQUEST[8:], lambda d: rpc.request_parse(d, False)),
                           (UNKNOWN_RESPONSE, lambda d: rpc.response_parse(d, True)),
                           (rpc.response(5, b"abc"), lambda d: rpc.response_parse(d, False))):
            for end in range(len(raw)):
                self.assertIsNone(parse(raw[:end]))
            self.assertEqual(parse(raw)[1], len(raw))

    def test_negotiation__nonsense__refused(self):
        for raw in (b"X", b"SSTARRPD", b"GET / HTTP/1.1", OFFER[:8] + b"\xff\xff\xff\xff",
                    rpc.MAGIC + struct.pack("<I", 4) + bytes(4), rpc.MAGIC + struct.pack("<III", 8, 1, 1),
                    rpc.MAGIC + struct.pack("<IIII", 12, 1, 5, 0)):
            with self.assertRaises(rpc.ProtocolError, msg=raw):
                rpc.negotiation_parse(raw)

    def test_features__duplicates__first_wins(self):
        self.assertEqual(rpc.features_of([(4, b"a"), (1, b""), (4, b"b")]), {4: b"a", 1: b""})

    def test_hello__fields__round_trip_and_layout(self):
        value = rpc.Hello("c", "dc-1", "", "control", bytes(range(16)), 0x0102030405060708, 2, 1, 0, 1, 0)
        raw = rpc.hello(value)
        self.assertEqual(raw, packed("01000000" "000102030405060708090a0b0c0d0e0f" "0807060504030201" "020001000000"
                                     "0163" "0464632d31" "00" "07636f6e74726f6c"))
        self.assertEqual(rpc.hello_parse(raw), value)
        self.assertEqual(rpc.hello_parse(rpc.hello(value, tail=b"a later version")), value)
        for end in range(len(raw)):
            with self.assertRaises(rpc.ProtocolError):
                rpc.hello_parse(raw[:end])

    def test_refusal__codes__by_position(self):
        self.assertEqual(rpc.refusal("refused"), b"\x01\x00")
        self.assertEqual(rpc.refusal("plaintext_forbidden"), b"\x03\x00")
        self.assertEqual(rpc.refusal("wrong_cluster"), b"\x10\x00")
        for name in rpc.REFUSALS:
            self.assertEqual(rpc.refusal_parse(rpc.refusal(name)), name)
        for raw in (b"", b"\x01", b"\x00\x00", b"\xff\xff"):
            with self.assertRaises(rpc.ProtocolError):
                rpc.refusal_parse(raw)

    def test_exception__lying_lengths__refused(self):
        for raw in (b"", bytes(7), rpc.exception(0, b"abc")[:-1], rpc.exception(0, b"abc") + b"x"):
            with self.assertRaises(rpc.ProtocolError):
                rpc.exception_parse(raw)


class Twins(unittest.TestCase):
    """Client against server, both plain."""

    @classmethod
    def setUpClass(cls):
        cls.server = twin_server.Server().start()
        cls.addClassCleanup(cls.server.stop)

    def dial(self, records=None, negotiate=True, **how):
        client = twin_client.Client((self.server.host, self.server.port), **how)
        self.addCleanup(client.close)
        if negotiate:
            client.negotiate(records)
        return client

    def assert_closed_unanswered(self, raw):
        client = self.dial(negotiate=False)
        client.send(raw)
        self.assertEqual(client.read_to_end(), b"")

    def test_server__recorded_requests__recorded_answers(self):
        with twin_server.Server(connection_id=0x10000) as server:
            with twin_client.Client((server.host, server.port)) as client:
                client.send(OFFER + ECHO_REQUEST + UNKNOWN_REQUEST)
                records = client.answer()
                self.assertEqual(rpc.negotiation(records), ANSWER)
                self.assertEqual(client.finish(1).payload, ECHO_RESPONSE[16:])
                self.assertEqual(client.finish(3), rpc.response_parse(UNKNOWN_RESPONSE, True)[0])

    def test_client__offer__recorded_bytes(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = twin_client.Client(listener.getsockname())
            self.addCleanup(client.close)
            peer, _ = listener.accept()
            self.addCleanup(peer.close)
            peer.settimeout(10)
            client.offer(rpc.seastar_offer(cookie=b"echo"))
            peer.sendall(ANSWER)
            client.answer()
            self.assertEqual(client.start(2, struct.pack("<Q", 0x1122334455667788)), 1)
            want = OFFER + ECHO_REQUEST
            self.assertEqual(peer.recv(len(want), socket.MSG_WAITALL), want)
            peer.sendall(ECHO_RESPONSE)
            self.assertEqual(client.finish(1), rpc.Response(1, ECHO_RESPONSE[16:], 0))

    def test_features__any_set_order_or_duplicate__answered_alike(self):
        full = [(rpc.TIMEOUT, b""), (rpc.ISOLATION, b"lane"), (rpc.HANDLER_DURATION, b"")]
        noise = (0x12345678, b"unknown")
        for offer, answer in (([], []), (full, full), (full[::-1], full), ([noise] + full + [noise], full),
                              (full + [(rpc.ISOLATION, b"second")], full), (full[:1], full[:1]), (full[2:], full[2:]),
                              ([(rpc.COMPRESS, b"LZ4")] + full, full)):
            with self.subTest(offer=offer):
                client = self.dial(negotiate=False)
                self.assertEqual(client.negotiate(offer), answer)
                self.assertEqual(client.echo(b"x"), b"x")
                response = client.finish(client.start(rpc.VERB_ECHO, b"y"))
                self.assertEqual(response.handler_us is not None, rpc.HANDLER_DURATION in dict(offer))

    def test_verbs__all__as_described(self):
        client = self.dial()
        self.assertEqual(client.call(rpc.VERB_HELLO), b"")
        for payload in (b"", b"x", bytes(range(256)) * 4096):
            self.assertEqual(client.echo(payload), payload)
        self.assertEqual(client.call(rpc.VERB_WRITE, bytes(1000)), struct.pack("<Q", 1000))
        calls, size = client.count()
        client.start(rpc.VERB_SINK, b"12345")
        self.assertEqual(client.count(), (calls + 1, size + 5))
        self.assertEqual(client.call(rpc.VERB_SOURCE, struct.pack("<I", 70000)), bytes(70000))
        with self.assertRaises(twin_client.CallFailed) as failed:
            client.call(rpc.VERB_FAIL, b"no, thanks")
        self.assertEqual((failed.exception.remote.type, failed.exception.remote.data), (0, b"no, thanks"))
        with self.assertRaises(twin_client.CallFailed) as failed:
            client.call(rpc.VERB_PING, bytes(8))
        self.assertEqual(failed.exception.remote.verb, rpc.VERB_PING)

    def test_replies__slow_before_fast__out_of_order(self):
        client = self.dial()
        slow, fast = client.start(rpc.VERB_SLEEP, struct.pack("<Q", 100000)), client.start(rpc.VERB_ECHO, b"x")
        self.assertEqual([client.receive().msg_id, client.receive().msg_id], [fast, slow])

    def test_sleep__measured__in_handler_duration(self):
        client = self.dial()
        response = client.finish(client.start(rpc.VERB_SLEEP, struct.pack("<Q", 30000)))
        self.assertGreaterEqual(response.handler_us, 29000)

    def test_timeout__shorter_than_the_handler__no_reply(self):
        client = self.dial()
        client.start(rpc.VERB_SLEEP, struct.pack("<Q", 50000), timeout_ms=10)
        fence = client.start(rpc.VERB_SLEEP, struct.pack("<Q", 100000), timeout_ms=10000)
        self.assertEqual(client.receive().msg_id, fence)

    def test_payload__too_short__no_reply(self):
        client = self.dial()
        client.start(rpc.VERB_SLEEP, b"abc")
        fence = client.start(rpc.VERB_ECHO)
        self.assertEqual(client.receive().msg_id, fence)

    def test_half_close__drops_replies(self):
        client = self.dial()
        client.start(rpc.VERB_SLEEP, struct.pack("<Q", 50000))
        client.half_close()
        self.assertEqual(client.read_to_end(), b"")

    def test_nonsense__closed_without_an_answer(self):
        for raw in (b"GET / HTTP/1.1\r\n\r\n", rpc.MAGIC + struct.pack("<I", 4) + bytes(4),
                    rpc.MAGIC + struct.pack("<IIII", 12, 1, 5, 0), rpc.negotiation([(rpc.STREAM_PARENT, bytes(8))])):
            self.assert_closed_unanswered(raw)

    def test_fragments__any__same_calls(self):
        for how in (1, 3, 7, random.Random(4), None):
            with self.subTest(how=how):
                client = self.dial(rpc.seastar_offer(cookie=b"c"), fragment=how)
                ids = [client.start(rpc.VERB_ECHO, bytes((i,)) * i) for i in range(20)]
                for i, msg_id in enumerate(ids):
                    self.assertEqual(client.finish(msg_id).payload, bytes((i,)) * i)

    def test_deadline__silent_server__timeout(self):
        with twin_server.Server(mode="silent") as server:
            with twin_client.Client((server.host, server.port), deadline_s=0.05) as client:
                self.assertRaises(TimeoutError, client.negotiate)

    def test_modes__garbage_and_close__seen_by_the_client(self):
        with twin_server.Server(mode="garbage") as server:
            with twin_client.Client((server.host, server.port)) as client:
                self.assertRaises(rpc.ProtocolError, client.negotiate)
            server.mode = "close"
            with twin_client.Client((server.host, server.port)) as client:
                self.assertRaises(twin_client.Closed, client.negotiate)
            server.mode = "serve"
            with twin_client.Client((server.host, server.port)) as client:
                client.negotiate(rpc.seastar_offer(extra=[(rpc.HELLO, rpc.hello(rpc.Hello(lane="bulk")))]))
                self.assertNotIn(rpc.HELLO, client.features)
                self.assertEqual(client.echo(b"x"), b"x")
            self.assertEqual((server.connections, server.calls[rpc.VERB_ECHO]), (3, 1))
            self.assertEqual([lane for _, lane in server.attempts], [None, None, "bulk"])

    def test_server__stopped_and_started_on_its_port__serves_again(self):
        server = twin_server.Server().start()
        client = twin_client.Client((server.host, server.port))
        self.addCleanup(client.close)
        client.negotiate()
        server.stop()
        self.assertEqual(client.read_to_end(), b"")
        with twin_server.Server(port=server.port) as again:
            with twin_client.Client((again.host, again.port)) as client:
                client.negotiate()
                self.assertEqual(client.echo(b"x"), b"x")


@unittest.skipUnless(shutil.which("openssl"), "makes its certificates with the openssl program")
class TlsTwins(unittest.TestCase):
    """Client against server over TLS."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        harness.openssl_certificates(folder.name)
        cls.file = staticmethod(lambda name: os.path.join(folder.name, name))
        cls.server = twin_server.Server(tls=twin_server.tls_context(
            cls.file("server.crt"), cls.file("server.key"), cls.file("ca.crt"))).start()
        cls.addClassCleanup(cls.server.stop)

    def test_calls__with_a_client_certificate__answered(self):
        context = twin_client.tls_context(self.file("ca.crt"), self.file("client.crt"), self.file("client.key"))
        for how in (None, 5):
            with twin_client.Client((self.server.host, self.server.port), tls=context, fragment=how) as client:
                client.negotiate()
                payload = bytes(range(256)) * (1024 if how is None else 1)
                self.assertEqual(client.echo(payload), payload)

    def test_client__without_a_certificate__refused(self):
        context = twin_client.tls_context(self.file("ca.crt"))
        with self.assertRaises((ssl.SSLError, OSError, twin_client.Closed)):
            with twin_client.Client((self.server.host, self.server.port), tls=context) as client:
                client.negotiate()

    def test_client__that_trusts_another__refuses(self):
        context = twin_client.tls_context(self.file("client.crt"))
        with self.assertRaises(ssl.SSLCertVerificationError):
            twin_client.Client((self.server.host, self.server.port), tls=context)


class Programs(unittest.TestCase):
    """client.py and server.py as programs."""

    def test_programs__one_call_and_many__answered(self):
        server = subprocess.Popen([sys.executable, os.path.join(HERE, "server.py")], stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        address = re.fullmatch(r"listening (\S+:\d+)\n", server.stdout.readline()).group(1)
        for arguments, code, text in ((["echo", "hi"], 0, "b'hi'"), (["fail", "boom"], 1, "boom"),
                                      (["99"], 1, "failed"), (["--repeat", "50", "echo", "x"], 0, "50 of 50"),
                                      (["--repeat", "3", "sink", "abcd"], 0, "calls 3, bytes 12")):
            done = subprocess.run([sys.executable, os.path.join(HERE, "client.py"), address, *arguments],
                                  capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(text, done.stdout)
        server.send_signal(signal.SIGTERM)
        self.assertIn("connections 5", server.stdout.read())
        self.assertEqual(server.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
