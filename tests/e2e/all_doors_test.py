#!/usr/bin/env python3
"""The same 200 questions at every door, with and without DO, small answers and one of 24 kB: the same answer everywhere."""

import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, HAS_QUIC, PATIENCE, Gateway

ZONE = """$ORIGIN gate.test.
$TTL 300
@         SOA   ns hostmaster 1 3600 900 604800 60
          NS    ns
          A     127.0.0.1
          AAAA  ::1
          MX    10 mail
          TXT   "v=spf1 -all"
          CAA   0 issue "ca.gate.test"
          HTTPS 1 . alpn="h2,h3"
ns        A     127.0.0.1
mail      A     192.0.2.25
          AAAA  2001:db8::25
www       A     192.0.2.80
alias     CNAME www
one       CNAME two
two       CNAME three
three     CNAME www
away      CNAME www.elsewhere.example.
dangling  CNAME nothing
old       DNAME new
a.new     A     192.0.2.4
*.wild    A     192.0.2.99
          TXT   "wild"
_sip._tcp SRV   10 60 5060 www
naptr     NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:info@gate.test!" .
loc       LOC   52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
sub       NS    ns.sub
ns.sub    A     192.0.2.53
deep.below.empty A 192.0.2.5
unknown   TYPE65280 \\# 4 0A000001
sshfp     SSHFP 4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
tlsa      TLSA  3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
hinfo     HINFO "a machine" "a system"
$GENERATE 0-119 host-$ A 10.0.0.$
$GENERATE 100-207 big TXT "$ yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
"""

SPECIAL = """
gate.test SOA|gate.test NS|gate.test A|gate.test AAAA|gate.test MX|gate.test TXT|gate.test CAA|gate.test HTTPS|gate.test TYPE65281
gate.test DNSKEY|gate.test NSEC|gate.test SRV|GaTe.TeSt A|WWW.gate.TEST A|mail.gate.test AAAA|mail.gate.test MX
alias.gate.test A|alias.gate.test CNAME|alias.gate.test AAAA|one.gate.test A|one.gate.test TXT|away.gate.test A
dangling.gate.test A|old.gate.test DNAME|old.gate.test A|a.old.gate.test A|b.old.gate.test A|x.wild.gate.test A
x.y.wild.gate.test TXT|x.wild.gate.test MX|wild.gate.test A|*.wild.gate.test A|_sip._tcp.gate.test SRV|_tcp.gate.test A
naptr.gate.test NAPTR|loc.gate.test LOC|sub.gate.test NS|sub.gate.test A|x.sub.gate.test A|ns.sub.gate.test A
below.empty.gate.test A|empty.gate.test TXT|deep.below.empty.gate.test A|unknown.gate.test TYPE65280|sshfp.gate.test SSHFP
tlsa.gate.test TLSA|hinfo.gate.test HINFO|nothing.gate.test A|nothing.gate.test AAAA|not.here.gate.test TXT
big.gate.test TXT|big.gate.test A|_dns.resolver.arpa SVCB|_dns.gate.test SVCB|resolver.arpa A|www.elsewhere.example A
"""


def questions():
    special = [line.strip() for line in SPECIAL.replace("\n", "|").split("|") if line.strip()]
    hosts = [f"host-{i}.gate.test {kind}" for i in range(120) for kind in (("A", "AAAA") if i % 4 == 0 else ("A",))]
    return (special + hosts)[:200]


def sign(directory):
    """Signs the zone where the tools are; DO makes a difference only then."""
    if not shutil.which("ldns-keygen") or not shutil.which("ldns-signzone"):
        print("not signed: ldns-keygen and ldns-signzone are not installed")
        return False
    run = lambda *words: subprocess.run(words, cwd=directory, check=True, capture_output=True, text=True).stdout
    plain = directory / "gate.test.zone"
    plain.write_text(flat_zone())
    key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "gate.test").strip()
    run("ldns-signzone", "-f", "signed", str(plain), key)
    shutil.move(directory / "signed", plain)
    return True


