# SPDX-License-Identifier: LGPL-2.1-or-later
"""What takes longer than anybody waits, by the program long_run (long_run.cpp): the real code on a clock of its own."""

import functools
import json
import os
import pathlib

import procs
import rig
from cases import case

WORST_MS = 20  # of what jitter of 4 ms and stalls of 300 ms each minute do


def long_run(*arguments):
    program = pathlib.Path(os.environ["RTMP_TEST_BUILD"], "tests", "faults", "long_run")
    _, output = procs.run([program, *arguments], timeout=110)
    return json.loads(output)


def simulated(name, direction, peer, measures, **figures):
    return rig.Result(name, direction, peer, measures=measures, figures={
        **{head.replace("_", " "): str(figure) for head, figure in figures.items()},
        "off by at most": f"{measures['worst_ms']:.1f} ms", "discontinuities": str(measures["discontinuities"])})


def keeps_time(result):
    complaints = []
    if result.measures["worst_ms"] > WORST_MS:
        complaints.append(f"{result.measures['worst_ms']} ms off")
    if result.measures["discontinuities"]:
        complaints.append(f"{result.measures['discontinuities']} discontinuities")
    return complaints


def skew(name, direction, peer, *, ppm):
    measures = long_run("skew", str(ppm))
    return simulated(name, direction, peer, measures, packets=measures["packets"],
                     the_clocks_part_by=f"{measures['drift_ms'] / 1000:+.2f} s")


for ppm in (200, -200):
    case(f"skew{ppm:+}ppm", "simulated: rtmpsrc plays for 12 hours what a sender makes whose clock goes wrong by 200 "
         "ppm, over a path with jitter and a second of congestion a minute; how far pictures lie from where they "
         "belong in the pipeline's time", family="clock-skew", variant=f"{ppm:+} ppm", directions=("clock",),
         peers=(rig.OURS,), holds=keeps_time)(functools.partial(skew, ppm=ppm))


def weeks(result):
    measures, complaints = result.measures, keeps_time(result)
    if measures["days"] < 60 or measures["wraps"] != 1 or not measures["pings"]:
        complaints.append(f"this is not what was to be run: {measures}")
    if measures["closed"] or measures["lost"]:
        complaints.append(f"{measures['lost']} messages lost, closed: {measures['closed']}")
    if measures["grown_kb"] > 4000:
        complaints.append(f"{measures['grown_kb']} kB more memory than at the beginning")
    return complaints


@case("sixty-days", "simulated: a client of the core publishes a stream and plays another for 60 days, one picture and "
      "one piece of sound each 10 s, past the end of 32 bits of milliseconds and of octets; what is played passes "
      "through rtmpsrc's time line", directions=("clock",), peers=(rig.OURS,), quick=False, holds=weeks)
def sixty_days(name, direction, peer):
    measures = long_run("days")
    return simulated(name, direction, peer, measures, messages=measures["messages"],
                     octets=f"{measures['octets'] / 1e9:.1f} GB", time_stamp_wraps=measures["wraps"],
                     pings_answered=measures["pings"], lost=measures["lost"],
                     memory=f"{measures['grown_kb'] / 1000:+.1f} MB",
                     connection="**lost**" if measures["closed"] else "kept")
