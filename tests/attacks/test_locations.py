# SPDX-License-Identifier: Apache-2.0
"""Goal: whatever is wrong with a file of locations, `weft check` says it in one line that tells where, what, and what
would be right; and `weft explain` knows the node itself.

Method: a golden table: each bad file is written beside a configuration that reads it, and a run must print exactly
these lines.  Files that are no files (a folder, a FIFO, holes of a gigabyte) are made in place of them.
"""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from operator_host import run
from test_names import FilesCase, is_clean

RACKDC = "cassandra-rackdc.properties"
TOPOLOGY = "cassandra-topology.properties"
SNITCHES = {RACKDC: "GossipingPropertyFileSnitch", TOPOLOGY: "PropertyFileSnitch"}
OWN = b"10.0.0.1=DC1:RAC1\n"

GIB = 1 << 30

# name: (file, its bytes, what is printed; {} is the folder)
GOLDEN = {
    "rackdc_only_comments": (RACKDC, b"# dc=a\n# rack=b\n", [
        f"{{}}/{RACKDC}:1:1: dc: is missing, and so is rack; write both dc=... and rack=..."]),
    "rackdc_without_rack": (RACKDC, b"dc=east\n", [
        f"{{}}/{RACKDC}:1:1: rack: is missing; write both dc=... and rack=..."]),
    "rackdc_empty_names": (RACKDC, b"dc=\nrack= \t\n", [
        f"{{}}/{RACKDC}:1:1: dc: is empty; write a name",
        f"{{}}/{RACKDC}:2:1: rack: is empty; write a name"]),
    "rackdc_twice": (RACKDC, b"dc=a\nrack=r\ndc=b\n", [
        f"{{}}/{RACKDC}:3:1: dc: is given twice, first in line 1: Cassandra takes the last, and Scylla refuses both; "
        "keep one"]),
    "rackdc_wrong_case": (RACKDC, b"DC=a\nrack=r\n", [
        f"{{}}/{RACKDC}:1:1: DC: Cassandra passes over a key in this case, and Scylla refuses it; write dc"]),
    "rackdc_unknown_key": (RACKDC, b"dc=a\nrack=r\nprefer_lokal=true\n", [
        f"{{}}/{RACKDC}:3:1: prefer_lokal: is no key of this file: Cassandra passes over it, and Scylla refuses it; "
        "write dc, rack, dc_suffix or prefer_local"]),
    "rackdc_topology_by_mistake": (RACKDC, b"10.0.0.1=DC1:RAC1\n", [
        f"{{}}/{RACKDC}:1:1: 10.0.0.1: is no key of this file: Cassandra passes over it, and Scylla refuses it; write "
        "dc, rack, dc_suffix or prefer_local"]),
    "rackdc_colon": (RACKDC, b"dc: a\nrack=r\n", [
        f'{{}}/{RACKDC}:1:1: line: "dc" is "a" for Cassandra, and a line without = a fault for Scylla; write dc=a']),
    "rackdc_escape": (RACKDC, b"dc=a\nrack=\\u0072\n", [
        f"{{}}/{RACKDC}:2:6: line: a backslash begins an escape for Cassandra and is a part of the name for Scylla; "
        "use names without"]),
    "rackdc_continued": (RACKDC, b"dc=a\\\nrack=r\n", [
        f"{{}}/{RACKDC}:1:5: line: a backslash continues the line for Cassandra and is a part of it for Scylla; write "
        "one line"]),
    "rackdc_comment_behind": (RACKDC, b"dc=a # east\nrack=r\n", [
        f"{{}}/{RACKDC}:1:6: dc: a comment behind a value would become a part of the name; give it a line of its own"]),
    "rackdc_look_alike": (RACKDC, "dc=\u0435ast\nrack=r\n".encode(), [
        f"{{}}/{RACKDC}:1:4: line: byte 0xd0 is ISO 8859-1 for Cassandra and taken as it is by Scylla; use ASCII "
        "letters"]),
    "rackdc_byte_order_mark": (RACKDC, b"\xef\xbb\xbfdc=a\nrack=r\n", [
        f"{{}}/{RACKDC}:1:1: file: begins with a byte order mark, which Cassandra and Scylla read as a part of the "
        "first line; save it without"]),
    "rackdc_utf16": (RACKDC, "dc=a\nrack=r\n".encode("utf-16"), [
        f"{{}}/{RACKDC}:1:1: file: is UTF-16; save it as plain ASCII text"]),
    "rackdc_nul": (RACKDC, b"dc=a\0\nrack=r\n", [
        f"{{}}/{RACKDC}:1:5: file: a NUL byte, so this is no text or UTF-16; save it as plain ASCII text"]),
    "rackdc_terminal_escape": (RACKDC, b"dc=\x1b[31mred\nrack=r\n", [
        f"{{}}/{RACKDC}:1:4: line: a control character; names are plain text"]),
    "rackdc_hidden_line": (RACKDC, b"dc=a\nrack=r\n# x\rdc=b\n", [
        f"{{}}/{RACKDC}:3:4: file: a carriage return alone ends the line for Cassandra, but not for an editor; end "
        "lines with \\n or \\r\\n"]),
    "rackdc_formats": (RACKDC, b"%s%n=%n%s\ndc=d\nrack=r\n", [
        f"{{}}/{RACKDC}:1:1: %s%n: is no key of this file: Cassandra passes over it, and Scylla refuses it; write dc, "
        "rack, dc_suffix or prefer_local"]),
    "rackdc_forged_line": (RACKDC, b"dc\\n2026 E fake=a\ndc=d\nrack=r\n", [
        f"{{}}/{RACKDC}:1:3: line: a backslash begins an escape for Cassandra and is a part of the name for Scylla; "
        "use names without"]),
    "rackdc_long_name": (RACKDC, b"dc=" + b"a" * 256 + b"\nrack=r\n", [
        f"{{}}/{RACKDC}:1:4: dc: a name of 256 bytes; 255 are the most"]),
    "rackdc_long_line": (RACKDC, b"dc=" + b"a" * 50000 + b"\nrack=r\n", [
        f"{{}}/{RACKDC}:1:4: line: a value of more than 1024 bytes; is this line right?"]),
    "rackdc_huge": (RACKDC, b"#" * 65537, [f"{{}}/{RACKDC}:1:1: file: has 65537 bytes; 64 KiB are the most"]),
    "topology_only_comments": (TOPOLOGY, b"# none\n", [
        f"{{}}/{TOPOLOGY}:1:1: file: names no node; write lines such as 10.0.0.1=DC1:RAC1"]),
    "topology_without_the_node": (TOPOLOGY, b"10.0.0.2=DC1:RAC1\n", [
        f"{{}}/w.yaml:3:18: endpoint_snitch: {TOPOLOGY} has no line for this node; add one such as 10.0.0.1=DC:RACK"]),
    "topology_twice": (TOPOLOGY, OWN + b"10.0.0.2=DC1:RAC1\n10.0.0.2=DC1:RAC2\n", [
        f"{{}}/{TOPOLOGY}:3:1: 10.0.0.2: is given twice, first in line 2, and Cassandra would take one of them; keep "
        "one"]),
    "topology_twice_by_mapped_ipv6": (TOPOLOGY, OWN + b"\\:\\:ffff\\:10.0.0.1=DC1:RAC2\n", [
        f"{{}}/{TOPOLOGY}:2:1: ::ffff:10.0.0.1: is given twice, first in line 1, and Cassandra would take one of them; "
        "keep one"]),
    "topology_ipv6_not_escaped": (TOPOLOGY, OWN + b"fe80::1=DC1:RAC1\n", [
        f"{{}}/{TOPOLOGY}:2:1: fe80: is no address, since an unescaped colon ends it; in IPv6 addresses write each "
        "colon as \\:"]),
    "topology_port": (TOPOLOGY, OWN + b"10.0.0.2\\:7000=DC1:RAC1\n", [
        f"{{}}/{TOPOLOGY}:2:1: 10.0.0.2:7000: has a port; write the address alone, and ports in weft: nodes"]),
    "topology_port_not_escaped": (TOPOLOGY, OWN + b"10.0.0.2:7000=DC1:RAC1\n", [
        f'{{}}/{TOPOLOGY}:2:10: 10.0.0.2: "7000=DC1:RAC1": Cassandra ends the key at the first blank or colon, so this '
        "= is a part of a name; write ADDRESS=DC:RACK"]),
    "topology_host_name": (TOPOLOGY, OWN + b"node_2.example.=DC1:RAC1\n", [
        f"{{}}/{TOPOLOGY}:2:1: node_2.example.: is a host name, which proves no location; write the node's address"]),
    "topology_any": (TOPOLOGY, OWN + b"0.0.0.0=DC1:RAC1\n\\:\\:=DC1:RAC1\n", [
        f"{{}}/{TOPOLOGY}:2:1: 0.0.0.0: is no address of a single node; write the node's own",
        f"{{}}/{TOPOLOGY}:3:1: ::: is no address of a single node; write the node's own"]),
    "topology_multicast": (TOPOLOGY, OWN + b"224.0.0.1=DC1:RAC1\n255.255.255.255=DC1:R\nff02\\:\\:1=DC1:R\n", [
        f"{{}}/{TOPOLOGY}:2:1: 224.0.0.1: is no address of a single node; write the node's own",
        f"{{}}/{TOPOLOGY}:3:1: 255.255.255.255: is no address of a single node; write the node's own",
        f"{{}}/{TOPOLOGY}:4:1: ff02::1: is no address of a single node; write the node's own"]),
    "topology_no_such_interface": (TOPOLOGY, OWN + b"fe80\\:\\:1%nosuch0=DC1:RAC1\n", [
        f"{{}}/{TOPOLOGY}:2:1: fe80::1%nosuch0: is no address; write one such as 10.0.0.1 or fe80\\:\\:1"]),
    "topology_short_address": (TOPOLOGY, OWN + b"10.1=DC1:RAC1\n", [
        f"{{}}/{TOPOLOGY}:2:1: 10.1: is no address; write one such as 10.0.0.1 or fe80\\:\\:1"]),
    "topology_without_rack": (TOPOLOGY, OWN + b"10.0.0.2=DC1\n", [
        f'{{}}/{TOPOLOGY}:2:10: 10.0.0.2: "DC1" has no rack, and Cassandra would take default:default; write DC:RACK']),
    "topology_empty_rack": (TOPOLOGY, OWN + b"10.0.0.2=DC1:\n", [
        f"{{}}/{TOPOLOGY}:2:10: 10.0.0.2: the rack is empty; write DC:RACK"]),
    "topology_two_colons": (TOPOLOGY, OWN + b"10.0.0.2=DC1:RAC1:RAC2\n", [
        f'{{}}/{TOPOLOGY}:2:10: 10.0.0.2: "DC1:RAC1:RAC2" has more than one colon, and Cassandra would pass over what '
        "follows the rack; write DC:RACK"]),
    "topology_default_in_capitals": (TOPOLOGY, OWN + b"Default=DC1:r1\n", [
        f"{{}}/{TOPOLOGY}:2:1: Default: is a host name for Cassandra in this case; write default"]),
    "topology_utf8": (TOPOLOGY, OWN + "10.0.0.2=Z\u00fcrich:R\n".encode(), [
        f"{{}}/{TOPOLOGY}:2:11: line: byte 0xc3 is ISO 8859-1 for Cassandra, not the UTF-8 it seems to be; write "
        "\\u00fc"]),
    "topology_invalid_utf8": (TOPOLOGY, OWN + b"10.0.0.2=Z\xffrich:R\n", [
        f"{{}}/{TOPOLOGY}:2:11: line: byte 0xff is not ASCII; write it as an escape, such as \\u00ff"]),
    "topology_broken_escape": (TOPOLOGY, OWN + b"10.0.0.2=\\u00g1:R\n", [
        f"{{}}/{TOPOLOGY}:2:10: line: \\u needs four hexadecimal digits, such as \\u00fc"]),
    "topology_newline_by_escape": (TOPOLOGY, OWN + b"10.0.0.2=a\\n2026 E fake:R\n", [
        f"{{}}/{TOPOLOGY}:2:11: line: the escape makes a control character; names are plain text"]),
    "topology_rackdc_by_mistake": (TOPOLOGY, b"dc=DC1\nrack=RAC1\n", [
        f"{{}}/{TOPOLOGY}:1:1: dc: is a host name, which proves no location; write the node's address",
        f"{{}}/{TOPOLOGY}:2:1: rack: is a host name, which proves no location; write the node's address"]),
    "topology_huge": (TOPOLOGY, b"#" * (1 << 20) + b"\n", [
        f"{{}}/w.yaml:3:18: endpoint_snitch: {{}}/{TOPOLOGY} is larger than 1024 KiB; write the file, or set weft: dc "
        "and rack"]),
}


