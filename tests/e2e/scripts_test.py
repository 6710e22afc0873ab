#!/usr/bin/env python3
# e2e: parallel
"""Policy scripts on a running gateway: what they decide, what their errors do, and how they are changed."""

import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, PATIENCE, Gateway, ask_udp, framed, header, query, read_framed

NOERROR, NXDOMAIN, REFUSED = 0, 3, 5
A, TXT, AAAA = 1, 16, 28

SCRIPT = """
local ads = domains.load("lists/ads.txt")
local kids = clients { tls_name = { "kids.gate.test", "*.kids.gate.test" } }

on.query(function(q)
  if ads:covers(q.name) then return q:block("advertising") end
  if q.client:among(kids) then return q:refuse("bedtime") end
  if q.name:is("own.example") and q.type == "A" then
    return q:answer { { "A", "192.0.2.77", ttl = 30 }, { "A", "192.0.2.78" } }
  end
  if q.name:is("nothing.example") then return q:answer("NXDOMAIN") end
  if q.name:is("silent.example") then return q:drop() end
  if q.name:is("error.gate.test") then error("a bad day") end
  if q.name:is("loop.gate.test") then while true do end end
  if q.name:is("door.example") then return q:answer { "TXT", q.door } end
end)

on.answer(function(q, a)
  if q.name:is("www.gate.test") and a:any_address_in("192.0.2.80") then return q:refuse("not that one") end
end)
"""


class Scripted(Gateway):
    def __init__(self, script=SCRIPT, policy="", **more):
        super().__init__(start=False, extra=f"policy: {{ script: rules/home.lua, {policy} }}\n", **more)
        (self.directory / "rules" / "lists").mkdir(parents=True)
        (self.directory / "rules" / "lists" / "ads.txt").write_text("# ads\nads.example\n0.0.0.0 one.tracker.example\n")
        self.script = self.directory / "rules" / "home.lua"
        self.script.write_text(script)
        self.start()


def ask(gate, name, qtype=A):
    return ask_udp(gate.do53, query(name, qtype, edns={}))


def rcode(gate, name, qtype=A):
    return header(ask(gate, name, qtype))["rcode"]


def addresses(message):
    """What looks like an A record with the compressed name of the question."""
    found = re.findall(rb"\xc0\x0c\x00\x01\x00\x01....\x00\x04(....)", message, re.S)
    return [".".join(map(str, octets)) for octets in found]


class Decisions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = Scripted()

    @classmethod
    def tearDownClass(cls):
        assert cls.gate.stop() == 0, cls.gate.log()

    def test_a_listed_name_is_blocked_and_all_below_it(self):
        for name in ("ads.example", "www.ads.example", "one.tracker.example"):
            answer = ask(self.gate, name)
            self.assertEqual(header(answer)["rcode"], NXDOMAIN, name)
            self.assertIn(b"advertising", answer)
        self.assertNotEqual(rcode(self.gate, "notads.example"), NXDOMAIN)
        # A hosts file names hosts, not what is below them.
        self.assertEqual(rcode(self.gate, "x.one.tracker.example"), REFUSED)

    def test_records_of_a_script_are_answered(self):
        answer = ask(self.gate, "own.example")
        self.assertEqual(header(answer)["rcode"], NOERROR)
        self.assertEqual(addresses(answer), ["192.0.2.77", "192.0.2.78"])
        self.assertEqual(rcode(self.gate, "nothing.example"), NXDOMAIN)

    def test_silence_over_udp_and_refused_where_a_client_would_wait(self):
        with self.assertRaises(TimeoutError):
            ask_udp(self.gate.do53, query("silent.example"), timeout=0.5)
        with self.gate.connect_tls() as stream:
            stream.sendall(framed(query("silent.example")))
            self.assertEqual(header(read_framed(stream))["rcode"], REFUSED)

    def test_the_door_and_the_name_of_the_gateway_are_known(self):
        self.assertIn(b"\x04do53", ask(self.gate, "door.example", TXT))
        with self.gate.connect_tls() as stream:
            stream.sendall(framed(query("door.example", TXT)))
            self.assertIn(b"\x03dot", read_framed(stream))
        with self.gate.connect_tls(name="kids.gate.test") as stream:
            stream.sendall(framed(query("gate.test", edns={})))
            answer = read_framed(stream)
            self.assertEqual(header(answer)["rcode"], REFUSED)
            self.assertIn(b"bedtime", answer)

    def test_answers_of_local_zones_are_seen_too(self):
        answer = ask(self.gate, "www.gate.test")
        self.assertEqual(header(answer)["rcode"], REFUSED)
        self.assertIn(b"not that one", answer)
        self.assertEqual(rcode(self.gate, "mail.gate.test"), NOERROR)

    def test_errors_and_overruns_lose_no_query(self):
        before = self.gate.counters()
        for name in ("error.gate.test", "loop.gate.test"):
            self.assertEqual(rcode(self.gate, name), NXDOMAIN)  # what the zone says
        after = self.gate.counters()

        def more(counter):
            name = f"sallyport_{counter}_total"
            return after[name] - before[name]
        self.assertEqual(more("script_errors"), 2)
        self.assertEqual(more("script_over_instructions") + more("script_over_time"), 1)
        lines = re.findall(r"policy script: home\.lua:\d+: .*", self.gate.log())
        self.assertEqual(len(lines), 1, "one line a minute")
        self.assertEqual(rcode(self.gate, "gate.test"), NOERROR)


