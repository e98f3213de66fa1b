# SPDX-License-Identifier: LGPL-2.1-or-later
"""No secret of a location is printed: not in logs at any level, errors, dot dumps or statistics."""

import base64
import json
import pathlib
import re
import shutil
import tempfile
import unittest
import urllib.parse

import fake_server
import media
import nginx_rtmp
import pipelines
import procs

PASSWORD = "paSs@w0rd-Zq7"
KEY = "kEy-Xv42bNm"
TOKEN = "toKen-93hFpQ"
APP_TOKEN = "aPptok-55kLw"
SECURE_TOKEN = "seCure-81rTy"
ARGUMENT = "arGument-27Jd"
TOKEN_ANSWER = "toKen-aNswer-9Kq"
TOKEN_CHALLENGE = "2fae5f666e75f2fcba7d45d60d453ace"  # TOKEN_ANSWER enciphered with SECURE_TOKEN, by XXTEA

# Runs an element by its properties until EOS, an error, or so many seconds in PLAYING, and prints all that a program
# could get to print: message texts and details, dumps at each turn, statistics, the element itself. No launch line:
# GStreamer logs these.
PROGRAM = """
import json
job = json.loads(sys.argv[1])
pipeline = Gst.Pipeline.new('p')
rtmp = Gst.ElementFactory.make(job['element'], 'tested')
for name, value in job['properties'].items():
    Gst.util_set_object_arg(rtmp, name, value) if isinstance(value, str) else rtmp.set_property(name, value)
for name, value in job['expect'].items():
    assert rtmp.get_property(name) == value, f'the getter of {name} must tell the truth'
if job['element'] == 'rtmpsink':
    other = Gst.ElementFactory.make('filesrc', None)
    other.set_property('location', job['file'])
    chain = [other, rtmp]
else:
    # flvdemux makes stream ids, and asks upstream for its URI.
    chain = [rtmp, Gst.ElementFactory.make('flvdemux', None)]
def on_pad(demux, pad):
    sink = Gst.ElementFactory.make('fakesink', None)
    sink.set_property('sync', False)
    sink.set_property('async', False)
    pipeline.add(sink)
    sink.sync_state_with_parent()
    pad.link(sink.get_static_pad('sink'))
for element in chain:
    pipeline.add(element)
chain[0].link(chain[1])
if job['element'] == 'rtmpsrc':
    chain[1].connect('pad-added', on_pad)
def dump(when):
    print('dump', when, Gst.debug_bin_to_dot_data(pipeline, Gst.DebugGraphDetails.ALL))
    print('dump', when, Gst.debug_bin_to_dot_data(pipeline, Gst.DebugGraphDetails.VERBOSE))
    print('stats', when, rtmp.get_property('stats').to_string())
dump('at first')
pipeline.set_state(Gst.State.PLAYING)
bus = pipeline.get_bus()
end = GLib.get_monotonic_time() + job['seconds'] * 1000000
kinds = Gst.MessageType.ERROR | Gst.MessageType.WARNING | Gst.MessageType.EOS
message = bus.timed_pop_filtered(job['seconds'] * Gst.SECOND, kinds)
dump('at the end')
if message and message.type == Gst.MessageType.ERROR:
    error, debug = message.parse_error()
    details = message.parse_error_details()
    print('ERROR', error.message, debug, details.to_string() if details else '')
    print('RESULT', details.get_string('reason') if details else 'error')
else:
    print('RESULT', 'eos' if message else rtmp.get_property('stats').get_string('state'))
pipeline.set_state(Gst.State.NULL)
dump('afterwards')
"""


def location(base, stream=f"{KEY}?token={TOKEN}"):
    password = urllib.parse.quote(PASSWORD, safe="")
    return f"{base.replace('://', f'://wilma:{password}@')}/live/{stream}"


