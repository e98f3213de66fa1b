// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/livetimeline.h"

#include <algorithm>
#include <utility>

namespace gstrtmp {

LiveTimeline::Mapping LiveTimeline::map(int64_t time, int64_t offset) const {
  // Running time cannot be negative: what would be shown before zero lies before the segment.
  const int64_t start = std::max({time, -offset, int64_t{0}});
  return {static_cast<uint64_t>(start),
          static_cast<uint64_t>(std::max<int64_t>(0, start + offset))};
}

void LiveTimeline::begin(int64_t first_ms, int64_t offset, int64_t arrival) {
  const int64_t first = first_ms * static_cast<int64_t>(GST_MSECOND);
  begun_ = true;
  began_ = arrival;
  offset_ = offset;
  last_ms_ = std::max<int64_t>(0, first_ms);
  pending_ = map(first, offset);
  clock_.reset();
  // The clock's first sight is the packet that was least late, whichever it was.
  clock_.observe(first, first + offset);
}

LiveTimeline::Place LiveTimeline::place(int64_t timestamp_ms, int64_t arrival) {
  const int64_t sender = timestamp_ms * static_cast<int64_t>(GST_MSECOND);
  Place place;
  SenderClock::Answer seen = clock_.observe(sender, arrival);
  const int64_t offset = arrival - sender;
  if (seen.jump) {
    begin(timestamp_ms, offset, arrival);
    place.jump = true;
  } else if (arrival - began_ <= kJoining && offset + kJoiningStep < offset_) {
    const int64_t began = began_;
    begin(timestamp_ms, offset, arrival);
    began_ = began;
  }
  const int64_t time = sender + (follow_ ? clock_.correction() : 0);
  place.time_ms = std::max<int64_t>(0, time / static_cast<int64_t>(GST_MSECOND));
  last_ms_ = place.time_ms;
  place.segment = std::exchange(pending_, std::nullopt);
  return place;
}

}  // namespace gstrtmp
