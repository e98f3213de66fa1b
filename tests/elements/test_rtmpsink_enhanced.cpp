// SPDX-License-Identifier: LGPL-2.1-or-later
// What rtmpsink and rtmpsrc say of Enhanced RTMP, and what rtmpsink makes of the server's answer.
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "rtmp/codecgate.h"
#include "rtmp/flvinput.h"
#include "rtmpsrc_testing.h"
#include "wire/capabilities.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::CodecGate;
using gstrtmp::EnhancedMode;
using gstrtmp::flv_caps;
using rtmp::EnhancedCapabilities;
using rtmp::media::MediaType;
using Verdict = CodecGate::Verdict;

EnhancedCapabilities server_of(std::vector<std::string> list, uint32_t caps_ex = 0) {
  EnhancedCapabilities capabilities;
  capabilities.four_cc_list = std::move(list);
  capabilities.caps_ex = caps_ex;
  return capabilities;
}

Script answering(const EnhancedCapabilities& capabilities) {
  return scripted([&](Script& s) { s.options.enhanced = capabilities; });
}

rtmp::Buffer fourcc_body(uint8_t first, const char* codec, rtmp::Buffer rest = {}) {
  rtmp::Buffer body{first};
  body.insert(body.end(), codec, codec + 4);
  body.insert(body.end(), rest.begin(), rest.end());
  return body;
}

Message extended_video(const char* codec, uint32_t index) {
  const uint8_t type = index == 0 ? 0x90 : index == 1 ? 0x91 : 0xA1;
  return {rtmp::MessageType::kVideo, index * 40, fourcc_body(type, codec, {0, 0, 0, 1, 2, 3})};
}
Message extended_audio(const char* codec, uint32_t index) {
  return {rtmp::MessageType::kAudio, index * 40,
          fourcc_body(index == 0 ? 0x90 : 0x91, codec, {1, 2, 3})};
}

std::vector<Message> extended_stream(const char* video, const char* audio) {
  std::vector<Message> stream = {metadata()};
  for (uint32_t i = 0; i < 5; i++) {
    stream.push_back(extended_video(video, i));
    stream.push_back(extended_audio(audio, i));
  }
  return stream;
}

rtmp::GatherPayload payload(const rtmp::Buffer& body) {
  gstrtmp::HoldPtr hold(gstrtmp::BufferHold::copy(body));
  return rtmp::GatherPayload(hold->piece(0), hold->owner());
}

std::string caps_text(EnhancedMode mode, const EnhancedCapabilities* server) {
  gstrtmp::GCharPtr text(gst_caps_to_string(flv_caps(mode, server).get()));
  return text.get();
}

// ---- the gate and the caps by themselves ----

TEST(CodecGate, PassesFlvsOwnHeaders) {
  for (EnhancedMode mode : {EnhancedMode::kAuto, EnhancedMode::kAlways, EnhancedMode::kNever}) {
    CodecGate gate;
    gate.begin(mode, server_of({"av01"}));
    EXPECT_EQ(gate.check(MediaType::kVideo, payload({0x17, 1, 0, 0, 0, 1})), Verdict::kPass);
    EXPECT_EQ(gate.check(MediaType::kVideo, payload({0x1C, 0, 0, 0, 0, 1})), Verdict::kPass);
    EXPECT_EQ(gate.check(MediaType::kAudio, payload({0xAF, 1, 1})), Verdict::kPass);
    EXPECT_EQ(gate.check(MediaType::kAudio, rtmp::GatherPayload()), Verdict::kPass);
  }
}

