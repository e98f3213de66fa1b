# SPDX-License-Identifier: LGPL-2.1-or-later
"""An RTMP server that misbehaves as told, for what real servers cannot be made to do on demand.

It shares no code with what it tests. It reads chunks and AMF0 as far as clients' commands need, and answers each
command by a script.
"""

import base64
import hashlib
import os
import socket
import struct
import threading

SILENCE, CLOSE = object(), object()

TYPE_CHUNK_SIZE, TYPE_COMMAND = 1, 20


def encode(value):
    """Returns a value as AMF0: None, numbers, booleans, strings, and dictionaries as objects."""
    if value is None:
        return b"\x05"
    if isinstance(value, bool):
        return b"\x01" + bytes([value])
    if isinstance(value, (int, float)):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\x02" + struct.pack(">H", len(text)) + text
    members = b"".join(struct.pack(">H", len(name)) + name.encode() + encode(member)
                       for name, member in value.items())
    return b"\x03" + members + b"\x00\x00\x09"


def decode(data, at=0):
    """Returns (value, end) of the AMF0 value at an offset."""
    kind, at = data[at], at + 1
    if kind == 0:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind == 1:
        return bool(data[at]), at + 1
    if kind == 2:
        size = struct.unpack_from(">H", data, at)[0]
        return data[at + 2:at + 2 + size].decode(), at + 2 + size
    if kind in (5, 6):
        return None, at
    if kind in (3, 8):
        at += 4 if kind == 8 else 0
        members = {}
        while data[at:at + 3] != b"\x00\x00\x09":
            size = struct.unpack_from(">H", data, at)[0]
            name = data[at + 2:at + 2 + size].decode()
            members[name], at = decode(data, at + 2 + size)
        return members, at + 3
    if kind == 10:
        size, at = struct.unpack_from(">I", data, at)[0], at + 4
        items = []
        for _ in range(size):
            item, at = decode(data, at)
            items.append(item)
        return items, at
    raise ValueError(f"AMF0 type {kind}")


def command(name, transaction, *values, stream=0):
    """Returns a whole command message in chunks of 128 octets."""
    body = encode(name) + encode(transaction) + b"".join(map(encode, values))
    head = b"\x03" + bytes(3) + len(body).to_bytes(3, "big") + bytes([TYPE_COMMAND]) + struct.pack("<I", stream)
    return head + b"\xc3".join(body[at:at + 128] for at in range(0, len(body), 128))


def status(code, description="", *, level="error"):
    return {"level": level, "code": code, "description": description}


def rejected_connect(code, description=""):
    return lambda transaction, *_: command("_error", transaction, None, status(code, description))


def moved_connect(target, description=""):
    """Answers connect by sending the client on to `target`."""
    return lambda transaction, *_: command(
        "_error", transaction, None, {**status("NetConnection.Connect.Rejected", description),
                                      "ex": {"code": 302, "redirect": target}})


def accepted_connect(transaction, *_):
    return command("_result", transaction, {"fmsVer": "FMS/3,0,1,123"},
                   status("NetConnection.Connect.Success", "Connection succeeded.", level="status"))


def created_stream(transaction, *_):
    return command("_result", transaction, None, 1)


def on_status(code, description="", *, level="error"):
    """Answers publish or play. `{name}` in the description becomes what the client asked for."""

    def answer(_transaction, _object, name="", *_):
        return command("onStatus", 0, None, status(code, description.format(name=name), level=level), stream=1)

    return answer


class AdobeLogin:
    """Answers connect as Flash Media Server's AccessManager does: a login takes three connections.

    `secrets` are what the dialogue is made of, so far. `gossips`: a refusal repeats all that the client said.
    """

    SALT, CHALLENGE, OPAQUE = "c2FsdC0xMjM=", "Y2hhbGxlbmdlLTEyMw==", "b3BhcXVlLTEyMw=="

    def __init__(self, user, password, *, gossips=False, information=None):
        self.user, self.password, self.gossips, self.information = user, password, gossips, information or {}
        self.secrets = [self.SALT, self.CHALLENGE, self.OPAQUE]
        self.connections = 0

    def __call__(self, transaction, said, *_):
        self.connections += 1
        query = dict(pair.split("=", 1) for pair in said["app"].partition("?")[2].split("&") if pair)
        assert said["tcUrl"].endswith(said["app"]), said
        if "authmod" not in query:
            return self._reject(transaction, "code=403 need auth; authmod=adobe ] : ")
        if "response" not in query:
            return self._reject(transaction, f"authmod=adobe ] : ?reason=needauth&user={query['user']}"
                                f"&salt={self.SALT}&challenge={self.CHALLENGE}&opaque={self.OPAQUE}")
        self.secrets += [query["response"], query["challenge"]]
        if query["response"] != self._digest(
                self._digest(self.user + self.SALT + self.password) + self.OPAQUE + query["challenge"]):
            return self._reject(transaction, "authmod=adobe ] : ?reason=authfailed"
                                + (f"&said={query['response']} {said['tcUrl']} {said['app']}" if self.gossips else ""))
        return command("_result", transaction, {"fmsVer": "FMS/3,0,1,123"},
                       {**status("NetConnection.Connect.Success", level="status"), **self.information})

    @staticmethod
    def _digest(text):
        return base64.b64encode(hashlib.md5(text.encode()).digest()).decode()

    @staticmethod
    def _reject(transaction, text):
        return rejected_connect("NetConnection.Connect.Rejected", f"[ AccessManager.Reject ] : [ {text}")(transaction)


