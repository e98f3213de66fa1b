// SPDX-License-Identifier: LGPL-2.1-or-later
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "wire/flv.h"

namespace rtmp::flv {
namespace {

using ::rtmp::testing::Exact;
using ::rtmp::testing::expect_truncations;
using ::rtmp::testing::from_hex;
using ::rtmp::testing::to_hex;
using ::rtmp::testing::with_trailing;

Result<FileHeader> parse_whole_file_header(Bytes bytes) {
  Cursor in(bytes);
  return parse_file_header(in);
}

Result<TagHeader> parse_whole_tag_header(Bytes bytes) {
  Cursor in(bytes);
  return parse_tag_header(in);
}

TEST(FlvFileHeader, ReadsAndWrites) {
  const struct {
    FileHeader header;
    const char* hex;
  } cases[] = {
      {{false, false, 9}, "464c560100 00000009"},
      {{true, false, 9}, "464c560104 00000009"},
      {{false, true, 9}, "464c560101 00000009"},
      {{true, true, 9}, "464c560105 00000009"},
  };
  for (const auto& c : cases) {
    const Buffer wire = from_hex(c.hex);
    for (const Buffer& input : {wire, with_trailing(wire, from_hex("00000000ff"))}) {
      const Exact exact(input);
      Cursor in(exact);
      auto header = parse_file_header(in);
      ASSERT_TRUE(header) << c.hex;
      EXPECT_EQ(header->has_audio, c.header.has_audio);
      EXPECT_EQ(header->has_video, c.header.has_video);
      EXPECT_EQ(header->data_offset, 9u);
      EXPECT_EQ(in.offset(), kFileHeaderSize);
    }
    expect_truncations(wire, parse_whole_file_header);
    Buffer out;
    Builder builder(out);
    write_file_header(builder, c.header);
    EXPECT_EQ(to_hex(out), to_hex(wire) + "00000000");
  }
}

TEST(FlvFileHeader, ToleratesReservedBitsAndLongerHeaders) {
  auto header = parse_whole_file_header(from_hex("464c5601ff 00000020"));
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->has_audio);
  EXPECT_TRUE(header->has_video);
  EXPECT_EQ(header->data_offset, 32u);
}

TEST(FlvFileHeader, Errors) {
  for (const char* hex : {"464c570105 00000009", "664c560105 00000009", "464c560005 00000009",
                          "464c560505 00000009", "464c560105 00000008", "464c560105 00000000"}) {
    const Buffer wire = from_hex(hex);
    Cursor in(wire);
    auto header = parse_file_header(in);
    ASSERT_FALSE(header) << hex;
    EXPECT_EQ(header.error().kind, ErrorKind::kMalformed) << hex;
    EXPECT_EQ(in.offset(), 0u) << hex;
  }
}

struct TagCase {
  TagHeader header;
  const char* hex;
};

const TagCase kTags[] = {
    {{8, false, 0, 0, 0}, "08 000000 000000 00 000000"},
    {{9, false, 0x010203, 0x0A0B0C0D, 0}, "09 010203 0b0c0d 0a 000000"},
    {{18, false, 0xFFFFFF, 0xFFFFFFFF, 0xFFFFFF}, "12 ffffff ffffff ff ffffff"},
    {{9, true, 5, 0x80000000, 0}, "29 000005 000000 80 000000"},
    {{31, true, 5, 0x00FFFFFF, 1}, "3f 000005 ffffff 00 000001"},
};

TEST(FlvTagHeader, ReadsAndWrites) {
  for (const TagCase& c : kTags) {
    SCOPED_TRACE(c.hex);
    const Buffer wire = from_hex(c.hex);
    for (const Buffer& input : {wire, with_trailing(wire, from_hex("ffff"))}) {
      const Exact exact(input);
      Cursor in(exact);
      auto header = parse_tag_header(in);
      ASSERT_TRUE(header);
      EXPECT_EQ(header->type, c.header.type);
      EXPECT_EQ(header->encrypted, c.header.encrypted);
      EXPECT_EQ(header->data_size, c.header.data_size);
      EXPECT_EQ(header->timestamp, c.header.timestamp);
      EXPECT_EQ(header->stream_id, c.header.stream_id);
      EXPECT_EQ(in.offset(), kTagHeaderSize);
    }
    expect_truncations(wire, parse_whole_tag_header);
    std::array<uint8_t, kTagHeaderSize> out;
    write_tag_header(out.data(), c.header);
    EXPECT_EQ(to_hex(out), to_hex(wire));
  }
}

TEST(FlvTagHeader, BackPointer) {
  uint8_t out[kBackPointerSize];
  write_back_pointer(out, 0);
  EXPECT_EQ(to_hex(out), "0000000b");
  write_back_pointer(out, kMaxDataSize);
  EXPECT_EQ(to_hex(out), "0100000a");
}

/// What a scan of a whole stream found, in words, so that two scans compare.
struct Found {
  std::vector<std::string> events;
  std::optional<PeerError> error;
  bool in_tag = false;
};

/// scan_pieces() feeds `stream` in pieces of the sizes that `next_size` answers.
template <typename NextSize>
Found scan_pieces(TagScanner& scanner, Bytes stream, NextSize next_size) {
  Found found;
  const uint64_t start = scanner.position();
  size_t at = 0;
  while (at < stream.size()) {
    const size_t size = std::min<size_t>(next_size(), stream.size() - at);
    const Exact piece(stream.subspan(at, size));
    Bytes input = piece;
    while (!input.empty()) {
      auto step = scanner.scan(input);
      if (!step) {
        found.error = step.error();
        return found;
      }
      EXPECT_GT(step->consumed, 0u);
      EXPECT_LE(step->consumed, input.size());
      if (step->consumed == 0 || step->consumed > input.size()) {
        return found;
      }
      if (step->file_header) {
        found.events.push_back("header " + std::to_string(step->file_header->has_audio) +
                               std::to_string(step->file_header->has_video));
      }
      if (step->tag) {
        const ScannedTag& tag = *step->tag;
        EXPECT_EQ(tag.body_offset, tag.offset + kTagHeaderSize);
        EXPECT_EQ(scanner.position(), tag.body_offset + tag.header.data_size);
        EXPECT_FALSE(scanner.in_tag());
        found.events.push_back(
            std::to_string(tag.header.type) + (tag.header.encrypted ? "e " : " ") +
            std::to_string(tag.header.timestamp) + " " +
            to_hex(stream.subspan(tag.body_offset - start, tag.header.data_size)));
      }
      input = input.subspan(step->consumed);
      at += step->consumed;
      EXPECT_EQ(scanner.position() - start, at);
    }
  }
  found.in_tag = scanner.in_tag();
  return found;
}

Found scan_whole(Bytes stream) {
  TagScanner scanner;
  return scan_pieces(scanner, stream, [&] { return stream.size(); });
}

const char kHeader[] = "464c560105 00000009 00000000";
const char kMeta[] = "12 000004 000000 00 000000 02000161 0000000f";
const char kVideo[] = "09 000005 000010 00 000000 1701000000 00000010";
const char kAudio[] = "08 000003 000017 00 000000 af01ff 0000000e";
const char kEmptyAudio[] = "08 000000 000020 00 000000 0000000b";
const char kEncrypted[] = "28 000002 000021 00 000000 abcd 0000000d";
const char kAmf3Script[] = "0f 000002 000021 00 000000 0005 0000000d";

TEST(FlvTagScanner, AFile) {
  const Buffer stream = from_hex(std::string(kHeader) + kMeta + kVideo + kAudio + kEmptyAudio +
                                 kEncrypted + kAmf3Script);
  const Found found = scan_whole(stream);
  EXPECT_FALSE(found.error);
  EXPECT_FALSE(found.in_tag);
  const std::vector<std::string> expected = {"header 11",   "18 0 02000161", "9 16 1701000000",
                                             "8 23 af01ff", "8 32 ",         "8e 33 abcd",
                                             "15 33 0005"};
  EXPECT_EQ(found.events, expected);
}

const struct {
  const char* name;
  std::string hex;
  std::vector<std::string> events;
} kStreams[] = {
    {"no file header", std::string(kVideo) + kAudio, {"9 16 1701000000", "8 23 af01ff"}},
    {"a back pointer in front", std::string("00000000") + kVideo, {"9 16 1701000000"}},
    {"joined between tag and back pointer", std::string("00001234") + kAudio, {"8 23 af01ff"}},
    {"file header again",
     std::string(kHeader) + kAudio + kHeader + kVideo,
     {"header 11", "8 23 af01ff", "header 11", "9 16 1701000000"}},
    {"file header only", kHeader, {"header 11"}},
    {"two file headers", std::string(kHeader) + kHeader, {"header 11", "header 11"}},
    {"longer file header",
     "464c560104 0000000c abcdef 00000000" + std::string(kAudio),
     {"header 10", "8 23 af01ff"}},
    {"wrong back pointers",
     "464c560101 00000009 ffffffff 08 000001 000000 00 000000 aa 00000000"
     "08 000001 000001 00 000000 bb 464c5601 08 000001 000002 00 000000 cc 08000001",
     {"header 01", "8 0 aa", "8 1 bb", "8 2 cc"}},
    {"no last back pointer", "08 000001 000000 00 000000 aa", {"8 0 aa"}},
    {"unknown type", "0a 000001 000000 00 000000 aa 0000000c", {"10 0 aa"}},
    {"stream id of a known type", "09 000001 000000 00 000001 aa 0000000c", {"9 0 aa"}},
    {"negative time", "09 000001 ffffff ff 000000 aa 0000000c", {"9 4294967295 aa"}},
};

TEST(FlvTagScanner, StreamsCutAnywhere) {
  std::mt19937 random(1);
  for (const auto& c : kStreams) {
    SCOPED_TRACE(c.name);
    const Buffer stream = from_hex(c.hex);
    for (size_t size : {stream.size(), size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{11}}) {
      TagScanner scanner;
      const Found found = scan_pieces(scanner, stream, [&] { return size; });
      EXPECT_FALSE(found.error) << size;
      EXPECT_EQ(found.events, c.events) << size;
      EXPECT_FALSE(found.in_tag) << size;
    }
    for (size_t first = 1; first < stream.size(); ++first) {
      TagScanner scanner;
      bool cut = false;
      const Found found = scan_pieces(
          scanner, stream, [&] { return std::exchange(cut, true) ? stream.size() : first; });
      EXPECT_EQ(found.events, c.events) << first;
    }
    TagScanner scanner;
    const Found found = scan_pieces(scanner, stream, [&] { return 1 + random() % 7; });
    EXPECT_EQ(found.events, c.events);
  }
}

TEST(FlvTagScanner, TellsACutOffTagFromAnEnd) {
  const Buffer stream = from_hex(std::string(kHeader) + kVideo + kEmptyAudio);
  const size_t video = 13;
  const size_t audio = video + 11 + 5 + 4;
  for (size_t size = 0; size <= stream.size(); ++size) {
    TagScanner scanner;
    const Found found =
        scan_pieces(scanner, Bytes(stream).first(size), [&] { return stream.size(); });
    EXPECT_FALSE(found.error);
    const bool in_header = size > 0 && size < 9;
    const bool in_video = size > video && size < video + 16;
    const bool in_audio = size > audio && size < audio + 11;
    EXPECT_EQ(found.in_tag, in_header || in_video || in_audio) << size;
    EXPECT_EQ(scanner.missing(), in_video && size >= video + 11 ? video + 16 - size : 0) << size;
  }
}

TEST(FlvTagScanner, ATagIsReportedWithItsLastOctet) {
  TagScanner scanner;
  const Buffer stream = from_hex(kVideo);
  auto most = scanner.scan(Bytes(stream).first(15));
  ASSERT_TRUE(most);
  EXPECT_EQ(most->consumed, 15u);
  EXPECT_FALSE(most->tag);
  auto last = scanner.scan(Bytes(stream).subspan(15));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->consumed, 1u);
  ASSERT_TRUE(last->tag);
  EXPECT_EQ(last->tag->offset, 0u);
  EXPECT_EQ(last->tag->body_offset, 11u);
}