TEST(CodecGate, FindsTheCodecBehindWhateverStandsInFront) {
  const rtmp::Buffer bodies[] = {
      fourcc_body(0x91, "vp09", {0}),
      {0x97, 2, 0, 0, 1, 0x01, 'v', 'p', '0', '9', 0},  // modifier
      {0x96, 0x01, 'v', 'p', '0', '9', 1, 0},           // one track
      {0x96, 0x11, 'v', 'p', '0', '9', 1, 0, 0, 1, 0},  // many
      {0x96, 0x21, 'a', 'v', '0', '1', 0, 0, 0, 1, 9, 'v', 'p', '0', '9', 1, 0, 0, 1, 0},  // codecs
  };
  for (const rtmp::Buffer& body : bodies) {
    CodecGate gate;
    gate.begin(EnhancedMode::kAuto, server_of({"av01", "Opus"}));
    EXPECT_EQ(gate.check(MediaType::kVideo, payload(body)), Verdict::kRefused);
    EXPECT_NE(gate.complaint().find("does not take vp09"), std::string::npos) << gate.complaint();
    gate.begin(EnhancedMode::kAuto, server_of({"av01", "vp09"}));
    EXPECT_EQ(gate.check(MediaType::kVideo, payload(body)), Verdict::kPass);
  }
  rtmp::Buffer long_modifier{0x97, 0xFF, 0x01, 0x00};
  long_modifier.resize(4 + 257);
  const rtmp::Buffer rest = fourcc_body(0x01, "vp09", {0});
  long_modifier.insert(long_modifier.end(), rest.begin(), rest.end());
  CodecGate gate;
  gate.begin(EnhancedMode::kAuto, server_of({"av01"}));
  EXPECT_EQ(gate.check(MediaType::kVideo, payload(long_modifier)), Verdict::kRefused);
}

TEST(CodecGate, OfAServerThatNamesNoCodecs) {
  CodecGate gate;
  for (uint32_t caps_ex : {0u, 15u}) {
    EnhancedCapabilities silent;
    silent.caps_ex = caps_ex;
    gate.begin(EnhancedMode::kAuto, silent);
    EXPECT_EQ(gate.check(MediaType::kVideo, payload(fourcc_body(0x91, "av01"))),
              Verdict::kUnannounced);
    EXPECT_EQ(gate.complaint(), "av01");
    EXPECT_EQ(gate.check(MediaType::kAudio, payload(fourcc_body(0x91, "Opus"))), Verdict::kPass)
        << "told once";
  }
  gate.begin(EnhancedMode::kAlways, {});
  EXPECT_EQ(gate.check(MediaType::kVideo, payload(fourcc_body(0x91, "av01"))), Verdict::kPass);
  gate.begin(EnhancedMode::kNever, {});
  EXPECT_EQ(gate.check(MediaType::kVideo, payload(fourcc_body(0x91, "av01"))), Verdict::kRefused);
  EXPECT_NE(gate.complaint().find("av01"), std::string::npos);
  EXPECT_NE(gate.complaint().find("enhanced=never"), std::string::npos);
}

TEST(CodecGate, TracksWithNumbersHaveNoOtherForm) {
  CodecGate gate;
  gate.begin(EnhancedMode::kAuto, server_of({"hvc1"}));
  EXPECT_EQ(gate.check(MediaType::kVideo, payload({0x96, 0x01, 'a', 'v', 'c', '1', 1, 0})),
            Verdict::kRefused);
}

TEST(CodecGate, OfAServerThatNamesOnlyOneKind) {
  EnhancedCapabilities video_only;
  video_only.video_codecs = {{"hvc1", EnhancedCapabilities::kCanDecode}};
  EXPECT_EQ(caps_text(EnhancedMode::kAuto, &video_only),
            "video/x-flv, video-codecs=(string){ hvc1 }");
  CodecGate gate;
  gate.begin(EnhancedMode::kAuto, video_only);
  EXPECT_EQ(gate.check(MediaType::kVideo, payload(fourcc_body(0x91, "av01"))), Verdict::kRefused);
  EXPECT_EQ(gate.check(MediaType::kAudio, payload(fourcc_body(0x91, "Opus"))),
            Verdict::kUnannounced);
  EXPECT_EQ(gate.check(MediaType::kVideo, payload(fourcc_body(0x91, "avc1"))), Verdict::kOtherForm);
}

TEST(CodecGate, NamesBothLists) {
  CodecGate gate;
  gate.begin(EnhancedMode::kAlways, server_of({"hvc1", "Opus"}));
  EXPECT_EQ(gate.check(MediaType::kAudio, payload(fourcc_body(0x91, "Opus"))), Verdict::kPass);
  EXPECT_EQ(gate.check(MediaType::kVideo, payload(fourcc_body(0x91, "\x01z01"))),
            Verdict::kRefused);
  EXPECT_NE(gate.complaint().find("the stream has Opus, ?z01, and the server takes hvc1, Opus"),
            std::string::npos)
      << gate.complaint();
}

