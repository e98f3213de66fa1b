// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/memoryblocks.h"

namespace gstrtmp {

MemoryBlocks::MemoryBlocks() : allocator_(adopt(gst_allocator_find(GST_ALLOCATOR_SYSMEM))) {}

rtmp::Block MemoryBlocks::take(size_t capacity) {
  GstMemory* memory = gst_allocator_alloc(allocator_.get(), capacity, nullptr);
  GstMapInfo info;
  if (memory == nullptr || !gst_memory_map(memory, &info, GST_MAP_WRITE)) {
    if (memory != nullptr) {
      gst_memory_unref(memory);
    }
    return {};
  }
  // System memory lies where it lies: the address holds after the unmapping, while the reference is
  // kept.
  gst_memory_unmap(memory, &info);
  return {info.data, info.size,
          rtmp::Owner(memory, [](void* p) { gst_memory_unref(static_cast<GstMemory*>(p)); })};
}

GstMemory* take_memory(rtmp::Block&& block, size_t offset, size_t size) {
  auto* memory = static_cast<GstMemory*>(block.owner.detach());
  gst_memory_resize(memory, static_cast<gssize>(offset), size);
  return memory;
}

}  // namespace gstrtmp
