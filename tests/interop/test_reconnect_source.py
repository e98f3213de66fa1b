# SPDX-License-Identifier: LGPL-2.1-or-later
"""rtmpsrc with auto-reconnect at nginx-rtmp: a publisher who comes back, and a server that does."""

import json
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

import flvfile
import media
import nginx_rtmp
import pipelines
import procs

# Plays through the stock demuxer into sinks that wait; prints what the bus says, and in the end what the sinks saw.
# ffmpeg's first frames are a tenth of a second behind those that follow, which are the measure: hence the latency.
WATCH = """
import json
url = sys.argv[1]
pipeline = Gst.parse_launch(
    f"rtmpxsrc name=src latency=300 auto-reconnect=true reconnect-min-delay=100 reconnect-max-delay=500 "
    f"location={url} ! flvdemux name=d  "
    "d.video ! queue ! fakesink name=video sync=true qos=true max-lateness=0  "
    "d.audio ! queue ! fakesink name=audio sync=true qos=true max-lateness=0")
bus = pipeline.get_bus()
seen = {name: [] for name in ("video", "audio")}
for name, times in seen.items():
    def probe(pad, info, times=times):
        buffer = info.get_buffer()
        times.append(buffer.dts if buffer.dts != Gst.CLOCK_TIME_NONE else buffer.pts)
        return Gst.PadProbeReturn.OK
    pipeline.get_by_name(name).get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, probe)
GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, 2, lambda: bus.post(Gst.Message.new_application(
    None, Gst.Structure.new_empty("stop"))))
loop = GLib.MainLoop()
dropped_before = []  # until the stream was lost: joining has frames that are late
def dropped():
    return sum(pipeline.get_by_name(name).get_property("stats").get_uint64("dropped")[1] for name in seen)
def on_message(_, message):
    if message.type == Gst.MessageType.ELEMENT and message.get_structure().has_name("rtmp-connection"):
        say(message.get_structure().get_string("state"))
    elif message.type == Gst.MessageType.WARNING and message.src.get_name() == "src":
        say("WARNING")
        dropped_before.append(dropped())
    elif message.type in (Gst.MessageType.ERROR, Gst.MessageType.EOS):
        say(str(message.type.first_value_nick))
        loop.quit()
    elif message.type == Gst.MessageType.APPLICATION:
        loop.quit()
    elif message.type == Gst.MessageType.LATENCY:
        pipeline.recalculate_latency()
def say(what):
    print("said", what, {name: len(times) for name, times in seen.items()}, flush=True)
bus.add_signal_watch()
bus.connect("message", on_message)
pipeline.set_state(Gst.State.PLAYING)
counted = [0]
def count():
    now = min(len(times) for times in seen.values())
    if now != counted[-1]:
        counted.append(now)
        print("count", now, flush=True)
    return True
GLib.timeout_add(100, count)
loop.run()
stats = pipeline.get_by_name("src").get_property("stats")
dropped_since = dropped() - dropped_before[0]
pipeline.set_state(Gst.State.NULL)
steps = sum(after < before for times in seen.values() for before, after in zip(times, times[1:]))
print("result", json.dumps({"dropped": dropped_since, "steps_back": steps, "reconnects": stats.get_uint("reconnects")[1],
                            "last_error": stats.get_string("last-error")}))
"""


class Watched:
    """A player whose words can be waited for."""

    def __init__(self, url, folder):
        script = folder / "watch.py"
        script.write_text("import sys, gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst, GLib\n"
                          "Gst.init(None)\n" + WATCH)
        self.child = procs.Child([sys.executable, script, url], env=pipelines.PLAIN)

    def lines(self, kind):
        """Those of the whole lines so far that begin with that word, without it."""
        whole = self.child.output().rpartition("\n")[0].splitlines()
        return [line.split()[1] for line in whole if line.startswith(kind + " ")]

    def said(self):
        return self.lines("said")

    def frames(self):
        counts = self.lines("count")
        return int(counts[-1]) if counts else 0

    def wait(self, condition, what, timeout=15):
        try:
            procs.wait_until(condition, timeout=timeout, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.child.output()}") from None

    def wait_said(self, what, count=1):
        self.wait(lambda: self.said().count(what) >= count, f"{count} times {what}")

    def wait_frames(self, count):
        self.wait(lambda: self.frames() >= count, f"{count} frames")

    def result(self):
        self.child.interrupt()
        self.child.wait(10)
        return json.loads(self.child.output().split("result ")[1].splitlines()[0])


