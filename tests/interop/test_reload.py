# SPDX-License-Identifier: Apache-2.0
"""Goal: SIGHUP has a running `weft node` take over peers that came, went and moved, without losing a call, and name
what it cannot take over.

Method: two nodes under `rack`, with certificates, that probe each other all the time.  Their configurations are written
anew and both get the signal: in one rack their normal lane is plain, in two it is TLS.  The status says how the
connections are, and that every probe was answered.

Environment: WEFT, the program.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

WEFT = os.environ.get("WEFT")
ADDRESSES = ("127.0.25.1", "127.0.25.2")
CLUSTER = "reloaded"
TCP_LISTEN = "0A"


def setUpModule():
    if not WEFT or not os.access(WEFT, os.X_OK):
        raise AssertionError(f"WEFT must name the built program, not {WEFT!r}")


class Reload(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weft-reload-")
        self.addCleanup(folder.cleanup)
        certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)
        self.ports = [harness.free_ports(2, (address,)) for address in ADDRESSES]
        self.pairs = [certificates.node(f"node{i}", address) for i, address in enumerate(ADDRESSES)]
        self.ca = certificates.ca
        self.nodes = []
        for i, address in enumerate(ADDRESSES):
            node = harness.WeftNode(WEFT, lambda *_, i=i: self.text(i, "r1"), address=address, ports=self.ports[i],
                                    listeners=("plain", "tls"), arguments=["--probe", "20ms"])
            self.addCleanup(node.close)
            node.arguments += ["--status", os.path.join(node.folder, "status.json")]
            self.nodes.append(node.start())
        for i, node in enumerate(self.nodes):
            node.wait_log(rf"I peer up {ADDRESSES[1 - i]}\b", 20)

    def text(self, own, rack, peers=True, more="", scope="rack"):
        """Of the first node's configuration where the second is in that rack, or of the second's."""
        nodes = "".join(f"        - {{ address: {address}, dc: dc1, rack: {'r1' if i == 0 else rack}, "
                        f"storage_port: {plain}, ssl_storage_port: {tls} }}\n"
                        for i, (address, (plain, tls)) in enumerate(zip(ADDRESSES, self.ports)) if peers or i == own)
        certificate, key = self.pairs[own]
        return f"""\
cluster_name: {CLUSTER}
listen_address: {ADDRESSES[own]}
storage_port: {self.ports[own][0]}
ssl_storage_port: {self.ports[own][1]}
server_encryption_options:
    internode_encryption: {scope}
    certificate: {certificate}
    keyfile: {key}
    truststore: {self.ca}
    require_client_auth: true
