#!/usr/bin/env python3
# e2e: parallel
"""The cache from outside: one question upstream for many answers, aged TTLs, each client's own spelling, what is never
kept, and `sallyport cache` looking into it and flushing it."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, PATIENCE, PATIENT, Gateway, ask_udp, free_port, header, query, wait_for

NXDOMAIN, SERVFAIL = 3, 2


def wire_name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.strip(".").split(".") if label) + b"\0"


def question_of(message):
    """The name as text, the type, and the question section as it came."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += message[at] + 1
    return ".".join(labels), struct.unpack(">H", message[at + 1:at + 3])[0], message[12:at + 5]


class Upstream:
    """Answers over UDP (and TCP, where it was truncated) what the first label asks for; counts what it was asked."""

    SOA = wire_name("ns.up.test") + wire_name("admin.up.test") + struct.pack(">IIIII", 1, 3600, 600, 86400, 60)

    def __init__(self):
        self.port = free_port()
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        self.asked = []
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def close(self):
        self.udp.close()
        self.tcp.close()

    def serve_udp(self):
        try:
            while True:
                message, peer = self.udp.recvfrom(65535)
                self.udp.sendto(self.answer(message, True), peer)
        except OSError:
            pass

    def serve_tcp(self):
        try:
            while True:
                stream, _ = self.tcp.accept()
                threading.Thread(target=self.serve_stream, args=(stream,), daemon=True).start()
        except OSError:
            pass

    def serve_stream(self, stream):
        with stream:
            data = b""
            while chunk := stream.recv(65535):
                data += chunk
                while len(data) >= 2 and len(data) >= 2 + struct.unpack(">H", data[:2])[0]:
                    size = struct.unpack(">H", data[:2])[0]
                    answer = self.answer(data[2:2 + size], False)
                    stream.sendall(struct.pack(">H", len(answer)) + answer)
                    data = data[2 + size:]

    def answer(self, message, over_udp):
        name, qtype, question = question_of(message)
        kind = name.split(".")[0].lower().rstrip("0123456789")
        self.asked.append((name.lower(), qtype))
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 2 if kind == "short" else 300, 4) + bytes([192, 0, 2, 7])
        flags, answers, authority = 0x8180, [record], []
        if kind == "none":
            flags, answers = flags | NXDOMAIN, []
            authority = [wire_name("up.test") + struct.pack(">HHIH", 6, 1, 300, len(self.SOA)) + self.SOA]
        if kind == "broken":
            flags, answers = flags | SERVFAIL, []
        if kind == "zero":
            answers = [record[:6] + struct.pack(">I", 0) + record[10:]]
        return message[:2] + struct.pack(">HHHHH", flags, 1, len(answers), len(authority), 0) + question + \
            b"".join(answers + authority)

    def times(self, name):
        return sum(1 for asked, _ in self.asked if asked == name)


class CacheTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream()
        cls.gate = Gateway(start=False)
        cls.admin = free_port()
        token = cls.gate.directory / "token"
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o600)
        cls.gate.config.write_text(
            cls.gate.config.read_text() + f"resolve: {{ upstreams: ['127.0.0.1:{cls.upstream.port}'], {PATIENT} }}\n"
            "cache: { size: 16MiB }\n"
            f"admin: {{ on: '127.0.0.1:{cls.admin}', token_file: token }}\n")
        cls.gate.start()

    @classmethod
    def tearDownClass(cls):
        code = cls.gate.stop()
        cls.upstream.close()
        if code != 0:
            raise AssertionError(f"the gateway ended with {code}:\n{cls.gate.log()}")

    def ask(self, name, **options):
        return ask_udp(self.gate.do53, query(name, ident=0x1234, **options))

    @staticmethod
    def ttl_of(answer):
        _, _, question = question_of(answer)
        return struct.unpack(">I", answer[12 + len(question) + 6:12 + len(question) + 10])[0]

    def cache(self, *arguments, code=0):
        done = subprocess.run([BINARY, "cache", *arguments, "-c", str(self.gate.config)], capture_output=True, text=True,
                              timeout=PATIENCE)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def test_one_question_upstream_for_many_answers_spelled_as_asked(self):
        for name in ("many.up.test", "MANY.up.TEST", "mAnY.uP.tEsT"):
            answer = self.ask(name)
            self.assertEqual(header(answer)["an"], 1)
            self.assertEqual(question_of(answer)[0], name)
            self.assertEqual(answer[-4:], bytes([192, 0, 2, 7]))
        self.assertEqual(self.upstream.times("many.up.test"), 1)

    def test_ttls_count_down_and_answers_end(self):
        self.assertLessEqual(self.ttl_of(self.ask("short.up.test")), 2)
        wait_for(lambda: self.ttl_of(self.ask("short.up.test")) == 1, "a TTL of 1")
        wait_for(lambda: self.ask("short.up.test") and self.upstream.times("short.up.test") > 1, "a second question")

    def test_negative_answers_are_kept_and_zero_ttls_are_not(self):
        for _ in range(3):
            self.assertEqual(header(self.ask("none.up.test"))["rcode"], NXDOMAIN)
            self.assertEqual(header(self.ask("zero.up.test"))["an"], 1)
        self.assertEqual(self.upstream.times("none.up.test"), 1)
        self.assertEqual(self.upstream.times("zero.up.test"), 3)

    def test_dnssec_ok_has_answers_of_its_own(self):
        self.ask("do.up.test")
        self.ask("do.up.test", edns={"do": True})
        self.ask("do.up.test")
        self.ask("do.up.test", edns={"do": True})
        self.assertEqual(self.upstream.times("do.up.test"), 2)

    def test_look_up_shows_what_is_kept(self):
        self.ask("seen.up.test")
        text = self.cache("lookup", "Seen.up.test")
        self.assertRegex(text, r"seen\.up\.test\. IN A  NOERROR \w+  left \d+ s, hits \d+, \d+ octets\n")
        self.assertRegex(text, r"    answer  seen\.up\.test\. \d+ A 192\.0\.2\.7\n")
        body = json.loads(self.cache("lookup", "seen.up.test", "A", "--json"))
        self.assertEqual(body["entries"][0]["records"][0]["data"], "192.0.2.7")
        self.cache("lookup", "seen.up.test", "AAAA", code=1)
        self.cache("lookup", "never.up.test", code=1)

    def test_list_and_flush_end_at_labels(self):
        for name in ("a1.tree.up.test", "a2.tree.up.test", "tree.up.test", "evil-tree.up.test"):
            self.ask(name)
        listed = self.cache("list", "tree.up.test")
        self.assertEqual(re.findall(r"^\S+", listed, re.M), ["tree.up.test.", "a1.tree.up.test.", "a2.tree.up.test."])
        self.assertEqual(len(self.cache("list", "--limit", "1").splitlines()), 1)
        self.assertEqual(self.cache("flush", "a1.tree.up.test"), "answers flushed: 1\n")
        self.assertEqual(self.cache("flush", "--subtree", "tree.up.test"), "answers flushed: 2\n")
        self.cache("lookup", "evil-tree.up.test")
        self.ask("tree.up.test")
        self.assertEqual(self.upstream.times("tree.up.test"), 2)
        self.cache("flush", code=2)
        self.cache("flush", "a", "--all", code=2)

    def test_counters_add_up(self):
        self.ask("counted.up.test")
        before = self.gate.counters()
        self.ask("counted.up.test")
        self.ask("uncounted.up.test")
        after = self.gate.counters()
        difference = {name: after[name] - before.get(name, 0) for name in after}
        self.assertEqual(difference["sallyport_cache_hits_total"], 1)
        self.assertEqual(difference["sallyport_cache_misses_total"], 1)
        self.assertEqual(difference["sallyport_cache_inserts_total"], 1)
        self.assertGreater(after["sallyport_cache_bytes"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
