// SPDX-License-Identifier: LGPL-2.1-or-later
// What rtmpsink does with auto-reconnect when its connection is lost, or never came about.
#include <algorithm>
#include <future>

#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using Step = Script::Step;

/// state_message() waits for the next message with that state.
GstPtr<GstMessage> state_message(Sink& sink, const std::string& state) {
  while (GstPtr<GstMessage> next = sink.message(GST_MESSAGE_ELEMENT)) {
    if (gst_message_has_name(next.get(), "rtmp-connection") &&
        state == gst_structure_get_string(gst_message_get_structure(next.get()), "state")) {
      return next;
    }
  }
  return {};
}

/// ReconnectingSink plays with auto-reconnect and short delays.
class ReconnectingSink : public Sink {
 public:
  explicit ReconnectingSink(const std::string& location, bool live = true) : Sink(location, false) {
    g_object_set(element, "auto-reconnect", TRUE, "reconnect-min-delay", 20u, "reconnect-max-delay",
                 100u, nullptr);
    play();
    gst_harness_set_live(harness, live);
  }

  /// states() takes what is on the bus until `last` has come: "connecting 0", "connected 0" ...
  std::vector<std::string> states_until(const std::string& last,
                                        std::chrono::milliseconds limit = 10s) {
    std::vector<std::string> states;
    while (GstPtr<GstMessage> next = message(GST_MESSAGE_ELEMENT, limit)) {
      if (!gst_message_has_name(next.get(), "rtmp-connection")) {
        continue;
      }
      const GstStructure* structure = gst_message_get_structure(next.get());
      guint attempt = 99;
      gst_structure_get_uint(structure, "attempt", &attempt);
      states.push_back(std::string(gst_structure_get_string(structure, "state")) + " " +
                       std::to_string(attempt));
      if (states.back() == last) {
        return states;
      }
    }
    ADD_FAILURE() << "never " << last;
    return states;
  }
  /// asked_for_key_frame() is true if upstream was, since the last call.
  bool asked_for_key_frame() const {
    bool found = false;
    while (GstEvent* event = gst_harness_try_pull_upstream_event(harness)) {
      if (gst_event_has_name(event, "GstForceKeyUnit")) {
        gboolean all_headers = FALSE;
        gst_structure_get_boolean(gst_event_get_structure(event), "all-headers", &all_headers);
        found |= all_headers != FALSE;
      }
      gst_event_unref(event);
    }
    return found;
  }
  guint reconnects() const {
    guint value = 0;
    gst_structure_get_uint(get_stats().get(), "reconnects", &value);
    return value;
  }
};

rtmp::Status refusal(rtmp::StatusCode code) {
  rtmp::Status status;
  status.code = code;
  status.level = rtmp::StatusLevel::kError;
  status.code_text = rtmp::code_name(code);
  return status;
}

/// expect_fresh_start() is for what a second connection brought: all headers, then a key frame.
void expect_fresh_start(const std::vector<Message>& messages, size_t from) {
  ASSERT_GE(messages.size(), from + 4);
  EXPECT_EQ(messages[from].type, rtmp::MessageType::kDataAmf0);
  EXPECT_TRUE(messages[from + 1].is_header());
  EXPECT_TRUE(messages[from + 2].is_header());
  const auto first = std::find_if(
      messages.begin() + static_cast<ptrdiff_t>(from), messages.end(),
      [](const Message& m) { return m.type == rtmp::MessageType::kVideo && !m.is_header(); });
  ASSERT_NE(first, messages.end());
  EXPECT_TRUE(first->is_key_frame());
}

