// SPDX-License-Identifier: LGPL-2.1-or-later
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "server_testing.h"
#include "session/client.h"
#include "wire/metadata.h"

/// objectEncoding: commands are of AMF3's type where both sides of a connection say so.
namespace rtmp {
namespace {

using amf::Value;
using testing::copy_payload;
using testing::ScriptedPeer;
using testing::SessionPair;
using testing::TestRandom;

constexpr std::optional<double> kSayings[] = {std::nullopt, 0, 3};

Value object(std::optional<double> object_encoding, std::vector<amf::Property> members = {}) {
  if (object_encoding) {
    members.emplace_back("objectEncoding", *object_encoding);
  }
  return Value::object(std::move(members));
}

/// types() is the types of the commands, data and media among messages, commands of AMF3's checked
/// for the octet in front.
std::string types(const std::vector<ScriptedPeer::Message>& messages) {
  std::string text;
  for (const auto& message : messages) {
    const MessageType type = message.header.type;
    if (type < MessageType::kAudio) {
      continue;
    }
    text += (text.empty() ? "" : " ") + std::to_string(static_cast<int>(type));
    if (type == MessageType::kCommandAmf3) {
      EXPECT_EQ(message.body.at(0), 0);
      EXPECT_TRUE(parse_command(Bytes(message.body).subspan(1)));
    } else if (type == MessageType::kCommandAmf0) {
      EXPECT_EQ(message.body.at(0), 2);
    }
  }
  return text;
}

Buffer cue_point() {
  Buffer body;
  Builder out(body);
  EXPECT_TRUE(write_script_data(out, {"onCuePoint", {Value::object({{"time", 5}})}}));
  return body;
}

TEST(ObjectEncoding, OfAClient) {
  for (auto asked : kSayings) {
    for (auto answered : kSayings) {
      SCOPED_TRACE(asked.value_or(-1));
      SCOPED_TRACE(answered.value_or(-1));
      const bool agreed = asked == 3 && answered == 3;
      TestRandom random(1);
      ClientOptions options;
      options.ask_ahead = true;
      Client client(options, {&random, nullptr, nullptr});
      testing::Endpoint end;
      end.session = &client;
      ScriptedPeer peer(client, handshake::Role::kServer);
      ASSERT_EQ(client.start(peer.now), Misuse::kNone);
      Connect connect;
      connect.app = "live";
      connect.object_encoding = asked;
      ASSERT_EQ(client.connect(connect, peer.now), Misuse::kNone);
      StreamHandle stream = client.publish({"key", PublishType::kLive}, peer.now);
      peer.handshake();
      // connect, and what is asked ahead of the answer to it.
      EXPECT_EQ(types(peer.receive()), "20 20 20 20");
      peer.send(0, {"_result", 1, amf::Null{}, {object(answered)}});
      peer.send(0, {"_result", 4, amf::Null{}, {1}});
      EXPECT_EQ(types(peer.receive()), agreed ? "17" : "20");
      peer.send_status(1, "NetStream.Publish.Start");
      ASSERT_TRUE(end.take<event::Started>());

      const Buffer cue = cue_point();
      ASSERT_EQ(
          client.send_media(stream, MessageType::kDataAmf0, 40, copy_payload(cue), 0, peer.now),
          Misuse::kNone);
      // What is AMF3 already, and what is no data, goes out as it is.
      const Buffer amf3 = {0, 0x11, 0x06, 0x03, 'x'};
      ASSERT_EQ(
          client.send_media(stream, MessageType::kDataAmf3, 50, copy_payload(amf3), 0, peer.now),
          Misuse::kNone);
      ASSERT_EQ(client.send_media(stream, MessageType::kVideo, 50, copy_payload(cue), 0, peer.now),
                Misuse::kNone);
      ASSERT_EQ(client.send_message(MessageType::kDataAmf0, 1, 60, copy_payload(cue), peer.now),
                Misuse::kNone);
      auto messages = peer.receive();
      EXPECT_EQ(types(messages), "18 15 9 18");
      ASSERT_EQ(messages.size(), 4u);
      EXPECT_EQ(messages[0].header.timestamp, 40);
      EXPECT_EQ(messages[0].body, cue);
      EXPECT_EQ(messages[1].body, amf3);
      EXPECT_EQ(messages[2].body, cue);
      EXPECT_EQ(messages[3].body, cue);
    }
  }
}

TEST(ObjectEncoding, OfAServer) {
  for (auto asked : kSayings) {
    for (auto overriding : kSayings) {
      SCOPED_TRACE(asked.value_or(-1));
      SCOPED_TRACE(overriding.value_or(-1));
      const bool agreed = asked == 3 && overriding.value_or(3) == 3;
      TestRandom random(1);
      Server server({}, {&random, nullptr, nullptr});
      testing::Endpoint end;
      end.session = &server;
      ScriptedPeer peer(server, handshake::Role::kClient);
      ASSERT_EQ(server.start(peer.now), Misuse::kNone);
      peer.handshake();
      peer.send(0, {"connect", 1, object(asked, {{"app", "live"}}), {}});
      peer.send(0, {"createStream", 2, amf::Null{}, {}});
      std::vector<amf::Property> information;
      if (overriding) {
        information.emplace_back("objectEncoding", *overriding);
      }
      ASSERT_EQ(server.accept_connect(information, peer.now), Misuse::kNone);
      auto messages = peer.receive();
      // What was impatient is answered behind connect.
      EXPECT_EQ(types(messages), agreed ? "20 17" : "20 20");
      auto reply = parse_command(messages.at(messages.size() - 2).body);
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->arguments.at(0).find_number("objectEncoding"),
                overriding.value_or(asked.value_or(0)));

      peer.send(1, {"play", 3, amf::Null{}, {"name"}});
      auto play = end.take<event::PlayRequested>();
      ASSERT_TRUE(play);
      ASSERT_EQ(server.accept_play(play->request, peer.now), Misuse::kNone);
      messages = peer.receive();
      EXPECT_EQ(types(messages), agreed ? "17 17 18" : "20 20 18");
      EXPECT_EQ(script_handler(messages.back().body), "|RtmpSampleAccess");

      ASSERT_EQ(server.send_media(play->stream, MessageType::kDataAmf0, 0,
                                  copy_payload(cue_point()), 0, peer.now),
                Misuse::kNone);
      ASSERT_EQ(server.send_status(play->stream, make_status(StatusCode::kPlayStop), peer.now),
                Misuse::kNone);
      ASSERT_EQ(server.send_command(kNoStream, {"procedure", 0, amf::Null{}, {}}, peer.now),
                Misuse::kNone);
      EXPECT_EQ(types(peer.receive()), agreed ? "17 18 17" : "20 18 20");
    }
  }
}

TEST(ObjectEncoding, APairThatAgrees) {
  for (unsigned seed = 0; seed < 10; seed++) {
    SessionPair pair(seed);
    pair.start();
    Connect connect;
    connect.app = "live";
    connect.object_encoding = kObjectEncodingAmf3;
    ASSERT_EQ(pair.client().connect(connect, pair.now), Misuse::kNone);
    pair.exchange();
    ASSERT_TRUE(pair.server_end.take<event::ConnectRequested>());
    ASSERT_EQ(pair.server().accept_connect({}, pair.now), Misuse::kNone);
    pair.exchange();
    auto connected = pair.client_end.take<event::Connected>();
    ASSERT_TRUE(connected);
    EXPECT_EQ(connected->status.info.find_number("objectEncoding"), kObjectEncodingAmf3);

    StreamHandle theirs = kNoStream;
    StreamHandle ours = pair.publish("key", &theirs);
    ASSERT_TRUE(pair.client_end.take<event::Started>());
    // In more pieces than a payload has room for.
    const Buffer cue = cue_point();
    auto* owned = new Buffer(cue);
    GatherPayload pieces(Owner(owned, [](void* kept) { delete static_cast<Buffer*>(kept); }));
    for (size_t i = 0; i < owned->size(); i += 3) {
      pieces.append(Bytes(*owned).subspan(i).first(std::min<size_t>(3, owned->size() - i)));
    }
    ASSERT_GT(pieces.piece_count(), GatherPayload::kInlinePieces);
    ASSERT_EQ(
        pair.client().send_media(ours, MessageType::kDataAmf0, 20, std::move(pieces), 0, pair.now),
        Misuse::kNone);
    pair.exchange();
    auto media = pair.server_end.take<event::Media>();
    ASSERT_TRUE(media);
    EXPECT_EQ(media->stream, theirs);
    EXPECT_EQ(media->type, MessageType::kDataAmf0);
    EXPECT_EQ(Buffer(media->payload.bytes().begin(), media->payload.bytes().end()), cue);

    ours = pair.play("other", &theirs);
    ASSERT_TRUE(pair.client_end.take<event::Started>());
    auto access = pair.client_end.take<event::Media>();
    ASSERT_TRUE(access);
    EXPECT_EQ(access->type, MessageType::kDataAmf0);
    EXPECT_EQ(script_handler(access->payload.bytes()), "|RtmpSampleAccess");

    const double call = pair.client().call("procedure", amf::Null{}, {5}, pair.now);
    ASSERT_NE(call, 0);
    pair.exchange();
    auto asked = pair.server_end.take<event::OtherCommand>();
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->command.name, "procedure");
    ASSERT_EQ(pair.server().send_reply(call, true, {6}, pair.now), Misuse::kNone);
    pair.exchange();
    auto reply = pair.client_end.take<event::Reply>();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->command.arguments, std::vector<Value>{6});
    EXPECT_EQ(pair.client_end.count<event::Closed>(), 0u);
    EXPECT_EQ(pair.server_end.count<event::Closed>(), 0u);
  }
}

}  // namespace
}  // namespace rtmp
