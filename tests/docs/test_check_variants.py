# SPDX-License-Identifier: Apache-2.0
"""Goal: a scylla.yaml starts a node, in all the ways in which people write it, and means the same; what is not meant is
refused where it stands.  On a terminal a fault is shown in its line.

Method: a table of changes to a file in the shape of the shipped one, each read by `weft check`; for those that start,
what the node would do is compared.  A terminal is a pseudo terminal.
"""
import json
import os
import pathlib
import pty
import subprocess
import tempfile
import unittest

WEFT = os.environ["WEFT"]
FIXTURE = pathlib.Path(__file__).resolve().parents[1] / "fixtures/config/scylla.yaml"
RUN_S = 30
SCOPE = "server_encryption_options:\n    internode_encryption: none\n    require_client_auth: false\n"


def base():
    return FIXTURE.read_text(encoding="utf-8") + SCOPE


def put(old, new):
    """A change of the last place that has the old text; comments come before."""
    def change(text):
        before, found, after = text.rpartition(old)
        assert found, old
        return before + new + after
    return change


def indented(width):
    """Every indentation of four becomes another width."""
    def change(text):
        lines = []
        for line in text.splitlines(keepends=True):
            depth = (len(line) - len(line.lstrip(" "))) // 4
            lines.append(" " * (width * depth) + line[4 * depth:])
        return "".join(lines)
    return change


SEEDS = """seed_provider:
    - class_name: org.apache.cassandra.locator.SimpleSeedProvider
      parameters:
          - seeds: "127.0.0.1, 127.0.1.9"
"""
# What people write, and the file means the same.
SAME = {
    "as it is": lambda text: text,
    "names in quotes": put("endpoint_snitch: SimpleSnitch", "endpoint_snitch: 'SimpleSnitch'"),
    "a policy in quotes": put("internode_encryption: none", 'internode_encryption: "none"'),
    "False": put("require_client_auth: false", "require_client_auth: False"),
    "no": put("require_client_auth: false", "require_client_auth: no"),
    "OFF": put("require_client_auth: false", "require_client_auth: OFF"),
    "n": put("require_client_auth: false", "require_client_auth: n"),
    "a boolean in quotes": put("require_client_auth: false", "require_client_auth: 'false'"),
    "a flow map": put(SCOPE, "server_encryption_options: { internode_encryption: none, require_client_auth: false }\n"),
    "a block of JSON": put(SCOPE, 'server_encryption_options: {"internode_encryption": "none",\n'
                           '    "require_client_auth": false}\n'),
    "seeds as a flow": put(SEEDS, 'seed_provider: [{class_name: SimpleSeedProvider, '
                           'parameters: [{seeds: "127.0.0.1,127.0.1.9"}]}]\n'),
    "seeds as maps": put(SEEDS, "seed_provider:\n  class_name: SimpleSeedProvider\n  parameters:\n"
                         "    seeds: 127.0.0.1,127.0.1.9\n"),
    "lists in the column of their key": put(SEEDS, "seed_provider:\n- class_name: SimpleSeedProvider\n  parameters:\n"
                                            '  - seeds: "127.0.0.1,127.0.1.9"\n'),
    "indentation of 1": indented(1),
    "indentation of 2": indented(2),
    "trailing comments": put("internode_encryption: none", "internode_encryption: none   # for now"),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "a mark of byte order": lambda text: "\ufeff" + text,
    "a document's beginning and end": lambda text: "---\n" + text + "...\n",
    "ports in quotes": lambda text: text + "storage_port: '7000'\nssl_storage_port: \"7001\"\n",
    "an empty value": lambda text: text + "broadcast_address:\nlisten_interface: ~\n",
    "blank lines and spaces at ends": lambda text: text.replace("\n", "  \n\n"),
    "no newline at the end": lambda text: text.rstrip("\n"),
    "keys in quotes": put("internode_encryption: none", '"internode_encryption": none'),
}
# What people write too: the place, and a part of what is said.
REFUSED = {
    "a tab": (put("    internode_encryption: none", "\tinternode_encryption: none"), "a tab in the indentation"),
    "keys in column 0": (put(SCOPE, "server_encryption_options:\ninternode_encryption: none\n"),
                         "internode_encryption: stands outside of server_encryption_options"),
    "a list of one block": (put(SCOPE, "server_encryption_options:\n  - internode_encryption: none\n"),
                            "server_encryption_options: is a list"),
    "a policy in capitals": (put("internode_encryption: none", "internode_encryption: NONE"), "did you mean none?"),
    "no space behind the colon": (put("internode_encryption: none", "internode_encryption:none"),
                                  "a colon without a space behind it"),
    "an equals sign": (put("internode_encryption: none", "internode_encryption = none"),
                       "a colon where no key can stand"),
    "smart quotes": (put("internode_encryption: none", "internode_encryption: \u201cnone\u201d"), "is not one of none"),
    "a port with its unit": (lambda text: text + "storage_port: 7000/tcp\n", '"7000/tcp" is not possible'),
    "a port with a point": (lambda text: text + "storage_port: 7000.0\n", '"7000.0" is not possible'),
    "the shipped block with its signs taken away":
        (put(SCOPE, "server_encryption_options:\n    internode_encryption: none\n"
             "    truststore: <not set, use system trust>\n"), "is a placeholder"),
    "a tilde": (put("    require_client_auth: false\n", "    certificate: ~/scylla.crt\n    keyfile: scylla.key\n"),
                "~ and variables are not expanded"),
    "a seed with a port": (put("127.0.1.9", "127.0.1.9:7000"), "has a port"),
    "a merge key": (put(SCOPE, "base: &base { internode_encryption: none }\nserver_encryption_options:\n"
                        "    <<: *base\n"), "anchors (&name) are not supported"),
}


