// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/glue.h"
#include "wire/bytes.h"

namespace gstrtmp {

/// FlvOctets is a run of octets where upstream's buffers have them: their memories, each mapped
/// once for as long as any part of it is held. Memory that cannot be mapped is left out.
class FlvOctets {
 public:
  FlvOctets() = default;
  explicit FlvOctets(GstBuffer* buffer) { append(buffer); }

  void append(GstBuffer* buffer);
  void clear();
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
  struct Piece {
    std::shared_ptr<const MappedMemory> memory;
    const uint8_t* begin = nullptr;
    size_t size = 0;
  };
  static GstMemory* share_piece(const Piece& piece);

  const Piece& piece(size_t i) const { return i == 0 ? one_ : more_[i - 1]; }
  Piece& piece(size_t i) { return i == 0 ? one_ : more_[i - 1]; }
  void add(Piece piece);

  // Nearly always there is one, which takes no allocation.
  Piece one_;
  std::vector<Piece> more_;
  size_t first_ = 0;  ///< those in front of it are used up
  size_t count_ = 0;
  size_t size_ = 0;
};

}  // namespace gstrtmp
