#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `weft tls-echo`, which suites for TLS drive, answers requests by TLS, and ends faults as they expect: by an
alert, an end of our direction, and no reset while they still write.

Method: s_client and gnutls-cli send requests; then raw bytes that break the handshake, and garbage behind them.
"""

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

WEFT = os.environ.get("WEFT", "weft")
ANSWER = b"weft\r\n\r\n"
AWAITED_S = 15


class Echo(harness.WeftNode):
    """`weft tls-echo FILE`."""

    def command(self, path):
        return [self.weft, "tls-echo", path]


class TlsEcho(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.certificates = harness.WeftCertificates(WEFT, folder.name, "echo")
        certificate, key = cls.certificates.node("n1", "127.0.0.1")
        cls.echo = Echo(WEFT, lambda plain, tls: f"""\
cluster_name: echo
storage_port: {plain}
ssl_storage_port: {tls}
listen_address: 127.0.0.1
server_encryption_options:
    internode_encryption: all
    certificate: {certificate}
    keyfile: {key}
    truststore: {cls.certificates.ca}
weft:
    dc: dc1
    rack: r1
    handshake_timeout: 2s
""", ("tls",))
        cls.addClassCleanup(cls.echo.close)
        cls.echo.start()

    def converse(self, command, request, answers):
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        guard = threading.Timer(AWAITED_S, client.kill)
        guard.start()
        client.stdin.write(request)
        client.stdin.flush()
        printed = b""
        while printed.count(ANSWER) < answers and (piece := os.read(client.stdout.fileno(), 65536)):
            printed += piece
        client.kill()
        client.communicate()
        guard.cancel()
        self.assertEqual(printed.count(ANSWER), answers, printed[-800:])

    def test_clients__each_blank_line__answered_once(self):
        port = self.echo.tls_port
        for version in ("1_2", "1_3"):
            self.converse(["openssl", "s_client", "-quiet", f"-tls{version}", "-CAfile", self.certificates.ca,
                           "-verify_return_error", "-connect", f"127.0.0.1:{port}"],
                          b"GET / HTTP/1.0\r\n\r\nGET /\nHost: x\n\n", 2)
        self.converse(["gnutls-cli", "--x509cafile", self.certificates.ca, "--port", str(port), "127.0.0.1"],
                      b"GET / HTTP/1.0\r\n\r\n", 1)

    def test_requests__in_pieces_of_a_byte__the_same_answers(self):
        context = ssl.create_default_context(cafile=self.certificates.ca)
        context.check_hostname = False
        with socket.create_connection(self.echo.tls, AWAITED_S) as raw, context.wrap_socket(raw) as client:
            for byte in b"x\r\n\r\n\n\r\ny\n\n":
                client.sendall(bytes((byte,)))
            got = b""
            while len(got) < 3 * len(ANSWER):
                got += client.recv(100)
            self.assertEqual(got, ANSWER * 3)

    def test_fault__in_the_handshake__alert_then_end_without_reset(self):
        broken = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff"
        with socket.create_connection(self.echo.tls, AWAITED_S) as client:
            client.sendall(broken)
            alert = b""
            while piece := client.recv(100):
                alert += piece
            self.assertEqual((alert[:1], len(alert), alert[5:6]), (b"\x15", 7, b"\x02"))
            client.sendall(b"what a suite still had to say" * 100)  # it is read, not answered by a reset
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(client.recv(100), b"")
        self.echo.wait_log("ended: tls_failed: ")

    def test_help__of_the_program__does_not_show_it(self):
        shown = subprocess.run([WEFT, "--help"], capture_output=True, text=True, check=True, timeout=20).stdout
        self.assertNotIn("echo", shown)


if __name__ == "__main__":
    unittest.main(verbosity=2)
