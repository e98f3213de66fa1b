// SPDX-License-Identifier: LGPL-2.1-or-later
// How rtmpsink fails: one precise error each, in time; and how it lets itself be interrupted.
#include <atomic>
#include <future>
#include <mutex>

#include <gio/gio.h>

#include "blackhole.h"
#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using Step = Script::Step;

/// At each of these a server may stop, and the error tells which.
const std::pair<Step, const char*> kSteps[] = {
    {Step::kAccept, "handshake"},
    {Step::kConnect, "connect-command"},
    {Step::kCreateStream, "create-stream"},
    {Step::kPublish, "publish"},
};

/// A server that reads no further after a few messages, and whose kernel takes little.
Script stalling() {
  return scripted([](Script& s) {
    s.stall_after = 5;
    s.receive_buffer = 16384;
  });
}

/// push_frames() pushes so many, or until one is not taken; it answers the last flow.
GstFlowReturn push_frames(Sink& sink, uint32_t count, size_t size,
                          std::chrono::milliseconds pause = 0ms) {
  GstFlowReturn flow = GST_FLOW_OK;
  for (uint32_t i = 0; i < count && flow == GST_FLOW_OK; i++) {
    flow = sink.push(video_frame(i, size));
    std::this_thread::sleep_for(pause);
  }
  return flow;
}

TEST(RtmpSinkErrors, Refused) {
  Sink sink("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live/key");
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_WRITE, "refused", "connect");
  EXPECT_EQ(sink.push(metadata()), GST_FLOW_ERROR);
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 100ms)) << "it is reported once";
}

// Upstream's error for a failed push tells less, so it must not come first.
TEST(RtmpSinkErrors, PushFailsAfterTheReason) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  struct Posting {
    std::promise<void> begun;
    std::atomic<bool> done{false};
  } posting;
  gst_bus_set_sync_handler(
      sink.bus,
      [](GstBus*, GstMessage* message, gpointer data) {
        auto* given = static_cast<Posting*>(data);
        if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
          given->begun.set_value();
          std::this_thread::sleep_for(200ms);
          given->done = true;
        }
        return GST_BUS_PASS;
      },
      &posting, nullptr);
  server.disconnect();
  ASSERT_EQ(posting.begun.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(sink.push(metadata()), GST_FLOW_ERROR);
  EXPECT_TRUE(posting.done);
  gst_bus_set_sync_handler(sink.bus, nullptr, nullptr, nullptr);
  EXPECT_TRUE(take_error(sink, 0ms));
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 100ms)) << "it is reported once";
}

TEST(RtmpSinkErrors, UnknownHost) {
  Sink sink("rtmp://no-such-host.invalid/live/key");
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ_WRITE, "unknown-host",
               "resolve");
}

TEST(RtmpSinkErrors, NoAnswerToTcp) {
  Blackhole hole;
  HastySink sink("rtmp://127.0.0.1:" + std::to_string(hole.port()) + "/live/key");
  gst_harness_set_live(sink.harness, FALSE);
  EXPECT_EQ(sink.push(metadata()), GST_FLOW_ERROR);
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED, "timeout", "connect", 0ms);
}

TEST(RtmpSinkErrors, SilenceAtEachStep) {
  for (auto [step, name] : kSteps) {
    SCOPED_TRACE(name);
    TestServer server(scripted([step = step](Script& s) { s.silent_at = step; }));
    HastySink sink(server.url());
    const auto start = std::chrono::steady_clock::now();
    expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED, "timeout", name);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 2500ms);
  }
}

TEST(RtmpSinkErrors, SilenceWhileDataWaits) {
  TestServer server(scripted([&](Script& s) { s.silent_at = Step::kPublish; }));
  HastySink sink(server.url());
  gst_harness_set_live(sink.harness, FALSE);
  EXPECT_EQ(sink.push(metadata()), GST_FLOW_ERROR);
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED, "timeout", "publish", 0ms);
}

TEST(RtmpSinkErrors, NotRtmp) {
  TestServer server(scripted([&](Script& s) { s.raw_answer = rtmp::Buffer(4000, 'H'); }));
  Sink sink(server.url());
  expect_error(sink, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE, "not-rtmp", "handshake");
}

