#!/usr/bin/env python3
"""A headless Chromium with secure DNS opens a page whose name only the gateway's local zone knows."""

import contextlib
import http.server
import json
import os
import pathlib
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import HAS_QUIC, SLOWNESS, ZONE, Gateway, free_port, need, skip

CHROMIUM = need("chromium") or need("google-chrome")
CERTUTIL = need("certutil")
# A page takes about one second; eight runs of this length stay below the time ctest gives the whole file.
PAGE_PATIENCE = int(30 * SLOWNESS)
# In secure mode all names go to the gateway or nowhere: the resolver of the machine is never asked.
NAMES = "script CNAME page\n"

# The only pages it can reach are ours, and the sandbox wants what containers seldom grant.
FLAGS = """--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --no-proxy-server --no-default-browser-check
--disable-background-networking --disable-component-update --disable-sync --disable-breakpad --window-size=400,300""".split()


class Site:
    """Pages on loopback that answer to their names only, each with a nonce nobody can guess."""

    def __init__(self):
        self.hosts = []
        self.nonce, self.script_nonce = secrets.token_hex(16), secrets.token_hex(16)
        self.colour = secrets.token_bytes(3)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.port = self.server.server_port
        self.url = f"http://page.gate.test:{self.port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def contents(self):
        return {
            f"page.gate.test:{self.port}/": (
                "text/html",
                f"<!doctype html><title>Sallyport</title><script src='http://script.gate.test:{self.port}/set.js'></script>"
                f"<body style='background:#{self.colour.hex()}'><p style='margin:40px'>{self.nonce}</p>",
            ),
            f"script.gate.test:{self.port}/set.js": (
                "text/javascript",
                f"document.documentElement.setAttribute('data-script', '{self.script_nonce}')",
            ),
        }

    def handler(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.hosts.append(self.headers["Host"].partition(":")[0])
                kind, text = site.contents().get(self.headers["Host"] + self.path, (None, ""))
                with contextlib.suppress(ConnectionError):  # the browser has seen enough and is gone
                    self.send_response(200 if kind else 404)
                    self.send_header("content-type", kind or "text/plain")
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text.encode())
                    self.wfile.flush()

            def log_message(self, *_):
                pass

        return Handler

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Browser:
    """One run of Chromium with a profile and a home of its own; gone with all its processes afterwards."""

    def __init__(self, template, ca=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-browser-"))
        self.profile = self.home / "profile"
        self.profile.mkdir()
        # What the settings page would write: no policy file below /etc, so no root.
        settings = {"dns_over_https": {"mode": "secure", "templates": template}}
        (self.profile / "Local State").write_text(json.dumps(settings))
        store = self.home / ".pki" / "nssdb"
        store.mkdir(parents=True)
        self.certutil(store, "-N", "--empty-password")
        if ca:
            self.certutil(store, "-A", "-n", "development", "-t", "C,,", "-i", ca)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sweep()
        shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    def certutil(store, *arguments):
        subprocess.run([CERTUTIL, "-d", f"sql:{store}", *arguments], check=True, capture_output=True, timeout=PAGE_PATIENCE)

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TZ")}
        return kept | {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home), "TMPDIR": str(self.home)}

    def open(self, url, *flags):
        """The page as it stands once loaded, scripts run; its picture is then at `self.picture`."""
        self.picture = self.home / "page.png"
        # timeout(1) ends the whole group even where this program has been killed.
        command = ["timeout", "--kill-after=2", str(PAGE_PATIENCE), CHROMIUM, *FLAGS, *flags, f"--user-data-dir={self.profile}",
                   "--dump-dom", f"--screenshot={self.picture}", url]
        with open(self.home / "messages", "wb") as messages:
            process = subprocess.Popen(command, env=self.environment(), stdout=subprocess.PIPE, stderr=messages,
                                       stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            page, _ = process.communicate(timeout=PAGE_PATIENCE + 5)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != 0:
            raise AssertionError(f"chromium ended with {process.returncode}:\n{self.messages()}")
        return page.decode(errors="replace")

    def messages(self):
        lines = (self.home / "messages").read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if "dbus" not in line)

    def sweep(self):
        """Ends helpers that left the group: whatever has our home, a name nobody else has, in its command line."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self.home).encode() in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)


def first_pixel(png):
    """Red, green and blue of the corner; there, every filter of PNG leaves the octets as they are."""
    if png[:8] != b"\x89PNG\r\n\x1a\n":
        raise AssertionError("not a PNG picture")
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    if (depth, kind) not in ((8, 2), (8, 6)):
        raise AssertionError(f"a PNG of depth {depth} and kind {kind}")
    data, at = b"", 8
    while at < len(png):
        size, name = struct.unpack(">I4s", png[at:at + 8])
        if name == b"IDAT":
            data += png[at + 8:at + 8 + size]
        at += 12 + size
    return zlib.decompress(data)[1:4]


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = Gateway(zone=ZONE + NAMES)

    @classmethod
    def tearDownClass(cls):
        code = cls.gate.stop()
        assert code == 0, f"the gateway ended with {code}:\n{cls.gate.log()}"

    def setUp(self):
        self.site = Site()
        self.addCleanup(self.site.close)
        self.before = self.gate.counters()

    def template(self, tail="", host="127.0.0.1", gate=None):
        return f"https://{host}:{(gate or self.gate).tls}/dns-query{tail}"

    def counted(self):
        """What the gateway counted since the test began."""
        return {name: value - self.before.get(name, 0) for name, value in self.gate.counters().items() if value != self.before.get(name, 0)}

    def assert_arrives(self, template, *flags):
        with Browser(template, self.gate.ca) as browser:
            page = browser.open(self.site.url, *flags)
            why = f"{page}\n{browser.messages()}\n{self.gate.log()}"
            self.assertIn(self.site.nonce, page, why)
            self.assertIn(f'data-script="{self.site.script_nonce}"', page, why)
            self.assertEqual(first_pixel(browser.picture.read_bytes()), self.site.colour)
            self.keep(browser.picture)
        self.assertLessEqual({"page.gate.test", "script.gate.test"}, set(self.site.hosts))
        counted = self.counted()
        self.assertGreaterEqual(counted.get("sallyport_zones_answered_total", 0), 2, counted)
        return counted

    def assert_stays_away(self, template, ca, *flags):
        with Browser(template, ca) as browser:
            page = browser.open(self.site.url, *flags)
            messages = browser.messages()
        self.assertNotIn(self.site.nonce, page)
        # Said on the error page or, by newer versions, beside it; a crash or a page that took too long is another thing.
        self.assertIn("ERR_NAME_NOT_RESOLVED", page + messages)
        self.assertEqual(self.site.hosts, [])

    @staticmethod
    def keep(picture):
        """For a look at the picture by hand: SALLYPORT_KEEP_PICTURE names the file."""
        if os.environ.get("SALLYPORT_KEEP_PICTURE"):
            shutil.copy(picture, os.environ["SALLYPORT_KEEP_PICTURE"])

    def assert_only(self, counted, transport, method):
        """All queries came through this one door, and in this one way."""
        doors = {name for name in counted if name.startswith("sallyport_queries_total")}
        self.assertEqual(doors, {f'sallyport_queries_total{{transport="{transport}"}}'}, counted)
        methods = {name for name in counted if name in ("sallyport_http_get_total", "sallyport_http_post_total")}
        self.assertEqual(methods, {f"sallyport_http_{method}_total"}, counted)

    def test_by_get(self):
        self.assert_only(self.assert_arrives(self.template("{?dns}"), "--disable-quic"), "doh2", "get")

    def test_by_post(self):
        self.assert_only(self.assert_arrives(self.template(), "--disable-quic"), "doh2", "post")

    def test_by_the_name_of_the_gateway(self):
        # The host's own name is looked up outside DoH, which is what the rule stands for.
        found = self.assert_arrives(self.template("{?dns}", "gate.test"), "--disable-quic", "--host-resolver-rules=MAP gate.test 127.0.0.1")
        self.assert_only(found, "doh2", "get")

    @unittest.skipUnless(HAS_QUIC, "built without QUIC")
    def test_by_http3(self):
        # QUIC to a private CA: only where the origin is named.
        quic = ("--enable-quic", f"--origin-to-force-quic-on=127.0.0.1:{self.gate.tls}")
        self.assert_only(self.assert_arrives(self.template("{?dns}"), *quic), "doh3", "get")

    def test_a_name_the_zone_lacks_stays_unknown(self):
        zone = "\n".join(line for line in ZONE.splitlines() if not line.startswith("page")) + "\n"
        with Gateway(zone=zone) as gate:
            self.assert_stays_away(self.template(gate=gate), gate.ca, "--disable-quic")
            self.assertGreaterEqual(gate.counters().get("sallyport_zones_nxdomain_total", 0), 1)

    def test_nobody_else_knows_the_name(self):
        self.assert_stays_away(f"https://127.0.0.1:{free_port()}/dns-query", self.gate.ca, "--disable-quic")

    def test_a_gateway_the_browser_does_not_trust_is_not_asked(self):
        self.assert_stays_away(self.template(), None, "--disable-quic")
        counted = self.counted()
        self.assertIn("sallyport_stream_connections_total", counted)
        self.assertEqual({name for name in counted if name.startswith("sallyport_queries_total")}, set())


def skip_where_something_is_missing():
    if not CHROMIUM:
        skip("the browser test wants Chromium (Debian: chromium)")
    if not CERTUTIL:
        skip("the browser test wants certutil (Debian: libnss3-tools)")
    if pathlib.Path(CHROMIUM).resolve().name == "snap":
        skip("the browser test cannot use Chromium from a snap: it sees no home but the user's own")
    try:
        subprocess.run([CHROMIUM, "--version"], check=True, capture_output=True, timeout=PAGE_PATIENCE)
    except (OSError, subprocess.SubprocessError):
        skip(f"{CHROMIUM} does not start")


if __name__ == "__main__":
    skip_where_something_is_missing()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main()
