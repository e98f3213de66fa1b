// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <random>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gst/gst.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connection.h"
#include "net/socket_options.h"
#include "session/client.h"
#include "test_server.h"

namespace {

using namespace std::chrono_literals;
using gstrtmp::Connection;
using gstrtmp::Loop;
using gstrtmp::monotonic_now;
using gstrtmp::NetError;
using gstrtmp::Step;
using gstrtmp::Target;
using rtmptest::Log;
using rtmptest::Message;
using rtmptest::Script;
using rtmptest::TestServer;

constexpr auto kLimit = 20s;
// Small, but more than the segments of loopback, without which TCP waits for its timers.
constexpr int kReceiveBuffer = 256 << 10;

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

  void open(const TestServer& server) { connection_->open({"127.0.0.1", server.port(), 10s}); }

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
  int ends = 0;
  std::optional<NetError> end_error;
  std::atomic<int> calls = 0;  // of the handler; readable after close()
  std::function<void(Connection::Locked&)> at_open;
  std::function<void(Connection::Locked&)> at_end;

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

  void on_event(Connection::Locked&, rtmp::Event&& event) override {
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
    } else if (auto* c = std::get_if<rtmp::event::Closed>(&event)) {
      EXPECT_FALSE(closed);
      closed = true;
      closed_error = c->error;
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

Message video(int64_t timestamp, size_t size = 100) {
  Message message{rtmp::MessageType::kVideo, timestamp, rtmp::Buffer(size, 0x27)};
  return message;
}

size_t videos(const Log& log) {
  return static_cast<size_t>(
      std::count_if(log.messages.begin(), log.messages.end(),
                    [](const Message& m) { return m.type == rtmp::MessageType::kVideo; }));
}

/// Waits until the player hears of `count` messages, reading in this thread.
bool read_until(Owner& player, size_t count) {
  auto until = monotonic_now() + kLimit;
  auto locked = player.connection().lock();
  while (player.media.size() < count && monotonic_now() < until) {
    locked.read_here(until);
  }
  return player.media.size() >= count;
}

// ---- the straight way ----

TEST(Connection, PublishesFromTheCallersThread) {
  TestServer server;
  Owner publisher(Owner::Wish::kPublish);
  publisher.open(server);
  ASSERT_TRUE(publisher.wait_started());
  for (int i = 0; i < 200; i++) {
    auto locked = publisher.connection().lock();
    EXPECT_EQ(publisher.send(locked, i, 1000 + static_cast<size_t>(i)), rtmp::Misuse::kNone);
    EXPECT_FALSE(locked.socket_full());
    EXPECT_FALSE(locked.session().wants_write());  // gone already, without the loop
  }
  ASSERT_TRUE(server.wait([](const Log& log) { return videos(log) == 200; }));
  auto log = server.log();
  for (int i = 0; i < 200; i++) {
    EXPECT_EQ(log.messages[static_cast<size_t>(i)].timestamp, i);
    rtmp::Buffer expected(1000 + static_cast<size_t>(i), static_cast<uint8_t>(i));
    EXPECT_TRUE(log.messages[static_cast<size_t>(i)].body == expected) << i;
  }
}

TEST(Connection, TellsOfTheSocket) {
  TestServer server;
  Owner publisher(Owner::Wish::kPublish);
  {
    auto locked = publisher.connection().lock();
    EXPECT_EQ(locked.fd(), -1);
    EXPECT_FALSE(locked.is_open());
    EXPECT_EQ(locked.socket_stats().peer_address, "");
  }
  publisher.open(server);
  ASSERT_TRUE(publisher.wait_started());
  {
    auto locked = publisher.connection().lock();
    EXPECT_TRUE(locked.is_open());
    auto stats = locked.socket_stats();
    EXPECT_EQ(stats.peer_address, "127.0.0.1:" + std::to_string(server.port()));
    EXPECT_TRUE(stats.round_trip.has_value());
    int value = 0;
    socklen_t size = sizeof value;
    ASSERT_EQ(getsockopt(locked.fd(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &value, &size), 0);
    EXPECT_NE(value, 0);
  }
  publisher.connection().close();
  auto locked = publisher.connection().lock();
  EXPECT_EQ(locked.fd(), -1);
  EXPECT_NE(locked.socket_stats().peer_address, "");
  EXPECT_GT(locked.session().stats().bytes_in, 3073u);  // the session outlives the socket
}

// Voluntary context switches of the loop's thread: how often it has been woken.
long loop_wake_ups() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name != "rtmp-loop") {
      continue;
    }
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("voluntary_ctxt_switches:")) {
        return std::stol(line.substr(line.find(':') + 1));
      }
    }
  }
  return -1;
}

