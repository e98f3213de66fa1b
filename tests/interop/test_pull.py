# SPDX-License-Identifier: LGPL-2.1-or-later
"""rtmpsrc from nginx-rtmp and from ffmpeg as a server, live and recorded: what was published comes out."""

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


class Pull(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.film = media.flv(seconds=3, bframes=2)
        cls.sent = flvfile.read(cls.film)
        cls.server = cls.enterClassContext(nginx_rtmp.NginxRtmp())

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pull-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def url(self, name, app="live"):
        return f"{self.server.url}/{app}/{name}"

    def pull(self, name, options="", app="live"):
        """Starts rtmpsrc into a file; returns the child and the path."""
        path = self.dir / f"{name}.flv"
        return pipelines.start(f"rtmpsrc location={self.url(name, app)} {options} ! filesink location={path}"), path

    def compare(self, path, sent=None, *, kinds=(flvfile.VIDEO, flvfile.AUDIO), whole=True, **options):
        received = flvfile.read(path)
        sent = sent or self.sent
        self.assertEqual((received.has_video, received.has_audio), (flvfile.VIDEO in kinds, flvfile.AUDIO in kinds))
        for kind in kinds:
            with self.subTest(kind=kind):
                want, have = sent.packets(kind), received.packets(kind)
                if not whole:
                    have = have[next(i for i, packet in enumerate(have) if packet.keyframe or kind == flvfile.AUDIO):]
                self.assertEqual(flvfile.differences(want, have, offset_ms=None, **options), [])
                self.assertEqual(set(received.headers(kind)), set(sent.headers(kind)))
                if whole:
                    self.assertEqual(have[0].digest, want[0].digest)
        if whole and len(kinds) == 2:
            def apart(file):
                return file.packets(flvfile.AUDIO)[0].dts - file.packets(flvfile.VIDEO)[0].dts
            self.assertAlmostEqual(apart(received), apart(sent), delta=1, msg="audio against video")
        return received


class Live(Pull):
    def publish(self, name, publisher, paced=True, film=None):
        film = film or self.film
        url = self.url(name)
        if publisher == "ffmpeg":
            pace = ["-re"] if paced else []
            procs.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", *pace, "-i", film, "-c", "copy",
                       "-f", "flv", url], timeout=30)
        elif publisher == "rtmp2sink":
            pipelines.run(self.muxed_by_flvmux(film, f"rtmp2sink sync={paced} location={url}"))
        elif paced:
            pipelines.run(f"filesrc location={film} ! flvdemux name=d  flvchunk name=m ! rtmpsink location={url}  "
                          "d.video ! queue ! m.video  d.audio ! queue ! m.audio")
        else:
            pipelines.run(f"filesrc location={film} ! rtmpsink sync=false location={url}")

    @staticmethod
    def muxed_by_flvmux(film, sink):
        return (f"filesrc location={film} ! flvdemux name=d  flvmux streamable=true name=m ! {sink}  "
                "d.video ! queue ! m.video  d.audio ! queue ! m.audio")

    def sent_by(self, publisher):
        """Returns what a publisher makes of the film: flvmux goes by its own rules for the first time stamps."""
        if publisher != "rtmp2sink":
            return self.sent
        path = self.dir / "flvmux.flv"
        pipelines.run(self.muxed_by_flvmux(self.film, f"filesink location={path}"))
        return flvfile.read(path)

    def round_trip(self, name, publisher, *, paced=True, options="", film=None):
        child, path = self.pull(name, options)
        with child:
            self.server.wait_players(name)
            self.publish(name, publisher, paced, film)
            self.assertEqual(child.wait(15), 0, child.output())
        return path

    def test_publishers_in_real_time(self):
        for publisher in ("ffmpeg", "rtmp2sink", "rtmpsink"):
            with self.subTest(publisher=publisher):
                self.compare(self.round_trip(f"paced-{publisher}", publisher), self.sent_by(publisher))

    def test_publishers_as_fast_as_they_can(self):
        for publisher in ("ffmpeg", "rtmp2sink", "rtmpsink"):
            with self.subTest(publisher=publisher):
                self.compare(self.round_trip(f"fast-{publisher}", publisher, paced=False), self.sent_by(publisher))

    def test_senders_time_stamps(self):
        received = self.compare(self.round_trip("sender", "ffmpeg", options="clock-mode=sender"))
        self.assertEqual(received.packets(flvfile.VIDEO)[0].dts, self.sent.packets(flvfile.VIDEO)[0].dts)

    def test_one_kind_only(self):
        for kind, options in ((flvfile.VIDEO, {"audio": False}), (flvfile.AUDIO, {"video": False})):
            with self.subTest(kind=kind):
                film = media.flv(seconds=2, **options)
                path = self.round_trip(f"kind{kind}", "ffmpeg", film=film)
                self.compare(path, flvfile.read(film), kinds=(kind,))

    def test_joining_in_mid_stream(self):
        for options in ("", "join=keyframe"):
            with self.subTest(options=options):
                name = "joined" + options.replace("=", "-")
                publisher = procs.Child(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-i",
                                         self.film, "-c", "copy", "-f", "flv", self.url(name)])
                with publisher:
                    self.server.wait_publishing(name)
                    child, path = self.pull(name, options)
                    with child:
                        self.assertEqual(publisher.wait(15), 0, publisher.output())
                        self.assertEqual(child.wait(10), 0, child.output())
                received = self.compare(path, whole=False)
                if options:
                    video = [tag for tag in received.tags if tag.kind == flvfile.VIDEO and not tag.is_header]
                    self.assertTrue(video[0].is_keyframe)

    def test_same_as_other_players(self):
        """rtmpdump and ffmpeg beside ours, from one stream: who differs is wrong."""
        name = "players"
        dump, copy = self.dir / "rtmpdump.flv", self.dir / "ffmpeg.flv"
        child, path = self.pull(name)
        with child, \
                procs.Child(["rtmpdump", "--quiet", "--live", "-r", self.url(name), "-o", dump]) as rtmpdump, \
                procs.Child(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-i", self.url(name), "-c",
                             "copy", "-copyts", "-t", "2", "-f", "flv", copy]) as ffmpeg:
            self.server.wait_players(name, 3)
            self.publish(name, "ffmpeg")
            self.assertEqual(child.wait(15), 0, child.output())
            # Neither of the two takes nginx-rtmp's StreamEOF for the end, and rtmpdump can miss a signal.
            for _ in range(30):
                if rtmpdump.running():
                    rtmpdump.interrupt()
                    time.sleep(0.5)
            ffmpeg.wait(15)
        self.compare(path)
        for other in (dump, copy):
            with self.subTest(player=other.stem):
                theirs = flvfile.read(other, allow_truncated=True)
                for kind in (flvfile.VIDEO, flvfile.AUDIO):
                    # They may join later or leave earlier, but what they have we have, as they have it.
                    self.assertEqual(flvfile.differences(flvfile.read(path).packets(kind), theirs.packets(kind),
                                                         offset_ms=None, to_the_end=False), [])

    def test_through_the_stock_demuxer(self):
        """What flvdemux makes of it, muxed again: nothing is missing."""
        name = "demuxed"
        path = self.dir / "demuxed.flv"
        with pipelines.start(f"rtmpsrc location={self.url(name)} ! flvdemux name=d  flvmux name=m ! "
                             f"filesink location={path}  d.video ! queue ! m.video  d.audio ! queue ! m.audio") as child:
            self.server.wait_players(name)
            self.publish(name, "ffmpeg")
            self.assertEqual(child.wait(15), 0, child.output())
        received = flvfile.read(path)
        for kind in (flvfile.VIDEO, flvfile.AUDIO):
            digests = [packet.digest for packet in received.packets(kind)]
            self.assertEqual(digests, [packet.digest for packet in self.sent.packets(kind)])

    def test_restream(self):
        """Pull here, push there, and pull again."""
        first, second = "first", "second"
        child, path = self.pull(second)
        with child:
            self.server.wait_players(second)
            with pipelines.start(f"rtmpsrc location={self.url(first)} ! rtmpsink location={self.url(second)}") as relay:
                self.server.wait_players(first)
                self.publish(first, "ffmpeg")
                self.assertEqual(relay.wait(15), 0, relay.output())
            self.assertEqual(child.wait(10), 0, child.output())
        self.compare(path)

    def test_nothing_is_leaked(self):
        name = "leaks"
        with pipelines.start(f"rtmpsrc location={self.url(name)} ! fakesink",
                             env={"GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7"}) as child:
            self.server.wait_players(name)
            self.publish(name, "ffmpeg", paced=False)
            self.assertEqual(child.wait(15), 0)
            output = child.output()
        self.assertIn("leaks", output)
        # The tracer also tells the form of its lines.
        self.assertNotRegex(output, r"object-alive, type-name=\(string\)[^%]")

    AUTOPLUG = """
url, player = sys.argv[1:]
names = []
if player == "decodebin":
    pipeline = Gst.parse_launch(f"rtmpsrc name=src location={url} ! decodebin name=d")
    d = pipeline.get_by_name("d")
    names.append(pipeline.get_by_name("src").get_factory().get_name())
else:
    pipeline = d = Gst.parse_launch(f"{player} uri={url} name=d")
if player == "playbin":
    for which in ("audio-sink", "video-sink"):
        pipeline.set_property(which, Gst.ElementFactory.make("fakesink"))
else:
    if pipeline is d:
        pipeline = Gst.Pipeline()
        pipeline.add(d)
    def linked(_, pad):
        sink = Gst.ElementFactory.make("fakesink")
        pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))
    d.connect("pad-added", linked)
def added(_pipeline, _bin, element):
    if element.get_factory():  # some are a plugin's own
        names.append(element.get_factory().get_name())
pipeline.connect("deep-element-added", added)
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
pipeline.set_state(Gst.State.NULL)
if not message or message.type != Gst.MessageType.EOS:
    sys.exit(f"no EOS: {message and message.parse_error()}")
print("elements:", *names)
"""

    def autoplug(self, player, name):
        script = self.dir / "auto.py"
        script.write_text("import sys, gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst\n"
                          "Gst.init(None)\n" + self.AUTOPLUG)
        return procs.Child([sys.executable, script, self.url(name), player], env=pipelines.PLAIN)

    def test_autopluggers_choose_ours(self):
        for player in ("playbin", "uridecodebin", "decodebin"):
            with self.subTest(player=player):
                name = f"auto-{player}"
                with self.autoplug(player, name) as child:
                    self.server.wait_players(name)
                    self.publish(name, "ffmpeg")
                    self.assertEqual(child.wait(30), 0, child.output())
                    elements = child.output().split("elements:")[1].split()
                self.assertTrue({"rtmpsrc", "rtmpxsrc"} & set(elements), elements)
                self.assertNotIn("rtmp2src", elements)

    def test_players_join_between_key_frames(self):
        """Sound comes first, pictures up to three seconds later: longer than queues hold."""
        film = media.flv(seconds=7, gop=90)
        for player in ("playbin", "decodebin"):
            with self.subTest(player=player):
                name = f"between-{player}"
                with procs.Child(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-i", film,
                                  "-c", "copy", "-f", "flv", self.url(name)]) as publisher:
                    self.server.wait_publishing(name)
                    with self.autoplug(player, name) as child:
                        self.assertEqual(child.wait(40), 0, child.output())
                    self.assertEqual(publisher.wait(10), 0, publisher.output())


