#!/usr/bin/env python3
"""The gateway and Unbound in the same private DNS, on port 53, with the same root hints and trust anchor: thousands of
generated questions, compared answer by answer (RCODE, AD, answer set)."""

import collections
import ctypes
import itertools
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gateway  # noqa: E402
import private_root  # noqa: E402
from gateway import PATIENCE, Gateway, header, query, skip, wait_for  # noqa: E402
from recursion_test import ANSWERS, CD, RD, SERVFAIL, TYPES, ede_of, records_of  # noqa: E402

OURS, THEIRS = "127.0.0.53", "127.0.0.54"
QUESTIONS = 2400
LABELS = ["", "www", "both", "alias", "away", "outside", "mail", "ns", "inner", "tree", "x.tree", "a.b.tree", "deep.ent.names",
          "ent.names", "names", "wild", "a.wild", "a.b.wild", "wilder", "z.wilder", "nothing", "no.thing", "a.www", "big",
          "*.wild", "_443._tcp.www", "loop1", "UPPER.wild"]
KINDS = [1, 28, 15, 16, 2, 6, 5, 43, 48, 33, 257, 64]
NAMES = {**TYPES, 33: "SRV", 257: "CAA", 64: "SVCB", 46: "RRSIG", 39: "DNAME"}

UNBOUND = """server:
  interface: {address}
  port: 53
  access-control: 127.0.0.0/8 allow
  chroot: ""
  username: ""
  directory: "{directory}"
  pidfile: "{directory}/unbound.pid"
  use-syslog: no
  num-threads: 1
  do-ip6: no
  do-not-query-localhost: no
  root-hints: "{hints}"
  trust-anchor-file: "{anchors}"
  qname-minimisation: yes
  ede: yes
"""


def ask(server, name, kind, flags):
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.sendto(query(name, kind, 77, flags, {"do": True}), (server, 53))
        reply = client.recv(65535)
    if not header(reply)["tc"]:
        return reply
    with socket.create_connection((server, 53), PATIENCE) as stream:
        stream.sendall(gateway.framed(query(name, kind, 77, flags, {"do": True})))
        return gateway.read_framed(stream)


def verdict(message):
    """RCODE, AD, and the answer section: names and types with the number of records, and addresses as they are."""
    answers = collections.Counter()
    for section, name, kind, _, rdata in records_of(message):
        if section == 0 and kind != 46:
            answers[(name, NAMES.get(kind, kind), rdata.hex() if kind in (1, 28, 16, 43, 48) else "")] += 1
    return header(message)["rcode"], bool(header(message)["flags"] & 0x20), answers


def questions():
    every = [(f"{label}.{zone}.tld".lstrip("."), kind, flags)
             for label, zone, kind, flags in itertools.product(LABELS, private_root.LEAVES, KINDS, (RD, RD | CD))]
    every += [(name, kind, RD) for name in ("", "tld", "nothing", "no.thing", "nothing.tld") for kind in KINDS]
    random.Random(9).shuffle(every)
    return every[:QUESTIONS]


def processor_time(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Unbound:
    def __init__(self, root):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="unbound-", dir=root.directory))
        (self.directory / "conf").write_text(
            UNBOUND.format(address=THEIRS, directory=self.directory, hints=root.hints, anchors=root.anchors))
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen([private_root.find("unbound"), "-d", "-p", "-c", str(self.directory / "conf")],
                                        stdout=log, stderr=log)
        log.close()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def answers(server):
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            client.connect((server, 53))
            client.send(query("localhost", 1, 5))
            return client.recv(4096)
    except OSError:
        return None


