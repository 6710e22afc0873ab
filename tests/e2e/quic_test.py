#!/usr/bin/env python3
# e2e: parallel
"""The QUIC doors, asked by foreign clients and by raw UDP: versions, Retry, resets, garbage, floods, moving clients."""

import base64
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, HAS_QUIC, PATIENCE, SANITIZED, Gateway, need, query, skip, wait_for

LIMITS = "limits: {{ quic: {{ connections_per_address: 20000{more} }} }}\n"
GATE = None


def setUpModule():
    global GATE
    if not HAS_QUIC:
        skip("this build has no QUIC")
    GATE = Gateway(extra=LIMITS.format(more=""))


def tearDownModule():
    if GATE is not None:
        code = GATE.stop()
        assert code == 0, f"the gateway ended with {code}:\n{GATE.log()}"


def wants(program):
    return unittest.skipUnless(shutil.which(program), f"not installed: {program}")


def run(*command, timeout=None):
    return subprocess.run([str(word) for word in command], capture_output=True, timeout=timeout or 3 * PATIENCE)


def ask(gate, *words):
    return run(BINARY, "ask", "--name", "gate.test", "--ca", gate.ca, *words)


def total(gate, name):
    """One of the QUIC counters, over all ports and workers."""
    return sum(value for key, value in gate.counters().items() if key.split("{")[0] == "sallyport_" + name)


def resident(gate):
    """Octets of memory of the gateway."""
    with open(f"/proc/{gate.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024


def udp(gate, port=None):
    client = socket.socket(type=socket.SOCK_DGRAM)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port or gate.dot))
    return client


def answer_of(client):
    try:
        return client.recv(65535)
    except (TimeoutError, ConnectionRefusedError):
        return None


def silence_of(client):
    """Whether nothing comes."""
    client.settimeout(1)
    heard = answer_of(client)
    client.settimeout(PATIENCE)
    return heard is None


def long_packet(version, size, dcid=None, scid=b"clientid"):
    dcid = dcid or os.urandom(8)
    packet = b"\xc3" + struct.pack(">I", version) + bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    packet += b"\0" + struct.pack(">H", 0x4000 | max(0, size - len(packet) - 3))
    return packet + os.urandom(max(0, size - len(packet)))


class Kdig(unittest.TestCase):
    """kdig speaks DoQ; +quic comes last, or its release 3.2 crashes."""

    def kdig(self, gate, *words, port=None):
        return run("kdig", "@127.0.0.1", "-p", port or gate.dot, *words, f"+tls-ca={gate.ca}",
                   "+tls-hostname=gate.test", f"+time={int(PATIENCE)}", "+retry=0", "+quic")

    @wants("kdig")
    def test_big_answers(self):
        for port in (GATE.dot, GATE.tls):
            result = self.kdig(GATE, "big.gate.test", "TXT", port=port)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertEqual(result.stdout.count(b"xxxxxxxx\""), 110)

    @wants("kdig")
    def test_retry(self):
        with Gateway(extra=LIMITS.format(more=", always_retry: true")) as gate:
            for _ in range(3):
                result = self.kdig(gate, "+short", "www.gate.test", "A")
                self.assertEqual(result.stdout.strip(), b"192.0.2.80", result.stderr)
            # A client that waits for longer than it likes sends its first packet again.
            self.assertGreaterEqual(total(gate, "quic_retries_total"), 3)
            self.assertGreaterEqual(total(gate, "quic_tokens_valid_total"), 3)
            self.assertEqual(total(gate, "quic_connections_accepted_total"), 3)


