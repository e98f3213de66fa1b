// SPDX-License-Identifier: LGPL-2.1-or-later
// What bounds a session's memory: events, answers, and messages.
#include <gtest/gtest.h>

#include "session/event_queue.h"
#include "session_testing.h"

namespace rtmp {
namespace {

using testing::pattern;
using testing::SessionTest;

TEST_F(SessionTest, UndrainedEventsAreBounded) {
  ServerOptions options;
  options.limits.max_events = 100;
  begin(options);
  for (int i = 0; i < 100; i++) {
    peer->send(MessageType::kAudio, 1, {}, i);
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  peer->send(MessageType::kAudio, 1, {}, 100);
  EXPECT_EQ(server->state(), SessionState::kClosed);
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
  EXPECT_EQ(end.count<event::Media>(), 100u);
}

TEST_F(SessionTest, ABurstOfSmallMessagesIsTaken) {
  begin();
  // As many as a transport that reads 128 kB at a time can find in it, at 12 octets each.
  for (int i = 0; i < (128 << 10) / 12; i++) {
    peer->send(MessageType::kAudio, 1, {}, i);
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  EXPECT_EQ(end.count<event::Media>(), (128u << 10) / 12);
}

TEST_F(SessionTest, EventsThatNobodyTakesAreBoundedByDefault) {
  begin();
  for (int i = 0; i < 65'536 && server->state() == SessionState::kOpen; i++) {
    peer->send(MessageType::kAudio, 1, {}, i);
  }
  peer->send(MessageType::kAudio, 1, {}, 0);
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
}

TEST(EventQueue, GivesBackTheRoomOfABurst) {
  EventQueue queue;
  for (int round = 0; round < 3; round++) {
    for (size_t size : {1u, 200u, 10'000u}) {
      for (size_t i = 0; i < size; i++) {
        queue.push(event::RoundTrip{Duration(i)});
      }
      EXPECT_EQ(queue.size(), size);
      EXPECT_GE(queue.capacity(), size);
      for (size_t i = 0; i < size; i++) {
        auto event = queue.pop();
        ASSERT_TRUE(event);
        EXPECT_EQ(std::get<event::RoundTrip>(*event).time, Duration(i));
      }
      EXPECT_FALSE(queue.pop());
      EXPECT_LE(queue.capacity(), 256u);
    }
  }
}

TEST_F(SessionTest, UnreadAnswersAreBounded) {
  ServerOptions options;
  options.limits.max_unsent_answers = 10'000;
  begin(options);
  auto ask = [&] { peer->send_control(rtmp::ping(UserControlType::kPingRequest, 1)); };
  for (int i = 0; i < 38; i++) {
    ask();
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  EXPECT_EQ(peer->receive().size(), 38u);
  // Read, they are forgotten; what the owner says does not count.
  for (int i = 0; i < 38; i++) {
    ask();
    ASSERT_EQ(server->ping(peer->now), Misuse::kNone);
  }
  EXPECT_EQ(server->state(), SessionState::kOpen);
  ask();
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);

  begin();
  while (server->state() == SessionState::kOpen) {
    peer->send(0, {"FCPublish", 1, amf::Null{}, {std::string(60'000, 'x')}});
    ASSERT_LT(server->backlog().bytes, 2u << 20);
  }
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
}

TEST_F(SessionTest, LongMessagesClose) {
  ServerOptions options;
  options.limits.max_message_length = 1000;
  begin(options);
  peer->send(MessageType::kVideo, 1, pattern(1000, 0));
  EXPECT_TRUE(end.take<event::Media>());
  peer->send(MessageType::kVideo, 1, pattern(1001, 0));
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
}

class NoMemory final : public BlockSource {
 public:
  Block take(size_t capacity) override { return left-- > 0 ? heap_.take(capacity) : Block{}; }
  int left = 4;

 private:
  HeapBlocks heap_;
};

TEST_F(SessionTest, NoMemoryCloses) {
  NoMemory blocks;
  Server session({}, {&random, nullptr, &blocks});
  peer.emplace(session, handshake::Role::kClient);
  end.session = &session;
  ASSERT_EQ(session.start(peer->now), Misuse::kNone);
  peer->handshake();
  for (int i = 0; i < 5; i++) {
    peer->send(MessageType::kSharedObjectAmf0, 0, pattern(10, 0));
  }
  EXPECT_EQ(closed_for(), ErrorKind::kLimit);
  EXPECT_EQ(end.count<event::OtherMessage>(), 4u);
}

}  // namespace
}  // namespace rtmp
