// SPDX-License-Identifier: LGPL-2.1-or-later
// When a live stream that begins with a burst has reached the present.
#include "rtmp/liveedge.h"
#include "tag_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::LiveEdge;

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

}  // namespace
