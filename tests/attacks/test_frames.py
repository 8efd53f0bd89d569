# SPDX-License-Identifier: Apache-2.0
"""Goal: no negotiation and no frame, however wrong, does more than end its own connection, for a reason that is named.

Method: tables of what a client may send: offers that end the connection, offers that are served all the same, and
frames behind a good negotiation.  Each comes from a source address of its own and is judged by what is answered, by
its one log line, by the counters at the end, and by the good client beside it.
"""

import dataclasses
import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from target import CLUSTER, AttackCase, features

import harness
import seastar_rpc as rpc

FRAME_BYTES_MAX = 16 << 20
NEGOTIATION_BYTES_MAX = 4096
NEGOTIATION_RECORDS_MAX = 256
COOKIE_BYTES_MAX = 256
# All bits, only the sign, and what becomes small again when a header's length is added.
LYING_LENGTHS = {"all_ones": 0xFFFFFFFF, "sign_bit": 0x80000000, "largest_signed": 0x7FFFFFFF,
                 "wraps_with_a_record_head": 0xFFFFFFF8, "wraps_with_the_frame_head": 0xFFFFFFF4,
                 "wraps_with_a_request_head": 0xFFFFFFE4}


def record(number, size, data=b""):
    return struct.pack("<II", number, size) + data


def frame(body, size=None):
    return rpc.MAGIC + struct.pack("<I", len(body) if size is None else size) + body


def hello_record(**changes):
    return rpc.negotiation([(rpc.HELLO, rpc.hello(rpc.Hello(**{"cluster": CLUSTER, **changes})))])


def hello_of_names(*names, counts=None):
    """A hello whose four names are raw bytes, with any length bytes."""
    fixed = rpc.hello(rpc.Hello("", "", "", ""))[:-4]
    counts = [len(name) for name in names] if counts is None else counts
    return rpc.negotiation([(rpc.HELLO, fixed + b"".join(bytes((count,)) + name
                                                         for count, name in zip(counts, names)))])


@dataclasses.dataclass
class Offer:
    name: str
    raw: bytes
    reason: str
    refused: bool = False  # answered by a refusal, instead of not at all


