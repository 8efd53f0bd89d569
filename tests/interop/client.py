#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Seastar-style client: over TCP or TLS, pipelining, in any fragmentation.

As a class it is what the interop tests drive; as a program it calls one verb:

    client.py 127.0.0.1:7000 echo "hello"
    client.py 127.0.0.1:7001 --ca ca.crt --cert me.crt --key me.key --repeat 100 echo x
"""

import argparse
import random
import socket
import ssl
import struct
import sys
import time

import seastar_rpc as rpc

DEADLINE_S = 10.0


class Closed(Exception):
    """The connection ended; .data holds what had arrived and was not a whole frame."""

    def __init__(self, data, reset):
        super().__init__(f"closed{' by reset' if reset else ''} with {len(data)} bytes unread: {bytes(data[:64])!r}")
        self.data = bytes(data)
        self.reset = reset


class CallFailed(Exception):
    """The server answered with an exception."""

    def __init__(self, remote):
        super().__init__(f"type {remote.type:#x}: {remote.data!r}")
        self.remote = remote


def fragments(data, how):
    """Cut data: None = whole, a number = pieces of that size, a Random = pieces of 1..64 bytes drawn from it."""
    if how is None:
        yield data
        return
    at = 0
    while at < len(data):
        size = how.randint(1, 64) if isinstance(how, random.Random) else how
        yield data[at:at + size]
        at += size


def tls_context(ca=None, cert=None, key=None):
    """A client context that verifies against ca; the name is not checked, as between nodes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context


