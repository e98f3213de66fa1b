# SPDX-License-Identifier: LGPL-2.1-or-later
"""FFmpeg 8 on the other side, which speaks Enhanced RTMP v2: it reads what flvchunk writes, and flvunchunk what it writes."""

import json
import pathlib
import re
import shutil
import tempfile
import unittest

import encoders
import ffmpeg8
import node_media_server
import procs
import tracks
from encoders import CODECS
from tracks import Gst

MS = 1000000
NAMES = {"h265": "hevc", "mp3-48k": "mp3"}  # FFmpeg's, where they differ
# Of FFmpeg's AVColorPrimaries, AVColorTransferCharacteristic and AVColorSpace, which are H.273's numbers.
BT2020, PQ, BT2020_NCL = 9, 16, 9


def floor_ms(time):
    return time // MS


def decode_time(name, frame):
    return frame.dts if name in ("h264", "h265") else frame.pts


class Peer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        ffmpeg8.require()
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="ffmpeg8-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)


class Reads(Peer):
    """FFmpeg 8 reads what flvchunk writes: packets, times, key frames, configuration, sizes."""

    def check(self, sent, **options):
        """`sent`: by pad, (codec, track)."""
        path = self.dir / "ours.flv"
        tracks.mux_to_file({pad: track for pad, (_, track) in sent.items()}, path, **options)
        streams = ffmpeg8.probe(path)
        self.check_streams(sent, streams)
        return streams

    def check_streams(self, sent, streams):
        """Streams are told apart by their first packets; two that are equal are not."""
        shift = -min(min(floor_ms(decode_time(name, track.frames[0])) for name, track in sent.values()), 0)
        left = list(streams)
        for pad, (name, track) in sent.items():
            with self.subTest(pad=pad, codec=name):
                want = [(encoders_digest(name, frame), floor_ms(decode_time(name, frame)) + shift,
                         floor_ms(frame.pts) + shift, frame.key) for frame in track.frames]
                stream = next((one for one in left if one["codec"] == NAMES.get(name, name) and
                               one["packets"] and one["packets"][0]["hash"] == want[0][0]), None)
                self.assertIsNotNone(stream, f"no such stream among {[one['codec'] for one in left]}")
                left.remove(stream)
                self.assertEqual([(packet["hash"], packet["dts"], packet["pts"], packet["key"])
                                  for packet in stream["packets"]], want)
                self.check_parameters(name, track, stream)
        self.assertEqual([one["codec"] for one in left], [], "streams that nobody sent")

    def check_parameters(self, name, track, stream):
        if CODECS[name].pad == "video":
            self.assertEqual((stream["width"], stream["height"]), (track.field("width"), track.field("height")))
        else:
            self.assertEqual((stream["rate"], stream["channels"]), (track.field("rate"), track.field("channels")))
        extradata = bytes.fromhex(stream["extradata"])
        if track.codec_data is not None:
            self.assertEqual(extradata, track.codec_data)
        elif name in ("opus", "flac"):
            head = bytes.fromhex(re.search(r"streamheader=\(buffer\)< ([0-9a-f]+)", track.caps.to_string())[1])
            # FLAC: `fLaC`, a block header, STREAMINFO; Ogg's mapping has nine octets more in front.
            self.assertEqual(extradata, head if name == "opus" else b"fLaC\x80" + head[14:14 + 3 + 34])
        elif name == "av1":
            self.assertEqual(extradata[0], 0x81, "AV1CodecConfigurationRecord")
            self.assertIn(extradata[4:], track.frames[0].data, "its sequence header is the stream's")

    def test_one_track_of_a_kind(self):
        for picture, sound in (("h264", "aac"), ("h265", "opus"), ("av1", "flac"), ("vp9", "ac3"), ("h264", "eac3"),
                               ("h265", "mp3-48k")):
            for mode in ("auto", "non-multitrack"):
                with self.subTest(picture=picture, sound=sound, mode=mode):
                    self.check({"video": (picture, encoders.track(picture)), "audio": (sound, encoders.track(sound))},
                               modes={"video": mode, "audio": mode})

    def test_several_tracks(self):
        """All three forms of several tracks, beside a plain default track and with an extended one."""
        for multitrack in ("one-track", "many-tracks", "many-codecs"):
            for mode in ("auto", "multitrack"):
                with self.subTest(multitrack=multitrack, mode=mode):
                    # In one message with H.265 it takes that one's composition time for AV1's as well.
                    third = "h265" if multitrack == "many-codecs" else "av1"
                    self.check({"video": ("h264", encoders.track("h264")), "video_1": ("h265", encoders.track("h265")),
                                "video_2": (third, encoders.track(third)), "audio": ("aac", encoders.track("aac")),
                                "audio_1": ("ac3", encoders.track("ac3")), "audio_2": ("eac3", encoders.track("eac3")),
                                "audio_3": ("opus", encoders.track("opus"))},
                               modes={"video": mode, "audio": mode}, multitrack=multitrack)

    def test_nanoseconds_do_no_harm(self):
        """It reads ModEx and leaves the offset out."""
        self.check({"video": ("h264", encoders.track("h264")), "audio": ("aac", encoders.track("aac"))},
                   timestamp_precision="nanosecond")

    def test_colours(self):
        plain = encoders.track("h265")
        caps = plain.samples[-1].get_caps().copy()
        caps.set_value("colorimetry", "bt2100-pq")
        hdr = tracks.Track(caps.get_structure(0).copy(), plain.frames,
                           [Gst.Sample.new(sample.get_buffer(), caps, sample.get_segment(), None) for sample in plain.samples])
        stream, = self.check({"video": ("h265", hdr)})
        self.assertEqual((stream["primaries"], stream["transfer"], stream["matrix"]), (BT2020, PQ, BT2020_NCL))


