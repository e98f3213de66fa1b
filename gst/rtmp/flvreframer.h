// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <vector>

#include <gst/base/gstadapter.h>

#include "common/flvcaps.h"
#include "common/glue.h"
#include "rtmp/flvtimeline.h"
#include "wire/flv.h"
#include "wire/media.h"

/// From `video/x-flv` in any framing to one tag body a buffer.
namespace gstrtmp {

/// FlvBody is the body of one tag. It shares the memory of what was pushed, unless it came in very
/// many pieces.
struct FlvBody {
  GstPtr<GstBuffer> buffer;
  rtmp::flv::TagType type = rtmp::flv::TagType::kScript;
  bool filtered = false;  ///< the Filter bit (Annex F): the body's content is encrypted
  rtmp::media::PacketClass packet_class = rtmp::media::PacketClass::kEmpty;  ///< audio and video
  uint8_t track_id = 0;                                                      ///< of the first track
  bool many = false;  ///< the message holds several tracks
  int64_t dts = 0;    ///< milliseconds, unwrapped; of headers and scripts that of the last frame
  int64_t pts = 0;    ///< milliseconds
  uint32_t nanoseconds = 0;  ///< what PTS has beyond them

  bool is_media() const {
    return type == rtmp::flv::TagType::kAudio || type == rtmp::flv::TagType::kVideo;
  }
};

/// FlvReframer takes an FLV stream cut anywhere, with or without file header, with file headers
/// again in mid-stream. Nothing is copied but headers, and bodies in more pieces than a buffer
/// holds.
class FlvReframer {
 public:
  FlvReframer() : adapter_(adopt(gst_adapter_new())) {}

  /// push() appends the tags that `input` completed to `out`. Tags of types that FLV does not have
  /// are left out. After an error nothing but reset() helps; tags before it have been appended.
  std::optional<rtmp::PeerError> push(GstPtr<GstBuffer> input, std::vector<FlvBody>& out);
  /// file_header() is the last one seen: a hint at the tracks.
  const std::optional<rtmp::flv::FileHeader>& file_header() const { return file_header_; }
  /// in_tag() is true if the stream may not end here.
  bool in_tag() const { return scanner_.in_tag(); }
  /// reset() begins a new stream; timestamps that step back there go on from the last one.
  void reset();

 private:
  std::optional<rtmp::PeerError> scan(rtmp::Bytes bytes, std::vector<FlvBody>& out);
  void take(const rtmp::flv::ScannedTag& tag, std::vector<FlvBody>& out);

  GstPtr<GstAdapter> adapter_;
  uint64_t adapter_position_ = 0;  ///< the stream's offset of the adapter's first octet
  rtmp::flv::TagScanner scanner_;
  TimestampUnwrapper time_;
  std::optional<rtmp::flv::FileHeader> file_header_;
};

}  // namespace gstrtmp
