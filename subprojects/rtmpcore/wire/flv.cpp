// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/flv.h"

#include <algorithm>
#include <cstring>

namespace rtmp::flv {
namespace {

constexpr uint8_t kSignature[] = {'F', 'L', 'V'};
constexpr uint8_t kVersion = 1;
constexpr uint8_t kHasAudio = 0x04;
constexpr uint8_t kHasVideo = 0x01;

// Readers of FLV accept versions up to here; no version but 1 was ever published.
constexpr uint8_t kMaxVersion = 4;

constexpr uint8_t kFilterBit = 0x20;
constexpr uint8_t kTypeMask = 0x1F;
constexpr uint8_t kReservedMask = 0xC0;

// Nothing is allocated for a longer file header, but a garbled one would swallow the stream.
constexpr uint32_t kMaxDataOffset = 64 * 1024;

bool is_known_type(uint8_t type) {
  switch (static_cast<TagType>(type)) {
    case TagType::kAudio:
    case TagType::kVideo:
    case TagType::kScript:
    case TagType::kScriptAmf3:
      return true;
  }
  return false;
}

// Unknown tag types are to be skipped (E.4.1), but octets that are no tag must not pass for one.
bool is_plausible(uint8_t first_octet, const TagHeader& header) {
  if ((first_octet & kReservedMask) != 0 || header.type == 0) {
    return false;
  }
  return is_known_type(header.type) || header.stream_id == 0;
}

}  // namespace

// E.2:  "FLV" | version U8 | flags U8: 00000a0v | data offset U32

Result<FileHeader> parse_file_header(Cursor& in) {
  Cursor at = in;
  auto fixed = at.take(kFileHeaderSize);
  if (!fixed) {
    return PeerError{ErrorKind::kTruncated, in.offset(), "FLV file header cut off"};
  }
  Cursor fields(*fixed);
  Bytes signature = *fields.take(sizeof(kSignature));
  uint8_t version = *fields.u8();
  if (!std::ranges::equal(signature, kSignature) || version == 0 || version > kMaxVersion) {
    return PeerError{ErrorKind::kMalformed, in.offset(), "no FLV signature"};
  }
  uint8_t flags = *fields.u8();
  uint32_t data_offset = *fields.u32();
  if (data_offset < kFileHeaderSize) {
    return PeerError{ErrorKind::kMalformed, in.offset() + 5, "FLV data offset inside the header"};
  }
  in = at;
  return FileHeader{(flags & kHasAudio) != 0, (flags & kHasVideo) != 0, data_offset};
}

void write_file_header(Builder& out, const FileHeader& header) {
  out.bytes(kSignature);
  out.u8(kVersion);
  out.u8(static_cast<uint8_t>((header.has_audio ? kHasAudio : 0) |
                              (header.has_video ? kHasVideo : 0)));
  out.u32(kFileHeaderSize);
  out.u32(0);
}

// E.4.1:  reserved 2 bits, filter 1, type 5 | data size U24 | timestamp U24 | its upper octet U8 |
//         stream id U24

Result<TagHeader> parse_tag_header(Cursor& in) {
  auto fixed = in.take(kTagHeaderSize);
  if (!fixed) {
    return PeerError{ErrorKind::kTruncated, in.offset(), "FLV tag header cut off"};
  }
  Cursor fields(*fixed);
  TagHeader header;
  uint8_t first = *fields.u8();
  header.type = first & kTypeMask;
  header.encrypted = (first & kFilterBit) != 0;
  header.data_size = *fields.u24();
  header.timestamp = *fields.u24();
  header.timestamp |= static_cast<uint32_t>(*fields.u8()) << 24;
  header.stream_id = *fields.u24();
  return header;
}

void write_tag_header(uint8_t* at, const TagHeader& header) {
  at[0] = static_cast<uint8_t>((header.type & kTypeMask) | (header.encrypted ? kFilterBit : 0));
  put(at + 1, header.data_size, 3);
  put(at + 4, header.timestamp, 3);
  at[7] = static_cast<uint8_t>(header.timestamp >> 24);
  put(at + 8, header.stream_id, 3);
}

void write_back_pointer(uint8_t* at, uint32_t data_size) {
  put(at, data_size + kTagHeaderSize, kBackPointerSize);
}

void TagScanner::reset() {
  *this = TagScanner(max_data_size_);
}

PeerError TagScanner::fail(ErrorKind kind, uint64_t offset, const char* text) {
  state_ = State::kFailed;
  error_ = {kind, offset, text};
  return error_;
}

Result<TagScanner::Step> TagScanner::scan(Bytes input) {
  if (state_ == State::kFailed) {
    return error_;
  }
  Step step;
  Cursor in(input);
  const uint64_t start = position_;
  while (!in.empty() && !step.tag && !step.file_header) {
    if (state_ == State::kStart) {
      // A stream joined in the middle may begin with a back pointer. Those of bodies below 16 MB
      // begin with 0, which no tag does.
      const bool back_pointer = *in.peek() == 0;
      state_ = back_pointer ? State::kBackPointer : State::kTag;
      skip_ = back_pointer ? kBackPointerSize : 0;
    }
    if (state_ == State::kTag) {
      const uint8_t first = held_size_ > 0 ? held_[0] : *in.peek();
      const size_t wanted = first == kSignature[0] ? kFileHeaderSize : kTagHeaderSize;
      Bytes some = *in.take(std::min(wanted - held_size_, in.remaining()));
      std::memcpy(held_ + held_size_, some.data(), some.size());
      held_size_ += some.size();
      position_ = start + in.offset();
      if (held_size_ == wanted) {
        if (auto error = take_header(step)) {
          return *error;
        }
      }
    } else {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(skip_, in.remaining()));
      in.skip(n);
      skip_ -= n;
      position_ = start + in.offset();
    }
    if (skip_ == 0) {
      after_skip(step);
    }
  }
  step.consumed = in.offset();
  return step;
}

/// after_skip() leaves a state whose octets have all passed.
void TagScanner::after_skip(Step& step) {
  switch (state_) {
    case State::kBody:
      step.tag = tag_;
      [[fallthrough]];
    case State::kFileHeaderRest:
      state_ = State::kBackPointer;
      skip_ = kBackPointerSize;
      break;
    case State::kBackPointer:
      state_ = State::kTag;
      break;
    case State::kStart:
    case State::kTag:
    case State::kFailed:
      break;
  }
}

/// take_header() reads the header in held_, which ends at position_.
std::optional<PeerError> TagScanner::take_header(Step& step) {
  const uint64_t offset = position_ - held_size_;
  Cursor in(Bytes(held_, held_size_));
  held_size_ = 0;
  if (held_[0] == kSignature[0]) {
    auto header = parse_file_header(in);
    if (!header) {
      return fail(header.error().kind, offset + header.error().offset, header.error().text);
    }
    if (header->data_offset > kMaxDataOffset) {
      return fail(ErrorKind::kLimit, offset, "FLV file header larger than the limit");
    }
    step.file_header = *header;
    state_ = State::kFileHeaderRest;
    skip_ = header->data_offset - kFileHeaderSize;
    return std::nullopt;
  }
  auto header = parse_tag_header(in);
  if (!header || !is_plausible(held_[0], *header)) {
    return fail(ErrorKind::kMalformed, offset, "neither an FLV tag nor a file header");
  }
  if (header->data_size > max_data_size_) {
    return fail(ErrorKind::kLimit, offset, "FLV tag larger than the limit");
  }
  tag_ = {*header, offset, position_};
  state_ = State::kBody;
  skip_ = header->data_size;
  return std::nullopt;
}

}  // namespace rtmp::flv
