#!/usr/bin/env python3
"""CPU of a question that is resolved from the root down, ours beside Debian's unbound on the same private tree.

Each kind of question is asked in rounds, ours and unbound in turn, and the median round counts. The program that asks is
sallyport-load, found beside the build of PROGRAM.

usage: bench/run_recursion.py PROGRAM [QUESTIONS [ROUNDS [AT_ONCE]]]     (as root: it makes network namespaces of its own)
"""

import collections
import contextlib
import glob
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
    sys.exit(__doc__.strip())
PROGRAM = pathlib.Path(sys.argv[1]).resolve()
QUESTIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
AT_ONCE = int(sys.argv[4]) if len(sys.argv) > 4 else 64
LOAD = PROGRAM.parents[1] / "bench" / "load" / "sallyport-load"
os.environ.setdefault("SALLYPORT_BINARY", str(PROGRAM))
os.environ.setdefault("SALLYPORT_SOURCE_DIR", str(ROOT))
os.environ.setdefault("SALLYPORT_HAS_QUIC", "ON")
sys.path.insert(0, str(ROOT / "tests/e2e"))

import gateway  # noqa: E402

gateway.enter_namespaces("bench")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
import private_root  # noqa: E402
from recursion_compare_test import OURS, RD, THEIRS, Unbound, answers, ask, wait_for  # noqa: E402

CONNECTIONS = min(8, AT_ONCE)
LEAVES = ("plain", "ecdsa", "ed25519")
CASES = (("cold, unsigned, names of their own", "plain", "h{}.plain.tld"),
         ("cold, unsigned wildcard", "plain", "n{}.wild.plain.tld"),
         ("cold, ECDSA P-256, NSEC, names of their own", "ecdsa", "h{}.ecdsa.tld"),
         ("cold, ECDSA P-256, NSEC wildcard", "ecdsa", "n{}.wild.ecdsa.tld"),
         ("cold, Ed25519, NSEC3, names of their own", "ed25519", "h{}.ed25519.tld"),
         ("cold, Ed25519, NSEC3 wildcard", "ed25519", "n{}.wild.ed25519.tld"),
         ("NXDOMAIN, ECDSA P-256, NSEC", "ecdsa", "nx{}.ecdsa.tld"),
         ("cached", "ecdsa", "www.ecdsa.tld"))


def cpu_seconds(process):
    """What all threads of a process have used."""
    files = glob.glob(f"/proc/{process.pid}/task/*/schedstat")
    return sum(int(pathlib.Path(file).read_text().split()[0]) for file in files) / 1e9


def run(server, process, name, first):
    """CPU microseconds a question, and how many were not answered."""
    with tempfile.NamedTemporaryFile("w", suffix=".names") as names:
        names.writelines(name.format(first + number) + " A\n" for number in range(QUESTIONS))
        names.flush()
        before = cpu_seconds(process)
        done = subprocess.run([LOAD, "--door", "udp", "--server", f"{server}:53", "--names", names.name, "--dnssec",
                               "--connections", str(CONNECTIONS), "--outstanding", str(AT_ONCE // CONNECTIONS),
                               "--queries", str(QUESTIONS), "--settle", "0", "--json"],
                              stdout=subprocess.PIPE, text=True, check=False)
        used = cpu_seconds(process) - before
    return used / QUESTIONS * 1e6, json.loads(done.stdout)["errors"]


def own_names():
    """Host names for the leaf zones: each has a signature of its own, which no resolver has seen."""
    return "\n".join(f"h{number} A 192.0.2.{number % 200 + 1}" for number in range(QUESTIONS * ROUNDS))


def main():
    private_root.BIG += "\n" + own_names()
    with private_root.PrivateRoot({leaf: private_root.LEAVES[leaf] for leaf in LEAVES}, 53) as root:
        unbound = Unbound(root)
        config = (f"workers: 1\nlisten: [{{ do53: {{ on: ['{OURS}:53'] }} }}]\n" + root.resolve_section())
        with contextlib.ExitStack() as stack, gateway.Gateway(config=config) as gate:
            stack.callback(unbound.stop)
            wait_for(lambda: answers(THEIRS), "unbound")
            print(f"CPU µs a question; {ROUNDS} rounds of {QUESTIONS} questions, {AT_ONCE} at once; "
                  "median (least to most)\n\n| question | sallyport | unbound |\n|---|---|---|")
            for label, zone, name in CASES:
                used, errors = collections.defaultdict(list), collections.Counter()
                for server in (OURS, THEIRS):
                    ask(server, f"www.{zone}.tld", 1, RD)  # the delegation and the keys are known
                for turn in range(ROUNDS):
                    for server, process in ((OURS, gate.process), (THEIRS, unbound.process)):
                        cost, failed = run(server, process, name, turn * QUESTIONS)
                        used[server].append(cost)
                        errors[server] += failed
                cells = [f"{statistics.median(used[server]):.1f} ({min(used[server]):.1f} to {max(used[server]):.1f})" +
                         (f", {errors[server]} without answer" if errors[server] else "") for server in (OURS, THEIRS)]
                print(f"| {label} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
