#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds what a static archive needs from outside itself against an allowlist of demangled names.

Exit status 0: every undefined symbol is allowed. 1: some are not; they are printed. 2: the archive could not be
read, so nothing is known.
"""

import argparse
import re
import subprocess
import sys


def symbols(nm, archive):
    """Returns (undefined, defined) demangled symbol names over all members of the archive."""
    out = subprocess.run([nm, "-C", archive], check=True, capture_output=True, text=True).stdout
    undefined, defined = set(), set()
    for line in out.splitlines():
        match = re.match(r"^(?:[0-9a-f]+)?\s+([A-Za-z]) (.+)$", line)
        if match:
            (undefined if match[1] in "Uw" else defined).add(match[2])
    return undefined, defined


def load_patterns(path):
    with open(path, encoding="utf-8") as file:
        lines = (line.strip() for line in file)
        return [re.compile(line) for line in lines if line and not line.startswith("#")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--allow", required=True, help="file of regular expressions, one a line")
    parser.add_argument("--must-find", metavar="REGEX",
                        help="succeed only if a symbol that matches is refused: a test of this test")
    parser.add_argument("archive")
    args = parser.parse_args()

    try:
        undefined, defined = symbols(args.nm, args.archive)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"cannot read {args.archive}: {error}", file=sys.stderr)
        return 2
    if not defined:
        print(f"{args.archive} defines nothing", file=sys.stderr)
        return 2

    allowed = load_patterns(args.allow)
    foreign = sorted(
        name for name in undefined - defined if not any(p.fullmatch(name) for p in allowed)
    )
    for name in foreign:
        print(f"not allowed in the core: {name}")
    print(f"{len(undefined - defined)} symbols from outside, {len(foreign)} not allowed")
    if args.must_find:
        return 0 if any(re.search(args.must_find, name) for name in foreign) else 1
    return 1 if foreign else 0


if __name__ == "__main__":
    sys.exit(main())
