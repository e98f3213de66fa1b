// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/passage.h"

#include <algorithm>
#include <utility>

namespace gstrtmp {
namespace {

std::pair<rtmp::flv::TagType, unsigned> track(const Tag& tag) {
  return {tag.type, tag.tracks()};
}

}  // namespace

/// A stream with pictures is compared by these alone.
bool Passage::is_point(const Tag& tag) const {
  return tag.is_key_frame() || (tag.is_media() && !tag.is_video() && !has_video());
}

void Passage::note(const Tag& tag) {
  if (tag.is_header()) {
    return;
  }
  const auto before = last_.find(track(tag));
  if (tag.is_media() && before != last_.end() && tag.timestamp + kLeap < before->second.ms) {
    *this = Passage();
  }
  if (tag.is_video() && !std::exchange(has_video_, true)) {
    points_.clear();  // of the sound so far
  }
  Last& last = last_[track(tag)];
  last.count = last.ms == tag.timestamp ? last.count + 1 : 1;
  last.ms = tag.timestamp;
  if (tag.is_media()) {
    newest_ = std::max(newest_.value_or(tag.timestamp), tag.timestamp);
  }
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
  std::map<Track, int64_t> first;
  for (const Tag& tag : copy) {
    if (!tag.is_media()) {
      continue;
    }
    first.emplace(track(tag), tag.timestamp);
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
  for (const auto& [each, last] : last_) {
    if (each.first == rtmp::flv::TagType::kScript || last.ms + kApart < newest_) {
      continue;
    }
    const auto begin = first.find(each);
    if (begin == first.end() || begin->second > last.ms) {
      return Likeness::kUnknown;  // something in between would be missing
    }
  }
  return Likeness::kSame;
}

void Passage::begin_overlap() {
  overlap_ = last_;
  overlap_end_ = newest_.value_or(0);
  copied_.clear();
}

bool Passage::holds(const Tag& tag) {
  if (tag.is_header() || overlap_.empty()) {
    return false;
  }
  const Track of = track(tag);
  if (tag.is_media()) {
    int64_t& copied = copied_.emplace(of, tag.timestamp).first->second;
    // A track that has ended would be waited for for ever.
    if (tag.timestamp > overlap_end_ + kApart || tag.timestamp + kLeap < copied) {
      overlap_.clear();
      return false;
    }
    copied = tag.timestamp;
  }
  const auto left = overlap_.find(of);
  if (left == overlap_.end()) {
    return false;
  }
  if (tag.timestamp < left->second.ms) {
    return true;
  }
  if (tag.timestamp == left->second.ms && left->second.count > 0) {
    left->second.count--;
    return true;
  }
  overlap_.erase(left);
  // Scripts have whatever time stamps they like, and may not come again.
  if (std::ranges::all_of(overlap_, [](const auto& each) {
        return each.first.first == rtmp::flv::TagType::kScript;
      })) {
    overlap_.clear();
  }
  return false;
}

}  // namespace gstrtmp
