"""What the end-to-end tests share: a gateway of the real binary on free loopback ports, and raw DNS messages."""

import atexit
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(os.environ.get("SALLYPORT_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get("SALLYPORT_BINARY", str(SOURCE / "build" / "release" / "apps" / "sallyport"))
HAS_QUIC = os.environ.get("SALLYPORT_HAS_QUIC", "ON").upper() in ("ON", "1", "TRUE")
# Sanitizers keep freed memory back, to catch who still uses it: resident memory says nothing there.
SANITIZED = bool(os.environ.get("SALLYPORT_SANITIZED"))
# Sanitizers and busy machines: patience in one place.
PATIENCE = float(os.environ.get("SALLYPORT_TEST_PATIENCE", "20"))
# For limits of time that are tested themselves: how much slower than a quiet machine this one may be.
SLOWNESS = max(1.0, PATIENCE / 20)
# For `resolve`: whoever counts what an upstream is asked wants no question twice because that one had to wait. A late
# answer of the only one there is counts until the end.
PATIENT = "limits: { tries: 1, first_timeout: 10s, budget: 30s, failures_to_open: 1000 }"
PATIENT_RECURSION = "recursion_limits: { first_timeout: 10s, least_timeout: 5s, most_timeout: 30s, time: 1m }"

ZONE = """$ORIGIN gate.test.
$TTL 300
@       SOA   ns hostmaster 1 3600 900 604800 60
        NS    ns
        A     127.0.0.1
        AAAA  ::1
        MX    10 mail
ns      A     127.0.0.1
mail    A     192.0.2.25
www     A     192.0.2.80
alias   CNAME www
page    A     127.0.0.1
*.wild  A     192.0.2.99
text    TXT   "hello"
$GENERATE 1-110 big TXT "$ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
"""


def skip(reason):
    """Ends this program as skipped, with one clear line."""
    print(f"SKIPPED: {reason}")
    sys.exit(77)


GIVEN_PORTS = {}


def client_ports():
    """The port numbers that the system gives to clients: whatever listens there may find its port taken by anybody."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as numbers:
            first, last = map(int, numbers.read().split())
    except (OSError, ValueError):
        first, last = 32_768, 60_999
    return range(first, last + 1)


def reserve(port):
    """Takes the number for as long as this program runs; false where another program of these tests has it."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0sallyport-test-port-{port}")
    except OSError:
        mark.close()
        return False
    GIVEN_PORTS[port] = mark
    return True


def free_port(address="127.0.0.1"):
    """A port number free for both UDP and TCP at this moment, given to nobody before, here or in another test that
    runs, and none that the system gives to clients: it is not taken before it is listened at."""
    taken = client_ports()
    numbers = [port for port in range(10_000, 65_000) if port not in taken] or list(range(10_000, 65_000))
    for _ in range(1000):
        port = random.SystemRandom().choice(numbers)
        if port in GIVEN_PORTS:
            continue
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind((address, port))
                udp.bind((address, port))
            except OSError:
                continue
            if reserve(port):
                return port
    raise RuntimeError("no free port")


def wait_for(condition, what, patience=None):
    deadline = time.monotonic() + (patience or PATIENCE)
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


class Gateway:
    """A running gateway; `with Gateway() as gate:`. Attributes do53, tls (DoT and DoH), dot, ca, directory, log()."""

    def __init__(self, extra="", zone=ZONE, config=None, workers=2, env=None, start=True):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test-"))
        atexit.register(shutil.rmtree, self.directory, True)
        self.certs = self.directory / "certs"
        subprocess.run([BINARY, "cert", "dev", "-d", str(self.certs)], check=True, stdout=subprocess.DEVNULL)
        self.ca = str(self.certs / "ca.crt")
        (self.directory / "gate.test.zone").write_text(zone)
        self.do53, self.dot, self.tls, self.cleartext = free_port(), free_port(), free_port(), free_port()
        self.config = self.directory / "sallyport.yaml"
        self.config.write_text(config if config is not None else self.standard_config(workers) + extra)
        self.log_file = self.directory / "log"
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        # Also where a test fails before its end: no gateway outlives the tests.
        atexit.register(self.stop)
        if start:
            self.start()

    def standard_config(self, workers):
        return (
            f"workers: {workers}\n"
            "listen:\n"
            f"  - do53: {{ on: ['127.0.0.1:{self.do53}'] }}\n"
            f"  - dot: {{ on: ['127.0.0.1:{self.dot}', '127.0.0.1:{self.tls}'] }}\n"
            f"  - doq: {{ on: ['127.0.0.1:{self.dot}', '127.0.0.1:{self.tls}'] }}\n"
            f"  - doh: {{ on: ['127.0.0.1:{self.tls}'], path: /dns-query }}\n"
            f"  - doh: {{ on: ['127.0.0.1:{self.cleartext}'], cleartext: true, http3: false, forwarded_from: [127.0.0.1] }}\n"
            "certificates: { directory: certs, names: [gate.test], watch_every: 1s }\n"
            "zones:\n  - { name: gate.test, file: gate.test.zone }\n"
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:  # but for the statistics: thousands of lines would bury the one that matters
            print(re.sub(r"^(# (HELP|TYPE) |sallyport_).*\n", "", self.log(), flags=re.M), file=sys.stderr)
        code = self.stop()
        if kind is None and code != 0:
            raise AssertionError(f"the gateway ended with {code}:\n{self.log()}")

    def start(self):
        before = len(self.log())
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([BINARY, "run", "-c", str(self.config)], stdout=log, stderr=log, env=self.env)
        wait_for(lambda: " serving " in self.log()[before:] or self.process.poll() is not None, "the start")
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway did not start:\n{self.log()}")

    def stop(self):
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                return -9
        return self.process.returncode

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def reload(self):
        """Sends SIGHUP and waits for the verdict; returns the log written since."""
        before = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: re.search(r"reloaded:|reload refused", self.log()[before:]), "the reload")
        return self.log()[before:]

    def counters(self):
        """What the gateway counts, by name, summed over its workers."""
        before = len(self.log())
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: "# end of statistics" in self.log()[before:], "the statistics")
        found = re.findall(r"^(sallyport_[a-z0-9_]+(?:\{[^}]*\})?) (\d+)$", self.log()[before:], re.M)
        return {name: int(value) for name, value in found}

    def tls_context(self, alpn=None):
        context = ssl.create_default_context(cafile=self.ca)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def connect_tls(self, port=None, alpn=None, name="gate.test", timeout=None):
        raw = socket.create_connection(("127.0.0.1", port or self.dot), timeout or PATIENCE)
        return self.tls_context(alpn).wrap_socket(raw, server_hostname=name)


