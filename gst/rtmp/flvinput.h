// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gst/gst.h>

#include "session/payload.h"
#include "wire/flv.h"
#include "wire/media.h"
#include "wire/result.h"

namespace gstrtmp {

/// BufferHold keeps one buffer and the mappings of its memories, each mapped by itself (a buffer
/// mapped whole is merged, hence copied). One heap allocation a buffer, whatever it holds. Counted
/// by reference, on any thread.
class BufferHold {
 public:
  /// map() answers a hold with one reference, or nullptr if a memory cannot be read.
  static BufferHold* map(GstBuffer* buffer);
  /// copy() holds octets of its own.
  static BufferHold* copy(rtmp::Bytes bytes);
  /// append() adds to a copy's octets, which may move. Only before anybody else has a reference.
  void append(rtmp::Bytes bytes);
  BufferHold(const BufferHold&) = delete;
  BufferHold& operator=(const BufferHold&) = delete;

  BufferHold* ref() {
    references_.fetch_add(1, std::memory_order_relaxed);
    return this;
  }
  void unref() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete this;
    }
  }
  /// owner() is a new reference, as the core keeps it.
  rtmp::Owner owner() {
    return {ref(), [](void* hold) { static_cast<BufferHold*>(hold)->unref(); }};
  }

  size_t piece_count() const { return count_; }
  rtmp::Bytes piece(size_t i) const {
    const GstMapInfo& info = i < kInline ? inline_[i] : more_[i - kInline];
    return {info.data, info.size};
  }
  /// is_borrowed() is true for memory that somebody waits to have back: a buffer pool's.
  bool is_borrowed() const { return borrowed_; }
  bool is_copy() const { return buffer_ == nullptr; }

 private:
  static constexpr size_t kInline = 3;  // flvchunk's: tag header, payload, back pointer
  BufferHold() = default;
  ~BufferHold();

  std::atomic<int> references_{1};
  GstBuffer* buffer_ = nullptr;
  size_t count_ = 0;
  bool borrowed_ = false;
  GstMapInfo inline_[kInline];
  std::vector<GstMapInfo> more_;
  std::vector<uint8_t> copy_;
};

/// HoldPtr is one reference to a BufferHold.
class HoldPtr {
 public:
  HoldPtr() = default;
  explicit HoldPtr(BufferHold* adopted) : hold_(adopted) {}
  HoldPtr(const HoldPtr& other) : hold_(other.hold_ != nullptr ? other.hold_->ref() : nullptr) {}
  HoldPtr(HoldPtr&& other) noexcept : hold_(std::exchange(other.hold_, nullptr)) {}
  HoldPtr& operator=(HoldPtr other) noexcept {
    std::swap(hold_, other.hold_);
    return *this;
  }
  ~HoldPtr() {
    if (hold_ != nullptr) {
      hold_->unref();
    }
  }
  BufferHold* operator->() const { return hold_; }
  explicit operator bool() const { return hold_ != nullptr; }
  friend bool operator==(const HoldPtr& a, const HoldPtr& b) { return a.hold_ == b.hold_; }

 private:
  BufferHold* hold_ = nullptr;
};

/// FlvTag is one tag of the input, its body still in the buffers that it came in.
struct FlvTag {
  rtmp::flv::TagHeader header;
  rtmp::GatherPayload body;
  bool borrowed = false;  ///< some of the body lies in a pool's memory
  /// Of audio and video tags; kCommand for script data.
  rtmp::media::PacketClass packet_class = rtmp::media::PacketClass::kCommand;
};

/// FlvInput cuts buffers of FLV, cut anywhere, into tags without copying their bodies.
///
///   input.push(buffer);
///   while (true) {
///     auto tag = input.next();      // an error: the input is not FLV
///     if (!*tag) break;             // all buffers are used up
///     ... (*tag)->body ...
///   }
class FlvInput {
 public:
  FlvInput() = default;

  /// push() takes a reference of the buffer; false if it cannot be read.
  bool push(GstBuffer* buffer);
  rtmp::Result<std::optional<FlvTag>> next();
  bool empty() const { return waiting_.empty(); }
  /// in_tag() is true if the stream so far ends inside a tag.
  bool in_tag() const { return scanner_.in_tag(); }
  /// take_file_header() tells whether a file header has come since it was last asked.
  bool take_file_header() { return std::exchange(file_header_seen_, false); }
  /// reset() drops all buffers and starts over, as after a flush.
  void reset();

 private:
  struct Segment {
    uint64_t offset = 0;  // of its first octet in the stream
    rtmp::Bytes bytes;
    HoldPtr hold;
  };
  FlvTag make_tag(const rtmp::flv::ScannedTag& scanned, const Segment& last) const;
  void keep_partial(const HoldPtr& hold);

  rtmp::flv::TagScanner scanner_;
  std::deque<HoldPtr> waiting_;
  size_t piece_ = 0;   // of waiting_.front()
  size_t within_ = 0;  // octets of that piece which have been scanned
  bool file_header_seen_ = false;
  std::vector<Segment> partial_;  // of the tag under way
};

}  // namespace gstrtmp
