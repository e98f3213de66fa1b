# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every codec, with each of its headers, in each layout of tracks: from an encoder through FLV to a decoder.

What must be equal: octets, key frames, DTS to the millisecond below it, PTS to the nanosecond where the stream carries
that, else likewise; and of the caps all that both sides tell.
"""

import hashlib
import re
import unittest

import encoders
import flvfile
import nginx_rtmp
import node_media_server
import tracks
from encoders import CODECS
from tracks import Gst

MS = 1000000
FIELDS = {"video": ("width", "height", "framerate", "pixel-aspect-ratio"), "audio": ("rate", "channels")}
# Codecs of one kind whose frames lie at the same times, to share messages.
PARTNER = {"h264": "h265", "h265": "h264", "av1": "vp9", "vp9": "vp8", "vp8": "av1", "aac": "opus", "mp3": "aac",
           "mp3-48k": "ac3", "opus": "flac", "flac": "aac", "ac3": "eac3", "eac3": "ac3"}
EXTENDED = [name for name, codec in CODECS.items() if codec.fourcc]
LEGACY = [name for name, codec in CODECS.items() if codec.number is not None]


def floor_ms(time):
    return time // MS * MS


def decode_time(track_name, frame):
    """Returns the time that a tag's timestamp is made of: codecs without composition time have their PTS."""
    return frame.dts if track_name in ("h264", "h265") and frame.dts is not None else frame.pts


def shift(sent):
    """Returns by how much flvchunk moves all tracks: the least DTS to zero, if it lies below."""
    earliest = min(decode_time(name, track.frames[0]) or 0 for name, track in sent.values())
    return -min(floor_ms(earliest), 0)


def field_text(structure, name):
    alone = structure.copy()
    for other in [alone.nth_field_name(i) for i in range(alone.n_fields())]:
        if other != name:
            alone.remove_field(other)
    return alone.to_string()


class Comparison(unittest.TestCase):
    maxDiff = 4000
    kept_by_server = None  # of FIELDS; None: all

    def check(self, name, sent, got, *, moved=0, nanoseconds=False):
        codec = CODECS[name]
        want = [hashlib.sha1(encoders.payload(name, frame)).hexdigest()[:16] for frame in sent.frames]
        self.assertEqual([frame.digest for frame in got.frames], want)
        # speexenc's first frame has no time.
        timed = [(want, have) for want, have in zip(sent.frames, got.frames) if want.pts is not None]
        self.assertEqual([have.pts for _, have in timed],
                         [want.pts + moved if nanoseconds else floor_ms(want.pts) + moved for want, _ in timed])
        self.assertEqual([have.dts for _, have in timed],
                         [floor_ms(decode_time(name, want)) + moved for want, _ in timed])
        if codec.pad == "video":
            self.assertEqual([frame.key for frame in got.frames], [frame.key for frame in sent.frames])
        self.check_caps(name, sent.caps, got.caps)

    def check_caps(self, name, sent, got):
        self.assertEqual(sent.get_name(), got.get_name())
        fields = FIELDS[CODECS[name].pad]
        if self.kept_by_server is not None:
            fields = tuple(field for field in fields if field in self.kept_by_server)
        for field in fields + CODECS[name].told:
            self.assertTrue(got.has_field(field), f"{field}: {got.to_string()}")
        for field in [got.nth_field_name(i) for i in range(got.n_fields())]:
            # FLAC's header goes as STREAMINFO alone; Speex has none in FLV.
            if sent.has_field(field) and (field != "streamheader" or name == "opus"):
                self.assertEqual(field_text(got, field), field_text(sent, field))
        if name == "flac":
            self.assertEqual(self.stream_info(got), self.stream_info(sent))

    @staticmethod
    def stream_info(caps):
        """Returns STREAMINFO in hex, out of FLAC's first header: 9 octets of Ogg's mapping, 4 of marker, 4 of block header before it."""
        first = re.search(r"streamheader=\(buffer\)< ([0-9a-f]+)", caps.to_string())[1]
        return first[2 * (9 + 4 + 4):][:2 * 34]

    def check_all(self, sent, got, nanoseconds):
        """`sent`: by pad, (codec, track)."""
        self.assertEqual(set(got), set(sent))
        for pad, (name, track) in sent.items():
            with self.subTest(pad=pad, codec=name):
                self.check(name, track, got[pad], moved=shift(sent), nanoseconds=nanoseconds)


