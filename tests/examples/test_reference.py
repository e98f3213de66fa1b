# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/elements is what docs/element_reference.py writes."""

import importlib.util
import os
import pathlib
import unittest

SCRIPT = pathlib.Path(os.environ["RTMP_TEST_SOURCE"]) / "docs" / "element_reference.py"


class Reference(unittest.TestCase):
    def test_pages_are_up_to_date(self):
        spec = importlib.util.spec_from_file_location("element_reference", SCRIPT)
        reference = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(reference)
        for path, text in reference.pages().items():
            with self.subTest(page=path.name):
                self.assertEqual(path.read_text(encoding="utf-8"), text, f"write it anew: {SCRIPT.name}")
