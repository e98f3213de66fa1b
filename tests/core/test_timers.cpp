// SPDX-License-Identifier: LGPL-2.1-or-later
#include <chrono>

#include <gtest/gtest.h>

#include "session/time.h"

namespace rtmp {
namespace {

using std::chrono::seconds;

enum class Id { kFirst, kSecond, kThird, kCount };

const Time kStart{};

TEST(Timers, NextIsTheEarliest) {
  Timers<Id> timers;
  EXPECT_FALSE(timers.next());
  timers.set(Id::kSecond, kStart + seconds(5));
  timers.set(Id::kThird, kStart + seconds(3));
  EXPECT_EQ(timers.next(), kStart + seconds(3));
  timers.set(Id::kThird, kStart + seconds(9));
  EXPECT_EQ(timers.next(), kStart + seconds(5));
  EXPECT_TRUE(timers.is_set(Id::kThird));
  timers.stop(Id::kSecond);
  EXPECT_EQ(timers.next(), kStart + seconds(9));
  timers.stop_all();
  EXPECT_FALSE(timers.next());
}

TEST(Timers, ExpireNamesEachOnce) {
  Timers<Id> timers;
  timers.set(Id::kThird, kStart + seconds(1));
  timers.set(Id::kFirst, kStart + seconds(2));
  timers.set(Id::kSecond, kStart + seconds(4));
  EXPECT_FALSE(timers.expire(kStart));
  EXPECT_EQ(timers.expire(kStart + seconds(2)), Id::kFirst);
  EXPECT_EQ(timers.expire(kStart + seconds(2)), Id::kThird);
  EXPECT_FALSE(timers.expire(kStart + seconds(3)));
  EXPECT_FALSE(timers.is_set(Id::kFirst));
  EXPECT_EQ(timers.expire(kStart + seconds(4)), Id::kSecond);
  EXPECT_FALSE(timers.next());
}

}  // namespace
}  // namespace rtmp
