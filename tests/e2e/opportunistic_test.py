#!/usr/bin/env python3
# e2e: parallel
"""Authoritative servers that turn out to speak DNS over TLS or QUIC are asked so (RFC 9539): a DNS of our own, some of
whose servers have a front that speaks TLS, or beside them a gateway of ours that serves their zone over QUIC."""

import pathlib
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gateway  # noqa: E402
import private_root  # noqa: E402
from gateway import BINARY, HAS_QUIC, PATIENCE, SLOWNESS, Gateway, ask_udp, free_port, header, query, wait_for  # noqa: E402

NOERROR = 0
# For machines where an answer of loopback takes long: no query is given up that would be answered.
PATIENT = "first_timeout: 4s, least_timeout: 4s"


class Front:
    """DNS over TLS before a name server that speaks plain DNS. `mute`: it shakes hands and says nothing more; `broken`:
    it takes connections and knows no TLS."""

    def __init__(self, root, address, port, certs, mode="good"):
        self.target = (address, root.port)
        self.mode = mode
        self.sizes = []
        self.connections = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certs / "dev.crt", certs / "dev.key")
        self.context.set_alpn_protocols(["dot"])
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(plain)
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            if self.mode == "broken":
                plain.sendall(b"no TLS here")
                plain.close()
                return
            stream = self.context.wrap_socket(plain, server_side=True)
            self.connections.append(stream)
            while True:
                message = gateway.read_framed(stream)
                self.sizes.append(len(message))
                if self.mode == "mute":
                    continue
                with socket.create_connection(self.target, PATIENCE) as behind:
                    behind.sendall(gateway.framed(message))
                    stream.sendall(gateway.framed(gateway.read_framed(behind)))
        except (OSError, EOFError, struct.error):
            plain.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # whoever waits in accept() holds it open otherwise
        except OSError:
            pass
        self.listener.close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()


class QuicFront(Gateway):
    """An authoritative server for plain.tld over QUIC alone."""

    def __init__(self, root, address, port):
        super().__init__(config=f"workers: 1\nlisten: [{{ doq: {{ on: ['{address}:{port}'] }} }}]\n"
                         "certificates: { directory: certs }\n"
                         f"zones: [{{ name: plain.tld, file: '{root.directory}/plain.tld.zone' }}]\n")

    def total(self, name):
        """One of its counters, over all its ports."""
        return sum(value for key, value in self.counters().items() if key.split("{")[0] == "sallyport_" + name)

    def kill(self):
        """Ends it without a word to those it has connections with."""
        self.process.kill()
        self.process.wait()


class HandshakesOnly:
    """Hands datagrams to a QUIC server and back, but none back that has not a long header, as those of handshakes do
    (RFC 9000 §17.2): what is asked after the handshake has no answer."""

    def __init__(self, address, port, target):
        self.target = target
        self.face = socket.socket(type=socket.SOCK_DGRAM)
        self.face.bind((address, port))
        self.backs = {}
        self.ended = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ended:
            ready, _, _ = select.select([self.face, *self.backs.values()], [], [], 0.1)
            for one in ready:
                try:
                    self.pass_on(one)
                except OSError:
                    pass  # whoever sent it has gone

    def pass_on(self, one):
        data, client = one.recvfrom(65535)
        if one is self.face:
            if client not in self.backs:
                self.backs[client] = socket.socket(type=socket.SOCK_DGRAM)
                self.backs[client].connect(self.target)
            self.backs[client].send(data)
        elif data[0] & 0x80:
            self.face.sendto(data, next(known for known, back in self.backs.items() if back is one))

    def close(self):
        self.ended = True
        self.thread.join()
        for one in (self.face, *self.backs.values()):
            one.close()


