// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "scripted_peer.h"
#include "session/event_queue.h"
#include "session/session.h"
#include "wire/aggregate.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::copy_payload;
using testing::ScriptedPeer;
using testing::SessionPair;
using testing::take_output;
using testing::TestHmac;
using testing::TestRandom;

Buffer pattern(size_t size, unsigned seed) {
  Buffer body(size);
  std::iota(body.begin(), body.end(), static_cast<uint8_t>(seed));
  return body;
}

// ---- a client and a server, whatever the splits ----

class Splits : public ::testing::TestWithParam<unsigned> {};

TEST_P(Splits, PublishAndClose) {
  SessionPair pair(GetParam());
  pair.connect("live/inst");
  StreamHandle remote = kNoStream;
  StreamHandle stream = pair.publish("key?token=a/b", &remote);
  auto started = pair.client_end.take<event::Started>();
  ASSERT_TRUE(started);
  EXPECT_EQ(started->stream, stream);

  std::vector<std::pair<MessageType, int64_t>> sent;
  for (unsigned i = 0; i < 60; i++) {
    MessageType type = i == 0       ? MessageType::kDataAmf0
                       : i % 3 == 0 ? MessageType::kVideo
                                    : MessageType::kAudio;
    int64_t timestamp = int64_t{0xFFFFFF} - 200 + 20 * i;  // across the 24-bit mark
    ASSERT_EQ(pair.client().send_media(stream, type, timestamp,
                                       copy_payload(pattern(i * 700 % 20000, i)), i, pair.now),
              Misuse::kNone);
    sent.emplace_back(type, timestamp);
    if (i % 7 == 0) {
      pair.exchange();
    }
  }
  ASSERT_EQ(pair.client().close_stream(stream, {true, true, true}, pair.now), Misuse::kNone);
  pair.exchange();
  ASSERT_TRUE(pair.client_end.take<event::StreamClosed>());

  std::vector<std::pair<MessageType, int64_t>> received;
  while (auto media = pair.server_end.take<event::Media>()) {
    EXPECT_EQ(media->stream, remote);
    auto i = static_cast<unsigned>((media->timestamp - (0xFFFFFF - 200)) / 20);
    Bytes body = media->payload.bytes();
    EXPECT_EQ(Buffer(body.begin(), body.end()), pattern(i * 700 % 20000, i));
    received.emplace_back(media->type, media->timestamp);
  }
  // Kinds keep their order; audio may pass video.
  auto by_type = [](const auto& a, const auto& b) { return a.first < b.first; };
  std::stable_sort(sent.begin(), sent.end(), by_type);
  std::stable_sort(received.begin(), received.end(), by_type);
  EXPECT_EQ(received, sent);

  std::string requests;
  while (auto requested = pair.server_end.take<event::Requested>()) {
    requests += to_command(requested->request, 0).name + " ";
  }
  EXPECT_EQ(requests, "releaseStream FCPublish createStream FCUnpublish closeStream deleteStream ");
  pair.client().receive_end(pair.now);
  auto closed = pair.client_end.take<event::Closed>();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->error);
}

TEST_P(Splits, PlayWithRequests) {
  ClientOptions options;
  options.ask_length = true;
  options.handshake = GetParam() % 2 == 0 ? HandshakeKind::kDigest : HandshakeKind::kSimple;
  options.chunk_size = 128 + GetParam() * 37;
  options.payload_headroom = 11;
  options.payload_tailroom = 4;
  TestHmac hmac;
  SessionPair pair(GetParam(), options, {}, &hmac, &hmac);
  pair.connect();
  StreamHandle remote = kNoStream;
  StreamHandle stream = pair.play("recorded", &remote);
  ASSERT_TRUE(pair.client_end.take<event::Started>());
  for (int i = 0; i < 30; i++) {
    ASSERT_EQ(
        pair.server().send_media(remote, i % 2 == 0 ? MessageType::kVideo : MessageType::kAudio,
                                 i * 20, copy_payload(pattern(3000, i)), 0, pair.now),
        Misuse::kNone);
  }
  pair.exchange();
  ASSERT_TRUE(pair.client_end.take<event::Media>());  // |RtmpSampleAccess
  for (int i = 0; i < 30; i++) {
    auto media = pair.client_end.take<event::Media>();
    ASSERT_TRUE(media);
    EXPECT_EQ(media->stream, stream);
    EXPECT_GE(media->payload.offset, 11u);
    EXPECT_GE(media->payload.block.capacity, media->payload.offset + media->payload.size + 4);
  }

  auto length = [&]() -> std::optional<event::Requested> {
    while (auto requested = pair.server_end.take<event::Requested>()) {
      if (std::holds_alternative<GetStreamLength>(requested->request)) {
        return requested;
      }
    }
    return std::nullopt;
  }();
  ASSERT_TRUE(length);
  ASSERT_EQ(pair.server().send_reply(length->transaction_id, true, {60}, pair.now), Misuse::kNone);
  ASSERT_EQ(pair.client().request(stream, Seek{30000}, pair.now), Misuse::kNone);
  pair.exchange();
  auto told = pair.client_end.take<event::StreamLength>();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->seconds, 60);
  auto seek = pair.server_end.take<event::Requested>();
  ASSERT_TRUE(seek && std::holds_alternative<Seek>(seek->request));
  EXPECT_EQ(seek->stream, remote);
  ASSERT_EQ(pair.server().send_status(remote, make_status(StatusCode::kSeekNotify), pair.now),
            Misuse::kNone);
  pair.exchange();
  auto status = pair.client_end.take<event::StreamStatus>();
  while (status && status->status.code == StatusCode::kPlayReset) {
    status = pair.client_end.take<event::StreamStatus>();
  }
  ASSERT_TRUE(status);
  EXPECT_EQ(status->status.code, StatusCode::kSeekNotify);
}

