#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: whichever TLS library is at the other end, weft speaks with it if the certificates are right, and says by name
what is wrong if they are not.

Method: {OpenSSL, GnuTLS} x {TLS 1.2, 1.3} x {P-256, RSA-2048, Ed25519} x certificates, in both roles.  A few nodes run
for all cells.  As acceptor: each client comes through a relay with a source address of its own, so that the node's log
can be told apart, and sends a hello; a right one must be answered inside TLS.  As dialer: each server is a peer on an
address of its own, and must either see the node's hello, or the node's log must have the reason.  gnutls-serv does not
show what it reads: there the node must have come to waiting for an answer, which it does only after the handshake.
"""

import concurrent.futures
import itertools
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import LEAF, Authority, bundle, rsa

import harness
import seastar_rpc as rpc

WEFT = os.environ.get("WEFT", "weft")
CLUSTER = "matrix"
KEYS = {"p256": None, "rsa2048": rsa(2048), "ed25519": ("genpkey", "-algorithm", "ed25519")}
TOOLS = ("openssl", "gnutls")
VERSIONS = ("1.2", "1.3")
AWAITED_S = 20.0

# What a certificate is, and the reason that weft gives for it; None: it is fine.
CERTIFICATES = {
    "valid": None,
    "expired": "cert_expired",
    "early": "cert_not_yet_valid",
    "other_ca": "cert_untrusted",
    "revoked": "cert_revoked",
    "other_name": "cert_name_mismatch",
}
DATES = {"expired": ("-30", "-1"), "early": ("1", "30")}
DIALER_NETWORK, CLIENT_NETWORK = "127.31", "127.30"


class Material:
    """Every certificate of the matrix: one leaf per key and column, of a CA and of another one with the same name."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self._authority("ca")
        self.other = self._authority("other")
        addresses = "IP:127.0.0.1," + ",".join(
            f"IP:{network}.0.{i}" for network in (DIALER_NETWORK, CLIENT_NETWORK) for i in range(1, 200))
        for key, how in KEYS.items():
            for kind in ("own", *CERTIFICATES):
                signer = self.other if kind == "other_ca" else self.ca
                names = "IP:127.0.0.99,DNS:n99.example" if kind == "other_name" else addresses
                leaf = signer.leaf(f"{key}-{kind}", key=how, names=names, extensions=LEAF,
                                   days=DATES.get(kind, ("-1", "365")))
                if kind == "revoked":
                    self.ca.revoke(leaf)
        self.crl = self.ca.crl("ca.crl")

    def _authority(self, name):
        """Two CAs of one name: a client that looks only at the name of the CA still shows its certificate."""
        os.mkdir(os.path.join(self.folder, name))
        return Authority(os.path.join(self.folder, name), "matrix CA")

    def pair(self, key, kind):
        signer = self.other if kind == "other_ca" else self.ca
        path = os.path.join(signer.folder, f"{key}-{kind}")
        return path + ".crt", path + ".key"


class Relay:
    """Carries one connection from a port of its own to a node, from a source address of its own."""

    def __init__(self, source, to):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.source, self.to = source, to
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with self.listener:
            self.listener.settimeout(AWAITED_S)
            near, _ = self.listener.accept()
        with near, socket.create_connection(self.to, AWAITED_S, source_address=(self.source, 0)) as far:
            back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
            back.start()
            self._carry(near, far)
            back.join(AWAITED_S)

    @staticmethod
    def _carry(one, other):
        one.settimeout(AWAITED_S)
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two has gone; the other sees its end

    def close(self):
        self.thread.join(2 * AWAITED_S)


def client_command(tool, version, port, ca, pair):
    if tool == "openssl":
        shown = ["-cert", pair[0], "-key", pair[1]] if pair else []
        return ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", ca, "-verify_return_error",
                f"-tls{version.replace('.', '_')}", "-quiet", *shown]
    shown = ["--x509certfile", pair[0], "--x509keyfile", pair[1]] if pair else []
    return ["gnutls-cli", "--x509cafile", ca, "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "--port", str(port),
            *shown, "127.0.0.1"]


def server_command(tool, version, address, port, ca, pair):
    if tool == "openssl":
        return ["openssl", "s_server", "-accept", f"{address}:{port}", "-CAfile", ca, "-cert", pair[0], "-key", pair[1],
                "-Verify", "2", "-verify_return_error", f"-tls{version.replace('.', '_')}", "-quiet"]
    return ["gnutls-serv", "--port", str(port), "--x509cafile", ca, "--x509certfile", pair[0],
            "--x509keyfile", pair[1], "--require-client-cert", "--verify-client-cert", "--priority",
            f"NORMAL:-VERS-ALL:+VERS-TLS{version}"]


