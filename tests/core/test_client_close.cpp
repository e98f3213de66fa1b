// SPDX-License-Identifier: LGPL-2.1-or-later
// How a client closes its streams.
#include <vector>

#include <gtest/gtest.h>

#include "client_testing.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::ClientTest;

TEST_F(ClientTest, ClosingCommandsGoBehindTheMediaInOrder) {
  begin();
  accept_connect();
  StreamHandle stream = publishing();
  const uint8_t frame[] = {0x17, 1, 0, 0, 0, 9};
  for (int i = 0; i < 5; i++) {
    ASSERT_EQ(client->send_media(stream, MessageType::kVideo, 40 * i, testing::copy_payload(frame),
                                 0, peer->now),
              Misuse::kNone);
    ASSERT_EQ(client->send_media(stream, MessageType::kAudio, 1000 + 40 * i,
                                 testing::copy_payload(frame), 0, peer->now),
              Misuse::kNone);
  }
  ASSERT_EQ(client->close_stream(stream, {true, true, true}, peer->now), Misuse::kNone);
  EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kWrongState);
  EXPECT_EQ(client->send_media(stream, MessageType::kVideo, 500, {}, 0, peer->now),
            Misuse::kWrongState);
  // The deadline runs once they have left.
  EXPECT_FALSE(client->next_timeout());
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 14u);
  for (size_t i = 0; i < 10; i++) {
    EXPECT_TRUE(messages[i].header.type == MessageType::kAudio ||
                messages[i].header.type == MessageType::kVideo)
        << i;
  }
  auto fc_unpublish = parse_command(messages[10].body);
  auto close = parse_command(messages[11].body);
  auto remove = parse_command(messages[12].body);
  ASSERT_TRUE(fc_unpublish && close && remove);
  EXPECT_EQ(fc_unpublish->name, "FCUnpublish");
  EXPECT_EQ(fc_unpublish->arguments, std::vector<Value>{"key"});
  EXPECT_EQ(messages[10].header.stream_id, 0u);
  EXPECT_EQ(close->name, "closeStream");
  EXPECT_EQ(messages[11].header.stream_id, 1u);
  EXPECT_EQ(remove->name, "deleteStream");
  EXPECT_EQ(remove->arguments, std::vector<Value>{1});
  EXPECT_EQ(messages[12].header.stream_id, 0u);
  auto ping = parse_user_control(messages[13].body);
  ASSERT_TRUE(ping);
  EXPECT_EQ(ping->type, UserControlType::kPingRequest);

  EXPECT_EQ(client->next_timeout(), peer->now + 1s);
  EXPECT_FALSE(end.take<event::StreamClosed>());
  peer->send_control(rtmp::ping(UserControlType::kPingResponse, ping->value));
  auto closed = end.take<event::StreamClosed>();
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->stream, stream);
  EXPECT_FALSE(end.take<event::RoundTrip>());
  EXPECT_FALSE(client->next_timeout());
  EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kUnknownStream);
}

TEST_F(ClientTest, AnyAnswerClosesAStream) {
  for (int i = 0; i < 5; i++) {
    begin();
    accept_connect();
    StreamHandle stream = publishing();
    ASSERT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
    auto commands = peer->commands();
    ASSERT_EQ(commands.size(), 2u);
    switch (i) {
      case 0:
        peer->send_status(1, "NetStream.Unpublish.Success");
        EXPECT_TRUE(end.take<event::StreamStatus>());
        break;
      case 1:
        peer->send(0, {"_result", commands[0].second.transaction_id, amf::Null{}, {}});
        break;
      case 2:
        peer->send(0, {"_error", commands[1].second.transaction_id, amf::Null{}, {}});
        break;
      case 3:
        wait(1s);
        break;
      default:
        client->receive_end(peer->now);
        break;
    }
    auto closed = end.take<event::StreamClosed>();
    ASSERT_TRUE(closed) << i;
    EXPECT_EQ(closed->stream, stream);
    EXPECT_EQ(end.count<event::Closed>(), i == 4 ? 1u : 0u);
  }
}

TEST_F(ClientTest, AStreamCanBeClosedAtEveryPoint) {
  // Before connect is answered.
  begin();
  StreamHandle stream = client->publish({"key", PublishType::kLive}, peer->now);
  EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
  EXPECT_TRUE(end.take<event::StreamClosed>());
  peer->receive();
  peer->send(0, connect_reply());
  EXPECT_EQ(peer->names(), "");

  // Before createStream is answered.
  stream = client->publish({"key", PublishType::kLive}, peer->now);
  EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
  create();
  EXPECT_EQ(peer->names(), "FCUnpublish deleteStream");
  wait(1s);
  EXPECT_TRUE(end.take<event::StreamClosed>());

  // ... or is refused, or never answered.
  stream = client->create_stream(peer->now);
  EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
  peer->send(0, {"_error", transaction("createStream"), amf::Null{}, {}});
  EXPECT_TRUE(end.take<event::StreamClosed>());
  stream = client->create_stream(peer->now);
  EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
  wait(5s);
  EXPECT_TRUE(end.take<event::StreamClosed>());

  // Before publish is answered; a late start does not bring it back.
  peer->receive();
  stream = client->publish({"key", PublishType::kLive}, peer->now);
  create();
  EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
  peer->send_status(1, "NetStream.Publish.Start");
  EXPECT_FALSE(end.take<event::Started>());
  wait(1ms);
  peer->receive();
  wait(1s);
  EXPECT_TRUE(end.take<event::StreamClosed>());
  EXPECT_FALSE(end.take<event::Closed>());
}

TEST_F(ClientTest, DroppedClosingCommandsDoNotHang) {
  begin();
  accept_connect();
  StreamHandle stream = publishing();
  ASSERT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
  client->writer().drop([](const OutgoingMessage&) { return true; });
  auto timeout = client->next_timeout();
  ASSERT_TRUE(timeout);
  EXPECT_LE(*timeout, peer->now);
  client->handle_timeout(peer->now);
  EXPECT_EQ(client->next_timeout(), peer->now + 1s);
  wait(1s);
  EXPECT_TRUE(end.take<event::StreamClosed>());
}

}  // namespace
}  // namespace rtmp
