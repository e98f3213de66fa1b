# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packages out of npm for tests, fetched once: fetch("what", "package", ...) returns the folder that has node_modules."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import unittest

TOOLS = pathlib.Path(os.environ.get("RTMP_TEST_SOURCE", pathlib.Path(__file__).parents[2])) / "build-tools"


def fetch(what, folder, *packages):
    """Installs `packages` into build-tools/`folder`. Where they cannot be had, SkipTest says why `what` is not tested."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise unittest.SkipTest(f"{what} comes by npm, and node or npm is not installed")
    path = TOOLS / folder
    path.mkdir(parents=True, exist_ok=True)
    with open(path / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (path / "fetched").exists():
            try:
                subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *packages], cwd=path,
                               capture_output=True, text=True, timeout=240, check=True)
            except subprocess.TimeoutExpired:
                raise unittest.SkipTest(f"npm did not deliver {what} in time") from None
            except subprocess.CalledProcessError as error:
                last = (error.stderr.strip() or "no reason given").splitlines()[-1]
                raise unittest.SkipTest(f"npm could not install {' '.join(packages)}: {last}") from None
            (path / "fetched").touch()
    return path
