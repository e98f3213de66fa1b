// SPDX-License-Identifier: LGPL-2.1-or-later
// rtmpsrc changes over to another connection while it plays: for the server's Reconnect Request,
// for the application, and between its locations.
#include <algorithm>
#include <atomic>
#include <thread>

#include "rtmpsrc_reconnect_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using Step = Script::Step;

/// Relayed is one live stream that two servers have, the second `behind` the first; less than
/// nothing: ahead. Its time stamps there are `shift` ms later.
class Relayed {
 public:
  Relayed(TestServer& first, TestServer& second, std::chrono::milliseconds behind = 0ms,
          int64_t shift = 0)
      : sides_{{&first, -std::min(behind, 0ms), 0}, {&second, std::max(behind, 0ms), shift}} {
    for (const Side& side : sides_) {
      send_headers(*side.server, "key", side.shift);
    }
    for (Side& side : sides_) {
      threads_.emplace_back([this, &side] { run(side); });
    }
  }
  ~Relayed() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  Relayed(const Relayed&) = delete;
  Relayed& operator=(const Relayed&) = delete;

 private:
  struct Side {
    TestServer* server;
    std::chrono::milliseconds behind;
    int64_t shift;
  };
  void run(const Side& side) const {
    for (uint32_t i = 0; !stop_; i++) {
      std::this_thread::sleep_until(begun_ + side.behind + i * 40ms);
      for (const Message& message : frames(i, 1, side.shift)) {
        side.server->send("key", message);
      }
    }
  }

  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::vector<Side> sides_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_ = false;
};

/// expect_whole() holds if each kind of media has every frame once, in order, and nothing is marked
/// as a gap.
void expect_whole(const Source& source) {
  const auto media = source.media();
  for (const bool video : {true, false}) {
    std::optional<int64_t> last;
    for (const Passed& one : media) {
      if (one.is_video() == video) {
        EXPECT_EQ(one.tag_ms, last.value_or(one.tag_ms - 40) + 40) << (video ? "video" : "audio");
        last = one.tag_ms;
      }
    }
  }
  for (size_t i = 1; i < media.size(); i++) {
    EXPECT_FALSE(media[i].discont) << i;
  }
  const auto passed = source.passed();
  size_t headers = 0;
  for (const Passed& one : passed) {
    headers += one.type != 0 && one.header;
  }
  EXPECT_EQ(headers, 3u) << "metadata, and a configuration for each kind";
}

bool left(const TestServer& server) {
  return server.wait([](const Log& log) { return log.count("deleteStream") == 1; }) &&
         eventually([&] { return server.players("key") == 0; });
}

struct Way {
  const char* name;
  std::chrono::milliseconds behind;
  bool gop_cache;
};

class RtmpSrcMoveBetween : public testing::TestWithParam<Way> {};

TEST_P(RtmpSrcMoveBetween, TwoOfOursNothingIsLostOrDoubled) {
  const auto script = scripted([](Script& s) { s.gop_cache = GetParam().gop_cache; });
  TestServer first(script);
  TestServer second(script);
  Source source(first.url());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Relayed stream(first, second, GetParam().behind);
  ASSERT_TRUE(source.wait_media(35));
  first.send_status(move_request(tc_url(second)));
  ASSERT_TRUE(wait_player(second));
  EXPECT_TRUE(left(first));
  ASSERT_TRUE(source.wait_media(source.media().size() + 30));
  expect_whole(source);
  EXPECT_EQ(source.caps().size(), 1u);
  EXPECT_EQ(source.stat("reconnects"), 1u);
  EXPECT_TRUE(first.log().connects[0].enhanced.has(rtmp::EnhancedCapabilities::kReconnect))
      << "a server may ask";
  EXPECT_FALSE(
      source.message(static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), 0ms));
}

