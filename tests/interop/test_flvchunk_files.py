# SPDX-License-Identifier: LGPL-2.1-or-later
"""flvchunk between real encoders, demuxers and sinks: what goes in comes out, and everybody can read it."""

import http.server
import json
import os
import pathlib
import re
import shlex
import shutil
import tempfile
import threading
import unittest

import flvfile
import media
import nginx_rtmp
import pipelines
import procs

AUDIO, VIDEO = flvfile.AUDIO, flvfile.VIDEO
OURS = b"GStreamer flvchunk"


def launch(description, *, timeout=60, cwd=None, env=None):
    """Runs gst-launch-1.0 to its end and returns what it printed."""
    return procs.run(["gst-launch-1.0", "--no-fault"] + description.split(), timeout=timeout, cwd=cwd, env=env)[1]


def probe(path, *options):
    """Returns what ffprobe says, and fails if it complains of anything."""
    output = procs.run(["ffprobe", "-v", "warning", "-of", "json", *options, path], timeout=30)[1]
    complaints, brace, rest = output.partition("{")
    if complaints.strip():
        raise AssertionError(f"ffprobe {path}: {complaints}")
    return json.loads(brace + rest)


class Files(unittest.TestCase):
    def setUp(self):
        for program in ("gst-launch-1.0", "ffprobe"):
            if not shutil.which(program):
                raise unittest.SkipTest(f"no {program}")
        temporary = tempfile.TemporaryDirectory(prefix="flvchunk-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.out = self.folder / "out.flv"

    def assert_same(self, expected, path, *, tolerance_ms=1, offset_ms=0):
        got = flvfile.read(path)
        for kind in (VIDEO, AUDIO):
            sent = expected.packets(kind)
            if sent or got.packets(kind):
                self.assertEqual(flvfile.differences(sent, got.packets(kind), tolerance_ms=tolerance_ms,
                                                     offset_ms=offset_ms), [])
                self.assertEqual(len(sent), len(got.packets(kind)))
                self.assertEqual(expected.headers(kind), got.headers(kind))
        return got

    # ---- round trips ----

    def test_elementary_streams(self):
        for bframes in (0, 2):
            with self.subTest(bframes=bframes):
                film = media.flv(bframes=bframes, seconds=3)
                launch(f"filesrc location={film} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
                       f"flvchunk name=m ! filesink location={self.out}")
                got = self.assert_same(flvfile.read(film), self.out)
                self.assertTrue(got.has_audio and got.has_video)

    def test_order_is_that_of_dts(self):
        film = media.flv(bframes=2, seconds=3)
        launch(f"filesrc location={film} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
               f"flvchunk name=m ! filesink location={self.out}")
        times = [packet.dts for packet in flvfile.read(self.out).packets()]
        self.assertEqual(times, sorted(times))

    def test_other_demuxers(self):
        """Running times that begin with negative DTS: all tracks move together."""
        film = media.flv(bframes=2, seconds=3, suffix="mp4")
        launch(f"filesrc location={film} ! qtdemux name=d  d.video_0 ! queue ! m.video  d.audio_0 ! queue ! m.audio "
               f"flvchunk name=m ! filesink location={self.out}")
        got = flvfile.read(self.out)
        packets = probe(film, "-show_packets")["packets"]
        for kind, index in ((VIDEO, 0), (AUDIO, 1)):
            sent = [packet for packet in packets if packet["stream_index"] == index]
            mine = got.packets(kind)
            # ffmpeg shows AAC's priming, which qtdemux clips off.
            sent = sent[len(sent) - len(mine):]
            self.assertGreater(len(mine), 80)
            offset = mine[0].pts - float(sent[0]["pts_time"]) * 1000
            for have, want in zip(mine, sent):
                self.assertAlmostEqual(have.pts - offset, float(want["pts_time"]) * 1000, delta=1.1)
                self.assertAlmostEqual(have.dts - offset, float(want["dts_time"]) * 1000, delta=1.1)
        self.assertEqual(min(packet.dts for packet in got.packets()), 0)

    def test_flv_in_any_blocks(self):
        film = media.flv(bframes=2, seconds=3)
        for size in (1, 13, 777, 4096, 1 << 20):
            with self.subTest(blocksize=size):
                blocks = f"blocksize={size}" if size > 1 else "blocksize=1 num-buffers=20000"
                launch(f"filesrc location={film} {blocks} ! video/x-flv ! flvchunk ! filesink location={self.out}")
                if size > 1:
                    self.assert_same(flvfile.read(film), self.out, tolerance_ms=0)
                else:
                    self.assertGreater(len(flvfile.read(self.out).packets()), 5)

    def test_flvmux_in_front(self):
        film = media.flv(bframes=0, seconds=2)
        for streamable in ("true", "false"):
            with self.subTest(streamable=streamable):
                reference = self.folder / "reference.flv"
                demux = (f"filesrc location={film} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
                         f"flvmux name=m streamable={streamable} !")
                launch(f"{demux} filesink location={reference}")
                launch(f"{demux} flvchunk ! filesink location={self.out}")
                self.assert_same(flvfile.read(reference), self.out, tolerance_ms=0)

    def test_ffmpeg_reads_the_old_codecs(self):
        picture = "videotestsrc num-buffers=12 ! video/x-raw,format=I420,width=320,height=240 ! videoconvert !"
        sound = "audiotestsrc num-buffers=40 ! audio/x-raw,channels=1,rate=44100 ! audioconvert ! audioresample !"
        for codec, encoder in (("flv1", f"{picture} avenc_flv"),
                               ("flashsv", f"{picture} avenc_flashsv"),
                               ("flashsv2", f"{picture} avenc_flashsv2"),
                               ("mp3", f"{sound} lamemp3enc ! mpegaudioparse"),
                               ("speex", f"{sound} audio/x-raw,rate=16000 ! speexenc"),
                               ("nellymoser", f"{sound} avenc_nellymoser"),
                               ("adpcm_swf", f"{sound} avenc_adpcm_swf"),
                               ("pcm_alaw", f"{sound} audio/x-raw,rate=8000 ! alawenc"),
                               ("pcm_mulaw", f"{sound} audio/x-raw,rate=8000 ! mulawenc"),
                               ("pcm_s16le", f"{sound} audio/x-raw,format=S16LE"),
                               ("pcm_u8", f"{sound} audio/x-raw,format=U8")):
            with self.subTest(codec=codec):
                launch(f"{encoder} ! flvchunk ! filesink location={self.out}")
                stream, = probe(self.out, "-show_streams", "-count_frames")["streams"]
                self.assertEqual(stream["codec_name"], codec)
                self.assertGreaterEqual(int(stream["nb_read_frames"]), 5)

    def test_further_tracks_leave_the_first_readable(self):
        """FFmpeg 5.1 takes them for a codec that it cannot make anything of, and reads the others whole."""
        launch("videotestsrc num-buffers=60 ! tee name=t ! queue ! x264enc speed-preset=ultrafast key-int-max=30 ! "
               f"flvchunk name=m ! filesink location={self.out}  t. ! queue ! x265enc speed-preset=ultrafast "
               "key-int-max=30 ! h265parse ! m.video_1  audiotestsrc num-buffers=80 ! voaacenc ! m.audio")
        output = procs.run(["ffprobe", "-v", "quiet", "-count_frames", "-of", "json", "-show_streams", self.out],
                           timeout=30)[1]
        frames = {stream["codec_name"]: stream.get("nb_read_frames") for stream in json.loads(output)["streams"]}
        self.assertEqual(frames["h264"], "60")
        self.assertEqual(frames["aac"], "80")

    def test_stock_demuxer_reads_ours(self):
        film = media.flv(bframes=2, seconds=2)
        again = self.folder / "again.flv"
        launch(f"filesrc location={film} ! video/x-flv ! flvchunk ! filesink location={self.out}")
        launch(f"filesrc location={self.out} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
               f"flvchunk name=m ! filesink location={again}")
        self.assert_same(flvfile.read(film), again)

    def test_live_capture_reads_back(self):
        """A live pipeline without queues: no complaint about latency, nothing lost."""
        output = launch(
            "-m videotestsrc is-live=true num-buffers=60 ! video/x-raw,width=160,height=120,framerate=30/1 ! x264enc ! "
            f"flvchunk name=m ! filesink location={self.out} "
            "audiotestsrc is-live=true num-buffers=200 samplesperbuffer=441 ! audio/x-raw,rate=44100 ! voaacenc ! m.")
        self.assertNotRegex(output, r"Impossible to configure|\(warning\)|\(error\)")
        got = flvfile.read(self.out)
        self.assertEqual(len(got.packets(VIDEO)), 60)
        self.assertEqual(len(got.packets(AUDIO)), 86)

    def test_mp3_at_all_rates(self):
        """FLV has a number of its own for 8 kHz, unknown to ffmpeg; at 48 kHz readers go by MP3's own header."""
        for rate in (8000, 11025, 22050, 44100, 48000):
            for channels in (1, 2):
                with self.subTest(rate=rate, channels=channels):
                    launch(f"audiotestsrc num-buffers=60 ! audio/x-raw,rate={rate},channels={channels} ! lamemp3enc ! "
                           f"mpegaudioparse ! flvchunk ! filesink location={self.out}")
                    stock, other = self.folder / "stock.wav", self.folder / "other.wav"
                    launch(f"filesrc location={self.out} ! flvdemux ! mpegaudioparse ! decodebin ! audioconvert ! wavenc ! "
                           f"filesink location={stock}")
                    procs.run(["ffmpeg", "-v", "error", "-nostdin", "-i", stock if rate == 8000 else self.out, "-y",
                               other], timeout=30)
                    for path in (stock, other):
                        stream, = probe(path, "-show_streams")["streams"]
                        self.assertEqual((int(stream["sample_rate"]), stream["channels"]), (rate, channels))
                        self.assertGreater(float(stream["duration"]) * rate, 59 * 1024)

    def test_transcodebin_chooses_ours(self):
        film = media.flv(seconds=2, suffix="mkv")
        for avoid in ("true", "false"):
            with self.subTest(avoid_reencoding=avoid):
                launch(f"uritranscodebin source-uri={film.as_uri()} dest-uri={self.out.as_uri()} avoid-reencoding={avoid} "
                       "profile=video/x-flv:video/x-h264:audio/mpeg,mpegversion=(int)4")
                self.assertIn(OURS, self.out.read_bytes()[:2000])
                got = flvfile.read(self.out)
                self.assertEqual(len(got.packets(VIDEO)), 60)
                self.assertGreater(len(got.packets(AUDIO)), 80)

    # ---- files ----

    def test_ffprobe_agrees(self):
        film = media.flv(bframes=2, seconds=3)
        launch(f"filesrc location={film} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
               f"flvchunk name=m ! filesink location={self.out}")
        seen = probe(self.out, "-show_packets", "-show_streams", "-show_format")
        kinds = [{"video": VIDEO, "audio": AUDIO}[stream["codec_type"]] for stream in seen["streams"]]
        self.assertEqual(sorted(kinds), [AUDIO, VIDEO])
        mine = flvfile.read(self.out)
        for index, kind in enumerate(kinds):
            theirs = [(int(p["dts"]), int(p["pts"]), "K" in p["flags"]) for p in seen["packets"]
                      if p["stream_index"] == index]
            self.assertEqual(theirs, [(p.dts, p.pts, p.keyframe or kind == AUDIO) for p in mine.packets(kind)])
        self.assertAlmostEqual(float(seen["format"]["duration"]), 3.1, delta=0.15)

    def test_index_leads_to_key_frames(self):
        film = media.flv(seconds=4, gop=30)
        launch(f"filesrc location={film} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
               f"flvchunk name=m ! filesink location={self.out}")
        output = procs.run(["ffprobe", "-v", "debug", "-read_intervals", "2.5%+#1", "-select_streams", "v",
                            "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", self.out], timeout=30)[1]
        self.assertNotIn("Invalid keyframes object", output)
        self.assertNotIn("keyframe index", output.lower().replace("found", ""))
        self.assertRegex(output, r"(?m)^2\.0\d+,K")
        # Stock flvdemux, which reads the index too.
        info = launch(f"-v filesrc location={self.out} ! flvdemux ! video/x-h264 ! fakesink num-buffers=2")
        self.assertNotIn("ERROR", info)

    def test_late_start_is_no_longer_file(self):
        """The second file of splitmuxsink starts at two seconds and lasts one; flvmux's claims three."""
        self.split("muxer=flvchunk")
        seen = probe(self.folder / "part02.flv", "-show_format")["format"]
        self.assertAlmostEqual(float(seen["duration"]), 1.0, delta=0.2)

    # ---- pieces ----

    SOURCE = ("videotestsrc num-buffers=100 ! video/x-raw,width=160,height=120,framerate=25/1 ! "
              "x264enc key-int-max=25 bframes=2 ! h264parse")
    SOUND = "audiotestsrc num-buffers=173 ! audio/x-raw,rate=44100 ! voaacenc"

    def split(self, muxer):
        self.launch_split(f"{self.SOURCE} ! queue ! s.video splitmuxsink name=s {muxer} max-size-time=1000000000 "
                          f"location=part%02d.flv {self.SOUND} ! queue ! s.audio_0", num_parts=4)

    def launch_split(self, description, *, num_parts):
        """splitmuxsink of 1.22 sometimes keeps the last EOS to itself, with qtmux as well: its messages tell the end."""
        with procs.Child(["gst-launch-1.0", "--no-fault", "-m"] + shlex.split(description), cwd=self.folder) as child:
            procs.wait_until(lambda: not child.running() or
                             child.output().count("splitmuxsink-fragment-closed") == num_parts,
                             timeout=60, what="the last part")
            self.assertEqual(child.output().count("splitmuxsink-fragment-closed"), num_parts, child.output())

    def check_parts(self, pattern, *, from_zero):
        paths = sorted(self.folder.glob(pattern))
        self.assertEqual(len(paths), 4)
        pictures = 0
        for number, path in enumerate(paths):
            got = flvfile.read(path)
            seen = probe(path, "-show_streams", "-show_format")
            self.assertEqual({stream["codec_type"] for stream in seen["streams"]}, {"audio", "video"}, path)
            self.assertTrue(got.packets(VIDEO)[0].keyframe)
            self.assertEqual(len(got.headers(VIDEO)), 1)
            self.assertEqual(len(got.headers(AUDIO)), 1)
            first = got.packets()[0].dts
            if from_zero:
                self.assertLess(first, 25)
            else:
                self.assertAlmostEqual(first, 1000 * number, delta=100)
            pictures += len(got.packets(VIDEO))
            decoded = procs.run(["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-f", "null", "-"], timeout=30)[1]
            self.assertEqual(decoded, "")
        self.assertEqual(pictures, 100)

    def test_multifilesink(self):
        for zero in (True, False):
            with self.subTest(zero=zero):
                launch(f"{self.SOURCE} ! flvchunk name=m chunk-mode=gop chunk-timestamps={'zero' if zero else 'continue'} ! "
                       f"multifilesink location=piece%02d.flv next-file=key-unit-event {self.SOUND} ! m.", cwd=self.folder)
                self.check_parts("piece*.flv", from_zero=zero)

    def test_splitmuxsink(self):
        self.split("muxer=flvchunk")
        self.check_parts("part*.flv", from_zero=False)

    def test_splitmuxsink_from_zero(self):
        self.split("async-finalize=true muxer-factory=flvchunk muxer-properties=properties,chunk-timestamps=1")
        self.check_parts("part*.flv", from_zero=True)

    def test_pieces_by_their_messages(self):
        """Who sends pieces elsewhere cuts by the octets that the messages tell."""
        output = launch(f"-m {self.SOURCE} ! flvchunk name=m chunk-mode=duration chunk-duration=1000000000 "
                        f"chunk-timestamps=zero ! filesink location={self.out} {self.SOUND} ! m.")
        rest = self.out.read_bytes()
        for number, size in enumerate([int(size) for size in re.findall(r"previous-bytes=\(guint64\)(\d+)", output)] + [None]):
            (self.folder / f"piece{number:02}.flv").write_bytes(rest[:size])
            rest = rest[size:] if size else b""
        self.check_parts("piece*.flv", from_zero=True)

    def test_http_put(self):
        received = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                start = int(re.match(r"bytes (\d+)-", self.headers.get("Content-Range", "bytes 0-"))[1])
                received[start] = body
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                # On its way to NULL, souphttpclientsink may ask libsoup to send without a session: not ours to die of.
                launch(f"{self.SOURCE} ! flvchunk name=m ! souphttpclientsink "
                       f"location=http://127.0.0.1:{server.server_port}/out.flv {self.SOUND} ! m.", env={"G_DEBUG": ""})
            finally:
                server.shutdown()
                thread.join()
        self.out.write_bytes(b"".join(body for _, body in sorted(received.items())))
        self.assertEqual(len(flvfile.read(self.out).packets(VIDEO)), 100)
        self.assertEqual(procs.run(["ffmpeg", "-v", "error", "-nostdin", "-i", self.out, "-f", "null", "-"],
                                   timeout=30)[1], "")

    # ---- through a server ----

    def test_between_a_server_and_other_elements(self):
        nginx_rtmp.require()
        film = media.flv(bframes=2, seconds=3)
        reference = self.folder / "reference.flv"
        muxed = (f"filesrc location={film} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
                 "flvmux name=m streamable=true")
        launch(f"{muxed} ! filesink location={reference}")
        with nginx_rtmp.NginxRtmp() as server:
            launch(f"{muxed} ! flvchunk ! rtmpsink sync=false location={server.url}/record/muxed")
            sent, recorded = flvfile.read(reference), flvfile.read(server.wait_recording("muxed"))
            for kind in (VIDEO, AUDIO):
                self.assertEqual(flvfile.differences(sent.packets(kind), recorded.packets(kind), offset_ms=None), [])

            shutil.copy(film, server.dir / "vod" / "film.flv")
            launch(f"rtmpsrc play-type=recorded location={server.url}/vod/film.flv ! flvchunk ! filesink location={self.out}")
            got, sent = flvfile.read(self.out), flvfile.read(film)
            for kind in (VIDEO, AUDIO):
                self.assertEqual(flvfile.differences(sent.packets(kind), got.packets(kind), offset_ms=None), [])
            self.assertAlmostEqual(float(probe(self.out, "-show_format")["format"]["duration"]), 3.1, delta=0.15)

            live = self.folder / "live.flv"
            with procs.Child(["gst-launch-1.0", "-e", *f"rtmpsrc location={server.url}/live/live ! flvchunk ! filesink "
                              f"location={live}".split()]) as player:
                server.wait_players("live")
                launch(f"filesrc location={film} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
                       f"flvchunk name=m ! rtmpsink location={server.url}/live/live")
                self.assertEqual(player.wait(20), 0, player.output())
            for kind in (VIDEO, AUDIO):
                self.assertEqual(flvfile.differences(sent.packets(kind), flvfile.read(live).packets(kind),
                                                     offset_ms=None), [])

    # ---- autoplugging ----

    def test_encodebin_chooses_ours(self):
        for audio, codec in (("audio/mpeg,mpegversion=(int)4", 10), ("audio/mpeg,mpegversion=(int)1,layer=(int)3", 2)):
            with self.subTest(audio=audio):
                launch("videotestsrc num-buffers=30 ! e.video_0 encodebin name=e "
                       f"profile=video/x-flv:video/x-h264:{audio} ! filesink location={self.out} "
                       "audiotestsrc num-buffers=50 ! audioconvert ! e.audio_0")
                self.assertIn(OURS, self.out.read_bytes()[:2000])
                got = flvfile.read(self.out)
                self.assertEqual(len(got.packets(VIDEO)), 30)
                self.assertEqual({tag.codec for tag in got.tags if tag.kind == AUDIO}, {codec})

    def test_launch_picks_the_pad_by_caps(self):
        _, output = pipelines.python(
            "pipeline = Gst.parse_launch(sys.argv[1])\n"
            "for pad in pipeline.get_by_name('m').sinkpads:\n"
            "    print(pad.name, pad.get_peer().get_parent_element().get_factory().get_name())\n",
            "videotestsrc ! x264enc ! flvchunk name=m ! fakesink  audiotestsrc ! voaacenc ! m. "
            "audiotestsrc ! voaacenc ! flvmux ! m.")
        self.assertEqual(sorted(output.splitlines()), ["audio voaacenc", "flv_0 flvmux", "video x264enc"])

    # ---- hygiene ----

    def test_nothing_leaks(self):
        film = media.flv(bframes=2, seconds=2)
        pipelines = (
            f"filesrc location={film} ! flvdemux name=d  d.video ! queue ! m.video  d.audio ! queue ! m.audio "
            f"flvchunk name=m ! filesink location={self.out}",
            f"filesrc location={film} ! video/x-flv ! flvchunk chunk-mode=gop ! fakesink",
            f"filesrc location={film} num-buffers=3 ! video/x-flv ! flvchunk ! fakesink",
        )
        for pipeline in pipelines:
            output = launch(pipeline, env={"GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7",
                                           "GST_DEBUG_NO_COLOR": "1"})
            self.assertIn("object-alive", output, "the tracer ran")
            self.assertEqual(re.findall(r"object-alive, .*0x.*", output), [])

    # In an empty folder and in their order: each has what the ones before it made.
    def test_examples_of_the_documentation(self):
        source = pathlib.Path(os.environ["RTMP_TEST_SOURCE"]) / "gst" / "rtmp" / "gstflvchunk.cpp"
        lines = re.findall(r"\* gst-launch-1\.0 (.*)", source.read_text(encoding="utf-8"))
        self.assertGreaterEqual(len(lines), 10)
        for line in lines:
            line = re.sub(r"(filesrc .*)rtmpsink location=\S+", r"\1fakesink", line)
            if "splitmuxsink" in line:
                self.launch_split(line, num_parts=5)
            elif "rtmpsink" not in line:
                with self.subTest(line=line):
                    procs.run(["sh", "-c", "gst-launch-1.0 --no-fault -q " + line], timeout=60, cwd=self.folder)
        self.assertGreater(len(list(self.folder.glob("piece*.flv"))), 3)
        self.assertGreater(len(list(self.folder.glob("part*.flv"))), 3)


if __name__ == "__main__":
    unittest.main()
