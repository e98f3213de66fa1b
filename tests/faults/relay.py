# SPDX-License-Identifier: LGPL-2.1-or-later
"""A TCP relay in front of the server, which breaks connections as told."""

import contextlib
import select
import socket
import struct
import threading
import time

RESET, HALF_CLOSE = "reset", "half-close"


class Relay:
    """Passes connections in a namespace on to its 127.0.0.1:`target`, until the `with` block is left.

    break_off() breaks off what is there, in the middle of a piece of media; later connections are passed on again.
    While `stalled`, nothing is read of what clients send.
    """

    def __init__(self, space, target):
        self._space, self._target = space, target
        self.stalled = False
        self.broken = 0  # how many connections have been broken off
        self._breaks = {}  # client socket -> how
        self._clients = []
        self._threads = []
        self._lock = threading.Lock()

    def __enter__(self):
        self._listener = self._space.listener()
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        self.stalled = False
        with self._lock:
            everything = [self._listener, *(sock for pair in self._clients for sock in pair)]
        for sock in everything:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        for sock in everything:
            sock.close()

    @property
    def num_clients(self):
        """How many there have been."""
        return len(self._clients)

    def break_off(self, how):
        with self._lock:
            for client, _ in self._clients:
                self._breaks.setdefault(client, how)

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._space.socket()
            try:
                server.connect(("127.0.0.1", self._target))
            except OSError:
                client.close()
                server.close()
                continue
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._clients.append((client, server))
            self._start(self._carry, client, server, client, server)
            self._start(self._carry, server, client, client, server)

    def _carry(self, source, sink, client, server):
        with contextlib.suppress(OSError, ValueError):
            while True:
                # Not in recv(): that would keep the socket alive when the other thread closes it.
                if not select.select([source], [], [], 0.05)[0] or self.stalled and source is client:
                    time.sleep(0.02 if self.stalled else 0)
                    continue
                data = source.recv(1 << 14)
                if not data:
                    break
                how = self._breaks.get(client)
                # The way that carries media is the one with pieces that large.
                if how is not None and len(data) > 500:
                    sink.sendall(data[:len(data) // 2])
                    self._break(how, client, server)
                    self.broken += 1
                    if how == RESET:
                        return
                    how = self._breaks[client] = "done"
                    data = data[len(data) // 2:]
                if how == "done" and sink is client:
                    # This half is closed; what is left to read is nobody's.
                    continue
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    @staticmethod
    def _break(how, client, server):
        if how == RESET:
            # Closed with this option it ends by RST; shutdown() first would send FIN.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
        else:
            client.shutdown(socket.SHUT_WR)
