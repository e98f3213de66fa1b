#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sums the test cases of several test runs: `count-results.py NAME=testlog.json...`.

A GoogleTest program, a check suite and a TAP program count case by case, any other test as one. Prints the first
report of a sanitizer, what failed, what was skipped and why, a table, and as the last line
`N passed, N failed, N skipped`. Exit status 1 if anything failed or nothing ran.

Many tests go by the clock, and are run beside others. `--again testlog.json` prints the names of the programs that
failed and may be run once more, alone, into `again.json` beside the first log: not those in which a sanitizer found
something. Such a program counts by its second run, and what had failed is told.
"""

import dataclasses
import json
import pathlib
import re
import sys

FAILED = {"FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS"}


@dataclasses.dataclass
class Cases:
    passed: int = 0
    failed: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)
    report: str = ""  # what a sanitizer found, the beginning of it

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.report = self.report or other.report


def read_gtest(text):
    cases = Cases(passed=len(re.findall(r"^\[       OK \]", text, re.M)))
    # Each failure is named where it happens, with its time, and again in the summary, without.
    cases.failed = re.findall(r"^\[  FAILED  \] (\S+).*\(\d+ ms\)$", text, re.M)
    for name in re.findall(r"^\[  SKIPPED \] (\S+) \(\d+ ms\)$", text, re.M):
        reason = re.search(rf"^\[ RUN      \] {re.escape(name)}\n(?:.*: Skipped\n)?(.*)$", text, re.M)
        cases.skipped.append(f"{name}: {reason[1] if reason else 'no reason given'}")
    return cases


def read_tap(text):
    cases = Cases()
    for line in text.splitlines():
        match = re.match(r"(not )?ok\b\s*\d*\s*-?\s*([^#]*?)\s*(?:#\s*(\w+)\s*(.*))?$", line)
        if not match:
            continue
        failed, name, directive, reason = match.groups()
        if directive and directive.upper() == "SKIP":
            cases.skipped.append(f"{name}: {reason or 'no reason given'}")
        elif failed:
            cases.failed.append(name)
        else:
            cases.passed += 1
    plan = re.search(r"^1\.\.0\s*#\s*SKIP\s*(.*)$", text, re.M | re.I)
    if plan:
        cases.skipped.append(plan[1])
    return cases


def read_check(text):
    total = failures = 0
    for match in re.finditer(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)", text):
        total += int(match[1])
        failures += int(match[2]) + int(match[3])
    names = re.findall(r"^.*:[FE]:[^:]*:([^:]+):", text, re.M)
    failed = (names + ["a case"] * failures)[:failures]
    return Cases(passed=total - failures, failed=failed)


def cases_of(test):
    """Returns the cases of one meson test, which is one case itself if its output tells of none."""
    name, result, text = test["name"], test["result"], test.get("stdout") or ""
    if "[==========]" in text:
        cases = read_gtest(text)
    elif text.startswith("TAP version") or re.search(r"^1\.\.\d+", text, re.M):
        cases = read_tap(text)
    elif re.search(r"Checks: \d+, Failures: \d+, Errors: \d+", text):
        cases = read_check(text)
    else:
        cases = Cases()
        if result == "SKIP":
            last = (text.strip() or (test.get("stderr") or "").strip()).splitlines()
            cases.skipped.append(last[-1] if last else "no reason given")
        elif result not in FAILED:
            cases.passed = 1
    cases.report = report_of(test)
    if result in FAILED and not cases.failed:
        cases.failed.append(f"the program as a whole ({result.lower()}, {test.get('returncode')})")
    cases.failed = [f"{name}: {case}" for case in cases.failed]
    cases.skipped = [f"{name}: {case}" for case in cases.skipped]
    return cases


def read_log(path):
    """Returns the tests of a log by name."""
    with open(path, encoding="utf-8") as file:
        return {test["name"]: test for test in map(json.loads, file)}


def report_of(test):
    """Returns the beginning of what a sanitizer says of a test that failed; "" if none does."""
    output = (test.get("stdout") or "") + (test.get("stderr") or "")
    found = re.search(r"^.*(?:Sanitizer|runtime error:)", output, re.M)
    if test["result"] not in FAILED or not found:
        return ""
    return "\n".join(line[:160] for line in output[found.start() :].splitlines()[:30])


def may_run_again(test):
    return test["result"] in FAILED and not report_of(test)


def tests_of(run, path):
    """Returns the tests of a log, those that were run again as they came out then."""
    tests = read_log(path)
    again = pathlib.Path(path).with_name("again.json")
    if again.exists():
        for name, test in read_log(again).items():
            for case in cases_of(tests[name]).failed:
                print(f"AGAIN    {run}: {case}: failed beside others, then run alone")
            tests[name] = test
    return tests.values()


def main():
    if sys.argv[1] == "--again":
        print(" ".join(name.split()[-1] for name, test in read_log(sys.argv[2]).items() if may_run_again(test)))
        return 0
    total = Cases()
    table = []
    for argument in sys.argv[1:]:
        run, path = argument.split("=", 1)
        cases = Cases()
        try:
            for test in tests_of(run, path):
                cases.add(cases_of(test))
        except OSError as error:
            cases.failed.append(f"no results: {error}")
        cases.failed = [f"{run}: {case}" for case in cases.failed]
        cases.skipped = [f"{run}: {case}" for case in cases.skipped]
        table.append((run, cases))
        total.add(cases)
    if total.report:
        print(total.report)
    for text in total.failed:
        print(f"FAILED   {text}")
    for text in total.skipped:
        print(f"skipped  {text}")
    for run, cases in table:
        print(f"{run:<24} {cases.passed:5} passed {len(cases.failed):4} failed {len(cases.skipped):4} skipped")
    print(f"{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