TEST_P(Splits, SeveralStreamsBothWays) {
  SessionPair pair(GetParam());
  pair.connect();
  StreamHandle remote[4];
  StreamHandle local[] = {pair.publish("a", &remote[0]), pair.play("b", &remote[1]),
                          pair.publish("c", &remote[2]), pair.play("d", &remote[3])};
  ASSERT_EQ(pair.client_end.count<event::Started>(), 4u);
  pair.client_end.events.clear();
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 4; i++) {
      bool up = i % 2 == 0;
      Session& from = up ? static_cast<Session&>(pair.client()) : pair.server();
      ASSERT_EQ(from.send_media(up ? local[i] : remote[i], MessageType::kVideo, round,
                                copy_payload(pattern(5000, i)), 0, pair.now),
                Misuse::kNone);
    }
  }
  pair.exchange();
  for (int i = 0; i < 4; i++) {
    bool up = i % 2 == 0;
    testing::Endpoint& end = up ? pair.server_end : pair.client_end;
    size_t count = 0;
    for (const Event& event : end.events) {
      const auto* media = std::get_if<event::Media>(&event);
      if (media != nullptr && media->stream == (up ? remote[i] : local[i])) {
        EXPECT_EQ(media->payload.bytes()[0], i);
        count++;
      }
    }
    EXPECT_EQ(count, 5u) << i;
  }
}

