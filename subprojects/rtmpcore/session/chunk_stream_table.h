// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace rtmp {

/// ChunkStreamTable keeps one T for each chunk stream id in use, at an address that stays. Ids
/// below 64, which is all that real peers use, are found by index; others by binary search.
template <typename T>
class ChunkStreamTable {
 public:
  /// find() answers null for an id that is not in the table.
  T* find(uint32_t id) const {
    if (id < low_.size()) {
      return low_[id].get();
    }
    const auto at = position(id);
    return at != high_.end() && at->id == id ? at->value.get() : nullptr;
  }
  /// add() puts a new T in the table; the id must not be there yet.
  T* add(uint32_t id) {
    size_++;
    auto value = std::make_unique<T>();
    T* const added = value.get();
    if (id < low_.size()) {
      low_[id] = std::move(value);
    } else {
      high_.insert(position(id), Entry{id, std::move(value)});
    }
    return added;
  }
  size_t size() const { return size_; }

 private:
  struct Entry {
    uint32_t id = 0;
    std::unique_ptr<T> value;
  };

  auto position(uint32_t id) const {
    return std::lower_bound(high_.begin(), high_.end(), id,
                            [](const Entry& entry, uint32_t wanted) { return entry.id < wanted; });
  }

  std::array<std::unique_ptr<T>, 64> low_{};
  std::vector<Entry> high_;  // sorted by id
  size_t size_ = 0;
};

}  // namespace rtmp
