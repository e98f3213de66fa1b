// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <span>

#include <gtest/gtest.h>

#include "chunk_cases.h"
#include "chunk_traces.h"
#include "session/chunk_reader.h"

namespace rtmp::test {
namespace {

/// feed_exact() hands over a copy without a spare octet behind it, for the sanitizer to guard.
std::optional<PeerError> feed_exact(Receiver& receiver, Bytes part) {
  const auto copy = std::make_unique<uint8_t[]>(part.size());
  std::copy(part.begin(), part.end(), copy.get());
  return receiver.feed({copy.get(), part.size()});
}

TEST(ChunkReader, ReadsWhole) {
  for (const ChunkCase& c : chunk_cases()) {
    SCOPED_TRACE(c.name);
    Receiver receiver;
    EXPECT_FALSE(feed_exact(receiver, c.wire));
    EXPECT_EQ(receiver.messages, c.messages);
    EXPECT_EQ(receiver.reader().bytes_read(), c.wire.size());
    EXPECT_EQ(receiver.reader().partial_bytes(), 0u);
  }
}

TEST(ChunkReader, ReadsByteByByte) {
  for (const ChunkCase& c : chunk_cases()) {
    SCOPED_TRACE(c.name);
    Receiver receiver;
    for (size_t i = 0; i < c.wire.size(); i++) {
      EXPECT_FALSE(feed_exact(receiver, Bytes(c.wire).subspan(i, 1)));
    }
    EXPECT_EQ(receiver.messages, c.messages);
    EXPECT_EQ(receiver.reader().bytes_read(), c.wire.size());
  }
}

TEST(ChunkReader, ReadsInRandomParts) {
  std::mt19937 random(3);
  for (const ChunkCase& c : chunk_cases()) {
    SCOPED_TRACE(c.name);
    for (int round = 0; round < 50; round++) {
      Receiver receiver;
      for (Bytes rest(c.wire); !rest.empty();) {
        const size_t size = std::min<size_t>(rest.size(), 1 + random() % (round + 1));
        EXPECT_FALSE(feed_exact(receiver, rest.first(size)));
        rest = rest.subspan(size);
      }
      ASSERT_EQ(receiver.messages, c.messages);
    }
  }
}

TEST(ChunkReader, ReadsWhatIsReceivedInPlace) {
  std::mt19937 random(4);
  Options options;
  options.least_placed = 1;
  size_t octets_placed = 0;
  for (const ChunkCase& c : chunk_cases()) {
    SCOPED_TRACE(c.name);
    for (int round = 0; round < 50; round++) {
      options.payload_headroom = random() % 2 * 11;
      options.payload_tailroom = random() % 2 * 4;
      options.limits.eager_allocation = random() % 2 == 0 ? 1 : 65536;
      Receiver receiver(options);
      for (Bytes rest(c.wire); !rest.empty();) {
        const size_t size = std::min<size_t>(rest.size(), 1 + random() % (8 * round + 1));
        EXPECT_FALSE(receiver.feed_placed(rest.first(size), random() % 8));
        rest = rest.subspan(size);
      }
      ASSERT_EQ(receiver.messages, c.messages);
      EXPECT_EQ(receiver.reader().bytes_read(), c.wire.size());
      octets_placed += receiver.octets_placed;
    }
  }
  EXPECT_GT(octets_placed, 100'000u);
}

TEST(ChunkReader, OffersPlacesForWhatIsLarge) {
  const Buffer body(20'000, 0x5A);
  std::array<std::span<uint8_t>, 64> places;
  Receiver receiver;
  EXPECT_FALSE(receiver.feed(octets("02 000000 000004 01 00000000 00001000")));  // chunks of 4096
  EXPECT_EQ(receiver.reader().offer_places(places), 0u);
  EXPECT_FALSE(receiver.feed(octets("04 000005 004E20 09 01000000 5A")));
  // The rest of this chunk, four headers, and the chunks behind them.
  ASSERT_EQ(receiver.reader().offer_places(places), 9u);
  EXPECT_EQ(places[0].size(), 4095u);
  EXPECT_EQ(places[1].size(), 1u);
  EXPECT_EQ(places[8].size(), 20'000u - 4 * 4096);
  // A caller with little room gets the first ones.
  EXPECT_EQ(receiver.reader().offer_places(std::span(places).first(4)), 3u);
  // Nothing that was offered is taken for granted.
  EXPECT_EQ(receiver.reader().partial_bytes(), 20'000u);
  Buffer rest;
  for (size_t at = 1; at < body.size(); at += 4096 - (at == 1)) {
    if (at > 1) {
      rest.push_back(0xC4);
    }
    rest.insert(rest.end(), std::min(body.size() - at, size_t{4096} - (at == 1)), 0x5A);
  }
  EXPECT_FALSE(receiver.feed(rest));
  ASSERT_EQ(receiver.messages.size(), 2u);
  EXPECT_EQ(receiver.messages[1].body, body);
}

TEST(ChunkReader, PutsBackWhatWasNotWhereItBelongs) {
  // Sound, and the end of the picture's message, in the middle of a picture.
  Options options;
  options.least_placed = 1;
  const Buffer begin = octets("04 000000 000104 09 01000000 128*11");
  for (const char* between : {"06 000000 000002 08 01000000 EEEE", "44 000000 000003 09 AABBCC",
                              "02 000000 000004 02 00000000 00000004"}) {
    SCOPED_TRACE(between);
    Receiver plain(options);
    Receiver placed(options);
    const Buffer wire =
        begin + octets(between) + octets("06 000000 000001 08 01000000 DD") + octets("C4 128*11");
    EXPECT_FALSE(plain.feed(wire));
    EXPECT_FALSE(placed.feed(Bytes(wire).first(begin.size() - 1)));
    EXPECT_FALSE(placed.feed_placed(Bytes(wire).subspan(begin.size() - 1), 1));
    EXPECT_EQ(placed.messages, plain.messages);
    EXPECT_GE(plain.messages.size(), 1u);
  }
}

TEST(ChunkReader, StopsBehindEachMessage) {
  const Buffer trailing = octets("3E 000000 000002 08 63000000 EEEE");
  for (const ChunkCase& c : chunk_cases()) {
    SCOPED_TRACE(c.name);
    const Buffer wire = c.wire + trailing;
    // The last message is there as soon as its last octet is, and takes none of what follows.
    Receiver receiver;
    EXPECT_FALSE(receiver.feed(c.wire));
    EXPECT_EQ(receiver.messages, c.messages);

    HeapBlocks blocks;
    ChunkReader reader(Options{}, blocks);
    const auto step = reader.read(wire);
    ASSERT_TRUE(step);
    ASSERT_TRUE(step->message);
    EXPECT_LT(step->consumed, wire.size());

    Receiver both;
    EXPECT_FALSE(both.feed(wire));
    ASSERT_EQ(both.messages.size(), c.messages.size() + 1);
    EXPECT_EQ(both.messages.back(), (Message{62, MessageType::kAudio, 99, 0, octets("EEEE")}));
  }
}

TEST(ChunkReader, LeavesRoomAroundPayloads) {
  Options options;
  options.payload_headroom = 11;
  options.payload_tailroom = 4;
  for (const ChunkCase& c : chunk_cases()) {
    SCOPED_TRACE(c.name);
    Receiver receiver(options);
    EXPECT_FALSE(receiver.feed(c.wire));  // looks at the room of each
    EXPECT_EQ(receiver.messages, c.messages);
  }
}

TEST(ChunkReader, ATruncatedMessageIsNone) {
  for (const ChunkCase& c : chunk_cases()) {
    SCOPED_TRACE(c.name);
    Receiver receiver;
    EXPECT_FALSE(receiver.feed(Bytes(c.wire).first(c.wire.size() - 1)));
    EXPECT_EQ(receiver.messages, std::vector<Message>(c.messages.begin(), c.messages.end() - 1));
  }
}

// ---- what real programs sent ----

Summary summary(const Message& m) {
  uint32_t hash = 2166136261u;
  for (uint8_t octet : m.body) {
    hash = (hash ^ octet) * 16777619u;
  }
  return {
      m.chunk_stream_id, static_cast<int>(m.type), m.stream_id, m.timestamp, m.body.size(), hash};
}

void expect_summaries(const Receiver& receiver, const std::vector<Summary>& expected) {
  ASSERT_EQ(receiver.messages.size(), expected.size());
  for (size_t i = 0; i < expected.size(); i++) {
    EXPECT_TRUE(summary(receiver.messages[i]) == expected[i]) << i << ": " << receiver.messages[i];
  }
}

TEST(ChunkReader, ReadsTraces) {
  for (const Trace& trace : {ffmpeg_trace(), rtmp2sink_trace()}) {
    SCOPED_TRACE(trace.name);
    for (const size_t step : {trace.wire.size(), size_t{1}, size_t{7}, size_t{1448}}) {
      Receiver receiver;
      for (Bytes rest(trace.wire); !rest.empty();) {
        const Bytes part = rest.first(std::min(step, rest.size()));
        EXPECT_FALSE(feed_exact(receiver, part));
        rest = rest.subspan(part.size());
      }
      expect_summaries(receiver, trace.messages);
    }
  }
}

TEST(ChunkReader, ReadsATraceWithoutTheRepeatedFields) {
  Trace trace = ffmpeg_trace();
  // C4 and C6 are chunks that continue audio and video.
  size_t removed = 0;
  for (const Buffer& chunk : {octets("C4 01312C80"), octets("C6 01312D00")}) {
    for (auto at = trace.wire.begin();;) {
      at = std::search(at, trace.wire.end(), chunk.begin(), chunk.end());
      if (at == trace.wire.end()) {
        break;
      }
      at = trace.wire.erase(at + 1, at + static_cast<ptrdiff_t>(chunk.size()));
      removed++;
    }
  }
  EXPECT_EQ(removed, 10u);
  Receiver receiver;
  EXPECT_FALSE(feed_exact(receiver, trace.wire));
  expect_summaries(receiver, trace.messages);
}

// ---- the extended time stamp that some peers do not repeat ----

TEST(ChunkReader, HoldsAShortRestOnlyWhileItLooksLikeTheField) {
  const Buffer head = octets("04 FFFFFF 000082 09 01000000 01020304 128*01 C4");
  {
    Receiver receiver;
    receiver.feed(head + octets("0909"));
    EXPECT_EQ(receiver.messages.size(), 1u);
  }
  {
    Receiver receiver;
    receiver.feed(head + octets("01"));
    receiver.feed(octets("09"));
    EXPECT_EQ(receiver.messages.size(), 1u);
  }
  {
    // The one thing that cannot be told; the next chunk settles it.
    Receiver receiver;
    receiver.feed(head + octets("0102"));
    EXPECT_EQ(receiver.messages.size(), 0u);
    receiver.feed(octets("C4"));
    ASSERT_EQ(receiver.messages.size(), 1u);
    EXPECT_EQ(receiver.messages[0].body, octets("128*01 0102"));
  }
}

TEST(ChunkReader, APeerThatLeftTheFieldOutOnceIsNotWaitedFor) {
  Receiver receiver;
  receiver.feed(octets("04 FFFFFF 000082 09 01000000 01020304 128*01 C4 0909"));
  receiver.feed(octets("04 FFFFFF 000082 09 01000000 01020304 128*01 C4 0102"));
  ASSERT_EQ(receiver.messages.size(), 2u);
  EXPECT_EQ(receiver.messages[1].body, octets("128*01 0102"));
}

TEST(ChunkReader, APeerThatRepeatedTheFieldOnceIsTakenAtItsWord) {
  Receiver receiver;
  receiver.feed(octets("04 FFFFFF 000084 09 01000000 01020304 128*01 C4 01020304 4*02"));
  receiver.feed(octets("04 FFFFFF 000084 09 01000000 01020305 128*01 C4 99999999 4*02"));
  ASSERT_EQ(receiver.messages.size(), 2u);
  EXPECT_EQ(receiver.messages[1].body, octets("128*01 4*02"));
}

// ---- time ----

TEST(ChunkReader, AudioAndVideoWrapTogether) {
  Receiver receiver;
  receiver.feed(
      octets("04 FFFFFF 000001 08 01000000 FFFFFFF0 A1"  // audio before the wrap
             "06 000005 000001 09 01000000 B1"           // video joins behind it
             "84 000001 A2"                              // audio still before it
             "86 00000A B2 84 000020 A3"
             "05 000000 000001 12 01000000 C1"  // data at 0 says nothing
             "86 00000A B3"));
  std::vector<int64_t> times;
  for (const Message& m : receiver.messages) {
    times.push_back(m.timestamp);
  }
  const int64_t wrap = int64_t{1} << 32;
  EXPECT_EQ(times, (std::vector<int64_t>{wrap - 16, wrap + 5, wrap - 15, wrap + 15, wrap + 17, wrap,
                                         wrap + 25}));
}

TEST(ChunkReader, ControlAndDataDoNotMoveTheClock) {
  Receiver receiver;
  // 2^31 ms is out of reach from 0, where control and data are.
  receiver.feed(
      octets("02 000000 000001 04 00000000 00 05 000000 000001 12 01000000 C1"
             "04 FFFFFF 000001 08 01000000 90000000 A1"
             "05 000000 000001 12 01000000 C1 44 000014 000001 08 A2"));
  EXPECT_EQ(receiver.messages[2].timestamp, 0x90000000);
  EXPECT_EQ(receiver.messages.back().timestamp, 0x90000014);
}

TEST(ChunkReader, DataThatHasNoTimeIsNotFarAhead) {
  Receiver receiver;
  receiver.feed(
      octets("04 FFFFFF 000001 08 01000000 90000000 A1"
             "05 000000 000001 12 01000000 C1"));
  EXPECT_EQ(receiver.messages[1].timestamp, 0);
}

TEST(ChunkReader, EachMessageStreamHasItsClock) {
  Receiver receiver;
  receiver.feed(
      octets("04 FFFFFF 000001 08 01000000 FFFFFFF0 A1"
             "06 000000 000001 08 02000000 B1 84 000020 A2"));
  EXPECT_EQ(receiver.messages[1].timestamp, 0);
  EXPECT_EQ(receiver.messages[2].timestamp, 0x100000010);
}

TEST(ChunkReader, AStreamIdThatComesIntoUseAgainHasANewClock) {
  const Buffer late = octets("04 FFFFFF 000001 08 01000000 FFFFFFF0 A1");
  const Buffer start = octets("04 000000 000001 08 01000000 A1");
  Receiver receiver;
  receiver.feed(late + start);
  EXPECT_EQ(receiver.messages[1].timestamp, 0x100000000);
  receiver.reader().forget_clock(1);
  receiver.feed(start);
  EXPECT_EQ(receiver.messages[2].timestamp, 0);
}

TEST(ChunkReader, MoreMessageStreamsThanClocks) {
  Options options;
  options.limits.max_streams = 2;
  Receiver receiver(options);
  for (uint8_t stream = 1; stream <= 9; stream++) {
    Buffer wire = octets("04 000007 000001 08 00000000 A1");
    wire[8] = stream;
    EXPECT_FALSE(receiver.feed(wire));
    EXPECT_EQ(receiver.messages.back().stream_id, stream);
    EXPECT_EQ(receiver.messages.back().timestamp, 7);
  }
}

// ---- limits ----

TEST(ChunkReader, RefusesAMessageOverTheLimit) {
  Options options;
  options.limits.max_message_length = 1000;
  Receiver receiver(options);
  EXPECT_FALSE(receiver.feed(octets("04 000000 0003E8 09 01000000 128*01")));
  const auto error = receiver.feed(octets("06 000000 0003E9 09 01000000"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::kLimit);
  EXPECT_EQ(error->offset, receiver.reader().bytes_read());
}

TEST(ChunkReader, AnErrorStays) {
  Options options;
  options.limits.max_message_length = 1;
  Receiver receiver(options);
  EXPECT_TRUE(receiver.feed(octets("04 000000 000002 09 01000000")));
  EXPECT_TRUE(receiver.feed(octets("06 000000 000001 09 01000000 AA")));
  EXPECT_TRUE(receiver.messages.empty());
}

TEST(ChunkReader, RefusesTooManyChunkStreams) {
  Options options;
  options.limits.max_chunk_streams = 3;
  Receiver receiver(options);
  EXPECT_FALSE(
      receiver.feed(octets("02 000000 000000 04 00000000 3F 000000 000000 04 00000000"
                           "01 0101 000000 000000 04 00000000 C2 FF C2")));
  const auto error = receiver.feed(octets("04 000000 000000 04 00000000"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::kLimit);
}

TEST(ChunkReader, RefusesTooManyPartialOctets) {
  Options options;
  options.limits.max_partial_bytes = 100'000;
  options.limits.eager_allocation = 16384;
  Receiver receiver(options);
  EXPECT_FALSE(receiver.feed(octets("04 000000 100000 09 01000000 128*01")));
  EXPECT_EQ(receiver.reader().partial_bytes(), 16384u);
  auto error = receiver.feed(octets("06 000000 100000 09 01000000 128*01"));
  for (int i = 0; i < 511; i++) {
    ASSERT_FALSE(error);
    error = receiver.feed(octets("C6 128*01"));
  }
  EXPECT_EQ(receiver.reader().partial_bytes(), 16384u + 65536u);
  error = receiver.feed(octets("C6 128*01"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::kLimit);
}

TEST(ChunkReader, AnnouncementsReserveAQuarterAtMost) {
  Options options;
  options.limits.max_partial_bytes = 1u << 20;
  options.limits.eager_allocation = 1u << 16;
  Receiver receiver(options);
  Buffer begun = octets("00 000000 100000 09 01000000 128*01");
  for (uint8_t id = 3; id < 63; id++) {
    begun[0] = id;
    ASSERT_FALSE(receiver.feed(begun));
  }
  EXPECT_EQ(receiver.reader().partial_bytes(), 4 * 65536u + 56 * 128u);
  // They are eager again once there is room.
  ASSERT_FALSE(receiver.feed(octets("02 000000 000004 02 00000000 00000003")));
  ASSERT_FALSE(receiver.feed(octets("02 000000 000004 02 00000000 00000004")));
  ASSERT_FALSE(receiver.feed(octets("03 000000 100000 09 01000000 128*01")));
  EXPECT_EQ(receiver.reader().partial_bytes(), 3 * 65536u + 56 * 128u);
}

TEST(ChunkReader, GivesPartialOctetsBack) {
  Options options;
  options.limits.max_partial_bytes = 100'000;
  Receiver receiver(options);
  for (int i = 0; i < 100; i++) {
    // Begun anew each time, or aborted, or ended.
    ASSERT_FALSE(receiver.feed(octets("04 000000 100000 09 01000000 128*01")));
    ASSERT_FALSE(receiver.feed(octets("02 000000 000004 02 00000000 00000004")));
    EXPECT_EQ(receiver.reader().partial_bytes(), 0u);
    ASSERT_FALSE(receiver.feed(octets("04 000000 000082 09 01000000 128*01 C4 0202")));
    EXPECT_EQ(receiver.reader().partial_bytes(), 0u);
  }
}

/// Recorder remembers what was asked of it.
class Recorder final : public BlockSource {
 public:
  Block take(size_t capacity) override {
    asked.push_back(capacity);
    return asked.size() > limit ? Block{} : blocks_.take(capacity);
  }
  std::vector<size_t> asked;
  size_t limit = SIZE_MAX;

 private:
  HeapBlocks blocks_;
};

TEST(ChunkReader, StorageGrowsWithWhatArrives) {
  Options options;
  options.limits.eager_allocation = 1000;
  options.payload_headroom = 11;
  options.payload_tailroom = 4;
  Recorder recorder;
  ChunkReader reader(options, recorder);
  reader.set_chunk_size(0xFFFFFF);
  const Buffer header = octets("04 000000 FFFFFF 09 01000000");
  EXPECT_TRUE(reader.read(header));
  EXPECT_TRUE(recorder.asked.empty());
  const Buffer part(400, 0xAA);
  for (int i = 0; i < 10; i++) {
    EXPECT_TRUE(reader.read(part));
  }
  EXPECT_EQ(recorder.asked, (std::vector<size_t>{1015, 2015, 4015}));
  // A part longer than twice the block is met at once.
  const Buffer large(20'000, 0xAA);
  EXPECT_TRUE(reader.read(large));
  EXPECT_EQ(recorder.asked.back(), 24'015u);
  EXPECT_EQ(reader.partial_bytes(), 24'000u);
}

TEST(ChunkReader, AMessageLikeTheLastHasOneBlock) {
  Options options;
  options.limits.eager_allocation = 100;
  Recorder recorder;
  ChunkReader reader(options, recorder);
  reader.set_chunk_size(0xFFFFFF);
  const Buffer message = octets("04 000000 002710 09 01000000") + Buffer(10'000, 0xAA);
  const auto feed = [&] {
    for (Bytes rest(message); !rest.empty();) {
      const size_t size = std::min<size_t>(rest.size(), 10);
      EXPECT_TRUE(reader.read(rest.first(size)));
      rest = rest.subspan(size);
    }
  };
  feed();
  EXPECT_EQ(recorder.asked, (std::vector<size_t>{100, 200, 400, 800, 1600, 3200, 6400, 10'000}));
  recorder.asked.clear();
  feed();
  EXPECT_EQ(recorder.asked, (std::vector<size_t>{10'000}));
}

TEST(ChunkReader, NoMemoryIsAnError) {
  Options options;
  options.payload_headroom = 11;
  for (const char* wire : {"04 000000 000002 09 01000000 AABB", "04 000000 000000 09 01000000"}) {
    SCOPED_TRACE(wire);
    Recorder recorder;
    recorder.limit = 0;
    ChunkReader reader(options, recorder);
    const auto step = reader.read(octets(wire));
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error().kind, ErrorKind::kLimit);
  }
}

TEST(ChunkReader, ManyChunkStreams) {
  Receiver receiver;
  std::vector<Message> sent;
  ChunkWriter writer;
  std::mt19937 random(5);
  for (int i = 0; i < 3000; i++) {
    const uint32_t id =
        i < 1000 ? 2 + static_cast<uint32_t>(i) * 65 : sent[random() % 1000].chunk_stream_id;
    sent.push_back({id, MessageType::kAudio, 1, i, Buffer(random() % 300, 0xAA)});
    ASSERT_TRUE(writer.write(outgoing(sent.back(), Lane::kMedia)));
  }
  EXPECT_FALSE(receiver.feed(take_all(writer)));
  EXPECT_EQ(receiver.messages, sent);
}

TEST(ChunkReader, SetsTheChunkSizeWithinItsRange) {
  HeapBlocks blocks;
  ChunkReader reader(Options{}, blocks);
  EXPECT_EQ(reader.chunk_size(), kDefaultChunkSize);
  reader.set_chunk_size(0);
  EXPECT_EQ(reader.chunk_size(), 1u);
  reader.set_chunk_size(0xFFFFFFFF);
  EXPECT_EQ(reader.chunk_size(), kMaxChunkSize);
}

}  // namespace
}  // namespace rtmp::test
