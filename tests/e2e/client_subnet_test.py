#!/usr/bin/env python3
"""Name servers that answer each network in its own way (RFC 7871): whom the gateway tells of what, whose answers reach
whom, and that nothing is told where nothing was configured."""

import ipaddress
import os
import socket
import struct
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import PATIENCE, PATIENT_RECURSION, Gateway, ask_udp, framed, free_port, header, query, read_framed  # noqa: E402

SUBNET = 8
NOERROR, FORMERR = 0, 1
UNTOLD = "198.51.100.250"


def option(network, scope=0):
    """The EDNS option of a network as clients and servers write it."""
    network = ipaddress.ip_network(network)
    octets = network.network_address.packed[:(network.prefixlen + 7) // 8]
    data = struct.pack(">HBB", 1 if network.version == 4 else 2, network.prefixlen, scope) + octets
    return struct.pack(">HH", SUBNET, len(data)) + data


def skip_name(message, at):
    while message[at] and message[at] < 0xC0:
        at += 1 + message[at]
    return at + (1 if message[at] == 0 else 2)


def records(message):
    """(section, type, RDATA) of each record."""
    at = skip_name(message, 12) + 4
    found = []
    for section, count in enumerate(struct.unpack(">HHH", message[6:12])):
        for _ in range(count):
            at = skip_name(message, at)
            kind, _, _, size = struct.unpack(">HHIH", message[at:at + 10])
            found.append((section, kind, message[at + 10:at + 10 + size]))
            at += 10 + size
    return found


def subnet_of(message):
    """The data of the option, or None."""
    for _, kind, rdata in records(message):
        while kind == 41 and len(rdata) >= 4:
            code, size = struct.unpack(">HH", rdata[:4])
            if code == SUBNET:
                return rdata[4:4 + size]
            rdata = rdata[4 + size:]
    return None


def address_of(message):
    return next((socket.inet_ntoa(rdata) for section, kind, rdata in records(message) if section == 0 and kind == 1), None)


class TailoringServer:
    """Answers any A query: networks that differ in their first 16 bits differently. Names that begin with `all` are the
    same for everybody, those that begin with `no` are refused where a network is told."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = []  # (name, what was told)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            message, client = self.socket.recvfrom(4096)
            if not message:
                return
            self.socket.sendto(self.answer(message), client)

    def answer(self, message):
        end = skip_name(message, 12) + 4
        first = message[13:13 + message[12]].decode().lower()
        told = subnet_of(message)
        self.asked.append((first, told))
        rcode = 5 if told and first.startswith("no") else 0
        last = told[5] if told and len(told) > 5 and not first.startswith("all") else 250
        answer = struct.pack(">HHHHHH", header(message)["id"], 0x8400 | rcode, 1, 0 if rcode else 1, 0, 1) + message[12:end]
        if not rcode:
            answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 300, 4) + bytes([198, 51, 100, last])
        options = b""
        if told:
            scope = 0 if first.startswith("all") else 16
            data = told[:3] + bytes([scope]) + told[4:]
            options = struct.pack(">HH", SUBNET, len(data)) + data
        return answer + b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(options)) + options

    def told(self, first):
        return [told for name, told in self.asked if name == first]

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(PATIENCE)
        self.socket.close()


class Telling(Gateway):
    def __init__(self, server, client_subnet):
        self.server = server
        self.port = free_port()
        super().__init__(config=self.written(client_subnet))

    def written(self, client_subnet):
        # One worker: what is kept for one network is kept by each for itself.
        return (f"workers: 1\nlisten: [{{ do53: {{ on: ['127.0.0.1:{self.port}'] }} }}]\n"
                "resolve:\n  mode: recurse\n  allow_loopback: true\n  prime: false\n"
                f"  dnssec: {{ validate: false }}\n  {PATIENT_RECURSION}\n"
                "  stubs:\n"
                f"    - {{ zone: cdn.tld, servers: ['127.0.0.1:{self.server.port}'] }}\n"
                f"    - {{ zone: other.tld, servers: ['127.0.0.1:{self.server.port}'] }}\n" + client_subnet)

    def ask(self, name, network=None, options=None):
        if options is None:
            options = option(network) if network else b""
        return ask_udp(self.port, query(name, 1, 4711, edns={"options": options}))

    def ask_tcp(self, name, network):
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as stream:
            stream.sendall(framed(query(name, 1, 4711, edns={"options": option(network)})))
            return read_framed(stream)


class ClientSubnet(unittest.TestCase):
    def setUp(self):
        self.server = TailoringServer()
        self.addCleanup(self.server.stop)

    def gate(self, client_subnet="  client_subnet: { zones: [cdn.tld], from_clients: true }\n"):
        gate = Telling(self.server, client_subnet)
        self.addCleanup(gate.stop)
        return gate

    def scope_of(self, answer):
        data = subnet_of(answer)
        return None if data is None else data[3]

    def test_each_network_gets_its_own_answer_and_its_neighbours_the_same(self):
        gate = self.gate()
        first = gate.ask("www.cdn.tld", "203.7.1.0/24")
        self.assertEqual((address_of(first), self.scope_of(first)), ("198.51.100.7", 16))
        self.assertEqual(subnet_of(first), option("203.7.1.0/24", 16)[4:])
        second = gate.ask("www.cdn.tld", "203.8.1.0/24")
        self.assertEqual((address_of(second), self.scope_of(second)), ("198.51.100.8", 16))
        asked = len(self.server.asked)
        neighbour = gate.ask_tcp("www.cdn.tld", "203.7.99.0/24")
        self.assertEqual((address_of(neighbour), self.scope_of(neighbour)), ("198.51.100.7", 16))
        self.assertEqual(len(self.server.asked), asked, "it was not kept for the network")
        self.assertEqual(self.server.told("www"), [option("203.7.1.0/24")[4:], option("203.8.1.0/24")[4:]])
        counters = gate.counters()
        self.assertEqual(counters["sallyport_recursion_subnets_told_total"], 2)
        self.assertEqual(counters["sallyport_recursion_subnets_scoped_total"], 2)
        self.assertEqual(counters["sallyport_recursion_subnets_stored_total"], 2)

    def test_no_more_is_told_than_configured(self):
        gate = self.gate("  client_subnet: { zones: [cdn.tld], from_clients: true, ipv4_bits: 20, ipv6_bits: 32 }\n")
        gate.ask("www.cdn.tld", "203.7.31.0/24")
        gate.ask("www.cdn.tld", "2001:db8:1:2::/64")
        self.assertEqual(self.server.told("www"), [option("203.7.16.0/20")[4:], option("2001:db8::/32")[4:]])

    def test_who_is_not_told_of_has_answers_of_his_own(self):
        gate = self.gate()
        silent = gate.ask("www.cdn.tld", "0.0.0.0/0")
        self.assertEqual((address_of(silent), subnet_of(silent)), (UNTOLD, option("0.0.0.0/0")[4:]))
        # Our own address is a private one: no word of it leaves.
        private = gate.ask("www.cdn.tld")
        self.assertEqual((address_of(private), subnet_of(private)), (UNTOLD, None))
        self.assertEqual(self.server.told("www"), [None])
        # And what they were told does not reach those who are to be served by their network.
        self.assertEqual(address_of(gate.ask("www.cdn.tld", "203.7.1.0/24")), "198.51.100.7")
        self.assertEqual(address_of(gate.ask("www.cdn.tld")), UNTOLD)
        self.assertEqual(len(self.server.asked), 2)

    def test_other_zones_are_told_nothing(self):
        gate = self.gate()
        answer = gate.ask("www.other.tld", "203.7.1.0/24")
        self.assertEqual((address_of(answer), self.scope_of(answer)), (UNTOLD, 0))
        self.assertEqual(address_of(gate.ask("www.other.tld", "203.8.1.0/24")), UNTOLD)
        self.assertEqual(self.server.told("www"), [None])

    def test_what_is_for_everybody_is_asked_for_once(self):
        gate = self.gate()
        for network in ("203.7.1.0/24", "203.8.1.0/24", "0.0.0.0/0", None):
            answer = gate.ask("all.cdn.tld", network)
            self.assertEqual((address_of(answer), self.scope_of(answer)), (UNTOLD, 0 if network else None))
        self.assertEqual(len(self.server.asked), 1)

    def test_a_server_that_refuses_the_option_is_asked_without(self):
        gate = self.gate()
        self.assertEqual(address_of(gate.ask("no.cdn.tld", "203.7.1.0/24")), UNTOLD)
        self.assertEqual(self.server.told("no"), [option("203.7.1.0/24")[4:], None])
        self.assertEqual(address_of(gate.ask("no2.cdn.tld", "203.7.1.0/24")), UNTOLD)
        self.assertEqual(self.server.told("no2"), [None])

    def test_clients_are_believed_only_where_that_is_wanted(self):
        gate = self.gate("  client_subnet: { zones: [cdn.tld] }\n")
        answer = gate.ask("www.cdn.tld", "203.7.1.0/24")
        self.assertEqual((address_of(answer), self.scope_of(answer)), (UNTOLD, 0))
        self.assertEqual(self.server.told("www"), [None])

    def test_an_option_that_cannot_be_read_is_a_format_error(self):
        gate = self.gate()
        bad = struct.pack(">HHHBBB", SUBNET, 5, 1, 24, 0, 203)
        answer = gate.ask("www.cdn.tld", options=bad)
        self.assertEqual((header(answer)["rcode"], subnet_of(answer)), (FORMERR, None))

    def test_nothing_is_told_where_nothing_is_configured(self):
        gate = self.gate("")
        for network in ("203.7.1.0/24", "203.8.1.0/24", "0.0.0.0/0"):
            answer = gate.ask("www.cdn.tld", network)
            self.assertEqual((header(answer)["rcode"], address_of(answer), subnet_of(answer)), (NOERROR, UNTOLD, None))
        self.assertEqual(self.server.told("www"), [None])
        bad = struct.pack(">HHHBBB", SUBNET, 5, 1, 24, 0, 203)
        self.assertEqual(header(gate.ask("www.cdn.tld", options=bad))["rcode"], NOERROR)

    def test_switched_off_nothing_of_it_stays(self):
        gate = self.gate()
        self.assertEqual(address_of(gate.ask("www.cdn.tld", "203.7.1.0/24")), "198.51.100.7")
        gate.config.write_text(gate.written(""))
        self.assertIn("reloaded:", gate.reload())
        for network in ("203.7.1.0/24", None):
            answer = gate.ask("www.cdn.tld", network)
            self.assertEqual((address_of(answer), subnet_of(answer)), (UNTOLD, None))


if __name__ == "__main__":
    unittest.main()
