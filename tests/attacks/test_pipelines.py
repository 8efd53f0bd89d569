# SPDX-License-Identifier: Apache-2.0
"""Goal: who only asks much, and takes its answers, loses nothing by how many others do.

Method: two hundred clients keep their connections full of small calls, so that each of them has more waiting than a
turn of the node may take, and all together more than a node has memory to put aside.  Every answer is counted: none
is missing, no connection ends, and the good client has its turn among them.
"""

import selectors
import socket
import sys
import time
import unittest

from target import CLUSTER, AttackCase, Target, rpc

CLIENTS = 200
SECONDS = 3
CALLS = 2000  # in one piece of what is sent
PIECE = b"".join(rpc.request(rpc.VERB_ECHO, i + 1, b"x" * 8, timeout_ms=0) for i in range(CALLS))


class Pipeline:
    """A client that sends as much as the node takes, and counts what it is answered."""

    def __init__(self, client):
        client.negotiate(rpc.seastar_offer(extra=[(rpc.HELLO, rpc.hello(rpc.Hello(cluster=CLUSTER)))]))
        self.sock = client.sock
        self.sock.setblocking(False)
        self.unsent = memoryview(b"")
        self.bytes = 0
        self.sent = 0
        self.received = 0

    def send(self):
        if not self.unsent:
            self.unsent = memoryview(PIECE)
            self.sent += CALLS
        self.unsent = self.unsent[self.sock.send(self.unsent):]

    def receive(self):
        piece = self.sock.recv(1 << 20)
        assert piece, "the node closed the connection"
        self.received += len(piece)


class Pipelines(AttackCase):
    growth = 256 << 20  # the arena is there to be used

    @classmethod
    def setUpClass(cls):
        cls.target = Target()
        cls.addClassCleanup(cls.target.close)
        template = rpc.response(1, b"x" * 8, handler_us=0)
        cls.answer_bytes = len(template)

    def drive(self, pipelines, until, sending):
        selector = selectors.DefaultSelector()
        for pipeline in pipelines:
            selector.register(pipeline.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if sending else 0), pipeline)
        while not until():
            for key, events in selector.select(0.1):
                if events & selectors.EVENT_READ:
                    key.data.receive()
                if events & selectors.EVENT_WRITE:
                    key.data.send()
        selector.close()

    def finish(self, pipelines):
        """Send the rest of the pieces that were begun, and take all answers."""
        for pipeline in pipelines:
            while pipeline.unsent:
                try:
                    pipeline.unsent = pipeline.unsent[pipeline.sock.send(pipeline.unsent):]
                except BlockingIOError:
                    self.drive(pipelines, lambda: True, False)
                    try:
                        pipeline.receive()
                    except BlockingIOError:
                        time.sleep(0.001)
        self.drive(pipelines, lambda: all(p.received >= p.sent * self.answer_bytes for p in pipelines), False)

    def test_many_full_pipelines__every_call_answered_no_connection_lost(self):
        pipelines = [Pipeline(self.dial()) for _ in range(CLIENTS)]
        end = time.monotonic() + SECONDS
        self.drive(pipelines, lambda: time.monotonic() > end, True)
        self.finish(pipelines)
        for pipeline in pipelines:
            self.assertEqual(pipeline.received, pipeline.sent * self.answer_bytes)
            pipeline.sock.close()
        self.assert_over({})


if __name__ == "__main__":
    sys.exit(unittest.main())
