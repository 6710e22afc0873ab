#!/usr/bin/env python3
"""A bad packet on each door: what the client hears, what is counted, and that the next good one is answered."""

import http.client
import os
import random
import socket
import ssl
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import HAS_QUIC, PATIENCE, Gateway, ask_udp, framed, header, query, read_framed, wait_for

FORMERR, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 1, 3, 4, 5, 16
GATE = None


def setUpModule():
    global GATE
    GATE = Gateway()


def tearDownModule():
    code = GATE.stop()
    if code != 0:
        raise AssertionError(f"the gateway ended with {code}:\n{GATE.log()}")


def answer_to(message):
    """Asked again where the question, or an error for which there were too many others, was dropped."""
    def answer():
        try:
            return ask_udp(GATE.do53, message, timeout=1)
        except socket.timeout:
            return None
    return wait_for(answer, "an answer")


def broken_messages():
    """Messages whose header can be trusted and whose rest can not, by what is wrong with them."""
    good = query("gate.test", ident=77)
    loop = struct.pack(">HHHHHH", 77, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack(">HH", 1, 1)
    forward = struct.pack(">HHHHHH", 77, 0x0100, 1, 0, 0, 0) + b"\xc0\x20" + struct.pack(">HH", 1, 1)
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    return {
        "cut in the question": good[:-3],
        "octets after the last record": good + b"x",
        "a pointer to itself": loop,
        "a pointer forward": forward,
        "label type 01": struct.pack(">HHHHHH", 77, 0x0100, 1, 0, 0, 0) + b"\x41a\0" + struct.pack(">HH", 1, 1),
        "counts of 65,535": struct.pack(">HHHHHH", 77, 0x0100, 65535, 65535, 65535, 65535),
        "two OPT records": good[:10] + b"\0\2" + good[12:] + opt + opt,
        "an option that runs past the end": query("gate.test", ident=77, edns={"options": struct.pack(">HH", 10, 40) + b"abc"}),
        "101 options": query("gate.test", ident=77, edns={"options": struct.pack(">HH", 65001, 0) * 101}),
        "a name over 255 octets": struct.pack(">HHHHHH", 77, 0x0100, 1, 0, 0, 0) + (b"\x3f" + b"a" * 63) * 4 + b"\0" + struct.pack(">HH", 1, 1),
    }


class Datagrams(unittest.TestCase):
    def test_what_does_not_parse_is_formerr(self):
        for what, message in broken_messages().items():
            answer = header(answer_to(message))
            self.assertEqual((answer["rcode"], answer["id"]), (FORMERR, 77), what)
            time.sleep(0.06)  # error answers to one network are limited to 20 a second

    def test_responses_and_scraps_are_met_by_silence(self):
        for message in (query("gate.test", flags=0x8100), b"", b"\0", b"x" * 11):
            with self.assertRaises(socket.timeout):
                ask_udp(GATE.do53, message, timeout=0.3)
        self.assertEqual(header(answer_to(query("gate.test")))["an"], 1)

    def test_errors_are_limited_but_answers_are_not(self):
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            for _ in range(200):
                client.sendto(query("gate.test", flags=0x2800, ident=5), ("127.0.0.1", GATE.do53))  # UPDATE
            heard = 0
            try:
                while True:
                    self.assertEqual(header(client.recv(512))["rcode"], NOTIMP)
                    heard += 1
            except socket.timeout:
                pass
        self.assertLess(heard, 150)
        wait_for(lambda: GATE.counters()["sallyport_errors_unanswered_total"] > 0, "errors that are not answered")
        self.assertEqual(header(answer_to(query("gate.test")))["an"], 1)

    def test_random_octets_harm_nothing(self):
        rng = random.Random(53)
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            for _ in range(3000):
                client.sendto(rng.randbytes(rng.randrange(0, 600)), ("127.0.0.1", GATE.do53))
        self.assertEqual(header(answer_to(query("gate.test")))["an"], 1)


class Streams(unittest.TestCase):
    def both(self):
        yield "TCP", socket.create_connection(("127.0.0.1", GATE.do53), PATIENCE)
        yield "DoT", GATE.connect_tls()

    def test_what_does_not_parse_is_formerr_and_the_stream_goes_on(self):
        for door, stream in self.both():
            with stream:
                for what, message in broken_messages().items():
                    stream.sendall(framed(message))
                    self.assertEqual(header(read_framed(stream))["rcode"], FORMERR, (door, what))
                stream.sendall(framed(query("gate.test", ident=9)))
                self.assertEqual(header(read_framed(stream))["an"], 1, door)

    def test_responses_and_scraps_end_the_stream(self):
        for message in (query("gate.test", flags=0x8100), b"", b"x" * 11):
            for door, stream in self.both():
                with stream:
                    stream.sendall(framed(message))
                    self.assertEqual(stream.recv(10), b"", door)
        self.assertGreaterEqual(GATE.counters()["sallyport_stream_bad_messages_total"], 6)

    def test_what_is_no_tls_gets_an_alert_or_an_end(self):
        for octets in (b"GET / HTTP/1.1\r\n\r\n", framed(query("gate.test")), bytes(range(256)) * 8):
            with socket.create_connection(("127.0.0.1", GATE.dot), PATIENCE) as raw:
                raw.sendall(octets)
                try:
                    while raw.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        with GATE.connect_tls() as good:
            good.sendall(framed(query("gate.test")))
            self.assertEqual(header(read_framed(good))["an"], 1)

    def test_old_tls_and_strange_protocols_are_refused(self):
        for change in ("alpn", "version"):
            context = GATE.tls_context(["imap"] if change == "alpn" else None)
            if change == "version":
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = ssl.TLSVersion.TLSv1_1
                context.set_ciphers("ALL:@SECLEVEL=0")
            with socket.create_connection(("127.0.0.1", GATE.dot), PATIENCE) as raw:
                with self.assertRaises(ssl.SSLError):
                    context.wrap_socket(raw, server_hostname="gate.test")


class Requests(unittest.TestCase):
    def ask(self, method, path, body=None, headers=None, port=None, tls=True):
        if tls:
            connection = http.client.HTTPSConnection("127.0.0.1", port or GATE.tls, context=GATE.tls_context(["http/1.1"]), timeout=PATIENCE)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port or GATE.cleartext, timeout=PATIENCE)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        try:
            return response, response.read()
        finally:
            connection.close()

    def test_each_mistake_has_its_status_and_a_short_text(self):
        dns = {"Content-Type": "application/dns-message"}
        cases = [
            (404, "GET", "/elsewhere", None, {}),
            (400, "GET", "/dns-query", None, {}),
            (400, "GET", "/dns-query?dns=", None, {}),
            (400, "GET", "/dns-query?dns=***", None, {}),
            (400, "GET", "/dns-query?dns=AAAA", None, {}),
            (400, "POST", "/dns-query", b"", dns),
            (400, "POST", "/dns-query", b"garbage garbage garbage", dns),
            (400, "POST", "/dns-query", query("gate.test", flags=0x8100), dns),
            (415, "POST", "/dns-query", query("gate.test"), {"Content-Type": "text/plain"}),
            (415, "POST", "/dns-query", query("gate.test"), {}),
            (405, "DELETE", "/dns-query", None, {}),
            (405, "PUT", "/dns-query", query("gate.test"), dns),
            (413, "POST", "/dns-query", b"x" * 65536, dns),
        ]
        for what, message in broken_messages().items():
            cases.append((400, "POST", "/dns-query", message, dns))
        for tls in (True, False):
            for status, method, path, body, headers in cases:
                response, text = self.ask(method, path, body, headers, tls=tls)
                self.assertEqual(response.status, status, (method, path, text))
                self.assertTrue(0 < len(text) < 300, text)
                self.assertTrue(response.getheader("content-type").startswith("text/plain"), response.getheaders())
            response, answer = self.ask("POST", "/dns-query", query("gate.test"), dns, tls=tls)
            self.assertEqual((response.status, header(answer)["an"]), (200, 1))

    def test_odd_http_is_400_and_the_end(self):
        for octets in (b"GET /dns-query?dns=AAAA HTTP/1.1\r\n\r\n",  # no Host
                       b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                       b"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                       b"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
                       b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                       b"\0\0\0\0\0\0\0\0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", GATE.cleartext), PATIENCE) as raw:
                raw.sendall(octets)
                answer = b""
                while chunk := raw.recv(4096):
                    answer += chunk
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), (octets, answer))


