#!/usr/bin/env python3
"""Firefox ESR with TRR mode 3 opens a page whose name only the gateway's local zone knows, over HTTP/2 and HTTP/3."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser_test import NAMES, Site, first_pixel
from gateway import HAS_QUIC, PATIENCE, SLOWNESS, ZONE, Gateway, free_port, need, skip

FIREFOX = need("firefox-esr") or need("firefox")
CERTUTIL = need("certutil")
# A page takes one to three seconds. Where none can be had Firefox waits for ever: that it stays away is seen in less.
PAGE_PATIENCE = max(40, PATIENCE)
ERROR_PATIENCE = 8 * SLOWNESS

# What the settings page writes for "DNS over HTTPS, Max Protection, Custom", and the two keys for a gateway at home: where
# it is, and that its answers may name private addresses. The rest keeps a fresh profile from calling home.
PREFERENCES = """
user_pref("network.trr.mode", 3);
user_pref("network.trr.uri", "{uri}");
user_pref("network.trr.custom_uri", "{uri}");
user_pref("network.trr.bootstrapAddr", "127.0.0.1");
user_pref("network.trr.allow-rfc1918", true);
user_pref("network.trr.useGET", {get});
user_pref("network.http.http3.enable", {http3});
user_pref("network.http.http3.disable_when_third_party_roots_found", false);
user_pref("network.dns.disableIPv6", false);
user_pref("app.update.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage", "about:blank");
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("datareporting.healthreport.uploadEnabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("extensions.getAddons.cache.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "");
user_pref("toolkit.telemetry.enabled", false);
"""


class Firefox:
    """One profile; each `open` is a run of its own, gone with all its processes afterwards."""

    def __init__(self, uri, ca=None, get=False, http3=False, more=""):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-firefox-"))
        self.profile = self.home / "profile"
        self.profile.mkdir()
        words = {"uri": uri, "get": str(get).lower(), "http3": str(http3).lower()}
        (self.profile / "user.js").write_text(PREFERENCES.format(**words) + more)
        self.certutil("-N", "--empty-password")
        if ca:
            self.certutil("-A", "-n", "development", "-t", "C,,", "-i", ca)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.home, ignore_errors=True)

    def certutil(self, *arguments):
        subprocess.run([CERTUTIL, "-d", f"sql:{self.profile}", *arguments], check=True, capture_output=True, timeout=PATIENCE)

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TZ")}
        # Containers seldom grant what its sandbox wants, and the only pages it can reach are ours.
        return kept | {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home), "TMPDIR": str(self.home), "MOZ_HEADLESS": "1",
                       "MOZ_DISABLE_CONTENT_SANDBOX": "1", "MOZ_DISABLE_SOCKET_PROCESS_SANDBOX": "1", "MOZ_CRASHREPORTER_DISABLE": "1"}

    def open(self, url, patience=PAGE_PATIENCE, enough=None):
        """The picture of the page (PNG), or None when Firefox made none. `enough`: what ends it before its time."""
        picture = self.home / "page.png"
        command = ["timeout", "--kill-after=2", str(int(patience)), FIREFOX, "--headless", "--no-remote", "--profile",
                   str(self.profile), "--window-size=400,300", f"--screenshot={picture}", url]
        with open(self.home / "messages", "wb") as messages:
            process = subprocess.Popen(command, env=self.environment(), stdout=messages, stderr=messages, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
        try:
            deadline = time.monotonic() + patience + 10
            while process.poll() is None and time.monotonic() < deadline and not (enough and enough()):
                time.sleep(0.2)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return picture.read_bytes() if picture.exists() else None

    def messages(self):
        return (self.home / "messages").read_text(errors="replace")


class TrrOnly(unittest.TestCase):
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

    def uri(self, gate=None):
        return f"https://gate.test:{(gate or self.gate).tls}/dns-query"

    def counted(self):
        now = self.gate.counters()
        return {name: value - self.before.get(name, 0) for name, value in now.items() if value != self.before.get(name, 0)}

    def assert_arrives(self, firefox):
        picture = firefox.open(self.site.url)
        why = f"{firefox.messages()}\n{self.gate.log()}"
        self.assertLessEqual({"page.gate.test", "script.gate.test"}, set(self.site.hosts), why)
        self.assertIsNotNone(picture, why)
        self.assertEqual(first_pixel(picture), self.site.colour, "the page is what was drawn")
        counted = self.counted()
        self.assertGreaterEqual(counted.get("sallyport_zones_answered_total", 0), 2, counted)
        return counted

    def doors(self, counted):
        return {name.split('"')[1] for name in counted if name.startswith("sallyport_queries_total")}

    def test_by_post(self):
        with Firefox(self.uri(), self.gate.ca) as firefox:
            counted = self.assert_arrives(firefox)
        self.assertEqual(self.doors(counted), {"doh2"}, counted)
        self.assertNotIn("sallyport_http_get_total", counted)

    def test_by_get(self):
        with Firefox(self.uri(), self.gate.ca, get=True) as firefox:
            counted = self.assert_arrives(firefox)
        self.assertEqual(self.doors(counted), {"doh2"}, counted)
        self.assertGreaterEqual(counted.get("sallyport_http_get_total", 0), 2, counted)

    @unittest.skipUnless(HAS_QUIC, "built without QUIC")
    def test_by_http3(self):
        # Alt-Svc comes with the first answer; the mapping says it beforehand, so that the first page takes it already.
        mapping = f'user_pref("network.http.http3.alt-svc-mapping-for-testing", "gate.test;h3=:{self.gate.tls}");\n'
        with Firefox(self.uri(), self.gate.ca, http3=True, more=mapping) as firefox:
            counted = self.assert_arrives(firefox)
        self.assertIn("doh3", self.doors(counted), counted)
        self.assertLessEqual(self.doors(counted), {"doh2", "doh3"}, counted)

    def test_mode_3_asks_nobody_else(self):
        with Firefox(f"https://gate.test:{free_port()}/dns-query", self.gate.ca) as firefox:
            firefox.open(self.site.url, ERROR_PATIENCE)
        self.assertEqual(self.site.hosts, [])
        self.assertEqual(self.doors(self.counted()), set())

    def test_a_gateway_it_does_not_trust_is_not_asked(self):
        with Firefox(self.uri(), None) as firefox:
            firefox.open(self.site.url, enough=lambda: "sallyport_stream_connections_total" in self.counted())
            firefox.open(self.site.url, ERROR_PATIENCE)
        self.assertEqual(self.site.hosts, [])
        counted = self.counted()
        self.assertIn("sallyport_stream_connections_total", counted)
        self.assertEqual(self.doors(counted), set())


def skip_where_something_is_missing():
    if not FIREFOX:
        skip("the Firefox test wants Firefox ESR (Debian: firefox-esr)")
    if not CERTUTIL:
        skip("the Firefox test wants certutil (Debian: libnss3-tools)")
    if "snap" in pathlib.Path(FIREFOX).resolve().parts:
        skip("the Firefox test cannot use Firefox from a snap: it sees no home but the user's own")


if __name__ == "__main__":
    skip_where_something_is_missing()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main()
