#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves from a packet capture which links between nodes were encrypted.

    wire_proof.py CAPTURE.pcap --topology TOPOLOGY.json --scope dc --marker HEX...

It shares no code with weft: it reads the capture itself, puts each direction of each TCP connection together by
sequence numbers, says what the bytes are, and compares that with a policy table of its own.  The topology is the
test's, not what any node believes:

    {"nodes": [{"name": "n1", "address": "127.0.1.1", "dc": "dc1", "rack": "r1", "port": 7000, "tls_port": 7001},
               {..., "intruder": true}]}          every connection from or to an intruder must have been refused

What a direction can be:
    tls       every byte is part of a TLS record, and it begins with a handshake
    clear     it begins with the magic of the RPC protocol
    refused   nothing, or nothing but one TLS alert, or one negotiation that carries a refusal
    other     anything else; a violation by itself
A connection is refused when one of its directions is, and the other holds no more than its negotiation.

Violations: a class that the policy does not allow for that pair and lane, the wrong port for the class, a marker
inside TLS, a clear connection of a lane with probes that has no marker, an ordered pair of nodes without a
connection that carried traffic, bytes between a node and a stranger, a record cut off by an orderly end.
What the capture missed (holes, drops, no beginning) is never a pass.

Exit: 0 all as the policy says, 1 violation, 2 usage, 3 inconclusive.  With --expect-violation TEXT: 0 if one that
contains the text was found, 1 if none was.
"""

import argparse
import collections
import dataclasses
import json
import struct
import sys

import seastar_rpc as rpc

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
TLS_RECORD_BYTES_MAX = 16640
TLS_ALERT, TLS_HANDSHAKE, TLS_DATA = 21, 22, 23
# Handshake messages travel in data records too under TLS 1.3 (at most certificate, verify, finished, each alone),
# so fewer than this many do not prove that anything was said.
TLS_TRAFFIC_RECORDS_MIN = 6

SUITES = {0x1301: "AES_128_GCM", 0x1302: "AES_256_GCM", 0x1303: "CHACHA20_POLY1305", 0xC02B: "ECDHE_ECDSA_AES_128_GCM",
          0xC02C: "ECDHE_ECDSA_AES_256_GCM", 0xC02F: "ECDHE_RSA_AES_128_GCM", 0xC030: "ECDHE_RSA_AES_256_GCM",
          0xCCA9: "ECDHE_ECDSA_CHACHA20", 0xCCA8: "ECDHE_RSA_CHACHA20"}
VERSIONS = {0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}

# What the policy says of a data lane, by how near the two nodes are.  The control lane is apart.
POLICY = {
    "none": {"same_rack": "clear", "other_rack": "clear", "other_dc": "clear"},
    "rack": {"same_rack": "clear", "other_rack": "tls", "other_dc": "tls"},
    "dc": {"same_rack": "clear", "other_rack": "clear", "other_dc": "tls"},
    "all": {"same_rack": "tls", "other_rack": "tls", "other_dc": "tls"},
    "transitional": {"same_rack": "tls", "other_rack": "tls", "other_dc": "tls"},
}


class CaptureError(Exception):
    """The file is not a capture that can be read."""


# --- the capture ------------------------------------------------------------------------------------------------


def packets(data):
    """(link type, frame, True if the capture cut it) of each packet.  A cut file ends with (None, b"", True)."""
    formats = {0xA1B2C3D4: "<", 0xA1B23C4D: "<", 0xD4C3B2A1: ">", 0x4D3CB2A1: ">"}
    if len(data) < 24 or (order := formats.get(struct.unpack_from("<I", data)[0])) is None:
        raise CaptureError("not a classic pcap file (tcpdump -w)")
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    if link not in (0, 1, 113):
        raise CaptureError(f"link type {link}; Ethernet (1), loopback (0) and cooked (113) are read")
    at = 24
    while at + 16 <= len(data):
        kept, full = struct.unpack_from(order + "II", data, at + 8)
        at += 16
        if at + kept > len(data):
            yield None, b"", True
            return
        yield link, data[at:at + kept], kept < full
        at += kept
    if at != len(data):
        yield None, b"", True


def tcp_segment(link, frame):
    """(source, destination, sequence, acknowledged, flags, payload), or None for anything but TCP over IPv4.
    Addresses are (text, port)."""
    if link == 1:
        if frame[12:14] != b"\x08\x00":
            return None
        at = 14
    elif link == 113:
        if frame[14:16] != b"\x08\x00":
            return None
        at = 16
    else:
        if frame[:4] not in (b"\x02\x00\x00\x00", b"\x00\x00\x00\x02"):
            return None
        at = 4
    if len(frame) < at + 20 or frame[at] >> 4 != 4 or frame[at + 9] != 6:
        return None
    if struct.unpack_from(">H", frame, at + 6)[0] & 0x3FFF:
        raise CaptureError("fragmented IP packets are not put together")
    # A segment larger than 64 KiB that the sender never cut up has no length.
    total = struct.unpack_from(">H", frame, at + 2)[0] or len(frame) - at
    tcp = at + (frame[at] & 15) * 4
    if len(frame) < tcp + 20:
        return None
    source_port, port, sequence, acknowledged = struct.unpack_from(">HHII", frame, tcp)
    payload = frame[tcp + (frame[tcp + 12] >> 4) * 4:at + total]
    source, destination = (".".join(map(str, frame[at + i:at + i + 4])) for i in (12, 16))
    return (source, source_port), (destination, port), sequence, acknowledged, frame[tcp + 13], payload


class Direction:
    """The bytes one side sent."""

    def __init__(self, first):
        self.first = first  # sequence number of the first byte
        self.segments = {}  # offset -> bytes, the longest seen
        self.near = 0  # largest offset so far, to unwrap sequence numbers
        self.acknowledged = 0  # offset that the other side said it has
        self.fin = None  # offset of the end
        self.reset = False
        self._joined = None

    def offset(self, sequence):
        delta = (sequence - self.first - self.near) & 0xFFFFFFFF
        return self.near + (delta - (1 << 32) if delta >> 31 else delta)

    def add(self, sequence, payload, flags):
        at = self.offset(sequence)
        if payload and at + len(payload) > 0:
            if at < 0:
                at, payload = 0, payload[-at:]
            if len(payload) > len(self.segments.get(at, b"")):
                self.segments[at] = payload
            self.near = max(self.near, at + len(payload))
        if flags & FIN:
            self.fin = at + len(payload)
        self.reset = self.reset or bool(flags & RST)

    def join(self):
        """The pieces without a gap inside, in order, as (offset, bytes)."""
        if self._joined is None:
            self._joined = []
            start = end = 0
            parts = []
            for at in sorted(self.segments):
                data = self.segments[at]
                if at > end:
                    if parts:
                        self._joined.append((start, b"".join(parts)))
                    start, end, parts = at, at, []
                if at + len(data) > end:
                    parts.append(data[end - at:])
                    end = at + len(data)
            if parts:
                self._joined.append((start, b"".join(parts)))
        return self._joined

    @property
    def data(self):
        """Everything up to the first gap."""
        pieces = self.join()
        return pieces[0][1] if pieces and pieces[0][0] == 0 else b""

    def hole(self):
        """What is missing, or None."""
        pieces = self.join()
        have = len(self.data)
        if len(pieces) > 1 or pieces and pieces[0][0] > 0:
            return f"bytes from {have} on are missing"
        if self.fin is not None and have < self.fin:
            return f"it ended at {self.fin}, {have} bytes were captured"
        # The acknowledgement of a FIN counts one more.
        if self.acknowledged > have + (1 if self.fin is not None else 0):
            return f"{self.acknowledged} bytes were received, {have} captured"
        return None


class Connection:
    """One TCP connection; client is who dialed."""

    def __init__(self, client, server, first):
        self.client, self.server = client, server
        self.out = Direction(first)  # what the client sent
        self.back = None  # what the server sent; known from its SYN on
        self.headless = False

    def directions(self):
        return [self.out] + ([self.back] if self.back else [])


def connections_read(data, is_node_port):
    """All connections to ports of nodes, and whether the file was cut off."""
    found, latest, cut = [], {}, False
    for link, frame, short in packets(data):
        if link is None:
            cut = True
            continue
        segment = tcp_segment(link, frame)
        if segment is None:
            continue
        source, destination, sequence, acknowledged, flags, payload = segment
        if not (is_node_port(source) or is_node_port(destination)):
            continue
        pair = frozenset((source, destination))
        connection = latest.get(pair)
        if flags & SYN and not flags & ACK:
            first = (sequence + 1) & 0xFFFFFFFF
            if connection is None or connection.client != source or connection.out.first != first:
                latest[pair] = connection = Connection(source, destination, first)
                found.append(connection)
        elif connection is None:
            # The beginning is not in the capture: who dialed is told by the port.
            client, server = (source, destination) if is_node_port(destination) else (destination, source)
            latest[pair] = connection = Connection(client, server, sequence if client == source else acknowledged)
            connection.back = Direction(acknowledged if client == source else sequence)
            connection.headless = not flags & RST or bool(payload)
            found.append(connection)
        if source == connection.server and connection.back is None:
            connection.back = Direction((sequence + bool(flags & SYN)) & 0xFFFFFFFF)
        mine, other = ((connection.out, connection.back) if source == connection.client
                       else (connection.back, connection.out))
        mine.add((sequence + bool(flags & SYN)) & 0xFFFFFFFF, payload, flags)
        if flags & ACK and other is not None and not flags & RST:
            other.acknowledged = max(other.acknowledged, other.offset(acknowledged))
    return found, cut


# --- what the bytes are -----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Reading:
    """What one direction turned out to be."""

    kind: str  # tls, clear, refused, other, empty is refused
    detail: str = ""
    records: int = 0  # TLS data records
    lane: str = None  # of a clear hello
    frames_end: int = None  # clear: where its negotiation ends
    fault: str = None  # a violation by itself


def tls_read(data, ended):
    """Read data as TLS records; None if it is not."""
    at, types, hello = 0, [], None
    while at + 5 <= len(data):
        kind, version, size = struct.unpack_from(">BHH", data, at)
        if not 20 <= kind <= 23 or version not in (0x0301, 0x0303) or size > TLS_RECORD_BYTES_MAX:
            return None
        if kind == TLS_HANDSHAKE and hello is None:
            hello = data[at + 5:at + 5 + size]
        if at + 5 + size > len(data):
            break
        types.append(kind)
        at += 5 + size
    rest = data[at:]
    if rest and not (20 <= rest[0] <= 23 and (len(rest) < 2 or rest[1] == 3)):
        return None
    if types and set(types) == {TLS_ALERT} and not rest:
        return Reading("refused", "alert")
    if not types or types[0] != TLS_HANDSHAKE:
        return None
    reading = Reading("tls", tls_hello_describe(hello), types.count(TLS_DATA))
    if rest and ended:
        reading.fault = "the last record is cut off by an orderly end"
    return reading


def tls_hello_describe(hello):
    """Version and suite that a ServerHello chose; empty for anything else."""
    try:
        if hello[0] != 2:
            return ""
        version = struct.unpack_from(">H", hello, 4)[0]
        at = 39 + hello[38]
        suite = struct.unpack_from(">H", hello, at)[0]
        at += 5
        while at + 4 <= len(hello):
            number, size = struct.unpack_from(">HH", hello, at)
            if number == 43 and size == 2:
                version = struct.unpack_from(">H", hello, at + 4)[0]
            at += 4 + size
        return f"{VERSIONS.get(version, hex(version))} {SUITES.get(suite, hex(suite))}"
    except (IndexError, struct.error):
        return ""


def clear_read(data, ended):
    """Read data that begins with the protocol's magic."""
    reading = Reading("clear")
    try:
        parsed = rpc.negotiation_parse(data)
        if parsed is None:
            reading.frames_end = len(data)
            reading.fault = "it ends inside the negotiation" if ended else None
            return reading
        records, reading.frames_end = parsed
        features = rpc.features_of(records)
        if rpc.REFUSAL in features and reading.frames_end == len(data):
            return Reading("refused", rpc.refusal_parse(features[rpc.REFUSAL]), frames_end=reading.frames_end)
        if rpc.HELLO in features:
            reading.lane = rpc.hello_parse(features[rpc.HELLO]).lane
    except rpc.ProtocolError as error:
        reading.fault = str(error)
        reading.frames_end = reading.frames_end or 0
    return reading


