# SPDX-License-Identifier: Apache-2.0
"""Goal: a running node follows its files of locations: who is added, gone or elsewhere by the new file is so in the
node, without a restart; and a broken file changes nothing.

Method: `weft node` with a topology file that the test replaces in every usual way; what the node makes of it is read
from its status and its log.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import harness

WEFT = os.environ.get("WEFT", "weft")
SELF = "127.31.0.1"
TOPOLOGY = "cassandra-topology.properties"


class FollowedNode(harness.WeftNode):
    """A node whose topology file is there before it starts."""

    def __init__(self, file, text, config):
        super().__init__(WEFT, config, address=SELF)
        self.status_path = os.path.join(self.folder, "status.json")
        self.arguments = ["--status", self.status_path]
        self.file_path = os.path.join(self.folder, file)
        self.replace(text)

    def replace(self, text):
        with open(self.file_path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.file_path + ".new", self.file_path)

    def status(self):
        try:
            with open(self.status_path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def peers(self):
        """Where everybody is, the node first."""
        status = self.status()
        if status is None:
            return None
        places = {SELF: (status["dc"], status["rack"])}
        places.update({peer["address"]: (peer["dc"], peer["rack"]) for peer in status["peers"]})
        return places

    def wait_peers(self, expected):
        harness.wait_until(lambda: self.peers() == expected, lambda: f"{expected}, not {self.peers()}:\n{self.log()}")

    def wait_faults(self, count):
        harness.wait_until(lambda: self.status()["following"]["faults"] >= count, lambda: json.dumps(self.status()))


def config_of(snitch):
    return lambda plain, tls: (f"cluster_name: c\nlisten_address: {SELF}\nstorage_port: {plain}\n"
                               f"ssl_storage_port: {tls}\nendpoint_snitch: {snitch}\nweft: {{ shards: 1 }}\n")


class Follow(unittest.TestCase):
    """Files that change beside a running node."""

    def start(self, file, snitch, text):
        node = FollowedNode(file, text, config_of(snitch))
        self.addCleanup(node.close)
        return node.start()

    def test_topology__replaced_written_and_linked__followed(self):
        node = self.start(TOPOLOGY, "PropertyFileSnitch", f"{SELF}=D:R\n127.31.0.2=D:R\n")
        node.wait_peers({SELF: ("D", "R"), "127.31.0.2": ("D", "R")})
        node.replace(f"{SELF}=D:R\n127.31.0.2=E:R\n127.31.0.3=D:S\n")
        node.wait_peers({SELF: ("D", "R"), "127.31.0.2": ("E", "R"), "127.31.0.3": ("D", "S")})
        self.assertRegex(node.log(), r"topology: 1 peers added, 0 removed, 1 relocated")
        with open(node.file_path, "w", encoding="utf-8") as file:
            file.write(f"{SELF}=D:T\n127.31.0.3=D:S\n")
        node.wait_peers({SELF: ("D", "T"), "127.31.0.3": ("D", "S")})
        folder = os.path.join(node.folder, "mounted")
        os.mkdir(folder)
        with open(os.path.join(folder, TOPOLOGY), "w", encoding="utf-8") as file:
            file.write(f"{SELF}=D:R\n")
        os.symlink(os.path.join(folder, TOPOLOGY), node.file_path + ".new")
        os.rename(node.file_path + ".new", node.file_path)
        node.wait_peers({SELF: ("D", "R")})
        self.assertEqual(node.status()["following"]["changes"], 3)

    def test_topology__broken__what_was_stays_and_one_line_says_why(self):
        node = self.start(TOPOLOGY, "PropertyFileSnitch", f"{SELF}=D:R\n127.31.0.2=D:R\n")
        node.wait_peers({SELF: ("D", "R"), "127.31.0.2": ("D", "R")})
        node.replace(f"{SELF}=D:R\n127.31.0.2=D\n")
        node.wait_faults(1)
        os.unlink(node.file_path)
        node.wait_faults(2)
        self.assertEqual(node.peers(), {SELF: ("D", "R"), "127.31.0.2": ("D", "R")})
        said = [line for line in node.log().splitlines() if "what was stays" in line]
        self.assertEqual(len(said), 2, node.log())
        self.assertRegex(said[0], re.escape(f"{TOPOLOGY}:2:12: 127.31.0.2: ") + ".*write DC:RACK")
        self.assertIn("cannot open", said[1])
        node.replace(f"{SELF}=D:R\n127.31.0.2=E:R\n")
        node.wait_peers({SELF: ("D", "R"), "127.31.0.2": ("E", "R")})

    def test_scope__another_one_in_the_file__waits_for_sighup(self):
        folder = tempfile.TemporaryDirectory(prefix="weft-follow-")
        self.addCleanup(folder.cleanup)
        certificates = harness.WeftCertificates(WEFT, folder.name, "c")
        certificate, key = certificates.node("n", SELF)

        def config(plain, tls, scope="none"):
            return config_of("PropertyFileSnitch")(plain, tls) + (
                f"server_encryption_options: {{ internode_encryption: {scope}, certificate: {certificate}, "
                f"keyfile: {key}, truststore: {certificates.ca} }}\n")

        node = FollowedNode(TOPOLOGY, f"{SELF}=D:R\n", config)
        self.addCleanup(node.close)
        node.start()
        node.wait_peers({SELF: ("D", "R")})
        with open(os.path.join(node.folder, "weft.yaml"), "w", encoding="utf-8") as file:
            file.write(config(node.plain_port, node.tls_port, scope="transitional"))
        node.replace(f"{SELF}=D:S\n")
        node.wait_peers({SELF: ("D", "S")})
        self.assertEqual(node.status()["scope"], "none")
        node.process.send_signal(signal.SIGHUP)
        node.wait_log(r"I scope: internode_encryption transitional instead of none")
        harness.wait_until(lambda: node.status()["scope"] == "transitional", node.log)

    def test_rackdc__changed__the_node_is_elsewhere(self):
        node = self.start("cassandra-rackdc.properties", "GossipingPropertyFileSnitch", "dc=D\nrack=R\n")
        node.wait_peers({SELF: ("D", "R")})
        node.replace("dc=D\nrack=S\n")
        node.wait_peers({SELF: ("D", "S")})
        node.terminate()
        self.assertEqual(node.wait(), 0)


# A process that writes versions of a topology file in every usual way, without a pause between them.  In each version
# everybody is in one rack, which is its number; the node's own line is the last.
WRITER = """
import os, random, sys, time
path, own, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
drawn = random.Random(seed)
for version in range(1, count + 1):
    lines = [f"127.31.1.{i}=D:R{version}\\n" for i in range(1, 41)] + [f"{own}=D:R{version}\\n"]
    way = drawn.choice(("rename", "truncate", "append"))
    if way == "rename":
        with open(path + ".new", "w") as file:
            file.writelines(lines)
        os.rename(path + ".new", path)
    elif way == "truncate":
        with open(path, "w") as file:
            file.writelines(lines)
    else:
        open(path, "w").close()
        for line in lines:
            with open(path, "a") as file:
                file.write(line)
            time.sleep(0.01)
    time.sleep(drawn.choice((0, 0.05, 0.3)))
