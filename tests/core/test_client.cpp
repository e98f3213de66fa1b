// SPDX-License-Identifier: LGPL-2.1-or-later
// A client once its streams run, several streams, and misuse.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client_testing.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::ClientTest;
using testing::TestRandom;

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
