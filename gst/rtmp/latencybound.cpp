// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/latencybound.h"

#include <algorithm>

#include "rtmp/messagetag.h"

namespace gstrtmp {
namespace {

using rtmp::MessageType;
using rtmp::media::PacketClass;

// Marks closer together than that tell nothing that matters.
constexpr rtmp::Duration kMarkInterval = std::chrono::milliseconds(10);

bool is_picture(MessageType type, uint32_t tag) {
  return type == MessageType::kVideo && !is_kept(tag);
}

bool is_sound(MessageType type, uint32_t tag) {
  return type == MessageType::kAudio && !is_kept(tag);
}

bool is_key_frame(MessageType type, uint32_t tag) {
  return type == MessageType::kVideo && is_of(tag, PacketClass::kKeyFrame);
}

bool is_disposable(MessageType type, uint32_t tag) {
  return type == MessageType::kVideo && is_of(tag, PacketClass::kDisposableFrame);
}

}  // namespace

// ---- how old ----

void LatencyBound::note(uint64_t bytes_out, std::optional<rtmp::Time> oldest, rtmp::Time now) {
  const rtmp::Time queued = oldest.value_or(now);
  if (!oldest && !marks_.empty() && marks_.back().position == bytes_out) {
    marks_.back().queued = now;  // nothing has come since: a pause does not make it old
    return;
  }
  if (!marks_.empty() && queued - marks_.back().queued < kMarkInterval) {
    return;
  }
  if (!marks_.empty() && marks_.back().position == bytes_out) {
    return;  // what is older waits at the same place
  }
  marks_.push_back({bytes_out, queued});
}

rtmp::Duration LatencyBound::age(uint64_t reached, uint64_t bytes_out,
                                 std::optional<rtmp::Time> oldest, rtmp::Time now) const {
  if (reached >= bytes_out) {
    return oldest ? now - *oldest : rtmp::Duration::zero();
  }
  const auto behind = std::upper_bound(
      marks_.begin(), marks_.end(), reached,
      [](uint64_t position, const Mark& mark) { return position < mark.position; });
  return behind == marks_.begin() ? rtmp::Duration::zero() : now - std::prev(behind)->queued;
}

void LatencyBound::forget(uint64_t reached) {
  while (marks_.size() > 1 && marks_[1].position <= reached) {
    marks_.pop_front();
  }
}

// ---- what goes ----

void LatencyBound::Dropped::count(MessageType type, uint32_t tag) {
  if (is_disposable(type, tag)) {
    disposable++;
  } else if (is_picture(type, tag)) {
    video++;
  } else if (is_sound(type, tag)) {
    audio++;
  }
}

template <typename Doomed>
void LatencyBound::drop(rtmp::ChunkWriter& writer, Doomed doomed) {
  writer.drop([&](const rtmp::OutgoingMessage& message) {
    if (!doomed(message)) {
      return false;
    }
    dropped_->count(message.type, message.tag);
    overloaded_ = true;
    return true;
  });
}

void LatencyBound::shed(rtmp::ChunkWriter& writer, rtmp::Duration age, rtmp::Time now) {
  const bool too_much = writer.backlog().bytes > kMaxBytes;
  if (!enabled() || (age <= most_ / 2 && !too_much)) {
    overloaded_ = overloaded_ && awaiting_;
    return;
  }
  if (age <= most_ && !too_much) {
    drop(writer, [](const rtmp::OutgoingMessage& message) {
      return is_disposable(message.type, message.tag);
    });
    return;
  }
  std::optional<rtmp::Time> latest;  // key frame
  bool pictures = false;
  writer.for_each_waiting([&](const rtmp::OutgoingMessage& message) {
    pictures |= is_picture(message.type, message.tag);
    if (is_key_frame(message.type, message.tag)) {
      latest = message.queued_at;
    }
  });
  if (latest && (now - *latest > most_ || too_much)) {
    latest.reset();
  }
  bool reached = false;
  drop(writer, [&](const rtmp::OutgoingMessage& message) {
    reached |= latest && is_key_frame(message.type, message.tag) && message.queued_at == *latest;
    return (is_picture(message.type, message.tag) && !reached) ||
           (is_sound(message.type, message.tag) && (now - message.queued_at > most_ || too_much));
  });
  if (pictures && !latest && !awaiting_) {
    await_key_frame(false, now);
  }
}

void LatencyBound::await_key_frame(bool audio, rtmp::Time now) {
  awaiting_ = true;
  awaiting_audio_ = audio;
  awaiting_since_ = now;
}

bool LatencyBound::admits(MessageType type, uint32_t tag, rtmp::Time now) {
  if (!awaiting_) {
    return true;
  }
  if (is_key_frame(type, tag) || now - awaiting_since_ >= kKeyFrameWait) {
    awaiting_ = awaiting_audio_ = false;
    return true;
  }
  if (is_picture(type, tag) || (awaiting_audio_ && is_sound(type, tag))) {
    dropped_->count(type, tag);
    return false;
  }
  return true;
}

bool LatencyBound::wants_key_frame(rtmp::Duration age, rtmp::Time now) {
  if (!awaiting_ || (enabled() && age > most_ / 2) || (asked_ && now - *asked_ < kAskAgain)) {
    return false;
  }
  asked_ = now;
  return true;
}

}  // namespace gstrtmp
