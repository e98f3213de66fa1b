# SPDX-License-Identifier: LGPL-2.1-or-later
"""What has arrived of a broadcast, and what follows from the marks in it."""

import bisect
import threading
import time

import film
import flvfile


class Arrivals:
    """What has arrived. Filled by one thread, read by others."""

    def __init__(self):
        self._lock = threading.Lock()
        self._when, self._pictures = [], []  # side by side: seconds of arrival, (number, made, key frame)
        self._sounds = []  # seconds of arrival
        self._octets = []  # (seconds of arrival, size) of pictures and sounds
        self._stamps = []  # (number, time stamp) of pictures
        self.backward = 0  # ms, the furthest that a time stamp has gone back, by 32 bits
        self._last = {}

    def add(self, kind, timestamp, body):
        now = time.monotonic()
        with self._lock:
            if kind in (flvfile.AUDIO, flvfile.VIDEO) and body[1:2] == b"\1":
                back = (self._last.get(kind, timestamp) - timestamp) & 0xFFFFFFFF
                self.backward = max(self.backward, back if back < 1 << 31 else 0)
                self._last[kind] = timestamp
                self._octets.append((now, len(body)))
            if kind == flvfile.AUDIO and body[1:2] == b"\1":
                self._sounds.append(now)
            elif kind == flvfile.VIDEO:
                found = film.read_mark(body)
                if found is not None:
                    self._when.append(now)
                    self._pictures.append((found[0], found[1] / 1e9, body[0] >> 4 == 1))
                    self._stamps.append((found[0], timestamp))

    def first_made_after(self, moment):
        """Returns when the first picture came that was made after a moment, or None."""
        with self._lock:
            at = bisect.bisect(self._when, moment)
            for when, (_, made, _) in zip(self._when[at:], self._pictures[at:]):
                if made > moment:
                    return when
            return None

    def first_sound_after(self, moment):
        """Returns when the first sound after a moment came, or None."""
        with self._lock:
            at = bisect.bisect(self._sounds, moment)
            return self._sounds[at] if at < len(self._sounds) else None

    def count(self):
        with self._lock:
            return len(self._pictures)

    def numbers(self):
        with self._lock:
            return {number for number, _, _ in self._pictures}

    def gaps_without_key(self):
        """Returns the numbers that do not follow the one before and are no key frames: nobody can decode these."""
        with self._lock:
            return [number for (before, _, _), (number, _, key) in zip(self._pictures, self._pictures[1:])
                    if number != before + 1 and not key]

    def first_number(self):
        with self._lock:
            return self._pictures[0][0] if self._pictures else None

    def stamp_error(self):
        """Returns by how many ms time stamps at most are not what the first and the number of pictures make."""
        with self._lock:
            (first, begin), *others = self._stamps
            off = [(stamp - begin - (number - first) * 1000 // film.FPS) & 0xFFFFFFFF for number, stamp in others]
            return max(min(error, (1 << 32) - error) for error in off)

    def kbps(self, begin, end):
        """Returns what has arrived in that time, by the second."""
        with self._lock:
            return sum(size for when, size in self._octets if begin <= when < end) / 125 / (end - begin)

    def ages(self, begin=0.0, end=float("inf")):
        """Returns (arrival, seconds from being made to arriving) of the pictures that came in that time."""
        with self._lock:
            return [(when, when - made) for when, (_, made, _) in zip(self._when, self._pictures)
                    if begin <= when <= end]
