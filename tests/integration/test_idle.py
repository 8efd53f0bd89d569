# SPDX-License-Identifier: Apache-2.0
"""Goal: what does nothing costs nothing: a shard whose peers and clients are idle takes at most a thousandth of a CPU,
an idle plain connection at most 4 KiB of ours, and a shard with the least memory at most 128 KiB; and `weft check` says
what will not fit in the words of the node.

Method: `weft node` in processes of its own.  CPU time of the shard's thread is the scheduler's own count, over ten
seconds with heartbeats.  A connection's memory is counted with alloc_count.so preloaded: all that two nodes ever
allocated and mapped, which differ by a thousand connections; those that come later add nothing.  A shard's memory is
what the kernel says that a node with one more has touched, its thread's stack included: tables are mapped for as many
peers as there may ever be, and only touched for those that there are.

Environment: WEFT, the program; WEFT_ALLOC_COUNT, the shared object.
"""

import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
import client as twin_client  # noqa: E402  (beside the interop tests)
import harness  # noqa: E402

WEFT = os.environ.get("WEFT", "weft")
PRELOAD = os.environ.get("WEFT_ALLOC_COUNT", "")
WATCH_S = 10.0
IDLE_CPU_MOST = 0.001
KIB = 1024
CONNECTION_BYTES_MOST = 4 * KIB
SHARD_BYTES_MOST = 128 * KIB
CLIENTS = 64
HEAD = struct.Struct("<QQ")
ENTRY = struct.Struct("<QQQII")


def is_sanitized():
    with open(WEFT, "rb") as file:
        text = file.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def config(address, plain, tls, more="", peer=None, shards=1):
    nodes = "" if peer is None else (f"    nodes:\n        - {{ address: {peer[0]}, dc: datacenter1, rack: rack1, "
                                     f"storage_port: {peer[1]}, ssl_storage_port: {peer[2]} }}\n")
    return (f"cluster_name: idle test\nlisten_address: {address}\nstorage_port: {plain}\nssl_storage_port: {tls}\n"
            f"weft:\n    shards: {shards}\n{more}{nodes}")


class CountedNode(harness.WeftNode):
    """A node that writes down what it allocates."""

    def _environment(self):
        self.alloc_log = os.path.join(self.folder, f"allocations.{time.monotonic_ns()}")
        return {**super()._environment(), "LD_PRELOAD": PRELOAD, "ALLOC_LOG": self.alloc_log}

    def allocated(self):
        """(how often, bytes) since the start."""
        with open(self.alloc_log, "rb") as file:
            data = file.read()
        count, kept = HEAD.unpack_from(data)
        if count > kept:
            raise AssertionError(f"{count} allocations, and the log keeps {kept}")
        return count, sum(ENTRY.unpack_from(data, HEAD.size + ENTRY.size * i)[1] for i in range(count))


def shard_cpu_ns(pid):
    """CPU time of the shards' threads."""
    total, found = 0, 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as file:
            if not re.fullmatch(r"weft/\d+\n", file.read()):
                continue
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
        found += 1
    if found == 0:
        raise AssertionError("no thread of a shard")
    return total


@unittest.skipIf(is_sanitized(), "a sanitizer changes what things cost")
class IdleCpu(unittest.TestCase):
    def test_shard__peers_and_clients_idle__a_thousandth_of_a_cpu(self):
        ports = {address: harness.free_ports(2, (address,)) for address in ("127.0.7.1", "127.0.7.2")}
        nodes = []
        for own, other in (("127.0.7.1", "127.0.7.2"), ("127.0.7.2", "127.0.7.1")):
            node = harness.WeftNode(WEFT, lambda plain, tls, own=own, other=other: config(
                own, plain, tls, peer=(other, *ports[other])), address=own, ports=ports[own])
            self.addCleanup(node.close)
            nodes.append(node.start())
        for node in nodes:
            node.wait_log("peer up")
        clients = [twin_client.Client(nodes[0].plain) for _ in range(CLIENTS)]
        for client in clients:
            self.addCleanup(client.close)
            client.negotiate()
            self.assertEqual(client.echo(b"x"), b"x")
        before = [shard_cpu_ns(node.process.pid) for node in nodes]
        began = time.monotonic_ns()
        time.sleep(WATCH_S)  # nothing is waited for: this is what is measured
        passed = time.monotonic_ns() - began
        for node, was in zip(nodes, before):
            share = (shard_cpu_ns(node.process.pid) - was) / passed
            self.assertLess(share, IDLE_CPU_MOST)
            self.assertGreater(share, 0, "not even a heartbeat")
            print(f"idle: {share * 100:.4f} % of a CPU", file=sys.stderr)


