#!/usr/bin/env python3
# e2e: parallel
"""Trust anchors that follow their zone (RFC 5011): a root of our own changes its key while the gateway runs, by a clock
that the test moves."""

import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gateway  # noqa: E402
import private_root  # noqa: E402
from gateway import Gateway, ask_udp, free_port, header, need, query, wait_for  # noqa: E402

A, SOA, SERVFAIL, NOERROR, AD = 1, 6, 2, 0, 0x20


class Root(private_root.PrivateRoot):
    """Its root zone can be signed anew by other keys."""

    def __init__(self):
        super().__init__(leaves={"ecdsa": ("ECDSAP256SHA256", False, "")})
        text = (self.directory / "root.plain").read_text()
        self.text = text.replace(self.root_key, "")
        self.first = next(self.directory.glob("K.+*.key")).stem

    def new_key(self):
        return self._key("", "ECDSAP256SHA256")

    def revoke(self, key):
        made = private_root.run("dnssec-revoke", "-f", "-K", str(self.directory), key, cwd=self.directory).strip()
        return pathlib.Path(made.split()[-1]).name

    def publish(self, *keys):
        plain = self.directory / "root.plain"
        plain.write_text(self.text + "".join((self.directory / f"{key}.key").read_text() for key in keys))
        private_root.run("dnssec-signzone", "-z", "-K", str(self.directory), "-o", ".", "-f",
                         str(self.directory / "root.zone"), "-s", "now-1d", "-e", "now+400d", "-P", str(plain), *keys,
                         cwd=self.directory)
        self.servers[0].terminate()
        self.servers[0].wait(gateway.PATIENCE)
        self.begin_anew()

    def begin_anew(self):
        """The server of the root, which has ended."""
        self.servers.pop(0)
        self._start("root", self.root_server, [""])
        self.servers.insert(0, self.servers.pop())
        wait_for(lambda: self._answers(self.root_server, ""), "the server of the root")


def clock_library():
    if not need("faketime") or gateway.SANITIZED:
        return ""
    return subprocess.run(["faketime", "-f", "+0s", "sh", "-c", "echo $LD_PRELOAD"], capture_output=True, text=True,
                          check=False).stdout.strip()


class Following(Gateway):
    def __init__(self, root, more, library="", shift="+0s", state="", start=True, workers=2):
        self.port = free_port()
        self.moment = root.directory / "moment"
        self.moment.write_text(shift + "\n")
        env = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self.moment), "FAKETIME_NO_CACHE": "1",
               "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"} if library else {}
        env["STATE_DIRECTORY"] = str(state)
        super().__init__(config=f"workers: {workers}\nlisten: [{{ do53: {{ on: ['127.0.0.1:{self.port}'] }} }}]\n" +
                         root.resolve_section(more), env=env, start=start)

    def move_to(self, shift):
        fresh = self.moment.with_suffix(".new")
        fresh.write_text(shift + "\n")
        fresh.replace(self.moment)  # never half of it

    def is_secure(self, name="ns.root", qtype=A):
        reply = ask_udp(self.port, query(name, qtype, 7, 0x0120))
        return header(reply)["rcode"] == NOERROR and reply[3] & AD != 0


def states(file):
    """Of the keys, once somebody has looked."""
    text = file.read_text() if file.exists() else ""
    if not re.search(r"^;;last_success: [1-9]", text, re.M):
        return []
    return sorted(re.findall(r"\[\s*(\w+)\s*\] ;;count", text))


