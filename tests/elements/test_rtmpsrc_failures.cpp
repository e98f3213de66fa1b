// SPDX-License-Identifier: LGPL-2.1-or-later
// How rtmpsrc fails: one precise error each, in time.
#include "common/locked.h"
#include "rtmpsrc_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using Step = Script::Step;

/// At each of these a server may stop, and the error tells which.
const std::pair<Step, const char*> kSteps[] = {
    {Step::kAccept, "handshake"},
    {Step::kConnect, "connect-command"},
    {Step::kCreateStream, "create-stream"},
    {Step::kPlay, "play"},
};

/// fails() plays and answers the error; a second of timeout for each step.
std::optional<ErrorMessage> fails(const std::string& location,
                                  std::chrono::milliseconds limit = 4s) {
  Source source(location);
  source.set("timeout", "1");
  source.play();
  auto error = source.take_error(limit);
  if (error) {
    EXPECT_FALSE(source.message(GST_MESSAGE_ERROR, 100ms)) << "it is reported once";
    EXPECT_GT(error->text.size(), 20u);
    EXPECT_EQ(source.stat_text("state"), "ended");
  }
  return error;
}

/// start() plays until the first frames of a live stream have passed.
void start(Source& source, TestServer& server) {
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  server.send("key", audio_frame(0));
  ASSERT_TRUE(source.wait_media(2));
}

TEST(RtmpSrcErrors, Refused) {
  expect_error(fails("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live/key"),
               GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ, "refused", "connect");
}

TEST(RtmpSrcErrors, UnknownHost) {
  expect_error(fails("rtmp://no-such-host.invalid/live/key", 10s), GST_RESOURCE_ERROR,
               GST_RESOURCE_ERROR_OPEN_READ_WRITE, "unknown-host", "resolve");
}

TEST(RtmpSrcErrors, SilenceAtEachStep) {
  for (auto [step, name] : kSteps) {
    SCOPED_TRACE(name);
    TestServer server(scripted([step = step](Script& s) { s.silent_at = step; }));
    std::optional<ErrorMessage> error;
    auto took = time_of([&] { error = fails(server.url()); });
    expect_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED, "timeout", name);
    EXPECT_GE(took, 900ms);
    EXPECT_LT(took, 2500ms);
  }
}

TEST(RtmpSrcErrors, ClosedAtEachStep) {
  for (auto [step, name] : kSteps) {
    SCOPED_TRACE(name);
    TestServer server(scripted([step = step](Script& s) { s.close_at = step; }));
    expect_error(fails(server.url()), GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_CLOSE, "closed-early",
                 name);
  }
}

TEST(RtmpSrcErrors, ServerThatMindsCommandsAheadIsAskedInOrder) {
  TestServer server(scripted([](Script& s) {
    s.minds_commands_ahead = true;
    s.delay = std::chrono::milliseconds(50);
  }));
  Source source(server.url());
  ASSERT_NO_FATAL_FAILURE(start(source, server));
  EXPECT_FALSE(source.message(GST_MESSAGE_ERROR, 0ms));
  EXPECT_EQ(server.log().accepted, 2u);
  EXPECT_EQ(server.log().plays.size(), 1u);
}

TEST(RtmpSrcErrors, ServerThatHangsUpIsTriedOnceMoreOnly) {
  TestServer server(scripted([](Script& s) { s.close_at = Step::kConnect; }));
  expect_error(fails(server.url()), GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_CLOSE, "closed-early",
               "connect-command");
  EXPECT_EQ(server.log().accepted, 2u);
}

TEST(RtmpSrcErrors, FailedConnectionIsClosedAtOnce) {
  TestServer server(scripted([](Script& s) {
    s.refuse_play = rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound, "sorry");
  }));
  Source source(server.url());
  source.play();
  ASSERT_TRUE(source.take_error());
  EXPECT_TRUE(server.wait([](const Log& log) { return log.ended == 1; }));
}

TEST(RtmpSrcErrors, NotRtmp) {
  TestServer server(scripted([](Script& s) { s.raw_answer = rtmp::Buffer(4000, 'H'); }));
  expect_error(fails(server.url()), GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE, "not-rtmp",
               "handshake");
}

TEST(RtmpSrcErrors, GarbageInMidStream) {
  TestServer server;
  Source source(server.url());
  ASSERT_NO_FATAL_FAILURE(start(source, server));
  // Set Chunk Size to 0.
  server.send_raw({0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0});
  expect_error(source.take_error(), GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "protocol",
               "running");
}

TEST(RtmpSrcErrors, ConnectRejected) {
  TestServer server(scripted([](Script& s) {
    s.refuse_connect = rtmp::make_status(rtmp::StatusCode::kConnectRejected, "no application live");
  }));
  auto error = expect_error(fails(server.url()), GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                            "connect-rejected", "connect-command");
  EXPECT_EQ(error.server_code, "NetConnection.Connect.Rejected");
  EXPECT_EQ(error.server_description, "no application live");
}

