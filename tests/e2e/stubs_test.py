#!/usr/bin/env python3
"""Forwarders people run in front of a gateway: stubby, unbound (DoT) and dnscrypt-proxy (DoH), each holding us to our name."""

import base64
import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import HAS_QUIC, PATIENCE, ZONE, Gateway, ask_udp, framed, free_port, header, query, read_exactly, read_framed, wait_for

NAMES = "$GENERATE 0-99 host-$ A 10.0.0.$\n" + f'$GENERATE 1-14 middle TXT "$ {"x" * 200}"\n'
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def daemon(name):
    """The path of a program that may live where only root looks for programs, or None."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin")


STUBBY, UNBOUND, OPENSSL, DNSCRYPT_PROXY = map(daemon, ("stubby", "unbound", "openssl", "dnscrypt-proxy"))


class Forwarder:
    """A stub of another make on a free port, answering Do53 on loopback, with a configuration of its own."""

    def __init__(self, command, config, port, environment=None, ready=""):
        self.port = port
        self.ready = ready
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-stub-"))
        (self.directory / "config.yml").write_text(config.replace("@DIRECTORY@", str(self.directory)))
        self.output = open(self.directory / "output", "wb")
        # A copy: where AppArmor is, its profiles go by path and would not let the original read our directory.
        program = shutil.copy(command[0], self.directory)
        words = [program, *(word.replace("@CONFIG@", str(self.directory / "config.yml")) for word in command[1:])]
        self.process = subprocess.Popen(words, stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL, cwd=self.directory,
                                        env=dict(os.environ, **(environment or {})))

    def __enter__(self):
        try:
            wait_for(self.listens, "the forwarder")
        except AssertionError:
            self.__exit__(AssertionError)
            raise
        return self

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}")
        if self.ready not in (self.directory / "output").read_text(errors="replace"):
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def __exit__(self, kind, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE / 4)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        if kind is not None:
            print((self.directory / "output").read_text(errors="replace"), file=sys.stderr)
        shutil.rmtree(self.directory, ignore_errors=True)


def ask_many(port, messages):
    """Sends all at once over UDP; the answers by id, as they come."""
    answers = {}
    deadline = time.monotonic() + PATIENCE
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        for message in messages:
            client.sendto(message, ("127.0.0.1", port))
        while len(answers) < len(messages) and time.monotonic() < deadline:
            client.settimeout(max(0.01, deadline - time.monotonic()))
            with contextlib.suppress(socket.timeout):
                answer = client.recv(65535)
                answers[header(answer)["id"]] = answer
    return answers


def settled(port, message, ask=ask_udp):
    """The answer, asked for again while the forwarder has lost patience with a busy gateway, as it tells by SERVFAIL."""
    def answer():
        with contextlib.suppress(OSError, EOFError):
            found = ask(port, message)
            return found if header(found)["rcode"] != SERVFAIL else None
    return wait_for(answer, "an answer")


def ask_tcp(port, message):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as stream:
        stream.sendall(framed(message))
        return read_framed(stream)


class Records(unittest.TestCase):
    """Stubby and Android's older resolvers read one message a wake-up and never ask TLS what else the record held."""

    def setUp(self):
        self.gate = Gateway(zone=ZONE + NAMES)
        self.addCleanup(self.gate.stop)

    def plaintexts(self, messages, size):
        """Sends all messages at once; what each TLS record that comes back holds, until `size` octets are there."""
        arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.gate.tls_context(["dot"]).wrap_bio(arriving, leaving, server_hostname="gate.test")
        with socket.create_connection(("127.0.0.1", self.gate.dot), PATIENCE) as stream:
            done, sent, found = False, False, []
            while sum(map(len, found)) < size:
                with contextlib.suppress(ssl.SSLWantReadError):
                    if not done:
                        tls.do_handshake()
                        done = True
                if done and not sent:
                    tls.write(b"".join(map(framed, messages)))
                    sent = True
                stream.sendall(leaving.read())
                if done:
                    with contextlib.suppress(ssl.SSLWantReadError):
                        found.append(tls.read(65536))
                        continue
                record = read_exactly(stream, 5)
                arriving.write(record + read_exactly(stream, int.from_bytes(record[3:], "big")))
        return found

    def test_no_answer_hides_behind_another_in_a_record(self):
        messages = [query(f"host-{i}.gate.test", ident=i + 1) for i in range(40)] + [query("big.gate.test", qtype=16, ident=99)]
        sizes = sorted(len(ask_tcp(self.gate.do53, message)) + 2 for message in messages)
        left, whole = 0, []
        for text in self.plaintexts(messages, sum(sizes)):
            if left == 0:
                left = 2 + int.from_bytes(text[:2], "big")
                whole.append(left)
            self.assertLessEqual(len(text), left, "a record goes on with the next message")
            left -= len(text)
        self.assertEqual((sorted(whole), left), (sizes, 0))


