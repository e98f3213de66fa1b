// SPDX-License-Identifier: LGPL-2.1-or-later
// A session that pings by itself: when, and what it makes of a peer that does not answer.
#include <gtest/gtest.h>

#include "client_testing.h"
#include "session_testing.h"

namespace rtmp {
namespace {

using testing::ClientTest;
using testing::copy_payload;
using testing::pattern;

class Pings : public ClientTest {
 protected:
  void begin_pinging(Duration interval = 1s, Duration limit = 3s) {
    ClientOptions options;
    options.ping_interval = interval;
    options.silence_limit = limit;
    begin(options);
    accept_connect();
    stream = publishing();
    peer->receive();
    end.events.clear();
  }
  /// pings() is the values of those that the client sends now.
  std::vector<uint32_t> pings() {
    std::vector<uint32_t> values;
    for (const auto& message : peer->receive()) {
      if (message.header.type != MessageType::kUserControl) {
        continue;
      }
      auto control = parse_user_control(message.body);
      if (control && control->type == UserControlType::kPingRequest) {
        values.push_back(control->value);
      }
    }
    return values;
  }
  void answer(uint32_t value) {
    peer->send_control(rtmp::ping(UserControlType::kPingResponse, value));
  }
  void answer_all() {
    for (uint32_t value : pings()) {
      answer(value);
    }
  }
  /// pass() lets time pass from deadline to deadline; with `answering` the peer answers at once.
  /// It answers when the first Silent came, if any did.
  std::optional<Duration> pass(Duration time, bool answering = false) {
    const Time begun = peer->now;
    std::optional<Duration> silent;
    while (auto next = client->next_timeout()) {
      if (*next > begun + time) {
        break;
      }
      wait(*next - peer->now);
      answering ? answer_all() : static_cast<void>(pings());
      if (auto event = end.take<event::Silent>(); event && !silent) {
        silent = peer->now - begun;
        told = event->time;
      }
    }
    peer->now = begun + time;
    return silent;
  }
  void say(MessageType type = MessageType::kVideo) {
    ASSERT_EQ(client->send_media(stream, type, 0, copy_payload(pattern(100, 0)), 0, peer->now),
              Misuse::kNone);
    peer->receive();
  }

  StreamHandle stream = kNoStream;
  Duration told{};
};

TEST_F(Pings, BeginWhenConnectIsAccepted) {
  ClientOptions options;
  options.ping_interval = 1s;
  options.command_timeout = 0s;
  begin(options);
  peer->receive();
  wait(10s);
  EXPECT_TRUE(pings().empty()) << "a server may not know us yet";
  accept_connect();
  peer->receive();
  wait(999ms);
  EXPECT_TRUE(pings().empty());
  wait(1ms);
  EXPECT_EQ(pings().size(), 1u);
}

TEST_F(Pings, NoneUnlessAskedFor) {
  begin_pinging(0s);
  EXPECT_FALSE(pass(60s));
  wait(60s);
  EXPECT_TRUE(pings().empty());
}

TEST_F(Pings, APeerThatNeverAnswersIsNoSilentOne) {
  begin_pinging();
  EXPECT_FALSE(pass(3600s));
  EXPECT_EQ(client->state(), SessionState::kOpen);
  EXPECT_FALSE(client->stats().round_trip);
}

TEST_F(Pings, APeerThatAnswersIsNotEither) {
  begin_pinging();
  EXPECT_FALSE(pass(3600s, true));
}

TEST_F(Pings, WhoUsedToAnswerAndFallsSilentIsTold) {
  begin_pinging();
  EXPECT_FALSE(pass(10s, true));
  EXPECT_EQ(pass(10s), Duration(3s)) << "from the last that was heard";
  EXPECT_EQ(told, Duration(3s));
  EXPECT_EQ(client->state(), SessionState::kOpen) << "the owner decides";
}

TEST_F(Pings, ToldAgainUntilItSpeaks) {
  begin_pinging();
  pass(2s, true);
  pass(3s);
  for (int i = 1; i <= 3; i++) {
    EXPECT_TRUE(pass(1s)) << i;
    EXPECT_EQ(told, Duration(3s + i * 1s));
  }
  answer(0);  // a value that nobody asked for is something all the same
  EXPECT_FALSE(pass(2900ms));
  EXPECT_TRUE(pass(200ms));
}

TEST_F(Pings, WhateverComesIsASignOfLife) {
  begin_pinging();
  pass(2s, true);
  for (int i = 0; i < 20; i++) {
    EXPECT_FALSE(pass(2s)) << i;
    peer->send(MessageType::kAcknowledgement, 0, Buffer{0, 0, 0, 1}, 0, 2);
  }
}

TEST_F(Pings, NotCountedWhileWeSayMore) {
  begin_pinging();
  pass(2s, true);
  for (int i = 0; i < 20; i++) {
    say();
    EXPECT_FALSE(pass(1s)) << "a slow reader answers late";
  }
  EXPECT_EQ(pass(5s), Duration(2s));
}

TEST_F(Pings, NorWhileOursCannotLeave) {
  begin_pinging();
  pass(2s, true);
  // The transport takes nothing.
  for (int i = 0; i < 20; i++) {
    wait(1s);
    EXPECT_FALSE(end.take<event::Silent>()) << i;
  }
}

TEST_F(Pings, ALongIntervalLeavesTimeToAnswer) {
  begin_pinging(10s, 3s);
  EXPECT_FALSE(pass(60s, true));
  EXPECT_EQ(pass(30s), Duration(11500ms)) << "half the limit after the ping";
}

TEST_F(Pings, NoLimitNeverTells) {
  begin_pinging(1s, 0s);
  pass(5s, true);
  EXPECT_FALSE(pass(600s));
}

TEST_F(Pings, TheRoundTripIsOfTheLatest) {
  begin_pinging();
  wait(1s);
  const auto first = pings();
  ASSERT_EQ(first.size(), 1u);
  wait(1s);
  const auto second = pings();
  ASSERT_EQ(second.size(), 1u);
  peer->now += 40ms;
  answer(second[0]);
  EXPECT_EQ(client->stats().round_trip, Duration(40ms));
  answer(first[0]);
  EXPECT_EQ(client->stats().round_trip, Duration(40ms)) << "answers come in order: this is none";
}

// The ping behind the closing commands is looked for among those that the timer sends.
TEST_F(Pings, ManyOfThemDoNotDisplaceTheOneBehindTheClosingCommands) {
  begin_pinging(10ms, 3s);
  ASSERT_EQ(client->close_stream(stream, {}, peer->now), Misuse::kNone);
  const auto marker = pings();
  ASSERT_EQ(marker.size(), 1u);
  for (int i = 0; i < 50; i++) {
    wait(10ms);
    pings();
  }
  EXPECT_FALSE(end.take<event::StreamClosed>());
  answer(marker[0]);
  EXPECT_TRUE(end.take<event::StreamClosed>());
}

}  // namespace
}  // namespace rtmp
