#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a unittest file and prints TAP, so that the build's test runner counts each case: `tap.py FILE [NAME...]`."""

import faulthandler
import importlib.util
import pathlib
import sys
import time
import traceback
import unittest


class TapResult(unittest.TestResult):
    """Prints one TAP line a case as it ends; the rest of what is known about it as diagnostics."""

    def __init__(self, out):
        super().__init__()
        self.out = out
        self.number = 0
        self.bad = False

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()

    def _line(self, ok, test, directive=""):
        self.number += 1
        self.bad |= not ok
        name = test.id().removeprefix("__test__.").replace("#", "")
        print(f"{'ok' if ok else 'not ok'} {self.number} - {name}{directive}", file=self.out, flush=True)

    def _failed(self, test, error):
        self._line(False, test)
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print(f"# {line}", file=self.out, flush=True)

    def addSuccess(self, test):
        self._line(True, test)
        print(f"# {time.monotonic() - self._began:.2f} s", file=self.out, flush=True)

    def addFailure(self, test, err):
        self._failed(test, err)

    def addError(self, test, err):
        self._failed(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._failed(subtest, err)

    def addSkip(self, test, reason):
        self._line(True, test, f" # SKIP {' '.join(str(reason).split())}")

    def addExpectedFailure(self, test, err):
        self._line(True, test)

    def addUnexpectedSuccess(self, test):
        self._line(False, test)


def main():
    faulthandler.enable()
    path = pathlib.Path(sys.argv[1])
    sys.path.insert(0, str(path.resolve().parent))
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    spec = importlib.util.spec_from_file_location("__test__", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["__test__"] = module

    # What a test prints must not be taken for a result.
    out, sys.stdout = sys.stdout, sys.stderr
    print("TAP version 13", file=out, flush=True)
    try:
        spec.loader.exec_module(module)
    except unittest.SkipTest as skip:
        print(f"1..0 # SKIP {' '.join(str(skip).split())}", file=out, flush=True)
        return 0
    loader = unittest.TestLoader()
    suite = (loader.loadTestsFromNames(sys.argv[2:], module) if sys.argv[2:]
             else loader.loadTestsFromModule(module))
    result = TapResult(out)
    suite.run(result)
    if result.number == 0:
        print("not ok 1 - the file has no tests", file=out)
        result.number, result.bad = 1, True
    print(f"1..{result.number}", file=out, flush=True)
    return 1 if result.bad else 0


if __name__ == "__main__":
    sys.exit(main())
