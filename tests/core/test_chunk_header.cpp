// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "chunk_support.h"
#include "wire/chunk_header.h"

namespace rtmp {

std::ostream& operator<<(std::ostream& out, const ChunkHeader& h) {
  return out << "{fmt " << static_cast<int>(h.format) << ", csid " << h.chunk_stream_id << ", time "
             << h.timestamp << ", length " << h.length << ", type " << static_cast<int>(h.type)
             << ", stream " << h.stream_id << (h.extended ? ", extended}" : "}");
}

namespace {

using test::octets;

struct HeaderCase {
  const char* wire;
  ChunkHeader header;
};

const auto kVideo = MessageType::kVideo;
const MessageType kNoType{};

const HeaderCase kCases[] = {
    {"02 000000 000000 00 00000000", {0, 2, 0, 0, kNoType, 0, false}},
    {"3F 010203 040506 09 0A0B0C0D", {0, 63, 0x010203, 0x040506, kVideo, 0x0D0C0B0A, false}},
    {"00 00 FFFFFE FFFFFF 09 FFFFFFFF", {0, 64, 0xFFFFFE, 0xFFFFFF, kVideo, 0xFFFFFFFF, false}},
    {"43 000017 000001 09", {1, 3, 23, 1, kVideo, 0, false}},
    {"40 FF 000017 000001 09", {1, 319, 23, 1, kVideo, 0, false}},
    {"83 000017", {2, 3, 23, 0, kNoType, 0, false}},
    {"81 00 01 000017", {2, 320, 23, 0, kNoType, 0, false}},
    {"81 FF FF 000017", {2, 65599, 23, 0, kNoType, 0, false}},
    {"C3", {3, 3, 0, 0, kNoType, 0, false}},
    {"C0 00", {3, 64, 0, 0, kNoType, 0, false}},
    {"C1 00 02", {3, 576, 0, 0, kNoType, 0, false}},
};

TEST(ChunkHeader, ReadsAndWrites) {
  for (const HeaderCase& c : kCases) {
    SCOPED_TRACE(c.wire);
    const Buffer wire = octets(c.wire);
    EXPECT_EQ(chunk_header_size(wire[0]), wire.size());

    Buffer trailing = wire;
    trailing.insert(trailing.end(), {0xFF, 0xFF, 0xFF, 0xFF});
    Cursor in(trailing);
    const auto parsed = parse_chunk_header(in);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, c.header);
    EXPECT_EQ(in.offset(), wire.size());

    std::array<uint8_t, kMaxChunkHeaderSize> out;
    const size_t size = write_chunk_header(c.header, out);
    EXPECT_EQ(Buffer(out.begin(), out.begin() + static_cast<ptrdiff_t>(size)), wire);
  }
}

TEST(ChunkHeader, LeavesATruncatedOneAlone) {
  for (const HeaderCase& c : kCases) {
    SCOPED_TRACE(c.wire);
    const Buffer wire = octets(c.wire);
    for (size_t size = 0; size < wire.size(); size++) {
      const Buffer part(wire.begin(), wire.begin() + static_cast<ptrdiff_t>(size));
      Cursor in(part);
      EXPECT_FALSE(parse_chunk_header(in));
      EXPECT_EQ(in.offset(), 0u);
    }
  }
}

TEST(ChunkHeader, TakesALongFormForAShortId) {
  const Buffer wire = octets("C1 00 00");
  Cursor in(wire);
  EXPECT_EQ(parse_chunk_header(in)->chunk_stream_id, 64u);
}

struct ExtendedCase {
  const char* wire;
  ChunkHeader header;
};

TEST(ChunkHeader, WritesExtendedTimestamps) {
  const ExtendedCase cases[] = {
      {"02 FFFFFF 000001 09 01000000 00FFFFFF", {0, 2, 0xFFFFFF, 1, kVideo, 1, false}},
      {"02 FFFFFF 000001 09 01000000 FFFFFFFF", {0, 2, 0xFFFFFFFF, 1, kVideo, 1, true}},
      {"42 FFFFFF 000001 09 01000000", {1, 2, 0x01000000, 1, kVideo, 0, false}},
      {"82 FFFFFF 01000000", {2, 2, 0x01000000, 0, kNoType, 0, false}},
      {"C2 01000000", {3, 2, 0x01000000, 0, kNoType, 0, true}},
      {"C2 00000005", {3, 2, 5, 0, kNoType, 0, true}},
      {"C2", {3, 2, 0x01000000, 0, kNoType, 0, false}},
      {"01 FFFF FFFFFF FFFFFF 09 FFFFFFFF FFFFFFFF",
       {0, 65599, 0xFFFFFFFF, 0xFFFFFF, kVideo, 0xFFFFFFFF, false}},
  };
  for (const ExtendedCase& c : cases) {
    SCOPED_TRACE(c.wire);
    std::array<uint8_t, kMaxChunkHeaderSize> out;
    const size_t size = write_chunk_header(c.header, out);
    EXPECT_EQ(Buffer(out.begin(), out.begin() + static_cast<ptrdiff_t>(size)), octets(c.wire));
  }
}

TEST(ChunkHeader, TellsThatAnExtendedTimestampFollows) {
  for (const char* text : {"02 FFFFFF 000001 09 01000000 00FFFFFF", "42 FFFFFF 000001 09 00FFFFFF",
                           "82 FFFFFF 00FFFFFF"}) {
    SCOPED_TRACE(text);
    const Buffer wire = octets(text);
    Cursor in(wire);
    const auto header = parse_chunk_header(in);
    ASSERT_TRUE(header);
    EXPECT_TRUE(header->extended);
    EXPECT_EQ(in.remaining(), kExtendedTimestampSize);
  }
}

}  // namespace
}  // namespace rtmp