def spellings(secret):
    """Returns the ways in which a secret could be printed."""
    plain = secret.encode()
    hexadecimal = plain.hex()
    return {secret, urllib.parse.quote(secret, safe=""), hexadecimal, hexadecimal.upper(), plain.hex(" "),
            base64.b64encode(plain).decode().rstrip("=")}


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_rtmp.require()
        cls.file = str(media.flv(seconds=1))

    def setUp(self):
        self.computed = []
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="secrets-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def run_element(self, element, where, result, *, seconds=15, masked=True, **properties):
        """Runs rtmpsink or rtmpsrc; what it ended with must be `result`, and nothing printed may hold a secret.

        `masked`: the log must show that locations were logged at all.
        """
        job = {"element": element, "file": self.file, "seconds": seconds,
               "properties": {"location": where, "timeout": 5, **properties},
               "expect": {"location": where, "password": PASSWORD}}
        if element == "rtmpsink":
            job["properties"]["sync"] = False
        self.check_program(job, result, masked)

    def check_program(self, job, result, masked):
        log = self.dir / "debug.log"
        _, output = pipelines.python(
            PROGRAM, json.dumps(job), timeout=60,
            env={"GST_DEBUG": "*:9", "GST_DEBUG_FILE": str(log), "G_MESSAGES_DEBUG": "all"})
        printed = output + log.read_text(errors="replace")
        log.unlink()
        self.assert_no_secret(printed)
        self.assertEqual(re.findall(r"^RESULT (.*)$", output, re.M), [result], output[-3000:])
        self.assertIn("GstRtmpx", output, "the dumps show the element")
        if masked:
            self.assertRegex(printed, r"rtmp://(wilma(:\*\*\*)?@)?127\.0\.0\.1:\d+/live/\*\*\*")

    def assert_no_secret(self, printed):
        for secret in (PASSWORD, KEY, TOKEN, APP_TOKEN, SECURE_TOKEN, ARGUMENT, *self.computed):
            for spelling in spellings(secret):
                at = printed.find(spelling)
                if at >= 0:
                    begin, end = printed.rfind("\n", 0, at) + 1, printed.find("\n", at)
                    self.fail(f"{secret} was printed: {printed[max(begin, at - 400):min(end, at + 200)]}")

    def test_every_spelling_would_be_found(self):
        for spelling in spellings(PASSWORD):
            with self.assertRaises(AssertionError):
                self.assert_no_secret(f"one line\nanother with {spelling} in it\n")

    def test_push_and_pull(self):
        with nginx_rtmp.NginxRtmp() as server:
            self.run_element("rtmpsink", location(server.url), "eos")
            with procs.Child(["ffmpeg", "-loglevel", "error", "-nostdin", "-re", "-stream_loop", "-1",
                              "-i", self.file, "-c", "copy", "-f", "flv",
                              location(server.url)]):
                server.wait_publishing(KEY)
                self.run_element("rtmpsrc", location(server.url), "running", seconds=2)
                self.run_element("rtmpsink", location(server.url), "bad-name")

    def test_secrets_in_every_property(self):
        secrets = {"application": f"live?auth={APP_TOKEN}", "secure-token": SECURE_TOKEN,
                   "extra-connect-args": f"conn=S:{ARGUMENT}"}
        with nginx_rtmp.NginxRtmp() as server:
            where = location(server.url)
            job = {"element": "rtmpsink", "file": self.file, "seconds": 15,
                   "properties": {"location": where, "sync": False, **secrets}, "expect": secrets}
            self.check_program(job, "eos", masked=False)

    def test_no_server(self):
        port = procs.free_port()
        for element in ("rtmpsink", "rtmpsrc"):
            with self.subTest(element=element):
                self.run_element(element, location(f"rtmp://127.0.0.1:{port}"), "refused")
                self.run_element(element, location("rtmp://secrets.invalid"), "unknown-host", masked=False)

    def test_refusals_that_quote_the_secret(self):
        refusals = [
            ("rtmpsink", {"publish": fake_server.on_status(
                "NetStream.Publish.BadName", "Stream {name} is already publishing.")}, "bad-name"),
            ("rtmpsink", {"publish": fake_server.on_status(
                "NetStream.Publish.Unauthorized", f"key {KEY}, token {TOKEN}: no")}, "unauthorized"),
            ("rtmpsrc", {"play": fake_server.on_status(
                "NetStream.Play.StreamNotFound", "No such stream: {name}")}, "not-found"),
            ("rtmpsrc", {"connect": fake_server.rejected_connect(
                "NetConnection.Connect.Rejected", f"rtmp://wilma:{PASSWORD}@h/live/{KEY} is not welcome")},
             "connect-rejected"),
            ("rtmpsink", {"connect": fake_server.rejected_connect(
                "NetConnection.Connect.Rejected",
                f"[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ?user=wilma&p={PASSWORD}")},
             "unauthorized"),
        ]
        for element, answers, result in refusals:
            with self.subTest(element=element, result=result), fake_server.FakeServer(**answers) as server:
                self.run_element(element, location(server.url), result)

    def test_logins(self):
        token = {"secureToken": TOKEN_CHALLENGE}
        for password, information, result in [(PASSWORD, token, "eos"), ("another", {}, "unauthorized")]:
            login = fake_server.AdobeLogin("wilma", password, gossips=True, information=information)
            self.computed = login.secrets + [TOKEN_ANSWER]
            login.secrets = self.computed
            with self.subTest(result=result), fake_server.FakeServer(connect=login) as server:
                self.run_element("rtmpsink", location(server.url), result, **{"secure-token": SECURE_TOKEN})
                self.assertEqual(login.connections, 3)
                self.assertGreaterEqual(len(login.secrets), 6, "the dialogue has taken place")
                answers = [values[-1] for name, values in server.commands if name == "secureTokenResponse"]
                self.assertEqual(answers, [TOKEN_ANSWER] if information else [])

    def test_redirects(self):
        with fake_server.FakeServer() as there:
            moved = fake_server.moved_connect(f"{there.url}/live?auth={APP_TOKEN}", f"no {KEY} here")
            with fake_server.FakeServer(connect=moved) as here:
                self.run_element("rtmpsink", location(here.url), "eos")
            self.assertIn("publish", there.names())

    def test_locations_that_cannot_be_used(self):
        for where in (f"rtmp://wilma:{PASSWORD}@host:99999/live/{KEY}",
                      f"rtmpx://wilma:{PASSWORD}@host/live/{KEY}?token={TOKEN}",
                      f"wilma:{PASSWORD}@host/live/{KEY}",
                      f"rtmp://wilma:{PASSWORD}@ho st/live/{KEY}"):
            with self.subTest(location=where):
                job = {"element": "rtmpsrc", "file": "", "seconds": 5,
                       "properties": {"location": where}, "expect": {}}
                self.check_program(job, "settings", masked=False)


if __name__ == "__main__":
    unittest.main()
