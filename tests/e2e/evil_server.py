"""A name server that means harm: under each of its zones it answers as one of the known attacks on resolvers does."""

import hashlib
import multiprocessing
import os
import random
import signal
import socket
import struct
import threading

A, NS, CNAME, SOA, TXT, AAAA, DS, RRSIG, DNSKEY = 1, 2, 5, 6, 16, 28, 43, 46, 48
ED25519 = 15
# The zones, each a delegation of the top-level domain `tld`.
ZONES = ("nxns", "victim", "chain", "ladder", "sideways", "silent", "huge", "forged", "truncating", "keytrap")


def name(text):
    return b"".join(bytes([len(label)]) + label for label in text.encode().strip(b".").split(b".") if label) + b"\0"


def record(owner, kind, rdata, ttl=300):
    return (owner if isinstance(owner, bytes) else name(owner)) + struct.pack(">HHIH", kind, 1, ttl, len(rdata)) + rdata


def key_tag(rdata):
    """RFC 4034 appendix B."""
    total = sum(octet << 8 if at % 2 == 0 else octet for at, octet in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF


def keys_with_one_tag(count, tag=4711):
    """DNSKEY RDATA that all have the same key tag: CVE-2023-50387 wants many of them."""
    made = []
    while len(made) < count:
        rdata = struct.pack(">HBB", 257, 3, ED25519) + os.urandom(30)
        rest = (tag - key_tag(rdata + b"\0\0")) & 0xFFFF
        rdata += struct.pack(">H", rest)
        if key_tag(rdata) == tag:
            made.append(rdata)
    return made


KEYS = keys_with_one_tag(16)


def keytrap_ds():
    """The DS record that makes a validator want those keys, in zone text."""
    digest = hashlib.sha256(name("keytrap.tld") + KEYS[0]).hexdigest()
    return f"keytrap.tld. 300 DS 4711 {ED25519} 2 {digest}\n"


def signatures(owner, kind, count):
    """RRSIG records of which none holds."""
    labels = len([label for label in owner.split(".") if label])
    head = struct.pack(">HBBIIIH", kind, ED25519, labels, 300, 0x7F000000, 0x60000000, 4711) + name("keytrap.tld")
    return [record(owner, RRSIG, head + os.urandom(64)) for _ in range(count)]


def delegations():
    """For the top-level domain; `{evil}` is the address of this server."""
    text = "".join(f"{zone}.tld. 300 NS ns.{zone}.tld.\nns.{zone}.tld. 300 A {{evil}}\n" for zone in ZONES)
    return text + keytrap_ds()


class Question:
    def __init__(self, message):
        at, labels = 12, []
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
            at += 1 + message[at]
        self.message, self.labels = message, [label.lower() for label in labels]
        self.spelled = message[12:at + 1]
        self.kind = struct.unpack(">H", message[at + 1:at + 3])[0]
        self.raw = message[12:at + 5]
        self.name = ".".join(self.labels)
        self.zone = self.labels[-2] if len(self.labels) >= 2 else ""
        self.below = self.labels[:-2]

    def reply(self, answers=(), authority=(), additional=(), rcode=0, flags=0x8400, ident=None):
        counts = struct.pack(">HHHH", 1, len(answers), len(authority), len(additional))
        return ((ident or self.message[:2]) + struct.pack(">H", flags | rcode) + counts + self.raw +
                b"".join([*answers, *authority, *additional]))


class EvilServer:
    """`with EvilServer(address, port) as evil:` a process of its own."""

    def __init__(self, address, port):
        self.address, self.port = address, port
        self.counts = multiprocessing.Array("Q", len(ZONES) * 2)  # queries over UDP, over TCP, by zone
        self.process = None

    def __enter__(self):
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.udp.bind((self.address, self.port))
        self.tcp = socket.create_server((self.address, self.port))
        self.process = multiprocessing.get_context("fork").Process(target=self._run, daemon=True)
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()
        self.udp.close()
        self.tcp.close()

    def give_way(self):
        """What it costs to attack is not what is measured."""
        os.setpriority(os.PRIO_PROCESS, self.process.pid, 19)

    def asked(self, zone, tcp=False):
        return self.counts[ZONES.index(zone) * 2 + tcp]

    # ---- in the process

    def _run(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        threading.Thread(target=self._accept, daemon=True).start()
        while True:
            message, peer = self.udp.recvfrom(4096)
            for reply in self._answer(message, False):
                try:
                    self.udp.sendto(reply, peer)
                except OSError:
                    pass

    def _accept(self):
        while True:
            stream, _ = self.tcp.accept()
            threading.Thread(target=self._stream, args=(stream,), daemon=True).start()

    def _stream(self, stream):
        with stream:
            try:
                while True:
                    size = stream.recv(2, socket.MSG_WAITALL)
                    if len(size) < 2:
                        return
                    message = stream.recv(struct.unpack(">H", size)[0], socket.MSG_WAITALL)
                    for reply in self._answer(message, True):
                        stream.sendall(struct.pack(">H", len(reply)) + reply)
                    if Question(message).zone == "truncating":
                        return
            except OSError:
                pass

    def _answer(self, message, tcp):
        try:
            question = Question(message)
        except (IndexError, struct.error):
            return []
        if question.zone not in ZONES:
            return [question.reply(rcode=5)]
        with self.counts.get_lock():
            self.counts[ZONES.index(question.zone) * 2 + tcp] += 1
        return getattr(self, "_" + question.zone)(question, tcp)

    def _soa(self, question):
        zone = f"{question.zone}.tld"
        return record(zone, SOA, name(f"ns.{zone}") + name(f"h.{zone}") + struct.pack(">IIIII", 1, 60, 60, 60, 1), 1)

    def _nothing(self, question, rcode=0):
        return [question.reply(authority=[self._soa(question)], rcode=rcode)]

    def _referral(self, question, cut, servers, glue=()):
        return [question.reply(authority=[record(cut, NS, name(server)) for server in servers], additional=list(glue),
                               flags=0x8000)]

    def _nxns(self, question, _):
        """A referral to many servers without an address (NXNSAttack)."""
        if not question.below:
            return self._nothing(question)
        label = question.below[-1]
        return self._referral(question, f"{label}.nxns.tld", [f"{label}-{at}.victim.tld" for at in range(40)])

    def _victim(self, question, _):
        return self._nothing(question, 3 if question.below else 0)

    def _chain(self, question, _):
        """An alias of an alias, without end."""
        if not question.below or question.kind not in (A, AAAA):
            return self._nothing(question)
        target = f"{random.getrandbits(64):x}.chain.tld"
        return [question.reply([record(question.spelled, CNAME, name(target))])]

    def _ladder(self, question, _):
        """Every name is a delegation, and its server one of this kind: one step down costs a query, and there are many."""
        if not question.below:
            return self._nothing(question)
        server = f"ns.{question.name}"
        return self._referral(question, question.name, [server], [record(server, A, socket.inet_aton(self.address))])

    def _sideways(self, question, _):
        """Zones whose servers have their names in each other."""
        if not question.below:
            return self._nothing(question)
        label = question.below[-1]
        other = label[:-1] + ("b" if label.endswith("a") else "a")
        return self._referral(question, f"{label}.sideways.tld", [f"ns{at}.{other}.sideways.tld" for at in range(8)])

    def _silent(self, _question, _):
        return []

    def _huge(self, question, tcp):
        if not question.below or question.kind != A:
            return self._nothing(question)
        if not tcp:
            return [question.reply(flags=0x8600)]
        return [question.reply([record(question.spelled, A, struct.pack(">I", 0xC0000200 + at)) for at in range(1200)])]

    def _forged(self, question, tcp):
        """Replies that almost fit come before the one that does."""
        if not question.below or question.kind != A:
            return self._nothing(question)
        right = question.reply([record(question.spelled, A, socket.inet_aton("192.0.2.7"))])
        wrong = [record(question.spelled, A, socket.inet_aton("192.0.2.66"))]
        return [right] if tcp else [*(question.reply(wrong, ident=os.urandom(2)) for _ in range(20)), right]

    def _truncating(self, question, tcp):
        """Never whole over UDP, and TCP ends before an answer."""
        return [] if tcp else [question.reply(flags=0x8600)]

    def _keytrap(self, question, tcp):
        """Many keys with one tag, many signatures by that tag: each pair would have to be tried."""
        if not tcp and question.kind in (A, DNSKEY):
            return [question.reply(flags=0x8600)]
        if question.kind == DNSKEY and not question.below:
            return [question.reply([record(question.spelled, DNSKEY, key) for key in KEYS] +
                                   signatures(question.name, DNSKEY, 200))]
        if question.kind == A:
            return [question.reply([record(question.spelled, A, socket.inet_aton("192.0.2.1"))] +
                                   signatures(question.name, A, 200))]
        return self._nothing(question)
