// SPDX-License-Identifier: LGPL-2.1-or-later
// Streams of a client up to their start: createStream, publish and play, and what servers answer.
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "client_testing.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::ClientTest;

TEST_F(ClientTest, PublishStartComesInManyShapes) {
  struct {
    uint32_t stream_id;
    double transaction_id;
  } const cases[] = {{1, 0}, {0, 0}, {1, 5}, {0, 5}, {77, 0}, {1, 999}};
  for (const auto& shape : cases) {
    begin();
    accept_connect();
    StreamHandle stream = client->publish({"key", PublishType::kLive}, peer->now);
    create();
    peer->send_status(shape.stream_id, "NetStream.Publish.Start", shape.transaction_id);
    auto started = end.take<event::Started>();
    ASSERT_TRUE(started) << shape.stream_id << ' ' << shape.transaction_id;
    EXPECT_EQ(started->stream, stream);
    EXPECT_EQ(started->status.code, StatusCode::kPublishStart);
    EXPECT_FALSE(client->next_timeout());
  }
}

TEST_F(ClientTest, AResultToPublishStartsIt) {
  begin();
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  create();
  peer->send(0, {"_result", transaction("publish"), amf::Null{}, {Value()}});
  EXPECT_TRUE(end.take<event::Started>());
  // Started comes once; what else is said is a status.
  peer->send_status(1, "NetStream.Publish.Start");
  EXPECT_FALSE(end.take<event::Started>());
  EXPECT_TRUE(end.take<event::StreamStatus>());
}

TEST_F(ClientTest, PublishRefused) {
  for (const char* code : {"NetStream.Publish.BadName", "NetStream.Publish.Denied",
                           "NetStream.Publish.Unauthorized", "Vendor.Publish.Failed"}) {
    for (uint32_t stream_id : {0u, 1u}) {
      begin();
      accept_connect();
      StreamHandle stream = client->publish({"key", PublishType::kLive}, peer->now);
      create();
      peer->receive();
      peer->send_status(stream_id, code);  // with level "status": the code tells
      auto refused = end.take<event::Refused>();
      ASSERT_TRUE(refused) << code;
      EXPECT_EQ(refused->stream, stream);
      EXPECT_EQ(refused->status.code_text, code);
      EXPECT_FALSE(client->next_timeout());
      EXPECT_EQ(client->send_media(stream, MessageType::kAudio, 0, {}, 0, peer->now),
                Misuse::kWrongState);
      // It can still be closed.
      EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
    }
  }
  begin();
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  create();
  peer->send(0, {"_error", transaction("publish"), amf::Null{}, {}});
  auto refused = end.take<event::Refused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status.code, StatusCode::kPublishFailed);
}

TEST_F(ClientTest, PlayStartsByStartNotifyOrMedia) {
  begin();
  accept_connect();
  playing();

  // nginx-rtmp with publish_notify, librtmp's other success.
  begin();
  accept_connect();
  client->play({"name", -2, -1, std::nullopt}, peer->now);
  create();
  peer->send_status(1, "NetStream.Play.PublishNotify");
  ASSERT_TRUE(end.take<event::Started>());

  // ZLMediaKit, SRS, FMS: Reset, then Start.
  begin();
  accept_connect();
  client->play({"name", -2, -1, std::nullopt}, peer->now);
  create();
  peer->send_status(1, "NetStream.Play.Reset");
  EXPECT_FALSE(end.take<event::Started>());
  auto reset = end.take<event::StreamStatus>();
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->status.code, StatusCode::kPlayReset);
  peer->send_status(1, "NetStream.Play.Start");
  ASSERT_TRUE(end.take<event::Started>());
  EXPECT_FALSE(end.take<event::StreamStatus>());

  // Reset and nothing more.
  begin();
  accept_connect();
  client->play({"name", -2, -1, std::nullopt}, peer->now);
  create();
  peer->send_status(1, "NetStream.Play.Reset");
  wait(5s);
  auto late = end.take<event::Started>();
  ASSERT_TRUE(late);
  EXPECT_EQ(late->status.code, StatusCode::kPlayReset);

  // Reset, then no such stream.
  begin();
  accept_connect();
  client->play({"name", -2, -1, std::nullopt}, peer->now);
  create();
  peer->send_status(1, "NetStream.Play.Reset");
  peer->send_status(1, "NetStream.Play.StreamNotFound");
  auto refused = end.take<event::Refused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status.code, StatusCode::kPlayStreamNotFound);

  // Media and no word.
  begin();
  accept_connect();
  StreamHandle stream = client->play({"name", -2, -1, std::nullopt}, peer->now);
  create();
  peer->send_values(MessageType::kDataAmf0, 1, {"|RtmpSampleAccess", true, true});
  EXPECT_FALSE(end.take<event::Started>());
  const uint8_t frame[] = {0xAF, 1, 2};
  peer->send(MessageType::kAudio, 1, frame, 1234);
  auto started = end.take<event::Started>();
  ASSERT_TRUE(started);
  EXPECT_EQ(started->stream, stream);
  auto access = end.take<event::Media>();
  ASSERT_TRUE(access);
  auto media = end.take<event::Media>();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->timestamp, 1234);
  EXPECT_EQ(media->type, MessageType::kAudio);
  peer->send_status(1, "NetStream.Play.Start");
  EXPECT_FALSE(end.take<event::Started>());
}

