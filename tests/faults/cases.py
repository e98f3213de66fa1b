# SPDX-License-Identifier: LGPL-2.1-or-later
"""The faults. A case is a function of a scene's direction and peer; it answers a rig.Result.

What must hold of our own elements is asserted by the case's `holds`, with generous bounds: they tell right from wrong,
not fast from slow. What the peers do is only told.
"""

import contextlib
import dataclasses
import functools
import pathlib
import tempfile
import time
import unittest
from typing import Callable

import rig
import relay

import fake_server
import film
import procs
import tls

BOTH = ("push", "pull")
# With a socket that does nothing about it; for push.
WITH_SOCKET = (rig.OURS, rig.RTMP2, rig.FFMPEG, rig.SOCKET)


@dataclasses.dataclass
class Case:
    name: str
    what: str  # for the table
    run: Callable
    directions: tuple = BOTH
    peers: tuple = (rig.OURS, rig.RTMP2, rig.FFMPEG)
    quick: bool = True
    holds: Callable = lambda result: []
    family: str = ""  # cases that share a table, and a word for them all
    variant: str = ""  # what tells it from the rest of these
    note: str = ""  # for below the table


CASES = []


def case(name, what, **more):
    def add(function):
        CASES.append(Case(name, what, function, **more))
        return function
    return add


def survives(*, breaks=True, keeps=None, back_within=None, lost_at_most=None, age_end_at_most=rig.MAX_LATENCY + 1,
             timely_within=None):
    """What must hold of ours: it lives, pictures come again, it ends when it is told to. Answers the complaints.

    Where the connection does not break, it is kept (`keeps`), not replaced. `timely_within` is for an element that has
    a bound of its latency.
    """
    if keeps is None:
        keeps = not breaks

    def check(result):
        complaints = []
        if result.due < 60:
            complaints.append(f"only {result.due} pictures were made: this has tested nothing")
        if not result.lived:
            return [f"ended {result.ended_after:.1f} s after the fault began: {result.last_words}"]
        if keeps and result.attempts is not None and result.attempts > 1:
            complaints.append(f"{result.attempts} connections, though the first one was not broken by anybody else")
        if back_within is not None and (result.back_after is None or result.back_after > back_within):
            complaints.append(f"pictures were back after {result.back_after} s, not within {back_within}")
        if back_within is not None and (result.sound_after is None or result.sound_after > back_within):
            complaints.append(f"sound was back after {result.sound_after} s, not within {back_within}")
        if breaks and result.gaps_without_key:
            complaints.append(f"no key frames behind gaps: pictures {result.gaps_without_key[:10]}")
        if lost_at_most is not None and result.lost > lost_at_most:
            complaints.append(f"{result.lost} pictures of {result.due} were lost, more than {lost_at_most}")
        if result.backward > 0:
            complaints.append(f"time stamps went back by {result.backward} ms")
        if result.age_end is None or result.age_end > age_end_at_most:
            complaints.append(f"at the end pictures arrived {result.age_end} s late, more than {age_end_at_most}")
        if timely_within is not None and result.bounded and (
                result.timely_after is None or result.timely_after > timely_within):
            complaints.append(f"pictures were late until {result.timely_after} s after it, not {timely_within}")
        complaints += ends_well(result)
        return complaints

    return check


def ends_well(result):
    """Answers the complaints about what it has grown by, whether it ends, and what is left of it then."""
    complaints = []
    if result.stuck:
        complaints.append(f"did not end within {rig.STOPS_WITHIN} s of being told to")
    if result.grown_fds is not None and result.grown_fds > 4:
        complaints.append(f"{result.grown_fds} descriptors more than before")
    # GLib's pools keep idle ones for a while.
    if result.grown_threads is not None and result.grown_threads > 4:
        complaints.append(f"{result.grown_threads} threads more than before")
    if result.grown_kb is not None and result.grown_kb > 50_000:
        complaints.append(f"{result.grown_kb} kB more memory than before")
    if result.left:
        complaints.append(f"left behind in the process after its end: {rig.counted(result.left)}")
    return complaints


