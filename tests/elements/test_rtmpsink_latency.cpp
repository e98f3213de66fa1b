// SPDX-License-Identifier: LGPL-2.1-or-later
// How rtmpsink keeps a live stream young when the server does not take it.
#include <algorithm>
#include <atomic>

#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

guint64 stat(const Sink& sink, const char* name) {
  guint64 value = 0;
  gst_structure_get_uint64(sink.get_stats().get(), name, &value);
  return value;
}

/// LiveSource pushes 25 pictures a second, as a camera would, and sound.
class LiveSource {
 public:
  explicit LiveSource(Sink& sink, size_t size = 20000) : sink_(sink), size_(size) {
    EXPECT_EQ(sink.push({metadata(), video_header(), audio_header()}), GST_FLOW_OK);
    thread_ = std::thread([this] { run(); });
  }
  ~LiveSource() { stop(); }
  LiveSource(const LiveSource&) = delete;
  LiveSource& operator=(const LiveSource&) = delete;
  void stop() {
    over_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  std::chrono::nanoseconds longest_push() const { return longest_; }

 private:
  void run() {
    const auto begin = std::chrono::steady_clock::now();
    for (uint32_t i = 0; !over_; i++) {
      std::this_thread::sleep_until(begin + i * 40ms);
      const auto before = std::chrono::steady_clock::now();
      EXPECT_EQ(sink_.push(video_frame(i, size_)), GST_FLOW_OK);
      EXPECT_EQ(sink_.push(audio_frame(i)), GST_FLOW_OK);
      longest_ =
          std::max<std::chrono::nanoseconds>(longest_, std::chrono::steady_clock::now() - before);
    }
  }
  Sink& sink_;
  const size_t size_;
  std::chrono::nanoseconds longest_{};
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

/// expect_decodable() is true if every picture that was dropped took its followers with it.
void expect_decodable(const std::vector<Message>& messages) {
  int64_t last = -1;
  for (const Message& message : of_type(messages, rtmp::MessageType::kVideo)) {
    if (message.is_header()) {
      continue;
    }
    EXPECT_GT(message.timestamp, last);
    EXPECT_TRUE(message.is_key_frame() || (last >= 0 && message.timestamp == last + 40))
        << "after " << last << " comes " << message.timestamp;
    last = message.timestamp;
  }
}

// A stalled reader sees the first drop within max-latency and 200 ms, upstream does not wait, and
// what follows the stall is young and can be decoded.
TEST(RtmpSinkLatency, AStalledReaderDoesNotHoldUpALiveStream) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 20;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "max-latency", 1000u, nullptr);
  sink.play();
  LiveSource source(sink);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() >= 20; }));
  const auto stalled = std::chrono::steady_clock::now();
  GstPtr<GstMessage> dropping;
  while (!dropping && std::chrono::steady_clock::now() - stalled < 5s) {
    auto message = sink.message(GST_MESSAGE_ELEMENT, 100ms);
    if (message && gst_message_has_name(message.get(), "rtmp-dropping")) {
      dropping = std::move(message);
    }
  }
  ASSERT_TRUE(dropping);
  EXPECT_LT(std::chrono::steady_clock::now() - stalled, 1300ms) << "200 ms, and 100 for the test";
  std::this_thread::sleep_for(2s);
  EXPECT_GT(stat(sink, "dropped-video"), 20u);
  EXPECT_GT(stat(sink, "dropped-audio"), 10u);
  // 1.3 s of 650,000 octets a second, and a key frame that has begun and cannot go on.
  EXPECT_LE(stat(sink, "queued-bytes"), 1'000'000u);

  server.hold_reading(false);
  // The system offers what the reader had no room for again when it sees fit: that may be seconds.
  EXPECT_TRUE(server.wait(
      [](const Log& log) { return of_type(log.messages, rtmp::MessageType::kVideo).size() > 25; }));
  source.stop();
  EXPECT_LT(source.longest_push(), 500ms);
  sink.push_eos();
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  const Log log = server.log();
  expect_decodable(log.messages);
}

