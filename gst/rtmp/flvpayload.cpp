// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvpayload.h"

#include <algorithm>
#include <array>

#include "wire/av1.h"

namespace gstrtmp {

using rtmp::Bytes;
using rtmp::Cursor;

namespace {

constexpr std::array<int, 3> kAc3Rates = {48000, 44100, 32000};
// acmod 0 is two independent channels.
constexpr std::array<int, 8> kAc3Channels = {2, 1, 2, 3, 3, 4, 4, 5};

/// start_code_size() is 3 or 4, or 0 if none is in front.
size_t start_code_size(Bytes unit) {
  if (unit.size() >= 4 && unit[0] == 0 && unit[1] == 0) {
    if (unit[2] == 1) {
      return 3;
    }
    if (unit[2] == 0 && unit[3] == 1) {
      return 4;
    }
  }
  return 0;
}

}  // namespace

// syncword 12 | ID 1 | layer 2 | protection absent 1 | profile 2 | frequency 4 | private 1 |
// channels 3 | ... 4 | frame length 13 | ...
std::optional<AdtsFrame> find_adts(Bytes payload) {
  constexpr size_t kHeader = 7;
  if (payload.size() <= kHeader || payload[0] != 0xFF || (payload[1] & 0xF6) != 0xF0) {
    return std::nullopt;
  }
  const size_t length = static_cast<size_t>(payload[3] & 3) << 11 |
                        static_cast<size_t>(payload[4]) << 3 | static_cast<size_t>(payload[5]) >> 5;
  const unsigned frequency = payload[2] >> 2 & 0x0F;
  if (length != payload.size() || frequency > 12) {
    return std::nullopt;
  }
  AdtsFrame frame;
  frame.header_size = (payload[1] & 1) != 0 ? kHeader : kHeader + 2;
  if (frame.header_size >= payload.size()) {
    return std::nullopt;
  }
  const unsigned object_type = (payload[2] >> 6) + 1u;
  const unsigned channels = (payload[2] & 1u) << 2 | payload[3] >> 6;
  const unsigned config = object_type << 11 | frequency << 7 | channels << 3;
  frame.config[0] = static_cast<uint8_t>(config >> 8);
  frame.config[1] = static_cast<uint8_t>(config);
  return frame;
}

std::optional<SoundShape> mp3_shape(Bytes frame) {
  static constexpr std::array<int, 3> kRates = {44100, 48000, 32000};
  constexpr unsigned kLayer3 = 1;
  if (frame.size() < 4 || frame[0] != 0xFF || (frame[1] & 0xE0) != 0xE0) {
    return std::nullopt;
  }
  const unsigned version = frame[1] >> 3 & 3;  // 0 = 2.5, 2 = 2, 3 = 1
  const unsigned rate = frame[2] >> 2 & 3;
  if (version == 1 || (frame[1] >> 1 & 3) != kLayer3 || rate == 3 || (frame[2] >> 4) == 15) {
    return std::nullopt;
  }
  return SoundShape{kRates[rate] / (version == 3   ? 1
                                    : version == 2 ? 2
                                                   : 4),
                    (frame[3] >> 6) == 3 ? 1 : 2};
}

// syncword 16 | crc1 16 | fscod 2, frmsizecod 6 | bsid 5, bsmod 3 | acmod 3, then levels that
// depend on it, then lfeon 1
std::optional<SoundShape> ac3_shape(Bytes frame) {
  if (frame.size() < 8 || frame[0] != 0x0B || frame[1] != 0x77 || (frame[5] >> 3) > 8) {
    return std::nullopt;
  }
  const unsigned rate = frame[4] >> 6;
  if (rate == 3) {
    return std::nullopt;
  }
  const unsigned acmod = frame[6] >> 5;
  unsigned bit = 3;
  bit += (acmod & 1) != 0 && acmod != 1 ? 2 : 0;  // cmixlev
  bit += (acmod & 4) != 0 ? 2 : 0;                // surmixlev
  bit += acmod == 2 ? 2 : 0;                      // dsurmod
  const bool lfe = (frame[6] >> (7 - bit) & 1) != 0;
  return SoundShape{kAc3Rates[rate], kAc3Channels[acmod] + (lfe ? 1 : 0)};
}

// syncword 16 | strmtyp 2, substreamid 3, frmsiz 11 | fscod 2, numblkscod or fscod2 2, acmod 3,
// lfeon 1 | bsid 5 ...
std::optional<SoundShape> eac3_shape(Bytes frame) {
  if (frame.size() < 6 || frame[0] != 0x0B || frame[1] != 0x77) {
    return std::nullopt;
  }
  if (const unsigned bsid = frame[5] >> 3; bsid <= 10 || bsid > 16) {
    return ac3_shape(frame);
  }
  unsigned rate = frame[4] >> 6;
  int divisor = 1;
  if (rate == 3) {
    rate = frame[4] >> 4 & 3;
    divisor = 2;
  }
  if (rate == 3) {
    return std::nullopt;
  }
  return SoundShape{kAc3Rates[rate] / divisor, kAc3Channels[frame[4] >> 1 & 7] + (frame[4] & 1)};
}

std::optional<int32_t> av1_composition_time(Bytes payload) {
  constexpr size_t kTime = 3;
  if (payload.size() <= kTime || rtmp::av1::is_temporal_unit(payload) ||
      !rtmp::av1::is_temporal_unit(payload.subspan(kTime))) {
    return std::nullopt;
  }
  return Cursor(payload).i24();
}

NalFraming nal_framing(Bytes unit) {
  if (start_code_size(unit) == 0) {
    return NalFraming::kLengthPrefixed;
  }
  Cursor in(unit);
  while (!in.empty()) {
    auto size = in.u32();
    if (!size || *size == 0 || !in.skip(*size)) {
      return NalFraming::kStartCodes;
    }
  }
  return NalFraming::kLengthPrefixed;
}

bool looks_like_hevc(Bytes unit) {
  // A two-octet header of layer 0 and temporal id 1: VPS, SPS, PPS or an access unit delimiter.
  // H.264 has no unit types 0 that begin so.
  const size_t at = start_code_size(unit);
  if (at == 0 || unit.size() < at + 2) {
    return false;
  }
  const uint8_t first = unit[at];
  return unit[at + 1] == 1 && (first == 0x40 || first == 0x42 || first == 0x44 || first == 0x46);
}

std::optional<Mpeg4Header> mpeg4_header(Bytes payload) {
  constexpr uint8_t kMostType = 1;
  if (payload.size() < kMpeg4HeaderSize + 4 || payload[0] > kMostType ||
      start_code_size(payload.subspan(kMpeg4HeaderSize)) != 3 || start_code_size(payload) == 3) {
    return std::nullopt;
  }
  Cursor in(payload);
  Mpeg4Header header;
  header.configuration = *in.u8() == 0;
  header.composition_time = in.i24().value_or(0);
  return header;
}

}  // namespace gstrtmp
