"""A DoH server over HTTP/2 that misbehaves as it is told: no library, so that it can break every rule."""

import socket
import ssl
import struct

from bad_upstream import BadUpstream

DATA, HEADERS, RESET, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4
STATUS = {200: b"\x88", 404: b"\x8d", 500: b"\x8e"}  # the static table (RFC 7541 appendix A)
CONTENT_TYPE = 31
HTTP_MODES = (
    "http_404",
    "http_500",
    "wrong_type",  # the right message, called text/html
    "empty",  # 200 without a body
    "oversized",  # a body that goes on for ever
    "reset",  # RST_STREAM in place of an answer
    "goaway",  # GOAWAY that disowns the request, and the end
    "drain",  # answers a few, then GOAWAY: the next request is not worked on and belongs on a new connection
    "http_garbage",  # octets that are no frames
)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(status, content_type):
    # content-type: a literal that is not indexed, its name from the static table (RFC 7541 §6.2.2).
    name = bytes([0x0F, CONTENT_TYPE - 15, len(content_type)]) + content_type.encode()
    return STATUS[status] + name


class BadDohUpstream(BadUpstream):
    """`https_port` beside what its parent has; the modes of both. After so many answers `drain` sends its GOAWAY."""

    DRAIN_AFTER = 20

    def __init__(self, address, certificate):
        super().__init__(address, certificate=certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        context.set_alpn_protocols(["h2"])
        self.https = socket.create_server(("127.0.0.1", 0))
        self.https_port = self.https.getsockname()[1]
        self.start(self.accept_https, context)

    def stop(self):
        self.https.close()
        super().stop()

    def accept_https(self, context):
        while True:
            try:
                client, _ = self.https.accept()
            except OSError:
                return
            self.start(self.serve_https, client, context)

    def serve_https(self, client, context):
        try:
            client.settimeout(60)
            client = context.wrap_socket(client, server_side=True)
            with self.lock:
                self.connections.add(client)
            self.asked["https_connections"] += 1
            self.read(client, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
            client.sendall(frame(SETTINGS, 0, 0))
            bodies, answered = {}, 0
            while True:
                size, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.read(client, 9))
                payload = self.read(client, size)
                if kind == SETTINGS and not flags & 1:
                    client.sendall(frame(SETTINGS, 1, 0))
                if kind not in (HEADERS, DATA):
                    continue
                bodies[stream] = bodies.get(stream, b"") + (payload if kind == DATA else b"")
                if flags & END_STREAM:
                    self.asked["https"] += 1
                    if not self.respond(client, stream, bodies.pop(stream), answered):
                        return
                    answered += 1
        except (OSError, EOFError, struct.error):
            pass
        finally:
            with self.lock:
                self.connections.discard(client)
            client.close()

    def respond(self, client, stream, query, answered):
        """Says something to one request; false where that was the end of the connection."""
        mode = self.mode
        if mode == "close":
            return False
        if mode == "http_garbage":
            client.sendall(b"\xff" * 200)
            return True
        if mode == "reset":
            client.sendall(frame(RESET, 0, stream, struct.pack(">I", 2)))
            return True
        if mode == "goaway" or (mode == "drain" and answered >= self.DRAIN_AFTER):
            done = 0 if mode == "goaway" else stream - 2
            client.sendall(frame(GOAWAY, 0, 0, struct.pack(">II", done, 0)))
            return False
        if mode in HTTP_MODES:
            self.send_response(client, stream, *self.spoilt_response(mode, query))
            return True
        for delay, message in self.answers(query, True):
            self.later(delay, lambda message=message: self.send_response(client, stream, 200, "application/dns-message", message))
        return True

    def spoilt_response(self, mode, query):
        good = self.response(query, self.question(query))
        status = {"http_404": 404, "http_500": 500}.get(mode, 200)
        content_type = "text/html" if mode == "wrong_type" else "application/dns-message"
        return status, content_type, {"empty": b"", "oversized": good + bytes(100_000)}.get(mode, good)

    @staticmethod
    def send_response(client, stream, status, content_type, body):
        data = frame(HEADERS, END_HEADERS, stream, headers(status, content_type))
        pieces = [body[i : i + 16_000] for i in range(0, len(body), 16_000)] or [b""]
        for piece in pieces[:-1]:
            data += frame(DATA, 0, stream, piece)
        client.sendall(data + frame(DATA, END_STREAM, stream, pieces[-1]))
