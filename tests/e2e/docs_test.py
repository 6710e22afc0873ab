#!/usr/bin/env python3
"""Runs the commands of the operator's pages as they stand there, in a system that looks freshly installed.

Every line of a fence ```sh is a command that must end with 0; a fence `sh no-run REASON` is left out. The file runs in
namespaces of its own: ports 53, 443, 853 and 8080 are free there, and /etc, /usr and /var are overlays that nobody else sees,
with the program, its unit and its configuration where `make install PREFIX=/usr` puts them.

What is not as on a real machine: there is no systemd, so `systemctl` and `journalctl` are small programs that start, signal
and read the gateway as the unit does, as the user and with the one capability that the unit gives.
"""

import atexit
import ctypes
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
from gateway import BINARY, HAS_QUIC, PATIENCE, SLOWNESS, SOURCE, enter_namespaces, skip, wait_for

PAGES = ("operations.md", "metrics.md", "logging.md")
# Beside what the packaged configuration has: a query log, which logging.md reads, and somebody to ask for the rest.
ADDED = "query_log:\n  outputs: [ { file: /var/log/sallyport/queries.json } ]\nresolve: { upstreams: ['udp://127.0.0.9'] }\n"
UPSTREAM = "workers: 1\nlisten: [ { do53: { on: '127.0.0.9:53' } } ]\nzones: [ { name: example, records: ['www 300 A 192.0.2.80'] } ]\n"
# What the pages use and `make test` does not demand (packaging/dependencies.sh clients).
OPTIONAL = {"systemd-analyze", "kdig", "openssl", "jq", "promtool"}
# At most so many fences may stay unrun.
MOST_UNRUN = 6

SYSTEMCTL = r"""#!/bin/bash
# Stands in for systemctl: one service, sallyport.
set -eu
state=@STATE@
words=() signal=SIGTERM
while [ $# -gt 0 ]; do
    case "$1" in
    --signal) signal=$2 && shift ;;
    --*) ;;
    *) words+=("$1") ;;
    esac
    shift
done
[ "${words[1]%.service}" = sallyport ]
alive() { [ -s "$state/pid" ] && kill -0 "$(cat "$state/pid")" 2>/dev/null; }
start() {
    ! alive || return 0
    sallyport check --config /etc/sallyport/sallyport.yaml >>"$state/log" 2>&1 || { cat "$state/log" && exit 1; }
    before=$(grep -c ' serving ' "$state/log" || true)
    cd /etc/sallyport
    @AS_USER@ sallyport run --config /etc/sallyport/sallyport.yaml >>"$state/log" 2>&1 &
    echo $! >"$state/pid"
    for ((i = 0; i < @PATIENCE@ * 20; i++)); do
        [ "$(grep -c ' serving ' "$state/log")" -eq "$before" ] || return 0
        alive || { cat "$state/log" && exit 1; }
        sleep 0.05
    done
    exit 1
}
stop() {
    ! alive || kill "$(cat "$state/pid")"
    while alive; do sleep 0.05; done
}
verdicts() { grep -cE 'reloaded|reload refused' "$state/log" || true; }
reload() {
    before=$(verdicts)
    kill -HUP "$(cat "$state/pid")"
    for ((i = 0; i < @PATIENCE@ * 20; i++)); do
        [ "$(verdicts)" -eq "$before" ] || return 0
        sleep 0.05
    done
    exit 1
}
case "${words[0]}" in
enable | start) start ;;
stop) stop ;;
restart) stop && start ;;
reload) alive && reload ;;
status) alive && tail -n 5 "$state/log" ;;
kill)
    before=$(grep -c '^# end of statistics' "$state/log" || true)
    kill -"$signal" "$(cat "$state/pid")"
    [ "$signal" = SIGUSR1 ] || exec sleep 1
    for ((i = 0; i < @PATIENCE@ * 20; i++)); do
        [ "$(grep -c '^# end of statistics' "$state/log" || true)" -eq "$before" ] || exit 0
        sleep 0.05
    done
    exit 1
    ;;
*) echo "systemctl ${words[*]}: not known here" >&2 && exit 1 ;;
esac
"""

JOURNALCTL = r"""#!/bin/bash
set -eu
lines=100000 pattern=
while [ $# -gt 0 ]; do
    case "$1" in
    --lines) lines=$2 && shift ;;
    --grep) pattern=$2 && shift ;;
    esac
    shift
done
grep -e "$pattern" @STATE@/log | tail -n "$lines"
"""


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def overlay(folder, scratch):
    """What is written below `folder` from here on is seen in this namespace only."""
    upper, work = scratch / f"upper{folder.replace('/', '-')}", scratch / f"work{folder.replace('/', '-')}"
    upper.mkdir()
    work.mkdir()
    mounted = subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={folder},upperdir={upper},workdir={work}", "overlay", folder],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        skip(f"the documentation test wants overlay mounts: {mounted.stderr.strip()}")