TEST(Connection, PushDoesNotWakeTheLoop) {
  Owner publisher(Owner::Wish::kPublish);
  TestServer server;
  publisher.open(server);
  ASSERT_TRUE(publisher.wait_started());
  std::this_thread::sleep_for(50ms);
  // The server's loop has that name as well; the first found is the older: the publisher's.
  long before = loop_wake_ups();
  ASSERT_GE(before, 0);
  for (int i = 0; i < 500; i++) {
    auto locked = publisher.connection().lock();
    ASSERT_EQ(publisher.send(locked, i, 500), rtmp::Misuse::kNone);
  }
  EXPECT_LT(loop_wake_ups() - before, 50);
}

TEST(Connection, ReadsInTheCallersThread) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  player.open(server);
  auto until = monotonic_now() + kLimit;
  while (player.connection().lock(), player.started == rtmp::kNoStream && monotonic_now() < until) {
    player.connection().read_here(until);
  }
  std::thread sender([&] {
    while (server.players("key") == 0) {
      std::this_thread::sleep_for(1ms);
    }
    for (int i = 0; i < 100; i++) {
      server.send("key", video(i * 10));
      if (i % 10 == 0) {
        std::this_thread::sleep_for(2ms);
      }
    }
  });
  EXPECT_TRUE(read_until(player, 100));
  sender.join();
  auto locked = player.connection().lock();
  for (size_t i = 0; i < player.media.size(); i++) {
    EXPECT_EQ(player.media[i].timestamp, static_cast<int64_t>(i) * 10);
    EXPECT_EQ(player.media_threads[i], std::this_thread::get_id());
  }
}

TEST(Connection, LoopReadsWhileNobodyElseDoes) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  player.open(server);
  ASSERT_TRUE(player.wait_started());
  ASSERT_TRUE(server.players("key") == 1);

  // Before anybody has read here; after a reader has gone; and after one that came and went often.
  server.send("key", video(0));
  EXPECT_TRUE(player.wait([&] { return player.media.size() == 1; }));
  player.connection().read_here(monotonic_now() + 5ms);
  server.send("key", video(1));
  EXPECT_TRUE(player.wait([&] { return player.media.size() == 2; }));
  for (int i = 0; i < 100; i++) {
    player.connection().read_here(monotonic_now() + 1ms);
  }
  server.send("key", video(2));
  EXPECT_TRUE(player.wait([&] { return player.media.size() == 3; }));
  auto locked = player.connection().lock();
  for (auto id : player.media_threads) {
    EXPECT_NE(id, std::this_thread::get_id());
  }
}

TEST(Connection, HeldReadingStopsBothReaders) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  player.open(server);
  ASSERT_TRUE(player.wait_started());
  player.connection().hold_reading(true);
  server.send("key", video(0));
  EXPECT_FALSE(player.wait([&] { return !player.media.empty(); }, 50ms));
  player.connection().read_here(monotonic_now() + 20ms);
  EXPECT_FALSE(player.wait([&] { return !player.media.empty(); }, 1ms));

  // A reader that waits notices the end of it.
  std::thread release([&] {
    std::this_thread::sleep_for(10ms);
    player.connection().hold_reading(false);
  });
  EXPECT_TRUE(read_until(player, 1));
  release.join();
}

