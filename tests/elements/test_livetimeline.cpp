// SPDX-License-Identifier: LGPL-2.1-or-later
// The time line of a live stream: the sender's clock, and the segments made of it.
#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include <gst/gst.h>
#include <gtest/gtest.h>

#include "rtmp/livetimeline.h"
#include "rtmp/senderclock.h"
#include "sender_simulation.h"

namespace {

using gstrtmp::LiveTimeline;
using gstrtmp::SenderClock;

using gstrtmp::testing::kMs;
using gstrtmp::testing::kPath;
using gstrtmp::testing::kSecond;
using gstrtmp::testing::simulate;

// ---- SenderClock ----

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

/// place_all() places a packet each 40 ms, which come when they are due, and answers the last.
LiveTimeline::Place place_all(LiveTimeline& timeline, int64_t first_ms, int64_t arrival,
                              int count) {
  LiveTimeline::Place last;
  for (int i = 0; i < count; i++) {
    last = timeline.place(first_ms + i * 40, arrival + i * 40 * kMs);
  }
  return last;
}

TEST(LiveTimeline, SameSenderKeepsItsNumbersAfterALoss) {
  LiveTimeline timeline;
  EXPECT_FALSE(timeline.has_time());
  timeline.begin(50'000, kSecond, kSecond - 50 * kSecond);
  place_all(timeline, 50'000, kSecond, 26);
  timeline.lose();
  EXPECT_FALSE(timeline.begun());
  EXPECT_TRUE(timeline.has_time());
  EXPECT_EQ(timeline.header_time_ms(), 51'000);
  // Five seconds later, by a path that is 100 ms longer.
  timeline.begin(56'000, 7100 * kMs, 7100 * kMs - 56 * kSecond);
  auto place = timeline.place(56'000, 7100 * kMs);
  EXPECT_EQ(place.time_ms, 56'000);
  EXPECT_FALSE(place.past);
  ASSERT_TRUE(place.segment);
  EXPECT_EQ(running(*place.segment, place.time_ms), 7100 * kMs);
}

TEST(LiveTimeline, AnotherSendersNumbersGoOnAfterALoss) {
  for (int64_t first : {int64_t{0}, int64_t{3'600'000}}) {
    SCOPED_TRACE(first);
    LiveTimeline timeline;
    timeline.begin(50'000, kSecond, kSecond - 50 * kSecond);
    place_all(timeline, 50'000, kSecond, 26);
    timeline.lose();
    timeline.lose();  // the attempts in between came to nothing
    timeline.begin(first, 7 * kSecond, 7 * kSecond - first * kMs);
    auto place = timeline.place(first, 7 * kSecond);
    EXPECT_EQ(place.time_ms, 56'000) << "by as much as time has passed";
    EXPECT_EQ(running(timeline.mapping(), place.time_ms), 7 * kSecond);
    place = place_all(timeline, first + 40, 7040 * kMs, 100);
    EXPECT_EQ(place.time_ms, 60'000);
    EXPECT_FALSE(place.jump);
  }
}

TEST(LiveTimeline, WhatIsSentAgainAfterALossIsPast) {
  LiveTimeline timeline;
  timeline.begin(50'000, kSecond, kSecond - 50 * kSecond);
  auto place = place_all(timeline, 50'000, kSecond, 51);
  EXPECT_FALSE(place.past);
  EXPECT_EQ(place.time_ms, 52'000);
  timeline.place(51'990, 3 * kSecond);  // another track, a little behind
  timeline.lose();
  // Half a second later all comes again since 50.4 s; 52.5 s is live.
  const int64_t arrival = 3500 * kMs;
  timeline.begin(50'400, arrival, arrival - 52'500 * kMs);
  for (int64_t ms = 50'400; ms <= 52'000; ms += 40) {
    place = timeline.place(ms, arrival);
    EXPECT_EQ(place.time_ms, 52'000) << ms;
    EXPECT_TRUE(place.past) << ms;
  }
  place = timeline.place(52'040, arrival);
  EXPECT_EQ(place.time_ms, 52'040);
  EXPECT_FALSE(place.past);
  EXPECT_FALSE(place.jump);
  EXPECT_EQ(running(timeline.mapping(), 52'500), arrival);
}

TEST(LiveTimeline, SenderModeRewritesNothingAfterALoss) {
  LiveTimeline timeline(false);
  timeline.begin(50'000, kSecond, kSecond - 50 * kSecond);
  place_all(timeline, 50'000, kSecond, 26);
  timeline.lose();
  timeline.begin(0, 7 * kSecond, 7 * kSecond);
  auto place = timeline.place(0, 7 * kSecond);
  EXPECT_EQ(place.time_ms, 0);
  EXPECT_FALSE(place.past);
  EXPECT_EQ(running(timeline.mapping(), 0), 7 * kSecond);
}

}  // namespace