class Matrix(Comparison):
    def remux(self, sent, **options):
        """Returns the FLV, the Extended of its tags, and the tracks that came out."""
        flv, got = tracks.remux({pad: track for pad, (_, track) in sent.items()}, **options)
        self.check_all(sent, got, options.get("timestamp_precision") == "nanosecond")
        parsed = flvfile.parse(flv)
        return parsed, [flvfile.extended(tag) for tag in parsed.tags if tag.kind != flvfile.SCRIPT], got

    def check_decoded(self, name, got):
        """Decoders make of it what they make of the encoder's own."""
        decoder = CODECS[name].decoder
        caps, want = tracks.decode(encoders.track(name), decoder)
        decoded_caps, have = tracks.decode(got, decoder)
        self.assertEqual(have, want)
        self.assertTrue(have, "nothing was decoded")
        for field in ("format", "width", "height", "rate", "channels"):
            self.assertEqual(caps.get_value(field), decoded_caps.get_value(field), field)

    # ---- one track of a kind ----

    def test_flvs_own_headers(self):
        for name in LEGACY:
            with self.subTest(codec=name):
                codec = CODECS[name]
                modes = {codec.pad: "legacy"} if codec.fourcc else {}
                flv, heads, got = self.remux({codec.pad: (name, encoders.track(name))}, modes=modes)
                self.assertEqual(set(heads), {None})
                self.assertEqual({tag.codec for tag in flv.tags if tag.kind != flvfile.SCRIPT}, {codec.number})
                self.check_decoded(name, got[codec.pad])

    def test_by_fourcc(self):
        for name in EXTENDED:
            for precision in ("millisecond", "nanosecond"):
                with self.subTest(codec=name, precision=precision):
                    codec = CODECS[name]
                    _, heads, got = self.remux({codec.pad: (name, encoders.track(name))},
                                               modes={codec.pad: "non-multitrack"}, timestamp_precision=precision)
                    self.assertEqual({(head.fourcc, head.multitrack) for head in heads}, {(codec.fourcc, None)})
                    parts = any(frame.pts % MS for frame in encoders.track(name).frames)
                    self.assertEqual(any(head.modifiers for head in heads), precision == "nanosecond" and parts)
                    if precision == "millisecond":
                        self.check_decoded(name, got[codec.pad])

    def test_picture_and_sound_together(self):
        for picture, sound in (("h264", "aac"), ("h265", "opus"), ("av1", "flac"), ("vp9", "eac3"), ("vp8", "mp3")):
            for precision in ("millisecond", "nanosecond"):
                with self.subTest(picture=picture, sound=sound, precision=precision):
                    self.remux({"video": (picture, encoders.track(picture)), "audio": (sound, encoders.track(sound))},
                               timestamp_precision=precision)

    # ---- several ----

    def layout(self, multitrack, wanted, *, others):
        """Three tracks of a kind: two of one codec, and a third of its partner with `others`."""
        for name in EXTENDED:
            for precision in ("millisecond", "nanosecond"):
                with self.subTest(codec=name, precision=precision):
                    pad = CODECS[name].pad
                    third = PARTNER[name] if others else name
                    sent = {pad: (name, encoders.track(name)), f"{pad}_1": (name, encoders.track(name)),
                            f"{pad}_255": (third, encoders.track(third))}
                    _, heads, _ = self.remux(sent, modes={pad: "multitrack"}, multitrack=multitrack,
                                             timestamp_precision=precision)
                    # Who is alone at a time has the simplest form, as have two of one codec.
                    self.assertLessEqual({head.multitrack for head in heads}, set(range(wanted + 1)))
                    coded = [head for head in heads if head.multitrack == wanted and head.packet_type in (1, 3)]
                    self.assertTrue(coded, "no frames are in such messages")
                    self.assertEqual({head.fourcc for head in coded} - {CODECS[name].fourcc, CODECS[third].fourcc}, set())

    def test_one_track(self):
        self.layout("one-track", 0, others=True)

    def test_many_tracks(self):
        self.layout("many-tracks", 1, others=False)

    def test_many_tracks_many_codecs(self):
        self.layout("many-codecs", 2, others=True)

    def test_default_track_stays_plain(self):
        """Track 0 with FLV's own header, further ones beside it, shared by two and two."""
        for multitrack in ("one-track", "many-tracks", "many-codecs"):
            with self.subTest(multitrack=multitrack):
                sent = {"video": ("h264", encoders.track("h264")), "video_1": ("h264", encoders.track("h264")),
                        "video_2": ("h265", encoders.track("h265")), "audio": ("aac", encoders.track("aac")),
                        "audio_1": ("ac3", encoders.track("ac3")), "audio_2": ("eac3", encoders.track("eac3"))}
                _, heads, _ = self.remux(sent, multitrack=multitrack)
                self.assertIn(None, heads)

    # ---- time ----

    def test_negative_composition_times(self):
        """DTS that lie behind PTS, as edit lists and some encoders make them."""
        for precision in ("millisecond", "nanosecond"):
            for mode in ("legacy", "non-multitrack", "multitrack"):
                if (precision, mode) == ("nanosecond", "legacy"):
                    continue
                with self.subTest(precision=precision, mode=mode):
                    plain = encoders.track("h264")
                    late = tracks.retimed(plain, lambda frame: (frame.dts + 200 * MS, frame.pts + 33333333))
                    self.assertTrue(any(frame.dts > frame.pts for frame in late.frames))
                    self.remux({"video": ("h264", late)}, modes={"video": mode}, timestamp_precision=precision)


