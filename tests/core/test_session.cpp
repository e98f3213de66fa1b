// SPDX-License-Identifier: LGPL-2.1-or-later
// What both roles share, against a scripted peer: control messages, and the owner's side.
#include <algorithm>

#include <gtest/gtest.h>

#include "session_testing.h"

namespace rtmp {
namespace {

using testing::pattern;
using testing::ScriptedPeer;
using testing::SessionTest;
using testing::take_output;
using testing::TestRandom;

// ---- control messages ----

TEST_F(SessionTest, AnswersPingsAtOnceWithAnAbsoluteHeaderOnTwo) {
  begin();
  for (uint32_t value : {0u, 12345u, 0xFFFFFFFFu}) {
    peer->send_control(rtmp::ping(UserControlType::kPingRequest, value));
    Buffer bytes = take_output(*server, peer->now);
    Buffer expected;
    Builder out(expected);
    out.u8(2);  // type 0, chunk stream 2
    out.u24(0);
    out.u24(6);
    out.u8(4);
    out.u32_le(0);
    out.u16(7);
    out.u32(value);
    EXPECT_EQ(bytes, expected);
    EXPECT_EQ(end.count<event::Control>(), 0u);
  }
}

TEST_F(SessionTest, MeasuresTheRoundTrip) {
  begin();
  ASSERT_EQ(server->ping(peer->now), Misuse::kNone);
  auto sent = controls();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].type, UserControlType::kPingRequest);
  peer->now += 30ms;
  peer->send_control(rtmp::ping(UserControlType::kPingResponse, sent[0].value + 1));
  EXPECT_FALSE(end.take<event::RoundTrip>());
  peer->send_control(rtmp::ping(UserControlType::kPingResponse, sent[0].value));
  auto round_trip = end.take<event::RoundTrip>();
  ASSERT_TRUE(round_trip);
  EXPECT_EQ(round_trip->time, Duration(30ms));
  EXPECT_EQ(server->stats().round_trip, Duration(30ms));
  peer->send_control(rtmp::ping(UserControlType::kPingResponse, sent[0].value));
  EXPECT_FALSE(end.take<event::RoundTrip>());
}

TEST_F(SessionTest, PingsByItself) {
  ServerOptions options;
  options.ping_interval = 10s;
  begin(options);
  for (int i = 0; i < 20; i++) {
    auto timeout = server->next_timeout();
    ASSERT_EQ(timeout, peer->now + 10s);
    peer->now = *timeout;
    server->handle_timeout(peer->now);
    EXPECT_EQ(controls().size(), 1u);
  }
}

TEST_F(SessionTest, AcknowledgesByHalfAWindow) {
  begin();
  send_u32(MessageType::kWindowAckSize, 10000);
  EXPECT_EQ(server->stats().window_in, 10000u);
  peer->receive();
  uint64_t before = server->stats().bytes_in;
  uint64_t last = server->stats().bytes_in_acknowledged;
  size_t count = 0;
  Buffer frame = pattern(1000, 0);
  for (int i = 0; i < 50; i++) {
    peer->send(MessageType::kVideo, 1, frame, i);
    for (const auto& message : peer->receive()) {
      if (message.header.type == MessageType::kAcknowledgement) {
        count++;
        uint32_t acknowledged = *parse_acknowledgement(message.body);
        EXPECT_GE(acknowledged - last, 5000u);
        EXPECT_LE(acknowledged - last, 7000u);
        last = acknowledged;
      }
    }
  }
  uint64_t received = server->stats().bytes_in - before;
  EXPECT_GE(count, received / 7000);
  EXPECT_EQ(server->stats().bytes_in_acknowledged, last);
}

TEST_F(SessionTest, ATinyWindowIsOneAcknowledgementACall) {
  begin();
  send_u32(MessageType::kWindowAckSize, 1);
  peer->receive();
  peer->send(MessageType::kVideo, 1, pattern(100, 0));
  auto messages = peer->receive();
  EXPECT_LE(messages.size(), 2u);
  send_u32(MessageType::kWindowAckSize, 0);
  EXPECT_EQ(server->state(), SessionState::kOpen);
}

TEST_F(SessionTest, CountsWhatThePeerAcknowledges) {
  begin();
  uint64_t sent = server->stats().bytes_out - handshake::kReplySize;
  send_u32(MessageType::kAcknowledgement, static_cast<uint32_t>(sent - 10));
  EXPECT_EQ(server->stats().bytes_acknowledged, sent - 10);
}

