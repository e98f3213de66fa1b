# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the outcomes are told: a line each while they come in, and a page with a table for each case."""

import film
import rig


def seconds(value, none="-"):
    return none if value is None else f"{value:.1f} s"


def outcome_cells(outcome):
    """Returns the cells of a row."""
    if outcome.skipped:
        return [f"skipped: {outcome.skipped}"]
    if outcome.result is None:
        return [f"no measurement: {outcome.defect.splitlines()[0]}"]
    result = outcome.result
    if result.stuck:
        end = "**stuck**: had to be killed"
    elif result.lived:
        end = "lives"
        if result.attempts is not None and result.attempts > 1:
            end += f", {result.attempts - 1} attempts"
    else:
        words = " ".join(result.last_words.replace("|", "/").split())
        end = f"ended after {seconds(result.ended_after)}: {words[:120]}"
    memory = "-" if result.grown_kb is None else f"{result.grown_kb / 1000:+.1f} MB, {result.grown_fds:+d}"
    lost = f"{result.lost} of {result.due}, {result.lost / film.FPS:.1f} s" if result.lived else "all since then"
    return [end, seconds(result.back_after, "never"), lost,
            seconds(result.age_worst), seconds(result.age_end), seconds(result.timely_after),
            seconds(result.stopped_within), memory]


def line(outcome):
    return f"{outcome.title()}: {', '.join(outcome_cells(outcome))}"


HEAD = ["", "outcome", "back after", "pictures lost", "latest picture", "late at the end", "in time after",
        "stops within", "memory, fds"]


def document(outcomes):
    text = ["# Reliability", ""]
    for case in dict.fromkeys(outcome.case.name for outcome in outcomes):
        rows = [outcome for outcome in outcomes if outcome.case.name == case]
        text += [f"## {case}", "", f"{rows[0].case.what[0].upper()}{rows[0].case.what[1:]}.", ""]
        for direction in rows[0].case.directions:
            text += ["| " + " | ".join([direction, *HEAD[1:]]) + " |", "|" + "---|" * len(HEAD)]
            for outcome in sorted((row for row in rows if row.direction == direction), key=lambda row: rig.PEERS.index(row.peer)):
                cells = outcome_cells(outcome)
                cells += [""] * (len(HEAD) - 1 - len(cells))
                name = outcome.title().split()[1]
                text.append("| " + " | ".join([name, *cells]) + " |")
            text.append("")
    return "\n".join(text)

