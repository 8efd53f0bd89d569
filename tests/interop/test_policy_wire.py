#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what `weft explain` says, what a node does, and what is on the wire are one and the same, in every cell.

Method: a node of each scope, with a peer of each kind: same rack, other rack, other datacenter, of unknown location.
Outgoing, it dials all of them on the control and the normal lane; incoming, a client connects from the address of
each of them, on every lane, in plaintext and by TLS.  Each cell is asked of `weft explain`; then the node's log (its
decision and reason) and a capture (the class of the bytes, and whether probes can be read) must agree with it.
"""

import itertools
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import capture
import client as twin_client
import harness
import seastar_rpc as rpc
import wire_proof

WEFT = os.environ.get("WEFT", "weft")
CLUSTER = "cells"
NETWORK = "127.34"
SCOPES = ("none", "rack", "dc", "all", "transitional")
KINDS = {"same_rack": ("dc1", "r1"), "other_rack": ("dc1", "r2"), "other_dc": ("dc2", "r1"), "unknown": None}
LANES = ("control", "normal", "bulk")
DIALED_LANES = ("control", "normal")
CLASSES = {"plain": "clear", "tls": "tls", "refuse": "refused"}


def config(address, plain, tls, scope, certificate, ca, nodes):
    return f"""\
cluster_name: {CLUSTER}
listen_address: {address}
storage_port: {plain}
ssl_storage_port: {tls}
server_encryption_options:
    internode_encryption: {scope}
    certificate: {certificate[0]}
    keyfile: {certificate[1]}
    truststore: {ca}
