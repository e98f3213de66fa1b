// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvcutter.h"

namespace gstrtmp {

bool FlvCutter::cuts_before(int64_t dts, bool has_video) const {
  const bool long_enough = dts - start_ >= options_.duration_ms;
  const bool full = options_.max_bytes > 0 && bytes_ >= options_.max_bytes;
  switch (options_.mode) {
    case ChunkMode::kTag:
      return false;
    case ChunkMode::kGop:
      return has_video || long_enough || full;
    case ChunkMode::kDuration:
      return long_enough || full;
  }
  return false;
}

}  // namespace gstrtmp
