// SPDX-License-Identifier: LGPL-2.1-or-later
// The parts of rtmpsrc that need no connection: clocks, the time line, the queue, the header.
#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "rtmp/liveedge.h"
#include "rtmp/livetimeline.h"
#include "rtmp/playback.h"
#include "rtmp/senderclock.h"
#include "rtmp/streamheader.h"
#include "rtmp/tagqueue.h"
#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::LiveEdge;
using gstrtmp::LiveTimeline;
using gstrtmp::Playback;
using gstrtmp::SenderClock;
using gstrtmp::StreamHeader;
using gstrtmp::Tag;
using gstrtmp::TagQueue;
using rtmp::StatusCode;

constexpr int64_t kMs = GST_MSECOND;
constexpr int64_t kSecond = GST_SECOND;

rtmp::Time at(rtmp::Duration time) {
  return rtmp::Time(time);
}

// ---- SenderClock ----

constexpr int64_t kPath = 20 * kMs;

/// A sender whose clock runs `ppm` fast, over a network with jitter: exponential, mean 4 ms, with a
/// stall now and then. `packet` gets (when it was sent, its time stamp, its arrival).
template <typename Packet>
void simulate(double ppm, int64_t length, int64_t step, Packet packet) {
  std::mt19937_64 random(4711);
  std::exponential_distribution<double> jitter(1.0 / (4.0 * kMs));
  constexpr int64_t kFirst = 3600 * kSecond;
  int64_t last_arrival = 0;
  for (int64_t now = 0; now < length; now += step) {
    const auto sender = kFirst + static_cast<int64_t>(static_cast<double>(now) * (1 + ppm * 1e-6));
    int64_t arrival = now + kPath + static_cast<int64_t>(jitter(random));
    if (now / kSecond % 60 == 59) {
      arrival += 300 * kMs;  // a second of congestion a minute
    }
    arrival = std::max(arrival, last_arrival);  // TCP keeps the order
    last_arrival = arrival;
    packet(now, sender / kMs * kMs, arrival);
  }
}

/// run_sender() shows a clock such a sender; `each` sees (when the packet was due, what the clock
/// makes of it).
template <typename Each>
void run_sender(SenderClock& clock, double ppm, int64_t length, int64_t step, Each each) {
  bool started = false;
  simulate(ppm, length, step, [&](int64_t now, int64_t stamp, int64_t arrival) {
    if (!std::exchange(started, true)) {
      clock.start(stamp, arrival, arrival - stamp);
    }
    const SenderClock::Sight sight = clock.observe(stamp, arrival);
    each(now + kPath, stamp + clock.correction(), sight);
  });
}

TEST(SenderClock, FollowsTwelveHoursOf200Ppm) {
  for (double ppm : {200.0, -200.0}) {
    SCOPED_TRACE(ppm);
    SenderClock clock;
    int64_t base = 0;
    int64_t worst = 0;
    size_t jumps = 0;
    bool first = true;
    run_sender(clock, ppm, 12 * 3600 * kSecond, 40 * kMs,
               [&](int64_t due, int64_t time, SenderClock::Sight sight) {
                 jumps += sight != SenderClock::Sight::kSteady;
                 // What a time stamp means is settled by the first: it was due when it came.
                 base = std::exchange(first, false) ? due - time : base;
                 worst = std::max<int64_t>(worst, std::llabs(time + base - due));
               });
    EXPECT_EQ(jumps, 0u);
    EXPECT_LE(worst, 20 * kMs) << "in ms: " << static_cast<double>(worst) / kMs;
    // 200 ppm of 12 hours; that much had to be corrected.
    EXPECT_NEAR(static_cast<double>(clock.correction()), -ppm * 1e-6 * 12 * 3600 * kSecond,
                20.0 * kMs);
  }
}

TEST(SenderClock, LeavesAnEqualClockAlone) {
  SenderClock clock;
  run_sender(clock, 0, 600 * kSecond, 20 * kMs,
             [&](int64_t, int64_t, SenderClock::Sight) { ASSERT_EQ(clock.correction(), 0); });
}

