#!/usr/bin/env python3
# e2e: parallel
"""The gateway recurses from a root of its own and validates: what it answers, what it refuses and why, what `delv` says
of the same, and what goes out on the wire."""

import itertools
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gateway  # noqa: E402
import private_root  # noqa: E402
from gateway import BINARY, PATIENCE, Gateway, ask_udp, free_port, header, need, query, wait_for  # noqa: E402

A, NS, CNAME, SOA, MX, TXT, AAAA, DS, DNSKEY = 1, 2, 5, 6, 15, 16, 28, 43, 48
TYPES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", MX: "MX", TXT: "TXT", AAAA: "AAAA", DS: "DS", DNSKEY: "DNSKEY"}
RD, AD, CD = 0x0100, 0x0020, 0x0010
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
DO = {"do": True}

# name, type, RCODE, AD, EDE
ANSWERS = [
    ("www.ecdsa.tld", A, NOERROR, True, None),
    ("www.p384.tld", AAAA, NOERROR, True, None),
    ("www.ed25519.tld", A, NOERROR, True, None),
    ("www.rsa.tld", A, NOERROR, True, None),
    ("www.optout.tld", A, NOERROR, True, None),
    ("both.ecdsa.tld", A, NOERROR, True, None),
    ("ecdsa.tld", SOA, NOERROR, True, None),
    ("ecdsa.tld", DS, NOERROR, True, None),
    ("ecdsa.tld", DNSKEY, NOERROR, True, None),
    ("tld", NS, NOERROR, True, None),
    ("", SOA, NOERROR, True, None),
    # What is not there: NSEC and NSEC3.
    ("nothing.ecdsa.tld", A, NXDOMAIN, True, None),
    ("nothing.ed25519.tld", A, NXDOMAIN, True, None),
    ("mail.ecdsa.tld", AAAA, NOERROR, True, None),
    ("mail.ed25519.tld", AAAA, NOERROR, True, None),
    ("ent.names.ecdsa.tld", A, NOERROR, True, None),
    ("names.ed25519.tld", A, NOERROR, True, None),
    ("nothing", A, NXDOMAIN, True, None),
    # Wildcards, aliases.
    ("any.wild.ecdsa.tld", A, NOERROR, True, None),
    ("a.b.wild.ed25519.tld", A, NOERROR, True, None),
    ("any.wilder.ed25519.tld", A, NOERROR, True, None),
    ("any.wild.ecdsa.tld", AAAA, NOERROR, True, None),
    ("alias.p384.tld", A, NOERROR, True, None),
    ("away.ed25519.tld", A, NOERROR, True, None),
    ("outside.ecdsa.tld", A, NOERROR, False, None),
    ("tree.ecdsa.tld", A, NOERROR, True, None),
    ("x.tree.ecdsa.tld", A, NXDOMAIN, True, None),
    ("loop1.ecdsa.tld", A, SERVFAIL, False, 0),
    # Unsigned.
    ("www.plain.tld", A, NOERROR, False, None),
    ("nothing.plain.tld", A, NXDOMAIN, False, None),
    ("alias.plain.tld", A, NOERROR, False, None),
    ("www.unsigned.optout.tld", A, NOERROR, False, None),
    ("www.algorithm.tld", A, NOERROR, False, 1),
    ("nothing.iterations.tld", A, NXDOMAIN, False, 27),
    ("x.silent.plain.tld", A, SERVFAIL, False, 22),
    # Broken.
    ("www.expired.tld", A, SERVFAIL, False, 7),
    ("www.future.tld", A, SERVFAIL, False, 8),
    ("www.wrongds.tld", A, SERVFAIL, False, 9),
    ("www.nosigs.tld", A, SERVFAIL, False, 9),
    ("www.tampered.tld", A, SERVFAIL, False, 6),
]


def read_name(message, at):
    labels, jumps = [], 0
    end = None
    while message[at]:
        if message[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack(">H", message[at:at + 2])[0] & 0x3FFF
            jumps += 1
            assert jumps < 100
            continue
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels).lower(), end or at + 1