TEST_P(Splits, StrictOrderEndsInTheSamePlace) {
  ClientOptions options;
  options.strict_order = true;
  options.subscribe = true;
  SessionPair pair(GetParam(), options);
  pair.connect();
  pair.publish("a");
  pair.play("b");
  EXPECT_EQ(pair.client_end.count<event::Started>(), 2u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Splits, ::testing::Range(0u, 12u));

TEST(RoundTrips, FourBehindTcpToPublishAndToPlay) {
  for (bool publish : {true, false}) {
    SessionPair pair(1);
    pair.start();
    ASSERT_EQ(pair.client().connect({}, pair.now), Misuse::kNone);
    publish ? pair.client().publish({"key", PublishType::kLive}, pair.now)
            : pair.client().play({"key", -2, -1, std::nullopt}, pair.now);
    int round_trips = 0;
    while (!pair.client_end.take<event::Started>()) {
      ASSERT_LT(round_trips, 5);
      round_trips++;
      pair.flight(pair.client(), pair.server());
      if (pair.server_end.take<event::ConnectRequested>()) {
        ASSERT_EQ(pair.server().accept_connect({}, pair.now), Misuse::kNone);
      }
      if (auto asked = pair.server_end.take<event::PublishRequested>()) {
        ASSERT_EQ(pair.server().accept_publish(asked->request, pair.now), Misuse::kNone);
      }
      if (auto asked = pair.server_end.take<event::PlayRequested>()) {
        ASSERT_EQ(pair.server().accept_play(asked->request, pair.now), Misuse::kNone);
      }
      pair.flight(pair.server(), pair.client());
    }
    EXPECT_EQ(round_trips, 4);
  }
}

// ---- what both roles share, against a scripted peer ----

/// A server session that has accepted connect and a publisher on stream 1.
class SessionTest : public ::testing::Test {
 protected:
  void begin(ServerOptions options = {}, bool publisher = true) {
    server.emplace(options, Environment{&random, nullptr, nullptr});
    end.session = &*server;
    peer.emplace(*server, handshake::Role::kClient);
    ASSERT_EQ(server->start(peer->now), Misuse::kNone);
    peer->handshake();
    peer->send(0, {"connect", 1, Value::object({}), {}});
    ASSERT_EQ(server->accept_connect({}, peer->now), Misuse::kNone);
    if (publisher) {
      peer->send(1, {"publish", 0, amf::Null{}, {"key"}});
      auto asked = end.take<event::PublishRequested>();
      ASSERT_TRUE(asked);
      stream = asked->stream;
      ASSERT_EQ(server->accept_publish(asked->request, peer->now), Misuse::kNone);
    }
    peer->receive();
    end.drain();
    end.events.clear();
  }
  void send_u32(MessageType type, uint32_t value) {
    Buffer body;
    Builder(body).u32(value);
    peer->send(type, 0, body, 0, 2);
  }
  /// controls() is the user control messages that the session sends now.
  std::vector<UserControl> controls() {
    std::vector<UserControl> found;
    for (const auto& message : peer->receive()) {
      if (message.header.type == MessageType::kUserControl) {
        auto control = parse_user_control(message.body);
        EXPECT_TRUE(control);
        control->data = {};
        found.push_back(*control);
      }
    }
    return found;
  }
  ErrorKind closed_for() {
    auto closed = end.take<event::Closed>();
    EXPECT_TRUE(closed && closed->error);
    return closed && closed->error ? closed->error->kind : ErrorKind::kMalformed;
  }

  TestRandom random{1};
  std::optional<Server> server;
  std::optional<ScriptedPeer> peer;
  testing::Endpoint end;
  StreamHandle stream = kNoStream;
};

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

// ---- kinds of messages ----

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

// ---- limits ----

TEST_F(SessionTest, UndrainedEventsAreBounded) {
  ServerOptions options;
  options.limits.max_events = 100;
  begin(options);
  for (int i = 0; i < 100; i++) {
    peer->send(MessageType::kAudio, 1, {}, i);
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  peer->send(MessageType::kAudio, 1, {}, 100);
  EXPECT_EQ(server->state(), SessionState::kClosed);
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
  EXPECT_EQ(end.count<event::Media>(), 100u);
}

TEST_F(SessionTest, ABurstOfSmallMessagesIsTaken) {
  begin();
  // As many as a transport that reads 128 kB at a time can find in it, at 12 octets each.
  for (int i = 0; i < (128 << 10) / 12; i++) {
    peer->send(MessageType::kAudio, 1, {}, i);
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  EXPECT_EQ(end.count<event::Media>(), (128u << 10) / 12);
}

TEST_F(SessionTest, EventsThatNobodyTakesAreBoundedByDefault) {
  begin();
  for (int i = 0; i < 65'536 && server->state() == SessionState::kOpen; i++) {
    peer->send(MessageType::kAudio, 1, {}, i);
  }
  peer->send(MessageType::kAudio, 1, {}, 0);
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
}

TEST(EventQueue, GivesBackTheRoomOfABurst) {
  EventQueue queue;
  for (int round = 0; round < 3; round++) {
    for (size_t size : {1u, 200u, 10'000u}) {
      for (size_t i = 0; i < size; i++) {
        queue.push(event::RoundTrip{Duration(i)});
      }
      EXPECT_EQ(queue.size(), size);
      EXPECT_GE(queue.capacity(), size);
      for (size_t i = 0; i < size; i++) {
        auto event = queue.pop();
        ASSERT_TRUE(event);
        EXPECT_EQ(std::get<event::RoundTrip>(*event).time, Duration(i));
      }
      EXPECT_FALSE(queue.pop());
      EXPECT_LE(queue.capacity(), 256u);
    }
  }
}

TEST_F(SessionTest, UnreadAnswersAreBounded) {
  ServerOptions options;
  options.limits.max_unsent_answers = 10'000;
  begin(options);
  auto ask = [&] { peer->send_control(rtmp::ping(UserControlType::kPingRequest, 1)); };
  for (int i = 0; i < 38; i++) {
    ask();
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  EXPECT_EQ(peer->receive().size(), 38u);
  // Read, they are forgotten; what the owner says does not count.
  for (int i = 0; i < 38; i++) {
    ask();
    ASSERT_EQ(server->ping(peer->now), Misuse::kNone);
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  ask();
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);

  begin();
  while (server->state() == SessionState::kOpen) {
    peer->send(0, {"FCPublish", 1, amf::Null{}, {std::string(60'000, 'x')}});
    ASSERT_LT(server->backlog().bytes, 2u << 20);
  }
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
}

TEST_F(SessionTest, LongMessagesClose) {
  ServerOptions options;
  options.limits.max_message_length = 1000;
  begin(options);
  peer->send(MessageType::kVideo, 1, pattern(1000, 0));
  EXPECT_TRUE(end.take<event::Media>());
  peer->send(MessageType::kVideo, 1, pattern(1001, 0));
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
}

class NoMemory final : public BlockSource {
 public:
  Block take(size_t capacity) override { return left-- > 0 ? heap_.take(capacity) : Block{}; }
  int left = 4;

 private:
  HeapBlocks heap_;
};

TEST_F(SessionTest, NoMemoryCloses) {
  NoMemory blocks;
  Server session({}, {&random, nullptr, &blocks});
  peer.emplace(session, handshake::Role::kClient);
  end.session = &session;
  ASSERT_EQ(session.start(peer->now), Misuse::kNone);
  peer->handshake();
  for (int i = 0; i < 5; i++) {
    peer->send(MessageType::kSharedObjectAmf0, 0, pattern(10, 0));
  }
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
  EXPECT_EQ(end.count<event::OtherMessage>(), 4u);
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
