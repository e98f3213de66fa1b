# SPDX-License-Identifier: LGPL-2.1-or-later
"""Child processes of tests: started with a log, waited for with a bound, and never left behind."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class Child:
    """A running program whose output goes to a log file; ended when the `with` block is left.

    It stays in our process group, so that whoever ends the group ends it too, and dies with the thread that
    started it: start children from the main thread.
    """

    def __init__(self, argv, *, env=None, cwd=None, log=None, stdin=subprocess.DEVNULL, pass_fds=()):
        self.argv = [str(word) for word in argv]
        if log is None:
            handle, log = tempfile.mkstemp(prefix="child-", suffix=".log")
            os.close(handle)
            self._own_log = True
        else:
            self._own_log = False
        self.log = str(log)
        full_env = dict(os.environ)
        full_env.update(env or {})
        prefix = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                prefix + self.argv, stdin=stdin, stdout=out, stderr=subprocess.STDOUT,
                env=full_env, cwd=cwd, pass_fds=pass_fds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def output(self):
        """Returns all that the child has printed so far."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self, timeout):
        """Returns the exit status; a child that is still there after `timeout` seconds is ended: AssertionError."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            output = self.output()
            self.end()
            raise AssertionError(f"{self.argv[0]} did not end within {timeout} s:\n{output}") from None

    def interrupt(self):
        """Asks as Ctrl-C does: gst-launch-1.0 -e sends EOS, ffmpeg and rtmpdump finish their files."""
        if self.running():
            self.process.send_signal(signal.SIGINT)

    def end(self, timeout=5):
        """Ends the child: SIGTERM, then SIGKILL after `timeout` seconds. Its log goes too, if it was ours."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._own_log and os.path.exists(self.log):
            os.unlink(self.log)


def run(argv, *, timeout, env=None, cwd=None, check=True):
    """Runs a program to its end and returns (status, output). With `check` a bad status is an AssertionError."""
    with Child(argv, env=env, cwd=cwd) as child:
        status = child.wait(timeout)
        output = child.output()
    if check and status != 0:
        raise AssertionError(f"{' '.join(child.argv)}: exit status {status}\n{output}")
    return status, output


def wait_until(condition, *, timeout, what, interval=0.02):
    """Polls `condition` until it is true and returns its value; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(interval)


def free_port():
    """Returns a TCP port of 127.0.0.1 that was free a moment ago. Whoever binds it must be ready to lose the race."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def is_listening(port, pid="self"):
    """Tells from the kernel's table, so that the server sees no connection of ours. `pid` may be in a namespace."""
    wanted = f":{port:04X}"
    for table in (f"/proc/{pid}/net/tcp", f"/proc/{pid}/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                for line in file:
                    words = line.split()
                    if len(words) > 3 and words[1].endswith(wanted) and words[3] == "0A":
                        return True
        except OSError:
            pass
    return False


def wait_listening(port, child, *, timeout=10):
    """Waits until somebody listens on the port; AssertionError with the child's log if it ends first."""

    def ready():
        if not child.running():
            raise AssertionError(f"{child.argv[0]} ended before it listened on port {port}:\n{child.output()}")
        return is_listening(port, child.pid)

    wait_until(ready, timeout=timeout, what=f"{child.argv[0]} listening on port {port}")
