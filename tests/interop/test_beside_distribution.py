# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our plugin beside the distribution's: it is found under the old names, and both live in one process."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import flvfile
import media
import nginx_rtmp
import pipelines
import procs

RANK = 258  # PRIMARY + 2
OURS = ("rtmpsrc", "rtmpsink", "rtmpxsrc", "rtmpxsink", "flvchunk")

# Prints every GType under the roots that plugins register under, once the named elements have been made.
LIST_TYPES = """
for name in sys.argv[1:]:
    assert Gst.ElementFactory.make(name), name
def walk(gtype):
    print(gtype.name)
    for child in gtype.children:
        walk(child)
for root in ('GObject', 'GInterface', 'GEnum', 'GFlags', 'GBoxed', 'GParam'):
    walk(GObject.GType.from_name(root))
"""

# Prints what a pipeline that moves from the first element to the second does not find there: each property with its
# type (of an enumeration, names and numbers; flags are types of our own) and its default.
COMPARE_PROPERTIES = """
def values(spec):
    return {(value.value_nick, int(value)) for value in spec.enum_class.__enum_values__.values()}
theirs, ours = (Gst.ElementFactory.make(name) for name in sys.argv[1:])
for spec in theirs.list_properties():
    found = ours.find_property(spec.name)
    if found is None:
        print(spec.name, 'is missing')
    elif spec.value_type.is_a(GObject.TYPE_ENUM):
        for nick, number in sorted(values(spec) - values(found)):
            print(spec.name, 'lacks', nick)
    elif spec.value_type.is_a(GObject.TYPE_FLAGS):
        if not found.value_type.is_a(GObject.TYPE_FLAGS) or int(found.default_value) != int(spec.default_value):
            print(spec.name, 'is of another kind')
    elif found.value_type != spec.value_type:
        print(spec.name, 'is', found.value_type.name, 'not', spec.value_type.name)
    elif spec.name not in ('name', 'parent', 'stats'):
        have, want = ours.get_property(spec.name), theirs.get_property(spec.name)
        if have != want:
            print(spec.name, 'is by default', have, 'not', want)
"""


def distribution_folder():
    variable = subprocess.run(["pkg-config", "--variable=pluginsdir", "gstreamer-1.0"],
                              capture_output=True, text=True, check=False)
    return pathlib.Path(variable.stdout.strip() or "/usr/lib/x86_64-linux-gnu/gstreamer-1.0")