weft:
    dc: dc1
    rack: r1
    shards: 1
    nodes:{"" if nodes else " []"}
{nodes}"""


class Cells:
    """One scope: its node, the file that explain is asked with, and where its peers are."""

    def __init__(self, scope, number):
        self.scope = scope
        self.own = f"{NETWORK}.{number}.1"
        self.peers = {kind: f"{NETWORK}.{number}.{10 + i}" for i, kind in enumerate(KINDS)}
        self.node = None

    def nodes(self, plain, tls):
        text = ""
        for kind, address in self.peers.items():
            place = f"dc: {KINDS[kind][0]}, rack: {KINDS[kind][1]}, " if KINDS[kind] else ""
            text += f"        - {{ address: {address}, {place}storage_port: {plain}, ssl_storage_port: {tls} }}\n"
        return text

    def explain(self, kind, lane, direction):
        done = subprocess.run([WEFT, "explain", os.path.join(self.node.folder, "weft.yaml"), "--peer", self.peers[kind],
                               "--lane", lane, "--direction", direction, "--json"], capture_output=True, text=True,
                              check=False, timeout=20)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@unittest.skipIf(capture.why_not(), capture.why_not())
class PolicyOnTheWire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)
        cls.marker = secrets.token_bytes(16)
        cls.recording = capture.Capture(NETWORK)
        cls.addClassCleanup(cls.recording.close)
        # Everybody's peer: a node on all addresses, which admits what comes.
        cls.acceptor = cls.start_node("0.0.0.0", "none", lambda plain, tls: "", ("plain", "tls"))
        cls.cells = [Cells(scope, i + 1) for i, scope in enumerate(SCOPES)]
        for cells in cls.cells:
            listeners = ("tls",) if cells.scope == "all" else ("plain", "tls")
            cls.add_node(cells, listeners)

    @classmethod
    def add_node(cls, cells, listeners):
        nodes = cells.nodes(cls.acceptor.plain_port, cls.acceptor.tls_port)
        cells.node = cls.start_node(cells.own, cells.scope, lambda plain, tls: nodes, listeners,
                                    ["--verbose", "--probe", "20ms", "--probe-marker", cls.marker.hex()])

    @classmethod
    def start_node(cls, address, scope, nodes, listeners, arguments=()):
        certificate = cls.certificates.node(f"n{address}", "127.0.0.1" if address == "0.0.0.0" else address)
        node = harness.WeftNode(WEFT, lambda plain, tls: config(address, plain, tls, scope, certificate,
                                                                cls.certificates.ca, nodes(plain, tls)),
                                listeners, address=address, arguments=arguments)
        cls.addClassCleanup(node.close)
        return node.start()

    # Going out.

    def assert_dialed(self, cells, kind, lane):
        """The node's own words about a link against explain's; gives the class."""
        said = cells.explain(kind, lane, "out")
        address = cells.peers[kind]
        line = cells.node.wait_log(rf"(?m)^D link up {re.escape(address)}\S* lane {lane} (\w+) \((\w+)\)")
        self.assertEqual(line.groups(), (said["decision"], said["reason"]))
        port = self.acceptor.tls_port if said["decision"] == "tls" else self.acceptor.plain_port
        self.assertEqual(said["port"], port)
        return CLASSES[said["decision"]]

    def assert_seen_dialing(self, cells, kind, classes, found):
        """The connections of a pair in the capture: of every lane the class that explain says, and no other."""
        clear = {reading.lane for _, reading, _ in found if reading.kind == "clear"}
        self.assertEqual(clear, {lane for lane, its in classes.items() if its == "clear"})
        sealed = [connection for connection, reading, _ in found if reading.kind == "tls"]
        self.assertEqual(len(sealed), sum(its == "tls" for its in classes.values()), (cells.scope, kind))
        self.assertEqual(len(found), len(classes))
        for connection, reading, hits in found:
            port = self.acceptor.tls_port if reading.kind == "tls" else self.acceptor.plain_port
            self.assertEqual(connection.server[1], port)
            self.assertEqual(hits > 0, reading.kind == "clear" and reading.lane == "normal")

    # Coming in.

    def source_port(self, address):
        """One of its own for each connection, by which it is found again in the log and in the capture."""
        while (port := harness.free_ports(1, (address,))[0]) in self.ports.values():
            pass
        return port

    def connect(self, cells, kind, lane, direction):
        """Say hello from a peer's address; what was answered: plain, tls, or refuse."""
        dc, rack = KINDS[kind] or ("dc9", "r9")
        hello = rpc.hello(rpc.Hello(cluster=CLUSTER, dc=dc, rack=rack, lane=lane, node_id=uuid.uuid4().bytes))
        tls = twin_client.tls_context(self.certificates.ca) if direction == "in-tls" else None
        to = cells.node.tls if tls else cells.node.plain
        try:
            port = self.source_port(cells.peers[kind])
            with twin_client.Client(to, source=cells.peers[kind], tls=tls, source_port=port) as client:
                client.offer([(rpc.HELLO, hello)])
                answer = rpc.features_of(client.answer())
                self.ports[cells.scope, kind, lane, direction] = port
                return "refuse" if rpc.REFUSAL in answer else "tls" if tls else "plain"
        except ConnectionRefusedError:
            return "no listener"

    def assert_admitted(self, cells, kind, lane, direction):
        said = cells.explain(kind, lane, direction)
        got = self.connect(cells, kind, lane, direction)
        if said["reason"] == "no_listener":
            self.assertEqual(got, "no listener")
            return None
        self.assertEqual(got, said["decision"])
        if got == "refuse":
            port = self.ports[cells.scope, kind, lane, direction]
            line = cells.node.wait_log(rf"(?m)^W refused in from {re.escape(cells.peers[kind])}:{port} .*$").group(0)
            self.assertIn(f" lane {lane}: {said['reason']}", line)
        return CLASSES[said["decision"]]

    # Both, and the wire.

    def read_capture(self):
        data, dropped = self.recording.stop()
        self.assertEqual(dropped, 0, "the capture lost packets: it proves nothing")
        owns = {(cells.own, port) for cells in self.cells for port in (cells.node.plain_port, cells.node.tls_port)}
        ports = (self.acceptor.plain_port, self.acceptor.tls_port)
        connections, cut = wire_proof.connections_read(
            data, lambda end: end in owns or end[1] in ports and end[0] not in {cells.own for cells in self.cells})
        self.assertFalse(cut)
        readings = []
        for connection in connections:
            out = wire_proof.direction_read(connection.out)
            hits = sum(piece.count(self.marker) for direction in connection.directions()
                       for _, piece in direction.join())
            readings.append((connection, out, hits))
        return readings

    def test_cells__explain_node_and_wire__agree(self):
        self.ports = {}
        outgoing, incoming = {}, {}
        for cells, kind in itertools.product(self.cells, KINDS):
            for lane in DIALED_LANES:
                with self.subTest(scope=cells.scope, kind=kind, lane=lane):
                    outgoing[cells.scope, kind, lane] = self.assert_dialed(cells, kind, lane)
            for lane, direction in itertools.product(LANES, ("in-plain", "in-tls")):
                with self.subTest(scope=cells.scope, kind=kind, lane=lane, direction=direction):
                    incoming[cells.scope, kind, lane, direction] = self.assert_admitted(cells, kind, lane, direction)
        self.assertEqual((len(outgoing), len(incoming)), (5 * 4 * 2, 5 * 4 * 3 * 2))
        readings = self.read_capture()
        for cells, kind in itertools.product(self.cells, KINDS):
            with self.subTest(scope=cells.scope, kind=kind, wire="out"):
                classes = {lane: outgoing[cells.scope, kind, lane] for lane in DIALED_LANES}
                self.assert_seen_dialing(cells, kind, classes, [
                    found for found in readings
                    if (found[0].client[0], found[0].server[0]) == (cells.own, cells.peers[kind])])
        for (scope, kind, lane, direction), expected in incoming.items():
            if expected is not None:
                with self.subTest(scope=scope, kind=kind, lane=lane, wire=direction):
                    self.assert_seen_arriving(scope, kind, self.ports[scope, kind, lane, direction], expected, readings)

    def assert_seen_arriving(self, scope, kind, port, expected, readings):
        cells = self.cells[SCOPES.index(scope)]
        found = [(connection, out) for connection, out, _ in readings
                 if connection.client == (cells.peers[kind], port) and connection.server[0] == cells.own]
        self.assertEqual(len(found), 1)
        connection, out = found[0]
        back = wire_proof.direction_read(connection.back)
        self.assertEqual("refused" if back.kind == "refused" else out.kind, expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
