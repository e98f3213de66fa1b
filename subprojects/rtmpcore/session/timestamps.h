// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

namespace rtmp {

/// TimestampUnwrapper turns the 32-bit milliseconds of one message stream into 64 bits that do not
/// wrap, by serial arithmetic: a time stamp is taken to be less than 2^31 ms from the one before
/// it, on either side (RTMP 1.0, section 4). So small steps back stay small, and chunk streams that
/// share an unwrapper agree on both sides of the wrap.
///
/// Some peers keep 24 or 31 bits only. One is recognised by a step from just below 2^24 or 2^31 to
/// just above 0; from there on its time stamps are taken modulo that.
///
/// Beyond 2^42 ms either way the count starts over from the wire's value, so that nanoseconds do
/// not overflow.
class TimestampUnwrapper {
 public:
  /// unwrap() answers the time stamp that `wire` stands for, and remembers it. The first is `wire`
  /// itself; later ones can be negative.
  int64_t unwrap(uint32_t wire);
  /// peek() answers the same, but remembers nothing: for messages that are not on the media's
  /// clock.
  int64_t peek(uint32_t wire) const;
  void reset() { *this = {}; }

 private:
  int64_t nearest(uint32_t wire, int bits) const;

  int64_t latest_ = 0;
  uint32_t latest_wire_ = 0;
  int bits_ = 32;
  bool started_ = false;
};

}  // namespace rtmp
