// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "wire/bytes.h"
#include "wire/message.h"

/// The header in front of each chunk (RTMP 1.0, 5.3.1).
///
///   basic header      fmt (2 bits), chunk stream id          1, 2 or 3 octets
///     6 low bits 2..63: the id;  0: + next octet + 64;  1: + next two, low octet first, + 64
///   message header    by fmt                                 11, 7, 3 or 0 octets
///     0   timestamp 3, length 3, type 1, stream id 4 (little-endian)
///     1   timestamp delta 3, length 3, type 1
///     2   timestamp delta 3
///     3   nothing: a chunk that continues a message, or one like the last
///   extended timestamp, if the 24-bit field is 0xFFFFFF      4 octets
namespace rtmp {

inline constexpr uint32_t kExtendedTimestamp =
    0xFFFFFF;  ///< the real value is in the extended field
inline constexpr size_t kExtendedTimestampSize = 4;
inline constexpr size_t kMaxChunkHeaderSize = 3 + 11 + kExtendedTimestampSize;
inline constexpr uint32_t kMinChunkStreamId = 2;
inline constexpr uint32_t kMaxChunkStreamId = 65599;

/// ChunkHeader has the fields of all formats; those that its `format` does not carry are zero.
struct ChunkHeader {
  uint8_t format = 0;  ///< fmt, 0 to 3
  uint32_t chunk_stream_id = kControlChunkStream;
  uint32_t timestamp = 0;  ///< milliseconds: absolute in format 0, a delta in 1 and 2
  uint32_t length = 0;     ///< octets of the whole message
  MessageType type = MessageType{};
  uint32_t stream_id = 0;  ///< message stream id
  /// `extended` tells that an extended timestamp follows. Parsed: only known for formats 0 to 2.
  bool extended = false;

  bool operator==(const ChunkHeader&) const = default;
};

/// chunk_header_size() tells by the first octet how long basic and message header are together.
size_t chunk_header_size(uint8_t first_octet);

/// parse_chunk_header() consumes basic and message header, or nothing if they are not there whole.
/// The extended timestamp is left to the caller: whether format 3 has one depends on what came
/// before, and on the peer. Where `extended` is set, `timestamp` is not yet known.
std::optional<ChunkHeader> parse_chunk_header(Cursor& in);

/// write_chunk_header() writes the shortest form and answers its length. An extended timestamp goes
/// with it in formats 0 to 2 if the timestamp needs one, in format 3 if `extended` is set.
size_t write_chunk_header(const ChunkHeader& header, std::span<uint8_t, kMaxChunkHeaderSize> out);

}  // namespace rtmp