TEST(RtmpSinkErrors, GarbageLater) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  // Set Chunk Size to 0.
  server.send_raw({0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0});
  auto error = take_error(sink);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->reason, "protocol");
  EXPECT_EQ(error->domain, GST_STREAM_ERROR);
  EXPECT_EQ(error->code, GST_STREAM_ERROR_FORMAT);
}

TEST(RtmpSinkErrors, ConnectRejected) {
  TestServer server(scripted([&](Script& s) {
    s.refuse_connect =
        rtmp::make_status(rtmp::StatusCode::kConnectInvalidApp, "no application live");
  }));
  Sink sink(server.url());
  auto error = expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                            "connect-rejected", "connect-command");
  EXPECT_EQ(error.server_code, "NetConnection.Connect.InvalidApp");
  EXPECT_EQ(error.server_description, "no application live");
}

TEST(RtmpSinkErrors, LoginWanted) {
  TestServer server(scripted([&](Script& s) {
    s.refuse_connect =
        rtmp::make_status(rtmp::StatusCode::kConnectRejected,
                          "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] :");
  }));
  Sink sink(server.url());
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED, "unauthorized",
               "connect-command");
}

TEST(RtmpSinkErrors, PublishRefused) {
  struct Case {
    rtmp::StatusCode status;
    GQuark domain;
    gint code;
    const char* reason;
  };
  const Case cases[] = {
      {rtmp::StatusCode::kPublishBadName, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY, "bad-name"},
      {rtmp::StatusCode::kPublishDenied, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
       "unauthorized"},
      {rtmp::StatusCode::kPublishUnauthorized, GST_RESOURCE_ERROR,
       GST_RESOURCE_ERROR_NOT_AUTHORIZED, "unauthorized"},
      {rtmp::StatusCode::kPublishRejected, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
       "stream-rejected"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.reason);
    TestServer server(
        scripted([&](Script& s) { s.refuse_publish = rtmp::make_status(c.status, "sorry"); }));
    Sink sink(server.url());
    EXPECT_EQ(sink.push(metadata()), GST_FLOW_ERROR);
    auto error = expect_error(sink, c.domain, c.code, c.reason, "publish");
    EXPECT_EQ(error.server_code, rtmp::code_name(c.status));
    EXPECT_EQ(error.server_description, "sorry");
  }
}

TEST(RtmpSinkErrors, ClosedAtEachStep) {
  for (auto [step, name] : kSteps) {
    SCOPED_TRACE(name);
    TestServer server(scripted([step = step](Script& s) { s.close_at = step; }));
    Sink sink(server.url());
    expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_CLOSE, "closed-early", name);
  }
}

// ---- servers that hang up on what comes ahead of their answer to connect ----

Script minding(std::chrono::milliseconds delay = 50ms) {
  return scripted([&](Script& s) {
    s.minds_commands_ahead = true;
    s.delay = delay;
  });
}

TEST(RtmpSinkAhead, ServerThatMindsIsAskedInOrder) {
  TestServer server(minding());
  Sink sink(server.url(), false);
  g_object_set(sink.element, "chunk-size", 2000u, nullptr);
  sink.play();
  auto stream = sample_stream(5);
  EXPECT_EQ(sink.push(stream), GST_FLOW_OK);
  EXPECT_TRUE(sink.push_eos());
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
  Log log = server.log();
  EXPECT_EQ(log.accepted, 2u);
  EXPECT_EQ(log.publishes.size(), 1u);
  expect_same(stream, log.messages);
}

TEST(RtmpSinkAhead, PropertiesThatChangeMeanwhileHold) {
  TestServer server(minding(300ms));
  Sink sink(server.url());
  ASSERT_TRUE(server.wait([](const Log& log) { return log.connects.size() == 1; }));
  g_object_set(sink.element, "chunk-size", 3000u, "peak-kbps", 800000u, nullptr);
  EXPECT_EQ(sink.push(metadata()), GST_FLOW_OK);
  guint chunk_size = 0;
  gst_structure_get_uint(sink.get_stats().get(), "out-chunk-size", &chunk_size);
  EXPECT_EQ(chunk_size, 3000u);
  EXPECT_EQ(server.log().accepted, 2u);
}

