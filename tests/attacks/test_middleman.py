# SPDX-License-Identifier: Apache-2.0
"""Goal: whatever somebody between two nodes does to a link that the policy encrypts, no call on it is ever readable,
and none is dialed in plaintext instead; and once he goes away, the link works.

Method: a node probes peers, each of which is reached through a middleman of its own, who resets, cuts, damages,
answers in plaintext or in old versions, leads to another port, or says nothing.  All of it is captured, and the
probes' marker is searched for in every direction of every connection.  The middleman himself sends the marker in
plaintext once: a capture in which that is not found is blind, and fails.
"""

import asyncio
import contextlib
import json
import os
import secrets
import socket
import struct
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import capture
import harness
import seastar_rpc as rpc
import wire_proof

WEFT = os.environ.get("WEFT", "weft")
CLUSTER = "between"
NETWORK = "127.33"
DIALER, ACCEPTOR, PROBER = f"{NETWORK}.0.1", f"{NETWORK}.0.2", f"{NETWORK}.0.3"
TRIES_MIN = 3


def record(kind, body, version=0x0303):
    return struct.pack(">BHH", kind, version, len(body)) + body


def old_server_hello(version):
    body = struct.pack(">H", version) + bytes(32) + b"\x00" + struct.pack(">HB", 0x002F, 0)
    return record(22, b"\x02" + len(body).to_bytes(3, "big") + body, version)


async def carry(reader, writer, change=lambda data, at: data, most=None):
    """Pass bytes on, changed, `most` of them at most."""
    at = 0
    while (most is None or at < most) and (data := await reader.read(65536)):
        data = data if most is None else data[:most - at]
        writer.write(change(data, at))
        await writer.drain()
        at += len(data)


class Way:
    """One middleman: what he does to each connection until he is good."""

    def __init__(self, name, act):
        self.name, self.act = name, act
        self.good = False
        self.connections = 0
        self.failures = []
        self.address = None
        self.upstream = None  # (TLS, plain) of the acceptor

    async def serve(self, reader, writer):
        self.connections += 1
        writers = [writer]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await (through if self.good else self.act)(self, reader, writer, writers)
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(repr(error))
        finally:
            for each in writers:
                each.transport.abort()

    async def dial(self, writers, port=0):
        reader, writer = await asyncio.open_connection(*self.upstream[port])
        writers.append(writer)
        return reader, writer


async def both_ways(one, other, **how):
    """Until one of the two directions has ended."""
    tasks = [asyncio.ensure_future(carry(one[0], other[1], **how)), asyncio.ensure_future(carry(other[0], one[1]))]
    _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def through(way, reader, writer, writers):
    await both_ways((reader, writer), await way.dial(writers))


def resets_after(out_bytes):
    async def act(way, reader, writer, writers):
        await both_ways((reader, writer), await way.dial(writers), most=out_bytes)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return act


def cuts_hello_at(bytes_kept):
    async def act(way, reader, writer, writers):
        far = await way.dial(writers)
        far[1].write((await reader.read(65536))[:bytes_kept])
        far[1].write_eof()
        await carry(far[0], writer)
        writer.write_eof()
    return act


def damages_at(place):
    async def act(way, reader, writer, writers):
        def change(data, at):
            if at <= place < at + len(data):
                data = bytearray(data)
                data[place - at] ^= 0x40
            return bytes(data)
        await both_ways((reader, writer), await way.dial(writers), change=change)
    return act


def answers(raw):
    async def act(_, reader, writer, writers):
        del writers
        await reader.read(65536)
        writer.write(raw)
        await writer.drain()
        writer.write_eof()
        await reader.read()
    return act


async def rolls_back(way, reader, writer, writers):
    """Takes TLS 1.3 out of the hello: its extension number becomes one that nobody knows."""
    far = await way.dial(writers)
    hello = await reader.read(65536)
    at = hello.find(b"\x00\x2b\x00")
    if at < 0:
        way.failures.append("no supported_versions in the hello")
    far[1].write(hello[:at] + b"\xfa\xce" + hello[at + 2:])
    await both_ways((reader, writer), far)


async def leads_to_plain_port(way, reader, writer, writers):
    await both_ways((reader, writer), await way.dial(writers, 1))


