// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>

#include <gst/gst.h>

#include "rtmp/senderclock.h"

namespace gstrtmp {

/// LiveTimeline gives the tags of a live stream their places in the pipeline's running time. One
/// time line: a tag's time stamp and its buffer's DTS are one number, and the segment says what
/// running time that number means. Times in nanoseconds.
class LiveTimeline {
 public:
  /// For so long after the beginning a packet that shows that we began too late moves the segment
  /// at once: the rest of a server's burst on joining. Later, the clocks are brought together
  /// slowly.
  static constexpr int64_t kJoining = 3 * GST_SECOND;
  static constexpr int64_t kJoiningStep = 20 * GST_MSECOND;

  /// Mapping: a segment with this start and base is to be sent before the buffer.
  struct Mapping {
    uint64_t start = 0;  ///< time stamp at which the running time is `base`
    uint64_t base = 0;
  };
  struct Place {
    int64_t time_ms = 0;             ///< the tag's time stamp; times GST_MSECOND: the buffer's DTS
    std::optional<Mapping> segment;  ///< before this buffer
    bool jump = false;               ///< no relation to what came before: DISCONT
  };

  /// `follow` false leaves the sender's time stamps as they are (clock-mode=sender).
  explicit LiveTimeline(bool follow = true) : follow_(follow) {}

  /// begin() starts with a stream whose earliest known difference of arrival and sender time is
  /// `offset` (the smallest of all packets that wait): the packet stamped `first_ms` comes next.
  void begin(int64_t first_ms, int64_t offset, int64_t arrival);
  bool begun() const { return begun_; }
  void end() { begun_ = false; }

  /// place() is for each audio and video frame, in order; begin() must have been called.
  Place place(int64_t timestamp_ms, int64_t arrival);
  /// header_time_ms() is the time for a tag that has none of its own.
  int64_t header_time_ms() const { return last_ms_; }

 private:
  Mapping map(int64_t time, int64_t offset) const;

  const bool follow_;
  bool begun_ = false;
  std::optional<Mapping> pending_;
  int64_t began_ = 0;   // arrival
  int64_t offset_ = 0;  // running time - time stamp, as the segment has it
  int64_t last_ms_ = 0;
  SenderClock clock_;
};

}  // namespace gstrtmp
