#!/usr/bin/env python3
# e2e: parallel
"""The cache on disk: a gateway that is started again answers from it, and a file that is damaged, foreign, or could not be
written loses nothing but itself."""

import os
import random
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import private_root
from gateway import BINARY, PATIENCE, PATIENT, PATIENT_RECURSION, Gateway, ask_udp, free_port, header, query, wait_for
from one_address import Upstream, ttl_of

TTL = 3600  # for longer than any of this takes


class Restarting(unittest.TestCase):
    """A gateway (`gate`) that ends and starts again."""

    def start(self, expected="cache snapshot "):
        """Starts the gateway and waits for what it says of the file."""
        before = len(self.gate.log())
        self.gate.start()
        if expected:
            wait_for(lambda: expected in self.gate.log()[before:], f"'{expected}' in the log")
        return self.gate.log()[before:]

    def stop(self):
        self.assertEqual(self.gate.stop(), 0, self.gate.log())


class SnapshotTest(Restarting):
    def setUp(self):
        self.upstream = Upstream(TTL)
        self.gate = Gateway(start=False)
        self.admin = free_port()
        token = self.gate.directory / "token"
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o600)
        self.file = self.gate.directory / "cache.snapshot"
        self.gate.config.write_text(
            self.gate.config.read_text() + f"resolve: {{ upstreams: ['127.0.0.1:{self.upstream.port}'], {PATIENT} }}\n"
            "cache: { size: 16MiB, snapshot: { file: cache.snapshot, every: 1h } }\n"
            f"admin: {{ on: '127.0.0.1:{self.admin}', token_file: token }}\n")

    def tearDown(self):
        code = self.gate.stop()
        self.upstream.close()
        self.assertEqual(code, 0, self.gate.log())

    def ask(self, name):
        answer = ask_udp(self.gate.do53, query(name, ident=7))
        self.assertEqual((header(answer)["rcode"], header(answer)["an"]), (0, 1), name)
        return ttl_of(answer)

    def fill(self, count):
        for number in range(count):
            self.ask(f"n{number}.example.org")

    def from_cache(self, name):
        before = len(self.upstream.asked)
        self.ask(name)
        return len(self.upstream.asked) == before

    def leftovers(self):
        return [entry.name for entry in self.gate.directory.iterdir() if entry.name.startswith("cache.snapshot.")]

    def test_what_was_known_is_known_after_a_restart(self):
        self.start(expected=None)
        self.assertEqual(self.ask("www.example.org"), TTL)
        self.stop()
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        began = time.time()
        time.sleep(2)
        log = self.start()
        self.assertRegex(log, r"cache snapshot .*cache.snapshot: 1 answers read in \d+ ms, 0 left out")
        before = len(self.upstream.asked)
        left = self.ask("WWW.example.org")
        self.assertEqual(len(self.upstream.asked), before)
        self.assertLessEqual(left, TTL - 2)
        self.assertGreaterEqual(left, TTL - 3 - (time.time() - began) - 1)
        values = self.gate.counters()
        self.assertEqual(values["sallyport_cache_snapshot_loaded_entries"], 1)
        self.assertEqual(values["sallyport_cache_snapshot_load_failures_total"], 0)
        self.assertEqual(self.leftovers(), [])

    def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(self):
        self.start(expected=None)
        self.fill(3000)
        self.stop()
        chance = random.Random(8767)
        for _ in range(6):
            self.start()
            self.gate.process.send_signal(signal.SIGTERM)
            time.sleep(chance.uniform(0, 0.06))
            self.gate.process.kill()
            self.gate.process.wait()
            log = self.start(" answers read in ")
            self.assertNotIn("not used", log)
            self.assertIn(" 3000 answers read", log)
            self.assertEqual(self.leftovers(), [])
            self.stop()

    def test_what_a_killed_process_left_is_removed(self):
        left, other = self.gate.directory / "cache.snapshot.new-aB3x9z", self.gate.directory / "cache.snapshot.backup"
        left.write_text("half")
        other.write_text("mine")
        self.start(expected=None)
        wait_for(lambda: not left.exists(), "the end of what was left")
        self.assertTrue(other.exists())

    def test_a_damaged_file_is_told_of_and_answers_are_asked_for(self):
        self.start(expected=None)
        self.fill(20)
        self.stop()
        octets = bytearray(self.file.read_bytes())
        octets[len(octets) // 2] ^= 0x40
        self.file.write_bytes(octets)
        log = self.start()
        self.assertRegex(log, r"cache.snapshot: not used: at octet 40: expected a block whose checksum is right")
        self.assertEqual(self.gate.counters()["sallyport_cache_snapshot_load_failures_total"], 1)
        self.assertFalse(self.from_cache("n1.example.org"))
        self.stop()
        self.assertIn(": 1 answers read", self.start())
        self.assertTrue(self.from_cache("n1.example.org"))

    def test_files_that_are_none_of_ours_are_told_of(self):
        self.start(expected=None)
        self.fill(3)
        self.stop()
        good = self.file.read_bytes()
        for octets, expected in ((good[:-7], "but the file ends at octet"), (b"", "expected a header, but the file ends"),
                                 (b"\x7fELF" + bytes(100), "expected a cache snapshot, which this is not"),
                                 (good[:11] + b"\x09" + good[12:], "expected version 2, found 9")):
            self.file.write_bytes(octets)
            log = self.start("not used")
            self.assertIn(expected, log)
            self.gate.process.kill()  # without writing another one
            self.gate.process.wait()
        self.start("not used")

    def test_answers_of_other_upstreams_are_not_taken(self):
        self.start(expected=None)
        self.fill(2)
        self.stop()
        other = Upstream(TTL)
        self.gate.config.write_text(self.gate.config.read_text().replace(str(self.upstream.port), str(other.port)))
        self.assertIn("made under another configuration", self.start())
        self.ask("n1.example.org")
        self.assertEqual(len(other.asked), 1)
        self.stop()
        other.close()

    def test_what_was_flushed_does_not_come_back(self):
        self.start(expected=None)
        self.fill(2)
        self.stop()
        self.start()
        done = subprocess.run([BINARY, "cache", "flush", "n1.example.org", "-c", str(self.gate.config)],
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.stop()
        self.start()
        self.assertTrue(self.from_cache("n0.example.org"))
        self.assertFalse(self.from_cache("n1.example.org"))

    def test_a_full_disk_loses_neither_the_file_nor_the_gateway(self):
        self.start(expected=None)
        self.fill(5)
        self.stop()
        before = self.file.read_bytes()
        self.start()
        self.fill(1500)
        resource.prlimit(self.gate.process.pid, resource.RLIMIT_FSIZE, (65_536, 65_536))
        self.stop()
        self.assertRegex(self.gate.log(), r"not written, the one before stays: .*File too large")
        self.assertEqual(self.file.read_bytes(), before)
        self.assertEqual(self.leftovers(), [])
        self.assertIn(" 5 answers read", self.start())

    def test_what_was_flushed_does_not_come_back_out_of_a_file_that_can_not_be_written(self):
        self.start(expected=None)
        self.fill(1500)
        self.stop()
        self.start()
        done = subprocess.run([BINARY, "cache", "flush", "n1.example.org", "-c", str(self.gate.config)],
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        resource.prlimit(self.gate.process.pid, resource.RLIMIT_FSIZE, (65_536, 65_536))
        self.stop()
        self.assertRegex(self.gate.log(), r"not written, the one before goes: .*File too large")
        self.assertFalse(self.file.exists())
        self.start(expected=None)

    def test_answers_from_before_a_reload_that_asks_others_are_not_kept(self):
        self.start(expected=None)
        self.fill(2)
        other = Upstream(TTL)
        self.gate.config.write_text(self.gate.config.read_text().replace(str(self.upstream.port), str(other.port)))
        self.assertIn("reloaded: ", self.gate.reload())
        time.sleep(1.5)  # workers take over one after the other: what is got meanwhile is not kept either
        self.ask("n2.example.org")
        self.stop()
        self.assertIn(": 1 answers read", self.start())
        asked = len(other.asked)
        self.ask("n1.example.org")
        self.assertEqual(len(other.asked), asked + 1)
        self.stop()
        other.close()

    def test_the_dump_has_every_answer(self):
        self.start(expected=None)
        self.fill(2500)
        target = self.gate.directory / "dump.txt"

        def dump(*arguments, code=0):
            done = subprocess.run([BINARY, "cache", "dump", *arguments, "-c", str(self.gate.config)], capture_output=True,
                                  text=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, code, done.stderr)
            return done.stdout

        self.assertEqual(dump(str(target)), "")
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o600)
        lines = target.read_text().splitlines()
        names = {match[1] for match in (re.match(r"(n\d+)\.example\.org\.\t\d+\tIN\tA\t192\.0\.2\.55$", line) for line in lines) if match}
        self.assertEqual(len(names), 2500)
        self.assertRegex(dump("--name", "n7.example.org"),
                         r"\A; n7\.example\.org\. IN A  NOERROR \w+.*  left \d+ s, hits 0, \d+ octets\nn7\.example")
        self.assertEqual(len(dump("-", "--subtree", "example.org", "--json").splitlines()), 2500)
        os.mkfifo(self.gate.directory / "pipe")
        dump(str(self.gate.directory / "pipe"), code=4)
        self.assertTrue(stat.S_ISFIFO((self.gate.directory / "pipe").stat().st_mode))
        dump("--subtree", "example.net", code=1)
        dump("--name", "a", "--subtree", "b", code=2)
        with socket.create_connection(("127.0.0.1", self.admin), PATIENCE) as stranger:
            stranger.sendall(b"GET /api/v1/cache/dump HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertTrue(stranger.recv(65535).startswith(b"HTTP/1.1 401 "))


AD, DO = 0x0020, {"do": True}


def siphash(octets, key=b"sallyport cache1"):
    """SipHash-2-4: the checksum of a snapshot, with a key that everybody knows."""
    def turn(x, bits):
        return ((x << bits) | (x >> (64 - bits))) & mask
    mask = (1 << 64) - 1
    k0, k1 = struct.unpack("<QQ", key)
    a, b, c, d = k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573
    padded = bytes(octets) + bytes(7 - len(octets) % 8) + bytes([len(octets) & 255])
    for word in (*struct.unpack(f"<{len(padded) // 8}Q", padded), None):
        if word is None:
            c ^= 255
        else:
            d ^= word
        for _ in range(4 if word is None else 2):
            a = (a + b) & mask
            b, a = turn(b, 13) ^ a, turn(a, 32)
            c = (c + d) & mask
            d = turn(d, 16) ^ c
            a = (a + d) & mask
            d = turn(d, 21) ^ a
            c = (c + b) & mask
            b, c = turn(b, 17) ^ c, turn(c, 32)
        if word is not None:
            a ^= word
    return a ^ b ^ c ^ d


def forge(octets, true, false):
    """Replaces what a snapshot says, and makes its checksums right; returns in how many blocks it stood."""
    at, forged = 40, 0
    while at < len(octets):
        begin, end = at + 28, at + 28 + struct.unpack(">I", octets[at + 4:at + 8])[0]
        payload = bytes(octets[begin:end])
        if true in payload:
            forged += 1
            octets[begin:end] = payload.replace(true, false)
            octets[at + 20:begin] = struct.pack(">Q", siphash(octets[begin:end]))
        at = end
    return forged


class Recursing(Restarting):
    """What the resolver has learned of zones: their servers, keys, delegations."""

    KNOWN = ("www.ecdsa.tld", "www.ed25519.tld", "www.plain.tld")
    # Below zones that are known, never asked for; and whether they are proven.
    COLD = (("mail.ecdsa.tld", True), ("both.ed25519.tld", True), ("mail.plain.tld", False), ("nothing.ecdsa.tld", True))

    def setUp(self):
        self.root = private_root.PrivateRoot()
        self.addCleanup(self.root.stop)
        self.root.__enter__()
        self.port = free_port()
        token = self.root.directory / "token"
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o600)
        self.gate = Gateway(start=False, config=f"workers: 2\nlisten: [{{ do53: {{ on: ['127.0.0.1:{self.port}'] }} }}]\n" +
                            self.root.resolve_section(f"  {PATIENT_RECURSION}\n") + "cache: { snapshot: { file: cache.snapshot, every: 1h } }\n"
                            f"admin: {{ on: '127.0.0.1:{free_port()}', token_file: '{token}' }}\n")
        self.addCleanup(self.stop)

    def ask(self, name):
        return ask_udp(self.port, query(name, ident=7, edns=DO))

    def packets(self):
        return self.gate.counters()["sallyport_recursion_packets_total"]

    def learn(self):
        self.start(expected=None)
        for name in self.KNOWN:
            self.assertEqual(header(self.ask(name))["rcode"], 0, name)
        cold = self.packets()
        self.stop()
        return cold

    def end_servers_above(self):
        """Those of the root and of the top-level domain: whoever asks them waits in vain."""
        for server in self.root.servers[:2]:
            server.terminate()
            server.wait(PATIENCE)

    def test_cold_names_of_known_zones_are_asked_of_their_servers_alone(self):
        cold = self.learn()
        self.end_servers_above()
        log = self.start()
        self.assertRegex(log, r"; [1-9]\d+ record sets and [3-9] zone cuts read, 0 left out")
        for name, secure in self.COLD:
            reply = self.ask(name)
            self.assertEqual(header(reply)["rcode"], 3 if name.startswith("nothing") else 0, name)
            self.assertEqual(bool(header(reply)["flags"] & AD), secure, name)
        values = self.gate.counters()
        self.assertEqual(values["sallyport_recursion_timeouts_total"], 0)
        self.assertLess(values["sallyport_recursion_packets_total"], cold)
        self.assertGreater(values["sallyport_cache_snapshot_loaded_record_sets"], 9)
        self.assertGreaterEqual(values["sallyport_cache_snapshot_loaded_zone_cuts"], 3)
        # Many at once, and again: none of them needs anybody above.
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.connect(("127.0.0.1", self.port))
            for _ in range(2):
                for number in range(100):
                    client.send(query(f"n{number}.wild.ecdsa.tld", ident=number, edns=DO))
                for _ in range(100):  # in any order
                    reply = client.recv(4096)
                    self.assertEqual(header(reply)["rcode"], 0)
                    self.assertTrue(header(reply)["flags"] & AD)
        values = self.gate.counters()
        self.assertEqual(values["sallyport_recursion_timeouts_total"], 0)
        self.assertEqual(values["sallyport_recursion_priming_total"], 0)
        self.assertEqual(values["sallyport_recursion_failures_total"], 0)

    def test_what_was_flushed_is_asked_for_from_the_root_down(self):
        self.learn()
        self.start()
        done = subprocess.run([BINARY, "cache", "flush", "--all", "-c", str(self.gate.config)], capture_output=True,
                              text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.stop()
        log = self.start()
        self.assertRegex(log, r" 0 answers read .*; 0 record sets and 0 zone cuts read")
        self.assertEqual(header(self.ask("mail.ecdsa.tld"))["rcode"], 0)
        self.assertGreater(self.packets(), 3)

    def test_nothing_comes_back_where_other_anchors_are_trusted(self):
        self.learn()
        self.root.anchors.write_text("; others\n" + self.root.anchors.read_text())
        log = self.start()
        self.assertIn("made under another configuration", log)
        self.assertRegex(log, r"; 0 record sets and 0 zone cuts read")

    def test_a_set_that_was_forged_on_disk_is_found_out(self):
        self.learn()
        octets = bytearray((self.gate.directory / "cache.snapshot").read_bytes())
        self.assertGreater(forge(octets, socket.inet_aton("192.0.2.80"), socket.inet_aton("192.0.2.66")), 0)
        (self.gate.directory / "cache.snapshot").write_bytes(octets)
        log = self.start()
        self.assertNotIn("not used", log)
        # What an answer says is the file's word; the set below it is judged.
        reply = ask_udp(self.port, query("alias.ecdsa.tld", ident=7, edns=DO))
        self.assertNotIn(socket.inet_aton("192.0.2.66"), reply)
        self.assertFalse(header(reply)["rcode"] == 0 and not header(reply)["flags"] & AD)


if __name__ == "__main__":
    unittest.main()
