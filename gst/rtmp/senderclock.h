// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include <gst/gst.h>

namespace gstrtmp {

/// SenderClock follows the clock that stamped a live stream with the clock of the pipeline that
/// plays it, so that a difference between the two never adds up to late or piling frames.
///
/// A packet can be late on its way, but not early: so the smallest (arrival - sender time) of the
/// last kWindow is what the two clocks differ by. The correction, which is added to every time
/// stamp, moves towards the change of that difference by at most kMaxSlewPpm: far below what can be
/// seen or heard, and more than crystals drift apart. Differences within kSlack are left alone, so
/// that a stream whose sender has the same clock keeps its time stamps to the millisecond.
/// Times in nanoseconds; no clock inside.
class SenderClock {
 public:
  static constexpr int64_t kWindow = 10 * GST_SECOND;
  static constexpr int64_t kMaxSlewPpm = 500;
  static constexpr int64_t kSlack = 8 * GST_MSECOND;
  static constexpr int64_t kJump = 1 * GST_SECOND;
  /// A stream that is later than kJump for so long will not catch up.
  static constexpr int64_t kLateForGood = 3 * GST_SECOND;

  enum class Sight : uint8_t {
    kSteady,
    /// The time stamps jumped by more than kJump: nothing was changed, start() anew.
    kSenderJumped,
    /// The stamps go on, but all packets come more than kJump sooner or later than they did:
    /// edge() tells the new difference.
    kEdgeMoved,
  };

  /// start() takes the first packet after a beginning or a jump. A correction of zero shall stand
  /// for a difference of `base`; the correction stays as it is.
  void start(int64_t sender, int64_t arrival, int64_t base);
  /// observe() takes a packet's time stamp by the sender and its arrival by the pipeline. With
  /// `correct` false the correction stays as it is.
  Sight observe(int64_t sender, int64_t arrival, bool correct = true);
  /// correction() is what is to be added to the sender's time now.
  int64_t correction() const { return correction_; }
  /// edge() is the smallest difference in the window; after kEdgeMoved, the one seen since.
  int64_t edge() const { return window_.front().difference; }
  /// set_base() makes `base` the difference that a correction of zero stands for.
  void set_base(int64_t base) { base_ = base; }

 private:
  struct Sample {
    int64_t arrival;
    int64_t difference;
  };
  void note(Sample sample);
  void slew(int64_t elapsed);
  bool edge_moved(Sample sample);

  int64_t base_ = 0;
  int64_t correction_ = 0;
  bool slewing_ = false;
  int64_t last_arrival_ = 0;
  int64_t last_sender_ = 0;
  // Differences rising from the front, which is the window's smallest.
  std::deque<Sample> window_;
  // Since when all packets are late, and the least late of them.
  std::optional<int64_t> late_since_;
  Sample least_late_{};
};

}  // namespace gstrtmp
