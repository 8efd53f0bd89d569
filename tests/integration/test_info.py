# SPDX-License-Identifier: Apache-2.0
"""Goal: `weft info` shows where shards run and why, on this machine as this process may use it, and on machines that
are described; a node is told where its wish and its quota differ.

Method: maps of described machines are compared with the files in tests/fixtures/machine, line by line.  Affinity is
narrowed in child processes; control groups are made where this machine lets us, and removed again.  Where it does not,
a test is skipped by what is missing.

Environment: WEFT, the program.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

WEFT = os.environ.get("WEFT", "weft")
FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "machine")
USABLE = sorted(os.sched_getaffinity(0))
COLUMNS = 80

# Golden file: arguments.  {f} is the folder of the fixtures.
MAPS = {
    "one-cpu": ["-m", "pu:1"],
    "eight-sockets": ["-m", "package:8 [numa] core:4 pu:2"],
    "eight-sockets-list": ["-m", "package:8 [numa] core:4 pu:2", "-s", "63-63,0-3"],
    "smt-4": ["-m", "package:2 [numa] core:4 pu:4"],
    "smt-4-all": ["-m", "package:2 [numa] core:4 pu:4", "--smt"],
    "smt-4-count": ["-m", "package:2 [numa] core:4 pu:4", "-s", "10"],
    "cpus-256": ["-m", "package:8 [numa] core:16 pu:2"],
    "cpus-256-all": ["-m", "package:2 [numa] core:64 pu:2", "--smt"],
    "cpus-1024": ["-m", "package:4 [numa] core:128 pu:2"],
    "two-nodes-a-package": ["-m", "package:2 l3:2 [numa] core:2 pu:1"],
    "hybrid": ["-m", "{f}/hybrid.xml"],
    "hybrid-count": ["-m", "{f}/hybrid.xml", "-s", "9"],
    "restricted": ["-m", "{f}/restricted.xml"],
    "offline": ["-m", "{f}/offline.xml"],
    "clocks": ["-m", "{f}/clocks.xml"],
}

REFUSALS = {
    ("-m", "pu:4", "-s", "5"): "shards: 5 is too many; this process may use 4 CPU(s)",
    ("-m", "pu:4", "-s", "2-4"): "shards: CPU 4 is not on this machine, which has CPUs 0-3",
    ("-m", "pu:4", "-s", "1,1"): "shards: CPU 1 is listed twice",
    ("-m", "pu:4", "-s", "all"): 'shards: "all" is not understood',
    ("-m", "{f}/offline.xml", "-s", "2-3"): "shards: CPU 3 is offline; bring it online or take it from the list "
    "(usable: 0-2,4,6-7)",
    ("-m", "{f}/restricted.xml", "-s", "6-7"): "shards: CPU 6 is not in the cpuset of this process's control group; "
    "usable: 2-5,8-15",
    ("-m", "nothing"): '"nothing" is no machine',
    ("-m", "{f}/nothing.xml"): "is no topology that hwloc can read",
}


def info(*arguments, **keywords):
    words = [word.replace("{f}", FIXTURES) for word in arguments]
    return subprocess.run([WEFT, "info", *words], capture_output=True, text=True, timeout=60, check=False, **keywords)


def info_json(*arguments, **keywords):
    done = info("--json", *arguments, **keywords)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def golden_text(arguments):
    """What is printed, without the version and the path of a fixture."""
    done = info(*arguments)
    assert done.returncode == 0, done.stderr
    return "".join(done.stdout.replace(FIXTURES + "/", "").splitlines(keepends=True)[1:])


class Maps(unittest.TestCase):
    def test_map__described_machine__as_drawn(self):
        for name, arguments in MAPS.items():
            with self.subTest(name):
                with open(os.path.join(FIXTURES, name + ".map"), encoding="ascii") as file:
                    golden = file.read().split("\n", 1)[1]
                self.assertEqual(golden_text(arguments), golden)

    def test_map__any_machine__within_80_columns(self):
        for name, arguments in MAPS.items():
            with self.subTest(name):
                for line in golden_text(arguments).splitlines():
                    self.assertLessEqual(len(line), COLUMNS, line)

    def test_map__shards__the_same_in_json(self):
        for name, arguments in MAPS.items():
            with self.subTest(name):
                shown = info_json(*arguments)
                cpus = {entry["cpu"]: entry for entry in shown["cpu_list"]}
                self.assertEqual(len(cpus), shown["cpus"])
                taken = [cpu for cpu, entry in cpus.items() if entry["why"] in ("core", "thread", "listed")]
                self.assertEqual(sorted(shard["cpu"] for shard in shown["shards"]), sorted(taken))
                self.assertIn(f" makes {len(taken)}", golden_text(arguments))
                for number, shard in enumerate(shown["shards"]):
                    self.assertEqual(shard["shard"], number)
                    for key in ("core", "package", "numa"):
                        self.assertEqual(shard[key], cpus[shard["cpu"]][key])

    def test_request__impossible__refused_in_one_line(self):
        for arguments, words in REFUSALS.items():
            with self.subTest(" ".join(arguments)):
                done = info(*arguments)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stdout, "")
                self.assertEqual(done.stderr.count("\n"), 1)
                self.assertIn(words, done.stderr)


class ThisMachine(unittest.TestCase):
    def test_affinity__narrowed__other_cpus_say_so(self):
        if len(USABLE) < 2:
            self.skipTest("this process may use one CPU only")
        for cpu in USABLE[:2]:
            shown = info_json(preexec_fn=lambda cpu=cpu: os.sched_setaffinity(0, {cpu}))
            self.assertEqual([shard["cpu"] for shard in shown["shards"]], [cpu])
            whys = {entry["cpu"]: entry["why"] for entry in shown["cpu_list"]}
            self.assertEqual(whys[cpu], "core")
            self.assertEqual({whys[other] for other in USABLE if other != cpu}, {"affinity"})
            other = next(other for other in USABLE if other != cpu)
            done = info("-s", f"{other}-{other}", preexec_fn=lambda cpu=cpu: os.sched_setaffinity(0, {cpu}))
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"CPU {other} is not in the affinity mask of this process (taskset); usable: {cpu}",
                          done.stderr)

    def test_environment__another_machine__refused_here_but_not_asked_for(self):
        environment = dict(os.environ, HWLOC_SYNTHETIC="package:2 core:8 pu:2")
        done = info(env=environment)
        self.assertEqual(done.returncode, 1)
        self.assertIn("unset HWLOC_XMLFILE, HWLOC_SYNTHETIC and HWLOC_FSROOT", done.stderr)
        self.assertEqual(info_json("-m", "pu:3", env=environment)["cpus"], 3)

    def test_network__interfaces__their_cpus_exist(self):
        shown = info_json()
        cpus = {entry["cpu"]: entry for entry in shown["cpu_list"]}
        for interface in shown["network"]["interfaces"]:
            self.assertLessEqual(set(interface["cpus"]), set(cpus))
            for cpu in interface["cpus"]:
                self.assertTrue(cpus[cpu]["network"])
            self.assertEqual(interface["shards"],
                             [shard["shard"] for shard in shown["shards"] if shard["cpu"] in interface["cpus"]])
        self.assertEqual(len([name for name in os.listdir("/sys/class/net") if len(name) < 16]),
                         len(shown["network"]["interfaces"]) + shown["network"]["interfaces_plain"] +
                         shown["network"]["interfaces_not_shown"])


class Group:
    """A control group of version 1 for one child, in the hierarchy of one controller."""

    def __init__(self, test, controller):
        top = os.path.join("/sys/fs/cgroup", controller)
        with open("/proc/self/cgroup", encoding="ascii") as file:
            own = [line.strip().split(":", 2)[2] for line in file if controller in line.split(":")[1].split(",")]
        if not own or not os.path.exists(os.path.join(top, "tasks")):
            test.skipTest(f"no hierarchy of version 1 for {controller}")
        self.path = os.path.join(top, own[0].strip("/"), f"weft-test-{os.getpid()}")
        try:
            os.mkdir(self.path)
        except OSError as why:
            test.skipTest(f"no control group can be made for {controller}: {why.strerror}")
        test.addCleanup(os.rmdir, self.path)

    def write(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(text)

    def enter(self):
        self.write("tasks", str(os.getpid()))


class ControlGroups(unittest.TestCase):
    def test_cpuset__one_cpu__the_others_say_so(self):
        if len(USABLE) < 2:
            self.skipTest("this process may use one CPU only")
        group = Group(self, "cpuset")
        group.write("cpuset.mems", "0")
        group.write("cpuset.cpus", str(USABLE[1]))
        shown = info_json(preexec_fn=group.enter)
        self.assertEqual([shard["cpu"] for shard in shown["shards"]], [USABLE[1]])
        whys = {entry["cpu"]: entry["why"] for entry in shown["cpu_list"]}
        self.assertEqual(whys[USABLE[0]], "cpuset")
        done = info("-s", f"{USABLE[0]}-{USABLE[0]}", preexec_fn=group.enter)
        self.assertIn(f"CPU {USABLE[0]} is not in the cpuset of this process's control group; usable: {USABLE[1]}",
                      done.stderr)

    def test_quota__less_than_the_cpus__auto_takes_whole_ones(self):
        if len(USABLE) < 2:
            self.skipTest("this process may use one CPU only")
        group = Group(self, "cpu")
        group.write("cpu.cfs_period_us", "100000")
        group.write("cpu.cfs_quota_us", "170000")
        source = os.path.join(group.path, "cpu.cfs_quota_us")
        shown = info_json(preexec_fn=group.enter)
        self.assertEqual(shown["quota"], {"cpus": 1.7, "source": source})
        self.assertEqual([shard["cpu"] for shard in shown["shards"]], USABLE[:1])
        self.assertEqual(shown["note"], "")
        self.assertIn("quota", {entry["why"] for entry in shown["cpu_list"]})
        shown = info_json("-s", "2", preexec_fn=group.enter)
        self.assertEqual(len(shown["shards"]), 2)
        self.assertIn("makes 2 shards of a quota of 1.70 CPUs", shown["note"])
        self.assertIn(f"quota       1.70 CPUs by {source}\n", info(preexec_fn=group.enter).stdout)


    def test_quota__node_with_more_shards__warns_and_runs(self):
        if len(USABLE) < 2:
            self.skipTest("this process may use one CPU only")
        group = Group(self, "cpu")
        group.write("cpu.cfs_quota_us", "170000")
        own = os.getpid()
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            # An address of this process's own, so that the ports of others do not meet it.
            file.write(f"listen_address: 127.{1 + own % 250}.{own // 250 % 250}.9\n"
                       "weft: { shards: 2, memory_per_shard: 8MiB }\n")
            file.flush()
            node = subprocess.Popen([WEFT, "node", file.name], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                    text=True, preexec_fn=group.enter)
            with node:
                lines = []
                for line in node.stderr:
                    lines.append(line)
                    if "listening" in line:
                        break
                node.terminate()
                lines += node.stderr.readlines()
            self.assertEqual(node.returncode, 0, lines)
        warnings = [line for line in lines if "makes 2 shards of a quota of 1.70 CPUs" in line]
        self.assertEqual(len(warnings), 1, lines)


def main():
    """With --write, the maps are written instead of compared: read them before they are committed."""
    if sys.argv[1:] == ["--write"]:
        for name, arguments in MAPS.items():
            with open(os.path.join(FIXTURES, name + ".map"), "w", encoding="ascii") as file:
                file.write("# SPDX-License-Identifier: Apache-2.0\n" + golden_text(arguments))
        return
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
