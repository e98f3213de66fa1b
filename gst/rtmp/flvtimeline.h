// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>

#include "wire/enhanced.h"

/// From running times to FLV timestamps, and back. No GStreamer in here: times are signed
/// nanoseconds or milliseconds.
namespace gstrtmp {

inline constexpr int64_t kNsPerMs = 1'000'000;

/// floor_ms() is the millisecond that `ns` lies in; negative times too are rounded down.
constexpr int64_t floor_ms(int64_t ns) {
  return ns >= 0 ? ns / kNsPerMs : -((-ns + kNsPerMs - 1) / kNsPerMs);
}

/// TagTime is where a frame is put: milliseconds, 64 bits, the shift included.
struct TagTime {
  int64_t dts = 0;
  int32_t composition = 0;   ///< PTS - DTS, signed 24 bits
  uint32_t nanoseconds = 0;  ///< what PTS has beyond the millisecond that both together tell
};

/// TrackClock gives the frames of one track their timestamps. DTS is floored to the millisecond and
/// never decreases; a missing DTS is the PTS, a missing PTS the DTS, and without both the frame is
/// put where the last one was. PTS stays: where DTS had to move, the composition time makes up.
class TrackClock {
 public:
  /// place() answers the time of the next frame. `earliest` is a floor for DTS that other tracks
  /// impose, in milliseconds after the shift.
  TagTime place(std::optional<int64_t> dts_ns, std::optional<int64_t> pts_ns, int64_t shift_ms,
                int64_t earliest = std::numeric_limits<int64_t>::min());

  std::optional<int64_t> last_dts() const { return last_; }
  /// rewritten() counts the frames whose DTS had to be raised.
  uint64_t rewritten() const { return rewritten_; }

 private:
  std::optional<int64_t> last_;
  uint64_t rewritten_ = 0;
};

/// shift_for() is the whole number of milliseconds by which every track must move for `dts_ns`, the
/// earliest of all, not to lie below zero.
constexpr int64_t shift_for(int64_t dts_ns) {
  return dts_ns < 0 ? -floor_ms(dts_ns) : 0;
}

/// near_step() is how far the timestamp of a script message is from that of the frames around it.
/// Nothing if it is far, milliseconds: encoders stamp many with 0 in mid-stream, which is no time.
constexpr std::optional<int32_t> near_step(uint32_t timestamp, uint32_t frames) {
  constexpr int32_t kNear = 10'000;
  const auto step = static_cast<int32_t>(timestamp - frames);
  return step > -kNear && step < kNear ? std::optional(step) : std::nullopt;
}

/// TimestampUnwrapper makes 64-bit times of FLV's 32-bit ones. A step of less than half the range
/// is taken as it is, forwards or backwards.
class TimestampUnwrapper {
 public:
  int64_t unwrap(uint32_t timestamp);
  /// restart() says that another file begins here, whose timestamps may begin anew: if they step
  /// back, they are continued from the last one, or from `furthest`.
  void restart(std::optional<int64_t> furthest = {}) {
    restarted_ = true;
    furthest_ = furthest;
  }
  /// restart_at() says that the next timestamp is `time`.
  void restart_at(int64_t time) { next_ = time; }
  std::optional<int64_t> last() const { return last_; }

 private:
  std::optional<int64_t> last_;  ///< with the offset
  int64_t offset_ = 0;
  bool restarted_ = false;
  std::optional<int64_t> furthest_;
  std::optional<int64_t> next_;
};

/// LeapGuard tells a time that leaps ahead, as damage makes one, from a stream that goes on there.
class LeapGuard {
 public:
  /// believes() is false for a time, milliseconds, ten seconds ahead of all before, unless the one
  /// in front of it was near it.
  bool believes(int64_t time);
  /// reset() is for another place in the stream.
  void reset() { *this = {}; }

 private:
  std::optional<int64_t> last_;
  std::optional<int64_t> leap_;
};

/// StreamTime is the timeline of one stream's tags, which goes on where timestamps begin anew:
/// where those of one kind do, as sound may lie far from its pictures in a file. One tag alone with
/// a time of its own is damage, whether it leaps ahead or back.
class StreamTime {
 public:
  /// unwrap() answers the time of the next tag, milliseconds.
  int64_t unwrap(uint32_t timestamp, rtmp::media::MediaType type);
  /// restart() is for a file header in mid-stream.
  void restart();
  /// unwrap_at() is that at another place in the stream: the tag is at `time`, or, if that is not
  /// `exact`, at the time near it that its timestamp tells the lower 32 bits of.
  int64_t unwrap_at(int64_t time, bool exact, uint32_t timestamp, rtmp::media::MediaType type);
  /// set_continues() says that timestamps that step back by more than two seconds, twice, begin
  /// anew, and are continued from where the stream has come to.
  void set_continues(bool continues) { continues_ = continues; }
  /// restarted() is true if that happened in the last unwrap(), until forget_restart().
  bool restarted() const { return restarted_; }
  void forget_restart() { restarted_ = false; }
  std::optional<int64_t> last() const;
  /// last_timestamp() is that of last(), as it stands in the tag.
  std::optional<uint32_t> last_timestamp() const { return now_.any.last; }

 private:
  /// Raw are the last timestamps of one kind of tags.
  struct Raw {
    std::optional<uint32_t> last;
    std::optional<uint32_t> before;
    int64_t time = 0;  ///< the last one's, without the epoch
  };
  struct State {
    TimestampUnwrapper time;
    Raw any;                   ///< of any kind
    std::array<Raw, 2> kinds;  ///< by MediaType
    Raw& of(rtmp::media::MediaType type);
    const Raw& of(rtmp::media::MediaType type) const;
    std::optional<int64_t> furthest() const;
    void begin_anew();
  };
  bool begins_anew(uint32_t timestamp, rtmp::media::MediaType type) const;
  std::optional<bool> disproves_restart(uint32_t timestamp, rtmp::media::MediaType type) const;

  State now_;
  std::optional<State> unconfirmed_;  ///< as it was before times began anew, in doubt
  std::optional<rtmp::media::MediaType> restarted_by_;  ///< the last new beginning, of this kind
  bool disproved_ = false;                              ///< by the tag behind it
  int64_t epoch_ = 0;                                   ///< what is added to unwrapped timestamps
  bool continues_ = false;
  bool restarted_ = false;
};

}  // namespace gstrtmp