class Reconnect(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.film = media.flv(seconds=20, gop=15)

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="reconnect-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def publisher(self, url):
        return procs.Child(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-i", self.film, "-c",
                            "copy", "-f", "flv", url])

    def watch(self, url):
        watched = Watched(url, self.dir)
        self.enterContext(watched.child)
        return watched

    def check(self, watched, reconnects):
        result = watched.result()
        output = watched.child.output()
        self.assertEqual((result["dropped"], result["steps_back"]), (0, 0), output)
        self.assertGreaterEqual(result["reconnects"], reconnects, output)
        self.assertFalse({"error", "eos"} & set(watched.said()), output)

    def returns(self, server):
        """The publisher ends, and returns after three seconds."""
        url = f"{server.url}/live/returns"
        watched = self.watch(url)
        with self.publisher(url):
            watched.wait_frames(30)
        watched.wait_said("WARNING")
        time.sleep(3)
        before = watched.frames()
        with self.publisher(url):
            watched.wait_frames(before + 60)
        return watched

    def test_publisher_ends_and_returns(self):
        with nginx_rtmp.NginxRtmp() as server:
            record = self.dir / "record.flv"
            with pipelines.start(f"rtmpsrc auto-reconnect=true location={server.url}/live/returns ! "
                                 f"filesink location={record}") as recorder:
                watched = self.returns(server)
                self.assertEqual(watched.said().count("connecting"), 2, "one attempt, which waits for the publisher")
                self.check(watched, 1)
                recorder.interrupt()
                self.assertEqual(recorder.wait(10), 0, recorder.output())
            recorded = flvfile.read(record)
            for kind in (flvfile.VIDEO, flvfile.AUDIO):
                times = [packet.dts for packet in recorded.packets(kind)]
                self.assertEqual(times, sorted(times))
                gaps = [after - before for before, after in zip(times, times[1:])]
                self.assertGreater(max(gaps), 2500)

    def test_server_tells_when_publishers_come_and_go(self):
        with nginx_rtmp.NginxRtmp(live_directives="publish_notify on;") as server:
            self.check(self.returns(server), 1)

    def test_server_that_has_no_idle_streams(self):
        with nginx_rtmp.NginxRtmp(live_directives="idle_streams off;") as server:
            watched = self.watch(f"{server.url}/live/returns")
            watched.wait_said("waiting", 2)
            watched.child.end()
            self.check(self.returns(server), 1)

    def test_server_is_killed_and_restarted(self):
        with nginx_rtmp.NginxRtmp() as server:
            url = f"{server.url}/live/killed"
            watched = self.watch(url)
            with self.publisher(url):
                watched.wait_frames(30)
                server.kill()
                watched.wait_said("waiting", 4)
            before = watched.frames()
            server.restart()
            with self.publisher(url):
                watched.wait_frames(before + 60)
                self.assertEqual(watched.said().count("WARNING"), 1)
            self.check(watched, 1)

    def test_server_comes_after_us(self):
        with nginx_rtmp.NginxRtmp() as server:
            server.kill()
            url = f"{server.url}/live/later"
            watched = self.watch(url)
            watched.wait_said("waiting", 2)
            server.restart()
            with self.publisher(url):
                watched.wait_frames(30)
            self.check(watched, 0)

    def test_recorded_stream_goes_on(self):
        """The server is killed while it plays a file: each frame comes once all the same."""
        with nginx_rtmp.NginxRtmp() as server:
            # Without a list of the key frames nginx-rtmp seeks to the beginning, whatever it is asked for.
            film = server.vod / "film.flv"
            pipelines.run(f"filesrc location={media.flv(seconds=6, gop=15)} ! video/x-flv ! flvchunk ! "
                          f"filesink location={film}")
            record = self.dir / "record.flv"
            with pipelines.start(
                    f"rtmpsrc auto-reconnect=true play-type=recorded max-queue-time=200000000 "
                    f"location={server.url}/vod/film.flv ! identity sync=true ! filesink buffer-mode=unbuffered "
                    f"location={record}") as child:
                procs.wait_until(lambda: record.exists() and record.stat().st_size > film.stat().st_size // 3,
                                 timeout=15, what="a third of the film")
                server.kill()
                server.restart()
                self.assertEqual(child.wait(20), 0, child.output())
            received, sent = flvfile.read(record), flvfile.read(film)
            for kind in (flvfile.VIDEO, flvfile.AUDIO):
                self.assertEqual(flvfile.differences(sent.packets(kind), received.packets(kind)), [])