TEST(Connection, BulkGoesBothWaysUnchanged) {
  Script script;
  script.receive_buffer = kReceiveBuffer;
  script.options.chunk_size = 128;
  TestServer server(script);
  Owner publisher(Owner::Wish::kPublish);
  Owner player(Owner::Wish::kPlay);
  publisher.open(server);
  player.open(server);
  ASSERT_TRUE(publisher.wait_started());
  ASSERT_TRUE(player.wait_started());
  std::thread sender([&] {
    std::mt19937 random(1);
    for (int i = 0; i < 300; i++) {
      auto locked = publisher.connection().lock();
      ASSERT_EQ(publisher.send(locked, i, random() % 30000), rtmp::Misuse::kNone);
      while (locked.session().backlog().bytes > 200000) {
        locked.wait(monotonic_now() + kLimit);
      }
    }
  });
  EXPECT_TRUE(read_until(player, 300));
  sender.join();
  std::mt19937 random(1);
  auto locked = player.connection().lock();
  ASSERT_EQ(player.media.size(), 300u);
  for (int i = 0; i < 300; i++) {
    rtmp::Buffer expected(random() % 30000, static_cast<uint8_t>(i));
    ASSERT_TRUE(player.media[static_cast<size_t>(i)].body == expected) << i;
  }
}

// ---- failures ----

TEST(Connection, RefusedConnection) {
  uint16_t port;
  {
    TestServer server;
    port = server.port();
  }
  Owner owner;
  owner.connection().open({"127.0.0.1", port, 5s});
  ASSERT_TRUE(owner.wait_end());
  auto locked = owner.connection().lock();
  ASSERT_TRUE(owner.end_error);
  EXPECT_EQ(owner.end_error->domain, G_IO_ERROR);
  EXPECT_EQ(owner.end_error->code, G_IO_ERROR_CONNECTION_REFUSED);
  EXPECT_EQ(owner.end_error->step, Step::kConnect);
  EXPECT_FALSE(owner.opened);
}

TEST(Connection, UnknownHost) {
  Owner owner;
  owner.connection().open({"no-such-host.invalid", 1935, 15s});
  ASSERT_TRUE(owner.wait_end());
  auto locked = owner.connection().lock();
  ASSERT_TRUE(owner.end_error);
  EXPECT_EQ(owner.end_error->step, Step::kResolve);
  EXPECT_EQ(owner.end_error->domain, G_RESOLVER_ERROR) << owner.end_error->message;
}

/// Blackhole is a listening socket whose queue is full: further connections get no answer.
class Blackhole {
 public:
  Blackhole() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 0), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 4; i++) {
      int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      (void)connect(fd, reinterpret_cast<sockaddr*>(&address), size);
      fillers_.push_back(fd);
    }
    std::this_thread::sleep_for(20ms);
  }
  ~Blackhole() {
    for (int fd : fillers_) {
      close(fd);
    }
    close(listener_);
  }
  uint16_t port() const { return port_; }

 private:
  int listener_;
  uint16_t port_ = 0;
  std::vector<int> fillers_;
};

TEST(Connection, ConnectDeadline) {
  Blackhole hole;
  Owner owner;
  auto begun = monotonic_now();
  owner.connection().open({"127.0.0.1", hole.port(), 150ms});
  ASSERT_TRUE(owner.wait_end());
  EXPECT_LT(monotonic_now() - begun, 5s);
  EXPECT_GE(monotonic_now() - begun, 150ms);
  auto locked = owner.connection().lock();
  ASSERT_TRUE(owner.end_error);
  EXPECT_EQ(owner.end_error->domain, G_IO_ERROR);
  EXPECT_EQ(owner.end_error->code, G_IO_ERROR_TIMED_OUT);
  EXPECT_EQ(owner.end_error->step, Step::kConnect);
}

