// SPDX-License-Identifier: LGPL-2.1-or-later
// Caps from and to what Enhanced RTMP says of colours and channels.
#include <gst/gst.h>
#include <gtest/gtest.h>

#include "common/channelcaps.h"
#include "common/colorcaps.h"
#include "common/glue.h"

namespace {

using gstrtmp::channel_positions;
using gstrtmp::color_info_from_caps;
using gstrtmp::GstPtr;
using gstrtmp::multichannel_config_from_caps;
using gstrtmp::set_color_info;
using gstrtmp::set_multichannel_config;
using rtmp::media::Channel;
using rtmp::media::ChannelOrder;
using rtmp::media::ColorInfo;
using rtmp::media::MultichannelConfig;

GstPtr<GstCaps> caps_of(const std::string& text) {
  auto caps = GstPtr<GstCaps>::adopt(gst_caps_from_string(text.c_str()));
  EXPECT_NE(caps.get(), nullptr) << text;
  return caps;
}

void expect_caps(const GstCaps* caps, const std::string& expected) {
  auto wanted = caps_of(expected);
  char* text = gst_caps_to_string(caps);
  EXPECT_TRUE(gst_caps_is_equal(caps, wanted.get())) << text << "\nand not\n" << expected;
  g_free(text);
}

struct ColorCase {
  const char* name;
  const char* fields;
  ColorInfo info;
};

ColorInfo config(int primaries, int transfer, int matrix) {
  ColorInfo info;
  info.color_primaries = static_cast<uint8_t>(primaries);
  info.transfer_characteristics = static_cast<uint8_t>(transfer);
  info.matrix_coefficients = static_cast<uint8_t>(matrix);
  return info;
}

ColorInfo with(ColorInfo info, auto change) {
  change(info);
  return info;
}

const ColorCase kColors[] = {
    {"BT.709", "colorimetry=(string)bt709", config(1, 1, 1)},
    {"BT.601", "colorimetry=(string)bt601", config(6, 6, 6)},
    {"BT.2020 of ten bits",
     "colorimetry=(string)bt2020-10, bit-depth-luma=(uint)10,"
     " bit-depth-chroma=(uint)10",
     with(config(9, 14, 9), [](auto& i) { i.bit_depth = 10; })},
    {"PQ", "colorimetry=(string)bt2100-pq", config(9, 16, 9)},
    {"HLG", "colorimetry=(string)bt2100-hlg", config(9, 18, 9)},
    {"a transfer function alone", "colorimetry=(string)2:0:14:0",
     with({}, [](auto& i) { i.transfer_characteristics = 16; })},
    {"HDR10",
     "colorimetry=(string)bt2100-pq,"
     " mastering-display-info=(string)34000:16000:13250:34500:7500:3000:15635:16450:10000000:50,"
     " content-light-level=(string)1000:400",
     with(config(9, 16, 9),
          [](auto& i) {
            i.red_x = 0.68;
            i.red_y = 0.32;
            i.green_x = 0.265;
            i.green_y = 0.69;
            i.blue_x = 0.15;
            i.blue_y = 0.06;
            i.white_point_x = 0.3127;
            i.white_point_y = 0.329;
            i.max_luminance = 1000;
            i.min_luminance = 0.005;
            i.max_cll = 1000;
            i.max_fall = 400;
          })},
    {"luminances alone, as OBS sends them",
     "mastering-display-info=(string)0:0:0:0:0:0:0:0:10000000:1",
     with({},
          [](auto& i) {
            i.max_luminance = 1000;
            i.min_luminance = 0.0001;
          })},
    {"a light level alone", "content-light-level=(string)1000:0",
     with({}, [](auto& i) { i.max_cll = 1000; })},
};

TEST(TrackCaps, Colors) {
  for (const ColorCase& c : kColors) {
    SCOPED_TRACE(c.name);
    auto caps = caps_of(std::string("video/x-h265, ") + c.fields);
    auto info = color_info_from_caps(caps.get());
    ASSERT_TRUE(info);
    EXPECT_TRUE(*info == c.info);
    auto made = caps_of("video/x-h265");
    set_color_info(made.get(), c.info);
    expect_caps(made.get(), std::string("video/x-h265, ") + c.fields);
  }
}

TEST(TrackCaps, CapsThatSayNothingOfColors) {
  for (const char* fields :
       {"", ", colorimetry=(string)1:0:0:0", ", colorimetry=(string)nonsense",
        ", mastering-display-info=(string)0:0:0:0:0:0:0:0:0:0", ", bit-depth-luma=(uint)9"}) {
    EXPECT_FALSE(color_info_from_caps(caps_of(std::string("video/x-h264") + fields).get()))
        << fields;
  }
  auto caps = caps_of("video/x-h264, colorimetry=(string)bt709");
  set_color_info(caps.get(), {});
  expect_caps(caps.get(), "video/x-h264, colorimetry=(string)bt709");
}

TEST(TrackCaps, ColorsOnTopOfOthers) {
  // The range stays, and so does a part that is not told; the bit depth is the bit stream's.
  auto caps = caps_of("video/x-h265, colorimetry=(string)1:3:5:1, bit-depth-luma=(uint)8");
  ColorInfo info;
  info.transfer_characteristics = 18;
  info.bit_depth = 10;
  set_color_info(caps.get(), info);
  expect_caps(caps.get(), "video/x-h265, colorimetry=(string)1:3:15:1, bit-depth-luma=(uint)8");
}

TEST(TrackCaps, ColorsWithoutCounterpart) {
  auto caps = caps_of("video/x-h265");
  ColorInfo info;
  info.color_primaries = 200;
  info.max_fall = 0.2;
  set_color_info(caps.get(), info);
  EXPECT_FALSE(color_info_from_caps(caps.get()));
  ColorInfo rounded;
  rounded.max_cll = 999.6;
  set_color_info(caps.get(), rounded);
  EXPECT_EQ(color_info_from_caps(caps.get())->max_cll, 1000);
}

struct ChannelCase {
  const char* name;
  const char* fields;
  MultichannelConfig config;
};

const ChannelCase kChannels[] = {
    {"mono", "channels=(int)1", {ChannelOrder::kNative, 1, 0x4, {}}},
    {"stereo", "channels=(int)2", {ChannelOrder::kNative, 2, 0x3, {}}},
    {"two that are no stereo",
     "channels=(int)2, channel-mask=(bitmask)0x5",
     {ChannelOrder::kNative, 2, 0x5, {}}},
    {"one that is not in the centre",
     "channels=(int)1, channel-mask=(bitmask)0x1",
     {ChannelOrder::kNative, 1, 0x1, {}}},
    {"5.1", "channels=(int)6, channel-mask=(bitmask)0x3f", {ChannelOrder::kNative, 6, 0x3F, {}}},
    {"5.1, side",
     "channels=(int)6, channel-mask=(bitmask)0xc0f",
     {ChannelOrder::kNative, 6, 0x60F, {}}},
    {"7.1", "channels=(int)8, channel-mask=(bitmask)0xc3f", {ChannelOrder::kNative, 8, 0x63F, {}}},
    {"22.2",
     "channels=(int)24, channel-mask=(bitmask)0xffffff",
     {ChannelOrder::kNative, 24, 0xFFFFFF, {}}},
};

TEST(TrackCaps, Channels) {
  for (const ChannelCase& c : kChannels) {
    SCOPED_TRACE(c.name);
    const std::string text = std::string("audio/mpeg, ") + c.fields;
    auto config = multichannel_config_from_caps(caps_of(text).get());
    ASSERT_TRUE(config);
    EXPECT_TRUE(*config == c.config);
    auto made = caps_of("audio/mpeg");
    set_multichannel_config(made.get(), c.config);
    expect_caps(made.get(), text);
  }
}

TEST(TrackCaps, EachChannelHasItsPosition) {
  guint64 all = 0;
  for (unsigned place = 0; place < rtmp::media::kNumPlacedChannels; place++) {
    // With the front centre beside it, so that it is neither mono nor stereo.
    const uint32_t mask = 1u << place;
    auto positions = channel_positions({ChannelOrder::kNative, 1, mask, {}});
    ASSERT_EQ(positions.size(), 1u);
    ASSERT_GE(positions[0], 0) << place;
    EXPECT_EQ(all & guint64{1} << positions[0], 0u) << place;
    all |= guint64{1} << positions[0];
    auto caps = caps_of("audio/mpeg");
    set_multichannel_config(caps.get(), {ChannelOrder::kNative, 1, mask, {}});
    auto config = multichannel_config_from_caps(caps.get());
    ASSERT_TRUE(config);
    EXPECT_EQ(config->mask, mask);
  }
  EXPECT_EQ(all, 0xFFFFFFu);
  EXPECT_EQ(channel_positions({ChannelOrder::kNative, 1, 1u << 18, {}})[0],
            GST_AUDIO_CHANNEL_POSITION_LFE2);
  EXPECT_EQ(channel_positions({ChannelOrder::kNative, 1, 1u << 9, {}})[0],
            GST_AUDIO_CHANNEL_POSITION_SIDE_LEFT);
}

TEST(TrackCaps, ChannelsWithoutPositions) {
  const MultichannelConfig unspecified{ChannelOrder::kUnspecified, 4, 0, {}};
  for (const char* fields : {"channels=(int)4", "channels=(int)4, channel-mask=(bitmask)0x0",
                             "channels=(int)4, channel-mask=(bitmask)0x3"}) {
    auto config =
        multichannel_config_from_caps(caps_of(std::string("audio/x-opus, ") + fields).get());
    ASSERT_TRUE(config) << fields;
    EXPECT_TRUE(*config == unspecified) << fields;
  }
  EXPECT_FALSE(multichannel_config_from_caps(caps_of("audio/x-opus").get()));
  EXPECT_FALSE(multichannel_config_from_caps(caps_of("audio/x-opus, channels=(int)256").get()));
  auto caps = caps_of("audio/x-opus, channel-mask=(bitmask)0x3f");
  set_multichannel_config(caps.get(), unspecified);
  expect_caps(caps.get(), "audio/x-opus, channels=(int)4");
  set_multichannel_config(caps.get(), {});
  expect_caps(caps.get(), "audio/x-opus, channels=(int)4");
}

TEST(TrackCaps, ChannelsInACustomOrder) {
  using enum Channel;
  const MultichannelConfig custom{
      ChannelOrder::kCustom, 3, 0, {kFrontCenter, kFrontLeft, kFrontRight}};
  auto caps = caps_of("audio/x-opus");
  set_multichannel_config(caps.get(), custom);
  expect_caps(caps.get(), "audio/x-opus, channels=(int)3, channel-mask=(bitmask)0x7");
  EXPECT_EQ(channel_positions(custom)[0], GST_AUDIO_CHANNEL_POSITION_FRONT_CENTER);

  for (Channel odd : {kUnused, kUnknown, kFrontLeft}) {
    auto without = caps_of("audio/x-opus");
    set_multichannel_config(without.get(),
                            {ChannelOrder::kCustom, 3, 0, {kFrontLeft, kFrontRight, odd}});
    expect_caps(without.get(), "audio/x-opus, channels=(int)3");
  }

  // Wide left and right: Enhanced RTMP has no name for them.
  auto wide = multichannel_config_from_caps(
      caps_of("audio/x-opus, channels=(int)4, channel-mask=(bitmask)0x3000003").get());
  ASSERT_TRUE(wide);
  EXPECT_EQ(wide->order, ChannelOrder::kCustom);
  EXPECT_EQ(wide->channels, (std::vector{kFrontLeft, kFrontRight, kUnknown, kUnknown}));
}

}  // namespace