TEST(FlvCaps, TellWhatIsKnown) {
  EXPECT_EQ(caps_text(EnhancedMode::kAuto, nullptr), "video/x-flv");
  const EnhancedCapabilities silent;
  EXPECT_EQ(caps_text(EnhancedMode::kAlways, &silent), "video/x-flv");
  const auto any = server_of({"*"}, 15);
  EXPECT_EQ(caps_text(EnhancedMode::kAuto, &any),
            "video/x-flv, timestamp-precision=(string)nanosecond, multitrack=(boolean)true");
  const auto some = server_of({"hvc1", "av01", "Opus"}, EnhancedCapabilities::kModEx);
  EXPECT_EQ(caps_text(EnhancedMode::kAuto, &some),
            "video/x-flv, video-codecs=(string){ hvc1, av01 }, audio-codecs=(string){ Opus }, "
            "multitrack=(boolean)false");
  EXPECT_EQ(caps_text(EnhancedMode::kNever, &some), "video/x-flv, enhanced=(boolean)false");
  const auto sound = server_of({"Opus"});
  EXPECT_EQ(caps_text(EnhancedMode::kAuto, &sound),
            "video/x-flv, video-codecs=(string){ none }, audio-codecs=(string){ Opus }, "
            "multitrack=(boolean)false");
}

// ---- the elements ----

/// take_reconfigures() counts these events since the last call. Linking the pad makes one.
int take_reconfigures(Sink& sink) {
  int count = 0;
  while (GstEvent* event = gst_harness_try_pull_upstream_event(sink.harness)) {
    count += GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE ? 1 : 0;
    gst_event_unref(event);
  }
  return count;
}

std::string peer_caps(Sink& sink) {
  auto caps = gstrtmp::adopt(gst_pad_peer_query_caps(sink.harness->srcpad, nullptr));
  gstrtmp::GCharPtr text(gst_caps_to_string(caps.get()));
  return text.get();
}

std::string stat(const GstStructure* stats, const char* name) {
  const gchar* text = gst_structure_get_string(stats, name);
  return text != nullptr ? text : "(none)";
}
guint stat_uint(const GstStructure* stats, const char* name) {
  guint value = 12345;
  EXPECT_TRUE(gst_structure_get_uint(stats, name, &value)) << name;
  return value;
}

TEST(RtmpSinkEnhanced, AnnouncesThatItHandsOn) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_TRUE(server.wait(published));
  const auto announced = server.log().connects.at(0).enhanced;
  EXPECT_EQ(announced, EnhancedCapabilities::passing_on(15));
  auto stats = sink.get_stats();
  EXPECT_EQ(stat(stats.get(), "announced-codecs").substr(0, 7), "*, avc1");
  EXPECT_EQ(stat_uint(stats.get(), "announced-caps-ex"), 15u);
  EXPECT_EQ(stat(stats.get(), "server-video-codecs"), "");
  EXPECT_EQ(stat_uint(stats.get(), "server-caps-ex"), 0u);
  EXPECT_EQ(peer_caps(sink), "video/x-flv");
}

TEST(RtmpSinkEnhanced, NeverAnnouncesNothing) {
  TestServer server(answering(EnhancedCapabilities::passing_on(15)));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "enhanced", 2, nullptr);
  sink.play();
  ASSERT_TRUE(server.wait(published));
  EXPECT_EQ(server.log().connects.at(0).enhanced, EnhancedCapabilities());
  EXPECT_EQ(peer_caps(sink), "video/x-flv, enhanced=(boolean)false");
  sink.push(extended_stream("hvc1", "Opus"));
  const auto error =
      expect_error(sink, GST_STREAM_ERROR, GST_STREAM_ERROR_CODEC_NOT_FOUND, "codec", "running");
  EXPECT_NE(error.text.find("hvc1"), std::string::npos) << error.text;
  EXPECT_NE(error.text.find("enhanced=never"), std::string::npos) << error.text;
}

