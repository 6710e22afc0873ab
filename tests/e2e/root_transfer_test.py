#!/usr/bin/env python3
# e2e: parallel
"""A copy of the root zone that is transferred (RFC 8806, RFC 5936) and has a digest (RFC 8976): from a root of our own,
which Knot DNS signs and digests, and from a server that hands out something else."""

import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gateway  # noqa: E402
import private_root  # noqa: E402
from gateway import Gateway, ask_udp, free_port, framed, header, query, read_framed, wait_for  # noqa: E402

A, NS, SOA, TXT, RRSIG, ZONEMD, AXFR = 1, 2, 6, 16, 46, 63, 252
NOERROR, NXDOMAIN, AD = 0, 3, 0x20


class Root(private_root.PrivateRoot):
    """Its root zone is signed by its server. `expire` is that of its SOA; the other times there are a second."""

    def __init__(self, expire=3600):
        self.expire = expire
        super().__init__(leaves={"ecdsa": ("ECDSAP256SHA256", False, "")})
        # Nobody answers where the hints lead: what is answered for the root comes from its copy.
        self.hints.write_text(f". 3600 NS ns.root.\nns.root. 3600 A {self.silent_server}\n")

    def _sign(self, zone, text, algorithm, nsec3=False, wrong=""):
        if zone:
            return super()._sign(zone, text, algorithm, nsec3, wrong)
        text = text.replace(" 1 3600 900 604800 60\n", f" 1 1 1 {self.expire} 60\n").replace(
            f"ns.root. A {self.root_server}", f"ns.root. A {self.silent_server}")
        (self.directory / "root.zone").write_text(text)
        self._keytool("generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=yes")
        self.root_key = self._keytool("dnskey").replace(". DNSKEY ", ". 300 IN DNSKEY ")
        return ""

    def _configure(self):
        folder = self.directory / "root"
        folder.mkdir(exist_ok=True)
        file = folder / "knot.conf"
        file.write_text(
            f"server:\n  rundir: {folder}\n  listen: [{self.root_server}@{self.port}]\n  udp-workers: 1\n"
            "  tcp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    any: warning\n"
            f"database:\n  storage: {folder}\nacl:\n  - id: anyone\n    address: 127.0.0.0/8\n    action: transfer\n"
            "policy:\n  - id: ours\n    manual: on\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n"
            f"zone:\n  - domain: .\n    storage: {self.directory}\n    file: root.zone\n    acl: anyone\n"
            "    semantic-checks: off\n    dnssec-signing: on\n    dnssec-policy: ours\n    serial-policy: increment\n"
            "    zonefile-sync: -1\n    zonefile-load: difference-no-serial\n    journal-content: all\n"
            "    zonemd-generate: zonemd-sha384\n")
        return file

    def _keytool(self, *command):
        return private_root.run(private_root.find("keymgr"), "-c", str(self._configure()), ".", *command,
                                cwd=self.directory)

    def _start(self, name, address, zones):
        if name != "root":
            super()._start(name, address, zones)
            return
        with open(self.directory / "root" / "log", "ab") as log:
            self.server = subprocess.Popen(
                [private_root.find("knotd"), "-c", str(self._configure())], stdout=log, stderr=log)
        self.servers.append(self.server)

    def __enter__(self):
        super().__enter__()
        wait_for(lambda: self.serial() is not None, "the signed root")
        return self

    def serial(self):
        try:
            return serial_of(read_zone(self.root_server, self.port))
        except OSError:
            return None

    def add(self, line):
        """To the root zone, whose serial then is another."""
        before = self.serial()
        file = self.directory / "root.zone"
        file.write_text(file.read_text() + line + "\n")
        self.server.send_signal(signal.SIGHUP)
        wait_for(lambda: self.serial() not in (None, before), "the changed root")
        return self.serial()

    def end(self):
        self.server.terminate()
        self.server.wait(gateway.PATIENCE)
        self.servers.remove(self.server)

    def begin(self):
        self._start("root", self.root_server, [""])
        wait_for(lambda: self.serial() is not None, "the root")


