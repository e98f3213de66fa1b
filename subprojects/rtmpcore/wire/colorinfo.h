// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/amf.h"
#include "wire/bytes.h"
#include "wire/result.h"

/// colorInfo, which video packets of kind kMetadata carry (Enhanced RTMP v2, "Metadata Frame"): how
/// to show the pictures from the next one on, until the next colorInfo replaces all of it.
namespace rtmp::media {

inline constexpr std::string_view kColorInfo = "colorInfo";

/// ColorInfo holds what was said and lies within its range; all else is left empty.
struct ColorInfo {
  /// colorConfig: the three indices are those of ISO/IEC 23091-4 (ITU-T H.273).
  std::optional<uint8_t> bit_depth;  ///< 8, 10 or 12
  std::optional<uint8_t> color_primaries;
  std::optional<uint8_t> transfer_characteristics;
  std::optional<uint8_t> matrix_coefficients;
  /// hdrCll: content light levels, cd/m2, 0.0001 to 10000
  std::optional<double> max_fall;
  std::optional<double> max_cll;
  /// hdrMdcv: the display that the pictures were made on. CIE 1931: x 0.0001 to 0.74, y to 0.84.
  std::optional<double> red_x, red_y, green_x, green_y, blue_x, blue_y, white_point_x,
      white_point_y;
  std::optional<double> max_luminance;  ///< cd/m2, 5 to 10000
  std::optional<double> min_luminance;  ///< cd/m2, 0.0001 to 5

  /// A ColorInfo that says nothing brings back what held before the first one.
  bool is_reset() const { return *this == ColorInfo(); }
  bool operator==(const ColorInfo&) const = default;
};

/// parse_color_info() reads a packet's payload: names and values of AMF0, of which a value may
/// switch to AMF3; an octet 0 in front, which tells of AMF3, is passed over. Undefined, null and an
/// empty object are a reset; values of a wrong type or beyond their range count as left out.
/// Nothing if there is no colorInfo. Errors: what is no name or no such value (kMalformed), and
/// those of Amf0Reader ahead of it.
Result<std::optional<ColorInfo>> parse_color_info(Bytes payload, const amf::Limits& limits = {});
/// write_color_info() appends the payload; a reset as Undefined. What is beyond its range is left
/// out.
void write_color_info(Builder& out, const ColorInfo& info);

}  // namespace rtmp::media