class Checks:
    """What every forwarder must get through us; the class that uses it says how to start one and by which door it comes."""

    door = "dot"
    burst = 100
    zones = ""
    big = ("big.gate.test", 20_000, 110)

    @classmethod
    def setUpClass(cls):
        cls.gate = Gateway(zone=ZONE + NAMES, extra=cls.zones)

    @classmethod
    def tearDownClass(cls):
        code = cls.gate.stop()
        assert code == 0, f"the gateway ended with {code}:\n{cls.gate.log()}"

    def setUp(self):
        self.before = self.gate.counters()

    def counted(self, name):
        return self.gate.counters().get(name, 0) - self.before.get(name, 0)

    def queries(self):
        return self.counted(f'sallyport_queries_total{{transport="{self.door}"}}')

    def forwarder(self, **_):
        raise NotImplementedError

    def test_a_hundred_questions_at_once(self):
        with self.forwarder() as stub:
            answers = {}
            for start in range(0, 100, self.burst):
                answers |= ask_many(stub.port, [query(f"host-{i}.gate.test", ident=i + 1) for i in range(start, start + self.burst)])
            self.assertEqual(len(answers), 100)
            for number, answer in answers.items():
                if header(answer)["rcode"] == SERVFAIL:
                    answers[number] = settled(stub.port, query(f"host-{number - 1}.gate.test", ident=number))
        for i in range(100):
            self.assertEqual(header(answers[i + 1])["rcode"], NOERROR)
            self.assertIn(bytes([10, 0, 0, i]), answers[i + 1])
        self.assertGreaterEqual(self.queries(), 100)
        self.assertEqual(self.counted('sallyport_queries_total{transport="udp"}'), 0)
        # Pipelined: one connection, or a few where the machine is busy.
        self.assertLessEqual(self.counted("sallyport_tls_handshakes_total"), 10)

    def test_every_kind_of_answer(self):
        with self.forwarder() as stub:
            self.assertIn(bytes([192, 0, 2, 80]), settled(stub.port, query("alias.gate.test", ident=1)))
            self.assertIn(bytes([192, 0, 2, 99]), settled(stub.port, query("any.wild.gate.test", ident=2)))
            self.assertEqual(header(settled(stub.port, query("nothing.gate.test", ident=3)))["rcode"], NXDOMAIN)
            nodata = header(settled(stub.port, query("www.gate.test", qtype=15, ident=4)))
            self.assertEqual((nodata["rcode"], nodata["an"]), (NOERROR, 0))

    def test_a_big_answer(self):
        name, octets, records = self.big
        with self.forwarder() as stub:
            answer = settled(stub.port, query(name, qtype=16, ident=5, edns={"size": 1232}), ask_tcp)
        self.assertGreater(len(answer), octets)
        self.assertEqual((header(answer)["rcode"], header(answer)["an"], header(answer)["tc"]), (NOERROR, records, False))

    def test_comes_back_after_we_were_away(self):
        with self.forwarder() as stub:
            self.assertEqual(header(settled(stub.port, query("host-1.gate.test", ident=6)))["rcode"], NOERROR)
            self.gate.stop()
            self.gate.start()
            self.before = {}
            wait_for(lambda: self.answered(stub, "host-2.gate.test"), "an answer of the new gateway")
        self.assertGreaterEqual(self.queries(), 1)

    @staticmethod
    def answered(stub, name):
        with contextlib.suppress(OSError):
            return header(ask_udp(stub.port, query(name, ident=7), 3))["rcode"] == NOERROR
        return False

    def assert_strict(self, **differences):
        """It asks us nothing and tells its client so."""
        with self.forwarder(**differences) as stub:
            with contextlib.suppress(TimeoutError):
                answer = header(ask_udp(stub.port, query("host-1.gate.test", ident=8), 5))
                self.assertEqual((answer["rcode"], answer["an"]), (SERVFAIL, 0))
        self.assertEqual(self.queries(), 0)
        self.assertGreaterEqual(self.counted("sallyport_stream_connections_total"), 1)

    def test_another_name_is_not_ours(self):
        self.assert_strict(name="other.test")