def direction_read(direction):
    if direction is None:
        return Reading("refused", "silence")
    data = direction.data
    ended = direction.fin is not None and not direction.reset
    if not data:
        return Reading("refused", "silence")
    if data.startswith(rpc.MAGIC):
        return clear_read(data, ended)
    return tls_read(data, ended) or Reading("other", f"begins with {data[:16].hex()}")


# --- what should be ---------------------------------------------------------------------------------------------


def nearness(own, peer):
    """Racks are compared within one datacenter only."""
    if own["dc"] != peer["dc"]:
        return "other_dc"
    return "same_rack" if own["rack"] == peer["rack"] else "other_rack"


def expected_class(scope, own, peer):
    """The class of the data lanes from own to peer."""
    return POLICY[scope][nearness(own, peer)]


def control_class(scope):
    """The class of the control lane, whoever the two are."""
    return "clear" if scope == "none" else "tls"


class Proof:
    """Judges connections one by one, then what is missing."""

    def __init__(self, nodes, scope, markers, records_min=TLS_TRAFFIC_RECORDS_MIN, say=print):
        self.by_address = {node["address"]: node for node in nodes}
        self.nodes, self.scope, self.markers, self.records_min, self.say = nodes, scope, markers, records_min, say
        self.violations, self.doubts = [], []
        self.carried = set()  # ordered pairs with proven traffic
        self.repelled = set()  # intruders of whom a connection was seen
        self.tally = collections.Counter()

    def is_node_port(self, end):
        node = self.by_address.get(end[0])
        return node is not None and end[1] in (node["port"], node["tls_port"])

    def markers_in(self, direction):
        return sum(piece.count(marker) for _, piece in direction.join() for marker in self.markers) if direction else 0

    def connection(self, connection):
        """Judge one connection and print a line for each of its directions."""
        faults, doubts = [], []
        ends = {"out": direction_read(connection.out), "back": direction_read(connection.back)}
        hits = {"out": self.markers_in(connection.out), "back": self.markers_in(connection.back)}
        for name, direction in (("out", connection.out), ("back", connection.back)):
            if direction and (missing := direction.hole()):
                doubts.append(f"{'dialer' if name == 'out' else 'acceptor'}: {missing}")
        if connection.headless:
            doubts.append("its beginning was not captured")
        kind = self._kind(connection, ends)
        expected = self._judge(connection, kind, ends, hits, faults, bool(doubts))
        self._say(connection, kind, expected, ends, hits, faults, doubts)
        where = f"{connection.client[0]}:{connection.client[1]} > {connection.server[0]}:{connection.server[1]}"
        self.violations += [f"{where}: {fault}" for fault in faults]
        self.doubts += [f"{where}: {doubt}" for doubt in doubts]
        self.tally[kind] += 1

    @staticmethod
    def _kind(connection, ends):
        """The class of a connection from those of its directions."""
        out, back = ends["out"], ends["back"]
        kinds = {out.kind, back.kind}
        if kinds == {"refused"}:
            return "refused"
        if "other" in kinds:
            return "other"
        if "refused" in kinds:
            said, direction = (back, connection.back) if out.kind == "refused" else (out, connection.out)
            if said.kind == "clear":
                return "refused" if said.frames_end == len(direction.data) else "clear"
            return "tls" if said.records else "refused"
        return kinds.pop() if len(kinds) == 1 else "other"

    def _judge(self, connection, kind, ends, hits, faults, doubtful):
        """Fill faults; give the classes that would have been right, as text."""
        own, peer = self.by_address.get(connection.client[0]), self.by_address.get(connection.server[0])
        lane = ends["out"].lane or "normal"
        if kind == "tls" and (hits["out"] or hits["back"]):
            faults.append(f"{hits['out'] + hits['back']} markers readable inside TLS")
        if doubtful:
            return "?"
        faults += [reading.fault for reading in ends.values() if reading.fault and kind != "refused"]
        if own is None or peer is None or own is peer:
            if kind != "refused":
                faults.append("bytes between a node and " + ("itself" if own is peer else "a stranger"))
            return "refused"
        if own.get("intruder") or peer.get("intruder"):
            if kind != "refused":
                faults.append(f"{kind}, but an intruder must be refused")
            if hits["out"] or hits["back"]:
                faults.append("markers on a connection with an intruder")
            self.repelled.update(end["address"] for end in (own, peer) if end.get("intruder"))
            return "refused"
        data_class = expected_class(self.scope, own, peer)
        allowed = {data_class, control_class(self.scope)} if kind != "clear" else \
            {control_class(self.scope) if lane == "control" else data_class}
        if kind == "refused":
            if hits["out"] or hits["back"]:
                faults.append("markers on a refused connection")
            return "/".join(sorted(allowed))
        if kind not in allowed:
            faults.append(f"{kind}, but {self.scope} says {'/'.join(sorted(allowed))} for {nearness(own, peer)}, "
                          f"lane {lane}")
        if kind != "other" and connection.server[1] != peer["tls_port" if kind == "tls" else "port"]:
            faults.append(f"{kind} on port {connection.server[1]}")
        if kind == "clear" and lane != "control":
            if not hits["out"] or not hits["back"]:
                faults.append("a clear connection without a marker "
                              + ("either way" if not hits["out"] and not hits["back"] else "one way"))
        if not faults and kind == data_class:
            if kind == "clear" and lane != "control" or \
                    kind == "tls" and min(ends["out"].records, ends["back"].records) >= self.records_min:
                self.carried.add((own["address"], peer["address"]))
        return "/".join(sorted(allowed))

    def _name(self, address):
        node = self.by_address.get(address)
        return f"{node['name']}({node['dc']}/{node['rack']})" if node else "stranger"

    def _say(self, connection, kind, expected, ends, hits, faults, doubts):
        verdict = "VIOLATION" if faults else "INCONCLUSIVE" if doubts else "ok"
        for name, source, destination, direction in (
                ("out", connection.client, connection.server, connection.out),
                ("back", connection.server, connection.client, connection.back)):
            reading = ends[name]
            facts = [f"{len(direction.data) if direction else 0} bytes", f"{hits[name]} markers"]
            if reading.records:
                facts.append(f"{reading.records} data records")
            if reading.lane:
                facts.append(f"lane {reading.lane}")
            if reading.detail:
                facts.append(reading.detail)
            self.say(f"{source[0]}:{source[1]} > {destination[0]}:{destination[1]} {self._name(source[0])} "
                     f"{'->' if name == 'out' else '<-'} {self._name(destination[0])} {reading.kind} of {kind} "
                     f"(expected {expected}): {', '.join(facts)}: {verdict}")
        for text in faults + doubts:
            self.say(f"    {text}")

    def missing(self):
        """Every ordered pair of nodes must have carried traffic, and every intruder must have tried."""
        for node in self.nodes:
            if node.get("intruder") and node["address"] not in self.repelled:
                self.violations.append(f"{node['name']}: the intruder was never seen")
        for own in self.nodes:
            for peer in self.nodes:
                if own is peer or own.get("intruder") or peer.get("intruder"):
                    continue
                if (own["address"], peer["address"]) not in self.carried:
                    self.violations.append(f"{own['name']} -> {peer['name']}: no connection carried the traffic that "
                                           f"{self.scope} says is {expected_class(self.scope, own, peer)}")

    def result(self):
        """0, 1 or 3.  What was seen outweighs what was missed, but a pair may be missing only because packets are."""
        if self.violations:
            return 1
        if self.doubts:
            return 3
        self.missing()
        return 1 if self.violations else 0