class Client:
    """One connection.  Every wait ends at a deadline, with TimeoutError."""

    def __init__(self, address, source=None, tls=None, fragment=None, deadline_s=DEADLINE_S, source_port=0):
        self.deadline_s = deadline_s
        self.fragment = fragment
        self.sock = socket.create_connection(address, timeout=deadline_s,
                                             source_address=source and (source, source_port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            try:
                self.sock = tls.wrap_socket(self.sock)
            except BaseException:
                self.sock.close()
                raise
        self.buffer = bytearray()
        self.features = {}
        self.offered = {}
        self.next_id = 1
        self.held = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # Bytes.

    def send(self, data):
        for piece in fragments(data, self.fragment):
            self.sock.sendall(piece)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def _more(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing whole within {self.deadline_s} s; have {bytes(self.buffer[:64])!r}")
        self.sock.settimeout(left)
        try:
            piece = self.sock.recv(1 << 18)
        except ConnectionResetError:
            raise Closed(self.buffer, True) from None
        except ssl.SSLError as error:
            if isinstance(error, ssl.SSLWantReadError):
                return
            raise
        finally:
            self.sock.settimeout(self.deadline_s)
        if not piece:
            raise Closed(self.buffer, False)
        self.buffer += piece

    def take(self, parse):
        """Wait until parse(everything unread) gives (value, bytes used); give the value."""
        end = time.monotonic() + self.deadline_s
        while (found := parse(self.buffer)) is None:
            self._more(end)
        value, used = found
        del self.buffer[:used]
        return value

    def read_to_end(self):
        """Everything until the other side closes."""
        end = time.monotonic() + self.deadline_s
        try:
            while True:
                self._more(end)
        except Closed as closed:
            self.buffer.clear()
            return closed.data

    # Protocol.

    def offer(self, records=None):
        """Send the negotiation and do not wait."""
        records = rpc.seastar_offer() if records is None else records
        self.offered = rpc.features_of(records)
        self.send(rpc.negotiation(records))

    def answer(self):
        """Wait for the server's negotiation; it decides the headers from here on."""
        records = self.take(rpc.negotiation_parse)
        self.features = rpc.features_of(records)
        return records

    def negotiate(self, records=None):
        self.offer(records)
        return self.answer()

    def frame(self, verb, payload=b"", timeout_ms=0, msg_id=None, length=None, timeout_field=None):
        """A request frame under the negotiated headers and its id."""
        if msg_id is None:
            msg_id = self.next_id
            self.next_id += 1
        if timeout_field is None:
            timeout_field = rpc.TIMEOUT in self.features
        return rpc.request(verb, msg_id, payload, timeout_ms if timeout_field else None, length), msg_id

    def start(self, verb, payload=b"", timeout_ms=0):
        """Send a request, give its id."""
        frame, msg_id = self.frame(verb, payload, timeout_ms)
        self.send(frame)
        return msg_id

    def receive(self):
        """The next response, whichever it is."""
        duration = rpc.HANDLER_DURATION in self.features
        return self.take(lambda data: rpc.response_parse(data, duration))

    def finish(self, msg_id):
        """The response of one call; others that come first are kept for their own finish."""
        while msg_id not in self.held:
            response = self.receive()
            if abs(response.msg_id) in self.held:
                raise rpc.ProtocolError(f"a second response for id {abs(response.msg_id)}")
            self.held[abs(response.msg_id)] = response
        return self.held.pop(msg_id)

    def call(self, verb, payload=b"", timeout_ms=0):
        """Start, finish, give the payload; an exception raises CallFailed."""
        response = self.finish(self.start(verb, payload, timeout_ms))
        if response.failed:
            raise CallFailed(rpc.exception_parse(response.payload))
        return response.payload

    # The standard verbs.

    def echo(self, payload):
        return self.call(rpc.VERB_ECHO, payload)

    def count(self):
        """(calls, bytes) that SINK saw."""
        return struct.unpack("<QQ", self.call(rpc.VERB_COUNT))


def payload_of(verb, text):
    """What the command line's text means to a verb."""
    if verb == rpc.VERB_SOURCE:
        return struct.pack("<I", int(text or "0"))
    if verb in (rpc.VERB_SLEEP, rpc.VERB_PING):
        return struct.pack("<Q", int(text or "0"))
    return text.encode()


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Call a verb of a Seastar RPC server.")
    parser.add_argument("address", help="host:port")
    parser.add_argument("verb", help=f"a number, or one of {', '.join(rpc.VERB_NAMES)}")
    parser.add_argument("payload", nargs="?", default="",
                        help="text; a number for source, sleep (microseconds) and ping")
    parser.add_argument("--source", help="address to dial from")
    parser.add_argument("--ca", help="PEM; makes it TLS")
    parser.add_argument("--cert", help="PEM client certificate")
    parser.add_argument("--key", help="PEM key of --cert")
    parser.add_argument("--cookie", help="isolation cookie")
    parser.add_argument("--timeout-ms", type=int, default=0, help="sent with the request; 0: none")
    parser.add_argument("--fragment", type=int, help="bytes per send")
    parser.add_argument("--repeat", type=int, default=1, help="calls, all sent before the first answer is read")
    options = parser.parse_args(arguments)
    host, _, port = options.address.rpartition(":")
    verb = rpc.VERB_NAMES.get(options.verb) or int(options.verb, 0)
    tls = tls_context(options.ca, options.cert, options.key) if options.ca else None
    with Client((host, int(port)), options.source, tls, options.fragment) as client:
        client.negotiate(rpc.seastar_offer(cookie=options.cookie.encode() if options.cookie else None))
        began = time.monotonic()
        ids = [client.start(verb, payload_of(verb, options.payload), options.timeout_ms)
               for _ in range(options.repeat)]
        if verb == rpc.VERB_SINK:
            print("calls %d, bytes %d" % client.count())
            return 0
        failed = 0
        for msg_id in ids:
            response = client.finish(msg_id)
            if response.failed:
                failed += 1
                print(f"{msg_id}: failed: {rpc.exception_parse(response.payload)}")
            elif options.repeat == 1:
                print(f"{msg_id}: {len(response.payload)} bytes, handler {response.handler_us} us: "
                      f"{response.payload[:256]!r}")
        if options.repeat > 1:
            print(f"{options.repeat - failed} of {options.repeat} answered in {time.monotonic() - began:.3f} s")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
