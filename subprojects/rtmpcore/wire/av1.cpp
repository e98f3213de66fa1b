// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/av1.h"

namespace rtmp::av1 {
namespace {

constexpr uint8_t kSequenceHeader = 1;
constexpr uint8_t kTemporalDelimiter = 2;

struct Obu {
  uint8_t type = 0;
  Bytes whole;
  Bytes payload;
};

constexpr uint8_t kHasSize = 0x02;

/// read_leb128() is leb128() (4.10.5).
std::optional<uint64_t> read_leb128(Cursor& in) {
  constexpr int kMostOctets = 8;
  uint64_t value = 0;
  for (int i = 0; i < kMostOctets; i++) {
    const auto octet = in.u8();
    if (!octet) {
      return std::nullopt;
    }
    value |= static_cast<uint64_t>(*octet & 0x7F) << (7 * i);
    if ((*octet & 0x80) == 0) {
      return value;
    }
  }
  return std::nullopt;
}

/// read_obu() consumes one OBU (5.3). Nothing at the end, and for one that does not tell its size.
std::optional<Obu> read_obu(Cursor& in) {
  constexpr uint8_t kHasExtension = 0x04;
  const Bytes begin = in.rest();
  const auto header = in.u8();
  if (!header || (*header & kHasSize) == 0 || ((*header & kHasExtension) != 0 && !in.skip(1))) {
    return std::nullopt;
  }
  const auto size = read_leb128(in);
  const auto payload = size ? in.take(*size) : std::nullopt;
  if (!payload) {
    return std::nullopt;
  }
  return Obu{static_cast<uint8_t>(*header >> 3 & 0x0F), begin.first(begin.size() - in.remaining()),
             *payload};
}

/// BitReader reads f(n) and uvlc() (4.10). Past the end all bits are 0, and ended() is true.
class BitReader {
 public:
  explicit BitReader(Bytes bytes) : bytes_(bytes) {}

  uint32_t bits(unsigned count) {
    uint32_t value = 0;
    for (; count > 0; count--) {
      const size_t octet = position_ / 8;
      const unsigned bit = octet < bytes_.size() ? bytes_[octet] >> (7 - position_ % 8) & 1u : 0u;
      ended_ = ended_ || octet >= bytes_.size();
      position_++;
      value = value << 1 | bit;
    }
    return value;
  }
  bool flag() { return bits(1) != 0; }
  void skip(unsigned count) { bits(count); }
  void skip_uvlc() {
    constexpr unsigned kMost = 32;
    unsigned zeros = 0;
    while (zeros < kMost && !ended_ && !flag()) {
      zeros++;
    }
    if (zeros < kMost) {
      skip(zeros);
    }
  }
  bool ended() const { return ended_; }