def measure(name, direction, peer, fault, *, settle=4, back=30, client=None, url=None, **scene):
    """One broadcast with a fault in its midst: `fault` is given the scene, and lasts as long as it takes."""
    with rig.Scene(name, direction, peer, **scene) as stage:
        stage.start(url(stage) if url else None, **(client or {}))
        stage.wait_pictures()
        stage.run(2)
        stage.begin()
        fault(stage)
        stage.end()
        stage.run_until_back(back, settle)
        return stage.result()


# The line. A fault that has not come about is no measurement: each is looked at.

def run_without_pictures(scene, seconds):
    """Those that are made from now on may not come."""
    began = time.monotonic()
    scene.run(seconds)
    if scene.arrivals.first_made_after(began) is not None:
        raise rig.Defect("pictures came all the same")


def cut(scene, seconds):
    scene.link.cut()
    # It answers in turn: then the line is cut.
    scene.link.statistics()
    run_without_pictures(scene, seconds)
    scene.link.mend()


@case("partition-8s", "the line is cut", family="partition", variant="8 s", holds=survives(back_within=10))
def partition_short(name, direction, peer):
    return measure(name, direction, peer, lambda scene: cut(scene, 8))


@case("partition-60s", "the line is cut", family="partition", variant="60 s", quick=False,
      holds=survives(back_within=10))
def partition_long(name, direction, peer):
    return measure(name, direction, peer, lambda scene: cut(scene, 60), back=60)


def media_way(scene):
    return "a_to_b" if scene.direction == "push" else "b_to_a"


def passed(scene):
    return scene.link.statistics()[media_way(scene)]["bytes"]


def at_rate(scene, before, during, seconds):
    scene.link.set(rate=during)
    scene.run(0.5)
    octets, began = passed(scene), time.monotonic()
    scene.run(seconds)
    rate = (passed(scene) - octets) * 8 / 1000 / (time.monotonic() - began + 0.001)
    if scene.client.running() and rate > during * 1.1:
        raise rig.Defect(f"the line carried {rate:.0f} kbit/s, not {during}")
    scene.link.set(rate=before)


# What a player can do is to live, and to keep its connection: what is late is the server's.
@case("rate-drop", "the line's rate goes from 20 to 0.5 Mbit/s for 10 s and back, under a stream of 1.6 Mbit/s",
      peers=WITH_SOCKET, holds=survives(breaks=False, back_within=5, timely_within=3))
def rate_drop(name, direction, peer):
    return measure(name, direction, peer, lambda scene: at_rate(scene, 20000, 500, 10), bitrate="3M",
                   line={"delay": 20, "rate": 20000, "queue": 300})


@case("choke-300k", "the line has 300 kbit/s for 30 s, under a stream of 0.7 Mbit/s", quick=False,
      peers=WITH_SOCKET, holds=survives(breaks=False, back_within=5, timely_within=3))
def choke(name, direction, peer):
    return measure(name, direction, peer, lambda scene: at_rate(scene, 20000, 300, 30),
                   line={"delay": 20, "rate": 20000, "queue": 300})


def loss(name, direction, peer, *, percent, round_trip, congestion, seconds=10, **scene):
    def fault(scene):
        sender = scene.link.near if direction == "push" else scene.link.far
        if sender.congestion_controls() != {congestion}:
            raise rig.Defect(f"the sender uses {sender.congestion_controls()}, not {congestion}")
        before = scene.link.statistics()[media_way(scene)]
        scene.link.set(loss=percent)
        scene.run(seconds)
        after = scene.link.statistics()[media_way(scene)]
        lost, carried = (after[key] - before[key] for key in ("lost", "passed"))
        # Of few that are expected none may be lost.
        expected = (lost + carried) * percent / 100
        if scene.client.running() and not (expected - 8) / 4 < lost < expected * 4 + 8:
            raise rig.Defect(f"{lost} of {lost + carried} packets were lost, not {percent} %")
        scene.link.set(loss=0)

    available = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text(encoding="ascii")
    if congestion not in available.split():
        raise unittest.SkipTest(f"no {congestion} in this kernel")
    return measure(name, direction, peer, fault, **{"bitrate": "1M", **scene}, congestion=congestion,
                   line={"delay": round_trip / 2},
                   client={"properties": {"congestion-control": congestion} if direction == "push" else {}})


