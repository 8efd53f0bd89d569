# SPDX-License-Identifier: Apache-2.0
"""Goal: a node that is started again is the same node, later; its state directory is its own.

Method: `weft node` is started and stopped; the file that it keeps is read, damaged and locked; a read-only command
runs beside it.
"""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import harness

WEFT = os.environ["WEFT"]
RUN_S = 30


def config(plain, tls):
    return (f"cluster_name: c\nlisten_address: 127.0.0.1\nstorage_port: {plain}\nssl_storage_port: {tls}\n"
            "weft:\n  shards: 1\n  state_directory: state\n")


class StateDirectory(unittest.TestCase):
    def setUp(self):
        self.node = harness.WeftNode(WEFT, config)
        self.addCleanup(self.node.close)
        self.file = os.path.join(self.node.folder, "state", "node")

    def kept(self):
        with open(self.file, encoding="ascii") as file:
            words = dict(line.split() for line in file)
        self.assertEqual(words["weft-node"], "1")
        return words["node_id"], int(words["incarnation"])

    def run_node(self):
        return subprocess.run([WEFT, "node", os.path.join(self.node.folder, "weft.yaml")], capture_output=True,
                              text=True, timeout=RUN_S, stdin=subprocess.DEVNULL, check=False)

    def test_restart__same_id_and_a_later_incarnation(self):
        self.node.start()
        first = self.kept()
        self.node.stop()
        self.node.start()
        second = self.kept()
        self.node.stop()
        self.assertEqual(first[0], second[0])
        self.assertGreater(second[1], first[1])
        self.assertEqual(os.listdir(os.path.dirname(self.file)), ["node"])

    def test_check_and_explain__beside_a_node__touch_nothing(self):
        self.node.start()
        before = self.kept()
        path = os.path.join(self.node.folder, "weft.yaml")
        for arguments in (["check", path], ["explain", path, "--unknown"]):
            done = subprocess.run([WEFT, *arguments], capture_output=True, timeout=RUN_S, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.kept(), before)
        self.node.stop()

    def test_second_node__in_the_same_directory__refused(self):
        self.node.start()
        done = self.run_node()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^E .*weft\.yaml:7:20: state_directory: .* is in use by another node; give each")
        self.node.stop()

    def test_damaged__refused_until_it_is_removed(self):
        self.node.start()
        first = self.kept()
        self.node.stop()
        with open(self.file, "r+", encoding="ascii") as file:
            file.truncate(20)
        done = self.run_node()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^E .*state_directory: .*/state/node:2:1: damaged; .*remove it")
        os.unlink(self.file)
        self.node.start()
        self.assertNotEqual(self.kept()[0], first[0])
        self.node.stop()


if __name__ == "__main__":
    unittest.main()
