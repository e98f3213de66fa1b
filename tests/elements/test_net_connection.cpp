// SPDX-License-Identifier: LGPL-2.1-or-later
// A connection on its straight way, and what can go wrong with it.
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

#include "blackhole.h"
#include "net/socket_options.h"
#include "net_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

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
  owner.connection().open({.host = "127.0.0.1", .port = port, .connect_timeout = 5s});
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

TEST(Connection, ConnectDeadline) {
  Blackhole hole;
  Owner owner;
  auto begun = monotonic_now();
  owner.connection().open({.host = "127.0.0.1", .port = hole.port(), .connect_timeout = 150ms});
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
  owner.connection().open({.host = "127.0.0.1", .port = hole.port(), .connect_timeout = 1h});
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

}  // namespace
