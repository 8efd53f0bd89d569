# SPDX-License-Identifier: Apache-2.0
"""Goal: connections obey the priority string, towards peers with another TLS.  Method: nodes with all kinds of strings
are dialed by gnutls-cli and by openssl, and dial gnutls-serv and openssl; what was negotiated is compared with what
GnuTLS negotiates with itself under the same strings, and with the tables below."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import gnutls_list
import harness

WEFT = os.environ.get("WEFT")
OWN, PEER, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
SECONDS = 20
FAILED = "no connection"

# The acceptor's string, the dialer's, and the kind of certificate.
ACCEPTED = [
    ("NORMAL", "NORMAL", "rsa"),
    ("NORMAL", "NORMAL", "ec"),
    ("NORMAL", "PERFORMANCE", "rsa"),
    ("PERFORMANCE", "NORMAL", "rsa"),
    ("PERFORMANCE:%SERVER_PRECEDENCE", "NORMAL", "rsa"),
    ("SECURE128", "NORMAL:-VERS-TLS1.3", "rsa"),
    ("SECURE256", "NORMAL:-VERS-TLS1.3", "rsa"),
    ("SECURE256", "NORMAL", "ec"),
    ("SUITEB192", "NORMAL", "ec"),
    ("PFS:-VERS-TLS1.3", "NORMAL:-KX-ALL:+RSA", "rsa"),
    ("PFS:-VERS-TLS1.3", "NORMAL:-KX-ALL:+DHE-RSA", "rsa"),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL", "ec"),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL:-VERS-TLS1.3", "ec"),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL", "rsa"),
    ("NORMAL:-VERS-TLS1.3:-CIPHER-ALL:+AES-128-CBC", "NORMAL", "ec"),
    ("NORMAL:-VERS-TLS1.3:-CIPHER-ALL:+AES-256-CBC:+SHA384", "NORMAL:-MAC-ALL:+SHA384:+AEAD", "rsa"),
    ("NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305", "NORMAL", "ec"),
    ("NORMAL:-CIPHER-ALL:+AES-128-CCM", "NORMAL", "ec"),
    ("NORMAL:-CIPHER-ALL:+AES-128-CCM:-VERS-TLS1.3", "NORMAL", "ec"),
    ("NORMAL:-VERS-TLS1.3:-CIPHER-ALL:+CAMELLIA-256-CBC:-KX-ALL:+DHE-RSA", "NORMAL:+CAMELLIA-256-CBC", "rsa"),
    ("NORMAL:-GROUP-ALL:+GROUP-X448", "NORMAL", "ec"),
    ("NORMAL:-GROUP-ALL:+GROUP-FFDHE2048", "NORMAL", "rsa"),
    ("NORMAL:-GROUP-ALL:+GROUP-X25519", "NORMAL:-GROUP-ALL:+GROUP-SECP256R1:-KX-ALL:+ECDHE-RSA", "rsa"),
    ("NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA512", "NORMAL", "rsa"),
    ("NORMAL:-SIGN-ALL:+SIGN-RSA-SHA384:-VERS-TLS1.3", "NORMAL", "rsa"),
]
# Our string and our key, which do not go together whoever dials.
NEVER = (("SUITEB128", "rsa"), ("NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256", "ec"))

# The acceptor's string, how openssl dials, and the suite; None: refused.
ACCEPTED_OPENSSL = [
    ("NORMAL", [], "TLS_AES_256_GCM_SHA384"),
    ("NORMAL", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"],
     "TLS_CHACHA20_POLY1305_SHA256"),
    ("SECURE256", ["-ciphersuites", "TLS_AES_128_GCM_SHA256", "-tls1_3"], None),
    ("NORMAL:%SERVER_PRECEDENCE", ["-ciphersuites", "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"],
     "TLS_AES_256_GCM_SHA384"),
    ("NORMAL", ["-tls1_2", "-cipher", "AES128-SHA"], "AES128-SHA"),
    ("PFS", ["-tls1_2", "-cipher", "AES128-SHA"], None),
    ("SECURE256", ["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA"], None),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.3", ["-tls1_2"], None),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2", ["-tls1_3"], None),
    # GnuTLS offers a version without suites, and fails; weft takes the other one.
    ("NORMAL:-AEAD", [], "ECDHE-RSA-AES256-SHA"),
    ("NORMAL:-GROUP-ALL:+GROUP-X448", ["-groups", "X25519:P-256", "-tls1_3"], None),
    ("NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA512", ["-sigalgs", "rsa_pss_rsae_sha256"], None),
    (None, ["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA:AES256-GCM-SHA384"], None),
    (None, ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "ECDHE-RSA-AES128-GCM-SHA256"),
]
# The dialer's string, and what both servers must see: the suite as OpenSSL names it, and parts of GnuTLS's description.
DIALED = [
    ("NORMAL", "TLS_AES_256_GCM_SHA384", ("TLS1.3", "(AES-256-GCM)")),
    ("PERFORMANCE", "TLS_AES_128_GCM_SHA256", ("TLS1.3", "(AES-128-GCM)")),
    ("PERFORMANCE:-VERS-TLS1.3", "AES128-GCM-SHA256", ("TLS1.2", "(RSA)", "(AES-128-GCM)")),
    ("PFS:-VERS-TLS1.3:-AES-256-GCM", "ECDHE-RSA-CHACHA20-POLY1305", ("TLS1.2", "(CHACHA20-POLY1305)")),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA", "DHE-RSA-AES256-GCM-SHA384", ("TLS1.2", "(DHE-", "AES-256-GCM")),
    ("NONE:+VERS-ALL:+CHACHA20-POLY1305:+CIPHER-ALL:+AEAD:+KX-ALL:+GROUP-ALL:+SIGN-ALL",
     "TLS_CHACHA20_POLY1305_SHA256", ("TLS1.3", "(CHACHA20-POLY1305)")),
    ("SECURE256:-VERS-ALL:+VERS-TLS1.2", "ECDHE-RSA-AES256-GCM-SHA384", ("TLS1.2", "SECP384R1", "(AES-256-GCM)")),
    ("NORMAL:-AEAD", "ECDHE-RSA-AES256-SHA", ("TLS1.2", "(AES-256-CBC)-(SHA1)")),
    ("NORMAL:-GROUP-ALL:+GROUP-X448", "TLS_AES_256_GCM_SHA384", ("TLS1.3", "X448")),
    ("NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA512", "TLS_AES_256_GCM_SHA384", ("RSA-PSS-RSAE-SHA512",)),
    ("NORMAL:-CIPHER-ALL:+AES-128-CCM", "TLS_AES_128_CCM_SHA256", ("TLS1.3", "(AES-128-CCM)")),
]


def certificates(folder):
    """A CA, and leaves with keys strong enough for SECURE256."""
    def run(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=SECONDS)

    with open(os.path.join(folder, "names"), "w", encoding="ascii") as file:
        file.write(f"subjectAltName=DNS:localhost,IP:{OWN},IP:{PEER},IP:{OTHER}\n")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-sha384")
    run("req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=priority CA", "-days", "2")
    for name, key in (("ec", ec), ("rsa", ("-newkey", "rsa:3072", "-nodes", "-sha384"))):
        run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run("x509", "-req", "-sha384", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", f"{name}.crt")


class Server:
    """A TLS server of another make that runs until it is closed; what it prints is read from a file."""

    def __init__(self, folder, command):
        self.log = tempfile.NamedTemporaryFile(dir=folder)
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
                                        env=gnutls_list.environment())

    def text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.log.close()


class Links(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = tempfile.TemporaryDirectory(prefix="weft-priority-")
        cls.folder = cls.room.name
        certificates(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.room.cleanup()

    def path(self, name):
        return os.path.join(self.folder, name)

    def node(self, text, kind, nodes="", trust="ca.crt"):
        priority = f"    priority_string: \"{text}\"\n" if text else ""

        def config(plain_port, tls_port):
            return (f"cluster_name: priority\nlisten_address: {OWN}\nstorage_port: {plain_port}\n"
                    f"ssl_storage_port: {tls_port}\nserver_encryption_options:\n    internode_encryption: all\n"
                    f"    certificate: {self.path(kind)}.crt\n    keyfile: {self.path(kind)}.key\n"
                    f"    truststore: {self.path(trust)}\n{priority}"
                    f"weft:\n    dc: dc1\n    rack: r1\n    shards: 1\n{nodes}")

        node = harness.WeftNode(WEFT, config, listeners=("tls",))
        self.addCleanup(node.close)
        return node.start()

    def server(self, command):
        """Started, and listening: its port."""
        for _ in range(3):
            port, = harness.free_ports(1, ("0.0.0.0",))
            server = Server(self.folder, [part.replace("PORT", str(port)) for part in command])
            # GnuTLS goes on without the address that somebody else has taken meanwhile.
            harness.wait_until(lambda: server.process.poll() is not None or "bind() failed" in server.text() or
                               not harness.port_is_free(OWN, port) or not harness.port_is_free(PEER, port), server.text)
            if server.process.poll() is None and "bind() failed" not in server.text():
                self.addCleanup(server.close)
                return server, port
            server.close()
        raise AssertionError(f"{command[0]} does not start")

    def dial_gnutls(self, port, text):
        """What gnutls-cli says of its connection: version, key exchange, signature and cipher."""
        done = subprocess.run(["gnutls-cli", "--priority", text, "--x509cafile", self.path("ca.crt"), "-p", str(port),
                               "localhost"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
                              env=gnutls_list.environment(), check=False)
        said = re.search(r"- Description: (.*)", done.stdout)
        # DHE of TLS 1.2: OpenSSL takes parameters by the certificate's key, GnuTLS by its own rule.
        return re.sub(r"\(DHE-\w+\)", "(DHE)", said[1]) if said else FAILED

    def dial_openssl(self, port, arguments):
        """The suite, or None."""
        done = subprocess.run(["openssl", "s_client", "-connect", f"{OWN}:{port}", "-CAfile", "ca.crt", *arguments],
                              cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        said = re.search(r"Cipher is (\S+)", done.stdout)
        return said[1] if said and said[1] != "(NONE)" else None

    def test_acceptor__dialed_by_gnutls__as_gnutls_with_itself(self):
        negotiated = set()
        for own, other, kind in ACCEPTED:
            with self.subTest(own=own, other=other, kind=kind):
                server, port = self.server(["gnutls-serv", "--priority", own, "--x509certfile", f"{kind}.crt",
                                            "--x509keyfile", f"{kind}.key", "-p", "PORT"])
                want = self.dial_gnutls(port, other)
                server.process.kill()
                node = self.node(own, kind)
                self.assertEqual(self.dial_gnutls(node.tls_port, other), want)
                self.assertTrue(node.running())
                node.kill()
                negotiated.add(want)
        self.assertIn(FAILED, negotiated)
        self.assertGreater(len(negotiated), 12)

    def test_acceptor__with_a_key_that_its_string_never_takes__fails_with_gnutls_and_does_not_start(self):
        for own, kind in NEVER:
            with self.subTest(own=own, kind=kind):
                _, port = self.server(["gnutls-serv", "--priority", own, "--x509certfile", f"{kind}.crt",
                                       "--x509keyfile", f"{kind}.key", "-p", "PORT"])
                self.assertEqual(self.dial_gnutls(port, "NORMAL"), FAILED)
                with self.assertRaisesRegex(AssertionError, "exited 1 .*\n.*no cipher suite and signature algorithm"):
                    self.node(own, kind)

    def test_acceptor__dialed_by_openssl__obeys(self):
        for own, arguments, want in ACCEPTED_OPENSSL:
            with self.subTest(own=own, arguments=arguments):
                node = self.node(own, "rsa")
                self.assertEqual(self.dial_openssl(node.tls_port, arguments), want)
                self.assertTrue(node.running())
                node.kill()

    def test_dialer__to_gnutls_and_openssl__obeys(self):
        for own, suite, described in DIALED:
            with self.subTest(own=own):
                gnutls, gnutls_port = self.server(
                    ["gnutls-serv", "--priority", "NORMAL", "-p", "PORT", "--x509certfile", "rsa.crt",
                     "--x509keyfile", "rsa.key"])
                openssl, openssl_port = self.server(
                    ["openssl", "s_server", "-accept", f"{PEER}:PORT", "-cert", "rsa.crt", "-key", "rsa.key",
                     "-ciphersuites", "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
                     "TLS_AES_128_CCM_SHA256"])
                nodes = "".join(f"        - {{ address: {address}, dc: dc1, rack: r1, ssl_storage_port: {port} }}\n"
                                for address, port in ((PEER, openssl_port), (OTHER, gnutls_port)))
                node = self.node(own, "rsa", f"    nodes:\n{nodes}")
                said = harness.wait_until(lambda: re.search(r"CIPHER is (\S+)", openssl.text()), openssl.text)
                self.assertEqual(said[1], suite)
                said = harness.wait_until(lambda: re.search(r"- Description: (.*)", gnutls.text()),
                                          lambda: gnutls.text() + node.log())
                for part in described:
                    self.assertIn(part, said[1])
                for process in (node, gnutls, openssl):
                    process.kill() if process is node else process.close()

    def test_dialer__certificate_weaker_than_the_string_says__refused(self):
        """RSA of 2048 bits is enough for NORMAL, and too weak for SECURE256, with GnuTLS and with weft."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha384", "-keyout", "weak.key",
                        "-out", "weak.crt", "-subj", "/CN=weak", "-days", "2"], cwd=self.folder, check=True,
                       capture_output=True, timeout=SECONDS)
        with open(self.path("both.crt"), "wb") as store:
            for name in ("ca.crt", "weak.crt"):
                with open(self.path(name), "rb") as part:
                    store.write(part.read())
        for own, fine in (("NORMAL", True), ("NORMAL:%PROFILE_HIGH", False), ("SECURE256", False),
                          ("SECURE256:%PROFILE_MEDIUM", True)):
            with self.subTest(own=own):
                server, port = self.server(["openssl", "s_server", "-accept", f"{PEER}:PORT", "-cert", "weak.crt",
                                            "-key", "weak.key"])
                node = self.node(own, "rsa", f"    nodes:\n        - {{ address: {PEER}, dc: dc1, rack: r1, "
                                 f"ssl_storage_port: {port} }}\n", trust="both.crt")
                seen = harness.wait_until(lambda: re.search(r"CIPHER is|alert (.*)", server.text()), server.text)
                self.assertEqual(seen[0].startswith("CIPHER"), fine, server.text() + node.log())
                node.kill()
                server.close()


if __name__ == "__main__":
    unittest.main()