class Gtlsclient(unittest.TestCase):
    """HTTP/3 by the client of the QUIC library's authors."""

    def setUp(self):
        if not need("gtlsclient"):
            self.skipTest("not installed: gtlsclient")

    def request(self, *options, gate=None, urls=1):
        gate = gate or GATE
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        url = f"https://gate.test:{gate.tls}/dns-query?dns={encoded}"
        result = run("gtlsclient", "--exit-on-all-streams-close", f"--timeout={int(PATIENCE)}s", *options, "127.0.0.1", gate.tls,
                     *[url] * urls)
        text = (result.stdout + result.stderr).decode(errors="replace")
        self.assertEqual(len(re.findall(r":status: 200", text)), urls, text[-4000:])
        return text

    def test_resumes_with_a_token_and_without_early_data(self):
        files = [f"--{name}-file={GATE.directory / ('gtls-' + name)}" for name in ("session", "tp", "token")]
        names = ("resumed", "early_data", "tokens_valid")
        resumed, early, tokens = (total(GATE, f"quic_{name}_total") for name in names)
        self.request(*files, "--wait-for-ticket")
        self.request(*files)
        self.assertEqual(total(GATE, "quic_resumed_total"), resumed + 1)
        self.assertEqual(total(GATE, "quic_tokens_valid_total"), tokens + 1)
        self.assertEqual(total(GATE, "quic_early_data_total"), early)

    def test_a_client_that_moves_goes_on(self):
        # Both workers see packets of these connections.
        for options in (["--change-local-addr=1ms"], ["--change-local-addr=1ms", "--nat-rebinding"]):
            for _ in range(3):
                self.request(*options, "--delay-stream=200ms")
        self.assertGreaterEqual(total(GATE, "quic_migrations_total"), 1)
        self.assertEqual(total(GATE, "quic_routed_wrong_total"), 0)

    def test_many_requests_on_one_connection(self):
        self.request(urls=50)


class EarlyData(unittest.TestCase):
    def reconnect(self, gate, door, port):
        result = ask(gate, "www.gate.test", door, f"127.0.0.1:{port}", "--early-data", "--repeat", "3", "--reconnect",
                     "--short")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.split(), [b"192.0.2.80"] * 4)

    def test_is_off_by_default(self):
        self.reconnect(GATE, "--doq", GATE.dot)
        self.assertEqual(total(GATE, "quic_early_data_total"), 0)

    def test_is_taken_where_configured(self):
        with Gateway(extra=LIMITS.format(more=""), start=False) as gate:
            gate.config.write_text(re.sub(r"(doq: \{ )", r"\1early_data: true, ", gate.config.read_text()))
            gate.start()
            self.reconnect(gate, "--doq", gate.dot)
            self.assertGreater(total(gate, "quic_early_data_total"), 0)
            self.reconnect(gate, "--doh3", gate.tls)  # answered after the handshake


class Versions(unittest.TestCase):
    def test_an_unknown_version_is_negotiated_for_whole_datagrams_only(self):
        with udp(GATE) as client:
            client.send(long_packet(0x1A2A3A4A, 1200, dcid=b"12345678"))
            reply = answer_of(client)
            self.assertIsNotNone(reply)
            self.assertEqual(reply[1:5], b"\0\0\0\0")
            self.assertEqual(reply[5:23], b"\x08clientid\x0812345678")
            versions = struct.unpack(f">{(len(reply) - 23) // 4}I", reply[23:])
            self.assertIn(1, versions)
            self.assertTrue(any(version & 0x0F0F0F0F == 0x0A0A0A0A for version in versions))
            self.assertLess(len(reply), 1200)
            client.send(long_packet(0x1A2A3A4A, 1199))
            self.assertTrue(silence_of(client))

    def test_version_negotiation_is_never_answered(self):
        with udp(GATE) as client:
            client.send(long_packet(0, 1200))
            self.assertTrue(silence_of(client))


class Resets(unittest.TestCase):
    def test_an_unknown_connection_is_reset_by_a_smaller_packet(self):
        with udp(GATE) as client:
            cid = os.urandom(16)
            client.send(b"\x41" + cid + os.urandom(83))
            first = answer_of(client)
            self.assertIsNotNone(first)
            self.assertLess(len(first), 100)
            self.assertEqual(first[0] & 0xC0, 0x40)  # looks like any packet with a short header
            client.send(b"\x41" + cid + os.urandom(83))
            self.assertEqual(answer_of(client)[-16:], first[-16:])  # the token of the ID
            client.send(first)  # another gateway's reset: no loop
            self.assertTrue(silence_of(client))
        with udp(GATE, GATE.tls) as client:  # another port does not tell the token
            client.send(b"\x41" + cid + os.urandom(83))
            self.assertNotEqual(answer_of(client)[-16:], first[-16:])