async def says_nothing(_, reader, writer, writers):
    del writer, writers
    await reader.read()


async def drops_server_flight(way, reader, writer, writers):
    """The hello arrives; what the server says to it never does."""
    far = await way.dial(writers)
    await carry(reader, far[1])


async def echoes(_, reader, writer, writers):
    del writers
    await carry(reader, writer)


WAYS = {
    "resets_at_once": resets_after(1),
    "resets_in_the_handshake": resets_after(300),
    "resets_after_the_handshake": resets_after(4000),
    "cuts_the_hello_in_its_head": cuts_hello_at(3),
    "cuts_the_hello": cuts_hello_at(100),
    "damages_the_hello": damages_at(60),
    "damages_a_record": damages_at(2500),
    "rolls_the_version_back": rolls_back,
    "answers_ssl_3": answers(old_server_hello(0x0300)),
    "answers_tls_1_0": answers(old_server_hello(0x0301)),
    "answers_tls_1_1": answers(old_server_hello(0x0302)),
    "says_plaintext_is_wanted": answers(rpc.negotiation([(rpc.REFUSAL, rpc.refusal("tls_on_plaintext_port"))])),
    "negotiates_in_plaintext": answers(rpc.negotiation(rpc.seastar_offer())),
    "answers_http": answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "alerts_no_cipher": answers(record(21, b"\x02\x28")),
    "alerts_unexpected": answers(record(21, b"\x02\x0a")),
    "alerts_no_renegotiation": answers(record(21, b"\x01\x64")),
    "ends_by_close_notify": answers(record(21, b"\x01\x00")),
    "leads_to_the_plain_port": leads_to_plain_port,
    "echoes": echoes,
    "says_nothing": says_nothing,
    "drops_the_server_s_flight": drops_server_flight,
}


class Middlemen:
    """All of them, on one thread; and a trap on the port where plaintext would go."""

    def __init__(self, tls_port, trap_port):
        self.ways = [Way(name, act) for name, act in WAYS.items()]
        self.trapped = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.ports = tls_port, trap_port
        self.listeners = []
        asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(20)

    async def _trap(self, reader, writer):
        self.trapped.append((writer.get_extra_info("sockname"), await reader.read(64)))
        writer.close()

    async def _listen(self):
        for i, way in enumerate(self.ways):
            way.address = f"{NETWORK}.1.{i + 1}"
            self.listeners.append(await asyncio.start_server(way.serve, way.address, self.ports[0]))
            self.listeners.append(await asyncio.start_server(self._trap, way.address, self.ports[1]))

    async def _stop(self):
        for listener in self.listeners:
            listener.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self):
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        self.loop.close()


def config(address, plain, tls, scope, certificate, ca, peers=()):
    return f"""\
cluster_name: {CLUSTER}
listen_address: {address}
storage_port: {plain}
ssl_storage_port: {tls}
server_encryption_options:
    internode_encryption: {scope}
    certificate: {certificate[0]}
    keyfile: {certificate[1]}
    truststore: {ca}
    require_client_auth: {"true" if scope == "all" else "false"}
weft:
    dc: dc1
    rack: r1
    shards: 1
    handshake_timeout: 1s
    nodes:{"" if peers else " []"}
""" + "".join(f"        - {{ address: {peer}, dc: dc2, rack: r1, storage_port: {plain_port}, "
              f"ssl_storage_port: {tls_port} }}\n" for peer, plain_port, tls_port in peers)


