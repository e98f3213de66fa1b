// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "wire/bytes.h"

/// Who owns the octets of a message on its way through the core.
namespace rtmp {

/// Owner keeps something alive until it is destroyed: one opaque pointer and the function that
/// releases it. Move-only; an empty Owner releases nothing.
class Owner {
 public:
  using Release = void (*)(void* object);

  Owner() = default;
  Owner(void* object, Release release) : object_(object), release_(release) {}
  Owner(Owner&& other) noexcept
      : object_(std::exchange(other.object_, nullptr)), release_(other.release_) {}
  Owner& operator=(Owner&& other) noexcept {
    if (this != &other) {
      reset();
      object_ = std::exchange(other.object_, nullptr);
      release_ = other.release_;
    }
    return *this;
  }
  ~Owner() { reset(); }

  void* get() const { return object_; }
  /// release_function() is what is to be called with the object that detach() gave up.
  Release release_function() const { return release_; }
  /// detach() gives the object up without releasing it.
  void* detach() { return std::exchange(object_, nullptr); }
  void reset() {
    if (object_ != nullptr) {
      release_(std::exchange(object_, nullptr));
    }
  }

 private:
  void* object_ = nullptr;
  Release release_ = nullptr;
};

/// Block is writable storage of a fixed capacity for one incoming message.
struct Block {
  uint8_t* data = nullptr;
  size_t capacity = 0;
  Owner owner;
};

/// BlockSource makes the storage that incoming messages are assembled in, so that a message lands
/// where the application wants it (a GstMemory, say) and is not copied again.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  /// take() answers a block of at least `capacity` octets, or one without data if there is no
  /// memory.
  virtual Block take(size_t capacity) = 0;
};

/// Payload is an incoming message's body: `size` octets at `offset` of a block, with the head and
/// tail room that the options asked for around them. Move-only.
struct Payload {
  Block block;
  size_t offset = 0;
  size_t size = 0;

  Bytes bytes() const { return {block.data + offset, size}; }
};

/// HeapBlocks is the default BlockSource: blocks from the heap that come back when their owner is
/// released, and are taken again. Capacities are powers of two. A block can outlive its source, and
/// can be released on any thread; take() belongs to one thread at a time.
class HeapBlocks final : public BlockSource {
 public:
  /// At most `max_idle_bytes` are kept for the next take(); what comes back beyond that is freed.
  explicit HeapBlocks(size_t max_idle_bytes = size_t{1} << 20);
  ~HeapBlocks() override;
  HeapBlocks(const HeapBlocks&) = delete;
  HeapBlocks& operator=(const HeapBlocks&) = delete;

  Block take(size_t capacity) override;

 private:
  class Pool;
  Pool* pool_;  // shared with the blocks that are out, hence counted
};

/// GatherPayload is an outgoing message's body: pieces in order, borrowed from what `owner` keeps
/// alive until the last octet has been consumed or the message was dropped. Move-only.
class GatherPayload {
 public:
  static constexpr size_t kInlinePieces = 4;

  GatherPayload() = default;
  explicit GatherPayload(Owner owner) : owner_(std::move(owner)) {}
  GatherPayload(Bytes piece, Owner owner) : owner_(std::move(owner)) { append(piece); }
  GatherPayload(GatherPayload&& other) noexcept { take(other); }
  GatherPayload& operator=(GatherPayload&& other) noexcept {
    if (this != &other) {
      take(other);
    }
    return *this;
  }

  void append(Bytes piece) {
    if (piece.empty()) {
      return;
    }
    if (count_ < kInlinePieces) {
      inline_[count_] = piece;
    } else {
      more_.push_back(piece);
    }
    count_++;
    size_ += piece.size();
  }
  size_t size() const { return size_; }
  size_t piece_count() const { return count_; }
  Bytes piece(size_t i) const { return i < kInlinePieces ? inline_[i] : more_[i - kInlinePieces]; }
  const Owner& owner() const { return owner_; }
  /// clear() leaves no piece, and releases the owner.
  void clear() {
    owner_.reset();
    more_.clear();
    count_ = 0;
    size_ = 0;
  }
  /// replace() puts one copy in place of all pieces, and releases the old owner.
  void replace(Bytes piece, Owner owner) {
    clear();
    owner_ = std::move(owner);
    append(piece);
  }

 private:
  void take(GatherPayload& other) {
    inline_ = other.inline_;
    more_ = std::move(other.more_);
    other.more_.clear();
    count_ = std::exchange(other.count_, 0);
    size_ = std::exchange(other.size_, 0);
    owner_ = std::move(other.owner_);
  }

  std::array<Bytes, kInlinePieces> inline_{};
  std::vector<Bytes> more_;  // empty, hence without storage, for all but odd buffers
  size_t count_ = 0;
  size_t size_ = 0;
  Owner owner_;
};

}  // namespace rtmp
