// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/amf.h"
#include "wire/bytes.h"

/// onFI: the script message in which encoders tell when a frame was taken, in front of it and with
/// its timestamp. No specification has it; Flash Media Live Encoder's help ("Using ActionScript to
/// get timecode information") names the members of its one object, all of them strings: `sd` the
/// date (dd-mm-yy; the encoder itself writes four digits of the year), `st` the time of day
/// (hh:mm:ss.ms), `tc` the timecode (hh:mm:ss:ff).
namespace rtmp {

inline constexpr std::string_view kOnFrameInfo = "onFI";

/// Timecode is a label of SMPTE ST 12-1: of a frame, not of a time.
struct Timecode {
  uint8_t hours = 0;    ///< 0 to 23
  uint8_t minutes = 0;  ///< 0 to 59
  uint8_t seconds = 0;  ///< 0 to 59
  uint16_t frames = 0;  ///< 0 to 999 here; how many a second has is not told
  bool drop_frame = false;
  bool operator==(const Timecode&) const = default;
};

/// FrameInfo is what onFI tells of a frame: nothing where it says nothing.
struct FrameInfo {
  /// Milliseconds since 1970-01-01 00:00 UTC, in the years 1970 to 9999. Nobody says whether `sd`
  /// and `st` are UTC's or the encoder's zone's; here they are UTC's.
  std::optional<int64_t> unix_time;
  std::optional<Timecode> timecode;
  bool operator==(const FrameInfo&) const = default;
};

/// read_frame_info() reads onFI's object. A time needs a date and a time of day; of the fraction
/// what is below a millisecond is left out. A semicolon in front of the frames of a timecode means
/// drop frame, as is usual. Text that is no date, time or timecode counts as not there.
FrameInfo read_frame_info(const amf::Value& object);

/// write_frame_info() appends onFI's body. Members that `info` has not, or whose values lie beyond
/// what stands above, are left out.
void write_frame_info(Builder& out, const FrameInfo& info);

}  // namespace rtmp
