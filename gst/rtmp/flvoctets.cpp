// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvoctets.h"

#include <algorithm>
#include <cstring>

namespace gstrtmp {

void FlvOctets::append(GstBuffer* buffer) {
  const unsigned count = gst_buffer_n_memory(buffer);
  for (unsigned i = 0; i < count; i++) {
    auto memory = std::make_shared<MappedMemory>(share(gst_buffer_peek_memory(buffer, i)));
    const rtmp::Bytes bytes = memory->bytes();
    if (!bytes.empty()) {
      pieces_.push_back({std::move(memory), bytes.data(), bytes.size()});
      size_ += bytes.size();
    }
  }
}

void FlvOctets::clear() {
  pieces_.clear();
  first_ = 0;
  size_ = 0;
}

bool FlvOctets::copy(size_t offset, std::span<uint8_t> to) const {
  if (size_ < to.size() || size_ - to.size() < offset) {
    return false;
  }
  size_t i = first_;
  while (!to.empty() && offset >= pieces_[i].size) {
    offset -= pieces_[i++].size;
  }
  for (; !to.empty(); i++) {
    const size_t part = std::min(to.size(), pieces_[i].size - offset);
    std::memcpy(to.data(), pieces_[i].begin + offset, part);
    to = to.subspan(part);
    offset = 0;
  }
  return true;
}

void FlvOctets::skip(size_t octets) {
  size_ -= octets;
  while (octets > 0) {
    Piece& piece = pieces_[first_];
    const size_t part = std::min(octets, piece.size);
    piece.begin += part;
    piece.size -= part;
    octets -= part;
    if (piece.size == 0) {
      piece.memory.reset();
      first_++;
    }
  }
  if (size_ == 0) {
    clear();
  } else if (first_ > pieces_.size() / 2) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
}

FlvOctets FlvOctets::part(size_t offset, size_t size) const {
  FlvOctets out;
  out.size_ = size;
  size_t i = first_;
  while (size > 0 && offset >= pieces_[i].size) {
    offset -= pieces_[i++].size;
  }
  for (; size > 0; i++, offset = 0) {
    const size_t octets = std::min(size, pieces_[i].size - offset);
    out.pieces_.push_back({pieces_[i].memory, pieces_[i].begin + offset, octets});
    size -= octets;
  }
  return out;
}

std::optional<rtmp::Bytes> FlvOctets::contiguous() const {
  if (size_ == 0) {
    return rtmp::Bytes();
  }
  const Piece& piece = pieces_[first_];
  return piece.size == size_ ? std::optional(rtmp::Bytes(piece.begin, size_)) : std::nullopt;
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
  if (pieces_.size() - first_ > gst_buffer_get_max_memory()) {
    return joined().buffer();
  }
  auto out = adopt(gst_buffer_new());
  for (size_t i = first_; i < pieces_.size(); i++) {
    gst_buffer_append_memory(out.get(), share_piece(pieces_[i]));
  }
  return out;
}

}  // namespace gstrtmp