TEST(RtmpSinkAhead, IsTriedOnceMoreOnly) {
  TestServer server(scripted([](Script& s) { s.close_at = Step::kConnect; }));
  Sink sink(server.url());
  EXPECT_EQ(sink.push(metadata()), GST_FLOW_ERROR);
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_CLOSE, "closed-early",
               "connect-command");
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 100ms));
  EXPECT_EQ(server.log().accepted, 2u);
}

TEST(RtmpSinkAhead, StrictOrderTriesOnce) {
  TestServer server(scripted([](Script& s) { s.close_at = Step::kConnect; }));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "strict-order", TRUE, nullptr);
  sink.play();
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_CLOSE, "closed-early",
               "connect-command");
  EXPECT_EQ(server.log().accepted, 1u);
}

TEST(RtmpSinkAhead, SecondAttemptHasItsDeadlines) {
  TestServer server(minding());
  HastySink sink(server.url());
  // From now on: the attempt that is under way was accepted before.
  ASSERT_TRUE(server.wait([](const Log& log) { return log.accepted == 1; }));
  server.set_script(scripted([](Script& s) { s.silent_at = Step::kConnect; }));
  EXPECT_LT(time_of([&] {
              expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED, "timeout",
                           "connect-command");
            }),
            3000ms);
  EXPECT_EQ(server.log().accepted, 2u);
}

TEST(RtmpSinkAhead, NullBetweenTheAttempts) {
  for (auto pause : {20ms, 60ms, 100ms, 140ms}) {
    TestServer server(minding());
    Sink sink(server.url());
    auto pushing = std::async(std::launch::async, [&] { return sink.push(metadata()); });
    std::this_thread::sleep_for(pause);
    EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
    pushing.get();
    EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
  }
}

// ---- in mid-stream ----

TEST(RtmpSinkErrors, FailedConnectionIsClosedAtOnce) {
  TestServer server(scripted([&](Script& s) {
    s.refuse_publish = rtmp::make_status(rtmp::StatusCode::kPublishBadName, "sorry");
  }));
  Sink sink(server.url());
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY, "bad-name", "publish");
  EXPECT_TRUE(server.wait([](const Log& log) { return log.ended == 1; }, 5s));
  EXPECT_EQ(sink.state(), "ended");
}

TEST(RtmpSinkErrors, ClosedInMidStream) {
  for (bool reset : {false, true}) {
    SCOPED_TRACE(reset);
    TestServer server(scripted([&](Script& s) {
      s.close_after = reset ? 0u : 20u;
      s.reset_after = reset ? 20u : 0u;
    }));
    Sink sink(server.url());
    EXPECT_EQ(push_frames(sink, 2000, 3000, 1ms), GST_FLOW_ERROR);
    expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "closed", "running", 1s);
  }
}

TEST(RtmpSinkErrors, ClosedWhileNoDataComes) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 7; }));
  server.disconnect();
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "closed", "running", 2s);
}

TEST(RtmpSinkErrors, StatusInMidStream) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  server.send_status(rtmp::make_status(rtmp::StatusCode::kRecordFailed, "disk"));
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 200ms))
      << "the server's recording is its own affair";
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPublishBadName, "taken over"));
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY, "bad-name", "running");
}

TEST(RtmpSinkErrors, ServerThatTakesNothing) {
  TestServer server(stalling());
  HastySink sink(server.url());
  GstFlowReturn flow = GST_FLOW_OK;
  auto took = time_of([&] { flow = push_frames(sink, 100000, 20000); });
  EXPECT_EQ(flow, GST_FLOW_ERROR);
  EXPECT_GE(took, 1900ms);
  EXPECT_LT(took, 6000ms);
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "stalled", "running", 1s);
}

