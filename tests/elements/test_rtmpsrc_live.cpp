// SPDX-License-Identifier: LGPL-2.1-or-later
// Live streams and time: nothing is late, no burst stays as delay, a busy downstream loses whole
// GOPs and nothing else.
#include "rtmpsrc_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

constexpr auto kMs = static_cast<int64_t>(GST_MSECOND);
constexpr int64_t kHour = 3'600'000;
constexpr int64_t kLatency = 100 * kMs;  // the default

/// A test says how the stock demuxer shall get the stream, and gets what its sinks saw.
struct Seen {
  std::vector<int64_t> video;
  std::vector<int64_t> audio;
  guint64 dropped = 0;
};

Seen watch(
    Source& source, TestServer& server, std::chrono::milliseconds how_long, int64_t begin,
    const std::function<void()>& ready = [] {}) {
  SinkWatch video(source, "video");
  SinkWatch audio(source, "audio");
  source.play();
  EXPECT_TRUE(wait_player(server));
  ready();
  Publisher publisher(server, "key", begin);
  std::this_thread::sleep_for(how_long);
  publisher.stop();
  Seen seen{video.early(), audio.early(), video.stat("dropped") + audio.stat("dropped")};
  source.stop();
  return seen;
}

/// expect_in_time() holds if most frames are due when they come: a busy machine holds up some.
void expect_in_time(const std::vector<Passed>& media) {
  ASSERT_FALSE(media.empty());
  std::vector<int64_t> early;
  for (const Passed& one : media) {
    early.push_back(one.running - one.arrived);
  }
  auto middle = early.begin() + static_cast<std::ptrdiff_t>(early.size() / 2);
  std::nth_element(early.begin(), middle, early.end());
  EXPECT_NEAR(static_cast<double>(*middle), 0, 60.0 * kMs);
}

// ---- being on time ----

TEST(RtmpSrcLive, NoFrameIsLateThoughConnectingTookLongAndTheSenderRanForAnHour) {
  Script script;
  script.delay = 750ms;  // connect, and play
  TestServer server(script);
  Source source(server.url(), kStockDemuxer);
  guint64 to_air = 0;
  Seen seen = watch(source, server, 2000ms, kHour, [&] { to_air = source.stat("time-to-air"); });
  EXPECT_GE(to_air, 1500 * GST_MSECOND);
  ASSERT_GT(seen.video.size(), 40u);
  ASSERT_GT(seen.audio.size(), 40u);
  EXPECT_EQ(seen.dropped, 0u);
  for (const auto& early : {seen.video, seen.audio}) {
    for (size_t i = 0; i < early.size(); i++) {
      EXPECT_GE(early[i], -kLatency) << "frame " << i << " is late";
      EXPECT_LE(early[i], 60 * kMs) << "frame " << i << " waits longer than it must";
    }
  }
}

// A sink that goes by the clock waits for headers as for anything else that has a time.
TEST(RtmpSrcLive, HeadersAreNotDueLaterThanTheyCome) {
  for (const char* clock_mode : {"pipeline", "sender"}) {
    TestServer server;
    Source source(server.url(), "fakesink sync=true");
    source.set("clock-mode", clock_mode);
    source.play();
    ASSERT_TRUE(wait_player(server));
    Publisher publisher(server, "key", kHour);
    EXPECT_TRUE(source.wait_media(20, 5s)) << clock_mode;
    for (const Passed& one : source.passed()) {
      EXPECT_LE(one.running, one.arrived + 60 * kMs) << int{one.type};
    }
    source.stop();
  }
}

TEST(RtmpSrcLive, SameWithTheSendersTimeStamps) {
  Script script;
  script.delay = 300ms;
  TestServer server(script);
  Source source(server.url(), kStockDemuxer);
  source.set("clock-mode", "sender");
  Seen seen = watch(source, server, 1200ms, kHour);
  ASSERT_GT(seen.video.size(), 20u);
  EXPECT_EQ(seen.dropped, 0u);
  for (int64_t early : seen.video) {
    EXPECT_GE(early, -kLatency);
  }
}