TEST(RtmpSinkReconnect, GoesOnWithHeadersAndAKeyFrame) {
  TestServer server;
  ReconnectingSink sink(server.url());
  auto stream = sample_stream(5);
  ASSERT_EQ(sink.push(stream), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == stream.size(); }));
  server.disconnect(true);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }));
  EXPECT_EQ(sink.states_until("connected 1"),
            (std::vector<std::string>{"connecting 0", "connected 0", "waiting 1", "connecting 1",
                                      "connected 1"}));
  // Pictures before the next key frame are of no use, nor is their sound; upstream is asked.
  for (uint32_t i = 5; i < 30; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
    ASSERT_EQ(sink.push(audio_frame(i)), GST_FLOW_OK);
  }
  EXPECT_TRUE(sink.asked_for_key_frame());
  ASSERT_TRUE(sink.push_eos());
  const Log log = server.log();
  expect_fresh_start(log.messages, stream.size());
  ASSERT_EQ(log.messages.size(), stream.size() + 3 + 20 + 20);
  EXPECT_EQ(log.messages[stream.size() + 3].timestamp, 400) << "time goes on";
  EXPECT_EQ(sink.reconnects(), 1u);
}

TEST(RtmpSinkReconnect, AWarningTellsOfTheLoss) {
  TestServer server;
  ReconnectingSink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait(published));
  server.disconnect();
  auto warning = sink.message(GST_MESSAGE_WARNING);
  ASSERT_TRUE(warning);
  const GstStructure* details = nullptr;
  gst_message_parse_warning_details(warning.get(), &details);
  ASSERT_NE(details, nullptr);
  EXPECT_STREQ(gst_structure_get_string(details, "reason"), "closed");
  EXPECT_FALSE(
      sink.message(static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), 200ms))
      << "one for a loss";
}

TEST(RtmpSinkReconnect, WaitsLongerEachTime) {
  TestServer server;
  ReconnectingSink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait(published));
  server.set_script(scripted([](Script& s) { s.close_at = Step::kConnect; }));
  server.disconnect();
  std::vector<guint64> delays;
  while (delays.size() < 6) {
    auto waiting = state_message(sink, "waiting");
    ASSERT_TRUE(waiting);
    guint64 delay = 0;
    const GstStructure* structure = gst_message_get_structure(waiting.get());
    ASSERT_TRUE(gst_structure_get_uint64(structure, "delay", &delay));
    EXPECT_NE(gst_structure_get_string(structure, "cause"), nullptr);
    delays.push_back(delay);
  }
  EXPECT_EQ(delays[0], 0u);
  EXPECT_GE(delays[1], 20 * GST_MSECOND);
  EXPECT_GE(delays[2], 40 * GST_MSECOND);
  EXPECT_GE(delays[3], 60 * GST_MSECOND);
  EXPECT_GE(delays[5], 75 * GST_MSECOND);
  EXPECT_LE(delays[5], 100 * GST_MSECOND);
  EXPECT_EQ(sink.push(video_frame(11)), GST_FLOW_OK) << "a live stream does not wait for it";
  server.set_script({});
  EXPECT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }));
}

TEST(RtmpSinkReconnect, KeepsSomeOfALiveStream) {
  TestServer server;
  ReconnectingSink sink(server.url());
  g_object_set(sink.element, "reconnect-buffer", 5000u, nullptr);
  gst_element_set_state(sink.element, GST_STATE_READY);
  gst_element_set_state(sink.element, GST_STATE_PLAYING);
  sink.play_again();
  auto stream = sample_stream(8);
  ASSERT_EQ(sink.push(stream), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == stream.size(); }));
  server.set_script(scripted([](Script& s) { s.close_at = Step::kConnect; }));
  server.disconnect();
  ASSERT_TRUE(sink.message(GST_MESSAGE_WARNING));
  for (uint32_t i = 8; i < 25; i++) {  // key frames are 10 and 20
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
  }
  server.set_script({});
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }));
  ASSERT_EQ(sink.push(video_frame(25)), GST_FLOW_OK);
  ASSERT_TRUE(sink.push_eos());
  const Log log = server.log();
  expect_fresh_start(log.messages, stream.size());
  EXPECT_EQ(log.messages.size(), stream.size() + 3 + 16) << "from the key frame that was kept";
  EXPECT_FALSE(sink.asked_for_key_frame());
}

