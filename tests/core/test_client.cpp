// SPDX-License-Identifier: LGPL-2.1-or-later
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "scripted_peer.h"
#include "session/client.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::ScriptedPeer;
using testing::TestRandom;

/// A client against a server that says what the test wants. Everything it sends is in `peer`.
class ClientTest : public ::testing::Test {
 protected:
  void begin(ClientOptions options = {}) {
    client.emplace(options, Environment{&random, nullptr, nullptr});
    end.session = &*client;
    peer.emplace(*client, handshake::Role::kServer);
    ASSERT_EQ(client->start(peer->now), Misuse::kNone);
    Connect connect;
    connect.app = "live";
    ASSERT_EQ(client->connect(connect, peer->now), Misuse::kNone);
    peer->handshake();
  }
  static Command connect_reply(double transaction_id = 1) {
    return {"_result",
            transaction_id,
            Value::object({{"fmsVer", "FMS/3,0,1,123"}}),
            {Value::object({{"level", "status"}, {"code", "NetConnection.Connect.Success"}})}};
  }
  void accept_connect() {
    peer->receive();
    peer->send(0, connect_reply());
    ASSERT_TRUE(end.take<event::Connected>());
  }
  /// transaction() is the id of the last command of that name in what the client sends now.
  double transaction(const std::string& name) {
    double found = -1;
    for (const auto& [stream_id, command] : peer->commands()) {
      if (command.name == name) {
        found = command.transaction_id;
      }
    }
    EXPECT_NE(found, -1) << name;
    return found;
  }
  void create(uint32_t id = 1) {
    peer->send(0, {"_result", transaction("createStream"), amf::Null{}, {id}});
    ASSERT_TRUE(end.take<event::StreamCreated>());
  }
  StreamHandle publishing(const std::string& name = "key") {
    StreamHandle stream = client->publish({name, PublishType::kLive}, peer->now);
    create();
    peer->receive();
    peer->send_status(1, "NetStream.Publish.Start");
    EXPECT_TRUE(end.take<event::Started>());
    return stream;
  }
  StreamHandle playing() {
    StreamHandle stream = client->play({"name", -2, -1, std::nullopt}, peer->now);
    create();
    peer->receive();
    peer->send_status(1, "NetStream.Play.Start");
    EXPECT_TRUE(end.take<event::Started>());
    return stream;
  }
  void wait(Duration duration) {
    peer->now += duration;
    client->handle_timeout(peer->now);
  }
  std::string closed_text() {
    auto closed = end.take<event::Closed>();
    EXPECT_TRUE(closed);
    return closed && closed->error ? closed->error->text : "";
  }

  TestRandom random{1};
  std::optional<Client> client;
  std::optional<ScriptedPeer> peer;
  testing::Endpoint end;
};

// ---- flights ----

TEST_F(ClientTest, ConnectComesBehindSetChunkSize) {
  begin();
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].header.type, MessageType::kSetChunkSize);
  EXPECT_EQ(messages[0].chunk_stream_id, 2u);
  auto connect = parse_command(messages[1].body);
  ASSERT_TRUE(connect);
  EXPECT_EQ(connect->name, "connect");
  EXPECT_EQ(connect->transaction_id, 1);
  EXPECT_EQ(messages[1].header.stream_id, 0u);
  EXPECT_EQ(messages[1].chunk_stream_id, 3u);
}

TEST_F(ClientTest, PublishTakesThreeFlightsBehindConnect) {
  begin();
  client->publish({"key?a=b", PublishType::kRecord}, peer->now);
  EXPECT_EQ(peer->names(), "connect");
  peer->send(0, connect_reply());
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0].header.type, MessageType::kWindowAckSize);
  std::vector<std::string> names;
  double create = 0;
  for (size_t i = 1; i < messages.size(); i++) {
    auto command = parse_command(messages[i].body);
    ASSERT_TRUE(command);
    EXPECT_EQ(messages[i].header.stream_id, 0u);
    names.push_back(command->name);
    create = command->transaction_id;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"releaseStream", "FCPublish", "createStream"}));

  peer->send(0, {"_result", create, amf::Null{}, {9}});
  auto created = end.take<event::StreamCreated>();
  ASSERT_TRUE(created);
  EXPECT_EQ(created->id, 9u);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].first, 9u);
  auto request = parse_request(commands[0].second);
  ASSERT_TRUE(request && std::holds_alternative<Publish>(*request));
  EXPECT_EQ(std::get<Publish>(*request).name, "key?a=b");
  EXPECT_EQ(std::get<Publish>(*request).type, PublishType::kRecord);
}

