#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records what real clients and a real server say to each other: the traces in tests/data/traces.

`record_trace.py FOLDER` publishes to and plays from nginx-rtmp with ffmpeg, rtmp2sink, rtmp2src and rtmpdump, each
through a proxy that writes both directions down. The media is small and the same every time.

A trace is "RTMPTRC1", then for each piece in order of arrival: direction U8 (0 = client to server, 1 = server to
client), length U32 big-endian, octets.
"""

import argparse
import pathlib
import select
import socket
import struct
import subprocess
import threading

import nginx_rtmp
import procs

MAGIC = b"RTMPTRC1"
TO_SERVER, TO_CLIENT = 0, 1

SOURCE = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10", "-f", "lavfi", "-i", "sine=sample_rate=44100"]
ENCODE = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "5", "-b:v", "40k",
          "-c:a", "aac", "-b:a", "24k", "-ac", "1", "-f", "flv"]


class Recorder:
    """A proxy on a free port in front of `server_port`, for one connection, inside a `with` block."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.pieces = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        self._thread.join(timeout=10)

    def _run(self):
        self._listener.settimeout(20)
        client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self.server_port)) as server:
            ways = {client: (server, TO_SERVER), server: (client, TO_CLIENT)}
            while ways:
                for end in select.select(list(ways), [], [])[0]:
                    other, direction = ways[end]
                    try:
                        data = end.recv(65536)
                        if data:
                            other.sendall(data)
                    except OSError:
                        data = b""
                    if not data:
                        # One side has gone: what the other says now nobody hears.
                        return
                    self.pieces.append((direction, data))

    def save(self, path):
        with open(path, "wb") as out:
            out.write(MAGIC)
            for direction, data in self.pieces:
                out.write(struct.pack(">BI", direction, len(data)) + data)
        print(f"{path}: {sum(len(data) for _, data in self.pieces)} octets")


def record(folder, name, server, argv, seconds=20):
    """Runs `argv` with {url} replaced, for at most `seconds`, and saves what went through the proxy."""
    with Recorder(server.port) as recorder:
        url = f"rtmp://127.0.0.1:{recorder.port}"
        with procs.Child([word.replace("{url}", url) for word in argv]) as child:
            try:
                child.process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
    recorder.save(folder / f"{name}.trace")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    ffmpeg = ["ffmpeg", "-nostdin", "-loglevel", "error"]
    with nginx_rtmp.NginxRtmp() as server:
        record(folder, "publish-ffmpeg-nginx", server,
               ffmpeg + ["-re"] + SOURCE + ["-t", "1"] + ENCODE + ["{url}/live/key?token=secret"])
        record(folder, "publish-rtmp2sink-nginx", server,
               ["gst-launch-1.0", "-q", "videotestsrc", "num-buffers=10", "!",
                "video/x-raw,width=64,height=48,framerate=10/1", "!", "x264enc", "tune=zerolatency", "bitrate=40",
                "key-int-max=5", "!", "flvmux", "streamable=true", "!", "rtmp2sink", "location={url}/live/key"])
        with procs.Child(ffmpeg + ["-re"] + SOURCE + ["-t", "60"] + ENCODE + [f"{server.url}/live/source"]):
            server.wait_publishing("source")
            record(folder, "play-ffmpeg-nginx", server,
                   ffmpeg + ["-i", "{url}/live/source", "-t", "0.5", "-f", "null", "-"])
            record(folder, "play-rtmpdump-nginx", server,
                   ["rtmpdump", "-q", "-r", "{url}/live/source", "--live", "-o", "/dev/null"], seconds=2)
            record(folder, "play-rtmp2src-nginx", server,
                   ["gst-launch-1.0", "-q", "rtmp2src", "num-buffers=60", "location={url}/live/source", "!",
                    "fakesink"])
            record(folder, "publish-refused-ffmpeg-nginx", server,
                   ffmpeg + SOURCE + ["-t", "1"] + ENCODE + ["{url}/live/source"])
        record(folder, "play-missing-ffmpeg-nginx", server,
               ffmpeg + ["-i", "{url}/vod/missing.flv", "-f", "null", "-"])


if __name__ == "__main__":
    main()
