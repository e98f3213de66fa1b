# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./run demo` itself: it succeeds when all arrives, from a picture and from files, and only then."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

import flvfile
import media
import nginx_rtmp
import procs

DEMO = pathlib.Path(__file__).with_name("demo.py")
TIMEOUT = 120

# Runs the demo with one more element behind the source.
WITH_FAULT = f"""
import sys
sys.path.insert(0, {str(DEMO.parent)!r})
import demo, demo_stages
demo_stages.Player.after_source = sys.argv[1]
sys.exit(demo.main(sys.argv[2:]))
"""


class Demo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()

    def setUp(self):
        self.out = pathlib.Path(tempfile.mkdtemp(prefix="demo-"))
        self.addCleanup(shutil.rmtree, self.out, ignore_errors=True)

    def run_demo(self, *arguments, program=(str(DEMO),)):
        return procs.run([sys.executable, *program, *arguments, "--out", self.out, "--no-window"],
                         timeout=TIMEOUT, check=False)

    def assert_success(self, status, output):
        self.assertEqual(status, 0, output)
        self.assertIn("everything sent has arrived", output)

    def test_picture_and_tone(self):
        status, output = self.run_demo("--seconds", "3", "--size", "320x180")
        self.assert_success(status, output)
        self.assertRegex(output, r"video frames sent +9\d\n")
        self.assertRegex(output, r"video frames lost +0\n")
        self.assertRegex(output, r"audio packets lost +0\n")
        self.assertRegex(output, r"glass-to-glass latency p99 +\d+\.\d ms")
        self.assertEqual((self.out / "received.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        self.assertTrue(flvfile.read(self.out / "received.flv", allow_truncated=True).packets())

    def test_it_shows_our_elements(self):
        status, output = self.run_demo("--seconds", "1", "--size", "320x180")
        self.assertEqual(status, 0, output)
        first = output.splitlines()[0]
        self.assertTrue(first.startswith("flvchunk ! rtmpsink -> nginx-rtmp -> rtmpsrc"), first)
        self.assertIn(os.environ["GST_PLUGIN_PATH_1_0"], first)

    def test_file_with_both(self):
        path = media.flv(seconds=3, size="426x240", fps=25, bframes=2, suffix="mp4")
        status, output = self.run_demo(str(path))
        self.assert_success(status, output)
        self.assertRegex(output, r"video frames sent +75\n")

    def test_file_with_video_only(self):
        status, output = self.run_demo(str(media.flv(seconds=2, audio=False)))
        self.assert_success(status, output)
        self.assertNotIn("audio packets", output)

    def test_file_with_audio_only(self):
        status, output = self.run_demo(str(media.flv(seconds=2, video=False)))
        self.assert_success(status, output)
        self.assertIn("encoder-to-demuxer latency", output)
        self.assertNotIn("video frames", output)

    def test_odd_size_is_made_even(self):
        path = media.flv(seconds=2, size="322x182", audio=False, suffix="mkv")
        status, output = self.run_demo(str(path), "--seconds", "1")
        self.assert_success(status, output)

    def test_loss_fails_it(self):
        status, output = self.run_demo("! identity drop-probability=0.1", "--seconds", "3", "--size", "320x180",
                                       program=("-c", WITH_FAULT))
        self.assertEqual(status, 1, output)
        self.assertRegex(output, "PROBLEM: .* lost")

    def test_a_text_file_is_an_error(self):
        text = self.out / "note.txt"
        text.write_text("no film\n" * 100)
        status, output = self.run_demo(str(text))
        self.assertEqual(status, 1, output)
        self.assertNotIn("Traceback", output)

    def test_a_file_that_is_not_there_is_wrong_usage(self):
        status, output = self.run_demo("/nonexistent.mp4")
        self.assertEqual(status, 2, output)
        self.assertIn("no such file", output)
