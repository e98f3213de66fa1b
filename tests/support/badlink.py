# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two network namespaces with a bad line between them, by the program badlink (badlink.cpp). Needs root."""

import contextlib
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import threading
import unittest

import procs

CLONE_NEWNET = 0x40000000
CANNOT_BE_HAD = 77


class Space:
    """A network namespace: `prefix` are the words that run a command in it, `address` is its own."""

    def __init__(self, path, address):
        self.path = path
        self.address = address
        self.prefix = ["nsenter", f"--net={path}", "--"]

    def inside(self, action):
        """Returns what `action` does in a thread that is in the namespace; a socket made there stays there."""
        results = []

        def enter():
            with open(self.path, encoding="ascii") as space:
                if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"setns({self.path})")
            results.append(action())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if not results:
            raise OSError("nothing came of it; the thread has said why")
        return results[0]

    def listener(self, port=0, address="0.0.0.0"):
        return self.inside(lambda: socket.create_server((address, port)))

    def socket(self):
        return self.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))

    def use_congestion_control(self, name):
        """For what is sent over the line. By its route: the setting of a namespace takes only some of the names."""
        network = self.address.rpartition(".")[0] + ".0/24"
        procs.run([*self.prefix, "ip", "route", "replace", network, "dev", "link0", "src", self.address,
                   "congctl", name], timeout=10)

    def congestion_controls(self):
        """Returns the names of those that its sockets over the line have now."""
        _, output = procs.run([*self.prefix, "ss", "--tcp", "--info", "--no-header", "--oneline", "dst",
                               self.address.rpartition(".")[0] + ".0/24"], timeout=10)
        return {word for line in output.splitlines() for word in line.split() if word in ("cubic", "bbr", "reno")}


class Link(contextlib.AbstractContextManager):
    """The line and its ends, `near` and `far`, inside a `with` block; raises unittest.SkipTest where there can be none.

    Numbers: delay, jitter (ms, one way), loss (percent), rate (kbit/s), queue (ms).
    """

    def __init__(self, **numbers):
        self._numbers = numbers

    def __enter__(self):
        program = pathlib.Path(os.environ["RTMP_TEST_BUILD"], "tests", "support", "badlink")
        argv = [program]
        for name, value in self._numbers.items():
            argv += [f"--{name}", value]
        self.child = procs.Child(argv, stdin=subprocess.PIPE)

        def ready():
            if not self.child.running():
                status, output = self.child.process.returncode, self.child.output().strip()
                if status == CANNOT_BE_HAD:
                    raise unittest.SkipTest(output)
                raise AssertionError(f"badlink ended with status {status}: {output}")
            return self.child.output().startswith("ready ") and self.child.output().endswith("\n")

        try:
            procs.wait_until(ready, timeout=10, what="badlink")
        except BaseException:
            self.child.end()
            raise
        near, far = self.child.output().split()[1:3]
        self.near, self.far = Space(near, "10.77.0.1"), Space(far, "10.77.0.2")
        return self

    def __exit__(self, *_):
        self.child.process.stdin.close()
        self.child.end()

    def tell(self, line):
        self.child.process.stdin.write(line.encode() + b"\n")
        self.child.process.stdin.flush()

    def set(self, **numbers):
        for name, value in numbers.items():
            self.tell(f"{name} {value}")

    def cut(self):
        self.tell("cut")

    def mend(self):
        self.tell("mend")

    def statistics(self):
        before = self.child.output().count("\n")
        self.tell("stats")
        procs.wait_until(lambda: self.child.output().count("\n") > before, timeout=5, what="badlink's statistics")
        return json.loads(self.child.output().splitlines()[before])
