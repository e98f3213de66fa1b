# SPDX-License-Identifier: LGPL-2.1-or-later
"""Media between ours and everybody else's publishers, players and servers, compared packet by packet."""

import http.server
import json
import pathlib
import shutil
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

import flvfile
import media
import nginx_rtmp
import pipelines
import procs

# nginx's default queue for a player is 256 messages, beyond which it drops: less than what arrives unpaced.
QUEUE = "out_queue 8192;"
# Players are told when the publisher leaves: without it ffmpeg would wait on, and lose packets when interrupted.
NOTIFY = "publish_notify on;"
DEMUX = pathlib.Path(pipelines.__file__).with_name("demux_packets.py")
FFMPEG = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]


def ffmpeg_publisher(film, url, paced):
    return procs.Child([*FFMPEG, *(["-re"] if paced else []), "-i", film, "-c", "copy", "-f", "flv", url])


def file_publisher(sink):
    """The file's bytes as they come from the disk: tags cut anywhere."""

    def start(film, url, paced):
        assert not paced
        return pipelines.start(f"filesrc location={film} blocksize=1000 ! {sink} location={url} sync=false")

    return start


def mux_publisher(mux, sink):
    def start(film, url, paced):
        return pipelines.start(
            f"filesrc location={film} ! flvdemux name=d {mux} name=m ! {sink} location={url} sync={str(paced).lower()} "
            f"d.video ! queue ! m.video d.audio ! queue ! m.audio")

    return start


PUBLISHERS = {
    "ffmpeg": ffmpeg_publisher,
    "filesrc ! rtmpsink": file_publisher("rtmpsink"),
    "flvchunk ! rtmpsink": mux_publisher("flvchunk", "rtmpsink"),
    "flvmux ! rtmpsink": mux_publisher("flvmux streamable=true", "rtmpsink"),
    "flvchunk ! rtmp2sink": mux_publisher("flvchunk", "rtmp2sink async-connect=false"),
    "flvmux ! rtmp2sink": mux_publisher("flvmux streamable=true", "rtmp2sink async-connect=false"),
}

PLAYERS = {
    # The sender's clock: the pipeline's would be followed by adjusting time stamps.
    "rtmpsrc": lambda url, out: pipelines.start(
        f"rtmpsrc location={url} clock-mode=sender ! filesink location={out} buffer-mode=unbuffered"),
    "rtmpsrc ! flvdemux": lambda url, out: procs.Child(
        [sys.executable, DEMUX, out, f"rtmpsrc location={url} clock-mode=sender"]),
    "rtmp2src": lambda url, out: pipelines.start(
        f"rtmp2src location={url} ! filesink location={out} buffer-mode=unbuffered"),
    "ffmpeg": lambda url, out: procs.Child(
        [*FFMPEG, "-i", url, "-c", "copy", "-copyts", "-flush_packets", "1", "-f", "flv", out]),
    "rtmpdump": lambda url, out: procs.Child(["rtmpdump", "--quiet", "--live", "--rtmp", url, "--flv", out]),
}

# This one begins to count at its first packet.
COUNT_FROM_FIRST = {"rtmpdump"}

# Packets at the end of a kind that these leave out: rtmp2src ends before it has passed on the last message, and
# rtmp2sink gives up what is still queued at EOS.
END_LOST = {"rtmp2src": 1, "flvchunk ! rtmp2sink": 8, "flvmux ! rtmp2sink": 8}


def read_packets(path):
    """Returns the packets of each kind, from FLV or from demux_packets.py. FLV must hold the sequence headers first."""
    if path.read_bytes()[:1] == b"[":
        packets = [flvfile.Packet(*json.loads(line)) for line in path.read_text().splitlines()]
        return {kind: [packet for packet in packets if packet.kind == kind]
                for kind in (flvfile.AUDIO, flvfile.VIDEO)}
    file = flvfile.read(path, allow_truncated=True)
    for kind in (flvfile.AUDIO, flvfile.VIDEO):
        first = next((tag for tag in file.tags if tag.kind == kind), None)
        if first is None or not first.is_header:
            raise AssertionError(f"{path}: the first tag of kind {kind} is no sequence header")
    return {kind: file.packets(kind) for kind in (flvfile.AUDIO, flvfile.VIDEO)}


