// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/liveedge.h"

#include <algorithm>

namespace gstrtmp {

void LiveEdge::arrived(int64_t timestamp_ms, rtmp::Time now) {
  last_arrival_ = now;
  latest_ms_ = mark_ ? std::max(latest_ms_, timestamp_ms) : timestamp_ms;
  if (mark_ && now - mark_->arrival < kLook) {
    return;
  }
  if (mark_) {
    // A burst is many times faster; a sender that comes in pairs of packets is not twice as fast.
    in_step_ =
        std::chrono::milliseconds(latest_ms_ - mark_->media_ms) <= 2 * (now - mark_->arrival);
  }
  mark_ = Mark{latest_ms_, now};
}

bool LiveEdge::reached(rtmp::Time now) const {
  return mark_ && (in_step_ || now - last_arrival_ >= kGap);
}

}  // namespace gstrtmp
