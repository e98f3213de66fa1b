// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvresync.h"

#include <algorithm>
#include <array>

namespace gstrtmp {

using rtmp::flv::kBackPointerSize;
using rtmp::flv::kFileHeaderSize;
using rtmp::flv::kTagHeaderSize;
using rtmp::flv::TagHeader;
using rtmp::flv::TagType;

namespace {

bool is_known(uint8_t type) {
  switch (static_cast<TagType>(type)) {
    case TagType::kAudio:
    case TagType::kVideo:
    case TagType::kScript:
    case TagType::kScriptAmf3:
      return true;
  }
  return false;
}

}  // namespace

std::optional<TagHeader> judge_header(rtmp::Bytes octets, std::optional<uint32_t> stream_id) {
  constexpr uint8_t kReserved = 0xC0;
  rtmp::Cursor in(octets);
  auto header = rtmp::flv::parse_tag_header(in);
  if (!header || (octets[0] & kReserved) != 0 || !is_known(header->type) ||
      (stream_id && header->stream_id != *stream_id)) {
    return std::nullopt;
  }
  return *header;
}

std::optional<TagHeader> could_be_first_header(const FlvWindow& window, size_t offset) {
  std::array<uint8_t, kTagHeaderSize> octets;
  return window.copy(offset, octets) ? judge_header(octets, std::nullopt) : std::nullopt;
}

std::optional<TagHeader> could_be_header(const FlvWindow& window, size_t offset) {
  std::array<uint8_t, kTagHeaderSize> octets;
  return window.copy(offset, octets) ? judge_header(octets, window.stream_id()) : std::nullopt;
}

bool is_file_header(const FlvWindow& window, size_t offset) {
  std::array<uint8_t, kFileHeaderSize> octets;
  constexpr uint8_t kFlags = 0x05;
  return window.copy(offset, octets) && octets[0] == 'F' && octets[1] == 'L' && octets[2] == 'V' &&
         octets[3] == 1 && (octets[4] & ~kFlags) == 0 && octets[5] == 0 && octets[6] == 0 &&
         octets[7] == 0 && octets[8] == kFileHeaderSize;
}

TagCheck check_tag(const FlvWindow& window, size_t offset, const TagHeader& header, bool at_end) {
  const size_t end = offset + tag_size(header);
  std::array<uint8_t, kBackPointerSize> pointer;
  if (!window.copy(end, pointer)) {
    if (!at_end) {
      return TagCheck::kUnknownYet;
    }
    return window.available() >= end ? TagCheck::kBadPointer : TagCheck::kWrong;
  }
  if (*rtmp::Cursor(pointer).u32() == tag_size(header)) {
    return TagCheck::kGood;
  }
  const size_t next = end + kBackPointerSize;
  if (window.available() < next + kTagHeaderSize) {
    if (!at_end) {
      return TagCheck::kUnknownYet;
    }
    return window.available() == next ? TagCheck::kBadPointer : TagCheck::kWrong;
  }
  return could_be_header(window, next) || is_file_header(window, next) ? TagCheck::kBadPointer
                                                                       : TagCheck::kWrong;
}

TagSearch::Result TagSearch::finish(bool found, size_t discard, size_t wanted) {
  if (found) {
    candidates_.clear();
    scanned_ = 0;
  } else {
    scanned_ -= discard;
    for (Candidate& candidate : candidates_) {
      candidate.offset -= discard;
    }
  }
  return {found, discard, wanted};
}

void TagSearch::doubt(const TagHeader& header) {
  candidates_.assign(1, {0, header});
  scanned_ = 1;
}

TagSearch::Result TagSearch::search(const FlvWindow& window, bool at_end) {
  const size_t available = window.available();
  for (auto it = candidates_.begin(); it != candidates_.end();) {
    switch (check_tag(window, it->offset, it->header, at_end)) {
      case TagCheck::kGood:
      case TagCheck::kBadPointer:
        return finish(true, it->offset, 0);
      case TagCheck::kWrong:
        it = candidates_.erase(it);
        break;
      case TagCheck::kUnknownYet:
        ++it;
        break;
    }
  }
  std::array<uint8_t, 4096> block;
  while (scanned_ + kTagHeaderSize <= available) {
    const size_t size = std::min(block.size(), available - scanned_);
    if (!window.copy(scanned_, std::span(block).first(size))) {
      break;
    }
    const rtmp::Bytes octets = std::span(block).first(size);
    for (size_t i = 0; i + kTagHeaderSize <= size; i++, scanned_++) {
      if (octets[i] == 'F' && is_file_header(window, scanned_)) {
        return finish(true, scanned_, 0);
      }
      constexpr size_t kStreamId = 8;
      if (octets[i + kStreamId] != static_cast<uint8_t>(window.stream_id() >> 16)) {
        continue;  // nearly all of them
      }
      auto header = judge_header(octets.subspan(i, kTagHeaderSize), window.stream_id());
      if (!header) {
        continue;
      }
      const TagCheck check = check_tag(window, scanned_, *header, at_end);
      if (check == TagCheck::kGood || check == TagCheck::kBadPointer) {
        return finish(true, scanned_, 0);
      }
      if (check == TagCheck::kUnknownYet && candidates_.size() < kMostCandidates) {
        candidates_.push_back({scanned_, *header});
      }
    }
  }
  if (at_end) {
    candidates_.clear();
    return finish(false, available, 0);
  }
  const size_t discard = candidates_.empty() ? scanned_ : candidates_.front().offset;
  size_t wanted = kTagHeaderSize;
  if (!candidates_.empty()) {
    // Whatever is complete first, but one octet more than there is at least.
    const auto& nearest = *std::ranges::min_element(
        candidates_, {}, [](const Candidate& c) { return c.offset + tag_size(c.header); });
    wanted = nearest.offset + tag_size(nearest.header) + kBackPointerSize - discard;
    if (wanted <= available - discard) {
      wanted += kTagHeaderSize;
    }
  }
  return finish(false, discard, wanted);
}

}  // namespace gstrtmp
