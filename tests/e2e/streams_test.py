#!/usr/bin/env python3
"""Streams as the world around a gateway uses them: proxies before it, Unix sockets, sockets of the service manager, doors
that share a port, cleartext HTTP behind a reverse proxy, TCP Fast Open."""

import base64
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, PATIENCE, Gateway, ask_udp, framed, free_port, header, need, query, read_exactly, read_framed, wait_for

GATE = None
REFUSED = 5
LOCAL, STRANGER = "10.1.2.3", "203.0.113.9"  # the access list serves the first and refuses the second


class StreamGateway(Gateway):
    def standard_config(self, workers):
        self.proxied, self.plain_http, self.socket_path = free_port(), free_port(), self.directory / "dns.sock"
        return super().standard_config(workers).replace(
            "certificates:",
            f"  - do53: {{ on: ['unix:{self.socket_path}'] }}\n"
            f"  - dot: {{ on: ['127.0.0.1:{self.proxied}'], proxy_protocol_from: [127.0.0.1] }}\n"
            f"  - doh: {{ on: ['127.0.0.1:{self.plain_http}'], cleartext: true, http3: false, forwarded_from: [192.0.2.0/24] }}\n"
            "certificates:")


def setUpModule():
    global GATE
    GATE = StreamGateway()


def tearDownModule():
    code = GATE.stop()
    assert code == 0, f"the gateway ended with {code}:\n{GATE.log()}"


def proxy_v2(source, command=0x21):
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", 40000, 853)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", command, 0x11, len(addresses)) + addresses


def connect(port):
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


class ProxyProtocol(unittest.TestCase):
    """A PROXY v2 header before TLS: the client it names is the one that asks."""

    def ask(self, before):
        raw = connect(GATE.proxied)
        raw.sendall(before)
        with GATE.tls_context(["dot"]).wrap_socket(raw, server_hostname="gate.test") as tls:
            tls.sendall(framed(query("www.gate.test", ident=4)))
            return header(read_framed(tls))

    def test_the_named_client_is_judged(self):
        self.assertEqual(self.ask(proxy_v2(LOCAL))["rcode"], 0)
        self.assertEqual(self.ask(proxy_v2(STRANGER))["rcode"], REFUSED)

    def test_the_proxy_speaks_for_itself(self):
        self.assertEqual(self.ask(proxy_v2(STRANGER, command=0x20))["rcode"], 0)

    def test_a_listed_proxy_without_a_header_is_closed(self):
        before = GATE.counters()["sallyport_proxy_refused_total"]
        for octets in (framed(query("www.gate.test")), b"PROXY TCP4 10.1.2.3 127.0.0.1 1 853\r\n", proxy_v2(LOCAL)[:12] + b"\x21\x31\0\0"):
            with connect(GATE.proxied) as raw:
                raw.sendall(octets)
                try:
                    self.assertEqual(raw.recv(1), b"")
                except ConnectionResetError:
                    pass
        self.assertEqual(GATE.counters()["sallyport_proxy_refused_total"], before + 3)


class UnixSocket(unittest.TestCase):
    def test_pipelined_queries(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(GATE.socket_path))
            client.sendall(b"".join(framed(query("www.gate.test", ident=i)) for i in range(50)) + framed(query("big.gate.test", 16, 50)))
            answers = [header(read_framed(client)) for _ in range(51)]
        self.assertEqual(sorted(answer["id"] for answer in answers), list(range(51)))
        self.assertTrue(all(answer["rcode"] == 0 for answer in answers))

    def test_only_owner_and_group_may_connect(self):
        self.assertEqual(os.stat(GATE.socket_path).st_mode & 0o777, 0o660)


class CleartextHttp(unittest.TestCase):
    """Behind a reverse proxy: whose address the access list sees."""

    def ask(self, port, version, *fields):
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        words = [word for field in fields for word in ("-H", field)]
        result = subprocess.run(["curl", "-sS", version, *words, f"http://127.0.0.1:{port}/dns-query?dns={encoded}", "-w", "%{http_version}"],
                                capture_output=True, timeout=3 * PATIENCE)
        self.assertEqual(result.returncode, 0, result.stderr)
        body, used = (result.stdout[:-1], "2") if version != "--http1.1" else (result.stdout[:-3], "1.1")
        self.assertTrue(result.stdout.endswith(used.encode()), result.stdout)
        return header(body)["rcode"]

    @unittest.skipUnless(need("curl"), "not installed: curl")
    def test_client_addresses(self):
        forwards = [
            ((), 0, 0),
            ((f"X-Forwarded-For: {LOCAL}",), 0, 0),
            ((f"X-Forwarded-For: {STRANGER}",), REFUSED, 0),
            ((f"Forwarded: for={STRANGER};proto=https",), REFUSED, 0),
            # What the proxy appended counts, not what its client wrote before it.
            ((f"X-Forwarded-For: {LOCAL}, {STRANGER}",), REFUSED, 0),
            ((f"X-Forwarded-For: {STRANGER}, {LOCAL}",), 0, 0),
        ]
        for version in ("--http1.1", "--http2-prior-knowledge"):
            for fields, trusted, untrusted in forwards:
                with self.subTest(version=version, fields=fields):
                    self.assertEqual(self.ask(GATE.cleartext, version, *fields), trusted)
                    self.assertEqual(self.ask(GATE.plain_http, version, *fields), untrusted)
        counters = GATE.counters()
        self.assertEqual(counters["sallyport_http_forwarded_believed_total"], 10)
        self.assertEqual(counters["sallyport_http_forwarded_ignored_total"], 10)


