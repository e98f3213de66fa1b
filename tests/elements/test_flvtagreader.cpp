// SPDX-License-Identifier: LGPL-2.1-or-later
// Reading sound and damaged streams, and the octets that are held meanwhile.
#include <chrono>

#include "flvunchunk_testing.h"
#include "rtmp/flvtagreader.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary
using gstrtmp::FlvDamage;
using gstrtmp::FlvOctets;
using gstrtmp::FlvReadStep;
using gstrtmp::FlvTagReader;

/// Read is what a reader made of a stream.
struct Read {
  std::vector<std::pair<uint32_t, Octets>> tags;  ///< time and body
  std::vector<FlvDamage> damage;
  size_t file_headers = 0;
  size_t most_held = 0;
};

Read read(const Octets& stream, size_t piece = SIZE_MAX) {
  FlvTagReader reader;
  Read out;
  const auto drain = [&] {
    while (true) {
      FlvReadStep step = reader.next();
      switch (step.kind) {
        case FlvReadStep::Kind::kTag:
          out.tags.emplace_back(step.tag.header.timestamp, octets_of(step.tag.body.buffer().get()));
          break;
        case FlvReadStep::Kind::kFileHeader:
          out.file_headers++;
          break;
        case FlvReadStep::Kind::kDamage:
          out.damage.push_back(step.damage);
          break;
        default:
          return;
      }
    }
  };
  for (size_t at = 0; at < stream.size();) {
    const size_t size = std::min(piece, stream.size() - at);
    reader.push(buffer_of({stream.begin() + static_cast<ptrdiff_t>(at),
                           stream.begin() + static_cast<ptrdiff_t>(at + size)})
                    .get());
    at += size;
    drain();
    out.most_held = std::max(out.most_held, reader.held());
  }
  reader.end();
  drain();
  EXPECT_EQ(reader.held(), 0u);
  return out;
}

Octets some_tags(unsigned count) {
  Octets out;
  for (unsigned i = 0; i < count; i++) {
    out = out + tag(kAudio, i * 20, aac_frame(Octets(30 + i, static_cast<uint8_t>(0x20 + i))));
  }
  return out;
}

// ---- FlvOctets ----

TEST(FlvOctets, AreTheSameHoweverTheyAreCut) {
  const Octets all = some_tags(3);
  for (size_t size : {size_t{1}, size_t{3}, size_t{16}, SIZE_MAX}) {
    FlvOctets octets;
    for (size_t at = 0; at < all.size();) {
      const size_t end = at + std::min(size, all.size() - at);
      octets.append(buffer_of({all.begin() + static_cast<ptrdiff_t>(at),
                               all.begin() + static_cast<ptrdiff_t>(end)})
                        .get());
      at = end;
    }
    ASSERT_EQ(octets.size(), all.size());
    EXPECT_EQ(octets_of(octets.buffer().get()), all) << size;
    for (size_t skipped : {0, 1, 30, 40}) {
      octets.skip(skipped);
      const size_t front = all.size() - octets.size();
      Octets copied(20);
      EXPECT_TRUE(octets.copy(7, copied));
      const auto begin = all.begin() + static_cast<ptrdiff_t>(front + 7);
      EXPECT_EQ(copied, Octets(begin, begin + 20)) << size;
      const FlvOctets part = octets.part(7, 20);
      EXPECT_EQ(octets_of(part.buffer().get()), copied) << size;
      EXPECT_EQ(octets_of(part.joined().buffer().get()), copied) << size;
      EXPECT_TRUE(part.joined().contiguous());
    }
    Octets more(octets.size() + 1);
    EXPECT_FALSE(octets.copy(0, more));
    EXPECT_FALSE(octets.copy(SIZE_MAX, std::span(more).first(2)));
    octets.skip(octets.size());
    EXPECT_TRUE(octets.empty());
  }
}

TEST(FlvOctets, AreCopiedOnceWhereABufferHasNoRoomForTheirMemories) {
  FlvOctets octets;
  for (uint8_t i = 0; i < 40; i++) {
    octets.append(buffer_of({i}).get());
  }
  EXPECT_EQ(gst_buffer_n_memory(octets.part(3, 16).buffer().get()), 16u);
  const auto many = octets.part(3, 17).buffer();
  EXPECT_EQ(gst_buffer_n_memory(many.get()), 1u);
  EXPECT_EQ(octets_of(many.get())[16], 19);
}

TEST(FlvOctets, CopyMemoryThatMayNotBeShared) {
  auto buffer = buffer_of(Octets(20, 7));
  GST_MINI_OBJECT_FLAG_SET(gst_buffer_peek_memory(buffer.get(), 0), GST_MEMORY_FLAG_NO_SHARE);
  FlvOctets octets(buffer.get());
  octets.skip(5);
  EXPECT_EQ(octets_of(octets.buffer().get()), Octets(15, 7));
}

