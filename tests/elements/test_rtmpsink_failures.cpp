// SPDX-License-Identifier: LGPL-2.1-or-later
// How rtmpsink fails: one precise error each, in time; and how it lets itself be interrupted.
#include <atomic>
#include <future>
#include <mutex>

#include <gio/gio.h>

#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using Step = Script::Step;

Script scripted(const std::function<void(Script&)>& change) {
  Script script;
  change(script);
  return script;
}

/// A port that nobody listens on.
uint16_t closed_port() {
  TestServer server;
  server.stop_listening();
  return server.port();
}

void expect_error(Sink& sink, GQuark domain, gint code, const std::string& reason,
                  const std::string& step, std::chrono::milliseconds limit = 10s) {
  auto error = take_error(sink, limit);
  ASSERT_TRUE(error) << "no error message";
  EXPECT_EQ(g_quark_to_string(error->domain), std::string(g_quark_to_string(domain)));
  EXPECT_EQ(error->code, code) << error->text;
  EXPECT_EQ(error->reason, reason) << error->text;
  EXPECT_EQ(error->step, step);
  EXPECT_GT(error->text.size(), 20u);
}

TEST(RtmpSinkErrors, Refused) {
  Sink sink("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live/key");
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_WRITE, "refused", "connect");
  EXPECT_EQ(sink.push(metadata()), GST_FLOW_ERROR);
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 100ms)) << "it is reported once";
}

TEST(RtmpSinkErrors, UnknownHost) {
  Sink sink("rtmp://no-such-host.invalid/live/key");
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ_WRITE, "unknown-host",
               "resolve");
}

TEST(RtmpSinkErrors, SilenceAtEachStep) {
  const std::pair<Step, const char*> cases[] = {
      {Step::kAccept, "handshake"},
      {Step::kConnect, "connect-command"},
      {Step::kCreateStream, "create-stream"},
      {Step::kPublish, "publish"},
  };
  for (auto [step, name] : cases) {
    SCOPED_TRACE(name);
    TestServer server(scripted([&](Script& s) { s.silent_at = step; }));
    Sink sink(server.url(), false);
    g_object_set(sink.element, "timeout", 1u, nullptr);
    sink.play();
    EXPECT_LT(time_of([&] {
                expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED, "timeout", name);
              }),
              2500ms);
  }
}

TEST(RtmpSinkErrors, SilenceWhileDataWaits) {
  TestServer server(scripted([&](Script& s) { s.silent_at = Step::kPublish; }));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "timeout", 1u, nullptr);
  sink.play();
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
  auto error = take_error(sink);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->domain, GST_RESOURCE_ERROR);
  EXPECT_EQ(error->code, GST_RESOURCE_ERROR_SETTINGS);
  EXPECT_EQ(error->reason, "connect-rejected");
  EXPECT_EQ(error->step, "connect-command");
  EXPECT_EQ(error->server_code, "NetConnection.Connect.InvalidApp");
  EXPECT_EQ(error->server_description, "no application live");
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
    auto error = take_error(sink);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->domain, c.domain);
    EXPECT_EQ(error->code, c.code);
    EXPECT_EQ(error->reason, c.reason);
    EXPECT_EQ(error->step, "publish");
    EXPECT_EQ(error->server_code, rtmp::code_name(c.status));
    EXPECT_EQ(error->server_description, "sorry");
  }
}

TEST(RtmpSinkErrors, ClosedAtEachStep) {
  const std::pair<Step, const char*> cases[] = {
      {Step::kAccept, "handshake"},
      {Step::kConnect, "connect-command"},
      {Step::kCreateStream, "create-stream"},
      {Step::kPublish, "publish"},
  };
  for (auto [step, name] : cases) {
    SCOPED_TRACE(name);
    TestServer server(scripted([&](Script& s) { s.close_at = step; }));
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
  Sink sink(server.url(), false);
  g_object_set(sink.element, "timeout", 1u, nullptr);
  sink.play();
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
    EXPECT_LT(time_of([&] { sink.stop(); }), 300ms);
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
    GstFlowReturn flow = GST_FLOW_OK;
    for (uint32_t i = 0; i < 2000 && flow == GST_FLOW_OK; i++) {
      flow = sink.push(video_frame(i));
      std::this_thread::sleep_for(1ms);
    }
    EXPECT_EQ(flow, GST_FLOW_ERROR);
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
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 5;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "timeout", 1u, nullptr);
  sink.play();
  GstFlowReturn flow = GST_FLOW_OK;
  auto took = time_of([&] {
    for (uint32_t i = 0; i < 100000 && flow == GST_FLOW_OK; i++) {
      flow = sink.push(video_frame(i, 20000));
    }
  });
  EXPECT_EQ(flow, GST_FLOW_ERROR);
  EXPECT_GE(took, 1900ms);
  EXPECT_LT(took, 6000ms);
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "stalled", "running", 1s);
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

