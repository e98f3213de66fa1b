#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The publisher or player that a fault happens to: `client.py JSON`, with

    mode        "push" or "pull"
    program     "gst", "ffmpeg", or "socket" (push only: no more than a socket and a queue)
    urls        where to
    elements    for gst: [name, properties] for each URL
    lacking     for gst: whether a property that an element lacks is left out, rather than the end
    film        for push: a file, and
    broadcast   what film.Broadcast is told beside it; or
    x264        for push: {"kbps": of a real encoder, "adapt": whether the elements are given it as bitrate-target}
    output      for pull: the descriptor that what arrives is written to, as FLV

It prints a line of JSON for each thing that happens: what the bus says, what has been made. Its elements are client0,
client1, ... Lines on standard input: `stop`, `pause`, `resume`.
"""

import collections
import contextlib
import gc
import json
import os
import pathlib
import queue
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import filmencoder  # noqa: E402
import flvfile  # noqa: E402
import plain_client  # noqa: E402

# As /proc has them: "socket:[4711]", "anon_inode:[eventfd]".
KIND = re.compile(r"^(?:anon_inode:\[)?(\w+)(?::\[\d+|)\]$")
LEFT_WITHIN = 3  # seconds until what the pipeline had must be gone

_printing = threading.Lock()


def say(what, **more):
    with _printing:
        print(json.dumps({"what": what, "at": time.monotonic(), **more}), flush=True)


def make_encoder(plan, take):
    if "kbps" in plan.get("x264", {}):
        return filmencoder.X264Encoder(plan["x264"]["kbps"], take, say)
    return filmencoder.FilmEncoder(plan["film"], take, say, **plan.get("broadcast", {}))


class Leftovers:
    """What there is of threads and descriptors that was not there before."""

    def __init__(self):
        self._before = self._now()

    @staticmethod
    def _now():
        threads, descriptors = {}, {}
        for thread in pathlib.Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                # A thread gets its name a moment after its number.
                threads[thread.name] = (thread / "comm").read_text(encoding="ascii", errors="replace").strip()
        for descriptor in pathlib.Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(descriptor)
                descriptors[descriptor.name, target] = target
        return threads, descriptors

    def now(self):
        """Returns the names of threads and what descriptors are of: "socket", "eventfd" or a path."""
        threads, descriptors = ([name for key, name in now.items() if key not in before]
                                for now, before in zip(self._now(), self._before))
        # GLib keeps that one for good; and one is of this look.
        return (sorted(name for name in threads if name != "pool-spawner"),
                sorted(KIND.sub(r"\1", name) for name in descriptors if not name.startswith(f"/proc/{os.getpid()}/fd")))


class GstClient:
    def __init__(self, plan):
        import gi
        gi.require_version("Gst", "1.0")
        from gi.repository import Gio, GLib, Gst
        self.Gst, self.GLib, self.Gio = Gst, GLib, Gio
        Gst.init(None)
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.Pipeline()
        self.encoder = make_encoder(plan, self._push) if plan["mode"] == "push" else None
        if plan.get("x264", {}).get("adapt"):
            plan["elements"][0][1]["bitrate-target"] = self.encoder.element
        elements = [self._make(f"client{number}", name, url, properties, plan["lacking"])
                    for number, (url, (name, properties)) in enumerate(zip(plan["urls"], plan["elements"]))]
        if plan["mode"] == "push":
            self._build_push(elements)
        else:
            sink = Gst.ElementFactory.make("fdsink")
            sink.set_property("fd", plan["output"])
            sink.set_property("sync", False)
            self._chain(elements[0], sink)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self._on_message)
        self.status = 0

    def _make(self, own_name, name, url, properties, lacking):
        element = self.Gst.ElementFactory.make(name, own_name)
        if element is None:
            raise SystemExit(f"there is no element {name}")
        element.set_property("location", url)
        for key, value in properties.items():
            if element.find_property(key) is not None:
                if isinstance(value, self.Gst.Object):
                    element.set_property(key, value)
                    value = value.get_factory().get_name()
                else:
                    self.Gst.util_set_object_arg(element, key, str(value))
                say("set", name=name, key=key, value=value)
            elif not lacking:
                raise SystemExit(f"{name} has no property {key}")
        return element

    def _chain(self, *elements):
        for element in elements:
            if element.get_parent() is None:
                self.pipeline.add(element)
        for left, right in zip(elements, elements[1:]):
            assert left.link(right)

    def _build_push(self, sinks):
        source = self.Gst.ElementFactory.make("appsrc")
        for key, value in {"is-live": True, "format": self.Gst.Format.TIME, "do-timestamp": True, "max-bytes": 0,
                           "caps": self.Gst.Caps.from_string("video/x-flv")}.items():
            source.set_property(key, value)
        self.source = source
        if len(sinks) == 1:
            self._chain(source, sinks[0])
        else:
            tee = self.Gst.ElementFactory.make("tee")
            self._chain(source, tee)
            for sink in sinks:
                # What people put behind a tee. It drops rather than holding up the other branches.
                queue = self.Gst.ElementFactory.make("queue")
                self.Gst.util_set_object_arg(queue, "leaky", "downstream")
                self._chain(tee, queue, sink)
        source.get_static_pad("src").add_probe(self.Gst.PadProbeType.EVENT_UPSTREAM, self._on_event)

    def _push(self, kind, timestamp, body):
        tag = flvfile.tag(kind, timestamp, body)
        buffer = self.Gst.Buffer.new_wrapped(tag)
        if kind == flvfile.VIDEO and body[0] >> 4 != 1:
            buffer.set_flags(self.Gst.BufferFlags.DELTA_UNIT)
        if body[1:2] == b"\0" or kind == flvfile.SCRIPT:
            buffer.set_flags(self.Gst.BufferFlags.HEADER)
        self.source.emit("push-buffer", buffer)

    def _on_event(self, _pad, info):
        structure = info.get_event().get_structure()
        if structure is not None and structure.get_name() == "GstForceKeyUnit":
            self.encoder.request_key_frame()
            say("key-frame-wanted")
        return self.Gst.PadProbeReturn.OK

    def _on_message(self, _bus, message):
        kind = message.type
        if kind in (self.Gst.MessageType.ERROR, self.Gst.MessageType.WARNING):
            error, _ = message.parse_error() if kind == self.Gst.MessageType.ERROR else message.parse_warning()
            say("error" if kind == self.Gst.MessageType.ERROR else "warning", text=error.message,
                source=message.src.get_name())
            if kind == self.Gst.MessageType.ERROR:
                self.status = 1
                self.loop.quit()
        elif kind == self.Gst.MessageType.EOS:
            say("eos")
            self.loop.quit()
        elif kind == self.Gst.MessageType.ELEMENT:
            structure = message.get_structure()
            if structure.get_name() == "rtmp-connection":
                say("connection", state=structure.get_string("state"), reason=structure.get_string("reason"),
                    source=message.src.get_name())
            elif structure.get_name() == "rtmp-dropping":
                say("dropping", active=structure.get_value("active"), source=message.src.get_name())

    def run(self):
        # What GIO makes once for all who connect is no one's to clear away.
        self.Gio.ProxyResolver.get_default().lookup("rtmp://127.0.0.1", None)
        self.Gio.NetworkMonitor.get_default()
        self.leftovers = Leftovers()
        self.pipeline.set_state(self.Gst.State.PLAYING)
        if self.encoder is not None:
            self.encoder.start()
        self.loop.run()
        if self.encoder is not None and self.encoder.is_alive():
            self.encoder.end()
        self.pipeline.set_state(self.Gst.State.NULL)
        say("null")
        self._say_what_is_left()
        return self.status

    def _say_what_is_left(self):
        bus = self.pipeline.get_bus()
        bus.remove_signal_watch()
        self.pipeline = self.source = self.encoder = bus = None
        gc.collect()
        end = time.monotonic() + LEFT_WITHIN
        while True:
            # Idle threads of GLib's pools are nobody's.
            self.GLib.ThreadPool.stop_unused_threads()
            threads, descriptors = self.leftovers.now()
            if not (threads or descriptors) or time.monotonic() > end:
                break
            time.sleep(0.02)
        say("left", threads=threads, descriptors=descriptors)

    def stop(self):
        if self.encoder is not None:
            self.encoder.end()
            self.source.emit("end-of-stream")
        else:
            self.GLib.idle_add(self.loop.quit)


class FfmpegClient:
    def __init__(self, plan):
        self.encoder = make_encoder(plan, self._put) if plan["mode"] == "push" else None
        # It dies with us, however we do.
        argv = ["setpriv", "--pdeathsig", "KILL", "--", "ffmpeg", "-hide_banner", "-loglevel", "warning"]
        copy = ["-c", "copy", "-flvflags", "no_duration_filesize"]
        if plan["mode"] == "push":
            if len(plan["urls"]) == 1:
                output = ["-f", "flv", plan["urls"][0]]
            else:
                # What its manual has for several destinations that may fail.
                output = ["-map", "0", "-f", "tee", "-use_fifo", "1",
                          "|".join(f"[f=flv:onfail=ignore]{url}" for url in plan["urls"])]
            self.process = subprocess.Popen([*argv, "-f", "flv", "-i", "pipe:0", *copy, *output],
                                            stdin=subprocess.PIPE)
            self._waiting = collections.deque([b"FLV\x01\x05" + (9).to_bytes(4, "big") + bytes(4)])
            self._something = threading.Semaphore(1)
            # As many octets may wait as it likes, as in appsrc.
            threading.Thread(target=self._write, daemon=True).start()
        else:
            self.process = subprocess.Popen(
                [*argv, "-nostdin", "-fflags", "nobuffer", "-i", plan["urls"][0], *copy, "-flush_packets", "1",
                 "-f", "flv", f"pipe:{plan['output']}"], stdin=subprocess.DEVNULL, pass_fds=[plan["output"]])
        say("process", pid=self.process.pid)

    def _put(self, *tag):
        self._waiting.append(flvfile.tag(*tag))
        self._something.release()

    def _write(self):
        try:
            while True:
                self._something.acquire()
                tag = self._waiting.popleft()
                if tag is None:
                    break
                self.process.stdin.write(tag)
                self.process.stdin.flush()
            self.process.stdin.close()
        except OSError:
            pass

    def run(self):
        if self.encoder is not None:
            self.encoder.start()
        status = self.process.wait()
        if self.encoder is not None and self.encoder.is_alive():
            self.encoder.end()
        say("ffmpeg-ended", status=status)
        return 1 if status not in (0, 255) else 0

    def stop(self):
        if self.encoder is not None:
            self.encoder.end()
            self._waiting.append(None)
            self._something.release()
        else:
            # The first is heard between two packets, the second while it waits for one.
            self.process.terminate()
            time.sleep(0.2)
            self.process.terminate()


class SocketClient:
    """A queue without a bound, and a thread that writes it to a socket as fast as that takes it."""

    def __init__(self, plan):
        address = urllib.parse.urlsplit(plan["urls"][0])
        application, _, stream = address.path.strip("/").partition("/")
        self._client = plain_client.PlainClient(
            socket.create_connection((address.hostname, address.port)), application)
        self._client.publish(stream)
        self._waiting = queue.SimpleQueue()
        self.encoder = make_encoder(plan, lambda *tag: self._waiting.put(tag))

    def run(self):
        self.encoder.start()
        status = 0
        while (tag := self._waiting.get()) is not None:
            try:
                self._client.send(*tag)
            except OSError as error:
                say("error", text=str(error), source="socket")
                status = 1
                break
        if self.encoder.is_alive():
            self.encoder.end()
        self._client.close()
        return status

    def stop(self):
        self.encoder.end()
        self._waiting.put(None)


def main():
    plan = json.loads(sys.argv[1])
    client = {"gst": GstClient, "ffmpeg": FfmpegClient, "socket": SocketClient}[plan["program"]](plan)

    def listen():
        for line in sys.stdin:
            word = line.strip()
            if word == "stop":
                client.stop()
            elif word in ("pause", "resume"):
                client.encoder.pause(word == "pause")
                say(word)

    threading.Thread(target=listen, daemon=True).start()
    return client.run()


if __name__ == "__main__":
    sys.exit(main())
