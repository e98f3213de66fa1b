# SPDX-License-Identifier: LGPL-2.1-or-later
"""FFmpeg 8 as a peer, out of npm: require() it, then probe() what we made, or copy() into FLV for us to read."""

import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import procs

PACKAGES = ("node-av", "@seydx/node-av-linux-x64")
FOLDER = pathlib.Path(os.environ.get("RTMP_TEST_SOURCE", pathlib.Path(__file__).parents[2])) / "build-tools" / "node"
SCRIPT = pathlib.Path(__file__).with_name("ffmpeg8.mjs")


def require():
    """Fetches it, once. Where it cannot be had, the test is skipped and says why."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise unittest.SkipTest("FFmpeg 8 comes by npm, and node or npm is not installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / "fetched").exists():
            try:
                subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES], cwd=FOLDER,
                               capture_output=True, text=True, timeout=240, check=True)
            except subprocess.TimeoutExpired:
                raise unittest.SkipTest("npm did not deliver FFmpeg 8 in time") from None
            except subprocess.CalledProcessError as error:
                last = (error.stderr.strip() or "no reason given").splitlines()[-1]
                raise unittest.SkipTest(f"npm could not install {' '.join(PACKAGES)}: {last}") from None
            (FOLDER / "fetched").touch()


def argv(*words):
    return ["node", str(SCRIPT), *map(str, words)]


def environment():
    # A sanitizer's runtime in front of node is of no use to anybody.
    return {"FFMPEG8_MODULES": str(FOLDER / "node_modules"), "LD_PRELOAD": ""}


def copy(*names, timeout=60, **options):
    """Copies the streams of all files but the last into the last, an FLV file or URL, in the pace of files."""
    return procs.run(argv("copy", *names, *(f"{key}={value}" for key, value in options.items())), timeout=timeout,
                     env=environment())


def publish(*names, **options):
    """Starts to publish files at the pace of their time stamps; the last name is the URL."""
    return procs.Child(argv("copy", *names, "realtime=1", *(f"{key}={value}" for key, value in options.items())),
                       env=environment())


def probe(url, seconds=0, timeout=60):
    """Returns the streams of a file or URL, as dictionaries, each with its `packets`."""
    _, output = procs.run(argv("probe", url, seconds), timeout=timeout, env=environment())
    streams = []
    for line in output.splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        if "stream" in entry:
            streams.append({**entry, "packets": []})
        else:
            streams[entry["packet"]]["packets"].append(entry)
    return streams