INSTANTIATE_TEST_SUITE_P(RtmpSrcMove, RtmpSrcMoveBetween,
                         testing::Values(Way{"InStep", 0ms, false}, Way{"Cached", 0ms, true},
                                         Way{"Behind", 200ms, true},
                                         Way{"BehindWithoutCache", 200ms, false},
                                         Way{"Ahead", -200ms, false},
                                         Way{"AheadCached", -200ms, true}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(RtmpSrcMove, WhatIsBehindIsDueLater) {
  TestServer first;
  TestServer second;
  Source source(first.url());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Relayed stream(first, second, 300ms);
  ASSERT_TRUE(source.wait_media(30));
  first.send_status(move_request(tc_url(second)));
  EXPECT_TRUE(left(first));
  source.forget();
  ASSERT_TRUE(source.wait_media(40));
  std::vector<int64_t> late;
  for (const Passed& one : source.media()) {
    late.push_back(one.arrived - one.running);
  }
  EXPECT_LE(middle(late), kLatency) << "or sinks would drop it for good";
}

TEST(RtmpSrcMove, OtherTimeStampsAreAGapAtAKeyFrame) {
  TestServer first;
  TestServer second;
  Source source(first.url());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Relayed stream(first, second, 0ms, kHour);
  ASSERT_TRUE(source.wait_media(35));
  first.send_status(move_request(tc_url(second)));
  EXPECT_TRUE(left(first));
  ASSERT_TRUE(source.wait_media(source.media().size() + 40));
  const auto media = source.media();
  const size_t gap = expect_gap(media, 35);
  EXPECT_LT(media[gap].running - media[gap - 1].running, 600 * kMs)
      << "the old one goes on till then";
  EXPECT_EQ(source.stat("reconnects"), 1u);
}

TEST(RtmpSrcMove, AnotherStreamIsAGapAtOnce) {
  TestServer first;
  TestServer second(scripted([](Script& s) { s.gop_cache = true; }));
  Source source(first.url());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Relayed stream(first, second, 0ms, 20);  // key frames of its own, half a frame later
  ASSERT_TRUE(source.wait_media(35));
  first.send_status(move_request(tc_url(second)));
  EXPECT_TRUE(left(first));
  ASSERT_TRUE(source.wait_media(source.media().size() + 30));
  expect_gap(source.media(), 35);
}

TEST(RtmpSrcMove, TheNewOneRefusesAndTheOldGoesOn) {
  TestServer first;
  TestServer second(scripted(
      [](Script& s) { s.refuse_connect = rtmp::make_status(rtmp::StatusCode::kConnectRejected); }));
  Back source(first.url());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Relayed stream(first, second);
  ASSERT_TRUE(source.wait_media(20));
  first.send_status(move_request(tc_url(second)));
  ASSERT_TRUE(second.wait([](const Log& log) { return log.connects.size() == 1; }));
  ASSERT_TRUE(source.wait_media(source.media().size() + 40));
  expect_whole(source);
  EXPECT_EQ(source.story(), "connecting 0, connected");
  EXPECT_EQ(first.log().accepted, 1u);
}

TEST(RtmpSrcMove, NobodyIsThereAndTheOldGoesOnUntilItEnds) {
  TestServer first;
  Source source(first.url());  // without auto-reconnect
  source.play();
  ASSERT_TRUE(wait_player(first));
  Publisher publisher(first, "key");
  ASSERT_TRUE(source.wait_media(20));
  first.send_status(move_request("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live"));
  ASSERT_TRUE(source.wait_media(60));
  expect_whole(source);
  first.disconnect();
  EXPECT_TRUE(source.wait_eos());
}

// A server may send us on before it lets us play.
TEST(RtmpSrcMove, AskedBeforeTheStreamPlays) {
  TestServer second(scripted([](Script& s) { s.gop_cache = true; }));
  TestServer first(scripted([&](Script& s) {
    s.after_connect = {move_command(second)};
    s.delay = 50ms;
  }));
  Source source(first.url());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Relayed stream(first, second);
  ASSERT_TRUE(wait_player(second));
  EXPECT_TRUE(left(first));
  ASSERT_TRUE(source.wait_media(30));
  EXPECT_EQ(source.stat("reconnects"), 1u);
}

// The publisher may have been sent there as well: its end here is none of the stream's.
TEST(RtmpSrcMove, ThePublisherGoesFirst) {
  TestServer first;
  TestServer second(scripted([](Script& s) {
    s.gop_cache = true;
    s.delay = 100ms;
  }));
  Source source(first.url());  // without auto-reconnect
  source.play();
  ASSERT_TRUE(wait_player(first));
  {
    Publisher publisher(first, "key");
    ASSERT_TRUE(source.wait_media(20));
  }
  first.send_status(move_request(tc_url(second)));
  first.send_status(rtmp::make_status(rtmp::StatusCode::kPlayUnpublishNotify));
  ASSERT_TRUE(wait_player(second));
  Publisher publisher(second, "key");
  ASSERT_TRUE(source.wait_media(source.media().size() + 20));
  EXPECT_FALSE(source.message(
      static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ERROR | GST_MESSAGE_EOS), 0ms));
}

TEST(RtmpSrcMove, ThePublisherHasEndedAndTheNewOneIsNotThere) {
  TestServer first;
  TestServer second(scripted([](Script& s) {
    s.delay = 200ms;
    s.refuse_connect = rtmp::make_status(rtmp::StatusCode::kConnectRejected);
  }));
  Source source(first.url());  // without auto-reconnect
  source.play();
  ASSERT_TRUE(wait_player(first));
  {
    Publisher publisher(first, "key");
    ASSERT_TRUE(source.wait_media(20));
  }
  first.send_status(move_request(tc_url(second)));
  first.send_status(rtmp::make_status(rtmp::StatusCode::kPlayUnpublishNotify));
  EXPECT_TRUE(source.wait_eos());
  EXPECT_EQ(second.log().connects.size(), 1u);
  EXPECT_FALSE(
      source.message(static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), 0ms));
}

