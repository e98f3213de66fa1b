# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the outcomes are told: a line each while they come in, and a page with a table for each case."""

import os
import platform
import re
import subprocess

import cases
import film
import rig
from rig import seconds


def outcome_cells(outcome, figures=()):
    """Returns the cells of a row. `figures` are the heads of the case's own columns, if it has some."""
    if outcome.skipped:
        return [f"skipped: {outcome.skipped}"]
    if outcome.result is None:
        return [f"no measurement: {outcome.defect.splitlines()[0]}"]
    result = outcome.result
    if result.notes:
        return [result.notes]
    if result.stuck:
        end = f"**does not end within {rig.STOPS_WITHIN} s**: killed"
    elif result.lived:
        end = "lives"
        if result.attempts is not None and result.attempts > 1:
            end += f", tried {result.attempts - 1} times" if result.attempts > 2 else ", tried once"
    else:
        words = " ".join(result.last_words.replace("|", "/").split())
        end = f"ended after {seconds(result.ended_after)}: {words[:200]}"
    memory = ("-" if result.grown_kb is None else
              f"{result.grown_kb / 1000:+.1f} MB, {result.grown_fds:+d}, {result.grown_threads:+d}")
    left = "-" if result.left is None else rig.counted(result.left)
    process = [seconds(result.stopped_within), memory, left]
    if result.direction == "clock":
        return list(result.figures.values())
    if figures or result.figures:
        # One that has ended too soon has none.
        return [end, *(result.figures.get(head, "-") for head in figures or result.figures), *process]
    lost = f"{result.lost} of {result.due}, {result.lost / film.FPS:.1f} s" if result.lived else "all since then"
    back = seconds(result.back_after if result.lived else None, "never")
    return [end, back, lost, seconds(result.age_during), seconds(result.age_worst), seconds(result.age_end),
            seconds(result.timely_after), *process]


def line(outcome):
    return f"{outcome.title()}: {', '.join(outcome_cells(outcome))}"


MEDIA = ["back after", "pictures lost", "late, half of them", "late, the worst", "late at the end", "in time after"]
PROCESS = ["stops within", "memory, fds, threads", "left"]


ABOUT = """# Reliability

What becomes of a broadcast when the network or the server fails: rtmpsink and rtmpsrc, GStreamer's rtmp2sink and
rtmp2src, and ffmpeg, each through the same fault in the same run; a plain socket, behind a queue without a bound, where
the network alone matters. This page is made by `./run faults` (`--quick` for the quick half, names of faults for these
alone; root is needed), from {versions}.{load}

The client under test and an nginx-rtmp are in two network namespaces, joined by a line that a program carries
(`tests/support/badlink.cpp`): 5 ms each way unless the fault says otherwise. TCP has cubic; rtmpsink chooses for itself
if it is not told. Pictures come at 30 a second, a key frame each second, with sound. Each carries its number and the
time when it was made, so what is lost and how late the rest is are read off what arrives at the far end. The encoder does
not wait for a sender that is behind: what the sender does not take is kept for it. Set on our elements: {settings}.
The others are as they come.

| column | says |
|---|---|
| outcome | whether the program lives, or when and why it ended; and how often it tried to connect again |
| back after | from the fault's end to the first picture that was made after it |
| pictures lost | of those made from the first that arrived to the end of the measurement |
| late, half of them | from being made to arriving, the median of the pictures that arrived during the fault |
| late, the worst | the most, from the fault's begin on |
| late at the end | the median of the last two seconds |
| in time after | from the fault's end until pictures are never again more than {in_time:.0f} s late |
| stops within | from being told to stop until all is stopped |
| memory, fds, threads | what the process has grown by, from before the fault until a few seconds after it |
| left | threads and descriptors in a process after its pipeline's end that were not there before it started |
"""


def version(*argv):
    try:
        text = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20).stdout
    except OSError:
        return f"{argv[0]} (not there)"
    found = re.search(r"version (\S+)", text)
    return f"{argv[0].removesuffix('-launch-1.0').replace('gst', 'GStreamer')} {found[1] if found else ''}"


def about(outcomes, load_before):
    versions = ", ".join([version("gst-launch-1.0", "--version"), version("ffmpeg", "-version"),
                          f"Linux {platform.release()}"])
    settings = sorted({setting for row in outcomes if row.result is not None and row.peer == rig.OURS
                       for setting in row.result.settings})
    load = ""
    if load_before is not None:
        load = (f"\n{os.cpu_count()} processors; before it began, {load_before:.1f} processes of others wanted one: "
                "the fewer, the better the figures.")
    settings = ", ".join(f"`{setting}`" for setting in settings) or "none"
    return ABOUT.format(versions=versions, load=load, settings=settings,
                        in_time=rig.MAX_LATENCY + film.GOP / film.FPS)


def document(outcomes, load_before=None):
    """Returns the page. `load_before` is how many processes wanted a processor before the measurement."""
    text = [about(outcomes, load_before)]
    families = {}
    for case in cases.CASES:
        if any(outcome.case is case for outcome in outcomes):
            families.setdefault(case.family or case.name, []).append(case)
    for name, members in families.items():
        what = members[0].what
        text += [f"## {name}", "", f"{what[0].upper()}{what[1:]}{'' if what.endswith('?') else '.'}", ""]
        for direction in members[0].directions:
            text += table(direction, members, [row for row in outcomes if row.direction == direction])
        text += [note for member in members for note in (member.note, "") if member.note]
    return "\n".join(text)


def table(direction, members, outcomes):
    ours = [outcome for outcome in outcomes if outcome.case in members]
    figures = next((list(outcome.result.figures) for outcome in ours if outcome.result and outcome.result.figures), [])
    rows = []
    for case in members:
        for outcome in sorted((outcome for outcome in ours if outcome.case is case),
                              key=lambda outcome: rig.PEERS.index(outcome.peer)):
            rows.append([*([case.variant] if case.variant else []), rig.NAMES[direction, outcome.peer],
                         *outcome_cells(outcome, figures)])
    columns = figures if direction == "clock" else ["outcome", *(figures or MEDIA), *PROCESS]
    # A case that is told in words has no other columns.
    head = [*([""] if members[0].variant else []), direction, *columns][:max(map(len, rows))]
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    text += ["| " + " | ".join(row + [""] * (len(head) - len(row))) + " |" for row in rows]
    return [*text, ""]