TEST(SenderClock, NeverSlewsFasterThan500Ppm) {
  SenderClock clock;
  clock.start(0, 0, 0);
  int64_t last = 0;
  for (int64_t now = 0; now < 60 * kSecond; now += 20 * kMs) {
    clock.observe(now, now + (now < 5 * kSecond ? 0 : 500 * kMs));  // the path grew longer
    EXPECT_LE(clock.correction() - last, 10'000) << now;
    EXPECT_GE(clock.correction() - last, 0) << now;
    last = clock.correction();
  }
  EXPECT_GT(last, 15 * kMs);
}

TEST(SenderClock, CorrectsOnlyIfToldSo) {
  SenderClock clock;
  clock.start(0, 0, 0);
  for (int64_t now = 0; now < 100 * kSecond; now += 40 * kMs) {
    clock.observe(now, now + now / 1000, false);
    ASSERT_EQ(clock.correction(), 0);
  }
  EXPECT_EQ(clock.observe(100 * kSecond, 100'100 * kMs), SenderClock::Sight::kSteady);
  EXPECT_GT(clock.correction(), 0);
}

TEST(SenderClock, TellsAJumpFromAStall) {
  SenderClock clock;
  clock.start(0, 0, 0);
  int64_t now = 0;
  for (; now < 5 * kSecond; now += 40 * kMs) {
    ASSERT_EQ(clock.observe(now, now), SenderClock::Sight::kSteady);
  }
  // Four seconds of nothing, then all of it at once.
  const int64_t back = now + 4 * kSecond;
  for (int64_t stamp = now; stamp < back; stamp += 40 * kMs) {
    ASSERT_EQ(clock.observe(stamp, back), SenderClock::Sight::kSteady) << stamp;
  }
  EXPECT_EQ(clock.observe(back, back), SenderClock::Sight::kSteady);
  // The sender left out two seconds, in time.
  EXPECT_EQ(clock.observe(back + 2 * kSecond, back + 2 * kSecond), SenderClock::Sight::kSteady);
  // It starts over.
  EXPECT_EQ(clock.observe(0, back + 2040 * kMs), SenderClock::Sight::kSenderJumped);
  EXPECT_EQ(clock.observe(back + 3600 * kSecond, back + 2040 * kMs),
            SenderClock::Sight::kSenderJumped);
}

TEST(SenderClock, SeesThatAStreamIsLateForGood) {
  SenderClock clock;
  clock.start(0, 0, 0);
  std::vector<int64_t> moved;
  // The publisher was held for five seconds, and goes on where it was.
  for (int64_t stamp = 0; stamp < 20 * kSecond; stamp += 40 * kMs) {
    const int64_t arrival = stamp + (stamp < 5 * kSecond ? 0 : 5 * kSecond);
    if (clock.observe(stamp, arrival) == SenderClock::Sight::kEdgeMoved) {
      moved.push_back(arrival);
      EXPECT_EQ(clock.edge(), 5 * kSecond);
      clock.set_base(clock.edge() - clock.correction());
    }
  }
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0], 10 * kSecond + SenderClock::kLateForGood);
}

// ---- LiveTimeline ----

/// running() is the running time that the pipeline gives a tag.
int64_t running(const LiveTimeline::Mapping& mapping, int64_t time_ms) {
  return time_ms * kMs - static_cast<int64_t>(mapping.start) + static_cast<int64_t>(mapping.base);
}

TEST(LiveTimeline, FirstPacketIsDueWhenItComes) {
  LiveTimeline timeline;
  timeline.begin(3'600'000, 1500 * kMs, 1500 * kMs - 3600 * kSecond);
  auto place = timeline.place(3'600'000, 1500 * kMs);
  ASSERT_TRUE(place.segment);
  EXPECT_EQ(place.segment->start, 3600u * GST_SECOND);
  EXPECT_EQ(place.segment->base, 1500u * GST_MSECOND);
  EXPECT_EQ(place.time_ms, 3'600'000);
  EXPECT_FALSE(place.jump);
  EXPECT_EQ(timeline.header_time_ms(), 3'600'000);

  place = timeline.place(3'600'040, 1540 * kMs);
  EXPECT_FALSE(place.segment);
  EXPECT_EQ(place.time_ms, 3'600'040);
}

TEST(LiveTimeline, BurstLiesInThePast) {
  // Two seconds of it came at 0.3 s; the last packet is live.
  LiveTimeline timeline;
  timeline.begin(10'000, 300 * kMs, 300 * kMs - 12 * kSecond);
  auto place = timeline.place(10'000, 300 * kMs);
  ASSERT_TRUE(place.segment);
  EXPECT_EQ(running(*place.segment, 12'000), 300 * kMs);
  EXPECT_LE(running(*place.segment, 10'000), 0);
  auto live = timeline.place(12'040, 340 * kMs);
  EXPECT_FALSE(live.segment);
  EXPECT_EQ(running(timeline.mapping(), live.time_ms), 340 * kMs);
}

TEST(LiveTimeline, RestOfABurstMovesTheSegment) {
  // The burst comes at 1.5 times real time, for four seconds: the edge is found as it nears.
  LiveTimeline timeline;
  timeline.begin(0, kSecond, kSecond);
  int64_t last = 0;
  size_t segments = 0;
  for (int64_t media = 0; media <= 6000; media += 20) {
    const int64_t arrival = kSecond + media * kMs * 2 / 3;
    auto place = timeline.place(media, arrival);
    EXPECT_FALSE(place.jump);
    EXPECT_EQ(place.time_ms, media) << "only the segment moves";
    segments += place.segment.has_value();
    last = arrival;
  }
  for (int64_t media = 6020; media < 8000; media += 20) {
    last += 20 * kMs;
    auto place = timeline.place(media, last);
    segments += place.segment.has_value();
  }
  EXPECT_NEAR(static_cast<double>(running(timeline.mapping(), 7980)), static_cast<double>(last),
              10.0 * kMs);
  EXPECT_LE(segments, 45u);
}

TEST(LiveTimeline, TracksBehindStayInsideWhenTheEdgeMoves) {
  LiveTimeline timeline;
  timeline.begin(0, 200 * kMs, 200 * kMs);
  timeline.place(0, 200 * kMs);
  // Audio at 300 ms comes 150 ms earlier than the first packet had it; video at 250 ms comes next.
  auto place = timeline.place(300, 350 * kMs);
  ASSERT_TRUE(place.segment);
  EXPECT_EQ(running(*place.segment, 300), 350 * kMs);
  place = timeline.place(250, 351 * kMs);
  EXPECT_FALSE(place.segment);
  EXPECT_LE(timeline.mapping().start, 250u * GST_MSECOND);
}

TEST(LiveTimeline, GoesOnWhenTheSenderStartsOver) {
  LiveTimeline timeline;
  timeline.begin(50'000, kSecond, kSecond - 50 * kSecond);
  for (int64_t i = 0; i < 100; i++) {
    timeline.place(50'000 + i * 40, kSecond + i * 40 * kMs);
  }
  const auto before = timeline.mapping();
  auto place = timeline.place(0, 7 * kSecond);
  EXPECT_TRUE(place.jump);
  EXPECT_FALSE(place.segment);
  EXPECT_EQ(running(before, place.time_ms), 7 * kSecond);
  place = timeline.place(40, 7040 * kMs);
  EXPECT_FALSE(place.jump);
  EXPECT_EQ(running(before, place.time_ms), 7040 * kMs);
}

TEST(LiveTimeline, SenderModeRewritesNothing) {
  LiveTimeline timeline(false);
  timeline.begin(50'000, kSecond, kSecond - 50 * kSecond);
  EXPECT_EQ(timeline.place(50'000, kSecond).time_ms, 50'000);
  for (int64_t i = 1; i < 50'000; i++) {  // 1000 ppm off
    EXPECT_EQ(timeline.place(50'000 + i * 40, kSecond + i * 40'040'000).time_ms, 50'000 + i * 40);
  }
  auto place = timeline.place(0, 2100 * kSecond);
  EXPECT_TRUE(place.jump);
  EXPECT_EQ(place.time_ms, 0);
  ASSERT_TRUE(place.segment);
  EXPECT_EQ(running(*place.segment, 0), 2100 * kSecond);
}

TEST(LiveTimeline, MovesTheSegmentWhenTheStreamIsLateForGood) {
  LiveTimeline timeline;
  timeline.begin(0, 0, 0);
  bool moved = false;
  int64_t last_ms = -1;
  int64_t arrival = 0;
  for (int64_t ms = 0; ms < 15'000; ms += 40) {
    arrival = ms * kMs + (ms < 5000 ? 0 : 5 * kSecond);
    auto place = timeline.place(ms, arrival);
    EXPECT_GT(place.time_ms, last_ms);
    last_ms = place.time_ms;
    EXPECT_EQ(place.jump, place.segment.has_value() && ms > 0);
    moved |= place.jump;
  }
  EXPECT_TRUE(moved);
  EXPECT_NEAR(static_cast<double>(running(timeline.mapping(), last_ms)),
              static_cast<double>(arrival), 12.0 * kMs);
}

TEST(LiveTimeline, KeepsTheOrderWhileSlewing) {
  LiveTimeline timeline;
  timeline.begin(0, 0, 0);
  int64_t last = 0;
  for (int64_t ms = 0; ms < 120'000; ms += 20) {
    const int64_t arrival = ms * kMs - (ms > 10'000 ? 100 * kMs : 0);  // a shorter path
    for (int i = 0; i < 3; i++) {                                      // of one time
      auto place = timeline.place(ms, arrival);
      EXPECT_GE(place.time_ms, last);
      last = place.time_ms;
    }
  }
  EXPECT_LT(last, 119'980 - 20);
}

TEST(LiveTimeline, FollowsTwelveHoursOf200Ppm) {
  for (double ppm : {200.0, -200.0}) {
    SCOPED_TRACE(ppm);
    LiveTimeline timeline;
    LiveTimeline::Mapping mapping;
    int64_t worst = 0;
    size_t segments = 0;
    simulate(ppm, 12 * 3600 * kSecond, 40 * kMs, [&](int64_t now, int64_t stamp, int64_t arrival) {
      if (!timeline.begun()) {
        timeline.begin(stamp / kMs, arrival, arrival - stamp);
      }
      const LiveTimeline::Place place = timeline.place(stamp / kMs, arrival);
      EXPECT_FALSE(place.jump);
      if (place.segment) {
        mapping = *place.segment;
        segments++;
      }
      const auto start = static_cast<int64_t>(mapping.start);
      const int64_t running = place.time_ms * kMs - start + static_cast<int64_t>(mapping.base);
      if (now > LiveTimeline::kJoining) {
        worst = std::max<int64_t>(worst, std::llabs(running - (now + kPath)));
      }
    });
    EXPECT_LE(worst, 20 * kMs) << "in ms: " << static_cast<double>(worst) / kMs;
    EXPECT_LE(segments, 3u) << "only while joining";
  }
}

TEST(LiveTimeline, BeginsAgainAfterAPause) {
  LiveTimeline timeline;
  timeline.begin(5000, 0, -5 * kSecond);
  timeline.place(5000, 0);
  timeline.place(0, 2 * kSecond);  // jumped: shifted from here on
  timeline.end();
  EXPECT_FALSE(timeline.begun());
  // An hour later by the sender, five seconds by the pipeline.
  timeline.begin(3'600'000, 5 * kSecond, 5 * kSecond - 3600 * kSecond);
  auto place = timeline.place(3'600'000, 5 * kSecond);
  ASSERT_TRUE(place.segment);
  EXPECT_EQ(running(*place.segment, place.time_ms), 5 * kSecond);
  EXPECT_GT(place.time_ms, 3'600'000) << "the time line goes on";
}

// ---- LiveEdge ----

TEST(LiveEdge, IsReachedAfterABurst) {
  LiveEdge edge;
  EXPECT_FALSE(edge.reached(at(0ms)));
  for (int i = 0; i < 50; i++) {
    edge.arrived(1000 + i * 40, at(std::chrono::milliseconds(i)));
    EXPECT_FALSE(edge.reached(at(std::chrono::milliseconds(i)))) << i;
  }
  EXPECT_FALSE(edge.reached(at(60ms)));
  EXPECT_TRUE(edge.reached(at(49ms + LiveEdge::kGap)));
}

TEST(LiveEdge, IsReachedByPacketsInStep) {
  LiveEdge edge;
  for (int i = 0; i < 50; i++) {
    edge.arrived(1000 + i * 40, at(std::chrono::milliseconds(i)));
  }
  // 50 frames and 43 packets of audio a second leave no gap.
  bool reached = false;
  for (int i = 0; i < 10; i++) {
    const auto now = 49ms + std::chrono::milliseconds(i * 12);
    edge.arrived(3000 + i * 12, at(now));
    reached |= edge.reached(at(now));
  }
  EXPECT_TRUE(reached);
}

TEST(LiveEdge, TakesPairsAndEqualStampsForLive) {
  LiveEdge edge;
  for (int i = 0; i < 4; i++) {
    const auto now = std::chrono::milliseconds(i * 40);
    edge.arrived(i * 40, at(now));
    edge.arrived(i * 40, at(now));
    edge.arrived(i * 40 + 20, at(now));
  }
  EXPECT_TRUE(edge.reached(at(120ms)));
}

// ---- Playback ----

TEST(Playback, EndsByStatusOrStreamEof) {
  for (auto code :
       {StatusCode::kPlayStop, StatusCode::kPlayComplete, StatusCode::kPlayUnpublishNotify}) {
    Playback playback;
    EXPECT_FALSE(playback.over());
    playback.on_status(code);
    EXPECT_TRUE(playback.over());
  }
  Playback playback;
  playback.on_status(StatusCode::kPlayStart);
  EXPECT_FALSE(playback.over());
  playback.on_stream_eof();
  EXPECT_TRUE(playback.over());
}

TEST(Playback, SeekDisownsWhatCameBefore) {
  Playback playback;
  playback.on_status(StatusCode::kPlayStop);
  playback.seek_sent(at(0ms));
  EXPECT_FALSE(playback.over());
  EXPECT_TRUE(playback.seeking());
  playback.on_status(StatusCode::kPlayStop);
  playback.on_stream_eof();
  EXPECT_FALSE(playback.over());
  playback.on_status(StatusCode::kSeekNotify);
  EXPECT_FALSE(playback.seeking());
  playback.on_stream_eof();
  EXPECT_TRUE(playback.over());
}

TEST(Playback, ServersMaySeekWithoutAWord) {
  Playback playback;
  playback.seek_sent(at(0ms));
  playback.on_jump();
  EXPECT_FALSE(playback.seeking());
  playback.on_status(StatusCode::kPlayStop);
  EXPECT_TRUE(playback.over());
}

TEST(Playback, EndBehindAnUnansweredSeekIsSeen) {
  Playback playback;
  playback.seek_sent(at(0ms));
  playback.on_status(StatusCode::kPlayStop);
  EXPECT_FALSE(playback.over());
  playback.expire(at(0ms) + Playback::kAnswer);
  EXPECT_TRUE(playback.over());
}

TEST(Playback, SilentServersHaveSought) {
  Playback playback;
  EXPECT_FALSE(playback.deadline());
  playback.seek_sent(at(0ms));
  ASSERT_EQ(playback.deadline(), at(0ms) + Playback::kAnswer);
  playback.expire(at(1999ms));
  EXPECT_TRUE(playback.seeking());
  playback.expire(at(2000ms));
  EXPECT_FALSE(playback.seeking());
  EXPECT_FALSE(playback.deadline());
}

TEST(Playback, PauseIsNoEnd) {
  Playback playback;
  playback.pause_sent(true, at(0ms));
  EXPECT_TRUE(playback.paused());
  EXPECT_TRUE(playback.pausing());
  playback.on_stream_eof();
  playback.on_status(StatusCode::kPauseNotify);
  EXPECT_FALSE(playback.pausing());
  EXPECT_TRUE(playback.paused());
  playback.on_stream_eof();
  EXPECT_FALSE(playback.over()) << "a paused server has nothing to end";
  playback.pause_sent(false, at(1ms));
  playback.on_status(StatusCode::kUnpauseNotify);
  EXPECT_FALSE(playback.paused());
  EXPECT_FALSE(playback.over());
  playback.on_stream_eof();
  EXPECT_TRUE(playback.over());
}

TEST(Playback, EndBehindAPauseIsSeen) {
  // All was sent when our pause arrived: one StreamEOF is the end's, one the pause's.
  Playback playback;
  playback.pause_sent(true, at(0ms));
  playback.on_stream_eof();
  playback.on_stream_eof();
  playback.on_status(StatusCode::kPauseNotify);
  EXPECT_TRUE(playback.over());

  Playback unanswered;
  unanswered.pause_sent(true, at(0ms));
  unanswered.on_stream_eof();
  EXPECT_FALSE(unanswered.over());
  unanswered.expire(at(0ms) + Playback::kAnswer);
  EXPECT_TRUE(unanswered.over());
}

TEST(Playback, EndWhilePausedIsSeenOnceItGoesOn) {
  // The server ignores pauses, and ends with StreamEOF and no word else.
  Playback playback;
  playback.pause_sent(true, at(0ms));
  playback.expire(at(0ms) + Playback::kAnswer);
  playback.on_stream_eof();
  EXPECT_FALSE(playback.over());
  EXPECT_FALSE(playback.deadline());
  playback.pause_sent(false, at(3s));
  ASSERT_EQ(playback.deadline(), at(3s) + Playback::kAnswer);
  playback.expire(at(4999ms));
  EXPECT_FALSE(playback.over());
  playback.expire(at(5s));
  EXPECT_TRUE(playback.over());
  EXPECT_FALSE(playback.deadline());
}

TEST(Playback, EndWhilePausedIsNoneIfAnythingComes) {
  for (int what = 0; what < 3; what++) {
    SCOPED_TRACE(what);
    Playback playback;
    playback.pause_sent(true, at(0ms));
    playback.on_status(StatusCode::kPauseNotify);
    playback.on_stream_eof();
    if (what == 0) {
      playback.on_media();
    }
    playback.pause_sent(false, at(1s));
    playback.pause_sent(true, at(2s));  // again at once: it still is not known
    playback.on_status(StatusCode::kPauseNotify);
    EXPECT_FALSE(playback.deadline());
    playback.pause_sent(false, at(4s));
    EXPECT_EQ(playback.deadline().has_value(), what != 0);
    if (what == 1) {
      playback.on_media();
    } else if (what == 2) {
      playback.on_status(StatusCode::kUnpauseNotify);
    }
    EXPECT_FALSE(playback.deadline());
    playback.expire(at(10s));
    EXPECT_FALSE(playback.over());
  }
}

// ---- TagQueue ----

Tag make(const Message& message, rtmp::Time arrival) {
  static rtmp::HeapBlocks blocks;
  rtmp::event::Media media;
  media.type = message.type;
  media.timestamp = message.timestamp;
  media.payload.block =
      blocks.take(rtmp::flv::kTagHeaderSize + message.body.size() + rtmp::flv::kBackPointerSize);
  media.payload.offset = rtmp::flv::kTagHeaderSize;
  media.payload.size = message.body.size();
  std::copy(message.body.begin(), message.body.end(),
            media.payload.block.data + media.payload.offset);
  auto tag = gstrtmp::make_tag(std::move(media), arrival);
  EXPECT_TRUE(tag);
  return std::move(*tag);
}

/// A second of video and audio at 25 a second, key frames every 10, arriving in time from `begin`.
void fill(TagQueue& queue, uint32_t first, uint32_t count) {
  for (uint32_t i = first; i < first + count; i++) {
    const auto now = at(std::chrono::milliseconds(i * 40));
    queue.push(make(video_frame(i), now));
    queue.push(make(audio_frame(i), now));
  }
}

std::vector<Tag> drain(TagQueue& queue) {
  std::vector<Tag> tags;
  while (auto tag = queue.pop()) {
    tags.push_back(std::move(*tag));
  }
  return tags;
}

TEST(TagQueue, KeepsOrderAndCountsWhatItHolds) {
  TagQueue queue;
  queue.push(make(metadata(), at(0ms)));
  EXPECT_FALSE(queue.has_media());
  EXPECT_EQ(queue.media_span_ms(), 0);
  fill(queue, 0, 25);
  EXPECT_TRUE(queue.has_media());
  EXPECT_EQ(queue.media_span_ms(), 24 * 40 + 3);
  EXPECT_EQ(queue.waited(at(1500ms)), rtmp::Duration(1500ms));
  uint64_t bytes = 0;
  for (const Tag& tag : queue.tags()) {
    bytes += tag.payload.size + Tag::kOverhead;
  }
  EXPECT_EQ(queue.bytes(), bytes);
  EXPECT_EQ(drain(queue).size(), 51u);
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_TRUE(queue.empty());
}

TEST(TagQueue, TrimsToTheNextKeyFrame) {
  TagQueue queue;
  queue.push(make(video_header(), at(0ms)));
  fill(queue, 0, 50);  // key frames at 0, 0.4, 0.8, 1.2, 1.6
  queue.trim(at(2000ms), 2s, 1 << 30);
  EXPECT_EQ(queue.dropped().video, 0u) << "nothing has waited longer than two seconds";
  queue.trim(at(2500ms), 1s, 1 << 30);
  EXPECT_EQ(queue.dropped().video, 40u);
  EXPECT_EQ(queue.dropped().audio, 40u);
  auto tags = drain(queue);
  ASSERT_EQ(tags.size(), 21u);
  EXPECT_TRUE(tags[0].is_header()) << "a header is never dropped";
  EXPECT_TRUE(tags[1].is_key_frame());
  EXPECT_EQ(tags[1].timestamp, 1600);
  EXPECT_TRUE(tags[1].discont);
  EXPECT_FALSE(tags[2].discont);
}

TEST(TagQueue, WithoutAKeyFrameSkipsWhatComesUntilOne) {
  TagQueue queue;
  fill(queue, 0, 5);
  queue.trim(at(3000ms), 2s, 1 << 30);
  EXPECT_TRUE(queue.empty());
  fill(queue, 75, 5);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.dropped().video, 10u);
  EXPECT_EQ(queue.dropped().audio, 10u);
  fill(queue, 80, 2);
  auto tags = drain(queue);
  ASSERT_EQ(tags.size(), 4u);
  EXPECT_TRUE(tags[0].is_key_frame());
  EXPECT_TRUE(tags[0].discont);
  EXPECT_FALSE(tags[1].discont);
}

TEST(TagQueue, BoundsOctetsToo) {
  TagQueue queue;
  fill(queue, 0, 50);
  const uint64_t all = queue.bytes();
  queue.trim(at(1960ms), 10s, all / 2);
  EXPECT_LE(queue.bytes(), all / 2);
  ASSERT_FALSE(queue.empty());
  EXPECT_TRUE(queue.tags().front().is_key_frame());
}

TEST(TagQueue, EmptyTagsTakeMemoryToo) {
  TagQueue queue;
  for (uint32_t i = 0; i < 1000; i++) {
    queue.push(make({rtmp::MessageType::kAudio, 0, {}}, at(0ms)));
  }
  EXPECT_GE(queue.bytes(), 1000 * sizeof(Tag));
  queue.trim(at(0ms), 2s, 100 * sizeof(Tag));
  EXPECT_LE(queue.tags().size(), 100u);
}

// All that is asked for with each message is asked while the connection is locked.
TEST(TagQueue, AnswersAtOnceHoweverManyScriptsWait) {
  TagQueue queue;
  const auto begun = std::chrono::steady_clock::now();
  auto elapsed = [&] { return std::chrono::steady_clock::now() - begun; };
  for (uint32_t i = 0; i < 200'000 && elapsed() < 20s; i++) {
    Tag script;
    script.packet = rtmp::media::PacketClass::kCommand;
    queue.push(std::move(script));
    ASSERT_FALSE(queue.has_media());
    ASSERT_EQ(queue.media_span_ms(), 0);
    ASSERT_EQ(queue.waited(at(1s)), rtmp::Duration{});
  }
  EXPECT_EQ(queue.tags().size(), 200'000u);
  // A flood of sound that nobody takes: each packet drops one.
  for (uint32_t i = 0; i < 200'000 && elapsed() < 20s; i++) {
    Tag sound;
    sound.type = rtmp::flv::TagType::kAudio;
    sound.packet = rtmp::media::PacketClass::kAudioFrame;
    sound.timestamp = i;
    queue.push(std::move(sound));
    queue.trim(at(0s), 2s, 100'000 * Tag::kOverhead);
    ASSERT_LE(queue.bytes(), 100'000 * Tag::kOverhead);
  }
  EXPECT_LT(elapsed(), 20s);
  EXPECT_EQ(queue.tags().back().timestamp, 199'999);
  EXPECT_EQ(queue.media_span_ms(), 99'999);
  EXPECT_EQ(queue.dropped().audio, 100'000u);
}

TEST(TagQueue, AudioAloneNeedsNoKeyFrame) {
  TagQueue queue;
  for (uint32_t i = 0; i < 100; i++) {
    queue.push(make(audio_frame(i), at(std::chrono::milliseconds(i * 40))));
  }
  queue.trim(at(4000ms), 2s, 1 << 30);
  EXPECT_EQ(queue.dropped().audio, 50u);
  EXPECT_TRUE(queue.pop()->discont);
}

TEST(TagQueue, AudioGoesOnWithoutTheVideoThatStopped) {
  TagQueue queue;
  fill(queue, 0, 5);
  queue.trim(at(3000ms), 2s, 1 << 30);
  queue.push(make(audio_frame(1), at(3100ms)));
  EXPECT_TRUE(queue.empty());
  queue.push(make(audio_frame(2), at(160ms + TagQueue::kVideoPause)));
  EXPECT_FALSE(queue.empty());
}

TEST(TagQueue, BeginsAtAKeyFrameThatIsLive) {
  TagQueue queue;
  queue.push(make(video_header(), at(0ms)));
  // 24 frames of the past at once, then live from frame 25 on; key frames at 0, 10, 20, 30.
  for (uint32_t i = 0; i < 25; i++) {
    queue.push(make(video_frame(i), at(1000ms)));
  }
  fill(queue, 25, 10);
  TagQueue late;
  for (const Tag& tag : queue.tags()) {
    late.push(make({rtmp::MessageType::kVideo,
                    tag.timestamp,
                    {tag.payload.bytes().begin(), tag.payload.bytes().end()}},
                   tag.arrival));
  }
  queue.begin_at_key_frame(100ms);
  auto tags = drain(queue);
  ASSERT_GE(tags.size(), 2u);
  EXPECT_TRUE(tags[0].is_header());
  EXPECT_EQ(tags[1].timestamp, 30 * 40);
  EXPECT_EQ(queue.dropped().video + queue.dropped().audio, 0u) << "left out is not dropped";

  late.begin_at_key_frame(210ms);  // frame 20 came 0.2 s late
  tags = drain(late);
  ASSERT_GE(tags.size(), 2u);
  EXPECT_EQ(tags[1].timestamp, 20 * 40);
}

TEST(TagQueue, LeavesOutWhatComesBeforeTheKeyFrame) {
  TagQueue queue;
  fill(queue, 1, 5);
  queue.begin_at_key_frame(100ms);
  EXPECT_FALSE(queue.has_media());
  fill(queue, 6, 5);
  ASSERT_TRUE(queue.has_media());
  EXPECT_EQ(queue.tags().front().timestamp, 400);
  EXPECT_EQ(queue.dropped().video, 0u);
}

TEST(TagQueue, WaitsForVideoThatIsExpected) {
  TagQueue queue;
  queue.expect_video(at(2s));
  queue.push(make(audio_frame(0), at(0ms)));
  queue.begin_at_key_frame(rtmp::Duration::max());
  queue.push(make(audio_frame(1), at(1900ms)));
  EXPECT_FALSE(queue.has_media());
  queue.push(make(audio_frame(2), at(2s)));
  EXPECT_TRUE(queue.has_media()) << "it never came";
}

TEST(TagQueue, SoundThatLeadsTheKeyFrameStays) {
  for (bool already_there : {false, true}) {
    SCOPED_TRACE(already_there);
    TagQueue queue;
    queue.expect_video(at(12s));
    queue.push(make(audio_header(), at(0ms)));
    for (uint32_t i = 0; i < 10; i++) {
      queue.push(make(audio_frame(i), at(0ms)));
    }
    if (!already_there) {
      queue.begin_at_key_frame(rtmp::Duration::max(), 100ms);
      EXPECT_FALSE(queue.has_media());
    }
    queue.push(make(video_frame(10), at(400ms)));
    if (already_there) {
      queue.begin_at_key_frame(rtmp::Duration::max(), 100ms);
    }
    uint64_t bytes = 0;
    for (const Tag& tag : queue.tags()) {
      bytes += tag.memory();
    }
    EXPECT_EQ(queue.bytes(), bytes);
    auto tags = drain(queue);
    ASSERT_EQ(tags.size(), 4u);
    EXPECT_TRUE(tags[0].is_header());
    EXPECT_EQ(tags[1].timestamp, 8 * 40 + 3);
    EXPECT_EQ(tags[1].discont, !already_there);
    EXPECT_EQ(tags[2].timestamp, 9 * 40 + 3);
    EXPECT_TRUE(tags[3].is_key_frame());
    EXPECT_FALSE(tags[3].discont);
  }
}

TEST(TagQueue, BoundsTheSoundThatMayLead) {
  TagQueue queue;
  queue.expect_video(at(12s));
  queue.begin_at_key_frame(rtmp::Duration::max(), 500ms);
  for (uint32_t i = 0; i < 50; i++) {
    Message sound = audio_frame(i, i);
    sound.body.resize(100'000);
    queue.push(make(sound, at(0ms)));
  }
  queue.push(make(video_frame(0), at(400ms)));
  EXPECT_LE(queue.bytes(), TagQueue::kMaxLeadBytes + 10'000);
  auto tags = drain(queue);
  ASSERT_EQ(tags.size(), 11u);
  EXPECT_EQ(tags[9].timestamp, 49) << "the oldest goes";
}

TEST(TagQueue, KeepsTheHeadersWhenCleared) {
  TagQueue queue;
  queue.push(make(video_header(), at(0ms)));
  for (const Message& header : {metadata(), video_header(), audio_header()}) {
    queue.push(make(header, at(0ms)));
  }
  fill(queue, 0, 5);
  queue.clear(7000);
  EXPECT_FALSE(queue.has_media());
  EXPECT_EQ(queue.media_span_ms(), 0);
  EXPECT_EQ(queue.dropped().video + queue.dropped().audio, 0u);
  uint64_t bytes = 0;
  for (const Tag& tag : queue.tags()) {
    bytes += tag.memory();
  }
  EXPECT_EQ(queue.bytes(), bytes);
  auto tags = drain(queue);
  ASSERT_EQ(tags.size(), 3u) << "the last of each kind";
  for (const Tag& tag : tags) {
    EXPECT_EQ(tag.timestamp, 7000) << "no sink is to wait for where it was";
  }
  EXPECT_EQ(tags[0].packet, rtmp::media::PacketClass::kMetadata);
  EXPECT_EQ(tags[1].type, rtmp::flv::TagType::kVideo);
  EXPECT_EQ(tags[2].type, rtmp::flv::TagType::kAudio);
}

TEST(TagQueue, StreamsWithoutKeyFramesGoOn) {
  TagQueue queue;
  for (uint32_t i = 1; i < 400; i++) {
    queue.push(make(video_frame(i % 9 + 1, 100, i * 40), at(std::chrono::milliseconds(i * 40))));
    if (i == 5) {
      queue.begin_at_key_frame(100ms);
    }
  }
  ASSERT_TRUE(queue.has_media());
  EXPECT_EQ(queue.tags().front().arrival, at(240ms) + TagQueue::kKeyFrameWait);
  EXPECT_TRUE(queue.tags().front().discont);
}

TEST(MakeTag, KnowsWhatATagIs) {
  EXPECT_TRUE(make(video_frame(0), {}).is_key_frame());
  EXPECT_FALSE(make(video_frame(1), {}).is_key_frame());
  EXPECT_TRUE(make(video_header(), {}).is_header());
  EXPECT_TRUE(make(audio_header(), {}).is_header());
  EXPECT_TRUE(make(audio_frame(1), {}).is_media());
  EXPECT_TRUE(make(metadata(), {}).is_header());
  Tag cue = make({rtmp::MessageType::kDataAmf0, 0, script_body("onCuePoint")}, {});
  EXPECT_FALSE(cue.is_header());
  EXPECT_FALSE(cue.is_media());
  Tag empty = make({rtmp::MessageType::kVideo, 0, {}}, {});
  EXPECT_FALSE(empty.is_key_frame());
}

TEST(MakeTag, TakesThePublishersPrefixOff) {
  Tag tag = make(as_sent(metadata()), {});
  EXPECT_TRUE(tag.is_header());
  EXPECT_EQ(rtmp::script_handler(tag.payload.bytes()), rtmp::kOnMetaData);
  EXPECT_EQ(tag.payload.size, metadata().body.size());
}

TEST(MakeTag, DropsWhatSteersTheConnection) {
  for (const char* handler : {"|RtmpSampleAccess", "onStatus"}) {
    rtmp::event::Media media;
    rtmp::Buffer body = script_body(handler);
    media.type = rtmp::MessageType::kDataAmf0;
    media.payload.block.data = body.data();
    media.payload.size = body.size();
    EXPECT_FALSE(gstrtmp::make_tag(std::move(media), {})) << handler;
  }
}

// ---- StreamHeader ----

Message metadata_with(std::vector<rtmp::amf::Property> members) {
  rtmp::ScriptData data;
  data.handler = "onMetaData";
  data.arguments.push_back(rtmp::amf::Value::ecma_array(std::move(members)));
  Message message{rtmp::MessageType::kDataAmf0, 0, {}};
  rtmp::Builder out(message.body);
  EXPECT_TRUE(rtmp::write_script_data(out, data));
  return message;
}

bool note(StreamHeader& header, const Message& message) {
  return header.note(make(message, {}));
}

/// flags_of() are the kinds that the FLV header tells: 4 audio, 1 video.
int flags_of(const StreamHeader& header) {
  auto buffer = gstrtmp::adopt(header.file_header());
  gstrtmp::MappedBuffer mapped(buffer.get());
  EXPECT_EQ(mapped.bytes().size(), 13u);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_HEADER));
  return mapped.bytes()[4];
}

std::vector<rtmp::Buffer> stream_headers(const StreamHeader& header) {
  auto caps = header.caps();
  const GValue* array =
      gst_structure_get_value(gst_caps_get_structure(caps.get(), 0), "streamheader");
  std::vector<rtmp::Buffer> headers;
  for (guint i = 0; array != nullptr && i < gst_value_array_get_size(array); i++) {
    GstBuffer* buffer = gst_value_get_buffer(gst_value_array_get_value(array, i));
    gstrtmp::MappedBuffer mapped(buffer);
    headers.emplace_back(mapped.bytes().begin(), mapped.bytes().end());
  }
  return headers;
}

TEST(StreamHeader, MetadataTellsTheKinds) {
  struct Case {
    std::vector<rtmp::amf::Property> members;
    int flags;
  };
  const std::vector<Case> cases = {
      {{{"audiocodecid", 10}, {"videocodecid", 7}}, 5},
      {{{"videocodecid", 7}}, 1},
      {{{"audiocodecid", 10}}, 4},
      {{{"audiocodecid", "mp4a"}, {"videocodecid", "avc1"}}, 5},
      {{{"title", "x"}}, 0},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.flags);
    StreamHeader header;
    EXPECT_TRUE(note(header, metadata_with(one.members)));
    EXPECT_EQ(flags_of(header), one.flags);
    EXPECT_FALSE(header.announced()) << "nothing of it has come yet";
    if ((one.flags & 1) != 0) {
      note(header, video_header());
    }
    if ((one.flags & 4) != 0) {
      note(header, audio_header());
    }
    EXPECT_EQ(header.announced(), one.flags != 0);
  }
}

TEST(StreamHeader, ArrivalsTellTheKindsElse) {
  StreamHeader header;
  EXPECT_TRUE(note(header, video_frame(0)));
  EXPECT_FALSE(note(header, video_frame(1))) << "nothing new";
  EXPECT_EQ(flags_of(header), 1);
  EXPECT_FALSE(header.both_seen());
  EXPECT_TRUE(note(header, audio_frame(0)));
  EXPECT_EQ(flags_of(header), 5);
  EXPECT_TRUE(header.both_seen());
}

TEST(StreamHeader, CapsHoldWhatADecoderNeeds) {
  StreamHeader header;
  EXPECT_TRUE(note(header, audio_header()));
  EXPECT_TRUE(note(header, video_header()));
  EXPECT_TRUE(note(header, metadata()));
  note(header, video_frame(0));
  auto headers = stream_headers(header);
  ASSERT_EQ(headers.size(), 4u);
  EXPECT_EQ(headers[0], flv_file_header());
  EXPECT_EQ(headers[1], flv_tag(metadata()));
  EXPECT_EQ(headers[2], flv_tag(video_header()));
  EXPECT_EQ(headers[3], flv_tag(audio_header()));
}

TEST(StreamHeader, ChangesOnlyWithTheContent) {
  StreamHeader header;
  note(header, video_header());
  Message again = video_header();
  again.timestamp = 5000;
  EXPECT_FALSE(note(header, again));
  again.body.back() ^= 1;
  EXPECT_TRUE(note(header, again));
  again.timestamp = 0;
  EXPECT_EQ(stream_headers(header).back(), flv_tag(again));
}

TEST(StreamHeader, ReadsTheDuration) {
  StreamHeader header;
  EXPECT_FALSE(header.duration());
  note(header, metadata_with({{"duration", 12.5}}));
  EXPECT_EQ(header.duration(), 12'500 * GST_MSECOND);
  for (double nonsense : {0.0, -1.0, 1e300, std::nan("")}) {
    StreamHeader live;
    note(live, metadata_with({{"duration", nonsense}}));
    EXPECT_FALSE(live.duration()) << nonsense;
  }
}

TEST(StreamHeader, SurvivesBrokenMetadata) {
  Message broken = metadata();
  broken.body.resize(broken.body.size() - 5);
  StreamHeader header;
  note(header, broken);
  EXPECT_EQ(flags_of(header), 0);
}

// ---- write_tag ----

TEST(WriteTag, MakesTheTagAroundThePayload) {
  for (const Message& message : {video_frame(0), video_frame(1), audio_frame(3), video_header(),
                                 metadata(), Message{rtmp::MessageType::kAudio, 0, {}}}) {
    Tag tag = make(message, {});
    const uint8_t* payload = tag.payload.bytes().data();
    const bool header = tag.is_header();
    auto buffer = gstrtmp::adopt(gstrtmp::write_tag(std::move(tag), 0x1234567));
    EXPECT_EQ(gst_buffer_n_memory(buffer.get()), 1u);
    gstrtmp::MappedBuffer mapped(buffer.get());
    EXPECT_EQ(mapped.bytes().data() + rtmp::flv::kTagHeaderSize, payload) << "copied";
    Message stamped = message;
    stamped.timestamp = 0x1234567;
    EXPECT_EQ(rtmp::Buffer(mapped.bytes().begin(), mapped.bytes().end()), flv_tag(stamped));
    EXPECT_EQ(GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_HEADER), header);
    EXPECT_EQ(GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_DELTA_UNIT),
              message.type == rtmp::MessageType::kVideo && !header && !message.is_key_frame());
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gst_init(&argc, &argv);
  return RUN_ALL_TESTS();
}
