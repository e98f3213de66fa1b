#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a pipeline as gst-launch-1.0 does, for tests of errors: `launch.py DESCRIPTION`.

gst-launch-1.0 hangs now and then if the error comes before its main loop runs, with any element (tried with
GStreamer 1.22 and rtmp2sink), and prints no details. Prints a JSON object a line: {"element", "domain", "code",
"text", "debug", "details"} for each error within 0.2 s of the first, in order, or {"eos": true}. Exit status as
gst-launch-1.0's: 1 after an error.
"""

import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

AFTER_FIRST = Gst.SECOND // 5


def details(structure):
    if structure is None:
        return {}
    return {structure.nth_field_name(i): str(structure.get_value(structure.nth_field_name(i)))
            for i in range(structure.n_fields())}


def main():
    Gst.init(None)
    pipeline = Gst.parse_launch(sys.argv[1])
    bus = pipeline.get_bus()
    pipeline.set_state(Gst.State.PLAYING)
    failed = False
    while True:
        message = bus.timed_pop_filtered(AFTER_FIRST if failed else Gst.CLOCK_TIME_NONE,
                                         Gst.MessageType.ERROR | Gst.MessageType.EOS)
        if message is None:
            break
        if message.type == Gst.MessageType.EOS:
            if failed:
                continue
            print(json.dumps({"eos": True}), flush=True)
            break
        failed = True
        error, debug = message.parse_error()
        print(json.dumps({"element": message.src.get_name(), "domain": error.domain, "code": error.code,
                          "text": error.message, "debug": debug,
                          "details": details(message.parse_error_details())}), flush=True)
    pipeline.set_state(Gst.State.NULL)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
