#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: docs/manual/status.md explains each counter, each gauge and each field of an account, and nothing else.

Method: the names are those of the tables in include/weft/node.h.  That the page's commands work is test_manual's.
"""
import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(os.environ.get("WEFT_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))


def names_of(table):
    """The names of an X-macro, in its order."""
    header = (ROOT / "include/weft/node.h").read_text(encoding="utf-8")
    body = re.search(rf"#define {table}\(X\)((?:.*\\\n)*.*)\n", header).group(1)
    return re.findall(r"X\((\w+)\)", body)


def section(heading):
    """A part of the page, up to the next heading of its level."""
    page = (ROOT / "docs/manual/status.md").read_text(encoding="utf-8")
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE).group(1)


def rows(text):
    """The names in the first columns of a part's tables."""
    firsts = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    return [name for first in firsts for name in re.findall(r"`(\w+)`", first)]


class StatusPage(unittest.TestCase):
    maxDiff = None

    def test_counters__each_once_and_no_other(self):
        names = names_of("WEFT_COUNTERS")
        self.assertGreater(len(names), 50)
        self.assertEqual(sorted(rows(section("Counters"))), sorted(names))

    def test_gauges__each_once_and_no_other(self):
        names = names_of("WEFT_GAUGES")
        self.assertGreater(len(names), 4)
        self.assertEqual(rows(section("What it holds at the moment: in_use")), names)

    def test_account__each_field_stands_in_its_sums(self):
        names = names_of("WEFT_PEER_COUNTERS")
        self.assertGreater(len(names), 10)
        text = section("Accounts: one peer, one lane")
        self.assertEqual([name for name in names if not re.search(rf"\b{name}\b", text)], [])


if __name__ == "__main__":
    sys.exit(unittest.main())