TEST(RtmpSinkEnhanced, TellsUpstreamWhatTheServerTakes) {
  auto takes = server_of({"hvc1", "Opus"}, 12);
  takes.video_function = 6;
  TestServer server(answering(takes));
  Sink sink(server.url());
  ASSERT_TRUE(server.wait(published));
  int reconfigures = 0;
  EXPECT_TRUE(eventually([&] { return (reconfigures += take_reconfigures(sink)) == 2; }));
  EXPECT_EQ(peer_caps(sink),
            "video/x-flv, video-codecs=(string){ hvc1 }, audio-codecs=(string){ Opus }, "
            "timestamp-precision=(string)nanosecond, multitrack=(boolean)false");
  auto stats = sink.get_stats();
  EXPECT_EQ(stat(stats.get(), "server-video-codecs"), "hvc1");
  EXPECT_EQ(stat(stats.get(), "server-audio-codecs"), "Opus");
  EXPECT_EQ(stat_uint(stats.get(), "server-caps-ex"), 12u);
  EXPECT_EQ(stat_uint(stats.get(), "server-video-function"), 6u);

  // Upstream's own caps need not repeat it, and what the server takes goes through.
  gst_harness_set_src_caps_str(sink.harness, "video/x-flv, made=(string)later");
  const auto stream = extended_stream("hvc1", "Opus");
  const Log log = push_all(server, sink, [&] { EXPECT_EQ(sink.push(stream), GST_FLOW_OK); });
  EXPECT_EQ(log.messages.size(), stream.size());
  EXPECT_FALSE(sink.message(GST_MESSAGE_WARNING, 0ms));
}

// The muxer in front takes of its pads only what the server takes, and FLV's own.
TEST(RtmpSinkEnhanced, FlvChunkHeedsIt) {
  TestServer server(answering(server_of({"av01"})));
  GstElement* pipeline = gst_parse_launch(
      ("flvchunk name=mux ! rtmpxsink name=sink location=" + server.url()).c_str(), nullptr);
  ASSERT_NE(pipeline, nullptr);
  auto mux = gstrtmp::adopt(gst_bin_get_by_name(GST_BIN(pipeline), "mux"));
  auto pad = gstrtmp::adopt(gst_element_request_pad_simple(mux.get(), "video"));
  auto offers = [&](const char* media_type) {
    auto wanted = gstrtmp::adopt(gst_caps_new_empty_simple(media_type));
    auto all = gstrtmp::adopt(gst_pad_get_pad_template_caps(pad.get()));
    auto caps = gstrtmp::adopt(gst_pad_query_caps(pad.get(), all.get()));
    return gst_caps_can_intersect(caps.get(), wanted.get()) != FALSE;
  };
  EXPECT_TRUE(offers("video/x-h265")) << "before anybody has said anything";
  gst_element_set_state(pipeline, GST_STATE_PAUSED);
  ASSERT_TRUE(server.wait(published));
  EXPECT_TRUE(eventually([&] { return !offers("video/x-h265"); }));
  EXPECT_TRUE(offers("video/x-av1"));
  EXPECT_TRUE(offers("video/x-h264"));
  gst_element_set_state(pipeline, GST_STATE_NULL);
  pad = nullptr;
  mux = nullptr;
  gst_object_unref(pipeline);
}

TEST(RtmpSinkEnhanced, RefusesOtherCodecsBeforeTheFirstFrame) {
  for (const char* codec : {"av01", "xxxx"}) {
    TestServer server(answering(server_of({"hvc1", "Opus"})));
    Sink sink(server.url());
    std::vector<Message> stream = extended_stream(codec, "Opus");
    std::swap(stream[1], stream[2]);
    ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
    sink.push(stream);
    const auto error =
        expect_error(sink, GST_STREAM_ERROR, GST_STREAM_ERROR_CODEC_NOT_FOUND, "codec", "running");
    EXPECT_NE(error.text.find(std::string("the stream has Opus, ") + codec), std::string::npos)
        << error.text;
    EXPECT_NE(error.text.find("the server takes hvc1, Opus"), std::string::npos) << error.text;
    for (const Message& message : server.log().messages) {
      EXPECT_NE(message.type, rtmp::MessageType::kVideo);
    }
  }
}

