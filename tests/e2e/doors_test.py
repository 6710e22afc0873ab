#!/usr/bin/env python3
"""Foreign clients at every door: kdig, dig, drill, curl, nghttp, h2load, libcurl over HTTP/3, gtlsclient, openssl,
gnutls-cli, and what Android's strict private DNS does."""

import base64
import http.server
import os
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import HAS_QUIC, PATIENCE, SOURCE, Gateway, framed, header, need, query, read_exactly, read_framed, wait_for

GATE = None


def setUpModule():
    global GATE
    GATE = Gateway()


def tearDownModule():
    code = GATE.stop()
    assert code == 0, f"the gateway ended with {code}:\n{GATE.log()}"


def wants(*programs):
    missing = [program for program in programs if not need(program)]
    return unittest.skipIf(missing, "not installed: " + ", ".join(missing))


needs_quic = unittest.skipUnless(HAS_QUIC, "this build has no QUIC")


def run(*command, stdin=None, timeout=None):
    return subprocess.run([str(word) for word in command], capture_output=True, input=stdin, timeout=timeout or 3 * PATIENCE)


class Kdig(unittest.TestCase):
    """kdig asks a small, a large and a missing name at each door."""

    def kdig(self, port, *options, name="www.gate.test", qtype="A"):
        result = run("kdig", "@127.0.0.1", "-p", port, name, qtype, "+retry=0", f"+timeout={int(PATIENCE)}", *options)
        self.assertEqual(result.returncode, 0, result.stdout.decode() + result.stderr.decode())
        return result.stdout.decode()

    def ask_all(self, port, *options):
        self.assertIn("192.0.2.80", self.kdig(port, *options))
        self.assertIn("NXDOMAIN", self.kdig(port, *options, name="missing.gate.test"))
        big = self.kdig(port, *options, name="big.gate.test", qtype="TXT")
        self.assertEqual(len(re.findall(r"^big\.gate\.test\.", big, re.M)), 110)
        return big

    def tls(self):
        return [f"+tls-ca={GATE.ca}", "+tls-hostname=gate.test"]

    @wants("kdig")
    def test_udp(self):
        self.ask_all(GATE.do53)

    @wants("kdig")
    def test_tcp(self):
        self.ask_all(GATE.do53, "+tcp")

    @wants("kdig")
    def test_dot(self):
        self.ask_all(GATE.dot, "+tls", *self.tls())

    @wants("kdig")
    def test_dot_on_the_port_of_doh(self):
        self.ask_all(GATE.tls, "+tls", *self.tls())

    @wants("kdig")
    def test_doh_post(self):
        self.ask_all(GATE.tls, "+https=gate.test/dns-query", *self.tls())

    @wants("kdig")
    def test_doh_get(self):
        self.ask_all(GATE.tls, "+https-get=gate.test/dns-query", *self.tls())

    @needs_quic
    @wants("kdig")
    def test_doq(self):
        # +quic comes last: in kdig 3.2 the words for certificates switch back to TLS over TCP, and it crashes.
        self.ask_all(GATE.dot, *self.tls(), "+quic")
        self.ask_all(GATE.tls, *self.tls(), "+quic")

    @wants("kdig")
    def test_a_wrong_ca_is_noticed_by_the_client(self):
        result = run("kdig", "@127.0.0.1", "-p", GATE.dot, "www.gate.test", "+tls", "+tls-ca", "+tls-hostname=gate.test", "+retry=0")
        self.assertNotIn(b"192.0.2.80", result.stdout)

    @wants("kdig")
    def test_padding_of_answers(self):
        text = self.kdig(GATE.dot, "+tls", "+padding=128", *self.tls())
        size = int(re.search(r"Received (\d+) B", text).group(1))
        self.assertEqual(size % 468, 0, text)

    @wants("kdig")
    def test_many_over_one_connection(self):
        words = []
        for i in range(50):
            words += [f"x{i}.wild.gate.test", "A"]
        result = run("kdig", "@127.0.0.1", "-p", GATE.dot, "+tls", "+keepopen", *self.tls(), *words)
        self.assertEqual(result.stdout.count(b"192.0.2.99"), 50)