TEST(RtmpSrcMove, RelativeToWhereWeAre) {
  TestServer server(scripted([](Script& s) { s.gop_cache = true; }));
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key");
  ASSERT_TRUE(source.wait_media(20));
  server.send_status(move_request("/other"));
  ASSERT_TRUE(server.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  ASSERT_TRUE(source.wait_media(source.media().size() + 20));
  expect_whole(source);
  ASSERT_EQ(server.log().connects.size(), 2u);
  EXPECT_EQ(server.log().connects[1].app, "other");
  EXPECT_EQ(server.log().connects[1].tc_url, tc_url(server, "other"));
}

TEST(RtmpSrcMove, ToTheSameAddressIfNoneIsNamed) {
  TestServer server(scripted([](Script& s) { s.gop_cache = true; }));
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key");
  ASSERT_TRUE(source.wait_media(20));
  server.send_status(move_request(""));
  ASSERT_TRUE(server.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  ASSERT_TRUE(source.wait_media(source.media().size() + 20));
  expect_whole(source);
  EXPECT_EQ(server.log().plays.size(), 2u);
}

// A server may send us on and hang up at once: the way it named is the one that is taken.
TEST(RtmpSrcMove, TheOldOneEndsBeforeTheNewOneIsThere) {
  TestServer first;
  TestServer second(scripted([](Script& s) { s.delay = 150ms; }));
  Back source(first.url());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Relayed stream(first, second);
  ASSERT_TRUE(source.wait_media(20));
  first.send_status(move_request(tc_url(second)));
  ASSERT_TRUE(second.wait([](const Log& log) { return log.accepted == 1; }));
  first.disconnect();
  ASSERT_TRUE(wait_player(second));
  ASSERT_TRUE(source.wait_media(source.media().size() + 30));
  expect_gap(source.media(), 20);
  EXPECT_EQ(source.story(), "connecting 0, connected, WARNING closed, connecting 1, connected");
  EXPECT_EQ(first.log().accepted, 1u) << "nobody comes back";
}

TEST(RtmpSrcMove, AServerWithoutTheStreamIsGivenUp) {
  TestServer first;
  TestServer second;
  Source source(first.url());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Publisher publisher(first, "key");
  ASSERT_TRUE(source.wait_media(20));
  first.send_status(move_request(tc_url(second)));
  ASSERT_TRUE(wait_player(second));
  second.send_status(rtmp::make_status(rtmp::StatusCode::kPlayUnpublishNotify));
  ASSERT_TRUE(eventually([&] { return second.players("key") == 0; }));
  ASSERT_TRUE(source.wait_media(source.media().size() + 20));
  expect_whole(source);
}

TEST(RtmpSrcMove, ARecordingGoesOnAtThePositionReached) {
  Recording recording;
  recording.messages = {announcing_metadata(), video_header(), audio_header()};
  for (const Message& message : frames(0, 75)) {
    recording.messages.push_back(message);
  }
  recording.duration = 3;
  recording.speed = 1;
  TestServer first;
  TestServer second;
  first.set_recording("film", recording);
  second.set_recording("film", recording);
  Source source(first.url("film"));
  source.set("play-type", "recorded");
  source.play();
  ASSERT_TRUE(source.wait_media(41));
  first.send_status(move_request(tc_url(second)));
  EXPECT_TRUE(source.wait_eos());
  EXPECT_TRUE(first.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  const auto media = source.media();
  EXPECT_EQ(media.size(), 150u);
  std::vector<int64_t> pictures;
  std::vector<int64_t> sound;
  for (const Passed& one : media) {
    (one.is_video() ? pictures : sound).push_back(one.tag_ms);
  }
  for (const auto& times : {pictures, sound}) {
    ASSERT_EQ(times.size(), 75u);
    for (size_t i = 1; i < times.size(); i++) {
      EXPECT_EQ(times[i], times[i - 1] + 40) << i;
    }
  }
  EXPECT_EQ(second.log().count("seek"), 1u);
}

TEST(RtmpSrcMove, StopsAtAnyMoment) {
  TestServer server(scripted([](Script& s) { s.gop_cache = true; }));
  Publisher publisher(server, "key");
  for (int i = 0; i < 25; i++) {
    Source source(server.url());
    source.play();
    ASSERT_TRUE(source.wait_media(3));
    g_signal_emit_by_name(source.element, "reconnect");
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * i));
    EXPECT_LT(time_of([&] { source.stop(); }), kAtOnce);
  }
}

// ---- for the application ----

TEST(RtmpSrcActions, ReconnectLosesNothing) {
  TestServer server(scripted([](Script& s) { s.gop_cache = true; }));
  Source source(server.url());  // without auto-reconnect
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key");
  ASSERT_TRUE(source.wait_media(20));
  for (size_t i = 1; i <= 2; i++) {
    g_signal_emit_by_name(source.element, "reconnect");
    ASSERT_TRUE(server.wait([&](const Log& log) { return log.count("deleteStream") == i; })) << i;
    ASSERT_TRUE(source.wait_media(source.media().size() + 20));
  }
  expect_whole(source);
  EXPECT_EQ(server.log().plays.size(), 3u);
}

TEST(RtmpSrcActions, ReconnectEndsAWait) {
  TestServer server;
  Back source(server.url());
  source.set("reconnect-min-delay", "600000");
  source.set("reconnect-max-delay", "600000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.disconnect();  // before any media: nothing was lost that would be hurried after
  ASSERT_TRUE(eventually([&] { return source.stat_text("state") == "waiting"; }));
  EXPECT_EQ(server.log().accepted, 1u);
  g_signal_emit_by_name(source.element, "reconnect");
  EXPECT_TRUE(wait_player(server));
}

TEST(RtmpSrcActions, SendMessageCallsTheApplication) {
  TestServer server;
  Source source(server.url());
  rtmp::Buffer body;
  rtmp::Builder out(body);
  ASSERT_TRUE(rtmp::write_command(out, {"vote", 0, rtmp::amf::Null{}, {42}}));
  GBytes* bytes = g_bytes_new(body.data(), body.size());
  gboolean sent = TRUE;
  g_signal_emit_by_name(source.element, "send-message", 20u, bytes, &sent);
  EXPECT_FALSE(sent) << "there is no connection";
  source.play();
  ASSERT_TRUE(wait_player(server));
  ASSERT_TRUE(eventually([&] {
    g_signal_emit_by_name(source.element, "send-message", 20u, bytes, &sent);
    return sent != FALSE;
  }));
  g_signal_emit_by_name(source.element, "send-message", 18u, bytes, &sent);
  EXPECT_FALSE(sent) << "a player has no data to send";
  g_bytes_unref(bytes);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.count("vote") == 1; }));
  const auto others = server.log().others;
  const auto vote = std::find_if(others.begin(), others.end(),
                                 [](const rtmp::Command& one) { return one.name == "vote"; });
  ASSERT_NE(vote, others.end());
  ASSERT_EQ(vote->arguments.size(), 1u);
}

