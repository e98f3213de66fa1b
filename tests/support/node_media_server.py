# SPDX-License-Identifier: LGPL-2.1-or-later
"""Node-Media-Server, out of npm: a server that passes every audio and video message on as it is."""

import json
import pathlib
import shutil
import tempfile

import node_packages
import procs


def require():
    """SkipTest, with the reason, on a machine where it cannot be had."""
    node_packages.fetch("Node-Media-Server", "node-media-server", "node-media-server")


class NodeMediaServer:
    """A server that runs inside a `with` block. Attributes: `port`, `url` (rtmp://127.0.0.1:PORT)."""

    def __enter__(self):
        program = node_packages.TOOLS / "node-media-server" / "node_modules" / "node-media-server" / "bin" / "app.js"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="node-media-server-"))
        for attempt in range(5):
            self.port = procs.free_port()
            (self.dir / "config.json").write_text(json.dumps({
                "bind": "127.0.0.1", "rtmp": {"port": self.port}, "record": {"auto": False, "path": str(self.dir / "record")},
                "store": {"path": str(self.dir / "data"), "maxHistory": 10},
                "auth": {"play": False, "publish": False, "secret": "", "jwt": {
                    "secret": "unused", "expiresIn": "24h", "refreshExpiresIn": "7d", "algorithm": "HS256", "users": []}}}),
                encoding="utf-8")
            self.child = procs.Child(["node", program, "-c", self.dir / "config.json", "--no-admin"],
                                     env={"LD_PRELOAD": ""})
            try:
                procs.wait_listening(self.port, self.child, timeout=30)
                return self
            except AssertionError:
                # Somebody else may have taken the port.
                self.child.end()
                if attempt == 4:
                    self.__exit__()
                    raise

    def __exit__(self, *_):
        self.child.end()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def url(self):
        return f"rtmp://127.0.0.1:{self.port}"

    def wait_player(self, name, timeout=10):
        procs.wait_until(lambda: f"start play /live/{name}\n" in self.child.output(), timeout=timeout,
                         what=f"player of live/{name}")
