// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvinput.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace gstrtmp {
namespace {

using rtmp::media::PacketClass;

// What the longest header of audio and video bodies takes.
constexpr size_t kMediaHeaderRoom = 16;
// A piece of a tag that is smaller is copied rather than kept with the buffer that it came in,
// which costs about as much memory.
constexpr size_t kSmallPiece = 1024;

/// A tag whose body lies in several buffers.
struct ManyHolds {
  std::vector<HoldPtr> holds;
  static void release(void* many) { delete static_cast<ManyHolds*>(many); }
};

bool comes_from_pool(GstBuffer* buffer) {
  if (buffer->pool != nullptr) {
    return true;
  }
  auto* parent = gst_buffer_get_parent_buffer_meta(buffer);
  return parent != nullptr && parent->buffer->pool != nullptr;
}

PacketClass classify(const rtmp::flv::TagHeader& header, const rtmp::GatherPayload& body) {
  bool audio = header.type == static_cast<uint8_t>(rtmp::flv::TagType::kAudio);
  bool video = header.type == static_cast<uint8_t>(rtmp::flv::TagType::kVideo);
  if (!audio && !video) {
    return PacketClass::kCommand;
  }
  std::array<uint8_t, kMediaHeaderRoom> room;
  rtmp::Bytes start = body.piece_count() > 0 ? body.piece(0) : rtmp::Bytes();
  if (start.size() < room.size() && body.piece_count() > 1) {
    size_t size = 0;
    for (size_t i = 0; i < body.piece_count() && size < room.size(); i++) {
      rtmp::Bytes piece = body.piece(i);
      size_t n = std::min(piece.size(), room.size() - size);
      std::copy_n(piece.begin(), n, room.begin() + size);
      size += n;
    }
    start = rtmp::Bytes(room).first(size);
  }
  return audio ? rtmp::media::classify_audio(start) : rtmp::media::classify_video(start);
}

}  // namespace

BufferHold* BufferHold::map(GstBuffer* buffer) {
  auto* hold = new BufferHold();
  hold->buffer_ = gst_buffer_ref(buffer);
  hold->borrowed_ = comes_from_pool(buffer);
  size_t memories = gst_buffer_n_memory(buffer);
  for (size_t i = 0; i < memories; i++) {
    if (i >= kInline) {
      hold->more_.emplace_back();
    }
    GstMapInfo& info = i < kInline ? hold->inline_[i] : hold->more_.back();
    if (!gst_memory_map(gst_buffer_peek_memory(buffer, static_cast<guint>(i)), &info,
                        GST_MAP_READ)) {
      hold->unref();
      return nullptr;
    }
    hold->count_++;
  }
  return hold;
}

BufferHold* BufferHold::copy(rtmp::Bytes bytes) {
  auto* hold = new BufferHold();
  hold->count_ = 1;
  hold->append(bytes);
  return hold;
}

void BufferHold::append(rtmp::Bytes bytes) {
  copy_.insert(copy_.end(), bytes.begin(), bytes.end());
  inline_[0].data = copy_.data();
  inline_[0].size = copy_.size();
}

BufferHold::~BufferHold() {
  if (buffer_ == nullptr) {
    return;
  }
  for (size_t i = 0; i < count_; i++) {
    GstMapInfo& info = i < kInline ? inline_[i] : more_[i - kInline];
    gst_memory_unmap(info.memory, &info);
  }
  gst_buffer_unref(buffer_);
}

bool FlvInput::push(GstBuffer* buffer) {
  BufferHold* hold = BufferHold::map(buffer);
  if (hold == nullptr) {
    return false;
  }
  waiting_.emplace_back(hold);
  return true;
}

