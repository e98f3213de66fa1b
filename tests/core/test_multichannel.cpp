// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "wire/multichannel.h"

namespace rtmp::media {
namespace {

using ::rtmp::testing::Exact;
using ::rtmp::testing::expect_truncations;
using ::rtmp::testing::from_hex;
using ::rtmp::testing::to_hex;
using ::rtmp::testing::with_trailing;

using enum ChannelOrder;
using enum Channel;

struct Case {
  const char* name;
  const char* hex;  ///< order | count | mask or channels
  MultichannelConfig config;
  std::vector<Channel> placed;
};

const Case kCases[] = {
    {"unspecified", "00 03", {kUnspecified, 3, 0, {}}, {kUnknown, kUnknown, kUnknown}},
    {"no channel", "00 00", {kUnspecified, 0, 0, {}}, {}},
    {"mono", "01 01 00000004", {kNative, 1, 4, {}}, {kFrontCenter}},
    {"stereo", "01 02 00000003", {kNative, 2, 3, {}}, {kFrontLeft, kFrontRight}},
    {"5.1",
     "01 06 0000003f",
     {kNative, 6, 0x3F, {}},
     {kFrontLeft, kFrontRight, kFrontCenter, kLowFrequency1, kBackLeft, kBackRight}},
    {"the last place", "01 01 00800000", {kNative, 1, 0x800000, {}}, {kBottomFrontRight}},
    {"a reserved place", "01 01 01000000", {kNative, 1, 0x1000000, {}}, {kUnknown}},
    {"a mask of fewer places",
     "01 03 00000003",
     {kNative, 3, 3, {}},
     {kUnknown, kUnknown, kUnknown}},
    {"a mask of more places", "01 01 ffffffff", {kNative, 1, 0xFFFFFFFF, {}}, {kUnknown}},
    {"custom",
     "02 04 02 fe ff 17",
     {kCustom, 4, 0, {kFrontCenter, kUnused, kUnknown, kBottomFrontRight}},
     {kFrontCenter, kUnused, kUnknown, kBottomFrontRight}},
    {"custom, none", "02 00", {kCustom, 0, 0, {}}, {}},
    {"custom, reserved",
     "02 01 18",
     {kCustom, 1, 0, {static_cast<Channel>(24)}},
     {static_cast<Channel>(24)}},
};

TEST(Multichannel, ReadsAndWrites) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const Buffer octets = from_hex(c.hex);
    for (const Buffer& input : {octets, with_trailing(octets, from_hex("0102030405"))}) {
      auto config = parse_multichannel_config(Exact(input));
      ASSERT_TRUE(config);
      EXPECT_TRUE(*config == c.config);
    }
    expect_truncations(octets, parse_multichannel_config);
    Buffer out;
    Builder builder(out);
    write_multichannel_config(builder, c.config);
    EXPECT_EQ(to_hex(out), to_hex(octets));
    EXPECT_EQ(placed_channels(c.config), c.placed);
  }
}

TEST(Multichannel, EachPlaceHasItsBit) {
  for (unsigned place = 0; place < kNumPlacedChannels; ++place) {
    EXPECT_EQ(placed_channels({kNative, 1, 1u << place, {}}),
              std::vector{static_cast<Channel>(place)});
  }
}

TEST(Multichannel, RefusesUnknownOrders) {
  for (const char* hex : {"03 02 00000000", "ff 00"}) {
    auto config = parse_multichannel_config(Exact(from_hex(hex)));
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().kind, ErrorKind::kMalformed);
  }
}

TEST(Multichannel, WritesWhatTheCountCanSay) {
  Buffer out;
  Builder builder(out);
  write_multichannel_config(builder, {kCustom, 3, 0, std::vector<Channel>(300, kUnused)});
  EXPECT_EQ(out.size(), 257u);
  EXPECT_EQ(out[1], 255);
}

}  // namespace
}  // namespace rtmp::media
