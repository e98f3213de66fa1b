# SPDX-License-Identifier: LGPL-2.1-or-later
"""TLS in tests: an authority of our own, and stunnel as the TLS side of a server that speaks none."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

import procs


class Authority:
    """Certificates, in files of a folder that goes with the `with` block. `ca` is to be trusted.

    certificate(NAME, ...) answers a file with a certificate and its key.
    """

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tls-"))
        self.ca = self.dir / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-keyout", self.dir / "ca.key", "-out", self.ca, "-subj", "/CN=Authority of a test")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)

    def _openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)

    def certificate(self, name, *, days=2, names="DNS:localhost"):
        """Makes a certificate for `names`; days=-1: it has expired."""
        key, request, plain, both = (self.dir / f"{name}.{end}" for end in ("key", "csr", "crt", "pem"))
        extensions = self.dir / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n", encoding="utf-8")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                      request, "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.dir / "ca.key",
                      "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", plain)
        both.write_bytes(plain.read_bytes() + key.read_bytes())
        return both


def require():
    """Raises unittest.SkipTest, with the reason, where the programs are missing."""
    for program in ("openssl", "stunnel4"):
        if shutil.which(program) is None:
            raise unittest.SkipTest(f"{program} is not installed")


class Stunnel:
    """stunnel in front of `port` of this machine, inside a `with` block. `url` is rtmps://localhost:PORT.

    With `client_ca` it asks for a client's certificate, signed by that authority. `prefix` are words in front of its
    command, `address` is where it listens: for a network namespace.
    """

    def __init__(self, port, certificate, *, client_ca=None, prefix=(), address="127.0.0.1"):
        self._prefix = list(prefix)
        self.port = procs.free_port()
        self.url = f"rtmps://localhost:{self.port}"
        self._config = [
            "foreground = yes", "pid =", "debug = notice", "[rtmps]", f"accept = {address}:{self.port}",
            f"connect = 127.0.0.1:{port}", f"cert = {certificate}",
            *([f"CAfile = {client_ca}", "verifyChain = yes"] if client_ca else [])]

    def __enter__(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False, encoding="utf-8") as file:
            file.write("\n".join(self._config) + "\n")
            self._file = pathlib.Path(file.name)
        self.child = procs.Child([*self._prefix, "stunnel4", self._file])
        procs.wait_listening(self.port, self.child)
        return self

    def __exit__(self, *_):
        self.child.end()
        self._file.unlink()
