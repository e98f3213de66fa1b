// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <deque>

#include <gst/gst.h>

namespace gstrtmp {

/// SenderClock follows the clock that stamped a live stream with the clock of the pipeline that
/// plays it, so that a difference between the two never adds up to late or piling frames.
///
/// A packet can be late on its way, but not early: so the smallest (arrival - sender time) of the
/// last kWindow is what the two clocks differ by. The correction, which is added to every time
/// stamp, moves towards the difference since the start by at most kMaxSlewPpm: far below what can
/// be seen or heard, and twice what crystals drift apart. Times in nanoseconds; no clock inside.
class SenderClock {
 public:
  static constexpr int64_t kWindow = 10 * GST_SECOND;
  static constexpr int64_t kMaxSlewPpm = 500;
  /// A sender that jumps by more than this, or whose packets do, has started anew.
  static constexpr int64_t kJump = 1 * GST_SECOND;

  struct Answer {
    int64_t time = 0;   ///< the sender's time, corrected
    bool jump = false;  ///< start over: this time has no relation to those before
  };

  /// observe() takes a packet's time stamp by the sender and its arrival by the pipeline.
  Answer observe(int64_t sender, int64_t arrival);
  /// correction() is what is added to the sender's time now.
  int64_t correction() const { return correction_; }
  /// reset() forgets everything; the next packet is the first.
  void reset() { *this = SenderClock(); }

 private:
  struct Sample {
    int64_t arrival;
    int64_t offset;
  };
  void start(int64_t sender, int64_t arrival);

  bool started_ = false;
  int64_t base_ = 0;        // arrival - sender that a correction of zero stands for
  int64_t correction_ = 0;  // what has been slewed so far
  int64_t last_arrival_ = 0;
  int64_t last_sender_ = 0;
  std::deque<Sample> window_;  // offsets rising from the front: the front is the window's minimum
};

}  // namespace gstrtmp
