// SPDX-License-Identifier: LGPL-2.1-or-later
// No heap allocation per message in steady state: operator new of this program counts.
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "session/chunk_reader.h"
#include "session/chunk_writer.h"
#include "session/payload.h"

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

TEST(Allocations, AreCounted) {
  const size_t before = allocations;
  ::operator delete(::operator new(1));  // a call that the compiler may not leave out
  EXPECT_EQ(allocations, before + 1);
}

/// Line is a writer and a reader that the writer's octets are put straight into.
class Line {
 public:
  explicit Line(uint32_t chunk_size) : reader_(options(), blocks_) {
    writer_.set_chunk_size(chunk_size);
    move();
  }

  /// second() sends what a second of a stream has: 25 video messages (a key frame of 200 kB first),
  /// 47 of audio, and a ping.
  void second(int64_t start) {
    for (int i = 0; i < 25; i++) {
      send(MessageType::kVideo, Lane::kMedia, 6, start + i * 40,
           i == 0 ? 200'000 : 5'000 + i * 100);
      send(MessageType::kAudio, Lane::kAudio, 4, start + i * 40, 300);
      if (i < 22) {
        send(MessageType::kAudio, Lane::kAudio, 4, start + i * 40 + 21, 310);
      }
      if (i % 4 == 3) {
        move();
      }
    }
    send(MessageType::kUserControl, Lane::kControl, 2, 0, 6);
    move();
  }

  size_t messages = 0;

 private:
  static Options options() {
    Options options;
    options.payload_headroom = 11;
    options.payload_tailroom = 4;
    return options;
  }

  void send(MessageType type, Lane lane, uint32_t id, int64_t timestamp, size_t size) {
    OutgoingMessage message;
    message.type = type;
    message.lane = lane;
    message.chunk_stream_id = id;
    message.stream_id = 1;
    message.timestamp = timestamp;
    message.payload.append(Bytes(body_).first(5));
    message.payload.append(Bytes(body_).subspan(5, size - 5));
    ASSERT_TRUE(writer_.write(std::move(message)));
  }

  void move() {
    std::array<Bytes, 64> out;
    while (size_t count = writer_.gather(out, 65536)) {
      size_t size = 0;
      for (size_t i = 0; i < count; i++) {
        size += out[i].size();
        read(out[i]);
      }
      writer_.consume(size);
    }
  }

  void read(Bytes input) {
    for (;;) {
      auto step = reader_.read(input);
      ASSERT_TRUE(step);
      input = input.subspan(step->consumed);
      if (!step->message) {
        return;
      }
      messages++;
      if (step->message->header.type == MessageType::kSetChunkSize) {
        const Bytes size = step->message->payload.bytes();
        reader_.set_chunk_size(*Cursor(size).u32());
      }
    }
  }

  const Buffer body_ = Buffer(200'000, 0xAA);
  HeapBlocks blocks_;
  ChunkWriter writer_;
  ChunkReader reader_;
};

TEST(Allocations, NoneInSteadyState) {
  for (uint32_t chunk_size : {128, 4096, 65536}) {
    SCOPED_TRACE(chunk_size);
    Line line(chunk_size);
    // The key frame's block grows in the first second, and not in the second.
    line.second(0);
    line.second(1000);
    const size_t messages = line.messages;
    const size_t before = allocations;
    for (int i = 2; i < 20; i++) {
      line.second(i * 1000);
    }
    EXPECT_EQ(allocations, before);
    EXPECT_EQ(line.messages, messages + 18 * 73);
  }
}

}  // namespace
}  // namespace rtmp
