# SPDX-License-Identifier: LGPL-2.1-or-later
"""rtmps: through stunnel to nginx-rtmp and back, and every way in which certificates are wrong."""

import os
import pathlib
import shutil
import tempfile
import unittest

import fake_server
import flvfile
import media
import nginx_rtmp
import pipelines
import procs
import tls

# Takes a location, what the handler shall do, and the file to publish; prints what it was asked.
ASK = """
location, answer, film = sys.argv[1:]
pipeline = Gst.parse_launch(f'filesrc location={film} ! rtmpsink name=sink sync=false')
sink = pipeline.get_by_name('sink')
sink.set_property('location', location)
def asked(element, connection, certificate, errors):
    print('asked', int(errors), certificate is not None, flush=True)
    if answer == 'null':
        pipeline.set_state(Gst.State.NULL)
    return answer == 'yes'
sink.connect('accept-certificate', asked)
pipeline.set_state(Gst.State.PLAYING)
bus = pipeline.get_bus()
message = bus.timed_pop_filtered(10 * Gst.SECOND if answer != 'null' else 2 * Gst.SECOND,
                                 Gst.MessageType.EOS | Gst.MessageType.ERROR)
print('ended', message.type.first_value_nick if message else None)
pipeline.set_state(Gst.State.NULL)
"""


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        tls.require()
        cls.film = media.flv(seconds=3, bframes=2)
        cls.authority = cls.enterClassContext(tls.Authority())
        cls.server = cls.enterClassContext(nginx_rtmp.NginxRtmp(live_directives="play_restart off;"))
        cls.certificate = cls.authority.certificate("good")
        cls.tunnel = cls.enterClassContext(tls.Stunnel(cls.server.port, cls.certificate))

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tls-test-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.trusted = f"tls-ca-file={self.authority.ca}"

    def compare(self, film, name, kinds=(flvfile.VIDEO, flvfile.AUDIO)):
        sent, received = flvfile.read(film), flvfile.read(self.server.wait_recording(name))
        for kind in kinds:
            self.assertEqual(flvfile.differences(sent.packets(kind), received.packets(kind), offset_ms=None), [])

    def test_push(self):
        pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false {self.trusted} "
                      f"location={self.tunnel.url}/record/push")
        self.compare(self.film, "push")

    def test_large_pictures(self):
        """More than sockets hold, so that writing has to wait in the middle of TLS records."""
        film = self.dir / "large.flv"
        tags = [flvfile.tag(flvfile.VIDEO, 0, b"\x17\0\0\0\0" + bytes(40))]
        tags += [flvfile.tag(flvfile.VIDEO, index * 40, b"\x17\1\0\0\0" + os.urandom(4_000_000)) for index in range(8)]
        film.write_bytes(b"FLV\1\1\0\0\0\x09\0\0\0\0" + b"".join(tags))
        for size in (0, 128, 65536):
            with self.subTest(chunk_size=size):
                pipelines.run(f"filesrc location={film} ! rtmpsink sync=false chunk-size={size} {self.trusted} "
                              f"location={self.tunnel.url}/record/large{size}")
                self.compare(film, f"large{size}", [flvfile.VIDEO])

    def test_pull(self):
        """A recorded stream comes as fast as it can; downstream is slow at first, and the loop reads."""
        shutil.copy(self.film, self.server.vod / "film.flv")
        out = self.dir / "out.flv"
        pipelines.run(f"rtmpsrc play-type=recorded {self.trusted} location={self.tunnel.url}/vod/film.flv ! "
                      f"identity sleep-time=2000 ! filesink location={out}")
        sent, received = flvfile.read(self.film), flvfile.read(out)
        for kind in (flvfile.VIDEO, flvfile.AUDIO):
            self.assertEqual(flvfile.differences(sent.packets(kind), received.packets(kind), offset_ms=None), [])

    def test_pull_what_ffmpeg_pushes(self):
        url = f"{self.tunnel.url}/live/ffmpeg"
        out = self.dir / "live.flv"
        argv = ["ffmpeg", "-loglevel", "error", "-nostdin", "-re", "-i", self.film, "-c", "copy", "-f", "flv", url]
        with procs.Child(argv) as publisher:
            self.server.wait_publishing("ffmpeg")
            pipelines.run(f"rtmpsrc {self.trusted} location={url} ! filesink location={out}")
            publisher.wait(20)
        received = flvfile.read(out).packets(flvfile.VIDEO)
        self.assertTrue(received[0].keyframe)
        sent = flvfile.read(self.film).packets(flvfile.VIDEO)
        self.assertEqual(flvfile.differences(sent[-len(received):], received, offset_ms=None), [])

    def fails(self, location, sentence, properties="", reason="tls"):
        for description in (f"filesrc location={self.film} ! rtmpsink name=tested sync=false timeout=3 {properties} "
                            f"location={location}",
                            f"rtmpsrc name=tested timeout=3 {properties} location={location} ! fakesink"):
            with self.subTest(description=description), pipelines.start_watched(description) as child:
                self.assertEqual(child.wait(20), 1)
                first = pipelines.errors(child.output())[0]
                self.assertEqual((first["element"], first["details"].get("reason")), ("tested", reason), first)
                self.assertRegex(first["text"], sentence)

    def test_untrusted(self):
        self.fails(f"{self.tunnel.url}/live/s", "signed by no authority that is trusted here.*tls-ca-file")

    def test_another_host(self):
        self.fails(f"rtmps://127.0.0.1:{self.tunnel.port}/live/s", "for another host name", self.trusted)

    def test_expired(self):
        with tls.Stunnel(self.server.port, self.authority.certificate("old", days=-1)) as tunnel:
            self.fails(f"{tunnel.url}/live/s", "expired", self.trusted)

    def test_files_that_are_not_there(self):
        self.fails(f"{self.tunnel.url}/live/s", "tls-ca-file cannot be used", "tls-ca-file=/no/such/file")
        self.fails(f"{self.tunnel.url}/live/s", "tls-certificate-file cannot be used",
                   f"{self.trusted} tls-certificate-file=/no/such/file")

    def test_server_without_tls(self):
        self.fails(f"rtmps://localhost:{self.server.port}/live/s", "TLS.*rtmp://", self.trusted, reason="timeout")

    def test_silent_server(self):
        with fake_server.FakeServer(greeting=fake_server.SILENCE) as server:
            self.fails(f"{server.url.replace('rtmp:', 'rtmps:')}/live/s", "TLS was not set up within 3 s",
                       self.trusted, reason="timeout")

    def test_tls_server_without_us(self):
        self.fails(f"rtmp://localhost:{self.tunnel.port}/live/s", "rtmps://", reason="closed-early")

    def test_file_of_authorities_with_a_relative_path(self):
        path = os.path.relpath(self.authority.ca)
        pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false tls-ca-file={path} "
                      f"location={self.tunnel.url}/record/relative")
        self.compare(self.film, "relative")

    def test_validation_flags(self):
        pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false tls-validation-flags=bad-identity "
                      f"location={self.tunnel.url}/record/unchecked")
        self.compare(self.film, "unchecked")

    def redirecting(self, target):
        here = self.enterContext(fake_server.FakeServer(connect=fake_server.moved_connect(target)))
        return self.enterContext(tls.Stunnel(here.port, self.certificate))

    def test_redirects_stay_inside(self):
        with fake_server.FakeServer() as there:
            with tls.Stunnel(there.port, self.certificate) as inside:
                tunnel = self.redirecting(f"{inside.url}/live")
                pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false {self.trusted} "
                              f"location={tunnel.url}/live/s")
            self.assertIn("publish", there.names())
            there.commands.clear()
            with tls.Stunnel(there.port, self.authority.certificate("stale", days=-1)) as stale:
                tunnel = self.redirecting(f"{stale.url}/live")
                self.fails(f"{tunnel.url}/live/s", "expired", self.trusted)
            tunnel = self.redirecting(f"rtmp://localhost:{there.port}/live")
            self.fails(f"{tunnel.url}/live/s", "not encrypted", self.trusted, reason="connect-rejected")
            self.assertEqual(there.commands, [], "nothing is said to those that are not to be trusted")

    def test_login(self):
        login = fake_server.AdobeLogin("wilma", "pa55word")
        with fake_server.FakeServer(connect=login) as server, tls.Stunnel(server.port, self.certificate) as tunnel:
            pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false {self.trusted} "
                          f"location={tunnel.url.replace('://', '://wilma:pa55word@')}/live/s")
        self.assertEqual(login.connections, 3)
        self.assertIn("publish", server.names())

    def ask(self, answer):
        status, output = pipelines.python(ASK, f"{self.tunnel.url}/record/asked-{answer}", answer, str(self.film))
        self.assertEqual(status, 0, output)
        self.assertIn("asked 1 True", output)
        return output

    def test_application_accepts(self):
        self.assertIn("ended eos", self.ask("yes"))
        self.compare(self.film, "asked-yes")

    def test_application_refuses(self):
        self.assertIn("ended error", self.ask("no"))

    def test_application_stops_in_the_handler(self):
        self.assertIn("ended None", self.ask("null"))

    def test_client_certificate(self):
        with tls.Stunnel(self.server.port, self.certificate, client_ca=self.authority.ca) as tunnel:
            own = f"tls-certificate-file={self.authority.certificate('client', names='DNS:client')}"
            pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false {self.trusted} {own} "
                          f"location={tunnel.url}/record/client")
            self.compare(self.film, "client")
            self.fails(f"{tunnel.url}/record/nobody", "TLS.*tls-certificate-file", self.trusted)


if __name__ == "__main__":
    unittest.main()
