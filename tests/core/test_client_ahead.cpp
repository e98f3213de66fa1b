// SPDX-License-Identifier: LGPL-2.1-or-later
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "scripted_peer.h"
#include "session/client.h"

/// Asking ahead: createStream and play that go out with connect, and servers that do not like it.
namespace rtmp {
namespace {

using amf::Value;
using testing::ScriptedPeer;
using testing::TestRandom;

class ClientAheadTest : public ::testing::Test {
 protected:
  void begin(const ClientOptions& options) {
    client.emplace(options, Environment{&random, nullptr, nullptr});
    end.session = &*client;
    peer.emplace(*client, handshake::Role::kServer);
    ASSERT_EQ(client->start(peer->now), Misuse::kNone);
    Connect connect;
    connect.app = "live";
    ASSERT_EQ(client->connect(connect, peer->now), Misuse::kNone);
  }
  void begin_playing(ClientOptions options = ahead()) {
    begin(options);
    stream = client->play({"name", -2, -1, std::nullopt}, peer->now);
    peer->handshake();
  }
  void begin_publishing(ClientOptions options = ahead()) {
    begin(options);
    stream = client->publish({"key", PublishType::kLive}, peer->now);
    peer->handshake();
  }
  static ClientOptions ahead() {
    ClientOptions options;
    options.ask_ahead = true;
    return options;
  }
  /// sent() is what the client sends now: each command with its message stream id, "play:1".
  std::string sent() {
    std::string text;
    for (const auto& [stream_id, command] : peer->commands()) {
      text += (text.empty() ? "" : " ") + command.name + ":" + std::to_string(stream_id);
      ids[command.name] = command.transaction_id;
    }
    return text;
  }
  void accept_connect() {
    peer->send(0,
               {"_result",
                1,
                Value::object({}),
                {Value::object({{"level", "status"}, {"code", "NetConnection.Connect.Success"}})}});
  }
  void give_stream(uint32_t id) {
    peer->send(0, {"_result", ids["createStream"], amf::Null{}, {id}});
  }
  void refuse_stream() { peer->send(0, {"_error", ids["createStream"], amf::Null{}, {Value()}}); }
  void wait(Duration duration) {
    peer->now += duration;
    client->handle_timeout(peer->now);
  }
  std::string closed_text() {
    auto closed = end.take<event::Closed>();
    return closed && closed->error ? closed->error->text : "";
  }

