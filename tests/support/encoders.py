# SPDX-License-Identifier: LGPL-2.1-or-later
"""What real encoders make of a second of picture and sound, once a process: `track("h264")`."""

import dataclasses
import functools
import unittest

import tracks

PICTURE = "videotestsrc num-buffers=24 pattern=ball ! video/x-raw,format=I420,width=160,height=96,framerate=24/1 ! "
SOUND = "audiotestsrc num-buffers=43 ! audio/x-raw,rate={},channels={} ! audioconvert ! audioresample ! "


@dataclasses.dataclass(frozen=True)
class Codec:
    pad: str  # `video` or `audio`
    encoder: str
    decoder: str
    fourcc: str = None  # None: FLV's own header only
    number: int = None  # FLV's own; None: by FourCC only
    told: tuple = ()  # what caps must tell behind the demuxer, beside sizes and rates


def _sound(encoder, rate=44100, channels=2):
    return SOUND.format(rate, channels) + encoder


CODECS = {
    "h264": Codec("video", PICTURE + "x264enc speed-preset=ultrafast bframes=2 key-int-max=12 ! h264parse", "avdec_h264",
                  "avc1", 7, ("codec_data", "stream-format", "alignment", "profile", "level")),
    "h265": Codec("video", PICTURE + "x265enc speed-preset=ultrafast key-int-max=12 option-string=bframes=2 ! h265parse",
                  "avdec_h265", "hvc1", 12, ("codec_data", "stream-format", "alignment", "profile", "level", "tier")),
    "av1": Codec("video", PICTURE + "av1enc cpu-used=8 usage-profile=realtime keyframe-max-dist=12 ! av1parse", "av1dec",
                 "av01", None, ("codec_data", "stream-format", "alignment", "profile")),
    "vp9": Codec("video", PICTURE + "vp9enc deadline=1 cpu-used=8 keyframe-max-dist=12 ! vp9parse", "vp9dec", "vp09", None,
                 ("profile", "colorimetry", "alignment")),
    "vp8": Codec("video", PICTURE + "vp8enc deadline=1 cpu-used=16 keyframe-max-dist=12", "vp8dec", "vp08", None,
                 ("colorimetry",)),
    "flv1": Codec("video", PICTURE + "avenc_flv", "avdec_flv", None, 2),
    "flashsv": Codec("video", PICTURE + "videoconvert ! avenc_flashsv", "avdec_flashsv", None, 3),
    "flashsv2": Codec("video", PICTURE + "videoconvert ! avenc_flashsv2", "avdec_flashsv2", None, 6),
    "aac": Codec("audio", _sound("voaacenc ! aacparse"), "avdec_aac", "mp4a", 10, ("codec_data", "stream-format", "profile")),
    "mp3": Codec("audio", _sound("lamemp3enc ! mpegaudioparse"), "avdec_mp3", ".mp3", 2, ("layer", "parsed")),
    "mp3-48k": Codec("audio", _sound("lamemp3enc ! mpegaudioparse", 48000), "avdec_mp3", ".mp3", 2, ("layer", "parsed")),
    "opus": Codec("audio", _sound("opusenc ! opusparse", 48000), "opusdec", "Opus", None,
                  ("streamheader", "channel-mapping-family")),
    "flac": Codec("audio", _sound("flacenc ! flacparse"), "flacdec", "fLaC", None, ("streamheader", "framed")),
    "ac3": Codec("audio", _sound("avenc_ac3 ! ac3parse", 48000), "avdec_ac3", "ac-3", None, ("framed", "alignment")),
    "eac3": Codec("audio", _sound("avenc_eac3 ! ac3parse", 48000), "avdec_eac3", "ec-3", None, ("framed", "alignment")),
    "speex": Codec("audio", _sound("speexenc", 16000, 1), "speexdec", None, 11, ("streamheader",)),
    "nellymoser": Codec("audio", _sound("avenc_nellymoser", 44100, 1), "avdec_nellymoser", None, 6),
    "adpcm": Codec("audio", _sound("avenc_adpcm_swf"), "avdec_adpcm_swf", None, 1, ("layout",)),
    "alaw": Codec("audio", _sound("alawenc", 8000, 1), "alawdec", None, 7),
    "mulaw": Codec("audio", _sound("mulawenc", 8000, 1), "mulawdec", None, 8),
    "pcm": Codec("audio", _sound("audio/x-raw,format=S16LE"), "identity", None, 3, ("format", "layout")),
}


@functools.cache
def track(name):
    """Returns a tracks.Track; SkipTest, with the name, where an element is missing."""
    codec = CODECS[name]
    try:
        return tracks.encode(codec.encoder, codec.pad)
    except tracks.MissingElement as error:
        raise unittest.SkipTest(f"{name}: {error}") from None


def payload(name, frame):
    """Returns what FLV carries of an encoded frame: AV1 without its temporal delimiter (V2, "Enhanced Video")."""
    delimiter = b"\x12\x00"
    return frame.data.removeprefix(delimiter) if name == "av1" else frame.data
