#!/usr/bin/env python3
"""The life of a gateway: start, bad input of every kind, reload, certificates that change, end."""

import base64
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bad_upstream import BadUpstream
from gateway import BINARY, HAS_QUIC, PATIENCE, SLOWNESS, SOURCE, Gateway, ask_udp, framed, free_port, header, query, read_exactly, read_framed, wait_for


def sallyport(*arguments, env=None, cwd=None):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=3 * PATIENCE, cwd=cwd,
                          env=dict(os.environ, **(env or {})))


class CommandLine(unittest.TestCase):
    def test_help_of_every_subcommand(self):
        for words in ([], ["run"], ["check"], ["ask"], ["cert"], ["cert", "dev"], ["version"]):
            result = sallyport(*words, "--help")
            self.assertEqual(result.returncode, 0, words)
            self.assertIn("Usage", result.stdout)

    def test_usage_errors_end_with_2(self):
        for words in ([], ["fly"], ["run"], ["run", "--wings"], ["check"]):
            self.assertEqual(sallyport(*words).returncode, 2, words)

    def test_version_names_its_libraries(self):
        result = sallyport("version")
        for word in ("sallyport", "OpenSSL", "nghttp2", "ldns"):
            self.assertIn(word, result.stdout)


class BadInput(unittest.TestCase):
    def setUp(self):
        self.gate = Gateway(start=False)

    def check(self, config=None):
        if config is not None:
            self.gate.config.write_text(config)
        result = sallyport("check", "-c", self.gate.config)
        return result

    def assert_refused(self, result, *words):
        self.assertEqual(result.returncode, 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_good_one_is_good(self):
        result = self.check()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("good", result.stdout)

    def test_every_error_in_one_run_with_its_place(self):
        (self.gate.directory / "gate.test.zone").write_text("$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 300.1.2.3\nx NOTYPE y\n")
        config = self.gate.standard_config(1) + "answers: { udp_sise: 1 }\n"
        config = config.replace("names: [gate.test]", "names: [elsewhere.example]")
        lines = config.splitlines()
        result = self.check(config)
        self.assert_refused(result,
                            f"sallyport.yaml:{len(lines)}:12: unknown key 'udp_sise' in 'answers'; did you mean 'udp_size'?",
                            "gate.test.zone:4:", "gate.test.zone:5:", "no certificate is for 'elsewhere.example'")
        self.assertEqual(sallyport("run", "-c", self.gate.config).returncode, 1)

    def test_missing_files_are_named(self):
        self.assert_refused(sallyport("check", "-c", "nowhere.yaml"), "nowhere.yaml: cannot read the configuration: No such file")
        (self.gate.directory / "gate.test.zone").unlink()
        self.assert_refused(self.check(), "gate.test.zone")
        (self.gate.certs / "dev.key").unlink()
        self.assert_refused(self.check(), "no certificate in this directory, expected NAME.crt or NAME.pem beside NAME.key")

    def test_key_of_another_certificate(self):
        other = Gateway(start=False)
        (self.gate.certs / "dev.key").write_bytes((other.certs / "dev.key").read_bytes())
        self.assert_refused(self.check(), "dev.key", "match")

    def test_expired_certificate(self):
        openssl = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "-1",
                                  "-subj", "/CN=gate.test", "-addext", "subjectAltName=DNS:gate.test",
                                  "-keyout", self.gate.certs / "dev.key", "-out", self.gate.certs / "dev.crt"], capture_output=True)
        if openssl.returncode != 0:
            self.skipTest("this openssl makes no expired certificate")
        self.assert_refused(self.check(), "dev.crt", "expired")

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.gate.dot))
            taken.listen()
            result = sallyport("run", "-c", self.gate.config)
        self.assertEqual(result.returncode, 3)
        self.assertIn(f"127.0.0.1:{self.gate.dot}", result.stderr)
        self.assertIn("in use", result.stderr)

    def test_environment_overrides_and_is_named_when_wrong(self):
        self.assertEqual(sallyport("check", "-c", self.gate.config, env={"SALLYPORT_ANSWERS_UDP_SIZE": "1400"}).returncode, 0)
        result = sallyport("check", "-c", self.gate.config, env={"SALLYPORT_ANSWERS_UDP_SIZE": "14"})
        self.assert_refused(result, "SALLYPORT_ANSWERS_UDP_SIZE")

    def test_quickstart_example_is_good_once_it_has_a_certificate(self):
        example = (SOURCE / "conf/examples/quickstart.yaml").read_text()
        example = example.replace("../../certs/dev", str(self.gate.certs))
        for name in ("gate.test.zone", "home.hosts"):
            example = example.replace(name, str(SOURCE / "conf/examples" / name))
        token = pathlib.Path(self.gate.certs) / "admin.token"
        token.touch(mode=0o600)
        token.write_text("00112233445566778899aabbccddeeff\n")
        result = self.check(example)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_resolver_example_is_good_with_all_that_it_offers(self):
        example = (SOURCE / "conf/examples/resolver.yaml").read_text()
        for text in (example, re.sub(r"^  # (?=[a-z_]+: [\[{])", "  ", example, flags=re.M)):
            result = self.check(text)
            self.assertEqual(result.returncode, 0, result.stderr)


