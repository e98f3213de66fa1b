// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/aggregate.h"

#include <array>

#include "wire/flv.h"

namespace rtmp {

std::optional<AggregateReader::SubMessage> AggregateReader::next() {
  while (!rest_.empty()) {
    auto tag = flv::parse_tag_header(rest_);
    auto body = tag ? rest_.take(tag->data_size) : std::nullopt;
    if (!body) {
      truncated_ = true;
      rest_ = Cursor({});
      break;
    }
    // The last back pointer may be missing.
    if (!rest_.skip(flv::kBackPointerSize)) {
      rest_ = Cursor({});
    }
    if (!first_timestamp_) {
      first_timestamp_ = tag->timestamp;
    }
    if (tag->type == static_cast<uint8_t>(MessageType::kAggregate)) {
      continue;
    }
    const auto distance = static_cast<int32_t>(tag->timestamp - *first_timestamp_);
    return SubMessage{{static_cast<MessageType>(tag->type), aggregate_.stream_id,
                       aggregate_.timestamp + distance, tag->data_size},
                      *body};
  }
  return std::nullopt;
}

bool append_to_aggregate(Builder& out, const MessageHeader& header, Bytes body) {
  constexpr size_t kOverhead = flv::kTagHeaderSize + flv::kBackPointerSize;
  if (out.size() + kOverhead > kMaxMessageLength ||
      body.size() > kMaxMessageLength - kOverhead - out.size()) {
    return false;
  }
  const auto size = static_cast<uint32_t>(body.size());
  std::array<uint8_t, flv::kTagHeaderSize> tag;
  flv::write_tag_header(tag.data(), {static_cast<uint8_t>(header.type), false, size,
                                     static_cast<uint32_t>(header.timestamp), 0});
  out.bytes(tag);
  out.bytes(body);
  std::array<uint8_t, flv::kBackPointerSize> back_pointer;
  flv::write_back_pointer(back_pointer.data(), size);
  out.bytes(back_pointer);
  return true;
}

}  // namespace rtmp
