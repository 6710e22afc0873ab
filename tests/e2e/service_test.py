#!/usr/bin/env python3
# e2e: parallel
"""As a service: root only to bind, what the service manager is told, sockets it hands over, the units, the way it ends."""

import contextlib
import ctypes
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, HAS_QUIC, PATIENCE, SANITIZED, SLOWNESS, SOURCE, Gateway, ask_udp, framed, free_port, header, query, read_framed, wait_for

IS_ROOT = os.geteuid() == 0
USER = "nobody"
HAS_SYSTEMD = b"libsystemd" in subprocess.run(["ldd", BINARY], capture_output=True).stdout
# How long a second of the service manager is here: in half of one the gateway has to have its turn.
SPEED = max(SLOWNESS, 3 if SANITIZED else 1)
NO_CAPABILITIES = {name: 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def sallyport(*arguments, **options):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=3 * PATIENCE, **options)


def status_of_threads(pid):
    """What /proc tells of every thread: the calls that give up privileges work on one only."""
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        yield dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)


class Service(Gateway):
    """A gateway with a service manager, which is a datagram socket; what it was told is in `told`."""

    def __init__(self, extra="", watchdog=None, **options):
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        folder = tempfile.mkdtemp(prefix="sallyport-manager-")
        self.address = os.path.join(folder, "notify")
        self.manager.bind(self.address)
        os.chmod(self.address, 0o777)
        os.chmod(folder, 0o755)
        self.manager.settimeout(PATIENCE)
        self.told = []
        environment = {"NOTIFY_SOCKET": self.address}
        if watchdog:
            environment["WATCHDOG_USEC"] = str(int(watchdog * 1_000_000))
        super().__init__(extra=extra, env=environment, **options)

    def stop(self):
        code = super().stop()
        shutil.rmtree(os.path.dirname(self.address), ignore_errors=True)
        return code

    def hear(self, state, patience=None):
        """Waits for a message that has this line; its lines as a dictionary."""
        deadline = time.monotonic() + (patience or PATIENCE)
        while time.monotonic() < deadline:
            self.manager.settimeout(max(0.01, deadline - time.monotonic()))
            with contextlib.suppress(socket.timeout):
                lines = self.manager.recv(4096).decode().splitlines()
                self.told.append(lines)
                if state in lines:
                    return dict(line.split("=", 1) for line in lines)
        raise AssertionError(f"the service manager was not told {state}, but {self.told}\n{self.log()}")

    def count(self, state, wanted, seconds):
        """How often this line comes from now on, until it has so often or the time is over."""
        self.manager.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.manager.recv(4096)
        found, deadline = 0, time.monotonic() + seconds
        while found < wanted and time.monotonic() < deadline:
            self.manager.settimeout(max(0.01, deadline - time.monotonic()))
            with contextlib.suppress(socket.timeout):
                found += self.manager.recv(4096).decode().splitlines().count(state)
        return found


