#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: a running `weft node` takes over certificates, keys and revocation lists, on SIGHUP and when their files
change, without losing a call; who is revoked is cut off; and a bad file changes nothing.

Method: two nodes under `all` that demand certificates and probe each other all the time.  Files are replaced beside
them; the log and the status say what became of it.

Environment: WEFT, the program.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import LEAF, Authority

import harness

WEFT = os.environ.get("WEFT", "weft")
ADDRESSES = ("127.0.26.1", "127.0.26.2")
CLUSTER = "renewed"


class ReloadCredentials(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weft-renewed-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.ca = Authority(self.folder, "ca")
        self.made = 0
        self.serial = 1
        self.pairs = []
        for i in range(2):
            self.pairs.append([os.path.join(self.folder, f"node{i}.{kind}") for kind in ("crt", "key")])
            self.renew(i)
        self.lists = self.ca.crl("lists.crl", number="01")
        self.ports = [harness.free_ports(2, (address,)) for address in ADDRESSES]
        self.nodes = []
        for i, address in enumerate(ADDRESSES):
            node = harness.WeftNode(WEFT, lambda *_, i=i: self.text(i), address=address, ports=self.ports[i],
                                    listeners=("tls",), arguments=["--probe", "20ms"])
            self.addCleanup(node.close)
            node.arguments += ["--status", os.path.join(node.folder, "status.json")]
            self.nodes.append(node.start())
        for i, node in enumerate(self.nodes):
            node.wait_log(rf"I peer up {ADDRESSES[1 - i]}\b", 20)
            harness.wait_until(lambda node=node: self.answered(node) > 3, node.log)

    def renew(self, index):
        """Another certificate with another key, renamed over those that there were."""
        self.made += 1
        leaf = self.ca.leaf(f"made{self.made}", names=f"IP:{ADDRESSES[index]}", extensions=LEAF)
        self.last = os.path.join(self.folder, f"kept{index}.crt")
        shutil.copy(leaf, self.last)
        for made, kept in zip((leaf, leaf.replace(".crt", ".key")), self.pairs[index]):
            os.chmod(made, 0o600)
            os.rename(made, kept)

    def text(self, own):
        nodes = "".join(f"        - {{ address: {address}, dc: dc1, rack: r1, storage_port: {plain}, "
                        f"ssl_storage_port: {tls} }}\n" for address, (plain, tls) in zip(ADDRESSES, self.ports))
        certificate, key = self.pairs[own]
        return f"""\
cluster_name: {CLUSTER}
listen_address: {ADDRESSES[own]}
storage_port: {self.ports[own][0]}
ssl_storage_port: {self.ports[own][1]}
server_encryption_options:
    internode_encryption: all
    certificate: {certificate}
    keyfile: {key}
    truststore: {self.ca.path("crt")}
    certificate_revocation_list: {self.lists}
    require_client_auth: true
weft:
    shards: 1
    drain_timeout: 2s
    nodes:
{nodes}"""

    def list_revoked(self, days=("-1", "30")):
        """A newer list, written beside and renamed over."""
        self.serial += 1
        os.rename(self.ca.crl("next.crl", number=f"{self.serial:02d}", days=days), self.lists)

    def status(self, node):
        with open(os.path.join(node.folder, "status.json"), encoding="utf-8") as file:
            return json.load(file)

    def count(self, node, name):
        return self.status(node)["counters"][name]

    def answered(self, node):
        try:
            return sum(peer["probes_answered"] for peer in self.status(node)["peers"])
        except FileNotFoundError:
            return 0

    def lost(self, node):
        return sum(account[f"calls_{how}"] for peer in self.status(node)["peers"]
                   for account in peer["accounts"].values() for how in ("failed", "expired"))

    def until_count(self, node, name, least):
        harness.wait_until(lambda: self.count(node, name) >= least, node.log, 20)

    def test_sighup_and_new_files__under_load__replaced_and_no_call_lost(self):
        lost = [self.lost(node) for node in self.nodes]
        for number in range(1, 5):
            for i, node in enumerate(self.nodes):
                replaced = self.count(node, "credentials_replaced")
                self.renew(i)
                if number % 2 == 0:
                    node.process.send_signal(signal.SIGHUP)
                # Else the watched files tell.
                self.until_count(node, "credentials_replaced", replaced + 1)
        for i, node in enumerate(self.nodes):
            answered = self.answered(node)
            harness.wait_until(lambda node=node, answered=answered: self.answered(node) > answered + 5, node.log)
            self.assertEqual(self.lost(node), lost[i], node.log())
            self.assertEqual(self.count(node, "credentials_cut_off"), 0)
            # Our own connections were made again, with newer keys.
            self.assertGreaterEqual(self.count(node, "links_moved"), 1)
            self.assertIn("I credentials: replaced for new connections: ", node.log())
        for node in self.nodes:
            node.stop()

    def test_revoked__list_replaced__cut_off_and_refused(self):
        node, other = self.nodes
        self.ca.revoke(self.last)
        self.list_revoked()
        node.wait_log(r"refused .*cert_revoked", 20)
        other.wait_log(r"refused .*cert_revoked", 20)
        self.until_count(node, "credentials_cut_off", 1)
        answered = self.answered(node)
        node.wait_log(r"peer down ", 20)
        # It is refused at its next dials, too: the count of the cut off is not that of the refused.
        harness.wait_until(lambda: self.count(node, "refused") > self.count(node, "credentials_cut_off"), node.log, 20)
        self.assertLessEqual(self.answered(node), answered + 2)
        for each in self.nodes:
            each.stop()

    def test_bad_files__what_was_stays_until_a_good_one_comes(self):
        node = self.nodes[0]
        lost = self.lost(node)
        for make, says in ((lambda: self.list_revoked(days=("-30", "-1")), "expired at"),
                           (lambda: self.overwrite(self.lists, "half a list"), "holds no PEM revocation list"),
                           (lambda: self.overwrite(self.pairs[0][0], "-----BEGIN"), "certificate ")):
            refused = self.count(node, "credentials_refused")
            make()
            self.until_count(node, "credentials_refused", refused + 1)
            node.wait_log(rf"W credentials: what was stays in use: .*{says}")
        answered = self.answered(node)
        harness.wait_until(lambda: self.answered(node) > answered + 5, node.log)
        self.assertEqual(self.count(node, "credentials_replaced"), 0)
        self.assertEqual(self.lost(node), lost, node.log())
        self.list_revoked()
        self.renew(0)
        self.until_count(node, "credentials_replaced", 1)
        for each in self.nodes:
            each.stop()

    @staticmethod
    def overwrite(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
