# SPDX-License-Identifier: LGPL-2.1-or-later
"""One scene: a server, a bad line, and a publisher or player at the other end of it, measured.

    near                      line                       far
    push:  the client under test  ----------->  nginx-rtmp  --->  recorder (a plain client of our own)
    pull:  the client under test  <-----------  nginx-rtmp  <---  broadcaster (a plain client of our own)

Each picture carries its number and the time when it was made, so what is lost and how late the rest is are read off
what arrives.
"""

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import badlink  # noqa: E402
from arrivals import Arrivals  # noqa: E402
import film  # noqa: E402
import flvfile  # noqa: E402
import nginx_rtmp  # noqa: E402
import plain_client  # noqa: E402
import procs  # noqa: E402

PORT = 1935
STREAM = "broadcast"
FIRST_PICTURE_WITHIN = 30
STOPS_WITHIN = 15

OURS, RTMP2, FFMPEG, SOCKET = "ours", "rtmp2", "ffmpeg", "socket"
PEERS = [OURS, RTMP2, FFMPEG, SOCKET]
PROGRAMS = {OURS: "gst", RTMP2: "gst", FFMPEG: "ffmpeg", SOCKET: "socket"}
NAMES = {("push", OURS): "rtmpsink", ("push", RTMP2): "rtmp2sink", ("push", FFMPEG): "ffmpeg",
         ("push", SOCKET): "plain socket", ("clock", OURS): "ours",
         ("pull", OURS): "rtmpsrc", ("pull", RTMP2): "rtmp2src", ("pull", FFMPEG): "ffmpeg"}
# The names that only ours have. Ours must have these properties; of the peers each is given what it has.
ELEMENTS = {"rtmpsink": "rtmpxsink", "rtmpsrc": "rtmpxsrc"}
MAX_LATENCY = 2.0
PROPERTIES = {"push": {"sync": False, "auto-reconnect": True, "max-latency": int(MAX_LATENCY * 1000)},
              "pull": {"auto-reconnect": True}}


def seconds(value, none="-"):
    """Returns how a time is told."""
    if value is None:
        return none
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def counted(names):
    """Returns "2 socket, 1 eventfd"."""
    return ", ".join(f"{number} {name}" for name, number in collections.Counter(names).items()) or "nothing"


class Defect(Exception):
    """The rig itself did not work; no measurement."""


