// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "server_testing.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::ScriptedPeer;
using testing::ServerTest;
using testing::TestRandom;

// ---- connect ----

TEST_F(ServerTest, ConnectIsADecision) {
  begin();
  peer->send(0, {"connect",
                 1,
                 Value::object({{"app", "live"}, {"tcUrl", "rtmp://h/live"}, {"odd", 5}}),
                 {"token"}});
  auto asked = end.take<event::ConnectRequested>();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->connect.app, "live");
  EXPECT_EQ(asked->connect.tc_url, "rtmp://h/live");
  EXPECT_EQ(asked->connect.extra.size(), 1u);
  EXPECT_EQ(asked->connect.arguments, std::vector<Value>{"token"});
  // Silence is not consent.
  EXPECT_TRUE(peer->receive().empty());
  EXPECT_FALSE(server->next_timeout());

  ASSERT_EQ(server->accept_connect({{"capsEx", 15}}, peer->now), Misuse::kNone);
  EXPECT_EQ(server->accept_connect({}, peer->now), Misuse::kWrongState);
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0].header.type, MessageType::kWindowAckSize);
  EXPECT_EQ(messages[1].header.type, MessageType::kSetPeerBandwidth);
  auto bandwidth = parse_peer_bandwidth(messages[1].body);
  ASSERT_TRUE(bandwidth);
  EXPECT_EQ(bandwidth->limit_type, LimitType::kDynamic);
  EXPECT_EQ(messages[2].header.type, MessageType::kSetChunkSize);
  auto reply = parse_command(messages[3].body);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->name, "_result");
  EXPECT_EQ(reply->transaction_id, 1);
  EXPECT_EQ(reply->object.find_text("fmsVer"), "FMS/3,0,1,123");
  EXPECT_EQ(reply->object.find_number("capabilities"), 31);
  ASSERT_EQ(reply->arguments.size(), 1u);
  EXPECT_EQ(reply->arguments[0].find_text("code"), "NetConnection.Connect.Success");
  EXPECT_EQ(reply->arguments[0].find_number("objectEncoding"), 0);
  EXPECT_EQ(reply->arguments[0].find_number("capsEx"), 15);
}

TEST_F(ServerTest, InformationCanOverrideTheObjectEncoding) {
  begin();
  peer->send(0, {"connect", 1, Value::object({}), {}});
  ASSERT_EQ(server->accept_connect({{"objectEncoding", 3}}, peer->now), Misuse::kNone);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].second.arguments.at(0).find_number("objectEncoding"), 3);
}

TEST_F(ServerTest, RejectedConnectClosesOnceTold) {
  begin();
  peer->send(0, {"connect", 1, Value::object({}), {}});
  Status status = make_status(StatusCode::kConnectRejected, "go away");
  ASSERT_EQ(server->reject_connect(status, peer->now), Misuse::kNone);
  EXPECT_FALSE(end.take<event::Closed>());
  // Input does not matter any more.
  peer->send(0, {"createStream", 2, amf::Null{}, {}});
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].second.name, "_error");
  EXPECT_EQ(commands[0].second.transaction_id, 1);
  EXPECT_EQ(commands[0].second.arguments.at(0).find_text("description"), "go away");
  auto closed = end.take<event::Closed>();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->error);
  EXPECT_EQ(server->accept_connect({}, peer->now), Misuse::kWrongState);
}

TEST_F(ServerTest, RejectedConnectClosesThoughThePeerDoesNotRead) {
  begin();
  peer->send(0, {"connect", 1, Value::object({}), {}});
  ASSERT_EQ(server->reject_connect(make_status(StatusCode::kConnectRejected), peer->now),
            Misuse::kNone);
  ASSERT_EQ(server->next_timeout(), peer->now + 1s);
  server->handle_timeout(peer->now + 1s);
  EXPECT_TRUE(end.take<event::Closed>());
  // What was queued can still be sent.
  EXPECT_TRUE(server->wants_write());
}

