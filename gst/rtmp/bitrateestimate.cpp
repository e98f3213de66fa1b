// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/bitrateestimate.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace gstrtmp {
namespace {

// Below what gets through, so that what waits drains.
constexpr double kBelow = 0.85;
// Each second without congestion; slower where it was congested last.
constexpr double kRaise = 1.08;
constexpr double kRaiseNearCeiling = 1.02;
constexpr double kNear = 0.9;
constexpr rtmp::Duration kRaiseInterval = std::chrono::seconds(1);
// An estimate that is not made use of says nothing about the way.
constexpr double kUsed = 0.7;
constexpr uint64_t kStall = 8;
constexpr double kWorthTelling = 0.02;

}  // namespace

uint64_t BitrateEstimate::bounded(double value) const {
  const uint64_t most = most_ > 0 ? most_ : std::numeric_limits<uint64_t>::max() / 2;
  return std::clamp(static_cast<uint64_t>(value), std::min(least_, most), most);
}

void BitrateEstimate::measure(uint64_t delivered, rtmp::Time now) {
  if (!samples_.empty() && now - samples_.back().at >= kWindow) {
    samples_.clear();  // a pause is no measure
  }
  samples_.push_back({now, delivered});
  while (samples_.size() > 2 && now - samples_[1].at >= kWindow) {
    samples_.pop_front();
  }
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(now - samples_.front().at).count();
  if (us > 0) {
    const uint64_t octets = delivered - std::min(delivered, samples_.front().delivered);
    rate_ = octets * 8 * 1'000'000 / static_cast<uint64_t>(us);
  }
}

std::optional<uint64_t> BitrateEstimate::update(uint64_t delivered, rtmp::Duration age,
                                                rtmp::Time now) {
  measure(delivered, now);
  if (now - samples_.front().at < kWindow) {
    return std::nullopt;
  }
  if (age >= kCongested) {
    if (!congested_ || now - *congested_ >= kReaction) {
      ceiling_ = rate_;
      double below = static_cast<double>(rate_) * kBelow;
      if (rate_ < value_ / kStall) {
        below = static_cast<double>(value_) / 2;  // nothing gets there: that is no measure
      }
      // What is on its way may still be the old rate: a second look may only lower it.
      value_ = bounded(value_ > 0 ? std::min(static_cast<double>(value_), below) : below);
      congested_ = now;
    }
  } else if (value_ == 0) {
    value_ = bounded(static_cast<double>(rate_));
    raised_ = now;
  } else if (age <= kFree && (!congested_ || now - *congested_ >= kCalm) &&
             (!raised_ || now - *raised_ >= kRaiseInterval) &&
             static_cast<double>(rate_) >= static_cast<double>(value_) * kUsed) {
    const auto value = static_cast<double>(value_);
    const auto ceiling = static_cast<double>(ceiling_.value_or(0));
    const bool near = value >= ceiling * kNear && value <= ceiling / kNear;
    value_ = bounded(static_cast<double>(value_) * (near ? kRaiseNearCeiling : kRaise));
    raised_ = now;
  }
  const double change = static_cast<double>(value_) - static_cast<double>(told_);
  if (std::max(change, -change) < static_cast<double>(told_) * kWorthTelling || value_ == told_) {
    return std::nullopt;
  }
  told_ = value_;
  return value_;
}

}  // namespace gstrtmp
