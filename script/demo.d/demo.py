#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration behind script/demo: real nodes, real certificates, and the proof from the wire.

Two datacenters of two racks with one node each, on loopback.  For scope dc and then scope rack: start the nodes,
wait until every pair has exchanged probes, print which links are encrypted and why, and have wire_proof.py judge
the captured packets by a policy table of its own.  Then what must not work: a plaintext attempt from the other
datacenter, and a link made plain on purpose, which the proof must find.  At the end, what encryption costs.

Whatever is not as the policy says ends it with exit code 1.  All processes are ended by SIGTERM and must exit 0.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INTEROP = os.path.join(ROOT, "tests", "interop")
sys.path.insert(0, INTEROP)

import harness
import wire_proof

CLUSTER = "weft demo"
PROBES_MIN = 8
WAIT_S = 20.0


class Failed(Exception):
    """Something is not as it should be; the text is for the person who watches."""


class Interrupted(Exception):
    """A signal asked us to end."""


def say(text=""):
    print(text, flush=True)


def colour(text, code):
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() else text


def good(text):
    say(f"  {colour('ok', '32')}  {text}")


def title(text):
    say(f"\n{colour('== ' + text, '1')}")


def table(head, rows):
    """Print rows under a head, each column as wide as its widest cell."""
    lines = [list(map(str, row)) for row in [head, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        say("    " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def wait(condition, what, seconds=WAIT_S):
    try:
        return harness.wait_until(condition, what, seconds)
    except AssertionError as error:
        raise Failed(str(error)) from None


class Node:
    """One node: where it is, its files, and its process while it runs."""

    def __init__(self, demo, name, address, dc, rack):
        self.demo, self.name, self.address, self.dc, self.rack = demo, name, address, dc, rack
        self.id = str(uuid.uuid4())
        self.marker = secrets.token_bytes(16)
        self.process = None

    def path(self, kind):
        return os.path.join(self.demo.folder, f"{self.name}.{kind}")

    def write_config(self, scope, peers):
        """A scylla.yaml with weft's block, as an operator would write it."""
        encryption = [f"internode_encryption: {scope}"]
        if scope != "none":
            encryption += [f"certificate: {self.path('crt')}", f"keyfile: {self.path('key')}",
                           f"truststore: {os.path.join(self.demo.folder, 'ca.crt')}", "require_client_auth: true"]
        lines = [f"cluster_name: '{CLUSTER}'", f"listen_address: {self.address}",
                 f"storage_port: {self.demo.port}", f"ssl_storage_port: {self.demo.tls_port}", "",
                 "server_encryption_options:", *(f"    {line}" for line in encryption), "",
                 "weft:", f"    dc: {self.dc}", f"    rack: {self.rack}", f"    node_id: {self.id}", "    shards: 1",
                 "    nodes:"]
        lines += [f"        - {{ address: {peer.address}, dc: {peer.dc}, rack: {peer.rack}, id: {peer.id} }}"
                  for peer in peers if peer is not self]
        with open(self.path("yaml"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def start(self):
        for kind in ("json", "log"):
            if os.path.exists(self.path(kind)):
                os.remove(self.path(kind))
        with open(self.path("log"), "wb") as log:
            self.process = subprocess.Popen(
                [self.demo.weft, "node", self.path("yaml"), "--probe", "200ms", "--probe-marker", self.marker.hex(),
                 "--status", self.path("json")], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "STATE_DIRECTORY": self.path("state")})

    def log(self):
        with open(self.path("log"), encoding="utf-8", errors="backslashreplace") as file:
            return file.read()

    def log_line(self, pattern):
        """The log's line that holds the pattern, or None."""
        self.check_runs()
        found = re.search(f"^.*{pattern}.*$", self.log(), re.MULTILINE)
        return found and found.group(0)

    def check_runs(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with exit code {self.process.returncode}:\n{self.log()[-3000:]}")

    def wait_log(self, pattern):
        return wait(lambda: self.log_line(pattern), lambda: f"{self.name} logs {pattern!r}:\n{self.log()[-3000:]}")

    def status(self):
        try:
            with open(self.path("json"), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def link_to(self, peer):
        """The outgoing link of the normal lane, as the node's status has it."""
        for link in self.status().get("links", []):
            if link["direction"] == "out" and link["lane"] == "normal" and link["up"] \
                    and link["peer"].rpartition(":")[0] == peer.address:
                return link
        return None

    def waits_for(self, peers):
        """The first peer with too few probes, as text; None when all are served."""
        self.check_runs()
        known = {peer["address"]: peer for peer in self.status().get("peers", [])}
        for peer in peers:
            if peer is not self:
                state = known.get(peer.address, {})
                if not state.get("up") or state.get("probes_answered", 0) < PROBES_MIN or not self.link_to(peer):
                    return f"{self.name} -> {peer.name}: {state or 'unknown'}"
        return None


class Capture:
    """tcpdump on loopback, from before the nodes start until before they end."""

    def __init__(self, demo, name):
        self.path = os.path.join(demo.folder, f"{name}.pcap")
        self.errors = os.path.join(demo.folder, f"{name}.tcpdump")
        self.process = None
        self.why_not = None
        program = shutil.which("tcpdump", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if program is None:
            self.why_not = "tcpdump is not installed"
            return
        low, high = sorted((demo.port, demo.tls_port))
        span = f"tcp portrange {low}-{high}" if high - low == 1 else f"tcp and (port {low} or port {high})"
        # Written through our own descriptor: tcpdump gives up its rights before it would open a file.
        with open(self.path, "wb") as file, open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([program, "-i", "lo", "-n", "-s", "0", "-B", "65536", "-U", "-w", "-",
                                             span], stdin=subprocess.DEVNULL, stdout=file, stderr=errors)
        demo.processes.append(self.process)
        wait(lambda: "listening on" in self.said() or self.process.poll() is not None, "tcpdump starts")
        if self.process.poll() is not None:
            self.why_not = (self.said().strip().splitlines() or ["tcpdump ended"])[-1]

    def said(self):
        with open(self.errors, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """End the capture; give how many packets it lost."""
        # Blocks are handed over once a second or when full: what was sent until now has arrived when more has.
        size = os.path.getsize(self.path)
        wait(lambda: os.path.getsize(self.path) > size, "the capture goes on")
        self.process.terminate()
        self.process.wait(WAIT_S)
        dropped = re.search(r"(\d+) packets? dropped by kernel", self.said())
        if not dropped:
            raise Failed(f"tcpdump does not say what it lost: {self.said()}")
        return int(dropped.group(1))


class Demo:
    def __init__(self, weft, folder, verbose):
        self.weft, self.folder, self.verbose = weft, folder, verbose
        self.processes = []
        self.running = []
        places = (("n1", "dc1", "r1"), ("n2", "dc1", "r2"), ("n3", "dc2", "r1"), ("n4", "dc2", "r2"),
                  ("n5", "dc2", "r3"))
        everyone = [Node(self, name, f"127.0.1.{i}", dc, rack) for i, (name, dc, rack) in enumerate(places, 1)]
        self.nodes, self.intruder = everyone[:4], everyone[4]
        addresses = [node.address for node in everyone]
        if all(harness.port_is_free(address, port) for address in addresses for port in (7000, 7001)):
            self.port, self.tls_port = 7000, 7001
        else:
            self.port, self.tls_port = harness.free_ports(2, addresses)

    # Processes.

    def program(self, *arguments):
        done = subprocess.run([self.weft, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
        if done.returncode != 0:
            raise Failed(f"weft {' '.join(arguments)}: exit code {done.returncode}:\n{done.stderr}")
        return done.stdout

    def start(self, nodes, listeners):
        for node in nodes:
            node.start()
            self.running.append(node)
            self.processes.append(node.process)
        for node in nodes:
            for kind in listeners:
                port = self.port if kind == "plain" else self.tls_port
                node.wait_log(rf"listening {kind} {re.escape(node.address)}:{port}\b")

    def stop(self):
        """SIGTERM to all at once; each must drain and exit 0."""
        for node in self.running:
            node.process.terminate()
        for node in self.running:
            try:
                code = node.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                raise Failed(f"{node.name} did not end by SIGTERM:\n{node.log()[-3000:]}") from None
            if code != 0:
                raise Failed(f"{node.name} ended with exit code {code}:\n{node.log()[-3000:]}")
        good(f"{len(self.running)} nodes ended by SIGTERM, all with exit code 0")
        self.running = []

    def end_everything(self):
        """Whatever still runs after a failure."""
        left = [process for process in self.processes if process.poll() is None]
        for process in left:
            process.terminate()
        end = time.monotonic() + 10
        for process in left:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # The steps.

    def certificates(self):
        title("a certificate authority and four node certificates (weft certs)")
        self.program("certs", "ca", "--cluster", CLUSTER, "--out", self.folder)
        for node in self.nodes:
            self.program("certs", "node", node.name, "--ca", self.folder, "--cluster", CLUSTER, "--dc", node.dc,
                         "--rack", node.rack, "--id", node.id, "--address", node.address, "--out", self.folder)
        good("made ca.crt and " + ", ".join(f"{node.name}.crt" for node in self.nodes))

    def scope(self, scope, with_intruder):
        title(f"internode_encryption: {scope}")
        for node in self.nodes:
            # Only the other datacenter knows the intruder: to its own it would be an honest neighbour.
            knows_it = with_intruder and node.dc != self.intruder.dc
            node.write_config(scope, self.nodes + ([self.intruder] if knows_it else []))
        if scope == "dc":
            say(f"  the configuration of {self.nodes[0].name}:\n")
            with open(self.nodes[0].path("yaml"), encoding="utf-8") as file:
                say("".join(f"    {line}" if line.strip() else "\n" for line in file))
        capture = Capture(self, f"scope-{scope}")
        self.start(self.nodes, ("plain", "tls"))
        self.wait_probes(self.nodes)
        good(f"every node exchanged {PROBES_MIN} or more probes with each of the others")
        self.matrix(scope)
        if with_intruder:
            self.attempt(self.intruder, self.nodes[0])
        self.proof(capture, scope, self.nodes, [self.intruder] if with_intruder else [])
        self.stop()

    def wait_probes(self, nodes):
        missing = ["nothing was asked yet"]

        def served():
            missing[0] = next((text for node in nodes if (text := node.waits_for(nodes))), None)
            return missing[0] is None

        wait(served, lambda: f"{missing[0]}\n" + "".join(f"-- {n.name}\n{n.log()[-1500:]}" for n in nodes))

    def matrix(self, scope):
        """Print what the nodes say of their links, and hold it against the test's own table."""
        say(f"  who dials whom how (row: from, column: to; {self.nodes[0].status().get('backend', '?')}):\n")
        rows, wrong = [], []
        for own in self.nodes:
            row = [f"{own.name} {own.dc}/{own.rack}"]
            for peer in self.nodes:
                if peer is own:
                    row.append("-")
                    continue
                link = own.link_to(peer)
                if link is None:
                    raise Failed(f"the link {own.name} -> {peer.name} went away:\n{own.log()[-3000:]}")
                if link["encrypted"]:
                    row.append(f"{link['tls_version']} {link['tls_cipher'].removeprefix('TLS_')} ({link['reason']})")
                else:
                    row.append(f"plain ({link['reason']})")
                expected = wire_proof.expected_class(scope, vars(own), vars(peer))
                if link["encrypted"] != (expected == "tls"):
                    wrong.append(f"{own.name} -> {peer.name}: {row[-1]}, {scope} says {expected}")
            rows.append(row)
        table(["", *(f"{node.name} {node.dc}/{node.rack}" for node in self.nodes)], rows)
        say()
        if wrong:
            raise Failed("\n".join(wrong))
        good("each link is as the policy says, by the nodes' own account")

    def proof(self, capture, scope, nodes, intruders, expect_violation=None):
        """Judge the capture by wire_proof.py; without one, the nodes' counters are all there is."""
        if capture.why_not:
            say(f"  {colour('--', '33')}  packets cannot be captured here ({capture.why_not}); "
                "the nodes' own counters:\n")
            self.counters(scope, nodes)
            return
        dropped = capture.stop()
        topology = os.path.join(self.folder, "topology.json")
        with open(topology, "w", encoding="utf-8") as file:
            json.dump({"nodes": [dict(name=node.name, address=node.address, dc=node.dc, rack=node.rack, port=self.port,
                                      tls_port=self.tls_port, intruder=node in intruders)
                                 for node in nodes + intruders]}, file)
        markers = [text for node in nodes + intruders for text in ("--marker", node.marker.hex())]
        done = subprocess.run([sys.executable, "-B", os.path.join(INTEROP, "wire_proof.py"), capture.path, "--topology",
                               topology, "--scope", scope, "--dropped", str(dropped), *markers,
                               *(["--expect-violation", expect_violation] if expect_violation else [])],
                              capture_output=True, text=True, timeout=60)
        report = done.stdout.splitlines()
        tail = next((i for i, line in enumerate(report) if re.match("violation:|inconclusive:|connections:", line)), 0)
        for line in report if self.verbose else report[tail:]:
            say(f"    {line}")
        if done.returncode != 0:
            bad = [line for line in report[:tail] if not line.endswith(": ok")]
            raise Failed("\n".join([f"wire_proof.py, exit code {done.returncode}", *bad[:50], done.stderr]))

    def counters(self, scope, nodes):
        """Print what each node counted as sent plain and encrypted."""
        rows, wrong = [], []
        for node in nodes:
            counters = node.status()["counters"]
            plain, tls = counters["plain_bytes_sent"], counters["tls_bytes_sent"]
            rows.append([node.name, plain, tls])
            expected = {wire_proof.expected_class(scope, vars(node), vars(peer)) for peer in nodes if peer is not node}
            if "tls" in expected and not tls or "clear" in expected and not plain:
                wrong.append(f"{node.name}: nothing sent on a kind of link that {scope} has")
            if expected == {"tls"} and plain:
                wrong.append(f"{node.name}: {plain} bytes went out in plaintext under {scope}")
        table(["node", "bytes sent plain", "bytes sent by TLS"], rows)
        if wrong:
            raise Failed("\n".join(wrong))

    def attempt(self, intruder, target):
        """A node of the other datacenter that believes in plaintext."""
        say(f"\n  a node at {intruder.address}, which {target.dc} knows as one of {intruder.dc}, dials {target.name} "
            "in plaintext:\n")
        intruder.write_config("none", [target])
        self.start([intruder], ("plain",))
        there = target.wait_log(rf"refused in from {re.escape(intruder.address)}:\d+ lane \w+: plaintext_forbidden")
        here = intruder.wait_log(rf"refused out to {re.escape(target.address)}:{self.port} lane \w+: "
                                 "plaintext_forbidden")
        say(f"    {target.name} logs: {there}\n    {intruder.name} logs: {here}\n")
        wait(lambda: harness.refusals(target.status(), "plaintext_forbidden"),
             f"{target.name} counts the refusal")
        if any(link["up"] and link["peer"].rpartition(":")[0] == intruder.address
               for node in self.nodes for link in node.status().get("links", [])):
            raise Failed(f"somebody has a link with {intruder.name}")
        good("refused, with the reason on both ends and in the counters; nobody fell back to plaintext")

    def planted(self):
        title("can the proof see at all? a link between the datacenters, made plain on purpose")
        pair = [self.nodes[0], self.nodes[2]]
        for node in pair:
            node.write_config("none", pair)
        capture = Capture(self, "planted")
        self.start(pair, ("plain",))
        self.wait_probes(pair)
        if capture.why_not:
            say(f"  {colour('--', '33')}  nothing to look at: {capture.why_not}")
        else:
            self.proof(capture, "dc", pair, [], expect_violation="clear, but dc says tls")
            good("the proof found it")
        self.stop()

    def cost(self):
        title("what each kind of link costs here (weft bench rpc, 1 s each)")
        rows = []
        for security in ("plain", "tls"):
            for depth in (1, 128):
                report = json.loads(self.program("bench", "rpc", "--local", "--seconds", "1", "--security", security,
                                                 "--in-flight", str(depth), "--json"))
                rate, latency = report.get("rate_per_s"), report.get("latency_ns") or {}
                p50, p99 = latency.get("p50"), latency.get("p99")
                if not rate or not p50 or not p99:
                    raise Failed(f"the report of weft bench lacks the rate or the latency: {report}")
                rows.append([security, depth, f"{rate:,.0f}", f"{p50 / 1000:,.1f}", f"{p99 / 1000:,.1f}"])
        table(["link", "calls in flight", "calls/s", "p50 us", "p99 us"], rows)

    def run(self):
        began = time.monotonic()
        say(f"two datacenters of two racks, one node each, on 127.0.1.1 to 127.0.1.4, ports {self.port} (plain) and "
            f"{self.tls_port} (TLS)")
        self.certificates()
        self.scope("dc", with_intruder=True)
        self.scope("rack", with_intruder=False)
        self.planted()
        self.cost()
        say(f"\n{colour('everything is as the policy says', '1;32')} ({time.monotonic() - began:.0f} s)")


def interrupted(number, _):
    signal.signal(number, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def main():
    parser = argparse.ArgumentParser(prog="script/demo", description="Four real nodes, encrypted by policy, proven.")
    parser.add_argument("--weft", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--folder", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--verbose", action="store_true", help="print the proof's line for every flow")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    demo = Demo(options.weft, options.folder, options.verbose)
    try:
        demo.run()
        return 0
    except Failed as error:
        say(f"\n{colour('NOT as it should be', '1;31')}: {error}")
        return 1
    except Interrupted as error:
        say(f"\nended by {error}")
        return 1
    finally:
        demo.end_everything()


if __name__ == "__main__":
    sys.exit(main())
