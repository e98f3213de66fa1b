// SPDX-License-Identifier: LGPL-2.1-or-later
// A client that connects: what goes out when, the answers to connect, and deadlines.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client_testing.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::ClientTest;

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

}  // namespace
}  // namespace rtmp