 private:
  Bytes bytes_;
  size_t position_ = 0;
  bool ended_ = false;
};

struct SequenceHeader {
  uint32_t profile = 0;
  uint32_t level = 0;  ///< of operating point 0, as the next
  bool high_tier = false;
  bool high_bitdepth = false;
  bool twelve_bit = false;
  bool monochrome = false;
  bool subsampling_x = true;
  bool subsampling_y = true;
  uint32_t chroma_sample_position = 0;
};

/// read_operating_points() is the part of 5.5.1 between the still picture's flags and the size.
void read_operating_points(BitReader& in, SequenceHeader& out) {
  bool has_decoder_model = false;
  unsigned buffer_delay_length = 0;
  if (in.flag()) {  // timing_info_present_flag
    in.skip(32 + 32);
    if (in.flag()) {
      in.skip_uvlc();
    }
    has_decoder_model = in.flag();
    if (has_decoder_model) {
      buffer_delay_length = in.bits(5) + 1;
      in.skip(32 + 5 + 5);
    }
  }
  const bool has_display_delay = in.flag();
  const uint32_t count = in.bits(5) + 1;
  constexpr uint32_t kLastLevelOfOneTier = 7;
  for (uint32_t i = 0; i < count; i++) {
    in.skip(12);
    const uint32_t level = in.bits(5);
    const bool high_tier = level > kLastLevelOfOneTier && in.flag();
    if (i == 0) {
      out.level = level;
      out.high_tier = high_tier;
    }
    if (has_decoder_model && in.flag()) {
      in.skip(2 * buffer_delay_length + 1);
    }
    if (has_display_delay && in.flag()) {
      in.skip(4);
    }
  }
}

/// skip_tools() is the part of 5.5.1 between the size and the colour.
void skip_tools(BitReader& in, bool reduced) {
  in.skip(3);  // superblocks, filter intra, intra edge filter
  if (!reduced) {
    in.skip(4);  // interintra, masked compound, warped motion, dual filter
    const bool has_order_hint = in.flag();
    if (has_order_hint) {
      in.skip(2);
    }
    const bool screen_content = in.flag() || in.flag();
    if (screen_content && !in.flag()) {
      in.skip(1);
    }
    if (has_order_hint) {
      in.skip(3);
    }
  }
  in.skip(3);  // superres, cdef, restoration
}

/// read_color_config() is 5.5.2.
void read_color_config(BitReader& in, SequenceHeader& out) {
  constexpr uint32_t kUnspecified = 2;
  constexpr uint32_t kBt709 = 1;
  constexpr uint32_t kSrgb = 13;
  constexpr uint32_t kIdentity = 0;
  out.high_bitdepth = in.flag();
  out.twelve_bit = out.profile == 2 && out.high_bitdepth && in.flag();
  out.monochrome = out.profile != 1 && in.flag();
  uint32_t primaries = kUnspecified;
  uint32_t transfer = kUnspecified;
  uint32_t matrix = kUnspecified;
  if (in.flag()) {
    primaries = in.bits(8);
    transfer = in.bits(8);
    matrix = in.bits(8);
  }
  if (out.monochrome) {
    return;
  }
  if (primaries == kBt709 && transfer == kSrgb && matrix == kIdentity) {
    out.subsampling_x = out.subsampling_y = false;
    return;
  }
  in.skip(1);  // color_range
  if (out.profile == 1) {
    out.subsampling_x = out.subsampling_y = false;
  } else if (out.profile == 2) {
    out.subsampling_x = !out.twelve_bit || in.flag();
    out.subsampling_y = out.twelve_bit && out.subsampling_x && in.flag();
  }
  if (out.subsampling_x && out.subsampling_y) {
    out.chroma_sample_position = in.bits(2);
  }
}

/// read_sequence_header() is sequence_header_obu() (5.5.1).
std::optional<SequenceHeader> read_sequence_header(Bytes payload) {
  BitReader in(payload);
  SequenceHeader out;
  out.profile = in.bits(3);
  in.skip(1);  // still_picture
  const bool reduced = in.flag();
  if (reduced) {
    out.level = in.bits(5);
  } else {
    read_operating_points(in, out);
  }
  const unsigned width_bits = in.bits(4) + 1;
  const unsigned height_bits = in.bits(4) + 1;
  in.skip(width_bits + height_bits);
  if (!reduced && in.flag()) {  // frame_id_numbers_present_flag
    in.skip(4 + 3);
  }
  skip_tools(in, reduced);
  read_color_config(in, out);
  if (in.ended() || out.profile > 2) {
    return std::nullopt;
  }
  return out;
}

}  // namespace

std::optional<Buffer> make_configuration_record(Bytes temporal_unit) {
  Cursor in(temporal_unit);
  while (auto obu = read_obu(in)) {
    if (obu->type != kSequenceHeader) {
      continue;
    }
    const auto header = read_sequence_header(obu->payload);
    if (!header) {
      return std::nullopt;
    }
    // 2.3.3: marker 1, version 1 · profile 3, level 5 · tier, high_bitdepth, twelve_bit,
    // monochrome, subsampling x and y, sample position 2 · no initial presentation delay.
    constexpr uint8_t kMarkerAndVersion = 0x81;
    Buffer record;
    Builder out(record);
    out.u8(kMarkerAndVersion);
    out.u8(static_cast<uint8_t>(header->profile << 5 | header->level));
    out.u8(static_cast<uint8_t>(header->high_tier << 7 | header->high_bitdepth << 6 |
                                header->twelve_bit << 5 | header->monochrome << 4 |
                                header->subsampling_x << 3 | header->subsampling_y << 2 |
                                header->chroma_sample_position));
    out.u8(0);
    out.bytes(obu->whole);
    return record;
  }
  return std::nullopt;
}

bool is_temporal_unit(Bytes unit) {
  constexpr uint8_t kForbiddenAndReserved = 0x81;
  Cursor in(unit);
  while (!in.empty()) {
    const uint8_t header = in.rest().front();
    const uint8_t type = header >> 3 & 0x0F;
    // 0 and 9 to 14 are reserved, 15 is padding.
    if ((header & kForbiddenAndReserved) != 0 || type == 0 || (type > 8 && type < 15)) {
      return false;
    }
    if ((header & kHasSize) == 0) {
      return true;
    }
    if (!read_obu(in)) {
      return false;
    }
  }
  return !unit.empty();
}

size_t temporal_delimiter_size(Bytes temporal_unit) {
  Cursor in(temporal_unit);
  size_t size = 0;
  while (auto obu = read_obu(in)) {
    if (obu->type != kTemporalDelimiter) {
      break;
    }
    size = in.offset();
  }
  return size;
}

}  // namespace rtmp::av1