class PlainClients(unittest.TestCase):
    @wants("dig")
    def test_dig(self):
        for options in ([], ["+tcp"], ["+dnssec"], ["+noedns"], ["+nsid", "+cookie"]):
            result = run("dig", "@127.0.0.1", "-p", GATE.do53, "www.gate.test", "+norecurse", *options)
            self.assertIn(b"192.0.2.80", result.stdout)
            self.assertNotIn(b"WARNING", result.stdout)

    @wants("dig")
    def test_dig_comes_back_over_tcp(self):
        result = run("dig", "@127.0.0.1", "-p", GATE.do53, "big.gate.test", "TXT")
        self.assertIn(b"ANSWER: 110", result.stdout)
        self.assertIn(b"(TCP)", result.stdout)

    @wants("drill")
    def test_drill(self):
        for options in (["-u"], ["-t"]):
            result = run("drill", *options, "-p", GATE.do53, "www.gate.test", "@127.0.0.1")
            self.assertIn(b"192.0.2.80", result.stdout)


class Curl(unittest.TestCase):
    """DoH by curl, and curl's own use of DoH."""

    def url(self, parameters="", path="/dns-query"):
        return f"https://gate.test:{GATE.tls}{path}{parameters}"

    def curl(self, *options, stdin=None):
        result = run("curl", "-sS", "--cacert", GATE.ca, "--resolve", f"gate.test:{GATE.tls}:127.0.0.1", "-w",
                     "\n%{http_code} %{http_version} %{content_type}", *options, stdin=stdin)
        self.assertEqual(result.returncode, 0, result.stderr)
        body, _, end = result.stdout.rpartition(b"\n")
        status, version, kind = (end.decode().split(" ", 2) + [""])[:3]
        return body, int(status), version, kind

    def get(self, version, message, *options):
        encoded = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
        return self.curl(version, "-H", "accept: application/dns-message", *options, self.url(f"?dns={encoded}"))

    def post(self, version, message, *options):
        return self.curl(version, "-H", "content-type: application/dns-message", "--data-binary", "@-", *options, self.url(), stdin=message)

    @wants("curl")
    def test_get_and_post_over_both_versions(self):
        for version, expected in (("--http1.1", "1.1"), ("--http2", "2")):
            for ask in (self.get, self.post):
                body, status, used, kind = ask(version, query("www.gate.test"))
                self.assertEqual((status, used, kind), (200, expected, "application/dns-message"))
                self.assertEqual((header(body)["an"], header(body)["rcode"]), (1, 0))
                big, status, _, _ = ask(version, query("big.gate.test", 16))
                self.assertEqual((status, header(big)["an"], header(big)["tc"]), (200, 110, False))
                self.assertGreater(len(big), 20_000)

    @wants("curl")
    def test_headers(self):
        for version in ("--http1.1", "--http2"):
            body, _, _, _ = self.get(version, query("www.gate.test"), "-i")
            text = body.lower()
            self.assertIn(b"cache-control: max-age=300", text)
            self.assertRegex(text, rb"content-length: \d+")
            self.assertRegex(text, rb"date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d gmt")
            if HAS_QUIC:
                self.assertIn(b"alt-svc: h3=", text)

    @wants("curl")
    def test_error_statuses(self):
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        kind = ["-H", "content-type: application/dns-message"]
        for version in ("--http1.1", "--http2"):
            cases = {
                "no parameter": (400, [self.url()], None),
                "not base64url": (400, [self.url("?dns=%21%21")], None),
                "not DNS": (400, [self.url("?dns=AAAA")], None),
                "another path": (404, [self.url(f"?dns={encoded}", path="/elsewhere")], None),
                "another method": (405, ["-X", "DELETE", self.url(f"?dns={encoded}")], None),
                "an empty body": (400, [*kind, "-X", "POST", "-d", "", self.url()], None),
            }
            for what, (expected, options, stdin) in cases.items():
                with self.subTest(what=what, version=version):
                    body, status, _, _ = self.curl(version, *options, stdin=stdin)
                    self.assertEqual(status, expected, body)
                    self.assertLess(len(body), 500)

    @wants("curl")
    def test_a_body_too_large(self):
        for version in ("--http1.1", "--http2"):
            _, status, _, _ = self.post(version, query("www.gate.test") + bytes(70_000))
            self.assertEqual(status, 413, version)

    @wants("curl")
    def test_a_wrong_type(self):
        for version in ("--http1.1", "--http2"):
            _, status, _, _ = self.curl(version, "-H", "content-type: text/plain", "--data-binary", "@-", self.url(), stdin=query("www.gate.test"))
            self.assertEqual(status, 415, version)

    @wants("curl")
    def test_a_wrong_method_with_a_body(self):
        for version in ("--http1.1", "--http2"):
            for size in (1, 30_000, 60_000):
                _, status, _, _ = self.curl(version, "-X", "PUT", "--data-binary", "@-", self.url(), stdin=bytes(size))
                self.assertEqual(status, 405, (version, size))

    @wants("curl")
    def test_other_parameters_do_no_harm(self):
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        _, status, _, _ = self.curl("--http2", self.url(f"?ct=x&dns={encoded}&y=1"))
        self.assertEqual(status, 200)

    @wants("curl")
    def test_head(self):
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        body, status, _, _ = self.curl("--http2", "-I", self.url(f"?dns={encoded}"))
        self.assertEqual(status, 200)
        self.assertIn(b"application/dns-message", body)

    @wants("curl")
    def test_many_parallel_posts_on_one_connection(self):
        message = GATE.directory / "query"
        message.write_bytes(query("www.gate.test"))
        words = []
        for _ in range(40):
            words += ["-o", "/dev/null", self.url()]
        result = run("curl", "-sS", "-Z", "--http2", "--cacert", GATE.ca, "--resolve", f"gate.test:{GATE.tls}:127.0.0.1",
                     "-H", "content-type: application/dns-message", "--data-binary", f"@{message}", "-w", "%{http_code}\n", *words)
        self.assertEqual(result.stdout.split(), [b"200"] * 40, result.stderr)

    @wants("curl")
    def test_doh_url_finds_a_page_only_we_know(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            result = run("curl", "-sS", "--noproxy", "*", "--cacert", GATE.ca, "--doh-url", self.url().replace("gate.test", "127.0.0.1"),
                         f"http://page.gate.test:{server.server_port}/")
            self.assertEqual(result.stdout, b"found through the gateway", result.stderr)
        finally:
            server.shutdown()

    @wants("curl")
    def test_clear_text_where_configured(self):
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        url = f"http://127.0.0.1:{GATE.cleartext}/dns-query?dns={encoded}"
        for version, expected in (("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")):
            _, status, used, _ = self.curl(version, url)
            self.assertEqual((status, used), (200, expected))


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"found through the gateway")

    def log_message(self, *_):
        pass


