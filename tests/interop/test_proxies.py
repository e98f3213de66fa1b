# SPDX-License-Identifier: LGPL-2.1-or-later
"""Through proxies, by the property `proxy` and by librtmp's option: media pass whole, and what goes wrong is told."""

import contextlib
import pathlib
import shutil
import socket
import tempfile
import threading
import time
import unittest

import fake_server
import flvfile
import media
import nginx_rtmp
import pipelines
import procs
import proxies
import tls

LOGIN = ("wilma", "pa55word")
TIMEOUT, SLACK = 2, 3  # seconds; on a busy machine


class Proxies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.film = media.flv(seconds=3, bframes=2)
        cls.server = cls.enterClassContext(nginx_rtmp.NginxRtmp())
        shutil.copy(cls.film, cls.server.vod / "film.flv")

    def proxy(self, kind, login=None):
        proxies.require(kind.__name__.lower())
        return self.enterContext(kind(login))

    def compare(self, path):
        sent, received = flvfile.read(self.film), flvfile.read(path)
        for kind in (flvfile.VIDEO, flvfile.AUDIO):
            self.assertEqual(flvfile.differences(sent.packets(kind), received.packets(kind), offset_ms=None), [])

    def carries(self, name, proxy, *, server=None, options=""):
        """Publishes a film through a proxy and compares what the server has recorded; then plays one back."""
        server = server or self.server.url
        pipelines.run(f"filesrc location={self.film} ! rtmpsink sync=false {proxy} "
                      f"location=\"{server}/record/{name}{options}\"")
        self.compare(self.server.wait_recording(name))
        folder = pathlib.Path(tempfile.mkdtemp(prefix="proxies-test-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        pipelines.run(f"rtmpsrc play-type=recorded {proxy} location=\"{server}/vod/film.flv{options}\" ! "
                      f"filesink location={folder}/out.flv")
        self.compare(folder / "out.flv")

    def test_socks5(self):
        proxy = self.proxy(proxies.Microsocks)
        self.carries("socks5", f"proxy={proxy.uri}")
        self.assertTrue(proxy.has_connected(self.server.port), proxy.child.output())

    def test_socks5_with_a_login(self):
        proxy = self.proxy(proxies.Microsocks, LOGIN)
        self.carries("socks5-login", f"proxy={proxy.uri}")
        self.assertTrue(proxy.has_connected(self.server.port), proxy.child.output())

    def test_http(self):
        proxy = self.proxy(proxies.Tinyproxy)
        self.carries("http", f"proxy={proxy.uri}")
        self.assertTrue(proxy.has_connected(self.server.port), proxy.child.output())

    def test_http_with_a_login(self):
        proxy = self.proxy(proxies.Tinyproxy, LOGIN)
        self.carries("http-login", f"proxy={proxy.uri}")
        self.assertTrue(proxy.has_connected(self.server.port), proxy.child.output())

    def test_rtmps(self):
        """The certificate is the server's, whatever the proxy is called."""
        tls.require()
        authority = self.enterContext(tls.Authority())
        tunnel = self.enterContext(tls.Stunnel(self.server.port, authority.certificate("good")))
        for kind in (proxies.Microsocks, proxies.Tinyproxy):
            with self.subTest(proxy=kind.__name__):
                proxy = self.proxy(kind)
                self.carries(f"tls-{kind.scheme}", f"proxy={proxy.uri} tls-ca-file={authority.ca}", server=tunnel.url)
                self.assertTrue(proxy.has_connected(tunnel.port), proxy.child.output())

    def test_option_of_librtmp(self):
        proxy = self.enterContext(proxies.Socks4())
        self.carries("socks4", "", options=f" live=1 socks=127.0.0.1:{proxy.port}")
        self.assertEqual(proxy.asked, [self.server.port] * 2)

    def fails(self, proxy, reason, sentence, *, within=TIMEOUT + SLACK, location=None, more=""):
        """Both elements fail once, soon enough, with this reason, and without the secret."""
        location = location or f"{self.server.url}/live/s"
        more = f"{more} timeout={TIMEOUT} proxy={proxy}"
        for description in (f"filesrc location={self.film} ! rtmpsink name=tested sync=false {more} "
                            f"location={location}",
                            f"rtmpsrc name=tested {more} location={location} ! fakesink"):
            began = time.monotonic()
            with self.subTest(description=description), \
                    pipelines.start_watched(description, env={"GST_DEBUG": "rtmp*:6"}) as child:
                self.assertEqual(child.wait(within + 20), 1, child.output())
                self.assertLess(time.monotonic() - began, within)
                output = child.output()
                first = pipelines.errors(output)[0]
                self.assertEqual(first["element"], "tested", first)
                self.assertRegex(first["details"].get("reason"), f"^({reason})$", first)
                self.assertRegex(first["text"], sentence)
                self.assertNotIn("pa55w0rd", output)

    def test_refused_logins(self):
        """A wrong login is nothing to try again with."""
        for kind in (proxies.Microsocks, proxies.Tinyproxy):
            proxy = self.proxy(kind, LOGIN)
            for login in (None, ("wilma", "pa55w0rd")):
                with self.subTest(proxy=kind.__name__, login=login):
                    self.fails(proxy.uri_for(login), "unauthorized",
                               "proxy .* does not let us in .*Check user and password in proxy",
                               more="auto-reconnect=true")

    def test_proxy_that_is_not_there(self):
        for scheme in ("socks4", "socks5", "http"):
            with self.subTest(scheme=scheme):
                self.fails(f"{scheme}://wilma:pa55w0rd@127.0.0.1:{procs.free_port()}", "refused",
                           "cannot be reached through the proxy .*Check that the proxy runs")

    def test_proxy_whose_name_is_unknown(self):
        self.fails("socks5://no-such-host.invalid:1080", "unknown-host", "through the proxy could not be found")

    def test_silent_proxy(self):
        """What accepts and says nothing costs the timeout, and no more."""
        for scheme in ("socks4", "socks5", "http"):
            with self.subTest(scheme=scheme), fake_server.FakeServer(greeting=fake_server.SILENCE) as silent:
                self.fails(f"{scheme}://127.0.0.1:{silent.port}", "timeout",
                           rf"within {TIMEOUT} s .*Check that the proxy answers")

    def test_server_that_is_not_there(self):
        for kind in (proxies.Microsocks, proxies.Tinyproxy):
            with self.subTest(proxy=kind.__name__):
                proxy = self.proxy(kind)
                self.fails(proxy.uri, "refused|unreachable", "cannot be reached through the proxy",
                           location=f"rtmp://127.0.0.1:{procs.free_port()}/live/s")

    def test_what_is_no_proxy(self):
        other = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(other.close)

        def greet():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = other.accept()
                    with client:
                        client.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
                        client.recv(1000)

        threading.Thread(target=greet, daemon=True).start()
        self.addCleanup(other.shutdown, socket.SHUT_RDWR)
        for scheme in ("socks4", "socks5", "http"):
            with self.subTest(scheme=scheme):
                self.fails(f"{scheme}://127.0.0.1:{other.getsockname()[1]}", "unreachable",
                           "cannot be reached through the proxy")


if __name__ == "__main__":
    unittest.main()
