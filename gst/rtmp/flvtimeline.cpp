// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvtimeline.h"

#include <algorithm>
#include <cstdlib>

namespace gstrtmp {

TagTime TrackClock::place(std::optional<int64_t> dts_ns, std::optional<int64_t> pts_ns,
                          int64_t shift_ms, int64_t earliest) {
  constexpr int64_t kMaxComposition = 0x7FFFFF;
  const std::optional<int64_t> decode = dts_ns ? dts_ns : pts_ns;
  // Nothing before the shift's zero can be told, so a track that starts below it is held there.
  const int64_t floor = std::max({int64_t{0}, last_.value_or(0), earliest});
  const int64_t wanted = decode ? floor_ms(*decode) + shift_ms : floor;
  TagTime time;
  time.dts = std::max(wanted, floor);
  if (time.dts != wanted) {
    rewritten_++;
  }
  const int64_t present = pts_ns ? floor_ms(*pts_ns) + shift_ms : time.dts;
  time.composition =
      static_cast<int32_t>(std::clamp(present - time.dts, -kMaxComposition - 1, kMaxComposition));
  if (pts_ns && time.composition == present - time.dts) {
    time.nanoseconds = static_cast<uint32_t>(*pts_ns - floor_ms(*pts_ns) * kNsPerMs);
  }
  last_ = time.dts;
  return time;
}

int64_t TimestampUnwrapper::unwrap(uint32_t timestamp) {
  int64_t time = timestamp;
  if (last_) {
    const int64_t raw_last = *last_ - offset_;
    time = raw_last + static_cast<int32_t>(timestamp - static_cast<uint32_t>(raw_last));
    if (restarted_ && time < raw_last) {
      time = timestamp;
      offset_ = *last_ - time;
    }
  }
  restarted_ = false;
  last_ = time + offset_;
  return *last_;
}

bool LeapGuard::believes(int64_t time) {
  constexpr int64_t kLeap = 10'000;
  const bool leaps = last_ && time > *last_ + kLeap;
  if (leaps && !(leap_ && std::abs(time - *leap_) < kLeap)) {
    leap_ = time;
    return false;
  }
  leap_.reset();
  last_ = std::max(last_.value_or(time), time);
  return true;
}

int64_t StreamTime::unwrap(uint32_t timestamp) {
  constexpr int32_t kStepBack = -2000;
  restarted_ = false;
  const auto back = [timestamp](const std::optional<uint32_t>& from) {
    return from && static_cast<int32_t>(timestamp - *from) < kStepBack;
  };
  const bool undo = raw_.unconfirmed && raw_.before && !back(raw_.before) &&
                    static_cast<int32_t>(timestamp - *raw_.before) < -kStepBack;
  if (undo) {
    time_ = *raw_.unconfirmed;
    raw_.last = raw_.before;
  }
  raw_.unconfirmed.reset();
  if (!undo && continues_ && back(raw_.last) && back(raw_.before)) {
    raw_.unconfirmed = time_;
    time_.restart();
    restarted_ = true;
  }
  raw_.before = raw_.last;
  raw_.last = timestamp;
  return time_.unwrap(timestamp);
}

void StreamTime::restart() {
  time_.restart();
  raw_ = {};
}

void StreamTime::reset() {
  time_ = {};
  raw_ = {};
}

}  // namespace gstrtmp