TEST_F(ClientTest, PlaySendsLengthPlayAndBufferLengthTogether) {
  ClientOptions options;
  options.ask_length = true;
  options.subscribe = true;
  options.buffer_length_ms = 3000;
  begin(options);
  accept_connect();
  StreamHandle stream = client->play({"mp4:x", 10, -1, std::nullopt}, peer->now);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 2u);
  EXPECT_EQ(commands[0].second.name, "createStream");
  EXPECT_EQ(commands[1].second.name, "FCSubscribe");
  peer->send(0, {"_result", commands[0].second.transaction_id, amf::Null{}, {1}});
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].header.type, MessageType::kUserControl);
  auto control = parse_user_control(messages[0].body);
  ASSERT_TRUE(control);
  EXPECT_EQ(control->type, UserControlType::kSetBufferLength);
  EXPECT_EQ(control->stream_id, 1u);
  EXPECT_EQ(control->value, 3000u);
  auto length = parse_command(messages[1].body);
  ASSERT_TRUE(length);
  EXPECT_EQ(length->name, "getStreamLength");
  auto play = parse_command(messages[2].body);
  ASSERT_TRUE(play);
  EXPECT_EQ(play->name, "play");
  EXPECT_EQ(messages[2].header.stream_id, 1u);
  EXPECT_EQ(play->arguments, (std::vector<Value>{"mp4:x", 10000}));

  peer->send(0, {"_result", length->transaction_id, amf::Null{}, {63.5}});
  auto told = end.take<event::StreamLength>();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->stream, stream);
  EXPECT_EQ(told->seconds, 63.5);
}

TEST_F(ClientTest, StrictOrderWaitsForEachAnswer) {
  ClientOptions options;
  options.strict_order = true;
  begin(options);
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  peer->send(0, {"_result", transaction("releaseStream"), amf::Null{}, {Value()}});
  double fc_publish = transaction("FCPublish");
  EXPECT_EQ(peer->names(), "");
  // Refused is answered.
  peer->send(0, {"_error", fc_publish, amf::Null{}, {Value()}});
  double create = transaction("createStream");
  peer->send(0, {"_result", create, amf::Null{}, {1}});
  EXPECT_EQ(peer->names(), "publish");
}

TEST_F(ClientTest, StrictOrderGoesOnWithoutAnswers) {
  ClientOptions options;
  options.strict_order = true;
  options.subscribe = true;
  begin(options);
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  EXPECT_EQ(peer->names(), "releaseStream");
  EXPECT_EQ(client->next_timeout(), peer->now + 1s);
  wait(1s);
  EXPECT_EQ(peer->names(), "FCPublish");
  wait(1s);
  create();
  EXPECT_EQ(peer->names(), "publish");

  client->play({"name", -2, -1, std::nullopt}, peer->now);
  create(2);
  EXPECT_EQ(peer->names(), "FCSubscribe");
  wait(1s);
  EXPECT_EQ(peer->names(), "play");
  EXPECT_FALSE(end.take<event::Closed>());
}

TEST_F(ClientTest, FmleCommandsCanBeLeftOut) {
  ClientOptions options;
  options.fmle_commands = false;
  begin(options);
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  EXPECT_EQ(peer->names(), "createStream");
  peer->send(0, {"onBWDone", 0, amf::Null{}, {}});
  EXPECT_EQ(peer->names(), "");
}

// ---- connect ----

TEST_F(ClientTest, ConnectedTellsWhatTheServerSaid) {
  begin();
  peer->receive();
  peer->send(0, connect_reply());
  auto connected = end.take<event::Connected>();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->properties.find_text("fmsVer"), "FMS/3,0,1,123");
  EXPECT_EQ(connected->status.code, StatusCode::kConnectSuccess);
}

