// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

namespace rtmp {

/// Clock names the time line that the owner supplies: any steady one, from any origin. It has no
/// now() on purpose, so that nothing in the core can fetch the time.
struct Clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
};
using Time = Clock::time_point;
using Duration = Clock::duration;

/// Timers is a table of optional deadlines, one for each enumerator of Id (which ends in kCount).
template <typename Id>
class Timers {
 public:
  void set(Id id, Time deadline) { slot(id) = deadline; }
  void stop(Id id) { slot(id).reset(); }
  void stop_all() { deadlines_.fill(std::nullopt); }
  bool is_set(Id id) const { return deadlines_[static_cast<size_t>(id)].has_value(); }

  /// next() is the earliest deadline, or nothing.
  std::optional<Time> next() const {
    std::optional<Time> earliest;
    for (const auto& deadline : deadlines_) {
      if (deadline && (!earliest || *deadline < *earliest)) {
        earliest = deadline;
      }
    }
    return earliest;
  }
  /// expire() stops and names one timer whose deadline is not after `now`, earliest enumerator
  /// first.
  std::optional<Id> expire(Time now) {
    for (size_t i = 0; i < deadlines_.size(); i++) {
      if (deadlines_[i] && *deadlines_[i] <= now) {
        deadlines_[i].reset();
        return static_cast<Id>(i);
      }
    }
    return std::nullopt;
  }

 private:
  std::optional<Time>& slot(Id id) { return deadlines_[static_cast<size_t>(id)]; }
  std::array<std::optional<Time>, static_cast<size_t>(Id::kCount)> deadlines_{};
};

}  // namespace rtmp
