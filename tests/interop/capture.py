# SPDX-License-Identifier: Apache-2.0
"""A capture of what goes over loopback, to and from one /16 network, by a packet socket: no other program is needed.

Needs CAP_NET_RAW; `why_not()` says what is missing.  What the socket lost is counted, and is the reader's to judge.
"""

import ctypes
import socket
import struct
import threading

ETH_P_ALL = 3
PACKET_OUTGOING = 4
PACKET_STATISTICS = 6
SOL_PACKET = 263
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
BUFFER_BYTES = 64 << 20
FRAME_BYTES = 1 << 17


def network_filter(network):
    """Classic BPF: IPv4 from or to a /16, such as "127.33"."""
    high, low = map(int, network.split("."))
    want = high << 24 | low << 16
    return [
        (0x28, 0, 0, 12),  # EtherType
        (0x15, 0, 7, 0x0800),
        (0x20, 0, 0, 26),  # source
        (0x54, 0, 0, 0xFFFF0000),
        (0x15, 3, 0, want),
        (0x20, 0, 0, 30),  # destination
        (0x54, 0, 0, 0xFFFF0000),
        (0x15, 0, 1, want),
        (0x06, 0, 0, FRAME_BYTES),
        (0x06, 0, 0, 0),
    ]


def why_not():
    """What a capture lacks here; None: nothing."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError as error:
        return f"no packet socket: {error}"
    return None


class Capture:
    """From entering to stop()."""

    def __init__(self, network):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # of no protocol: nothing arrives yet
        self._filter(network_filter(network))
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        except OSError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.socket.bind(("lo", ETH_P_ALL))
        self.socket.settimeout(0.05)
        self.frames = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _filter(self, program):
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                               struct.pack("HP", len(program), ctypes.addressof(code)))

    def _run(self):
        while True:
            try:
                frame, source = self.socket.recvfrom(FRAME_BYTES)
            except TimeoutError:
                if self.ending.is_set():
                    return
                continue
            if source[2] != PACKET_OUTGOING:  # each packet of loopback is seen when it leaves and when it arrives
                self.frames.append(frame)

    def stop(self):
        """The bytes of a capture file, and how many packets were lost."""
        self._filter([(0x06, 0, 0, 0)])  # nothing more comes; what has come is still read
        self.ending.set()
        self.thread.join(20)
        dropped = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self.socket.close()
        data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, FRAME_BYTES, 1)
        return data + b"".join(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in self.frames), \
            dropped

    def close(self):
        """For one that was not stopped."""
        if self.thread.is_alive():
            self.stop()
