#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures the round trips from a client's first SYN to Publish.Start and Play.Start, as its own host sees them.

    time_to_air.py --client-namespace A --server-namespace B --server-address ADDRESS [--interface IF] [--runs N]

A and B are network namespaces with a line between them, of 50 ms each way for instance:

    ip netns add A; ip netns add B
    ip link add link0 netns A type veth peer name link0 netns B
    ip -n A addr add 10.77.0.1/24 dev link0; ip -n B addr add 10.77.0.2/24 dev link0
    for n in A B; do ip -n $n link set lo up; ip -n $n link set link0 up; done
    for n in A B; do tc -n $n qdisc add dev link0 root netem delay 50ms; done

or, where the kernel has no netem, those of `build-tests/tests/support/badlink --delay 50 --name N`: N-a and N-b.

nginx-rtmp runs in B, each client in A, and the packets on A's interface are looked at. Needs root.
"""

import argparse
import ctypes
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import media  # noqa: E402
import nginx_rtmp  # noqa: E402
import procs  # noqa: E402

PORT = 1935
ETH_P_ALL = 3
CLONE_NEWNET = 0x40000000
PUBLISHED, PLAYING = b"NetStream.Publish.Start", b"NetStream.Play.Start"


class Wire:
    """The packets of an interface in another network namespace."""

    def __init__(self, namespace, interface):
        here = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        libc = ctypes.CDLL(None)
        if libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError("setns: are you root?")
        # Only a socket for all protocols sees what goes out.
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, ETH_P_ALL))
        libc.setns(here, CLONE_NEWNET)
        os.close(here)
        os.close(there)

    def packets(self, timeout):
        """Yields (time, from the server, flags, payload) of packets to and from PORT."""
        end = time.monotonic() + timeout
        while True:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                packet = self.socket.recv(1 << 16)
            except TimeoutError:
                return
            now = time.monotonic()
            if now > end:
                return
            if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
                continue
            tcp = packet[(packet[0] & 15) * 4:struct.unpack(">H", packet[2:4])[0]]
            source, target = struct.unpack(">HH", tcp[:4])
            if PORT in (source, target):
                yield now, source == PORT, tcp[13], tcp[(tcp[12] >> 4) * 4:]

    def drain(self):
        for _ in self.packets(0.05):
            pass

    def time_until(self, text, timeout=15):
        """Returns the seconds from the first SYN to the end of `text` from the server, and TCP's own round trip."""
        began = round_trip = None
        received = b""
        for now, from_server, flags, payload in self.packets(timeout):
            if flags & 2 and not from_server and began is None:
                began = now
            elif began is not None and from_server:
                if flags & 2 and round_trip is None:
                    round_trip = now - began
                received += payload
                if text in received:
                    return now - began, round_trip
        raise AssertionError(f"{text.decode()} was not seen")


def clients(film):
    gst_source = f"filesrc location={film} ! flvdemux ! flvmux streamable=true"
    ffmpeg = "ffmpeg -loglevel quiet -nostdin"
    return [
        ("push", "rtmpsink", f"gst-launch-1.0 {gst_source} ! rtmpsink location={{url}}"),
        ("push", "rtmpsink strict-order=true",
         f"gst-launch-1.0 {gst_source} ! rtmpsink strict-order=true location={{url}}"),
        ("push", "rtmp2sink", f"gst-launch-1.0 {gst_source} ! rtmp2sink location={{url}}"),
        ("push", "ffmpeg", f"{ffmpeg} -re -i {film} -c copy -f flv {{url}}"),
        ("pull", "rtmpsrc", "gst-launch-1.0 rtmpsrc location={url} ! fakesink"),
        ("pull", "rtmpsrc strict-order=true", "gst-launch-1.0 rtmpsrc strict-order=true location={url} ! fakesink"),
        ("pull", "rtmp2src", "gst-launch-1.0 rtmp2src location={url} ! fakesink"),
        ("pull", "ffmpeg", f"{ffmpeg} -i {{url}} -c copy -f null -"),
        ("pull", "rtmpdump", "rtmpdump --quiet --live --rtmp {url} --flv /dev/null"),
    ]


def measure(arguments):
    film = media.flv(seconds=10)
    wire = Wire(arguments.client_namespace, arguments.interface)
    into_server = ["ip", "netns", "exec", arguments.server_namespace]
    into_client = ["ip", "netns", "exec", arguments.client_namespace]
    with tempfile.TemporaryDirectory(prefix="time-to-air-") as folder:
        directory = pathlib.Path(folder)
        nginx_rtmp.fetch()
        config = nginx_rtmp.CONFIG.format(
            module=nginx_rtmp.TOOLS / "usr/lib/nginx/modules/ngx_rtmp_module.so", dir=directory, address="0.0.0.0",
            port=PORT, http_port=8080, chunk_size=4096, live_directives="", server_directives="")
        (directory / "nginx.conf").write_text(config)
        nginx = [nginx_rtmp.TOOLS / "usr/sbin/nginx", "-p", directory, "-c", directory / "nginx.conf",
                 "-e", directory / "error.log"]
        with procs.Child([*into_server, *nginx], log=directory / "output.log"), \
                procs.Child([*into_server, "ffmpeg", "-loglevel", "error", "-nostdin", "-re", "-stream_loop", "-1",
                             "-i", film, "-c", "copy", "-f", "flv", f"rtmp://127.0.0.1:{PORT}/live/there"]):
            time.sleep(2)
            for kind, name, command in clients(film):
                found = []
                for run in range(arguments.runs):
                    stream = "there" if kind == "pull" else f"push{run}-{abs(hash(name))}"
                    url = f"rtmp://{arguments.server_address}/live/{stream}"
                    wire.drain()
                    with procs.Child([*into_client, *command.format(url=url).split()]) as client:
                        try:
                            took, round_trip = wire.time_until(PUBLISHED if kind == "push" else PLAYING)
                        except AssertionError as error:
                            sys.exit(f"{name}: {error}\n{client.output()}")
                    found.append((took, took / round_trip))
                    time.sleep(0.5)
                took = statistics.median(took for took, _ in found)
                trips = sorted(trips for _, trips in found)
                print(f"{kind}  {name:<28} {took * 1000:7.0f} ms  {statistics.median(trips):5.1f} round trips "
                      f"({trips[0]:.1f} to {trips[-1]:.1f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client-namespace", required=True)
    parser.add_argument("--server-namespace", required=True)
    parser.add_argument("--server-address", required=True)
    parser.add_argument("--interface", default="link0", help="the client namespace's interface (link0)")
    parser.add_argument("--runs", type=int, default=5)
    measure(parser.parse_args())


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(str(error))
