#!/usr/bin/env python3
"""A gateway that forwards and validates, behind it one that recurses in the private tree: both have to say the same."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import private_root  # noqa: E402
from gateway import HAS_QUIC, Gateway, ask_udp, free_port, header, query  # noqa: E402
from recursion_test import A, AD, ANSWERS, CD, DO, NOERROR, RD, SERVFAIL, TYPES, Recursing, ede_of  # noqa: E402


class Forwarding(Gateway):
    def __init__(self, root, upstream, more=""):
        """`upstream` as the configuration has it: a text, or a map."""
        self.port = free_port()
        super().__init__(config=f"workers: 1\nlisten: [{{ do53: {{ on: ['127.0.0.1:{self.port}'] }} }}]\n"
                                f"resolve:\n  mode: forward\n  validate: yes\n  upstreams: [{upstream}]\n"
                                "  limits: { first_timeout: 5s, budget: 15s }\n"
                                f"  trust_anchors: {root.anchors}\n{more}")

    def ask(self, name, qtype=A, flags=RD, edns=DO):
        return ask_udp(self.port, query(name, qtype, 4711, flags, edns))


class ValidatedForwarding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = private_root.PrivateRoot()
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)
        cls.behind = Recursing(cls.root)
        cls.addClassCleanup(cls.behind.stop)
        cls.gate = Forwarding(cls.root, f"'udp://127.0.0.1:{cls.behind.port}'")
        cls.addClassCleanup(cls.gate.stop)

    def test_rcode_and_ad_are_those_of_who_recurses(self):
        for name, qtype, rcode, secure, _ in ANSWERS:
            with self.subTest(name=name, qtype=TYPES[qtype]):
                reply = self.gate.ask(name, qtype)
                self.assertEqual(header(reply)["rcode"], rcode, ede_of(reply))
                self.assertEqual(bool(header(reply)["flags"] & AD), secure, ede_of(reply))

    def test_bogus_data_is_for_who_wants_it(self):
        for zone in ("expired", "tampered", "nosigs"):
            with self.subTest(zone=zone):
                reply = self.gate.ask(f"www.{zone}.tld")
                self.assertEqual(header(reply)["rcode"], SERVFAIL)
                self.assertIn(ede_of(reply)[0], range(5, 13), ede_of(reply))
                reply = self.gate.ask(f"www.{zone}.tld", flags=RD | CD)
                self.assertEqual(header(reply)["rcode"], NOERROR)
                self.assertFalse(header(reply)["flags"] & AD)

    def test_whatever_the_transport(self):
        with Gateway(extra=self.root.resolve_section(), workers=1) as behind:
            doors = {"tcp": behind.do53, "tls": behind.dot, "https": behind.tls}
            if HAS_QUIC:
                doors |= {"quic": behind.dot, "h3": behind.tls}
            for scheme, port in doors.items():
                safe = "" if scheme == "tcp" else f", server_name: gate.test, ca_file: '{behind.ca}'"
                with self.subTest(scheme=scheme), \
                        Forwarding(self.root, f"{{ url: '{scheme}://127.0.0.1:{port}'{safe} }}") as gate:
                    reply = gate.ask("www.ecdsa.tld")
                    self.assertEqual((header(reply)["rcode"], bool(header(reply)["flags"] & AD)), (NOERROR, True), ede_of(reply))
                    self.assertEqual(header(gate.ask("www.expired.tld"))["rcode"], SERVFAIL)
                    counters = gate.counters()
                    name = f'group="default",upstream="{scheme}://127.0.0.1:{port}"'
                    self.assertGreater(counters[f"sallyport_upstream_answers_total{{{name}}}"], 3)


if __name__ == "__main__":
    private_root.main()
