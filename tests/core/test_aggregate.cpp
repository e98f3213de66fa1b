// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "wire/aggregate.h"

namespace rtmp {
namespace {

using testing::Exact;
using testing::from_hex;
using testing::to_hex;

struct Sub {
  MessageType type;
  int64_t timestamp;
  const char* hex;
};

const Sub kSubs[] = {
    {MessageType::kVideo, 0x1234567890, "1701000000aabb"},
    {MessageType::kAudio, 0x1234567890 + 23, "af0101"},
    {MessageType::kAudio, 0x1234567890 + 23, ""},
    {MessageType::kDataAmf0, 0x1234567890 - 5, "02000161"},
};

Buffer make_body() {
  Buffer body;
  Builder out(body);
  for (const Sub& sub : kSubs) {
    const Buffer payload = from_hex(sub.hex);
    EXPECT_TRUE(append_to_aggregate(out, {sub.type, 1, sub.timestamp, 0}, payload));
  }
  return body;
}

const MessageHeader kHeader = {MessageType::kAggregate, 3, 0x1234567890, 0};

std::vector<AggregateReader::SubMessage> read_all(AggregateReader& reader) {
  std::vector<AggregateReader::SubMessage> out;
  while (auto sub = reader.next()) {
    out.push_back(*sub);
  }
  return out;
}

TEST(Aggregate, WritesFlvTags) {
  const Buffer body = make_body();
  EXPECT_EQ(to_hex(Bytes(body).first(22)),
            to_hex(from_hex("09 000007 567890 34 000000 1701000000aabb 00000012")));
}

TEST(Aggregate, ReadsWhatItWrites) {
  const Exact body(make_body());
  AggregateReader reader(kHeader, body);
  const auto subs = read_all(reader);
  ASSERT_EQ(subs.size(), std::size(kSubs));
  for (size_t i = 0; i < subs.size(); ++i) {
    EXPECT_EQ(subs[i].header.type, kSubs[i].type);
    EXPECT_EQ(subs[i].header.timestamp, kSubs[i].timestamp);
    EXPECT_EQ(subs[i].header.stream_id, 3u);
    EXPECT_EQ(subs[i].header.length, subs[i].body.size());
    EXPECT_EQ(to_hex(subs[i].body), kSubs[i].hex);
  }
  EXPECT_FALSE(reader.truncated());
  EXPECT_FALSE(reader.next());
}

TEST(Aggregate, TimestampsCountFromTheFirstInside) {
  // Inner times wrap around 2^32 and have nothing to do with the aggregate's.
  const Buffer body = from_hex(
      "08 000001 fffff0 ff 000000 aa 0000000c"
      "08 000001 000010 00 000000 bb 0000000c"
      "08 000001 ffffe0 ff 000000 cc 0000000c");
  AggregateReader reader({MessageType::kAggregate, 1, 500, 0}, body);
  const auto subs = read_all(reader);
  ASSERT_EQ(subs.size(), 3u);
  EXPECT_EQ(subs[0].header.timestamp, 500);
  EXPECT_EQ(subs[1].header.timestamp, 532);
  EXPECT_EQ(subs[2].header.timestamp, 484);
}

TEST(Aggregate, AFirstTimeOfZeroLosesNothing) {
  const Buffer body = from_hex(
      "08 000001 000000 00 000000 aa 0000000c"
      "08 000001 000028 00 000000 bb 0000000c"
      "08 000001 000050 00 000000 cc 0000000c");
  AggregateReader reader({MessageType::kAggregate, 1, 1000, 0}, body);
  const auto subs = read_all(reader);
  ASSERT_EQ(subs.size(), 3u);
  EXPECT_EQ(subs[1].header.timestamp, 1040);
  EXPECT_EQ(subs[2].header.timestamp, 1080);
}

TEST(Aggregate, ACutOffMessageIsDropped) {
  const Buffer body = make_body();
  size_t ends[std::size(kSubs)];
  size_t at = 0;
  for (size_t i = 0; i < std::size(kSubs); ++i) {
    at += 11 + from_hex(kSubs[i].hex).size();
    ends[i] = at;
    at += 4;
  }
  for (size_t size = 0; size <= body.size(); ++size) {
    const Exact prefix(Bytes(body).first(size));
    AggregateReader reader(kHeader, prefix);
    size_t whole = 0;
    size_t boundary = 0;
    for (size_t end : ends) {
      if (end <= size) {
        ++whole;
        boundary = end;
      }
    }
    EXPECT_EQ(read_all(reader).size(), whole) << size;
    // Between the end of a body and that of its back pointer nothing is missing that matters.
    EXPECT_EQ(reader.truncated(), size > boundary + (boundary > 0 ? 4 : 0)) << size;
  }
}

TEST(Aggregate, TrailingOctetsAreACutOffMessage) {
  const Buffer longer = testing::with_trailing(make_body(), from_hex("ffffff"));
  AggregateReader reader(kHeader, longer);
  EXPECT_EQ(read_all(reader).size(), std::size(kSubs));
  EXPECT_TRUE(reader.truncated());
}

TEST(Aggregate, WrongBackPointersAndNestedAggregates) {
  const Buffer body = from_hex(
      "08 000001 000000 00 000000 aa ffffffff"
      "16 000001 000005 00 000000 00 0000000c"
      "09 000000 00000a 00 000007    00000000");
  AggregateReader reader({MessageType::kAggregate, 1, 0, 0}, body);
  const auto subs = read_all(reader);
  ASSERT_EQ(subs.size(), 2u);
  EXPECT_EQ(subs[1].header.type, MessageType::kVideo);
  EXPECT_EQ(subs[1].header.timestamp, 10);
  EXPECT_EQ(subs[1].header.stream_id, 1u);
}

TEST(Aggregate, RefusesWhatDoesNotFit) {
  Buffer body;
  Builder out(body);
  const Buffer largest(kMaxMessageLength - 15);
  Buffer larger(kMaxMessageLength - 14);
  EXPECT_FALSE(append_to_aggregate(out, kHeader, larger));
  EXPECT_TRUE(body.empty());
  EXPECT_TRUE(append_to_aggregate(out, {MessageType::kVideo, 1, 0, 0}, largest));
  EXPECT_EQ(body.size(), kMaxMessageLength);
  EXPECT_FALSE(append_to_aggregate(out, {MessageType::kVideo, 1, 0, 0}, {}));
  EXPECT_EQ(body.size(), kMaxMessageLength);
}

}  // namespace
}  // namespace rtmp
