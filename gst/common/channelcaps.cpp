// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/channelcaps.h"

#include <algorithm>
#include <array>
#include <bit>

namespace gstrtmp {
namespace {

using rtmp::media::Channel;
using rtmp::media::ChannelOrder;
using rtmp::media::MultichannelConfig;

/// kPositions has for each Channel with a place GStreamer's position.
constexpr std::array<GstAudioChannelPosition, rtmp::media::kNumPlacedChannels> kPositions = {
    GST_AUDIO_CHANNEL_POSITION_FRONT_LEFT,
    GST_AUDIO_CHANNEL_POSITION_FRONT_RIGHT,
    GST_AUDIO_CHANNEL_POSITION_FRONT_CENTER,
    GST_AUDIO_CHANNEL_POSITION_LFE1,
    GST_AUDIO_CHANNEL_POSITION_REAR_LEFT,
    GST_AUDIO_CHANNEL_POSITION_REAR_RIGHT,
    GST_AUDIO_CHANNEL_POSITION_FRONT_LEFT_OF_CENTER,
    GST_AUDIO_CHANNEL_POSITION_FRONT_RIGHT_OF_CENTER,
    GST_AUDIO_CHANNEL_POSITION_REAR_CENTER,
    GST_AUDIO_CHANNEL_POSITION_SIDE_LEFT,
    GST_AUDIO_CHANNEL_POSITION_SIDE_RIGHT,
    GST_AUDIO_CHANNEL_POSITION_TOP_CENTER,
    GST_AUDIO_CHANNEL_POSITION_TOP_FRONT_LEFT,
    GST_AUDIO_CHANNEL_POSITION_TOP_FRONT_CENTER,
    GST_AUDIO_CHANNEL_POSITION_TOP_FRONT_RIGHT,
    GST_AUDIO_CHANNEL_POSITION_TOP_REAR_LEFT,
    GST_AUDIO_CHANNEL_POSITION_TOP_REAR_CENTER,
    GST_AUDIO_CHANNEL_POSITION_TOP_REAR_RIGHT,
    GST_AUDIO_CHANNEL_POSITION_LFE2,
    GST_AUDIO_CHANNEL_POSITION_TOP_SIDE_LEFT,
    GST_AUDIO_CHANNEL_POSITION_TOP_SIDE_RIGHT,
    GST_AUDIO_CHANNEL_POSITION_BOTTOM_FRONT_CENTER,
    GST_AUDIO_CHANNEL_POSITION_BOTTOM_FRONT_LEFT,
    GST_AUDIO_CHANNEL_POSITION_BOTTOM_FRONT_RIGHT,
};

constexpr int kMaxPositions = 64;  // what channel-mask has bits for

Channel channel_for(GstAudioChannelPosition position) {
  const auto* found = std::find(kPositions.begin(), kPositions.end(), position);
  return found == kPositions.end() ? Channel::kUnknown
                                   : static_cast<Channel>(found - kPositions.begin());
}

constexpr uint32_t bit(Channel channel) {
  return 1u << static_cast<unsigned>(channel);
}

MultichannelConfig native(int channels, uint32_t mask) {
  return {ChannelOrder::kNative, static_cast<uint8_t>(channels), mask, {}};
}

}  // namespace

std::optional<MultichannelConfig> multichannel_config_from_caps(const GstCaps* caps) {
  const GstStructure* structure = gst_caps_get_structure(caps, 0);
  int channels = 0;
  if (!gst_structure_get_int(structure, "channels", &channels) || channels < 1 || channels > 255) {
    return std::nullopt;
  }
  guint64 mask = 0;
  const bool has_mask =
      gst_structure_get(structure, "channel-mask", GST_TYPE_BITMASK, &mask, nullptr) != FALSE;
  if (!has_mask && channels == 1) {
    return native(1, bit(Channel::kFrontCenter));
  }
  if (!has_mask && channels == 2) {
    return native(2, bit(Channel::kFrontLeft) | bit(Channel::kFrontRight));
  }
  std::array<GstAudioChannelPosition, kMaxPositions> positions{};
  if (std::popcount(mask) != channels ||
      !gst_audio_channel_positions_from_mask(channels, mask, positions.data())) {
    return MultichannelConfig{ChannelOrder::kUnspecified, static_cast<uint8_t>(channels), 0, {}};
  }
  uint32_t native_mask = 0;
  MultichannelConfig custom{ChannelOrder::kCustom, static_cast<uint8_t>(channels), 0, {}};
  bool all_known = true;
  for (int i = 0; i < channels; i++) {
    const Channel channel = channel_for(positions[i]);
    custom.channels.push_back(channel);
    all_known = all_known && channel != Channel::kUnknown;
    native_mask |= channel != Channel::kUnknown ? bit(channel) : 0;
  }
  return all_known ? native(channels, native_mask) : custom;
}

std::vector<GstAudioChannelPosition> channel_positions(const MultichannelConfig& config) {
  std::vector<GstAudioChannelPosition> positions;
  for (Channel channel : rtmp::media::placed_channels(config)) {
    const auto place = static_cast<size_t>(channel);
    positions.push_back(place < kPositions.size() ? kPositions[place]
                                                  : GST_AUDIO_CHANNEL_POSITION_INVALID);
  }
  return positions;
}

void set_multichannel_config(GstCaps* caps, const MultichannelConfig& config) {
  if (config.channel_count == 0) {
    return;
  }
  gst_caps_set_simple(caps, "channels", G_TYPE_INT, int{config.channel_count}, nullptr);
  guint64 mask = 0;
  bool each_its_own = true;
  for (GstAudioChannelPosition position : channel_positions(config)) {
    const guint64 place = position >= 0 ? guint64{1} << position : 0;
    each_its_own = each_its_own && place != 0 && (mask & place) == 0;
    mask |= place;
  }
  constexpr guint64 kMono = guint64{1} << GST_AUDIO_CHANNEL_POSITION_FRONT_CENTER;
  constexpr guint64 kStereo = guint64{1} << GST_AUDIO_CHANNEL_POSITION_FRONT_LEFT |
                              guint64{1} << GST_AUDIO_CHANNEL_POSITION_FRONT_RIGHT;
  GstStructure* structure = gst_caps_get_structure(caps, 0);
  if (!each_its_own || mask == kMono || mask == kStereo) {
    gst_structure_remove_field(structure, "channel-mask");
  } else {
    gst_structure_set(structure, "channel-mask", GST_TYPE_BITMASK, mask, nullptr);
  }
}

}  // namespace gstrtmp
