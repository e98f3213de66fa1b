// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>

#include "rtmp/cueevents.h"
#include "rtmp/flvtimeline.h"
#include "rtmp/flvunchunk.h"
#include "rtmp/flvunchunklog.h"
#include "wire/cue.h"

/// Cues of ad breaks, from script messages to SCTE 35 events.
namespace gstrtmp {
namespace {

int64_t running_time_of(const GstSegment& segment, int64_t time) {
  guint64 running = 0;
  const int sign = gst_segment_to_running_time_full(
      &segment, GST_FORMAT_TIME, static_cast<guint64>(std::max<int64_t>(time, 0)), &running);
  const auto at = static_cast<int64_t>(running);
  return (sign < 0 ? -at : at) + std::min<int64_t>(time, 0);
}

}  // namespace

void FlvUnchunk::take_cue(const Script& script) {
  const int64_t time = (script.time - demuxer_.origin()) * kNsPerMs;
  const uint32_t timestamp = script.timestamp;
  std::optional<rtmp::Cue> cue;
  {
    const MappedBuffer map(script.buffer.get());
    cue = rtmp::parse_cue(map.bytes(), timestamp);
  }
  if (!cue) {
    return;
  }
  std::optional<int64_t> splice;
  if (cue->pre_roll) {
    splice = running_time_of(segment_, time + *cue->pre_roll);
  }
  const int64_t zero = running_time_of(segment_, time) - int64_t{timestamp} * kNsPerMs;
  auto event = make_cue_event(rtmp::section_of(*cue, timestamp), zero, splice);
  if (!event) {
    GST_WARNING_OBJECT(element_, "a cue is left out: its section cannot be read");
    return;
  }
  GST_DEBUG_OBJECT(element_, "%" GST_PTR_FORMAT, event.get());
  pads_.push_event(event.release());
}

}  // namespace gstrtmp
