#!/usr/bin/env python3
"""Checks that includes only go down the floors, and that headers stay light.

The allowed edges are the USES lists of the sallyport_module() calls in CMakeLists.txt; there is no second table.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()

# conf fills the options of the modules and knows nothing else of them.
OPTIONS_ONLY = {"conf"}

# Never in a header: they cost every file that reads it seconds, or belong to tests and tools.
HEAVY = re.compile(r"boost/(asio|beast|json|spirit|cobalt)\.hpp$|boost/(beast|json)/|gtest/|gmock/|benchmark/|CLI/|"
                   r"yaml-cpp/|spdlog/|fmt/|systemd/")

# Libraries behind which our own types stand: in .cpp files, in *_handle.hpp, and in headers that only their own
# folder includes.
HIDDEN = re.compile(r"(openssl|gnutls|nghttp2|nghttp3|ngtcp2|ldns)/|boost/asio/")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]', re.MULTILINE)
MODULE = re.compile(r"^sallyport_module\(\s*(\w+)([^)]*)\)", re.MULTILINE)


def read_edges():
    edges = {}
    text = re.sub(r"#[^\n]*", "", (ROOT / "CMakeLists.txt").read_text())
    for name, rest in MODULE.findall(text):
        words = rest.split()
        uses = words[words.index("USES") + 1:] if "USES" in words else []
        stop = uses.index("LIBS") if "LIBS" in uses else len(uses)
        edges[name] = set(uses[:stop])
    if not edges:
        sys.exit("check_includes: no sallyport_module() call found in CMakeLists.txt")
    return edges


def check_order(edges):
    """A module may use only modules declared before it: so the graph has no circle."""
    known = set()
    for name, uses in edges.items():
        for lower in sorted(uses - known):
            yield f"CMakeLists.txt: {name} uses {lower}, which is not declared above it"
        known.add(name)


def includes_of(path):
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1) == '"', match.group(2)


def check_edge(module, edges, place, target):
    parts = target.split("/")
    if len(parts) == 1:
        yield f'{place}: "{target}": write the path from the top, "{module}/{target}"'
        return
    if parts[0] == module:
        return
    if parts[0] not in edges:
        yield f'{place}: "{target}": {parts[0]} is no module (system headers go in <>)'
    elif parts[0] not in edges[module]:
        allowed = ", ".join(sorted(edges[module])) or "nothing"
        yield f'{place}: {module} may not include "{target}" (it may use: {allowed})'
    elif module in OPTIONS_ONLY and parts[0] != "base" and parts[-1] != "options.hpp":
        yield f'{place}: {module} may include of {parts[0]} only its options.hpp, not "{target}"'


def check_header(module, path, place, target, foreign_readers):
    if HEAVY.search(target):
        yield f"{place}: <{target}> does not belong in a header: it is slow to compile, or belongs to a .cpp file"
    elif HIDDEN.search(target) and not path.name.endswith("_handle.hpp"):
        header = str(path.relative_to(ROOT))
        readers = sorted(foreign_readers.get(header, ()))
        if readers:
            yield (f"{place}: <{target}> in a header that {', '.join(readers)} includes: keep it in a .cpp file, a "
                   f"*_handle.hpp, or a header that only {module} reads")


def sources(folder):
    return sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in (".hpp", ".cpp"))


def main():
    edges = read_edges()
    problems = list(check_order(edges))
    foreign_readers = {}
    files = [(module, path) for module in edges for path in sources(module)]
    for module, path in files:
        for _, ours, target in includes_of(path):
            if ours and target.split("/")[0] not in (module, target):
                foreign_readers.setdefault(target, set()).add(module)
    for module, path in files:
        name = path.relative_to(ROOT)
        if path.suffix == ".hpp" and "#pragma once" not in path.read_text(encoding="utf-8"):
            problems.append(f"{name}:1: a header without #pragma once")
        for line, ours, target in includes_of(path):
            place = f"{name}:{line}"
            if ours:
                problems += check_edge(module, edges, place, target)
            elif path.suffix == ".hpp":
                problems += check_header(module, path, place, target, foreign_readers)
    for problem in problems:
        print(problem)
    print(f"{len(files)} files of {len(edges)} modules read, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
