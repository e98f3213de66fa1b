// SPDX-License-Identifier: LGPL-2.1-or-later
#include <limits>

#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "amf_cases.h"
#include "wire/amf0.h"
#include "wire/colorinfo.h"

namespace rtmp::media {
namespace {

using ::rtmp::amf::wire;
using ::rtmp::testing::Exact;
using ::rtmp::testing::to_hex;
using ::rtmp::testing::with_trailing;

constexpr char kName[] = "02 0009 'colorInfo' ";

// HDR10: PQ, BT.2020, non-constant luminance, ten bits; a P3 display of 1000 cd/m2.
constexpr char kHdr10[] =
    "02 0009 'colorInfo' 03"
    " 000b 'colorConfig' 03"
    "  0008 'bitDepth' 00 4024000000000000"
    "  000e 'colorPrimaries' 00 4022000000000000"
    "  0017 'transferCharacteristics' 00 4030000000000000"
    "  0012 'matrixCoefficients' 00 4022000000000000"
    "  000009"
    " 0006 'hdrCll' 03"
    "  0007 'maxFall' 00 4079000000000000"
    "  0006 'maxCLL' 00 408f400000000000"
    "  000009"
    " 0007 'hdrMdcv' 03"
    "  0004 'redX' 00 3fe5c28f5c28f5c3"
    "  0004 'redY' 00 3fd47ae147ae147b"
    "  0006 'greenX' 00 3fd0f5c28f5c28f6"
    "  0006 'greenY' 00 3fe6147ae147ae14"
    "  0005 'blueX' 00 3fc3333333333333"
    "  0005 'blueY' 00 3faeb851eb851eb8"
    "  000b 'whitePointX' 00 3fd40346dc5d6388"
    "  000b 'whitePointY' 00 3fd50e5604189375"
    "  000c 'maxLuminance' 00 408f400000000000"
    "  000c 'minLuminance' 00 3f747ae147ae147b"
    "  000009"
    " 000009";

ColorInfo hdr10() {
  ColorInfo info;
  info.bit_depth = 10;
  info.color_primaries = 9;
  info.transfer_characteristics = 16;
  info.matrix_coefficients = 9;
  info.max_fall = 400;
  info.max_cll = 1000;
  info.red_x = 0.68;
  info.red_y = 0.32;
  info.green_x = 0.265;
  info.green_y = 0.69;
  info.blue_x = 0.15;
  info.blue_y = 0.06;
  info.white_point_x = 0.3127;
  info.white_point_y = 0.329;
  info.max_luminance = 1000;
  info.min_luminance = 0.005;
  return info;
}

std::optional<ColorInfo> parse(std::string_view notation) {
  auto info = parse_color_info(Exact(wire(notation)));
  EXPECT_TRUE(info) << notation;
  return info ? *info : std::nullopt;
}

TEST(ColorInfo, Hdr10ReadsAndWrites) {
  const Buffer octets = wire(kHdr10);
  for (const Buffer& input :
       {octets, with_trailing(octets, wire("ff")), with_trailing(octets, wire("05")),
        with_trailing(octets, wire("02 0001 'x'")), with_trailing(octets, wire("02 0001 'x' 05")),
        with_trailing(wire("00"), octets)}) {
    auto info = parse_color_info(Exact(input));
    ASSERT_TRUE(info && *info);
    EXPECT_TRUE(**info == hdr10());
  }
  Buffer out;
  Builder builder(out);
  write_color_info(builder, hdr10());
  EXPECT_EQ(to_hex(out), to_hex(octets));
}

TEST(ColorInfo, EveryTruncation) {
  const Buffer octets = wire(kHdr10);
  for (size_t size = 1; size < octets.size(); ++size) {
    auto info = parse_color_info(Exact(Bytes(octets).first(size)));
    if (info) {
      // AMF0 survives an object whose end is missing; what was there counts.
      EXPECT_TRUE(*info);
    } else {
      EXPECT_EQ(info.error().kind, ErrorKind::kTruncated) << size;
      EXPECT_LE(info.error().offset, size);
    }
  }
  auto nothing = parse_color_info({});
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
}

TEST(ColorInfo, Resets) {
  for (const char* value :
       {"06", "05", "03 000009", "08 00000000 000009", "03 0006 'hdrCll' 03 000009 000009"}) {
    auto info = parse(std::string(kName) + value);
    ASSERT_TRUE(info) << value;
    EXPECT_TRUE(info->is_reset());
  }
  Buffer out;
  Builder builder(out);
  write_color_info(builder, {});
  EXPECT_EQ(to_hex(out), to_hex(wire(std::string(kName) + "06")));
}

// As OBS writes it: no more than it knows.
TEST(ColorInfo, APartOfIt) {
  auto info = parse(std::string(kName) +
                    "03 000b 'colorConfig' 03 0017 'transferCharacteristics' 00 4032000000000000"
                    " 000009 0007 'hdrMdcv' 03 000c 'maxLuminance' 00 408f400000000000 000009"
                    " 000009");
  ASSERT_TRUE(info);
  ColorInfo expected;
  expected.transfer_characteristics = 18;
  expected.max_luminance = 1000;
  EXPECT_TRUE(*info == expected);
}

TEST(ColorInfo, OfAmf3) {
  // colorInfo { colorConfig: { colorPrimaries: 9 } }, integers and all
  const std::string value = "11 0a0b01 17 'colorConfig' 0a0b01 1d 'colorPrimaries' 04 09 01 01";
  for (const char* format : {"", "00 "}) {
    auto info = parse(format + std::string(kName) + value);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->color_primaries, 9);
  }
}

TEST(ColorInfo, OtherMetadata) {
  EXPECT_FALSE(parse("02 0005 'other' 05"));
  auto info = parse(std::string("02 0005 'other' 03 000009") + kName + "06");
  EXPECT_TRUE(info && info->is_reset());
  // The last one counts.
  info = parse(std::string(kName) + "06" + kName +
               "03 0006 'hdrCll' 03 0006 'maxCLL' 00 408f400000000000 000009 000009");
  EXPECT_TRUE(info && info->max_cll == 1000);
}

TEST(ColorInfo, Refuses) {
  for (const char* notation :
       {"00 3ff0000000000000 06", "05", "02 0009 'colorInfo' 00 3ff0000000000000",
        "02 0009 'colorInfo' 02 0000"}) {
    auto info = parse_color_info(Exact(wire(notation)));
    ASSERT_FALSE(info) << notation;
    EXPECT_EQ(info.error().kind, ErrorKind::kMalformed) << notation;
  }
  amf::Limits limits;
  limits.max_values = 8;
  auto info = parse_color_info(Exact(wire(kHdr10)), limits);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().kind, ErrorKind::kLimit);
}