  TestRandom random{1};
  std::optional<Client> client;
  std::optional<ScriptedPeer> peer;
  testing::Endpoint end;
  StreamHandle stream = kNoStream;
  std::map<std::string, double> ids;
};

TEST_F(ClientAheadTest, PlayGoesWithConnect) {
  begin_playing();
  EXPECT_EQ(sent(), "connect:0 createStream:0 play:1");
  accept_connect();
  EXPECT_TRUE(end.take<event::Connected>());
  EXPECT_EQ(sent(), "");
  give_stream(1);
  auto created = end.take<event::StreamCreated>();
  ASSERT_TRUE(created);
  EXPECT_EQ(created->id, 1u);
  EXPECT_EQ(sent(), "");
  peer->send_status(1, "NetStream.Play.Start");
  EXPECT_TRUE(end.take<event::Started>());
}

TEST_F(ClientAheadTest, PublishWaitsForItsStream) {
  begin_publishing();
  EXPECT_EQ(sent(), "connect:0 releaseStream:0 FCPublish:0 createStream:0");
  accept_connect();
  EXPECT_EQ(sent(), "");
  give_stream(1);
  EXPECT_EQ(sent(), "publish:1");
  peer->send_status(1, "NetStream.Publish.Start");
  EXPECT_TRUE(end.take<event::Started>());
}

TEST_F(ClientAheadTest, AStreamMadeAfterConnectWasSentGoesOutAtOnce) {
  begin(ahead());
  peer->handshake();
  EXPECT_EQ(sent(), "connect:0");
  stream = client->play({"name", -2, -1, std::nullopt}, peer->now);
  EXPECT_EQ(sent(), "createStream:0 play:1");
}

TEST_F(ClientAheadTest, OnlyTheFirstStreamIsPlayedAhead) {
  begin(ahead());
  client->play({"one", -2, -1, std::nullopt}, peer->now);
  client->play({"two", -2, -1, std::nullopt}, peer->now);
  peer->handshake();
  EXPECT_EQ(sent(), "connect:0 createStream:0 createStream:0");
}

TEST_F(ClientAheadTest, StrictOrderComesFirst) {
  ClientOptions options = ahead();
  options.strict_order = true;
  begin_playing(options);
  EXPECT_EQ(sent(), "connect:0");
}

TEST_F(ClientAheadTest, AnotherStreamIdIsPlayedOnAgain) {
  begin_playing();
  sent();
  double first = ids["play"];
  accept_connect();
  give_stream(5);
  EXPECT_EQ(sent(), "play:5");
  EXPECT_TRUE(end.take<event::StreamCreated>());
  // What the server thinks of the play on stream 1 matters to nobody.
  peer->send(1, {"onStatus",
                 0,
                 amf::Null{},
                 {Value::object({{"level", "error"}, {"code", "NetStream.Play.Failed"}})}});
  peer->send(0, {"_error", first, amf::Null{}, {Value()}});
  EXPECT_FALSE(end.take<event::Refused>());
  EXPECT_FALSE(end.take<event::StreamStatus>());
  peer->send_status(5, "NetStream.Play.Start");
  EXPECT_TRUE(end.take<event::Started>());
}

TEST_F(ClientAheadTest, AnAnswerOutOfTurnIsNotReliedOn) {
  begin_playing();
  sent();
  // A server that asks somebody else about connect goes on with the rest meanwhile.
  give_stream(1);
  EXPECT_FALSE(end.take<event::StreamCreated>());
  EXPECT_EQ(sent(), "");
  accept_connect();
  EXPECT_TRUE(end.take<event::Connected>());
  EXPECT_TRUE(end.take<event::StreamCreated>());
  EXPECT_EQ(sent(), "play:1");
  peer->send_status(1, "NetStream.Play.Start");
  EXPECT_TRUE(end.take<event::Started>());
}

TEST_F(ClientAheadTest, AStatusAheadOfConnectIsIgnored) {
  begin_playing();
  sent();
  peer->send(1, {"onStatus",
                 0,
                 amf::Null{},
                 {Value::object({{"level", "error"}, {"code", "NetStream.Play.StreamNotFound"}})}});
  EXPECT_FALSE(end.take<event::Refused>());
  EXPECT_FALSE(end.take<event::Closed>());
  // But it was the answer: there will be no other.
  accept_connect();
  give_stream(1);
  EXPECT_EQ(sent(), "play:1");
  peer->send_status(1, "NetStream.Play.Start");
  EXPECT_TRUE(end.take<event::Started>());
}

TEST_F(ClientAheadTest, AnErrorStatusAheadOfTheStreamMeansPlayAgain) {
  for (uint32_t on : {0u, 1u}) {
    begin_playing();
    sent();
    accept_connect();
    peer->send(on, {"onStatus",
                    0,
                    amf::Null{},
                    {Value::object({{"level", "error"}, {"code", "NetStream.Play.Failed"}})}});
    EXPECT_FALSE(end.take<event::Refused>());
    EXPECT_FALSE(end.take<event::StreamStatus>());
    give_stream(1);
    EXPECT_EQ(sent(), "play:1") << on;
    peer->send_status(1, "NetStream.Play.Start");
    EXPECT_TRUE(end.take<event::Started>());
  }
}

TEST_F(ClientAheadTest, AnErrorInsteadOfPlayAheadMeansPlayAgain) {
  for (bool connect_first : {false, true}) {
    begin_playing();
    sent();
    if (connect_first) {
      accept_connect();
    }
    peer->send(0, {"_error", ids["play"], amf::Null{}, {Value()}});
    if (!connect_first) {
      accept_connect();
    }
    give_stream(1);
    EXPECT_EQ(sent(), "play:1") << connect_first;
    EXPECT_FALSE(end.take<event::Refused>());
    // The answer to the second one stands.
    peer->send(0, {"_error", ids["play"], amf::Null{}, {Value()}});
    EXPECT_TRUE(end.take<event::Refused>());
  }
}

TEST_F(ClientAheadTest, WithoutAStrictWaitNothingIsAskedAgain) {
  ClientOptions options = ahead();
  options.strict_wait = 0s;
  begin_playing(options);
  sent();
  accept_connect();
  wait(4900ms);
  EXPECT_EQ(sent(), "");
  wait(100ms);
  EXPECT_EQ(closed_text(), "No answer to createStream");
  EXPECT_EQ(sent(), "");

  options.command_timeout = 0s;
  begin_playing(options);
  accept_connect();
  EXPECT_FALSE(client->next_timeout());
}

TEST_F(ClientAheadTest, AnErrorBeforeConnectMeansAskAgainAfterIt) {
  begin_publishing();
  sent();
  refuse_stream();
  EXPECT_EQ(sent(), "");
  accept_connect();
  EXPECT_EQ(sent(), "releaseStream:0 FCPublish:0 createStream:0");
  give_stream(1);
  EXPECT_EQ(sent(), "publish:1");
}

TEST_F(ClientAheadTest, AnErrorAfterConnectMeansAskAgain) {
  begin_playing();
  sent();
  accept_connect();
  refuse_stream();
  EXPECT_EQ(sent(), "createStream:0");
  give_stream(1);
  EXPECT_EQ(sent(), "play:1");
  EXPECT_FALSE(end.take<event::Refused>());
}

TEST_F(ClientAheadTest, ASecondErrorStands) {
  begin_playing();
  sent();
  accept_connect();
  refuse_stream();
  sent();
  refuse_stream();
  EXPECT_TRUE(end.take<event::Refused>());
}

TEST_F(ClientAheadTest, WhatTheServerDroppedIsAskedAgain) {
  begin_playing();
  sent();
  wait(3s);
  accept_connect();
  EXPECT_EQ(sent(), "");
  wait(1s);
  EXPECT_EQ(sent(), "createStream:0");
  give_stream(1);
  EXPECT_EQ(sent(), "play:1");
  // An answer to the first one, after all.
  peer->send(0, {"_result", 2, amf::Null{}, {2}});
  peer->send_status(1, "NetStream.Play.Start");
  EXPECT_TRUE(end.take<event::Started>());
}

TEST_F(ClientAheadTest, TheSubscriptionIsAskedAgainWithTheStream) {
  ClientOptions options = ahead();
  options.subscribe = true;
  begin_playing(options);
  EXPECT_EQ(sent(), "connect:0 createStream:0 FCSubscribe:0 play:1");
  accept_connect();
  wait(1s);
  EXPECT_EQ(sent(), "createStream:0 FCSubscribe:0");
  give_stream(1);
  EXPECT_EQ(sent(), "play:1");
}

/// A server that was only slow has the play as well, and a second one would disturb it.
TEST_F(ClientAheadTest, ALateAnswerToTheFirstTellsOfItsPlay) {
  for (uint32_t id : {1u, 5u}) {
    SCOPED_TRACE(id);
    begin_playing();
    sent();
    const double first = ids["createStream"];
    accept_connect();
    wait(1s);
    EXPECT_EQ(sent(), "createStream:0");
    peer->send(0, {"_result", first, amf::Null{}, {id}});
    auto created = end.take<event::StreamCreated>();
    ASSERT_TRUE(created);
    EXPECT_EQ(created->id, id);
    EXPECT_EQ(sent(), id == 1 ? "" : "play:5");
    give_stream(2);
    EXPECT_FALSE(end.take<event::StreamCreated>());
    EXPECT_EQ(sent(), "");
    peer->send_status(id, "NetStream.Play.Start");
    EXPECT_TRUE(end.take<event::Started>());
  }
}

TEST_F(ClientAheadTest, ALateErrorIsTheFirstOnes) {
  begin_playing();
  sent();
  const double first = ids["createStream"];
  accept_connect();
  wait(1s);
  EXPECT_EQ(sent(), "createStream:0");
  peer->send(0, {"_error", first, amf::Null{}, {Value()}});
  EXPECT_FALSE(end.take<event::Refused>());
  EXPECT_EQ(sent(), "");
  give_stream(1);
  EXPECT_EQ(sent(), "play:1");

  // The second one's stands, although the first has none yet.
  begin_playing();
  sent();
  accept_connect();
  wait(1s);
  EXPECT_EQ(sent(), "createStream:0");
  refuse_stream();
  EXPECT_TRUE(end.take<event::Refused>());
}

TEST_F(ClientAheadTest, AnAnswerOutOfCountIsTheSecondOnes) {
  begin_playing();
  sent();
  accept_connect();
  wait(1s);
  EXPECT_EQ(sent(), "createStream:0");
  peer->send(0, {"_result", 77, amf::Null{}, {1}});
  EXPECT_TRUE(end.take<event::StreamCreated>());
  EXPECT_EQ(sent(), "play:1");
}

TEST_F(ClientAheadTest, TheDeadlineStaysThatOfOneCommand) {
  begin_playing();
  sent();
  accept_connect();
  wait(1s);
  EXPECT_EQ(sent(), "createStream:0");
  wait(3900ms);
  EXPECT_EQ(closed_text(), "");
  wait(100ms);
  EXPECT_EQ(closed_text(), "No answer to createStream");
}

TEST_F(ClientAheadTest, AShortDeadlineLeavesNoTimeToAskAgain) {
  ClientOptions options = ahead();
  options.command_timeout = 1s;
  begin_playing(options);
  sent();
  accept_connect();
  wait(1s);
  EXPECT_EQ(closed_text(), "No answer to createStream");
}

TEST_F(ClientAheadTest, ConnectHasItsDeadline) {
  begin_playing();
  wait(5s);
  EXPECT_EQ(closed_text(), "No answer to connect");
}

TEST_F(ClientAheadTest, PlayHasItsDeadline) {
  begin_playing();
  sent();
  accept_connect();
  give_stream(1);
  wait(4900ms);
  // To a server that takes its time over a play, a second one is an error.
  EXPECT_EQ(sent(), "");
  EXPECT_EQ(closed_text(), "");
  wait(100ms);
  EXPECT_EQ(closed_text(), "No answer to play");
}

TEST_F(ClientAheadTest, TellsWhatAServerMayHaveMinded) {
  begin(ahead());
  peer->handshake();
  EXPECT_FALSE(client->asked_ahead());
  client->play({"name", -2, -1, std::nullopt}, peer->now);
  EXPECT_TRUE(client->asked_ahead());
  client->receive_end(peer->now);
  EXPECT_EQ(closed_text(), "The server closed the connection instead of answering connect");
  EXPECT_TRUE(client->asked_ahead());

  begin_playing();
  accept_connect();
  EXPECT_FALSE(client->asked_ahead());

  // What a server asks for itself it does not mind.
  begin_publishing({});
  peer->send(0, {"onBWDone", 0, amf::Null{}, {}});
  EXPECT_EQ(sent(), "connect:0 _checkbw:0");
  EXPECT_FALSE(client->asked_ahead());
}

TEST_F(ClientAheadTest, AStreamClosedBeforeConnectIsAnsweredEndsInOrder) {
  begin_publishing();
  sent();
  EXPECT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
  accept_connect();
  give_stream(1);
  EXPECT_EQ(sent(), "FCUnpublish:0 deleteStream:0");
}

}  // namespace
}  // namespace rtmp
