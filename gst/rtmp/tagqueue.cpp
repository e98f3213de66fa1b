// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/tagqueue.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>
#include <vector>

#include "wire/enhanced.h"
#include "wire/metadata.h"

namespace gstrtmp {

using rtmp::flv::TagType;
using rtmp::media::PacketClass;

namespace {

bool is_media(const Tag& tag) {
  return tag.is_media();
}

/// for_each_track() calls `see` with the ids of a video message's tracks. What cannot be read is of
/// the default track.
template <typename F>
void for_each_track(const Tag& tag, F see) {
  rtmp::media::PacketReader reader(rtmp::media::MediaType::kVideo, tag.payload.bytes());
  auto packet = reader.next();
  if (!packet || !*packet) {
    see(uint8_t{0});
  }
  for (; packet && *packet; packet = reader.next()) {
    see((*packet)->track_id);
  }
}

uint8_t first_track(const Tag& tag) {
  uint8_t first = UINT8_MAX;
  for_each_track(tag, [&first](uint8_t id) { first = std::min(first, id); });
  return first;
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

unsigned Tag::tracks() const {
  return type == TagType::kScript
             ? 0
             : rtmp::media::track_set(type == TagType::kAudio ? rtmp::media::MediaType::kAudio
                                                              : rtmp::media::MediaType::kVideo,
                                      payload.bytes());
}

bool TagQueue::starts_decoding(const Tag& tag) const {
  return tag.is_key_frame() || (!has_video(tag.arrival) && tag.is_media());
}

/// begins() is whether a stream that is joined may begin with `tag`.
bool TagQueue::begins(const Tag& tag) const {
  return starts_decoding(tag) && (!tag.is_video() || first_track(tag) <= first_track_);
}

void TagQueue::count(const Tag& tag) {
  (tag.is_video() ? dropped_.video : dropped_.audio)++;
}

/// lose() is count() where the tracks have to wait for key frames after it.
void TagQueue::lose(const Tag& tag) {
  count(tag);
  if (tag.is_video()) {
    for_each_track(tag, [this](uint8_t id) { lost_.set(id); });
  }
}

void TagQueue::expect_video(rtmp::Time until) {
  video_until_ = std::max(video_until_, until);
}

bool TagQueue::skips(const Tag& tag) {
  if (skip_ == Skip::kNo) {
    return false;
  }
  if (skip_ == Skip::kLeavingOut && tag.is_video()) {
    first_track_ = std::min(first_track_, first_track(tag));
  }
  if (skip_ == Skip::kLeavingOut ? begins(tag) : starts_decoding(tag)) {
    return false;
  }
  skipped_ = skipped_.value_or(tag.arrival);
  return tag.arrival - *skipped_ < kKeyFrameWait;
}

void TagQueue::push(Tag&& tag) {
  if (tag.is_video()) {
    expect_video(tag.arrival + kVideoPause);
  }
  if (tag.is_media()) {
    if (skips(tag)) {
      if (skip_ == Skip::kDropping) {
        lose(tag);
      } else {
        keep_lead(std::move(tag));
      }
      return;
    }
    end_skip(tag);
    if (const Skip why = waits(tag); why != Skip::kNo) {
      if (why == Skip::kDropping) {
        count(tag);
      }
      return;
    }
    pass_lead(tag.timestamp, tags_.end());
    tag.discont = std::exchange(discont_, false) || tag.discont;
    media_.push_back({tag.timestamp, tag.arrival});
  }
  bytes_ += tag.memory();
  tags_.push_back(std::move(tag));
}

/// end_skip() is for the first tag that is not skipped. If it is one from which nothing can be
/// decoded, key frames have been waited for in vain, and none is any more.
void TagQueue::end_skip(const Tag& tag) {
  const Skip why = std::exchange(skip_, Skip::kNo);
  if (why == Skip::kNo) {
    return;
  }
  waits_.fill({});
  if (starts_decoding(tag)) {
    wait_for_key_frames(why == Skip::kDropping ? lost_ : Tracks().set(), tag.arrival, why);
  }
  lost_.reset();
}

void TagQueue::wait_for_key_frames(const Tracks& tracks, rtmp::Time from, Skip why) {
  if (tracks.none()) {
    return;
  }
  for (size_t id = 0; id < waits_.size(); id++) {
    if (tracks[id] && from >= waits_[id].until) {
      waits_[id] = {from + kKeyFrameWait, why};
    }
  }
  waits_until_ = std::max(waits_until_, from + kKeyFrameWait);
}

/// waits() is why pictures are lost whose tracks all wait for a key frame, if they do. A key frame
/// ends the wait of its tracks.
TagQueue::Skip TagQueue::waits(const Tag& tag) {
  if (!tag.is_video() || tag.arrival >= waits_until_) {
    return Skip::kNo;
  }
  const bool is_key = tag.is_key_frame();
  bool goes_on = false;
  Skip why = Skip::kNo;
  for_each_track(tag, [&](uint8_t id) {
    Wait& wait = waits_[id];
    if (is_key) {
      wait = {};
    }
    goes_on = goes_on || tag.arrival >= wait.until;
    why = wait.why;
  });
  return goes_on ? Skip::kNo : why;
}

/// leave_out_waiting() loses what is here of `tracks` and waits for a key frame. The first media is
/// where the queue begins.
void TagQueue::leave_out_waiting(Tracks tracks) {
  const auto first = std::find_if(tags_.begin(), tags_.end(), is_media);
  auto to = first;
  auto from = first;
  size_t kept_media = 0;
  size_t seen_media = 0;
  for (; from != tags_.end() && tracks.any(); ++from) {
    if (from->is_media()) {
      const Skip why = waits(*from);
      if (from->is_key_frame()) {
        for_each_track(*from, [&](uint8_t id) { tracks.reset(id); });
      }
      seen_media++;
      if (why != Skip::kNo) {
        bytes_ -= from->memory();
        if (why == Skip::kDropping) {
          count(*from);
        }
        continue;
      }
      media_[kept_media++] = media_[seen_media - 1];
    }
    if (to != from) {
      *to = std::move(*from);
    }
    ++to;
  }
  tags_.erase(to, from);
  const auto moment = [this](size_t at) { return media_.begin() + static_cast<ptrdiff_t>(at); };
  media_.erase(moment(kept_media), moment(seen_media));
}

void TagQueue::keep_lead(Tag&& tag) {
  if (lead_.count() == 0 || tag.type != TagType::kAudio || !tag.is_media()) {
    return;
  }
  lead_bytes_ += tag.memory();
  lead_tags_.push_back(std::move(tag));
  while (lead_tags_.size() > kMaxLead || lead_bytes_ > kMaxLeadBytes) {
    lead_bytes_ -= lead_tags_.front().memory();
    lead_tags_.pop_front();
  }
}

void TagQueue::pass_lead(int64_t key_ms, std::deque<Tag>::iterator key) {
  if (lead_tags_.empty()) {
    return;  // as for nearly all: an empty deque of moments would be an allocation
  }
  std::erase_if(lead_tags_, [&](const Tag& tag) { return tag.timestamp < key_ms - lead_.count(); });
  if (!lead_tags_.empty()) {
    lead_tags_.front().discont |= std::exchange(discont_, false);
  }
  // The key frame is the first media there is, or about to come in behind all.
  std::deque<Moment> moments;
  for (const Tag& tag : lead_tags_) {
    bytes_ += tag.memory();
    moments.push_back({tag.timestamp, tag.arrival});
  }
  media_.insert(key == tags_.end() ? media_.end() : media_.begin(), moments.begin(), moments.end());
  tags_.insert(key, std::make_move_iterator(lead_tags_.begin()),
               std::make_move_iterator(lead_tags_.end()));
  lead_tags_.clear();
  lead_bytes_ = 0;
}

std::optional<Tag> TagQueue::pop() {
  if (tags_.empty()) {
    return std::nullopt;
  }
  Tag tag = std::move(tags_.front());
  tags_.pop_front();
  if (tag.is_media()) {
    media_.pop_front();
  }
  bytes_ -= tag.memory();
  return tag;
}

void TagQueue::clear(int64_t header_ms) {
  drop_media_before(tags_.size(), Skip::kNo);
  for (Tag& header : tags_) {
    header.timestamp = header_ms;
  }
  lead_tags_.clear();
  lead_bytes_ = 0;
  skip_ = Skip::kNo;
  waits_.fill({});
  lost_.reset();
  first_track_ = kNoTrack;
  discont_ = false;
}

void TagQueue::start_over() {
  replace(TagQueue());
}

void TagQueue::replace(TagQueue&& other) {
  const Dropped before = dropped_;
  *this = std::move(other);
  dropped_.audio += before.audio;
  dropped_.video += before.video;
}

int64_t TagQueue::media_span_ms() const {
  return media_.empty() ? 0
                        : std::max<int64_t>(0, media_.back().timestamp - media_.front().timestamp);
}

rtmp::Duration TagQueue::waited(rtmp::Time now) const {
  return media_.empty() ? rtmp::Duration{} : now - media_.front().arrival;
}

void TagQueue::drop_media_before(size_t end, Skip why) {
  // From the back, so that of several headers in the same place the last stays.
  std::deque<Tag> headers;
  std::deque<Tag> left_out;
  std::vector<HeaderPlace> kept;
  uint64_t kept_bytes = 0;
  for (size_t i = end; i-- > 0;) {
    Tag& tag = tags_[i];
    if (tag.is_header()) {
      const HeaderPlace place = tag.header_place();
      if (kept_bytes + tag.memory() <= kMaxHeaderBytes && !std::ranges::count(kept, place)) {
        kept.push_back(place);
        kept_bytes += tag.memory();
        headers.push_front(std::move(tag));
        continue;
      }
    }
    bytes_ -= tag.memory();
    if (tag.is_media()) {
      media_.pop_front();
    }
    if (why == Skip::kLeavingOut) {
      left_out.push_front(std::move(tag));
    } else if (why == Skip::kDropping && tag.is_media()) {
      lose(tag);
    }
  }
  // What stays is not touched: a flood has each packet drop another.
  tags_.erase(tags_.begin(), tags_.begin() + static_cast<ptrdiff_t>(end));
  tags_.insert(tags_.begin(), std::make_move_iterator(headers.begin()),
               std::make_move_iterator(headers.end()));
  for (Tag& tag : left_out) {
    keep_lead(std::move(tag));
  }
}

void TagQueue::skip_to_key_frame(Skip why) {
  drop_media_before(tags_.size(), why);
  skip_ = why;
  skipped_.reset();
  discont_ = true;
}

void TagQueue::begin_at_key_frame(rtmp::Duration late, std::chrono::milliseconds lead) {
  lead_ = lead;
  auto difference = [](const Tag& tag) {
    return tag.arrival.time_since_epoch() - std::chrono::milliseconds(tag.timestamp);
  };
  auto least = rtmp::Duration::max();
  for (const Tag& tag : tags_) {
    least = tag.is_media() ? std::min<rtmp::Duration>(least, difference(tag)) : least;
  }
  first_track_ = kNoTrack;
  for (const Tag& tag : tags_) {
    first_track_ = tag.is_video() ? std::min(first_track_, first_track(tag)) : first_track_;
  }
  auto first = std::find_if(tags_.begin(), tags_.end(), [&](const Tag& tag) {
    return begins(tag) && difference(tag) - least <= late;
  });
  if (first == tags_.end()) {
    skip_to_key_frame(Skip::kLeavingOut);
  } else {
    const int64_t key_ms = first->timestamp;
    waits_.fill({});
    wait_for_key_frames(Tracks().set(), first->arrival, Skip::kLeavingOut);
    drop_media_before(static_cast<size_t>(first - tags_.begin()), Skip::kLeavingOut);
    leave_out_waiting(Tracks().set());
    pass_lead(key_ms, std::find_if(tags_.begin(), tags_.end(), is_media));
  }
}

/// drop_to() drops what comes before the tag at `begin`, and of the tracks that lose pictures by it
/// all up to their key frames. It looks no further than to these: a flood has each packet drop
/// another.
void TagQueue::drop_to(size_t begin) {
  const rtmp::Time from = tags_[begin].arrival;
  drop_media_before(begin, Skip::kDropping);
  const Tracks lost = std::exchange(lost_, {});
  wait_for_key_frames(lost, from, Skip::kDropping);
  leave_out_waiting(lost);
  std::find_if(tags_.begin(), tags_.end(), is_media)->discont = true;
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
      drop_to(i);
      return;
    }
    held -= tag.is_media() ? tag.memory() : 0;
  }
  skip_to_key_frame(Skip::kDropping);
}

}  // namespace gstrtmp
