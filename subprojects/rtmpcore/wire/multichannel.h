// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "wire/bytes.h"
#include "wire/result.h"

/// MultichannelConfig, the body of an audio packet of kind kMultichannelConfig (Enhanced RTMP v2,
/// "Enhanced Audio"): which loudspeaker each channel is for.
namespace rtmp::media {

enum class ChannelOrder : uint8_t {
  kUnspecified = 0,  ///< only how many there are
  kNative = 1,       ///< in the order of Channel's values
  kCustom = 2,
};

/// Channel is a place in a room. Below 24, a mask's bit 1 << value stands for it.
enum class Channel : uint8_t {
  kFrontLeft = 0,
  kFrontRight = 1,
  kFrontCenter = 2,
  kLowFrequency1 = 3,
  kBackLeft = 4,
  kBackRight = 5,
  kFrontLeftCenter = 6,
  kFrontRightCenter = 7,
  kBackCenter = 8,
  kSideLeft = 9,
  kSideRight = 10,
  kTopCenter = 11,
  kTopFrontLeft = 12,
  kTopFrontCenter = 13,
  kTopFrontRight = 14,
  kTopBackLeft = 15,
  kTopBackCenter = 16,
  kTopBackRight = 17,
  kLowFrequency2 = 18,
  kTopSideLeft = 19,
  kTopSideRight = 20,
  kBottomFrontCenter = 21,
  kBottomFrontLeft = 22,
  kBottomFrontRight = 23,
  kUnused = 0xFE,  ///< a channel without content
  kUnknown = 0xFF,
};
inline constexpr unsigned kNumPlacedChannels = 24;

/// MultichannelConfig is kept as sent: a mask may have another number of bits than there are
/// channels, or reserved ones.
struct MultichannelConfig {
  ChannelOrder order = ChannelOrder::kUnspecified;
  uint8_t channel_count = 0;
  uint32_t mask = 0;              ///< kNative only
  std::vector<Channel> channels;  ///< kCustom only: channel_count of them

  bool operator==(const MultichannelConfig&) const = default;
};

/// parse_multichannel_config() reads a packet's payload; octets behind it are ignored.
/// Errors: too short (kTruncated), an order that is none of the three (kMalformed).
Result<MultichannelConfig> parse_multichannel_config(Bytes payload);
/// write_multichannel_config() appends the payload. In kCustom the channels are those of
/// `channels`, 255 at most.
void write_multichannel_config(Builder& out, const MultichannelConfig& config);

/// placed_channels() is the channel for each place in the stream, channel_count of them: kUnknown
/// for all where the order is not given, or where a mask does not name as many.
std::vector<Channel> placed_channels(const MultichannelConfig& config);

}  // namespace rtmp::media
