// SPDX-License-Identifier: LGPL-2.1-or-later
// How a connection's waits end, and how it is closed, opened again, or left to linger.
#include <future>
#include <random>
#include <thread>

#include "blackhole.h"
#include "net_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

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

// Where nothing is waited for, the stream is closed once the socket has taken the commands: an
// event that comes of writing, with nothing behind it that would deliver it.
TEST(Connection, DeliversWhatWritingBrings) {
  TestServer server;
  rtmp::ClientOptions options;
  options.close_timeout = rtmp::Duration::zero();
  Owner publisher(Owner::Wish::kPublish, options);
  publisher.open(server);
  ASSERT_TRUE(publisher.wait_started());
  server.hold_reading(true);
  {
    auto locked = publisher.connection().lock();
    ASSERT_EQ(publisher.client().close_stream(publisher.started, {}, monotonic_now()),
              rtmp::Misuse::kNone);
  }
  auto locked = publisher.connection().lock();
  EXPECT_EQ(publisher.streams_closed, 1);
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
  const Target target{.host = "127.0.0.1", .port = server.port(), .connect_timeout = 10s};
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

// What is left of the old session, its end included, is not told.
TEST(Connection, ReopensFromAnEvent) {
  for (bool reads : {false, true}) {
    for (bool hangs_up : {false, true}) {
      SCOPED_TRACE(std::to_string(reads) + std::to_string(hangs_up));
      Script refusing;
      refusing.refuse_connect = rtmp::make_status(rtmp::StatusCode::kConnectRejected, "not yet");
      refusing.hang_up_with_refusal = hangs_up;
      TestServer server(refusing);
      Owner player(Owner::Wish::kPlay);
      const Target target{.host = "127.0.0.1", .port = server.port(), .connect_timeout = 10s};
      int refusals = 0;
      player.at_refusal = [&](Connection::Locked& locked, const rtmp::event::Refused& refused) {
        EXPECT_EQ(refused.status.description, "not yet");
        if (++refusals == 3) {
          server.set_script({});
        }
        locked.reopen(player.make_client(), target);
        EXPECT_FALSE(locked.is_open());
      };
      player.open(server);
      std::thread reader([&] {
        auto locked = player.connection().lock();
        while (reads && player.media.empty()) {
          locked.read_here(std::nullopt);
        }
      });
      EXPECT_TRUE(player.wait_started());
      server.send("key", video(1));
      EXPECT_TRUE(player.wait([&] { return player.media.size() == 1; }));
      reader.join();
      EXPECT_EQ(refusals, 3);
      EXPECT_TRUE(server.wait([](const Log& log) { return log.accepted == 4; }));
      auto locked = player.connection().lock();
      EXPECT_EQ(player.ends, 0);
      EXPECT_FALSE(player.closed);
    }
  }
}

// The reader polls the old socket while the loop may be making the new one.
TEST(Connection, CloseWhileReopening) {
  TestServer server;
  std::mt19937 random(11);
  for (int i = 0; i < 100; i++) {
    Owner player(Owner::Wish::kPlay);
    const Target target{.host = "127.0.0.1", .port = server.port(), .connect_timeout = 10s};
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
  held->open({.host = "127.0.0.1", .port = server.port(), .connect_timeout = 5s});
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
  owner.connection().open({.host = "127.0.0.1", .port = hole.port(), .connect_timeout = 1h});
  owner.connection().linger(monotonic_now() + 1h);
  auto connection = owner.release();
  std::weak_ptr<Connection> weak = connection;
  connection.reset();
  EXPECT_TRUE(weak.expired());
}

}  // namespace
