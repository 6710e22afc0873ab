#!/usr/bin/env python3
"""All day in short: load on every door, with a script, a cache and a query log, while the configuration is reloaded,
certificates change, clients come and go in bad ways, metrics are read, and upstreams are killed in turn. Ends with 0 only when no query stayed without an answer and memory and
descriptors stayed flat.

usage: soak.py PROGRAM [--seconds 3600]     (make soak TIME=3600 builds what it needs and calls it)

The run is cut into rounds. In each, sallyport-load asks every door at once; when it has gone away the gateway is at rest,
and what it holds then is compared: the last third of the rounds against the first, after one round to warm up.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

DOORS = ("udp", "tcp", "dot", "doh", "doh1", "doq", "doh3")
LOCAL = "@ SOA ns hostmaster {serial} 3600 900 604800 60\n  NS ns\nns A 127.0.0.1\n$GENERATE 1-200 host-$ A 10.0.0.$\n"
OUTER = "@ SOA ns hostmaster 1 3600 900 604800 60\n  NS ns\nns A 127.0.0.1\n$GENERATE 1-2000 name-$ 2 A 10.1.0.1\n"
SCRIPT = "on.query(function(q) if q.name:under('blocked.gate.test') then return q:refuse('closed') end end)\n"
# What may be held more at the end than in the beginning: the allocator's share of noise.
GROWTH_KIB, GROWTH_SHARE, GROWTH_DESCRIPTORS = 6 * 1024, 0.04, 8


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the sallyport program; sallyport-load is looked for in the same build")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--round", type=float, default=None, help="seconds of load in a round (default: a tenth, 4 to 20)")
    parser.add_argument("--doors", default=",".join(DOORS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--local-only", action="store_true", help="local zones only, no upstreams")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs behind")
    return parser.parse_args()


def free_ports(count):
    """Port numbers that are free for UDP and TCP at this moment, and none that the system gives to clients: our own
    queries do not take them before they are listened at."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as numbers:
        first, last = map(int, numbers.read().split())
    outside = [port for port in range(10_000, 65_000) if not first <= port <= last] or list(range(10_000, 65_000))
    ports = []
    for port in random.SystemRandom().sample(outside, len(outside)):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise SystemExit(f"soak: there are no {count} free ports")