// Where the caps have the headers, all codecs are known before anything is sent.
TEST(RtmpSinkEnhanced, LooksAtTheHeadersInTheCaps) {
  TestServer server(answering(server_of({"Opus"})));
  Sink sink(server.url(), false);
  std::string headers;
  for (const Message& header : {metadata(), extended_audio("Opus", 0), extended_video("av01", 0)}) {
    headers += headers.empty() ? "" : ", ";
    headers += "(buffer)";
    for (uint8_t octet : flv_tag(header)) {
      char text[3];
      g_snprintf(text, sizeof text, "%02x", octet);
      headers += text;
    }
  }
  sink.play(("video/x-flv, streamheader=(buffer)< " + headers + " >").c_str());
  sink.push(extended_audio("Opus", 1));
  expect_error(sink, GST_STREAM_ERROR, GST_STREAM_ERROR_CODEC_NOT_FOUND, "codec", "running");
  EXPECT_TRUE(server.log().messages.empty());
}

TEST(RtmpSinkEnhanced, WarnsOnceOfAServerThatSaysNothing) {
  for (int mode : {0, 1}) {
    TestServer server;
    Sink sink(server.url(), false);
    g_object_set(sink.element, "enhanced", mode, nullptr);
    sink.play();
    const auto stream = extended_stream("hvc1", "Opus");
    ASSERT_EQ(sink.push(stream), GST_FLOW_OK);
    ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == stream.size(); }));
    auto warning = sink.message(GST_MESSAGE_WARNING, mode == 0 ? 10000ms : 300ms);
    ASSERT_EQ(warning.get() != nullptr, mode == 0);
    if (warning) {
      gstrtmp::GErrorPtr error;
      gst_message_parse_warning(warning.get(), gstrtmp::out_parameter(error), nullptr);
      EXPECT_TRUE(g_error_matches(error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_CODEC_NOT_FOUND));
      EXPECT_NE(std::string(error->message).find("hvc1"), std::string::npos) << error->message;
      EXPECT_FALSE(sink.message(GST_MESSAGE_WARNING, 100ms));
    }
    EXPECT_EQ(take_reconfigures(sink), 1);
  }
}

// What each track's decoder needs first, colours too, comes again on the next connection.
TEST(RtmpSinkEnhanced, RepeatsTheHeadersOfEachTrack) {
  TestServer server(answering(server_of({"*"}, 15)));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "auto-reconnect", TRUE, nullptr);
  sink.play();
  const auto type = rtmp::MessageType::kVideo;
  const std::vector<Message> headers = {
      {type, 0, fourcc_body(0x84, "hvc1", {2, 0, 1, 'x', 5})},                   // colours
      {type, 0, fourcc_body(0x90, "hvc1", {1})},                                 // track 0
      {type, 0, {0x96, 0x00, 'a', 'v', 'c', '1', 1, 2}},                         // track 1
      {type, 0, {0x96, 0x00, 'a', 'v', 'c', '1', 2, 3}},                         // track 2
      {type, 0, {0x96, 0x10, 'a', 'v', 'c', '1', 1, 0, 0, 1, 4, 2, 0, 0, 1, 5}}  // 1 and 2
  };
  ASSERT_EQ(sink.push(headers), GST_FLOW_OK);
  ASSERT_EQ(sink.push(extended_video("hvc1", 1)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == 6; }));
  server.disconnect();
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }));
  ASSERT_TRUE(eventually([&] { return sink.state() == "running"; }));
  ASSERT_EQ(sink.push(extended_video("hvc1", 1)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == 12; }));
  const Log log = server.log();
  for (size_t i = 0; i < 6; i++) {
    EXPECT_EQ(log.messages[i].body, log.messages[i + 6].body) << i;
  }
}