class Rollover(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Root()
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)

    def follow(self, file):
        return f"  dnssec: {{ state_file: '{file}' }}\n"

    def test_1_the_state_is_kept_and_damage_is_put_aside(self):
        file = self.root.directory / "first.state"
        with Following(self.root, self.follow(file)) as gate:
            wait_for(lambda: states(file) == ["VALID"], "the first look")
            self.assertTrue(gate.is_secure())
            wait_for(lambda: gate.counters()["sallyport_trust_anchor_probes_total"] == 1, "a look")
            counters = gate.counters()
            self.assertEqual(counters['sallyport_trust_anchor_keys{state="valid"}'], 1)
            gate.reload()
            self.assertTrue(gate.is_secure())
        file.write_text(file.read_text() + ". IN DNSKEY 257 3 13 !!!\n")
        lines = file.read_text().count("\n")
        with Following(self.root, self.follow(file)) as gate:
            wait_for(lambda: f"first.state:{lines}:" in gate.log(), "the complaint")
            wait_for(lambda: states(file) == ["VALID"], "another look")
            self.assertTrue(gate.is_secure())
            self.assertIn("!!!", pathlib.Path(f"{file}.damaged").read_text())

    def test_2_no_look_where_it_is_off(self):
        file = self.root.directory / "off.state"
        for more in ("", f"  dnssec: {{ state_file: '{file}', follow_rollover: no }}\n"):
            with Following(self.root, more + "  prime: false\n") as gate:
                self.assertTrue(gate.is_secure())
                self.assertEqual(gate.counters()["sallyport_trust_anchor_probes_total"], 0)
                self.assertFalse(file.exists())

    def test_2_the_service_manager_has_a_place_for_it(self):
        place = self.root.directory / "place"
        place.mkdir()
        with Following(self.root, "", state=f"{place}:/nowhere") as gate:
            wait_for(lambda: states(place / "trust-anchors") == ["VALID"], "the first look")
            self.assertTrue(gate.is_secure())
        with Following(self.root, "  dnssec: { follow_rollover: yes }\n", start=False) as gate:
            with self.assertRaises(AssertionError):
                gate.start()
            self.assertIn("'resolve.dnssec.state_file'", gate.log())
            gate.process = None

    def test_3_it_is_told_which_keys_are_trusted(self):
        with Following(self.root, "  dnssec: { signal_anchors: true }\n") as gate:
            wait_for(lambda: gate.counters()["sallyport_trust_anchor_signals_total"] == 1, "a query that tells the tags")
            wait_for(lambda: gate.counters()["sallyport_recursion_packets_total"] >= 1, "its way")

    def test_4_a_copy_of_the_root_is_asked_in_the_place_of_its_servers(self):
        copy = self.root.directory / "copy.zone"
        copy.write_text((self.root.directory / "root.zone").read_text())
        # One worker: each of them asks for the servers of the root once.
        with Following(self.root, f"  local_root: {{ file: '{copy}' }}\n", workers=1) as gate:
            self.assertTrue(gate.is_secure())
            reply = ask_udp(gate.port, query("nothing.here", A, 7, 0x0120))
            self.assertEqual((header(reply)["rcode"], reply[3] & AD), (3, AD))
            counters = gate.counters()
            self.assertEqual(counters["sallyport_recursion_packets_total"],
                             counters["sallyport_recursion_local_root_total"], gate.log())
            self.assertEqual(header(ask_udp(gate.port, query("www.ecdsa.tld")))["rcode"], NOERROR)
            # Another copy takes its place, and what was learned stays.
            copy.write_text(copy.read_text() + "\n; seen again\n")
            self.assertIn("reloaded", gate.reload())
            before = gate.counters()
            self.assertEqual(header(ask_udp(gate.port, query("www.ecdsa.tld", 28)))["rcode"], NOERROR)
            self.assertEqual(header(ask_udp(gate.port, query("other.here")))["rcode"], 3)
            now = gate.counters()
            self.assertEqual(now["sallyport_recursion_priming_total"], before["sallyport_recursion_priming_total"])
            # A copy that nobody signed is not asked.
            copy.write_text(self.root.text)
            self.assertIn("is not used", gate.reload())
            self.assertTrue(gate.is_secure())
            self.assertGreater(gate.counters()["sallyport_recursion_packets_total"],
                               gate.counters()["sallyport_recursion_local_root_total"])

    def test_5_a_look_goes_on_until_somebody_answers(self):
        file = self.root.directory / "late.state"
        self.root.servers[0].terminate()
        self.root.servers[0].wait(gateway.PATIENCE)
        with Following(self.root, self.follow(file)) as gate:
            wait_for(lambda: gate.counters()["sallyport_trust_anchor_probes_total"] == 1, "a look")
            wait_for(lambda: gate.counters()["sallyport_recursion_packets_total"] >= 3, "questions to nobody")
            self.assertEqual(states(file), [])
            self.root.begin_anew()
            # RFC 5011 section 2.3: a look that has failed is not taken again before an hour has gone.
            wait_for(lambda: states(file) == ["VALID"], "the look to succeed", gateway.PATIENCE + 160)
            self.assertEqual(gate.counters()["sallyport_trust_anchor_probes_total"], 1)

    def test_9_a_new_key_takes_the_place_of_the_old(self):
        library = clock_library()
        if not library:
            self.skipTest("faketime is missing (Debian: faketime), or no clock to interpose")
        file = self.root.directory / "anchors.state"
        first = self.root.first
        with Following(self.root, self.follow(file), library) as gate:
            wait_for(lambda: states(file) == ["VALID"], "the first look")
            self.assertTrue(gate.is_secure())
            second = self.root.new_key()
            self.root.publish(first, second)
            gate.move_to("+2h")
            wait_for(lambda: states(file) == ["ADDPEND", "VALID"], "the new key to be seen")
            gate.move_to("+20d")
            wait_for(lambda: ";;count=2" in file.read_text(), "another look")
            self.assertEqual(states(file), ["ADDPEND", "VALID"], "not before its time")
            gate.move_to("+32d")
            wait_for(lambda: states(file) == ["VALID", "VALID"], "the new key to be trusted")
            self.root.publish(second, self.root.revoke(first))
            gate.move_to("+33d")
            wait_for(lambda: states(file) == ["REVOKED", "VALID"], "the old key to be revoked")
            self.root.publish(second)
            # Nothing that is kept from the days of the old key: its signatures have expired by this clock, their TTL has not.
            wait_for(lambda: gate.is_secure("", SOA), "what the new key alone makes believed")
        with Following(self.root, self.follow(file), library, "+33d") as gate:
            self.assertTrue(gate.is_secure(), "the state counts from the start")
        with Following(self.root, "", library, "+33d") as gate:
            self.assertFalse(gate.is_secure(), "who did not follow is left behind")


if __name__ == "__main__":
    private_root.main()