TEST(RtmpSinkReconnect, UpstreamThatIsNotLiveWaits) {
  TestServer server;
  ReconnectingSink sink(server.url(), false);
  auto stream = sample_stream(5);
  ASSERT_EQ(sink.push(stream), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == stream.size(); }));
  server.set_script(scripted([](Script& s) { s.close_at = Step::kConnect; }));
  server.disconnect();
  ASSERT_TRUE(sink.message(GST_MESSAGE_WARNING));
  auto pushing = std::async(std::launch::async, [&] { return sink.push(video_frame(10)); });
  EXPECT_EQ(pushing.wait_for(300ms), std::future_status::timeout);
  server.set_script({});
  EXPECT_EQ(pushing.get(), GST_FLOW_OK);
  ASSERT_TRUE(sink.push_eos());
  expect_fresh_start(server.log().messages, stream.size());
}

TEST(RtmpSinkReconnect, UpstreamThatIsNotLiveGoesOnWithAKeyFrameToo) {
  TestServer server;
  ReconnectingSink sink(server.url(), false);
  auto stream = sample_stream(5);
  ASSERT_EQ(sink.push(stream), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == stream.size(); }));
  server.disconnect();
  ASSERT_TRUE(sink.message(GST_MESSAGE_WARNING));
  for (uint32_t i = 5; i < 25; i++) {  // key frames are 10 and 20
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
  }
  ASSERT_TRUE(sink.push_eos());
  expect_fresh_start(server.log().messages, stream.size());
  EXPECT_EQ(server.log().messages.size(), stream.size() + 3 + 15);
}

TEST(RtmpSinkReconnect, ANewStreamAfterAnEosWithoutAConnection) {
  for (const bool live : {true, false}) {
    SCOPED_TRACE(live);
    ReconnectingSink sink("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live/key", live);
    ASSERT_TRUE(state_message(sink, "waiting"));
    ASSERT_TRUE(sink.push_eos());
    ASSERT_TRUE(sink.message(GST_MESSAGE_WARNING));
    sink.play_again();
    auto pushing = std::async(std::launch::async, [&] { return sink.push(metadata()); });
    ASSERT_TRUE(state_message(sink, "waiting")) << "it tries again";
    sink.stop();
    pushing.get();
  }
}

TEST(RtmpSinkReconnect, ANameInUseAfterALossIsOurOwnGhost) {
  TestServer server;
  ReconnectingSink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait(published));
  server.set_script(
      scripted([](Script& s) { s.refuse_publish = refusal(rtmp::StatusCode::kPublishBadName); }));
  server.disconnect();
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() >= 4; }));
  server.set_script({});
  const auto states = sink.states_until("connected 0", 0ms);
  ASSERT_TRUE(state_message(sink, "connected"));
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
}

TEST(RtmpSinkReconnect, ANameInUseAtFirstIsAnError) {
  TestServer server(
      scripted([](Script& s) { s.refuse_publish = refusal(rtmp::StatusCode::kPublishBadName); }));
  ReconnectingSink sink(server.url());
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY, "bad-name", "publish");
  EXPECT_EQ(server.log().accepted, 1u);
}

TEST(RtmpSinkReconnect, RefusedCredentialsAreNeverTriedAgain) {
  TestServer server;
  ReconnectingSink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait(published));
  server.set_script(
      scripted([](Script& s) { s.refuse_publish = refusal(rtmp::StatusCode::kPublishBadAuth); }));
  server.disconnect();
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED, "unauthorized",
               "publish");
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(server.log().accepted, 2u);
  EXPECT_EQ(sink.push(video_frame(10)), GST_FLOW_ERROR);
}

TEST(RtmpSinkReconnect, GivesUpWhenToldTo) {
  TestServer server;
  ReconnectingSink sink(server.url());
  g_object_set(sink.element, "reconnect-timeout", 1u, nullptr);
  gst_element_set_state(sink.element, GST_STATE_READY);
  gst_element_set_state(sink.element, GST_STATE_PLAYING);
  sink.play_again();
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait(published));
  server.stop_listening();
  server.disconnect();
  std::optional<ErrorMessage> error;
  const auto took = time_of([&] { error = take_error(sink); });
  expect_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_WRITE, "refused", "connect");
  EXPECT_GT(took, 900ms);
  EXPECT_LT(took, 2500ms);
}

