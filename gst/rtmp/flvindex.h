// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <vector>

#include "rtmp/flvmediainfo.h"
#include "rtmp/flvtimeline.h"

namespace gstrtmp {

/// FlvIndex knows the places where decoding can begin, as far as the stream is known: by its
/// metadata, by what was read, or by a scan. Times are the stream's, in milliseconds.
class FlvIndex {
 public:
  static constexpr size_t kMostHeaders = 64;

  /// use() takes the metadata's index, which is believed until distrust(). Ignored once distrusted,
  /// or if it ends before what is known already.
  void use(const std::vector<IndexEntry>& entries);
  /// distrust() forgets it: what it said was not there.
  void distrust();
  bool from_metadata() const { return from_metadata_; }

  /// note_read() says that [`begin`, `end`) of the stream has been looked at, and that `time` is
  /// reached there, if any is. `start` is where in it decoding can begin.
  void note_read(uint64_t begin, uint64_t end, std::optional<int64_t> time,
                 std::optional<uint64_t> start);
  /// known_until() is the time up to which every place is known; minimum if none is.
  int64_t known_until() const;
  /// next_offset() is where a scan has to go on.
  uint64_t next_offset() const { return next_offset_; }
  /// note_clock() says what the timeline is at `offset`. Kept if that is next_offset().
  void note_clock(uint64_t offset, const StreamTime& clock);
  /// clock() is the timeline at next_offset().
  const StreamTime& clock() const { return clock_; }
  /// set_complete() says that there is nothing behind next_offset().
  void set_complete(bool complete) { complete_ = complete; }

  /// at_or_before() is the last place not after `time`, at_or_after() the first not before it.
  std::optional<IndexEntry> at_or_before(int64_t time) const;
  std::optional<IndexEntry> at_or_after(int64_t time) const;
  /// before_offset() and after_offset() are the neighbours of a place.
  std::optional<IndexEntry> before_offset(uint64_t offset) const;
  std::optional<IndexEntry> after_offset(uint64_t offset) const;
  /// note_header() says that a sequence header, unlike the one before it, lies at `offset`. The
  /// first kMostHeaders are kept.
  void note_header(uint64_t offset);
  const std::vector<uint64_t>& headers() const { return headers_; }
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }

 private:
  void add(IndexEntry entry);
  void thin_out();

  std::vector<IndexEntry> entries_;  ///< by offset
  std::vector<uint64_t> headers_;    ///< in order
  bool from_metadata_ = false;
  bool distrusted_ = false;
  bool complete_ = false;
  uint64_t next_offset_ = 0;
  int64_t next_time_ = INT64_MIN;
  StreamTime clock_;
};

}  // namespace gstrtmp
