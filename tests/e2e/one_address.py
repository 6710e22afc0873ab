"""An upstream that answers every question with one address, or falls silent, and remembers what it was asked."""

import socket
import struct
import threading


class Upstream(threading.Thread):
    def __init__(self, ttl):
        super().__init__(daemon=True)
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.ttl, self.address, self.silent = ttl, "192.0.2.55", False
        self.asked = []  # questions but for probes
        self.start()

    def close(self):
        self.socket.close()

    def run(self):
        while True:
            try:
                message, peer = self.socket.recvfrom(65535)
            except OSError:
                return
            end = message.index(b"\0", 12) + 5
            if message[end - 4:end - 2] == b"\0\1":  # probes ask for NS
                self.asked.append(message[12:end])
            if self.silent:
                continue
            answer = message[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + message[12:end]
            answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, self.ttl, 4) + socket.inet_aton(self.address)
            self.socket.sendto(answer, peer)


def ttl_of(message):
    """Of the first record."""
    end = message.index(b"\0", 12) + 5
    return struct.unpack(">I", message[end + 6:end + 10])[0]
