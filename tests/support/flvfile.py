# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small reader of FLV files for comparing packets. It shares no code with what it tests.

It reads plain FLV 10: every tag's fields, and of H.264 and AAC the packet type and composition time. Of Enhanced RTMP's
headers extended() tells the form.
"""

import dataclasses
import hashlib
import struct

AUDIO, VIDEO, SCRIPT = 8, 9, 18
CODEC_AVC, CODEC_AAC, CODEC_MP3 = 7, 10, 2


class FlvError(ValueError):
    """The bytes are no FLV file; the text says where."""


@dataclasses.dataclass(frozen=True)
class Tag:
    kind: int
    timestamp: int  # milliseconds, signed 32 bits as FLV has them
    body: bytes  # the whole tag body, its audio or video header included
    offset: int  # of the tag's first byte in the file

    @property
    def codec(self):
        if not self.body or self.kind == SCRIPT:
            return None
        return self.body[0] & 0x0F if self.kind == VIDEO else self.body[0] >> 4

    @property
    def is_header(self):
        """An AVC or AAC sequence header."""
        has_type = (self.kind, self.codec) in ((VIDEO, CODEC_AVC), (AUDIO, CODEC_AAC))
        return has_type and len(self.body) > 1 and self.body[1] == 0

    @property
    def is_end(self):
        """An AVC end of sequence."""
        return self.kind == VIDEO and self.codec == CODEC_AVC and self.body[1:2] == b"\x02"

    @property
    def is_keyframe(self):
        return self.kind == VIDEO and bool(self.body) and self.body[0] >> 4 == 1 and not self.is_header

    @property
    def composition_time(self):
        """Milliseconds, signed 24 bits; 0 but for H.264."""
        if self.kind != VIDEO or self.codec != CODEC_AVC or len(self.body) < 5:
            return 0
        value = int.from_bytes(self.body[2:5], "big")
        return value - (1 << 24) if value & 0x800000 else value

    @property
    def payload(self):
        """What the codec sees: the body without its FLV header."""
        if self.kind == VIDEO:
            return self.body[5:] if self.codec == CODEC_AVC else self.body[1:]
        if self.kind == AUDIO:
            return self.body[2:] if self.codec == CODEC_AAC else self.body[1:]
        return self.body


@dataclasses.dataclass(frozen=True)
class Packet:
    """A coded frame: what must come out as it went in."""

    kind: int
    dts: int
    pts: int
    keyframe: bool
    digest: str

    def __str__(self):
        name = {AUDIO: "audio", VIDEO: "video"}[self.kind]
        key = " key" if self.keyframe else ""
        return f"{name}{key} dts={self.dts} pts={self.pts} {self.digest}"


@dataclasses.dataclass(frozen=True)
class FlvFile:
    has_audio: bool  # as the file header says
    has_video: bool
    tags: list

    def packets(self, kind=None):
        """Returns the coded frames in file order, of both kinds or of one; no headers, no empty tags."""
        return [
            Packet(tag.kind, tag.timestamp, tag.timestamp + tag.composition_time, tag.is_keyframe,
                   hashlib.sha256(tag.payload).hexdigest()[:16])
            for tag in self.tags
            if tag.kind in ((AUDIO, VIDEO) if kind is None else (kind,))
            and tag.payload and not tag.is_header and not tag.is_end
        ]

    def headers(self, kind):
        """Returns the payloads of the sequence headers of a kind, in order."""
        return [tag.payload for tag in self.tags if tag.kind == kind and tag.is_header]

    def scripts(self):
        return [tag for tag in self.tags if tag.kind == SCRIPT]


@dataclasses.dataclass(frozen=True)
class Extended:
    """The front of an Enhanced RTMP v2 body ("Enhanced Video", "Enhanced Audio")."""

    packet_type: int
    fourcc: str  # of the first track
    multitrack: int  # AvMultitrackType, or None for a message without track ids
    modifiers: int  # how many ModEx precede


def extended(tag):
    """Returns the Extended of a tag; None for FLV's own headers."""
    body = tag.body
    if not body or (body[0] < 0x80 if tag.kind == VIDEO else tag.kind != AUDIO or body[0] >> 4 != 9):
        return None
    packet_type, at, modifiers = body[0] & 0x0F, 1, 0
    while packet_type == 7:
        size, at = body[at] + 1, at + 1
        if size == 256:
            size, at = int.from_bytes(body[at:at + 2], "big") + 1, at + 2
        packet_type, at, modifiers = body[at + size] & 0x0F, at + size + 1, modifiers + 1
    multitrack = None
    if packet_type == (6 if tag.kind == VIDEO else 5):
        multitrack, packet_type, at = body[at] >> 4, body[at] & 0x0F, at + 1
    return Extended(packet_type, body[at:at + 4].decode("ascii"), multitrack, modifiers)