class Hook:
    """A web server whose word nginx waits for, `delay` seconds each time; `calls` is what it was asked about."""

    def __init__(self, delay):
        self.calls = calls = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                calls.append(form["call"][0])
                time.sleep(delay)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.film = media.flv(seconds=3, bframes=2)
        cls.plain_film = media.flv(seconds=3, bframes=0)
        cls.server = cls.enterClassContext(nginx_rtmp.NginxRtmp(server_directives=QUEUE,
                                                                   live_directives=NOTIFY))

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="peers-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def finish(self, player, child, path):
        """Ends a player once it has all; ours must end by themselves when the publisher has left."""
        if player.startswith("rtmpsrc"):
            self.assertEqual(child.wait(10), 0, child.output())
            return
        sizes = []

        def is_done():
            sizes.append(path.stat().st_size if path.exists() else 0)
            return not child.running() or len(sizes) > 15 and len(set(sizes[-15:])) == 1

        procs.wait_until(is_done, timeout=15, interval=0.05, what=f"{player} having received all")
        # The first signal finds ffmpeg in a read that it goes on with.
        for _ in range(2):
            child.interrupt()
            time.sleep(0.1)
        child.wait(10)

    def compare(self, film, path, *, from_first=False, end_lost=0, tolerance_ms=1):
        """Compares what was received with the film."""
        self.assertTrue(path.exists() and path.stat().st_size > 13, "nothing was received")
        sent, received = flvfile.read(film), read_packets(path)
        self.assertTrue(received[flvfile.VIDEO] and received[flvfile.AUDIO], "a kind is missing")
        offset = 0
        if from_first:
            offset = received[flvfile.VIDEO][0].dts - sent.packets(flvfile.VIDEO)[0].dts
        for kind in (flvfile.VIDEO, flvfile.AUDIO):
            wanted, packets = sent.packets(kind), received[kind]
            self.assertEqual(flvfile.differences(wanted, packets, offset_ms=offset, tolerance_ms=tolerance_ms,
                                                 to_the_end=end_lost == 0), [])
            # The players were there first, so nothing may be missing at the beginning.
            self.assertEqual(packets[0].digest, wanted[0].digest)
            self.assertGreaterEqual(len(packets), len(wanted) - end_lost)

    def exchange(self, publisher, players, *, paced):
        """Sends a film by `publisher` through nginx to all the players at once, which are there before it begins."""
        name = f"{publisher}-{'paced' if paced else 'unpaced'}".replace(" ! ", "-")
        url = f"{self.server.url}/live/{name}"
        out = {player: self.dir / f"{name}-{player}.flv".replace(" ! ", "-") for player in players}
        # flvmux 1.22 misplaces the packets in front of the first composition time.
        film = self.plain_film if publisher.startswith("flvmux") else self.film
        children = {}
        try:
            for player in players:
                children[player] = PLAYERS[player](url, out[player])
            self.server.wait_players(name, len(players))
            with PUBLISHERS[publisher](film, url, paced) as child:
                status = child.wait(30)
                self.assertEqual(status, 0, child.output())
            for player, path in out.items():
                with self.subTest(publisher=publisher, player=player, paced=paced):
                    self.finish(player, children[player], path)
                    self.compare(film, path, from_first=player in COUNT_FROM_FIRST,
                                 end_lost=END_LOST.get(player, 0) + END_LOST.get(publisher, 0))
        finally:
            for child in children.values():
                child.end()

    def test_unpaced(self):
        for publisher in PUBLISHERS:
            self.exchange(publisher, PLAYERS, paced=False)

    def test_paced_by_ffmpeg(self):
        self.exchange("ffmpeg", PLAYERS, paced=True)

    def test_paced_by_rtmpsink(self):
        self.exchange("flvchunk ! rtmpsink", PLAYERS, paced=True)

    def test_restream(self):
        relay = pipelines.start(f"rtmpsrc clock-mode=sender location={self.server.url}/live/first "
                                f"! rtmpsink sync=false location={self.server.url}/record/second")
        with relay:
            self.server.wait_players("first")
            with ffmpeg_publisher(self.film, f"{self.server.url}/live/first", False) as child:
                self.assertEqual(child.wait(30), 0, child.output())
            self.assertEqual(relay.wait(20), 0, relay.output())
        self.compare(self.film, self.server.wait_recording("second"))

    def test_pipeline_clock_keeps_the_distances(self):
        """By default the pipeline's clock counts: what differs is one offset, and an adjustment by 0.05 percent."""
        url = f"{self.server.url}/live/clock"
        out = self.dir / "clock.flv"
        with pipelines.start(f"rtmpsrc location={url} ! filesink location={out} buffer-mode=unbuffered") as player:
            self.server.wait_players("clock")
            with ffmpeg_publisher(self.film, url, True) as child:
                self.assertEqual(child.wait(30), 0, child.output())
            self.assertEqual(player.wait(10), 0, player.output())
        self.compare(self.film, out, from_first=True, tolerance_ms=3)

    def test_recorded(self):
        shutil.copy(self.film, self.server.vod / "film.flv")
        out = self.dir / "vod.flv"
        pipelines.run(f"rtmpsrc play-type=recorded location={self.server.url}/vod/film.flv "
                      f"! filesink sync=false location={out}")
        self.compare(self.film, out)

    def test_publish_to_listening_ffmpeg(self):
        for publisher in ("filesrc ! rtmpsink", "flvchunk ! rtmpsink"):
            with self.subTest(publisher=publisher):
                port = procs.free_port()
                url = f"rtmp://127.0.0.1:{port}/live/s"
                out = self.dir / "listened.flv"
                with procs.Child([*FFMPEG, "-listen", "1", "-i", url, "-c", "copy", "-copyts", "-f", "flv",
                                  out]) as server:
                    procs.wait_listening(port, server)
                    with PUBLISHERS[publisher](self.film, url, False) as child:
                        self.assertEqual(child.wait(30), 0, child.output())
                    self.assertEqual(server.wait(10), 0, server.output())
                self.compare(self.film, out)

    def test_play_from_listening_ffmpeg(self):
        port = procs.free_port()
        url = f"rtmp://127.0.0.1:{port}/live/s"
        out = self.dir / "played.flv"
        with procs.Child([*FFMPEG, "-readrate", "3", "-i", self.film, "-c", "copy", "-f", "flv", "-listen", "1",
                          url]) as server:
            procs.wait_listening(port, server)
            with pipelines.start(f"rtmpsrc clock-mode=sender location={url} ! filesink location={out}") as child:
                self.assertEqual(child.wait(30), 0, child.output())
        self.compare(self.film, out)

    def test_server_that_asks_hooks(self):
        """nginx hangs up on a player whose play comes before its hook has let it in: the player must come again."""
        with Hook(0.3) as hook, nginx_rtmp.NginxRtmp(
                server_directives=f"{QUEUE} on_connect {hook.url};",
                live_directives=f"on_publish {hook.url}; on_play {hook.url};") as server:
            url = f"{server.url}/live/hooked"
            out = self.dir / "hooked.flv"
            with PLAYERS["rtmpsrc"](url, out) as player:
                server.wait_players("hooked")
                with PUBLISHERS["flvchunk ! rtmpsink"](self.film, url, False) as publisher:
                    self.assertEqual(publisher.wait(30), 0, publisher.output())
                self.assertEqual(player.wait(10), 0, player.output())
        self.assertLessEqual({"connect", "publish", "play"}, set(hook.calls))
        self.compare(self.film, out)

    def test_rtmpsrv_understands_the_player(self):
        """librtmp's server, which only tells what a player asked for; it serves port 1935 and no other."""
        apart = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if not shutil.which("rtmpsrv"):
            self.skipTest("no rtmpsrv")
        if procs.run([*apart, "ip", "link", "set", "lo", "up"], timeout=10, check=False)[0] != 0:
            self.skipTest("network namespaces are not allowed here")
        status, output = procs.run(
            [*apart, "sh", "-c",
             "ip link set lo up; sleep 60 | rtmpsrv & until grep -q :078F /proc/net/tcp; do sleep 0.05; done;"
             "gst-launch-1.0 rtmpsrc location='rtmp://127.0.0.1/app/inst/mp4:dir/file.mp4?x=1' ! fakesink"],
            timeout=30, cwd=self.dir, env=pipelines.PLAIN)
        self.assertEqual(status, 0, output)
        self.assertIn('-r "rtmp://127.0.0.1/app/inst" -a "app/inst" ', output)
        self.assertIn('-y "mp4:dir/file.mp4?x=1"', output)


if __name__ == "__main__":
    unittest.main()
