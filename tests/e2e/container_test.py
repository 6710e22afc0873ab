#!/usr/bin/env python3
"""The container file, without a container engine: what it copies is there, what it starts runs as it would inside.

The start runs in a network namespace of its own with the limits that packaging/container.sh asks for: another user, no
capability, no new privileges, ports below 1024 open to everybody; then the health check's own words are tried.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, INSIDE, PATIENCE, SANITIZED, SOURCE, ask_udp, enter_namespaces, header, query, wait_for

CONTAINERFILE = (SOURCE / "packaging/Containerfile").read_text()
USER = "64053"


def instructions():
    """(word, rest) of each, continued lines joined."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.M).replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, re.sub(r"\s+", " ", rest.strip())


def words_of(instruction):
    """The JSON list of the last CMD, ENTRYPOINT or HEALTHCHECK."""
    rest = [rest for word, rest in instructions() if word == instruction][-1]
    return json.loads(rest[rest.index("["):])


class File(unittest.TestCase):
    def test_what_it_copies_exists(self):
        for word, rest in instructions():
            if word == "COPY" and not rest.startswith("--from"):
                for path in rest.split()[:-1]:
                    self.assertTrue((SOURCE / path).exists(), path)

    def test_every_step_is_proper_shell(self):
        for word, rest in instructions():
            if word == "RUN":
                checked = subprocess.run(["bash", "-n"], input=rest, text=True, capture_output=True)
                self.assertEqual((checked.returncode, checked.stderr), (0, ""), rest)

    def test_it_does_not_run_as_root(self):
        self.assertEqual([rest for word, rest in instructions() if word == "USER"], [f"{USER}:{USER}"])
        self.assertIn(f"useradd --system --uid {USER} ", CONTAINERFILE)

    def test_both_stages_stand_on_the_same_base(self):
        self.assertEqual([rest.split()[0] for word, rest in instructions() if word == "FROM"], ["${BASE}", "${BASE}"])

    def test_the_commands_name_both_architectures(self):
        for engine in ("podman", "docker"):
            printed = subprocess.run(["bash", SOURCE / "packaging/container.sh", "--print", "build-all"], text=True, check=True,
                                     capture_output=True, env=dict(os.environ, ENGINE=engine)).stdout
            self.assertIn("linux/amd64", printed)
            self.assertIn("linux/arm64", printed)


@unittest.skipUnless(INSIDE in os.environ and shutil.which("setpriv"), "wants root, for a user without any privilege")
class Started(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-container-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.folder.chmod(0o755)
        # As in the image: the program where everybody may run it, the configuration beside its certificates.
        shutil.copy(BINARY, self.folder / "sallyport")
        shutil.copy(SOURCE / "packaging/container.yaml", self.folder / "sallyport.yaml")
        subprocess.run([BINARY, "cert", "dev", "-d", str(self.folder / "certs"), "--quiet"], check=True)
        for path in (self.folder / "certs", *(self.folder / "certs").iterdir()):
            shutil.chown(path, int(USER), int(USER))
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")

    def command(self, words):
        """As the container's user: the program's words, with its paths where they are here."""
        here = [word.replace("/etc/sallyport", str(self.folder)) for word in words]
        return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
                "--", str(self.folder / here[0]), *here[1:]]

    def test_serves_and_is_healthy(self):
        # It may not be traced by the leak finder.
        environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0") if SANITIZED else None
        log = self.folder / "log"
        with open(log, "wb") as output:
            process = subprocess.Popen(self.command(words_of("ENTRYPOINT") + words_of("CMD")), stdout=output, stderr=output,
                                       env=environment)
        try:
            wait_for(lambda: b" serving " in log.read_bytes() or process.poll() is not None, "the start")
            self.assertIsNone(process.poll(), log.read_text())
            answer = header(ask_udp(53, query("health.sallyport.internal")))
            self.assertEqual((answer["rcode"], answer["an"]), (0, 1))
            check = lambda: subprocess.run(self.command(words_of("HEALTHCHECK")), capture_output=True, text=True, env=environment)
            healthy = check()
            self.assertEqual((healthy.returncode, healthy.stdout), (0, ""), healthy.stderr + log.read_text())
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE), 0, log.read_text())
            self.assertNotEqual(check().returncode, 0, "nobody is there now")
        finally:
            process.kill()
            process.wait()


def main():
    with contextlib.suppress(SystemExit):  # what only reads the files needs no place of its own
        enter_namespaces("the start of the container test")
    if INSIDE in os.environ:
        # When ctest ends what it started, this program's children end with it.
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main()


if __name__ == "__main__":
    main()
