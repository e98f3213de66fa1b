// SPDX-License-Identifier: LGPL-2.1-or-later
// Sessions against what real peers said: ffmpeg, librtmp and GStreamer's rtmp2 on one side,
// nginx-rtmp on the other, as tests/support/record_trace.py recorded them.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <random>

#include <gtest/gtest.h>

#include "session_pair.h"
#include "wire/media.h"
#include "wire/metadata.h"

namespace rtmp {
namespace {

using testing::Endpoint;
using testing::take_output;
using testing::TestHmac;
using testing::TestRandom;

enum class Direction : uint8_t { kToServer = 0, kToClient = 1 };

/// load() is the octets that went in one direction, in the pieces that they came in.
std::vector<Buffer> load(const std::string& name, Direction direction) {
  std::filesystem::path path = std::filesystem::path(RTMP_TEST_DATA) / "traces" / (name + ".trace");
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> whole{std::istreambuf_iterator<char>(file), {}};
  Cursor in(Bytes(reinterpret_cast<const uint8_t*>(whole.data()), whole.size()));
  auto magic = in.take(8);
  EXPECT_TRUE(magic && as_text(*magic) == "RTMPTRC1") << path;
  std::vector<Buffer> pieces;
  while (!in.empty()) {
    auto from = in.u8();
    auto length = in.u32();
    auto bytes = length ? in.take(*length) : std::nullopt;
    if (!bytes) {
      ADD_FAILURE() << path << " is cut off";
      break;
    }
    if (static_cast<Direction>(*from) == direction) {
      pieces.emplace_back(bytes->begin(), bytes->end());
    }
  }
  EXPECT_FALSE(pieces.empty());
  return pieces;
}

/// What came in on a stream, counted.
struct Seen {
  size_t audio = 0;
  size_t video = 0;
  size_t video_headers = 0;
  std::vector<std::string> handlers;
  std::optional<media::PacketClass> first_frame;
  int64_t last_audio = INT64_MIN;
  int64_t last_video = INT64_MIN;

  void add(const event::Media& media) {
    Bytes body = media.payload.bytes();
    if (media.type == MessageType::kDataAmf0) {
      handlers.emplace_back(script_handler(body));
      EXPECT_TRUE(parse_script_data(body));
      return;
    }
    if (media.type == MessageType::kAudio) {
      audio++;
      EXPECT_GE(media.timestamp, last_audio);
      last_audio = media.timestamp;
      return;
    }
    EXPECT_GE(media.timestamp, last_video);
    last_video = media.timestamp;
    switch (media::PacketClass kind = media::classify_video(body); kind) {
      case media::PacketClass::kSequenceHeader:
        video_headers++;
        break;
      case media::PacketClass::kEndOfSequence:
      case media::PacketClass::kCommand:
        break;
      default:
        video++;
        first_frame = first_frame.value_or(kind);
        break;
    }
  }
};

/// feed() gives a session one piece, cut at random.
void feed(Session& session, Bytes piece, std::mt19937& splits, Time now) {
  while (!piece.empty()) {
    size_t n = std::uniform_int_distribution<size_t>(1, piece.size())(splits);
    session.receive(piece.first(n), now);
    piece = piece.subspan(n);
  }
}

// ---- real clients, our server ----

struct ClientTrace {
  const char* name;
  const char* app;
  const char* stream;
  bool publishes;
  HandshakeKind handshake;
  size_t video;
  bool audio;

  friend void PrintTo(const ClientTrace& trace, std::ostream* out) { *out << trace.name; }
};

class RealClients : public ::testing::TestWithParam<std::tuple<ClientTrace, unsigned>> {};

TEST_P(RealClients, AreServed) {
  const auto& [trace, seed] = GetParam();
  TestRandom random(seed);
  TestHmac hmac;
  std::mt19937 splits(seed);
  Server server({}, {&random, &hmac, nullptr});
  Endpoint end;
  end.session = &server;
  Time now{};
  ASSERT_EQ(server.start(now), Misuse::kNone);

  Seen seen;
  std::string requests;
  std::optional<event::HandshakeDone> handshake;
  std::optional<event::ConnectRequested> connect;
  std::optional<std::string> name;
  for (const Buffer& piece : load(trace.name, Direction::kToServer)) {
    feed(server, piece, splits, now);
    end.drain();
    while (!end.events.empty()) {
      Event event = std::move(end.events.front());
      end.events.pop_front();
      if (auto* done = std::get_if<event::HandshakeDone>(&event)) {
        handshake = *done;
      } else if (auto* asked = std::get_if<event::ConnectRequested>(&event)) {
        connect = *asked;
        ASSERT_EQ(server.accept_connect({}, now), Misuse::kNone);
      } else if (auto* publish = std::get_if<event::PublishRequested>(&event)) {
        name = publish->publish.name;
        ASSERT_EQ(server.accept_publish(publish->request, now), Misuse::kNone);
      } else if (auto* play = std::get_if<event::PlayRequested>(&event)) {
        name = play->play.name;
        EXPECT_LE(play->play.start, 0);
        ASSERT_EQ(server.accept_play(play->request, now), Misuse::kNone);
      } else if (auto* requested = std::get_if<event::Requested>(&event)) {
        requests += to_command(requested->request, 0).name + " ";
      } else if (auto* media = std::get_if<event::Media>(&event)) {
        seen.add(*media);
      } else if (auto* closed = std::get_if<event::Closed>(&event)) {
        FAIL() << (closed->error ? closed->error->text : "closed");
      }
      end.drain();
    }
    take_output(server, now);
  }
  ASSERT_TRUE(handshake);
  EXPECT_EQ(handshake->kind, trace.handshake);
  ASSERT_TRUE(connect);
  EXPECT_EQ(connect->connect.app, trace.app);
  EXPECT_TRUE(connect->connect.tc_url.starts_with("rtmp://127.0.0.1:")) << connect->connect.tc_url;
  ASSERT_TRUE(name);
  EXPECT_EQ(*name, trace.stream);
  EXPECT_NE(requests.find("createStream"), std::string::npos) << requests;
  if (trace.publishes) {
    EXPECT_NE(requests.find("FCPublish"), std::string::npos) << requests;
    EXPECT_NE(requests.find("deleteStream"), std::string::npos) << requests;
    ASSERT_FALSE(seen.handlers.empty());
    EXPECT_EQ(seen.handlers[0], kSetDataFrame);
    EXPECT_EQ(seen.video_headers, 1u);
    EXPECT_EQ(seen.video, trace.video);
    EXPECT_EQ(seen.first_frame, media::PacketClass::kKeyFrame);
    EXPECT_EQ(seen.audio > 0, trace.audio);
  }
  server.receive_end(now);
  auto closed = end.take<event::Closed>();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->error);
}

constexpr ClientTrace kClients[] = {
    {"publish-ffmpeg-nginx", "live", "key?token=secret", true, HandshakeKind::kDigest, 10, true},
    {"publish-rtmp2sink-nginx", "live", "key", true, HandshakeKind::kSimple, 10, false},
    {"play-ffmpeg-nginx", "live", "source", false, HandshakeKind::kDigest, 0, false},
    {"play-rtmpdump-nginx", "live", "source", false, HandshakeKind::kSimple, 0, false},
    {"play-rtmp2src-nginx", "live", "source", false, HandshakeKind::kSimple, 0, false},
};
INSTANTIATE_TEST_SUITE_P(Traces, RealClients,
                         ::testing::Combine(::testing::ValuesIn(kClients),
                                            ::testing::Range(0u, 4u)));

// ---- a real server, our client ----

enum class Outcome : uint8_t { kStarts, kBadName, kNotFound };

struct ServerTrace {
  const char* name;
  bool publishes;
  bool fmle_commands;  ///< as the recorded client numbered its commands
  Outcome outcome;

