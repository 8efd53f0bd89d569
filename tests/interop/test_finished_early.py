#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: under TLS 1.3 a dialer has finished its handshake before the other side has looked at its certificate; that is
not yet a connection.  It is up with the first answer inside TLS alone, a refusal after the handshake has its name, and
the pauses between dials go on growing.

Method: a server of TLS 1.3 that is no node: it refuses the dialer's certificate, or admits it and closes, or reads the
dialer's hello and closes.  The times of its accepts, the node's log, its counters.  A pause begins after the server has
taken up a connection and ends before it accepts the next, so what the server measures is never too short.
"""

import json
import os
import socket
import ssl
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import Authority

import harness

WEFT = os.environ.get("WEFT", "weft")
NODE, SERVER = "127.33.0.1", "127.33.0.2"
ATTEMPTS = 6
# The shortest pause after that many failures in a row doubles from this on.
PAUSE_S = 0.05


class Server:
    """Takes connections one after the other."""

    def __init__(self, context, hears):
        self.context, self.hears = context, hears
        self.listener = socket.create_server((SERVER, 0))
        self.port = self.listener.getsockname()[1]
        self.accepted, self.ends = [], []
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.done.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            self.accepted.append(time.monotonic())
            client.settimeout(10)
            with self.context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as secure:
                self.ends.append(self._serve(secure))

    def _serve(self, secure):
        try:
            secure.do_handshake()
        except ssl.SSLError as error:
            self._drain(secure)
            return error.reason
        version = secure.version()
        try:
            if self.hears:
                secure.recv(65536)
            secure.unwrap()
        except OSError:
            self._drain(secure)  # our closing record is out; the hello comes where the other one's is expected
        return version

    @staticmethod
    def _drain(secure):
        """What the dialer sent meanwhile is read, so that its end of the connection sees the alert and not a reset."""
        with socket.socket(fileno=os.dup(secure.fileno())) as raw:
            raw.settimeout(10)
            try:
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except OSError:
                pass  # the dialer was faster

    def close(self):
        self.done.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(15)


class FinishedEarly(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.ca = Authority(folder.name, "ca")
        cls.other = Authority(folder.name, "other")
        cls.leaf = cls.ca.leaf("node", names=f"IP:{NODE},IP:{SERVER}")

    def server(self, trusted, hears):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.leaf, self.leaf[:-4] + ".key")
        context.load_verify_locations(trusted)
        context.verify_mode = ssl.CERT_REQUIRED
        server = Server(context, hears)
        self.addCleanup(server.close)
        return server

    def node(self, server):
        def config(plain, tls):
            block = {"internode_encryption": "all", "certificate": self.leaf, "keyfile": self.leaf[:-4] + ".key",
                     "truststore": self.ca.path("crt"), "require_client_auth": True}
            weft = {"dc": "dc1", "rack": "r1", "shards": 1,
                    "nodes": [{"address": SERVER, "dc": "dc1", "rack": "r1", "ssl_storage_port": server.port}]}
            return json.dumps({"cluster_name": "early", "listen_address": NODE, "storage_port": plain,
                               "ssl_storage_port": tls, "server_encryption_options": block, "weft": weft}, indent=1)

        node = harness.WeftNode(WEFT, config, ("tls",), address=NODE, arguments=["--verbose"])
        self.addCleanup(node.close)
        node.arguments += ["--status", os.path.join(node.folder, "status.json")]
        return node.start()

    def counters(self, node):
        try:
            with open(os.path.join(node.folder, "status.json"), encoding="utf-8") as file:
                return json.load(file)["counters"]
        except FileNotFoundError:
            return {}

    def expect_never_up(self, trusted, hears, line, end):
        server = self.server(trusted, hears)
        node = self.node(server)
        harness.wait_until(lambda: len(server.accepted) > ATTEMPTS, "the dials", 60)
        node.wait_log(line)
        self.assertEqual(set(server.ends[:ATTEMPTS]), {end})
        for index in range(ATTEMPTS - 1):
            self.assertGreaterEqual(server.accepted[index + 1] - server.accepted[index], PAUSE_S * 2 ** index)
        harness.wait_until(lambda: self.counters(node).get("dial_failures", 0) >= ATTEMPTS, "the counter")
        self.assertEqual(self.counters(node)["peers_up"], 0)
        self.assertNotRegex(node.log(), "peer up|link up")

    def test_certificate__refused_after_the_dialer_finished__named_and_never_up(self):
        self.expect_never_up(self.other.path("crt"), False,
                             rf"W refused out to {SERVER}:\d+ lane control: cert_untrusted",
                             "CERTIFICATE_VERIFY_FAILED")

    def test_server__closes_after_the_handshake__never_up(self):
        self.expect_never_up(self.ca.path("crt"), False,
                             rf"W link failed {SERVER}:\d+ lane control: closed_by_peer", "TLSv1.3")

    def test_server__hears_the_hello_and_closes__never_up(self):
        self.expect_never_up(self.ca.path("crt"), True,
                             rf"W link failed {SERVER}:\d+ lane control: closed_by_peer", "TLSv1.3")


if __name__ == "__main__":
    unittest.main(verbosity=2)
