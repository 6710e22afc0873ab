#!/usr/bin/env python3
"""Everything changes while it runs: each kind of change is seen, a bad one is refused with its place and nothing changes."""

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import (BINARY, HAS_QUIC, PATIENCE, ZONE, Gateway, ask_udp, framed, free_port, header, query,
                     read_framed, wait_for)


def sallyport(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=3 * PATIENCE)


def ask(*arguments):
    """The data of the answer, one record a line; None where there is none."""
    done = sallyport("ask", "--short", "--timeout", str(PATIENCE), *arguments)
    return done.stdout.strip() if done.returncode == 0 else None


class Reload(unittest.TestCase):
    def setUp(self):
        self.gate = Gateway(start=False)
        self.token = self.gate.directory / "token"
        self.token.write_text("0123456789abcdef0123456789abcdef\n")
        self.token.chmod(0o600)
        self.admin = free_port()
        self.base = self.gate.config.read_text()
        self.write(self.admin_section())
        self.gate.start()

    def tearDown(self):
        code = self.gate.stop()
        self.assertEqual(code, 0, self.gate.log())

    @staticmethod
    def replace(path, text):
        """As a whole: who looks at the wrong moment must not read half of it."""
        fresh = path.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.replace(path)

    def admin_section(self, port=None):
        return f"admin: {{ on: '127.0.0.1:{port or self.admin}', token_file: token }}\n"

    def write(self, extra="", base=None):
        """The configuration, replaced as editors do."""
        fresh = self.gate.directory / "fresh.yaml"
        fresh.write_text((base or self.base) + extra)
        fresh.rename(self.gate.config)

    def reload(self, extra="", base=None):
        self.write(extra + self.admin_section(), base)
        log = self.gate.reload()
        self.assertIn("reloaded:", log)
        return log

    def refused(self, *words):
        log = self.gate.reload()
        self.assertIn("reload refused; everything stays as it was", log)
        for word in words:
            self.assertIn(word, log)
        self.assertEqual(self.rcode("www.gate.test"), 0)

    def rcode(self, name, port=None):
        return header(ask_udp(port or self.gate.do53, query(name)))["rcode"]

    def tls(self):
        return "--ca", self.gate.ca, "--name", "gate.test"

    # ---- what changes

    def test_zones(self):
        self.assertEqual(self.rcode("new.gate.test"), 3)
        (self.gate.directory / "gate.test.zone").write_text(ZONE + "new A 192.0.2.7\n")
        (self.gate.directory / "other.test.zone").write_text(ZONE.replace("gate.test", "other.test"))
        self.reload(base=self.base.replace("zones:\n", "zones:\n  - { name: other.test, file: other.test.zone }\n"))
        self.assertEqual(self.rcode("new.gate.test"), 0)
        self.assertEqual(self.rcode("www.other.test"), 0)
        self.reload()
        self.assertEqual(self.rcode("www.other.test"), 5)

    def test_a_door_comes_and_goes(self):
        port = free_port()
        door = f"  - do53: {{ on: ['127.0.0.1:{port}'] }}\n"
        self.reload(base=self.base.replace("certificates:", door + "certificates:"))
        self.assertEqual(self.rcode("www.gate.test", port), 0)
        live = socket.create_connection(("127.0.0.1", port), PATIENCE)
        live.sendall(framed(query("www.gate.test")))
        self.assertEqual(header(read_framed(live))["rcode"], 0)
        self.reload()
        self.assertEqual(live.recv(1), b"", "a connection of a door that is gone ends in an orderly way")
        live.close()
        def is_closed():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except ConnectionRefusedError:
                return True
            return False
        wait_for(is_closed, "the door to close")
        # And once more at the same place, at once.
        self.reload(base=self.base.replace("certificates:", door + "certificates:"))
        self.assertEqual(self.rcode("www.gate.test", port), 0)

    def test_connections_and_sockets_stay(self):
        with socket.create_connection(("127.0.0.1", self.gate.do53), PATIENCE) as tcp, self.gate.connect_tls() as dot:
            for number in range(4):
                for stream in (tcp, dot):
                    stream.sendall(framed(query("www.gate.test", ident=number)))
                    self.assertEqual(header(read_framed(stream))["id"], number)
                self.reload(f"limits: {{ streams: {{ connections: {1000 + number} }} }}\n")

    def test_a_path_and_a_protocol_of_a_port(self):
        server = f"127.0.0.1:{self.gate.tls}"
        path = self.base.replace("path: /dns-query", "path: [/dns-query, /other]")
        self.assertIsNone(ask("--doh", server, "--path", "/other", *self.tls(), "www.gate.test"))
        self.reload(base=path)
        self.assertEqual(ask("--doh", server, "--path", "/other", *self.tls(), "www.gate.test"), "192.0.2.80")
        if HAS_QUIC:
            self.assertEqual(ask("--doh3", server, "--path", "/other", *self.tls(), "www.gate.test"), "192.0.2.80")
        # DoT and DoQ leave the port that they share with DoH, and come back.
        alone = self.base.replace(f", '127.0.0.1:{self.gate.tls}'", "")
        with self.gate.connect_tls(self.gate.tls, ["dot"]) as live:
            live.sendall(framed(query("www.gate.test")))
            read_framed(live)
            self.reload(base=alone)
            self.assertEqual(live.recv(1), b"", "what is spoken no more ends in an orderly way")
        with self.assertRaises(ssl.SSLError):
            self.gate.connect_tls(self.gate.tls, ["dot"])
        self.assertEqual(ask("--doh", server, *self.tls(), "www.gate.test"), "192.0.2.80")
        self.reload()
        with self.gate.connect_tls(self.gate.tls, ["dot"]) as live:
            live.sendall(framed(query("www.gate.test")))
            self.assertEqual(header(read_framed(live))["rcode"], 0)
        if HAS_QUIC:
            self.assertEqual(ask("--doq", server, *self.tls(), "www.gate.test"), "192.0.2.80")

    def test_certificates(self):
        def serial():
            with self.gate.connect_tls() as stream:
                return stream.getpeercert()["serialNumber"]
        before = serial()
        subprocess.run([BINARY, "cert", "dev", "--replace", "--quiet", "-d", self.gate.directory / "other"], check=True, stdout=subprocess.DEVNULL)
        self.reload(base=self.base.replace("directory: certs", "directory: other"))
        self.gate.ca = str(self.gate.directory / "other" / "ca.crt")
        self.assertNotEqual(serial(), before)

    def test_access_answers_and_limits(self):
        self.reload("access: { deny: [127.0.0.0/8] }\n")
        self.assertEqual(self.rcode("www.gate.test"), 5)
        self.reload("answers: { nsid: hello }\n")
        answer = ask_udp(self.gate.do53, query("www.gate.test", edns={"options": b"\0\3\0\0"}))
        self.assertIn(b"hello", answer)
        self.reload("limits: { streams: { connections_per_address: 1 } }\n")

    def test_log_level(self):
        self.write("log: { level: error }\n" + self.admin_section())
        self.assertEqual(self.command().returncode, 0)
        self.write(self.admin_section())
        self.assertEqual(self.command().returncode, 0)

    def test_a_script(self):
        script = self.gate.directory / "policy.lua"
        script.write_text("on.query(function(q) if q.name:under('mail.gate.test') then return q:refuse('closed') end end)\n")
        self.assertEqual(self.rcode("mail.gate.test"), 0)
        self.reload("policy: { script: policy.lua }\n")
        self.assertEqual(self.rcode("mail.gate.test"), 5)
        script.write_text("on.query(function(q) if q.name:under('www.gate.test') then return q:refuse('closed') end end)\n")
        self.assertIn("reloaded:", self.gate.reload())
        self.assertEqual(self.rcode("mail.gate.test"), 0)
        self.assertEqual(self.rcode("www.gate.test"), 5)
        self.reload()
        self.assertEqual(self.rcode("www.gate.test"), 0)

    def test_upstreams_and_cache(self):
        zone = ZONE.replace("gate.test", "outer.test")
        with Gateway(zone=zone, start=False) as first, Gateway(zone=zone.replace("192.0.2.80", "192.0.2.81"), start=False) as second:
            for other in (first, second):
                other.config.write_text(other.config.read_text().replace("name: gate.test,", "name: outer.test,"))
                other.start()
            to = lambda other: f"resolve: {{ upstreams: ['udp://127.0.0.1:{other.do53}'] }}\n"
            self.assertEqual(self.rcode("www.outer.test"), 5)
            where = "--udp", f"127.0.0.1:{self.gate.do53}", "www.outer.test"
            self.reload(to(first))
            self.assertEqual(ask(*where), "192.0.2.80")
            self.reload(to(second))
            self.assertEqual(ask(*where), "192.0.2.80", "what the cache holds stays")
            self.reload(to(second) + "cache: { enabled: false }\n")
            self.assertEqual(ask(*where), "192.0.2.81")
            self.reload(to(first) + "cache: { size: 2MiB }\n")
            self.assertEqual(ask(*where), "192.0.2.80")
            self.reload()
            self.assertEqual(self.rcode("nothing.outer.test"), 5)

    def test_query_log(self):
        log = self.gate.directory / "queries"
        self.reload("query_log: { outputs: [ { file: queries } ] }\n")
        self.rcode("www.gate.test")
        wait_for(lambda: log.exists() and "www.gate.test" in log.read_text(), "the query log")
        self.reload()
        before = log.read_text()
        self.rcode("mail.gate.test")
        time.sleep(0.3)
        self.assertEqual(log.read_text(), before)

    def test_the_management_api_moves(self):
        other = free_port()
        self.write(self.admin_section(other))
        self.assertEqual(self.command().returncode, 0)
        with urllib.request.urlopen(f"http://127.0.0.1:{other}/health", timeout=PATIENCE) as answer:
            self.assertEqual(answer.status, 200)
        self.admin = other
        self.assertEqual(self.command().returncode, 0)

    def test_what_needs_a_restart_says_so_once(self):
        more = self.base.replace("workers: 2", "workers: 3")
        self.assertIn("restart only: workers (2, wanted 3)", self.reload(base=more))
        self.assertNotIn("restart only", self.reload(base=more))
        self.assertIn("workers (2, wanted 3)", self.command().stderr)
        self.assertEqual(self.rcode("www.gate.test"), 0)

    # ---- what is refused

    def test_bad_ones_change_nothing(self):
        line = len(self.base.splitlines()) + 1
        self.write("cache: { sise: 1MiB }\n")
        self.refused(f"sallyport.yaml:{line}:10: unknown key 'sise'")
        zone = self.gate.directory / "gate.test.zone"
        zone.write_text("$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 300.1.2.3\n")
        self.write()
        self.refused("gate.test.zone:4:")
        zone.write_text(ZONE)
        (self.gate.directory / "bad.lua").write_text("on.query(function(q)\n  return q:\nend)\n")
        self.write("policy: { script: bad.lua }\n")
        self.refused("bad.lua:3")
        self.write(base=self.base.replace("directory: certs", "directory: nowhere"))
        self.refused("nowhere")
        self.write(base=self.base.replace("path: /dns-query", "path: dns-query"))
        self.refused("'dns-query' can not be asked for")
        self.write("query_log: { outputs: [ { file: no/such/folder/log } ] }\n")
        self.refused("no/such/folder")
        self.write("admin: { on: '127.0.0.1:1', token_file: nothing }\n")
        self.refused("nothing")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            spare = free_port()
            doors = f"  - do53: {{ on: ['127.0.0.1:{spare}', '127.0.0.1:{port}'] }}\n"
            self.write(base=self.base.replace("certificates:", doors + "certificates:"))
            self.refused(f"cannot listen on 127.0.0.1:{port} (TCP): the address is in use", "sallyport.yaml:8:")
            # What could be bound was not served, and is free again.
            with socket.socket() as free:
                free.bind(("127.0.0.1", spare))
        self.write(self.admin_section())
        self.assertIn("reloaded:", self.gate.reload())
        self.assertEqual(self.gate.counters()["sallyport_reloads_refused_total"], 8)

    # ---- by the command, and by itself

    def command(self):
        return sallyport("reload", "--admin", f"127.0.0.1:{self.admin}", "--token-file", self.token)

    def test_by_the_command(self):
        (self.gate.directory / "gate.test.zone").write_text(ZONE + "new A 192.0.2.7\n")
        done = self.command()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"reloaded: \d+ ports, 1 zones, \d+ records")
        self.assertEqual(self.rcode("new.gate.test"), 0)
        line = len(self.base.splitlines()) + 1
        self.write("cache: { size: 1KiB, sise: 1 }\n")
        done = self.command()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"sallyport.yaml:{line}:16: 'cache.size'", done.stderr)
        self.assertIn(f"sallyport.yaml:{line}:22: unknown key 'sise'", done.stderr)
        self.assertIn("everything stays as it was", done.stderr)
        # The configuration also says where the gateway is, but not this one.
        done = sallyport("reload", "-c", self.gate.config)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"sallyport.yaml:{line}:22: unknown key 'sise'", done.stderr)
        self.assertIn("everything stays as it was", done.stderr)
        self.write(self.admin_section())
        done = sallyport("reload", "-c", self.gate.config)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(sallyport("reload", "--admin", f"127.0.0.1:{free_port()}", "--token-file", self.token).returncode, 4)
        self.token.write_text("fedcba9876543210fedcba9876543210\n")
        self.assertEqual(self.command().returncode, 4)

    def test_by_the_api(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin}/api/v1/reload", data=b"{}", method="POST",
                                         headers={"Content-Type": "application/json",
                                                  "Authorization": "Bearer " + self.token.read_text().strip()})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            self.assertEqual(answer.status, 200)
            self.assertRegex(json.load(answer)["summary"], "^reloaded: ")
        request.remove_header("Authorization")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=PATIENCE)
        self.assertEqual(caught.exception.code, 401)

    def test_a_unix_socket_comes_and_goes(self):
        path = self.gate.directory / "dns.sock"
        more = self.base.replace("certificates:", "  - do53: { on: ['unix:dns.sock'] }\ncertificates:")
        for _ in range(2):
            self.reload(base=more)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(str(path))
                client.sendall(framed(query("www.gate.test")))
                self.assertEqual(header(read_framed(client))["rcode"], 0)
                self.reload()
                self.assertEqual(client.recv(1), b"")
            self.assertFalse(path.exists())

    @unittest.skipUnless(os.geteuid() == 0, "only root has privileges to give up")
    def test_privileges_that_were_given_up_are_missed_by_name(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as start:
            if int(start.read()) <= 1:
                self.skipTest("every port may be bound by everybody here")
        self.gate.stop()
        self.base += "user: nobody\n"
        self.write(self.admin_section())
        subprocess.run(["chown", "-R", "nobody", self.gate.directory], check=True)
        self.gate.start()
        self.assertIn("reloaded:", self.gate.reload())
        self.write(self.admin_section(), self.base.replace("certificates:", "  - do53: { on: ['127.0.0.1:7'] }\ncertificates:"))
        self.refused("127.0.0.1:7", "permission denied", "privileges were given up at the start")

    def test_by_itself_when_files_change(self):
        zone = self.gate.directory / "gate.test.zone"
        self.replace(zone, ZONE + "first A 192.0.2.7\n")
        time.sleep(0.05)
        self.reload("reload: { watch: true, every: 100ms }\n")
        self.assertEqual(self.rcode("first.gate.test"), 0)
        before = self.gate.log().count("reloaded:")
        time.sleep(1)
        self.assertEqual(self.gate.log().count("reloaded:"), before, "nothing changed, nothing is read")
        self.replace(zone, ZONE + "second A 192.0.2.7\n")
        wait_for(lambda: self.rcode("second.gate.test") == 0, "the changed zone")
        self.replace(zone, ZONE + "third A 300.0.0.1\n")
        wait_for(lambda: "reload refused" in self.gate.log(), "the bad zone to be refused")
        time.sleep(0.5)
        self.assertEqual(self.gate.log().count("reload refused"), 1)
        self.assertEqual(self.rcode("second.gate.test"), 0)
        (self.gate.directory / "more.zone").write_text("included A 192.0.2.1\n")
        self.replace(zone, ZONE + "$INCLUDE more.zone\n")
        wait_for(lambda: self.rcode("included.gate.test") == 0, "the included file")
        self.replace(self.gate.directory / "more.zone", "another A 192.0.2.1\n")
        wait_for(lambda: self.rcode("another.gate.test") == 0, "the change of the included file")
        self.replace(zone, ZONE)
        wait_for(lambda: self.rcode("second.gate.test") == 3, "the zone that is good again")
        self.write(self.admin_section())
        wait_for(lambda: self.gate.log().count("reloaded:") >= 4, "the configuration without watching")


if __name__ == "__main__":
    unittest.main()