class _Hangup(Exception):
    pass


class FakeServer:
    """Serves each client of 127.0.0.1:`port` by a script until the `with` block is left.

    `greeting` is what comes in place of a handshake: bytes and a hangup, SILENCE, or CLOSE. `answers` maps a
    command's name to SILENCE, CLOSE, or a function of its values that returns bytes; it adds to what makes a client
    publish or play. `commands` collects (name, values) of what clients sent. `listener` is a socket that listens
    already, somewhere else.
    """

    def __init__(self, *, greeting=None, listener=None, **answers):
        self.greeting = greeting
        self._listener = listener
        self.answers = {
            "connect": accepted_connect,
            "createStream": created_stream,
            "publish": on_status("NetStream.Publish.Start", level="status"),
            "play": on_status("NetStream.Play.Start", level="status"),
            **answers,
        }
        self.commands = []
        self._clients = []

    def __enter__(self):
        self._listener = self._listener or socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"rtmp://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        # A blocked accept() or recv() returns only after shutdown().
        for sock in (self._listener, *self._clients):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join(5)

    @property
    def num_clients(self):
        """How many there have been."""
        return len(self._clients)

    def names(self):
        return [name for name, _ in self.commands]

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            thread = threading.Thread(target=self._serve, args=[client], daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock):
        try:
            if self.greeting is None:
                self._shake_hands(sock)
                self._read_commands(sock)
            elif self.greeting is CLOSE:
                raise _Hangup
            elif self.greeting is not SILENCE:
                self._read(sock, 1537)
                sock.sendall(self.greeting)
                raise _Hangup
        except _Hangup:
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        except OSError:
            pass

    @staticmethod
    def _read(sock, size):
        data = b""
        while len(data) < size:
            piece = sock.recv(size - len(data))
            if not piece:
                raise _Hangup
            data += piece
        return data

    def _shake_hands(self, sock):
        c1 = self._read(sock, 1537)[1:]
        sock.sendall(b"\x03" + bytes(8) + os.urandom(1528) + c1)
        self._read(sock, 1536)

    def _read_commands(self, sock):
        chunk_size = 128
        streams = {}  # chunk stream id -> [length, type, octets so far]
        while True:
            first = self._read(sock, 1)[0]
            form, chunk_stream = first >> 6, first & 63
            if chunk_stream < 2:
                chunk_stream = 64 + int.from_bytes(self._read(sock, chunk_stream + 1), "little")
            head = self._read(sock, (11, 7, 3, 0)[form])
            state = streams.setdefault(chunk_stream, [0, 0, b""])
            if form < 2:
                state[0], state[1] = int.from_bytes(head[3:6], "big"), head[6]
            if head[:3] == b"\xff\xff\xff":
                self._read(sock, 4)
            state[2] += self._read(sock, min(chunk_size, state[0] - len(state[2])))
            if len(state[2]) < state[0]:
                continue
            body, state[2] = state[2], b""
            if state[1] == TYPE_CHUNK_SIZE:
                chunk_size = int.from_bytes(body[:4], "big")
            elif state[1] == TYPE_COMMAND:
                self._answer(sock, body)

    def _answer(self, sock, body):
        values, at = [], 0
        while at < len(body):
            value, at = decode(body, at)
            values.append(value)
        name = values.pop(0)
        self.commands.append((name, values))
        answer = self.answers.get(name, SILENCE)
        if answer is CLOSE:
            raise _Hangup
        if answer is not SILENCE:
            sock.sendall(answer(*values))
