# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the README's pipelines as written against a real server. Only `localhost` gets a port."""

import os
import pathlib
import re
import shutil
import tempfile
import unittest

import flvfile
import nginx_rtmp
import procs

README = pathlib.Path(os.environ["RTMP_TEST_SOURCE"]) / "README.md"
START = 20  # seconds until a pipeline must be seen at the server: a loaded machine is slow to start one

# A test machine has neither display nor loudspeaker: the automatic sinks shall choose these, and tell what they get.
HEADLESS = {"GST_PLUGIN_FEATURE_RANK": "fakevideosink:MAX,fakeaudiosink:MAX",
            "GST_DEBUG": "basesink:6", "GST_DEBUG_NO_COLOR": "1"}


def pipelines():
    """Returns the marked code blocks by name."""
    text = README.read_text(encoding="utf-8")
    return dict(re.findall(r"<!-- pipeline: (\w+) -->\n```sh\n(.*?)```", text, re.S))


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.pipelines = pipelines()

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="readme-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.server = self.enterContext(nginx_rtmp.NginxRtmp())

    def start(self, name, env=None):
        text = self.pipelines[name]
        self.assertIn("rtmp://localhost/", text)
        text = text.replace("rtmp://localhost/", f"{self.server.url}/")
        # `exec`: a signal for the child is one for the pipeline itself.
        child = procs.Child(["sh", "-c", f"exec {text}"], cwd=self.dir, env=env)
        self.addCleanup(child.end)
        return child

    def finish(self, child):
        """Ends a pipeline as a user does; it must have run well and must end well."""
        self.assertTrue(child.running(), f"the pipeline ended by itself:\n{child.output()}")
        child.interrupt()
        status = child.wait(20)
        output = child.output()
        self.assertNotIn("ERROR", output)
        self.assertEqual(status, 0, output)

    def push(self):
        child = self.start("push")
        self.server.wait_publishing("stream", timeout=START)
        return child

    def record(self, stream):
        """Returns what an independent player gets of a stream in five seconds: key frames are two seconds apart."""
        path = self.dir / f"{stream}-check.flv"
        procs.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
                   "-i", f"{self.server.url}/live/{stream}", "-t", "5", "-c", "copy", path], timeout=60)
        return flvfile.read(path, allow_truncated=True)

    def assert_plays(self, recording, seconds):
        for kind in (flvfile.VIDEO, flvfile.AUDIO):
            packets = recording.packets(kind)
            self.assertTrue(recording.headers(kind), f"no sequence header of kind {kind}")
            self.assertGreater(len(packets), 20 * seconds, f"packets of kind {kind}")
        video = recording.packets(flvfile.VIDEO)
        self.assertTrue(video[0].keyframe, "the first video packet is no key frame")

    def test_every_pipeline_is_known_here(self):
        self.assertEqual(set(self.pipelines), {"push", "pull", "record", "transcode", "restream"})

    def test_push(self):
        child = self.push()
        self.assert_plays(self.record("stream"), 1)
        self.finish(child)
        procs.wait_until(lambda: not self.server.is_publishing("stream"), timeout=10, what="the end at the server")

    def test_pull(self):
        push = self.push()
        child = self.start("pull", HEADLESS)

        def shown():
            if not child.running():
                self.fail(child.output())
            # Both sinks bear one name, but each has a streaming thread of its own.
            threads = re.findall(r"^\S+ +\d+ +(0x\w+) .*gst_base_sink_chain_unlocked:.* got times start",
                                 child.output(), re.M)
            return len(set(threads)) == 2 and all(threads.count(thread) >= 30 for thread in set(threads))

        procs.wait_until(shown, timeout=START, interval=0.2, what="pictures and sound at the sinks")
        self.finish(child)
        self.finish(push)

    def test_record(self):
        push = self.push()
        child = self.start("record")
        path = self.dir / "recording.flv"

        def recorded():
            if not path.exists() or path.stat().st_size < 100:
                return False
            return len(flvfile.read(path, allow_truncated=True).packets(flvfile.VIDEO)) > 60

        procs.wait_until(recorded, timeout=START, interval=0.2, what="a recording of two seconds")
        self.finish(child)
        recording = flvfile.read(path)
        self.assert_plays(recording, 1)
        status, duration = procs.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0",
                                      path], timeout=30)
        packets = recording.packets()
        seconds = (packets[-1].dts - packets[0].dts) / 1000
        self.assertAlmostEqual(float(duration), seconds, delta=0.5, msg="the duration written at the end")
        self.assertIn(b"keyframes", recording.scripts()[0].body, "no index of key frames")
        self.finish(push)

    def test_transcode(self):
        push = self.push()
        child = self.start("transcode")
        self.server.wait_publishing("small", timeout=START)
        small = self.record("small")
        self.assert_plays(small, 1)
        status, size = procs.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries",
                                  "stream=width,height", "-of", "csv=p=0", self.dir / "small-check.flv"], timeout=30)
        self.assertEqual(size.strip(), "320,180")
        self.finish(child)
        self.finish(push)

    def test_restream(self):
        push = self.push()
        child = self.start("restream")
        self.server.wait_publishing("copy", timeout=START)
        self.assert_plays(self.record("copy"), 1)
        self.finish(child)
        self.finish(push)
