# SPDX-License-Identifier: Apache-2.0
"""Goal: no address, host name or string of a file or a peer misleads the node, its log or its reader.

Method: a table of names for the listening address and for a node of the topology, each with what `weft check` must say;
names whose resolution changes or fails, in a mount namespace with host files of the test's own; and strings made of
newlines, escape codes and formats in every place that is printed, looked for raw in all output.
"""

import os
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from operator_host import run
from target import SELF, WEFT, config_text

import client as twin_client
import harness
import seastar_rpc as rpc

OK = None

# A YAML scalar, what is said of it as listen_address, and as the address of a node; OK: it is taken.
ADDRESSES = {
    "ipv4": ("127.0.0.1", OK, "make them equal"),
    "ipv6": ("'::1'", OK, OK),
    "ipv6_in_brackets": ("'[::1]'", OK, OK),
    "ipv6_with_scope": ("fe80::1%lo", OK, OK),
    "ipv6_of_three_colons": ("':::1'", "neither", "neither"),
    "ipv6_in_brackets_with_port": ("'[::1]:7000'", "port", "port"),
    "ipv4_with_port": ("127.0.0.2:7000", "port", "port"),
    "ipv4_of_three_parts": ("10.0.1", "10.0.1", "10.0.1"),
    "ipv4_with_a_part_of_256": ("10.0.0.256", "10.0.0.256", "10.0.0.256"),
    "ipv4_as_one_number": ("2130706433", "2130706433", "2130706433"),
    "any": ("0.0.0.0", OK, "no address of a single node"),
    "any_of_ipv6": ("'::'", OK, "no address of a single node"),
    "multicast": ("224.0.0.1", "no address to listen on", "no address of a single node"),
    "multicast_of_ipv6": ("'ff02::1'", "no address to listen on", "no address of a single node"),
    "broadcast": ("255.255.255.255", "no address to listen on", "no address of a single node"),
    "name_of_256_bytes": ("a" * 256, "256 bytes", "256 bytes"),
    "name_of_a_label_of_64_bytes": ("a" * 64 + ".invalid", "cannot resolve", "cannot resolve"),
    "name_that_is_nobodys": ("nosuch.invalid", "cannot resolve", "cannot resolve"),
    "name_with_a_dot_at_its_end": ("nosuch.invalid.", "cannot resolve", "cannot resolve"),
    "name_with_two_dots_in_a_row": ("nosuch..invalid", "cannot resolve", "cannot resolve"),
    "name_with_underscore": ("under_score.invalid", "cannot resolve", "cannot resolve"),
    "name_with_space": ("'a b'", '"a b"', '"a b"'),
    "empty": ("''", "empty", "empty"),
    "formats": ("'%s%n%s%n'", "%s%n%s%n", "%s%n%s%n"),
    "newline": (r'"a\n2026 E fake"', r"a\x0a2026 E fake", r"a\x0a2026 E fake"),
    "escape": (r'"\x1b[31mred"', r"\x1b[31mred", r"\x1b[31mred"),
    "nul": (r'"a\0b"', "NUL", "NUL"),
}

NASTY = {"newline": "a\nE fake", "carriage_return": "a\rE fake", "escape": "\x1b[31mred\x1b[0m", "formats": "%s%n%p",
         "bell_and_delete": "\x07\x7f", "next_line_of_unicode": "a\u0085b\u2028c", "longest": "x" * 255}


def yaml_text(text):
    """A double-quoted YAML scalar."""
    return '"' + "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\u{ord(c):04x}" for c in text) + '"'


def is_clean(text):
    """Lines of printable ASCII only."""
    return all(" " <= c <= "~" for line in text.split("\n") for c in line)


