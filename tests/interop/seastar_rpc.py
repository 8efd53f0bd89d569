# SPDX-License-Identifier: Apache-2.0
"""The Seastar RPC wire, and weft's records on it, as pure functions over bytes.

Written from docs/protocol alone so that the C code is checked against a second reading of the same text.
Builders return bytes.  Parsers take what has arrived so far and return None while bytes are missing, else
(value, bytes used); input that can never become valid raises ProtocolError.
"""

import dataclasses
import struct
import uuid

MAGIC = b"SSTARRPC"

COMPRESS = 0
TIMEOUT = 1
CONNECTION_ID = 2
STREAM_PARENT = 3
ISOLATION = 4
HANDLER_DURATION = 5
HELLO = 0x57454654
REFUSAL = 0x57454655

EXCEPTION_USER = 0
EXCEPTION_UNKNOWN_VERB = 1
EXCEPTION_BUSY = 0x57454601
EXCEPTION_EXPIRED = 0x57454602
EXCEPTION_FORBIDDEN = 0x57454603
EXCEPTION_OVERSIZED = 0x57454604

NOT_MEASURED = 0xFFFFFFFF
ANY_SHARD = 0xFFFF

VERB_HELLO, VERB_ECHO, VERB_WRITE, VERB_SINK, VERB_COUNT, VERB_SOURCE, VERB_SLEEP, VERB_FAIL = range(1, 9)
VERB_PING = (1 << 63) + 1
VERB_CANCEL = (1 << 63) + 2
VERB_GOODBYE = (1 << 63) + 3

VERB_NAMES = {"hello": VERB_HELLO, "echo": VERB_ECHO, "write": VERB_WRITE, "sink": VERB_SINK, "count": VERB_COUNT,
              "source": VERB_SOURCE, "sleep": VERB_SLEEP, "fail": VERB_FAIL, "ping": VERB_PING}

# A refusal record carries the position in this list, counted from 1.
REFUSALS = (
    "refused", "no_listener", "plaintext_forbidden", "plaintext_unknown_location", "plaintext_on_tls_port",
    "tls_on_plaintext_port", "tls_version", "tls_no_shared_cipher", "cert_missing", "cert_untrusted", "cert_expired",
    "cert_not_yet_valid", "cert_revoked", "cert_name_mismatch", "location_claim_mismatch", "wrong_cluster",
    "wrong_node", "handshake_timeout", "too_many_connections", "bad_magic", "frame_too_large", "hello_missing",
    "hello_timeout", "lane_forbidden", "draining", "self_connection", "crl_expired", "admit_callback",
)


class ProtocolError(Exception):
    """The bytes cannot be what they should be."""


# --- negotiation ------------------------------------------------------------------------------------------------


def negotiation(records=()):
    """A negotiation frame of (feature number, data) records, in exactly the order given."""
    body = b"".join(struct.pack("<II", number, len(data)) + data for number, data in records)
    return MAGIC + struct.pack("<I", len(body)) + body


def records_parse(body):
    """All records of a complete frame body, duplicates included, in wire order."""
    records = []
    at = 0
    while at < len(body):
        if len(body) - at < 8:
            raise ProtocolError(f"{len(body) - at} bytes where a record header takes 8")
        number, size = struct.unpack_from("<II", body, at)
        at += 8
        if size > len(body) - at:
            raise ProtocolError(f"record {number} says {size} bytes, the frame has {len(body) - at} left")
        records.append((number, bytes(body[at:at + size])))
        at += size
    return records


def negotiation_parse(data, cap=1 << 20):
    """None, or (records, bytes used).  Wrong magic is told by the first wrong byte."""
    if bytes(data[:8]) != MAGIC[:len(data)]:
        raise ProtocolError(f"wrong magic {bytes(data[:8])!r}")
    if len(data) < 12:
        return None
    (size,) = struct.unpack_from("<I", data, 8)
    if size > cap:
        raise ProtocolError(f"negotiation of {size} bytes, the cap is {cap}")
    if len(data) < 12 + size:
        return None
    return records_parse(data[12:12 + size]), 12 + size


def features_of(records):
    """Records as a map; of duplicates the first wins."""
    features = {}
    for number, data in records:
        features.setdefault(number, data)
    return features


def seastar_offer(timeout=True, duration=True, cookie=None, extra=()):
    """The records that Seastar's own client would send, ascending, plus others."""
    records = list(extra)
    if timeout:
        records.append((TIMEOUT, b""))
    if cookie is not None:
        records.append((ISOLATION, cookie))
    if duration:
        records.append((HANDLER_DURATION, b""))
    return sorted(records, key=lambda record: record[0])


