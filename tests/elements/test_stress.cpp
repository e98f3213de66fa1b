// SPDX-License-Identifier: LGPL-2.1-or-later
// Both elements, started, stopped, flushed, sought in and set at random moments, against a server
// that hangs up at random: nothing hangs beyond `timeout`, and the sanitizers have nothing to say.
// RTMP_STRESS_SEED repeats a run.
#include <array>
#include <cstdlib>
#include <random>

#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

constexpr int kCycles = 200;
// `timeout`, and what a sanitizer makes of the rest.
constexpr auto kLongest = 5s;

class Dice {
 public:
  Dice() {
    const char* given = std::getenv("RTMP_STRESS_SEED");
    const unsigned seed =
        given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
    std::printf("RTMP_STRESS_SEED=%u\n", seed);
    engine_.seed(seed);
  }
  uint32_t operator()(uint32_t sides) {
    return std::uniform_int_distribution<uint32_t>(0, sides - 1)(engine_);
  }

 private:
  std::mt19937 engine_;
};

Script moods(Dice& dice) {
  constexpr std::array kSteps = {Script::Step::kAccept, Script::Step::kConnect,
                                 Script::Step::kCreateStream, Script::Step::kPublish};
  Script script;
  script.gop_cache = dice(2) == 0;
  switch (dice(6)) {
    case 0:
      script.close_at = kSteps[dice(kSteps.size())];
      break;
    case 1:
      script.silent_at = kSteps[dice(kSteps.size())];
      break;
    case 2:
      script.close_after = 1 + dice(20);
      break;
    case 3:
      script.reset_after = 1 + dice(20);
      break;
    case 4:
      script.stall_after = 1 + dice(20);
      script.receive_buffer = 16384;
      break;
    default:
      break;
  }
  return script;
}

TEST(Stress, Sink) {
  Dice dice;
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "timeout", 1u, "reconnect-min-delay", 5u, "reconnect-max-delay", 50u,
               "max-latency", 200u, "abandon-after", 400u, nullptr);
  sink.play();
  std::atomic<bool> over = false;
  std::thread pusher([&] {
    for (uint32_t i = 0; !over; i++) {
      if (sink.push(i % 50 == 0 ? video_header() : video_frame(i, 5000)) != GST_FLOW_OK) {
        std::this_thread::sleep_for(1ms);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  for (int i = 0; i < kCycles; i++) {
    const uint32_t what = dice(12);
    const auto took = time_of([&] {
      switch (what) {
        case 0:
          gst_element_set_state(sink.element, GST_STATE_NULL);
          g_object_set(sink.element, "auto-reconnect", static_cast<gboolean>(dice(2)),
                       "reconnect-buffer", dice(2) * 500u, nullptr);
          break;
        case 1:
          gst_element_set_state(sink.element, GST_STATE_READY);
          break;
        case 2:
          gst_element_set_state(sink.element, GST_STATE_PAUSED);
          break;
        case 3:
          gst_harness_push_event(sink.harness, gst_event_new_flush_start());
          gst_harness_push_event(sink.harness, gst_event_new_flush_stop(TRUE));
          break;
        case 4:
          g_signal_emit_by_name(sink.element, "reconnect");
          break;
        case 5:
          g_object_set(sink.element, "peak-kbps", dice(2) * 20000u, "chunk-size", dice(3) * 4096u,
                       nullptr);
          break;
        case 6:
          sink.get_stats();
          break;
        case 7:
          server.set_script(moods(dice));
          break;
        case 8:
          server.disconnect(dice(2) == 0);
          break;
        case 9:
          server.send_status(rtmp::make_status(rtmp::StatusCode::kConnectReconnectRequest));
          break;
        default:
          gst_element_set_state(sink.element, GST_STATE_PLAYING);
          break;
      }
    });
    ASSERT_LT(took, kLongest) << "cycle " << i << ", " << what;
    std::this_thread::sleep_for(std::chrono::milliseconds(dice(15)));
  }
  over = true;
  EXPECT_LT(time_of([&] { sink.stop(); }), kLongest);
  pusher.join();
}

TEST(Stress, Source) {
  Dice dice;
  TestServer server;
  std::vector<Message> film = sample_stream(500);
  server.set_recording("film", {film, 20, 0});
  GstPtr<GstElement> pipeline = gstrtmp::share(gst_pipeline_new(nullptr));
  GstElement* source = gst_element_factory_make("rtmpxsrc", nullptr);
  GstElement* sink = gst_element_factory_make("fakesink", nullptr);
  gst_bin_add_many(GST_BIN(pipeline.get()), source, sink, nullptr);
  ASSERT_TRUE(gst_element_link(source, sink));
  g_object_set(source, "timeout", 1u, "reconnect-min-delay", 5u, "reconnect-max-delay", 50u,
               "location", server.url().c_str(), nullptr);
  std::atomic<bool> over = false;
  std::thread publisher([&] {
    for (uint32_t i = 0; !over; i++) {
      server.send("key", i % 50 == 0 ? video_header() : video_frame(i));
      std::this_thread::sleep_for(1ms);
    }
  });
  for (int i = 0; i < kCycles; i++) {
    const uint32_t what = dice(12);
    const auto took = time_of([&] {
      switch (what) {
        case 0: {
          gst_element_set_state(pipeline.get(), GST_STATE_NULL);
          const bool recorded = dice(2) == 0;
          g_object_set(source, "auto-reconnect", static_cast<gboolean>(dice(2)), "play-type",
                       recorded ? 1 : 0, "location", server.url(recorded ? "film" : "key").c_str(),
                       nullptr);
          break;
        }
        case 1:
          gst_element_set_state(pipeline.get(), GST_STATE_READY);
          break;
        case 2:
          gst_element_set_state(pipeline.get(), GST_STATE_PAUSED);
          break;
        case 3:
          gst_element_seek_simple(pipeline.get(), GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                  static_cast<gint64>(dice(20)) * GST_SECOND);
          break;
        case 4: {
          GstStructure* stats = nullptr;
          g_object_get(source, "stats", &stats, nullptr);
          gst_structure_free(stats);
          break;
        }
        case 5:
          server.set_script(moods(dice));
          break;
        case 6:
          server.disconnect(dice(2) == 0);
          break;
        case 7:
          server.send_status(rtmp::make_status(rtmp::StatusCode::kPlayUnpublishNotify));
          break;
        default:
          gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
          break;
      }
    });
    ASSERT_LT(took, kLongest) << "cycle " << i << ", " << what;
    std::this_thread::sleep_for(std::chrono::milliseconds(dice(15)));
  }
  EXPECT_LT(time_of([&] { gst_element_set_state(pipeline.get(), GST_STATE_NULL); }), kLongest);
  over = true;
  publisher.join();
}

}  // namespace
