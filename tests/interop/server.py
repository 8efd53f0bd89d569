#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plain Seastar-style server: no hello, no weft verbs, the standard verbs 1 to 8.

A weft node can dial it as a configured peer.  Happy path: negotiate, then run every request concurrently and
answer in the order in which the handlers end.  Like Seastar it drops replies after the client's half-close,
drops what has expired, and does not answer a payload that is too short.  Misbehaviour is chosen by .mode, which
may be changed while it runs: "serve", "garbage" (answers the negotiation with noise), "silent", "close".

    server.py --listen 127.0.0.2:0 [--cert F --key F [--ca F]]     prints `listening 127.0.0.2:PORT`
"""

import argparse
import asyncio
import collections
import random
import signal
import ssl
import struct
import sys
import threading
import time

import seastar_rpc as rpc

MODES = ("serve", "garbage", "silent", "close")
FRAME_BYTES_MAX = 64 << 20


class Short(Exception):
    """The payload is too short for the handler."""


class UserError(Exception):
    """What FAIL throws."""


def number(payload, form):
    size = struct.calcsize(form)
    if len(payload) < size:
        raise Short
    return struct.unpack_from(form, payload)[0]


class Server:
    """Runs on a thread of its own from start() to stop(); counters may be read from anywhere."""

    def __init__(self, host="127.0.0.1", port=0, tls=None, mode="serve", connection_id=None):
        self.host, self.port, self.tls, self.mode = host, port, tls, mode
        self.connection_id = connection_id
        self.connections = 0
        self.open_connections = 0
        self.calls = collections.Counter()
        self.offers = []  # features of each negotiation that was read whole
        self.attempts = []  # (monotonic seconds, lane or None) of each connection, once its lane is known
        self.payloads = collections.deque(maxlen=64)  # of ECHO
        self.sink_calls = self.sink_bytes = 0
        self._loop = self._ended = self._thread = None

    def start(self):
        ready = threading.Event()
        failure = []

        async def life():
            self._loop = asyncio.get_running_loop()
            self._ended = asyncio.Event()
            listener = await asyncio.start_server(self._connection, self.host, self.port, ssl=self.tls,
                                                  reuse_address=True)
            self.port = listener.sockets[0].getsockname()[1]
            ready.set()
            await self._ended.wait()
            listener.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            # One more turn, in which the transports that were just closed let go of their sockets.
            await asyncio.sleep(0)

        def run():
            try:
                asyncio.run(life())
            except OSError as error:
                failure.append(error)
                ready.set()

        self._thread = threading.Thread(target=run, name="twin", daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise TimeoutError("the server twin does not start")
        if failure:
            raise failure[0]
        return self

    def stop(self):
        """Close the listener and every connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(10)
        if self._thread.is_alive():
            raise TimeoutError("the server twin does not stop")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    async def _connection(self, reader, writer):
        self.connections += 1
        self.open_connections += 1
        running = set()
        try:
            await self._serve(reader, writer, running)
        except (rpc.ProtocolError, asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
            pass  # any of these ends the connection without an answer, as Seastar does, and so does stop()
        finally:
            for task in running:
                task.cancel()
            self.open_connections -= 1
            # Nothing that was queued may leave after the end: half-close loses replies.
            writer.transport.abort() if self.tls is None else writer.close()

    async def _negotiate(self, reader, writer):
        began = time.monotonic()
        head = await reader.readexactly(12)
        rpc.negotiation_parse(head[:8])
        body = await reader.readexactly(struct.unpack_from("<I", head, 8)[0])
        features = rpc.features_of(rpc.records_parse(body))
        self.offers.append(features)
        lane = rpc.hello_parse(features[rpc.HELLO]).lane if rpc.HELLO in features else None
        self.attempts.append((began, lane))
        if self.mode == "close" or rpc.STREAM_PARENT in features:
            raise rpc.ProtocolError("closed without an answer")
        if self.mode == "garbage":
            writer.write(random.Random(len(self.attempts)).randbytes(64))
            await writer.drain()
            writer.write_eof() if writer.can_write_eof() else None
            await reader.read()
            raise rpc.ProtocolError("answered with garbage")
        if self.mode == "silent":
            await reader.read()
            raise rpc.ProtocolError("stayed silent")
        answer = [(number, features[number]) for number in (rpc.TIMEOUT, rpc.ISOLATION, rpc.HANDLER_DURATION)
                  if number in features]
        answer = [(number, data if number == rpc.ISOLATION else b"") for number, data in answer]
        if self.connection_id is not None:
            answer.append((rpc.CONNECTION_ID, struct.pack("<Q", self.connection_id)))
        writer.write(rpc.negotiation(sorted(answer)))
        return features

    async def _serve(self, reader, writer, running):
        features = await self._negotiate(reader, writer)
        timeout, duration = rpc.TIMEOUT in features, rpc.HANDLER_DURATION in features
        head_bytes = 28 if timeout else 20
        while True:
            head = await reader.readexactly(head_bytes)
            size = struct.unpack_from("<I", head, head_bytes - 4)[0]
            if size > FRAME_BYTES_MAX:
                raise rpc.ProtocolError(f"a frame of {size} bytes")
            request, _ = rpc.request_parse(head + await reader.readexactly(size), timeout)
            task = self._loop.create_task(self._run(writer, request, duration))
            running.add(task)
            task.add_done_callback(running.discard)
            await writer.drain()

    async def _run(self, writer, request, duration):
        began = time.monotonic()
        self.calls[request.verb] += 1
        msg_id, handler_us = request.msg_id, None
        try:
            handler = self._HANDLERS.get(request.verb)
            if handler is None:
                payload = rpc.exception(rpc.EXCEPTION_UNKNOWN_VERB, struct.pack("<Q", request.verb))
                msg_id, handler_us = -msg_id, rpc.NOT_MEASURED
            else:
                payload = await handler(self, request.payload)
        except Short:
            return
        except UserError as error:
            payload = rpc.exception(rpc.EXCEPTION_USER, error.args[0])
            msg_id = -msg_id
        taken = time.monotonic() - began
        if payload is None or (request.timeout_ms and taken * 1000 >= request.timeout_ms):
            return
        if handler_us is None:
            handler_us = min(int(taken * 1e6), rpc.NOT_MEASURED - 1)
        writer.write(rpc.response(msg_id, payload, handler_us if duration else None))

    async def _hello(self, _):
        return b""

    async def _echo(self, payload):
        self.payloads.append(payload)
        return payload

    async def _write(self, payload):
        return struct.pack("<Q", len(payload))

    async def _sink(self, payload):
        self.sink_calls += 1
        self.sink_bytes += len(payload)

    async def _count(self, _):
        return struct.pack("<QQ", self.sink_calls, self.sink_bytes)

    async def _source(self, payload):
        size = number(payload, "<I")
        if size > FRAME_BYTES_MAX:
            raise UserError(b"too many bytes asked for")
        return bytes(size)

    async def _sleep(self, payload):
        await asyncio.sleep(number(payload, "<Q") / 1e6)
        return b""

    async def _fail(self, payload):
        raise UserError(payload)

    _HANDLERS = {rpc.VERB_HELLO: _hello, rpc.VERB_ECHO: _echo, rpc.VERB_WRITE: _write, rpc.VERB_SINK: _sink,
                 rpc.VERB_COUNT: _count, rpc.VERB_SOURCE: _source, rpc.VERB_SLEEP: _sleep, rpc.VERB_FAIL: _fail}


def tls_context(cert, key, ca=None):
    """A server context; with ca it demands a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def main():
    parser = argparse.ArgumentParser(description="Serve verbs 1 to 8 as a plain Seastar server would.")
    parser.add_argument("--listen", default="127.0.0.1:0", help="host:port; port 0 takes a free one")
    parser.add_argument("--cert", help="PEM; makes it TLS")
    parser.add_argument("--key", help="PEM key of --cert")
    parser.add_argument("--ca", help="PEM; demands client certificates")
    parser.add_argument("--mode", choices=MODES, default="serve")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    tls = tls_context(options.cert, options.key, options.ca) if options.cert else None
    # Blocked before any thread starts, so that sigwait below is the one place that sees them.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    with Server(host, int(port), tls, options.mode) as server:
        print(f"listening {server.host}:{server.port}", flush=True)
        signal.sigwait((signal.SIGTERM, signal.SIGINT))
        print(f"connections {server.connections} calls {sum(server.calls.values())}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
