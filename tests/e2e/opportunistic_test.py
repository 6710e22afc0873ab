#!/usr/bin/env python3
"""Authoritative servers that turn out to speak DNS over TLS are asked so (RFC 9539): a DNS of our own, some of whose
servers have a TLS front."""

import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gateway  # noqa: E402
import private_root  # noqa: E402
from gateway import BINARY, PATIENCE, Gateway, ask_udp, free_port, header, query, wait_for  # noqa: E402

NOERROR = 0


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


class Recursing(Gateway):
    def __init__(self, root, more):
        self.port = free_port()
        super().__init__(config=f"workers: 1\nlisten: [{{ do53: {{ on: ['127.0.0.1:{self.port}'] }} }}]\n" +
                         root.resolve_section(more))

    def rcode(self, name):
        return header(ask_udp(self.port, query(name, 1, 7)))["rcode"]

    def count(self, name):
        return self.counters()[f"sallyport_recursion_encrypted_{name}"]


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
        self.on = f"  opportunistic: tls\n  tls_port: {self.tls_port}\n  opportunistic_limits: {{ timeout: 2s }}\n"

    def front(self, mode="good"):
        made = Front(self.root, self.root.leaf_server, self.tls_port, self.certs, mode)
        self.addCleanup(made.close)
        return made

    def test_a_server_that_speaks_it_is_asked_so(self):
        front = self.front()
        with Recursing(self.root, self.on) as gate:
            self.assertEqual(gate.rcode("www.ecdsa.tld"), NOERROR)
            wait_for(lambda: gate.count("servers") == 1, "the server to be known")
            self.assertEqual(gate.rcode("mail.ecdsa.tld"), NOERROR)
            self.assertEqual(gate.rcode("both.plain.tld"), NOERROR)
            self.assertGreaterEqual(len(front.sizes), 2)
            self.assertTrue(all(size % 128 == 0 for size in front.sizes), front.sizes)
            self.assertGreaterEqual(gate.count("queries_total"), 2)
            self.assertEqual(gate.count("fallbacks_total"), 0)
            # The root and the top-level domain know no TLS: each was tried once.
            self.assertEqual(gate.count("probes_total"), 3)
            self.assertEqual(gate.count("failures_total"), 2)

    def test_one_that_goes_away_is_asked_in_plain_dns(self):
        front = self.front()
        with Recursing(self.root, self.on) as gate:
            self.assertEqual(gate.rcode("www.ecdsa.tld"), NOERROR)
            wait_for(lambda: gate.count("servers") == 1, "the server to be known")
            front.close()
            for name in ("mail.ecdsa.tld", "both.ecdsa.tld", "both.plain.tld", "mail.plain.tld"):
                self.assertEqual(gate.rcode(name), NOERROR)
            wait_for(lambda: gate.count("servers") == 0, "the server to be given up")

    def test_what_is_no_tls_is_in_nobodys_way(self):
        for mode in ("broken", "mute"):
            with self.subTest(mode=mode):
                front = self.front(mode)
                with Recursing(self.root, self.on) as gate:
                    for name in ("www.ecdsa.tld", "mail.ecdsa.tld", "both.ecdsa.tld", "inner.plain.tld",
                                 "both.plain.tld", "mail.plain.tld"):
                        self.assertEqual(gate.rcode(name), NOERROR, name)
                    self.assertEqual(gate.count("servers"), 0)
                front.close()

    def test_nobody_is_tried_where_it_is_off(self):
        front = self.front()
        with Recursing(self.root, f"  tls_port: {self.tls_port}\n") as gate:
            self.assertEqual(gate.rcode("www.ecdsa.tld"), NOERROR)
            self.assertEqual(gate.count("probes_total"), 0)
        self.assertEqual(front.connections, [])


if __name__ == "__main__":
    private_root.main()
