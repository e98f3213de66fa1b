# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tracks of coded frames, in this process: encoded once, muxed by flvchunk in any way, and demuxed by flvunchunk.

Times are running times in nanoseconds, signed: B-frames begin with a DTS below zero.
"""

import contextlib
import dataclasses
import hashlib
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

Gst.init(None)


class MissingElement(Exception):
    """GStreamer has not all of a pipeline's elements; the text names one."""


@dataclasses.dataclass(frozen=True)
class Frame:
    dts: int  # or None, as pts
    pts: int
    key: bool
    data: bytes = dataclasses.field(repr=False)

    @property
    def digest(self):
        """As ffmpeg8.probe() tells it."""
        return hashlib.sha1(self.data).hexdigest()[:16]


@dataclasses.dataclass
class Track:
    caps: Gst.Structure
    frames: list
    samples: list = dataclasses.field(default_factory=list, repr=False)  # of encode(): with their header buffers

    def field(self, name):
        return self.caps.get_value(name) if self.caps.has_field(name) else None

    @property
    def codec_data(self):
        data = self.field("codec_data")
        return data.extract_dup(0, data.get_size()) if data else None


def retimed(track, change):
    """Returns a track with its frames at `change(frame)` = (dts, pts), none below zero."""
    samples = []
    times = iter(map(change, track.frames))
    frames = []
    for one in track.frames:
        dts, pts = next(times)
        buffer = Gst.Buffer.new_wrapped(one.data)
        buffer.dts, buffer.pts = dts, pts
        if not one.key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        segment = Gst.Segment()
        segment.init(Gst.Format.TIME)
        samples.append(Gst.Sample.new(buffer, track.samples[-1].get_caps(), segment, None))
        frames.append(dataclasses.replace(one, dts=dts, pts=pts))
    return Track(track.caps, frames, samples)


def running_time(segment, timestamp):
    if timestamp == Gst.CLOCK_TIME_NONE:
        return None
    sign, value = segment.to_running_time_full(Gst.Format.TIME, timestamp)
    return value if sign > 0 else -value


def stamp(_segment, timestamp):
    return None if timestamp == Gst.CLOCK_TIME_NONE else timestamp


def frame(buffer, segment, time_of=running_time):
    dts, pts = time_of(segment, buffer.dts), time_of(segment, buffer.pts)
    return Frame(dts, pts, not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT), buffer.extract_dup(0, buffer.get_size()))


@contextlib.contextmanager
def playing(pipeline):
    try:
        if pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            raise_error(pipeline)
            raise AssertionError("the pipeline does not start")
        yield pipeline.get_bus()
    finally:
        pipeline.set_state(Gst.State.NULL)


def raise_error(pipeline):
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    if message:
        raise AssertionError(" ".join(map(str, message.parse_error())))


def run(pipeline, timeout=30):
    """Plays a pipeline to its EOS; an ERROR or the end of the time is an AssertionError."""
    with playing(pipeline) as bus:
        wait_eos(bus, timeout)


def wait_eos(bus, timeout=30):
    message = bus.timed_pop_filtered(timeout * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    if message is None:
        raise AssertionError(f"no EOS within {timeout} s")
    if message.type == Gst.MessageType.ERROR:
        raise AssertionError(" ".join(map(str, message.parse_error())))


def template_caps(pad):
    """Returns the caps of a pad template of flvchunk, to which encoders and parsers negotiate."""
    return Gst.ElementFactory.make("flvchunk").get_pad_template(pad).get_caps()


def encode(description, pad):
    """Runs a pipeline description without a sink; `pad` is `video` or `audio`."""
    try:
        pipeline = Gst.parse_launch(f"{description} ! appsink name=out sync=false")
    except GLib.Error as error:
        if error.matches(Gst.parse_error_quark(), Gst.ParseError.NO_SUCH_ELEMENT):
            raise MissingElement(error.message) from None
        raise
    sink = pipeline.get_by_name("out")
    sink.set_property("caps", template_caps(pad))
    samples = []
    with playing(pipeline) as bus:
        while (sample := sink.emit("try-pull-sample", 30 * Gst.SECOND)) is not None:
            samples.append(sample)
        wait_eos(bus)
    frames = [frame(sample.get_buffer(), sample.get_segment()) for sample in samples
              if pad == "video" or not sample.get_buffer().has_flags(Gst.BufferFlags.HEADER)]
    return Track(samples[-1].get_caps().get_structure(0).copy(), frames, samples)


def source(pipeline, track):
    """Returns an element of the pipeline that gives a track's samples and ends."""
    element = Gst.ElementFactory.make("appsrc")
    element.set_property("format", Gst.Format.TIME)
    element.set_property("max-bytes", 0)
    element.set_property("handle-segment-change", True)
    pipeline.add(element)
    for sample in track.samples:
        element.emit("push-sample", sample)
    element.emit("end-of-stream")
    return element


def add_mux(pipeline, tracks, *, modes=None, tail=None, **properties):
    """Adds a flvchunk that muxes `tracks`, by pad name, into `tail`; `modes` are flv-track-modes by pad name."""
    mux = Gst.ElementFactory.make("flvchunk")
    for name, value in properties.items():
        Gst.util_set_object_arg(mux, name.replace("_", "-"), value)
    pipeline.add(mux)
    pads = {name: mux.request_pad_simple(name) for name in tracks}
    for name, mode in (modes or {}).items():
        Gst.util_set_object_arg(pads[name], "flv-track-mode", mode)
    for name, track in tracks.items():
        if source(pipeline, track).get_static_pad("src").link(pads[name]) != Gst.PadLinkReturn.OK:
            raise AssertionError(f"{name} does not link: {track.caps.to_string()}")
    if not mux.link(tail):
        raise AssertionError("flvchunk does not link")
    return mux


def collect(demux, time_of=running_time):
    """Returns a dictionary that fills with the tracks that come out of a demuxer, by pad name.

    `time_of` makes a frame's times: running_time, or stamp for those of the buffers.
    """
    tracks = {}

    def added(_demux, pad):
        track = tracks[pad.get_name()] = Track(None, [])
        sink = Gst.ElementFactory.make("fakesink")
        for key, value in (("sync", False), ("async", False), ("signal-handoffs", True)):
            sink.set_property(key, value)

        def handoff(_sink, buffer, sink_pad):
            if track.caps is None:
                track.caps = sink_pad.get_current_caps().get_structure(0).copy()
            segment = sink_pad.get_sticky_event(Gst.EventType.SEGMENT, 0).parse_segment()
            track.frames.append(frame(buffer, segment, time_of))

        sink.connect("handoff", handoff)
        demux.get_parent().add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    demux.connect("pad-added", added)
    return tracks


def record(pad):
    """Returns a bytearray that fills with what passes a pad."""
    octets = bytearray()

    def passed(_pad, info):
        if info.type & Gst.PadProbeType.BUFFER_LIST:
            whole = info.get_buffer_list()
            buffers = [whole.get(i) for i in range(whole.length())]
        else:
            buffers = [info.get_buffer()]
        for buffer in buffers:
            octets.extend(buffer.extract_dup(0, buffer.get_size()))
        return Gst.PadProbeReturn.OK

    pad.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, passed)
    return octets