/// Fallen is a sink whose stream has gone out in the extended form, to a server that comes back and
/// takes `list` only. Ten frames and the metadata have been sent.
struct Fallen {
  explicit Fallen(std::vector<std::string> list) : server(answering(server_of({"*"}, 15))) {
    g_object_set(sink.element, "auto-reconnect", TRUE, nullptr);
    sink.play();
    EXPECT_EQ(sink.push(extended_stream("avc1", "mp4a")), GST_FLOW_OK);
    EXPECT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 11; }));
    come_back(std::move(list));
  }
  void come_back(std::vector<std::string> list) {
    const size_t published = server.log().publishes.size();
    server.set_script(answering(server_of(std::move(list))));
    server.disconnect();
    EXPECT_TRUE(server.wait([=](const Log& log) { return log.publishes.size() > published; }));
    EXPECT_TRUE(eventually([&] { return sink.state() == "running"; }));
  }
  /// push_old() is what was under way in the other form.
  void push_old() {
    for (uint32_t i = 2; i < 5; i++) {
      EXPECT_EQ(sink.push(extended_video("avc1", i)), GST_FLOW_OK);
      EXPECT_EQ(sink.push(extended_audio("mp4a", i)), GST_FLOW_OK);
    }
  }
  /// bodies() are those of the messages behind the first `count`, but for the metadata.
  std::vector<rtmp::Buffer> bodies(size_t count) {
    std::vector<rtmp::Buffer> out;
    const Log log = server.log();
    for (size_t i = count; i < log.messages.size(); i++) {
      if (log.messages[i].type != rtmp::MessageType::kDataAmf0) {
        out.push_back(log.messages[i].body);
      }
    }
    return out;
  }

  TestServer server;
  Sink sink{server.url(), false};
};

// The server that comes back takes less: what FLV's own headers can tell goes on in these, as soon
// as upstream has heard of it.
TEST(RtmpSinkEnhanced, GoesOnInFlvsOwnFormIfTheNextServerTakesNoOther) {
  Fallen fallen({"hvc1"});
  fallen.push_old();
  const std::vector<Message> own = {video_header(), audio_header(), video_frame(10),
                                    audio_frame(10)};
  ASSERT_EQ(fallen.sink.push(own), GST_FLOW_OK);
  ASSERT_TRUE(fallen.server.wait([](const Log& log) { return log.messages.size() >= 16; }));
  std::vector<rtmp::Buffer> expected;
  for (const Message& message : own) {
    expected.push_back(message.body);
  }
  EXPECT_THAT(fallen.bodies(11), testing::UnorderedElementsAreArray(expected));
  EXPECT_FALSE(fallen.sink.message(GST_MESSAGE_ERROR, 0ms));
  // A codec that has no other form ends it.
  (void)fallen.sink.push(extended_video("av01", 0));
  EXPECT_TRUE(fallen.sink.message(GST_MESSAGE_ERROR, 5s));
}

// Sound changes at once, pictures at a key frame: until then their header is not sent either,
// though the caps bring it again.
TEST(RtmpSinkEnhanced, LeavesOutTheHeaderOfWhatItLeavesOut) {
  Fallen fallen({"hvc1"});
  fallen.push_old();
  std::string headers;
  Message other = extended_video("avc1", 0);
  other.body.push_back(4);
  for (const Message& message : {other, audio_header()}) {
    headers += headers.empty() ? "(buffer)" : ", (buffer)";
    for (uint8_t octet : flv_tag(message)) {
      std::array<char, 3> text;
      std::snprintf(text.data(), text.size(), "%02x", octet);
      headers += text.data();
    }
  }
  gst_harness_set_src_caps_str(fallen.sink.harness,
                               ("video/x-flv, streamheader=(buffer)< " + headers + " >").c_str());
  ASSERT_EQ(fallen.sink.push(std::vector<Message>{audio_header(), video_header(), video_frame(10),
                                                  audio_frame(10)}),
            GST_FLOW_OK);
  ASSERT_TRUE(fallen.server.wait([](const Log& log) { return log.messages.size() >= 16; }));
  for (const rtmp::Buffer& body : fallen.bodies(11)) {
    EXPECT_NE(body.at(0), 0x90) << "the extended form";
  }
}

// And if it is a server of the first kind that comes next, all is there again.
TEST(RtmpSinkEnhanced, KeepsTheHeadersOfWhatItLeavesOut) {
  Fallen fallen({"hvc1"});
  fallen.push_old();
  fallen.come_back({"*"});
  const size_t before = fallen.server.log().messages.size();
  ASSERT_EQ(fallen.sink.push(extended_video("avc1", 1)), GST_FLOW_OK);
  ASSERT_TRUE(
      fallen.server.wait([&](const Log& log) { return log.messages.size() >= before + 4; }));
  // Sound may overtake pictures.
  EXPECT_THAT(fallen.bodies(before), testing::UnorderedElementsAre(extended_video("avc1", 0).body,
                                                                   extended_audio("mp4a", 0).body,
                                                                   extended_video("avc1", 1).body));
}

