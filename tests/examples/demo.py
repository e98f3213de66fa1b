#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole way of a live stream on one machine, watched at both ends.

FILE, or a generated picture and tone, is encoded to H.264 and AAC, muxed, pushed to an RTMP server
on loopback, pulled back, demuxed and decoded. Every frame carries its number in the picture, so what
arrives is known frame by frame, and its delay is measured from the moment the raw frame enters the
encoder to the moment its decoded copy is due on the screen. The coded packets on both sides are
compared one by one at the end.

Exit status: 0 if everything sent has arrived, 1 if not or on an error, 2 for wrong usage,
130 after Ctrl-C or when its window is closed.
"""

import argparse
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import GLib, Gst, GstVideo  # noqa: E402

import flvfile  # noqa: E402
import framecode  # noqa: E402
import nginx_rtmp  # noqa: E402
from demo_stages import (  # noqa: E402
    START_TIMEOUT, Arrivals, Capture, DemoError, Frames, Player, Publisher, existing)

SILENCE_TIMEOUT = 5  # seconds without a new frame after which the rest counts as lost
STREAM = "demo"


def parse_size(text):
    try:
        width, height = (int(word) for word in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError("WIDTHxHEIGHT, for example 1280x720") from None
    if not (64 <= width <= 7680 and 48 <= height <= 4320) or width % 2 or height % 2:
        raise argparse.ArgumentTypeError("even, from 64x48 to 7680x4320")
    return width, height


def parse_elements(text):
    names = text.split(",")
    if len(names) != 3 or not all(names):
        raise argparse.ArgumentTypeError("three names: MUXER,SINK,SOURCE")
    return names


def arguments(argv):
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__.split("\n\n")[0])
    parser.add_argument("file", nargs="?", metavar="FILE",
                        help="anything GStreamer can decode; without it a test picture and a tone are made")
    parser.add_argument("--seconds", type=float, metavar="N",
                        help="how long to run (default: 10, or the whole FILE)")
    parser.add_argument("--size", type=parse_size, default=(1280, 720), metavar="WxH",
                        help="of the generated picture (default: 1280x720)")
    parser.add_argument("--out", default="demo-out", metavar="FOLDER",
                        help="where the snapshot and the recordings go")
    parser.add_argument("--elements", type=parse_elements, default="flvchunk,rtmpsink,rtmpsrc",
                        metavar="MUXER,SINK,SOURCE",
                        help="other elements, to compare: flvmux,rtmp2sink,rtmp2src")
    parser.add_argument("--no-window", action="store_true", help="open none, even with a display")
    args = parser.parse_args(argv)
    if args.seconds is not None and not args.seconds > 0:
        parser.error("--seconds must be more than 0")
    if args.file and not os.path.isfile(args.file):
        parser.error(f"no such file: {args.file}")
    return args


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Demo:
    def __init__(self, args):
        self.args = args
        self.frames = Frames()
        self.packets = Arrivals()  # audio, by content
        self.error = None
        self.interrupted = False
        self.limit = None
        self.began = None
        self.ended_at = None
        self.stages = []
        self.streams_open = set()
        self.tty = sys.stdout.isatty()

    # Waiting

    def fail(self, text):
        if self.error is None:
            self.error = text

    def iterate_until(self, condition, timeout, on_tick=None):
        """Runs the main loop until the condition holds; False after `timeout` seconds. Raises on an error."""
        context = GLib.MainContext.default()
        deadline = time.monotonic() + timeout
        while True:
            while context.iteration(False):
                pass
            if self.error:
                raise DemoError(self.error)
            if condition() or self.interrupted:
                return True
            if time.monotonic() >= deadline:
                return False
            if on_tick:
                on_tick()
            time.sleep(0.01)

    # Raw frames, from capture to encoder

    def _on_raw(self, sink, kind, publisher):
        sample = sink.emit("pull-sample")
        if sample is None:
            return Gst.FlowReturn.EOS
        source = publisher.sources[kind]
        buffer = sample.get_buffer()
        at = sample.get_segment().to_running_time(Gst.Format.TIME, buffer.pts)
        if self.limit is not None and at != Gst.CLOCK_TIME_NONE and at >= self.limit:
            self._end_of(kind, publisher)
            return Gst.FlowReturn.EOS
        source.set_property("caps", sample.get_caps())
        if kind == "video":
            buffer = self._numbered(sample)
        else:
            buffer = buffer.copy()
        buffer.pts = at
        buffer.dts = Gst.CLOCK_TIME_NONE
        return source.emit("push-buffer", buffer)

    def _numbered(self, sample):
        """Returns the frame with its number drawn in; only the lines of the block are copied here."""
        info = GstVideo.VideoInfo.new_from_caps(sample.get_caps())
        picture = sample.get_buffer()
        stride = info.stride[0]
        size = stride * framecode.rows(info.width, info.height)
        luma = bytearray(picture.extract_dup(info.offset[0], size))
        number = len(self.frames.sent)
        framecode.draw(luma, stride, info.width, info.height, number)
        numbered = Gst.Buffer.new_wrapped(bytes(luma)).append(
            picture.copy_region(Gst.BufferCopyFlags.MEMORY, size, picture.get_size() - size))
        numbered.duration = picture.duration
        self.frames.sent[number] = time.monotonic()
        return numbered

    def _end_of(self, kind, publisher):
        if kind in self.streams_open:
            self.streams_open.discard(kind)
            publisher.sources[kind].emit("end-of-stream")

    # The run

    def run(self):
        args = self.args
        out = pathlib.Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        self.sent_path, self.received_path = out / "sent.flv", out / "received.flv"
        self.picture_path = out / "received.png"
        for path in (self.sent_path, self.received_path, self.picture_path):
            path.unlink(missing_ok=True)
        if args.seconds is None and not args.file:
            args.seconds = 10.0
        if args.seconds is not None:
            self.limit = int(args.seconds * Gst.SECOND)
        muxer, sink, source = args.elements
        for name in args.elements:
            existing(name, "of the demo")
        origins = {Gst.ElementFactory.find(name).get_plugin().get_filename() for name in args.elements}
        print(f"{muxer} ! {sink} -> nginx-rtmp -> {source} ! flvdemux   ({', '.join(sorted(origins))})")

        with nginx_rtmp.NginxRtmp() as server:
            try:
                self._stream(server, muxer, sink, source)
            finally:
                for stage in reversed(self.stages):
                    stage.stop()
        return self._report()

    def _stream(self, server, muxer, sink, source):
        url = f"{server.url}/live/{STREAM}"
        capture = Capture(self, self.args)
        self.stages.append(capture)
        capture.prepare()
        kinds = sorted(capture.sinks)
        self.streams_open = set(kinds)

        publisher = Publisher(self, muxer, sink, url, kinds, self._bitrate(capture), self.sent_path)
        self.stages.append(publisher)
        # One clock and one base time, so that a running time means the same in both.
        clock = Gst.SystemClock.obtain()
        for stage in (capture, publisher):
            stage.pipeline.use_clock(clock)
            stage.pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
        publisher.pipeline.set_base_time(clock.get_time())
        publisher.play()
        if not self.iterate_until(lambda: server.is_publishing(STREAM), START_TIMEOUT):
            raise DemoError(f"the sender did not get on air within {START_TIMEOUT} s")

        player = Player(self, source, url, self.received_path, self._window())
        self.stages.append(player)
        player.play()
        if not self.iterate_until(lambda: server.num_players(STREAM) > 0, START_TIMEOUT):
            raise DemoError(f"the receiver did not join within {START_TIMEOUT} s")

        # The frames start only now: the receiver is there, so it has to get every one of them.
        for stage in (capture, publisher):
            stage.pipeline.set_base_time(clock.get_time())
        for kind, element in capture.sinks.items():
            element.set_property("emit-signals", True)
            element.connect("new-sample", self._on_raw, kind, publisher)
            element.connect("eos", lambda _sink, kind=kind: self._end_of(kind, publisher))
        self.began = time.monotonic()
        self._last_tick = (self.began, 0)
        capture.play()
        self.publisher, self.player = publisher, player
        self.iterate_until(lambda: publisher.ended, 10 ** 9, self._tick)
        self.iterate_until(self._all_here, SILENCE_TIMEOUT + 60, self._tick)
        self.elapsed = time.monotonic() - self.began
        # The recording is whole once the queue before the file has run empty.
        self.iterate_until(lambda: False, 0.3)
        self._progress()
        print()

    def _all_here(self):
        """Tells that no more is to be expected: nothing is missing and it is quiet, or it is quiet for long."""
        now = time.monotonic()
        self.ended_at = self.ended_at or now
        quiet = now - max(self.player.last_activity, self.ended_at)
        return self.player.ended or quiet > (SILENCE_TIMEOUT if self.frames.lost() else 0.5)

    def _bitrate(self, capture):
        """Returns kbit/s: enough for the size that nothing looks bad, no more than a link would take."""
        if "video" not in capture.sinks:
            return 0
        pad = capture.sinks["video"].get_static_pad("sink")
        caps = pad.get_current_caps()
        if caps is None:
            width, height = self.args.size
        else:
            info = GstVideo.VideoInfo.new_from_caps(caps)
            width, height = info.width, info.height
        return min(max(width * height * 3 // 1000, 400), 20000)

    def _window(self):
        """Returns the name of a video sink that can open a window here, or None."""
        if self.args.no_window:
            return None
        sinks = ["waylandsink"] if os.environ.get("WAYLAND_DISPLAY") else []
        sinks += ["xvimagesink", "ximagesink"] if os.environ.get("DISPLAY") else []
        for name in sinks:
            sink = Gst.ElementFactory.make(name, None)
            usable = sink is not None and sink.set_state(Gst.State.READY) != Gst.StateChangeReturn.FAILURE
            if sink is not None:
                sink.set_state(Gst.State.NULL)
            if usable:
                return name
        if sinks:
            print(f"no window: there is a display, but none of {', '.join(sinks)} can use it")
        return None

    # What the user sees

    def _tick(self):
        now = time.monotonic()
        if now - self._last_tick[0] >= (0.2 if self.tty else 1.0):
            self._progress()

    def _progress(self):
        now = time.monotonic()
        before, num_bytes = self._last_tick
        rate = (self.publisher.num_bytes - num_bytes) * 8 / max(now - before, 1e-3) / 1e6
        self._last_tick = (now, self.publisher.num_bytes)
        what, seen = ("frames", self.frames) if "video" in self.publisher.sources else ("packets", self.packets)
        recent = seen.latencies()[-30:]
        latency = f"{percentile(recent, 50) * 1000:6.1f} ms" if recent else "     -   "
        line = (f"{now - self.began:6.1f} s   {what} out {len(seen.sent):6d}  in {len(seen.received):6d}"
                f"   {rate:6.2f} Mbit/s   latency {latency}")
        print(f"\r{line}" if self.tty else line, end="" if self.tty else "\n", flush=True)

    def _save_picture(self):
        sample = self.player.last_video
        if sample is None:
            return False
        picture = GstVideo.video_convert_sample(sample, Gst.Caps.from_string("image/png"), 5 * Gst.SECOND)
        buffer = picture.get_buffer()
        self.picture_path.write_bytes(buffer.extract_dup(0, buffer.get_size()))
        return True

    def _report(self):
        frames = self.frames
        problems = []
        has_video = "video" in self.publisher.sources
        rows = []
        if has_video:
            lost = len(frames.lost())
            rows += [("video frames sent", len(frames.sent)), ("video frames received", len(frames.received)),
                     ("video frames lost", lost)]
            if not frames.received:
                problems.append("no video frame arrived")
            elif lost:
                problems.append(f"{lost} video frames were lost, the first of them number {frames.lost()[0]}")
            if frames.unreadable:
                problems.append(f"{frames.unreadable} frames arrived without a readable number")
        for kind, name in ((flvfile.VIDEO, "video"), (flvfile.AUDIO, "audio")):
            if name not in self.publisher.sources:
                continue
            try:
                sent = flvfile.read(self.sent_path).packets(kind)
                received = flvfile.read(self.received_path, allow_truncated=True).packets(kind)
            except (OSError, flvfile.FlvError) as error:
                problems.append(f"a recording cannot be read: {error}")
                continue
            if name == "audio":
                rows += [("audio packets sent", len(sent)), ("audio packets received", len(received)),
                         ("audio packets lost", max(len(sent) - len(received), 0))]
                if not self.player.num_audio:
                    problems.append("no audio was decoded")
            if len(sent) != len(received):
                problems.append(f"{name}: {len(sent)} packets sent, {len(received)} received")
            # The times are the business of the tests: a source may shift a timeline by a constant.
            differing = flvfile.differences(sent, received, tolerance_ms=10 ** 9)
            problems += [f"{name}: {text}" for text in differing[:3]]
        name, seen = ("glass-to-glass", frames) if has_video else ("encoder-to-demuxer", self.packets)
        latencies = seen.latencies()
        for percent in (50, 99) if latencies else ():
            rows.append((f"{name} latency p{percent}", f"{percentile(latencies, percent) * 1000:.1f} ms"))
        waits = self.player.source_latency()
        if latencies and has_video and waits is not None:
            rows.append(("  of it the source's `latency`", f"{waits} ms"))
        rows.append(("FLV data", f"{self.publisher.num_bytes / 1e6:.2f} MB in {self.elapsed:.1f} s"))
        if has_video:
            rows.append(("snapshot", self.picture_path if self._save_picture() else "none"))
        rows.append(("recording", self.received_path))
        print()
        for name, value in rows:
            print(f"  {name:<32}{value}")
        print()
        for text in problems:
            print(f"  PROBLEM: {text}")
        if self.interrupted:
            print("  stopped before the end")
            return 130
        print("  everything sent has arrived" if not problems else "  FAILED")
        return 1 if problems else 0

    def interrupt(self):
        self.interrupted = True
        return GLib.SOURCE_CONTINUE


def main(argv=None):
    args = arguments(argv)
    Gst.init(None)
    demo = Demo(args)
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGINT, demo.interrupt)
    try:
        return demo.run()
    except (DemoError, RuntimeError, AssertionError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