weft:
    shards: 1
    drain_timeout: 2s
{more}    nodes:
{nodes}"""

    def reload(self, node, text):
        count = node.log().count("reload: reading")
        with open(os.path.join(node.folder, "weft.yaml"), "w", encoding="utf-8") as file:
            file.write(text)
        node.process.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: node.log().count("reload: reading") > count, node.log)

    def status(self, node):
        try:
            with open(os.path.join(node.folder, "status.json"), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {"links": [], "peers": []}

    def until_normal(self, node, encrypted):
        """The normal lane, in both directions, has this one connection and no other."""
        def seen():
            links = [link for link in self.status(node)["links"] if link["lane"] == "normal"]
            return len(links) == 2 and all(link["up"] and link["encrypted"] == encrypted for link in links)

        harness.wait_until(seen, lambda: f"{encrypted}: {self.status(node)['links']}\n{node.log()}", 15)

    def lost(self, node):
        """Calls that were not answered.  The first can have been: its peer was not there yet."""
        return sum(account[f"calls_{how}"] for peer in self.status(node)["peers"]
                   for account in peer["accounts"].values() for how in ("failed", "expired"))

    @staticmethod
    def descriptors(node):
        return len(os.listdir(f"/proc/{node.process.pid}/fd"))

    def test_sighup__a_rack_changes_under_load__links_made_again_and_every_call_answered(self):
        for node in self.nodes:
            self.until_normal(node, False)
        lost = [self.lost(node) for node in self.nodes]
        descriptors = [self.descriptors(node) for node in self.nodes]
        for rack, encrypted in (("r2", True), ("r1", False), ("r2", True), ("r1", False)):
            for i, node in enumerate(self.nodes):
                self.reload(node, self.text(i, rack))
            for i, node in enumerate(self.nodes):
                self.until_normal(node, encrypted)
                self.assertEqual(self.lost(node), lost[i], node.log())
        for i, node in enumerate(self.nodes):
            harness.wait_until(lambda i=i, node=node: self.descriptors(node) == descriptors[i],
                               lambda i=i, node=node: f"{self.descriptors(node)} descriptors, not {descriptors[i]}")
        self.assertGreater(self.status(self.nodes[0])["counters"]["links_moved"], 2)
        self.assertIn("1 relocated", self.nodes[0].log())
        self.assertIn("this node is now in dc 'dc1' rack 'r2'", self.nodes[1].log())
        for node in self.nodes:
            node.stop()

    def test_sighup__another_scope_step_by_step__links_follow_and_every_call_answered(self):
        for node in self.nodes:
            self.until_normal(node, False)
        lost = [self.lost(node) for node in self.nodes]
        before = "rack"
        for scope, encrypted in (("transitional", True), ("none", False), ("transitional", True), ("all", True),
                                 ("transitional", True), ("rack", False)):
            for i, node in enumerate(self.nodes):
                self.reload(node, self.text(i, "r1", scope=scope))
                node.wait_log(rf"I scope: internode_encryption {scope} instead of {before}")
            for i, node in enumerate(self.nodes):
                self.until_normal(node, encrypted)
                harness.wait_until(lambda node=node, scope=scope: self.status(node)["scope"] == scope, node.log)
                self.assertEqual(self.lost(node), lost[i], node.log())
            before = scope
        for node in self.nodes:
            self.assertNotIn("takes a restart", node.log())
            self.assertEqual(self.status(node)["counters"]["refused"], 0, node.log())
            node.stop()

    def listening(self, port):
        """Sockets of the first node's address that listen there, as the kernel tells, and as ss would."""
        there = f"{int.from_bytes(socket.inet_aton(ADDRESSES[0]), sys.byteorder):08X}:{port:04X}"
        with open("/proc/net/tcp", encoding="ascii") as file:
            fields = [line.split() for line in file]
        return sum(field[1] == there and field[3] == TCP_LISTEN for field in fields[1:])

    def start_alone(self, scope):
        """The first node, of two shards, under another scope from the start."""
        self.nodes[0].stop()
        node = harness.WeftNode(WEFT, lambda *_: self.two_shards(scope), address=ADDRESSES[0], ports=self.ports[0],
                                listeners=("tls",))
        self.addCleanup(node.close)
        node.arguments += ["--status", os.path.join(node.folder, "status.json")]
        return node.start()

    @staticmethod
    def until_said(node, text, times):
        harness.wait_until(lambda: node.log().count(text) >= times, lambda: f"{times} x {text!r}:\n{node.log()}", 20)

    def two_shards(self, scope):
        return self.text(0, "r1", scope=scope).replace("shards: 1\n", "shards: 2\n")

    def test_sighup__another_scope__ports_come_and_go_as_groups(self):
        plain, tls = self.ports[0]
        node = self.start_alone("all")
        shards = self.listening(tls)
        self.assertGreater(shards, 0)
        self.assertEqual(self.listening(plain), 0)
        for i in range(1, 4):
            self.reload(node, self.two_shards("transitional"))
            self.until_said(node, f"I listening plain {ADDRESSES[0]}:{plain}", i)
            self.assertEqual(self.listening(plain), shards)
            with socket.create_connection((ADDRESSES[0], plain), 5) as client:
                client.sendall(b"SSTARRPC" + bytes(4))
                self.assertEqual(client.recv(8), b"SSTARRPC")
            self.reload(node, self.two_shards("all"))
            self.until_said(node, f"I no longer listening plain {ADDRESSES[0]}:{plain}", i)
            self.assertEqual((self.listening(plain), self.listening(tls)), (0, shards))
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection((ADDRESSES[0], plain), 5)
        self.assertNotIn("takes a restart", node.log())
        node.stop()

    def test_sighup__a_scope_whose_port_is_taken__stays_and_says_why(self):
        plain, tls = self.ports[0]
        node = self.start_alone("all")
        shards = self.listening(tls)
        with socket.socket() as other:
            other.bind((ADDRESSES[0], plain))
            other.listen()
            self.reload(node, self.two_shards("transitional"))
            node.wait_log(rf"E reload: the scope stays all: internode_encryption: transitional: "
                          rf"listen {ADDRESSES[0]}:{plain}: address already in use", 20)
            harness.wait_until(lambda: self.status(node).get("scope") == "all", node.log)
            self.assertEqual((self.listening(plain), self.listening(tls)), (1, shards))
        self.reload(node, self.two_shards("transitional"))
        node.wait_log(r"I scope: internode_encryption transitional instead of all", 20)
        self.assertEqual(self.listening(plain), shards)
        node.stop()

    def test_sighup__a_peer_goes_and_comes_back__removed_and_added(self):
        node, other = self.nodes
        for i, each in enumerate(self.nodes):
            self.reload(each, self.text(i, "r1", peers=False))
        for i, each in enumerate(self.nodes):
            each.wait_log(rf"peer down {ADDRESSES[1 - i]}: peer_removed")
            harness.wait_until(lambda each=each: not self.status(each)["links"], lambda: self.status(node)["links"])
        for i, each in enumerate(self.nodes):
            self.reload(each, self.text(i, "r1"))
        for each in self.nodes:
            self.until_normal(each, False)
        harness.wait_until(lambda: all(peer["probes_answered"] > 2 for peer in self.status(node)["peers"]
                                       if peer["address"] == ADDRESSES[1]), lambda: self.status(node)["peers"])
        node.stop()
        other.stop()

    def test_sighup__what_needs_a_restart_or_is_wrong__named(self):
        node = self.nodes[0]
        self.reload(node, self.text(0, "r1", more="    heartbeat: 700ms\n"))
        node.wait_log(r"W reload: weft\.heartbeat: \"700ms\" in place of \"1s\" takes a restart")
        self.reload(node, self.text(0, "r1", more="    spiffe_ids: [spiffe://example.org/weft]\n"))
        node.wait_log(r"W reload: weft\.spiffe_ids: other ones take a restart")
        self.reload(node, self.text(0, "r1") + "    nonsense: 1\n")
        node.wait_log(r"E reload: nothing is changed")
        self.until_normal(node, False)
        node.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
