# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small real H.264 + AAC files for tests, made by ffmpeg once and kept in the build folder."""

import hashlib
import os
import pathlib
import shutil
import tempfile
import unittest

import procs


def folder():
    """Returns where made media are kept: `media` in the build folder, else in the system's temporary folder."""
    path = pathlib.Path(os.environ.get("RTMP_TEST_BUILD", tempfile.gettempdir())) / "media"
    path.mkdir(parents=True, exist_ok=True)
    return path


def flv(*, seconds=4, size="320x180", fps=30, gop=30, bframes=0, video=True, audio=True, rate=44100, channels=2,
        bitrate="500k", suffix="flv"):
    """Returns the path of a file with a moving picture and a tone; equal arguments give the same file.

    `gop` is the key frame distance in frames; `suffix` chooses ffmpeg's container (flv, mp4, mkv).
    """
    if not shutil.which("ffmpeg"):
        raise unittest.SkipTest("no ffmpeg")
    argv = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    if video:
        argv += ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={fps}:duration={seconds}"]
    if audio:
        argv += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={rate}:duration={seconds}"]
    if video:
        argv += ["-c:v", "libx264", "-preset", "veryfast", "-b:v", bitrate, "-g", str(gop),
                 "-keyint_min", str(gop), "-sc_threshold", "0", "-bf", str(bframes),
                 "-pix_fmt", "yuv420p", "-threads", "1"]
    if audio:
        argv += ["-c:a", "aac", "-b:a", "64k", "-ac", str(channels)]
    argv += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]

    key = hashlib.sha256("\0".join(argv).encode()).hexdigest()[:16]
    path = folder() / f"{key}.{suffix}"
    if not path.exists():
        # Written aside and renamed: tests run side by side.
        handle, part = tempfile.mkstemp(dir=folder(), suffix=f".{suffix}")
        os.close(handle)
        procs.run(argv + [part], timeout=120)
        os.replace(part, path)
    return path
