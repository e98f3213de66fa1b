// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/av1.h"

namespace {

using rtmp::Buffer;

/// Record is an av1C as FFmpeg 5.1 writes it for what libaom encodes: the expected answer, whose
/// sequence header is the question.
struct Record {
  const char* name;
  Buffer octets;
};
const std::vector<Record>& records() {
  static const std::vector<Record> all = {
      {"8 bits 4:2:0",
       {0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xda, 0xf9,
        0x00, 0x40}},
      {"10 bits 4:2:0",
       {0x81, 0x00, 0x4c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xda, 0xf9,
        0x40, 0x40}},
      {"8 bits 4:4:4",
       {0x81, 0x20, 0x00, 0x00, 0x0a, 0x0a, 0x20, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xda, 0xf9,
        0x02}},
      {"monochrome",
       {0x81, 0x00, 0x1c, 0x00, 0x0a, 0x0a, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xda, 0xf9,
        0x2a}},
      {"12 bits 4:4:4",
       {0x81, 0x40, 0x60, 0x00, 0x0a, 0x0b, 0x40, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xda, 0xf9,
        0x60, 0x40}},
      {"8 bits 4:2:2",
       {0x81, 0x40, 0x08, 0x00, 0x0a, 0x0a, 0x40, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xda, 0xf9,
        0x01}},
      {"sRGB",
       {0x81, 0x20, 0x00, 0x00, 0x0a, 0x0d, 0x20, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xda, 0xf9,
        0x20, 0x21, 0xa0, 0x04}},
  };
  return all;
}

Buffer joined(const Buffer& a, const Buffer& b) {
  Buffer out = a;
  out.insert(out.end(), b.begin(), b.end());
  return out;
}
Buffer sequence_header(const Record& record) {
  return {record.octets.begin() + 4, record.octets.end()};
}
const Buffer kDelimiter = {0x12, 0x00};
const Buffer kFrame = {0x32, 0x03, 0x10, 0x00, 0x00};

TEST(Av1, MakesTheRecordThatFfmpegMakes) {
  for (const Record& record : records()) {
    const Buffer unit = joined(joined(kDelimiter, sequence_header(record)), kFrame);
    EXPECT_EQ(rtmp::av1::make_configuration_record(unit), record.octets) << record.name;
  }
}

TEST(Av1, FindsNothingInWhatIsCutOff) {
  for (const Record& record : records()) {
    const Buffer unit = joined(kDelimiter, sequence_header(record));
    for (size_t size = 0; size < unit.size(); size++) {
      EXPECT_FALSE(rtmp::av1::make_configuration_record(rtmp::Bytes(unit).first(size)))
          << record.name << ", " << size;
    }
  }
}

// The OBU's own size, shorter than its header needs.
TEST(Av1, FindsNothingInASequenceHeaderThatIsTooShort) {
  for (uint8_t size = 0; size < 8; size++) {
    Buffer unit = {0x0a, size};
    unit.resize(2 + size, 0x00);
    EXPECT_FALSE(rtmp::av1::make_configuration_record(unit)) << int{size};
  }
}

TEST(Av1, PassesOverUnitsWithoutSequenceHeader) {
  EXPECT_FALSE(rtmp::av1::make_configuration_record(joined(kDelimiter, kFrame)));
  EXPECT_FALSE(rtmp::av1::make_configuration_record({}));
}

// 5.5.1: a still picture has no operating points; level 9 here, hence a tier in others, not here.
TEST(Av1, ReadsReducedStillPictureHeaders) {
  // profile 0, still, reduced, level 01001, 4 bits each of width 64 and height 64, no superblocks
  // of 128, no tools, 8 bits, colour, no description, limited, sample position 1.
  //   000 1 1 01001 0101 0101 111111 111111 000 000 0 0 0 0 01 + trailing 1
  const Buffer unit = {0x0a,       0x06,       0b00011010, 0b01010101,
                       0b01111111, 0b11111000, 0b00000000, 0b01100000};
  const auto record = rtmp::av1::make_configuration_record(unit);
  ASSERT_TRUE(record);
  EXPECT_EQ(Buffer(record->begin(), record->begin() + 4), (Buffer{0x81, 0x09, 0x0d, 0x00}));
}

TEST(Av1, TellsATemporalUnitFromOtherOctets) {
  const Buffer unit = {0x12, 0x00, 0x0A, 0x01, 0x00, 0x32, 0x02, 0x11, 0x22};
  EXPECT_TRUE(rtmp::av1::is_temporal_unit(unit));
  EXPECT_TRUE(rtmp::av1::is_temporal_unit(Buffer{0x30, 0x11})) << "the last one needs no size";
  EXPECT_FALSE(rtmp::av1::is_temporal_unit({}));
  EXPECT_FALSE(rtmp::av1::is_temporal_unit(rtmp::Bytes(unit).first(unit.size() - 1)));
  EXPECT_FALSE(rtmp::av1::is_temporal_unit(Buffer{0x02, 0x00})) << "type 0";
  EXPECT_FALSE(rtmp::av1::is_temporal_unit(Buffer{0x92, 0x00})) << "the forbidden bit";
  EXPECT_FALSE(rtmp::av1::is_temporal_unit(Buffer{0x4A, 0x00})) << "type 9";
}

TEST(Av1, CountsTemporalDelimiters) {
  const Buffer unit = joined(joined(kDelimiter, kDelimiter), kFrame);
  EXPECT_EQ(rtmp::av1::temporal_delimiter_size(unit), 4u);
  EXPECT_EQ(rtmp::av1::temporal_delimiter_size(kFrame), 0u);
  EXPECT_EQ(rtmp::av1::temporal_delimiter_size({}), 0u);
}

// 4.10.5: a length of more than eight octets is none; one without length is the rest of its unit,
// which the low-overhead format does not have.
TEST(Av1, RefusesLengthsThatAreNone) {
  Buffer unit = {0x0a};
  unit.resize(9, 0x80);
  unit.push_back(0x00);
  EXPECT_FALSE(rtmp::av1::make_configuration_record(unit));
  Buffer no_size = sequence_header(records().front());
  no_size[0] = 0x08;
  EXPECT_FALSE(rtmp::av1::make_configuration_record(no_size));
}

}  // namespace
