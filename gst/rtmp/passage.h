// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

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
  /// A track that far behind the others, milliseconds, has ended, or pauses. What comes that far
  /// behind what has been passed on is all new.
  static constexpr int64_t kApart = 2000;
  /// No track goes back by so much, milliseconds, but where the stream begins anew.
  static constexpr int64_t kLeap = 5000;

  /// note() is for each tag that is passed on, with the sender's time stamp.
  void note(const Tag& tag);
  /// begun() is true once there was media.
  bool begun() const { return newest_.has_value(); }
  bool has_video() const { return has_video_; }

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
  /// behind() is true once holds() has nothing to leave out any more.
  bool behind() const { return overlap_.empty(); }
  /// begin_overlap() is for a copy that begins: from now on holds() has an answer.
  void begin_overlap();

 private:
  /// A kind of tags, and of these a track.
  using Track = std::pair<rtmp::flv::TagType, unsigned>;
  struct Point {
    int64_t ms;
    size_t size;
  };
  /// Last is the time stamp of the last of a track, and how many had the same.
  struct Last {
    int64_t ms = 0;
    size_t count = 0;
  };

  bool is_point(const Tag& tag) const;

  std::map<Track, Last> last_;
  std::optional<int64_t> newest_;  // the latest of all media
  bool has_video_ = false;
  std::deque<Point> points_;
  // Of a copy that has begun:
  std::map<Track, Last> overlap_;    // what is left to be left out
  int64_t overlap_end_ = 0;          // newest_ as it was then
  std::map<Track, int64_t> copied_;  // the last of its tracks
};

}  // namespace gstrtmp
