# SPDX-License-Identifier: LGPL-2.1-or-later
"""A TCP proxy that delays both directions: a long line to a server on this machine, without root or namespaces.

It counts round trips of what is spoken, not of TCP: the connection itself comes about at once.
"""

import collections
import selectors
import socket
import threading
import time


class _Direction:
    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.waiting = collections.deque()  # (when due, octets); b"" ends the direction
        self.ended = False


class Connection:
    """What the proxy saw of one connection; times are seconds from the client's connecting."""

    def __init__(self, began):
        self._began = began
        self._tail = b""
        self._seen = {}

    def note(self, data, now):
        self._tail = (self._tail + data)[-(1 << 16):]
        for text, when in self._seen.items():
            if when is None and text in self._tail:
                self._seen[text] = now - self._began

    def watch(self, text):
        self._seen[text] = None

    def when(self, text):
        """Returns when the client was given these octets of the server's, or None."""
        return self._seen[text]


class DelayProxy:
    """Passes connections to 127.0.0.1:`port` on, each octet `delay` seconds later, until the `with` block is left.

    Attributes: `port` to connect to, and `connections`, each of which looks for the octets of `watched` in what
    comes from the server.
    """

    def __init__(self, port, delay, watched=()):
        self._target = port
        self.delay = delay
        self.watched = watched
        self.connections = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.close()
        self._thread.join(5)

    def _run(self):
        selector = selectors.DefaultSelector()
        selector.register(self._listener, selectors.EVENT_READ, None)
        selector.register(self._stopped, selectors.EVENT_READ, None)
        directions = []
        while True:
            due = min((line.waiting[0][0] for line in directions if line.waiting), default=None)
            timeout = None if due is None else max(0, due - time.monotonic())
            ready = selector.select(timeout)
            now = time.monotonic()
            for key, _ in ready:
                if key.fileobj is self._stopped:
                    for line in directions:
                        line.source.close()
                    self._listener.close()
                    self._stopped.close()
                    return
                if key.fileobj is self._listener:
                    directions += self._accept(selector, now)
                else:
                    self._read(selector, key.data[0], now)
            for line in directions:
                self._deliver(line, now)
            directions = [line for line in directions if not line.ended]

    def _accept(self, selector, now):
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._target))
        seen = Connection(now)
        for text in self.watched:
            seen.watch(text)
        self.connections.append(seen)
        lines = []
        for source, sink, note in ((client, server, None), (server, client, seen)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = _Direction(source, sink)
            line.note = note
            selector.register(source, selectors.EVENT_READ, (line,))
            lines.append(line)
        return lines

    def _read(self, selector, line, now):
        try:
            data = line.source.recv(1 << 16)
        except OSError:
            data = b""
        line.waiting.append((now + self.delay, data))
        if not data:
            selector.unregister(line.source)

    @staticmethod
    def _deliver(line, now):
        while line.waiting and line.waiting[0][0] <= now:
            data = line.waiting.popleft()[1]
            try:
                if data:
                    if line.note is not None:
                        line.note.note(data, now)
                    line.sink.sendall(data)
                else:
                    line.ended = True
                    line.sink.shutdown(socket.SHUT_WR)
            except OSError:
                line.ended = True
