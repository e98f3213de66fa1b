// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

#include "common/glue.h"
#include "session/payload.h"

namespace gstrtmp {

/// MemoryBlocks has incoming messages assembled in GstMemory, so that what the core received goes
/// downstream without another copy. One heap allocation a block. Thread-safe, without state.
class MemoryBlocks final : public rtmp::BlockSource {
 public:
  MemoryBlocks();
  rtmp::Block take(size_t capacity) override;

 private:
  GstPtr<GstAllocator> allocator_;
};

/// take_memory() takes `size` octets at `offset` out of a block that MemoryBlocks made, as its
/// GstMemory. (transfer full)
GstMemory* take_memory(rtmp::Block&& block, size_t offset, size_t size);

}  // namespace gstrtmp
