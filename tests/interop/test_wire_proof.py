# SPDX-License-Identifier: Apache-2.0
"""The wire proof must find what it exists to find.

Goal: no capture of a link that is not as the policy says may pass, nor one that shows nothing.
Method: captures are written packet by packet with the fault planted, and each is judged whole; one good capture,
from which every bad one differs by its fault alone, must pass.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import seastar_rpc as rpc
import wire_proof

MARKER = bytes.fromhex("d00dfeed00112233445566778899aabb")
PORT, TLS_PORT = 7000, 7001


def nodes(*extra):
    names = [("n1", "127.0.1.1", "dc1", "r1"), ("n2", "127.0.1.2", "dc1", "r2"), ("n3", "127.0.1.3", "dc2", "r1")]
    return [dict(name=name, address=address, dc=dc, rack=rack, port=PORT, tls_port=TLS_PORT)
            for name, address, dc, rack in names] + list(extra)


INTRUDER = dict(name="n9", address="127.0.1.9", dc="dc2", rack="r1", port=PORT, tls_port=TLS_PORT, intruder=True)


def tls_record(kind, body):
    return struct.pack(">BHH", kind, 0x0303, len(body)) + body


def server_hello():
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x13\x02" + b"\x00" + b"\x00\x06" + b"\x00\x2b\x00\x02\x03\x04"
    return tls_record(22, b"\x02" + len(body).to_bytes(3, "big") + body)


def tls_bytes(records=8, hello=None, body=bytes(range(64))):
    return (hello or tls_record(22, b"\x01" + bytes(80))) + tls_record(20, b"\x01") + tls_record(23, body) * records


def clear_bytes(lane="normal", marker=MARKER, probes=5):
    head = rpc.negotiation([(rpc.TIMEOUT, b""), (rpc.HELLO, rpc.hello(rpc.Hello(lane=lane)))])
    return head + b"".join(rpc.request(rpc.VERB_ECHO, i + 1, b"ab" + marker + b"c", 0) for i in range(probes))


class Capture:
    """A pcap file in memory."""

    def __init__(self, link=1, order="<"):
        self.link, self.order = link, order
        self.packets = []
        self.next_port = 40000

    def packet(self, source, destination, sequence, acknowledged, flags, payload=b""):
        tcp = struct.pack(">HHIIBBHHH", source[1], destination[1], sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF,
                          5 << 4, flags, 65535, 0, 0) + payload
        octets = [bytes(map(int, end[0].split("."))) for end in (source, destination)]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + b"".join(octets)
        frame = {1: bytes(12) + b"\x08\x00", 113: bytes(14) + b"\x08\x00", 0: b"\x02\x00\x00\x00"}[self.link]
        self.packets.append(frame + ip + tcp)

    def connect(self, client, server_port_end, out, back, piece=50, lose=None, first=1000, handshake=True,
                end=None, twice=None, again=None, reverse=False):
        """One whole connection; piece is the segment size, lose the index of an out segment that is not captured,
        twice one that is sent again (its first `again` bytes), reverse captures them in the wrong order."""
        ends = (client, self.next_port), server_port_end
        self.next_port += 1
        seqs = [first, 5000]
        if handshake:
            self.packet(ends[0], ends[1], seqs[0] - 1, 0, wire_proof.SYN)
            self.packet(ends[1], ends[0], seqs[1] - 1, seqs[0], wire_proof.SYN | wire_proof.ACK)
        for side, data in ((0, out), (1, back)):
            pieces = [(seqs[side] + at, data[at:at + piece]) for at in range(0, len(data), piece)]
            if side == 0 and lose is not None:
                del pieces[lose]
            if side == 0 and twice is not None:
                sequence, payload = pieces[twice]
                pieces.insert(twice + 1, (sequence, payload[:again]))
            for sequence, payload in reversed(pieces) if reverse else pieces:
                self.packet(ends[side], ends[1 - side], sequence, seqs[1 - side], wire_proof.ACK, payload)
            seqs[side] += len(data)
            self.packet(ends[1 - side], ends[side], seqs[1 - side], seqs[side], wire_proof.ACK)
        if end is not None:
            self.packet(ends[0], ends[1], seqs[0], seqs[1], end | wire_proof.ACK)

    def bytes(self):
        data = struct.pack(self.order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, self.link)
        for frame in self.packets:
            data += struct.pack(self.order + "IIII", 0, 0, len(frame), len(frame)) + frame
        return data


def mesh(skip=(), **how):
    """What scope dc looks like when all is right; skip leaves out ordered pairs."""
    capture = Capture(**how)
    for own in nodes():
        for peer in nodes():
            if own is peer or own["address"] == peer["address"] or (own["name"], peer["name"]) in skip:
                continue
            if own["dc"] == peer["dc"]:
                capture.connect(own["address"], (peer["address"], PORT), clear_bytes(), clear_bytes())
            capture.connect(own["address"], (peer["address"], TLS_PORT), tls_bytes(), tls_bytes(hello=server_hello()))
    return capture


class WireProof(unittest.TestCase):
    def judge(self, capture, scope="dc", topology=None, **how):
        self.lines = []
        data = capture if isinstance(capture, bytes) else capture.bytes()
        proof, code = wire_proof.prove(data, topology or nodes(), scope, [MARKER], say=self.lines.append, **how)
        self.faults = proof.violations + proof.doubts
        return code

    def assert_found(self, capture, text, code=1, **how):
        self.assertEqual(self.judge(capture, **how), code, self.faults)
        self.assertTrue(any(text in fault for fault in self.faults), (text, self.faults))

    def test_mesh__as_the_policy_says__passes(self):
        self.assertEqual(self.judge(mesh()), 0, self.faults)
        self.assertTrue(any("TLSv1.3 AES_256_GCM" in line for line in self.lines), self.lines)
        self.assertTrue(any("5 markers" in line and "clear of clear" in line for line in self.lines))
        self.assertEqual(len(self.lines), 2 * (6 + 2))

    def test_mesh__every_link_type_and_byte_order__passes(self):
        for how in (dict(link=0), dict(link=113), dict(order=">"), dict(link=113, order=">")):
            with self.subTest(**how):
                self.assertEqual(self.judge(mesh(**how)), 0, self.faults)

    def test_mesh__other_scopes__judged_by_their_own_table(self):
        for scope in ("rack", "all", "transitional", "none"):
            with self.subTest(scope=scope):
                self.assertEqual(self.judge(mesh(), scope), 1)

    def test_policy__every_scope_and_nearness__as_written_down(self):
        n1, n2, n3 = nodes()
        same = dict(n1, name="n4", address="127.0.1.4")
        expected = {"none": "ccc", "rack": "ctt", "dc": "cct", "all": "ttt", "transitional": "ttt"}
        for scope, letters in expected.items():
            got = "".join(wire_proof.expected_class(scope, n1, peer)[0] for peer in (same, n2, n3))
            self.assertEqual(got, letters, scope)

    def test_link__plain_between_datacenters__found(self):
        capture = mesh(skip=[("n1", "n3")])
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), clear_bytes(), clear_bytes())
        self.assert_found(capture, "clear, but dc says tls")

    def test_link__plain_beside_a_good_one__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), clear_bytes(), clear_bytes())
        self.assert_found(capture, "clear, but dc says tls")

    def test_link__encrypted_only_where_plain_is_due__found(self):
        capture = mesh(skip=[("n1", "n2")])
        capture.connect("127.0.1.1", ("127.0.1.2", TLS_PORT), tls_bytes(), tls_bytes(hello=server_hello()))
        self.assert_found(capture, "n1 -> n2: no connection carried")

    def test_pair__without_any_connection__found(self):
        self.assert_found(mesh(skip=[("n3", "n2")]), "n3 -> n2: no connection carried")

    def test_capture__without_packets__found(self):
        self.assert_found(Capture(), "no connection carried")

    def test_pair__with_a_handshake_and_no_traffic__found(self):
        capture = mesh(skip=[("n3", "n2")])
        capture.connect("127.0.1.3", ("127.0.1.2", TLS_PORT), tls_bytes(3), tls_bytes(3, hello=server_hello()))
        self.assert_found(capture, "n3 -> n2: no connection carried")

    def test_marker__inside_tls__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.3", TLS_PORT), tls_bytes(body=b"xx" + MARKER), tls_bytes())
        self.assert_found(capture, "markers readable inside TLS")

    def test_marker__across_segment_borders__found(self):
        for piece in (1, 7, 16, 33):
            with self.subTest(piece=piece):
                capture = mesh()
                capture.connect("127.0.1.1", ("127.0.1.3", TLS_PORT), tls_bytes(1, body=b"x" * 9 + MARKER), tls_bytes(),
                                piece=piece)
                self.assert_found(capture, "1 markers readable inside TLS")

    def test_marker__inside_tls_of_a_capture_with_holes__still_a_violation(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.3", TLS_PORT), tls_bytes(20, body=b"xx" + MARKER), tls_bytes(), lose=-1)
        self.assert_found(capture, "markers readable inside TLS")

    def test_clear__without_a_marker__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.2", PORT), clear_bytes(marker=b"no"), clear_bytes(marker=b"no"))
        self.assert_found(capture, "without a marker either way")

    def test_clear__marker_one_way_only__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.2", PORT), clear_bytes(), clear_bytes(marker=b"no"))
        self.assert_found(capture, "without a marker one way")

    def test_control_lane__plain_under_dc__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.2", PORT), clear_bytes("control"), clear_bytes("control"))
        self.assert_found(capture, "lane control")

    def test_control_lane__plain_under_none__needs_no_marker(self):
        capture = Capture()
        for own in nodes():
            for peer in nodes():
                if own["address"] != peer["address"]:
                    capture.connect(own["address"], (peer["address"], PORT), clear_bytes(), clear_bytes())
                    capture.connect(own["address"], (peer["address"], PORT), clear_bytes("control", b"no"),
                                    clear_bytes("control", b"no"))
        self.assertEqual(self.judge(capture, "none"), 0, self.faults)

    def test_class__on_the_port_of_the_other__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.2", TLS_PORT), clear_bytes(), clear_bytes())
        self.assert_found(capture, "clear on port 7001")
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), tls_bytes(), tls_bytes())
        self.assert_found(capture, "tls on port 7000")

    def test_bytes__neither_tls_nor_clear__found(self):
        for noise in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), tls_bytes()[:20] + b"\xff" * 200,
                      tls_bytes() + b"\x17\x03\x03\xff\xff" + bytes(9), tls_record(23, bytes(30))):
            with self.subTest(noise=noise[:8]):
                capture = mesh()
                capture.connect("127.0.1.1", ("127.0.1.3", TLS_PORT), noise, tls_bytes())
                self.assert_found(capture, "other, but dc says tls")

    def test_tls_record__cut_off_by_fin__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.3", TLS_PORT), tls_bytes()[:-5], tls_bytes(), end=wire_proof.FIN)
        self.assert_found(capture, "cut off by an orderly end")
        for end in (None, wire_proof.RST):
            capture = mesh()
            capture.connect("127.0.1.1", ("127.0.1.3", TLS_PORT), tls_bytes()[:-5], tls_bytes(), end=end)
            self.assertEqual(self.judge(capture), 0, self.faults)

    def test_stranger__with_bytes__found(self):
        capture = mesh()
        capture.connect("127.0.1.77", ("127.0.1.3", PORT), clear_bytes(), clear_bytes())
        self.assert_found(capture, "stranger")

    def test_refused__at_connect_by_refusal_or_by_alert__passes(self):
        capture = mesh()
        hello = clear_bytes(probes=0)
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), b"", b"", end=wire_proof.RST)
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), hello, b"", end=wire_proof.FIN)
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), hello,
                        rpc.negotiation([(rpc.REFUSAL, rpc.refusal("plaintext_forbidden"))]))
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), tls_record(22, bytes(90)), tls_record(21, b"\x02\x28"))
        self.assertEqual(self.judge(capture), 0, self.faults)
        self.assertTrue(any("refused of refused" in line and "plaintext_forbidden" in line for line in self.lines))

    def test_refused__after_calls_were_sent__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), clear_bytes(),
                        rpc.negotiation([(rpc.REFUSAL, rpc.refusal("plaintext_forbidden"))]))
        self.assert_found(capture, "clear, but dc says tls")

    def test_refused__and_then_spoken_to__found(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.3", PORT), clear_bytes(probes=0),
                        rpc.negotiation([(rpc.REFUSAL, rpc.refusal("draining"))]) + b"more")
        self.assert_found(capture, "clear, but dc says tls")

    def test_intruder__refused__passes(self):
        capture = mesh()
        capture.connect(INTRUDER["address"], ("127.0.1.1", PORT), clear_bytes(probes=0),
                        rpc.negotiation([(rpc.REFUSAL, rpc.refusal("plaintext_forbidden"))]))
        self.assertEqual(self.judge(capture, topology=nodes(INTRUDER)), 0, self.faults)

    def test_intruder__never_seen__found(self):
        self.assert_found(mesh(), "n9: the intruder was never seen", topology=nodes(INTRUDER))

    def test_intruder__admitted__found(self):
        capture = mesh()
        capture.connect(INTRUDER["address"], ("127.0.1.1", PORT), clear_bytes(), clear_bytes())
        self.assert_found(capture, "an intruder must be refused", topology=nodes(INTRUDER))

    def test_hole__in_the_middle_at_the_end_or_the_beginning__inconclusive(self):
        for lose in (0, 3, -1):
            with self.subTest(lose=lose):
                capture = mesh(skip=[("n1", "n2")])
                capture.connect("127.0.1.1", ("127.0.1.2", PORT), clear_bytes(), clear_bytes(), lose=lose)
                self.assert_found(capture, "dialer: ", code=3)

    def test_connection__whose_beginning_is_missing__inconclusive(self):
        capture = mesh()
        capture.connect("127.0.1.1", ("127.0.1.3", TLS_PORT), tls_bytes(), tls_bytes(), handshake=False)
        self.assert_found(capture, "beginning was not captured", code=3)

    def test_capture__cut_off_or_with_drops__inconclusive(self):
        self.assert_found(mesh().bytes()[:-7], "cut off", code=3)
        self.assert_found(mesh(), "dropped 2 packets", code=3, dropped=2)

    def test_segments__repeated_reordered_or_wrapping__put_together(self):
        for how in (dict(twice=2), dict(twice=2, again=5), dict(reverse=True), dict(first=(1 << 32) - 60),
                    dict(first=1 << 31)):
            with self.subTest(**how):
                capture = mesh(skip=[("n1", "n2")])
                capture.connect("127.0.1.1", ("127.0.1.2", PORT), clear_bytes(), clear_bytes(), **how)
                self.assertEqual(self.judge(capture), 0, self.faults)

    def test_port__used_again__two_connections(self):
        capture = mesh()
        for first in (1000, 900000):
            capture.next_port = 50001
            capture.connect("127.0.1.1", ("127.0.1.2", PORT), clear_bytes(), clear_bytes(), first=first,
                            end=wire_proof.RST)
        self.assertEqual(self.judge(capture), 0, self.faults)
        self.assertEqual(sum("127.0.1.1:50001 > " in line for line in self.lines), 2)

    def test_other_traffic__ignored(self):
        capture = mesh()
        capture.connect("127.0.0.1", ("127.0.0.1", 22), b"SSH-2.0", b"SSH-2.0")
        capture.packets.append(bytes(12) + b"\x86\xdd" + bytes(60))
        capture.packets.append(bytes(6))
        self.assertEqual(self.judge(capture), 0, self.faults)


class CommandLine(unittest.TestCase):
    """Exit codes of the program, as script/demo relies on them."""

    def run_on(self, data, *arguments, topology=None):
        with tempfile.TemporaryDirectory() as folder:
            capture, table = os.path.join(folder, "c.pcap"), os.path.join(folder, "t.json")
            with open(capture, "wb") as file:
                file.write(data)
            with open(table, "w", encoding="utf-8") as file:
                json.dump({"nodes": nodes()} if topology is None else topology, file)
            return subprocess.run([sys.executable, wire_proof.__file__, capture, "--topology", table, "--scope", "dc",
                                   "--marker", MARKER.hex(), *arguments], capture_output=True, text=True, timeout=60)

    def test_exit_codes__each_verdict(self):
        plain = mesh()
        plain.connect("127.0.1.1", ("127.0.1.3", PORT), clear_bytes(), clear_bytes())
        cases = [(mesh().bytes(), (), 0), (plain.bytes(), (), 1), (mesh().bytes()[:-3], (), 3),
                 (mesh().bytes(), ("--expect-violation",), 1), (plain.bytes(), ("--expect-violation",), 0),
                 (plain.bytes(), ("--expect-violation", "clear, but dc says tls"), 0),
                 (Capture().bytes(), ("--expect-violation", "clear, but dc says tls"), 1),
                 (mesh().bytes()[:-3], ("--expect-violation",), 3), (mesh().bytes(), ("--dropped", "1"), 3),
                 (b"not a capture", (), 2), (mesh().bytes(), ("--marker", "00"), 2),
                 (mesh().bytes(), ("--marker", "zz"), 2)]
        for data, arguments, code in cases:
            with self.subTest(arguments=arguments, code=code):
                done = self.run_on(data, *arguments)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertNotIn("Traceback", done.stderr)

    def test_topology__unusable__usage(self):
        for topology in ({}, {"nodes": []}, {"nodes": nodes()[:1]}, {"nodes": nodes() + nodes()[:1]},
                         {"nodes": [{"name": "n1"}]}, []):
            with self.subTest(topology=topology):
                done = self.run_on(mesh().bytes(), topology=topology)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