def encoders_digest(name, frame):
    return tracks.Frame(None, None, True, encoders.payload(name, frame)).digest


class Writes(Peer):
    """flvunchunk reads what FFmpeg 8 writes of GStreamer's encoders' streams: packets, times, caps; decoders decode it."""

    def matroska(self, name):
        path = self.dir / f"{name}.mkv"
        if not path.exists():
            pipeline = Gst.Pipeline()
            muxer, sink = Gst.ElementFactory.make("matroskamux"), Gst.ElementFactory.make("filesink")
            sink.set_property("location", str(path))
            pipeline.add(muxer)
            pipeline.add(sink)
            muxer.link(sink)
            source = tracks.source(pipeline, encoders.track(name))
            source.get_static_pad("src").link(muxer.request_pad_simple(CODECS[name].pad + "_%u"))
            tracks.run(pipeline)
        return path

    def check(self, sent, got):
        """`sent`: codecs by pad. FFmpeg shifts times as it likes, but all by one constant."""
        self.assertEqual(set(got), set(sent))
        shifts = {}
        for pad, name in sent.items():
            with self.subTest(pad=pad, codec=name):
                track, have = encoders.track(name), got[pad].frames
                # It leaves AV1's temporal delimiters in.
                self.assertEqual([encoders_digest(name, frame) for frame in have],
                                 [encoders_digest(name, frame) for frame in track.frames])
                # Opus begins before zero in Matroska, by its pre-skip, and it stamps the first packet with zero.
                shifts[pad] = have[1].pts - track.frames[1].pts
                for want, frame in list(zip(track.frames, have))[1:]:
                    self.assertAlmostEqual(frame.pts - shifts[pad], want.pts, delta=1.1 * MS)
                    self.assertLessEqual(frame.dts, frame.pts)
                self.assertEqual([frame.dts for frame in have], sorted(frame.dts for frame in have))
                if CODECS[name].pad == "video":
                    self.assertEqual([frame.key for frame in have], [frame.key for frame in track.frames])
                self.check_caps(name, track, got[pad], pad)
        if shifts:
            self.assertLess(max(shifts.values()) - min(shifts.values()), 8 * MS, shifts)  # Opus: its pre-skip

    def check_caps(self, name, track, got, pad):
        self.assertEqual(got.caps.get_name(), track.caps.get_name())
        fields = ("width", "height", "profile", "stream-format") if CODECS[name].pad == "video" else ("rate", "channels")
        if pad.startswith("video_"):
            fields = fields[2:]  # FFmpeg tells the size of the default track alone
        for field in fields:
            if track.field(field) is not None:
                self.assertEqual(got.field(field), track.field(field), field)
        if track.codec_data is not None:
            self.assertEqual(got.codec_data, track.codec_data)
        caps, decoded = tracks.decode(got, CODECS[name].decoder)
        _, want = tracks.decode(track, CODECS[name].decoder)
        self.assertEqual(len(decoded), len(want))
        if CODECS[name].pad == "video":
            self.assertEqual(decoded, want)
            self.assertEqual((caps.get_value("width"), caps.get_value("height")), (160, 96))

    def test_one_track_of_a_kind(self):
        for picture, sound in (("h264", "aac"), ("h265", "opus"), ("av1", "flac"), ("vp9", "ac3"), ("h264", "eac3"),
                               ("h265", "mp3")):
            with self.subTest(picture=picture, sound=sound):
                path = self.dir / "theirs.flv"
                ffmpeg8.copy(self.matroska(picture), self.matroska(sound), path)
                self.check({"video": picture, "audio": sound}, tracks.demux(f"filesrc location={path}"))

    def test_several_tracks(self):
        path = self.dir / "several.flv"
        pictures, sounds = ["h264", "h265", "av1", "vp9"], ["aac", "opus", "ac3", "flac", "eac3"]
        ffmpeg8.copy(*map(self.matroska, pictures + sounds), path)
        sent = {"video" + (f"_{i}" if i else ""): name for i, name in enumerate(pictures)}
        sent.update({"audio" + (f"_{i}" if i else ""): name for i, name in enumerate(sounds)})
        self.check(sent, tracks.demux(f"filesrc location={path}"))

    def test_published(self):
        """FFmpeg 8 publishes, a server passes it on, rtmpsrc and flvunchunk have it all."""
        node_media_server.require()
        with node_media_server.NodeMediaServer() as server:
            for name, pictures, sounds in (("single", ["h265"], ["opus"]), ("several", ["h264", "av1"], ["aac", "flac"])):
                with self.subTest(name=name):
                    sent = {"video" + (f"_{i}" if i else ""): codec for i, codec in enumerate(pictures)}
                    sent.update({"audio" + (f"_{i}" if i else ""): codec for i, codec in enumerate(sounds)})
                    player = Gst.parse_launch(f"rtmpsrc location={server.url}/live/{name} clock-mode=sender "
                                              "! flvunchunk name=d")
                    received = tracks.collect(player.get_by_name("d"), tracks.stamp)
                    with tracks.playing(player):
                        server.wait_player(name)
                        files = map(self.matroska, pictures + sounds)
                        with ffmpeg8.publish(*files, f"{server.url}/live/{name}") as publisher:
                            self.assertEqual(publisher.wait(30), 0, publisher.output())
                        tracks.wait_frames(player, {pad: encoders.track(codec) for pad, codec in sent.items()}, received)
                    self.check(sent, received)