TEST_F(ServerTest, ConnectHasToCome) {
  begin();
  ASSERT_EQ(server->next_timeout(), peer->now + 5s);
  server->handle_timeout(peer->now + 5s);
  auto closed = end.take<event::Closed>();
  ASSERT_TRUE(closed && closed->error);
  EXPECT_STREQ(closed->error->text, "No connect command");

  begin();
  peer->send(0, {"createStream", 2, amf::Null{}, {}});
  closed = end.take<event::Closed>();
  ASSERT_TRUE(closed && closed->error);
  EXPECT_EQ(closed->error->kind, ErrorKind::kUnexpected);

  connected();
  peer->send(0, {"connect", 1, Value::object({}), {}});
  closed = end.take<event::Closed>();
  ASSERT_TRUE(closed && closed->error);
  EXPECT_EQ(closed->error->kind, ErrorKind::kUnexpected);
}

TEST_F(ServerTest, ImpatientCommandsWaitForTheDecision) {
  begin();
  peer->send(0, {"connect", 1, Value::object({}), {}});
  peer->send(0, {"releaseStream", 2, amf::Null{}, {"key"}});
  peer->send(0, {"createStream", 4, amf::Null{}, {}});
  EXPECT_FALSE(end.take<event::Requested>());
  ASSERT_EQ(server->accept_connect({}, peer->now), Misuse::kNone);
  EXPECT_EQ(peer->names(), "_result _result _result");
  EXPECT_EQ(end.count<event::Requested>(), 2u);
}

TEST_F(ServerTest, ImpatienceIsBounded) {
  ServerOptions options;
  options.limits.max_pending_commands = 10;
  begin(options);
  peer->send(0, {"connect", 1, Value::object({}), {}});
  for (int i = 0; i < 10; i++) {
    peer->send(0, {"x", 0, amf::Null{}, {}});
  }
  EXPECT_FALSE(end.take<event::Closed>());
  peer->send(0, {"x", 0, amf::Null{}, {}});
  auto closed = end.take<event::Closed>();
  ASSERT_TRUE(closed && closed->error);
  EXPECT_EQ(closed->error->kind, ErrorKind::kLimit);

  begin();
  peer->send(0, {"connect", 1, Value::object({}), {}});
  peer->send(0, {"x", 0, amf::Null{}, {std::string(70000, 'x')}});
  EXPECT_TRUE(end.take<event::Closed>());
}

// ---- commands on the connection ----

TEST_F(ServerTest, FmleCommandsAreAnswered) {
  connected();
  const std::pair<const char*, const char*> cases[] = {{"releaseStream", "_result"},
                                                       {"FCPublish", "_result onFCPublish"},
                                                       {"FCUnpublish", "_result onFCUnpublish"},
                                                       {"FCSubscribe", "_result onFCSubscribe"},
                                                       {"_checkbw", "_result"}};
  for (auto [name, answers] : cases) {
    peer->send(0, {name, 2, amf::Null{}, {"key"}});
    EXPECT_EQ(peer->names(), answers);
    auto requested = end.take<event::Requested>();
    ASSERT_TRUE(requested) << name;
    EXPECT_EQ(requested->transaction_id, 2);
  }
  // "no response is needed"
  peer->send(0, {"releaseStream", 0, amf::Null{}, {"key"}});
  EXPECT_EQ(peer->names(), "");
}

TEST_F(ServerTest, StreamIdsCountFromOneAndAreUsedAgain) {
  connected();
  StreamHandle first = create(1);
  StreamHandle second = create(2);
  EXPECT_NE(first, second);
  peer->send(0, {"deleteStream", 0, amf::Null{}, {1}});
  auto requested = end.take<event::Requested>();
  ASSERT_TRUE(requested && std::holds_alternative<DeleteStream>(requested->request));
  EXPECT_EQ(requested->stream, first);
  EXPECT_EQ(server->send_status(first, make_status(StatusCode::kPlayStop), peer->now),
            Misuse::kUnknownStream);
  StreamHandle third = create(1);
  EXPECT_GT(third, second);
  peer->send(0, {"deleteStream", 0, amf::Null{}, {77}});
  EXPECT_FALSE(end.take<event::Requested>());
}

TEST_F(ServerTest, StreamsAreBounded) {
  ServerOptions options;
  options.limits.max_streams = 1;
  connected(options);
  create(1);
  peer->send(0, {"createStream", 9, amf::Null{}, {}});
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].second.name, "_error");
  EXPECT_FALSE(end.take<event::Closed>());
  // Without createStream there is nothing to refuse politely with.
  peer->send(7, {"publish", 0, amf::Null{}, {"key"}});
  EXPECT_TRUE(end.take<event::Closed>());
}

