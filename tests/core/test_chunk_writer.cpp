// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "chunk_cases.h"
#include "session/chunk_writer.h"

namespace rtmp::test {
namespace {

constexpr uint32_t kAudioStream = 4;
constexpr uint32_t kDataStream = 5;
constexpr uint32_t kVideoStream = 6;

Message audio(int64_t timestamp, size_t size = 10) {
  return {kAudioStream, MessageType::kAudio, 1, timestamp, Buffer(size, 0xAA)};
}
Message video(int64_t timestamp, size_t size = 10) {
  return {kVideoStream, MessageType::kVideo, 1, timestamp, Buffer(size, 0xBB)};
}
Message data(int64_t timestamp, uint32_t stream_id = 1) {
  return {kDataStream, MessageType::kDataAmf0, stream_id, timestamp, Buffer(10, 0xEE)};
}
Message ping() {
  return {2, MessageType::kUserControl, 0, 0, Buffer(6, 0xCC)};
}
Message command() {
  return {3, MessageType::kCommandAmf0, 0, 0, Buffer(20, 0xDD)};
}

/// order() cuts everything that waits and tells the order of the chunks by their chunk stream ids,
/// one letter each: c(ontrol), n(etconnection), a(udio), d(ata), v(ideo).
std::string order(ChunkWriter& writer) {
  std::string order;
  std::array<Bytes, 3> out;
  // One chunk a call: its header and payload.
  while (size_t count = writer.gather(out, 1)) {
    EXPECT_LE(count, 2u);
    order += "..cnadv"[out[0][0] & 0x3F];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
      size += out[i].size();
    }
    writer.consume(size);
  }
  return order;
}

size_t sum(std::span<const Bytes> runs) {
  size_t size = 0;
  for (Bytes run : runs) {
    size += run.size();
  }
  return size;
}

Buffer joined(std::span<const Bytes> runs) {
  Buffer all;
  for (Bytes run : runs) {
    all.insert(all.end(), run.begin(), run.end());
  }
  return all;
}

TEST(ChunkWriter, WritesWhatTheReaderReads) {
  for (const ChunkCase& c : chunk_cases()) {
    if (!c.is_ours) {
      continue;
    }
    SCOPED_TRACE(c.name);
    for (size_t pieces = 1; pieces <= 6; pieces++) {
      ChunkWriter writer;
      for (const Message& m : c.messages) {
        if (m.type == MessageType::kSetChunkSize) {
          writer.set_chunk_size(*parse_set_chunk_size(m.body));
        } else {
          EXPECT_TRUE(writer.write(outgoing(m, Lane::kMedia, pieces)));
        }
      }
      EXPECT_EQ(take_all(writer), c.wire);
      EXPECT_TRUE(writer.empty());
    }
  }
}

TEST(ChunkWriter, TheCasesCoverTheWriter) {
  const auto cases = chunk_cases();
  EXPECT_GE(std::count_if(cases.begin(), cases.end(), [](const auto& c) { return c.is_ours; }), 15);
}

TEST(ChunkWriter, HasNothingToSendAtFirst) {
  ChunkWriter writer;
  std::array<Bytes, 4> out;
  EXPECT_EQ(writer.gather(out, 1000), 0u);
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(writer.backlog().bytes, 0u);
  EXPECT_FALSE(writer.backlog().oldest);
}

TEST(ChunkWriter, RefusesWhatCannotBeWritten) {
  ChunkWriter writer;
  OutgoingMessage message = outgoing(video(0, kMaxMessageLength + 1), Lane::kMedia);
  EXPECT_FALSE(writer.write(std::move(message)));
  for (uint32_t id : {0u, 1u, 65600u}) {
    message = outgoing(video(0), Lane::kMedia);
    message.chunk_stream_id = id;
    EXPECT_FALSE(writer.write(std::move(message)));
  }
  EXPECT_TRUE(writer.empty());
  EXPECT_TRUE(writer.write(outgoing(video(0, kMaxMessageLength), Lane::kMedia)));
}

// ---- lanes ----

TEST(ChunkWriter, LanesGoByUrgency) {
  ChunkWriter writer;
  writer.write(outgoing(video(0), Lane::kMedia));
  writer.write(outgoing(audio(0), Lane::kAudio));
  writer.write(outgoing(command(), Lane::kCommand));
  writer.write(outgoing(ping(), Lane::kControl));
  EXPECT_EQ(order(writer), "cnav");
}

TEST(ChunkWriter, UrgentMessagesPassBetweenTheChunksOfAnother) {
  ChunkWriter writer;
  writer.write(outgoing(video(0, 128 * 4), Lane::kMedia));
  std::array<Bytes, 2> out;
  ASSERT_EQ(writer.gather(out, 1), 2u);
  writer.write(outgoing(audio(5), Lane::kAudio));
  writer.write(outgoing(ping(), Lane::kControl));
  writer.consume(sum(out));
  EXPECT_EQ(order(writer), "cavvv");
}

TEST(ChunkWriter, AudioOvertakesByTheLeadOnly) {
  ChunkWriter writer;
  writer.set_audio_lead(std::chrono::milliseconds(100));
  writer.write(outgoing(video(1000, 200), Lane::kMedia));
  writer.write(outgoing(audio(1100), Lane::kAudio));
  writer.write(outgoing(audio(1101), Lane::kAudio));
  EXPECT_EQ(order(writer), "avva");
}

TEST(ChunkWriter, TheLeadCountsFromTheMediaInFront) {
  ChunkWriter writer;
  writer.set_audio_lead(std::chrono::milliseconds(0));
  for (int64_t time : {0, 40, 80}) {
    writer.write(outgoing(video(time), Lane::kMedia));
  }
  for (int64_t time : {10, 30, 50, 70, 90}) {
    writer.write(outgoing(audio(time), Lane::kAudio));
  }
  EXPECT_EQ(order(writer), "vaavaava");
}

TEST(ChunkWriter, AudioQueuedFirstOvertakesNothing) {
  ChunkWriter writer;
  writer.set_audio_lead(std::chrono::milliseconds(0));
  writer.write(outgoing(audio(3'600'000), Lane::kAudio));
  writer.write(outgoing(video(0), Lane::kMedia));  // the stream starts over
  writer.write(outgoing(audio(0), Lane::kAudio));
  EXPECT_EQ(order(writer), "aav");
}

TEST(ChunkWriter, AudioOfAnotherStreamIsOnAnotherClock) {
  ChunkWriter writer;
  writer.write(outgoing(video(0), Lane::kMedia));
  Message other = audio(3'600'000);
  other.stream_id = 2;
  writer.write(outgoing(other, Lane::kAudio));
  EXPECT_EQ(order(writer), "av");
}

TEST(ChunkWriter, AudioStaysBehindDataQueuedBeforeIt) {
  ChunkWriter writer;
  const auto write = [&](const Message& m) {
    writer.write(outgoing(m, m.type == MessageType::kAudio ? Lane::kAudio : Lane::kMedia));
  };
  write(video(0, 200));
  write(audio(0));
  write(data(0));
  write(video(40, 200));
  write(audio(10));
  write(data(50));
  write(audio(20));
  EXPECT_EQ(order(writer), "avvdavvda");

  // The same if the time stamps say nothing, and where there is no picture.
  write(data(0));
  write(audio(3'600'000));
  write(data(7'200'000));
  write(audio(0));
  EXPECT_EQ(order(writer), "dada");

  // Nor does audio overtake what an aggregate holds.
  Message aggregate = data(0);
  aggregate.type = MessageType::kAggregate;
  write(aggregate);
  write(audio(60));
  EXPECT_EQ(order(writer), "da");

  // Control and commands pass; a dropped message holds up nobody.
  write(video(0, 200));
  write(data(0));
  write(audio(0));
  writer.write(outgoing(command(), Lane::kCommand));
  writer.write(outgoing(ping(), Lane::kControl));
  EXPECT_EQ(writer.drop([](const OutgoingMessage& m) { return m.type == MessageType::kDataAmf0; }),
            1u);
  EXPECT_EQ(order(writer), "cnavv");
}

TEST(ChunkWriter, AudioOvertakesDataOfAnotherStream) {
  for (uint32_t stream_id : {1u, 2u, 0u}) {
    ChunkWriter writer;
    writer.write(outgoing(video(0), Lane::kMedia));
    writer.write(outgoing(data(0, stream_id), Lane::kMedia));
    writer.write(outgoing(audio(0), Lane::kAudio));
    // What is on stream 0 can be about any.
    EXPECT_EQ(order(writer), stream_id == 2 ? "avd" : "vda") << stream_id;
  }
}

TEST(ChunkWriter, MessagesOfOneChunkStreamKeepTheirOrder) {
  // As librtmp has it: audio and video on one chunk stream.
  ChunkWriter writer;
  std::vector<Message> sent;
  for (int i = 0; i < 20; i++) {
    Message m = i % 3 == 0 ? video(i, 300) : audio(i, 50);
    m.chunk_stream_id = 4;
    sent.push_back(m);
    writer.write(outgoing(m, i % 3 == 0 ? Lane::kMedia : Lane::kAudio));
    if (i % 4 == 0) {
      Buffer taken = take_all(writer);
      EXPECT_FALSE(taken.empty());
      sent.clear();
    }
  }
  ChunkWriter again;
  sent.clear();
  for (int i = 0; i < 20; i++) {
    Message m = i % 3 == 0 ? video(i, 300) : audio(i, 50);
    m.chunk_stream_id = 4;
    sent.push_back(m);
    again.write(outgoing(m, i % 3 == 0 ? Lane::kMedia : Lane::kAudio));
  }
  Receiver receiver;
  EXPECT_FALSE(receiver.feed(take_all(again)));
  EXPECT_EQ(receiver.messages, sent);
}

TEST(ChunkWriter, AnUrgentMessageHurriesWhoeverIsInFrontOnItsChunkStream) {
  ChunkWriter writer;
  // A command on the audio's chunk stream waits behind it, and the audio behind nobody.
  writer.write(outgoing(video(0, 200), Lane::kMedia));
  writer.write(outgoing(audio(0, 200), Lane::kMedia));
  Message urgent = command();
  urgent.chunk_stream_id = kAudioStream;
  writer.write(outgoing(urgent, Lane::kCommand));
  EXPECT_EQ(order(writer), "vvaaa");
}

// ---- chunk size ----

/// nginx-rtmp loses its place in a message that is under way when the size changes.
TEST(ChunkWriter, TheChunkSizeChangesBetweenMessages) {
  ChunkWriter writer;
  writer.write(outgoing(video(0, 300), Lane::kMedia));
  writer.write(outgoing(video(0, 300), Lane::kMedia));
  std::array<Bytes, 2> out;
  ASSERT_EQ(writer.gather(out, 1), 2u);
  EXPECT_EQ(out[1].size(), 128u);
  writer.set_chunk_size(500);
  EXPECT_EQ(writer.chunk_size(), 500u);
  Buffer wire = joined(out);
  writer.consume(wire.size());
  wire = wire + take_all(writer);
  const Buffer second(wire.end() - 300, wire.end());
  EXPECT_EQ(Buffer(wire.begin(), wire.begin() + 12 + 300 + 2 + 16),
            octets("06 000000 00012C 09 01000000 128*BB C6 128*BB C6 44*BB"
                   "02 000000 000004 01 00000000 000001F4"));
  EXPECT_EQ(second, Buffer(300, 0xBB)) << "in one chunk";
}

TEST(ChunkWriter, ChunkSizesThatWaitBecomeOne) {
  ChunkWriter writer;
  writer.set_chunk_size(1000);
  writer.set_chunk_size(2000);
  writer.set_chunk_size(2000);
  EXPECT_EQ(writer.backlog().messages, 1u);
  EXPECT_EQ(take_all(writer), octets("02 000000 000004 01 00000000 000007D0"));
  writer.set_chunk_size(2000);
  EXPECT_TRUE(writer.empty());
}

TEST(ChunkWriter, ChunkSizesBelowTheirOwnMessage) {
  ChunkWriter writer;
  writer.set_chunk_size(1);
  take_all(writer);
  writer.set_chunk_size(3);
  // Cut by 1 until the last octet of the message is out.
  EXPECT_EQ(take_all(writer), octets("82 000000 00 C2 00 C2 00 C2 03"));
  writer.write(outgoing(video(0, 4), Lane::kMedia));
  EXPECT_EQ(take_all(writer), octets("06 000000 000004 09 01000000 BBBBBB C6 BB"));
}

TEST(ChunkWriter, ChunkSizesAreKeptInRange) {
  ChunkWriter writer;
  writer.set_chunk_size(0xFFFFFFFF);
  EXPECT_EQ(writer.chunk_size(), kMaxChunkSize);
  EXPECT_EQ(take_all(writer), octets("02 000000 000004 01 00000000 7FFFFFFF"));
}

// ---- raw bytes ----

TEST(ChunkWriter, RawBytesGoBeforeMessages) {
  ChunkWriter writer;
  Buffer raw = octets("1537*C1");
  writer.write_raw({});
  writer.write_raw(raw);
  writer.write(outgoing(command(), Lane::kCommand));
  raw.assign(raw.size(), 0);  // it was copied
  writer.write_raw(octets("1536*C2"));
  EXPECT_EQ(take_all(writer), octets("1537*C1 1536*C2 03 000000 000014 14 00000000 20*DD"));
}

TEST(ChunkWriter, RawBytesGoBehindWhatIsCut) {
  ChunkWriter writer;
  writer.write(outgoing(ping(), Lane::kControl));
  std::array<Bytes, 2> out;
  ASSERT_EQ(writer.gather(out, 1), 2u);
  writer.consume(3);
  writer.write(outgoing(command(), Lane::kCommand));
  writer.write_raw(octets("EE"));
  EXPECT_EQ(take_all(writer),
            octets("00 000006 04 00000000 6*CC EE 03 000000 000014 14 00000000 20*DD"));
}

// ---- gather and consume ----

TEST(ChunkWriter, BytesShownStayUntilConsumed) {
  ChunkWriter writer;
  writer.write(outgoing(video(0, 1000), Lane::kMedia, 3));
  std::array<Bytes, 64> out;
  const size_t shown = writer.gather(out, 600);
  const std::vector<Bytes> before(out.begin(), out.begin() + static_cast<ptrdiff_t>(shown));
  const Buffer octets_before = joined(before);
  EXPECT_EQ(writer.backlog().committed, octets_before.size());

  // Nothing that happens meanwhile changes them.
  writer.write(outgoing(ping(), Lane::kControl));
  writer.set_chunk_size(4096);
  for (int i = 0; i < 100; i++) {
    writer.write(outgoing(audio(i), Lane::kAudio));
  }
  EXPECT_EQ(writer.drop([](const OutgoingMessage&) { return true; }), 101u);
  std::array<Bytes, 64> again;
  ASSERT_GE(writer.gather(again, 100'000), shown);
  for (size_t i = 0; i < shown; i++) {
    EXPECT_EQ(again[i].data(), before[i].data());
    EXPECT_EQ(again[i].size(), before[i].size());
  }
  // After a part is taken, the rest begins in the middle.
  writer.consume(200);
  const size_t count = writer.gather(again, 400);
  const Buffer rest = joined(std::span(again).first(count));
  EXPECT_TRUE(std::equal(rest.begin(), rest.begin() + 400, octets_before.begin() + 200));
  EXPECT_TRUE(std::any_of(before.begin(), before.end(), [&](Bytes run) {
    return again[0].data() > run.data() && &again[0].back() == &run.back();
  }));
}

TEST(ChunkWriter, MaxBytesBoundsWhatIsCut) {
  ChunkWriter writer;
  writer.set_chunk_size(1000);
  take_all(writer);
  writer.write(outgoing(video(0, 100'000), Lane::kMedia));
  std::array<Bytes, 64> out;
  EXPECT_EQ(writer.gather(out, 0), 0u);
  EXPECT_EQ(writer.backlog().committed, 0u);
  EXPECT_EQ(writer.gather(out, 1), 2u);
  EXPECT_EQ(writer.backlog().committed, 1012u);
  EXPECT_EQ(writer.gather(out, 1012), 2u);
  EXPECT_EQ(writer.gather(out, 1013), 4u);
  EXPECT_EQ(writer.backlog().committed, 2013u);
  // Less asked for than is cut: no more chunks are shown than it takes.
  EXPECT_EQ(writer.gather(out, 1), 2u);
  EXPECT_EQ(writer.backlog().committed, 2013u);
}

TEST(ChunkWriter, FillsAnyNumberOfEntries) {
  for (size_t entries = 1; entries < 12; entries++) {
    ChunkWriter writer;
    Receiver receiver;
    const Message sent = video(0, 777);
    writer.write(outgoing(sent, Lane::kMedia, 7));
    std::vector<Bytes> out(entries);
    while (size_t count = writer.gather(out, 100'000)) {
      EXPECT_LE(count, entries);
      const Buffer part = joined(std::span(out).first(count));
      EXPECT_FALSE(receiver.feed(part));
      writer.consume(part.size());
    }
    ASSERT_EQ(receiver.messages.size(), 1u);
    EXPECT_EQ(receiver.messages[0], sent);
  }
}

TEST(ChunkWriter, PayloadsAreNotCopied) {
  ChunkWriter writer;
  writer.set_chunk_size(65536);
  take_all(writer);
  const Buffer body(200'000, 0xBB);
  OutgoingMessage message = outgoing(video(0, 0), Lane::kMedia);
  message.payload.append(body);
  writer.write(std::move(message));
  std::array<Bytes, 16> out;
  ASSERT_EQ(writer.gather(out, 1'000'000), 8u);
  for (size_t i = 0; i < 4; i++) {
    EXPECT_EQ(out[2 * i + 1].data(), body.data() + i * 65536);
  }
}

TEST(ChunkWriter, ReleasesAPayloadWithItsLastOctet) {
  int releases = 0;
  const Owner::Release count = [](void* object) { ++*static_cast<int*>(object); };
  const Buffer body(300, 0xBB);
  ChunkWriter writer;
  OutgoingMessage message = outgoing(video(0, 0), Lane::kMedia);
  message.payload = GatherPayload(body, Owner(&releases, count));
  writer.write(std::move(message));
  std::array<Bytes, 16> out;
  const size_t size = sum(std::span(out).first(writer.gather(out, 1000)));
  EXPECT_EQ(size, 300u + 12 + 1 + 1);
  writer.consume(size - 1);
  EXPECT_EQ(releases, 0);
  writer.consume(1);
  EXPECT_EQ(releases, 1);
}

TEST(ChunkWriter, ReleasesEverythingAtItsEnd) {
  int releases = 0;
  const Owner::Release count = [](void* object) { ++*static_cast<int*>(object); };
  const Buffer body(300, 0xBB);
  for (size_t cut : {0, 1, 200, 1000}) {
    releases = 0;
    {
      ChunkWriter writer;
      for (int i = 0; i < 3; i++) {
        OutgoingMessage message = outgoing(video(i, 0), Lane::kMedia);
        message.payload = GatherPayload(body, Owner(&releases, count));
        writer.write(std::move(message));
      }
      std::array<Bytes, 64> out;
      writer.gather(out, cut);
      EXPECT_EQ(releases, 0);
    }
    EXPECT_EQ(releases, 3) << cut;
  }
}

// ---- what waits ----

TEST(ChunkWriter, Backlog) {
  ChunkWriter writer;
  const Time start{};
  const auto queue = [&](const Message& m, Lane lane, int seconds) {
    OutgoingMessage message = outgoing(m, lane);
    message.queued_at = start + std::chrono::seconds(seconds);
    writer.write(std::move(message));
  };
  queue(command(), Lane::kCommand, 3);
  EXPECT_EQ(writer.backlog().media_span_ms, 0);
  queue(video(1000, 300), Lane::kMedia, 5);
  queue(audio(900, 50), Lane::kAudio, 4);
  queue(video(1040, 200), Lane::kMedia, 6);
  WriterBacklog backlog = writer.backlog();
  EXPECT_EQ(backlog.messages, 4u);
  EXPECT_EQ(backlog.bytes, 20u + 300 + 50 + 200);
  EXPECT_EQ(backlog.committed, 0u);
  EXPECT_EQ(backlog.media_span_ms, 140);
  EXPECT_EQ(backlog.oldest, start + std::chrono::seconds(3));

  // Command, audio, and the first chunk of the video.
  std::array<Bytes, 6> out;
  ASSERT_EQ(writer.gather(out, 12 + 20 + 12 + 50 + 1), 6u);
  backlog = writer.backlog();
  EXPECT_EQ(backlog.messages, 1u);
  EXPECT_EQ(backlog.committed, 12u + 20 + 12 + 50 + 12 + 128);
  EXPECT_EQ(backlog.bytes, 20u + 300 + 50 + 200 + 36);
  EXPECT_EQ(backlog.media_span_ms, 40);
  EXPECT_EQ(backlog.oldest, start + std::chrono::seconds(6));

  take_all(writer);
  backlog = writer.backlog();
  EXPECT_EQ(backlog.messages, 0u);
  EXPECT_EQ(backlog.bytes, 0u);
  EXPECT_EQ(backlog.committed, 0u);
  EXPECT_FALSE(backlog.oldest);
}

TEST(ChunkWriter, SetChunkSizeHasNoAge) {
  constexpr Time start{std::chrono::hours(100)};
  ChunkWriter writer;
  writer.set_chunk_size(4096);
  EXPECT_EQ(writer.backlog().messages, 1u);
  EXPECT_FALSE(writer.backlog().oldest);
  for (Lane lane : {Lane::kMedia, Lane::kControl}) {
    OutgoingMessage message = outgoing(video(1000, 300), lane);
    message.queued_at = start;
    writer.write(std::move(message));
    EXPECT_EQ(writer.backlog().oldest, start);
  }
}

TEST(ChunkWriter, DropsWhatHasNotBegun) {
  ChunkWriter writer;
  std::vector<int64_t> asked;
  for (int i = 0; i < 5; i++) {
    writer.write(outgoing(video(i * 10, 200), Lane::kMedia));
    writer.write(outgoing(audio(i * 10 + 5, 20), Lane::kAudio));
  }
  writer.set_audio_lead(std::chrono::milliseconds(-1000));
  writer.set_chunk_size(64);
  std::array<Bytes, 4> out;
  // Set Chunk Size and the first chunk of the first video message.
  const size_t count = writer.gather(out, 17);
  Buffer wire = joined(std::span(out).first(count));
  writer.consume(wire.size());
  const size_t dropped = writer.drop([&](const OutgoingMessage& m) {
    asked.push_back(m.timestamp);
    return m.type == MessageType::kVideo && m.timestamp < 30;
  });
  EXPECT_EQ(dropped, 2u);
  EXPECT_EQ(asked, (std::vector<int64_t>{5, 10, 15, 20, 25, 30, 35, 40, 45}));
  EXPECT_EQ(writer.backlog().messages, 7u);
  wire = wire + take_all(writer);
  EXPECT_EQ(writer.backlog().bytes, 0u);

  Receiver receiver;
  EXPECT_FALSE(receiver.feed(wire));
  std::vector<int64_t> times;
  for (const Message& m : receiver.messages) {
    if (m.type == MessageType::kVideo) {
      times.push_back(m.timestamp);
    }
  }
  EXPECT_EQ(times, (std::vector<int64_t>{0, 30, 40}));
}

TEST(ChunkWriter, AnAbsoluteTimeStampFollowsADrop) {
  ChunkWriter writer;
  writer.write(outgoing(video(0, 1), Lane::kMedia));
  take_all(writer);
  writer.write(outgoing(video(40, 1), Lane::kMedia));
  EXPECT_EQ(writer.drop([](const OutgoingMessage&) { return true; }), 1u);
  EXPECT_TRUE(writer.empty());
  writer.write(outgoing(video(80, 1), Lane::kMedia));
  writer.write(outgoing(video(120, 1), Lane::kMedia));
  EXPECT_EQ(take_all(writer), octets("06 000050 000001 09 01000000 BB 86 000028 BB"));
}

TEST(ChunkWriter, WholeHeadersOnRequest) {
  ChunkWriter writer;
  for (int i = 0; i < 2; i++) {
    OutgoingMessage message = outgoing(ping(), Lane::kControl);
    message.absolute = true;
    writer.write(std::move(message));
  }
  writer.write(outgoing(ping(), Lane::kControl));
  EXPECT_EQ(take_all(writer), octets("02 000000 000006 04 00000000 6*CC"
                                     "02 000000 000006 04 00000000 6*CC 82 000000 6*CC"));
}

TEST(ChunkWriter, SetChunkSizeIsNotDropped) {
  ChunkWriter writer;
  writer.set_chunk_size(256);
  writer.write(outgoing(ping(), Lane::kControl));
  int shown = 0;
  writer.for_each_waiting([&](OutgoingMessage&) { shown++; });
  EXPECT_EQ(shown, 1);
  EXPECT_EQ(writer.drop([](const OutgoingMessage&) { return true; }), 1u);
  EXPECT_EQ(take_all(writer), octets("02 000000 000004 01 00000000 00000100"));
}

TEST(ChunkWriter, WaitingPayloadsCanBeReplaced) {
  int releases = 0;
  const Owner::Release count = [](void* object) { ++*static_cast<int*>(object); };
  ChunkWriter writer;
  Buffer borrowed(300, 0xBB);
  for (int i = 0; i < 3; i++) {
    OutgoingMessage message = outgoing(video(i, 0), Lane::kMedia);
    message.tag = static_cast<uint32_t>(i);
    message.payload = GatherPayload(borrowed, Owner(&releases, count));
    writer.write(std::move(message));
  }
  std::array<Bytes, 2> out;
  ASSERT_EQ(writer.gather(out, 1), 2u);  // the first has begun
  std::vector<uint32_t> tags;
  writer.for_each_waiting([&](OutgoingMessage& m) {
    tags.push_back(m.tag);
    auto* const copy = new Buffer(borrowed);
    m.payload.replace(*copy,
                      Owner(copy, [](void* object) { delete static_cast<Buffer*>(object); }));
  });
  EXPECT_EQ(tags, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(releases, 2);
  EXPECT_EQ(writer.backlog().bytes, 912u);
  Receiver receiver;
  EXPECT_FALSE(receiver.feed(take_all(writer)));
  ASSERT_EQ(receiver.messages.size(), 3u);
  EXPECT_EQ(receiver.messages[2], video(2, 300));
}

}  // namespace
}  // namespace rtmp::test
