# SPDX-License-Identifier: LGPL-2.1-or-later
"""The frame number in the picture: read back, also from a coded picture, and refused where it is damaged."""

import random
import unittest

import framecode

SIZES = [(64, 48), (176, 144), (320, 180), (854, 480), (1280, 720), (3840, 2160)]


def drawn(width, height, number, stride=None):
    stride = stride or (width + 3) & ~3
    luma = bytearray([126]) * (stride * framecode.rows(width, height))
    framecode.draw(luma, stride, width, height, number)
    return luma, stride


class FrameCode(unittest.TestCase):
    def test_what_is_drawn_is_read(self):
        for width, height in SIZES:
            for number in (0, 1, 0x5555, 0xAAAA, 0xFFFF):
                luma, stride = drawn(width, height, number)
                self.assertEqual(framecode.read(luma, stride, width, height), number, (width, height))

    def test_the_block_lies_inside_the_picture(self):
        for width, height in SIZES:
            self.assertLessEqual(framecode.rows(width, height), height)
            self.assertLessEqual(framecode.cell_size(width, height) * framecode.COLUMNS, width)

    def test_noise_of_a_codec_does_no_harm(self):
        rng = random.Random(1)
        luma, stride = drawn(640, 360, 0x1234)
        noisy = bytes(min(max(value + rng.randint(-60, 60), 0), 255) for value in luma)
        self.assertEqual(framecode.read(noisy, stride, 640, 360), 0x1234)

    def test_a_flat_picture_has_no_number(self):
        for value in (0, 16, 128, 235):
            self.assertIsNone(framecode.read(bytes([value]) * (640 * 96), 640, 640, 360), value)

    def test_one_flipped_cell_is_refused(self):
        for cell in range(framecode.COLUMNS * framecode.ROWS):
            luma, stride = drawn(320, 180, 0x1234)
            size = framecode.cell_size(320, 180)
            row, column = divmod(cell, framecode.COLUMNS)
            for y in range(row * size, (row + 1) * size):
                for x in range(column * size, (column + 1) * size):
                    luma[y * stride + x] = 251 - luma[y * stride + x]
            self.assertIsNone(framecode.read(luma, stride, 320, 180), cell)

    def test_numbers_go_on_past_the_period(self):
        self.assertEqual(framecode.unwrap(3, 65534), 65539)
        self.assertEqual(framecode.unwrap(65534, 65539), 65534)
        self.assertEqual(framecode.unwrap(7, 0), 7)