TEST(FlvTagScanner, EmptyInputIsNothing) {
  TagScanner scanner;
  auto step = scanner.scan({});
  ASSERT_TRUE(step);
  EXPECT_EQ(step->consumed, 0u);
  EXPECT_FALSE(step->tag);
  EXPECT_FALSE(step->file_header);
}

TEST(FlvTagScanner, GarbageIsAnErrorUntilReset) {
  const struct {
    const char* hex;
    ErrorKind kind;
    uint64_t offset;
  } cases[] = {
      {"47 4554202f2048545450 2f312e", ErrorKind::kMalformed, 0},
      {"ff ffffff ffffff ff ffffff", ErrorKind::kMalformed, 0},
      {"49 000001 000000 00 000000", ErrorKind::kMalformed, 0},
      {"89 000001 000000 00 000000", ErrorKind::kMalformed, 0},
      {"0a 000001 000000 00 000001", ErrorKind::kMalformed, 0},
      {"00000000 00 000001 000000 00 000000", ErrorKind::kMalformed, 4},
      {"46 4c5600 05 00000009", ErrorKind::kMalformed, 0},
      {"46 4c5601 05 00000008", ErrorKind::kMalformed, 5},
      {"46 4c5601 05 00010001", ErrorKind::kLimit, 0},
      {"08 000001 000000 00 000000 aa 0000000c 20 000001 000000 00 000000", ErrorKind::kMalformed,
       16},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.hex);
    const Buffer stream = from_hex(c.hex);
    for (size_t size : {stream.size(), size_t{1}}) {
      TagScanner scanner;
      const Found found = scan_pieces(scanner, stream, [&] { return size; });
      ASSERT_TRUE(found.error);
      EXPECT_EQ(found.error->kind, c.kind);
      EXPECT_EQ(found.error->offset, c.offset);
      EXPECT_STRNE(found.error->text, "");

      auto again = scanner.scan(from_hex(kAudio));
      ASSERT_FALSE(again);
      EXPECT_EQ(again.error().offset, c.offset);
      EXPECT_FALSE(scanner.in_tag());

      scanner.reset();
      EXPECT_EQ(scanner.position(), 0u);
      const Buffer audio = from_hex(kAudio);
      const Found after = scan_pieces(scanner, audio, [&] { return size; });
      EXPECT_EQ(after.events, std::vector<std::string>{"8 23 af01ff"});
    }
  }
}

TEST(FlvTagScanner, TheLimitIsKept) {
  TagScanner scanner(5);
  const Buffer video = from_hex(kVideo);
  EXPECT_TRUE(scanner.scan(video));
  scanner.reset();
  const Buffer larger = from_hex("09 000006 000010 00 000000");
  auto step = scanner.scan(larger);
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().kind, ErrorKind::kLimit);
}

TEST(FlvTagScanner, OffsetsGoOnAcrossInputs) {
  TagScanner scanner;
  const Buffer one = from_hex(std::string(kVideo) + kAudio);
  for (int i = 0; i < 3; ++i) {
    Bytes input = one;
    std::vector<uint64_t> offsets;
    while (!input.empty()) {
      auto step = scanner.scan(input);
      ASSERT_TRUE(step);
      if (step->tag) {
        offsets.push_back(step->tag->offset);
      }
      input = input.subspan(step->consumed);
    }
    const uint64_t base = static_cast<uint64_t>(i) * one.size();
    EXPECT_EQ(offsets, (std::vector<uint64_t>{base, base + 20}));
  }
}

}  // namespace
}  // namespace rtmp::flv
