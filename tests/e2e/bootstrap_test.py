#!/usr/bin/env python3
# e2e: parallel
"""Upstreams that are known by name alone: where they are is asked of a bootstrap server, here one of our own.

The upstreams are gateways of the same binary, and servers of our own at several loopback addresses, each with an answer
of its own, so that what a client gets says where the gateway went.
"""

import itertools
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from bad_upstream import BadUpstream  # noqa: E402
from gateway import BINARY, PATIENCE, SLOWNESS, Gateway, ask_udp, free_port, header, query, wait_for  # noqa: E402

A, CNAME, AAAA = 1, 5, 28
HERE, THERE, NOBODY, DEAF = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
FIRST, SECOND = "192.0.2.71", "192.0.2.72"
running_number = itertools.count()


def fresh():
    """A name nobody has asked for: no cache helps."""
    return f"n{next(running_number)}-{os.getpid()}.world.test"


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split(".")) + b"\0"


class Bootstrap:
    """A resolver that knows what it is told: `names[name]` is a list of addresses, or another name (an alias)."""

    def __init__(self, names, port=None, ttl=1):
        self.names, self.ttl, self.mode, self.asked = dict(names), ttl, "good", []
        self.port = port or free_port()
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind((HERE, self.port))
        threading.Thread(target=self.run, daemon=True).start()

    def stop(self):
        self.socket.close()

    def run(self):
        while True:
            try:
                message, peer = self.socket.recvfrom(4096)
                reply = self.answer(message)
                if reply:
                    self.socket.sendto(reply, peer)
            except OSError:
                return

    def answer(self, message):
        end = 12
        labels = []
        while message[end]:
            labels.append(message[end + 1 : end + 1 + message[end]].decode().lower())
            end += message[end] + 1
        name, question = ".".join(labels), message[12 : end + 5]
        qtype = struct.unpack(">H", message[end + 1 : end + 3])[0]
        self.asked.append((name, qtype))
        if self.mode == "silent":
            return None
        rcode = {"servfail": 2, "refused": 5}.get(self.mode, 0)
        known = self.names.get(name)
        if known is None and not rcode:
            rcode = 3
        records = []
        if not rcode:
            records = [self.record(CNAME, wire_name(known))] if isinstance(known, str) else self.addresses(known, qtype)
        ident = bytes([message[0] ^ 0x55]) + message[1:2] if self.mode == "forged" else message[:2]
        return ident + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(records), 0, 0) + question + b"".join(records)

    def record(self, rtype, data):
        return b"\xc0\x0c" + struct.pack(">HHIH", rtype, 1, self.ttl, len(data)) + data

    def addresses(self, known, qtype):
        four = [socket.inet_aton(one) for one in known if ":" not in one]
        six = [socket.inet_pton(socket.AF_INET6, one) for one in known if ":" in one]
        return [self.record(qtype, one) for one in {A: four, AAAA: six}.get(qtype, [])]


