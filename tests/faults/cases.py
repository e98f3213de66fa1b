# SPDX-License-Identifier: LGPL-2.1-or-later
"""The faults. A case is a function of a scene's direction and peer; it answers a rig.Result.

What must hold of our own elements is asserted by the case's `holds`, with generous bounds: they tell right from wrong,
not fast from slow. What the peers do is only told.
"""

import dataclasses
from typing import Callable

import rig

BOTH = ("push", "pull")


@dataclasses.dataclass
class Case:
    name: str
    what: str  # for the table
    run: Callable
    directions: tuple = BOTH
    quick: bool = True
    holds: Callable = lambda result: []


CASES = []


def case(name, what, **more):
    def add(function):
        CASES.append(Case(name, what, function, **more))
        return function
    return add


def survives(*, breaks=True, back_within=None, lost_at_most=None, age_end_at_most=rig.MAX_LATENCY + 1):
    """What must hold of ours: it lives, pictures come again, it ends when it is told to. Answers the complaints.

    Where the connection `breaks`, an element that cannot reconnect may end, with one error at most.
    """

    def check(result):
        complaints = []
        if result.due < 60:
            complaints.append(f"only {result.due} pictures were made: this has tested nothing")
        if not result.lived and breaks and not result.reconnects:
            return complaints + ([f"{result.errors} errors"] if result.errors > 1 else [])
        if not result.lived:
            return [f"ended {result.ended_after:.1f} s after the fault began: {result.last_words}"]
        if result.stuck:
            complaints.append(f"did not end within {rig.STOPS_WITHIN} s of being told to")
        if back_within is not None and (result.back_after is None or result.back_after > back_within):
            complaints.append(f"pictures were back after {result.back_after} s, not within {back_within}")
        if lost_at_most is not None and result.lost > lost_at_most:
            complaints.append(f"{result.lost} pictures of {result.due} were lost, more than {lost_at_most}")
        if result.age_end is None or result.age_end > age_end_at_most:
            complaints.append(f"at the end pictures arrived {result.age_end} s late, more than {age_end_at_most}")
        if result.grown_fds is not None and result.grown_fds > 4:
            complaints.append(f"{result.grown_fds} descriptors more than before")
        if result.grown_kb is not None and result.grown_kb > 50_000:
            complaints.append(f"{result.grown_kb} kB more memory than before")
        return complaints

    return check


def cut(name, direction, peer, seconds):
    with rig.Scene(name, direction, peer) as scene:
        scene.start()
        scene.wait_pictures()
        scene.run(2)
        scene.begin()
        scene.link.cut()
        scene.run(seconds)
        scene.link.mend()
        scene.end()
        scene.run_until_back(30)
        return scene.result()


@case("partition-8s", "the line is cut for 8 s", holds=survives(back_within=25))
def partition_short(name, direction, peer):
    return cut(name, direction, peer, 8)


@case("partition-60s", "the line is cut for 60 s", quick=False, holds=survives(back_within=30))
def partition_long(name, direction, peer):
    return cut(name, direction, peer, 60)


@case("server-restart", "the server is killed, and started again 3 s later", holds=survives(back_within=15))
def server_restart(name, direction, peer):
    with rig.Scene(name, direction, peer) as scene:
        scene.start()
        scene.wait_pictures()
        scene.run(2)
        scene.begin()
        scene.server.kill()
        scene.sleep(3)
        scene.server.revive()
        scene.end()
        scene.run_until_back(20)
        return scene.result()


@case("rate-drop", "the line's rate goes from 20 to 0.5 Mbit/s for 10 s and back, under a stream of 1.6 Mbit/s",
      directions=("push",), holds=survives(breaks=False, back_within=5))
def rate_drop(name, direction, peer):
    with rig.Scene(name, direction, peer, bitrate="3M", line={"delay": 20, "rate": 20000, "queue": 300}) as scene:
        scene.start()
        scene.wait_pictures()
        scene.run(2)
        scene.begin()
        scene.link.set(rate=500)
        scene.run(10)
        scene.link.set(rate=20000)
        scene.end()
        scene.run_until_back(10)
        return scene.result()