def read_name(message, at):
    """Uncompressed, and what is behind it where it stands."""
    labels, end = b"", None
    while message[at]:
        if message[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack(">H", message[at:at + 2])[0] & 0x3FFF
            continue
        labels += message[at:at + 1 + message[at]]
        at += 1 + message[at]
    return labels + b"\0", end or at + 1


def read_zone(address, port):
    """The records as (owner, type, TTL, RDATA), the SOA first and last."""
    records = []
    with socket.create_connection((address, port), gateway.PATIENCE) as stream:
        stream.sendall(framed(query("", AXFR, 5, 0)))
        while len(records) < 2 or records[-1][1] != SOA:
            message = read_framed(stream)
            at = 12
            for _ in range(header(message)["qd"]):
                at = read_name(message, at)[1] + 4
            if header(message)["rcode"] != 0 or header(message)["an"] == 0:
                raise OSError("no zone")
            for _ in range(header(message)["an"]):
                owner, at = read_name(message, at)
                kind, _, ttl, size = struct.unpack(">HHIH", message[at:at + 10])
                rdata, at = message[at + 10:at + 10 + size], at + 10 + size
                if kind == NS:
                    rdata = read_name(message, at - size)[0]
                if kind == SOA:
                    first, rest = read_name(message, at - size)
                    second, rest = read_name(message, rest)
                    rdata = first + second + message[rest:at]
                records.append((owner, kind, ttl, rdata))
    return records


def serial_of(records):
    return struct.unpack(">I", records[0][3][-20:-16])[0]


def written(records):
    return b"".join(owner + struct.pack(">HHIH", kind, 1, ttl, len(rdata)) + rdata for owner, kind, ttl, rdata in records)


class OtherServer:
    """Hands out the zone of the root's server, after `change`, or in the way that `manner` says."""

    def __init__(self, root):
        self.root, self.port = root, free_port(root.evil_server)
        self.change, self.manner = lambda records: records, "whole"
        self.transfers = 0
        self.listener = socket.create_server((root.evil_server, self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream):
        with stream:
            try:
                asked = read_framed(stream)
                records = self.change(read_zone(self.root.root_server, self.root.port))
                kind = struct.unpack(">H", asked[-4:-2])[0]
                if kind == AXFR:
                    self.transfers += 1
                self._send(stream, asked, records[:1] if kind == SOA else records, self.manner if kind == AXFR else "whole")
            except (OSError, EOFError):
                pass

    @staticmethod
    def _send(stream, asked, records, manner):
        def message(some):
            return framed(asked[:2] + struct.pack(">HHHHH", 0x8400, 1, len(some), 0, 0) + asked[12:] + written(some))
        if manner == "whole":
            stream.sendall(message(records))
            stream.recv(1)
        elif manner == "cut":
            stream.sendall(message(records[:-1]) + message(records[-1:])[:-3])
        elif manner == "endless":
            stream.sendall(message(records[:-1]))
            filler = message([(f"\3n{at:02}\0".encode(), TXT, 60, b"\xc8" + b"x" * 200) for at in range(50)])
            while True:
                stream.sendall(filler)
        elif manner == "silent":
            stream.recv(1)
        elif manner == "slow":
            for octet in message(records[:-1]):
                stream.sendall(bytes([octet]))
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


class Copying(Gateway):
    def __init__(self, root, servers, limits="", state="", workers=2):
        self.port = free_port()
        self.number = 0
        limits = "least_pause: 200ms, most_pause: 1s" + (", " if limits else "") + limits
        local_root = f"  local_root:\n    from: [{', '.join(repr(server) for server in servers)}]\n    limits: {{ {limits} }}\n"
        if state:
            local_root += f"    state_file: '{state}'\n"
        # Every question for a name that is not there reaches the root.
        dnssec = "  dnssec: { aggressive_denial: false, nothing_below_nxdomain: false, follow_rollover: no }\n"
        super().__init__(config=f"workers: {workers}\nlisten: [{{ do53: {{ on: ['127.0.0.1:{self.port}'] }} }}]\n" +
                         root.resolve_section(local_root + dnssec), env={"STATE_DIRECTORY": ""})

    def count(self, name):
        return self.counters()["sallyport_" + name]

    def ask_the_root(self):
        """RCODE and AD of a question that only the root can answer, and that nobody has asked before."""
        self.number += 1
        reply = ask_udp(self.port, query(f"nothing-{os.getpid()}-{self.number}", A, 7, 0x0120))
        return header(reply)["rcode"], reply[3] & AD

    def wait_for_copy(self, serial):
        wait_for(lambda: self.count("root_copy_serial") == serial, f"the copy of serial {serial}")
        # The workers have it a moment later.
        before = self.count("recursion_local_root_total")

        def is_asked():
            self.number += 1
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.settimeout(0.5)
                client.sendto(query(f"first-{self.number}", A, 7, 0x0120), ("127.0.0.1", self.port))
                try:
                    client.recv(4096)
                except OSError:
                    pass
            return self.count("recursion_local_root_total") > before

        wait_for(is_asked, "the copy in use")


def without(*kinds):
    def changed(records):
        return [(owner, kind, ttl, rdata) for owner, kind, ttl, rdata in records
                if kind not in kinds and not (kind == RRSIG and struct.unpack(">H", rdata[:2])[0] in kinds)]
    return changed


def with_other_glue(records):
    """Nobody signs addresses of other zones' servers: only the digest tells."""
    glue = b"\2ns\3tld\0"
    return [(owner, kind, ttl, socket.inet_aton("127.9.9.9") if (owner, kind) == (glue, A) else rdata)
            for owner, kind, ttl, rdata in records]


class RootTransfer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Root()
        cls.root.__enter__()
        cls.addClassCleanup(cls.root.stop)
        cls.good = f"{cls.root.root_server}:{cls.root.port}"

    def test_1_the_zone_is_transferred_and_followed(self):
        # One worker: once it has the copy, nothing is on its way to other servers of the root.
        with Copying(self.root, [self.good], workers=1) as gate:
            gate.wait_for_copy(self.root.serial())
            before = gate.counters()
            self.assertEqual(before["sallyport_root_copy_digested"], 1, gate.log())
            self.assertIn("its digest holds", gate.log())
            for _ in range(10):
                self.assertEqual(gate.ask_the_root(), (NXDOMAIN, AD))
            now = gate.counters()
            asked = {name: now["sallyport_" + name] - before["sallyport_" + name]
                     for name in ("recursion_packets_total", "recursion_local_root_total")}
            self.assertGreaterEqual(asked["recursion_local_root_total"], 10)
            self.assertEqual(asked["recursion_packets_total"], asked["recursion_local_root_total"], gate.log())
            # What is below the root is asked of its servers.
            self.assertEqual(header(ask_udp(gate.port, query("www.ecdsa.tld", A, 7, 0x0120)))["rcode"], NOERROR)
            # Confirmed again and again, without another transfer.
            confirmed = gate.count("root_copy_confirmations_total")
            wait_for(lambda: gate.count("root_copy_confirmations_total") > confirmed + 1, "another look")
            self.assertEqual(gate.count("root_copy_transfers_total"), 1)
            gate.wait_for_copy(self.root.add("fresh. 60 TXT fresh"))
            self.assertEqual(gate.count("root_copy_transfers_total"), 2)
            wait_for(lambda: header(ask_udp(gate.port, query("fresh", TXT, 7, 0x0120)))["an"] == 1, "the new record")
            # A reload leaves it where it is.
            self.assertIn("reloaded", gate.reload())
            self.assertEqual(gate.ask_the_root(), (NXDOMAIN, AD))
            self.assertEqual(gate.count("root_copy_transfers_total"), 2)

    def test_2_the_next_server_is_asked(self):
        nobody = f"{self.root.silent_server}:{self.root.port}"
        with OtherServer(self.root) as other:
            for change, why in ((with_other_glue, "the digest of ZONEMD is not that of the zone"),
                                (without(ZONEMD), "it has no ZONEMD record"),
                                (without(RRSIG), "is refused: . DNSKEY"),
                                (without(NS), "has no NS")):
                other.change = change
                with Copying(self.root, [nobody, f"{self.root.evil_server}:{other.port}", self.good]) as gate:
                    gate.wait_for_copy(self.root.serial())
                    self.assertIn(why, gate.log())
                    self.assertGreaterEqual(gate.count("root_copy_refused_total"), 1)
                    self.assertGreaterEqual(gate.count("root_copy_failures_total"), 1)
                    self.assertEqual(gate.ask_the_root(), (NXDOMAIN, AD))

    def test_3_what_was_there_stays(self):
        with OtherServer(self.root) as other:
            server = f"{self.root.evil_server}:{other.port}"
            with Copying(self.root, [server], limits="size: 256KiB, time: 2s, idle: 1500ms") as gate:
                first = self.root.serial()
                gate.wait_for_copy(first)
                other.change = with_other_glue
                self.root.add("another. 60 TXT another")
                wait_for(lambda: "the copy that was there stays" in gate.log(), "the refusal")
                other.manner = "endless"
                other.change = lambda records: records
                for manner, counter in (("endless", "root_copy_octets_exceeded_total"),
                                        ("slow", "root_copy_time_exceeded_total"), ("silent", "root_copy_failures_total"),
                                        ("cut", "root_copy_failures_total")):
                    other.manner = manner
                    before = other.transfers, gate.count(counter)
                    wait_for(lambda: other.transfers > before[0] + 1 and gate.count(counter) > before[1], manner)
                self.assertIn("no answer in time", gate.log())
                self.assertIn("the server closed before the end", gate.log())
                self.assertEqual(gate.count("root_copy_serial"), first)
                self.assertEqual(gate.ask_the_root(), (NXDOMAIN, AD))
                other.manner = "whole"
                gate.wait_for_copy(self.root.serial())

    def test_4_a_restart_has_it(self):
        state = self.root.directory / "state"
        serial = self.root.serial()
        with Copying(self.root, [self.good], state=state) as gate:
            gate.wait_for_copy(serial)
            wait_for(state.exists, "the file")
            # A zone in another file is not confirmed by what is said of the copy.
            other = self.root.directory / "other-state"
            other.write_bytes(state.read_bytes())
            os.utime(other, (1, 1))
            text = gate.config.read_text()
            gate.config.write_text(text.replace(str(state), str(other)))
            self.assertNotEqual(gate.config.read_text(), text)
            self.assertIn("reloaded", gate.reload())
            confirmed = gate.count("root_copy_confirmations_total")
            wait_for(lambda: gate.count("root_copy_confirmations_total") > confirmed + 1, "another look")
            self.assertEqual(other.stat().st_mtime, 1)
        self.root.end()
        with Copying(self.root, [self.good], state=state) as gate:
            self.assertEqual(gate.ask_the_root(), (NXDOMAIN, AD))
            wait_for(lambda: f"serial {serial}, is in use" in gate.log(), "the word on what was kept")
            self.assertEqual(gate.count("root_copy_serial"), serial)
            self.assertEqual(gate.count("root_copy_transfers_total"), 0)
            # With another list of servers the copy stays, too.
            gate.config.write_text(gate.config.read_text().replace("from: [", f"from: ['{self.root.evil_server}', "))
            self.assertIn("reloaded", gate.reload())
            self.assertEqual(gate.ask_the_root(), (NXDOMAIN, AD))
        octets = bytearray(state.read_bytes())
        octets[-20] ^= 1
        state.write_bytes(octets)
        self.root.begin()
        with Copying(self.root, [self.good], state=state) as gate:
            gate.wait_for_copy(self.root.serial())
            self.assertIn("is damaged", gate.log())
            self.assertEqual(pathlib.Path(f"{state}.damaged").read_bytes(), octets)
            wait_for(state.exists, "a new file")

    def test_5_a_file_is_looked_at_in_the_same_way(self):
        copy = self.root.directory / "copy.zone"
        kdig = gateway.need("kdig")
        if not kdig:
            self.skipTest("kdig is missing (Debian: knot-dnsutils)")
        text = subprocess.run([kdig, f"@{self.root.root_server}", "-p", str(self.root.port), ".", "AXFR"], check=True,
                              capture_output=True, text=True).stdout
        lines = [line for line in text.splitlines() if line and not line.startswith(";")]
        text = "\n".join(lines[:-1]) + "\n"  # the SOA is there twice
        copy.write_text(text)
        port = free_port()
        config = (f"workers: 2\nlisten: [{{ do53: {{ on: ['127.0.0.1:{port}'] }} }}]\nreload: {{ watch: false }}\n" +
                  self.root.resolve_section(f"  local_root: {{ file: '{copy}' }}\n"))
        with Gateway(config=config) as gate:
            self.assertEqual(header(ask_udp(port, query("nothing", A, 7, 0x0120)))["rcode"], NXDOMAIN)
            self.assertNotIn("is not used", gate.log())
            changed = re.sub(r"(?m)^(ns\.tld\.\s+\d+\s+IN\s+A\s+)\S+$", r"\g<1>127.9.9.9", text)
            self.assertNotEqual(changed, text)
            copy.write_text(changed)
            log = gate.reload()
            self.assertIn("the digest of ZONEMD is not that of the zone; the copy that was there stays", log)
            self.assertEqual(header(ask_udp(port, query("www.ecdsa.tld", A, 7, 0x0120)))["rcode"], NOERROR)


class Expiry(unittest.TestCase):
    def test_it_is_used_until_its_end(self):
        with Root(expire=10) as root, Copying(root, [f"{root.root_server}:{root.port}"]) as gate:
            gate.wait_for_copy(root.serial())
            root.end()
            wait_for(lambda: gate.count("root_copy_failures_total") > 0, "the end of the server")
            end = gate.count("root_copy_expires_timestamp_seconds")
            while time.time() < end - 1:
                answer = gate.ask_the_root()
                if time.time() < end:
                    self.assertEqual(answer, (NXDOMAIN, AD))
                time.sleep(0.2)
            wait_for(lambda: "has expired" in gate.log(), "its end")
            before = gate.counters()
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.sendto(query("after-the-end", A, 7, 0x0120), ("127.0.0.1", gate.port))
                wait_for(lambda: gate.count("recursion_packets_total") > before["sallyport_recursion_packets_total"],
                         "a question to the servers of the root")
            self.assertEqual(gate.count("recursion_local_root_total"), before["sallyport_recursion_local_root_total"])
            # And again as soon as there is somebody to have it from.
            root.begin()
            gate.wait_for_copy(root.serial())


if __name__ == "__main__":
    if not private_root.find("keymgr"):
        gateway.skip("keymgr is missing (Debian: knot)")
    private_root.main(2)
