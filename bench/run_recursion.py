#!/usr/bin/env python3
"""CPU of a question that is resolved from the root down, ours beside Debian's unbound on the same private tree.

usage: bench/run_recursion.py PROGRAM [QUESTIONS]        (as root: it makes network namespaces of its own)
"""

import collections
import glob
import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
    sys.exit(__doc__.strip())
os.environ.setdefault("SALLYPORT_BINARY", str(pathlib.Path(sys.argv[1]).resolve()))
os.environ.setdefault("SALLYPORT_SOURCE_DIR", str(ROOT))
os.environ.setdefault("SALLYPORT_HAS_QUIC", "ON")
sys.path.insert(0, str(ROOT / "tests/e2e"))

import gateway  # noqa: E402

gateway.enter_namespaces("bench")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
import private_root  # noqa: E402
from recursion_compare_test import OURS, RD, THEIRS, Unbound, answers, ask, header, query, wait_for  # noqa: E402

AT_ONCE = 20
CASES = (("cold, unsigned wildcard", "plain", "n{}.wild.plain.tld"),
         ("cold, ECDSA P-256, NSEC wildcard", "ecdsa", "n{}.wild.ecdsa.tld"),
         ("cold, Ed25519, NSEC3 wildcard", "ed25519", "n{}.wild.ed25519.tld"),
         ("NXDOMAIN, ECDSA P-256, NSEC", "ecdsa", "nx{}.ecdsa.tld"),
         ("cached", "ecdsa", "www.ecdsa.tld"))


def cpu_seconds(process):
    """What all threads of a process have used."""
    files = glob.glob(f"/proc/{process.pid}/task/*/schedstat")
    return sum(int(pathlib.Path(file).read_text().split()[0]) for file in files) / 1e9


def run(server, process, name, count):
    """CPU microseconds a question, and the answers by RCODE."""
    sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(AT_ONCE)]
    for one in sockets:
        one.settimeout(10)
        one.connect((server, 53))
    codes = collections.Counter()
    before = cpu_seconds(process)
    for base in range(0, count, AT_ONCE):
        for number, one in enumerate(sockets):
            one.send(query(name.format(base + number), 1, 77, RD, {"do": True}))
        for one in sockets:
            codes[header(one.recv(65535))["rcode"]] += 1
    used = cpu_seconds(process) - before
    for one in sockets:
        one.close()
    return used / count * 1e6, dict(codes)


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    with private_root.PrivateRoot(port=53) as root:
        unbound = Unbound(root)
        config = f"workers: 1\nlisten: [{{ do53: {{ on: ['{OURS}:53'] }} }}]\n" + root.resolve_section()
        with gateway.Gateway(config=config) as gate:
            wait_for(lambda: answers(THEIRS), "unbound")
            print(f"{'':34}{'sallyport':>12}{'unbound':>12}   CPU µs a question, {count} questions, {AT_ONCE} at once")
            for label, zone, name in CASES:
                for server in (OURS, THEIRS):
                    ask(server, f"www.{zone}.tld", 1, RD)  # the delegation and the keys are known
                ours, our_codes = run(OURS, gate.process, name, count)
                theirs, their_codes = run(THEIRS, unbound.process, name, count)
                odd = "" if our_codes == their_codes else f"   {our_codes} and {their_codes}"
                print(f"{label:34}{ours:12.1f}{theirs:12.1f}{odd}", flush=True)
        unbound.stop()


if __name__ == "__main__":
    main()
