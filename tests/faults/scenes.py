#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs scenes side by side, each in a process of its own: `scenes.py CASE DIRECTION PEER` is one, and prints JSON."""

import collections
import dataclasses
import json
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cases  # noqa: E402
import adaptation  # noqa: E402,F401 (it adds cases)
import simulations  # noqa: E402,F401 (as well)
import rig  # noqa: E402
import procs  # noqa: E402

PEERS = rig.PEERS
# They mostly wait.
JOBS = 14
LONGEST, LONGEST_QUICK = 240, 120


@dataclasses.dataclass
class Outcome:
    case: cases.Case
    direction: str
    peer: str
    result: rig.Result | None = None
    skipped: str = ""
    defect: str = ""

    def title(self):
        return f"{self.case.name} {rig.NAMES[self.direction, self.peer]} ({self.direction})"

    def complaints(self):
        """What should hold of our element and does not."""
        if self.peer != rig.OURS or self.result is None:
            return []
        return self.case.holds(self.result)

    def bad(self):
        return bool(self.defect or self.complaints())

    def why(self):
        return self.defect or "; ".join(self.complaints())


def names():
    """What select() takes."""
    return list(dict.fromkeys(name for case in cases.CASES for name in (case.family, case.name) if name))


def select(wanted=(), *, quick=False):
    return [case for case in cases.CASES
            if ({case.name, case.family} & set(wanted) if wanted else case.quick or not quick)]


def run(wanted, peers, *, jobs=JOBS):
    """Runs the cases for the peers; yields an Outcome for each as it ends."""
    waiting = collections.deque(Outcome(case, direction, peer)
                                for case in sorted(wanted, key=lambda case: case.quick)
                                for direction in case.directions for peer in case.peers
                                if peer in peers and (direction, peer) in rig.NAMES)
    running = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                outcome = waiting.popleft()
                child = procs.Child([sys.executable, __file__, outcome.case.name, outcome.direction, outcome.peer])
                running.append((outcome, child, time.monotonic()))
            for entry in list(running):
                outcome, child, began = entry
                longest = LONGEST_QUICK if outcome.case.quick else LONGEST
                if child.running() and time.monotonic() - began < longest:
                    continue
                running.remove(entry)
                conclude(outcome, child, longest)
                # Not by SIGKILL: it has namespaces and children to leave in good order.
                child.end(timeout=20)
                yield outcome
            time.sleep(0.1)
    finally:
        for _, child, _ in running:
            child.end(timeout=20)


def conclude(outcome, child, longest):
    if child.running():
        outcome.defect = f"the scene took more than {longest} s\n{child.output()}"
        return
    lines = [line for line in child.output().splitlines() if line.startswith('{"scene"')]
    if not lines:
        outcome.defect = f"exit status {child.process.returncode}\n{child.output()}"
        return
    said = json.loads(lines[-1])
    outcome.skipped, outcome.defect = said.get("skipped", ""), said.get("defect", "")
    if said.get("result"):
        outcome.result = rig.Result(**said["result"])


def interrupt(*_):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    name, direction, peer = sys.argv[1:]
    (case,) = select([name])
    # Whoever ends it, what it has started is ended; a second wish does not disturb that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    said = {"scene": name}
    try:
        said["result"] = dataclasses.asdict(case.run(name, direction, peer))
    except unittest.SkipTest as skip:
        said["skipped"] = str(skip)
    except (rig.Defect, AssertionError) as defect:
        said["defect"] = str(defect)
    print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