TEST(RtmpSinkReconnect, WaitsForAServerThatIsNotThereYet) {
  ReconnectingSink sink("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live/key");
  for (int i = 0; i < 3; i++) {
    ASSERT_TRUE(state_message(sink, "waiting"));
  }
  for (uint32_t i = 0; i < 100; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
  }
  EXPECT_EQ(sink.state(), "waiting");
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
}

TEST(RtmpSinkReconnect, NullAndEosEndTheWaiting) {
  for (const bool eos : {false, true}) {
    SCOPED_TRACE(eos);
    ReconnectingSink sink("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live/key");
    ASSERT_TRUE(state_message(sink, "waiting"));
    if (eos) {
      ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
      EXPECT_LT(time_of([&] { EXPECT_TRUE(sink.push_eos()); }), kAtOnce);
      EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
    }
    EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
  }
}

TEST(RtmpSinkReconnect, NullEndsTheWaitOfUpstreamThatIsNotLive) {
  ReconnectingSink sink("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live/key", false);
  ASSERT_TRUE(state_message(sink, "waiting"));
  auto pushing = std::async(std::launch::async, [&] { return sink.push(metadata()); });
  EXPECT_EQ(pushing.wait_for(200ms), std::future_status::timeout);
  EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
  EXPECT_EQ(pushing.get(), GST_FLOW_FLUSHING);
}

TEST(RtmpSinkReconnect, ByRequestInGoodOrder) {
  TestServer server;
  Sink sink(server.url());  // without auto-reconnect
  EXPECT_TRUE(state_message(sink, "connected"));
  auto stream = sample_stream(5);
  ASSERT_EQ(sink.push(stream), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == stream.size(); }));
  g_signal_emit_by_name(sink.element, "reconnect");
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }));
  EXPECT_TRUE(server.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  EXPECT_TRUE(state_message(sink, "connected"));
  ASSERT_EQ(sink.push(video_frame(10)), GST_FLOW_OK);
  ASSERT_TRUE(sink.push_eos());
  expect_fresh_start(server.log().messages, stream.size());
  EXPECT_FALSE(
      sink.message(static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), 0ms));
}

/// pictures() are the times of those that a server got.
std::vector<int64_t> pictures(const TestServer& server) {
  std::vector<int64_t> times;
  for (const Message& message : of_type(server.log().messages, rtmp::MessageType::kVideo)) {
    if (!message.is_header()) {
      times.push_back(message.timestamp);
    }
  }
  return times;
}