TEST(RtmpSrcErrors, LoginWanted) {
  TestServer server(scripted([](Script& s) {
    s.refuse_connect =
        rtmp::make_status(rtmp::StatusCode::kConnectRejected,
                          "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] :");
  }));
  expect_error(fails(server.url()), GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
               "unauthorized", "connect-command");
}

TEST(RtmpSrcErrors, PlayRefused) {
  struct Case {
    rtmp::StatusCode status;
    GQuark domain;
    gint code;
    const char* reason;
  };
  const Case cases[] = {
      {rtmp::StatusCode::kPlayStreamNotFound, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
       "not-found"},
      {rtmp::StatusCode::kPlayBadAuth, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
       "unauthorized"},
      {rtmp::StatusCode::kPlayFailed, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, "stream-rejected"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.reason);
    TestServer server(
        scripted([&](Script& s) { s.refuse_play = rtmp::make_status(one.status, "sorry"); }));
    auto error = expect_error(fails(server.url()), one.domain, one.code, one.reason, "play");
    EXPECT_EQ(error.server_code, rtmp::code_name(one.status));
    EXPECT_EQ(error.server_description, "sorry");
  }
}

TEST(RtmpSrcErrors, StatusInMidStream) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  for (const Message& message : frames(0, 10)) {
    server.send("key", message);
  }
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPlayReset));
  server.send_status(rtmp::make_status(rtmp::StatusCode::kDataStart));
  server.send_status(rtmp::make_status(rtmp::StatusCode::kBufferFull));
  ASSERT_TRUE(source.wait_media(20)) << "these are no errors";
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPlayFailed, "disk"));
  auto error = expect_error(source.take_error(), GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
                            "stream-rejected", "running");
  EXPECT_EQ(error.server_description, "disk");
}

TEST(RtmpSrcErrors, RecordedFilesThatAreNotThere) {
  TestServer server(scripted(
      [](Script& s) { s.refuse_play = rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound); }));
  Source source(server.url());
  source.set("play-type", "recorded");
  source.pause();
  expect_error(source.take_error(), GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND, "not-found",
               "play");
  EXPECT_FALSE(source.seek(GST_SECOND)) << "without a connection";
}

TEST(RtmpSrcErrors, Settings) {
  Source source("rtmp://127.0.0.1/live/key");
  source.set("extra-connect-args", "conn=Q:secret");
  EXPECT_EQ(gst_element_set_state(source.pipeline, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  auto error = source.take_error(0ms);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, GST_RESOURCE_ERROR_SETTINGS);
  EXPECT_EQ(error->text.find("secret"), std::string::npos) << error->text;
  EXPECT_FALSE(source.take_error(0ms)) << "one is enough";
  source.stop();
  source.set("extra-connect-args", "");
  source.set("location", "http://127.0.0.1/live/key");
  EXPECT_EQ(gst_element_set_state(source.pipeline, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  EXPECT_TRUE(source.take_error(0ms));
  EXPECT_FALSE(source.take_error(0ms)) << "one is enough";
}

TEST(RtmpSrcErrors, NoSecretInAnyText) {
  TestServer server(scripted([](Script& s) {
    s.refuse_play =
        rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound, "no geheim?token=12345");
  }));
  auto error = fails(server.url("geheim?token=12345"));
  ASSERT_TRUE(error);
  for (const std::string& text : {error->text, error->debug, error->server_description}) {
    EXPECT_EQ(text.find("geheim"), std::string::npos) << text;
    EXPECT_EQ(text.find("12345"), std::string::npos) << text;
  }
}

TEST(RtmpSrcErrors, PlaysAfterAnErrorOnceTheServerIsThere) {
  TestServer server(scripted(
      [](Script& s) { s.refuse_play = rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound); }));
  Source source(server.url());
  source.play();
  ASSERT_TRUE(source.take_error());
  source.stop();
  server.set_script({});
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", video_frame(0));
  server.send("key", audio_frame(0));
  EXPECT_TRUE(source.wait_media(2));
}

// A flush may come while the source waits for the server, and before it is told to stop.
TEST(RtmpSrcErrors, NoneForCapsThatMeetAFlush) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  auto pad = gstrtmp::adopt(gst_element_get_static_pad(source.element, "src"));
  const auto paused = [&] {
    gstrtmp::ObjectLock lock(pad.get());
    return GST_PAD_TASK(pad.get()) != nullptr &&
           gst_task_get_state(GST_PAD_TASK(pad.get())) == GST_TASK_PAUSED;
  };
  std::this_thread::sleep_for(100ms);  // it waits again
  {
    gstrtmp::ObjectLock lock(pad.get());
    GST_PAD_SET_FLUSHING(pad.get());
  }
  Message changed = video_header();
  changed.body.back() ^= 1;
  server.send("key", changed);
  EXPECT_TRUE(eventually(paused));
  EXPECT_FALSE(source.message(GST_MESSAGE_ERROR, 100ms));
}

}  // namespace