TEST(Connection, CloseEndsConnectingAtOnce) {
  Blackhole hole;
  Owner owner;
  owner.connection().open({"127.0.0.1", hole.port(), 1h});
  std::this_thread::sleep_for(20ms);
  auto begun = monotonic_now();
  owner.connection().close();
  EXPECT_LT(monotonic_now() - begun, 1s);
  EXPECT_EQ(owner.calls, 0);
}

TEST(Connection, SessionTimersRunOnTheLoop) {
  Script script;
  script.silent_at = Script::Step::kAccept;
  TestServer server(script);
  rtmp::ClientOptions options;
  options.handshake_timeout = 100ms;
  Owner owner(Owner::Wish::kPublish, options);
  owner.open(server);
  ASSERT_TRUE(owner.wait([&] { return owner.closed; }));
  auto locked = owner.connection().lock();
  ASSERT_TRUE(owner.closed_error);
  EXPECT_EQ(owner.closed_error->kind, rtmp::ErrorKind::kTimeout);
  EXPECT_EQ(owner.ends, 0);  // the socket is still there
}

TEST(Connection, SilenceAfterEachStepRunsIntoItsDeadline) {
  using S = Script::Step;
  for (S step : {S::kConnect, S::kCreateStream, S::kPublish}) {
    Script script;
    script.silent_at = step;
    TestServer server(script);
    rtmp::ClientOptions options;
    options.command_timeout = 150ms;
    Owner owner(Owner::Wish::kPublish, options);
    owner.open(server);
    ASSERT_TRUE(owner.wait([&] { return owner.closed; })) << static_cast<int>(step);
    auto locked = owner.connection().lock();
    ASSERT_TRUE(owner.closed_error);
    EXPECT_EQ(owner.closed_error->kind, rtmp::ErrorKind::kTimeout);
    EXPECT_EQ(owner.started, rtmp::kNoStream);
  }
}

TEST(Connection, FullSocketDrainsInOrder) {
  Script script;
  script.receive_buffer = kReceiveBuffer;
  TestServer server(script);
  Owner publisher(Owner::Wish::kPublish);
  publisher.open(server);
  ASSERT_TRUE(publisher.wait_started());
  server.hold_reading(true);
  int sent = 0;
  {
    auto locked = publisher.connection().lock();
    gstrtmp::set_unsent_mark(locked.fd(), 16384);
    while (!locked.socket_full() && sent < 10000) {
      ASSERT_EQ(publisher.send(locked, sent++, 20000), rtmp::Misuse::kNone);
    }
    ASSERT_TRUE(locked.socket_full());
    for (int i = 0; i < 20; i++) {
      ASSERT_EQ(publisher.send(locked, sent++, 20000), rtmp::Misuse::kNone);
    }
    // What is cut already is little, so that the rest can still be reordered or dropped.
    EXPECT_LT(locked.session().backlog().committed, 300000u);
    EXPECT_GT(locked.socket_stats().unsent_bytes + locked.socket_stats().unacknowledged_bytes, 0u);
  }
  server.hold_reading(false);
  ASSERT_TRUE(publisher.wait([&] { return !publisher.client().wants_write(); }));
  ASSERT_TRUE(
      server.wait([&](const Log& log) { return videos(log) == static_cast<size_t>(sent); }));
  auto log = server.log();
  for (int i = 0; i < sent; i++) {
    EXPECT_EQ(log.messages[static_cast<size_t>(i)].timestamp, i);
  }
}

