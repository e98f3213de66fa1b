# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proxies for tests: real ones, microsocks (SOCKS 5) and tinyproxy (HTTP CONNECT), and one of our own for SOCKS 4."""

import contextlib
import pathlib
import select
import shutil
import socket
import struct
import tempfile
import threading
import unittest

import procs


def require(program):
    """Raises unittest.SkipTest, with the reason, where the program is missing."""
    if shutil.which(program) is None:
        raise unittest.SkipTest(f"{program} is not installed")


class _Program:
    """A proxy on a free port inside a `with` block. `uri` has the login, `connected` says where it has connected to."""

    scheme = ""

    def __init__(self, login=None):
        self.login = login  # (user, password)

    def __enter__(self):
        for attempt in range(5):
            self.port = procs.free_port()
            self.child = procs.Child(self.command())
            try:
                procs.wait_listening(self.port, self.child)
                return self
            except AssertionError:
                self.child.end()
                # Somebody else may have taken the port.
                if attempt == 4:
                    raise
        return self

    def __exit__(self, *_):
        self.child.end()

    def uri_for(self, login):
        """Returns the URI of `proxy` with another login, or none."""
        return f"{self.scheme}://{':'.join(login) + '@' if login else ''}127.0.0.1:{self.port}"

    @property
    def uri(self):
        return self.uri_for(self.login)

    def has_connected(self, port):
        return any(word in self.child.output() for word in self.connected(port))


class Microsocks(_Program):
    scheme = "socks5"

    def command(self):
        user, password = self.login or (None, None)
        return ["microsocks", "-i", "127.0.0.1", "-p", self.port, *(["-u", user, "-P", password] if user else [])]

    def connected(self, port):
        return [f"connected to 127.0.0.1:{port}", f"connected to localhost:{port}"]


class Tinyproxy(_Program):
    scheme = "http"

    def __enter__(self):
        self._dir = pathlib.Path(tempfile.mkdtemp(prefix="tinyproxy-"))
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        shutil.rmtree(self._dir, ignore_errors=True)

    def command(self):
        config = self._dir / "tinyproxy.conf"
        config.write_text("\n".join([
            f"Port {self.port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 20", "LogLevel Connect",
            *([f"BasicAuth {' '.join(self.login)}"] if self.login else [])]) + "\n", encoding="ascii")
        return ["tinyproxy", "-d", "-c", config]

    def connected(self, port):
        # It names the host alone; the request has the port.
        return [f"CONNECT 127.0.0.1:{port} ", f"CONNECT localhost:{port} "]


class Socks4:
    """A SOCKS 4 proxy inside a `with` block, for IPv4 addresses and nothing else. `asked` are the ports asked for."""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.asked = []
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for sock in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            version, command, port, address = struct.unpack(">BBH4s", client.recv(8, socket.MSG_WAITALL))
            while client.recv(1) not in (b"\0", b""):  # the user's name
                pass
            self.asked.append(port)
            if (version, command) != (4, 1):
                client.sendall(b"\0\x5b" + bytes(6))
                return
            with socket.create_connection((socket.inet_ntoa(address), port), 5) as server:
                self._sockets.append(server)
                client.sendall(b"\0\x5a" + bytes(6))
                self._carry(client, server)

    @staticmethod
    def _carry(client, server):
        other = {client: server, server: client}
        while other:
            for source in select.select(list(other), [], [])[0]:
                data = source.recv(1 << 16)
                if not data:
                    with contextlib.suppress(OSError):
                        other[source].shutdown(socket.SHUT_WR)
                    other.pop(source)
                    if not other:
                        return
                    continue
                sink = client if source is server else server
                sink.sendall(data)