def records_of(message):
    """(section, name, type, TTL, RDATA) of each record."""
    counts = struct.unpack(">HHHH", message[4:12])
    _, at = read_name(message, 12)
    at += 4
    found = []
    for section, count in enumerate(counts[1:]):
        for _ in range(count):
            name, at = read_name(message, at)
            kind, _, ttl, size = struct.unpack(">HHIH", message[at:at + 10])
            found.append((section, name, kind, ttl, message[at + 10:at + 10 + size]))
            at += 10 + size
    return found


def ede_of(message, made=False):
    """Code and text. That an answer was made of what had been proven (29) is told where `made` alone: whether one is
    depends on who asked what before."""
    for _, _, kind, _, rdata in records_of(message):
        while kind == 41 and len(rdata) >= 4:
            code, size = struct.unpack(">HH", rdata[:4])
            if code == 15 and (made or rdata[4:6] != b"\0\x1d"):
                return struct.unpack(">H", rdata[4:6])[0], rdata[6:4 + size].decode()
            rdata = rdata[4 + size:]
    return None, ""


def addresses(message):
    return sorted(socket.inet_ntoa(rdata) for section, _, kind, _, rdata in records_of(message) if section == 0 and kind == A)


class Recursing(Gateway):
    def __init__(self, root, more="", workers=2, managed=False, **arguments):
        self.port = free_port()
        config = (f"workers: {workers}\nlisten: [{{ do53: {{ on: ['127.0.0.1:{self.port}'] }} }}]\n" +
                  root.resolve_section(more))
        if managed:
            token = root.directory / "token"
            token.write_text("0123456789abcdef0123456789abcdef\n")
            token.chmod(0o600)
            config += f"admin: {{ on: '127.0.0.1:{free_port()}', token_file: '{token}' }}\n"
        super().__init__(config=config, **arguments)

    def ask(self, name, qtype=A, flags=RD, edns=DO):
        return ask_udp(self.port, query(name, qtype, 4711, flags, edns))

    def ask_tcp(self, name, qtype=A, flags=RD, edns=DO):
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as stream:
            stream.sendall(gateway.framed(query(name, qtype, 4711, flags, edns)))
            return gateway.read_framed(stream)