TEST(Connection, WaitingWriterWritesItself) {
  Script script;
  script.receive_buffer = kReceiveBuffer;
  TestServer server(script);
  Owner publisher(Owner::Wish::kPublish);
  publisher.open(server);
  ASSERT_TRUE(publisher.wait_started());
  server.hold_reading(true);
  int sent = 0;
  {
    auto locked = publisher.connection().lock();
    while (!locked.socket_full() && sent < 10000) {
      ASSERT_EQ(publisher.send(locked, sent++, 20000), rtmp::Misuse::kNone);
    }
    ASSERT_TRUE(locked.socket_full());
    auto until = monotonic_now() + 20ms;
    locked.write_here(until);  // in vain
    EXPECT_GE(monotonic_now(), until);
    EXPECT_TRUE(locked.socket_full());
  }
  // What comes while it waits goes out with the rest.
  std::thread other([&] {
    std::this_thread::sleep_for(10ms);
    {
      auto locked = publisher.connection().lock();
      for (int i = 0; i < 50; i++) {
        ASSERT_EQ(publisher.send(locked, sent++, 20000), rtmp::Misuse::kNone);
      }
    }
    server.hold_reading(false);
  });
  {
    auto until = monotonic_now() + kLimit;
    auto locked = publisher.connection().lock();
    while (publisher.client().wants_write() && monotonic_now() < until) {
      locked.write_here(until);
    }
    EXPECT_FALSE(publisher.client().wants_write());
  }
  other.join();
  ASSERT_TRUE(
      server.wait([&](const Log& log) { return videos(log) == static_cast<size_t>(sent); }));

  publisher.connection().wake();
  publisher.connection().lock().write_here(std::nullopt);
}

TEST(Connection, PeerClosesOrResetsInMidWrite) {
  for (bool reset : {false, true}) {
    Script script;
    (reset ? script.reset_after : script.close_after) = 20;
    TestServer server(script);
    Owner publisher(Owner::Wish::kPublish);
    publisher.open(server);
    ASSERT_TRUE(publisher.wait_started());
    auto until = monotonic_now() + kLimit;
    for (int i = 0; monotonic_now() < until; i++) {
      auto locked = publisher.connection().lock();
      if (publisher.ends > 0) {
        break;
      }
      (void)publisher.send(locked, i, 5000);
    }
    std::this_thread::sleep_for(10ms);
    auto locked = publisher.connection().lock();
    EXPECT_EQ(publisher.ends, 1);
    EXPECT_TRUE(publisher.closed);  // the session was told first
  }
}

TEST(Connection, OrderlyEndHasNoError) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  player.open(server);
  ASSERT_TRUE(player.wait_started());
  server.disconnect();
  ASSERT_TRUE(player.wait_end());
  auto locked = player.connection().lock();
  EXPECT_FALSE(player.end_error);
}

TEST(Connection, ReaderHearsOfTheEnd) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  player.open(server);
  ASSERT_TRUE(player.wait_started());
  std::thread disconnect([&] {
    std::this_thread::sleep_for(20ms);
    server.disconnect(true);
  });
  player.connection().read_here(monotonic_now() + kLimit);
  disconnect.join();
  EXPECT_TRUE(player.wait_end());
  auto begun = monotonic_now();
  player.connection().read_here(monotonic_now() + kLimit);  // nothing to wait for any more
  EXPECT_LT(monotonic_now() - begun, 1s);
  auto locked = player.connection().lock();
  ASSERT_TRUE(player.end_error);
  EXPECT_EQ(player.end_error->step, Step::kEstablished);
  EXPECT_EQ(player.ends, 1);
}

TEST(Connection, LastWordsAreHeardWhenAWriteFails) {
  TestServer server;
  Owner publisher(Owner::Wish::kPublish);
  publisher.open(server);
  ASSERT_TRUE(publisher.wait_started());
  publisher.connection().hold_reading(true);
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPublishDenied, "Enough"));
  server.disconnect();
  auto until = monotonic_now() + kLimit;
  for (int i = 0; monotonic_now() < until; i++) {
    auto locked = publisher.connection().lock();
    if (publisher.ends > 0) {
      break;
    }
    (void)publisher.send(locked, i, 5000);
  }
  auto locked = publisher.connection().lock();
  ASSERT_EQ(publisher.ends, 1);
  EXPECT_TRUE(publisher.end_error);
  ASSERT_FALSE(publisher.statuses.empty());
  EXPECT_EQ(publisher.statuses[0].description, "Enough");
}

