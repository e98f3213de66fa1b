// SPDX-License-Identifier: LGPL-2.1-or-later
// When a lost connection is tried again, and when not: without any connection.
#include <chrono>

#include <gtest/gtest.h>

#include "rtmp/reconnector.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;

Failure failure(FailureKind kind, Role role = Role::kSink) {
  Failure made;
  made.kind = kind;
  made.role = role;
  return made;
}

ReconnectSettings enabled() {
  ReconnectSettings settings;
  settings.enabled = true;
  return settings;
}

constexpr rtmp::Time kStart = rtmp::Time(1000s);

TEST(Reconnector, DoesNothingUnlessItIsEnabled) {
  Reconnector reconnector({});
  reconnector.on_running(kStart);
  EXPECT_FALSE(reconnector.on_end(failure(FailureKind::kClosed), kStart + 60s));
}

TEST(Reconnector, TriesAtOnceThenWaitsTwiceAsLongEachTime) {
  Reconnector reconnector(enabled(), [] { return 0.0; });
  reconnector.on_running(kStart);
  rtmp::Time now = kStart + 60s;
  EXPECT_EQ(reconnector.on_end(failure(FailureKind::kClosed), now), 0ms);
  EXPECT_EQ(reconnector.attempt(), 1u);
  rtmp::Duration expected = 500ms;
  for (int i = 0; i < 12; i++) {
    EXPECT_EQ(reconnector.on_end(failure(FailureKind::kRefused), now), expected) << i;
    expected = std::min<rtmp::Duration>(expected * 2, 5s);
  }
  EXPECT_EQ(reconnector.attempt(), 13u);
}

TEST(Reconnector, AddsSomeChanceWithinTheBounds) {
  Reconnector reconnector(enabled(), [] { return 0.99; });
  reconnector.on_running(kStart);
  const rtmp::Time now = kStart + 60s;
  (void)reconnector.on_end(failure(FailureKind::kClosed), now);
  const auto first = reconnector.on_end(failure(FailureKind::kRefused), now);
  ASSERT_TRUE(first);
  EXPECT_GT(*first, 700ms);
  EXPECT_LT(*first, 750ms);
  rtmp::Duration last{};
  for (int i = 0; i < 100; i++) {
    last = *reconnector.on_end(failure(FailureKind::kRefused), now);
    EXPECT_LE(last, 5s);
  }
  EXPECT_LT(last, 4s) << "and some chance at the bound as well";
}

TEST(Reconnector, AServerThatAcceptsAndHangsUpMakesNoStorm) {
  Reconnector reconnector(enabled(), [] { return 0.0; });
  rtmp::Time now = kStart;
  rtmp::Duration waited{};
  for (int i = 0; i < 20; i++) {
    reconnector.on_running(now);
    now += 1s;
    const auto delay = reconnector.on_end(failure(FailureKind::kClosed), now);
    ASSERT_TRUE(delay);
    EXPECT_TRUE(*delay >= 500ms || i == 0) << i;
    waited += *delay;
    now += *delay;
  }
  EXPECT_GT(waited, 1min);
}

TEST(Reconnector, AConnectionThatHeldEndsTheSeries) {
  Reconnector reconnector(enabled(), [] { return 0.0; });
  rtmp::Time now = kStart;
  reconnector.on_running(now);
  for (int i = 0; i < 5; i++) {
    (void)reconnector.on_end(failure(FailureKind::kRefused), now);
  }
  reconnector.on_running(now);
  EXPECT_EQ(reconnector.attempt(), 0u);
  EXPECT_EQ(reconnector.on_end(failure(FailureKind::kClosed), now + 11s), 0ms);
}

TEST(Reconnector, NeverTriesRefusedCredentialsAgain) {
  Reconnector reconnector(enabled());
  EXPECT_FALSE(reconnector.on_end(failure(FailureKind::kUnauthorized), kStart));
  reconnector.on_running(kStart);
  EXPECT_FALSE(reconnector.on_end(failure(FailureKind::kUnauthorized), kStart + 60s));
}

TEST(Reconnector, WaitsForAServerThatIsNotThereYet) {
  for (FailureKind kind : {FailureKind::kRefused, FailureKind::kUnknownHost,
                           FailureKind::kUnreachable, FailureKind::kTimeout}) {
    Reconnector reconnector(enabled(), [] { return 0.0; });
    EXPECT_EQ(reconnector.on_end(failure(kind), kStart), 500ms);
  }
}

