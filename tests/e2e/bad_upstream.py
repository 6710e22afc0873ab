#!/usr/bin/env python3
"""A name server that misbehaves as it is told, over UDP and TCP on one port, and over TLS on another.

In a test: `bad = BadUpstream(); bad.mode = "stall"`. By hand: `bad_upstream.py PORT`, then one mode a line on standard
input. The mode may change at any time; it holds for each query that comes in from then on.
"""

import collections
import random
import socket
import ssl
import struct
import sys
import threading
import time

MODES = (
    "good",
    "wrong_id",  # an id that nobody sent
    "wrong_question",  # another name in the question
    "wrong_case",  # letters in lower case, whatever they were
    "not_response",  # QR not set
    "garbage",  # octets at random behind the right id
    "truncated",  # TC over UDP always
    "truncated_everywhere",  # TC over TCP too
    "half",  # the first half of the message; over TCP behind a length of the whole
    "close",  # TCP: closes in place of an answer; UDP: silence
    "stall",  # never answers
    "slow",  # answers after `delay` seconds
    "servfail",
    "refused",
    "formerr",  # as long as there is EDNS
    "flood",  # ten forged answers before the right one
)


class BadUpstream:
    def __init__(self, address="192.0.2.66", mode="good", certificate=None, port=0):
        self.address, self.mode, self.delay = socket.inet_aton(address), mode, 1.0
        self.asked = collections.Counter()  # queries by transport
        self.connections = set()
        self.lock = threading.Lock()
        self.udp, self.tcp = self.bind_both(port)
        self.port = self.udp.getsockname()[1]
        self.tls, self.context = None, None
        self.start(self.serve_udp)
        self.start(self.accept, self.tcp, None)
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
            self.tls = socket.create_server(("127.0.0.1", 0))
            self.tls_port = self.tls.getsockname()[1]
            self.start(self.accept, self.tls, self.context)

    @staticmethod
    def bind_both(port):
        for _ in range(100):
            udp = socket.socket(type=socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", port))
            try:
                return udp, socket.create_server(("127.0.0.1", udp.getsockname()[1]))
            except OSError:
                udp.close()
                if port:
                    raise
        raise RuntimeError("no free port")

    @staticmethod
    def start(work, *arguments):
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def stop(self):
        for listener in (self.udp, self.tcp, self.tls):
            if listener:
                listener.close()
        self.drop_connections()

    def drop_connections(self):
        with self.lock:
            for one in self.connections:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            self.asked["udp"] += 1
            for delay, message in self.answers(query, False):
                self.later(delay, lambda message=message, peer=peer: self.udp.sendto(message, peer))

    def later(self, delay, work):
        def run():
            try:
                work()
            except (OSError, ValueError):
                pass  # stopped, or the other side went

        if delay:
            threading.Timer(delay, run).start()
        else:
            run()

    def accept(self, listener, context):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.start(self.serve_stream, client, context)

    def serve_stream(self, client, context):
        try:
            client.settimeout(60)
            if context:
                client = context.wrap_socket(client, server_side=True)
            with self.lock:
                self.connections.add(client)
            while True:
                query = self.read(client, struct.unpack(">H", self.read(client, 2))[0])
                self.asked["tls" if context else "tcp"] += 1
                if self.mode == "close":
                    return
                for delay, message in self.answers(query, True):
                    size = len(message) * 2 if self.mode == "half" else len(message)
                    self.later(delay, lambda data=struct.pack(">H", size) + message: client.sendall(data))
        except (OSError, EOFError, struct.error):
            pass
        finally:
            with self.lock:
                self.connections.discard(client)
            client.close()

    @staticmethod
    def read(client, size):
        data = b""
        while len(data) < size:
            chunk = client.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def answers(self, query, stream):
        """Pairs of delay and message; what is sent for one query."""
        mode = self.mode
        if mode == "stall" or (mode == "close" and not stream):
            return []
        question = self.question(query)
        good = self.response(query, question)
        if mode == "slow":
            return [(self.delay, good)]
        if mode == "flood":
            forged = [self.response(query, question, ident=random.randrange(65536)) for _ in range(10)]
            return [(0, one) for one in forged + [good]]
        if mode == "truncated" and stream:
            return [(0, good)]
        return [(0, self.spoilt(mode, query, question, good))]

    def spoilt(self, mode, query, question, good):
        ident = struct.unpack(">H", query[:2])[0]
        if mode == "wrong_id":
            return self.response(query, question, ident=ident ^ 0x5555)
        if mode == "wrong_question":
            return self.response(query, b"\x05wrong" + question)
        if mode == "wrong_case":
            return self.response(query, question[:-4].lower() + question[-4:])
        if mode == "not_response":
            return query
        if mode == "garbage":
            return query[:2] + random.randbytes(random.randrange(200))
        if mode in ("truncated", "truncated_everywhere"):
            return self.response(query, question, flags=0x8380, answers=0)
        if mode == "half":
            return good[: len(good) // 2]
        if mode == "servfail":
            return self.response(query, question, flags=0x8182, answers=0)
        if mode == "refused":
            return self.response(query, question, flags=0x8185, answers=0)
        if mode == "formerr" and query[10:12] != b"\0\0":
            return self.response(query, question, flags=0x8181, answers=0)
        return good

    @staticmethod
    def question(query):
        end = 12
        while query[end]:
            end += query[end] + 1
        return query[12 : end + 5]

    def response(self, query, question, ident=None, flags=0x8180, answers=1):
        ident = struct.unpack(">H", query[:2])[0] if ident is None else ident
        data = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + self.address if answers else b""
        return struct.pack(">HHHHHH", ident, flags, 1, answers, 0, 0) + question + data


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit(f"usage: bad_upstream.py PORT    modes on standard input: {' '.join(MODES)}")
    bad = BadUpstream(port=int(sys.argv[1]))
    print(f"127.0.0.1:{bad.port}", flush=True)
    for line in sys.stdin:
        if line.strip() in MODES:
            bad.mode = line.strip()
        else:
            print(f"no such mode; one of {' '.join(MODES)}", flush=True)


if __name__ == "__main__":
    main()
