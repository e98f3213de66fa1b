// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "scripted_peer.h"
#include "session/server.h"

namespace rtmp::testing {

/// ServerTest is a server against a client that says what the test wants.
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
    peer->send(0, {"connect", 1, amf::Value::object({{"app", "live"}}), {}});
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
    EXPECT_EQ(commands.at(0).second.arguments, std::vector<amf::Value>{expected_id});
    auto requested = end.take<event::Requested>();
    EXPECT_TRUE(requested && std::holds_alternative<CreateStream>(requested->request));
    return requested ? requested->stream : kNoStream;
  }
  /// publish_requested() and play_requested() take the request that waits for a decision.
  RequestNumber publish_requested() {
    auto asked = end.take<event::PublishRequested>();
    EXPECT_TRUE(asked);
    return asked ? asked->request : RequestNumber{};
  }
  RequestNumber play_requested() {
    auto asked = end.take<event::PlayRequested>();
    EXPECT_TRUE(asked);
    return asked ? asked->request : RequestNumber{};
  }
  StreamHandle publishing() {
    StreamHandle stream = create();
    peer->send(1, {"publish", 5, amf::Null{}, {"key", "live"}});
    EXPECT_EQ(server->accept_publish(publish_requested(), peer->now), Misuse::kNone);
    peer->receive();
    return stream;
  }
  StreamHandle playing() {
    StreamHandle stream = create();
    peer->send(1, {"play", 5, amf::Null{}, {"name"}});
    EXPECT_EQ(server->accept_play(play_requested(), peer->now), Misuse::kNone);
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

}  // namespace rtmp::testing
