// SPDX-License-Identifier: LGPL-2.1-or-later
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "chunk_support.h"
#include "session/payload.h"

namespace rtmp {
namespace {

void count_release(void* object) {
  ++*static_cast<int*>(object);
}

TEST(Owner, ReleasesOnce) {
  int releases = 0;
  {
    Owner first(&releases, count_release);
    Owner second(std::move(first));
    EXPECT_EQ(first.get(), nullptr);  // NOLINT: what a moved-from owner holds is promised
    first.reset();
    Owner third;
    third = std::move(second);
    EXPECT_EQ(releases, 0);
  }
  EXPECT_EQ(releases, 1);
}

TEST(Owner, AssignmentReleasesTheOldOne) {
  int first_releases = 0;
  int second_releases = 0;
  Owner owner(&first_releases, count_release);
  owner = Owner(&second_releases, count_release);
  EXPECT_EQ(first_releases, 1);
  EXPECT_EQ(owner.detach(), &second_releases);
  owner.reset();
  EXPECT_EQ(second_releases, 0);
}

TEST(GatherPayload, KeepsPiecesInOrder) {
  const Buffer octets = test::octets("01 02 03 04 05 06 07");
  int releases = 0;
  GatherPayload payload{Owner(&releases, count_release)};
  for (size_t i = 0; i < octets.size(); i++) {
    payload.append(Bytes(octets).subspan(i, 1));
    payload.append({});
  }
  GatherPayload moved(std::move(payload));
  EXPECT_EQ(payload.size(), 0u);  // NOLINT: see above
  EXPECT_EQ(payload.piece_count(), 0u);
  ASSERT_EQ(moved.piece_count(), octets.size());
  EXPECT_EQ(moved.size(), octets.size());
  for (size_t i = 0; i < octets.size(); i++) {
    EXPECT_EQ(moved.piece(i)[0], octets[i]);
  }
  moved.replace(Bytes(octets).first(2), {});
  EXPECT_EQ(releases, 1);
  EXPECT_EQ(moved.piece_count(), 1u);
  EXPECT_EQ(moved.size(), 2u);
}

TEST(HeapBlocks, GivesWhatIsAskedFor) {
  HeapBlocks blocks;
  std::vector<Block> taken;
  for (size_t capacity : {0, 1, 255, 256, 257, 4096, 65536, (16 << 20) + 15, 32 << 20}) {
    taken.push_back(blocks.take(capacity));
    ASSERT_NE(taken.back().data, nullptr) << capacity;
    EXPECT_GE(taken.back().capacity, capacity);
    std::memset(taken.back().data, 0xAA, taken.back().capacity);
  }
}

TEST(HeapBlocks, RefusesWhatNoMessageCanBe) {
  HeapBlocks blocks;
  EXPECT_EQ(blocks.take((size_t{32} << 20) + 1).data, nullptr);
  EXPECT_EQ(blocks.take(SIZE_MAX).data, nullptr);
}

TEST(HeapBlocks, TakesAgainWhatCameBack) {
  HeapBlocks blocks;
  uint8_t* const first = blocks.take(1000).data;
  EXPECT_EQ(blocks.take(900).data, first);
  Block held = blocks.take(1000);
  EXPECT_EQ(held.data, first);
  EXPECT_NE(blocks.take(1000).data, first);
}

TEST(HeapBlocks, BlocksOutliveTheirSource) {
  auto blocks = std::make_unique<HeapBlocks>();
  Block idle = blocks->take(100);
  Block held = blocks->take(100);
  idle = {};
  blocks.reset();
  std::memset(held.data, 0xAA, held.capacity);
}

TEST(HeapBlocks, KeepsNoMoreThanItMay) {
  HeapBlocks blocks(0);
  // Nothing to see but that the sanitizer finds neither leak nor double release.
  for (int i = 0; i < 10; i++) {
    Block first = blocks.take(5000);
    Block second = blocks.take(50);
    std::memset(first.data, 0xAA, first.capacity);
    std::memset(second.data, 0xAA, second.capacity);
  }
}

TEST(HeapBlocks, BlocksComeBackFromOtherThreads) {
  auto blocks = std::make_unique<HeapBlocks>(1 << 16);
  std::vector<std::thread> threads;
  for (int round = 0; round < 200; round++) {
    std::vector<Block> batch;
    for (int i = 0; i < 8; i++) {
      batch.push_back(blocks->take(static_cast<size_t>(1) << (i + 6)));
      std::memset(batch.back().data, round, batch.back().capacity);
    }
    threads.emplace_back([held = std::move(batch)]() mutable { held.clear(); });
    if (threads.size() == 4) {
      threads.front().join();
      threads.erase(threads.begin());
    }
  }
  blocks.reset();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace rtmp