def pads(videos, sounds):
    """Returns what is sent, by pad: the first of a kind on track 0, the others on 1, 2, ..."""
    names = [("video" + (f"_{i}" if i else ""), name) for i, name in enumerate(videos)]
    names += [("audio" + (f"_{i}" if i else ""), name) for i, name in enumerate(sounds)]
    return {pad: (name, encoders.track(name)) for pad, name in names}


class BehindNodeMediaServer(Comparison):
    """The same through rtmpsink, a server that passes every message on, and rtmpsrc."""

    @classmethod
    def setUpClass(cls):
        node_media_server.require()
        cls.server = cls.enterClassContext(node_media_server.NodeMediaServer())

    def round_trip(self, name, sent, **options):
        got = tracks.through_server({pad: track for pad, (_, track) in sent.items()}, f"{self.server.url}/live/{name}",
                                    lambda: self.server.wait_player(name), server_ends=False, **options)
        self.check_all(sent, got, options.get("timestamp_precision") == "nanosecond")

    def test_one_track_of_a_kind(self):
        for mode in ("auto", "non-multitrack"):
            for picture, sound in (("h264", "aac"), ("h265", "opus"), ("av1", "flac"), ("vp9", "ac3"), ("vp8", "eac3"),
                                   ("h264", "mp3")):
                with self.subTest(mode=mode, picture=picture, sound=sound):
                    self.round_trip(f"{mode}-{picture}-{sound}", pads([picture], [sound]),
                                    modes={"video": mode, "audio": mode}, timestamp_precision="millisecond")

    def test_every_codec_in_one_stream(self):
        videos = ["h264", "h265", "h265", "av1", "av1", "vp9", "vp8"]
        sounds = ["aac", "opus", "flac", "ac3", "ac3", "eac3", "mp3"]
        for multitrack in ("one-track", "many-tracks", "many-codecs"):
            for precision in ("millisecond", "nanosecond"):
                with self.subTest(multitrack=multitrack, precision=precision):
                    self.round_trip(f"{multitrack}-{precision}", pads(videos, sounds), multitrack=multitrack,
                                    timestamp_precision=precision)


class BehindNginx(Comparison):
    """nginx-rtmp writes onMetaData anew, and passes FLV's own headers and extended sound on, but no extended video,
    whoever publishes it: what it takes for the frame type is out of its range of priorities."""

    kept_by_server = ("width", "height", "framerate", "rate", "channels")

    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.server = cls.enterClassContext(nginx_rtmp.NginxRtmp())

    def round_trip(self, name, sent, **options):
        got = tracks.through_server({pad: track for pad, (_, track) in sent.items()}, f"{self.server.url}/live/{name}",
                                    lambda: self.server.wait_players(name), **options)
        self.check_all(sent, got, False)

    def test_extended_sound(self):
        for name in EXTENDED:
            if CODECS[name].pad == "audio":
                for mode in ("auto", "non-multitrack", "multitrack"):
                    with self.subTest(codec=name, mode=mode):
                        self.round_trip(f"{name}-{mode}", pads(["h264"], [name]), modes={"audio": mode})

    def test_several_sounds(self):
        for multitrack in ("one-track", "many-tracks", "many-codecs"):
            with self.subTest(multitrack=multitrack):
                # The server's own onMetaData has no map of tracks, and AC-3 no sequence header: nothing announces it.
                self.round_trip(multitrack, pads(["h264"], ["aac", "opus", "ac3", "ac3", "eac3"]), multitrack=multitrack,
                                late_pads=True)


if __name__ == "__main__":
    unittest.main()
