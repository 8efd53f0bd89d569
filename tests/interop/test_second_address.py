#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: with `listen_on_broadcast_address` a node is there on both of its addresses, with the ports and the policy that
`weft check` shows, and without it on one.

Method: nodes on two loopback addresses are dialed on each address and port by `weft check --dial`, which goes up to the
answer to a hello.

Environment: WEFT, the program.
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
CLUSTER = "two addresses"
FIRST, SECOND, DIALER = "127.0.0.1", "127.0.0.2", "127.0.0.3"


class SecondAddress(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        certificates = harness.WeftCertificates(WEFT, cls.folder, CLUSTER)
        cls.pairs = {address: certificates.node(address, address) for address in (FIRST, DIALER)}
        cls.ca = certificates.ca

    def text(self, address, plain, tls, scope, more=""):
        certificate, key = self.pairs[address]
        return (f"cluster_name: {CLUSTER}\nlisten_address: {address}\nstorage_port: {plain}\n"
                f"ssl_storage_port: {tls}\n{more}server_encryption_options:\n    internode_encryption: {scope}\n"
                f"    certificate: {certificate}\n    keyfile: {key}\n    truststore: {self.ca}\n"
                "weft: { dc: dc1, rack: r1, shards: 1, handshake_timeout: 2s }\n")

    def both(self, plain, tls, scope):
        return self.text(FIRST, plain, tls, scope,
                         f"broadcast_address: {SECOND}\nlisten_on_broadcast_address: true\n")

    def node(self, scope, listeners):
        node = harness.WeftNode(WEFT, lambda plain, tls: self.both(plain, tls, scope), listeners, address=FIRST,
                                ports=harness.free_ports(2, (FIRST, SECOND)))
        self.addCleanup(node.close)
        return node.start()

    def dial(self, node, address, kind):
        path = os.path.join(self.folder, "dialer.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.text(DIALER, node.plain_port, node.tls_port, "transitional"))
        port = node.plain_port if kind == "plain" else node.tls_port
        done = subprocess.run([WEFT, "check", path, "--dial", f"{address}:{port}", "--security", kind, "--json"],
                              capture_output=True, text=True, check=False, timeout=30)
        return json.loads(done.stdout)

    def check(self, text):
        path = os.path.join(self.folder, "checked.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([WEFT, "check", path, "--json"], capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        table = subprocess.run([WEFT, "check", path], capture_output=True, text=True, check=True, timeout=30).stdout
        return [(each["address"], each["port"], each["tls"]) for each in json.loads(done.stdout)["listeners"]], table

    def test_transitional__both_addresses__plain_and_tls_on_each(self):
        node = self.node("transitional", ("plain", "tls"))
        for address in (FIRST, SECOND):
            for kind, port in (("plain", node.plain_port), ("tls", node.tls_port)):
                self.assertIn(f"I listening {kind} {address}:{port}\n", node.log())
                said = self.dial(node, address, kind)
                self.assertEqual((said["reached"], said["security"]), (True, kind), (address, said))
        node.stop()

    def test_all__both_addresses__tls_alone(self):
        node = self.node("all", ("tls",))
        for address in (FIRST, SECOND):
            self.assertTrue(self.dial(node, address, "tls")["reached"])
            self.assertEqual(self.dial(node, address, "plain")["failure"]["reason"], "connect_failed")
        node.stop()

    def test_taken_port__on_the_second_address__does_not_start(self):
        node = self.node("none", ("plain", "tls"))
        other = os.path.join(self.folder, "other.yaml")
        with open(other, "w", encoding="utf-8") as file:
            # The first address is free there, the second one is taken.
            file.write(self.text(DIALER, node.plain_port, node.tls_port, "none",
                                 f"broadcast_address: {SECOND}\nlisten_on_broadcast_address: true\n"))
        done = subprocess.run([WEFT, "node", other], capture_output=True, text=True, check=False, timeout=30,
                              env={**os.environ, "STATE_DIRECTORY": self.folder})
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"listen {SECOND}:{node.plain_port}: address already in use", done.stderr)

    def test_check__shows_the_listeners_that_there_are(self):
        listeners, table = self.check(self.both(7100, 7101, "transitional"))
        self.assertEqual(listeners, [(FIRST, 7100, False), (FIRST, 7101, True), (SECOND, 7100, False),
                                     (SECOND, 7101, True)])
        for address in (FIRST, SECOND):
            self.assertRegex(table, rf"  listen       {address}:7100 plain, admits .*same rack")
            self.assertRegex(table, rf"  listen       {address}:7101 tls, admits .*same rack")
        listeners, table = self.check(self.both(7100, 7101, "all"))
        self.assertEqual(listeners, [(FIRST, 7101, True), (SECOND, 7101, True)])
        listeners, table = self.check(self.text(FIRST, 7100, 7101, "all", f"broadcast_address: {SECOND}\n"))
        self.assertEqual(listeners, [(FIRST, 7101, True)])


if __name__ == "__main__":
    unittest.main()