def flat_zone():
    """The zone without $GENERATE, which the signer does not know."""
    lines = []
    for line in ZONE.splitlines():
        if not line.startswith("$GENERATE"):
            lines.append(line)
            continue
        _, span, rest = line.split(None, 2)
        first, last = map(int, span.split("-"))
        lines += [rest.replace("$", str(i)) for i in range(first, last + 1)]
    return "\n".join(lines) + "\n"


class AllDoors(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.gate = Gateway(zone=ZONE, start=False)
        cls.signed = sign(cls.gate.directory)
        cls.gate.start()
        cls.batch = cls.gate.directory / "questions"
        cls.batch.write_text("\n".join(questions()) + "\n")
        at = "127.0.0.1"
        tls, gate = ["--ca", cls.gate.ca, "--name", "gate.test"], cls.gate
        cls.doors = {
            "udp": ["--udp", f"{at}:{gate.do53}"],
            "tcp": ["--tcp", f"{at}:{gate.do53}"],
            "dot": ["--dot", f"{at}:{gate.dot}", *tls],
            "doh2 POST": ["--doh", f"{at}:{gate.tls}", *tls],
            "doh2 GET": ["--doh", f"{at}:{gate.tls}", "--get", *tls],
            "doh1 POST": ["--doh1", f"{at}:{gate.tls}", *tls],
            "doh1 GET": ["--doh1", f"{at}:{gate.tls}", "--get", *tls],
            "doh2 in clear text": ["--doh", f"http://{at}:{gate.cleartext}/dns-query"],
            "dot on the DoH port": ["--dot", f"{at}:{gate.tls}", *tls],
        }
        if HAS_QUIC:
            cls.doors |= {
                "doq": ["--doq", f"{at}:{gate.dot}", *tls],
                "doq on the DoH/3 port": ["--doq", f"{at}:{gate.tls}", *tls],
                "doh3 POST": ["--doh3", f"{at}:{gate.tls}", *tls],
                "doh3 GET": ["--doh3", f"{at}:{gate.tls}", "--get", *tls],
            }

    @classmethod
    def tearDownClass(cls):
        code = cls.gate.stop()
        assert code == 0, f"the gateway ended with {code}:\n{cls.gate.log()}"

    def ask(self, door, *options):
        command = [BINARY, "ask", "--batch", str(self.batch), "--json", "--timeout", str(PATIENCE), *self.doors[door], *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=6 * PATIENCE)
        self.assertEqual(done.returncode, 0, f"{door}: {done.stderr}\n" + "\n".join(l for l in done.stdout.splitlines() if '"error"' in l))
        return [json.loads(line) for line in done.stdout.splitlines()]

    @staticmethod
    def content(answer):
        """What must be the same at every door: all but the id and what EDNS says of the transport."""
        message = dict(answer["message"])
        message.pop("ID")
        edns = message.pop("EDNS", None)
        message["DO"] = bool(edns and edns["DO"])
        return message

    def compare(self, *options):
        first = self.ask("tcp", *options)
        self.assertEqual(len(first), 200)
        for door in self.doors:
            with self.subTest(door=door):
                answers = self.ask(door, *options)
                self.assertEqual(len(answers), 200)
                for question, expected, got in zip(questions(), first, answers):
                    self.assertEqual(self.content(got), self.content(expected), f"{door}: {question}")
        return first

    def test_same_answers_without_do(self):
        answers = self.compare()
        statuses = {answer["message"]["StatusName"] for answer in answers}
        self.assertLessEqual({"NOERROR", "NXDOMAIN", "REFUSED"}, statuses)
        big = max(answer["answer_size"] for answer in answers)
        self.assertGreater(big, 24_000)
        kinds = {record["typeName"] for answer in answers for record in answer["message"]["Answer"]}
        self.assertNotIn("RRSIG", kinds)

    def test_same_answers_with_do(self):
        answers = self.compare("--dnssec")
        kinds = {record["typeName"] for answer in answers for record in answer["message"]["Answer"]}
        if self.signed:
            self.assertIn("RRSIG", kinds)

    def test_same_answers_without_edns(self):
        self.compare("--no-edns")


if __name__ == "__main__":
    unittest.main()
