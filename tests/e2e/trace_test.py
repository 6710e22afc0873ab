#!/usr/bin/env python3
# e2e: parallel
"""`sallyport ask --trace` in a DNS of our own: the steps it shows, the chain of trust, the link that fails, exit codes."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gateway  # noqa: E402
import private_root  # noqa: E402
from gateway import BINARY, PATIENCE  # noqa: E402
from recursion_test import Recursing  # noqa: E402

ANSWERED, USAGE, NO_ANSWER = 0, 2, 9
LEAVES = ("ecdsa", "ed25519", "plain", "expired", "wrongds", "tampered")
STEP = re.compile(r"^ *(?P<number>\d+)  (?P<zone>\S+) +(?P<server>\S+(?: \(\S+\))?) +(?P<by>udp|tcp) +(?P<time>[0-9.]+) ms  "
                  r"(?P<name>\S+) (?P<type>[A-Z0-9]+) +(?P<result>\S.*)$", re.MULTILINE)


def ask(*words):
    return subprocess.run([BINARY, "ask", "--trace", *map(str, words)], capture_output=True, text=True,
                          timeout=10 * PATIENCE, check=False)


class Trace(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = private_root.PrivateRoot({leaf: private_root.LEAVES[leaf] for leaf in LEAVES})
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)

    def words(self):
        # What is slow is the program or the machine, not the work or the servers: the configuration says so.
        if gateway.SANITIZED or gateway.SLOWNESS > 1:
            config = self.root.directory / "patient.yaml"
            config.write_text("listen: [{ do53: { on: ['127.0.0.1:0'] } }]\n" + self.root.resolve_section())
            return ["-c", config]
        return ["--root-hints", self.root.hints, "--trust-anchors", self.root.anchors, "--port", self.root.port,
                "--allow-loopback"]

    def trace(self, *words, code=ANSWERED):
        done = ask(*words, *self.words())
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def steps(self, text):
        found = [step.groupdict() for step in STEP.finditer(text)]
        self.assertEqual([int(step["number"]) for step in found], list(range(1, len(found) + 1)), text)
        return found

    def json(self, *words, code=ANSWERED):
        return [json.loads(line) for line in self.trace(*words, "--json", code=code).splitlines()]

    def chain(self, text, name):
        """{zone: (state, why)} of the chain to a name."""
        part = text.split(f";; CHAIN OF TRUST for {name}\n", 1)[1]
        links = {}
        for line in part.splitlines():
            if not line.startswith(";;   "):
                break
            zone, state, why = (line[5:].split(None, 2) + [""])[:3]
            links[zone] = (state, why)
        return links

    def test_secure(self):
        text = self.trace("www.ecdsa.tld", "A")
        steps = self.steps(text)
        asked = {(step["zone"], step["name"], step["type"]): step for step in steps}
        self.assertEqual(asked[".", "tld.", "A"]["result"], "referral to tld.")
        self.assertEqual(asked[".", "tld.", "A"]["server"], f"ns.root. ({self.root.root_server})")
        self.assertEqual(asked["tld.", "ecdsa.tld.", "A"]["result"], "referral to ecdsa.tld.")
        self.assertEqual(asked["tld.", "ecdsa.tld.", "A"]["server"], f"ns.tld. ({self.root.tld_server})")
        self.assertEqual(asked["ecdsa.tld.", "www.ecdsa.tld.", "A"]["result"], "answer: 192.0.2.80")
        self.assertIn(("ecdsa.tld.", "ecdsa.tld.", "DNSKEY"), asked)
        self.assertRegex(text, r"(?m)^     DNSKEY \.: secure: \d+/13 \(KSK\), signed by key \d+/13$")
        self.assertRegex(text, r"(?m)^     DS ecdsa\.tld\.: secure: \d+/13/2, signed by key \d+/15$")
        self.assertRegex(text, r"(?m)^     www\.ecdsa\.tld\. A: secure, signed by key \d+/13$")
        self.assertRegex(text, r"(?m)^www\.ecdsa\.tld\.\s+\d+\s+IN\s+A\s+192\.0\.2\.80$")
        self.assertIn(" ad", re.search(r"(?m)^;; flags:.*$", text)[0])
        self.assertRegex(text, rf"(?m)^;; ASKED: {len(steps)} queries; octets sent: \d+, received: \d+$")
        self.assertRegex(text, r"(?m)^;; Query time: [0-9.]+ ms$")
        links = self.chain(text, "www.ecdsa.tld.")
        self.assertEqual([(zone, state) for zone, (state, _) in links.items()],
                         [(".", "secure"), ("tld.", "secure"), ("ecdsa.tld.", "secure")])
        self.assertTrue(text.endswith(";; STATE: secure\n"), text)

    def test_insecure(self):
        text = self.trace("www.plain.tld", "A")
        self.assertRegex(text, r"(?m)^     zone plain\.tld\.: insecure")
        self.assertEqual(self.chain(text, "www.plain.tld.")["plain.tld."][0], "insecure")
        self.assertTrue(text.endswith(";; STATE: insecure\n"), text)
        self.assertNotIn(" ad", re.search(r"(?m)^;; flags:.*$", text)[0])

    def test_the_link_that_fails_is_named(self):
        for leaf, code, word in (("expired", 7, "signature expired"), ("wrongds", 9, ""), ("tampered", 6, "does not verify")):
            with self.subTest(leaf):
                text = self.trace(f"www.{leaf}.tld", "A", code=NO_ANSWER)
                state = text.splitlines()[-1]
                self.assertRegex(state, rf"^;; STATE: BOGUS: .*{leaf}\.tld\..*{word}.* \(EDE {code}, ")
                self.assertIn("status: SERVFAIL", text)
                self.assertRegex(text, rf"EDE: {code}\b")
                links = self.chain(text, f"www.{leaf}.tld.")
                self.assertEqual(links["tld."][0], "secure")
                # A signature over the data alone breaks no link of the chain.
                self.assertEqual(links[f"{leaf}.tld."][0], "secure" if leaf == "tampered" else "BOGUS", links)
                if leaf == "tampered":
                    self.assertEqual(links["www.tampered.tld."][0], "BOGUS", links)
                # Who does not mind gets it.
                self.assertEqual(self.trace(f"www.{leaf}.tld", "A", "--cd", "--short").strip(),
                                 "192.0.2.66" if leaf == "tampered" else "192.0.2.80")

    def test_what_is_not_there(self):
        for name, kind, status, result in (("nothing.ecdsa.tld", "A", "NXDOMAIN", "NXDOMAIN"),
                                           ("nothing.ed25519.tld", "A", "NXDOMAIN", "NXDOMAIN"),
                                           ("mail.ecdsa.tld", "AAAA", "NOERROR", "NODATA")):
            with self.subTest(name):
                text = self.trace(name, kind)
                self.assertIn(f"status: {status}", text)
                self.assertIn(result, [step["result"] for step in self.steps(text) if step["name"] == name + "."])
                self.assertRegex(text, rf"(?m)^     {re.escape(name)}\. {kind}: secure, its absence is proven")
                self.assertTrue(text.endswith(";; STATE: secure\n"), text)

    def test_aliases_across_zones(self):
        text = self.trace("away.ed25519.tld", "A")
        self.assertIn("CNAME to www.ecdsa.tld.", [step["result"] for step in self.steps(text)])
        self.assertEqual(self.chain(text, "away.ed25519.tld.")["ed25519.tld."][0], "secure")
        self.assertEqual(self.chain(text, "www.ecdsa.tld.")["ecdsa.tld."][0], "secure")
        self.assertTrue(text.endswith(";; STATE: secure\n"), text)
        text = self.trace("outside.ecdsa.tld", "A")
        self.assertEqual(self.chain(text, "www.plain.tld.")["plain.tld."][0], "insecure")
        self.assertTrue(text.endswith(";; STATE: insecure\n"), text)

    def test_truncation_is_seen(self):
        steps = self.steps(self.trace("big.ecdsa.tld", "TXT"))
        udp, tcp = [step for step in steps if step["name"] == "big.ecdsa.tld." and step["type"] == "TXT"]
        self.assertEqual((udp["by"], udp["result"]), ("udp", "truncated, again over TCP"))
        self.assertEqual((tcp["by"], tcp["result"]), ("tcp", "answer: TXT, 12 records"))

    def test_nobody_answers(self):
        began = time.monotonic()
        text = self.trace("x.silent.plain.tld", "A", "--timeout", "1.5", code=NO_ANSWER)
        self.assertLess(time.monotonic() - began, 1.5 + PATIENCE)
        silent = [step for step in self.steps(text) if step["zone"] == "silent.plain.tld."]
        self.assertTrue(silent)
        self.assertLessEqual({step["result"] for step in silent}, {"no reply", "cannot be reached"})
        self.assertRegex(text, r"(?m)^;; STATE: no answer: .* \(EDE 22, ")

    def test_json(self):
        lines = self.json("www.ecdsa.tld", "A")
        steps = [line for line in lines if "step" in line]
        checks = {(line["check"], line["name"]): line for line in lines if "check" in line}
        self.assertEqual([step["step"] for step in steps], list(range(1, len(steps) + 1)))
        last = next(step for step in steps if step["question"] == {"name": "www.ecdsa.tld.", "type": "A"})
        self.assertEqual((last["zone"], last["address"], last["port"], last["transport"], last["rcode"]),
                         ("ecdsa.tld.", self.root.leaf_server, self.root.port, "udp", "NOERROR"))
        self.assertFalse(last["minimised"])
        self.assertTrue(any(step["minimised"] and step.get("referral") == "tld." for step in steps))
        self.assertEqual(checks["dnskey", "tld."]["algorithm"], 15)
        self.assertEqual(checks["rrset", "www.ecdsa.tld."]["state"], "secure")
        end = lines[-1]
        self.assertEqual((end["state"], end["queries"]), ("secure", len(steps)))
        self.assertEqual([link["zone"] for link in end["chains"][0]["links"]], [".", "tld.", "ecdsa.tld."])
        self.assertEqual(end["message"]["rcode"] if "rcode" in end["message"] else "NOERROR", "NOERROR")
        end = self.json("www.expired.tld", "A", code=NO_ANSWER)[-1]
        self.assertEqual((end["state"], end["ede"]), ("BOGUS", 7))

    def test_as_a_gateway_is_configured(self):
        config = self.root.directory / "trace.yaml"
        config.write_text("listen: [{ do53: { on: ['127.0.0.1:0'] } }]\n" + self.root.resolve_section())
        done = ask("www.ecdsa.tld", "-c", config)
        self.assertEqual(done.returncode, ANSWERED, done.stdout + done.stderr)
        self.assertTrue(done.stdout.endswith(";; STATE: secure\n"), done.stdout)
        more = "  stubs: [{ zone: ed25519.tld, servers: ['%s:%d'] }]\n" % (self.root.leaf_server, self.root.port)
        config.write_text("listen: [{ do53: { on: ['127.0.0.1:0'] } }]\n" + self.root.resolve_section(more))
        done = ask("www.ed25519.tld", "-c", config)
        self.assertNotIn("referral to ed25519.tld.", done.stdout)
        self.assertTrue(done.stdout.endswith(";; STATE: secure\n"), done.stdout + done.stderr)

    def test_several_questions_share_what_was_found(self):
        batch = self.root.directory / "batch"
        batch.write_text("www.ecdsa.tld A\nmail.ecdsa.tld A\n")
        first, second = self.trace("--batch", batch).split(";; TRACE of ")[1:]
        self.assertGreater(len(self.steps(first)), 3)
        self.assertEqual([step["zone"] for step in self.steps(second)], ["ecdsa.tld."])

    def test_words_in_any_order(self):
        done = ask(*self.words(), "www.ecdsa.tld", "A")
        self.assertEqual(done.returncode, ANSWERED, done.stdout + done.stderr)
        done = ask("--port", self.root.port, "--allow-loopback", "--root-hints", self.root.hints, "--trust-anchors",
                   self.root.anchors, "www.ecdsa.tld", "A")
        self.assertEqual(done.returncode, ANSWERED, done.stdout + done.stderr)

    def test_the_word_of_dig(self):
        text = subprocess.run([BINARY, "ask", "+trace", "www.ecdsa.tld", *map(str, self.words())], capture_output=True,
                              text=True, timeout=10 * PATIENCE, check=False).stdout
        self.assertTrue(text.endswith(";; STATE: secure\n"), text)

    def test_an_end_by_the_keyboard(self):
        with subprocess.Popen([BINARY, "ask", "--trace", "x.silent.plain.tld", *map(str, self.words())],
                              stdout=subprocess.PIPE, text=True) as asking:
            self.assertTrue(asking.stdout.readline())  # a step is seen when it is done, though nobody looks at a screen
            asking.send_signal(signal.SIGINT)
            self.assertNotEqual(asking.wait(PATIENCE), 0)
            asking.stdout.read()

    def test_what_is_wrong_is_said(self):
        for words, expected in ((["--root-hints", "/nowhere/hints"], "'/nowhere/hints' can not be read"),
                                (["--trust-anchors", "/nowhere/anchors"], "/nowhere/anchors"),
                                (["--root-hints", __file__], rf"{re.escape(__file__)}:\d+"),
                                (["-c", "/nowhere/config"], "/nowhere/config"),
                                (["--dot", "127.0.0.1"], "--dot"), (["--repeat", "3"], "--repeat"), (["-4", "-6"], "--ipv4"),
                                (["--port", "0"], "--port")):
            with self.subTest(words):
                # Nobody but our own is asked, even where the mistake is overlooked.
                ours = [] if words[0] in ("--root-hints", "-c") else ["--root-hints", self.root.hints]
                done = ask("www.ecdsa.tld", *words, *ours)
                self.assertEqual(done.returncode, USAGE, done.stdout + done.stderr)
                self.assertRegex(done.stderr, expected)
        done = subprocess.run([BINARY, "ask", "www.ecdsa.tld", "--root-hints", str(self.root.hints)], capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, USAGE, done.stdout + done.stderr)


class Explain(unittest.TestCase):
    """`sallyport explain` of a gateway that recurses."""

    @classmethod
    def setUpClass(cls):
        cls.root = private_root.PrivateRoot({leaf: private_root.LEAVES[leaf] for leaf in LEAVES})
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)
        cls.gate = Recursing(cls.root, managed=True, workers=1)
        cls.addClassCleanup(cls.gate.stop)

    def explain(self, *words):
        done = subprocess.run([BINARY, "explain", *words, "-c", str(self.gate.config)], capture_output=True, text=True,
                              timeout=10 * PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def told(self, *words):
        return json.loads(self.explain(*words, "--json"))

    def test_the_steps_of_the_search_and_the_chain(self):
        told = self.told("www.ecdsa.tld", "A")
        steps = [(step["decision"], step["why"]) for step in told["steps"] if step["stage"] == "resolver"]
        self.assertTrue(any(f"({self.root.leaf_server}:{self.root.port})" in decision and "answer: 192.0.2.80" in why
                            for decision, why in steps), steps)
        self.assertTrue(any(decision == "checked DNSKEY of ecdsa.tld." and why.startswith("secure") for decision, why in steps))
        self.assertEqual([(link["zone"], link["state"]) for link in told["trust"]],
                         [(".", "secure"), ("tld.", "secure"), ("ecdsa.tld.", "secure")])
        # From the cache: nobody is asked, and the chain is told all the same.
        told = self.told("www.ecdsa.tld", "A")
        self.assertEqual(told["source"], "the cache")
        self.assertFalse([step for step in told["steps"] if step["decision"].startswith("asked ")])
        self.assertEqual(told["trust"][-1]["state"], "secure")

    def test_the_link_that_fails(self):
        text = self.explain("www.expired.tld", "A")
        self.assertRegex(text, r"(?m)^chain of trust\n  \. +secure .*\n  tld\. +secure .*\n  expired\.tld\. +BOGUS .*EDE 7")
        self.assertRegex(text, r"SERVFAIL")
        self.assertRegex(text, r"extended error 7 Signature Expired")
        # Every zone is to be believed, the data is not.
        self.assertEqual([(link["zone"], link["state"]) for link in self.told("www.tampered.tld", "A")["trust"]],
                         [(".", "secure"), ("tld.", "secure"), ("tampered.tld.", "secure"), ("www.tampered.tld.", "BOGUS")])

    def test_others_questions_are_not_shown(self):
        self.gate.ask("other.wild.ed25519.tld")
        told = self.told("mail.ed25519.tld", "A")
        self.assertNotIn("other.wild", json.dumps(told))
        self.assertEqual(told["rcode"], "NOERROR")

    def test_what_upstreams_say_is_explained_where_it_is_validated(self):
        token = self.root.directory / "token-of-another"
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o600)
        config = (f"workers: 1\nlisten: [{{ do53: {{ on: ['127.0.0.1:{gateway.free_port()}'] }} }}]\n"
                  f"admin: {{ on: '127.0.0.1:{gateway.free_port()}', token_file: '{token}' }}\n"
                  f"resolve:\n  mode: forward\n  validate: true\n  trust_anchors: {self.root.anchors}\n"
                  f"  groups: [{{ name: up, upstreams: ['udp://127.0.0.1:{self.gate.port}'] }}]\n")
        config += "  limits: { first_timeout: 5s, budget: 15s }\n"
        if gateway.SANITIZED:
            config += "  dnssec: { limits: { processor_time: 5s } }\n"
        with gateway.Gateway(config=config) as forwarding:
            done = subprocess.run([BINARY, "explain", "both.ecdsa.tld", "-c", str(forwarding.config), "--json"],
                                  capture_output=True, text=True, timeout=10 * PATIENCE, check=False)
            told = json.loads(done.stdout)
            steps = [(step["decision"], step["why"]) for step in told["steps"]]
            self.assertTrue(any(what == "asked group up" and why.startswith("ecdsa.tld. DNSKEY") for what, why in steps), steps)
            self.assertEqual([(link["zone"], link["state"]) for link in told["trust"]],
                             [(".", "secure"), ("tld.", "secure"), ("ecdsa.tld.", "secure")])

    def test_offline_nothing_is_asked(self):
        told = self.told("www.p384.tld", "A", "--offline")
        self.assertEqual(told["end"], "upstream")
        self.assertEqual(told["trust"][0]["zone"], ".")
        self.assertIn("trust anchor", told["trust"][0]["why"])


if __name__ == "__main__":
    private_root.main()
