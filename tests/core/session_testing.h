// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <numeric>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "scripted_peer.h"
#include "session/server.h"

/// What the tests of a session share, as far as both roles have it.
namespace rtmp::testing {

inline Buffer pattern(size_t size, unsigned seed) {
  Buffer body(size);
  std::iota(body.begin(), body.end(), static_cast<uint8_t>(seed));
  return body;
}

/// A server session that has accepted connect and a publisher on stream 1.
class SessionTest : public ::testing::Test {
 protected:
  void begin(ServerOptions options = {}, bool publisher = true) {
    server.emplace(options, Environment{&random, nullptr, nullptr});
    end.session = &*server;
    peer.emplace(*server, handshake::Role::kClient);
    ASSERT_EQ(server->start(peer->now), Misuse::kNone);
    peer->handshake();
    peer->send(0, {"connect", 1, amf::Value::object({}), {}});
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
  Endpoint end;
  StreamHandle stream = kNoStream;
};

}  // namespace rtmp::testing