class Configured(unittest.TestCase):
    def test_blocked_names_lead_where_they_are_told(self):
        with Scripted(policy="block: [192.0.2.99, '2001:db8::99'], block_ttl: 7") as gate:
            self.assertEqual(addresses(ask(gate, "ads.example")), ["192.0.2.99"])
            self.assertIn(bytes.fromhex("20010db8000000000000000000000099"), ask(gate, "ads.example", AAAA))
            self.assertEqual(header(ask(gate, "ads.example", TXT))["an"], 0)
        with Scripted(policy="block: zero") as gate:
            self.assertEqual(addresses(ask(gate, "ads.example")), ["0.0.0.0"])
        with Scripted(policy="block: refused, on_error: refuse") as gate:
            self.assertEqual(rcode(gate, "ads.example"), REFUSED)
            self.assertEqual(rcode(gate, "error.gate.test"), REFUSED)

    def test_a_bad_script_is_told_with_its_line(self):
        gate = Gateway(start=False, extra="policy: { script: bad.lua }\n")
        for text, line, word in (("\n\nlocal x = = 1\n", 3, "unexpected"), ("\nos.exit(1)\n", 2, "os"),
                                 ("while true do end", 1, "instructions"), ("domains.load('missing.txt')", 1, "missing.txt"),
                                 ("domains.load('../sallyport.yaml')", 1, "folder")):
            (gate.directory / "bad.lua").write_text(text)
            result = subprocess.run([BINARY, "check", "-c", str(gate.config)], capture_output=True, text=True, timeout=3 * PATIENCE)
            self.assertEqual(result.returncode, 1, text)
            self.assertRegex(result.stderr, rf"bad\.lua:{line}: .*{word}", text)
        (gate.directory / "bad.lua").unlink()
        result = subprocess.run([BINARY, "check", "-c", str(gate.config)], capture_output=True, text=True, timeout=3 * PATIENCE)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot read the script", result.stderr)


class Changing(unittest.TestCase):
    def test_a_reload_swaps_the_script_and_keeps_connections(self):
        with Scripted() as gate, gate.connect_tls() as stream:
            def asked(name):
                stream.sendall(framed(query(name, edns={})))
                return header(read_framed(stream))["rcode"]
            self.assertEqual(asked("ads.example"), NXDOMAIN)
            gate.script.write_text("on.query(function(q) if q.name:is('gate.test') then return q:block() end end)")
            self.assertIn("reloaded", gate.reload())
            self.assertEqual(asked("ads.example"), REFUSED)
            self.assertEqual(asked("gate.test"), NXDOMAIN)
            gate.script.write_text("on.query(function(q) this is no Lua end)")
            log = gate.reload()
            self.assertIn("reload refused", log)
            self.assertRegex(log, r"home\.lua:1: ")
            self.assertEqual(asked("gate.test"), NXDOMAIN)
            # Lists are read again, too.
            gate.script.write_text(SCRIPT)
            (gate.directory / "rules" / "lists" / "ads.txt").write_text("other.example\n")
            self.assertIn("reloaded", gate.reload())
            self.assertEqual(asked("ads.example"), REFUSED)
            self.assertEqual(asked("www.other.example"), NXDOMAIN)


if __name__ == "__main__":
    unittest.main(verbosity=2)
