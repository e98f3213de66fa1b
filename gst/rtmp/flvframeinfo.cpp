// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvframeinfo.h"

#include <cstdint>

#include <gst/video/video.h>

#include "common/glue.h"
#include "common/trackcaps.h"
#include "wire/metadata.h"

namespace gstrtmp {
namespace {

// From 1900, where NTP begins, to 1970.
constexpr GstClockTime kNtpToUnix = 2'208'988'800 * GST_SECOND;

GstStaticCaps unix_caps = GST_STATIC_CAPS("timestamp/x-unix");
GstStaticCaps ntp_caps = GST_STATIC_CAPS("timestamp/x-ntp");

std::optional<GstClockTime> reference_timestamp(GstBuffer* frame, GstStaticCaps* reference) {
  auto caps = adopt(gst_static_caps_get(reference));
  const GstReferenceTimestampMeta* meta =
      gst_buffer_get_reference_timestamp_meta(frame, caps.get());
  return meta != nullptr ? std::optional(meta->timestamp) : std::nullopt;
}

std::optional<GstClockTime> unix_time(GstBuffer* frame) {
  if (const auto time = reference_timestamp(frame, &unix_caps)) {
    return time;
  }
  const auto time = reference_timestamp(frame, &ntp_caps);
  return time && *time >= kNtpToUnix ? std::optional(*time - kNtpToUnix) : std::nullopt;
}

bool is_drop_frame(const GstVideoTimeCode& timecode) {
  return (timecode.config.flags & GST_VIDEO_TIME_CODE_FLAGS_DROP_FRAME) != 0;
}

}  // namespace

rtmp::FrameInfo frame_info_of(GstBuffer* frame) {
  rtmp::FrameInfo info;
  if (const auto time = unix_time(frame)) {
    info.unix_time = static_cast<int64_t>(*time / GST_MSECOND);
  }
  if (const GstVideoTimeCodeMeta* meta = gst_buffer_get_video_time_code_meta(frame)) {
    const GstVideoTimeCode& timecode = meta->tc;
    if (gst_video_time_code_is_valid(&timecode)) {
      info.timecode = rtmp::Timecode{
          static_cast<uint8_t>(timecode.hours), static_cast<uint8_t>(timecode.minutes),
          static_cast<uint8_t>(timecode.seconds), static_cast<uint16_t>(timecode.frames),
          is_drop_frame(timecode)};
    }
  }
  return info;
}

rtmp::Buffer make_frame_info(FrameInfoMode mode, GstBuffer* frame, bool is_key) {
  rtmp::Buffer body;
  if (mode == FrameInfoMode::kNone || (mode == FrameInfoMode::kKeyFrames && !is_key)) {
    return body;
  }
  if (const rtmp::FrameInfo info = frame_info_of(frame); info != rtmp::FrameInfo()) {
    rtmp::Builder out(body);
    rtmp::write_frame_info(out, info);
  }
  return body;
}

void attach_frame_info(GstBuffer* frame, const rtmp::FrameInfo& info, double framerate) {
  if (info.unix_time) {
    auto caps = adopt(gst_static_caps_get(&unix_caps));
    gst_buffer_add_reference_timestamp_meta(
        frame, caps.get(), static_cast<GstClockTime>(*info.unix_time) * GST_MSECOND,
        GST_CLOCK_TIME_NONE);
  }
  int num = 0;
  int den = 0;
  if (info.timecode && framerate > 0 && caps_framerate(framerate, num, den)) {
    const rtmp::Timecode& told = *info.timecode;
    GstVideoTimeCode timecode;
    gst_video_time_code_init(
        &timecode, static_cast<guint>(num), static_cast<guint>(den), nullptr,
        told.drop_frame ? GST_VIDEO_TIME_CODE_FLAGS_DROP_FRAME : GST_VIDEO_TIME_CODE_FLAGS_NONE,
        told.hours, told.minutes, told.seconds, told.frames, 0);
    if (gst_video_time_code_is_valid(&timecode)) {
      gst_buffer_add_video_time_code_meta(frame, &timecode);
    }
    gst_video_time_code_clear(&timecode);
  }
}

void ToldFrameInfo::take(rtmp::Bytes body, uint32_t timestamp) {
  const auto script = rtmp::parse_script_data(body);
  info_ = script && !script->arguments.empty() ? rtmp::read_frame_info(script->arguments.front())
                                               : rtmp::FrameInfo();
  timestamp_ = timestamp;
}

void ToldFrameInfo::see_picture(uint32_t timestamp) {
  // Where a sender's clock is followed, equal timestamps come out a millisecond apart at most.
  const uint32_t apart = timestamp - timestamp_;
  if (apart != 0 && apart != 1 && apart != UINT32_MAX) {
    info_ = {};
  }
}

void ToldFrameInfo::attach(GstBuffer* frame, double framerate) const {
  attach_frame_info(frame, info_, framerate);
}

}  // namespace gstrtmp
