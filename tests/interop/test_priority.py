# SPDX-License-Identifier: Apache-2.0
"""Goal: a GnuTLS priority string means to weft what it means to GnuTLS.  Method: hundreds of strings, made from a seed,
are given to `weft ciphers` and to `gnutls-cli --list`; versions, suites, groups and signature algorithms must be the
same, in the same order, as far as OpenSSL has them.  What weft refuses is refused for a reason that it names."""
import concurrent.futures
import json
import os
import random
import subprocess
import unittest

import gnutls_list

WEFT = os.environ["WEFT"]
SEED = 20261124
STRINGS = 1000


def weft(text, *more):
    return subprocess.run([WEFT, "ciphers", "--json", *more, "--", text], capture_output=True, text=True, check=False)


def number(identifier):
    return tuple(int(part, 16) for part in identifier.split(","))


class Differential(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.known = gnutls_list.openssl_suites()

    def compare(self, text):
        """None if both agree, else what differs."""
        want = gnutls_list.expected(text, self.known)
        done = weft(text)
        if want is None:
            fine = done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
            return None if fine else f"{text}: by GnuTLS nothing is left, weft says {done.stdout}{done.stderr}"
        if done.returncode != 0:
            return f"{text}: refused: {done.stderr}"
        got = json.loads(done.stdout)
        got["suites"] = [number(suite["id"]) for suite in got["suites"]]
        got.pop("dropped")
        return None if got == want else f"{text}:\n  weft   {got}\n  GnuTLS {want}"

    def compare_all(self, texts):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            differences = [text for text in pool.map(self.compare, texts) if text is not None]
        self.assertEqual(differences, [], "\n".join(differences))

    def test_priority__every_keyword__as_gnutls(self):
        self.compare_all(gnutls_list.LEVELS)

    def test_priority__every_name__as_gnutls(self):
        """Each name added to little, removed from much, and alone of its kind."""
        texts = []
        for bulk, names in (("CIPHER-ALL", gnutls_list.CIPHERS), ("KX-ALL", gnutls_list.KXS),
                            ("MAC-ALL", gnutls_list.MACS), ("GROUP-ALL", gnutls_list.GROUPS),
                            ("SIGN-ALL", gnutls_list.SIGNATURES), ("VERS-ALL", gnutls_list.VERSIONS)):
            for name in names:
                texts += [f"SECURE256:+{name}", f"NORMAL:-{name}", f"NORMAL:-{bulk}:+{name}"]
        for bulk in gnutls_list.BULKS:
            texts += [f"NORMAL:-{bulk}", f"SECURE256:+{bulk}"]
        texts += [f"NORMAL:-{name}" for name in gnutls_list.ABSENT]
        texts += [f"NORMAL:{name}" for name in gnutls_list.SPECIALS]
        self.compare_all(texts)

    def test_priority__generated__as_gnutls(self):
        draw = random.Random(SEED)
        texts = [gnutls_list.generate(draw) for _ in range(STRINGS)]
        taken = sum(1 for text in texts if weft(text).returncode == 0)
        self.assertGreater(taken, STRINGS // 2)
        self.compare_all(texts)

    def test_priority__names__those_of_iana(self):
        said = subprocess.run(["openssl", "ciphers", "-s", "-V", "-stdname", "ALL:COMPLEMENTOFALL"],
                              capture_output=True, text=True, check=True).stdout
        names = {number(line.split()[0]): line.split()[2] for line in said.splitlines()}
        everything = "NORMAL:" + ":".join("+" + name for name in gnutls_list.CIPHERS + gnutls_list.KXS +
                                          gnutls_list.MACS)
        suites = json.loads(weft(everything).stdout)["suites"]
        self.assertGreater(len(suites), 60)
        for suite in suites:
            self.assertEqual(suite["name"], names.get(number(suite["id"]), suite["name"]))
            self.assertTrue(number(suite["id"]) in names or suite["name"].startswith("TLS_AES_128_CCM"))


class Command(unittest.TestCase):
    def test_ciphers__no_string__by_the_cpu(self):
        """OPENSSL_ia32cap takes instructions for AES away from an x86; elsewhere the order is the CPU's own."""
        def default(**more):
            done = subprocess.run([WEFT, "ciphers", "--json"], capture_output=True, text=True, check=True,
                                  env=dict(os.environ, **more))
            return json.loads(done.stdout)

        usual = default()
        self.assertEqual(usual["versions"], ["TLSv1.3", "TLSv1.2"])
        self.assertEqual(usual["dropped"], [])
        self.assertEqual(len(usual["suites"]), 9)
        without = default(OPENSSL_ia32cap="~0x200000000000000")
        self.assertEqual(sorted(suite["id"] for suite in without["suites"]),
                         sorted(suite["id"] for suite in usual["suites"]))
        if os.uname().machine == "x86_64":
            self.assertEqual(without["suites"][0]["name"], "TLS_CHACHA20_POLY1305_SHA256")

    def test_ciphers__text__the_same_as_json(self):
        text = subprocess.run([WEFT, "ciphers", "NORMAL:%COMPAT"], capture_output=True, text=True, check=True).stdout
        said = json.loads(weft("NORMAL:%COMPAT").stdout)
        names = [*said["versions"], *(suite["name"] for suite in said["suites"]), *said["groups"], *said["signatures"],
                 *said["dropped"]]
        self.assertEqual([line.split()[-1] for line in text.splitlines()], names)
        self.assertIn("%COMPAT", said["dropped"])

    def test_ciphers__misused__usage(self):
        for arguments in (["NORMAL", "NORMAL"], ["--jason"]):
            done = subprocess.run([WEFT, "ciphers", *arguments], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
