#!/usr/bin/env python3
"""Checks the text of all tracked files: no path of one machine, no package host, no mark of unfinished work."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()


def mark(*pieces):
    """The words looked for are put together here, so that this file does not hold them."""
    return r"\b" + "".join(pieces) + r"\b"


RULES = [
    (re.compile("|".join([mark("TO", "DO"), mark("FIX", "ME"), mark("X" * 3), mark("HA", "CK")])),
     "a mark of unfinished work"),
    (re.compile(mark("for", " ", "now") + "|" + mark("not", " ", "implemented", " ", "yet"), re.IGNORECASE),
     "words of unfinished work"),
    (re.compile(r"(?<![\w.$}~-])/(?:" + "|".join(["wo" + "rk", "ho" + "me", "ro" + "ot", "Us" + "ers"]) + r")/\w"),
     "a path of one machine"),
    (re.compile("|".join([r"deb\.deb" + r"ian\.org", r"archive\.ub" + r"untu\.com", r"py" + r"pi\.org",
                          r"registry\.np" + r"mjs", r"crates" + r"\.io", r"proxy\.gol" + r"ang"])),
     "a package host: the system's own configuration knows where packages come from"),
    (re.compile(r"^(<{7}|>{7}) ", re.MULTILINE), "a merge that was not finished"),
    (re.compile(r"[ \t]+$", re.MULTILINE), "white space at the end of a line"),
    (re.compile(r"\r$", re.MULTILINE), "a carriage return"),
]

# Bytes of the wire and text that must be as odd as a stranger would send it.
SKIPPED = re.compile(r"^(fuzz/(seeds|corpus)/|fuzz/.*\.dict$|LICENSE$)|\.(pcap|bin|der|png|svg)$")
SPACES_MATTER = re.compile(r"\.(zone|hosts|md|patch)$|^tests/.*data/")


def tracked_files():
    try:
        out = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             check=True, capture_output=True).stdout
        names = {name for name in out.decode().split("\0") if name}
        return sorted(name for name in names if (ROOT / name).is_file())
    except (OSError, subprocess.CalledProcessError):
        files = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
        return sorted(str(p) for p in files if p.parts[0] not in (".git", "build"))


def check_file(name):
    data = (ROOT / name).read_bytes()
    if b"\0" in data:
        yield f"{name}: a binary file outside of fuzz/seeds"
        return
    text = data.decode("utf-8", errors="replace")
    for pattern, what in RULES:
        if "line" in what and SPACES_MATTER.search(name):
            continue
        for match in pattern.finditer(text):
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group(0).strip()!r}"


def main():
    problems = []
    files = [name for name in tracked_files() if not SKIPPED.search(name)]
    for name in files:
        problems += check_file(name)
    for problem in problems:
        print(problem)
    print(f"{len(files)} files read, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
