# SPDX-License-Identifier: Apache-2.0
"""Goal: whatever a stranger says first on either port is refused by name, at once or at its deadline, at no cost.

Method: a table of openings, each sent from a source address of its own.  After each one the answer, the one log line
and its reason are looked at, and the good client has seen no stall; at the end the counters must add up and everything
held must be back.  The openings that wait for a deadline wait together.
"""

import dataclasses
import os
import random
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from target import CLUSTER, MIB, SELF, WEFT, AttackCase, config_text, features

import client as twin_client
import harness
import seastar_rpc as rpc

HANDSHAKE_S = 2.0


def tls_hello(versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)):
    """The first bytes of a TLS client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version, context.maximum_version = versions
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="weft").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def raw_hello(version, suites=(0xC02B, 0xC02F, 0x009C, 0x002F), extensions=b""):
    """A ClientHello of that version at most, byte by byte: what no library offers any more."""
    body = struct.pack(">H", version) + bytes(range(32)) + b"\x00"
    body += struct.pack(f">H{len(suites)}H", 2 * len(suites), *suites) + b"\x01\x00"
    if extensions:
        body += struct.pack(">H", len(extensions)) + extensions
    return struct.pack(">BHHB", 22, min(version, 0x0301), len(body) + 4, 1) + len(body).to_bytes(3, "big") + body


SSL2_HELLO = bytes.fromhex("802e0100020015000000100100800300800700c005008006004004008002008000000000") + bytes(12)
PROXY_2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes((10, 0, 0, 1, 10, 0, 0, 2)) + struct.pack(">HH", 1, 2)
HTTP_GET = b"GET / HTTP/1.1\r\nHost: weft\r\n\r\n"
NOISE = random.Random(26).randbytes(MIB)


def is_nothing(answer):
    return answer == b""


def is_alert(answer):
    return len(answer) == 7 and answer[0] == 21


def is_nothing_or_alert(answer):
    return is_nothing(answer) or is_alert(answer)


def is_refused_as_stranger(answer):
    records, used = rpc.negotiation_parse(answer)
    return used == len(answer) and [rpc.refusal_parse(data) for _, data in records] == ["refused"]


@dataclasses.dataclass
class Opening:
    name: str
    raw: bytes
    reason: str
    answer: object = is_nothing
    port: str = "plain"
    words: str = ""  # in the log line, behind the reason


HELLO_FRAME = rpc.negotiation(rpc.seastar_offer(extra=[(rpc.HELLO, rpc.hello(rpc.Hello(cluster=CLUSTER)))]))

SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
PROXY_1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
ON_TLS = "plaintext_on_tls_port"

AT_ONCE = [
    Opening("http_get_on_rpc_port", HTTP_GET, "bad_magic", words="the peer sends HTTP"),
    Opening("http_get_on_tls_port", HTTP_GET, ON_TLS, is_nothing_or_alert, "tls", "the peer sends HTTP to the TLS"),
    Opening("http_2_preface_on_rpc_port", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad_magic", words="sends HTTP"),
    Opening("tls_hello_on_rpc_port", tls_hello(), "tls_on_plaintext_port", is_alert,
            words="the peer sends a TLS handshake to the plaintext port"),
    Opening("ssl_3_hello_on_rpc_port", raw_hello(0x0300), "tls_on_plaintext_port", is_alert, words="a TLS handshake"),
    Opening("tls_alert_on_rpc_port", bytes.fromhex("15030300020228"), "bad_magic", words="the peer sends a TLS alert"),
    Opening("seastar_offer_on_tls_port", features(), ON_TLS, port="tls"),
    Opening("weft_hello_on_tls_port", HELLO_FRAME, ON_TLS, is_refused_as_stranger, "tls"),
    Opening("ssh_banner_on_rpc_port", SSH, "bad_magic", words="the peer sends an SSH banner"),
    Opening("ssh_banner_on_tls_port", SSH, ON_TLS, port="tls", words="an SSH banner to the TLS port"),
    Opening("ssl2_hello_on_rpc_port", SSL2_HELLO, "tls_on_plaintext_port", is_alert, words="an SSL 2.0 hello"),
    Opening("ssl2_hello_on_tls_port", SSL2_HELLO, "tls_version", is_nothing_or_alert, "tls", "an SSL 2.0 hello"),
    Opening("ssl_3_hello_on_tls_port", raw_hello(0x0300), "tls_version", is_alert, "tls", "TLS version"),
    Opening("tls_1_0_hello_on_tls_port", raw_hello(0x0301), "tls_version", is_alert, "tls", "TLS version"),
    Opening("tls_1_1_hello_on_tls_port", raw_hello(0x0302), "tls_version", is_alert, "tls", "TLS version"),
    Opening("tls_1_2_hello_of_old_suites_on_tls_port", raw_hello(0x0303, (0x002F, 0x0035, 0x000A, 0x0005)),
            "tls_no_shared_cipher", is_alert, "tls", "the peer offers no cipher suite that we accept"),
    Opening("zero_byte_on_rpc_port", b"\x00", "bad_magic", words="bytes of an unknown protocol"),
    Opening("zero_byte_on_tls_port", b"\x00", ON_TLS, is_nothing_or_alert, "tls", "bytes of an unknown protocol"),
    Opening("proxy_1_header_on_rpc_port", PROXY_1 + features(), "bad_magic", words="sends a PROXY protocol header"),
    Opening("proxy_1_header_on_tls_port", PROXY_1 + tls_hello(), ON_TLS, is_nothing_or_alert, "tls",
            "a PROXY protocol header"),
    Opening("proxy_2_header_on_rpc_port", PROXY_2 + features(), "bad_magic", words="sends a PROXY protocol header"),
    Opening("proxy_2_header_on_tls_port", PROXY_2 + tls_hello(), ON_TLS, is_nothing_or_alert, "tls",
            "a PROXY protocol header"),
    Opening("noise_of_1_mib_on_rpc_port", NOISE, "bad_magic"),
    Opening("noise_of_1_mib_on_tls_port", NOISE, ON_TLS, is_nothing_or_alert, "tls"),
]

# What says too little; the connection ends at its deadline.
AT_DEADLINE = [
    Opening("silence_on_rpc_port", b"", "hello_timeout"),
    Opening("silence_on_tls_port", b"", "handshake_timeout", port="tls"),
    Opening("one_right_byte_then_silence", b"S", "hello_timeout"),
    Opening("magic_then_silence", rpc.MAGIC, "hello_timeout"),
    Opening("offer_without_its_last_byte", features()[:-1], "hello_timeout"),
    Opening("tls_record_head_then_silence", b"\x16\x03\x01", "handshake_timeout", port="tls"),
    Opening("tls_hello_without_its_last_byte", tls_hello()[:-1], "handshake_timeout", port="tls"),
]


class FirstBytes(AttackCase):
    """A node with both ports open."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)
        certificate, key = certificates.node("own", SELF)
        encryption = (f"    internode_encryption: none\n    certificate: {certificate}\n    keyfile: {key}\n"
                      f"    truststore: {certificates.ca}\n")
        cls.aim(lambda plain, tls: config_text(plain, tls, encryption), listeners=("plain", "tls"))

    def send(self, opening):
        source = self.target.fresh_source()
        client = self.dial(opening.port, source)
        try:
            client.send(opening.raw)
        except ConnectionError:
            pass  # it closed before it had read everything
        return client, source

    def assert_ended(self, opening, client, source):
        answer = client.read_to_end()
        self.assertTrue(opening.answer(answer), answer[:64])
        self.wait_lines(source, 1, opening.reason)
        for line in self.target.lines_about(source):
            self.assertIn(opening.words, line)
        client.close()

    def test_opening__that_cannot_be_right__refused_at_once(self):
        for opening in AT_ONCE:
            with self.subTest(opening.name):
                began = time.monotonic()
                self.assert_ended(opening, *self.send(opening))
                self.assertLess(time.monotonic() - began, HANDSHAKE_S)
                self.target.assert_lively()
        self.assert_over(opening.reason for opening in AT_ONCE)

    def test_opening__that_goes_no_further__closed_at_the_deadline(self):
        began = time.monotonic()
        waiting = [(opening, *self.send(opening)) for opening in AT_DEADLINE]
        for opening, client, source in waiting:
            with self.subTest(opening.name):
                self.assert_ended(opening, client, source)
                self.assertGreater(time.monotonic() - began, 0.9 * HANDSHAKE_S)
        self.assert_over(opening.reason for opening in AT_DEADLINE)

    def test_offer__one_byte_each_100_ms__served_in_time_and_cut_at_the_deadline(self):
        short, long = rpc.negotiation([]), rpc.negotiation([(99, bytes(200))])
        in_time, in_time_source = self.send(Opening("", b"", ""))
        too_slow, too_slow_source = self.send(Opening("", b"", ""))
        began = time.monotonic()

        def dribble():
            for i in range(30):
                deadline = began + i * 0.1
                while time.monotonic() < deadline:
                    threading.Event().wait(deadline - time.monotonic())
                for client, raw in ((in_time, short), (too_slow, long)):
                    try:
                        client.send(raw[i:i + 1])
                    except OSError:
                        pass  # the late one is cut off by then

        writer = threading.Thread(target=dribble)
        writer.start()
        self.assertEqual(in_time.answer(), [])
        in_time.close()
        self.assertEqual(too_slow.read_to_end(), b"")
        self.assertLess(time.monotonic() - began, HANDSHAKE_S + 1)
        writer.join()
        self.wait_lines(in_time_source, 0)
        self.wait_lines(too_slow_source, 1, "hello_timeout")
        self.assert_over(["hello_timeout"])

    def test_connect__reset_at_once__no_news(self):
        sources = []
        for port in ("plain", "tls") * 5:
            sources.append(self.target.fresh_source())
            client = self.dial(port, sources[-1])
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        self.assert_over()
        for source in sources:
            self.wait_lines(source, 0)

    def test_connect__data_with_the_syn_then_fin__no_news(self):
        for port in ("plain", "tls"):
            for raw in (b"", features()):
                source = self.target.fresh_source()
                with socket.socket() as sock:
                    sock.bind((source, 0))
                    sock.sendto(raw, socket.MSG_FASTOPEN, self.target.to(port))
                    sock.settimeout(twin_client.DEADLINE_S)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(4096):
                        pass
                self.wait_lines(source, 1 if port == "tls" and raw else 0)
        self.assert_over()


if __name__ == "__main__":
    unittest.main()
