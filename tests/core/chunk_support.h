// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <ostream>
#include <random>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "session/chunk_reader.h"
#include "session/chunk_writer.h"
#include "session/payload.h"
#include "wire/bytes.h"
#include "wire/control.h"
#include "wire/message.h"

/// What the tests of the chunk layer share.
namespace rtmp::test {

/// octets() reads hexadecimal digits, and skips all else but "N*XX": N times the octet XX.
inline Buffer octets(std::string_view text) {
  Buffer out;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') {
      return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  for (size_t i = 0; i < text.size();) {
    if (digit(text[i]) < 0) {
      i++;
      continue;
    }
    size_t end = i;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') {
      end++;
    }
    size_t times = 1;
    if (end < text.size() && text[end] == '*') {
      times = 0;
      for (; i < end; i++) {
        times = times * 10 + static_cast<size_t>(digit(text[i]));
      }
      i = end + 1;
    }
    const int octet = digit(text.at(i)) * 16 + digit(text.at(i + 1));
    out.insert(out.end(), times, static_cast<uint8_t>(octet));
    i += 2;
  }
  return out;
}

inline Buffer operator+(Buffer left, const Buffer& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// Message is a message as the tests write it down.
struct Message {
  uint32_t chunk_stream_id = 4;
  MessageType type = MessageType::kAudio;
  uint32_t stream_id = 1;
  int64_t timestamp = 0;
  Buffer body;

  bool operator==(const Message&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Message& m) {
  out << "{csid " << m.chunk_stream_id << ", type " << static_cast<int>(m.type) << ", stream "
      << m.stream_id << ", time " << m.timestamp << ", " << m.body.size() << " octets:";
  for (size_t i = 0; i < m.body.size() && i < 12; i++) {
    out << ' ' << static_cast<int>(m.body[i]);
  }
  return out << (m.body.size() > 12 ? " ...}" : "}");
}

/// owned() makes a payload of its own copy of `body`, in `pieces` runs.
inline GatherPayload owned(const Buffer& body, size_t pieces = 1) {
  auto* const copy = new Buffer(body);
  GatherPayload payload(Owner(copy, [](void* object) { delete static_cast<Buffer*>(object); }));
  Bytes rest(*copy);
  for (size_t i = pieces; i > 0; i--) {
    const size_t size = i == 1 ? rest.size() : rest.size() / i;
    payload.append(rest.first(size));
    rest = rest.subspan(size);
  }
  return payload;
}

inline OutgoingMessage outgoing(const Message& m, Lane lane, size_t pieces = 1) {
  OutgoingMessage out;
  out.type = m.type;
  out.lane = lane;
  out.chunk_stream_id = m.chunk_stream_id;
  out.stream_id = m.stream_id;
  out.timestamp = m.timestamp;
  out.payload = owned(m.body, pieces);
  return out;
}

/// take_all() drains a writer as a transport does that takes everything at once.
inline Buffer take_all(ChunkWriter& writer) {
  Buffer wire;
  std::array<Bytes, 16> out;
  while (size_t count = writer.gather(out, 4096)) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
      wire.insert(wire.end(), out[i].begin(), out[i].end());
      size += out[i].size();
    }
    writer.consume(size);
  }
  return wire;
}

/// Receiver is a reader with the little that a session does for it: Set Chunk Size and Abort.
class Receiver {
 public:
  explicit Receiver(Options options = {}) : options_(options), reader_(options_, blocks_) {}

  /// feed() answers the peer's error, if there is one.
  std::optional<PeerError> feed(Bytes input) {
    for (;;) {
      auto step = reader_.read(input);
      if (!step) {
        return step.error();
      }
      input = input.subspan(step->consumed);
      if (!step->message) {
        EXPECT_TRUE(input.empty());
        return std::nullopt;
      }
      take(*step->message);
    }
  }

  /// feed_placed() does as a transport does that reads into the places it is offered, and `behind`
  /// octets beyond them.
  std::optional<PeerError> feed_placed(Bytes input, size_t behind) {
    while (!input.empty()) {
      std::array<std::span<uint8_t>, 32> places;
      const size_t count = reader_.offer_places(places);
      size_t placed = 0;
      for (size_t i = 0; i < count; i++) {
        const size_t size = std::min(places[i].size(), input.size());
        std::copy_n(input.begin(), size, places[i].begin());
        input = input.subspan(size);
        placed += size;
      }
      ChunkReader::Placed result = reader_.take_places(placed);
      octets_placed += placed - result.displaced.size();
      if (result.message) {
        take(*result.message);
      }
      const Bytes rest = input.first(std::min(std::max<size_t>(behind, 1), input.size()));
      input = input.subspan(rest.size());
      for (Bytes part : {result.displaced, rest}) {
        if (auto error = feed(part)) {
          return error;
        }
      }
    }
    return std::nullopt;
  }

  std::vector<Message> messages;
  size_t octets_placed = 0;
  ChunkReader& reader() { return reader_; }

 private:
  void take(const ReceivedMessage& m) {
    const Bytes body = m.payload.bytes();
    EXPECT_EQ(m.header.length, body.size());
    EXPECT_GE(m.payload.offset, options_.payload_headroom);
    EXPECT_GE(m.payload.block.capacity,
              m.payload.offset + m.payload.size + options_.payload_tailroom);
    messages.push_back({m.chunk_stream_id, m.header.type, m.header.stream_id, m.header.timestamp,
                        Buffer(body.begin(), body.end())});
    if (m.header.type == MessageType::kSetChunkSize) {
      const auto size = parse_set_chunk_size(body);
      ASSERT_TRUE(size);
      reader_.set_chunk_size(*size);
    } else if (m.header.type == MessageType::kAbort) {
      const auto id = parse_abort(body);
      ASSERT_TRUE(id);
      reader_.abort(*id);
    }
  }

  Options options_;
  HeapBlocks blocks_;
  ChunkReader reader_;
};

}  // namespace rtmp::test
