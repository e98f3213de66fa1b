// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/chunk_header.h"

#include <array>
#include <cassert>

namespace rtmp {
namespace {

constexpr std::array<uint8_t, 4> kMessageHeaderSize = {11, 7, 3, 0};
constexpr uint32_t kOneOctetIds = 64;                  // the first id beyond the one-octet form
constexpr uint32_t kTwoOctetIds = kOneOctetIds + 256;  // the first beyond the two-octet form

size_t basic_header_size(uint8_t first_octet) {
  switch (first_octet & 0x3F) {
    case 0:
      return 2;
    case 1:
      return 3;
    default:
      return 1;
  }
}

}  // namespace

size_t chunk_header_size(uint8_t first_octet) {
  return basic_header_size(first_octet) + kMessageHeaderSize[first_octet >> 6];
}

std::optional<ChunkHeader> parse_chunk_header(Cursor& in) {
  const auto first = in.peek();
  if (!first) {
    return std::nullopt;
  }
  const auto octets = in.take(chunk_header_size(*first));
  if (!octets) {
    return std::nullopt;
  }
  const Bytes b = *octets;
  ChunkHeader header;
  header.format = *first >> 6;
  const size_t basic = basic_header_size(*first);
  if (basic == 1) {
    header.chunk_stream_id = *first & 0x3F;
  } else if (basic == 2) {
    header.chunk_stream_id = kOneOctetIds + b[1];
  } else {
    header.chunk_stream_id = kOneOctetIds + b[1] + (static_cast<uint32_t>(b[2]) << 8);
  }
  Cursor fields(b.subspan(basic));
  if (header.format <= 2) {
    header.timestamp = fields.u24().value_or(0);
    header.extended = header.timestamp == kExtendedTimestamp;
  }
  if (header.format <= 1) {
    header.length = fields.u24().value_or(0);
    header.type = static_cast<MessageType>(fields.u8().value_or(0));
  }
  if (header.format == 0) {
    header.stream_id = fields.u32_le().value_or(0);
  }
  return header;
}

size_t write_chunk_header(const ChunkHeader& header, std::span<uint8_t, kMaxChunkHeaderSize> out) {
  assert(header.format <= 3);
  assert(header.chunk_stream_id >= kMinChunkStreamId);
  assert(header.chunk_stream_id <= kMaxChunkStreamId);
  assert(header.length <= kMaxMessageLength);

  uint8_t* at = out.data();
  const auto fmt = static_cast<uint8_t>(header.format << 6);
  const uint32_t id = header.chunk_stream_id;
  if (id < kOneOctetIds) {
    *at++ = static_cast<uint8_t>(fmt | id);
  } else if (id < kTwoOctetIds) {
    *at++ = fmt;
    *at++ = static_cast<uint8_t>(id - kOneOctetIds);
  } else {
    *at++ = fmt | 1;
    *at++ = static_cast<uint8_t>(id - kOneOctetIds);
    *at++ = static_cast<uint8_t>((id - kOneOctetIds) >> 8);
  }

  bool extended = header.extended;
  if (header.format <= 2) {
    extended = header.timestamp >= kExtendedTimestamp;
    put(at, extended ? kExtendedTimestamp : header.timestamp, 3);
    at += 3;
  }
  if (header.format <= 1) {
    put(at, header.length, 3);
    at[3] = static_cast<uint8_t>(header.type);
    at += 4;
  }
  if (header.format == 0) {
    for (int shift = 0; shift < 32; shift += 8) {
      *at++ = static_cast<uint8_t>(header.stream_id >> shift);
    }
  }
  if (extended) {
    put(at, header.timestamp, kExtendedTimestampSize);
    at += kExtendedTimestampSize;
  }
  return static_cast<size_t>(at - out.data());
}

}  // namespace rtmp
