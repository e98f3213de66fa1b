// SPDX-License-Identifier: LGPL-2.1-or-later
#include <cstdlib>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "session/timestamps.h"

namespace rtmp {
namespace {

constexpr int64_t kRange = int64_t{1} << 32;

struct Sequence {
  const char* name;
  std::vector<uint32_t> wire;
  std::vector<int64_t> expected;
};

TEST(TimestampUnwrapper, Sequences) {
  const Sequence sequences[] = {
      {"the first is what it is", {0xFFFFFFFF}, {0xFFFFFFFF}},
      {"small steps back", {100, 80, 120, 119}, {100, 80, 120, 119}},
      {"a step back below 0", {5, 0xFFFFFFFE, 10}, {5, -2, 10}},
      {"across 2^32", {0xFFFFFFF0, 5, 30}, {0xFFFFFFF0, kRange + 5, kRange + 30}},
      {"across 2^32 out of order",
       {0xFFFFFFF0, 5, 0xFFFFFFFF, 30},
       {0xFFFFFFF0, kRange + 5, kRange - 1, kRange + 30}},
      {"twice across 2^32",
       {0xC0000000, 0x20000000, 0x80000000, 0xF0000000, 0x10000000},
       {0xC0000000, kRange + 0x20000000, kRange + 0x80000000LL, kRange + 0xF0000000LL,
        2 * kRange + 0x10000000}},
      {"2^31 - 1 ahead", {7, 7 + 0x7FFFFFFFu}, {7, 7 + 0x7FFFFFFFLL}},
      {"2^31 is a step back", {7, 7 + 0x80000000u}, {7, 7 - 0x80000000LL}},
      {"a stream that starts over", {3'600'000, 0, 40}, {3'600'000, 0, 40}},
      {"across 2^24 as it should be", {0xFFFFF0, 0x1000010}, {0xFFFFF0, 0x1000010}},
      {"a peer with 24 bits",
       {0xFFFFF0, 0x10, 0xFFFFFE, 0x20, 0x800000, 0xFFFFF0, 0x15},
       {0xFFFFF0, 0x1000010, 0xFFFFFE, 0x1000020, 0x1800000, 0x1FFFFF0, 0x2000015}},
      {"a peer with 31 bits",
       {0x7FFFFFF0, 0x10, 0x7FFFFFFE, 0x20},
       {0x7FFFFFF0, 0x80000010LL, 0x7FFFFFFE, 0x80000020LL}},
      {"what looked like 24 bits goes on beyond them",
       {0xFFFFF0, 0x10, 0xFFFFF0, 0x1000010},
       {0xFFFFF0, 0x1000010, 0xFFFFF0, 0x1000010}},
      {"starting over just before 2^24, but not just after 0",
       {0xFFFFF0, 20'000},
       {0xFFFFF0, 20'000}},
      {"starting over long before 2^24", {0xF00000, 10}, {0xF00000, 10}},
  };
  for (const Sequence& s : sequences) {
    SCOPED_TRACE(s.name);
    TimestampUnwrapper unwrapper;
    std::vector<int64_t> got;
    for (uint32_t wire : s.wire) {
      const int64_t peeked = unwrapper.peek(wire);
      got.push_back(unwrapper.unwrap(wire));
      if (got.size() == 1) {
        EXPECT_EQ(peeked, got.back());
      }
    }
    EXPECT_EQ(got, s.expected);
  }
}

TEST(TimestampUnwrapper, FollowsAClockForYears) {
  std::mt19937 random(7);
  TimestampUnwrapper unwrapper;
  int64_t time = 1000;
  for (int i = 0; i < 20'000; i++) {
    // Now and then a long gap, with audio and video either side of the clock.
    time += random() % 64 == 0 ? random() % 0x7FFF0000 : random() % 100;
    const int64_t stamp = time - random() % 40;
    ASSERT_EQ(unwrapper.unwrap(static_cast<uint32_t>(stamp)), stamp) << "step " << i;
  }
  EXPECT_GT(time, 10 * kRange);
}

TEST(TimestampUnwrapper, StartsOverBeforeNanosecondsOverflow) {
  // Backwards, the first step is across 2^31 either way.
  for (uint32_t step : {0x7FFFFFFFu, 0x80000001u}) {
    TimestampUnwrapper unwrapper;
    uint32_t wire = 0;
    int restarts = 0;
    int64_t before = 0;
    for (int i = 0; i < 10'000; i++) {
      wire += step;
      const int64_t time = unwrapper.unwrap(wire);
      ASSERT_LE(std::abs(time), int64_t{1} << 42) << i;
      ASSERT_LE(std::abs(unwrapper.peek(wire + step)), int64_t{1} << 43) << i;
      if (std::abs(time) < std::abs(before)) {
        EXPECT_EQ(time, wire);
        restarts++;
      }
      before = time;
    }
    EXPECT_GE(restarts, 4);
  }
}

TEST(TimestampUnwrapper, PeekRemembersNothing) {
  TimestampUnwrapper unwrapper;
  EXPECT_EQ(unwrapper.peek(0xFFFFFFFF), 0xFFFFFFFF);
  EXPECT_EQ(unwrapper.unwrap(7), 7);
  EXPECT_EQ(unwrapper.peek(0x7FFFFFFF), 0x7FFFFFFF);
  EXPECT_EQ(unwrapper.unwrap(0x80000007u), 7 - 0x80000000LL);
}

TEST(TimestampUnwrapper, PeekIsNeverFarAhead) {
  TimestampUnwrapper unwrapper;
  unwrapper.unwrap(3'000'000'000);
  EXPECT_EQ(unwrapper.peek(0), 0);
  EXPECT_EQ(unwrapper.peek(2'999'999'000), 2'999'999'000);
  EXPECT_EQ(unwrapper.peek(3'000'001'000), 3'000'001'000);
  unwrapper.unwrap(0xFFFFFF00);
  EXPECT_EQ(unwrapper.peek(0), kRange);  // just behind the wrap
  unwrapper.unwrap(1'000'000'000);
  unwrapper.unwrap(3'000'000'000);
  EXPECT_EQ(unwrapper.peek(0), kRange);
}

TEST(TimestampUnwrapper, ResetForgets) {
  TimestampUnwrapper unwrapper;
  unwrapper.unwrap(0xFFFFFFF0);
  unwrapper.unwrap(5);
  unwrapper.reset();
  EXPECT_EQ(unwrapper.unwrap(6), 6);
}

}  // namespace
}  // namespace rtmp
