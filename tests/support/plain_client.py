# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small RTMP client, for what surrounds the thing that is tested: it publishes and plays without opinions of its own.

It shares no code with what it tests.
"""

import os
import socket
import struct

import fake_server

TYPE_CHUNK_SIZE, TYPE_USER_CONTROL = 1, 4
PING_REQUEST, PING_RESPONSE = 6, 7
CHUNK_SIZE = 65536


class PlainClient:
    """A connection over a connected socket; publish() or play(), then send() or messages()."""

    def __init__(self, sock, application):
        self._socket = sock
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = sock.makefile("rb", buffering=1 << 16)
        self._streams = {}  # chunk stream id -> [length, type, timestamp, has extended timestamp, octets so far]
        self._in_chunk_size = 128
        c1 = bytes(8) + os.urandom(1528)
        sock.sendall(b"\x03" + c1)
        answer = self._read(1 + 1536 + 1536)
        sock.sendall(answer[1:1537])
        self.send(TYPE_CHUNK_SIZE, 0, struct.pack(">I", CHUNK_SIZE), stream=0, chunk_stream=2)
        sock.sendall(fake_server.command(
            "connect", 1, {"app": application, "tcUrl": f"rtmp://localhost/{application}"}))
        self._wait_command("_result")
        sock.sendall(fake_server.command("createStream", 2, None))
        self._wait_command("_result")

    def close(self):
        # A thread that reads is woken only by shutdown().
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def publish(self, name):
        self._socket.sendall(fake_server.command("publish", 3, None, name, "live", stream=1))
        self._wait_status("NetStream.Publish.Start")

    def play(self, name):
        self._socket.sendall(fake_server.command("play", 3, None, name, stream=1))

    def send(self, kind, timestamp, body, *, stream=1, chunk_stream=4):
        timestamp &= 0xffffffff
        extended = struct.pack(">I", timestamp) if timestamp >= 0xffffff else b""
        head = min(timestamp, 0xffffff).to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes([kind])
        pieces = [body[at:at + CHUNK_SIZE] for at in range(0, len(body), CHUNK_SIZE)] or [b""]
        # Not before Set Chunk Size itself, which is short.
        following = bytes([0xc0 | chunk_stream]) + extended
        self._socket.sendall(bytes([chunk_stream]) + head + struct.pack("<I", stream) + extended
                             + following.join(pieces))

    def messages(self):
        """Yields (type, timestamp, body) until the connection ends: ConnectionError. Pings are answered."""
        while True:
            kind, timestamp, body = self._message()
            if kind == TYPE_CHUNK_SIZE:
                self._in_chunk_size = int.from_bytes(body[:4], "big")
            elif kind == TYPE_USER_CONTROL and int.from_bytes(body[:2], "big") == PING_REQUEST:
                self.send(TYPE_USER_CONTROL, 0, struct.pack(">H", PING_RESPONSE) + body[2:6], stream=0, chunk_stream=2)
            else:
                yield kind, timestamp, body

    def _read(self, size):
        data = self._file.read(size)
        if len(data) < size:
            raise ConnectionError("the server has closed the connection")
        return data

    def _message(self):
        while True:
            first = self._read(1)[0]
            form, chunk_stream = first >> 6, first & 63
            if chunk_stream < 2:
                chunk_stream = 64 + int.from_bytes(self._read(chunk_stream + 1), "little")
            head = self._read((11, 7, 3, 0)[form])
            state = self._streams.setdefault(chunk_stream, [0, 0, 0, False, b""])
            if form < 3:
                state[3] = head[:3] == b"\xff\xff\xff"
            if form < 2:
                state[0], state[1] = int.from_bytes(head[3:6], "big"), head[6]
            time = int.from_bytes(self._read(4), "big") if state[3] else int.from_bytes(head[:3], "big")
            if not state[4]:
                # Of a type 3 chunk that begins a message the time is of no interest here.
                state[2] = time if form == 0 else (state[2] + time) & 0xffffffff
            state[4] += self._read(min(self._in_chunk_size, state[0] - len(state[4])))
            if len(state[4]) == state[0]:
                body, state[4] = state[4], b""
                return state[1], state[2], body

    def _wait_command(self, wanted):
        for kind, _, body in self.messages():
            if kind == fake_server.TYPE_COMMAND:
                name, at = fake_server.decode(body)
                if name == wanted:
                    return
                if name in ("_error", "close"):
                    raise ConnectionError(f"the server says {name}")

    def _wait_status(self, wanted):
        for kind, _, body in self.messages():
            if kind == fake_server.TYPE_COMMAND and b"onStatus" in body:
                if wanted.encode() in body:
                    return
                raise ConnectionError(f"the server says {body!r}")
