// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

#include "wire/media.h"

/// What rtmpsink writes into OutgoingMessage::tag: what a message is, for when some have to go.
namespace gstrtmp {

/// A message without a class is one that every player needs.
inline constexpr uint32_t kKeptTag = 0;
inline constexpr uint32_t kBorrowedTag = 1u << 31;  ///< of a pool's memory

inline uint32_t make_tag(rtmp::media::PacketClass packet_class, bool borrowed) {
  using rtmp::media::PacketClass;
  const bool kept = packet_class == PacketClass::kSequenceHeader ||
                    packet_class == PacketClass::kMetadata || packet_class == PacketClass::kCommand;
  const uint32_t tag = kept ? kKeptTag : 1 + static_cast<uint32_t>(packet_class);
  return borrowed ? tag | kBorrowedTag : tag;
}
inline bool is_kept(uint32_t tag) {
  return (tag & ~kBorrowedTag) == kKeptTag;
}
inline bool is_of(uint32_t tag, rtmp::media::PacketClass packet_class) {
  return (tag & ~kBorrowedTag) == 1 + static_cast<uint32_t>(packet_class);
}

}  // namespace gstrtmp
