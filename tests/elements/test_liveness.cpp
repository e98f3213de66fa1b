// SPDX-License-Identifier: LGPL-2.1-or-later
// How both elements notice a peer that is gone: by pings, and by what is not acknowledged.
#include "rtmpsrc_reconnect_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

TEST(RtmpSrcLiveness, PingsTellTheRoundTrip) {
  TestServer server;
  Source source(server.url());
  source.set("ping-interval", "50");
  source.play();
  ASSERT_TRUE(wait_player(server));
  EXPECT_TRUE(eventually([&] { return source.stat("ping-rtt") > 0; }));
  EXPECT_LT(source.stat("ping-rtt"), GST_SECOND);
}

// The system of the server acknowledges everything, but the server answers nothing any more.
TEST(RtmpSrcLiveness, AServerThatHasStoppedAnsweringIsGone) {
  TestServer server;
  Back source(server.url());
  source.set("ping-interval", "100");
  source.set("peer-timeout", "800");
  source.play();
  ASSERT_TRUE(wait_player(server));
  ASSERT_TRUE(eventually([&] { return source.stat("ping-rtt") > 0; }));
  server.hold_reading(true);
  std::optional<Note> warning;
  const auto took = time_of([&] { warning = source.wait_note("WARNING"); });
  ASSERT_TRUE(warning);
  EXPECT_EQ(warning->reason, "stalled");
  EXPECT_GT(took, 500ms);
  EXPECT_LT(took, 1300ms);
  EXPECT_TRUE(server.wait([](const Log& log) { return log.accepted == 2; }));
}

TEST(RtmpSrcLiveness, SilenceOfOneThatWasNeverAskedIsNormal) {
  TestServer server;
  Back source(server.url());
  source.set("ping-interval", "0");
  source.set("peer-timeout", "300");
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.hold_reading(true);
  EXPECT_FALSE(source.wait_note("WARNING", 1200ms));
}

// While downstream holds us up nothing is missed: the loop reads.
TEST(RtmpSrcLiveness, ABlockedPipelineHearsTheAnswers) {
  TestServer server;
  Back source(server.url());
  source.set("ping-interval", "100");
  source.set("peer-timeout", "500");
  source.play();
  ASSERT_TRUE(wait_player(server));
  source.hold(true);
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait([](const std::vector<Passed>& all) { return !all.empty(); }));
  std::this_thread::sleep_for(1500ms);
  source.hold(false);
  EXPECT_FALSE(source.wait_note("WARNING", 300ms));
  EXPECT_EQ(server.log().accepted, 1u);
}

// Keepalive rests while something of ours is under way.
TEST(RtmpSrcLiveness, WhatIsSentAndNotAcknowledgedShowsThatThePeerIsGone) {
  TestServer server;
  Back source(server.url());
  source.set("ping-interval", "0");
  source.set("peer-timeout", "1000");
  source.play();
  ASSERT_TRUE(source.wait_note("connected"));
  ASSERT_TRUE(wait_player(server));
  server.cut();
  rtmp::Buffer body;
  rtmp::Builder out(body);
  ASSERT_TRUE(rtmp::write_command(out, {"hello", 0, rtmp::amf::Null{}, {}}));
  GBytes* bytes = g_bytes_new(body.data(), body.size());
  gboolean sent = FALSE;
  g_signal_emit_by_name(source.element, "send-message", 20u, bytes, &sent);
  g_bytes_unref(bytes);
  ASSERT_TRUE(sent);
  std::optional<Note> warning;
  const auto took = time_of([&] { warning = source.wait_note("WARNING"); });
  ASSERT_TRUE(warning);
  EXPECT_EQ(warning->reason, "stalled");
  EXPECT_GT(took, 600ms);
  EXPECT_LT(took, 1600ms);
}

TEST(RtmpSinkLiveness, AServerThatHasStoppedAnsweringIsGone) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "ping-interval", 100u, "peer-timeout", 800u, nullptr);
  sink.play();
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait(published));
  std::this_thread::sleep_for(400ms);  // it has answered some
  server.hold_reading(true);
  std::optional<ErrorMessage> error;
  const auto took = time_of([&] { error = take_error(sink); });
  expect_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "stalled", "running");
  EXPECT_LT(took, 1500ms);
}

TEST(RtmpSinkLiveness, WhatIsSentAndNotAcknowledgedShowsThatThePeerIsGone) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "ping-interval", 0u, "peer-timeout", 1000u, nullptr);
  sink.play();
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 7; }));
  server.cut();
  ASSERT_EQ(sink.push(video_frame(3)), GST_FLOW_OK);
  std::optional<ErrorMessage> error;
  const auto took = time_of([&] { error = take_error(sink); });
  expect_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "stalled", "running");
  EXPECT_LT(took, 1600ms);
}

}  // namespace
