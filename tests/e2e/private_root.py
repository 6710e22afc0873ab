"""A DNS of our own on loopback addresses: a root, a top-level domain and leaf zones, each level on a server of its own
(Knot DNS), signed with keys of which nobody else knows, and broken in the ways that resolvers must notice."""

import atexit
import ctypes
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import gateway

# What the top-level domain delegates: algorithm ("" for an unsigned zone), NSEC3 or not, and what is wrong with it.
LEAVES = {
    "ecdsa": ("ECDSAP256SHA256", False, ""),
    "p384": ("ECDSAP384SHA384", False, ""),
    "ed25519": ("ED25519", True, ""),
    "rsa": ("RSASHA256", True, ""),
    "optout": ("ECDSAP256SHA256", True, "optout"),
    "plain": ("", False, ""),
    "expired": ("ECDSAP256SHA256", False, "expired"),
    "future": ("ED25519", True, "future"),
    "wrongds": ("ECDSAP256SHA256", False, "wrongds"),
    "nosigs": ("ECDSAP256SHA256", False, "nosigs"),
    "tampered": ("ED25519", False, "tampered"),
    "iterations": ("ECDSAP256SHA256", True, "iterations"),
    "algorithm": ("ECDSAP256SHA256", False, "algorithm"),
}

# Further ways of being broken, one for each EDE; not part of what other tests compare.
BROKEN = {
    "ecdsa": LEAVES["ecdsa"],
    **{leaf: LEAVES[leaf] for leaf in ("expired", "future", "wrongds", "nosigs", "tampered", "iterations", "algorithm")},
    "norrsig": ("ECDSAP256SHA256", False, "norrsig"),
    "nonsec": ("ECDSAP256SHA256", False, "nonsec"),
    "nokeys": ("ED25519", False, "nokeys"),
    "badsig": ("ECDSAP256SHA256", False, "badsig"),
    "zonebit": ("ECDSAP256SHA256", False, "zonebit"),
    "digest": ("ECDSAP256SHA256", False, "digest"),
    "reversed": ("ECDSAP256SHA256", False, "reversed"),
    "nokeysaid": ("ECDSAP256SHA256", False, "unhelpful"),
    "garbled": ("", False, "unhelpful"),
    "silence": ("", False, "silent"),
}


def without(*types):
    """Takes the records of these types, and the signatures over them, out of a zone of one record a line."""
    def kept(line):
        words = line.split()
        return len(words) < 5 or (words[3] not in types and not (words[3] == "RRSIG" and words[4] in types))
    return lambda lines: [line for line in lines if kept(line)]


def of_www(change):
    """Changes the signature over the address of www; None takes it out."""
    def changed(line):
        words = line.split()
        mine = len(words) > 12 and words[0].startswith("www.") and words[3:5] == ["RRSIG", "A"]
        return change(words) if mine else line
    return lambda lines: [line for line in map(changed, lines) if line is not None]


def with_other_octets(words):
    words[12] = ("B" if words[12][0] != "B" else "C") + words[12][1:]
    return " ".join(words)


def ends_before_it_begins(words):
    words[8], words[9] = words[9], words[8]
    return " ".join(words)


# What is done to a signed zone, line by line.
EDITS = {
    "norrsig": of_www(lambda words: None),
    "nonsec": without("NSEC"),
    "nokeys": without("DNSKEY"),
    "badsig": of_www(with_other_octets),
    "reversed": of_www(ends_before_it_begins),
    "zonebit": lambda lines: [line.replace(" 257 3 13 ", " 1 3 13 ") for line in lines],
}

LEAF = """$ORIGIN {zone}.
$TTL 300
@        SOA   ns hostmaster 1 3600 900 604800 60
         NS    ns
         MX    10 mail
         TXT   "apex of {zone}"
ns       A     {server}
mail     A     192.0.2.25
www      A     192.0.2.80
         AAAA  2001:db8::80
both     A     192.0.2.81
         A     192.0.2.82
         A     192.0.2.83
alias    CNAME www
away     CNAME www.ecdsa.tld.
outside  CNAME www.plain.tld.
loop1    CNAME loop2
loop2    CNAME loop1
tree     DNAME www.ed25519.tld.
deep.ent.names A 192.0.2.90
*.wild   A     192.0.2.99
*.wilder CNAME www
inner    A     10.1.2.3
{big}
{sub}
"""

# Fills an answer beyond what fits in a datagram of 1,232 octets.
BIG = "\n".join(f'big TXT "{number:03} {"x" * 200}"' for number in range(12))

SOA = "@ 300 SOA {ns} hostmaster.{ns} 1 3600 900 604800 60\n"


def missing():
    """The first program that is needed and not there."""
    for program in ("knotd", "dnssec-keygen", "dnssec-signzone"):
        if not find(program):
            return program
    return None


