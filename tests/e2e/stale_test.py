#!/usr/bin/env python3
"""Answers past their time (RFC 8767): when clients get them, and when not. The upstream is our own and falls silent."""

import os
import socket
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import PATIENCE, Gateway, ask_udp, header, query, wait_for

SERVFAIL = 2


class Upstream(threading.Thread):
    """Answers every question with one address that lives a second, or not at all."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.silent, self.asked, self.address = False, [], "192.0.2.55"
        self.start()

    def run(self):
        while True:
            try:
                message, peer = self.socket.recvfrom(65535)
            except OSError:
                return
            end = message.index(b"\0", 12) + 5
            if message[end - 4:end - 2] == b"\0\1":  # probes ask for NS
                self.asked.append(message[12:end])
            if self.silent:
                continue
            answer = message[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + message[12:end]
            answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(self.address)
            self.socket.sendto(answer, peer)


def ede_of(message):
    """The code of the extended error; the answer has one address at most."""
    at = message.find(b"\0\x0f", 12)
    return struct.unpack(">H", message[at + 4:at + 6])[0] if at > 0 else None


def ttl_of(message):
    end = message.index(b"\0", 12) + 5
    return struct.unpack(">I", message[end + 6:end + 10])[0]


class Stale(unittest.TestCase):
    def setUp(self):
        self.upstream = Upstream()
        self.addCleanup(self.upstream.socket.close)
        self.resolve = (f"resolve: {{ upstreams: ['udp://127.0.0.1:{self.upstream.port}'],\n"
                        "  limits: { first_timeout: 300ms, budget: 1500ms, failures_to_open: 1000 } }\n")
        self.gate = Gateway(start=False, workers=1)
        self.base = self.gate.config.read_text() + "cache: { serve_stale: true, stale_client_timeout: 500ms }\n"
        self.gate.config.write_text(self.base + self.resolve)
        self.gate.start()
        self.addCleanup(self.end)

    def end(self):
        self.assertEqual(self.gate.stop(), 0, self.gate.log())

    def ask(self, name):
        began = time.monotonic()
        reply = ask_udp(self.gate.do53, query(name, edns={}), PATIENCE)
        return reply, time.monotonic() - began

    def grow_old(self, name):
        self.assertEqual(header(self.ask(name)[0])["an"], 1)
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
        asked = len(self.upstream.asked)
        for _ in range(5):
            reply, took = self.ask("www.example")
            self.assertEqual((header(reply)["an"], ede_of(reply)), (1, 3))
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