class SharedPort(unittest.TestCase):
    """DoT and DoH on one port, told apart by ALPN."""

    def test_each_protocol(self):
        message = query("www.gate.test", ident=6)
        for alpn in (None, ["dot"]):
            with GATE.connect_tls(GATE.tls, alpn) as tls:
                tls.sendall(framed(message))
                self.assertEqual(header(read_framed(tls))["an"], 1)
        with GATE.connect_tls(GATE.tls, ["http/1.1"]) as tls:
            tls.sendall(b"POST /dns-query HTTP/1.1\r\nhost: gate.test\r\ncontent-type: application/dns-message\r\nconnection: close\r\n"
                        b"content-length: %d\r\n\r\n" % len(message) + message)
            head, _, body = self.read_all(tls).partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 OK"), head)
            self.assertRegex(head, rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT(\r\n|$)")
            self.assertEqual(header(body)["id"], 6)
        with GATE.connect_tls(GATE.tls, ["h2", "dot"]) as tls:
            self.assertIn(tls.selected_alpn_protocol(), ("h2", "dot"))
        with GATE.connect_tls(GATE.tls, ["h2"]) as tls:
            tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            self.assertEqual(read_exactly(tls, 9)[3], 4, "SETTINGS come first")

    @staticmethod
    def read_all(tls):
        data = b""
        while chunk := tls.recv(65536):
            data += chunk
        return data


class FastOpen(unittest.TestCase):
    def test_a_query_with_the_first_segment(self):
        sysctl = pathlib.Path("/proc/sys/net/ipv4/tcp_fastopen")
        if not sysctl.exists() or not int(sysctl.read_text()) & 1:
            self.skipTest("this machine has no TCP Fast Open")
        served = bool(int(sysctl.read_text()) & 2)
        with_data = False
        for ident in range(3):  # the first gets the cookie
            with socket.socket() as client:
                # Blocking, with the kernel's own patience: else the first SYN leaves without its data.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(PATIENCE), 0))
                client.sendto(framed(query("www.gate.test", ident=ident)), socket.MSG_FASTOPEN, ("127.0.0.1", GATE.do53))
                self.assertEqual(header(read_framed(client))["id"], ident)
                options = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5]
                with_data = with_data or bool(options & 32)  # TCPI_OPT_SYN_DATA
        if served:
            self.assertTrue(with_data, "the kernel serves Fast Open, and our listener does not")


class SocketActivation(unittest.TestCase):
    """Sockets of the service manager (sd_listen_fds): TCP, UDP, TLS and Unix, by name."""

    def setUp(self):
        self.gate = Gateway(start=False)
        self.gate.config.write_text(
            "workers: 2\n"
            "listen:\n"
            "  - do53: { on: ['systemd:dns'] }\n"
            "  - do53: { on: ['systemd:local'], udp: false }\n"
            "  - dot: { on: ['systemd:secure'] }\n"
            "certificates: { directory: certs, names: [gate.test] }\n"
            "zones:\n  - { name: gate.test, file: gate.test.zone }\n")
        self.path = str(self.gate.directory / "activated.sock")

    def sockets(self, listen=True):
        self.port = free_port()
        made = [("dns", socket.socket(), ("127.0.0.1", self.port)), ("dns", socket.socket(type=socket.SOCK_DGRAM), ("127.0.0.1", self.port)),
                ("local", socket.socket(socket.AF_UNIX), self.path), ("secure", socket.socket(), ("127.0.0.1", self.gate.dot))]
        for _, each, address in made:
            each.bind(address)
            if listen and each.type == socket.SOCK_STREAM:
                each.listen()
        return made

    def start(self, made):
        def hand_over():
            high = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 100) for _, each, _ in made]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
                os.close(fd)

        env = dict(os.environ, LISTEN_FDS=str(len(made)), LISTEN_FDNAMES=":".join(name for name, _, _ in made))
        command = 'LISTEN_PID=$$ exec "$0" run -c "$1"'
        with open(self.gate.log_file, "ab") as log:
            self.gate.process = subprocess.Popen(["sh", "-c", command, BINARY, str(self.gate.config)], stdout=log, stderr=log, env=env,
                                                 preexec_fn=hand_over, close_fds=False)
        for _, each, _ in made:
            each.close()
        wait_for(lambda: " serving " in self.gate.log() or self.gate.process.poll() is not None, "the start")

    def test_every_kind(self):
        self.start(self.sockets())
        if self.gate.process.poll() is not None and "systemd" in self.gate.log() and "built without" in self.gate.log():
            self.skipTest("this build has no socket activation")
        with self.gate:
            for i in range(10):
                self.assertEqual(header(ask_udp(self.port, query("www.gate.test", ident=i)))["id"], i)
                with connect(self.port) as tcp, socket.socket(socket.AF_UNIX) as unix, self.gate.connect_tls() as tls:
                    unix.settimeout(PATIENCE)
                    unix.connect(self.path)
                    for stream in (tcp, unix, tls):
                        stream.sendall(framed(query("www.gate.test", ident=i)))
                        answer = header(read_framed(stream))
                        self.assertEqual((answer["id"], answer["rcode"], answer["an"]), (i, 0, 1))

    def test_a_socket_that_does_not_listen_is_named(self):
        self.start(self.sockets(listen=False))
        self.gate.process.wait(PATIENCE)
        self.assertNotEqual(self.gate.process.returncode, 0)
        self.assertIn("does not listen", self.gate.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
