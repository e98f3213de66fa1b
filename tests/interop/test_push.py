# SPDX-License-Identifier: LGPL-2.1-or-later
"""rtmpsink into nginx-rtmp's recorder: every framing, chunk size and way of ending, packet by packet."""

import os
import pathlib
import shutil
import tempfile
import unittest

import flvfile
import media
import nginx_rtmp
import pipelines


class Push(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.film = media.flv(seconds=3, bframes=2)
        cls.server = cls.enterClassContext(nginx_rtmp.NginxRtmp())

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="push-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def url(self, name, app="record"):
        return f"{self.server.url}/{app}/{name}"

    def compare(self, film, name, kinds=(flvfile.VIDEO, flvfile.AUDIO)):
        sent, received = flvfile.read(film), flvfile.read(self.server.wait_recording(name))
        for kind in kinds:
            self.assertEqual(flvfile.differences(sent.packets(kind), received.packets(kind), offset_ms=None), [])
            self.assertEqual(received.packets(kind)[0].digest, sent.packets(kind)[0].digest)
            # The recorder writes the audio header that it keeps and the one that arrives, of ffmpeg's as well.
            self.assertEqual(set(received.headers(kind)), set(sent.headers(kind)))

    def test_framings(self):
        for size in (1000, 4096, 65536, 10_000_000):
            with self.subTest(blocksize=size):
                name = f"framing{size}"
                pipelines.run(f"filesrc location={self.film} blocksize={size} ! rtmpsink sync=false "
                              f"location={self.url(name)}")
                self.compare(self.film, name)

    def test_chunk_sizes(self):
        for size in (1, 128, 4095, 65536, 5_000_000):
            with self.subTest(chunk_size=size):
                name = f"chunk{size}"
                pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false chunk-size={size} "
                              f"location={self.url(name)}")
                self.compare(self.film, name)

    def test_large_pictures(self):
        """Pictures beyond a socket's buffer, which cross the queue in many pieces."""
        film = self.dir / "large.flv"
        film.write_bytes(b"FLV\1\1\0\0\0\x09\0\0\0\0" + flvfile.tag(flvfile.VIDEO, 0, b"\x17\0\0\0\0" + bytes(40)) + b"".join(
            flvfile.tag(flvfile.VIDEO, index * 40, b"\x17\1\0\0\0" + os.urandom(4_000_000)) for index in range(6)))
        pipelines.run(f"filesrc location={film} ! rtmpsink sync=false location={self.url('large')}")
        self.compare(film, "large", kinds=[flvfile.VIDEO])

    def test_chunk_size_that_changes_under_large_pictures(self):
        """Paced, so that the automatic size finds out the rate while a picture is under way."""
        film = self.dir / "paced.flv"
        film.write_bytes(b"FLV\1\1\0\0\0\x09\0\0\0\0" + flvfile.tag(
            flvfile.VIDEO, 0, b"\x17\0\0\0\0" + bytes(40)) + b"".join(
                flvfile.tag(flvfile.VIDEO, index * 40, b"\x17\1\0\0\0" + os.urandom(4_000_000)) for index in range(8)))
        pipelines.run(f"filesrc location={film} ! rtmpsink sync=false peak-kbps=400000 location={self.url('paced')}")
        self.compare(film, "paced", kinds=[flvfile.VIDEO])

    def test_strict_order_and_digest(self):
        for options in ("strict-order=true", "handshake=digest", "handshake=digest strict-order=true"):
            with self.subTest(options=options):
                name = options.replace(" ", "-").replace("=", "-")
                pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false {options} location={self.url(name)}")
                self.compare(self.film, name)

    def test_two_at_once(self):
        pipelines.run(f"filesrc location={self.film} ! tee name=t "
                      f"t. ! queue ! rtmpsink sync=false location={self.url('first')} "
                      f"t. ! queue ! rtmpsink sync=false location={self.url('second')}")
        self.compare(self.film, "first")
        self.compare(self.film, "second")

    def test_name_is_free_at_once(self):
        """A pipeline set to NULL in mid-stream leaves no ghost behind that refuses the next publisher."""
        code = """
url, film = sys.argv[1:]
for attempt in range(5):
    pipeline = Gst.parse_launch(f"filesrc location={film} ! flvdemux ! flvmux streamable=true ! rtmpsink name=s location={url}")
    pipeline.set_state(Gst.State.PLAYING)
    bus = pipeline.get_bus()
    for _ in range(100):
        error = bus.timed_pop_filtered(20 * Gst.MSECOND, Gst.MessageType.ERROR)
        if error:
            sys.exit(error.parse_error().gerror.message)
        if pipeline.get_by_name("s").get_property("stats").get_value("out-messages") > 30:
            break
    else:
        sys.exit("nothing was sent")
    pipeline.set_state(Gst.State.NULL)
"""
        status, output = pipelines.python(code, self.url("again", "live"), str(self.film))
        self.assertEqual(status, 0, output)

    def test_nothing_is_leaked(self):
        for state in ("", "num-buffers=20"):
            with self.subTest(options=state):
                _, output, _ = pipelines.run(
                    f"filesrc location={self.film} blocksize=3000 {state} ! rtmpsink sync=false "
                    f"location={self.url('leaks', 'live')}",
                    env={"GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7"})
                self.assertIn("leaks", output)
                # The tracer also tells the form of its lines.
                self.assertNotRegex(output, r"object-alive, type-name=\(string\)[^%]")


if __name__ == "__main__":
    unittest.main()