class Http2Tools(unittest.TestCase):
    def setUp(self):
        self.message = GATE.directory / "query"
        self.message.write_bytes(query("www.gate.test"))
        self.url = f"https://127.0.0.1:{GATE.tls}/dns-query"

    @wants("nghttp")
    def test_nghttp(self):
        result = run("nghttp", "-nv", "-H", "content-type: application/dns-message", "-d", self.message, self.url)
        self.assertRegex(result.stdout, rb":status: 200")
        self.assertNotIn(b"PROTOCOL_ERROR", result.stdout)

    @wants("nghttp")
    def test_bodies_that_are_refused(self):
        right, wrong = "content-type: application/dns-message", "content-type: text/plain"
        cases = (("413", bytes(70_000), [right]), ("405", b"x", [right, ":method: PUT"]), ("415", query("www.gate.test"), [wrong]))
        for what, octets, fields in cases:
            self.message.write_bytes(octets)
            options = [word for field in fields for word in ("-H", field)]
            result = run("nghttp", "-nv", *options, "-d", self.message, self.url)
            self.assertIn(f":status: {what}".encode(), result.stdout)

    @wants("h2load")
    def test_h2load_without_an_error(self):
        result = run("h2load", "-n", 10_000, "-c", 10, "-m", 20, "-H", "content-type: application/dns-message", "-d", self.message, self.url,
                     timeout=6 * PATIENCE)
        self.assertIn(b"10000 succeeded, 0 failed, 0 errored, 0 timeout", result.stdout)
        self.assertIn(b"status codes: 10000 2xx", result.stdout)