@unittest.skipUnless(IS_ROOT, "only root can become somebody else")
class Privileges(unittest.TestCase):
    def gateway(self, user, port=None):
        # Who gave up root may not be traced, not even by the leak finder of its own.
        quiet = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"} if SANITIZED else None
        gate = Gateway(start=False, extra=f"user: {user}\n" if user else "", env=quiet)
        if port:
            gate.config.write_text(gate.config.read_text().replace(f"127.0.0.1:{gate.do53}", port))
        for path in (gate.directory, gate.certs):
            path.chmod(0o755)
        if user == USER:
            for path in gate.certs.iterdir():
                shutil.chown(path, user)
        return gate

    def test_binds_a_privileged_port_then_keeps_nothing(self):
        # Its own address of 127.0.0.0/8: port 53 of 127.0.0.1 may be somebody's.
        address = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.53"
        gate = self.gateway(USER, f"{address}:53")
        gate.start()
        account = pwd.getpwnam(USER)
        groups = set(os.getgrouplist(USER, account.pw_gid))
        threads = list(status_of_threads(gate.process.pid))
        self.assertGreaterEqual(len(threads), 3, "the control thread and two workers")
        for status in threads:
            self.assertEqual(set(map(int, status["Uid"].split())), {account.pw_uid})
            self.assertEqual(set(map(int, status["Gid"].split())), {account.pw_gid})
            self.assertLessEqual(set(map(int, status["Groups"].split())), groups)
            self.assertEqual({name: int(status[name], 16) for name in NO_CAPABILITIES}, NO_CAPABILITIES)
            self.assertEqual(status["NoNewPrivs"], "1")
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.sendto(query("www.gate.test"), (address, 53))
            self.assertEqual(header(client.recv(4096))["an"], 1)
        self.assertIn("reloaded", gate.reload())
        self.assertNotIn("runs as root", gate.log())
        self.assertEqual(gate.stop(), 0, gate.log())

    def test_a_reload_that_may_not_read_changes_nothing_and_says_so(self):
        gate = self.gateway(USER)
        gate.start()
        (gate.directory / "gate.test.zone").chmod(0o600)
        said = gate.reload()
        self.assertIn("reload refused", said)
        self.assertIn("gate.test.zone", said)
        self.assertEqual(header(ask_udp(gate.do53, query("www.gate.test")))["an"], 1)
        self.assertEqual(gate.stop(), 0, gate.log())

    def test_no_such_user_ends_with_4(self):
        gate = self.gateway("nobody-of-this-name")
        result = sallyport("run", "-c", gate.config)
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertIn("there is no user 'nobody-of-this-name'", result.stderr)

    def test_who_is_not_root_cannot_become_another(self):
        gate = self.gateway("daemon")
        for path in gate.certs.iterdir():
            shutil.chown(path, USER)
        account = pwd.getpwnam(USER)
        result = sallyport("run", "-c", gate.config, user=account.pw_uid, group=account.pw_gid, extra_groups=[])
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertIn("cannot become user 'daemon'", result.stderr)

    def test_running_as_root_is_warned_of_unless_said(self):
        for user, warned in ((None, True), ("root", False)):
            gate = self.gateway(user)
            gate.start()
            self.assertEqual("runs as root" in gate.log(), warned, user)
            self.assertEqual({status["NoNewPrivs"] for status in status_of_threads(gate.process.pid)}, {"1"})
            self.assertEqual(gate.stop(), 0)


