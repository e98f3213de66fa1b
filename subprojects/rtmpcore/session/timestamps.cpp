// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/timestamps.h"

#include <initializer_list>

namespace rtmp {
namespace {

/// How near to the end and to the start of a narrow range both sides of its wrap must be. Wider
/// than audio and video are apart, narrow enough that a stream which starts over is not mistaken
/// for it.
constexpr uint32_t kNarrowWrapWindow = 10'000;

constexpr int64_t kMaxPeekAhead = 3'600'000;

/// 139 years. No clock runs that long, and in nanoseconds 64 bits hold no more than twice that.
constexpr int64_t kFarthest = int64_t{1} << 42;

}  // namespace

int64_t TimestampUnwrapper::nearest(uint32_t wire, int bits) const {
  const uint64_t modulus = uint64_t{1} << bits;
  const uint64_t ahead = (uint64_t{wire} - latest_wire_) & (modulus - 1);
  // "a after b iff (b - a) mod 2^32 > 2^31 - 1": half the range is a step back.
  return ahead < modulus / 2 ? latest_ + static_cast<int64_t>(ahead)
                             : latest_ - static_cast<int64_t>(modulus - ahead);
}

int64_t TimestampUnwrapper::peek(uint32_t wire) const {
  if (!started_) {
    return wire;
  }
  const bool fits = bits_ == 32 || (wire >> bits_) == 0;
  const int bits = fits ? bits_ : 32;
  const int64_t near = nearest(wire, bits);
  const int64_t lap_before = near - (int64_t{1} << bits);
  return near - latest_ > kMaxPeekAhead && lap_before >= 0 ? lap_before : near;
}

int64_t TimestampUnwrapper::unwrap(uint32_t wire) {
  if (!started_) {
    started_ = true;
    latest_ = wire;
    latest_wire_ = wire;
    return latest_;
  }
  if (bits_ < 32 && (wire >> bits_) != 0) {
    bits_ = 32;
  }
  for (int bits : {24, 31}) {
    const uint32_t modulus = uint32_t{1} << bits;
    if (bits < bits_ && wire < kNarrowWrapWindow && latest_wire_ < modulus &&
        modulus - latest_wire_ <= kNarrowWrapWindow) {
      bits_ = bits;
    }
  }
  latest_ = nearest(wire, bits_);
  latest_wire_ = wire;
  if (latest_ > kFarthest || latest_ < -kFarthest) {
    latest_ = wire;
    bits_ = 32;
  }
  return latest_;
}

}  // namespace rtmp
