// SPDX-License-Identifier: LGPL-2.1-or-later
// Recorded streams: duration, seeking, pausing the server.
#include <map>

#include "rtmpsrc_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

constexpr auto kMs = static_cast<int64_t>(GST_MSECOND);

/// A minute of frames, key frames every 400 ms, as fast as it is taken.
Recording film(uint32_t count = 1500, double speed = 0) {
  Recording recording;
  recording.messages = {announcing_metadata(), video_header(), audio_header()};
  for (const Message& message : frames(0, count)) {
    recording.messages.push_back(message);
  }
  recording.duration = count * 0.04;
  recording.speed = speed;
  return recording;
}

class Film : public testing::Test {
 protected:
  void start(const std::string& rest = "fakesink sync=false", uint32_t count = 1500,
             double speed = 0) {
    server.set_recording("film", film(count, speed));
    source = std::make_unique<Source>(server.url("film"), rest);
    source->set("play-type", "recorded");
  }
  static size_t pauses(const Log& log, bool pause) {
    size_t count = 0;
    for (const auto& request : log.requests) {
      const auto* found = std::get_if<rtmp::Pause>(&request);
      count += found != nullptr && found->pause == pause;
    }
    return count;
  }
  std::vector<double> seeks() const {
    std::vector<double> found;
    for (const auto& request : server.log().requests) {
      if (const auto* seek = std::get_if<rtmp::Seek>(&request)) {
        found.push_back(seek->position_ms);
      }
    }
    return found;
  }
  /// first_media() waits for media, and answers the first of it.
  std::optional<Passed> first_media() const {
    if (!source->wait_media(1)) {
      return std::nullopt;
    }
    return source->media().front();
  }

  TestServer server;
  std::unique_ptr<Source> source;
};

/// contiguous() holds if nothing is missing or twice from the first frame on.
testing::AssertionResult contiguous(const std::vector<Passed>& media) {
  std::map<uint8_t, int64_t> last;
  for (const Passed& one : media) {
    auto [found, fresh] = last.emplace(one.type, one.tag_ms);
    if (!fresh && one.tag_ms != found->second + 40) {
      return testing::AssertionFailure()
             << "type " << int{one.type} << ": " << found->second << " then " << one.tag_ms;
    }
    found->second = one.tag_ms;
  }
  return testing::AssertionSuccess();
}

using RtmpSrcRecorded = Film;

TEST_F(RtmpSrcRecorded, PlaysAllOfIt) {
  start();
  source->play();
  ASSERT_TRUE(source->wait_eos());
  auto media = source->media();
  EXPECT_EQ(media.size(), 3000u);
  EXPECT_TRUE(contiguous(media));
  EXPECT_EQ(media.front().dts, media.front().tag_ms * kMs);
  Log log = server.log();
  ASSERT_EQ(log.plays.size(), 1u);
  EXPECT_EQ(log.plays[0].start, 0);
  EXPECT_EQ(log.count("getStreamLength"), 1u);
  EXPECT_EQ(source->stat("dropped-video"), 0u);
}

TEST_F(RtmpSrcRecorded, IsNotLiveAndHasADuration) {
  start();
  source->pause();
  ASSERT_TRUE(source->wait_state(GST_STATE_PAUSED)) << "prerolls";
  EXPECT_EQ(source->duration(), 60 * GST_SECOND);
  GstQuery* query = gst_query_new_seeking(GST_FORMAT_TIME);
  ASSERT_TRUE(gst_element_query(source->element, query));
  gboolean seekable = FALSE;
  gst_query_parse_seeking(query, nullptr, &seekable, nullptr, nullptr);
  gst_query_unref(query);
  EXPECT_TRUE(seekable);
  query = gst_query_new_latency();
  ASSERT_TRUE(gst_element_query(source->element, query));
  gboolean live = TRUE;
  gst_query_parse_latency(query, &live, nullptr, nullptr);
  gst_query_unref(query);
  EXPECT_FALSE(live);
}