def prove(data, nodes, scope, markers, dropped=0, records_min=TLS_TRAFFIC_RECORDS_MIN, say=print):
    """The whole proof over the bytes of a capture file; gives the Proof and the exit code."""
    proof = Proof(nodes, scope, markers, records_min, say)
    connections, cut = connections_read(data, proof.is_node_port)
    for connection in connections:
        proof.connection(connection)
    if cut:
        proof.doubts.append("the capture file is cut off")
    if dropped:
        proof.doubts.append(f"the kernel dropped {dropped} packets")
    return proof, proof.result()


def topology_read(path):
    with open(path, encoding="utf-8") as file:
        nodes = json.load(file)["nodes"]
    for node in nodes:
        for key, kind in (("name", str), ("address", str), ("dc", str), ("rack", str), ("port", int),
                          ("tls_port", int)):
            if not isinstance(node[key], kind):
                raise ValueError(f"{key} of {node.get('name')} is no {kind.__name__}")
    if len({node["address"] for node in nodes}) != len(nodes):
        raise ValueError("two nodes have one address")
    if sum(not node.get("intruder") for node in nodes) < 2:
        raise ValueError("fewer than two nodes: there is nothing to prove")
    return nodes


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Prove from a capture which links were encrypted.",
                                     epilog="exit: 0 as the policy says, 1 violation, 2 usage, 3 inconclusive")
    parser.add_argument("capture", help="classic pcap file, as tcpdump -w writes it")
    parser.add_argument("--topology", required=True, help="JSON file of the nodes")
    parser.add_argument("--scope", required=True, choices=sorted(POLICY))
    parser.add_argument("--marker", action="append", required=True, help="hex of bytes that every probe carries")
    parser.add_argument("--dropped", type=int, default=0, help="packets that the capture lost, as tcpdump says")
    parser.add_argument("--records-min", type=int, default=TLS_TRAFFIC_RECORDS_MIN,
                        help="TLS data records each way that count as traffic (default %(default)s)")
    parser.add_argument("--expect-violation", nargs="?", const="", metavar="TEXT",
                        help="turn the verdict round, as a self-test: a violation that contains TEXT must be found")
    parser.add_argument("--quiet", action="store_true", help="print only what is wrong and the verdict")
    options = parser.parse_args(arguments)
    lines = []
    try:
        markers = [bytes.fromhex(marker) for marker in options.marker]
        if any(len(marker) < 8 for marker in markers):
            parser.error("a marker under 8 bytes could appear by chance")
        nodes = topology_read(options.topology)
        with open(options.capture, "rb") as file:
            data = file.read()
        proof, code = prove(data, nodes, options.scope, markers, options.dropped, options.records_min, lines.append)
    except (OSError, ValueError, KeyError, TypeError, CaptureError) as error:
        print(f"wire_proof: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if not options.quiet:
        print("\n".join(lines))
    for violation in proof.violations:
        print(f"violation: {violation}")
    for doubt in proof.doubts:
        print(f"inconclusive: {doubt}")
    tally = ", ".join(f"{count} {kind}" for kind, count in sorted(proof.tally.items())) or "none"
    print(f"connections: {tally}; pairs with traffic: {len(proof.carried)}")
    print(f"verdict: {({0: 'as the policy says', 1: 'VIOLATION', 3: 'INCONCLUSIVE'})[code]}")
    if options.expect_violation is not None and code != 3:
        return 0 if any(options.expect_violation in violation for violation in proof.violations) else 1
    return code


if __name__ == "__main__":
    sys.exit(main())
