// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/senderclock.h"

#include <algorithm>
#include <cstdlib>

namespace gstrtmp {

void SenderClock::start(int64_t sender, int64_t arrival) {
  reset();
  started_ = true;
  base_ = arrival - sender;
  last_arrival_ = arrival;
  last_sender_ = sender;
  window_.push_back({arrival, base_});
}

SenderClock::Answer SenderClock::observe(int64_t sender, int64_t arrival) {
  if (!started_) {
    start(sender, arrival);
    return {sender, false};
  }
  // The sender's own step tells a jump; a late packet does not, since its time stamp goes on as
  // before.
  if (std::llabs(sender - last_sender_) > kJump &&
      std::llabs((sender - last_sender_) - (arrival - last_arrival_)) > kJump) {
    start(sender, arrival);
    return {sender, true};
  }
  last_sender_ = sender;

  const int64_t offset = arrival - sender;
  while (!window_.empty() && window_.back().offset >= offset) {
    window_.pop_back();
  }
  window_.push_back({arrival, offset});
  while (window_.front().arrival < arrival - kWindow) {
    window_.pop_front();
  }

  const int64_t elapsed = std::max<int64_t>(0, arrival - last_arrival_);
  last_arrival_ = std::max(last_arrival_, arrival);
  const int64_t reach = elapsed * kMaxSlewPpm / 1'000'000;
  const int64_t wanted = window_.front().offset - base_;
  correction_ += std::clamp(wanted - correction_, -reach, reach);
  return {sender + correction_, false};
}

}  // namespace gstrtmp
