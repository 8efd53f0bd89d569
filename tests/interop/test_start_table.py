#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: a node says at its start what its policy means: where it stands, what each listener admits, how it dials each
kind of peer, and with which suites; and `weft check` says the same.

Method: a node of each scope is started, and the lines of its log are compared with the table that a scope has.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

WEFT = os.environ.get("WEFT", "weft")
CLUSTER = "table"
ADDRESS = "127.33.0.1"
EVERYBODY = "same rack, same dc, other dc, unknown"
KINDS = ("same rack", "same dc", "other dc", "unknown", "control lane")
# What the plain listener admits (None: there is none), and how each kind is dialed.
SCOPES = {
    "none": (EVERYBODY, "plain plain plain plain plain"),
    "rack": ("same rack", "plain tls tls tls tls"),
    "dc": ("same rack, same dc", "plain plain tls tls tls"),
    "all": (None, "tls tls tls tls tls"),
    "transitional": (EVERYBODY, "tls tls tls tls tls"),
}
LOCATION = "dc: dc1, rack: r1, "


class StartTable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)
        cls.pair, cls.ca = certificates.node("n1", ADDRESS), certificates.ca

    def text(self, ports, scope, location=LOCATION, more="", certificate=True):
        files = f"    certificate: {self.pair[0]}\n    keyfile: {self.pair[1]}\n    truststore: {self.ca}\n"
        snitch = "" if location else "endpoint_snitch: PropertyFileSnitch\n"
        return (f"cluster_name: {CLUSTER}\nlisten_address: {ADDRESS}\nstorage_port: {ports[0]}\n"
                f"ssl_storage_port: {ports[1]}\n{snitch}server_encryption_options:\n"
                f"    internode_encryption: {scope}\n{files if certificate else ''}{more}"
                f"weft: {{ {location}shards: 1 }}\n")

    def start(self, scope, listeners, **how):
        node = harness.WeftNode(WEFT, lambda *ports: self.text(ports, scope, **how), listeners, address=ADDRESS)
        self.addCleanup(node.close)
        if not how.get("location", True):
            with open(os.path.join(node.folder, "cassandra-topology.properties"), "w", encoding="utf-8") as file:
                file.write("default=dc1:r1\n")
        return node.start()

    @staticmethod
    def lines(node):
        return [line[2:] for line in node.log().splitlines() if line.startswith("I ")]

    def test_each_scope__its_table(self):
        for scope, (plain, dials) in SCOPES.items():
            with self.subTest(scope=scope):
                node = self.start(scope, ("plain", "tls") if plain else ("tls",))
                lines = self.lines(node)
                self.assertIn("own location dc dc1, rack r1", lines)
                self.assertEqual([line for line in lines if line.startswith("plain listener")],
                                 [f"plain listener admits {plain}"] if plain else [])
                self.assertIn(f"TLS listener admits {EVERYBODY}; asks for no client certificate", lines)
                self.assertIn("dials " + ", ".join(f"{kind} {how}" for kind, how in zip(KINDS, dials.split())), lines)
                self.assertTrue([line for line in lines if line.startswith("suites of TLS 1.3: TLS_AES_256_GCM")])
                node.stop()

    def test_each_scope__check_says_the_same(self):
        for scope, (plain, dials) in SCOPES.items():
            with self.subTest(scope=scope), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(self.text((7000, 7001), scope))
                file.flush()
                said = json.loads(subprocess.run([WEFT, "check", file.name, "--json"], capture_output=True, text=True,
                                                 check=True, timeout=30).stdout)
                admits = [(listener["tls"], ", ".join(listener["admits"]).replace("_", " "))
                          for listener in said["listeners"]]
                self.assertEqual(admits, ([(False, plain)] if plain else []) + [(True, EVERYBODY)])
                self.assertEqual(" ".join(said["dials"][kind.replace(" ", "_")] for kind in KINDS), dials)

    def test_no_certificate__neither_a_tls_listener_nor_suites(self):
        lines = self.lines(self.start("none", ("plain",), certificate=False))
        self.assertIn(f"plain listener admits {EVERYBODY}", lines)
        self.assertEqual([line for line in lines if line.startswith(("TLS listener", "suites"))], [])

    def test_demands_on_certificates__said(self):
        lines = self.lines(self.start("all", ("tls",), more="    require_client_auth: true\n"
                                      "    require_endpoint_verification: true\n    priority_string: SUITEB128\n"))
        self.assertIn(f"TLS listener admits {EVERYBODY}; client certificates are required; certificates must name their"
                      " nodes", lines)
        self.assertIn("suites of TLS 1.3: none", lines)
        self.assertIn("suites of TLS 1.2: ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", lines)

    def test_own_location_unknown__nobody_is_near(self):
        lines = self.lines(self.start("rack", ("plain", "tls"), location=""))
        self.assertIn("own location unknown", lines)
        self.assertIn("plain listener admits nobody", lines)
        self.assertIn("dials same rack tls, same dc tls, other dc tls, unknown tls, control lane tls", lines)


if __name__ == "__main__":
    unittest.main()
