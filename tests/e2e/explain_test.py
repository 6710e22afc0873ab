#!/usr/bin/env python3
# e2e: parallel
"""`sallyport explain`: what each stage decides, offline and in the running gateway."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, PATIENCE, PATIENT, Gateway, ask_udp, free_port, header, query, wait_for

SCRIPT = """
local kids = clients { "10.0.7.0/24", tls_name = "kids.gate.test" }
on.query(function(q)
  if q.client:among(kids) then return q:refuse("bedtime") end
  if q.name:under("ads.example") then return q:block() end
  if q.name:under("corp.example") then return q:forward("corp") end
  if q.name:under("crop.example") then return q:forward("crop") end
end)
on.answer(function(q, a)
  if a:any_address_in("192.0.2.99") then return q:refuse("not that one") end
end)
"""
TOKEN = "token-of-the-tests-with-32-octets-or-more"


class Upstream(threading.Thread):
    """Answers every A question with one address, or not at all."""

    def __init__(self, address="192.0.2.55", silent=False):
        super().__init__(daemon=True)
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.address, self.silent, self.asked = address, silent, 0
        self.start()

    def run(self):
        while True:
            try:
                message, peer = self.socket.recvfrom(65535)
            except OSError:
                return
            self.asked += 1
            if self.silent:
                continue
            end = message.index(b"\0", 12) + 5
            answer = message[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + message[12:end]
            answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(self.address)
            self.socket.sendto(answer, peer)

    def close(self):
        self.socket.close()


def explain(*words):
    return subprocess.run([BINARY, "explain", *map(str, words)], capture_output=True, text=True, timeout=3 * PATIENCE)


class Explained(Gateway):
    def __init__(self, upstreams, start=True):
        groups = "".join(f"    - {{ name: {name}, upstreams: ['udp://127.0.0.1:{upstream.port}'] }}\n"
                         for name, upstream in upstreams.items())
        self.admin = free_port()
        super().__init__(start=False, extra=(
            "policy: { script: home.lua }\n"
            f"admin: {{ on: '127.0.0.1:{self.admin}', token_file: admin.token }}\n"
            f"resolve:\n  {PATIENT}\n  groups:\n{groups}"))
        (self.directory / "home.lua").write_text(SCRIPT)
        token = self.directory / "admin.token"
        token.write_text(TOKEN + "\n")
        token.chmod(0o600)
        if start:
            self.start()

    def explain(self, *words):
        result = explain(*words, "-c", self.config, "--json")
        if result.returncode != 0:
            raise AssertionError(result.stderr + self.log())
        return json.loads(result.stdout)


def decisions(explanation):
    return {step["stage"]: step["decision"] for step in explanation["steps"]}


class Both:
    """What is told offline and by the running gateway alike."""

    def test_a_rule_is_named_with_its_line(self):
        told = self.explain("www.ads.example", "A", "--client", "192.168.1.1")
        self.assertEqual(told["rcode"], "NXDOMAIN")
        self.assertEqual(told["source"], "a rule")
        self.assertEqual(told["rule"], "home.lua:5")
        self.assertIn("answered", decisions(told).values())

    def test_client_and_server_name_are_those_given(self):
        for words in (["--client", "10.0.7.9"], ["--door", "dot", "--server-name", "Kids.gate.test"]):
            told = self.explain("www.gate.test", *words)
            self.assertEqual(told["rcode"], "REFUSED", words)
            self.assertIn("bedtime", " ".join(told["errors"]))
        self.assertEqual(self.explain("www.gate.test", "A", "--client", "192.168.1.1")["rcode"], "NOERROR")

    def test_strangers_are_refused(self):
        told = self.explain("www.gate.test", "A", "--client", "8.8.8.8")
        self.assertEqual(told["rcode"], "REFUSED")
        self.assertEqual(len(told["steps"]), 1)

    def test_a_zone_answers(self):
        told = self.explain("www.gate.test", "--door", "doq")
        self.assertEqual((told["rcode"], told["source"]), ("NOERROR", "a local zone"))
        self.assertIn("www.gate.test. 300 IN A 192.0.2.80", told["records"])

    def test_the_answer_script_has_its_word(self):
        told = self.explain("a.wild.gate.test")
        self.assertEqual((told["rcode"], told["rule"]), ("REFUSED", "home.lua:10"))
        self.assertIn("not that one", " ".join(told["errors"]))


    def test_a_group_that_is_not_there_is_told(self):
        told = self.explain("www.crop.example")
        self.assertEqual(told["rcode"], "SERVFAIL")
        self.assertIn("group of upstreams", " ".join(told["errors"]))
        self.assertIn("no route", [step["decision"] for step in told["steps"]])


class Ending(unittest.TestCase):
    def test_a_walk_that_waits_does_not_hold_up_the_end(self):
        silent = Upstream(silent=True)
        gate = Explained({"usual": silent})
        asking = subprocess.Popen([BINARY, "explain", "slow.example", "-c", str(gate.config)], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        wait_for(lambda: silent.asked > 0, "the query upstream")
        self.assertEqual(gate.stop(), 0, gate.log())
        asking.communicate(timeout=PATIENCE)
        silent.close()


class Offline(Both, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.usual, cls.corp = Upstream(), Upstream("192.0.2.66")
        cls.gate = Explained({"usual": cls.usual, "corp": cls.corp}, start=False)

    @classmethod
    def tearDownClass(cls):
        cls.usual.close()
        cls.corp.close()

    def explain(self, *words):
        return self.gate.explain(*words, "--offline")

    def test_upstreams_are_named_and_not_asked(self):
        told = self.explain("www.corp.example")
        self.assertEqual(told["end"], "upstream")
        self.assertIn("group corp", [step["decision"] for step in told["steps"]])
        told = self.explain("www.example")
        self.assertIn("group usual", [step["decision"] for step in told["steps"]])
        self.assertEqual((self.usual.asked, self.corp.asked), (0, 0))

    def test_text_for_people(self):
        result = explain("www.ads.example", "--offline", "-c", self.gate.config)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("www.ads.example A from 127.0.0.1 over do53", result.stdout)
        self.assertIn("home.lua:5", result.stdout)
        self.assertIn("NXDOMAIN, from a rule (home.lua:5)", result.stdout)

    def test_what_is_wrong_is_said(self):
        for words, word in ((["www..example"], ""), (["a.example", "NOPE"], "NOPE"), (["a.example", "--client", "x"], "x"),
                            (["a.example", "--door", "back"], "back")):
            result = explain(*words, "--offline", "-c", self.gate.config)
            self.assertEqual(result.returncode, 2, words)
            self.assertIn(word, result.stderr)
        self.assertEqual(explain("a.example", "--offline").returncode, 2)
        self.assertEqual(explain("a.example", "--offline", "-c", "/nonexistent").returncode, 1)
        self.assertEqual(explain("a.example", "--admin", f"127.0.0.1:{free_port()}").returncode, 4)


class Running(Both, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.usual, cls.corp, cls.dead = Upstream(), Upstream("192.0.2.66"), Upstream(silent=True)
        cls.gate = Explained({"usual": cls.usual, "corp": cls.corp})

    @classmethod
    def tearDownClass(cls):
        code = cls.gate.stop()
        for upstream in (cls.usual, cls.corp, cls.dead):
            upstream.close()
        assert code == 0, cls.gate.log()

    def explain(self, *words):
        return self.gate.explain(*words)

    def test_upstreams_are_asked_and_the_cache_is_seen(self):
        told = self.explain("www.corp.example")
        self.assertEqual((told["rcode"], told["source"]), ("NOERROR", "upstream"))
        self.assertIn("www.corp.example. 60 IN A 192.0.2.66", told["records"])
        self.assertIn("group corp", [step["decision"] for step in told["steps"]])
        self.assertEqual(self.explain("www.corp.example")["source"], "the cache")
        self.assertEqual(self.corp.asked, 1)

    def test_it_needs_the_token(self):
        result = explain("a.example", "--admin", f"127.0.0.1:{self.gate.admin}")
        self.assertEqual(result.returncode, 4)
        self.assertIn("token", result.stderr)

    def test_the_gateway_serves_on(self):
        self.assertEqual(header(ask_udp(self.gate.do53, query("mail.gate.test")))["rcode"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