// Upstream is asked for a key frame once one would get through.
TEST(RtmpSinkLatency, AKeyFrameIsAskedForAfterTheStall) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 5;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "max-latency", 300u, nullptr);
  sink.play();
  ASSERT_EQ(sink.push({metadata(), video_header()}), GST_FLOW_OK);
  auto asked = [&] {
    while (GstEvent* event = gst_harness_try_pull_upstream_event(sink.harness)) {
      const bool found = gst_event_has_name(event, "GstForceKeyUnit");
      gst_event_unref(event);
      if (found) {
        return true;
      }
    }
    return false;
  };
  for (uint32_t i = 0; i < 40; i++) {  // but for the first, no key frame
    ASSERT_EQ(sink.push(video_frame(i == 0 ? 0 : 10 * i + 1, 30000, i * 40)), GST_FLOW_OK);
    std::this_thread::sleep_for(40ms);
  }
  asked();  // the socket may have taken some of it in between
  EXPECT_GT(stat(sink, "dropped-video"), 10u);
  server.hold_reading(false);
  bool seen = false;
  for (uint32_t i = 40; i < 100 && !seen; i++) {
    ASSERT_EQ(sink.push(video_frame(10 * i + 1, 300, i * 40)), GST_FLOW_OK);
    std::this_thread::sleep_for(40ms);
    seen = asked();
  }
  EXPECT_TRUE(seen);
}

// What the kernel has taken cannot be recalled: another connection takes its place.
TEST(RtmpSinkLatency, AConnectionThatTakesNothingIsAbandoned) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 20;
    s.receive_buffer = 16384;
  }));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "auto-reconnect", TRUE, "abandon-after", 1500u, nullptr);
  sink.play();
  LiveSource source(sink);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 1; }));
  server.set_script({});
  ASSERT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }, 6s));
  ASSERT_TRUE(sink.message(GST_MESSAGE_WARNING, 1s));
  const size_t before = server.log().messages.size();
  EXPECT_TRUE(server.wait([=](const Log& log) { return log.messages.size() > before + 50; }, 5s));
  source.stop();
  EXPECT_LT(source.longest_push(), 500ms);
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
}

// The encoder that the application hands over follows what the way carries.
TEST(RtmpSinkLatency, TheEncoderFollowsTheEstimate) {
  TestServer server(scripted([&](Script& s) {
    s.stall_after = 200;
    s.receive_buffer = 16384;
  }));
  GstPtr<GstElement> encoder = gstrtmp::share(gst_element_factory_make("x264enc", nullptr));
  ASSERT_TRUE(encoder);
  g_object_set(encoder.get(), "bitrate", 4000u, nullptr);
  Sink sink(server.url(), false);
  g_object_set(sink.element, "max-latency", 60000u, "bitrate-min", 500000u, "bitrate-target",
               encoder.get(), nullptr);
  static std::atomic<int> notified;
  notified = 0;
  g_signal_connect(sink.element, "notify::estimated-bitrate",
                   G_CALLBACK(+[](GstElement*, GParamSpec*, gpointer) { notified++; }), nullptr);
  sink.play();
  EXPECT_EQ(sink.get<guint>("estimated-bitrate"), 0u) << "unknown";
  LiveSource source(sink);
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() >= 100; }));
  const guint free = sink.get<guint>("estimated-bitrate");
  EXPECT_GT(free, 500000u) << "4 Mbit/s go through, less on a busy machine";
  auto bitrate = [&] {
    guint value = 0;
    g_object_get(encoder.get(), "bitrate", &value, nullptr);
    return value;
  };
  EXPECT_LE(bitrate(), 4000u) << "never more than it had";
  const auto stalled = std::chrono::steady_clock::now();
  while (bitrate() > 500 && std::chrono::steady_clock::now() - stalled < 12s) {
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(sink.get<guint>("estimated-bitrate"), 500000u);
  EXPECT_LT(bitrate(), 500u) << "the sound has its part";
  EXPECT_GT(bitrate(), 350u);
  EXPECT_GE(notified, 2);
  server.hold_reading(false);
  source.stop();
}

}  // namespace