def bad_offers():
    """Every offer that must end its connection."""
    offers = []
    for at in range(8):
        wrong = bytearray(features())
        wrong[at] ^= 0x01
        offers.append(Offer(f"magic_wrong_at_byte_{at}", bytes(wrong), "bad_magic"))
    whole = record(rpc.TIMEOUT, 0)
    for size in range(1, 8):
        offers.append(Offer(f"record_head_of_{size}_bytes", frame(whole[:size]), "bad_negotiation"))
        offers.append(Offer(f"second_record_head_of_{size}_bytes", frame(whole + whole[:size]), "bad_negotiation"))
    offers.append(Offer("record_of_1_byte_cut_off", frame(record(rpc.TIMEOUT, 1)), "bad_negotiation"))
    offers.append(Offer("record_one_byte_over_its_frame", frame(record(rpc.ISOLATION, 5, b"abcd")), "bad_negotiation"))
    offers.append(Offer("frame_one_byte_over_the_cap", frame(b"", NEGOTIATION_BYTES_MAX + 1), "bad_negotiation"))
    for name, size in LYING_LENGTHS.items():
        offers.append(Offer(f"frame_length_{name}", frame(b"", size), "bad_negotiation"))
        offers.append(Offer(f"frame_length_{name}_and_more", frame(bytes(4096), size), "bad_negotiation"))
        offers.append(Offer(f"record_length_{name}", frame(record(rpc.ISOLATION, size, bytes(32))), "bad_negotiation"))
        offers.append(Offer(f"unknown_record_length_{name}", frame(record(99, size, bytes(32))), "bad_negotiation"))
    offers.append(Offer("one_record_too_many", rpc.negotiation([(99, b"")] * (NEGOTIATION_RECORDS_MAX + 1)),
                        "bad_negotiation"))
    offers.append(Offer("ten_thousand_records", rpc.negotiation([(i, b"") for i in range(10_000)]), "bad_negotiation"))
    offers.append(Offer("cookie_one_byte_too_long", rpc.negotiation([(rpc.ISOLATION, bytes(COOKIE_BYTES_MAX + 1))]),
                        "bad_negotiation"))
    for size in range(8):
        offers.append(Offer(f"stream_parent_of_{size}_bytes", rpc.negotiation([(rpc.STREAM_PARENT, bytes(size))]),
                            "bad_negotiation"))
    for name, parent in (("zero", bytes(8)), ("unknown", struct.pack("<Q", 0x10000)), ("all_ones", b"\xff" * 8)):
        offers.append(Offer(f"stream_parent_{name}", rpc.negotiation([(rpc.STREAM_PARENT, parent)]),
                            "streams_unsupported"))
    data = rpc.hello(rpc.Hello(cluster=CLUSTER))
    for size in (0, 1, 33, 34, 35, 35 + len(CLUSTER), len(data) - 1):
        offers.append(Offer(f"hello_cut_to_{size}_bytes", rpc.negotiation([(rpc.HELLO, data[:size])]),
                            "bad_negotiation"))
    for at, name in enumerate(("cluster", "dc", "rack", "lane")):
        names = [b"x", b"x", b"x", b"x"]
        counts = [1, 1, 1, 1]
        counts[at] = 255
        offers.append(Offer(f"hello_{name}_reaches_over_its_record", hello_of_names(*names, counts=counts),
                            "bad_negotiation"))
        names[at] = b"a\x00b"
        offers.append(Offer(f"hello_{name}_with_a_nul", hello_of_names(*names), "bad_negotiation"))
    for name, text in (("newline", b"a\nE fake"), ("escape", b"\x1b[31mred"), ("invalid_utf_8", b"\xff\xfe\xc0\x80"),
                       ("formats", b"%s%n%s%n"), ("longest", b"x" * 255)):
        offers.append(Offer(f"hello_cluster_with_{name}", hello_of_names(text, b"dc1", b"r1", b"normal"),
                            "wrong_cluster", refused=True))
        offers.append(Offer(f"hello_lane_with_{name}", hello_of_names(CLUSTER.encode(), b"dc1", b"r1", text),
                            "lane_forbidden", refused=True))
    return offers


def served_offers():
    """(name, offer, answer): strange, and served all the same."""
    plain = rpc.seastar_offer()
    unknown = [(number, bytes(number % 32)) for number in (6, 7, 1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)]
    twice = [(rpc.TIMEOUT, b""), (rpc.TIMEOUT, b"x"), (rpc.HANDLER_DURATION, b""), (rpc.TIMEOUT, b"")]
    return [
        ("no_records", [], []),
        ("unknown_records_before_known_ones", unknown + plain, plain),
        ("descending_order", plain[::-1], plain),
        ("duplicates", twice, plain),
        ("as_many_records_as_allowed", [(99, b"")] * (NEGOTIATION_RECORDS_MAX - 2) + plain, plain),
        ("as_long_as_allowed", plain + [(99, bytes(NEGOTIATION_BYTES_MAX - 24))], plain),
        ("data_behind_features_that_have_none", [(rpc.TIMEOUT, bytes(100)), (rpc.HANDLER_DURATION, b"abc")], plain),
        ("compression_of_an_unknown_kind", [(rpc.COMPRESS, b"NO_SUCH,\x00\xff")] + plain, plain),
        ("compression_of_a_known_kind", [(rpc.COMPRESS, b"LZ4,LZ4_FRAGMENTED")] + plain, plain),
        ("connection_id_from_a_client", [(rpc.CONNECTION_ID, bytes(8))] + plain, plain),
        ("longest_cookie", [(rpc.ISOLATION, b"c" * COOKIE_BYTES_MAX)], [(rpc.ISOLATION, b"c" * COOKIE_BYTES_MAX)]),
        ("refusal_from_a_client", plain + [(rpc.REFUSAL, rpc.refusal("draining"))], plain),
    ]


