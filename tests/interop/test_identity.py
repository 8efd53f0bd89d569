# SPDX-License-Identifier: Apache-2.0
"""Goal: nodes on real sockets refuse peers whose certificates are revoked, or name somebody else where
require_endpoint_verification is on, and both ends say and count why.

Method: two `weft node` processes that have each other as peers and dial by TLS, with certificates of a CA by the
openssl program; the log and the counters of both.

Environment: WEFT, the program.
"""

import json
import os
import signal
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import client as twin
import harness
import seastar_rpc as rpc
from authority import Authority, bundle

WEFT = os.environ.get("WEFT")
ADDRESSES = ("127.0.25.1", "127.0.25.2")


def setUpModule():
    if not WEFT or not os.access(WEFT, os.X_OK):
        raise AssertionError(f"WEFT must name the built program, not {WEFT!r}")


class Duo:
    """Two nodes; what each shows and demands is a dict of keys of server_encryption_options and of weft."""

    def __init__(self, test, certificates, truststore, encryption=({}, {}), weft=({}, {}), nodes=({}, {}),
                 addresses=ADDRESSES):
        ports = [harness.free_ports(2, (address,)) for address in addresses]

        def text(index):
            entries = [{"address": address, "dc": "dc1", "rack": "r1", "storage_port": plain, "ssl_storage_port": tls}
                       for address, (plain, tls) in zip(addresses, ports)]
            entries[1 - index].update(nodes[index])
            entries[1 - index] = {key: value for key, value in entries[1 - index].items() if value is not None}
            own = {"dc": "dc1", "rack": "r1", "shards": 1, "heartbeat": "300ms", "drain_timeout": "1s",
                   "nodes": entries, **weft[index]}
            block = {"internode_encryption": "all", "certificate": certificates[index],
                     "keyfile": certificates[index][:-4] + ".key", "truststore": truststore,
                     "require_client_auth": True, **encryption[index]}
            return json.dumps({"cluster_name": "identity", "listen_address": addresses[index],
                               "storage_port": ports[index][0], "ssl_storage_port": ports[index][1],
                               "server_encryption_options": block, "weft": own}, indent=1)

        self.text, self.entries = text, nodes
        self.nodes = []
        for index in range(2):
            node = harness.WeftNode(WEFT, lambda *_, index=index: text(index), listeners=("tls",),
                                    address=addresses[index], ports=ports[index])
            test.addCleanup(node.close)
            node.arguments += ["--status", os.path.join(node.folder, "status.json")]
            self.nodes.append(node)

    def start(self):
        for node in self.nodes:
            node.start()
        return self.nodes

    def change(self, index, **entry):
        """The running node learns what is different about the other one's entry."""
        self.entries[index].update(entry)
        node = self.nodes[index]
        with open(os.path.join(node.folder, "weft.yaml"), "w", encoding="utf-8") as file:
            file.write(self.text(index))
        node.process.send_signal(signal.SIGHUP)

    def refused(self, index, reason):
        try:
            with open(os.path.join(self.nodes[index].folder, "status.json"), encoding="utf-8") as file:
                return harness.refusals(json.load(file), reason)
        except FileNotFoundError:
            return 0

    def counter(self, index, name):
        try:
            with open(os.path.join(self.nodes[index].folder, "status.json"), encoding="utf-8") as file:
                return json.load(file)["counters"].get(name, 0)
        except FileNotFoundError:
            return 0


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        cls.ca = Authority(cls.folder, "ca")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def path(self, name):
        return os.path.join(self.folder, name)

    def expect_up(self, duo):
        nodes = duo.start()
        for index, node in enumerate(nodes):
            node.wait_log(rf"I peer up {ADDRESSES[1 - index]}\b", 20)
        return nodes

    def expect_refused(self, duo, judge, reason):
        """Node `judge` refuses the other's certificate, as acceptor and as dialer; nobody was ever up."""
        nodes = duo.start()
        shown = 1 - judge
        nodes[judge].wait_log(rf"W refused in from {ADDRESSES[shown]}:\d+ lane \w+: {reason}\b", 20)
        nodes[judge].wait_log(rf"W refused out to {ADDRESSES[shown]}:\d+ lane control: {reason}\b", 20)
        nodes[shown].wait_log(rf"W refused out to {ADDRESSES[judge]}:\d+ lane control: {reason}\b", 20)
        for index in (0, 1):
            harness.wait_until(lambda index=index: duo.refused(index, reason) >= 2, f"counters of node {index}")
            self.assertNotIn("peer up", nodes[index].log())
        return nodes


