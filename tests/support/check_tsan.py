# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs tsan_probe: the locks must be clean, the planted race must be reported as itself."""

import subprocess
import sys

FOUND = 66  # the exit code in TSAN_OPTIONS

probe, mode = sys.argv[1:]
result = subprocess.run([probe, mode], stderr=subprocess.PIPE, text=True, timeout=120)
if mode == "locks":
    good = result.returncode == 0 and "ThreadSanitizer" not in result.stderr
else:
    good = result.returncode == FOUND and "data race" in result.stderr and "planted_race_thread" in result.stderr
if not good:
    sys.stderr.write(result.stderr)
    sys.exit(f"tsan_probe {mode}: exit code {result.returncode}")
