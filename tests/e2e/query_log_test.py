#!/usr/bin/env python3
# e2e: parallel
"""The query log: what a line says, where it goes, and that nothing that reads or keeps it slows an answer."""

import calendar
import gzip
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, PATIENCE, SLOWNESS, Gateway, ask_udp, framed, header, query, read_framed, wait_for

FIELDS = ["timestamp", "request_id", "client_ip", "transport", "query_type", "domain", "response_code", "response_time_ms",
          "cache_hit", "upstream_server", "response_data", "rule"]


class LoggingGateway(Gateway):
    def __init__(self, query_log, start=True, **options):
        super().__init__(start=False, **options)
        self.lines_file = self.directory / "queries.json"
        self.config.write_text(self.config.read_text() + f"query_log: {query_log}\n")
        if start:
            self.start()

    def lines(self, count):
        """The lines of the file, once there are so many."""
        def enough():
            text = self.lines_file.read_text() if self.lines_file.exists() else ""
            return text.count("\n") >= count and [json.loads(line) for line in text.splitlines()]
        return wait_for(enough, f"{count} lines of the query log")


class Lines(unittest.TestCase):
    def test_say_everything_of_a_query(self):
        with LoggingGateway("{ outputs: [ { file: queries.json } ] }") as gate:
            before = time.time()
            ask_udp(gate.do53, query("Alias.Gate.Test"))
            with gate.connect_tls() as tls:
                tls.sendall(framed(query("nothing.gate.test", qtype=28)))
                read_framed(tls)
            ask_udp(gate.do53, query('a"b\\c.gate.test'))
            lines = gate.lines(3)  # of several workers: each in its own order
            first, second, third = (next(line for line in lines if wanted in line["domain"]) for wanted in ("alias", "nothing", "a\\"))
            self.assertEqual(list(first), FIELDS)
            self.assertRegex(first["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            when = time.strptime(first["timestamp"][:19], "%Y-%m-%dT%H:%M:%S")
            self.assertLess(abs(calendar.timegm(when) - before), PATIENCE)
            self.assertRegex(first["request_id"], "^[0-9a-f]{16}$")
            self.assertNotEqual(first["request_id"], second["request_id"])
            self.assertEqual({name: first[name] for name in FIELDS[2:7]},
                             {"client_ip": "127.0.0.1", "transport": "udp", "query_type": "A", "domain": "alias.gate.test.",
                              "response_code": "NOERROR"})
            self.assertIsInstance(first["response_time_ms"], float)
            self.assertEqual([text.lower() for text in first["response_data"]], ["cname www.gate.test.", "a 192.0.2.80"])
            self.assertIs(first["cache_hit"], False)
            self.assertEqual((second["transport"], second["query_type"], second["response_code"], second["response_data"]),
                             ("dot", "AAAA", "NXDOMAIN", []))
            self.assertEqual(third["domain"], 'a\\"b\\\\c.gate.test.')

    def test_hide_clients_and_answers(self):
        with LoggingGateway("{ outputs: [ { file: queries.json } ], mask: network, response_data: false }") as gate:
            ask_udp(gate.do53, query("www.gate.test"))
            line = gate.lines(1)[0]
            self.assertEqual((line["client_ip"], line["response_data"]), ("127.0.0.0", None))
            gate.config.write_text(gate.config.read_text().replace("mask: network", "mask: all"))
            gate.reload()
            ask_udp(gate.do53, query("www.gate.test"))
            self.assertIsNone(gate.lines(2)[1]["client_ip"])

    def test_off_by_default(self):
        with Gateway() as gate:
            ask_udp(gate.do53, query("www.gate.test"))
            self.assertEqual(gate.counters()["sallyport_query_log_events_total"], 0)


class Outputs(unittest.TestCase):
    def test_several_at_once(self):
        with LoggingGateway("{ outputs: [ { file: queries.json }, { syslog: log.sock }, stdout ] }", start=False) as gate:
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            daemon.bind(str(gate.directory / "log.sock"))
            daemon.settimeout(PATIENCE)
            gate.start()
            ask_udp(gate.do53, query("www.gate.test"))
            line = gate.lines(1)[0]
            message = daemon.recv(65536).decode()
            found = re.fullmatch(r"<134>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d sallyport\[\d+\]: (\{.*\})", message)
            self.assertEqual(json.loads(found.group(1)), line)
            wait_for(lambda: json.dumps(line, separators=(",", ":"))[:60] in gate.log(), "the line on stdout")
            # The daemon goes and comes back.
            daemon.close()
            os.unlink(gate.directory / "log.sock")
            ask_udp(gate.do53, query("www.gate.test"))
            gate.lines(2)
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            daemon.bind(str(gate.directory / "log.sock"))
            daemon.setblocking(False)
            def heard():
                ask_udp(gate.do53, query("www.gate.test"))
                time.sleep(0.1)
                try:
                    return daemon.recv(65536)
                except BlockingIOError:
                    return None
            wait_for(heard, "a line for the daemon that came back")
            daemon.close()

    def test_what_can_not_be_opened_is_an_error_with_its_position(self):
        gate = LoggingGateway("{ outputs: [ { file: nowhere/queries.json } ] }", start=False)
        done = subprocess.run([BINARY, "run", "-c", str(gate.config)], capture_output=True, text=True, timeout=PATIENCE)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"sallyport\.yaml:\d+:\d+: cannot write the query log to .*nowhere/queries\.json: No such file")


class Files(unittest.TestCase):
    def test_rotation_compression_and_retention(self):
        with LoggingGateway("{ outputs: [ { file: queries.json, rotate_size: 2000, keep: 2 } ] }") as gate:
            def rotated():
                for _ in range(10):
                    ask_udp(gate.do53, query("www.gate.test"))
                time.sleep(0.05)
                return gate.counters()["sallyport_query_log_rotations_total"] >= 4
            wait_for(rotated, "four rotations")
            kept = lambda: sorted(path for path in gate.directory.glob("queries.json.*"))
            wait_for(lambda: len(kept()) == 2 and all(path.suffix == ".gz" for path in kept()), "two compressed files")
            def lines_of_oldest():
                try:
                    with gzip.open(kept()[0], "rt") as file:
                        return [json.loads(line) for line in file]
                except FileNotFoundError:  # one more is compressed, and the oldest goes
                    return None
            for line in wait_for(lines_of_oldest, "a compressed file that stays"):
                self.assertEqual(list(line), FIELDS)
            self.assertRegex(kept()[0].name, r"^queries\.json\.\d{8}T\d{6}Z(-\d+)?\.gz$")

    def test_a_reload_opens_the_file_anew(self):
        with LoggingGateway("{ outputs: [ { file: queries.json } ] }") as gate:
            ask_udp(gate.do53, query("www.gate.test"))
            gate.lines(1)
            gate.lines_file.rename(gate.directory / "moved")
            gate.reload()
            ask_udp(gate.do53, query("alias.gate.test"))
            self.assertEqual(gate.lines(1)[0]["domain"], "alias.gate.test.")
            self.assertEqual((gate.directory / "moved").read_text().count("\n"), 1)

    def test_a_reload_switches_it_on_and_off(self):
        with LoggingGateway("{}") as gate:
            off = gate.config.read_text()
            gate.config.write_text(off.replace("query_log: {}", "query_log: { outputs: [ { file: queries.json } ] }"))
            gate.reload()
            ask_udp(gate.do53, query("www.gate.test"))
            gate.lines(1)
            gate.config.write_text(off)
            gate.reload()
            ask_udp(gate.do53, query("www.gate.test"))
            time.sleep(0.3)
            self.assertEqual(len(gate.lines(1)), 1)


class SlowReaders(unittest.TestCase):
    def start_with_pipe(self, gate):
        """Its stdout is a pipe that nobody reads."""
        read, write = os.pipe()
        with open(gate.log_file, "ab") as log:
            gate.process = subprocess.Popen([BINARY, "run", "-c", str(gate.config)], stdout=write, stderr=log, env=gate.env)
        os.close(write)
        wait_for(lambda: " serving " in gate.log(), "the start")
        return read

    def ask_many(self, gate, count):
        """The slowest of so many queries, in seconds."""
        slowest = 0
        for _ in range(count):
            began = time.monotonic()
            self.assertEqual(header(ask_udp(gate.do53, query("www.gate.test")))["an"], 1)
            slowest = max(slowest, time.monotonic() - began)
        return slowest

    def test_a_pipe_nobody_reads_costs_lines_and_no_time(self):
        with LoggingGateway("{ outputs: [ stdout, { file: queries.json } ], ring: 64 }", start=False) as gate:
            read = self.start_with_pipe(gate)
            lost = lambda: gate.counters()['sallyport_query_log_lost_total{output="stdout"}']
            slowest = 0
            def behind():
                nonlocal slowest
                slowest = max(slowest, self.ask_many(gate, 200))
                return lost() > 0
            wait_for(behind, "lost lines", 60 * SLOWNESS)
            self.assertLess(slowest, 2 * SLOWNESS)  # who waits for the reader waits for ever
            # The file goes on meanwhile.
            counters = gate.counters()
            logged = counters["sallyport_query_log_events_total"]
            wait_for(lambda: gate.lines_file.read_text().count("\n") >= logged, "the lines in the file")
            # Whoever reads again gets whole lines.
            os.set_blocking(read, False)
            text = b""
            def drained():
                nonlocal text
                ask_udp(gate.do53, query("alias.gate.test"))
                try:
                    while chunk := os.read(read, 1 << 20):
                        text += chunk
                except BlockingIOError:
                    pass
                return b"alias.gate.test" in text.rsplit(b"\n", 1)[0]
            wait_for(drained, "the lines behind the gap")
            for line in text.decode().splitlines()[:-1]:
                self.assertEqual(list(json.loads(line)), FIELDS)
            os.close(read)

    def test_a_reader_that_goes_away_ends_nothing(self):
        with LoggingGateway("{ outputs: [ stdout ] }", start=False) as gate:
            os.close(self.start_with_pipe(gate))
            self.ask_many(gate, 50)
            wait_for(lambda: gate.counters()['sallyport_query_log_lost_total{output="stdout"}'] > 0, "lost lines")

    def test_a_full_disk_costs_lines_and_is_forgotten(self):
        with LoggingGateway("{ outputs: [ { file: queries.json } ] }", start=False) as gate:
            # A file that may not grow any more is what a full disk looks like from here.

            with open(gate.log_file, "ab") as log:
                gate.process = subprocess.Popen(["prlimit", "--fsize=65536:unlimited", BINARY, "run", "-c", str(gate.config)],
                                                stdout=log, stderr=log, env=gate.env,
                                                preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
            wait_for(lambda: " serving " in gate.log(), "the start")
            wait_for(lambda: self.ask_many(gate, 100) < 2 * SLOWNESS and "lines are lost" in gate.log(), "a full disk", 60 * SLOWNESS)
            self.assertTrue(gate.lines_file.read_text().endswith("}\n"))
            resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            wait_for(lambda: self.ask_many(gate, 10) < 2 * SLOWNESS and "written again" in gate.log(), "the lines after it", 60 * SLOWNESS)
            for line in gate.lines_file.read_text().splitlines():
                self.assertEqual(list(json.loads(line)), FIELDS)

    def test_a_ring_that_is_full_drops_and_counts(self):
        with LoggingGateway("{ outputs: [ { file: queries.json } ], ring: 64 }") as gate:
            # A burst in one datagram batch: more than the ring holds before the writer looks again.
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.connect(("127.0.0.1", gate.do53))
                client.setblocking(False)
                def overflowed():
                    for _ in range(2000):
                        try:
                            client.send(query("www.gate.test"))
                        except BlockingIOError:
                            pass
                    return gate.counters()["sallyport_query_log_dropped_total"] > 0
                wait_for(overflowed, "dropped events", 60 * SLOWNESS)
            counters = gate.counters()
            logged = counters["sallyport_query_log_events_total"]
            wait_for(lambda: gate.lines_file.read_text().count("\n") >= logged, "every event that was taken")


if __name__ == "__main__":
    unittest.main(verbosity=2)