def prepare_system(scratch):
    run("ip", "link", "set", "lo", "up")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "none", scratch)
    for folder in ("/etc", "/usr", "/var"):
        overlay(folder, scratch)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run")
    for name, entry in (("passwd", "sallyport:x:64053:64053::/var/lib/sallyport:/usr/sbin/nologin\n"), ("group", "sallyport:x:64053:\n")):
        path = pathlib.Path("/etc", name)
        if not re.search(r"^sallyport:", path.read_text(), re.M):
            path.write_text(path.read_text() + entry)
    shutil.copy(BINARY, "/usr/bin/sallyport")
    os.chmod("/usr/bin/sallyport", 0o755)
    etc = pathlib.Path("/etc/sallyport")
    shutil.rmtree(etc, ignore_errors=True)
    for folder in (etc, etc / "certs", etc / "zones"):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    (etc / "sallyport.yaml").write_text((SOURCE / "packaging/sallyport.yaml").read_text() + ADDED)
    unit = (SOURCE / "packaging/systemd/sallyport.service.in").read_text()
    units = pathlib.Path("/usr/lib/systemd/system")
    units.mkdir(parents=True, exist_ok=True)
    (units / "sallyport.service").write_text(
        unit.replace("@CMAKE_INSTALL_FULL_BINDIR@", "/usr/bin").replace("@SALLYPORT_CONFIG_DIR@", str(etc)))
    for folder in ("/run/sallyport", "/var/lib/sallyport", "/var/log/sallyport"):
        pathlib.Path(folder).mkdir(exist_ok=True)
        shutil.chown(folder, "sallyport", "sallyport")


def prepare_tools(scratch):
    """The folder that goes before all others in PATH, and the one with the gateway's log."""
    tools, state = scratch / "tools", scratch / "state"
    tools.mkdir()
    state.mkdir()
    as_user = "setpriv --reuid sallyport --regid sallyport --clear-groups --no-new-privs --bounding-set=-all,+net_bind_service " \
              "--inh-caps=-all,+net_bind_service --ambient-caps=-all,+net_bind_service --"
    values = {"STATE": str(state), "PATIENCE": str(int(PATIENCE)), "AS_USER": as_user}
    for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    return tools, state


def leave(scratch):
    """Takes the folder away; the overlays keep what lies in it until this namespace goes."""
    subprocess.run(["umount", "--lazy", str(scratch)])
    scratch.rmdir()


def fences(page):
    """Line number, reason not to run or None, and text of each fence of commands."""
    start, info, lines = 0, None, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if info is None and (match := re.match(r"^```sh\b(.*)$", line)):
            start, info, lines = number, match.group(1).strip(), []
        elif info is not None and line == "```":
            yield start, (info.removeprefix("no-run").strip() if info.startswith("no-run") else None), "\n".join(lines)
            info = None
        elif info is not None:
            lines.append(line)


def commands(text):
    """One for each line, where no backslash continues it."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


class Pages(unittest.TestCase):
    scratch = None

    @classmethod
    def setUpClass(cls):
        cls.tools, cls.state = prepare_tools(cls.scratch)
        (cls.scratch / "upstream.yaml").write_text(UPSTREAM)
        with open(cls.scratch / "upstream.log", "wb") as log:
            cls.upstream = subprocess.Popen([BINARY, "run", "-c", str(cls.scratch / "upstream.yaml")], stdout=log, stderr=log)
        wait_for(lambda: " serving " in (cls.scratch / "upstream.log").read_text(), "the upstream")

    @classmethod
    def tearDownClass(cls):
        subprocess.run([str(cls.tools / "systemctl"), "stop", "sallyport"], env=cls.environment())
        cls.upstream.terminate()
        cls.upstream.wait(PATIENCE)

    @classmethod
    def environment(cls):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SALLYPORT_")}
        return kept | {"PATH": f"{cls.tools}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    def missing(self, command):
        """A program that is not installed here, as where `make test` runs without the packages of all clients."""
        programs = {part.split()[0] for part in re.split(r"[|;&]+", command) if part.strip()}
        return next((name for name in sorted(programs & OPTIONAL) if not shutil.which(name)), None)

    def run_command(self, command, where):
        if self.missing(command):
            return print(f"not run, {self.missing(command)} is not installed: {command}")
        if not HAS_QUIC and re.search(r"--(doq|doh3)\b", command):
            return None
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=SOURCE, env=self.environment(), timeout=120 * SLOWNESS,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        log = (self.state / "log").read_text(errors="replace")[-3000:] if (self.state / "log").exists() else ""
        self.assertEqual(done.returncode, 0, f"{where}: {command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}\n--- log\n{log}")
        return None

    def test_every_command(self):
        unrun = 0
        for name in PAGES:
            page = SOURCE / "docs" / name
            self.assertTrue(page.exists(), f"docs/{name} is missing")
            for line, reason, text in fences(page):
                where = f"docs/{name}:{line}"
                if reason is not None:
                    unrun += 1
                    self.assertGreaterEqual(len(reason), 10, f"{where}: a reason not to run it is wanted")
                    continue
                for command in commands(text):
                    with self.subTest(command=command):
                        self.run_command(command, where)
        self.assertLessEqual(unrun, MOST_UNRUN)


def main():
    enter_namespaces("the documentation test")
    # When ctest ends what it started, this program's children end with it.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    Pages.scratch = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-docs-"))
    atexit.register(leave, Pages.scratch)
    prepare_system(Pages.scratch)
    unittest.main()


if __name__ == "__main__":
    main()
