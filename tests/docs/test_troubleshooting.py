#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: docs/manual/troubleshooting.md has a section for each reason that a connection can be refused or ended for,
and for each that `weft check --dial` can say, and for nothing else.

Method: the names are those of include/weft/reason.h; the remedies of a dial are a part of them.  That its commands work
is test_manual's.
"""
import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(os.environ.get("WEFT_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
PARTS = ("Seen:", "Why:", "Change:")


def names_of(header, table):
    """The names of an X-macro's rows, by their identifiers."""
    body = re.search(rf"#define {table}\(X\)(.*?)\n\n", header, re.DOTALL).group(1)
    return dict(re.findall(r"X\((\w+), \"(\w+)\"\)", body))


class Troubleshooting(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        header = (ROOT / "include/weft/reason.h").read_text(encoding="utf-8")
        self.names = {**names_of(header, "WEFT_REFUSALS"), **names_of(header, "WEFT_ENDS")}
        text = (ROOT / "docs/manual/troubleshooting.md").read_text(encoding="utf-8")
        self.sections = re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)

    def test_sections__each_reason__has_one_in_the_order_of_the_header(self):
        self.assertGreater(len(self.names), 40)
        self.assertEqual([name for name, _ in self.sections], list(self.names.values()))

    def test_sections__each__says_what_is_seen_why_and_what_to_change(self):
        for name, text in self.sections:
            with self.subTest(name):
                self.assertEqual(re.findall(r"^- \*\*([^*]+)\*\* \S", text, re.MULTILINE)[:len(PARTS)], list(PARTS))

    def test_remedies__each_of_a_dial__has_a_section(self):
        source = (ROOT / "topology/cluster/remedy.c").read_text(encoding="utf-8")
        told = set(re.findall(r"^    \{WEFT_REASON_(\w+),", source, re.MULTILINE))
        self.assertGreater(len(told), 20)
        self.assertLessEqual(told, set(self.names))


if __name__ == "__main__":
    sys.exit(unittest.main())