  friend void PrintTo(const ServerTrace& trace, std::ostream* out) { *out << trace.name; }
};

class RealServer : public ::testing::TestWithParam<std::tuple<ServerTrace, unsigned>> {};

TEST_P(RealServer, IsUnderstood) {
  const auto& [trace, seed] = GetParam();
  TestRandom random(seed);
  TestHmac hmac;
  std::mt19937 splits(seed);
  ClientOptions options;
  options.handshake = HandshakeKind::kDigest;
  options.fmle_commands = trace.fmle_commands;
  Client client(options, {&random, &hmac, nullptr});
  Endpoint end;
  end.session = &client;
  Time now{};
  ASSERT_EQ(client.start(now), Misuse::kNone);
  ASSERT_EQ(client.connect({}, now), Misuse::kNone);
  StreamHandle stream = trace.publishes ? client.publish({"key", PublishType::kLive}, now)
                                        : client.play({"source", -2, -1, std::nullopt}, now);
  for (const Buffer& piece : load(trace.name, Direction::kToClient)) {
    feed(client, piece, splits, now);
    take_output(client, now);
  }
  auto connected = end.take<event::Connected>();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->properties.find_text("fmsVer"), "FMS/3,0,1,123");
  auto created = end.take<event::StreamCreated>();
  ASSERT_TRUE(created);
  EXPECT_EQ(created->id, 1u);

  auto started = end.take<event::Started>();
  auto refused = end.take<event::Refused>();
  if (trace.outcome == Outcome::kStarts) {
    ASSERT_TRUE(started);
    EXPECT_EQ(started->stream, stream);
    EXPECT_EQ(started->status.code,
              trace.publishes ? StatusCode::kPublishStart : StatusCode::kPlayStart);
    EXPECT_FALSE(refused);
  } else {
    EXPECT_FALSE(started);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status.code, trace.outcome == Outcome::kBadName
                                        ? StatusCode::kPublishBadName
                                        : StatusCode::kPlayStreamNotFound);
  }
  Seen seen;
  while (auto media = end.take<event::Media>()) {
    EXPECT_EQ(media->stream, stream);
    seen.add(*media);
  }
  if (!trace.publishes && trace.outcome == Outcome::kStarts) {
    EXPECT_GE(seen.video, 2u);
    EXPECT_GE(seen.audio, 2u);
    EXPECT_EQ(seen.video_headers, 1u);
    EXPECT_EQ(seen.first_frame, media::PacketClass::kKeyFrame);
    EXPECT_NE(std::find(seen.handlers.begin(), seen.handlers.end(), kOnMetaData),
              seen.handlers.end());
  }
  EXPECT_EQ(end.count<event::Closed>(), 0u);
  EXPECT_EQ(client.stats().window_in, 5'000'000u);
}

constexpr ServerTrace kServers[] = {
    {"publish-ffmpeg-nginx", true, true, Outcome::kStarts},
    {"publish-rtmp2sink-nginx", true, false, Outcome::kStarts},
    {"publish-refused-ffmpeg-nginx", true, true, Outcome::kBadName},
    {"play-ffmpeg-nginx", false, true, Outcome::kStarts},
    {"play-rtmpdump-nginx", false, true, Outcome::kStarts},
    {"play-rtmp2src-nginx", false, true, Outcome::kStarts},
    {"play-missing-ffmpeg-nginx", false, true, Outcome::kNotFound},
};
INSTANTIATE_TEST_SUITE_P(Traces, RealServer,
                         ::testing::Combine(::testing::ValuesIn(kServers),
                                            ::testing::Range(0u, 4u)));

}  // namespace
}  // namespace rtmp
