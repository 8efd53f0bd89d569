#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what peers will make of a node's own certificate is known before the first of them is dialed: `weft check` says
it at the place of the key, and a certificate that no handshake can use does not start.

Method: certificates of the openssl program, each odd in one way, are checked in a configuration; warnings, errors and
the exit code are compared.  A good certificate has none.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import CA, LEAF, Authority, bundle, openssl, rsa

WEFT = os.environ.get("WEFT", "weft")
RUN_S = 30
TEXT = """\
cluster_name: c
listen_address: 127.0.0.1
server_encryption_options:
  internode_encryption: all
  certificate: {name}.crt
  keyfile: {name}.key
  truststore: {trust}.crt
{more}"""
CERTIFICATE = "w.yaml:5:16: certificate: "
VERIFICATION = "  require_endpoint_verification: true\n  require_client_auth: true\n"
NO_KEY = "no cipher suite and signature algorithm of "


def curve(name):
    return "ecparam", "-name", name, "-genkey", "-noout"


class OwnCertificate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # pylint: disable=consider-using-with
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = cls.scratch.name
        cls.ca = Authority(cls.folder, "ca")
        cls.ca.leaf("good")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def check(self, name, trust="ca", more=""):
        with open(os.path.join(self.folder, "w.yaml"), "w", encoding="utf-8") as file:
            file.write(TEXT.format(name=name, trust=trust, more=more))
        for file in os.listdir(self.folder):
            if file.endswith(".key"):
                os.chmod(os.path.join(self.folder, file), 0o600)
        run = subprocess.run([WEFT, "check", "w.yaml", "--json"], cwd=self.folder, capture_output=True, text=True,
                             timeout=RUN_S, check=False)
        said = json.loads(run.stdout)
        self.assertEqual(run.returncode, 0 if said["ok"] else 1)
        return said

    def starts_with(self, name, *warnings, **how):
        said = self.check(name, **how)
        self.assertEqual(said["errors"], [])
        self.assertEqual(len(said["warnings"]), len(warnings), said["warnings"])
        for line, expected in zip(said["warnings"], warnings):
            self.assertTrue(line.startswith(CERTIFICATE), line)
            self.assertIn(expected, line)

    def refused(self, name, text, **how):
        said = self.check(name, **how)
        self.assertEqual(len(said["errors"]), 1, said["errors"])
        self.assertTrue(said["errors"][0].startswith(CERTIFICATE), said["errors"])
        self.assertIn(text, said["errors"][0])

    def test_a_good_certificate__nothing_is_said(self):
        self.starts_with("good")
        self.starts_with("good", more=VERIFICATION)
        self.starts_with("good", more="  priority_string: SUITEB128\n")

    def test_dates__said(self):
        self.ca.leaf("old", days=("-20", "-10"))
        self.ca.leaf("early", days=("10", "20"))
        self.starts_with("old", "expired at 20")
        self.starts_with("early", "not valid before 20")

    def test_an_issuer_that_has_expired__said(self):
        between = Authority(self.folder, "between", self.ca)
        between.sign("authority", between.path("key"), between.path("crt"), CA, "/CN=between", self.ca,
                     days=("-20", "-10"))
        leaf = between.leaf("below")
        bundle(os.path.join(self.folder, "chain.crt"), leaf, between.path("crt"))
        bundle(os.path.join(self.folder, "chain.key"), os.path.join(self.folder, "below.key"))
        self.starts_with("chain", "its issuer (CN=between) has expired; peers will refuse it")

    def test_a_use_that_it_is_not_made_for__said(self):
        self.ca.leaf("dials", usage="clientAuth")
        self.ca.leaf("serves", usage="serverAuth")
        self.ca.leaf("signs", usage="codeSigning")
        self.starts_with("dials", "may not be used by a server (key usage); peers that dial this node will refuse it")
        self.starts_with("serves", "may not be used by a client (key usage); peers with require_client_auth will")
        self.starts_with("signs", "may not be used by a server", "may not be used by a client")

    def test_what_endpoint_verification_demands__said_where_it_is_demanded(self):
        self.ca.leaf("nameless", extensions=LEAF.replace("subjectAltName={names}\n", ""))
        self.starts_with("nameless")
        self.starts_with("nameless", "it names no node (subject alternative name); the common name does not count; "
                         "peers with require_endpoint_verification will refuse it", more=VERIFICATION)

    def test_no_authority__said(self):
        openssl(*curve("prime256v1"), "-out", os.path.join(self.folder, "alone.key"))
        openssl("req", "-x509", "-new", "-key", os.path.join(self.folder, "alone.key"), "-subj", "/CN=alone", "-days",
                "90", "-addext", "basicConstraints=critical,CA:FALSE", "-out", os.path.join(self.folder, "alone.crt"))
        self.starts_with("alone", "self-signed, it has no CA", trust="alone")

    def test_a_key_that_no_handshake_takes__does_not_start(self):
        self.ca.leaf("koblitz", key=curve("secp256k1"))
        openssl("dsaparam", "-out", os.path.join(self.folder, "dsa.pem"), "2048")
        self.ca.leaf("dsa", key=("genpkey", "-paramfile", os.path.join(self.folder, "dsa.pem")))
        self.refused("koblitz", NO_KEY + "weft's own choice takes its key (EC secp256k1)")
        self.refused("dsa", NO_KEY + "weft's own choice takes its key (DSA 2048)")

    def test_a_key_that_priority_string_leaves_out__does_not_start(self):
        self.ca.leaf("rsa", key=rsa(2048))
        self.starts_with("rsa")
        for name, string in (("good", "NORMAL:-SIGN-ALL:+SIGN-RSA-SHA256"),
                             ("good", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA"), ("good", "SUITEB192"),
                             ("rsa", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA")):
            with self.subTest(name=name, string=string):
                self.refused(name, NO_KEY + "priority_string takes its key (", more=f"  priority_string: {string}\n")


if __name__ == "__main__":
    unittest.main()