// ---- back-pressure ----

/// Lets a stalled server read on; not before it has stalled.
void go_on(TestServer& server, size_t stalled_after) {
  EXPECT_TRUE(server.wait([=](const Log& log) { return log.messages.size() >= stalled_after; }));
  server.hold_reading(false);
}

void expect_bounded_queue(bool live) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 3;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  gst_harness_set_live(sink.harness, live);
  auto stream = sample_stream(200);
  std::atomic<size_t> pushed{0};
  auto pushing = std::async(std::launch::async, [&] {
    for (const Message& message : stream) {
      if (sink.push(message) != GST_FLOW_OK) {
        return;
      }
      pushed++;
    }
  });
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(pushed, stream.size());
  guint64 queued = 0;
  guint64 queued_time = 0;
  auto stats = sink.get_stats();
  gst_structure_get_uint64(stats.get(), "queued-bytes", &queued);
  gst_structure_get_uint64(stats.get(), "queued-time", &queued_time);
  EXPECT_LE(queued, 3u << 20);
  if (live) {
    EXPECT_LE(queued_time, 2100 * GST_MSECOND);
  }
  go_on(server, 3);
  pushing.get();
  EXPECT_EQ(pushed, stream.size());
  sink.push_eos();
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  expect_same(stream, server.log().messages);
}

TEST(RtmpSinkQueue, IsBoundedAndGoesOn) {
  expect_bounded_queue(true);
}

TEST(RtmpSinkQueue, IsBoundedAndGoesOnIfNotLive) {
  expect_bounded_queue(false);
}

TEST(RtmpSinkQueue, EosWaitsForAllToBeSent) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 3;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  auto stream = sample_stream(30);
  ASSERT_EQ(sink.push(stream), GST_FLOW_OK);
  auto ending = std::async(std::launch::async, [&] { return sink.push_eos(); });
  EXPECT_FALSE(sink.message(GST_MESSAGE_EOS, 300ms));
  go_on(server, 3);
  EXPECT_TRUE(ending.get());
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS, 2s));
  expect_same(stream, server.log().messages);
}

TEST(RtmpSinkQueue, PoolsGetTheirMemoryBack) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 1;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  // More than sockets hold, so that all that follows waits.
  for (uint32_t i = 0; i < 20; i++) {
    ASSERT_EQ(sink.push(video_frame(i, 30000, 0)), GST_FLOW_OK);
  }
  GstPtr<GstBufferPool> pool = gstrtmp::share(gst_buffer_pool_new());
  constexpr guint kSize = 500;
  GstStructure* config = gst_buffer_pool_get_config(pool.get());
  GstPtr<GstCaps> caps = gstrtmp::adopt(gst_caps_new_empty_simple("video/x-flv"));
  gst_buffer_pool_config_set_params(config, caps.get(), kSize, 0, 3);
  ASSERT_TRUE(gst_buffer_pool_set_config(pool.get(), config));
  ASSERT_TRUE(gst_buffer_pool_set_active(pool.get(), TRUE));
  std::vector<Message> sent;
  for (uint32_t i = 0; i < 9; i++) {
    GstBuffer* buffer = nullptr;
    // The fourth would wait for ever if the queue kept the first three.
    auto took = time_of([&] {
      ASSERT_EQ(gst_buffer_pool_acquire_buffer(pool.get(), &buffer, nullptr), GST_FLOW_OK);
    });
    EXPECT_LT(took, 500ms);
    Message message{rtmp::MessageType::kVideo, 10,
                    media_body({0x27, 1, 0, 0, 0}, kSize - 15, i + 900)};
    rtmp::Buffer tag = flv_tag(message);
    ASSERT_EQ(tag.size(), kSize);
    gst_buffer_fill(buffer, 0, tag.data(), tag.size());
    ASSERT_EQ(gst_harness_push(sink.harness, buffer), GST_FLOW_OK);
    sent.push_back(message);
  }
  go_on(server, 1);
  sink.push_eos();
  auto video = of_type(server.log().messages, rtmp::MessageType::kVideo);
  ASSERT_EQ(video.size(), 20 + sent.size());
  for (size_t i = 0; i < sent.size(); i++) {
    EXPECT_EQ(video[20 + i].body, sent[i].body) << i;
  }
  gst_buffer_pool_set_active(pool.get(), FALSE);
}

// ---- interruption ----

