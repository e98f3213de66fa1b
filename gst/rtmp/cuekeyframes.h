// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>

namespace gstrtmp {

/// CueKeyFrames chooses the splices at which encoders are asked for a key frame. Cues may be a
/// peer's, who is not to have an encoder here make nothing but key frames: by repeating a cue, by
/// splices that have passed or are days ahead, or by new ones all the time. No GStreamer in here;
/// times are running times in nanoseconds.
class CueKeyFrames {
 public:
  enum class Request : uint8_t { kNone, kAtSplice, kAtOnce };

  /// request() is what is to be asked for at `splice` (nothing = at once) when the stream is at
  /// `now`, and takes it for done.
  Request request(std::optional<int64_t> splice, int64_t now) {
    if (splice && (*splice < now - kLatest || *splice > now + kHorizon)) {
      return Request::kNone;
    }
    const bool at_once = !splice || *splice < now;
    for (const Done& done : done_) {
      const bool same = splice && done.splice && std::abs(*splice - *done.splice) < kSameSplice;
      if (same || (at_once && done.at_once && std::abs(now - done.now) < kSecond)) {
        return Request::kNone;
      }
    }
    if (done_.size() == kMost) {
      if (std::abs(now - done_.front().now) < static_cast<int64_t>(kMost) * kSecond) {
        return Request::kNone;
      }
      done_.pop_front();
    }
    done_.push_back({splice, now, at_once});
    return at_once ? Request::kAtOnce : Request::kAtSplice;
  }

 private:
  static constexpr int64_t kSecond = 1'000'000'000;
  static constexpr int64_t kHorizon = 600 * kSecond;
  static constexpr int64_t kLatest = kSecond;  ///< what has just passed is made up for
  /// Repetitions round their time differently.
  static constexpr int64_t kSameSplice = 10'000'000;
  static constexpr size_t kMost = 16;  ///< in as many seconds, and remembered

  struct Done {
    std::optional<int64_t> splice;
    int64_t now;
    bool at_once;
  };
  std::deque<Done> done_;
};

}  // namespace gstrtmp