class Life(unittest.TestCase):
    def test_ends_cleanly_on_sigterm_and_sigint_and_starts_again(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            gate = Gateway()
            self.assertEqual(header(ask_udp(gate.do53, query("gate.test")))["an"], 1)
            started = time.monotonic()
            gate.process.send_signal(number)
            self.assertEqual(gate.process.wait(PATIENCE), 0, gate.log())
            self.assertLess(time.monotonic() - started, 5 * SLOWNESS)
            gate.start()
            self.assertEqual(header(ask_udp(gate.do53, query("gate.test")))["an"], 1)
            self.assertEqual(gate.stop(), 0)

    def test_reload_takes_a_new_zone_and_refuses_a_bad_one(self):
        with Gateway() as gate:
            zone = gate.directory / "gate.test.zone"
            good = zone.read_text()
            zone.write_text(good + "fresh A 192.0.2.200\n")
            self.assertEqual(header(ask_udp(gate.do53, query("fresh.gate.test")))["rcode"], 3)
            self.assertIn("reloaded", gate.reload())
            self.assertEqual(header(ask_udp(gate.do53, query("fresh.gate.test")))["an"], 1)
            zone.write_text(good + "broken A not-an-address\n")
            said = gate.reload()
            self.assertIn("reload refused", said)
            self.assertIn("gate.test.zone:", said)
            self.assertEqual(header(ask_udp(gate.do53, query("fresh.gate.test")))["an"], 1, "the old zone serves on")

    def test_reload_tells_clients_of_the_doors_that_are_open(self):
        with Gateway() as gate:
            fresh = free_port()
            told = lambda port: port.to_bytes(2, "big") in ask_udp(gate.do53, query("_dns.resolver.arpa", qtype=64))
            self.assertEqual((told(gate.dot), told(fresh)), (True, False))
            gate.config.write_text(gate.config.read_text().replace(f"127.0.0.1:{gate.dot}'", f"127.0.0.1:{fresh}'"))
            self.assertIn("reloaded", gate.reload())
            wait_for(lambda: told(fresh) and not told(gate.dot), "the new door to be told of")
            with gate.connect_tls(fresh) as client:
                client.sendall(framed(query("www.gate.test")))
                self.assertEqual(header(read_framed(client))["an"], 1)

    def test_reload_loses_no_query_on_a_living_connection(self):
        with Gateway() as gate, gate.connect_tls() as client:
            for i in range(20):
                client.sendall(framed(query("www.gate.test", ident=i)))
                self.assertEqual(header(read_framed(client))["id"], i)
                if i % 5 == 0:
                    gate.reload()

    def test_new_certificate_is_used_without_dropping_connections(self):
        with Gateway() as gate:
            old = gate.connect_tls()
            first = old.getpeercert(binary_form=True)
            subprocess.run([BINARY, "cert", "dev", "-d", str(gate.certs), "--replace"], check=True, stdout=subprocess.DEVNULL)
            wait_for(lambda: "certificates changed" in gate.log(), "the new certificate")
            old.sendall(framed(query("www.gate.test", ident=9)))
            self.assertEqual(header(read_framed(old))["id"], 9, "the old connection lives")

            def has_changed():
                with gate.connect_tls() as fresh:
                    return fresh.getpeercert(binary_form=True) != first
            wait_for(has_changed, "each worker to take it")
            old.close()

    def test_each_door_has_the_certificate_of_the_name_that_is_asked_for(self):
        gate = Gateway(start=False)
        other = gate.directory / "other"
        subprocess.run([BINARY, "cert", "dev", "-d", str(other), "-n", "other.test"], check=True, stdout=subprocess.DEVNULL)
        for kind in ("crt", "key"):
            (gate.certs / f"other.{kind}").write_bytes((other / f"dev.{kind}").read_bytes())
        (gate.certs / "other.key").chmod(0o600)
        gate.start()
        doors = [("--dot", gate.dot), ("--dot", gate.tls), ("--doh", gate.tls)]
        if HAS_QUIC:
            doors += [("--doq", gate.dot), ("--doq", gate.tls), ("--doh3", gate.tls)]
        for door, port in doors:
            for name, ca in (("gate.test", gate.ca), ("other.test", str(other / "ca.crt"))):
                result = sallyport("ask", "gate.test", "A", door, f"127.0.0.1:{port}", "--name", name, "--ca", ca, "--short")
                self.assertEqual((result.returncode, result.stdout.strip()), (0, "127.0.0.1"), (door, name, result.stderr))
            # The other authority's certificate is not what this name has: the client must refuse.
            result = sallyport("ask", "gate.test", "A", door, f"127.0.0.1:{port}", "--name", "other.test", "--ca", gate.ca)
            self.assertEqual(result.returncode, 9, (door, result.stdout))
        self.assertEqual(gate.stop(), 0)

    def test_half_a_certificate_pair_leaves_the_old_one_serving(self):
        with Gateway() as gate:
            (gate.certs / "dev.key").write_text("not a key")
            wait_for(lambda: "certificates stay as they were" in gate.log(), "the refusal")
            with gate.connect_tls() as client:
                client.sendall(framed(query("gate.test")))
                self.assertEqual(header(read_framed(client))["an"], 1)

    def test_drain_lets_an_answer_leave_and_says_goodbye(self):
        gate = Gateway()
        client = gate.connect_tls()
        client.sendall(framed(query("gate.test", ident=5)))
        self.assertEqual(header(read_framed(client))["id"], 5)
        gate.process.send_signal(signal.SIGTERM)
        self.assertEqual(client.recv(10), b"", "close_notify, not a reset")
        self.assertEqual(gate.process.wait(PATIENCE), 0)

    def test_statistics_count_what_happened(self):
        with Gateway() as gate:
            for i in range(10):
                ask_udp(gate.do53, query("gate.test"))
            counters = gate.counters()
            self.assertEqual(sum(v for k, v in counters.items() if k.startswith("sallyport_queries_total") and '"udp"' in k), 10, counters)


class Http2Client:
    """Enough of HTTP/2 (RFC 9113) to see the frames of a server that ends: literal headers, no compression."""

    DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7

    def __init__(self, gate):
        self.tls = gate.connect_tls(gate.tls, alpn=["h2"])
        self.authority = f"gate.test:{gate.tls}"
        self.tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send(self.SETTINGS)

    def send(self, kind, payload=b"", flags=0, stream=0):
        self.tls.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def post(self, stream, length):
        """The head of a POST whose body is still to come."""
        fields = {":method": "POST", ":scheme": "https", ":authority": self.authority, ":path": "/dns-query",
                  "content-type": "application/dns-message", "content-length": str(length)}
        block = b"".join(b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in field) for field in fields.items())
        self.send(self.HEADERS, block, 0x4, stream)

    def arrive(self):
        """Returns when all that was sent has been read: what answers a PING has seen what came before it."""
        self.send(self.PING, b"\0" * 8)
        while self.read_until(self.PING)[1] & 1 == 0:
            pass

    def read(self):
        """The next frame: kind, flags, stream, payload; None at the end of the connection."""
        first = self.tls.recv(1)
        if not first:
            return None
        head = first + read_exactly(self.tls, 8)
        return head[3], head[4], int.from_bytes(head[5:], "big"), read_exactly(self.tls, int.from_bytes(head[:3], "big"))

    def read_until(self, kind):
        while frame := self.read():
            if frame[0] == kind:
                return frame
        raise AssertionError("the connection ended")


