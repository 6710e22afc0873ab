#!/usr/bin/env python3
"""Writes the scenarios of scenarios/: signed zones with keys of its own making, and what servers do wrong.

usage: make_scenarios.py [FOLDER]. Needs the package cryptography; the tests run the files as they stand and need
neither. Keys are made anew in each run.
"""

import base64
import hashlib
import ipaddress
import pathlib
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

NOW = "20260115120000"
INCEPTION, EXPIRATION = 1767225600, 1769904000  # 2026-01-01 to 2026-02-01
ROOT, COM, SUB, OTHER = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "DNAME": 39, "DS": 43, "RRSIG": 46,
         "NSEC": 47, "DNSKEY": 48, "NSEC3": 50, "NSEC3PARAM": 51}


def labels(name):
    return [label for label in name.rstrip(".").split(".") if label]


def wire(name):
    return b"".join(bytes([len(label)]) + label.lower().encode() for label in labels(name)) + b"\0"


def order(name):
    return [label.lower().encode() for label in reversed(labels(name))]


def parent(name):
    return ".".join(labels(name)[1:]) + "."


def under(name, zone):
    return order(name)[:len(labels(zone))] == order(zone)


def bitmap(types):
    windows = {}
    for each in types:
        number = TYPES[each]
        windows.setdefault(number >> 8, set()).add(number & 255)
    out = b""
    for window, bits in sorted(windows.items()):
        octets = bytearray(max(bits) // 8 + 1)
        for bit in bits:
            octets[bit // 8] |= 0x80 >> (bit % 8)
        out += bytes([window, len(octets)]) + bytes(octets)
    return out


def base32hex(octets):
    return base64.b32encode(octets).decode().translate(
        str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghijklmnopqrstuv")).rstrip("=")


def from_base32hex(text):
    return base64.b32decode(text.upper().translate(
        str.maketrans("0123456789ABCDEFGHIJKLMNOPQRSTUV", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")))


def rdata_wire(rtype, text):
    words = text.split()
    if rtype == "A":
        return bytes(int(word) for word in text.split("."))
    if rtype == "AAAA":
        return ipaddress.IPv6Address(text).packed
    if rtype in ("NS", "CNAME", "DNAME"):
        return wire(text)
    if rtype == "MX":
        return struct.pack("!H", int(words[0])) + wire(words[1])
    if rtype == "SOA":
        return wire(words[0]) + wire(words[1]) + struct.pack("!5I", *map(int, words[2:]))
    if rtype == "TXT":
        value = text.strip('"').encode()
        return bytes([len(value)]) + value
    if rtype == "DNSKEY":
        return struct.pack("!HBB", *map(int, words[:3])) + base64.b64decode(words[3])
    if rtype == "DS":
        return struct.pack("!HBB", *map(int, words[:3])) + bytes.fromhex(words[3])
    if rtype == "NSEC":
        return wire(words[0]) + bitmap(words[1:])
    if rtype == "NSEC3":
        salt = b"" if words[3] == "-" else bytes.fromhex(words[3])
        following = from_base32hex(words[4])
        return (struct.pack("!BBH", *map(int, words[:3])) + bytes([len(salt)]) + salt + bytes([len(following)]) +
                following + bitmap(words[5:]))
    raise ValueError(rtype)


class Key:
    def __init__(self, algorithm, flags=257):
        self.algorithm, self.flags = algorithm, flags
        if algorithm in (5, 7, 8, 10):
            self.private = rsa.generate_private_key(65537, 2048 if algorithm != 10 else 2048)
            numbers = self.private.public_key().public_numbers()
            public = b"\x03\x01\x00\x01" + numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        elif algorithm in (13, 14):
            self.private = ec.generate_private_key(ec.SECP256R1() if algorithm == 13 else ec.SECP384R1())
            numbers = self.private.public_key().public_numbers()
            size = 32 if algorithm == 13 else 48
            public = numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
        else:
            made = ed25519.Ed25519PrivateKey if algorithm == 15 else ed448.Ed448PrivateKey
            self.private = made.generate()
            public = self.private.public_key().public_bytes_raw()
        self.rdata = f"{flags} 3 {algorithm} {base64.b64encode(public).decode()}"
        octets = rdata_wire("DNSKEY", self.rdata)
        total = sum(octet << (0 if i & 1 else 8) for i, octet in enumerate(octets))
        self.tag = (total + (total >> 16)) & 0xFFFF

    def sign(self, data):
        if self.algorithm in (5, 7, 8, 10):
            digest = {5: hashes.SHA1, 7: hashes.SHA1, 8: hashes.SHA256, 10: hashes.SHA512}[self.algorithm]()
            return self.private.sign(data, padding.PKCS1v15(), digest)
        if self.algorithm in (13, 14):
            size = 32 if self.algorithm == 13 else 48
            made = self.private.sign(data, ec.ECDSA(hashes.SHA256() if size == 32 else hashes.SHA384()))
            r, s = decode_dss_signature(made)
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        return self.private.sign(data)

    def ds(self, zone, digest=2):
        made = {1: hashlib.sha1, 2: hashlib.sha256, 4: hashlib.sha384}.get(digest, hashlib.sha256)
        value = made(wire(zone) + rdata_wire("DNSKEY", self.rdata)).hexdigest()
        return f"{self.tag} {self.algorithm} {digest} {value}"


class Zone:
    """Records by (owner, type). Signed where there is a key; `denial` is NSEC, NSEC3 or None."""

    def __init__(self, name, records, key=None, denial="NSEC", optout=False, iterations=0, children=(), ttl=3600,
                 inception=INCEPTION, expiration=EXPIRATION, more_keys=(), sign_with=None):
        self.name, self.key, self.denial, self.optout, self.iterations = name, key, denial, optout, iterations
        self.children, self.ttl, self.inception, self.expiration = set(children), ttl, inception, expiration
        self.sign_with = sign_with or key
        self.sets, self.signatures = {}, {}
        self.add(name, "SOA", f"ns.{name} host.{name} 1 3600 600 86400 300".replace("..", "."))
        for line in records:
            owner, rtype, rdata = line.split(None, 2)
            self.add(owner, rtype, rdata)
        if key:
            for each in (key, *more_keys):
                self.add(name, "DNSKEY", each.rdata)
            self.chain()

    def add(self, owner, rtype, rdata):
        self.sets.setdefault((owner.lower(), rtype), []).append(rdata)

    def below_cut(self, owner):
        return any(under(owner, child) and owner != child for child in self.children)

    def types_at(self, owner):
        return sorted({t for o, t in self.sets if o == owner}, key=TYPES.get)

    def hash(self, name):
        value = hashlib.sha1(wire(name)).digest()
        for _ in range(self.iterations):
            value = hashlib.sha1(value).digest()
        return value

    def chain(self):
        owners = {owner for owner, _ in self.sets if not self.below_cut(owner)}
        if self.denial == "NSEC":
            sorted_owners = sorted(owners, key=order)
            for owner, following in zip(sorted_owners, sorted_owners[1:] + sorted_owners[:1]):
                types = set(self.types_at(owner)) | {"NSEC", "RRSIG"}
                if owner in self.children:
                    types -= {"A", "AAAA"}
                self.add(owner, "NSEC", f"{following} " + " ".join(sorted(types, key=TYPES.get)))
            return
        self.add(self.name, "NSEC3PARAM", "x")
        del self.sets[(self.name, "NSEC3PARAM")]
        for owner in list(owners):  # empty non-terminals
            above = parent(owner)
            while under(above, self.name) and above != self.name:
                owners.add(above)
                above = parent(above)
        if self.optout:
            owners = {o for o in owners if o not in self.children or (o, "DS") in self.sets}
        hashed = sorted((self.hash(owner), owner) for owner in owners)
        self.hashed = hashed
        for (value, owner), (following, _) in zip(hashed, hashed[1:] + hashed[:1]):
            types = set(self.types_at(owner))
            if types and not (owner in self.children and "DS" not in types):
                types |= {"RRSIG"}
            text = " ".join(sorted(types - {"NSEC3"}, key=TYPES.get))
            self.add(f"{base32hex(value)}.{self.name}".replace("..", "."), "NSEC3",
                     f"1 {int(self.optout)} {self.iterations} - {base32hex(following)} {text}".rstrip())

    def lines(self, owner, rtype, as_owner=None):
        """The set and its signature, as zone text."""
        rdatas = self.sets[(owner, rtype)]
        shown = as_owner or owner
        out = [f"{shown} {self.ttl} IN {rtype} {rdata}" for rdata in rdatas]
        if self.key and not (rtype == "NS" and owner in self.children):
            out.append(self.signature(owner, rtype, rdatas, shown))
        return out

    def signature(self, owner, rtype, rdatas, shown):
        # ECDSA signs differently each time; a zone has one signature over a set.
        place = (owner, rtype, tuple(rdatas))
        if place not in self.signatures:
            self.signatures[place] = self.make_signature(owner, rtype, rdatas)
        return f"{shown} {self.signatures[place]}"

    def make_signature(self, owner, rtype, rdatas):
        key = self.sign_with if rtype != "DNSKEY" else self.key
        count = len(labels(owner)) - (1 if owner.startswith("*.") else 0)
        head = struct.pack("!HBBIIIH", TYPES[rtype], key.algorithm, count, self.ttl, self.expiration, self.inception,
                           key.tag) + wire(self.name)
        data = head
        for rdata in sorted(rdata_wire(rtype, each) for each in rdatas):
            data += wire(owner) + struct.pack("!HHIH", TYPES[rtype], 1, self.ttl, len(rdata)) + rdata
        value = base64.b64encode(key.sign(data)).decode()
        return (f"{self.ttl} IN RRSIG {rtype} {key.algorithm} {count} {self.ttl} {self.expiration} "
                f"{self.inception} {key.tag} {self.name} {value}")

    # --- proofs

    def nsec_before(self, name):
        owners = sorted((owner for owner, rtype in self.sets if rtype == "NSEC"), key=order)
        before = [owner for owner in owners if order(owner) <= order(name)]
        return (before or owners)[-1]

    def nsec3_for(self, name):
        value = self.hash(name)
        before = [each for each, _ in self.hashed if each <= value]
        return f"{base32hex((before or [each for each, _ in self.hashed])[-1])}.{self.name}".replace("..", ".")

    def exists(self, name):
        return any(under(owner, name) for owner, rtype in self.sets if rtype not in ("NSEC3",))

    def encloser(self, name):
        while not self.exists(name):
            name = parent(name)
        return name

    def proof(self, names):
        if not self.key or not self.denial:
            return []
        rtype = self.denial
        owners = [self.nsec_before(name) if rtype == "NSEC" else self.nsec3_for(name) for name in names]
        out = []
        for owner in dict.fromkeys(owners):
            out += self.lines(owner, rtype)
        return out

    def next_closer(self, name):
        above = self.encloser(name)
        return ".".join(labels(name)[-len(labels(above)) - 1:]) + "."

    def answer(self, qname, qtype):
        """(rcode, answer lines, authority lines, alias target)."""
        qname = qname.lower()
        if (qname, qtype) in self.sets:
            return "NOERROR", self.lines(qname, qtype), [], None
        if (qname, "CNAME") in self.sets:
            return "NOERROR", self.lines(qname, "CNAME"), [], self.sets[(qname, "CNAME")][0]
        soa = self.lines(self.name, "SOA")
        if self.exists(qname):
            return "NOERROR", [], soa + self.proof([qname]), None
        above = self.encloser(qname)
        wildcard = f"*.{above}".replace("*..", "*.")
        if (wildcard, qtype) in self.sets:
            cover = [qname] if self.denial == "NSEC" else [self.next_closer(qname)]
            return "NOERROR", self.lines(wildcard, qtype, qname), self.proof(cover), None
        if any(owner == wildcard for owner, _ in self.sets):
            names = [qname, wildcard] if self.denial == "NSEC" else [above, self.next_closer(qname), wildcard]
            return "NOERROR", [], soa + self.proof(names), None
        names = [qname, wildcard] if self.denial == "NSEC" else [above, self.next_closer(qname), wildcard]
        return "NXDOMAIN", [], soa + self.proof(names), None

    def referral(self, child):
        out = [f"{child} {self.ttl} IN NS {rdata}" for rdata in self.sets[(child, "NS")]]
        if self.key:
            if (child, "DS") in self.sets:
                out += self.lines(child, "DS")
            elif self.denial == "NSEC":
                out += self.lines(child, "NSEC")
            else:
                names = [child] if not self.optout else [self.name, child]
                out += self.proof(names)
        return out


def entry(match, question, flags="QR AA", rcode="NOERROR", answer=(), authority=(), additional=(), adjust="copy_id",
          options=None):
    out = ["ENTRY_BEGIN", f"MATCH {match}", f"ADJUST {adjust}", f"REPLY {flags} {rcode}", "SECTION QUESTION", question]
    for title, lines in (("ANSWER", answer), ("AUTHORITY", authority), ("ADDITIONAL", additional)):
        if lines:
            out += [f"SECTION {title}", *lines]
    if options is not None:
        out += ["SECTION ADDITIONAL", "HEX_EDNSDATA_BEGIN", options, "HEX_EDNSDATA_END"]
    return out + ["ENTRY_END"]


EXACT = "opcode qtype qname"
# TTLs have gone down where it is checked, or why it is insecure is another scenario's to say.
NOT_WHOLE = {"prefetch", "prefetch_denial", "cache_negative", "insecure_nsec3_iterations", "stale_denial"}


class Scenario:
    def __init__(self, name, title, head=(), anchor=None, root=ROOT):
        self.name, self.title, self.ranges, self.steps, self.number = name, title, [], [], 0
        self.head = ["server:", '\ttarget-fetch-policy: "0 0 0 0 0"']
        if not any("qname-minimisation" in line for line in head):
            self.head.append("\tqname-minimisation: no")
        if anchor:
            self.head += [f'\ttrust-anchor: "{anchor}"', f'\tval-override-date: "{NOW}"', "\tede: yes"]
        self.head += [f"\t{line}" for line in head if not line.endswith(":") and not line.startswith("-")]
        self.blocks = ["stub-zone:", '\tname: "."', f"\tstub-addr: {root}", "\tstub-prime: no"]
        self.files = []

    def block(self, *lines):
        self.blocks += lines
        return self

    def follow(self, zone, *lines):
        """A state file of RFC 5011."""
        self.files += [f"AUTOTRUST_FILE {zone}", *lines, "AUTOTRUST_END"]
        return self

    def server(self, address, *entries, first=0, last=1000):
        out = [f"RANGE_BEGIN {first} {last}", f"\tADDRESS {address}"]
        for each in entries:
            out += each
        self.ranges.append(out + ["RANGE_END"])
        return self

    def zone(self, address, zone, questions, glue=(), first=0, last=1000, change=None, silent=()):
        """The zone's answers to the questions but those that it is silent about; referrals for all below its cuts."""
        entries = []
        asked = dict.fromkeys([*questions, (zone.name, "DNSKEY"), (zone.name, "NS")])
        for qname, qtype in asked:
            if (qname, qtype) in silent or zone.below_cut(qname) or (qname in zone.children and qtype != "DS"):
                continue
            rcode, answer, authority, _ = zone.answer(qname, qtype)
            if change:
                rcode, answer, authority = change(qname, qtype, rcode, answer, authority)
            entries.append(entry(EXACT, f"{qname} IN {qtype}", "QR AA", rcode, answer, authority))
        for child in zone.children:
            if (child, "DS") not in asked:
                rcode, answer, authority, _ = zone.answer(child, "DS")
                entries.append(entry(EXACT, f"{child} IN DS", "QR AA", rcode, answer, authority))
            entries.append(entry("opcode subdomain", f"{child} IN NS", "QR", "NOERROR", [], zone.referral(child),
                                 glue, "copy_id copy_query"))
        return self.server(address, *entries, first=first, last=last)

    def step(self, *lines):
        self.number += 10
        self.steps += [f"STEP {self.number} {lines[0]}", *lines[1:]]
        return self

    def ask(self, qname, qtype="A", flags="RD DO", client=None, options=None):
        more = ["SECTION ADDITIONAL", "HEX_EDNSDATA_BEGIN", options, "HEX_EDNSDATA_END"] if options else []
        return self.step(f"QUERY ADDRESS {client}" if client else "QUERY", "ENTRY_BEGIN", f"REPLY {flags}",
                         "SECTION QUESTION", f"{qname} IN {qtype}", *more, "ENTRY_END")

    @staticmethod
    def as_kept(authority):
        """RFC 2308 §5: an SOA beside a denial lives no longer than its last number says."""
        out = []
        for line in authority:
            words = line.split()
            if "SOA" in words[:5]:
                at = words.index("SOA") - 2 if words[3] == "SOA" else 1
                soa = next(other.split() for other in authority if other.split()[3] == "SOA")
                words[at] = str(min(int(words[at]), int(soa[-1])))
            out.append(" ".join(words))
        return out

    def expect(self, qname, qtype="A", rcode="NOERROR", flags="QR RD RA AD DO", answer=(), authority=(), match="all",
               options=None):
        # All of it, where it is known: what a failure says of itself is not always.
        if (match.startswith("all") and (rcode != "SERVFAIL" or "ede=" in match) and "ede=any" not in match
                and "ednsdata" not in match and self.name not in NOT_WHOLE and "whole" not in match):
            match += " whole"
            authority = self.as_kept(authority)
        out = ["CHECK_ANSWER", "ENTRY_BEGIN", f"MATCH {match}", f"REPLY {flags} {rcode}", "SECTION QUESTION",
               f"{qname} IN {qtype}"]
        if answer:
            out += ["SECTION ANSWER", *answer]
        if authority:
            out += ["SECTION AUTHORITY", *authority]
        if options:
            out += ["SECTION ADDITIONAL", "HEX_EDNSDATA_BEGIN", options, "HEX_EDNSDATA_END"]
        return self.step(*out, "ENTRY_END")

    def both(self, qname, qtype="A", **expected):
        return self.ask(qname, qtype).expect(qname, qtype, **expected)

    def wait(self, seconds):
        return self.step(f"TIME_PASSES ELAPSE {seconds}")

    def timeout(self):
        return self.step("TIMEOUT")

    def write(self, folder):
        lines = [f"; {self.title}.", "; Written by make_scenarios.py.", *self.head, *self.blocks, *self.files,
                 "CONFIG_END", "",
                 f"SCENARIO_BEGIN {self.title}", ""]
        for each in self.ranges:
            lines += [*each, ""]
        lines += [*self.steps, "", "SCENARIO_END", ""]
        (folder / f"{self.name}.rpl").write_text("\n".join(lines))


SCENARIOS = []


def scenario(*args, **kwargs):
    made = Scenario(*args, **kwargs)
    SCENARIOS.append(made)
    return made


# --- signed worlds

BASE = ["example. NS ns.example.", "ns.example. A 192.0.2.2", "www.example. A 198.51.100.7", "www.example. A 198.51.100.8",
        "alias.example. CNAME www.example.", "away.example. CNAME none.example.", "*.wild.example. TXT \"wild\"",
        "wild.example. TXT \"here\"", "a.b.deep.example. A 198.51.100.9", "zz.example. MX 10 www.example."]


def example_world(key, denial="NSEC", **options):
    """A root that is signed, and example. below it."""
    root_key = Key(13)
    example = Zone("example.", BASE, key, denial, **options)
    root = Zone(".", [". NS ns.root.", "ns.root. A 192.0.2.1", "example. NS ns.example.",
                      f"example. DS {key.ds('example.')}"], root_key, children=["example."])
    return root, example, root_key


def play(name, title, root, example, root_key, questions, change=None, head=(), secure=True, expected=None,
         ede=None):
    made = scenario(name, title, head, anchor=f". DS {root_key.ds('.')}")
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
    # Who finds data unsigned asks whether a zone of its own begins there.
    more = [*questions, *((q, "DS") for q, _ in questions if q != "example.")]
    for qname, qtype in questions:
        target = example.answer(qname, qtype)[3]
        if target:
            more.append((target, qtype))
    made.zone(COM, example, more, change=change)
    for qname, qtype in questions:
        rcode, answer, authority, target = example.answer(qname, qtype)
        if target:
            rcode, further, authority, _ = example.answer(target, qtype)
            answer = answer + further
        if expected == "SERVFAIL":
            match = f"all ede={ede}" if ede is not None else "all"
            made.both(qname, qtype, rcode="SERVFAIL", flags="QR RD RA DO", match=match)
        else:
            flags = "QR RD RA AD DO" if secure else "QR RD RA DO"
            match = f"all ede={ede}" if ede is not None else "all"
            made.both(qname, qtype, rcode=rcode, flags=flags, answer=answer, authority=authority, match=match)
    return made


QUESTIONS = {
    "positive": ([("www.example.", "A")], "an answer"),
    "nodata": ([("www.example.", "MX")], "a name without the type"),
    "nxdomain": ([("none.example.", "A")], "a name that is not there"),
    "wildcard": ([("some.wild.example.", "TXT")], "an answer made of a wildcard"),
    "wildcard_nodata": ([("some.wild.example.", "A")], "a wildcard without the type"),
    "empty_non_terminal": ([("deep.example.", "A")], "an empty non-terminal"),
    "alias": ([("alias.example.", "A")], "an alias"),
    "alias_to_nothing": ([("away.example.", "A")], "an alias that leads nowhere"),
    "apex": ([("example.", "SOA"), ("example.", "DNSKEY"), ("example.", "NS")], "the apex"),
    "deep_nxdomain": ([("x.y.none.example.", "A")], "a name far below one that is not there"),
}


def signed():
    names = {8: "rsasha256", 10: "rsasha512", 13: "ecdsap256", 14: "ecdsap384", 15: "ed25519", 16: "ed448"}
    for algorithm, spelled in names.items():
        for kind in ("positive", "nxdomain", "wildcard"):
            questions, words = QUESTIONS[kind]
            play(f"sign_{spelled}_{kind}", f"Signed with {spelled}: {words}", *example_world(Key(algorithm)), questions)
    for denial in ("NSEC", "NSEC3"):
        for kind, (questions, words) in QUESTIONS.items():
            play(f"deny_{denial.lower()}_{kind}", f"{denial}: {words}", *example_world(Key(13), denial), questions)
    play("deny_nsec3_iterations", "NSEC3 with a few iterations", *example_world(Key(13), "NSEC3", iterations=12),
         [("none.example.", "A")])
    for digest in (1, 2, 4):
        key = Key(15)
        root, example, root_key = example_world(key)
        root.sets[("example.", "DS")] = [key.ds("example.", digest)]
        play(f"ds_digest_{digest}", f"A DS with digest {digest}", root, example, root_key, [("www.example.", "A")])


def tampered():
    def world(**options):
        return example_world(Key(13), **options)

    def without(test, where=("answer", "authority")):
        def change(qname, qtype, rcode, answer, authority):
            if "answer" in where:
                answer = [line for line in answer if not test(line, qname, qtype)]
            if "authority" in where:
                authority = [line for line in authority if not test(line, qname, qtype)]
            return rcode, answer, authority
        return change

    www, none = [("www.example.", "A")], [("none.example.", "A")]
    play("bogus_expired", "A signature that is past its time", *world(expiration=INCEPTION + 3600), www,
         expected="SERVFAIL", ede=7)
    play("bogus_too_early", "A signature from the future", *world(inception=EXPIRATION, expiration=EXPIRATION + 86400),
         www, expected="SERVFAIL", ede=8)
    play("bogus_expired_before_valid", "A signature that ends before it begins",
         *world(inception=EXPIRATION, expiration=INCEPTION), www, expected="SERVFAIL", ede=25)
    play("bogus_no_signature", "Data without its signature", *world(), www,
         without(lambda line, q, t: "RRSIG A" in line), expected="SERVFAIL", ede=10)
    play("bogus_no_keys", "Keys that are not there", *world(), www,
         without(lambda line, q, t: t == "DNSKEY"), expected="SERVFAIL", ede=9)
    play("bogus_changed_data", "Data that was changed on the way", *world(), www,
         lambda q, t, r, a, au: (r, [line.replace("198.51.100.7", "203.0.113.66") for line in a], au),
         expected="SERVFAIL", ede=6)
    play("bogus_no_denial", "NXDOMAIN without proof", *world(), none,
         without(lambda line, q, t: " NSEC " in line, ("authority",)), expected="SERVFAIL")
    play("bogus_half_denial", "NXDOMAIN without proof that no wildcard stands for the name", *world(), none,
         lambda q, t, r, a, au: (r, a, [line for line in au if not (line.startswith("example.") and " NSEC " in line)]),
         expected="SERVFAIL")
    play("bogus_nsec3_no_denial", "NXDOMAIN without NSEC3", *world(denial="NSEC3"), none,
         without(lambda line, q, t: " NSEC3 " in line, ("authority",)), expected="SERVFAIL")
    play("bogus_wildcard_no_proof", "A wildcard's answer without proof that the name is not there", *world(),
         [("some.wild.example.", "TXT")], without(lambda line, q, t: " NSEC " in line, ("authority",)),
         expected="SERVFAIL")
    play("bogus_nsec3_wildcard_no_proof", "The same with NSEC3", *world(denial="NSEC3"),
         [("some.wild.example.", "TXT")], without(lambda line, q, t: " NSEC3 " in line, ("authority",)),
         expected="SERVFAIL")
    play("bogus_false_nodata", "A name that is there, denied by the proof of another", *world(), www,
         lambda q, t, r, a, au: (r, a, au) if (q, t) != ("www.example.", "A") else
         ("NOERROR", [], NODATA_OF_OTHER(q)), expected="SERVFAIL")
    root, example, root_key = world()
    made = scenario("stale_before_bogus", "What is past its time is better than what is bogus", [
        "serve-expired: yes", "serve-expired-reply-ttl: 30", "ede: yes", "ede-serve-expired: yes"],
        anchor=f". DS {root_key.ds('.')}")
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])

    def other_address(qname, qtype, rcode, answer, authority):
        return rcode, [line.replace("198.51.100.7", "203.0.113.66") for line in answer], authority

    asked = [*www, ("www.example.", "DS")]
    made.zone(COM, example, asked, last=25).zone(COM, example, asked, first=26, last=60, change=other_address)
    made.zone(COM, example, asked, first=61)
    answer = example.answer("www.example.", "A")[1]
    stale = [line.replace(" 3600 IN ", " 30 IN ", 1) for line in answer]
    made.both("www.example.", answer=answer).wait(3601).both("www.example.", answer=stale, match="all ttl ede=3")
    made.wait(6).both("www.example.", answer=answer)
    root, example, root_key = world()
    root.sets[("example.", "DS")] = [Key(13).ds("example.")]
    play("bogus_ds_mismatch", "A DS of another key", root, example, root_key, www, expected="SERVFAIL", ede=9)
    other = Key(13)
    root, example, root_key = example_world(Key(13), sign_with=other)
    play("bogus_foreign_key", "Signed with a key that is not among the zone's", root, example, root_key, www,
         expected="SERVFAIL")
    # Chains that end without being broken.
    key = Key(13)
    root, example, root_key = example_world(key)
    root.sets[("example.", "DS")] = [f"{key.tag} 99 2 {'ab' * 32}"]
    play("insecure_unknown_algorithm", "A DS of an algorithm that nobody knows", root, example, root_key, www,
         secure=False, ede=1)
    root, example, root_key = example_world(key)
    root.sets[("example.", "DS")] = [f"{key.tag} 13 99 {'ab' * 32}"]
    play("insecure_unknown_digest", "A DS with a digest that nobody knows", root, example, root_key, www, secure=False,
         ede=2)
    play("insecure_nsec3_iterations", "NSEC3 with more iterations than anybody should hash",
         *example_world(Key(13), "NSEC3", iterations=500), none, secure=False)
    play("insecure_configured", "A zone that the operator does not want validated", *world(expiration=INCEPTION + 3600),
         www, head=['domain-insecure: "example."'], secure=False)


def NODATA_OF_OTHER(qname):
    other = Zone("example.", BASE, Key(13))
    return other.answer("zz.example.", "A")[2]


def delegations():
    for denial, optout in (("NSEC", False), ("NSEC3", False), ("NSEC3", True)):
        key, root_key = Key(13), Key(13)
        tag = denial.lower() + ("_optout" if optout else "")
        example = Zone("example.", [*BASE, "plain.example. NS ns.plain.example.", "ns.plain.example. A 192.0.2.3"], key,
                       denial, optout, children=["plain.example."])
        root = Zone(".", [". NS ns.root.", "example. NS ns.example.", f"example. DS {key.ds('example.')}"], root_key,
                    children=["example."])
        plain = Zone("plain.example.", ["plain.example. NS ns.plain.example.", "www.plain.example. A 198.51.100.7"])
        made = scenario(f"unsigned_delegation_{tag}", f"Below an unsigned delegation, {denial}"
                        f"{' with opt-out' if optout else ''}", anchor=f". DS {root_key.ds('.')}")
        made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
        made.zone(COM, example, [], ["ns.plain.example. 3600 IN A 192.0.2.3"])
        made.zone(SUB, plain, [("www.plain.example.", "A"), ("none.plain.example.", "A")])
        made.both("www.plain.example.", flags="QR RD RA DO", answer=plain.answer("www.plain.example.", "A")[1])
        made.both("none.plain.example.", rcode="NXDOMAIN", flags="QR RD RA DO",
                  authority=plain.answer("none.plain.example.", "A")[2])
    for title, name, pairs in (("Two DS, one of a key that is not there yet", "rollover_double_ds", 2),
                               ("Two keys, both signed", "rollover_double_key", 1)):
        key, coming, root_key = Key(13), Key(15), Key(13)
        root, example, root_key = example_world(key)
        if pairs == 2:
            root.sets[("example.", "DS")].append(coming.ds("example."))
        else:
            example = Zone("example.", BASE, key, more_keys=[coming])
        play(name, title, root, example, root_key, [("www.example.", "A"), ("none.example.", "A")])
    # A cut below a cut, all signed, with another algorithm at each.
    root_key, key, low = Key(8), Key(14), Key(15)
    sub = Zone("sub.example.", ["sub.example. NS ns.sub.example.", "www.sub.example. A 198.51.100.7"], low, "NSEC3")
    example = Zone("example.", [*BASE, "sub.example. NS ns.sub.example.", f"sub.example. DS {low.ds('sub.example.')}"],
                   key, children=["sub.example."])
    root = Zone(".", [". NS ns.root.", "example. NS ns.example.", f"example. DS {key.ds('example.', 4)}"], root_key,
                children=["example."])
    for qname, qtype in (("www.sub.example.", "A"), ("none.sub.example.", "A"), ("sub.example.", "DS")):
        zone = example if qtype == "DS" else sub
        rcode, answer, authority, _ = zone.answer(qname, qtype)
        made = scenario(f"chain_{qname.split('.')[0]}_{qtype.lower()}", f"A chain of three zones: {qname} {qtype}",
                        anchor=f". DS {root_key.ds('.')}")
        made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
        made.zone(COM, example, [("sub.example.", "DS")], ["ns.sub.example. 3600 IN A 192.0.2.3"])
        made.zone(SUB, sub, [("www.sub.example.", "A"), ("none.sub.example.", "A")])
        made.both(qname, qtype, rcode=rcode, answer=answer, authority=authority)


def aggressive():
    for denial in ("NSEC", "NSEC3"):
        key = Key(13)
        root, example, root_key = example_world(key, denial)
        made = scenario(f"aggressive_{denial.lower()}", f"A second name is denied by the {denial} of the first",
                        ["aggressive-nsec: yes"], anchor=f". DS {root_key.ds('.')}")
        made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
        # Two names in one gap: the server knows only one of them, and would leave the other without answer.
        first = "none.example."
        second = next(n for n in (f"none{i}.example." for i in range(5000))
                      if example.answer(n, "A")[2] == example.answer(first, "A")[2])
        rcode, _, authority, _ = example.answer(first, "A")
        made.zone(COM, example, [(first, "A")],
                  change=lambda q, t, r, a, au, keep=authority, n=first: (r, a, keep if q == n else au))
        made.both(first, rcode=rcode, authority=authority)
        made.both(second, rcode=rcode, authority=authority, match="all ede=29")
        # RFC 8198 §5.3: one name out of a wildcard, with its proof, answers for the next.
        example = Zone("example.", [*BASE, "*.w.example. A 198.51.100.77"], key, denial)
        root = Zone(".", [". NS ns.root.", "example. NS ns.example.", f"example. DS {key.ds('example.')}"], root_key,
                    children=["example."])
        first = "a.w.example."
        second = next(n for n in (f"b{i}.w.example." for i in range(5000))
                      if example.answer(n, "A")[2] == example.answer(first, "A")[2])
        made = scenario(f"aggressive_wildcard_{denial.lower()}", f"A second name out of a wildcard, by the {denial} of "
                        "the first", ["aggressive-nsec: yes"], anchor=f". DS {root_key.ds('.')}")
        made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"]).zone(COM, example, [(first, "A")])
        for name, match in ((first, "all"), (second, "all ede=29")):
            made.both(name, answer=example.answer(name, "A")[1], authority=example.answer(name, "A")[2], match=match)


def indeterminate():
    """RFC 4035 §4.3: nobody tells whether there should be a signature."""
    key = Key(13)
    root, example, root_key = example_world(key)
    anchor = f". DS {root_key.ds('.')}"
    made = scenario("indeterminate_keys", "Nobody replies to who asks for the keys", anchor=anchor)
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
    made.zone(COM, example, [("www.example.", "A")], silent=[("example.", "DNSKEY")])
    made.both("www.example.", rcode="SERVFAIL", flags="QR RD RA DO", match="all ede=5")
    made = scenario("indeterminate_cut", "Nobody replies to who asks whether a zone begins there", anchor=anchor)
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
    made.zone(COM, example, [("www.example.", "A")], silent=[("www.example.", "DS")], change=lambda q, t, r, an, au: (
        r, [line for line in an if "RRSIG A " not in line], au))
    made.both("www.example.", rcode="SERVFAIL", flags="QR RD RA DO", match="all ede=5")


def too_long():
    """RFC 6672 §2.2: the DNAME says it, and is to be proven."""
    key, root_key = Key(13), Key(13)
    target = ".".join(["x" * 60] * 3 + ["y" * 50]) + "."
    long_name = f"{'a' * 40}.old.other."
    example = Zone("example.", [*BASE, f"far.example. CNAME {long_name}"], key)
    other = Zone("other.", ["other. NS ns.other.", "ns.other. A 192.0.2.3", f"old.other. DNAME {target}"], key)
    root = Zone(".", [". NS ns.root.", "example. NS ns.example.", "other. NS ns.other.",
                      f"example. DS {key.ds('example.')}", f"other. DS {key.ds('other.')}"], root_key,
                children=["example.", "other."])
    dname = other.lines("old.other.", "DNAME")
    for name, title, told in (("dname_too_long_proven", "A name that becomes too long in the next zone, proven", dname),
                              ("dname_too_long_forged", "That a name becomes too long is not proven", dname[:1])):
        made = scenario(name, title, anchor=f". DS {root_key.ds('.')}")
        made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2", "ns.other. 3600 IN A 192.0.2.3"])
        made.zone(COM, example, [("far.example.", "A")])
        made.zone(SUB, other, [("old.other.", "DS")])
        made.server(SUB, entry("opcode qname", f"{long_name} IN A", "QR AA", "YXDOMAIN", answer=told))
        if told == dname:
            made.both("far.example.", rcode="YXDOMAIN", answer=[*example.lines("far.example.", "CNAME"), *dname])
        else:
            made.both("far.example.", rcode="SERVFAIL", flags="QR RD RA DO", match="all ede=10")


def judged_late():
    """What was not validated when it came is no younger when it is (RFC 4035 §5.3.3)."""
    key = Key(13)
    root, example, root_key = example_world(key, "NSEC")
    made = scenario("denial_judged_late", "A denial that is validated long after it came lives no longer for that",
                    anchor=f". DS {root_key.ds('.')}")
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"]).zone(COM, example, [("none.example.", "A")])
    rcode, _, authority, _ = example.answer("none.example.", "A")
    made.ask("none.example.", flags="RD DO CD").expect("none.example.", rcode=rcode, flags="QR RD RA DO CD",
                                                       authority=authority)
    lines = [line.split(" ", 2) for line in authority]
    made.wait(100).ask("none.example.")
    made.expect("none.example.", rcode=rcode, match="all ttl",
                authority=[f"{owner} {(300 if 'SOA' in rest.split()[1:3] else int(ttl)) - 100} {rest}"
                           for owner, ttl, rest in lines])


def keytrap():
    key = Key(13)
    root, example, root_key = example_world(key)
    # Signatures that all name the key, and none of which is its: each costs a check.
    made = scenario("keytrap_signatures", "More bad signatures over one set than are looked at",
                    anchor=f". DS {root_key.ds('.')}")
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
    good = example.answer("www.example.", "A")[1]
    bad = []
    for i in range(60):
        words = good[-1].split()
        value = bytearray(base64.b64decode(words[-1]))
        value[i] ^= 0x55
        bad.append(" ".join(words[:-1] + [base64.b64encode(bytes(value)).decode()]))
    made.zone(COM, example, [("www.example.", "A"), ("zz.example.", "MX")],
              change=lambda q, t, r, a, au: (r, a[:-1] + bad if (q, t) == ("www.example.", "A") else a, au))
    made.both("www.example.", rcode="SERVFAIL", flags="QR RD RA DO")
    made.both("zz.example.", "MX", answer=example.answer("zz.example.", "MX")[1])


def with_tag(tag, number):
    """Octets that pass for an Ed25519 key of this tag: a checksum is easily met."""
    octets = bytearray(hashlib.sha256(bytes([number])).digest())
    for guess in range(65536):
        octets[30:32] = struct.pack("!H", guess)
        rdata = rdata_wire("DNSKEY", f"256 3 15 {base64.b64encode(bytes(octets)).decode()}")
        total = sum(octet << (0 if i & 1 else 8) for i, octet in enumerate(rdata))
        if (total + (total >> 16)) & 0xFFFF == tag:
            return f"256 3 15 {base64.b64encode(bytes(octets)).decode()}"
    return None


class Impostor:
    def __init__(self, rdata):
        self.rdata = rdata


def keytrap_keys():
    key = Key(15)
    impostors = [rdata for rdata in (with_tag(key.tag, number) for number in range(24)) if rdata]
    root, example, root_key = example_world(key, more_keys=[Impostor(rdata) for rdata in impostors])
    made = scenario("keytrap_keys", "Many keys of one tag, and many signatures by none of them",
                    anchor=f". DS {root_key.ds('.')}")
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
    words = example.answer("www.example.", "A")[1][-1].split()
    bad = []
    for i in range(40):
        value = bytearray(base64.b64decode(words[-1]))
        value[i] ^= 0x55
        bad.append(" ".join(words[:-1] + [base64.b64encode(bytes(value)).decode()]))
    made.zone(COM, example, [("www.example.", "A"), ("zz.example.", "MX")],
              change=lambda q, t, r, a, au: (r, a[:-1] + bad if (q, t) == ("www.example.", "A") else a, au))
    made.both("www.example.", rcode="SERVFAIL", flags="QR RD RA DO")
    made.both("zz.example.", "MX", answer=example.answer("zz.example.", "MX")[1])


def iterations():
    """RFC 9276 §3.2: too many are insecure, unhashed, and the client hears why."""
    limit = 'val-nsec3-keysize-iterations: "1024 50 2048 50 4096 50"'
    play("nsec3_iterations_at_limit", "NSEC3 with as many iterations as are hashed",
         *example_world(Key(13), "NSEC3", iterations=50), [("none.example.", "A")], head=[limit])
    # More names to hash than one turn allows: it takes several, and none of the means of other questions.
    play("nsec3_deep_name", "A name far below one that is not there, with all the iterations there may be",
         *example_world(Key(13), "NSEC3", iterations=50), [("x." * 100 + "none.example.", "A"), ("www.example.", "A")],
         head=[limit])
    for kind in ("nxdomain", "nodata"):
        questions, words = QUESTIONS[kind]
        root, example, root_key = example_world(Key(13), "NSEC3", iterations=51)
        made = scenario(f"nsec3_iterations_beyond_{kind}", f"NSEC3 with one iteration too many: {words}", [limit],
                        anchor=f". DS {root_key.ds('.')}")
        made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
        made.zone(COM, example, [*questions, *((q, "DS") for q, _ in questions)])
        for qname, qtype in questions:
            rcode, answer, authority, _ = example.answer(qname, qtype)
            made.both(qname, qtype, rcode=rcode, flags="QR RD RA DO", answer=answer, authority=authority,
                      match="all ede=27")


# --- keys that change while the zone is followed (RFC 5011)

BEGIN = 1768478400  # 2026-01-15 12:00
DAY = 86400


class Followed:
    """An island of trust at example., whose key set changes."""

    def __init__(self, name, title, keys):
        self.made = scenario(name, title, ["ede: yes"])
        self.made.server(ROOT, referral("example.", "ns.example.", COM))
        self.made.follow("example.", *(f"example. 3600 IN DNSKEY {key.rdata}" for key in keys))
        self.phases = []

    def serve(self, keys, signers, data=None):
        """From the next step on: these keys, signed by those, and www.example. signed by `data`."""
        zone = Zone("example.", ["www.example. A 198.51.100.7"], data or signers[0], None, inception=INCEPTION,
                    expiration=INCEPTION + 900 * DAY)
        rdatas = [key.rdata for key in keys]
        zone.sets[("example.", "DNSKEY")] = rdatas
        lines = [f"example. 3600 IN DNSKEY {rdata}" for rdata in rdatas]
        for signer in signers:
            zone.key = signer
            lines.append("example. " + zone.make_signature("example.", "DNSKEY", rdatas))
        zone.key = data or signers[0]
        self.www = zone.answer("www.example.", "A")[1]
        self.phases.append((self.made.number + 1, [entry(EXACT, "example. IN DNSKEY", answer=lines),
                                                   entry(EXACT, "www.example. IN A", answer=self.www)]))
        return self

    def later(self, days):
        self.made.step(f"TIME_PASSES ELAPSE {int(days * DAY)}").step("TRAFFIC")
        return self

    def state(self, *keys, revoked=False):
        """(key, state, count, time of the change)"""
        names = {1: "ADDPEND", 2: " VALID ", 3: "MISSING", 4: "REVOKED"}
        out = ["; autotrust trust anchor file"]
        if revoked:
            out += [";;REVOKED", "; The zone has all keys revoked, and is",
                    "; considered as if it has no trust anchors.", "; the remainder of the file is the last probe.",
                    "; to restart the trust anchor, overwrite this file.",
                    "; with one containing valid DNSKEYs or DSes."]
        following = "0 ;;${ctime 0}" if revoked else "${${time} + 3600} ;;${ctime ${time} + 3600}"
        out += [";;id: example. 1", ";;last_queried: ${time} ;;${ctime ${time}}",
                ";;last_success: ${time} ;;${ctime ${time}}", f";;next_probe_time: {following}", ";;query_failed: 0",
                ";;query_interval: 3600", ";;retry_time: 3600"]
        for key, state, count, changed in keys:
            out.append(f"example.\t3600\tIN\tDNSKEY\t{key.rdata} ;{{id = {key.tag} (ksk), size = 256b}} "
                       f";;state={state} [ {names[state]} ] ;;count={count} ;;lastchange=${{${changed}}} "
                       f";;${{ctime ${changed}}}")
        self.made.step("CHECK_AUTOTRUST example.", "FILE_BEGIN", *out, "FILE_END")
        return self

    def mark(self, name):
        self.made.step(f"ASSIGN {name} = ${{time}}")
        return self

    def done(self):
        for (first, entries), following in zip(self.phases, [*self.phases[1:], (100000, None)]):
            self.made.server(COM, *entries, first=first, last=following[0] - 1)


def revoked_form(key):
    """The same key with the revoked bit, and its new tag."""
    other = Key(key.algorithm, key.flags | 0x80)
    other.private = key.private
    other.rdata = f"{key.flags | 0x80} " + key.rdata.split(" ", 1)[1]
    octets = rdata_wire("DNSKEY", other.rdata)
    total = sum(octet << (0 if i & 1 else 8) for i, octet in enumerate(octets))
    other.tag = (total + (total >> 16)) & 0xFFFF
    return other


def followed_keys():
    old, new = Key(15), Key(15)
    gone = revoked_form(old)
    world = Followed("rfc5011_rollover", "A key is added, held down, trusted; the old one is revoked and forgotten", [old])
    world.serve([old], [old]).made.step(f"TIME_PASSES ELAPSE {BEGIN}").step("TRAFFIC")
    world.mark("t0").state((old, 2, 0, "t0"))
    world.serve([old, new], [old]).later(1).mark("t1").state((new, 1, 1, "t1"), (old, 2, 0, "t0"))
    # Nothing is signed with the new key alone before the hold-down ends.
    world.later(29).state((new, 1, 2, "t1"), (old, 2, 0, "t0"))
    world.later(2).mark("t2").state((new, 2, 0, "t2"), (old, 2, 0, "t0"))
    world.serve([old, new], [new], data=new).later(1).state((new, 2, 0, "t2"), (old, 2, 0, "t0"))
    world.made.both("www.example.", answer=world.www)
    world.serve([gone, new], [gone, new], data=new).later(1).mark("t3").state((new, 2, 0, "t2"), (gone, 4, 0, "t3"))
    world.made.both("www.example.", answer=world.www)
    world.serve([new], [new]).later(31).state((new, 2, 0, "t2"))
    world.made.both("www.example.", answer=world.www)
    world.done()

    def begin(name, title, keys, served, signers):
        made = Followed(name, title, keys)
        made.serve(served, signers).made.step(f"TIME_PASSES ELAPSE {BEGIN}").step("TRAFFIC")
        return made.mark("t0")

    world = begin("rfc5011_add_interrupted", "A key that goes away before its hold-down ends begins anew", [old], [old],
                  [old])
    world.serve([old, new], [old]).later(1).mark("t1").state((new, 1, 1, "t1"), (old, 2, 0, "t0"))
    world.serve([old], [old]).later(20).state((old, 2, 0, "t0"))
    world.serve([old, new], [old]).later(15).mark("t2").state((new, 1, 1, "t2"), (old, 2, 0, "t0"))
    world.done()
    world = begin("rfc5011_revoked", "Data signed with a revoked key is bogus", [old, new], [old, new], [old])
    world.state((new, 2, 0, "t0"), (old, 2, 0, "t0"))
    world.serve([gone, new], [gone, new], data=old).later(1).mark("t1").state((new, 2, 0, "t0"), (gone, 4, 0, "t1"))
    world.made.both("www.example.", rcode="SERVFAIL", flags="QR RD RA DO", match="all ede=any")
    world.done()
    world = begin("rfc5011_revoked_by_stranger", "A revoked bit that the key itself did not sign is not believed",
                  [old, new], [old, new], [new])
    world.serve([gone, new], [new]).later(1).state((new, 2, 0, "t0"), (old, 2, 0, "t0"))
    world.done()
    world = begin("rfc5011_missing", "A key that goes missing and comes back is trusted all the time", [old, new],
                  [old, new], [old])
    world.serve([old], [old]).later(1).mark("t1").state((new, 3, 0, "t1"), (old, 2, 0, "t0"))
    world.serve([old, new], [new], data=new).later(1).mark("t2").state((new, 2, 0, "t2"), (old, 2, 0, "t0"))
    world.made.both("www.example.", answer=world.www)
    world.done()
    world = begin("rfc5011_all_revoked", "Where all keys are revoked the zone is insecure", [old], [old], [old])
    world.serve([gone], [gone], data=old).later(1).mark("t1").state((gone, 4, 0, "t1"), revoked=True)
    world.made.both("www.example.", flags="QR RD RA DO", answer=world.www)
    world.done()
    forged = Key(15)
    world = begin("rfc5011_forged_key", "A key in a set that no trusted key signed is not taken up", [old], [old], [old])
    world.serve([old, forged], [forged], data=forged).later(40)
    world.made.both("www.example.", rcode="SERVFAIL", flags="QR RD RA DO", match="all ede=any")
    world.done()


# --- unsigned worlds

def referral(zone, server, glue=None, more=()):
    lines = [f"{zone} IN NS {server}"]
    return entry("opcode subdomain", f"{zone} IN NS", "QR", "NOERROR", [], lines,
                 ([f"{server} IN A {glue}"] if glue else []) + list(more), "copy_id copy_query")


def a(name, address="198.51.100.7", flags="QR AA"):
    return entry(EXACT, f"{name} IN A", flags, "NOERROR", [f"{name} 300 IN A {address}"])


SOA = "example. 300 IN SOA ns.example. host.example. 1 3600 600 86400 60"
PLAIN = "QR RD RA"


def unsigned():
    def start(name, title, head=(), glue=COM, more=()):
        made = scenario(name, title, head)
        made.server(ROOT, referral("example.", "ns.example.", glue, more))
        return made

    def answered(made, name="www.example.", address="198.51.100.7", **kwargs):
        return made.ask(name, flags="RD").expect(name, flags=PLAIN, answer=[f"{name} 300 IN A {address}"], **kwargs)

    def failed(made, name="www.example."):
        return made.ask(name, flags="RD").expect(name, rcode="SERVFAIL", flags=PLAIN)

    answered(start("plain_answer", "A referral and an answer").server(COM, a("www.example.")))
    answered(start("plain_truncated", "A truncated reply, then TCP").server(
        COM, entry(EXACT + " UDP", "www.example. IN A", "QR AA TC"),
        entry(EXACT + " TCP", "www.example. IN A", "QR AA", answer=["www.example. 300 IN A 198.51.100.7"])))
    failed(start("plain_truncated_always", "Truncated over TCP, too").server(
        COM, entry("opcode", "www.example. IN A", "QR AA TC", adjust="copy_id copy_query")))
    for rcode in ("FORMERR", "NOTIMPL"):
        answered(start(f"edns_{rcode.lower()}", f"A server that says {rcode} to EDNS").server(
            COM, entry(EXACT + " noedns", "www.example. IN A", "QR AA", answer=["www.example. 300 IN A 198.51.100.7"]),
            entry(EXACT, "www.example. IN A", "QR", rcode)))
    made = start("retransmission", "No reply at first").server(COM, a("www.example."), first=40)
    made.ask("www.example.", flags="RD")
    made.step("CHECK_OUT_QUERY", "ENTRY_BEGIN", "MATCH qname qtype", "SECTION QUESTION", "www.example. IN A", "ENTRY_END")
    made.timeout()
    made.expect("www.example.", flags=PLAIN, answer=["www.example. 300 IN A 198.51.100.7"])
    for rcode in ("SERVFAIL", "REFUSED", "NOTIMPL", "FORMERR", "NOTAUTH"):
        made = start(f"next_server_{rcode.lower()}", f"One of two servers says {rcode}",
                     more=[f"ns.example. IN A {SUB}"])
        made.server(COM, entry("opcode", "example. IN A", "QR", rcode, adjust="copy_id copy_query"))
        answered(made.server(SUB, a("www.example.")))
    failed(start("lame_upwards", "A referral upwards").server(COM, referral(".", "ns.root.", "203.0.113.66")))
    failed(start("lame_self", "A referral to the same zone").server(
        COM, entry("opcode subdomain", "example. IN NS", "QR", authority=["example. IN NS ns.example."],
                   adjust="copy_id copy_query")))
    made = start("lame_sideways", "A referral to a zone beside").server(COM, referral("other.", "ns.other.", OTHER))
    failed(made.server(OTHER, a("www.example.", "203.0.113.66")))
    for address in ("127.0.0.1", "0.0.0.1", "169.254.7.7", "224.0.0.5", "255.255.255.255"):
        made = start(f"useless_glue_{address.replace('.', '_')}", f"Glue of {address}", glue=address)
        failed(made.server(address, a("www.example.", "203.0.113.66")))
    made = scenario("glue_out_of_bailiwick", "Glue that the server has no say in")
    made.server(ROOT, referral("example.", "ns.example.", COM), referral("other.", "ns.other.", OTHER))
    made.server(COM, referral("sub.example.", "ns.other.", "203.0.113.66"))
    made.server(OTHER, a("ns.other.", SUB))
    made.server(SUB, a("www.sub.example."))
    made.server("203.0.113.66", a("www.sub.example.", "203.0.113.66"))
    answered(made, "www.sub.example.")
    made = start("scrub_answer", "Addresses of an alias's target are asked for anew")
    made.server(COM, entry(EXACT, "www.example. IN A", answer=["www.example. 300 IN CNAME web.example.",
                                                             "web.example. 300 IN A 203.0.113.66"]), a("web.example."))
    made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN, answer=[
        "www.example. 300 IN CNAME web.example.", "web.example. 300 IN A 198.51.100.7"])
    made = start("scrub_additional", "What stands beside an answer is not kept")
    made.server(COM, entry(EXACT, "www.example. IN A", answer=["www.example. 300 IN A 198.51.100.7"],
                           additional=["mail.example. 300 IN A 203.0.113.66"]), a("mail.example."))
    answered(answered(made), "mail.example.")
    made = start("alias_loop", "An alias of itself by way of another").server(
        COM, *[entry(EXACT, f"{x}.example. IN A", answer=[f"{x}.example. 300 IN CNAME {y}.example."])
               for x, y in (("www", "web"), ("web", "www"))])
    failed(made)
    made = start("alias_limit", "More aliases than are followed").server(
        COM, *[entry(EXACT, f"n{i}.example. IN A", answer=[f"n{i}.example. 300 IN CNAME n{i + 1}.example."])
               for i in range(20)])
    failed(made, "n0.example.")
    chain = [f"n{i}.example. 300 IN CNAME n{i + 1}.example." for i in range(8)]
    made = start("alias_chain", "A chain of eight aliases").server(
        COM, *[entry(EXACT, f"n{i}.example. IN A", answer=[chain[i]]) for i in range(8)], a("n8.example."))
    made.ask("n0.example.", flags="RD").expect("n0.example.", flags=PLAIN, answer=[*chain, "n8.example. 300 IN A 198.51.100.7"])
    # One forged DNAME must not lead all names below it astray: only a proven one serves names it did not come for.
    made = start("dname", "A DNAME makes an alias; unsigned, it does so for the name asked alone")
    for host, zone, first, last in (("a", "new", 0, 25), ("b", "newer", 26, 1000)):
        made.server(COM, entry("opcode subdomain", "old.example. IN A", answer=[f"old.example. 300 IN DNAME {zone}.example."],
                               adjust="copy_id copy_query"), a(f"{host}.{zone}.example."), first=first, last=last)
        made.ask(f"{host}.old.example.", flags="RD").expect(f"{host}.old.example.", flags=PLAIN, answer=[
            f"old.example. 300 IN DNAME {zone}.example.", f"{host}.old.example. 300 IN CNAME {host}.{zone}.example.",
            f"{host}.{zone}.example. 300 IN A 198.51.100.7"])
    long_label = "x" * 60
    target = ".".join([long_label] * 4) + "."
    made = start("dname_too_long", "A DNAME that makes too long a name").server(
        COM, entry("opcode subdomain", "old.example. IN A", "QR AA", "YXDOMAIN",
                   answer=[f"old.example. 300 IN DNAME {target}"], adjust="copy_id copy_query"))
    made.ask("aaaaaaaaaaaaa.old.example.", flags="RD")
    made.expect("aaaaaaaaaaaaa.old.example.", rcode="YXDOMAIN", flags=PLAIN,
                answer=[f"old.example. 300 IN DNAME {target}"])
    # Amplification.
    made = scenario("nxns", "Many servers without address")
    made.server(ROOT, entry("opcode subdomain", "example. IN NS", "QR",
                            authority=[f"example. IN NS n{i}.victim." for i in range(30)], adjust="copy_id copy_query"),
                entry("opcode subdomain", "victim. IN NS", "QR AA", "NXDOMAIN",
                      authority=[". 300 IN SOA a. b. 1 2 3 4 60"], adjust="copy_id copy_query"))
    failed(made)
    made = scenario("loop_of_zones", "Zones served by each other")
    made.server(ROOT, referral("left.", "ns.right."), referral("right.", "ns.left."))
    failed(made, "www.left.")
    # Ghost domains.
    made = scenario("ghost_domain", "A child cannot prolong its delegation")
    made.server(ROOT, entry("opcode subdomain", "example. IN NS", "QR", authority=["example. 60 IN NS ns.example."],
                            additional=[f"ns.example. 60 IN A {COM}"], adjust="copy_id copy_query"), last=35)
    made.server(ROOT, entry("opcode subdomain", "example. IN NS", "QR AA", "NXDOMAIN",
                            authority=[". 300 IN SOA a. b. 1 2 3 4 60"], adjust="copy_id copy_query"), first=36)
    made.server(COM, entry(EXACT, "www.example. IN A", answer=["www.example. 300 IN A 198.51.100.7"],
                           authority=["example. 86400 IN NS ns.example."]), a("two.example."))
    answered(made).wait(61)
    made.ask("two.example.", flags="RD").expect("two.example.", rcode="NXDOMAIN", flags=PLAIN,
                                                authority=[". 60 IN SOA a. b. 1 2 3 4 60"])
    made = scenario("priming", "The root is asked for its servers first (RFC 8109)")
    made.blocks[-1] = "\tstub-prime: yes"
    made.server(ROOT, entry(EXACT, ". IN NS", answer=[". 3600 IN NS a.root."], additional=[f"a.root. 3600 IN A {SUB}"]))
    made.server(SUB, referral("example.", "ns.example.", COM))
    answered(made.server(COM, a("www.example.")))
    # What is kept.
    made = start("cache_ttl", "TTLs count down, then the server is asked").server(COM, a("www.example."), last=55)
    answered(made).wait(100)
    made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN, match="all ttl",
                                                answer=["www.example. 200 IN A 198.51.100.7"])
    made.wait(201)
    made.server(COM, a("www.example.", "198.51.100.8"), first=56)
    answered(made, address="198.51.100.8")
    made = start("cache_negative", "A denial is kept as long as the SOA says").server(
        COM, entry(EXACT, "none.example. IN A", "QR AA", "NXDOMAIN", authority=[SOA]), last=45)
    made.server(COM, a("none.example."), first=46)
    for seconds in (0, 59):
        if seconds:
            made.wait(seconds)
        made.ask("none.example.", flags="RD").expect("none.example.", rcode="NXDOMAIN", flags=PLAIN, authority=[SOA])
    made.wait(2)
    answered(made, "none.example.")
    made = start("cache_failure", "A failure is remembered for five seconds").server(
        COM, entry("opcode", "example. IN A", "QR", "SERVFAIL", adjust="copy_id copy_query"), last=25)
    made.server(COM, a("www.example."), first=26)
    failed(failed(made)).wait(6)
    answered(made)
    made = start("cache_max_ttl", "A cap on lifetimes", ["cache-max-ttl: 10"]).server(COM, a("www.example."))
    made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN, match="all ttl",
                                                answer=["www.example. 10 IN A 198.51.100.7"])
    made = start("stale_on_failure", "What is past its time, when the servers fail",
                 ["serve-expired: yes", "serve-expired-reply-ttl: 30", "ede: yes", "ede-serve-expired: yes"])
    made.server(COM, a("www.example."), last=25)
    made.server(COM, entry("opcode", "example. IN A", "QR", "SERVFAIL", adjust="copy_id copy_query"), first=26)
    answered(made).wait(400)
    made.ask("www.example.").expect("www.example.", flags="QR RD RA DO", match="all ttl ede=3",
                                    answer=["www.example. 30 IN A 198.51.100.7"])
    made = start("stale_client_timer", "What is past its time, when a client has waited long enough",
                 ["serve-expired: yes", "serve-expired-client-timeout: 1800"])
    made.server(COM, a("www.example."), last=25)
    made.server(ROOT, entry("opcode", "example. IN A", "QR", "SERVFAIL", adjust="copy_id copy_query"), first=2000, last=2001)
    answered(made).wait(200)
    made.wait(101)
    made.ask("www.example.", flags="RD").step("NOTHING").wait(2)
    made.expect("www.example.", flags=PLAIN, answer=["www.example. 30 IN A 198.51.100.7"])
    made = start("prefetch", "A name asked for near its end is fetched meanwhile", ["prefetch: yes"])
    made.server(COM, a("www.example."), last=45)
    made.server(COM, a("www.example.", "198.51.100.8"), first=46)
    answered(made).wait(280)
    answered(made).step("TRAFFIC")
    answered(made, address="198.51.100.8")
    made = start("prefetch_denial", "That there is nothing is asked anew near its end, too", ["prefetch: yes"])
    made.server(COM, entry(EXACT, "www.example. IN A", authority=["example. 300 IN SOA a. b. 1 2 3 4 300"]), last=45)
    made.server(COM, a("www.example."), first=46)
    for seconds in (280, 0):
        made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN,
                                                    authority=["example. 300 IN SOA a. b. 1 2 3 4 300"])
        made.wait(seconds) if seconds else made.step("TRAFFIC")
    answered(made)
    made = scenario("own_servers", "Servers that only the zone itself names, when the others fail", ["do-ip6: no"])
    made.server(ROOT, referral("example.", "ns.example.", COM), referral("other.", "ns.other.", "192.0.2.3"))
    made.server(COM, entry(EXACT, "www.example. IN A", answer=["www.example. 300 IN A 198.51.100.7"], authority=[
        "example. 300 IN NS ns.example.", "example. 300 IN NS ns.two.other."]), last=25)
    made.server(COM, entry("opcode", "example. IN A", "QR", "SERVFAIL", adjust="copy_id copy_query"), first=26)
    made.server("192.0.2.3", a("ns.two.other.", "192.0.2.4"))
    made.server("192.0.2.4", a("mail.example."))
    answered(answered(made), "mail.example.")
    # Minimised names.
    made = scenario("qmin_steps", "Each server sees one label more", ["qname-minimisation: yes"])
    made.server(ROOT, entry(EXACT, "example. IN A", "QR", authority=["example. IN NS ns.example."],
                            additional=[f"ns.example. IN A {COM}"]))
    made.server(COM, entry(EXACT, "b.example. IN A", "QR AA", authority=[SOA]),
                entry(EXACT, "a.b.example. IN TXT", answer=['a.b.example. 300 IN TXT "x"']))
    made.ask("a.b.example.", "TXT", "RD").expect("a.b.example.", "TXT", flags=PLAIN, answer=['a.b.example. 300 IN TXT "x"'])
    for rcode in ("NXDOMAIN", "SERVFAIL", "REFUSED"):
        made = scenario(f"qmin_fallback_{rcode.lower()}", f"A server that says {rcode} to a minimised name",
                        ["qname-minimisation: yes"])
        made.server(ROOT, referral("example.", "ns.example.", COM))
        made.server(COM, entry(EXACT, "b.example. IN A", "QR AA", rcode, authority=[SOA] if rcode == "NXDOMAIN" else ()),
                    a("a.b.example."))
        answered(made, "a.b.example.")
    # Configured servers.
    made = scenario("forward", "A forwarder's whole chain is taken")
    made.block("forward-zone:", '\tname: "example."', f"\tforward-addr: {OTHER}")
    made.server(OTHER, entry(EXACT, "www.example. IN A", "QR RD RA", answer=["www.example. 300 IN CNAME web.example.",
                                                                        "web.example. 300 IN A 198.51.100.7"]))
    made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN, answer=[
        "www.example. 300 IN CNAME web.example.", "web.example. 300 IN A 198.51.100.7"])
    made = scenario("forward_first", "A forwarder that fails, then the servers of the zone")
    made.block("forward-zone:", '\tname: "example."', f"\tforward-addr: {OTHER}", "\tforward-first: yes")
    made.server(ROOT, referral("example.", "ns.example.", COM)).server(COM, a("www.example."))
    answered(made.server(OTHER, entry("opcode", "example. IN A", "QR RA", "SERVFAIL", adjust="copy_id copy_query")))
    made = scenario("stub", "A stub zone is not looked for from the root")
    made.block("stub-zone:", '\tname: "example."', f"\tstub-addr: {OTHER}")
    answered(made.server(OTHER, a("www.example.")))
    made = start("private_address", "A private address in a public name", ["private-address: 10.0.0.0/8"])
    made.server(COM, a("www.example.", "10.1.2.3"))
    made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN)
    made = start("private_domain", "A name that may have one",
                 ["private-address: 10.0.0.0/8", 'private-domain: "example."'])
    answered(made.server(COM, a("www.example.", "10.1.2.3")), address="10.1.2.3")
    made = start("case_of_letters", "Letters in mixed case", ["use-caps-for-id: yes"])
    answered(made.server(COM, a("www.example.")))
    made = scenario("server_alias", "A name server whose name is an alias")
    made.server(ROOT, referral("example.", "ns.other."),
                entry(EXACT, "ns.other. IN A", answer=["ns.other. 300 IN CNAME host.other."]), a("host.other.", COM))
    answered(made.server(COM, a("www.example.")))
    made = scenario("malformed_reply", "Octets that are no message, and another server",)
    made.server(ROOT, referral("example.", "ns.example.", COM, [f"ns.example. IN A {SUB}"]))
    made.ranges.append(["RANGE_BEGIN 0 1000", f"\tADDRESS {COM}", "ENTRY_BEGIN", "MATCH opcode", "ADJUST copy_id",
                        "SECTION QUESTION", "www.example. IN A", "HEX_ANSWER_BEGIN",
                        "0000 8400 0001 0001 0000 0000 03777777 07 6578616d706c65 00 0001 0001 c0", "HEX_ANSWER_END",
                        "ENTRY_END", "RANGE_END"])
    answered(made.server(SUB, a("www.example.")))