for percent in (0.2, 1, 2):
    for round_trip in (60, 100):
        for congestion in ("cubic", "bbr"):
            case(f"loss-{percent}-{round_trip}ms-{congestion}",
                 "some of the packets are lost for 10 s, under a stream of 1 Mbit/s", family="loss",
                 variant=f"{percent} %, round trip {round_trip} ms, {congestion}",
                 quick=(percent, round_trip, congestion) == (1, 60, "cubic"),
                 holds=survives(breaks=False, back_within=5))(
                functools.partial(loss, percent=percent, round_trip=round_trip, congestion=congestion))


def is_bounded_or_bbr(congestion):
    """Of 4 Mbit/s cubic carries but a part: then the bound of the latency holds. bbr carries all of it in time."""
    def check(result):
        complaints = survives(breaks=False, back_within=5, timely_within=4)(result)
        most = rig.MAX_LATENCY + 1 if congestion == "cubic" else 1
        if result.age_during is None or result.age_during > most:
            complaints.append(f"half of the pictures were more than {result.age_during} s late, not {most}")
        return complaints
    return check


for congestion in ("cubic", "bbr"):
    case(f"loss-4M-{congestion}",
         "2 % of the packets are lost for 30 s, round trip 60 ms, under a stream of 4 Mbit/s exactly",
         family="loss-4M", variant=congestion, quick=False, directions=("push",), peers=WITH_SOCKET,
         holds=is_bounded_or_bbr(congestion))(
        functools.partial(loss, percent=2, round_trip=60, congestion=congestion, seconds=30, bitrate="3M",
                          broadcast={"kbps": 4000}))


# The clock.

def keeps_time(result):
    complaints = survives(breaks=False, back_within=5, lost_at_most=0)(result)
    # 33 1/3 ms cut to whole ones at either end.
    return complaints + ([] if result.measures["off"] <= 2 else [f"time stamps are {result.measures['off']} ms off"])


@case("timestamp-wrap", f"time stamps come to the end of their 32 bits, {film.WRAPS_AFTER} s after the first",
      holds=keeps_time)
def timestamp_wrap(name, direction, peer):
    stages = []

    def fault(scene):
        stages.append(scene)
        scene.run(film.WRAPS_AFTER)
        if scene.client.running() and max(scene.arrivals.numbers()) / film.FPS < film.WRAPS_AFTER + 1:
            raise rig.Defect("it has not come to the end of 32 bits yet")

    result = measure(name, direction, peer, fault, broadcast={"first": film.BEFORE_WRAP})
    result.measures["off"] = stages[0].arrivals.stamp_error()
    result.figures = {"pictures lost": f"{result.lost} of {result.due}", "late, the worst": rig.seconds(
        result.age_worst), "time stamps off by": f"{result.measures['off']} ms"}
    return result


# The server.

def restart(scene):
    scene.server.kill()
    scene.sleep(3)
    scene.server.restart()


@case("server-restart", "the server is killed, and started again 3 s later", holds=survives(back_within=15))
def server_restart(name, direction, peer):
    return measure(name, direction, peer, restart)


def break_off(name, direction, peer, how):
    with contextlib.ExitStack() as stack:
        def url(scene):
            scene.relay = stack.enter_context(relay.Relay(scene.link.far, rig.PORT))
            return scene.url(scene.relay.port)

        def fault(scene):
            scene.relay.break_off(how)
            scene.run_until(lambda: scene.relay.broken, 5)
            if not scene.relay.broken:
                raise rig.Defect("the connection was not broken off")

        return measure(name, direction, peer, fault, url=url)


@case("reset", "the connection is reset in the middle of a message", holds=survives(back_within=15))
def reset(name, direction, peer):
    return break_off(name, direction, peer, relay.RESET)


