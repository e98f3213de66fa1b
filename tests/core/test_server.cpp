// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "scripted_peer.h"
#include "session/server.h"
#include "wire/metadata.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::ScriptedPeer;
using testing::TestRandom;

/// A server against a client that says what the test wants.
class ServerTest : public ::testing::Test {
 protected:
  void begin(ServerOptions options = {}) {
    server.emplace(options, Environment{&random, nullptr, nullptr});
    end.session = &*server;
    peer.emplace(*server, handshake::Role::kClient);
    ASSERT_EQ(server->start(peer->now), Misuse::kNone);
    peer->handshake();
    ASSERT_TRUE(end.take<event::HandshakeDone>());
  }
  void connected(ServerOptions options = {}) {
    begin(options);
    peer->send(0, {"connect", 1, Value::object({{"app", "live"}}), {}});
    ASSERT_TRUE(end.take<event::ConnectRequested>());
    ASSERT_EQ(server->accept_connect({}, peer->now), Misuse::kNone);
    peer->receive();
  }
  StreamHandle create(uint32_t expected_id = 1) {
    peer->send(0, {"createStream", 4, amf::Null{}, {}});
    auto commands = peer->commands();
    EXPECT_EQ(commands.size(), 1u);
    EXPECT_EQ(commands.at(0).second.name, "_result");
    EXPECT_EQ(commands.at(0).second.transaction_id, 4);
    EXPECT_EQ(commands.at(0).second.arguments, std::vector<Value>{expected_id});
    auto requested = end.take<event::Requested>();
    EXPECT_TRUE(requested && std::holds_alternative<CreateStream>(requested->request));
    return requested ? requested->stream : kNoStream;
  }
  StreamHandle publishing() {
    StreamHandle stream = create();
    peer->send(1, {"publish", 5, amf::Null{}, {"key", "live"}});
    EXPECT_TRUE(end.take<event::PublishRequested>());
    EXPECT_EQ(server->accept_publish(stream, peer->now), Misuse::kNone);
    peer->receive();
    return stream;
  }
  StreamHandle playing() {
    StreamHandle stream = create();
    peer->send(1, {"play", 5, amf::Null{}, {"name"}});
    EXPECT_TRUE(end.take<event::PlayRequested>());
    EXPECT_EQ(server->accept_play(stream, peer->now), Misuse::kNone);
    peer->receive();
    return stream;
  }
  static StatusCode status_code(const std::pair<uint32_t, Command>& command) {
    EXPECT_EQ(command.second.name, "onStatus");
    return command.second.arguments.empty() ? StatusCode::kUnknown
                                            : parse_status(command.second.arguments[0]).code;
  }

  TestRandom random{1};
  std::optional<Server> server;
  std::optional<ScriptedPeer> peer;
  testing::Endpoint end;
};

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

// ---- publish ----

TEST_F(ServerTest, PublishIsADecision) {
  connected();
  StreamHandle stream = create();
  peer->send(1, {"publish", 5, amf::Null{}, {"key?a=b", "append"}});
  auto asked = end.take<event::PublishRequested>();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->stream, stream);
  EXPECT_EQ(asked->publish.name, "key?a=b");
  EXPECT_EQ(asked->publish.type, PublishType::kAppend);
  EXPECT_TRUE(peer->receive().empty());
  const uint8_t frame[] = {0x17, 0};
  peer->send(MessageType::kVideo, 1, frame);
  EXPECT_FALSE(end.take<event::Media>());
  EXPECT_EQ(server->accept_play(stream, peer->now), Misuse::kWrongState);

  ASSERT_EQ(server->accept_publish(stream, peer->now), Misuse::kNone);
  EXPECT_EQ(server->accept_publish(stream, peer->now), Misuse::kWrongState);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].first, 1u);
  EXPECT_EQ(commands[0].second.transaction_id, 0);
  EXPECT_EQ(status_code(commands[0]), StatusCode::kPublishStart);
  peer->send(MessageType::kVideo, 1, frame, 40);
  auto media = end.take<event::Media>();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->stream, stream);
  EXPECT_EQ(media->timestamp, 40);
  EXPECT_EQ(server->send_media(stream, MessageType::kVideo, 0, {}, 0, peer->now),
            Misuse::kWrongState);

  peer->send(1, {"publish", 5, amf::Null{}, {"other"}});
  EXPECT_FALSE(end.take<event::PublishRequested>());
  commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(status_code(commands[0]), StatusCode::kPublishBadName);
}

