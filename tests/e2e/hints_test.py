#!/usr/bin/env python3
"""Every line that `sallyport run --hints` prints for pasting works as it is printed."""

import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, HAS_QUIC, SLOWNESS, SOURCE, Gateway, need, wait_for


class Hints(unittest.TestCase):
    def test_each_line_works_as_typed(self):
        gate = Gateway(start=False)
        printed = gate.directory / "printed"
        with open(printed, "w") as out:
            gate.process = subprocess.Popen([BINARY, "run", "--hints", "-c", str(gate.config)], stdout=out, stderr=out, cwd=SOURCE)
        try:
            wait_for(lambda: "Ctrl-C" in printed.read_text(), "the table")
            text = printed.read_text()
            for door in ["Do53/UDP", "Do53/TCP", "DoT", "DoH"] + (["DoQ", "DoH/3"] if HAS_QUIC else []):
                self.assertRegex(text, rf"(?m)^  {re.escape(door)} ", "every door has its line")
            for word in ("Firefox", "Chromium", "Android"):
                self.assertIn(word, text)
            lines = re.findall(r"(?m)^.*?((?:kdig|curl|\S*sallyport ask) .*)$", text)
            self.assertGreaterEqual(len(lines), 6)
            tried = 0
            for line in lines:
                if need(line.split()[0]) is None:
                    print(f"not tried, {line.split()[0]} is not installed: {line}")
                    continue
                with self.subTest(line=line):
                    result = subprocess.run(line, shell=True, cwd=SOURCE, capture_output=True, text=True, timeout=60 * SLOWNESS)
                    self.assertEqual(result.returncode, 0, (line, result.stdout, result.stderr))
                    wanted = "no DNS is served at this path" if line.startswith("curl") else "gate.test"
                    self.assertIn(wanted, result.stdout, line)
                    tried += 1
            self.assertGreater(tried, 0)
        finally:
            self.assertEqual(gate.stop(), 0, printed.read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