class Frames(AttackCase):
    """A node without encryption; strangers may call."""

    @classmethod
    def setUpClass(cls):
        cls.aim()

    def negotiated(self, source=None, records=None):
        client = self.dial(source=source)
        client.negotiate(records)
        return client

    def assert_served(self, client):
        self.assertEqual(client.echo(b"and this one?"), b"and this one?")

    def test_offer__that_is_wrong__ends_its_connection(self):
        offers = bad_offers()
        for offer in offers:
            with self.subTest(offer.name):
                source = self.target.fresh_source()
                client = self.dial(source=source)
                try:
                    client.send(offer.raw)
                except ConnectionError:
                    pass  # it closed before it had read everything
                answer = client.read_to_end()
                client.close()
                expected = rpc.negotiation([(rpc.REFUSAL, rpc.refusal("refused"))]) if offer.refused else b""
                self.assertEqual(answer, expected)
                self.wait_for_line(source, offer.reason)
        self.assert_over(offer.reason for offer in offers)

    def wait_for_line(self, source, reason):
        """One line, unless the log has had enough of this kind for a second; then the counters must do."""
        harness.wait_until(
            lambda: self.target.lines_about(source) or self.target.status()["counters"]["log_suppressed"],
            lambda: self.target.node.log()[-2000:])
        lines = self.target.lines_about(source)
        self.assertLessEqual(len(lines), 1, lines)
        for line in lines:
            self.assertRegex(line, f"{reason}(: .|$)" if reason == "streams_unsupported" else f"{reason}: .")

    def test_offer__that_is_strange__served(self):
        for name, records, answer in served_offers():
            for fragment in (None, 1):
                with self.subTest(name, fragment=fragment):
                    client = self.dial(fragment=fragment)
                    self.assertEqual(client.negotiate(records), answer)
                    self.assert_served(client)
                    client.close()
        self.assert_over([])

    def assert_frames_end(self, cases, reason):
        """Each raw tail behind a good negotiation ends the connection, without an answer."""
        for name, raw in cases:
            with self.subTest(name):
                source = self.target.fresh_source()
                client = self.negotiated(source)
                client.send(raw)
                self.assertEqual(client.read_to_end(), b"")
                client.close()
                self.wait_lines(source, 1, reason)
        self.assert_over([reason] * len(cases))

    def test_length__over_the_largest__frame_too_large(self):
        lengths = {"one_byte_over": FRAME_BYTES_MAX + 1, **LYING_LENGTHS}
        cases = [(name, rpc.request(rpc.VERB_ECHO, 1, timeout_ms=0, length=size)) for name, size in lengths.items()]
        cases += [(f"{name}_and_more", raw + bytes(100_000)) for name, raw in cases]
        self.assert_frames_end(cases, "frame_too_large")

    def test_id__zero_or_negative__bad_frame(self):
        cases = [(str(msg_id), rpc.request(verb, msg_id, b"x", 0)) for msg_id in (0, -1, -(1 << 31), -(1 << 63))
                 for verb in (rpc.VERB_ECHO, rpc.VERB_SINK, 77, rpc.VERB_PING)]
        self.assert_frames_end(cases, "bad_frame")

    def test_length__one_more_than_follows__waits_and_runs_nothing(self):
        calls, size = self.count()
        for sent in (0, 1, 99):
            client = self.negotiated()
            client.send(rpc.request(rpc.VERB_SINK, 1, bytes(sent), 0, length=100))
            client.half_close()
            self.assertEqual(client.read_to_end(), b"")
            client.close()
        self.assertEqual(self.count(), (calls, size))
        self.assert_over([])

    def count(self):
        client = self.negotiated()
        try:
            return client.count()
        finally:
            client.close()

    def test_length__one_less_than_follows__the_rest_is_read_as_the_next_frame(self):
        source = self.target.fresh_source()
        client = self.negotiated(source)
        client.send(rpc.request(rpc.VERB_ECHO, 7, bytes(100) + b"\xff", 0, length=100))
        self.assertEqual(client.finish(7).payload, bytes(100))
        # Read one byte late, verb and id are 256 times what was meant; then a header of zeros has no right id.
        client.send(rpc.request(rpc.VERB_ECHO, 8, b"", 0))
        response = client.receive()
        self.assertEqual((response.msg_id, rpc.exception_parse(response.payload).verb),
                         (-(8 << 8), rpc.VERB_ECHO << 8))
        client.send(bytes(27))
        self.assertEqual(client.read_to_end(), b"")
        client.close()
        self.wait_lines(source, 1, "bad_frame: a request with the id 0; ids are from 1 up")
        self.assert_over()

    def test_negotiation__a_second_time__read_as_a_request(self):
        client = self.negotiated()
        client.send(features())
        response = client.receive()
        # The magic is the timeout, lengths and features are verb and id.
        self.assertEqual(response.msg_id, -(rpc.HANDLER_DURATION << 32))
        self.assertEqual(rpc.exception_parse(response.payload).type, rpc.EXCEPTION_UNKNOWN_VERB)
        self.assert_served(client)
        client.close()
        self.assert_over()

    def test_id__used_twice_at_a_time__answered_twice(self):
        client = self.negotiated()
        for text in (b"one", b"two"):
            client.send(rpc.request(rpc.VERB_SLEEP, 5, struct.pack("<Q", 20_000) + text, 0))
        self.assertEqual([client.receive().msg_id, client.receive().msg_id], [5, 5])
        self.assert_served(client)
        client.close()
        self.assert_over()

    def test_id__at_the_end_of_the_numbers__copied(self):
        client = self.negotiated()
        for msg_id in ((1 << 63) - 1, (1 << 63) - 2, 1 << 62, (1 << 52) + 1):
            client.send(rpc.request(rpc.VERB_ECHO, msg_id, b"x", 0))
            self.assertEqual(client.receive().msg_id, msg_id)
        client.close()
        self.assert_over()

    def test_requests__behind_the_negotiation__served_if_it_is(self):
        calls, _ = self.count()
        good = self.dial()
        good.send(features() + rpc.request(rpc.VERB_ECHO, 1, b"early", 0))
        good.answer()
        self.assertEqual(good.finish(1).payload, b"early")
        good.close()
        for raw in (frame(b"x"), hello_record(cluster="another"), b"X" + features()[1:]):
            bad = self.dial()
            bad.send(raw + rpc.request(rpc.VERB_SINK, 1, b"never to be run", 0))
            bad.read_to_end()
            bad.close()
        self.assertEqual(self.count()[0], calls)
        self.assert_over()

    def test_verb__unknown_or_not_for_strangers__answered_and_goes_on(self):
        client = self.negotiated()
        for verb in (0, 9, 1 << 32, (1 << 63) - 1, 1 << 63, rpc.VERB_PING, rpc.VERB_CANCEL, rpc.VERB_GOODBYE,
                     (1 << 64) - 1):
            for payload in (b"", bytes(8), bytes(100_000)):
                response = client.finish(client.start(verb, payload))
                self.assertEqual(rpc.exception_parse(response.payload).verb, verb)
        self.assert_served(client)
        client.close()
        self.assert_over([])

    def test_frames__ten_thousand_empty_ones_at_once__each_answered_once(self):
        client = self.negotiated()
        frames, ids = zip(*(client.frame(rpc.VERB_HELLO) for _ in range(10_000)))
        client.send(b"".join(frames))
        self.assertEqual(sorted(client.receive().msg_id for _ in ids), sorted(ids))
        client.close()
        self.assert_over()

    def test_timeout__of_any_size__none_or_kept(self):
        client = self.negotiated()
        for timeout_ms in (0, (1 << 64) - 1, (1 << 64) - 2, 1 << 63, (1 << 64) // 1_000_000, 1 << 40):
            self.assertEqual(client.call(rpc.VERB_SLEEP, struct.pack("<Q", 1000), timeout_ms), b"")
        hurried = client.start(rpc.VERB_SLEEP, struct.pack("<Q", 50_000), timeout_ms=1)
        late = client.start(rpc.VERB_SLEEP, struct.pack("<Q", 100_000))
        answer = client.receive()
        if answer.msg_id == -hurried:  # on a busy machine it waited for more than half of its time
            self.assertTrue(rpc.exception_parse(answer.payload).data.startswith(b"busy"), answer)
            answer = client.receive()
        self.assertEqual(answer.msg_id, late)
        client.close()
        self.assert_over()


if __name__ == "__main__":
    unittest.main()
