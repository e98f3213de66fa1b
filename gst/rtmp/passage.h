// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "rtmp/tagqueue.h"

namespace gstrtmp {

/// Passage remembers how far a live stream has been passed on, so that another connection that
/// brings the same stream can go on just there. A stream that a server relays has the same time
/// stamps everywhere; that it is the same shows by a key frame (of sound alone: a frame) that both
/// have, with its time stamp and its size.
class Passage {
 public:
  /// So many places to compare are remembered: of sound alone, two seconds.
  static constexpr size_t kMostPoints = 128;

  /// note() is for each tag that is passed on, with the sender's time stamp.
  void note(const Tag& tag);
  /// begun() is true once there was media.
  bool begun() const { return last_[kAudio].ms || last_[kVideo].ms; }
  bool has_video() const { return last_[kVideo].ms.has_value(); }

  enum class Likeness : uint8_t {
    kUnknown,
    kSame,   ///< the copy has all that comes next
    kOther,  ///< it is another stream, or its time stamps are others
  };
  /// compare() looks at what has come of another copy.
  Likeness compare(const std::deque<Tag>& copy) const;

  /// holds() is for each tag of such a copy, in order: true if it has been passed on before.
  /// Headers are for who calls: they have no place in time.
  bool holds(const Tag& tag);
  /// behind() is true once holds() has met something new.
  bool behind() const { return behind_; }
  /// begin_overlap() is for a copy that begins: from now on holds() has an answer.
  void begin_overlap();

 private:
  enum Kind : size_t { kAudio, kVideo, kScript, kKinds };
  struct Point {
    int64_t ms;
    size_t size;
  };
  /// Last is the time stamp of the last of a kind, and how many had the same.
  struct Last {
    std::optional<int64_t> ms;
    size_t count = 0;
  };

  static Kind kind(const Tag& tag);
  bool is_point(const Tag& tag) const;

  std::array<Last, kKinds> last_;
  std::deque<Point> points_;
  std::array<Last, kKinds> overlap_;  // what is left to be left out
  bool behind_ = true;
};

}  // namespace gstrtmp
