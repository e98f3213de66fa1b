# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong at real peers: each failure is one precise error, soon enough, and ends the program."""

import time
import unittest

import fake_server
import media
import nginx_rtmp
import pipelines
import procs

SLACK = 3  # seconds that a program may take beyond the timeout, on a busy machine


class Errors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.film = media.flv(seconds=2)

    def push(self, location, *properties, live=False):
        source = ("videotestsrc is-live=true ! video/x-raw,width=160,height=120 ! x264enc tune=zerolatency "
                  "key-int-max=15 ! flvchunk" if live else f"filesrc location={self.film}")
        return f"{source} ! rtmpsink name=tested sync=false {' '.join(properties)} location={location}"

    def pull(self, location, *properties):
        return f"rtmpsrc name=tested {' '.join(properties)} location={location} ! fakesink sync=false"

    def fails(self, description, reason, sentence, *, within=10.0, **words):
        """Runs a pipeline that must fail with an error of the element tested, and returns its sentence.

        `reason` is that of the error's details, `sentence` a pattern for its text, `words` are more of the details.
        """
        began = time.monotonic()
        with pipelines.start_watched(description) as child:
            return self.check_failure(child, began, within, reason, sentence, **words)

    def check_failure(self, child, began, within, reason, sentence, **words):
        status = child.wait(within + 20)
        took = time.monotonic() - began
        output = child.output()
        self.assertEqual(status, 1, output)
        self.assertLess(took, within, output)
        self.assertNotIn("CRITICAL", output)
        first, *others = pipelines.errors(output)
        self.assertEqual(first["element"], "tested", output)
        self.assertEqual(first["details"].get("reason"), reason, output)
        self.assertRegex(first["text"], sentence)
        for name, value in words.items():
            self.assertEqual(first["details"].get(name.replace("_", "-")), value, output)
        # Base classes upstream say of their own that the flow has stopped.
        for other in others:
            self.assertIn("Internal data stream error", other["text"], output)
        return first["text"]

    def both_fail(self, location, reason, sentence):
        for name, description in (("rtmpsink", self.push(location, "timeout=2")),
                                  ("rtmpsrc", self.pull(location, "timeout=2"))):
            with self.subTest(element=name):
                self.fails(description, reason, sentence, within=2 + SLACK)

    def test_connection_refused(self):
        port = procs.free_port()
        self.both_fail(f"rtmp://127.0.0.1:{port}/live/s", "refused",
                       rf"127\.0\.0\.1:{port} refuses connections\. Check .*port")

    def test_unknown_host(self):
        self.both_fail("rtmp://no-such-host.invalid/live/s", "unknown-host",
                       r'"no-such-host\.invalid" could not be found')

    def test_silent_after_accepting(self):
        with fake_server.FakeServer(greeting=fake_server.SILENCE) as server:
            self.both_fail(f"{server.url}/live/s", "timeout", r"did not finish the handshake within 2 s .*timeout")

    def test_silent_at_each_command(self):
        for silent, run in (("connect", self.push), ("createStream", self.push), ("publish", self.push),
                            ("connect", self.pull), ("createStream", self.pull), ("play", self.pull)):
            with self.subTest(silent=silent, run=run.__name__), \
                    fake_server.FakeServer(**{silent: fake_server.SILENCE}) as server:
                self.fails(run(f"{server.url}/live/s", "timeout=1"), "timeout",
                           f"did not answer {silent} within 1 s", within=1 + SLACK)
                self.assertIn(silent, server.names())

    def test_hangs_up_at_each_command(self):
        for step, run, words in (("connect", self.push, "instead of answering connect"),
                                 ("createStream", self.push, "instead of creating a stream"),
                                 ("publish", self.push, "instead of accepting the stream"),
                                 ("play", self.pull, "instead of playing")):
            with self.subTest(step=step), fake_server.FakeServer(**{step: fake_server.CLOSE}) as server:
                self.fails(run(f"{server.url}/live/s"), "closed-early", words)

    def test_what_is_no_rtmp_server(self):
        greetings = {
            "ssh": (b"SSH-2.0-OpenSSH_9.2p1\r\n", "not-rtmp", "does not speak RTMP"),
            # As a TLS server answers a client hello that is none.
            "tls": (b"\x15\x03\x01\x00\x02\x02\x46", "closed-early", "during the handshake; check that .* RTMP"),
        }
        for name, (greeting, reason, words) in greetings.items():
            with self.subTest(server=name), fake_server.FakeServer(greeting=greeting) as server:
                self.both_fail(f"{server.url}/live/s", reason, words)
        with nginx_rtmp.NginxRtmp() as server:
            self.both_fail(f"rtmp://127.0.0.1:{server.http_port}/live/s", "not-rtmp", "does not speak RTMP")

    def test_broken_protocol(self):
        chunk_size_zero = b"\x02" + bytes(3) + b"\x00\x00\x04\x01" + bytes(4) + bytes(4)
        with fake_server.FakeServer(connect=lambda *_: chunk_size_zero) as server:
            self.both_fail(f"{server.url}/live/s", "protocol", "broke the protocol")

    def test_application_unknown_to_nginx(self):
        with nginx_rtmp.NginxRtmp() as server:
            self.both_fail(f"{server.url}/nosuchapp/s", "closed-early", "instead of answering connect; .* application")

    def test_bad_name_at_nginx(self):
        with nginx_rtmp.NginxRtmp() as server, pipelines.start(self.push(f"{server.url}/live/s", live=True)) as first:
            server.wait_publishing("s")
            self.fails(self.push(f"{server.url}/live/s"), "bad-name", "has a publisher of that name already",
                       server_code="NetStream.Publish.BadName")
            self.assertTrue(first.running(), first.output())

    def test_stream_not_found_at_nginx(self):
        with nginx_rtmp.NginxRtmp() as server:
            self.fails(self.pull(f"{server.url}/vod/nosuchfile.flv", "play-type=recorded"), "not-found",
                       "has no stream of that name", server_code="NetStream.Play.StreamNotFound")

    def test_words_of_the_server(self):
        """A refusal's code and description reach the user."""
        cases = [
            ("publish", "NetStream.Publish.Denied", "Trial has ended", "unauthorized", "does not let us in"),
            ("publish", "NetStream.Publish.Failed", "Disk is full", "stream-rejected", "does not take the stream"),
            ("play", "NetStream.Play.Failed", "Disk is gone", "stream-rejected", "does not play the stream"),
            ("connect", "NetConnection.Connect.Rejected", "Not here", "connect-rejected",
             'refuses the application "live"'),
        ]
        for command, code, description, reason, sentence in cases:
            answer = (fake_server.rejected_connect if command == "connect" else fake_server.on_status)
            run = self.pull if command == "play" else self.push
            with self.subTest(code=code), fake_server.FakeServer(**{command: answer(code, description)}) as server:
                self.fails(run(f"{server.url}/live/s"), reason, sentence, server_code=code,
                           server_level="error", server_description=description)

    def test_server_killed_in_mid_stream(self):
        with nginx_rtmp.NginxRtmp() as server:
            url = f"{server.url}/live/s"
            with pipelines.start_watched(self.push(url, live=True)) as push, \
                    pipelines.start_watched(self.pull(url, "no-eof-is-error=true")) as strict, \
                    pipelines.start_watched(self.pull(url)) as tolerant:
                server.wait_publishing("s")
                server.wait_players("s", 2)
                server.child.process.kill()
                began = time.monotonic()
                for name, child in (("rtmpsink", push), ("rtmpsrc", strict)):
                    with self.subTest(element=name):
                        self.check_failure(child, began, 2 + SLACK, "closed",
                                           "ended the connection in mid-stream|was lost")
                self.assertEqual(tolerant.wait(10), 0, tolerant.output())
                self.assertIn('"eos"', tolerant.output())

    def test_the_program_of_every_day(self):
        """gst-launch-1.0 prints the sentence and fails."""
        with fake_server.FakeServer(publish=fake_server.on_status("NetStream.Publish.BadName", "Taken")) as server:
            status, output, _ = pipelines.run(self.push(f"{server.url}/live/s", live=True), check=False)
        self.assertEqual(status, 1, output)
        self.assertIn("ERROR: from element /GstPipeline:pipeline0/GstRtmpxSink:tested: The server", output)
        self.assertIn("server says NetStream.Publish.BadName: Taken", output)


if __name__ == "__main__":
    unittest.main()
