// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/passage.h"

#include <algorithm>

namespace gstrtmp {

Passage::Kind Passage::kind(const Tag& tag) {
  return tag.type == rtmp::flv::TagType::kVideo   ? kVideo
         : tag.type == rtmp::flv::TagType::kAudio ? kAudio
                                                  : kScript;
}

/// A stream with pictures is compared by these alone.
bool Passage::is_point(const Tag& tag) const {
  return tag.is_key_frame() || (tag.is_media() && !tag.is_video() && !has_video());
}

void Passage::note(const Tag& tag) {
  if (tag.is_header()) {
    return;
  }
  if (tag.is_video() && !has_video()) {
    points_.clear();  // of the sound so far
  }
  Last& last = last_[kind(tag)];
  last.count = last.ms == tag.timestamp ? last.count + 1 : 1;
  last.ms = tag.timestamp;
  if (is_point(tag)) {
    points_.push_back({tag.timestamp, tag.payload.size});
    if (points_.size() > kMostPoints) {
      points_.pop_front();
    }
  }
}

Passage::Likeness Passage::compare(const std::deque<Tag>& copy) const {
  bool same = false;
  bool other = false;
  std::array<std::optional<int64_t>, kKinds> first;
  for (const Tag& tag : copy) {
    if (!tag.is_media()) {
      continue;
    }
    first[kind(tag)] = first[kind(tag)].value_or(tag.timestamp);
    if (!is_point(tag) || points_.empty()) {
      continue;
    }
    if (std::any_of(points_.begin(), points_.end(), [&](const Point& point) {
          return point.ms == tag.timestamp && point.size == tag.payload.size;
        })) {
      same = true;
    } else if (tag.timestamp >= points_.front().ms && tag.timestamp <= points_.back().ms) {
      other = true;  // ours had none there
    }
  }
  if (!same) {
    return other ? Likeness::kOther : Likeness::kUnknown;
  }
  for (Kind each : {kAudio, kVideo}) {
    if (last_[each].ms && (!first[each] || *first[each] > *last_[each].ms)) {
      return Likeness::kUnknown;  // something in between would be missing
    }
  }
  return Likeness::kSame;
}

void Passage::begin_overlap() {
  overlap_ = last_;
  behind_ = false;
}

bool Passage::holds(const Tag& tag) {
  Last& left = overlap_[kind(tag)];
  if (tag.is_header()) {
    return false;
  }
  if (left.ms && tag.timestamp < *left.ms) {
    return true;
  }
  if (left.ms && tag.timestamp == *left.ms && left.count > 0) {
    left.count--;
    return true;
  }
  left.ms.reset();
  behind_ = behind_ || tag.is_media();
  return false;
}

}  // namespace gstrtmp
