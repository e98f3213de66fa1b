// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/playstream.h"

namespace gstrtmp {

bool PlayStream::join(Tag& tag, TagQueue& queue) {
  joined = joined.value_or(tag.arrival);
  if (phase != Phase::kJoining) {
    return false;
  }
  tag.noted = true;
  const bool changed = header.note(tag);
  if (header.has_video()) {
    queue.expect_video(*joined + TagQueue::kKeyFrameWait);
  }
  if (tag.is_media()) {
    edge.arrived(tag.timestamp, tag.arrival);
  }
  return changed;
}

std::optional<GstClockTime> to_duration(const rtmp::event::StreamLength& length) {
  if (length.seconds > 0 && length.seconds < 1e9) {
    return static_cast<GstClockTime>(length.seconds * GST_SECOND);
  }
  return std::nullopt;
}

}  // namespace gstrtmp
