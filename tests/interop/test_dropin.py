# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drop-in folder: an application that knows GStreamer's own elements gets ours, by a plugin path alone."""

import os
import pathlib
import re
import shutil
import tempfile
import unittest

import flvfile
import nginx_rtmp
import pipelines

TYPES = {"rtmp2src": "GstRtmpxSrc", "rtmp2sink": "GstRtmpxSink", "flvmux": "GstFlvChunk", "eflvmux": "GstFlvChunk",
         "flvdemux": "GstFlvUnchunk"}

# Prints the types and plugin files of the named elements.
SHOW = """
for name in sys.argv[1:]:
    element = Gst.ElementFactory.make(name)
    print(name, type(element).__gtype__.name, element.get_factory().get_plugin().get_filename())
"""

# Written for GStreamer's own elements: pads by their names and templates, properties, a signal of the demuxer.
PUBLISHER = """
pipeline = Gst.Pipeline()
mux = Gst.ElementFactory.make('flvmux')
mux.set_property('streamable', True)
sink = Gst.ElementFactory.make('rtmp2sink')
sink.set_property('location', sys.argv[1])
sink.set_property('async-connect', False)
sink.set_property('sync', False)
for element in (mux, sink):
    pipeline.add(element)
mux.link(sink)
for name, source in (
        ('video', 'videotestsrc num-buffers=60 ! video/x-raw,width=160,height=120,framerate=30/1 '
                  '! x264enc tune=zerolatency key-int-max=30 ! h264parse'),
        ('audio', 'audiotestsrc num-buffers=90 ! avenc_aac ! aacparse')):
    bin = Gst.parse_bin_from_description(source, True)
    pipeline.add(bin)
    bin.get_static_pad('src').link(mux.request_pad(mux.get_pad_template(name), None, None))
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(25 * Gst.SECOND, Gst.MessageType.ERROR | Gst.MessageType.EOS)
print(message and message.type.first_value_nick, message and message.parse_error() if message and
      message.type == Gst.MessageType.ERROR else '')
pipeline.set_state(Gst.State.NULL)
"""

DEMUXER = """
counts = {}
pipeline = Gst.parse_launch(f'filesrc location={sys.argv[1]} ! flvdemux name=d')
def added(demuxer, pad):
    sink = Gst.ElementFactory.make('fakesink')
    sink.set_property('signal-handoffs', True)
    sink.connect('handoff', lambda sink, buffer, ghost: counts.update({pad.name: counts.get(pad.name, 0) + 1}))
    pipeline.add(sink)
    sink.sync_state_with_parent()
    pad.link(sink.get_static_pad('sink'))
pipeline.get_by_name('d').connect('pad-added', added)
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(25 * Gst.SECOND, Gst.MessageType.ERROR | Gst.MessageType.EOS)
pipeline.set_state(Gst.State.NULL)
print(message and message.type.first_value_nick, sorted(counts.items()))
"""


class DropIn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plugin = pathlib.Path(os.environ["GST_PLUGIN_PATH_1_0"])
        cls.dropin = cls.plugin.parent / "dropin"
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="dropin-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)

    def env(self, *path, system=None):
        """Returns the environment of a process that finds plugins in `path` and then in the system's folder."""
        env = {"GST_PLUGIN_PATH_1_0": ":".join(str(folder) for folder in path), "G_DEBUG": "fatal-warnings",
               "GST_REGISTRY_1_0": str(self.dir / f"{self.id()}-{len(list(self.dir.iterdir()))}.bin")}
        if system:
            env["GST_PLUGIN_SYSTEM_PATH_1_0"] = str(system)
        return env

    def show(self, names, env):
        _, output = pipelines.python(SHOW, *names, env=env, timeout=60)
        return {line.split()[0]: line.split()[1:] for line in output.splitlines() if len(line.split()) == 3}

    def test_names_are_ours(self):
        found = self.show(TYPES, self.env(self.dropin))
        self.assertEqual({name: found[name][0] for name in TYPES}, TYPES)
        for name, (_, filename) in found.items():
            self.assertEqual(pathlib.Path(filename).parent, self.dropin, name)

    def test_without_it_they_are_not(self):
        found = self.show(["rtmp2src", "rtmp2sink", "flvmux", "flvdemux"], self.env(self.plugin))
        for name, (gtype, _) in found.items():
            self.assertNotIn(gtype, TYPES.values(), name)

    def test_both_folders_in_one_process(self):
        """The types exist once, whichever files register them."""
        found = self.show([*TYPES, "rtmpxsrc", "rtmpxsink", "flvchunk", "flvunchunk"],
                          self.env(self.plugin, self.dropin))
        for name, ours in (("rtmp2src", "rtmpxsrc"), ("rtmp2sink", "rtmpxsink"), ("flvmux", "flvchunk"),
                           ("flvdemux", "flvunchunk")):
            self.assertEqual(found[name][0], found[ours][0])

    def test_announced_world(self):
        """GStreamer's own rtmp2 has announced to take the names rtmpsrc and rtmpsink."""
        system = self.dir / "system"
        system.mkdir()
        shutil.copy(pathlib.Path(os.environ["RTMP_TEST_BUILD"]) / "tests" / "interop" / "libgstannouncedrtmp2.so",
                    system / "libgstrtmp2.so")
        names = ["rtmpsrc", "rtmpsink", "rtmp2src", "rtmp2sink"]
        with self.subTest(path="none"):
            self.assertEqual({found[0] for found in self.show(names, self.env(system=system)).values()},
                             {"GstAnnounced"})
        with self.subTest(path="plugin"):
            # Theirs is scanned later and wins; the names that nobody else has are ours.
            found = self.show([*names, "rtmpxsrc", "rtmpxsink"], self.env(self.plugin, system=system))
            self.assertEqual(found["rtmpsrc"][0], "GstAnnounced")
            self.assertEqual([found[name][0] for name in ("rtmpxsrc", "rtmpxsink")], ["GstRtmpxSrc", "GstRtmpxSink"])
        with self.subTest(path="plugin and dropin"):
            found = self.show(names, self.env(self.plugin, self.dropin, system=system))
            self.assertEqual([found[name][0] for name in names], ["GstRtmpxSrc", "GstRtmpxSink"] * 2)

    def test_application_moves_over(self):
        """One application, not edited, with and without the folder on its path."""
        nginx_rtmp.require()
        for name, path in (("theirs", []), ("ours", [self.dropin])):
            with self.subTest(elements=name), nginx_rtmp.NginxRtmp() as server:
                env = self.env(*path)
                _, output = pipelines.python(PUBLISHER, f"{server.url}/record/{name}", env=env, timeout=60)
                self.assertRegex(output, r"^eos", output)
                file = server.wait_recording(name)
                recorded = flvfile.read(file)
                self.assertGreater(len(recorded.packets(flvfile.VIDEO)), 40)
                _, output = pipelines.python(DEMUXER, file, env=env, timeout=60)
                counts = dict(re.findall(r"\('(\w+)', (\d+)\)", output))
                self.assertRegex(output, r"^eos", output)
                self.assertEqual(set(counts), {"audio", "video"})
                self.assertGreaterEqual(int(counts["video"]), len(recorded.packets(flvfile.VIDEO)) - 1)


if __name__ == "__main__":
    unittest.main()
