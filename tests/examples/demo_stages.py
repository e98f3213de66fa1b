# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo's pipelines (capture, publisher, player) and what is noted of each frame."""

import pathlib
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstVideo  # noqa: E402

import framecode  # noqa: E402

START_TIMEOUT = 15  # seconds until publisher and player must be on the server


class DemoError(Exception):
    """A sentence for the user."""


def existing(name, what):
    """Returns the name of an element that exists; DemoError otherwise."""
    if Gst.ElementFactory.find(name) is None:
        raise DemoError(f"GStreamer element {name} ({what}) is missing; ./run demo installs all it needs")
    return name


def first_of(*names):
    for name in names:
        if Gst.ElementFactory.find(name):
            return name
    raise DemoError(f"none of these GStreamer elements is there: {', '.join(names)}")


class Arrivals:
    """When each thing was sent and when it came, by what identifies it. Times in seconds, monotonic."""

    def __init__(self):
        self.sent = {}
        self.received = {}

    def latencies(self):
        return [came - self.sent[key] for key, came in self.received.items() if key in self.sent]

    def lost(self):
        """Returns what was sent and never came, in order."""
        return sorted(set(self.sent) - set(self.received))


class Frames(Arrivals):
    """Video frames by number."""

    def __init__(self):
        super().__init__()
        self.unreadable = 0

    def arrived(self, number, now):
        number = None if number is None else framecode.unwrap(number, max(self.received, default=0))
        if number not in self.sent:
            self.unreadable += 1
        else:
            self.received.setdefault(number, now)


def note_packets(pad, times):
    """Notes in `times` when each different packet passes the pad."""

    def passed(_pad, info):
        buffer = info.get_buffer()
        times.setdefault(buffer.extract_dup(0, buffer.get_size()), time.monotonic())
        return Gst.PadProbeReturn.OK

    pad.add_probe(Gst.PadProbeType.BUFFER, passed)


class Stage:
    """A pipeline whose errors end the demo."""

    def __init__(self, demo, name, pipeline):
        self.demo = demo
        self.name = name
        self.pipeline = pipeline
        self.ended = False
        bus = pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self._on_error)
        bus.connect("message::eos", self._on_eos)
        bus.connect("message::latency", lambda *_: pipeline.recalculate_latency())

    def element(self, name):
        return self.pipeline.get_by_name(name)

    def _on_error(self, _bus, message):
        if message.src.get_name() == "window":
            self.demo.interrupt()
            return
        error, debug = message.parse_error()
        self.demo.fail(f"{self.name}: {message.src.get_name()}: {error.message}\n  {debug}")

    def _on_eos(self, _bus, _message):
        self.ended = True

    def play(self):
        if self.pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            # The reason is on the bus.
            self.demo.iterate_until(lambda: False, 2)
            raise DemoError(f"{self.name}: the pipeline does not start")

    def stop(self):
        self.pipeline.get_bus().remove_signal_watch()
        self.pipeline.set_state(Gst.State.NULL)


class Capture(Stage):
    """Yields raw frames in real time: a file, or a generated picture and tone."""

    VIDEO = "video/x-raw,format=I420,pixel-aspect-ratio=1/1"
    AUDIO = "audio/x-raw,format=S16LE,layout=interleaved,channels=[1,2],rate={44100,48000}"

    def __init__(self, demo, args):
        self.sinks = {}
        if args.file:
            pipeline = Gst.Pipeline.new("capture")
            super().__init__(demo, "reading the file", pipeline)
            source = Gst.ElementFactory.make("uridecodebin", "decoder")
            source.set_property("uri", pathlib.Path(args.file).resolve().as_uri())
            source.connect("pad-added", self._on_pad)
            pipeline.add(source)
        else:
            width, height = args.size
            super().__init__(demo, "test picture", Gst.parse_launch(
                f"videotestsrc is-live=true pattern=smpte horizontal-speed=2"
                f" ! {self.VIDEO},width={width},height={height},framerate=30/1"
                f' ! timeoverlay halignment=right valignment=bottom font-desc="Sans 24"'
                f' ! clockoverlay halignment=left valignment=bottom font-desc="Sans 24"'
                f" ! appsink name=video sync=false"
                f" audiotestsrc is-live=true freq=440 volume=0.2 samplesperbuffer=1024"
                f" ! {self.AUDIO},channels=2,rate=48000 ! appsink name=audio sync=false"))
            self.sinks = {kind: self.element(kind) for kind in ("video", "audio")}

    def _on_pad(self, _element, pad):
        caps = pad.get_current_caps() or pad.query_caps(None)
        kind = caps.get_structure(0).get_name().split("/")[0]
        if kind not in ("video", "audio") or kind in self.sinks:
            sink = Gst.ElementFactory.make("fakesink", None)
            self.pipeline.add(sink)
            sink.sync_state_with_parent()
            pad.link(sink.get_static_pad("sink"))
            return
        if kind == "video":
            # H.264 in 4:2:0 has even sizes, and the frame number needs some room.
            known, width = caps.get_structure(0).get_int("width")
            also, height = caps.get_structure(0).get_int("height")
            size = ""
            if known and also:
                size = f",width={max(width & ~1, 64)},height={max(height & ~1, 48)}"
            text = f"queue ! videoconvert ! videoscale ! {self.VIDEO}{size}"
        else:
            text = f"queue ! audioconvert ! audioresample ! {self.AUDIO}"
        chain = Gst.parse_bin_from_description(f"{text} ! appsink name={kind} sync=true", True)
        self.pipeline.add(chain)
        chain.sync_state_with_parent()
        pad.link(chain.get_static_pad("sink"))
        self.sinks[kind] = chain.get_by_name(kind)

    def prepare(self):
        """Goes to PAUSED, so that `sinks` is complete."""
        change = self.pipeline.set_state(Gst.State.PAUSED)
        if change == Gst.StateChangeReturn.FAILURE:
            self.demo.iterate_until(lambda: False, 2)
            raise DemoError(f"{self.name}: this cannot be opened")
        self.demo.iterate_until(
            lambda: self.pipeline.get_state(0)[0] != Gst.StateChangeReturn.ASYNC, START_TIMEOUT)
        if not self.sinks:
            raise DemoError("the file has neither video nor audio that could be decoded")