def config(plain, tls, own, ca, more, peers=(), address="127.0.0.1"):
    nodes = "".join(f"        - {{ address: {peer}, ssl_storage_port: {port} }}\n" for peer, port in peers)
    return f"""\
cluster_name: {CLUSTER}
listen_address: {address}
storage_port: {plain}
ssl_storage_port: {tls}
server_encryption_options:
    internode_encryption: all
    certificate: {own[0]}
    keyfile: {own[1]}
    truststore: {ca}
    require_client_auth: true
{more}weft:
    dc: dc1
    rack: r1
    shards: 1
    handshake_timeout: 4s
    nodes:{" []" if not peers else ""}
{nodes}"""


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.material = Material(folder.name)
        cls.ca = cls.material.ca.path("crt")
        cls.columns = dict(CERTIFICATES)
        cls.more = (f"    certificate_revocation_list: {cls.material.crl}\n"
                    "    require_endpoint_verification: true\n")

    def node(self, key, peers=()):
        own = self.material.pair(key, "own")
        node = harness.WeftNode(WEFT, lambda plain, tls: config(plain, tls, own, self.ca, self.more, peers), ("tls",),
                                arguments=["--verbose"])
        self.addCleanup(node.close)
        return node.start()

    # weft accepts.

    def client(self, node, source, tool, version, pair):
        """Run a client until it was answered or its connection ended; what it printed."""
        hello = rpc.Hello(cluster=CLUSTER, node_id=uuid.uuid4().bytes)
        offer = rpc.negotiation([(rpc.HELLO, rpc.hello(hello))])
        relay = Relay(source, node.tls)
        client = subprocess.Popen(client_command(tool, version, relay.port, self.ca, pair), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        guard = threading.Timer(AWAITED_S, client.kill)
        guard.start()
        printed = b""
        try:
            client.stdin.write(offer + b"\n" * (tool == "gnutls"))
            client.stdin.flush()
        except BrokenPipeError:
            pass
        while not self.answered(printed) and (piece := os.read(client.stdout.fileno(), 65536)):
            printed += piece
        client.kill()
        client.communicate()
        guard.cancel()
        relay.close()
        return printed

    @staticmethod
    def answered(printed):
        """The first record of a negotiation's answer, by its number; None as long as it is not there."""
        begin = printed.find(rpc.MAGIC)
        head = printed[begin + 12:begin + 16] if begin >= 0 else b""
        return int.from_bytes(head, "little") if len(head) == 4 else None

    def assert_accepted(self, node, source, cell, reason, printed):
        lines = [line for line in node.log().splitlines() if f" {source}:" in line]
        if reason is None:
            self.assertEqual(self.answered(printed), rpc.HELLO, (cell, lines, printed[-800:]))
            self.assertFalse([line for line in lines if "refused" in line], cell)
            return
        # Only a name that is wrong is found with TLS up: that is answered as the protocol does.
        answer = rpc.REFUSAL if reason == "cert_name_mismatch" else None
        self.assertEqual(self.answered(printed), answer, cell)
        refused = node.wait_log(rf"(?m)^W refused in from {re.escape(source)}:\d+ .*$").group(0)
        self.assertIn(f": {reason}", refused, cell)

    def test_acceptor__every_client_and_certificate__answered_or_refused_by_name(self):
        nodes = {key: self.node(key) for key in KEYS}
        columns = {"none": "cert_missing", **self.columns}
        cells = list(itertools.product(KEYS, TOOLS, VERSIONS, columns))
        jobs = {}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for i, (key, tool, version, column) in enumerate(cells):
                source = f"{CLIENT_NETWORK}.0.{i + 1}"
                pair = self.material.pair(key, column) if column != "none" else None
                jobs[key, tool, version, column] = source, pool.submit(self.client, nodes[key], source, tool, version,
                                                                       pair)
        for cell, (source, job) in jobs.items():
            with self.subTest(" ".join(cell)):
                self.assert_accepted(nodes[cell[0]], source, cell, columns[cell[3]], job.result())
        self.assertEqual(len(jobs), len(KEYS) * len(TOOLS) * len(VERSIONS) * len(columns))

    # weft dials.

    def server(self, tool, version, address, port, pair):
        server = subprocess.Popen(server_command(tool, version, address, port, self.ca, pair), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        return server

    def test_dialer__every_server_and_certificate__spoken_to_or_refused_by_name(self):
        cells = list(itertools.product(KEYS, TOOLS, VERSIONS, self.columns))
        addresses = [f"{DIALER_NETWORK}.0.{i + 1}" for i in range(len(cells))]
        ports = harness.free_ports(len(cells), ("0.0.0.0",))
        servers = {}
        for cell, address, port in zip(cells, addresses, ports):
            key, tool, version, column = cell
            servers[cell] = address, port, self.server(tool, version, address, port, self.material.pair(key, column))
        for cell, (address, port, server) in servers.items():
            harness.wait_until(lambda a=address, p=port: not harness.port_is_free(a, p), lambda c=cell: c, AWAITED_S)
        nodes = {key: self.node(key, [servers[cell][:2] for cell in servers if cell[0] == key]) for key in KEYS}
        for cell, (address, port, server) in servers.items():
            with self.subTest(" ".join(cell)):
                reason = self.columns[cell[3]]
                if reason is None:
                    self.assert_hello_arrived(cell, server, nodes[cell[0]], address)
                    continue
                line = nodes[cell[0]].wait_log(rf"(?m)^W refused out to {re.escape(address)}:{port} .*$").group(0)
                self.assertIn(f": {reason}", line)
                self.assert_nothing_arrived(cell, server)

    def assert_nothing_arrived(self, cell, server):
        """Not even a hello goes to a server that is not who was dialed."""
        server.kill()
        printed, _ = server.communicate()
        self.assertNotIn(rpc.MAGIC, printed, cell)

    def assert_hello_arrived(self, cell, server, node, address):
        if cell[1] == "gnutls":
            line = node.wait_log(rf"(?m)^W refused out to {re.escape(address)}:\d+ .*$").group(0)
            self.assertIn(": hello_timeout", line)
            return
        printed = b""
        guard = threading.Timer(AWAITED_S, server.kill)
        guard.start()
        while rpc.MAGIC not in printed and (piece := os.read(server.stdout.fileno(), 65536)):
            printed += piece
        guard.cancel()
        self.assertIn(rpc.MAGIC, printed, (cell, node.log()[-2000:]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