class Drain(unittest.TestCase):
    """The end: what clients have asked is answered, and each protocol says goodbye in its own words."""

    def end(self, gate):
        gate.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "ending" in gate.log(), "the end to begin")

    def test_http2_answers_what_was_begun_between_two_goaways(self):
        gate = Gateway()
        client = Http2Client(gate)
        message = query("www.gate.test")
        client.post(1, len(message))
        client.arrive()  # the request, its body not
        self.end(gate)
        # RFC 9113 §6.8: first a GOAWAY that refuses nothing, then the real one.
        last_stream, error = struct.unpack(">II", client.read_until(Http2Client.GOAWAY)[3][:8])
        self.assertEqual((last_stream, error), (2**31 - 1, 0))
        client.send(Http2Client.DATA, message, 0x1, 1)
        answer = client.read_until(Http2Client.DATA)
        self.assertEqual((answer[2], header(answer[3])["an"]), (1, 1))
        frames = []
        while frame := client.read():
            frames.append(frame)
        goodbyes = [struct.unpack(">II", frame[3][:8]) for frame in frames if frame[0] == Http2Client.GOAWAY]
        self.assertLessEqual(goodbyes, [(1, 0)])
        self.assertEqual(gate.process.wait(PATIENCE), 0, gate.log())

    def test_tcp_ends_with_fin_and_dot_with_close_notify(self):
        gate = Gateway()
        plain = socket.create_connection(("127.0.0.1", gate.do53), PATIENCE)
        secure = gate.connect_tls()
        for stream in (plain, secure):
            stream.sendall(framed(query("www.gate.test")))
            self.assertEqual(header(read_framed(stream))["an"], 1)
        self.end(gate)
        self.assertEqual(plain.recv(1), b"")
        # Python raises where the stream ends without close_notify.
        self.assertEqual(secure.recv(1), b"")
        self.assertEqual(gate.process.wait(PATIENCE), 0, gate.log())

    @unittest.skipUnless(HAS_QUIC and shutil.which("gtlsclient"), "not installed: gtlsclient")
    def test_http3_says_goaway_and_quic_connection_close(self):
        gate = Gateway()
        encoded = base64.urlsafe_b64encode(query("www.gate.test")).rstrip(b"=").decode()
        url = f"https://gate.test:{gate.tls}/dns-query?dns={encoded}"
        # Its only request would come after a long time: until then the connection is idle.
        said = gate.directory / "client"
        with open(said, "wb") as out:
            client = subprocess.Popen(["gtlsclient", f"--timeout={int(2 * PATIENCE)}s", f"--delay-stream={int(PATIENCE) + 30}s", "127.0.0.1",
                                       str(gate.tls), url], stdout=out, stderr=out)
        try:
            # The first of the server's control stream: its settings.
            wait_for(lambda: "STREAM data stream_id=0x3" in said.read_text(errors="replace"), "the settings")
            wait_for(lambda: sum(value for name, value in gate.counters().items() if "quic_handshakes_total" in name), "the handshake")
            self.end(gate)
            client.wait(PATIENCE)
            output = said.read_text(errors="replace")
        finally:
            client.kill()
            client.wait()
        # RFC 9114 §5.2: GOAWAY (type 7) on the control stream, which is the server's first (id 3); then H3_NO_ERROR.
        self.assertRegex(output, r"Ordered STREAM data stream_id=0x3\n00000000 +07 01 ")
        self.assertRegex(output, r"frm rx \d+ 1RTT CONNECTION_CLOSE\(0x1d\) error_code=\S*\(0x100\)")
        self.assertEqual(gate.process.wait(PATIENCE), 0, gate.log())

    def test_what_an_upstream_is_still_asked_is_answered_on_every_door(self):
        upstream = BadUpstream(mode="slow")
        upstream.delay = 1.5
        gate = Gateway(extra=f"resolve: {{ upstreams: ['udp://127.0.0.1:{upstream.port}'], limits: {{ first_timeout: 5s, budget: 9s }} }}\n")
        doors = {"--udp": gate.do53, "--tcp": gate.do53, "--dot": gate.dot, "--doh": gate.tls, "--doh1": gate.tls}
        if HAS_QUIC:
            doors |= {"--doq": gate.dot, "--doh3": gate.tls}
        # A name for each, so that none is answered by another's.
        clients = {door: subprocess.Popen([BINARY, "ask", f"late{door}.example", "A", door, f"127.0.0.1:{port}", "--name", "gate.test",
                                           "--ca", gate.ca, "--timeout", str(int(PATIENCE)), "--retry", "0", "--short"],
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for door, port in doors.items()}
        try:
            wait_for(lambda: sum(upstream.asked.values()) >= len(doors), "the upstream to be asked for all")
            self.end(gate)
            for door, client in clients.items():
                output, errors = client.communicate(timeout=PATIENCE)
                self.assertEqual((client.returncode, output.strip()), (0, "192.0.2.66"), f"{door}: {errors}\n{gate.log()}")
            self.assertEqual(gate.process.wait(PATIENCE), 0, gate.log())
        finally:
            for client in clients.values():
                client.kill()
                client.communicate()

    def test_clients_that_do_not_finish_hold_it_up_for_the_drain_time_only(self):
        gate = Gateway(extra="limits: { drain: 1s, streams: { message: 50s } }\n")
        stuck = Http2Client(gate)
        stuck.post(1, 100)
        stuck.arrive()
        half = gate.connect_tls()
        half.sendall(framed(query("gate.test", ident=3)) + b"\0\x40half")
        self.assertEqual(header(read_framed(half))["id"], 3)  # what came with it has arrived
        started = time.monotonic()
        self.end(gate)
        self.assertEqual(gate.process.wait(PATIENCE), 0, gate.log())
        self.assertLess(time.monotonic() - started, 1 + PATIENCE / 4)

    def test_a_second_signal_ends_it_at_once(self):
        gate = Gateway(extra="limits: { drain: 1m, streams: { message: 50s } }\n")
        stuck = Http2Client(gate)
        stuck.post(1, 100)
        stuck.arrive()
        self.end(gate)
        gate.process.send_signal(signal.SIGTERM)
        self.assertEqual(gate.process.wait(PATIENCE), 0, gate.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