class Front(Gateway):
    """Forwards everything, and has no zone of its own."""

    def __init__(self, bootstrap_port, resolve, limits="least_ttl: 1s", start=True, more=""):
        super().__init__(start=False)
        self.admin = free_port()
        self.head = (f"workers: 2\nlisten:\n  - do53: {{ on: ['127.0.0.1:{self.do53}'] }}\n"
                     f"  - dot: {{ on: ['127.0.0.1:{self.dot}'] }}\n"
                     "certificates: { directory: certs, names: [gate.test] }\n"
                     f"admin: {{ on: '127.0.0.1:{self.admin}' }}\n"
                     f"resolve:\n  local_only: no\n  limits: {{ budget: 20s, first_timeout: 500ms }}\n{more}"
                     f"  bootstrap: ['udp://127.0.0.1:{bootstrap_port}']\n  bootstrap_limits: {{ {limits} }}\n")
        self.configure(resolve)
        if start:
            self.start()

    def configure(self, resolve):
        self.config.write_text(self.head + resolve.replace("CA", self.ca))

    def ask(self, name=None):
        """RCODE and the address of the answer, or None."""
        reply = ask_udp(self.do53, query(name or fresh(), A, 4711), PATIENCE + 20)
        return header(reply)["rcode"], socket.inet_ntoa(reply[-4:]) if header(reply)["an"] else None

    def ready(self):
        """What `/ready` says: empty where it is."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/ready", timeout=PATIENCE):
                return ""
        except urllib.error.HTTPError as refused:
            return json.load(refused)["reason"]

    def counter(self, name):
        return sum(value for key, value in self.counters().items() if key.split("{")[0] == f"sallyport_{name}")


class Upstream(BadUpstream):
    """DoT at one address and port, with the gateway's development certificate."""

    def __init__(self, gate, address, port, answer, listen=True):
        super().__init__(answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(gate.certs / "dev.crt", gate.certs / "dev.key")
        self.tls = socket.create_server((address, port), backlog=64)
        if listen:
            self.start(self.accept, self.tls, context)

    def stop(self):
        try:
            self.tls.shutdown(socket.SHUT_RDWR)  # whoever waits in accept() keeps the port otherwise
        except OSError:
            pass
        super().stop()


class BootstrapTest(unittest.TestCase):
    def bootstrap(self, names, **more):
        made = Bootstrap(names, **more)
        self.addCleanup(made.stop)
        return made

    def front(self, *arguments, **more):
        gate = Front(*arguments, **more)
        self.addCleanup(gate.stop)
        return gate

    def upstream(self, *arguments, **more):
        made = Upstream(*arguments, **more)
        self.addCleanup(made.stop)
        return made

    def dot(self, port, host="dot.gate.test"):
        return f"  upstreams: [ {{ name: up, url: 'tls://{host}:{port}', ca_file: 'CA' }} ]\n"

    def end(self, gate):
        self.assertEqual(gate.stop(), 0, gate.log())

    def test_dot_and_doh_of_a_real_server_by_name(self):
        with Gateway(workers=1) as behind:
            names = self.bootstrap({"gate.test": "elsewhere.test", "elsewhere.test": [HERE], "other.test": [HERE]}, ttl=300)
            gate = self.front(
                names.port,
                "  groups:\n"
                f"    - {{ name: dot, upstreams: [ {{ url: 'tls://gate.test:{behind.dot}', ca_file: '{behind.ca}' }} ] }}\n"
                f"    - {{ name: doh, upstreams: [ {{ url: 'https://gate.test:{behind.tls}/dns-query', ca_file: '{behind.ca}' }} ] }}\n"
                f"    - {{ name: lie, upstreams: [ {{ url: 'tls://other.test:{behind.dot}', ca_file: '{behind.ca}' }} ] }}\n"
                "  routes:\n    - { zones: [wild.gate.test], to: doh }\n    - { zones: [mail.gate.test], to: lie }\n")
            self.assertEqual(gate.ask("www.gate.test"), (0, "192.0.2.80"))
            self.assertEqual(gate.ask("a.wild.gate.test"), (0, "192.0.2.99"))
            # The server is there, but the certificate is not for that name: to deny is all that a lie can do.
            self.assertEqual(gate.ask("mail.gate.test"), (2, None))
            self.assertIn(("elsewhere.test", A), names.asked)
            self.assertIn(("gate.test", AAAA), names.asked)
            wait_for(lambda: gate.ready() == "", "to be ready")
            for _ in range(5):
                self.assertEqual(gate.ask(f"{next(running_number)}.wild.gate.test")[0], 0)
            # Of each upstream, for all workers and queries: the host is that of two.
            self.assertEqual(names.asked.count(("gate.test", A)), 2)
            self.end(gate)

    def test_an_address_moves_and_no_query_is_lost(self):
        names = self.bootstrap({"dot.gate.test": [HERE]})
        port = free_port()
        gate = self.front(names.port, self.dot(port), start=False)
        first, second = self.upstream(gate, HERE, port, FIRST), self.upstream(gate, THERE, port, SECOND)
        gate.start()
        self.assertEqual(gate.ask(), (0, FIRST))
        names.names["dot.gate.test"] = [THERE]
        seen = set()

        def moved():
            answer = gate.ask()
            self.assertIn(answer, ((0, FIRST), (0, SECOND)))
            seen.add(answer)
            return answer == (0, SECOND)

        wait_for(moved, "the other address to be asked")
        self.assertEqual(gate.ask(), (0, SECOND))
        wait_for(lambda: gate.ask() == (0, SECOND) and not first.connections, "the old connections to end")
        self.assertTrue(second.connections)
        self.end(gate)

    def test_who_moves_before_its_time_is_found_again(self):
        names = self.bootstrap({"dot.gate.test": [HERE]}, ttl=86_400)
        port = free_port()
        gate = self.front(names.port, self.dot(port), start=False)
        first = self.upstream(gate, HERE, port, FIRST)
        self.upstream(gate, THERE, port, SECOND)
        gate.start()
        self.assertEqual(gate.ask(), (0, FIRST))
        names.names["dot.gate.test"] = [THERE]
        first.stop()
        wait_for(lambda: gate.ask() == (0, SECOND), "the other address to be asked")
        self.end(gate)

    def test_the_bootstrap_server_comes_late(self):
        port, late = free_port(), free_port()
        gate = self.front(late, self.dot(port), start=False)
        self.upstream(gate, HERE, port, FIRST)
        gate.start()
        self.assertIn("dot.gate.test", gate.ready())
        answers = []
        client = threading.Thread(target=lambda: answers.append(gate.ask()))
        client.start()
        wait_for(lambda: gate.counter("upstream_look_up_failures_total") > 0, "a look-up that fails")
        self.assertIn("dot.gate.test can not be looked up", gate.log())
        self.bootstrap({"dot.gate.test": [HERE]}, port=late)
        client.join(PATIENCE + 20)
        self.assertEqual(answers, [(0, FIRST)], "it waits within its budget")
        wait_for(lambda: gate.ready() == "", "to be ready")
        self.end(gate)

    def test_others_of_the_group_are_asked_meanwhile(self):
        names = self.bootstrap({})
        names.mode = "silent"
        plain = BadUpstream(SECOND)
        self.addCleanup(plain.stop)
        gate = self.front(names.port, "  strategy: ordered\n  upstreams:\n    - { name: up, url: 'tls://dot.gate.test', ca_file: 'CA' }\n"
                                      f"    - 'udp://127.0.0.1:{plain.port}'\n")
        began = time.monotonic()
        self.assertEqual(gate.ask(), (0, SECOND))
        self.assertLess(time.monotonic() - began, 10 * SLOWNESS, "nobody waits for the look-up, which has 5 s for itself and then waits")
        wait_for(lambda: gate.ready() == "", "to be ready")
        self.end(gate)

    def test_the_last_that_was_known_stays_in_use(self):
        names = self.bootstrap({"dot.gate.test": [HERE]})
        port = free_port()
        gate = self.front(names.port, self.dot(port), limits="least_ttl: 1s, time: 300ms", start=False)
        self.upstream(gate, HERE, port, FIRST)
        gate.start()
        self.assertEqual(gate.ask(), (0, FIRST))
        for mode in ("silent", "servfail", "refused", "forged"):
            with self.subTest(mode=mode):
                names.mode = mode
                before = gate.counter("upstream_look_up_failures_total")
                wait_for(lambda: gate.counter("upstream_look_up_failures_total") > before, "a look-up that fails", PATIENCE + 60)
                self.assertEqual(gate.ask(), (0, FIRST))
                wait_for(lambda: gate.ready() == "", "to be ready")
                # Back-off begins anew.
                names.mode = "good"
                wait_for(lambda: gate.log().count("dot.gate.test is at") > gate.log().count("stay in use"),
                         "the server's return", PATIENCE + 60)
        names.names.clear()
        before = gate.counter("upstream_look_up_failures_total")
        wait_for(lambda: gate.counter("upstream_look_up_failures_total") > before, "the name to be gone", PATIENCE + 60)
        self.assertEqual(gate.ask(), (0, FIRST))
        self.end(gate)

    def test_wrong_addresses_come_first(self):
        names = self.bootstrap({"dot.gate.test": [NOBODY, DEAF, "0.0.0.0", HERE, "::1"]}, ttl=600)
        port = free_port()
        gate = self.front(names.port, self.dot(port), start=False)
        self.upstream(gate, HERE, port, FIRST)
        self.upstream(gate, DEAF, port, SECOND, listen=False)  # its kernel takes connections, and nobody says a word
        gate.start()
        self.assertEqual(gate.ask(), (0, FIRST))
        self.assertEqual(gate.counter("upstream_addresses_refused_total"), 1)
        self.assertEqual(gate.counter("upstream_addresses"), 4)
        with urllib.request.urlopen(f"http://127.0.0.1:{gate.admin}/api/v1/upstreams", timeout=PATIENCE) as answer:
            self.assertIn(HERE, json.load(answer)["upstreams"][0]["addresses"])
        self.end(gate)

    def test_so_many_addresses_and_aliases(self):
        names = self.bootstrap({"dot.gate.test": "a.test", "a.test": "b.test", "b.test": [HERE, NOBODY, DEAF],
                                "loop.gate.test": "loop.gate.test"}, ttl=600)
        port = free_port()
        gate = self.front(names.port, self.dot(port) + f"  groups: [ {{ name: loop, upstreams: ['tls://loop.gate.test:{port}'] }} ]\n",
                          limits="addresses: 2, aliases: 2, look_ups: 1", start=False)
        self.upstream(gate, HERE, port, FIRST)
        gate.start()
        self.assertEqual(gate.ask(), (0, FIRST))
        self.assertEqual(gate.counter("upstream_addresses_cut_total"), 1)
        wait_for(lambda: "loop.gate.test can not be looked up: its aliases do not end" in gate.log(), "the loop to be seen")
        self.end(gate)

    def test_our_own_door_is_no_upstream(self):
        names = self.bootstrap({"dot.gate.test": [HERE]}, ttl=600)
        gate = self.front(names.port, "", start=False)
        gate.configure(self.dot(gate.dot))
        gate.start()
        wait_for(lambda: gate.counter("upstream_addresses_refused_total") > 0, "the address to be refused")
        self.assertIn("this gateway itself", gate.log())
        self.assertEqual(gate.counter("upstream_addresses"), 0)
        self.assertEqual(gate.stop(), 0, gate.log())

    def test_a_reload_keeps_what_is_known(self):
        names = self.bootstrap({"dot.gate.test": [HERE]}, ttl=600)
        port = free_port()
        gate = self.front(names.port, self.dot(port), start=False)
        self.upstream(gate, HERE, port, FIRST)
        gate.start()
        self.assertEqual(gate.ask(), (0, FIRST))
        names.mode = "silent"
        asked = len(names.asked)
        gate.configure(self.dot(port) + f"  groups: [ {{ name: new, upstreams: ['tls://new.gate.test:{port}'] }} ]\n"
                                        "  routes: [ { zones: [new.world.test], to: new } ]\n")
        self.assertIn("reloaded:", gate.reload())
        self.assertEqual(gate.ask(), (0, FIRST))
        wait_for(lambda: any(name == "new.gate.test" for name, _ in names.asked[asked:]), "the new name to be looked up")
        self.assertFalse([name for name, _ in names.asked[asked:] if name == "dot.gate.test"])
        gate.configure(self.dot(port))
        self.assertIn("reloaded:", gate.reload())
        self.assertEqual(gate.ask(), (0, FIRST))
        self.end(gate)

    def test_a_forward_zone_beside_recursion(self):
        names = self.bootstrap({"dot.gate.test": [HERE]}, ttl=600)
        port = free_port()
        gate = self.front(names.port, f"  groups: [ {{ name: up, upstreams: [ {{ url: 'tls://dot.gate.test:{port}', ca_file: 'CA' }} ] }} ]\n"
                                      "  routes: [ { zones: [world.test], to: up } ]\n", start=False,
                          more=f"  mode: recurse\n  root_hints: hints\n  allow_loopback: true\n  prime: false\n  port: {free_port()}\n")
        (gate.directory / "hints").write_text(". 3600 NS root.example.\nroot.example. 3600 A 127.0.0.1\n")
        self.upstream(gate, HERE, port, FIRST)
        gate.start()
        self.assertEqual(gate.ask(), (0, FIRST))
        self.end(gate)

    def test_a_name_without_anybody_to_ask_is_told_of(self):
        gate = Gateway(start=False)
        lines = gate.config.read_text().count("\n")
        with open(gate.config, "a") as config:
            config.write("resolve:\n  upstreams:\n    - tls://dot.gate.test\n")
        told = subprocess.run([BINARY, "check", "-c", str(gate.config)], capture_output=True, text=True)
        self.assertEqual(told.returncode, 1, told)
        self.assertRegex(told.stderr, rf"sallyport.yaml:{lines + 3}:\d+: 'dot.gate.test' is a name.*addresses.*resolve\.bootstrap")


if __name__ == "__main__":
    unittest.main(verbosity=2)