@unittest.skipUnless(HAS_SYSTEMD, "built without libsystemd")
class Notifications(unittest.TestCase):
    def test_the_states_of_a_life(self):
        with Service() as gate:
            self.assertIn("serving", gate.hear("READY=1")["STATUS"])
            before = time.monotonic_ns() // 1000
            gate.reload()
            reloading = gate.hear("RELOADING=1")
            # systemd.service(5): what tells this reload from an earlier one.
            self.assertLessEqual(before, int(reloading["MONOTONIC_USEC"]))
            self.assertLessEqual(int(reloading["MONOTONIC_USEC"]), time.monotonic_ns() // 1000)
            self.assertIn("STATUS", gate.hear("READY=1"))
            self.assertNotIn("WATCHDOG=1", [line for lines in gate.told for line in lines], "nobody asked for it")
            gate.process.send_signal(signal.SIGTERM)
            gate.hear("STOPPING=1")
            self.assertEqual(gate.process.wait(PATIENCE), 0)

    def test_ready_again_after_a_reload_that_was_refused(self):
        with Service() as gate:
            gate.hear("READY=1")
            good = gate.config.read_text()
            gate.config.write_text("nonsense: 1\n")
            self.assertIn("reload refused", gate.reload())
            gate.hear("RELOADING=1")
            gate.hear("READY=1")
            gate.config.write_text(good)

    def test_the_watchdog_is_fed_in_time(self):
        interval = 2 * SPEED
        with Service(watchdog=interval) as gate:
            gate.hear("READY=1")
            for _ in range(3):
                gate.hear("WATCHDOG=1", interval)

    def test_the_watchdog_has_patience_while_files_are_read(self):
        with Service(watchdog=2 * SPEED) as gate:
            gate.hear("READY=1")
            gate.reload()
            self.assertEqual(gate.hear("RELOADING=1")["WATCHDOG_USEC"], "600000000")
            self.assertEqual(gate.hear("READY=1")["WATCHDOG_USEC"], str(int(2 * SPEED * 1_000_000)))

    def test_the_watchdog_starves_while_any_one_worker_hangs(self):
        interval = SPEED
        starving = 0
        with Service(watchdog=interval) as gate:
            gate.hear("READY=1")
            threads = {int(path.name) for path in pathlib.Path(f"/proc/{gate.process.pid}/task").iterdir()}
            # Which of them are workers, and which write logs, is not told outside: two there are.
            for thread in threads - {gate.process.pid}:
                gate.hear("WATCHDOG=1")
                with stopped_thread(thread):
                    # Where nothing hangs it is fed four times an interval, or later on a busy machine; where something
                    # does, what was under way comes, and then no more.
                    starving += gate.count("WATCHDOG=1", 3, 5 * interval) < 3
            gate.hear("WATCHDOG=1")
        self.assertEqual(starving, 2)


def busiest_thread(gate):
    """A worker: who has worked most while questions came."""
    spent = lambda: {path.parent.name: int(path.read_text().split()[0]) for path in
                     pathlib.Path(f"/proc/{gate.process.pid}/task").glob("*/schedstat")}
    before = spent()
    for i in range(300):
        ask_udp(gate.do53, query("www.gate.test", ident=i))
    return int(max((after - before.get(thread, 0), thread) for thread, after in spent().items())[1])


class Health(unittest.TestCase):
    """`sallyport health`, for monitoring and containers."""

    def test_says_when_a_worker_hangs_and_when_it_is_well_again(self):
        port = free_port()
        with Gateway(extra=f"admin: {{ on: '127.0.0.1:{port}' }}\n") as gate:
            health = lambda *words: sallyport("health", "--admin", f"127.0.0.1:{port}", *words)
            self.assertEqual((health().returncode, health().stdout), (0, "healthy\n"))
            self.assertEqual((health("--ready").returncode, health("--ready").stdout), (0, "ready\n"))
            self.assertEqual((health("--quiet").returncode, health("--quiet").stdout), (0, ""))
            with stopped_thread(busiest_thread(gate)):
                sick = wait_for(lambda: (found := health()).returncode and found, "the illness to be noticed", PATIENCE + 30)
                self.assertEqual(sick.returncode, 1, sick.stderr)
                self.assertIn("sick", sick.stderr)
                self.assertIn("have not turned over", gate.log())
            wait_for(lambda: health().returncode == 0, "health")
        gone = health("--timeout", "1")
        self.assertEqual(gone.returncode, 4)
        self.assertIn("no gateway answers", gone.stderr)


class Hanging(unittest.TestCase):
    def test_a_worker_that_hangs_does_not_keep_the_program_from_ending(self):
        gate = Gateway(extra="limits: { drain: 100ms }\n")
        self.addCleanup(gate.stop)
        worker = busiest_thread(gate)
        with stopped_thread(worker):
            gate.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE
            # Who traces a thread has to take note of its end, too.
            while os.waitpid(worker, 0x40000000 | os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual(gate.process.wait(PATIENCE), 4)
        self.assertIn("a worker hangs", gate.log())


@contextlib.contextmanager
def stopped_thread(thread):
    """Holds one thread as a debugger does; a signal would stop all of them."""
    seize, interrupt, detach = 0x4206, 0x4207, 17
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(seize, thread, None, None) != 0:
        raise unittest.SkipTest("may not trace the gateway here")
    if libc.ptrace(interrupt, thread, None, None) != 0:
        raise unittest.SkipTest("may not stop a thread here")
    os.waitpid(thread, 0x40000000)  # __WALL
    try:
        yield
    finally:
        libc.ptrace(detach, thread, None, None)


@unittest.skipUnless(HAS_SYSTEMD, "built without libsystemd")
class SocketActivation(unittest.TestCase):
    def activation(self):
        """A configuration whose doors are sockets 3 (stream) and 4 (datagram) of the service manager, and a way to start it."""
        gate = Gateway(start=False)
        gate.config.write_text("workers: 2\nlisten:\n  - do53: { on: 'systemd:dns' }\nzones: [ { name: gate.test, file: gate.test.zone } ]\n")
        stream, datagram = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        stream.bind(("127.0.0.1", gate.do53))
        stream.listen(64)
        datagram.bind(("127.0.0.1", gate.do53))
        for made in (stream, datagram):
            self.addCleanup(made.close)

        def start():
            # The shell becomes the gateway, so that LISTEN_PID names it.
            script = f"exec 3<&{stream.fileno()} 4<&{datagram.fileno()}; LISTEN_PID=$$ exec \"$0\" run -c \"$1\""
            log = self.enterContext(open(gate.log_file, "ab"))
            gate.process = subprocess.Popen(
                ["bash", "-c", script, BINARY, str(gate.config)], pass_fds=[stream.fileno(), datagram.fileno()],
                env=dict(os.environ, LISTEN_FDS="2", LISTEN_FDNAMES="dns:dns"), stdout=subprocess.DEVNULL,
                stderr=log)
            return gate

        return gate, start

    def test_nothing_is_lost_while_the_gateway_restarts(self):
        gate, start = self.activation()
        start()
        wait_for(lambda: " serving " in gate.log(), "the start")
        self.assertEqual(header(ask_udp(gate.do53, query("www.gate.test")))["an"], 1)
        self.assertEqual(gate.stop(), 0, gate.log())
        # Nobody is there now: the questions wait in the service manager's sockets.
        with socket.socket(type=socket.SOCK_DGRAM) as waiting, socket.create_connection(("127.0.0.1", gate.do53), PATIENCE) as stream:
            waiting.settimeout(PATIENCE)
            waiting.sendto(query("www.gate.test", ident=1), ("127.0.0.1", gate.do53))
            stream.sendall(framed(query("www.gate.test", ident=2)))
            start()
            self.assertEqual(header(waiting.recv(4096))["id"], 1)
            self.assertEqual(header(read_framed(stream))["id"], 2)
        self.assertEqual(gate.stop(), 0, gate.log())

    def test_sockets_of_another_process_are_not_ours(self):
        gate, _ = self.activation()
        result = sallyport("run", "-c", gate.config, env=dict(os.environ, LISTEN_PID="1", LISTEN_FDS="2", LISTEN_FDNAMES="dns:dns"))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("systemd:dns", result.stderr)


class Units(unittest.TestCase):
    """The unit files, as the tools of the service manager judge them."""

    def setUp(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed (Debian: systemd)")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-units-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        text = (SOURCE / "packaging/systemd/sallyport.service.in").read_text()
        program = self.folder / "bin"
        program.mkdir()
        os.symlink(BINARY, program / "sallyport")
        text = text.replace("@CMAKE_INSTALL_FULL_BINDIR@", str(program)).replace("@SALLYPORT_CONFIG_DIR@", str(self.folder))
        # Whether the user exists, and the manual, are the installed system's business.
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
        (self.folder / "sallyport.service").write_text(text)
        for unit in (SOURCE / "packaging/systemd").glob("*.socket"):
            (self.folder / unit.name).write_text(re.sub(r"^Documentation=.*\n", "", unit.read_text(), flags=re.M))

    def analyze(self, *words):
        return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, cwd=self.folder,
                              env=dict(os.environ, SYSTEMD_UNIT_PATH=f"{self.folder}:", SYSTEMD_LOG_LEVEL="warning"))

    def test_they_are_well_formed(self):
        for unit in sorted(self.folder.glob("sallyport*")):
            result = self.analyze("verify", "--man=no", str(unit))
            ours = [line for line in (result.stdout + result.stderr).splitlines() if "sallyport" in line]
            self.assertEqual((result.returncode, ours), (0, []), result.stderr)

    def test_exposure(self):
        result = self.analyze("security", "--offline=true", "--no-pager", "--threshold=20", str(self.folder / "sallyport.service"))
        if "unrecognized option" in result.stderr or "Unknown" in result.stderr:
            self.skipTest("this systemd-analyze judges no files")
        self.assertEqual(result.returncode, 0, "exposure over 2.0:\n" + result.stdout + result.stderr)

    def test_what_the_program_relies_on_is_there(self):
        unit = (self.folder / "sallyport.service").read_text()
        for line in ("Type=notify", "NotifyAccess=main", "WatchdogSec=", "NoNewPrivileges=yes", "RestartPreventExitStatus=1 2",
                     "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"):
            self.assertIn(line, unit)


class ExitCodes(unittest.TestCase):
    """0 and 1 to 4, as the manual says; 9 of `ask` is tested with it."""

    def test_each(self):
        gate = Gateway(start=False)
        good = gate.config.read_text()
        self.assertEqual(sallyport("check", "-c", gate.config).returncode, 0)
        gate.config.write_text(good + "nonsense: 1\n")
        self.assertEqual(sallyport("run", "-c", gate.config).returncode, 1)
        self.assertEqual(sallyport("run", "--config").returncode, 2)
        gate.config.write_text(good)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", gate.dot))
            taken.listen()
            self.assertEqual(sallyport("run", "-c", gate.config).returncode, 3)
        gate.config.write_text(good + "user: nobody-of-this-name\n")
        self.assertEqual(sallyport("run", "-c", gate.config).returncode, 4)
        gate.config.write_text(good)
        gate.start()
        self.assertEqual(gate.stop(), 0)

    def test_the_manual_and_help_name_them(self):
        manual = (SOURCE / "packaging/man/sallyport.1").read_text()
        documented = re.findall(r'^\.B (\d)$', manual[manual.index("EXIT STATUS"):], re.M)
        self.assertEqual(documented, ["0", "1", "2", "3", "4", "9"])
        self.assertIn("Exit codes: 0", sallyport("--help").stdout)


if __name__ == "__main__":
    unittest.main()