// ---- waking and closing ----

TEST(Connection, WakeEndsAWaitNowOrTheNextOne) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  player.open(server);
  ASSERT_TRUE(player.wait_started());
  auto begun = monotonic_now();

  player.connection().wake();
  player.connection().read_here(monotonic_now() + 1h);
  player.connection().wake();
  player.connection().lock().wait(monotonic_now() + 1h);
  for (bool reads : {true, false}) {
    std::thread waker([&] {
      std::this_thread::sleep_for(10ms);
      player.connection().wake();
    });
    if (reads) {
      player.connection().read_here(std::nullopt);
    } else {
      player.connection().lock().wait(std::nullopt);
    }
    waker.join();
  }
  EXPECT_LT(monotonic_now() - begun, kLimit);

  begun = monotonic_now();
  player.connection().read_here(monotonic_now() + 30ms);  // each wake() counts once
  EXPECT_GE(monotonic_now() - begun, 30ms);
}

// An event that waits in the session is delivered when the lock is let go for the wait: it must not
// be slept through.
TEST(Connection, WaitEndsWithWhatItDelivers) {
  TestServer server;
  Owner owner(Owner::Wish::kPlay);
  owner.open(server);
  ASSERT_TRUE(owner.wait_started());
  auto begun = monotonic_now();
  {
    auto locked = owner.connection().lock();
    locked.session().close();
    ASSERT_FALSE(owner.closed);
    locked.wait(monotonic_now() + 1h);
    EXPECT_TRUE(owner.closed);
  }
  Owner reader(Owner::Wish::kPlay);
  reader.open(server);
  ASSERT_TRUE(reader.wait_started());
  {
    auto locked = reader.connection().lock();
    locked.session().close();
    locked.read_here(monotonic_now() + 1h);
    EXPECT_TRUE(reader.closed);
  }
  EXPECT_LT(monotonic_now() - begun, kLimit);
}

// What a wait brings ends it; it must not end the next one as well, and the one after that.
TEST(Connection, WaitsSleepWhileNothingComes) {
  TestServer server;
  Owner publisher(Owner::Wish::kPublish);
  publisher.open(server);
  ASSERT_TRUE(publisher.wait_started());
  for (int kind = 0; kind < 3; kind++) {
    auto locked = publisher.connection().lock();
    ASSERT_EQ(publisher.send(locked, kind, 1000), rtmp::Misuse::kNone);
    const auto until = monotonic_now() + 200ms;
    int rounds = 0;
    while (monotonic_now() < until) {
      kind == 0   ? locked.wait(until)
      : kind == 1 ? locked.write_here(until)
                  : locked.read_here(until);
      rounds++;
    }
    EXPECT_LT(rounds, 20) << kind;
  }
}

TEST(Connection, EndClosesTheSocketAtOnce) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  player.open(server);
  ASSERT_TRUE(player.wait_started());
  std::thread reader([&] {
    auto locked = player.connection().lock();
    while (locked.is_open()) {
      locked.read_here(std::nullopt);
    }
  });
  std::this_thread::sleep_for(20ms);
  {
    auto locked = player.connection().lock();
    locked.end();
    EXPECT_FALSE(locked.is_open());
    EXPECT_EQ(locked.fd(), -1);
    EXPECT_EQ(locked.socket_stats().unsent_bytes, 0u);
  }
  reader.join();
  EXPECT_TRUE(server.wait([](const Log& log) { return log.ended == 1; }));
  auto begun = monotonic_now();
  player.connection().read_here(monotonic_now() + kLimit);
  EXPECT_LT(monotonic_now() - begun, 1s);
  auto locked = player.connection().lock();
  EXPECT_EQ(player.ends, 0);
}

