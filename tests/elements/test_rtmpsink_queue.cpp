// SPDX-License-Identifier: LGPL-2.1-or-later
// What rtmpsink does when the server is slow: its queue, EOS, and how it lets itself be
// interrupted.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <future>
#include <string_view>

#include <dlfcn.h>
#include <sys/socket.h>

#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using Step = Script::Step;

/// How the sockets of this program treat the closing commands.
enum class Gate : uint8_t {
  kOpen,
  kShut,    ///< the socket does not take them yet
  kFilled,  ///< it is full just when they come, and stays so while the server does not read
};
std::atomic<Gate> gate{Gate::kOpen};
std::atomic<int> refused{0};

bool holds_closing_commands(const msghdr& message) {
  constexpr std::string_view kCommand = "FCUnpublish";
  return std::any_of(message.msg_iov, message.msg_iov + message.msg_iovlen, [&](const iovec& v) {
    return std::string_view(static_cast<const char*>(v.iov_base), v.iov_len).find(kCommand) !=
           std::string_view::npos;
  });
}

ssize_t real_sendmsg(int fd, const msghdr* message, int flags) {
  static const auto kReal = reinterpret_cast<decltype(&sendmsg)>(dlsym(RTLD_NEXT, "sendmsg"));
  return kReal(fd, message, flags);
}

void fill(int fd) {
  std::array<char, 4096> nothing{};
  iovec piece{nothing.data(), nothing.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  while (real_sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
  }
}

class GateOf {
 public:
  explicit GateOf(Gate wanted) {
    refused = 0;
    gate = wanted;
  }
  ~GateOf() { gate = Gate::kOpen; }
  GateOf(const GateOf&) = delete;
  GateOf& operator=(const GateOf&) = delete;
};

}  // namespace

// In the place of the C library's.
extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (gate == Gate::kOpen || !holds_closing_commands(*message)) {
    return real_sendmsg(fd, message, flags);
  }
  if (gate == Gate::kFilled) {
    fill(fd);
  }
  refused++;
  errno = EAGAIN;
  return -1;
}

namespace {

// ---- back-pressure ----

/// Lets a stalled server read on; not before it has stalled.
void go_on(TestServer& server, size_t stalled_after) {
  EXPECT_TRUE(server.wait([=](const Log& log) { return log.messages.size() >= stalled_after; }));
  server.hold_reading(false);
}

TEST(RtmpSinkQueue, IsBoundedAndGoesOn) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 3;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  gst_harness_set_live(sink.harness, FALSE);
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
  auto stats = sink.get_stats();
  gst_structure_get_uint64(stats.get(), "queued-bytes", &queued);
  EXPECT_LE(queued, 3u << 20);
  go_on(server, 3);
  pushing.get();
  EXPECT_EQ(pushed, stream.size());
  sink.push_eos();
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  expect_same(stream, server.log().messages);
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

TEST(RtmpSinkQueue, EosDoesNotWaitForeverForAnAnswer) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 7; }));
  server.hold_reading(true);
  EXPECT_LT(time_of([&] { EXPECT_TRUE(sink.push_eos()); }), 5s);
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS, 1s));
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
}

TEST(RtmpSinkQueue, EosFailsIfTheServerTakesNothing) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 2;
    s.receive_buffer = 16384;
  }));
  HastySink sink(server.url());
  for (uint32_t i = 0; i < 30; i++) {
    ASSERT_EQ(sink.push(video_frame(i, 30000, i)), GST_FLOW_OK);
  }
  EXPECT_LT(time_of([&] { EXPECT_FALSE(sink.push_eos()); }), 8s);
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "stalled", "running", 1s);
  EXPECT_FALSE(sink.message(GST_MESSAGE_EOS, 0ms));
}

// All media is out, and then the server stops to read: the closing commands never leave.
TEST(RtmpSinkQueue, EosFailsIfTheClosingCommandsCannotLeave) {
  TestServer server(scripted([&](Script& s) { s.receive_buffer = 16384; }));
  HastySink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 7; }));
  server.hold_reading(true);
  GateOf filled(Gate::kFilled);
  auto ending = std::async(std::launch::async, [&] { return sink.push_eos(); });
  const bool ended = ending.wait_for(15s) == std::future_status::ready;
  EXPECT_TRUE(ended) << "it waits for ever";
  EXPECT_GT(refused, 0);
  if (ended) {
    EXPECT_FALSE(ending.get());
    expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "stalled", "stopping", 1s);
  }
  sink.stop();
}

TEST(RtmpSinkQueue, NullDuringEosStillSendsTheClosingCommands) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 7; }));
  std::future<bool> ending;
  {
    GateOf shut(Gate::kShut);
    ending = std::async(std::launch::async, [&] { return sink.push_eos(); });
    ASSERT_TRUE(eventually([&] { return sink.state() == "stopping" && refused > 0; }));
    EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
  }
  EXPECT_FALSE(ending.get());
  EXPECT_TRUE(server.wait([](const Log& log) { return log.count("deleteStream") == 1; }, 5s));
}

TEST(RtmpSinkQueue, PoolsGetTheirMemoryBack) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 1;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "max-latency", 60000u, nullptr);
  sink.play();
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  // More than sockets hold, so that all that follows waits.
  for (uint32_t i = 0; i < 20; i++) {
    ASSERT_EQ(sink.push(video_frame(i, 30000, 0)), GST_FLOW_OK);
  }
  GstPtr<GstBufferPool> pool = gstrtmp::adopt(gst_buffer_pool_new());
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
    EXPECT_LT(time_of([&] { sink.play(); }), kAtOnce) << "state changes do not wait for the server";
    auto pushing = push_until_blocked(sink);
    EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
    EXPECT_EQ(pushing.get(), GST_FLOW_FLUSHING);
    EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 50ms));
  }
}