class Variants(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "scylla.yaml")

    def check(self, text, *arguments):
        with open(self.path, "wb") as file:
            file.write(text.encode("utf-8"))
        return subprocess.run([WEFT, "check", self.path, *arguments], capture_output=True, text=True, timeout=RUN_S,
                              stdin=subprocess.DEVNULL, check=False)

    def meaning(self, text):
        done = self.check(text, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual([line for line in said["warnings"] if "cluster_name: is not set" not in line], [])
        return {key: said[key] for key in ("scope", "listeners", "dials", "location", "peers", "certificate",
                                           "require_client_auth", "cluster_name")}

    def test_variants__of_a_file_that_starts__mean_the_same(self):
        wanted = self.meaning(base())
        self.assertEqual(wanted["peers"][0]["addresses"], ["127.0.1.9"])
        self.assertGreaterEqual(len(SAME), 20)
        for name, change in SAME.items():
            with self.subTest(name):
                self.assertEqual(self.meaning(change(base())), wanted)

    def test_variants__that_are_not_meant__refused_where_they_stand(self):
        for name, (change, says) in REFUSED.items():
            with self.subTest(name):
                done = self.check(change(base()))
                self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
                lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
                self.assertEqual(len(lines), 1, lines)
                self.assertRegex(lines[0], rf"^{self.path}:\d+:\d+: ")
                self.assertIn(says, lines[0])

    def test_check__anything__nothing_is_written(self):
        before = {name: os.environ.get(name) for name in ("STATE_DIRECTORY", "XDG_STATE_HOME")}
        state = os.path.join(os.path.dirname(self.path), "state")
        try:
            os.environ["STATE_DIRECTORY"] = state
            os.environ["XDG_STATE_HOME"] = state
            self.meaning(base() + f"weft: {{ state_directory: {state} }}\n")
            self.assertEqual(os.listdir(os.path.dirname(self.path)), ["scylla.yaml"])
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    def on_terminal(self, *command):
        """What a terminal shows of standard error."""
        leader, follower = pty.openpty()
        with subprocess.Popen([WEFT, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=follower) as process:
            os.close(follower)
            shown = b""
            try:
                while piece := os.read(leader, 65536):
                    shown += piece
            except OSError:  # nobody writes any more
                pass
            os.close(leader)
            self.assertEqual(process.wait(RUN_S), 1)
        return shown.decode("ascii").replace("\r\n", "\n")

    def test_fault__on_a_terminal__in_its_line_with_a_caret(self):
        text = "cluster_name: c\nserver_encryption_options:\n    internode_encryption: ALL  # \u00e4 \x1b[2J\n"
        piped = self.check(text.replace("\x1b", "")).stderr
        self.assertEqual(len(piped.splitlines()), 1)
        with open(self.path, "wb") as file:
            file.write(text.replace("\x1b", "").encode("utf-8"))
        for command in ("check", "node", "explain"):
            with self.subTest(command):
                more = ["--unknown"] if command == "explain" else []
                lines = self.on_terminal(command, self.path, *more).splitlines()
                self.assertIn(piped.strip(), lines[0])
                self.assertEqual(lines[1], "     3 |     internode_encryption: ALL  # ? [2J")
                self.assertEqual(lines[2], "       | " + " " * 26 + "^")
                self.assertEqual(len(lines), 3)


if __name__ == "__main__":
    unittest.main()
