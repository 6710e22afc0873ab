#!/usr/bin/env python3
# e2e: parallel
"""The command line as people meet it: help, exit codes, messages of one line; man page and completion know every option."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

PROGRAM = os.environ["SALLYPORT_BINARY"]
SOURCE = pathlib.Path(os.environ["SALLYPORT_SOURCE_DIR"])
PATIENCE = float(os.environ.get("SALLYPORT_TEST_PATIENCE", "20"))

OK, BAD_INPUT, USAGE, CANNOT_BIND = 0, 1, 2, 3


def sallyport(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=PATIENCE, **options)


def long_options(*subcommand):
    text = sallyport(*subcommand, "--help").stdout
    return set(re.findall(r"^\s+(?:-\w,)?\s*(--[a-z0-9-]+)", text, re.MULTILINE)) - {"--help"}


class Configuration:
    """A folder with a configuration of one plain door."""

    def __init__(self, listen, rest=""):
        self.folder = tempfile.TemporaryDirectory(prefix="sallyport-")
        self.path = pathlib.Path(self.folder.name) / "gateway.yaml"
        self.path.write_text(f"listen:\n  - do53: {{ on: [\"{listen}\"] }}\n{rest}")

    def __enter__(self):
        return str(self.path)

    def __exit__(self, *_):
        self.folder.cleanup()


class Help(unittest.TestCase):
    def test_every_subcommand_explains_itself(self):
        for subcommand in ("run", "check", "ask", "explain", "reload", "stats", "log-level", "cache", "cache lookup", "cache list",
                           "cache flush", "health", "version", "cert", "cert dev"):
            with self.subTest(subcommand):
                result = sallyport(*subcommand.split(), "--help")
                self.assertEqual(result.returncode, OK, result.stderr)
                self.assertIn("--help", result.stdout)

    def test_man_page_and_completions_know_every_option(self):
        texts = {name: (SOURCE / "packaging" / name).read_text().replace("\\-", "-")
                 for name in ("man/sallyport.1", "completion/sallyport.bash", "completion/_sallyport",
                              "completion/sallyport.fish")}
        for subcommand in ("run", "check", "ask", "explain", "reload", "stats", "log-level", "cache lookup", "cache list", "cache flush",
                           "health", "cert dev"):
            for option in sorted(long_options(*subcommand.split())):
                for name, text in texts.items():
                    wanted = f"-l {option[2:]}" if name.endswith(".fish") else option
                    with self.subTest(subcommand=subcommand, option=option, file=name):
                        self.assertTrue(re.search(re.escape(wanted) + r"(?![a-z0-9-])", text), f"{name}: no {option}")


class ExitCodes(unittest.TestCase):
    def assert_one_line(self, result):
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        self.assertGreaterEqual(len(lines), 1, "nothing was said")
        self.assertLessEqual(len(lines), 3, result.stderr)

    def test_version(self):
        result = sallyport("version")
        self.assertEqual(result.returncode, OK)
        self.assertRegex(result.stdout, r"\d+\.\d+\.\d+")

    def test_unknown_words_are_usage(self):
        for arguments in ((), ("fly",), ("run", "--fast"), ("run",), ("check",)):
            with self.subTest(arguments):
                self.assertEqual(sallyport(*arguments).returncode, USAGE)

    def test_missing_file(self):
        for subcommand in ("run", "check"):
            with self.subTest(subcommand):
                result = sallyport(subcommand, "--config", "/nonexistent/gateway.yaml")
                self.assertEqual(result.returncode, BAD_INPUT, result.stderr)
                self.assertIn("/nonexistent/gateway.yaml", result.stderr)
                self.assert_one_line(result)

    def test_wrong_key_is_named_with_its_place(self):
        with Configuration("127.0.0.1:0", "zonez: []\n") as path:
            for subcommand in ("run", "check"):
                with self.subTest(subcommand):
                    result = sallyport(subcommand, "--config", path)
                    self.assertEqual(result.returncode, BAD_INPUT)
                    self.assertIn(f"{path}:3:1: ", result.stderr)
                    self.assertIn("zones", result.stderr)

    def test_port_in_use(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with Configuration(address) as path:
                result = sallyport("run", "--config", path)
        self.assertEqual(result.returncode, CANNOT_BIND, result.stderr)
        self.assertIn(address, result.stderr)
        self.assert_one_line(result)

    def test_ends_cleanly_on_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), Configuration("127.0.0.1:0") as path:
                with subprocess.Popen([PROGRAM, "run", "--config", path], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True) as process:
                    try:
                        self.wait_until_serving(process)
                        process.send_signal(number)
                        self.assertEqual(process.wait(PATIENCE), OK)
                    finally:
                        process.kill()

    @staticmethod
    def wait_until_serving(process):
        """Its first line is written after the sockets are open and the signals are looked after."""
        started = time.monotonic()
        line = process.stdout.readline()
        if not line or time.monotonic() - started > PATIENCE:
            raise AssertionError("it said nothing")

    def test_packaged_configurations_are_right_but_for_their_certificates(self):
        result = sallyport("check", "--config", str(SOURCE / "packaging" / "sallyport.yaml"))
        for line in result.stderr.splitlines():
            self.assertTrue("certs" in line or re.match(r"\d+ errors?$", line), line)


if __name__ == "__main__":
    unittest.main()
