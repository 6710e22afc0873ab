#!/usr/bin/env python3
"""systemd-resolved as it is, in strict mode (DNSOverTLS=yes), with the gateway as its only server.

The whole file runs in a network and mount namespace of its own: resolved's port is 53 and its files lie below /etc and
/run. Debian's package would take over the machine's resolv.conf, so packaging/dependencies.sh only unpacks it.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import PATIENCE, SOURCE, ZONE, Gateway, enter_namespaces, framed, header, query, read_framed, skip, wait_for

NAMES = "$GENERATE 0-99 host-$ A 10.0.0.$\n"
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
STUB = "127.0.0.53"
USER = "systemd-resolve"
PLACES = ("/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved",
          SOURCE / "build/clients/lib/systemd/systemd-resolved", SOURCE / "build/clients/usr/lib/systemd/systemd-resolved")
RESOLVED = next((str(place) for place in PLACES if os.access(place, os.X_OK)), None)


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def prepare_network():
    run("ip", "link", "set", "lo", "up")
    # With nothing but loopback resolved takes the network for down and asks nobody.
    try:
        run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    except subprocess.CalledProcessError:
        skip("the systemd-resolved test wants a second interface, and this kernel has no veth")
    run("ip", "address", "add", "192.0.2.1/24", "dev", "veth0")
    run("ip", "link", "set", "veth0", "up")
    run("ip", "link", "set", "veth1", "up")


def prepare_files(directory):
    """Its user, an empty /run and a resolved.conf of ours; nothing of it is seen outside."""
    for name, entry in (("passwd", f"{USER}:x:64001:64001::/:/usr/sbin/nologin\n"), ("group", f"{USER}:x:64001:\n")):
        text = pathlib.Path("/etc", name).read_text()
        if f"\n{USER}:" not in "\n" + text:
            copy = directory / name
            copy.write_text(text + entry)
            copy.chmod(0o644)
            run("mount", "--bind", copy, f"/etc/{name}")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run")
    pathlib.Path("/run/systemd/resolve").mkdir(parents=True)
    shutil.chown("/run/systemd/resolve", USER, USER)
    if not pathlib.Path("/etc/systemd").is_dir():
        skip("the systemd-resolved test wants a folder /etc/systemd (Debian: systemd, or any package with a unit)")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/etc/systemd")


class Resolved:
    """One running systemd-resolved."""

    def __init__(self, gate, server, more=""):
        pathlib.Path("/etc/systemd/resolved.conf").write_text(
            f"[Resolve]\nDNS={server}\nFallbackDNS=\nDomains=~.\nDNSOverTLS=yes\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\n{more}")
        self.log = tempfile.NamedTemporaryFile(prefix="sallyport-resolved-")
        environment = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": gate.ca, "SYSTEMD_LOG_LEVEL": "debug", "SYSTEMD_LOG_TARGET": "console"}
        self.process = subprocess.Popen([RESOLVED], env=environment, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        wait_for(self.listens, "systemd-resolved")
        return self

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}:\n{self.messages()}")
        with contextlib.suppress(OSError), ask_stub_stream() as stream:
            return stream

    def __exit__(self, kind, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)
        if kind is not None:
            print(self.messages(), file=sys.stderr)

    def messages(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")


def ask_stub_stream():
    return socket.create_connection((STUB, 53), PATIENCE)


def ask(name, qtype=1, ident=1, edns=None):
    with ask_stub_stream() as stream:
        stream.sendall(framed(query(name, qtype=qtype, ident=ident, edns=edns)))
        return read_framed(stream)


def answer_to(name, **options):
    """Asked again where it has lost patience with a busy gateway: then the client gets SERVFAIL or nothing at all."""
    def answer():
        with contextlib.suppress(EOFError, OSError):
            found = ask(name, **options)
            return found if header(found)["rcode"] != SERVFAIL else None
    return wait_for(answer, f"an answer for {name}")


class Strict(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = Gateway(zone=ZONE + NAMES)
        # Its own user reads the CA.
        cls.gate.directory.chmod(0o755)
        cls.gate.certs.chmod(0o755)
        pathlib.Path(cls.gate.ca).chmod(0o644)

    @classmethod
    def tearDownClass(cls):
        code = cls.gate.stop()
        assert code == 0, f"the gateway ended with {code}:\n{cls.gate.log()}"

    def setUp(self):
        self.before = self.gate.counters()

    def counted(self, name):
        return self.gate.counters().get(name, 0) - self.before.get(name, 0)

    def server(self, name="gate.test"):
        return f"127.0.0.1:{self.gate.dot}#{name}"

    def test_every_kind_of_answer(self):
        with Resolved(self.gate, self.server()):
            self.assertIn(bytes([192, 0, 2, 80]), answer_to("www.gate.test"))
            self.assertIn(bytes([192, 0, 2, 80]), answer_to("alias.gate.test"))
            self.assertIn(bytes([192, 0, 2, 99]), answer_to("any.wild.gate.test"))
            self.assertEqual(header(answer_to("nothing.gate.test"))["rcode"], NXDOMAIN)
            nodata = header(answer_to("www.gate.test", qtype=15))
            self.assertEqual((nodata["rcode"], nodata["an"]), (NOERROR, 0))
            big = answer_to("big.gate.test", qtype=16)
            self.assertEqual((header(big)["rcode"], header(big)["an"]), (NOERROR, 110))
        self.assertGreaterEqual(self.counted('sallyport_queries_total{transport="dot"}'), 6)
        self.assertEqual(self.counted('sallyport_queries_total{transport="udp"}'), 0)

    def test_one_connection_for_many_questions(self):
        with Resolved(self.gate, self.server()):
            for i in range(100):
                self.assertIn(bytes([10, 0, 0, i]), answer_to(f"host-{i}.gate.test", ident=i))
        self.assertGreaterEqual(self.counted('sallyport_queries_total{transport="dot"}'), 100)
        self.assertLessEqual(self.counted("sallyport_tls_handshakes_total"), 10)  # one, or a few on a busy machine

    def test_comes_back_after_we_were_away(self):
        with Resolved(self.gate, self.server()):
            self.assertEqual(header(answer_to("host-1.gate.test"))["rcode"], NOERROR)
            self.gate.stop()
            self.gate.start()
            self.before = {}
            self.assertEqual(header(answer_to("host-2.gate.test"))["rcode"], NOERROR, "of the new gateway")
        self.assertGreaterEqual(self.counted('sallyport_queries_total{transport="dot"}'), 1)

    def test_another_name_is_not_ours(self):
        with Resolved(self.gate, self.server("other.test")) as resolved:
            # It tries again and again; in the end the client gets SERVFAIL or nothing at all.
            with contextlib.suppress(EOFError):
                answer = header(ask("host-3.gate.test"))
                self.assertEqual((answer["rcode"], answer["an"]), (SERVFAIL, 0))
            self.assertIn("certificate verify failed", resolved.messages())
        self.assertEqual(self.counted('sallyport_queries_total{transport="dot"}'), 0)
        self.assertGreaterEqual(self.counted("sallyport_stream_connections_total"), 1)


def main():
    if not RESOLVED:
        skip("systemd-resolved is not here (packaging/dependencies.sh clients unpacks it below build/clients)")
    enter_namespaces("the systemd-resolved test")
    # When ctest ends what it started, this program's children end with it.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    prepare_network()
    with tempfile.TemporaryDirectory(prefix="sallyport-resolved-") as directory:
        prepare_files(pathlib.Path(directory))
        unittest.main()


if __name__ == "__main__":
    main()