// ---- locations ----

TEST(RtmpSrcLocations, FallsBackAndReturns) {
  TestServer first(scripted([](Script& s) { s.close_at = Step::kConnect; }));
  TestServer second;
  Back source(first.url());
  source.set("locations", ("<" + second.url() + ">").c_str());
  source.set("return-interval", "300");
  source.play();
  ASSERT_TRUE(wait_player(second));
  Relayed stream(first, second);
  ASSERT_TRUE(source.wait_media(20));
  first.set_script(scripted([](Script& s) { s.gop_cache = true; }));
  ASSERT_TRUE(wait_player(first));
  EXPECT_TRUE(left(second));
  ASSERT_TRUE(source.wait_media(source.media().size() + 30));
  expect_whole(source);
  EXPECT_EQ(source.count("ERROR"), 0u);
}

TEST(RtmpSrcLocations, AFallbackForALossAndForAStreamThatIsNotThere) {
  TestServer first;
  TestServer second(scripted(
      [](Script& s) { s.refuse_play = rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound); }));
  TestServer third;
  Back source(first.url());
  source.set("locations", ("<" + second.url() + "," + third.url() + ">").c_str());
  source.play();
  ASSERT_TRUE(wait_player(first));
  Relayed stream(first, third);
  ASSERT_TRUE(source.wait_media(20));
  first.stop_listening();
  first.disconnect();
  ASSERT_TRUE(wait_player(third));
  ASSERT_TRUE(source.wait_media(source.media().size() + 20));
  EXPECT_EQ(second.log().plays.size(), 1u);
  EXPECT_EQ(source.count("ERROR"), 0u);
}

TEST(RtmpSrcLocations, ARecordingThatIsNotThereMayBeElsewhere) {
  Recording recording;
  recording.messages = {announcing_metadata(), video_header(), audio_header()};
  for (const Message& message : frames(0, 10)) {
    recording.messages.push_back(message);
  }
  TestServer first(scripted(
      [](Script& s) { s.refuse_play = rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound); }));
  TestServer second;
  second.set_recording("film", recording);
  Back source(first.url("film"));
  source.set("play-type", "recorded");
  source.set("locations", ("<" + second.url("film") + ">").c_str());
  source.play();
  EXPECT_TRUE(source.wait_eos());
  EXPECT_EQ(source.media().size(), 20u);
}

TEST(RtmpSrcLocations, AreChecked) {
  Source source("rtmp://127.0.0.1/live/key");
  source.set("locations", "<\"http://nowhere/x\">");
  source.play();
  EXPECT_TRUE(source.take_error());
}

}  // namespace
