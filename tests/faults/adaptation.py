# SPDX-License-Identifier: LGPL-2.1-or-later
"""A line that grows narrow and wider again, and an encoder that follows it, or does not."""

import functools
import statistics
import time

import rig
from cases import case, ends_well

ENCODER_KBPS = 4500
# kbit/s of the line, and for how many seconds
PHASES = [(6000, 10), (1500, 20), (4000, 30)]
# A picture that is younger is in time: a few round trips, and what an encoder's own buffer holds.
IN_TIME = 0.5
# At the end of each phase, for what has been reached.
REACHED_OVER = 5
STEP = 0.5

OBS = """OBS was not run. What its source has (`plugins/obs-outputs/rtmp-stream.c` of 2026; "Dynamically change
bitrate", off unless the user turns it on): once 200 ms of media wait in its own queue, the encoder gets what went
into the socket over the last 1 to 2 s, less the sound, in whole 100 kbit/s, 50 kbit/s at least; every 4 s without
that it gets a tenth of the configured bitrate more, up to the configured one; a raise that makes media wait is taken
back. While it adapts it drops no pictures. What the kernel's buffer holds it does not see. By these figures its way
up from 1.4 Mbit/s to 3.2 Mbit/s, of a configured 4.5 Mbit/s, takes four raises, 16 s; that is reckoned, not measured."""


class Phase:
    """What came of a phase: kbit/s that arrived at the end of it, and the pictures' ages."""

    def __init__(self, scene, begin, end):
        self.reached = scene.arrivals.kbps(end - REACHED_OVER, end)
        ages = scene.arrivals.ages(begin, end)
        self.ages = [age for _, age in ages]
        late = [when for when, age in ages if age > IN_TIME]
        settled = late[-1] if late else begin
        last = [age for when, age in ages if when > end - REACHED_OVER]
        self.late_at_end = statistics.median(last) if last else None
        # One that is late to its end has not settled.
        self.settles = settled - begin if settled < end - REACHED_OVER else None
        self.begin, self.end = begin, end

    def reaches(self, scene, kbps):
        """Returns after how many seconds a second has brought that much, or None."""
        at = self.begin
        while at + 1 <= self.end:
            if scene.arrivals.kbps(at, at + 1) >= kbps:
                return at + 1 - self.begin
            at += STEP
        return None


def lives(result):
    if not result.lived:
        return [f"ended {result.ended_after:.1f} s after the fault began: {result.last_words}"]
    complaints = ends_well(result)
    if result.attempts != 1:
        complaints.append(f"{result.attempts} connections, though nobody broke the first")
    return complaints


def follows(result):
    """What must hold of ours with a bitrate-target."""
    measures, complaints = result.measures, lives(result)
    if "reached" not in measures:
        return complaints
    if measures["asked"] == 0:
        complaints.append("the encoder was never asked for another bitrate")
    _, narrow, wider = measures["reached"]
    if not 600 < narrow < 1500:
        complaints.append(f"{narrow:.0f} kbit/s arrived through 1500 kbit/s")
    if not 2400 < wider < 4000:
        complaints.append(f"{wider:.0f} kbit/s arrived through 4000 kbit/s")
    # It tries what more the line carries, so that a few may be late at any time.
    if any(late is None or late > IN_TIME for late in measures["late_at_end"]):
        complaints.append(f"half of the pictures were late at the end of a phase: {measures['late_at_end']} s")
    if result.age_end is None or result.age_end > 1:
        complaints.append(f"at the end pictures arrived {result.age_end} s late")
    return complaints


def adaptation(name, direction, peer, *, adapts):
    properties = {"bitrate-property": "bitrate", "bitrate-unit": 1000} if adapts else {}
    with rig.Scene(name, direction, peer, line={"delay": 20, "rate": PHASES[0][0], "queue": 300}) as scene:
        scene.start(properties=properties, x264={"kbps": ENCODER_KBPS, "adapt": adapts})
        scene.wait_pictures()
        scene.begin()
        bounds = []
        for rate, seconds in PHASES:
            scene.link.set(rate=rate)
            bounds.append(time.monotonic())
            scene.run(seconds)
        scene.end()
        bounds.append(time.monotonic())
        if not scene.client.running():
            return scene.result()
        phases = [Phase(scene, *pair) for pair in zip(bounds, bounds[1:])]
        asked = [(line["at"], line["kbps"]) for line in scene.client.all("bitrate")]
        up_to = 0.8 * PHASES[2][0]
        reached_after = phases[2].reaches(scene, up_to)
        result = scene.result()
        ages = [age for phase in phases for age in phase.ages]
        result.measures = {"reached": [phase.reached for phase in phases], "asked": len(asked),
                           "late_at_end": [phase.late_at_end for phase in phases]}
        result.figures = {
            "arrived at the end of each, Mbit/s": ", ".join(f"{phase.reached / 1000:.1f}" for phase in phases),
            "encoder set to, Mbit/s": told(asked, bounds),
            "in time after 6 -> 1.5": rig.seconds(phases[1].settles, "never"),
            "in time after 1.5 -> 4": rig.seconds(phases[2].settles, "never"),
            f"{up_to / 1000:.1f} Mbit/s after": rig.seconds(reached_after, "never"),
            "late, half of them": rig.seconds(statistics.median(ages) if ages else None),
            "late, the worst": rig.seconds(max(ages, default=None)),
            "pictures lost": f"{result.lost} of {result.due}",
        }
        return result


def told(asked, bounds):
    """Returns the bitrates that the encoder had at the end of each phase, in Mbit/s."""
    at_end = []
    for end in bounds[1:]:
        kbps = [rate for when, rate in asked if when <= end]
        at_end.append(f"{(kbps[-1] if kbps else ENCODER_KBPS) / 1000:.1f}")
    return ", ".join(at_end)


WHAT = (f"the line steps from 6 to 1.5 to 4 Mbit/s, for {', '.join(str(seconds) for _, seconds in PHASES)} s, under "
        f"x264enc at {ENCODER_KBPS / 1000} Mbit/s")
case("adaptation-on", WHAT, family="adaptation", variant="bitrate-target=x264enc", directions=("push",),
     peers=(rig.OURS,), quick=False, holds=follows, note=OBS)(functools.partial(adaptation, adapts=True))
case("adaptation-off", WHAT, family="adaptation", variant="fixed bitrate", directions=("push",), quick=False,
     holds=lives)(
    functools.partial(adaptation, adapts=False))
