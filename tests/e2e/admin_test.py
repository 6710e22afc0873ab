#!/usr/bin/env python3
# e2e: parallel
"""The management API as operators, scrapers and strangers meet it: what is open, what needs the token, what is refused."""

import http.client
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, HAS_QUIC, PATIENCE, SOURCE, Gateway, ask_udp, free_port, header, query, wait_for

TOKEN = "correct-horse-battery-staple"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self.path))


class AdminGateway(Gateway):
    """With the management API on the port `admin`, or on the Unix socket `socket`, and its token in `token_file`."""

    def __init__(self, extra="", unix=False, files=(), **options):
        super().__init__(start=False, **options)
        self.admin, self.socket = free_port(), self.directory / "admin.sock"
        on = f"unix:{self.socket}" if unix else f"127.0.0.1:{self.admin}"
        self.config.write_text(self.config.read_text() + f"admin: {{ on: '{on}', token_file: admin.token }}\n" + extra)
        self.token_file = self.directory / "admin.token"
        self.token_file.write_text(TOKEN + "\n")
        self.token_file.chmod(0o600)
        for name, text in dict(files).items():
            (self.directory / name).write_text(text)
        self.start()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)

    def request(self, method, target, body=None, headers=None, connection=None):
        """Status, headers and body."""
        connection = connection or self.connect()
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def change(self, method, target, body, token=TOKEN, **headers):
        return self.request(method, target, json.dumps(body),
                            {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers})

    def raw(self, text):
        """What is answered to octets as they are, until the connection closes."""
        with socket.create_connection(("127.0.0.1", self.admin), PATIENCE) as client:
            client.sendall(text.encode())
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
            return answer.decode()

    def run_program(self, *arguments):
        return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=PATIENCE, cwd=self.directory)


class WithGateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = AdminGateway()

    @classmethod
    def tearDownClass(cls):
        code = cls.gate.stop()
        if code != 0:
            raise AssertionError(f"the gateway ended with {code}:\n{cls.gate.log()}")


