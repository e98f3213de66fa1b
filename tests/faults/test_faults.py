# SPDX-License-Identifier: LGPL-2.1-or-later
"""The quick half of the faults, done to our own elements; `./run faults --quick` does it to their peers as well."""

import unittest

import nginx_rtmp
import rig
import scenes

wanted = scenes.select(quick=True)


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        # Side by side, since they mostly wait, but not all at once: other tests run too. Each is a case of its own.
        cls.outcomes = {(outcome.case.name, outcome.direction): outcome
                        for outcome in scenes.run(wanted, [rig.OURS], jobs=12)}


def expect(name, direction):
    def test(self):
        outcome = self.outcomes[name, direction]
        if outcome.skipped:
            self.skipTest(outcome.skipped)
        self.assertFalse(outcome.bad(), f"{outcome.why()}\n{outcome.result}")
    return test


for case in wanted:
    for direction in case.directions:
        setattr(Faults, f"test_{case.name.replace('-', '_')}_{direction}", expect(case.name, direction))


if __name__ == "__main__":
    unittest.main()
