#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real RTMP server for tests: Debian's nginx with its RTMP module, unpacked, on free ports of 127.0.0.1.

Applications: `live` relays; `record` relays and records what is published into `recordings`; `vod` plays the files
of the folder `vod`. Run as a program it serves until it is interrupted, and prints its URLs.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request
import xml.etree.ElementTree

import procs

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("RTMP_TEST_NGINX", SOURCE / "build-tools" / "nginx"))

CONFIG = """
load_module {module};
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/error.log info;
events {{ worker_connections 512; }}
rtmp {{
  access_log off;
  server {{
    listen {address}:{port};
    chunk_size {chunk_size};
    max_message 16M;
    {server_directives}
    application live {{ live on; {live_directives} }}
    application record {{
      live on;
      record all;
      record_path {dir}/recordings;
      record_suffix .flv;
    }}
    application vod {{ play {dir}/vod; }}
  }}
}}
http {{
  access_log off;
  client_body_temp_path {dir}/tmp-body;
  proxy_temp_path {dir}/tmp-proxy;
  fastcgi_temp_path {dir}/tmp-fastcgi;
  uwsgi_temp_path {dir}/tmp-uwsgi;
  scgi_temp_path {dir}/tmp-scgi;
  server {{
    listen 127.0.0.1:{http_port};
    location /stat {{ rtmp_stat all; }}
    location /control {{ rtmp_control all; }}
  }}
}}
"""


def fetch():
    """Unpacks nginx if it is not there yet. Raises RuntimeError with what the script said."""
    script = pathlib.Path(__file__).with_name("fetch-nginx")
    result = subprocess.run([str(script), str(TOOLS)], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip() or "nginx could not be fetched")


def require():
    """Raises unittest.SkipTest, with the reason, on a machine where nginx cannot be had."""
    try:
        fetch()
    except RuntimeError as error:
        raise unittest.SkipTest(f"no nginx-rtmp: {error}") from None


class NginxRtmp:
    """A server that runs inside a `with` block.

    Attributes: `port`, `url` (rtmp://127.0.0.1:PORT), `recordings`, `vod`, `dir`.
    `live_directives` and `server_directives` are nginx configuration text for the application and the server.
    `prefix` are words in front of its command, `address` is where it serves RTMP: for a network namespace.
    """

    def __init__(self, *, port=None, chunk_size=4096, live_directives="", server_directives="", keep_dir=None,
                 prefix=(), address="127.0.0.1"):
        self._wanted_port = port
        self.prefix = list(prefix)
        self.address = address
        self.chunk_size = chunk_size
        self.live_directives = live_directives
        self.server_directives = server_directives
        self._keep_dir = keep_dir
        self.child = None

    def __enter__(self):
        fetch()
        self.dir = pathlib.Path(self._keep_dir or tempfile.mkdtemp(prefix="nginx-rtmp-"))
        self.recordings = self.dir / "recordings"
        self.vod = self.dir / "vod"
        for folder in (self.dir, self.recordings, self.vod):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.child is not None:
            self.child.end()
        if self._keep_dir is None:
            shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def url(self):
        return f"rtmp://127.0.0.1:{self.port}"

    def log(self):
        return self.child.output() + (self.dir / "error.log").read_text(errors="replace")

    def kill(self):
        """Ends the server at once, as a crash does: its connections are closed, its port refuses."""
        self.child.process.kill()
        self.child.process.wait()

    def restart(self):
        """Starts it again after kill(), on the same port."""
        self._wanted_port = self.port
        self._start()

    def _start(self):
        for attempt in range(5):
            self.port = self._wanted_port or procs.free_port()
            self.http_port = procs.free_port()
            config = self.dir / "nginx.conf"
            config.write_text(CONFIG.format(
                module=TOOLS / "usr/lib/nginx/modules/ngx_rtmp_module.so",
                dir=self.dir,
                address=self.address,
                port=self.port,
                http_port=self.http_port,
                chunk_size=self.chunk_size,
                live_directives=self.live_directives,
                server_directives=self.server_directives))
            self.child = procs.Child(
                [*self.prefix, TOOLS / "usr/sbin/nginx", "-p", self.dir, "-c", config,
                 "-e", self.dir / "error.log"],
                log=self.dir / "output.log")
            try:
                procs.wait_listening(self.port, self.child)
                procs.wait_listening(self.http_port, self.child)
                return
            except AssertionError:
                self.child.end()
                # Somebody else may have taken a port between our look and nginx's bind.
                if attempt == 4 or self._wanted_port or "Address already in use" not in self.log():
                    raise

    def statistics(self):
        """Returns the root element of nginx-rtmp's statistics document."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/stat", timeout=5) as answer:
            return xml.etree.ElementTree.fromstring(answer.read())

    def stream(self, name, app="live"):
        """Returns the statistics element of a stream that has a publisher or players, else None."""
        for application in self.statistics().iter("application"):
            if application.findtext("name") == app:
                for stream in application.iter("stream"):
                    if stream.findtext("name") == name:
                        return stream
        return None

    def is_publishing(self, name, app="live"):
        stream = self.stream(name, app)
        return stream is not None and stream.find("publishing") is not None

    def num_players(self, name, app="live"):
        stream = self.stream(name, app)
        if stream is None:
            return 0
        return sum(1 for client in stream.iter("client") if client.find("publishing") is None)

    def wait_publishing(self, name, app="live", timeout=10):
        procs.wait_until(lambda: self.is_publishing(name, app), timeout=timeout,
                         what=f"publisher of {app}/{name}")

    def wait_players(self, name, count=1, app="live", timeout=10):
        procs.wait_until(lambda: self.num_players(name, app) >= count, timeout=timeout,
                         what=f"{count} player(s) of {app}/{name}")

    def wait_recording(self, name, timeout=10):
        """Returns the path of the newest recording of a stream of `record` once its publisher has left."""

        def finished():
            files = sorted(self.recordings.glob(f"{name}*.flv"), key=lambda p: p.stat().st_mtime)
            return files[-1] if files and not self.is_publishing(name, "record") else None

        return procs.wait_until(finished, timeout=timeout, what=f"recording of {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, help="RTMP port (default: a free one)")
    args = parser.parse_args()
    # Whoever ends it, the folder is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with NginxRtmp(port=args.port) as server:
        print(f"{server.url}/live/NAME, {server.url}/record/NAME, {server.url}/vod/FILE.flv")
        print(f"files in {server.dir}; Ctrl-C ends it", flush=True)
        try:
            while server.child.running():
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