class Reading(WithGateway):
    def test_metrics_are_prometheus_text(self):
        self.assertEqual(header(ask_udp(self.gate.do53, query("www.gate.test")))["an"], 1)
        status, headers, body = self.gate.request("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertIsNone(headers["Access-Control-Allow-Origin"])
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", body, re.M))
        helps = dict(re.findall(r"^# HELP (\S+) (\S.*)$", body, re.M))
        self.assertEqual(types.keys(), helps.keys())
        for line in body.splitlines():
            if line.startswith("#"):
                continue
            found = re.fullmatch(r'([a-z_0-9]+)(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\})? ([0-9.e+-]+|\+Inf)', line)
            self.assertIsNotNone(found, line)
            name = found.group(1)
            self.assertIn(name if name in types else re.sub("_(bucket|sum|count)$", "", name), types)
        self.assertRegex(body, r'(?m)^sallyport_queries_total\{transport="udp"\} [1-9]')
        self.assertRegex(body, r'(?m)^sallyport_query_duration_seconds_count\{transport="udp"\} [1-9]')

    def test_histograms_add_up(self):
        for _ in range(5):
            ask_udp(self.gate.do53, query("www.gate.test"))
        body = self.gate.request("GET", "/metrics")[2]
        buckets = [int(n) for n in re.findall(r'query_duration_seconds_bucket\{transport="udp",le="[^"]+"\} (\d+)', body)]
        self.assertEqual(buckets, sorted(buckets))
        self.assertGreaterEqual(buckets[-1], 5)
        self.assertIn(f'query_duration_seconds_count{{transport="udp"}} {buckets[-1]}\n', body)

    def test_health_and_readiness(self):
        self.assertEqual(json.loads(self.gate.request("GET", "/health")[2]), {"status": "healthy"})
        self.assertEqual(json.loads(self.gate.request("GET", "/ready")[2]), {"status": "ready"})
        self.assertEqual(self.gate.request("HEAD", "/health")[2], "")

    def test_statistics_as_json(self):
        status, headers, body = self.gate.request("GET", "/api/v1/stats")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        names = {metric["name"] for metric in json.loads(body)["metrics"]}
        self.assertIn("sallyport_queries_total", names)
        self.assertIn("upstreams", json.loads(self.gate.request("GET", "/api/v1/upstreams")[2]))


class Changing(WithGateway):
    def test_the_log_level(self):
        self.assertEqual(json.loads(self.gate.request("GET", "/api/v1/log/level")[2]), {"level": "info"})
        self.assertEqual(self.gate.change("PUT", "/api/v1/log/level", {"level": "debug"})[0], 200)
        self.assertEqual(json.loads(self.gate.request("GET", "/api/v1/log/level")[2]), {"level": "debug"})
        self.assertEqual(self.gate.change("PUT", "/api/v1/log/level", {"level": "loud"})[0], 400)
        self.assertEqual(self.gate.change("PUT", "/api/v1/log/level", {"level": "info"})[0], 200)

    def test_needs_the_token_as_json_from_no_foreign_page(self):
        path, body = "/api/v1/log/level", json.dumps({"level": "error"})
        with_token = {"Authorization": f"Bearer {TOKEN}"}
        as_json = {"Content-Type": "application/json"}
        for status, headers in ((401, as_json), (401, {}), (415, with_token), (415, with_token | {"Content-Type": "text/plain"}),
                                (403, with_token | as_json | {"Origin": "https://evil.test"}),
                                (403, with_token | as_json | {"Host": "evil.test"}),
                                (401, as_json | {"Authorization": "Bearer " + TOKEN[:-1]}),
                                (401, as_json | {"Authorization": "Basic " + TOKEN})):
            self.assertEqual(self.gate.request("PUT", path, body, headers)[0], status, headers)
        self.assertEqual(json.loads(self.gate.request("GET", path)[2])["level"], "info")
        self.assertEqual(self.gate.request("GET", "/secret")[0], 401)
        self.assertNotIn(TOKEN, self.gate.log())

    def test_reload(self):
        status, _, body = self.gate.change("POST", "/api/v1/reload", {})
        self.assertEqual(status, 200, body)
        good = self.gate.config.read_text()
        try:
            self.gate.config.write_text(good + "nonsense: 1\n")
            status, _, body = self.gate.change("POST", "/api/v1/reload", {})
            self.assertEqual(status, 422)
            self.assertIn("nonsense", body)
        finally:
            self.gate.config.write_text(good)


class Refusing(WithGateway):
    def test_odd_http_is_400_and_the_connection_closes(self):
        for text in ("GET /metrics HTTP/1.1\nHost: localhost\n\n", "GET /metrics HTTP/1.1\r\n\r\n",
                     "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
                     "GET /metrics HTTP/1.1\r\nHost : localhost\r\n\r\n",
                     "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
                     "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"):
            self.assertTrue(self.gate.raw(text).startswith("HTTP/1.1 400 "), text)

    def test_limits_of_head_and_body(self):
        self.assertIn(" 431 ", self.gate.raw("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "x" * 20000 + "\r\n\r\n")[:20])
        self.assertIn(" 413 ", self.gate.raw("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n")[:20])
        self.assertEqual(self.gate.change("PUT", "/api/v1/log/level", json.loads("[" * 65 + "]" * 65))[0], 400)

    def test_queries_are_answered_while_all_connections_are_taken(self):
        idle = [socket.create_connection(("127.0.0.1", self.gate.admin)) for _ in range(120)]
        try:
            self.assertEqual(header(ask_udp(self.gate.do53, query("www.gate.test")))["an"], 1)
            wait_for(lambda: self.gate.counters()["sallyport_admin_connections_full_total"] >= 20, "too many connections")
            self.assertEqual(self.gate.request("GET", "/health")[0], 200, "whoever says nothing makes way")
        finally:
            for connection in idle:
                connection.close()
        wait_for(lambda: self.gate.request("GET", "/health")[0] == 200, "room for new ones")


class Manual(unittest.TestCase):
    def test_lists_every_request(self):
        manual = (SOURCE / "docs" / "configuration.md").read_text()
        sources = "".join((SOURCE / "apps" / name).read_text() for name in ("routes.cpp", "admin_routes.cpp", "cache_api.cpp"))
        requests = set(re.findall(r'"(GET|PUT|POST)", ("/[a-z0-9/]+"|kLevelPath)', sources))
        self.assertGreaterEqual(len(requests), 12)
        for method, path in requests:
            path = "/api/v1/log/level" if path == "kLevelPath" else path.strip('"')
            self.assertIn(f"`{method} {path}", manual)


class Guessing(unittest.TestCase):
    def test_ten_wrong_tokens_shut_out(self):
        with AdminGateway() as gate:
            for _ in range(10):
                self.assertEqual(gate.change("POST", "/api/v1/reload", {}, token="x" * 20)[0], 401)
            status, headers, _ = gate.change("POST", "/api/v1/reload", {})
            self.assertEqual(status, 429)
            time.sleep(float(headers["Retry-After"]))
            self.assertEqual(gate.change("POST", "/api/v1/reload", {})[0], 200)


class UnixSocket(unittest.TestCase):
    def test_its_mode_is_the_leave(self):
        with AdminGateway(unix=True) as gate:
            self.assertEqual(stat.S_IMODE(gate.socket.stat().st_mode), 0o600)
            status, _, _ = gate.request("PUT", "/api/v1/log/level", '{"level": "debug"}', {"Content-Type": "application/json"},
                                        UnixConnection(gate.socket))
            self.assertEqual(status, 200)
            done = gate.run_program("log-level", "--admin", f"unix:{gate.socket}", "info")
            self.assertEqual((done.returncode, done.stdout), (0, "info\n"), done.stderr)
        self.assertFalse(gate.socket.exists())


class MovingWhileItRuns(unittest.TestCase):
    def test_a_reload_moves_the_door_and_the_token(self):
        with AdminGateway() as gate:
            before, text = gate.admin, gate.config.read_text()
            gate.admin = free_port()
            gate.config.write_text(text.replace(f":{before}'", f":{gate.admin}'"))
            gate.token_file.write_text("another-token-of-some-length\n")
            self.assertIn("reloaded:", gate.reload())
            wait_for(lambda: gate.request("GET", "/health")[0] == 200, "the new address")
            with self.assertRaises(OSError):
                socket.create_connection(("127.0.0.1", before), PATIENCE)
            self.assertEqual(gate.change("POST", "/api/v1/reload", {})[0], 401)
            self.assertEqual(gate.change("POST", "/api/v1/reload", {}, token="another-token-of-some-length")[0], 200)

    def test_a_bad_token_file_is_refused_with_its_position(self):
        with AdminGateway() as gate:
            gate.token_file.chmod(0o644)
            log = gate.reload()
            self.assertIn("reload refused", log)
            self.assertRegex(log, r"sallyport\.yaml:\d+:\d+: token file .*0600")
            checked = subprocess.run([BINARY, "check", "--config", gate.config], capture_output=True, text=True,
                                     timeout=PATIENCE, check=False)
            self.assertEqual(checked.returncode, 1)
            self.assertRegex(checked.stderr, r"sallyport\.yaml:\d+:\d+: token file .*0600")
            gate.token_file.chmod(0o600)


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = AdminGateway()

    @classmethod
    def tearDownClass(cls):
        cls.gate.stop()

    def test_stats(self):
        ask_udp(self.gate.do53, query("www.gate.test"))
        done = self.gate.run_program("stats", "--once", "--interval", "100ms", "--admin", f"http://127.0.0.1:{self.gate.admin}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^udp +[0-9.]+ +[1-9][0-9]* +[1-9][0-9]* +[0-9.]+ (us|ms|s)")

    def test_stats_refreshes(self):
        process = subprocess.Popen([BINARY, "stats", "--interval", "100ms", "-c", str(self.gate.config)], stdout=subprocess.PIPE,
                                   text=True)
        try:
            screens = 0
            while screens < 3:
                screens += process.stdout.readline().startswith("sallyport ")
        finally:
            process.terminate()
            process.communicate()

    def test_log_level(self):
        target = ("-c", str(self.gate.config))
        self.assertEqual(self.gate.run_program("log-level", *target).stdout, "info\n")
        self.assertEqual(self.gate.run_program("log-level", *target, "debug").stdout, "debug\n")
        self.assertEqual(self.gate.run_program("log-level", *target, "info").stdout, "info\n")
        refused = self.gate.run_program("log-level", "--admin", f"127.0.0.1:{self.gate.admin}", "debug")
        self.assertEqual(refused.returncode, 4)
        self.assertIn("--token-file", refused.stderr)

    def test_nobody_there(self):
        for command in (("stats", "--once"), ("log-level",)):
            done = self.gate.run_program(*command, "--admin", f"127.0.0.1:{free_port()}")
            self.assertEqual(done.returncode, 4)
            self.assertRegex(done.stderr, r"^no gateway answers on 127\.0\.0\.1:\d+ \(Connection refused\); is 'admin' configured\?\n$")
        self.assertIn("no place", self.gate.run_program("stats", "--once", "--admin", "gate.example").stderr)


class Documentation(unittest.TestCase):
    def test_every_metric_is_documented_and_every_documented_one_is_told(self):
        port = free_port()
        with AdminGateway(f"resolve: {{ mode: forward, upstreams: ['udp://127.0.0.1:{port}'] }}\n"
                          "policy: { script: policy.lua }\n"
                          "query_log: { outputs: [ { file: queries.json } ] }\n", files={"policy.lua": "on.query(function(q) end)\n"}) as gate:
            body = gate.request("GET", "/metrics")[2]
        told = dict(re.findall(r"^# TYPE (\S+) (\S+)$", body, re.M))
        documented = dict(re.findall(r"^\| `(sallyport_\w+)` \| (counter|gauge|histogram)\b", (SOURCE / "docs/metrics.md").read_text(),
                                     re.M))
        if not HAS_QUIC:
            documented = {name: kind for name, kind in documented.items() if name in told or not re.search("quic|doq|h3", name)}
        self.assertEqual({name: kind for name, kind in told.items() if documented.get(name) != kind}, {}, "told, not documented so")
        self.assertEqual(sorted(documented.keys() - told.keys()), [], "documented, not told")


if __name__ == "__main__":
    unittest.main(verbosity=2)