/// Blocks a streaming thread in a push, and answers its flow.
std::future<GstFlowReturn> push_until_blocked(Sink& sink) {
  auto pushing = std::async(std::launch::async, [&sink] {
    GstFlowReturn flow = GST_FLOW_OK;
    for (uint32_t i = 0; flow == GST_FLOW_OK; i++) {
      flow = sink.push(video_frame(i, 30000));
    }
    return flow;
  });
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(pushing.wait_for(0s), std::future_status::timeout);
  return pushing;
}

TEST(RtmpSinkInterrupt, NullAtEachStep) {
  for (Step step :
       {Step::kAccept, Step::kConnect, Step::kCreateStream, Step::kPublish, Step::kNever}) {
    SCOPED_TRACE(static_cast<int>(step));
    TestServer server(scripted([&](Script& s) {
      s.silent_at = step;
      s.stall_after = 2;
      s.receive_buffer = 16384;
    }));
    Sink sink(server.url(), false);
    EXPECT_LT(time_of([&] { sink.play(); }), 300ms) << "state changes do not wait for the server";
    auto pushing = push_until_blocked(sink);
    EXPECT_LT(time_of([&] { sink.stop(); }), 300ms);
    EXPECT_EQ(pushing.get(), GST_FLOW_FLUSHING);
    EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 50ms));
  }
}

TEST(RtmpSinkInterrupt, NullWhileResolvingOrConnecting) {
  // TEST-NET-1 answers nobody.
  Sink sink("rtmp://192.0.2.1/live/key", false);
  EXPECT_LT(time_of([&] { sink.play(); }), 300ms);
  auto pushing = std::async(std::launch::async, [&] { return sink.push(metadata()); });
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(time_of([&] { sink.stop(); }), 300ms);
  EXPECT_NE(pushing.get(), GST_FLOW_OK);
}

TEST(RtmpSinkInterrupt, FlushWhileBlocked) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 2;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  auto pushing = push_until_blocked(sink);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() >= 2; }));
  EXPECT_LT(time_of([&] { gst_harness_push_event(sink.harness, gst_event_new_flush_start()); }),
            300ms);
  EXPECT_EQ(pushing.get(), GST_FLOW_FLUSHING);
  sink.play_again();
  guint64 queued = 0;
  gst_structure_get_uint64(sink.get_stats().get(), "queued-bytes", &queued);
  EXPECT_LT(queued, 1u << 20) << "what had not begun is dropped";
  go_on(server, 2);
  Message last = video_frame(3, 500, 90000);
  EXPECT_EQ(sink.push(last), GST_FLOW_OK);
  EXPECT_TRUE(server.wait([&](const Log& log) {
    return !log.messages.empty() && log.messages.back().body == last.body;
  }));
  EXPECT_EQ(server.log().publishes.size(), 1u) << "the connection lives on";
}

TEST(RtmpSinkInterrupt, NullDuringEos) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 2;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  for (uint32_t i = 0; i < 30; i++) {
    ASSERT_EQ(sink.push(video_frame(i, 30000, i)), GST_FLOW_OK);
  }
  auto ending = std::async(std::launch::async, [&] { return sink.push_eos(); });
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(ending.wait_for(0s), std::future_status::timeout);
  EXPECT_LT(time_of([&] { sink.stop(); }), 300ms);
  ending.get();
}

TEST(RtmpSinkInterrupt, PauseAndGoOn) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 3;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  auto stream = sample_stream(150);
  auto pushing = std::async(std::launch::async, [&] { return sink.push(stream); });
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(pushing.wait_for(0s), std::future_status::timeout);
  EXPECT_LT(time_of([&] { gst_element_set_state(sink.element, GST_STATE_PAUSED); }), 300ms);
  go_on(server, 3);
  EXPECT_EQ(pushing.wait_for(200ms), std::future_status::timeout) << "it is paused";
  gst_element_set_state(sink.element, GST_STATE_PLAYING);
  EXPECT_EQ(pushing.get(), GST_FLOW_OK);
  sink.push_eos();
  expect_same(stream, server.log().messages);
}

TEST(RtmpSinkInterrupt, HandlerSetsNull) {
  // Whoever hears of the error first may tear the element down from there.
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  std::atomic<bool> done{false};
  struct Context {
    Sink& sink;
    std::atomic<bool>& done;
  } context{sink, done};
  gst_bus_set_sync_handler(
      sink.bus,
      [](GstBus*, GstMessage* message, gpointer data) {
        auto* given = static_cast<Context*>(data);
        if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
          given->sink.stop();
          given->done = true;
        }
        return GST_BUS_PASS;
      },
      &context, nullptr);
  server.disconnect();
  EXPECT_TRUE(eventually([&] { return done.load(); }, 2s));
  gst_bus_set_sync_handler(sink.bus, nullptr, nullptr, nullptr);
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

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
