// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "wire/bytes.h"

/// What real writers put in front of payloads, or leave out. Functions of bytes.
namespace gstrtmp {

/// AdtsFrame is an AAC frame that has kept its ADTS header (ISO/IEC 14496-3, 1.A.2.2), as some
/// cameras send it, where FLV wants it raw.
struct AdtsFrame {
  size_t header_size = 0;  ///< seven octets, or nine with a checksum
  uint8_t config[2] = {};  ///< the AudioSpecificConfig that says the same
};
/// find_adts() answers nothing unless the header fits the payload to the octet.
std::optional<AdtsFrame> find_adts(rtmp::Bytes payload);

/// SoundShape is what an audio frame's own header tells.
struct SoundShape {
  int rate = 0;
  int channels = 0;
};
/// mp3_shape() reads an MPEG audio frame header (ISO/IEC 11172-3, 2.4.1.3) of layer III.
std::optional<SoundShape> mp3_shape(rtmp::Bytes frame);
/// ac3_shape() and eac3_shape() read a syncframe's header (ETSI TS 102 366, 4.3 and E.1.2).
std::optional<SoundShape> ac3_shape(rtmp::Bytes frame);
std::optional<SoundShape> eac3_shape(rtmp::Bytes frame);

/// av1_composition_time() tells whether three octets of composition time stand in front of an AV1
/// temporal unit, as some writers put them there against the specification: a unit that is none,
/// but is one behind them. The time, in milliseconds.
std::optional<int32_t> av1_composition_time(rtmp::Bytes payload);

/// Framing is how the NAL units of an access unit are told apart.
enum class NalFraming : uint8_t { kLengthPrefixed, kStartCodes };
/// nal_framing() looks for start codes where the lengths do not add up.
NalFraming nal_framing(rtmp::Bytes access_unit);
/// looks_like_hevc() is for units with start codes under AVC's codec number.
bool looks_like_hevc(rtmp::Bytes access_unit);

/// Mpeg4Header is the header that FFmpeg puts in front of MPEG-4 part 2 under codec number 9: laid
/// out as AVC's.
struct Mpeg4Header {
  bool configuration = false;
  int32_t composition_time = 0;
};
std::optional<Mpeg4Header> mpeg4_header(rtmp::Bytes payload);
inline constexpr size_t kMpeg4HeaderSize = 4;

}  // namespace gstrtmp
