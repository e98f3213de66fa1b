// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include <gst/gst.h>
#include <gtest/gtest.h>

#include "net/connection.h"
#include "session/client.h"
#include "test_server.h"

/// What the tests of gst/net share: an owner of a connection.
namespace rtmptest {

using namespace std::chrono_literals;
using gstrtmp::Connection;
using gstrtmp::Loop;
using gstrtmp::monotonic_now;
using gstrtmp::NetError;
using gstrtmp::Step;
using gstrtmp::Target;

inline constexpr auto kLimit = 20s;
// Small, but more than the segments of loopback, without which TCP waits for its timers.
inline constexpr int kReceiveBuffer = 256 << 10;

/// Player or publisher: an owner of a connection as an element is one.
class Owner : public Connection::Handler {
 public:
  enum class Wish { kNothing, kPublish, kPlay };

  explicit Owner(Wish wish = Wish::kNothing, rtmp::ClientOptions options = {}) : wish_(wish) {
    connection_ = Connection::create(Loop::shared(), make_client(options), *this);
  }
  ~Owner() override {
    if (connection_) {
      connection_->close();
    }
  }

  Connection& connection() { return *connection_; }
  std::shared_ptr<Connection> release() { return std::move(connection_); }
  /// make_client() is a session which client() is from now on.
  std::unique_ptr<rtmp::Client> make_client(const rtmp::ClientOptions& options = {}) {
    auto client = std::make_unique<rtmp::Client>(options, gstrtmp::glib_environment());
    client_ = client.get();
    return client;
  }
  rtmp::Client& client() { return *client_; }

  void open(const TestServer& server) {
    connection_->open({.host = "127.0.0.1", .port = server.port(), .connect_timeout = 10s});
  }

  /// wait() is true once `condition` holds, looked at under the lock.
  bool wait(const std::function<bool()>& condition, std::chrono::milliseconds limit = kLimit) {
    auto until = monotonic_now() + limit;
    auto locked = connection_->lock();
    while (!condition()) {
      if (monotonic_now() >= until) {
        return false;
      }
      locked.wait(until);
    }
    return true;
  }
  bool wait_started() {
    return wait([this] { return started != rtmp::kNoStream; });
  }
  bool wait_end(std::chrono::milliseconds limit = kLimit) {
    return wait([this] { return ends > 0; }, limit);
  }

  [[nodiscard]] rtmp::Misuse send(Connection::Locked& locked, int64_t timestamp, size_t size) {
    auto* body = new rtmp::Buffer(size, static_cast<uint8_t>(timestamp));
    rtmp::Owner owner(body, [](void* p) { delete static_cast<rtmp::Buffer*>(p); });
    auto misuse = client_->send_media(started, rtmp::MessageType::kVideo, timestamp,
                                      rtmp::GatherPayload(rtmp::Bytes(*body), std::move(owner)), 0,
                                      monotonic_now());
    locked.flush();
    return misuse;
  }

  // All below: under the lock.
  bool opened = false;
  rtmp::StreamHandle started = rtmp::kNoStream;
  std::vector<Message> media;
  std::vector<std::thread::id> media_threads;
  std::vector<rtmp::Status> statuses;
  std::optional<rtmp::PeerError> closed_error;
  bool closed = false;
  int streams_closed = 0;
  int ends = 0;
  std::optional<NetError> end_error;
  std::atomic<int> calls = 0;  // of the handler; readable after close()
  std::function<void(Connection::Locked&)> at_open;
  std::function<void(Connection::Locked&)> at_end;
  std::function<void(Connection::Locked&, const rtmp::event::Refused&)> at_refusal;

 private:
  void on_open(Connection::Locked& locked) override {
    calls++;
    opened = true;
    if (at_open) {
      at_open(locked);
    }
    auto now = monotonic_now();
    EXPECT_EQ(client_->start(now), rtmp::Misuse::kNone);
    rtmp::Connect connect;
    connect.app = "live";
    EXPECT_EQ(client_->connect(connect, now), rtmp::Misuse::kNone);
    if (wish_ == Wish::kPublish) {
      EXPECT_NE(client_->publish({"key", rtmp::PublishType::kLive}, now), rtmp::kNoStream);
    } else if (wish_ == Wish::kPlay) {
      EXPECT_NE(client_->play({"key", -2, -1, {}}, now), rtmp::kNoStream);
    }
  }

  void on_event(Connection::Locked& locked, rtmp::Event&& event) override {
    calls++;
    if (auto* e = std::get_if<rtmp::event::Started>(&event)) {
      started = e->stream;
    } else if (auto* m = std::get_if<rtmp::event::Media>(&event)) {
      if (m->type != rtmp::MessageType::kDataAmf0) {
        auto bytes = m->payload.bytes();
        media.push_back({m->type, m->timestamp, {bytes.begin(), bytes.end()}});
        media_threads.push_back(std::this_thread::get_id());
      }
    } else if (auto* s = std::get_if<rtmp::event::StreamStatus>(&event)) {
      statuses.push_back(s->status);
    } else if (std::holds_alternative<rtmp::event::StreamClosed>(event)) {
      streams_closed++;
    } else if (auto* c = std::get_if<rtmp::event::Closed>(&event)) {
      EXPECT_FALSE(closed);
      closed = true;
      closed_error = c->error;
    } else if (auto* r = std::get_if<rtmp::event::Refused>(&event); r != nullptr && at_refusal) {
      at_refusal(locked, *r);
    }
  }

  void on_transport_end(Connection::Locked& locked, std::optional<NetError> error) override {
    calls++;
    ends++;
    end_error = std::move(error);
    EXPECT_FALSE(locked.is_open());
    if (at_end) {
      at_end(locked);
    }
  }

  const Wish wish_;
  rtmp::Client* client_;
  std::shared_ptr<Connection> connection_;
};

inline Message video(int64_t timestamp, size_t size = 100) {
  Message message{rtmp::MessageType::kVideo, timestamp, rtmp::Buffer(size, 0x27)};
  return message;
}

inline size_t videos(const Log& log) {
  return static_cast<size_t>(
      std::count_if(log.messages.begin(), log.messages.end(),
                    [](const Message& m) { return m.type == rtmp::MessageType::kVideo; }));
}

/// Waits until the player hears of `count` messages, reading in this thread.
inline bool read_until(Owner& player, size_t count) {
  auto until = monotonic_now() + kLimit;
  auto locked = player.connection().lock();
  while (player.media.size() < count && monotonic_now() < until) {
    locked.read_here(until);
  }
  return player.media.size() >= count;
}

}  // namespace rtmptest
