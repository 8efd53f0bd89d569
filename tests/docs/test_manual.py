#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what docs/manual tells people to type works, and prints what is shown; its tables of the policy are true.

Method: the ```sh blocks of a page are run in order, in one folder of their own; a ```text block right behind one is its
output, word for word.  The commands in the lines "Shown by" are run with something real for each of their capitals.
Each cell of the tables in choosing-a-scope.md is asked of `weft explain`.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(os.environ["WEFT_SOURCE_DIR"])
WEFT = pathlib.Path(os.environ["WEFT"])
RUN_S = 60
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
SCOPES = ("none", "rack", "dc", "all", "transitional")
PEERS = {"same rack": ["--dc", "dc1", "--rack", "r1"], "same dc": ["--dc", "dc1", "--rack", "r2"],
         "other dc": ["--dc", "dc2", "--rack", "r1"], "unknown": ["--unknown"]}


def run(command, folder):
    """A step as somebody would type it, with the weft that was built."""
    with tempfile.TemporaryDirectory() as tools:
        os.symlink(WEFT, pathlib.Path(tools) / "weft")
        environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}")
        return subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, timeout=RUN_S,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


# What stands for the capitals of a command, in a folder that READY made.
READY = r"""
printf '%s\n' 'cluster_name: demo' 'listen_address: 127.0.0.1' 'storage_port: 1' > weft.yaml
printf '%s\n' 'weft:' '  dc: dc1' '  rack: r1' >> weft.yaml
weft certs ca --cluster demo --out .
weft certs node PEER --ca . --cluster demo --dc dc1 --rack r1 --address 127.0.0.1 --out .
touch index; printf '%s\n' '[ca]' 'default_ca = ca' '[ca]' 'database = index' 'default_md = sha256' > ca.cnf
openssl ca -gencrl -config ca.cnf -cert ca.crt -keyfile ca.key -crldays 2 -out LIST
ln -s PEER.crt FILE
"""
CAPITALS = {"ADDRESS": "127.0.0.1", "HOST:PORT": "127.0.0.1:1", "STRING": "NORMAL"}


def shown_by(text):
    """The commands in the lines "Shown by" that name all they need."""
    lines = re.findall(r"^- \*\*Shown by:\*\*(.*?)(?=^- |^\n|\Z)", text, re.DOTALL | re.MULTILINE)
    commands = {re.sub(r"\s+", " ", command) for line in lines for command in re.findall(r"`([^`]+)`", line)}
    return sorted(command for command in commands if " " in command and not command.startswith(("--", "weft node")))


def tables_of(text):
    """The rows of each table whose first column is a scope, without its heading."""
    tables = []
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        if rows[0] == ["scope", *PEERS]:
            tables.append(rows[2:])
    return tables


class Manual(unittest.TestCase):
    def test_commands__run_in_order__print_what_is_shown(self):
        count = 0
        for page in sorted((ROOT / "docs/manual").glob("*.md")):
            with tempfile.TemporaryDirectory() as folder:
                for command, shown in BLOCK.findall(page.read_text(encoding="utf-8")):
                    with self.subTest(page=page.name, command=command.strip().splitlines()[0]):
                        done = run(command, folder)
                        self.assertEqual(done.returncode, 0, done.stderr)
                        if shown:
                            self.assertEqual(done.stdout, shown)
                        count += 1
        self.assertGreater(count, 4)

    def test_shown_by__each_command__works(self):
        commands = shown_by((ROOT / "docs/manual/troubleshooting.md").read_text(encoding="utf-8"))
        self.assertGreater(len(commands), 8)
        with tempfile.TemporaryDirectory() as folder:
            done = run(READY, folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            for command in commands:
                with self.subTest(command):
                    for capitals, real in CAPITALS.items():
                        command = command.replace(capitals, real)
                    done = run(command, folder)
                    if "--dial" in command:  # nobody is there
                        self.assertEqual(done.returncode, 1, done.stderr)
                        self.assertRegex(done.stdout, r"(?m)^  change ")
                    else:
                        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_tables_of_the_policy__every_cell__as_explained(self):
        text = (ROOT / "docs/manual/choosing-a-scope.md").read_text(encoding="utf-8")
        tables = tables_of(text)
        self.assertEqual([[row[0] for row in rows] for rows in tables], [list(SCOPES)] * 2)
        with tempfile.TemporaryDirectory() as folder:
            made = run("weft certs ca --cluster c --out . && weft certs node n --ca . --cluster c --dc dc1 --rack r1 "
                       "--address 127.0.0.1 --out .", folder)
            self.assertEqual(made.returncode, 0, made.stderr)
            for rows, direction in zip(tables, ("out", "in-plain")):
                for scope, *cells in rows:
                    path = pathlib.Path(folder) / "weft.yaml"
                    path.write_text("cluster_name: c\nserver_encryption_options:\n  internode_encryption: "
                                    f"{scope}\n  certificate: n.crt\n  keyfile: n.key\n  truststore: ca.crt\n"
                                    "weft: { dc: dc1, rack: r1 }\n", encoding="utf-8")
                    for peer, cell in zip(PEERS, cells, strict=True):
                        done = subprocess.run([WEFT, "explain", path, *PEERS[peer], "--direction", direction, "--json"],
                                              capture_output=True, text=True, timeout=RUN_S, check=True)
                        self.assertEqual(json.loads(done.stdout)["decision"], cell, (scope, peer, direction))


if __name__ == "__main__":
    sys.exit(unittest.main())