TEST(RtmpSrcLive, TagAndBufferHaveOneTime) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key", kHour);
  ASSERT_TRUE(source.wait_media(40));
  for (const Passed& one : source.media()) {
    EXPECT_EQ(one.dts, one.tag_ms * kMs);
    EXPECT_GE(one.tag_ms, kHour);
  }
  expect_in_time(source.media());
  auto segments = source.segments();
  ASSERT_GE(segments.size(), 2u);
  EXPECT_EQ(segments.back().format, GST_FORMAT_TIME);
  EXPECT_GE(segments.back().start, static_cast<guint64>(kHour * kMs));
}

TEST(RtmpSrcLive, SenderThatStartsOverGoesOnInTime) {
  TestServer server;
  Source source(server.url(), kStockDemuxer);
  SinkWatch video(source, "video");
  source.play();
  ASSERT_TRUE(wait_player(server));
  {
    Publisher publisher(server, "key", kHour);
    std::this_thread::sleep_for(600ms);
  }
  std::this_thread::sleep_for(300ms);
  const size_t before = source.media().size();
  {
    Publisher publisher(server, "key", 0);
    std::this_thread::sleep_for(1000ms);
  }
  auto media = source.media();
  ASSERT_GT(media.size(), before + 30);
  EXPECT_TRUE(media[before].discont);
  for (size_t i = 1; i < media.size(); i++) {
    EXPECT_GE(media[i].tag_ms, media[i - 1].tag_ms) << i;
    EXPECT_EQ(media[i].discont, i == before) << i;
  }
  expect_in_time({media.begin(), media.begin() + static_cast<std::ptrdiff_t>(before)});
  expect_in_time({media.begin() + static_cast<std::ptrdiff_t>(before), media.end()});
  EXPECT_EQ(video.stat("dropped"), 0u);
  for (int64_t early : video.early()) {
    EXPECT_GE(early, -kLatency);
    EXPECT_LE(early, 60 * kMs);
  }
}

TEST(RtmpSrcLive, SenderThatStartsOverIsPassedOnAsItIsIfToldSo) {
  TestServer server;
  Source source(server.url());
  source.set("clock-mode", "sender");
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0, 100, kHour));
  server.send("key", audio_frame(0, kHour));
  ASSERT_TRUE(source.wait_media(2));
  server.send("key", video_frame(0, 100, 0));
  server.send("key", audio_frame(0, 0));
  ASSERT_TRUE(source.wait_media(4));
  auto media = source.media();
  EXPECT_EQ(media[2].tag_ms, 0);
  EXPECT_EQ(media[2].dts, 0);
  EXPECT_TRUE(media[2].discont);
  EXPECT_NEAR(static_cast<double>(media[2].running), static_cast<double>(media[2].arrived),
              60.0 * kMs);
}

// ---- joining ----

/// join() lets a server with a GOP cache hand out two seconds at once; answers the frames that were
/// sent live thereafter.
struct Joined {
  std::vector<Passed> media;
  int64_t edge_ms = 0;  // what was sent before is of the past
  guint64 dropped = 0;
};
Joined join(const char* how, const char* rest = "fakesink sync=false") {
  Script script;
  script.gop_cache = true;
  TestServer server(script);
  send_headers(server, "key", kHour);
  // One GOP of two seconds; the next key frame comes half a second after joining.
  auto frame = [](uint32_t i) {
    const auto kind = static_cast<uint8_t>(i == 0 || i == 62 ? 0x17 : 0x27);
    return Message{rtmp::MessageType::kVideo, kHour + i * 40,
                   media_body({kind, 1, 0, 0, 0}, 3000, i)};
  };
  for (uint32_t i = 0; i < 50; i++) {
    server.send("key", frame(i));
    server.send("key", audio_frame(i, kHour + i * 40 + 3));
  }
  Source source(server.url(), rest);
  source.set("join", how);
  std::unique_ptr<SinkWatch> video;
  if (std::string(rest).find("name=video") != std::string::npos) {
    video = std::make_unique<SinkWatch>(source, "video");
  }
  source.play();
  EXPECT_TRUE(wait_player(server));
  const auto begun = std::chrono::steady_clock::now();
  for (uint32_t i = 50; i < 90; i++) {
    std::this_thread::sleep_until(begun + (i - 50) * 40ms);
    server.send("key", frame(i));
    server.send("key", audio_frame(i, kHour + i * 40 + 3));
  }
  std::this_thread::sleep_for(150ms);
  Joined joined{source.media(), kHour + 50 * 40, source.stat("dropped-video")};
  if (video) {
    // Judged by what the sink saw of the last second.
    auto early = video->early();
    EXPECT_GE(early.size(), 25u);
    for (size_t i = early.size() - 25; i < early.size(); i++) {
      EXPECT_GE(early[i], -kLatency) << "late " << i;
      EXPECT_LE(early[i], 60 * kMs) << "delayed " << i;
    }
  }
  return joined;
}