def query(name, qtype=1, ident=0, flags=0x0100, edns=None, qclass=1):
    """A DNS query; `edns` None or a dict of size, do, options (bytes)."""
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.strip(".").split(".") if l) + b"\0"
    message = struct.pack(">HHHHHH", ident, flags, 1, 0, 0, 0 if edns is None else 1)
    message += labels + struct.pack(">HH", qtype, qclass)
    if edns is not None:
        options = edns.get("options", b"")
        message += b"\0" + struct.pack(">HHIH", 41, edns.get("size", 1232), 0x8000 if edns.get("do") else 0, len(options)) + options
    return message


def framed(message):
    return struct.pack(">H", len(message)) + message


def read_exactly(stream, size):
    data = b""
    while len(data) < size:
        chunk = stream.recv(size - len(data))
        if not chunk:
            raise EOFError(f"the stream ended after {len(data)} of {size} octets")
        data += chunk
    return data


def read_framed(stream):
    return read_exactly(stream, struct.unpack(">H", read_exactly(stream, 2))[0])


def ask_udp(port, message, timeout=None):
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(timeout or PATIENCE)
        client.sendto(message, ("127.0.0.1", port))
        return client.recv(65535)


def header(message):
    ident, flags, questions, answers, authorities, additionals = struct.unpack(">HHHHHH", message[:12])
    return {"id": ident, "flags": flags, "rcode": flags & 15, "tc": bool(flags & 0x0200), "qd": questions, "an": answers,
            "ns": authorities, "ar": additionals}


def need(program):
    """The path of a client program, or None."""
    return shutil.which(program)


INSIDE = "SALLYPORT_TEST_INSIDE"


def enter_namespaces(what):
    """Starts this program again where the network and the mounts are its own; skips it where that cannot be had."""
    if INSIDE in os.environ:
        return
    command = ["unshare", "--net", "--mount", "--propagation", "private"]
    if os.getuid() != 0 or not need("unshare") or not need("ip") or subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        skip(f"{what} wants network and mounts of its own: root, unshare, and ip (Debian: iproute2)")
    os.environ[INSIDE] = "1"
    os.execvp(command[0], [*command, sys.executable, "-B", *sys.argv])