TEST_F(SessionTest, AnswersSetPeerBandwidthWhenItChangesTheWindow) {
  begin();
  auto bandwidth = [&](uint32_t window, LimitType type) {
    Buffer body;
    Builder out(body);
    write_peer_bandwidth(out, {window, type});
    peer->send(MessageType::kSetPeerBandwidth, 0, body, 0, 2);
    std::vector<uint32_t> windows;
    for (const auto& message : peer->receive()) {
      if (message.header.type == MessageType::kWindowAckSize) {
        windows.push_back(*parse_window_ack_size(message.body));
      }
    }
    return windows;
  };
  EXPECT_EQ(server->stats().window_out, 2'500'000u);
  EXPECT_EQ(bandwidth(2'500'000, LimitType::kDynamic), std::vector<uint32_t>{});
  EXPECT_EQ(bandwidth(5'000'000, LimitType::kDynamic), std::vector<uint32_t>{});
  EXPECT_EQ(bandwidth(1'000'000, LimitType::kHard), std::vector<uint32_t>{1'000'000});
  EXPECT_EQ(bandwidth(1'000'000, LimitType::kHard), std::vector<uint32_t>{});
  EXPECT_EQ(bandwidth(2'000'000, LimitType::kSoft), std::vector<uint32_t>{});
  EXPECT_EQ(bandwidth(500'000, LimitType::kSoft), std::vector<uint32_t>{500'000});
  EXPECT_EQ(server->stats().window_out, 500'000u);
}

TEST_F(SessionTest, FollowsThePeersChunkSize) {
  Buffer frame = pattern(10000, 3);
  for (uint32_t size : {1u, 127u, 4096u, 0x7FFFFFFFu}) {
    begin();
    send_u32(MessageType::kSetChunkSize, size);
    EXPECT_EQ(server->stats().chunk_size_in, size);
    // One chunk by hand: as much as the size lets through.
    Buffer bytes;
    Builder out(bytes);
    size_t first = std::min<size_t>(size, frame.size());
    out.u8(0x07);
    out.u24(0);
    out.u24(static_cast<uint32_t>(first));
    out.u8(9);
    out.u32_le(1);
    out.bytes(Bytes(frame).first(first));
    server->receive(bytes, peer->now);
    auto media = end.take<event::Media>();
    ASSERT_TRUE(media);
    EXPECT_EQ(media->payload.size, first);
  }
}

TEST_F(SessionTest, RefusesImpossibleChunkSizes) {
  for (uint32_t size : {0u, 0x80000000u, 0xFFFFFFFFu}) {
    begin();
    send_u32(MessageType::kSetChunkSize, size);
    EXPECT_EQ(closed_for(), ErrorKind::kMalformed);
  }
  ServerOptions options;
  options.limits.min_peer_chunk_size = 64;
  begin(options);
  send_u32(MessageType::kSetChunkSize, 64);
  EXPECT_EQ(server->state(), SessionState::kOpen);
  begin(options);
  send_u32(MessageType::kSetChunkSize, 63);
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
}

TEST_F(SessionTest, AbortDropsAHalfMessage) {
  begin();
  // 128 of 200 octets, an abort, and a whole message on the same chunk stream.
  Buffer bytes;
  Builder out(bytes);
  auto head = [&](uint32_t length) {
    out.u8(0x07);
    out.u24(0);
    out.u24(length);
    out.u8(9);
    out.u32_le(1);
  };
  head(200);
  out.bytes(pattern(128, 0));
  server->receive(bytes, peer->now);
  send_u32(MessageType::kAbort, 7);
  send_u32(MessageType::kAbort, 65000);
  bytes.clear();
  head(5);
  out.bytes(pattern(5, 9));
  server->receive(bytes, peer->now);
  auto media = end.take<event::Media>();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->payload.size, 5u);
  EXPECT_EQ(media->payload.bytes()[0], 9);
  EXPECT_FALSE(end.take<event::Media>());
}