// Sound that has changed its form is no reason to fail at the end.
TEST(RtmpSinkEnhanced, AnEndBehindWhatHasChangedIsNone) {
  Fallen fallen({"avc1"});
  fallen.push_old();
  ASSERT_EQ(fallen.sink.push(std::vector<Message>{audio_header(), audio_frame(10)}), GST_FLOW_OK);
  (void)fallen.sink.push_eos();
  EXPECT_FALSE(fallen.sink.message(GST_MESSAGE_ERROR, 300ms));
}

TEST(RtmpSinkEnhanced, AnEndWithFramesLeftOutIsAnError) {
  Fallen fallen({"hvc1"});
  fallen.push_old();
  (void)fallen.sink.push_eos();
  auto error = take_error(fallen.sink, 5s);
  ASSERT_TRUE(error);
  EXPECT_NE(error->text.find("avc1"), std::string::npos) << error->text;
}

TEST(RtmpSinkEnhanced, RepeatsTheColoursOfATrackBesideOneInFlvsOwnForm) {
  TestServer server(answering(server_of({"*"}, 15)));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "auto-reconnect", TRUE, nullptr);
  sink.play();
  const Message colours = {
      rtmp::MessageType::kVideo, 0, {0x96, 0x04, 'h', 'v', 'c', '1', 1, 2, 0, 1, 'x', 5}};
  ASSERT_EQ(sink.push(std::vector<Message>{colours, video_header(), video_frame(0)}), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 3; }));
  server.disconnect();
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }));
  ASSERT_TRUE(eventually([&] { return sink.state() == "running"; }));
  ASSERT_EQ(sink.push(video_frame(10)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 6; }));
  EXPECT_EQ(server.log().messages[3].body, colours.body);
}

TEST(RtmpSinkEnhanced, GoesToAnotherLocationThatTakesIt) {
  TestServer picky(answering(server_of({"av01"})));
  TestServer other(answering(server_of({"*"})));
  Sink sink(picky.url(), false);
  const std::string second = other.url();
  gst_util_set_object_arg(G_OBJECT(sink.element), "locations", ("<\"" + second + "\">").c_str());
  g_object_set(sink.element, "auto-reconnect", TRUE, nullptr);
  sink.play();
  const auto stream = extended_stream("hvc1", "Opus");
  ASSERT_EQ(sink.push(stream), GST_FLOW_OK);
  // A live stream does not wait meanwhile.
  ASSERT_TRUE(other.wait(published));
  ASSERT_TRUE(eventually([&] { return sink.state() == "running"; }));
  ASSERT_EQ(sink.push(extended_video("hvc1", 1)), GST_FLOW_OK);
  EXPECT_TRUE(other.wait([](const Log& log) { return !log.messages.empty(); }));
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
}

TEST(RtmpSrcEnhanced, AnnouncesThatItHandsOn) {
  TestServer server(answering(server_of({"*"}, 3)));
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  // play is asked for ahead: the server has heard it before we have read its answer to connect.
  ASSERT_TRUE(eventually([&] { return source.stat("uptime") > 0; }));
  auto expected = EnhancedCapabilities::passing_on(EnhancedCapabilities::kMultitrack |
                                                   EnhancedCapabilities::kModEx |
                                                   EnhancedCapabilities::kTimestampNano);
  expected.video_function = 7;
  const auto announced = server.log().connects.at(0).enhanced;
  EXPECT_EQ(announced.four_cc_list, expected.four_cc_list);
  EXPECT_EQ(announced.video_codecs, expected.video_codecs);
  EXPECT_EQ(announced.audio_codecs, expected.audio_codecs);
  EXPECT_EQ(announced.video_function, expected.video_function);
  EXPECT_TRUE(announced.has(EnhancedCapabilities::kTimestampNano));
  GstStructure* read = nullptr;
  g_object_get(source.element, "stats", &read, nullptr);
  gstrtmp::GstStructurePtr stats(read);
  EXPECT_EQ(stat(stats.get(), "server-video-codecs"), "*");
  EXPECT_EQ(stat_uint(stats.get(), "server-caps-ex"), 3u);
}

}  // namespace
