# SPDX-License-Identifier: Apache-2.0
"""Goal: the list of keys in the manual, the man page and the completion of the shell say what the program says.

Method: the page is made again and compared; every key of the table is looked for where people look for it; bash runs
the completion for the beginnings of command lines.
"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

WEFT = os.environ["WEFT"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def weft(*arguments):
    return subprocess.run([WEFT, *arguments], capture_output=True, text=True, timeout=30, check=False)


def keys():
    return json.loads(weft("check", "--schema", "--json").stdout)["keys"]


class Manual(unittest.TestCase):
    def test_configuration__made_again__is_the_same(self):
        done = subprocess.run([sys.executable, "-B", ROOT / "script/manual", "--check", WEFT], capture_output=True,
                              text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_configuration__another_page__is_noticed(self):
        copy = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"weft-manual-{os.getpid()}"
        (copy / "script").mkdir(parents=True)
        (copy / "docs/manual").mkdir(parents=True)
        script = copy / "script/manual"
        page = copy / "docs/manual/configuration.md"
        try:
            script.write_bytes((ROOT / "script/manual").read_bytes())
            page.write_text("another\n", encoding="utf-8")
            done = subprocess.run([sys.executable, "-B", script, "--check", WEFT], capture_output=True, text=True,
                                  timeout=30, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("not what the program says", done.stderr)
        finally:
            script.unlink()
            page.unlink()
            for folder in ("script", "docs/manual", "docs", "."):
                (copy / folder).rmdir()

    def test_man_page__names_every_key(self):
        page = (ROOT / "docs/man/weft-node.1").read_text(encoding="utf-8").replace("\\-", "-")
        missing = [key["path"] for key in keys() if key["path"].split(".")[-1] not in page]
        self.assertEqual(missing, [])


class Schema(unittest.TestCase):
    def test_schema__as_text_and_json__the_same_keys(self):
        text = weft("check", "--schema")
        self.assertEqual(text.returncode, 0)
        named = [line for line in text.stdout.splitlines() if not line.startswith(" ")]
        self.assertEqual(named, [key["path"] for key in keys()])
        self.assertGreater(len(named), 60)

    def test_schema__of_one_key_or_block__that_alone(self):
        self.assertEqual(len(json.loads(weft("check", "--schema", "--json", "weft.heartbeat").stdout)["keys"]), 1)
        nodes = json.loads(weft("check", "--schema", "--json", "weft.nodes").stdout)["keys"]
        self.assertEqual([key["path"] for key in nodes][:2], ["weft.nodes", "weft.nodes[].address"])

    def test_schema__wrong_use__said_plainly(self):
        for arguments, text in ((["--schema", "weft.heart"], '"weft.heart" is no key'),
                                (["--schema", "--from", "a"], "ask one"),
                                (["--schema", "a", "b"], "too much")):
            with self.subTest(arguments):
                done = weft("check", *arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn(text, done.stderr)


class Completion(unittest.TestCase):
    def complete(self, *words):
        script = """
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _weft weft "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """
        done = subprocess.run(["bash", "-u", "-c", script, "bash", ROOT / "cli/completion/weft", *words],
                              capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands(self):
        self.assertEqual(self.complete(WEFT, "ch"), ["check"])
        self.assertIn("node", self.complete(WEFT, ""))

    def test_options(self):
        self.assertEqual(self.complete(WEFT, "check", "--sch"), ["--schema"])
        self.assertIn("--probe", self.complete(WEFT, "node", "--"))

    def test_keys(self):
        self.assertEqual(self.complete(WEFT, "check", "--schema", "weft.heart"), ["weft.heartbeat"])
        self.assertEqual(self.complete(WEFT, "check", "--schema", "no.such"), [])


if __name__ == "__main__":
    unittest.main()
