// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "session/events.h"

namespace rtmp {

/// EventQueue is a ring of events that keeps its storage, so that a steady state allocates nothing;
/// but not what a burst took.
class EventQueue {
 public:
  size_t size() const { return count_; }
  size_t capacity() const { return ring_.size(); }

  void push(Event event) {
    if (count_ == ring_.size()) {
      grow();
    }
    ring_[index(count_)].emplace(std::move(event));
    count_++;
  }
  std::optional<Event> pop() {
    if (count_ == 0) {
      return std::nullopt;
    }
    std::optional<Event> event = std::move(ring_[head_]);
    ring_[head_].reset();
    head_ = index(1);
    count_--;
    if (count_ == 0 && ring_.size() > kKeptCapacity) {
      ring_ = decltype(ring_)();
      head_ = 0;
    }
    return event;
  }

 private:
  static constexpr size_t kInitialCapacity = 16;  // a power of two, as every capacity is
  static constexpr size_t kKeptCapacity = 256;

  size_t index(size_t i) const { return (head_ + i) & (ring_.size() - 1); }
  void grow() {
    std::vector<std::optional<Event>> bigger(ring_.empty() ? kInitialCapacity : ring_.size() * 2);
    for (size_t i = 0; i < count_; i++) {
      bigger[i] = std::move(ring_[index(i)]);
    }
    ring_ = std::move(bigger);
    head_ = 0;
  }

  std::vector<std::optional<Event>> ring_;
  size_t head_ = 0;
  size_t count_ = 0;
};

}  // namespace rtmp
