// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include <gst/gst.h>

#include "rtmp/liveedge.h"
#include "rtmp/playback.h"
#include "rtmp/streamheader.h"
#include "rtmp/tagqueue.h"
#include "session/events.h"
#include "session/time.h"

namespace gstrtmp {

/// Reached is, of a recorded stream, the last time stamps since a seek.
struct Reached {
  std::optional<int64_t> audio_ms;
  std::optional<int64_t> video_ms;

  bool operator==(const Reached&) const = default;
  int64_t latest() const { return std::max(audio_ms.value_or(0), video_ms.value_or(0)); }
  void note(const Tag& tag) {
    auto& last_ms = tag.is_video() ? video_ms : audio_ms;
    last_ms = std::max(last_ms.value_or(tag.timestamp), tag.timestamp);
  }
};

/// PlayStream is what holds from one beginning of a stream that is played to its end: a
/// connection's, or the publisher's on a connection that stays.
struct PlayStream {
  /// Phase: until it is known what the stream holds, and where its live edge is; then it flows.
  enum class Phase : uint8_t { kJoining, kFlowing };

  Phase phase = Phase::kJoining;
  StreamHeader header;
  LiveEdge edge;
  Playback playback;
  bool cut = false;     // live: what came before the first key frame is gone
  bool plays = false;   // media has come
  bool ended = false;   // the link is gone
  bool passed = false;  // some of its media has been passed on
  Reached before;       // passed on the connections before: not to be passed on again
  Reached came;         // received, of where we are
  rtmp::Time last_arrival{};
  std::optional<rtmp::Time> joined;  // arrival of the first tag
  int64_t last_media_ms = 0;         // received
  std::optional<int64_t> run_ms;     // the same, since the last seek was answered

  /// join() takes note of a tag that has arrived, and is to be queued next. True if what the header
  /// says has changed. While the stream flows, headers are noted when they are passed on.
  bool join(Tag& tag, TagQueue& queue);
};

/// to_duration() is a server's answer about a recording; nothing if that is no length.
std::optional<GstClockTime> to_duration(const rtmp::event::StreamLength& length);

}  // namespace gstrtmp
