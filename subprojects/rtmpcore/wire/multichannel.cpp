// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/multichannel.h"

#include <algorithm>

namespace rtmp::media {

//   order U8 | channel count U8 | kNative: mask U32 | kCustom: channel U8, as many as there are

Result<MultichannelConfig> parse_multichannel_config(Bytes payload) {
  Cursor in(payload);
  auto truncated = [&in] {
    return PeerError{ErrorKind::kTruncated, in.offset(), "channel configuration cut off"};
  };
  auto order = in.u8();
  auto count = in.u8();
  if (!order || !count) {
    return truncated();
  }
  MultichannelConfig config;
  config.order = static_cast<ChannelOrder>(*order);
  config.channel_count = *count;
  switch (config.order) {
    case ChannelOrder::kUnspecified:
      return config;
    case ChannelOrder::kNative: {
      auto mask = in.u32();
      if (!mask) {
        return truncated();
      }
      config.mask = *mask;
      return config;
    }
    case ChannelOrder::kCustom: {
      auto channels = in.take(*count);
      if (!channels) {
        return truncated();
      }
      for (uint8_t channel : *channels) {
        config.channels.push_back(static_cast<Channel>(channel));
      }
      return config;
    }
  }
  return PeerError{ErrorKind::kMalformed, 0, "unknown order of channels"};
}

void write_multichannel_config(Builder& out, const MultichannelConfig& config) {
  const size_t places = std::min<size_t>(config.channels.size(), 255);
  out.u8(static_cast<uint8_t>(config.order));
  out.u8(config.order == ChannelOrder::kCustom ? static_cast<uint8_t>(places)
                                               : config.channel_count);
  if (config.order == ChannelOrder::kNative) {
    out.u32(config.mask);
  } else if (config.order == ChannelOrder::kCustom) {
    for (size_t i = 0; i < places; ++i) {
      out.u8(static_cast<uint8_t>(config.channels[i]));
    }
  }
}

std::vector<Channel> placed_channels(const MultichannelConfig& config) {
  std::vector<Channel> channels;
  if (config.order == ChannelOrder::kCustom) {
    channels = config.channels;
  } else if (config.order == ChannelOrder::kNative) {
    for (unsigned bit = 0; bit < 32; ++bit) {
      if ((config.mask >> bit & 1) != 0) {
        channels.push_back(bit < kNumPlacedChannels ? static_cast<Channel>(bit)
                                                    : Channel::kUnknown);
      }
    }
  }
  if (channels.size() != config.channel_count) {
    channels.assign(config.channel_count, Channel::kUnknown);
  }
  return channels;
}

}  // namespace rtmp::media
