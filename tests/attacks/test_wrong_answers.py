# SPDX-License-Identifier: Apache-2.0
"""Goal: a dialer that got the wrong port, the wrong protocol or the wrong TLS says so by name, as does the acceptor.

Method: a node that dials in plaintext and one that dials TLS, each with a table of acceptors on addresses of their own,
which answer as the programs do that are found on such ports; the one log line of the dialer is looked at.  Then two
nodes that dial each other on the wrong port, and both logs are.  After everything a good acceptor is still reached.
"""

import dataclasses
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import harness

WEFT = os.environ.get("WEFT", "weft")
CLUSTER = "wrong answers"
NETWORK = "127.28"


def tls_record(kind, body, version=0x0303):
    return struct.pack(">BHH", kind, version, len(body)) + body


def server_hello(version, suite):
    body = struct.pack(">H", version) + bytes(range(32)) + b"\x00" + struct.pack(">HB", suite, 0)
    return tls_record(22, b"\x02" + len(body).to_bytes(3, "big") + body, version)


def alert(number):
    return tls_record(21, bytes((2, number)))


HTTP_400 = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"


@dataclasses.dataclass
class Answer:
    """What an acceptor says to the first bytes (or, `first`, before them), and what the dialer makes of it."""
    name: str
    raw: bytes
    reason: str
    words: str = ""
    first: bool = False


TO_PLAIN = [
    Answer("http", HTTP_400, "bad_magic", "the peer answers with HTTP"),
    Answer("ssh", SSH, "bad_magic", "the peer answers with an SSH banner", first=True),
    Answer("noise", b"\x00\x01\x02", "bad_magic", "the peer answers with bytes of an unknown protocol"),
    Answer("tls_alert", alert(10), "plaintext_on_tls_port", "is this its ssl_storage_port?"),
    Answer("tls_alert_of_tls_1_0", tls_record(21, b"\x02\x46", 0x0301), "plaintext_on_tls_port", "a TLS alert"),
    Answer("nothing", b"", "closed_by_peer"),
]
TO_TLS = [
    Answer("http", HTTP_400, "tls_on_plaintext_port", "the peer answers in plaintext: HTTP"),
    Answer("ssh", SSH, "tls_on_plaintext_port", "the peer answers in plaintext: an SSH banner", first=True),
    Answer("rpc", b"SSTARRPC\0\0\0\0", "tls_on_plaintext_port", "a negotiation in plaintext (first byte 0x53)"),
    Answer("unexpected_message", alert(10), "tls_on_plaintext_port", "is this its storage_port?"),
    Answer("handshake_failure", alert(40), "tls_no_shared_cipher", "shares no cipher suite"),
    Answer("protocol_version", alert(70), "tls_version", "the peer rejected our TLS versions"),
    Answer("insufficient_security", alert(71), "tls_no_shared_cipher", "too weak for it"),
    Answer("ssl_3_0", server_hello(0x0300, 0x002F), "tls_version", "TLS version"),
    Answer("tls_1_0", server_hello(0x0301, 0x002F), "tls_version", "TLS version"),
    Answer("tls_1_1", server_hello(0x0302, 0x002F), "tls_version", "TLS version"),
    Answer("nothing", b"", "closed_by_peer"),
]


