// SPDX-License-Identifier: LGPL-2.1-or-later
// What the way to the server carries, as told from what gets there: a simulated link and an encoder
// that obeys.
#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>

#include "rtmp/bitrateestimate.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;

/// Simulation is an encoder that sends `wanted` bits a second into a link that carries `capacity`.
class Simulation {
 public:
  explicit Simulation(BitrateEstimate& estimate) : estimate_(estimate) {}
  void run(rtmp::Duration time, double capacity, bool obeys = true, double wanted = 0) {
    wanted_ = wanted > 0 ? wanted : wanted_;
    for (rtmp::Duration step = 50ms; time > 0ms; time -= step) {
      now_ += step;
      const double seconds = 0.05;
      queued_ += wanted_ * seconds;
      const double sent = std::min(queued_, capacity * seconds);
      queued_ -= sent;
      delivered_ += sent / 8;
      const double age = capacity > 0 ? queued_ / capacity : 10;
      worst_age_ = std::max(worst_age_, age);
      const auto told =
          estimate_.update(static_cast<uint64_t>(delivered_),
                           std::chrono::milliseconds(static_cast<int64_t>(age * 1000)), now_);
      if (told && obeys) {
        wanted_ = std::min(static_cast<double>(*told), most_);
      }
    }
  }
  double wanted() const { return wanted_; }
  double queued_seconds(double capacity) const { return queued_ / capacity; }

 private:
  BitrateEstimate& estimate_;
  rtmp::Time now_ = rtmp::Time(1000s);
  double wanted_ = 5e6;
  double most_ = 5e6;
  double queued_ = 0;
  double delivered_ = 0;
  double worst_age_ = 0;
};

TEST(BitrateEstimate, IsUnknownAtFirst) {
  BitrateEstimate estimate(0, 0);
  EXPECT_EQ(estimate.value(), 0u);
  EXPECT_FALSE(estimate.update(0, 0ms, rtmp::Time(1s)));
}

TEST(BitrateEstimate, FollowsALinkDownFastAndUpCarefully) {
  BitrateEstimate estimate(300'000, 5'000'000);
  Simulation link(estimate);
  link.run(10s, 6e6);
  EXPECT_NEAR(link.wanted(), 5e6, 1e5) << "the link carries it all";
  link.run(4s, 1.5e6);
  EXPECT_LT(link.wanted(), 1.5e6) << "down within seconds";
  link.run(16s, 1.5e6);
  EXPECT_LT(link.queued_seconds(1.5e6), 0.5) << "and what waited has drained";
  EXPECT_GT(link.wanted(), 0.9e6) << "but not for nothing";
  link.run(5s, 4e6);
  EXPECT_LT(link.wanted(), 2.5e6) << "up carefully";
  link.run(40s, 4e6);
  EXPECT_GT(link.wanted(), 2.8e6);
  EXPECT_LT(link.queued_seconds(4e6), 0.5);
}

TEST(BitrateEstimate, DoesNotGrowUnlessItIsUsed) {
  BitrateEstimate estimate(0, 0);
  Simulation link(estimate);
  link.run(60s, 100e6, false, 1e6);
  EXPECT_LT(estimate.value(), 1'600'000u);
}

TEST(BitrateEstimate, KeepsItsBounds) {
  BitrateEstimate estimate(500'000, 2'000'000);
  Simulation link(estimate);
  link.run(30s, 100e6, false, 5e6);
  EXPECT_EQ(estimate.value(), 2'000'000u);
  link.run(30s, 50e3, false, 5e6);
  EXPECT_EQ(estimate.value(), 500'000u);
}

TEST(BitrateEstimate, APauseIsNoMeasure) {
  BitrateEstimate estimate(0, 0);
  uint64_t delivered = 0;
  rtmp::Time now(1000s);
  for (int i = 0; i < 100; i++) {
    now += 50ms;
    delivered += 12500;  // 2 Mbit/s
    estimate.update(delivered, 0ms, now);
  }
  const uint64_t before = estimate.value();
  EXPECT_GT(before, 1'900'000u);
  now += 20s;
  estimate.update(delivered, 350ms, now);  // a large first key frame
  EXPECT_EQ(estimate.value(), before);
}

TEST(BitrateEstimate, AShortStallIsNoMeasureEither) {
  BitrateEstimate estimate(0, 5'000'000);
  Simulation link(estimate);
  link.run(10s, 6e6);
  link.run(1500ms, 0);
  EXPECT_GT(estimate.value(), 1'000'000u) << "and not nothing";
}

TEST(BitrateEstimate, BeginsWithWhatIsKnown) {
  BitrateEstimate estimate(0, 0, 3'000'000);
  EXPECT_EQ(estimate.value(), 3'000'000u);
}

TEST(BitrateEstimate, ALinkThatIsCutLeavesTheLeast) {
  BitrateEstimate estimate(100'000, 0);
  Simulation link(estimate);
  link.run(5s, 10e6);
  link.run(10s, 0);
  EXPECT_EQ(estimate.value(), 100'000u);
  link.run(120s, 10e6);
  EXPECT_GT(estimate.value(), 1'000'000u) << "and it comes back";
}

}  // namespace
}  // namespace gstrtmp
