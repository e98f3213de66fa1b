// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <utility>

#include "rtmp/tagqueue.h"
#include "rtmpsink_testing.h"

/// What the tests of rtmpsrc's parts share: times, and tags as the connection gives them.
namespace rtmptest {

inline rtmp::Time at(rtmp::Duration time) {
  return rtmp::Time(time);
}

inline gstrtmp::Tag make(const Message& message, rtmp::Time arrival) {
  static rtmp::HeapBlocks blocks;
  rtmp::event::Media media;
  media.type = message.type;
  media.timestamp = message.timestamp;
  media.payload.block =
      blocks.take(rtmp::flv::kTagHeaderSize + message.body.size() + rtmp::flv::kBackPointerSize);
  media.payload.offset = rtmp::flv::kTagHeaderSize;
  media.payload.size = message.body.size();
  std::copy(message.body.begin(), message.body.end(),
            media.payload.block.data + media.payload.offset);
  auto tag = gstrtmp::make_tag(std::move(media), arrival);
  EXPECT_TRUE(tag);
  return std::move(*tag);
}

}  // namespace rtmptest
