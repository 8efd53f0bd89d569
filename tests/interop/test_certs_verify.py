#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `weft certs verify` gives the verdict that a chain deserves, by name, and refuses what OpenSSL alone accepts.
Method: certificates and revocation lists made by the openssl program; one row each: what is shown, to whom, and the
verdict that must come out.  The verdict is that of handshakes, since both call one function."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import LEAF, Authority, bundle, openssl, rsa

WEFT = os.environ["WEFT"]


class Verdicts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        cls.ca = Authority(cls.folder, "ca")
        cls.other = Authority(cls.folder, "other")
        cls.good = cls.ca.leaf("good")
        cls.revoked = cls.ca.leaf("revoked")
        cls.ca.revoke(cls.revoked)
        cls.list = cls.ca.crl("ca.crl")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def path(self, name):
        return os.path.join(self.folder, name)

    def verdict(self, chain, *more, trust=None):
        done = subprocess.run([WEFT, "certs", "verify", "--trust", trust or self.ca.path("crt"), "--chain", chain,
                               "--json", *more], capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        said = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if said["verdict"] == "ok" else 1)
        return said["verdict"], said["detail"]

    def expect(self, verdict, chain, *more, says="", **how):
        got = self.verdict(chain, *more, **how)
        self.assertEqual(got[0], verdict, got)
        self.assertIn(says, got[1])

    def test_chain__good__ok_on_both_sides(self):
        for more in ((), ("--as", "client"), ("--strict",), ("--peer", "127.0.0.1"), ("--peer", "n1.example"),
                     ("--crl", self.list), ("--strict", "--as", "client", "--peer", "n1.example", "--crl", self.list)):
            with self.subTest(more=more):
                self.expect("ok", self.good, *more)

    def test_dates__outside__expired_or_not_yet_valid(self):
        self.expect("cert_expired", self.ca.leaf("old", days=("-30", "-1")))
        self.expect("cert_not_yet_valid", self.ca.leaf("early", days=("1", "30")))
        self.expect("cert_expired", self.good, "--time", "2099-01-01T00:00:00Z")
        self.expect("cert_not_yet_valid", self.good, "--time", "1000000000")

    def test_trust__another_ca__untrusted(self):
        self.expect("cert_untrusted", self.good, trust=self.other.path("crt"), says="does not know its CA")
        self.expect("cert_untrusted", self.other.leaf("stranger"))

    def test_trust__self_signed_leaf__only_if_it_is_in_the_store(self):
        alone = self.path("alone.crt")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.path("alone.key"), "-subj",
                "/CN=alone", "-days",
                "30", "-out", alone)
        self.expect("ok", alone, trust=alone)
        self.expect("cert_untrusted", alone, says="self-signed")

    def test_names__another__mismatch(self):
        for peer in ("127.0.0.2", "n2.example", "good", "::1"):  # the common name is no name
            with self.subTest(peer=peer):
                self.expect("cert_name_mismatch", self.good, "--peer", peer, says=f"does not name {peer}")

    def test_peer__ipv4_written_as_ipv6__the_same_address(self):
        self.expect("ok", self.good, "--peer", "::ffff:127.0.0.1")
        self.expect("cert_name_mismatch", self.good, "--peer", "::ffff:127.0.0.2")

    def test_peer__uri_of_a_node__part_by_part(self):
        ids = [f"6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f0{i}" for i in range(2)]
        leaf = self.ca.leaf("node", names=f"URI:weft://c/dc1/r1/{ids[0]},IP:10.0.0.1")
        for peer, verdict in ((f"weft://c/dc1/r1/{ids[0]}", "ok"), (f"weft://c/-/-/{ids[0].upper()}", "ok"),
                              ("10.0.0.1", "ok"), (f"weft://c2/dc1/r1/{ids[0]}", "wrong_cluster"),
                              (f"weft://c/dc1/r1/{ids[1]}", "wrong_node"),
                              (f"weft://c/dc2/r1/{ids[0]}", "location_claim_mismatch"),
                              (f"weft://c/dc1/R1/{ids[0]}", "location_claim_mismatch"),
                              ("spiffe://c/dc1", "cert_name_mismatch")):
            with self.subTest(peer=peer):
                self.expect(verdict, leaf, "--peer", peer)
        self.expect("cert_name_mismatch", self.good, "--peer", f"weft://c/dc1/r1/{ids[0]}", says="does not name weft:")
        for name, more in (("two", f"URI:weft://c/dc1/r1/{ids[1]}"), ("malformed", "URI:weft://c/dc1")):
            torn = self.ca.leaf(name, names=f"IP:10.0.0.1,URI:weft://c/dc1/r1/{ids[0]},{more}")
            self.expect("cert_name_mismatch", torn, "--peer", "10.0.0.1")

    def test_peer__spiffe_id__by_pattern(self):
        leaf = self.ca.leaf("workload", names="URI:spiffe://example.org/weft/dc1,DNS:n1.example")
        for peer, verdict in (("spiffe://example.org/weft/dc1", "ok"), ("spiffe://example.org/weft/*", "ok"),
                              ("spiffe://example.org/{cluster}/{dc}", "ok"), ("n1.example", "ok"),
                              ("spiffe://example.org/weft", "cert_name_mismatch"),
                              ("spiffe://example.com/weft/dc1", "cert_name_mismatch")):
            with self.subTest(peer=peer):
                self.expect(verdict, leaf, "--peer", peer)
        twice = self.ca.leaf("twice", names="URI:spiffe://example.org/weft/dc1,URI:https://example.org/")
        self.expect("cert_name_mismatch", twice, "--peer", "spiffe://example.org/weft/*")

    def test_peer__host_names__whole_labels_and_no_subject(self):
        wild = self.ca.leaf("wild", names="DNS:*.nodes.example")
        for peer, verdict in (("n1.nodes.example", "ok"), ("N1.NODES.EXAMPLE", "ok"),
                              *((name, "cert_name_mismatch") for name in (
                                  "a.n1.nodes.example", ".nodes.example", "nodes.example", "wild"))):
            with self.subTest(peer=peer):
                self.expect(verdict, wild, "--peer", peer)

    def test_peer__that_is_none__usage(self):
        for peer, says in (("", "names nobody"), ("weft://c", "no URI of a node"), ("spiffe://A", "trust domain")):
            done = subprocess.run([WEFT, "certs", "verify", "--chain", self.good, "--peer", peer], capture_output=True,
                                  text=True, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_usage__of_the_other_side__untrusted(self):
        server = self.ca.leaf("server", usage="serverAuth")
        self.expect("ok", server)
        self.expect("cert_untrusted", server, "--as", "client", says="extended key usage")

    def test_crl__leaf_or_intermediate_revoked__revoked(self):
        self.expect("cert_revoked", self.revoked, "--crl", self.list)
        self.expect("ok", self.revoked)
        middle = Authority(self.folder, "middle", parent=self.ca)
        below = middle.leaf("below")
        chain = bundle(self.path("below.chain"), below, middle.path("crt"))
        self.expect("ok", chain, "--crl", self.list)  # lists of one CA of the chain are enough
        self.ca.revoke(middle.path("crt"))
        self.expect("cert_revoked", chain, "--crl", self.ca.crl("middle.crl", number="02"), says="a CA certificate")
        self.expect("cert_untrusted", below, says="does not know its CA")

    def test_crl__expired__fails_closed(self):
        self.expect("crl_expired", self.good, "--crl", self.ca.crl("old.crl", days=("-30", "-1")))

    def test_crl__of_nobody_in_the_chain__says_nothing(self):
        self.expect("ok", self.good, "--crl", self.other.crl("other.crl"))

    def test_crl__forged_in_the_ca_s_name__untrusted(self):
        os.mkdir(self.path("forged"))
        forger = Authority(self.path("forged"), "ca")
        self.expect("cert_untrusted", self.good, "--crl", forger.crl("forged.crl"), says="not signed by its CA")

    def test_crl__several_of_one_issuer__the_highest_number_counts(self):
        before = Authority(self.folder, "counting")
        leaf = before.leaf("counted")
        first = before.crl("first.crl", number="01", days=("-1", "30"))
        before.revoke(leaf)
        second = before.crl("second.crl", number="02", days=("-2", "30"))  # numbered later, dated earlier
        for parts in ((first, second), (second, first)):
            both = bundle(self.path("both.crl"), *parts)
            self.expect("cert_revoked", leaf, "--crl", both, trust=before.path("crt"))
        third = before.crl("third.crl", number="02", days=("-1", "31"))
        self.expect("cert_untrusted", leaf, "--crl", bundle(self.path("unclear.crl"), second, third),
                    trust=before.path("crt"), says="same number")

    def test_strict__what_no_careful_ca_issues__untrusted(self):
        bare = "[leaf]\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        rows = {
            "no_san": (dict(extensions=bare + "basicConstraints=critical,CA:FALSE\n"), "names no node"),
            "ca_leaf": (dict(extensions=LEAF.replace("CA:FALSE", "CA:TRUE").replace(
                "digitalSignature", "digitalSignature,keyCertSign")), "is a CA's"),
            "any_usage": (dict(usage="serverAuth,anyExtendedKeyUsage"), "anyExtendedKeyUsage"),
            "rsa_odd": (dict(key=rsa(2052)), "odd size"),
            "serial_zero": (dict(serial="00"), "serial number"),
            "serial_long": (dict(serial="7f" + "11" * 20), "serial number"),
        }
        for name, (how, says) in rows.items():
            with self.subTest(name=name):
                self.expect("cert_untrusted", self.ca.leaf(name, **how), "--strict", says=says)

    def test_weak__always__untrusted(self):
        self.expect("cert_untrusted", self.ca.leaf("rsa1024", key=rsa(1024)))
        self.expect("cert_untrusted", self.ca.leaf("sha1", digest="sha1"))

    def test_files__damaged_or_missing__refused_and_said(self):
        with open(self.path("damaged.crt"), "w", encoding="utf-8") as file:
            file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        self.expect("cert_untrusted", self.path("damaged.crt"), says="damaged.crt")
        self.expect("cert_untrusted", self.path("nobody.crt"), says="nobody.crt")
        self.expect("cert_untrusted", self.good, "--crl", self.good, says="holds no PEM revocation list")

    def test_usage__wrong__exit_2(self):
        for words in ((), ("--chain", self.good, "--as", "peer"), ("--chain", self.good, "--time", "soon"),
                      ("--chain", self.good, "--time", "2027-02-30T00:00:00Z"),
                      ("--chain", self.good, "--time", "99999999999999999999"),
                      ("--chain", self.good, "more")):
            with self.subTest(words=words):
                done = subprocess.run([WEFT, "certs", "verify", *words], capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stdout), (2, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
