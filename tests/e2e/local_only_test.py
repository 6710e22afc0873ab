#!/usr/bin/env python3
# e2e: parallel
"""Names that mean something on this network alone: answered here, and nobody else is ever asked for them."""

import os
import socket
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, PATIENCE, PATIENT, Gateway, ask_udp, header, query

A, NS, SOA, PTR, MX, AAAA, DS = 1, 2, 6, 12, 15, 28, 43
NXDOMAIN = 3

EMPTY = (["invalid", "test", "local", "onion", "alt", "home.arpa", "10.in-addr.arpa", "168.192.in-addr.arpa",
          "0.in-addr.arpa", "127.in-addr.arpa", "254.169.in-addr.arpa", "2.0.192.in-addr.arpa", "100.51.198.in-addr.arpa",
          "113.0.203.in-addr.arpa", "255.255.255.255.in-addr.arpa", "0." * 32 + "ip6.arpa", "d.f.ip6.arpa",
          "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"]
         + [f"{octet}.172.in-addr.arpa" for octet in range(16, 32)]
         + [f"{octet}.100.in-addr.arpa" for octet in range(64, 128)])


class Upstream(threading.Thread):
    """Answers every question with NODATA and remembers it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = []
        self.start()

    def run(self):
        while True:
            try:
                message, peer = self.socket.recvfrom(65535)
            except OSError:
                return
            labels, at = [], 12
            while message[at]:
                labels.append(message[at + 1:at + 1 + message[at]].decode().lower())
                at += message[at] + 1
            self.asked.append((".".join(labels), struct.unpack(">H", message[at + 1:at + 3])[0]))
            soa = b"\0" + struct.pack(">HHIH", 6, 1, 60, 22) + b"\0\0" + struct.pack(">IIIII", 1, 2, 3, 4, 60)
            self.socket.sendto(message[:2] + struct.pack(">HHHHH", 0x8180, 1, 0, 1, 0) + message[12:at + 5] + soa, peer)


class LocalOnlyTest(unittest.TestCase):
    def gateway(self, resolve=""):
        self.upstream = Upstream()
        self.addCleanup(self.upstream.socket.close)
        gate = Gateway(start=False)
        gate.config.write_text(f"workers: 1\nlisten: [ {{ do53: {{ on: '127.0.0.1:{gate.do53}' }} }} ]\n"
                               f"resolve: {{ upstreams: ['127.0.0.1:{self.upstream.port}'], {PATIENT}{resolve} }}\n")
        gate.start()
        self.addCleanup(lambda: self.assertEqual(gate.stop(), 0, gate.log()))
        return gate

    @staticmethod
    def ask(gate, name, qtype):
        answer = ask_udp(gate.do53, query(name, qtype, ident=9))
        return header(answer), answer

    def test_nobody_is_asked_for_them(self):
        gate = self.gateway()
        for apex in EMPTY:
            for name, qtype, rcode, answers in ((apex, SOA, 0, 1), (apex, NS, 0, 1), (apex, AAAA, 0, 0),
                                                ("host." + apex, A, NXDOMAIN, 0), ("1.2." + apex, PTR, NXDOMAIN, 0)):
                head, answer = self.ask(gate, name, qtype)
                self.assertEqual((head["rcode"], head["an"]), (rcode, answers), (name, qtype))
                self.assertTrue(head["flags"] & 0x0400, name)
                if answers == 0:
                    self.assertEqual(struct.unpack(">I", answer[-4:])[0], 10_800, "the MINIMUM of the SOA")
        self.assertEqual(self.upstream.asked, [])

    def test_no_name_server_is_asked_for_them(self):
        root = Upstream()
        self.addCleanup(root.socket.close)
        gate = Gateway(start=False)
        (gate.directory / "hints").write_text(". 3600 NS root.example.\nroot.example. 3600 A 127.0.0.1\n")
        gate.config.write_text(f"workers: 1\nlisten: [ {{ do53: {{ on: '127.0.0.1:{gate.do53}' }} }} ]\n"
                               "resolve: { mode: recurse, root_hints: hints, allow_loopback: true, prime: false, "
                               f"port: {root.port}, dnssec: {{ validate: no }} }}\n")
        gate.start()
        self.addCleanup(lambda: self.assertEqual(gate.stop(), 0, gate.log()))
        for apex in EMPTY:
            self.assertEqual(self.ask(gate, "host." + apex, A)[0]["rcode"], NXDOMAIN, apex)
        self.assertTrue(self.ask(gate, "ipv4only.arpa", A)[1].endswith(socket.inet_aton("192.0.0.171")))
        self.assertEqual(self.ask(gate, "ipv4only.arpa", AAAA)[0]["an"], 0)
        self.assertTrue(self.ask(gate, "localhost", A)[1].endswith(socket.inet_aton("127.0.0.1")))
        self.assertEqual(root.asked, [])
        self.ask(gate, "www.example.org", A)
        self.assertTrue(root.asked)

    def test_localhost_is_this_machine(self):
        gate = self.gateway()
        for name in ("localhost", "www.localhost"):
            self.assertTrue(self.ask(gate, name, A)[1].endswith(socket.inet_aton("127.0.0.1")))
            self.assertTrue(self.ask(gate, name, AAAA)[1].endswith(bytes(15) + b"\1"))
        self.assertTrue(self.ask(gate, "1.0.0.127.in-addr.arpa", PTR)[1].endswith(b"\x09localhost\0"))
        self.assertTrue(self.ask(gate, "1." + "0." * 31 + "ip6.arpa", PTR)[1].endswith(b"\x09localhost\0"))
        self.assertEqual(self.upstream.asked, [])

    def test_ds_is_asked_of_who_delegates(self):
        gate = self.gateway()
        self.ask(gate, "home.arpa", DS)
        self.ask(gate, "10.in-addr.arpa", DS)
        self.ask(gate, "onion", DS)
        self.assertEqual(self.upstream.asked, [("home.arpa", DS), ("10.in-addr.arpa", DS)])

    def test_who_is_told_to_answer_does(self):
        gate = self.gateway(f", groups: [ {{ name: ad, upstreams: ['127.0.0.1:{Upstream().port}'] }} ],"
                            " routes: [ { zones: [10.in-addr.arpa, corp.home.arpa], to: ad } ], local_only: [local]")
        for name in ("1.10.in-addr.arpa", "tv.home.arpa", "printer.local"):
            self.assertEqual(self.ask(gate, name, PTR)[0]["rcode"], 0, name)
        self.assertEqual(self.upstream.asked, [("tv.home.arpa", PTR), ("printer.local", PTR)])
        self.assertEqual(self.ask(gate, "www.test", A)[0]["rcode"], NXDOMAIN)

    def test_all_of_it_can_be_switched_off(self):
        gate = self.gateway(", local_only: no")
        self.ask(gate, "www.onion", A)
        self.assertEqual(self.upstream.asked, [("www.onion", A)])

    def test_explain_names_the_rule(self):
        gate = self.gateway()
        done = subprocess.run([BINARY, "explain", "--offline", "-c", str(gate.config), "1.2.168.192.in-addr.arpa", "PTR"],
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertIn("local-only: addresses of no global meaning (RFC 6303)", done.stdout + done.stderr)

    def test_what_is_to_be_left_out_must_be_there(self):
        gate = Gateway(start=False)
        gate.config.write_text(f"listen: [ {{ do53: {{ on: '127.0.0.1:{gate.do53}' }} }} ]\n"
                               "resolve: { upstreams: [192.0.2.1], local_only: [example.org] }\n")
        done = subprocess.run([BINARY, "check", "-c", str(gate.config)], capture_output=True, text=True, timeout=PATIENCE)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("2:", done.stderr)
        self.assertIn("'example.org' is at or above no local-only zone", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