struct Range {
  const char* object;
  const char* name;
  std::optional<double> ColorInfo::*member;
  double least;
  double most;
};

TEST(ColorInfo, KeepsWhatIsInItsRange) {
  const Range ranges[] = {
      {"hdrCll", "maxFall", &ColorInfo::max_fall, 0.0001, 10000},
      {"hdrCll", "maxCLL", &ColorInfo::max_cll, 0.0001, 10000},
      {"hdrMdcv", "redX", &ColorInfo::red_x, 0.0001, 0.74},
      {"hdrMdcv", "greenX", &ColorInfo::green_x, 0.0001, 0.74},
      {"hdrMdcv", "blueX", &ColorInfo::blue_x, 0.0001, 0.74},
      {"hdrMdcv", "whitePointX", &ColorInfo::white_point_x, 0.0001, 0.74},
      {"hdrMdcv", "redY", &ColorInfo::red_y, 0.0001, 0.84},
      {"hdrMdcv", "greenY", &ColorInfo::green_y, 0.0001, 0.84},
      {"hdrMdcv", "blueY", &ColorInfo::blue_y, 0.0001, 0.84},
      {"hdrMdcv", "whitePointY", &ColorInfo::white_point_y, 0.0001, 0.84},
      {"hdrMdcv", "maxLuminance", &ColorInfo::max_luminance, 5, 10000},
      {"hdrMdcv", "minLuminance", &ColorInfo::min_luminance, 0.0001, 5},
  };
  auto read = [](const char* object, const char* name, amf::Value value) {
    Buffer out;
    Builder builder(out);
    amf::write_amf0_string(builder, kColorInfo);
    EXPECT_EQ(amf::write_amf0(builder,
                              amf::Value::object({{object, amf::Value::object({{name, value}})}})),
              Misuse::kNone);
    auto info = parse_color_info(out);
    EXPECT_TRUE(info && *info);
    return **info;
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const Range& range : ranges) {
    SCOPED_TRACE(range.name);
    for (double value : {range.least, range.most, (range.least + range.most) / 2}) {
      EXPECT_EQ(read(range.object, range.name, value).*range.member, value);
    }
    for (double value : {range.least - 0.00001, range.most + 0.00001, 0.0, -1.0, kInfinity,
                         -kInfinity, std::numeric_limits<double>::quiet_NaN()}) {
      const ColorInfo info = read(range.object, range.name, value);
      EXPECT_TRUE(info.is_reset()) << value;
      ColorInfo beyond;
      beyond.*range.member = value;
      Buffer out;
      Builder builder(out);
      write_color_info(builder, beyond);
      EXPECT_EQ(to_hex(out), to_hex(wire(std::string(kName) + "06"))) << value;
    }
    EXPECT_TRUE(read(range.object, range.name, "1").is_reset());
  }
  for (double depth : {8.0, 10.0, 12.0}) {
    EXPECT_EQ(read("colorConfig", "bitDepth", depth).bit_depth, depth);
  }
  for (double depth : {9.0, 16.0, 0.0, 10.5, 266.0}) {
    EXPECT_TRUE(read("colorConfig", "bitDepth", depth).is_reset()) << depth;
  }
  for (double index : {0.0, 255.0}) {
    EXPECT_EQ(read("colorConfig", "matrixCoefficients", index).matrix_coefficients, index);
  }
  for (double index : {-1.0, 256.0, 1.5, kInfinity}) {
    EXPECT_TRUE(read("colorConfig", "colorPrimaries", index).is_reset()) << index;
  }
}

}  // namespace
}  // namespace rtmp::media