class Floods(unittest.TestCase):
    def flood(self, gate, port, seconds, make, least=0):
        """Sends what `make` makes from ever new ports, for so long and so many octets at least; answers are not read.
        Returns octets sent."""
        sent = 0
        began = time.monotonic()
        while time.monotonic() < began + seconds or (sent < least and time.monotonic() < began + PATIENCE):
            with udp(gate, port) as client:
                for _ in range(64):
                    packet = make()
                    try:
                        client.send(packet)
                    except OSError:
                        continue
                    sent += len(packet)
        return sent

    def test_garbage_leaves_nothing(self):
        received = total(GATE, "quic_datagrams_total")

        def make():
            packet = bytearray(os.urandom(1 + int.from_bytes(os.urandom(2), "big") % 1400))
            if packet[0] & 0x80 and len(packet) > 5:
                packet[1:5] = struct.pack(">I", (1, 0x6B3343CF, 0, 0xFFFFFFFF)[packet[5] % 4])
            return bytes(packet)

        self.flood(GATE, GATE.dot, 2, make)
        self.assertGreater(total(GATE, "quic_datagrams_total"), received)
        wait_for(lambda: total(GATE, "quic_connections") == 0, "the end of all connections")
        self.assertEqual(total(GATE, "quic_call_order_breaches_total"), 0)

    @wants("gtlsclient")
    def test_first_packets(self):
        """Real first packets of real clients, again and again from ever new ports: handshakes, then Retry."""
        packets = []
        with socket.socket(type=socket.SOCK_DGRAM) as trap:
            trap.bind(("127.0.0.1", 0))
            trap.settimeout(PATIENCE)
            for _ in range(80):
                client = subprocess.Popen(["gtlsclient", "-q", "--timeout=1s", "127.0.0.1", str(trap.getsockname()[1]),
                                           "https://gate.test/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                packets.append(trap.recv(65535))
                client.kill()
                client.wait()
        with Gateway(extra=LIMITS.format(more=", handshakes_before_retry: 40")) as gate:
            before = resident(gate)
            sent = self.flood(gate, gate.tls, 3, lambda: packets[int.from_bytes(os.urandom(2), "big") % len(packets)],
                              1_100_000)
            self.assertGreater(sent, 1_000_000)
            self.assertGreater(total(gate, "quic_connections_accepted_total"), 0)
            self.assertGreater(total(gate, "quic_retries_total"), 0)
            self.assertLessEqual(total(gate, "quic_handshaking"), 40)
            if not SANITIZED:
                self.assertLess(resident(gate) - before, 64 << 20)
            self.assertLessEqual(total(gate, "quic_bytes_sent_total"), 3 * total(gate, "quic_bytes_received_total"))
            wait_for(lambda: total(gate, "quic_connections") == 0, "the end of all handshakes")
            wait_for(lambda: total(gate, "quic_memory_bytes") == 0, "their memory to be given back")


class Endurance(unittest.TestCase):
    def test_five_thousand_queries_on_one_connection(self):
        names = GATE.directory / "names"
        names.write_text("www.gate.test A\n" * 5000)
        accepted = total(GATE, "quic_connections_accepted_total")
        result = ask(GATE, "--doq", f"127.0.0.1:{GATE.dot}", "--batch", names, "--short", "--timeout", PATIENCE)
        self.assertEqual(result.returncode, 0, result.stderr[-2000:])
        self.assertEqual(result.stdout.count(b"192.0.2.80"), 5000)
        self.assertEqual(total(GATE, "quic_connections_accepted_total"), accepted + 1)


if __name__ == "__main__":
    unittest.main()