"""


class FollowWriter(unittest.TestCase):
    """A file that is being written while it is read."""

    def test_topology__a_writer_that_never_rests__only_whole_states_and_the_last_one(self):
        versions = 20
        node = FollowedNode(TOPOLOGY, f"{SELF}=D:R0\n", config_of("PropertyFileSnitch"))
        self.addCleanup(node.close)
        node.start()
        node.wait_peers({SELF: ("D", "R0")})
        writer = subprocess.Popen([sys.executable, "-c", WRITER, node.file_path, SELF, str(versions), "23"])
        self.addCleanup(writer.wait)
        self.addCleanup(writer.kill)
        seen = set()

        def last_version():
            places = node.peers()
            racks = {rack for _, rack in places.values()}
            self.assertEqual(len(racks), 1, places)
            self.assertEqual(len(places), 1 if racks == {"R0"} else 41, places)
            seen.update(racks)
            return writer.poll() is not None and racks == {f"R{versions}"}

        harness.wait_until(last_version, node.log, 60)
        self.assertEqual(writer.returncode, 0)
        self.assertGreater(len(seen), 2, node.log())


@unittest.skipIf(os.geteuid() != 0, "only root has mounts of its own")
class FollowNames(unittest.TestCase):
    """Host names that lead elsewhere, with /etc/hosts of the test's own and no name server."""

    def write(self, path, text, mode=0o644):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def start(self):
        node = FollowedNode("cassandra-rackdc.properties", "dc=D\nrack=R\n", lambda plain, tls: config_of(
            "GossipingPropertyFileSnitch")(plain, tls).replace("shards: 1", "shards: 1, nodes: [ { address: peer } ]"))
        self.addCleanup(node.close)
        self.hosts = os.path.join(node.folder, "hosts")
        self.write(self.hosts, "127.31.0.7 peer\n")
        self.write(os.path.join(node.folder, "resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        script = os.path.join(node.folder, "weft")
        self.write(script, f"""#!/bin/sh
exec unshare --mount sh -c 'mount --bind {self.hosts} /etc/hosts && mount --bind {node.folder}/resolv.conf \\
    /etc/resolv.conf && exec {WEFT} "$@"' sh "$@"
""", 0o755)
        node.weft = script
        return node.start()

    def test_name__leads_elsewhere__the_peer_is_dialed_there(self):
        node = self.start()
        node.wait_peers({SELF: ("D", "R"), "127.31.0.7": ("", "")})
        self.write(self.hosts, "127.31.0.8 peer\n")
        node.replace("# another look\ndc=D\nrack=R\n")
        node.wait_peers({SELF: ("D", "R"), "127.31.0.8": ("", "")})
        # Nobody answers for it: it stays where it was, and that is counted.
        self.write(self.hosts, "")
        node.replace("dc=D\nrack=S\n")
        node.wait_peers({SELF: ("D", "S"), "127.31.0.8": ("", "")})
        self.assertEqual(node.status()["following"]["names_failed"], 1)
        self.assertEqual(node.status()["following"]["faults"], 0)


if __name__ == "__main__":
    unittest.main()