TEST(RtmpSinkInterrupt, NullWhileResolvingOrConnecting) {
  // TEST-NET-1 answers nobody.
  Sink sink("rtmp://192.0.2.1/live/key", false);
  EXPECT_LT(time_of([&] { sink.play(); }), kAtOnce);
  auto pushing = std::async(std::launch::async, [&] { return sink.push(metadata()); });
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
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
            kAtOnce);
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

TEST(RtmpSinkInterrupt, FlushAtEachStep) {
  for (Step step : {Step::kAccept, Step::kConnect, Step::kCreateStream, Step::kPublish}) {
    SCOPED_TRACE(static_cast<int>(step));
    TestServer server(scripted([&](Script& s) { s.silent_at = step; }));
    Sink sink(server.url());
    for (int round = 0; round < 2; round++) {
      auto pushing = std::async(std::launch::async, [&] { return sink.push(metadata()); });
      EXPECT_EQ(pushing.wait_for(100ms), std::future_status::timeout);
      EXPECT_LT(time_of([&] { gst_harness_push_event(sink.harness, gst_event_new_flush_start()); }),
                kAtOnce);
      EXPECT_EQ(pushing.get(), GST_FLOW_FLUSHING);
      sink.play_again();
    }
    EXPECT_EQ(server.log().accepted, 1u) << "the connection lives on";
    EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
  }
}

TEST(RtmpSinkInterrupt, FlushDuringEos) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 2;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  for (uint32_t i = 0; i < 30; i++) {
    ASSERT_EQ(sink.push(video_frame(i, 30000, i)), GST_FLOW_OK);
  }
  auto ending = std::async(std::launch::async, [&] { return sink.push_eos(); });
  EXPECT_EQ(ending.wait_for(200ms), std::future_status::timeout);
  EXPECT_LT(time_of([&] { gst_harness_push_event(sink.harness, gst_event_new_flush_start()); }),
            kAtOnce);
  EXPECT_FALSE(ending.get());
  sink.play_again();
  go_on(server, 2);
  Message last = video_frame(3, 500, 90000);
  EXPECT_EQ(sink.push(last), GST_FLOW_OK);
  EXPECT_TRUE(sink.push_eos());
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  Log log = server.log();
  EXPECT_EQ(log.publishes.size(), 1u);
  ASSERT_FALSE(log.messages.empty());
  EXPECT_EQ(log.messages.back().body, last.body);
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
  EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
  ending.get();
}

TEST(RtmpSinkInterrupt, PauseAndGoOn) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 3;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url());
  gst_harness_set_live(sink.harness, FALSE);
  auto stream = sample_stream(150);
  auto pushing = std::async(std::launch::async, [&] { return sink.push(stream); });
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(pushing.wait_for(0s), std::future_status::timeout);
  EXPECT_LT(time_of([&] { gst_element_set_state(sink.element, GST_STATE_PAUSED); }), kAtOnce);
  go_on(server, 3);
  EXPECT_EQ(pushing.wait_for(200ms), std::future_status::timeout) << "it is paused";
  gst_element_set_state(sink.element, GST_STATE_PLAYING);
  EXPECT_EQ(pushing.get(), GST_FLOW_OK);
  sink.push_eos();
  expect_same(stream, server.log().messages);
}

// EOS is data like any other: it waits for PLAYING, and holds up no change of the state.
TEST(RtmpSinkInterrupt, EosInPausedWaitsForPlaying) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 7; }));
  g_object_set(sink.element, "async", TRUE, nullptr);  // which the harness turns off
  ASSERT_EQ(gst_element_set_state(sink.element, GST_STATE_PAUSED), GST_STATE_CHANGE_ASYNC);
  server.hold_reading(true);
  auto ending = std::async(std::launch::async, [&] { return sink.push_eos(); });
  EXPECT_EQ(gst_element_get_state(sink.element, nullptr, nullptr, 10 * GST_SECOND),
            GST_STATE_CHANGE_SUCCESS)
      << "EOS prerolls";
  EXPECT_EQ(sink.state(), "running") << "still published";
  EXPECT_EQ(ending.wait_for(0s), std::future_status::timeout);
  EXPECT_LT(time_of([&] { gst_element_set_state(sink.element, GST_STATE_PLAYING); }), 500ms);
  server.hold_reading(false);
  EXPECT_TRUE(ending.get());
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  EXPECT_EQ(server.log().count("deleteStream"), 1u);
}

TEST(RtmpSinkInterrupt, NullEndsAnEosInPaused) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
  g_object_set(sink.element, "async", TRUE, nullptr);  // which the harness turns off
  ASSERT_EQ(gst_element_set_state(sink.element, GST_STATE_PAUSED), GST_STATE_CHANGE_ASYNC);
  auto ending = std::async(std::launch::async, [&] { return sink.push_eos(); });
  EXPECT_EQ(gst_element_get_state(sink.element, nullptr, nullptr, 10 * GST_SECOND),
            GST_STATE_CHANGE_SUCCESS);
  EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
  EXPECT_FALSE(ending.get());
  EXPECT_TRUE(server.wait([](const Log& log) { return log.count("deleteStream") == 1; }, 5s));
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

}  // namespace