class Process:
    """One sallyport with a folder, a configuration and a log of its own."""

    def __init__(self, program, folder, configuration):
        self.program, self.folder = program, folder
        self.config, self.log_file = folder / "sallyport.yaml", folder / "log"
        self.config.write_text(configuration)
        self.process = None

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self):
        before = len(self.log())
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([self.program, "run", "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while " serving " not in self.log()[before:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"soak: {self.config} does not start:\n{self.log()[before:]}")
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """The exit code of an orderly end."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def held(self):
        """Resident memory in KiB, descriptors."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
        return resident, len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Upstreams:
    """Two gateways that know what ours does not; never both dead, so that every question has somebody to answer it."""

    def __init__(self, program, folder, certs):
        self.members, self.addresses, self.kills = [], [], 0
        for index in range(2):
            place = folder / f"upstream-{index}"
            place.mkdir()
            (place / "outer.zone").write_text(OUTER)
            plain, dot = free_ports(2)
            self.addresses.append((plain, dot))
            self.members.append(Process(program, place, (
                "workers: 1\nlisten:\n"
                f"  - do53: {{ on: '127.0.0.1:{plain}' }}\n  - dot: {{ on: '127.0.0.1:{dot}' }}\n"
                f"certificates: {{ directory: '{certs}' }}\n"
                "limits: { streams: { connections_per_address: 1000 } }\n"
                "zones: [ { name: outer.test, file: outer.zone } ]\n")))

    def start(self):
        for member in self.members:
            member.start()

    def kill_and_restart(self, index, rest):
        self.members[index].kill()
        self.kills += 1
        rest(1.5)
        self.members[index].start()

    def end(self):
        for member in self.members:
            member.end()


class Gateway(Process):
    def __init__(self, program, folder, upstreams):
        self.certs = folder / "certs"
        self.make_certificates(program, self.certs)
        self.plain, self.tls, self.dot, self.admin = free_ports(4)
        (folder / "policy.lua").write_text(SCRIPT)
        self.serial, self.reloads = 1, 0
        self.zone = folder / "gate.test.zone"
        self.write_zone()
        super().__init__(program, folder, self.configuration(upstreams))

    @staticmethod
    def make_certificates(program, folder, *options):
        subprocess.run([program, "cert", "dev", "-d", str(folder), "--quiet", *options], check=True, stdout=subprocess.DEVNULL)

    def configuration(self, upstreams):
        text = (
            "workers: 2\nlisten:\n"
            f"  - do53: {{ on: '127.0.0.1:{self.plain}' }}\n"
            f"  - dot: {{ on: '127.0.0.1:{self.dot}' }}\n  - doq: {{ on: '127.0.0.1:{self.dot}' }}\n"
            f"  - doh: {{ on: '127.0.0.1:{self.tls}' }}\n"
            "certificates: { directory: certs, names: [gate.test], watch_every: 1s }\n"
            "limits: { streams: { connections_per_address: 1000 }, quic: { connections_per_address: 1000 } }\n"
            "zones: [ { name: gate.test, file: gate.test.zone } ]\n"
            "policy: { script: policy.lua }\n"
            f"admin: {{ on: '127.0.0.1:{self.admin}' }}\n"
            "query_log: { response_data: false, outputs: [ { file: queries.json, rotate_size: 32MiB, keep: 1 } ] }\n")
        if upstreams:
            (plain, _), (_, dot) = upstreams.addresses
            text += (
                "cache: { size: 4MiB }\n"
                "resolve:\n  upstreams:\n"
                f"    - 'udp://127.0.0.1:{plain}'\n"
                f"    - {{ url: 'tls://127.0.0.1:{dot}', server_name: gate.test, ca_file: certs/ca.crt }}\n")
        return text

    def write_zone(self):
        self.zone.write_text("$ORIGIN gate.test.\n$TTL 300\n" + LOCAL.format(serial=self.serial))

    def reload(self):
        self.serial += 1
        self.write_zone()
        before = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while "reloaded" not in self.log()[before:]:
            if "reload refused" in self.log()[before:] or time.monotonic() > deadline:
                raise SystemExit(f"soak: a reload did not succeed:\n{self.log()[before:]}")
            time.sleep(0.05)
        self.reloads += 1

    def new_certificate(self):
        """Of the same authority, so that clients go on trusting it."""
        for name in ("dev.crt", "dev.key"):
            (self.certs / name).unlink(missing_ok=True)
        self.make_certificates(self.program, self.certs)

    def port(self, door):
        return {"udp": self.plain, "tcp": self.plain, "dot": self.dot, "doq": self.dot}.get(door, self.tls)


class Rude(threading.Thread):
    """Clients that come and go in bad ways: half a message, garbage, a reset; and now and then somebody reads the metrics."""

    def __init__(self, gateway, seed):
        super().__init__(daemon=True)
        self.gateway, self.random, self.over, self.met, self.scrapes = gateway, random.Random(seed), threading.Event(), 0, 0

    def run(self):
        while not self.over.wait(0.05):
            port = self.random.choice((self.gateway.plain, self.gateway.dot, self.gateway.tls))
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as stream:
                    stream.sendall(self.random.randbytes(self.random.randint(0, 200)))
                    if self.random.random() < 0.5:
                        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                with socket.socket(type=socket.SOCK_DGRAM) as datagram:
                    datagram.sendto(self.random.randbytes(self.random.randint(1, 1300)), ("127.0.0.1", port))
            except OSError:
                pass
            self.met += 1
            if self.met % 20 == 0:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway.admin}/metrics", timeout=30) as metrics:
                    self.scrapes += b"sallyport_queries_total" in metrics.read()


class Soak:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.load = str(pathlib.Path(options.program).resolve().parents[1] / "bench" / "load" / "sallyport-load")
        self.upstreams = None
        if not options.local_only:
            certs = folder / "upstream-certs"
            Gateway.make_certificates(options.program, folder / "certs")
            shutil.copytree(folder / "certs", certs)
            self.upstreams = Upstreams(options.program, folder, certs)
        self.gateway = Gateway(options.program, folder, self.upstreams)
        self.names = folder / "names"
        names = [f"host-{i}.gate.test A\n" for i in range(1, 201)]
        if self.upstreams:
            names += [f"name-{i}.outer.test A\n" for i in range(1, 2001)]
        random.Random(options.seed).shuffle(names)
        self.names.write_text("".join(names))
        self.length = options.round or min(20.0, max(4.0, options.seconds / 10))
        self.samples, self.complaints, self.answered, self.asked, self.refusals = [], [], 0, 0, 0

    def say(self, text):
        print(text, flush=True)

    def begin_load(self, door):
        command = [self.load, "--door", door, "--server", f"127.0.0.1:{self.gateway.port(door)}", "--ca",
                   str(self.gateway.certs / "ca.crt"), "--tls-name", "gate.test", "--names", str(self.names), "--connections", "4",
                   "--outstanding", "4", "--seconds", f"{self.length:.1f}", "--timeout", "6", "--json"]
        return door, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end_load(self, door, process):
        output, errors = process.communicate(timeout=self.length + 60)
        if not output.strip():
            self.complaints.append(f"{door}: the load ended with {process.returncode}: {errors.strip()}")
            return
        figures = json.loads(output)
        self.asked += figures["sent"]
        self.answered += figures["answered"]
        self.refusals += figures["answered"] - figures["noerror"]
        if figures["errors"] or not figures["answered"]:
            kinds = {name: figures[name] for name in ("timeouts", "wrong", "unanswered", "failed_connections") if figures[name]}
            self.complaints.append(f"{door}: of {figures['sent']} queries not answered: {kinds} {figures['first_failure']}")

    def disturb(self, number, until):
        """What happens to the gateway while it is asked."""
        rest = lambda seconds: time.sleep(max(0.0, min(seconds, until - time.monotonic())))
        if self.upstreams:
            self.upstreams.kill_and_restart(number % 2, rest)
        if number % 3 == 2:
            self.gateway.new_certificate()
        while until - time.monotonic() > 1.5:
            self.gateway.reload()
            rest(1)

    def run_round(self, number):
        until = time.monotonic() + self.length
        rude = Rude(self.gateway, number)
        rude.start()
        loads = [self.begin_load(door) for door in self.options.doors.split(",")]
        try:
            self.disturb(number, until)
        finally:
            for door, process in loads:
                self.end_load(door, process)
            rude.over.set()
            rude.join()
        if not rude.scrapes:
            self.complaints.append("the metrics could not be read")
        # Half-open connections of the rude end with their time for a message and a handshake (5 s); QUIC's closing period.
        time.sleep(6)
        self.samples.append(self.gateway.held())
        if self.gateway.process.poll() is not None:
            raise SystemExit(f"soak: the gateway ended with {self.gateway.process.returncode}:\n{self.gateway.log()[-4000:]}")

    def progress(self, number, started):
        elapsed = time.monotonic() - started
        resident, descriptors = self.samples[-1]
        kills = self.upstreams.kills if self.upstreams else 0
        self.say(f"{elapsed:6.0f} s  round {number}: {self.answered:,} answers of {self.asked:,}, {self.gateway.reloads} reloads, "
                 f"{kills} upstreams killed; at rest {resident / 1024:.1f} MiB, {descriptors} descriptors"
                 + (f"; {len(self.complaints)} complaints, last: {self.complaints[-1]}" if self.complaints else ""))

    def judge(self, code):
        if code != 0:
            self.complaints.append(f"the gateway ended with {code}")
        settled = self.samples[1:] or self.samples
        third = max(1, len(settled) // 3)
        for what, index, room in (("KiB of memory", 0, GROWTH_KIB), ("descriptors", 1, GROWTH_DESCRIPTORS)):
            first = statistics.median(sample[index] for sample in settled[:third])
            last = statistics.median(sample[index] for sample in settled[-third:])
            self.say(f"{what} at rest: {first:.0f} in the first third, {last:.0f} in the last")
            if last - first > room + (GROWTH_SHARE * first if index == 0 else 0):
                self.complaints.append(f"{what} grew from {first:.0f} to {last:.0f}")
        # One upstream is always there: what is answered with an error was tried too seldom.
        if self.refusals > self.answered / 1000:
            self.complaints.append(f"{self.refusals} of {self.answered} answers were errors")
        for complaint in self.complaints:
            self.say(f"soak: {complaint}")
        self.say(f"soak: {'FAILED' if self.complaints else 'passed'}: {self.answered:,} answers, {len(self.samples)} rounds, "
                 f"{self.gateway.reloads} reloads, {self.upstreams.kills if self.upstreams else 0} upstreams killed")
        return 1 if self.complaints else 0

    def run(self):
        code = -1
        try:
            if self.upstreams:
                self.upstreams.start()
            self.gateway.start()
            started, number = time.monotonic(), 0
            while number < 3 or time.monotonic() - started + self.length < self.options.seconds:
                self.run_round(number)
                number += 1
                self.progress(number, started)
        finally:
            code = self.gateway.end()
            if self.upstreams:
                self.upstreams.end()
        return self.judge(code)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-soak-"))
    try:
        return Soak(options, folder).run()
    finally:
        if options.keep:
            print(f"soak: logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
