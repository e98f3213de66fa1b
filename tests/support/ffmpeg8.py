# SPDX-License-Identifier: LGPL-2.1-or-later
"""FFmpeg 8 as a peer, out of npm: require() it, then probe() what we made, or copy() into FLV for us to read."""

import json
import pathlib

import node_packages
import procs

FOLDER = node_packages.TOOLS / "node"
SCRIPT = pathlib.Path(__file__).with_name("ffmpeg8.mjs")


def require():
    """Fetches it, once. Where it cannot be had, the test is skipped and says why."""
    node_packages.fetch("FFmpeg 8", "node", "node-av", "@seydx/node-av-linux-x64")


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
