# SPDX-License-Identifier: LGPL-2.1-or-later
"""What makes the pictures and the sound of a publisher: each hands marked tags to `take`, which must not wait.

`take(kind, timestamp, body)`; `pictures` and `sounds` are how many there have been. start(), end(), is_alive() as of a
thread; request_key_frame().
"""

import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import film  # noqa: E402
import flvfile  # noqa: E402


class FilmEncoder(threading.Thread):
    """An endless broadcast out of a file. pause(True) stops it, and returns when that is so."""

    def __init__(self, path, take, say, **broadcast):
        super().__init__(daemon=True)
        self._broadcast = film.Broadcast(path, **broadcast)
        self._take, self._say = take, say
        self._ended = False

    def request_key_frame(self):
        self._broadcast.request_key_frame()

    def pause(self, paused):
        self._broadcast.paused = paused
        while self._broadcast.still != paused:
            time.sleep(0.01)

    def run(self):
        said = 0
        for tag in self._broadcast.headers:
            self._take(*tag)
        while not self._ended:
            tag = self._broadcast.next()
            if tag is not None:
                self._take(*tag)
            if time.monotonic() - said > 0.5:
                said = time.monotonic()
                self._say_made()

    def _say_made(self):
        self._say("made", pictures=self._broadcast.pictures, sounds=self._broadcast.sounds)

    def end(self):
        self._ended = True
        self.join()
        self._say_made()


class X264Encoder:
    """A real encoder, x264enc at `kbps` over noise, which needs all that it is given. `element` is for bitrate-target.

    Tells `bitrate` whenever somebody changes it.
    """

    # Fewer pixels than cameras have: the rate matters, not the size, and the processor is shared.
    PICTURES = (f"videotestsrc is-live=true pattern=snow ! video/x-raw,format=I420,width=320,height=180,"
                f"framerate={film.FPS}/1 ! x264enc name=encoder tune=zerolatency speed-preset=ultrafast "
                f"threads=1 key-int-max={film.GOP} vbv-buf-capacity=300 ! flvchunk name=mux streamable=true "
                "! appsink name=out emit-signals=true sync=false max-buffers=0 ")
    SOUND = ("audiotestsrc is-live=true ! audio/x-raw,rate=44100,channels=2 ! avenc_aac bitrate=64000 ! aacparse "
             "! mux. ")

    def __init__(self, kbps, take, say):
        import gi
        gi.require_version("Gst", "1.0")
        from gi.repository import Gst
        self._gst = Gst
        Gst.init(None)
        self._take, self._say = take, say
        self._pictures = self._sounds = 0
        self._said = 0
        self._alive = False
        self._pipeline = Gst.parse_launch(self.PICTURES + self.SOUND)
        self.element = self._pipeline.get_by_name("encoder")
        self.element.set_property("bitrate", kbps)
        self.element.connect("notify::bitrate", lambda element, _: say("bitrate", kbps=element.get_property("bitrate")))
        self._pipeline.get_by_name("out").connect("new-sample", self._on_sample)

    def is_alive(self):
        return self._alive

    def start(self):
        self._alive = True
        self._pipeline.set_state(self._gst.State.PLAYING)

    def _on_sample(self, sink):
        buffer = sink.emit("pull-sample").get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        if data[:3] != b"FLV":
            kind, size = data[0], int.from_bytes(data[1:4], "big")
            timestamp = int.from_bytes(data[4:7], "big") | data[7] << 24
            body = data[11:11 + size]
            if kind == flvfile.VIDEO and body[1:2] == b"\1":
                body = film.mark(body, self._pictures, time.monotonic_ns())
                self._pictures += 1
            elif kind == flvfile.AUDIO and body[1:2] == b"\1":
                self._sounds += 1
            self._take(kind, timestamp, body)
            if time.monotonic() - self._said > 0.5:
                self._said = time.monotonic()
                self._say_made()
        return self._gst.FlowReturn.OK

    def _say_made(self):
        self._say("made", pictures=self._pictures, sounds=self._sounds)

    def request_key_frame(self):
        wish = self._gst.Structure.new_from_string("GstForceKeyUnit, all-headers=(boolean)true")
        self.element.get_static_pad("src").send_event(
            self._gst.Event.new_custom(self._gst.EventType.CUSTOM_UPSTREAM, wish))

    def end(self):
        self._pipeline.set_state(self._gst.State.NULL)
        self._alive = False
        self._say_made()