@needs_quic
class Http3(unittest.TestCase):
    def test_libcurl(self):
        compiler = next((c for c in ("c++", "g++", "clang++-19") if shutil.which(c)), None)
        if compiler is None:
            self.skipTest("not installed: a C++ compiler for the libcurl client")
        program = GATE.directory / "h3_client"
        built = run(compiler, "-std=c++20", "-o", program, SOURCE / "tests" / "e2e" / "h3_client.cpp", "-ldl", timeout=120)
        self.assertEqual(built.returncode, 0, built.stderr)
        message = GATE.directory / "query3"
        resolve = f"gate.test:{GATE.tls}:127.0.0.1"
        for name, qtype, count in (("www.gate.test", 1, 1), ("big.gate.test", 16, 110)):
            octets = query(name, qtype)
            message.write_bytes(octets)
            encoded = base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
            url = f"https://gate.test:{GATE.tls}/dns-query"
            for arguments in ([url, GATE.ca, resolve, message], [f"{url}?dns={encoded}", GATE.ca, resolve, message, "get"]):
                result = run(program, *arguments)
                if result.returncode == 77:
                    self.skipTest("not installed: a libcurl with HTTP/3 (libcurl3-gnutls of bookworm-backports)")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn(b"HTTP version 30", result.stderr)
                self.assertEqual(header(result.stdout)["an"], count)

    @wants("gtlsclient")
    def test_gtlsclient(self):
        message = GATE.directory / "query3"
        message.write_bytes(query("www.gate.test"))
        where = GATE.directory / "download"
        where.mkdir(exist_ok=True)
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        url = f"https://gate.test:{GATE.tls}/dns-query?dns={encoded}"
        result = run("gtlsclient", "--exit-on-all-streams-close", "--timeout=10s", "127.0.0.1", GATE.tls, url)
        text = result.stdout + result.stderr
        self.assertRegex(text, rb":status: 200")

    @wants("gtlsclient")
    def test_gtlsclient_resumes(self):
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        url = f"https://gate.test:{GATE.tls}/dns-query?dns={encoded}"
        session, parameters = GATE.directory / "session", GATE.directory / "parameters"
        command = ["gtlsclient", "--exit-on-all-streams-close", "--timeout=10s", f"--session-file={session}",
                   f"--tp-file={parameters}", "127.0.0.1", GATE.tls, url]
        run(*command)
        self.assertTrue(session.exists(), "no session ticket came")
        result = run(*command)
        self.assertRegex(result.stdout + result.stderr, rb":status: 200")


class Tls(unittest.TestCase):
    """What openssl and gnutls-cli may and may not agree on with us."""

    def s_client(self, *options, port=None, stdin=b""):
        return run("openssl", "s_client", "-connect", f"127.0.0.1:{port or GATE.dot}", "-servername", "gate.test", "-CAfile", GATE.ca,
                   "-verify_return_error", *options, stdin=stdin)

    @wants("openssl")
    def test_certificate_verifies(self):
        result = self.s_client("-verify_hostname", "gate.test")
        self.assertIn(b"Verify return code: 0 (ok)", result.stdout, result.stderr)

    @wants("openssl")
    def test_versions(self):
        for option, version in (("-tls1_2", b"TLSv1.2"), ("-tls1_3", b"TLSv1.3")):
            self.assertIn(version, self.s_client(option).stdout)
        result = self.s_client("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assertIn(b"Cipher is (NONE)", result.stdout)

    @wants("openssl")
    def test_old_suites_are_refused(self):
        for suite in ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "AES128-SHA"):
            result = self.s_client("-tls1_2", "-cipher", suite + ":@SECLEVEL=0")
            self.assertNotEqual(result.returncode, 0, suite)

    @wants("openssl")
    def test_alpn(self):
        self.assertIn(b"ALPN protocol: dot", self.s_client("-alpn", "dot").stdout)
        self.assertIn(b"No ALPN negotiated", self.s_client().stdout)
        self.assertIn(b"ALPN protocol: h2", self.s_client("-alpn", "h2,http/1.1", port=GATE.tls).stdout)
        result = self.s_client("-alpn", "smtp")
        self.assertNotEqual(result.returncode, 0, "a protocol that nobody speaks here was accepted")

    @wants("openssl")
    def test_no_renegotiation(self):
        result = self.s_client("-tls1_2", stdin=b"R\n")
        self.assertRegex(result.stderr + result.stdout, rb"no renegotiation|RENEGOTIATING[\s\S]*error")

    @wants("gnutls-cli")
    def test_gnutls_resumes(self):
        for version in ("+VERS-TLS1.3", "+VERS-TLS1.2"):
            result = run("gnutls-cli", "--resume", "--x509cafile", GATE.ca, "--verify-hostname=gate.test", "--sni-hostname=gate.test",
                         f"--priority=NORMAL:-VERS-ALL:{version}", "-p", GATE.dot, "127.0.0.1", stdin=b"")
            self.assertIn(b"*** This is a resumed session", result.stdout, result.stderr)

    def test_close_notify_ends_the_connection_both_ways(self):
        with GATE.connect_tls(alpn=["dot"]) as tls:
            tls.sendall(framed(query("www.gate.test", ident=7)))
            self.assertEqual(header(read_framed(tls))["id"], 7)
            raw = tls.unwrap()  # sends close_notify and waits for the peer's
            raw.settimeout(PATIENCE)
            self.assertEqual(raw.recv(1), b"")
            raw.close()

    def test_resumption_with_python(self):
        context = GATE.tls_context(["dot"])
        session = None
        for expected in (False, True):
            raw = socket.create_connection(("127.0.0.1", GATE.dot), PATIENCE)
            with context.wrap_socket(raw, server_hostname="gate.test", session=session) as tls:
                tls.sendall(framed(query("www.gate.test", ident=1)))
                read_framed(tls)  # tickets come before it
                self.assertEqual(tls.session_reused, expected)
                session = tls.session


