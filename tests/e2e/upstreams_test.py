#!/usr/bin/env python3
"""Upstreams that die, stall, slow down, truncate and corrupt, while clients ask over every door.

The upstreams are Knot DNS, Unbound and dnsdist over Do53, DoT and DoH, and a misbehaving one of our own. Each has an
answer of its own, so that what a client gets says whom the gateway asked.
"""

import collections
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gateway  # noqa: E402
from bad_doh_upstream import HTTP_MODES, BadDohUpstream  # noqa: E402
from gateway import BINARY, PATIENCE, SLOWNESS, Gateway, free_port, need, skip, wait_for  # noqa: E402

PROGRAMS = {"knotd": "knot", "unbound": "unbound", "dnsdist": "dnsdist"}
KNOT, UNBOUND, DNSDIST, BAD = "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.66"
# What a stub resolver waits before it gives a question up; the gateway's budget is less.
CLIENT_PATIENCE = 5.0 * max(SLOWNESS, 4 if gateway.SANITIZED else 1)
DOORS = ["udp", "tcp", "dot", "doh", "doh1"] + (["doh3", "doq"] if gateway.HAS_QUIC else [])
# Where the machine itself may stand still for a second, no upstream is dead for that.
BUDGET = f"budget: {int(4 * SLOWNESS)}s, failures_to_open: {3 if SLOWNESS == 1 else 10}"
LIMITS = f"{{ first_timeout: 300ms, {BUDGET}, backoff_first: 500ms, backoff_most: 2s }}"
running_number = itertools.count()


def fresh(label="n"):
    """A name nobody has asked for: no cache helps."""
    return f"{label}{next(running_number)}-{os.getpid()}.world.test"


class Program:
    """A real name server as a child of ours."""

    def __init__(self, gate, name, command, port):
        self.command, self.port, self.name = command, port, name
        self.log = open(gate.directory / f"{name}.log", "ab")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

        def answers():
            done = subprocess.run([BINARY, "ask", fresh("up"), "--tcp", f"127.0.0.1:{self.port}", "--timeout", "1", "--short"],
                                  capture_output=True, text=True)
            return done.returncode == 0 and done.stdout.startswith("192.0.2.")

        wait_for(answers, f"{self.name} to answer")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self.log.close()


def knot(gate):
    port = free_port()
    folder = gate.directory / "knot"
    folder.mkdir()
    (folder / "world.test.zone").write_text(
        f"$ORIGIN world.test.\n$TTL 60\n@ SOA ns h 1 3600 900 604800 60\n  NS ns\nns A 127.0.0.1\n* A {KNOT}\n")
    (folder / "knot.conf").write_text(
        f"server:\n  listen: 127.0.0.1@{port}\n  rundir: {folder}\n"
        f"database:\n  storage: {folder}/db\n"
        f"zone:\n  - domain: world.test\n    file: {folder}/world.test.zone\n"
        "log:\n  - target: stderr\n    any: warning\n")
    return Program(gate, "knotd", ["knotd", "-c", str(folder / "knot.conf")], port)


def unbound(gate):
    plain, tls, https = free_port(), free_port(), free_port()
    folder = gate.directory / "unbound"
    folder.mkdir()
    (folder / "unbound.conf").write_text(
        f"server:\n  directory: {folder}\n  chroot: \"\"\n  username: \"\"\n  pidfile: {folder}/pid\n  use-syslog: no\n"
        f"  do-daemonize: no\n  num-threads: 1\n  interface: 127.0.0.1@{plain}\n  interface: 127.0.0.1@{tls}\n"
        f"  interface: 127.0.0.1@{https}\n  tls-port: {tls}\n  https-port: {https}\n"
        f"  tls-service-key: {gate.certs}/dev.key\n  tls-service-pem: {gate.certs}/dev.crt\n"
        f"  local-zone: \"world.test\" redirect\n  local-data: \"world.test 60 IN A {UNBOUND}\"\n"
        "remote-control:\n  control-enable: no\n")
    made = Program(gate, "unbound", ["unbound", "-d", "-c", str(folder / "unbound.conf")], plain)
    made.tls, made.https = tls, https
    return made


