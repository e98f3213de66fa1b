// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvtagreader.h"

#include <algorithm>
#include <array>

namespace gstrtmp {

using rtmp::flv::kBackPointerSize;
using rtmp::flv::kFileHeaderSize;
using rtmp::flv::kTagHeaderSize;
using rtmp::flv::TagHeader;
using rtmp::flv::TagType;
using rtmp::media::MediaType;
using rtmp::media::PacketClass;
using Kind = FlvReadStep::Kind;

namespace {

constexpr uint32_t kLongestFileHeader = 64 * 1024;
// More than this is not waited for without a look at what comes meanwhile.
constexpr size_t kLargeTag = 256 * 1024;

}  // namespace

bool is_media(const TagHeader& header) {
  return static_cast<TagType>(header.type) == TagType::kAudio ||
         static_cast<TagType>(header.type) == TagType::kVideo;
}

MediaType media_type(const TagHeader& header) {
  return static_cast<TagType>(header.type) == TagType::kVideo ? MediaType::kVideo
                                                              : MediaType::kAudio;
}

PacketClass class_of(const TagHeader& header, rtmp::Bytes body) {
  return static_cast<TagType>(header.type) == TagType::kVideo ? rtmp::media::classify_video(body)
                                                              : rtmp::media::classify_audio(body);
}

bool is_frame(PacketClass packet) {
  return packet == PacketClass::kKeyFrame || packet == PacketClass::kInterFrame ||
         packet == PacketClass::kDisposableFrame || packet == PacketClass::kAudioFrame;
}

void FlvTagReader::skip(size_t octets) {
  held_.skip(octets);
  position_ += octets;
}

FlvReadStep FlvTagReader::want(size_t octets) {
  held_.give_back();
  FlvReadStep step;
  step.kind = Kind::kWant;
  step.wanted = octets;
  return step;
}

void FlvTagReader::restart(uint64_t position) {
  held_.clear();
  position_ = position;
  ended_ = false;
  searching_ = false;
  after_loss_ = false;
  search_ = {};
}

/// lose() begins a search at the second octet of what is there.
void FlvTagReader::lose() {
  searching_ = true;
  lost_since_push_ = true;
  search_ = {};
  damage_ = {position_, 1, false};
  skip(1);
}

/// doubt() begins a search that finds the tag of this header, should it be one.
void FlvTagReader::doubt(const TagHeader& header) {
  searching_ = true;
  search_.doubt(header);
  damage_ = {position_, 0, false};
}

std::optional<FlvReadStep> FlvTagReader::search() {
  const TagSearch::Result result = search_.search(*this, ended_);
  skip(result.discard);
  damage_.octets += result.discard;
  lost_since_push_ = lost_since_push_ || result.discard > 0;
  if (!result.found && !ended_) {
    return want(result.wanted);
  }
  searching_ = false;
  if (damage_.octets == 0) {
    return std::nullopt;
  }
  after_loss_ = true;
  damage_.at_end = !result.found;
  FlvReadStep step;
  step.kind = Kind::kDamage;
  step.damage = damage_;
  return step;
}

std::optional<FlvReadStep> FlvTagReader::read_file_header() {
  std::array<uint8_t, kFileHeaderSize> octets;
  if (!copy(0, octets)) {
    return std::nullopt;
  }
  rtmp::Cursor in(octets);
  auto header = rtmp::flv::parse_file_header(in);
  if (!header || header->data_offset > kLongestFileHeader) {
    return std::nullopt;
  }
  if (available() < header->data_offset && !ended_) {
    return want(header->data_offset);
  }
  skip(std::min<size_t>(available(), header->data_offset));
  found_any_ = true;
  FlvReadStep step;
  step.kind = Kind::kFileHeader;
  step.file_header = *header;
  return step;
}

FlvReadStep FlvTagReader::take(const TagHeader& header) {
  FlvReadStep step;
  step.kind = Kind::kTag;
  stream_id_ = stream_id_.value_or(header.stream_id);
  step.tag.header = header;
  step.tag.offset = position_;
  step.tag.after_loss = std::exchange(after_loss_, false);
  skip(kTagHeaderSize);
  step.tag.body = held_.part(0, header.data_size);
  skip(header.data_size);
  skip(std::min(available(), kBackPointerSize));
  found_any_ = true;
  return step;
}

FlvReadStep FlvTagReader::at_end_of_input() {
  FlvReadStep step;
  step.kind = Kind::kEnd;
  // A back pointer may stand alone.
  if (const size_t rest = available(); rest > kBackPointerSize) {
    step.kind = Kind::kDamage;
    step.damage = {position_, rest, true};
    skip(rest);
  } else {
    skip(rest);
  }
  return step;
}

FlvReadStep FlvTagReader::next() {
  while (true) {
    if (searching_) {
      if (auto step = search()) {
        return *std::move(step);
      }
    }
    std::array<uint8_t, kTagHeaderSize> octets;
    if (!copy(0, octets)) {
      return ended_ ? at_end_of_input() : want(kTagHeaderSize);
    }
    if (octets[0] == 'F' && octets[1] == 'L' && octets[2] == 'V') {
      if (auto step = read_file_header()) {
        return *std::move(step);
      }
      lose();
      continue;
    }
    if (auto header = judge_header(octets, stream_id())) {
      switch (check_tag(*this, 0, *header, ended_)) {
        case TagCheck::kBadPointer:
          bad_pointers_++;
          [[fallthrough]];
        case TagCheck::kGood:
          return take(*header);
        case TagCheck::kWrong:
          lose();
          continue;
        case TagCheck::kUnknownYet: {
          if (header->data_size > kLargeTag) {
            doubt(*header);
            continue;
          }
          const size_t whole = tag_size(*header) + kBackPointerSize;
          return want(available() < whole ? whole : whole + kTagHeaderSize);
        }
      }
    }
    // A file header's PreviousTagSize0, or a stream that begins with a back pointer.
    if (available() < kBackPointerSize + kTagHeaderSize && !ended_) {
      return want(kBackPointerSize + kTagHeaderSize);
    }
    if (could_be_header(*this, kBackPointerSize) || is_file_header(*this, kBackPointerSize)) {
      skip(kBackPointerSize);
      continue;
    }
    if (found_any_ && !stream_id_) {
      const bool behind = !could_be_first_header(*this, 0);
      const size_t at = behind ? kBackPointerSize : 0;
      if (auto first = could_be_first_header(*this, at)) {
        switch (check_tag(*this, at, *first, ended_)) {
          case TagCheck::kGood:
            skip(at);
            return take(*first);
          case TagCheck::kUnknownYet: {
            const size_t whole = at + tag_size(*first) + kBackPointerSize;
            if (available() < whole) {
              return want(whole);
            }
            break;
          }
          default:
            break;
        }
      }
    }
    // A tag whose header is odd, but which has its back pointer: of a type of the future, or on a
    // stream other than 0.
    rtmp::Cursor in(octets);
    if (auto odd = rtmp::flv::parse_tag_header(in)) {
      std::array<uint8_t, kBackPointerSize> pointer;
      if (copy(tag_size(*odd), pointer) && *rtmp::Cursor(pointer).u32() == tag_size(*odd)) {
        return take(*odd);
      }
    }
    lose();
  }
}

}  // namespace gstrtmp
