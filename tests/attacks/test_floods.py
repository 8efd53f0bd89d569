# SPDX-License-Identifier: Apache-2.0
"""Goal: one source that asks for more than a node can do takes nothing from the others, whatever it asks for.

Method: a flood from one address, of requests whose handlers last long, while the good client calls.  What the flood
was refused is counted; the good client must not notice.
"""

import struct
import sys
import unittest

from target import CLUSTER, AttackCase, Target, config_text, harness, rpc

REQUESTS_MAX = 512
LONG_US = 60_000_000  # longer than a test: what runs is what was let run
SLEEPERS = 4 * REQUESTS_MAX
ONE_MAY_HAVE = 410  # the first number that is four times the 102 that are left, or more


def config(plain_port, tls_port):
    return config_text(plain_port, tls_port, more=f"    requests_max: {REQUESTS_MAX}\n")


def offer(lane="normal"):
    hello = (rpc.HELLO, rpc.hello(rpc.Hello(cluster=CLUSTER, lane=lane)))
    return rpc.seastar_offer(extra=[hello])


def sleepers(first, count):
    return b"".join(rpc.request(rpc.VERB_SLEEP, first + i, struct.pack("<Q", LONG_US), timeout_ms=0)
                    for i in range(count))


class LongRequests(AttackCase):
    """Each against a node of its own, since the requests outlive the attack."""

    def setUp(self):
        self.target = Target(config)
        self.addCleanup(self.target.close)

    def counters(self):
        return self.target.status()["counters"]

    def test_source__without_a_hello__told_in_words_and_the_others_are_served(self):
        over = self.counters()["requests_over_share"]
        flood = self.dial()
        flood.negotiate(rpc.seastar_offer())
        flood.send(sleepers(1, SLEEPERS))
        remote = rpc.exception_parse(flood.receive().payload)
        self.assertEqual((remote.type, remote.data[:5]), (rpc.EXCEPTION_USER, b"busy:"))
        self.target.assert_lively()
        status = self.target.status()
        self.assertEqual(status["in_use"]["requests"], ONE_MAY_HAVE)
        self.assertEqual(status["counters"]["requests_over_share"] - over, SLEEPERS - ONE_MAY_HAVE)
        flood.close()

    def test_source__with_a_hello_and_many_connections__told_busy_and_the_others_are_served(self):
        source = self.target.fresh_source()
        busy = self.counters()["requests_busy"]
        flood = []
        for i in range(8):
            flood.append(self.dial(source=source))
            flood[i].negotiate(offer())
            flood[i].send(sleepers(1, SLEEPERS // 8))
        remote = rpc.exception_parse(flood[7].receive().payload)
        self.assertEqual(remote.type, rpc.EXCEPTION_BUSY)
        harness.wait_until(lambda: self.counters()["requests_busy"] - busy == SLEEPERS - ONE_MAY_HAVE,
                           "what is too much is told so")
        self.target.assert_lively()
        for client in flood:
            client.close()

    def test_source__leaves_and_comes_back__what_still_runs_for_it_counts(self):
        source = self.target.fresh_source()
        for _ in range(4):
            flood = self.dial(source=source)
            flood.negotiate(offer())
            flood.send(sleepers(1, SLEEPERS))
            flood.receive()  # one was told busy, so that the others run
            self.target.assert_lively()
            flood.close()

    def test_sources__one_after_the_other__each_finds_some(self):
        flood = []
        for _ in range(3):
            flood.append(self.dial())
            flood[-1].negotiate(offer())
            before = self.target.status()["in_use"]["requests"]
            flood[-1].send(sleepers(1, SLEEPERS))
            flood[-1].receive()
            self.assertGreater(self.target.status()["in_use"]["requests"], before)
            self.target.assert_lively()
        for client in flood:
            client.close()


if __name__ == "__main__":
    sys.exit(unittest.main())