/// Lent is octets in memory that is counted while anybody has it.
struct Lent {
  GstPtr<GstBuffer> buffer(size_t at, size_t size) {
    alive++;
    auto out = adopt(gst_buffer_new());
    gst_buffer_append_memory(
        out.get(),
        gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, octets.data(), octets.size(), at, size,
                               this, [](gpointer self) { static_cast<Lent*>(self)->alive--; }));
    return out;
  }
  Octets octets;
  int alive = 0;
};

TEST(FlvOctets, LittleInLargeMemoriesIsCopied) {
  Lent lent;
  for (size_t i = 0; i < 50'000; i++) {
    lent.octets.push_back(static_cast<uint8_t>(i * 2654435761u >> 13));
  }
  FlvOctets octets;
  for (size_t at = 0; at < lent.octets.size(); at++) {
    octets.append(lent.buffer(at, 1).get());
  }
  EXPECT_LE(lent.alive, 64);
  EXPECT_EQ(octets_of(octets.buffer().get()), lent.octets);
  const FlvOctets part = octets.part(10'000, 30'000);
  octets.skip(40'000);
  EXPECT_EQ(lent.alive, 0);
  octets.append(buffer_of({1, 2, 3}).get());
  EXPECT_EQ(octets.size(), 10'003u);
  EXPECT_EQ(octets_of(part.buffer().get()),
            Octets(lent.octets.begin() + 10'000, lent.octets.begin() + 40'000));
}

TEST(FlvOctets, TwoThatShareABlockGoOnEachByItself) {
  FlvOctets one;
  for (uint8_t i = 0; i < 100; i++) {
    one.append(buffer_of({i}).get());
  }
  FlvOctets other = one;
  one.append(buffer_of({201}).get());
  other.append(buffer_of({202}).get());
  EXPECT_EQ(octets_of(one.buffer().get()).back(), 201);
  EXPECT_EQ(octets_of(other.buffer().get()).back(), 202);
}

TEST(FlvOctets, APlaceAmongManyPiecesIsFoundAtOnce) {
  constexpr size_t kPieces = 50'000;
  Lent lent;
  lent.octets = Octets(1024, 7);
  lent.octets[1000] = 9;
  FlvOctets octets;
  for (size_t i = 0; i < kPieces; i++) {
    octets.append(lent.buffer(0, 1024).get());
  }
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < kPieces; i++) {
    Octets found(1);
    ASSERT_TRUE(octets.copy((kPieces - 1 - i % 100) * 1024 + 1000, found));
    ASSERT_EQ(found[0], 9);
  }
  // Piece by piece these were billions of steps.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(FlvOctets, SayWhatCannotBeMapped) {
  auto buffer = buffer_of({1, 2, 3});
  auto memory = adopt(gst_buffer_get_memory(buffer.get(), 0));
  FlvOctets octets;
  {
    const gstrtmp::MappedMemory writing(memory, GST_MAP_WRITE);
    ASSERT_TRUE(writing);
    EXPECT_FALSE(octets.append(buffer.get()));
    EXPECT_TRUE(octets.empty());
  }
  EXPECT_TRUE(octets.append(buffer.get()));
}

// ---- FlvTagReader ----

TEST(FlvTagReader, ReadsAStreamCutAnywhere) {
  const Octets stream = film(12);
  const Read whole = read(stream);
  EXPECT_EQ(whole.tags.size(), 3u + 36u);
  EXPECT_EQ(whole.file_headers, 1u);
  EXPECT_TRUE(whole.damage.empty());
  for (size_t piece : {1, 2, 3, 7, 15, 64, 1000}) {
    const Read pieces = read(stream, piece);
    EXPECT_EQ(pieces.tags, whole.tags) << piece;
    EXPECT_TRUE(pieces.damage.empty()) << piece;
  }
}

TEST(FlvTagReader, PassesATagOnWhenItsBackPointerIsThere) {
  const Octets one = tag(kAudio, 0, aac_frame({1, 2, 3}));
  FlvTagReader reader;
  reader.push(buffer_of(one).get());
  EXPECT_EQ(reader.next().kind, FlvReadStep::Kind::kTag);
  EXPECT_EQ(reader.next().kind, FlvReadStep::Kind::kWant);
}

TEST(FlvTagReader, BeginsWithTagsOrWithABackPointer) {
  for (const Octets& front : {Octets{}, Octets{0, 0, 0, 99}, file_header()}) {
    const Read got = read(front + some_tags(3));
    EXPECT_EQ(got.tags.size(), 3u);
    EXPECT_TRUE(got.damage.empty());
  }
}

TEST(FlvTagReader, BelievesAnotherHeaderWhereBackPointersAreNonsense) {
  for (uint32_t pointer : {0u, 1u, 30u, 0xFFFFFFFFu}) {
    Octets stream = file_header();
    for (unsigned i = 0; i < 4; i++) {
      Octets one = tag(kAudio, i, aac_frame(Octets(20, 0x21)));
      one.resize(one.size() - 4);
      stream = stream + one + big_endian(pointer, 4);
    }
    const Read got = read(stream);
    EXPECT_EQ(got.tags.size(), 4u) << pointer;
    EXPECT_TRUE(got.damage.empty()) << pointer;
  }
}

TEST(FlvTagReader, AnotherFileInTheMidst) {
  const Read got = read(file_header() + some_tags(2) + file_header() + some_tags(3));
  EXPECT_EQ(got.tags.size(), 5u);
  EXPECT_EQ(got.file_headers, 2u);
  EXPECT_TRUE(got.damage.empty());
}

TEST(FlvTagReader, GoesOnBehindGarbage) {
  const Octets before = file_header() + some_tags(3);
  Octets garbage(5000);
  for (size_t i = 0; i < garbage.size(); i++) {
    garbage[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  }
  const Octets after = some_tags(4);
  for (size_t piece : {size_t{1}, size_t{100}, SIZE_MAX}) {
    const Read got = read(before + garbage + after, piece);
    EXPECT_EQ(got.tags.size(), 7u) << piece;
    ASSERT_EQ(got.damage.size(), 1u) << piece;
    EXPECT_EQ(got.damage[0].offset, before.size());
    EXPECT_EQ(got.damage[0].octets, garbage.size());
    EXPECT_FALSE(got.damage[0].at_end);
  }
}

TEST(FlvTagReader, AWrongSizeCostsOneTag) {
  Octets stream = file_header() + some_tags(10);
  const size_t third = 13 + some_tags(2).size();
  for (uint8_t high : {0x00, 0x01, 0xFF}) {
    Octets damaged = stream;
    damaged[third + 1] = high;
    damaged[third + 3] ^= 0x55;
    const Read got = read(damaged);
    EXPECT_EQ(got.tags.size(), 9u) << int{high};
    EXPECT_EQ(got.damage.size(), 1u);
  }
}

TEST(FlvTagReader, AFalseHeaderDoesNotHoldUpWhatIsSound) {
  // Damage that says: here are 15 MB of sound. The tags behind it must come while it is not there.
  const Octets false_header = {kAudio, 0xF0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  FlvTagReader reader;
  reader.push(
      buffer_of(file_header() + some_tags(2) + Octets{0xFF} + false_header + some_tags(3)).get());
  size_t tags = 0;
  for (FlvReadStep step = reader.next(); step.kind != FlvReadStep::Kind::kWant;
       step = reader.next()) {
    tags += step.kind == FlvReadStep::Kind::kTag;
  }
  EXPECT_EQ(tags, 5u);
}

TEST(FlvTagReader, ASizeThatWasDamagedHoldsNothingUp) {
  const Octets false_header = {kAudio, 0xF0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const Read got = read(file_header() + some_tags(2) + false_header + some_tags(3));
  EXPECT_EQ(got.tags.size(), 5u);
  ASSERT_EQ(got.damage.size(), 1u);
  EXPECT_EQ(got.damage[0].octets, false_header.size());
  FlvTagReader reader;
  reader.push(buffer_of(some_tags(2) + false_header + some_tags(3)).get());
  size_t tags = 0;
  for (FlvReadStep step = reader.next(); step.kind != FlvReadStep::Kind::kWant;
       step = reader.next()) {
    tags += step.kind == FlvReadStep::Kind::kTag;
  }
  EXPECT_EQ(tags, 5u) << "without the end";
}

TEST(FlvTagReader, ALargeTagComesWhole) {
  const Octets large = avc_frame(true, 0, picture(1'500'000, 3));
  const Octets stream = file_header() + some_tags(2) + tag(kVideo, 40, large) + some_tags(2);
  for (size_t piece : {size_t{60'000}, SIZE_MAX}) {
    const Read got = read(stream, piece);
    ASSERT_EQ(got.tags.size(), 5u);
    EXPECT_EQ(got.tags[2].second, large);
    EXPECT_TRUE(got.damage.empty());
  }
}

TEST(FlvTagReader, TellsOfAStreamThatEndsWithinATag) {
  const Octets stream = file_header() + some_tags(3);
  for (size_t cut = 1; cut < 40; cut++) {
    const Octets part(stream.begin(), stream.end() - static_cast<ptrdiff_t>(cut));
    const Read got = read(part);
    if (cut <= 4) {
      EXPECT_EQ(got.tags.size(), 3u) << cut;  // but for the back pointer it is all there
    } else {
      EXPECT_EQ(got.tags.size(), 2u) << cut;
      ASSERT_EQ(got.damage.size(), 1u) << cut;
      EXPECT_TRUE(got.damage[0].at_end);
    }
  }
}

TEST(FlvTagReader, WhatIsNoFlvHasNoTags) {
  Octets noise(100'000);
  for (size_t i = 0; i < noise.size(); i++) {
    noise[i] = static_cast<uint8_t>(i * 40503u >> 7);
  }
  const Read got = read(noise, 4096);
  EXPECT_TRUE(got.tags.empty());
  EXPECT_LT(got.most_held, 20'000u);
  EXPECT_TRUE(read(Octets(100'000, 0)).tags.empty());
  EXPECT_TRUE(read({}).tags.empty());
}

TEST(FlvTagReader, BodiesShareWhatWasPushed) {
  const auto buffer = buffer_of(tag(kVideo, 0, avc_frame(true, 0, picture(1000, 1))));
  const gstrtmp::MappedBuffer whole(buffer.get());
  FlvTagReader reader;
  reader.push(buffer.get());
  const FlvReadStep step = reader.next();
  ASSERT_EQ(step.kind, FlvReadStep::Kind::kTag);
  const auto buffer_of_body = step.tag.body.buffer();
  const gstrtmp::MappedBuffer body(buffer_of_body.get());
  EXPECT_EQ(body.bytes().data(), whole.bytes().data() + 11);
}

/// Pool is one of one buffer.
class Pool {
 public:
  explicit Pool(guint size) : pool_(adopt(gst_buffer_pool_new())) {
    GstStructure* config = gst_buffer_pool_get_config(pool_.get());
    gst_buffer_pool_config_set_params(config, nullptr, size, 1, 1);
    EXPECT_TRUE(gst_buffer_pool_set_config(pool_.get(), config));
    EXPECT_TRUE(gst_buffer_pool_set_active(pool_.get(), TRUE));
  }
  ~Pool() { gst_buffer_pool_set_active(pool_.get(), FALSE); }
  /// acquire() is none if somebody has it.
  GstPtr<GstBuffer> acquire() {
    GstBufferPoolAcquireParams params{};
    params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
    GstBuffer* buffer = nullptr;
    gst_buffer_pool_acquire_buffer(pool_.get(), &buffer, &params);
    return adopt(buffer);
  }
  GstPtr<GstBuffer> acquire(const Octets& octets) {
    auto buffer = acquire();
    if (buffer) {
      gst_buffer_fill(buffer.get(), 0, octets.data(), octets.size());
    }
    return buffer;
  }

 private:
  GstPtr<GstBufferPool> pool_;
};

TEST(FlvTagReader, APoolGetsItsBufferBackWhenNobodyReadsIt) {
  const Octets body = avc_frame(true, 0, picture(100, 1));
  const Octets one = tag(kVideo, 0, body);
  Pool pool(static_cast<guint>(one.size()));
  FlvTagReader reader;
  reader.push(pool.acquire(one).get());
  FlvReadStep step = reader.next();
  ASSERT_EQ(step.kind, FlvReadStep::Kind::kTag);
  EXPECT_FALSE(pool.acquire());
  auto out = step.tag.body.buffer();
  step = {};
  EXPECT_FALSE(pool.acquire()) << "what came out still has its memory";
  EXPECT_EQ(octets_of(out.get()), body);
  EXPECT_EQ(gst_buffer_n_memory(out.get()), 1u);
  out.reset();
  EXPECT_TRUE(pool.acquire());
}

TEST(FlvTagReader, APoolIsNotKeptWaitingForTheRestOfATag) {
  const Octets body = avc_frame(true, 0, picture(100, 1));
  const Octets one = tag(kVideo, 0, body);
  const size_t half = one.size() / 2;
  Pool pool(static_cast<guint>(half));
  FlvTagReader reader;
  for (size_t at = 0; at < one.size(); at += half) {
    const auto begin = one.begin() + static_cast<ptrdiff_t>(at);
    ASSERT_EQ(reader.next().kind, FlvReadStep::Kind::kWant);
    auto buffer = pool.acquire(Octets(begin, begin + static_cast<ptrdiff_t>(half)));
    ASSERT_TRUE(buffer) << at;
    reader.push(buffer.get());
  }
  const FlvReadStep step = reader.next();
  ASSERT_EQ(step.kind, FlvReadStep::Kind::kTag);
  EXPECT_EQ(octets_of(step.tag.body.buffer().get()), body);
}

}  // namespace