TEST(Reconnector, ARefusalIsFinalAtFirstAndNotAfterALoss) {
  for (FailureKind kind : {FailureKind::kConnectRejected, FailureKind::kStreamRejected,
                           FailureKind::kNotRtmp, FailureKind::kTls, FailureKind::kClosedEarly}) {
    Reconnector first(enabled());
    EXPECT_FALSE(first.on_end(failure(kind), kStart));
    Reconnector later(enabled());
    later.on_running(kStart);
    EXPECT_TRUE(later.on_end(failure(kind), kStart + 60s));
  }
}

TEST(Reconnector, ANameInUseIsOurOwnGhostForAWhile) {
  Reconnector first(enabled());
  EXPECT_FALSE(first.on_end(failure(FailureKind::kBadName), kStart));

  Reconnector later(enabled());
  later.on_running(kStart);
  const rtmp::Time lost = kStart + 60s;
  EXPECT_TRUE(later.on_end(failure(FailureKind::kClosed), lost));
  for (rtmp::Duration since = 0s; since < 120s; since += 3s) {
    const auto delay = later.on_end(failure(FailureKind::kBadName), lost + since);
    ASSERT_TRUE(delay) << since.count();
    EXPECT_LE(*delay, Reconnector::kGhostDelay);
  }
  EXPECT_FALSE(later.on_end(failure(FailureKind::kBadName), lost + 121s));
}

TEST(Reconnector, ASourceWaitsForAStreamThatNobodyPublishesYet) {
  Reconnector source(enabled());
  EXPECT_TRUE(source.on_end(failure(FailureKind::kNotFound, Role::kSource), kStart));
}

TEST(Reconnector, GivesUpWhenToldTo) {
  ReconnectSettings settings = enabled();
  settings.timeout_seconds = 10;
  Reconnector reconnector(settings);
  reconnector.on_running(kStart);
  const rtmp::Time lost = kStart + 1h;
  EXPECT_TRUE(reconnector.on_end(failure(FailureKind::kClosed), lost));
  EXPECT_TRUE(reconnector.on_end(failure(FailureKind::kRefused), lost + 9s));
  EXPECT_EQ(reconnector.gives_up_at(), lost + 10s);
  EXPECT_FALSE(reconnector.on_end(failure(FailureKind::kRefused), lost + 10s));
}

TEST(Reconnector, NeverGivesUpUnlessToldTo) {
  Reconnector reconnector(enabled());
  EXPECT_TRUE(reconnector.on_end(failure(FailureKind::kRefused), kStart));
  EXPECT_FALSE(reconnector.gives_up_at());
  EXPECT_TRUE(reconnector.on_end(failure(FailureKind::kRefused), kStart + 10000h));
}

TEST(Reconnector, WhoeverIsLetInButGetsNothingIsStillWithoutAStream) {
  ReconnectSettings settings = enabled();
  settings.timeout_seconds = 10;
  Reconnector reconnector(settings);
  EXPECT_FALSE(reconnector.gives_up_at());
  reconnector.on_running(kStart);
  EXPECT_TRUE(reconnector.on_end(failure(FailureKind::kClosed), kStart + 60s));
  reconnector.on_accepted();
  EXPECT_EQ(reconnector.gives_up_at(), kStart + 70s);
  EXPECT_GE(reconnector.on_end(failure(FailureKind::kClosed), kStart + 61s), 500ms);
  EXPECT_EQ(reconnector.attempt(), 2u);
  reconnector.on_running(kStart + 62s);
  EXPECT_FALSE(reconnector.gives_up_at());
}

TEST(Reconnector, WhatAServerRefusesOnceItLetUsInIsNotForGood) {
  Reconnector stranger(enabled());
  EXPECT_FALSE(stranger.on_end(failure(FailureKind::kConnectRejected), kStart));
  Reconnector known(enabled());
  known.on_accepted();
  EXPECT_TRUE(known.on_end(failure(FailureKind::kConnectRejected), kStart));
}

TEST(Reconnector, IsInNoHurryWhenThePublisherLeft) {
  Reconnector reconnector(enabled(), [] { return 0.0; });
  reconnector.on_running(kStart);
  EXPECT_EQ(reconnector.on_end(failure(FailureKind::kUnpublished), kStart + 60s), 500ms);
}

TEST(Reconnector, BoundsThatContradictEachOtherAreNoTrap) {
  ReconnectSettings settings = enabled();
  settings.min_delay_ms = 5000;
  settings.max_delay_ms = 100;
  Reconnector reconnector(settings);
  EXPECT_EQ(reconnector.on_end(failure(FailureKind::kRefused), kStart), 100ms);
}

}  // namespace
}  // namespace gstrtmp
