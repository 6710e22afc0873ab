#!/usr/bin/env python3
"""Runs clang-tidy 19 with the checks of .clang-tidy over our sources.

usage: .ci/tidy.py BUILD-FOLDER AT-A-TIME [PATH-PART]

Most checks spend nearly all their time on the headers that every file reads. So files that are compiled with equal options
are included into one for them, as in a build with SALLYPORT_UNITY: names in their unnamed namespaces must differ there
anyway. Files that cannot be read together are looked at one by one. The analyzer (clang-analyzer-*) gets each file alone:
it does not look again, with whatever they may be given, at functions that it has followed a call into.
VERBOSE=1 tells the times.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

TOGETHER = 20  # more take less time in all, but the last ones then end further apart
NOT_OURS = re.compile(r"(\.\.|tests|bench|fuzz|build)/")
COMPILER = re.compile(r"(^|/)(clang\+\+|g\+\+|c\+\+)[-0-9.]*$")
FINDING = re.compile(r"^(\S+?):\d+:\d+: (?:error|warning): ", re.MULTILINE)
TIDY = ["clang-tidy-19", "--quiet", "--config-file=.clang-tidy"]


def read_sources(folder):
    """Path and options of each .cpp of ours; one that two targets compile is there once."""
    sources = {}
    for entry in json.loads((folder / "compile_commands.json").read_text()):
        path = os.path.relpath(entry["file"])
        if not path.endswith(".cpp") or NOT_OURS.match(path):
            continue
        words = shlex.split(entry["command"])
        rest = iter(words[next(i for i, word in enumerate(words) if COMPILER.search(word)) + 1:])
        options = []
        for word in rest:
            if word in ("-o", "-c", "-MF", "-MT"):
                next(rest)
            elif word not in ("-MD", entry["file"]):
                options.append(word)
        sources.setdefault(path, tuple(options))
    return sources


def put_together(sources):
    """Heaps of neighbours with equal options, the largest first."""
    alike = {}
    for path, options in sorted(sources.items()):
        alike.setdefault(options, []).append(path)
    heaps = []
    for options, paths in alike.items():
        count = -(-len(paths) // TOGETHER)
        heaps += [(options, paths[len(paths) * i // count:len(paths) * (i + 1) // count]) for i in range(count)]
    return sorted(heaps, key=lambda heap: len(heap[1]), reverse=True)


def split_checks():
    """The checks for heaps, and those of the analyzer."""
    done = subprocess.run([*TIDY, "--list-checks"], stdout=subprocess.PIPE, text=True, check=True)
    checks = re.findall(r"^ +(\S+)$", done.stdout, re.MULTILINE)
    analyzer = [check for check in checks if check.startswith("clang-analyzer-")]
    others = [check for check in checks if not check.startswith("clang-analyzer-")]
    if not analyzer or not others:
        sys.exit("sallyport: .clang-tidy is expected to name checks of the analyzer, and others")
    return others, analyzer


class Look:
    """One run of clang-tidy: some checks over a file, or over a heap of them."""

    def __init__(self, checks, options, paths, heap=None):
        self.checks = checks
        self.options = options
        self.paths = paths
        self.file = paths[0]
        if heap:
            self.file = heap
            heap.write_text("".join(
                f'#include "{os.path.abspath(path)}" // NOLINT(bugprone-suspicious-include)\n' for path in paths))

    def run(self):
        started = time.monotonic()
        done = subprocess.run([*TIDY, "--checks=-*," + ",".join(self.checks), self.file, "--", *self.options],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.status = done.returncode
        self.found = done.stdout
        self.seconds = time.monotonic() - started
        return self

    def cannot_be_read_together(self):
        return self.status and len(self.paths) > 1 and ("[clang-diagnostic-" in self.found or
                                                        not FINDING.search(self.found))


class Report:
    def __init__(self):
        self.said = set()
        self.bad = set()

    def add(self, look):
        if os.environ.get("VERBOSE"):
            what = "analyzer" if look.checks[0].startswith("clang-analyzer-") else "checks"
            print(f"{look.seconds:7.1f} s  {what:8}  {look.paths[0]}" +
                  (f" and {len(look.paths) - 1} more" if look.paths[1:] else ""), flush=True)
        if not look.status:
            return
        starts = [match.start() for match in FINDING.finditer(look.found)]
        if not starts:
            self.bad.add(look.paths[0])
            print(f"{look.paths[0]}: clang-tidy ended with exit code {look.status} and without a finding\n{look.found}",
                  flush=True)
        for start, end in zip(starts, starts[1:] + [len(look.found)]):
            text = look.found[start:end].rstrip()
            # A header is read by many.
            if text not in self.said:
                self.said.add(text)
                self.bad.add(os.path.relpath(FINDING.match(text)[1]))
                print(text, flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, at_a_time, only = pathlib.Path(sys.argv[1]), int(sys.argv[2]), "".join(sys.argv[3:4])
    sources = {path: options for path, options in read_sources(folder).items() if only in path}
    if not sources:
        sys.exit(f"sallyport: no source {f'with {only} in its path ' if only else ''}to look at")
    checks, analyzer = split_checks()
    looks = [Look(checks, options, paths, folder / f"together_{number}.cpp" if len(paths) > 1 else None)
             for number, (options, paths) in enumerate(put_together(sources))]
    looks += [Look(analyzer, options, [path]) for path, options in sources.items()]

    report = Report()
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        work = {pool.submit(look.run) for look in looks}
        while work:
            done, work = concurrent.futures.wait(work, return_when=concurrent.futures.FIRST_COMPLETED)
            for look in (future.result() for future in done):
                if look.cannot_be_read_together():
                    print(f"looked at one by one, cannot be read together: {' '.join(look.paths)}", flush=True)
                    work |= {pool.submit(Look(look.checks, look.options, [path]).run) for path in look.paths}
                else:
                    report.add(look)
    print(f"{len(sources)} files looked at by clang-tidy, {len(report.said)} findings in {len(report.bad)} files")
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
