#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `weft check FILE --dial` says what a dial of the node would come to, who found the fault, and where to mend it.

Method: nodes with a known fault each, and other programs, are dialed from one configuration; the JSON and the exit code
are looked at, and, where a node is dialed, the reason in its log, which must be the same.
"""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import LEAF, Authority, bundle

import harness

WEFT = os.environ.get("WEFT", "weft")
CLUSTER = "dialed"
HERE, THERE = "127.32.0.1", "127.32.0.2"
OWN_ID = "0e320000-0000-4000-8000-000000000001"
PEER_ID = "0e320000-0000-4000-8000-000000000002"


def block(scope, pair=None, ca=None, more=""):
    text = f"    internode_encryption: {scope}\n"
    if pair:
        text += f"    certificate: {pair[0]}\n    keyfile: {pair[1]}\n    truststore: {ca}\n"
    return text + more


def config(address, plain, tls, encryption, node_id=OWN_ID, nodes="", cluster=CLUSTER, dc="dc1", more="",
           patience="20s"):
    return f"""\
cluster_name: {cluster}
listen_address: {address}
storage_port: {plain}
ssl_storage_port: {tls}
server_encryption_options:
{encryption}weft:
    dc: {dc}
    rack: r1
    node_id: {node_id}
    shards: 1
    handshake_timeout: {patience}
    heartbeat: 10s
{more}    nodes: [{nodes}]
"""


def entry(address, plain, tls, dc="dc1", more=""):
    return f"{{ address: {address}, dc: {dc}, rack: r1, storage_port: {plain}, ssl_storage_port: {tls}{more} }}"


class Dialing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.ca = Authority(cls.folder, "ca")
        cls.other = Authority(cls.folder, "other")
        cls.both = bundle(os.path.join(cls.folder, "both.crt"), cls.ca.path("crt"), cls.other.path("crt"))
        names = f"IP:{HERE},IP:{THERE}"
        cls.leaves = {name: signer.leaf(name, names=names, extensions=LEAF, days=days) for name, signer, days in (
            ("good", cls.ca, ("-1", "30")), ("old", cls.ca, ("-30", "-1")), ("early", cls.ca, ("1", "30")),
            ("strange", cls.other, ("-1", "30")))}

    def pair(self, name):
        return self.leaves[name], self.leaves[name].replace(".crt", ".key")

    def tls(self, name="good", scope="all", more="    require_client_auth: true\n"):
        """A node must trust its own certificate: the strange one's trusts both authorities."""
        ca = self.both if name == "strange" else self.ca.path("crt")
        return block(scope, self.pair(name), ca, more)

    def write(self, text, name=""):
        path = os.path.join(self.folder, f"{self._testMethodName}{name}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def node(self, encryption, listeners, known=True, **how):
        """A node that is dialed; it knows where the dialer is, or not."""
        nodes = entry(HERE, 1, 1, how.pop("dialer_dc", "dc1"), how.pop("dialer_more", "")) if known else ""
        node = harness.WeftNode(WEFT, lambda plain, tls: config(THERE, plain, tls, encryption, PEER_ID, nodes, **how),
                                listeners, address=THERE)
        self.addCleanup(node.close)
        return node.start()

    def check(self, path, to, *more):
        done = subprocess.run([WEFT, "check", path, "--dial", to, "--json", *more], capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.stderr, "")
        said = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if said["reached"] else 1)
        return said

    def dial(self, node, encryption, *more, port=None, **how):
        """As the configuration of a node with the ports of the one that is dialed."""
        port = port or ("plain" if "--security" not in more and "internode_encryption: none" in encryption else "tls")
        path = self.write(config(HERE, node.plain_port, node.tls_port, encryption, **how))
        return self.check(path, f"{THERE}:{node.plain_port if port == 'plain' else node.tls_port}", *more)

    def assert_failed(self, said, reason, said_by, change_on, node=None, logged=None):
        failure = said["failure"]
        self.assertFalse(said["reached"])
        self.assertEqual((failure["reason"], failure["said_by"], failure["change_on"]), (reason, said_by, change_on),
                         said)
        self.assertTrue(failure["change"])
        if node:
            node.wait_log(rf"(?m)^W refused in from {HERE}:\d+ .*: {logged or reason}\b")

    def test_plain__reached__peer_is_named(self):
        said = self.dial(self.node(block("none"), ("plain",)), block("none"))
        self.assertEqual((said["reached"], said["security"], said["failure"], said["tls"]), (True, "plain", None, None))
        self.assertEqual((said["peer"]["id"], said["peer"]["cluster"]), (PEER_ID, CLUSTER))

    def test_tls__reached__peer_and_suite_are_named(self):
        said = self.dial(self.node(self.tls(), ("tls",)), self.tls())
        self.assertEqual((said["reached"], said["security"], said["peer"]["id"]), (True, "tls", PEER_ID))
        self.assertEqual((said["tls"]["version"], said["tls"]["verified"]), ("TLSv1.3", True))

    def test_running_node__of_the_same_configuration__not_disturbed(self):
        """The dialed node has a live connection of the node whose configuration is checked."""
        other = self.node(block("none"), ("plain",))
        text = config(HERE, other.plain_port, other.tls_port, block("none"),
                      nodes=entry(THERE, other.plain_port, other.tls_port))
        live = harness.WeftNode(WEFT, lambda plain, tls: text, ("plain",), address=HERE,
                                ports=(other.plain_port, other.tls_port), arguments=["--verbose"])
        self.addCleanup(live.close)
        live.start().wait_log(rf"I peer up {THERE}")
        self.assertTrue(self.check(self.write(text), f"{THERE}:{other.plain_port}")["reached"])
        self.assertNotRegex(live.log(), "peer down|link down")
        self.assertNotIn("stale_incarnation", other.log())

    def test_certificates__each_fault__told_by_who_found_it(self):
        """Ours, which the peer judges; and the peer's, which we judge."""
        told = {"old": ("cert_expired", "here"), "strange": ("cert_untrusted", "either side"),
                "early": ("cert_not_yet_valid", "either side")}
        node = self.node(self.tls(), ("tls",))
        for name, (reason, side) in told.items():
            with self.subTest(ours=name):
                self.assert_failed(self.dial(node, self.tls(name)), reason, "peer", side, node)
        node.close()
        found = {"old": ("cert_expired", "there"), "strange": ("cert_untrusted", "either side"),
                 "early": ("cert_not_yet_valid", "either side")}
        for name, (reason, side) in found.items():
            with self.subTest(theirs=name):
                node = self.node(self.tls(name), ("tls",))
                said = self.dial(node, self.tls())
                self.assert_failed(said, reason, "self", side)
                node.close()

    def test_certificate__of_another_name__found_before_a_word_is_said(self):
        """Under require_endpoint_verification, as the node of this configuration would find it."""
        verifying = self.tls(more="    require_client_auth: true\n    require_endpoint_verification: true\n")
        self.leaves["elsewhere"] = self.ca.leaf("elsewhere", names="IP:127.0.0.99", extensions=LEAF)
        node = self.node(self.tls("elsewhere"), ("tls",))
        said = self.dial(node, verifying)
        self.assert_failed(said, "cert_name_mismatch", "self", "there")
        self.assertIn("IP:127.0.0.99", said["failure"]["text"])
        self.assertTrue(said["tls"]["verified"])
        self.assertIsNone(said["peer"])
        node.close()
        self.assertTrue(self.dial(self.node(self.tls(), ("tls",)), verifying)["reached"])

    def test_ports__taken_for_each_other__named_on_both_ends(self):
        node = self.node(self.tls(scope="none", more=""), ("plain", "tls"))
        self.assert_failed(self.dial(node, self.tls(), "--security", "tls", port="plain"), "tls_on_plaintext_port",
                           "peer", "here", node)
        self.assert_failed(self.dial(node, self.tls(), "--security", "plain", port="tls"), "plaintext_on_tls_port",
                           "peer", "here", node)

    def test_policy__plaintext_where_it_is_forbidden__named(self):
        node = self.node(self.tls(scope="dc", more=""), ("plain", "tls"), dialer_dc="dc2")
        said = self.dial(node, block("none"), dc="dc2")
        self.assert_failed(said, "plaintext_forbidden", "peer", "either side", node)
        node.close()
        node = self.node(self.tls(scope="dc", more=""), ("plain", "tls"), known=False)
        said = self.dial(node, block("none"))
        self.assert_failed(said, "refused", "peer", "there", node, "plaintext_unknown_location")

    def test_hello__claims_that_do_not_fit__named(self):
        node = self.node(block("none"), ("plain",))
        self.assert_failed(self.dial(node, block("none"), cluster="another"), "wrong_cluster", "peer", "either side",
                           node)
        self.assert_failed(self.dial(node, block("none"), dc="dc9"), "location_claim_mismatch", "peer", "either side",
                           node)
        self.assert_failed(self.dial(node, block("none"), node_id=PEER_ID), "self_connection", "peer", "here", node)
        other = "0e320000-0000-4000-8000-000000000009"
        said = self.dial(node, block("none"), nodes=entry(THERE, node.plain_port, node.tls_port, more=f", id: {other}"))
        self.assert_failed(said, "wrong_node", "self", "here")

    def serve(self, answer):
        """A program that answers the first bytes with these; None: it says nothing."""
        listener = socket.create_server((THERE, 0))
        done = threading.Event()

        def run():
            try:
                client, _ = listener.accept()
            except OSError:
                return  # nobody dialed
            with client:
                client.settimeout(10)
                try:
                    client.recv(65536)
                    if answer is not None:
                        client.sendall(answer)
                        client.shutdown(socket.SHUT_WR)
                        client.recv(65536)
                    done.wait(10)
                except OSError:
                    pass

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 15)
        self.addCleanup(done.set)
        self.addCleanup(listener.close)
        self.addCleanup(self.end, listener)
        return listener.getsockname()[1]

    @staticmethod
    def end(listener):
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)

    def test_other_programs__each__named(self):
        alert = struct.pack(">BHHBB", 21, 0x0303, 2, 2, 40)
        rows = [
            ("plain", b"HTTP/1.1 400 Bad Request\r\n\r\n", "bad_magic", "there"),
            ("plain", alert, "plaintext_on_tls_port", "here"),
            ("plain", b"", "closed_by_peer", "there"),
            ("plain", None, "hello_timeout", "there"),
            ("tls", b"SSH-2.0-x\r\n", "tls_on_plaintext_port", "here"),
            ("tls", alert, "tls_no_shared_cipher", "either side"),
            ("tls", struct.pack(">BHHBB", 21, 0x0303, 2, 2, 70), "tls_version", "there"),
            ("tls", struct.pack(">BHHBB", 21, 0x0303, 2, 2, 80), "tls_failed", "either side"),
            ("tls", None, "handshake_timeout", "there"),
        ]
        for security, answer, reason, side in rows:
            with self.subTest(security=security, reason=reason):
                # Only who waits for nothing is impatient: a busy machine may need long for the others.
                path = self.write(config(HERE, 1, 2, self.tls(), patience="20s" if answer is not None else "1s"))
                said = self.check(path, f"{THERE}:{self.serve(answer)}", "--security", security)
                self.assertEqual((said["failure"]["reason"], said["failure"]["change_on"]), (reason, side), said)
        said = self.check(path, f"{THERE}:{harness.free_ports(1, (THERE,))[0]}", "--security", "plain")
        self.assert_failed(said, "connect_failed", "self", "there")

    def test_text__of_a_failure__says_who_and_what(self):
        path = self.write(config(HERE, 1, 2, block("none")))
        done = subprocess.run([WEFT, "check", path, "--dial", f"{THERE}:1"], capture_output=True, text=True, timeout=20,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{THERE}:1 plain: not reached: connect_failed: connect", done.stdout)
        self.assertIn("said by      this node\n  change       there: ", done.stdout)

    def test_usage__wrong__exit_2(self):
        path = self.write(config(HERE, 7000, 7001, block("none")))
        for words in (("--dial", "nowhere"), ("--dial", f"{THERE}:0"), ("--dial", f"{THERE}:65536"),
                      ("--dial", f"{THERE}:9999"), ("--dial", f"{THERE}:7000", "--security", "both"),
                      ("--security", "tls"), ("--dial", f"{THERE}:7000", "--from", path), ("--dial", ":7000")):
            with self.subTest(words=words):
                done = subprocess.run([WEFT, "check", path, *words], capture_output=True, text=True, check=False,
                                      timeout=20)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertTrue(done.stderr)

    def test_json__nothing_could_be_dialed__one_object_says_so(self):
        good = self.write(config(HERE, 7000, 7001, block("none")), "-good")
        bad = self.write("internode_encryption: 7\n", "-bad")
        rows = ((good, "nowhere", 2, "invalid", "is not HOST:PORT"), (good, f"{THERE}:9999", 2, "invalid", "neither"),
                (good, "no.such.name.invalid:7000", 1, None, "no.such.name.invalid"),
                (good, f"{THERE}:7001", 1, "config", "set certificate"),
                (bad, f"{THERE}:7000", 1, "config", "-bad.yaml"))
        for path, to, code, reason, text in rows:
            with self.subTest(to=to, path=path):
                done = subprocess.run([WEFT, "check", path, "--dial", to, "--json"], capture_output=True, text=True,
                                      check=False, timeout=60)
                self.assertEqual(done.returncode, code, done.stderr)
                said = json.loads(done.stdout)
                self.assertEqual((said["reached"], said["address"], said["security"], said["peer"]),
                                 (False, to, None, None))
                failure = said["failure"]
                self.assertEqual((failure["said_by"], failure["change_on"], failure["change"]), ("self", "here", None))
                self.assertIn(text, failure["text"])
                self.assertIn(failure["text"].split(": ")[-1], done.stderr)
                self.assertIn(failure["reason"], (reason,) if reason else ("not_found", "system", "timeout"))

    def test_tls__without_a_certificate__said(self):
        path = self.write(config(HERE, 7000, 7001, block("none")))
        done = subprocess.run([WEFT, "check", path, "--dial", f"{THERE}:7001"], capture_output=True, text=True,
                              check=False, timeout=20)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("set certificate and keyfile", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
