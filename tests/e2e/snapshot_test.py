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
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, PATIENCE, Gateway, ask_udp, free_port, header, query, wait_for

TTL = 300


class Upstream(threading.Thread):
    """Answers every question with one address, and counts."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = 0
        self.start()

    def run(self):
        while True:
            try:
                message, peer = self.socket.recvfrom(65535)
            except OSError:
                return
            self.asked += 1
            end = message.index(b"\0", 12) + 5
            answer = message[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + message[12:end]
            answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, TTL, 4) + socket.inet_aton("192.0.2.55")
            self.socket.sendto(answer, peer)


class SnapshotTest(unittest.TestCase):
    def setUp(self):
        self.upstream = Upstream()
        self.gate = Gateway(start=False)
        self.admin = free_port()
        token = self.gate.directory / "token"
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o600)
        self.file = self.gate.directory / "cache.snapshot"
        self.gate.config.write_text(
            self.gate.config.read_text() + f"resolve: {{ upstreams: ['127.0.0.1:{self.upstream.port}'] }}\n"
            "cache: { size: 16MiB, snapshot: { file: cache.snapshot, every: 1h } }\n"
            f"admin: {{ on: '127.0.0.1:{self.admin}', token_file: token }}\n")

    def tearDown(self):
        code = self.gate.stop()
        self.upstream.socket.close()
        self.assertEqual(code, 0, self.gate.log())

    def start(self, expected="cache snapshot "):
        """Starts the gateway and waits for what it says of the file."""
        before = len(self.gate.log())
        self.gate.start()
        if expected:
            wait_for(lambda: expected in self.gate.log()[before:], f"'{expected}' in the log")
        return self.gate.log()[before:]

    def stop(self):
        self.assertEqual(self.gate.stop(), 0, self.gate.log())

    def ask(self, name):
        answer = ask_udp(self.gate.do53, query(name, ident=7))
        self.assertEqual((header(answer)["rcode"], header(answer)["an"]), (0, 1), name)
        end = answer.index(b"\0", 12) + 5
        return struct.unpack(">I", answer[end + 6:end + 10])[0]

    def fill(self, count):
        for number in range(count):
            self.ask(f"n{number}.example.org")

    def from_cache(self, name):
        before = self.upstream.asked
        self.ask(name)
        return self.upstream.asked == before

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
        before = self.upstream.asked
        left = self.ask("WWW.example.org")
        self.assertEqual(self.upstream.asked, before)
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
                                 (good[:11] + b"\x09" + good[12:], "expected version 1, found 9")):
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
        other = Upstream()
        self.gate.config.write_text(self.gate.config.read_text().replace(str(self.upstream.port), str(other.port)))
        self.assertIn("made under another configuration", self.start())
        self.ask("n1.example.org")
        self.assertEqual(other.asked, 1)
        self.stop()
        other.socket.close()

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
        other = Upstream()
        self.gate.config.write_text(self.gate.config.read_text().replace(str(self.upstream.port), str(other.port)))
        self.assertIn("reloaded: ", self.gate.reload())
        time.sleep(1.5)  # workers take over one after the other: what is got meanwhile is not kept either
        self.ask("n2.example.org")
        self.stop()
        self.assertIn(": 1 answers read", self.start())
        asked = other.asked
        self.ask("n1.example.org")
        self.assertEqual(other.asked, asked + 1)
        self.stop()
        other.socket.close()

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


if __name__ == "__main__":
    unittest.main()