class Publisher(Stage):
    """Encodes, muxes and pushes what `feed` gives it."""

    def __init__(self, demo, muxer, sink, url, kinds, bitrate, copy_path):
        existing(muxer, "the muxer")
        existing(sink, "the RTMP sink")
        text = f"{muxer} name=mux streamable=true ! {sink} name=sink location={url}"
        if "video" in kinds:
            existing("x264enc", "H.264 encoder")
            text += (f" appsrc name=video format=time is-live=true"
                     f" ! x264enc tune=zerolatency speed-preset=veryfast bitrate={bitrate} key-int-max=30"
                     f" ! video/x-h264,profile=main ! mux.video")
        if "audio" in kinds:
            encoder = first_of("fdkaacenc", "avenc_aac", "voaacenc")
            text += (f" appsrc name=audio format=time is-live=true ! audioconvert ! {encoder}"
                     f" ! aacparse name=packets ! mux.audio")
        super().__init__(demo, "sender", Gst.parse_launch(text))
        self.sources = {kind: self.element(kind) for kind in kinds}
        if "audio" in kinds:
            note_packets(self.element("packets").get_static_pad("src"), demo.packets.sent)
        self.num_bytes = 0
        self._copy = open(copy_path, "wb")
        self.element("sink").get_static_pad("sink").add_probe(
            Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self._on_tag)

    def _on_tag(self, _pad, info):
        if info.type & Gst.PadProbeType.BUFFER_LIST:
            buffers = info.get_buffer_list()
            data = [buffers.get(i) for i in range(buffers.length())]
        else:
            data = [info.get_buffer()]
        for buffer in data:
            content = buffer.extract_dup(0, buffer.get_size())
            self.num_bytes += len(content)
            self._copy.write(content)
        return Gst.PadProbeReturn.OK

    def stop(self):
        super().stop()
        self._copy.close()


class Player(Stage):
    """Pulls, records, demuxes and decodes."""

    after_source = ""  # more elements, as launch text: the tests put faults here

    def __init__(self, demo, source, url, record_path, window):
        existing(source, "the RTMP source")
        existing("flvdemux", "the demuxer")
        self.window = window
        super().__init__(demo, "receiver", Gst.parse_launch(
            f"{source} name=source location={url} {self.after_source} ! tee name=tee"
            f" ! queue ! filesink async=false buffer-mode=unbuffered location={record_path}"
            f" tee. ! queue ! flvdemux name=demux"))
        self.element("demux").connect("pad-added", self._on_pad)
        self.num_audio = 0
        self.last_video = None
        self.last_activity = 0.0

    def source_latency(self):
        """Returns the milliseconds that the source lets a viewer wait so that nobody sees jitter, if it says."""
        source = self.element("source")
        return source.get_property("latency") if source.find_property("latency") else None

    def _on_pad(self, _demux, pad):
        name = pad.get_current_caps().get_structure(0).get_name()
        if name.startswith("video/"):
            decoder = existing("avdec_h264", "H.264 decoder")
            text = f"queue ! h264parse ! {decoder} ! videoconvert ! video/x-raw,format=I420 ! "
            if self.window:
                # qos=false: a window that is slow to draw must not make the decoder skip what is counted.
                text += (f"tee name=view ! queue leaky=downstream ! videoconvert"
                         f" ! {self.window} name=window qos=false view. ! queue ! ")
            text += "appsink name=frames sync=true emit-signals=true"
            handler = self._on_frame
        else:
            decoder = first_of("avdec_aac", "fdkaacdec")
            text = (f"queue ! aacparse ! {decoder} ! audioconvert"
                    " ! appsink name=frames sync=true emit-signals=true")
            handler = self._on_samples
            note_packets(pad, self.demo.packets.received)
        chain = Gst.parse_bin_from_description(text, True)
        self.pipeline.add(chain)
        chain.get_by_name("frames").connect("new-sample", handler)
        chain.sync_state_with_parent()
        pad.link(chain.get_static_pad("sink"))

    def _on_frame(self, sink):
        now = time.monotonic()
        sample = sink.emit("pull-sample")
        info = GstVideo.VideoInfo.new_from_caps(sample.get_caps())
        stride = info.stride[0]
        size = stride * framecode.rows(info.width, info.height)
        luma = sample.get_buffer().extract_dup(info.offset[0], size)
        number = framecode.read(luma, stride, info.width, info.height)
        self.demo.frames.arrived(number, now)
        self.last_video = sample
        self.last_activity = now
        return Gst.FlowReturn.OK

    def _on_samples(self, sink):
        sink.emit("pull-sample")
        self.num_audio += 1
        self.last_activity = time.monotonic()
        return Gst.FlowReturn.OK