// Enhanced RTMP's Reconnect Request: the new connection first, changed over in front of a key
// frame, then the end of the old one. Nothing is lost, and nothing doubled.
TEST(RtmpSinkMove, TheServerSendsUsElsewhere) {
  TestServer first;
  TestServer second;
  Sink sink(first.url());  // without auto-reconnect: nothing is lost
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  ASSERT_TRUE(first.wait([](const Log& log) { return log.messages.size() == 13; }));
  first.send_status(move_request(tc_url(second)));
  ASSERT_TRUE(second.wait(published));
  EXPECT_EQ(first.log().ended, 0u) << "the old one goes on until the key frame";
  for (uint32_t i = 5; i < 25; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(first.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  ASSERT_TRUE(sink.push_eos());
  expect_fresh_start(second.log().messages, 0);
  std::vector<int64_t> times = pictures(first);
  const std::vector<int64_t> later = pictures(second);
  EXPECT_FALSE(later.empty());
  times.insert(times.end(), later.begin(), later.end());
  std::vector<int64_t> all;
  for (int64_t i = 0; i < 25; i++) {
    all.push_back(i * 40);
  }
  EXPECT_EQ(times, all);
  EXPECT_FALSE(
      sink.message(static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), 0ms));
}

TEST(RtmpSinkMove, ToTheSameAddressIfNoneIsNamed) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  server.send_status(move_request(""));
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }));
  for (uint32_t i = 10; i < 31; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(server.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
}

TEST(RtmpSinkMove, ANameInUseLetsTheOldConnectionGoFirst) {
  TestServer first;
  TestServer second(
      scripted([](Script& s) { s.refuse_publish = refusal(rtmp::StatusCode::kPublishBadName); }));
  ReconnectingSink sink(first.url());
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  ASSERT_TRUE(first.wait(published));
  first.send_status(move_request("//127.0.0.1:" + std::to_string(second.port()) + "/live"));
  ASSERT_TRUE(second.wait(published));
  second.set_script({});
  EXPECT_TRUE(first.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  EXPECT_TRUE(second.wait([](const Log& log) { return log.publishes.size() >= 2; }));
}

// The server that wants to be rid of us is not asked again while our name is in use at the next.
TEST(RtmpSinkMove, ANameInUseStaysInUseForAWhile) {
  TestServer first;
  TestServer second(
      scripted([](Script& s) { s.refuse_publish = refusal(rtmp::StatusCode::kPublishBadName); }));
  ReconnectingSink sink(first.url());
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  ASSERT_TRUE(first.wait(published));
  first.send_status(move_request("//127.0.0.1:" + std::to_string(second.port()) + "/live"));
  ASSERT_TRUE(second.wait([](const Log& log) { return log.publishes.size() >= 2; }));
  second.set_script({});
  EXPECT_TRUE(second.wait([](const Log& log) { return log.publishes.size() >= 3; }));
  EXPECT_EQ(first.log().accepted, 1u);
}

// A server may send us on before we publish: a stream that runs is moved, beside the old one.
TEST(RtmpSinkMove, AskedBeforeTheStreamRuns) {
  TestServer second;
  TestServer first(scripted([&](Script& s) { s.after_connect = {move_command(second)}; }));
  Sink sink(first.url());
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  ASSERT_TRUE(second.wait(published));
  for (uint32_t i = 5; i < 31; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(first.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  expect_fresh_start(second.log().messages, 0);
}

// What becomes of a connection that has been left is no news.
TEST(RtmpSinkMove, TheOldConnectionMayBreakAfterwards) {
  TestServer first;
  TestServer second;
  Sink sink(first.url());
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  first.send_status(move_request(tc_url(second)));
  ASSERT_TRUE(second.wait(published));
  for (uint32_t i = 5; i < 31; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
    std::this_thread::sleep_for(5ms);
  }
  first.disconnect(true);
  for (uint32_t i = 31; i < 40; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
    std::this_thread::sleep_for(5ms);
  }
  ASSERT_TRUE(sink.push_eos());
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
  EXPECT_EQ(second.log().accepted, 1u);
}

// A server may send us on and hang up at once: the way it named is the one that is taken.
TEST(RtmpSinkMove, TheServerSendsUsElsewhereAndHangsUp) {
  TestServer first;
  TestServer second(scripted([](Script& s) { s.delay = 100ms; }));
  ReconnectingSink sink(first.url());
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  ASSERT_TRUE(first.wait([](const Log& log) { return log.messages.size() == 13; }));
  first.send_status(move_request(tc_url(second)));
  ASSERT_TRUE(second.wait([](const Log& log) { return log.accepted == 1; }));
  first.disconnect();
  EXPECT_TRUE(second.wait(published));
  EXPECT_EQ(first.log().accepted, 1u) << "nobody comes back";
}

TEST(RtmpSinkMove, ARequestThatIsRepeatedIsOne) {
  TestServer first;
  TestServer second;
  Sink sink(first.url());
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  const auto request = move_request(tc_url(second));
  first.send_status(request);
  ASSERT_TRUE(second.wait(published));
  first.send_status(request);
  for (uint32_t i = 5; i < 31; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(first.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(second.log().accepted, 1u);
}

TEST(RtmpSinkMove, ElsewhereIsNotThere) {
  TestServer first;
  Sink sink(first.url());
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  first.send_status(move_request("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live"));
  std::this_thread::sleep_for(200ms);
  ASSERT_EQ(sink.push(sample_stream(15)), GST_FLOW_OK);
  ASSERT_TRUE(sink.push_eos());
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
  EXPECT_EQ(first.log().accepted, 1u) << "it stays where it is";
}

TEST(RtmpSinkLocations, FallsBackAndReturns) {
  TestServer first(scripted([](Script& s) { s.silent_at = Step::kConnect; }));
  TestServer second;
  Sink sink(first.url(), false);
  gst_util_set_object_arg(G_OBJECT(sink.element), "locations", ("<" + second.url() + ">").c_str());
  g_object_set(sink.element, "auto-reconnect", TRUE, "return-interval", 300u, "timeout", 1u,
               nullptr);
  sink.play();
  ASSERT_TRUE(second.wait(published));
  ASSERT_TRUE(state_message(sink, "connected"));
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  first.set_script({});
  ASSERT_TRUE(first.wait(published));
  for (uint32_t i = 5; i < 31; i++) {
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(second.wait([](const Log& log) { return log.count("deleteStream") == 1; }));
  ASSERT_TRUE(sink.push_eos());
  expect_fresh_start(first.log().messages, 0);
}

TEST(RtmpSinkLocations, WhatOneRefusesAnotherMayNot) {
  TestServer first;
  TestServer second(
      scripted([](Script& s) { s.refuse_publish = refusal(rtmp::StatusCode::kPublishBadAuth); }));
  Sink sink(first.url(), false);
  gst_util_set_object_arg(G_OBJECT(sink.element), "locations", ("<" + second.url() + ">").c_str());
  g_object_set(sink.element, "auto-reconnect", TRUE, "reconnect-min-delay", 20u,
               "reconnect-max-delay", 100u, nullptr);
  sink.play();
  ASSERT_EQ(sink.push(sample_stream(5)), GST_FLOW_OK);
  ASSERT_TRUE(first.wait(published));
  first.set_script(scripted([](Script& s) { s.close_at = Step::kConnect; }));
  first.disconnect();
  ASSERT_TRUE(second.wait(published));
  first.set_script({});
  EXPECT_TRUE(first.wait([](const Log& log) { return log.publishes.size() == 2; }));
  EXPECT_EQ(second.log().accepted, 1u) << "refused credentials are not tried again";
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
}

TEST(RtmpSinkLocations, AreChecked) {
  Sink sink("rtmp://127.0.0.1/live/key", false);
  gst_util_set_object_arg(G_OBJECT(sink.element), "locations", "<\"http://nowhere/x\">");
  EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  EXPECT_TRUE(take_error(sink));
}

TEST(RtmpSinkActions, RequestKeyUnitAsksUpstream) {
  TestServer server;
  ReconnectingSink sink(server.url());
  g_signal_emit_by_name(sink.element, "request-key-unit");
  EXPECT_TRUE(sink.asked_for_key_frame());
}

TEST(RtmpSinkActions, SendMessageReachesThePlayers) {
  TestServer server;
  Sink sink(server.url());
  rtmp::Buffer body = script_body("onTextData");
  GBytes* bytes = g_bytes_new(body.data(), body.size());
  gboolean sent = TRUE;
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  g_signal_emit_by_name(sink.element, "send-message", 18u, bytes, &sent);
  EXPECT_TRUE(sent);
  g_signal_emit_by_name(sink.element, "send-message", 8u, bytes, &sent);
  EXPECT_FALSE(sent) << "sound is no data";
  ASSERT_TRUE(sink.push_eos());
  g_signal_emit_by_name(sink.element, "send-message", 18u, bytes, &sent);
  EXPECT_FALSE(sent) << "it has ended";
  g_bytes_unref(bytes);
  const auto data = of_type(server.log().messages, rtmp::MessageType::kDataAmf0);
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(data[1].body, body);
  EXPECT_EQ(data[1].timestamp, audio_frame(1).timestamp) << "the time of what was sent last";
}

// Whatever moment it is: nothing hangs, and nothing is touched that is gone.
TEST(RtmpSinkReconnect, StopsAtAnyMoment) {
  TestServer server(scripted([](Script& s) { s.close_after = 4; }));
  for (int i = 0; i < 40; i++) {
    ReconnectingSink sink(server.url());
    std::atomic<bool> over = false;
    auto pushing = std::async(std::launch::async, [&] {
      for (uint32_t k = 0; !over && sink.push(video_frame(k)) == GST_FLOW_OK; k++) {
        std::this_thread::sleep_for(1ms);
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * i));
    EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
    over = true;
    pushing.get();
  }
}

}  // namespace