def dnsdist(gate):
    plain, tls, https = free_port(), free_port(), free_port()
    pair = f"'{gate.certs}/dev.crt', '{gate.certs}/dev.key'"
    (gate.directory / "dnsdist.conf").write_text(
        f"setLocal('127.0.0.1:{plain}')\naddTLSLocal('127.0.0.1:{tls}', {pair})\n"
        f"addDOHLocal('127.0.0.1:{https}', {pair}, '/dns-query')\n"
        f"newServer({{address='127.0.0.1:1', healthCheckMode='up'}})\n"
        f"addAction(AllRule(), SpoofAction({{'{DNSDIST}'}}, {{ttl=60}}))\nsetSecurityPollSuffix('')\n")
    made = Program(gate, "dnsdist", ["dnsdist", "--supervised", "--disable-syslog", "-C", str(gate.directory / "dnsdist.conf")], plain)
    made.tls, made.https = tls, https
    return made


class Asking:
    """One question at a time through one door, or many at once with `batch`."""

    def __init__(self, gate):
        self.gate = gate
        self.port = {"udp": gate.do53, "tcp": gate.do53, "dot": gate.dot, "doq": gate.dot}

    def batch(self, door, names):
        """The answers to `names` over one connection: (status, address, EDE or None, seconds)."""
        command = [BINARY, "ask", "--batch", "-", "--json", "--timeout", str(CLIENT_PATIENCE), "--retry", "0",
                   f"--{door}", f"127.0.0.1:{self.port.get(door, self.gate.tls)}"]
        if door not in ("udp", "tcp"):
            command += ["--ca", self.gate.ca, "--name", "gate.test"]
        done = subprocess.run(command, input="".join(f"{name} A\n" for name in names), capture_output=True, text=True)
        answers = []
        for line in done.stdout.splitlines():
            entry = json.loads(line)
            if "answer_ms" not in entry:
                raise AssertionError(f"{door}: no answer: {line[:300]}")
            message = entry.get("message", {})
            records = [one.get("data", "") for one in message.get("Answer", [])]
            answers.append((message.get("StatusName"), records[0] if records else None, entry["answer_ms"] / 1000, line))
        if done.returncode != 0 or len(answers) != len(names):
            raise AssertionError(f"{door}: {len(answers)} of {len(names)} answered ({done.returncode}): {done.stderr}\n{done.stdout[-400:]}")
        return answers

    def one(self, door="udp", label="n"):
        return self.batch(door, [fresh(label)])[0]


class Clients:
    """Clients at every door that ask again and again until told to stop; what they saw."""

    def __init__(self, asking, doors=DOORS):
        self.asking, self.stopping = asking, threading.Event()
        self.seen, self.failures = collections.defaultdict(list), []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(door,), daemon=True) for door in doors]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE + 2 * CLIENT_PATIENCE)

    def run(self, door):
        while not self.stopping.is_set():
            try:
                answers = self.asking.batch(door, [fresh(door) for _ in range(5)])
            except (AssertionError, ValueError) as failure:
                with self.lock:
                    self.failures.append(str(failure))
                return
            with self.lock:
                self.seen[door] += [(time.monotonic(), *answer[:3]) for answer in answers]

    def counts(self):
        with self.lock:
            return {door: len(seen) for door, seen in self.seen.items()}

    def wait_for_rounds(self, rounds=2):
        """Every door has answered so many more batches."""
        before = collections.Counter(self.counts())
        wait_for(lambda: self.failures or all(self.counts().get(door, 0) - before[door] >= 5 * rounds for door in DOORS),
                 "answers at every door", PATIENCE + rounds * 4 * CLIENT_PATIENCE)

    def since(self, moment):
        with self.lock:
            return [answer for seen in self.seen.values() for answer in seen if answer[0] >= moment]


