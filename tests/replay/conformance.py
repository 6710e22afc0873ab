#!/usr/bin/env python3
"""The table of public scenarios in docs/conformance.md, and the number of our own: written anew, or compared with what
the runner says.

usage: conformance.py (--check|--write) REPLAY MANIFEST FOLDER KNOWN DOCUMENT. Exit code 77 where there are no public
scenarios.
"""

import difflib
import pathlib
import re
import subprocess
import sys

BEGIN, END = "<!-- begin: written by tests/replay/conformance.py -->\n", "<!-- end -->\n"


OWN = re.compile(r"\b\d+ scenarios, written by `tests/replay/make_scenarios.py`")


def main():
    mode, replay, manifest, folder, known, document = sys.argv[1:]
    path = pathlib.Path(document)
    text = path.read_text(encoding="utf-8")
    own = len(list((pathlib.Path(__file__).parent / "scenarios").glob("*.rpl")))
    own_line = f"{own} scenarios, written by `tests/replay/make_scenarios.py`"
    if mode == "--write":
        text = OWN.sub(own_line, text)
        path.write_text(text, encoding="utf-8")
    elif own_line not in text:
        print(f"{document} has another number of our own scenarios than {own}")
        return 1
    if not pathlib.Path(manifest).exists():
        print(f"no scenarios at {folder}: skipped")
        return 77
    run = subprocess.run([replay, "--table", "--at-least", "0", "--manifest", manifest, "--known", known, folder],
                         capture_output=True, text=True, check=False)
    sys.stderr.write(run.stderr)
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    new = "\n" + run.stdout + "\n"
    if mode == "--write":
        path.write_text(before + BEGIN + new + END + after, encoding="utf-8")
        return run.returncode
    if old != new:
        print("\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), "the document", "the run", lineterm="")))
        print("make it anew: conformance.py --write with the same arguments")
        return 1
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