def tag(kind, timestamp, body):
    """Returns a tag with its back pointer; of `timestamp` the lower 32 bits."""
    time = (timestamp & 0xFFFFFFFF).to_bytes(4, "big")
    header = bytes([kind]) + len(body).to_bytes(3, "big") + time[1:] + time[:1] + bytes(3)
    return header + body + (len(body) + 11).to_bytes(4, "big")


def parse(data, *, allow_truncated=False):
    """Parses a whole FLV file. With `allow_truncated` a tag that the end cuts off is left out, else it is an error."""
    if len(data) < 13 or data[:3] != b"FLV":
        raise FlvError("no FLV header")
    flags, offset = data[4], struct.unpack(">I", data[5:9])[0]
    if data[offset:offset + 4] != b"\0\0\0\0":
        raise FlvError("the first previous tag size is not 0")
    offset += 4
    tags = []
    while offset < len(data):
        size = int.from_bytes(data[offset + 1:offset + 4], "big")
        end = offset + 11 + size
        if end + 4 > len(data):
            if allow_truncated:
                break
            raise FlvError(f"the tag at {offset} is cut off")
        kind = data[offset] & 0x1F
        if kind not in (AUDIO, VIDEO, SCRIPT):
            raise FlvError(f"tag type {kind} at {offset}")
        low, high = int.from_bytes(data[offset + 4:offset + 7], "big"), data[offset + 7]
        timestamp = struct.unpack(">i", struct.pack(">I", high << 24 | low))[0]
        if int.from_bytes(data[offset + 8:offset + 11], "big") != 0:
            raise FlvError(f"the stream id at {offset} is not 0")
        if int.from_bytes(data[end:end + 4], "big") != 11 + size:
            raise FlvError(f"the previous tag size after {offset} is wrong")
        tags.append(Tag(kind, timestamp, bytes(data[offset + 11:end]), offset))
        offset = end + 4
    return FlvFile(bool(flags & 4), bool(flags & 1), tags)


def read(path, **options):
    with open(path, "rb") as file:
        return parse(file.read(), **options)


def differences(sent, received, *, tolerance_ms=1, offset_ms=0, to_the_end=True, limit=10):
    """Compares two packet lists of ONE kind and returns sentences; an empty list means that they agree.

    `received` must be a contiguous run of `sent`, in order and none twice; with `to_the_end` up to the last packet
    sent. Each DTS and PTS may differ by `tolerance_ms` once `offset_ms` is taken off what was received; with
    offset_ms=None the offset is that of the first packet.
    """
    if not sent:
        return ["nothing was sent"]
    if not received:
        return ["nothing was received"]
    starts = [i for i, packet in enumerate(sent) if packet.digest == received[0].digest]
    if not starts:
        return [f"the first packet received was never sent: {received[0]}"]
    # Silence codes into equal packets: the true start is the one by which the most packets agree.
    best = max(starts, key=lambda start: sum(
        a.digest == b.digest for a, b in zip(sent[start:], received)))
    expected = sent[best:]
    if offset_ms is None:
        offset_ms = received[0].dts - expected[0].dts

    found = []
    for index, (want, have) in enumerate(zip(expected, received)):
        if want.digest != have.digest:
            found.append(f"packet {index}: sent {want}, received {have}")
        elif (abs(have.dts - offset_ms - want.dts) > tolerance_ms
              or abs(have.pts - offset_ms - want.pts) > tolerance_ms):
            found.append(f"packet {index}: times differ: sent {want}, received {have}")
        elif want.keyframe != have.keyframe:
            found.append(f"packet {index}: key frame flag differs: sent {want}, received {have}")
        if len(found) >= limit:
            return found
    if len(received) > len(expected):
        found.append(f"{len(received) - len(expected)} packets more than were sent")
    elif to_the_end and len(received) < len(expected):
        found.append(f"the last {len(expected) - len(received)} of {len(sent)} packets are missing")
    return found