TEST_F(RtmpSrcRecorded, DurationFromTheMetadata) {
  Recording recording = film();
  recording.duration = 0;  // as most servers: getStreamLength has no answer
  rtmp::ScriptData data;
  data.handler = "onMetaData";
  data.arguments.push_back(rtmp::amf::Value::ecma_array({{"duration", 61.5}}));
  recording.messages[0].body.clear();
  rtmp::Builder out(recording.messages[0].body);
  ASSERT_TRUE(rtmp::write_script_data(out, data));
  start();
  server.set_recording("film", recording);
  source->pause();
  ASSERT_TRUE(source->wait_state(GST_STATE_PAUSED));
  EXPECT_EQ(source->duration(), 61'500 * GST_MSECOND);
  EXPECT_TRUE(source->message(GST_MESSAGE_DURATION_CHANGED));
}

TEST_F(RtmpSrcRecorded, SeeksSeveralTimes) {
  start("fakesink sync=true");
  source->pause();
  ASSERT_TRUE(source->wait_state(GST_STATE_PAUSED));
  source->play();
  for (int seconds : {30, 10, 50, 0, 59, 20}) {
    SCOPED_TRACE(seconds);
    ASSERT_TRUE(source->seek(seconds * GST_SECOND));
    auto first = first_media();
    ASSERT_TRUE(first);
    EXPECT_TRUE(first->discont);
    EXPECT_LE(first->tag_ms, seconds * 1000 + 3);
    EXPECT_GE(first->tag_ms, seconds * 1000 - 400) << "from the key frame before";
    ASSERT_TRUE(source->wait_media(10));
    EXPECT_TRUE(contiguous(source->media()));
    EXPECT_EQ(source->segments().back().start, static_cast<guint64>(seconds) * GST_SECOND);
  }
  EXPECT_EQ(seeks(), (std::vector<double>{30000, 10000, 50000, 0, 59000, 20000}));
}

TEST_F(RtmpSrcRecorded, SeeksInQuickSuccession) {
  start("fakesink sync=true");
  source->pause();
  ASSERT_TRUE(source->wait_state(GST_STATE_PAUSED));
  source->play();
  source->seek(10 * GST_SECOND);
  source->seek(40 * GST_SECOND);
  source->seek(20 * GST_SECOND);
  ASSERT_TRUE(source->wait([](const std::vector<Passed>& all) {
    return !all.empty() && all.back().segment == 20'000 * kMs && all.back().tag_ms > 20'500;
  }));
  auto media = source->media();
  std::erase_if(media, [](const Passed& one) { return one.segment != 20'000 * kMs; });
  EXPECT_LE(media.front().tag_ms, 20'003);
  EXPECT_GE(media.front().tag_ms, 19'600);
  EXPECT_TRUE(contiguous(media)) << "something of another position is in between";
}

TEST_F(RtmpSrcRecorded, SeeksAfterTheEnd) {
  start("fakesink sync=false", 250);
  source->play();
  ASSERT_TRUE(source->wait_eos());
  for (int seconds : {5, 0, 8}) {
    ASSERT_TRUE(source->seek(seconds * GST_SECOND));
    ASSERT_TRUE(source->wait_eos()) << seconds;
    auto media = source->media();
    ASSERT_FALSE(media.empty());
    EXPECT_GE(media.front().tag_ms, seconds * 1000 - 400);
    EXPECT_LE(media.front().tag_ms, seconds * 1000 + 3);
    EXPECT_GE(media.back().tag_ms, 249 * 40);
    EXPECT_TRUE(contiguous(media));
  }
}

TEST_F(RtmpSrcRecorded, SeekBeforePlayingBeginsThere) {
  start("fakesink sync=true");
  Script script;
  script.delay = 100ms;
  server.set_script(script);
  gst_element_set_state(source->pipeline, GST_STATE_READY);
  gst_element_set_state(source->pipeline, GST_STATE_PAUSED);
  // Connecting takes 200 ms; the position is wanted before.
  ASSERT_TRUE(gst_element_seek_simple(source->element, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                      25 * GST_SECOND));
  source->play();
  auto first = first_media();
  ASSERT_TRUE(first);
  EXPECT_GE(first->tag_ms, 24'600);
  EXPECT_LE(first->tag_ms, 25'003);
  auto passed = source->passed();
  EXPECT_EQ(passed[0].type, 0) << "the file header goes first all the same";
  size_t headers = 0;
  for (const Passed& one : passed) {
    headers += one.header && (one.type == 8 || one.type == 9);
  }
  EXPECT_GE(headers, 2u) << "decoder configuration is not lost";
}

TEST_F(RtmpSrcRecorded, PlaysForwardsOnly) {
  start();
  source->pause();
  ASSERT_TRUE(source->wait_state(GST_STATE_PAUSED));
  EXPECT_FALSE(gst_element_seek(source->element, -1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET, 10 * GST_SECOND));
}

TEST_F(RtmpSrcRecorded, PausesTheServerAtTheBoundAndResumesAtHalf) {
  start();
  source->set("max-queue-time", "2000000000");
  source->hold(true);
  source->play();
  ASSERT_TRUE(server.wait([](const Log& log) { return pauses(log, true) > 0; }));
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(pauses(server.log(), true), 1u);
  EXPECT_EQ(pauses(server.log(), false), 0u);
  const guint64 held = source->stat("queue-time");
  EXPECT_GT(held, 2000 * GST_MSECOND);
  EXPECT_LT(held, 50 * GST_SECOND) << "of 60 s: it goes on only with what was under way";
  EXPECT_EQ(source->stat("dropped-video"), 0u);
  source->hold(false);
  ASSERT_TRUE(source->wait_eos());
  EXPECT_GE(pauses(server.log(), false), 1u);
  auto media = source->media();
  EXPECT_EQ(media.size(), 3000u);
  EXPECT_TRUE(contiguous(media));
}

TEST_F(RtmpSrcRecorded, ResumesAtHalf) {
  start();
  source->set("max-queue-time", "1000000000");
  source->hold(true);
  source->play();
  ASSERT_TRUE(server.wait([](const Log& log) { return pauses(log, true) == 1; }));
  std::this_thread::sleep_for(200ms);  // what is under way comes in
  guint64 left = source->stat("queue-time");
  ASSERT_GT(left, 1000 * GST_MSECOND);
  while (left > 500 * GST_MSECOND) {
    source->step();
    const guint64 now = source->stat("queue-time");
    if (now > left + 500 * GST_MSECOND) {
      break;  // the server has gone on
    }
    left = now;
  }
  EXPECT_TRUE(server.wait([](const Log& log) { return pauses(log, false) > 0; }));
  EXPECT_LE(left, 760 * GST_MSECOND) << "half is soon enough; audio is up to 200 ms ahead";
}

TEST_F(RtmpSrcRecorded, EmptyMessagesFillTheQueueToo) {
  start();
  Recording empty;
  empty.messages.assign(200'000, {rtmp::MessageType::kAudio, 0, {}});
  server.set_recording("film", empty);
  // The server makes all of them before its answer goes out: five seconds on a busy machine.
  source->set("timeout", "60");
  source->hold(true);
  source->play();
  EXPECT_TRUE(server.wait([](const Log& log) { return pauses(log, true) == 1; }, 60s));
  EXPECT_EQ(source->stat("queue-time"), 0u);
}

// A server that has said that this is all is not asked to pause.
TEST_F(RtmpSrcRecorded, ReadsNoMoreThanItsBoundAfterTheEnd) {
  constexpr guint64 kBound = 64u << 20;
  source = std::make_unique<Source>(server.url(), "fakesink sync=false");
  source->set("play-type", "recorded");
  source->hold(true);
  source->play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  for (const Message& message : frames(0, 5)) {
    server.send("key", message);
  }
  ASSERT_TRUE(eventually([&] { return source->stat("queue-time") > 100 * GST_MSECOND; }));
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPlayStop));
  constexpr uint32_t kCount = 120;
  for (uint32_t i = 0; i < kCount; i++) {
    server.send("key", video_frame(10 + i, 1 << 20, 1000 + i));
  }
  ASSERT_TRUE(eventually([&] { return source->stat("queue-bytes") > kBound; }));
  guint64 before = 0;
  while (before != source->stat("queue-bytes")) {
    before = source->stat("queue-bytes");
    std::this_thread::sleep_for(200ms);
  }
  EXPECT_LT(before, kBound + (8u << 20));
  EXPECT_EQ(pauses(server.log(), true), 0u);
  source->hold(false);
  EXPECT_TRUE(source->wait_eos());
}

TEST_F(RtmpSrcRecorded, PauseOfThePipelineEndsNothing) {
  start("fakesink sync=true", 75);
  source->play();
  ASSERT_TRUE(source->wait_media(10));
  source->pause();
  ASSERT_TRUE(source->wait_state(GST_STATE_PAUSED));
  std::this_thread::sleep_for(500ms);
  source->play();
  ASSERT_TRUE(source->wait_eos());
  EXPECT_EQ(source->media().size(), 150u);
  EXPECT_TRUE(contiguous(source->media()));
}

TEST_F(RtmpSrcRecorded, IdleTimeoutDoesNotCountPauses) {
  start("fakesink sync=true", 150);
  source->set("idle-timeout", "1");
  source->set("max-queue-time", "3000000000");
  source->play();
  EXPECT_TRUE(source->wait_eos(12s)) << "the server was asked to be silent for 1.5 s at a time";
  EXPECT_EQ(source->media().size(), 300u);
}

TEST_F(RtmpSrcRecorded, SeekRefusedPlaysOn) {
  start("fakesink sync=true");
  source->pause();
  ASSERT_TRUE(source->wait_state(GST_STATE_PAUSED));
  source->play();
  ASSERT_TRUE(source->wait_media(5));
  server.send_status(rtmp::make_status(rtmp::StatusCode::kSeekInvalidTime));
  source->forget();
  ASSERT_TRUE(source->wait_media(20)) << "a refused seek is no end";
}

TEST_F(RtmpSrcRecorded, SeeksThroughTheStockDemuxer) {
  start(
      "flvdemux name=d  d.video ! queue ! fakesink name=video sync=true  d.audio ! queue ! "
      "fakesink sync=true",
      1500, 2);
  source->pause();
  ASSERT_TRUE(source->wait_state(GST_STATE_PAUSED));
  source->play();
  for (int seconds : {30, 5}) {
    ASSERT_TRUE(source->seek(seconds * GST_SECOND));
    ASSERT_EQ(gst_element_get_state(source->pipeline, nullptr, nullptr, 5 * GST_SECOND),
              GST_STATE_CHANGE_SUCCESS);
    EXPECT_TRUE(eventually([&] {
      gint64 position = 0;
      return gst_element_query_position(source->pipeline, GST_FORMAT_TIME, &position) &&
             position > seconds * 1000 * kMs + 200 * kMs &&
             position < seconds * 1000 * kMs + 2000 * kMs;
    })) << seconds;
  }
}

}  // namespace
