// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include <gst/gst.h>

#include "rtmp/senderclock.h"

namespace gstrtmp {

/// LiveTimeline gives the tags of a live stream their places in the pipeline's running time. One
/// time line: a tag's time stamp and its buffer's DTS are one number, and the segment says what
/// running time that number means. Times in nanoseconds.
///
/// The numbers go on where the sender starts over, since demuxers downstream do not survive a step
/// back; they are the sender's own until then, and always with `follow` false.
class LiveTimeline {
 public:
  /// For so long after the beginning, or after the last time that it happened, packets that come
  /// earlier than any before move the segment at once: the rest of a server's burst on joining.
  /// Later, the clocks are brought together slowly.
  static constexpr int64_t kJoining = 3 * GST_SECOND;
  static constexpr int64_t kJoiningStep = 5 * GST_MSECOND;
  static constexpr int64_t kJoiningPause = 100 * GST_MSECOND;
  /// Encoders stamp some scripts with zero, in mid-stream: those that far away have no time.
  static constexpr int64_t kNear = 10 * GST_SECOND;

  /// Mapping: a segment with this start and base is to be sent before the buffer.
  struct Mapping {
    uint64_t start = 0;  ///< time stamp at which the running time is `base`
    uint64_t base = 0;

    bool operator==(const Mapping&) const = default;
  };
  struct Place {
    int64_t time_ms = 0;             ///< the tag's time stamp; times GST_MSECOND: the buffer's DTS
    std::optional<Mapping> segment;  ///< before this buffer
    bool jump = false;               ///< no relation to what came before: DISCONT
    bool past = false;               ///< its own time is not after what came before the last loss
  };

  /// `follow` false leaves the sender's time stamps as they are (clock-mode=sender).
  explicit LiveTimeline(bool follow = true) : follow_(follow) {}

  /// begin() maps a stream whose smallest known difference of arrival and sender time is
  /// `difference` (of all packets that wait): the packet stamped `first_ms`, which came at
  /// `arrival`, is next. Also for another beginning: after a pause, during which the stream and the
  /// pipeline's clock parted, or after a loss.
  void begin(int64_t first_ms, int64_t arrival, int64_t difference);
  bool begun() const { return begun_; }
  void end() { begun_ = false; }
  /// lose() tells that the stream is gone. What comes back may be another one: its numbers go on,
  /// by as much as time has passed, and none is smaller than those before.
  void lose();

  /// take_detour() tells that packets come by another way from `arrival` on, where the smallest
  /// difference of arrival and sender time is `difference`. If that is later than before, what
  /// comes is due later: it would be late for good. The time stamps are as they were.
  void take_detour(int64_t difference, int64_t arrival);

  /// place() is for each audio and video frame, in order; begin() must have been called.
  Place place(int64_t timestamp_ms, int64_t arrival);
  /// header_time_ms() is the time for a tag that has none of its own, if there has been any that
  /// has: has_time().
  bool has_time() const { return has_time_; }
  int64_t header_time_ms() const { return last_time_ / static_cast<int64_t>(GST_MSECOND); }
  /// script_time_ms() is the time for a script message: its own, if it is near that of the media
  /// and not before the last loss.
  int64_t script_time_ms(int64_t timestamp_ms) const;
  /// take_pending() is the segment that is to be sent before the next buffer, which may be a tag
  /// that place() is not for; once.
  std::optional<Mapping> take_pending() { return std::exchange(pending_, std::nullopt); }
  /// mapping() is the segment that holds now.
  Mapping mapping() const { return mapping_; }

 private:
  void map(int64_t time);
  void go_on(int64_t first_ms, int64_t difference);
  void move_edge(int64_t arrival);
  bool on_sender_jump(int64_t timestamp_ms, int64_t arrival);

  const bool follow_;
  bool begun_ = false;
  bool has_time_ = false;
  bool lost_ = false;
  SenderClock clock_;
  int64_t shift_ = 0;   // added to the sender's time stamps since it jumped
  int64_t offset_ = 0;  // running time - time stamp, as the segment has it; the clock's base
  Mapping mapping_;
  std::optional<Mapping> pending_;  // not sent yet
  int64_t joined_ = 0;              // arrival
  int64_t moved_ = 0;               // arrival
  int64_t last_sender_ = 0;
  int64_t last_time_ = 0;
  int64_t latest_time_ = 0;  // of all
  int64_t floor_ = 0;        // the latest before the last loss
};

}  // namespace gstrtmp
