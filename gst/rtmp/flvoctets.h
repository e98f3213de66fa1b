// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/glue.h"
#include "wire/bytes.h"

namespace gstrtmp {

/// FlvOctets is a run of octets where upstream's buffers have them: their memories, each mapped
/// once for as long as any part of it is held. A buffer that wants to be told when its memory is
/// free again, one of a pool or with a parent, is held as well, by what buffer() makes, too.
///
/// Small memories are copied once there are many, so that what is held is not much more than
/// size(), and to find a place in it takes a few steps.
class FlvOctets {
 public:
  FlvOctets() = default;
  explicit FlvOctets(GstBuffer* buffer) { append(buffer); }

  /// append() is false if there is memory that cannot be mapped: it and what follows are left out.
  bool append(GstBuffer* buffer);
  void clear();
  /// give_back() copies what lies in buffers that want to be told: for octets that wait for others,
  /// which a pool with all its buffers here would never bring.
  void give_back();
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  /// copy() fills `to` from `offset`; false if that much is not there.
  bool copy(size_t offset, std::span<uint8_t> to) const;
  /// skip() drops octets in front; `octets` is size() at most.
  void skip(size_t octets);
  /// part() is [`offset`, `offset + size`), which must be there, in the same memory.
  FlvOctets part(size_t offset, size_t size) const;
  /// contiguous() is all of it if it lies in one memory, valid as long as that is held.
  std::optional<rtmp::Bytes> contiguous() const;
  /// joined() is a copy in one memory.
  FlvOctets joined() const;
  /// buffer() shares the memory. What lies in more pieces than a buffer can have memories is copied
  /// once.
  GstPtr<GstBuffer> buffer() const;

 private:
  /// Memory is upstream's, or a block of copies, which grows.
  struct Memory {
    GstPtr<GstBuffer> source;  ///< if it wants to be told; so it outlives `map`
    MappedMemory map;
    uint8_t* writable = nullptr;  ///< a block's
    size_t used = 0;              ///< of a block
  };
  struct Piece {
    std::shared_ptr<Memory> memory;
    const uint8_t* begin = nullptr;
    size_t size = 0;
    size_t place = 0;  ///< of `begin`, counted from what was appended first
  };
  static GstMemory* share_piece(const Piece& piece);

  const Piece& piece(size_t i) const { return i == 0 ? one_ : more_[i - 1]; }
  Piece& piece(size_t i) { return i == 0 ? one_ : more_[i - 1]; }
  /// find() is the piece that has `offset`, which must be there.
  size_t find(size_t offset) const;
  void add(std::shared_ptr<Memory> memory, rtmp::Bytes octets);
  size_t room();
  void add_copy(rtmp::Bytes octets);

  // Nearly always there is one, which takes no allocation.
  Piece one_;
  std::vector<Piece> more_;
  size_t first_ = 0;  ///< those in front of it are used up
  size_t count_ = 0;
  size_t size_ = 0;
  bool borrows_ = false;  ///< some of it lies, or lay, in buffers that want to be told
};

/// Front is the first octets, wherever they lie.
template <size_t kSize>
class Front {
 public:
  explicit Front(const FlvOctets& octets) : size_(std::min(kSize, octets.size())) {
    octets.copy(0, std::span(octets_).first(size_));
  }
  rtmp::Bytes bytes() const { return rtmp::Bytes(octets_.data(), size_); }

 private:
  std::array<uint8_t, kSize> octets_;
  size_t size_;
};

}  // namespace gstrtmp