FlvTag FlvInput::make_tag(const rtmp::flv::ScannedTag& scanned, const Segment& last) const {
  FlvTag tag;
  tag.header = scanned.header;
  const uint64_t begin = scanned.body_offset;
  const uint64_t end = begin + scanned.header.data_size;

  auto cut = [begin, end](const Segment& segment) {
    uint64_t from = std::max(begin, segment.offset);
    uint64_t to = std::min(end, segment.offset + segment.bytes.size());
    return from < to ? segment.bytes.subspan(from - segment.offset, to - from) : rtmp::Bytes();
  };
  bool several = std::any_of(partial_.begin(), partial_.end(), [&](const Segment& segment) {
    return segment.hold != last.hold && !cut(segment).empty();
  });
  if (!several) {
    tag.body = rtmp::GatherPayload(last.hold->owner());
  } else {
    auto many = std::make_unique<ManyHolds>();
    // A buffer's own pieces come one after the other.
    for (const Segment& segment : partial_) {
      if (!cut(segment).empty() && (many->holds.empty() || many->holds.back() != segment.hold)) {
        many->holds.push_back(segment.hold);
      }
    }
    if (many->holds.back() != last.hold) {
      many->holds.push_back(last.hold);
    }
    tag.body = rtmp::GatherPayload(rtmp::Owner(many.release(), ManyHolds::release));
  }
  for (const Segment& segment : partial_) {
    rtmp::Bytes bytes = cut(segment);
    tag.body.append(bytes);
    tag.borrowed = tag.borrowed || (!bytes.empty() && segment.hold->is_borrowed());
  }
  tag.body.append(cut(last));
  tag.borrowed = tag.borrowed || last.hold->is_borrowed();
  tag.packet_class = classify(tag.header, tag.body);
  return tag;
}

/// keep_partial() is for a used up buffer that has brought a part of a tag. The rest of the tag may
/// be long in coming: a pool cannot wait for it, and it may come in a great many buffers.
void FlvInput::keep_partial(const HoldPtr& hold) {
  auto begin = std::find_if(partial_.begin(), partial_.end(),
                            [&](const Segment& segment) { return segment.hold == hold; });
  std::vector<Segment> brought(std::make_move_iterator(begin),
                               std::make_move_iterator(partial_.end()));
  partial_.erase(begin, partial_.end());
  for (Segment& segment : brought) {
    if (!hold->is_borrowed() && segment.bytes.size() >= kSmallPiece) {
      partial_.push_back(std::move(segment));
    } else if (!partial_.empty() && partial_.back().hold->is_copy()) {
      Segment& block = partial_.back();
      block.hold->append(segment.bytes);
      block.bytes = block.hold->piece(0);
    } else {
      HoldPtr copy(BufferHold::copy(segment.bytes));
      partial_.push_back({segment.offset, copy->piece(0), copy});
    }
  }
}

rtmp::Result<std::optional<FlvTag>> FlvInput::next() {
  while (!waiting_.empty()) {
    const HoldPtr& hold = waiting_.front();
    if (piece_ == hold->piece_count()) {
      keep_partial(hold);
      waiting_.pop_front();
      piece_ = 0;
      within_ = 0;
      continue;
    }
    rtmp::Bytes rest = hold->piece(piece_).subspan(within_);
    if (rest.empty()) {
      piece_++;
      within_ = 0;
      continue;
    }
    Segment segment{scanner_.position(), rest, hold};
    auto step = scanner_.scan(rest);
    if (!step) {
      return step.error();
    }
    within_ += step->consumed;
    segment.bytes = rest.first(step->consumed);
    if (step->tag) {
      FlvTag tag = make_tag(*step->tag, segment);
      partial_.clear();
      return std::optional<FlvTag>(std::move(tag));
    }
    file_header_seen_ = file_header_seen_ || step->file_header;
    if (step->file_header || !scanner_.in_tag()) {
      partial_.clear();
    } else {
      partial_.push_back(std::move(segment));
    }
  }
  return std::optional<FlvTag>();
}

void FlvInput::reset() {
  scanner_.reset();
  waiting_.clear();
  partial_.clear();
  piece_ = 0;
  within_ = 0;
  file_header_seen_ = false;
}

}  // namespace gstrtmp