void expect_live(const Joined& joined) {
  EXPECT_EQ(joined.dropped, 0u) << "nothing was lost because downstream was busy";
  size_t live = 0;
  for (const Passed& one : joined.media) {
    if (one.tag_ms >= joined.edge_ms + 100) {
      live++;
      EXPECT_LE(one.running - one.arrived, 10 * kMs) << "delay that stays";
      EXPECT_GE(one.running - one.arrived, -kLatency) << "late";
    }
  }
  EXPECT_GE(live, 40u);
}

TEST(RtmpSrcLive, BurstOnJoiningIsNoDelayAtTheLiveEdge) {
  Joined joined = join("live-edge");
  ASSERT_FALSE(joined.media.empty());
  EXPECT_LE(joined.media[0].tag_ms, kHour + 3) << "all that the server sends is passed on";
  EXPECT_LE(joined.media[0].running - joined.media[0].arrived, -1500 * kMs) << "as late as it is";
  expect_live(joined);
}

TEST(RtmpSrcLive, BurstOnJoiningIsLeftOutWithKeyFrame) {
  Joined joined = join("keyframe");
  ASSERT_FALSE(joined.media.empty());
  EXPECT_EQ(joined.media[0].tag_ms, kHour + 62 * 40);
  EXPECT_TRUE(joined.media[0].is_video());
  EXPECT_FALSE(joined.media[0].delta);
  expect_live(joined);
}

TEST(RtmpSrcLive, BurstOnJoiningThroughTheStockDemuxer) {
  join("live-edge", kStockDemuxer);
}

TEST(RtmpSrcLive, BurstOnJoiningIsLeftOutThroughTheStockDemuxer) {
  join("keyframe", kStockDemuxer);
}

/// announce_and_sound() is what nginx-rtmp sends of a stream joined between two key frames:
/// metadata, and sound without pictures until a key frame comes.
void announce_and_sound(TestServer& server, uint32_t frames) {
  server.send("key", announcing_metadata());
  server.send("key", audio_header());
  for (uint32_t i = 0; i < frames; i++) {
    server.send("key", audio_frame(i));
    std::this_thread::sleep_for(40ms);
  }
}

TEST(RtmpSrcLive, BeginsAtTheFirstKeyFrame) {
  TestServer server;
  Source source(server.url());
  source.set("header-wait", "100000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  announce_and_sound(server, 40);
  server.send("key", at_time(video_header(), 1600));
  for (const Message& message : frames(40, 10)) {
    server.send("key", message);
  }
  ASSERT_TRUE(source.wait_media(30));
  auto media = source.media();
  EXPECT_GE(media[0].tag_ms, 1100) << "but for the sound that leads it a little";
  EXPECT_LE(media[0].tag_ms, 1143);
  auto picture =
      std::find_if(media.begin(), media.end(), [](const Passed& one) { return one.is_video(); });
  ASSERT_NE(picture, media.end());
  EXPECT_EQ(picture->tag_ms, 1600);
  EXPECT_FALSE(picture->delta);
  EXPECT_EQ(source.stat("dropped-audio"), 0u) << "left out is not dropped";
}

TEST(RtmpSrcLive, PicturesThatNobodyCanDecodeAreLeftOut) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  for (const Message& message : frames(5, 10)) {
    server.send("key", message);
  }
  ASSERT_TRUE(source.wait_media(10));
  auto media = source.media();
  std::erase_if(media, [](const Passed& one) { return !one.is_video(); });
  EXPECT_EQ(media[0].tag_ms, 400);
  EXPECT_FALSE(media[0].delta);
}

TEST(RtmpSrcLive, SoundAloneDoesNotFillTheQueuesOfAPipeline) {
  TestServer server;
  Source source(server.url(), kStockDemuxer);  // its queues hold a second
  SinkWatch video(source, "video");
  source.play();
  ASSERT_TRUE(wait_player(server));
  announce_and_sound(server, 40);
  server.send("key", at_time(video_header(), 1600));
  for (const Message& message : frames(40, 20)) {
    server.send("key", message);
  }
  EXPECT_TRUE(source.wait_state(GST_STATE_PLAYING)) << "the sinks wait for each other";
  EXPECT_TRUE(eventually([&] { return video.early().size() >= 20; }));
}

