# SPDX-License-Identifier: LGPL-2.1-or-later
"""Enhanced RTMP towards nginx-rtmp, which knows nothing of it and announces nothing.

It takes the first octet's upper half for a priority, and an extended picture's is too low to reach any player: only
sound gets through. rtmpsink cannot know, and says what it does.
"""

import pathlib
import shutil
import tempfile
import time
import unittest

import flvfile
import nginx_rtmp
import pipelines

FRAMES = 50


def stream():
    """HEVC and Opus in Enhanced RTMP's form: (kind, time stamp, body). What is in the frames does not matter here."""
    yield flvfile.VIDEO, 0, b"\x90hvc1" + bytes(range(40))
    yield flvfile.AUDIO, 0, b"\x90Opus" + b"OpusHead\1\2" + bytes(9)
    for index in range(FRAMES):
        first = b"\x91" if index % 10 == 0 else b"\xa1"
        yield flvfile.VIDEO, index * 40, first + b"hvc1" + b"\xff\xff\xf0" + bytes([index]) * (900 + index)
        yield flvfile.AUDIO, index * 40 + 3, b"\x97\2" + (index + 1).to_bytes(3, "big") + b"\1Opus" + bytes([index]) * 90


def bodies(path, kind):
    """The distinct bodies in order: a server may send a header once more."""
    return list(dict.fromkeys(tag.body for tag in flvfile.read(path).tags if tag.kind == kind))


class Enhanced(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.server = cls.enterClassContext(nginx_rtmp.NginxRtmp())

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="enhanced-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.film = self.dir / "sent.flv"
        self.film.write_bytes(b"FLV\1\5\0\0\0\x09\0\0\0\0" + b"".join(flvfile.tag(*tag) for tag in stream()))

    def push(self, name, options=""):
        return (f"filesrc location={self.film} ! rtmpsink sync=false peak-kbps=400 {options} "
                f"location={self.server.url}/live/{name}")

    def test_goes_through_with_one_warning(self):
        """A player that is there in time has every body of the sound as it was sent."""
        received = self.dir / "received.flv"
        player = pipelines.start(f"rtmpsrc location={self.server.url}/live/through idle-timeout=0 ! "
                                 f"filesink buffer-mode=unbuffered location={received}")
        with player:
            self.server.wait_players("through")
            _, output, _ = pipelines.run(self.push("through"))
            end = time.monotonic() + 10
            last = list(stream())[-1][2]
            while time.monotonic() < end and not (received.exists() and last in received.read_bytes()):
                time.sleep(0.1)
        self.assertEqual(output.count("does not say which codecs it takes"), 1, output)
        self.assertEqual(bodies(received, flvfile.AUDIO), bodies(self.film, flvfile.AUDIO))

    def test_always_is_without_a_word(self):
        _, output, _ = pipelines.run(self.push("always", "enhanced=always"))
        self.assertNotIn("does not say", output)

    def test_never_is_an_error(self):
        status, output, _ = pipelines.run(self.push("never", "enhanced=never"), check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("hvc1", output)
        self.assertIn("enhanced=never", output)


if __name__ == "__main__":
    unittest.main()