@unittest.skipUnless(STUBBY, "stubby is not installed (Debian: stubby)")
class Stubby(Checks, unittest.TestCase):
    def forwarder(self, name="gate.test", pin=None):
        port = free_port()
        config = (
            "resolution_type: GETDNS_RESOLUTION_STUB\n"
            "dns_transport_list:\n  - GETDNS_TRANSPORT_TLS\n"
            "tls_authentication: GETDNS_AUTHENTICATION_REQUIRED\n"
            "tls_query_padding_blocksize: 128\n"
            "idle_timeout: 5000\n"
            "tls_backoff_time: 1\n"
            "tls_connection_retries: 1\n"
            "appdata_dir: '@DIRECTORY@'\n"
            f"listen_addresses:\n  - 127.0.0.1@{port}\n"
            + (f"tls_ca_file: '{self.gate.ca}'\n" if name else "")
            + "upstream_recursive_servers:\n"
            "  - address_data: 127.0.0.1\n"
            f"    tls_port: {self.gate.dot}\n"
            + (f"    tls_auth_name: '{name}'\n" if name else "")
            + (f"    tls_pubkey_pinset:\n      - digest: 'sha256'\n        value: {pin}\n" if pin else "")
        )
        return Forwarder([STUBBY, "-C", "@CONFIG@", "-l"], config, port)

    def pin(self):
        """The SPKI pin of our key (RFC 7858 §4.2), as an operator makes it."""
        openssl = lambda *words, given=None: subprocess.run([OPENSSL, *words], input=given, check=True, capture_output=True).stdout
        public = openssl("x509", "-in", str(self.gate.certs / "dev.crt"), "-noout", "-pubkey")
        spki = openssl("pkey", "-pubin", "-outform", "der", given=public)
        return base64.b64encode(hashlib.sha256(spki).digest()).decode()

    @unittest.skipUnless(OPENSSL, "openssl is not installed")
    def test_pinned_key(self):
        with self.forwarder(name=None, pin=self.pin()) as stub:
            self.assertEqual(header(settled(stub.port, query("host-3.gate.test", ident=9)))["rcode"], NOERROR)

    def test_another_pin_is_not_ours(self):
        self.assert_strict(name=None, pin="A" * 43 + "=")


@unittest.skipUnless(UNBOUND, "unbound is not installed (Debian: unbound)")
class Unbound(Checks, unittest.TestCase):
    def forwarder(self, name="gate.test"):
        port = free_port()
        config = (
            "server:\n"
            f"  interface: 127.0.0.1@{port}\n"
            "  do-daemonize: no\n"
            "  username: ''\n"
            "  chroot: ''\n"
            "  directory: '@DIRECTORY@'\n"
            "  pidfile: ''\n"
            "  use-syslog: no\n"
            "  do-ip6: no\n"
            "  do-not-query-localhost: no\n"
            "  module-config: 'iterator'\n"
            "  local-zone: 'test.' nodefault\n"
            f"  tls-cert-bundle: '{self.gate.ca}'\n"
            "remote-control:\n"
            "  control-enable: no\n"
            "forward-zone:\n"
            "  name: '.'\n"
            "  forward-tls-upstream: yes\n"
            f"  forward-addr: 127.0.0.1@{self.gate.dot}#{name}\n"
        )
        return Forwarder([UNBOUND, "-d", "-c", "@CONFIG@"], config, port)


def stamp(address, name, path="/dns-query"):
    """An sdns:// stamp of a DoH server without pinned certificates: as printed by every provider."""
    text = lambda value: bytes([len(value)]) + value.encode()
    packed = b"\x02" + bytes(8) + text(address) + b"\0" + text(name) + text(path)
    return "sdns://" + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


@unittest.skipUnless(DNSCRYPT_PROXY, "dnscrypt-proxy is not installed (in Debian from 13 on: dnscrypt-proxy)")
class DnscryptProxy(Checks, unittest.TestCase):
    door = "doh2"
    # A server is believed only if a name that cannot exist does not: what the root zone says elsewhere.
    burst = 5  # its own socket holds no more
    big = ("middle.gate.test", 2_800, 14)  # more than 4,096 octets it takes from nobody
    zones = "  - { name: dnscrypt, records: ['@ NS ns', 'ns A 127.0.0.1'] }\n"

    def forwarder(self, name="gate.test", http3=False):
        port = free_port()
        config = (
            "server_names = ['gate']\n"
            f"listen_addresses = ['127.0.0.1:{port}']\n"
            f"http3 = {str(http3).lower()}\n"
            "cache = false\n"
            "timeout = 4000\n"
            "netprobe_timeout = 0\n"
            "ignore_system_dns = true\n"
            "bootstrap_resolvers = ['127.0.0.1:9']\n"
            "log_level = 1\n"
            "[static.gate]\n"
            f"stamp = '{stamp(f'127.0.0.1:{self.gate.tls}', f'{name}:{self.gate.tls}')}'\n"
        )
        ready = "live servers: 1" if name == "gate.test" else "waiting for at least one server"
        return Forwarder([DNSCRYPT_PROXY, "-config", "@CONFIG@"], config, port, {"SSL_CERT_FILE": self.gate.ca}, ready)

    @unittest.skipUnless(HAS_QUIC, "built without QUIC")
    def test_by_http3(self):
        with self.forwarder(http3=True) as stub:
            for i in range(20):
                self.assertEqual(header(settled(stub.port, query(f"host-{i}.gate.test", ident=i + 1)))["rcode"], NOERROR)
        self.assertGreaterEqual(self.counted('sallyport_queries_total{transport="doh3"}'), 20)


if __name__ == "__main__":
    for name, path in (("stubby", STUBBY), ("unbound", UNBOUND), ("dnscrypt-proxy", DNSCRYPT_PROXY)):
        if not path:
            print(f"not tested: {name} is not installed (Debian{' from 13 on' if name == 'dnscrypt-proxy' else ''}: {name})")
    unittest.main()
