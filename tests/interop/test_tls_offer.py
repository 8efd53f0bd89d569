#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what weft offers and accepts by TLS changes only on purpose.

Method: the hello of a dialing node is read byte by byte; an accepting one is asked by raw hellos what it chooses, then
what it chooses among the rest, until it refuses.  Both, as text, must equal tls_offer.txt; to change what is offered is
to change that file, which `python3 test_tls_offer.py --write` does.
"""

import os
import socket
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

WEFT = os.environ.get("WEFT", "weft")
SNAPSHOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls_offer.txt")
DIALER, ACCEPTOR = "127.35.0.1", "127.35.0.2"
AWAITED_S = 15

SUITES = {
    0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256", 0x1305: "TLS_AES_128_CCM_8_SHA256",
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256", 0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256", 0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
    0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305", 0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305",
    0xC0AC: "ECDHE-ECDSA-AES128-CCM", 0xC0AD: "ECDHE-ECDSA-AES256-CCM",
    0xC009: "ECDHE-ECDSA-AES128-SHA", 0xC00A: "ECDHE-ECDSA-AES256-SHA", 0xC023: "ECDHE-ECDSA-AES128-SHA256",
    0xC024: "ECDHE-ECDSA-AES256-SHA384", 0xC007: "ECDHE-ECDSA-RC4-SHA", 0xC008: "ECDHE-ECDSA-DES-CBC3-SHA",
    0xC006: "ECDHE-ECDSA-NULL-SHA", 0x002F: "AES128-SHA", 0x0035: "AES256-SHA", 0x009C: "AES128-GCM-SHA256",
    0x009D: "AES256-GCM-SHA384", 0x000A: "DES-CBC3-SHA", 0x0005: "RC4-SHA", 0xC018: "AECDH-AES128-SHA",
    0x00FF: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
}
GROUPS = {0x0017: "secp256r1", 0x0018: "secp384r1", 0x0019: "secp521r1", 0x001D: "x25519", 0x001E: "x448",
          0x0100: "ffdhe2048", 0x0101: "ffdhe3072", 0x0102: "ffdhe4096", 0x0103: "ffdhe6144", 0x0104: "ffdhe8192"}
SIGNATURES = {0x0403: "ecdsa_secp256r1_sha256", 0x0503: "ecdsa_secp384r1_sha384", 0x0603: "ecdsa_secp521r1_sha512",
              0x0807: "ed25519", 0x0808: "ed448", 0x0804: "rsa_pss_rsae_sha256", 0x0805: "rsa_pss_rsae_sha384",
              0x0806: "rsa_pss_rsae_sha512", 0x0809: "rsa_pss_pss_sha256", 0x080A: "rsa_pss_pss_sha384",
              0x080B: "rsa_pss_pss_sha512", 0x0401: "rsa_pkcs1_sha256", 0x0501: "rsa_pkcs1_sha384",
              0x0601: "rsa_pkcs1_sha512", 0x0303: "ecdsa_sha224", 0x0301: "rsa_pkcs1_sha224", 0x0203: "ecdsa_sha1",
              0x0201: "rsa_pkcs1_sha1"}
VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
EXT_GROUPS, EXT_POINTS, EXT_SIGNATURES, EXT_TICKET, EXT_VERSIONS, EXT_KEY_SHARE = 10, 11, 13, 35, 43, 51


def words(values):
    return struct.pack(f">{len(values)}H", *values)


def listed(values):
    return struct.pack(">H", 2 * len(values)) + words(values)


def extension(number, body):
    return struct.pack(">HH", number, len(body)) + body


def client_hello(version, suites, groups, signatures=tuple(SIGNATURES)):
    """With no key share, so that a server of TLS 1.3 says what it wants by a HelloRetryRequest."""
    extensions = (extension(EXT_GROUPS, listed(groups)) + extension(EXT_POINTS, b"\x01\x00") +
                  extension(EXT_SIGNATURES, listed(signatures)))
    if version >= 0x0304:
        extensions += extension(EXT_VERSIONS, b"\x02" + words([version])) + extension(EXT_KEY_SHARE, b"\x00\x00")
    body = (struct.pack(">H", min(version, 0x0303)) + bytes(range(32)) + b"\x20" + bytes(32) + listed(suites) +
            b"\x01\x00" + struct.pack(">H", len(extensions)) + extensions)
    return struct.pack(">BHHB", 22, 0x0301, len(body) + 4, 1) + len(body).to_bytes(3, "big") + body


def extensions_of(body, at):
    found = {}
    end = at + 2 + struct.unpack_from(">H", body, at)[0]
    at += 2
    while at < end:
        number, size = struct.unpack_from(">HH", body, at)
        found[number] = body[at + 4:at + 4 + size]
        at += 4 + size
    return found


def read_record(sock):
    data = b""
    while len(data) < 5 or len(data) < 5 + struct.unpack_from(">H", data, 3)[0]:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    return data[:5 + struct.unpack_from(">H", data, 3)[0]] if data[0] == 22 else None


def named(table, value):
    return table.get(value, f"0x{value:04x}")


def numbers(body):
    return [value for value, in struct.iter_unpack(">H", body)]


def describe_client_hello(body):
    """Lines about the body of a ClientHello."""
    at = 34
    at += 1 + body[at]
    size = struct.unpack_from(">H", body, at)[0]
    suites = numbers(body[at + 2:at + 2 + size])
    at += 2 + size
    at += 1 + body[at]
    extensions = extensions_of(body, at)
    shares, at, key_shares = extensions[EXT_KEY_SHARE], 2, []
    while at < len(shares):
        group, size = struct.unpack_from(">HH", shares, at)
        key_shares.append(group)
        at += 4 + size
    return ["versions " + " ".join(named(VERSIONS, v).replace(" ", "_") for v in numbers(extensions[EXT_VERSIONS][1:])),
            *("suite " + named(SUITES, suite) for suite in suites),
            *("group " + named(GROUPS, group) for group in numbers(extensions[EXT_GROUPS][2:])),
            *("key_share " + named(GROUPS, group) for group in key_shares),
            *("signature " + named(SIGNATURES, number) for number in numbers(extensions[EXT_SIGNATURES][2:])),
            "extensions " + " ".join(str(number) for number in sorted(extensions))]


class Offer:
    """Asks nodes."""

    def __init__(self, case):
        folder = tempfile.TemporaryDirectory()
        case.addCleanup(folder.cleanup)
        self.case = case
        self.certificates = harness.WeftCertificates(WEFT, folder.name, "offer")

    def node(self, address, peer=""):
        certificate, key = self.certificates.node(f"n{address}", address)
        node = harness.WeftNode(WEFT, lambda plain, tls: f"""\