TEST_F(ClientTest, ConnectSurvivesOddReplies) {
  const Command replies[] = {
      connect_reply(0),   // no transaction id
      connect_reply(17),  // somebody else's
      {"_result", 1, amf::Null{}, {}},
      {"_result", 1, amf::Null{}, {Value::ecma_array({{"code", "NetConnection.Connect.Success"}})}},
  };
  for (const Command& reply : replies) {
    begin();
    client->publish({"key", PublishType::kLive}, peer->now);
    peer->receive();
    peer->send(0, reply);
    EXPECT_TRUE(end.take<event::Connected>());
    EXPECT_EQ(peer->names(), "releaseStream FCPublish createStream");
  }
}

TEST_F(ClientTest, ConnectRefused) {
  Value info =
      Value::object({{"level", "error"},
                     {"code", "NetConnection.Connect.Rejected"},
                     {"description", "moved"},
                     {"ex", Value::object({{"code", 302}, {"redirect", "rtmp://b/live"}})}});
  const Command refusals[] = {
      {"_error", 1, amf::Null{}, {info}},
      {"_error", 0, amf::Null{}, {info}},
      {"_result", 1, amf::Null{}, {info}},
      {"onStatus", 0, amf::Null{}, {info}},
      {"_error", 1, info, {}},
  };
  for (const Command& refusal : refusals) {
    begin();
    client->publish({"key", PublishType::kLive}, peer->now);
    peer->receive();
    peer->send(0, refusal);
    auto refused = end.take<event::Refused>();
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->stream, kNoStream);
    EXPECT_EQ(refused->status.code, StatusCode::kConnectRejected);
    EXPECT_EQ(refused->status.description, "moved");
    const Value* ex = refused->status.info.find("ex");
    ASSERT_TRUE(ex);
    EXPECT_EQ(ex->find_text("redirect"), "rtmp://b/live");
    EXPECT_EQ(closed_text(), "");
    EXPECT_EQ(client->state(), SessionState::kClosed);
  }
  begin();
  peer->receive();
  peer->send(0, {"_error", 1, amf::Null{}, {}});
  auto bare = end.take<event::Refused>();
  ASSERT_TRUE(bare);
  EXPECT_TRUE(bare->status.is_error());
  EXPECT_EQ(bare->status.code, StatusCode::kConnectRejected);
}

TEST_F(ClientTest, ClosedInsteadOfAnAnswer) {
  begin();
  client->receive_end(peer->now);
  EXPECT_EQ(closed_text(), "The server closed the connection instead of answering connect");

  begin();
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  client->receive_end(peer->now);
  EXPECT_EQ(closed_text(), "The server closed the connection instead of answering createStream");

  begin();
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  create();
  client->receive_end(peer->now);
  EXPECT_EQ(closed_text(), "The server closed the connection instead of answering publish");

  begin();
  accept_connect();
  playing();
  client->receive_end(peer->now);
  EXPECT_EQ(closed_text(), "The server closed the connection while playing");

  // With nothing under way it may.
  begin();
  accept_connect();
  client->receive_end(peer->now);
  auto closed = end.take<event::Closed>();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->error);
}

// ---- deadlines ----

TEST_F(ClientTest, EachStepHasItsDeadline) {
  begin();
  EXPECT_EQ(client->next_timeout(), peer->now + 5s);
  wait(5s - 1ns);
  EXPECT_EQ(client->state(), SessionState::kOpen);
  wait(1ns);
  EXPECT_EQ(closed_text(), "No answer to connect");

  begin();
  accept_connect();
  EXPECT_FALSE(client->next_timeout());
  client->publish({"key", PublishType::kLive}, peer->now);
  wait(5s);
  EXPECT_EQ(closed_text(), "No answer to createStream");

  begin();
  accept_connect();
  client->publish({"key", PublishType::kLive}, peer->now);
  create();
  wait(5s);
  EXPECT_EQ(closed_text(), "No answer to publish");

  begin();
  accept_connect();
  client->play({"name", -2, -1, std::nullopt}, peer->now);
  create();
  wait(5s);
  EXPECT_EQ(closed_text(), "No answer to play");

  begin();
  accept_connect();
  publishing();
  EXPECT_FALSE(client->next_timeout());
}

