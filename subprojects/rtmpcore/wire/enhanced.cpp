// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/enhanced.h"

namespace rtmp::media {
namespace {

constexpr uint8_t kExVideoHeader = 0x80;
constexpr uint8_t kExAudioHeader = static_cast<uint8_t>(AudioCodec::kExtended) << 4;

// Packet types that are no packets but say how the header goes on (v2, "Enhanced Video" and
// "Enhanced Audio").
constexpr uint8_t kVideoMultitrack = 6;
constexpr uint8_t kAudioMultitrack = 5;
constexpr uint8_t kModEx = 7;
constexpr uint8_t kCodedFrames = 1;
constexpr uint8_t kCodedFramesX = 3;

constexpr uint8_t kTimestampOffsetNano = 0;  // ModExType
constexpr size_t kNanoSize = 3;
constexpr uint32_t kMaxNano = 999'999;

uint8_t multitrack_type(MediaType type) {
  return type == MediaType::kVideo ? kVideoMultitrack : kAudioMultitrack;
}

// VideoPacketType and AudioPacketType
PacketKind kind_of(MediaType media, uint8_t packet_type) {
  const bool video = media == MediaType::kVideo;
  switch (packet_type) {
    case 0:
      return PacketKind::kSequenceStart;
    case kCodedFrames:
      return PacketKind::kCodedFrames;
    case 2:
      return PacketKind::kSequenceEnd;
    case kCodedFramesX:
      return video ? PacketKind::kCodedFrames : PacketKind::kUnknown;
    case 4:
      return video ? PacketKind::kMetadata : PacketKind::kMultichannelConfig;
    case 5:
      return video ? PacketKind::kMpeg2TsSequenceStart : PacketKind::kUnknown;
    default:
      return PacketKind::kUnknown;
  }
}

uint8_t packet_type_of(PacketKind kind) {
  switch (kind) {
    case PacketKind::kSequenceStart:
      return 0;
    case PacketKind::kSequenceEnd:
      return 2;
    case PacketKind::kMetadata:
    case PacketKind::kMultichannelConfig:
      return 4;
    case PacketKind::kMpeg2TsSequenceStart:
      return 5;
    default:
      return kCodedFrames;
  }
}

bool holds_many(const PacketHeader& header) {
  return header.multitrack && *header.multitrack != MultitrackType::kOneTrack;
}

bool writes_composition_time(const PacketHeader& header) {
  return header.kind == PacketKind::kCodedFrames &&
         has_composition_time(header.type, header.codec) &&
         (holds_many(header) || header.composition_time != 0);
}

/// write_rest() writes what comes behind the codec of a message, or its place.
uint8_t* write_rest(uint8_t* at, const PacketHeader& header) {
  const bool timed = writes_composition_time(header);
  if (header.multitrack) {
    *at++ = header.track_id;
  }
  if (holds_many(header)) {
    put(at, header.payload_size + (timed ? 3u : 0u), 3);
    at += 3;
  }
  if (timed) {
    put(at, static_cast<uint32_t>(header.composition_time), 3);
    at += 3;
  }
  return at;
}

uint8_t* write_codec(uint8_t* at, FourCc codec) {
  put(at, static_cast<uint32_t>(codec), 4);
  return at + 4;
}

}  // namespace

std::array<char, 4> to_text(FourCc codec) {
  const auto value = static_cast<uint32_t>(codec);
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

bool has_composition_time(MediaType type, FourCc codec) {
  return type == MediaType::kVideo &&
         (codec == FourCc::kAvc || codec == FourCc::kHevc || codec == FourCc::kVvc);
}

// ---- reading ----

PeerError PacketReader::truncated(const char* text) const {
  return {ErrorKind::kTruncated, in_.offset(), text};
}

bool PacketReader::holds_many() const {
  return packet_.multitrack && *packet_.multitrack != MultitrackType::kOneTrack;
}

Result<MediaPacket> PacketReader::head() {
  if (step_ == Step::kHead) {
    step_ = Step::kFirstTrack;
    error_ = read_head();
  }
  if (error_) {
    return *error_;
  }
  return packet_;
}

Result<std::optional<MediaPacket>> PacketReader::next() {
  using Next = std::optional<MediaPacket>;
  if (step_ == Step::kDone) {
    return Next();
  }
  if (auto head = this->head(); head) {
    error_ = step_ == Step::kNextTrack ? read_track() : read_first_track();
  }
  step_ = error_ || !holds_many() || in_.empty() ? Step::kDone : Step::kNextTrack;
  if (error_) {
    return *error_;
  }
  return Next(packet_);
}

unsigned track_set(MediaType type, Bytes body) {
  constexpr unsigned kMany = 0x100;
  const auto packet = PacketReader(type, body).next();
  if (!packet || !*packet) {
    return 0;
  }
  const auto multitrack = (*packet)->multitrack.value_or(MultitrackType::kOneTrack);
  return (*packet)->track_id | (multitrack == MultitrackType::kOneTrack ? 0 : kMany);
}

std::optional<PeerError> PacketReader::read_head() {
  if (in_.empty()) {
    packet_.kind = type_ == MediaType::kAudio ? PacketKind::kSilence : PacketKind::kUnknown;
    return std::nullopt;
  }
  if (type_ == MediaType::kVideo) {
    auto header = parse_video_header(in_);
    if (!header) {
      return header.error();
    }
    packet_.frame_type = header->frame_type;
    if (header->extended) {
      return read_extended_head(header->extended_packet_type);
    }
    read_legacy(*header);
  } else {
    const uint8_t first = *in_.peek();
    auto header = parse_audio_header(in_);
    if (!header) {
      return header.error();
    }
    if (header->codec == AudioCodec::kExtended) {
      return read_extended_head(first & 0x0F);
    }
    read_legacy(*header);
  }
  packet_.payload = in_.rest();
  return std::nullopt;
}

void PacketReader::read_legacy(const VideoHeader& header) {
  packet_.video_codec = header.codec;
  packet_.composition_time = header.composition_time;
  packet_.kind = PacketKind::kCodedFrames;
  const bool avc_layout = header.codec == VideoCodec::kAvc || header.codec == VideoCodec::kHevc;
  if (avc_layout) {
    packet_.codec = header.codec == VideoCodec::kAvc ? FourCc::kAvc : FourCc::kHevc;
  }
  if (header.frame_type == FrameType::kCommand) {
    packet_.kind = PacketKind::kCommand;
  } else if (header.is_sequence_header()) {
    packet_.kind = PacketKind::kSequenceStart;
  } else if (header.is_end_of_sequence()) {
    packet_.kind = PacketKind::kSequenceEnd;
  } else if (avc_layout && header.avc_packet_type != AvcPacketType::kNalUnits) {
    packet_.kind = PacketKind::kUnknown;
  }
}

void PacketReader::read_legacy(const AudioHeader& header) {
  packet_.audio = header;
  packet_.kind = PacketKind::kCodedFrames;
  if (header.codec == AudioCodec::kAac) {
    packet_.codec = FourCc::kAac;
    if (header.is_sequence_header()) {
      packet_.kind = PacketKind::kSequenceStart;
    } else if (header.aac_packet_type != AacPacketType::kRaw) {
      packet_.kind = PacketKind::kUnknown;
    }
  } else if (header.codec == AudioCodec::kMp3 || header.codec == AudioCodec::kMp3At8k) {
    packet_.codec = FourCc::kMp3;
  }
}

//   head:   [ModEx ...]  [multitrack type U4, packet type U4]
//   then:   command U8
//   or:     [FourCC]  and once, or for each track:  [FourCC]  [track id U8]  [size U24]  body

std::optional<PeerError> PacketReader::read_extended_head(uint8_t packet_type) {
  packet_.extended = true;
  if (auto error = read_modifiers(packet_type)) {
    return error;
  }
  packet_type_ = packet_type;
  packet_.kind = kind_of(type_, packet_type);
  if (type_ == MediaType::kVideo && packet_.frame_type == FrameType::kCommand &&
      packet_.kind != PacketKind::kMetadata) {
    packet_.kind = PacketKind::kCommand;
    return std::nullopt;
  }
  if (packet_type == multitrack_type(type_)) {
    if (auto error = read_multitrack()) {
      return error;
    }
  }
  if (packet_.multitrack != MultitrackType::kManyTracksManyCodecs) {
    packet_.codec = static_cast<FourCc>(Cursor(in_).u32().value_or(0));
  }
  return std::nullopt;
}

//   ModEx: size - 1 U8, or 0xFF and size - 1 U16 | data | modifier type U4, packet type U4

std::optional<PeerError> PacketReader::read_modifiers(uint8_t& packet_type) {
  while (packet_type == kModEx) {
    std::optional<size_t> size = in_.u8();
    if (size == 0xFF) {
      size = in_.u16();
    }
    if (!size) {
      return truncated("modifier without its size");
    }
    auto data = in_.take(*size + 1);
    auto next = data ? in_.u8() : std::nullopt;
    if (!next) {
      return truncated("modifier cut off");
    }
    packet_type = *next & 0x0F;
    if (*next >> 4 == kTimestampOffsetNano) {
      const auto nano = Cursor(*data).u24();
      if (nano && *nano <= kMaxNano) {
        packet_.nanoseconds = *nano;
      }
    }
  }
  return std::nullopt;
}

std::optional<PeerError> PacketReader::read_multitrack() {
  auto octet = in_.u8();
  if (!octet) {
    return truncated("multitrack message without its type");
  }
  const uint8_t type = *octet >> 4;
  packet_type_ = *octet & 0x0F;
  if (type > static_cast<uint8_t>(MultitrackType::kManyTracksManyCodecs)) {
    return PeerError{ErrorKind::kMalformed, in_.offset() - 1, "unknown type of multitrack"};
  }
  if (packet_type_ == multitrack_type(type_) || packet_type_ == kModEx) {
    return PeerError{ErrorKind::kMalformed, in_.offset() - 1, "headers nested in a multitrack"};
  }
  packet_.multitrack = static_cast<MultitrackType>(type);
  packet_.kind = kind_of(type_, packet_type_);
  return std::nullopt;
}

std::optional<PeerError> PacketReader::read_first_track() {
  if (!packet_.extended) {
    return std::nullopt;
  }
  if (packet_.kind == PacketKind::kCommand) {
    auto command = in_.take(1);
    if (!command) {
      return truncated("video command without its octet");
    }
    packet_.payload = *command;
    return std::nullopt;
  }
  if (packet_.multitrack != MultitrackType::kManyTracksManyCodecs) {
    if (auto error = read_codec()) {
      return error;
    }
  }
  return read_track();
}

std::optional<PeerError> PacketReader::read_codec() {
  auto codec = in_.u32();
  if (!codec) {
    return truncated("extended header without its FourCC");
  }
  packet_.codec = static_cast<FourCc>(*codec);
  return std::nullopt;
}

std::optional<PeerError> PacketReader::read_track() {
  if (packet_.multitrack == MultitrackType::kManyTracksManyCodecs) {
    if (auto error = read_codec()) {
      return error;
    }
  }
  if (packet_.multitrack) {
    auto id = in_.u8();
    if (!id) {
      return truncated("track without its number");
    }
    packet_.track_id = *id;
  }
  packet_.payload = in_.rest();
  if (holds_many()) {
    auto size = in_.u24();
    if (!size) {
      return truncated("track without its size");
    }
    auto body = in_.take(*size);
    if (!body) {
      return truncated("track cut off");
    }
    packet_.payload = *body;
  }
  packet_.kind = kind_of(type_, packet_type_);
  packet_.composition_time = 0;
  if (packet_type_ == kCodedFrames && has_composition_time(type_, packet_.codec)) {
    Cursor body(packet_.payload);
    if (auto composition_time = body.i24()) {
      packet_.composition_time = *composition_time;
      packet_.payload = body.rest();
    } else if (holds_many()) {
      packet_.kind = PacketKind::kUnknown;
    } else {
      return truncated("frame without its composition time");
    }
  }
  return std::nullopt;
}

// ---- writing ----

size_t write_packet_header(uint8_t* at, const PacketHeader& header) {
  uint8_t* const begin = at;
  const bool video = header.type == MediaType::kVideo;
  uint8_t packet_type = packet_type_of(header.kind);
  if (header.kind == PacketKind::kCodedFrames && has_composition_time(header.type, header.codec) &&
      !writes_composition_time(header)) {
    packet_type = kCodedFramesX;
  }
  const auto frame_type = static_cast<uint8_t>(
      header.kind == PacketKind::kCommand ? FrameType::kCommand : header.frame_type);
  const auto first = static_cast<uint8_t>(video ? kExVideoHeader | (frame_type & 7u) << 4
                                                : static_cast<unsigned>(kExAudioHeader));
  const uint8_t outer = header.multitrack && header.kind != PacketKind::kCommand
                            ? multitrack_type(header.type)
                            : packet_type;
  if (header.nanoseconds != 0) {
    *at++ = first | kModEx;
    *at++ = kNanoSize - 1;
    put(at, header.nanoseconds, kNanoSize);
    at += kNanoSize;
    *at++ = static_cast<uint8_t>(kTimestampOffsetNano << 4 | outer);
  } else {
    *at++ = first | outer;
  }
  if (header.kind == PacketKind::kCommand) {
    return static_cast<size_t>(at - begin);
  }
  if (header.multitrack) {
    *at++ = static_cast<uint8_t>(static_cast<uint8_t>(*header.multitrack) << 4 | packet_type);
  }
  at = write_codec(at, header.codec);
  return static_cast<size_t>(write_rest(at, header) - begin);
}

size_t write_track_header(uint8_t* at, const PacketHeader& header) {
  uint8_t* const begin = at;
  if (header.multitrack == MultitrackType::kManyTracksManyCodecs) {
    at = write_codec(at, header.codec);
  }
  return static_cast<size_t>(write_rest(at, header) - begin);
}

}  // namespace rtmp::media
