// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "scripted_peer.h"
#include "session/client.h"

namespace rtmp::testing {

/// A client against a server that says what the test wants. Everything it sends is in `peer`.
class ClientTest : public ::testing::Test {
 protected:
  void begin(ClientOptions options = {}) {
    client.emplace(options, Environment{&random, nullptr, nullptr});
    end.session = &*client;
    peer.emplace(*client, handshake::Role::kServer);
    ASSERT_EQ(client->start(peer->now), Misuse::kNone);
    Connect connect;
    connect.app = "live";
    ASSERT_EQ(client->connect(connect, peer->now), Misuse::kNone);
    peer->handshake();
  }
  static Command connect_reply(double transaction_id = 1) {
    return {"_result",
            transaction_id,
            amf::Value::object({{"fmsVer", "FMS/3,0,1,123"}}),
            {amf::Value::object({{"level", "status"}, {"code", "NetConnection.Connect.Success"}})}};
  }
  void accept_connect() {
    peer->receive();
    peer->send(0, connect_reply());
    ASSERT_TRUE(end.take<event::Connected>());
  }
  /// transaction() is the id of the last command of that name in what the client sends now.
  double transaction(const std::string& name) {
    double found = -1;
    for (const auto& [stream_id, command] : peer->commands()) {
      if (command.name == name) {
        found = command.transaction_id;
      }
    }
    EXPECT_NE(found, -1) << name;
    return found;
  }
  void create(uint32_t id = 1) {
    peer->send(0, {"_result", transaction("createStream"), amf::Null{}, {id}});
    ASSERT_TRUE(end.take<event::StreamCreated>());
  }
  StreamHandle publishing(const std::string& name = "key") {
    StreamHandle stream = client->publish({name, PublishType::kLive}, peer->now);
    create();
    peer->receive();
    peer->send_status(1, "NetStream.Publish.Start");
    EXPECT_TRUE(end.take<event::Started>());
    return stream;
  }
  StreamHandle playing() {
    StreamHandle stream = client->play({"name", -2, -1, std::nullopt}, peer->now);
    create();
    peer->receive();
    peer->send_status(1, "NetStream.Play.Start");
    EXPECT_TRUE(end.take<event::Started>());
    return stream;
  }
  void wait(Duration duration) {
    peer->now += duration;
    client->handle_timeout(peer->now);
  }
  std::string closed_text() {
    auto closed = end.take<event::Closed>();
    EXPECT_TRUE(closed);
    return closed && closed->error ? closed->error->text : "";
  }

  TestRandom random{1};
  std::optional<Client> client;
  std::optional<ScriptedPeer> peer;
  Endpoint end;
};

}  // namespace rtmp::testing