TEST(Connection, ReopensForAnotherSession) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  const Target target{"127.0.0.1", server.port(), 10s};
  player.at_end = [&](Connection::Locked& locked) {
    if (player.ends < 3) {
      player.started = rtmp::kNoStream;
      player.closed = false;
      locked.reopen(player.make_client(), target);
    }
  };
  player.open(server);
  std::thread reader([&] {
    auto locked = player.connection().lock();
    while (player.ends < 3) {
      locked.read_here(std::nullopt);
    }
  });
  for (size_t round = 1; round <= 3; round++) {
    ASSERT_TRUE(player.wait([&] {
      return player.ends + 1 == static_cast<int>(round) && player.started != rtmp::kNoStream;
    }));
    server.send("key", video(static_cast<int64_t>(round)));
    ASSERT_TRUE(player.wait([&] { return player.media.size() == round; }));
    server.disconnect(round == 2);
  }
  reader.join();
  EXPECT_EQ(server.log().accepted, 3u);
  EXPECT_EQ(player.media.back().timestamp, 3);
}

// The reader polls the old socket while the loop may be making the new one.
TEST(Connection, CloseWhileReopening) {
  TestServer server;
  std::mt19937 random(11);
  for (int i = 0; i < 100; i++) {
    Owner player(Owner::Wish::kPlay);
    const Target target{"127.0.0.1", server.port(), 10s};
    player.at_end = [&](Connection::Locked& locked) {
      player.closed = false;
      locked.reopen(player.make_client(), target);
    };
    player.open(server);
    std::thread reader([&] {
      for (int n = 0; n < 50; n++) {
        player.connection().read_here(monotonic_now() + 1ms);
      }
    });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    server.disconnect(i % 2 == 0);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000));
    player.connection().close();
    int calls = player.calls;
    reader.join();
    EXPECT_EQ(player.calls, calls);
  }
}

TEST(Connection, WakeMayComeFromAHandler) {
  TestServer server;
  Owner owner(Owner::Wish::kPublish);
  owner.at_open = [&](Connection::Locked&) { owner.connection().wake(); };
  owner.open(server);
  owner.connection().lock().wait(monotonic_now() + kLimit);
  EXPECT_TRUE(owner.wait_started());
}

TEST(Connection, CloseEndsAReaderAndAWaiter) {
  TestServer server;
  Owner player(Owner::Wish::kPlay);
  player.open(server);
  ASSERT_TRUE(player.wait_started());
  std::thread reader([&] { player.connection().read_here(std::nullopt); });
  std::thread waiter([&] { player.connection().lock().wait(std::nullopt); });
  std::this_thread::sleep_for(20ms);
  player.connection().close();
  player.connection().lock().write_here(std::nullopt);
  reader.join();
  waiter.join();
  player.connection().lock().wait(std::nullopt);  // returns: nothing can come any more
  player.connection().read_here(std::nullopt);
}

TEST(Connection, OpenAndCloseRace) {
  TestServer server;
  std::mt19937 random(7);
  for (int i = 0; i < 200; i++) {
    Owner owner(i % 2 == 0 ? Owner::Wish::kPublish : Owner::Wish::kPlay);
    owner.open(server);
    std::thread user([&, reads = i % 2 == 1] {
      for (int n = 0; n < 50; n++) {
        if (reads) {
          owner.connection().read_here(monotonic_now() + 1ms);
        } else {
          auto locked = owner.connection().lock();
          if (owner.started != rtmp::kNoStream) {
            (void)owner.send(locked, n, 2000);
          }
          locked.wait(monotonic_now() + 100us);
        }
      }
    });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
    owner.connection().close();
    int calls = owner.calls;
    std::this_thread::yield();
    owner.connection().close();
    EXPECT_EQ(owner.calls, calls);
    user.join();
  }
}

