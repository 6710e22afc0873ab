#!/usr/bin/env python3
"""Answers past their time (RFC 8767): when clients get them, and when not. The upstream is our own and falls silent."""

import os
import socket
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import PATIENCE, Gateway, ask_udp, header, query, wait_for
from one_address import Upstream, ttl_of

SERVFAIL = 2


def ede_of(message):
    """The code of the extended error; the answer has one address at most."""
    at = message.find(b"\0\x0f", 12)
    return struct.unpack(">H", message[at + 4:at + 6])[0] if at > 0 else None


class Stale(unittest.TestCase):
    def setUp(self):
        self.upstream = Upstream(ttl=1)
        self.addCleanup(self.upstream.close)
        self.resolve = (f"resolve: {{ upstreams: ['udp://127.0.0.1:{self.upstream.port}'],\n"
                        "  limits: { first_timeout: 300ms, budget: 1500ms, failures_to_open: 1000 } }\n")
        self.gate = Gateway(start=False, workers=1)
        self.base = self.gate.config.read_text() + "cache: { serve_stale: true, stale_client_timeout: 500ms }\n"
        self.gate.config.write_text(self.base + self.resolve)
        self.gate.start()
        self.addCleanup(self.end)

    def end(self):
        self.assertEqual(self.gate.stop(), 0, self.gate.log())

    def settle(self):
        """Returns when the upstream has read all that it was sent: its queue is in order."""
        mark = query(f"mark{len(self.upstream.asked)}.example")
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.sendto(mark, ("127.0.0.1", self.upstream.port))
            wait_for(lambda: mark[12:] in self.upstream.asked, "the upstream to read on")
        self.upstream.asked.remove(mark[12:])

    def ask(self, name):
        began = time.monotonic()
        reply = ask_udp(self.gate.do53, query(name, edns={}), PATIENCE)
        return reply, time.monotonic() - began

    def grow_old(self, name):
        # Whoever asks when the upstream has no time for it hears so.
        wait_for(lambda: header(self.ask(name)[0])["an"] == 1, "an answer")
        time.sleep(1.3)

    def test_a_client_does_not_wait_for_ever(self):
        self.grow_old("www.example")
        self.upstream.silent = True
        reply, took = self.ask("www.example")
        self.assertEqual((header(reply)["rcode"], header(reply)["an"], ede_of(reply)), (0, 1, 3))
        self.assertEqual(ttl_of(reply), 30)
        self.assertGreaterEqual(took, 0.45)
        # The search went on, and came to nothing: for a while nobody is asked again for those who come now.
        wait_for(lambda: self.gate.counters()["sallyport_resolver_failed_total"] >= 1, "the end of the search")
        self.settle()
        asked = len(self.upstream.asked)
        for _ in range(5):
            reply, took = self.ask("www.example")
            self.assertEqual((header(reply)["an"], ede_of(reply)), (1, 3))
        self.settle()
        self.assertEqual(len(self.upstream.asked), asked)
        counters = self.gate.counters()
        self.assertEqual(counters["sallyport_stale_in_time_total"], 1)
        self.assertGreaterEqual(counters["sallyport_from_stale_cache_total"], 6)

    def test_what_comes_late_renews_the_answer(self):
        self.grow_old("www.example")
        self.upstream.silent = True
        self.assertEqual(ede_of(self.ask("www.example")[0]), 3)
        self.upstream.silent, self.upstream.address = False, "192.0.2.56"  # a retry of the same search gets it
        def fresh():
            reply = self.ask("www.example")[0]
            return ede_of(reply) is None and reply.endswith(b"") and socket.inet_aton("192.0.2.56") in reply
        wait_for(fresh, "a new answer", PATIENCE + 31)

    def test_nothing_stale_outlives_a_change_of_policy(self):
        self.grow_old("www.example")
        self.upstream.silent = True
        self.gate.config.write_text(self.base + self.resolve.replace("budget: 1500ms", "budget: 1400ms"))
        self.assertIn("reloaded:", self.gate.reload())
        reply, _ = self.ask("www.example")
        self.assertEqual((header(reply)["rcode"], header(reply)["an"]), (SERVFAIL, 0))
        self.assertNotEqual(ede_of(reply), 3)


if __name__ == "__main__":
    unittest.main()