TEST_F(ClientTest, NoDeadlinesWhenTheyAreZero) {
  ClientOptions options;
  options.command_timeout = 0s;
  options.handshake_timeout = 0s;
  begin(options);
  client->publish({"key", PublishType::kLive}, peer->now);
  EXPECT_FALSE(client->next_timeout());
  accept_connect();
  EXPECT_FALSE(client->next_timeout());
  create();
  EXPECT_FALSE(client->next_timeout());
}

// ---- starting ----

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

// ---- later ----

TEST_F(ClientTest, LaterStatusIsTold) {
  begin();
  accept_connect();
  StreamHandle stream = playing();
  for (StatusCode code : {StatusCode::kPlayUnpublishNotify, StatusCode::kPlayStop,
                          StatusCode::kPauseNotify, StatusCode::kSeekFailed}) {
    peer->send_status(1, std::string(code_name(code)));
    auto status = end.take<event::StreamStatus>();
    ASSERT_TRUE(status);
    EXPECT_EQ(status->stream, stream);
    EXPECT_EQ(status->status.code, code);
  }
  peer->send_status(0, "NetConnection.Connect.ReconnectRequest");
  auto reconnect = end.take<event::StreamStatus>();
  ASSERT_TRUE(reconnect);
  EXPECT_EQ(reconnect->stream, kNoStream);
}

TEST_F(ClientTest, StatusInDataMessages) {
  begin();
  accept_connect();
  StreamHandle stream = playing();
  for (auto [handler, code] : {std::pair{"onPlayStatus", "NetStream.Play.Complete"},
                               std::pair{"onStatus", "NetStream.Data.Start"}}) {
    peer->send_values(MessageType::kDataAmf0, 1,
                      {handler, Value::object({{"code", code}, {"duration", 12.5}})});
    auto status = end.take<event::StreamStatus>();
    ASSERT_TRUE(status) << handler;
    EXPECT_EQ(status->stream, stream);
    EXPECT_EQ(status->status.code_text, code);
    EXPECT_EQ(status->status.info.find_number("duration"), 12.5);
    EXPECT_FALSE(end.take<event::Media>());
  }
  peer->send_values(MessageType::kDataAmf0, 1, {"onMetaData", Value::ecma_array({})});
  EXPECT_TRUE(end.take<event::Media>());
}

TEST_F(ClientTest, StreamEofIsAControlEvent) {
  begin();
  accept_connect();
  StreamHandle stream = playing();
  peer->send_control(stream_event(UserControlType::kStreamEof, 1));
  auto control = end.take<event::Control>();
  ASSERT_TRUE(control);
  EXPECT_EQ(control->control.type, UserControlType::kStreamEof);
  EXPECT_EQ(control->stream, stream);
}

TEST_F(ClientTest, MediaOnAnotherStreamIdIsTheOnlyPlayers) {
  begin();
  accept_connect();
  StreamHandle stream = playing();
  const uint8_t frame[] = {0xAF, 1, 2};
  for (uint32_t id : {0u, 1u, 5u}) {
    peer->send(MessageType::kAudio, id, frame);
    auto media = end.take<event::Media>();
    ASSERT_TRUE(media) << id;
    EXPECT_EQ(media->stream, stream);
  }
  client->play({"second", -2, -1, std::nullopt}, peer->now);
  create(2);
  peer->send_status(2, "NetStream.Play.Start");
  peer->send(MessageType::kAudio, 5, frame);
  EXPECT_FALSE(end.take<event::Media>());
}

TEST_F(ClientTest, BandwidthCheckIsPlayedAlong) {
  begin();
  accept_connect();
  peer->send(0, {"onBWDone", 0, amf::Null{}, {8192}});
  double check = transaction("_checkbw");
  peer->send(0, {"onBWCheck", 7, amf::Null{}, {"payload"}});
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].second.name, "_result");
  EXPECT_EQ(commands[0].second.transaction_id, 7);
  peer->send(0, {"_error", check, amf::Null{}, {}});
  peer->send(0, {"onBWDone", 0, amf::Null{}, {}});
  peer->send(0, {"_onbwdone", 0, amf::Null{}, {}});
  EXPECT_EQ(peer->names(), "");
  EXPECT_EQ(end.count<event::OtherCommand>(), 0u);
}