@unittest.skipIf(capture.why_not(), capture.why_not())
class Middleman(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.certificates = harness.WeftCertificates(WEFT, folder.name, CLUSTER)
        self.marker = secrets.token_bytes(16)
        self.status_path = os.path.join(folder.name, "status.json")

    def node(self, address, scope, listeners, peers=(), arguments=()):
        certificate = self.certificates.node(f"n{address}", address)
        node = harness.WeftNode(WEFT, lambda plain, tls: config(address, plain, tls, scope, certificate,
                                                                self.certificates.ca, peers),
                                listeners, address=address, arguments=arguments)
        self.addCleanup(node.close)
        return node.start()

    def probe_in_plaintext(self):
        """The marker, by the middleman himself: who does not find it sees nothing."""
        with socket.create_server((PROBER, 0)) as listener, socket.create_connection(listener.getsockname()) as out:
            accepted, _ = listener.accept()
            with accepted:
                out.sendall(rpc.MAGIC + self.marker)
                accepted.recv(100)
                return listener.getsockname()

    def answered(self):
        """Probes that were answered, by peer."""
        with contextlib.suppress(FileNotFoundError):
            with open(self.status_path, encoding="utf-8") as file:
                return {peer["address"]: peer["probes_answered"] for peer in json.load(file)["peers"]}
        return {}

    def assert_never_readable(self, data, dropped, probe, ports, sealed_min=2 * len(WAYS)):
        self.assertEqual(dropped, 0, "the capture lost packets: it proves nothing")
        connections, cut = wire_proof.connections_read(data, lambda end: end == probe or end[1] in ports)
        self.assertFalse(cut)
        readable, sealed = [], 0
        for connection in connections:
            for direction in connection.directions():
                if any(self.marker in piece for _, piece in direction.join()):
                    readable.append(connection.server)
                reading = wire_proof.direction_read(direction)
                sealed += reading.kind == "tls" and reading.records >= wire_proof.TLS_TRAFFIC_RECORDS_MIN
        self.assertIn(probe, readable, "blind: the plaintext probe is not in the capture")
        self.assertEqual(readable, [probe])
        self.assertGreaterEqual(sealed, sealed_min, "the calls went over connections that were not captured")

    def run_scope(self, scope):
        recording = capture.Capture(NETWORK)
        addresses = [f"{NETWORK}.1.{i + 1}" for i in range(len(WAYS))]
        tls_port, trap_port = harness.free_ports(2, addresses)
        middlemen = Middlemen(tls_port, trap_port)
        self.addCleanup(middlemen.close)
        acceptor = self.node(ACCEPTOR, "none", ("plain", "tls"))
        for way in middlemen.ways:
            way.upstream = acceptor.tls, acceptor.plain
        dialer = self.node(DIALER, scope, ("tls",), [(way.address, trap_port, tls_port) for way in middlemen.ways],
                           ["--probe", "20ms", "--probe-marker", self.marker.hex(), "--status", self.status_path])
        harness.wait_until(lambda: all(way.connections >= TRIES_MIN for way in middlemen.ways),
                           lambda: {way.name: way.connections for way in middlemen.ways}, 30)
        self.assertTrue(dialer.running() and acceptor.running())
        before = self.answered()
        for way in middlemen.ways:
            way.good = True
        harness.wait_until(lambda: all(count > before.get(address, 0) for address, count in self.answered().items())
                           and len(self.answered()) == len(WAYS),
                           lambda: f"not answered: {[a for a, n in self.answered().items() if n <= before.get(a, 0)]}",
                           40)
        self.assertEqual(middlemen.trapped, [], "dialed the plaintext port of a link that is encrypted")
        self.assertEqual([way.failures for way in middlemen.ways if way.failures], [])
        probe = self.probe_in_plaintext()
        data, dropped = recording.stop()
        self.assert_never_readable(data, dropped, probe, {tls_port, trap_port, acceptor.tls_port, acceptor.plain_port})

    def test_proof__of_a_capture_that_misses_the_probe_or_shows_more__fails(self):
        """The proof itself must be able to fail."""
        recording = capture.Capture(NETWORK)
        first, second = self.probe_in_plaintext(), self.probe_in_plaintext()
        data, dropped = recording.stop()
        self.assert_never_readable(data, dropped, first, set(), sealed_min=0)
        for faults in ((data[:24], dropped, first, set()), (data, dropped, (PROBER, 1), set()),
                       (data, 1, first, set()), (data, dropped, first, {second[1]})):
            with self.assertRaises(AssertionError):
                self.assert_never_readable(*faults, sealed_min=0)
        with self.assertRaises(AssertionError):
            self.assert_never_readable(data, dropped, first, set())

    def test_middleman__whatever_he_does__no_call_is_readable(self):
        self.run_scope("all")

    def test_middleman__between_datacenters_under_dc__no_call_is_readable(self):
        self.run_scope("dc")


if __name__ == "__main__":
    unittest.main()