TEST_F(ServerTest, PublishRejectedCanBeAskedAgain) {
  connected();
  StreamHandle stream = create();
  for (int i = 0; i < 2; i++) {
    peer->send(1, {"publish", 5, amf::Null{}, {"key"}});
    ASSERT_TRUE(end.take<event::PublishRequested>());
    ASSERT_EQ(server->reject_stream(stream, make_status(StatusCode::kPublishBadName), peer->now),
              Misuse::kNone);
    EXPECT_EQ(server->reject_stream(stream, {}, peer->now), Misuse::kWrongState);
    auto commands = peer->commands();
    ASSERT_EQ(commands.size(), 1u);
    EXPECT_EQ(status_code(commands[0]), StatusCode::kPublishBadName);
  }
  EXPECT_EQ(server->accept_publish(99, peer->now), Misuse::kUnknownStream);
}

TEST_F(ServerTest, CamerasPublishOnTheWrongStream) {
  const uint8_t frame[] = {0x17, 0};
  // On stream 0, or one never created; media on that, on 0, or on the one created and not used.
  for (uint32_t publish_on : {0u, 5u}) {
    for (uint32_t media_on : {publish_on, 0u, 1u}) {
      connected();
      create(1);
      peer->send(publish_on, {"publish", 0, amf::Null{}, {"key"}});
      auto asked = end.take<event::PublishRequested>();
      ASSERT_TRUE(asked);
      ASSERT_EQ(server->accept_publish(asked->stream, peer->now), Misuse::kNone);
      auto commands = peer->commands();
      ASSERT_EQ(commands.size(), 1u);
      EXPECT_EQ(commands[0].first, publish_on);
      peer->send(MessageType::kVideo, media_on, frame, 40);
      auto media = end.take<event::Media>();
      ASSERT_TRUE(media) << publish_on << ' ' << media_on;
      EXPECT_EQ(media->stream, asked->stream);
    }
  }
}

TEST_F(ServerTest, PublishingEnds) {
  // deleteStream takes the handle, closeStream leaves it.
  connected();
  StreamHandle stream = publishing();
  peer->send(1, {"closeStream", 0, amf::Null{}, {}});
  auto requested = end.take<event::Requested>();
  ASSERT_TRUE(requested && std::holds_alternative<CloseStream>(requested->request));
  EXPECT_EQ(requested->stream, stream);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(status_code(commands[0]), StatusCode::kUnpublishSuccess);
  const uint8_t frame[] = {0x17, 0};
  peer->send(MessageType::kVideo, 1, frame);
  EXPECT_FALSE(end.take<event::Media>());
  peer->send(1, {"publish", 5, amf::Null{}, {"key"}});
  ASSERT_TRUE(end.take<event::PublishRequested>());
  ASSERT_EQ(server->accept_publish(stream, peer->now), Misuse::kNone);
  peer->receive();
  peer->send(0, {"deleteStream", 0, amf::Null{}, {1}});
  EXPECT_TRUE(end.take<event::Requested>());
  commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(status_code(commands[0]), StatusCode::kUnpublishSuccess);
  EXPECT_EQ(server->accept_publish(stream, peer->now), Misuse::kUnknownStream);
}

TEST_F(ServerTest, TheEndOfTheTransport) {
  connected();
  publishing();
  server->receive_end(peer->now);
  auto closed = end.take<event::Closed>();
  ASSERT_TRUE(closed && closed->error);
  EXPECT_EQ(closed->error->kind, ErrorKind::kEnded);

  // Players just leave.
  connected();
  playing();
  server->receive_end(peer->now);
  closed = end.take<event::Closed>();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->error);

  begin();
  server->receive_end(peer->now);
  closed = end.take<event::Closed>();
  ASSERT_TRUE(closed && closed->error);
}

TEST_F(ServerTest, SetDataFrameIsLeftAsItIs) {
  connected();
  publishing();
  peer->send_values(MessageType::kDataAmf0, 1, {"@setDataFrame", "onMetaData", Value::object({})});
  auto media = end.take<event::Media>();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->type, MessageType::kDataAmf0);
  EXPECT_EQ(script_handler(media->payload.bytes()), "@setDataFrame");
}