class AndroidStrictMode(unittest.TestCase):
    """The sequence of DnsTlsSocket and DnsTlsTransport (AOSP): no ALPN, SNI, a probe of its own, then all pipelined."""

    def setUp(self):
        self.context = ssl.create_default_context(cafile=GATE.ca)

    def connect(self, session=None):
        raw = socket.create_connection(("127.0.0.1", GATE.dot), PATIENCE)
        return self.context.wrap_socket(raw, server_hostname="gate.test", session=session)

    @staticmethod
    def padded(name, ident, qtype=1):
        bare = query(name, qtype, ident, edns={"size": 8192, "do": True})
        missing = -(len(bare) + 4) % 128
        return query(name, qtype, ident, edns={"size": 8192, "do": True, "options": struct.pack(">HH", 12, missing) + bytes(missing)})

    def test_probe_without_edns_in_its_own_connection(self):
        with self.connect() as tls:
            tls.sendall(framed(query("aBcDeF-dnsotls-ds.metric.gstatic.com", 28, ident=0)))
            answer = read_framed(tls)
            self.assertGreaterEqual(len(answer), 12)
            self.assertEqual((header(answer)["qd"], header(answer)["id"]), (1, 0))
            self.assertIn(b"aBcDeF-dnsotls-ds", answer)

    def test_everything_pipelined_on_one_connection(self):
        with self.connect() as tls:
            self.assertIsNone(tls.selected_alpn_protocol())
            messages = [self.padded(f"n{i}.wild.gate.test", i) for i in range(100)]
            self.assertTrue(all(len(message) % 128 == 0 for message in messages))
            for message in messages:
                tls.sendall(framed(message))  # length and message in one TLS record
            answers = [read_framed(tls) for _ in messages]
            self.assertEqual(sorted(header(answer)["id"] for answer in answers), list(range(100)))
            for answer in answers:
                self.assertEqual((header(answer)["rcode"], header(answer)["an"]), (0, 1))
                self.assertLessEqual(len(answer), 8192)

    def test_idle_reuse_then_resumption(self):
        with self.connect() as tls:
            for ident in (0, 1):
                tls.sendall(framed(self.padded("www.gate.test", ident)))
                self.assertEqual(header(read_framed(tls))["id"], ident)
                time.sleep(1)
            session = tls.session
        with self.connect(session) as tls:
            self.assertTrue(tls.session_reused)
            tls.sendall(framed(self.padded("www.gate.test", 0)))
            self.assertEqual(header(read_framed(tls))["an"], 1)

    def test_a_query_in_many_small_pieces(self):
        with self.connect() as tls:
            for octet in framed(self.padded("www.gate.test", 3)):
                tls.sendall(bytes([octet]))
            self.assertEqual(header(read_framed(tls))["id"], 3)


if __name__ == "__main__":
    unittest.main()