class Recorded(Pull):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.long = media.flv(seconds=12, bframes=2, gop=30)
        shutil.copy(cls.film, cls.server.vod / "film.flv")
        # Without a list of the key frames nginx-rtmp seeks to the beginning, whatever it is asked for.
        pipelines.run(f"filesrc location={cls.long} ! video/x-flv ! flvchunk ! "
                      f"filesink location={cls.server.vod / 'long.flv'}")

    def test_all_of_it(self):
        child, path = self.pull("film.flv", "play-type=recorded", "vod")
        with child:
            self.assertEqual(child.wait(15), 0, child.output())
        received = self.compare(path)
        self.assertEqual(received.packets(flvfile.VIDEO)[0].dts, self.sent.packets(flvfile.VIDEO)[0].dts)

    def test_small_queue(self):
        """Many pauses: none of them is taken for the end."""
        sent = flvfile.read(self.long)
        child, path = self.pull("long.flv", "play-type=recorded max-queue-time=200000000", "vod")
        with child:
            self.assertEqual(child.wait(30), 0, child.output())
        self.compare(path, sent)

    def test_in_real_time(self):
        """Through the stock demuxer, with sinks that wait: the server is asked to pause, and nothing is lost."""
        path = self.dir / "video.h264"
        status, output, took = pipelines.run(
            f"rtmpsrc play-type=recorded max-queue-time=500000000 location={self.url('film.flv', 'vod')} ! "
            f"flvdemux name=d  d.audio ! queue ! fakesink sync=true  d.video ! queue ! filesink sync=true "
            f"location={path}")
        self.assertGreater(took, 2.5, output)
        self.assertEqual(status, 0)
        payload = sum(len(tag.payload) for tag in self.sent.tags
                      if tag.kind == flvfile.VIDEO and not tag.is_header and not tag.is_end)
        self.assertEqual(path.stat().st_size, payload)

    SEEKS = """
url = sys.argv[1]
pipeline = Gst.parse_launch(f"rtmpsrc name=src play-type=recorded location={url} ! flvdemux name=d  "
                            "d.video ! queue ! fakesink name=v sync=true  d.audio ! queue ! fakesink sync=true")
bus = pipeline.get_bus()
first = []
def probe(pad, info):
    if info.type & Gst.PadProbeType.BUFFER:
        first.append(info.get_buffer().pts)
    elif info.get_event().type == Gst.EventType.FLUSH_STOP:
        first.clear()
    return Gst.PadProbeReturn.OK
pad = pipeline.get_by_name("v").get_static_pad("sink")
pad.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.EVENT_FLUSH, probe)
pipeline.set_state(Gst.State.PAUSED)
if pipeline.get_state(10 * Gst.SECOND)[0] != Gst.StateChangeReturn.SUCCESS:
    sys.exit("no preroll")
ok, duration = pipeline.query_duration(Gst.Format.TIME)
print("duration", duration / Gst.SECOND)
pipeline.set_state(Gst.State.PLAYING)
def seek(seconds):
    if not pipeline.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT, seconds * Gst.SECOND):
        sys.exit(f"seek to {seconds} refused")
    if pipeline.get_state(10 * Gst.SECOND)[0] != Gst.StateChangeReturn.SUCCESS:
        sys.exit(f"no preroll after seek to {seconds}")
    GLib.usleep(400000)
    print("seek", seconds, min(first) / Gst.SECOND, pipeline.query_position(Gst.Format.TIME)[1] / Gst.SECOND, flush=True)
def wait_eos():
    message = bus.timed_pop_filtered(20 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    if not message or message.type != Gst.MessageType.EOS:
        sys.exit(f"no EOS: {message and message.parse_error()}")
for seconds in (6, 2, 9):
    seek(seconds)
pipeline.set_state(Gst.State.PAUSED)
pipeline.get_state(5 * Gst.SECOND)
GLib.usleep(300000)
seek(4)
pipeline.set_state(Gst.State.PLAYING)
seek(11)
wait_eos()
print("eos", flush=True)
seek(5)
seek(10)
wait_eos()
print("eos again")
pipeline.set_state(Gst.State.NULL)
"""

    def test_duration_and_seeking(self):
        status, output = pipelines.python(self.SEEKS, self.url("long.flv", "vod"), timeout=60)
        lines = [line.split() for line in output.splitlines()]
        duration = next(float(line[1]) for line in lines if line[0] == "duration")
        self.assertAlmostEqual(duration, 12, delta=0.2)
        seeks = [[float(word) for word in line[1:]] for line in lines if line[0] == "seek"]
        self.assertEqual([seek[0] for seek in seeks], [6, 2, 9, 4, 11, 5, 10], output)
        for wanted, first, position in seeks:
            # Key frames are a second apart; nginx-rtmp goes on from the one after what it is asked for.
            self.assertLessEqual(first, wanted + 1.2, output)
            self.assertGreaterEqual(first, wanted - 1.2, output)
            self.assertGreaterEqual(position, wanted - 1.2, output)
            self.assertLessEqual(position, wanted + 1.5, output)
        self.assertIn("eos again", output)

    def test_missing_file(self):
        with pipelines.start_watched(f"rtmpsrc play-type=recorded location={self.url('none.flv', 'vod')} ! "
                                     "fakesink") as child:
            self.assertEqual(child.wait(15), 1, child.output())
            error = pipelines.errors(child.output())[0]
        self.assertEqual(error["details"]["reason"], "not-found")
        self.assertEqual(error["details"]["server-code"], "NetStream.Play.StreamNotFound")


class FfmpegServer(Pull):
    def test_ffmpeg_as_server(self):
        port = procs.free_port()
        url = f"rtmp://127.0.0.1:{port}/live/listen"
        path = self.dir / "listen.flv"
        with procs.Child(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-i", self.film, "-c",
                          "copy", "-f", "flv", "-listen", "1", url]) as server:
            procs.wait_listening(port, server)
            with pipelines.start(f"rtmpsrc location={url} ! filesink location={path}") as child:
                self.assertEqual(child.wait(15), 0, child.output())
        self.compare(path)


if __name__ == "__main__":
    unittest.main()
