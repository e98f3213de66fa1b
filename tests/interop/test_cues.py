# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cues of ad breaks over real servers: whoever made them, and whatever the dialect, they name the same picture."""

import base64
import pathlib
import shutil
import struct
import tempfile
import time
import unittest

import flvfile
import nginx_rtmp
import node_media_server
import pipelines

FRAMES = 75
SPLICED = 50
AHEAD = 12  # pictures


def string(text):
    return struct.pack(">H", len(text)) + text.encode()


def value(what):
    if isinstance(what, bool):
        return b"\1" + bytes([what])
    if isinstance(what, (int, float)):
        return b"\0" + struct.pack(">d", what)
    if isinstance(what, str):
        return b"\2" + string(what)
    return b"\3" + b"".join(string(name) + value(member) for name, member in what.items()) + b"\0\0\x09"


def read_value(octets, at):
    kind = octets[at]
    if kind == 0:
        return struct.unpack_from(">d", octets, at + 1)[0], at + 9
    if kind == 1:
        return bool(octets[at + 1]), at + 2
    if kind == 2:
        size = struct.unpack_from(">H", octets, at + 1)[0]
        return octets[at + 3:at + 3 + size].decode(), at + 3 + size
    if kind != 3:
        raise ValueError(f"AMF0 marker {kind}")
    out, at = {}, at + 1
    while octets[at:at + 3] != b"\0\0\x09":
        size = struct.unpack_from(">H", octets, at)[0]
        name, at = octets[at + 2:at + 2 + size].decode(), at + 2 + size
        out[name], at = read_value(octets, at)
    return out, at + 3


def cues(tags):
    """(tag, handler, object) of each cue message."""
    out = []
    for tag in tags:
        if tag.kind == flvfile.SCRIPT:
            handler, at = read_value(tag.body, 0)
            if handler in ("onAdCue", "onCuePoint"):
                out.append((tag, handler, read_value(tag.body, at)[0]))
    return out


def pre_roll(handler, message):
    """Seconds from the message to the splice."""
    if message["type"] == "com.youtube.cuepoint":
        return message["pre_roll_time_sec"]
    return (message if handler == "onAdCue" else message["parameters"])["pre_roll_time"] / 1000


def pictures(tags):
    return [tag for tag in tags if tag.kind == flvfile.VIDEO and not tag.is_header and not tag.is_end]


class Cues(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cues-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.film = self.dir / "film.flv"
        pipelines.run(f"videotestsrc num-buffers={FRAMES} ! video/x-raw,width=64,height=48,framerate=25/1 ! x264enc "
                      f"tune=zerolatency key-int-max=25 ! h264parse ! flvchunk streamable=true ! "
                      f"filesink location={self.film}")

    def with_cue(self, message):
        """Puts a message into the film, AHEAD of the picture SPLICED; `message` is made of the two times in ms.
        Answers the payload of that picture."""
        tags = flvfile.read(self.film).tags
        at = pictures(tags)
        now, then = at[SPLICED - AHEAD], at[SPLICED]
        octets = self.film.read_bytes()
        handler, members = message(now.timestamp, then.timestamp)
        body = value(handler) + value(members)
        self.film.write_bytes(octets[:now.offset] + flvfile.tag(flvfile.SCRIPT, now.timestamp, body) +
                              octets[now.offset:])
        return then.payload

    def through(self, url, name, wait_player, cue_format):
        """Plays the film into the server and answers the tags that come back."""
        received = self.dir / f"{name}.flv"
        player = pipelines.start(f"rtmpsrc location={url}/live/{name} idle-timeout=0 ! "
                                 f"filesink buffer-mode=unbuffered location={received}")
        last = pictures(flvfile.read(self.film).tags)[-1].payload
        with player:
            wait_player(name)
            pipelines.run(f"filesrc location={self.film} ! flvunchunk send-scte35-events=true ! h264parse ! "
                          f"flvchunk streamable=true cue-format={cue_format} ! "
                          f"rtmpsink sync=true location={url}/live/{name}")
            end = time.monotonic() + 15
            while time.monotonic() < end and not (received.exists() and last in received.read_bytes()):
                time.sleep(0.1)
        return flvfile.read(received).tags

    def check(self, tags, payload):
        found = cues(tags)
        self.assertEqual(len(found), 1, found)
        tag, handler, message = found[0]
        named = [picture.timestamp for picture in pictures(tags) if picture.payload == payload]
        self.assertEqual(len(named), 1)
        self.assertEqual(round(tag.timestamp + pre_roll(handler, message) * 1000, 6), named[0])
        return handler, message

    def test_nginx_passes_none_on(self):
        """nginx-rtmp 1.22 of Debian 12 knows onMetaData and no other script message: what comes is the pictures."""
        nginx_rtmp.require()
        payload = self.with_cue(lambda now, then: ("onCuePoint", {
            "type": "com.youtube.cuepoint", "version": "0.1", "pre_roll_time_sec": (then - now) / 1000,
            "cue_point_start": True, "break_duration_sec": 30, "splice_event_id": 9}))
        with nginx_rtmp.NginxRtmp() as server:
            tags = self.through(server.url, "cue", server.wait_players, "youtube")
        self.assertEqual(cues(tags), [])
        self.assertEqual(len([picture for picture in pictures(tags) if picture.payload == payload]), 1)

    def test_through_node_media_server(self):
        node_media_server.require()
        payload = self.with_cue(lambda now, then: ("onAdCue", {
            "cue": "SpliceOut", "id": "9", "duration": 30, "time": then / 1000}))
        with node_media_server.NodeMediaServer() as server:
            for cue_format in ("on-ad-cue", "on-cue-point", "youtube"):
                with self.subTest(format=cue_format):
                    tags = self.through(server.url, f"cue-{cue_format}", server.wait_player, cue_format)
                    handler, message = self.check(tags, payload)
                    if handler == "onAdCue":
                        self.assertEqual(base64.b64decode(message["cue"])[0], 0xFC)
                        self.assertEqual(message["duration"], 30)


if __name__ == "__main__":
    unittest.main()