@unittest.skipUnless(HAS_QUIC, "built without QUIC")
class Packets(unittest.TestCase):
    def test_random_packets_leave_no_connection_behind(self):
        rng = random.Random(9000)
        taken = lambda: GATE.counters()["sallyport_quic_datagrams_total"]
        before = taken()
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            for i in range(2000):
                if i % 100 == 99:  # no faster than they are taken
                    wait_for(lambda: taken() - before > i - 60, "the packets to be read")
                packet = bytearray(rng.randbytes(rng.choice((20, 300, 1200, 1350))))
                if i % 2:
                    packet[0] = 0xC3  # looks like an Initial
                    packet[1:5] = b"\0\0\0\1"
                    packet[5] = 8
                client.sendto(packet, ("127.0.0.1", GATE.tls))
        wait_for(lambda: taken() - before > 1900, "the packets to be read")
        wait_for(lambda: GATE.counters()["sallyport_quic_connections"] == 0, "the end of all connections")

    def test_an_unknown_version_is_negotiated_from_1200_octets_on(self):
        for size, answered in ((1200, True), (1199, False)):
            packet = bytearray(size)
            packet[0] = 0xC0
            packet[1:5] = b"\x1a\x2a\x3a\x4a"
            packet[5:14] = b"\x08" + b"12345678"
            packet[14:23] = b"\x08" + b"abcdefgh"
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.settimeout(PATIENCE if answered else 0.3)
                client.sendto(packet, ("127.0.0.1", GATE.dot))
                if not answered:
                    self.assertRaises(socket.timeout, client.recv, 2000)
                    continue
                answer = client.recv(2000)
                self.assertEqual(answer[1:5], b"\0\0\0\0", "Version Negotiation (RFC 9000 §17.2.1)")
                self.assertEqual(answer[6:14], b"abcdefgh")
                self.assertIn(b"\0\0\0\1", answer[23:])


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
