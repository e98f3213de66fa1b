// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvoctets.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace gstrtmp {

namespace {

// Up to so many pieces their number does no harm.
constexpr size_t kManyPieces = 64;
// What is smaller costs about as much to keep as to copy.
constexpr size_t kSmallPiece = 1024;
constexpr size_t kSmallestBlock = 4096;
constexpr size_t kLargestBlock = 64 * 1024;

/// wants_to_know() is true of a buffer whose memory is somebody's again once it is gone.
bool wants_to_know(GstBuffer* buffer) {
  return buffer->pool != nullptr || gst_buffer_get_parent_buffer_meta(buffer) != nullptr;
}

/// is_worth_copying() is true of little in a memory, or of what pins much more than it has.
bool is_worth_copying(rtmp::Bytes octets, const GstMemory* memory) {
  return octets.size() < std::max(kSmallPiece, memory->maxsize / 4);
}

}  // namespace

void FlvOctets::add(std::shared_ptr<Memory> memory, rtmp::Bytes octets) {
  const size_t place = count_ == 0 ? 0 : piece(count_ - 1).place + piece(count_ - 1).size;
  borrows_ = borrows_ || memory->source;
  Piece piece{std::move(memory), octets.data(), octets.size(), place};
  size_ += octets.size();
  if (count_++ == 0) {
    one_ = std::move(piece);
  } else {
    more_.push_back(std::move(piece));
  }
}

/// room() is how much the block that the last piece lies in can still take.
size_t FlvOctets::room() {
  if (count_ == first_) {
    return 0;
  }
  const Piece& last = piece(count_ - 1);
  const Memory& block = *last.memory;
  // Another FlvOctets may have shared the block and gone on in it.
  const bool ends_it =
      block.writable != nullptr && last.begin + last.size == block.writable + block.used;
  return ends_it ? block.map.bytes().size() - block.used : 0;
}

/// add_copy() fills the block that the last piece lies in, and further ones.
void FlvOctets::add_copy(rtmp::Bytes octets) {
  while (!octets.empty()) {
    if (const size_t part = std::min(octets.size(), room()); part > 0) {
      Piece& last = piece(count_ - 1);
      Memory& block = *last.memory;
      std::memcpy(block.writable + block.used, octets.data(), part);
      block.used += part;
      last.size += part;
      size_ += part;
      octets = octets.subspan(part);
      continue;
    }
    const size_t size = std::clamp(size_, kSmallestBlock, kLargestBlock);
    auto* const whole = static_cast<uint8_t*>(g_malloc(size));
    auto block = std::make_shared<Memory>();
    // Mapped for writing it could not be shared.
    block->map = MappedMemory(adopt(gst_memory_new_wrapped(static_cast<GstMemoryFlags>(0), whole,
                                                           size, 0, size, whole, g_free)));
    block->writable = whole;
    block->used = std::min(octets.size(), size);
    std::memcpy(whole, octets.data(), block->used);
    const rtmp::Bytes copied(whole, block->used);
    add(std::move(block), copied);
    octets = octets.subspan(copied.size());
  }
}

bool FlvOctets::append(GstBuffer* buffer) {
  const bool tell = wants_to_know(buffer);
  const unsigned count = gst_buffer_n_memory(buffer);
  for (unsigned i = 0; i < count; i++) {
    GstMemory* const shared = gst_buffer_peek_memory(buffer, i);
    if (shared->size == 0) {
      continue;
    }
    MappedMemory map(share(shared));
    if (!map) {
      return false;
    }
    const rtmp::Bytes octets = map.bytes();
    // What fits a block that has begun goes there as well: or each little piece would begin
    // another.
    if (count_ - first_ >= kManyPieces &&
        (is_worth_copying(octets, shared) || octets.size() <= room())) {
      add_copy(octets);
      continue;
    }
    auto memory = std::make_shared<Memory>();
    memory->map = std::move(map);
    if (tell) {
      memory->source = share(buffer);
    }
    add(std::move(memory), octets);
  }
  return true;
}

void FlvOctets::clear() {
  one_ = {};
  more_.clear();
  first_ = count_ = 0;
  size_ = 0;
  borrows_ = false;
}

void FlvOctets::give_back() {
  if (!std::exchange(borrows_, false)) {
    return;
  }
  FlvOctets kept;
  for (size_t i = first_; i < count_; i++) {
    const rtmp::Bytes octets(piece(i).begin, piece(i).size);
    if (piece(i).memory->source) {
      kept.add_copy(octets);
    } else {
      kept.add(piece(i).memory, octets);
    }
  }
  *this = std::move(kept);
}

size_t FlvOctets::find(size_t offset) const {
  const size_t place = piece(first_).place + offset;
  const auto begin = more_.begin() + static_cast<ptrdiff_t>(std::max<size_t>(first_, 1) - 1);
  const auto behind = std::upper_bound(
      begin, more_.end(), place, [](size_t at, const Piece& piece) { return at < piece.place; });
  return static_cast<size_t>(behind - more_.begin());
}

bool FlvOctets::copy(size_t offset, std::span<uint8_t> to) const {
  if (size_ < to.size() || size_ - to.size() < offset) {
    return false;
  }
  if (to.empty()) {
    return true;
  }
  size_t i = find(offset);
  offset -= piece(i).place - piece(first_).place;
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
    front.place += part;
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
  if (size == 0) {
    return out;
  }
  size_t i = find(offset);
  offset -= piece(i).place - piece(first_).place;
  for (; size > 0; i++, offset = 0) {
    const size_t octets = std::min(size, piece(i).size - offset);
    out.add(piece(i).memory, rtmp::Bytes(piece(i).begin + offset, octets));
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
  GstMemory* const memory = piece.memory->map.memory();
  const rtmp::Bytes whole = piece.memory->map.bytes();
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
  const GstBuffer* told = nullptr;
  for (size_t i = first_; i < count_; i++) {
    gst_buffer_append_memory(out.get(), share_piece(piece(i)));
    GstBuffer* const source = piece(i).memory->source.get();
    if (source != nullptr && source != told) {
      gst_buffer_add_parent_buffer_meta(out.get(), source);
      told = source;
    }
  }
  return out;
}

}  // namespace gstrtmp