class Compared(unittest.TestCase):
    # What is meant to differ: (question, ours, theirs) -> reason, or nothing.
    @staticmethod
    def known_difference(question, ours, theirs):
        name, kind, flags = question
        same = ours[0] == theirs[0] and ours[2] == theirs[2]
        if same and flags & CD:
            return "AD beside CD: set by either where the data had been validated before, for others (RFC 6840 §5.9)"
        if same and name.endswith("iterations.tld") and theirs[1] and not ours[1]:
            return "NSEC3 with 100 iterations: insecure here (RFC 9276 §3.2, more than 50), hashed there (more than 150)"
        if kind == 5 and ".tree." in name and ours[0] == 0:
            return "a CNAME made of a DNAME was asked for: NOERROR here; there NXDOMAIN, of what it points at, or SERVFAIL"
        if "loop1" in name:
            return "a loop of aliases: SERVFAIL here; there the chain as far as it went"
        return None

    def judged(self, question, our_reply, their_reply):
        """The replies, and why they may differ; asked again where either has found nobody in time."""
        for chance in range(4):
            ours, theirs = verdict(our_reply), verdict(their_reply)
            why = self.known_difference(question, ours, theirs)
            if ours == theirs or why or SERVFAIL not in (ours[0], theirs[0]) or chance == 3:
                break
            time.sleep(6)  # failures are remembered for 5 s (RFC 9520)
            our_reply, their_reply = ask(OURS, *question), ask(THEIRS, *question)
        return our_reply, their_reply, why

    def test_both_say_the_same(self):
        with private_root.PrivateRoot(port=53) as root:
            unbound = Unbound(root)
            self.addCleanup(unbound.stop)
            config = f"workers: 1\nlisten: [{{ do53: {{ on: ['{OURS}:53'] }} }}]\n" + root.resolve_section()
            with Gateway(config=config) as gate:
                wait_for(lambda: answers(THEIRS), "Unbound")
                known, unknown, spent = collections.Counter(), [], {}
                asked = questions()
                replies = {}
                for server, process in ((OURS, gate.process), (THEIRS, unbound.process)):
                    before = processor_time(process)
                    replies[server] = [ask(server, *question) for question in asked]
                    spent[server] = processor_time(process) - before
                for question, our_reply, their_reply in zip(asked, replies[OURS], replies[THEIRS]):
                    our_reply, their_reply, why = self.judged(question, our_reply, their_reply)
                    ours, theirs = verdict(our_reply), verdict(their_reply)
                    if ours == theirs:
                        continue
                    if why:
                        known[why] += 1
                        continue
                    unknown.append(f"{question[0]} {NAMES[question[1]]}{' CD' if question[2] & CD else ''}:\n"
                                   f"  ours {ours} {ede_of(our_reply)}\n  theirs {theirs} {ede_of(their_reply)}")
                print(f"{len(asked)} questions, {sum(known.values())} known differences, {len(unknown)} others")
                for why, count in known.items():
                    print(f"  {count} times: {why}")
                print(f"processor time: {spent[OURS]:.2f} s here, {spent[THEIRS]:.2f} s there")
                self.assertEqual(unknown, [], "\n".join(unknown[:40]) + f"\n{len(unknown)} in all")

    def test_table(self):
        """The table of the other test holds on the usual port, too."""
        with private_root.PrivateRoot(port=53) as root:
            config = f"workers: 2\nlisten: [{{ do53: {{ on: ['{OURS}:53'] }} }}]\n" + root.resolve_section()
            with Gateway(config=config):
                for name, kind, rcode, secure, ede in ANSWERS:
                    with self.subTest(name=name, kind=TYPES[kind]):
                        reply = ask(OURS, name, kind, RD)
                        said = (header(reply)["rcode"], bool(header(reply)["flags"] & 0x20), ede_of(reply)[0])
                        self.assertEqual(said, (rcode, secure, ede))


def main():
    missing = private_root.missing() or (None if private_root.find("unbound") else "unbound")
    if missing:
        skip(f"{missing} is missing (Debian: knot, bind9-utils, unbound)")
    gateway.enter_namespaces("the comparison with Unbound")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # When ctest ends what it started, this program's children end with it.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main()


if __name__ == "__main__":
    main()
