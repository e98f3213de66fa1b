// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>

namespace gstrtmp {

/// ChunkMode says what flvchunk's output is cut into.
enum class ChunkMode : int { kTag, kGop, kDuration };

/// FlvCutter decides where one self-contained piece ends and the next begins. Cuts are made at sync
/// points only: video key frames, or any frame of a stream without video.
class FlvCutter {
 public:
  struct Options {
    ChunkMode mode = ChunkMode::kTag;
    int64_t duration_ms = 10'000;  ///< kDuration, and kGop of a stream without video
    uint64_t max_bytes = 0;        ///< also cut at the first sync point past these; 0 = no bound
  };
  explicit FlvCutter(const Options& options) : options_(options) {}

  /// cuts_before() is true if a new piece begins with the frame, a sync point, at `dts` ms. The
  /// first frame of all begins one without a cut: begin() says so.
  bool cuts_before(int64_t dts, bool has_video) const;
  void begin(int64_t dts) {
    start_ = dts;
    bytes_ = 0;
  }
  void add(uint64_t bytes) { bytes_ += bytes; }

  int64_t start() const { return start_; }
  uint64_t bytes() const { return bytes_; }

 private:
  Options options_;
  int64_t start_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace gstrtmp
