#!/usr/bin/env python3
# e2e: parallel
"""One zone for each way of being broken that an Extended DNS Error names: which one we say, and that `delv`, with the same
anchor, calls every answer secure, insecure or bogus as we do."""

import pathlib
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import private_root  # noqa: E402
from gateway import header, need  # noqa: E402
from recursion_test import A, AAAA, AD, DNSKEY, NOERROR, NXDOMAIN, SERVFAIL, SOA, TXT, TYPES, Recursing, \
    ede_of, read_name  # noqa: E402

SECURE, INSECURE, BOGUS, UNKNOWN = "secure", "insecure", "bogus", "not to be had"
# name, type, RCODE, what it is, EDE
QUESTIONS = [
    ("www.ecdsa.tld", A, NOERROR, SECURE, None),
    ("nothing.ecdsa.tld", A, NXDOMAIN, SECURE, None),
    ("nothing1.ecdsa.tld", A, NXDOMAIN, SECURE, 29),
    ("any.wild.ecdsa.tld", A, NOERROR, SECURE, None),
    ("other.wild.ecdsa.tld", A, NOERROR, SECURE, 29),
    ("www.algorithm.tld", A, NOERROR, INSECURE, 1),
    ("nothing.algorithm.tld", A, NXDOMAIN, INSECURE, 1),
    ("www.digest.tld", A, NOERROR, INSECURE, 2),
    ("nothing.digest.tld", A, NXDOMAIN, INSECURE, 2),
    ("www.tampered.tld", A, SERVFAIL, BOGUS, 6),
    ("mail.tampered.tld", A, NOERROR, SECURE, None),
    ("www.badsig.tld", A, SERVFAIL, BOGUS, 6),
    ("www.badsig.tld", AAAA, NOERROR, SECURE, None),
    ("alias.badsig.tld", A, SERVFAIL, BOGUS, 6),
    ("www.expired.tld", A, SERVFAIL, BOGUS, 7),
    ("nothing.expired.tld", A, SERVFAIL, BOGUS, 7),
    ("www.future.tld", A, SERVFAIL, BOGUS, 8),
    ("www.wrongds.tld", A, SERVFAIL, BOGUS, 9),
    ("www.nokeys.tld", A, SERVFAIL, BOGUS, 9),
    ("nothing.nokeys.tld", A, SERVFAIL, BOGUS, 9),
    ("www.nosigs.tld", A, SERVFAIL, BOGUS, 9),
    ("www.norrsig.tld", A, SERVFAIL, BOGUS, 10),
    ("www.norrsig.tld", AAAA, NOERROR, SECURE, None),
    ("alias.norrsig.tld", A, SERVFAIL, BOGUS, 10),
    ("www.zonebit.tld", A, SERVFAIL, BOGUS, 11),
    ("zonebit.tld", SOA, SERVFAIL, BOGUS, 11),
    ("nothing.nonsec.tld", A, SERVFAIL, BOGUS, 12),
    ("www.nonsec.tld", TXT, SERVFAIL, BOGUS, 12),
    ("www.nonsec.tld", A, NOERROR, SECURE, None),
    ("any.wild.nonsec.tld", A, SERVFAIL, BOGUS, 12),
    ("www.reversed.tld", A, SERVFAIL, BOGUS, 25),
    ("www.reversed.tld", AAAA, NOERROR, SECURE, None),
    ("www.nokeysaid.tld", A, SERVFAIL, UNKNOWN, 5),
    ("www.silence.tld", A, SERVFAIL, UNKNOWN, 22),
    ("www.garbled.tld", A, SERVFAIL, UNKNOWN, 24),
    ("nothing.iterations.tld", A, NXDOMAIN, INSECURE, 27),
    ("www.iterations.tld", A, NOERROR, SECURE, None),
]


class Unhelpful:
    """Stands before the server of the leaves: passes queries on, but is silent to those for keys, and sends nothing that
    can be read of the zone `garbled`."""

    def __init__(self, root):
        self.leaves = (root.leaf_server, root.port)
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind((root.evil_server, root.port))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                message, client = self.udp.recvfrom(4096)
            except OSError:
                return
            if len(message) < 17:
                return
            name, end = read_name(message, 12)
            if name.endswith("garbled.tld"):  # an answer is announced and cut off within its owner
                self.udp.sendto(message[:2] + b"\x84\0\0\1\0\1\0\0\0\0" + message[12:end + 4] + b"\x3fwww", client)
            elif int.from_bytes(message[end:end + 2], "big") != DNSKEY:
                self.pass_on(message, client)

    def pass_on(self, message, client):
        with socket.socket(type=socket.SOCK_DGRAM) as leaves:
            leaves.settimeout(1)
            leaves.connect(self.leaves)
            leaves.send(message)
            try:
                self.udp.sendto(leaves.recv(4096), client)
            except OSError:
                pass  # it is asked again

    def stop(self):
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"end", self.udp.getsockname())
        self.thread.join(10)
        self.udp.close()


class BrokenZones(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = private_root.PrivateRoot(private_root.BROKEN)
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)
        cls.addClassCleanup(Unhelpful(cls.root).stop)
        cls.gate = Recursing(cls.root, workers=1)  # each has proofs of its own
        cls.addClassCleanup(cls.gate.stop)

    def test_rcode_state_and_ede(self):
        for name, qtype, rcode, state, ede in QUESTIONS:
            for again in ("asked", "kept"):
                with self.subTest(name=name, qtype=TYPES[qtype], again=again):
                    reply = self.gate.ask(name, qtype)
                    told, text = ede_of(reply, made=True)
                    self.assertEqual((header(reply)["rcode"], bool(header(reply)["flags"] & AD), told),
                                     (rcode, state == SECURE, ede), text)
                    if ede is not None:  # the zone that is to blame is named
                        self.assertIn(name.split(".")[-2] + ".tld", text.lower())

    def test_delv_agrees(self):
        delv = need("delv")
        if not delv:
            self.skipTest("delv is missing (Debian: bind9-dnsutils)")
        for name, qtype, _, state, ede in QUESTIONS:
            if ede == 27:  # delv hashes NSEC3 with more iterations than we do (RFC 9276 §3.2)
                continue
            with self.subTest(name=name, qtype=TYPES[qtype]):
                asked = subprocess.run(
                    [delv, "@127.0.0.1", "-p", str(self.gate.port), "-a", str(self.root.delv_anchors), "+root", name,
                     TYPES[qtype]], capture_output=True, text=True, timeout=60, check=False)
                said = asked.stdout + asked.stderr
                if state in (BOGUS, UNKNOWN):
                    self.assertIn("resolution failed", said)
                elif state == SECURE:
                    self.assertIn("fully validated", said)
                else:
                    self.assertNotIn("resolution failed: SERVFAIL", said)
                    self.assertRegex(said, r"; unsigned answer|; negative response, unsigned answer")


if __name__ == "__main__":
    private_root.main()