class Recorder(threading.Thread):
    """Plays the stream at the server's own end, again whenever the server is back."""

    def __init__(self, space, stream, arrivals):
        super().__init__(daemon=True)
        self._space, self._stream, self._arrivals = space, stream, arrivals
        self._ended = False
        self._socket = None
        self.start()

    def run(self):
        while not self._ended:
            try:
                with self._space.socket() as self._socket:
                    self._socket.connect(("127.0.0.1", PORT))
                    client = plain_client.PlainClient(self._socket, "live")
                    client.play(self._stream)
                    for message in client.messages():
                        self._arrivals.add(*message)
            except OSError:
                time.sleep(0.05)

    def end(self):
        self._ended = True
        while self.is_alive():
            with contextlib.suppress(OSError, AttributeError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self.join(0.1)


class Broadcaster(threading.Thread):
    """Publishes the broadcast at the server's own end, again whenever the server is back. Time goes on meanwhile."""

    def __init__(self, space, stream, path, **broadcast):
        super().__init__(daemon=True)
        self.broadcast = film.Broadcast(path, **broadcast)
        self._space, self._stream = space, stream
        self._ended = False
        self._client = None
        self._try_at = 0
        self.start()

    def run(self):
        while not self._ended:
            tag = self.broadcast.next()
            if tag is None:
                continue
            try:
                if self._client is None and time.monotonic() >= self._try_at:
                    self._connect()
                if self._client is not None:
                    self._client.send(*tag)
            except OSError:
                self._client = None
                self._try_at = time.monotonic() + 0.1

    def _connect(self):
        sock = self._space.socket()
        sock.settimeout(2)
        sock.connect(("127.0.0.1", PORT))
        client = plain_client.PlainClient(sock, "live")
        client.publish(self._stream)
        for kind, timestamp, body in self.broadcast.headers:
            if kind != flvfile.SCRIPT:
                client.send(kind, timestamp, body)
        self._client = client
        self.broadcast.request_key_frame()

    def stop(self):
        """Makes no more, but keeps its connection."""
        self._ended = True
        self.join(5)

    def end(self):
        self.stop()
        if self._client is not None:
            self._client.close()


class PipeReader(threading.Thread):
    """Reads FLV as it comes out of a pipe."""

    def __init__(self, descriptor, arrivals):
        super().__init__(daemon=True)
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._arrivals = arrivals
        self.defect = None
        self.start()

    def run(self):
        data = bytearray()
        at = 0
        while piece := self._file.read(1 << 16):
            data += piece
            while True:
                if data[at:at + 3] == b"FLV" and len(data) >= at + 13:
                    at += 13
                if len(data) < at + 11:
                    break
                kind, size = data[at], int.from_bytes(data[at + 1:at + 4], "big")
                if kind not in (flvfile.AUDIO, flvfile.VIDEO, flvfile.SCRIPT):
                    if data[at:at + 3] == b"FLV":
                        break
                    self.defect = f"what comes out is no FLV: tag type {kind}"
                    return
                if len(data) < at + 11 + size + 4:
                    break
                timestamp = int.from_bytes(data[at + 4:at + 7], "big") | data[at + 7] << 24
                self._arrivals.add(kind, timestamp, bytes(data[at + 11:at + 11 + size]))
                at += 11 + size + 4
            del data[:at]
            at = 0


class Client:
    """The client under test, in a process at the near end. `said` is what it has told so far."""

    def __init__(self, scene, urls, *, peer, film_path=None, output=None, env=None, prefix=(), properties=None,
                 x264=None):
        name = NAMES[scene.direction, peer]
        plan = {"mode": scene.direction, "urls": urls, "program": PROGRAMS[peer],
                "elements": [[ELEMENTS.get(name, name), {**PROPERTIES[scene.direction], **(properties or {})}]]
                * len(urls), "lacking": peer != OURS, "output": output}
        if x264 is not None:
            plan["x264"] = x264
        elif film_path is not None:
            plan.update(film=str(film_path), broadcast=scene.broadcast)
        self._log_at, self._said = 0, []
        argv = [*scene.link.near.prefix, *prefix, sys.executable, HERE / "client.py", json.dumps(plan)]
        self.child = procs.Child(argv, stdin=subprocess.PIPE, pass_fds=[] if output is None else [output],
                                 env={"LC_ALL": "C.UTF-8", "GST_DEBUG_NO_COLOR": "1", **(env or {})})
        self.stopped_at = self.ended_at = None

    @property
    def said(self):
        with open(self.child.log, encoding="utf-8", errors="replace") as log:
            log.seek(self._log_at)
            text = log.read()
        whole = text[:text.rfind("\n") + 1]
        self._log_at += len(whole.encode())
        for line in whole.splitlines():
            if line.startswith('{"what"'):
                self._said.append(json.loads(line))
            else:
                self._said.append({"what": "printed", "text": line})
        return self._said

    def all(self, what, **more):
        return [line for line in self.said
                if line["what"] == what and all(line.get(key) == value for key, value in more.items())]

    def running(self):
        """Tells whether it works; when a pipeline has ended, its process still looks for what is left of it."""
        if self.ended_at is None:
            done = self.all("null")
            if done or not self.child.running():
                self.ended_at = done[0]["at"] if done else time.monotonic()
        return self.ended_at is None

    def tell(self, word):
        with contextlib.suppress(OSError):
            self.child.process.stdin.write(word.encode() + b"\n")
            self.child.process.stdin.flush()

    def tell_to_stop(self):
        self.stopped_at = time.monotonic()
        self.tell("stop")

    def stop(self):
        """Returns the seconds from the wish until all is stopped, or None if the process had to be killed."""
        self.tell_to_stop()
        return self.ended_at - self.stopped_at if self.wait(STOPS_WITHIN) else None

    def wait(self, seconds):
        """Waits until its process has ended too; returns whether it has."""
        end = time.monotonic() + seconds
        while self.child.running() and time.monotonic() < end:
            time.sleep(0.02)
        return not self.running() and not self.child.running()

    def process(self):
        """The process that does the work."""
        started = self.all("process")
        return started[0]["pid"] if started else self.child.pid

    def left(self):
        """Returns the names of what is left of its pipeline; None if it had none, or has not ended."""
        said = self.all("left")
        return said[0]["threads"] + said[0]["descriptors"] if said else None

    def size(self):
        """Returns (resident kilobytes, open descriptors, threads), or None once it has ended."""
        try:
            status = pathlib.Path(f"/proc/{self.process()}/status").read_text(encoding="ascii")
            descriptors = len(os.listdir(f"/proc/{self.process()}/fd"))
            resident, threads = (int(status.split(key)[1].split()[0]) for key in ("VmRSS:", "Threads:"))
            return resident, descriptors, threads
        except (OSError, IndexError):
            return None

    def pictures_made(self, until):
        """Returns how many pictures a broadcast that has not stopped has made by then."""
        made = [line for line in self.all("made") if line["at"] <= until]
        if not made:
            return 0
        missing = until - made[-1]["at"] if self.stopped_at is None or until < self.stopped_at else 0
        return made[-1]["pictures"] + int(missing * film.FPS)

    def last_words(self):
        """What it says of why it ended."""
        errors = self.all("error")
        if errors:
            return errors[0]["text"]
        printed = self.all("printed")
        if printed:
            return printed[-1]["text"]
        return "end of stream" if self.all("eos") else "nothing"


@dataclasses.dataclass
class Result:
    """What came of a scene. Seconds; None where there is nothing to tell."""

    case: str
    direction: str
    peer: str
    lived: bool = True
    ended_after: float | None = None  # from the fault's begin
    last_words: str = ""
    errors: int = 0
    bounded: bool = False  # it has been told that nothing may be later than MAX_LATENCY
    settings: list = dataclasses.field(default_factory=list)
    attempts: int | None = None  # how often it said that it connects
    sources: dict = dataclasses.field(default_factory=dict)  # by element: how often that one did, and its reasons
    back_after: float | None = None  # from the fault's end to the first picture that was made after it
    sound_after: float | None = None  # the same to the first sound that came after that picture
    gaps_without_key: list = dataclasses.field(default_factory=list)  # the pictures behind these gaps
    due: int = 0  # pictures that were made, from the first that arrived
    lost: int = 0
    age_before: float | None = None  # medians and maxima of how late pictures arrived
    age_during: float | None = None
    age_worst: float | None = None
    age_end: float | None = None
    timely_after: float | None = None  # from the fault's end until pictures stay younger than MAX_LATENCY + a GOP
    backward: int = 0
    stopped_within: float | None = None
    stuck: bool = False
    grown_kb: int | None = None
    grown_fds: int | None = None
    grown_threads: int | None = None
    left: list | None = None  # of threads and descriptors, after a pipeline's end; None where there was none
    figures: dict = dataclasses.field(default_factory=dict)  # for columns of the case's own: {head: text}
    measures: dict = dataclasses.field(default_factory=dict)  # the numbers behind them
    notes: str = ""

    @property
    def name(self):
        return NAMES[self.direction, self.peer]


class Scene:
    """Inside a `with` block: everything started, and pictures arriving.

    begin() and end() tell when the fault is there and gone; result() stops the client and answers what came of it.
    """

    def __init__(self, case, direction, peer, *, bitrate="600k", line=None, live_directives="", congestion="cubic",
                 broadcast=None):
        self.case, self.direction, self.peer = case, direction, peer
        self._bitrate, self._line, self._live_directives = bitrate, line or {}, live_directives
        self._congestion = congestion
        self.broadcast = broadcast or {}  # what film.Broadcast is told
        self.arrivals = Arrivals()
        self.client = self.broadcaster = self.recorder = self.reader = None
        self._stack = contextlib.ExitStack()
        self._begin = self._end = None
        self._size_before = None

    # The parts, for cases that need only some of them.

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.film_path = film.make(self._bitrate)
            self.link = stack.enter_context(badlink.Link(**{"delay": 5, **self._line}))
            for space in (self.link.near, self.link.far):
                space.use_congestion_control(self._congestion)
            self.server = stack.enter_context(nginx_rtmp.NginxRtmp(
                port=PORT, prefix=self.link.far.prefix, address="0.0.0.0", live_directives=self._live_directives))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def url(self, port=PORT, stream=STREAM):
        return f"rtmp://{self.link.far.address}:{port}/live/{stream}"

    def start(self, url=None, **client):
        """Starts the two ends and waits for pictures."""
        if self.direction == "push":
            self.recorder = Recorder(self.link.far, STREAM, self.arrivals)
            self._stack.callback(self.recorder.end)
            client["film_path"] = self.film_path
            output = None
        else:
            self.broadcaster = Broadcaster(self.link.far, STREAM, self.film_path, **self.broadcast)
            self._stack.callback(self.broadcaster.end)
            procs.wait_until(lambda: self.broadcaster._client, timeout=10, what="the broadcaster")
            readable, output = os.pipe()
            self.reader = PipeReader(readable, self.arrivals)
        self.client = Client(self, [url] if isinstance(url, str) else url or [self.url()], peer=self.peer,
                             output=output, **client)
        self._stack.callback(self.client.child.end)
        if output is not None:
            os.close(output)

    def another_client(self, stack, urls):
        """Returns a client whose media goes nowhere, for as long as `stack` lasts."""
        if self.direction == "push":
            client = Client(self, urls, peer=self.peer, film_path=self.film_path)
        else:
            with open(os.devnull, "wb") as nowhere:
                client = Client(self, urls, peer=self.peer, output=nowhere.fileno())
        stack.callback(client.child.end)
        return client

    def wait_pictures(self):
        def there():
            self.check()
            if not self.client.running():
                raise Defect(f"{self.client.child.argv} ended at once: {self.client.child.output()}")
            return len(self.arrivals.numbers()) > film.FPS

        try:
            procs.wait_until(there, timeout=FIRST_PICTURE_WITHIN, what="pictures")
        except AssertionError as error:
            raise Defect(f"{error}: {self.client.child.output()}") from None

    def check(self):
        if not self.link.child.running():
            raise Defect(f"the line has ended: {self.link.child.output()}")
        if self.reader is not None and self.reader.defect:
            raise Defect(self.reader.defect)

    def run(self, seconds):
        """Lets time pass, as much as makes a difference: when the client has ended, none."""
        self.run_until(lambda: False, seconds)

    def sleep(self, seconds):
        """Lets time pass."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            self.client.running()
            time.sleep(0.05)

    def run_until(self, condition, seconds):
        """The same until something is so, `seconds` at most."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not condition():
            self.check()
            if not self.client.running():
                return
            time.sleep(0.05)

    def pause(self, paused):
        """Stops the encoder, or lets it go on; returns when that is so."""
        word = "pause" if paused else "resume"
        if self.direction == "push":
            before = len(self.client.all(word))
            self.client.tell(word)
            self.run_until(lambda: len(self.client.all(word)) > before, 5)
        else:
            self.broadcaster.broadcast.paused = paused
            self.run_until(lambda: self.broadcaster.broadcast.still == paused, 5)

    def begin(self):
        if self._begin is None:
            self._size_before = self.client.size()
            self._begin = time.monotonic()

    def end(self):
        self._end = time.monotonic()

    def run_until_back(self, seconds, settle=4):
        self.run_until(lambda: self.arrivals.first_made_after(self._end), seconds)
        self.run(settle)

    def _made(self):
        return (self.client.pictures_made(time.monotonic()) if self.direction == "push"
                else self.broadcaster.broadcast.pictures)

    def told(self, notes, clients, **more):
        """Stops the clients; returns a result that says only this, and how they have ended."""
        running = [client for client in clients if client.running()]
        for client in running:
            client.tell_to_stop()
        end = time.monotonic() + STOPS_WITHIN
        stuck = [client for client in clients if not client.wait(max(0, end - time.monotonic()))]
        result = Result(self.case, self.direction, self.peer, stuck=bool(stuck), **more)
        left = [client.left() for client in clients]
        if None not in left:
            result.left = sum(left, [])
            notes += f"; left: {counted(result.left)}"
        if stuck:
            notes += f"; **does not end within {STOPS_WITHIN} s** of being told to"
        elif running:
            result.stopped_within = max(client.ended_at - client.stopped_at for client in running)
            notes += f"; stops within {seconds(result.stopped_within)}"
        result.notes = notes
        return result

    def _settle(self):
        """Waits until nothing has arrived for half a second, five at most."""
        end = time.monotonic() + 5
        count, since = self.arrivals.count(), time.monotonic()
        while time.monotonic() < min(end, since + 0.5):
            time.sleep(0.02)
            if self.arrivals.count() != count:
                count, since = self.arrivals.count(), time.monotonic()

    def result(self):
        """Stops the client in good order; returns what came of it."""
        result = Result(self.case, self.direction, self.peer)
        begin = self._begin or 0
        self.check()
        result.lived = self.client.running()
        finished = time.monotonic()
        size = self.client.size()
        if result.lived:
            if size is not None and self._size_before is not None:
                result.grown_kb, result.grown_fds, result.grown_threads = (
                    after - before for after, before in zip(size, self._size_before))
            if self.direction == "pull":
                # What has been made shall have arrived. Without an end of the stream, or the client would end by that.
                self.broadcaster.stop()
                self._settle()
            took = self.client.stop()
            result.stuck, result.stopped_within = took is None, took
            if took is None:
                result.last_words = self.client.last_words()
            self._settle()
        else:
            result.stuck = not self.client.wait(STOPS_WITHIN)
            result.ended_after = max(0, self.client.ended_at - begin)
            result.last_words = self.client.last_words()
        result.left = self.client.left()
        result.errors = len(self.client.all("error"))
        result.settings = [f"{line['key']}={str(line['value']).lower()}" for line in self.client.all("set")]
        result.bounded = bool(self.client.all("set", key="max-latency"))
        numbers = self.arrivals.numbers()
        if numbers:
            first = min(numbers)
            result.due = self._made() - first
            result.lost = result.due - len(numbers)
        if self.client.all("connection"):
            result.attempts = len(self.client.all("connection", state="connecting"))
        result.sources = self._sources()
        self._ages(result, begin, finished)
        result.backward = self.arrivals.backward
        result.gaps_without_key = self.arrivals.gaps_without_key()
        if os.environ.get("FAULTS_VERBOSE"):
            print(self.client.child.output(), self.server.log(), self.link.statistics(), sep="\n", file=sys.stderr)
        return result

    def _sources(self):
        """Returns {element: [attempts, why it waited for another, and "dropping" if it has dropped something]}."""
        sources = {}
        for line in self.client.said:
            if line["what"] in ("connection", "dropping"):
                said = sources.setdefault(line["source"], [0])
                said[0] += line.get("state") == "connecting"
                reason = "dropping" if line["what"] == "dropping" else line["reason"]
                if reason is not None and reason not in said:
                    said.append(reason)
        return sources

    def _ages(self, result, begin, finished):
        before = sorted(age for _, age in self.arrivals.ages(end=begin)[film.FPS:])
        if before:
            result.age_before = before[len(before) // 2]
        after = self.arrivals.ages(begin, finished)
        if after:
            result.age_worst = max(age for _, age in after)
            during = sorted(age for when, age in after if when <= (self._end or finished))
            result.age_during = during[len(during) // 2] if during else None
        if self._end is not None:
            back = self.arrivals.first_made_after(self._end)
            result.back_after = None if back is None else back - self._end
            if back is not None:
                sound = self.arrivals.first_sound_after(back)
                result.sound_after = None if sound is None else sound - self._end
                late = [when for when, age in after if when > self._end and age > MAX_LATENCY + film.GOP / film.FPS]
                result.timely_after = max(back, late[-1] if late else 0) - self._end
        last = sorted(age for when, age in after if when > finished - 2)
        if last and result.lived:
            result.age_end = last[len(last) // 2]