TEST(RtmpSrcLive, KeyFrameJoinWithoutABurst) {
  TestServer server;
  Source source(server.url());
  source.set("join", "keyframe");
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  const auto begun = std::chrono::steady_clock::now();
  for (uint32_t i = 5; i < 30; i++) {
    std::this_thread::sleep_until(begun + (i - 5) * 40ms);
    server.send("key", video_frame(i));
    server.send("key", audio_frame(i));
  }
  ASSERT_TRUE(source.wait_media(10));
  auto media = source.media();
  EXPECT_EQ(media[0].tag_ms, 400);
  EXPECT_FALSE(media[0].delta);
  EXPECT_LE(media[0].arrived - media[0].running, 60 * kMs);
}

TEST(RtmpSrcLive, KeyFrameJoinOfAudioOnly) {
  TestServer server;
  Source source(server.url());
  source.set("join", "keyframe");
  source.set("header-wait", "100000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", audio_header());
  for (uint32_t i = 0; i < 20; i++) {
    server.send("key", audio_frame(i));
    std::this_thread::sleep_for(40ms);
  }
  EXPECT_TRUE(source.wait_media(5, 2s));
}

TEST(RtmpSrcLive, WhatCameInPausedDoesNotDelayPlaying) {
  TestServer server;
  Source source(server.url());
  source.pause();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key", kHour);
  std::this_thread::sleep_for(1200ms);
  EXPECT_TRUE(source.passed().empty()) << "a live source produces in PLAYING";
  source.play();
  const auto then = static_cast<int64_t>(publisher.sent());
  ASSERT_TRUE(source.wait([&](const std::vector<Passed>& all) {
    return !all.empty() && all.back().tag_ms > kHour + (then + 20) * 40;
  }));
  auto media = source.media();
  std::erase_if(media, [&](const Passed& one) { return one.tag_ms <= kHour + (then + 2) * 40; });
  expect_in_time(media);
}

TEST(RtmpSrcLive, JoinsAnewAfterAPause) {
  for (const char* how : {"live-edge", "keyframe"}) {
    SCOPED_TRACE(how);
    TestServer server;
    Source source(server.url());
    source.set("join", how);
    source.play();
    ASSERT_TRUE(wait_player(server));
    Publisher publisher(server, "key", kHour);
    ASSERT_TRUE(source.wait_media(10));
    source.pause();
    std::this_thread::sleep_for(700ms);
    size_t before = source.media().size();
    const auto then = static_cast<int64_t>(publisher.sent());
    source.play();
    ASSERT_TRUE(source.wait([&](const std::vector<Passed>& all) {
      return all.back().tag_ms > kHour + (then + 20) * 40;
    }));
    auto media = source.media();
    // A buffer that was on its way when the pause came is passed on first.
    before += media[before].discont ? 0 : 1;
    EXPECT_TRUE(media[before].discont);
    if (std::string(how) == "keyframe") {
      EXPECT_TRUE(media[before].is_video() && !media[before].delta);
    }
    std::erase_if(media, [&](const Passed& one) { return one.tag_ms <= kHour + (then + 2) * 40; });
    expect_in_time(media);
  }
}

// ---- a busy downstream ----