TEST_F(SessionTest, ShortControlMessagesAreIgnored) {
  begin();
  const uint8_t two[] = {0, 6};
  for (int type : {2, 3, 4, 5, 6}) {
    peer->send(static_cast<MessageType>(type), 0, two, 0, 2);
    peer->send(static_cast<MessageType>(type), 0, {}, 0, 2);
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  EXPECT_TRUE(peer->receive().empty());
}

TEST_F(SessionTest, ControlEventsOwnTheirData) {
  begin();
  const uint8_t data[] = {1, 2, 3, 4, 5};
  peer->send_control({UserControlType::kSwfVerifyRequest, 0, 0, data});
  peer->send_control({static_cast<UserControlType>(99), 0, 0, data});
  peer->send_control(stream_event(UserControlType::kBufferEmpty, 1));
  peer->send_control(stream_event(UserControlType::kStreamDry, 9));
  auto control = end.take<event::Control>();
  ASSERT_TRUE(control);
  EXPECT_EQ(control->control.type, UserControlType::kSwfVerifyRequest);
  EXPECT_EQ(control->data, Buffer(data, data + 5));
  EXPECT_TRUE(control->control.data.empty());
  control = end.take<event::Control>();
  ASSERT_TRUE(control);
  EXPECT_EQ(static_cast<int>(control->control.type), 99);
  control = end.take<event::Control>();
  ASSERT_TRUE(control);
  EXPECT_EQ(control->stream, stream);
  control = end.take<event::Control>();
  ASSERT_TRUE(control);
  EXPECT_EQ(control->stream, kNoStream);
  EXPECT_EQ(control->control.stream_id, 9u);
}

// ---- the owner's side ----

TEST_F(SessionTest, ChunkSizeCanChangeAnyTime) {
  TestRandom source(1);
  Client client({}, {&source, nullptr, nullptr});
  EXPECT_EQ(client.set_chunk_size(1000), Misuse::kNone);
  ScriptedPeer scripted(client, handshake::Role::kServer);
  ASSERT_EQ(client.start(scripted.now), Misuse::kNone);
  EXPECT_EQ(client.set_chunk_size(2000), Misuse::kNone);
  scripted.handshake();
  auto messages = scripted.receive();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(*parse_set_chunk_size(messages[0].body), 2000u);
  EXPECT_EQ(client.set_chunk_size(65536), Misuse::kNone);
  messages = scripted.receive();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(*parse_set_chunk_size(messages[0].body), 65536u);
  EXPECT_EQ(client.stats().chunk_size_out, 65536u);
  EXPECT_EQ(client.set_chunk_size(kMinChunkSizeOut - 1), Misuse::kInvalid);
  EXPECT_EQ(client.set_chunk_size(0x80000000), Misuse::kInvalid);
  client.close();
  EXPECT_EQ(client.set_chunk_size(4096), Misuse::kWrongState);
}

TEST_F(SessionTest, CountsOctetsAndMessages) {
  begin();
  SessionStats before = server->stats();
  peer->send(MessageType::kAudio, 1, pattern(10, 0));
  ASSERT_EQ(server->ping(peer->now), Misuse::kNone);
  SessionStats after = server->stats();
  EXPECT_EQ(after.messages_in, before.messages_in + 1);
  EXPECT_EQ(after.messages_out, before.messages_out + 1);
  EXPECT_GE(after.bytes_in, before.bytes_in + 11);
  EXPECT_EQ(after.bytes_out, before.bytes_out);
  size_t size = take_output(*server, peer->now).size();
  EXPECT_EQ(server->stats().bytes_out, before.bytes_out + size);
}

TEST_F(SessionTest, WhatWasQueuedCanBeSentAfterClose) {
  begin();
  ASSERT_EQ(server->send_status(stream, make_status(StatusCode::kPublishBadName), peer->now),
            Misuse::kNone);
  server->close();
  auto closed = end.take<event::Closed>();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->error);
  EXPECT_TRUE(server->wants_write());
  EXPECT_EQ(peer->names(), "onStatus");
  EXPECT_FALSE(server->wants_write());
  server->receive_end(peer->now);
  EXPECT_FALSE(end.take<event::Closed>());
}

TEST_F(SessionTest, PayloadsAreReleasedWithTheSession) {
  static int released;
  released = 0;
  begin({}, false);
  peer->send(1, {"play", 0, amf::Null{}, {"name"}});
  auto asked = end.take<event::PlayRequested>();
  ASSERT_TRUE(asked);
  ASSERT_EQ(server->accept_play(asked->request, peer->now), Misuse::kNone);
  static const uint8_t frame[5000] = {};
  auto payload = [] { return GatherPayload(frame, Owner(&released, [](void*) { released++; })); };
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(server->send_media(asked->stream, MessageType::kVideo, i, payload(), 0, peer->now),
              Misuse::kNone);
  }
  EXPECT_EQ(server->send_media(99, MessageType::kVideo, 0, payload(), 0, peer->now),
            Misuse::kUnknownStream);
  EXPECT_EQ(released, 1);
  std::array<Bytes, 4> pieces;
  ASSERT_GT(server->gather(pieces, 100), 0u);
  server.reset();
  EXPECT_EQ(released, 4);
}

}  // namespace
}  // namespace rtmp
