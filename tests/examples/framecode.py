# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine-readable frame number drawn into the picture itself, which survives lossy coding.

A block of 6 x 4 black and white cells in the top left corner carries 16 bits of the frame's number and 8 bits of
CRC, most significant bit first, row by row. Only the luma plane is used.
"""

COLUMNS, ROWS = 6, 4
BLACK, WHITE, MIDDLE = 16, 235, 126
PERIOD = 1 << 16  # numbers are carried modulo this


def cell_size(width, height):
    """Returns the edge of a cell in pixels for a picture size: whole macroblocks where they fit."""
    size = min(width // 12, height // 8)
    if size >= 32:
        return 32
    if size >= 16:
        return 16
    return max(size & ~1, 2)


def _crc8(number):
    crc = 0xFF
    for byte in number.to_bytes(2, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def draw(luma, stride, width, height, number):
    """Draws into the first `rows(...)` lines of a luma plane, a bytearray."""
    cell = cell_size(width, height)
    number %= PERIOD
    bits = number << 8 | _crc8(number)
    for row in range(ROWS):
        line = bytearray()
        for column in range(COLUMNS):
            bit = bits >> (COLUMNS * ROWS - 1 - (row * COLUMNS + column)) & 1
            line += bytes([WHITE if bit else BLACK]) * cell
        for y in range(row * cell, (row + 1) * cell):
            luma[y * stride:y * stride + len(line)] = line


def rows(width, height):
    """Returns how many lines of the picture the block covers."""
    return cell_size(width, height) * ROWS


def read(luma, stride, width, height):
    """Returns the number modulo PERIOD, or None where there is no intact block."""
    cell = cell_size(width, height)
    inner = max(cell // 2, 1)
    margin = (cell - inner) // 2
    bits = 0
    for row in range(ROWS):
        for column in range(COLUMNS):
            total = 0
            left = column * cell + margin
            for y in range(row * cell + margin, row * cell + margin + inner):
                start = y * stride + left
                total += sum(luma[start:start + inner])
            bits = bits << 1 | (total > MIDDLE * inner * inner)
    number = bits >> 8
    return number if _crc8(number) == bits & 0xFF else None


def unwrap(number, near):
    """Returns the value congruent to `number` that lies nearest to `near`."""
    delta = (number - near) % PERIOD
    return near + (delta - PERIOD if delta >= PERIOD // 2 else delta)
