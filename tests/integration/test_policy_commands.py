#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `weft explain`, `weft check` and `weft check --from` say what is documented, as one JSON object or for people.

Method: configurations of every scope with certificates made for them; tables written by hand."""

import itertools
import json
import os
import subprocess
import tempfile
import unittest

WEFT = os.environ["WEFT"]
RUN_S = 30
SCOPES = ("none", "rack", "dc", "all", "transitional")
STAGES = ("none", "none+certificate", "transitional", "rack", "dc", "all")
KINDS = ("same_rack", "same_dc", "other_dc", "unknown")

CONFIG = """cluster_name: {cluster}
storage_port: {port}
server_encryption_options:
  internode_encryption: {scope}
{tls}weft:
  dc: {dc}
  rack: r1
  nodes:
    - {{ address: 127.0.1.2, dc: dc1, rack: r1, storage_port: 7100, ssl_storage_port: 7101 }}
    - {{ address: 127.0.1.3, dc: dc1, rack: r2 }}
    - {{ address: 127.0.1.4, dc: dc2, rack: r1 }}
    - {{ address: 127.0.1.5 }}
"""
TLS = """  certificate: n1.crt
  keyfile: n1.key
  truststore: ca.crt
"""
# Decisions on the normal lane for peers in KINDS, out and in plaintext.
OUT = {
    "none": ("plain scope_none",) * 4,
    "rack": ("plain same_rack", "tls other_rack", "tls other_dc", "tls location_unknown"),
    "dc": ("plain same_rack", "plain same_dc", "tls other_dc", "tls location_unknown"),
    "all": ("tls scope_all",) * 4,
    "transitional": ("tls transitional",) * 4,
}
UNKNOWN = "refuse plaintext_unknown_location"
FORBIDDEN = "refuse plaintext_forbidden"
IN_PLAIN = {
    "none": ("plain scope_none",) * 4,
    "rack": ("plain same_rack", FORBIDDEN, FORBIDDEN, UNKNOWN),
    "dc": ("plain same_rack", "plain same_dc", FORBIDDEN, UNKNOWN),
    "all": ("refuse no_listener",) * 4,
    "transitional": ("plain transitional",) * 4,
}
# The stages that each one can go to at once.
NEIGHBOURS = {
    "none": {"none+certificate"}, "none+certificate": {"none", "transitional"},
    "transitional": {"none+certificate", "rack", "dc", "all"},
    "rack": {"transitional"}, "dc": {"transitional"}, "all": {"transitional"},
}


def run(*arguments):
    return subprocess.run([WEFT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_S,
                          check=False)


class PolicyCommands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        where = ["--out", cls.folder.name]
        for arguments in (["certs", "ca", "--cluster", "c", *where],
                          ["certs", "node", "n1", "--ca", cls.folder.name, "--cluster", "c", "--dc", "dc1", "--rack",
                           "r1", "--address", "127.0.0.1", *where]):
            done = run(*arguments)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
        for stage in STAGES:
            cls.write(f"{stage}.yaml", stage)

    @classmethod
    def write(cls, name, stage, cluster="c", port=7000, dc="dc1"):
        scope = stage.split("+")[0]
        tls = "" if stage == "none" else TLS
        path = os.path.join(cls.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(cluster=cluster, port=port, scope=scope, tls=tls, dc=dc))
        return path

    def path(self, stage):
        return os.path.join(self.folder.name, f"{stage}.yaml")

    def object(self, *arguments, code=0):
        """The one object that is printed."""
        done = run(*arguments, "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def explain(self, stage, *arguments):
        said = self.object("explain", self.path(stage), *arguments)
        self.assertEqual(list(said), ["decision", "reason", "port", "scope"])
        self.assertEqual(said["scope"], stage.split("+")[0])
        return said

    def test_explain__every_scope_and_kind__decision_reason_port(self):
        peers = (["--dc", "dc1", "--rack", "r1"], ["--dc", "dc1", "--rack", "r2"], ["--dc", "dc2", "--rack", "r1"],
                 ["--unknown"])
        for scope in SCOPES:
            for index, peer in enumerate(peers):
                for direction, table in (("out", OUT), ("in-plain", IN_PLAIN)):
                    with self.subTest(scope=scope, peer=KINDS[index], direction=direction):
                        said = self.explain(scope, *peer, "--direction", direction)
                        self.assertEqual(f"{said['decision']} {said['reason']}", table[scope][index])
                        self.assertEqual(said["port"], {"plain": 7000, "tls": 7001, "refuse": None}[said["decision"]])
        passive = self.explain("none+certificate", "--unknown", "--direction", "in-tls")
        self.assertEqual((passive["decision"], passive["reason"], passive["port"]), ("tls", "passive_listener", 7001))
        closed = self.explain("none", "--unknown", "--direction", "in-tls")
        self.assertEqual((closed["decision"], closed["reason"], closed["port"]), ("refuse", "no_listener", None))

    def test_explain__peer_of_the_topology__its_place_and_ports(self):
        cases = {"127.0.1.2": ("plain", "same_rack", 7100), "127.0.1.3": ("tls", "other_rack", 7001),
                 "127.0.1.4": ("tls", "other_dc", 7001), "127.0.1.5": ("tls", "location_unknown", 7001),
                 "127.0.9.9": ("tls", "location_unknown", 7001)}
        for address, expected in cases.items():
            with self.subTest(address=address):
                said = self.explain("rack", "--peer", address)
                self.assertEqual((said["decision"], said["reason"], said["port"]), expected)
        control = self.explain("rack", "--peer", "127.0.1.2", "--lane", "control")
        self.assertEqual((control["decision"], control["reason"], control["port"]), ("tls", "control_lane", 7101))
        # Where a peer has dialed, the port is ours.
        self.assertEqual(self.explain("rack", "--peer", "127.0.1.2", "--direction", "in-plain")["port"], 7000)

    def test_explain__own_place_on_the_command_line__instead_of_the_files(self):
        said = self.explain("rack", "--dc", "dc1", "--rack", "r1", "--own-rack", "r9")
        self.assertEqual(said["reason"], "other_rack")
        said = self.explain("rack", "--dc", "dc1", "--rack", "r1", "--own-dc", "dc2")
        self.assertEqual(said["reason"], "other_dc")
        said = self.explain("rack", "--dc", "dc1", "--rack", "r1", "--own-dc", "")
        self.assertEqual((said["decision"], said["reason"]), ("tls", "own_location_unknown"))
        said = self.explain("rack", "--dc", "dc1", "--rack", "r1", "--own-dc", "", "--direction", "in-plain")
        self.assertEqual((said["decision"], said["reason"]), ("refuse", "plaintext_unknown_location"))

    def test_explain__matrix__every_single_answer(self):
        peers = {"same_rack": ["--dc", "dc1", "--rack", "r1"], "same_dc": ["--dc", "dc1", "--rack", "other"],
                 "other_dc": ["--dc", "other", "--rack", "r1"], "unknown": ["--unknown"]}
        for stage in ("rack", "none+certificate"):
            said = self.object("explain", self.path(stage), "--matrix")
            self.assertEqual(list(said), ["scope", "decisions"])
            asked = [(entry["direction"], entry["lane"], entry["peer"]) for entry in said["decisions"]]
            self.assertEqual(sorted(asked), sorted(itertools.product(
                ("out", "in-plain", "in-tls"), ("normal", "control", "bulk"), KINDS)))
            for entry in said["decisions"]:
                single = self.explain(stage, *peers[entry["peer"]], "--direction", entry["direction"], "--lane",
                                      entry["lane"])
                self.assertEqual([entry[key] for key in ("decision", "reason", "port")],
                                 [single[key] for key in ("decision", "reason", "port")])
            text = run("explain", self.path(stage), "--matrix").stdout.splitlines()
            self.assertEqual(len(text), 2 + 9)
            for entry, words in zip(said["decisions"][:4], text[2].split()[2::2]):
                self.assertEqual(entry["decision"], words)

    def test_explain__matrix_of_one_lane_or_direction__those_rows(self):
        everything = self.object("explain", self.path("rack"), "--matrix")["decisions"]
        for words, keys in ((["--lane", "bulk"], {"lane": "bulk"}),
                            (["--direction", "in-tls"], {"direction": "in-tls"}),
                            (["--lane", "normal", "--direction", "out"], {"lane": "normal", "direction": "out"})):
            said = self.object("explain", self.path("rack"), "--matrix", *words)["decisions"]
            self.assertEqual(said, [entry for entry in everything if all(entry[k] == keys[k] for k in keys)])
            text = run("explain", self.path("rack"), "--matrix", *words).stdout.splitlines()
            self.assertEqual(len(text), 2 + len(said) // len(KINDS))

    def test_explain__wrong_command_line__usage(self):
        for arguments in ([], [self.path("dc")], [self.path("dc"), "--matrix", "--unknown"],
                          [self.path("dc"), "--rack", "r1"], [self.path("dc"), "--peer", "host"],
                          [self.path("dc"), "--unknown", "--lane", "bulky"],
                          [self.path("dc"), self.path("dc"), "--unknown"]):
            done = run("explain", *arguments, "--json")
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)

    def test_explain__key_of_another_certificate__does_not_start(self):
        path = self.write("foreign.yaml", "all")
        with open(path, encoding="utf-8") as file:
            text = file.read().replace("n1.key", "ca.key")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = run("explain", path, "--unknown", "--json")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("key", done.stderr)

    def effective(self, path):
        said = self.object("check", path)
        return said, {entry["key"]: (entry["value"], entry["line"], entry["from"]) for entry in said["effective"]}

    def test_check__effective__each_key_with_its_value_and_its_line(self):
        path = self.write("effective.yaml", "rack", port=7300)
        with open(path, "a", encoding="utf-8") as file:
            file.write("  handshake_timeout: 2500ms\n  memory_per_shard: 512MiB\n  idle_timeout: 0s\n"
                       "  tcp_keepalive_idle: 120s\n  busy_poll: true\n"
                       "  node_id: 6F1C0000-0000-4000-8000-000000000001\n"
                       "inter_dc_tcp_nodelay: false\n")
        said, keys = self.effective(path)
        with open(path, encoding="utf-8") as file:
            lines = [line.split(":")[0].strip() for line in file]
        def at(key, value):
            line = lines.index(key.rsplit(".", maxsplit=1)[-1]) + 1
            self.assertEqual(keys[key], (value, line, f"line {line}"))
        at("cluster_name", "c")
        at("storage_port", "7300")
        at("inter_dc_tcp_nodelay", "false")
        at("server_encryption_options.internode_encryption", "rack")
        at("server_encryption_options.certificate", os.path.join(os.path.realpath(self.folder.name), "n1.crt"))
        at("weft.dc", "dc1")
        at("weft.handshake_timeout", "2500ms")
        at("weft.memory_per_shard", "512MiB")
        at("weft.idle_timeout", "0")
        at("weft.tcp_keepalive_idle", "2m")
        at("weft.busy_poll", "true")
        at("weft.node_id", "6F1C0000-0000-4000-8000-000000000001")
        self.assertEqual(keys["weft.nodes"][0], "a list")
        for key, value in (("ssl_storage_port", "7001"), ("weft.heartbeat", "1s"), ("weft.drain_timeout", "5s"),
                           ("weft.connections_max", "4096"), ("weft.require_hello", "auto"), ("weft.backend", "auto"),
                           ("weft.tcp_unsent_bytes_max", "256KiB"), ("endpoint_snitch", "SimpleSnitch"),
                           ("broadcast_address", "listen_address"), ("seed_provider", None)):
            self.assertEqual(keys[key], (value, None, "default"))
        text = run("check", path).stdout
        self.assertRegex(text, r"weft\.handshake_timeout +2500ms  \(line \d+\)")
        self.assertRegex(text, r"weft\.heartbeat +1s  \(default\)")
        # The location of a snitch is no default of ours.
        bare = os.path.join(self.folder.name, "bare.yaml")
        with open(bare, "w", encoding="utf-8") as file:
            file.write("cluster_name: c\n")
        keys = self.effective(bare)[1]
        self.assertEqual(keys["weft.dc"][0], "datacenter1")
        self.assertIn("SimpleSnitch", keys["weft.dc"][2])
        self.assertEqual(keys["server_encryption_options.truststore"], ("the system's", None, "default"))

    def test_check__tls__leaf_suites_and_aes(self):
        said = self.object("check", self.path("dc"))["tls"]
        self.assertEqual(said["leaf"]["subject"], "CN=n1")
        self.assertIn("IP:127.0.0.1", said["leaf"]["names"])
        self.assertGreater(said["leaf"]["days_left"], 300)
        self.assertIn("TLS_AES_256_GCM_SHA384", said["suites"])
        self.assertRegex(said["aes"], r"OpenSSL 3\.\d+\.\d+\S*, .*AES")
        text = run("check", self.path("dc")).stdout
        self.assertIn("subject CN=n1", text)
        self.assertIn(said["suites_1_2"], text)
        self.assertIsNone(self.object("check", self.path("none"))["tls"])

    def test_step__every_pair__safe_between_neighbours_else_with_a_path(self):
        for old, new in itertools.product(STAGES, STAGES):
            with self.subTest(old=old, new=new):
                said = self.object("check", "--from", self.path(old), self.path(new))
                self.assertEqual(list(said), ["safe", "reason", "path", "from", "to"])
                self.assertEqual((said["from"], said["to"]), (old, new))
                self.assertIs(said["safe"], old == new or new in NEIGHBOURS[old])
                self.assertTrue(said["reason"])
                way = [old, *said["path"]]
                self.assertEqual(way[-1], new)
                for here, there in zip(way, way[1:]):
                    self.assertIn(there, NEIGHBOURS[here])
        said = self.object("check", "--from", self.path("dc"), self.path("all"))
        self.assertEqual((said["safe"], said["path"]), (False, ["transitional", "all"]))
        self.assertIn("no_listener", said["reason"])
        said = self.object("check", "--from", self.path("none"), self.path("rack"))
        self.assertEqual(said["path"], ["none+certificate", "transitional", "rack"])

    def test_step__for_people__the_path_in_words(self):
        done = run("check", "--from", self.path("dc"), self.path("all"))
        self.assertEqual(done.returncode, 0)
        self.assertIn("not safe: dc to all", done.stdout)
        self.assertIn("dc -> transitional -> all", done.stdout)
        self.assertTrue(run("check", "--from", self.path("dc"), self.path("dc")).stdout.startswith("safe: "))

    def test_step__what_nodes_must_agree_on_differs__not_safe_and_no_path(self):
        cases = {"cluster_name": ("dc", {"cluster": "d"}), "location": ("dc", {"dc": "dc7"}),
                 "storage_port": ("dc", {"port": 7500})}
        for word, (stage, change) in cases.items():
            with self.subTest(word=word):
                path = self.write("changed.yaml", stage, **change)
                said = self.object("check", "--from", self.path(stage), path)
                self.assertEqual((said["safe"], said["path"]), (False, []))
                self.assertIn(word, said["reason"])

    def test_step__priority_strings_without_a_version_in_common__not_safe_and_the_reason(self):
        versions = {}
        for number in (2, 3):
            versions[number] = self.write(f"tls1{number}.yaml", "all")
            with open(versions[number], encoding="utf-8") as file:
                text = file.read()
            with open(versions[number], "w", encoding="utf-8") as file:
                file.write(text.replace(TLS, f"{TLS}  priority_string: NORMAL:-VERS-ALL:+VERS-TLS1.{number}\n"))
        said = self.object("check", "--from", versions[2], versions[3])
        self.assertEqual((said["safe"], said["path"]), (False, []))
        self.assertIn("tls_version", said["reason"])
        for old, new in ((versions[2], self.path("all")), (self.path("all"), versions[3])):
            self.assertTrue(self.object("check", "--from", old, new)["safe"])

    def test_step__plain_port_that_nobody_dials__safe(self):
        said = self.object("check", "--from", self.path("all"), self.write("changed.yaml", "all", port=7500))
        self.assertTrue(said["safe"])

    def test_step__configuration_that_does_not_start__exit_1_and_one_object(self):
        for old, new in (("/nowhere/old.yaml", self.path("dc")), (self.path("dc"), "/nowhere/new.yaml")):
            said = self.object("check", "--from", old, new, code=1)
            self.assertEqual((said["safe"], said["path"], said["from"], said["to"]), (False, [], None, None))
            self.assertIn("/nowhere/", said["reason"])
        self.assertEqual(run("check", "--from", self.path("dc")).returncode, 2)


if __name__ == "__main__":
    unittest.main()