class Acceptors:
    """One listener per answer; each answers any number of connections."""

    def __init__(self, answers, network, port):
        self.by_name = {answer.name: f"{network}.{i + 1}" for i, answer in enumerate(answers)}
        self.listeners, self.threads = [], []
        for answer in answers:
            listener = socket.create_server((self.by_name[answer.name], port))
            thread = threading.Thread(target=self._serve, args=(listener, answer), daemon=True)
            self.listeners.append(listener)
            self.threads.append(thread)
            thread.start()

    @staticmethod
    def _serve(listener, answer):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(5)
                try:
                    if answer.first:
                        client.sendall(answer.raw)
                    client.recv(65536)
                    if not answer.first:
                        client.sendall(answer.raw)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
                except OSError:
                    pass  # the dialer has ended it

    def close(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self.threads:
            thread.join(10)


def config(address, scope, nodes, certificate, node_id, ports=None):
    def text(plain, tls):
        return f"""\
cluster_name: {CLUSTER}
listen_address: {address}
storage_port: {plain}
ssl_storage_port: {tls}
server_encryption_options:
    internode_encryption: {scope}
    certificate: {certificate[0]}
    keyfile: {certificate[1]}
    truststore: {certificate[2]}
weft:
    dc: dc1
    rack: r1
    node_id: {node_id}
    shards: 1
    handshake_timeout: 2s
    nodes:
""" + "".join(f"        - {{ address: {peer}, dc: dc1, rack: r1, storage_port: {plain_port}, "
              f"ssl_storage_port: {tls_port} }}\n" for peer, plain_port, tls_port in nodes)
    return text


class WrongAnswers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)

    def node(self, address, scope, nodes, number, ports=None):
        certificate = (*self.certificates.node(f"{self._testMethodName}-{number}", address), self.certificates.ca)
        node_id = f"0e280000-0000-4000-8000-00000000000{number}"
        listeners = ("plain", "tls") if scope == "none" else ("tls",)
        node = harness.WeftNode(WEFT, config(address, scope, nodes, certificate, node_id), listeners, address=address,
                                ports=ports, arguments=["--probe", "50ms"])
        self.addCleanup(node.close)
        return node.start()

    def assert_dialer_says(self, node, address, answer):
        line = node.wait_log(rf"(?m)^W .*\b{re.escape(address)}:\d+ lane \w+: .*$").group(0)
        self.assertIn(f": {answer.reason}", line)
        self.assertIn(answer.words, line)

    def assert_table(self, answers, scope, network, number):
        port = harness.free_ports(1, [f"{network}.{i + 1}" for i in range(len(answers))])[0]
        acceptors = Acceptors(answers, network, port)
        self.addCleanup(acceptors.close)
        node = self.node(f"{network}.200", scope, [(at, port, port) for at in acceptors.by_name.values()], number)
        for answer in answers:
            with self.subTest(answer.name):
                self.assert_dialer_says(node, acceptors.by_name[answer.name], answer)
        self.assertTrue(node.running())

    def test_dialer__plain_to_what_does_not_speak_it__named(self):
        self.assert_table(TO_PLAIN, "none", f"{NETWORK}.1", 1)

    def test_dialer__tls_to_what_does_not_speak_it__named(self):
        self.assert_table(TO_TLS, "all", f"{NETWORK}.2", 2)

    def assert_both(self, dialer_scope, reason, dialer_words, acceptor_words):
        """A node that dials another on the wrong one of its ports."""
        one, other = f"{NETWORK}.0.1", f"{NETWORK}.0.2"
        plain, tls = harness.free_ports(2, (one, other))
        acceptor = self.node(other, "none", [(one, 1, 1)], 3, (plain, tls))
        wrong = (tls, tls) if dialer_scope == "none" else (plain, plain)
        dialer = self.node(one, dialer_scope, [(other, *wrong)], 4, (plain, tls))
        line = dialer.wait_log(rf"(?m)^W refused out to {re.escape(other)}:\d+ lane \w+: .*$").group(0)
        self.assertIn(f": {reason}", line)
        self.assertIn(dialer_words, line)
        line = acceptor.wait_log(rf"(?m)^W refused in from {re.escape(one)}:\d+ lane \w+: .*$").group(0)
        self.assertIn(f": {reason}", line)
        self.assertIn(acceptor_words, line)
        self.assertTrue(dialer.running() and acceptor.running())
        return dialer, acceptor

    def test_both_ends__plaintext_to_the_tls_port__same_reason(self):
        self.assert_both("none", "plaintext_on_tls_port", "refused by the peer", "plaintext_on_tls_port")

    def test_both_ends__tls_to_the_plaintext_port__same_reason(self):
        self.assert_both("all", "tls_on_plaintext_port", "is this its storage_port?",
                         "the peer sends a TLS handshake to the plaintext port; TLS goes to ssl_storage_port")

    def test_dialer__openssl_with_nothing_in_common__named(self):
        """The same from a real server: s_server with versions and suites that weft never speaks."""
        cases = {
            "tls_1_1": (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "tls_version"),
            "cbc": (["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"], "tls_no_shared_cipher"),
        }
        certificate, key = self.certificates.node("s_server", f"{NETWORK}.3.1")
        addresses = {name: f"{NETWORK}.3.{i + 1}" for i, name in enumerate(cases)}
        port = harness.free_ports(1, list(addresses.values()))[0]
        for name, (arguments, _) in cases.items():
            server = subprocess.Popen(["openssl", "s_server", "-accept", f"{addresses[name]}:{port}", "-cert",
                                       certificate, "-key", key, "-quiet", *arguments], stdin=subprocess.PIPE,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(server.communicate)
            self.addCleanup(server.kill)
            harness.wait_until(lambda name=name: not harness.port_is_free(addresses[name], port), "s_server")
        node = self.node(f"{NETWORK}.3.200", "all", [(at, port, port) for at in addresses.values()], 5)
        for name, (_, reason) in cases.items():
            with self.subTest(name):
                self.assert_dialer_says(node, addresses[name], Answer(name, b"", reason))


if __name__ == "__main__":
    unittest.main()
