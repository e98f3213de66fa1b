// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "session/time.h"

namespace gstrtmp {

/// BitrateEstimate tells what the way to the server carries, from what has got there and from how
/// old the media is that waits: down fast, up carefully. Bits a second, of everything that is sent.
///
/// While nothing waits only a lower bound is known, so the estimate grows only while it is used.
/// What waits longer than kCongested shows that the way carries no more than what gets there: the
/// estimate falls below that, so that the queue drains. No effects.
class BitrateEstimate {
 public:
  static constexpr rtmp::Duration kCongested = std::chrono::milliseconds(300);
  static constexpr rtmp::Duration kFree = std::chrono::milliseconds(150);
  /// What is measured over.
  static constexpr rtmp::Duration kWindow = std::chrono::seconds(1);
  /// An encoder needs so long to show that it has been told.
  static constexpr rtmp::Duration kReaction = std::chrono::seconds(1);
  /// After congestion nothing is tried for so long.
  static constexpr rtmp::Duration kCalm = std::chrono::seconds(4);

  /// The bounds of what is answered; `most` 0 = none. `first` is what is known already; 0 =
  /// nothing.
  BitrateEstimate(uint64_t least, uint64_t most, uint64_t first = 0)
      : least_(least), most_(most), value_(first), told_(first) {}

  /// update() is for every 50 to 250 ms: `delivered` octets have got there in all, and the oldest
  /// media that has not is `age` old. Answers the estimate if it has changed by 2 percent or more.
  std::optional<uint64_t> update(uint64_t delivered, rtmp::Duration age, rtmp::Time now);
  /// value() is the estimate; 0 = unknown.
  uint64_t value() const { return value_; }
  /// limited() is true once media had to wait: until then the estimate is only what was sent.
  bool limited() const { return ceiling_.has_value(); }

 private:
  struct Sample {
    rtmp::Time at;
    uint64_t delivered;
  };

  uint64_t bounded(double value) const;
  void measure(uint64_t delivered, rtmp::Time now);

  const uint64_t least_;
  const uint64_t most_;
  std::deque<Sample> samples_;
  uint64_t rate_ = 0;
  uint64_t value_;
  uint64_t told_;
  std::optional<uint64_t> ceiling_;  // the rate at which it was congested last
  std::optional<rtmp::Time> congested_;
  std::optional<rtmp::Time> raised_;
};

}  // namespace gstrtmp
