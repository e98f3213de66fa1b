// SPDX-License-Identifier: LGPL-2.1-or-later
// The kinds of messages that a session takes apart, passes on, or refuses.
#include <gtest/gtest.h>

#include "session_testing.h"
#include "wire/aggregate.h"

namespace rtmp {
namespace {

using testing::copy_payload;
using testing::pattern;
using testing::SessionTest;

TEST_F(SessionTest, CommandsOfType17) {
  begin();
  Command command{"mystery", 3, amf::Null{}, {"x"}};
  Buffer body = {0};
  Builder out(body);
  ASSERT_TRUE(write_command(out, command));
  peer->send(MessageType::kCommandAmf3, 1, body);
  peer->send(MessageType::kCommandAmf3, 1, Bytes(body).subspan(1));  // no format octet
  // A value switched to AMF3.
  body.push_back(0x11);
  body.push_back(0x04);
  body.push_back(0x05);
  peer->send(MessageType::kCommandAmf3, 1, body);
  for (size_t count : {1u, 1u, 2u}) {
    auto other = end.take<event::OtherCommand>();
    ASSERT_TRUE(other);
    EXPECT_EQ(other->command.name, "mystery");
    EXPECT_EQ(other->command.arguments.size(), count);
  }
}

TEST_F(SessionTest, MalformedCommandsClose) {
  const Buffer bodies[] = {{}, {0x05}, {0x02, 0, 5, 'x'}, {0x02, 0, 1, 'x', 0x00, 1}};
  for (const Buffer& body : bodies) {
    begin();
    peer->send(MessageType::kCommandAmf0, 0, body);
    auto closed = end.take<event::Closed>();
    ASSERT_TRUE(closed && closed->error);
    // Everything afterwards is ignored.
    peer->send_control(rtmp::ping(UserControlType::kPingRequest, 1));
    EXPECT_TRUE(peer->receive().empty());
    EXPECT_FALSE(end.take<event::Control>());
    EXPECT_FALSE(server->next_timeout());
    EXPECT_EQ(server->ping(peer->now), Misuse::kWrongState);
  }
}

TEST_F(SessionTest, DataOfType15) {
  begin();
  Buffer body = {0, 0x02, 0, 1, 'x', 0x05};
  peer->send(MessageType::kDataAmf3, 1, body, 77);
  auto media = end.take<event::Media>();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->type, MessageType::kDataAmf0);
  EXPECT_EQ(media->timestamp, 77);
  EXPECT_EQ(Buffer(media->payload.bytes().begin(), media->payload.bytes().end()),
            Buffer(body.begin() + 1, body.end()));
  body[0] = 3;
  peer->send(MessageType::kDataAmf3, 1, body, 77);
  auto other = end.take<event::OtherMessage>();
  ASSERT_TRUE(other);
  EXPECT_EQ(other->header.type, MessageType::kDataAmf3);
  EXPECT_EQ(other->payload.size, body.size());
}

TEST_F(SessionTest, SharedObjectsAndUnknownTypesPassIntact) {
  begin();
  Buffer body = pattern(300, 5);
  for (int type : {0, 7, 16, 19, 23, 255}) {
    peer->send(static_cast<MessageType>(type), 3, body, 12);
    auto other = end.take<event::OtherMessage>();
    ASSERT_TRUE(other) << type;
    EXPECT_EQ(static_cast<int>(other->header.type), type);
    EXPECT_EQ(other->header.stream_id, 3u);
    EXPECT_EQ(other->header.timestamp, 12);
    EXPECT_EQ(Buffer(other->payload.bytes().begin(), other->payload.bytes().end()), body);
  }
  ASSERT_EQ(
      server->send_message(MessageType::kSharedObjectAmf0, 0, 5, copy_payload(body), peer->now),
      Misuse::kNone);
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].header.type, MessageType::kSharedObjectAmf0);
  EXPECT_EQ(messages[0].body, body);
}

TEST_F(SessionTest, AggregatesAreTakenApart) {
  ServerOptions options;
  options.payload_headroom = 11;
  options.payload_tailroom = 4;
  begin(options);
  Buffer body;
  Builder out(body);
  const std::pair<MessageType, int64_t> inside[] = {{MessageType::kVideo, 500},
                                                    {MessageType::kAudio, 510},
                                                    {MessageType::kSetChunkSize, 511},
                                                    {MessageType::kDataAmf0, 512},
                                                    {MessageType::kVideo, 540}};
  for (auto [type, timestamp] : inside) {
    ASSERT_TRUE(append_to_aggregate(out, {type, 9, timestamp, 0}, pattern(50, 7)));
  }
  peer->send(MessageType::kAggregate, 1, body, 10'000);
  for (auto [type, timestamp] : inside) {
    if (type == MessageType::kSetChunkSize) {
      continue;
    }
    auto media = end.take<event::Media>();
    ASSERT_TRUE(media);
    EXPECT_EQ(media->stream, stream);
    EXPECT_EQ(media->type, type);
    EXPECT_EQ(media->timestamp, 10'000 + timestamp - 500);
    EXPECT_EQ(media->payload.size, 50u);
    EXPECT_EQ(media->payload.offset, 11u);
    EXPECT_GE(media->payload.block.capacity, 65u);
    EXPECT_EQ(media->payload.bytes()[0], 7);
  }
  EXPECT_EQ(server->stats().chunk_size_in, 128u);
  EXPECT_FALSE(end.take<event::Media>());
  EXPECT_FALSE(end.take<event::Closed>());
}

TEST_F(SessionTest, EmptyMediaIsDelivered) {
  begin();
  peer->send(MessageType::kAudio, 1, {}, 5);
  auto media = end.take<event::Media>();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->payload.size, 0u);
}

}  // namespace
}  // namespace rtmp