@case("half-close", "the server's side ends its half of the connection, in the middle of a message if it sends one",
      holds=survives(back_within=25))
def half_close(name, direction, peer):
    return break_off(name, direction, peer, relay.HALF_CLOSE)


STEPS_WITHIN = 25


def leaves_silence(result):
    complaints = ends_well(result)
    if not result.lived:
        complaints.append(f"waits for ever in a step that has no answer: {result.notes}")
    return complaints


@case("silence", "after each step of connecting the server says nothing more; how long the client waits until it tries "
      "again or ends", holds=leaves_silence)
def silence(name, direction, peer):
    silent = fake_server.SILENCE
    answers = {"handshake": {"greeting": silent}, "connect": {"connect": silent}, "createStream":
               {"createStream": silent}, "publish": {"publish": silent}, "play": {"play": silent}}
    del answers["play" if direction == "push" else "publish"]
    with rig.Scene(name, direction, peer) as scene, contextlib.ExitStack() as stack:
        waits = {}
        for step, script in answers.items():
            server = stack.enter_context(fake_server.FakeServer(listener=scene.link.far.listener(), **script))
            client = scene.another_client(stack, [scene.url(server.port)])
            waits[step] = [server, client, None, "waits"]
        end = time.monotonic() + STEPS_WITHIN
        while time.monotonic() < end and any(wait[2] is None for wait in waits.values()):
            scene.check()
            for wait in waits.values():
                server, client, took, _ = wait
                if server.num_clients and not hasattr(server, "began"):
                    server.began = time.monotonic()
                if took is None and server.num_clients > 1:
                    wait[2:] = time.monotonic() - server.began, "tries again"
                elif took is None and not client.running():
                    if not server.num_clients:
                        raise rig.Defect(f"{step}: it never connected: {client.child.output()}")
                    wait[2:] = time.monotonic() - server.began, "ends"
            time.sleep(0.02)
        told = [f"{step}: " + (f"waits longer than {STEPS_WITHIN} s" if took is None else f"{what} after {took:.1f} s")
                for step, (_, _, took, what) in waits.items()]
        return scene.told("; ".join(told), [wait[1] for wait in waits.values()],
                          lived=all(wait[2] is not None for wait in waits.values()))


# The name, the certificate.

def says(result, source, *reasons):
    """Complains unless the element has told one of these reasons."""
    told = result.sources.get(source, [])
    return [] if set(reasons) & set(told) else [f"{source} has told {told[1:]}, not {' or '.join(reasons)}"]


def back_after_unknown(result):
    return survives(back_within=20)(result) + says(result, "client0", "unknown-host")


@case("name-lost", "the server is restarted, and its name cannot be resolved for 5 s", holds=back_after_unknown)
def name_lost(name, direction, peer):
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        hosts = pathlib.Path(folder, "hosts")
        nobody = pathlib.Path(folder, "resolv.conf")
        nobody.write_text("nameserver 10.77.0.2\noptions timeout:1 attempts:1\n", encoding="ascii")

        def resolve(scene, there):
            # In place: what is mounted is this file, not its name.
            hosts.write_text("127.0.0.1 localhost\n" + (f"{scene.link.far.address} media.test\n" if there else ""),
                             encoding="ascii")

        def fault(scene):
            resolve(scene, False)
            restart(scene)
            scene.sleep(2)
            if procs.run([*scene.link.near.prefix, *prefix, "getent", "ahosts", "media.test"], timeout=10,
                         check=False)[0] == 0:
                raise rig.Defect("the name is resolved all the same")
            resolve(scene, True)

        def url(scene):
            resolve(scene, True)
            return f"rtmp://media.test:{rig.PORT}/live/{rig.STREAM}"

        mounted = f"mount --bind {hosts} /etc/hosts && mount --bind {nobody} /etc/resolv.conf && exec \"$@\""
        prefix = ["unshare", "--mount", "sh", "-c", mounted, "sh"]
        return measure(name, direction, peer, fault, url=url, client={"prefix": prefix})


