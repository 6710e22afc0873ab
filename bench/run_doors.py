#!/usr/bin/env python3
"""What an answered query costs at each door, as a table for docs/performance.md.

Starts the gateway with one worker and a small zone on loopback ports of its own and asks each door with sallyport-load:
16 connections with 8 queries outstanding each, then many queries over one connection and over a thousand. CPU time is
user and system time of the whole gateway process as the kernel counts it, without the handshakes before.
"""

import argparse
import json
import os
import pathlib
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time

ZONE = """$ORIGIN gate.test.
$TTL 300
@    SOA ns hostmaster 1 3600 900 604800 60
     NS  ns
     A   127.0.0.1
     AAAA ::1
ns   A   127.0.0.1
$GENERATE 1-100 host-$ A 10.0.0.$
"""

DOORS = ["udp", "tcp", "dot", "doh", "doq", "doh3"]
TITLES = {"udp": "UDP", "tcp": "TCP", "dot": "DoT", "doh": "DoH/2", "doh1": "DoH/1.1", "doq": "DoQ", "doh3": "DoH/3"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", help="the sallyport program")
    parser.add_argument("--load", help="sallyport-load (default: found beside the build of the binary)")
    parser.add_argument("--port", type=int, default=24600, help="first of five loopback ports")
    parser.add_argument("--queries", type=int, default=500_000, help="queries of the runs with 1 and 1,000 connections")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--doors", default=",".join(DOORS))
    parser.add_argument("--no-floor", action="store_true", help="leave out the bare UDP and OpenSSL responders")
    parser.add_argument("--json", help="write the raw figures to this file")
    return parser.parse_args()


def find_tool(arguments, name):
    if arguments.load:
        return str(pathlib.Path(arguments.load).with_name(name))
    return str(pathlib.Path(arguments.binary).resolve().parents[1] / "bench" / "load" / name)


def write_configuration(directory, port):
    (directory / "gate.test.zone").write_text(ZONE)
    # The limits for one address are raised: a thousand connections come from 127.0.0.1.
    (directory / "gateway.yaml").write_text(
        "workers: 1\n"
        "listen:\n"
        f"  - do53: {{ on: ['127.0.0.1:{port}'] }}\n"
        f"  - dot: {{ on: ['127.0.0.1:{port + 1}'] }}\n"
        f"  - doq: {{ on: ['127.0.0.1:{port + 1}'] }}\n"
        f"  - doh: {{ on: ['127.0.0.1:{port + 2}'] }}\n"
        "certificates: { directory: certs, names: [gate.test] }\n"
        "zones: [ { name: gate.test, file: gate.test.zone } ]\n"
        "limits:\n"
        "  streams: { connections_per_address: 10000, idle: 60s }\n"
        "  quic: { connections_per_address: 10000, idle: 60s, memory: 256MiB }\n"
    )


def wait_for_port(port, process):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit("run_doors: the gateway did not start")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("run_doors: the gateway does not listen")


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Bench:
    def __init__(self, arguments, directory):
        self.arguments = arguments
        self.directory = directory
        self.load = find_tool(arguments, "sallyport-load")
        self.port = arguments.port
        self.figures = []

    def run(self, door, port, pid, label, *options):
        command = [self.load, "--door", door, "--server", f"127.0.0.1:{port}", "--ca", str(self.directory / "certs" / "ca.crt"),
                   "--names", str(self.directory / "names"), "--server-pid", str(pid), "--json", *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True)
        if not done.stdout:
            raise SystemExit(f"run_doors: {' '.join(command)}: {done.stderr.strip()}")
        figures = dict(json.loads(done.stdout), label=label, title=TITLES[door])
        self.figures.append(figures)
        note = f" ({figures['first_failure']})" if figures["first_failure"] else ""
        print(f"{label:12} {TITLES[door]:8} {figures['cpu_us']:6.2f} us, {figures['answers_per_second']:.0f}/s, "
              f"{figures['errors']} errors{note}", file=sys.stderr, flush=True)
        return figures

    def door_port(self, door):
        return self.port + {"udp": 0, "tcp": 0, "dot": 1, "doq": 1, "doh": 2, "doh1": 2, "doh3": 2}[door]

    def gateway_runs(self, pid):
        arguments = self.arguments
        for door in arguments.doors.split(","):
            port = self.door_port(door)
            self.run(door, port, pid, "16x8", "--connections", 16, "--outstanding", 8, "--seconds", 3)
            self.run(door, port, pid, "1", "--connections", 1, "--outstanding", 8, "--queries", arguments.queries)
            # Datagrams are lost when more are on their way than a socket's buffer holds (212,992 octets by default).
            many = ["--outstanding", 1, "--in-flight", 256] if door == "udp" else ["--outstanding", 2]
            self.run(door, port, pid, "many", "--connections", arguments.connections, "--queries", arguments.queries,
                     "--settle", 2, *many)

    def floor(self, door, program, *arguments):
        port = self.port + (3 if door == "udp" else 4)
        process = subprocess.Popen([find_tool(self.arguments, program), "127.0.0.1", str(port), *map(str, arguments)])
        time.sleep(0.5)
        try:
            self.run(door, port, process.pid, "floor", "--connections", 16, "--outstanding", 8, "--seconds", 3)
        finally:
            stop(process)

    def write_names(self):
        (self.directory / "names").write_text("".join(f"host-{i}.gate.test A\n" for i in range(1, 101)))


def kib(number):
    return f"{number / 1024:.1f}"


def print_tables(bench):
    runs = {(f["label"], f["title"]): f for f in bench.figures}
    titles = [TITLES[door] for door in bench.arguments.doors.split(",")]
    print(f"Machine: {platform.machine()}, {os.cpu_count()} cores shared by client and gateway, Linux {platform.release()}; "
          "one worker, loopback.\n")
    print("| door | CPU µs/query | queries/s | p50 µs | p99 µs | errors | bare responder, CPU µs |")
    print("|---|---|---|---|---|---|---|")
    for title in titles:
        f = runs[("16x8", title)]
        floor = runs.get(("floor", title))
        print(f"| {title} | {f['cpu_us']:.2f} | {f['answers_per_second']:.0f} | {f['p50_us']:.0f} | {f['p99_us']:.0f} | "
              f"{f['errors']} | {'%.2f' % floor['cpu_us'] if floor else '–'} |")
    print(f"\n{bench.arguments.queries:,} queries over one and over {bench.arguments.connections:,} connections "
          "(resident memory in MiB: before, with all connections, peak, after they closed):\n")
    print("| door | connections | answered | errors | CPU µs/query | queries/s | memory | descriptors before, peak, after |")
    print("|---|---|---|---|---|---|---|---|")
    for title in titles:
        for label in ("1", "many"):
            f = runs[(label, title)]
            memory = ", ".join(kib(f[key]) for key in ("rss_before_kib", "rss_connected_kib", "rss_peak_kib", "rss_closed_kib"))
            print(f"| {title} | {f['connections']} | {f['answered']} | {f['errors']} | {f['cpu_us']:.2f} | "
                  f"{f['answers_per_second']:.0f} | {memory} | {f['fds_before']}, {f['fds_peak']}, {f['fds_closed']} |")


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="sallyport-bench-") as folder:
        bench = Bench(arguments, pathlib.Path(folder))
        write_configuration(bench.directory, bench.port)
        bench.write_names()
        certificates = bench.directory / "certs"
        subprocess.run([arguments.binary, "cert", "dev", "-d", str(certificates)], check=True, stdout=subprocess.DEVNULL)
        with open(bench.directory / "log", "wb") as log:
            gateway = subprocess.Popen([arguments.binary, "run", "-c", str(bench.directory / "gateway.yaml")], stdout=log,
                                       stderr=log)
        try:
            wait_for_port(bench.port, gateway)
            bench.gateway_runs(gateway.pid)
        finally:
            stop(gateway)
        if not arguments.no_floor:
            bench.floor("udp", "sallyport-floor-udp")
            bench.floor("dot", "sallyport-floor-dot", certificates / "dev.crt", certificates / "dev.key")
        print_tables(bench)
        if arguments.json:
            pathlib.Path(arguments.json).write_text(json.dumps(bench.figures, indent=1))
        return 1 if any(figures["errors"] for figures in bench.figures) else 0


if __name__ == "__main__":
    sys.exit(main())