TEST_F(ClientTest, CallsAreAnswered) {
  begin();
  EXPECT_EQ(client->call("early", amf::Null{}, {}, peer->now), 0);
  accept_connect();
  double first = client->call("first", amf::Null{}, {1}, peer->now);
  double second = client->call("second", Value::object({}), {}, peer->now);
  EXPECT_NE(first, 0);
  EXPECT_NE(first, second);
  EXPECT_EQ(peer->names(), "first second");
  peer->send(0, {"_error", second, amf::Null{}, {}});
  peer->send(0, {"_result", first, amf::Null{}, {"yes"}});
  auto reply = end.take<event::Reply>();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->transaction_id, second);
  EXPECT_FALSE(reply->ok);
  reply = end.take<event::Reply>();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->transaction_id, first);
  EXPECT_TRUE(reply->ok);
  EXPECT_EQ(reply->command.arguments, std::vector<Value>{"yes"});
  // Answered twice: nobody waits.
  peer->send(0, {"_result", first, amf::Null{}, {"again"}});
  EXPECT_FALSE(end.take<event::Reply>());
  EXPECT_TRUE(end.take<event::OtherCommand>());
}

TEST_F(ClientTest, PendingCallsAreBounded) {
  ClientOptions options;
  options.limits.max_pending_commands = 3;
  begin(options);
  accept_connect();
  for (int i = 0; i < 3; i++) {
    EXPECT_NE(client->call("x", amf::Null{}, {}, peer->now), 0);
  }
  EXPECT_EQ(client->call("x", amf::Null{}, {}, peer->now), 0);
}

TEST_F(ClientTest, RequestsOfAPlayer) {
  begin();
  accept_connect();
  StreamHandle stream = playing();
  peer->receive();
  const Request allowed[] = {Pause{true, 10},
                             Seek{5000},
                             ReceiveAudio{false},
                             ReceiveVideo{true},
                             Play{"other", -2, -1, true},
                             Play2{}};
  for (const Request& request : allowed) {
    ASSERT_EQ(client->request(stream, request, peer->now), Misuse::kNone);
    auto commands = peer->commands();
    ASSERT_EQ(commands.size(), 1u);
    EXPECT_EQ(commands[0].first, 1u);
    EXPECT_EQ(commands[0].second.transaction_id, 0);
    EXPECT_EQ(commands[0].second.name, to_command(request, 0).name);
  }
  EXPECT_EQ(client->request(stream, GetStreamLength{"x"}, peer->now), Misuse::kNone);
  EXPECT_EQ(client->request(stream, Publish{}, peer->now), Misuse::kInvalid);
  EXPECT_EQ(client->request(stream, DeleteStream{1}, peer->now), Misuse::kInvalid);
  EXPECT_EQ(client->request(99, Pause{}, peer->now), Misuse::kUnknownStream);
  EXPECT_EQ(client->set_buffer_length(stream, 5, peer->now), Misuse::kNone);
  EXPECT_EQ(client->set_buffer_length(99, 5, peer->now), Misuse::kUnknownStream);
}

// ---- closing ----

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

// ---- several streams ----

TEST_F(ClientTest, StreamsHaveChunkStreamsOfTheirOwn) {
  begin();
  accept_connect();
  std::set<uint32_t> seen;
  for (uint32_t id = 1; id <= 7; id++) {
    StreamHandle stream = client->publish({"key" + std::to_string(id), {}}, peer->now);
    create(id);
    peer->receive();
    peer->send_status(id, "NetStream.Publish.Start");
    ASSERT_TRUE(end.take<event::Started>());
    const uint8_t body[] = {1, 2, 3};
    for (MessageType type : {MessageType::kAudio, MessageType::kVideo, MessageType::kDataAmf0}) {
      ASSERT_EQ(client->send_media(stream, type, 0, testing::copy_payload(body), 0, peer->now),
                Misuse::kNone);
    }
    ASSERT_EQ(client->send_command(stream, {"x", 0, amf::Null{}, {}}, peer->now), Misuse::kNone);
    for (const auto& message : peer->receive()) {
      EXPECT_EQ(message.header.stream_id, id);
      EXPECT_TRUE(seen.insert(message.chunk_stream_id).second) << message.chunk_stream_id;
      EXPECT_GT(message.chunk_stream_id, 3u);
      EXPECT_LT(message.chunk_stream_id, 64u);
    }
  }
  EXPECT_EQ(seen.size(), 28u);
}