def refuses(result):
    if result.lived:
        return [f"took a certificate that has expired: {result.notes}"]
    if "expired" not in result.notes:
        return [f"refused for another reason: {result.notes}"]
    return ends_well(result) + ([] if result.errors == 1 else [f"{result.errors} errors: {result.notes}"])


@case("certificate-expired", "the server's certificate has expired", holds=refuses)
def certificate_expired(name, direction, peer):
    tls.require()
    with rig.Scene(name, direction, peer) as scene, tls.Authority() as authority, contextlib.ExitStack() as stack:
        certificate = authority.certificate("old", days=-1, names=f"IP:{scene.link.far.address}")
        server = stack.enter_context(tls.Stunnel(rig.PORT, certificate, prefix=scene.link.far.prefix,
                                                 address="0.0.0.0"))
        began = time.monotonic()
        scene.start(f"rtmps://{scene.link.far.address}:{server.port}/live/{rig.STREAM}",
                    properties={"tls-ca-file": str(authority.ca)})
        scene.run_until(scene.arrivals.numbers, 10)
        if scene.client.running():
            there = len(scene.arrivals.numbers())
            return scene.told("takes it, and pictures pass" if there else "waits, or tries for ever", [scene.client],
                              lived=True)
        words = scene.client.last_words()
        return scene.told(f"refuses it after {scene.client.ended_at - began:.1f} s: {words}", [scene.client],
                          lived=False, errors=len(scene.client.all("error")))


# The application.

def encoder_stops(name, direction, peer, *, seconds):
    def fault(scene):
        scene.pause(True)
        run_without_pictures(scene, seconds)
        scene.pause(False)

    # Far away: what is made after the pause waits for its acknowledgement for a while.
    return measure(name, direction, peer, fault, line={"delay": 100})


# Twelve are more than abandon-after: an encoder that pauses is no line that stalls.
for seconds in (5, 12):
    case(f"encoder-stops-{seconds}s", "the encoder makes nothing for a while, at the end of a line of 100 ms each way",
         family="encoder-stops", variant=f"{seconds} s", quick=seconds == 5,
         holds=survives(breaks=False, back_within=5, lost_at_most=15))(
        functools.partial(encoder_stops, seconds=seconds))


def fourth_is_whole(result):
    complaints = survives(breaks=False, keeps=False, lost_at_most=0, age_end_at_most=1)(result)
    complaints += says(result, "client0", "stalled", "dropping") + says(result, "client1", "refused")
    attempts = [result.sources.get(f"client{number}", [0])[0] for number in range(4)]
    if attempts[2] < 3:
        complaints.append(f"the one that is reset has connected {attempts[2]} times only")
    if attempts[3] != 1:
        complaints.append(f"the fourth has connected {attempts[3]} times")
    return complaints


@case("four-destinations",
      "behind a tee one destination stalls, one refuses, one is reset every 2 s; what of the fourth?",
      directions=("push",), holds=fourth_is_whole)
def four_destinations(name, direction, peer):
    with rig.Scene(name, direction, peer) as scene, contextlib.ExitStack() as stack:
        stalling, flapping = (stack.enter_context(relay.Relay(scene.link.far, rig.PORT)) for _ in range(2))
        refusing = scene.link.far.listener()
        port = refusing.getsockname()[1]
        refusing.close()
        scene.start([scene.url(stalling.port, "stalling"), scene.url(port, "refusing"),
                     scene.url(flapping.port, "flapping"), scene.url()])
        scene.run_until(lambda: len(scene.arrivals.numbers()) > film.FPS, rig.FIRST_PICTURE_WITHIN)
        scene.run(1)
        scene.begin()
        stalling.stalled = True
        for _ in range(5):
            scene.run(2)
            flapping.break_off(relay.RESET)
        scene.run(2)
        if scene.client.running() and (stalling.num_clients == 0 or flapping.broken == 0):
            raise rig.Defect(f"{stalling.num_clients} connections stalled, {flapping.broken} were reset")
        scene.end()
        scene.run(2)
        return scene.result()