class Recursing(Gateway):
    def __init__(self, root, more, start=True):
        self.port = free_port()
        super().__init__(start=start, config=f"workers: 1\nlisten: [{{ do53: {{ on: ['127.0.0.1:{self.port}'] }} }}]\n" +
                         root.resolve_section(more))

    def rcode(self, name):
        return header(ask_udp(self.port, query(name, 1, 7)))["rcode"]

    def count(self, name):
        return self.counters()[f"sallyport_recursion_{name}"]

    def add_up(self, test):
        """Whether every query over TLS or QUIC has come to one of its ends, at a moment when nobody waits."""
        counters = self.counters()
        for way in ("tls", "quic"):
            queries, *ends = (counters[f"sallyport_recursion_{way}_{name}_total"]
                              for name in ("queries", "answers", "unanswered", "moved"))
            test.assertEqual(queries, sum(ends), (way, ends))


class Opportunistic(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = private_root.PrivateRoot(leaves={"ecdsa": ("ECDSAP256SHA256", False, ""), "plain": ("", False, "")})
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)
        cls.certs = cls.root.directory / "certs"
        subprocess.run([BINARY, "cert", "dev", "-d", str(cls.certs)], check=True, stdout=subprocess.DEVNULL)

    def setUp(self):
        self.tls_port = free_port(self.root.leaf_server)
        self.quic_port = free_port(self.root.leaf_server)
        self.on = self.section("tls")

    def section(self, way, timeout=f"{2 * SLOWNESS:g}s", limits=""):
        return (f"  opportunistic: {way}\n  tls_port: {self.tls_port}\n  quic_port: {self.quic_port}\n"
                f"  opportunistic_limits: {{ timeout: {timeout} }}\n  recursion_limits: {{ {limits} }}\n")

    def front(self, mode="good"):
        made = Front(self.root, self.root.leaf_server, self.tls_port, self.certs, mode)
        self.addCleanup(made.close)
        return made

    def quic_front(self, port=None):
        made = QuicFront(self.root, self.root.leaf_server, port or self.quic_port)
        self.addCleanup(made.stop)
        return made

    def mute_quic_front(self):
        port = free_port(self.root.leaf_server)
        self.quic_front(port)
        between = HandshakesOnly(self.root.leaf_server, self.quic_port, (self.root.leaf_server, port))
        self.addCleanup(between.close)

    def ask_all(self, gate, *names):
        for name in names:
            self.assertEqual(gate.rcode(name), NOERROR, name)

    def test_a_server_that_speaks_it_is_asked_so(self):
        front = self.front()
        with Recursing(self.root, self.on) as gate:
            self.assertEqual(gate.rcode("www.ecdsa.tld"), NOERROR)
            wait_for(lambda: gate.count("encrypted_servers") == 1, "the server to be known")
            self.assertEqual(gate.rcode("mail.ecdsa.tld"), NOERROR)
            self.assertEqual(gate.rcode("both.plain.tld"), NOERROR)
            self.assertGreaterEqual(len(front.sizes), 2)
            self.assertTrue(all(size % 128 == 0 for size in front.sizes), front.sizes)
            self.assertGreaterEqual(gate.count("tls_queries_total"), 2)
            self.assertEqual(gate.count("encrypted_fallbacks_total"), 0)
            # The root and the top-level domain know no TLS: each was tried once.
            self.assertEqual(gate.count("tls_probes_total"), 3)
            self.assertEqual(gate.count("tls_failures_total"), 2)
            self.assertEqual(gate.count("quic_probes_total"), 0)
            gate.add_up(self)

    def test_one_that_goes_away_is_asked_in_plain_dns(self):
        front = self.front()
        with Recursing(self.root, self.on) as gate:
            self.assertEqual(gate.rcode("www.ecdsa.tld"), NOERROR)
            wait_for(lambda: gate.count("encrypted_servers") == 1, "the server to be known")
            front.close()
            for name in ("mail.ecdsa.tld", "both.ecdsa.tld", "both.plain.tld", "mail.plain.tld"):
                self.assertEqual(gate.rcode(name), NOERROR)
            wait_for(lambda: gate.count("encrypted_servers") == 0, "the server to be given up")
            gate.add_up(self)

    def test_what_is_no_tls_is_in_nobodys_way(self):
        for mode in ("broken", "mute"):
            with self.subTest(mode=mode):
                front = self.front(mode)
                with Recursing(self.root, self.on) as gate:
                    for name in ("www.ecdsa.tld", "mail.ecdsa.tld", "both.ecdsa.tld", "inner.plain.tld",
                                 "both.plain.tld", "mail.plain.tld"):
                        self.assertEqual(gate.rcode(name), NOERROR, name)
                    self.assertEqual(gate.count("encrypted_servers"), 0)
                    gate.add_up(self)
                front.close()

    def test_nobody_is_tried_where_it_is_off(self):
        front = self.front()
        with Recursing(self.root, f"  tls_port: {self.tls_port}\n") as gate:
            self.assertEqual(gate.rcode("www.ecdsa.tld"), NOERROR)
            self.assertEqual(gate.count("tls_probes_total"), 0)
        self.assertEqual(front.connections, [])

    def ask_until(self, gate, condition):
        """Asks for names that nobody has asked for, each of which is answered."""
        def asked():
            self.ask_all(gate, f"a{time.monotonic_ns()}.wild.plain.tld")
            return condition()
        wait_for(asked, "what comes of queries")

    # ---- over QUIC

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_a_server_that_speaks_quic_is_asked_so(self):
        front = self.quic_front()
        with Recursing(self.root, self.section("quic", limits=PATIENT + ", idle: 500ms")) as gate:
            self.ask_all(gate, "www.plain.tld")
            wait_for(lambda: gate.count("quic_servers") == 1, "the server to be known")
            self.assertEqual(gate.count("encrypted_servers"), 1)
            self.ask_all(gate, "mail.plain.tld", "both.plain.tld")
            self.assertGreaterEqual(gate.count("quic_answers_total"), 2)
            self.assertEqual(front.total("doq_replies_total"), gate.count("quic_answers_total"))
            # Idle connections are closed (RFC 9539 §4.6.5), and the next one takes the session up, without early data.
            wait_for(lambda: gate.count("connections") == 0, "the connections to be closed")
            wait_for(lambda: front.total("quic_connections") == 0, "the server to know of it")
            self.ask_all(gate, "inner.plain.tld")
            self.assertEqual(front.total("quic_resumed_total"), 1)
            self.assertEqual(front.total("quic_early_data_total"), 0)
            self.assertEqual(gate.count("encrypted_sessions"), 1)
            self.assertEqual(gate.count("encrypted_fallbacks_total"), 0)
            # The root and the top-level domain know no QUIC: each was tried once, and nobody over TLS.
            self.assertEqual(gate.count("quic_probes_total"), 3)
            self.assertEqual(gate.count("quic_failures_total"), 2)
            self.assertEqual(gate.count("tls_probes_total"), 0)
            gate.add_up(self)

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_of_two_quic_is_taken_and_tls_where_that_goes_away(self):
        for end in (QuicFront.stop, QuicFront.kill):
            with self.subTest(end=end.__name__):
                tls, quic = self.front(), self.quic_front()
                with Recursing(self.root, self.section("both", limits=PATIENT)) as gate:
                    self.ask_all(gate, "www.plain.tld")
                    wait_for(lambda: gate.count("quic_servers") == 1 == gate.count("tls_servers"), "both to be known")
                    before = gate.count("tls_queries_total")
                    self.ask_all(gate, "mail.plain.tld", "both.plain.tld")
                    self.assertEqual(gate.count("tls_queries_total"), before)
                    self.assertGreaterEqual(gate.count("quic_answers_total"), 2)
                    end(quic)
                    self.ask_all(gate, "inner.plain.tld", "deep.ent.names.plain.tld", "alias.plain.tld")
                    wait_for(lambda: gate.count("quic_servers") == 0, "QUIC to be given up")
                    self.assertGreater(gate.count("tls_queries_total"), before)
                    # It is back, and nobody knows for as long as the failure counts.
                    quic.start()
                    answers = gate.count("quic_answers_total")
                    self.ask_all(gate, "x.wild.plain.tld", "y.wild.plain.tld")
                    self.assertEqual(gate.count("quic_answers_total"), answers)
                    self.assertEqual(gate.count("quic_probes_total"), 3)
                    self.assertEqual(gate.count("encrypted_servers"), 1)
                    self.assertEqual(gate.count("encrypted_fallbacks_total"), 0)
                    gate.add_up(self)
                tls.close()
                quic.stop()

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_tls_is_taken_where_nobody_is_at_the_port_of_quic(self):
        front = self.front()
        with Recursing(self.root, self.section("both", limits=PATIENT)) as gate:
            self.ask_all(gate, "www.ecdsa.tld")
            wait_for(lambda: gate.count("tls_servers") == 1, "the server to be known")
            wait_for(lambda: gate.count("quic_failures_total") == 3, "QUIC to be known not to be there")
            self.ask_all(gate, "mail.ecdsa.tld", "both.plain.tld")
            self.assertGreaterEqual(len(front.sizes), 2)
            self.assertEqual(gate.count("quic_queries_total"), 0)
            self.assertEqual(gate.count("quic_probes_total"), 3)
            self.assertEqual(gate.count("encrypted_fallbacks_total"), 0)
            gate.add_up(self)

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_one_that_only_shakes_hands_over_quic_is_asked_in_plain_dns(self):
        self.mute_quic_front()
        with Recursing(self.root, self.section("quic")) as gate:
            self.ask_until(gate, lambda: gate.count("quic_unanswered_total") >= 2)
            wait_for(lambda: gate.count("quic_servers") == 0, "the server to be given up")
            self.ask_all(gate, "mail.ecdsa.tld", "both.plain.tld")
            self.assertEqual(gate.count("quic_answers_total"), 0)
            self.assertEqual(gate.count("quic_probes_total"), 3)
            gate.add_up(self)

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_one_that_only_shakes_hands_over_both_is_asked_in_plain_dns(self):
        self.mute_quic_front()
        self.front("mute")
        with Recursing(self.root, self.section("both")) as gate:
            self.ask_until(gate, lambda: gate.count("quic_unanswered_total") and gate.count("tls_unanswered_total"))
            wait_for(lambda: gate.count("encrypted_servers") == 0, "the server to be given up")
            self.ask_all(gate, "mail.ecdsa.tld", "both.plain.tld")
            gate.add_up(self)

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_one_that_is_silent_over_quic_is_in_nobodys_way(self):
        with socket.socket(type=socket.SOCK_DGRAM) as silent:
            silent.bind((self.root.leaf_server, self.quic_port))
            with Recursing(self.root, self.section("quic", timeout="300ms")) as gate:
                self.ask_all(gate, "www.plain.tld", "mail.plain.tld")
                wait_for(lambda: gate.count("quic_failures_total") == 3, "the tries to be over")
                self.ask_all(gate, "both.plain.tld")
                self.assertEqual(gate.count("quic_probes_total"), 3)
                self.assertEqual(gate.count("quic_queries_total"), 0)
                self.assertEqual(gate.count("connections"), 0)

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_few_are_tried_at_once(self):
        front = self.front()
        section = self.section("both", timeout=f"{SLOWNESS:g}s, probes: 1", limits=PATIENT)
        with socket.socket(type=socket.SOCK_DGRAM) as silent:
            silent.bind((self.root.leaf_server, self.quic_port))
            with Recursing(self.root, section) as gate:
                self.ask_all(gate, "www.plain.tld")
                # A try over QUIC lasts as long as it may; meanwhile nobody is tried over TLS.
                wait_for(lambda: gate.count("encrypted_probes_refused_total") > 0, "one to be refused")
                wait_for(lambda: gate.count("quic_failures_total") == 3, "the tries over QUIC to be over")
                self.ask_until(gate, lambda: gate.count("tls_servers") == 1)
                gate.add_up(self)
        self.assertTrue(front.connections)

    @unittest.skipIf(HAS_QUIC, "this build has QUIC")
    def test_a_build_without_quic_says_so(self):
        gate = Recursing(self.root, self.section("both"), start=False)
        told = subprocess.run([BINARY, "check", "-c", str(gate.config)], capture_output=True, text=True, check=False)
        self.assertEqual(told.returncode, 1)
        self.assertRegex(told.stdout + told.stderr, r"sallyport\.yaml:\d+:\d+: .*this build has no QUIC")


if __name__ == "__main__":
    private_root.main()
