#!/usr/bin/env python3
# e2e: parallel
"""One zone for each way of being broken that an Extended DNS Error names: which one we say, and that `delv`, with the same
anchor, calls every answer secure, insecure or bogus as we do."""

import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import private_root  # noqa: E402
from gateway import header, need  # noqa: E402
from recursion_test import A, AAAA, AD, NOERROR, NXDOMAIN, SERVFAIL, SOA, TXT, TYPES, Recursing, ede_of  # noqa: E402

SECURE, INSECURE, BOGUS = "secure", "insecure", "bogus"
# name, type, RCODE, what it is, EDE
QUESTIONS = [
    ("www.ecdsa.tld", A, NOERROR, SECURE, None),
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
    ("nothing.iterations.tld", A, NXDOMAIN, INSECURE, 27),
    ("www.iterations.tld", A, NOERROR, SECURE, None),
]


class BrokenZones(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = private_root.PrivateRoot(private_root.BROKEN)
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)
        cls.gate = Recursing(cls.root)
        cls.addClassCleanup(cls.gate.stop)

    def test_rcode_state_and_ede(self):
        for name, qtype, rcode, state, ede in QUESTIONS:
            for again in ("asked", "kept"):
                with self.subTest(name=name, qtype=TYPES[qtype], again=again):
                    reply = self.gate.ask(name, qtype)
                    self.assertEqual((header(reply)["rcode"], bool(header(reply)["flags"] & AD), ede_of(reply)[0]),
                                     (rcode, state == SECURE, ede), ede_of(reply))
                    if ede is not None:  # the zone that is to blame is named
                        self.assertIn(name.split(".")[-2] + ".tld", ede_of(reply)[1].lower())

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
                if state == BOGUS:
                    self.assertIn("resolution failed", said)
                elif state == SECURE:
                    self.assertIn("fully validated", said)
                else:
                    self.assertNotIn("resolution failed: SERVFAIL", said)
                    self.assertRegex(said, r"; unsigned answer|; negative response, unsigned answer")


if __name__ == "__main__":
    private_root.main()