class Revocation(Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.good = cls.ca.leaf("good", names=f"IP:{ADDRESSES[0]}")
        cls.fine = cls.ca.leaf("fine", names=f"IP:{ADDRESSES[1]}")
        cls.revoked = cls.ca.leaf("revoked", names=f"IP:{ADDRESSES[1]}")
        cls.below = Authority(cls.folder, "below", parent=cls.ca)
        lone = cls.below.leaf("lone", names=f"IP:{ADDRESSES[1]}")
        cls.chain = bundle(os.path.join(cls.folder, "chain.crt"), lone, cls.below.path("crt"))
        os.link(os.path.join(cls.folder, "lone.key"), os.path.join(cls.folder, "chain.key"))
        cls.ca.revoke(cls.revoked)
        cls.leaf_list = cls.ca.crl("leaf.crl")
        cls.ca.revoke(cls.below.path("crt"))
        cls.both_list = cls.ca.crl("both.crl")
        cls.old_list = cls.ca.crl("old.crl", days=("-30", "-1"))

    def duo(self, shown, lists, **weft):
        return Duo(self, (self.good, shown), self.ca.path("crt"), ({"certificate_revocation_list": lists}, {}),
                   (weft, {}))

    def test_leaf__revoked__cert_revoked_in_both_directions_at_both_ends(self):
        self.expect_refused(self.duo(self.revoked, self.leaf_list), 0, "cert_revoked")

    def test_intermediate__revoked__cert_revoked_in_both_directions_at_both_ends(self):
        self.expect_refused(self.duo(self.chain, self.both_list), 0, "cert_revoked")

    def test_list__of_the_issuer_above__intermediate_without_a_list_is_fine(self):
        self.expect_up(self.duo(self.chain, self.leaf_list))

    def test_list__names_somebody_else__up(self):
        nodes = self.expect_up(self.duo(self.fine, self.leaf_list))
        self.assertIn("revocation lists of 1 issuers", nodes[0].log())

    def test_list__expired_and_refuse__does_not_start(self):
        duo = self.duo(self.fine, self.old_list)
        with self.assertRaisesRegex(AssertionError, "the list of CN=ca expired at .*crl_expired: warn"):
            duo.nodes[0].start()

    def test_list__expired_and_warn__up_warned_counted_and_still_revokes(self):
        duo = self.duo(self.fine, self.old_list, crl_expired="warn")
        nodes = self.expect_up(duo)
        nodes[0].wait_log(r"W certificate_revocation_list .*expired at", 5)
        nodes[0].wait_log(rf"W {ADDRESSES[1]}:\d+: admitted though the revocation list", 10)
        harness.wait_until(lambda: duo.counter(0, "crl_expired_admitted") >= 2, "the counter")
        for node in nodes:
            node.stop()
        self.expect_refused(self.duo(self.revoked, self.old_list, crl_expired="warn"), 0, "cert_revoked")


class EndpointVerification(Base):
    """Node 0 demands that certificates name who shows them; node 1 shows the one in question."""

    IDS = ("6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00", "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f01")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.good = cls.ca.leaf("good", names=f"IP:{ADDRESSES[0]}")

    def duo(self, name, names, id_known=True, **how):
        shown = self.ca.leaf(name, names=names, **how)
        entry = {"id": self.IDS[1]} if id_known else {}
        return Duo(self, (self.good, shown), self.ca.path("crt"), ({"require_endpoint_verification": True}, {}),
                   ({"node_id": self.IDS[0]}, {"node_id": self.IDS[1]}), (entry, {}))

    def uri(self, cluster="identity", dc="dc1", rack="r1", node_id=None):
        return f"URI:weft://{cluster}/{dc}/{rack}/{node_id or self.IDS[1]}"

    def test_names__that_fit__up(self):
        for name, names, id_known in (("address", f"IP:{ADDRESSES[1]}", False), ("uri", self.uri(), True),
                                      ("both", f"{self.uri()},IP:{ADDRESSES[1]}", False),
                                      ("bare", self.uri(dc="-", rack="-"), True)):
            with self.subTest(name):
                for node in self.expect_up(self.duo(name, names, id_known)):
                    node.stop()

    def test_names__that_do_not_fit__named_at_both_ends(self):
        other = "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f02"
        address = f",IP:{ADDRESSES[1]}"
        for name, names, reason in (
                ("elsewhere", f"IP:{ADDRESSES[0]}", "cert_name_mismatch"),
                ("dns", "DNS:n2.example", "cert_name_mismatch"),
                ("two", f"{self.uri()},{self.uri(node_id=other)}{address}", "cert_name_mismatch"),
                ("malformed", f"URI:weft://identity/dc1/{self.IDS[1]}{address}", "cert_name_mismatch"),
                ("cluster", self.uri(cluster="another") + address, "wrong_cluster"),
                ("node", self.uri(node_id=other) + address, "wrong_node"),
                ("dc", self.uri(dc="dc2") + address, "location_claim_mismatch"),
                ("rack", self.uri(rack="R1") + address, "location_claim_mismatch")):
            with self.subTest(name):
                duo = self.duo(name, names)
                nodes = duo.start()
                nodes[0].wait_log(rf"W refused in from {ADDRESSES[1]}:\d+ lane control: {reason}\b", 20)
                nodes[0].wait_log(rf"W refused out to {ADDRESSES[1]}:\d+ lane control: {reason}\b", 20)
                nodes[1].wait_log(rf"W refused out to {ADDRESSES[0]}:\d+ lane control: {reason}\b", 20)
                harness.wait_until(lambda duo=duo: duo.refused(0, reason) >= 2, "the counter")
                self.assertNotIn("peer up", nodes[0].log())
                for node in nodes:
                    node.stop()

    def test_uri__of_whom_nobody_knows_the_id__proves_not_whom_was_dialed(self):
        nodes = self.duo("unknown", self.uri(), id_known=False).start()
        nodes[0].wait_log(rf"W refused out to {ADDRESSES[1]}:\d+ lane control: cert_name_mismatch", 20)

    def test_uri__of_whom_nobody_knows_the_id__but_the_address_too__up(self):
        for node in self.expect_up(self.duo("known", f"{self.uri()},IP:{ADDRESSES[1]}", id_known=False)):
            node.stop()

    def test_topology__says_otherwise_later__live_connections_end_by_name(self):
        duo = self.duo("moved", f"{self.uri()},IP:{ADDRESSES[1]}")
        nodes = self.expect_up(duo)
        duo.change(0, rack="r2")
        nodes[0].wait_log(rf"W link {ADDRESSES[1]} lane control no longer proves its peer: location_claim_mismatch", 20)
        nodes[0].wait_log(rf"W refused out to {ADDRESSES[1]}:\d+ lane control: location_claim_mismatch", 20)
        nodes[0].wait_log(rf"W peer down {ADDRESSES[1]}: location_claim_mismatch", 20)
        # The other's connection goes too, and is told so when it comes again.
        nodes[0].wait_log(rf"W refused in from {ADDRESSES[1]}:\d+ lane control: location_claim_mismatch", 20)
        nodes[1].wait_log(rf"W refused out to {ADDRESSES[0]}:\d+ lane control: location_claim_mismatch", 20)
        up = nodes[0].log().count("I peer up")
        duo.change(0, rack="r1")
        harness.wait_until(lambda: nodes[0].log().count("I peer up") > up, "up again", 30)

    def test_topology__another_id_later__live_connections_end_by_name(self):
        duo = self.duo("renamed", f"{self.uri()},IP:{ADDRESSES[1]}")
        nodes = self.expect_up(duo)
        duo.change(0, id="6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f02")
        nodes[0].wait_log(rf"W refused out to {ADDRESSES[1]}:\d+ lane control: wrong_node", 20)
        nodes[0].wait_log(rf"W refused in from {ADDRESSES[1]}:\d+ lane control: (wrong_node|peer_removed)", 20)
        nodes[1].wait_log(rf"W refused out to {ADDRESSES[0]}:\d+ lane control: wrong_node", 20)

    def by_name(self, name, names, node_id=None):
        """Node 1 is at 127.0.0.1, and node 0 knows it as localhost."""
        shown = self.ca.leaf(name, names=names)
        addresses = (ADDRESSES[0], "127.0.0.1")
        entry = {"address": "localhost", "dc": None, "rack": None, **({"id": node_id} if node_id else {})}
        return Duo(self, (self.good, shown), self.ca.path("crt"), ({"require_endpoint_verification": True}, {}),
                   ({"node_id": self.IDS[0]}, {"node_id": self.IDS[1]}), (entry, {}), addresses=addresses)

    def test_peer__configured_by_host_name__the_name_counts_and_not_the_address(self):
        for name, names, node_id in (("host", "DNS:localhost", None), ("host_and_id", self.uri(), self.IDS[1])):
            with self.subTest(name):
                nodes = self.by_name(name, names, node_id).start()
                nodes[0].wait_log(r"I peer up 127\.0\.0\.1\b", 20)
                nodes[1].wait_log(rf"I peer up {ADDRESSES[0]}\b", 20)
                for node in nodes:
                    node.stop()
        for name, names in (("resolved", "IP:127.0.0.1"), ("other_host", "DNS:n2.example"), ("id_alone", self.uri())):
            with self.subTest(name):
                nodes = self.by_name(name, names).start()
                nodes[0].wait_log(r"W refused out to 127\.0\.0\.1:\d+ .*: cert_name_mismatch: .*host name", 20)
                self.assertNotIn("peer up", nodes[0].log())
                for node in nodes:
                    node.stop()

    def spiffe(self, name, names, patterns, **entry):
        shown = self.ca.leaf(name, names=names)
        return Duo(self, (self.good, shown), self.ca.path("crt"), ({"require_endpoint_verification": True}, {}),
                   ({"node_id": self.IDS[0], "spiffe_ids": patterns}, {"node_id": self.IDS[1]}), (entry, {}))

    def test_spiffe_id__that_matches_and_fits__up(self):
        for name, path, pattern, entry in (
                ("literal", "weft", "weft", {}), ("any", "ns/prod/sa/weft", "ns/*/sa/weft", {}),
                ("words", f"identity/dc1/r1/{self.IDS[1]}", "{cluster}/{dc}/{rack}/{id}", {"id": self.IDS[1]})):
            with self.subTest(name):
                patterns = ["spiffe://example.org/other", f"spiffe://example.org/{pattern}"]
                for node in self.expect_up(self.spiffe(name, f"URI:spiffe://example.org/{path}", patterns, **entry)):
                    node.stop()

    def test_spiffe_id__that_does_not__named_at_both_ends(self):
        address = f",IP:{ADDRESSES[1]}"
        other = "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f02"
        words = "{cluster}/{dc}/{rack}/{id}"
        for name, names, pattern, reason in (
                ("stranger", f"URI:spiffe://example.org/web{address}", "weft", "cert_name_mismatch"),
                ("domain", f"URI:spiffe://example.com/weft{address}", "weft", "cert_name_mismatch"),
                ("beside", f"URI:spiffe://example.org/weft,URI:https://example.org{address}", "*",
                 "cert_name_mismatch"),
                ("form", f"URI:spiffe://example.org/weft/{address}", "weft", "cert_name_mismatch"),
                ("cluster", f"URI:spiffe://example.org/x/dc1/r1/{self.IDS[1]}{address}", words, "wrong_cluster"),
                ("id", f"URI:spiffe://example.org/identity/dc1/r1/{other}{address}", words, "wrong_node"),
                ("rack", f"URI:spiffe://example.org/identity/dc1/r9/{self.IDS[1]}{address}", words,
                 "location_claim_mismatch")):
            with self.subTest(name):
                self.expect_refused(self.spiffe("spiffe_" + name, names, [f"spiffe://example.org/{pattern}"]), 0,
                                    reason)

    def test_spiffe_id__without_a_pattern__proves_nothing_and_does_no_harm(self):
        names = "URI:spiffe://example.org/weft"
        self.expect_refused(self.duo("no_pattern", names), 0, "cert_name_mismatch")
        for node in self.expect_up(self.duo("beside_address", f"{names},IP:{ADDRESSES[1]}")):
            node.stop()

    def test_form__common_name_alone__untrusted(self):
        bare = "[leaf]\nbasicConstraints=critical,CA:FALSE\n"
        self.expect_refused(self.duo("common", "", extensions=bare), 0, "cert_untrusted")


class Fencing(Base):
    """Who comes back ends what his former life left; who only says that he is somebody ends nothing that was proven."""

    ID = "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f01"

    def node(self, verification):
        own = self.ca.leaf("own", names=f"IP:{ADDRESSES[0]}")

        def text(plain, tls):
            block = {"internode_encryption": "all", "certificate": own, "keyfile": own[:-4] + ".key",
                     "truststore": self.ca.path("crt"), "require_client_auth": True,
                     "require_endpoint_verification": verification}
            entry = {"address": ADDRESSES[1], "dc": "dc1", "rack": "r1", "id": self.ID}
            weft = {"dc": "dc1", "rack": "r1", "shards": 1, "heartbeat": 0, "nodes": [entry]}
            return json.dumps({"cluster_name": "identity", "listen_address": ADDRESSES[0], "storage_port": plain,
                               "ssl_storage_port": tls, "server_encryption_options": block, "weft": weft}, indent=1)

        node = harness.WeftNode(WEFT, text, listeners=("tls",), address=ADDRESSES[0])
        self.addCleanup(node.close)
        return node.start()

    def life(self, node, name, names, incarnation):
        """A connection of the peer's address and id, by a certificate of these names."""
        leaf = self.ca.leaf(name, names=names)
        context = twin.tls_context(self.ca.path("crt"), leaf, leaf[:-4] + ".key")
        client = twin.Client((ADDRESSES[0], node.tls_port), ADDRESSES[1], context)
        self.addCleanup(client.close)
        hello = rpc.Hello(cluster="identity", node_id=uuid.UUID(self.ID).bytes, incarnation=incarnation)
        records = client.negotiate([(rpc.TIMEOUT, b""), (rpc.HELLO, rpc.hello(hello))])
        return client, dict(records)

    def test_claim__of_a_higher_incarnation__ends_no_connection_with_a_certificate(self):
        uri, address = f"URI:weft://identity/dc1/r1/{self.ID}", f"IP:{ADDRESSES[1]}"
        for verification in (False, True):
            with self.subTest(verification=verification):
                node = self.node(verification)
                proven, _ = self.life(node, "proven", uri, 10)
                claimed, _ = self.life(node, "claimed", address, 20)
                self.assertEqual(claimed.echo(b"x"), b"x")
                later, _ = self.life(node, "later", address, 30)
                with self.assertRaises(twin.Closed):  # of two that claim, the later one counts
                    claimed.echo(b"x")
                self.assertEqual(proven.echo(b"x"), b"x")
                back, _ = self.life(node, "back", f"{uri},{address}", 40)
                for former in (proven, later):
                    with self.assertRaises(twin.Closed):
                        former.echo(b"x")
                self.assertEqual(back.echo(b"x"), b"x")
                node.stop()

    def test_claim__of_another_id_than_the_certificate_has__refused_or_proves_nothing(self):
        uri = f"URI:weft://identity/dc1/r1/{self.ID}"
        other = "URI:weft://identity/dc1/r1/6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f02"
        for verification in (False, True):
            with self.subTest(verification=verification):
                node = self.node(verification)
                proven, _ = self.life(node, "proven", uri, 10)
                _, answer = self.life(node, "other", other, 20)
                if verification:
                    self.assertEqual(rpc.refusal_parse(answer[rpc.REFUSAL]), "wrong_node")
                    node.wait_log(rf"W refused in from {ADDRESSES[1]}:\d+ .*: wrong_node")
                else:
                    self.assertIn(rpc.HELLO, answer)
                self.assertEqual(proven.echo(b"x"), b"x")
                node.stop()


if __name__ == "__main__":
    unittest.main()