def remux(tracks, **options):
    """Muxes and demuxes; returns the FLV in between, as bytes, and the tracks that came out."""
    pipeline = Gst.Pipeline()
    demuxer = Gst.ElementFactory.make("flvunchunk")
    pipeline.add(demuxer)
    mux = add_mux(pipeline, tracks, tail=demuxer, **options)
    octets = record(mux.get_static_pad("src"))
    received = collect(demuxer)
    run(pipeline)
    return bytes(octets), received


def mux_to_file(tracks, path, **options):
    """Writes a file."""
    pipeline = Gst.Pipeline()
    sink = Gst.ElementFactory.make("filesink")
    sink.set_property("location", str(path))
    pipeline.add(sink)
    add_mux(pipeline, tracks, tail=sink, **options)
    run(pipeline)


def demux(description, timeout=30):
    """Returns the tracks that flvunchunk finds behind a source, by pad name."""
    pipeline = Gst.parse_launch(f"{description} ! flvunchunk name=d")
    tracks = collect(pipeline.get_by_name("d"))
    run(pipeline, timeout)
    return tracks


def through_server(tracks, location, wait_player, *, server_ends=True, late_pads=False, **options):
    """Publishes tracks by rtmpsink as fast as it can, and returns what rtmpsrc and flvunchunk have of them at last.

    A server that keeps its players (`server_ends` false) is left when as many frames have come as were sent.
    """
    player = Gst.parse_launch("rtmpsrc name=s clock-mode=sender ! flvunchunk name=d")
    player.get_by_name("s").set_property("location", location)
    player.get_by_name("d").set_property("late-pads", late_pads)
    received = collect(player.get_by_name("d"), stamp)
    with playing(player) as bus:
        wait_player()
        publisher = Gst.Pipeline()
        sink = Gst.ElementFactory.make("rtmpsink")
        sink.set_property("location", location)
        sink.set_property("sync", False)
        publisher.add(sink)
        add_mux(publisher, tracks, tail=sink, **options)
        run(publisher)
        if server_ends:
            wait_eos(bus)
        else:
            wait_frames(player, tracks, received)
    return received


def wait_frames(player, sent, received, timeout=20):
    def state():
        raise_error(player)
        return {pad: len(track.frames) for pad, track in sorted(received.items())}

    wanted = {pad: len(track.frames) for pad, track in sorted(sent.items())}
    deadline = time.monotonic() + timeout
    while (have := state()) != wanted:
        if time.monotonic() > deadline:
            raise AssertionError(f"not all frames came within {timeout} s: {have} of {wanted}")
        time.sleep(0.01)


def decode(track, decoder):
    """Returns the caps of what a decoder makes of a track, and the digests of its buffers."""
    pipeline = Gst.parse_launch(f"appsrc name=in format=time max-bytes=0 ! {decoder} ! fakesink name=out sync=false "
                                "async=false signal-handoffs=true")
    element = pipeline.get_by_name("in")
    caps = Gst.Caps.new_empty()
    caps.append_structure(track.caps.copy())
    element.set_property("caps", caps)
    made, digests = [], []

    def handoff(_sink, buffer, pad):
        made[:] = [pad.get_current_caps().get_structure(0).copy()]
        digests.append(hashlib.sha1(buffer.extract_dup(0, buffer.get_size())).hexdigest())

    pipeline.get_by_name("out").connect("handoff", handoff)
    for one in track.frames:
        buffer = Gst.Buffer.new_wrapped(one.data)
        # What begins below zero is moved: decoders are not asked about running times.
        buffer.pts = one.pts + Gst.SECOND if one.pts is not None else Gst.CLOCK_TIME_NONE
        buffer.dts = one.dts + Gst.SECOND if one.dts is not None else Gst.CLOCK_TIME_NONE
        if not one.key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        element.emit("push-buffer", buffer)
    element.emit("end-of-stream")
    run(pipeline)
    return made[0] if made else None, digests
