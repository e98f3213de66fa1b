// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

#include "wire/frameinfo.h"

/// What GStreamer keeps beside a picture and FLV tells by onFI, in both directions.
namespace gstrtmp {

/// FrameInfoMode says which frames get an onFI; see flvchunk's property `frame-info`.
enum class FrameInfoMode : int { kNone, kKeyFrames, kAllFrames };

/// frame_info_of() reads a buffer's GstVideoTimeCodeMeta, and its GstReferenceTimestampMeta of caps
/// timestamp/x-unix, or else timestamp/x-ntp, floored to the millisecond. What other reference
/// clocks say is no time of day.
rtmp::FrameInfo frame_info_of(GstBuffer* frame);

/// make_frame_info() is the body of the onFI that stands in front of `frame`; empty if there is
/// none to be.
rtmp::Buffer make_frame_info(FrameInfoMode mode, GstBuffer* frame, bool is_key);

/// attach_frame_info() adds these metas to a writable buffer: the time as timestamp/x-unix, and the
/// timecode if it is one at `framerate` frames a second (0 = not known, and then it is none).
void attach_frame_info(GstBuffer* frame, const rtmp::FrameInfo& info, double framerate);

/// ToldFrameInfo is what the last onFI said, for the pictures of its timestamp.
class ToldFrameInfo {
 public:
  /// take() reads an onFI's body.
  void take(rtmp::Bytes body, uint32_t timestamp);
  /// see_picture() tells the timestamp of each tag of pictures.
  void see_picture(uint32_t timestamp);
  /// attach() adds to a writable buffer, which came in that tag, what there is to say of it.
  void attach(GstBuffer* frame, double framerate) const;

 private:
  uint32_t timestamp_ = 0;
  rtmp::FrameInfo info_;
};

}  // namespace gstrtmp