class Locations(FilesCase):
    """Files of locations beside a configuration."""

    def config(self, snitch, more=""):
        return self.file("w.yaml", f"cluster_name: c\nlisten_address: 10.0.0.1\nendpoint_snitch: {snitch}\n{more}")

    def write(self, name, content):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(content)

    def assert_says(self, config, lines):
        done = run("check", config)
        self.assertTrue(is_clean(done.stdout + done.stderr), done.stdout + done.stderr)
        self.assertEqual(done.stderr.splitlines(), [line.replace("{}", self.folder) for line in lines])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")

    def test_files__each_bad_one__exactly_these_lines(self):
        for name, (file, content, lines) in GOLDEN.items():
            with self.subTest(name):
                self.write(file, content)
                self.assert_says(self.config(SNITCHES[file]), lines)

    def test_files__that_are_none__said_and_never_waited_for(self):
        remedy = "; write the file, or set weft: dc and rack"
        for file, snitch in SNITCHES.items():
            path = os.path.join(self.folder, file)
            config = self.config(snitch)
            place = "{}/w.yaml:3:18: endpoint_snitch: "
            with self.subTest(file, is_="missing"):
                self.assert_says(config, [f"{place}cannot open {path}: No such file or directory{remedy}"])
            with self.subTest(file, is_="folder"):
                os.mkdir(path)
                self.assert_says(config, [f"{place}{path} is a directory; name a file{remedy}"])
                os.rmdir(path)
            with self.subTest(file, is_="fifo"):
                os.mkfifo(path)
                self.assert_says(config, [f"{place}{path} is not a regular file{remedy}"])
                os.unlink(path)
            with self.subTest(file, is_="loop"):
                os.symlink(path, path)
                self.assert_says(config, [f"{place}cannot open {path}: Too many levels of symbolic links{remedy}"])
                os.unlink(path)
            with self.subTest(file, is_="empty"):
                self.write(file, b"")
                self.assert_says(config, [f"{place}{path} is empty{remedy}"])
            with self.subTest(file, is_="gigabyte"):
                os.truncate(path, GIB)
                self.assert_says(config, [f"{place}{path} is larger than 1024 KiB{remedy}"])
                os.unlink(path)

    def test_files__as_they_are_shipped__read(self):
        self.write(RACKDC, b"#\n# place of this node\n#\ndc=east 1\nrack=r1  \n# prefer_local=true\n")
        done = run("check", self.config(SNITCHES[RACKDC]))
        self.assertIn(f"dc east 1, rack r1, from {RACKDC}", done.stdout, done.stderr)
        self.write(TOPOLOGY, b"# nodes\r\n10.0.0.1=DC1:RAC1\r\n10.0.0.2 DC1:RAC2\r\n\r\n# all others\r\n"
                             b"default=DC1:r1\r\nfe80\\:0\\:0\\:0\\:202\\:b3ff\\:fe1e\\:8329=DC1:RAC3\r\n")
        done = run("check", self.config(SNITCHES[TOPOLOGY]))
        self.assertIn(f"dc DC1, rack RAC1, from {TOPOLOGY}", done.stdout, done.stderr)
        self.assertIn("10.0.0.2  dc DC1, rack RAC2", done.stdout)
        self.assertIn("fe80::202:b3ff:fe1e:8329  dc DC1, rack RAC3", done.stdout)

    def explain(self, config, *arguments):
        done = run("explain", config, "--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_explain__default_line_and_host_names__prove_nothing(self):
        self.write(TOPOLOGY, OWN + b"10.0.0.2=DC1:RAC1\ndefault=DC1:RAC1\n")
        for arguments in (("ca",), ("node", "n", "--ca", self.folder, "--dc", "DC1", "--rack", "RAC1", "--address",
                                    "10.0.0.1")):
            done = run("certs", *arguments, "--cluster", "c", "--out", self.folder)
            self.assertEqual(done.returncode, 0, done.stderr)
        scope = ("server_encryption_options: { internode_encryption: rack, certificate: n.crt, keyfile: n.key, "
                 "truststore: ca.crt }\n")
        nodes = "weft: { nodes: [ { address: 10.0.0.3 }, { address: localhost, dc: DC1, rack: RAC1 } ] }\n"
        config = self.config(SNITCHES[TOPOLOGY], scope + nodes)
        for peer, out, plain in (("10.0.0.2", "same_rack", "same_rack"),
                                 ("10.0.0.3", "location_unknown", "plaintext_unknown_location"),
                                 ("10.0.0.4", "location_unknown", "plaintext_unknown_location"),
                                 ("127.0.0.1", "location_unknown", "plaintext_unknown_location")):
            with self.subTest(peer):
                self.assertEqual(self.explain(config, "--peer", peer)["reason"], out)
                self.assertEqual(self.explain(config, "--peer", peer, "--direction", "in-plain")["reason"], plain)

    def test_explain__own_address__self_connection(self):
        more = ("broadcast_address: 10.0.0.9\nweft: { nodes: [ { addresses: [10.0.0.1, 10.0.0.8], dc: d, rack: r },"
                " { address: 10.0.0.9, storage_port: 7100, ssl_storage_port: 7101 } ] }\n")
        config = self.config("SimpleSnitch", more)
        for peer in ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.8"):
            for direction in ("out", "in-plain", "in-tls"):
                with self.subTest(peer, direction=direction):
                    self.assertEqual(self.explain(config, "--peer", peer, "--direction", direction),
                                     {"decision": "refuse", "reason": "self_connection", "port": None, "scope": "none"})
        # Another node behind the same address is another node.
        self.assertEqual(self.explain(config, "--peer", "10.0.0.9")["port"], 7100)
        self.assertIn("the node's own address", run("explain", config, "--peer", "10.0.0.1").stdout)


if __name__ == "__main__":
    unittest.main()