def subnet(network, bits, scope=0):
    """The option of RFC 7871 as hexadecimal octets."""
    octets = bytes(int(word) for word in network.split("."))[:(bits + 7) // 8]
    data = struct.pack("!HBB", 1, bits, scope) + octets
    return (struct.pack("!HH", 8, len(data)) + data).hex()


def subnets():
    told = EXACT + " ednsdata"
    head = ['client-subnet-zone: "example."', 'module-config: "subnetcache validator iterator"',
            "access-control: 0.0.0.0/0 allow"]

    def start(name, title):
        made = scenario(name, title, head)
        return made.server(ROOT, entry("opcode subdomain ednsdata", "example. IN NS", "QR",
                                       authority=["example. IN NS ns.example."],
                                       additional=[f"ns.example. IN A {COM}"], adjust="copy_id copy_query"))

    def tailored(network, bits, scope, address):
        return entry(told, "www.example. IN A", answer=[f"www.example. 300 IN A {address}"],
                     adjust=f"copy_id ecs_scope={scope}", options=subnet(network, bits))

    def heard(made, client, address, ttl=300):
        return made.ask("www.example.", flags="RD", client=client).expect(
            "www.example.", flags=PLAIN, match="all ttl", answer=[f"www.example. {ttl} IN A {address}"])

    made = start("subnet_networks", "Each network has its own answer, kept for it alone")
    made.server(COM, tailored("192.0.2.0", 24, 24, "198.51.100.1"), tailored("203.0.113.0", 24, 24, "198.51.100.2"),
                last=45)
    heard(heard(made, "192.0.2.77", "198.51.100.1"), "203.0.113.9", "198.51.100.2").wait(10)
    heard(heard(made, "192.0.2.99", "198.51.100.1", 290), "203.0.113.200", "198.51.100.2", 290)
    made = start("subnet_scope_wider", "An answer for a network wider than the one told serves all of it")
    made.server(COM, tailored("192.0.2.0", 24, 16, "198.51.100.1"), last=25)
    heard(made, "192.0.2.77", "198.51.100.1").wait(10)
    heard(made, "192.0.99.1", "198.51.100.1", 290)
    made = start("subnet_scope_zero", "An answer for everybody is kept for everybody")
    made.server(COM, tailored("192.0.2.0", 24, 0, "198.51.100.1"), last=25)
    heard(made, "192.0.2.77", "198.51.100.1").wait(10)
    heard(made, "203.0.113.9", "198.51.100.1", 290)
    made = start("subnet_of_client", "A client says which network it is in, and hears how far the answer goes")
    made.server(COM, tailored("192.0.2.0", 24, 24, "198.51.100.1"))
    made.ask("www.example.", client="203.0.113.9", options=subnet("192.0.2.0", 24))
    made.expect("www.example.", flags="QR RD RA DO", answer=["www.example. 300 IN A 198.51.100.1"],
                match="all ednsdata", options=subnet("192.0.2.0", 24, 24))
    made = start("subnet_opt_out", "Nothing is told of a client that does not want it")
    made.server(COM, entry("opcode subdomain", "www.example. IN A", answer=["www.example. 300 IN A 198.51.100.1"],
                           options=subnet("0.0.0.0", 0)))
    made.ask("www.example.", client="203.0.113.9", options=subnet("0.0.0.0", 0))
    made.step("CHECK_OUT_QUERY", "ENTRY_BEGIN", "MATCH qname qtype", "SECTION QUESTION", "www.example. IN A",
              "ENTRY_END")
    made.expect("www.example.", flags="QR RD RA DO", answer=["www.example. 300 IN A 198.51.100.1"],
                match="all ednsdata", options=subnet("0.0.0.0", 0))
    made = scenario("subnet_not_told", "Zones that are not named hear nothing", head)
    made.server(ROOT, referral("other.", "ns.other.", OTHER))
    made.server(OTHER, entry(told, "www.other. IN A", answer=["www.other. 300 IN A 198.51.100.1"]))
    made.ask("www.other.", flags="RD", client="192.0.2.77").expect(
        "www.other.", flags=PLAIN, answer=["www.other. 300 IN A 198.51.100.1"])


def subnet_rules():
    """What goes wrong with networks, and what else they touch: aliases, denials, signatures, renewal."""
    here, there = ("203.0.113.0", 24), ("198.51.100.0", 24)
    www, told = "www.example.", EXACT + " ednsdata"
    plain = ["client-subnet-zone: example", 'module-config: "subnetcache iterator"']

    def start(name, title, head=()):
        made = scenario(f"subnet_{name}", title, [*plain, *head])
        return made.server(ROOT, entry("opcode subdomain ednsdata", "example. IN NS", "QR",
                                       authority=["example. IN NS ns.example."],
                                       additional=[f"ns.example. IN A {COM}"], adjust="copy_id copy_query"))

    def line(address, name=www):
        return [f"{name} 300 IN A {address}"]

    def scoped(network, answer, name=www, rcode="NOERROR", authority=()):
        return entry(told, f"{name} IN A", "QR AA", rcode, answer, authority, options=subnet(*network),
                     adjust="copy_id copy_ednsdata_assume_clientsubnet")

    def untold(answer, name=www, authority=()):
        return entry(told, f"{name} IN A", answer=answer, authority=authority)

    def asks(made, network, answer, scope=24, name=www, **expected):
        return made.ask(name, flags="RD", options=subnet(*network)).expect(
            name, flags=PLAIN, match="all ednsdata", options=subnet(*network, scope), answer=answer, **expected)

    for rcode in ("REFUSED", "FORMERR"):
        made = start(f"option_{rcode.lower()}", f"A server that says {rcode} to the option")
        made.server(COM, untold(line("192.0.2.70")), entry(EXACT, f"{www} IN A", "QR", rcode))
        asks(made, here, line("192.0.2.70"), 0)
    made = start("other_network", "A reply about another network is dropped")
    made.server(COM, untold(line("192.0.2.70")),
                entry(EXACT, f"{www} IN A", answer=line("192.0.2.66"), options=subnet(*there, 24)))
    asks(made, here, line("192.0.2.70"), 0)

    made = start("alias", "An alias for one network, and where it leads")
    made.server(COM, scoped(here, [f"{www} 300 IN CNAME web.example."]),
                scoped(there, [f"{www} 300 IN CNAME other.example."]),
                entry(EXACT, "web.example. IN A", answer=line("192.0.2.71", "web.example.")),
                entry(EXACT, "other.example. IN A", answer=line("192.0.2.72", "other.example.")))
    for network, target, address in ((here, "web", "192.0.2.71"), (there, "other", "192.0.2.72"),
                                     (here, "web", "192.0.2.71")):
        asks(made, network, [f"{www} 300 IN CNAME {target}.example.", *line(address, f"{target}.example.")])

    made = start("denial", "That there is nothing is for everybody, whatever scope it has")
    made.server(COM, scoped(here, [], "none.example.", "NXDOMAIN", [SOA]), last=25)
    for network in (here, there):
        asks(made, network, [], 0, "none.example.", rcode="NXDOMAIN",
             authority=["example. 60 IN SOA ns.example. host.example. 1 3600 600 86400 60"])

    made = start("minimised", "Only the whole name goes with the network", ["qname-minimisation: yes"])
    deep = "a.b.www.example."
    made.server(COM, *(untold([], name, [SOA]) for name in ("b.www.example.", www)),
                scoped(here, line("192.0.2.71", deep), deep))
    asks(made, here, line("192.0.2.71", deep), name=deep)

    made = start("renewed", "What one network asks for is renewed for it", ["prefetch: yes"])
    made.server(COM, scoped(here, line("192.0.2.71")), last=25)
    made.server(COM, scoped(here, line("192.0.2.72")), first=30)
    asks(made, here, line("192.0.2.71"))
    made.wait(280)
    asks(made, here, line("192.0.2.71"))
    made.wait(30)
    asks(made, here, line("192.0.2.72"))

    made = start("failure", "That one network gets nothing says nothing of others")
    made.server(COM, scoped(there, line("192.0.2.72")), entry(EXACT, f"{www} IN A", "QR", "SERVFAIL"),
                *(entry(EXACT, f"ns.example. IN {qtype}", authority=[SOA]) for qtype in ("A", "AAAA")))
    made.ask(www, flags="RD", options=subnet(*here)).expect(www, rcode="SERVFAIL", match="qname qtype rcode")
    asks(made, there, line("192.0.2.72"))

    for kind, address in (("signed", "192.0.2.72"), ("forged", "192.0.2.66")):
        root, example, root_key = example_world(Key(13))
        made = scenario(f"subnet_{kind}", f"Answers for networks are validated: {kind}", [
            "client-subnet-zone: example", 'module-config: "subnetcache validator iterator"'],
            anchor=f". DS {root_key.ds('.')}")
        made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
        mine = example.lines(www, "A")
        other = [f"{www} 3600 IN A {address}", *(each for each in mine if "RRSIG" in each)]
        if kind == "signed":
            example.sets[(www, "A")] = [address]
            other = example.lines(www, "A")
        made.zone(COM, example, [("ns.example.", "A"), ("ns.example.", "AAAA")])
        made.server(COM, scoped(here, mine), scoped(there, other))

        def heard(network, answer):
            made.ask(www, options=subnet(*network))
            made.expect(www, answer=answer, match="all ednsdata", options=subnet(*network, 24))
        heard(here, mine)
        if kind == "signed":
            heard(there, other)
        else:
            made.ask(www, options=subnet(*there)).expect(www, rcode="SERVFAIL", match="qname qtype rcode ede=6")
        heard(here, mine)


def made_addresses():
    """DNS64 (RFC 6147)."""
    head = ['module-config: "dns64 validator iterator"', "dns64-prefix: 64:ff9b::/96"]
    made = scenario("dns64", "Addresses for IPv6 made of those for IPv4, where there are none", head)
    made.server(ROOT, referral("example.", "ns.example.", COM))
    made.server(COM, a("www.example.", "192.0.2.33"), entry(EXACT, "www.example. IN AAAA", authority=[SOA]),
                entry(EXACT, "six.example. IN AAAA", answer=["six.example. 300 IN AAAA 2001:db8::6"]),
                entry(EXACT, "none.example. IN AAAA", "QR AA", "NXDOMAIN", authority=[SOA]),
                entry(EXACT, "alias.example. IN AAAA", answer=["alias.example. 300 IN CNAME www.example."]))
    # RFC 6147 §5.1.7: they live no longer than that there are none does.
    made.ask("www.example.", "AAAA", "RD").expect("www.example.", "AAAA", flags=PLAIN, match="all ttl",
                                                  answer=["www.example. 60 IN AAAA 64:ff9b::c000:221"])
    made.ask("six.example.", "AAAA", "RD").expect("six.example.", "AAAA", flags=PLAIN,
                                                  answer=["six.example. 300 IN AAAA 2001:db8::6"])
    made.ask("none.example.", "AAAA", "RD").expect("none.example.", "AAAA", rcode="NXDOMAIN", flags=PLAIN,
                                                   authority=[SOA])
    made.ask("alias.example.", "AAAA", "RD").expect("alias.example.", "AAAA", flags=PLAIN, answer=[
        "alias.example. 300 IN CNAME www.example.", "www.example. 60 IN AAAA 64:ff9b::c000:221"])
    # RFC 6147 §5.3.1; there may be aliases (RFC 2317), which lead nobody to the IPv4 address here.
    made = scenario("dns64_reverse", "Names of addresses that were made", head)
    reverse = ipaddress.IPv6Address("64:ff9b::506:708").reverse_pointer + "."
    made.server(ROOT, entry(EXACT, "8.7.6.5.in-addr.arpa. IN PTR",
                            answer=["8.7.6.5.in-addr.arpa. 300 IN CNAME 8.some.7.6.5.in-addr.arpa."]),
                entry(EXACT, "8.some.7.6.5.in-addr.arpa. IN PTR",
                      answer=["8.some.7.6.5.in-addr.arpa. 200 IN PTR www.example."]))
    made.ask(reverse, "PTR", "RD").expect(reverse, "PTR", flags=PLAIN, match="all ttl",
                                          answer=[f"{reverse} 200 IN PTR www.example."])
    key = Key(13)
    example = Zone("example.", BASE, key)
    root_key = Key(13)
    root = Zone(".", [". NS ns.root.", "example. NS ns.example.", f"example. DS {key.ds('example.')}"], root_key,
                children=["example."])
    mail = [("mail.example.", "A"), ("mail.example.", "AAAA")]
    example = Zone("example.", [*BASE, "mail.example. A 192.0.2.33"], key)
    for name, title, flags, synthesised in (
            ("dns64_validated", "Made of what was proven", "RD", True),
            ("dns64_validator_behind", "Nothing is made for a client that validates itself (RFC 6147 §5.5)", "RD DO CD",
             False)):
        made = scenario(name, title, head, anchor=f". DS {root_key.ds('.')}")
        made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"]).zone(COM, example, mail)
        made.ask("mail.example.", "AAAA", flags)
        if synthesised:
            made.expect("mail.example.", "AAAA", flags=PLAIN, answer=["mail.example. 300 IN AAAA 64:ff9b::c000:221"])
        else:
            made.expect("mail.example.", "AAAA", flags="QR RD RA DO CD", authority=example.answer(*mail[1])[2])
    made = scenario("dns64_bogus", "Nothing is made of what is bogus", head, anchor=f". DS {root_key.ds('.')}")
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
    made.zone(COM, example, mail, change=lambda q, t, r, an, au: (
        r, [line.replace("192.0.2.33", "203.0.113.66") for line in an] if t == "A" else an, au))
    made.ask("mail.example.", "AAAA").expect("mail.example.", "AAAA", rcode="SERVFAIL", flags="QR RD RA DO",
                                             match="all ede=6")


def sentinel():
    """RFC 8509: a name says whether a key is trusted."""
    key, root_key = Key(13), Key(13)
    trusted, other = f"{root_key.tag:05}", f"{(root_key.tag + 1) % 65536:05}"
    names = {f"root-key-sentinel-is-ta-{trusted}": True, f"root-key-sentinel-not-ta-{trusted}": False,
             f"root-key-sentinel-is-ta-{other}": False, f"root-key-sentinel-not-ta-{other}": True}
    example = Zone("example.", [*BASE, *(f"{label}.example. A 198.51.100.9" for label in names)], key)
    root = Zone(".", [". NS ns.root.", "example. NS ns.example.", f"example. DS {key.ds('example.')}"], root_key,
                children=["example."])
    made = scenario("sentinel", "Names that say which keys of the root are trusted", anchor=f". DS {root_key.ds('.')}")
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
    made.zone(COM, example, [*((f"{label}.example.", "A") for label in names), ("alias.example.", "A")])
    for label, answered in names.items():
        name = f"{label}.example."
        if answered:
            made.both(name, answer=example.answer(name, "A")[1])
        else:
            made.both(name, rcode="SERVFAIL", flags="QR RD RA DO")
    # §3.1: other types, and other depths, are names like any.
    made = scenario("sentinel_off", "Names of sentinels are names like any where that is switched off",
                    ["root-key-sentinel: no"], anchor=f". DS {root_key.ds('.')}")
    made.zone(ROOT, root, [], ["ns.example. 3600 IN A 192.0.2.2"])
    name = f"root-key-sentinel-not-ta-{trusted}.example."
    made.zone(COM, example, [(name, "A")]).both(name, answer=example.answer(name, "A")[1])


def local_only():
    """Names that no stranger has an answer for (RFC 6303, 6761, 7686, 8375)."""
    made = scenario("local_only", "Names of this network are asked of nobody")
    for name, qtype, apex in (("nas.home.arpa.", "A", "home.arpa."), ("x.onion.", "A", "onion."),
                              ("www.test.", "A", "test."), ("9.9.9.10.in-addr.arpa.", "A", "10.in-addr.arpa.")):
        made.ask(name, qtype, "RD").expect(name, qtype, rcode="NXDOMAIN", flags="QR AA RD RA", match="all whole", authority=[
            f"{apex} 10800 IN SOA {apex} nobody.invalid. 1 3600 1200 604800 10800"])
    made.ask("localhost.", flags="RD").expect("localhost.", flags="QR AA RD RA", match="all whole",
                                              answer=["localhost. 10800 IN A 127.0.0.1"])
    made = scenario("local_only_stub", "Names of this network are asked of those who are named for them")
    made.block("stub-zone:", '\tname: "home.arpa."', f"\tstub-addr: {OTHER}")
    made.server(OTHER, a("nas.home.arpa.", "10.1.2.3"))
    made.ask("nas.home.arpa.", flags="RD").expect("nas.home.arpa.", flags=PLAIN,
                                                  answer=["nas.home.arpa. 300 IN A 10.1.2.3"])
    made = scenario("local_only_off", "Names of this network are looked for where that is wanted",
                    ['local-zone: "home.arpa." nodefault'])
    made.server(ROOT, referral("home.arpa.", "ns.home.arpa.", OTHER)).server(OTHER, a("nas.home.arpa.", "10.1.2.3"))
    made.ask("nas.home.arpa.", flags="RD").expect("nas.home.arpa.", flags=PLAIN,
                                                  answer=["nas.home.arpa. 300 IN A 10.1.2.3"])


def more_of_the_stale():
    made = scenario("stale_at_once", "What is past its time at once, and fetched meanwhile",
                    ["serve-expired: yes", "serve-expired-client-timeout: 0", "serve-expired-reply-ttl: 30"])
    made.server(ROOT, referral("example.", "ns.example.", COM))
    made.server(COM, a("www.example."), last=25).server(COM, a("www.example.", "198.51.100.8"), first=26)
    for address, ttl, wait in (("198.51.100.7", 300, 301), ("198.51.100.7", 30, 0), ("198.51.100.8", 300, 0)):
        made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN, match="all ttl",
                                                    answer=[f"www.example. {ttl} IN A {address}"])
        made.wait(wait) if wait else made.step("TRAFFIC")
    made = scenario("stale_too_old", "What is past its time for longer than it may be is not given out",
                    ["serve-expired: yes", "serve-expired-ttl: 3600"])
    made.server(ROOT, referral("example.", "ns.example.", COM))
    made.server(COM, a("www.example."), last=25)
    made.server(COM, entry("opcode", "example. IN A", "QR", "SERVFAIL", adjust="copy_id copy_query"), first=26)
    made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN,
                                                answer=["www.example. 300 IN A 198.51.100.7"])
    made.wait(4000).ask("www.example.", flags="RD").expect("www.example.", rcode="SERVFAIL", flags=PLAIN)
    made = scenario("stale_denial", "That a name is not there, past its time",
                    ["serve-expired: yes", "serve-expired-reply-ttl: 30", "ede: yes", "ede-serve-expired: yes"])
    made.server(ROOT, referral("example.", "ns.example.", COM))
    made.server(COM, entry(EXACT, "none.example. IN A", "QR AA", "NXDOMAIN", authority=[SOA]), last=25)
    made.server(COM, entry("opcode", "example. IN A", "QR", "SERVFAIL", adjust="copy_id copy_query"), first=26)
    made.ask("none.example.", flags="RD").expect("none.example.", rcode="NXDOMAIN", flags=PLAIN, authority=[SOA])
    made.wait(100).ask("none.example.").expect("none.example.", rcode="NXDOMAIN", flags="QR RD RA DO",
                                               authority=[SOA], match="all ede=19")
    made = scenario("forward_first_silent", "A forwarder that says nothing, then the servers of the zone")
    made.block("forward-zone:", '\tname: "example."', f"\tforward-addr: {OTHER}", "\tforward-first: yes")
    made.server(ROOT, referral("example.", "ns.example.", COM)).server(COM, a("www.example."))
    made.ask("www.example.", flags="RD").expect("www.example.", flags=PLAIN,
                                                answer=["www.example. 300 IN A 198.51.100.7"])
    made = scenario("forward_only_silent", "A forwarder that says nothing, and nobody else may be asked")
    made.block("forward-zone:", '\tname: "example."', f"\tforward-addr: {OTHER}")
    made.server(ROOT, referral("example.", "ns.example.", COM)).server(COM, a("www.example."))
    made.ask("www.example.", flags="RD").expect("www.example.", rcode="SERVFAIL", flags=PLAIN)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "scenarios")
    folder.mkdir(parents=True, exist_ok=True)
    for part in (signed, tampered, delegations, aggressive, indeterminate, too_long, judged_late, keytrap, keytrap_keys, iterations,
                 followed_keys, subnets, subnet_rules, made_addresses, sentinel, local_only, more_of_the_stale,
                 unsigned):
        part()
    for made in SCENARIOS:
        made.write(folder)
    print(f"{len(SCENARIOS)} scenarios in {folder}")


if __name__ == "__main__":
    main()
