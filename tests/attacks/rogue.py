# SPDX-License-Identifier: Apache-2.0
"""Acceptors that misbehave, each in one way, for a node that dials them.

Every Rogue listens on an address of its own and plays one script until .good is set; from then on it serves ECHO like
anybody.  A script says what the negotiation is answered with and what each request is; both are raw bytes.
"""

import asyncio
import contextlib
import threading

import seastar_rpc as rpc


class Script:
    """A good acceptor; what misbehaves overrides one of these."""

    def answer(self, features):
        """Raw bytes for the negotiation; None: close without an answer."""
        accepted = [(number, b"" if number != rpc.ISOLATION else features[number])
                    for number in (rpc.TIMEOUT, rpc.ISOLATION, rpc.HANDLER_DURATION) if number in features]
        return rpc.negotiation(accepted)

    def reply(self, request, handler_us):
        """Raw bytes for a request; None: close."""
        return rpc.response(request.msg_id, request.payload, handler_us)


class Rogue:
    """One acceptor; its numbers may be read from any thread."""

    def __init__(self, address, script):
        self.address, self.script = address, script
        self.good = False
        self.connections = self.requests = self.open = 0

    async def serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, OSError,
                                     rpc.ProtocolError):
                await self._converse(reader, writer)
        finally:
            self.open -= 1
            writer.transport.abort()

    def _script(self):
        return Script() if self.good else self.script

    async def _converse(self, reader, writer):
        head = await reader.readexactly(12)
        body = await reader.readexactly(int.from_bytes(head[8:], "little"))
        features = rpc.features_of(rpc.records_parse(body))
        answer = self._script().answer(features)
        if answer is None:
            return
        writer.write(answer)
        head_bytes = 28 if rpc.TIMEOUT in features else 20
        while True:
            head = await reader.readexactly(head_bytes)
            payload = await reader.readexactly(int.from_bytes(head[-4:], "little"))
            request, _ = rpc.request_parse(head + payload, rpc.TIMEOUT in features)
            self.requests += 1
            reply = self._script().reply(request, 0 if rpc.HANDLER_DURATION in features else None)
            if reply is None:
                return
            writer.write(reply)
            await writer.drain()


class Rogues:
    """Rogues on one port and a thread, from entering to leaving the context."""

    def __init__(self, port, scripts, network="127.27.0"):
        self.port = port
        self.rogues = {name: Rogue(f"{network}.{i + 1}", script) for i, (name, script) in enumerate(scripts.items())}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rogues", daemon=True)
        self._listeners = []

    async def _listen(self):
        for rogue in self.rogues.values():
            self._listeners.append(await asyncio.start_server(rogue.serve, rogue.address, self.port))

    async def _stop(self):
        for listener in self._listeners:
            listener.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def __enter__(self):
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