TEST_F(ServerTest, DeleteStreamWithANameIsTheOnlyStreams) {
  connected();
  StreamHandle stream = publishing();
  peer->send(0, {"deleteStream", 0, amf::Null{}, {"key"}});
  auto requested = end.take<event::Requested>();
  ASSERT_TRUE(requested && std::holds_alternative<DeleteStream>(requested->request));
  EXPECT_EQ(requested->stream, stream);
  EXPECT_EQ(peer->names(), "onStatus");
  create(1);
  create(2);
  peer->send(0, {"deleteStream", 0, amf::Null{}, {"key"}});
  EXPECT_FALSE(end.take<event::Requested>());
}

// ---- play ----

TEST_F(ServerTest, PlayIsADecision) {
  connected();
  StreamHandle stream = create();
  peer->send(1, {"play", 5, amf::Null{}, {"name", -2000, -1000}});
  auto asked = end.take<event::PlayRequested>();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->stream, stream);
  EXPECT_EQ(asked->play.name, "name");
  EXPECT_EQ(asked->play.start, -2);
  EXPECT_EQ(asked->play.duration, -1);
  EXPECT_TRUE(peer->receive().empty());
  ASSERT_EQ(server->accept_play(stream, peer->now), Misuse::kNone);
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 4u);
  auto begins = parse_user_control(messages[0].body);
  ASSERT_TRUE(begins);
  EXPECT_EQ(begins->type, UserControlType::kStreamBegin);
  EXPECT_EQ(begins->stream_id, 1u);
  for (auto [i, code] :
       {std::pair{1, StatusCode::kPlayReset}, std::pair{2, StatusCode::kPlayStart}}) {
    auto command = parse_command(messages[i].body);
    ASSERT_TRUE(command);
    EXPECT_EQ(messages[i].header.stream_id, 1u);
    EXPECT_EQ(parse_status(command->arguments.at(0)).code, code);
  }
  EXPECT_EQ(messages[3].header.type, MessageType::kDataAmf0);
  EXPECT_EQ(messages[3].header.stream_id, 1u);
  EXPECT_EQ(script_handler(messages[3].body), "|RtmpSampleAccess");
  EXPECT_EQ(
      server->send_media(stream, MessageType::kVideo, 5, testing::copy_payload({}), 0, peer->now),
      Misuse::kNone);
}

TEST_F(ServerTest, PlayWithoutResetHasNone) {
  connected();
  StreamHandle stream = create();
  peer->send(1, {"play", 5, amf::Null{}, {"name", 0, -1, false}});
  ASSERT_TRUE(end.take<event::PlayRequested>());
  ASSERT_EQ(server->accept_play(stream, peer->now), Misuse::kNone);
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(status_code(commands[0]), StatusCode::kPlayStart);
}

TEST_F(ServerTest, PlayingAnotherNameIsANewDecision) {
  connected();
  StreamHandle stream = playing();
  peer->send(1, {"play", 0, amf::Null{}, {"second"}});
  auto asked = end.take<event::PlayRequested>();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->stream, stream);
  EXPECT_EQ(server->send_media(stream, MessageType::kVideo, 5, {}, 0, peer->now),
            Misuse::kWrongState);
  peer->send(1, {"play", 0, amf::Null{}, {"third"}});
  auto commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(status_code(commands[0]), StatusCode::kPlayFailed);
  ASSERT_EQ(server->reject_stream(stream, make_status(StatusCode::kPlayStreamNotFound), peer->now),
            Misuse::kNone);
}

TEST_F(ServerTest, PlayersRequestsAreTheApplications) {
  connected();
  StreamHandle stream = playing();
  const std::pair<Command, size_t> cases[] = {
      {{"pause", 0, amf::Null{}, {true, 1000}}, Request(Pause{}).index()},
      {{"seek", 0, amf::Null{}, {5000}}, Request(Seek{}).index()},
      {{"receiveAudio", 0, amf::Null{}, {false}}, Request(ReceiveAudio{}).index()},
      {{"receiveVideo", 0, amf::Null{}, {false}}, Request(ReceiveVideo{}).index()},
      {{"play2", 0, amf::Null{}, {Value::object({})}}, Request(Play2{}).index()},
  };
  for (const auto& [command, index] : cases) {
    peer->send(1, command);
    auto requested = end.take<event::Requested>();
    ASSERT_TRUE(requested) << command.name;
    EXPECT_EQ(requested->stream, stream);
    EXPECT_EQ(requested->request.index(), index);
    EXPECT_TRUE(peer->receive().empty());
  }
  peer->send_control(set_buffer_length(1, 3000));
  auto control = end.take<event::Control>();
  ASSERT_TRUE(control);
  EXPECT_EQ(control->control.type, UserControlType::kSetBufferLength);
  EXPECT_EQ(control->control.value, 3000u);
  EXPECT_EQ(control->stream, stream);
}