class BesideDistribution(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = distribution_folder()
        for name in ("libgstrtmp.so", "libgstrtmp2.so", "libgstflv.so"):
            if not (folder / name).exists():
                raise unittest.SkipTest(f"the distribution's {name} is not installed in {folder}")
        cls.plugin = pathlib.Path(os.environ["GST_PLUGIN_PATH_1_0"]) / "libgstrtmp.so"
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="beside-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.env = {"GST_REGISTRY_1_0": str(cls.dir / "registry.bin"), "G_DEBUG": "fatal-warnings"}

    def inspect(self, name, env=None):
        _, output = procs.run(["gst-inspect-1.0", name], timeout=60, env={**pipelines.PLAIN, **(env or self.env)})
        return output

    def assert_quiet(self, output):
        self.assertNotRegex(output, r"WARNING \*\*|CRITICAL \*\*|GLib-GObject|GStreamer-CRITICAL")

    def test_found_by_fresh_and_cached_registry(self):
        registry = self.dir / "empty.bin"
        env = {**self.env, "GST_REGISTRY_1_0": str(registry)}
        for run in ("fresh", "cached"):
            with self.subTest(registry=run):
                self.assertEqual(registry.exists(), run == "cached")
                for name in OURS:
                    output = self.inspect(name, env)
                    self.assert_quiet(output)
                    self.assertEqual(re.search(r"Filename +(\S+)", output)[1], str(self.plugin), name)
                    if name != "flvchunk":
                        self.assertEqual(re.search(r"Rank +.*\((\d+)\)", output)[1], str(RANK), name)

    def test_the_others_stay(self):
        for name in ("rtmp2src", "rtmp2sink", "flvmux", "flvdemux"):
            filename = re.search(r"Filename +(\S+)", self.inspect(name))[1]
            self.assertNotEqual(filename, str(self.plugin), name)

    def test_uri_chooses_ours(self):
        _, output = pipelines.python(
            "for kind in (Gst.URIType.SRC, Gst.URIType.SINK):\n"
            "    element = Gst.Element.make_from_uri(kind, 'rtmp://localhost/live/s', None)\n"
            "    print(type(element).__gtype__.name)\n", env=self.env)
        self.assert_quiet(output)
        self.assertEqual(output.split(), ["GstRtmpxSrc", "GstRtmpxSink"])

    def test_properties_of_rtmp2(self):
        """A pipeline moves over by changing the element's name."""
        # What we call ourselves depends on what we do and is not told by the property.
        both = ["flash-version is by default None not LNX 10,0,32,18"]
        expected = {"src": both, "sink": [*both, "chunk-size is by default 0 not 128",
                                          "enable-last-sample is by default False not True"]}
        for kind, differences in expected.items():
            with self.subTest(kind=kind):
                _, output = pipelines.python(COMPARE_PROPERTIES, f"rtmp2{kind}", f"rtmpx{kind}", env=self.env)
                self.assertEqual(sorted(output.splitlines()), sorted(differences))

    def test_no_type_name_is_taken(self):
        def types(names, plugin_path):
            env = {"GST_PLUGIN_PATH_1_0": plugin_path, "G_DEBUG": "fatal-warnings",
                   "GST_REGISTRY_1_0": str(self.dir / f"types{bool(plugin_path)}.bin")}
            # Where plugins are scanned by the process itself, as sanitizers need it, all types are there after it.
            pipelines.python("", timeout=120, env=env)
            _, output = pipelines.python(LIST_TYPES, *names, timeout=60, env=env)
            return {name for name in output.split() if re.search("rtmp|flv", name, re.I)}

        ours = types(OURS, str(self.plugin.parent))
        theirs = types(["rtmpsrc", "rtmpsink", "rtmp2src", "rtmp2sink", "flvmux", "flvdemux"], "")
        self.assertLessEqual({"GstRtmpxSrc", "GstRtmpxSink", "GstFlvChunk"}, ours)
        self.assertLessEqual({"GstRTMPSrc", "GstRtmp2Sink", "GstFlvMux"}, theirs)
        self.assertEqual(ours & theirs, set())

    def test_both_sinks_in_one_pipeline(self):
        nginx_rtmp.require()
        with nginx_rtmp.NginxRtmp() as server:
            _, output, _ = pipelines.run(
                f"videotestsrc num-buffers=90 ! video/x-raw,width=160,height=120,framerate=30/1 "
                f"! x264enc tune=zerolatency key-int-max=30 ! flvmux streamable=true ! tee name=t "
                f"t. ! queue ! rtmpsink sync=false location={server.url}/record/ours "
                f"t. ! queue ! rtmp2sink sync=false async-connect=false location={server.url}/record/theirs",
                env=self.env)
            self.assert_quiet(output)
            ours, theirs = (flvfile.read(server.wait_recording(name)).packets(flvfile.VIDEO)
                            for name in ("ours", "theirs"))
        self.assertEqual(len(ours), 90)
        # rtmp2sink cancels what it has not yet sent at EOS, so the end may be missing from its recording.
        self.assertEqual(flvfile.differences(ours, theirs, to_the_end=False), [])
        self.assertGreater(len(theirs), 60)

    def test_both_sources_in_one_pipeline(self):
        nginx_rtmp.require()
        path = media.flv(seconds=6)
        with nginx_rtmp.NginxRtmp() as server:
            url = f"{server.url}/live/both"
            files = {name: self.dir / f"{name}.flv" for name in ("ours", "theirs")}
            with pipelines.start(
                    f"rtmpsrc location={url} ! filesink location={files['ours']} "
                    f"rtmp2src location={url} ! tee name=t t. ! queue ! filesink location={files['theirs']} "
                    f"t. ! queue ! flvdemux name=d d.video ! queue ! fakesink sync=false async=false "
                    f"d.audio ! queue ! fakesink sync=false async=false", env=self.env) as players:
                server.wait_players("both", 2)
                with procs.Child(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-readrate", "3",
                                  "-i", path, "-c", "copy", "-f", "flv", url]) as publisher:
                    publisher.wait(30)
                status = players.wait(20)
                output = players.output()
        self.assertEqual(status, 0, output)
        self.assert_quiet(output)
        sent = flvfile.read(path)
        for name, file in files.items():
            received = flvfile.read(file, allow_truncated=True)
            for kind in (flvfile.VIDEO, flvfile.AUDIO):
                with self.subTest(source=name, kind=kind):
                    self.assertEqual(flvfile.differences(sent.packets(kind), received.packets(kind),
                                                         to_the_end=name == "ours"), [])


if __name__ == "__main__":
    unittest.main()
