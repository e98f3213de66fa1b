// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/senderclock.h"

#include <algorithm>
#include <cstdlib>

namespace gstrtmp {
namespace {

/// A slew that has begun goes on until so little is left.
constexpr int64_t kSettled = 1 * GST_MSECOND;

}  // namespace

void SenderClock::start(int64_t sender, int64_t arrival, int64_t base) {
  base_ = base;
  slewing_ = false;
  last_arrival_ = arrival;
  last_sender_ = sender;
  late_since_.reset();
  window_.assign(1, {arrival, base + correction_});
}

SenderClock::Sight SenderClock::observe(int64_t sender, int64_t arrival, bool correct) {
  // A packet that is merely late has a time stamp next to the one before.
  const int64_t step = sender - last_sender_;
  if (std::llabs(step) > kJump && std::llabs(step - (arrival - last_arrival_)) > kJump) {
    return Sight::kSenderJumped;
  }
  const int64_t elapsed = std::max<int64_t>(0, arrival - last_arrival_);
  last_sender_ = sender;
  last_arrival_ = std::max(last_arrival_, arrival);
  const Sample sample{arrival, arrival - sender};
  note(sample);
  if (edge_moved(sample)) {
    return Sight::kEdgeMoved;
  }
  if (correct) {
    slew(elapsed);
  }
  return Sight::kSteady;
}

void SenderClock::note(Sample sample) {
  while (!window_.empty() && window_.back().difference >= sample.difference) {
    window_.pop_back();
  }
  window_.push_back(sample);
  while (window_.front().arrival < sample.arrival - kWindow) {
    window_.pop_front();
  }
}

void SenderClock::slew(int64_t elapsed) {
  const int64_t left = edge() - base_ - correction_;
  slewing_ = std::llabs(left) > (slewing_ ? kSettled : kSlack);
  if (slewing_) {
    const int64_t reach = elapsed * kMaxSlewPpm / 1'000'000;
    correction_ += std::clamp(left, -reach, reach);
  }
}

bool SenderClock::edge_moved(Sample sample) {
  const int64_t late = sample.difference - (base_ + correction_);
  if (late <= kJump) {
    late_since_.reset();
    return late < -kJump;  // and the window's front is this packet
  }
  if (!late_since_ || sample.difference < least_late_.difference) {
    least_late_ = sample;
  }
  late_since_ = late_since_.value_or(sample.arrival);
  if (sample.arrival - *late_since_ < kLateForGood) {
    return false;
  }
  late_since_.reset();
  window_.assign(1, least_late_);
  return true;
}

}  // namespace gstrtmp