cluster_name: offer
listen_address: {address}
storage_port: {plain}
ssl_storage_port: {tls}
server_encryption_options:
    internode_encryption: all
    certificate: {certificate}
    keyfile: {key}
    truststore: {self.certificates.ca}
weft:
    dc: dc1
    rack: r1
    shards: 1
    nodes: [{peer}]
""", ("tls",), address=address)
        self.case.addCleanup(node.close)
        return node.start()

    def dialed(self):
        with socket.create_server((ACCEPTOR, 0)) as listener:
            listener.settimeout(AWAITED_S)
            self.node(DIALER, f"{{ address: {ACCEPTOR}, ssl_storage_port: {listener.getsockname()[1]} }}")
            client, _ = listener.accept()
            with client:
                client.settimeout(AWAITED_S)
                return describe_client_hello(read_record(client)[9:])

    def choice(self, to, version, suites, groups):
        """(suite, group or None) that the server chooses, or None."""
        with socket.create_connection(to, AWAITED_S) as client:
            client.sendall(client_hello(version, suites, groups))
            record = read_record(client)
            if record is None:
                return None
            body = record[9:]
            at = 35 + body[34]
            suite = struct.unpack_from(">H", body, at)[0]
            rest = extensions_of(body, at + 3) if len(body) > at + 3 else {}
            share = rest.get(EXT_KEY_SHARE)
            return suite, struct.unpack_from(">H", share)[0] if share else None

    def accepted(self):
        lines = []
        node = self.node(ACCEPTOR)
        for version in sorted(VERSIONS):
            left = list(SUITES)
            while (found := self.choice(node.tls, version, left, list(GROUPS))) is not None:
                reverse = self.choice(node.tls, version, left[::-1], list(GROUPS))
                order = "" if reverse == found else " (as the client prefers)"
                lines.append(f"{VERSIONS[version].replace(' ', '_')} suite {named(SUITES, found[0])}{order}")
                left.remove(found[0])
        left = list(GROUPS)
        while (found := self.choice(node.tls, 0x0304, [0x1301, 0x1302, 0x1303], left)) is not None:
            lines.append(f"TLS_1.3 group {named(GROUPS, found[1])}")
            left.remove(found[1])
        return lines

    def text(self):
        return "\n".join(["dialer", *("  " + line for line in self.dialed()), "acceptor, with a key of P-256",
                          *("  " + line for line in self.accepted()), ""])


class TlsOffer(unittest.TestCase):
    maxDiff = None

    def test_offer__as_it_was(self):
        with open(SNAPSHOT, encoding="utf-8") as file:
            self.assertEqual(Offer(self).text(), file.read())


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        asked = unittest.TestCase()
        try:
            with open(SNAPSHOT, "w", encoding="utf-8") as snapshot:
                snapshot.write(Offer(asked).text())
        finally:
            asked.doCleanups()
        sys.exit(0)
    unittest.main(verbosity=2)
