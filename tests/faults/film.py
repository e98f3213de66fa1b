# SPDX-License-Identifier: LGPL-2.1-or-later
"""An endless live broadcast out of a short file, with a mark in each picture: its number and when it was made."""

import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import flvfile  # noqa: E402
import media  # noqa: E402

FPS = 30
AUDIO_RATE, AUDIO_SAMPLES = 44100, 1024
GOP = 30

# An SEI message "user data unregistered" (H.264 D.1.6) in front of a picture: every decoder and muxer passes it over.
# In plain letters, so that it needs no emulation prevention.
UUID = b"gst-rtmp faults."
MARK = re.compile(re.escape(UUID) + rb"(\d{10}) (\d{20})")


def mark(body, number, made):
    """Returns the body of a picture's tag with a mark in it."""
    text = UUID + b"%010d %020d" % (number, made)
    unit = b"\x06\x05" + bytes([len(text)]) + text + b"\x80"
    return body[:5] + len(unit).to_bytes(4, "big") + unit + body[5:]


def read_mark(body):
    """Returns (number, made) of a picture's body, or None. `made` is of time.monotonic_ns()."""
    found = MARK.search(body, 0, 200)
    return (int(found[1]), int(found[2])) if found else None


def make(bitrate):
    """Returns the path of the file, made on the first call."""
    return media.flv(seconds=10, fps=FPS, gop=GOP, bitrate=bitrate, rate=AUDIO_RATE)


class Broadcast:
    """Tags in real time: next() waits for and returns (kind, timestamp, body); the clock begins with the first call.

    `pictures` is how many there have been. request_key_frame() does what it asks of an encoder. While
    `paused`, time stands still and next() answers None; `still` says that it has got there.
    """

    def __init__(self, path):
        tags = flvfile.read(path).tags
        self.headers = [(tag.kind, 0, tag.body) for tag in tags if tag.is_header or tag.kind == flvfile.SCRIPT]
        self._film = [tag for tag in tags if tag.kind == flvfile.VIDEO and not tag.is_header and not tag.is_end]
        self._sound = [tag.body for tag in tags if tag.kind == flvfile.AUDIO and not tag.is_header]
        self.pictures = self.sounds = 0
        self.paused = self.still = False
        self._position = 0
        self._key_wanted = False
        self._began = None

    def request_key_frame(self):
        self._key_wanted = True

    def next(self):
        if self._began is None:
            self._began = time.monotonic()
        self.still = self.paused
        if self.still:
            before = time.monotonic()
            time.sleep(0.02)
            self._began += time.monotonic() - before
            return None
        film_time, sound_time = self.pictures / FPS, self.sounds * AUDIO_SAMPLES / AUDIO_RATE
        wait = self._began + min(film_time, sound_time) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        if sound_time < film_time:
            body = self._sound[self.sounds % len(self._sound)]
            self.sounds += 1
            return flvfile.AUDIO, int(sound_time * 1000), body
        if self._key_wanted:
            self._key_wanted = False
            while not self._film[self._position].is_keyframe:
                self._position = (self._position + 1) % len(self._film)
        body = mark(self._film[self._position].body, self.pictures, time.monotonic_ns())
        self._position = (self._position + 1) % len(self._film)
        self.pictures += 1
        return flvfile.VIDEO, int(film_time * 1000), body