TEST(Connection, ServerClosesWhileWeDo) {
  TestServer server;
  for (int i = 0; i < 50; i++) {
    Owner owner(Owner::Wish::kPublish);
    owner.open(server);
    ASSERT_TRUE(owner.wait_started());
    std::thread other([&] { server.disconnect(i % 2 == 0); });
    owner.connection().close();
    int calls = owner.calls;
    other.join();
    EXPECT_EQ(owner.calls, calls);
  }
}

// A handler may let go of the connection: it ends with the callback.
TEST(Connection, HandlerMayDropTheLastReference) {
  TestServer server;
  struct Dropper : Connection::Handler {
    void on_open(Connection::Locked&) override {
      connection.reset();
      dropped.set_value();
    }
    void on_event(Connection::Locked&, rtmp::Event&&) override { FAIL(); }
    void on_transport_end(Connection::Locked&, std::optional<NetError>) override { FAIL(); }
    std::shared_ptr<Connection> connection;
    std::promise<void> dropped;
  } dropper;
  dropper.connection = Connection::create(
      Loop::shared(),
      std::make_unique<rtmp::Client>(rtmp::ClientOptions(), gstrtmp::glib_environment()), dropper);
  auto held = dropper.connection;  // for the call; the handler may be quicker
  std::weak_ptr<Connection> weak = held;
  held->open({"127.0.0.1", server.port(), 5s});
  held.reset();
  ASSERT_EQ(dropper.dropped.get_future().wait_for(kLimit), std::future_status::ready);
  EXPECT_TRUE(server.wait([](const Log& log) { return log.ended == 1; }));
  EXPECT_TRUE(weak.expired());
}

TEST(Connection, LingerSendsWhatIsQueued) {
  Script script;
  script.receive_buffer = kReceiveBuffer;
  TestServer server(script);
  {
    Owner publisher(Owner::Wish::kPublish);
    publisher.open(server);
    ASSERT_TRUE(publisher.wait_started());
    server.hold_reading(true);
    {
      auto locked = publisher.connection().lock();
      for (int i = 0; i < 300; i++) {
        ASSERT_EQ(publisher.send(locked, i, 20000), rtmp::Misuse::kNone);
      }
      ASSERT_TRUE(locked.socket_full());
    }
    publisher.connection().linger(monotonic_now() + kLimit);
    int calls = publisher.calls;
    server.hold_reading(false);
    publisher.release().reset();
    EXPECT_EQ(publisher.calls, calls);
  }
  EXPECT_TRUE(server.wait([](const Log& log) { return videos(log) == 300 && log.ended == 1; }));
}

TEST(Connection, LingerGivesUp) {
  Script script;
  script.receive_buffer = kReceiveBuffer;
  TestServer server(script);
  std::weak_ptr<Connection> weak;
  {
    Owner publisher(Owner::Wish::kPublish);
    publisher.open(server);
    ASSERT_TRUE(publisher.wait_started());
    server.hold_reading(true);
    {
      auto locked = publisher.connection().lock();
      for (int i = 0; i < 300; i++) {
        ASSERT_EQ(publisher.send(locked, i, 20000), rtmp::Misuse::kNone);
      }
    }
    publisher.connection().linger(monotonic_now() + 50ms);
    weak = publisher.release();
  }
  auto until = monotonic_now() + kLimit;
  while (!weak.expired() && monotonic_now() < until) {
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(weak.expired());
}

TEST(Connection, LingerWithoutASocketIsClose) {
  Blackhole hole;
  Owner owner;
  owner.connection().open({"127.0.0.1", hole.port(), 1h});
  owner.connection().linger(monotonic_now() + 1h);
  auto connection = owner.release();
  std::weak_ptr<Connection> weak = connection;
  connection.reset();
  EXPECT_TRUE(weak.expired());
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