TEST_F(ClientTest, StreamsAreBounded) {
  ClientOptions options;
  options.limits.max_streams = 2;
  begin(options);
  accept_connect();
  StreamHandle first = publishing("a");
  EXPECT_NE(client->create_stream(peer->now), kNoStream);
  EXPECT_EQ(client->create_stream(peer->now), kNoStream);
  EXPECT_EQ(client->close_stream(first, {}, peer->now), Misuse::kNone);
  peer->receive();
  wait(1s);
  StreamHandle third = client->create_stream(peer->now);
  EXPECT_GT(third, first);
}

// ---- misuse ----

TEST_F(ClientTest, MisuseHasNoEffect) {
  TestRandom source(1);
  Time now{};
  Client early({}, {&source, nullptr, nullptr});
  EXPECT_EQ(early.connect({}, now), Misuse::kWrongState);
  EXPECT_EQ(early.publish({}, now), kNoStream);
  EXPECT_EQ(early.send_control({}, now), Misuse::kWrongState);
  EXPECT_EQ(early.ping(now), Misuse::kWrongState);
  EXPECT_FALSE(early.poll());
  EXPECT_EQ(early.start(now), Misuse::kNone);
  EXPECT_EQ(early.start(now), Misuse::kWrongState);
  EXPECT_EQ(early.publish({}, now), kNoStream);  // no connect()
  EXPECT_EQ(early.connect({}, now), Misuse::kNone);
  EXPECT_EQ(early.connect({}, now), Misuse::kWrongState);
  EXPECT_EQ(early.send_command(kNoStream, {}, now), Misuse::kWrongState);
  early.close();
  EXPECT_TRUE(early.poll());
  EXPECT_FALSE(early.poll());
  early.close();
  EXPECT_FALSE(early.poll());
  EXPECT_EQ(early.publish({}, now), kNoStream);

  Client without_random({}, {});
  EXPECT_EQ(without_random.start(now), Misuse::kInvalid);
  ClientOptions options;
  options.chunk_size = 127;
  Client small_chunks(options, {&source, nullptr, nullptr});
  EXPECT_EQ(small_chunks.start(now), Misuse::kInvalid);

  begin();
  accept_connect();
  StreamHandle stream = publishing();
  EXPECT_EQ(client->send_media(stream, MessageType::kCommandAmf0, 0, {}, 0, peer->now),
            Misuse::kInvalid);
  EXPECT_EQ(client->send_media(99, MessageType::kAudio, 0, {}, 0, peer->now),
            Misuse::kUnknownStream);
  EXPECT_EQ(client->send_message(MessageType::kSetChunkSize, 0, 0, {}, peer->now),
            Misuse::kInvalid);
  EXPECT_EQ(client->send_message(MessageType::kSharedObjectAmf0, 55, 0, {}, peer->now),
            Misuse::kUnknownStream);
  EXPECT_EQ(client->set_chunk_size(1), Misuse::kInvalid);
  EXPECT_EQ(client->request(stream, Pause{}, peer->now), Misuse::kWrongState);
  EXPECT_EQ(client->close_stream(99, {}, peer->now), Misuse::kUnknownStream);
  Command cycle{"x", 0, amf::Null{}, {Value(Value::Storage(amf::Cycle{3}))}};
  EXPECT_EQ(client->send_command(kNoStream, cycle, peer->now), Misuse::kInvalid);
  EXPECT_EQ(client->call("x", amf::Null{}, cycle.arguments, peer->now), 0);
  EXPECT_TRUE(peer->receive().empty());
  EXPECT_EQ(client->state(), SessionState::kOpen);
}

}  // namespace
}  // namespace rtmp