# --- requests and responses -------------------------------------------------------------------------------------


@dataclasses.dataclass
class Request:
    verb: int
    msg_id: int
    payload: bytes
    timeout_ms: int = 0


@dataclasses.dataclass
class Response:
    msg_id: int  # negative: the payload is an exception
    payload: bytes
    handler_us: int = None  # None: the feature was not negotiated

    @property
    def failed(self):
        return self.msg_id < 0


@dataclasses.dataclass
class RemoteException:
    type: int
    data: bytes

    @property
    def verb(self):
        """The verb of an UNKNOWN_VERB."""
        if self.type != EXCEPTION_UNKNOWN_VERB or len(self.data) != 8:
            raise ProtocolError(f"not an UNKNOWN_VERB: {self}")
        return struct.unpack("<Q", self.data)[0]


def request(verb, msg_id, payload=b"", timeout_ms=None, length=None):
    """A request frame.  timeout_ms None: the feature is off.  length overrides the true one, for lying peers."""
    head = b"" if timeout_ms is None else struct.pack("<Q", timeout_ms)
    size = len(payload) if length is None else length
    return head + struct.pack("<QqI", verb, msg_id, size) + payload


def request_parse(data, timeout):
    head = 28 if timeout else 20
    if len(data) < head:
        return None
    timeout_ms = struct.unpack_from("<Q", data)[0] if timeout else 0
    verb, msg_id, size = struct.unpack_from("<QqI", data, head - 20)
    if len(data) < head + size:
        return None
    return Request(verb, msg_id, bytes(data[head:head + size]), timeout_ms), head + size


def response(msg_id, payload=b"", handler_us=None):
    """A response frame.  handler_us None: the feature is off."""
    tail = b"" if handler_us is None else struct.pack("<I", handler_us)
    return struct.pack("<qI", msg_id, len(payload)) + tail + payload


def response_parse(data, duration):
    head = 16 if duration else 12
    if len(data) < head:
        return None
    msg_id, size = struct.unpack_from("<qI", data)
    if len(data) < head + size:
        return None
    handler_us = struct.unpack_from("<I", data, 12)[0] if duration else None
    return Response(msg_id, bytes(data[head:head + size]), handler_us), head + size


def exception(kind, data):
    return struct.pack("<II", kind, len(data)) + data


def exception_parse(payload):
    if len(payload) < 8:
        raise ProtocolError(f"an exception of {len(payload)} bytes")
    kind, size = struct.unpack_from("<II", payload)
    if len(payload) != 8 + size:
        raise ProtocolError(f"an exception says {size} bytes and has {len(payload) - 8}")
    return RemoteException(kind, payload[8:])


# --- weft's records ---------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Hello:
    cluster: str = "Test Cluster"
    dc: str = "dc1"
    rack: str = "r1"
    lane: str = "normal"
    node_id: bytes = dataclasses.field(default_factory=lambda: uuid.uuid4().bytes)
    incarnation: int = 1
    shards: int = 1
    shard: int = 0
    wanted_shard: int = ANY_SHARD
    version: int = 1
    flags: int = 0


_HELLO_FIXED = struct.Struct("<HH16sQHHH")


def hello(value, tail=b""):
    """The data of a HELLO record; tail stands for what a later version appends."""
    data = _HELLO_FIXED.pack(value.version, value.flags, value.node_id, value.incarnation, value.shards, value.shard,
                             value.wanted_shard)
    for text in (value.cluster, value.dc, value.rack, value.lane):
        raw = text.encode()
        data += bytes((len(raw),)) + raw
    return data + tail


def hello_parse(data):
    if len(data) < _HELLO_FIXED.size:
        raise ProtocolError(f"a hello of {len(data)} bytes")
    version, flags, node_id, incarnation, shards, shard, wanted = _HELLO_FIXED.unpack_from(data)
    at = _HELLO_FIXED.size
    texts = []
    for name in ("cluster", "dc", "rack", "lane"):
        if at >= len(data) or at + 1 + data[at] > len(data):
            raise ProtocolError(f"the hello ends inside its {name}")
        texts.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    return Hello(*texts, node_id=node_id, incarnation=incarnation, shards=shards, shard=shard, wanted_shard=wanted,
                 version=version, flags=flags)


def refusal(name):
    return struct.pack("<H", REFUSALS.index(name) + 1)


def refusal_parse(data):
    """The name of a refusal."""
    if len(data) < 2:
        raise ProtocolError(f"a refusal of {len(data)} bytes")
    (code,) = struct.unpack_from("<H", data)
    if not 1 <= code <= len(REFUSALS):
        raise ProtocolError(f"refusal code {code}")
    return REFUSALS[code - 1]