// Whoever still talks may be as dead to us as whoever is silent.
TEST(RtmpSinkErrors, ServerThatTalksAndTakesNothing) {
  TestServer server(stalling());
  HastySink sink(server.url());
  auto pushing = std::async(std::launch::async, [&] { return push_frames(sink, 100000, 20000); });
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() >= 5; }));
  auto begun = std::chrono::steady_clock::now();
  while (pushing.wait_for(100ms) != std::future_status::ready &&
         std::chrono::steady_clock::now() - begun < 15s) {
    server.send_status(rtmp::make_status(rtmp::StatusCode::kRecordFailed, "disk"));
  }
  const bool ended = pushing.wait_for(0s) == std::future_status::ready;
  EXPECT_TRUE(ended) << "it waits for ever";
  sink.stop();
  EXPECT_EQ(pushing.get(), ended ? GST_FLOW_ERROR : GST_FLOW_FLUSHING);
  if (ended) {
    expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "stalled", "running", 0ms);
  }
}

// The server's kernel had not taken all of the media when the connection broke.
TEST(RtmpSinkErrors, LossWhileStoppingIsTold) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 2;
    s.receive_buffer = 4096;
  }));
  Sink sink(server.url());
  auto in_kernel = [&sink] {
    guint64 queued = 0;
    guint64 unsent = 0;
    guint64 unacked = 0;
    gst_structure_get(sink.get_stats().get(), "queued-bytes", G_TYPE_UINT64, &queued,
                      "kernel-unsent-bytes", G_TYPE_UINT64, &unsent, "kernel-unacked-bytes",
                      G_TYPE_UINT64, &unacked, nullptr);
    return queued == 0 ? unsent + unacked : 0;
  };
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  for (uint32_t i = 0; i < 1000 && in_kernel() < 4000; i++) {
    ASSERT_EQ(sink.push(video_frame(i * 2 + 1, 1000)), GST_FLOW_OK);
    eventually([&] { return in_kernel() == 0; }, 20ms);
  }
  ASSERT_GE(in_kernel(), 4000u);
  auto ending = std::async(std::launch::async, [&] { return sink.push_eos(); });
  ASSERT_TRUE(eventually([&] { return sink.state() != "running"; }));
  server.disconnect(true);
  EXPECT_TRUE(ending.get());
  auto told = sink.message(
      static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ERROR | GST_MESSAGE_EOS));
  ASSERT_TRUE(told);
  EXPECT_EQ(GST_MESSAGE_TYPE(told.get()), GST_MESSAGE_WARNING);
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
}

// A GstStructure takes UTF-8 only, and complains about anything else.
TEST(RtmpSinkErrors, ServerTextIsMadeValid) {
  TestServer server(scripted([&](Script& s) {
    rtmp::Status status = rtmp::make_status(rtmp::StatusCode::kPublishBadName,
                                            "caf\xe9 " + std::string(100'000, 'x'));
    s.refuse_publish = status;
  }));
  const auto before =
      g_log_set_always_fatal(static_cast<GLogLevelFlags>(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL));
  Sink sink(server.url());
  auto error = take_error(sink);
  g_log_set_always_fatal(before);
  ASSERT_TRUE(error);
  EXPECT_TRUE(error->server_description.starts_with("caf\xef\xbf\xbd xx"))
      << error->server_description.substr(0, 20);
  EXPECT_LE(error->server_description.size(), 1100u);
  EXPECT_TRUE(g_utf8_validate(error->debug.c_str(), -1, nullptr));
}

TEST(RtmpSinkErrors, NotFlv) {
  TestServer server;
  Sink sink(server.url());
  EXPECT_EQ(sink.push(rtmp::Buffer(100, 'x')), GST_FLOW_ERROR);
  auto error = take_error(sink, 1s);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->domain, GST_STREAM_ERROR);
  EXPECT_EQ(error->code, GST_STREAM_ERROR_FORMAT);
  EXPECT_NE(error->text.find("flvchunk"), std::string::npos);
}

TEST(RtmpSinkErrors, Settings) {
  Sink sink("rtmp://127.0.0.1/live/key", false);
  g_object_set(sink.element, "extra-connect-args", "conn=B:1 conn=Q:secret", nullptr);
  EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  auto error = take_error(sink, 0ms);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, GST_RESOURCE_ERROR_SETTINGS);
  EXPECT_NE(error->text.find("word 2"), std::string::npos) << error->text;
  EXPECT_EQ(error->text.find("secret"), std::string::npos) << error->text;
}

// ---- secrets ----

struct Captured {
  std::mutex mutex;
  std::string text;
};

