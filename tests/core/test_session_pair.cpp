// SPDX-License-Identifier: LGPL-2.1-or-later
// A client and a server with a wire between them, whatever the splits.
#include <algorithm>

#include <gtest/gtest.h>

#include "session/session.h"
#include "session_testing.h"

namespace rtmp {
namespace {

using testing::copy_payload;
using testing::pattern;
using testing::SessionPair;
using testing::TestHmac;

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

}  // namespace
}  // namespace rtmp
