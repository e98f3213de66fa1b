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

# The first time stamp of a broadcast that comes to the end of 32 bits after so many seconds.
WRAPS_AFTER = 6
BEFORE_WRAP = (1 << 32) - WRAPS_AFTER * 1000

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


def pad(body, size):
    """Returns the body of a picture's tag with `size` octets of filler data behind it (H.264 7.3.2.7), as encoders add
    who keep a constant rate. Fewer than ten are none."""
    return body if size < 10 else body + (size - 4).to_bytes(4, "big") + b"\x0c" + b"\xff" * (size - 6) + b"\x80"


def make(bitrate):
    """Returns the path of the file, made on the first call."""
    return media.flv(seconds=10, fps=FPS, gop=GOP, bitrate=bitrate, rate=AUDIO_RATE)


class Broadcast:
    """Tags in real time: next() waits for and returns (kind, timestamp, body); the clock begins with the first call.

    `first` is the first time stamp. With `kbps` the pictures are padded so that the broadcast has that rate.
    `pictures` is how many there have been. request_key_frame() does what it asks of an encoder. While
    `paused`, time stands still and next() answers None; `still` says that it has got there.
    """

    def __init__(self, path, *, first=0, kbps=None):
        tags = flvfile.read(path).tags
        self.headers = [(tag.kind, first, tag.body) for tag in tags if tag.is_header or tag.kind == flvfile.SCRIPT]
        self._film = [tag for tag in tags if tag.kind == flvfile.VIDEO and not tag.is_header and not tag.is_end]
        self._sound = [tag.body for tag in tags if tag.kind == flvfile.AUDIO and not tag.is_header]
        self.pictures = self.sounds = self._octets = 0
        self._first, self._kbps = first, kbps
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
            self._octets += len(body)
            return flvfile.AUDIO, self._first + int(sound_time * 1000), body
        if self._key_wanted:
            self._key_wanted = False
            while not self._film[self._position].is_keyframe:
                self._position = (self._position + 1) % len(self._film)
        body = mark(self._film[self._position].body, self.pictures, time.monotonic_ns())
        if self._kbps is not None:
            body = pad(body, int((film_time + 1 / FPS) * self._kbps * 125) - self._octets - len(body))
        self._octets += len(body)
        self._position = (self._position + 1) % len(self._film)
        self.pictures += 1
        return flvfile.VIDEO, self._first + int(film_time * 1000), body
