// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

/// Messages and the names of their types (RTMP 1.0, 5.4, 6.1 and 7.1).
namespace rtmp {

enum class MessageType : uint8_t {
  kSetChunkSize = 1,
  kAbort = 2,
  kAcknowledgement = 3,
  kUserControl = 4,
  kWindowAckSize = 5,
  kSetPeerBandwidth = 6,
  kAudio = 8,
  kVideo = 9,
  kDataAmf3 = 15,
  kSharedObjectAmf3 = 16,
  kCommandAmf3 = 17,
  kDataAmf0 = 18,
  kSharedObjectAmf0 = 19,
  kCommandAmf0 = 20,
  kAggregate = 22,
};

/// is_media() is true for what a message stream carries: audio, video and data.
constexpr bool is_media(MessageType type) {
  return type == MessageType::kAudio || type == MessageType::kVideo ||
         type == MessageType::kDataAmf0 || type == MessageType::kDataAmf3;
}

inline constexpr uint32_t kMaxMessageLength = 0xFFFFFF;
inline constexpr uint32_t kDefaultChunkSize = 128;  ///< until Set Chunk Size (5.4.1)
inline constexpr uint32_t kMaxChunkSize = 0x7FFFFFFF;
inline constexpr uint32_t kControlChunkStream = 2;  ///< protocol control (5.4)
inline constexpr uint32_t kCommandChunkStream = 3;  ///< NetConnection commands, by convention

/// MessageHeader is a message without its payload. The timestamp is unwrapped: milliseconds, 64
/// bits.
struct MessageHeader {
  MessageType type = MessageType::kCommandAmf0;
  uint32_t stream_id = 0;  ///< message stream id; 0 = the connection itself
  int64_t timestamp = 0;   ///< milliseconds
  uint32_t length = 0;     ///< octets of payload
};

}  // namespace rtmp