TEST_F(ServerTest, TheEndIsToldBehindTheMedia) {
  connected();
  StreamHandle stream = playing();
  const uint8_t frame[] = {0x27, 1, 0, 0, 0};
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(server->send_media(stream, MessageType::kVideo, 40 * i, testing::copy_payload(frame),
                                 0, peer->now),
              Misuse::kNone);
  }
  ASSERT_EQ(server->send_status(stream, make_status(StatusCode::kPlayStop), peer->now),
            Misuse::kNone);
  ASSERT_EQ(server->send_control(stream_event(UserControlType::kStreamEof, 1), peer->now),
            Misuse::kNone);
  ASSERT_EQ(server->send_status(kNoStream, make_status(StatusCode::kConnectAppShutdown), peer->now),
            Misuse::kNone);
  auto messages = peer->receive();
  ASSERT_EQ(messages.size(), 6u);
  const MessageType types[] = {MessageType::kCommandAmf0, MessageType::kVideo,
                               MessageType::kVideo,       MessageType::kVideo,
                               MessageType::kCommandAmf0, MessageType::kUserControl};
  for (size_t i = 0; i < 6; i++) {
    EXPECT_EQ(messages[i].header.type, types[i]) << i;
  }
}

TEST_F(ServerTest, TheMediaOfAPlayEndsWithIt) {
  const Command ends[] = {
      {"play", 0, amf::Null{}, {"second"}},
      {"closeStream", 0, amf::Null{}, {}},
      {"deleteStream", 0, amf::Null{}, {1}},
  };
  for (const Command& ending : ends) {
    SCOPED_TRACE(ending.name);
    connected();
    StreamHandle stream = playing();
    StreamHandle other = create(2);
    peer->send(2, {"play", 0, amf::Null{}, {"other"}});
    ASSERT_EQ(server->accept_play(other, peer->now), Misuse::kNone);
    peer->receive();
    const Buffer frame(10'000, 0x27);
    auto send = [&](StreamHandle to, MessageType type) {
      ASSERT_EQ(server->send_media(to, type, 40, testing::copy_payload(frame), 0, peer->now),
                Misuse::kNone);
    };
    send(stream, MessageType::kVideo);
    Bytes begun;
    ASSERT_EQ(server->gather({&begun, 1}, 1), 1u);
    send(stream, MessageType::kVideo);
    send(stream, MessageType::kAudio);
    send(stream, MessageType::kDataAmf0);
    ASSERT_EQ(server->send_status(stream, make_status(StatusCode::kPlayStop), peer->now),
              Misuse::kNone);
    ASSERT_EQ(server->send_control(stream_event(UserControlType::kStreamEof, 1), peer->now),
              Misuse::kNone);
    send(other, MessageType::kVideo);
    ASSERT_EQ(server->send_control(stream_event(UserControlType::kStreamEof, 2), peer->now),
              Misuse::kNone);
    peer->send(ending.name == "deleteStream" ? 0 : 1, ending);
    std::string got;
    for (const auto& message : peer->receive()) {
      got += " " + std::to_string(static_cast<int>(message.header.type)) + ":" +
             std::to_string(message.header.stream_id);
    }
    // What had begun is finished; the other stream has lost nothing.
    EXPECT_EQ(got, " 9:1 9:2 4:0");
  }
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
  EXPECT_EQ(early.accept_publish(1, now), Misuse::kUnknownStream);
  EXPECT_EQ(early.start(now), Misuse::kNone);
  EXPECT_EQ(early.start(now), Misuse::kWrongState);
  EXPECT_FALSE(early.wants_write());

  connected();
  StreamHandle stream = create();
  EXPECT_EQ(server->accept_publish(stream, peer->now), Misuse::kWrongState);
  EXPECT_EQ(server->accept_play(stream, peer->now), Misuse::kWrongState);
  EXPECT_EQ(server->reject_stream(stream, {}, peer->now), Misuse::kWrongState);
  EXPECT_EQ(server->accept_play(99, peer->now), Misuse::kUnknownStream);
  EXPECT_EQ(server->reject_stream(99, {}, peer->now), Misuse::kUnknownStream);
  EXPECT_TRUE(peer->receive().empty());
}

}  // namespace
}  // namespace rtmp