void capture(GstDebugCategory*, GstDebugLevel, const gchar*, const gchar*, gint, GObject*,
             GstDebugMessage* message, gpointer data) {
  auto* captured = static_cast<Captured*>(data);
  const gchar* text = gst_debug_message_get(message);
  std::lock_guard<std::mutex> lock(captured->mutex);
  captured->text += text != nullptr ? text : "";
  captured->text += '\n';
}

TEST(RtmpSinkSecrets, AreInNoLog) {
  Captured captured;
  gst_debug_remove_log_function(gst_debug_log_default);
  gst_debug_add_log_function(capture, &captured, nullptr);
  gst_debug_set_default_threshold(GST_LEVEL_MEMDUMP);
  gst_debug_set_active(TRUE);
  const std::string key = "k3yOfTheStream?token=t0kenValue";
  std::string dots;
  for (int round = 0; round < 3; round++) {
    Script script;
    if (round == 1) {
      script.refuse_publish = rtmp::make_status(rtmp::StatusCode::kPublishBadName,
                                                "k3yOfTheStream is taken, t0kenValue is bad");
    } else if (round == 2) {
      script.refuse_connect = rtmp::make_status(rtmp::StatusCode::kConnectRejected,
                                                "not with pa55word, arg5ecret, or inner 5ecret");
    }
    TestServer server(script);
    Sink sink(
        "rtmp://somebody:pa55word@127.0.0.1:" + std::to_string(server.port()) + "/live/" + key,
        false);
    g_object_set(sink.element, "secure-token", "s3cureToken", "extra-connect-args",
                 "conn=S:arg5ecret conn=O:1 NO:in:1 NS:name:inner\\205ecret O:0 O:0", nullptr);
    sink.play();
    sink.push(sample_stream(2));
    sink.push_eos();
    if (auto error = take_error(sink, round == 0 ? 50ms : 5000ms)) {
      std::lock_guard<std::mutex> lock(captured.mutex);
      captured.text += error->text + error->debug + error->server_description;
    }
    gstrtmp::GCharPtr stats(gst_structure_to_string(sink.get_stats().get()));
    std::lock_guard<std::mutex> lock(captured.mutex);
    captured.text += stats.get();
  }
  gst_debug_set_active(FALSE);
  gst_debug_remove_log_function(capture);
  std::lock_guard<std::mutex> lock(captured.mutex);
  EXPECT_NE(captured.text.find("connecting to rtmp://"), std::string::npos)
      << "the log was not captured";
  for (const char* secret :
       {"k3yOfTheStream", "t0kenValue", "pa55word", "s3cureToken", "arg5ecret", "5ecret"}) {
    size_t at = captured.text.find(secret);
    EXPECT_EQ(at, std::string::npos) << captured.text.substr(at > 200 ? at - 200 : 0, 400);
  }
}

// Whatever a log hides of the location, a server's words must not bring back.
TEST(RtmpSinkSecrets, AreNotQuotedByErrors) {
  struct Case {
    const char* path;
    const char* secret;
  };
  const Case cases[] = {
      {"live/key?t0kenAlone", "t0kenAlone"},
      {"live/key?a=b&t0kenBase64==", "t0kenBase64"},
      {"live/key?odd/t0ken=1", "odd/t0ken"},
      {"live/inst/k3yInPath/", "k3yInPath"},
      {"live/k3yInPath#fr4gment", "k3yInPath"},
      {"live/key#fr4gment", "fr4gment"},
      {"live#fr4gment", "fr4gment"},
      {"live?fr0mApp/key", "fr0mApp"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.path);
    TestServer server(scripted([&](Script& s) {
      s.refuse_connect = rtmp::make_status(rtmp::StatusCode::kConnectRejected,
                                           std::string("not with ") + c.secret + " here");
    }));
    Sink sink("rtmp://127.0.0.1:" + std::to_string(server.port()) + "/" + c.path);
    auto error = take_error(sink);
    ASSERT_TRUE(error);
    const std::string all = error->text + error->debug + error->server_description;
    EXPECT_EQ(all.find(c.secret), std::string::npos) << all;
    EXPECT_NE(all.find("not with ***"), std::string::npos) << all;
  }
}

}  // namespace