TEST_F(ClientTest, UnimportantAnswersDoNotMatter) {
  begin();
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 3u);
  peer->send(0, {"_error", commands[0].second.transaction_id, amf::Null{}, {"no"}});
  peer->send(0, {"_result", commands[1].second.transaction_id, amf::Null{}, {}});
  peer->send(0, {"onFCPublish", 0, amf::Null{}, {Value::object({{"code", "x"}})}});
  EXPECT_TRUE(end.take<event::OtherCommand>());
  peer->send(0, {"_result", commands[2].second.transaction_id, amf::Null{}, {1}});
  EXPECT_TRUE(end.take<event::StreamCreated>());
}

TEST_F(ClientTest, CreateStreamReplies) {
  // A transaction id of nobody, or none at all, does while only one waits.
  for (double transaction_id : {0.0, 999.0}) {
    begin();
    accept_connect();
    client->publish({"key", PublishType::kLive}, peer->now);
    peer->receive();
    peer->send(0, {"_result", transaction_id, amf::Null{}, {4}});
    auto created = end.take<event::StreamCreated>();
    ASSERT_TRUE(created);
    EXPECT_EQ(created->id, 4u);
  }
  // Not when two wait.
  begin();
  accept_connect();
  client->publish({"a", PublishType::kLive}, peer->now);
  client->publish({"b", PublishType::kLive}, peer->now);
  peer->receive();
  peer->send(0, {"_result", 999, amf::Null{}, {4}});
  EXPECT_FALSE(end.take<event::StreamCreated>());
  EXPECT_TRUE(end.take<event::OtherCommand>());

  // Refused, unusable, or the id of another stream: the handle ends.
  for (int i = 0; i < 4; i++) {
    begin();
    accept_connect();
    if (i == 3) {
      publishing();
    }
    StreamHandle stream = client->create_stream(peer->now);
    double id = transaction("createStream");
    const Command replies[] = {{"_error", id, amf::Null{}, {}},
                               {"_result", id, amf::Null{}, {"x"}},
                               {"_result", id, amf::Null{}, {0}},
                               {"_result", id, amf::Null{}, {1}}};
    peer->send(0, replies[i]);
    auto refused = end.take<event::Refused>();
    ASSERT_TRUE(refused) << i;
    EXPECT_EQ(refused->stream, stream);
    EXPECT_TRUE(refused->status.is_error());
    EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kUnknownStream);
    EXPECT_FALSE(end.take<event::Closed>());
  }
}

// A stream id can only be for createStream, whichever command's transaction id comes with it.
TEST_F(ClientTest, CreateStreamIsAnsweredUnderAnotherTransactionId) {
  for (const char* mistaken : {"releaseStream", "FCPublish"}) {
    SCOPED_TRACE(mistaken);
    begin();
    accept_connect();
    StreamHandle stream = client->publish({"key", PublishType::kLive}, peer->now);
    std::map<std::string, double> ids;
    for (const auto& [stream_id, command] : peer->commands()) {
      ids[command.name] = command.transaction_id;
    }
    peer->send(0, {"_result", ids[mistaken], amf::Null{}, {5}});
    auto created = end.take<event::StreamCreated>();
    ASSERT_TRUE(created);
    EXPECT_EQ(created->stream, stream);
    EXPECT_EQ(created->id, 5u);
    EXPECT_EQ(peer->names(), "publish");
    // The right answer comes late, and changes nothing.
    peer->send(0, {"_result", ids["createStream"], amf::Null{}, {5}});
    EXPECT_FALSE(end.take<event::StreamCreated>());
    EXPECT_FALSE(end.take<event::Refused>());
  }
}

TEST_F(ClientTest, ReleaseStreamIsAnsweredWithNoStream) {
  begin();
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  double id = transaction("releaseStream");
  peer->send(0, {"_result", id, amf::Null{}, {Value()}});
  EXPECT_FALSE(end.take<event::StreamCreated>());
  peer->send(0, {"_result", id + 1, amf::Null{}, {true}});
  EXPECT_FALSE(end.take<event::StreamCreated>());
  peer->send(0, {"_result", id + 2, amf::Null{}, {1}});
  EXPECT_TRUE(end.take<event::StreamCreated>());
}

TEST_F(ClientTest, PublishesDataOfType15) {
  begin();
  accept_connect();
  StreamHandle stream = publishing();
  const Buffer body = {0, 0x11, 0x06, 0x03, 'x'};
  ASSERT_EQ(client->send_media(stream, MessageType::kDataAmf3, 40, testing::copy_payload(body), 0,
                               peer->now),
            Misuse::kNone);
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].header.type, MessageType::kDataAmf3);
  EXPECT_EQ(messages[0].header.timestamp, 40);
  EXPECT_EQ(messages[0].body, body);
}

TEST_F(ClientTest, AStreamWithoutPurposeIsIdle) {
  begin();
  accept_connect();
  StreamHandle stream = client->create_stream(peer->now);
  EXPECT_EQ(peer->names(), "createStream");
  peer->send(0, {"_result", 2, amf::Null{}, {3}});
  auto created = end.take<event::StreamCreated>();
  ASSERT_TRUE(created);
  EXPECT_EQ(created->stream, stream);
  EXPECT_FALSE(client->next_timeout());
  EXPECT_EQ(client->send_command(stream, {"custom", 0, amf::Null{}, {1}}, peer->now),
            Misuse::kNone);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].first, 3u);
}

}  // namespace
}  // namespace rtmp
