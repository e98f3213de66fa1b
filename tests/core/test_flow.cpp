// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "session/flow.h"

namespace rtmp {
namespace {

TEST(ReceiveWindow, AcknowledgesHalfAWindowBeforeThePeersWord) {
  ReceiveWindow window;
  EXPECT_EQ(window.window(), ReceiveWindow::kDefaultWindow);
  EXPECT_EQ(window.receive(ReceiveWindow::kDefaultWindow / 2 - 1), std::nullopt);
  EXPECT_EQ(window.receive(ReceiveWindow::kDefaultWindow / 2), ReceiveWindow::kDefaultWindow / 2);
}

TEST(ReceiveWindow, AcknowledgesEveryHalfWindow) {
  ReceiveWindow window;
  window.set(1000);
  EXPECT_EQ(window.receive(499), std::nullopt);
  EXPECT_EQ(window.receive(700), 700u);
  EXPECT_EQ(window.acknowledged(), 700u);
  EXPECT_EQ(window.receive(1199), std::nullopt);
  EXPECT_EQ(window.receive(1200), 1200u);
  // One acknowledgement covers whatever came at once.
  EXPECT_EQ(window.receive(9000), 9000u);
  EXPECT_EQ(window.receive(9000), std::nullopt);
}

TEST(ReceiveWindow, TheWireCarries32Bits) {
  ReceiveWindow window;
  window.set(1000);
  EXPECT_EQ(window.receive(0x1'0000'0005), 5u);
  EXPECT_EQ(window.acknowledged(), 0x1'0000'0005u);
  EXPECT_EQ(window.receive(0x1'0000'0005 + 500), 505u);
}

TEST(ReceiveWindow, OddWindows) {
  ReceiveWindow window;
  window.set(0);
  EXPECT_EQ(window.window(), ReceiveWindow::kDefaultWindow);
  window.set(1);
  EXPECT_EQ(window.receive(0), std::nullopt);
  EXPECT_EQ(window.receive(1), 1u);
  EXPECT_EQ(window.receive(1), std::nullopt);
  EXPECT_EQ(window.receive(100), 100u);
  window.set(0xFFFFFFFF);
  EXPECT_EQ(window.receive(0x7FFFFFFFu + 99), std::nullopt);
  EXPECT_EQ(window.receive(0x7FFFFFFFu + 100), 0x7FFFFFFFu + 100);
}

TEST(SendWindow, LimitTypes) {
  SendWindow window;
  EXPECT_EQ(window.window(), 0u);
  // The first is taken whatever its type.
  EXPECT_EQ(window.limit({2500, LimitType::kDynamic}), 2500u);
  EXPECT_EQ(window.announced(), 2500u);
  EXPECT_EQ(window.limit({2500, LimitType::kDynamic}), std::nullopt);
  // Dynamic does nothing behind one that was not hard.
  EXPECT_EQ(window.limit({9000, LimitType::kDynamic}), std::nullopt);
  EXPECT_EQ(window.window(), 2500u);
  // Soft lowers only.
  EXPECT_EQ(window.limit({9000, LimitType::kSoft}), std::nullopt);
  EXPECT_EQ(window.window(), 2500u);
  EXPECT_EQ(window.limit({1000, LimitType::kSoft}), 1000u);
  EXPECT_EQ(window.limit({5000, LimitType::kDynamic}), std::nullopt);
  EXPECT_EQ(window.window(), 1000u);
  // Hard sets, and dynamic behind it does too.
  EXPECT_EQ(window.limit({4000, LimitType::kHard}), 4000u);
  EXPECT_EQ(window.limit({6000, LimitType::kDynamic}), 6000u);
  EXPECT_EQ(window.limit({7000, LimitType::kDynamic}), 7000u);
  EXPECT_EQ(window.limit({7000, LimitType::kHard}), std::nullopt);
}

TEST(SendWindow, RepliesOnlyWithWhatIsNew) {
  SendWindow window;
  window.announce(2'500'000);
  EXPECT_EQ(window.limit({2'500'000, LimitType::kDynamic}), std::nullopt);
  EXPECT_EQ(window.window(), 2'500'000u);
  EXPECT_EQ(window.limit({5'000'000, LimitType::kHard}), 5'000'000u);
  EXPECT_EQ(window.announced(), 5'000'000u);
}

TEST(SendWindow, TheFirstDynamicOneIsAnsweredOnce) {
  SendWindow window;
  window.announce(2'500'000);
  EXPECT_EQ(window.limit({5'000'000, LimitType::kDynamic}), std::nullopt);
  EXPECT_EQ(window.window(), 5'000'000u);
  EXPECT_EQ(window.announced(), 2'500'000u);
  EXPECT_EQ(window.limit({1'000'000, LimitType::kHard}), 1'000'000u);
}

TEST(SendWindow, IgnoresWindowsThatNoPeerTakes) {
  SendWindow window;
  EXPECT_EQ(window.limit({0, LimitType::kHard}), std::nullopt);
  EXPECT_EQ(window.limit({0x80000000, LimitType::kHard}), std::nullopt);
  EXPECT_EQ(window.window(), 0u);
  EXPECT_EQ(window.limit({0x7FFFFFFF, LimitType::kHard}), 0x7FFFFFFFu);
}

TEST(SendWindow, CountsWhatIsUnderWay) {
  SendWindow window;
  EXPECT_EQ(window.in_flight(100), 100u);
  window.acknowledge(60, 100);
  EXPECT_EQ(window.acknowledged(), 60u);
  EXPECT_EQ(window.in_flight(100), 40u);
  EXPECT_EQ(window.in_flight(50), 0u);
}

TEST(SendWindow, UnwrapsTheCounter) {
  SendWindow window;
  uint64_t sent = 0;
  for (int i = 0; i < 20; i++) {
    sent += 1'000'000'000;
    window.acknowledge(static_cast<uint32_t>(sent - 10), sent);
    ASSERT_EQ(window.acknowledged(), sent - 10);
  }
  EXPECT_GT(window.acknowledged(), uint64_t{4} << 32);
}

TEST(SendWindow, ForgivesPeersThatCountTheHandshake) {
  SendWindow window;
  window.acknowledge(5000 + 3073, 5000);
  EXPECT_EQ(window.acknowledged(), 5000u);
  window.acknowledge(9000 + 3073, 9500);
  EXPECT_EQ(window.acknowledged(), 9000u);
}

TEST(SendWindow, FollowsACounterThatStartsOver) {
  SendWindow window;
  const uint64_t before = 0xF0000000;
  window.acknowledge(0x80000000, 0x80000000);
  window.acknowledge(0xF0000000, before);
  window.acknowledge(1000, before + 1500);
  EXPECT_EQ(window.acknowledged(), before + 1000);
  window.acknowledge(1800, before + 2000);
  EXPECT_EQ(window.acknowledged(), before + 1800);
}

TEST(SendWindow, NeverFallsAndNeverPassesWhatWasSent) {
  SendWindow window;
  window.acknowledge(1000, 1000);
  window.acknowledge(0, 1000);
  EXPECT_EQ(window.acknowledged(), 1000u);
  window.acknowledge(0xFFFFFFFF, 1200);
  EXPECT_EQ(window.acknowledged(), 1200u);
}

}  // namespace
}  // namespace rtmp
