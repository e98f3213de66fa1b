# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many round trips it takes to get on the air, through a line of 200 ms."""

import unittest

import delay_proxy
import media
import nginx_rtmp
import pipelines
import procs

ROUND_TRIP = 0.2
PUBLISHED, PLAYING = b"NetStream.Publish.Start", b"NetStream.Play.Start"

# Handshake; connect with all in front of publish; publish. Play needs no stream id of the server's. TCP's own round
# trip is not in it, and half of one is left for the machine: one more fails.
PUSH_AT_MOST = 3.5
PULL_AT_MOST = 2.5


class TimeToAir(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.server = cls.enterClassContext(nginx_rtmp.NginxRtmp())
        cls.film = media.flv(seconds=2)

    def setUp(self):
        self.proxy = self.enterContext(
            delay_proxy.DelayProxy(self.server.port, ROUND_TRIP / 2, [PUBLISHED, PLAYING]))

    def round_trips(self, pipeline, stream, text):
        """Runs a pipeline until the server has said `text`; returns the round trips until then."""
        url = f"rtmp://127.0.0.1:{self.proxy.port}/live/{stream}"
        with pipelines.start(pipeline.format(url=url)) as child:
            def heard():
                if not child.running():
                    self.fail(child.output())
                return self.proxy.connections and self.proxy.connections[0].when(text) is not None

            procs.wait_until(heard, timeout=20, what=text.decode())
        self.assertEqual(len(self.proxy.connections), 1)
        return self.proxy.connections[0].when(text) / ROUND_TRIP

    def push(self, properties=""):
        # Longer than the test, or its end would be what it sees.
        source = "videotestsrc is-live=true ! x264enc tune=zerolatency ! flvchunk"
        return self.round_trips(f"{source} ! rtmpsink location={{url}} {properties}", self.id(), PUBLISHED)

    def pull(self, properties=""):
        with procs.Child(["ffmpeg", "-loglevel", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", self.film,
                          "-c", "copy", "-f", "flv", f"{self.server.url}/live/{self.id()}"]):
            self.server.wait_publishing(self.id())
            return self.round_trips(f"rtmpsrc location={{url}} {properties} ! fakesink", self.id(), PLAYING)

    def test_push(self):
        self.assertLess(self.push(), PUSH_AT_MOST)

    def test_pull(self):
        self.assertLess(self.pull(), PULL_AT_MOST)

    def test_strict_order(self):
        # nginx does not answer releaseStream and FCPublish, for which a strict publisher waits a while.
        self.assertGreater(self.push("strict-order=true"), PUSH_AT_MOST + 2)
        self.proxy.connections.clear()
        self.assertGreater(self.pull("strict-order=true"), PULL_AT_MOST + 1)


if __name__ == "__main__":
    unittest.main()