class Answers(unittest.TestCase):
    """One gateway, many questions."""

    @classmethod
    def setUpClass(cls):
        cls.root = private_root.PrivateRoot()
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)
        cls.gate = Recursing(cls.root, managed=True)
        cls.addClassCleanup(cls.end_gate)

    @classmethod
    def end_gate(cls):
        code = cls.gate.stop()
        if code != 0:
            raise AssertionError(f"the gateway ended with {code}:\n{cls.gate.log()}")

    def test_rcode_ad_and_ede(self):
        for name, qtype, rcode, secure, ede in ANSWERS:
            for again in ("asked", "kept"):
                with self.subTest(name=name, qtype=TYPES[qtype], again=again):
                    reply = self.gate.ask(name, qtype)
                    self.assertEqual(header(reply)["rcode"], rcode, ede_of(reply))
                    self.assertEqual(bool(header(reply)["flags"] & AD), secure, ede_of(reply))
                    self.assertEqual(ede_of(reply)[0], ede, ede_of(reply))

    def test_bogus_data_for_who_wants_it(self):
        for zone, address in (("expired", "192.0.2.80"), ("tampered", "192.0.2.66"), ("nosigs", "192.0.2.80")):
            with self.subTest(zone=zone):
                self.assertEqual(header(self.gate.ask(f"www.{zone}.tld"))["rcode"], SERVFAIL)
                reply = self.gate.ask(f"www.{zone}.tld", flags=RD | CD)
                self.assertEqual((header(reply)["rcode"], addresses(reply)), (NOERROR, [address]))
                self.assertFalse(header(reply)["flags"] & AD)
                # Nor has it found its way to those who did not ask for it.
                self.assertEqual(header(self.gate.ask(f"www.{zone}.tld"))["rcode"], SERVFAIL)
                reply = self.gate.ask(f"www.{zone}.tld", edns=None)
                self.assertEqual((header(reply)["rcode"], header(reply)["an"]), (SERVFAIL, 0))

    def test_the_reason_names_the_zone(self):
        code, text = ede_of(self.gate.ask("mail.expired.tld"))
        self.assertEqual(code, 7)
        self.assertIn("expired.tld", text.lower())

    def test_signatures_only_for_who_wants_them(self):
        plain = self.gate.ask("www.rsa.tld", AAAA, edns=None)
        self.assertEqual([kind for _, _, kind, _, _ in records_of(plain)], [AAAA])
        with_do = self.gate.ask("www.rsa.tld", AAAA)
        self.assertEqual(sorted(k for s, _, k, _, _ in records_of(with_do) if s == 0), [AAAA, 46])
        # AD for who says that he knows it (RFC 6840 §5.7), without DO.
        self.assertFalse(header(plain)["flags"] & AD)
        self.assertTrue(header(self.gate.ask("www.rsa.tld", AAAA, flags=RD | AD, edns=None))["flags"] & AD)

    def test_lifetimes(self):
        for _, name, kind, ttl, _ in records_of(self.gate.ask("mail.p384.tld")):
            if kind != 41:
                self.assertLessEqual(ttl, 300, name)
        negative = [ttl for _, _, kind, ttl, _ in records_of(self.gate.ask("nothing.p384.tld")) if kind == SOA]
        self.assertTrue(negative and negative[0] <= 60, negative)

    def test_large_answers_come_over_tcp(self):
        before = self.gate.counters()
        replies = []
        asking = [threading.Thread(target=lambda z=zone: replies.append(self.gate.ask_tcp(f"big.{z}.tld", TXT)))
                  for zone in ("ecdsa", "ed25519", "rsa", "p384", "optout", "plain")]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        for reply in replies:
            self.assertEqual((header(reply)["rcode"], header(reply)["tc"]), (NOERROR, False))
            self.assertEqual(sum(1 for s, _, k, _, _ in records_of(reply) if s == 0 and k == TXT), 12)
        after = self.gate.counters()
        asked = after["sallyport_recursion_tcp_packets_total"] - before["sallyport_recursion_tcp_packets_total"]
        opened = after["sallyport_recursion_connections_opened_total"] - before["sallyport_recursion_connections_opened_total"]
        self.assertGreaterEqual(asked, 6)
        # Two workers, two connections to one server at most; many queries on each.
        self.assertLessEqual(opened, 4)
        self.assertTrue(header(self.gate.ask("big.ecdsa.tld", TXT))["tc"])

    def test_equal_questions_are_one(self):
        before = self.gate.counters()
        sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(100)]
        for client in sockets:
            client.settimeout(PATIENCE)
            client.sendto(query("once.wild.p384.tld", A, 5, RD, DO), ("127.0.0.1", self.gate.port))
        for client in sockets:
            self.assertEqual(header(client.recv(4096))["rcode"], NOERROR)
            client.close()
        after = self.gate.counters()
        packets = after["sallyport_recursion_packets_total"] - before["sallyport_recursion_packets_total"]
        self.assertLessEqual(packets, 12)

    def test_delv_agrees(self):
        """delv asks with CD and validates by itself, with the same anchor: what we call secure it must find so."""
        delv = need("delv")
        if not delv:
            self.skipTest("delv is missing (Debian: bind9-dnsutils)")
        for name, qtype, rcode, secure, _ in ANSWERS:
            # No answer to judge; and delv hashes NSEC3 with more iterations than we do (RFC 9276 §3.2).
            if name.startswith(("x.silent", "loop1", "nothing.iterations")):
                continue
            with self.subTest(name=name, qtype=TYPES[qtype]):
                asked = subprocess.run(
                    [delv, "@127.0.0.1", "-p", str(self.gate.port), "-a", str(self.root.delv_anchors), "+root", name or ".",
                     TYPES[qtype]], capture_output=True, text=True, timeout=60, check=False)
                said = asked.stdout + asked.stderr
                if rcode == SERVFAIL:
                    self.assertIn("resolution failed", said)
                elif secure:
                    self.assertIn("fully validated", said)
                    self.assertNotIn("unsigned answer", said)
                else:
                    self.assertNotIn("resolution failed: SERVFAIL", said)
                    self.assertRegex(said, r"; unsigned answer|; negative response, unsigned answer")

    def test_explain(self):
        self.gate.ask("www.ecdsa.tld")
        done = subprocess.run([BINARY, "explain", "-c", str(self.gate.config), "fresh.wild.ecdsa.tld", "A"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("from the root down", done.stdout)
        self.assertIn("nearest known zone cut", done.stdout)

    def test_flush(self):
        """What was taken out of the cache is asked of the servers again, not of what lies below the cache."""
        self.gate.ask("flushed.wild.p384.tld")
        sent = self.gate.counters()["sallyport_recursion_packets_total"]
        self.assertEqual(addresses(self.gate.ask("flushed.wild.p384.tld")), ["192.0.2.99"])
        self.assertEqual(self.gate.counters()["sallyport_recursion_packets_total"], sent)
        done = subprocess.run([BINARY, "cache", "flush", "-c", str(self.gate.config), "flushed.wild.p384.tld"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(addresses(self.gate.ask("flushed.wild.p384.tld")), ["192.0.2.99"])
        self.assertGreater(self.gate.counters()["sallyport_recursion_packets_total"], sent)


class Limits(unittest.TestCase):
    """Gateways of their own, in the same DNS."""

    @classmethod
    def setUpClass(cls):
        cls.root = private_root.PrivateRoot({leaf: private_root.LEAVES[leaf] for leaf in ("ecdsa", "ed25519", "plain", "optout")})
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)

    @staticmethod
    def ask_all(gate, names):
        """At once; the RCODEs."""
        clients = [socket.socket(type=socket.SOCK_DGRAM) for _ in names]
        for name, client in zip(names, clients):
            client.settimeout(PATIENCE)
            client.sendto(query(name, A, 5, RD), ("127.0.0.1", gate.port))
        rcodes = [header(client.recv(4096))["rcode"] for client in clients]
        for client in clients:
            client.close()
        return rcodes

    def test_few_sockets(self):
        with Recursing(self.root, "  recursion_limits: { sockets: 2 }\n", workers=1) as gate:
            rounds = itertools.count()

            def waited():
                names = [f"n{number}.r{next(rounds)}.wild.plain.tld" for number in range(60)]
                self.assertEqual(set(self.ask_all(gate, names)), {NOERROR})
                return gate.counters()["sallyport_recursion_sockets_waited_total"] > 0

            # A quick name server and a slow client: then nobody has to wait.
            wait_for(waited, "queries that wait for a socket")
            counters = gate.counters()
            self.assertEqual(counters["sallyport_recursion_sockets_full_total"], 0)
            self.assertLessEqual(counters["sallyport_recursion_sockets"], 2)

    def test_no_place_to_wait(self):
        with Recursing(self.root, "  recursion_limits: { sockets: 1, waiting: 0 }\n", workers=1) as gate:
            rounds = itertools.count()

            def refused():
                names = [f"n.x{number}-{next(rounds)}.plain.tld" for number in range(30)]
                self.assertLessEqual(set(self.ask_all(gate, names)), {NXDOMAIN, SERVFAIL})
                return gate.counters()["sallyport_recursion_sockets_full_total"] > 0

            wait_for(refused, "queries without a socket")

    def test_a_silent_server_and_the_limit_of_time(self):
        silent = socket.socket(type=socket.SOCK_DGRAM)
        silent.bind((self.root.silent_server, self.root.port))
        # Time-outs that would go on for longer than the limit; a failure that is remembered for longer than this takes.
        limits = "  recursion_limits: { time: 1s, first_timeout: 10s, most_timeout: 30s, failure_ttl: 5m }\n"
        with silent, Recursing(self.root, limits, workers=1) as gate:
            gate.ask("www.plain.tld")
            began = time.monotonic()
            reply = gate.ask("x.silent.plain.tld")
            self.assertEqual((header(reply)["rcode"], ede_of(reply)[0]), (SERVFAIL, 22))
            if not gateway.SANITIZED:
                self.assertLess(time.monotonic() - began, min(3 * gateway.SLOWNESS, 9))
            # RFC 9520: asked at once again, nothing goes out.
            sent = gate.counters()["sallyport_recursion_packets_total"]
            self.assertEqual(header(gate.ask("x.silent.plain.tld"))["rcode"], SERVFAIL)
            self.assertEqual(gate.counters()["sallyport_recursion_packets_total"], sent)

    def test_sources_and_ids(self):
        """Each query comes from another port with another id, and its name in another spelling."""
        seen = []
        server = socket.socket(type=socket.SOCK_DGRAM)
        server.bind((self.root.silent_server, self.root.port))
        server.settimeout(0.2)
        ended = threading.Event()

        def listen():
            while not ended.is_set():
                try:
                    message, peer = server.recvfrom(4096)
                except TimeoutError:
                    continue
                seen.append((peer[1], message[:2], message[12:40]))
                # A stranger's port, then a wrong id: neither may count, and the wait goes on.
                with socket.socket(type=socket.SOCK_DGRAM) as stranger:
                    stranger.bind((self.root.leaf_server, 0))
                    stranger.sendto(message[:2] + b"\x84\x03" + message[4:], peer)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            with Recursing(self.root, "  recursion_limits: { time: 2s, fetches_per_zone: 1000 }\n", workers=1) as gate:
                gate.ask("www.plain.tld")
                clients = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(40)]
                for number, client in enumerate(clients):
                    client.settimeout(PATIENCE)
                    client.sendto(query(f"name{number}.silent.plain.tld", A, 5, RD), ("127.0.0.1", gate.port))
                for client in clients:
                    self.assertEqual(header(client.recv(4096))["rcode"], SERVFAIL)
                    client.close()
        finally:
            ended.set()
            thread.join()
            server.close()
        self.assertGreaterEqual(len(seen), 10)
        self.assertGreater(len({port for port, _, _ in seen}), len(seen) * 0.9)
        self.assertGreater(len({ident for _, ident, _ in seen}), len(seen) * 0.9)
        self.assertGreater(len({spelled for _, _, spelled in seen}), len(seen) * 0.9)

    def test_nothing_goes_out_that_nobody_asked_for(self):
        with Recursing(self.root, "  prime: false\n") as gate:
            time.sleep(1.5)
            self.assertEqual(gate.counters()["sallyport_recursion_packets_total"], 0)
            gate.ask("www.ecdsa.tld")
            sent = gate.counters()["sallyport_recursion_packets_total"]
            self.assertEqual(gate.counters()["sallyport_recursion_priming_total"], 0)
            time.sleep(1.5)
            self.assertEqual(gate.counters()["sallyport_recursion_packets_total"], sent)

    def test_stub_route_and_negative_anchor(self):
        other, port = free_port(), free_port()
        with Gateway(config=f"workers: 1\nlisten: [{{ do53: {{ on: ['127.0.0.1:{other}'] }} }}]\n"
                            "zones: [{ name: corp.tld, records: ['www 60 A 192.0.2.200'] }]\n"):
            more = (f"  groups: [{{ name: corp, upstreams: ['udp://127.0.0.1:{other}'] }}]\n"
                    "  routes: [{ zones: [corp.tld], to: corp, validate: no }]\n"
                    f"  stubs: [{{ zone: ed25519.tld, servers: ['{self.root.leaf_server}:{self.root.port}'] }}]\n"
                    "  dnssec: { negative_trust_anchors: [ecdsa.tld, { name: optout.tld, until: 2001-01-01 }] }\n"
                    "  strip_private_addresses: true\n  private_domains: [ed25519.tld]\n")
            with Recursing(self.root, more) as gate:
                self.assertEqual(addresses(gate.ask("www.corp.tld")), ["192.0.2.200"])
                stub = gate.ask("www.ed25519.tld")
                self.assertEqual(addresses(stub), ["192.0.2.80"])
                self.assertTrue(header(stub)["flags"] & AD)
                self.assertFalse(header(gate.ask("www.ecdsa.tld"))["flags"] & AD)
                self.assertTrue(header(gate.ask("www.optout.tld"))["flags"] & AD)
                self.assertEqual(addresses(gate.ask("inner.plain.tld")), [])
                self.assertEqual(addresses(gate.ask("inner.ed25519.tld")), ["10.1.2.3"])

    def test_loopback_is_not_asked_unless_told(self):
        with Recursing(self.root) as gate:
            config = gate.config.read_text()
            self.assertEqual(header(gate.ask("www.ecdsa.tld"))["rcode"], NOERROR)
            gate.config.write_text(config.replace("allow_loopback: true", "allow_loopback: false"))
            self.assertIn("reloaded:", gate.reload())
            # Hints are asked all the same where they stand; what delegations lead to is not.
            self.assertEqual(header(gate.ask("mail.ed25519.tld"))["rcode"], SERVFAIL)

    def test_what_was_learned_outlives_a_reload(self):
        with Recursing(self.root, workers=1) as gate:
            gate.ask("www.ecdsa.tld")
            referrals = gate.counters()["sallyport_recursion_referrals_total"]
            self.assertIn("reloaded:", gate.reload())
            self.assertTrue(header(gate.ask("mail.ecdsa.tld"))["flags"] & AD)
            self.assertEqual(gate.counters()["sallyport_recursion_referrals_total"], referrals)
            # Another anchor is believed from then on: nothing that was found by the old one counts.
            self.assertTrue(header(gate.ask("both.ecdsa.tld"))["flags"] & AD)
            config = gate.config.read_text()
            distrust = "dnssec: { negative_trust_anchors: [ecdsa.tld]"
            gate.config.write_text(config.replace("dnssec: {", distrust + ",") if "dnssec: {" in config
                                   else f"{config}  {distrust} }}\n")
            self.assertIn("reloaded:", gate.reload())
            for name in ("ns.ecdsa.tld", "both.ecdsa.tld"):
                reply = gate.ask(name)
                self.assertEqual((header(reply)["rcode"], header(reply)["flags"] & AD), (NOERROR, 0), name)

    def test_reload_while_asking(self):
        with Recursing(self.root) as gate:
            wrong, ended = [], threading.Event()

            def ask(start):
                number = start
                while not ended.is_set():
                    number += 1
                    reply = gate.ask(f"r{number}.wild.ed25519.tld")
                    if addresses(reply) != ["192.0.2.99"] or not header(reply)["flags"] & AD:
                        wrong.append((number, header(reply), ede_of(reply)))

            threads = [threading.Thread(target=ask, args=(start,)) for start in (0, 10_000, 20_000)]
            for thread in threads:
                thread.start()
            for _ in range(5):
                self.assertIn("reloaded:", gate.reload())
            ended.set()
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])

    def test_what_is_wrong_is_told_with_its_place(self):
        bad = self.root.directory / "bad"
        bad.write_text(". NS ns.root.\nns.root. A not-an-address\n")
        with Recursing(self.root, start=False) as gate:
            config = gate.config.read_text()
            for old, new, expected in (
                    (str(self.root.hints), str(bad), rf"{bad}:2"),
                    (str(self.root.hints), "/nowhere/hints", r"sallyport\.yaml:\d+.*'/nowhere/hints'"),
                    (str(self.root.anchors), str(bad), r"bad:1"),
                    ("mode: recurse", "mode: recurs", r"sallyport\.yaml:\d+.*recurse"),
                    ("mode: recurse", "mode: recurse\n  stubs: [{ zone: a, servers: [nobody] }]", r"sallyport\.yaml:\d+.*'nobody'"),
                    ("recursion_limits: {", "recursion_limits: { packet: 5,", r"sallyport\.yaml:\d+.*packets"),
                    ("mode: recurse", "mode: recurse\n  dnssec: { negative_trust_anchors: [{ name: a, until: soon }] }",
                     r"sallyport\.yaml:\d+.*'soon'")):
                with self.subTest(new=new):
                    gate.config.write_text(config.replace(old, new))
                    done = subprocess.run([BINARY, "check", "-c", str(gate.config)], capture_output=True, text=True,
                                          timeout=60, check=False)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertRegex(done.stdout + done.stderr, expected)

    def test_another_date(self):
        """Signatures are judged by the system's clock, whatever it says."""
        if not need("faketime"):
            self.skipTest("faketime is missing (Debian: faketime)")
        library = subprocess.run(["faketime", "-f", "+0s", "sh", "-c", "echo $LD_PRELOAD"], capture_output=True, text=True,
                                 check=False).stdout.strip()
        if gateway.SANITIZED or not library:
            self.skipTest("no clock to interpose")
        for shift, rcode, ede in (("+60d", SERVFAIL, 7), ("-60d", SERVFAIL, 8), ("+5d", NOERROR, None)):
            with self.subTest(shift=shift):
                with Recursing(self.root, env={"LD_PRELOAD": library, "FAKETIME": shift}) as gate:
                    reply = gate.ask("www.ecdsa.tld")
                    self.assertEqual((header(reply)["rcode"], ede_of(reply)[0]), (rcode, ede))


if __name__ == "__main__":
    private_root.main()