TEST_F(ServerTest, OtherCommandsAreTold) {
  connected();
  StreamHandle stream = create();
  peer->send(0, {"getStreamLength", 5, amf::Null{}, {"name"}});
  auto requested = end.take<event::Requested>();
  ASSERT_TRUE(requested && std::holds_alternative<GetStreamLength>(requested->request));
  ASSERT_EQ(server->send_reply(requested->transaction_id, true, {12.5}, peer->now), Misuse::kNone);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].second.name, "_result");
  EXPECT_EQ(commands[0].second.transaction_id, 5);
  EXPECT_EQ(commands[0].second.arguments, std::vector<Value>{12.5});

  peer->send(1, {"mystery", 6, amf::Null{}, {1}});
  auto other = end.take<event::OtherCommand>();
  ASSERT_TRUE(other);
  EXPECT_EQ(other->stream, stream);
  EXPECT_EQ(other->command.name, "mystery");
  ASSERT_EQ(server->send_reply(6, false, {}, peer->now), Misuse::kNone);
  EXPECT_EQ(peer->names(), "_error");

  peer->send(0, {"_result", 6, amf::Null{}, {1}});
  EXPECT_TRUE(end.take<event::OtherCommand>());
}

TEST_F(ServerTest, RejectedIsRejected) {
  begin();
  peer->send(0, {"connect", 1, Value::object({{"app", "live"}}), {}});
  ASSERT_EQ(server->reject_connect(make_status(StatusCode::kConnectRejected), peer->now),
            Misuse::kNone);
  EXPECT_EQ(server->reject_connect({}, peer->now), Misuse::kWrongState);
  EXPECT_EQ(server->accept_connect({}, peer->now), Misuse::kWrongState);
  EXPECT_EQ(peer->names(), "_error");
  EXPECT_EQ(server->state(), SessionState::kClosed);
}

TEST_F(ServerTest, ARejectionMayTakeForeverToLeave) {
  ServerOptions options;
  options.close_timeout = 0s;
  begin(options);
  peer->send(0, {"connect", 1, Value::object({{"app", "live"}}), {}});
  ASSERT_EQ(server->reject_connect(make_status(StatusCode::kConnectRejected), peer->now),
            Misuse::kNone);
  EXPECT_FALSE(server->next_timeout());
  server->handle_timeout(peer->now + 1h);
  EXPECT_EQ(server->state(), SessionState::kOpen);
  EXPECT_EQ(peer->names(), "_error");
  EXPECT_EQ(server->state(), SessionState::kClosed);
}

TEST_F(ServerTest, APeerBandwidthThatNobodyWouldTake) {
  ServerOptions options;
  options.peer_bandwidth = 0x80000000;
  EXPECT_EQ(Server(options, {&random, nullptr, nullptr}).start(Time{}), Misuse::kInvalid);
  options.peer_bandwidth = 0x7FFFFFFF;
  EXPECT_EQ(Server(options, {&random, nullptr, nullptr}).start(Time{}), Misuse::kNone);
}

TEST_F(ServerTest, MisuseHasNoEffect) {
  TestRandom source(1);
  Server early({}, {&source, nullptr, nullptr});
  Time now{};
  EXPECT_EQ(early.accept_connect({}, now), Misuse::kWrongState);
  EXPECT_EQ(early.reject_connect({}, now), Misuse::kWrongState);
  EXPECT_EQ(early.send_status(kNoStream, {}, now), Misuse::kWrongState);
  EXPECT_EQ(early.send_reply(1, true, {}, now), Misuse::kWrongState);
  EXPECT_EQ(early.accept_publish(RequestNumber{1}, now), Misuse::kWrongState);
  EXPECT_EQ(early.start(now), Misuse::kNone);
  EXPECT_EQ(early.start(now), Misuse::kWrongState);
  EXPECT_FALSE(early.wants_write());

  connected();
  create();
  for (RequestNumber request : {RequestNumber{0}, RequestNumber{1}}) {
    EXPECT_EQ(server->accept_publish(request, peer->now), Misuse::kWrongState);
    EXPECT_EQ(server->accept_play(request, peer->now), Misuse::kWrongState);
    EXPECT_EQ(server->reject_stream(request, {}, peer->now), Misuse::kWrongState);
  }
  EXPECT_TRUE(peer->receive().empty());
}

}  // namespace
}  // namespace rtmp
