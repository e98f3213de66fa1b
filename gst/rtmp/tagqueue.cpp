// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/tagqueue.h"

#include <algorithm>
#include <utility>

#include "wire/metadata.h"

namespace gstrtmp {

using rtmp::flv::TagType;
using rtmp::media::PacketClass;

namespace {

bool is_media(const Tag& tag) {
  return tag.is_media();
}

}  // namespace

std::optional<Tag> make_tag(rtmp::event::Media&& media, rtmp::Time arrival) {
  Tag tag;
  tag.timestamp = media.timestamp;
  tag.arrival = arrival;
  tag.payload = std::move(media.payload);
  switch (media.type) {
    case rtmp::MessageType::kAudio:
      tag.type = TagType::kAudio;
      tag.packet = rtmp::media::classify_audio(tag.payload.bytes());
      return tag;
    case rtmp::MessageType::kVideo:
      tag.type = TagType::kVideo;
      tag.packet = rtmp::media::classify_video(tag.payload.bytes());
      return tag;
    default:
      break;
  }
  // Some servers pass a publisher's "@setDataFrame" on; a stored or played script has none.
  rtmp::Bytes body = rtmp::without_set_data_frame(tag.payload.bytes());
  tag.payload.offset += tag.payload.size - body.size();
  tag.payload.size = body.size();
  std::string_view handler = rtmp::script_handler(body);
  if (handler == "|RtmpSampleAccess" || handler == "onStatus") {
    return std::nullopt;
  }
  tag.packet = handler == rtmp::kOnMetaData ? PacketClass::kMetadata : PacketClass::kCommand;
  return tag;
}

bool TagQueue::starts_decoding(const Tag& tag) const {
  return tag.is_key_frame() || (!video_seen_ && tag.is_media());
}

void TagQueue::push(Tag&& tag) {
  video_seen_ = video_seen_ || tag.is_video();
  if (tag.is_media()) {
    if (skipping_ && !starts_decoding(tag)) {
      (tag.is_video() ? dropped_.video : dropped_.audio)++;
      return;
    }
    skipping_ = false;
    tag.discont = std::exchange(discont_, false) || tag.discont;
  }
  bytes_ += tag.payload.size;
  tags_.push_back(std::move(tag));
}

std::optional<Tag> TagQueue::pop() {
  if (tags_.empty()) {
    return std::nullopt;
  }
  Tag tag = std::move(tags_.front());
  tags_.pop_front();
  bytes_ -= tag.payload.size;
  return tag;
}

void TagQueue::clear() {
  tags_.clear();
  bytes_ = 0;
  skipping_ = false;
  discont_ = false;
}

bool TagQueue::has_media() const {
  return std::any_of(tags_.begin(), tags_.end(), is_media);
}

int64_t TagQueue::media_span_ms() const {
  auto first = std::find_if(tags_.begin(), tags_.end(), is_media);
  auto last = std::find_if(tags_.rbegin(), tags_.rend(), is_media);
  return first == tags_.end() ? 0 : std::max<int64_t>(0, last->timestamp - first->timestamp);
}

rtmp::Duration TagQueue::waited(rtmp::Time now) const {
  auto first = std::find_if(tags_.begin(), tags_.end(), is_media);
  return first == tags_.end() ? rtmp::Duration{} : now - first->arrival;
}

void TagQueue::drop_media_before(size_t end) {
  std::deque<Tag> kept;
  for (size_t i = 0; i < tags_.size(); i++) {
    Tag& tag = tags_[i];
    if (i < end && tag.is_media()) {
      bytes_ -= tag.payload.size;
      (tag.is_video() ? dropped_.video : dropped_.audio)++;
    } else {
      kept.push_back(std::move(tag));
    }
  }
  tags_ = std::move(kept);
}

void TagQueue::skip_to_key_frame() {
  drop_media_before(tags_.size());
  skipping_ = true;
  discont_ = true;
}

void TagQueue::trim(rtmp::Time now, rtmp::Duration bound, uint64_t max_bytes) {
  if (waited(now) <= bound && bytes_ <= max_bytes) {
    return;
  }
  // The earliest place to go on from that keeps both bounds.
  uint64_t held = bytes_;
  bool first_media = true;
  for (size_t i = 0; i < tags_.size(); i++) {
    const Tag& tag = tags_[i];
    if (!std::exchange(first_media, first_media && !tag.is_media()) && starts_decoding(tag) &&
        now - tag.arrival <= bound && held <= max_bytes) {
      drop_media_before(i);
      std::find_if(tags_.begin(), tags_.end(), is_media)->discont = true;
      return;
    }
    held -= tag.is_media() ? tag.payload.size : 0;
  }
  skip_to_key_frame();
}

}  // namespace gstrtmp
