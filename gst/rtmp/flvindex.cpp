// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvindex.h"

#include <algorithm>
#include <limits>

namespace gstrtmp {
namespace {

// 16 MiB: a key frame a second for two weeks.
constexpr size_t kMostEntries = size_t{1} << 20;

auto first_not_before(const std::vector<IndexEntry>& entries, uint64_t offset) {
  return std::ranges::lower_bound(entries, offset, {}, &IndexEntry::offset);
}

}  // namespace

void FlvIndex::use(const std::vector<IndexEntry>& entries) {
  if (distrusted_ || entries.size() < 2 || entries.back().time <= next_time_) {
    return;
  }
  entries_ = entries;
  from_metadata_ = true;
  while (entries_.size() > kMostEntries) {
    thin_out();
  }
}

void FlvIndex::distrust() {
  entries_.clear();
  from_metadata_ = false;
  distrusted_ = true;
  next_offset_ = 0;
  next_time_ = INT64_MIN;
  clock_ = {};
}

void FlvIndex::note_read(uint64_t begin, uint64_t end, std::optional<int64_t> time,
                         std::optional<uint64_t> start) {
  // Only what joins on to the known part says that nothing lies between.
  if (begin > next_offset_ || end <= next_offset_) {
    return;
  }
  next_offset_ = end;
  if (time) {
    next_time_ = std::max(next_time_, *time);
    if (start && !from_metadata_) {
      add({*time, *start});
    }
  }
}

void FlvIndex::note_clock(uint64_t offset, const StreamTime& clock) {
  if (offset == next_offset_) {
    clock_ = clock;
  }
}

void FlvIndex::add(IndexEntry entry) {
  if (!entries_.empty() && entry.offset <= entries_.back().offset) {
    return;
  }
  if (entries_.size() >= kMostEntries) {
    thin_out();
  }
  entries_.push_back(entry);
}

void FlvIndex::note_header(uint64_t offset) {
  auto it = std::ranges::lower_bound(headers_, offset);
  if ((it == headers_.end() || *it != offset) && headers_.size() < kMostHeaders) {
    headers_.insert(it, offset);
  }
}

void FlvIndex::thin_out() {
  size_t kept = 0;
  for (size_t i = 0; i < entries_.size(); i += 2) {
    entries_[kept++] = entries_[i];
  }
  entries_.resize(kept);
}

int64_t FlvIndex::known_until() const {
  if (complete_ || from_metadata_) {
    return std::numeric_limits<int64_t>::max();
  }
  return next_time_;
}

// Times rise with offsets but for files that were put together; then the last one in the file is
// as good as any.
std::optional<IndexEntry> FlvIndex::at_or_before(int64_t time) const {
  if (!entries_.empty() && entries_.back().time <= time) {
    return entries_.back();
  }
  auto it = std::ranges::upper_bound(entries_, time, {}, &IndexEntry::time);
  return it == entries_.begin() ? std::nullopt : std::optional(*std::prev(it));
}

std::optional<IndexEntry> FlvIndex::at_or_after(int64_t time) const {
  auto it = std::ranges::lower_bound(entries_, time, {}, &IndexEntry::time);
  return it == entries_.end() ? std::nullopt : std::optional(*it);
}

std::optional<IndexEntry> FlvIndex::before_offset(uint64_t offset) const {
  auto it = first_not_before(entries_, offset);
  return it == entries_.begin() ? std::nullopt : std::optional(*std::prev(it));
}

std::optional<IndexEntry> FlvIndex::after_offset(uint64_t offset) const {
  auto it = first_not_before(entries_, offset + 1);
  return it == entries_.end() ? std::nullopt : std::optional(*it);
}

}  // namespace gstrtmp
