#!/usr/bin/env python3
"""40 reloads in 8 seconds while every door is asked without pause: no query is lost, and memory is where it was."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, HAS_QUIC, PATIENCE, SANITIZED, SLOWNESS, ZONE, Gateway, ask_udp, free_port, header, query, wait_for

RELOADS = 40
EVERY = 0.2
# Each configuration read has a zone that is noticed when forty of them stay behind: some 5 MB.
RECORDS = 2_000 if SANITIZED else 20_000
GROWTH = 24 * 1024  # KiB
SCRIPT = "on.query(function(q) if q.name:under('blocked.gate.test') then return q:refuse('closed') end end)\n"


def load_program():
    """sallyport-load, where it was built; it keeps more in flight than the other clients can."""
    path = pathlib.Path(os.environ.get("SALLYPORT_LOAD", pathlib.Path(BINARY).resolve().parents[1] / "bench" / "load" / "sallyport-load"))
    return str(path) if path.exists() else None


class Client:
    """A program that asks for as long as it is left alone, and tells at the end what it missed."""

    def __init__(self, name, command, ends_by_itself):
        self.name, self.command, self.ends_by_itself = name, command, ends_by_itself
        self.output = tempfile.TemporaryFile("w+")
        self.process = None
        self.runs = 0
        self.failure = None

    def keep_going(self, last):
        """Begins, and begins again until it is the last time."""
        if self.process is not None:
            if self.process.poll() is None:
                return True
            self.check()
            if last or self.failure:
                return False
        self.output.seek(0)
        self.output.truncate()
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL if self.ends_by_itself else self.output,
                                        stderr=self.output if self.ends_by_itself else subprocess.STDOUT)
        self.runs += 1
        return True

    def check(self):
        self.output.seek(0)
        said = self.output.read()
        if self.process.returncode != 0:
            self.failure = f"{self.name}: ended with {self.process.returncode}: {said[-2000:]}"

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()


class Storm(unittest.TestCase):
    def setUp(self):
        self.spare = free_port()
        hosts = "".join(f"host-{i} A 10.{i >> 16}.{(i >> 8) & 255}.{i & 255}\n" for i in range(RECORDS))
        self.gate = Gateway(zone=ZONE + hosts, start=False)
        (self.gate.directory / "policy.lua").write_text(SCRIPT)
        self.admin = free_port()
        self.base = self.gate.config.read_text() + f"admin: {{ on: '127.0.0.1:{self.admin}' }}\n"
        self.gate.config.write_text(self.base)
        self.gate.start()
        self.clients = []
        self.done = 0

    def tearDown(self):
        for client in self.clients:
            client.kill()
        self.assertEqual(self.gate.stop(), 0, self.gate.log()[-4000:])

    def configuration(self, number):
        """Something of everything changes from one to the next; the doors that are asked stay."""
        text = self.base
        if number % 2:
            doors = f"  - do53: {{ on: ['127.0.0.1:{self.spare}'], tcp: false }}\n  - dot: {{ on: ['127.0.0.1:{self.spare}'] }}\n"
            text = text.replace("certificates:", doors + "certificates:", 1)
            text = text.replace("path: /dns-query", "path: [/dns-query, /other]")
            text += "policy: { script: policy.lua }\n"
        if number % 3 == 0:
            text += f"limits: {{ udp_batch: {8 + number % 200}, streams: {{ connections: {2000 + number} }}, quic: {{ connections: {2000 + number} }} }}\n"
        if number % 4 == 0:
            text += f"cache: {{ size: {2 + number % 5}MiB }}\nanswers: {{ nsid: n{number} }}\n"
        if number % 5 == 0:
            text += "query_log: { outputs: [ { file: queries } ] }\n"
        return text

    def reload(self, number):
        fresh = self.gate.directory / "fresh.yaml"
        fresh.write_text(self.configuration(number))
        fresh.rename(self.gate.config)
        self.gate.process.send_signal(signal.SIGHUP)
        self.done += 1
        def verdict():
            log = self.gate.log()
            self.assertFalse("reload refused" in log, log[-2000:])
            return log.count("reloaded:") >= self.done
        wait_for(verdict, f"reload {number}")

    def resident(self):
        with open(f"/proc/{self.gate.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.gate.process.pid}/fd"))

    def look(self):
        """As a scraper does, in the midst of it."""
        for what in ("metrics", "ready"):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/{what}", timeout=PATIENCE) as answer:
                self.assertEqual(answer.status, 200)
                answer.read()

    def make_clients(self):
        gate, at = self.gate, "127.0.0.1"
        tls = ["--ca", gate.ca, "--name", "gate.test"]
        doors = {"udp": gate.do53, "tcp": gate.do53, "dot": gate.dot, "doh": gate.tls}
        if HAS_QUIC:
            doors |= {"doh3": gate.tls, "doq": gate.dot}
        load = load_program()
        for door, port in doors.items():
            words = [BINARY, "ask", f"--{door}", f"{at}:{port}", "--retry", "0", "--timeout", str(PATIENCE), "--short",
                     "www.gate.test"]
            words += tls if door not in ("udp", "tcp") else []
            # Connections that live through many reloads, and such as are made in the midst of one.
            self.clients.append(Client(f"ask {door}", [*words, "--repeat", "4000"], True))
            self.clients.append(Client(f"ask {door} anew", [*words, "--repeat", "40", "--reconnect"], True))
            if load:
                self.clients.append(Client(f"load {door}", [
                    load, "--door", door, "--server", f"{at}:{port}", "--connections", "4", "--outstanding", "4",
                    "--in-flight", "4", "--seconds", "3", "--settle", "0", "--timeout", str(PATIENCE), "--name",
                    "www.gate.test", "--type", "A", *(["--ca", gate.ca, "--tls-name", "gate.test"] if len(words) > 10 else [])], False))

    def test_no_query_is_lost_and_memory_comes_back(self):
        for number in range(10):  # every kind of table has its size then
            self.reload(number)
        self.make_clients()
        for client in self.clients:
            client.keep_going(False)
        time.sleep(0.5)
        resident, descriptors = self.resident(), self.descriptors()
        began = time.monotonic()
        for number in range(RELOADS):
            self.reload(number)
            for client in self.clients:
                client.keep_going(False)
            self.look()
            time.sleep(max(0.0, began + (number + 1) * EVERY - time.monotonic()))
        took = time.monotonic() - began
        end = time.monotonic() + 6 * PATIENCE
        while any([client.keep_going(True) for client in self.clients]) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual([client.failure for client in self.clients if client.failure], [])
        counters = self.gate.counters()
        asked = {name: value for name, value in counters.items() if "queries_total{" in name and value}
        print(f"{RELOADS} reloads in {took:.1f} s, asked: {sum(asked.values())} {asked}")
        if not SANITIZED:
            self.assertLess(took, 4 * RELOADS * EVERY * SLOWNESS)
        self.assertEqual(counters["sallyport_reloads_total"], RELOADS + 10)
        self.assertEqual(header(ask_udp(self.gate.do53, query("www.gate.test")))["rcode"], 0)
        wait_for(lambda: self.descriptors() <= descriptors + 4, "descriptors to be closed")
        grown = lambda: self.resident() - resident
        if not SANITIZED:
            wait_for(lambda: grown() < GROWTH, "memory to be given back")
        print(f"resident {resident} KiB before, {grown():+} KiB after; descriptors {descriptors} before, {self.descriptors()} after")


if __name__ == "__main__":
    unittest.main()