class FilesCase(unittest.TestCase):
    """Files in a folder of each test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class Names(FilesCase):
    """Names in files and in hellos."""

    def assert_check(self, text, expected):
        done = run("check", self.file("weft.yaml", text))
        said = done.stdout + done.stderr
        self.assertTrue(is_clean(said), said)
        self.assertEqual(done.returncode, 0 if expected is OK else 1, said)
        if expected is not OK:
            self.assertIn(expected, said)
            self.assertEqual(len(said.splitlines()), 1, said)

    def test_address__of_every_kind__taken_or_explained(self):
        for name, (text, _, as_node) in ADDRESSES.items():
            listening = ADDRESSES[name][1]
            config = config_text(7000, 7001)
            with self.subTest(name, to="listen"):
                self.assert_check(config.replace(f"listen_address: {SELF}", f"listen_address: {text}"), listening)
            with self.subTest(name, to="node"):
                nodes = f"    nodes:\n        - {{ address: {text}, dc: dc2, rack: r1 }}\n"
                self.assert_check(config_text(7000, 7001, nodes=nodes), as_node)

    def test_address__of_a_node_wrong__the_next_entry_is_read_by_itself(self):
        nodes = ("    nodes:\n        - { address: nosuch.invalid, dc: dc1 }\n"
                 "        - { address: 127.0.0.2, dc: dc1, rack: r1 }\n")
        self.assert_check(config_text(7000, 7001, nodes=nodes), "nosuch.invalid")

    def test_strings__nasty_in_every_key__printed_escaped_on_one_line(self):
        config = config_text(7000, 7001)
        places = {"cluster_name": lambda t: config.replace("cluster_name: ", f"cluster_name: {t} # "),
                  "listen_address": lambda t: config.replace(f"listen_address: {SELF}", f"listen_address: {t}"),
                  "internode_encryption": lambda t: config.replace("encryption: none", f"encryption: {t}"),
                  "truststore": lambda t: config.replace("encryption: none\n",
                                                         f"encryption: all\n    truststore: {t}\n"),
                  "dc": lambda t: config.replace("dc: dc1", f"dc: {t}"),
                  "rack": lambda t: config.replace("rack: r1", f"rack: {t}"),
                  "node_id": lambda t: config.replace("node_id: ", f"node_id: {t} # "),
                  "shards": lambda t: config.replace("shards: 1", f"shards: {t}"),
                  "handshake_timeout": lambda t: config.replace("timeout: 2s", f"timeout: {t}"),
                  "unknown_key": lambda t: config.replace("    shards: 1", f"    {t}: 1")}
        for place, build in places.items():
            for name, text in NASTY.items():
                with self.subTest(place, text=name):
                    done = run("check", self.file("weft.yaml", build(yaml_text(text))))
                    self.assertIn(done.returncode, (0, 1), done.stderr)
                    self.assertTrue(is_clean(done.stdout + done.stderr), done.stdout + done.stderr)
                    self.assertNotIn("\nE fake", done.stdout + done.stderr)

    def test_hello__nasty_in_every_name__nothing_raw_in_log_or_status(self):
        status_path = os.path.join(self.folder, "status.json")
        node = harness.WeftNode(WEFT, config_text, arguments=["--status", status_path, "--verbose"])
        self.addCleanup(node.close)
        node.start()
        for text in NASTY.values():
            raw = text.encode()[:255].decode(errors="ignore")
            for names in (dict(cluster=raw), dict(dc=raw), dict(rack=raw), dict(lane=raw)):
                hello = rpc.Hello(**{**dict(cluster="attacked cluster"), **names})
                with twin_client.Client(node.plain, source="127.26.255.1") as client:
                    client.offer(rpc.seastar_offer(cookie=raw.encode()[:255], extra=[(rpc.HELLO, rpc.hello(hello))]))
                    client.answer()
        node.wait_log("lane_forbidden")
        harness.wait_until(lambda: os.path.exists(status_path), "a status")
        node.stop()
        self.assertTrue(is_clean(node.log()), node.log())
        with open(status_path, encoding="utf-8") as file:
            self.assertTrue(is_clean(file.read()))


@unittest.skipIf(os.geteuid() != 0, "only root has mounts of its own")
class Resolving(FilesCase):
    """Host names, with /etc/hosts and /etc/resolv.conf of the test's own."""

    def setUp(self):
        super().setUp()
        self.hosts = self.file("hosts", "")
        # A resolver that is not there.
        self.resolv = self.file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")

    def command(self, *arguments):
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf '
                '&& shift 2 && exec "$@"', "sh", self.hosts, self.resolv, WEFT, *arguments]

    def check(self, name):
        nodes = f"    nodes:\n        - {{ address: {name}, dc: dc1, rack: r1 }}\n"
        return subprocess.run(self.command("check", self.file("weft.yaml", config_text(7000, 7001, nodes=nodes))),
                              capture_output=True, text=True, timeout=60)

    def test_resolver__not_there__said_within_seconds(self):
        began = time.monotonic()
        done = self.check("peer.invalid")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn('cannot resolve "peer.invalid"', done.stdout + done.stderr)
        self.assertLess(time.monotonic() - began, 20)

    def test_name__of_two_addresses__the_first_of_ipv4_is_the_node(self):
        self.file("hosts", "::1 peer\n127.28.0.1 peer\n127.28.0.2 peer\n")
        done = self.check("peer")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("127.28.0.1", done.stdout)
        self.assertNotIn("127.28.0.2", done.stdout)

    def test_name__that_moves_to_another_address__stays_until_it_is_asked_again(self):
        self.file("hosts", "127.28.0.1 peer\n")
        nodes = "    nodes:\n        - { address: peer, dc: dc2, rack: r1 }\n"
        plain, tls = harness.free_ports(2)
        path = self.file("weft.yaml", config_text(plain, tls, nodes=nodes))
        with open(self.file("log", ""), "wb") as log:
            process = subprocess.Popen(self.command("node", path), stdin=subprocess.DEVNULL, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        harness.wait_until(lambda: not harness.port_is_free(SELF, plain), "the node listens", 20)
        self.file("hosts", "127.28.0.9 peer\n")
        # A hello that claims dc2 contradicts nothing at an address that the topology does not know; a hello without it
        # is due from the one that it knows.
        answers = {}
        for source in ("127.28.0.1", "127.28.0.9"):
            with twin_client.Client((SELF, plain), source=source) as client:
                client.offer()
                answers[source] = client.read_to_end() if source == "127.28.0.1" else client.answer()
        self.assertEqual(answers, {"127.28.0.1": b"", "127.28.0.9": rpc.seastar_offer()})


if __name__ == "__main__":
    unittest.main()