class Upstreams(unittest.TestCase):
    def setUp(self):
        self.gate = Gateway(start=False)
        self.addCleanup(self.gate.stop)
        self.asking = Asking(self.gate)
        self.bad = None

    def begin(self, resolve, programs=()):
        """Starts upstreams and the gateway; `resolve` is the text of the section, with {names} of ports in it."""
        ports = {"ca": self.gate.ca}
        for name in programs:
            program = {"knotd": knot, "unbound": unbound, "dnsdist": dnsdist}[name](self.gate)
            self.addCleanup(program.stop)
            setattr(self, name, program)
            ports.update({name: program.port, f"{name}_tls": getattr(program, "tls", 0), f"{name}_https": getattr(program, "https", 0)})
        self.bad = BadDohUpstream(BAD, certificate=(self.gate.certs / "dev.crt", self.gate.certs / "dev.key"))
        self.addCleanup(self.bad.stop)
        ports.update(bad=self.bad.port, bad_tls=self.bad.tls_port, bad_https=self.bad.https_port)
        with open(self.gate.config, "a") as config:
            config.write("resolve:\n" + resolve.format(**ports))
        self.gate.start()

    def counter(self, name, upstream=""):
        return sum(value for key, value in self.gate.counters().items()
                   if key.startswith(f"sallyport_{name}") and key[len(f"sallyport_{name}"):][:1] in ("", "{") and upstream in key)

    def end(self):
        """Everything came to an end, and what was counted adds up."""
        total = lambda name: sum(value for key, value in counters.items() if key.split("{")[0] == f"sallyport_{name}")

        def is_quiet():
            nonlocal counters
            counters = self.gate.counters()
            return total("upstream_in_flight") == total("resolver_in_flight") == 0 and total("queries_total") == total("replies_total")
        counters = {}
        wait_for(is_quiet, "the last queries upstream")
        self.assertEqual(total("queries_total"), total("replies_total"), counters)
        questions, joined = total("resolver_questions_total"), total("resolver_joined_total")
        refused = sum(total(f"resolver_{name}_total") for name in ("no_route", "in_flight_full", "octets_full"))
        begun = questions - joined - refused
        self.assertEqual(begun, total("resolver_asked_total") + total("resolver_joined_elsewhere_total") - total("resolver_taken_over_total"))
        over = sum(total(f"resolver_{name}_total") for name in ("answered", "failed", "servfail", "expired"))
        self.assertEqual(begun, over, counters)
        self.assertEqual(total("resolver_in_flight"), 0)
        self.assertEqual(total("resolver_in_flight_octets"), 0)
        self.assertLessEqual(total("upstream_answers_total"), total("upstream_queries_total"))
        self.assertGreaterEqual(total("upstream_answers_total"), total("resolver_answered_total") - total("resolver_joined_elsewhere_total"))
        self.assertEqual(self.gate.stop(), 0, self.gate.log())

    THREE = (
        "  strategy: ordered\n"
        "  upstreams:\n"
        "    - {{ name: knot, url: 'udp://127.0.0.1:{knotd}' }}\n"
        "    - {{ name: unbound, url: 'tls://localhost:{unbound_tls}', addresses: [127.0.0.1], ca_file: '{ca}' }}\n"
        "    - {{ name: dnsdist, url: 'https://localhost:{dnsdist_https}/dns-query', addresses: [127.0.0.1], ca_file: '{ca}' }}\n"
        f"  limits: {LIMITS.replace('{', '{{').replace('}', '}}')}\n")

    def check_clients(self, clients):
        self.assertEqual(clients.failures, [])
        for door, seen in clients.seen.items():
            for _, status, address, seconds in seen:
                self.assertEqual(status, "NOERROR", door)
                self.assertIsNotNone(address, door)
                self.assertLess(seconds, CLIENT_PATIENCE, door)

    def settles_on(self, address, patience, label):
        """The gateway comes to ask the one that answers `address`, within `patience` seconds."""
        began = time.monotonic()
        limit = patience * max(SLOWNESS, 4 if gateway.SANITIZED else 1)
        wait_for(lambda: [self.asking.one(label=label)[1] for _ in range(3)] == [address] * 3, f"{address} ({label})", limit + PATIENCE)
        self.assertLess(time.monotonic() - began, limit, label)

    def test_killed_stalled_and_back_again(self):
        self.begin(self.THREE, ("knotd", "unbound", "dnsdist"))
        self.settles_on(KNOT, 3, "first")
        with Clients(self.asking) as clients:
            clients.wait_for_rounds()
            self.knotd.kill()
            self.settles_on(UNBOUND, 3, "knotd-killed")
            clients.wait_for_rounds()
            self.unbound.signal(signal.SIGSTOP)
            self.settles_on(DNSDIST, 6, "unbound-stalled")
            clients.wait_for_rounds()
            self.unbound.signal(signal.SIGCONT)
            self.settles_on(UNBOUND, 6, "unbound-back")
            self.knotd.start()
            self.settles_on(KNOT, 6, "knotd-back")
            clients.wait_for_rounds()
        self.check_clients(clients)
        self.assertGreaterEqual(self.counter("upstream_breaker_opened_total", 'upstream="knot"'), 1)
        self.assertGreaterEqual(self.counter("upstream_breaker_opened_total", 'upstream="unbound"'), 1)
        self.end()

    def test_one_that_would_ask_itself_is_refused(self):
        gate = self.gate
        itself = [("udp", gate.do53), ("tcp", gate.do53), ("tls", gate.dot), ("https", gate.tls)]
        itself += [("quic", gate.dot)] if gateway.HAS_QUIC else []
        good = gate.config.read_text()
        lines = good.count("\n")
        upstreams = "".join(f"    - {{ url: '{scheme}://127.0.0.1:{port}' }}\n" for scheme, port in itself)
        wrong = good + "resolve:\n  upstreams:\n" + upstreams
        gate.config.write_text(wrong)
        told = subprocess.run([BINARY, "check", "-c", str(gate.config)], capture_output=True, text=True)
        self.assertEqual(told.returncode, 1, told)
        for number, (scheme, _) in enumerate(itself):
            self.assertRegex(told.stderr, rf"sallyport.yaml:{lines + 3 + number}:\d+: .*{scheme}://.* is this gateway itself")
        started = subprocess.run([BINARY, "run", "-c", str(gate.config)], capture_output=True, text=True, timeout=PATIENCE)
        self.assertNotEqual(started.returncode, 0)
        self.assertIn("is this gateway itself", started.stderr)
        gate.config.write_text(good)
        gate.start()
        gate.config.write_text(wrong)
        log = gate.reload()
        self.assertIn("is this gateway itself", log)
        self.assertIn("reload refused; everything stays as it was", log)
        self.assertEqual(gate.stop(), 0, gate.log())

    def test_all_dead_is_said_in_time_and_forgotten_at_once(self):
        self.begin(self.THREE, ("knotd", "unbound", "dnsdist"))
        for program in (self.knotd, self.unbound, self.dnsdist):
            program.kill()
        for door in DOORS:
            status, _, seconds, line = self.asking.one(door)
            self.assertEqual(status, "SERVFAIL", door)
            self.assertLess(seconds, CLIENT_PATIENCE, door)
        self.assertRegex(line, "(?i)reachable|network")
        self.dnsdist.start()
        self.settles_on(DNSDIST, 6, "dnsdist-back")
        self.end()

    def test_all_stalled_is_said_in_time(self):
        self.begin(self.THREE, ("knotd", "unbound", "dnsdist"))
        self.settles_on(KNOT, 3, "first")
        for program in (self.knotd, self.unbound, self.dnsdist):
            program.signal(signal.SIGSTOP)
        results = {}
        threads = [threading.Thread(target=lambda door=door: results.update({door: self.asking.one(door)})) for door in DOORS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({door: result[0] for door, result in results.items()}, {door: "SERVFAIL" for door in DOORS})
        self.assertLess(max(result[2] for result in results.values()), CLIENT_PATIENCE)
        for program in (self.knotd, self.unbound, self.dnsdist):
            program.signal(signal.SIGCONT)
        self.settles_on(KNOT, 6, "back")
        self.end()

    def test_the_slow_one_is_left_for_the_quick_one(self):
        self.begin("  strategy: fastest\n  upstreams:\n    - {{ name: bad, url: '127.0.0.1:{bad}' }}\n"
                   "    - {{ name: unbound, url: 'tls://localhost:{unbound_tls}', addresses: [127.0.0.1], ca_file: '{ca}' }}\n"
                   f"  limits: {{{{ {BUDGET} }}}}\n", ("unbound",))
        self.bad.mode, self.bad.delay = "slow", 0.6
        with Clients(self.asking) as clients:
            # Until each worker has measured both: before that nobody can know which is the slow one.
            clients.wait_for_rounds(3)
            began = time.monotonic()
            clients.wait_for_rounds(4)
        self.check_clients(clients)
        seen = collections.Counter(address for _, _, address, _ in clients.since(began))
        # Where the quick one is kept from its work for a moment by whatever else runs here, the slow one is asked too.
        self.assertGreater(seen[UNBOUND], 5 * seen[BAD], seen)
        self.end()

    def test_every_corruption_over_udp_and_tls(self):
        self.begin("  strategy: ordered\n  upstreams:\n    - {{ name: bad, url: '127.0.0.1:{bad}' }}\n"
                   "    - {{ name: bad-tls, url: 'tls://localhost:{bad_tls}', addresses: [127.0.0.1], ca_file: '{ca}' }}\n"
                   "    - {{ name: dnsdist, url: 'https://localhost:{dnsdist_https}/dns-query', addresses: [127.0.0.1], ca_file: '{ca}' }}\n"
                   f"  limits: {LIMITS.replace('{', '{{').replace('}', '}}')}\n", ("dnsdist",))
        by_tcp = ("truncated", "wrong_case", "flood", "formerr", "good")
        with Clients(self.asking) as clients:
            # The refusals first: later the breaker is open, and whether a probe meets a mode is a matter of time.
            for mode in ("servfail", "refused", "wrong_id", "wrong_question", "not_response", "garbage",
                         "truncated_everywhere", "half", "close", "stall", *by_tcp):
                self.bad.mode = mode
                expected = BAD if mode in by_tcp else DNSDIST
                self.settles_on(expected, 10, mode)
                if mode in ("stall", "garbage", "close", "good"):
                    clients.wait_for_rounds(1)
        self.check_clients(clients)
        self.assertGreater(self.counter("upstream_near_misses_total", 'upstream="bad"'), 0)
        # Its breaker may have been open while it truncated: until it is asked over UDP again.
        self.bad.mode = "truncated"
        wait_for(lambda: self.asking.one() and self.counter("upstream_tcp_fallbacks_total", 'upstream="bad"') > 0, "TCP in place of UDP")
        self.assertGreater(self.counter("upstream_unhelpful_total", 'upstream="bad"'), 0)
        self.assertGreater(self.bad.asked["tcp"], 0)
        self.end()

    BAD_DOH = "  strategy: ordered\n  upstreams:\n    - {{ name: bad, url: 'https://localhost:{bad_https}/dns-query', addresses: [127.0.0.1], ca_file: '{ca}' }}\n"

    def test_every_corruption_over_https(self):
        self.begin(self.BAD_DOH +
                   "    - {{ name: dnsdist, url: 'https://localhost:{dnsdist_https}/dns-query', addresses: [127.0.0.1], ca_file: '{ca}' }}\n"
                   f"  limits: {LIMITS.replace('{', '{{').replace('}', '}}')}\n", ("dnsdist",))
        self.settles_on(BAD, 3, "first")
        with Clients(self.asking) as clients:
            for mode in ("servfail", "wrong_id", "wrong_question", "garbage", "truncated_everywhere", "close", "stall",
                         *(mode for mode in HTTP_MODES if mode != "drain"), "good"):
                self.bad.mode = mode
                self.settles_on(BAD if mode == "good" else DNSDIST, 10, mode)
            clients.wait_for_rounds(1)
        self.check_clients(clients)
        # While its breaker was open nobody asked it: which of the modes it was met in is a matter of time.
        self.bad.mode = "reset"
        wait_for(lambda: self.asking.one() and self.counter("upstream_failures_total", 'upstream="bad"') > 0, "a failure")
        self.end()

    def test_a_connection_that_drains_costs_no_answer(self):
        self.begin(self.BAD_DOH + f"  limits: {{{{ {BUDGET} }}}}\n")
        self.bad.mode = "drain"
        with Clients(self.asking) as clients:
            clients.wait_for_rounds(4)
        self.check_clients(clients)
        self.assertEqual({answer[2] for answer in clients.since(0)}, {BAD})
        self.assertGreater(self.bad.asked["https_connections"], 2)
        # Nor is it taken for a failure; late answers are, where several come in a row.
        self.assertLessEqual(self.counter("upstream_breaker_opened_total"), self.counter("upstream_timeouts_total") // 3)
        self.end()

    def test_a_race_hides_a_stall(self):
        self.begin("  strategy: race\n  race: 2\n  upstreams:\n    - {{ name: bad, url: 'tcp://127.0.0.1:{bad}' }}\n"
                   "    - {{ name: knot, url: '127.0.0.1:{knotd}' }}\n"
                   f"  limits: {{{{ {BUDGET} }}}}\n", ("knotd",))
        self.bad.mode = "stall"
        # Whoever waited for the one that stalls would wait for 0.8 s each time; a busy machine makes some wait as long.
        limit = 8 if gateway.SANITIZED else 0.8
        for _ in range(4):
            with Clients(self.asking) as clients:
                clients.wait_for_rounds(3)
            self.check_clients(clients)
            took = sorted(seconds for seen in clients.seen.values() for _, _, _, seconds in seen)
            if took[len(took) * 9 // 10] < limit:
                break
        else:
            self.fail(f"nine in ten took {took[len(took) * 9 // 10]:.1f} s or less")
        self.end()

    def test_routes_and_equal_questions(self):
        self.begin("  groups:\n    - {{ name: world, upstreams: [ '127.0.0.1:{knotd}' ] }}\n"
                   "    - {{ name: inside, upstreams: [ 'tcp://127.0.0.1:{bad}' ] }}\n"
                   "  routes:\n    - {{ zones: [inside.world.test], to: inside }}\n"
                   "  limits: {{ first_timeout: 10s, budget: 30s, tries: 1 }}\n", ("knotd",))
        self.assertEqual(self.asking.one()[1], KNOT)
        self.bad.mode, self.bad.delay = "slow", 0.5 * SLOWNESS
        name = "same.inside.world.test"
        results = []
        threads = [threading.Thread(target=lambda door=door: results.append(self.asking.batch(door, [name])[0])) for door in DOORS * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([address for _, address, _, _ in results], [BAD] * len(threads))
        self.assertEqual(self.bad.asked["tcp"], 1, "asked once, whoever asks at whatever door")
        self.end()


if __name__ == "__main__":
    for program, package in PROGRAMS.items():
        if not need(program):
            skip(f"{program} is not installed (Debian: {package})")
    unittest.main(verbosity=2)
