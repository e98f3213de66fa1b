// SPDX-License-Identifier: LGPL-2.1-or-later
// A session in steady state takes nothing from the heap for a media message, neither on its way out
// nor on its way in, with its event: operator new of this program counts.
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "session_pair.h"

namespace {

std::atomic<size_t> allocations = 0;

void* counted(size_t size) {
  allocations++;
  return std::malloc(size != 0 ? size : 1);
}

}  // namespace

void* operator new(size_t size) {
  void* const memory = counted(size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace rtmp {
namespace {

/// carry() moves what `from` has to say into `to`, with no storage of its own on the heap.
void carry(Session& from, Session& to, Time now) {
  std::array<Bytes, 64> pieces;
  while (size_t count = from.gather(pieces, 65536)) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
      to.receive(pieces[i], now);
      size += pieces[i].size();
    }
    from.consume(size, now);
  }
}

TEST(SessionAllocations, NoneForMedia) {
  for (uint32_t chunk_size : {128u, 4096u, 65536u}) {
    ClientOptions options;
    options.chunk_size = chunk_size;
    testing::SessionPair pair(1, options);
    pair.connect();
    StreamHandle stream = pair.publish("key");
    pair.client_end.events.clear();
    pair.server_end.events.clear();

    static const std::array<uint8_t, 30'000> frame{};
    int64_t timestamp = 0;
    size_t received = 0;
    auto second = [&] {
      for (int i = 0; i < 25; i++) {
        timestamp += 40;
        size_t video_size = i == 0 ? frame.size() : 2000 + 50 * static_cast<size_t>(i);
        for (auto [type, size] : {std::pair{MessageType::kVideo, video_size},
                                  std::pair{MessageType::kAudio, size_t{300}},
                                  std::pair{MessageType::kDataAmf0, size_t{20}}}) {
          ASSERT_EQ(pair.client().send_media(stream, type, timestamp,
                                             GatherPayload(Bytes(frame).first(size), Owner()), 0,
                                             pair.now),
                    Misuse::kNone);
        }
        carry(pair.client(), pair.server(), pair.now);
        while (auto event = pair.server().poll()) {
          received += std::holds_alternative<event::Media>(*event) ? 1 : 0;
        }
        carry(pair.server(), pair.client(), pair.now);
        ASSERT_FALSE(pair.client().poll());
      }
    };
    for (int i = 0; i < 3; i++) {
      second();
    }
    // Below half a window, so that no acknowledgement falls in between.
    size_t before = allocations;
    for (int i = 0; i < 8; i++) {
      second();
    }
    EXPECT_EQ(allocations - before, 0u) << chunk_size;
    EXPECT_EQ(received, 11u * 75);
  }
}

}  // namespace
}  // namespace rtmp
