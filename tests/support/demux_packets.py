#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes what comes out of the stock flvdemux behind a source: `demux_packets.py OUT SOURCE [PROPERTY=VALUE...]`.

One JSON list a packet: kind (as in FLV), DTS and PTS in milliseconds, key frame, digest of the payload.
"""

import hashlib
import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

AUDIO, VIDEO = 8, 9


def main():
    Gst.init(None)
    out = open(sys.argv[1], "w", encoding="utf-8", buffering=1)
    pipeline = Gst.parse_launch(" ".join(sys.argv[2:]) + " ! flvdemux name=d")

    def add(demux, pad):
        kind = VIDEO if pad.get_name().startswith("video") else AUDIO
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("sync", False)
        sink.set_property("async", False)
        sink.set_property("signal-handoffs", True)

        def handoff(_sink, buffer, _pad):
            payload = buffer.extract_dup(0, buffer.get_size())
            dts = buffer.dts if buffer.dts != Gst.CLOCK_TIME_NONE else buffer.pts
            key = kind == VIDEO and not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
            out.write(json.dumps([kind, dts // Gst.MSECOND, buffer.pts // Gst.MSECOND, key,
                                  hashlib.sha256(payload).hexdigest()[:16]]) + "\n")

        sink.connect("handoff", handoff)
        pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    pipeline.get_by_name("d").connect("pad-added", add)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR | Gst.MessageType.EOS)
    if message.type == Gst.MessageType.ERROR:
        print(message.parse_error(), file=sys.stderr)
    pipeline.set_state(Gst.State.NULL)
    return 0 if message.type == Gst.MessageType.EOS else 1


if __name__ == "__main__":
    sys.exit(main())
