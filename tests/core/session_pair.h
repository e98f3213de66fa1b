// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/hmac_sha256.h"
#include "session/client.h"
#include "session/server.h"

/// A client and a server with a wire between them, on a clock that the test turns.
namespace rtmp::testing {

/// TestRandom is repeatable, and different for each seed.
class TestRandom final : public Random {
 public:
  explicit TestRandom(unsigned seed) : engine_(seed) {}
  void fill(std::span<uint8_t> out) override {
    for (uint8_t& octet : out) {
      octet = static_cast<uint8_t>(engine_());
    }
  }

 private:
  std::mt19937 engine_;
};

/// Endpoint is one session with the events it has told.
struct Endpoint {
  Session* session = nullptr;
  std::deque<Event> events;

  void drain() {
    while (auto event = session->poll()) {
      events.push_back(std::move(*event));
    }
  }
  /// take() removes and answers the first event of that type; nothing if there is none.
  template <typename T>
  std::optional<T> take() {
    drain();
    for (auto it = events.begin(); it != events.end(); ++it) {
      if (auto* found = std::get_if<T>(&*it)) {
        T event = std::move(*found);
        events.erase(it);
        return event;
      }
    }
    return std::nullopt;
  }
  template <typename T>
  size_t count() {
    drain();
    size_t n = 0;
    for (const Event& event : events) {
      n += std::holds_alternative<T>(event) ? 1 : 0;
    }
    return n;
  }
};

/// take_output() takes up to `limit` octets out of a session, as a transport would.
inline Buffer take_output(Session& session, Time now, size_t limit = SIZE_MAX) {
  Buffer out;
  std::array<Bytes, 64> pieces;
  while (out.size() < limit) {
    size_t count = session.gather(pieces, limit - out.size());
    if (count == 0) {
      break;
    }
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
      Bytes piece = pieces[i].first(std::min(pieces[i].size(), limit - out.size()));
      out.insert(out.end(), piece.begin(), piece.end());
      taken += piece.size();
    }
    session.consume(taken, now);
  }
  return out;
}

inline GatherPayload copy_payload(Bytes bytes) {
  auto* owned = new Buffer(bytes.begin(), bytes.end());
  return GatherPayload(Bytes(*owned),
                       Owner(owned, [](void* object) { delete static_cast<Buffer*>(object); }));
}

/// SessionPair carries octets both ways, cut at random places, until nobody has anything to say.
class SessionPair {
 public:
  explicit SessionPair(unsigned seed, ClientOptions client_options = {},
                       ServerOptions server_options = {}, Hmac* client_hmac = nullptr,
                       Hmac* server_hmac = nullptr)
      : client_random_(seed),
        server_random_(seed + 1),
        splits_(seed),
        client_(client_options, Environment{&client_random_, client_hmac, nullptr}),
        server_(server_options, Environment{&server_random_, server_hmac, nullptr}) {
    client_end.session = &client_;
    server_end.session = &server_;
  }

  Client& client() { return client_; }
  Server& server() { return server_; }
  Endpoint client_end;
  Endpoint server_end;
  Time now{std::chrono::seconds(1000)};

  /// start() begins the handshake on both sides.
  void start() {
    ASSERT_EQ(client_.start(now), Misuse::kNone);
    ASSERT_EQ(server_.start(now), Misuse::kNone);
  }
  /// exchange() moves all that waits, in pieces, until both are silent.
  void exchange() {
    bool moved = true;
    while (moved) {
      moved = move(client_, server_);
      moved = move(server_, client_) || moved;
    }
    client_end.drain();
    server_end.drain();
  }
  /// flight() moves what one side can send now, all at once: half a round trip. Answers its size.
  size_t flight(Session& from, Session& to) {
    Buffer bytes = take_output(from, now);
    to.receive(bytes, now);
    return bytes.size();
  }
  /// pass() lets time go by, in steps as the sessions ask for.
  void pass(Duration duration) {
    Time end = now + duration;
    while (true) {
      Time next = end;
      for (Session* session : {static_cast<Session*>(&client_), static_cast<Session*>(&server_)}) {
        auto timeout = session->next_timeout();
        next = timeout ? std::min(next, std::max(*timeout, now)) : next;
      }
      now = next;
      client_.handle_timeout(now);
      server_.handle_timeout(now);
      exchange();
      if (now >= end) {
        return;
      }
    }
  }

  // Common openings.
  void connect(const std::string& app = "live") {
    start();
    Connect connect;
    connect.app = app;
    connect.tc_url = "rtmp://localhost/" + app;
    connect.type = "nonprivate";
    ASSERT_EQ(client_.connect(connect, now), Misuse::kNone);
    exchange();
    auto asked = server_end.take<event::ConnectRequested>();
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->connect.app, app);
    ASSERT_EQ(server_.accept_connect({}, now), Misuse::kNone);
    exchange();
    ASSERT_TRUE(client_end.take<event::Connected>());
  }
  /// publish() and play() answer the stream's handle at the client; `server_stream` gets the other.
  StreamHandle publish(const std::string& name, StreamHandle* server_stream = nullptr) {
    StreamHandle stream = client_.publish({name, PublishType::kLive}, now);
    exchange();
    auto asked = server_end.take<event::PublishRequested>();
    EXPECT_TRUE(asked);
    if (!asked) {
      return kNoStream;
    }
    EXPECT_EQ(asked->publish.name, name);
    EXPECT_EQ(server_.accept_publish(asked->request, now), Misuse::kNone);
    if (server_stream != nullptr) {
      *server_stream = asked->stream;
    }
    exchange();
    return stream;
  }
  StreamHandle play(const std::string& name, StreamHandle* server_stream = nullptr) {
    StreamHandle stream = client_.play({name, -2, -1, std::nullopt}, now);
    exchange();
    auto asked = server_end.take<event::PlayRequested>();
    EXPECT_TRUE(asked);
    if (!asked) {
      return kNoStream;
    }
    EXPECT_EQ(asked->play.name, name);
    EXPECT_EQ(server_.accept_play(asked->request, now), Misuse::kNone);
    if (server_stream != nullptr) {
      *server_stream = asked->stream;
    }
    exchange();
    return stream;
  }

 private:
  bool move(Session& from, Session& to) {
    bool moved = false;
    for (int i = 0; i < 3; i++) {
      Buffer bytes = take_output(from, now, random(1, i == 0 ? 7 : 4000));
      if (bytes.empty()) {
        break;
      }
      moved = true;
      Bytes rest(bytes);
      while (!rest.empty()) {
        size_t n = random(1, rest.size());
        to.receive(rest.first(n), now);
        rest = rest.subspan(n);
      }
    }
    return moved;
  }
  size_t random(size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(splits_);
  }

  TestRandom client_random_;
  TestRandom server_random_;
  std::mt19937 splits_;
  Client client_;
  Server server_;
};

}  // namespace rtmp::testing
