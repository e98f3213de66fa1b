// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvoctets.h"

#include <algorithm>
#include <cstring>

namespace gstrtmp {

void FlvOctets::add(Piece piece) {
  size_ += piece.size;
  if (count_++ == 0) {
    one_ = std::move(piece);
  } else {
    more_.push_back(std::move(piece));
  }
}

void FlvOctets::append(GstBuffer* buffer) {
  const unsigned count = gst_buffer_n_memory(buffer);
  for (unsigned i = 0; i < count; i++) {
    auto memory = std::make_shared<MappedMemory>(share(gst_buffer_peek_memory(buffer, i)));
    const rtmp::Bytes bytes = memory->bytes();
    if (!bytes.empty()) {
      add({std::move(memory), bytes.data(), bytes.size()});
    }
  }
}

void FlvOctets::clear() {
  one_ = {};
  more_.clear();
  first_ = count_ = 0;
  size_ = 0;
}

bool FlvOctets::copy(size_t offset, std::span<uint8_t> to) const {
  if (size_ < to.size() || size_ - to.size() < offset) {
    return false;
  }
  size_t i = first_;
  while (!to.empty() && offset >= piece(i).size) {
    offset -= piece(i++).size;
  }
  for (; !to.empty(); i++) {
    const size_t part = std::min(to.size(), piece(i).size - offset);
    std::memcpy(to.data(), piece(i).begin + offset, part);
    to = to.subspan(part);
    offset = 0;
  }
  return true;
}

void FlvOctets::skip(size_t octets) {
  size_ -= octets;
  while (octets > 0) {
    Piece& front = piece(first_);
    const size_t part = std::min(octets, front.size);
    front.begin += part;
    front.size -= part;
    octets -= part;
    if (front.size == 0) {
      front.memory.reset();
      first_++;
    }
  }
  if (size_ == 0) {
    clear();
  } else if (first_ > count_ / 2) {
    one_ = std::move(piece(first_));
    more_.erase(more_.begin(), more_.begin() + static_cast<ptrdiff_t>(first_));
    count_ -= first_;
    first_ = 0;
  }
}

FlvOctets FlvOctets::part(size_t offset, size_t size) const {
  FlvOctets out;
  size_t i = first_;
  while (size > 0 && offset >= piece(i).size) {
    offset -= piece(i++).size;
  }
  for (; size > 0; i++, offset = 0) {
    const size_t octets = std::min(size, piece(i).size - offset);
    out.add({piece(i).memory, piece(i).begin + offset, octets});
    size -= octets;
  }
  return out;
}

std::optional<rtmp::Bytes> FlvOctets::contiguous() const {
  if (size_ == 0) {
    return rtmp::Bytes();
  }
  const Piece& front = piece(first_);
  return front.size == size_ ? std::optional(rtmp::Bytes(front.begin, size_)) : std::nullopt;
}

FlvOctets FlvOctets::joined() const {
  auto memory = adopt(gst_allocator_alloc(nullptr, size_, nullptr));
  {
    MappedMemory map(memory, GST_MAP_WRITE);
    copy(0, map.writable());
  }
  auto buffer = adopt(gst_buffer_new());
  gst_buffer_append_memory(buffer.get(), memory.release());
  return FlvOctets(buffer.get());
}

GstMemory* FlvOctets::share_piece(const Piece& piece) {
  GstMemory* const memory = piece.memory->memory();
  const rtmp::Bytes whole = piece.memory->bytes();
  if (piece.size == whole.size()) {
    return gst_memory_ref(memory);
  }
  const auto at = static_cast<gssize>(piece.begin - whole.data());
  const auto size = static_cast<gssize>(piece.size);
  GstMemory* part = GST_MEMORY_IS_NO_SHARE(memory) ? nullptr : gst_memory_share(memory, at, size);
  return part != nullptr ? part : gst_memory_copy(memory, at, size);
}

GstPtr<GstBuffer> FlvOctets::buffer() const {
  if (count_ - first_ > gst_buffer_get_max_memory()) {
    return joined().buffer();
  }
  auto out = adopt(gst_buffer_new());
  for (size_t i = first_; i < count_; i++) {
    gst_buffer_append_memory(out.get(), share_piece(piece(i)));
  }
  return out;
}

}  // namespace gstrtmp