@unittest.skipIf(not PRELOAD, "WEFT_ALLOC_COUNT does not name the shared object that counts")
@unittest.skipIf(is_sanitized(), "a sanitizer owns the allocator")
class IdleMemory(unittest.TestCase):
    def node(self, more, shards=1):
        node = CountedNode(WEFT, lambda plain, tls: config("127.0.0.1", plain, tls, more, shards=shards))
        self.addCleanup(node.close)
        node.start()
        self.served(node)  # it listens before its shard has all that it takes at the start
        return node

    def served(self, node):
        client = twin_client.Client(node.plain)
        self.addCleanup(client.close)
        client.negotiate()
        self.assertEqual(client.echo(b"x"), b"x")

    def test_connection__plain_and_idle__at_most_4_kib(self):
        few, many = (self.node(f"    connections_max: {count}\n") for count in (1000, 2000))
        each = (many.allocated()[1] - few.allocated()[1]) / 1000
        print(f"connection: {each:.0f} B", file=sys.stderr)
        self.assertLessEqual(each, CONNECTION_BYTES_MOST)
        self.assertGreater(each, 500, "the connections were not counted")
        before = many.allocated()
        for _ in range(CLIENTS):
            self.served(many)
        count, bytes_more = (after - was for after, was in zip(many.allocated(), before))
        self.assertEqual((count, bytes_more), (0, 0), "connections that come allocate")

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "a second shard needs a second CPU")
    def test_shard__with_the_least_memory__at_most_128_kib(self):
        touched = []
        for shards in (1, 2):
            node = self.node("    memory_per_shard: 128KiB\n    connections_max: 8\n", shards)
            for _ in range(8):  # by whatever source port: some on each shard
                with twin_client.Client(node.plain) as client:
                    client.negotiate()
                    self.assertEqual(client.echo(b"it works"), b"it works")
            with open(f"/proc/{node.process.pid}/smaps_rollup", encoding="ascii") as file:
                touched.append(int(re.search(r"Anonymous:\s+(\d+) kB", file.read()).group(1)))
        shard = (touched[1] - touched[0]) * KIB
        print(f"shard: {shard / KIB:.0f} KiB", file=sys.stderr)
        self.assertLessEqual(shard, SHARD_BYTES_MOST)
        self.assertGreater(shard, 16 * KIB, "the shard was not counted")


class TooSmall(unittest.TestCase):
    def test_memory__of_which_the_options_need_more__check_says_it_as_the_node_does(self):
        with tempfile.TemporaryDirectory(prefix="weft-idle-") as folder:
            path = os.path.join(folder, "weft.yaml")
            plain, tls = harness.free_ports(2)
            with open(path, "w", encoding="utf-8") as file:
                file.write(config("127.0.0.1", plain, tls, "    memory_per_shard: 128KiB\n    connections_max: 64\n"))
            texts = []
            for command in ("check", "node"):
                done = subprocess.run([WEFT, command, path], capture_output=True, text=True, timeout=20, check=False,
                                      env={**os.environ, "STATE_DIRECTORY": folder, "XDG_STATE_HOME": folder})
                self.assertNotEqual(done.returncode, 0, done)
                texts.append(re.search(r"too small, raise it or lower connections_max: .*", done.stdout + done.stderr))
        self.assertIsNotNone(texts[0])
        self.assertIn("connections 64 x 4096 B = 256.0 KiB", texts[0].group())
        self.assertEqual(texts[0].group(), texts[1].group())


if __name__ == "__main__":
    sys.argv.append("-v")
    unittest.main()
