// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "server_testing.h"
#include "wire/metadata.h"

/// Streams of a server: publish and play, which are the application's to decide.
namespace rtmp {
namespace {

using amf::Value;
using testing::ScriptedPeer;
using testing::ServerTest;
using testing::TestRandom;

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
  EXPECT_EQ(server->accept_play(asked->request, peer->now), Misuse::kWrongState);

  ASSERT_EQ(server->accept_publish(asked->request, peer->now), Misuse::kNone);
  EXPECT_EQ(server->accept_publish(asked->request, peer->now), Misuse::kWrongState);
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
  create();
  for (int i = 0; i < 2; i++) {
    peer->send(1, {"publish", 5, amf::Null{}, {"key"}});
    RequestNumber asked = publish_requested();
    ASSERT_EQ(server->reject_stream(asked, make_status(StatusCode::kPublishBadName), peer->now),
              Misuse::kNone);
    EXPECT_EQ(server->reject_stream(asked, {}, peer->now), Misuse::kWrongState);
    auto commands = peer->commands();
    ASSERT_EQ(commands.size(), 1u);
    EXPECT_EQ(status_code(commands[0]), StatusCode::kPublishBadName);
  }
}

/// What a client takes back, and asks for once more, is another request.
TEST_F(ServerTest, ADecisionMeetsNoOtherRequest) {
  const Status status = make_status(StatusCode::kPublishBadName);
  for (bool deleted : {false, true}) {
    for (bool plays : {false, true}) {
      SCOPED_TRACE(deleted);
      SCOPED_TRACE(plays);
      connected();
      create();
      const Command ask{plays ? "play" : "publish", 5, amf::Null{}, {"key"}};
      auto requested = [&] { return plays ? play_requested() : publish_requested(); };
      auto accept = [&](RequestNumber request) {
        return plays ? server->accept_play(request, peer->now)
                     : server->accept_publish(request, peer->now);
      };
      peer->send(1, ask);
      RequestNumber stale = requested();
      if (deleted) {
        peer->send(0, {"deleteStream", 0, amf::Null{}, {1}});
      } else {
        peer->send(1, {"closeStream", 0, amf::Null{}, {}});
      }
      EXPECT_TRUE(end.take<event::Requested>());
      EXPECT_EQ(accept(stale), Misuse::kWrongState);
      peer->send(1, ask);
      RequestNumber asked = requested();
      EXPECT_NE(asked, stale);
      EXPECT_EQ(accept(stale), Misuse::kWrongState);
      EXPECT_EQ(server->reject_stream(stale, status, peer->now), Misuse::kWrongState);
      EXPECT_EQ(accept(RequestNumber{}), Misuse::kWrongState);
      EXPECT_TRUE(peer->receive().empty());
      EXPECT_EQ(accept(asked), Misuse::kNone);
      EXPECT_EQ(server->reject_stream(asked, status, peer->now), Misuse::kWrongState);
      EXPECT_EQ(peer->names(), plays ? "onStatus onStatus" : "onStatus");
    }
  }
}

TEST_F(ServerTest, RequestsOfTwoStreamsAreDecidedInAnyOrder) {
  connected();
  StreamHandle one = create(1);
  StreamHandle two = create(2);
  peer->send(1, {"publish", 5, amf::Null{}, {"one"}});
  peer->send(2, {"play", 6, amf::Null{}, {"two"}});
  RequestNumber publish = publish_requested();
  RequestNumber play = play_requested();
  EXPECT_NE(publish, play);
  ASSERT_EQ(server->accept_play(play, peer->now), Misuse::kNone);
  EXPECT_EQ(server->accept_publish(play, peer->now), Misuse::kWrongState);
  ASSERT_EQ(server->accept_publish(publish, peer->now), Misuse::kNone);
  const uint8_t frame[] = {0x17, 0};
  EXPECT_EQ(
      server->send_media(two, MessageType::kVideo, 0, testing::copy_payload(frame), 0, peer->now),
      Misuse::kNone);
  peer->send(MessageType::kVideo, 1, frame);
  auto media = end.take<event::Media>();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->stream, one);
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
      ASSERT_EQ(server->accept_publish(asked->request, peer->now), Misuse::kNone);
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
  RequestNumber asked = publish_requested();
  ASSERT_EQ(server->accept_publish(asked, peer->now), Misuse::kNone);
  peer->receive();
  peer->send(0, {"deleteStream", 0, amf::Null{}, {1}});
  EXPECT_TRUE(end.take<event::Requested>());
  commands = peer->commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(status_code(commands[0]), StatusCode::kUnpublishSuccess);
  EXPECT_EQ(server->accept_publish(asked, peer->now), Misuse::kWrongState);
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
  ASSERT_EQ(server->accept_play(asked->request, peer->now), Misuse::kNone);
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
  create();
  peer->send(1, {"play", 5, amf::Null{}, {"name", 0, -1, false}});
  ASSERT_EQ(server->accept_play(play_requested(), peer->now), Misuse::kNone);
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
  const Status not_found = make_status(StatusCode::kPlayStreamNotFound);
  ASSERT_EQ(server->reject_stream(asked->request, not_found, peer->now), Misuse::kNone);
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

/// After a seek backwards the sound that follows is younger than all that waits.
TEST_F(ServerTest, SoundDoesNotOvertakeWhatIsSaidInFrontOfIt) {
  connected();
  StreamHandle stream = playing();
  auto send = [&](MessageType type, int64_t timestamp) {
    const uint8_t frame[] = {0xAF, 1};
    ASSERT_EQ(
        server->send_media(stream, type, timestamp, testing::copy_payload(frame), 0, peer->now),
        Misuse::kNone);
  };
  send(MessageType::kVideo, 9000);
  ASSERT_EQ(server->send_status(stream, make_status(StatusCode::kSeekNotify), peer->now),
            Misuse::kNone);
  send(MessageType::kAudio, 1000);
  send(MessageType::kDataAmf0, 1000);
  send(MessageType::kAudio, 1020);
  ASSERT_EQ(server->send_control(stream_event(UserControlType::kStreamEof, 1), peer->now),
            Misuse::kNone);
  send(MessageType::kAudio, 1040);
  std::string got;
  for (const auto& message : peer->receive()) {
    got += " " + std::to_string(static_cast<int>(message.header.type));
  }
  EXPECT_EQ(got, " 9 20 8 18 8 4 8");
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
    ASSERT_EQ(server->accept_play(play_requested(), peer->now), Misuse::kNone);
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

}  // namespace
}  // namespace rtmp
