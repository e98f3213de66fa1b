# SPDX-License-Identifier: LGPL-2.1-or-later
"""GStreamer pipelines in processes of their own, as a user runs them."""

import json
import pathlib
import shlex
import sys
import time

import procs

# Messages are read by patterns: the user's language and colours would change them.
PLAIN = {"LC_ALL": "C.UTF-8", "GST_DEBUG_NO_COLOR": "1"}


def start(description, *, env=None, eos=True, options=()):
    """Starts gst-launch-1.0. `description` is split as a shell does; with `eos`, interrupt() ends it in good order."""
    words = shlex.split(description) if isinstance(description, str) else list(description)
    argv = ["gst-launch-1.0", *(["-e"] if eos else []), *options, *words]
    return procs.Child(argv, env={**PLAIN, **(env or {})})


def run(description, *, timeout=30, env=None, check=True):
    """Runs gst-launch-1.0 to its end and returns (status, output, seconds)."""
    began = time.monotonic()
    with start(description, env=env, eos=False) as child:
        status = child.wait(timeout)
        took = time.monotonic() - began
        output = child.output()
    if check and status != 0:
        raise AssertionError(f"{' '.join(child.argv)}: exit status {status}\n{output}")
    return status, output, took


def python(code, *arguments, timeout=30, env=None, check=True):
    """Runs a piece of Python in which `Gst` is there and initialised; returns (status, output)."""
    head = ("import sys, gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst, GLib, GObject\n"
            "Gst.init(None)\n")
    return procs.run([sys.executable, "-c", head + code, *arguments], timeout=timeout, check=check,
                     env={**PLAIN, **(env or {})})


def start_watched(description, *, env=None):
    """Starts a pipeline whose errors are of interest; its output is for errors()."""
    launcher = pathlib.Path(__file__).with_name("launch.py")
    return procs.Child([sys.executable, launcher, description], env={**PLAIN, **(env or {})})


def errors(output):
    """Returns what start_watched() printed of errors: dictionaries as launch.py describes them, the first first."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in lines if "element" in line]
