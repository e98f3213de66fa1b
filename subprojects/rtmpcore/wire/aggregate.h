// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "wire/bytes.h"
#include "wire/message.h"

/// Aggregate messages (RTMP 1.0, 7.1.6; type 22). The body is a run of FLV tags, each with its back
/// pointer, whatever the specification's figure says:
///
///     type U8 | size U24 | timestamp U24 | timestamp's upper octet U8 | stream id U24 | body |
///     back pointer U32 (size + 11) ...
namespace rtmp {

/// AggregateReader takes an aggregate apart, without copying. The stream id of the aggregate
/// replaces those inside; timestamps are the aggregate's plus the inner one's distance from the
/// first.
class AggregateReader {
 public:
  /// `body` is borrowed for the reader's life and that of every SubMessage.
  AggregateReader(const MessageHeader& aggregate, Bytes body)
      : aggregate_(aggregate), rest_(body) {}

  struct SubMessage {
    MessageHeader header;
    Bytes body;
  };
  /// next() is the next message inside, or nothing at the end. A message that is cut off by the end
  /// is dropped; back pointers are not looked at; an aggregate inside an aggregate is skipped.
  std::optional<SubMessage> next();
  /// truncated() is true once next() has met a message that was cut off.
  bool truncated() const { return truncated_; }

 private:
  MessageHeader aggregate_;
  Cursor rest_;
  std::optional<uint32_t> first_timestamp_;
  bool truncated_ = false;
};

/// append_to_aggregate() appends one message and its back pointer to an aggregate's body. The
/// aggregate's own timestamp must be that of the first one. False, with nothing appended, if the
/// body is too long for 24 bits, alone or together with what `out` holds already.
[[nodiscard]] bool append_to_aggregate(Builder& out, const MessageHeader& header, Bytes body);

}  // namespace rtmp