TEST(RtmpSrcLive, BusyDownstreamLosesUpToAKeyFrame) {
  TestServer server;
  Source source(server.url());
  source.set("max-queue-time", "600000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key", kHour);
  ASSERT_TRUE(source.wait_media(10));
  source.hold(true);
  ASSERT_TRUE(eventually([&] { return source.stat("queue-bytes") > 0; })) << "it must read on";
  const guint64 in_before = source.stat("in-bytes-total");
  std::this_thread::sleep_for(1500ms);
  EXPECT_GT(source.stat("in-bytes-total"), in_before + 20 * 3000);
  EXPECT_LE(source.stat("queue-time"), 740 * GST_MSECOND);
  const size_t before = source.media().size();
  source.hold(false);
  ASSERT_TRUE(source.wait_media(before + 40));
  publisher.stop();

  auto media = source.media();
  ASSERT_GT(media.size(), before);
  EXPECT_TRUE(media[before].discont);
  EXPECT_TRUE(media[before].is_video());
  EXPECT_FALSE(media[before].delta) << "playing goes on at a key frame";
  for (size_t i = 1; i < media.size(); i++) {
    EXPECT_EQ(media[i].discont, i == before) << i;
    if (i != before) {
      EXPECT_LE(media[i].tag_ms - media[i - 1].tag_ms, 41) << "a gap of its own";
    }
  }
  const int64_t gap = media[before].tag_ms - media[before - 1].tag_ms;
  EXPECT_GE(gap, 400) << "something must have been dropped";
  const auto lost = static_cast<guint64>(gap / 40);
  EXPECT_NEAR(static_cast<double>(source.stat("dropped-video")), static_cast<double>(lost), 1);
  EXPECT_NEAR(static_cast<double>(source.stat("dropped-audio")), static_cast<double>(lost), 1);
}

TEST(RtmpSrcLive, PingsAreAnsweredWhileDownstreamIsBusy) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  server.send("key", audio_frame(0));
  ASSERT_TRUE(source.wait_media(2));
  source.hold(true);
  server.send("key", audio_frame(1));
  ASSERT_TRUE(source.wait_media(3));  // the streaming thread is held with it
  // Chunk stream 2, type 4, six octets: PingRequest 0x01020304 (6.2, 7.1.7).
  const rtmp::Buffer ping = {0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 1, 2, 3, 4};
  GstElement* element = source.element;
  auto out = [element] {
    GstStructure* raw = nullptr;
    g_object_get(element, "stats", &raw, nullptr);
    gstrtmp::GstStructurePtr stats(raw);
    guint64 value = 0;
    gst_structure_get_uint64(stats.get(), "out-messages", &value);
    return value;
  };
  const guint64 before = out();
  server.send_raw(ping);
  EXPECT_TRUE(eventually([&] { return out() == before + 1; }, 2s));
}

TEST(RtmpSrcLive, DefaultBoundIsTwoSeconds) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key");
  ASSERT_TRUE(source.wait_media(4));
  source.hold(true);
  std::this_thread::sleep_for(1600ms);
  EXPECT_EQ(source.stat("dropped-video"), 0u);
  EXPECT_GE(source.stat("queue-time"), 1200 * GST_MSECOND);
  std::this_thread::sleep_for(1000ms);
  EXPECT_GT(source.stat("dropped-video"), 0u);
  EXPECT_LE(source.stat("queue-time"), 2140 * GST_MSECOND);
}

// Without a queue element it is the source that holds what its sinks wait with.
TEST(RtmpSrcLive, LatencyBeyondTheBoundOfTheQueueDropsNothing) {
  TestServer server;
  Source source(server.url(), "fakesink sync=true");
  source.set("latency", "900");
  source.set("max-queue-time", "300000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key");
  ASSERT_TRUE(eventually([&] { return source.stat("queue-time") > 600 * GST_MSECOND; }));
  ASSERT_TRUE(source.wait_media(60));
  EXPECT_EQ(source.stat("dropped-video"), 0u);
  EXPECT_EQ(source.stat("dropped-audio"), 0u);
}

TEST(RtmpSrcLive, TheLargestBoundsAreNoOverflow) {
  TestServer server;
  Source source(server.url());
  source.set("latency", "2147483647");
  source.set("max-queue-time", "9223372036854775807");
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key");
  ASSERT_TRUE(source.wait_media(10));
  EXPECT_EQ(source.stat("dropped-video"), 0u);
}

TEST(RtmpSrcLive, StaysInTimeAfterDroppingThroughTheStockDemuxer) {
  TestServer server;
  Source source(server.url(), kStockDemuxer);
  SinkWatch video(source, "video");
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key", kHour);
  ASSERT_TRUE(source.wait_media(10));
  source.hold(true);
  std::this_thread::sleep_for(3500ms);
  source.hold(false);
  std::this_thread::sleep_for(1500ms);
  auto early = video.early();
  ASSERT_GT(early.size(), 25u);
  for (size_t i = early.size() - 20; i < early.size(); i++) {
    EXPECT_GE(early[i], -kLatency) << i;
    EXPECT_LE(early[i], 60 * kMs) << i;
  }
}

}  // namespace