def find(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")


def run(*command, cwd):
    made = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        raise AssertionError(f"{' '.join(command)}:\n{made.stdout}")
    return made.stdout


def main(verbosity=1):
    """Runs the tests of the program that calls it, or says what they need."""
    lacking = missing()
    if lacking:
        gateway.skip(f"{lacking} is missing (Debian: knot, bind9-utils)")
    # When ctest ends what it started, this program's children end with it.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main(verbosity=verbosity)


class PrivateRoot:
    """`with PrivateRoot() as root:`; attributes `port`, `hints`, `anchors` (zone text), `delv_anchors`, `zones`."""

    def __init__(self, leaves=None, port=None, more=""):
        """`more`: further records of the top-level domain, `{evil}` in it the address of a server that is not ours."""
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-root-"))
        atexit.register(shutil.rmtree, self.directory, True)
        atexit.register(self.stop)
        self.leaves = LEAVES if leaves is None else leaves
        network = f"127.{random.randrange(64, 127)}.{random.randrange(1, 250)}"
        # Of the root, of the top-level domain, of the leaves; the last one serves nothing and is silent.
        self.root_server, self.tld_server, self.leaf_server = (f"{network}.{last}" for last in (1, 2, 3))
        self.silent_server, self.evil_server = f"{network}.9", f"{network}.13"
        self.more = more.format(evil=self.evil_server)
        self.port = port or self._free_port()
        self.servers = []
        self.zones = [f"{leaf}.tld" for leaf in self.leaves]
        self._write()

    def _free_port(self):
        for _ in range(100):
            port = gateway.free_port()
            try:
                for address in (self.root_server, self.tld_server, self.leaf_server, self.evil_server):
                    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                        tcp.bind((address, port))
                        udp.bind((address, port))
                return port
            except OSError:
                continue
        raise RuntimeError("no free port")

    # ---- zones

    def _key(self, zone, algorithm):
        return run("dnssec-keygen", "-q", "-K", str(self.directory), "-a", algorithm, "-f", "KSK", zone or ".",
                   cwd=self.directory).strip()

    def _ds(self, key):
        return run("dnssec-dsfromkey", "-2", key + ".key", cwd=self.directory)

    def _sign(self, zone, text, algorithm, nsec3=False, wrong=""):
        """Writes the zone as it is served; its DS records, as the parent shall have them."""
        name = zone or "root"
        plain = self.directory / f"{name}.plain"
        served = self.directory / f"{name}.zone"
        plain.write_text(text)
        if not algorithm:
            served.write_text(text)
            return ""
        key = self._key(zone, algorithm)
        plain.write_text(text + (self.directory / f"{key}.key").read_text())
        dates = {"expired": ["-s", "now-40d", "-e", "now-10d"], "future": ["-s", "now+10d", "-e", "now+40d"]}
        command = ["dnssec-signzone", "-z", "-K", str(self.directory), "-o", zone or ".", "-f", str(served)]
        command += dates.get(wrong, ["-s", "now-1d", "-e", "now+30d"])
        if nsec3:
            hashed = {"iterations": "100", "costly": "50"}.get(wrong, "0")
            command += ["-3", "-" if hashed == "0" else "aabbccdd", "-H", hashed]
        if wrong == "optout":
            command += ["-A"]
        if wrong in EDITS:
            command += ["-O", "full"]
        run(*command, "-P", str(plain), key, cwd=self.directory)
        if wrong == "nosigs":
            served.write_text(text)
        if wrong == "tampered":
            served.write_text(served.read_text().replace("192.0.2.80", "192.0.2.66"))
        if wrong in EDITS:
            served.write_text("\n".join(EDITS[wrong](served.read_text().replace("\t", " ").splitlines())) + "\n")
        if wrong == "zonebit":  # the parent means the key as it is served
            text = (self.directory / f"{key}.key").read_text()
            (self.directory / f"{key}.key").write_text(text.replace(" 257 3 13 ", " 1 3 13 "))
        ds = self._ds(key)
        if wrong == "digest":  # one that nobody knows
            words = ds.split()
            ds = f"{words[0]} IN DS {words[3]} {words[4]} 200 {' '.join(words[6:])}\n"
        if wrong == "wrongds":
            ds = self._ds(self._key(zone, algorithm))
        if wrong == "algorithm":  # one that nobody knows (RFC 6840 §5.2)
            words = ds.split()
            ds = f"{words[0]} IN DS {words[3]} 200 {' '.join(words[5:])}\n"
        if not zone:
            self.root_key = (self.directory / f"{key}.key").read_text()
        return ds

    def _leaf(self, leaf, zone):
        sub = ""
        if leaf == "optout":  # delegations without DS, which opt-out leaves unproven
            sub = f"unsigned NS ns.plain.tld.\nlost NS nowhere.plain.tld.\n"
        if leaf == "plain":
            sub = f"silent NS ns.silent\nns.silent A {self.silent_server}\n"
        server = self.evil_server if self.leaves[leaf][2] == "unhelpful" else self.leaf_server
        return LEAF.format(zone=zone, server=server, big=BIG, sub=sub)

    def _write(self):
        delegations = ""
        for leaf, (algorithm, nsec3, wrong) in self.leaves.items():
            zone = f"{leaf}.tld"
            # One server is a test's own, and may be in front of the one of the leaves; one is silent.
            server = {"unhelpful": self.evil_server, "silent": self.silent_server}.get(wrong, self.leaf_server)
            delegations += f"{leaf}.tld. 300 NS ns.{zone}.\nns.{zone}. 300 A {server}\n"
            delegations += self._sign(zone, self._leaf(leaf, zone), algorithm, nsec3, wrong)
        self._sign("unsigned.optout.tld", f"$ORIGIN unsigned.optout.tld.\n$TTL 300\n" + SOA.format(ns="ns.plain.tld.") +
                   "@ NS ns.plain.tld.\nwww A 192.0.2.70\n", "")
        tld = ("$ORIGIN tld.\n$TTL 300\n" + SOA.format(ns="ns.tld.") + f"@ NS ns.tld.\nns A {self.tld_server}\n" +
               delegations + self.more)
        ds = self._sign("tld", tld, "ED25519", True)
        root = ("$ORIGIN .\n$TTL 300\n" + SOA.format(ns="ns.root.") + f". NS ns.root.\nns.root. A {self.root_server}\n"
                f"tld. NS ns.tld.\nns.tld. A {self.tld_server}\n" + ds)
        self._sign("", root, "ECDSAP256SHA256")
        self.hints = self.directory / "hints"
        self.hints.write_text(f". 3600 NS ns.root.\nns.root. 3600 A {self.root_server}\n")
        self.anchors = self.directory / "anchors"
        self.anchors.write_text(self.root_key)
        line = next(l for l in self.root_key.splitlines() if " DNSKEY " in l)
        words = line.split(" DNSKEY ")[1].split(None, 3)
        self.delv_anchors = self.directory / "delv.conf"
        self.delv_anchors.write_text(
            f'trust-anchors {{ "." static-key {words[0]} {words[1]} {words[2]} "{words[3].replace(" ", "")}"; }};\n')

    # ---- servers

    def _start(self, name, address, zones):
        folder = self.directory / name
        folder.mkdir(exist_ok=True)
        text = (f"server:\n  rundir: {folder}\n  listen: [{address}@{self.port}]\n  udp-workers: 1\n  tcp-workers: 1\n"
                f"  background-workers: 1\nlog:\n  - target: stderr\n    any: warning\n"
                f"database:\n  storage: {folder}\ntemplate:\n  - id: default\n    storage: {self.directory}\n"
                "    semantic-checks: false\nzone:\n")
        for zone in zones:
            text += f"  - domain: {zone or '.'}\n    file: {zone or 'root'}.zone\n"
        (folder / "knot.conf").write_text(text)
        log = open(folder / "log", "ab")
        self.servers.append(subprocess.Popen([find("knotd"), "-c", str(folder / "knot.conf")], stdout=log, stderr=log))
        log.close()

    def __enter__(self):
        self._start("root", self.root_server, [""])
        self._start("tld", self.tld_server, ["tld"])
        self._start("leaves", self.leaf_server, [*self.zones, "unsigned.optout.tld"])
        # A server answers before it has read all its zones.
        for address, zone in ((self.root_server, ""), (self.tld_server, "tld"),
                              *((self.leaf_server, zone) for zone in (*self.zones, "unsigned.optout.tld"))):
            gateway.wait_for(lambda: self._answers(address, zone), f"the server of '{zone}'")
        return self

    def _answers(self, address, zone):
        for server in self.servers:
            if server.poll() is not None:
                raise AssertionError("a name server ended: " + "".join(
                    log.read_text(errors="replace") for log in self.directory.glob("*/log")))
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.5)
            try:
                udp.connect((address, self.port))
                udp.send(gateway.query(zone, 6, 77))
                reply = udp.recv(4096)
                return reply[3] & 15 == 0 and reply[6:8] != b"\0\0"
            except OSError:
                time.sleep(0.05)
                return False

    def stop(self):
        for server in self.servers:
            if server.poll() is None:
                server.terminate()
        for server in self.servers:
            try:
                server.wait(gateway.PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        self.servers = []

    def __exit__(self, *_):
        self.stop()

    def resolve_section(self, more=""):
        """For the configuration of a gateway that recurses here."""
        if gateway.SANITIZED:  # what is slow is the program, not the work
            patient = "dnssec: { limits: { processor_time: 5s }"
            if "dnssec: { limits: {" in more:
                more = more.replace("dnssec: { limits: {", "dnssec: { limits: { processor_time: 5s,")
            elif "dnssec: {" in more:
                more = more.replace("dnssec: {", patient + ",")
            else:
                more = f"{more}  {patient} }}\n"
        # Nothing is lost on loopback, but a server may be kept from its work for a moment: the least time-out of a
        # server that is known to be quick, three times in a row, would take that for its end.
        if "least_timeout:" in more:
            pass
        elif "recursion_limits: {" in more:
            more = more.replace("recursion_limits: {", "recursion_limits: { least_timeout: 1s,")
        else:
            more = f"{more}  recursion_limits: {{ least_timeout: 1s }}\n"
        return ("resolve:\n  mode: recurse\n  allow_loopback: true\n"
                f"  port: {self.port}\n  root_hints: {self.hints}\n  trust_anchors: {self.anchors}\n" + more)
