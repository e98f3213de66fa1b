// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "wire/control.h"

namespace rtmp {
namespace {

using testing::Exact;
using testing::expect_truncations;
using testing::from_hex;
using testing::to_hex;
using testing::with_trailing;

const Buffer kTrailing = {0xFF, 0x00, 0xFF};

struct NumberCase {
  const char* name;
  Result<uint32_t> (*parse)(Bytes);
  void (*write)(Builder&, uint32_t);
  uint32_t value;
  const char* hex;
};

const NumberCase kNumbers[] = {
    {"chunk size 1", parse_set_chunk_size, write_set_chunk_size, 1, "00000001"},
    {"chunk size 4096", parse_set_chunk_size, write_set_chunk_size, 4096, "00001000"},
    {"chunk size max", parse_set_chunk_size, write_set_chunk_size, 0x7FFFFFFF, "7fffffff"},
    {"abort", parse_abort, write_abort, 65599, "0001003f"},
    {"acknowledgement", parse_acknowledgement, write_acknowledgement, 0xFEDCBA98, "fedcba98"},
    {"window", parse_window_ack_size, write_window_ack_size, 2500000, "002625a0"},
    {"window of nothing", parse_window_ack_size, write_window_ack_size, 0, "00000000"},
};

TEST(Control, NumbersReadAndWrite) {
  for (const NumberCase& c : kNumbers) {
    SCOPED_TRACE(c.name);
    const Buffer wire = from_hex(c.hex);
    auto whole = c.parse(Exact(wire));
    ASSERT_TRUE(whole);
    EXPECT_EQ(*whole, c.value);
    auto trailing = c.parse(with_trailing(wire, kTrailing));
    ASSERT_TRUE(trailing);
    EXPECT_EQ(*trailing, c.value);
    expect_truncations(wire, c.parse);

    Buffer out;
    Builder builder(out);
    c.write(builder, c.value);
    EXPECT_EQ(to_hex(out), c.hex);
  }
}

TEST(Control, ChunkSizesThatCannotBe) {
  for (const char* hex : {"00000000", "80000000", "ffffffff", "80001000"}) {
    auto result = parse_set_chunk_size(from_hex(hex));
    ASSERT_FALSE(result) << hex;
    EXPECT_EQ(result.error().kind, ErrorKind::kMalformed) << hex;
  }
}

TEST(Control, PeerBandwidth) {
  const std::pair<PeerBandwidth, const char*> cases[] = {
      {{5000000, LimitType::kHard}, "004c4b4000"},
      {{2500000, LimitType::kSoft}, "002625a001"},
      {{0xFFFFFFFF, LimitType::kDynamic}, "ffffffff02"},
  };
  for (const auto& [value, hex] : cases) {
    const Buffer wire = from_hex(hex);
    auto whole = parse_peer_bandwidth(Exact(wire));
    ASSERT_TRUE(whole) << hex;
    EXPECT_EQ(*whole, value);
    auto trailing = parse_peer_bandwidth(with_trailing(wire, kTrailing));
    ASSERT_TRUE(trailing);
    EXPECT_EQ(*trailing, value);
    expect_truncations(wire, parse_peer_bandwidth);

    Buffer out;
    Builder builder(out);
    write_peer_bandwidth(builder, value);
    EXPECT_EQ(to_hex(out), hex);
  }
  auto unknown = parse_peer_bandwidth(from_hex("002625a003"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::kMalformed);
  EXPECT_EQ(unknown.error().offset, 4u);
}

struct EventCase {
  UserControlType type;
  uint32_t stream_id;
  uint32_t value;
  const char* hex;
};

using enum UserControlType;

const EventCase kEvents[] = {
    {kStreamBegin, 1, 0, "0000 00000001"},
    {kStreamEof, 1, 0, "0001 00000001"},
    {kStreamDry, 0x01020304, 0, "0002 01020304"},
    {kSetBufferLength, 1, 3000, "0003 00000001 00000bb8"},
    {kStreamIsRecorded, 7, 0, "0004 00000007"},
    {kPingRequest, 0, 0xFFFFFFFE, "0006 fffffffe"},
    {kPingResponse, 0, 0xFFFFFFFE, "0007 fffffffe"},
    {kBufferEmpty, 1, 0, "001f 00000001"},
    {kBufferReady, 1, 0, "0020 00000001"},
};

TEST(Control, UserControlEventsReadAndWrite) {
  for (const EventCase& c : kEvents) {
    SCOPED_TRACE(c.hex);
    const Buffer wire = from_hex(c.hex);
    for (const Buffer& input : {wire, with_trailing(wire, kTrailing)}) {
      const Exact exact(input);
      auto event = parse_user_control(exact);
      ASSERT_TRUE(event);
      EXPECT_EQ(event->type, c.type);
      EXPECT_EQ(event->stream_id, c.stream_id);
      EXPECT_EQ(event->value, c.value);
      EXPECT_TRUE(event->data.empty());
    }
    expect_truncations(wire, parse_user_control);

    Buffer out;
    Builder builder(out);
    write_user_control(builder, {c.type, c.stream_id, c.value, {}});
    EXPECT_EQ(out, wire);
  }
}

TEST(Control, EventsOfOtherTypesKeepTheirData) {
  const Buffer digest(42, 0xAB);
  const std::pair<uint16_t, Bytes> cases[] = {{26, {}},
                                              {26, Bytes(digest).first(1)},
                                              {27, digest},
                                              {34, Bytes(digest).first(3)},
                                              {41, Bytes(digest).first(8)},
                                              {5, Bytes(digest).first(4)},
                                              {8, {}},
                                              {0xFFFF, digest}};
  for (const auto& [type, data] : cases) {
    Buffer wire;
    Builder builder(wire);
    write_user_control(builder, {static_cast<UserControlType>(type), 9, 9, data});
    ASSERT_EQ(wire.size(), 2 + data.size()) << type;
    auto event = parse_user_control(wire);
    ASSERT_TRUE(event) << type;
    EXPECT_EQ(static_cast<uint16_t>(event->type), type);
    EXPECT_EQ(to_hex(event->data), to_hex(data));
    EXPECT_EQ(event->stream_id, 0u);
    EXPECT_EQ(event->value, 0u);
  }
  EXPECT_FALSE(parse_user_control({}));
  EXPECT_FALSE(parse_user_control(from_hex("1b")));
}

TEST(Control, ShortHandsMakeWhatTheySay) {
  EXPECT_EQ(stream_event(kStreamEof, 5).stream_id, 5u);
  EXPECT_EQ(set_buffer_length(5, 300).value, 300u);
  EXPECT_EQ(set_buffer_length(5, 300).type, kSetBufferLength);
  EXPECT_EQ(ping(kPingResponse, 77).value, 77u);
}

}  // namespace
}  // namespace rtmp
