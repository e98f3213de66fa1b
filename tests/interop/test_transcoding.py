# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the chain of docs/transcoding.md as written: three renditions, as three streams and as the tracks of one.

In one run the input changes its format in mid-connection and between two publishers, and is away for
RTMP_TEST_PUBLISHER_GONE seconds (4); then one of the outputs is broken. Only `localhost` gets ports.
"""

import bisect
import contextlib
import os
import pathlib
import re
import shutil
import statistics
import tempfile
import time
import unittest
import urllib.request

import flvfile
import media
import nginx_rtmp
import node_media_server
import pipelines
import procs

DOCUMENT = pathlib.Path(os.environ["RTMP_TEST_SOURCE"]) / "docs" / "transcoding.md"
GONE = float(os.environ.get("RTMP_TEST_PUBLISHER_GONE", "4"))
START = 30  # seconds: a loaded machine is slow to start things
STREAMS = ("high", "middle", "low")
TRACKS = (0, 1, 2)
FRAME = 34  # milliseconds at most between two at 30 a second
PART = 6  # seconds of film in each format


def films():
    """720p with 48 kHz, and 1080p with 44.1."""
    small = media.flv(seconds=PART, size="1280x720", gop=30, rate=48000, bitrate="1500k")
    large = media.flv(seconds=PART, size="1920x1080", gop=30, rate=44100, bitrate="2000k")
    return small, large


def join(path, first, second):
    """Writes one film behind the other: new sequence headers and onMetaData in mid-stream, and time goes on."""
    first, second = flvfile.read(first), flvfile.read(second)
    offset = max(tag.timestamp for tag in first.tags) + FRAME
    tags = [flvfile.tag(tag.kind, tag.timestamp, tag.body) for tag in first.tags if not tag.is_end]
    tags += [flvfile.tag(tag.kind, tag.timestamp + offset, tag.body) for tag in second.tags]
    path.write_bytes(b"FLV\1\5\0\0\0\x09\0\0\0\0" + b"".join(tags))


def track_of(tag):
    """The track of a tag of pictures, or None for what is no frame of a track."""
    front = flvfile.extended(tag)
    if front is None:
        return None if tag.is_header or tag.is_end else 0
    if front.packet_type not in (1, 3):
        return None
    return 0 if front.multitrack is None else tag.body[6]


def frames(file, track=0):
    """[(timestamp, is a key frame, octets, offset)] of a track of pictures."""
    return [(tag.timestamp, tag.body[0] >> 4 & 7 == 1, len(tag.body), tag.offset)
            for tag in file.tags if tag.kind == flvfile.VIDEO and track_of(tag) == track]


class Run:
    """What was to be seen of one run."""

    def __init__(self, folder):
        self.dir = folder
        self.recordings = {}  # by stream: flvfile.FlvFile
        self.marks = {}  # octets of `low` at each turn of events
        self.clients = []  # at each turn: {stream: nginx's id of its publisher}
        self.servers_words = ""  # Node-Media-Server's, up to the end of the input
        self.output = ""

    def drive(self, nginx, enhanced):
        text = DOCUMENT.read_text(encoding="utf-8")
        command = re.search(r"<!-- pipeline: ladder -->\n```sh\n(.*?)```", text, re.S)[1]
        command = command.replace("rtmp://localhost/live/", f"{nginx.url}/live/")
        command = command.replace("rtmp://localhost/enhanced/", f"{enhanced.url if enhanced else nginx.url}/live/")
        assert "localhost" not in command
        joined = self.dir / "joined.flv"
        small, large = films()
        join(joined, small, large)
        with procs.Child(["sh", "-c", f"exec {command}"], env=pipelines.PLAIN) as chain:
            try:
                self.watch(nginx, enhanced, chain, joined, large)
            finally:
                self.output = chain.output()

    def watch(self, nginx, enhanced, chain, joined, large):
        for name in STREAMS:
            nginx.wait_publishing(name, timeout=START)
        with self.publisher(nginx, joined) as publisher:
            with self.recorded({name: nginx for name in STREAMS} | {"all": enhanced or nginx}):
                self.turn("begins", nginx)
                self.end(publisher)
                self.turn("gone", nginx)
                time.sleep(GONE)
                self.turn("returns", nginx)
                with self.publisher(nginx, large) as another:
                    self.end(another)
                self.turn("over", nginx)
                self.servers_words = enhanced.child.output() if enhanced else ""
        self.lose_one(nginx)
        assert chain.running(), "the pipeline has ended"

    def lose_one(self, nginx):
        """The server breaks one connection; what all three send afterwards is recorded once more."""
        before = self.publisher_id(nginx, "middle")
        with urllib.request.urlopen(f"http://127.0.0.1:{nginx.http_port}/control/drop/publisher?app=live&name=middle"):
            pass
        procs.wait_until(lambda: nginx.is_publishing("middle") and self.publisher_id(nginx, "middle") != before,
                         timeout=START, what="a new connection")
        with self.recorded({name: nginx for name in STREAMS}, prefix="after-loss-"):
            time.sleep(7)

    @contextlib.contextmanager
    def recorded(self, servers, prefix=""):
        """Records streams, by name, while the block runs, which begins when there are pictures of all."""
        players = {prefix + name: pipelines.start(
            f"rtmpsrc clock-mode=sender location={server.url}/live/{name} ! filesink buffer-mode=unbuffered "
            f"location={self.path(prefix + name)}") for name, server in servers.items()}
        try:
            for name in players:
                procs.wait_until(lambda name=name: self.has_begun(name), timeout=START, interval=0.2,
                                 what=f"a recording of {name}")
            yield
        finally:
            for player in players.values():
                player.interrupt()
            for player in players.values():
                player.wait(10)
                player.end()
        for name in players:
            self.recordings[name] = flvfile.read(self.path(name), allow_truncated=True)

    def publisher(self, nginx, film):
        return pipelines.start(
            f"filesrc location={film} ! video/x-flv ! flvchunk ! rtmpsink location={nginx.url}/live/input", eos=False)

    def end(self, publisher):
        assert publisher.wait(60) == 0, publisher.output()

    def has_begun(self, name):
        path = self.path(name)
        return path.exists() and path.stat().st_size > 100 and frames(flvfile.read(path, allow_truncated=True))

    def path(self, name):
        return self.dir / f"{name}.flv"

    def turn(self, what, nginx):
        self.marks[what] = self.path("low").stat().st_size
        self.clients.append({name: self.publisher_id(nginx, name) for name in STREAMS})

    @staticmethod
    def publisher_id(nginx, name):
        return next(client.findtext("id") for client in nginx.stream(name).iter("client")
                    if client.find("publishing") is not None)


class Transcoding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        try:
            node_media_server.require()
            cls.no_enhanced = None
        except unittest.SkipTest as reason:
            cls.no_enhanced = str(reason)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="transcoding-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        nginx = cls.enterClassContext(nginx_rtmp.NginxRtmp())
        enhanced = None if cls.no_enhanced else cls.enterClassContext(node_media_server.NodeMediaServer())
        cls.run_ = Run(folder)
        cls.run_.drive(nginx, enhanced)

    def outputs(self):
        """Every rendition that came out of a server: (name, frames)."""
        yield from ((name, frames(self.run_.recordings[name])) for name in STREAMS)
        if self.no_enhanced is None:
            yield from ((f"all, track {track}", frames(self.run_.recordings["all"], track)) for track in TRACKS)

    def test_three_streams_keep_their_connections(self):
        first, *others = self.run_.clients
        self.assertEqual(len(set(first.values())), len(STREAMS))
        for later in others:
            self.assertEqual(later, first, self.run_.output)

    def test_the_enhanced_stream_keeps_its_connection(self):
        if self.no_enhanced:
            self.skipTest(self.no_enhanced)
        words = self.run_.servers_words
        sessions = re.findall(r"session (\w+) \S+ start push /live/all$", words, re.M)
        self.assertEqual(len(sessions), 1, words)
        self.assertNotIn(f"session {sessions[0]} close", words)

    def test_nothing_stops_in_any_output(self):
        """Seconds of the whole run, the part without a publisher included, on one time line."""
        for name, seen in self.outputs():
            with self.subTest(output=name):
                times = [time for time, *_ in seen]
                self.assertEqual(times, sorted(times))
                self.assertGreater((times[-1] - times[0]) / 1000, 2 * PART + GONE)
                # A busy machine leaves single pictures out.
                self.assertLess(max(b - a for a, b in zip(times, times[1:])), 1000)

    def assert_aligned(self, outputs, key_frames, pictures):
        """Outputs, as (name, frames), have the same times as far as all of them reach, and so many at least."""
        begin = max(seen[0][0] for _, seen in outputs)
        end = min(seen[-1][0] for _, seen in outputs)
        for part, least in (("key frames", key_frames), ("pictures", pictures)):
            per_output = {name: [time for time, key, *_ in seen if begin <= time <= end and (key or part == "pictures")]
                          for name, seen in outputs}
            wanted = per_output[outputs[0][0]]
            self.assertGreaterEqual(len(wanted), least, part)
            for name, times in per_output.items():
                self.assertEqual(times, wanted, f"{part} of {name}")

    def test_key_frames_are_aligned_to_the_frame(self):
        self.assert_aligned(list(self.outputs()), 6, 30 * 2 * PART * 0.8)

    def test_key_frames_stay_aligned_after_a_loss(self):
        self.assert_aligned([(name, frames(self.run_.recordings[f"after-loss-{name}"])) for name in STREAMS], 2, 60)

    def test_the_format_never_changes(self):
        for name in STREAMS:
            for kind in (flvfile.VIDEO, flvfile.AUDIO):
                with self.subTest(output=name, kind=kind):
                    self.assertEqual(len(set(self.run_.recordings[name].headers(kind))), 1)
        sizes = [procs.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height,sample_rate", "-of",
                            "csv=p=0", self.run_.path(name)], timeout=30)[1].split() for name in STREAMS]
        # FFmpeg takes an onMetaData in mid-stream for a stream of subtitles.
        self.assertEqual([sorted(set(one) - {"N/A,N/A"}) for one in sizes],
                         [["1280,720", "48000"], ["48000", "854,480"], ["426,240", "48000"]])

    def test_the_pictures_are_the_publishers(self):
        """Moving while somebody publishes, still in between: in both formats, and with the second publisher."""
        seen = frames(self.run_.recordings["low"])
        offsets = [offset for *_, offset in seen]

        def octets(begin, end):
            """The mean of the pictures between two moments, without those near them and without key frames."""
            part = seen[bisect.bisect(offsets, begin):bisect.bisect(offsets, end)]
            part = [size for _, key, size, _ in part[len(part) // 4:-(len(part) // 4)] if not key]
            return statistics.fmean(part)

        marks = self.run_.marks
        changes = marks["gone"] // 2
        still = octets(marks["gone"], marks["returns"])
        for begin, end in ((marks["begins"], changes), (changes, marks["gone"]), (marks["returns"], marks["over"])):
            self.assertGreater(octets(begin, end), 4 * still)

    def test_sound_goes_on(self):
        for name in STREAMS:
            with self.subTest(output=name):
                times = [packet.dts for packet in self.run_.recordings[name].packets(flvfile.AUDIO)]
                self.assertEqual(times, sorted(times))
                self.assertLess(max(b - a for a, b in zip(times, times[1:])), 1000)


if __name__ == "__main__":
    unittest.main()
