// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "session/chunk_reader.h"
#include "session/chunk_writer.h"
#include "session_pair.h"
#include "wire/amf0.h"
#include "wire/control.h"
#include "wire/handshake.h"

namespace rtmp::testing {

/// ScriptedPeer is the other end of a session, driven by hand: it says what the test tells it to,
/// right or wrong, and shows each message that the session sent.
class ScriptedPeer {
 public:
  struct Message {
    MessageHeader header;
    uint32_t chunk_stream_id = 0;
    Buffer body;
  };

  ScriptedPeer(Session& session, handshake::Role role)
      : session_(session), role_(role), reader_(Options{}, blocks_) {}

  Time now{std::chrono::seconds(1000)};

  /// handshake() goes through it with blocks of zeros.
  void handshake() {
    Buffer mine(handshake::kReplySize, 0);
    mine[0] = handshake::kVersionPlain;
    if (role_ == handshake::Role::kServer) {
      EXPECT_EQ(take_output(session_, now).size(), handshake::kHelloSize);
    }
    session_.receive(mine, now);
  }

  void send(MessageType type, uint32_t stream_id, Bytes body, int64_t timestamp = 0,
            uint32_t chunk_stream_id = 3) {
    OutgoingMessage message;
    message.type = type;
    message.lane = Lane::kMedia;
    message.chunk_stream_id = chunk_stream_id;
    message.stream_id = stream_id;
    message.timestamp = timestamp;
    message.payload = copy_payload(body);
    ASSERT_TRUE(writer_.write(std::move(message)));
    std::array<Bytes, 16> pieces;
    while (size_t count = writer_.gather(pieces, 65536)) {
      size_t size = 0;
      for (size_t i = 0; i < count; i++) {
        session_.receive(pieces[i], now);
        size += pieces[i].size();
      }
      writer_.consume(size);
    }
  }
  void send(uint32_t stream_id, const Command& command) {
    Buffer body;
    Builder out(body);
    ASSERT_TRUE(write_command(out, command));
    send(MessageType::kCommandAmf0, stream_id, body);
  }
  void send_values(MessageType type, uint32_t stream_id, const std::vector<amf::Value>& values,
                   int64_t timestamp = 0) {
    Buffer body;
    Builder out(body);
    amf::Amf0Writer writer(out);
    for (const amf::Value& value : values) {
      ASSERT_EQ(writer.write(value), Misuse::kNone);
    }
    send(type, stream_id, body, timestamp);
  }
  void send_status(uint32_t stream_id, const std::string& code, double transaction_id = 0) {
    send(stream_id, {"onStatus",
                     transaction_id,
                     amf::Null{},
                     {amf::Value::object({{"level", "status"}, {"code", code}})}});
  }
  void send_control(const UserControl& control) {
    Buffer body;
    Builder out(body);
    write_user_control(out, control);
    send(MessageType::kUserControl, 0, body, 0, 2);
  }

  /// receive() takes what the session has sent since the last call.
  std::vector<Message> receive() {
    Buffer bytes = take_output(session_, now);
    Bytes rest(bytes);
    // What is left of the session's side of the handshake.
    size_t whole =
        role_ == handshake::Role::kServer ? handshake::kBlockSize : handshake::kReplySize;
    size_t skipped = std::min(rest.size(), whole - skipped_);
    skipped_ += skipped;
    rest = rest.subspan(skipped);
    std::vector<Message> messages;
    while (true) {
      auto step = reader_.read(rest);
      EXPECT_TRUE(step);
      if (!step) {
        break;
      }
      rest = rest.subspan(step->consumed);
      if (!step->message) {
        break;
      }
      Bytes body = step->message->payload.bytes();
      if (step->message->header.type == MessageType::kSetChunkSize) {
        reader_.set_chunk_size(*parse_set_chunk_size(body));
      }
      messages.push_back({step->message->header, step->message->chunk_stream_id,
                          Buffer(body.begin(), body.end())});
    }
    return messages;
  }
  /// commands() is the commands in receive(), with the message stream id of each.
  std::vector<std::pair<uint32_t, Command>> commands() {
    std::vector<std::pair<uint32_t, Command>> commands;
    for (const Message& message : receive()) {
      const bool is_amf3 = message.header.type == MessageType::kCommandAmf3;
      if (is_amf3 || message.header.type == MessageType::kCommandAmf0) {
        EXPECT_TRUE(!is_amf3 || message.body.at(0) == 0);
        auto command = parse_command(Bytes(message.body).subspan(is_amf3 ? 1 : 0));
        EXPECT_TRUE(command);
        if (command) {
          commands.emplace_back(message.header.stream_id, std::move(*command));
        }
      }
    }
    return commands;
  }
  /// names() is the names of commands(), with spaces between.
  std::string names() {
    std::string names;
    for (const auto& [stream_id, command] : commands()) {
      names += (names.empty() ? "" : " ") + command.name;
    }
    return names;
  }

 private:
  Session& session_;
  handshake::Role role_;
  HeapBlocks blocks_;
  ChunkReader reader_;
  ChunkWriter writer_;
  size_t skipped_ = 0;
};

}  // namespace rtmp::testing
