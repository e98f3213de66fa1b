// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "session/time.h"

namespace gstrtmp {

/// LiveEdge tells when a server is through with what it had in store for a player who joins: once
/// packets come no faster than they are played, or none comes.
class LiveEdge {
 public:
  /// No packet for so long, and whatever burst there was is over.
  static constexpr rtmp::Duration kGap = std::chrono::milliseconds(30);
  /// How long is looked at to compare arrival with media time: enough to even out packets that
  /// share a segment of TCP.
  static constexpr rtmp::Duration kLook = std::chrono::milliseconds(15);

  void arrived(int64_t timestamp_ms, rtmp::Time now);
  bool reached(rtmp::Time now) const;

 private:
  struct Mark {
    int64_t media_ms;  // the latest time stamp until then
    rtmp::Time arrival;
  };
  std::optional<Mark> mark_;
  int64_t latest_ms_ = 0;
  rtmp::Time last_arrival_{};
  bool in_step_ = false;
};

}  // namespace gstrtmp