class Plays(Peer):
    """rtmpsink publishes, a server passes it on, FFmpeg 8 plays it."""

    LIVE = {
        "single": ("x265enc speed-preset=ultrafast key-int-max=10 ! h265parse ! {h265} ! m.video", "opusenc ! {opus} ! m.audio"),
        # Of a further track alone, without one of number 0, FFmpeg never gets to its first packet.
        "further": ("x265enc speed-preset=ultrafast key-int-max=10 ! h265parse ! {h265} ! m.video",
                    "opusenc ! {opus} ! m.audio", "flacenc ! flacparse ! {flac} ! m.audio_1"),
    }

    def test_played(self):
        node_media_server.require()
        with node_media_server.NodeMediaServer() as server:
            for name, codecs in self.LIVE.items():
                with self.subTest(name=name):
                    self.play(server, name, codecs)

    def play(self, server, name, codecs):
        sound = "audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 !"
        sources = ("videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=96,framerate=20/1 !", sound, sound)
        probes = {re.search(r"\{(\w+)\}", codec)[1] for codec in codecs}
        description = " ".join(f"{source} {codec.format(**{probe: f'identity name={probe}' for probe in probes})}"
                               for source, codec in zip(sources, codecs))
        url = f"{server.url}/live/{name}"
        pipeline = Gst.parse_launch(f"flvchunk name=m ! rtmpsink sync=false location={url} {description}")
        sent = {probe: [] for probe in probes}
        for probe, digests in sent.items():
            pad = pipeline.get_by_name(probe).get_static_pad("src")

            def passed(_pad, info, digests=digests, is_sound=CODECS[probe].pad == "audio"):
                buffer = info.get_buffer()
                if is_sound and buffer.has_flags(Gst.BufferFlags.HEADER):
                    return Gst.PadProbeReturn.OK
                digests.append(tracks.Frame(None, None, True, buffer.extract_dup(0, buffer.get_size())).digest)
                return Gst.PadProbeReturn.OK

            pad.add_probe(Gst.PadProbeType.BUFFER, passed)
        with procs.Child(ffmpeg8.argv("probe", url, 1), env=ffmpeg8.environment()) as player:
            server.wait_player(name)
            with tracks.playing(pipeline):
                status = player.wait(30)
            output = player.output()
        self.assertEqual(status, 0, output)
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        streams = {line["stream"]: line for line in lines if "stream" in line}
        self.assertEqual({stream["codec"] for stream in streams.values()}, {NAMES.get(probe, probe) for probe in probes})
        for probe, digests in sent.items():
            index, = [i for i, stream in streams.items() if stream["codec"] == NAMES.get(probe, probe)]
            packets = [line for line in lines if line.get("packet") == index]
            self.assertGreater(len(packets), 8)
            self.assertEqual([packet["hash"] for packet in packets], digests[:len(packets)])
            times = [packet["dts"] for packet in packets]
            self.assertEqual(times, sorted(times))


if __name__ == "__main__":
    unittest.main()
